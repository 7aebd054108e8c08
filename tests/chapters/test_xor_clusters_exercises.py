"""The solutions of the exercises in the chapter xor-clusters are right; wrong answers do not pass."""

import math

import pytest
import torch
from chapter_cells import Chapter, each_solution

# fewer networks
CELLS = Chapter("xor-clusters", {"range(6)": "range(2)"})
test_solution = each_solution(CELLS)


def test_wrong_answers_do_not_pass():
    check = CELLS.at_hand("check_part")["check_part"]
    for wrong in ((0.4, 0.4), (0.5, 0.5), (0.5, 0.99)):
        with pytest.raises(AssertionError):
            check(*wrong)


def test_numbers():
    names = CELLS.at_hand("second, x, y, theta, size_of, N, mu, gain, W5, a5, new_five")
    assert (names["second"] @ names["x"])[:2].tolist() == [-1, 2]
    assert names["theta"][:2].tolist() == [-1, 0]
    found = names["y"] * (names["x"] @ names["theta"])
    assert found.tolist() == pytest.approx([9, 11, 11, 10, 10])
    assert names["size_of"](4 * names["N"], names["mu"] / 2) / names["size_of"](names["N"], names["mu"]) == (
        pytest.approx(0.5, abs=1e-6)
    )
    assert names["gain"] > 0.025, "the answer hangs on no rounding"


def test_who_knows_the_centres_hardly_errs():
    """The text's 10**-200: an error takes |along mu_2| > |along mu_1|, a difference of sqrt(2) noises."""
    assert CELLS.at_hand("mu")["mu"] == 44
    # the tail's upper bound exp(-z^2/2) at z = mu / sqrt(2), for two signs and both lines
    assert math.log10(4) - (44 / math.sqrt(2)) ** 2 / 2 / math.log(10) < -200


def test_the_positive_neurons_say_one():
    """Exercise `pair`: the sum of positive parts is never negative."""
    part = CELLS.solve("ex-xor-clusters-pair")["part"]
    assert part == torch.tensor(0.5, dtype=torch.float64)


def test_the_sweep_of_the_text_runs():
    """The section At scale shows a call of the library that no cell runs; here it runs, smaller."""
    table = CELLS.sweep(
        ("[100, 400, 1600]", "[40]"),
        ("[0.0, 0.15, 0.3]", "[0.15]"),
        ("steps=400, record=[1, 400]", "steps=5, record=[1, 5]"),
        ("range(20)", "range(2)"),
        (', results="xor.jsonl", n_jobs=-1', ", progress=False"),
    )
    assert len(table) == 6 and (table["last"] > 0.4).all()
