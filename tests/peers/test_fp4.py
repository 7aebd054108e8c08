"""Second opinions on four-bit numbers: ml-dtypes casts to E2M1, gfloat to E2M1 with random bits and in MX blocks."""

import ml_dtypes
import numpy as np
import pytest
import torch

from implicitly import low_precision

gfloat = pytest.importorskip("gfloat", reason="needs gfloat: make test-peers")
formats = pytest.importorskip("gfloat.formats")

F64 = torch.float64
TIES = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0]


def numbers(count=20_000):
    """Random numbers within the grid and beside it, all ties and all levels."""
    x = 2.5 * torch.randn(count, generator=torch.Generator().manual_seed(0))
    special = torch.tensor([*TIES, *low_precision.E2M1, 100.0])
    return torch.cat([x, special, -special])


def on_grid(x, coin=None):
    signed = x.abs().double()
    return torch.copysign(low_precision.round_to_grid(signed, low_precision.E2M1, coin), x.double())


def test_casts_of_ml_dtypes(agrees):
    """The comparison sees ties that are broken upward."""
    x = numbers()
    want = torch.from_numpy(x.numpy().astype(ml_dtypes.float4_e2m1fn).astype(np.float64))
    agrees(claim="fp4-training/C3", peer="ml-dtypes", what="numbers rounded to nearest in E2M1, ties among them",
           measured=(on_grid(x) - want).abs().max(), at_most=0)  # fmt: skip
    up = torch.copysign(low_precision.round_to_grid(x.abs().double() * (1 + 1e-7), low_precision.E2M1), x.double())
    assert not torch.equal(up, want)


def test_coins_of_gfloat(agrees):
    """The same 16 random bits: gfloat rounds up where bits and fraction carry over, ours where the coin is below.

    A number's way to its upper neighbour, in steps of 2^-16, is w. Theirs: w + bits >= 2^16; with the coin
    1 - (bits + 1/2) / 2^16, ours: w > 2^16 - bits - 1/2, which for whole w is the same. The comparison sees the
    coin that is 1 where this one is 0.
    """
    dice = torch.Generator().manual_seed(1)
    step = torch.tensor([0.5, 0.5, 0.5, 0.5, 1.0, 1.0, 2.0], dtype=F64)
    cell = torch.randint(7, (20_000,), generator=dice)
    low = torch.tensor(list(low_precision.E2M1), dtype=F64)[cell]
    x = low + step[cell] * torch.randint(2**16, cell.shape, generator=dice) / 2**16
    bits = torch.randint(2**16, cell.shape, generator=dice)
    want = torch.from_numpy(gfloat.round_ndarray(formats.format_info_ocp_e2m1, x.numpy(), gfloat.RoundMode.Stochastic,
                                                 sat=True, srbits=bits.numpy(), srnumbits=16))  # fmt: skip
    coin = 1 - (bits.double() + 0.5) / 2**16
    agrees(claim="fp4-training/C1", peer="gfloat", what="numbers rounded by the same random bits",
           measured=(on_grid(x, coin) - want).abs().max(), at_most=0)  # fmt: skip
    assert not torch.equal(on_grid(x, 1 - coin), want)


def test_blocks_of_gfloat(agrees):
    """MXFP4 by the standard's rule. The comparison sees the scale rounded up in place of down."""
    x = torch.randn(50, 32, generator=torch.Generator().manual_seed(2)) * torch.logspace(-6, 6, 50)[:, None]
    form = formats.format_info_mxfp4_e2m1
    want = torch.stack([
        torch.from_numpy(np.asarray(gfloat.quantize_block(form, row, gfloat.compute_scale_amax))) for row in x.numpy()
    ])  # fmt: skip
    ours = low_precision.BLOCK_FORMATS["MXFP4"].quantize(x).double()
    agrees(claim="fp4-training/C2", peer="gfloat", what="blocks of MXFP4 by the standard's rule, over their largest",
           measured=((ours - want).abs().amax(1) / x.abs().amax(1)).max(), at_most=0)  # fmt: skip
    assert not torch.equal(low_precision.BLOCK_FORMATS["MXFP4 up"].quantize(x).double(), want)
