"""Nearest points of polyhedra, and classification tasks one after the other."""

import cvxpy as cp
import pytest
import torch

from implicitly.continual import margin_tasks, nearest_point, random_orders, sequential_max_margin, universal_bound

F64 = torch.float64


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_one_constraint_in_closed_form():
    w, z = torch.randn(2, 5, generator=rng(), dtype=F64)
    for factor in (1.0, 1e-8, 1e8):
        scaled = factor * z
        expected = w + max(0.0, 1 - (scaled @ w).item()) * scaled / scaled.square().sum()
        # w itself is rounded by 1e-16 of its size, and so is the long move for a short row
        room = 1e-14 * (expected.norm().item() + w.norm().item())
        torch.testing.assert_close(nearest_point(w, scaled[None]), expected, rtol=0, atol=room)


@pytest.mark.parametrize("seed", range(6))
def test_nearest_against_a_convex_solver_and_by_its_condition(seed):
    """``(w - v) . (p - v) <= 0`` for every feasible p is what nearest means."""
    d, n = 6, 4 + 2 * seed
    Z = margin_tasks(1, d, n=n, margin=0.4, generator=rng(seed))[0]
    w = 2 * torch.randn(d, generator=rng(seed + 10), dtype=F64)
    v = nearest_point(w, Z)
    assert (Z @ v >= 1 - 1e-12).all()
    x = cp.Variable(d)
    cp.Problem(cp.Minimize(cp.sum_squares(x - w.numpy())), [Z.numpy() @ x >= 1]).solve(solver=cp.CLARABEL)
    torch.testing.assert_close(v, torch.from_numpy(x.value), rtol=0, atol=1e-4)  # the solver stops at 1e-8 of |x - w|^2
    # Many points with Z p >= 1: random directions, moved into the polyhedron along a point deep inside.
    deep = 3 * nearest_point(torch.zeros(d, dtype=F64), Z)
    p = deep + torch.randn(500, d, generator=rng(1), dtype=F64)
    p = p[(p @ Z.T >= 1).all(1)]
    assert len(p) > 20
    assert ((p - v) @ (w - v) <= 1e-10).all()
    assert torch.equal(nearest_point(deep, Z), deep)


def test_infeasible_and_bad():
    w = torch.zeros(2, dtype=F64)
    with pytest.raises(ValueError, match="Z must allow a point"):
        nearest_point(w, torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=F64))
    with pytest.raises(ValueError, match="found a row of zeros"):
        nearest_point(w, torch.zeros(1, 2, dtype=F64))
    with pytest.raises(TypeError, match="Z must be float64, found float32"):
        nearest_point(w, torch.ones(1, 2))
    assert torch.equal(nearest_point(w, torch.zeros(0, 2, dtype=F64)), w)


def test_margin_tasks_have_their_teacher():
    Z = margin_tasks(5, 8, n=3, margin=0.7, generator=rng(4))
    v = nearest_point(torch.zeros(8, dtype=F64), Z.reshape(-1, 8))
    assert 1 / v.norm() >= 0.7 - 1e-12  # the teacher's margin, or more
    torch.testing.assert_close(Z.square().sum(2), torch.full((5, 3), 1 + 0.49, dtype=F64))


def test_learning_in_sequence():
    """The mean squared distance from a task stays below B(k) |w*|^2; without any update it does not."""
    T, d, k = 30, 20, 200
    Z = margin_tasks(T, d, generator=rng(0))
    star = nearest_point(torch.zeros(d, dtype=F64), Z.reshape(-1, d))
    size = star.square().sum()
    runs = [sequential_max_margin(torch.zeros(d, dtype=F64), Z, order)
            for order in random_orders(T, k, replacement=True, runs=10, generator=rng(1))]  # fmt: skip
    w = torch.stack(runs)
    short = (1 - w @ Z[:, 0].T).clamp(min=0) / Z[:, 0].norm(dim=1)
    distance = short.square().mean((0, 2)) / size
    for t in (1, 16, 200):
        assert distance[t] <= universal_bound(t)
    assert distance[0] > universal_bound(200)
    # Fejer: |w' - w*|^2 + |w' - w|^2 <= |w - w*|^2 in every step
    apart = (w - star).square().sum(2)
    assert (apart[:, 1:] + w.diff(dim=1).square().sum(2) <= apart[:, :-1] + 1e-12 * size).all()
    # each task is solved right after it was learned
    assert torch.equal(runs[0][0], torch.zeros(d, dtype=F64)) and runs[0].shape == (k + 1, d)
    order = torch.tensor([3, 7, 3])
    after = sequential_max_margin(torch.zeros(d, dtype=F64), Z, order)
    assert all(Z[m, 0] @ after[t + 1] >= 1 - 1e-12 for t, m in enumerate(order.tolist()))
