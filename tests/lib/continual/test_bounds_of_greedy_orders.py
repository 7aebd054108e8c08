"""Bounds for greedy orders: never broken by exact values, and broken by what they do not cover."""

import math

import pytest
import torch
from task_families import F64, random_lines, rng

from implicitly.continual import (
    Trap,
    angle_pair,
    best_line_distance,
    cyclic_order,
    equicorrelated_lines,
    fan_tasks,
    greedy_line_bound,
    greedy_repetition_bound,
    greedy_share,
    hybrid_threshold,
    learn,
    line_tasks,
    pair_loss,
    random_orders,
    random_tasks,
    second_moment,
    step_inequality,
    task_distances,
)


def test_greedy_over_lines():
    """L <= 1 / (e T), and the distance left is at most the root of the least possible: not so for the nearest task."""
    largest, broken = 0.0, 0
    for seed in range(30):
        directions, start = random_lines(seed)
        tasks, best = line_tasks(directions, start), math.sqrt(best_line_distance(directions, start))
        greedy, nearest = (learn(tasks, rule=rule) for rule in ("distance", "nearest"))
        size = start.square().sum()
        assert greedy.loss.item() <= greedy_line_bound(7)
        left = (greedy.last.square().sum() / size).item()
        largest = max(largest, left / best)
        broken += (nearest.last.square().sum() / size).item() > best
    assert largest <= 1
    assert broken > 20


def test_the_line_bound_is_near_and_needs_greed():
    for T, stated in ((5, 0.815), (20, 0.951), (100, 0.990)):
        found = learn(equicorrelated_lines(T), rule="distance").loss.item() / greedy_line_bound(T)
        assert found == pytest.approx(stated, abs=6e-4)
    in_order = learn(fan_tasks(100), order=cyclic_order(100, 100)).loss.item()
    assert in_order / greedy_line_bound(100) == pytest.approx(131, abs=0.5)


def repeated():
    for seed in range(4):
        yield random_tasks(10, 20, 1 + 3 * seed, generator=rng(seed))
        near, start = random_lines(seed, 1, 6)
        yield line_tasks(near + 0.1 * torch.randn(12, 6, generator=rng(50 + seed), dtype=F64), start)
        yield random_tasks(60, 60, 1, generator=rng(seed))


def test_greedy_with_repetition():
    """L <= 1.2 k^{-1/3} by three inequalities between the step lengths, each tested."""
    pairs, largest = 0, 0.0
    for tasks in repeated():
        k = 60
        found = learn(tasks, rule="distance", repetition=True, steps=k + 1, record=range(k + 2))
        for t, loss in enumerate(found.loss[0].tolist()):
            assert loss <= greedy_repetition_bound(t)
        # rounding leaves steps of 1e-16 of the start once all tasks are solved
        count = int((found.steps[0] > 1e-24).sum())
        steps = found.steps[:, :count]
        ratio = step_inequality(steps)
        pairs, largest = pairs + count, max(largest, ratio.max().item())
        lengths = steps[0].sqrt()
        t = torch.arange(1, count)
        assert (lengths[-1] <= 2.2 * (count + 1 - t).double() ** (1 / 3) * lengths[:-1]).all()
        back = (lengths / lengths[-1]).flip(0)
        S, Q = back.cumsum(0), back.square().cumsum(0)
        V = Q**2 / (S * (1 + Q / S**2 / 12))
        assert (V.diff() >= -1e-12 * V[:-1]).all()
        n = torch.arange(count)
        assert (math.sqrt(12 / 13) * (1 + 0.655 * n) ** (1 / 3) * (1 - 1e-12) <= Q).all()
    assert pairs > 300 and 0.4 < largest <= 1 + 1e-12
    shuffled = learn(random_tasks(10, 20, 4, generator=rng()),
                     order=random_orders(10, 60, replacement=True, generator=rng(3)))  # fmt: skip
    assert step_inequality(shuffled.steps[:, :20]).max() > 2  # a random order knows no such thing
    for k in (1, 10, 1000, 10**6):
        assert greedy_repetition_bound(k) <= 1.2 * k ** (-1 / 3)
    assert greedy_repetition_bound(119) == pytest.approx(0.243, abs=5e-4)
    assert greedy_repetition_bound(879) > 1 / 8 > greedy_repetition_bound(880)


def test_the_nearest_task_breaks_the_bound_with_repetition():
    """It stays where it is, on the fan at a loss of 0.495: from k = 13 on above the bound."""
    steps = 30
    found = learn(fan_tasks(100), rule="nearest", repetition=True, steps=steps, record=range(steps + 1))
    assert found.loss[0, -1].item() == pytest.approx(0.495, abs=5e-4)
    above = [t for t in range(steps + 1) if found.loss[0, t] > greedy_repetition_bound(t)]
    assert above == list(range(13, steps + 1))
    assert step_inequality(found.steps[:, 1:]).max() <= 1 or found.steps[:, 1:].max() < 1e-30


def test_step_inequality_by_hand():
    steps = torch.tensor([[4.0, 1.0, 0.0]], dtype=F64)
    assert step_inequality(steps).tolist() == [[5 / 2 / (2 * 3), 1 / 2 / 1, 0.0]]
    assert step_inequality(torch.tensor([[0.0, 1.0]], dtype=F64))[0, 0] == math.inf


def test_hybrid_orders():
    assert hybrid_threshold(42, 13.0, 0.5) < 0 < hybrid_threshold(43, 13.0, 0.5)
    for d, kept in ((60, 59), (120, 94), (400, 0)):
        beta = max(hybrid_threshold(d - 1, 13.0, 0.5), 0.0)
        assert greedy_share(Trap(d).run().steps, beta).item() == kept
    # Why it keeps the bound: n long steps, then a random pass over the others.
    for T, C, alpha in ((200, 13.0, 0.5), (1000, 5.0, 0.9), (64, 2.0, 0.6), (5000, 14.0, 1.0)):
        beta = hybrid_threshold(T, C, alpha)
        for n in range(T):
            ahead = C * (T - n) ** (1 - alpha) + n
            assert max(1 - n * beta, 0) * ahead / T <= C * T**-alpha * (1 + 1e-12)
        if alpha < 1:  # a threshold a third lower does not keep it
            assert any((1 - n * beta / 1.5) * (C * (T - n) ** (1 - alpha) + n) / T > C * T**-alpha * (1 + 1e-9)
                       for n in range(T))  # fmt: skip


def test_reduction_to_a_distance():
    """``L_m <= R^2 dist^2``, with equality for orthonormal rows: what carries a bound for distances over to losses."""
    tasks = random_tasks(6, 9, 3, condition=100.0, generator=rng())
    e = torch.randn(50, 9, generator=rng(1), dtype=F64)
    apart = task_distances(e, tasks.basis)
    losses = (e @ torch.stack(tasks.X).mT).square().sum(2).T
    assert (losses <= tasks.R**2 * apart * (1 + 1e-12)).all()
    pair = angle_pair(0.4)
    assert pytest.approx(1, rel=1e-14) == pair.R
    theta = torch.tensor([0.4], dtype=F64)
    assert pair_loss(theta, torch.ones(3, dtype=F64)).item() == pytest.approx(
        second_moment(pair.error, pair.basis, pair.s2, 3).distance[-1].item(), rel=1e-12
    )
