"""Philox4x32-10 for vectors of numba that takes and gives whole vectors: same bits as `_rng_numba.philox`, fewer
instructions.

CPUs multiply every second word. `_rng_numba.philox` joins the halves of its products again in each round; here the
even lanes and the odd ones stay apart for all rounds, as 64-bit lanes whose upper halves count for nothing: a round is
four products, four shifts and four XORs of three, and no lane moves before the end.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from implicitly_kernels import _rng
from implicitly_kernels._vector import WIDTH, WORDS, _spread


@intrinsic
def philox_lanes(typingctx, k0, k1, c0, c1, c2, c3):
    """Ten rounds on uint32 keys and vectors of counters; four vectors of words."""
    word, double = ir.IntType(32), ir.IntType(64)
    words, pairs = ir.VectorType(word, WIDTH), ir.VectorType(double, WIDTH // 2)

    def every(value):
        return ir.Constant(pairs, [value] * (WIDTH // 2))

    def code(context, builder, sig, args):
        def product(value, factor):
            return builder.mul(builder.and_(value, every(0xFFFFFFFF)), every(factor))

        def mixed(wide, value, key):
            return builder.xor(builder.xor(builder.lshr(wide, every(32)), value), key)

        even = [builder.bitcast(v, pairs) for v in args[2:]]
        halves = [even, [builder.lshr(v, every(32)) for v in even]]
        keys = args[:2]
        for _ in range(10):
            a, b = (builder.bitcast(_spread(builder, key), pairs) for key in keys)
            for half, (x0, x1, x2, x3) in enumerate(halves):
                p, q = product(x0, _rng.ROUND_A), product(x2, _rng.ROUND_B)
                halves[half] = [mixed(q, x1, a), q, mixed(p, x3, b), p]
            keys = [builder.add(key, word(more)) for key, more in zip(keys, (_rng.KEY_A, _rng.KEY_B), strict=True)]
        places = ir.Constant(words, [lane + (WIDTH - 1) * (lane % 2) for lane in range(WIDTH)])
        out = [builder.shuffle_vector(builder.bitcast(e, words), builder.bitcast(o, words), places)
               for e, o in zip(*halves, strict=True)]  # fmt: skip
        return context.make_tuple(builder, sig.return_type, out)

    return types.UniTuple(WORDS, 4)(types.uint32, types.uint32, WORDS, WORDS, WORDS, WORDS), code
