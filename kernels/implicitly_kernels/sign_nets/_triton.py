"""Random threshold networks on the GPU: a warp draws NETS networks into registers and shows them
samples until all have failed. Nothing is read but the samples; nothing is written but counts."""

import torch
import triton
import triton.language as tl

from implicitly_kernels._dispatch import Unsupported
from implicitly_kernels.sign_nets import reference

WARPS = 1
REPEAT = 16  # blocks of networks a program, so that its counts are added once
LAUNCH = 1 << 28  # networks a launch
DEPTH = 4


@triton.jit
def _popcount(v, NATIVE: tl.constexpr):
    """Bits set in each uint32: by an instruction, or by halves where there is none, as in the interpreter."""
    if NATIVE:
        return tl.inline_asm_elementwise("popc.b32 $0, $1;", "=r,r", [v], dtype=tl.int32, is_pure=True, pack=1)
    v = v - ((v >> 1) & 0x55555555)
    v = (v & 0x33333333) + ((v >> 2) & 0x33333333)
    v = (v + (v >> 4)) & 0x0F0F0F0F
    v = v + (v >> 8)
    return ((v + (v >> 16)) & 0x7F).to(tl.int32)


@triton.jit
def _stream(seed, low, high, STEP: tl.constexpr, WORDS: tl.constexpr, NETS: tl.constexpr):
    """The first WORDS (1, 2 or a multiple of 4) words of one stream, uint32 [NETS, WORDS]."""
    J: tl.constexpr = WORDS // 4 if WORDS > 4 else 1
    zero = tl.zeros([NETS, J], tl.uint32)
    draw = zero + tl.arange(0, J)[None, :].to(tl.uint32)
    w0, w1, w2, w3 = tl.philox(seed, low[:, None] + zero, high[:, None] + zero, zero + STEP, draw)
    if WORDS == 1:
        out = w0
    elif WORDS == 2:
        out = tl.reshape(tl.join(w0, w1), (NETS, 2))
    else:
        out = tl.reshape(tl.join(tl.join(w0, w2), tl.join(w1, w3)), (NETS, WORDS))
    return out


@triton.jit
def _weights(seed, low, high, STEP: tl.constexpr, D: tl.constexpr, F: tl.constexpr,
             H: tl.constexpr, NETS: tl.constexpr):
    """Low and high halves of the weight words of one layer, uint32 [NETS, H]. D inputs, F a field."""
    if F == 64:
        words = _stream(seed, low, high, STEP, 2 * H, NETS)
        w, w_high = tl.split(tl.reshape(words, (NETS, H, 2)))
        w_high = w_high & (0xFFFFFFFF >> (64 - D))
    else:
        PER: tl.constexpr = 32 // F
        WORDS: tl.constexpr = H // PER if H > PER else 1
        EACH: tl.constexpr = H // WORDS
        words = _stream(seed, low, high, STEP, WORDS, NETS)
        shift = (tl.arange(0, EACH) * F).to(tl.uint32)
        w = tl.reshape(words[:, :, None] >> shift[None, None, :], (NETS, H))
        w = w & (0xFFFFFFFF >> (32 - D))
        w_high = w
    return w, w_high


@triton.jit
def _bias_scale(seed, low, high, STEP: tl.constexpr, BIAS: tl.constexpr, SCALED: tl.constexpr,
                H: tl.constexpr, NETS: tl.constexpr):
    LEVELS: tl.constexpr = 2 * BIAS + 1
    word = _stream(seed, low, high, STEP, H, NETS)
    if SCALED:
        r = ((word.to(tl.uint64) * (3 * LEVELS)) >> 32).to(tl.int32)
        g = r // LEVELS - 1
        b = r % LEVELS - BIAS
    else:
        r = ((word.to(tl.uint64) * LEVELS) >> 32).to(tl.int32)
        b = r - BIAS
        g = tl.full([NETS, H], 1, tl.int32)
    return b, g


