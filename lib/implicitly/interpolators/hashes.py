"""An interpolator that pays the least for noise and learns nothing from it: a hash function that fits the flips.

Its price is the length in bits of the description of what it returns. Chapter tempered-overfitting.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._validate import number, tensor, whole
from .._validate import seed as checked_seed

__all__ = [
    "HashRule",
    "hash_price",
    "hash_table",
    "shortest_hash",
]


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
    z = z ^ (z >> np.uint64(30))
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def _hash_bit(index: np.ndarray, point: int | np.ndarray, seed: int) -> np.ndarray:
    """Entry `point` of random table number `index` (uint64): 1 with probability (1 + index mod 8)/16."""
    start = np.uint64((seed * 0x9E3779B97F4A7C15 + 1) % 2**64)
    key = start + np.atleast_1d(point).astype(np.uint64) * np.uint64(0xD1342543DE82EF95)
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
    wanted, block = flips.tolist(), 2**16
    for start in range(0, limit, block):
        alive = np.arange(start, min(start + block, limit), dtype=np.uint64)
        for point in order:
            alive = alive[_hash_bit(alive, point, seed) == wanted[point]]
            if not alive.size:
                break
        if alive.size:
            return HashRule(int(alive[0]), (1 + int(alive[0]) % 8) / 16)
    raise RuntimeError(f"no table among the first {limit} fits {len(wanted)} labels; raise limit")


def hash_table(index: int, points: Tensor, *, seed: int) -> Tensor:
    """Entries of random table number `index` at `points`, bool (points,): the tables that :func:`shortest_hash` tries.

    Args:
        index: 0 to 2**63 - 1. points: int64 (points,), numbers of points, 0 or more. seed: which list.

    >>> rule = shortest_hash(torch.tensor([False, True, False]), seed=0)
    >>> hash_table(rule.index, torch.arange(3), seed=0).tolist()
    [False, True, False]
    """
    index, seed = whole("index", index, at_least=0, at_most=2**63 - 1), checked_seed("seed", seed)
    tensor("points", points, shape=("points",), dtype=torch.int64, at_least=0)
    return torch.from_numpy(_hash_bit(np.array([index], dtype=np.uint64), points.numpy(), seed))


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
