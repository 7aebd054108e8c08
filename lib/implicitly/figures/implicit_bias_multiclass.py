"""The figures of the chapter implicit-bias-multiclass: each takes results and returns the figure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from .. import margins, plotting
from ..margins import (
    MaxMargin,
    Path,
    PermLoss,
    angle,
    descend,
    hard_margin_svm,
    log_weights,
    margin_constants,
    relative_margin,
    sketch_classes,
)
from . import _svg

if TYPE_CHECKING:
    from ..explorer import Panel

__all__ = [
    "EXPLORER_WORDS", "borders", "clocks", "explorer_state", "force_panel", "growth_panel", "margin_panel", "miniature",
    "opening_panels", "plane_panel", "pulls", "shortfall", "support", "tail",
]  # fmt: skip

_CLASSES = (0, 1, 2)  # palette numbers
_BOX = (-2.4, 2.4)


def borders(W: ArrayLike) -> np.ndarray:
    """The rays along which two of three linear scores tie and lead, cut to the box from -2.4 to 2.4.

    Args:
        W: ``(3, 3)``, the weights of the two coordinates and of the constant 1; a tensor or an array.

    Returns:
        ``(3, 2, 2)``: for each pair of classes the two ends, each a point; NaN if the ray misses the box.
    """
    W = np.asarray(W, dtype=float)
    if W.shape != (3, 3):
        raise ValueError(f"W must have shape (3, 3), found {W.shape}")
    A, offset = W[:, :2], W[:, 2]
    meet = np.linalg.solve(A[1:] - A[0], offset[0] - offset[1:])
    rays = []
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        along = np.array([-(A[i] - A[j])[1], (A[i] - A[j])[0]])
        along /= np.linalg.norm(along)
        along *= np.sign((A[i] - A[k]) @ along)  # where class k scores less than the two that tie
        with np.errstate(divide="ignore", invalid="ignore"):
            hits = np.sort((np.array(_BOX)[:, None] - meet) / along, 0)  # enters and leaves each strip
        start, end = max(0.0, hits[0].max()), hits[1].min()
        rays.append([meet + start * along, meet + end * along] if start < end else np.full((2, 2), np.nan))
    return np.array(rays)


def _draw_borders(ax, W, **style):
    for j, ray in enumerate(borders(W)):
        ax.plot(*ray.T, **style | ({} if j == 0 else {"label": None}))


def pulls(points: Tensor, moments: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Two pulls and where their sum has led: `points` (2, 2) with signs folded in; `moments` title -> (v (2,), shares).

    The shares are those of the two points in the total force, (2,).
    """
    fig, axes = plt.subplots(1, len(moments), figsize=(8.7, 2.2))
    for ax, (title, (v, shares)) in zip(axes, moments.items(), strict=True):
        degrees = np.degrees(np.arctan2(float(v[1]), float(v[0])))
        note = f"{shares[0]:.0%} and {shares[1]:.0%} of the force; $v$ at {degrees:.0f}°"
        plotting.diagram(ax, title, note, xlim=(-0.25, 3.35), ylim=(-0.45, 1.75))
        ax.plot([0, 1.6], [0, 1.6], **plotting.theory())
        far = np.asarray(v) / np.linalg.norm(v) * 2.1
        ax.plot([0, far[0]], [0, far[1]], color=plotting.INK, ls="-", lw=2)
        plotting.disc(ax, *np.asarray(points)[0], size=7)
        plotting.ring(ax, *np.asarray(points)[1], size=7)
        for point, share, color in zip(points, shares, (plotting.PREFER, plotting.WITHOUT), strict=True):
            end = [float(share * x) for x in point]
            if np.hypot(*end) > 0.08:  # type: ignore[call-overload]  # shorter than its own head
                style = {"arrowstyle": "->", "color": color, "lw": 2, "mutation_scale": 12, "shrinkA": 0, "shrinkB": 0}
                ax.annotate("", end, (0, 0), zorder=4, arrowprops=style)
        ax.text(0.82, 1.12, "near", ha="right", va="center")
        ax.text(3.0, -0.17, "far", ha="center", va="top")
        ax.plot(0, 0, marker="+", color=plotting.MUTED, ms=7)
    return fig


