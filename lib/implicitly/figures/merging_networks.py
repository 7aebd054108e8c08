"""Drawings of the chapter merging-networks: arrays in, figure out; nothing is computed but axes' limits."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import merging, plotting
from . import _svg

__all__ = ["by_hand", "few", "lines", "miniature", "supernet", "widths"]


def _wire(ax, start, end, text, color, side=1):
    """A weight: a line, dashed and grey where it is zero, with its value beside its middle."""
    zero = text == "0"
    ax.plot(*zip(start, end, strict=True), color=plotting.RULE if zero else color, ls=":" if zero else "-",
            lw=1.6, zorder=1)  # fmt: skip
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    ax.text(x, y + 0.09 * side, text, ha="center", va="bottom" if side > 0 else "top", fontsize=10.5,
            color=plotting.MUTED if zero else color)  # fmt: skip


def by_hand(nets: Mapping[str, tuple[str, Sequence[int], Sequence[int]]]) -> Figure:
    """Three networks with two neurons: title -> (note, weights in (2,), weights out (2,))."""
    fig, axes = plt.subplots(1, 3, figsize=(8.7, 2.6))
    colors = {1: plotting.PREFER, -1: plotting.WITHOUT, 0: plotting.MUTED}
    for ax, (title, (note, inner, outer)) in zip(axes, nets.items(), strict=True):
        plotting.diagram(ax, title, note, xlim=(-0.35, 2.35), ylim=(-0.95, 0.95))
        for y, v, w, side in ((0.55, inner[0], outer[0], 1), (-0.55, inner[1], outer[1], -1)):
            _wire(ax, (0, 0), (1, y), f"${v:+d}$" if v else "0", colors[v], side)
            _wire(ax, (1, y), (2, 0), f"${w:+d}$" if w else "0", colors[w], side)
            plotting.disc(ax, 1, y, size=9, color=colors[v]) if v else plotting.ring(ax, 1, y, size=9, color=colors[v])
        for x, name in ((0, "$x$"), (2, "$f$")):
            plotting.disc(ax, x, 0, size=5, color=plotting.INK)
            ax.text(x - 0.13 if x == 0 else x + 0.13, 0, name, ha="right" if x == 0 else "left", va="center")
    return fig


def lines(
    shares: ArrayLike, curves: Mapping[str, ArrayLike], spreads: Mapping[str, ArrayLike], layers: Sequence[int]
) -> Figure:
    """Accuracy along the line between two networks, and the size of the features layer by layer.

    Args:
        shares: (S,). curves: name -> (pairs, S). spreads: name -> (L,), variances. layers: (L,).
    """
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.2))
    ax = axes[0]
    for i, (name, rows) in enumerate(curves.items()):
        for k, row in enumerate(np.asarray(rows)):
            ax.plot(shares, row, **{**plotting.line(i), "lw": 1.3}, label=name if k == 0 else None)
    ax.set(xlabel="share of the second network", ylabel="right answers", ylim=(0, 1.45), xlim=(0, 1))
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
    ax.legend(loc="upper left")
    ax = axes[1]
    for i, (name, values) in zip((3, 0, 1), spreads.items(), strict=True):  # average and matched as on the left
        ax.plot(layers, values, **plotting.points(i), label=name)
        ax.plot(layers, values, **{**plotting.line(i), "lw": 1.0})
    ax.set(xlabel="layer", ylabel="variance of a neuron", yscale="log", xticks=list(layers))
    ax.legend(loc="upper left")
    return fig


def supernet() -> Figure:
    """The SuperNet of two networks: wide frozen layers between merge and un-merge; below, what it folds to."""
    fig, ax = plt.subplots(figsize=(8.7, 3.1))
    plotting.diagram(ax, xlim=(-0.6, 11.6), ylim=(-1.75, 1.6))
    ink, muted = plotting.INK, plotting.MUTED

    def box(x, y, w, h, text, color, fill):
        ax.add_patch(plt.Rectangle((x - w / 2, y - h / 2), w, h, fc=fill, ec=color, lw=1.2, zorder=2))
        ax.text(x, y, text, ha="center", va="center", fontsize=10, zorder=3, color=ink)

    def wire(x0, x1, y0, y1=None):
        ax.plot([x0, x1], [y0, y0 if y1 is None else y1], color=muted, ls="-", lw=1.0, zorder=1)

    ax.text(-0.35, 0.55, "$x$", ha="center", va="center")
    for k in range(2):
        x = 0.55 + 5.2 * k
        wire(x - 0.7 if k == 0 else x - 1.05, x - 0.35, 0.55), wire(x + 2.95, x + 4.15, 0.55)
        box(x, 0.55, 0.7, 0.9, f"$U_{k}$", plotting.PREFER, plotting.PAPER)
        for y, name in ((1.1, "A"), (0.0, "B")):
            wire(x + 0.35, x + 0.85, 0.55, y), wire(x + 1.75, x + 2.25, y, 0.55)
            box(x + 1.3, y, 0.95, 0.7, f"$W_{k + 1}^{{{name}}}$", muted, "#eceae4")
        box(x + 2.6, 0.55, 0.7, 0.9, f"$M_{k + 1}$", plotting.PREFER, plotting.PAPER)
        box(x + 3.75, 0.55, 0.8, 0.6, "ReLU", ink, plotting.PAPER)
        ax.annotate("", (x - 0.5, -0.75), (x + 3.1, -0.75), arrowprops={"arrowstyle": "-", "color": muted, "lw": 1})
        for end in (x - 0.5, x + 3.1):
            ax.plot([end, end], [-0.75, -0.6], color=muted, ls="-", lw=1)
        box(x + 1.3, -1.3, 1.1, 0.6, f"$W'_{k + 1}$", plotting.PREFER, plotting.PAPER)
        wire(x + 1.85, x + 3.35, -1.3), box(x + 3.75, -1.3, 0.8, 0.6, "ReLU", ink, plotting.PAPER)
        wire(x - 0.7 if k == 0 else x - 1.05, x + 0.75, -1.3)
        ax.text(x + 2.2, -0.82, "folds to", ha="center", va="top", fontsize=9, color=muted)
    wire(9.9, 10.75, 0.55), wire(9.9, 10.75, -1.3)
    for y in (0.55, -1.3):
        box(11.1, y, 0.7, 0.8 if y > 0 else 0.6, "$U_2$", plotting.PREFER, plotting.PAPER)
    ax.text(-0.35, -1.3, "$x$", ha="center", va="center")
    return fig


def few(samples: Sequence[int], rows: Mapping[str, ArrayLike], gains: Mapping[str, ArrayLike]) -> Figure:
    """Accuracy against samples, and paired differences.

    Args:
        samples: (S,). rows: name -> (S, pairs). gains: name -> (S, pairs).
    """
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.6), width_ratios=(1.25, 1))
    ax = axes[0]
    for i, (name, values) in enumerate(rows.items()):
        values = np.asarray(values)
        ax.plot(samples, values.mean(1), **plotting.points(i), label=name)
        ax.plot(samples, values.mean(1), **{**plotting.line(i), "lw": 1.0})
    ax.set(xscale="log", xlabel="images of each task, $n$", ylabel="right answers", ylim=(0.45, 1.0))
    ax.set_xticks(samples, [str(n) for n in samples])
    ax.minorticks_off()
    ax.legend(loc="lower right", fontsize=9, ncols=2, columnspacing=1.0)
    ax = axes[1]
    ax.axhline(0, color=plotting.MUTED, ls="-", lw=0.8)
    for k, (i, (name, values)) in enumerate(zip((3, 2, 0), gains.items(), strict=True)):  # starts as on the left
        values, places = np.asarray(values), np.asarray(samples) * 1.17 ** (k - 1)
        for x, column in zip(places, values, strict=True):
            ax.plot([x] * len(column), column, **{**plotting.points(i), "ms": 4},
                    label=name if x == places[0] else None)  # fmt: skip
    ax.set(xscale="log", xlabel="images of each task, $n$", ylabel="folding minus distillation")
    ax.set_xticks(samples, [str(n) for n in samples])
    ax.minorticks_off()
    ax.legend(loc="upper right", title="both start as", fontsize=9)
    return fig


def widths(sizes: Sequence[int], rows: Mapping[str, ArrayLike], level: float) -> Figure:
    """Accuracy against the merged width: name -> (W, pairs); a level for the originals."""
    fig, ax = plt.subplots(figsize=(6.0, 3.2))
    for i, (name, values) in zip((1, 0), rows.items(), strict=True):  # zipped and folded as in `few`
        values = np.asarray(values)
        ax.plot(sizes, values.mean(1), **plotting.points(i), label=name)
        ax.plot(sizes, values.mean(1), **{**plotting.line(i), "lw": 1.0})
    ax.axhline(level, **plotting.theory(), label="originals, side by side")
    ax.set(xscale="log", xlabel="merged width", ylabel="right answers")
    ax.set_xticks(sizes, [str(d) for d in sizes])
    ax.minorticks_off()
    ax.legend(loc="lower right")
    return fig


def miniature() -> str:
    """How alike features stay on the line to a twin with its neurons in another order (without), matched (prefer)."""
    net = merging.random_net((8, 16, 16, 16), bias=0.5, generator=torch.Generator().manual_seed(1))
    x = torch.randn(100, 8, generator=torch.Generator().manual_seed(2))
    orders = [torch.randperm(16, generator=torch.Generator().manual_seed(k)) for k in (3, 4)]
    twin = net.permuted([*orders, torch.arange(16)])
    back = twin.permuted(merging.match_weights(net, twin))
    shares, curves = np.linspace(0, 1, 33), {}
    for kind, other in (("without", twin), ("prefer", back)):
        off = [float((merging.interpolate(net, other, float(t))(x) - net(x)).norm() / net(x).norm()) for t in shares]
        curves[kind] = [(shares, 1 - np.array(off))]
    low = min(curves["without"][0][1])
    frame = _svg.Frame(-0.05, 1.05, low - 0.08, 1.12)
    return _svg.svg(*(frame.lines(kind, lines) for kind, lines in curves.items()),
                    frame.dots("disc", [(0, 1), (1, 1)], 6))  # fmt: skip
