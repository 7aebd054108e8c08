"""Random threshold networks on the CPU: LANES networks side by side for the first samples, the few
that are left one by one.

Weights of a layer lie as [neuron][lane] words, so that the loops over lanes are XNOR, population
count, compare and shift on full vectors.
"""

import numpy as np
import torch
from numba.extending import intrinsic

from implicitly_kernels import _threads
from implicitly_kernels._jit import cached_njit
from implicitly_kernels._rng_numba import U32, U64, philox

LANES = 512
TOGETHER = 4  # samples for all lanes; one network in 16 is left after that
jit = cached_njit(nogil=True, boundscheck=False, error_model="numpy")


@intrinsic
def popcount(typingctx, word):
    """Bits set; LLVM's own instruction (a shift-and-mask count costs twelve times as much)."""
    def codegen(context, builder, signature, args):
        return builder.ctpop(args[0])
    return word(word), codegen


@jit
def _draw(seed_low, seed_high, first, step, draw, planes):
    w0, w1, w2, w3 = planes[0], planes[1], planes[2], planes[3]
    for l in range(w0.size):
        e = first + U64(l)
        a, b, c, d = philox(seed_low, seed_high, U32(e & U64(0xFFFFFFFF)), U32(e >> U64(32)),
                            U32(step), U32(draw))
        w0[l] = a
        w1[l] = b
        w2[l] = c
        w3[l] = d


@jit
def _field(plane, shift, mask, out):
    for l in range(out.size):
        out[l] = (plane[l] >> U32(shift)) & U32(mask)


@jit
def _both(low, high, mask, out):
    for l in range(out.size):
        out[l] = (U64(low[l]) | (U64(high[l]) << U64(32))) & U64(mask)


