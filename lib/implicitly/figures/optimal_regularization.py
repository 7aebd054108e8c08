"""Drawings of the chapter optimal-regularization: arrays in, figure out; nothing is computed but axes' limits."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import continual, plotting
from . import _svg

__all__ = ["along", "guarantees", "miniature", "odd_line", "two_ways"]


def two_ways(
    ways: Mapping[str, tuple[ArrayLike, int]],
    target: Mapping[str, str],
    level: float,
    s2: ArrayLike,
    filters: Mapping[str, ArrayLike],
) -> Figure:
    """Two ways to stop half-way, and what each leaves of every direction.

    Args:
        ways: name -> (errors (n, 2) along the way, index of the stop); the first a curve, the second steps.
        target: name -> text beside the stop. level: the first error at both stops.
        s2: (m,). filters: name -> factors (m,); the last is theory.
    """
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.4), width_ratios=(1, 1.35))
    ax = plotting.diagram(axes[0], "One task, two ways to hold on", xlim=(-0.6, 1.75), ylim=(-0.6, 1.3))
    around = np.linspace(0, 2 * np.pi, 200)
    for size in (0.2, 0.45, 0.7, 0.95):
        ax.plot(size * np.cos(around), 2 * size * np.sin(around), color=plotting.RULE, ls="-", lw=0.9)
    ax.plot([level, level], [0, 1.2], color=plotting.MUTED, ls=":", lw=1)
    (name, (curve, stop)), (other, (steps, end)) = ways.items()
    ax.plot(*np.asarray(curve).T, color=plotting.PREFER, ls="-", lw=1.6)
    plotting.disc(ax, *np.asarray(curve)[stop], size=8)
    ax.plot(*np.asarray(steps).T, color=plotting.WITHOUT, ls="-", lw=1.1, marker=".", ms=5)
    plotting.ring(ax, *np.asarray(steps)[end], size=8)
    plotting.disc(ax, 1, 1, size=6, color=plotting.INK)
    plotting.ring(ax, 0, 0, size=6, color=plotting.INK)
    ax.text(1.06, 1.02, "old weights", va="bottom")
    ax.text(0.06, -0.13, "solution of the task", va="center")
    ax.text(0.8, 0.5, f"{name} {target[name]}", color=plotting.PREFER, fontsize=9.5)
    ax.text(0.8, 0.33, f"{other} {target[other]}", color=plotting.WITHOUT, fontsize=9.5)
    ax = axes[1]
    for i, (name, g) in enumerate(filters.items()):
        ax.plot(s2, g, **(plotting.theory() if i >= len(filters) - 2 else plotting.line(i)), label=name)
    ax.set(xlabel=r"squared singular value, $\sigma^2/R^2$", ylabel="share that a step removes, $g$",
           xlim=(0, 1), ylim=(0, 1.45))  # fmt: skip
    ax.legend(loc="upper center", fontsize=8.8, ncols=3)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
    return fig


def odd_line(angle: float, steps: Sequence[float], *, title: str, note: Mapping[float, str]) -> Figure:
    """What one step on an odd line undoes: `steps` are effective step sizes, drawn from the unit point of a line."""
    fig, axes = plt.subplots(1, len(steps), figsize=(8.7, 2.3))
    across = np.array([np.sin(angle), -np.cos(angle)])
    for ax, h in zip(axes, steps, strict=True):
        plotting.diagram(ax, title.format(h), note[h], xlim=(-0.15, 1.3), ylim=(-0.12, 0.62))
        ax.plot([-0.1, 1.25], [0, 0], color=plotting.INK, ls="-", lw=1.6)
        ax.plot([-0.1 * np.cos(angle), 1.1 * np.cos(angle)], [-0.1 * np.sin(angle), 1.1 * np.sin(angle)],
                color=plotting.MUTED, ls="-", lw=1.1)  # fmt: skip
        end = np.array([1.0, 0.0]) - h * across[0] * across
        plotting.arrow(ax, (1.0, 0.0), tuple(end), gap=5)
        plotting.disc(ax, 1, 0, size=6)
        plotting.ring(ax, *end, size=6)
        ax.plot([end[0], end[0]], [0, end[1]], color=plotting.WITHOUT, ls=":", lw=1.2)
        plotting.ring(ax, 0, 0, size=5, color=plotting.INK)
        ax.text(0, -0.08, "$w^\\star$", ha="center", va="top", fontsize=9.5)
        ax.text(0.3, -0.05, "nine tasks", ha="left", va="top", fontsize=9.5)
        ax.text(0.62 * np.cos(angle), 0.62 * np.sin(angle) + 0.05, "odd task", ha="right", color=plotting.MUTED,
                fontsize=9.5)  # fmt: skip
    return fig


def guarantees(
    ks: ArrayLike,
    bounds: Mapping[str, ArrayLike],
    worst: Mapping[str, ArrayLike],
    angles: Mapping[str, ArrayLike],
    *,
    names: Mapping[str, str],
    lower: ArrayLike,
) -> Figure:
    """k times the guarantee, k times the worst loss, and the worst angle, against k.

    Args:
        ks: (K,). bounds, worst, angles: kind -> (K,). names: kind -> label. lower: k times the lower bound, (K,).
    """
    fig, axes = plt.subplots(1, 3, figsize=(8.7, 3.7))
    ks = np.asarray(ks, float)
    for ax, curves in zip(axes, (bounds, worst, angles), strict=True):
        for i, (kind, values) in enumerate(curves.items()):
            values = np.asarray(values) * (1 if ax is axes[2] else ks)
            ax.plot(ks, values, **{**plotting.line(i), "marker": plotting.MARKERS[i], "mfc": plotting.PAPER, "lw": 1.1},
                    label=names[kind])  # fmt: skip
        ax.set(xscale="log", xlabel="horizon, $k$")
        ax.set_xticks(ks, [f"{int(k)}" for k in ks])
        ax.minorticks_off()
    axes[0].set(yscale="log", ylabel=r"$k$ × guarantee", ylim=(2, 800))
    axes[1].plot(ks, lower, **plotting.theory())
    axes[1].set(ylabel=r"$k$ × loss at the worst angle", ylim=(0, 1.7))
    axes[1].text(ks[-1], 0.26, "lower bound", ha="right", fontsize=8.8, color=plotting.MUTED)
    axes[2].set(yscale="log", ylabel="worst angle, in radians")
    axes[2].set_yticks([0.05, 0.1, 0.2, 0.5, 1], ["0.05", "0.1", "0.2", "0.5", "1"])
    axes[2].minorticks_off()
    axes[0].legend(loc="upper left", fontsize=8.2)
    return fig


def along(t: ArrayLike, curves: Mapping[str, ArrayLike], made: tuple[ArrayLike, ArrayLike], *, horizon: int) -> Figure:
    """The guarantee along a run: `curves` name -> (n,) at the steps t, `made`: steps and values of others."""
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    for i, (name, values) in enumerate(curves.items()):
        ax.plot(t, values, **plotting.line(i), label=name)
    ax.plot(*made, "o", color=plotting.INK, mfc=plotting.PAPER, ms=6, ls="none", label="schedules made for that step")
    ax.set(xlabel="step, $t$", ylabel="guarantee", yscale="log", xlim=(0, horizon * 1.02))
    ax.legend(loc="upper right", fontsize=8.8)
    return fig


def miniature() -> str:
    """Errors on two lines in turn: learned to the end they zigzag, with growing regularization they come to rest."""
    k, start = 14, torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    tasks = continual.angle_pair(0.9)
    frame, parts = _svg.Frame(-0.03, 1.03, -0.45, 0.45, 190), []
    for kind, h in (
        ("without", continual.step_schedule("none", k)),
        ("prefer", continual.step_schedule("increasing", k, h0=0.7)),
    ):
        path, e = [(1.0, 0.0)], start
        for t in range(k):
            e = continual.run_tasks(
                e, tasks.basis, tasks.s2, order=torch.tensor([[t % 2]]), filter="ridge",
                strength=continual.strength_for("ridge", h[t : t + 1]),
            ).last  # fmt: skip
            path.append(tuple(e[0].tolist()))
        x, y = zip(*path, strict=True)
        parts.append(frame.lines(kind, [(x, y)]))
    return _svg.svg(*parts, frame.dots("disc", [(1.0, 0.0)], 3), frame.dots("ring", [(0.0, 0.0)], 3), height=190)
