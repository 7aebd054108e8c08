"""Losses of a linear classifier that look at relative margins only, and treat all wrong classes alike.

A sample with label y and scores s has the relative margins u_k = s_y - s_k, one for each wrong class k. A PERM loss is
a symmetric function of them, its template psi(u). Everything is kept in logarithms, so that a loss of 1e-400 is as good
a number as any other. Source: Wang and Scott's losses as used by Ravi et al. 2024; chapter `implicit-bias-multiclass`.

Arrays are torch tensors, float64 unless said otherwise, and finite. Bad arguments raise TypeError or ValueError.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from implicitly_kernels.perm_gd.reference import log_softplus, softplus  # torch's own cuts off at 20

from ._validate import choice, each, function, instance, number, tensor, whole, wholes
from ._validate import seed as checked_seed

__all__ = [
    "LOSSES", "SKETCHES", "Path", "PermLoss", "curvature_use", "descend", "digit_classes", "labels", "log_risk",
    "log_weights", "relative_margins", "score_curvature", "sketch_classes", "tail_violation", "teacher_classes",
    "weights_error", "wrong_classes",
]  # fmt: skip


@dataclass(frozen=True)
class PermLoss:
    """A loss given by its template, psi, a symmetric function of the K - 1 relative margins.

    Args:
        name: of the loss.
        log_psi: ``u (..., K-1) -> (...)``, the logarithm of psi(u).
        log_weights: ``u (..., K-1) -> (..., K-1)``, the logarithm of minus the partial derivatives of psi.
        log_curvature: ``u (..., K-1) -> (...)``, logarithm of a bound on v'H v for ``max |v_k| <= 1``, where H is the
            Hessian of psi at u. Left out, psi itself is the bound (implicit-bias-multiclass/C1).
        smoothness: ``K -> beta``, the largest eigenvalue the Hessian can have as a function of the scores; None if
            there is no bound.

    >>> u = torch.tensor([2.0, 3.0])
    >>> bool(LOSSES["exponential"].psi(u).isclose((-u).exp().sum()))
    True
    """

    name: str
    log_psi: Callable[[Tensor], Tensor]
    log_weights: Callable[[Tensor], Tensor]
    log_curvature: Callable[[Tensor], Tensor] | None = None
    smoothness: Callable[[int], float] | None = None

    def __post_init__(self):
        instance("name", self.name, str)
        function("log_psi", self.log_psi), function("log_weights", self.log_weights)
        for name in ("log_curvature", "smoothness"):
            if getattr(self, name) is not None:
                function(name, getattr(self, name))

    def psi(self, u: Tensor) -> Tensor:
        """The loss of each sample: relative margins ``u (..., K-1)``, floating and K at least 2, to ``(...)``."""
        if tensor("u", u).ndim < 1 or u.shape[-1] < 1:
            raise ValueError(f"u must have shape (..., K-1) with K at least 2, found {tuple(u.shape)}")
        return self.log_psi(u).exp()


def _total(u: Tensor) -> Tensor:
    """ln of the sum of exp(-u_k)."""
    return torch.logsumexp(-u, -1)


# Named functions and no lambdas: a loss can be pickled.


def _cross_entropy(u: Tensor) -> Tensor:
    return log_softplus(_total(u))


def _cross_entropy_weights(u: Tensor) -> Tensor:
    return -u - softplus(_total(u))[..., None]


def _exponential_weights(u: Tensor) -> Tensor:
    return -u


def _pairlog(u: Tensor) -> Tensor:
    return torch.logsumexp(log_softplus(-u), -1)


def _pairlog_weights(u: Tensor) -> Tensor:
    return logsigmoid(-u)


def _polynomial(u: Tensor) -> Tensor:
    return torch.logsumexp(torch.where(u < 0, (1 - u.clamp(max=0)).log(), -torch.log1p(u.clamp(min=0))), -1)


def _polynomial_weights(u: Tensor) -> Tensor:
    return -2 * torch.log1p(u.clamp(min=0))


def _polynomial_curvature(u: Tensor) -> Tensor:
    return math.log(2) + torch.logsumexp(-3 * torch.log1p(u.clamp(min=0)), -1)


def _half(K: int) -> float:
    return 0.5


def _quarter_of(K: int) -> float:
    return K / 4


def _twice(K: int) -> float:
    return 2 * K


#: the three losses of the paper, and one whose tail is a power: psi = sum of 1 / (1 + u_k), straight for u_k < 0
LOSSES = {
    loss.name: loss
    for loss in (
        PermLoss("cross-entropy", _cross_entropy, _cross_entropy_weights, smoothness=_half),
        PermLoss("exponential", _total, _exponential_weights),
        PermLoss("pairlog", _pairlog, _pairlog_weights, smoothness=_quarter_of),
        PermLoss("polynomial", _polynomial, _polynomial_weights, _polynomial_curvature, _twice),
    )
}


def _loss(loss) -> PermLoss:
    if isinstance(loss, PermLoss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(f"loss must be a PermLoss or one of {', '.join(LOSSES)}, found {loss!r}")
    return LOSSES[loss]


def labels(name: str, y, N: int, K: int | None = None) -> int:
    """The number of classes, after checking that `y` holds N labels from 0 to K - 1, and K >= 2.

    Args:
        name: what an error calls `y`.
        y: ``(N,)``, int64.
        N: number of samples, at least 0.
        K: number of classes; the largest label plus one if left out, at least 2.
    """
    instance("name", name, str)
    N = whole("N", N, at_least=0)
    tensor(name, y, shape=(N,), dtype=torch.int64)
    low, high = (int(y.min()), int(y.max())) if N else (0, 0)
    K = max(high + 1, 2) if K is None else whole("K", K, at_least=2)
    if low < 0 or high >= K:
        raise ValueError(f"{name} must hold labels 0 to {K - 1}, found {low} to {high}")
    return K


def wrong_classes(y: Tensor, K: int) -> Tensor:
    """The K - 1 classes other than the label, in order: ``y (...) -> (..., K-1)``, int64; labels 0 to K - 1, K >= 2."""
    tensor("y", y, dtype=torch.int64)
    labels("y", y.reshape(-1), y.numel(), K := whole("K", K, at_least=2))
    return _wrong(y, K)


def _wrong(y: Tensor, K: int) -> Tensor:
    k = torch.arange(K - 1, device=y.device)
    return k + (k >= y[..., None])


def relative_margins(scores: Tensor, y: Tensor) -> Tensor:
    """u_ik = s_i,y - s_i,k for the wrong classes k of sample i, in the order of `wrong_classes`.

    Args:
        scores: ``(..., N, K)``, floating, K at least 2.
        y: ``(N,)`` or ``(..., N)``, int64 labels.

    Returns:
        ``(..., N, K-1)``.
    """
    if tensor("scores", scores).ndim < 2 or scores.shape[-1] < 2:
        raise ValueError(f"scores must have shape (..., N, K) with K at least 2, found {tuple(scores.shape)}")
    _labelled("y", y, scores.shape[:-1], scores.shape[-1])
    return _margins(scores, y)


def _labelled(name: str, y, shape, K: int) -> None:
    """Check labels of shape (N,) or of more of the last axes of `shape`."""
    tensor(name, y, dtype=torch.int64)
    if y.ndim < 1 or y.shape != shape[max(len(shape) - y.ndim, 0) :]:
        raise ValueError(f"{name} must have shape {tuple(shape[-1:])} or {tuple(shape)}, found {tuple(y.shape)}")
    labels(name, y.reshape(-1), y.numel(), K)


def _margins(scores: Tensor, y: Tensor) -> Tensor:
    y = y.expand(scores.shape[:-1])
    return scores.gather(-1, y[..., None]) - scores.gather(-1, _wrong(y, scores.shape[-1]))


def _problem_margins(W, X, y) -> Tensor:
    """Relative margins of ``W (..., K, d)`` at ``X (..., N, d)``, after checking all three."""
    tensor("W", W)
    if W.ndim < 2 or W.shape[-2] < 2:
        raise ValueError(f"W must have shape (..., K, d) with K at least 2, found {tuple(W.shape)}")
    tensor("X", X, dtype=W.dtype)
    if X.ndim < 2 or X.shape[-2] < 1 or X.shape[-1] != W.shape[-1]:
        raise ValueError(
            f"X and W must have shapes (..., N, d), N at least 1, and (..., K, d), "
            f"found {tuple(X.shape)} and {tuple(W.shape)}"
        )
    few, many = sorted((X.shape[:-2], W.shape[:-2]), key=len)
    if few != many[len(many) - len(few) :]:
        raise ValueError(f"X and W must agree in their first axes, found {tuple(X.shape)} and {tuple(W.shape)}")
    _labelled("y", y, (*many, X.shape[-2]), W.shape[-2])
    return _margins(X @ W.mT, y)


def log_risk(W: Tensor, X: Tensor, y: Tensor, loss: str | PermLoss) -> Tensor:
    """ln of the risk, the sum of psi over the samples. ``W (..., K, d), X (..., N, d), y (..., N) -> (...)``.

    W and X have one floating dtype; X and y may lack first axes of W, and W first axes of X.
    """
    return torch.logsumexp(_loss(loss).log_psi(_problem_margins(W, X, y)), -1)


def log_weights(W: Tensor, X: Tensor, y: Tensor, loss: str | PermLoss) -> Tensor:
    """ln of c_ik = -d psi / d u_k at sample i: what each constraint weighs in the gradient. ``(..., N, K-1)``.

    Arguments as for `log_risk`.
    """
    return _loss(loss).log_weights(_problem_margins(W, X, y))


def _some_margins(u, most: int | None = None) -> int:
    """The number of columns of ``u (n, K-1)``. Beyond 350 psi over exp(-u_k) leaves float64 in a mixed row."""
    tensor("u", u, shape=("n", "K-1"), dtype=torch.float64, at_least=-350.0, at_most=350.0)
    if u.numel() < 1:
        raise ValueError(f"u must have shape (n, K-1) with n and K-1 at least 1, found {tuple(u.shape)}")
    if most is not None and u.shape[1] > most:
        raise ValueError(f"u must have at most {most} columns, found {u.shape[1]}")
    return u.shape[1]


def _psi(loss: PermLoss) -> Callable[[Tensor], Tensor]:
    return lambda u: loss.log_psi(u).exp()  # without checks, which look at values and so do not vectorize


def _forces(loss: PermLoss, u: Tensor) -> Tensor:
    """-d psi / d u_k by automatic differentiation of psi: ``u (n, K-1) -> (n, K-1)``."""
    u = u.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(_psi(loss)(u).sum(), u)
    return -slope


def tail_violation(loss: str | PermLoss, u: Tensor) -> float:
    """By how much a template leaves the exponential tail, relative to exp(-u_k); 0 or less if it never does.

    With q = exp(-u_k), s = sum_j exp(-u_j), c_k = -d psi / d u_k by automatic differentiation of psi, the property is
    (1 - s) q <= c_k <= q (implicit-bias-multiclass/C1). It is tested in the form 1 - s <= c_k / q <= 1.

    Args:
        loss: a `PermLoss` or the name of one.
        u: ``(n, K-1)`` relative margins from -350 to 350.
    """
    _some_margins(u)
    ratio = _forces(_loss(loss), u) * u.exp()
    s = (-u).exp().sum(1, keepdim=True)
    return float(torch.maximum(ratio - 1, (1 - s) - ratio).max())


def weights_error(loss: str | PermLoss, u: Tensor) -> float:
    """Largest relative difference between `log_weights` of a template and what automatic differentiation finds.

    Args:
        loss: a `PermLoss` or the name of one.
        u: ``(n, K-1)`` relative margins from -350 to 350.
    """
    _some_margins(u)
    template = _loss(loss)
    return float((_forces(template, u) * (-template.log_weights(u)).exp() - 1).abs().max())


def _hessians(function, points: Tensor) -> Tensor:
    return torch.func.vmap(torch.func.hessian(function))(points)


def curvature_use(loss: str | PermLoss, u: Tensor) -> float:
    """Largest v'Hv / psi(u) over |v_k| <= 1, with H the Hessian of psi by automatic differentiation.

    A convex form is largest at the corners of the cube, which are all tried. At most 1 by
    implicit-bias-multiclass/C1.

    Args:
        loss: a `PermLoss` or the name of one.
        u: ``(n, K-1)`` relative margins from -350 to 350, K at most 11.
    """
    k = _some_margins(u, most=10)
    template = _loss(loss)
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=u.dtype)] * k).reshape(-1, k)
    forms = torch.einsum("sj,njk,sk->ns", signs, _hessians(_psi(template), u), signs)
    return float((forms.amax(1) / _psi(template)(u)).max())


def score_curvature(loss: str | PermLoss, K: int, *, seed: int = 0, draws: int = 500) -> float:
    """Largest eigenvalue found of the Hessian of the loss as a function of the K scores.

    Tried: random scores of several sizes, all scores equal, and two scores equal with the others far below.

    Args:
        loss: a `PermLoss` or the name of one.
        K: number of classes, at least 2.
        seed, draws: of the random scores, at least 1 draw.
    """
    K, draws = whole("K", K, at_least=2), whole("draws", draws, at_least=1)
    generator = torch.Generator().manual_seed(checked_seed("seed", seed))
    size = torch.logspace(-1, 1, draws, dtype=torch.float64)[:, None]
    scores = size * torch.randn(draws, K, generator=generator, dtype=torch.float64)
    special = torch.zeros(2, K, dtype=torch.float64)
    special[1, 2:] = -40.0
    psi = _psi(_loss(loss))
    of_scores = lambda s: psi(s[0] - s[1:])  # noqa: E731
    return float(torch.linalg.eigvalsh(_hessians(of_scores, torch.cat([scores, special]))).max())


# -- gradient descent -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Path:
    """Gradient descent on B problems, recorded at T step counts.

    Args:
        steps: the T step counts, increasing.
        W: ``(T, B, K, d)``.
        log_time: ``(T, B)``, ln of the sum of the step sizes so far; -inf before the first step.
        log_risk: ``(T, B)``.
    """

    steps: tuple[int, ...]
    W: Tensor
    log_time: Tensor
    log_risk: Tensor

    def __post_init__(self):
        steps = wholes("steps", self.steps, at_least=0)
        if any(b <= a for a, b in itertools.pairwise(steps)):
            raise ValueError(f"steps must increase, found {steps[:5]}")
        object.__setattr__(self, "steps", steps)
        T = len(steps)
        B = tensor("W", self.W, shape=(T, "B", "K", "d"), dtype=torch.float64).shape[1]
        tensor("log_risk", self.log_risk, shape=(T, B), dtype=torch.float64)
        clock = tensor("log_time", self.log_time, shape=(T, B), dtype=torch.float64, finite=False)
        if not bool((clock < math.inf).all()):
            raise ValueError("log_time must be below infinity, found NaN or infinity")

    @staticmethod
    def _within(clock, wanted):
        if not bool((clock[1:] >= clock[:-1]).all()):
            raise ValueError("log_time of the path must not decrease, found a fall")
        if wanted.min() < clock[0] or wanted.max() > clock[-1]:
            raise ValueError(
                f"log_times must lie between {clock[0]:.4g} and {clock[-1]:.4g}, the first and last record, "
                f"found {wanted.min():.4g} to {wanted.max():.4g}"
            )

    @staticmethod
    def _wanted(log_times) -> Tensor:
        wanted = tensor("log_times", log_times, shape=("M",), convert=torch.float64).contiguous()
        if wanted.numel() < 1:
            raise ValueError("log_times must hold at least one number, found none")
        return wanted

    def steps_around(self, log_times) -> list[int]:
        """All step counts between the two records that enclose a value of ln(time), of any problem: for a finer run.

        Args:
            log_times: ``(M,)`` values between the first and the last record of every problem: a tensor, array or list.
        """
        wanted, found = self._wanted(log_times), set()
        for clock in self.log_time.T.contiguous():
            self._within(clock, wanted)
            for later in torch.searchsorted(clock, wanted).clamp(min=1).tolist():
                found |= set(range(self.steps[later - 1], self.steps[min(later, len(clock) - 1)] + 1))
        return sorted(found)

    def at(self, log_times, problem: int | None = None) -> Tensor:
        """W at values of ln(time), interpolated linearly in ln(time) between the records.

        Between step 0, whose ln(time) is -inf, and the next record it is interpolated linearly in time: a step of
        gradient descent is linear in its length.

        Args:
            log_times: ``(M,)`` values between the first and the last record: a tensor, array or list.
            problem: which one, 0 to B - 1; all if left out.

        Returns:
            ``(M, B, K, d)``, or ``(M, K, d)`` of one `problem`.
        """
        wanted, B = self._wanted(log_times), self.W.shape[1]
        problems = range(B) if problem is None else [whole("problem", problem, at_least=0, at_most=B - 1)]
        columns = []
        for b in problems:
            clock = self.log_time[:, b].contiguous()
            self._within(clock, wanted)
            j = torch.searchsorted(clock, wanted).clamp(min=1, max=max(len(clock) - 1, 0))
            i = (j - 1).clamp(min=0)
            start, end = clock[i], clock[j]
            part = torch.where(start.isneginf(), (wanted - end).exp(), (wanted - start) / (end - start))
            part = torch.where(start == end, 0.0, part)[:, None, None]
            columns.append(torch.lerp(self.W[i, b], self.W[j, b], part))
        return torch.stack(columns, 1) if problem is None else columns[0]


def _generic(W, X, y, steps, loss, step_size, normalized, log_time):
    """Steps of gradient descent in torch, for any template: the readable and slow twin of the kernel `perm_gd`."""
    K = W.shape[1]
    wrong = _wrong(y, K)
    log_bound = (2 * X.square().sum(-1).amax(-1)).log()  # ln of 2 max |x_i|**2, (B,)
    curvature = loss.log_curvature or loss.log_psi
    for _ in range(steps):
        u = _margins(X @ W.mT, y)
        if normalized is None:
            log_step = step_size.log()
        else:
            log_step = normalized.log() - log_bound - torch.logsumexp(curvature(u), -1)
        c = (loss.log_weights(u) + log_step[:, None, None]).exp()
        pull = torch.zeros(*y.shape, K, dtype=W.dtype).scatter(-1, wrong, -c)
        pull = pull.scatter(-1, y[..., None], c.sum(-1, keepdim=True))
        W = W + pull.mT @ X
        log_time = torch.logaddexp(log_time, log_step)
    return W, log_time, torch.logsumexp(loss.log_psi(_margins(X @ W.mT, y)), -1)


def _probe(loss: PermLoss, K: int) -> None:
    """Check that the functions of a loss of the reader's own give the shapes that they should."""
    u = torch.zeros(2, 3, K - 1, dtype=torch.float64)
    for name, shape in (("log_psi", (2, 3)), ("log_weights", (2, 3, K - 1)), ("log_curvature", (2, 3))):
        of = getattr(loss, name)
        if of is not None and tuple(getattr(found := of(u), "shape", ())) != shape:
            found = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(f"loss.{name} must map shape {tuple(u.shape)} to {shape}, found {found}")


