"""What the opening of typical-nets computes, in JupyterLab and in the page: how many examples a width needs."""

import math

import numpy as np

from implicitly_kernels._rng_numba import philox

from ..explorer import page_function, progress

__all__ = ["first_fit"]

INPUTS, POINTS, TABLES = 4, 16, 2**16
SETTINGS = 2 * 3 ** (INPUTS + 2)  # of a unit of `relu_units(cube(4), scales=(0, 1))`, equally likely
REACH = INPUTS + 1  # a unit's answer lies between -REACH and REACH
PER, BITS = 4, 13  # points in one number, and the bits of each: sums of fewer than 2**13
WIDEST, SIZES = 800, 65
RULES = (0xCCCC & 0xAAAA, 0xAAAA, 0xE8E8)  # bit x is the answer at row x of `cube(4)`
HALVES = (0x5555, 0x3333, 0x0F0F, 0x00FF)  # points where input i is -1
LEVEL = 0.05
Z = np.uint32(0)


@page_function(
    {"teacher": ("AND", "one input", "majority of 3"), "h": int, "guesses": int, "seed": int},
    {"n": SIZES, "error": SIZES, "narrow": SIZES, "blind": SIZES, "counts": 3, "needed": (), "lucky": ()},
    work={
        "units": (SETTINGS, POINTS // PER), "law": TABLES, "spare": TABLES, "mass": TABLES, "wrong": TABLES,
        "mean": POINTS + 1, "distinct": (2, POINTS + 1),
    },
    tolerance=0,
    slow=True,
)  # fmt: skip
def first_fit(
    teacher: int, h: int, guesses: int, seed: int, n: np.ndarray, error: np.ndarray, narrow: np.ndarray,
    blind: np.ndarray, counts: np.ndarray, needed: np.ndarray, lucky: np.ndarray, units: np.ndarray, law: np.ndarray,
    spare: np.ndarray, mass: np.ndarray, wrong: np.ndarray, mean: np.ndarray, distinct: np.ndarray,
) -> None:  # fmt: skip
    """Mean error of random networks of h neurons that fit N examples, on 16 points; of 2 neurons; of knowing nothing.

    The networks of `relu_units(cube(4), scales=(0, 1))`, the mean of `learning_curve`, for the law that `guesses`
    networks give when each counts with its mirror images. Word j of element g of the kernels' counter-based generator
    is the setting of neuron j of network g.

    counts: examples until the error is 5 per cent: knowing nothing, 2 neurons, h neurons. lucky: how many of the
    networks of h neurons compute the rule or a mirror image of it.
    """
    rule, h, guesses = RULES[teacher], min(max(h, 1), WIDEST), max(guesses, 1)
    _build_units(units)
    for size in range(SIZES):
        n[size] = size
        blind[size] = 0.5 * (1 - 1 / POINTS) ** size
    _draw_law(law, spare, units, 2, guesses, seed, 0)
    _curve(narrow, law, mass, wrong, mean, distinct, rule)
    for table in range(TABLES):
        law[table] = 0.0
    _draw_law(law, spare, units, h, guesses, seed, guesses)
    _curve(error, law, mass, wrong, mean, distinct, rule)
    counts[0], counts[1], counts[2] = _above(blind), _above(narrow), _above(error)
    needed[0] = counts[2]
    hits = law[rule]
    for table in range(TABLES):
        law[table] = 0.0
    law[rule] = 1.0
    _with_mirrors(law, spare)
    lucky[0] = hits / law[rule]


def _build_units(units):
    """Row t: what setting t answers at the points, REACH added to each, PER of them in one number."""
    for t in range(SETTINGS):
        scale, rest = t % 2, t // 2
        sign, bias, weights = rest % 3 - 1, rest // 3 % 3 - 1, rest // 9
        for x in range(POINTS):
            inside, left = bias, weights
            for i in range(INPUTS - 1, -1, -1):
                inside += (left % 3 - 1) * (2 * (x >> i & 1) - 1)
                left //= 3
            units[t, x // PER] += float((scale * sign * max(inside, 0) + REACH) << BITS * (x % PER))


def _draw_law(law, spare, units, h, guesses, seed, before):
    """How many of the networks and of their mirror images have each truth table."""
    mask = (1 << BITS) - 1
    for g in range(guesses):
        if g % 65536 == 0:
            progress(before + g, 2 * guesses)
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        for j in range(0, h, 4):
            words = philox(np.uint32(seed), Z, np.uint32(g), Z, Z, np.uint32(j // 4))
            for q in range(min(4, h - j)):
                word = words[q]
                t = np.int64((np.uint64(word) * np.uint64(SETTINGS)) >> np.uint64(32))
                s0 += units[t, 0]
                s1 += units[t, 1]
                s2 += units[t, 2]
                s3 += units[t, 3]
        table = 0
        v0, v1, v2, v3 = np.int64(s0), np.int64(s1), np.int64(s2), np.int64(s3)
        for k in range(PER):
            table |= np.int64((v0 >> BITS * k & mask) > REACH * h) << k
            table |= np.int64((v1 >> BITS * k & mask) > REACH * h) << (k + PER)
            table |= np.int64((v2 >> BITS * k & mask) > REACH * h) << (k + 2 * PER)
            table |= np.int64((v3 >> BITS * k & mask) > REACH * h) << (k + 3 * PER)
        law[table] += 1.0
    _with_mirrors(law, spare)


def _with_mirrors(law, spare):
    """Sum over all ways to flip and to exchange inputs: flips, then the exchanges of input j with those before it."""
    for i in range(INPUTS):
        _copy(spare, law)
        for f in range(TABLES):
            law[f] += spare[(f & HALVES[i]) << (1 << i) | (f >> (1 << i) & HALVES[i])]
    for j in range(1, INPUTS):
        _copy(spare, law)
        for i in range(j):
            shift, moved = (1 << j) - (1 << i), ~HALVES[i] & HALVES[j]
            for f in range(TABLES):
                swap = (f >> shift ^ f) & moved
                law[f] += spare[f ^ swap ^ swap << shift]


def _copy(new, old):
    for k in range(new.size):
        new[k] = old[k]


def _curve(error, law, mass, wrong, mean, distinct, rule):
    """Mean error against the number of examples, NaN where no network computes the rule."""
    for k in range(TABLES):
        table = ~(k ^ rule) & (TABLES - 1)  # agrees with the rule at the points of k alone
        mass[k] = law[table]
        wrong[k] = law[table] * (1 - _ones(k) / POINTS)
    for bit in range(POINTS):  # afterwards entry k is the sum over all that agree at the points of k
        step = 1 << bit
        for k in range(TABLES):
            if k & step == 0:
                mass[k] += mass[k | step]
                wrong[k] += wrong[k | step]
    for c in range(POINTS + 1):
        mean[c], distinct[0, c], distinct[1, c] = 0.0, 0.0, 0.0
    ways = distinct[1]
    for k in range(TABLES):
        c = _ones(k)
        ways[c] += 1
        mean[c] += wrong[k] / mass[k] if mass[k] > 0 else np.nan
    for c in range(POINTS + 1):
        mean[c] /= ways[c]
    chance = distinct[0]  # of c distinct points among the examples
    chance[0] = 1.0
    for size in range(error.size):
        error[size] = 0.0
        for c in range(POINTS + 1):
            error[size] += chance[c] * mean[c]
        for c in range(POINTS, -1, -1):
            fresh = chance[c - 1] * (POINTS - c + 1) / POINTS if c > 0 else 0.0
            chance[c] = chance[c] * c / POINTS + fresh


def _ones(word):
    count = 0
    while word:
        word &= word - 1
        count += 1
    return count


def _above(error):
    """Examples until the error is at most 5 per cent; NaN where it is unknown."""
    count = 0.0
    for size in range(error.size):
        if math.isnan(error[size]):
            count = np.nan
        elif error[size] > LEVEL:
            count += 1
    return count
