"""The flow on the CPU: three vectors of particles side by side, which stay in cache for all their steps."""

import numpy as np
import torch

from implicitly_kernels import _memory, _threads
from implicitly_kernels._jit import cached_njit
from implicitly_kernels._vector import WIDTH, at_least, at_most, load, spread, store
from implicitly_kernels.relu_flow._coordinates import finish, prepare, saves

SIDE = 3  # vectors side by side: with four rows of the Gram matrix, twelve sums, as many as the oldest CPUs can hold
U = np.uint64  # offsets: numba would look at each signed one, whether it is negative
jit = cached_njit(nogil=True, boundscheck=False, error_model="numpy",
                 fastmath={"contract", "nnan", "nsz"})


@jit
def _ramps(c, slope, shift, length, lanes, p):
    for i in range(slope.size):
        s, t, top = slope[i], shift[i], length[i]
        for v in range(SIDE):
            at = U(i * SIDE + v) * lanes
            store(p, at, at_most(at_least(load(c, at) * s - t, c.dtype.type(0)), top))


@jit
def _euler(c, w, p, g, h, slope, shift, length, lanes):
    """c and w one step on, given g = gram @ p, and the ramps p of the next step: one pass over memory."""
    keep = c.dtype.type(1) - h
    for i in range(slope.size):
        s, t, top = slope[i], shift[i], length[i]
        for v in range(SIDE):
            at = U(i * SIDE + v) * lanes
            now = load(c, at) * keep + load(g, at) * h
            store(c, at, now)
            store(w, at, load(w, at) * keep + load(p, at) * h)
            store(p, at, at_most(at_least(now * s - t, c.dtype.type(0)), top))


@jit
def _gram_times(gram, p, lanes, out):
    """out = gram @ p, for gram (m, m) with m a multiple of four, p and out (m * SIDE * lanes,)."""
    m = gram.shape[0]
    line = U(SIDE) * lanes
    zero = spread(p.dtype.type(0))
    for i in range(0, m, 4):
        ga, gb, gc, gd = gram[i], gram[i + 1], gram[i + 2], gram[i + 3]
        a0, a1, a2, b0, b1, b2 = zero, zero, zero, zero, zero, zero
        c0, c1, c2, d0, d1, d2 = zero, zero, zero, zero, zero, zero
        for j in range(m):
            at = U(j) * line
            p0, p1, p2 = load(p, at), load(p, at + lanes), load(p, at + lanes + lanes)
            v = ga[U(j)]
            a0, a1, a2 = a0 + p0 * v, a1 + p1 * v, a2 + p2 * v
            v = gb[U(j)]
            b0, b1, b2 = b0 + p0 * v, b1 + p1 * v, b2 + p2 * v
            v = gc[U(j)]
            c0, c1, c2 = c0 + p0 * v, c1 + p1 * v, c2 + p2 * v
            v = gd[U(j)]
            d0, d1, d2 = d0 + p0 * v, d1 + p1 * v, d2 + p2 * v
        at = U(i) * line
        for one in (a0, a1, a2, b0, b1, b2, c0, c1, c2, d0, d1, d2):
            store(out, at, one)
            at += lanes


@jit
def _blend(out, x, fx, y, fy, lanes):
    """out = fx*x + fy*y."""
    for l in range(U(x.size) // lanes):
        at = U(l) * lanes
        store(out, at, load(x, at) * fx + load(y, at) * fy)


@jit
def _flow(start, gram, slope, shift, length, dt, heun, save_every, lanes, saved, low, high, begin, end, kept):
    """Steps begin..end-1 of blocks low..high-1 of SIDE * lanes particles.

    start (m, B), saved (S, m, B); m padded to a multiple of four with zero ramps. kept (2, m * SIDE * lanes): where the
    particles of the last block are when only some of their steps are taken.
    """
    m, particles = start.shape
    block = SIDE * np.int64(lanes)
    c, w = kept[0], kept[1]
    c2, p, p2, g = np.zeros_like(c), np.zeros_like(c), np.zeros_like(c), np.zeros_like(c)
    one, half = start.dtype.type(1), start.dtype.type(0.5)
    for first in range(low * block, high * block, block):
        n = min(block, particles - first)
        w_rows = w.reshape(m, block)
        if begin == 0:
            c[:] = 0
            c.reshape(m, block)[:, :n] = start[:, first:first + n]
            w[:] = 0
            if save_every:
                saved[0, :, first:first + n] = 0
        if not heun and begin < end:
            _ramps(c, slope[begin], shift[begin], length, lanes, p)
        for k in range(begin, end):
            h = dt[k]
            if heun:
                _ramps(c, slope[k], shift[k], length, lanes, p)
            _gram_times(gram, p, lanes, g)
            if heun:
                _blend(c2, c, one - h, g, h, lanes)
                _ramps(c2, slope[k + 1], shift[k + 1], length, lanes, p2)
                _blend(c, c, one - half * h, g, half * h, lanes)
                _gram_times(gram, p2, lanes, g)
                _blend(c, c, one, g, half * h, lanes)
                _blend(c, c, one, c2, -half * h, lanes)
                _blend(w, w, one - h + half * h * h, p, half * h * (one - h), lanes)
                _blend(w, w, one, p2, half * h, lanes)
            else:
                _euler(c, w, p, g, h, slope[k + 1], shift[k + 1], length, lanes)
            if save_every and (k + 1) % save_every == 0:
                saved[(k + 1) // save_every, :, first:first + n] = w_rows[:, :n]
        if not save_every and end == dt.size:
            saved[0, :, first:first + n] = w_rows[:, :n]


def flow(x, u, length, rho, dt, origin, method, save_every):
    """Same contract as reference.flow; threads share the particles."""
    y, c, gram, slope, shift, length, decay = prepare(x, u, length, rho, dt, origin, method)
    m, steps = u.shape[0], dt.numel()
    pad = -m % 4
    grow = torch.nn.functional.pad
    number = np.float32 if x.dtype == torch.float32 else np.float64
    lanes = WIDTH * 4 // x.element_size()
    block = SIDE * lanes
    w = _memory.empty((saves(steps, save_every), m + pad, x.shape[0]), number)
    given = (
        grow(c, (0, pad)).mT.contiguous().numpy(), grow(gram, (0, pad, 0, pad)).contiguous().numpy(),
        grow(slope, (0, pad)).contiguous().numpy(), grow(shift, (0, pad)).contiguous().numpy(),
        grow(length, (0, pad)).contiguous().numpy(), dt.to(x.dtype).contiguous().numpy(), method == "heun",
        save_every, U(lanes), w,
    )

    def part(first, last, begin, end, kept):
        _flow(*given, first, last, begin, end, kept)

    # A step: ramps, the Gram matrix times them, updates.
    work = 2 * block * (m + pad) * (m + pad + 8) * (1 + (method == "heun"))
    _threads.share(part, -(-x.shape[0] // block), steps, work, lambda: np.zeros((2, (m + pad) * block), number))
    w = torch.from_numpy(w)[:, :m].mT
    return finish(y, w, u, decay, origin, save_every)
