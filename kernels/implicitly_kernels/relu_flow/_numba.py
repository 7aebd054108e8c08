"""The flow on the CPU: LANES particles side by side, so that every inner loop is straight vectors."""

import numpy as np
import torch

from implicitly_kernels import _memory, _threads
from implicitly_kernels._jit import cached_njit
from implicitly_kernels.relu_flow._coordinates import finish, prepare, saves

LANES = 512
jit = cached_njit(nogil=True, boundscheck=False, error_model="numpy",
                 fastmath={"contract", "nnan", "nsz"})


@jit
def _ramps(c, slope, shift, length, p):
    for i in range(slope.size):
        s, t, top = slope[i], shift[i], length[i]
        ci, pi = c[i], p[i]
        for l in range(ci.size):
            v = ci[l] * s - t
            v = v if v > 0 else c.dtype.type(0)
            pi[l] = v if v < top else top


@jit
def _gram_times(gram, p, out):
    """out = gram @ p, rows and columns a multiple of four.

    Four rows by four columns at a time: sixteen multiply-adds for four loads and four updates.
    """
    for i in range(0, gram.shape[0], 4):
        a, b, c, d = out[i], out[i + 1], out[i + 2], out[i + 3]
        ga, gb, gc, gd = gram[i], gram[i + 1], gram[i + 2], gram[i + 3]
        for j in range(0, gram.shape[1], 4):
            p0, p1, p2, p3 = p[j], p[j + 1], p[j + 2], p[j + 3]
            a0, a1, a2, a3 = ga[j], ga[j + 1], ga[j + 2], ga[j + 3]
            b0, b1, b2, b3 = gb[j], gb[j + 1], gb[j + 2], gb[j + 3]
            c0, c1, c2, c3 = gc[j], gc[j + 1], gc[j + 2], gc[j + 3]
            d0, d1, d2, d3 = gd[j], gd[j + 1], gd[j + 2], gd[j + 3]
            if j == 0:
                for l in range(a.size):
                    v0, v1, v2, v3 = p0[l], p1[l], p2[l], p3[l]
                    a[l] = a0 * v0 + a1 * v1 + a2 * v2 + a3 * v3
                    b[l] = b0 * v0 + b1 * v1 + b2 * v2 + b3 * v3
                    c[l] = c0 * v0 + c1 * v1 + c2 * v2 + c3 * v3
                    d[l] = d0 * v0 + d1 * v1 + d2 * v2 + d3 * v3
            else:
                for l in range(a.size):
                    v0, v1, v2, v3 = p0[l], p1[l], p2[l], p3[l]
                    a[l] += a0 * v0 + a1 * v1 + a2 * v2 + a3 * v3
                    b[l] += b0 * v0 + b1 * v1 + b2 * v2 + b3 * v3
                    c[l] += c0 * v0 + c1 * v1 + c2 * v2 + c3 * v3
                    d[l] += d0 * v0 + d1 * v1 + d2 * v2 + d3 * v3


@jit
def _blend(out, x, fx, y, fy):
    """out = fx*x + fy*y; out is neither x nor y, or the loop would stay scalar."""
    o, a, b = out.ravel(), x.ravel(), y.ravel()
    for l in range(o.size):
        o[l] = fx * a[l] + fy * b[l]


@jit
def _update(x, fx, y, fy):
    """x = fx*x + fy*y in place."""
    a, b = x.ravel(), y.ravel()
    for l in range(a.size):
        a[l] = fx * a[l] + fy * b[l]


@jit
def _flow(start, gram, slope, shift, length, dt, heun, save_every, lanes, saved, c, w, low, high, begin, end):
    """Steps begin..end-1 of particles low..high-1.

    start (m, B), saved (S, m, B); m padded to a multiple of four with zero ramps. c, w (m, lanes): where the last
    `lanes` particles are when only some of their steps are taken.
    """
    m = start.shape[0]
    c2 = np.zeros((m, lanes), start.dtype)
    p = np.zeros((m, lanes), start.dtype)
    p2 = np.zeros((m, lanes), start.dtype)
    g = np.zeros((m, lanes), start.dtype)
    one, half = start.dtype.type(1), start.dtype.type(0.5)
    for first in range(low, high, lanes):
        n = min(lanes, high - first)
        if begin == 0:
            c[:] = 0
            c[:, :n] = start[:, first:first + n]
            w[:] = 0
            if save_every:
                saved[0, :, first:first + n] = 0
        for k in range(begin, end):
            h = dt[k]
            _ramps(c, slope[k], shift[k], length, p)
            _gram_times(gram, p, g)
            if heun:
                _blend(c2, c, one - h, g, h)
                _ramps(c2, slope[k + 1], shift[k + 1], length, p2)
                _update(c, one - half * h, g, half * h)
                _gram_times(gram, p2, g)
                _update(c, one, g, half * h)
                _update(c, one, c2, -half * h)
                _update(w, one - h + half * h * h, p, half * h * (one - h))
                _update(w, one, p2, half * h)
            else:
                _update(c, one - h, g, h)
                _update(w, one - h, p, h)
            if save_every and (k + 1) % save_every == 0:
                saved[(k + 1) // save_every, :, first:first + n] = w[:, :n]
        if not save_every and end == dt.size:
            saved[0, :, first:first + n] = w[:, :n]


def flow(x, u, length, rho, dt, origin, method, save_every):
    """Same contract as reference.flow."""
    y, c, gram, slope, shift, length, decay = prepare(x, u, length, rho, dt, origin, method)
    m, steps = u.shape[0], dt.numel()
    pad = -m % 4
    grow = torch.nn.functional.pad
    number = np.float32 if x.dtype == torch.float32 else np.float64
    w = _memory.empty((saves(steps, save_every), m + pad, x.shape[0]), number)
    given = (
        grow(c, (0, pad)).mT.contiguous().numpy(), grow(gram, (0, pad, 0, pad)).contiguous().numpy(),
        grow(slope, (0, pad)).contiguous().numpy(), grow(shift, (0, pad)).contiguous().numpy(),
        grow(length, (0, pad)).contiguous().numpy(), dt.to(x.dtype).contiguous().numpy(), method == "heun",
        save_every, LANES, w,
    )
    kept = np.zeros((2, m + pad, LANES), number)
    # A step: ramps, the Gram matrix times them, updates.
    work = 2 * LANES * (m + pad) * (m + pad + 8) * (1 + (method == "heun"))
    for first, last, begin, end in _threads.pieces(0, -(-x.shape[0] // LANES), steps, work):
        _flow(*given, kept[0], kept[1], first * LANES, min(last * LANES, x.shape[0]), begin, end)
    w = torch.from_numpy(w)[:, :m].mT
    return finish(y, w, u, decay, origin, save_every)
