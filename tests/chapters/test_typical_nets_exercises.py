"""The solutions of the exercises in the chapter typical-nets are right; wrong answers do not pass."""

import math

import pytest
import torch
from chapter_cells import Chapter, each_solution

from implicitly import interpolators
from implicitly.interpolators import FunctionLaw
from implicitly.interpolators.width_pages import first_fit

CELLS = Chapter("typical-nets")
test_solution = each_solution(CELLS)


def test_numbers():
    """The numbers in the folded solutions, against the values that the page compares with."""
    names = CELLS.at_hand("fitting, at, enough, two_left, wide_copy, dearer, more_copies, state")
    assert names["enough"] == 254
    assert (len(names["fitting"]), int(names["fitting"][:, names["at"][0]].sum())) == (3, 1)
    assert names["two_left"] == pytest.approx(0.5 * 0.25 * 0.75**4)
    copy, fixed = names["wide_copy"], 9 * math.log2(3) + 1
    assert copy == pytest.approx(fixed + 31 * math.log2(1.5) - 5)
    assert [round(v, 2) for v in (fixed, math.log2(1.5))] == [15.26, 0.58] and round(copy, 1) == 28.4
    six_more = 6 * math.log2(3) + 1 - math.log2(1.5) - math.log2(28 / 8)
    assert names["more_copies"] == pytest.approx(six_more)
    assert names["dearer"] < names["more_copies"] - 0.5
    assert [round(2**b / 1e9 / s) for b, s in ((20, 1e-3), (40, 60), (60, 31_557_600))] == [1, 18, 37]


def test_the_twenty_seven_networks():
    """The numbers worked out by hand, against an enumeration."""
    law = interpolators.function_law(interpolators.relu_units(interpolators.cube(1)), 1)
    counts = dict(zip(map(tuple, law.tables.int().tolist()), law.counts.tolist(), strict=True))
    assert counts == {(0, 0): 22, (0, 1): 2, (1, 0): 2, (1, 1): 1}
    curve = interpolators.learning_curve(law, torch.tensor([False, True]), (0, 1))
    assert [round(v, 3) for v in (math.log2(27 / 2), math.log2(9), math.log2(27 / 24))] == [3.755, 3.17, 0.17]
    assert round(float(curve.bits[1]), 2) == 1.67
    assert float(curve.error[1]) == pytest.approx((1 / 6 + 11 / 24) / 2) == 5 / 16
    assert float(curve.surprise[1]) == pytest.approx((1 / 3 + 22 / 24) / 2) == 0.625


def test_a_prior_over_linear_functions():
    """The exercise "Is it tight?", for three bits: the uniform prior over all eight linear functions."""
    x = torch.arange(1, 8)[:, None] >> torch.arange(3) & 1
    linear = torch.stack([(x @ (torch.tensor(a) >> torch.arange(3) & 1)) % 2 == 1 for a in range(8)])
    law = FunctionLaw(linear, torch.ones(8, dtype=torch.int64), 8)
    curve = interpolators.learning_curve(law, linear[3], range(8))
    n = torch.arange(8, dtype=torch.float64)
    assert (curve.bits <= n + 1e-12).all() and (curve.error >= 0.5 * (1 - 2 ** (n - 3)) - 1e-12).all()
    assert 4 * 14 * math.log(2) / 13 < 3 < 4 * 13 * math.log(2) / 12


def test_without_zero():
    names = CELLS.solve("ex-typical-levels")
    assert (len(names["words"][1]), len(names["words"][3])) == (17, 244)
    assert torch.isin(names["words"][1], names["words"][3]).all()
    assert round(names["share"], 2) == 0.53


def test_what_the_text_says_of_its_figures():
    names = CELLS.at_hand("exact, fewest, trained, runs, state")
    for kind, of_kind in names["exact"].items():  # the groups do not overlap
        law = of_kind[3]
        need = torch.tensor([names["fewest"][kind][w] for w in interpolators.pack_tables(law.tables).tolist()])
        bits = -law.probabilities.log2()
        assert all(bits[need == k].max() < bits[need == k + 1].min() for k in (1, 2))
    trained = names["trained"]
    typical = {h: names["runs"]["SFC", h].errors.mean(0) for h in (2, 8, 32)}
    assert trained[2, 16][1] < 0.5 and all(trained[2, n][0] > typical[2][n] for n in (16, 32, 64))
    assert all(trained[h, n][0] < typical[h][n] for h, n in ((8, 8), (8, 16), (8, 32), (8, 64), (32, 8), (32, 16)))
    assert all(trained[32, n][0] <= trained[8, n][0] for n in (8, 16, 32, 64))
    cost = names["state"]("AND", "SFC", 8)["cost"]
    assert (cost.diff() < 1).all()
    prices = [names["state"]("AND", "SFC", h)["price"] for h in (8, 16, 32)]
    assert prices[0] < prices[1] < prices[2] < prices[0] + 1.5 < names["state"]("XNOR", "SFC", 8)["price"] - 5
    assert math.isnan(names["state"]("XNOR", "SFC", 32)["price"])
    for seed in range(3):
        for h, most in ((2, "AND"), (32, "majority of 3")):
            needed = {rule: first_fit(teacher=rule, h=h, guesses=300_000, seed=seed)["needed"]
                      for rule in ("AND", "one input", "majority of 3")}  # fmt: skip
            assert needed.pop(most) > max(needed.values())
