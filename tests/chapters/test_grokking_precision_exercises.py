"""The solutions of the exercises in the chapter grokking-precision are right; wrong answers do not pass."""

import math

import pytest
import torch
from chapter_cells import Chapter, each_solution

from implicitly import grokking

CELLS = Chapter("grokking-precision", {"range(3), at=marks": "range(1), at=[10]"})
test_solution = each_solution(CELLS)


def test_wrong_answers_do_not_pass():
    check = CELLS.at_hand("check_mended")["check_mended"]

    def as_it_was(z, y, p):
        return grokking.softmax_forces(z, y, p)

    def not_rounded(z, y, p):
        return grokking.softmax_forces(z, y, own="sum")

    for wrong in (as_it_was, not_rounded):
        with pytest.raises(AssertionError):
            check(wrong)


def test_the_example_by_hand():
    """bfloat16: e^-6 is lost beside 1 and beside 3, and kept alone."""
    small = torch.tensor(math.exp(-6), dtype=torch.bfloat16)
    for start in (1.0, 3.0):
        assert float(torch.tensor(start, dtype=torch.bfloat16) + small) == start
    F = grokking.softmax_forces(torch.tensor([[6.0, 0.0]], dtype=torch.float64), torch.tensor([0]), 8)[0]
    assert F[0] == 0
    assert float(F[1]) == pytest.approx(math.exp(-6), rel=2**-8)


def test_numbers():
    assert grokking.collapse_margin(11) == pytest.approx(7.62, abs=0.01)
    # the constants of the proof of C2, at p = 4
    assert (3 + 1 / 16) * (1 + 1 / 16) ** 4 < 4


def test_the_norm_never_falls_under_perp_grad():
    dice = torch.Generator().manual_seed(0)
    W, g = torch.randn(2, 5, 3, generator=dice, dtype=torch.float64)
    g = g - (g * W).sum() / (W * W).sum() * W
    assert float((W - 0.3 * g).square().sum()) == pytest.approx(float(W.square().sum() + 0.09 * g.square().sum()))


def test_the_sweep_of_the_text_runs():
    """The section At scale shows a call of the library that no cell runs; here it runs, smaller."""
    table = CELLS.sweep(
        ("97, 256, share=0.5, rate=0.001, seeds=[seed], at=[100_000]", "5, 8, rate=0.01, seeds=[seed], at=[20]"),
        ("range(10)", "range(2)"),
        (', results="addition.jsonl", n_jobs=-1', ", progress=False"),
    )
    assert len(table) == 12
