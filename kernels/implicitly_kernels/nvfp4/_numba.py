"""FP4 block quantization on the CPU: blocks in chunks that stay in cache, three vector loops each.

Scales are found for a whole chunk before its elements are touched, so that each loop is straight
code over independent lanes and the compiler can use full-width vectors.
"""

import functools

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

from implicitly_kernels import _memory, _threads
from implicitly_kernels._jit import cached_njit
from implicitly_kernels._philox_numba import philox_in_order
from implicitly_kernels._rng_numba import F32, U32, U64, bits_of_float, float_of_bits
from implicitly_kernels._vector import WIDTH, WORDS, store
from implicitly_kernels.nvfp4.reference import BLOCK, E2M1, e4m3_values, e8m0_values

CHUNK = 128  # rows of 16 elements: 8 kB of input, a multiple of 2
MAGIC = F32(12582912.0)  # 1.5 * 2**23: adding and taking it away rounds to whole numbers, half-even
GUARD = F32(1.0 - 2.0**-20)


@numba.njit(inline="always")
def e4m3(v, up):
    """Code and value of the E4M3 scale for v >= 0; see reference.e4m3_codes."""
    # Everything is computed and then selected: branches would keep the loop from vectorising.
    nan = v != v
    w = F32(448) if v > F32(448) else v
    w = w * GUARD if up else w
    t = w * F32(512)
    rounded = (t + MAGIC) - MAGIC  # t < 8 where it matters
    if up:
        above = rounded + F32(1)
        rounded = above if rounded < t else rounded
    b = bits_of_float(w)
    b = U32(b + (U32(0xFFFFF) if up else U32(U32(0x7FFFF) + U32(U32(b >> U32(20)) & U32(1)))))
    normal_code = U32(U32(b >> U32(20)) - U32(960))
    normal = float_of_bits(U32(b & U32(0xFFF00000)))
    small_code = U32(np.int32(rounded))
    small = rounded * F32(2.0**-9)
    is_small = w < F32(2.0**-6)
    code = small_code if is_small else normal_code
    value = small if is_small else normal
    code = U32(127) if nan else code
    value = v if nan else value
    return code, value


@numba.njit(inline="always")
def e8m0(bits, up):
    """Code and value of the E8M0 scale for a largest magnitude with these bits."""
    code = np.int32(bits >> U32(23)) - np.int32(2)
    if up:
        code += np.int32(1) if (bits & U32(0x7FFFFF)) > U32(0x400000) else np.int32(0)
    code = np.int32(1) if code < np.int32(1) else code
    nan = bits > U32(0x7F800000)
    value = float_of_bits(U32(U32(code) << U32(23)))
    return U32(255) if nan else U32(code), F32(np.nan) if nan else value


@numba.njit(inline="always")
def steps_at(bits, divisor, stochastic, word):
    """Magnitude in whole steps, the step, and the code of step zero's first whole number."""
    a = float_of_bits(U32(bits & U32(0x7FFFFFFF))) / divisor
    a = F32(6) if a > F32(6) else a
    # A step is half of the power of two below a, at least a half.
    power = U32(bits_of_float(a) & U32(0x7F800000))
    power = U32(0x3F800000) if power < U32(0x3F800000) else power
    step, inverse = float_of_bits(U32(power - U32(0x00800000))), float_of_bits(U32(U32(0x7F800000) - power))
    count = a * inverse
    if stochastic:
        low = np.floor(count)
        u = F32(np.int32(word >> U32(8))) * F32(2.0**-24)
        whole = low + (F32(1) if count - low > u else F32(0))
    else:
        whole = (count + MAGIC) - MAGIC
    return whole, step


# Several small functions and not one: in a single body the compiler leaves the loops scalar. Flags
# are turned into constants before each loop for the same reason.
jit = cached_njit(nogil=True, boundscheck=False, error_model="numpy")


