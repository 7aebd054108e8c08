"""PERM descent on the GPU: a program keeps one problem, data and weights, in registers for the whole run."""

import torch
import triton
import triton.language as tl

from implicitly_kernels._dispatch import Unsupported
from implicitly_kernels.perm_gd._tile import MOST, tile
from implicitly_kernels.perm_gd.reference import LOSSES


@triton.jit
def _log1p_over(x, TERMS: tl.constexpr):
    """log(1 + x) / x for x >= 0, and 1 at x = 0; below 1/2 by the series of artanh(x / (2 + x))."""
    near = tl.where(x < 0.5, x, 0.0)
    z = near / (2.0 + near)
    z = z * z
    series = tl.zeros_like(x) + 1.0 / (2 * TERMS + 1)
    for i in tl.static_range(TERMS):
        series = series * z + 1.0 / (2 * (TERMS - i) - 1)
    far = tl.where(x < 0.5, 1.0, x)
    return tl.where(x < 0.5, 2.0 / (2.0 + near) * series, tl.log(1.0 + far) / far)


@triton.jit
def _scores(w, x, k, classes, K: tl.constexpr, N: tl.constexpr):
    """w @ x as [K, N], class by class: the three-way product would not fit in registers."""
    s = tl.zeros([K, N], w.dtype)
    for c in range(classes):
        row = tl.sum(tl.where(k[:, None] == c, w, 0.0), axis=0)  # [D]
        s = tl.where(k[:, None] == c, tl.sum(x * row[:, None], axis=0)[None, :], s)
    return s


@triton.jit
def _moved(w, pull, x, k, classes, scale):
    """w + scale * pull @ x.T, class by class."""
    new = w
    for c in range(classes):
        one = tl.sum(tl.where(k[:, None] == c, pull, 0.0), axis=0)  # [N]
        row = tl.sum(one[None, :] * x, axis=1)
        new = tl.where(k[:, None] == c, w + scale * row[None, :], new)
    return new


@triton.jit
def _evaluate(s, own, live, LOSS: tl.constexpr, TERMS: tl.constexpr):
    """Minus the gradient in the scores, risk and (polynomial) curvature, all without a common factor.

    Tiles are [K, N]: threads lie along the samples. The factors are e^base of gradient and risk; for
    the polynomial loss base^-2, 1 and base^-3.
    """
    a = s - tl.sum(tl.where(own, s, 0.0), axis=0)[None, :]  # minus the relative margins
    seen = tl.where(live, a, float("-inf"))
    most = tl.max(seen, axis=0)  # [N]
    top = tl.max(most, axis=0)
    bend = top * 0.0
    if LOSS == 3:
        base = tl.where(top < 0.0, 1.0 - top, 1.0)
        reach = tl.where(a >= 0.0, 1.0, 1.0 - a)
        r = tl.where(live, base / reach, 0.0)
        c = r * r
        bend = tl.sum(tl.sum(c * r, axis=0), axis=0)
        risk = tl.sum(tl.where(live, tl.where(a >= 0.0, 1.0 + a, 1.0 / reach), 0.0), axis=0)
    else:
        if LOSS == 1:
            base = top
            c = tl.exp(seen - base)
            risk = tl.sum(c, axis=0)
        else:
            base = tl.where(top > 0.0, 0.0, top)
            factor = tl.exp(base)
            if LOSS == 0:
                p = tl.where(most > 0.0, most, 0.0)
                e = tl.exp(seen - p[None, :] - base)
                total = tl.sum(e, axis=0)
                t = factor * total + (tl.exp(-p) - 1.0)  # p > 0 only where factor is 1
                c = e / (1.0 + t)[None, :]
                ratio = _log1p_over(t, TERMS)
                risk = tl.where(p > 0.0, p + ratio * t, ratio * total)
            else:
                e = tl.exp(tl.where(live, tl.where(a > 0.0, -a, a) - base, float("-inf")))
                t = factor * e
                c = tl.where(live & (a > 0.0), 1.0, e) / (1.0 + t)
                ratio = _log1p_over(t, TERMS)
                risk = tl.sum(tl.where(live & (a > 0.0), a + ratio * t, ratio * e), axis=0)
    pull = tl.where(own, tl.sum(c, axis=0)[None, :], -c)
    return pull, base, tl.sum(risk, axis=0), bend


