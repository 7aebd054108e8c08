"""Random networks with quantized weights on a finite set of inputs, and the rules that pick one that fits.

A network here has one hidden layer of `width` units and answers one bit,

    f(x) = 1{ u_1(x) + ... + u_h(x) + offset > 0 },

where a *unit* is everything that belongs to one hidden neuron: incoming weights, bias, scale and outgoing
weight. Each of its parameters takes one of a few levels, and the *flat prior* draws all of them independently
and uniformly. On a finite domain a unit is one of finitely many rows of integers, so a random network is a sum
of `width` rows drawn at random (:func:`sample_nets`, :func:`truth_tables`), and for small networks the law of
its truth table is a convolution that can be carried out exactly (:func:`function_law`). Guess and check
(:func:`guess_and_check`) draws networks until one fits.

Everything is integer arithmetic and exact; a net is known by (seed, index) and can be drawn again at any time.
Ties: a sum of zero answers 0. Sources: Buzaglo et al. 2024 (flat prior, Guess & Check), Harel et al. 2024
(binary weights, thresholds, ternary scales). Used by the chapters typical-nets and tempered-overfitting.

>>> units = relu_units(cube(2))
>>> tables = truth_tables(units, sample_nets(units, 4, seed=0, count=1000))
>>> tuple(tables.shape)
(1000, 4)
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ._validate import whole

__all__ = [
    "FunctionLaw", "Guesses", "Units", "cube", "draw_samples", "fit_length", "function_law", "guess_and_check",
    "nets_by_index", "pack_tables", "relu_units", "sample_nets", "sampled_law", "threshold_units", "truth_tables",
    "unpack_tables",
]  # fmt: skip

BLOCK = 4096  # nets drawn from one counter: net i is row i % BLOCK of the stream keyed by (seed, i // BLOCK)
CHUNK = 8 * BLOCK  # nets looked at together: small enough that their tables stay in the cache


def cube(d: int) -> Tensor:
    """The corners of the cube {-1, 1}^d: int64, shape (2**d, d). Bit i of the row number says whether x_i is +1.

    >>> cube(2).tolist()
    [[-1, -1], [1, -1], [-1, 1], [1, 1]]
    """
    whole("d", d, at_least=1)
    if d > 20:
        raise ValueError(f"d must be at most 20 (2**d points are listed), found {d}")
    return 2 * (torch.arange(2**d)[:, None] >> torch.arange(d) & 1) - 1


@dataclass(frozen=True, eq=False)
class Units:
    """All settings of one unit's parameters, and what each of them answers on the domain.

    Attributes:
        values: int64 (K, P), the distinct answers of a unit on the P points of the domain.
        row: int64 (T,), the row of `values` that setting t of the parameters gives.
        names: name of each parameter, in the order of `levels`.
        levels: the levels of each parameter. Setting t is the mixed-radix number whose first digit moves slowest.
    """

    values: Tensor
    row: Tensor
    names: tuple[str, ...]
    levels: tuple[tuple[int, ...], ...]

    @property
    def settings(self) -> int:
        """Number T of settings of one unit's parameters, each equally likely."""
        return self.row.numel()

    @property
    def points(self) -> int:
        """Number P of points of the domain."""
        return self.values.shape[1]

    @property
    def counts(self) -> Tensor:
        """int64 (K,): how many settings give each row of `values`."""
        return torch.bincount(self.row, minlength=self.values.shape[0])

    def parameters(self, settings: Tensor) -> Tensor:
        """The parameters themselves: int64 (..., number of parameters) for settings (...)."""
        shape = tuple(len(level) for level in self.levels)
        digits = np.unravel_index(np.asarray(settings), shape)
        pairs = zip(self.levels, digits, strict=True)
        return torch.stack([torch.tensor(level)[torch.as_tensor(digit)] for level, digit in pairs], -1)


def _domain(X) -> Tensor:
    if not isinstance(X, Tensor) or X.is_floating_point() or X.dtype == torch.bool:
        found = X.dtype if isinstance(X, Tensor) else type(X).__name__
        raise TypeError(f"X must be an integer torch.Tensor, found {found}")
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"X must have shape (points, inputs), found {tuple(X.shape)}")
    return X.to(torch.int64)


def _kind(tensor: Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)}"


