"""Random networks with quantized weights on a finite set of inputs.

A network here has one hidden layer of `width` units and answers one bit,

    f(x) = 1{ u_1(x) + ... + u_h(x) + offset > 0 },

where a *unit* is everything that belongs to one hidden neuron: incoming weights, bias, scale and outgoing
weight. Each of its parameters takes one of a few levels, and the *flat prior* draws all of them independently
and uniformly. On a finite domain a unit is one of finitely many rows of integers, so a random network is a sum
of `width` rows drawn at random (:func:`sample_nets`, :func:`truth_tables`).

Everything is integer arithmetic and exact; a net is known by (seed, index) and can be drawn again at any time.
Ties: a sum of zero answers 0. Sources: Buzaglo et al. 2024 (flat prior), Harel et al. 2024
(binary weights, thresholds, ternary scales). Used by the chapters typical-nets and tempered-overfitting.

>>> units = relu_units(cube(2))
>>> tables = truth_tables(units, sample_nets(units, 4, seed=0, count=1000))
>>> tuple(tables.shape)
(1000, 4)
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .._validate import instance, tensor, whole, wholes
from .._validate import seed as checked_seed

__all__ = [
    "Units",
    "cube",
    "nets_by_index",
    "pack_tables",
    "relu_units",
    "sample_nets",
    "threshold_units",
    "truth_tables",
    "unpack_tables",
]

BLOCK = 4096  # nets drawn from one counter: net i is row i % BLOCK of the stream keyed by (seed, i // BLOCK)
CHUNK = 8 * BLOCK  # nets looked at together: small enough that their tables stay in the cache
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def cube(d: int) -> Tensor:
    """The corners of the cube {-1, 1}^d: int64, shape (2**d, d). Bit i of the row number says whether x_i is +1.

    d: 1 to 20.

    >>> cube(2).tolist()
    [[-1, -1], [1, -1], [-1, 1], [1, 1]]
    """
    d = whole("d", d, at_least=1, at_most=20)
    return 2 * (torch.arange(2**d)[:, None] >> torch.arange(d) & 1) - 1


@dataclass(frozen=True, eq=False)
class Units:
    """All settings of one unit's parameters, and what each of them answers on the domain.

    Attributes:
        values: int64 (K, P), the distinct answers of a unit on the P points of the domain.
        row: int64 (T,), the row of `values` that setting t of the parameters gives.
        names: name of each parameter, in the order of `levels`.
        levels: the levels of each parameter. Setting t is the mixed-radix number whose first digit moves slowest.

    Raises:
        TypeError, ValueError: a tensor of another kind, or attributes that do not belong together.
    """

    values: Tensor
    row: Tensor
    names: tuple[str, ...]
    levels: tuple[tuple[int, ...], ...]
    _floats: tuple[Tensor, int] = field(init=False, repr=False)  # `values` in float32, and the largest of them in size

    def __post_init__(self):
        tensor("values", self.values, shape=("rows", "points"), dtype=torch.int64)
        tensor("row", self.row, shape=("settings",), dtype=torch.int64)
        if not isinstance(self.names, tuple | list) or not all(isinstance(name, str) for name in self.names):
            raise TypeError(f"names must be a tuple of names, found {self.names!r}")
        if not isinstance(self.levels, tuple | list) or len(self.levels) != len(self.names) or not self.names:
            raise ValueError(f"names and levels must name the same parameters, found {self.names!r}, {self.levels!r}")
        object.__setattr__(self, "names", tuple(self.names))
        levels = tuple(wholes(f"levels[{i}]", level) for i, level in enumerate(self.levels))
        object.__setattr__(self, "levels", levels)
        settings = math.prod(map(len, levels))
        if self.row.numel() != settings:
            raise ValueError(f"row must have an entry for each of {settings} settings, found {self.row.numel()}")
        if 0 in self.values.shape:
            raise ValueError(f"values must have at least one row and one point, found {tuple(self.values.shape)}")
        used = torch.unique(self.row)
        if not torch.equal(used, torch.arange(len(self.values))):
            found = f"{len(used)} numbers from {used[0]} to {used[-1]}"
            raise ValueError(f"row must name each of the {len(self.values)} rows of values, found {found}")
        object.__setattr__(self, "_floats", (self.values.to(torch.float32), _largest(self.values)))

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
        """The parameters themselves: int64 (..., number of parameters) for settings, int64 (...) in 0..T - 1."""
        tensor("settings", settings, dtype=torch.int64, at_least=0, at_most=self.settings - 1)
        shape = tuple(len(level) for level in self.levels)
        digits = np.unravel_index(np.asarray(settings), shape)
        pairs = zip(self.levels, digits, strict=True)
        return torch.stack([torch.tensor(level)[torch.as_tensor(digit)] for level, digit in pairs], -1)


def _domain(X: Tensor) -> Tensor:
    """`X` as int64, after checking that it is an integer tensor (P, d) with points and inputs."""
    tensor("X", X, shape=("points", "inputs"), dtype=INTEGERS)
    if 0 in X.shape:
        raise ValueError(f"X must have at least one point and one input, found shape {tuple(X.shape)}")
    return X.to(torch.int64)


def _places(name: str, value: Tensor, points: int, shape: tuple[int | str, ...], *, distinct: bool = False) -> Tensor:
    """`value`, after checking that it holds points of a domain, int64; `distinct`: no point twice in a data set."""
    tensor(name, value, shape=shape, dtype=torch.int64, at_least=0, at_most=points - 1)
    if distinct and bool((value.sort(-1).values.diff(dim=-1) == 0).any()):
        raise ValueError(f"{name} must hold distinct points in each data set, found one twice")
    return value


def _levels(name: str, levels) -> tuple[int, ...]:
    levels = wholes(name, levels, at_least=-(2**31), at_most=2**31)
    if len(set(levels)) < len(levels):
        raise ValueError(f"{name} must be distinct whole numbers, found {levels!r}")
    return levels


def _largest(values) -> int:
    values = torch.as_tensor(values)
    return max(int(values.max()), -int(values.min()))


def _fits(reach: int) -> None:
    if reach >= 2**62:
        raise ValueError(f"X, levels and scales must allow sums below 2**62, found that they reach {reach}")


def _units(X: Tensor, names, levels, answer) -> Units:
    """Tabulate `answer(parameters (T, k)) -> (T, P)` over all settings and keep the distinct rows."""
    total = math.prod(len(level) for level in levels)
    if total > 2_000_000:
        raise ValueError(
            f"X, levels, scales and thresholds must allow at most 2000000 settings of a unit, found {total}"
        )
    parameters = torch.tensor(list(itertools.product(*levels)))
    values, row = torch.unique(answer(parameters), dim=0, return_inverse=True)
    return Units(values, row, tuple(names), tuple(levels))


def relu_units(X: Tensor, *, levels: Sequence[int] = (-1, 0, 1), scales: Sequence[int] | None = None) -> Units:
    """Units v * s * relu(w . x + b) of a network with quantized weights on the points `X`.

    Args:
        X: integer tensor (P, d), the domain, with P and d at least 1.
        levels: levels of each of the d weights w, the bias b and the outgoing weight v; distinct whole numbers.
        scales: levels of the neuron's scale s. None: no scale (a fully connected net, FC); with a scale it is a
            scaled-neuron net (SFC).

    Returns:
        The :class:`Units`; parameters in the order w_1..w_d, b, v and, where there is one, s.
    """
    X, levels = _domain(X), _levels("levels", levels)
    d = X.shape[1]
    names = [f"w{i + 1}" for i in range(d)] + ["b", "v"]
    ranges = [levels] * (d + 2)
    if scales is not None:
        scales = _levels("scales", scales)
        names, ranges = [*names, "s"], [*ranges, scales]
    most = _largest(levels)
    _fits(most * _largest(scales or (1,)) * most * (d * _largest(X) + 1))

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
        X: integer tensor (P, d), the domain, with P and d at least 1.
        levels: levels of each of the d weights w; distinct whole numbers.
        thresholds: levels of the threshold c. None: -d+2, -d+4, ..., d, which on the cube {-1, 1}^d with weights
            -1 and 1 gives every non-constant answer once; for d = 1 there is one level, 1.
        scales: levels of the neuron's ternary scale s, which is also its outgoing weight.

    Returns:
        The :class:`Units`; parameters in the order w_1..w_d, c, s.
    """
    X, levels = _domain(X), _levels("levels", levels)
    d = X.shape[1]
    thresholds = _levels("thresholds", range(-d + 2, d + 1, 2) if thresholds is None else thresholds)
    scales = _levels("scales", scales)
    _fits(d * _largest(levels) * _largest(X))

    def answer(p):
        return (p[:, :d] @ X.T >= p[:, d, None]) * p[:, d + 1, None]

    return _units(X, [f"w{i + 1}" for i in range(d)] + ["c", "s"], [levels] * d + [thresholds, scales], answer)


