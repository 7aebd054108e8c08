"""Figures of the chapter `langevin-generalization`: arrays in, figure out; nothing is computed here."""

import matplotlib.pyplot as plt
import torch

from .. import langevin
from .. import plotting as look
from . import _svg

__all__ = ["accounts", "comparison", "digits_gaps", "discretization", "memorizing", "miniature", "rotation"]


def _end_label(ax, x, y, text, *, color=look.INK, dy=0.0, **options):
    ax.annotate(text, (x, y), xytext=(4, dy), textcoords="offset points", color=color, va="center", fontsize=9.5,
                annotation_clip=False, **options)  # fmt: skip


def memorizing(runs, floors):
    """Training error on coin-flip labels against time, one run per temperature.

    Args:
        runs: ``[(beta, times, errors)]``.   floors: ``{beta: smallest error the theorem allows}``.
    """
    fig, ax = plt.subplots()
    first = min(times[0] for _, times, _ in runs)
    for index, (beta, times, errors) in enumerate(runs):
        style = look.line((0, 2, 1)[index % 3])
        ax.plot(times, errors, **style)
        _end_label(ax, times[-1], errors[-1], rf"$\beta={beta:g}$", dy=(7, -5, 0)[index % 3])
        if floors.get(beta, 0) > 0:
            ax.axhline(floors[beta], color=style["color"], lw=0.8, ls=look.DASHES[5])
            ax.text(first, floors[beta] + 0.012, rf"forbidden below, at $\beta={beta:g}$", fontsize=9.5)
    ax.set(xscale="log", ylim=(0, 0.6), xlabel="training time, $t$", ylabel="training error")
    return fig


def accounts(left, right):
    """Divergences and budgets against time, two systems side by side.

    Args:
        left, right: dicts with ``title``, ``t``, ``kl_prior``, ``kl_stationary``, ``budget``, ``ceiling``.
    """
    fig, axes = plt.subplots(1, 2, figsize=look.WIDE)
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


def rotation(steps, kl_prior, kl_stationary):
    """One chain that runs in circles: distance to where it began, and to where it ends."""
    fig, ax = plt.subplots()
    ax.plot(steps, kl_prior, "-o", color=look.PREFER, ms=4, mfc=look.PAPER, lw=1.2)
    ax.plot(steps, kl_stationary, **look.line(0))
    _end_label(ax, steps[-1], kl_prior[-1], r"$\mathrm{KL}(p_t\Vert p_0)$")
    _end_label(ax, steps[-1], kl_stationary[-1], r"$\mathrm{KL}(p_t\Vert p_\infty)$", dy=9)  # above the axis
    ax.set(xlabel="step, $t$", ylabel="nats", ylim=(0, None))
    return fig


def discretization(eta, exact, euler, mala, box):
    """Stationary variance against step size; and the distance to the right law in a box.

    Args:
        eta: step sizes (m,).   exact: variance of ``p_inf``.   euler, mala: measured variances (m,).
        box: dict with ``eta``, ``reflect``, ``clip``: Kolmogorov distances (m, seeds), and ``theory``,
            the variance that Euler steps of each size really have, on ``curve``.
    """
    fig, (ax, right) = plt.subplots(1, 2, figsize=look.WIDE)
    ax.plot(box["curve"], box["theory"], **look.theory())
    ax.axhline(exact, color=look.RULE, lw=1, zorder=0)
    ax.plot(eta, euler, **look.points(0), label="Euler")
    ax.plot(eta, mala, **look.points(1), label="with Metropolis")
    ax.set(xlabel=r"step size, $\eta$", ylabel="variance after many steps", title="A quadratic")
    ax.legend()
    for name, index, label in (("clip", 0, "clipped at the wall"), ("reflect", 1, "reflected")):
        mean = box[name].mean(1)
        low, high = mean - box[name].min(1).values, box[name].max(1).values - mean
        right.errorbar(box["eta"], mean, [low, high], **look.points(index), label=label)
    right.set(xscale="log", yscale="log", xlabel=r"step size, $\eta$", ylabel=r"distance to $p_\infty$", title="A box")
    right.set_xticks(box["eta"], [f"{e:g}" for e in box["eta"]])
    right.set_xticks([], minor=True)
    right.legend()
    return fig


def digits_gaps(table, noises, sizes, bound):
    """Gap against temperature for each sample size, next to the bound; one panel per label noise.

    Args:
        table: rows of the sweep.   noises: ``{flip: title}``.   sizes: the values of ``N``.
        bound: ``(beta, N) -> bound``.
    """
    fig, axes = plt.subplots(1, len(noises), figsize=look.WIDE, sharey=True)
    for ax, (flip, title) in zip(axes, noises.items(), strict=True):
        for index, N in enumerate(sizes):
            gaps = table[(table.N == N) & (table.flip == flip)].groupby("beta")["gap"]
            betas = sorted(gaps.groups)
            ax.errorbar(betas, gaps.mean(), gaps.std(), lw=1, **look.points(index), label=f"$N={N}$")
            fine = [betas[0] * (betas[-1] / betas[0]) ** (k / 60) for k in range(61)]
            ax.plot(fine, [min(bound(beta, N), 1.0) for beta in fine], **look.line(index))
        ax.axhline(0.5, color=look.RULE, lw=0.8, zorder=0)
        ax.set(xscale="log", xlabel=r"inverse temperature, $\beta$", title=title, ylim=(-0.08, 1.02))
    axes[0].set_ylabel("test error minus training error")
    axes[0].text(betas[0], 0.86, "lines: the bound", fontsize=9.5)
    axes[-1].legend(loc="upper left")
    return fig


def comparison(panels, parameters):
    """Three bounds on ``KL(p_t || p_0)`` and the ceiling of one, a run each; one nat a parameter for comparison.

    Args:
        panels: ``[(beta, times, path, decay, budget, ceiling)]``.   parameters: how many the network has.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=look.WIDE)
    for ax, (beta, times, path, decay, budget, ceiling) in zip(axes, panels, strict=True):
        ax.plot(times, path, **look.line(0), label="sum of gradients")
        ax.plot(times, decay, **look.line(2), label="the same, forgetting")
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
