"""PERM descent on the CPU: one problem at a time, samples in the inner loops, own exp and log1p.

Scores lie as [class][sample], samples padded to whole vectors; a padded sample has x = 0 and weight 0.
"""

import math

import numba
import numpy as np
import torch
from numba import types
from numba.extending import intrinsic

from implicitly_kernels import _memory, _threads
from implicitly_kernels._jit import cached_njit
from implicitly_kernels.perm_gd.reference import LOSSES

PAD = 8
CROSS_ENTROPY, EXPONENTIAL, PAIRLOG, POLYNOMIAL = range(len(LOSSES))
options = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
jit = cached_njit(**options, fastmath={"contract", "nsz"})
# Sums and maxima only: a vector adds them in another order.
reduce = cached_njit(**options, fastmath={"contract", "nsz", "nnan", "reassoc"})


@intrinsic
def _double_of(typingctx, bits):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float64))
    return types.float64(types.int64), codegen


@intrinsic
def _bits_of(typingctx, value):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.int64))
    return types.int64(types.float64), codegen


@numba.njit(inline="always")
def exp(x):
    """exp(x) of a float64 x <= 708 to about 1 ulp; exp(-708) for less; NaN for NaN."""
    x = -708.0 if x < -708.0 else x
    t = x * 1.4426950408889634 + 6755399441055744.0  # the nearest integer is in the low bits
    n = t - 6755399441055744.0
    r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r * r + r + 1.0
    return p * _double_of((_bits_of(t) + np.int64(1023)) << np.int64(52))


@numba.njit(inline="always")
def log1p(x):
    """log(1 + x) of a finite float64 x >= 0 to about 1 ulp; the series is that of fdlibm."""
    f = 1.0 + x
    lost = (x - (f - 1.0)) / f
    shifted = _bits_of(f) - np.int64(0x3FE6A09E667F3BCD)
    e = np.float64(shifted >> np.int64(52))
    g = _double_of((shifted & np.int64(0x000FFFFFFFFFFFFF)) + np.int64(0x3FE6A09E667F3BCD)) - 1.0
    s = g / (2.0 + g)
    z = s * s
    q = z * 1.479819860511658591e-01 + 1.531383769920937332e-01
    q = z * q + 1.818357216161805012e-01
    q = z * q + 2.222219843214978396e-01
    q = z * q + 2.857142874366239149e-01
    q = z * q + 3.999999999940941908e-01
    q = z * (z * q + 6.666666666666735130e-01)
    half = 0.5 * g * g
    return e * 6.93147180369123816490e-01 - (
        (half - (s * (half + q) + (e * 1.90821492927058770002e-10 + lost))) - g)


@jit
def _margins(w, xt, own, mask, s, sy, a):
    """a[k] = score of class k minus that of the own class, -inf for the own class and for padding."""
    for k in range(w.shape[0]):
        row = s[k]
        for j in range(w.shape[1]):
            x, v = xt[j], w[k, j]
            if j == 0:
                for n in range(row.size):
                    row[n] = v * x[n]
            else:
                for n in range(row.size):
                    row[n] += v * x[n]
        o = own[k]
        if k == 0:
            for n in range(row.size):
                sy[n] = o[n] * row[n]
        else:
            for n in range(row.size):
                sy[n] += o[n] * row[n]
    for k in range(w.shape[0]):
        row, out, hide = s[k], a[k], mask[k]
        for n in range(row.size):
            out[n] = row[n] - sy[n] + hide[n]


@reduce
def _largest(v):
    m = -np.inf
    for l in range(v.size):
        m = v[l] if v[l] > m else m
    return m


@reduce
def _sum(v):
    total = 0.0
    for l in range(v.size):
        total += v[l]
    return total


@jit
def _exponentials(a, top, c):
    for l in range(a.size):
        c[l] = exp(a[l] - top)


@jit
def _cross_entropy(a, own, p, d, c, losses):
    """Weights c of every sample, and what `_logarithms` makes losses of; the own class takes part with margin 0."""
    p[:] = 0.0
    d[:] = 0.0
    losses[:] = 0.0
    for k in range(a.shape[0]):
        row = a[k]
        for n in range(p.size):
            p[n] = row[n] if row[n] > p[n] else p[n]
    for k in range(a.shape[0]):
        row, o, out = a[k], own[k], c[k]
        for n in range(p.size):
            e = exp((0.0 if o[n] > 0.0 else row[n]) - p[n])
            d[n] += e
            # Summed without the own class's e = exp(-p), which is 1 where no margin is negative.
            losses[n] += e - 1.0 if o[n] > 0.0 else e
            out[n] = e
    for n in range(p.size):
        d[n] = 1.0 / d[n]
    for k in range(a.shape[0]):
        o, out = own[k], c[k]
        for n in range(p.size):
            out[n] = (1.0 - o[n]) * out[n] * d[n]


@jit
def _pairlog(a, c, losses):
    for l in range(a.size):
        v = a[l]
        up = v if v > 0.0 else 0.0
        e = exp(v - up - up)
        c[l] = (1.0 if v > 0.0 else e) / (1.0 + e)
        losses[l] = e


@jit
def _logarithms(a, losses):
    """Losses max(a, 0) + log(1 + losses): apart from the weights, since a fixed step does without."""
    for l in range(a.size):
        v = a[l]
        losses[l] = (v if v > 0.0 else 0.0) + log1p(losses[l])


@jit
def _polynomial(a, nearest, c, cubes):
    """Weights times nearest^2, and their powers 3/2; nearest = the least 1 + max(u, 0)."""
    for l in range(a.size):
        v = a[l]
        reach = 1.0 if v >= 0.0 else 1.0 - v  # NaN stays NaN
        r = nearest / reach
        c[l] = r * r
        cubes[l] = r * r * r


