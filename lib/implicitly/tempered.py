"""Interpolating noisy labels: the two error curves, the price of an interpolator, and rules that pay it.

A sample has labels Y = h*(X), some of them flipped. An interpolator h fits all of them. *Noisy error* L(h) =
P(h(X) != Y), *clean error* Delta(h) = P(h(X) != h*(X)), noise level eps = P(Y != h*(X)). The price of an
interpolation rule is C(S) = -log2 P(a random network fits S) bits, or the length in bits of the description
of what the rule returns. All logarithms have base 2; all functions are float64 and exact unless they say
otherwise. Where a function takes `Numbers` these are a number, nested lists or a tensor of real numbers; two such
arguments have shapes that broadcast.

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

from ._validate import instance, number, tensor, whole
from ._validate import seed as checked_seed
from .threshold_nets import FunctionLaw, _places, pack_tables

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


Numbers = float | Sequence | Tensor
F64 = torch.float64


def _share(name: str, p: Numbers) -> Tensor:
    return tensor(name, p, convert=F64, at_least=0.0, at_most=1.0)


def _together(**tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors, after checking that their shapes broadcast."""
    try:
        torch.broadcast_shapes(*(t.shape for t in tensors.values()))
    except RuntimeError:
        found = " and ".join(str(tuple(t.shape)) for t in tensors.values())
        raise ValueError(f"{' and '.join(tensors)} must have shapes that broadcast, found {found}") from None
    return tuple(tensors.values())


def binary_entropy(p: Numbers) -> Tensor:
    """H(p) = -p log2 p - (1 - p) log2 (1 - p), in bits; 0 at 0 and 1. p in [0, 1], any shape."""
    p = _share("p", p)
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)) / math.log(2)


def _gap(eps: Tensor, delta: Tensor) -> Tensor:
    return -(torch.xlogy(eps, delta) + torch.xlogy(1 - eps, 1 - delta)) / math.log(2)


def gap(eps: Numbers, delta: Numbers) -> Tensor:
    """-eps log2 delta - (1 - eps) log2 (1 - delta) = H(eps) + KL(eps || delta), in bits: see C6 (b) and (c).

    Both in [0, 1]. Infinite where delta is 0 and eps is not, or delta is 1 and eps is not.
    """
    return _gap(*_together(eps=_share("eps", eps), delta=_share("delta", delta)))


def noisy_error(delta: Numbers, eps: Numbers) -> Tensor:
    """L = eps + (1 - 2 eps) delta: the error on labels with independent flips, from the clean error. Both in [0, 1]."""
    delta, eps = _together(delta=_share("delta", delta), eps=_share("eps", eps))
    return eps + (1 - 2 * eps) * delta


def independent_noise_error(eps: Numbers) -> Tensor:
    """2 eps (1 - eps), the limit of E[L] under independent flips (C2). eps in [0, 1], any shape."""
    eps = _share("eps", eps)
    return 2 * eps * (1 - eps)


def arbitrary_noise_bound(eps: Numbers) -> Tensor:
    """1 - 2**-H(eps) = 1 - eps**eps (1 - eps)**(1 - eps), the limit of the bound on E[L] under any noise (C1).

    eps in [0, 1], any shape.
    """
    return bits_to_error(binary_entropy(_share("eps", eps)))


def bits_to_error(bits: Numbers) -> Tensor:
    """1 - 2**-bits: the largest E[L] of a rule that pays so many bits per example (C6 (a)).

    bits: 0 or more, also infinite (which gives 1); any shape.
    """
    return -torch.expm1(-math.log(2) * tensor("bits", bits, convert=F64, finite=False, at_least=0.0))


def clean_error_range(bits: float, eps: float) -> tuple[float, float]:
    """The clean errors that C6 (b) allows to a rule that pays `bits` per example: gap <= bits, by bisection.

    Args:
        bits: at least H(eps). eps: in [0, 1].

    Raises:
        ValueError: bits < H(eps); no rule interpolates for less.
    """
    eps, bits = number("eps", eps, at_least=0.0, at_most=1.0), number("bits", bits)
    floor, share = float(binary_entropy(eps)), torch.tensor(eps, dtype=F64)
    if bits < floor - 1e-12:
        raise ValueError(f"bits must be at least H(eps) = {floor:.6g}, found {bits:.6g}")
    ends = []
    for outside in (0.0, 1.0):
        inside = eps
        for _ in range(100):
            middle = (inside + outside) / 2
            allowed = _gap(share, torch.tensor(middle, dtype=F64)) <= bits
            inside, outside = (middle, outside) if allowed else (inside, middle)
        ends.append(inside)
    return ends[0], ends[1]


