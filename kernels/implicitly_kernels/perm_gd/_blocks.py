"""A step's passes over the samples of one problem, sixteen at a time: scores, the weights of each loss, the move of W.

Arrays are flat: w [class][feature], x [feature][sample], and as [sample] `label` and `start`. A problem is padded to
whole blocks by samples with x = 0, label -1 and start inf: their margins are -inf. `start` is 0 elsewhere.
The sums have one order on every CPU.
"""

import math

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from implicitly_kernels._jit import cached_njit
from implicitly_kernels._vector import BLOCK, at_least, block, load_block, store, where

LANES = BLOCK.lanes
V = np.uint64(LANES)  # offsets: numba would look at each signed one, whether it is negative
U64 = np.uint64
ROOM = 60.0  # powers of 2 that a lane's product of all 1 + loss may grow: sixteen lanes stay below 2^1024
options = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
jit = cached_njit(**options, fastmath={"contract", "nsz"})


def _folded(combine):
    """All lanes as one number: the upper half with the lower one, until one lane is left."""
    def made(typingctx, vector):
        def code(context, builder, sig, args):
            value, lanes, word = args[0], LANES, ir.IntType(32)
            while lanes > 1:
                lanes //= 2
                halves = (ir.Constant(ir.VectorType(word, lanes), list(range(first, first + lanes)))
                          for first in (0, lanes))
                value = combine(builder, *(builder.shuffle_vector(value, value, half) for half in halves))
            return builder.extract_element(value, word(0))

        return types.float64(BLOCK), code

    return intrinsic(made)


total = _folded(lambda builder, a, b: builder.fadd(a, b))
largest = _folded(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))
#: Of numbers q >= 0 the product of all 1 + q, less 1, with the digits of a small one.
joint = _folded(lambda builder, a, b: builder.fadd(a, builder.fadd(b, builder.fmul(a, b))))


@intrinsic
def _power(typingctx, vector):
    """2^n, where the low bits of a float64 hold n + 1023."""
    def code(context, builder, sig, args):
        words = ir.VectorType(ir.IntType(64), LANES)
        moved = builder.shl(builder.bitcast(args[0], words), ir.Constant(words, [52] * LANES))
        return builder.bitcast(moved, args[0].type)

    return BLOCK(BLOCK), code


@numba.njit(inline="always")
def _exp(x):
    """`_numba.exp` of every lane."""
    x = at_least(x, -708.0)
    t = x * 1.4426950408889634 + 6755399441056767.0  # 1.5 * 2^52 + 1023
    n = t - 6755399441056767.0
    r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10
    # Even and odd powers apart: two short chains in place of a long one.
    z = r * r
    even = z * (1.0 / 479001600.0) + 1.0 / 3628800.0
    odd = z * (1.0 / 6227020800.0) + 1.0 / 39916800.0
    even = even * z + 1.0 / 40320.0
    odd = odd * z + 1.0 / 362880.0
    even = even * z + 1.0 / 720.0
    odd = odd * z + 1.0 / 5040.0
    even = even * z + 1.0 / 24.0
    odd = odd * z + 1.0 / 120.0
    even = even * z + 0.5
    odd = odd * z + 1.0 / 6.0
    p = (even + odd * r) * z + r + 1.0
    return p * _power(t)


@numba.njit(inline="always")
def _larger(a, b):
    return where(a > b, a, b)


@jit
def longest(x, width):
    """The largest squared norm of a sample."""
    largest_so_far = block(0.0)
    for o in range(U64(0), width, V):
        square = block(0.0)
        for at in range(o, U64(x.size), width):
            v = load_block(x, at)
            square = square + v * v
        largest_so_far = _larger(square, largest_so_far)
    return largest(largest_so_far)


@numba.njit(inline="always")
def _scored(s, at, score, own, right, most):
    store(s, at, score)
    return where(own, score, right), _larger(where(own, -np.inf, score), most)


@jit
def scores(w, x, d, classes, label, start, s, true, worst):
    """Scores s [class][sample], that of the own class and the largest other one; returns the largest -margin of all."""
    width = U64(label.size)
    top = block(-np.inf)
    for o in range(U64(0), width, V):
        mine, right, most = load_block(label, o), load_block(start, o), block(-np.inf)
        k = U64(0)
        while k + U64(3) <= classes:  # what is loaded of x serves three classes
            at = k * d
            v = load_block(x, o)
            s0, s1, s2 = v * w[at], v * w[at + d], v * w[at + d + d]
            for j in range(U64(1), d):
                v, i = load_block(x, j * width + o), at + j
                s0, s1, s2 = s0 + v * w[i], s1 + v * w[i + d], s2 + v * w[i + d + d]
            right, most = _scored(s, k * width + o, s0, mine == np.float64(k), right, most)
            right, most = _scored(s, (k + U64(1)) * width + o, s1, mine == np.float64(k + U64(1)), right, most)
            right, most = _scored(s, (k + U64(2)) * width + o, s2, mine == np.float64(k + U64(2)), right, most)
            k += U64(3)
        while k < classes:
            at = k * d
            score = load_block(x, o) * w[at]
            for j in range(U64(1), d):
                score = score + load_block(x, j * width + o) * w[at + j]
            right, most = _scored(s, k * width + o, score, mine == np.float64(k), right, most)
            k += U64(1)
        store(true, o, right)
        store(worst, o, most)
        top = _larger(most - right, top)
    return largest(top)