@jit
def _bias_scale(plane, bias, scaled, b, g):
    levels = U64(2 * bias + 1)
    n = levels * U64(3) if scaled else levels
    for l in range(b.size):
        r = (U64(plane[l]) * n) >> U64(32)
        b[l] = np.int32(r % levels) - np.int32(bias)
        g[l] = np.int32(r // levels) - np.int32(1) if scaled else np.int32(1)


@jit
def _make(seed_low, seed_high, first, layer, d_in, d_out, field, bias, scaled, planes, w, b, g):
    """Weights w (d_out, LANES), biases and scales of one layer of networks first, first+1, ..."""
    mask = U64(0xFFFFFFFFFFFFFFFF) >> U64(64 - d_in)
    words = (d_out * field + 31) // 32
    for draw in range((words + 3) // 4):
        _draw(seed_low, seed_high, first, 2 * layer, draw, planes)
        if field == 64:
            for half in range(2):
                if 2 * draw + half < d_out:
                    _both(planes[2 * half], planes[2 * half + 1], mask, w[2 * draw + half])
        else:
            per = 32 // field
            for j in range(4):
                for f in range(per):
                    k = (4 * draw + j) * per + f
                    if k < d_out:
                        _field(planes[j], f * field, mask, w[k])
    if bias > 0 or scaled:
        for draw in range((d_out + 3) // 4):
            _draw(seed_low, seed_high, first, 2 * layer + 1, draw, planes)
            for j in range(4):
                if 4 * draw + j < d_out:
                    _bias_scale(planes[j], bias, scaled, b[4 * draw + j], g[4 * draw + j])


@jit
def _plain_signs(w, a, d, k, out):
    for l in range(out.size):
        t = popcount(w[l] ^ a[l])
        out[l] |= (w.dtype.type(1) if t + t <= d else w.dtype.type(0)) << w.dtype.type(k)


@jit
def _plain_bits(out, k):
    for l in range(out.size):  # a sum of 0/1 products is never negative
        out[l] |= out.dtype.type(1) << out.dtype.type(k)


@jit
def _signs(w, a, d, b, g, k, out):
    for l in range(out.size):
        s = np.int32(d) - np.int32(2) * np.int32(popcount(w[l] ^ a[l]))
        on = g[l] * s + b[l] >= 0
        out[l] |= (w.dtype.type(1) if on else w.dtype.type(0)) << w.dtype.type(k)


@jit
def _bits(w, a, b, g, k, out):
    for l in range(out.size):
        on = g[l] * np.int32(popcount(w[l] & a[l])) + b[l] >= 0
        out[l] |= (w.dtype.type(1) if on else w.dtype.type(0)) << w.dtype.type(k)


@jit
def _layer(w, b, g, a, d_in, d_out, general, bits, out):
    """Outputs of one layer of every lane, neuron k in bit k."""
    for l in range(out.size):
        out[l] = 0
    for k in range(d_out):
        if general and bits:
            _bits(w[k], a, b[k], g[k], k, out)
        elif general:
            _signs(w[k], a, d_in, b[k], g[k], k, out)
        elif bits:
            _plain_bits(out, k)
        else:
            _plain_signs(w[k], a, d_in, k, out)


@jit
def _one(w, b, g, widths, general, bits, lane, a):
    """Output bit of the network in one lane at one input word."""
    for layer in range(widths.size - 1):
        out = w.dtype.type(0)
        for k in range(widths[layer + 1]):
            if bits:
                s = np.int32(popcount(w[layer, k, lane] & a))
            else:
                s = np.int32(widths[layer]) - np.int32(2) * np.int32(
                    popcount(w[layer, k, lane] ^ a))
            if general:
                s = g[layer, k, lane] * s + b[layer, k, lane]
            if s >= 0:
                out |= w.dtype.type(1) << w.dtype.type(k)
        a = out
    return a


@jit
def _deaths(out, y, sample, alive):
    """Mark lanes whose output differs from y; returns how many died now."""
    dead = 0
    for l in range(out.size):
        wrong = U32(1) if out[l] != y else U32(0)
        dead += np.int32(alive[l] & wrong)
        alive[l] = alive[l] & (wrong ^ U32(1))
    return dead


@jit
def _search(xs, ys, widths, fields, bias, scaled, bits, n_nets, seed_low, seed_high, start,
            lanes, together, counts, found, kept):
    """Adds to counts, writes to found from place `kept` on; the next free place."""
    depth, widest, n = widths.size - 1, widths.max(), xs.size
    general = bias > 0 or scaled
    planes = np.empty((4, lanes), np.uint32)
    w = np.zeros((depth, widest, lanes), xs.dtype)
    b = np.zeros((depth, widest, lanes), np.int32)
    g = np.ones((depth, widest, lanes), np.int32)
    a = np.empty(lanes, xs.dtype)
    out = np.empty(lanes, xs.dtype)
    alive = np.empty(lanes, np.uint32)
    for first in range(0, n_nets, lanes):
        count = min(lanes, n_nets - first)
        for layer in range(depth):
            _make(seed_low, seed_high, U64(start + first), layer, widths[layer],
                  widths[layer + 1], fields[layer], bias, scaled, planes, w[layer], b[layer],
                  g[layer])
        for l in range(lanes):
            alive[l] = U32(1) if l < count else U32(0)
        early = min(n, together)
        for s in range(early):
            a[:] = xs[s]
            for layer in range(depth):
                _layer(w[layer], b[layer], g[layer], a, widths[layer], widths[layer + 1],
                       general, bits, out)
                a, out = out, a
            counts[s] += _deaths(a, ys[s], s, alive)
        for l in range(count):
            if alive[l] == U32(0):
                continue
            s = early
            while s < n and _one(w, b, g, widths, general, bits, l, xs[s]) == ys[s]:
                s += 1
            counts[s] += 1
            if s == n and kept < found.size:
                found[kept] = start + first + l
                kept += 1
    return kept


def search(x, y, layout, n_nets, seed, start, keep):
    """Same contract as reference.search."""
    number = np.uint32 if max(layout.widths) <= 32 else np.uint64
    place = torch.arange(x.shape[1])
    words = (x.long() << place).sum(dim=1).numpy().astype(number)
    counts = np.zeros(len(y) + 1, np.int64)
    found = np.full(keep, -1, np.int64)
    fields = np.array([layout.field(k) for k in range(len(layout.widths) - 1)], np.int64)
    labels, widths, kept = y.numpy().astype(number), np.array(layout.widths, np.int64), 0
    # Drawing the weights and a few samples for LANES networks; all samples, if all of them fit.
    neurons = sum(layout.widths[1:])
    work = LANES * (max(layout.widths) + neurons * (10 + 8 * TOGETHER + len(y)))
    for first, last, _, _ in _threads.pieces(0, -(-n_nets // LANES), 1, work):
        kept = _search(
            words, labels, widths, fields, layout.bias, layout.scaled, layout.bits,
            min(last * LANES, n_nets) - first * LANES, np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32),
            start + first * LANES, LANES, TOGETHER, counts, found, kept,
        )
    return torch.from_numpy(counts), torch.from_numpy(found)