def support(data: tuple[Tensor, Tensor], svm: MaxMargin, log_times: ArrayLike, forces: Tensor) -> Figure:
    """Borders and gutters of three classes with the support; force times time of each constraint against log time.

    Args:
        data: X (N, 3), the last feature 1, and y (N,). forces: (T, N (K - 1)), times time, at `log_times` (T,).
    """
    X, y = data
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.3), width_ratios=(1, 1.45))
    ax, place = axes[0], np.linspace(*_BOX, 400)
    scores = np.stack([*np.meshgrid(place, place), np.ones((400, 400))], -1) @ np.asarray(svm.W).T
    lead = np.diff(np.sort(scores, -1), axis=-1)[..., -1]  # of the best class over the second
    ax.contourf(place, place, lead, levels=[0, 1], colors=[plotting.RULE], alpha=0.45)
    ax.contour(place, place, lead, levels=[1], colors=[plotting.MUTED], linewidths=1)
    _draw_borders(ax, svm.W, color=plotting.INK, lw=1.6, ls="solid")
    for k in range(3):
        here = X[y == k]
        ax.plot(here[:, 0], here[:, 1], ls="none", marker=plotting.MARKERS[k], color=plotting.PALETTE[k], ms=6)
    held = X[svm.support.any(1)]
    ax.plot(held[:, 0], held[:, 1], "o", ls="none", ms=13, mfc="none", mec=plotting.INK, mew=1.2)
    ax.set(xlim=_BOX, ylim=_BOX, aspect="equal")
    ax.set_axis_off()
    ax = axes[1]
    on = svm.support.flatten()
    ax.semilogy(log_times, forces[:, ~on], color=plotting.WITHOUT, ls=plotting.DASHES[1], lw=1)
    ax.semilogy(log_times, forces[:, on], color=plotting.PREFER, ls="solid", lw=1.6)
    alpha = svm.alpha.flatten()[on]
    ax.plot([log_times[-1]] * len(alpha), alpha, "<", ls="none", color=plotting.INK, ms=7, clip_on=False, zorder=5)
    ax.plot([], [], color=plotting.PREFER, ls="solid", label="support")
    ax.plot([], [], color=plotting.WITHOUT, ls=plotting.DASHES[1], label="off the support")
    ax.set(xlabel=r"logarithm of time, $\ln\tau$", ylabel=r"force times time, $\tau c_a$", ylim=(1e-7, 30))
    ax.set_xlim(float(log_times[0]), float(log_times[-1]))
    ax.legend(loc="center right")
    return fig


def tail(losses: Sequence[PermLoss]) -> Figure:
    """Force over exponential against the margin, K = 2, with the room that the exponential tail allows."""
    u = torch.linspace(-2, 6, 300, dtype=torch.float64)
    fig, ax = plt.subplots(figsize=(6.0, 2.7))
    ax.fill_between(u, (1 - (-u).exp()).clamp(min=0), 1, color=plotting.PALETTE[5], alpha=0.1, lw=0)
    ax.text(-1.95, 0.97, "exponential tail", va="top", fontsize=9.5)
    order = {"cross-entropy": 0, "exponential": 5, "pairlog": 2, "arsinh": 3, "polynomial": 1}
    for loss in losses:
        if loss.name == "pairlog":
            continue  # the cross-entropy again, for two classes
        ratio = (loss.log_weights(u[:, None])[:, 0] + u).exp()
        name = "cross-entropy, PairLogLoss" if loss.name == "cross-entropy" else loss.name
        ax.plot(u, ratio, label=name, **plotting.line(order[loss.name]))
    ax.set(xlabel="relative margin, $u$", ylabel=r"force over exponential, $c\,e^u$", ylim=(0, 2.2), xlim=(-2, 6))
    ax.legend(loc="upper left")
    return fig


def clocks(plain: Path, fast: Path, target: Tensor) -> Figure:
    """Angle to the SVM against log time: plain steps as marks, normalized ones as lines. target (B, K, d)."""
    fig, ax = plt.subplots(figsize=(6.0, 2.7))
    for b in range(len(target)):
        clock = fast.log_time[:, b]
        keep = clock > 0
        ax.semilogy(clock[keep], angle(fast.W[keep, b], target[b]), label=f"seed {b}", **plotting.line(b))
        ax.semilogy(plain.log_time[:, b], angle(plain.W[:, b], target[b]), **plotting.points(b))
    ax.set(xlabel=r"logarithm of time, $\ln\tau$", ylabel="angle to the SVM, degrees", xlim=(0, None))
    ax.set_yticks([0.5, 1, 2, 5, 10, 20, 40], ["0.5", "1", "2", "5", "10", "20", "40"])
    ax.minorticks_off()
    ax.legend()
    return fig