@triton.jit
def _layer(a, a_high, w, w_high, b, g, D: tl.constexpr, OUT: tl.constexpr, H: tl.constexpr,
           GENERAL: tl.constexpr, BITS: tl.constexpr, NATIVE: tl.constexpr):
    """Outputs of one layer, neuron k in bit k of the low or high word. a [NETS] or a scalar tensor."""
    if BITS:
        s = _popcount(w & a[:, None], NATIVE)
        if D > 32:
            s += _popcount(w_high & a_high[:, None], NATIVE)
    else:
        s = _popcount(w ^ a[:, None], NATIVE)
        if D > 32:
            s += _popcount(w_high ^ a_high[:, None], NATIVE)
        s = D - 2 * s
    if GENERAL:
        s = g * s + b
    k = tl.arange(0, H)
    on = ((s >= 0) & (k < OUT)[None, :]).to(tl.uint32)
    if H == 64:
        place = (k % 32).to(tl.uint32)[None, :]
        low = tl.sum(tl.where((k < 32)[None, :], on << place, 0), axis=1)
        high = tl.sum(tl.where((k >= 32)[None, :], on << place, 0), axis=1)
    else:
        low = tl.sum(on << k.to(tl.uint32)[None, :], axis=1)
        high = low
    return low.to(tl.uint32), high.to(tl.uint32)


@triton.jit
def _sign_nets_kernel(
    x_ptr, y_ptr, counts_ptr, hits_ptr, seed, start, n_nets, n_samples,
    D0: tl.constexpr, D1: tl.constexpr, D2: tl.constexpr, D3: tl.constexpr, D4: tl.constexpr,
    F0: tl.constexpr, F1: tl.constexpr, F2: tl.constexpr, F3: tl.constexpr,
    H1: tl.constexpr, H2: tl.constexpr, H3: tl.constexpr, H4: tl.constexpr,
    BIAS: tl.constexpr, SCALED: tl.constexpr, BITS: tl.constexpr,
    NETS: tl.constexpr, REPEAT: tl.constexpr, BINS: tl.constexpr, NATIVE: tl.constexpr,
):
    GENERAL: tl.constexpr = SCALED or BIAS > 0
    bins = tl.arange(0, BINS)
    total = tl.zeros([BINS], tl.int32)
    for repeat in range(REPEAT):
        block = tl.program_id(0).to(tl.int64) * REPEAT + repeat
        place = block * NETS + tl.arange(0, NETS)
        net = place + start
        low, high = (net & 0xFFFFFFFF).to(tl.uint32), (net >> 32).to(tl.uint32)
        w1, v1 = _weights(seed, low, high, 0, D0, F0, H1, NETS)
        b1, g1 = w1, w1
        if GENERAL:
            b1, g1 = _bias_scale(seed, low, high, 1, BIAS, SCALED, H1, NETS)
        if D2 > 0:
            w2, v2 = _weights(seed, low, high, 2, D1, F1, H2, NETS)
            b2, g2 = w2, w2
            if GENERAL:
                b2, g2 = _bias_scale(seed, low, high, 3, BIAS, SCALED, H2, NETS)
        if D3 > 0:
            w3, v3 = _weights(seed, low, high, 4, D2, F2, H3, NETS)
            b3, g3 = w3, w3
            if GENERAL:
                b3, g3 = _bias_scale(seed, low, high, 5, BIAS, SCALED, H3, NETS)
        if D4 > 0:
            w4, v4 = _weights(seed, low, high, 6, D3, F3, H4, NETS)
            b4, g4 = w4, w4
            if GENERAL:
                b4, g4 = _bias_scale(seed, low, high, 7, BIAS, SCALED, H4, NETS)
        alive = (place < n_nets).to(tl.int32)
        left = tl.sum(alive, axis=0)
        sample = left * 0
        while (sample < n_samples) & (left > 0):
            zero = tl.zeros([NETS], tl.uint32)
            a = zero + tl.load(x_ptr + 2 * sample).to(tl.uint32)
            a_high = zero + tl.load(x_ptr + 2 * sample + 1).to(tl.uint32)
            a, a_high = _layer(a, a_high, w1, v1, b1, g1, D0, D1, H1, GENERAL, BITS, NATIVE)
            if D2 > 0:
                a, a_high = _layer(a, a_high, w2, v2, b2, g2, D1, D2, H2, GENERAL, BITS, NATIVE)
            if D3 > 0:
                a, a_high = _layer(a, a_high, w3, v3, b3, g3, D2, D3, H3, GENERAL, BITS, NATIVE)
            if D4 > 0:
                a, a_high = _layer(a, a_high, w4, v4, b4, g4, D3, D4, H4, GENERAL, BITS, NATIVE)
            y = tl.load(y_ptr + sample)
            right = (a.to(tl.int32) == y).to(tl.int32)
            died = tl.sum(alive * (1 - right), axis=0)
            total += tl.where(bins == sample, died, 0)
            alive = alive * right
            left -= died
            sample += 1
        total += tl.where(bins == n_samples, left, 0)
        tl.store(hits_ptr + block, left)
    tl.atomic_add(counts_ptr + bins, total.to(tl.int64), mask=(bins <= n_samples) & (total > 0))


