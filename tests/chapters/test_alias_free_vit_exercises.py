"""The solutions of the exercises in the chapter alias-free-vit are right; wrong answers do not pass."""

import math

import pytest
import torch
from chapter_cells import Chapter

from implicitly import equivariance

F64 = torch.float64
CELLS = Chapter("alias-free-vit", {"part[:100]": "part[:20]"})


def test_every_code_solution_is_here():
    assert sorted(CELLS.solutions()) == ["ex-alias-free-vit-blind"]


def test_blind():
    CELLS.solve("ex-alias-free-vit-blind")


def test_numbers():
    names = CELLS.at_hand("safe, zeros, pair, nothing")
    assert equivariance.alias(7, 4) == -1
    assert 2 * names["safe"] == 8
    assert names["zeros"] == 5
    assert equivariance.token_norm(names["pair"])[0, 0].item() == pytest.approx(1, abs=1e-6)
    assert names["nothing"].spread < 1e-12


def test_cubic():
    """Twice the grid is enough on any grid, and three halves are not on some."""
    assert all(equivariance.points_needed(3, n) <= 2 * n for n in range(1, 200))
    assert equivariance.points_needed(3, 16) > 1.5 * 16


def test_the_numbers_by_hand():
    wave = torch.cos(2 * math.pi * 3 * torch.arange(8, dtype=F64) / 8)
    assert wave[::2].tolist() == pytest.approx([1, 0, -1, 0], abs=1e-12)
    assert wave.roll(1)[::2].tolist() == pytest.approx([-0.71, -0.71, 0.71, 0.71], abs=0.005)
    slow = equivariance.fractional_shift(wave[::2].expand(4, 4).contiguous(), (0, 0.5))[0]
    assert slow.tolist() == pytest.approx([0.71, 0.71, -0.71, -0.71], abs=0.005)


def test_half_a_token_is_a_permutation_of_the_negative():
    """In the proof of C4."""
    names = CELLS.at_hand("three, half_on")
    half = names["half_on"][0, 0, :, 0]
    assert half.tolist() == pytest.approx([0.5, 0.5, -1.0])
    assert sorted(half.tolist()) == pytest.approx(sorted((-names["three"]).tolist()))


def test_period_of_one_activated_grid():
    """Exercise `period`: a shift by 1 / r changes nothing, one by half of that does."""
    x = equivariance.random_images((2, 1, 8, 8), generator=torch.Generator().manual_seed(0))

    def logit(s):
        moved = equivariance.fractional_shift(x, (0.0, s))
        y = equivariance.activate(moved, "relu", factor=1.5)
        return equivariance.activate(y, "poly", coefficients=torch.ones(3, dtype=F64)).mean((2, 3))

    assert torch.allclose(logit(0.1), logit(0.1 + 2 / 3), atol=1e-13)
    assert not torch.allclose(logit(0.1), logit(0.1 + 1 / 3), atol=1e-6)


def test_operations_a_byte():
    assert 24 * 16**3 / (8 * 16**2) == 48
