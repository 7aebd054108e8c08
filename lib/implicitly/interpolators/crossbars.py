"""A circuit that remembers labels in as few bits as a table of them has.

The table is stored as the weights between two layers and filled by solving linear equations over GF(2). It has about
log2 binom(N, N1) bits (see :func:`table_bits`).

Source: Harel et al. 2024 prove that partial functions have circuits this small; the construction here is our own
(retrieval by linear equations, as in Bloomier filters), not theirs. Chapter tempered-overfitting, claims C7 and C8.
"""

import math

import numpy as np
import torch
from torch import Tensor

from .._validate import generator as checked_generator
from .._validate import whole
from .circuits import Layer, ThresholdCircuit, _carry, _counts, _layer, _points

__all__ = [
    "crossbar_memorizer",
    "table_bits",
]

PARTS = 5  # cells looked up per point: random systems with 5 ones a row stay solvable up to 99 % full


def table_bits(zeros: int, ones: int) -> tuple[float, int]:
    """(T, r): equations the crossbar must satisfy, on average, and the number of filter planes that is best.

    T = min over r >= 0 of (r + 1) ones + 2**-r zeros, for zeros >= ones >= 1; (0, 0) without ones. Always
    T <= n H(ones / n) + 0.558 ones with n = zeros + ones (tempered-overfitting/C7).

    zeros, ones: 0 to 2**53, zeros at least ones.
    """
    zeros, ones = (whole(name, n, at_least=0, at_most=2**53) for name, n in (("zeros", zeros), ("ones", ones)))
    if zeros < ones:
        raise ValueError(f"zeros must be at least ones (negate the labels otherwise), found {zeros} and {ones}")
    if not ones:
        return 0.0, 0
    return min(((r + 1) * ones + zeros / 2**r, r) for r in range(64))


