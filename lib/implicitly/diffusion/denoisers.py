"""Denoisers with a closed form: minimum-norm shallow networks for low noise, and empirical Bayes.

Each denoiser is called as ``h(y, noise)``: `y` (B, d) noisy points, `noise` a number, and gives the
(B, d) points it believes to be clean. `y` is float32 or float64, as the data points are, and finite; B may
be 0. Anything else raises TypeError or ValueError. Use float64 for checks of theory.

Sources: Zeno et al., arXiv 2311.06748 and 2506.19031. Claim ids refer to the chapter ``score-flow``.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._validate import F64, flag, number, numbers, tensor, whole
from .._validate import generator as checked_generator

__all__ = [
    "EmpiricalBayes",
    "LineDenoiser",
    "SimplexDenoiser",
    "planar_triangle",
    "ramp",
    "random_simplex",
]

_FLOATS = (torch.float32, F64)


def _matrix(name: str, value, columns: int | str, dtype=_FLOATS) -> Tensor:
    return tensor(name, value, shape=("B", columns), dtype=dtype)


def _radius(rho: float, shortest: Tensor) -> float:
    """`rho`, after checking that balls of this radius do not touch, in the arithmetic of `shortest` (a 0-d tensor)."""
    half = shortest.item() / 2
    rho = number("rho", rho, at_least=0.0, below=half)
    if not 2 * torch.tensor(rho, dtype=shortest.dtype) < shortest:  # rounded to the half
        raise ValueError(f"rho must be below {half:.6g} by more than rounding, found {rho:.17g}")
    return rho


def ramp(z: Tensor, length: Tensor | float, rho: float) -> Tensor:
    """The ramp of one edge: 0 up to `rho`, `length` from ``length - rho`` on, straight in between.

    ``L/(L - 2 rho) * ([z - rho]_+ - [z - (L - rho)]_+)``, claim score-flow/C1. It is written with a
    clamp, which is exact on the flat parts where the difference of two ReLUs would round.

    Args:
        z: coordinates along the edges, (..., m), any shape if `length` is a number; float32 or float64.
        length: edge length(s), positive, a number or (m,).
        rho: radius of the balls, ``0 <= rho < length / 2``; at 0 the ramp is a clip to [0, length].

    Returns:
        The ramp's value, same shape as `z`.

    >>> ramp(torch.tensor([0.1, 0.5, 0.9]), 1.0, 0.25)
    tensor([0.0000, 0.5000, 1.0000])
    """
    z = tensor("z", z, dtype=_FLOATS)
    length = tensor("length", length, convert=z.dtype, above=0.0).to(z.device)
    if length.ndim and (length.ndim > 1 or not len(length) or length.shape != z.shape[-1:]):
        raise ValueError(
            f"length must be a number or have the shape (m,) of z (..., m) = {tuple(z.shape)}, "
            f"found {tuple(length.shape)}"
        )
    rho = _radius(rho, length.min())
    rise = (z - rho) * (length / (length - 2 * rho))
    return torch.minimum(rise.clamp(min=0), length)


@dataclass(frozen=True, eq=False)
class SimplexDenoiser:
    """``h(y) = x1 + sum_n u_n ramp(u_n . (y - x1))``: one ramp along each edge that leaves `x1`.

    The minimum-norm denoiser when the edges meet at right angles (proved in the chapter) or, checked
    there by a convex program, at obtuse ones; claim score-flow/C1. Build it with :meth:`from_points`.

    Attributes:
        x1: the corner, (d,), float32 or float64.
        U: unit edge directions as rows, (m, d), m >= 1, of the same dtype.
        L: edge lengths, (m,), positive, of the same dtype.
    """

    x1: Tensor
    U: Tensor
    L: Tensor

    def __post_init__(self):
        tensor("x1", self.x1, shape=("d",), dtype=_FLOATS)
        _matrix("U", self.U, len(self.x1), self.x1.dtype)
        _unit("U", self.U)
        tensor("L", self.L, shape=(len(self.U),), dtype=self.x1.dtype, above=0.0)

    @classmethod
    def from_points(cls, points: Tensor, *, allow_acute: bool = False) -> "SimplexDenoiser":
        """The denoiser of `points` (N, d), N >= 2, float32 or float64, seen from the first of them.

        The angles there may be right and obtuse at once, at which the formula denoises (all right or all
        obtuse for the statements of the chapter).

        Raises ValueError for points that coincide, for edges that are linearly dependent, and for acute
        angles, at which the formula does not denoise. `allow_acute=True` lets acute angles pass, to
        show just that.
        """
        _at_least_two(points)
        flag("allow_acute", allow_acute)
        edges = points[1:] - points[0]
        size = _size(edges)
        lengths = (edges / size).norm(dim=1) * size
        if lengths.min() == 0:
            raise ValueError("points must differ from the first one, found a copy of it")
        if not torch.isfinite(lengths).all():
            raise ValueError(f"points must lie at finite distances, found {lengths.max():g}")
        U = edges / lengths[:, None]
        gram = U @ U.T
        eps = torch.finfo(points.dtype).eps
        if len(gram) > points.shape[1] or torch.linalg.eigvalsh(gram)[0] < 100 * eps:
            raise ValueError("points must have linearly independent edges, found dependent ones")
        cosine = float((gram - torch.eye(len(gram)).to(gram)).max())
        if cosine > 100 * eps and not allow_acute:
            raise ValueError(
                f"points must meet the first one at right or obtuse angles, found a cosine of {cosine:.3g}"
            )
        return cls(points[0], U, lengths)

    @property
    def gram(self) -> Tensor:
        """Inner products of the edge directions, (m, m)."""
        return self.U @ self.U.T

    @property
    def points(self) -> Tensor:
        """The training points, (m + 1, d)."""
        return torch.cat([self.x1[None], self.x1 + self.L[:, None] * self.U])

    def coordinates(self, x: Tensor) -> Tensor:
        """``c_n = u_n . (x - x1)``, (B, m), of points `x` (B, d)."""
        _matrix("x", x, len(self.x1), self.x1.dtype)
        return (x - self.x1) @ self.U.T

    def __call__(self, y: Tensor, rho: float) -> Tensor:
        """Denoised points (B, d) of `y` (B, d), for balls of radius `rho` < min L / 2. 4 B m d flops."""
        _matrix("y", y, len(self.x1), self.x1.dtype)
        return self.x1 + ramp((y - self.x1) @ self.U.T, self.L, rho) @ self.U

    def cost(self, rho: float) -> float:
        """Representation cost ``sum_n 2 L_n / (L_n - 2 rho)``, claim score-flow/C1; `rho` as in :func:`ramp`."""
        rho = _radius(rho, self.L.min())
        return float((2 * self.L / (self.L - 2 * rho)).sum())

    def vertices(self) -> tuple[Tensor, Tensor]:
        """All corners ``x1 + sum_{n in S} L_n u_n``: members S (2**m, m) bool, and places (2**m, d)."""
        m = len(self.L)
        if m > 16:
            raise ValueError(f"vertices lists 2**m corners and takes m up to 16, found m = {m}")
        number_ = torch.arange(2**m, device=self.L.device)
        members = (number_[:, None] >> torch.arange(m, device=self.L.device)) % 2 == 1
        return members, self.x1 + (members * self.L) @ self.U


def _size(edges: Tensor) -> float:
    """A power of two near the largest coordinate: divided by it, which changes no digit, squares stay in range."""
    largest = edges.abs().max().item()
    if not math.isfinite(largest):
        raise ValueError(f"points must lie at finite distances, found {largest:g}")
    return 2.0 ** (math.frexp(largest)[1] - 1)


def _unit(name: str, rows: Tensor) -> None:
    norms = rows.norm(dim=-1)
    if not len(rows) or (norms - 1).abs().max() > 1e-4:
        raise ValueError(f"{name} must hold directions of norm 1, found norms {norms.tolist()}")


def _at_least_two(points: Tensor) -> None:
    _matrix("points", points, "d")
    if len(points) < 2:
        raise ValueError(f"points must hold at least 2 points, found {len(points)}")
    if not points.shape[1]:
        raise ValueError(f"points must have coordinates, found shape {tuple(points.shape)}")


@dataclass(frozen=True, eq=False)
class LineDenoiser:
    """The minimum-norm denoiser of points in a row: a staircase of ramps, claim score-flow/C9.

    Attributes:
        x1: the first point, (d,), float32 or float64.
        u: unit direction of the line, (d,), of the same dtype.
        t: places along the line, ascending, ``t[0] = 0``, (N,), N >= 2, of the same dtype.
    """

    x1: Tensor
    u: Tensor
    t: Tensor

    def __post_init__(self):
        tensor("x1", self.x1, shape=("d",), dtype=_FLOATS)
        tensor("u", self.u, shape=tuple(self.x1.shape), dtype=self.x1.dtype)
        _unit("u", self.u[None])
        tensor("t", self.t, shape=("N",), dtype=self.x1.dtype, at_least=0.0)
        if len(self.t) < 2 or self.t[0] != 0 or not (self.t.diff() > 0).all():
            raise ValueError(f"t must hold at least 2 places, from 0 and ascending, found {self.t.tolist()}")

    @classmethod
    def from_points(cls, points: Tensor) -> "LineDenoiser":
        """The denoiser of `points` (N, d), N >= 2, d >= 1, float32 or float64, distinct, on one line, in any order.

        The line runs from the first of them towards the last.
        """
        _at_least_two(points)
        centred = points - points.mean(0)
        size = _size(centred)
        centred = centred / size
        u = torch.linalg.svd(centred, full_matrices=False).Vh[0]
        u = u if (points[-1] - points[0]) @ u >= 0 else -u  # the sign of a singular vector is arbitrary
        t, order = (centred @ u).sort()
        off = (centred - (centred @ u)[:, None] * u).norm(dim=1).max()
        if off > 1e3 * torch.finfo(points.dtype).eps * centred.norm():
            raise ValueError(f"points must lie on one line, found one {float(off) * size:.3g} away from it")
        if (t.diff() <= 0).any():
            raise ValueError("points must be distinct, found two equal ones")
        return cls(points[order[0]], u, (t - t[0]) * size)

    def __call__(self, y: Tensor, rho: float) -> Tensor:
        """Denoised points (B, d) of `y` (B, d), for balls of radius `rho` < half the least gap."""
        _matrix("y", y, len(self.x1), self.x1.dtype)
        s = (y - self.x1) @ self.u
        stairs = ramp(s[:, None] - self.t[:-1], self.t.diff(), rho).sum(1)
        return self.x1 + stairs[:, None] * self.u

    def cost(self, rho: float) -> float:
        """Representation cost ``sum_n 2 D_n / (D_n - 2 rho)`` over the gaps D_n; `rho` as in :func:`ramp`."""
        gaps = self.t.diff()
        rho = _radius(rho, gaps.min())
        return float((2 * gaps / (gaps - 2 * rho)).sum())


@dataclass(frozen=True, eq=False)
class EmpiricalBayes:
    """Posterior mean of a training point given a noisy one: a softmax average, claim score-flow/C8.

    Attributes:
        points: the training points, (N, d), N >= 1, float32 or float64.
    """

    points: Tensor

    def __post_init__(self):
        _matrix("points", self.points, "d")
        if not len(self.points):
            raise ValueError("points must hold at least one point, found none")

    def __call__(self, y: Tensor, sigma: float) -> Tensor:
        """``softmax_n(-|y - x_n|**2 / (2 sigma**2)) @ points`` (B, d), of `y` (B, d), sigma > 0.

        The largest logit is subtracted, and the points are centred first, so small sigma does no harm,
        wherever the points lie: as it tends to 0, the nearest point is left, or the mean of those that are
        equally near. Memory: B N numbers. ValueError also where squared distances leave the range of floats.
        """
        _matrix("y", y, self.points.shape[1], self.points.dtype)
        sigma = number("sigma", sigma, above=0.0)
        # |y|**2 is common to all logits and drops out. Far from the origin the two terms left would be
        # large and cancel, and dividing by sigma**2 would bring up their rounding errors.
        middle = self.points.mean(0)
        centred = self.points - middle
        logits = (y - middle) @ centred.T - centred.square().sum(1) / 2
        square = max(sigma * sigma, torch.finfo(logits.dtype).tiny)
        largest = logits.amax(1, keepdim=True)
        if not torch.isfinite(largest).all():
            far = max(middle.abs().max(), centred.abs().max(), y.abs().max()).item()
            raise ValueError(f"y and points must have finite squares, found a coordinate or mean of {far:.3g}")
        return ((logits - largest) / square).softmax(dim=1) @ self.points


def planar_triangle(degrees: float, *, lengths: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Three points of the plane (3, 2), float64: the origin, and two at `degrees` from each other.

    Args:
        degrees: the angle at the origin, between 0 and 180.
        lengths: distances of the two from the origin, positive.
    """
    angle = torch.deg2rad(torch.tensor(number("degrees", degrees, above=0.0, below=180.0), dtype=F64))
    first, second = numbers("lengths", lengths, length=2, above=0.0)
    return torch.stack([
        torch.zeros(2, dtype=F64), torch.tensor([first, 0.0], dtype=F64),
        second * torch.stack([angle.cos(), angle.sin()]),
    ])  # fmt: skip


