"""A Langevin step of one small network in float64, in plain loops: the page has no vectors of the kernel's width."""

from implicitly_kernels.perm_gd._numba import exp


def gradient(theta, x, xt, y, hidden, grad, t, z, c):
    """Of the mean logistic loss of w @ tanh(V x), for theta (hidden q + hidden, 1): V row by row, then w.

    x (n, q) and xt (q, n), both a multiple of four; y (n,) of zeros and ones. Leaves tanh(V x) in t (hidden, n) and
    the network's outputs in z (n,); c (n,) is to work in.
    """
    n, q = x.shape
    z[:] = 0.0
    grad[:] = 0.0
    for h in range(hidden):
        own, w = t[h], theta[hidden * q + h, 0]
        own[:] = 0.0
        for k in range(0, q, 4):
            i = h * q + k
            v0, v1, v2, v3 = theta[i, 0], theta[i + 1, 0], theta[i + 2, 0], theta[i + 3, 0]
            x0, x1, x2, x3 = xt[k], xt[k + 1], xt[k + 2], xt[k + 3]
            for s in range(n):
                own[s] += v0 * x0[s] + v1 * x1[s] + v2 * x2[s] + v3 * x3[s]
        for s in range(n):
            own[s] = 1.0 - 2.0 / (exp(own[s] + own[s]) + 1.0)
            z[s] += w * own[s]
    for h in range(hidden):
        own, w = t[h], theta[hidden * q + h, 0]
        for s in range(n):
            r = (1.0 / (1.0 + exp(-z[s])) - y[s]) / n
            grad[hidden * q + h, 0] += r * own[s]
            c[s] = r * w * (1.0 - own[s] * own[s])
        for s in range(0, n, 4):
            c0, c1, c2, c3 = c[s], c[s + 1], c[s + 2], c[s + 3]
            x0, x1, x2, x3 = x[s], x[s + 1], x[s + 2], x[s + 3]
            for k in range(q):
                grad[h * q + k, 0] += c0 * x0[k] + c1 * x1[k] + c2 * x2[k] + c3 * x3[k]


def move(theta, grad, noise, precision, beta, eta, width):
    """theta - eta (grad + precision theta / beta) + width noise, in place."""
    for j in range(precision.size):
        pull = grad[j, 0] + precision[j] / beta * theta[j, 0]
        theta[j, 0] = theta[j, 0] - eta * pull + width * noise[j, 0]
