"""Collections of linear regression tasks that one weight vector solves together.

Task m has a matrix ``X_m`` (n_m, d) and labels ``y_m``; its loss is ``L_m(w) = |X_m w - y_m|^2``. Everything the
chapters compute with comes from one singular value decomposition a task: an orthonormal basis of its rows, its
squared singular values, and where the solutions of the task lie along that basis. Chapters `random-orderings`,
`optimal-regularization`, `greedy-orderings`.

Everything is float64. Bad arguments raise TypeError or ValueError.
"""

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .._validate import F64, instances, number, tensor, whole
from .._validate import generator as checked_generator

__all__ = [
    "Tasks",
    "angle_pair",
    "equicorrelated_lines",
    "fan_tasks",
    "line_tasks",
    "orthogonal_tasks",
    "random_tasks",
]


class Tasks:
    """Jointly realizable tasks, decomposed once.

    Args:
        X: one matrix (n_m, d) a task, n_m >= 1, float64, not all of them 0.
        y: its labels (n_m,), float64; left out, zeros, so that weights are errors.
        start: weights before the first task, (d,), float64; left out, zeros.
        cut: singular values of a task up to `cut` times its largest count as 0; in (0, 1).

    Attributes:
        basis: ``V`` (T, r, d): orthonormal rows that span the rows of X_m, and then rows of zeros; r is the largest
            rank.
        s2: squared singular values (T, r), 0 where the basis has zeros.
        shift: ``V_m w`` (T, r) of every solution w of task m, from the data alone.
        ranks: (T,), int64.
        R: the largest singular value of all tasks.
        start: weights before the first task, (d,).

    Raises:
        ValueError: also where no weights solve all tasks, to 1e-9 of their size.

    >>> tasks = Tasks([torch.eye(2, dtype=F64)[:1]], [torch.ones(1, dtype=F64)])
    >>> tasks.solution.tolist(), tasks.R
    ([1.0, 0.0], 1.0)
    """

    def __init__(
        self, X: Sequence[Tensor], y: Sequence[Tensor] | None = None, start: Tensor | None = None, *, cut: float = 1e-10
    ):
        X, cut = list(instances("X", X, Tensor)), number("cut", cut, above=0.0, below=1.0)
        for m, x in enumerate(X):
            tensor(f"X[{m}]", x, shape=("n", "d" if m == 0 else X[0].shape[1]), dtype=F64)
            if not x.numel():
                raise ValueError(f"X[{m}] must have a row and a column, found shape {tuple(x.shape)}")
        self.d = X[0].shape[1]
        y = [x.new_zeros(len(x)) for x in X] if y is None else list(instances("y", y, Tensor, length=len(X)))
        y = [tensor(f"y[{m}]", v, shape=(len(x),), dtype=F64) for m, (x, v) in enumerate(zip(X, y, strict=True))]
        start = X[0].new_zeros(self.d) if start is None else tensor("start", start, shape=(self.d,), dtype=F64)
        self.X, self.y, self.start = tuple(X), tuple(y), start.clone()
        parts = _decomposed(X)
        self.R = max(s[0].item() for _, s, _ in parts)
        if not self.R > 0:
            raise ValueError("X must not be 0 in every task, found only zeros")
        self.ranks = torch.tensor([int((s > cut * s[0]).sum()) for _, s, _ in parts])
        T, r = len(X), int(self.ranks.max())
        self.basis, self.s2, self.shift = start.new_zeros(T, r, self.d), start.new_zeros(T, r), start.new_zeros(T, r)
        for m, ((U, s, Vh), n) in enumerate(zip(parts, self.ranks.tolist(), strict=True)):
            self.basis[m, :n], self.s2[m, :n] = Vh[:n], s[:n].square()
            self.shift[m, :n] = U[:, :n].T @ y[m] / s[:n]
        residual = max((x @ self.solution - v).abs().max().item() for x, v in zip(X, y, strict=True))
        size = self.R * (self.solution.norm() + start.norm()).item() + max(v.abs().max().item() for v in y)
        if residual > 1e-9 * size:
            raise ValueError(f"y must allow weights that solve all tasks, found a residual of {residual:.3g}")

    @property
    def T(self) -> int:
        """Number of tasks."""
        return len(self.basis)

    @property
    def mean_rank(self) -> float:
        """The average rank of a task."""
        return self.ranks.double().mean().item()

    @functools.cached_property
    def solution(self) -> Tensor:
        """``w*`` (d,): of the weights that solve all tasks, those nearest to the start."""
        rows = self.basis.reshape(-1, self.d)
        behind = (self.shift.reshape(-1) - rows @ self.start)[:, None]
        if len(rows) > 2 * self.d:  # the same least squares with d + 1 rows
            rows, behind = torch.linalg.qr(torch.cat([rows, behind], 1), mode="r").R.split([self.d, 1], 1)
        return self.start + torch.linalg.lstsq(rows, behind, rcond=1e-12, driver="gelsd").solution[:, 0]

    @property
    def error(self) -> Tensor:
        """``w_0 - w*`` (d,)."""
        return self.start - self.solution


