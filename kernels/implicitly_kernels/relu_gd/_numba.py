"""Gradient descent on the CPU, one network after the other: all vectors of a network stay in cache.

Forward the samples lie side by side, backward the neurons, so no vector is ever summed across. The
sums over samples of a neuron need only r_i and r_i x_i where it is on: for its output weight,
sum r_i relu(z_i) = w1 sum r_i x_i + b1 sum r_i over the same samples.
"""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch

from implicitly_kernels import _memory

WIDE = 4  # neurons forward and samples backward that share one pass over a vector
# No "nnan": a run that diverges must end in an infinity or a NaN.
jit = numba.njit(nogil=True, boundscheck=False, error_model="numpy", cache=True,
                 fastmath={"contract", "nsz"})


@jit
def _forward(w1, b1, w2, b2, x, y, r):
    """r = f(x) - y. k a multiple of four."""
    zero = x.dtype.type(0)
    for i in range(r.size):
        r[i] = b2 - y[i]
    for j in range(0, w1.size, 4):
        a0, a1, a2, a3 = w1[j], w1[j + 1], w1[j + 2], w1[j + 3]
        c0, c1, c2, c3 = b1[j], b1[j + 1], b1[j + 2], b1[j + 3]
        v0, v1, v2, v3 = w2[j], w2[j + 1], w2[j + 2], w2[j + 3]
        for i in range(r.size):
            t = x[i]
            z0, z1, z2, z3 = a0 * t + c0, a1 * t + c1, a2 * t + c2, a3 * t + c3
            # This order of the comparison lets a NaN through.
            z0 = zero if zero > z0 else z0
            z1 = zero if zero > z1 else z1
            z2 = zero if zero > z2 else z2
            z3 = zero if zero > z3 else z3
            r[i] += (v0 * z0 + v1 * z1) + (v2 * z2 + v3 * z3)


@jit
def _backward(w1, b1, x, r, slope, level):
    """Sums of r_i x_i and of r_i over the samples where each neuron is on. n a multiple of four."""
    zero = x.dtype.type(0)
    for j in range(slope.size):
        slope[j] = zero
        level[j] = zero
    for i in range(0, x.size, 4):
        x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
        r0, r1, r2, r3 = r[i], r[i + 1], r[i + 2], r[i + 3]
        q0, q1, q2, q3 = r0 * x0, r1 * x1, r2 * x2, r3 * x3
        for j in range(slope.size):
            a, c = w1[j], b1[j]
            on0, on1, on2, on3 = a * x0 + c > 0, a * x1 + c > 0, a * x2 + c > 0, a * x3 + c > 0
            slope[j] += ((q0 if on0 else zero) + (q1 if on1 else zero)) + (
                (q2 if on2 else zero) + (q3 if on3 else zero))
            level[j] += ((r0 if on0 else zero) + (r1 if on1 else zero)) + (
                (r2 if on2 else zero) + (r3 if on3 else zero))


@jit
def _step(w1, b1, w2, slope, level, rate):
    for j in range(w1.size):
        a, c, v, s, m = w1[j], b1[j], w2[j], slope[j], level[j]
        w1[j] = a - rate * v * s
        b1[j] = c - rate * v * m
        w2[j] = v - rate * (a * s + c * m)


@jit
def _descend(w1, b1, w2, b2, x, y, step_size, n, steps, loss, first, last):
    """Networks first..last-1 in place. Columns beyond n are samples that must count for nothing."""
    r = np.zeros(x.shape[1], x.dtype)
    slope = np.zeros(w1.shape[1], x.dtype)
    level = np.zeros(w1.shape[1], x.dtype)
    count = x.dtype.type(n)
    for net in range(first, last):
        w, b, v, xs, ys = w1[net], b1[net], w2[net], x[net], y[net]
        rate = step_size[net] / count
        bias = b2[net]
        for _ in range(steps):
            _forward(w, b, v, bias, xs, ys, r)
            total = x.dtype.type(0)
            for i in range(n):
                total += r[i]
            for i in range(n, r.size):
                r[i] = 0
            _backward(w, b, xs, r, slope, level)
            _step(w, b, v, slope, level, rate)
            bias -= rate * total
        b2[net] = bias
        _forward(w, b, v, bias, xs, ys, r)
        total = x.dtype.type(0)
        for i in range(n):
            total += r[i] * r[i]
        loss[net] = x.dtype.type(0.5) * total / count


def descend(w1, b1, w2, b2, x, y, step_size, steps):
    """Same contract as reference.descend."""
    (nets, k), n = w1.shape, x.shape[1]
    number = np.float32 if x.dtype == torch.float32 else np.float64

    def padded(t):  # neurons and samples of zeros up to a multiple of four
        out = np.zeros((nets, -(-t.shape[1] // WIDE) * WIDE), number)
        out[:, :t.shape[1]] = t.numpy()
        return out

    state = [padded(w1), padded(b1), padded(w2), b2.numpy().copy()]
    data = [padded(x), padded(y), np.ascontiguousarray(step_size.numpy())]
    loss = _memory.empty((nets,), number)

    def part(first, last):
        _descend(*state, *data, n, steps, loss, first, last)

    threads = max(1, min(torch.get_num_threads(), nets))
    if threads == 1:
        part(0, nets)
    else:
        edges = [nets * t // threads for t in range(threads + 1)]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(part, edges[:-1], edges[1:]))
    w1, b1, w2, b2 = (torch.from_numpy(t) for t in state)
    return (*(t[:, :k].contiguous() for t in (w1, b1, w2)), b2, torch.from_numpy(loss))