@numba.njit(inline="always")
def _pull(s, label, o, width, classes, others, share):
    """s becomes the gradient in the scores: each weight, and for the own class minus what the others have together."""
    mine, others = load_block(label, o), block(0.0) - others
    for k in range(classes):
        at = k * width + o
        store(s, at, where(mine == np.float64(k), others, load_block(s, at)) * share)


@jit
def cross_entropy(s, classes, bits, label, true, worst):
    """Weights in place of scores. Returns the risk as a part, and another of which log(1 + .) is to be added."""
    width = U64(label.size)
    room, full = ROOM, 0.0
    up, product = block(0.0), block(0.0)
    for o in range(U64(0), width, V):
        mine, right, most = load_block(label, o), load_block(true, o), load_block(worst, o)
        top = _larger(most, right)
        others, own = block(0.0), block(1.0)
        for k in range(classes):
            at = k * width + o
            e = _exp(load_block(s, at) - top)
            store(s, at, e)
            chosen = mine == np.float64(k)
            others = others + where(chosen, 0.0, e)
            own = where(chosen, e, own)
        # Summed without the own class's e, which is 1 where no margin is negative.
        loss = others + (own - 1.0)
        if room < bits:
            full, product, room = full + math.log1p(joint(product)), block(0.0), ROOM
        product, room = product + (loss + product * loss), room - bits
        up = up + at_least(most - right, 0.0)
        _pull(s, label, o, width, classes, others, 1.0 / (others + own))
    return full + total(up), joint(product)


@jit
def pairlog(s, classes, label, true):
    """The same for the sum of all log(1 + e^-u)."""
    width = U64(label.size)
    room, full = ROOM, 0.0
    up, product = block(0.0), block(0.0)
    for o in range(U64(0), width, V):
        mine, right, others = load_block(label, o), load_block(true, o), block(0.0)
        for k in range(classes):
            at = k * width + o
            chosen = mine == np.float64(k)
            v = where(chosen, -np.inf, load_block(s, at) - right)
            high = at_least(v, 0.0)
            e = where(chosen, 0.0, _exp(v - high - high))
            c = where(v > 0.0, 1.0, e) / (e + 1.0)
            store(s, at, c)
            others = others + c
            if room < 1.0:
                full, product, room = full + math.log1p(joint(product)), block(0.0), ROOM
            product, room = product + (e + product * e), room - 1.0
            up = up + high
        _pull(s, label, o, width, classes, others, block(1.0))
    return full + total(up), joint(product)


@jit
def exponential(s, classes, label, true, top):
    """Weights over exp(top) in place of scores; returns the risk over exp(top)."""
    width = U64(label.size)
    risk = block(0.0)
    for o in range(U64(0), width, V):
        mine, right, others = load_block(label, o), load_block(true, o), block(0.0)
        for k in range(classes):
            at = k * width + o
            e = _exp((load_block(s, at) - right) - top)
            store(s, at, e)
            others = others + where(mine == np.float64(k), 0.0, e)
        risk = risk + others
        _pull(s, label, o, width, classes, others, block(1.0))
    return total(risk)


@jit
def polynomial(s, classes, label, true, nearest):
    """Weights times nearest^2 in place of scores; returns the sum of their powers 3/2. nearest: the least
    1 + max(u, 0)."""
    width = U64(label.size)
    cubes = block(0.0)
    for o in range(U64(0), width, V):
        mine, right, others = load_block(label, o), load_block(true, o), block(0.0)
        for k in range(classes):
            at = k * width + o
            v = load_block(s, at) - right
            r = nearest / where(v >= 0.0, 1.0, 1.0 - v)  # NaN stays NaN
            r = where(mine == np.float64(k), 0.0, r)
            c = r * r
            store(s, at, c)
            others = others + c
            cubes = cubes + c * r
        _pull(s, label, o, width, classes, others, block(1.0))
    return total(cubes)


@jit
def polynomial_risk(s, classes, label, true):
    width = U64(label.size)
    risk = block(0.0)
    for o in range(U64(0), width, V):
        mine, right = load_block(label, o), load_block(true, o)
        for k in range(classes):
            v = load_block(s, k * width + o) - right
            loss = where(v >= 0.0, 1.0 + v, 1.0 / where(v >= 0.0, 1.0, 1.0 - v))
            risk = risk + where(mine == np.float64(k), 0.0, loss)
    return total(risk)


@jit
def move(w, x, d, classes, s, width, step):
    """w less step times the gradient, of which s is the part in the scores."""
    k = U64(0)
    while k + U64(3) <= classes:
        for j in range(d):
            g0 = g1 = g2 = block(0.0)
            for o in range(U64(0), width, V):
                v, at = load_block(x, j * width + o), k * width + o
                g0 = g0 + v * load_block(s, at)
                g1 = g1 + v * load_block(s, at + width)
                g2 = g2 + v * load_block(s, at + width + width)
            at = k * d + j
            w[at] -= step * total(g0)
            w[at + d] -= step * total(g1)
            w[at + d + d] -= step * total(g2)
        k += U64(3)
    while k < classes:
        for j in range(d):
            g = block(0.0)
            for o in range(U64(0), width, V):
                g = g + load_block(s, k * width + o) * load_block(x, j * width + o)
            w[k * d + j] -= step * total(g)
        k += U64(1)
