"""A second opinion on the low-pass of `alias-free-vit`: scipy resamples by Fourier transforms, ours is a matrix."""

import pytest
import torch
from scipy import signal

from implicitly import equivariance

SIZES = [(8, 20), (9, 12), (12, 24), (16, 7), (24, 9), (15, 5)]


def theirs(x, size):
    return torch.from_numpy(signal.resample(signal.resample(x.numpy(), size, axis=-1), size, axis=-2))


def images(n):
    return equivariance.random_images((5, n, n), generator=torch.Generator().manual_seed(n))


@pytest.mark.parametrize(("n", "size"), SIZES)
def test_the_same_pictures_on_another_grid(n, size, agrees):
    """Up, and down to an odd number of points. The comparison sees a picture without its highest frequency."""
    x = equivariance.bandlimit(images(n))
    worst = (equivariance.resample(x, size) - theirs(x, size)).abs().max() / x.abs().max()
    # Each number is two sums of at most 24 products, each off by 1.1e-16 of the largest entry, on both sides.
    agrees(claim="alias-free-vit/C1", peer="scipy", what="band-limited pictures on another grid", measured=worst,
           at_most=2e-14)  # fmt: skip
    if size > n:
        poorer = equivariance.resample(equivariance.resample(x, n - 2), n)
        assert (equivariance.resample(poorer, size) - theirs(x, size)).abs().max() > 0.01


@pytest.mark.parametrize(("n", "size"), [(16, 8), (24, 12), (12, 4)])
def test_the_frequency_between_the_grids(n, size, differs):
    """Down to an even number of points the two answers differ in its highest frequency, and in nothing else."""
    x = equivariance.bandlimit(images(n))
    ours, other = equivariance.resample(x, size), theirs(x, size)
    torch.testing.assert_close(ours, equivariance.bandlimit(other), rtol=0, atol=1e-13)
    differs(claim="alias-free-vit/C1", peer="scipy", what="pictures on an even, coarser grid",
            measured=(ours - other).abs().max() / x.abs().max(), at_least=0.01,
            reason="scipy keeps the highest frequency of an even grid, which a shift by part of a pixel shrinks; "
                   "the chapter empties it")  # fmt: skip
