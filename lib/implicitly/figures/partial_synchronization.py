"""Drawings of the chapter partial-synchronization: arrays in, figure out; computed are averages and limits."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import plotting
from . import _svg

__all__ = ["block", "by_hand", "loopback", "losses", "miniature"]


def _cells(ax, x, y, values, shared, wide=1.0):
    """A row of numbers in boxes, the first `shared` of them in the colour of what is shared."""
    for i, value in enumerate(values):
        color = plotting.PREFER if i < shared else plotting.WITHOUT
        ax.add_patch(plt.Rectangle((x + i * wide, y), wide, 0.7, fc="none", ec=color, lw=1.6 if i < shared else 1.0))
        ax.text(x + (i + 0.5) * wide, y + 0.34, f"{value:g}", ha="center", va="center", fontsize=10)


def by_hand(before: ArrayLike, after: ArrayLike, shared: int) -> Figure:
    """What two ranks have before and after the partial sum: each (2, h), the first `shared` channels summed."""
    fig, ax = plt.subplots(figsize=(8.7, 2.3))
    plotting.diagram(ax, xlim=(-1.4, 13.2), ylim=(-0.5, 2.9))
    for r in range(2):
        y = 1.5 - 1.4 * r
        ax.text(-0.3, y + 0.34, f"rank {r + 1}", ha="right", va="center", color=plotting.MUTED)
        _cells(ax, 0, y, before[r], shared, wide=1.3)
        _cells(ax, 7.4, y, after[r], shared, wide=1.3)
        plotting.arrow(ax, (4.3, y + 0.34), (7.1, y + 0.34), color=plotting.WITHOUT)
        plotting.arrow(ax, (1.0, y + 0.34 if r else y + 0.2), (7.2, 1.95 if r else 0.55), color=plotting.PREFER, bend=0)
    ax.text(1.95, 2.55, "partial products", ha="center", va="bottom", fontsize=9.5, color=plotting.MUTED)
    ax.text(9.35, 2.55, "after the partial sum", ha="center", va="bottom", fontsize=9.5, color=plotting.MUTED)
    return fig


def block(shared: float = 0.5, ranks: int = 2) -> Figure:
    """One block on two ranks: what is computed alone, and the two places where something is sent."""
    fig, ax = plt.subplots(figsize=(8.7, 2.5))
    plotting.diagram(ax, xlim=(-0.4, 16.6), ylim=(-0.7, 4.0))
    steps = (("norm", 0.8, 1.6), ("queries,\nkeys, values", 2.9, 2.4), ("attention,\nout", 5.8, 2.0),
             ("norm", 9.0, 1.6), ("up", 11.1, 1.2), ("gelu,\ndown", 12.8, 1.6))  # fmt: skip
    for r in range(ranks):
        y = 2.5 - 2.3 * r
        ax.plot([-0.3, 16.4], [y + 0.45, y + 0.45], color=plotting.RULE, ls="-", lw=1.4, zorder=0)
        ax.text(-0.3, y + 1.05, f"stream {r + 1}", ha="left", va="bottom", fontsize=9, color=plotting.MUTED)
        for label, x, wide in steps:
            ax.add_patch(plt.Rectangle((x, y), wide, 0.9, fc=plotting.PAPER, ec=plotting.WITHOUT, lw=1.1, zorder=2))
            ax.text(x + wide / 2, y + 0.45, label, ha="center", va="center", fontsize=8.5, zorder=3, linespacing=0.95)
    for x in (8.35, 15.3):
        ax.plot([x, x], [0.65, 2.95], color=plotting.PREFER, ls="-", lw=2.2, zorder=1)
        for y in (0.65, 2.95):
            plotting.disc(ax, x, y, size=8)
        ax.text(x, 1.8, " $s$ of $h$\n channels", ha="left", va="center", fontsize=9, color=plotting.PREFER)
    return fig


def losses(shares: Sequence[float], rows: Mapping[int, Sequence[ArrayLike]], base: ArrayLike) -> Figure:
    """Test loss against p: left, ranks -> (shares, seeds) with p = 1 last; right, paired differences from p = 1.

    Args:
        shares: (n,), the last is 1. rows: ranks -> list of n arrays of losses by seed. base: (seeds,), the losses at 1.
    """
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.4))
    base = np.asarray(base)
    for i, (ranks, values) in enumerate(rows.items()):
        shift = 0.012 * (i - (len(rows) - 1) / 2)
        for ax, off in ((axes[0], False), (axes[1], True)):
            means = []
            for p, one in zip(shares, values, strict=True):
                one = np.asarray(one) - (base[: len(one)] if off else 0)
                means.append(one.mean())
                ax.plot(np.full(len(one), p + shift), one, **{**plotting.points(i), "ms": 4})
            ax.plot(np.asarray(shares) + shift, means, **{**plotting.line(i), "lw": 1.2}, label=f"{ranks} ranks")
    axes[0].set(xlabel="share of channels that are summed, $p$", ylabel="test loss, nats a character")
    axes[1].axhline(0, **plotting.theory())
    axes[1].set(xlabel="share of channels that are summed, $p$", ylabel="minus that with all summed, same seed")
    for ax in axes:
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "1/4", "1/2", "3/4", "1"])
    axes[0].legend(fontsize=9)
    return fig


def loopback(sizes: ArrayLike, seconds: ArrayLike, fitted: ArrayLike, line: ArrayLike) -> Figure:
    """Time of a sum against its size: measured points, those that the line was fitted to (a mask), the line."""
    fig, ax = plt.subplots(figsize=(6.0, 3.3))
    sizes, seconds, fitted = np.asarray(sizes) * 4 / 1e6, 1e3 * np.asarray(seconds), np.asarray(fitted)
    ax.plot(sizes[fitted], seconds[fitted], **plotting.points(0), label="measured, the line fitted to them")
    ax.plot(sizes[~fitted], seconds[~fitted], **plotting.points(1), label="measured, left out")
    ax.plot(sizes, 1e3 * np.asarray(line), **plotting.theory(), label="latency + size over bandwidth")
    ax.set(xscale="log", yscale="log", xlabel="size of the sum, MB", ylabel="time, ms")
    ax.legend(fontsize=9)
    return fig


def miniature() -> str:
    """Four streams that meet in their first channels (prefer) and keep the others apart (without)."""
    frame = _svg.Frame(-0.3, 7.3, -1.2, 6.4)
    apart, meet = [], []
    for r in range(4):
        y = 5.9 - 1.8 * r
        apart += [([3.4, 7.0], [y, y]), ([3.4, 7.0], [y - 0.5, y - 0.5])]
        meet += [([0, 1.7, 3.4], [y, 3.0, y]), ([0, 1.7, 3.4], [y - 0.5, 3.0, y - 0.5])]
    ends = [(7.0, 5.9 - 1.8 * r - 0.25) for r in range(4)]
    return _svg.svg(frame.lines("without", apart), frame.lines("prefer", meet), frame.dots("disc", [(1.7, 3.0)], 7),
                    frame.dots("disc", ends, 4))  # fmt: skip
