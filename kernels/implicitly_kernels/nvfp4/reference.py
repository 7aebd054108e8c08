"""FP4 block quantization in plain torch: the definition that the kernels must match bit for bit.

Every step is one correctly rounded float32 operation or exact, so there is nothing to contract and
nothing that another backend may compute differently.
"""

import torch

from implicitly_kernels import _rng

BLOCK = {"nvfp4": 16, "mxfp4": 32}
E4M3_MAX, E4M3_NAN, E8M0_NAN = 448.0, 0x7F, 0xFF
E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
GUARD = 1.0 - 2.0**-20  # keeps float32 noise in v from moving a round-up to the next scale


def e4m3_codes(v: torch.Tensor, up: bool) -> torch.Tensor:
    """E4M3 code of each v >= 0 (float32): nearest-even, or the next one at or above v*GUARD.

    Saturates at 448. NaN gives 0x7F. Returns int32 of the same shape.
    """
    nan = torch.isnan(v)
    v = torch.clamp_max(v, E4M3_MAX)
    if up:
        v = v * GUARD
    # Subnormal scales are multiples of 2**-9, whose code is the multiple.
    small = torch.ceil(v * 512.0) if up else torch.round(v * 512.0)
    # Normal scales keep 3 of the 23 fraction bits: add, so that the cut rounds, and cut.
    bits = v.view(torch.int32)
    odd = (bits >> 20) & 1
    bits = bits + ((1 << 20) - 1 if up else (1 << 19) - 1 + odd)
    normal = (bits >> 20) - (120 << 3)  # float32's exponent bias is 127, E4M3's is 7
    codes = torch.where(v < 2.0**-6, small.to(torch.int32), normal)
    return torch.where(nan, E4M3_NAN, codes)


def e4m3_values(codes: torch.Tensor) -> torch.Tensor:
    """float32 value of each E4M3 code in [0, 0x7F]."""
    codes = codes.to(torch.int32)
    normal = ((codes + (120 << 3)) << 20).view(torch.float32)
    values = torch.where(codes < 8, codes.to(torch.float32) * 2.0**-9, normal)
    return torch.where(codes == E4M3_NAN, float("nan"), values)


def e8m0_codes(amax_bits: torch.Tensor, up: bool) -> torch.Tensor:
    """E8M0 code of the MXFP4 scale for blocks whose largest magnitude has these float32 bits.

    2**(floor(log2 amax) - 2), or with `up` 2**ceil(log2(amax/6)). Exponents below -126 become -126.
    """
    exponent = amax_bits >> 23
    codes = exponent - 2
    if up:  # 6 = 1.5 * 2**2, so the scale doubles when the fraction passes one half
        codes = codes + ((amax_bits & 0x7FFFFF) > 0x400000).to(torch.int32)
    codes = torch.clamp_min(codes, 1)
    return torch.where(amax_bits > 0x7F800000, E8M0_NAN, codes)


def e8m0_values(codes: torch.Tensor) -> torch.Tensor:
    """float32 value 2**(code - 127) of each E8M0 code in [1, 254]; 255 is NaN."""
    codes = codes.to(torch.int32)
    return torch.where(codes == E8M0_NAN, float("nan"), (codes << 23).view(torch.float32))


def block_scales(blocks, gs, fmt, scale):
    """Scale codes (int32) and float32 scale values, both (n,), of float32 blocks (n, block)."""
    # Magnitudes compare like their bits, and NaN is the largest of all.
    amax_bits = (blocks.view(torch.int32) & 0x7FFFFFFF).amax(dim=1)
    if fmt == "nvfp4":
        codes = e4m3_codes(amax_bits.view(torch.float32) / (6.0 * gs), scale == "up")
        return codes, e4m3_values(codes) * gs
    codes = e8m0_codes(amax_bits, scale == "up")
    return codes, e8m0_values(codes)


def element_steps(blocks, scales, rounding, seed):
    """The step (0.5, 1 or 2) of the E2M1 grid at each element, and the whole number of steps."""
    magnitude = blocks.abs() / torch.where(scales == 0, torch.inf, scales)[:, None]
    magnitude = torch.clamp_max(magnitude, 6.0)
    step = torch.where(magnitude < 2.0, 0.5, torch.where(magnitude < 4.0, 1.0, 2.0)).float()
    count = magnitude / step
    if rounding == "rtn":
        return step, torch.round(count)  # half to even
    counter = torch.arange(blocks.numel() // 4, device=blocks.device)
    words = torch.stack(_rng.philox(seed, counter, 0, 0), dim=-1).reshape(blocks.shape)
    low = torch.floor(count)
    return step, low + (count - low > _rng.unit(words))


def qdq(x, gs, fmt, scale, rounding, seed):
    """Quantize and dequantize; x (..., K) float32/bfloat16/float16, returns float32 (..., K)."""
    if x.numel() == 0:
        return torch.empty(x.shape, dtype=torch.float32, device=x.device)
    blocks = x.float().reshape(-1, BLOCK[fmt])
    _, scales = block_scales(blocks, gs, fmt, scale)
    step, count = element_steps(blocks, scales, rounding, seed)
    values = torch.copysign(step * count * scales[:, None], blocks)
    return values.reshape(x.shape)


def quantize(x, gs, fmt, scale, rounding, seed):
    """Packed codes (..., K/2) and scale bytes (..., K/block), both uint8."""
    block = BLOCK[fmt]
    lead = x.shape[:-1]
    if x.numel() == 0:
        empty = x.new_empty((*lead, x.shape[-1] // 2), dtype=torch.uint8)
        return empty, x.new_empty((*lead, x.shape[-1] // block), dtype=torch.uint8)
    blocks = x.float().reshape(-1, block)
    scale_codes, scales = block_scales(blocks, gs, fmt, scale)
    step, count = element_steps(blocks, scales, rounding, seed)
    # Codes 0..4 are steps of a half, 4..6 steps of one, 6..7 steps of two.
    index = count + torch.where(step == 0.5, 0.0, torch.where(step == 1.0, 2.0, 4.0)).float()
    index = torch.nan_to_num(index).to(torch.uint8)
    codes = index | (torch.signbit(blocks).to(torch.uint8) << 3)
    packed = codes[:, 0::2] | (codes[:, 1::2] << 4)
    return (
        packed.reshape(*lead, x.shape[-1] // 2),
        scale_codes.to(torch.uint8).reshape(*lead, x.shape[-1] // block),
    )


def dequantize(codes, scales, gs, fmt):
    """float32 (..., K) from packed codes (..., K/2) and scale bytes (..., K/block)."""
    block = BLOCK[fmt]
    shape = (*codes.shape[:-1], codes.shape[-1] * 2)
    if codes.numel() == 0:
        return torch.empty(shape, dtype=torch.float32, device=codes.device)
    index = torch.stack([codes & 15, codes >> 4], dim=-1).reshape(-1, block)
    table = torch.tensor(E2M1, dtype=torch.float32, device=codes.device)
    flat = scales.reshape(-1)
    value = e4m3_values(flat) * gs if fmt == "nvfp4" else e8m0_values(flat)
    magnitude = table[(index & 7).to(torch.int64)] * value[:, None]
    return torch.where(index >= 8, -magnitude, magnitude).reshape(shape)