def _decomposed(X: list[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """U, s and V^T of each matrix; those of one shape together."""
    found: list = [None] * len(X)
    for n in {len(x) for x in X}:
        places = [m for m, x in enumerate(X) if len(x) == n]
        parts = torch.linalg.svd(torch.stack([X[m] for m in places]), full_matrices=False)
        for i, m in enumerate(places):
            found[m] = tuple(part[i] for part in parts)
    return found


def random_tasks(T: int, d: int, r: int, *, condition: float = 1.0, generator: torch.Generator) -> Tasks:
    """Tasks of r Gaussian rows in d dimensions and a Gaussian teacher, all scaled so that R = 1.

    Args:
        T: number of tasks, at least 1.
        d: dimension, at least 1.
        r: rows of each task, from 1 to d.
        condition: largest over smallest variance of a coordinate, at least 1; between them a geometric sequence.
            1 makes the rows isotropic.
        generator: source of the rows and of the teacher, on the CPU.
    """
    T, d = whole("T", T, at_least=1), whole("d", d, at_least=1)
    r, condition = whole("r", r, at_least=1, at_most=d), number("condition", condition, at_least=1.0, at_most=1e12)
    checked_generator("generator", generator, device="cpu")
    X = torch.randn(T, r, d, generator=generator, dtype=F64)
    X = X * torch.logspace(0, -0.5 * math.log10(condition), d, dtype=F64)
    X = X / torch.linalg.matrix_norm(X, 2).max()
    y = X @ torch.randn(d, generator=generator, dtype=F64)
    return Tasks(X.unbind(), y.unbind())


def line_tasks(directions: Tensor, start: Tensor) -> Tasks:
    """Tasks whose solutions are lines through 0; their rows are orthonormal, of rank d - 1.

    Args:
        directions: one direction a task, (T, d), d >= 2, float64, none of them 0.
        start: weights before the first task, (d,), float64.
    """
    directions = tensor("directions", directions, shape=("T", "d"), dtype=F64)
    T, d = directions.shape
    if not T or d < 2:
        raise ValueError(f"directions must have a row and two columns, found shape {(T, d)}")
    lengths = directions.norm(dim=1)
    if not (lengths > 0).all():
        raise ValueError(f"directions must not be 0, found 0 in row {int((lengths == 0).nonzero()[0])}")
    start = tensor("start", start, shape=(d,), dtype=F64)
    # The rows of a full V^T after the first span what is orthogonal to the direction.
    across = torch.linalg.svd((directions / lengths[:, None])[:, None]).Vh[:, 1:]
    return Tasks(across.unbind(), start=start)


def _in_plane(angles: Tensor) -> Tensor:
    return torch.stack([angles.cos(), angles.sin()], 1)


def fan_tasks(T: int, *, tilt: float = 0.0) -> Tasks:
    """T solution lines in the plane, at the angles ``j pi / (2 T)``, j = 1..T, and a unit start at the angle -`tilt`.

    Without a tilt the last line is orthogonal to the start. In this order the iterate keeps the length
    ``cos(pi / 2T)^T``, and the average loss tends to 1/2.

    Args:
        T: number of lines, at least 1.
        tilt: angle in radians, in [0, pi / 2].
    """
    T, tilt = whole("T", T, at_least=1), number("tilt", tilt, at_least=0.0, at_most=math.pi / 2)
    angles = torch.arange(1, T + 1, dtype=F64) * (math.pi / (2 * T))
    start = torch.tensor([math.cos(tilt), -math.sin(tilt)], dtype=F64)
    return line_tasks(_in_plane(angles), start)


def angle_pair(theta: float) -> Tasks:
    """Two solution lines in the plane at the angle `theta`, in (0, pi / 2], and a unit start halfway between them."""
    theta = number("theta", theta, above=0.0, at_most=math.pi / 2)
    angles = torch.tensor([-theta / 2, theta / 2], dtype=F64)
    return line_tasks(_in_plane(angles), torch.tensor([1.0, 0.0], dtype=F64))


def equicorrelated_lines(T: int) -> Tasks:
    """T lines in T dimensions, any two with squared cosine ``(T - 1) / T``, and a unit start along their mean.

    Every order loses the same, and the greedy bound `greedy_line_bound` is nearly attained. T at least 2.
    """
    T = whole("T", T, at_least=2)
    # I + b J has these cosines for the right b: two rows meet at 2b + T b^2, each has length^2 1 + 2b + T b^2.
    cosine = math.sqrt((T - 1) / T)
    b = (math.sqrt(1 + T * cosine / (1 - cosine)) - 1) / T
    rows = torch.eye(T, dtype=F64) + b
    return line_tasks(rows, torch.full((T,), T**-0.5, dtype=F64))


def orthogonal_tasks(T: int) -> Tasks:
    """One row ``e_m`` a task in T dimensions, and the unit solution ``1 / sqrt(T)``: what is not seen is not known.

    T at least 1.
    """
    T = whole("T", T, at_least=1)
    rows = torch.eye(T, dtype=F64)[:, None]
    return Tasks(rows.unbind(), list(torch.full((T, 1), T**-0.5, dtype=F64)))
