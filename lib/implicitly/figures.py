"""Drawings that more than one cell needs. They take arrays and an axis, and compute nothing.

Filled discs are training points, rings are sums of them, small dots are ends that are neither.
"""

import numpy as np

from . import plotting

__all__ = ["KIND_COLORS", "bands", "flow_panel", "points_and_sums"]

#: Colours of training, sum and neither, as in `implicitly.flows.KINDS`.
KIND_COLORS = (plotting.PREFER, plotting.WITHOUT, plotting.INK)


def points_and_sums(ax, points, sums=(), *, size: float = 9.0) -> None:
    """Training points (N, 2) as discs, sums (S, 2) as rings."""
    sums = np.reshape(np.asarray(sums), (-1, 2))
    plotting.disc(ax, *np.asarray(points).T, size=size)
    plotting.ring(ax, *sums.T, size=size)


def flow_panel(ax, path, kinds, *, points, sums=(), start: bool = True) -> None:
    """Trajectories coloured by where they end.

    Args:
        ax: axis to draw on; gets equal scales.
        path: (T, B, 2), the states in time order.
        kinds: (B,), 0 training, 1 sum, 2 neither.
        points: training points, (N, 2).
        sums: sums of training points, (S, 2).
        start: whether to mark the starts with small dots.
    """
    path, kinds = np.asarray(path), np.asarray(kinds)
    for kind, color in enumerate(KIND_COLORS):
        lines = path[:, kinds == kind]
        ax.plot(lines[..., 0], lines[..., 1], color=color, lw=0.8, ls="-", alpha=0.7)
        if start:
            ax.plot(*lines[0].T, "o", color=color, ms=2, mew=0, ls="none")
        if kind == 2:
            ax.plot(*lines[-1].T, "o", color=color, ms=4.5, mew=0, ls="none", zorder=3)
    points_and_sums(ax, points, sums)
    ax.set_aspect("equal")


def bands(ax, low: float, high: float, *, axes: str = "xy") -> None:
    """Dashed lines at the two ends of the middle band, across the axes named."""
    style = {"color": plotting.INK, "lw": 0.8, "ls": (0, (4, 3)), "alpha": 0.6, "zorder": 0}
    for value in (low, high):
        if "x" in axes:
            ax.axvline(value, **style)
        if "y" in axes:
            ax.axhline(value, **style)
