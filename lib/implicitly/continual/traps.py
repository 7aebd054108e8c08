"""Collections in which learning the farthest task first ends badly. Chapter `greedy-orderings`."""

import math

import numpy as np
import torch
from torch import Tensor

from .._validate import F64, flag, tensor, whole
from .runs import Run
from .tasks import Tasks

__all__ = [
    "SPACE_TRAP_LIMIT",
    "Trap",
    "space_trap",
    "space_trap_loss",
]

#: What the loss of `space_trap` after one greedy pass tends to as K grows.
SPACE_TRAP_LIMIT = math.exp(-8) * (1 - math.exp(-2)) ** 2 / 8


def space_trap(K: int) -> Tasks:
    """4 K - 1 tasks in three dimensions: greedy takes all lines first, and the planes then undo what the lines did.

    K - 1 and K copies of the lines along ``(0, +-sin(1/sqrt(K)), cos(1/sqrt(K)))``, then K copies each of the planes
    spanned by ``(1, 0, 1) / sqrt(2)`` and ``(0, +-sin(1/(2 sqrt(K))), cos(1/(2 sqrt(K))))``. The start, of length 1, is
    on the first line, and w* = 0. Rows are orthonormal, of rank 2 and 1. After Tsipory et al. (2025), Example 5.1.

    K at least 2.
    """
    K = whole("K", K, at_least=2, at_most=10**5)
    wide, narrow = 1 / math.sqrt(K), 1 / (2 * math.sqrt(K))
    lines = torch.tensor([[0, s * math.sin(wide), math.cos(wide)] for s in (1, -1)], dtype=F64)
    half = math.sqrt(0.5)
    planes = torch.tensor([[[0, s * math.sin(narrow), math.cos(narrow)], [half, 0, half]] for s in (1, -1)], dtype=F64)
    across_lines = torch.linalg.svd(lines[:, None]).Vh[:, 1:]
    across_planes = torch.linalg.svd(planes).Vh[:, 2:]
    X = [across_lines[0]] * (K - 1) + [across_lines[1]] * K + [across_planes[0]] * K + [across_planes[1]] * K
    return Tasks(X, start=lines[0])