def _power(n):
    return 1 << (n - 1).bit_length()


def launch_constants(layout, n_samples):
    """constexpr arguments for this layout: padded widths, fields, and networks a block."""
    widths = list(layout.widths)
    if len(widths) > DEPTH + 1:
        raise Unsupported(f"widths: the triton backend takes at most {DEPTH} layers, got {widths}")
    fields = [layout.field(k) for k in range(len(widths) - 1)]
    heights = [_power(d) for d in widths[1:]]
    pad = [0] * (DEPTH + 1 - len(widths))
    names = [f"D{k}" for k in range(5)] + [f"F{k}" for k in range(4)] + [f"H{k}" for k in (1, 2, 3, 4)]
    values = [*widths, *pad, *fields, *pad, *heights, *pad]
    # 16 weight words a thread for the widest layer, at least a warp of networks.
    nets = max(32, min(64, 512 // max(heights)))
    return dict(zip(names, values, strict=True)) | {
        "BIAS": layout.bias, "SCALED": layout.scaled, "BITS": layout.bits, "NETS": nets,
        "REPEAT": REPEAT, "BINS": _power(n_samples + 1),
    }


def search(x, y, layout, n_nets, seed, start, keep):
    """Same contract as reference.search; at most four layers."""
    device, n = x.device, len(y)
    constants = launch_constants(layout, n)
    place = torch.arange(x.shape[1], device=device)
    both = (x.long() << place).sum(dim=1)
    words = torch.stack([both & 0xFFFFFFFF, (both >> 32) & 0xFFFFFFFF], dim=1).contiguous()
    target = y.to(torch.int32)
    counts = torch.zeros(n + 1, dtype=torch.int64, device=device)
    nets, found, kept = constants["NETS"], [], 0
    for first in range(0, n_nets, LAUNCH):
        size = min(LAUNCH, n_nets - first)
        blocks = triton.cdiv(size, nets)
        programs = triton.cdiv(blocks, REPEAT)
        hits = x.new_empty((programs * REPEAT,), dtype=torch.int32)
        _sign_nets_kernel[(programs,)](
            words, target, counts, hits, seed, start + first, size, n, **constants, NATIVE=x.is_cuda,
            num_warps=WARPS, enable_fp_fusion=False,
        )
        if kept < keep:  # look inside the first blocks that hold an interpolator
            some = hits.nonzero().flatten()
            enough = int((hits[some].cumsum(0) < keep - kept).sum()) + 1
            inside = (some[:enough, None] * nets + torch.arange(nets, device=device)).flatten()
            index = inside[inside < size] + start + first
            if index.numel():
                fits = reference.first_fails(seed, index, x, y, layout) == n
                found.append(index[fits])
                kept += int(fits.sum())
    return counts, reference.fill(found, keep, device)
