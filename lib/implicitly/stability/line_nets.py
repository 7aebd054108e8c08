"""Two-layer ReLU networks on a line: their data, starts and gradient descent.

A network f(x) = sum_j w2_j [w1_j x + b1_j]_+ + b2 is fitted to points x_1..x_n by full-batch gradient descent on
L = (1/2n) sum_i (f(x_i) - y_i)**2. Claim ids refer to the chapter ``stable-minima``; the paper is Qiao et al. 2024
(arXiv 2406.06838).

Networks come in batches: parameters have shape (B, k). Everything is float64, and ReLU'(0) = 0. Points and labels are
tensors of any real dtype, arrays, lists or numbers, and are computed with as float64. Points, labels and parameters are
at most 1e30 in size, so that no square overflows. Bad arguments raise TypeError or ValueError.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .._validate import F64, SEEDS, each, instance, instances, number, tensor, whole, wholes
from .._validate import seed as checked_seed

__all__ = [
    "LineNet",
    "even_points",
    "gradient_descent",
    "initial_nets",
    "moved",
    "noisy_labels",
    "residuals",
]

GRID = 2.0**20  # steps a unit of random weights and labels
_SIZE = {"at_least": -1e30, "at_most": 1e30}  # of points, labels and parameters
_ON_GRID = 2.0**30  # up to here a normal number times this is exact on the grid


def _points(name: str, x) -> Tensor:
    """`x` as float64 (n,), finite and increasing."""
    x = tensor(name, x, shape=("n",), convert=F64, **_SIZE)
    if x.numel() < 1:
        raise ValueError(f"{name} must have shape (n,) with n at least 1, found {tuple(x.shape)}")
    if not bool((x[1:] > x[:-1]).all()):
        raise ValueError(f"{name} must increase strictly, found points out of order or equal")
    return x


def _labels(y, x: Tensor, batch: int | None = None) -> Tensor:
    """`y` as float64 (B, n); one row is given to every network of the batch."""
    y = tensor("y", y, convert=F64, **_SIZE)
    rows = y[None] if y.ndim == 1 else y
    fits = rows.ndim == 2 and rows.shape[1] == x.numel()
    if not fits or (rows.shape[0] < 1 if batch is None else rows.shape[0] not in (1, batch)):
        wanted = "B" if batch is None else batch
        n = x.numel()
        raise ValueError(f"y must have shape ({wanted}, {n}) or ({n},) for {n} points x, found {tuple(y.shape)}")
    return rows.expand(rows.shape[0] if batch is None else batch, -1)


def _places(name: str, t) -> Tensor:
    """`t` as float64 of any shape, without NaN."""
    t = tensor(name, t, convert=F64, finite=False)
    if bool(t.isnan().any()):
        raise ValueError(f"{name} must be numbers or infinite, found NaN")
    return t


def _on_grid(values: Tensor) -> Tensor:
    """`values` at multiples of 2**-20, exact in float64.

    At the edge of stability a last bit at the start becomes another run. Normal numbers and eigenvalues differ in
    their last bits between CPUs; on a grid the same seed starts from the same bits on all of them.
    """
    return (values * GRID).round() / GRID


@dataclass(frozen=True, eq=False)
class LineNet:
    """A batch of networks f(x) = sum_j w2_j [w1_j x + b1_j]_+ + b2.

    Attributes:
        w1, b1, w2: (B, k), float64, finite. b2: (B,). Without neurons, k = 0, the networks are constant.
    """

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor

    def __post_init__(self):
        tensor("w1", self.w1, shape=("B", "k"), dtype=F64, **_SIZE)
        B, k = self.w1.shape
        for name, shape in (("b1", (B, k)), ("w2", (B, k)), ("b2", (B,))):
            tensor(name, getattr(self, name), shape=shape, dtype=F64, **_SIZE)

    def __len__(self) -> int:
        return self.w1.shape[0]

    def __getitem__(self, index) -> "LineNet":
        """Some networks of the batch: an int gives a batch of one, -1 the last.

        Args:
            index: an int, a slice, a sequence or int64 tensor (m,) of ints, or a bool tensor (B,).

        Raises:
            IndexError: there is no such network.
        """
        if isinstance(index, Tensor) and index.dtype == torch.bool:
            tensor("index", index, shape=(len(self),), dtype=torch.bool)
        elif not isinstance(index, slice):
            many = isinstance(index, list | tuple | range) or (isinstance(index, Tensor | np.ndarray) and index.ndim)
            chosen = wholes("index", index, least=0) if many else (whole("index", index),)
            if any(not -len(self) <= i < len(self) for i in chosen):
                raise IndexError(f"index must lie in -{len(self)} to {len(self) - 1}, found {index}")
            index = torch.tensor(chosen, dtype=torch.int64)
        return LineNet(self.w1[index], self.b1[index], self.w2[index], self.b2[index])

    def __call__(self, x: ArrayLike) -> Tensor:
        """Values (B, m) at `x` (m,)."""
        x = tensor("x", x, shape=("m",), convert=F64, **_SIZE)
        hidden = torch.relu(self.w1[..., None] * x + self.b1[..., None])
        return torch.einsum("bk,bkm->bm", self.w2, hidden) + self.b2[:, None]

    @property
    def knots(self) -> Tensor:
        """(B, k): where each neuron bends, -b1/w1; infinite for a neuron that does not (w1 = 0)."""
        return torch.where(self.w1 == 0, math.inf, -self.b1 / torch.where(self.w1 == 0, 1.0, self.w1))

    @property
    def jumps(self) -> Tensor:
        """(B, k): by how much each knot changes the slope of f, w2 |w1|."""
        return self.w2 * self.w1.abs()

    @staticmethod
    def join(nets: Sequence["LineNet"]) -> "LineNet":
        """One batch from several of equal width, at least one."""
        nets = instances("nets", nets, LineNet)
        if len({net.w1.shape[1] for net in nets}) > 1:
            raise ValueError(f"nets must have one width, found {[net.w1.shape[1] for net in nets]}")
        return LineNet(*(torch.cat([getattr(net, p) for net in nets]) for p in ("w1", "b1", "w2", "b2")))


def even_points(n: int) -> Tensor:
    """(n,) equally spaced points on [-1, 1], each the float64 nearest to its fraction: the same bits on every CPU.

    n is at least 2.
    """
    n = whole("n", n, at_least=2)
    return torch.arange(1 - n, n, 2, dtype=F64) / (n - 1)


def initial_nets(k: int, *, seeds: Sequence[int], scale: float = 1.0) -> LineNet:
    """Random networks, one a seed: w1 standard normal, knots uniform on [-1, 1], w2 normal / sqrt(k), b2 = 0.

    `scale`, in (0, 2**30], multiplies w1, b1 and w2. All are rounded to multiples of 2**-20, so that a seed means the
    same bits on every CPU.
    """
    k, scale = whole("k", k, at_least=1), number("scale", scale, above=0.0, at_most=_ON_GRID)
    rows = []
    for seed in wholes("seeds", seeds, at_least=0, at_most=SEEDS - 1):
        generator = torch.Generator().manual_seed(seed)
        w1, w2 = torch.randn(2, k, generator=generator, dtype=F64)
        knots = 2 * torch.rand(k, generator=generator, dtype=F64) - 1
        rows.append((scale * w1, -scale * w1 * knots, scale * w2 / math.sqrt(k)))
    w1, b1, w2 = (torch.stack(part) for part in zip(*rows, strict=True))
    return LineNet(*map(_on_grid, (w1, b1, w2)), torch.zeros(len(rows), dtype=F64))


def moved(net: LineNet, size: float, *, seed: int) -> LineNet:
    """`net` with normal noise of standard deviation `size` added to every weight; rounded as :func:`initial_nets`.

    `size` is in [0, 2**30].
    """
    instance("net", net, LineNet)
    size = number("size", size, at_least=0.0, at_most=_ON_GRID)
    generator = torch.Generator().manual_seed(checked_seed("seed", seed))
    parts = (net.w1, net.b1, net.w2, net.b2)
    return LineNet(*(_on_grid(p + size * torch.randn(p.shape, generator=generator, dtype=F64)) for p in parts))


def noisy_labels(clean: ArrayLike, sigma: float, *, seeds: Sequence[int]) -> Tensor:
    """Labels (B, n): the values `clean` (n,) plus normal noise of standard deviation `sigma`, one row a seed.

    Rounded to multiples of 2**-20, as :func:`initial_nets`. `sigma` is in [0, 2**30].
    """
    clean = tensor("clean", clean, shape=("n",), convert=F64, **_SIZE)
    sigma = number("sigma", sigma, at_least=0.0, at_most=_ON_GRID)
    seeds = wholes("seeds", seeds, at_least=0, at_most=SEEDS - 1)
    # another stream than `initial_nets` with the same seed
    generators = (torch.Generator().manual_seed(10**6 + seed) for seed in seeds)
    return _on_grid(torch.stack([clean + sigma * torch.randn(clean.shape, generator=g, dtype=F64) for g in generators]))


def gradient_descent(net: LineNet, x: ArrayLike, y: ArrayLike, eta: ArrayLike, steps: int) -> LineNet:
    """The networks after `steps` steps of gradient descent on (1/2n) sum (f(x_i) - y_i)**2.

    Runs `implicitly_kernels.relu_gd`, about 10 k n operations a step and network; the batch shares the cores.

    Args:
        net: where to start, B networks of at least one neuron; not changed.
        x: (n,), increasing. y: (B, n), or (n,) or (1, n) for all.
        eta: step size above 0, a number or (B,).
        steps: number of steps, at least 0.

    Raises:
        RuntimeError: a run left the finite numbers; the step size is too large for this start.
    """
    from implicitly_kernels import relu_gd

    instance("net", net, LineNet)
    if net.w1.shape[1] < 1:
        raise ValueError("net must have at least one neuron, found none")
    x = _points("x", x)
    y = _labels(y, x, len(net)).contiguous()
    steps, etas = whole("steps", steps, at_least=0), each("eta", eta, len(net), above=0.0)
    start = (p.contiguous() for p in (net.w1, net.b1, net.w2, net.b2))
    *end, loss = relu_gd(*start, x.expand(len(net), -1).contiguous(), y, etas, steps)
    if not (torch.isfinite(loss).all() and all(bool((p.abs() <= _SIZE["at_most"]).all()) for p in end)):
        raise RuntimeError("gradient descent diverged: lower eta, or start closer")
    return LineNet(*end)


def residuals(net: LineNet, x: ArrayLike, y: ArrayLike) -> Tensor:
    """r_i = f(x_i) - y_i, (B, n), at points x (n,) that increase; y: (B, n), or (n,) or (1, n) for all networks."""
    instance("net", net, LineNet)
    x = _points("x", x)
    return net(x) - _labels(y, x, len(net))
