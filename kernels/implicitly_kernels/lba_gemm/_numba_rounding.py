"""One number of a narrow accumulator on the CPU, as bits of a float: cut, rounded, flushed, clipped, added; and how the
operands lie in memory.
"""

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from implicitly_kernels._jit import cached_njit

LANES = 64  # outputs of a block
WORDS = {np.float32: (np.uint32, 23), np.float64: (np.uint64, 52)}
jit = cached_njit(nogil=True, boundscheck=False, error_model="numpy")


def variant(*flags):
    """`jit` for a function that several calls of its factory make, with the flags in its name.

    Without them two variants that were cached by two processes can have one symbol, and the wrong one is called.
    """

    def decorate(function):
        function.__name__ += "_" + "_".join(str(int(flag)) for flag in flags)
        function.__qualname__ = function.__name__
        return jit(function)

    return decorate


def _word(value):
    return types.uint32 if value == types.float32 else types.uint64


@intrinsic
def _cut(typingctx, value, mask):
    """A float with only the bits of the mask, a word of its size."""
    def codegen(context, builder, signature, args):
        bits = builder.and_(builder.bitcast(args[0], args[1].type), args[1])
        return builder.bitcast(bits, args[0].type)
    return value(value, _word(value)), codegen


@intrinsic
def _near(typingctx, value, mask, drop):
    """A float rounded to the bits of the mask, ties to even; drop: how many others there are, a word too."""
    def codegen(context, builder, signature, args):
        v, mask, drop = args
        bits, one = builder.bitcast(v, mask.type), ir.Constant(mask.type, 1)
        odd = builder.and_(builder.lshr(bits, drop), one)
        half = builder.sub(builder.shl(one, builder.sub(drop, one)), one)
        bits = builder.and_(builder.add(bits, builder.add(half, odd)), mask)
        return builder.bitcast(bits, v.type)
    return value(value, _word(value), _word(value)), codegen


@intrinsic
def _flush(typingctx, value, least):
    """0 in place of a magnitude below `least`; as a choice of 0, which costs one `and`."""
    def codegen(context, builder, signature, args):
        kept = builder.fcmp_ordered(">=", builder.call(
            builder.module.declare_intrinsic("llvm.fabs", [args[0].type]), [args[0]]), args[1])
        return builder.select(kept, args[0], ir.Constant(args[0].type, 0.0))
    return value(value, value), codegen


@intrinsic
def _odd(typingctx, value, rest):
    """A float64 sum and what its rounding took away, to the sum rounded to odd: see reference.odd_sum."""
    def codegen(context, builder, signature, args):
        v, rest = args
        word, zero = ir.IntType(64), ir.Constant(v.type, 0.0)
        bits, one = builder.bitcast(v, word), ir.Constant(word, 1)
        up = builder.icmp_signed("==", builder.fcmp_ordered(">", rest, zero), builder.fcmp_ordered(">", v, zero))
        moved = builder.add(bits, builder.select(up, one, ir.Constant(word, -1)))
        even = builder.icmp_signed("==", builder.and_(bits, one), ir.Constant(word, 0))
        inexact = builder.and_(builder.fcmp_unordered("!=", rest, zero), even)
        return builder.bitcast(builder.select(inexact, moved, bits), v.type)
    return value(value, value), codegen


@numba.njit(inline="always")
def _clip(v, top):
    v = v if v < top else top
    return v if v > -top else -top


@numba.njit(inline="always")
def add(a, b, odd):
    v = a + b
    if odd:
        back = v - a
        v = _odd(v, (a - (v - back)) + (b - back))
    return v


@numba.njit(inline="always")
def quantize(v, mask, drop, top, least, near, clip):
    v = _near(v, mask, drop) if near else _cut(v, mask)
    if clip:
        v = _clip(v, top)
    return _flush(v, least)


def packed_rows(w, lanes):
    """w (n, K) as (blocks, K, lanes), with rows of zeros at the end."""
    n, K = w.shape
    blocks = -(-n // lanes)
    out = w.new_zeros((blocks * lanes, K))
    out[:n] = w
    return out.view(blocks, lanes, K).transpose(1, 2).contiguous()


def constants(form, dtype):
    """mask, drop, and the limits, as scalars of numpy."""
    word, digits = WORDS[dtype]
    drop = digits - form.mantissa
    mask = ~((1 << drop) - 1) & ((1 << (8 * word().itemsize)) - 1)
    return word(mask), word(drop), *(dtype(v) for v in form.table())


def lanes_of(rows, lanes):
    """Outputs of a block: a few less where there are not as many."""
    return min(lanes, -(-max(1, rows) // 8) * 8)


CUT, CUT_CLIP, NEAR, ODD, ODD_NEAR = range(5)  # what a loop does: cut or round, clip products, round sums to odd first
