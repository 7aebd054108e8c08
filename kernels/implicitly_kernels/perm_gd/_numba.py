"""PERM descent on the CPU: one problem at a time, in passes over its samples, own exp and log1p."""

import math

import numba
import numpy as np
import torch
from numba import types
from numba.extending import intrinsic

from implicitly_kernels import _memory, _threads
from implicitly_kernels.perm_gd._blocks import (
    LANES,
    cross_entropy,
    exponential,
    jit,
    longest,
    move,
    pairlog,
    polynomial,
    polynomial_risk,
    scores,
)
from implicitly_kernels.perm_gd.reference import LOSSES

CROSS_ENTROPY, EXPONENTIAL, PAIRLOG, POLYNOMIAL = range(len(LOSSES))
#: A problem's time is factor * e^log: the factor stays within BIG and 1 / BIG, and a step's log within FAR of that log.
BIG, FAR = 1e250, 300.0


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
def _later(log_time, log_step):
    """log(e^log_time + e^log_step)."""
    if log_time == -np.inf:
        return log_step
    return max(log_time, log_step) + math.log1p(math.exp(-abs(log_time - log_step)))


@jit
def _descend(w_all, x_all, label_all, start, classes, loss, steps, final, rate, normalized, clock_all,
             time_all, risk_all, scratch):
    """`steps` steps of every problem in place, and its risk and log time if they are the final ones.

    clock_all: (problems, 2), the time as log and factor, which a step leaves without a logarithm.
    """
    width, k, d, bits = start.size, np.uint64(classes), np.uint64(w_all.shape[1] // classes), math.log2(classes)
    s, true, worst = scratch[:-2 * width], scratch[-2 * width:-width], scratch[-width:]
    # Below this every sum of weights is under 2^-53 and log1p(s) = s to the last bit.
    tail = -37.0 - math.log(classes)
    for b in range(w_all.shape[0]):
        w, x, label = w_all[b], x_all[b], label_all[b]
        twice = 2.0 * longest(x, np.uint64(width))
        (since, spent), far, unit = clock_all[b], 0.0, 1.0
        for step in range(steps + final):  # the last time only for the risk
            last = step == steps
            top = scores(w, x, d, k, label, start, s, true, worst)
            if loss == POLYNOMIAL:
                if last:
                    risk_all[b] = math.log(polynomial_risk(s, k, label, true))
                    break
                nearest = 1.0 - top if top < 0.0 else 1.0
                cubes = polynomial(s, k, label, true, nearest)
                if normalized:
                    size = rate[b] * nearest / (2.0 * twice * cubes)
                    lift = 2.0 * math.log(nearest)
                else:
                    size = rate[b] / nearest / nearest
            else:
                # The risk is risk * exp(top), and exp(top) is left out of the weights too.
                if loss == EXPONENTIAL or top < tail:
                    risk = exponential(s, k, label, true, top)
                else:
                    top = 0.0
                    if loss == CROSS_ENTROPY:
                        risk, product = cross_entropy(s, k, bits, label, true, worst)
                    else:
                        risk, product = pairlog(s, k, label, true)
                    risk += log1p(product)
                if last:
                    risk_all[b] = top + math.log(risk)
                    break
                if normalized:
                    size, lift = rate[b] / (twice * risk), -top
                else:
                    size = rate[b] if top == 0.0 else rate[b] * math.exp(top)
            move(w, x, d, k, s, np.uint64(width), size)
            if normalized:
                if far != lift - since:
                    far = lift - since
                    unit = exp(min(far, FAR))
                after = spent + size * unit
                if abs(far) < FAR and 1.0 / BIG < after < BIG:
                    spent = after
                else:
                    since, spent = _later(since + math.log(spent), math.log(size) + lift), 1.0
                    if since == -np.inf:
                        since, spent = 0.0, 0.0
        if final:
            time_all[b] = since + math.log(spent)
        clock_all[b] = since, spent


def descend(w, x, y, steps, loss, rate, normalized, log_time):
    """Same contract as reference.descend, in float64 whatever w's dtype; threads share the problems."""
    problems, classes, d = w.shape
    samples = x.shape[1]
    pad = -samples % LANES
    out = _memory.empty((problems, classes * d), np.float64)
    out[:] = w.flatten(1).numpy()
    xt = torch.nn.functional.pad(x.double().mT, (0, pad)).flatten(1).contiguous().numpy()
    labels = torch.nn.functional.pad(y.double(), (0, pad), value=-1.0).contiguous().numpy()
    start = np.zeros(samples + pad)
    start[samples:] = np.inf
    clock = _memory.empty((problems, 2), np.float64)
    time, risk = (_memory.empty((problems,), np.float64) for _ in range(2))
    before = log_time.numpy()
    clock[:, 0], clock[:, 1] = np.where(before == -np.inf, 0.0, before), before > -np.inf
    rates = rate.contiguous().numpy()
    kind = LOSSES.index(loss)

    def part(first, last, begin, end, scratch):
        some = slice(first, last)
        _descend(out[some], xt[some], labels[some], start, classes, kind, end - begin, end == steps, rates[some],
                 normalized, clock[some], time[some], risk[some], scratch)

    def scratch():
        return torch.empty((classes + 2) * start.size, dtype=torch.float64).numpy()

    _threads.share(part, problems, steps, (4 * d + 50) * classes * start.size, scratch, anywhere=True)
    spent = torch.from_numpy(time)
    if not normalized and steps:
        spent = torch.logaddexp(spent, torch.log(rate * steps))
    return torch.from_numpy(out).view(problems, classes, d).to(w.dtype), spent, torch.from_numpy(risk)
