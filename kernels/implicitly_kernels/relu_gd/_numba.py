"""Gradient descent on the CPU, one network after the other: all of a network stays in cache.

Eight neurons share one pass over the samples (forward), four samples one over the neurons (backward).
The gradients of a neuron need only two sums over the samples where it is on, of r_i x_i and of r_i:
for its output weight, sum r_i relu(z_i) = w1 sum r_i x_i + b1 sum r_i.

A run at the edge of stability amplifies the last bit, so bits must not hang on the CPU. Sums have one
order, whatever the width of a vector; and no sum has two products, of which either could be fused.
"""

import numpy as np
import torch

from implicitly_kernels import _memory, _threads
from implicitly_kernels._jit import cached_njit

# Samples and neurons are padded to whole vectors of so many bytes: what remains would run one by one.
VECTOR = 64
# No "nnan": a run that diverges must end in an infinity or a NaN.  No "reassoc": see above.
jit = cached_njit(nogil=True, boundscheck=False, error_model="numpy", fastmath={"contract", "nsz"})


@jit
def _relu(z, zero):
    return zero if zero > z else z  # in this order, a NaN stays


@jit
def _forward(w1, b1, w2, b2, x, y, r):
    """r = f(x) - y."""
    o = x.dtype.type(0)
    for i in range(r.size):
        r[i] = 0
    for j in range(0, w1.size, 8):
        a0, a1, a2, a3, a4, a5, a6, a7 = (
            w1[j], w1[j + 1], w1[j + 2], w1[j + 3], w1[j + 4], w1[j + 5], w1[j + 6], w1[j + 7])
        c0, c1, c2, c3, c4, c5, c6, c7 = (
            b1[j], b1[j + 1], b1[j + 2], b1[j + 3], b1[j + 4], b1[j + 5], b1[j + 6], b1[j + 7])
        v0, v1, v2, v3, v4, v5, v6, v7 = (
            w2[j], w2[j + 1], w2[j + 2], w2[j + 3], w2[j + 4], w2[j + 5], w2[j + 6], w2[j + 7])
        for i in range(r.size):
            t, f = x[i], r[i]
            f += v0 * _relu(a0 * t + c0, o)
            f += v1 * _relu(a1 * t + c1, o)
            f += v2 * _relu(a2 * t + c2, o)
            f += v3 * _relu(a3 * t + c3, o)
            f += v4 * _relu(a4 * t + c4, o)
            f += v5 * _relu(a5 * t + c5, o)
            f += v6 * _relu(a6 * t + c6, o)
            r[i] = f + v7 * _relu(a7 * t + c7, o)
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


@jit
def _sum(r):
    t0, t1, t2, t3 = r[0], r[1], r[2], r[3]
    for i in range(4, r.size, 4):
        t0 += r[i]
        t1 += r[i + 1]
        t2 += r[i + 2]
        t3 += r[i + 3]
    return (t0 + t1) + (t2 + t3)


@jit
def _step(w1, b1, w2, slope, level, rate):
    for j in range(w1.size):
        a, c, v, s, m = w1[j], b1[j], w2[j], slope[j], level[j]
        w1[j] = a - rate * v * s
        b1[j] = c - rate * v * m
        w2[j] = v - rate * a * s - rate * c * m


@jit
def _descend(w1, b1, w2, b2, x, y, step_size, k, n, steps, final, loss, first, last):
    """`steps` steps of networks first..last-1 in place, and their loss if they are the final ones.

    Columns beyond k are neurons that are off, columns of x beyond n samples that must count for nothing. Vectors need
    all of them, but not the passes that take eight neurons, or four samples, one after the other.
    """
    eights, fours = (k + 7) // 8 * 8, (n + 3) // 4 * 4
    r = np.zeros(x.shape[1], x.dtype)
    slope = np.zeros(w1.shape[1], x.dtype)
    level = np.zeros(w1.shape[1], x.dtype)
    count = x.dtype.type(n)
    for net in range(first, last):
        w, b, v, xs, ys = w1[net], b1[net], w2[net], x[net], y[net]
        rate = step_size[net] / count
        w_8, b_8, v_8 = w[:eights], b[:eights], v[:eights]
        xs_4, r_4 = xs[:fours], r[:fours]
        bias = b2[net]
        for _ in range(steps):
            _forward(w_8, b_8, v_8, bias, xs, ys, r)
            for i in range(n, r.size):
                r[i] = 0
            _backward(w, b, xs_4, r_4, slope, level)
            _step(w, b, v, slope, level, rate)
            bias -= rate * _sum(r)
        b2[net] = bias
        if not final:
            continue
        _forward(w, b, v, bias, xs, ys, r)
        for i in range(r.size):
            r[i] = r[i] * r[i] if i < n else 0
        loss[net] = x.dtype.type(0.5) * _sum(r) / count


def descend(w1, b1, w2, b2, x, y, step_size, steps):
    """Same contract as reference.descend."""
    (nets, k), n = w1.shape, x.shape[1]
    number = np.float32 if x.dtype == torch.float32 else np.float64

    def padded(t):  # by zeros: such a neuron is off for ever
        multiple = VECTOR // t.element_size()
        out = np.zeros((nets, -(-t.shape[1] // multiple) * multiple), number)
        out[:, :t.shape[1]] = t.numpy()
        return out

    state = [*(padded(t) for t in (w1, b1, w2)), b2.numpy().copy()]
    data = [padded(x), padded(y), np.ascontiguousarray(step_size.numpy())]
    loss = _memory.empty((nets,), number)

    def part(first, last, begin, end):
        _descend(*state, *data, k, n, end - begin, end == steps, loss, first, last)

    _threads.share(part, nets, steps, 8 * state[0].shape[1] * data[0].shape[1], anywhere=True)
    w1, b1, w2, b2 = (torch.from_numpy(t) for t in state)
    return (*(t[:, :k].contiguous() for t in (w1, b1, w2)), b2, torch.from_numpy(loss))
