"""Drawings of the chapter tempered-overfitting: arrays in, figure out; only the theory's curves are computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import interpolators, plotting
from . import _svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["allowed_errors", "by_hand", "crossbar", "curves", "miniature", "sizes", "transition"]


def by_hand(memories: Mapping[str, tuple[str, int]]) -> Figure:
    """Sixteen inputs, four in the sample, one of these flipped: title -> (note, how many others come out wrong)."""
    fig, axes = plt.subplots(1, 3, figsize=(8.7, 2.5))
    seen, flipped, wrong = [1, 6, 8, 15], 6, [3, 9, 12, 4, 2, 14]
    x, y = np.arange(16) % 4, 3 - np.arange(16) // 4
    for ax, (title, (note, errors)) in zip(axes, memories.items(), strict=True):
        plotting.diagram(ax, title, note, xlim=(-0.5, 6.0), ylim=(-0.5, 3.5))
        plotting.disc(ax, x, y, size=2.5, color=plotting.MUTED)
        plotting.ring(ax, x[seen], y[seen], size=9, color=plotting.WITHOUT)
        plotting.disc(ax, x[flipped], y[flipped], size=9, color=plotting.WITHOUT)
        ax.plot(x[wrong[:errors]], y[wrong[:errors]], "x", ls="none", color=plotting.PREFER, ms=8, mew=2, zorder=6)
    ax = axes[0]
    for row, name in enumerate(("in the sample", "flipped")):
        (plotting.disc if row else plotting.ring)(ax, 4.2, 2.6 - row, size=9, color=plotting.WITHOUT)
        ax.text(4.5, 2.6 - row, name, va="center", fontsize=9.5, color=plotting.MUTED)
    axes[1].plot(4.2, 2.6, "x", ls="none", color=plotting.PREFER, ms=8, mew=2)
    axes[1].text(4.5, 2.6, "wrong", va="center", fontsize=9.5, color=plotting.MUTED)
    return fig


def crossbar(*, planes: int = 3) -> Figure:
    """A row of a table read by the next layer; five cells of it and their parity; who passes how many filters."""
    fig, axes = plt.subplots(1, 3, figsize=(8.7, 2.9), width_ratios=(1, 1, 1))
    box = {"xlim": (-1.3, 5.6), "ylim": (-1.3, 4.5)}
    table = np.array([[0, 1, 1, 0, 1], [1, 0, 1, 1, 0], [0, 0, 1, 0, 1], [1, 1, 0, 0, 0]])
    ax = plotting.diagram(axes[0], "A weight keeps a bit", "one row fires, and is read", **box)
    for r in range(4):
        fires, y = r == 1, 3 - r
        color = plotting.PREFER if fires else plotting.MUTED
        ax.plot([-0.6, 4.6], [y, y], color=color, ls="-", lw=1.8 if fires else 0.7, zorder=1)
        (plotting.disc if fires else plotting.ring)(ax, -0.6, y, size=9, color=color)
        for c in np.flatnonzero(table[r]):
            plotting.disc(ax, c + 0.4, y, size=5, color=plotting.PREFER if fires else plotting.INK)
    for c in range(5):
        ax.plot([c + 0.4] * 2, [-0.8, 3.4], color=plotting.MUTED, ls="-", lw=0.7, zorder=1)
        on = bool(table[1, c])
        color = plotting.PREFER if on else plotting.MUTED
        (plotting.disc if on else plotting.ring)(ax, c + 0.4, -0.8, size=9, color=color)
    ax.text(-1.25, 3.75, "rows", fontsize=9.5, color=plotting.MUTED)
    ax.text(5.55, -0.8, "cells", fontsize=9.5, color=plotting.MUTED, va="center", ha="right")

    bits, read = [1, 0, 1, 1, 0, 0, 1, 0, 1, 1], [0, 2, 4, 7, 9]
    ax = plotting.diagram(axes[1], "A point reads five cells", "and takes their parity", **box)
    for c, bit in enumerate(bits):
        chosen, left = c in read, -1.2 + 0.67 * c
        color = plotting.PREFER if chosen else plotting.RULE
        ax.add_patch(plt.Rectangle((left, 2.0), 0.6, 0.8, fc="none", ec=color, lw=2 if chosen else 1, zorder=2))
        ax.text(left + 0.3, 2.4, str(bit), ha="center", va="center", fontsize=10)
        if chosen:
            plotting.arrow(ax, (left + 0.3, 1.95), (2.1, 0.45), gap=2)
    parity = "+".join(str(bits[c]) for c in read)
    ax.text(2.1, 0.1, f"${parity}={sum(bits[c] for c in read)}$", ha="center", va="center")
    ax.text(2.1, -0.75, "even: reads 0" if sum(bits[c] for c in read) % 2 == 0 else "odd: reads 1",
            ha="center", va="center", color=plotting.PREFER)  # fmt: skip

    ax = plotting.diagram(axes[2], "Filters come first", "who passes; flips in front", **box)
    for p in range(planes + 1):
        y, flips, others = 3.2 - 1.15 * p, 0.7, 5.0 / 2**p
        ax.add_patch(plt.Rectangle((-0.2, y - 0.3), flips, 0.6, fc=plotting.PREFER, ec="none"))
        ax.add_patch(plt.Rectangle((-0.2 + flips, y - 0.3), others, 0.6, fc=plotting.WITHOUT, ec="none", alpha=0.35))
        ax.text(-0.45, y, str(p), ha="right", va="center", color=plotting.MUTED)
    ax.text(-1.25, 3.85, "planes", fontsize=9.5, color=plotting.MUTED)
    return fig


def curves(ax: Axes) -> None:
    """The two theorems' curves, Bayes error and the trivial level against the noise level, on `ax`."""
    eps = torch.linspace(0, 0.5, 201, dtype=torch.float64)
    arbitrary, independent = interpolators.arbitrary_noise_bound(eps), interpolators.independent_noise_error(eps)
    ax.axhline(0.5, color=plotting.RULE, lw=1.0, zorder=0)
    ax.plot(eps, arbitrary, **plotting.line(0), lw=1.5, label=r"any noise: $1-2^{-H(\varepsilon)}$")
    ax.plot(eps, independent, **plotting.line(1), lw=1.5, label=r"independent flips: $2\varepsilon(1-\varepsilon)$")
    ax.plot(eps, eps, color=plotting.INK, ls=plotting.DASHES[2], lw=1.3, label=r"best possible, benign: $\varepsilon$")
    ax.set(xlabel=r"noise level, $\varepsilon$", ylabel="error on new noisy labels, $L$", xlim=(0, 0.5), ylim=(0, 0.56))
    ax.text(0.01, 0.51, "guessing: catastrophic", fontsize=9, color=plotting.MUTED)
    ax.legend(loc="lower right")


