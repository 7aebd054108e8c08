"""Drawings of the chapter xor-clusters: arrays in, figure out; nothing is computed but means and ranges over seeds."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from .. import feature_learning, plotting
from . import _svg

__all__ = ["by_hand", "learning", "miniature", "neurons", "ratio"]


def by_hand(points: ArrayLike, y: ArrayLike, theta: ArrayLike, arrows: ArrayLike) -> Figure:
    """Two drawings of the plane of the centres: one straight line's score, and four neurons that tell XOR apart.

    Args:
        points: (n, 2). y: labels (n,), 1 or -1; equal points are drawn one above the other.
        theta: (2,), the direction of the linear score.
        arrows: (4, 2), directions of neurons, the first two for label 1.
    """
    fig, axes = plt.subplots(1, 2, figsize=(6.0, 3.3))
    for ax, title in zip(axes, ("One step", "Later"), strict=True):
        plotting.diagram(ax, title, xlim=(-1.65, 1.65), ylim=(-1.65, 1.65))
        side = 1 if title == "Later" else 0
        if side:
            for sign in (1, -1):
                plotting.region(ax, [0, sign * 1.6, sign * 1.6], [0, 1.6, -1.6])
        else:
            plotting.region(ax, [0, -1.6, -1.6, 0], [-1.6, -1.6, 1.6, 1.6])
        seen = []
        for point, label in zip(np.asarray(points, float), np.asarray(y), strict=True):
            x0, y0 = point + np.array([0.0, 0.3 * seen.count(tuple(point))])
            seen.append(tuple(point))
            dot, color = (plotting.disc, plotting.PREFER) if label > 0 else (plotting.ring, plotting.WITHOUT)
            dot(ax, x0, y0, size=9, color=color)
    plotting.arrow(axes[0], (0, 0), tuple(0.75 * np.asarray(theta, float)), color=plotting.INK)
    axes[0].text(-0.4, 0.12, r"$\theta$", ha="center")
    for k, arrow in enumerate(np.asarray(arrows, float)):
        plotting.arrow(axes[1], (0, 0), tuple(0.75 * arrow), color=plotting.WITHOUT if k > 1 else plotting.PREFER)
    return fig


def learning(at: Sequence[int], curves: Mapping[str, Tensor]) -> Figure:
    """Accuracy on new points along training: `at` (K,), `curves` name -> (seeds, K); mean and range over seeds."""
    fig, ax = plt.subplots(figsize=(6.0, 3.3))
    for i, (name, values) in enumerate(curves.items()):
        values, style = np.asarray(values), plotting.line(i)
        ax.fill_between(at, values.min(0), values.max(0), color=style["color"], alpha=0.18, lw=0)
        ax.plot(at, values.mean(0), **style, label=name)
    ax.set(xlabel="step", ylabel="accuracy on new points", xscale="log", xlim=(1, at[-1]), ylim=(0.45, 1.02))
    ax.set_xticks([1, 2, 3, 5, 10, 20, 40], ["1", "2", "3", "5", "10", "20", "40"])
    ax.minorticks_off()
    ax.legend(loc="center right")
    return fig


def neurons(panels: Mapping[str, ArrayLike], a: ArrayLike) -> Figure:
    """Weights in the plane of the centres: `panels` title -> (m, 2), coloured by the sign of `a` (m,)."""
    fig, axes = plt.subplots(1, len(panels), figsize=(8.7, 3.1))
    positive = np.asarray(a) > 0
    for ax, (title, W) in zip(axes, panels.items(), strict=True):
        W = np.asarray(W)
        W = W / np.abs(W).max()
        ax.axhline(0, color=plotting.RULE, lw=1, zorder=0)
        ax.axvline(0, color=plotting.RULE, lw=1, zorder=0)
        plotting.ring(ax, *W[~positive].T, size=4.5, mew=1.0, label="$a_j<0$")
        plotting.disc(ax, *W[positive].T, size=4, label="$a_j>0$")
        ax.set(title=title, xlabel=r"along $\mu_1$", aspect="equal", xlim=(-1.1, 1.1), ylim=(-1.1, 1.1))
        ax.set_xticks([]), ax.set_yticks([])
    axes[0].set(ylabel=r"along $\mu_2$")
    axes[-1].legend(loc="upper right", fontsize=9, handletextpad=0.2)
    return fig


def ratio(kappas: Sequence[float], rows: Mapping[tuple[int, int], ArrayLike], one_step: ArrayLike) -> Figure:
    """Accuracy at the end against kappa: `rows` (N, d) -> (kappas, seeds); `one_step`, of the separable labels."""
    fig, ax = plt.subplots(figsize=(6.0, 3.4))
    ax.plot(kappas, one_step, **plotting.theory(), label="separable labels, one step")
    sizes = sorted({N for N, _ in rows})
    for (N, d), values in rows.items():
        first = d == min(other for n, other in rows if n == N)
        style = plotting.points(sizes.index(N) + (0 if first else 2))
        ax.plot(kappas, np.asarray(values).mean(1), **style, label=f"$N={N}$, $d={d}$")
    ax.set(xlabel=r"$\kappa=\|\mu\|^2/\sqrt{d}$", ylabel="accuracy on new points", xscale="log", ylim=(0.45, 1.02))
    ax.set_xticks(kappas, [f"{k:g}" for k in kappas])
    ax.minorticks_off()
    ax.legend(loc="lower right", fontsize=9)
    return fig


def miniature() -> str:
    """Accuracy at training points and at new ones along 20 steps."""
    g = torch.Generator().manual_seed(0)
    data = feature_learning.draw_clusters(200, 20_000, 25.0, 0.15, new=2000, generator=g)
    run = feature_learning.train(data, eta=8 * 200 / 20_000, steps=20)
    seen = feature_learning.accuracy(run.scores, data.y).tolist()
    new = feature_learning.accuracy(run.new_scores, data.y_new).tolist()
    frame = _svg.Frame(-1, 21, 0.44, 1.06, 150)
    parts = [frame.lines("without", [(range(21), seen)]), frame.lines("prefer", [(range(21), new)])]
    parts.append(frame.dots("disc", [(20, new[-1])], 3.5))
    parts.append(frame.dots("ring", [(1, seen[1])], 3.5))
    return _svg.svg(*parts, height=150)
