"""Interpolating noisy labels: the two error curves, the price of an interpolator, and rules that pay it.

A sample has labels Y = h*(X), some of them flipped. An interpolator h fits all of them. *Noisy error* L(h) =
P(h(X) != Y), *clean error* Delta(h) = P(h(X) != h*(X)), noise level eps = P(Y != h*(X)). The price of an
interpolation rule is C(S) = -log2 P(a random network fits S) bits, or the length in bits of the description
of what the rule returns. All logarithms have base 2; all functions are float64 and exact unless they say
otherwise.

Sources: Harel et al. 2024 for the curves; the statements for finite N (tempered-overfitting/C6) are derived
in the chapter.

>>> round(float(arbitrary_noise_bound(0.1)), 4), round(float(independent_noise_error(0.1)), 4)
(0.2775, 0.18)
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ._validate import number, whole
from .threshold_nets import FunctionLaw, pack_tables

__all__ = [
    "HashRule",
    "Price",
    "arbitrary_noise_bound",
    "beta_memorizer",
    "binary_entropy",
    "bits_to_error",
    "clean_error_range",
    "dense_law",
    "expected_over_flips",
    "gap",
    "hash_price",
    "independent_noise_error",
    "log2_binomial",
    "minimal_law",
    "noisy_error",
    "price_of_distinct_samples",
    "price_of_iid_samples",
    "repeat_probability",
    "shortest_hash",
    "teacher_and_memorizer",
    "typical_errors",
    "xor_law",
]  # fmt: skip


# --- the curves -----------------------------------------------------------------------------------------------------


def _share(name: str, p) -> Tensor:
    p = torch.as_tensor(p, dtype=torch.float64)
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise ValueError(f"{name} must lie in [0, 1], found {p.min():.6g} to {p.max():.6g}")
    return p


def binary_entropy(p) -> Tensor:
    """H(p) = -p log2 p - (1 - p) log2 (1 - p), in bits; 0 at 0 and 1. Any shape."""
    p = _share("p", p)
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)) / math.log(2)


def gap(eps, delta) -> Tensor:
    """-eps log2 delta - (1 - eps) log2 (1 - delta) = H(eps) + KL(eps || delta), in bits: see C6 (b) and (c)."""
    eps, delta = _share("eps", eps), _share("delta", delta)
    return -(torch.xlogy(eps, delta) + torch.xlogy(1 - eps, 1 - delta)) / math.log(2)


def noisy_error(delta, eps) -> Tensor:
    """L = eps + (1 - 2 eps) delta: the error on labels with independent flips, from the clean error."""
    delta, eps = _share("delta", delta), _share("eps", eps)
    return eps + (1 - 2 * eps) * delta


def independent_noise_error(eps) -> Tensor:
    """2 eps (1 - eps), the limit of E[L] under independent flips (C2)."""
    eps = _share("eps", eps)
    return 2 * eps * (1 - eps)


def arbitrary_noise_bound(eps) -> Tensor:
    """1 - 2**-H(eps) = 1 - eps**eps (1 - eps)**(1 - eps), the limit of the bound on E[L] under any noise (C1)."""
    return bits_to_error(binary_entropy(eps))


def bits_to_error(bits) -> Tensor:
    """1 - 2**-bits: the largest E[L] of a rule that pays so many bits per example (C6 (a))."""
    return 1 - torch.exp2(-torch.as_tensor(bits, dtype=torch.float64))


def clean_error_range(bits: float, eps: float) -> tuple[float, float]:
    """The clean errors that C6 (b) allows to a rule that pays `bits` per example: gap <= bits, by bisection.

    Raises:
        ValueError: bits < H(eps); no rule interpolates for less.
    """
    eps = number("eps", eps, at_least=0.0)
    floor = float(binary_entropy(eps))
    if number("bits", bits) < floor - 1e-12:
        raise ValueError(f"bits must be at least H(eps) = {floor:.6g}, found {bits:.6g}")
    ends = []
    for outside in (0.0, 1.0):
        inside = eps
        for _ in range(100):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if gap(eps, middle) <= bits else (inside, middle)
        ends.append(inside)
    return ends[0], ends[1]


def log2_binomial(n, k) -> Tensor:
    """log2 of n choose k, from the logarithm of the gamma function."""
    n, k = torch.as_tensor(n, dtype=torch.float64), torch.as_tensor(k, dtype=torch.float64)
    return (torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)) / math.log(2)


def expected_over_flips(values: Tensor, eps) -> Tensor:
    """Sum over k of Binomial(N, eps)(k) values[..., k]: from values by number of flips to any noise level.

    values: float64 (..., N + 1). eps: scalar or (E,). Returns (...) or (..., E). A weight of zero removes its
    value, even an infinite one.
    """
    N, eps = values.shape[-1] - 1, _share("eps", eps)
    k = torch.arange(N + 1, dtype=torch.float64)
    flat = eps.reshape(-1, 1)
    logs = (torch.xlogy(k, flat) + torch.xlogy(N - k, 1 - flat)) / math.log(2)
    weights = torch.exp2(log2_binomial(N, k) + logs)
    terms = torch.where(weights > 0, weights * values[..., None, :].to(torch.float64), 0.0)
    return terms.sum(-1).reshape((*values.shape[:-1], *eps.shape))


# --- memorizers in closed form --------------------------------------------------------------------------------------


def beta_memorizer(N: int) -> tuple[Tensor, Tensor]:
    """(bits, clean error), float64 (N + 1,) each, by the number k of flips, for a random table of unknown density.

    The prior: a density q uniform on [0, 1], then h(x) != h*(x) independently at every x with probability q.
    On N distinct points with k flips C = log2((N + 1) binom(N, k)); at a new point the posterior errs with
    probability (k + 1)/(N + 2).
    """
    k = torch.arange(whole("N", N, at_least=0) + 1, dtype=torch.float64)
    return math.log2(N + 1) + log2_binomial(N, k), (k + 1) / (N + 2)


@dataclass(frozen=True)
class HashRule:
    """What :func:`shortest_hash` found: the index, its code length log2(index + 1) in bits, and its density."""

    index: int
    density: float

    @property
    def bits(self) -> float:
        return math.log2(self.index + 1)


def _mix(z: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64: uint64 to uint64, a fixed scrambling of all bits."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _hash_bit(index: np.ndarray, point: int, seed: int) -> np.ndarray:
    """Entry `point` of random table number `index` (uint64): 1 with probability (1 + index mod 8)/16."""
    key = np.uint64((seed * 0x9E3779B97F4A7C15 + point * 0xD1342543DE82EF95 + 1) % 2**64)
    return _mix(_mix(index + key) ^ key) >> np.uint64(60) < np.uint64(1) + index % np.uint64(8)


def shortest_hash(flips: Tensor, *, seed: int, limit: int = 2**27) -> HashRule:
    """The first of a fixed list of pseudo-random tables that equals `flips`: the shortest description.

    Table t answers 1 at a point with probability (1 + t mod 8)/16, by a 64-bit hash of (seed, t, point). The
    rule returns h = h* xor table t for the first t that fits. Nothing but t is stored: log2(t + 1) bits.

    Args:
        flips: bool (N,), where the label differs from the teacher's.
        limit: give up after so many tables.

    Raises:
        RuntimeError: no table below `limit` fits.
    """
    if flips.ndim != 1 or flips.dtype != torch.bool:
        raise ValueError(f"flips must be bool (N,), found {flips.dtype} {tuple(flips.shape)}")
    order = torch.argsort(flips.to(torch.int64), descending=True, stable=True).tolist()  # flips first: fewest survive
    wanted, block = flips.tolist(), 2**18
    for start in range(0, limit, block):
        alive = np.arange(start, start + block, dtype=np.uint64)
        for point in order:
            alive = alive[_hash_bit(alive, point, seed) == wanted[point]]
            if not alive.size:
                break
        if alive.size:
            return HashRule(int(alive[0]), (1 + int(alive[0]) % 8) / 16)
    raise RuntimeError(f"no table among the first {limit} fits {len(wanted)} labels; raise limit")


def hash_price(N: int, k: int) -> tuple[float, float]:
    """(mean of log2(index + 1), mean density found), in theory, for `shortest_hash`, N points, k flips.

    The index is close to exponential with mean 1/P, P the probability that a random table of the list fits;
    the mean of the logarithm of such a variable is log2(1/P) minus Euler's constant over ln 2.
    """
    q = torch.arange(1, 9, dtype=torch.float64) / 16
    fit = q**k * (1 - q) ** (N - k)
    return -math.log2(fit.mean()) - np.euler_gamma / math.log(2), float((fit * q).sum() / fit.sum())


# --- networks, exactly ----------------------------------------------------------------------------------------------


def dense_law(law: FunctionLaw) -> Tensor:
    """Probabilities of all 2**P truth tables, float64 (2**P,): bit p of entry w is the answer at point p."""
    points = law.tables.shape[1]
    if points > 16:
        raise ValueError(f"a dense law needs at most 16 points, found {points}")
    out = torch.zeros(2**points, dtype=torch.float64)
    out[pack_tables(law.tables)] = law.probabilities
    return out


def xor_law(first: Tensor, second: Tensor) -> Tensor:
    """Law of t xor m for independent t and m with dense laws `first` and `second`: a Walsh convolution."""
    if first.shape != second.shape or first.ndim != 1 or first.numel() & (first.numel() - 1):
        found = f"{tuple(first.shape)}, {tuple(second.shape)}"
        raise ValueError(f"laws must be dense and on the same points, found {found}")

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
    """Averages over data sets: bits C, noisy error L, clean errors Delta_0 .. Delta_N (all float)."""

    bits: float
    noisy: float
    clean: tuple[float, ...]


def price_of_distinct_samples(law: Tensor, target: int, eps: float, N: int) -> Price:
    """E[C], and the off-sample errors after 0..N examples, for distinct points and independent flips. Exact.

    Every set of points and every pattern of flips is visited. Meant for P = 8 points or fewer: 3**P cases.

    Args:
        law: dense law (2**P,) of the random rule. target: the teacher h* as a word.
        eps: probability of a flip. N: examples, at most P - 1.

    Returns:
        :class:`Price`; `clean[i]` is the mean over data sets of size i of the posterior's clean error off the
        sample, `noisy` the noisy error off the sample after N examples. bits = inf where some sample that can
        occur has no interpolator.
    """
    points = int(math.log2(law.numel()))
    eps = number("eps", eps, at_least=0.0)
    if not 0 <= whole("N", N, at_least=0) < points:
        raise ValueError(f"N must be at most {points - 1}, found {N}")
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
    probability is a surjection number.
    """
    points = int(math.log2(law.numel()))
    whole("N", N, at_least=1)
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
    """For the min-size rule: from dense laws of widths 1, 2, ... to uniform laws on what each width computes."""
    return [(law > 0).to(torch.float64) / int((law > 0).sum()) for law in laws]


