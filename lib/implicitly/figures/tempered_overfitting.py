"""Drawings of the chapter tempered-overfitting: arrays in, figure out; only the theory's curves are computed."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from .. import interpolators, plotting
from . import _svg

__all__ = ["allowed_errors", "curves", "miniature", "networks", "sizes", "transition"]


def curves(ax, *, labels: bool = True) -> None:
    """The two theorems' curves, Bayes error and the trivial level against the noise level, on `ax`."""
    eps = torch.linspace(0, 0.5, 201, dtype=torch.float64)
    arbitrary, independent = interpolators.arbitrary_noise_bound(eps), interpolators.independent_noise_error(eps)
    ax.axhline(0.5, color=plotting.RULE, lw=1.0, zorder=0)
    ax.plot(eps, arbitrary, **plotting.line(0), lw=1.5, label=r"any noise: $1-2^{-H(\varepsilon)}$")
    ax.plot(eps, independent, **plotting.line(1), lw=1.5, label=r"independent flips: $2\varepsilon(1-\varepsilon)$")
    ax.plot(eps, eps, color=plotting.INK, ls=plotting.DASHES[2], lw=1.3, label=r"best possible: $\varepsilon$")
    ax.set(xlabel=r"noise level, $\varepsilon$", ylabel="error on new noisy labels, $L$", xlim=(0, 0.5), ylim=(0, 0.56))
    if labels:
        ax.text(0.01, 0.51, "guessing", fontsize=9, color=plotting.MUTED)
        ax.legend(loc="lower right")


def allowed_errors(bits, low, high, dots, *, eps: float):
    """What C6 allows at one noise level, and what rules do.

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
    ax.set(xlabel="bits per example, $E[C]/N$", ylabel=r"clean error, $\Delta$")
    ax.set(xlim=(bits[0] - 0.02, bits[-1]), ylim=(0, 0.8))
    ax.text(bits[-1] * 0.86, 0.27, "allowed", fontsize=9.5, color=plotting.MUTED)
    ax.legend(loc="upper left")
    return fig


def sizes(N, lines, *, labels):
    """Sizes against the number of points, logarithmic: `lines` name -> (len(N),); the first is theory."""
    fig, ax = plt.subplots(figsize=(6.0, 3.6))
    for i, (name, values) in enumerate(lines.items()):
        style = plotting.theory() if i == 0 else {**plotting.line(i - 1), "marker": plotting.MARKERS[i - 1]}
        ax.loglog(N, values, **style, markerfacecolor=plotting.PAPER, base=2)
        ax.annotate(labels[name], (N[-1], values[-1]), xytext=(6, -3), textcoords="offset points", fontsize=9)
    ax.set(xlabel="listed points, $N$", ylabel="weights", xlim=(N[0] * 0.9, N[-1] * 4))
    ax.set_yscale("log", base=10)
    return fig


def transition(curves_by_label, *, eps: float):
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


def networks(panels, *, eps):
    """Small multiples over N: `panels` N -> name -> noisy error (len(eps),), measurements on the theorems' curves."""
    fig, axes = plt.subplots(1, len(panels), figsize=(8.7, 3.3), sharey=True)
    for ax, (N, rows) in zip(axes, panels.items(), strict=True):
        curves(ax, labels=False)
        for i, (name, values) in enumerate(rows.items()):
            ax.plot(eps, values, **plotting.points((2, 1, 3)[i]), label=name, clip_on=False, zorder=3)
        ax.set_title(f"$N={N}$")
        ax.set_xlim(0, 0.32)
        if ax is not axes[0]:
            ax.set_ylabel("")
    handles, names = axes[-1].get_legend_handles_labels()
    axes[-1].legend(handles[3:], names[3:], loc="lower right", fontsize=8.5)  # the lines are in the first figure
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
