"""The collections in which greedy ends badly: that it walks into them, and what it loses there."""

import math

import pytest
import torch

from implicitly.continual import (
    SPACE_TRAP_LIMIT,
    Trap,
    learn,
    random_orders,
    shuffle_after,
    space_trap,
    space_trap_loss,
    trap_bound,
)

F64 = torch.float64


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("d, first, stated, repeated", [
    (30, None, 0.12801, 0.0074), (60, None, 0.12656, 0.0035), (120, 0.0046, 0.12579, 0.0017),
])  # fmt: skip
def test_greedy_walks_into_the_trap(d, first, stated, repeated):
    trap = Trap(d)
    found = trap.run()
    assert found.order.tolist() == [list(range(d - 1))]
    torch.testing.assert_close(found.last[0], trap.path()[-1], rtol=0, atol=1e-13)
    loss = found.loss[0]
    assert loss[-1].item() == pytest.approx(stated, abs=5.1e-6)
    assert loss[-1].item() >= trap_bound(d)
    assert first is None or loss[1].item() == pytest.approx(first, abs=5.1e-5)
    # the distance falls at every step, and from the first task on the loss rises to the end
    assert (found.steps > 0).all()
    assert loss[-1] == loss[1:].max()
    assert trap.run(repetition=True).loss[0, -1].item() == pytest.approx(repeated, abs=5.1e-5)
    orders = random_orders(d - 1, d - 1, replacement=False, runs=15, generator=rng(d))
    assert sum(trap.run(order=order).loss[0, -1].item() for order in orders) / 15 < 0.03


def test_a_large_trap():
    """What a dense collection of 600 tasks in 601 dimensions could not hold; O(d) a step."""
    found = Trap(601).run()
    assert found.order.tolist() == [list(range(600))]
    assert trap_bound(601) <= found.loss[0, -1] < trap_bound(601) + 0.002