def _leaf(value: np.ndarray, leaves: int, bits: int) -> np.ndarray:
    """Which of `leaves` leaves a string of `bits` bits falls into; short leaves, which take two strings, come first."""
    short = 2**bits - leaves
    return np.where(value < 2 * short, value // 2, value - short)


def _leaf_literals(leaf: int, leaves: int, bits: int) -> list[tuple[int, int]]:
    """(position, wanted bit), the literals whose AND says that the string falls into this leaf."""
    short = 2**bits - leaves
    length = bits - 1 if leaf < short else bits
    value = leaf if leaf < short else leaf + short
    return [(j, value >> (length - 1 - j) & 1) for j in range(length)]


def _solve(equations: np.ndarray, rhs: np.ndarray, unknowns: int) -> np.ndarray | None:
    """Bits z (unknowns, planes) with z[equations].sum(1) = rhs mod 2, or None. Rows are kept as Python integers."""
    planes = rhs.shape[1]
    pivots: dict[int, int] = {}  # lowest unknown of a row -> the row, right-hand sides in the top bits
    for cells, right in zip(equations.tolist(), rhs.tolist(), strict=True):
        row = sum(int(bit) << (unknowns + p) for p, bit in enumerate(right))
        for cell in cells:
            row ^= 1 << cell
        while True:
            low = (row & -row).bit_length() - 1
            if low < 0 or low not in pivots:
                break
            row ^= pivots[low]
        if low >= unknowns:
            return None  # 0 = 1
        if low >= 0:
            pivots[low] = row
    z = np.zeros((unknowns, planes), dtype=np.int64)
    solution = [0] * planes
    for low in sorted(pivots, reverse=True):  # unknowns without a row stay 0
        row = pivots[low]
        for p in range(planes):
            value = (row >> (unknowns + p) & 1) ^ ((row & solution[p]).bit_count() & 1)
            solution[p] |= value << low
            z[low, p] = value
    return z


class _Group:
    """One lookup: `parts` cells a point, `planes` bits a cell, addresses from hash bits `first` on."""

    def __init__(self, first: int, leaves: int, planes: int, width: int):
        self.first, self.leaves, self.planes = first, leaves, planes
        self.width = width  # hash bits of each part
        self.cells = PARTS * leaves

    def addresses(self, u: np.ndarray) -> np.ndarray:
        """Cells (n, PARTS) that points with hash bits u (n, K) look up."""
        powers = 1 << np.arange(self.width)[::-1]
        parts = [u[:, self.first + p * self.width :][:, : self.width] @ powers for p in range(PARTS)]
        return np.stack([p * self.leaves + _leaf(v, self.leaves, self.width) for p, v in enumerate(parts)], 1)

    def read(self, z: np.ndarray, rows: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Bits (n, planes) that the points read from the table z (R, cells, planes)."""
        return z[rows[:, None], self.addresses(u)].sum(1) % 2

    def fill(self, rows: np.ndarray, u: np.ndarray, rhs: np.ndarray, count: int) -> np.ndarray | None:
        """A table (R, cells, planes) from which every point reads its rhs (n, planes); None if there is none."""
        where, z = self.addresses(u), np.zeros((count, self.cells, self.planes), dtype=np.int64)
        for row in range(count):
            mine = rows == row
            solution = _solve(where[mine], rhs[mine], self.cells)
            if solution is None:
                return None
            z[row] = solution
        return z


def _group(first: int, cells: float, planes: int) -> _Group:
    leaves = max(2, math.ceil(cells / PARTS))
    return _Group(first, leaves, planes, max(1, math.ceil(math.log2(leaves))))


def _best_rows(zeros: int, ones: int) -> int:
    """The power of two that makes the crossbar about smallest. Rows need 40 ones, or equations repeat."""
    total, r = table_bits(zeros, ones)

    def size(rows):
        cells = [n / rows + 2.5 * math.sqrt(n / rows) + 6 for n in (ones, total - r * ones)]
        width = r * cells[0] + cells[1]
        return (rows + 2 * PARTS * math.log2(max(cells)) + (PARTS + 1) * (r + 1)) * width

    return min((2**k for k in range(24) if ones >= 40 * 2**k or k == 0), key=size)


def crossbar_memorizer(
    X: Tensor, labels: Tensor, *, generator: torch.Generator, rows: int | None = None, taps: int = 8, tries: int = 20
) -> ThresholdCircuit:
    """A circuit for a partial function whose table costs little more than log2 binom(N, N1) weights.

    Hash bits of a point are parities of random subsets of its inputs. Some of them name a row of the table;
    others, five cells of that row, whose xor is what the point reads. *Filter*: every point with label 1 must
    read its own r-bit fingerprint; a point with label 0 does so by chance, with probability 2**-r. *Final
    plane*: those that pass the filter read their label. Both are linear equations in the table, solved row by
    row. In the circuit a neuron for each row fires if it is named; the cells are the neurons of the next
    layer, and the table is the weights between the two layers.

    Args:
        X: bool (N, d), distinct points, N and d at least 1. labels: bool (N,).
        generator: source of the hash functions.
        rows: rows of the table, a power of two, at most N. None: chosen to make the circuit small.
        taps: most inputs that a parity reads, at least 1; it reads at least half as many.
        tries: how often to draw new hash functions, each time with more cells, before giving up; 0: at once.

    Returns:
        A circuit of seven layers that is right on every listed point; `table` is the number of weights that
        hold the table.

    Raises:
        RuntimeError: no hash function worked.
    """
    _points(X, labels), checked_generator("generator", generator, device="cpu")
    rows = None if rows is None else whole("rows", rows, at_least=1, at_most=len(X))
    taps, tries = whole("taps", taps, at_least=1), whole("tries", tries, at_least=0)
    if rows is not None and rows & (rows - 1):
        raise ValueError(f"rows must be a power of two, found {rows}")
    if bool(labels.sum() * 2 > labels.numel()):
        circuit = crossbar_memorizer(X, ~labels, generator=generator, rows=rows, taps=taps, tries=tries)
        last = circuit.layers[-1]
        return ThresholdCircuit((*circuit.layers[:-1], Layer(last.weights, -last.scale, 1 - last.bias)), circuit.table)
    y, d = labels.numpy(), X.shape[1]
    ones = int(y.sum())
    r = table_bits(y.size - ones, ones)[1]
    rows = _best_rows(y.size - ones, ones) if rows is None else rows
    named = rows.bit_length() - 1
    for attempt in range(tries):
        # a little more room each time; later much more, for points that fill most of a small cube
        slack = (1.0 + 0.02 * min(attempt, 10)) * 1.2 ** max(0, attempt - 10)
        hashed = named + 3 * r + PARTS * 16  # more than enough; cut below
        sizes = torch.randint((min(taps, d) + 1) // 2, min(taps, d) + 1, (hashed, 1), generator=generator)
        subsets = torch.rand(hashed, d, dtype=torch.float32, generator=generator).argsort(1) < sizes
        u = (X.to(torch.float32) @ subsets.to(torch.float32).T % 2).to(torch.int64).numpy()
        row = u[:, :named] @ (1 << np.arange(named))
        first = named + 3 * r  # where the addresses start
        prints = u[:, named:first:3] ^ (u[:, named + 1 : first : 3] & u[:, named + 2 : first : 3])
        filter_, z, passed = None, None, np.ones_like(y)
        if r:
            load = np.bincount(row[y], minlength=rows).max()
            filter_ = _group(first, slack * load + 6, r)
            z = filter_.fill(row[y], u[y], prints[y], rows)
            if z is None:
                continue
            passed = (filter_.read(z, row, u) == prints).all(1)
        load = np.bincount(row[passed], minlength=rows).max()
        final = _group(first, slack * load + 6, 1)
        bits = final.fill(row[passed], u[passed], y[passed, None].astype(np.int64), rows)
        if bits is not None:
            used = first + PARTS * max(final.width, filter_.width if r else 0)
            return _assemble(subsets[:used].to(torch.int64), named, r, filter_, z, final, bits)
    raise RuntimeError(f"no table found in {tries} tries for {y.size} points; give fewer rows, or more tries")


def _assemble(subsets, named, r, filter_, z, final, bits) -> ThresholdCircuit:
    """The seven layers, from the hash functions and the filled tables."""
    hashed, d = subsets.shape
    parities, halves, at = [], [], 0
    for subset in subsets.tolist():
        units = [i for i, bit in enumerate(subset) if bit]
        parities += _counts(units)
        halves.append((list(range(at, at + len(units))), len(units) // 2))
        at += len(units)
    one = [(units, 1, -half) for units, half in halves]
    zero = [(units, -1, half + 1) for units, half in halves]
    layers = [_layer(parities, d), _layer(one + zero, at)]

    rows = 2**named  # row number: bit j is hash bit j
    decode = [([j if n >> j & 1 else hashed + j for j in range(named)], 1, 1 - named) for n in range(rows)]
    carried = list(range(named, hashed))
    carry = [_carry(j) for j in carried] + [_carry(hashed + j) for j in carried]
    layers.append(_layer(decode + carry, 2 * hashed))

    cells, planes = [], []
    for group, table in ((filter_, z), (final, bits)) if filter_ else ((final, bits),):
        for plane in range(group.planes):
            planes.append(list(range(len(cells), len(cells) + group.cells)))
            for cell in range(group.cells):
                part, leaf = divmod(cell, group.leaves)
                literals = _leaf_literals(leaf, group.leaves, group.width)
                wanted = [
                    rows + (group.first - named + part * group.width + j) + (0 if bit else len(carried))
                    for j, bit in literals
                ]
                cells.append((np.flatnonzero(table[:, cell, plane]).tolist() + wanted, 1, -len(literals)))
    # a fingerprint is a xor (b and c) of three hash bits: were it linear, the table would learn it and
    # let all points pass
    prints = [_carry(rows + 3 * p) for p in range(r)]
    prints += [([rows + 3 * p + 1, rows + 3 * p + 2], 1, -1) for p in range(r)]
    layers.append(_layer(cells + prints, rows + 2 * len(carried)))

    sums, parity, at = [], [], 0
    for p, units in enumerate(planes):
        units = [*units, len(cells) + p, len(cells) + r + p] if p < r else units
        most = PARTS + 2 * (p < r)  # exactly PARTS cells are looked up, so the sum is never larger
        sums += [(units, 1, 1 - j) if j % 2 else (units, -1, j) for j in range(1, most + 1)]
        mine, half = list(range(at, at + most)), most // 2
        parity.append((mine, -1, half + 1) if p < r else (mine, 1, -half))
        at += most
    layers += [_layer(sums, len(cells) + 2 * r), _layer(parity, at)]
    layers.append(_layer([(list(range(len(planes))), 1, 1 - len(planes))], len(planes)))
    return ThresholdCircuit(tuple(layers), rows * len(cells))
