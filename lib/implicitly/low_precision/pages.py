"""What explorers of low-bit-accumulators and fp4-training compute, in JupyterLab and in the page."""

import math

import numpy as np

from implicitly_kernels._rng_numba import F32, U32, bits_of_float, float_of_bits, normal_pair, philox
from implicitly_kernels.lba_gemm._numba_rounding import quantize
from implicitly_kernels.nvfp4._numba import e4m3, e8m0, steps_at

from ..explorer import page_function

__all__ = ["MOST", "add_ones", "add_up", "in_block"]

MOST = 2**20  # terms
COUNTS = 81  # places at which the sum is shown: four to each doubling
_QUARTER = (1.0, 2**0.25, 2**0.5, 2**0.75)

SCALE_KINDS = ("exact", "e4m3 nearest", "e4m3 up", "e8m0 floor", "e8m0 up")  # of `BlockFormat`
ROWS, COLUMNS = 64, 128  # of the numbers; one outlier a row
SIZES = (2, 4, 8, 16, 32, 64, 128)  # of the blocks whose errors are drawn
THROWS = 100  # of the coin for the number that the reader picks
WIDE, HIGH = 6.0, 8.0  # what the picture of the block has room for
SPACING, GRADIENTS, EVERY = 0.5, 1000, 10