def _samples(name: str, X, ndim: tuple[int, ...]) -> Tensor:
    """`X` of samples as rows, float64: at least one, in one dimension at least, at most 1e100 in size to be squared."""
    tensor(name, X, dtype=torch.float64, at_least=-1e100, at_most=1e100)
    if X.ndim not in ndim or X.numel() < 1:
        wanted = " or ".join({2: "(N, d)", 3: "(B, N, d)"}[n] for n in ndim)
        raise ValueError(f"{name} must have shape {wanted}, no size 0, found {tuple(X.shape)}")
    return X


def descend(
    X: Tensor,
    y: Tensor,
    loss: str | PermLoss,
    *,
    at: Sequence[int],
    classes: int | None = None,
    step_size: float | Tensor | None = None,
    normalized: float | Tensor | None = None,
    start: Tensor | None = None,
) -> Path:
    """Gradient descent on the risk of a linear classifier, from W = 0 or `start`, for B data sets at once.

    With `step_size` every step is that long. With `normalized` = f a step is f / (b R(W)) long, with R the risk and
    b = 2 max |x_i|**2. For f <= 1 and a curvature bounded by psi the risk cannot rise (implicit-bias-multiclass/C8).
    The bound of a template that has its own takes the place of psi in R. Time is the sum of the step lengths.

    Args:
        X: ``(N, d)`` or ``(B, N, d)``, float64, at most 1e100 in size.
        y: ``(N,)`` or ``(B, N)``, int64, as X.
        loss: a name in `LOSSES` (compiled) or a `PermLoss` of your own (torch; slower).
        at: increasing step counts to record at, 0 allowed.
        classes: number K of classes; the largest label plus one if left out.
        step_size, normalized: exactly one, above 0, a number or ``(B,)``.
        start: ``(K, d)`` or ``(B, K, d)``, float64.

    Returns:
        A `Path`.

    Raises:
        RuntimeError: a run left the finite numbers; its step is too long, or its time.
    """
    if (step_size is None) == (normalized is None):
        found = "neither" if step_size is None else "both"
        raise ValueError(f"exactly one of step_size and normalized must be given, found {found}")
    _samples("X", X, (2, 3))
    tensor("y", y, shape=tuple(X.shape[:-1]), dtype=torch.int64)
    classes = classes if classes is None else whole("classes", classes, at_least=2)
    K = labels("y", y.reshape(-1), y.numel(), classes)
    X, y = (X, y) if X.ndim == 3 else (X[None], y[None])
    B, _, d = X.shape
    largest = X.norm(dim=-1).amax(1)
    if normalized is not None and bool((largest < 1e-100).any()):
        raise ValueError(f"X must have a sample longer than 1e-100 for normalized steps, found {largest.min():.3g}")
    at = wholes("at", at, least=0, at_least=0)
    if not at or any(b <= a for a, b in itertools.pairwise(at)):
        raise ValueError(f"at must be increasing step counts, found {at[:5]}")
    if start is not None:
        tensor("start", start, dtype=torch.float64)
        if tuple(start.shape) not in ((K, d), (B, K, d)):
            raise ValueError(f"start must have shape {(K, d)} or {(B, K, d)}, found {tuple(start.shape)}")
    W = torch.zeros(B, K, d, dtype=X.dtype) if start is None else start.expand(B, K, d).clone()
    rule = {
        "step_size": None if step_size is None else each("step_size", step_size, B, above=0.0),
        "normalized": None if normalized is None else each("normalized", normalized, B, above=0.0),
    }
    name = loss if isinstance(loss, str) else None
    template = _loss(loss)
    if name is None:
        _probe(template, K)
    log_time, rows, done = torch.full((B,), -math.inf, dtype=X.dtype), [], 0
    for t in at:
        if name is None:
            W, log_time, risk = _generic(W, X, y, t - done, template, rule["step_size"], rule["normalized"], log_time)
        else:
            W, log_time, risk = _compiled(W, X, y, t - done, name, rule, log_time)
        if not bool(W.isfinite().all() and risk.isfinite().all() and (log_time < math.inf).all()):
            cure = "step_size" if normalized is None else "normalized, or take fewer steps"
            raise RuntimeError(f"gradient descent left the finite numbers: lower {cure}")
        rows.append((W, log_time, risk))
        done = t
    return Path(at, *(torch.stack(column) for column in zip(*rows, strict=True)))