def random_simplex(
    m: int,
    d: int,
    *,
    generator: torch.Generator,
    obtuse: tuple[float, float] | None = None,
    lengths: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    """Points (m + 1, d), float64, of a random simplex with right or obtuse angles at the first.

    Args:
        m: number of edges, from 1 to d.
        d: dimension, at most 10_000.
        generator: source of all randomness; nothing else is drawn from.
        obtuse: None for right angles; ``(low, high)`` within (0, 1) for cosines uniform between
            ``-high / (m - 1)`` and ``-low / (m - 1)``, which keeps the Gram matrix positive definite.
        lengths: edge lengths are uniform between these two, positive and in order.

    The whole is rotated and shifted at random. Angles are all right or all obtuse, for the statements
    of the chapter.
    """
    d = whole("d", d, at_least=1, at_most=10_000)
    m = whole("m", m, at_least=1)
    if m > d:
        raise ValueError(f"m must be between 1 and d = {d}, found {m}")
    generator = checked_generator("generator", generator, device="cpu")
    lengths = numbers("lengths", lengths, length=2, above=0.0)
    if lengths[0] > lengths[1]:
        raise ValueError(f"lengths must be (low, high) with low <= high, found {lengths}")
    if obtuse is not None:
        obtuse = numbers("obtuse", obtuse, length=2)
        if not 0 < obtuse[0] <= obtuse[1] < 1:
            raise ValueError(f"obtuse must be (low, high) with 0 < low <= high < 1, found {obtuse}")

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

    gram = torch.eye(m, dtype=torch.float64)
    if obtuse is not None and m > 1:
        cosines = uniform(*obtuse, m, m).triu(1) / (m - 1)
        gram = gram - cosines - cosines.T
    frame = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    edges = uniform(*lengths, m)[:, None] * (torch.linalg.cholesky(gram) @ frame[:m])
    corner = torch.randn(d, generator=generator, dtype=torch.float64)
    return torch.cat([corner[None], corner + edges])