@intrinsic
def _fetch(typingctx, array, index):
    """Ask for the vector at an index to be brought to the cache; past the end it asks for nothing that is used."""
    def code(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        fn = get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(fn, [builder.bitcast(builder.gep(data, [args[1]]), byte), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.uint64), code


def _largest_of(per):
    def made(typingctx, array, index):
        word = ir.IntType(32)
        words = ir.VectorType(word, WIDTH)

        def code(context, builder, sig, args):
            data = context.make_array(sig.args[0])(context, builder, args[0]).data
            whole, positive = range(0, per, WIDTH), ir.Constant(words, [0x7FFFFFFF] * WIDTH)

            def larger(a, b):
                return builder.select(builder.icmp_signed(">", a, b), a, b)

            def row(r):
                places = (builder.add(args[1], args[1].type(r * per + at)) for at in whole)
                vectors = (builder.bitcast(builder.gep(data, [place]), words.as_pointer()) for place in places)
                return functools.reduce(larger, (builder.and_(builder.load(v, align=4), positive) for v in vectors))

            rows, unit = [row(r) for r in range(WIDTH)], 1
            while len(rows) > 1:  # two rows to one vector, in which units of each take turns
                halves = [[2 * unit * j + start + lane + WIDTH * second for j in range(WIDTH // (2 * unit))
                           for second in (0, 1) for lane in range(unit)] for start in (0, unit)]  # fmt: skip
                rows = [larger(*(builder.shuffle_vector(a, b, ir.Constant(words, places)) for places in halves))
                        for a, b in zip(rows[::2], rows[1::2], strict=True)]  # fmt: skip
                unit *= 2
            return rows[0]

        return WORDS(array, types.uint64), code

    return intrinsic(made)


#: A vector with the bits of the largest magnitude of each of WIDTH rows of 16, or of 32, words from an index on.
_largest_16, _largest_32 = map(_largest_of, (16, 32))


@jit
def _largest(x, amax):
    """Bits of the largest magnitude of each row of 16 or 32."""
    per, flat, whole = x.shape[1], x.reshape(-1), x.shape[0] // WIDTH * WIDTH
    for r in range(0, whole, WIDTH):
        at = U64(r * per)
        store(amax, U64(r), _largest_16(flat, at) if per == 16 else _largest_32(flat, at))
    for r in range(whole, x.shape[0]):
        row = x[r]
        m = U32(0)
        for j in range(row.size):
            v = U32(row[j] & U32(0x7FFFFFFF))
            m = v if v > m else m
        amax[r] = m


@jit
def _scales_nv(amax, gs, up, codes, scale):
    six_gs = F32(6) * gs
    if up:
        for r in range(amax.size):
            codes[r], scale[r] = e4m3(float_of_bits(amax[r]) / six_gs, True)
    else:
        for r in range(amax.size):
            codes[r], scale[r] = e4m3(float_of_bits(amax[r]) / six_gs, False)
    for r in range(amax.size):
        scale[r] = scale[r] * gs


@jit
def _scales_mx(amax, up, codes, scale):
    for r in range(amax.size):
        codes[r], scale[r] = e8m0(amax[r], up)


@jit
def _draw(first, seed_low, seed_high, words, ahead, at_ahead):
    """The words of counters first, first + 1, ...

    first and the number of counters: multiples of one power of two, so that only the low word changes.
    """
    low, high, step = U32(first & U64(0xFFFFFFFF)), U32(first >> U64(32)), U64(WIDTH)
    for c in range(0, words.size // 4, 2 * WIDTH):
        at = U64(4 * c)
        for vector in philox_in_order(seed_low, seed_high, U32(low + U32(c)), high):
            store(words, at, vector)
            _fetch(ahead, at_ahead + at)
            at += step


@jit
def _round_nearest(x, scale, divisor, out, ahead, at_ahead):
    """Rows of 16 onto the grid. The length is a constant, or the loop would not be worth vectors."""
    for r in range(x.shape[0]):
        row, to = x[r], out[r]
        d, s = divisor[r], scale[r]
        _fetch(ahead, at_ahead + U64(16 * r))
        for j in range(16):
            bits = row[j]
            whole, step = steps_at(bits, d, False, U32(0))
            value = bits_of_float(whole * step * s)
            to[j] = U32(value & U32(0x7FFFFFFF)) | U32(bits & U32(0x80000000))


@jit
def _round_stochastic(x, words, scale, divisor, out):
    for r in range(x.shape[0]):
        row, to, word = x[r], out[r], words[r]
        d, s = divisor[r], scale[r]
        for j in range(16):
            bits = row[j]
            whole, step = steps_at(bits, d, True, word[j])
            value = bits_of_float(whole * step * s)
            to[j] = U32(value & U32(0x7FFFFFFF)) | U32(bits & U32(0x80000000))


@jit
def _codes(x, words, divisor, stochastic, codes):
    for r in range(x.shape[0]):
        row, to, word = x[r], codes[r], words[r]
        d = divisor[r]
        for j in range(16):
            bits = row[j]
            whole, step = steps_at(bits, d, stochastic, word[j])
            shift = F32(0) if step == F32(0.5) else (F32(2) if step == F32(1) else F32(4))
            index = whole + shift
            index = F32(0) if index != index else index
            to[j] = U32(U32(np.int32(index)) | U32(U32(bits >> U32(31)) << U32(3)))


@jit
def _pack(codes, out):
    for r in range(out.shape[0]):
        code, to = codes[r], out[r]
        for j in range(8):
            to[j] = np.uint8(code[2 * j] | (code[2 * j + 1] << U32(4)))


@jit
def _fp4(x, block, gs, up, stochastic, pack, seed_low, seed_high, chunk, begin, end, out, packed, scale_out):
    """Rows begin..end-1. x, out: (rows, 16). packed: (rows, 8). An MXFP4 block is two rows with one scale."""
    per = block // 16
    amax = np.empty(chunk // per, np.uint32)
    scale_code = np.empty(chunk // per, np.uint32)
    block_scale = np.empty(chunk // per, np.float32)
    scale = np.empty(chunk, np.float32)
    divisor = np.empty(chunk, np.float32)
    words = np.zeros((chunk, 16), np.uint32)
    codes = np.empty((chunk, 16), np.uint32)
    for start in range(begin, end, chunk):
        xs = x[start:start + chunk]
        blocks = xs.shape[0] // per
        _largest(xs.reshape(blocks, block), amax)
        if block == 32:
            _scales_mx(amax[:blocks], up, scale_code, block_scale)
        else:
            _scales_nv(amax[:blocks], gs, up, scale_code, block_scale)
        for r in range(xs.shape[0]):
            s = block_scale[r // per]
            scale[r] = s
            divisor[r] = F32(np.inf) if s == F32(0) else s
        if stochastic:
            _draw(U64(start * 4), seed_low, seed_high, words.reshape(-1), x.reshape(-1), U64((start + chunk) * 16))
        if pack:
            if stochastic:
                _codes(xs, words, divisor, True, codes)
            else:
                _codes(xs, words, divisor, False, codes)
            _pack(codes, packed[start:start + chunk])
            to = scale_out[start // per:start // per + blocks]
            for r in range(blocks):
                to[r] = np.uint8(scale_code[r])
        elif stochastic:
            _round_stochastic(xs, words, scale, divisor, out[start:start + chunk])
        else:
            _round_nearest(xs, scale, divisor, out[start:start + chunk], x.reshape(-1), U64((start + chunk) * 16))


def _run(x, gs, fmt, scale, rounding, seed, pack):
    rows = x.float().contiguous().reshape(-1, 16)
    n = rows.shape[0]
    out = _memory.empty((0 if pack else n, 16), np.float32)
    packed = _memory.empty((n if pack else 0, 8), np.uint8)
    scales = _memory.empty(n * 16 // BLOCK[fmt] if pack else 0, np.uint8)
    given = (
        rows.view(torch.int32).numpy().view(np.uint32), BLOCK[fmt], np.float32(gs.item()),
        scale == "up", rounding == "sr", pack, np.uint32(seed & 0xFFFFFFFF),
        np.uint32(seed >> 32), CHUNK,
    )

    def part(first, last, begin, end):
        _fp4(*given, first * CHUNK, min(last * CHUNK, n), out.view(np.uint32), packed, scales)

    _threads.share(part, -(-n // CHUNK), work=64 * 16 * CHUNK)
    return torch.from_numpy(packed if pack else out), torch.from_numpy(scales)


def qdq(x, gs, fmt, scale, rounding, seed):
    """Same contract as reference.qdq."""
    return _run(x, gs, fmt, scale, rounding, seed, pack=False)[0].reshape(x.shape)


def quantize(x, gs, fmt, scale, rounding, seed):
    """Same contract as reference.quantize."""
    codes, scales = _run(x, gs, fmt, scale, rounding, seed, pack=True)
    lead, k = x.shape[:-1], x.shape[-1]
    return codes.reshape(*lead, k // 2), scales.reshape(*lead, k // BLOCK[fmt])


@jit
def _dequantize(codes, scales, table, value_of, half, out):
    for r in range(scales.size):
        s = value_of[scales[r]]
        for j in range(half):
            byte = codes[r * half + j]
            out[2 * (r * half + j)] = table[byte & np.uint8(15)] * s
            out[2 * (r * half + j) + 1] = table[byte >> np.uint8(4)] * s


def dequantize(codes, scales, gs, fmt):
    """Same contract as reference.dequantize."""
    out = _memory.empty(codes.numel() * 2, np.float32)
    table = np.array([*E2M1, *(-v for v in E2M1)], np.float32)
    every = torch.arange(256, dtype=torch.int32)
    value_of = e4m3_values(every & 0x7F) * gs if fmt == "nvfp4" else e8m0_values(every)
    half, value_of = BLOCK[fmt] // 2, value_of.numpy()
    codes_, scales_ = codes.contiguous().reshape(-1).numpy(), scales.contiguous().reshape(-1).numpy()
    for first, last, _, _ in _threads.pieces(0, len(scales_), 1, 16 * half):
        _dequantize(
            codes_[first * half:last * half], scales_[first:last], table, value_of, half,
            out[2 * first * half:2 * last * half],
        )
    return torch.from_numpy(out).reshape(*codes.shape[:-1], codes.shape[-1] * 2)
