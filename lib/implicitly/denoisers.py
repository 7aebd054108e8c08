"""Denoisers with a closed form: minimum-norm shallow networks for low noise, and empirical Bayes.

Each denoiser is called as ``h(y, noise)``: `y` (B, d) noisy points, `noise` a number, and gives the
(B, d) points it believes to be clean. Everything follows the dtype and device of its inputs; use
float64 for checks of theory.

Sources: Zeno et al., arXiv 2311.06748 and 2506.19031. Claim ids refer to the chapter ``score-flow``.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ._validate import matrix, number

__all__ = [
    "EmpiricalBayes",
    "LineDenoiser",
    "SimplexDenoiser",
    "planar_triangle",
    "ramp",
    "random_simplex",
]


def ramp(z: Tensor, length: Tensor | float, rho: float) -> Tensor:
    """The ramp of one edge: 0 up to `rho`, `length` from ``length - rho`` on, straight in between.

    ``L/(L - 2 rho) * ([z - rho]_+ - [z - (L - rho)]_+)``, claim score-flow/C1. It is written with a
    clamp, which is exact on the flat parts where the difference of two ReLUs would round.

    Args:
        z: coordinates along the edge, (..., m) or any shape that broadcasts with `length`.
        length: edge length(s), positive, a number or (m,).
        rho: radius of the balls, ``0 <= rho < length / 2``; at 0 the ramp is a clip to [0, length].

    Returns:
        The ramp's value, same shape as `z`.

    >>> ramp(torch.tensor([0.1, 0.5, 0.9]), 1.0, 0.25)
    tensor([0.0000, 0.5000, 1.0000])
    """
    length = torch.as_tensor(length, dtype=z.dtype, device=z.device)
    number("rho", rho, at_least=0.0, below=float(length.min()) / 2)
    rise = (z - rho) * (length / (length - 2 * rho))
    return torch.minimum(rise.clamp(min=0), length)


@dataclass(frozen=True)
class SimplexDenoiser:
    """``h(y) = x1 + sum_n u_n ramp(u_n . (y - x1))``: one ramp along each edge that leaves `x1`.

    The minimum-norm denoiser when the edges meet at right angles (proved in the chapter) or, checked
    there by a convex program, at obtuse ones; claim score-flow/C1. Build it with :meth:`from_points`.

    Attributes:
        x1: the corner, (d,).
        U: unit edge directions as rows, (m, d).
        L: edge lengths, (m,).
    """

    x1: Tensor
    U: Tensor
    L: Tensor

    @classmethod
    def from_points(cls, points: Tensor, *, allow_acute: bool = False) -> "SimplexDenoiser":
        """The denoiser of `points` (N, d), N >= 2, seen from the first of them.

        The angles there may be right and obtuse at once, at which the formula denoises (all right or all
        obtuse for the statements of the chapter).

        Raises ValueError for points that coincide, for edges that are linearly dependent, and for acute
        angles, at which the formula does not denoise. `allow_acute=True` lets acute angles pass, to
        show just that.
        """
        matrix("points", points)
        if len(points) < 2:
            raise ValueError(f"points must hold at least 2 points, found {len(points)}")
        edges = points[1:] - points[0]
        lengths = edges.norm(dim=1)
        if lengths.min() == 0:
            raise ValueError("points must differ from the first one, found a copy of it")
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
        matrix("x", x, columns=len(self.x1))
        return (x - self.x1) @ self.U.T

    def __call__(self, y: Tensor, rho: float) -> Tensor:
        """Denoised points (B, d) of `y` (B, d), for balls of radius `rho` < min L / 2. 4 B m d flops."""
        return self.x1 + ramp(self.coordinates(y), self.L, rho) @ self.U

    def cost(self, rho: float) -> float:
        """Representation cost ``sum_n 2 L_n / (L_n - 2 rho)``, claim score-flow/C1."""
        number("rho", rho, at_least=0.0, below=float(self.L.min()) / 2)
        return float((2 * self.L / (self.L - 2 * rho)).sum())

    def vertices(self) -> tuple[Tensor, Tensor]:
        """All corners ``x1 + sum_{n in S} L_n u_n``: members S (2**m, m) bool, and places (2**m, d)."""
        m = len(self.L)
        if m > 16:
            raise ValueError(f"vertices lists 2**m corners and takes m up to 16, found m = {m}")
        number_ = torch.arange(2**m, device=self.L.device)
        members = (number_[:, None] >> torch.arange(m, device=self.L.device)) % 2 == 1
        return members, self.x1 + (members * self.L) @ self.U


@dataclass(frozen=True)
class LineDenoiser:
    """The minimum-norm denoiser of points in a row: a staircase of ramps, claim score-flow/C7.

    Attributes:
        x1: the first point, (d,).
        u: unit direction of the line, (d,).
        t: places along the line, ascending, ``t[0] = 0``, (N,).
    """

    x1: Tensor
    u: Tensor
    t: Tensor

    @classmethod
    def from_points(cls, points: Tensor) -> "LineDenoiser":
        """The denoiser of `points` (N, d), N >= 2, distinct and on one line, in any order.

        The line runs from the first of them towards the last.
        """
        matrix("points", points)
        if len(points) < 2:
            raise ValueError(f"points must hold at least 2 points, found {len(points)}")
        centred = points - points.mean(0)
        u = torch.linalg.svd(centred, full_matrices=False).Vh[0]
        u = u if (points[-1] - points[0]) @ u >= 0 else -u  # the sign of a singular vector is arbitrary
        t, order = (centred @ u).sort()
        off = (centred - (centred @ u)[:, None] * u).norm(dim=1).max()
        if off > 1e3 * torch.finfo(points.dtype).eps * centred.norm():
            raise ValueError(f"points must lie on one line, found one {float(off):.3g} away from it")
        if (t.diff() <= 0).any():
            raise ValueError("points must be distinct, found two equal ones")
        return cls(points[order[0]], u, t - t[0])

    def __call__(self, y: Tensor, rho: float) -> Tensor:
        """Denoised points (B, d) of `y` (B, d), for balls of radius `rho` < half the least gap."""
        matrix("y", y, columns=len(self.x1))
        s = (y - self.x1) @ self.u
        stairs = ramp(s[:, None] - self.t[:-1], self.t.diff(), rho).sum(1)
        return self.x1 + stairs[:, None] * self.u

    def cost(self, rho: float) -> float:
        """Representation cost ``sum_n 2 D_n / (D_n - 2 rho)`` over the gaps D_n."""
        gaps = self.t.diff()
        number("rho", rho, at_least=0.0, below=float(gaps.min()) / 2)
        return float((2 * gaps / (gaps - 2 * rho)).sum())


@dataclass(frozen=True)
class EmpiricalBayes:
    """Posterior mean of a training point given a noisy one: a softmax average, claim score-flow/C6.

    Attributes:
        points: the training points, (N, d).
    """

    points: Tensor

    def __call__(self, y: Tensor, sigma: float) -> Tensor:
        """``softmax_n(-|y - x_n|**2 / (2 sigma**2)) @ points`` (B, d), of `y` (B, d), sigma > 0.

        The softmax subtracts the largest logit, and the points are centred first, so small sigma does no
        harm, wherever the points lie. Memory: B N numbers.
        """
        matrix("y", y, columns=self.points.shape[1])
        number("sigma", sigma, above=0.0)
        # |y|**2 is common to all logits and drops out. Far from the origin the two terms left would be
        # large and cancel, and dividing by sigma**2 would bring up their rounding errors.
        middle = self.points.mean(0)
        centred = self.points - middle
        logits = ((y - middle) @ centred.T - centred.square().sum(1) / 2) / sigma**2
        return logits.softmax(dim=1) @ self.points


def planar_triangle(degrees: float, *, lengths: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Three points of the plane (3, 2), float64: the origin, and two at `degrees` from each other."""
    angle = torch.deg2rad(torch.tensor(number("degrees", degrees, above=0.0, below=180.0)).double())
    first, second = (number("lengths", length, above=0.0) for length in lengths)
    return torch.stack(
        [torch.zeros(2).double(), torch.tensor([first, 0.0]).double(), second * torch.stack([angle.cos(), angle.sin()])]
    )


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
        m: number of edges, at most d.
        d: dimension.
        generator: source of all randomness; nothing else is drawn from.
        obtuse: None for right angles; ``(low, high)`` within (0, 1) for cosines uniform between
            ``-high / (m - 1)`` and ``-low / (m - 1)``, which keeps the Gram matrix positive definite.
        lengths: edge lengths are uniform between these two.

    The whole is rotated and shifted at random. Angles are all right or all obtuse, for the statements
    of the chapter.
    """
    if not 1 <= m <= d:
        raise ValueError(f"m must be between 1 and d = {d}, found {m}")

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

    gram = torch.eye(m, dtype=torch.float64)
    if obtuse is not None and m > 1:
        if not 0 < obtuse[0] <= obtuse[1] < 1:
            raise ValueError(f"obtuse must be (low, high) with 0 < low <= high < 1, found {obtuse}")
        cosines = uniform(*obtuse, m, m).triu(1) / (m - 1)
        gram = gram - cosines - cosines.T
    frame = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    edges = uniform(*lengths, m)[:, None] * (torch.linalg.cholesky(gram) @ frame[:m])
    corner = torch.randn(d, generator=generator, dtype=torch.float64)
    return torch.cat([corner[None], corner + edges])
