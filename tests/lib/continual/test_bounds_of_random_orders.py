"""Bounds for random and shuffled orders: never broken by exact values, and broken by what they do not cover."""

import math

import pytest
import torch
from task_families import F64, at_angles, families, rng

from implicitly.continual import (
    all_orders,
    cyclic_order,
    dimension_bound,
    fan_tasks,
    forgetting,
    forgetting_bound,
    learn,
    line_tasks,
    loss_matrix,
    random_tasks,
    rank_bound,
    root_dimension_bound,
    run_tasks,
    second_moment,
    shuffled_bound,
    shuffled_lines,
    universal_bound,
    worst_pair,
)


def test_universal_bound_is_its_product():
    for h in (0.05, 0.35, 1.0, 1.5):
        product = 1 / (h * (2 - h))
        for k in range(60):
            assert universal_bound(k, h) == pytest.approx(product, rel=1e-12)
            n = k + 1
            product /= 1 + (1 - h / 2) / (h + 2 * n / (2 - h))
    assert universal_bound(0) == 1
    front = math.gamma(7 / 4) / math.gamma(3 / 2)
    assert front == pytest.approx(1.037, abs=5e-4)
    for k in (10**5, 10**6 - 1, 10**6, 10**9, 10**15):  # the two ways to compute it meet
        assert universal_bound(k) == pytest.approx(front * k**-0.25, rel=1 / k + 1e-9)
    slope = math.log(universal_bound(20_000) / universal_bound(5000)) / math.log(4)
    assert slope == pytest.approx(-0.25, abs=1e-4)
    for h in (0.2, 1.5):
        slope = math.log(universal_bound(10**9, h) / universal_bound(10**8, h)) / math.log(10)
        assert slope == pytest.approx(-((1 - h / 2) ** 2), abs=1e-6)


@pytest.mark.parametrize("h", [0.2, 1.0, 1.5])
def test_the_two_ways_to_compute_the_universal_bound_meet(h):
    """From 10^6 on by Stirling's series, whose term in 1 / k is 30 times what is allowed here."""
    n = 10**6
    factor = 1 + (1 - h / 2) / (h + 2 * n / (2 - h))
    # logarithms of Gamma are 1.3e7 before this step: four roundings of 2e-9
    assert universal_bound(n - 1, h) / universal_bound(n, h) == pytest.approx(factor, abs=1e-8)


def with_replacement(k, tasks):
    codimension = tasks.d - tasks.mean_rank
    bounds = [universal_bound(k), dimension_bound(k, codimension), rank_bound(k, tasks.T, tasks.mean_rank)]
    return bounds + ([root_dimension_bound(k, codimension)] if k >= 2 else [])


@pytest.mark.parametrize("seed", range(3))
def test_with_replacement_no_start_breaks_a_bound(seed):
    """The largest eigenvalue of `loss_matrix` is the mean squared distance from the worst start."""
    worst = 0.0
    for tasks in families(seed):
        for k in (1, 2, 3, 5, 9, 17, 33, 60):
            H = loss_matrix(tasks.basis, tasks.s2, k, of="distance")
            value = torch.linalg.eigvalsh(H)[-1].item()
            ratios = [value / bound for bound in with_replacement(k, tasks)]
            worst = max(worst, *ratios)
            assert max(ratios) <= 1 + 1e-12
            e = tasks.error / tasks.error.norm()
            assert second_moment(e, tasks.basis, tasks.s2, k).loss[-1] <= min(with_replacement(k, tasks)) * tasks.R**2
    assert worst > 0.15  # they are bounds of this, and not of something a hundred times smaller


def test_two_lines_nearly_attain_the_root_dimension_bound():
    """With the angle tuned to k the room is 2 per cent from k = 60; steps of 0.7 instead of 1 break it at k = 16."""
    for k in (16, 60, 256):
        bound = root_dimension_bound(k, 1.0)
        loss = worst_pair(torch.ones(k, dtype=F64))[1]
        assert loss <= bound
        assert bound / loss <= 1 + 1.1 / (k - 1)
    assert worst_pair(torch.full((16,), 0.7, dtype=F64))[1] > root_dimension_bound(16, 1.0)
    assert worst_pair(torch.full((200,), 0.9, dtype=F64))[1] > root_dimension_bound(200, 1.0)


@pytest.mark.parametrize("h", [0.2, 0.5, 1.0, 1.5])
def test_the_inequality_behind_the_universal_bound(h):
    """``n S_n <= (...) E f(w_{k-n})`` for suffix means, from every iterate: (4n + 2) for projections."""
    largest = 0.0
    for seed in range(4):
        lines = at_angles(0.05 * torch.randn(7, generator=rng(seed), dtype=F64))
        across = torch.stack([-lines[:, 1], lines[:, 0]], 1)
        M = torch.outer(*[at_angles([0.4])[0]] * 2)
        values = []
        for _ in range(41):
            values.append((across @ M * across).sum().item() / 7)
            steps = torch.eye(2, dtype=F64) - h * across[:, :, None] * across[:, None]
            M = (steps @ M @ steps).mean(0)
        for last in range(1, 41):
            for n in range(1, last + 1):
                suffix = sum(values[last - n + 1 : last + 1])
                # from the step inequality with c = 2 / (2 - h): a_t U_n <= (h + 2n / (2 - h)) f, U_{n+1} = U_n + f
                largest = max(largest, (1 - h / 2) * suffix / ((h + 2 * n / (2 - h)) * values[last - n]))
    assert 0.05 < largest <= 1
    if h == 1.0:  # the same in its plain form: (1/2) n S_n <= (1 + 2n) f
        assert largest < 0.75


