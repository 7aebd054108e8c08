"""The loop of `implicitly.stable_minima.gradient_descent`, compiled: k + n operations a step instead of k n.

On a line a neuron is active on the points to one side of its knot. So its gradient is a difference of two prefix
sums over the sorted points, and the network's slope at every point is a sum of what the knots before it add.
"""

import numba
import numpy as np


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def descend(w1, b1, w2, b2, x, y, eta, steps):
    """`steps` steps of gradient descent on one network, in place; returns the output bias.

    w1, b1, w2: (k,). x: (n,), increasing. y: (n,). All float64.
    """
    k, n = w1.size, x.size
    slope, level = np.empty(n + 1), np.empty(n + 1)  # what changes just before point i
    mass, moment = np.empty(n + 1), np.empty(n + 1)  # sums of r and of r x over the first i points
    cut = np.zeros(k, np.int64)  # w1 >= 0: active on points cut.., else: on points ..cut - 1
    mass[0] = moment[0] = 0.0
    rate = eta / n
    for _ in range(steps):
        slope[:] = 0.0
        level[:] = 0.0
        a, c = 0.0, b2  # the network left of all points is a x + c
        for j in range(k):
            w, b, v, i = w1[j], b1[j], w2[j], cut[j]
            if w >= 0:
                while i > 0 and w * x[i - 1] + b > 0:
                    i -= 1
                while i < n and w * x[i] + b <= 0:
                    i += 1
                slope[i] += v * w
                level[i] += v * b
            else:
                while i < n and w * x[i] + b > 0:
                    i += 1
                while i > 0 and w * x[i - 1] + b <= 0:
                    i -= 1
                a += v * w
                c += v * b
                slope[i] -= v * w
                level[i] -= v * b
            cut[j] = i
        r0 = r1 = 0.0
        for i in range(n):
            a += slope[i]
            c += level[i]
            r = a * x[i] + c - y[i]
            r0 += r
            r1 += r * x[i]
            mass[i + 1] = r0
            moment[i + 1] = r1
        for j in range(k):
            w, b, v, i = w1[j], b1[j], w2[j], cut[j]
            g0, g1 = (r0 - mass[i], r1 - moment[i]) if w >= 0 else (mass[i], moment[i])
            w2[j] = v - rate * (w * g1 + b * g0)
            w1[j] = w - rate * v * g1
            b1[j] = b - rate * v * g0
        b2 -= rate * r0
    return b2