def _levels(name: str, levels) -> tuple[int, ...]:
    levels = tuple(levels)
    whole_numbers = all(isinstance(v, int) and not isinstance(v, bool) for v in levels)
    if not levels or not whole_numbers or len(set(levels)) < len(levels):
        raise ValueError(f"{name} must be distinct whole numbers, found {levels!r}")
    return levels


def _units(X: Tensor, names, levels, answer) -> Units:
    """Tabulate `answer(parameters (T, k)) -> (T, P)` over all settings and keep the distinct rows."""
    total = math.prod(len(level) for level in levels)
    if total > 2_000_000:
        raise ValueError(f"a unit has {total} settings of its parameters; at most 2000000 can be listed")
    parameters = torch.tensor(list(itertools.product(*levels)))
    values, row = torch.unique(answer(parameters), dim=0, return_inverse=True)
    return Units(values, row, tuple(names), tuple(levels))


def relu_units(X: Tensor, *, levels: Sequence[int] = (-1, 0, 1), scales: Sequence[int] | None = None) -> Units:
    """Units v * s * relu(w . x + b) of a network with quantized weights on the points `X`.

    Args:
        X: integer tensor (P, d), the domain.
        levels: levels of each of the d weights w, the bias b and the outgoing weight v.
        scales: levels of the neuron's scale s. None: no scale (a fully connected net, FC); with a scale it is a
            scaled-neuron net (SFC).

    Returns:
        The :class:`Units`; parameters in the order w_1..w_d, b, v and, where there is one, s.
    """
    X, levels, d = _domain(X), _levels("levels", levels), X.shape[1]
    names = [f"w{i + 1}" for i in range(d)] + ["b", "v"]
    ranges = [levels] * (d + 2)
    if scales is not None:
        names, ranges = [*names, "s"], [*ranges, _levels("scales", scales)]

    def answer(p):
        out = torch.relu(p[:, :d] @ X.T + p[:, d, None]) * p[:, d + 1, None]
        return out if scales is None else out * p[:, d + 2, None]

    return _units(X, names, ranges, answer)


def threshold_units(
    X: Tensor,
    *,
    levels: Sequence[int] = (-1, 1),
    thresholds: Sequence[int] | None = None,
    scales: Sequence[int] = (-1, 0, 1),
) -> Units:
    """Units s * 1{w . x >= c} of a network of threshold neurons, by default with binary weights.

    Args:
        X: integer tensor (P, d), the domain.
        levels: levels of each of the d weights w.
        thresholds: levels of the threshold c. None: -d+2, -d+4, ..., d, which on the cube {-1, 1}^d with weights
            -1 and 1 gives every non-constant answer once.
        scales: levels of the neuron's ternary scale s, which is also its outgoing weight.

    Returns:
        The :class:`Units`; parameters in the order w_1..w_d, c, s.
    """
    X, levels, d = _domain(X), _levels("levels", levels), X.shape[1]
    thresholds = _levels("thresholds", range(-d + 2, d + 1, 2) if thresholds is None else thresholds)
    scales = _levels("scales", scales)

    def answer(p):
        return (p[:, :d] @ X.T >= p[:, d, None]) * p[:, d + 1, None]

    return _units(X, [f"w{i + 1}" for i in range(d)] + ["c", "s"], [levels] * d + [thresholds, scales], answer)


def sample_nets(units: Units, width: int, *, seed: int, count: int, start: int = 0) -> Tensor:
    """Networks number `start` to `start + count` of the flat prior: the settings of their units, int64 (count, width).

    Net i depends on (units.settings, width, seed, i) alone, so a net is stored as its index and drawn again when
    needed. Random bits: numpy's Philox counter generator, keyed by (seed, i // 4096); integers by rejection, so
    exactly uniform.
    """
    whole("width", width, at_least=1), whole("seed", seed, at_least=0)
    whole("count", count, at_least=0), whole("start", start, at_least=0)
    drawn = []
    for block in range(start // BLOCK, -(-(start + count) // BLOCK)):
        stream = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, block])))
        drawn.append(stream.integers(0, units.settings, size=(BLOCK, width), dtype=np.uint32))
    if not drawn:
        return torch.empty(0, width, dtype=torch.int64)
    skip = start % BLOCK
    return torch.from_numpy(np.concatenate(drawn)[skip : skip + count].astype(np.int64))


