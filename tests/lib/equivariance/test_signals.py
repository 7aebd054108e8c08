"""Band-limited pictures against sums of waves, and against scipy's resampling."""

import math

import pytest
import torch
from scipy.signal import resample as scipy_resample

from implicitly.equivariance import (
    alias,
    band,
    bandlimit,
    equivariance_error,
    fractional_shift,
    points_needed,
    random_images,
    resample,
    spectrum,
)

F64 = torch.float64


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def wave(n, k, l, s=(0.0, 0.0), m=None):
    """cos 2 pi (k (i - s0) + l (j - s1)) / n, at m points a side."""
    i = torch.arange(m or n, dtype=F64) * n / (m or n)
    return torch.cos(2 * math.pi * (k * (i - s[0])[:, None] + l * (i - s[1])[None]) / n)


@pytest.mark.parametrize("n", [5, 8])
def test_shift_of_waves(n):
    for k, l in ((0, 0), (1, 0), (2, -1), (0, 2)):
        for s in ((0.3, -0.71), (1.5, 2.0), (-7.0, 0.25)):
            moved = fractional_shift(wave(n, k, l), s)
            assert torch.allclose(moved, wave(n, k, l, s), atol=1e-13)


def test_whole_shifts_are_rolls_and_nyquist_is_a_cosine():
    x = torch.randn(2, 6, 6, generator=rng(), dtype=F64)
    assert torch.equal(fractional_shift(x, (2, -1)), x.roll((2, -1), (1, 2)))
    checker = torch.tensor([1.0, -1.0], dtype=F64).repeat(3).expand(6, 6).contiguous()
    assert torch.allclose(fractional_shift(checker, (0, 0.25)), math.cos(math.pi / 4) * checker)


def test_shifts_add_up_and_keep_lengths():
    x = random_images((3, 8, 8), generator=rng())
    twice = fractional_shift(fractional_shift(x, (0.3, 0.2)), (-0.9, 0.5))
    assert torch.allclose(twice, fractional_shift(x, (-0.6, 0.7)), atol=1e-13)
    assert twice.norm().item() == pytest.approx(x.norm().item())


@pytest.mark.parametrize(("n", "m"), [(8, 12), (12, 8), (7, 9), (9, 6), (8, 8)])
def test_resample_of_waves(n, m):
    kept = band(min(n, m))
    assert torch.allclose(resample(wave(n, kept, 1), m), wave(n, kept, 1, m=m), atol=1e-13)
    if band(n) > kept:
        assert resample(wave(n, kept + 1, 0), m).abs().max() < 1e-13


def test_resample_agrees_with_scipy_on_odd_grids():
    """Of an even grid scipy keeps the Nyquist bin, and ours empties it."""
    x = torch.randn(7, 7, generator=rng(), dtype=F64)
    other = scipy_resample(scipy_resample(x.numpy(), 11, axis=0), 11, axis=1)
    assert torch.allclose(resample(x, 11), torch.from_numpy(other), atol=1e-13)
    x = bandlimit(torch.randn(8, 8, generator=rng(), dtype=F64))
    other = scipy_resample(scipy_resample(x.numpy(), 12, axis=0), 12, axis=1)
    assert torch.allclose(resample(x, 12), torch.from_numpy(other), atol=1e-13)


def test_bands_aliases_and_points():
    assert [band(n) for n in (1, 2, 3, 4, 7, 8, 16)] == [0, 0, 1, 1, 3, 3, 7]
    for n in (4, 5, 8):
        for k in range(-20, 20):
            j = alias(k, n)
            assert (k - j) % n == 0 and -n / 2 <= j < n / 2
    assert points_needed(2, 16) == 22 and points_needed(2, 16, kept=8) == 18 and points_needed(2, 4) == 4
    assert points_needed(1, 16) == 16


def test_spectrum_of_a_wave():
    X = spectrum(wave(8, 0, 3)[0])
    assert X.abs().tolist() == pytest.approx([0, 0.5, 0, 0, 0, 0, 0, 0.5], abs=1e-14)
    assert spectrum(torch.ones(5, dtype=F64)).real.tolist() == pytest.approx([0, 0, 1, 0, 0])


def test_float32_is_shifted_in_float64():
    x = random_images((8, 8), generator=rng())
    near = fractional_shift(x.float(), (0.3, 0.7))
    assert near.dtype == torch.float32
    assert torch.equal(near, fractional_shift(x.float().double(), (0.3, 0.7)).float())


def test_error_of_a_layer_that_ignores_its_input():
    x = random_images((2, 4, 4), generator=rng())
    with pytest.raises(ValueError, match="layer must give something other than zero"):
        equivariance_error(torch.zeros_like, x, (0.3, 0.7))
    assert equivariance_error(lambda x: x.mean((-2, -1), keepdim=True), x, (0.3, 0.7)) < 1e-13
