"""Block Kaczmarz steps on the CPU.

Given orders: four trajectories step together, so that the four sums of one row wait for each other no longer.
Greedy orders: a trajectory keeps the coordinates a = V e - c of all tasks and updates them by the products V V_m^T of
the tasks' rows, T r^2 operations a step where a fresh V e takes T r d. They are computed afresh after EVERY steps and
when |e| has halved, so their error stays that of a fresh V e, a rounding of |e|; and a step itself always uses a
fresh V_m e. Where these products do not fit, or would cost more than they save, trajectories step in groups and V e
is a matrix product for each group.
"""

import math
from threading import local

import numpy as np
import torch

from implicitly_kernels import _memory, _threads
from implicitly_kernels._jit import cached_njit
from implicitly_kernels.kaczmarz._tables import GIVEN, RIDGE, filters, loss_rows, slots, twins, weights

VECTOR = 64  # bytes; rows are padded to whole vectors
LANES = 4  # trajectories that step together
EVERY = 64
PRODUCTS = 1 << 27  # bytes of the tasks' products, at most
GROUP = 128  # trajectories of one matrix product

jit = cached_njit(nogil=True, boundscheck=False, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})


@jit
def _dot(v, e):
    s = v.dtype.type(0)
    for j in range(v.size):
        s += v[j] * e[j]
    return s


@jit
def _factor(kind, entry, strength):
    """g of one direction: its entry of the table, or what the step's strength makes of it."""
    if kind == GIVEN:
        return entry
    if kind == RIDGE:
        return entry / (entry + strength) if entry > 0 else entry
    return -math.expm1(strength * entry)


@jit
def _move(e, b, basis, m, i, y):
    for j in range(e.shape[1]):
        e[b, j] -= y * basis[m, i, j]


@jit
def _loss(e, rows, offsets):
    s = e.dtype.type(0)
    for i in range(rows.shape[0]):
        x = _dot(rows[i], e) - offsets[i]
        s += x * x
    return e.dtype.type(0.5) * s


@jit
def _given(e, basis, shift, kind, table, strength, order, slot, rows, offsets, lengths, loss, first, last, begin, end,
           final):
    """Steps begin..end-1 of lanes first..last-1, each LANES trajectories, in place."""
    r, d = basis.shape[1], e.shape[1]
    move = np.zeros((LANES, r), e.dtype)
    o = e.dtype.type(0)
    for lane in range(first, last):
        b = LANES * lane
        for t in range(begin, end + 1 if final else end):
            if slot[t] >= 0:
                for q in range(LANES):
                    loss[b + q, slot[t]] = _loss(e[b + q], rows, offsets)
            if t == end:
                break
            m0, m1, m2, m3 = order[b, t], order[b + 1, t], order[b + 2, t], order[b + 3, t]
            h = strength[t] if kind != GIVEN else o
            for i in range(r):
                s0, s1, s2, s3 = o, o, o, o
                for j in range(d):
                    s0 += basis[m0, i, j] * e[b, j]
                    s1 += basis[m1, i, j] * e[b + 1, j]
                    s2 += basis[m2, i, j] * e[b + 2, j]
                    s3 += basis[m3, i, j] * e[b + 3, j]
                move[0, i] = _factor(kind, table[m0, i], h) * (s0 - shift[m0, i])
                move[1, i] = _factor(kind, table[m1, i], h) * (s1 - shift[m1, i])
                move[2, i] = _factor(kind, table[m2, i], h) * (s2 - shift[m2, i])
                move[3, i] = _factor(kind, table[m3, i], h) * (s3 - shift[m3, i])
            for q in range(LANES):
                lengths[b + q, t] = _dot(move[q], move[q])
            for i in range(r):
                _move(e, b, basis, m0, i, move[0, i])
                _move(e, b + 1, basis, m1, i, move[1, i])
                _move(e, b + 2, basis, m2, i, move[2, i])
                _move(e, b + 3, basis, m3, i, move[3, i])


@jit
def _coordinates(a, e, basis, shift):
    """a[i, m] = (V_m e - c_m)_i, as (r, T padded)."""
    for m in range(basis.shape[0]):
        for i in range(basis.shape[1]):
            a[i, m] = _dot(basis[m, i], e) - shift[m, i]