def nets_by_index(units: Units, width: int, indices: Tensor, *, seed: int) -> Tensor:
    """The networks with these numbers, drawn again: settings of their units, int64 (len(indices), width)."""
    out = torch.empty(len(indices), width, dtype=torch.int64)
    for block in torch.unique(indices // BLOCK).tolist():
        here = indices // BLOCK == block
        nets = sample_nets(units, width, seed=seed, start=block * BLOCK, count=BLOCK)
        out[here] = nets[indices[here] % BLOCK]
    return out


def truth_tables(units: Units, nets: Tensor, *, offset: int = 0) -> Tensor:
    """What each net answers on the domain: bool (B, P) for settings `nets` (B, width). A sum of zero answers 0."""
    if nets.ndim != 2 or nets.dtype != torch.int64:
        raise ValueError(f"nets must be int64 of shape (nets, width), found {_kind(nets)}")
    if nets.shape[1] * int(units.values.abs().max()) + abs(offset) >= 2**24:
        raise ValueError("the sums of this network do not fit in float32's exact integers (below 2**24)")
    # embedding_bag sums rows of a table: exact here, since float32 holds these integers.
    sums = F.embedding_bag(units.row[nets], units.values.to(torch.float32), mode="sum")
    return sums > -offset


def _small(units: Units, width: int, offset: int) -> tuple[np.ndarray, np.ndarray]:
    """(values int16, row int32) for the compiled loops, after checking that no sum can overflow 16 bits."""
    reach = width * int(units.values.abs().max()) + abs(offset)
    if reach >= 2**15:
        raise ValueError(f"width and offset allow sums up to {reach}; the compiled loop holds less than 32768")
    return units.values.to(torch.int16).numpy(), units.row.to(torch.int32).numpy()


def pack_tables(tables: Tensor) -> Tensor:
    """Truth tables as whole numbers: bit p is the answer at point p. bool (..., P) -> int64 (...), P at most 62."""
    if tables.shape[-1] > 62:
        raise ValueError(f"tables must have at most 62 points to fit a word, found {tables.shape[-1]}")
    return (tables.to(torch.int64) << torch.arange(tables.shape[-1])).sum(-1)


def unpack_tables(words: Tensor, points: int) -> Tensor:
    """The inverse of :func:`pack_tables`: int64 (...) -> bool (..., points)."""
    whole("points", points, at_least=1)
    return (words[..., None] >> torch.arange(points) & 1).to(torch.bool)


@dataclass(frozen=True, eq=False)
class FunctionLaw:
    """The exact law of a random network's truth table: `counts[k]` of `total` parameter settings give `tables[k]`.

    tables: bool (F, P), every function that some network computes, each once. counts: int64 (F,). total: int.
    """

    tables: Tensor
    counts: Tensor
    total: int

    @property
    def probabilities(self) -> Tensor:
        """float64 (F,), summing to 1."""
        return self.counts.to(torch.float64) / self.total

    def bits(self, table: Tensor) -> float:
        """-log2 of the probability of one function, given as bool (P,); infinite if no network computes it."""
        hit = (self.tables == table).all(1)
        return math.log2(self.total / int(self.counts[hit])) if hit.any() else math.inf


def function_law(units: Units, width: int, *, offset: int = 0) -> FunctionLaw:
    """The law of the truth table of a random network, by enumeration of every setting of its parameters. Exact.

    The sum of `width` independent units is built up one unit at a time. A row of P integers is kept as one whole
    number in a base large enough that adding rows is adding numbers, so equal sums are merged by one sort.

    Raises:
        ValueError: the rows or the counts do not fit in 63 bits, or there are too many distinct sums to hold.
    """
    whole("width", width, at_least=1)
    reach = width * int(units.values.abs().max())
    base = 2 * reach + 1
    if units.points * math.log2(base) >= 63 or width * math.log2(units.settings) >= 63:
        raise ValueError(
            f"exact enumeration needs points * log2(base) and width * log2(settings) below 63, found "
            f"{units.points} * {math.log2(base):.1f} and {width} * {math.log2(units.settings):.1f}"
        )
    weights = base ** torch.arange(units.points)
    unit_keys, unit_counts = (units.values * weights).sum(1), units.counts
    keys, counts = unit_keys, unit_counts
    for _ in range(width - 1):
        if keys.numel() * unit_keys.numel() > 60_000_000:
            raise ValueError(f"exact enumeration would hold {keys.numel() * unit_keys.numel()} sums, at most 60000000")
        keys, where = torch.unique((keys[:, None] + unit_keys).flatten(), return_inverse=True)
        products = (counts[:, None] * unit_counts).flatten()
        counts = torch.zeros_like(keys).index_add_(0, where, products)
    # balanced digits of the key: the sums themselves, point by point
    signs, rest = [], keys
    for _ in range(units.points):
        digit = (rest + reach) % base - reach
        signs.append(digit > -offset)
        rest = (rest - digit) // base
    words, where = torch.unique(pack_tables(torch.stack(signs, -1)), return_inverse=True)
    counts = torch.zeros_like(words).index_add_(0, where, counts)
    return FunctionLaw(unpack_tables(words, units.points), counts, units.settings**width)


def sampled_law(units: Units, width: int, *, guesses: int, seed: int, offset: int = 0) -> FunctionLaw:
    """The law of the truth table estimated from `guesses` random networks, where enumeration is out of reach.

    Same result type as :func:`function_law`: `total` is `guesses`, and functions never met are missing. P at most 20.
    """
    whole("guesses", guesses, at_least=1)
    if units.points > 20:
        raise ValueError(f"units must have at most 20 points (2**P counters are kept), found {units.points}")
    from ._guess_loop import count_words  # compiled on first use

    values, row = _small(units, width, offset)
    counters = torch.zeros(2**units.points, dtype=torch.int64)
    for start in range(0, guesses, CHUNK):
        nets = sample_nets(units, width, seed=seed, start=start, count=min(CHUNK, guesses - start))
        count_words(nets.numpy(), row, values, offset, counters.numpy())
    met = torch.nonzero(counters).flatten()
    return FunctionLaw(unpack_tables(met, units.points), counters[met], guesses)


def draw_samples(points: int, size: int, *, seeds: Sequence[int], distinct: bool = False) -> Tensor:
    """Data sets as lists of points of the domain, int64 (len(seeds), size); one set per seed.

    Independent uniform draws with replacement, or without (`distinct=True`). A set of n points is the first n of
    a larger one with the same seed, so that sets are nested.
    """
    whole("points", points, at_least=1), whole("size", size, at_least=0)
    if distinct and size > points:
        raise ValueError(f"size must be at most points={points} when distinct, found {size}")
    rows = []
    for seed in seeds:
        stream = np.random.Generator(np.random.Philox(np.random.SeedSequence([whole("seed", seed, at_least=0), 2**31])))
        rows.append(stream.permutation(points)[:size] if distinct else stream.integers(0, points, size=size))
    return torch.from_numpy(np.array(rows, dtype=np.int64).reshape(len(rows), size))


@dataclass(frozen=True, eq=False)
class Guesses:
    """What a run of guess and check found, for R data sets of N ordered examples and every prefix of them.

    Attributes:
        guesses: number of networks drawn.
        histogram: int64 (R, N + 1, P + 1); entry [r, n, k] counts the guesses that fit the first n examples of set
            r and err on k of the P points of the domain (against `labels`, without noise).
        found: for each data set the indices of the first networks (at most `keep`) that fit all N examples.
    """

    guesses: int
    histogram: Tensor
    found: tuple[tuple[int, ...], ...]

    @property
    def fits(self) -> Tensor:
        """int64 (R, N + 1): guesses that fit the first n examples."""
        return self.histogram.sum(-1)

    @property
    def bits(self) -> Tensor:
        """float64 (R, N + 1): C(S) = -log2 of the share of guesses that fit; infinite (censored) where none did."""
        return math.log2(self.guesses) - torch.log2(self.fits.to(torch.float64))

    @property
    def error_levels(self) -> Tensor:
        """float64 (P + 1,): the error rates 0, 1/P, ..., 1."""
        points = self.histogram.shape[-1] - 1
        return torch.arange(points + 1, dtype=torch.float64) / points

    @property
    def errors(self) -> Tensor:
        """float64 (R, N + 1): mean error over the whole domain of the guesses that fit; NaN where none did."""
        return self.histogram.to(torch.float64) @ self.error_levels / self.fits

    @property
    def surprise(self) -> Tensor:
        """float64 (R, N + 1): mean of -log2(1 - error) over the guesses that fit; NaN where none did."""
        counts = self.histogram.to(torch.float64)
        return torch.where(counts > 0, -torch.log2(1 - self.error_levels) * counts, 0.0).sum(-1) / self.fits

    @property
    def teacher_hits(self) -> int:
        """Guesses that equal the teacher on the whole domain (the first data set's, if they differ)."""
        return int(self.histogram[0, 0, 0])


def guess_and_check(
    units: Units,
    width: int,
    labels: Tensor,
    samples: Tensor,
    *,
    guesses: int,
    seed: int,
    sample_labels: Tensor | None = None,
    offset: int = 0,
    keep: int = 8,
) -> Guesses:
    """Draw `guesses` networks from the flat prior and record, for every data set, how far each one fits.

    A guess that fits the first n examples is a draw from the posterior given those n examples (see typical-nets/C1),
    so one pass serves every data set and every n up to N.

    Args:
        units, width, offset: the network (see the module's first lines).
        labels: bool (P,), the true label of each point of the domain, or (R, P), one teacher per data set.
        samples: int64 (R, N), the points of each data set in a fixed order; repeats are allowed.
        guesses: how many networks to draw; indices 0 to guesses - 1 of `seed`.
        sample_labels: bool (R, N), the labels in the data sets where they differ from `labels` (noise).
        keep: how many interpolators of each data set to remember by index.

    Returns:
        :class:`Guesses`. Cost: guesses * width * P additions.
    """
    whole("guesses", guesses, at_least=1), whole("keep", keep, at_least=0)
    if samples.ndim != 2 or samples.dtype != torch.int64:
        raise ValueError(f"samples must be int64 of shape (sets, examples), found {_kind(samples)}")
    if samples.numel() and not 0 <= int(samples.min()) <= int(samples.max()) < units.points:
        raise ValueError(f"samples must hold points 0 to {units.points - 1}, found {samples.min()} to {samples.max()}")
    (sets, size), points = samples.shape, units.points
    if labels.dtype != torch.bool or labels.shape not in [(points,), (sets, points)]:
        raise ValueError(f"labels must be bool ({points},) or ({sets}, {points}), found {_kind(labels)}")
    labels = labels.expand(sets, points).contiguous()
    if sample_labels is None:
        sample_labels = labels.gather(1, samples)
    if sample_labels.dtype != torch.bool or sample_labels.shape != samples.shape:
        raise ValueError(f"sample_labels must be bool {tuple(samples.shape)}, found {_kind(sample_labels)}")

    from ._guess_loop import count_fits  # compiled on first use

    values, row = _small(units, width, offset)
    truths, truth_of = torch.unique(labels.to(torch.uint8), dim=0, return_inverse=True)
    joint = np.zeros((sets, size + 1, points + 1), dtype=np.int64)
    fixed = (truths.numpy(), truth_of.numpy(), samples.numpy(), sample_labels.to(torch.uint8).numpy())
    found = [[] for _ in range(sets)]
    for start in range(0, guesses, CHUNK):
        nets = sample_nets(units, width, seed=seed, start=start, count=min(CHUNK, guesses - start))
        lengths = np.empty((len(nets), sets), dtype=np.int64)
        count_fits(nets.numpy(), row, values, offset, *fixed, joint, lengths)
        for r in range(sets):
            if len(found[r]) < keep:
                found[r] += (start + np.flatnonzero(lengths[:, r] == size)).tolist()
    histogram = torch.from_numpy(joint).flip(1).cumsum(1).flip(1)
    return Guesses(guesses, histogram, tuple(tuple(indices[:keep]) for indices in found))


def fit_length(tables: Tensor, sample: Tensor, sample_labels: Tensor) -> Tensor:
    """How many examples each table fits before its first mistake: int64 (B,), from bool (B, P), int64 (N,), bool (N,).

    Only the tables still alive are looked at, so the cost is about two examples a table, not N.
    """
    length = torch.zeros(tables.shape[0], dtype=torch.int64)
    alive = torch.arange(tables.shape[0])
    for point, label in zip(sample.tolist(), sample_labels.tolist(), strict=True):
        column = tables[alive, point]
        alive = alive[column if label else ~column]
        length[alive] += 1
        if not alive.numel():
            break
    return length
