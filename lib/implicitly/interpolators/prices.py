"""The price of an interpolator, averaged exactly over samples.

The price of an interpolation rule is C(S) = -log2 P(a random network fits S) bits. All logarithms have
base 2; all functions are float64 and exact unless they say otherwise.
The statements for finite N (tempered-overfitting/C1 and C2) are derived in the chapter.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._validate import F64, instance, number, tensor, whole
from .errors import log2_binomial
from .laws import FunctionLaw
from .units import _places, pack_tables

__all__ = [
    "Price",
    "dense_law",
    "minimal_law",
    "price_of_distinct_samples",
    "price_of_iid_samples",
    "teacher_and_memorizer",
    "typical_errors",
    "xor_law",
]


def dense_law(law: FunctionLaw) -> Tensor:
    """Probabilities of all 2**P truth tables, float64 (2**P,): bit p of entry w is the answer at point p. P <= 16."""
    instance("law", law, FunctionLaw)
    points = law.tables.shape[1]
    if points > 16:
        raise ValueError(f"law must have at most 16 points to be dense, found {points}")
    out = torch.zeros(2**points, dtype=torch.float64)
    out[pack_tables(law.tables)] = law.probabilities
    return out


def _dense(name: str, law: Tensor, size: int | None = None) -> int:
    """The number of points of a dense law, after checking that it is one (of `size` entries)."""
    tensor(name, law, shape=("2**P" if size is None else size,), dtype=F64, at_least=0.0)
    points = law.numel().bit_length() - 1
    if law.numel() != 2**points or not 1 <= points <= 16:
        raise ValueError(f"{name} must have 2**P entries for P from 1 to 16, found {law.numel()}")
    if abs(float(law.sum()) - 1) > 1e-9:
        raise ValueError(f"{name} must sum to 1, found {float(law.sum()):.10g}")
    return points


def _dense_laws(laws: Sequence[Tensor]) -> int:
    """The number of points of dense laws, after checking that they are some, all on the same points."""
    if not isinstance(laws, list | tuple):
        raise TypeError(f"laws must be a list of laws, found {type(laws).__name__}")
    if not laws:
        raise ValueError("laws must hold at least one law, found none")
    points = _dense("laws[0]", laws[0])
    for i, law in enumerate(laws[1:], 1):
        _dense(f"laws[{i}]", law, 2**points)
    return points


def xor_law(first: Tensor, second: Tensor) -> Tensor:
    """Law of t xor m for independent t and m with dense laws `first` and `second`: a Walsh convolution.

    Both are float64 (2**P,) and sum to 1, and so is the result. A probability below 1e-15 is given as 0.
    """
    _dense("first", first), _dense("second", second, first.numel())

    def walsh(v):
        size, step = v.numel(), 1
        while step < size:
            pairs = v.reshape(-1, 2, step)
            v = torch.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], 1).reshape(-1)
            step *= 2
        return v

    # rounding of the transform can leave -1e-20 where the law is zero
    out = walsh(walsh(first) * walsh(second)) / first.numel()
    return torch.where(out > 1e-15, out, 0.0)


def _popcount(words: Tensor, points: int) -> Tensor:
    return (words[..., None] >> torch.arange(points) & 1).sum(-1)


@dataclass(frozen=True)
class Price:
    """Averages over data sets: bits C, noisy error L, clean errors Delta_0 .. Delta_N (all float).

    Where some data set has no interpolator, bits are infinite and the errors NaN.
    """

    bits: float
    noisy: float
    clean: tuple[float, ...]

    def __post_init__(self):
        if not isinstance(self.bits, float) or self.bits != math.inf:
            object.__setattr__(self, "bits", number("bits", self.bits, at_least=-1e-9))  # rounding
        object.__setattr__(self, "noisy", _error("noisy", self.noisy))
        if not isinstance(self.clean, list | tuple):
            raise TypeError(f"clean must be a tuple of errors, found {type(self.clean).__name__}")
        clean = tuple(_error(f"clean[{i}]", error) for i, error in enumerate(self.clean))
        object.__setattr__(self, "clean", clean)


def _error(name: str, value: float) -> float:
    """`value`, a share up to rounding, or NaN."""
    if isinstance(value, float) and math.isnan(value):
        return math.nan
    return number(name, value, at_least=-1e-9, at_most=1 + 1e-9)


def price_of_distinct_samples(law: Tensor, target: int, eps: float, N: int) -> Price:
    """E[C], and the off-sample errors after 0..N examples, for distinct points and independent flips. Exact.

    Every set of points and every pattern of flips is visited. Meant for P = 8 points or fewer: 3**P cases.

    Args:
        law: dense law, float64 (2**P,), of the random rule. target: the teacher h* as a word, below 2**P.
        eps: probability of a flip, in [0, 1]. N: examples, at most P - 1.

    Returns:
        :class:`Price`; `clean[i]` is the mean over data sets of size i of the posterior's clean error off the
        sample, `noisy` the noisy error off the sample after N examples. Where some sample of a size that can
        occur has no interpolator, bits are infinite and the errors from that size on are NaN.
    """
    points = _dense("law", law)
    target = whole("target", target, at_least=0, at_most=2**points - 1)
    eps, N = number("eps", eps, at_least=0.0, at_most=1.0), whole("N", N, at_least=0, at_most=points - 1)
    words = torch.arange(2**points)
    clean, bits = [], 0.0
    for size in range(N + 1):
        total = 0.0
        for chosen in itertools.combinations(range(points), size):
            mask = sum(1 << p for p in chosen)
            wrong = _popcount((words ^ target) & ~mask & 2**points - 1, points).to(torch.float64) / (points - size)
            # posterior mass and error for all flip patterns at once, by the restriction of a word to the mask
            keys, where = torch.unique(words & mask, return_inverse=True)
            fit = torch.zeros(keys.numel(), dtype=torch.float64).index_add_(0, where, law)
            error = torch.zeros_like(fit).index_add_(0, where, law * wrong) / fit
            flips = _popcount((keys ^ target) & mask, points).to(torch.float64)
            weight = eps**flips * (1 - eps) ** (size - flips)
            total += float(torch.where(weight > 0, weight * error, 0.0).sum())
            if size == N:
                bits += float(torch.where(weight > 0, -weight * torch.log2(fit), 0.0).sum())
        clean.append(total / math.comb(points, size))
    return Price(bits / math.comb(points, N), eps + (1 - 2 * eps) * clean[-1], tuple(clean))


def price_of_iid_samples(law: Tensor, labels: int, N: int) -> Price:
    """E[C] and E[L] for N independent uniform draws with repetition, when the label is a function of the point. Exact.

    Noise that depends on the point alone (arbitrary noise, without conflicts): `labels` are the noisy labels
    as a word. L is over the whole domain. A sample enters through the set of points it hits, whose
    probability is a surjection number. Meant for P = 8 points or fewer: 4**P cases.

    Args:
        law: dense law, float64 (2**P,), of the random rule. labels: below 2**P. N: at least 1.

    Returns:
        :class:`Price` without clean errors; infinite bits and NaN where some sample has no interpolator.
    """
    points = _dense("law", law)
    labels = whole("labels", labels, at_least=0, at_most=2**points - 1)
    N = whole("N", N, at_least=1)
    words = torch.arange(2**points)
    wrong = _popcount(words ^ labels, points).to(torch.float64) / points
    bits = error = 0.0
    for size in range(1, min(N, points) + 1):
        onto = sum((-1) ** (size - j) * math.comb(size, j) * j**N for j in range(size + 1)) / points**N
        for chosen in itertools.combinations(range(points), size):
            mask = sum(1 << p for p in chosen)
            fits = (words ^ labels) & mask == 0
            mass = float(law[fits].sum())
            if not mass:
                return Price(math.inf, math.nan, ())
            bits -= onto * math.log2(mass)
            error += onto * float((law[fits] * wrong[fits]).sum()) / mass
    return Price(bits, error, ())


def minimal_law(laws: Sequence[Tensor]) -> list[Tensor]:
    """For the min-size rule: from dense laws of widths 1, 2, ... to uniform laws on what each width computes.

    laws: a list of float64 (2**P,), at least one. Returns as many of the same kind.
    """
    _dense_laws(laws)
    return [(law > 0).to(torch.float64) / int((law > 0).sum()) for law in laws]


def _off_sample(samples: Tensor, points: int) -> None:
    """Check data sets of distinct points, int64 (R, N), that leave some point over."""
    _places("samples", samples, points, ("sets", "N"), distinct=True)
    if samples.shape[1] >= points:
        raise ValueError(f"samples must leave a point over, at most {points - 1} a set, found {samples.shape[1]}")


def typical_errors(
    laws: Sequence[Tensor], target: int, samples: Tensor, flipped: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Off-sample clean error of the interpolators of each data set, under the first law that has any. Exact.

    One law: the random rule. The laws of :func:`minimal_law`: the min-size rule, which takes the narrowest
    network that fits and draws uniformly among the functions such networks compute.

    Args:
        laws: a list of dense laws, float64 (2**P,), in order of preference; at least one.
        target: the teacher as a word, below 2**P.
        samples: int64 (R, N), distinct points in each row, N < P. flipped: bool (R, N), which labels are flipped.

    Returns:
        error (R,), NaN where nothing fits (a censored data set); bits (R,), C(S) under the law used; chosen
        (R,), which law it was, -1 for none.
    """
    points = _dense_laws(laws)
    target = whole("target", target, at_least=0, at_most=2**points - 1)
    _off_sample(samples, points)
    tensor("flipped", flipped, shape=samples.shape, dtype=torch.bool)
    supports = [torch.nonzero(law).flatten() for law in laws]
    error = torch.full((samples.shape[0],), math.nan, dtype=torch.float64)
    bits, chosen = torch.full_like(error, math.inf), torch.full((samples.shape[0],), -1)
    for r, (sample, flip) in enumerate(zip(samples.tolist(), flipped.tolist(), strict=True)):
        mask = sum(1 << p for p in sample)
        label = target ^ sum(1 << p for p, f in zip(sample, flip, strict=True) if f)
        for i, (law, words) in enumerate(zip(laws, supports, strict=True)):
            fits = words[(words ^ label) & mask == 0]
            if fits.numel():
                mass = law[fits]
                wrong = _popcount((fits ^ target) & ~mask & 2**points - 1, points).to(torch.float64)
                error[r] = float((mass * wrong).sum() / mass.sum()) / (points - len(sample))
                bits[r], chosen[r] = -math.log2(float(mass.sum())), i
                break
    return error, bits, chosen


