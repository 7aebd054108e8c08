"""Bounds with fixed and increasing regularization: never broken by exact values; their schedules, the lower bound."""

import math

import pytest
import torch
from task_families import F64, families

from implicitly.continual import (
    increasing_bound,
    lower_bound,
    orthogonal_tasks,
    second_moment,
    step_schedule,
    strength_for,
    universal_bound,
    worst_pair,
)


def test_fixed_and_increasing_regularization():
    for seed in range(3):
        for tasks in families(seed):
            e = tasks.error / tasks.error.norm()
            for k in (10, 30):
                for kind, h0 in (("fixed", None), ("increasing", 0.3), ("increasing", 0.7)):
                    h = step_schedule(kind, k, h0=h0)
                    strength = strength_for("ridge", h, R=tasks.R)
                    loss = second_moment(e, tasks.basis, tasks.s2, k, filter="ridge", strength=strength).loss[-1].item()
                    bound = universal_bound(k, h[0].item()) if kind == "fixed" else increasing_bound(h, h0 / (k + 1))
                    assert loss <= bound * tasks.R**2
    for k in (8, 32, 128):
        h = step_schedule("fixed", k)
        assert worst_pair(h)[1] <= universal_bound(k, h[0].item())
        assert worst_pair(step_schedule("increasing", k, h0=0.7))[1] <= increasing(k, 0.7)


def increasing(k, h0):
    return increasing_bound(step_schedule("increasing", k, h0=h0), h0 / (k + 1))


def backwards(k, h0):
    """The formula on the whole sequence in reverse, its virtual step included."""
    h = torch.cat([step_schedule("increasing", k, h0=h0), torch.tensor([h0 / (k + 1)], dtype=F64)]).flip(0)
    return increasing_bound(h[:-1], h[-1].item())


def test_numbers_of_the_guarantees():
    """k times the guarantee: flat if regularization increases, and growing otherwise."""
    for k, stated in ((10, 5.7), (100, 32.7), (1000, 184), (10**4, 1037)):
        assert k * universal_bound(k) == pytest.approx(stated, abs=0.5 if stated > 100 else 0.05)
    for k, stated in ((10, 1.60), (100, 1.55), (1000, 1.50), (10**4, 1.47)):
        assert k * universal_bound(k, 1 / math.log(k)) / math.log(k) == pytest.approx(stated, abs=5.1e-3)
    rows = ((8, 3.4, 4.1, 4.1), (32, 5.6, 4.5, 9.7), (128, 8.9, 4.4, 21.9), (512, 13.9, 4.3, 49.0))
    for k, fixed, forth, back in rows:
        assert k * universal_bound(k, 0.35) == pytest.approx(fixed, abs=0.05)
        assert k * increasing(k, 0.7) == pytest.approx(forth, abs=0.05)
        assert k * backwards(k, 0.7) == pytest.approx(back, abs=0.05)
    for k in (10, 28, 100, 1000, 10**4):
        assert 4.2 <= k * increasing(k, 0.7) <= 4.6
    assert all(k * backwards(k, 0.7) > 4.6 for k in (32, 128, 512))
    assert 10**4 * increasing(10**4, 0.3) == pytest.approx(5.4, abs=0.05)
    # fixed strength, tuned for k = 100, and 1 / ln k
    grid = torch.linspace(0.15, 0.3, 1501, dtype=F64).tolist()
    best = min(grid, key=lambda h: universal_bound(100, h))
    assert best == pytest.approx(0.204, abs=1e-3) and universal_bound(100, best) == pytest.approx(0.07120, abs=5e-6)
    assert universal_bound(100, 1 / math.log(100)) == pytest.approx(0.07132, abs=1e-5)


def test_increasing_bound_is_its_formula():
    h, last = torch.tensor([0.7, 0.4, 0.2], dtype=F64), 0.1
    all_h = [*h.tolist(), last]
    a, b = [x * (1 - x / 2) for x in all_h], [x / (1 - x / 2) for x in all_h]
    expected = 1 / (2 * a[3]) * math.prod(1 - a[s] / sum(b[s:]) for s in range(3))
    assert increasing_bound(h, last) == pytest.approx(expected, rel=1e-14)
    # no steps: what smoothness alone gives, up to the factor of the virtual step
    assert increasing_bound(h[:0], 1.0) == pytest.approx(1.0)


def test_a_schedule_in_its_strengths():
    """lam_t = (13/3)(k + 1) / (k - t + 2), t = 1..k, with its virtual lam_{k+1}: (k + 1) I stays below 7.1."""

    def scaled(k):
        lam = 13 / 3 * (k + 1) / (k + 2 - torch.arange(1, k + 2, dtype=F64))
        h = 1 / (1 + lam)
        return (k + 1) * increasing_bound(h[:-1], h[-1].item())

    for k, stated, room in ((1, 4.7, 0.05), (10, 6.9, 0.05), (40, 7.026, 5e-4), (100, 7.01, 5e-3), (1000, 6.96, 5e-3),
                            (10**5, 6.94, 5e-3)):  # fmt: skip
        assert scaled(k) == pytest.approx(stated, abs=room)
    assert max(range(1, 120), key=scaled) == 40


def test_lower_bound_is_attained_without_regularization():
    for k in (1, 2, 8, 32, 128):
        tasks = orthogonal_tasks(k)
        at = (tasks.error, tasks.basis, tasks.s2, k)
        assert second_moment(*at).loss[-1].item() == pytest.approx(lower_bound(k), rel=1e-11, abs=1e-30)
        for kind, h0 in (("fixed", None), ("increasing", 0.7), ("reversed", 0.7)):
            strength = strength_for("ridge", step_schedule(kind, k, h0=h0))
            assert second_moment(*at, filter="ridge", strength=strength).loss[-1].item() >= lower_bound(k) * (1 - 1e-11)
    assert lower_bound(2) == 1 / 8 and 10**6 * lower_bound(10**6) == pytest.approx(1 / math.e, rel=1e-6)
    for k, stated in ((8, 0.511), (32, 0.564), (128, 0.579), (512, 0.583)):
        tasks, h = orthogonal_tasks(8), step_schedule("increasing", k, h0=0.7)
        # T = k orthogonal tasks in closed form: each coordinate shrinks by (1 - h) with probability 1 / k
        product = math.prod(1 - (1 - (1 - x) ** 2) / k for x in h.tolist())
        assert product == pytest.approx(stated, abs=5e-4)
    strength = strength_for("ridge", step_schedule("increasing", 8, h0=0.7))
    found = second_moment(tasks.error, tasks.basis, tasks.s2, 8, filter="ridge", strength=strength).loss[-1].item()
    assert 8 * found == pytest.approx(0.511, abs=5e-4)
