"""Drawings of the chapter greedy-orderings: arrays in, figure out; nothing is computed but axes' limits."""

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import continual, plotting
from . import _svg

__all__ = ["kinds", "miniature", "mixture", "probe", "trap", "two_walks"]

NAMES = {"distance": "greedy, by distance", "residual": "greedy, by residual", "nearest": "nearest first"}


def two_walks(directions: ArrayLike, walks: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """Two solution lines and a walk on each drawing: `directions` (2, 2); `walks` name -> (points (3, 2), squares)."""
    fig, axes = plt.subplots(1, len(walks), figsize=(6.0, 3.2))
    for ax, (name, (points, squares)) in zip(axes, walks.items(), strict=True):
        points, squares = np.asarray(points), np.asarray(squares)
        plotting.diagram(ax, name, xlim=(-0.12, 1.16), ylim=(-0.38, 0.98))
        for direction, degrees in zip(np.asarray(directions), ("30°", "60°"), strict=True):
            ax.plot(*np.outer(direction, [-0.08, 1.02]), color=plotting.MUTED, ls="-", lw=1, zorder=1)
            ax.text(*(1.08 * direction), degrees, ha="center", va="center", color=plotting.MUTED, fontsize=9.5)
        plotting.path(ax, *points.T, color=plotting.PREFER if name == "Greedy" else plotting.WITHOUT)
        plotting.ring(ax, 0, 0, size=6, color=plotting.INK, mew=1.2)
        ax.text(1.0, -0.08, "$w_0$", ha="center", va="top")
        sixteenths = [round(16 * v) for v in (*squares, (points[-1] ** 2).sum())]
        terms = ["3/4" if v == 12 else "1/4" if v == 4 else f"{v}/16" for v in sixteenths]
        ax.text(0.5, -0.24, f"steps {terms[0]} + {terms[1]}, left {terms[2]}", ha="center", va="top", fontsize=9.5)
    return fig


def kinds(curves: Mapping[str, Mapping[str, ArrayLike]]) -> Figure:
    """Loss along a pass: `curves` kind -> (name -> (seeds, k + 1))."""
    fig, axes = plt.subplots(1, len(curves), figsize=(8.7, 3.4), sharey=True)
    for ax, (kind, rows) in zip(axes, curves.items(), strict=True):
        for i, (name, values) in enumerate(rows.items()):
            values = np.asarray(values)
            step, style = np.arange(values.shape[1]), plotting.line((4, 0, 2, 1)[i])
            ax.fill_between(step, values.min(0), values.max(0), color=style["color"], alpha=0.15, lw=0)
            ax.plot(step, values.mean(0), **style, label=NAMES.get(name, name))
        ax.set(title=kind, xlabel="step, $t$", yscale="log", xlim=(0, None))
    axes[0].set(ylabel="loss / $R^2D_0$")
    axes[0].legend(loc="lower left", fontsize=8.8)
    return fig


def trap(path: ArrayLike, losses: ArrayLike) -> Figure:
    """Sizes of the coordinates (d, d) and losses (d, T), one row a step."""
    fig, axes = plt.subplots(1, 2, figsize=(6.0, 3.2))
    for ax, values, title, x, top in (
        (axes[0], path, "Coordinates of $w_t$", "coordinate", 0.2),
        (axes[1], losses, "Loss of each task", "task", 0.25),
    ):
        ax.imshow(np.asarray(values), vmin=0, vmax=top, extent=(0.5, values.shape[1] + 0.5, len(values) - 0.5, -0.5))
        ax.set(title=title, xlabel=x)
        ax.set_xticks([1, 10, 20, values.shape[1]])
    axes[0].set(ylabel="step, $t$")
    return fig


def mixture(shares: ArrayLike, losses: ArrayLike, bound: float) -> Figure:
    """Loss against the share of greedy steps: `losses` (shares, orders); a line at `bound`."""
    fig, ax = plt.subplots(figsize=(6.0, 3.0))
    losses = np.asarray(losses)
    ax.axhline(bound, **plotting.theory())
    error = 2 * losses.std(1, ddof=1) / math.sqrt(losses.shape[1])
    ax.errorbar(shares, losses.mean(1), error, **plotting.points(1))
    ax.set(xlabel="share of greedy steps", ylabel="loss after the pass", ylim=(0, None), xlim=(-0.03, 1.03))
    return fig


def probe(curves: Mapping[str, ArrayLike]) -> Figure:
    """Accuracy after t tasks: `curves` name -> (T,)."""
    fig, ax = plt.subplots(figsize=(6.0, 3.2))
    for i, (name, values) in enumerate(curves.items()):
        values = np.asarray(values)
        ax.plot(1 + np.arange(len(values)), values, **plotting.line((4, 0, 2, 1)[i]), label=NAMES.get(name, name))
    ax.set(xlabel="tasks learned, $t$", ylabel="accuracy on all tasks", xlim=(1, None))
    ax.set_xticks([1, 5, 10, 15, 20])
    ax.legend(loc="lower right")
    return fig


def miniature() -> str:
    """Loss along a greedy pass over the trap in 60 dimensions, and along a shuffled one."""
    one = continual.Trap(60)
    order = continual.random_orders(59, 59, replacement=False, generator=torch.Generator().manual_seed(0))[0]
    frame, parts = _svg.Frame(-2, 61, -0.006, 0.135, 150), []
    for kind, run in (("without", one.run(order=order)), ("prefer", one.run())):
        loss = run.loss[0, 1:].tolist()
        parts.append(frame.lines(kind, [(range(1, 60), loss)]))
        parts.append(frame.dots("ring" if kind == "prefer" else "disc", [(59, loss[-1])], 3.5))
    return _svg.svg(*parts, height=150)