@jit
def _update(a, products, m, move):
    """a -= V V_m^T move."""
    i = 0
    while i < move.size:
        if i + 3 < move.size:
            y0, y1, y2, y3 = move[i], move[i + 1], move[i + 2], move[i + 3]
            for j in range(a.size):
                a[j] -= (y0 * products[m, i, j] + y1 * products[m, i + 1, j]) + (
                    y2 * products[m, i + 2, j] + y3 * products[m, i + 3, j])
            i += 4
        else:
            y0 = move[i]
            for j in range(a.size):
                a[j] -= y0 * products[m, i, j]
            i += 1


@jit
def _scores(a, weight, same, closed, s):
    """Scores of the coordinates a (r, T padded), by weights that are negative for the nearest; closed: 0 or -inf."""
    x, w = a[0], weight[0]
    for m in range(s.size):
        s[m] = w[m] * (x[m] * x[m])
    for i in range(1, a.shape[0]):
        x, w = a[i], weight[i]
        for m in range(s.size):
            s[m] += w[m] * (x[m] * x[m])
    for m in range(same.size):
        s[m] = s[same[m]]
    for m in range(s.size):
        s[m] += closed[m]


# The arguments' squares are in the range of floats, so there is no NaN; with "nnan" the maximum is one of vectors.
@cached_njit(nogil=True, boundscheck=False, error_model="numpy", fastmath={"nnan", "nsz"})
def _largest(s):
    t = s[0]
    for m in range(s.size):
        t = s[m] if s[m] > t else t
    return t


@jit
def _first(s, value):
    for m in range(s.size):
        if s[m] == value:
            return m
    return 0


@jit
def _greedy(e, basis, shift, kind, table, strength, weight, repetition, same, products, every, a, closed, kept,
            order, slot, rows, offsets, lengths, loss, first, last, begin, end, final):
    """Steps begin..end-1 of trajectories first..last-1, in place.

    every > 0: one trajectory after the other uses a[0], the coordinates of all tasks, closed[0], and kept, the |e|^2
    when they were computed afresh and the steps until they are again. every = 0: a[b - first] and closed[b - first]
    are of trajectory b, a is fresh at `begin`, and there is at most one step.
    """
    T, r = basis.shape[:2]
    o = e.dtype.type(0)
    move = np.zeros(r, e.dtype)
    s = np.zeros(a.shape[2], e.dtype)
    for b in range(first, last):
        mine = 0 if every > 0 else b - first
        x, shut = a[mine], closed[mine]
        if every > 0 and begin == 0:
            shut[:T] = 0
            kept[1] = 0
        for t in range(begin, end + 1 if final else end):
            if slot[t] >= 0:
                loss[b, slot[t]] = _loss(e[b], rows, offsets)
            if t == end:
                break
            if every > 0:
                size = _dot(e[b], e[b])
                if kept[1] <= 0 or 4 * size < kept[0]:
                    _coordinates(x, e[b], basis, shift)
                    kept[0] = size
                    kept[1] = every
                kept[1] -= 1
            _scores(x, weight, same, shut, s)
            m = _first(s, _largest(s))
            order[b, t] = m
            if not repetition:
                shut[m] = -np.inf
            h = strength[t] if kind != GIVEN else o
            for i in range(r):
                move[i] = _factor(kind, table[m, i], h) * (_dot(basis[m, i], e[b]) - shift[m, i])
            lengths[b, t] = _dot(move, move)
            for i in range(r):
                _move(e, b, basis, m, i, move[i])
            if every > 0:
                _update(x.reshape(x.size), products, m, move)


def _padded(t, *shape):
    """t's numbers at the front of zeros of this shape."""
    out = torch.zeros(shape, dtype=t.dtype)
    out[tuple(slice(n) for n in t.shape)] = t
    return out


def _products_pay(B, T, r, d, steps, size):
    """Whether the products of the tasks' rows fit, and save more than they cost (a matrix product is twice as fast)."""
    return (T * r) ** 2 * size <= PRODUCTS and 2 * B * steps * (d - 2 * r - d / EVERY) > T * r * d


