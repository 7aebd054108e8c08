"""Drawings of the chapter low-bit-accumulators: arrays in, figure out; nothing is computed but axes' limits."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from .. import low_precision, plotting
from . import _svg

__all__ = ["additions", "bits", "chunks", "fine_tuned", "gradients", "growth", "leak", "miniature", "windows"]

_EVENTS = (plotting.PREFER, plotting.WITHOUT)


def _cells(ax, y, digits, first, width, color, lost):
    """Digits as a row of cells, the leftmost of weight 2^first; those beyond `width` cells from the lead are lost."""
    for k, digit in enumerate(digits):
        x = -first + k
        outside = k >= width
        look = ("none", plotting.RULE, ":") if outside else (plotting.PAPER, plotting.MUTED, "-")
        ax.add_patch(plt.Rectangle((x, y), 0.92, 0.8, lw=1.0, **dict(zip(("fc", "ec", "ls"), look, strict=True))))
        off = outside and digit == "1" and lost
        ax.text(x + 0.46, y + 0.38, digit, ha="center", va="center", fontsize=10.5,
                color=plotting.CAUTION if off else plotting.MUTED if outside else color,
                fontweight=600 if off else 400)  # fmt: skip


def bits(panels: Mapping[str, tuple[str, Sequence[tuple[str, int, str]]]], width: int) -> Figure:
    """Additions in binary, a column a power of two: title -> (note, rows); `width` bits are kept from the lead on.

    rows: three of (what, power of the first digit, digits), of which the last, the sum, loses what lies to the right.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(8.7, 2.1))
    for ax, (title, (note, rows)) in zip(axes, panels.items(), strict=True):
        plotting.diagram(ax, title, note, xlim=(-6.5, 3.3), ylim=(-1.1, 3.4))
        for y, (name, first, digits) in zip((2.4, 1.3, -0.1), rows, strict=True):
            last = y < 0
            _cells(ax, y, digits, first, width if last else 99, plotting.PREFER if last else plotting.INK, last)
            ax.text(-4.6, y + 0.38, name, ha="right", va="center", fontsize=10)
        ax.plot([-4.3, 2.7], [1.02, 1.02], color=plotting.INK, lw=1.0, ls="-")
        edge = -rows[2][1] + width
        ax.plot([edge - 0.04] * 2, [-0.6, 3.4], color=plotting.PREFER, lw=1.2, ls=plotting.DASHES[1])
        if len(rows[2][2]) > width:
            ax.text(edge + 0.1, -0.75, "falls off", ha="left", va="center", fontsize=9, color=plotting.MUTED)
    return fig


def additions(terms: int, chunk: int) -> Figure:
    """`terms` numbers added up one after the other, and in chunks: the longest way of a term in colour."""
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 1.9))
    groups = terms // chunk
    titles = (("One after the other", f"the first term goes through {terms} additions"),
              (f"In chunks of {chunk}", f"the first term goes through {chunk} and {groups}"))  # fmt: skip
    for ax, (title, note) in zip(axes, titles, strict=True):
        plotting.diagram(ax, title, note, xlim=(-0.8, terms + 0.3), ylim=(-0.7, 4.4))
        for k in range(terms):
            plotting.ring(ax, k, 0, size=4.5, color=plotting.INK, mew=1.0)
    plain, tree = axes
    style = {"ls": "-", "zorder": 2}
    for k in range(terms):
        plain.plot([k, k], [0.15, 1.4], color=plotting.RULE, lw=1.0, zorder=1, ls="-")
        plotting.disc(plain, k, 1.4, size=4.5)
    plain.plot([0, 0, terms - 1], [0.15, 1.4, 1.4], color=plotting.PREFER, lw=1.8, **style)
    for g in range(groups):
        start, end = g * chunk, g * chunk + chunk - 1
        first = g == 0
        for k in range(start, end + 1):
            tree.plot([k, k], [0.15, 1.4], color=plotting.RULE, lw=1.0, zorder=1, ls="-")
            plotting.disc(tree, k, 1.4, size=4.5, color=plotting.PREFER if first else plotting.MUTED)
        color, width = (plotting.PREFER, 1.8) if first else (plotting.MUTED, 1.0)
        tree.plot([start, end], [1.4, 1.4], color=color, lw=width, **style)
        tree.plot([end, end], [1.4, 2.9], color=color, lw=width, **style)
        plotting.disc(tree, end, 2.9, size=5.5)
    tree.plot([0, 0], [0.15, 1.4], color=plotting.PREFER, lw=1.8, **style)
    tree.plot([chunk - 1, terms - 1], [2.9, 2.9], color=plotting.PREFER, lw=1.8, **style)
    for ax, y in ((plain, 1.4), (tree, 2.9)):
        plotting.arrow(ax, (terms - 1, y), (terms - 1, y + 1.2), gap=2.5)
    return fig


def growth(counts: np.ndarray | Tensor, measured: Mapping[str, ArrayLike], laws: Mapping[str, ArrayLike]) -> Figure:
    """Mean sums against the number of terms: name -> (N,) measured, and the law's (N,) of the same names."""
    fig, ax = plt.subplots(figsize=(6.0, 2.6))
    ax.plot(counts, counts / 2, color=plotting.MUTED, lw=1.0, ls="-", label="exact")
    for i, (name, values) in enumerate(measured.items()):
        ax.plot(counts, laws[name], **plotting.theory(), label="law" if i == 0 else None)
        ax.plot(counts, values, **plotting.points(i), label=name)
    ax.set(xscale="log", yscale="log", xlabel="terms, $n$", ylabel="mean sum", xlim=(6, 6000), ylim=(3, 3000))
    ax.legend(loc="upper left")
    return fig


