"""What guess and check costs and what it learns: averages over data sets, exact for a known law.

Bits are used throughout (logarithms to base 2). Source: Buzaglo et al. 2024; the statements and their proofs are in the
chapter typical-nets, whose claim ids are quoted below.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .._validate import instance, number, tensor, whole, wholes
from .._validate import seed as checked_seed
from ..chance import allowance
from ..claims import largest
from .laws import FunctionLaw
from .units import Units, _places, pack_tables, sample_nets, truth_tables

__all__ = [
    "LearningCurve",
    "guess_until_fit",
    "information_use",
    "learning_curve",
    "posterior_use",
    "tail_use",
]


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

    Raises:
        TypeError, ValueError: attributes of another kind, or that do not belong together.
    """

    sizes: tuple[int, ...]
    bits: Tensor
    error: Tensor
    surprise: Tensor
    spread: Tensor
    teacher_bits: float

    def __post_init__(self):
        object.__setattr__(self, "sizes", wholes("sizes", self.sizes, at_least=0))
        object.__setattr__(self, "teacher_bits", number("teacher_bits", self.teacher_bits, at_least=0.0))
        n, float64 = len(self.sizes), torch.float64
        tensor("bits", self.bits, shape=(n,), dtype=float64)
        tensor("error", self.error, shape=(n,), dtype=float64)
        tensor("surprise", self.surprise, shape=(n,), dtype=float64, finite=False, above=-math.inf)
        tensor("spread", self.spread, shape=(n, "levels"), dtype=float64, at_least=0.0)
        if self.spread.shape[1] < 2 or bool(((self.spread.sum(1) - 1).abs() > 1e-9).any()):
            raise ValueError("spread must hold laws on 0, 1/P, ..., 1, found rows that do not sum to 1 or no points")

    def tail(self, eps: float) -> Tensor:
        """P(L >= eps), float64 (len(sizes),); eps in [0, 1]."""
        eps = number("eps", eps, at_least=0.0, at_most=1.0)
        points = self.spread.shape[1] - 1
        return self.spread[:, math.ceil(eps * points - 1e-9) :].sum(1)


def learning_curve(law: FunctionLaw, label: Tensor, sizes: Sequence[int]) -> LearningCurve:
    """Average the posterior over every data set of N independent uniform points labelled by `label`. No sampling.

    A data set matters only through the set A of distinct points in it. For each A the mass of the functions that agree
    with the teacher on A is a sum over supersets (one fast zeta transform over the 2**P sets), and given the number of
    distinct points all A are equally likely. Used for typical-nets/C2 and C3.

    Args:
        law: law of the random network's truth table on P points, P at most 16.
        label: bool (P,), the teacher's answers; `law` must give them positive probability.
        sizes: the numbers N of examples, whole and not negative; at least one.

    Returns:
        :class:`LearningCurve`. Cost: P**2 * 2**P additions.
    """
    instance("law", law, FunctionLaw)
    points = law.tables.shape[1]
    if points > 16:
        raise ValueError(f"law must have at most 16 points (2**P subsets are visited), found {points}")
    tensor("label", label, shape=(points,), dtype=torch.bool)
    sizes = wholes("sizes", sizes, at_least=0)
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
    return LearningCurve(sizes, torch.from_numpy(weights @ cost), law_of_error @ levels, surprise, law_of_error, bits)


@lru_cache(maxsize=4096)
def _distinct_law(points: int, draws: int) -> np.ndarray:
    """Law of the number of distinct points among `draws` uniform ones, (points + 1,); below 1e-300 it is 0."""
    law = np.zeros(points + 1)
    law[0] = 1.0
    k = np.arange(points + 1)
    for _ in range(draws):
        law = law * k / points + np.concatenate([[0.0], (law * (points - k) / points)[:-1]])
        law[law < 1e-300] = 0.0  # the smallest numbers would round to themselves and never fade
        if not law[:-1].any():
            break
    return law


def guess_until_fit(
    units: Units, width: int, sample: Tensor, sample_labels: Tensor, *, runs: int, seed: int, limit: int = 10_000_000
) -> Tensor:
    """Guess & Check, taken literally, `runs` times: draw nets in order and return the index of each that fits.

    The r-th run goes on where the one before stopped, so runs are independent. Used for typical-nets/C1.

    Args:
        sample, sample_labels: int64 (N,) points of the domain and bool (N,) their labels. N = 0: every net fits.
        limit: give up after this many draws in all.

    Returns:
        int64 (runs,), the indices of the accepted nets.

    Raises:
        RuntimeError: fewer than `runs` nets fitted within `limit` draws.
    """
    instance("units", units, Units)
    width, seed = whole("width", width, at_least=1), checked_seed("seed", seed)
    runs, limit = whole("runs", runs, at_least=1), whole("limit", limit, at_least=1)
    _places("sample", sample, units.points, ("examples",))
    tensor("sample_labels", sample_labels, shape=sample.shape, dtype=torch.bool)
    found, start, step = [], 0, 1 << 15
    while sum(map(len, found)) < runs:
        if start >= limit:
            raise RuntimeError(f"guess_until_fit found {sum(map(len, found))} of {runs} nets in {limit} draws")
        nets = sample_nets(units, width, seed=seed, start=start, count=min(step, limit - start))
        tables = truth_tables(units, nets)
        found.append(start + torch.nonzero((tables[:, sample] == sample_labels).all(1)).flatten())
        start += step
    return torch.cat(found)[:runs]