@pytest.mark.parametrize("d", [8, 9, 20, 33])
def test_a_step_in_linear_time_is_that_of_the_dense_collection(d):
    trap = Trap(d)
    tasks = trap.tasks()
    assert tasks.ranks.tolist() == list(range(d - 1, 0, -1)) and tasks.T == trap.T == d - 1
    assert pytest.approx(1, rel=1e-14) == tasks.R and tasks.solution.abs().max() < 1e-13
    e = torch.randn(d, generator=rng(d), dtype=F64)
    rows = torch.stack([(x @ e).square().sum() for x in tasks.X])
    torch.testing.assert_close(trap.distances(e), rows, rtol=1e-12, atol=1e-14)
    for m in (0, 1, d // 2, d - 2):
        x = tasks.X[m]
        torch.testing.assert_close(x @ x.T, torch.eye(len(x), dtype=F64), rtol=0, atol=1e-14)
        torch.testing.assert_close(trap.step(e, m), e - x.T @ (x @ e), rtol=0, atol=1e-13)
    for arguments in (dict(), dict(repetition=True, steps=2 * d)):
        fast = trap.run(**arguments)
        for rule in ("distance", "residual"):
            dense = learn(tasks, rule=rule, record=range(fast.loss.shape[1]), **arguments)
            if not arguments:  # once a task is solved, rounding decides among what is left of it
                assert torch.equal(fast.order, dense.order)
                torch.testing.assert_close(fast.last, dense.last, rtol=0, atol=1e-12)
                torch.testing.assert_close(fast.steps, dense.steps, rtol=0, atol=1e-13)
            torch.testing.assert_close(fast.loss[0, : d], dense.loss[0, : d], rtol=0, atol=1e-13)
    order = torch.randperm(d - 1, generator=rng())
    torch.testing.assert_close(trap.run(order=order).loss, learn(tasks, order=order[None], record=range(d)).loss,
                               rtol=0, atol=1e-13)  # fmt: skip


def test_the_path():
    """Each iterate is orthogonal to the move to it, so that the move is a projection; the last keeps 1 / (4 d)."""
    for d in (8, 30, 399):
        path = Trap(d).path()
        moves = path.diff(dim=0)
        assert ((path[1:] * moves).sum(1)).abs().max() < 1e-15 * 10
        assert (path.norm(dim=1).diff() < 0).all()
        assert (path[-1, 1:].square() >= 1 / (4 * d)).all()
        assert torch.equal(path, path.tril())


def test_where_the_path_exists():
    """Its square roots are real from d = 8 on, and for no smaller dimension."""
    for d in range(8, 400):
        Trap(d)
    for d in range(3, 8):
        c, x, real = 2 ** (-1 / d), 1.0, True
        for t in range(2, d + 1):
            square = x * x - 4 * c ** (2 * t - 5) / d * ((t - 1) * c - (t - 2))
            real = real and square >= 0
            x = (x + math.sqrt(max(square, 0))) / 2
        assert not real
        with pytest.raises(ValueError, match=f"d must be at least 8, found {d}"):
            Trap(d)


def test_greedy_for_a_share_of_the_pass():
    """The more of the pass is greedy, the worse it ends: 0, 1/4, 1/2 and all of it, in 120 dimensions."""
    trap = Trap(120)
    greedy = trap.run().order.expand(10, -1)
    means = []
    for share in (0.0, 0.25, 0.5, 1.0):
        keep = torch.full((10,), round(119 * share))
        mixed = shuffle_after(greedy, keep, generator=rng(7))
        means.append(sum(trap.run(order=order).loss[0, -1].item() for order in mixed) / 10)
    assert means[0] < 0.01 < means[1] < 0.025 < means[2] < 0.06 < means[3]
    assert means[3] == pytest.approx(0.1258, abs=5.1e-5)


@pytest.mark.parametrize("K, stated, repeated", [(10, 2.788e-5, 7e-9), (100, 3.117e-5, 1.7e-9)])
def test_the_trap_in_space(K, stated, repeated):
    tasks = space_trap(K)
    assert tasks.T == 4 * K - 1 and tasks.ranks.tolist() == [2] * (2 * K - 1) + [1] * (2 * K)
    for rule in ("distance", "residual"):
        found = learn(tasks, rule=rule, record=[2 * K - 1, tasks.T])
        assert found.loss[0, 1].item() == pytest.approx(stated, abs=5.1e-9) and found.loss[0, 1] > 2.78e-5
        assert (found.order[0, : 2 * K - 1] < 2 * K - 1).all()  # all lines, and then the planes
    again = learn(tasks, rule="distance", repetition=True, steps=tasks.T)
    assert again.loss.item() == pytest.approx(repeated, rel=0.06)


def test_the_loss_in_space_rises_over_the_planes_for_larger_K():
    small, large = (learn(space_trap(K), rule="distance", record=[2 * K - 1, 4 * K - 1]).loss[0] for K in (10, 50))
    torch.testing.assert_close(small, torch.tensor([3.94e-5, 2.79e-5], dtype=F64), rtol=0, atol=5.1e-8)
    torch.testing.assert_close(large, torch.tensor([1.03e-5, 3.09e-5], dtype=F64), rtol=0, atol=5.1e-8)


def test_the_limit_in_space():
    tasks = space_trap(1000)
    assert pytest.approx(3.135e-5, abs=5e-9) == SPACE_TRAP_LIMIT
    assert learn(tasks, rule="distance").loss.item() == pytest.approx(SPACE_TRAP_LIMIT, rel=0.02)
    order = random_orders(tasks.T, tasks.T, replacement=False, runs=30, generator=rng())
    assert learn(tasks, order=order).loss.mean() < 2e-5


def test_bad_input():
    trap = Trap(9)
    with pytest.raises(ValueError, match="repetition and steps must be left out with an order"):
        trap.run(order=torch.tensor([0]), steps=3)
    with pytest.raises(ValueError, match="steps must be at most 8, found 9"):
        trap.run(steps=9)
    with pytest.raises(ValueError, match="m must be at most 7, found 8"):
        trap.step(torch.ones(9, dtype=F64), 8)
    with pytest.raises(ValueError, match="d must be at most 200 for a dense collection"):
        Trap(201).tasks()


@pytest.mark.parametrize("K", [2, 3, 10, 60])
def test_the_loss_in_space_in_closed_form(K):
    assert space_trap_loss(K) == pytest.approx(learn(space_trap(K), rule="distance").loss.item(), rel=1e-10)


def test_the_closed_form_tends_to_the_limit():
    assert space_trap_loss(10**5) == pytest.approx(SPACE_TRAP_LIMIT, rel=1e-5)
    with pytest.raises(ValueError, match="K must be"):
        space_trap_loss(1)
