"""Figures of the chapter `langevin-generalization`: arrays in, figure out; nothing is computed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import langevin
from .. import plotting as look
from . import _svg

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["accounts", "by_hand", "comparison", "digits_gaps", "miniature", "posterior", "rotation"]


def _end_label(ax, x, y, text, *, color=look.INK, dy=0.0, **options):
    ax.annotate(text, (x, y), xytext=(4, dy), textcoords="offset points", color=color, va="center", fontsize=9.5,
                annotation_clip=False, **options)  # fmt: skip


def by_hand(stages: Sequence[tuple[str, ArrayLike, str]]) -> Figure:
    """A law on two states on its way from the prior to the Gibbs law, and the two distances that count.

    Args:
        stages: three of ``(title, probabilities (2,), words)``: the prior, on the way, the Gibbs law.
    """
    fig, axes = plt.subplot_mosaic("abc;ddd", figsize=(8.7, 4.1), height_ratios=(1.5, 1))
    prior, last = stages[0][1], stages[2][1]
    for key, (title, law, words) in zip("abc", stages, strict=True):
        ax = axes[key]
        ax.bar([0, 1], law, width=0.62, color=look.PREFER, alpha=0.85)
        for place, (before, after) in enumerate(zip(prior, last, strict=True)):
            ends = [place - 0.4, place + 0.4]
            ax.plot(ends, [before] * 2, **look.theory())
            ax.plot(ends, [after] * 2, **{**look.line(0), "lw": 1.4})
        ax.set(xlim=(-0.6, 2.75), ylim=(0, 1), title=title, xticks=[0, 1], yticks=[0, 0.5, 1])
        ax.set_xticklabels(["A, $L=0$", "B, $L=1$"])
        ax.text(1.52, 0.98, words, va="top", fontsize=9, linespacing=1.5)
    ax = axes["d"]
    ax.set(xlim=(0.46, 0.81), ylim=(-1.1, 1.15))
    ax.set_axis_off()
    places = [float(law[0]) for _, law, _ in stages]
    ax.plot([0.47, 0.8], [0, 0], color=look.MUTED, lw=0.8, ls="-", zorder=1)
    look.ring(ax, places[0], 0, color=look.INK)
    look.disc(ax, places[1], 0)
    look.ring(ax, places[2], 0, color=look.WITHOUT)
    for place, name in zip(places, ("$p_0$, the prior", "$p_t$", r"$p_\infty$, the Gibbs law"), strict=True):
        ax.text(place, 0.32, name, ha="center", fontsize=10)
    look.arrow(ax, (places[1], 0), (places[2], 0), gap=8)
    ax.text((places[1] + places[2]) / 2, -0.2, "noise pulls: this distance never rises", ha="center", va="top",
            fontsize=9.5, color=look.PREFER)  # fmt: skip
    ax.annotate("", (places[0], -0.42), (places[1], -0.42), arrowprops={"arrowstyle": "<->", "color": look.INK,
                "lw": 1, "shrinkA": 0, "shrinkB": 0})  # fmt: skip
    ax.text((places[0] + places[1]) / 2, -0.55, "the bound counts this distance", ha="center", va="top", fontsize=9.5)
    ax.text(0.8, -0.15, "probability of A", ha="right", va="top", fontsize=9, color=look.MUTED)
    return fig


def posterior(panels: Sequence[tuple[str, str, ArrayLike, ArrayLike | None]], true_rule: float) -> Figure:
    """Gibbs laws over rules as examples come in, next to the prior.

    Args:
        panels: ``[(title, note, law (n,), train_error (n,) or None)]``.   true_rule: the best of the rules.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(8.7, 2.9), sharey=True)
    for ax, (title, note, law, errors) in zip(axes, panels, strict=True):
        rules = range(len(law))
        ax.bar(rules, law, width=0.8, color=look.PREFER, alpha=0.85, label="law")
        ax.axhline(1 / len(law), **look.theory(), label="prior")
        if errors is not None:
            ax.plot(rules, errors / 2, **{**look.line(0), "lw": 1.2}, label="half the training error")
        ax.plot([true_rule], [0.012], marker="^", color=look.INK, ms=6, ls="none", zorder=6, label="best rule")
        ax.set(xlabel=r"rule, $\theta$", ylim=(0, 0.8), xticks=[0, 10, 20, 30])
        ax.set_title(f"{title}\n")
        ax.text(0, 1.02, note, transform=ax.transAxes, va="bottom", color=look.MUTED, fontsize=9.5)
    axes[0].set_ylabel("probability")
    axes[1].legend(loc="upper center", fontsize=8.5)
    return fig


