"""Gradient descent on the CPU, one network after the other: all of a network stays in cache.

Neurons lie side by side, and eight (forward) or four (backward) samples share one pass over them.
The gradients of a neuron need only two sums over the samples where it is on, of r_i x_i and of r_i:
for its output weight, sum r_i relu(z_i) = w1 sum r_i x_i + b1 sum r_i.
"""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch

from implicitly_kernels import _memory

SAMPLES = 8  # samples are padded to a multiple of this, neurons to whole vectors of
VECTOR = 64  # bytes: a remainder of less than a vector would run one by one
# No "nnan": a run that diverges must end in an infinity or a NaN.
options = {"nogil": True, "boundscheck": False, "error_model": "numpy", "cache": True}
jit = numba.njit(**options, fastmath={"contract", "nsz"})
jit_sum = numba.njit(**options, fastmath={"contract", "nsz", "reassoc"})  # may sum in vectors


@jit
def _relu(z, zero):
    return zero if zero > z else z  # in this order, a NaN stays


@jit_sum
def _forward(w1, b1, w2, b2, x, y, r):
    """r = f(x) - y."""
    o = x.dtype.type(0)
    for i in range(0, r.size, 8):
        x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
        x4, x5, x6, x7 = x[i + 4], x[i + 5], x[i + 6], x[i + 7]
        f0, f1, f2, f3, f4, f5, f6, f7 = o, o, o, o, o, o, o, o
        for j in range(w1.size):
            a, c, v = w1[j], b1[j], w2[j]
            f0 += v * _relu(a * x0 + c, o)
            f1 += v * _relu(a * x1 + c, o)
            f2 += v * _relu(a * x2 + c, o)
            f3 += v * _relu(a * x3 + c, o)
            f4 += v * _relu(a * x4 + c, o)
            f5 += v * _relu(a * x5 + c, o)
            f6 += v * _relu(a * x6 + c, o)
            f7 += v * _relu(a * x7 + c, o)
        r[i], r[i + 1], r[i + 2], r[i + 3] = f0, f1, f2, f3
        r[i + 4], r[i + 5], r[i + 6], r[i + 7] = f4, f5, f6, f7
    for i in range(r.size):
        r[i] += b2 - y[i]


@jit
def _backward(w1, b1, x, r, slope, level):
    """Sums of r_i x_i and of r_i over the samples where each neuron is on."""
    for j in range(slope.size):
        slope[j] = 0
        level[j] = 0
    for i in range(0, x.size, 4):
        x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
        r0, r1, r2, r3 = r[i], r[i + 1], r[i + 2], r[i + 3]
        q0, q1, q2, q3 = r0 * x0, r1 * x1, r2 * x2, r3 * x3
        for j in range(slope.size):
            a, c, s, m = w1[j], b1[j], slope[j], level[j]
            on0, on1, on2, on3 = a * x0 + c > 0, a * x1 + c > 0, a * x2 + c > 0, a * x3 + c > 0
            s = s + q0 if on0 else s
            m = m + r0 if on0 else m
            s = s + q1 if on1 else s
            m = m + r1 if on1 else m
            s = s + q2 if on2 else s
            m = m + r2 if on2 else m
            slope[j] = s + q3 if on3 else s
            level[j] = m + r3 if on3 else m


@jit_sum
def _sum(r):
    total = r.dtype.type(0)
    for i in range(r.size):
        total += r[i]
    return total


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
            for i in range(n, r.size):
                r[i] = 0
            _backward(w, b, xs, r, slope, level)
            _step(w, b, v, slope, level, rate)
            bias -= rate * _sum(r)
        b2[net] = bias
        _forward(w, b, v, bias, xs, ys, r)
        for i in range(r.size):
            r[i] = r[i] * r[i] if i < n else 0
        loss[net] = x.dtype.type(0.5) * _sum(r) / count


def descend(w1, b1, w2, b2, x, y, step_size, steps):
    """Same contract as reference.descend."""
    (nets, k), n = w1.shape, x.shape[1]
    number = np.float32 if x.dtype == torch.float32 else np.float64

    def padded(t, multiple):  # by zeros: such a neuron is off for ever
        out = np.zeros((nets, -(-t.shape[1] // multiple) * multiple), number)
        out[:, :t.shape[1]] = t.numpy()
        return out

    state = [*(padded(t, VECTOR // x.element_size()) for t in (w1, b1, w2)), b2.numpy().copy()]
    data = [padded(x, SAMPLES), padded(y, SAMPLES), np.ascontiguousarray(step_size.numpy())]
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