def run(e, basis, s2, shift, order, strength, rule, repetition, steps, filter, gamma, record):
    """Same contract as reference.run."""
    (B, d), (T, r) = e.shape, basis.shape[:2]
    number = np.float32 if e.dtype == torch.float32 else np.float64
    wide = lambda n: -(-n * e.element_size() // VECTOR) * VECTOR // e.element_size()  # noqa: E731
    kind, table, strength = filters(s2, filter, strength, gamma)
    slot, places = slots(record, steps)
    if record:
        rows, offsets = loss_rows(basis, s2, shift)
    else:
        rows, offsets = e.new_zeros((0, d)), e.new_zeros((0,))
    V = _padded(basis, T, r, wide(d))
    common = (slot.numpy(), _padded(rows, len(rows), wide(d)).numpy(), offsets.contiguous().numpy())
    task = (V.numpy(), shift.numpy(), kind, table.numpy(), strength.numpy())
    many = -(-B // LANES) * LANES
    state = _padded(e, many, wide(d))
    lengths, loss = _memory.empty((many, steps), number), _memory.empty((many, max(places, default=-1) + 1), number)
    out = (lengths, loss)
    work = 4 * r * d + 2 * rows.numel() * len(set(places)) // max(1, steps)
    if rule:
        taken = _memory.empty((B, steps), np.int64)
        _rules(state, V, task, (taken, *common, *out), shift, weights(s2, rule), rule == "nearest", repetition,
               twins(basis, s2, shift), B, steps, work, wide(T))  # fmt: skip
        taken = torch.from_numpy(taken)
    else:
        taken, lanes = order, _padded(order, many, steps).numpy()

        def part(first, last, begin, end):
            _given(state.numpy(), *task, lanes, *common, *out, first, last, begin, end, end == steps)

        _threads.share(part, many // LANES, steps, LANES * work)
    lengths, loss = torch.from_numpy(lengths[:B]), torch.from_numpy(loss[:B])
    return state[:B, :d].contiguous(), taken, lengths, loss[:, places]


def _rules(state, V, task, out, shift, weight, nearest, repetition, same, B, steps, work, width):
    """Greedy orders, in place; `width`: the tasks, padded."""
    (T, r, d), number = V.shape, task[0].dtype.type
    sides = _padded(V.permute(2, 1, 0), d, r, width).reshape(d, r * width)  # [d, rank, task]
    here = torch.arange(T)
    alike = (same if (same != here).any() else here[:0]).numpy()
    rule = (_padded(-weight.T if nearest else weight.T, r, width).numpy(), repetition, alike)
    keep = local()

    def fresh(count):
        keep.a = torch.zeros((count, r, width), dtype=V.dtype)
        keep.closed = np.full((count, width), -np.inf, number)
        keep.closed[:, :T] = 0

    def go(every, *rest):
        _greedy(state.numpy(), *task, *rule, products, every, keep.a.numpy(), keep.closed, keep.kept, *out, *rest)

    if _products_pay(B, T, r, d, steps, V.element_size()):
        products = (V.reshape(T * r, d) @ sides).reshape(T, r, r * width).numpy()

        def part(first, last, begin, end):
            if begin == 0:
                fresh(1)
                keep.kept = np.zeros(2, number)
            go(EVERY, first, last, begin, end, end == steps)

        _threads.share(part, B, steps, work + 2 * T * r * (r + d // EVERY))
        return
    shifted = bool(shift.any())
    products, offset = np.zeros((1, 1, 1), number), _padded(shift.T, r, width).reshape(-1)

    def part(first, last, begin, end):
        keep.kept = np.zeros(2, number)
        for group in range(first, last):
            low, high = GROUP * group, min(B, GROUP * group + GROUP)
            if begin == 0:
                fresh(high - low)
            flat = keep.a.reshape(high - low, r * width)
            for t in range(begin, end):
                torch.mm(state[low:high], sides, out=flat)
                if shifted:
                    flat -= offset
                go(0, low, high, t, t + 1, False)
            if end == steps:
                go(0, low, high, end, end, True)

    _threads.share(part, -(-B // GROUP), steps, GROUP * (work + 2 * T * r * d))
