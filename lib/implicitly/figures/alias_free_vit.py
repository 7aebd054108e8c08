"""Drawings of the chapter alias-free-vit: arrays in, figure out; nothing is computed but averages and axes' limits."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from .. import plotting
from . import _svg

__all__ = ["by_hand", "folding", "miniature", "one_change", "residuals", "three_tokens", "training"]


def by_hand(fine: ArrayLike, moved: ArrayLike, slow: ArrayLike) -> Figure:
    """A wave that a stride of 2 misreads, before and after a move by one pixel.

    Args:
        fine, moved: the wave and the moved wave, (P,) values over 8 pixels, P - 1 a multiple of 8.
        slow: what the coarse samples show, before, after, and what they should show after: (3, P).
    """
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 2.5))
    x = np.linspace(0, 8, len(fine))
    at = np.arange(0, 8, 2) * (len(fine) - 1) // 8
    titles = ("Eight pixels, every second one kept", "The picture moves right by one pixel")
    for k, (ax, wave) in enumerate(zip(axes, (fine, moved), strict=True)):
        ax.plot(x, wave, color=plotting.MUTED, ls="-", lw=0.9, label="the picture")
        ax.plot(x, slow[k], color=plotting.WITHOUT, ls="--", lw=1.8, label="what the kept ones show")
        if k:
            ax.plot(x, slow[2], color=plotting.PREFER, ls="-", lw=1.5, label="that, moved right by one pixel")
        ax.plot(x[at], np.asarray(wave)[at], **{**plotting.points(0), "ms": 7})
        ax.set(xlabel="pixel", ylim=(-1.35, 2.0), xticks=range(9), yticks=(-1, 0, 1))
        ax.set_title(titles[k], loc="left")
        ax.legend(loc="upper left", ncols=2, fontsize=8.5, columnspacing=1.0, handlelength=1.6)
    return fig


def folding(k: ArrayLike, before: ArrayLike, coarse: np.ndarray | Tensor, own: ArrayLike, folded: ArrayLike) -> Figure:
    """A spectrum, what a plain stride makes of it, and what is left after a low-pass.

    Args:
        k, before: frequencies and sizes of the coefficients of the fine grid, (n,).
        coarse: frequencies of the coarse grid (m,); own, folded: sizes that belong there and that land there, (m,).
    """
    fig, axes = plt.subplots(1, 3, figsize=(8.7, 2.7), width_ratios=(1.6, 1, 1), sharey=True)
    k, before = np.asarray(k), np.asarray(before)
    inside = np.isin(k, coarse[np.asarray(own) > 0])
    ax = axes[0]
    ax.bar(k[inside], before[inside], color=plotting.PREFER, alpha=0.75, width=0.7)
    ax.bar(k[~inside], before[~inside], color=plotting.WITHOUT, alpha=0.75, width=0.7)
    ax.set(xlabel="frequency, 16 pixels", ylabel="size of the coefficient", xticks=range(-6, 7, 2))
    ax.set_title("A row of a picture", loc="left")
    for ax, title, parts in ((axes[1], "Every second pixel", (own, folded)), (axes[2], "Low-pass first", (own,))):
        under = np.zeros(len(coarse))
        for part, color in zip(parts, (plotting.PREFER, plotting.WITHOUT), strict=False):
            ax.bar(coarse, part, bottom=under, color=color, alpha=0.75, width=0.7)
            under = under + np.asarray(part)
        ax.set(xlabel="frequency, 8 pixels", xticks=range(-4, 4, 2))
        ax.set_title(title, loc="left")
    return fig


def residuals(factors: ArrayLike, curves: Mapping[str, ArrayLike], half: ArrayLike) -> Figure:
    """Error of an activation against the factor of the fine grid.

    Args:
        factors: (F,). curves: name -> errors (F,) at an irrational shift. half: errors (F,) of one of them, the last,
            at half a pixel.
    """
    fig, ax = plt.subplots(figsize=(6.0, 3.4))
    for i, (name, values) in enumerate(curves.items()):
        ax.plot(factors, values, **{**plotting.line(i), "lw": 1.0})
        ax.plot(factors, values, **plotting.points(i), label=name)
    ax.plot(factors, half, ls="none", marker="x", color=plotting.INK, ms=6, label=f"{list(curves)[-1]}, half a pixel")
    ax.set(xscale="log", yscale="log", xlabel="fine grid over grid, $r$", ylabel="equivariance error", ylim=(1e-17, 3))
    ax.set_xticks((1, 1.5, 2, 3, 4, 6, 8), ("1", "1.5", "2", "3", "4", "6", "8"))
    ax.minorticks_off()
    ax.legend(loc="lower left", bbox_to_anchor=(0.3, 0.14), fontsize=9)
    return fig


def three_tokens(x: ArrayLike, y: ArrayLike, x_half: ArrayLike, y_half: ArrayLike) -> Figure:
    """Softmax attention of three tokens on a circle, before and after half a token: (3,) each."""
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 2.5), sharey=True)
    titles = ("Three tokens", "The same signal, half a token on")
    for ax, title, given, out in zip(axes, titles, (x, x_half), (y, y_half), strict=True):
        ax.axhline(0, color=plotting.RULE, lw=0.8, zorder=0)
        ax.bar(np.arange(3) - 0.17, given, width=0.3, color=plotting.MUTED, alpha=0.5, label="token")
        ax.bar(np.arange(3) + 0.17, out, width=0.3, color=plotting.WITHOUT, alpha=0.8, label="after attention")
        mean = float(np.mean(np.asarray(out)))
        ax.axhline(mean, color=plotting.WITHOUT, ls="--", lw=1.2)
        ax.text(2.62, mean, "mean", ha="right", va="bottom" if mean > 0 else "top", color=plotting.WITHOUT, fontsize=9)
        ax.set(xticks=range(3), xlim=(-0.6, 2.65), xlabel="place", ylim=(-1.2, 1.2))
        ax.set_title(title, loc="left")
    axes[0].legend(loc="upper right", ncols=2, fontsize=9)
    return fig


def training(rows: Mapping[str, tuple[Sequence[float], Sequence[float]]], kinds: Mapping[str, bool]) -> Figure:
    """Accuracy of trained networks, unshifted and at worst, one row a network.

    Args:
        rows: name -> (clean, worst), each a list over seeds, shares. kinds: name -> whether it is alias-free.
    """
    fig, ax = plt.subplots(figsize=(7.4, 0.42 * len(rows) + 1.1))
    for i, (name, (clean, worst)) in enumerate(rows.items()):
        color = plotting.PREFER if kinds[name] else plotting.WITHOUT
        ax.plot([np.mean(worst), np.mean(clean)], [-i, -i], color=plotting.RULE, ls="-", lw=1.2, zorder=1)
        ax.plot(clean, [-i] * len(clean), ls="none", marker="o", ms=5, color=color, zorder=3, alpha=0.85)
        ax.plot(worst, [-i] * len(worst), ls="none", marker="o", ms=9.5, mew=1.5, mfc="none", color=color, zorder=3)
    ax.plot([], [], "o", ms=5, color=plotting.INK, ls="none", label="where they stand")
    ax.plot([], [], "o", color=plotting.INK, mfc="none", ms=9.5, mew=1.5, ls="none", label="right under every shift")
    ax.set_yticks(range(0, -len(rows), -1), list(rows))
    ax.set(xlim=(-0.03, 1.03), xlabel="share of 100 test digits that are right")
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.6 / (0.42 * len(rows) + 0.3)), ncols=2, frameon=False)
    return fig


def one_change(rows: Mapping[str, Sequence[float]]) -> Figure:
    """Change of the logits under a shift, one piece exchanged at a time: name -> one value a seed, on a log axis."""
    fig, ax = plt.subplots(figsize=(7.4, 0.36 * len(rows) + 0.9))
    for i, values in enumerate(rows.values()):
        ax.plot(values, [-i] * len(values), **plotting.points(1 if i == 0 else 0))
    ax.set_yticks(range(0, -len(rows), -1), list(rows))
    ax.set(xscale="log", xlim=(1e-16, 10), xlabel="change of the logits, in units of their spread")
    return fig


def miniature() -> str:
    """A fast wave (without) and the slow one (prefer) that every second of eight samples shows."""
    x = np.linspace(0, 8, 97)
    frame = _svg.Frame(-0.3, 8.3, -2.2, 2.2)
    at = np.arange(0, 9, 2)
    fast, slow = (lambda t, k=k: 1.6 * np.cos(2 * np.pi * k * t / 8) for k in (3, 1))
    return _svg.svg(
        frame.lines("without", [(x, fast(x))]), frame.lines("prefer", [(x, slow(x))]),
        frame.dots("disc", list(zip(at, fast(at), strict=True)), 7),
    )  # fmt: skip