def sample_nets(units: Units, width: int, *, seed: int, count: int, start: int = 0) -> Tensor:
    """Networks number `start` to `start + count` of the flat prior: the settings of their units, int64 (count, width).

    Net i depends on (units.settings, width, seed, i) alone, so a net is stored as its index and drawn again when
    needed. Random bits: numpy's Philox counter generator, keyed by (seed, i // 4096); integers by rejection, so
    exactly uniform.
    """
    instance("units", units, Units)
    width, seed = whole("width", width, at_least=1), checked_seed("seed", seed)
    count, start = whole("count", count, at_least=0), whole("start", start, at_least=0)
    drawn = []
    for block in range(start // BLOCK, -(-(start + count) // BLOCK)):
        stream = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, block])))
        drawn.append(stream.integers(0, units.settings, size=(BLOCK, width), dtype=np.uint32))
    if not drawn:
        return torch.empty(0, width, dtype=torch.int64)
    skip = start % BLOCK
    return torch.from_numpy(np.concatenate(drawn)[skip : skip + count].astype(np.int64))


def nets_by_index(units: Units, width: int, indices: Tensor, *, seed: int) -> Tensor:
    """The networks with these numbers, int64 (n,), drawn again: settings of their units, int64 (n, width)."""
    instance("units", units, Units)
    width, seed = whole("width", width, at_least=1), checked_seed("seed", seed)
    tensor("indices", indices, shape=("n",), dtype=torch.int64, at_least=0)
    out = torch.empty(len(indices), width, dtype=torch.int64)
    for block in torch.unique(indices // BLOCK).tolist():
        here = indices // BLOCK == block
        nets = sample_nets(units, width, seed=seed, start=block * BLOCK, count=BLOCK)
        out[here] = nets[indices[here] % BLOCK]
    return out


def truth_tables(units: Units, nets: Tensor, *, offset: int = 0) -> Tensor:
    """What each net answers on the domain: bool (B, P) for settings `nets`, int64 (B, width). A sum of zero answers 0.

    Sums are whole numbers below 2**24, and so is `offset`.
    """
    instance("units", units, Units)
    tensor("nets", nets, shape=("nets", "width"), dtype=torch.int64, at_least=0, at_most=units.settings - 1)
    offset = whole("offset", offset)
    values, largest = units._floats
    reach = nets.shape[1] * largest + abs(offset)
    if reach >= 2**24:
        raise ValueError(f"units, nets and offset must keep sums below 2**24, exact in float32, found up to {reach}")
    # embedding_bag sums rows of a table: exact here, since float32 holds these integers.
    rows = units.row.index_select(0, nets.flatten()).view(nets.shape)  # half the time of units.row[nets]
    sums = F.embedding_bag(rows, values, mode="sum")
    return sums > -offset


def pack_tables(tables: Tensor) -> Tensor:
    """Truth tables as whole numbers: bit p is the answer at point p. bool (..., P) -> int64 (...), P from 1 to 62."""
    tensor("tables", tables, dtype=torch.bool)
    if tables.ndim == 0 or not 1 <= tables.shape[-1] <= 62:
        raise ValueError(f"tables must have 1 to 62 points (the last axis) to fit a word, found {tuple(tables.shape)}")
    return (tables.to(torch.int64) << torch.arange(tables.shape[-1])).sum(-1)


def unpack_tables(words: Tensor, points: int) -> Tensor:
    """The inverse of :func:`pack_tables`: int64 (...), each in 0..2**points - 1 -> bool (..., points)."""
    points = whole("points", points, at_least=1, at_most=62)
    tensor("words", words, dtype=torch.int64, at_least=0)
    if words.numel() and int(words.max()) >> points:
        raise ValueError(f"words must be below 2**points = {2**points}, found {int(words.max())}")
    return (words[..., None] >> torch.arange(points) & 1).to(torch.bool)
