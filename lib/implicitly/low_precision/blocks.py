"""Numbers of four bits in blocks that share a scale: the grid, the scales, rounding to nearest and with a coin.

The grid is E2M1, magnitudes 0, .5, 1, 1.5, 2, 3, 4, 6. A block of numbers along the last axis has one scale s, chosen
from its largest magnitude m; a number x is kept as s times the grid point that x / s rounds to. Scales and the formats
of the standards come from the op `nvfp4` of the kernels.

Sources: OCP Microscaling Formats v1.0; arXiv 2505.19115; chapter `fp4-training`, C1 to C3. Bad arguments raise
TypeError or ValueError.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

from implicitly_kernels import (
    mxfp4_qdq,
    mxfp4_quantize,
    nvfp4_global_scale,
    nvfp4_qdq,
    nvfp4_quantize,
)

from .._validate import choice, instance, number, numbers, tensor, whole
from .._validate import seed as checked_seed

__all__ = [
    "BLOCK_FORMATS",
    "E2M1",
    "BlockFormat",
    "Coin",
    "best_normal_scale",
    "clip_bias",
    "normal_error",
    "round_to_grid",
]

F32, F64 = torch.float32, torch.float64
#: The eight magnitudes of a 4-bit float with two bits of exponent and one of mantissa.
E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
SCALES = ("e4m3 nearest", "e4m3 up", "e8m0 floor", "e8m0 up", "exact")
ROUNDINGS = ("nearest", "coin")
_TOP = E2M1[-1]


class Coin(NamedTuple):
    """Rounding with a coin, one number at a time; each field has the shape of x.

    below, above: the neighbours on the grid (above = below where x is on it, or beyond its end).
    chance: of the upper one. mean, variance: of the rounded number.
    """

    below: Tensor
    above: Tensor
    chance: Tensor
    mean: Tensor
    variance: Tensor


def _grid(levels) -> Tensor:
    levels = numbers("levels", levels, least=2, increase=True)
    return torch.tensor(levels, dtype=F64)


def _neighbours(x, levels):
    """Indices of the last level at or below each x and of the next, and the way from one to the other in [0, 1)."""
    x = x.clamp(levels[0], levels[-1])
    low = (torch.searchsorted(levels, x.contiguous(), right=True) - 1).clamp_(0, len(levels) - 1)
    high = (low + 1).clamp_max(len(levels) - 1)
    gap = torch.where(high > low, levels[high] - levels[low], torch.ones_like(x))
    return low, high, (x - levels[low]) / gap


def round_to_grid(x: Tensor, levels: ArrayLike, coin: Tensor | None = None) -> Tensor:
    """Each x on the nearest level, or on one of its two neighbours by a coin that keeps the mean.

    Args:
        x: float64, any shape, finite. What lies beyond the levels goes to the last one.
        levels: rising numbers, at least two. A tie goes to the level of even index, as E2M1 does.
        coin: uniform numbers in [0, 1), float64, as many as x: the upper neighbour where the way to it exceeds them.
            Left out: to nearest.

    >>> round_to_grid(torch.tensor([0.2, 2.5, 3.5], dtype=torch.float64), E2M1).tolist()
    [0.0, 2.0, 4.0]
    """
    tensor("x", x, dtype=F64)
    levels = _grid(levels)
    low, high, way = _neighbours(x, levels)
    if coin is None:
        up = (way > 0.5) | ((way == 0.5) & (low % 2 == 1))
    else:
        up = way > tensor("coin", coin, shape=tuple(x.shape), dtype=F64, at_least=0, below=1)
    return levels[torch.where(up, high, low)]


@dataclass(frozen=True)
class BlockFormat:
    """E2M1 numbers in blocks along the last axis, each block with a scale.

    Args:
        block: numbers in a block, at least 1. A last axis that is no multiple is padded with zeros meanwhile.
        scale: how s is made from the block's largest magnitude m. "exact": m / 6. "e4m3 nearest": m / 6 rounded to an
            8-bit float (4 bits of exponent, 3 of mantissa) times one float32 number for the whole tensor, which maps
            the tensor's largest magnitude to 6 * 448; "e4m3 up": to the next such float at or above (but for 2^-20).
            "e8m0 floor": ``2^(floor(log2 m) - 2)``; "e8m0 up": the least power of two at or above m / 6.

    >>> BLOCK_FORMATS["NVFP4"]
    BlockFormat(block=16, scale='e4m3 nearest')
    """

    block: int = 16
    scale: str = "e4m3 nearest"

    def __post_init__(self):
        object.__setattr__(self, "block", whole("block", self.block, at_least=1, at_most=2**20))
        choice("scale", self.scale, SCALES)

    @property
    def bits(self) -> float:
        """Bits a number, its part of the scale included (an exact scale is counted as a float32)."""
        return 4 + (32 if self.scale == "exact" else 8) / self.block

    def _blocks(self, x):
        _check(x)
        k = x.shape[-1]
        return F.pad(x, (0, -k % self.block)).reshape(*x.shape[:-1], -(-k // self.block), self.block)

    def scales(self, x: Tensor) -> Tensor:
        """Scales (..., blocks), float32, of x (..., K); 0 for a block that is kept as zeros."""
        top = self._blocks(x).abs().amax(-1)
        family, _, rule = self.scale.partition(" ")
        if family == "exact" or not top.numel():
            return top / _TOP
        ends = F.pad(top[..., None], (0, 15 if family == "e4m3" else 31))  # a block of the standard with this maximum
        if family == "e4m3":
            gs = nvfp4_global_scale(top)
            codes = nvfp4_quantize(ends, gs=gs, scale=rule)[1]
            return codes.view(torch.float8_e4m3fn).float()[..., 0] * gs
        codes = mxfp4_quantize(ends, scale=rule)[1][..., 0]
        return torch.where(top > 0, torch.exp2(codes.float() - 127), 0.0)

    def _scaled(self, x):
        """Magnitudes over their scales, float64, (..., blocks, block), at most 6, and the scales (..., blocks, 1)."""
        scales = self.scales(x)[..., None]
        parts = self._blocks(x).abs() / torch.where(scales > 0, scales, torch.inf)
        return parts.clamp_max(_TOP).double(), scales.double()

    def _back(self, parts, x):
        return torch.copysign(parts.flatten(-2)[..., : x.shape[-1]], x.to(parts.dtype))

    def quantize(self, x: Tensor, *, rounding: str = "nearest", seed: int = 0) -> Tensor:
        """x on its grid, float32, in its own shape: quantized and multiplied out again.

        Args:
            x: (..., K) float32, finite.
            rounding: "nearest", ties to even, or "coin": one of the two neighbours, with the mean kept.
            seed: of the coin.
        """
        _check(x)
        choice("rounding", rounding, ROUNDINGS)
        seed = checked_seed("seed", seed)
        family, _, rule = self.scale.partition(" ")
        how = {"rounding": "rtn" if rounding == "nearest" else "sr", "seed": seed}
        if not x.numel():
            return x.clone()
        if family == "e4m3" and self.block == 16:
            return nvfp4_qdq(x, gs=nvfp4_global_scale(x), scale=rule, **how)
        if family == "e8m0" and self.block == 32:
            return mxfp4_qdq(x, scale=rule, **how)
        parts, scales = self._scaled(x)
        coin = None
        if rounding == "coin":
            coin = torch.rand(parts.shape, generator=torch.Generator().manual_seed(seed), dtype=F64)
        return self._back(round_to_grid(parts, E2M1, coin) * scales, x).float()

    def coin(self, x: Tensor) -> Coin:
        """What rounding x (..., K) with a coin does, without drawing: float64, in units of x."""
        parts, scales = self._scaled(x)
        levels = torch.tensor(E2M1, dtype=F64)
        low, high, way = _neighbours(parts, levels)
        high = torch.where(way > 0, high, low)
        below, above = levels[low], levels[high]
        variance = (parts - below) * (above - parts) * scales**2
        fields = (below * scales, above * scales, parts * scales)
        below, above, mean = (self._back(v, x) for v in fields)
        plain = [v.flatten(-2)[..., : x.shape[-1]] for v in (way, variance)]
        return Coin(below, above, plain[0], mean, plain[1])

    def error(self, x: Tensor, rounding: str = "nearest") -> float:
        """Mean squared error over mean square of x (..., K), not all 0; with a coin its expectation, not a draw."""
        _check(x)
        if not bool((x != 0).any()):
            raise ValueError("x must have an entry other than 0, found none")
        if choice("rounding", rounding, ROUNDINGS) == "nearest":
            squares = (self.quantize(x).double() - x.double()).square()
        else:
            coin = self.coin(x)
            squares = coin.variance + (coin.mean - x.double()).square()
        return float(squares.mean() / x.double().square().mean())

    def flushed(self, x: Tensor) -> float:
        """Share of the entries of x (..., K) that are not 0 and lie in a block whose scale is 0."""
        blocks = self._blocks(x)
        alive = blocks != 0
        lost = alive & (self.scales(x) == 0)[..., None]
        return float(lost.sum() / alive.sum().clamp_min(1))


def _check(x):
    tensor("x", x, dtype=F32)
    if not x.ndim:
        raise ValueError("x must have at least one axis, found a scalar")


#: The two standards, and both with scales that never clip.
BLOCK_FORMATS = {
    "NVFP4": BlockFormat(16, "e4m3 nearest"),
    "NVFP4 up": BlockFormat(16, "e4m3 up"),
    "MXFP4": BlockFormat(32, "e8m0 floor"),
    "MXFP4 up": BlockFormat(32, "e8m0 up"),
}


def clip_bias(form: BlockFormat, x: Tensor) -> float:
    """How far the mean of x rounded with a coin lies from x (..., K), not all 0: relative norm, exact, no draws."""
    instance("form", form, BlockFormat)
    _check(x)
    if not bool((x != 0).any()):
        raise ValueError("x must have an entry other than 0, found none")
    return float((form.coin(x).mean - x.double()).norm() / x.double().norm())


def _density(z):
    return torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)


def normal_error(levels: ArrayLike, scale: float) -> float:
    """Mean squared error of a standard normal number rounded to the nearest of +-levels * scale, to 1e-12.

    Each cell's integral is in closed form. levels: rising numbers from 0 up, or a grid without 0 ("half" steps), all
    at least 0. scale: above 0, at most 100.
    """
    half = _grid(levels)
    if half[0] < 0:
        raise ValueError(f"levels must be at least 0, found {half[0]:.6g}")
    points = half * number("scale", scale, above=0, at_most=100)
    points = torch.cat([-points.flip(0)[: len(points) - (points[0] == 0).long()], points])
    ends = torch.cat([torch.tensor([-40.0], dtype=F64), (points[1:] + points[:-1]) / 2,
                      torch.tensor([40.0], dtype=F64)])  # fmt: skip
    mass = torch.special.ndtr(ends).diff()
    first = -_density(ends).diff()
    second = mass - (ends * _density(ends)).diff()
    return float((second - 2 * points * first + points.square() * mass).sum())


def best_normal_scale(levels: ArrayLike) -> tuple[float, float]:
    """The scale in [0.001, 10] with the least `normal_error`, and that error; levels as there.

    >>> "%.5f %.6f" % best_normal_scale(E2M1)
    '0.48708 0.012685'
    """
    from scipy.optimize import minimize_scalar

    levels = _grid(levels).tolist()
    coarse = [10 ** (-3 + k / 25) for k in range(101)]
    best = coarse[min(range(101), key=lambda k: normal_error(levels, coarse[k]))]
    found = minimize_scalar(lambda s: normal_error(levels, s), bounds=(best / 1.2, best * 1.2), method="bounded",
                            options={"xatol": 1e-10})  # fmt: skip
    return float(found.x), float(found.fun)
