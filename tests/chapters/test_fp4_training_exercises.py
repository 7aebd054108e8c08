"""The solutions of the exercises in the chapter fp4-training are right."""

import math

import pytest
from chapter_cells import Chapter, each_solution

CELLS = Chapter("fp4-training")
test_solution = each_solution(CELLS)


def test_numbers():
    names = CELLS.at_hand("thirteen, fixed_share, low_precision")
    assert names["thirteen"].tolist() == [0, 0, 2, 12]
    assert names["fixed_share"] == pytest.approx(2 / 3)
    assert names["low_precision"].descend(1.0, 0.1, 5).floor == 1


def test_what_vanishes_with_an_exact_scale():
    """Exercise `dead`: the tie at m / 24 goes to 0, what is above stays."""
    import torch

    from implicitly.low_precision import BlockFormat

    block = torch.tensor([24.0, 1.0, math.nextafter(1.0, 2.0) + 1e-6, -0.9])
    assert BlockFormat(4, "exact").quantize(block).tolist() == [24, 0, 2, 0]


def test_independent_coins_average_out_and_nearest_does_not():
    """Exercise `micro`: sixteen coins have a quarter of the error of one; sixteen equal roundings have all of it."""
    import torch

    from implicitly.low_precision import BLOCK_FORMATS

    form = BLOCK_FORMATS["NVFP4 up"]
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    draws = torch.stack([form.quantize(x, rounding="coin", seed=k) for k in range(64)]).double() - x
    one, sixteen = draws.norm(dim=(1, 2)).mean(), draws.reshape(4, 16, 64, 64).mean(1).norm(dim=(1, 2)).mean()
    assert float(one / sixteen) == pytest.approx(4, rel=0.03)
