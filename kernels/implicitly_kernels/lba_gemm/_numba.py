"""Narrow accumulators on the CPU: a block of outputs at a time, side by side in vector registers.

A row of x meets a block of rows of w, which lies transposed, so that neighbours in memory are neighbours in the
output: the chain of one output is sequential, those of a block are not. A pass over the block takes one k, and sums
go through memory in between: with more k in a pass, fewer chains would be under way at once, and their latency would
show. Each variant of the arithmetic is a loop of its own, without a branch.
"""

import numba
import numpy as np
import torch

from implicitly_kernels import _memory, _threads
from implicitly_kernels.lba_gemm._form import Form
from implicitly_kernels.lba_gemm._numba_events import backward as backward
from implicitly_kernels.lba_gemm._numba_events import events as events
from implicitly_kernels.lba_gemm._numba_events import trace as trace
from implicitly_kernels.lba_gemm._numba_rounding import (
    CUT,
    CUT_CLIP,
    LANES,
    NEAR,
    ODD,
    ODD_NEAR,
    add,
    constants,
    lanes_of,
    packed_rows,
    quantize,
    variant,
)


@numba.njit(inline="always")
def _step(s, a, b, mask, drop, high, low, top, least, near, clip, odd):
    p = quantize(a * b, mask, drop, high, low, near, clip)
    return quantize(add(p, s, odd), mask, drop, top, least, near, True)


def _loops(near, clip, odd):
    """The additions of a chunk (k from first to last - 1) to sums s, and of a chunk to totals t.

    clip: whether products may come to their largest magnitude.
    """

    @variant(near, clip, odd)
    def chunk(s, x, w, first, last, mask, drop, high, low, top, least):
        for k in range(first, last):
            a, b = x[k], w[k]
            for j in range(s.size):
                s[j] = _step(s[j], a, b[j], mask, drop, high, low, top, least, near, clip, odd)

    return chunk


def _totals(near, odd):
    @variant(near, odd)
    def close(t, s, mask, drop, top, least):
        for j in range(s.size):
            t[j] = quantize(add(t[j], s[j], odd), mask, drop, top, least, near, True)

    return close


_cut_chunk, _cut_clip_chunk, _near_chunk = (_loops(*f, False) for f in ((False, False), (False, True), (True, True)))
_odd_chunk, _odd_near_chunk = _loops(False, True, True), _loops(True, True, True)
_cut_close, _near_close = _totals(False, False), _totals(True, False)
_odd_close, _odd_near_close = _totals(False, True), _totals(True, True)


def _rows(mode):
    """The outputs of rows begin..end-1: x (rows, K), w (blocks, K, lanes), y (rows, blocks, lanes)."""

    @variant(mode)
    def rows(x, w, begin, end, size, mask, drop, high, low, top, least, s, y):
        K = x.shape[1]
        for i in range(begin, end):
            X = x[i]
            for q in range(w.shape[0]):
                W, t = w[q], y[i, q]
                t[:] = 0
                for first in range(0, K, size):
                    s[:] = 0
                    last = min(first + size, K)
                    if mode == CUT:
                        _cut_chunk(s, X, W, first, last, mask, drop, high, low, top, least)
                        _cut_close(t, s, mask, drop, top, least)
                    elif mode == CUT_CLIP:
                        _cut_clip_chunk(s, X, W, first, last, mask, drop, high, low, top, least)
                        _cut_close(t, s, mask, drop, top, least)
                    elif mode == NEAR:
                        _near_chunk(s, X, W, first, last, mask, drop, high, low, top, least)
                        _near_close(t, s, mask, drop, top, least)
                    elif mode == ODD:
                        _odd_chunk(s, X, W, first, last, mask, drop, high, low, top, least)
                        _odd_close(t, s, mask, drop, top, least)
                    else:
                        _odd_near_chunk(s, X, W, first, last, mask, drop, high, low, top, least)
                        _odd_near_close(t, s, mask, drop, top, least)

    return rows


_ROWS = [_rows(mode) for mode in range(5)]


def forward(x, w, form, path, most, lanes=LANES):
    """Same contract as reference.forward. lanes: the size of a block, a multiple of 8."""
    form, given = Form(*form), x.dtype
    if w.shape[1] < lanes and x.shape[1] > w.shape[1]:  # products commute: the longer side goes into the lanes
        return forward(w, x, form, path, most, lanes).mT.contiguous()
    lanes = lanes_of(w.shape[1], lanes)
    dtype = np.float32 if path == "single" else np.float64
    if path != "single":
        x, w = x.double(), w.double()
    limits = constants(form, dtype)
    if path == "odd":
        mode = ODD_NEAR if form.nearest else ODD
    else:
        mode = NEAR if form.nearest else CUT if most < limits[2] else CUT_CLIP
    K, blocks = x.shape[2], -(-w.shape[1] // lanes)
    y = _memory.empty((*x.shape[:2], blocks, lanes), dtype)
    for one, other, out in zip(x.contiguous().numpy(), w, y, strict=True):
        packed = packed_rows(other, lanes).numpy()

        def part(first, last, begin, end, one=one, packed=packed, out=out):
            _ROWS[mode](one, packed, first, last, form.chunk, *limits, np.empty(lanes, dtype), out)

        _threads.share(part, len(one), work=16 * max(1, K) * blocks * lanes)
    return torch.from_numpy(y).flatten(2)[:, :, :w.shape[1]].to(given).contiguous()
