"""What the opening of low-rank-gradients computes, in JupyterLab and in the page: a wheel spun many times."""

import math

import numpy as np

from implicitly_kernels._rng_numba import philox

from ..explorer import page_function

__all__ = ["wheel"]

M, MOST = 32, 1000  # directions; spins
MARKS = 100  # numbers of spins shown: each up to 32, then each later by a sixteenth
DOTS = 7  # points of an arc


@page_function(
    {"power": float, "r": int, "spins": int, "seed": int},
    {"arcs": (M, DOTS, 2), "hit": M, "hands": (M, 2, 2), "T": MARKS, "seen": MARKS, "expected": MARKS, "here": (),
     "crossing": ()},
    work={"sigma": M, "p": M, "ends": M, "count": M},
    whole=("hit",),
)  # fmt: skip
def wheel(
    power: float, r: int, spins: int, seed: int, arcs: np.ndarray, hit: np.ndarray, hands: np.ndarray, T: np.ndarray,
    seen: np.ndarray, expected: np.ndarray, here: np.ndarray, crossing: np.ndarray, sigma: np.ndarray, p: np.ndarray,
    ends: np.ndarray, count: np.ndarray,
) -> None:  # fmt: skip
    """Spins of the wheel with the best arcs for singular values ``i ** -power``, and the error of their average.

    The arcs are those of `low_rank.inclusion_probabilities`, the directions those of `low_rank.systematic_sample`; the
    first word of counter t of the kernels' generator turns the wheel at spin t. Errors are squared and over that of
    the cut; where an average is exact, `seen` has a gap. `crossing` is that of `low_rank.crossing`.
    """
    power, r, spins = min(max(power, 0.0), 4.0), min(max(r, 1), M - 1), min(max(spins, 1), MOST)
    key, zero = np.uint32(seed), np.uint32(0)
    for i in range(M):
        sigma[i] = math.exp(-power * math.log(i + 1.0))
    for i in range(M - 1, -1, -1):  # ends: sums of the tails, until the head is known
        ends[i] = sigma[i] + (ends[i + 1] if i < M - 1 else 0.0)
    head = 0
    while head < r - 1 and (r - head) * sigma[head] >= ends[head]:
        head += 1
    tail, total, once, cut = ends[head], 0.0, 0.0, 0.0
    for i in range(M):
        p[i] = 1.0 if i < head else min((r - head) * (sigma[i] / tail), 1.0)
        once += sigma[i] * sigma[i] * (1 / p[i] - 1)
        cut += sigma[i] * sigma[i] if i >= r else 0.0
        total += p[i]
        ends[i] = total
    for i in range(M):
        ends[i] = ends[i] / total * r  # the last end is r exactly: no pointer overruns
    crossing[0] = once / cut

    shown, mark = 0, 1
    for k in range(MARKS):
        T[k], seen[k], expected[k] = np.nan, np.nan, np.nan
    for t in range(1, spins + 1):
        word, _, _, _ = philox(key, zero, np.uint32(t - 1), zero, zero, zero)
        spin, at = np.float64(word) / 4294967296.0, 0
        for i in range(M):
            hit[i] = 0.0
        for j in range(r):
            while at < M - r + j and ends[at] <= spin + j:
                at += 1
            hit[at] = 1.0
            at += 1
        for i in range(M):
            count[i] += hit[i]
        if t in (mark, spins):
            here[0] = 0.0
            for i in range(M):
                off = sigma[i] * (count[i] / (t * p[i]) - 1)
                here[0] += off * off / cut
            T[shown], expected[shown] = t, once / t / cut
            seen[shown] = here[0] if here[0] > 0 else np.nan
            mark += max(mark // 16, 1)
            shown += 1
        if t == spins:
            for j in range(M):
                angle = 2 * math.pi * (spin + j) / r
                for k in range(2):
                    radius = (0.2 + 0.7 * k) if j < r else np.nan
                    hands[j, k, 0], hands[j, k, 1] = radius * math.sin(angle), radius * math.cos(angle)
    for i in range(M):
        start = ends[i - 1] if i > 0 else 0.0
        for k in range(DOTS):
            share = 0.06 + 0.88 * k / (DOTS - 1)
            angle = 2 * math.pi * (start + (ends[i] - start) * share) / r
            arcs[i, k, 0], arcs[i, k, 1] = math.sin(angle), math.cos(angle)