def teacher_and_memorizer(tables: Tensor, target: Tensor, samples: Tensor, flips: Tensor) -> tuple[Tensor, Tensor]:
    """(C(S), off-sample clean error), float64 (R,) each, of a student t xor m with an ideal memorizer. Exact.

    t is uniform among the rows of `tables`, bool (F, P); m is the random table of :func:`beta_memorizer`. The
    posterior of t weighs 1/((N + 1) binom(N, k_t)), where k_t is the number of labels that t leaves to m; a
    new point errs if exactly one of t and m does.

    Args:
        tables: F and P at least 1. target: bool (P,), the teacher.
        samples: int64 (R, N), distinct points in each row, N < P. flips: bool (R, N).
    """
    tensor("tables", tables, shape=("functions", "points"), dtype=torch.bool)
    if not tables.numel():
        raise ValueError(f"tables must hold at least one function of one point, found shape {tuple(tables.shape)}")
    tensor("target", target, shape=tables.shape[1:], dtype=torch.bool)
    _off_sample(samples, tables.shape[1])
    tensor("flips", flips, shape=samples.shape, dtype=torch.bool)
    N, points = samples.shape[1], tables.shape[1]
    wrong = (tables != target).sum(1)
    bits, errors = [], []
    for sample, flip in zip(samples, flips, strict=True):
        inside = tables[:, sample] != target[sample]
        left = (inside != flip).sum(1).to(torch.float64)
        logs = -(math.log2(N + 1) + log2_binomial(N, left))
        weight = torch.exp2(logs - logs.max())
        bits.append(math.log2(tables.shape[0]) - float(logs.max()) - math.log2(float(weight.sum())))
        differs = (wrong - inside.sum(1)).to(torch.float64) / (points - N)
        rate = (left + 1) / (N + 2)
        errors.append(float((weight * (differs + rate - 2 * differs * rate)).sum() / weight.sum()))
    return torch.tensor(bits, dtype=torch.float64), torch.tensor(errors, dtype=torch.float64)
