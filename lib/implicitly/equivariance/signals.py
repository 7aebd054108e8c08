"""Periodic images that are band-limited: their shifts by any real number of pixels, and the grids they live on.

An image (..., n, n) is a trigonometric polynomial sampled on a periodic grid. Frequencies are whole numbers k with
|k| < n / 2 in each direction; where n is even the bin k = -n / 2 (Nyquist) has no shift by a fraction of a pixel that
is real and invertible, and everything here keeps it empty. Chapter `alias-free-vit`.
"""

import functools
import math
from collections.abc import Callable, Sequence

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from implicitly_kernels import resample_matrix

from .._validate import generator as checked_generator
from .._validate import number, tensor, whole, wholes

__all__ = [
    "alias",
    "band",
    "bandlimit",
    "equivariance_error",
    "fractional_shift",
    "points_needed",
    "random_images",
    "resample",
    "spectrum",
]

FLOATS = (torch.float32, torch.float64)


def image(name: str, x: Tensor, *, dims: int | None = None) -> Tensor:
    """`x` as it is, after checking that it is float32 or float64, finite, of shape (..., n, n) with n >= 1."""
    x = tensor(name, x, dtype=FLOATS)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2] or not x.shape[-1] or (dims is not None and x.ndim != dims):
        wanted = "(..., n, n)" if dims is None else "(" + "".join(f"{c}, " for c in "BC"[: dims - 2]) + "n, n)"
        raise ValueError(f"{name} must have shape {wanted} with n >= 1, found {tuple(x.shape)}")
    return x


def pair(name: str, value: ArrayLike) -> tuple[float, float]:
    """A shift (down, right) in pixels as two floats."""
    value = tensor(name, value, convert=torch.float64, at_least=-1e6, at_most=1e6)
    if value.shape != (2,):
        raise ValueError(f"{name} must hold two numbers, down and right, found shape {tuple(value.shape)}")
    return tuple(value.tolist())


def band(n: int) -> int:
    """The largest frequency that n points hold with the Nyquist bin empty, ``ceil(n / 2) - 1``; n at least 1.

    >>> band(16), band(8), band(5)
    (7, 3, 2)
    """
    return (whole("n", n, at_least=1) + 1) // 2 - 1