def test_the_mean_loss_need_not_fall():
    """T - 1 tasks that the start solves, and one line at an angle: the mean loss nearly doubles in a step."""
    angles = [0.0] * 60 + [0.3]
    tasks = line_tasks(at_angles(angles), at_angles([0.0])[0])
    distance = second_moment(tasks.start, tasks.basis, tasks.s2, 1).distance
    expected = (1 - 1 / 61) * (1 + math.cos(0.3) ** 2)
    assert (distance[1] / distance[0]).item() == pytest.approx(expected, rel=1e-10)
    assert expected > 1.8


def test_one_shuffled_pass():
    """16 lines in the plane, exactly: within the bound, and the fan in order is not."""
    bound = shuffled_bound(16, 1.0)
    assert bound == pytest.approx(2 / 15 + 2 / 16)
    angles = torch.arange(1, 17, dtype=F64) * (math.pi / 32)
    for lines, start in ((angles, 0.0), (torch.tensor([-0.175] * 8 + [0.175] * 8, dtype=F64), 0.0)):
        loss, ahead = shuffled_lines(at_angles(lines), at_angles([start])[0])
        assert loss <= bound
        for t, value in enumerate(ahead.tolist()):
            assert value <= universal_bound(t)
            assert t == 0 or value <= dimension_bound(t, 1.0)
    assert learn(fan_tasks(16), order=cyclic_order(16, 16)).loss.item() == pytest.approx(0.40, abs=5e-3)
    assert learn(fan_tasks(16), order=cyclic_order(16, 16)).loss.item() > bound
    assert shuffled_bound(25) >= 1 > shuffled_bound(26)  # empty for fewer tasks: no loss exceeds 1
    for T, stated in ((10, 0.351), (100, 0.483), (1000, 0.498)):
        found = learn(fan_tasks(T), order=cyclic_order(T, T)).loss.item()
        assert found == pytest.approx(stated, abs=5e-4)
        aside = (torch.arange(1, T + 1, dtype=F64) * (math.pi / (2 * T))).cos().square().mean().item()
        assert found == pytest.approx(math.cos(math.pi / (2 * T)) ** (2 * T) * aside, rel=1e-9)


def test_shuffled_and_forgetting_on_general_ranks():
    """All orders of few tasks, and all sequences with replacement; also with d - r below 1, where 2 / k shrinks."""
    for d, r in ((10, 3), (3, 2), (4, 4)):
        for seed in range(3):
            tasks = random_tasks(5, d, r, generator=rng(seed))
            if (d, r) == (4, 4):  # one task of rank 3 among four of full rank: d - r = 1/5
                tasks = type(tasks)([tasks.X[0][:3], *tasks.X[1:]], [tasks.y[0][:3], *tasks.y[1:]])
            codimension, size = tasks.d - tasks.mean_rank, tasks.R**2 * tasks.error.square().sum()
            order = all_orders(5)
            found = learn(tasks, order=order)
            assert found.loss.mean() <= shuffled_bound(5, codimension)
            for t, value in enumerate(found.steps.mean(0).tolist()):
                assert value <= universal_bound(t) and (t == 0 or value <= dimension_bound(t, codimension) + 1e-15)
            for k in range(1, 6):
                for replacement in (False, True):
                    order = (torch.cartesian_prod(*[torch.arange(5)] * k).reshape(-1, k) if replacement
                             else all_orders(5)[:, :k])  # fmt: skip
                    e = run_tasks(tasks.error.expand(len(order), -1), tasks.basis, tasks.s2, order=order).last
                    mean = forgetting(e, tasks.basis, tasks.s2, order).mean() / size
                    bound = forgetting_bound(k, codimension, replacement=replacement, T=5, mean_rank=tasks.mean_rank)
                    assert mean <= bound + 1e-15
    # Each of the bounds in turn is the least.
    assert forgetting_bound(1, 4.0, replacement=True) == 4
    assert forgetting_bound(2, 1e9, replacement=True) == pytest.approx(2 * 6 / 7 + 1)
    assert forgetting_bound(10, 4.0, replacement=True) == pytest.approx(2 * 2 / (8 * math.e) + 0.2)
    assert forgetting_bound(10, 4.0, replacement=True, T=1, mean_rank=2.0) == pytest.approx(
        2 * math.sqrt(2) / (9 * math.e) + 0.2)  # fmt: skip
    assert forgetting_bound(10, 4.0, replacement=False, T=10, mean_rank=0.1) == pytest.approx(2 * 4 / 9 + 0.2)
    assert forgetting_bound(10, 0.2, replacement=False, T=10) == pytest.approx(2 * 0.2 / 9 + 0.06)
    assert forgetting_bound(10, 0.9, replacement=False, T=10) == pytest.approx(2 * 0.9 / 9 + 0.2)
    # Each from the first step at which it says something.
    assert forgetting_bound(2, 0.2, replacement=True) == pytest.approx(2 * 0.2 + 0.3)
    few = forgetting_bound(2, 4.0, replacement=True, T=1, mean_rank=2.0)
    assert few == pytest.approx(2 * math.sqrt(2) / math.e + 1)
    assert forgetting_bound(3, 1.0, replacement=True) == pytest.approx(2 / math.e + 2 / 3)
    with pytest.raises(ValueError, match="k must be at most T = 4 without replacement, found 5"):
        forgetting_bound(5, 1.0, replacement=False, T=4)
