"""Losses of a linear classifier that look at relative margins only, and treat all wrong classes alike.

A sample with label y and scores s has the relative margins u_k = s_y - s_k, one for each wrong class k. A PERM loss is
a symmetric function of them, its template psi(u). Everything is kept in logarithms, so that a loss of 1e-400 is as good
a number as any other. Source: Wang and Scott's losses as used by Ravi et al. 2024; chapter `implicit-bias-multiclass`.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from implicitly_kernels.perm_gd.reference import log_softplus, softplus  # torch's own cuts off at 20

from ._validate import choice, matrix, number, whole

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

    def psi(self, u: Tensor) -> Tensor:
        """The loss of each sample: relative margins ``u (..., K-1)`` to ``(...)``."""
        return self.log_psi(u).exp()


def _total(u: Tensor) -> Tensor:
    """ln of the sum of exp(-u_k)."""
    return torch.logsumexp(-u, -1)


def _polynomial(u: Tensor) -> Tensor:
    return torch.logsumexp(torch.where(u < 0, (1 - u.clamp(max=0)).log(), -torch.log1p(u.clamp(min=0))), -1)


#: the three losses of the paper, and one whose tail is a power: psi = sum of 1 / (1 + u_k), straight for u_k < 0
LOSSES = {
    loss.name: loss
    for loss in (
        PermLoss(
            "cross-entropy",
            lambda u: log_softplus(_total(u)),
            lambda u: -u - softplus(_total(u))[..., None],
            smoothness=lambda K: 0.5,
        ),
        PermLoss("exponential", _total, lambda u: -u),
        PermLoss(
            "pairlog",
            lambda u: torch.logsumexp(log_softplus(-u), -1),
            lambda u: logsigmoid(-u),
            smoothness=lambda K: K / 4,
        ),
        PermLoss(
            "polynomial",
            _polynomial,
            lambda u: -2 * torch.log1p(u.clamp(min=0)),
            log_curvature=lambda u: math.log(2) + torch.logsumexp(-3 * torch.log1p(u.clamp(min=0)), -1),
            smoothness=lambda K: 2 * K,
        ),
    )
}


def _loss(loss) -> PermLoss:
    if isinstance(loss, PermLoss):
        return loss
    if loss not in LOSSES:
        raise ValueError(f"loss must be a PermLoss or one of {', '.join(LOSSES)}, found {loss!r}")
    return LOSSES[loss]


def labels(name: str, y, N: int, K: int | None = None) -> int:
    """The number of classes, after checking that `y` holds N labels from 0 to K - 1, and K >= 2."""
    if not isinstance(y, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, found {type(y).__name__}")
    if y.dtype != torch.int64:
        raise TypeError(f"{name} must be int64, found {y.dtype}")
    if y.shape != (N,):
        raise ValueError(f"{name} must have shape ({N},), found {tuple(y.shape)}")
    low, high = (int(y.min()), int(y.max())) if N else (0, 0)
    K = max(high + 1, 2) if K is None else whole("K", K, at_least=2)
    if low < 0 or high >= K:
        raise ValueError(f"{name} must hold labels 0 to {K - 1}, found {low} to {high}")
    return K


def wrong_classes(y: Tensor, K: int) -> Tensor:
    """The K - 1 classes other than the label, in order: ``y (...) -> (..., K-1)``."""
    k = torch.arange(K - 1, device=y.device)
    return k + (k >= y[..., None])


def relative_margins(scores: Tensor, y: Tensor) -> Tensor:
    """u_ik = s_i,y - s_i,k for the wrong classes k of sample i, in the order of `wrong_classes`.

    Args:
        scores: ``(..., N, K)``, floating.
        y: ``(N,)`` or ``(..., N)``, int64 labels.

    Returns:
        ``(..., N, K-1)``.
    """
    y = y.expand(scores.shape[:-1])
    return scores.gather(-1, y[..., None]) - scores.gather(-1, wrong_classes(y, scores.shape[-1]))


def log_risk(W: Tensor, X: Tensor, y: Tensor, loss) -> Tensor:
    """ln of the risk, the sum of psi over the samples. ``W (..., K, d), X (..., N, d), y (..., N) -> (...)``."""
    return torch.logsumexp(_loss(loss).log_psi(relative_margins(X @ W.mT, y)), -1)


def log_weights(W: Tensor, X: Tensor, y: Tensor, loss) -> Tensor:
    """ln of c_ik = -d psi / d u_k at sample i: what each constraint weighs in the gradient. ``(..., N, K-1)``."""
    return _loss(loss).log_weights(relative_margins(X @ W.mT, y))


def _forces(loss: PermLoss, u: Tensor) -> Tensor:
    """-d psi / d u_k by automatic differentiation of psi: ``u (n, K-1) -> (n, K-1)``."""
    u = u.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss.psi(u).sum(), u)
    return -slope


def tail_violation(loss, u: Tensor) -> float:
    """By how much a template leaves the exponential tail, relative to exp(-u_k); 0 or less if it never does.

    With q = exp(-u_k), s = sum_j exp(-u_j), c_k = -d psi / d u_k by automatic differentiation of psi, the property is
    (1 - s) q <= c_k <= q (implicit-bias-multiclass/C1). It is tested in the form 1 - s <= c_k / q <= 1.

    Args:
        loss: a `PermLoss` or the name of one.
        u: ``(n, K-1)`` relative margins, any sign.
    """
    matrix("u", u)
    ratio = _forces(_loss(loss), u) * u.exp()
    s = (-u).exp().sum(1, keepdim=True)
    return float(torch.maximum(ratio - 1, (1 - s) - ratio).max())


def weights_error(loss, u: Tensor) -> float:
    """Largest relative difference between `log_weights` of a template and what automatic differentiation finds.

    Args:
        loss: a `PermLoss` or the name of one.
        u: ``(n, K-1)`` relative margins, any sign.
    """
    matrix("u", u)
    template = _loss(loss)
    return float((_forces(template, u) * (-template.log_weights(u)).exp() - 1).abs().max())


def _hessians(function, points: Tensor) -> Tensor:
    return torch.func.vmap(torch.func.hessian(function))(points)


def curvature_use(loss, u: Tensor) -> float:
    """Largest v'Hv / psi(u) over |v_k| <= 1, with H the Hessian of psi by automatic differentiation.

    A convex form is largest at the corners of the cube, which are all tried. At most 1 by
    implicit-bias-multiclass/C1.

    Args:
        loss: a `PermLoss` or the name of one.
        u: ``(n, K-1)`` relative margins, K at most 11.
    """
    k = matrix("u", u).shape[1]
    if k > 10:
        raise ValueError(f"u must have at most 10 columns, found {k}")
    template = _loss(loss)
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=u.dtype)] * k).reshape(-1, k)
    forms = torch.einsum("sj,njk,sk->ns", signs, _hessians(template.psi, u), signs)
    return float((forms.amax(1) / template.psi(u)).max())


def score_curvature(loss, K: int, *, seed: int = 0, draws: int = 500) -> float:
    """Largest eigenvalue found of the Hessian of the loss as a function of the K scores.

    Tried: random scores of several sizes, all scores equal, and two scores equal with the others far below.
    """
    whole("K", K, at_least=2)
    generator = torch.Generator().manual_seed(seed)
    size = torch.logspace(-1, 1, draws, dtype=torch.float64)[:, None]
    scores = size * torch.randn(draws, K, generator=generator, dtype=torch.float64)
    special = torch.zeros(2, K, dtype=torch.float64)
    special[1, 2:] = -40.0
    of_scores = lambda s: _loss(loss).psi(s[0] - s[1:])  # noqa: E731
    return float(torch.linalg.eigvalsh(_hessians(of_scores, torch.cat([scores, special]))).max())


# -- gradient descent -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Path:
    """Gradient descent on B problems, recorded at T step counts.

    Args:
        steps: the T step counts.
        W: ``(T, B, K, d)``.
        log_time: ``(T, B)``, ln of the sum of the step sizes so far; -inf before the first step.
        log_risk: ``(T, B)``.
    """

    steps: tuple[int, ...]
    W: Tensor
    log_time: Tensor
    log_risk: Tensor

    @staticmethod
    def _within(clock, wanted):
        if wanted.min() < clock[0] or wanted.max() > clock[-1]:
            raise ValueError(
                f"log_times must lie between {clock[0]:.4g} and {clock[-1]:.4g}, the first and last record, "
                f"found {wanted.min():.4g} to {wanted.max():.4g}"
            )

    def steps_around(self, log_times) -> list[int]:
        """All step counts between the two records that enclose a value of ln(time), of any problem: for a finer run.

        Args:
            log_times: values between the first and the last record of every problem.
        """
        wanted, found = torch.as_tensor(log_times, dtype=torch.float64), set()
        for clock in self.log_time.T.contiguous():
            self._within(clock, wanted)
            for later in torch.searchsorted(clock, wanted).clamp(min=1).tolist():
                found |= set(range(self.steps[later - 1], self.steps[later] + 1))
        return sorted(found)

    def at(self, log_times, problem: int | None = None) -> Tensor:
        """W at values of ln(time), interpolated linearly in ln(time) between the records.

        Returns:
            ``(M, B, K, d)``, or ``(M, K, d)`` of one `problem`.
        """
        wanted = torch.as_tensor(log_times, dtype=torch.float64).contiguous()
        problems = range(self.W.shape[1]) if problem is None else [problem]
        columns = []
        for b in problems:
            clock = self.log_time[:, b].contiguous()
            self._within(clock, wanted)
            j = torch.searchsorted(clock, wanted).clamp(min=1)
            start = clock[j - 1]
            part = (wanted - start) / (clock[j] - start)
            part = torch.where(start.isneginf(), 1.0, part)[:, None, None]  # before the first step: the later record
            columns.append(torch.lerp(self.W[j - 1, b], self.W[j, b], part))
        return torch.stack(columns, 1) if problem is None else columns[0]


def _generic(W, X, y, steps, loss, step_size, normalized, log_time):
    """Steps of gradient descent in torch, for any template: the readable and slow twin of the kernel `perm_gd`."""
    K = W.shape[1]
    wrong = wrong_classes(y, K)
    log_bound = (2 * X.square().sum(-1).amax(-1)).log()  # ln of 2 max |x_i|**2, (B,)
    curvature = loss.log_curvature or loss.log_psi
    for _ in range(steps):
        u = relative_margins(X @ W.mT, y)
        if normalized is None:
            log_step = step_size.log()
        else:
            log_step = normalized.log() - log_bound - torch.logsumexp(curvature(u), -1)
        c = (loss.log_weights(u) + log_step[:, None, None]).exp()
        pull = torch.zeros(*y.shape, K, dtype=W.dtype).scatter(-1, wrong, -c)
        pull = pull.scatter(-1, y[..., None], c.sum(-1, keepdim=True))
        W = W + pull.mT @ X
        log_time = torch.logaddexp(log_time, log_step)
    return W, log_time, log_risk(W, X, y, loss)


def _batch(name, value, B):
    value = torch.as_tensor(value, dtype=torch.float64).expand(B).contiguous()
    if not (torch.isfinite(value).all() and (value > 0).all()):
        raise ValueError(f"{name} must be finite and above 0, found {value.min():.6g}")
    return value


def descend(
    X: Tensor,
    y: Tensor,
    loss,
    *,
    at,
    classes: int | None = None,
    step_size=None,
    normalized=None,
    start: Tensor | None = None,
) -> Path:
    """Gradient descent on the risk of a linear classifier, from W = 0 or `start`, for B data sets at once.

    With `step_size` every step is that long. With `normalized` = f a step is f / (b R(W)) long, with R the risk and
    b = 2 max |x_i|**2. For f <= 1 and a curvature bounded by psi the risk cannot rise (implicit-bias-multiclass/C8).
    The bound of a template that has its own takes the place of psi in R. Time is the sum of the step lengths.

    Args:
        X: ``(N, d)`` or ``(B, N, d)``, float64.
        y: ``(N,)`` or ``(B, N)``, int64.
        loss: a name in `LOSSES` (compiled) or a `PermLoss` of your own (torch; slower).
        at: increasing step counts to record at, 0 allowed.
        classes: number K of classes; the largest label plus one if left out.
        step_size, normalized: exactly one, a number or ``(B,)``.
        start: ``(K, d)`` or ``(B, K, d)``.

    Returns:
        A `Path`.
    """
    if (step_size is None) == (normalized is None):
        raise ValueError("give exactly one of step_size and normalized")
    if not isinstance(X, Tensor) or X.dtype != torch.float64 or X.ndim not in (2, 3):
        found = f"{X.dtype}, shape {tuple(X.shape)}" if isinstance(X, Tensor) else type(X).__name__
        raise TypeError(f"X must be a float64 tensor (N, d) or (B, N, d), found {found}")
    X, y = (X, y) if X.ndim == 3 else (X[None], y[None])
    B, N, d = X.shape
    matrix("X", X.reshape(B * N, d))
    if y.shape != (B, N):
        raise ValueError(f"y must have shape {(B, N)}, found {tuple(y.shape)}")
    K = labels("y", y.reshape(-1), B * N, classes)
    at = [whole("at", int(t), at_least=0) for t in at]
    if not at or any(b <= a for a, b in itertools.pairwise(at)):
        raise ValueError(f"at must be increasing step counts, found {at[:5]}")
    W = torch.zeros(B, K, d, dtype=X.dtype) if start is None else start.expand(B, K, d).clone()
    rule = {
        "step_size": None if step_size is None else _batch("step_size", step_size, B),
        "normalized": None if normalized is None else _batch("normalized", normalized, B),
    }
    name = loss if isinstance(loss, str) else None
    template = _loss(loss)
    log_time, rows, done = torch.full((B,), -math.inf, dtype=X.dtype), [], 0
    for t in at:
        if name is None:
            W, log_time, risk = _generic(W, X, y, t - done, template, rule["step_size"], rule["normalized"], log_time)
        else:
            W, log_time, risk = _compiled(W, X, y, t - done, name, rule, log_time)
        rows.append((W, log_time, risk))
        done = t
    return Path(tuple(at), *(torch.stack(column) for column in zip(*rows, strict=True)))


def _compiled(W, X, y, steps, name, rule, log_time):
    from implicitly_kernels import perm_gd

    return perm_gd(W, X, y, steps, loss=name, log_time=log_time, **rule)


# -- data -------------------------------------------------------------------------------------------------------------


def teacher_classes(N: int, d: int, K: int, *, seed: int, gap: float = 0.3) -> tuple[Tensor, Tensor]:
    """Gaussian points labelled by a random linear teacher; points on which it hesitates are left out.

    Args:
        N, d, K: number of points, dimension, number of classes.
        seed: of the teacher and the points.
        gap: a point is kept if the teacher's two largest scores differ by more.

    Returns:
        ``X (N, d)`` float64, ``y (N,)`` int64. Separable by construction.
    """
    whole("N", N, at_least=1), whole("d", d, at_least=1), whole("K", K, at_least=2)
    number("gap", gap, at_least=0.0)
    draw = np.random.default_rng(seed).standard_normal
    teacher, found = draw((K, d)), []
    while len(found) < N:
        point = draw(d)
        scores = np.sort(teacher @ point)
        if scores[-1] - scores[-2] > gap:
            found.append(point)
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
    """N of scikit-learn's 8 x 8 digits, centred, with a constant pixel for the bias.

    Returns:
        ``X (N, 65)`` float64 with the longest row of length 1, ``y (N,)`` int64.
    """
    from sklearn.datasets import load_digits

    whole("N", N, at_least=1)
    data = load_digits()
    if len(data.target) < N:
        raise ValueError(f"N must be at most {len(data.target)}, found {N}")
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(seed))[:N]
    pixels = torch.tensor(data.data, dtype=torch.float64)[order] / 16
    constant = torch.full((N, 1), 0.5, dtype=torch.float64)
    X = torch.cat([pixels - pixels.mean(0), constant], 1)
    return X / X.norm(dim=1).max(), torch.tensor(data.target, dtype=torch.int64)[order]
