"""Drawings of the chapter random-orderings: arrays in, figure out; nothing is computed but axes' limits."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import continual, plotting
from . import _svg

__all__ = ["by_hand", "four_bounds", "miniature", "orders", "spread", "triangle", "tuned"]


def _line(ax, point, angle, reach, **style):
    """A line through `point` at `angle` in radians, `reach` long to both sides."""
    along = reach * np.array([math.cos(angle), math.sin(angle)])
    ends = np.stack([point - along, point + along])
    ax.plot(*ends.T, **{"color": plotting.MUTED, "ls": "-", "lw": 1.0, "zorder": 1, **style})


def by_hand(angle: float, path: ArrayLike) -> Figure:
    """Two lines through 0 at `angle` apart, the first along x, and the projections `path` (3, 2)."""
    fig, axes = plt.subplots(1, 3, figsize=(8.7, 2.7))
    path = np.asarray(path)
    box = {"xlim": (-0.35, 1.3), "ylim": (-0.4, 1.05)}
    titles = (("Task 1 is solved", "$w_0$ lies on its line"), ("Learn task 2", "forget some of task 1"),
              ("Learn task 1 again", "forget less of task 2"))  # fmt: skip
    for k, (ax, (title, note)) in enumerate(zip(axes, titles, strict=True)):
        plotting.diagram(ax, title, note, **box)
        for one in (0.0, angle):
            _line(ax, np.zeros(2), one, 1.25, clip_on=True)
        ax.text(1.28, -0.06, "task 1", ha="right", va="top", color=plotting.MUTED, fontsize=9.5)
        ax.text(0.52, 0.98, "task 2", ha="right", va="top", color=plotting.MUTED, fontsize=9.5)
        plotting.ring(ax, 0, 0, size=6, color=plotting.INK, mew=1.2)
        ax.text(-0.05, -0.08, r"$w^\star$", ha="right", va="top")
        for start, end in pairwise(path[: k + 1]):
            plotting.arrow(ax, start, end, gap=3.5)
        plotting.disc(ax, *path[: k + 1].T, size=5.5)
    axes[0].text(path[0, 0], 0.08, "$w_0$", ha="center", va="bottom")
    axes[1].text(path[1, 0] - 0.06, path[1, 1] + 0.02, "$w_1$", ha="right", va="bottom")
    axes[1].text(0.72, 0.28, r"$\sqrt{3}/2$", ha="left", va="bottom")
    axes[1].text(0.06, 0.28, r"$1/2$", ha="right", va="bottom")
    axes[2].text(path[2, 0], -0.08, "$w_2$", ha="center", va="top")
    return fig


def orders(
    angles: Sequence[float],
    paths: Mapping[str, ArrayLike],
    sizes: Mapping[str, ArrayLike],
    curves: Mapping[str, ArrayLike],
) -> Figure:
    """A fan learned in two orders, then the loss after one pass against the number of tasks.

    Args:
        angles: of the lines, (T,), radians. paths: title -> (T + 1, 2), two of them.
        sizes: name -> numbers of tasks. curves: name -> losses.
    """
    fig, axes = plt.subplots(1, 3, figsize=(8.7, 3.0), width_ratios=(1, 1, 1.35))
    for ax, (title, path) in zip(axes, paths.items(), strict=False):
        plotting.diagram(ax, title, xlim=(-0.4, 1.12), ylim=(-0.4, 1.12))
        for angle in angles:
            _line(ax, np.zeros(2), float(angle), 1.1, color=plotting.RULE)
        good = ax is axes[1]
        color = plotting.PREFER if good else plotting.WITHOUT
        plotting.path(ax, *np.asarray(path).T, color=color, hollow=not good, heads=2)
        ax.text(1.02, -0.07, "start", ha="center", va="top", color=plotting.MUTED, fontsize=9.5)
    ax = axes[2]
    for i, (name, values) in enumerate(curves.items()):
        ax.plot(sizes[name], values, **plotting.points(i), label=name)
        ax.plot(sizes[name], values, **{**plotting.line(i), "lw": 1.0})
    ax.set(xscale="log", yscale="log", xlabel="tasks, $T$", ylabel="average loss after one pass", ylim=(1e-4, 1.2))
    ax.legend(loc="lower left")
    return fig


def four_bounds(
    k: ArrayLike,
    bounds: Mapping[str, ArrayLike],
    runs: Mapping[str, ArrayLike],
    regions: np.ndarray,
    names: Sequence[str],
    *,
    extent: tuple[float, float, float, float],
) -> Figure:
    """Four bounds with exact curves; where in the plane of k and codimension each is the smallest.

    Args:
        k: (K,). bounds, runs: name -> (K,), two of them. regions: (H, W) whole numbers, a place in `names`.
        extent: (k from, k to, codimension from, to), on logarithmic axes.
    """
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.7))
    ax = axes[0]
    for i, (name, values) in enumerate(bounds.items()):
        ax.plot(k, values, **plotting.line(i), label=name)
    for marker, (name, values) in zip("+x", runs.items(), strict=True):
        ax.plot(k, values, color=plotting.MUTED, ls="-", lw=0.8, marker=marker, ms=5, mew=1.0, label=name)
    ax.set(xscale="log", yscale="log", xlabel="steps, $k$", ylabel=r"loss over $R^2D_0$", ylim=(1e-6, 1e3))
    ax.legend(loc="upper right", fontsize=9, ncols=2, columnspacing=1.0)
    ax = axes[1]
    faint = ListedColormap([plotting.PALETTE[i] for i in range(len(names))])
    x = np.geomspace(*extent[:2], regions.shape[1] + 1)
    y = np.geomspace(*extent[2:], regions.shape[0] + 1)
    ax.pcolormesh(x, y, regions, cmap=faint, vmin=-0.5, vmax=len(names) - 0.5, alpha=0.3, rasterized=True)
    for i, name in enumerate(names):
        rows, columns = np.nonzero(np.asarray(regions) == i)
        if len(rows):
            place = math.sqrt(x[columns.min()] * x[columns.max() + 1]) if i else 2.15
            ax.text(place, y[int(np.median(rows))], name, ha="center" if i else "left", va="center", fontsize=10)
    ax.set(xscale="log", yscale="log", xlabel="steps, $k$", ylabel=r"$d-\bar r$", xlim=extent[:2], ylim=extent[2:])
    return fig


def tuned(k: ArrayLike, curves: Mapping[float, ArrayLike], bound: ArrayLike) -> Figure:
    """Expected loss of two lines: `curves` angle in degrees -> (K,), and the bound (K,) above them all."""
    fig, ax = plt.subplots(figsize=(6.0, 3.4))
    for i, (angle, values) in enumerate(curves.items()):
        ax.plot(k, values, **plotting.line(i), label=f"{angle:g}°")
    ax.plot(k, bound, **plotting.theory(), label=r"$1/(e(k-1))$")
    ax.set(xscale="log", yscale="log", xlabel="steps, $k$", ylabel="expected loss", ylim=(1e-5, 1))
    ax.legend(loc="lower left", title="angle between the lines", ncols=2)
    return fig


def spread(losses: ArrayLike, exact: float, median: float) -> Figure:
    """Losses of many orders (B,) on a logarithmic axis, with their exact mean and their median."""
    fig, ax = plt.subplots(figsize=(6.0, 2.8))
    edges = np.geomspace(1e-8, 1, 49)
    ax.hist(np.asarray(losses), edges, color=plotting.PALETTE[0], alpha=0.35)
    for value, name, color, side in ((median, "median", plotting.WITHOUT, "right"),
                                     (exact, "exact mean", plotting.PREFER, "left")):  # fmt: skip
        ax.axvline(value, color=color, ls="-", lw=1.5)
        place = value * (1.25 if side == "left" else 0.8)
        ax.text(place, 0.95, name, color=color, ha=side, va="top", transform=ax.get_xaxis_transform())
    ax.set(xscale="log", xlabel="average loss after one shuffled pass", ylabel="orders", xlim=(1e-8, 1))
    return fig


def triangle(
    points: ArrayLike, angles: Sequence[float], path: ArrayLike, steps: ArrayLike, rows: Mapping[str, ArrayLike]
) -> Figure:
    """Lines that do not meet.

    Args:
        points: one of each line, (3, 2). angles: (3,), radians. path: (n, 2).
        steps: (K,). rows: name -> (K,) values; the first is measured, the others are bounds.
    """
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.1), width_ratios=(1, 1.5))
    ax = plotting.diagram(axes[0], "No point solves all three", xlim=(-2.6, 3.2), ylim=(-2.4, 2.4))
    for point, angle in zip(np.asarray(points), angles, strict=True):
        _line(ax, point, float(angle), 5.0)
    plotting.path(ax, *np.asarray(path).T, color=plotting.WITHOUT, hollow=True, heads=3)
    plotting.ring(ax, 0, 0, size=6, color=plotting.INK, mew=1.2)
    ax = axes[1]
    for i, (name, values) in enumerate(rows.items()):
        ax.plot(steps, values, **({**plotting.line(0)} if i == 0 else plotting.theory()), label=name)
    ax.set(xscale="log", yscale="log", xlabel="steps, $k$", ylabel=r"mean squared distance over $D_0$", ylim=(0.03, 2))
    ax.legend(loc="lower left")
    return fig


def miniature() -> str:
    """A fan of seven lines learned in order (without) and shuffled (prefer)."""
    tasks = continual.fan_tasks(7)
    frame, parts = _svg.Frame(-0.08, 1.08, -0.08, 1.08), []
    for kind, order in (("without", list(range(7))), ("prefer", [2, 6, 0, 4, 1, 5, 3])):
        path = [tasks.error]
        for k in range(1, 8):
            path.append(continual.learn(tasks, order=torch.tensor([order[:k]])).last[0])
        parts.append(frame.lines(kind, [(torch.stack(path)[:, 0], torch.stack(path)[:, 1])]))
    return _svg.svg(*parts, frame.dots("disc", [(0, 0)], 5))