def chunks(sizes: ArrayLike, lost: Mapping[str, ArrayLike], best: Mapping[str, float]) -> Figure:
    """Share lost against the length of a chunk: name -> (S,); `best` name -> the square root of n."""
    fig, ax = plt.subplots(figsize=(6.0, 2.6))
    for i, (name, values) in enumerate(lost.items()):
        ax.plot(sizes, values, **{**plotting.line(i), "lw": 1.0})
        ax.plot(sizes, values, **plotting.points(i), label=name)
        ax.axvline(best[name], color=plotting.PALETTE[i], lw=0.9, ls=plotting.DASHES[2])
    ax.set(xscale="log", yscale="log", xlabel="length of a chunk, $C$", ylabel="share of the sum that is lost")
    ax.set_xscale("log", base=2)
    ax.legend(loc="lower right")
    return fig


def leak(counts: ArrayLike, rows: Mapping[str, ArrayLike]) -> Figure:
    """Spread of sums of both signs over that of exact sums, against their length: name -> (N,)."""
    fig, ax = plt.subplots(figsize=(6.0, 2.4))
    for i, (name, values) in enumerate(rows.items()):
        ax.plot(counts, values, **{**plotting.line(i), "lw": 1.0})
        ax.plot(counts, values, **plotting.points(i), label=name)
    ax.axhline(1, color=plotting.MUTED, lw=0.8, ls="-")
    ax.set(xlabel="terms, $n$", ylabel="spread, kept / exact", ylim=(0, 1.1))
    ax.set_xscale("log", base=2)
    ax.legend(loc="lower left")
    return fig


def windows(frames: Mapping[str, tuple[float, float]], edges: ArrayLike, shares: Mapping[str, ArrayLike]) -> Figure:
    """Windows of formats over the sizes that occur, on one axis of powers of two.

    Args:
        frames: name -> (exponent of the smallest, of the largest), the windows. edges: (B + 1,) exponents.
        shares: name -> (B,) shares of magnitudes between two edges.
    """
    fig, (top, low) = plt.subplots(2, 1, figsize=(8.7, 3.1), sharex=True, height_ratios=(1.15, 1))
    middle = (np.asarray(edges)[1:] + np.asarray(edges)[:-1]) / 2
    for i, (name, values) in enumerate(shares.items()):
        top.plot(middle, values, **plotting.line(i), label=name)
    top.set(ylabel="share", ylim=(0, None))
    top.legend(loc="upper left")
    for k, (name, (start, end)) in enumerate(frames.items()):
        color = plotting.PALETTE[k % 2]
        low.barh(-k, end - start, left=start, height=0.55, color=color, alpha=0.28, ec=color, lw=1.0)
        low.text((start + end) / 2, -k, name, ha="center", va="center", fontsize=9.5)
    low.set(xlabel=r"magnitude, $\log_2$", yticks=[], xlim=(edges[0], edges[-1]))
    low.set_xticks(np.arange(np.ceil(edges[0] / 2) * 2, edges[-1] + 0.1, 2))
    low.spines["left"].set_visible(False)
    return fig


def fine_tuned(names: Sequence[str], rows: Mapping[str, ArrayLike]) -> Figure:
    """Right answers of each accumulator: name of a way -> (formats, seeds); means as marks, seeds as small dots."""
    fig, ax = plt.subplots(figsize=(8.7, 2.8))
    places = np.arange(len(names))
    for i, (name, values) in enumerate(rows.items()):
        values = np.asarray(values)
        at = places + 0.16 * (i - (len(rows) - 1) / 2)
        ax.plot(np.repeat(at, values.shape[1]), values.ravel(), ls="none", marker=".", ms=3.5,
                color=plotting.PALETTE[i], alpha=0.5)  # fmt: skip
        ax.plot(at, values.mean(1), **plotting.points(i), label=name)
    ax.set_xticks(places, names)
    ax.set(ylabel="right answers", ylim=(0, 1.03))
    ax.legend(loc="lower left")
    return fig


def gradients(tops: Sequence[float], rows: Mapping[str, ArrayLike]) -> Figure:
    """Right answers after training against the largest sum: gradient -> (windows, seeds)."""
    fig, ax = plt.subplots(figsize=(6.0, 2.8))
    for i, (name, values) in enumerate(rows.items()):
        values = np.asarray(values)
        ax.plot(np.repeat(tops, values.shape[1]), values.ravel(), ls="none", marker=".", ms=3.5,
                color=plotting.PALETTE[i], alpha=0.5)  # fmt: skip
        ax.plot(tops, values.mean(1), **{**plotting.line(i), "lw": 1.0})
        ax.plot(tops, values.mean(1), **plotting.points(i), label=name)
    ax.set_xscale("log", base=2)
    ax.set_xticks(tops, [f"{v:g}" for v in tops])
    ax.set(xlabel="largest sum of the window", ylabel="right answers", ylim=(0, 1.03))
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, columnspacing=1.2)
    return fig


def miniature() -> str:
    """A sum of ones that stops (without), and the same in chunks (prefer)."""
    counts = np.arange(1, 257)
    frame, parts = _svg.Frame(-6, 262, -8, 268), []
    for kind, chunk in (("without", 1), ("prefer", 8)):
        narrow = low_precision.Accumulator(5, 6, 20, 20, chunk=chunk)
        kept = low_precision.trace(torch.ones(1, 256), torch.ones(1, 256), narrow).running[0]
        parts.append(frame.lines(kind, [(counts[3::4], kept[3::4].tolist())]))
    return _svg.svg(*parts, frame.dots("disc", [(256, 256)], 6), frame.dots("ring", [(256, 64)], 6))
