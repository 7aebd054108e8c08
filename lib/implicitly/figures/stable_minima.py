"""Drawings of the chapter stable-minima: arrays in, figure out; nothing is computed but axes' limits."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike

from .. import plotting, stability
from . import _svg

__all__ = ["leaving", "miniature", "one_kink", "rates", "sweep", "valleys", "weight"]


def valleys(runs: Mapping[str, tuple[str, ArrayLike, bool]]) -> Figure:
    """Gradient descent in valleys lambda e**2 / 2: `runs` title -> (note, errors (T,) from the minimum, stable)."""
    fig, axes = plt.subplots(1, len(runs), figsize=(8.7, 2.4))
    for ax, (title, (note, errors, stable)) in zip(axes, runs.items(), strict=True):
        errors = np.asarray(errors)
        plotting.diagram(ax, title, note, xlim=(-1.75, 1.75), ylim=(-0.7, 1.85))
        e = np.linspace(-1.7, 1.7, 200)
        ax.plot(e, 0.62 * e**2, color=plotting.INK, ls="-", lw=1.6)
        color = plotting.PREFER if stable else plotting.WITHOUT
        plotting.path(ax, errors, 0.62 * errors**2, color=color, hollow=not stable)
        (plotting.disc if stable else plotting.ring)(ax, 0, 0, size=8, color=color)
        ax.text(0, -0.3, ", ".join(f"{v:.2g}".replace("-", "−") for v in errors[:4]) + ", …", ha="center", va="top",
                color=plotting.MUTED, fontsize=9.5)  # fmt: skip
    return fig


def one_kink(pairs: Sequence[tuple[float, float]], prices: Sequence[float]) -> Figure:
    """A neuron's kink, and its size as an area w1 × w2: `pairs` (w1, w2) of one product, `prices` theirs."""
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 2.4), width_ratios=(1, 1.5))
    ax = plotting.diagram(axes[0], "One neuron, one kink", xlim=(-1.4, 1.6), ylim=(-0.75, 1.5))
    ax.plot([-1.2, 0, 0.95], [0, 0, 1.35], color=plotting.INK, ls="-", lw=1.6)
    ax.plot([0, 0.95], [0, 0], color=plotting.RULE, ls="-", lw=1)
    plotting.disc(ax, 0, 0, size=7)
    plotting.arrow(ax, (0.62, 0.03), (0.42, 0.56), bend=0.25)
    ax.text(0.72, 0.3, "$w_1w_2$", va="center")
    plotting.ring(ax, -1, -0.35, size=5.5, color=plotting.INK, mew=1.1)
    plotting.disc(ax, 1, -0.35, size=5.5, color=plotting.INK)
    ax.text(-1, -0.5, "off: does not feel it", ha="center", va="top", color=plotting.MUTED, fontsize=9.5)
    ax.text(1, -0.5, "on", ha="center", va="top", color=plotting.MUTED, fontsize=9.5)
    ax = plotting.diagram(axes[1], "The same kink, three prices", xlim=(-0.6, 10.2), ylim=(-0.9, 2.6))
    left, cheapest = 0.3, min(prices)
    for (w1, w2), price in zip(pairs, prices, strict=True):
        plotting.region(ax, [left, left + w1, left + w1, left], [0, 0, w2, w2])
        best = price == cheapest
        (plotting.disc if best else plotting.ring)(ax, left + w1, w2, size=6, **({} if best else {"mew": 1.2}))
        ax.text(left + w1 / 2, -0.2, f"{price:.2f}", ha="center", va="top", weight=600 if best else 400)
        ax.text(left + w1 / 2, w2 + 0.08, f"{w1:.2g} × {w2:.2g}", ha="center", color=plotting.MUTED, fontsize=9.5)
        left += w1 + 1.1
    return fig


def weight(t: ArrayLike, curves: Mapping[str, ArrayLike]) -> Figure:
    """Weights against the place of a knot: `curves` name -> (m,); the first is theory."""
    fig, ax = plt.subplots(figsize=(6.0, 2.6))
    for i, (name, values) in enumerate(curves.items()):
        ax.plot(t, values, **(plotting.theory() if i == 0 else plotting.line(i)), label=name)
    ax.legend(loc="upper left")
    ax.set(xlabel="place of the knot, $t$", ylabel="weight, $g(t)$", xlim=(-1, 1), ylim=(0, None))
    return fig


