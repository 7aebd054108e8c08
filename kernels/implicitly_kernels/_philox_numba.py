"""Philox4x32-10 for vectors of numba that takes and gives whole vectors: same bits as `_rng_numba.philox`, fewer
instructions.

CPUs multiply every second word. `_rng_numba.philox` joins the halves of its products again in each round; here the
even lanes and the odd ones stay apart for all rounds, as 64-bit lanes whose upper halves count for nothing: a round is
four products, four shifts and four XORs of three, and no lane moves before the end. Each of them waits for the one
before, so what takes two vectors of counters, side by side, is an eighth faster than two calls.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from implicitly_kernels import _rng
from implicitly_kernels._vector import WIDTH, WORDS, _spread

_WORD, _DOUBLE = ir.IntType(32), ir.IntType(64)
_WORDS, _PAIRS = ir.VectorType(_WORD, WIDTH), ir.VectorType(_DOUBLE, WIDTH // 2)
_UNITS = WIDTH // 4  # counters whose four words make a vector


def _every(value):
    return ir.Constant(_PAIRS, [value] * (WIDTH // 2))


def _rounds(builder, keys, counters):
    """The even and the odd lanes of four words, for each four vectors of counters."""
    def product(value, factor):
        return builder.mul(builder.and_(value, _every(0xFFFFFFFF)), _every(factor))

    def mixed(wide, value, key):
        return builder.xor(builder.xor(builder.lshr(wide, _every(32)), value), key)

    halves = []
    for four in counters:
        even = [builder.bitcast(v, _PAIRS) for v in four]
        halves += [even, [builder.lshr(v, _every(32)) for v in even]]
    for _ in range(10):
        a, b = (builder.bitcast(_spread(builder, key), _PAIRS) for key in keys)
        products = [(product(x0, _rng.ROUND_A), product(x2, _rng.ROUND_B)) for x0, _, x2, _ in halves]
        halves = [[mixed(q, x1, a), q, mixed(p, x3, b), p]
                  for (_, x1, _, x3), (p, q) in zip(halves, products, strict=True)]  # fmt: skip
        keys = [builder.add(key, _WORD(more)) for key, more in zip(keys, (_rng.KEY_A, _rng.KEY_B), strict=True)]
    as_words = [[builder.bitcast(v, _WORDS) for v in half] for half in halves]
    return zip(as_words[::2], as_words[1::2], strict=True)


def _joined(builder, a, b, places):
    """Lanes of two vectors, those of b counted on from WIDTH."""
    return builder.shuffle_vector(a, b, ir.Constant(_WORDS, places))


_EVERY_SECOND = [lane + (WIDTH - 1) * (lane % 2) for lane in range(WIDTH)]  # a's even lanes, b's between them
_FOUR = types.UniTuple(WORDS, 4)


@intrinsic
def philox_lanes(typingctx, k0, k1, c0, c1, c2, c3):
    """Ten rounds on uint32 keys and vectors of counters; four vectors of words."""
    def code(context, builder, sig, args):
        ((even, odd),) = _rounds(builder, args[:2], [args[2:]])
        words = [_joined(builder, e, o, _EVERY_SECOND) for e, o in zip(even, odd, strict=True)]
        return context.make_tuple(builder, sig.return_type, words)

    return _FOUR(types.uint32, types.uint32, WORDS, WORDS, WORDS, WORDS), code


@intrinsic
def philox_twice(typingctx, k0, k1, c0, c1, d0, d1, c2, c3):
    """`philox_lanes` of counters (c0, c1, c2, c3), and of (d0, d1, c2, c3); eight vectors of words."""
    def code(context, builder, sig, args):
        first, second, last = args[2:4], args[4:6], args[6:]
        words = [_joined(builder, e, o, _EVERY_SECOND)
                 for both in _rounds(builder, args[:2], [[*first, *last], [*second, *last]])
                 for e, o in zip(*both, strict=True)]  # fmt: skip
        return context.make_tuple(builder, sig.return_type, words)

    return types.UniTuple(WORDS, 8)(types.uint32, types.uint32, *[WORDS] * 6), code


@intrinsic
def philox_in_order(typingctx, k0, k1, first, high):
    """All words of counters (first + i, high, 0, 0), i = 0, ..., 2 WIDTH - 1, one after the other, as eight vectors.

    The counters stand in such lanes that a word's place is in its own 128 bits, in which a CPU moves words at once.
    """
    def code(context, builder, sig, args):
        k0, k1, first, high = args
        # Of every four lanes i: the even ones hold counters i and _UNITS + i, the odd ones two more of a vector's.
        steps = [unit + _UNITS * part for unit in range(_UNITS) for part in (0, 2, 1, 3)]
        zero, high = _spread(builder, _WORD(0)), _spread(builder, high)
        low = [builder.add(_spread(builder, first), ir.Constant(_WORDS, [start + step for step in steps]))
               for start in (0, WIDTH)]  # fmt: skip
        out = []
        for both in _rounds(builder, (k0, k1), [(v, high, zero, zero) for v in low]):
            for half in both:
                a, b = (_joined(builder, half[k], half[k + 1], _EVERY_SECOND) for k in (0, 2))
                for part in (0, 2):  # two words of a, then two of b
                    places = [4 * unit + part + more for unit in range(_UNITS) for more in (0, 1, WIDTH, WIDTH + 1)]
                    out.append(_joined(builder, a, b, places))
        return context.make_tuple(builder, sig.return_type, out)

    return types.UniTuple(WORDS, 8)(types.uint32, types.uint32, types.uint32, types.uint32), code
