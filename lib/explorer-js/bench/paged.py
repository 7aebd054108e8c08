"""Page functions for the benchmark and the tests: one that answers within a frame, one that takes as long as asked."""

import math

import numpy as np

from implicitly.explorer import Choice, Explorer, Lines, Panel, Points, Seed, Slider, page_function, progress
from implicitly_kernels._rng_numba import normal_pair, philox


@page_function(
    {"rate": float, "pitch": float, "way": ("wave", "steps"), "seed": int},
    {"t": 400, "y": 400, "dots": (60, 2), "kind": 60, "mean": ()},
    whole=("kind",),
    tolerance=1e-12,
)
def waves(rate, pitch, way, seed, t, y, dots, kind, mean):
    """A decaying wave, with noisy samples of it."""
    zero = np.uint32(0)
    for i in range(t.size):
        t[i] = 4 * i / (t.size - 1)
        y[i] = math.exp(-rate * t[i]) * math.sin(pitch * t[i])
        if way == 1:
            y[i] = np.rint(4 * y[i]) / 4
        mean[0] += y[i] / t.size
    for i in range(kind.size):
        a, b, _, _ = philox(np.uint32(seed), zero, np.uint32(i), zero, zero, zero)
        noise, _ = normal_pair(a, b)
        k = 6 * i + 3
        dots[i, 0], dots[i, 1] = t[k], y[k] + 0.1 * noise
        kind[i] = 1 if noise > 0 else 0


@page_function({"size": int, "work": int}, {"t": 20, "y": 20}, tolerance=0, slow=True)
def slow(size, work, t, y):
    """A hundred thousand operations for each unit of `work`."""
    for k in range(work):
        progress(k, work)
        for i in range(100_000):
            y[i % y.size] += (i % size) * 1e-6
    for i in range(t.size):
        t[i] = i


def explorer():
    return Explorer(
        waves,
        [
            Choice("way", ["wave", "steps"], label="Way"),
            Slider("rate", np.linspace(0, 2, 21), default=0.5, label="Rate", format=".2f"),
            Slider("pitch", np.linspace(1, 20, 20), default=8.0, label="Pitch", format=".1f"),
            Seed("seed", 3),
        ],
        Panel(Points("dots", "kind"), Lines("t", "y", colors=(5,)), ylim=(-1.3, 1.3)),
        title="Waves",
        alt="A decaying wave with dots around it.",
        summary="Its mean is {mean:.4f}.",
    )


def slow_explorer():
    return Explorer(
        slow,
        [Slider("size", [5, 10], label="Size"), Slider("work", [1, 10, 100, 1000], default=1, label="Work")],
        Panel(Lines("t", "y"), ylim=(0, 100)),
        title="Slow",
        alt="A line.",
    )
