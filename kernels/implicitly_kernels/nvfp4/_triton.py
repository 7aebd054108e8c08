"""FP4 block quantization on the GPU: a program takes ROWS blocks, reads each element once, writes once.

All rounding is explicit float32 and integer arithmetic: hardware FP8/FP4 casts differ from the
format's rule between compilers and the interpreter. No multiplication feeds an addition unrounded,
so contraction cannot change a bit; it is switched off all the same.
"""

import torch
import triton
import triton.language as tl

from implicitly_kernels.nvfp4.reference import BLOCK

ROWS = 64  # blocks a program: 1024 or 2048 elements, 8 or 16 a thread at 4 warps
WARPS = 4


@triton.jit
def _round(v):
    """Nearest whole number, half to even, for 0 <= v < 2**22."""
    return (v + 12582912.0) - 12582912.0


@triton.jit
def _e4m3(v, UP: tl.constexpr):
    """Code and value of the E4M3 scale for v >= 0; see reference.e4m3_codes."""
    nan = v != v
    w = tl.where(v > 448.0, 448.0, v)
    if UP:
        w = w * 0.99999904632568359375
    t = w * 512.0
    small = _round(t)
    bits = w.to(tl.int32, bitcast=True)
    if UP:
        small = tl.where(small < t, small + 1.0, small)
        bits = bits + 0xFFFFF
    else:
        bits = bits + (0x7FFFF + ((bits >> 20) & 1))
    normal = (bits & -0x100000).to(tl.float32, bitcast=True)
    is_small = w < 0.015625
    code = tl.where(is_small, small.to(tl.int32), (bits >> 20) - 960)
    value = tl.where(is_small, small * 0.001953125, normal)
    return tl.where(nan, 127, code), tl.where(nan, v, value)


@triton.jit
def _e8m0(bits, UP: tl.constexpr):
    """Code and value of the E8M0 scale for largest magnitudes with these bits."""
    code = (bits >> 23) - 2
    if UP:
        code = code + tl.where((bits & 0x7FFFFF) > 0x400000, 1, 0)
    code = tl.where(code < 1, 1, code)
    nan = bits > 0x7F800000
    value = (code << 23).to(tl.float32, bitcast=True)
    nan_value = bits.to(tl.float32, bitcast=True)
    return tl.where(nan, 255, code), tl.where(nan, nan_value, value)


