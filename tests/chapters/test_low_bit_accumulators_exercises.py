"""The solutions of the exercises in the chapter low-bit-accumulators are right; wrong answers do not pass."""

import pytest
import torch
from chapter_cells import Chapter

CELLS = Chapter("low-bit-accumulators")


def test_every_code_solution_is_here():
    assert list(CELLS.solutions()) == ["ex-low-bit-accumulators-coin"]


def test_a_coin_is_right_on_average():
    """Each addition adds at most a quarter of a squared unit, 8 at most: 60 standard deviations of the mean."""
    names = CELLS.solve("ex-low-bit-accumulators-coin")
    assert abs(names["mean_sum"] - 1000) < 8
    assert 256 < names["sums"].min() < 1000 < names["sums"].max()
    again = names["toss"](torch.full((20_000,), 257.0, dtype=torch.float64), 7, names["dice"](0))
    assert set(again.tolist()) == {256, 258} and abs(again.mean() - 257) < 0.05


def test_numbers():
    names = CELLS.at_hand("upward, in_a_row, everything, two_down, heard, low_precision")
    assert names["upward"] == 10 and names["in_a_row"] == 128 and names["everything"] == 25
    assert names["low_precision"].stagnation(7, 16) == 4096
    assert names["two_down"] < 0.2
    assert names["heard"].tolist() == [[0, 0, 0, 1, 1]]


def test_why_change_is_not_recursive():
    """The solution's three terms: 16, 1, -2 and, one unit more at the start, 18, 1, -2."""
    low_precision = CELLS.at_hand("low_precision")["low_precision"]
    narrow = low_precision.Accumulator(3, 6, 20, 20, chunk=3)
    terms = torch.tensor([[16.0, 1, -2], [18, 1, -2]])
    t = low_precision.trace(terms, torch.ones(2, 3), narrow)
    assert t.running.tolist() == [[16, 16, 14], [18, 18, 16]] and t.swamped[:, 1].all()
    leaf = terms[:1].clone().requires_grad_()
    low_precision.matmul(leaf, torch.ones(1, 3), narrow, gradient="immediate-change").sum().backward()
    assert leaf.grad.tolist() == [[1, 0, 1]]


@pytest.mark.parametrize("chunk, total", [(16, 4096), (3, 512), (1, 256)])
def test_where_ones_stop(chunk, total):
    low_precision = CELLS.at_hand("low_precision")["low_precision"]
    narrow = low_precision.Accumulator(7, 6, 20, 20, chunk=chunk)
    assert low_precision.add_up(torch.ones(1, 12_288), narrow).item() == total
