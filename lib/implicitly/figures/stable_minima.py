"""Drawings of the chapter stable-minima: arrays in, figure out; nothing is computed but axes' limits."""

import math

import matplotlib.pyplot as plt
import numpy as np

from .. import plotting

__all__ = ["bends", "ends", "fits", "leaving", "rates", "sweep", "weight"]


def fits(grid, truth, x, y, panels):
    """Fits side by side on the same data.

    Args:
        grid: (m,). truth: (m,). x, y: (n,).
        panels: title -> (values (m,), knots (any,)); knots are marked under the fit.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(8.7, 3.6), sharey=True)
    for i, (ax, (title, (values, knots))) in enumerate(zip(axes, panels.items(), strict=True)):
        color = (plotting.WITHOUT, plotting.PREFER, plotting.line(2)["color"])[i % 3]
        ax.plot(grid, truth, **plotting.theory())
        ax.plot(x, y, "o", color=plotting.MUTED, ms=3.2, mew=0, ls="none")
        ax.plot(grid, values, color=color, ls="-", lw=1.6)
        inside = np.asarray(knots)[np.abs(knots) < 1]
        ax.plot(inside, np.full(len(inside), -0.93), "|", color=color, ms=9, mew=1.2, ls="none")
        ax.set(title=title, xlabel="input, $x$", xlim=(-1.03, 1.03), ylim=(-1.0, 1.75))
    axes[0].set_ylabel("label, $y$")
    return fig


def weight(t, curves):
    """Weights against the place of a knot: `curves` name -> (m,); the first is theory."""
    fig, ax = plt.subplots(figsize=(6.0, 3.0))
    for i, (name, values) in enumerate(curves.items()):
        ax.plot(t, values, **(plotting.theory() if i == 0 else plotting.line(i)), label=name)
    ax.legend(loc="upper left")
    ax.set(xlabel="place of the knot, $t$", ylabel="weight, $g(t)$", xlim=(-1, 1), ylim=(0, None))
    return fig


def sweep(etas, panels, *, edge):
    """Sharpness over the run, then what is left at its end.

    Args:
        etas: (E,). edge: eta -> (times (T,), sharpness times eta (S, T)).
        panels: label of the y axis -> (E, R) values, one column a seed.
    """
    fig, axes = plt.subplots(1, 1 + len(panels), figsize=(8.7, 3.5))
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


def bends(runs, *, low=1e-3):
    """Weighted total variation of trained networks against the bound: `runs` label -> (bound (R,), tv (R,))."""
    fig, ax = plt.subplots(figsize=(6.0, 3.6))
    line = np.array([1.0, 60.0])
    ax.plot(line, line, **plotting.theory())
    for i, (label, (bound, tv)) in enumerate(runs.items()):
        ax.plot(bound, np.maximum(tv, low), **plotting.points(i), label=label)
    ax.text(5.2, 8.2, "the bound", fontsize=9.5)
    ax.set(xscale="log", yscale="log", xlabel="what the step size allows, bound of C3")
    ax.set(ylabel="weighted total variation", xlim=(1, 60), ylim=(low * 0.7, 60))
    ax.legend(loc="lower right")
    return fig


def leaving(steps, train, edge):
    """Runs from an interpolating minimum: `train`, `edge` label -> (S, T): training error; sharpness × eta / 2."""
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.4))
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


def rates(sizes, curves, *, exponent=-0.8):
    """Mean error against the number of points, two standard errors: `curves` name -> (m, R); a line of the rate."""
    fig, ax = plt.subplots(figsize=(6.0, 3.8))
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
    ax.legend(loc="lower left", fontsize=8.8)
    return fig


def ends(grid, curves, inside=0.8):
    """Mean squared error place by place: `curves` name -> (m,)."""
    fig, ax = plt.subplots(figsize=(6.0, 3.3))
    for i, (name, values) in enumerate(curves.items()):
        ax.plot(grid, values, **plotting.line(i), lw=1.3, label=name)
    for edge in (-inside, inside):
        ax.axvline(edge, color=plotting.RULE, lw=0.9, ls="-", zorder=0)
    ax.set(yscale="log", xlabel="input, $x$", ylabel="mean squared error at $x$", xlim=(-1, 1))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(curves))
    return fig
