"""The law of a random network's truth table: exact for small networks, by counting draws for others.

For small networks it is a convolution over units that can be carried out exactly. Networks are those of :mod:`.units`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._validate import instance, tensor, whole
from .._validate import seed as checked_seed
from .units import CHUNK, Units, _largest, pack_tables, sample_nets, truth_tables, unpack_tables

__all__ = [
    "FunctionLaw",
    "function_law",
    "sampled_law",
]


@dataclass(frozen=True, eq=False)
class FunctionLaw:
    """The exact law of a random network's truth table: `counts[k]` of `total` parameter settings give `tables[k]`.

    Attributes:
        tables: bool (F, P), every function that some network computes, each once; F at least 1, P from 1 to 62.
        counts: int64 (F,), positive.
        total: their sum.

    Raises:
        TypeError, ValueError: attributes of another kind, or counts that do not sum to total.
    """

    tables: Tensor
    counts: Tensor
    total: int

    def __post_init__(self):
        tensor("tables", self.tables, shape=("functions", "points"), dtype=torch.bool)
        tensor("counts", self.counts, shape=(len(self.tables),), dtype=torch.int64, at_least=1)
        object.__setattr__(self, "total", whole("total", self.total, at_least=1))
        if int(self.counts.sum()) != self.total:
            raise ValueError(f"counts must sum to total = {self.total}, found {int(self.counts.sum())}")
        if len(torch.unique(pack_tables(self.tables))) < len(self.tables):
            raise ValueError("tables must hold each function once, found one twice")

    @property
    def probabilities(self) -> Tensor:
        """float64 (F,), summing to 1."""
        return self.counts.to(torch.float64) / self.total

    def bits(self, table: Tensor) -> float:
        """-log2 of the probability of one function, given as bool (P,); infinite if no network computes it."""
        tensor("table", table, shape=(self.tables.shape[1],), dtype=torch.bool)
        hit = (self.tables == table).all(1)
        return math.log2(self.total / int(self.counts[hit])) if hit.any() else math.inf


def function_law(units: Units, width: int, *, offset: int = 0) -> FunctionLaw:
    """The law of the truth table of a random network, by enumeration of every setting of its parameters. Exact.

    The sum of `width` independent units is built up one unit at a time. A row of P integers is kept as one whole
    number in a base large enough that adding rows is adding numbers, so equal sums are merged by one sort.

    Raises:
        ValueError: the rows or the counts do not fit in 63 bits, or there are too many distinct sums to hold.
    """
    instance("units", units, Units)
    width, offset = whole("width", width, at_least=1), whole("offset", offset)
    reach = width * _largest(units.values)
    base = 2 * reach + 1
    if units.points * math.log2(base) >= 63 or width * math.log2(units.settings) >= 63:
        raise ValueError(
            f"units and width must keep points * log2(base) and width * log2(settings) below 63 for an exact "
            f"enumeration, found {units.points} * {math.log2(base):.1f} and {width} * {math.log2(units.settings):.1f}"
        )
    weights = base ** torch.arange(units.points)
    unit_keys, unit_counts = (units.values * weights).sum(1), units.counts
    keys, counts = unit_keys, unit_counts
    for _ in range(width - 1):
        if keys.numel() * unit_keys.numel() > 60_000_000:
            sums = keys.numel() * unit_keys.numel()
            raise ValueError(f"units and width must keep an exact enumeration below 60000000 sums, found {sums}")
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
    instance("units", units, Units)
    width, offset = whole("width", width, at_least=1), whole("offset", offset)
    guesses, seed = whole("guesses", guesses, at_least=1), checked_seed("seed", seed)
    if units.points > 20:
        raise ValueError(f"units must have at most 20 points (2**P counters are kept), found {units.points}")
    counters = torch.zeros(2**units.points, dtype=torch.int64)
    for start in range(0, guesses, CHUNK):
        nets = sample_nets(units, width, seed=seed, start=start, count=min(CHUNK, guesses - start))
        words = pack_tables(truth_tables(units, nets, offset=offset))
        counters += torch.bincount(words, minlength=len(counters))
    met = torch.nonzero(counters).flatten()
    return FunctionLaw(unpack_tables(met, units.points), counters[met], guesses)
