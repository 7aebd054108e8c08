"""What the opening of the chapter tempered-overfitting computes, in JupyterLab and in the page: remembered flips."""

import math

import numpy as np

from implicitly_kernels._rng_numba import philox

from ..explorer import page_function, progress

__all__ = ["remember"]

INPUTS, SAMPLE, MOST = 256, 30, 7  # inputs, how many of them are the sample, the most flips
LIMIT = 2**27  # tables that are tried
U32, U64 = np.uint32, np.uint64
WEYL, POINT = U64(0x9E3779B97F4A7C15), U64(0xD1342543DE82EF95)
MIX_A, MIX_B = U64(0xBF58476D1CE4E5B9), U64(0x94D049BB133111EB)


def mix(z: np.uint64) -> np.uint64:
    """The finalizer of splitmix64, as in `hashes._mix`."""
    z = U64((z ^ (z >> U64(30))) * MIX_A)
    z = U64((z ^ (z >> U64(27))) * MIX_B)
    return z ^ (z >> U64(31))


def entry(index: np.uint64, point: int, seed: int) -> bool:
    """Entry `point` of table `index`, as in `hash_table`."""
    key = U64(U64(U64(seed) * WEYL + U64(1)) + U64(U64(point) * POINT))
    return mix(mix(U64(index + key)) ^ key) >> U64(60) < U64(1) + (index & U64(7))


def first_table(k: int, seed: int) -> int:
    """Number of the first table that marks the first k of the sample and no other of it; LIMIT if there is none."""
    for t in range(LIMIT):
        if t % 1048576 == 0 and t > 0:
            progress(t, LIMIT)
        point = 0
        while point < SAMPLE and entry(U64(t), point, seed) == (point < k):
            point += 1
        if point == SAMPLE:
            return t
    return LIMIT


@page_function(
    {"memory": ("neurons", "shortest", "coins"), "k": int, "seed": int},
    {"new": (INPUTS - SAMPLE, 2), "wrong": (INPUTS - SAMPLE, 2), "seen": (SAMPLE, 2), "flipped": (MOST, 2),
     "errors": (), "price": 3},
    work={"cell": INPUTS},
    tolerance=1e-12,
    slow=True,
)  # fmt: skip
def remember(
    memory: int, k: int, seed: int, new: np.ndarray, wrong: np.ndarray, seen: np.ndarray, flipped: np.ndarray,
    errors: np.ndarray, price: np.ndarray, cell: np.ndarray,
) -> None:  # fmt: skip
    """Three memories of the first k of 30 labels: where they mark other inputs, and the bits that they take.

    price: bits paid, what they are on average (`hash_price` for the shortest description), entropy. The place of an
    input on the grid of 8 by 32 is drawn from draw 0 of the seed, a fair coin of an input from draw 1; the list of
    tables is that of `shortest_hash` with this seed.
    """
    k = min(max(k, 0), MOST)
    for i in range(INPUTS):
        cell[i] = i
    for i in range(INPUTS - 1, 0, -1):
        word = philox(U32(seed), U32(0), U32(i), U32(0), U32(0), U32(0))[0]
        j = np.int64(word) % (i + 1)
        cell[i], cell[j] = cell[j], cell[i]

    table = first_table(k, seed) if memory == 1 else 0
    for i in range(INPUTS):
        x, y = cell[i] % 32, cell[i] // 32
        if i < SAMPLE:
            seen[i, 0], seen[i, 1] = x, y
            if i < MOST:
                flipped[i, 0] = x if i < k else np.nan
                flipped[i, 1] = y if i < k else np.nan
        else:
            bad = False
            if memory == 1:
                bad = entry(U64(table), i, seed)
            elif memory == 2:
                bad = philox(U32(seed), U32(0), U32(i), U32(0), U32(0), U32(1))[0] >> U32(31) == U32(0)
            errors[0] += 1 if bad else 0
            new[i - SAMPLE, 0], new[i - SAMPLE, 1] = x, y
            wrong[i - SAMPLE, 0] = x if bad else np.nan
            wrong[i - SAMPLE, 1] = y if bad else np.nan

    share = k / SAMPLE
    if k > 0:
        price[2] = -SAMPLE * (share * math.log(share) + (1 - share) * math.log(1 - share)) / math.log(2.0)
    if memory == 1:
        fit = 0.0
        for step in range(1, 9):
            chance = 1.0
            for i in range(SAMPLE):
                chance *= step / 16 if i < k else 1 - step / 16
            fit += chance / 8
        price[0] = math.log(table + 1.0) / math.log(2.0)
        price[1] = (-math.log(fit) - np.euler_gamma) / math.log(2.0)
    else:
        price[0] = price[1] = 8.0 * k if memory == 0 else float(SAMPLE)
