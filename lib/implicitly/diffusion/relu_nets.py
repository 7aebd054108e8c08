"""Shallow ReLU networks as denoisers: the smallest one by convex programming, and trained ones.

Sources: the convex program is the group lasso form of the minimum-norm problem (the setting is that of
arXiv 2311.06748), over a dictionary of unit neurons; claim ids refer to the chapter ``score-flow``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._validate import SEEDS, choice, each, flag, matrix, number, numbers, tensor, whole, wholes
from .._validate import generator as checked_generator

__all__ = [
    "ReLUNet",
    "ball_samples",
    "minimum_norm_net",
    "train_denoisers",
]


@dataclass(frozen=True, eq=False)
class ReLUNet:
    """``h(y) = sum_k a_k [w_k . y + b_k]_+ + c + V y``; all of one floating dtype and finite.

    Attributes:
        W: input weights, (K, d); without neurons, K = 0, h is affine.
        b: biases, (K,).
        A: output weights, (K, d).
        c: constant, (d,).
        V: linear term, (d, d), not counted in the cost; often zero.
    """

    W: Tensor
    b: Tensor
    A: Tensor
    c: Tensor
    V: Tensor

    def __post_init__(self):
        K, d = tensor("W", self.W, shape=("K", "d")).shape
        for name, shape in (("b", (K,)), ("A", (K, d)), ("c", (d,)), ("V", (d, d))):
            tensor(name, getattr(self, name), shape=shape, dtype=self.W.dtype)

    def __call__(self, y: Tensor, noise: float | None = None) -> Tensor:
        """Output (B, d) at `y` (B, d), of the network's dtype. `noise` is ignored: a network is made for one level."""
        tensor("y", y, shape=("B", self.W.shape[1]), dtype=self.W.dtype)
        return torch.relu(y @ self.W.T + self.b) @ self.A + self.c + y @ self.V.T

    def cost(self) -> float:
        """``sum_k |a_k| |w_k|`` of these weights: an upper bound of the representation cost."""
        return float((self.W.norm(dim=1) * self.A.norm(dim=1)).sum())


def _cloud(points: Tensor) -> int:
    """The dimension d of `points` (N, d), after checking that there is one point at least."""
    N, d = matrix("points", points).shape
    if N < 1 or d < 1:
        raise ValueError(f"points must have shape (N, d) with N and d at least 1, found {(N, d)}")
    return d


def ball_samples(points: Tensor, rho: float, n: int, *, generator: torch.Generator | None = None) -> Tensor:
    """`n` samples on the sphere of radius `rho` around each point: (N, n, d), or (N, 2, 1) in one dimension.

    In one dimension the two ends, whatever `n`; in two dimensions equally spaced from angle 0; in more a `generator`
    is needed and directions are uniform. `points` is (N, d), floating, `rho` in (0, 1e30], `n` at least 1.
    """
    d = _cloud(points)
    rho, n = number("rho", rho, above=0.0, at_most=1e30), whole("n", n, at_least=1)
    if generator is not None or d > 2:
        checked_generator("generator", generator)
    if d == 1:
        directions = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    elif d == 2:
        angle = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
        directions = torch.stack([angle.cos(), angle.sin()], 1)
    else:
        directions = torch.randn(n, d, generator=generator, dtype=torch.float64)
        directions = directions / directions.norm(dim=1, keepdim=True)
    return points[:, None] + rho * directions.to(points)


