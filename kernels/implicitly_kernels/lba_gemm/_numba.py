"""Narrow accumulators on the CPU: a block of outputs at a time, side by side in vector registers.

A row of x meets a block of rows of w, which lies transposed, so that neighbours in memory are neighbours in the
output: the chain of one output is sequential, those of a block are not. A pass over the block takes one k, and sums
go through memory in between: with more k in a pass, fewer chains would be under way at once, and their latency would
show. Each variant of the arithmetic is a loop of its own, without a branch.
"""

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from implicitly_kernels import _memory, _threads
from implicitly_kernels._jit import cached_njit
from implicitly_kernels.lba_gemm._form import CLIPPED, OVERFLOW, SWAMPED, UNCHANGED, UNDERFLOW, Form

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
def _sum(a, b, odd):
    v = a + b
    if odd:
        back = v - a
        v = _odd(v, (a - (v - back)) + (b - back))
    return v


@numba.njit(inline="always")
def _quantize(v, mask, drop, top, least, near, clip):
    v = _near(v, mask, drop) if near else _cut(v, mask)
    if clip:
        v = _clip(v, top)
    return _flush(v, least)


@numba.njit(inline="always")
def _step(s, a, b, mask, drop, high, low, top, least, near, clip, odd):
    p = _quantize(a * b, mask, drop, high, low, near, clip)
    return _quantize(_sum(p, s, odd), mask, drop, top, least, near, True)


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
            t[j] = _quantize(_sum(t[j], s[j], odd), mask, drop, top, least, near, True)

    return close


_cut_chunk, _cut_clip_chunk, _near_chunk = (_loops(*f, False) for f in ((False, False), (False, True), (True, True)))
_odd_chunk, _odd_near_chunk = _loops(False, True, True), _loops(True, True, True)
_cut_close, _near_close = _totals(False, False), _totals(True, False)
_odd_close, _odd_near_close = _totals(False, True), _totals(True, True)
CUT, CUT_CLIP, NEAR, ODD, ODD_NEAR = range(5)


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


