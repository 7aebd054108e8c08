"""The figures of the chapter typical-nets: each takes results, computes only averages, and returns the figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from .. import interpolators, plotting
from .._validate import choice, instance, mapping, tensor, whole, wholes
from ..chance import share_interval
from ..interpolators import FunctionLaw, Units, copy_bits, learning_curve, pack_tables, sampled_law
from . import _svg

if TYPE_CHECKING:
    from ..explorer import Panel
    from ..interpolators import Guesses, LearningCurve

__all__ = [
    "bound_against_error", "by_hand", "copies", "error_and_bits", "explorer_state", "masses", "miniature", "price",
    "price_panel", "teachers", "trained_against_typical",
]  # fmt: skip

_FEWEST_HITS = 20
_LOW = (plotting.WIDE[0], 3.3)


def _band(ax, x, rows, index, label):
    """Mean over data sets with a band from lowest to highest."""
    ax.plot(x, rows.mean(0), label=label, **plotting.line(index))
    ax.fill_between(x, rows.min(0).values, rows.max(0).values, alpha=0.15, color=plotting.PALETTE[index], lw=0)


def error_and_bits(runs: Mapping[int, Guesses]) -> Figure:
    """Error and bits against N, side by side. runs: {width: Guesses}."""
    fig, axes = plt.subplots(1, 2, figsize=_LOW)
    for index, (h, run) in enumerate(runs.items()):
        x = np.flatnonzero((run.fits.min(0).values >= _FEWEST_HITS).numpy())
        _band(axes[0], x, run.errors[:, x], index, f"{h} neurons")
        _band(axes[1], x, run.bits[:, x], index, f"{h} neurons")
    top = float(max(run.bits[:, 20].max() for run in runs.values())) + 4
    axes[1].plot([0, top], [0, top], label="one bit an example", **plotting.theory())
    axes[0].set(xlabel="examples, $N$", ylabel="error on all points", ylim=(0, None))
    axes[1].set(xlabel="examples, $N$", ylabel="$C(S)$, bits of luck", ylim=(0, top))
    axes[0].legend()
    axes[1].legend()
    return fig


def by_hand(parameters: Tensor, answers: Tensor, examples: Sequence[tuple[int, int]]) -> Figure:
    """The networks v [w x + b]_+ > 0 on x = -1, 1 that fit the first 0, 1, ... examples, as grids over w and b.

    Args:
        parameters: (networks, 3): w, b, v, each -1, 0 or 1; networks with v = 1 are drawn, the others counted.
        answers: bool (networks, 2), at -1 and 1. examples: (place, label) pairs; all together pick the teacher's.
    """
    steps = len(examples) + 1
    fig, axes = plt.subplots(1, steps, figsize=(8.7, 2.9))
    teacher = (answers == answers.new_tensor([dict(examples)[place] for place in (0, 1)])).all(1)
    for step, ax in enumerate(axes):
        fits = torch.ones(len(answers), dtype=torch.bool)
        for place, label in examples[:step]:
            fits &= answers[:, place] == bool(label)
        others = int((fits & (parameters[:, 2] != 1)).sum())
        title = ["No example", *(f"{'and ' if k else ''}{label} at {'-+'[place]}1"
                                 for k, (place, label) in enumerate(examples))][step]  # fmt: skip
        note = f"{int(fits.sum())} fit" + (f", {others} of them not drawn" if others else "")
        plotting.diagram(ax, title.replace("-", "\N{MINUS SIGN}"), note, xlim=(-2.4, 1.6), ylim=(-2.1, 1.5))
        for (w, b, v), (left, right), fit, is_teacher in zip(
            parameters.tolist(), answers.int().tolist(), fits.tolist(), teacher.tolist(), strict=True
        ):
            if v == 1:
                color = plotting.RULE if not fit else plotting.PREFER if is_teacher else plotting.INK
                box = {"fc": "none", "ec": color, "lw": 1.8 if fit else 0.6, "zorder": 2 + fit}
                ax.add_patch(plt.Rectangle((w - 0.44, b - 0.44), 0.88, 0.88, **box))
                ink = plotting.MUTED if not fit else color
                ax.text(w, b, f"{left} {right}", ha="center", va="center", fontsize=11, color=ink)
        for level in (-1, 0, 1):
            sign = str(level).replace("-", "\N{MINUS SIGN}")
            ax.text(level, -1.7, sign, ha="center", va="center", fontsize=9.5, color=plotting.MUTED)
            ax.text(-1.75, level, sign, ha="center", va="center", fontsize=9.5, color=plotting.MUTED)
        ax.text(1.55, -1.72, "$w$", va="center", ha="left")
        ax.text(-2.2, 1.3, "$b$", va="center", ha="center")
    return fig


def copies() -> Figure:
    """A teacher of two neurons a layer in a student of four: what must be right, without scales and with them."""
    fig, axes = plt.subplots(1, 2, figsize=(8.7, 3.0))
    sizes, chosen = (3, 4, 4, 1), (range(3), range(2), range(2), range(1))
    rows = [2 - 4 * (np.arange(count) + 0.5) / count for count in sizes]
    for ax, scaled in zip(axes, (False, True), strict=True):
        title = "SFC: width plus width" if scaled else "FC: width times width"
        note = "4 scales are zero" if scaled else "6 weights are zero"
        plotting.diagram(ax, title, note, xlim=(-0.4, 6.6), ylim=(-2.1, 1.7))
        for layer in range(3):
            for i, j in np.ndindex(sizes[layer], sizes[layer + 1]):
                style = {"color": plotting.RULE, "ls": "-", "lw": 0.8, "zorder": 1}
                if j in chosen[layer + 1] and i in chosen[layer]:
                    style = {"color": plotting.PREFER, "ls": "-", "lw": 1.8, "zorder": 3}
                elif j in chosen[layer + 1] and not scaled:
                    style = {"color": plotting.WITHOUT, "ls": (0, (3, 2)), "lw": 1.4, "zorder": 2}
                ax.plot([2 * layer, 2 * layer + 2], [rows[layer][i], rows[layer + 1][j]], **style)
        for layer, y in enumerate(rows):
            for i, place in enumerate(y):
                if layer in (1, 2) and i not in chosen[layer]:
                    color = plotting.WITHOUT if scaled else plotting.MUTED
                    plotting.ring(ax, 2 * layer, place, size=10, color=color)
                    if scaled:
                        ax.text(2 * layer, place - 0.42, "$s=0$", ha="center", va="center", fontsize=9)
                else:
                    ink = plotting.INK if layer == 0 else plotting.PREFER
                    plotting.disc(ax, 2 * layer, place, size=10, color=ink)
    return fig


def bound_against_error(curves: Sequence[LearningCurve], law: FunctionLaw, fewest: Mapping[int, int]) -> Figure:
    """Exact mean error against 1 - 2**(-E[C]/N), one mark a teacher and size."""
    words = pack_tables(law.tables).tolist()
    fig, ax = plt.subplots()
    for k in (1, 2, 3):
        chosen = [c for c, word in zip(curves, words, strict=True) if fewest[word] == k][::3]
        x, y = [], []
        for curve in chosen:
            for n in (1, 2, 4, 8, 16, 32):
                x.append(1 - 2 ** (-float(curve.bits[n]) / n))
                y.append(float(curve.error[n]))
        ax.loglog(x, y, label=f"{k} neuron{'s' if k > 1 else ''}", **plotting.points(k - 1) | {"ms": 4})
    ax.plot([1e-3, 1], [1e-3, 1], **plotting.theory())
    ax.set(xlabel=r"bound, $1-2^{-\mathbb{E}[C]/N}$", xlim=(3e-2, 1))
    ax.set(ylabel=r"mean error, $\mathbb{E}[L]$", ylim=(1e-3, 1))
    ax.legend(title="teacher of")
    return fig


def price(runs: Mapping[tuple[str, int], Guesses], *, inputs: int) -> Figure:
    """Measured bits to draw the teacher against width, with both copy bounds. runs: {(kind, width): Guesses}."""
    fig, ax = plt.subplots()
    widths = sorted({h for _, h in runs})
    for index, kind in enumerate(("SFC", "FC")):
        color = plotting.PALETTE[index]
        for h in [h for other, h in runs if other == kind]:
            run = runs[kind, h]
            low, high = share_interval(run.teacher_hits, run.guesses, miss=0.05)
            x = h * (1.03 if index else 0.97)
            if run.teacher_hits:
                ax.plot(x, math.log2(run.guesses / run.teacher_hits), **plotting.points(index))
                ax.vlines(x, -math.log2(high), -math.log2(low), color=color)
            else:
                foot = -math.log2(high)
                ax.annotate("", (x, foot + 4), (x, foot), arrowprops={"arrowstyle": "->", "color": color})
        sfc = kind == "SFC"
        every = range(widths[0], widths[-1] + 1)
        bound = [copy_bits(inputs, [1], [h], scale_levels=2 if sfc else None, either=sfc) for h in every]
        ax.plot(every, bound, label=f"{kind}: bound", **plotting.line(index))
        ax.plot([], [], label=f"{kind}: measured", **plotting.points(index))
    ax.set_xscale("log", base=2)
    ax.set(xlabel="student's width, $h$", ylabel="bits to draw the teacher", ylim=(10, 45))
    ax.set_xticks(widths, [str(h) for h in widths])
    ax.legend()
    return fig


def masses(
    exact: Mapping[str, Mapping[int, FunctionLaw]],
    fewest: Mapping[str, Mapping[int, int]],
    *,
    copy_bits: Callable[..., float],
) -> Figure:
    """Price of every function by the neurons it needs, for both kinds. exact: {kind: {width: FunctionLaw}}."""
    fig, axes = plt.subplots(1, 2, figsize=plotting.WIDE, sharey=True)
    for ax, (kind, laws) in zip(axes, exact.items(), strict=True):
        law = laws[3]
        need = np.array([fewest[kind][word] for word in pack_tables(law.tables).tolist()])
        bits = -law.probabilities.log2().numpy()
        for k in (1, 2, 3):
            here = np.sort(bits[need == k])
            x = k + np.linspace(-0.3, 0.3, len(here))
            ax.plot(x, here, **plotting.points(k - 1) | {"ms": 4})
            bound = copy_bits(3, [k], [3], scale_levels=2 if kind == "SFC" else None)
            ax.plot([k - 0.38, k + 0.38], [bound, bound], **plotting.theory())
        ax.axhline(8, color=plotting.MUTED, lw=0.8)
        ax.set(xlabel="fewest neurons", xticks=[1, 2, 3], title=kind)
    axes[0].set(ylabel="price, bits")
    return fig


def teachers(curves: Mapping[tuple[str, int], LearningCurve | None]) -> Figure:
    """Learning curves {(teacher, width): LearningCurve or None}: one dash per teacher, one colour per width."""
    fig, ax = plt.subplots(figsize=_LOW)
    widths = sorted({h for _, h in curves})
    for (name, h), curve in curves.items():
        if curve is None:
            continue
        first = name == next(iter(curves))[0]
        ax.plot(
            curve.sizes, curve.error, color=plotting.PALETTE[widths.index(h)],
            ls="solid" if first else (0, (5, 2)), label=f"{name}, {h} neurons",
        )  # fmt: skip
    ax.set(xlabel="examples, $N$", ylabel="mean error", xlim=(0, 64), ylim=(0, None))
    ax.legend(ncols=2)
    return fig


def trained_against_typical(
    trained: Mapping[tuple[int, int], tuple[float, float]], runs: Mapping[tuple[str, int], Guesses]
) -> Figure:
    """Error against N: typical interpolators as lines, trained ones as marks. trained: {(width, N): (error, fits)}."""
    fig, ax = plt.subplots()
    for index, h in enumerate(sorted({h for h, _ in trained})):
        run = runs["SFC", h]
        x = np.flatnonzero((run.fits.min(0).values >= _FEWEST_HITS).numpy())[4:]
        ax.semilogy(x, run.errors[:, x].mean(0), label=f"typical, {h}", **plotting.line(index))
        points = [(n, error) for (width, n), (error, _) in trained.items() if width == h]
        ax.semilogy(*np.array(points).T, label=f"trained, {h}", **plotting.points(index))
    ax.set(xlabel="examples, $N$", ylabel="error on all points", ylim=(1e-4, 0.5))
    ax.legend(ncols=2)
    return fig


def price_panel() -> Panel:
    """The explorer's second panel: bits against N, with the teacher's price and its copy bound."""
    from ..explorer import Lines, Panel, Rule

    return Panel(
        Lines("n", ["cost", "diagonal"], labels=["mean of $C(S)$", "one bit an example"], colors=[1, 5]),
        Rule("price", label="the teacher's price", color=0),
        Rule("bound", label="copy bound", color=4),
        Rule("n", axis="x", over="N", color=5),
        x="examples, $N$", y="bits", xlim=(0, 64), ylim=(0, 24),
    )  # fmt: skip


def explorer_state(
    laws: dict[tuple[str, int], FunctionLaw],
    teachers: dict[str, Tensor],
    neurons: dict[str, int],
    sizes: Sequence[int],
    units: dict[str, Units],
) -> Callable[[str, str, int], dict]:
    """The function behind the chapter's explorer: (teacher, kind, h) -> arrays over the sizes.

    Args:
        laws: {(kind, width): FunctionLaw}, sampled beforehand. A width that is not there is sampled when asked for,
            with a tenth of the guesses.
        teachers: {name: bool (P,)}, P a power of 2. neurons: the fewest neurons of each. units: {kind: Units}.
        sizes: the numbers of examples.

    Returns:
        A function whose result holds ``n``, ``cost``, ``diagonal`` (sizes,), ``spread`` (sizes, P + 1), and the scalars
        ``price``, ``bound``. Where fewer than 20 guesses were the teacher, all but n, diagonal and bound are NaN. Its h
        is at least the teacher's number of neurons.
    """
    sizes = wholes("sizes", sizes, at_least=0)
    for name, value in (("laws", laws), ("teachers", teachers), ("neurons", neurons), ("units", units)):
        mapping(name, value)
    laws = dict(laws)  # ours to add to
    for kind, of_kind in units.items():
        instance(f"units[{kind!r}]", of_kind, Units)
    for key, law in laws.items():
        instance(f"laws[{key!r}]", law, FunctionLaw)
    for name, label in teachers.items():
        tensor(f"teachers[{name!r}]", label, shape=("points",), dtype=torch.bool)
        points = {label.numel(), *(of.points for of in units.values()), *(law.tables.shape[1] for law in laws.values())}
        if len(points) > 1 or label.numel() & (label.numel() - 1):
            raise ValueError(f"teachers, laws and units must be on the same 2**d points, found {sorted(points)}")
    if not teachers.keys() <= neurons.keys():
        raise ValueError(f"neurons must have an entry for each of {list(teachers)}, found {list(neurons)}")
    neurons = {name: whole(f"neurons[{name!r}]", count, at_least=1) for name, count in neurons.items()}
    known = {}  # two explorers of the page ask for the same ones

    def compute(teacher: str, kind: str, h: int) -> dict:
        choice("teacher", teacher, tuple(teachers)), choice("kind", kind, tuple(units))
        h = whole("h", h, at_least=neurons[teacher])
        if (teacher, kind, h) in known:
            return dict(known[teacher, kind, h])
        if (kind, h) not in laws:
            laws[kind, h] = sampled_law(units[kind], h, guesses=300_000, seed=h)
        law, label = laws[kind, h], teachers[teacher]
        inputs = label.numel().bit_length() - 1
        scale_levels = len(units[kind].levels[-1]) if "s" in units[kind].names else None
        out = {
            "n": torch.tensor(sizes, dtype=torch.float64),
            "diagonal": torch.tensor(sizes, dtype=torch.float64),
            "bound": copy_bits(inputs, [neurons[teacher]], [h], scale_levels=scale_levels, either=bool(scale_levels)),
        }
        if int(law.counts[(law.tables == label).all(1)].sum()) < 20:
            missing = torch.full((len(sizes),), math.nan, dtype=torch.float64)
            spread = missing[:, None].expand(-1, label.numel() + 1)
            out |= {"cost": missing, "error": missing, "spread": spread, "price": math.nan}
        else:
            curve = learning_curve(law, label, sizes)
            out |= {"cost": curve.bits, "error": curve.error, "spread": curve.spread, "price": curve.teacher_bits}
        known[teacher, kind, h] = out
        return dict(out)

    return compute


def miniature() -> str:
    """Error of guess and check on 128 corners against the number of examples: 12 data sets, 2 and 32 neurons."""
    corners = interpolators.cube(7)
    labels = (corners[:, 0] == 1) & (corners[:, 1] == 1)
    samples = interpolators.draw_samples(128, 64, seeds=range(12))
    frame, parts = _svg.Frame(2, 56, -0.01, 0.38, 190), []
    for kind, width in (("without", 32), ("prefer", 2)):
        units = interpolators.relu_units(corners, scales=(0, 1))
        run = interpolators.guess_and_check(units, width, labels, samples, guesses=400_000, seed=width)
        curves = []
        for fits, errors in zip(run.fits, run.errors, strict=True):
            last = int((fits >= 20).nonzero().max())
            curves.append((range(4, last + 1, 2), errors[4 : last + 1 : 2].tolist()))
        parts.append(frame.lines(kind, curves))
    return _svg.svg(*parts, height=190)
