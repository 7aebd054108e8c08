"""What happens on the way to a sum of a narrow accumulator, on the CPU: its events, its trace, and gradients that
follow them. The additions of a block of outputs, in float64.
"""

import numpy as np
import torch

from implicitly_kernels import _memory, _threads
from implicitly_kernels._jit import cached_njit
from implicitly_kernels.lba_gemm._form import CLIPPED, OVERFLOW, SWAMPED, UNCHANGED, UNDERFLOW, Form
from implicitly_kernels.lba_gemm._numba_rounding import (
    CUT,
    LANES,
    NEAR,
    ODD,
    ODD_NEAR,
    add,
    constants,
    jit,
    lanes_of,
    packed_rows,
    quantize,
    variant,
)


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
                    p = quantize(a * b[j], mask, drop, high, low, near, True)
                    old = s[j]
                    new = quantize(add(p, old, odd), mask, drop, top, least, near, True)
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
                new = quantize(add(old, s[j], odd), mask, drop, top, least, near, True)
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
    lanes, limits = lanes_of(w.shape[1], lanes), constants(form, np.float64)
    (m, K), n = x.shape[1:], w.shape[1]
    blocks = -(-n // lanes)
    y = _memory.empty((len(x), m, blocks, lanes), np.float64)
    counts = np.zeros((len(x), 6, m, blocks, lanes), np.int64)
    for one, other, out, count in zip(x.contiguous().numpy(), w, y, counts, strict=True):
        packed = packed_rows(other, lanes).numpy()

        def part(first, last, begin, end, one=one, packed=packed, out=out, count=count):
            _EVENT_ROWS[_mode(form)](one, packed, first, last, form.chunk, *limits, out, count)

        _threads.share(part, m, work=64 * max(1, K) * blocks * lanes)
    cut = [torch.from_numpy(v).flatten(-2)[..., :n].contiguous() for v in (y, counts)]
    return cut[0].to(given), cut[1]


def trace(x, w, form):
    """Same contract as reference.trace."""
    form, given = Form(*form), x.dtype
    limits, (B, K) = constants(form, np.float64), x.shape
    chunks = -(-K // form.chunk)
    sums, totals = _memory.empty((B, K), np.float64), _memory.empty((B, chunks), np.float64)
    codes, chunk_codes = _memory.empty((B, K), np.uint8), _memory.empty((B, chunks), np.uint8)
    x, w = (v.double().contiguous().numpy() for v in (x, w))

    def part(first, last, begin, end):
        for i in range(first, last):
            out = (v[i][:, None] for v in (codes, chunk_codes, sums, totals))
            RECORD[_mode(form)](x[i], w[i][:, None], form.chunk, *limits, np.empty(1), np.empty(1), *out)

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
    lanes, limits = lanes_of(w.shape[1], lanes), constants(form, np.float64)
    (m, K), n = x.shape[1:], w.shape[1]
    dx, rule = _memory.empty(x.shape, np.float64), RULES[gradient]
    for one, other, down, out in zip(x.contiguous().numpy(), w, dy, dx, strict=True):
        packed = packed_rows(other, lanes).numpy()
        padded = torch.nn.functional.pad(down, (0, -n % lanes)).view(m, len(packed), lanes).numpy()

        def part(first, last, begin, end, one=one, packed=packed, padded=padded, out=out):
            _BACKWARD_ROWS[_mode(form)](one, packed, padded, first, last, rule, form.chunk, *limits, out)

        _threads.share(part, m, work=96 * max(1, K) * len(packed) * lanes)
    return torch.from_numpy(dx).to(given)
