"""What the opening of the chapter low-bit-accumulators computes, in JupyterLab and in the page: a sum that stalls."""

import math

import numpy as np

from implicitly_kernels.lba_gemm._numba_words import quantize

from ..explorer import page_function

__all__ = ["MOST", "add_ones"]

MOST = 2**20  # terms
COUNTS = 81  # places at which the sum is shown: four to each doubling
_QUARTER = (1.0, 2**0.25, 2**0.5, 2**0.75)


@page_function(
    {"n": int, "M": int, "C": int},
    {"count": COUNTS, "exact": COUNTS, "kept": COUNTS, "end": (1, 2), "share": 1, "chain": 1},
    tolerance=0,
)
def add_ones(n, M, C, count, exact, kept, end, share, chain):
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
