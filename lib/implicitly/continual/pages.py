"""What the opening of random-orderings computes, in JupyterLab and in the page: lines learned in an order."""

import math

import numpy as np

from implicitly_kernels._rng_numba import philox
from implicitly_kernels.kaczmarz._numba import _dot, _move

from ..explorer import page_function

__all__ = ["fan"]

MOST = 300  # lines


@page_function(
    {"lines": ("even", "random"), "order": ("in order", "shuffled", "drawn"), "T": int, "seed": int},
    {"ends": (MOST, 2, 2), "path": (1, MOST + 1, 2), "last": (1, 2), "loss": 1, "final": ()},
    work={"angle": MOST, "deck": MOST, "basis": (MOST, 1, 2), "e": (1, 2)},
)
def fan(
    lines: int, order: int, T: int, seed: int, ends: np.ndarray, path: np.ndarray, last: np.ndarray, loss: np.ndarray,
    final: np.ndarray, angle: np.ndarray, deck: np.ndarray, basis: np.ndarray, e: np.ndarray,
) -> None:  # fmt: skip
    """T lines through 0, each learned once (or T draws), from the point (1, 0): the path and the mean loss at its end.

    Even: the lines of `continual.fan_tasks`. Random: angles uniform in [0, pi / 2), sorted. Element j of draw 0 of the
    kernels' counter-based generator is the angle of line j, of draw 1 the place of step j.
    """
    T = min(max(T, 1), MOST)
    key, zero = np.uint32(seed), np.uint32(0)
    for j in range(T):
        a, _, _, _ = philox(key, zero, np.uint32(j), zero, zero, zero)
        new, at = np.float64(a) / 4294967296.0 * math.pi / 2, j
        if lines == 0:
            new = (j + 1) * math.pi / (2 * T)
        while at > 0 and angle[at - 1] > new:
            angle[at] = angle[at - 1]
            at -= 1
        angle[at] = new
    for j in range(MOST):
        for k in range(2):
            ends[j, k, 0], ends[j, k, 1] = np.nan, np.nan
            path[0, j + 1, k] = np.nan
    for j in range(T):
        x, y = math.cos(angle[j]), math.sin(angle[j])
        ends[j, 0, 0], ends[j, 0, 1], ends[j, 1, 0], ends[j, 1, 1] = -0.2 * x, -0.2 * y, 1.1 * x, 1.1 * y
        basis[j, 0, 0], basis[j, 0, 1] = -y, x
        deck[j] = j
    e[0, 0] = 1.0
    path[0, 0, 0] = 1.0
    for t in range(T):
        a, _, _, _ = philox(key, zero, np.uint32(t), zero, zero, np.uint32(1))
        share, at = np.float64(a) / 4294967296.0, t
        if order == 1:
            at = t + int(share * (T - t))
        if order == 2:
            at = int(share * T)
        m = int(deck[at])
        if order == 1:
            deck[at] = deck[t]
        _move(e, 0, basis, m, 0, _dot(basis[m, 0], e[0]))
        path[0, t + 1, 0], path[0, t + 1, 1] = e[0, 0], e[0, 1]
    for j in range(T):
        along = _dot(basis[j, 0], e[0])
        final[0] += along * along / T
    last[0, 0], last[0, 1], loss[0] = e[0, 0], e[0, 1], final[0]
