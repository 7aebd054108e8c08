"""Resampled activations on the CPU: maps side by side, numbers as [place][lane], a row of the fine grid at a time.

What stands between the two resamplings never leaves the cache. A library's erf would stop a lane loop from using
vectors: ours is exp(-z^2) P(s) / (1 + 2z) with s = (z - 2)/(z + 2), P fitted for 0 <= z <= 30, and exp is fitted too
(errors at most 3e-7 in float32, 5e-14 in float64).
"""

import numpy as np
import torch

from implicitly_kernels import _memory, _threads
from implicitly_kernels._jit import cached_njit
from implicitly_kernels._lanes import U, combine
from implicitly_kernels.up_act_down.reference import matrices

IDENTITY, POLY, GELU, RELU = range(4)
KINDS = {"identity": IDENTITY, "poly": POLY, "gelu": GELU, "relu": RELU}
# No "reassoc" and no "nnan": a lane has the same bits wherever it lies, and a NaN stays.
jit = cached_njit(nogil=True, boundscheck=False, error_model="numpy", fastmath={"contract", "nsz"})

# Coefficients from the constant one on: exp on |r| <= log(2)/2, and P in y = s TO[0] + TO[1], -1 <= y <= 1.
EXP = {
    np.float32: (0.9999999999595618, 0.999999999995509, 0.5000000107729166, 0.16666666786308587, 0.041666218319291945,
                 0.008333283538708528, 0.0013948578326459795, 0.00019907569310848288),
    np.float64: (1.0, 1.0, 0.5000000000000018, 0.1666666666666668, 0.04166666666648809, 0.008333333333319601,
                 0.0013888888952314773, 0.00019841269890047116, 2.480148548232849e-05, 2.755724091857897e-06,
                 2.763263963904103e-07, 2.5110037605963777e-08),
}  # fmt: skip
ERFCX = {
    np.float32: (1.2820866942674294, -0.06565805577108028, -0.1740579371523306, 0.14604970049648025,
                 -0.03955865212740805, -0.008094172371281669, 0.005442284232366007, 0.0012132717061116788,
                 -0.0007003107271414634, -0.00027763816216305943, 6.253325008998348e-05, 4.1508138000755344e-05),
    np.float64: (1.282086693736538, -0.065658060010796, -0.17405790027036971, 0.14605000617525757,
                 -0.03955900098577271, -0.008097763683945929, 0.005443025621871393, 0.0012288100641424321,
                 -0.0006987682217777689, -0.000308351917776028, 5.476374240035817e-05, 7.005252367894767e-05,
                 1.068331986207284e-05, -1.0422791099155549e-05, -6.145877348587509e-06, -2.160192722841457e-08,
                 1.403897908887516e-06, 4.411468681458944e-07, -1.446901111723588e-07, -7.963122738411288e-08),
}  # fmt: skip
TOP = (30 - 2) / (30 + 2)
# sqrt(1/2), TO, log2(e), log(2) in two parts, what adds a whole number to the bits of an exponent, 1/sqrt(2 pi), the
# largest z^2 with a normal exp(-z^2)
CONSTANTS = {
    np.float32: (0.7071067811865476, 2 / (TOP + 1), (1 - TOP) / (TOP + 1), 1.4426950408889634, 0.693359375,
                 -2.12194440e-4, 1.5 * 2**23 + 127, 0.3989422804014327, 87.0),
    np.float64: (0.7071067811865476, 2 / (TOP + 1), (1 - TOP) / (TOP + 1), 1.4426950408889634, 0.6931471803691238,
                 1.9082149292705877e-10, 1.5 * 2**52 + 1023, 0.3989422804014327, 708.0),
}  # fmt: skip
TABLES = {d: tuple(np.array(t[d], d) for t in (EXP, ERFCX, CONSTANTS)) for d in (np.float32, np.float64)}


@jit
def _horner(p, t, c3, c2, c1, c0, fresh):
    if fresh:
        for l in range(p.size):
            p[l] = ((c3 * t[l] + c2) * t[l] + c1) * t[l] + c0
    else:
        for l in range(p.size):
            p[l] = (((p[l] * t[l] + c3) * t[l] + c2) * t[l] + c1) * t[l] + c0


@jit
def _polynomial(p, t, c):
    for k in range(c.size - 4, -1, -4):
        _horner(p, t, c[k + 3], c[k + 2], c[k + 1], c[k], k == c.size - 4)


@jit
def _reduce(u, r, t, w, power, k):
    """z = |u| / sqrt(2): r and power with exp(-z^2) = 2^power exp(r), P's argument in t, 1 + 2z in w."""
    half, to, off, turns, high, low, magic, top = k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[8]
    one = magic / magic
    for l in range(u.size):
        z = abs(u[l]) * half
        x = z * z
        x = -(x if x < top else top)
        a = x * turns + magic
        n = a - magic
        power[l] = a
        r[l] = (x - n * high) - n * low
        t[l] = (z - (one + one)) / (z + (one + one)) * to + off
        w[l] = one + (z + z)