class Trap:
    """d - 1 tasks in d dimensions: one greedy pass ends with loss at least 1/8 - 1/(4 d). A step costs O(d).

    Greedy walks the path ``w_1 = e_1``, ``w_t = (x_t, a_t, ..., a_t, 0, ..., 0)`` with a_t in the places 2..t,
    t = 2..d. Task m (m = 0..d-2, t = m + 2) has the orthonormal rows ``u_t`` along ``w_t - w_{t-1}``, and
    ``e_{t+1}, ..., e_d``; w* = 0, R = 1, and the start e_1 has length 1. Each task adds a coordinate that those before
    it mind. After Tsipory et al. (2025), Theorem 5.2, derived anew; that greedy takes the tasks in their order is seen
    by running it.

    Args:
        d: dimension, from 8 to 10**5; below 8 the path does not exist.

    >>> trap = Trap(30)
    >>> done = trap.run()
    >>> bool((done.order == torch.arange(29)).all()), round(done.loss[0, -1].item(), 5)
    (True, 0.12801)
    """

    def __init__(self, d: int):
        self.d = whole("d", d, at_least=8, at_most=10**5)
        t = np.arange(2, d + 1, dtype=np.float64)
        c = 2.0 ** (-1 / d)
        beta = c ** (2 * t - 5) / d * ((t - 1) * c - (t - 2))
        a = c ** (t - 2) / math.sqrt(d)
        x = np.empty(d)
        x[0] = 1.0
        first = np.empty(d - 1)  # x_t - x_{t-1}, from the root that loses nothing
        for i in range(d - 1):
            square = x[i] * x[i] - 4 * beta[i]
            if square < 0:
                raise ValueError(f"d must give a path, found a negative square root in step {i + 2} for d = {d}")
            first[i] = -2 * beta[i] / (x[i] + math.sqrt(square))
            x[i + 1] = x[i] + first[i]
        middle = np.diff(a, prepend=a[0])  # a_t - a_{t-1}; no middle at t = 2
        length = np.sqrt(first**2 + (t - 2) * middle**2 + a**2)
        self._x, self._a = x, a
        self._first, self._middle, self._new = first / length, middle / length, a / length

    @property
    def T(self) -> int:
        """Number of tasks, d - 1."""
        return self.d - 1

    def path(self) -> Tensor:
        """The iterates w_1, ..., w_d as rows, (d, d), float64; memory for d^2 numbers."""
        rows = np.tril(np.repeat(np.concatenate([[0.0], self._a])[:, None], self.d, 1))
        rows[:, 0] = self._x
        return torch.from_numpy(rows)

    def _along(self, v: np.ndarray) -> np.ndarray:
        """``u_t . v`` of every task."""
        between = np.concatenate([[0.0], np.cumsum(v[1:-1])])  # v_2 + ... + v_{t-1}
        return self._first * v[0] + self._middle * between + self._new * v[1:]

    def _distances(self, v: np.ndarray, along: np.ndarray) -> np.ndarray:
        tail = np.concatenate([np.cumsum((v * v)[:1:-1])[::-1], [0.0]])  # v_{t+1}^2 + ... + v_d^2
        return along * along + tail

    def _moved(self, v: np.ndarray, m: int, along: float) -> np.ndarray:
        v = v.copy()
        v[0] -= along * self._first[m]
        v[1 : m + 1] -= along * self._middle[m]
        v[m + 1] -= along * self._new[m]
        v[m + 2 :] = 0.0
        return v

    def distances(self, e: Tensor) -> Tensor:
        """Every task's loss at the error `e` (d,), float64, which is its squared distance too; (T,), in O(d)."""
        v = tensor("e", e, shape=(self.d,), dtype=F64).detach().cpu().numpy()
        return torch.from_numpy(self._distances(v, self._along(v)))

    def step(self, e: Tensor, m: int) -> Tensor:
        """The error (d,), float64, after learning task `m`, from 0 to d - 2, from the error `e`; in O(d)."""
        v = tensor("e", e, shape=(self.d,), dtype=F64).detach().cpu().numpy()
        m = whole("m", m, at_least=0, at_most=self.d - 2)
        return torch.from_numpy(self._moved(v, m, self._along(v)[m]))

    def run(self, *, order: Tensor | None = None, repetition: bool = False, steps: int | None = None) -> Run:
        """One trajectory from e_1, greedy or in a given order.

        Args:
            order: tasks (k,), int64; left out, always the task farthest away, the lowest index among equals.
            repetition: whether greedy may take a task again.
            steps: number of greedy steps; d - 1 if left out, and no more than that without repetition.

        Returns:
            A `Run`, float64, with B = 1 and the mean loss after 0, 1, ..., k steps.
        """
        repetition, T = flag("repetition", repetition), self.T
        if order is not None:
            order = tensor("order", order, shape=("k",), dtype=torch.int64, at_least=0, at_most=T - 1)
            if repetition or steps is not None:
                raise ValueError("repetition and steps must be left out with an order, found one")
            given = order.tolist()
        k = T if steps is None else whole("steps", steps, at_least=0, at_most=10**7 if repetition else T)
        k = k if order is None else len(given)
        v = np.zeros(self.d)
        v[0] = 1.0
        open_, chosen, lengths, losses = np.ones(T, dtype=bool), [], [], []
        for t in range(k + 1):
            along = self._along(v)
            scores = self._distances(v, along)
            losses.append(scores.mean())
            if t == k:
                break
            # numpy's argmax takes the first among equals
            m = given[t] if order is not None else int(np.where(open_, scores, -1.0).argmax())
            open_[m] = repetition
            chosen.append(m)
            lengths.append(scores[m])
            v = self._moved(v, m, along[m])
        rows = (torch.tensor(one, dtype=F64)[None] for one in (lengths, losses))
        return Run(torch.from_numpy(v)[None], torch.tensor(chosen, dtype=torch.int64)[None], *rows)

    def tasks(self) -> Tasks:
        """The same collection as `Tasks`; memory for d^3 / 2 numbers, d at most 200."""
        if self.d > 200:
            raise ValueError(f"d must be at most 200 for a dense collection, found {self.d}")
        X = []
        for m in range(self.T):
            rows = torch.zeros(self.d - m - 1, self.d, dtype=F64)
            rows[0, 0], rows[0, 1 : m + 1], rows[0, m + 1] = self._first[m], self._middle[m], self._new[m]
            rows[1:, m + 2 :] = torch.eye(self.d - m - 2, dtype=F64)
            X.append(rows)
        start = torch.zeros(self.d, dtype=F64)
        start[0] = 1.0
        return Tasks(X, start=start)


def space_trap_loss(K: int) -> float:
    """The loss of `space_trap` after one greedy pass, in closed form; it tends to `SPACE_TRAP_LIMIT`.

    Greedy jumps between the lines until all are done, then between the planes, whose common direction it leaves alone.

    K from 2 to 10**5.
    """
    K = whole("K", K, at_least=2, at_most=10**5)
    a, b = 1 / math.sqrt(K), 1 / (2 * math.sqrt(K))
    s, c, half, across = math.sin(b), math.cos(b), math.sqrt(0.5), math.sqrt(1 + math.sin(b) ** 2)
    left = math.cos(2 * a) ** (2 * K - 1)  # the length after the lines, on the second of them
    # along (1, 0, 1) / sqrt(2); (1, 0, -1) / sqrt(2) and (0, 1, 0), where the planes are lines
    common, p, y = left * math.cos(a) * half, -left * math.cos(a) * half, -left * math.sin(a)
    turn = (1 - 3 * s * s) / (1 + s * s)
    length = (c * p - math.sqrt(2) * s * y) / across * turn ** (2 * K - 1)
    p, y = length * c / across, length * math.sqrt(2) * s / across
    e = ((common + p) * half, y, (common - p) * half)
    size = sum(v * v for v in e)
    first, second = (size - (sign * math.sin(a) * e[1] + math.cos(a) * e[2]) ** 2 for sign in (1, -1))
    return ((K - 1) * first + K * second + K * length**2 * (1 - turn * turn)) / (4 * K - 1)
