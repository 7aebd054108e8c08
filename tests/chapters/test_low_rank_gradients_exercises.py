"""The solutions of the exercises in the chapter low-rank-gradients are right; wrong answers do not pass."""

import pytest
import torch
from chapter_cells import Chapter, each_solution

from implicitly import low_rank

CELLS = Chapter("low-rank-gradients")
F64 = torch.float64
test_solution = each_solution(CELLS)


def test_numbers():
    names = CELLS.at_hand("other_error, safe_from, flat_crossing, turned_up")
    assert names["other_error"] == pytest.approx(8)
    assert names["safe_from"] == pytest.approx(3)
    assert 200 * names["flat_crossing"] == pytest.approx(1600)
    before, after = names["turned_up"]
    assert after < before / 2  # the answer hangs on no rounding


def test_flat_spectrum():
    """Exercise `flat`: equal arcs tie, with replacement and Gaussian are above, by what the solution says."""
    m, r = 12, 4
    flat = torch.ones(m, dtype=F64)
    errors = {kind: float(low_rank.expected_error(flat, r, kind)) for kind in low_rank.KINDS}
    assert errors["plumage"] == errors["uniform"] == errors["haar"] == pytest.approx(m * (m / r - 1))
    assert errors["replacement"] - errors["plumage"] == pytest.approx(m * (r - 1) / r)
    assert errors["gaussian"] == pytest.approx(m * (m + 1) / r)


def test_best_arcs_for_a_window():
    """Exercise `window`: with sqrt(q) in place of sigma the summed error is least; moved probabilities are worse."""
    q = torch.tensor([4.0, 2.0, 1.0, 0.5, 0.25], dtype=F64)
    p = low_rank.inclusion_probabilities(q.sqrt(), 2).p
    best = float(low_rank.sampling_error(q, p))
    for seed in range(50):
        shift = 0.01 * torch.randn(5, generator=torch.Generator().manual_seed(seed), dtype=F64)
        moved = p + shift - shift.mean()
        if float(moved.max()) <= 1:
            assert float(low_rank.sampling_error(q, moved)) >= best


def test_a_factor_before_adam_cancels():
    """Exercise `weight`."""
    G = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=F64)
    factor = torch.tensor([[1.0], [3.0], [10.0]], dtype=F64)
    steps = []
    for scale in (torch.ones(3, 1, dtype=F64), factor):
        p = torch.nn.Parameter(torch.zeros(3, 5, dtype=F64))
        adam = torch.optim.Adam([p], lr=0.1, eps=0.0)
        for t in range(4):
            p.grad = scale * (G + t)
            adam.step()
        steps.append(p.detach())
    assert torch.allclose(*steps, rtol=1e-10)
