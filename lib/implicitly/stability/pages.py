"""What the explorers of the chapter stable-minima compute, in JupyterLab and in the page: kernels on one data set."""

import math

import numpy as np

from implicitly_kernels._rng_numba import normal_pair, philox
from implicitly_kernels.relu_gd._numba import _backward, _forward, _step, _sum

from ..explorer import page_function, progress
from .line_nets import GRID

__all__ = ["kinks"]

N, K, WIDE = 40, 100, 104  # points; neurons, and the multiple of eight that the kernel takes
SIGMA, LEAST = 0.3, 0.1  # of the labels' noise; jump of a kink that counts
ON_GRID = float(GRID)


@page_function(
    {"eta": float, "steps": int, "seed": int},
    {"x": 101, "truth": 101, "fit": 101, "data": (N, 2), "place": (N - 1, 2), "kinks": (), "dead": ()},
    work={"w": (3, WIDE), "sums": (2, WIDE), "points": (3, N), "turn": N + 1},
    tolerance=0,
    slow=True,
)
def kinks(
    eta: float, steps: int, seed: int, x: np.ndarray, truth: np.ndarray, fit: np.ndarray, data: np.ndarray,
    place: np.ndarray, kinks: np.ndarray, dead: np.ndarray, w: np.ndarray, sums: np.ndarray, points: np.ndarray,
    turn: np.ndarray,
) -> None:  # fmt: skip
    """Gradient descent on 40 noisy labels of the tent, from one start: the fit and the kinks that the data can see.

    The law of `stability.initial_nets` and `stability.noisy_labels`, drawn from the kernels' counter-based generator:
    element j of draw 0 is neuron j, element i of draw 1 is label i.
    """
    zero = np.uint32(0)
    for j in range(K):
        a, b, c, _ = philox(np.uint32(seed), zero, np.uint32(j), zero, zero, zero)
        first, second = normal_pair(a, b)
        knot = 2 * (np.float64(c) + 0.5) / 4294967296.0 - 1
        w[0, j] = np.rint(first * ON_GRID) / ON_GRID
        w[1, j] = np.rint(-w[0, j] * knot * ON_GRID) / ON_GRID
        w[2, j] = np.rint(second * math.sqrt(1 / K) * ON_GRID) / ON_GRID
    for i in range(N):
        a, b, _, _ = philox(np.uint32(seed), zero, np.uint32(i), zero, zero, np.uint32(1))
        first, _ = normal_pair(a, b)
        points[0, i] = -1 + 2 * i / (N - 1)
        points[1, i] = np.rint((max(1 - 2 * abs(points[0, i]), 0.0) + SIGMA * first) * ON_GRID) / ON_GRID
        data[i, 0], data[i, 1] = points[0, i], points[1, i]

    rate, bias = eta / N, 0.0
    for k in range(steps):
        if k % 1000 == 0:
            progress(k, steps)
        _forward(w[0], w[1], w[2], bias, points[0], points[1], points[2])
        _backward(w[0], w[1], points[0], points[2], sums[0], sums[1])
        _step(w[0], w[1], w[2], sums[0], sums[1], rate)
        bias -= rate * _sum(points[2])

    for i in range(x.size):
        x[i] = -1 + 2 * i / (x.size - 1)
        truth[i] = max(1 - 2 * abs(x[i]), 0.0)
        fit[i] = bias
        for j in range(K):
            fit[i] += w[2, j] * max(w[0, j] * x[i] + w[1, j], 0.0)
    off = 0
    for j in range(K):
        on = False
        for i in range(N):
            on = on or w[0, j] * points[0, i] + w[1, j] > 0
        off += 0 if on else 1
        if w[0, j] != 0:
            knot, gap = -w[1, j] / w[0, j], 0
            while gap < N and points[0, gap] < knot:
                gap += 1
            turn[gap] += w[2, j] * abs(w[0, j])
    dead[0] = off / K
    for i in range(N - 1):
        middle = (points[0, i] + points[0, i + 1]) / 2
        place[i, 0], place[i, 1] = middle, np.nan
        if abs(turn[i + 1]) > LEAST:
            kinks[0] += 1
            place[i, 1] = bias
            for j in range(K):
                place[i, 1] += w[2, j] * max(w[0, j] * middle + w[1, j], 0.0)