@jit
def _polynomial_losses(a, losses):
    for l in range(a.size):
        v = a[l]
        losses[l] = 1.0 + v if v >= 0.0 else 1.0 / (1.0 - v)


@jit
def _pull(c, own, total):
    """c becomes minus the gradient in the scores: the own class gets what the others lose."""
    for k in range(c.shape[0]):
        row = c[k]
        if k == 0:
            for n in range(total.size):
                total[n] = row[n]
        else:
            for n in range(total.size):
                total[n] += row[n]
    for k in range(c.shape[0]):
        row, o = c[k], own[k]
        for n in range(total.size):
            row[n] = o[n] * total[n] - row[n]


@reduce
def _move(w, c, xt, scale):
    for k in range(w.shape[0]):
        row = c[k]
        for j in range(w.shape[1]):
            x = xt[j]
            total = 0.0
            for n in range(row.size):
                total += row[n] * x[n]
            w[k, j] += scale * total


@jit
def _descend(w_all, xt_all, y_all, samples, loss, steps, final, rate, normalized, time_all, risk_all):
    """`steps` steps of every problem in place, and its risk if they are the final ones."""
    problems, classes, d = w_all.shape
    width = xt_all.shape[2]
    s, a = np.zeros((classes, width)), np.zeros((classes, width))
    c, extra, losses = (np.zeros((classes, width)), np.zeros((classes, width)),
                        np.zeros((classes, width)))
    own, mask = np.zeros((classes, width)), np.zeros((classes, width))
    sy, p, total = np.zeros(width), np.zeros(width), np.zeros(width)
    # Below this every sum of weights is under 2^-53 and log1p(s) = s to the last bit.
    tail = -37.0 - math.log(classes)
    for b in range(problems):
        w, xt, y = w_all[b], xt_all[b], y_all[b]
        own[:] = 0.0
        mask[:] = -np.inf
        largest = 0.0
        for n in range(width):
            own[y[n], n] = 1.0
            square = 0.0
            for j in range(d):
                square += xt[j, n] * xt[j, n]
            largest = max(largest, square)
            if n < samples:
                for k in range(classes):
                    if k != y[n]:
                        mask[k, n] = 0.0
        twice = 2.0 * largest
        log_time = time_all[b]
        for step in range(steps + final):  # the last time only for the risk
            last = step == steps
            _margins(w, xt, own, mask, s, sy, a)
            top = _largest(a.ravel())
            if loss == POLYNOMIAL:
                nearest = 1.0 - top if top < 0.0 else 1.0
                if last:
                    _polynomial_losses(a.ravel(), losses.ravel())
                    risk_all[b] = math.log(_sum(losses.ravel()))
                    break
                _polynomial(a.ravel(), nearest, c.ravel(), extra.ravel())
                if normalized:
                    scale = rate[b] * nearest / (2.0 * twice * _sum(extra.ravel()))
                    log_step = math.log(scale) + 2.0 * math.log(nearest)
                else:
                    scale = rate[b] / nearest / nearest
            else:
                # The risk is risk * exp(top), and exp(top) is left out of the weights too.
                risk, asked = 0.0, normalized or last
                if loss == EXPONENTIAL or top < tail:
                    _exponentials(a.ravel(), top, c.ravel())
                    if asked:
                        risk = _sum(c.ravel())
                else:
                    top = 0.0
                    if loss == CROSS_ENTROPY:
                        _cross_entropy(a, own, p, total, c, losses[0])
                        if asked:
                            _logarithms(p, losses[0])
                            risk = _sum(losses[0])
                    else:
                        _pairlog(a.ravel(), c.ravel(), losses.ravel())
                        if asked:
                            _logarithms(a.ravel(), losses.ravel())
                            risk = _sum(losses.ravel())
                if last:
                    risk_all[b] = top + math.log(risk)
                    break
                if normalized:
                    scale = rate[b] / (twice * risk)
                    log_step = math.log(scale) - top
                else:
                    scale = rate[b] * math.exp(top)
            _pull(c, own, total)
            _move(w, c, xt, scale)
            if normalized:
                high = max(log_time, log_step)
                log_time = high + math.log1p(math.exp(min(log_time, log_step) - high))
        time_all[b] = log_time


def descend(w, x, y, steps, loss, rate, normalized, log_time):
    """Same contract as reference.descend, in float64 whatever w's dtype; threads share the problems."""
    problems, classes, d = w.shape
    samples = x.shape[1]
    pad = -samples % PAD
    out = _memory.empty((problems, classes, d), np.float64)
    out[:] = w.numpy()
    xt = torch.nn.functional.pad(x.double().mT, (0, pad)).contiguous().numpy()
    labels = torch.nn.functional.pad(y, (0, pad)).contiguous().numpy()
    time, risk = (_memory.empty((problems,), np.float64) for _ in range(2))
    time[:] = log_time.numpy()
    rates = rate.contiguous().numpy()
    kind = LOSSES.index(loss)

    def part(first, last, begin, end):
        some = slice(first, last)
        _descend(out[some], xt[some], labels[some], samples, kind, end - begin, end == steps, rates[some],
                 normalized, time[some], risk[some])

    _threads.share(part, problems, steps, (4 * d + 50) * classes * xt.shape[2], anywhere=True)
    spent = torch.from_numpy(time)
    if not normalized and steps:
        spent = torch.logaddexp(spent, torch.log(rate * steps))
    return torch.from_numpy(out).to(w.dtype), spent, torch.from_numpy(risk)
