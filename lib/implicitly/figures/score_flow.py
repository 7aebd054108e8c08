"""Drawings that more than one cell needs. They take arrays and an axis, and compute nothing.

Filled discs are training points, rings are sums of them, small dots are ends that are neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import _plot_checks as check
from .. import diffusion, plotting
from .._validate import flag, number
from . import _svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["KIND_COLORS", "bands", "flow_panel", "miniature", "one_ramp", "points_and_sums"]

#: Colours of training, sum and neither, as in `implicitly.diffusion.KINDS`.
KIND_COLORS = (plotting.PREFER, plotting.WITHOUT, plotting.INK)


def points_and_sums(ax: Axes, points: ArrayLike, sums: ArrayLike = (), *, size: float = 9.0) -> None:
    """Training points (N, 2) as discs, sums (S, 2) as rings, of `size` points (1/72 inch) across."""
    check.axes(ax)
    points, sums = check.array("points", points, ("N", 2)), _pairs("sums", sums)
    check.size(size)
    plotting.disc(ax, *points.T, size=size)
    plotting.ring(ax, *sums.T, size=size)


def _pairs(name: str, value) -> np.ndarray:
    """`value` as an array (S, 2); an empty sequence has no rows."""
    array = check.array(name, value)
    return array.reshape(0, 2) if array.shape == (0,) else check.array(name, array, ("S", 2))


def flow_panel(
    ax: Axes, path: ArrayLike, kinds: ArrayLike, *, points: ArrayLike, sums: ArrayLike = (), start: bool = True
) -> None:
    """Trajectories coloured by where they end.

    Args:
        ax: axis to draw on; gets equal scales.
        path: (T, B, 2), the states in time order, T at least 1.
        kinds: (B,), whole numbers: 0 training, 1 sum, 2 neither.
        points: training points, (N, 2).
        sums: sums of training points, (S, 2).
        start: whether to mark the starts with small dots.
    """
    check.axes(ax)
    path = check.array("path", path, ("T", "B", 2))
    kinds = check.array("kinds", kinds, (path.shape[1],))
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


def bands(ax: Axes, low: float, high: float, *, axes: str = "xy") -> None:
    """Dashed lines at the two ends of the middle band, across the axes named: "x", "y" or "xy"."""
    check.axes(ax)
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


def one_ramp(rho: float, starts: ArrayLike, sigmas: ArrayLike, paths: ArrayLike) -> Figure:
    """An edge of length 1 three times: two neurons, the flow at fixed noise, coordinates as the noise fades.

    Args:
        rho: radius of the balls in the first two drawings, in (0, 1/2).
        starts: numbers; each is marked on the ramp.
        sigmas: falling noise levels, (S,), from `rho` on. paths: coordinates, (S, B).

    Returns:
        The figure.
    """
    rho = number("rho", rho, above=0.0, below=0.5)
    sigmas = check.array("sigmas", sigmas, ("S",))
    starts, paths = check.array("starts", starts, ("B",)), check.array("paths", paths, (len(sigmas), "B"))
    fig, axes = plt.subplots(1, 3, figsize=(8.7, 3.1))
    z = np.array([-0.25, rho, 1 - rho, 1.25])
    up, slope = np.maximum(z - rho, 0), 1 / (1 - 2 * rho)
    back = -np.maximum(z - (1 - rho), 0)
    ramp = slope * (up + back)

    ax = axes[0]
    for centre in (0, 1):
        ax.axvspan(centre - rho, centre + rho, color=plotting.RULE, alpha=0.5, lw=0)
    ax.plot(z, slope * up, color=plotting.PREFER, lw=1, ls=(0, (5, 3)))
    ax.plot(z, slope * back, color=plotting.WITHOUT, lw=1, ls=(0, (2, 2)))
    ax.plot(z, ramp, color=plotting.INK, lw=1.6, ls="-")
    ax.text(0.78, 1.1, "first", color=plotting.PREFER, ha="right")
    ax.text(0.98, -0.42, "second", color=plotting.WITHOUT, ha="right")
    ax.text(0.45, 0.58, r"$\varphi$", ha="right")
    ax.set(title="Two neurons", ylim=(-0.6, 1.4), xlim=(-0.25, 1.25), xlabel="coordinate, $z$")

    ax = axes[1]
    ax.plot([-0.25, 1.25], [-0.25, 1.25], color=plotting.MUTED, lw=0.8, ls="-")
    ax.plot(z, ramp, color=plotting.INK, lw=1.6, ls="-")
    for start in starts:
        denoised = float(np.interp(start, z, ramp))
        ax.plot([start, start], [-0.25, denoised], color=plotting.RULE, lw=1, ls="-")
        plotting.disc(ax, start, denoised, size=4.5, color=plotting.INK)
        high = start > 0.5
        ax.text(start + (-0.05 if high else 0.05), denoised + (0.09 if high else -0.09), f"{denoised:.2f}",
                ha="right" if high else "left", va="center", color=plotting.MUTED, fontsize=9.5)  # fmt: skip
    for start, end in ((0.44, 0.06), (0.56, 0.94), (-0.23, -0.05), (1.23, 1.05)):
        plotting.arrow(ax, (start, -0.25), (end, -0.25))
    plotting.disc(ax, [0, 1], [-0.25, -0.25], clip_on=False)
    ax.plot(0.5, -0.25, "x", color=plotting.INK, ms=6, mew=1.4, clip_on=False, zorder=4)
    ax.set(title="Fixed noise", ylim=(-0.4, 1.25), xlim=(-0.25, 1.25), xlabel="coordinate, $c$")

    ax = axes[2]
    outer = (paths[-1] < 0.01) | (paths[-1] > 0.99)
    ax.plot(sigmas, paths[:, outer], color=plotting.PREFER, ls="-", lw=1)
    ax.plot(sigmas, paths[:, ~outer], color=plotting.INK, ls="-", lw=0.8)
    for edge in (sigmas, 1 - sigmas):
        ax.plot(sigmas, edge, color=plotting.INK, lw=1.2, ls=(0, (4, 3)))
    plotting.disc(ax, [0, 0], [0, 1], clip_on=False)
    ax.plot(np.zeros((~outer).sum()), paths[-1, ~outer], "o", color=plotting.INK, ms=4.5, mew=0, ls="none",
            clip_on=False, zorder=3)  # fmt: skip
    ax.set(title="Fading noise", xlabel=r"noise level, $\sigma$", xlim=(0, sigmas[0]), ylim=(-0.25, 1.25),
           xticks=[0, sigmas[0] / 2, sigmas[0]])  # fmt: skip
    for ax in axes:
        ax.set_yticks([0, 0.5, 1])
    for ax in axes[:2]:
        ax.set_xticks([0, 0.5, 1])
    return fig


def miniature() -> str:
    """The score flow at right angles: 12 rows of 11 starts, 12 points a line, exact."""
    low, high = -0.62, 1.62
    row, column = torch.arange(12).repeat_interleave(11), torch.arange(11).repeat(12)
    # off the lines 0.5, where the flow cannot decide; shifted row by row as on the cover
    x = low + 0.12 + (high - low - 0.24) * (column + (row * 0.618) % 1) / 11
    starts = torch.stack([x, low + 0.12 + (high - low - 0.24) * (row + 0.5) / 12], 1).double()
    times = (0, 0.25, 0.6, 1.1, 1.8, 2.9, 4.7, 7.8, 10, 13, 17, 22)
    path = torch.stack([diffusion.score_flow_exact(starts, 1.0, 0.1, time) for time in times])  # (T, B, 2)
    at_sum = (path[-1] > 0.5).all(1)
    frame = _svg.Frame(low, high, low, high)
    curves = [[(line[:, 0].tolist(), line[:, 1].tolist()) for line in path[:, kind].unbind(1)]
              for kind in (~at_sum, at_sum)]  # fmt: skip
    return _svg.svg(frame.lines("prefer", curves[0]), frame.lines("without", curves[1]),
                    frame.dots("disc", [(0, 0), (1, 0), (0, 1)], 5), frame.dots("ring", [(1, 1)], 4.4))  # fmt: skip