def shortfall(
    paths: Mapping[int, Path],
    data: Sequence[tuple[Tensor, Tensor]],
    svms: Sequence[MaxMargin],
    kappa: Tensor,
    gap: Tensor,
    settled: Tensor,
) -> Figure:
    """Shortfall of the margin against log time with its constant, and measured against predicted constants."""
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.3))
    for b, path in paths.items():
        X, y = data[b]
        constant, values = margin_constants(path, X[None], y[None], [svms[b]])
        axes[0].plot(path.log_time[:, 0], values[:, 0], label=f"subset {b}", **plotting.points(b), zorder=3)
        axes[0].plot(path.log_time[:, 0], values[:, 0], **plotting.line(b) | {"lw": 1})
        axes[0].axhline(float(constant[0]), color=plotting.PALETTE[b], lw=1, ls=(0, (5, 3)))
    axes[0].set(xlabel=r"logarithm of time, $\ln\tau$", ylabel=r"shortfall, $\gamma\|W\|-\min u$", ylim=(0, None))
    axes[0].legend()
    ax = axes[1]
    top = 1.08 * float(torch.maximum(kappa.max(), gap.max()))
    ax.plot([0, top], [0, top], **plotting.theory())
    plotting.ring(ax, kappa[~settled], gap[~settled], size=5, label="not settled")
    plotting.disc(ax, kappa[settled], gap[settled], size=4, label="settled")
    ax.set(xlabel=r"predicted from the duals, $\kappa$", ylabel="measured shortfall", xlim=(0, top), ylim=(0, top))
    ax.set_aspect("equal")
    ax.legend(loc="upper left")
    return fig


# -- the explorer -----------------------------------------------------------------------------------------------------

_CELLS = 96

#: What is said of the explorer: alt text, caption, summary.
EXPLORER_WORDS = {
    "alt": "Three classes in the plane: the borders of the trained classifier are still off those of the largest "
    "margin, and the forces are near the duals already; margin and norm against the logarithm of time.",
    "caption": "In order: what the classifier says at the time shown, in ink the borders with the largest margin; one "
    "mark per constraint; margin and norm so far.",
    "summary": "{geometry}, {loss}: {final:.1f} degrees from the largest margin at the end.",
}


