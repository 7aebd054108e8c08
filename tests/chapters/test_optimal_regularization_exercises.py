"""The solutions of the exercises in the chapter optimal-regularization are right; wrong answers do not pass."""

import math

import pytest
import torch
from chapter_cells import Chapter, each_solution

from implicitly import continual

F64 = torch.float64
CELLS = Chapter("optimal-regularization")
test_solution = each_solution(CELLS)


def test_numbers():
    assert math.log(0.5) / math.log(0.9) == pytest.approx(6.6, abs=0.05)
    assert continual.effective_step("ridge", 1.0).item() == 0.5
    product = math.prod((n - 1) / (n + 1) for n in range(2, 12))
    assert product == pytest.approx(2 / (11 * 12)) == pytest.approx(1 / 66)


def test_best_fixed_step():
    """Exercise `best`: near 0.204, and the rule 1 / ln k is within half a per cent."""
    grid = [i / 1000 for i in range(50, 1001)]
    best = min(grid, key=lambda h: continual.universal_bound(100, h))
    assert best == pytest.approx(0.204, abs=0.0015) and 1 / math.log(100) == pytest.approx(0.217, abs=5e-4)


def test_from_where_on_the_bounds_say_something():
    """After C3, C4 and C6: from which k on the bounds stay below 1."""

    def last_empty(bound, start):
        return max((k for k in range(start, 60) if bound(k) >= 1), default=start - 1)

    assert last_empty(lambda k: 4.1 * math.log(k) / k, 3) == 9
    assert last_empty(lambda k: continual.universal_bound(k, 1 / math.log(k)), 3) == 2
    assert last_empty(lambda k: 4 / 3 * math.exp(2.5 * 0.7) / (0.7 * (k + 2)), 1) == 8
    assert last_empty(lambda k: 2 * continual.universal_bound(k - 1, 1 / math.log(k)) + 2 / k, 3) == 9
    growing = CELLS.at_hand("guarantee")["guarantee"]
    assert last_empty(lambda k: growing("increasing", k), 1) == 2


def test_the_odd_task():
    """Exercise `odd`: at small angles the loss grows by 2 (1 - 1 / T) after any number of steps."""
    names = CELLS.at_hand("odd_tasks, expected")
    for T, k in ((10, 1), (10, 7), (4, 2)):
        grown = names["expected"](names["odd_tasks"](T, 1e-4), "none", k) / (math.sin(1e-4) ** 2 / T)
        assert grown == pytest.approx(2 * (1 - 1 / T), rel=1e-6)


def test_a_strength_that_falls_has_surrogates_that_grow():
    """Exercise `why`."""
    s2 = torch.tensor([0.25], dtype=F64)
    firm, loose = (continual.shrink(s2, "ridge", lam) / continual.effective_step("ridge", lam) for lam in (3.0, 0.5))
    assert loose > firm


def test_predict_then_turn():
    """Exercise `turn`: the guarantee is worse without holding on, and the loss better."""
    watch = CELLS.at_hand("watch")["watch"]
    held, free = watch("increasing", 128, 0.7, 0.21), watch("none", 128, 0.7, 0.21)
    assert free["bars"][1] > 2 * held["bars"][1] and free["bars"][0] < 0.9 * held["bars"][0]


def test_below_the_worst_angle():
    """Under the explorer: at angle 0.11 and k = 128 holding on loses less."""
    watch = CELLS.at_hand("watch")["watch"]
    held, free = (watch(way, 128, 0.7, 0.11)["bars"][0] for way in ("increasing", "none"))
    assert held < 0.9 * free


def test_by_hand():
    """The worked example: shares 1/4 and 4/7, 1/4 and 49/64 are kept."""
    s2 = torch.tensor([1.0, 0.25], dtype=F64)
    kept = 1 - continual.shrink(s2, "ridge", 1 / 3), 1 - continual.shrink(s2, "budget", 2, gamma=0.5)
    assert kept[0].tolist() == pytest.approx([1 / 4, 4 / 7]) and kept[1].tolist() == pytest.approx([1 / 4, 49 / 64])


def test_the_sweep_of_the_text_runs():
    """The section At scale shows a call of the library that no cell runs; here it runs, smaller."""
    table = CELLS.sweep(
        ("range(1000)", "range(2)"),
        (', results="holding.jsonl", n_jobs=-1', ", progress=False"),
        ("[64, 256, 1024]", "[4, 8]"),
    )
    assert len(table) == 12 and all(0 < loss < 1 for loss in table["loss"])
