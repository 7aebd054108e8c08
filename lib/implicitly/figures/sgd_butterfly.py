"""Drawings of the chapter sgd-butterfly: arrays in, figure out; nothing is computed but axes' limits."""

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import imitation, plotting
from . import _svg

__all__ = ["eigenvalues", "miniature", "shares_and_costs"]


def eigenvalues(clouds: Mapping[str, ArrayLike], expert: ArrayLike) -> Figure:
    """Eigenvalues of closed loops in the complex plane: `clouds` title -> complex (K,); `expert` complex (d,).

    Distances from the unit circle are drawn five times as large.
    """

    def enlarged(z):
        return z / np.abs(z) * (1 + 5 * (np.abs(z) - 1))

    fig, axes = plt.subplots(1, len(clouds), figsize=(7.2, 3.7))
    angle = np.linspace(0, 2 * math.pi, 400)
    for ax, (title, values) in zip(axes, clouds.items(), strict=True):
        outside, values = np.abs(np.asarray(values)) > 1, enlarged(np.asarray(values))
        plotting.diagram(ax, title, xlim=(-1.36, 1.36), ylim=(-1.3, 1.3))
        plotting.region(ax, np.cos(angle), np.sin(angle))
        ax.plot(values[~outside].real, values[~outside].imag, ".", color=plotting.PREFER, ms=2.5, mew=0, zorder=3)
        ax.plot(values[outside].real, values[outside].imag, "x", color=plotting.WITHOUT, ms=4, mew=1, zorder=4)
        places = enlarged(np.asarray(expert))
        plotting.ring(ax, places.real, places.imag, size=8, color=plotting.INK, mew=1.2, mfc="none")
    return fig


def shares_and_costs(
    excess: Mapping[str, ArrayLike],
    shares: Mapping[str, ArrayLike],
    line: tuple[ArrayLike, ArrayLike],
    costs: Mapping[str, ArrayLike],
    alone: str,
) -> Figure:
    """The share of unstable loops and the upper twentieth of roll-out costs, against the excess.

    Args:
        excess: kind -> (K,), over the least loss. shares: kind -> (K,). line: two arrays (T,), the theory.
        costs: kind -> (K,), over the expert's. alone: which kind has a line through its costs.
    """
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.5))
    axes[0].plot(*line, **plotting.theory(), label="first order")
    for ax, rows in zip(axes, (shares, costs), strict=True):
        for i, (kind, values) in enumerate(rows.items()):
            style = {**plotting.points(i), "ms": (6, 4.5, 9.5, 5.5)[i], "markerfacecolor": "none"}
            ax.plot(excess[kind], values, **style, label=kind)
        ax.set(xscale="log", xlabel="excess / least loss", xlim=(8e-4, 0.1))
    axes[1].plot(excess[alone], costs[alone], color=plotting.MUTED, ls="-", lw=0.8, zorder=0)
    axes[0].set(ylabel="share of unstable loops", ylim=(-0.02, 0.6))
    axes[1].set(ylabel="cost / expert's, 95th percentile", yscale="log")
    axes[0].legend(loc="upper left")
    return fig


def miniature() -> str:
    """Roll-out cost along SGD on a logarithmic axis: of the last weights, and of their moving average."""
    loop = imitation.random_loop(4, 0.98, generator=torch.Generator().manual_seed(1))
    start = torch.zeros(1, 4, 4, dtype=torch.float64)
    errors = imitation.clone(start, eta=0.05, batch=8, noise=0.3, steps=1200, seeds=[1])
    frame, parts = _svg.Frame(-2, 122, 1.6, 5.2, 150), []
    for kind, decay in (("without", 0.0), ("prefer", 0.99)):
        cost = imitation.rollout_cost(loop + imitation.moving_average(errors, decay)[0, ::10], 200)
        parts.append(frame.lines(kind, [(range(121), cost.log10().clamp(max=5.1).tolist())]))
    return _svg.svg(*parts, height=150)