def explorer_state(log_times: ArrayLike) -> Callable[[str, str], dict]:
    """The explorer's compute function: ``(loss, geometry) -> arrays`` over the given values of ln(time)."""
    times = torch.tensor(log_times, dtype=torch.float64)
    edge = np.linspace(*_BOX, _CELLS + 1)
    middle = torch.tensor((edge[1:] + edge[:-1]) / 2)
    cells = torch.cartesian_prod(middle, middle)[:, [1, 0]]  # rows run over the second coordinate
    cells = torch.cat([cells, torch.ones(len(cells), 1, dtype=cells.dtype)], 1)

    @functools.cache  # the opening and an exercise show some of the same runs
    def state(loss, geometry):
        X, y = sketch_classes(geometry)
        svm = hard_margin_svm(X, y, 3)
        steps = 1200
        while descend(X, y, loss, at=[steps], normalized=1.0, classes=3).log_time[0, 0] < times[-1]:
            steps *= 3
        # every step where time runs fast
        at = [*range(1, 100), *range(100, 400, 4), *range(400, steps + 1, steps // 200)]
        path = descend(X, y, loss, at=at, normalized=1.0, classes=3)
        W = path.at(times.clamp(min=float(path.log_time[0, 0])), problem=0)
        alpha = svm.alpha[svm.support]
        least = times - alpha.max().log()  # of the margins, and the norm over |What|, once the forces have settled
        most = times - (alpha / alpha.sum() * alpha.log()).sum()
        early = (times < 4) | (loss == "polynomial")  # the duals predict nothing: not yet, or never
        share, norm = relative_margin(W, X, y, svm), W.norm(dim=(1, 2)) / svm.norm
        c = log_weights(W, X, y, loss).flatten(1).softmax(1)  # shares of the total force
        forces = torch.stack([(svm.alpha / svm.alpha.sum()).flatten().expand_as(c), c], -1)
        regions = (cells @ W.mT).argmax(-1).reshape(len(times), _CELLS, _CELLS)
        return {
            "regions": regions, "points": X[:, :2], "labels": y, "borders": borders(svm.W),
            "clock": times, "share": share.clamp(min=0.0),
            "theory": torch.where(early, torch.nan, least / most),
            "norm": torch.where(norm > 70, torch.nan, norm), "growth": torch.where(early, torch.nan, most),
            "forces": forces, "supported": svm.support.flatten().long(), "diagonal": torch.linspace(0, 0.5, 2),
            "angle": angle(W, svm.W), "final": float(angle(W[-1], svm.W)),
        }  # fmt: skip

    return state


def plane_panel(aspect: float = 1.0, over: str | None = "log_time") -> Panel:
    """The explorer's first panel: what the classifier says at each point, the data, the borders of the SVM."""
    from ..explorer import Heatmap, Panel, Points, Trajectories

    return Panel(
        Heatmap("regions", colors=_CLASSES, over=over, xlim=_BOX, ylim=_BOX),
        Trajectories("borders", classes=5, width=1.4, alpha=1.0),
        Points("points", classes="labels", colors=_CLASSES, marker=None),
        xlim=_BOX,
        ylim=_BOX,
        equal=True,
        aspect=aspect,
    )


def opening_panels() -> list[Panel]:
    """The opening's panels: the plane, and the angle to the SVM against log time, as far as the reader has come."""
    from ..explorer import Lines, Panel

    turned = Panel(
        Lines("clock", "angle", colors=(1,), marks=("dots",)),
        x=r"logarithm of time, $\ln\tau$",
        y="degrees from the largest margin",
        xlim=(-1, 61),
        ylim=(0.05, 60),
        yscale="log",
        aspect=1.35,
    )
    return [plane_panel(aspect=1.35, over=None), turned]


def force_panel() -> Panel:
    """The explorer's second panel: each constraint's share of the force against its share of the duals."""
    from ..explorer import Lines, Panel, Points

    return Panel(
        Lines("diagonal", "diagonal", colors=(5,)),
        Points("forces", classes="supported", colors=(0, 1), labels=("off the support", "support"), over="log_time"),
        x="share of the duals",
        y="share of the force",
        equal=True,
        aspect=1.0,
    )


def _reached(measured, predicted):
    """Layers of the lower panels: what training has reached so far, and the prediction as a line."""
    from ..explorer import Lines

    return [
        Lines("clock", predicted, labels=("predicted from the duals",), colors=(5,)),
        Lines("clock", measured, labels=("reached",), colors=(1,), marks=("dots",), until="log_time"),
    ]


def margin_panel() -> Panel:
    """The explorer's third panel: the normalized margin against log time."""
    from ..explorer import Panel, Rule

    return Panel(
        *_reached("share", "theory"),
        Rule(1.0, color=0),
        x=r"logarithm of time, $\ln\tau$",
        y="margin over the largest",
        ylim=(0, 1.05),
        aspect=1.25,
    )


def growth_panel() -> Panel:
    """The explorer's fourth panel: the norm, over that of the SVM, against log time."""
    from ..explorer import Panel

    return Panel(
        *_reached("norm", "growth"),
        x=r"logarithm of time, $\ln\tau$",
        y="norm over that of the SVM",
        ylim=(0, 70),
        aspect=1.25,
    )


def miniature() -> str:
    """Borders of three classes as gradient descent turns, at eleven times that triple, and the largest margin's."""
    data = margins.sketch_classes("nearly touching")
    path = margins.descend(*data, "cross-entropy", at=[4 * 3**k for k in range(11)], step_size=0.02)

    def rays(W):
        return [ray.T.tolist() for ray in borders(W) if ray[0, 0] == ray[0, 0]]

    frame = _svg.Frame(-2.4, 2.4, -2.4, 2.4)
    best = margins.hard_margin_svm(*data).W
    return _svg.svg(
        frame.lines("without", [ray for W in path.W[:, 0] for ray in rays(W)]),
        frame.lines("prefer", rays(best)),
        frame.dots("disc", data[0][:, :2].tolist(), 3),
    )
