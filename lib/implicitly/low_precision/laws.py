"""What is known of truncated sums: where they stop, how they grow, what an addition loses, how long chunks should be.

Chapter `low-bit-accumulators`, C1 to C3. Sums of terms of one sign; M bits of mantissa, truncation, no overflow unless
said. Bad arguments raise TypeError or ValueError.
"""

import math

from .._validate import number, whole

__all__ = [
    "adder_cells",
    "best_chunk",
    "fraction_limit",
    "growth",
    "least_kept",
    "mean_loss",
    "mean_loss_limit",
    "sequential_additions",
    "stagnation",
]


def stagnation(mantissa: int, chunk: int = 1, largest: float = math.inf) -> float:
    """Where a sum of ones stops, C1: ``min(2^(M + 1 + floor(log2 C)), largest)``.

    Exact for 1 <= C <= 2^(M + 1), formats in which 1 is a number, and whole chunks with twice as many ones: where C is
    no power of two, late chunks lose up to half of theirs.

    >>> stagnation(7), stagnation(7, 16), stagnation(2, 3)
    (256.0, 4096.0, 16.0)
    """
    mantissa = whole("mantissa", mantissa, at_least=1, at_most=50)
    chunk = whole("chunk", chunk, at_least=1, at_most=2 ** (mantissa + 1))
    if largest != math.inf:
        largest = number("largest", largest, above=0.0)
    return min(2.0 ** (mantissa + chunk.bit_length()), largest)


def fraction_limit(mantissa: int) -> float:
    """What no sum of terms in [0, 1) exceeds that is added up without chunks, C1: ``2^M``, where a unit is 1."""
    return 2.0 ** whole("mantissa", mantissa, at_least=1, at_most=50)


def growth(mantissa: int, mean: float, terms: int, support: float = 1.0) -> float:
    """The expected sum of `terms` independent positive terms, without chunks, C2.

    In ``[2^e, 2^(e+1))`` an addition loses half a unit, ``2^(e-M-1)``, on average: ``ds/dn = mean - 2^(e-M-1)``. The
    sum stops where that is 0, and where a unit reaches `support`, which no term does. A continuous n, and a loss that
    is uniform within a unit, are approximations: within 2 per cent for uniform terms, M from 5 to 10
    and n from 64. Terms that spread over few units, such as exponential ones at M = 5, go on where it stops.

    Args:
        mantissa: M, from 1 to 50.
        mean: of a term, above 0. support: no term reaches it, at least `mean`.
        terms: n, at least 0.

    >>> round(growth(7, 0.5, 256) / 128 - 1, 3)
    -0.303
    """
    mantissa, terms = whole("mantissa", mantissa, at_least=1, at_most=50), whole("terms", terms, at_least=0)
    mean = number("mean", mean, above=0.0)
    support = number("support", support, at_least=mean)
    e = math.frexp(mean)[1]  # the first binade above the mean: below it hardly anything is lost
    start = math.ldexp(1.0, e)
    if terms * mean <= start:
        return terms * mean
    s, left = start, terms - start / mean
    while left > 0 and math.ldexp(1.0, e - mantissa) < support:
        rate = mean - math.ldexp(1.0, e - mantissa - 1)
        if rate <= 0:
            break
        steps = s / rate  # across [2^e, 2^(e + 1))
        if steps >= left:
            return s + left * rate
        s, left, e = 2 * s, left - steps, e + 1
    return s


def mean_loss(mantissa: int) -> float:
    """The mean relative loss of truncating a number whose mantissa is log-uniform in [1, 2), exactly.

    With unit u = 2^-M: ``1 - sum_g u / ((g + u) ln 2)`` over the 2^M mantissas g. Near ``2^-M / (4 ln 2)`` for large M.

    >>> [round(mean_loss(M) * 2**M, 3) for M in (1, 2, 3, 7)]
    [0.317, 0.338, 0.349, 0.36]
    """
    mantissa = whole("mantissa", mantissa, at_least=1, at_most=20)
    count = 2**mantissa
    return (math.log(2) - math.fsum(1 / k for k in range(count + 1, 2 * count + 1))) / math.log(2)


def mean_loss_limit(mantissa: int) -> float:
    """``2^-M / (4 ln 2)``, C3: what `mean_loss` comes near to, above it."""
    return 2.0 ** -whole("mantissa", mantissa, at_least=1, at_most=50) / (4 * math.log(2))


def sequential_additions(terms: int, chunk: int) -> int:
    """Additions that a term of the first chunk goes through at most: those of its chunk, and the chunks, C3.

    >>> sequential_additions(4096, 16), sequential_additions(4096, 64), sequential_additions(4096, 4096)
    (272, 128, 4097)
    """
    terms, chunk = whole("terms", terms, at_least=1), whole("chunk", chunk, at_least=1)
    return min(chunk, terms) - (-terms // chunk)


def least_kept(mantissa: int, terms: int, chunk: int) -> float:
    """The share of a sum of positive terms that is kept at least, C3.

    ``1 / ((1 + 2^-M (min(C, n) - 1)) (1 + 2^-M (ceil(n / C) - 1)))``: the first addition of a chunk and that of the
    first chunk lose nothing, and each other one less than 2^-M of what the chunk, or the total, ends with. Terms are
    numbers of the format, and nothing overflows or underflows.

    >>> least_kept(1, 4, 2)
    0.4444444444444444
    """
    mantissa = whole("mantissa", mantissa, at_least=1, at_most=50)
    chunks = sequential_additions(terms, chunk) - (inside := min(chunk, terms))
    return 1 / ((1 + (inside - 1) * 2.0**-mantissa) * (1 + (chunks - 1) * 2.0**-mantissa))


def adder_cells(mantissa: int, exponent: int) -> dict[str, int]:
    """Cells of a plain floating-point adder, counted on paper: what grows with the bits, and how fast.

    Two significands of M + 1 bits are aligned and the sum is normalized, each by a shifter of one row of M + 1
    multiplexers for every bit of the distance; M + 2 full adders add; E each compare and correct the exponents. A
    multiplexer and a full adder count as one cell. Rounding to nearest, signs, limits and wires are left out: this is
    no area.

    Args:
        mantissa: M, from 1 to 52. exponent: E, from 1 to 11.

    >>> adder_cells(7, 4)
    {'align': 24, 'add': 9, 'normalize': 24, 'exponent': 8}
    """
    mantissa = whole("mantissa", mantissa, at_least=1, at_most=52)
    exponent = whole("exponent", exponent, at_least=1, at_most=11)
    shifter = (mantissa + 1) * mantissa.bit_length()  # bits of a distance from 0 to M
    return {"align": shifter, "add": mantissa + 2, "normalize": shifter, "exponent": 2 * exponent}


def best_chunk(terms: int) -> int:
    """The whole number nearest the square root of `terms` >= 1, where ``C + n/C`` is least, C3.

    >>> best_chunk(4096)
    64
    """
    terms = whole("terms", terms, at_least=1)
    root = math.isqrt(terms)
    return root + (terms - root * root > root)