def posterior_use(
    tables: Tensor, law: FunctionLaw, sample: Tensor, sample_labels: Tensor, *, false_alarm: float = 1e-6
) -> float:
    """How far accepted nets stray from the posterior, as a share of what chance allows (typical-nets/C1).

    For every function the share of `tables` that compute it is compared with its exact posterior probability given the
    data. The allowance is Bernstein's, with `false_alarm` split over all functions; above 1 the rule is refuted. A
    table that does not fit the data, or that has no probability under `law`, refutes it at once: infinite.

    Args:
        tables: bool (runs, P), truth tables of the accepted nets, at least one. law: the exact prior law.
        sample, sample_labels: int64 (N,), bool (N,), the data.
        false_alarm: probability, in (0, 1), that a right rule has a use above 1.
    """
    instance("law", law, FunctionLaw)
    points = law.tables.shape[1]
    tensor("tables", tables, shape=("runs", points), dtype=torch.bool)
    if not len(tables):
        raise ValueError("tables must hold at least one run, found none")
    _places("sample", sample, points, ("examples",))
    tensor("sample_labels", sample_labels, shape=sample.shape, dtype=torch.bool)
    false_alarm = number("false_alarm", false_alarm, above=0.0, below=1.0)
    fits = (law.tables[:, sample] == sample_labels).all(1)
    functions, counts = law.tables[fits], law.counts[fits]
    if not (tables[:, sample] == sample_labels).all():
        return math.inf
    returned = (tables[:, None] == functions).all(-1)
    if not returned.any(1).all():
        return math.inf
    shares = returned.to(torch.float64).mean(0)
    worst = 0.0
    for share, p in zip(shares.tolist(), (counts.to(torch.float64) / counts.sum()).tolist(), strict=True):
        worst = largest(worst, abs(share - p) / allowance(p, len(tables), false_alarm=false_alarm / len(counts)))
    return worst


def tail_use(curve: LearningCurve, eps: float, *, teacher_bits: float | None = None) -> float:
    """Largest P(L >= eps) / ((1 - eps)**N / P(teacher)) over the curve's sizes: at most 1 (typical-nets/C2).

    Where both are 0 (eps = 1) the bound holds, and the ratio counts as 0.

    Args:
        eps: error, in [0, 1].
        teacher_bits: what -log2 P(teacher) is said to be, any number; None: the curve's own.
    """
    instance("curve", curve, LearningCurve)
    eps, tail = number("eps", eps), curve.tail(eps)
    bits = curve.teacher_bits if teacher_bits is None else number("teacher_bits", teacher_bits)
    sizes = torch.tensor(curve.sizes, dtype=torch.float64)
    bound = torch.xlogy(sizes, torch.tensor(1 - eps, dtype=torch.float64)) / math.log(2)  # log2 of (1 - eps)**N
    ratio = torch.exp2(torch.log2(tail) - bound - bits)
    return float(torch.where(tail > 0, ratio, 0.0).max())


def information_use(sizes: Sequence[int], surprise: Tensor, bits: Tensor) -> float:
    """Largest N E[-log2(1 - L)] / E[C(S)] over sizes N >= 1: at most 1 (typical-nets/C3).

    Where both sides are 0 (a teacher that every net computes) the bound holds, and the ratio counts as 0.

    Args:
        sizes: the numbers N, of which at least one is 1 or more.
        surprise, bits: float64 (len(sizes),), not negative (but for rounding), without NaN; surprise may be infinite.
    """
    sizes = torch.tensor(wholes("sizes", sizes, at_least=0), dtype=torch.float64)
    tensor("surprise", surprise, shape=sizes.shape, dtype=torch.float64, finite=False, at_least=-1e-9)
    tensor("bits", bits, shape=sizes.shape, dtype=torch.float64, at_least=-1e-9)
    large = sizes > 0
    if not large.any():
        raise ValueError(f"sizes must hold a number of at least 1, found {sizes.long().tolist()}")
    left = (sizes * surprise)[large]
    return float(torch.where(left > 0, left / bits[large], 0.0).max())
