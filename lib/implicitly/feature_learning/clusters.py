"""Gaussian clusters around two opposite pairs of centres, in coordinates whose number does not grow with d.

Source: Xu et al., arXiv 2310.02541, for the data; chapter xor-clusters. Bad arguments raise TypeError or ValueError.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._validate import F64, choice, flag, number, tensor, whole
from .._validate import generator as checked_generator

__all__ = [
    "LABELS",
    "Clusters",
    "draw_clusters",
    "linear_accuracy",
]

#: Clean labels of the clusters at mu_1, -mu_1, mu_2, -mu_2.
LABELS = {"xor": (1, 1, -1, -1), "sides": (1, -1, 1, -1)}


@dataclass(frozen=True, eq=False)
class Clusters:
    """A sample, new points and the directions in which neurons start, in the same D coordinates; all float64 but one.

    Attributes:
        X: training points, (N, D), N and D at least 1. Of :func:`draw_clusters` the first two coordinates are along
            mu_1 and mu_2.
        y: their labels, 1.0 or -1.0, some of them flipped, (N,).
        flipped: which, (N,) bool.
        X_new, y_new: new points (new, D) and their clean labels (new,), 1.0 or -1.0.
        start: (pairs, D), pairs at least 1.
    """

    X: Tensor
    y: Tensor
    flipped: Tensor
    X_new: Tensor
    y_new: Tensor
    start: Tensor

    def __post_init__(self):
        N, D = tensor("X", self.X, shape=("N", "D"), dtype=F64).shape
        new = len(tensor("X_new", self.X_new, shape=("new", D), dtype=F64))
        pairs = len(tensor("start", self.start, shape=("pairs", D), dtype=F64))
        if not (N and D and pairs):
            raise ValueError(f"X and start must hold a row and a column, found {N} and {pairs} rows, {D} columns")
        tensor("flipped", self.flipped, shape=(N,), dtype=torch.bool)
        for name, value, count in (("y", self.y, N), ("y_new", self.y_new, new)):
            signs(name, tensor(name, value, shape=(count,), dtype=F64))


def signs(name: str, value: Tensor) -> Tensor:
    """`value`, after checking that each entry is 1 or -1."""
    if not bool((value.abs() == 1).all()):
        raise ValueError(f"{name} must hold labels 1 or -1, found {value[value.abs() != 1][0].item():.6g}")
    return value


def draw_clusters(
    N: int,
    d: int,
    mu: float,
    flip: float,
    *,
    labels: str = "xor",
    balanced: bool = True,
    pairs: int = 100,
    new: int = 1000,
    generator: torch.Generator,
) -> Clusters:
    """Points of R^d: one of the centres mu_1, -mu_1, mu_2, -mu_2 plus standard normal noise.

    The coordinates are an orthonormal basis of the span of the two centres, the training points and the starts,
    completed at random: D = 2 + N + pairs. What new points have outside of this span meets neither a training point nor
    a start, so nothing that a network trained from these starts does depends on it. Noise in such a basis is triangular
    (Bartlett's decomposition: normal below the diagonal, roots of chi-squared variables on it), and is drawn in this
    form. So time and memory do not depend on d, and the law of all inner products is exactly that of points in R^d.

    Args:
        N: training points, at least 1; with `balanced` a multiple of 4.
        d: dimension, at least 2 + N + pairs and at most 10**9.
        mu: length of the centres, which are orthogonal, from 0 to 1e6.
        flip: share of labels flipped, in [0, 1].
        labels: "xor": opposite clusters share a label; "sides": they have opposite ones. The draws are the same.
        balanced: N/4 points in each cluster, of which the whole number nearest to flip N/4 is flipped (of two, the
            even one); else clusters and flips are drawn independently for each point.
        pairs: directions in which neurons start, at least 1.
        new: new points, at least 1, in turn from the four clusters.

    >>> data = draw_clusters(8, 10**6, 30.0, 0.25, pairs=3, new=4, generator=torch.Generator().manual_seed(0))
    >>> data.X.shape, int(data.flipped.sum()), data.y_new.tolist()
    (torch.Size([8, 13]), 0, [1.0, 1.0, -1.0, -1.0])
    """
    N, pairs, new = whole("N", N, at_least=1), whole("pairs", pairs, at_least=1), whole("new", new, at_least=1)
    d = whole("d", d, at_least=2 + N + pairs, at_most=10**9)
    mu, flip = number("mu", mu, at_least=0.0, at_most=1e6), number("flip", flip, at_least=0.0, at_most=1.0)
    clean = torch.tensor(LABELS[choice("labels", labels, LABELS)], dtype=F64)
    balanced, g = flag("balanced", balanced), checked_generator("generator", generator, device="cpu")
    if balanced and N % 4:
        raise ValueError(f"N must be a multiple of 4 for balanced clusters, found {N}")

    order, chance = torch.randint(4, (N,), generator=g), torch.rand(N, generator=g, dtype=F64)
    cluster, flipped = order, chance < flip
    if balanced:
        cluster, flipped = torch.arange(N) % 4, torch.arange(N) < 4 * round(flip * N / 4)
    X = _around(cluster, mu, _triangle(N, d - 2, g), g)
    start = torch.randn(pairs, 2 + N, generator=g, dtype=F64)
    start = torch.cat([start, _triangle(pairs, d - 2 - N, g)], 1)
    turn = torch.arange(new) % 4
    X_new = _around(turn, mu, torch.randn(new, N + pairs, generator=g, dtype=F64), g)
    y = clean[cluster]
    X = torch.cat([X, torch.zeros(N, pairs, dtype=F64)], 1)
    return Clusters(X, torch.where(flipped, -y, y), flipped, X_new, clean[turn], start)


def _around(cluster: Tensor, mu: float, noise: Tensor, g: torch.Generator) -> Tensor:
    """Points of these clusters: two coordinates along the centres, then `noise`."""
    along = torch.randn(len(cluster), 2, generator=g, dtype=F64)
    along[torch.arange(len(cluster)), cluster // 2] += mu * (1 - 2 * (cluster % 2)).to(F64)
    return torch.cat([along, noise], 1)


def _triangle(k: int, d: int, g: torch.Generator) -> Tensor:
    """k standard normal vectors of R^d in an orthonormal basis of their span, (k, k): lower triangular."""
    from scipy.special import gammaincinv

    below = torch.randn(k, k, generator=g, dtype=F64).tril(-1)
    half = np.arange(d, d - k, -1) / 2
    # a chi-squared variable by inverting its distribution function
    squares = 2 * gammaincinv(half, torch.rand(k, generator=g, dtype=F64).numpy())
    return below + torch.from_numpy(squares).sqrt().diag()


def linear_accuracy(theta: Tensor, mu: float, *, labels: str = "xor") -> float:
    """Probability that the sign of ``theta @ x`` is the clean label of a new point x; a score of 0 counts half.

    Args:
        theta: (D,) float64, its first two coordinates along the centres; the rest may be in any orthonormal basis.
        mu: length of the centres, from 0 to 1e6.
        labels: as for :func:`draw_clusters`. For "xor" the answer is 1/2, whatever theta is.

    >>> linear_accuracy(torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64), 2.0)
    0.5
    """
    theta = tensor("theta", theta, shape=("D",), dtype=F64)
    mu = number("mu", mu, at_least=0.0, at_most=1e6)
    clean = LABELS[choice("labels", labels, LABELS)]
    if len(theta) < 2:
        raise ValueError(f"theta must have at least 2 coordinates, found {len(theta)}")
    unit = theta / theta.abs().max().clamp_min(torch.finfo(F64).tiny)  # so that squares neither vanish nor overflow
    length = float(unit.norm())
    if length == 0:
        return 0.5
    along = (float(unit[0]), -float(unit[0]), float(unit[1]), -float(unit[1]))
    far = [label * mu * part / length for label, part in zip(clean, along, strict=True)]  # in standard deviations
    return sum(math.erfc(-one / math.sqrt(2)) for one in far) / 8