def accounts(left: Mapping, right: Mapping) -> Figure:
    """Divergences and budgets against time, two systems side by side.

    Args:
        left, right: dicts with ``title``, ``t``, ``kl_prior``, ``kl_stationary``, ``budget``, ``ceiling``.
    """
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.5))
    for ax, data in zip(axes, (left, right), strict=True):
        t = data["t"]
        ax.plot(t, data["kl_stationary"], **look.line(2), label=r"$\mathrm{KL}(p_t\Vert p_\infty)$")
        ax.plot(t, data["kl_prior"], **look.line(1), label=r"$\mathrm{KL}(p_t\Vert p_0)$")
        ax.plot(t, data["budget"], **look.line(0), label=r"$\beta(\mathbb{E}L_0-\mathbb{E}L_t)$")
        ax.axhline(data["ceiling"], **look.theory(), label=r"$\beta\,\mathbb{E}L_0$")
        ax.set(xscale="log", xlabel="time, $t$", title=data["title"], ylim=(0, None))
    axes[0].set_ylabel("nats")
    axes[0].legend(loc="upper left", bbox_to_anchor=(0, 0.94))
    return fig


def rotation(steps: ArrayLike, kl_prior: ArrayLike, kl_stationary: ArrayLike) -> Figure:
    """One chain that runs in circles: distance to where it began, and to where it ends."""
    fig, ax = plt.subplots(figsize=(6.0, 3.0))
    ax.plot(steps, kl_prior, "-o", color=look.PREFER, ms=4, mfc=look.PAPER, lw=1.2, clip_on=False,
            label=r"$\mathrm{KL}(p_t\Vert p_0)$")  # fmt: skip
    ax.plot(steps, kl_stationary, **look.line(0), label=r"$\mathrm{KL}(p_t\Vert p_\infty)$")
    ax.set(xlabel="step, $t$", ylabel="nats", ylim=(0, None))
    ax.legend(loc="upper right")
    return fig


def digits_gaps(
    table: DataFrame, noises: Mapping[float, str], sizes: Sequence[int], bound: Callable[[float, int], float]
) -> Figure:
    """Gap against temperature for each sample size, next to the bound; one panel per label noise.

    Args:
        table: rows of the sweep.   noises: ``{flip: title}``.   sizes: the values of ``N``.
        bound: ``(beta, N) -> bound``.
    """
    fig, axes = plt.subplots(1, len(noises), figsize=(8.7, 3.5), sharey=True)
    for ax, (flip, title) in zip(axes, noises.items(), strict=True):
        for index, N in enumerate(sizes):
            gaps = table[(table.N == N) & (table.flip == flip)].groupby("beta")["gap"]
            betas = sorted(gaps.groups)
            ax.errorbar(betas, gaps.mean(), gaps.std(), lw=1, **look.points(index), label=f"$N={N}$")
            fine = [betas[0] * (betas[-1] / betas[0]) ** (k / 60) for k in range(61)]
            ax.plot(fine, [min(bound(beta, N), 1.0) for beta in fine], **look.line(index))
        ax.axhline(0.5, color=look.RULE, lw=0.8, ls="-", zorder=0)
        ax.set(xscale="log", xlabel=r"inverse temperature, $\beta$", title=title, ylim=(-0.08, 1.02))
    axes[0].set_ylabel("test error minus training error")
    axes[0].text(betas[0], 0.86, "lines: the bound", fontsize=9.5)
    axes[-1].legend(loc="upper left")
    return fig


def comparison(
    panels: Sequence[tuple[float, ArrayLike, ArrayLike, ArrayLike, ArrayLike, float]], parameters: int
) -> Figure:
    """Three bounds on ``KL(p_t || p_0)`` and the ceiling of one, a run each; one nat a parameter for comparison.

    Args:
        panels: ``[(beta, times, path, decay, budget, ceiling)]``.   parameters: how many the network has.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(8.7, 3.5))
    for ax, (beta, times, path, decay, budget, ceiling) in zip(axes, panels, strict=True):
        ax.plot(times, path, **look.line(0), label="sum of gradients")
        ax.plot(times, decay, **look.line(2), label="twice the sum, forgetting")
        ax.plot(times, budget, **look.line(1), label=r"$\beta(\mathbb{E}L_0-\mathbb{E}L_t)$")
        ax.axhline(ceiling, **look.theory(), label=r"$\beta\,\mathbb{E}L_0$")
        ax.axhline(parameters, **look.line(4), label="one nat a parameter")
        ax.set(xscale="log", yscale="log", xlabel="training time, $t$", title=rf"$\beta={beta:g}$")
        ax.set_ylim(ceiling / 300, 3 * max(parameters, ceiling))
    axes[0].set_ylabel(r"allowed divergence, nats")
    axes[-1].legend(loc="lower right", fontsize=8.5)
    return fig


def miniature() -> str:
    """The law of a parameter under Langevin dynamics in a tilted double well, at times that double."""
    x = torch.linspace(-2.4, 2.4, 49, dtype=torch.float64)
    start = torch.softmax(-((x + 0.4) ** 2) / 0.32, 0)
    energy = (x**2 - 1) ** 2 - 0.35 * x
    laws = langevin.diffusion_laws(energy, start, beta=4.0, spacing=0.1, first=0.004, doublings=15)[::2]
    frame = _svg.Frame(-2.1, 2.1, -0.1, 3.3)
    lift = 0.29
    top = len(laws) * lift
    curves = [(x, 6.5 * law + top - lift * (k + 1)) for k, law in enumerate(laws)]
    return _svg.svg(frame.lines("without", [(x, 6.5 * start + top)]), frame.lines("prefer", curves))