def sweep(
    etas: Sequence[float], panels: Mapping[str, ArrayLike], *, edge: Mapping[float, tuple[ArrayLike, ArrayLike]]
) -> Figure:
    """Sharpness over the run, then what is left at its end.

    Args:
        etas: (E,). edge: eta -> (times (T,), sharpness times eta (S, T)).
        panels: label of the y axis -> (E, R) values, one column a seed.
    """
    fig, axes = plt.subplots(1, 1 + len(panels), figsize=(8.7, 2.8))
    ax = axes[0]
    ax.axhline(2, **plotting.theory())
    for i, (eta, (times, curves)) in enumerate(edge.items()):
        for j, curve in enumerate(curves):
            ax.plot(times, curve, **plotting.line(i), lw=1.1, label=None if j else rf"$\eta={eta}$")
    ax.set(xscale="log", xlabel="time, $\\eta$ × steps", ylabel=r"sharpness × $\eta$", ylim=(0, 4))
    ax.legend(loc="upper right", fontsize=8.5)
    for ax, (label, values) in zip(axes[1:], panels.items(), strict=True):
        values = np.asarray(values)
        spread = 1 + 0.12 * np.linspace(-1, 1, values.shape[1])
        for eta, row in zip(etas, values, strict=True):
            ax.plot(eta * spread, row, "o", color=plotting.RULE, ms=3, mew=0, ls="none")
        error = values.std(1, ddof=1) / math.sqrt(values.shape[1])
        ax.errorbar(etas, values.mean(1), 2 * error, **plotting.points(1))
        ax.set(xscale="log", xlabel=r"step size, $\eta$", ylabel=label, ylim=(0, None))
        ax.set_xticks(etas, [f"{eta:g}" for eta in etas])
        ax.minorticks_off()
    return fig


def leaving(steps: ArrayLike, train: Mapping[str, ArrayLike], edge: Mapping[str, ArrayLike]) -> Figure:
    """Runs from an interpolating minimum: `train`, `edge` label -> (S, T): training error; sharpness × eta / 2."""
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 2.9))
    for ax, curves in zip(axes, (train, edge), strict=True):
        for i, (label, rows) in enumerate(curves.items()):
            for j, row in enumerate(rows):
                ax.plot(steps, row, **plotting.line(i), lw=1.1, label=None if j else label)
        ax.set(xscale="log", xlabel="steps")
    axes[0].set(yscale="log", ylabel="training error, $2L$", ylim=(1e-11, 1))
    axes[1].axhline(1, **plotting.theory())
    axes[1].set(ylabel=r"sharpness × $\eta/2$", ylim=(0, 2.2))
    handles, labels = axes[0].get_legend_handles_labels()
    axes[1].legend(handles, labels, loc="upper right", title="step size / largest stable")
    return fig


def rates(sizes: ArrayLike, curves: Mapping[str, ArrayLike], *, exponent: float = -0.8) -> Figure:
    """Mean error against the number of points, two standard errors: `curves` name -> (m, R); a line of the rate."""
    fig, ax = plt.subplots(figsize=(6.0, 2.9))
    sizes = np.asarray(sizes, float)
    for i, (name, values) in enumerate(curves.items()):
        values = np.asarray(values)
        error = 2 * values.std(1, ddof=1) / math.sqrt(values.shape[1])
        style = {**plotting.line(i), "lw": 1.2, "marker": plotting.MARKERS[i], "mfc": plotting.PAPER}
        ax.errorbar(sizes * 1.015**i, values.mean(1), error, **style, label=name)
    ax.plot(sizes, 0.075 * (sizes / sizes[0]) ** exponent, **plotting.theory(), label="$n^{-4/5}$")
    ax.set(xscale="log", yscale="log", xlabel="number of points, $n$", ylabel="error inside, $|x|\\leq0.8$")
    ax.set_xticks(sizes, [f"{int(n)}" for n in sizes])
    ax.minorticks_off()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.legend(loc="lower left", fontsize=8.8)
    return fig


def miniature() -> str:
    """Fits of one noisy data set at a small step size and at a large one, the same time after the same starts."""
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)
    y = stability.noisy_labels((1 - 2 * x.abs()).clamp_min(0), 0.3, seeds=range(12))[7:8]
    start, grid = stability.initial_nets(100, seeds=range(12))[7], torch.linspace(-1, 1, 101, dtype=torch.float64)
    frame, parts = _svg.Frame(-1.03, 1.03, -0.8, 1.55, 170), []
    for kind, eta in (("without", 0.03), ("prefer", 0.2)):
        net = stability.gradient_descent(start, x, y, eta, round(20_000 / eta))
        parts.append(frame.lines(kind, [(grid, net(grid)[0])]))
    return _svg.svg(*parts, frame.dots("disc", zip(x, y[0], strict=True), 1.6), height=170)
