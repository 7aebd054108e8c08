"""Exact expectations: against enumeration, and against the closed forms of the two-task family."""

import itertools
import math

import pytest
import torch

from implicitly.continual import (
    all_orders,
    angle_pair,
    best_line_distance,
    effective_step,
    fan_tasks,
    line_tasks,
    loss_matrix,
    pair_loss,
    pair_losses,
    random_tasks,
    run_tasks,
    second_moment,
    shuffled_lines,
    step_schedule,
    strength_for,
    task_distances,
    worst_pair,
)

F64 = torch.float64


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


FILTERS = {
    "projection": dict(),
    "ridge": dict(filter="ridge", strength=torch.tensor([0.1, 0.5, 1.0, 3.0], dtype=F64)),
    "budget": dict(filter="budget", strength=torch.tensor([9.0, 4.0, 2.0, 1.0], dtype=F64), gamma=0.9),
}


@pytest.mark.parametrize("kind", FILTERS)
def test_second_moment_is_the_mean_over_all_sequences(kind):
    tasks, k = random_tasks(3, 6, 2, condition=20.0, generator=rng(1)), 4
    order = torch.tensor(list(itertools.product(range(3), repeat=k)))
    found = run_tasks(tasks.error.expand(len(order), -1), tasks.basis, tasks.s2, order=order, record=range(k + 1),
                      **FILTERS[kind])  # fmt: skip
    exact = second_moment(tasks.error, tasks.basis, tasks.s2, k, **FILTERS[kind])
    size = tasks.error.square().sum().item()
    torch.testing.assert_close(exact.loss, found.loss.mean(0), rtol=0, atol=1e-13 * size)
    assert exact.error[-1].item() == pytest.approx(found.last.square().sum(1).mean().item(), abs=1e-13 * size)
    apart = task_distances(found.last, tasks.basis).mean()
    assert exact.distance[-1].item() == pytest.approx(apart.item(), abs=1e-13 * size)
    # The same from any start, by one matrix; the strengths differ from step to step, so their order counts.
    for of, value in (("loss", exact.loss), ("distance", exact.distance)):
        H = loss_matrix(tasks.basis, tasks.s2, k, of=of, **FILTERS[kind])
        assert (tasks.error @ H @ tasks.error).item() == pytest.approx(value[-1].item(), abs=1e-13 * size)


def test_second_moment_keeps_its_dtype():
    tasks = random_tasks(3, 6, 2, generator=rng(1))
    e, basis, s2 = tasks.error / tasks.error.norm(), tasks.basis, tasks.s2
    single = second_moment(e.float(), basis.float(), s2.float(), 9)
    assert single.loss.dtype == torch.float32
    torch.testing.assert_close(single.loss.double(), second_moment(e, basis, s2, 9).loss, rtol=0, atol=1e-6)


def test_two_tasks_in_closed_form():
    theta = torch.tensor([0.05, 0.4, 1.0, math.pi / 2], dtype=F64)
    for k in (1, 2, 5, 40):
        expected = theta.sin() ** 2 * (theta / 2).cos() ** 2 / 2 * ((1 + theta.cos() ** 2) / 2) ** (k - 1)
        torch.testing.assert_close(pair_loss(theta, torch.ones(k, dtype=F64)), expected, rtol=1e-12, atol=1e-16)
    h = step_schedule("increasing", 12, h0=0.7)
    lam = strength_for("ridge", h)
    for angle in theta.tolist():
        pair = angle_pair(angle)
        exact = second_moment(pair.error, pair.basis, pair.s2, 12, filter="ridge", strength=lam).loss[-1].item()
        assert pair_loss(torch.tensor([angle], dtype=F64), h).item() == pytest.approx(exact, rel=1e-12)


def test_worst_angle_of_projections():
    """k times the largest loss: 0.36508, 0.36775, ... tends to 1/e, at angles near sqrt(2 / k)."""
    for k, stated in ((4, 0.36508), (16, 0.36775), (64, 0.36787), (256, 0.36788), (1024, 0.36788)):
        theta, loss = worst_pair(torch.ones(k, dtype=F64))
        assert k * loss == pytest.approx(stated, abs=5e-6)
        assert theta == pytest.approx(math.sqrt(2 / k), rel=1 / k + 0.01)
        nearby = pair_loss(torch.linspace(0.5 * theta, min(1.5 * theta, math.pi / 2), 2001, dtype=F64),
                           torch.ones(k, dtype=F64))  # fmt: skip
        assert nearby.max() <= loss * (1 + 1e-9)


@pytest.mark.parametrize("T", [1, 2, 5, 6])
def test_sums_over_subsets_are_means_over_orders(T):
    directions = torch.randn(T, 3, generator=rng(T), dtype=F64)
    start = torch.randn(3, generator=rng(9), dtype=F64)
    tasks = line_tasks(directions, start)
    order = all_orders(T)
    e = start.expand(len(order), -1)
    size = start.square().sum()
    loss, ahead = shuffled_lines(directions, start)
    found = run_tasks(e, tasks.basis, tasks.s2, order=order)
    assert loss == pytest.approx((found.loss.mean() / size).item(), abs=1e-14)
    # rows are orthonormal: the squared distance from the next task is the squared length of the next step
    torch.testing.assert_close(ahead, found.steps.mean(0) / size, rtol=0, atol=1e-14)
    least = found.last.square().sum(1).min() / size
    assert best_line_distance(directions, start) == pytest.approx(least.item(), rel=1e-9)