def _compiled(W, X, y, steps, name, rule, log_time):
    from implicitly_kernels import perm_gd

    return perm_gd(W, X, y, steps, loss=name, log_time=log_time, **rule)


# -- data -------------------------------------------------------------------------------------------------------------


def teacher_classes(N: int, d: int, K: int, *, seed: int, gap: float = 0.3) -> tuple[Tensor, Tensor]:
    """Gaussian points labelled by a random linear teacher; points on which it hesitates are left out.

    Args:
        N, d, K: number of points and dimension, at least 1; number of classes, at least 2.
        seed: of the teacher and the points.
        gap: a point is kept if the teacher's two largest scores differ by more; at least 0.

    Returns:
        ``X (N, d)`` float64, ``y (N,)`` int64. Separable by construction.

    Raises:
        ValueError: also when none of 20 000 points in a row has that gap.
    """
    N, d, K = whole("N", N, at_least=1), whole("d", d, at_least=1), whole("K", K, at_least=2)
    gap = number("gap", gap, at_least=0.0)
    draw = np.random.default_rng(checked_seed("seed", seed)).standard_normal
    teacher, found, missed = draw((K, d)), [], 0
    while len(found) < N:
        point = draw(d)
        scores = np.sort(teacher @ point)
        if scores[-1] - scores[-2] > gap:
            found.append(point)
            missed = 0
        elif (missed := missed + 1) == 20_000:
            raise ValueError(f"gap must be one that the teacher's scores have, found {gap:.6g}, missed 20000 times")
    X = np.array(found)
    return torch.tensor(X), torch.tensor((X @ teacher.T).argmax(1))