def _dictionary(points: np.ndarray, rho: float, directions: int, offsets: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit neurons (K, d), (K,): `directions` and all edge directions and face normals, each with kinks at the
    hyperplanes that touch a ball and at `offsets` equally spaced ones."""
    if points.shape[1] == 1:
        units = np.array([[1.0], [-1.0]])
    else:
        edges = np.array([q - p for i, p in enumerate(points) for q in points[i + 1 :]])
        edges /= np.linalg.norm(edges, axis=1, keepdims=True)
        normals = edges @ np.array([[0.0, 1.0], [-1.0, 0.0]])
        angle = 2 * np.pi * np.arange(directions) / directions
        special = np.concatenate([edges, -edges, normals, -normals])
        units = np.concatenate([special, np.stack([np.cos(angle), np.sin(angle)], 1)])
        units = units[np.unique(units.round(9), axis=0, return_index=True)[1]]
    W, b = [], []
    for unit in units:
        t = points @ unit
        kinks = np.concatenate([t - rho, t + rho, np.linspace(t.min() - rho, t.max() + rho, offsets)])
        kinks = np.unique(kinks.round(9))[:-1]  # a neuron that is dead on all the data is no use
        W += [unit] * len(kinks)
        b += list(-kinks)
    return np.array(W), np.array(b)


def minimum_norm_net(
    points: Tensor,
    rho: float,
    *,
    directions: int = 24,
    offsets: int = 5,
    samples: int = 16,
    linear: bool = False,
    solver: str = "CLARABEL",
) -> ReLUNet:
    """The smallest network of a dictionary that sends samples on each ball to its centre, in d = 1 or 2.

    Minimises ``sum_k |a_k|`` over unit neurons subject to ``h(y) = x_n`` at the points and at `samples`
    points on each sphere: a second-order cone program, solved by cvxpy. The dictionary holds the edge
    directions and face normals and all kinks that touch a ball; without those the optimum is too large.
    The samples stand for the balls; check a fresh set of points before trusting the network on the whole
    ball.

    Args:
        points: training points, (N, d), d = 1 or 2, all different. One point has the constant network.
        rho: radius of the balls, which must be disjoint.
        directions, offsets: size of the regular part of the dictionary, at least 0.
        samples: constraints on each sphere, at least 1; a multiple of 4 puts the axis directions among them.
        linear: whether a linear term is allowed, without cost.
        solver: name of a second-order cone solver that cvxpy has.

    Returns:
        The network, float64; its `cost()` is the optimum.

    Raises:
        RuntimeError: if the solver fails, or no network of the dictionary denoises the samples.
    """
    import cvxpy as cp

    d = _cloud(points)
    if d not in (1, 2):
        raise ValueError(f"points must be in 1 or 2 dimensions, found {d}")
    directions, offsets = whole("directions", directions, at_least=0), whole("offsets", offsets, at_least=0)
    samples, linear = whole("samples", samples, at_least=1), flag("linear", linear)
    choice("solver", solver, cp.installed_solvers())
    X = points.double()
    gaps = torch.pdist(X)
    if len(X) > 1 and float(gaps.min()) == 0:
        raise ValueError("points must all be different, found two that are equal")
    rho = number("rho", rho, above=0.0, below=float(gaps.min()) / 2 if len(X) > 1 else None)
    if len(X) == 1:
        none = X.new_zeros(0, d)
        return ReLUNet(none, none[:, 0], none, X[0], X.new_zeros(d, d))
    # tolerances are absolute: a power of two, which changes no digit, brings the points to size 1
    size = 2.0 ** math.frexp(float(gaps.max()))[1]
    X, rho = X / size, rho / size
    Y = torch.cat([X[:, None], ball_samples(X, rho, samples)], 1)
    targets = X.repeat_interleave(Y.shape[1], 0).numpy()
    Y = Y.reshape(-1, d).numpy()
    W, b = _dictionary(X.numpy(), rho, directions, offsets)
    features = np.maximum(Y @ W.T + b, 0)
    if linear:
        features = np.concatenate([features, Y], 1)
    # Centring removes the constant c. An SVD removes the dependent equations, which stop cone solvers.
    left, scale, right = np.linalg.svd(features - features.mean(0), full_matrices=False)
    rank = int((scale > 1e-9 * scale[0]).sum())
    values = left[:, :rank].T @ (targets - targets.mean(0)) / scale[:rank, None]
    weights = cp.Variable((features.shape[1], d))
    program = cp.Problem(cp.Minimize(cp.sum(cp.norm(weights[: len(W)], 2, axis=1))), [right[:rank] @ weights == values])
    try:
        program.solve(solver=solver)
    except cp.SolverError as error:
        raise RuntimeError(f"the cone solver {solver} failed: {error}") from error
    if program.status != "optimal":
        raise RuntimeError(f"the cone solver ended with status {program.status!r}")
    A = weights.value
    constant = targets.mean(0) - features.mean(0) @ A
    # the equations above are those of least squares: with no exact solution they have one all the same
    miss = np.abs(features @ A + constant - targets).max()
    if miss > 1e-6:
        raise RuntimeError(f"no network of the dictionary denoises the samples: the best misses by {miss:.2g}")
    V = A[len(W) :].T if linear else np.zeros((d, d))
    parts = (W, b * size, A[: len(W)], constant * size, V)
    return ReLUNet(*(torch.from_numpy(np.ascontiguousarray(a)) for a in parts))


def train_denoisers(
    points: Tensor,
    rho: float,
    *,
    seeds: Sequence[int],
    decay: float | Sequence[float],
    neurons: int = 100,
    scale: tuple[float, float, float] = (0.5, 0.3, 0.1),
    rate: float = 1e-2,
    steps: int = 4000,
    samples: int = 24,
) -> list[ReLUNet]:
    """Networks trained by Adam on the mean squared error plus ``decay / 2 * sum_k (|a_k|**2 + |w_k|**2)``.

    One network a seed, all trained side by side on every sample in every step. The learning rate is
    held for 70 % of the steps and then falls to zero along a cosine.

    Args:
        points: training points, (N, d), floating.
        rho: radius of the balls, above 0.
        seeds: one for each network; each draws its initial weights from a generator of its own.
        decay: strength of the weight decay, one number or one for each seed; biases are free.
        neurons: width K, at least 1.
        scale: standard deviations of the initial W, b, A.
        rate: learning rate, above 0.
        steps: number of steps, at least 1.
        samples: samples on each sphere, as in :func:`ball_samples`; the points themselves are added.

    Returns:
        The networks, in the order of the seeds, float32 inside, float64 as returned.

    Raises:
        RuntimeError: a run left the finite numbers of float32.
    """
    d = _cloud(points)
    seeds = wholes("seeds", seeds, at_least=0, at_most=SEEDS - 1)
    decays = each("decay", decay, len(seeds), at_least=0.0).float()
    neurons, steps = whole("neurons", neurons, at_least=1), whole("steps", steps, at_least=1)
    scale, rate = numbers("scale", scale, length=3, at_least=0.0), number("rate", rate, above=0.0)
    samples, rho = whole("samples", samples, at_least=1), number("rho", rho, above=0.0)
    balls = ball_samples(points, rho, samples, generator=torch.Generator().manual_seed(0))
    Y = torch.cat([points[:, None], balls], 1)
    targets = points.repeat_interleave(Y.shape[1], 0).float()
    Y = Y.reshape(-1, d).float()
    draws = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        shapes = ((neurons, d), (neurons,), (neurons, d))
        normal = [torch.randn(*shape, generator=generator, dtype=torch.float32) for shape in shapes]
        draws.append([s * draw for s, draw in zip(scale, normal, strict=True)])
    W, b, A = (torch.stack(parts).requires_grad_() for parts in zip(*draws, strict=True))
    c = points.mean(0).float().repeat(len(seeds), 1).requires_grad_()
    optimizer = torch.optim.Adam([W, b, A, c], lr=rate)
    hold = 0.7 * steps
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: 1.0 if k < hold else (1 + math.cos(math.pi * (k - hold) / (steps - hold))) / 2
    )
    for _ in range(steps):
        hidden = torch.relu(torch.baddbmm(b[:, None], Y.expand(len(seeds), -1, -1), W.transpose(1, 2)))
        error = torch.baddbmm(c[:, None], hidden, A) - targets
        # a mean over samples and coordinates, a sum over networks: they do not see each other
        loss = error.square().mean((1, 2)).sum() + (decays / 2) @ (W.square() + A.square()).sum((1, 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    if not all(bool(p.isfinite().all()) for p in (W, b, A, c)):
        raise RuntimeError("training left the finite numbers: lower rate, decay, scale or rho")
    V = torch.zeros(d, d, dtype=torch.float64)
    return [ReLUNet(*(p[i].detach().double() for p in (W, b, A, c)), V) for i in range(len(seeds))]