def typical_errors(
    laws: Sequence[Tensor], target: int, samples: Tensor, flipped: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Off-sample clean error of the interpolators of each data set, under the first law that has any. Exact.

    One law: the random rule. The laws of :func:`minimal_law`: the min-size rule, which takes the narrowest
    network that fits and draws uniformly among the functions such networks compute.

    Args:
        laws: dense laws (2**P,), in order of preference.
        target: the teacher as a word.
        samples: int64 (R, N), distinct points. flipped: bool (R, N), which labels are flipped.

    Returns:
        error (R,), NaN where nothing fits (a censored data set); bits (R,), C(S) under the law used; chosen
        (R,), which law it was, -1 for none.
    """
    if samples.shape != flipped.shape or samples.ndim != 2:
        found = f"{tuple(samples.shape)}, {tuple(flipped.shape)}"
        raise ValueError(f"samples and flipped must both be (sets, N), found {found}")
    points = int(math.log2(laws[0].numel()))
    supports = [torch.nonzero(law).flatten() for law in laws]
    error = torch.full((samples.shape[0],), math.nan, dtype=torch.float64)
    bits, chosen = torch.full_like(error, math.inf), torch.full((samples.shape[0],), -1)
    for r, (sample, flip) in enumerate(zip(samples.tolist(), flipped.tolist(), strict=False)):
        mask = sum(1 << p for p in sample)
        label = target ^ sum(1 << p for p, f in zip(sample, flip, strict=False) if f)
        for i, (law, words) in enumerate(zip(laws, supports, strict=False)):
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
        target: bool (P,), the teacher. samples: int64 (R, N), distinct points in each row. flips: bool (R, N).
    """
    if samples.shape != flips.shape or samples.ndim != 2:
        found = f"{tuple(samples.shape)}, {tuple(flips.shape)}"
        raise ValueError(f"samples and flips must both be (sets, N), found {found}")
    if tables.dtype != torch.bool or target.shape != tables.shape[1:]:
        raise ValueError(f"tables must be bool (F, P), target (P,), found {tables.dtype} {tuple(tables.shape)}")
    N, points = samples.shape[1], tables.shape[1]
    wrong = (tables != target).sum(1)
    bits, errors = [], []
    for sample, flip in zip(samples, flips, strict=False):
        inside = tables[:, sample] != target[sample]
        left = (inside != flip).sum(1).to(torch.float64)
        logs = -(math.log2(N + 1) + log2_binomial(N, left))
        weight = torch.exp2(logs - logs.max())
        bits.append(math.log2(tables.shape[0]) - float(logs.max()) - math.log2(float(weight.sum())))
        differs = (wrong - inside.sum(1)).to(torch.float64) / (points - N)
        rate = (left + 1) / (N + 2)
        errors.append(float((weight * (differs + rate - 2 * differs * rate)).sum() / weight.sum()))
    return torch.tensor(bits, dtype=torch.float64), torch.tensor(errors, dtype=torch.float64)


def repeat_probability(points: int, N: int) -> float:
    """Probability that N uniform draws from `points` points, with repetition, hit some point twice."""
    whole("points", points, at_least=1), whole("N", N, at_least=0)
    return 1.0 if points < N else -math.expm1(sum(math.log1p(-i / points) for i in range(N)))
