"""The page functions of low-bit-accumulators against the kernels that the chapter runs."""

import numpy as np
import pytest
import torch

from implicitly import low_precision
from implicitly.low_precision import pages


def form(M, C):
    """Wide enough for nothing to over- or underflow."""
    return low_precision.Accumulator(M, 6, 20, 20, chunk=C)


@pytest.mark.parametrize(("n", "M", "C"), [
    (1, 3, 1), (17, 3, 1), (300, 3, 4), (10_000, 7, 1), (10_001, 7, 16), (4095, 1, 64), (4097, 5, 7), (513, 12, 3),
])  # fmt: skip
def test_ones_are_added_as_the_kernel_adds_them(n, M, C):
    found = pages.add_ones(n=n, M=M, C=C)
    assert found["end"].tolist() == [[n, low_precision.add_up(torch.ones(1, n), form(M, C)).item()]]
    assert found["share"] == found["end"][0, 1] / n and found["chain"] == low_precision.sequential_additions(n, C)
    steps = low_precision.trace(torch.ones(1, n), torch.ones(1, n), form(M, C))
    kept = form(M, C).sum.quantize(steps.running[0])
    shown = ~np.isnan(found["count"])
    places = found["count"][shown].astype(int)
    assert places[0] == 1 and (places <= n).all() and places[-1] * 2**0.26 + 1 > n
    assert (found["kept"][shown] == kept[places - 1].numpy()).all() and (found["exact"][shown] == places).all()
    for name in ("exact", "kept"):
        assert (np.isnan(found[name]) == ~shown).all()


def test_every_place_is_shown_once():
    count = pages.add_ones(n=pages.MOST, M=23, C=1)["count"]
    assert [round(2 ** (k / 4)) for k in range(pages.COUNTS)] == count.tolist() and count[-1] == pages.MOST


def test_where_it_stalls():
    """A float of M bits stalls at 2**(M + 1) unchunked, at C times that with whole chunks of C."""
    for M, C in ((3, 1), (7, 1), (3, 16), (5, 4)):
        assert pages.add_ones(n=2**14, M=M, C=C)["end"][0, 1] == min(2**14, C * 2 ** (M + 1)), (M, C)
    assert pages.add_ones(n=3, M=23, C=2)["share"] == 1