def allowed_errors(
    bits: ArrayLike, low: ArrayLike, high: ArrayLike, dots: Mapping[str, tuple[ArrayLike, ArrayLike]], *, eps: float
) -> Figure:
    """What C1 allows at one noise level, and what rules do.

    Args:
        bits: (T,), bits per example. low, high: (T,), ends of the allowed interval of the clean error.
        dots: name -> (bits per example, clean error), arrays of equal length.
    """
    fig, ax = plt.subplots(figsize=(6.0, 3.6))
    ax.fill_between(bits, low, high, color=plotting.RULE, alpha=0.55, lw=0)
    ax.plot(bits, low, **plotting.theory())
    ax.plot(bits, high, **plotting.theory())
    ax.axhline(eps, color=plotting.MUTED, lw=0.8, zorder=0)
    for i, (name, (x, y)) in enumerate(dots.items()):
        ax.plot(x, y, **plotting.points(i), label=name)
    ax.set(xlabel="expected price, bits per example", ylabel=r"clean error, $\Delta$")
    ax.set(xlim=(bits[0] - 0.02, bits[-1]), ylim=(0, 0.8))
    ax.text(bits[-1] * 0.86, 0.27, "allowed", fontsize=9.5, color=plotting.MUTED)
    ax.legend(loc="upper left")
    return fig


def sizes(N: Sequence[int], lines: Mapping[str, ArrayLike], *, labels: Mapping[str, str]) -> Figure:
    """Sizes against the number of points, logarithmic: `lines` name -> (len(N),); the first is theory."""
    fig, ax = plt.subplots(figsize=(6.0, 3.6))
    for i, (name, values) in enumerate(lines.items()):
        style = plotting.theory() if i == 0 else {**plotting.line(i - 1), "marker": plotting.MARKERS[i - 1]}
        ax.loglog(N, values, **style, markerfacecolor=plotting.PAPER, base=2)
        ax.annotate(labels[name], (N[-1], values[-1]), xytext=(6, -3), textcoords="offset points", fontsize=9)
    ax.set(xlabel="listed points, $N$", ylabel="weights", xlim=(N[0] * 0.9, N[-1] * 4))
    ax.set_yscale("log", base=10)
    return fig


def transition(curves_by_label: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike, float]], *, eps: float) -> Figure:
    """Clean error against N: label -> (N, mean, standard error, N*)."""
    fig, ax = plt.subplots(figsize=(6.0, 3.5))
    ax.axhline(eps, **plotting.theory())
    ax.text(150, eps - 0.035, r"$\varepsilon$", fontsize=10)
    for i, (label, (N, mean, error, start)) in enumerate(curves_by_label.items()):
        style = {**plotting.line(i), "marker": plotting.MARKERS[i], "mfc": plotting.PAPER, "lw": 1.2, "ms": 5}
        ax.errorbar(N, mean, 2 * np.asarray(error), **style, label=label)
        ax.plot([start], [0.012], marker="^", color=plotting.PALETTE[i], ms=7, ls="none")
    ax.set_xscale("log", base=2)
    ax.legend(loc="upper right")
    ax.set(xlabel="examples, $N$", ylabel=r"clean error off the sample, $\Delta$", ylim=(0, 0.56))
    return fig


def miniature() -> str:
    """The two limits on the error, and the mean error of short descriptions of noisy labels."""
    eps = torch.linspace(0, 0.5, 41, dtype=torch.float64)
    frame = _svg.Frame(-0.01, 0.51, -0.02, 0.54)
    parts = [
        frame.lines("prefer", [(eps, interpolators.independent_noise_error(eps)), (eps, eps)]),
        frame.lines("without", [(eps, interpolators.arbitrary_noise_bound(eps)), ([0, 0.5], [0.5, 0.5])]),
    ]
    for flipped, size in ((3, 60), (4, 36), (5, 24), (6, 20), (7, 18)):
        rules = [interpolators.shortest_hash(torch.arange(size) < flipped, seed=s) for s in range(16)]
        density = torch.tensor([rule.density for rule in rules])
        error = interpolators.noisy_error(density, torch.tensor(flipped / size)).mean()
        parts.append(frame.dots("disc", [(flipped / size, float(error))], 4))
    return _svg.svg(*parts)
