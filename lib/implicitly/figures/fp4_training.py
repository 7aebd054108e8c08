"""Drawings of the chapter fp4-training: arrays in, figure out; nothing is computed but averages and axes' limits."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import low_precision, plotting
from . import _svg

__all__ = ["averages", "by_hand", "formats", "miniature", "noise", "places", "policies", "shares"]


def by_hand(blocks: Mapping[str, tuple[str, Sequence[float], Sequence[float], Sequence[float]]]) -> Figure:
    """Blocks on their grids: title -> (note, numbers, grid points, where each number goes)."""
    fig, axes = plt.subplots(len(blocks), 1, figsize=(8.7, 1.45 * len(blocks)))
    for ax, (title, (note, numbers, grid, goes)) in zip(np.atleast_1d(axes), blocks.items(), strict=True):
        end = max(*numbers, *grid)
        plotting.diagram(ax, title, note, xlim=(-0.04 * end, 1.06 * end), ylim=(-0.9, 1.25))
        ax.plot([0, max(grid)], [0, 0], color=plotting.INK, ls="-", lw=1.2, zorder=1)
        for point in grid:
            ax.plot([point, point], [-0.13, 0.13], color=plotting.INK, ls="-", lw=1.2)
            ax.text(point, -0.28, f"{point:g}", ha="center", va="top", fontsize=9.5, color=plotting.MUTED)
        for number, point in zip(numbers, goes, strict=True):
            plotting.ring(ax, number, 0.85, size=8, color=plotting.WITHOUT)
            ax.plot([number, point], [0.72, 0.1], color=plotting.WITHOUT, ls="-", lw=1.2)
            plotting.disc(ax, point, 0, size=8, color=plotting.PREFER)
    return fig


def formats(blocks: Sequence[int], tables: Mapping[str, Mapping[str, ArrayLike]]) -> Figure:
    """Relative squared error against the block size: title -> {name of a scale: (sizes,)}."""
    fig, axes = plt.subplots(1, len(tables), figsize=(8.7, 3.3), sharey=True)
    for ax, (title, rows) in zip(axes, tables.items(), strict=True):
        for i, (name, values) in enumerate(rows.items()):
            ax.plot(blocks, values, **plotting.points(i), label=name)
            ax.plot(blocks, values, **{**plotting.line(i), "lw": 1.0})
        ax.set(xscale="log", yscale="log", xlabel="numbers in a block", title=title)
        ax.set_xticks(blocks, [str(b) for b in blocks])
        ax.minorticks_off()
    axes[0].set_ylabel("squared error over square")
    axes[0].set_yticks([0.008, 0.01, 0.02, 0.04], ["0.008", "0.01", "0.02", "0.04"])
    axes[0].legend(loc="upper left", fontsize=9)
    return fig


def averages(sizes: ArrayLike, errors: Mapping[str, ArrayLike], gains: Mapping[str, ArrayLike]) -> Figure:
    """Error and gain of a weight gradient against the batch: name -> (sizes, seeds)."""
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.2))
    for ax, rows, label in ((axes[0], errors, "relative error"), (axes[1], gains, "gain")):
        for i, (name, values) in enumerate(rows.items()):
            values = np.asarray(values)
            for k, column in enumerate(values.T):
                ax.plot(sizes, column, **{**plotting.points(i), "ms": 4}, label=name if k == 0 else None)
            ax.plot(sizes, values.mean(1), **{**plotting.line(i), "lw": 1.0})
        ax.set(xscale="log", xlabel="batch size, $B$", ylabel=label)
    axes[0].set(yscale="log")
    axes[1].axhline(1, **plotting.theory())
    axes[0].legend(loc="lower left")
    return fig


def shares(
    ratio: ArrayLike,
    share: ArrayLike,
    marks: Mapping[str, tuple[float, float]],
    sampled: tuple[ArrayLike, ArrayLike],
    bowls: Mapping[str, float],
) -> Figure:
    """Progress share against gradient over noise: a curve, marks (name -> ratio), sampled points, other bowls."""
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.3), width_ratios=(1.3, 1), sharey=True)
    ax = axes[0]
    ax.plot(ratio, share, **plotting.line(1))
    ax.plot(*sampled, **plotting.points(0))
    for name, (x, y) in marks.items():
        ax.plot([x, x], [0, y], color=plotting.MUTED, ls=":", lw=1.2)
        ax.text(x * 1.06, 0.03, name, fontsize=9.5, color=plotting.MUTED)
    ax.set(xscale="log", xlabel="gradient over noise, $r$", ylabel="share of the progress", ylim=(0, 1.03))
    ax.set_xticks([0.1, 0.3, 1, 3, 10], ["0.1", "0.3", "1", "3", "10"])
    ax.minorticks_off()
    ax = axes[1]
    ax.bar(range(len(bowls)), list(bowls.values()), width=0.55, color=plotting.PREFER)
    ax.axhline(0.75, **plotting.theory())
    ax.set_xticks(range(len(bowls)), list(bowls))
    ax.set(title=r"at $r=\sqrt{3}$")
    return fig


def policies(rows: Mapping[str, ArrayLike]) -> Figure:
    """Excess loss of each policy over another run with the same seed: name -> (seeds,)."""
    fig, ax = plt.subplots(figsize=(7.2, 0.42 * len(rows) + 0.9))
    for place, (_name, values) in enumerate(rows.items()):
        values = np.asarray(values)
        ax.plot(values, [place] * len(values), **{**plotting.points(1), "ms": 5})
        ax.plot([values.mean()] * 2, [place - 0.28, place + 0.28], color=plotting.INK, ls="-", lw=1.6)
    ax.axvline(0, color=plotting.MUTED, ls="-", lw=0.8)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set(xlabel="test loss minus that of float32, nats a character", ylim=(len(rows) - 0.5, -0.5))
    return fig


def places(rows: Mapping[str, ArrayLike]) -> Figure:
    """Excess loss with one place quantized: "nearest" or "coin", a blank, the place -> (seeds,)."""
    order = list(dict.fromkeys(name.split()[1] for name in rows))
    words = {"forward": "forward", "backward": "backward", "update": "update", "x": "$X$", "w": "$W$", "dy": "$D$"}
    fig, ax = plt.subplots(figsize=(7.2, 2.8))
    for i, (kind, shift, label) in enumerate((("nearest", -0.17, "to nearest"), ("coin", 0.17, "with a coin"))):
        for at, place in enumerate(order):
            values = np.asarray(rows[f"{kind} {place}"])
            ax.plot(values, [at + shift] * len(values), **{**plotting.points(i), "ms": 4},
                    label=label if at == 0 else None)  # fmt: skip
            ax.plot([values.mean()] * 2, [at + shift - 0.13, at + shift + 0.13], color=plotting.INK, ls="-", lw=1.4)
    ax.axvline(0, color=plotting.MUTED, ls="-", lw=0.8)
    ax.set_yticks(range(len(order)), [" ".join(words[w] for w in name.split("_")) for name in order])
    ax.set(xlabel="test loss minus that of float32, nats a character", ylim=(len(order) - 0.5, -0.5))
    ax.legend(loc="center right")
    return fig


def noise(steps: Sequence[int], rows: Mapping[str, ArrayLike], level: float) -> Figure:
    """Norms along a run: name -> (steps, seeds); right, the first over the second, and a level."""
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.2))
    named = {name: np.asarray(values) for name, values in rows.items()}
    for i, (name, values) in enumerate(named.items()):
        axes[0].plot(steps, values.mean(1), **plotting.points(i), label=name)
        axes[0].plot(steps, values.mean(1), **{**plotting.line(i), "lw": 1.0})
    axes[0].set(yscale="log", xlabel="step", ylabel="norm")
    axes[0].legend(fontsize=9)
    first, second = list(named.values())[:2]
    for column in (first / second).T:
        axes[1].plot(steps, column, **{**plotting.points(1), "ms": 4})
    axes[1].plot(steps, (first / second).mean(1), **{**plotting.line(1), "lw": 1.0})
    axes[1].axhline(level, **plotting.theory())
    axes[1].text(steps[-1], level, r"$\sqrt{3}$", ha="right", va="bottom")
    axes[1].set(xlabel="step", ylabel="gradient over quantization noise", ylim=(0, None))
    return fig


def miniature() -> str:
    """The staircase of rounding to nearest (without) and the mean of the coin (prefer) on the eight magnitudes."""
    levels = low_precision.E2M1
    x, y = [0.0], [0.0]
    for low, high in pairwise(levels):
        x += [(low + high) / 2] * 2
        y += [low, high]
    x, y = [*x, 6.6], [*y, 6.0]
    frame = _svg.Frame(-0.4, 6.8, -0.6, 6.8)
    return _svg.svg(frame.lines("without", [(x, y)]), frame.lines("prefer", [([0, 6, 6.6], [0, 6, 6])]),
                    frame.dots("disc", [(v, v) for v in levels], 5))  # fmt: skip
