"""The solutions of the exercises in the chapter merging-networks are right; wrong answers do not pass."""

import pytest
from chapter_cells import Chapter, each_solution

CELLS = Chapter("merging-networks")
test_solution = each_solution(CELLS)


def test_numbers():
    names = CELLS.at_hand("twice, entry, spanned, two_features, merging")
    assert names["twice"] == pytest.approx(1.5 * 0.75)
    assert names["entry"] == pytest.approx(1 / 3)
    assert int(names["spanned"]) == 24  # of 40 inputs: the first layer is confined
    assert float(names["merging"].linear_merge(names["two_features"], 1).left) == pytest.approx(4)


def test_any_later_layer_can_be_reached():
    """Exercise `class`: with M = [I, N] and U = [W^-1 W'; 0] layer 2 becomes any W', b'."""
    import torch

    from implicitly import merging

    def dice(k):
        return torch.Generator().manual_seed(k)

    f64 = torch.float64
    a, b = (merging.random_net((6, 5, 5), bias=1.0, generator=dice(k), dtype=f64) for k in (0, 1))
    W, bias = torch.randn(5, 5, generator=dice(2), dtype=f64), torch.randn(5, generator=dice(3), dtype=f64)
    N = torch.outer(bias - a.biases[1], b.biases[1]) / b.biases[1].square().sum()
    M, U = torch.cat([torch.eye(5, dtype=f64), N], 1), torch.cat([torch.linalg.solve(a.weights[1], W), 0 * W])
    found = merging.fold_linear([a.weights[1], b.weights[1]], [a.biases[1], b.biases[1]], M, U)
    assert torch.allclose(found[0], W, atol=1e-10) and torch.allclose(found[1], bias, atol=1e-10)