def log2_binomial(n: Numbers, k: Numbers) -> Tensor:
    """log2 of n choose k, from the logarithm of the gamma function; 0 <= k <= n, whole or not. Any shapes."""
    n, k = (tensor(name, v, convert=F64, at_least=0.0) for name, v in (("n", n), ("k", k)))
    _together(n=n, k=k)
    if bool((k > n).any()):
        raise ValueError(f"k must be at most n, found n - k = {float((n - k).min()):.6g}")
    logs = torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
    if bool((n > 2**20).any()):  # there the three cancel to their last digits
        from scipy.special import betaln

        beta = torch.as_tensor(betaln((n - k + 1).numpy(), (k + 1).numpy()))
        logs = torch.where(n > 2**20, -beta - torch.log1p(n), logs)
    return logs / math.log(2)


def expected_over_flips(values: Tensor, eps: Numbers) -> Tensor:
    """Sum over k of Binomial(N, eps)(k) values[..., k]: from values by number of flips to any noise level.

    A weight of zero removes its value, even an infinite one.

    Args:
        values: real (..., N + 1), numbers or +infinity.
        eps: in [0, 1], any shape E.

    Returns:
        float64 (..., *E).
    """
    values, eps = tensor("values", values, convert=F64, finite=False, above=-math.inf), _share("eps", eps)
    if values.ndim == 0 or not values.shape[-1]:
        raise ValueError(f"values must have at least one entry on its last axis, found shape {tuple(values.shape)}")
    N = values.shape[-1] - 1
    k = torch.arange(N + 1, dtype=torch.float64)
    flat = eps.reshape(-1, 1)
    logs = (torch.xlogy(k, flat) + torch.xlogy(N - k, 1 - flat)) / math.log(2)
    weights = torch.exp2(log2_binomial(N, k) + logs)
    terms = torch.where(weights > 0, weights * values[..., None, :], 0.0)
    return terms.sum(-1).reshape((*values.shape[:-1], *eps.shape))


# --- memorizers in closed form --------------------------------------------------------------------------------------


def beta_memorizer(N: int) -> tuple[Tensor, Tensor]:
    """(bits, clean error), float64 (N + 1,) each, by the number k of flips, for a random table of unknown density.

    The prior: a density q uniform on [0, 1], then h(x) != h*(x) independently at every x with probability q.
    On N distinct points with k flips C = log2((N + 1) binom(N, k)); at a new point the posterior errs with
    probability (k + 1)/(N + 2).
    """
    N = whole("N", N, at_least=0)
    k = torch.arange(N + 1, dtype=torch.float64)
    return math.log2(N + 1) + log2_binomial(N, k), (k + 1) / (N + 2)


@dataclass(frozen=True)
class HashRule:
    """What :func:`shortest_hash` found: the index, its code length log2(index + 1) in bits, its density in [0, 1]."""

    index: int
    density: float

    def __post_init__(self):
        object.__setattr__(self, "index", whole("index", self.index, at_least=0))
        object.__setattr__(self, "density", number("density", self.density, at_least=0.0, at_most=1.0))

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
        seed: which list.
        limit: give up after so many tables.

    Raises:
        RuntimeError: no table below `limit` fits.
    """
    tensor("flips", flips, shape=("N",), dtype=torch.bool)
    seed, limit = checked_seed("seed", seed), whole("limit", limit, at_least=1)
    order = torch.argsort(flips.to(torch.int64), descending=True, stable=True).tolist()  # flips first: fewest survive
    wanted, block = flips.tolist(), 2**18
    for start in range(0, limit, block):
        alive = np.arange(start, min(start + block, limit), dtype=np.uint64)
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
    the mean of the logarithm of such a variable is log2(1/P) minus Euler's constant over ln 2. That is for small P:
    with no points the formula gives -0.83 bits where the price is 0.
    """
    N = whole("N", N, at_least=0)
    k = whole("k", k, at_least=0, at_most=N)
    q = torch.arange(1, 9, dtype=torch.float64) / 16
    fit = torch.xlogy(k, q) + torch.xlogy(N - k, 1 - q)  # logarithms: for many points the numbers are too small
    bits = (math.log(len(q)) - float(torch.logsumexp(fit, 0)) - np.euler_gamma) / math.log(2)
    return bits, float(torch.softmax(fit, 0) @ q)


# --- networks, exactly ----------------------------------------------------------------------------------------------


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


def repeat_probability(points: int, N: int) -> float:
    """Probability that N uniform draws from `points` points, with repetition, hit some point twice. N additions."""
    points, N = whole("points", points, at_least=1), whole("N", N, at_least=0)
    return 1.0 if points < N else -math.expm1(sum(math.log1p(-i / points) for i in range(N)))
