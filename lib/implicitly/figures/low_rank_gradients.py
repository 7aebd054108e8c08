"""Drawings of the chapter low-rank-gradients: arrays in, figure out; nothing is computed but axes' limits."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import low_rank, plotting
from . import _svg

__all__ = ["arcs", "by_hand", "miniature", "reuse", "turned"]


def by_hand(gradient: Sequence[float], plans: Mapping[str, tuple[str, ArrayLike, Sequence[float]]]) -> Figure:
    """A gradient with two directions and what each plan makes of it.

    Args:
        gradient: (2,), its parts along both directions.
        plans: title -> (note, points (K, 2) that come out, their mean (2,)).
    """
    fig, axes = plt.subplots(1, 3, figsize=(8.7, 3.0))
    for ax, (title, (note, points, mean)) in zip(axes, plans.items(), strict=True):
        plotting.diagram(ax, title, note, xlim=(-1.0, 7.0), ylim=(-0.9, 4.9))
        for x, y in ((6.6, 0), (0, 4.6)):
            ax.plot([0, x], [0, y], color=plotting.RULE, ls="-", lw=1, zorder=0)
        ax.text(6.8, 0.15, "$u_1$", ha="right", va="bottom", color=plotting.MUTED)
        ax.text(-0.15, 4.6, "$u_2$", ha="right", va="top", color=plotting.MUTED)
        points = np.asarray(points)
        biased = len(points) == 1
        color = plotting.WITHOUT if biased else plotting.PREFER
        if not biased:
            ax.plot(*points.T, color=plotting.PREFER, ls=":", lw=1.0, zorder=1)
        for end in points:
            plotting.arrow(ax, (0, 0), end, color=color)
            place = {"ha": "center", "va": "top"} if end[1] == 0 else {"ha": "left", "va": "center"}
            shift = (0, -0.25) if end[1] == 0 else (0.2, 0)
            ax.text(end[0] + shift[0], end[1] + shift[1], f"({end[0]:g}, {end[1]:g})", fontsize=9.5, **place)
        plotting.disc(ax, *gradient, size=7, color=plotting.INK)
        ax.text(gradient[0] + 0.15, gradient[1] + 0.15, "$G$", ha="left", va="bottom")
        plotting.ring(ax, *mean, size=12, color=color, mew=1.4, mfc="none")
    return fig


def arcs(
    place: ArrayLike,
    sigma: ArrayLike,
    plans: Mapping[str, ArrayLike],
    draws: ArrayLike,
    errors: Mapping[str, ArrayLike],
    level: float,
) -> Figure:
    """Inclusion probabilities of three plans, and how errors fall with the number of draws.

    Args:
        place: (m,), 1 to m. sigma: (m,). plans: name -> (m,). draws: (T,). errors: name -> (T,).
        level: error of the cut.
    """
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.5))
    ax = axes[0]
    ax.plot(place, sigma, color=plotting.MUTED, ls="-", lw=0.9, label=r"$\sigma_i$")
    for i, (name, values) in enumerate(plans.items()):
        ax.plot(place, values, **{**plotting.points((1, 0, 2)[i]), "ms": 4.5}, label=name)
    ax.set(xlabel="direction, $i$", ylabel="inclusion probability, $p_i$", ylim=(0, 1.45))
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
    ax.legend(loc="upper right", fontsize=9)
    ax = axes[1]
    for i, (name, values) in enumerate(errors.items()):
        ax.plot(draws, values, **plotting.line((1, 0, 2, 3)[i]), label=name)
    ax.axhline(level, **plotting.theory(), label="cut")
    ax.set(xscale="log", yscale="log", xlabel="draws in the average, $T$", ylabel="expected squared error")
    ax.set_ylim(level / 30, level * 3000)
    ax.legend(loc="upper right", fontsize=9, ncols=2, columnspacing=1.0)
    return fig


def reuse(p: ArrayLike, multipliers: Mapping[str, ArrayLike], at: ArrayLike, curves: Mapping[str, ArrayLike]) -> Figure:
    """What a window makes of an error, and learning curves.

    Args:
        p: (P,), probabilities. multipliers: name -> (P,). at: (K,) steps. curves: name -> (seeds, K).
    """
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.6))
    ax = axes[0]
    for i, (name, values) in enumerate(multipliers.items()):
        ax.plot(p, values, **plotting.line((2, 0, 1)[i]), label=name)
    ax.axhline(1, color=plotting.MUTED, ls="-", lw=0.8)
    ax.set(xscale="log", yscale="log", xlabel="probability, $p$", ylabel="mean multiplier of a window")
    ax.set_ylim(0.3, 1e12)
    ax.legend(loc="upper right")
    ax = axes[1]
    for i, (name, rows) in enumerate(curves.items()):
        for k, row in enumerate(np.asarray(rows)):
            ax.plot(at, row, **{**plotting.line(i), "lw": 1.0}, label=name if k == 0 else None)
    ax.set(xlabel="steps", ylabel="squared error, clean outputs", yscale="log", ylim=(5e-5, 1e5))
    ax.legend(loc="upper right", fontsize=9)
    return fig


def turned(names: Sequence[str], follow: Sequence[ArrayLike], stay: Sequence[ArrayLike]) -> Figure:
    """Final errors with moments that follow the directions and that stay: each a list of (seeds,) in the order of
    `names`."""
    fig, ax = plt.subplots(figsize=(6.0, 3.0))
    for k, (a, b) in enumerate(zip(follow, stay, strict=True)):
        for shift, values, i, name in ((-0.12, a, 1, "moments turned"), (0.12, b, 0, "not turned")):
            values = np.asarray(values)
            ax.plot(np.full(len(values), k + shift), values, **{**plotting.points(i), "ms": 4.5},
                    label=name if k == 0 else None)  # fmt: skip
    ax.set(yscale="log", ylabel="squared error, clean outputs", xlim=(-0.5, len(names) - 0.5), ylim=(2e-4, 4))
    ax.set_xticks(range(len(names)), names)
    ax.legend(loc="lower left")
    return fig


def miniature() -> str:
    """A wheel of arcs (without) with its four pointers (prefer)."""
    p = low_rank.inclusion_probabilities(1 / torch.arange(1, 13, dtype=torch.float64), 4).p
    ends = np.concatenate([[0], p.cumsum(0).numpy()]) / 4
    wheel = []
    for start, end in pairwise(ends):
        t = 2 * math.pi * np.linspace(start + 0.006, max(end - 0.006, start + 0.007), 12)
        wheel.append((np.sin(t), np.cos(t)))
    hands = []
    for k in range(4):
        t = 2 * math.pi * (0.07 + k / 4)
        hands.append((np.array([0.12, 0.85]) * math.sin(t), np.array([0.12, 0.85]) * math.cos(t)))
    frame = _svg.Frame(-1.3, 1.3, -1.3, 1.3)
    tips = [(x[1], y[1]) for x, y in hands]
    return _svg.svg(frame.lines("without", wheel), frame.lines("prefer", hands), frame.dots("disc", tips, 6))