@page_function(
    {"n": int, "M": int, "C": int},
    {"count": COUNTS, "exact": COUNTS, "kept": COUNTS, "end": (1, 2), "share": 1, "chain": 1},
    tolerance=0,
)
def add_ones(
    n: int, M: int, C: int, count: np.ndarray, exact: np.ndarray, kept: np.ndarray, end: np.ndarray, share: np.ndarray,
    chain: np.ndarray,
) -> None:  # fmt: skip
    """The sum of n ones, 1 <= n <= `MOST`, by a float of M bits of mantissa: cut, in chunks of C, without limits.

    count, exact, kept: 1, about 2**(1/4), ... terms, up to n, and their sums, then NaN. end: n and its sum.
    share: what was kept of it. chain: additions in a row.
    """
    drop = np.uint64(52 - M)
    mask = ~((np.uint64(1) << drop) - np.uint64(1))
    for k in range(COUNTS):
        count[k] = exact[k] = kept[k] = math.nan
    total, chunk, k, wanted = 0.0, 0.0, 0, 1.0
    for done in range(1, n + 1):
        chunk = quantize(chunk + 1.0, mask, drop, math.inf, 0.0, False, False)
        if done == wanted or done == n:  # noqa: SIM109 - a tuple of two types costs the loop its speed
            now = quantize(total + chunk, mask, drop, math.inf, 0.0, False, False)
            while k < COUNTS and wanted <= done:
                count[k] = exact[k] = wanted
                kept[k] = now
                k += 1
                wanted = np.rint(_QUARTER[k % 4] * (1 << (k // 4)))
            end[0, 1] = now
        if done % C == 0:
            total, chunk = quantize(total + chunk, mask, drop, math.inf, 0.0, False, False), 0.0
    end[0, 0] = n
    share[0] = end[0, 1] / n
    chain[0] = min(C, n) + (n + C - 1) // C


def throw(seed: int, i: int, draw: int) -> np.uint32:
    """Uniform word of 32 bits for element i: word i mod 4 of counter i // 4, the law of the op `nvfp4`."""
    a, b, c, d = philox(U32(seed), U32(0), U32(i // 4), U32(0), U32(0), U32(draw))
    word = a if i % 4 == 0 else (b if i % 4 == 1 else c)
    return d if i % 4 == 3 else word


@page_function(
    {"rounding": ("nearest", "coin"), "gradient": float, "seed": int},
    {"n": GRADIENTS // EVERY + 1, "kept": GRADIENTS // EVERY + 1, "true": GRADIENTS // EVERY + 1, "left": 2},
    tolerance=0,
)
def add_up(
    rounding: int, gradient: float, seed: int, n: np.ndarray, kept: np.ndarray, true: np.ndarray, left: np.ndarray
) -> None:
    """Sums of the first 0, 10, ..., 1000 gradients, each rounded to a multiple of 0.5 (`round_to_grid`) before."""
    parts = gradient / SPACING
    low = np.floor(parts)
    way = parts - low
    odd = low - 2 * np.floor(low / 2) == 1
    for i in range(GRADIENTS):
        up = way > 0.5 or (way == 0.5 and odd)
        if rounding == 1:
            up = way > np.float64(throw(seed, i, 0) >> U32(8)) * 2.0**-24
        left[0] += (low + (1 if up else 0)) * SPACING
        left[1] += gradient
        if (i + 1) % EVERY == 0:
            at = (i + 1) // EVERY
            n[at], kept[at], true[at] = i + 1, left[0], gradient * (i + 1)


def block_scale(kind: int, bits: np.uint32, tensor_scale: np.float32) -> np.float32:
    """Scale of a block whose largest magnitude has these bits; see `BlockFormat.scales`."""
    if kind == 0:
        return float_of_bits(bits) / F32(6)
    if kind == 1:
        return e4m3(float_of_bits(bits) / (F32(6) * tensor_scale), False)[1] * tensor_scale
    if kind == 2:
        return e4m3(float_of_bits(bits) / (F32(6) * tensor_scale), True)[1] * tensor_scale
    if bits == U32(0):
        return F32(0)
    return e8m0(bits, kind == 4)[1]


def largest_bits(row: np.ndarray, start: int, end: int) -> np.uint32:
    """Bits of the largest magnitude of row[start:end], numbers that float32 holds."""
    most = U32(0)
    for j in range(start, end):
        bits = U32(bits_of_float(F32(row[j])) & U32(0x7FFFFFFF))
        most = bits if bits > most else most
    return most


def neighbours_error(numbers: np.ndarray, kind: int, size: int, tensor_scale: np.float32) -> float:
    """Squared error of all numbers but each row's first, rounded to nearest in blocks, over their square."""
    missed = square = 0.0
    for r in range(ROWS):
        row = numbers[r]
        for start in range(0, COLUMNS, size):
            end = min(start + size, COLUMNS)
            scale = block_scale(kind, largest_bits(row, start, end), tensor_scale)
            divisor = F32(np.inf) if scale == F32(0) else scale
            for j in range(max(start, 1), end):
                whole, step = steps_at(bits_of_float(F32(row[j])), divisor, False, U32(0))
                miss = np.float64(F32(whole * step * scale)) - abs(row[j])
                missed += miss * miss
                square += row[j] * row[j]
    return missed / square


@page_function(
    {"kind": SCALE_KINDS, "block": int, "outlier": float, "number": float, "seed": int},
    {"x": 16, "steps": 16, "span": 3, "mean": 3, "picked": (), "inside": (COLUMNS, 2), "coin": (2, 2), "here": 3,
     "scale": (), "low": (), "high": (), "b": len(SIZES), "cost": len(SIZES), "dot": (1, 2)},
    work={"numbers": (ROWS, COLUMNS)},
    tolerance=0,
)  # fmt: skip
def in_block(
    kind: int, block: int, outlier: float, number: float, seed: int, x: np.ndarray, steps: np.ndarray, span: np.ndarray,
    mean: np.ndarray, picked: np.ndarray, inside: np.ndarray, coin: np.ndarray, here: np.ndarray, scale: np.ndarray,
    low: np.ndarray, high: np.ndarray, b: np.ndarray, cost: np.ndarray, dot: np.ndarray, numbers: np.ndarray,
) -> None:  # fmt: skip
    """What a block makes of its numbers and of one more, and what each block size costs an outlier's neighbours.

    64 rows of 128 normal numbers; in each the first is an outlier, `outlier` times the row's largest magnitude. The
    block is the first of the first row; `number` is rounded on its grid and does not change its scale.
    Numbers 4 c to 4 c + 3 are the two normal pairs of counter c of draw 0; the coin throws by draw 1.
    """
    block = min(max(block, 1), COLUMNS)
    top = U32(0)
    for r in range(ROWS):
        row = numbers[r]
        for c in range(COLUMNS // 4):
            words = philox(U32(seed), U32(0), U32(r * (COLUMNS // 4) + c), U32(0), U32(0), U32(0))
            first, second = normal_pair(words[0], words[1])
            third, fourth = normal_pair(words[2], words[3])
            row[4 * c], row[4 * c + 1], row[4 * c + 2], row[4 * c + 3] = first, second, third, fourth
        row[0] = np.float64(float_of_bits(largest_bits(row, 0, COLUMNS)) * F32(outlier))
        most = largest_bits(row, 0, COLUMNS)
        top = most if most > top else top
    tensor_scale = float_of_bits(top) / F32(2688)

    for k in range(len(SIZES)):
        b[k] = SIZES[k]
        cost[k] = neighbours_error(numbers, kind, SIZES[k], tensor_scale)
    here[0] = neighbours_error(numbers, kind, block, tensor_scale)
    dot[0, 0], dot[0, 1] = block, here[0]

    s = block_scale(kind, largest_bits(numbers[0], 0, block), tensor_scale)
    divisor = F32(np.inf) if s == F32(0) else s
    scale[0] = s
    for j in range(COLUMNS):
        size = abs(numbers[0, j])
        whole, step = steps_at(bits_of_float(F32(size)), divisor, False, U32(0))
        shown = j < block and size <= WIDE
        inside[j, 0] = size if shown else np.nan
        inside[j, 1] = F32(whole * step * s) if shown else np.nan

    # The staircase jumps between neighbours of the grid; both lines are drawn for numbers up to 6.
    for k in range(8):
        level = k / 2 if k < 5 else (3.0 if k == 5 else (4.0 if k == 6 else 6.0))
        after = (k + 1) / 2 if k < 4 else (3.0 if k == 4 else (4.0 if k == 5 else 6.0))
        end = (level + after) / 2 * s if k < 7 else WIDE
        x[2 * k + 1] = min(end, WIDE)
        if k < 7:
            x[2 * k + 2] = min(end, WIDE)
        begin = x[2 * k]
        height = level * s if k == 0 or begin < WIDE else steps[2 * k - 1]
        steps[2 * k] = steps[2 * k + 1] = height
    span[1], span[2] = min(6.0 * s, WIDE), WIDE
    mean[1] = mean[2] = span[1]

    bits = bits_of_float(F32(abs(number)))
    size = float_of_bits(bits) / divisor
    size = F32(6) if size > F32(6) else size
    step = F32(0.5) if size < F32(2) else (F32(1) if size < F32(4) else F32(2))
    under = np.floor(size / step)
    way = size / step - under
    low[0], high[0] = under * step * s, (under + (F32(1) if way > F32(0) else F32(0))) * step * s
    here[1] = way
    for i in range(THROWS):
        here[2] += 1.0 if steps_at(bits, divisor, True, throw(seed, i, 1))[0] > under else 0.0
    here[2] /= THROWS
    picked[0] = coin[0, 0] = coin[1, 0] = abs(number)
    coin[0, 1] = low[0] if low[0] <= HIGH else np.nan
    coin[1, 1] = high[0] if high[0] <= HIGH else np.nan
