"""What the flat prior over quantized weights says about learning.

Costs of copying a teacher, exact averages over data sets, and two rules to compare: guess and check, and gradient
descent. Bits are used throughout (logarithms to base 2). Source: Buzaglo et al. 2024; the statements and their proofs
are in the chapter typical-nets, whose claim ids are quoted below.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ._validate import number, whole
from .chance import allowance
from .claims import largest
from .threshold_nets import FunctionLaw, Units, pack_tables, sample_nets, sampled_law, truth_tables

__all__ = [
    "LearningCurve", "copy_bits", "copy_use", "deep_tables", "explorer_table", "gaussian_bits", "guess_until_fit",
    "information_use", "learning_curve", "needed_neurons", "posterior_use", "share_interval", "tail_use", "train_many",
]  # fmt: skip


def copy_bits(
    inputs: int,
    teacher: Sequence[int],
    student: Sequence[int],
    *,
    levels: int = 3,
    scale_levels: int | None = None,
    either: bool = False,
) -> float:
    """Bits that suffice to copy the teacher into a random student: an upper bound on -log2 P(teacher's function).

    Without scales (typical-nets/C3) every teacher neuron fixes all its incoming weights and its bias; with a scale per
    hidden neuron (typical-nets/C4) the other neurons are switched off instead. The places of the teacher's neurons are
    free, which gives the binomials back. The output neuron has weights only.

    Args:
        inputs: dimension d_0 of the input.
        teacher, student: widths of the hidden layers; the student's are at least the teacher's, layer by layer.
        levels: number Q of levels of each weight and bias, zero among them.
        scale_levels: number of levels of a hidden neuron's scale, zero among them; None for a net without scales.
        either: with scales and one hidden layer, also count neurons that are off because their outgoing weight is zero.

    Returns:
        Bits, a float.

    >>> round(copy_bits(7, [1], [4]), 2), round(copy_bits(7, [1], [4], scale_levels=2), 2)
    (17.02, 16.26)
    """
    whole("inputs", inputs, at_least=1), whole("levels", levels, at_least=2)
    if len(teacher) != len(student) or not teacher:
        raise ValueError(f"teacher and student must have the same depth, found {list(teacher)} and {list(student)}")
    for small, large in zip(teacher, student, strict=True):
        if not 1 <= small <= large:
            raise ValueError(f"teacher must be at least 1 and at most student, found {small} and {large}")
    if either and (scale_levels is None or len(teacher) > 1):
        raise ValueError("either=True needs scale_levels and one hidden layer")
    q = math.log2(levels)
    places = sum(math.log2(math.comb(large, small)) for small, large in zip(teacher, student, strict=True))
    if scale_levels is None:
        wide = [inputs, *student]
        fixed = sum(small * (below + 1) for small, below in zip(teacher, wide, strict=False)) + student[-1]
        return q * fixed - places
    whole("scale_levels", scale_levels, at_least=2)
    narrow = [inputs, *teacher]
    fixed = sum(small * (below + 1) for small, below in zip(teacher, narrow, strict=False)) + teacher[-1]
    scale = math.log2(scale_levels)
    others = sum(student) - sum(teacher)
    off = -math.log2(1 - (1 - 1 / levels) * (1 - 1 / scale_levels)) if either else scale
    return q * fixed + scale * sum(teacher) + off * others - places


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Exact averages over all data sets of each size, and over the networks that fit them.

    Attributes:
        sizes: the numbers N of independent uniform examples.
        bits: float64 (len(sizes),), E[C(S)], where C(S) = -log2 P(a random net fits S).
        error: float64 (len(sizes),), E[L], error over the whole domain of a random net that fits.
        surprise: float64 (len(sizes),), E[-log2(1 - L)]; infinite where an interpolator with L = 1 has mass.
        spread: float64 (len(sizes), P + 1), law of L on 0, 1/P, ..., 1.
        teacher_bits: -log2 P(the teacher's function), the limit of `bits`.
    """

    sizes: tuple[int, ...]
    bits: Tensor
    error: Tensor
    surprise: Tensor
    spread: Tensor
    teacher_bits: float

    def tail(self, eps: float) -> Tensor:
        """P(L >= eps), float64 (len(sizes),)."""
        number("eps", eps, at_least=0.0)
        points = self.spread.shape[1] - 1
        return self.spread[:, math.ceil(eps * points - 1e-9) :].sum(1)


def learning_curve(law: FunctionLaw, label: Tensor, sizes: Sequence[int]) -> LearningCurve:
    """Average the posterior over every data set of N independent uniform points labelled by `label`. No sampling.

    A data set matters only through the set A of distinct points in it. For each A the mass of the functions that agree
    with the teacher on A is a sum over supersets (one fast zeta transform over the 2**P sets), and given the number of
    distinct points all A are equally likely. Used for typical-nets/C1 and C2.

    Args:
        law: law of the random network's truth table on P points, P at most 16.
        label: bool (P,), the teacher's answers; `law` must give them positive probability.
        sizes: the numbers N of examples, whole and not negative.

    Returns:
        :class:`LearningCurve`. Cost: P**2 * 2**P additions.
    """
    points = label.numel()
    if points > 16:
        raise ValueError(f"label must have at most 16 points (2**P subsets are visited), found {points}")
    for n in sizes:
        whole("sizes", n, at_least=0)
    masses = np.zeros((points + 1, 2**points))
    agree = law.tables == label
    masses[points - agree.sum(1).numpy(), pack_tables(agree).numpy()] = law.probabilities.numpy()
    if not masses[0].any():
        raise ValueError("label must be a function with positive probability under law, found one with none")
    for bit in range(points):  # superset sums: afterwards entry A holds the mass of all functions that agree on A
        pairs = masses.reshape(points + 1, -1, 2, 2**bit)
        pairs[:, :, 0] += pairs[:, :, 1]
    total = masses.sum(0)
    distinct = np.array([bin(a).count("1") for a in range(2**points)])
    per_size = np.bincount(distinct)
    mean = lambda values: np.bincount(distinct, weights=values) / per_size  # noqa: E731
    cost = mean(-np.log2(total))
    spread = np.stack([mean(row / total) for row in masses])  # (error level, distinct points)
    weights = np.stack([_distinct_law(points, n) for n in sizes])  # (sizes, distinct points)
    law_of_error = torch.from_numpy(weights @ spread.T)
    levels = torch.arange(points + 1, dtype=torch.float64) / points
    surprise = torch.where(law_of_error > 0, -torch.log2(1 - levels) * law_of_error, 0.0).sum(1)
    bits = -math.log2(masses[0].max())
    return LearningCurve(
        tuple(sizes), torch.from_numpy(weights @ cost), law_of_error @ levels, surprise, law_of_error, bits
    )


@lru_cache(maxsize=4096)
def _distinct_law(points: int, draws: int) -> np.ndarray:
    """Law of the number of distinct points among `draws` uniform ones, (points + 1,)."""
    law = np.zeros(points + 1)
    law[0] = 1.0
    k = np.arange(points + 1)
    for _ in range(draws):
        law = law * k / points + np.concatenate([[0.0], (law * (points - k) / points)[:-1]])
    return law


def guess_until_fit(
    units: Units, width: int, sample: Tensor, sample_labels: Tensor, *, runs: int, seed: int, limit: int = 10_000_000
) -> Tensor:
    """Guess & Check, taken literally, `runs` times: draw nets in order and return the index of each that fits.

    The r-th run goes on where the one before stopped, so runs are independent. Used for typical-nets/C1.

    Args:
        sample, sample_labels: int64 (N,) points of the domain and bool (N,) their labels.
        limit: give up after this many draws in all.

    Returns:
        int64 (runs,), the indices of the accepted nets.

    Raises:
        RuntimeError: fewer than `runs` nets fitted within `limit` draws.
    """
    whole("runs", runs, at_least=1)
    found, start, step = [], 0, 1 << 15
    while sum(map(len, found)) < runs:
        if start >= limit:
            raise RuntimeError(f"guess_until_fit found {sum(map(len, found))} of {runs} nets in {limit} draws")
        tables = truth_tables(units, sample_nets(units, width, seed=seed, start=start, count=step))
        found.append(start + torch.nonzero((tables[:, sample] == sample_labels).all(1)).flatten())
        start += step
    return torch.cat(found)[:runs]


def posterior_use(
    tables: Tensor, law: FunctionLaw, sample: Tensor, sample_labels: Tensor, *, false_alarm: float = 1e-6
) -> float:
    """How far accepted nets stray from the posterior, as a share of what chance allows (typical-nets/C1).

    For every function the share of `tables` that compute it is compared with its exact posterior probability given the
    data. The allowance is Bernstein's, with `false_alarm` split over all functions; above 1 the rule is refuted.

    Args:
        tables: bool (runs, P), truth tables of the accepted nets. law: the exact prior law.
        sample, sample_labels: int64 (N,), bool (N,), the data.
    """
    fits = (law.tables[:, sample] == sample_labels).all(1)
    functions, counts = law.tables[fits], law.counts[fits]
    if not (tables[:, sample] == sample_labels).all():
        return math.inf
    shares = (tables[:, None] == functions).all(-1).to(torch.float64).mean(0)
    worst = 0.0
    for share, p in zip(shares.tolist(), (counts / counts.sum()).tolist(), strict=True):
        worst = largest(worst, abs(share - p) / allowance(p, len(tables), false_alarm=false_alarm / len(counts)))
    return worst


def tail_use(curve: LearningCurve, eps: float, *, teacher_bits: float | None = None) -> float:
    """Largest P(L >= eps) / ((1 - eps)**N / P(teacher)) over the curve's sizes: at most 1 (typical-nets/C1)."""
    bits = curve.teacher_bits if teacher_bits is None else teacher_bits
    sizes = torch.tensor(curve.sizes, dtype=torch.float64)
    return float((curve.tail(eps) / ((1 - eps) ** sizes * 2.0**bits)).max())


def information_use(sizes: Sequence[int], surprise: Tensor, bits: Tensor) -> float:
    """Largest N E[-log2(1 - L)] / E[C(S)] over sizes N >= 1: at most 1 (typical-nets/C2)."""
    sizes = torch.tensor(sizes, dtype=torch.float64)
    large = sizes > 0
    return float((sizes * surprise / bits)[large].max())


def needed_neurons(laws: dict[int, FunctionLaw]) -> dict[int, int]:
    """The fewest neurons that compute each function (as :func:`pack_tables` numbers it), from exact laws by width."""
    fewest = {}
    for width in sorted(laws):
        for word in pack_tables(laws[width].tables).tolist():
            fewest.setdefault(word, width)
    return fewest


def copy_use(law: FunctionLaw, bits: dict[int, float]) -> float:
    """Largest 2**-bits / P(f) over the functions f in `bits`: at most 1 if that many bits suffice (C3, C4).

    bits: for each packed function the bits that are said to suffice. A function without mass gives infinity.
    """
    mass = dict(zip(pack_tables(law.tables).tolist(), law.probabilities.tolist(), strict=True))
    return largest(2.0**-cost / mass[word] if word in mass else math.inf for word, cost in bits.items())


def gaussian_bits(units: Units, labels: Tensor, *, draws: int, generator: torch.Generator) -> Tensor:
    """-log2 P(sign pattern) for Gaussian sums with the units' covariance: the limit of wide nets (typical-nets/C8).

    Args:
        labels: bool (T, P), patterns. draws: Gaussian vectors drawn, the same for all patterns.

    Returns:
        float64 (T,); infinite for a pattern that no draw has.
    """
    if labels.ndim != 2 or labels.dtype != torch.bool or labels.shape[1] != units.points:
        raise ValueError(
            f"labels must be bool (patterns, {units.points}), found {labels.dtype} of shape {tuple(labels.shape)}"
        )
    values = units.values.to(torch.float64)
    weights = units.counts.to(torch.float64) / units.settings
    if (weights @ values).abs().max() > 1e-9:
        raise ValueError("units must have mean zero at every point, found one that has not")
    covariance = values.T @ (weights[:, None] * values)
    size, axes = torch.linalg.eigh(covariance)
    root = (axes * size.clamp(min=0).sqrt()) @ axes.T  # symmetric, so that no choice of eigenvectors matters
    hits = torch.zeros(len(labels), dtype=torch.int64)
    for start in range(0, whole("draws", draws, at_least=1), 1 << 18):
        shape = (min(1 << 18, draws - start), units.points)
        answers = torch.randn(shape, dtype=torch.float64, generator=generator) @ root > 0
        hits += torch.stack([(answers == label).all(1).sum() for label in labels])
    return -torch.log2(hits.to(torch.float64) / draws)


def deep_tables(
    X: Tensor,
    widths: Sequence[int],
    *,
    count: int,
    generator: torch.Generator,
    levels: Sequence[int] = (-1, 0, 1),
    scales: Sequence[int] | None = None,
) -> Tensor:
    """Truth tables of `count` random ReLU nets of any depth, layer by layer: bool (count, P).

    The plain definition of the flat prior; :func:`implicitly.threshold_nets.truth_tables` is its fast form for one
    hidden layer. Hidden neurons answer s * relu(w . x + b), the output answers 1{v . x > 0}.

    Args:
        X: integer tensor (P, d).
        widths: hidden widths.
        levels, scales: levels of weights and biases, and of the hidden scales (None: no scales).
    """
    whole("count", count, at_least=0)
    levels = torch.tensor(tuple(levels), dtype=torch.float32)

    def draw(*shape):
        return levels[torch.randint(len(levels), (count, *shape), generator=generator)]

    hidden = X.T.to(torch.float32).expand(count, -1, -1)  # (count, d, P)
    for width in widths:
        hidden = torch.relu(draw(width, hidden.shape[1]) @ hidden + draw(width, 1))  # (count, width, P)
        if scales is not None:
            pick = torch.randint(len(scales), (count, width, 1), generator=generator)
            hidden = hidden * torch.tensor(tuple(scales), dtype=torch.float32)[pick]
    return (draw(1, hidden.shape[1]) @ hidden).squeeze(1) > 0


def share_interval(hits: int, trials: int, *, miss: float = 1e-6) -> tuple[float, float]:
    """Clopper–Pearson interval of a probability from `hits` in `trials`: misses it with probability at most `miss`."""
    from scipy.stats import beta

    whole("hits", hits, at_least=0), whole("trials", trials, at_least=1)
    if hits > trials:
        raise ValueError(f"hits must be at most trials={trials}, found {hits}")
    low = beta.ppf(miss / 2, hits, trials - hits + 1) if hits else 0.0
    high = beta.ppf(1 - miss / 2, hits + 1, trials - hits) if hits < trials else 1.0
    return float(low), float(high)


def train_many(
    X: Tensor,
    samples: Tensor,
    sample_labels: Tensor,
    *,
    width: int,
    nets: int,
    steps: int,
    eta: float,
    batch: int | None,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Train ReLU nets of one hidden layer by (stochastic) gradient descent on the logistic loss, all at once.

    Args:
        X: integer tensor (P, d), the domain.
        samples, sample_labels: int64 (R, N) and bool (R, N), the data sets.
        width, nets: hidden width; number of nets trained on each data set, from Gaussian starts of variance 2 / fan-in.
        steps, eta, batch: steps, step size, and examples in a step (drawn with replacement; None: all of them).

    Returns:
        (tables, fits): bool (R, nets, P), the answers on the domain; bool (R, nets), whether all examples are fitted.
    """
    (sets, size), (_, d) = samples.shape, X.shape
    domain = X.to(torch.float32)
    x, y = domain[samples], 2.0 * sample_labels.to(torch.float32) - 1.0  # (R, N, d), (R, N)
    draw = lambda *shape: torch.randn(sets, nets, *shape, generator=generator)  # noqa: E731
    w, b, v = draw(d, width) * math.sqrt(2 / d), torch.zeros(sets, nets, 1, width), draw(width) * math.sqrt(2 / width)
    for _ in range(steps):
        if batch is None:
            xs, ys = x[:, None], y[:, None]  # (R, 1, N, d), (R, 1, N)
        else:
            pick = torch.randint(size, (sets, nets, batch), generator=generator)
            set_of = torch.arange(sets)[:, None, None]
            xs, ys = x[set_of, pick], y[set_of, pick]
        z = xs @ w + b  # (R, nets, batch, width)
        h = torch.relu(z)
        pull = ys * torch.sigmoid(-ys * (h @ v[..., None]).squeeze(-1)) / ys.shape[-1]  # minus the loss's slope
        back = pull[..., None] * v[..., None, :] * (z > 0)
        w = w + eta * (xs.transpose(-1, -2) @ back)
        b = b + eta * back.sum(-2, keepdim=True)
        v = v + eta * (pull[..., None, :] @ h).squeeze(-2)
    score = lambda points: (torch.relu(points @ w + b) @ v[..., None]).squeeze(-1) > 0  # noqa: E731
    return score(domain), (score(x[:, None]) == (y[:, None] > 0)).all(-1)


def explorer_table(laws: dict, teachers: dict[str, Tensor], neurons: dict[str, int], sizes: Sequence[int], units: dict):
    """The function behind the chapter's explorer: (teacher, kind, h) -> arrays over the sizes.

    Args:
        laws: {(kind, width): FunctionLaw}, sampled beforehand. A width that is not there is sampled when asked for,
            with a tenth of the guesses.
        teachers: {name: bool (P,)}. neurons: the fewest neurons of each. units: {kind: Units}.
        sizes: the numbers of examples.

    Returns:
        A function whose result holds ``n``, ``cost``, ``diagonal`` (sizes,), ``spread`` (sizes, P + 1), and the scalars
        ``price``, ``bound``. Where fewer than 20 guesses were the teacher, all but n, diagonal and bound are NaN.
    """
    sizes = tuple(sizes)

    def compute(teacher: str, kind: str, h: int) -> dict:
        if (kind, h) not in laws:
            laws[kind, h] = sampled_law(units[kind], h, guesses=300_000, seed=h)
        law, label = laws[kind, h], teachers[teacher]
        inputs = round(math.log2(label.numel()))
        scale_levels = len(units[kind].levels[-1]) if "s" in units[kind].names else None
        out = {
            "n": torch.tensor(sizes, dtype=torch.float64),
            "diagonal": torch.tensor(sizes, dtype=torch.float64),
            "bound": copy_bits(inputs, [neurons[teacher]], [h], scale_levels=scale_levels, either=bool(scale_levels)),
        }
        if int(law.counts[(law.tables == label).all(1)].sum()) < 20:
            missing = torch.full((len(sizes),), math.nan, dtype=torch.float64)
            spread = missing[:, None].expand(-1, label.numel() + 1)
            return out | {"cost": missing, "error": missing, "spread": spread, "price": math.nan}
        curve = learning_curve(law, label, sizes)
        return out | {
            "cost": curve.bits, "error": curve.error, "spread": curve.spread, "price": curve.teacher_bits,
        }  # fmt: skip

    return compute