@jit
def _shift(words, by):
    for l in range(words.size):
        words[l] = words[l] << by


@jit
def _normal(u, e, p, w, scale):
    """From exp(r), P and 1 + 2z: e becomes exp(-u^2/2), p the normal distribution Phi(u)."""
    for l in range(u.size):
        x = e[l] * scale[l]
        q = x * p[l] / (w[l] + w[l])
        e[l] = x
        p[l] = 1 - q if u[l] > 0 else q


@jit
def _distribution(u, work, words, by, tables):
    """exp(-u^2/2) in work[0], Phi(u) in work[1]."""
    e, p, r, t, w, scale = work[0], work[1], work[2], work[3], work[4], work[5]
    _reduce(u, r, t, w, scale, tables[2])
    _shift(words, by)
    _polynomial(e, r, tables[0])
    _polynomial(p, t, tables[1])
    _normal(u, e, p, w, scale)


@jit
def _activate(u, kind, c, work, words, by, tables):
    """u becomes f(u)."""
    if kind == POLY:
        c0, c1, c2 = c[0], c[1], c[2]
        for l in range(u.size):
            u[l] = (c2[l] * u[l] + c1[l]) * u[l] + c0[l]
    elif kind == GELU:
        _distribution(u, work, words, by, tables)
        p = work[1]
        for l in range(u.size):
            u[l] *= p[l]
    elif kind == RELU:
        for l in range(u.size):
            u[l] = 0 if u[l] < 0 else u[l]  # in this order, a NaN stays


@jit
def _activate_back(u, g, kind, c, sums, work, words, by, tables):
    """g becomes g f'(u); sums gain g, g u and g u^2."""
    if kind == POLY:
        c1, c2, t0, t1, t2 = c[1], c[2], sums[0], sums[1], sums[2]
        for l in range(u.size):
            v, h = u[l], g[l]
            t0[l] += h
            t1[l] += h * v
            t2[l] += h * (v * v)
            g[l] = h * (c2[l] * (v + v) + c1[l])
    elif kind == GELU:
        _distribution(u, work, words, by, tables)
        e, p, k = work[0], work[1], tables[2][7]
        for l in range(u.size):
            g[l] *= p[l] + u[l] * (e[l] * k)
    elif kind == RELU:
        for l in range(u.size):
            g[l] = g[l] if u[l] > 0 else 0 * g[l]


@jit
def _gather(x, first, last, n, side, lanes, out):
    """Maps first..last-1 as [place][lane], rows of `side` places; other lanes and places as they were."""
    for some in range(first, last, 8):  # more at once would fall into the same few places of the cache
        for i in range(n):
            for j in range(n):
                o = (i * side + j) * lanes - first
                for b in range(some, min(some + 8, last)):
                    out[U(o + b)] = x[U(b), U(i), U(j)]


@jit
def _scatter(source, first, last, n, side, lanes, out):
    for some in range(first, last, 8):
        for i in range(n):
            for j in range(n):
                o = (i * side + j) * lanes - first
                for b in range(some, min(some + 8, last)):
                    out[U(b), U(i), U(j)] = source[U(o + b)]


@jit
def _channels(coefficients, first, lanes, c):
    """Each lane's coefficients, four times over."""
    for l in range(c.shape[1]):
        for k in range(3):
            c[k, l] = coefficients[(first + l % lanes) % len(coefficients), k]


@jit
def _forward(x, up, down, m, coefficients, kind, work, words, by, tables, out, lanes, first, last):
    """Blocks first..last-1 of `lanes` maps."""
    n, size = x.shape[1], out.shape[1]
    M, N = up.shape
    S, W, group = down.shape[0], max(N, down.shape[0]), 4 * lanes
    given, rows = np.zeros(N * N * lanes, x.dtype), np.zeros(M * W * lanes, x.dtype)
    fine, made = np.zeros(M * lanes, x.dtype), np.zeros(S * S * lanes, x.dtype)
    c = np.zeros((3, group), x.dtype)
    for block in range(first, last):
        one, end = block * lanes, min((block + 1) * lanes, len(x))
        _gather(x, one, end, n, N, lanes, given)
        _channels(coefficients, one, lanes, c)
        for j in range(N):  # also the columns beyond n, of zeros: a NaN of another block may be there
            combine(up, given, j * lanes, N * lanes, rows, j * lanes, W * lanes, lanes, True)
        for a in range(m):
            row = a * W * lanes
            combine(up, rows, row, lanes, fine, 0, lanes, lanes, True)
            for o in range(0, M * lanes, group):
                _activate(fine[o:o + group], kind, c, work, words, by, tables)
            combine(down, fine, 0, lanes, rows, row, lanes, lanes, True)
        for j in range(size):
            combine(down, rows, j * lanes, W * lanes, made, j * lanes, S * lanes, lanes, True)
        _scatter(made, one, end, size, S, lanes, out)


