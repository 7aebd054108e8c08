"""Drawings that more than one cell needs. They take arrays and an axis, and compute nothing.

Filled discs are training points, rings are sums of them, small dots are ends that are neither.
"""

import numpy as np

from .. import plotting
from .._validate import flag, number
from ..plotting import _array, _check_axes, _check_size

__all__ = ["KIND_COLORS", "bands", "flow_panel", "points_and_sums"]

#: Colours of training, sum and neither, as in `implicitly.diffusion.KINDS`.
KIND_COLORS = (plotting.PREFER, plotting.WITHOUT, plotting.INK)


def points_and_sums(ax, points, sums=(), *, size: float = 9.0) -> None:
    """Training points (N, 2) as discs, sums (S, 2) as rings, of `size` points (1/72 inch) across."""
    _check_axes(ax)
    points, sums = _array("points", points, ("N", 2)), _pairs("sums", sums)
    _check_size(size)
    plotting.disc(ax, *points.T, size=size)
    plotting.ring(ax, *sums.T, size=size)


def _pairs(name: str, value) -> np.ndarray:
    """`value` as an array (S, 2); an empty sequence has no rows."""
    array = _array(name, value)
    return array.reshape(0, 2) if array.shape == (0,) else _array(name, array, ("S", 2))


def flow_panel(ax, path, kinds, *, points, sums=(), start: bool = True) -> None:
    """Trajectories coloured by where they end.

    Args:
        ax: axis to draw on; gets equal scales.
        path: (T, B, 2), the states in time order, T at least 1.
        kinds: (B,), whole numbers: 0 training, 1 sum, 2 neither.
        points: training points, (N, 2).
        sums: sums of training points, (S, 2).
        start: whether to mark the starts with small dots.
    """
    _check_axes(ax)
    path = _array("path", path, ("T", "B", 2))
    kinds = _array("kinds", kinds, (path.shape[1],))
    if not len(path):
        raise ValueError("path must hold at least one state, found none")
    if not np.isin(kinds, range(len(KIND_COLORS))).all():
        raise ValueError(f"kinds must be 0, 1 or 2, found {kinds[~np.isin(kinds, range(len(KIND_COLORS)))][0]}")
    flag("start", start)
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
    """Dashed lines at the two ends of the middle band, across the axes named: "x", "y" or "xy"."""
    _check_axes(ax)
    low, high = number("low", low), number("high", high)
    if high < low:
        raise ValueError(f"high must be at least low, {low:g}, found {high:g}")
    if not isinstance(axes, str) or axes not in ("x", "y", "xy"):
        raise ValueError(f"axes must be 'x', 'y' or 'xy', found {axes!r}")
    style = {"color": plotting.INK, "lw": 0.8, "ls": (0, (4, 3)), "alpha": 0.6, "zorder": 0}
    for value in (low, high):
        if "x" in axes:
            ax.axvline(value, **style)
        if "y" in axes:
            ax.axhline(value, **style)
