r"""Gradient descent on many small linear multiclass problems at once, under a PERM loss.

A PERM loss sees a sample only through its relative margins $u_k = (w_y - w_k)\cdot x$, $k \ne y$, and
treats them alike. The risk is $R(W) = \sum_i \psi(u_i)$, and a step is
$W \leftarrow W - s\,\nabla R(W)$ with $s$ fixed, or $s = f / C(W)$ where $C$ bounds the curvature:
then the virtual time $\sum s$ grows exponentially with the steps, and only its logarithm is kept.

Source: Ravi et al., arXiv 2411.01350; chapter implicit-bias-multiclass, claims C1 to C7.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from implicitly_kernels import _checks as check
from implicitly_kernels._ops import dispatcher, operator
from implicitly_kernels.perm_gd.reference import LOSSES

_DISPATCH = dispatcher("perm_gd", "descend")
FLOATS = (torch.float32, torch.float64)


def _check(w, x, y, rate, normalized, log_time):
    name = "normalized" if normalized else "step_size"
    told = check.refusal
    conditions = [
        ("W", w), ("X", x), (name, rate),
        (rate > 0, told(lambda: f"{name}: expected numbers > 0, got {rate.min().item()}")),
        ((y >= 0) & (y < w.shape[1]), told(lambda: f"y: expected classes 0 to {w.shape[1] - 1}, got {y.min().item()} "
                                                   f"to {y.max().item()}")),
        (log_time < torch.inf, told(lambda: "log_time: expected numbers below infinity, got "  # catches NaN
                                            f"{log_time[~(log_time < torch.inf)][0].item()}")),
    ]  # fmt: skip
    if normalized:
        conditions.append(((x != 0).flatten(1).any(1), told(
            lambda: "X: expected a sample other than 0 in every problem, or no step is normalized")))
    if normalized and x.shape[1]:
        square, limits = x.square().sum(2).amax(1), torch.finfo(x.dtype)
        good = (square >= limits.smallest_normal) & (square <= limits.max)
        conditions.append((good, told(lambda: f"X: expected a largest squared norm in the range of {x.dtype}, or no "
                                              f"step is normalized, got {square[~good][0].item():.3g}")))
    check.hold(*conditions)


def _shapes(w, x, y, at, loss, rate, normalized, log_time, backend):
    return (w.new_empty((len(at), *w.shape)), log_time.new_empty((len(at), *log_time.shape)),
            log_time.new_empty((len(at), *log_time.shape)))


@operator("perm_gd", _shapes)
def _descend(w: Tensor, x: Tensor, y: Tensor, at: list[int], loss: str, rate: Tensor, normalized: bool,
             log_time: Tensor, backend: str) -> tuple[Tensor, Tensor, Tensor]:
    _check(w, x, y, rate, normalized, log_time)
    run, kept = _DISPATCH(backend, w), []
    for done, count in pairwise([0, *at]):
        w, log_time, log_risk = run(w, x, y, count - done, loss, rate, normalized, log_time)
        kept.append((w, log_time, log_risk))
    return tuple(torch.stack(column) for column in zip(*kept, strict=True))


def perm_gd(W: Tensor, X: Tensor, y: Tensor, steps: int | Sequence[int], *, loss: str = "cross-entropy",
            step_size: Tensor | None = None, normalized: Tensor | None = None,
            log_time: Tensor | None = None,
            backend: str = "auto") -> tuple[Tensor, Tensor, Tensor]:
    """Take `steps` steps of gradient descent on every problem, from W.

    W: (B, K, d) float64 or float32, a weight row per class, K >= 2. X: (B, N, d), same dtype, N >= 1.
    y: (B, N) int64 labels in 0..K-1. steps: int in [0, 2**31 - 1); 0 evaluates the risk. Or T such counts that
       increase: the run is recorded at each, in one call that checks and starts once, with the bits of T calls.
    loss, at the K-1 relative margins u of a sample: "cross-entropy" log(1 + sum e^-u), "exponential"
       sum e^-u, "pairlog" sum log(1 + e^-u), "polynomial" sum of 1/(1+u) where u >= 0, else 1-u.
       The risk is the sum over samples.
    Exactly one of step_size (B,), the step; or normalized (B,), the share f of the step f/C(W),
       C = 2 max|x|^2 R(W), for the polynomial loss 2 max|x|^2 sum 2/(1+max(u,0))^3, with max|x|^2 > 0 within
       the range of X's dtype. Read as float64.
    log_time: (B,) log of the virtual time spent before, -inf by default.
    backend: "auto", "reference", "numba" (computes in float64), "triton" (computes in
       W's dtype; N max(d, 4K) at most 4096, each padded to a power of two).

    Returns W (B, K, d), log_time (B,) float64 with the steps taken added, and log_risk (B,) float64 at
    the returned W; at T counts (T, B, K, d), (T, B) and (T, B). Weights, risk and time are handled by
    their logarithms: in float64 a run keeps its digits at a log time of thousands (under the polynomial
    loss W itself grows like the cube root of time and leaves float64 near a log time of 2100). Where W
    overflows, by that or by a fixed step too large for the loss (the exponential one has no safe step
    far from 0), inf or NaN is returned, not raised.
    Not differentiable. Raises TypeError/ValueError for bad arguments, RuntimeError for a named backend
    that cannot run. Cost: about 4 K d + 46 K + 20 operations a sample and step.
    Source: arXiv 2411.01350, chapter implicit-bias-multiclass, claims C1 to C7.
    """
    check.tensor("W", W, dtypes=FLOATS, ndim=3)
    problems, classes, d = W.shape
    if classes < 2:
        raise ValueError(f"W: expected at least two classes (rows), got shape {tuple(W.shape)}")
    check.tensor("X", X, dtypes=(W.dtype,), device=W.device, shape=(problems, None, d))
    if X.shape[1] == 0:
        raise ValueError("X: expected at least one sample, got none")
    check.tensor("y", y, dtypes=(torch.int64,), device=W.device, shape=(problems, X.shape[1]))
    one = not isinstance(steps, Iterable) or getattr(steps, "ndim", 1) == 0  # a 0-d tensor calls itself iterable
    limits = {"at_least": 0, "at_most": 2**31 - 2}
    at = [check.integer("steps", steps, **limits)] if one else check.integers("steps", steps, **limits)
    if not at or any(b <= a for a, b in pairwise(at)):
        raise ValueError(f"steps: expected counts that increase, at least one, got {at[:5]}")
    check.one_of("loss", loss, LOSSES)
    check.backend(backend)
    if (step_size is None) == (normalized is None):
        raise ValueError("step_size, normalized: expected exactly one of them, got "
                         + ("none" if step_size is None else "both"))
    name, rate = ("step_size", step_size) if normalized is None else ("normalized", normalized)
    check.tensor(name, rate, dtypes=FLOATS, device=W.device, shape=(problems,))
    if log_time is None:
        log_time = torch.full((problems,), -torch.inf, dtype=torch.float64, device=W.device)
    check.tensor("log_time", log_time, dtypes=FLOATS, device=W.device, shape=(problems,))
    records = _descend(W, X, y, at, loss, rate.double(), normalized is not None, log_time.double(), backend)
    return tuple(column[0] for column in records) if one else records