def _packed(w, lanes):
    """w (n, K) as (blocks, K, lanes), with rows of zeros at the end."""
    n, K = w.shape
    blocks = -(-n // lanes)
    out = w.new_zeros((blocks * lanes, K))
    out[:n] = w
    return out.view(blocks, lanes, K).transpose(1, 2).contiguous()


def _constants(form, dtype):
    """mask, drop, and the limits, as scalars of numpy."""
    word, digits = WORDS[dtype]
    drop = digits - form.mantissa
    mask = ~((1 << drop) - 1) & ((1 << (8 * word().itemsize)) - 1)
    return word(mask), word(drop), *(dtype(v) for v in form.table())


def _lanes(rows, lanes):
    """Outputs of a block: a few less where there are not as many."""
    return min(lanes, -(-max(1, rows) // 8) * 8)


def forward(x, w, form, path, most, lanes=LANES):
    """Same contract as reference.forward. lanes: the size of a block, a multiple of 8."""
    form, given = Form(*form), x.dtype
    if w.shape[1] < lanes and x.shape[1] > w.shape[1]:  # products commute: the longer side goes into the lanes
        return forward(w, x, form, path, most, lanes).mT.contiguous()
    lanes = _lanes(w.shape[1], lanes)
    dtype = np.float32 if path == "single" else np.float64
    if path != "single":
        x, w = x.double(), w.double()
    constants = _constants(form, dtype)
    if path == "odd":
        mode = ODD_NEAR if form.nearest else ODD
    else:
        mode = NEAR if form.nearest else CUT if most < constants[2] else CUT_CLIP
    K, blocks = x.shape[2], -(-w.shape[1] // lanes)
    y = _memory.empty((*x.shape[:2], blocks, lanes), dtype)
    for one, other, out in zip(x.contiguous().numpy(), w, y, strict=True):
        packed = _packed(other, lanes).numpy()

        def part(first, last, begin, end, one=one, packed=packed, out=out):
            _ROWS[mode](one, packed, first, last, form.chunk, *constants, np.empty(lanes, dtype), out)

        _threads.share(part, len(one), work=16 * max(1, K) * blocks * lanes)
    return torch.from_numpy(y).flatten(2)[:, :, :w.shape[1]].to(given).contiguous()


# --- what happened on the way ------------------------------------------------------------------------------------


def _recorders(near, odd):
    """The additions of one block of outputs, in float64, with their events."""

    @variant(near, odd)
    def record(x, w, size, mask, drop, high, low, top, least, s, t, codes, chunk_codes, sums, totals):
        """x (K,), w (K, lanes); codes (K, lanes), chunk_codes (chunks, lanes); sums and totals like them, or empty."""
        K = len(x)
        t[:] = 0
        for c in range(len(chunk_codes)):
            s[:] = 0
            for k in range(c * size, min(c * size + size, K)):
                a, b, code = x[k], w[k], codes[k]
                for j in range(s.size):
                    p = _quantize(a * b[j], mask, drop, high, low, near, True)
                    old = s[j]
                    new = _quantize(_sum(p, old, odd), mask, drop, top, least, near, True)
                    s[j] = new
                    found = OVERFLOW if abs(new) == top else 0
                    found |= UNDERFLOW if (p == 0) & (a != 0) & (b[j] != 0) else 0
                    found |= SWAMPED if (new == old) & (p != 0) else 0
                    found |= CLIPPED if abs(p) == high else 0
                    found |= UNCHANGED if new == old else 0
                    code[j] = np.uint8(found)
                if len(sums):
                    sums[k] = s
            code = chunk_codes[c]
            for j in range(s.size):
                old = t[j]
                new = _quantize(_sum(old, s[j], odd), mask, drop, top, least, near, True)
                t[j] = new
                found = OVERFLOW if abs(new) == top else 0
                found |= SWAMPED if (new == old) & (s[j] != 0) else 0
                found |= UNCHANGED if new == old else 0
                code[j] = np.uint8(found)
            if len(totals):
                totals[c] = t

    return record


_cut_record, _near_record = _recorders(False, False), _recorders(True, False)
_odd_record, _both_record = _recorders(False, True), _recorders(True, True)
RECORD = {CUT: _cut_record, NEAR: _near_record, ODD: _odd_record, ODD_NEAR: _both_record}


def _mode(form):
    """How sums come out exactly in float64."""
    if form.safe(53):
        return NEAR if form.nearest else CUT
    return ODD_NEAR if form.nearest else ODD


@jit
def _add_bits(codes, bit, count):
    for k in range(len(codes)):
        code = codes[k]
        for j in range(count.size):
            count[j] += (code[j] & bit) != 0


def _event_rows(mode):
    """Rows begin..end-1: x (rows, K), w (blocks, K, lanes), y (rows, blocks, lanes), counts (6, *y.shape)."""

    @variant(mode)
    def event_rows(x, w, begin, end, size, mask, drop, high, low, top, least, y, counts):
        K, lanes = w.shape[1:]
        codes, chunk_codes = np.empty((K, lanes), np.uint8), np.empty((-(-K // size), lanes), np.uint8)
        s, none = np.empty(lanes), np.empty((0, lanes))
        for i in range(begin, end):
            for q in range(len(w)):
                X, W, t = x[i], w[q], y[i, q]
                if mode == CUT:
                    _cut_record(X, W, size, mask, drop, high, low, top, least, s, t, codes, chunk_codes, none, none)
                elif mode == NEAR:
                    _near_record(X, W, size, mask, drop, high, low, top, least, s, t, codes, chunk_codes, none, none)
                elif mode == ODD:
                    _odd_record(X, W, size, mask, drop, high, low, top, least, s, t, codes, chunk_codes, none, none)
                else:
                    _both_record(X, W, size, mask, drop, high, low, top, least, s, t, codes, chunk_codes, none, none)
                for place in range(4):
                    _add_bits(codes, 1 << place, counts[place, i, q])
                _add_bits(chunk_codes, OVERFLOW, counts[4, i, q])
                _add_bits(chunk_codes, SWAMPED, counts[5, i, q])

    return event_rows


_EVENT_ROWS = {mode: _event_rows(mode) for mode in RECORD}


def events(x, w, form, lanes=LANES):
    """Same contract as reference.events."""
    form, given = Form(*form), x.dtype
    x, w = x.double(), w.double()
    lanes, constants = _lanes(w.shape[1], lanes), _constants(form, np.float64)
    (m, K), n = x.shape[1:], w.shape[1]
    blocks = -(-n // lanes)
    y = _memory.empty((len(x), m, blocks, lanes), np.float64)
    counts = np.zeros((len(x), 6, m, blocks, lanes), np.int64)
    for one, other, out, count in zip(x.contiguous().numpy(), w, y, counts, strict=True):
        packed = _packed(other, lanes).numpy()

        def part(first, last, begin, end, one=one, packed=packed, out=out, count=count):
            _EVENT_ROWS[_mode(form)](one, packed, first, last, form.chunk, *constants, out, count)

        _threads.share(part, m, work=64 * max(1, K) * blocks * lanes)
    cut = [torch.from_numpy(v).flatten(-2)[..., :n].contiguous() for v in (y, counts)]
    return cut[0].to(given), cut[1]


def trace(x, w, form):
    """Same contract as reference.trace."""
    form, given = Form(*form), x.dtype
    constants, (B, K) = _constants(form, np.float64), x.shape
    chunks = -(-K // form.chunk)
    sums, totals = _memory.empty((B, K), np.float64), _memory.empty((B, chunks), np.float64)
    codes, chunk_codes = _memory.empty((B, K), np.uint8), _memory.empty((B, chunks), np.uint8)
    x, w = (v.double().contiguous().numpy() for v in (x, w))

    def part(first, last, begin, end):
        for i in range(first, last):
            out = (v[i][:, None] for v in (codes, chunk_codes, sums, totals))
            RECORD[_mode(form)](x[i], w[i][:, None], form.chunk, *constants, np.empty(1), np.empty(1), *out)

    _threads.share(part, B, work=64 * max(1, K))
    sums, totals, codes, chunk_codes = (torch.from_numpy(v) for v in (sums, totals, codes, chunk_codes))
    return sums.to(given), totals.to(given), codes, chunk_codes


IMMEDIATE, RECURSIVE, CHANGE = range(3)
RULES = {"immediate-overflow": IMMEDIATE, "recursive-overflow": RECURSIVE, "immediate-change": CHANGE}


@jit
def _alive(code, rule, whole, alive):
    """The factor of a chunk, from the last one backwards. whole: what it is for those to come."""
    for j in range(alive.size):
        if rule == CHANGE:
            alive[j] = 0 if code[j] & UNCHANGED else 1
        else:
            alive[j] = 0 if code[j] & OVERFLOW else whole[j]
            whole[j] = alive[j] if rule == RECURSIVE else 1


@jit
def _factors(code, alive, rule, dy, g):
    """g: dy where a product's factor is 1. alive: 0 where the chunk, or what comes later, has cut it off."""
    if rule == CHANGE:
        for j in range(g.size):
            g[j] = dy[j] if (code[j] & UNCHANGED == 0) & (alive[j] != 0) else 0.0
        return
    if rule == RECURSIVE:
        for j in range(g.size):
            alive[j] = 0 if code[j] & OVERFLOW else alive[j]
    for j in range(g.size):
        g[j] = dy[j] if (code[j] & (OVERFLOW | CLIPPED) == 0) & (alive[j] != 0) else 0.0


@cached_njit(nogil=True, boundscheck=False, fastmath={"reassoc"})
def _dot(a, b):
    """In whatever order is fastest: this is no part of what is bit-exact."""
    total = 0.0
    for j in range(a.size):
        total += a[j] * b[j]
    return total


def _backward_rows(mode):
    """Rows begin..end-1: x (rows, K), w (blocks, K, lanes), dy (rows, blocks, lanes), dx (rows, K)."""

    @variant(mode)
    def backward_rows(x, w, dy, begin, end, rule, size, mask, drop, high, low, top, least, dx):
        K, lanes = w.shape[1:]
        chunks = -(-K // size)
        codes, chunk_codes = np.empty((K, lanes), np.uint8), np.empty((chunks, lanes), np.uint8)
        s, t, g, none = np.empty(lanes), np.empty(lanes), np.empty(lanes), np.empty((0, lanes))
        alive, whole = np.empty(lanes, np.uint8), np.empty(lanes, np.uint8)
        for i in range(begin, end):
            X, to = x[i], dx[i]
            to[:] = 0
            for q in range(len(w)):
                W, down = w[q], dy[i, q]
                if mode == CUT:
                    _cut_record(X, W, size, mask, drop, high, low, top, least, s, t, codes, chunk_codes, none, none)
                elif mode == NEAR:
                    _near_record(X, W, size, mask, drop, high, low, top, least, s, t, codes, chunk_codes, none, none)
                elif mode == ODD:
                    _odd_record(X, W, size, mask, drop, high, low, top, least, s, t, codes, chunk_codes, none, none)
                else:
                    _both_record(X, W, size, mask, drop, high, low, top, least, s, t, codes, chunk_codes, none, none)
                whole[:] = 1
                for c in range(chunks - 1, -1, -1):
                    _alive(chunk_codes[c], rule, whole, alive)
                    for k in range(min(c * size + size, K) - 1, c * size - 1, -1):
                        _factors(codes[k], alive, rule, down, g)
                        to[k] += _dot(g, W[k])

    return backward_rows


_BACKWARD_ROWS = {mode: _backward_rows(mode) for mode in RECORD}


def backward(x, w, dy, form, gradient, lanes=LANES):
    """Same contract as reference.backward."""
    form, given = Form(*form), x.dtype
    x, w, dy = x.double(), w.double(), dy.double()
    lanes, constants = _lanes(w.shape[1], lanes), _constants(form, np.float64)
    (m, K), n = x.shape[1:], w.shape[1]
    dx, rule = _memory.empty(x.shape, np.float64), RULES[gradient]
    for one, other, down, out in zip(x.contiguous().numpy(), w, dy, dx, strict=True):
        packed = _packed(other, lanes).numpy()
        padded = torch.nn.functional.pad(down, (0, -n % lanes)).view(m, len(packed), lanes).numpy()

        def part(first, last, begin, end, one=one, packed=packed, padded=padded, out=out):
            _BACKWARD_ROWS[_mode(form)](one, packed, padded, first, last, rule, form.chunk, *constants, out)

        _threads.share(part, m, work=96 * max(1, K) * len(packed) * lanes)
    return torch.from_numpy(dx).to(given)