def _spread(center, radius, count, turn=0.0):
    """`count` points on a circle around `center`."""
    angles = turn + 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    return torch.tensor(center, dtype=torch.float64) + radius * torch.stack([angles.cos(), angles.sin()], 1)


#: Arrangements of 14 points of three classes in the plane: name -> for each class circles (center, radius, count, turn)
SKETCHES = {
    "even": [[((0.0, 1.4), 0.5, 5, 0.3)], [((-1.2, -0.7), 0.5, 5, 0.9)], [((1.2, -0.7), 0.5, 4, 0.0)]],
    "lopsided": [
        [((0.3, 1.7), 0.4, 4, 0.2), ((-0.2, 0.45), 0.0, 1, 0.0)],
        [((-1.5, -0.6), 0.6, 5, 0.5)],
        [((1.0, -0.1), 0.0, 1, 0.0), ((1.5, -1.4), 0.4, 3, 1.0)],
    ],
    "nearly touching": [
        [((-1.2, 1.1), 0.5, 4, 0.1), ((-0.16, 0.5), 0.0, 1, 0.0)],
        [((0.0, -1.5), 0.5, 4, 0.3)],
        [((1.2, 1.1), 0.5, 4, 0.4), ((0.04, 0.62), 0.0, 1, 0.0)],
    ],
    "in a row": [[((-1.6, 0.2), 0.4, 5, 0.5)], [((0.0, -0.1), 0.35, 4, 0.2)], [((1.5, 0.1), 0.5, 5, 0.8)]],
}