@triton.jit
def _fp4_kernel(
    x_ptr, gs_ptr, out_ptr, scale_ptr, seed, n_blocks,
    BLOCK: tl.constexpr, MX: tl.constexpr, UP: tl.constexpr, SR: tl.constexpr,
    PACK: tl.constexpr, ROWS: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)  # [ROWS]
    col = tl.arange(0, BLOCK)
    live = row < n_blocks
    where = row[:, None] * BLOCK + col[None, :]  # [ROWS, BLOCK]
    mask = live[:, None] & (col[None, :] < BLOCK)
    x = tl.load(x_ptr + where, mask=mask, other=0.0).to(tl.float32)
    gs = tl.load(gs_ptr)

    bits = x.to(tl.int32, bitcast=True)
    magnitude_bits = bits & 0x7FFFFFFF
    amax_bits = tl.max(magnitude_bits, axis=1)  # bits order like magnitudes, NaN above all
    if MX:
        code, scale = _e8m0(amax_bits, UP)
    else:
        v = tl.div_rn(amax_bits.to(tl.float32, bitcast=True), tl.zeros_like(gs) + 6.0 * gs)
        code, scale = _e4m3(v, UP)
        scale = scale * gs
    divisor = tl.where(scale == 0.0, float("inf"), scale)

    a = tl.div_rn(magnitude_bits.to(tl.float32, bitcast=True), divisor[:, None] + tl.zeros_like(x))
    a = tl.where(a > 6.0, 6.0, a)  # keeps NaN
    step = tl.where(a < 2.0, 0.5, tl.where(a < 4.0, 1.0, 2.0))
    count = a * tl.where(a < 2.0, 2.0, tl.where(a < 4.0, 1.0, 0.5))
    if SR:
        quarter = row[:, None] * (BLOCK // 4) + tl.arange(0, BLOCK // 4)[None, :]
        low_word = (quarter & 0xFFFFFFFF).to(tl.uint32)
        zero = tl.zeros_like(low_word)
        w0, w1, w2, w3 = tl.philox(seed, low_word, (quarter >> 32).to(tl.uint32), zero, zero)
        word = tl.reshape(tl.join(tl.join(w0, w2), tl.join(w1, w3)), (ROWS, BLOCK))
        u = (word >> 8).to(tl.float32) * 5.9604644775390625e-08
        low = _round(count)
        low = tl.where(low > count, low - 1.0, low)
        whole = tl.where(count - low > u, low + 1.0, low)
        whole = tl.where(count != count, count, whole)
    else:
        whole = _round(count)

    if PACK:
        index = whole + tl.where(step == 0.5, 0.0, tl.where(step == 1.0, 2.0, 4.0))
        index = tl.where(index != index, 0.0, index).to(tl.int32)
        nibble = index | ((bits >> 31) & 1) << 3
        low_nibble, high_nibble = tl.split(tl.reshape(nibble, (ROWS, BLOCK // 2, 2)))
        half = row[:, None] * (BLOCK // 2) + tl.arange(0, BLOCK // 2)[None, :]
        packed = (low_nibble | (high_nibble << 4)).to(tl.uint8)
        tl.store(out_ptr + half, packed, mask=live[:, None] & (half >= 0))
        tl.store(scale_ptr + row, code.to(tl.uint8), mask=live)
    else:
        value = (whole * step * scale[:, None]).to(tl.int32, bitcast=True)
        signed = (value & 0x7FFFFFFF) | (bits & -0x80000000)
        tl.store(out_ptr + where, signed.to(tl.float32, bitcast=True), mask=mask)


@triton.jit
def _fp4_dequantize_kernel(
    codes_ptr, scale_ptr, gs_ptr, out_ptr, n_blocks,
    BLOCK: tl.constexpr, MX: tl.constexpr, ROWS: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    live = row < n_blocks
    half = row[:, None] * (BLOCK // 2) + tl.arange(0, BLOCK // 2)[None, :]
    packed = tl.load(codes_ptr + half, mask=live[:, None] & (half >= 0), other=0).to(tl.int32)
    code = tl.load(scale_ptr + row, mask=live, other=0).to(tl.int32)
    if MX:
        scale = (code << 23).to(tl.float32, bitcast=True)
        scale = tl.where(code == 255, float("nan"), scale)
    else:
        scale = ((code + 960) << 20).to(tl.float32, bitcast=True)
        scale = tl.where(code < 8, code.to(tl.float32) * 0.001953125, scale)
        scale = tl.where(code == 127, float("nan"), scale) * tl.load(gs_ptr)
    nibble = tl.reshape(tl.join(packed & 15, packed >> 4), (ROWS, BLOCK))
    index = nibble & 7
    # 0, .5, 1, 1.5, 2, 3, 4, 6: steps of a half up to code 4, of one up to 6, then two.
    grid = index.to(tl.float32) * 0.5
    grid = tl.where(index > 4, index.to(tl.float32) - 2.0, grid)
    grid = tl.where(index == 7, 6.0, grid)
    value = (grid * scale[:, None]).to(tl.int32, bitcast=True)
    signed = (value & 0x7FFFFFFF) | ((nibble >> 3) << 31)
    where = row[:, None] * BLOCK + tl.arange(0, BLOCK)[None, :]
    tl.store(out_ptr + where, signed.to(tl.float32, bitcast=True),
             mask=live[:, None] & (where >= 0))


def _launch(x, gs, fmt, scale, rounding, seed, out, scales, pack):
    block = BLOCK[fmt]
    n_blocks = x.numel() // block
    if n_blocks:
        _fp4_kernel[(triton.cdiv(n_blocks, ROWS),)](
            x.contiguous(), gs, out, scales, seed, n_blocks,
            BLOCK=block, MX=fmt == "mxfp4", UP=scale == "up", SR=rounding == "sr", PACK=pack,
            ROWS=ROWS, num_warps=WARPS, enable_fp_fusion=False,
        )


def qdq(x, gs, fmt, scale, rounding, seed):
    """Same contract as reference.qdq."""
    out = x.new_empty(x.shape, dtype=gs.dtype)
    _launch(x, gs, fmt, scale, rounding, seed, out, out, pack=False)
    return out


def quantize(x, gs, fmt, scale, rounding, seed):
    """Same contract as reference.quantize."""
    lead, k = x.shape[:-1], x.shape[-1]
    codes = x.new_empty((*lead, k // 2), dtype=torch.uint8)
    scales = x.new_empty((*lead, k // BLOCK[fmt]), dtype=torch.uint8)
    _launch(x, gs, fmt, scale, rounding, seed, codes, scales, pack=True)
    return codes, scales


def dequantize(codes, scales, gs, fmt):
    """Same contract as reference.dequantize."""
    out = codes.new_empty((*codes.shape[:-1], codes.shape[-1] * 2), dtype=gs.dtype)
    n_blocks = scales.numel()
    if n_blocks:
        _fp4_dequantize_kernel[(triton.cdiv(n_blocks, ROWS),)](
            codes.contiguous(), scales.contiguous(), gs, out, n_blocks,
            BLOCK=BLOCK[fmt], MX=fmt == "mxfp4", ROWS=ROWS, num_warps=WARPS,
            enable_fp_fusion=False,
        )
    return out