def directions_at(angles):
    return torch.stack([angles.cos(), angles.sin()], 1)


def test_fans_shuffled_and_with_replacement():
    """Exact losses: the fan of 10 and 16 lines, 8 + 8 copies of two lines, and draws with replacement."""
    start = torch.tensor([1.0, 0.0], dtype=F64)

    def fan(T):
        return directions_at(torch.arange(1, T + 1, dtype=F64) * (math.pi / (2 * T)))

    assert shuffled_lines(fan(10), start)[0] == pytest.approx(2.99e-3, abs=5e-6)
    assert shuffled_lines(fan(16), start)[0] == pytest.approx(3.3e-4, abs=5e-6)
    two = directions_at(torch.tensor([-0.175] * 8 + [0.175] * 8, dtype=F64))
    assert shuffled_lines(two, start)[0] == pytest.approx(0.0216, abs=5e-5)
    for T, stated, room in ((10, 6.3e-3, 5e-5), (100, 6.8e-16, 5e-18)):
        tasks = fan_tasks(T)
        exact = second_moment(tasks.error, tasks.basis, tasks.s2, T).loss[-1].item()
        assert exact == pytest.approx(stated, abs=room)


def test_worst_angles_of_the_schedules():
    """k times the worst loss for k = 8, 32, 128, 512: only fixed 1 / ln k grows; backwards is worse than increasing."""
    stated = {
        ("none", None): (0.367, 0.368, 0.368, 0.368),
        ("fixed", None): (0.495, 0.740, 0.993, 1.247),
        ("increasing", 0.7): (0.498, 0.529, 0.534, 0.532),
        ("reversed", 0.7): (0.640, 0.756, 0.795, 0.805),
    }
    found = {}
    for (kind, h0), row in stated.items():
        for k, value in zip((8, 32, 128, 512), row, strict=True):
            found[kind, k] = k * worst_pair(step_schedule(kind, k, h0=h0))[1]
            assert found[kind, k] == pytest.approx(value, abs=5.1e-4)
    for k in (8, 32, 128, 512):
        assert found["reversed", k] >= 1.2 * found["increasing", k]
    for k in (32, 128, 512):
        assert 0.15 <= found["fixed", k] / math.log(k) <= 0.30
    assert pytest.approx(8 * worst_pair(step_schedule("increasing", 8, h0=0.3))[1], abs=6e-3) == 1.06
    slope = math.log(found["increasing", 512] / 512 / (found["increasing", 8] / 8)) / math.log(64)
    assert -1.03 < slope < -0.95


def test_ridge_and_budget_with_matched_steps():
    """k E L of increasing regularization by ridge: about 0.09, and by a budget with a small gamma a little more."""
    k, h0 = 60, 0.7
    h = step_schedule("increasing", k, h0=h0)
    gamma = h0 / (k + 1)
    budget = strength_for("budget", h, gamma=gamma)
    # rounding N moves h by half of a last gradient step, gamma R^2 (1 - h), at most
    assert (effective_step("budget", budget, gamma=gamma) - h).abs().max() <= 0.51 * gamma
    for seed in range(3):
        tasks = random_tasks(6, 10, 3, generator=rng(seed))
        at = (tasks.error / tasks.error.norm(), tasks.basis, tasks.s2, k)
        ridge = second_moment(*at, filter="ridge", strength=strength_for("ridge", h)).loss[-1].item()
        steps = second_moment(*at, filter="budget", strength=budget, gamma=gamma).loss[-1].item()
        assert 0.05 < k * ridge < 0.15 and 0.05 < k * steps < 0.2
        assert second_moment(*at).loss[-1].item() < ridge  # on friendly data nothing beats no regularization


def test_the_second_moment_stays_symmetric_over_many_steps():
    """Rounding once left a part that is not symmetric, and that doubled in each step: wrong after fifty."""
    directions = torch.randn(5, 4, generator=rng(2), dtype=F64)
    tasks = line_tasks(directions, torch.randn(4, generator=rng(3), dtype=F64))
    steps = torch.eye(4, dtype=F64) - tasks.basis.mT @ tasks.basis
    M = torch.outer(tasks.error, tasks.error)
    for _ in range(200):
        M = (steps @ M @ steps).mean(0)
    exact = second_moment(tasks.error, tasks.basis, tasks.s2, 200)
    assert exact.error[-1].item() == pytest.approx(M.trace().item(), rel=1e-10)
    H = loss_matrix(tasks.basis, tasks.s2, 200)
    assert torch.equal(H, H.T)
    assert (tasks.error @ H @ tasks.error).item() == pytest.approx(exact.loss[-1].item(), rel=1e-10)


def test_pair_losses_along_the_run():
    theta, steps = torch.tensor([0.2, 0.9, math.pi / 2], dtype=F64), step_schedule("increasing", 7, h0=0.8)
    found = pair_losses(theta, steps)
    assert found.shape == (3, 8)
    for t in range(8):
        assert torch.equal(found[:, t], pair_loss(theta, steps[:t]))
    tasks, strength = angle_pair(0.9), strength_for("ridge", steps)
    exact = second_moment(tasks.error, tasks.basis, tasks.s2, 7, filter="ridge", strength=strength).loss
    torch.testing.assert_close(found[1], exact, rtol=1e-12, atol=1e-15)
    with pytest.raises(ValueError, match="theta"):
        pair_losses(torch.zeros(1, dtype=F64), steps)
