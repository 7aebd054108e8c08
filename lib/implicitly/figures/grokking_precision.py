"""Drawings of the chapter grokking-precision: arrays in, figure out; nothing is computed but averages and limits."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from .. import grokking, margins, plotting
from . import _svg

__all__ = ["addition", "angles", "miniature", "stops", "ticks"]


def ticks(panels: Mapping[str, tuple[str, float, float, float]]) -> Figure:
    """A number, a step from it, and the numbers near it that a format has: title -> (note, start, step, spacing).

    Spacings are drawn equally long; where `start` is a power of 2 there is one more mark below it, unnamed.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(8.7, 1.75))
    for ax, (title, (note, start, step, spacing)) in zip(axes, panels.items(), strict=True):
        plotting.diagram(ax, title, note, xlim=(-1.25, 2.45), ylim=(-0.62, 0.62))
        ax.plot([-1.2, 2.4], [0, 0], color=plotting.MUTED, ls="-", lw=1.0, zorder=1)
        # below a power of 2 the numbers lie half as far apart
        for k in (-1, -0.5, 0, 1, 2) if math.log2(start).is_integer() else (-1, 0, 1, 2):
            ax.plot([k, k], [-0.11, 0.11], color=plotting.INK, ls="-", lw=1.2, zorder=2)
            if k != -0.5:
                ax.text(k, -0.22, f"{start + k * spacing:.8g}", ha="center", va="top", fontsize=9)
        ax.plot([0.5, 0.5], [-0.06, 0.3], color=plotting.MUTED, ls=":", lw=1.0)
        ax.text(0.5, 0.33, "half way", ha="center", va="bottom", fontsize=8.5, color=plotting.MUTED)
        plotting.disc(ax, 0, 0, size=7)
        plotting.ring(ax, step / spacing, 0, size=6, color=plotting.WITHOUT, mew=1.4)
    return fig


def _band(ax, x, values, index, label):
    values, style = np.asarray(values, float), plotting.line(index)
    ax.fill_between(x, values.min(0), values.max(0), color=style["color"], alpha=0.15, lw=0)
    ax.plot(x, values.mean(0), **style)
    ax.plot(x, values.mean(0), **plotting.points(index), label=label)


def stops(bits: ArrayLike, last: Mapping[str, ArrayLike], steps: int, angle: ArrayLike, exact: ArrayLike) -> Figure:
    """Left, the last step that changes a weight: name -> (S, P), of `steps` at most; right, angles (S, P) in degrees.

    `exact`: mean angle (P,) of runs without rounding, ended at the same steps.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.7, 3.2))
    for i, (name, values) in enumerate(last.items()):
        _band(left, bits, values, i, name)
    left.axhline(steps, color=plotting.MUTED, lw=0.8, ls=":")
    left.set(yscale="log", xlabel="bits, $p$", ylabel="last step that changes a weight")
    left.legend(loc="lower right")
    _band(right, bits, angle, 1, "everything rounded")
    right.plot(bits, exact, **plotting.theory(), label="not rounded, as many steps")
    right.set(xlabel="bits, $p$", ylabel="angle to the largest margin, °", ylim=(0, None))
    right.legend(loc="upper right")
    return fig


def angles(steps: ArrayLike, curves: Mapping[str, Sequence[ArrayLike]]) -> Figure:
    """Angle to the largest margin and to another limit along training: name -> two rows (T,), in degrees."""
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 2.9), sharey=True)
    for k, (ax, title) in enumerate(zip(axes, ("to the largest margin", "to $V$"), strict=True)):
        for i, (name, rows) in enumerate(curves.items()):
            ax.plot(steps, rows[k], **plotting.line(i), label=name)
        ax.set(xscale="log", xlabel="step", title=title, ylim=(0, None))
    axes[0].set(ylabel="angle, °, mean of eight")
    axes[0].legend(loc="lower left")
    return fig


def addition(at: ArrayLike, curves: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Length of the gradient, and right answers on unseen pairs: name -> (gradient (T, S), test (T, S))."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.7, 3.2))
    for i, (name, (gradient, test)) in enumerate(curves.items()):
        label = name.replace("perp-", r"$\perp$")  # the book's fonts lack the sign
        _band(left, at, gradient.T, i, label)
        _band(right, at, test.T, i, label)
    left.set(yscale="log", xlabel="step", ylabel="length of the gradient")
    right.set(xlabel="step", ylabel="right on unseen pairs", ylim=(-0.03, 1.03))
    left.legend(loc="lower left", fontsize=8.8)
    return fig


def miniature() -> str:
    """Angle to the largest margin against the logarithm of the step: 8 bits, which stop, and no rounding."""
    X, y = margins.teacher_classes(20, 2, 2, seed=3)
    at = sorted({round(2 ** (k / 4)) for k in range(46)})
    best = margins.hard_margin_svm(X, y).W
    frame, parts = _svg.Frame(-0.3, 8.1, 0, 14, 150), []
    for kind, bits in (("prefer", 50), ("without", 8)):
        run = grokking.descend_rounded(X[None], y[None], [bits], step_size=0.25, at=at)
        angle = margins.angle(run.direction[:, 0, 0], best.expand(len(at), 2, 2)).tolist()
        x = torch.tensor(at).log().tolist()
        parts.append(frame.lines(kind, [(x, angle)]))
        parts.append(frame.dots("disc" if kind == "prefer" else "ring", [(x[-1], angle[-1])], 4.5))
    return _svg.svg(*parts, height=150)