@jit
def _backward(grad, x, up, up_t, down_t, m, coefficients, kind, work, words, by, tables, out, powers, lanes, first,
              last):  # fmt: skip
    """The same of the gradient: the fine grid afresh, then from the result's gradient to that of x."""
    n, size = x.shape[1], grad.shape[1]
    M, N = up.shape
    S, group = down_t.shape[1], 4 * lanes
    # The result has a place of its own: in the padding of what is given, a NaN would stay for the next block.
    given, made = np.zeros(N * N * lanes, x.dtype), np.zeros(N * N * lanes, x.dtype)
    rows = np.zeros(M * N * lanes, x.dtype)
    after, back = np.zeros(S * S * lanes, x.dtype), np.zeros(M * S * lanes, x.dtype)
    u, g = np.zeros(M * lanes, x.dtype), np.zeros(M * lanes, x.dtype)
    c, sums = np.zeros((3, group), x.dtype), np.zeros((3, group), x.dtype)
    for block in range(first, last):
        one, end = block * lanes, min((block + 1) * lanes, len(x))
        _gather(x, one, end, n, N, lanes, given)
        _gather(grad, one, end, size, S, lanes, after)
        _channels(coefficients, one, lanes, c)
        sums[:] = 0
        for j in range(N):
            combine(up, given, j * lanes, N * lanes, rows, j * lanes, N * lanes, lanes, True)
        for j in range(S):
            combine(down_t, after, j * lanes, S * lanes, back, j * lanes, S * lanes, lanes, True)
        for a in range(m):
            row = a * N * lanes
            combine(up, rows, row, lanes, u, 0, lanes, lanes, True)
            combine(down_t, back, a * S * lanes, lanes, g, 0, lanes, lanes, True)
            for o in range(0, M * lanes, group):
                _activate_back(u[o:o + group], g[o:o + group], kind, c, sums, work, words, by, tables)
            combine(up_t, g, 0, lanes, rows, row, lanes, lanes, True)
        for j in range(n):
            combine(up_t, rows, j * lanes, N * lanes, made, j * lanes, N * lanes, lanes, True)
        _scatter(made, one, end, n, N, lanes, out)
        for b in range(one, end):
            for k in range(3):
                l = b - one
                powers[b, k] = ((sums[k, l] + sums[k, lanes + l]) + sums[k, 2 * lanes + l]) + sums[k, 3 * lanes + l]


def _padded(A):
    """Rows and columns up to multiples of four."""
    out = np.zeros([-(-v // 4) * 4 for v in A.shape], A.numpy().dtype)
    out[:A.shape[0], :A.shape[1]] = A.numpy()
    return out


def lanes(n):
    """Maps side by side: longer loops against more that lies in the cache."""
    return 128 if n < 16 else 64


def _share(part, x, coefficients, activation, fine, size, L):
    """part(coefficients, kind, rooms to work in, tables, first, last) on blocks of L maps."""
    number = np.float32 if x.dtype == torch.float32 else np.float64
    word, by = (np.int32, 23) if number == np.float32 else (np.int64, 52)
    coefficients = coefficients.numpy() if activation == "poly" else np.zeros((1, 3), number)

    def run(first, last, begin, end):
        work = np.zeros((6, 4 * L), number)
        part(coefficients, KINDS[activation], work, work[5].view(word), by, TABLES[number], first, last)

    n = x.shape[1]
    operations = 2 * fine * n * (n + fine) + 2 * size * fine * (fine + size) + 50 * fine * fine
    _threads.share(run, -(-len(x) // L), 1, L * operations)


def run(x, coefficients, activation, fine, size):
    """Same contract as reference.run."""
    L = lanes(x.shape[1])
    up, down = map(_padded, matrices(x.shape[1], fine, size, x.dtype, x.device))
    out, given = _memory.empty((len(x), size, size), up.dtype), x.numpy()

    def part(c, kind, work, words, by, tables, first, last):
        _forward(given, up, down, fine, c, kind, work, words, by, tables, out, L, first, last)

    _share(part, x, coefficients, activation, fine, size, L)
    return torch.from_numpy(out)


def backward(grad, x, coefficients, activation, fine, size):
    """Same contract as reference.backward."""
    L = lanes(x.shape[1])
    up, down = map(_padded, matrices(x.shape[1], fine, size, x.dtype, x.device))
    up_t, down_t = np.ascontiguousarray(up.T), np.ascontiguousarray(down.T)
    out, powers = _memory.empty(tuple(x.shape), up.dtype), _memory.empty((len(x), 3), up.dtype)
    given, after = x.numpy(), grad.numpy()

    def part(c, kind, work, words, by, tables, first, last):
        _backward(after, given, up, up_t, down_t, fine, c, kind, work, words, by, tables, out, powers, L, first, last)

    _share(part, x, coefficients, activation, fine, size, L)
    C = len(coefficients)  # none but for "poly"
    sums = torch.from_numpy(powers).reshape(-1, C, 3).sum(0) if C else coefficients
    return torch.from_numpy(out), sums