def sketch_classes(name: str) -> tuple[Tensor, Tensor]:
    """Three classes in the plane with a constant feature 1: ``X (14, 3)`` float64, ``y (14,)``, name in `SKETCHES`."""
    choice("name", name, SKETCHES)
    groups = [torch.cat([_spread(*group) for group in groups]) for groups in SKETCHES[name]]
    points = torch.cat(groups)
    y = torch.repeat_interleave(torch.arange(3), torch.tensor([len(group) for group in groups]))
    return torch.cat([points, torch.ones(len(points), 1, dtype=points.dtype)], 1), y


def digit_classes(N: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """N of scikit-learn's 1797 8 x 8 digits, centred, with a constant pixel for the bias.

    Returns:
        ``X (N, 65)`` float64 with the longest row of length 1, ``y (N,)`` int64.
    """
    from sklearn.datasets import load_digits

    N, seed = whole("N", N, at_least=1, at_most=1797), checked_seed("seed", seed)
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(seed))[:N]
    pixels = torch.tensor(data.data, dtype=torch.float64)[order] / 16
    constant = torch.full((N, 1), 0.5, dtype=torch.float64)
    X = torch.cat([pixels - pixels.mean(0), constant], 1)
    return X / X.norm(dim=1).max(), torch.tensor(data.target, dtype=torch.int64)[order]