def alias(k: int, n: int) -> int:
    """Where frequency k is seen on n points: the number in [-n / 2, n / 2) that differs from k by a multiple of n.

    >>> alias(5, 8), alias(-3, 8), alias(4, 8)
    (-3, -3, -4)
    """
    k, n = whole("k", k), whole("n", n, at_least=1)
    return (k + n // 2) % n - n // 2


def points_needed(degree: int, n: int, *, kept: int | None = None) -> int:
    """Points of the smallest fine grid on which a polynomial of n-point images is exact after the low-pass.

    Args:
        degree: of the polynomial, at least 1.
        n: points of the input, at least 1; its band is ``K = band(n)``.
        kept: points of the output, at most n; left out, n. Its band is ``K'``.

    Returns:
        The larger of n and ``degree K + K' + 1``: aliases of degree K reach down to ``points - degree K``.

    >>> points_needed(2, 16), points_needed(2, 16, kept=8)
    (22, 18)
    """
    degree, n = whole("degree", degree, at_least=1), whole("n", n, at_least=1)
    kept = n if kept is None else whole("kept", kept, at_least=1, at_most=n)
    return max(n, degree * band(n) + band(kept) + 1)


def spectrum(x: Tensor) -> Tensor:
    """Fourier coefficients of the last axis, frequencies in increasing order from ``-(n // 2)``, divided by n; complex.

    Args:
        x: (..., n), float32 or float64, n >= 1.
    """
    x = tensor("x", x, dtype=FLOATS)
    if x.ndim < 1 or not x.shape[-1]:
        raise ValueError(f"x must have shape (..., n) with n >= 1, found {tuple(x.shape)}")
    if not x.numel():
        return torch.complex(x, x)
    return torch.fft.fftshift(torch.fft.fft(x.contiguous(), norm="forward"), dim=-1)


def resample(x: Tensor, size: int) -> Tensor:
    """The same band-limited images on another grid: frequencies below half the smaller grid are kept, others dropped.

    Args:
        x: (..., n, n), float32 or float64.
        size: points a side of the new grid, at least 1.

    Returns:
        (..., size, size), the product ``R x R^T`` with `implicitly_kernels.resample_matrix`.

    >>> resample(torch.ones(2, 2), 4)[0].tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    x, size = image("x", x), whole("size", size, at_least=1, at_most=2**15)
    R = _matrix(x.shape[-1], size, x.dtype).to(x.device)
    return R @ x @ R.mT


@functools.lru_cache(maxsize=64)
def _matrix(n: int, size: int, dtype: torch.dtype) -> Tensor:
    return resample_matrix(n, size, dtype)


def bandlimit(x: Tensor) -> Tensor:
    """Images (..., n, n) with their Nyquist row and column emptied, the same shape; nothing changes where n is odd."""
    return resample(x, image("x", x).shape[-1])


def fractional_shift(x: Tensor, shift: ArrayLike) -> Tensor:
    """Images moved down and right by any real number of pixels, around the edges.

    Args:
        x: (..., n, n), float32 or float64.
        shift: (down, right) in pixels, two numbers, each at most 1e6 in size.

    Returns:
        The same shape. Coefficient ``X[k, l]`` is multiplied by ``exp(-2 pi i (k down + l right) / n)``; on the
        Nyquist row and column, where that would not be real, by the cosine. Whole numbers give ``torch.roll``.

    >>> fractional_shift(torch.eye(3), (1, 1)).round().tolist() == torch.eye(3).roll((1, 1), (0, 1)).tolist()
    True
    """
    x, shift = image("x", x), pair("shift", shift)
    n = x.shape[-1]
    wide = x.to(torch.float64).contiguous()
    if not x.numel():
        return x.clone()
    for axis, s in zip((-2, -1), shift, strict=True):
        if s == round(s):  # exact, and no rounding of a Fourier transform
            wide = wide.roll(int(s), axis)
            continue
        k = torch.fft.rfftfreq(n, 1 / n, dtype=torch.float64, device=x.device)
        turn = torch.exp(-2j * math.pi * k * s / n)
        if n % 2 == 0:
            turn[-1] = math.cos(math.pi * s)
        along = torch.fft.rfft(wide, dim=axis)
        turn = turn[:, None] if axis == -2 else turn
        wide = torch.fft.irfft(along * turn, n, dim=axis)
    return wide.to(x.dtype)


def random_images(shape: Sequence[int], *, generator: torch.Generator) -> Tensor:
    """Gaussian images of unit variance with an empty Nyquist bin, float64.

    Args:
        shape: (..., n, n), at least two whole numbers, n at least 2.
        generator: source of the numbers, on the CPU.
    """
    shape = wholes("shape", shape, least=2, at_least=1, at_most=10**6)
    checked_generator("generator", generator, device="cpu")
    if shape[-1] != shape[-2] or shape[-1] < 2:
        raise ValueError(f"shape must end in two equal sizes of at least 2, found {shape}")
    x = bandlimit(torch.randn(shape, generator=generator, dtype=torch.float64))
    return x / x.square().mean().sqrt()


def equivariance_error(layer: Callable[[Tensor], Tensor], x: Tensor, shift: ArrayLike) -> float:
    """How far a layer is from commuting with a shift: ``|f(shifted x) - shifted f(x)| / |f(x)|``, Euclidean norms.

    Args:
        layer: a function of images; its output (..., m, m) is shifted by m / n of the shift.
        x: (..., n, n), float32 or float64.
        shift: (down, right) in pixels of x.

    Raises:
        ValueError: also where ``f(x)`` is zero, which any shift leaves alone.

    >>> equivariance_error(torch.square, torch.eye(4, dtype=torch.float64), (1, 2))
    0.0
    """
    if not callable(layer):
        raise TypeError(f"layer must be a function, found {type(layer).__name__}")
    x, shift = image("x", x), pair("shift", shift)
    if not x.numel():
        raise ValueError(f"x must hold at least one image, found shape {tuple(x.shape)}")
    y = image("layer(x)", layer(x))
    scale = y.shape[-1] / x.shape[-1]
    size = y.norm().item()
    if not size > 0:
        raise ValueError("layer must give something other than zero, found zeros")
    apart = layer(fractional_shift(x, shift)) - fractional_shift(y, [scale * s for s in shift])
    return number("the error", (apart.norm() / size).item())