@triton.jit(do_not_specialize=["steps"])  # one step is the same binary as many
def _perm_gd_kernel(
    w_ptr, x_ptr, y_ptr, rate_ptr, time_ptr, out_ptr, spent_ptr, risk_ptr,
    samples, classes, d, steps,
    LOSS: tl.constexpr, NORMALIZED: tl.constexpr, TERMS: tl.constexpr,
    N: tl.constexpr, K: tl.constexpr, D: tl.constexpr,
):
    b = tl.program_id(0).to(tl.int64)
    n, k, j = tl.arange(0, N), tl.arange(0, K), tl.arange(0, D)
    x = tl.load(x_ptr + b * samples * d + j[:, None] * samples + n[None, :],
                mask=(j < d)[:, None] & (n < samples)[None, :], other=0.0)  # [D, N]
    y = tl.load(y_ptr + b * samples + n, mask=n < samples, other=0)
    where = b * classes * d + k[:, None] * d + j[None, :]
    inside = (k < classes)[:, None] & (j < d)[None, :]
    w = tl.load(w_ptr + where, mask=inside, other=0.0)  # [K, D]
    own = k[:, None] == y[None, :]
    live = (k < classes)[:, None] & (n < samples)[None, :] & (k[:, None] != y[None, :])
    rate = tl.load(rate_ptr + b)  # float64, like all that is kept of the time
    spent = tl.load(time_ptr + b)
    twice = 2.0 * tl.max(tl.sum(x * x, axis=0), axis=0).to(tl.float64)
    for _ in range(steps):
        pull, base, risk, bend = _evaluate(_scores(w, x, k, classes, K, N), own, live, LOSS, TERMS)
        high = base.to(tl.float64)
        if NORMALIZED:
            if LOSS == 3:
                scale = rate * high / (2.0 * twice * bend.to(tl.float64))
                log_step = tl.log(scale) + 2.0 * tl.log(high)
            else:
                scale = rate / (twice * risk.to(tl.float64))
                log_step = tl.log(scale) - high
            # log(e^spent + e^log_step), to 1e-16 of time: a log1p would add digits only below that.
            above = tl.where(spent > log_step, spent, log_step)
            below = tl.where(spent > log_step, log_step, spent)
            spent = above + tl.log(1.0 + tl.exp(below - above))
        elif LOSS == 3:
            scale = rate / high / high
        else:
            scale = rate * tl.exp(high)
        w = _moved(w, pull, x, k, classes, scale.to(w.dtype))
    pull, base, risk, bend = _evaluate(_scores(w, x, k, classes, K, N), own, live, LOSS, TERMS)
    log_risk = tl.log(risk.to(tl.float64))
    if LOSS != 3:
        log_risk += base.to(tl.float64)
    tl.store(out_ptr + where, w, mask=inside)
    tl.store(spent_ptr + b, spent)
    tl.store(risk_ptr + b, log_risk)


def descend(w, x, y, steps, loss, rate, normalized, log_time):
    """Same contract as reference.descend, in w's dtype; at most MOST numbers a problem."""
    problems, classes, d = w.shape
    n, k, f, warps = tile(x.shape[1], classes, d)
    if n * max(f, 4 * k) > MOST:
        raise Unsupported(
            f"X: the triton backend takes at most {MOST} samples x (features or four times the classes), "
            f"padded to powers of two; got {n} x {max(f, 4 * k)}"
        )
    out = w.new_empty(w.shape)
    spent, risk = (rate.new_empty((problems,)) for _ in range(2))
    if problems:
        _perm_gd_kernel[(problems,)](
            w.contiguous(), x.mT.contiguous(), y.contiguous(), rate.contiguous(), log_time.contiguous(),
            out, spent, risk, x.shape[1], classes, d, steps,
            LOSS=LOSSES.index(loss), NORMALIZED=normalized,
            TERMS=11 if w.dtype == torch.float64 else 5,
            N=n, K=k, D=f, num_warps=warps, enable_fp_fusion=True,
        )
    if not normalized and steps:
        spent = torch.logaddexp(spent, torch.log(rate * steps))
    return out, spent, risk
