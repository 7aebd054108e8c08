"""Losses of a linear classifier that look at relative margins only, and treat all wrong classes alike.

A sample with label y and scores s has the relative margins u_k = s_y - s_k, one for each wrong class k. A PERM loss is
a symmetric function of them, its template psi(u). Everything is kept in logarithms, so that a loss of 1e-400 is as good
a number as any other. Source: Wang and Scott's losses as used by Ravi et al. 2024; chapter `implicit-bias-multiclass`.

Arrays are torch tensors, float64 unless said otherwise, and finite. Bad arguments raise TypeError or ValueError.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from implicitly_kernels.perm_gd.reference import log_softplus, softplus  # torch's own cuts off at 20

from .._validate import function, instance, tensor, whole
from .._validate import seed as checked_seed

__all__ = [
    "LOSSES",
    "PermLoss",
    "curvature_use",
    "score_curvature",
    "tail_violation",
    "weights_error",
]


@dataclass(frozen=True)
class PermLoss:
    """A loss given by its template, psi, a symmetric function of the K - 1 relative margins.

    Args:
        name: of the loss.
        log_psi: ``u (..., K-1) -> (...)``, the logarithm of psi(u).
        log_weights: ``u (..., K-1) -> (..., K-1)``, the logarithm of minus the partial derivatives of psi.
        log_curvature: ``u (..., K-1) -> (...)``, logarithm of a bound on v'H v for ``max |v_k| <= 1``, where H is the
            Hessian of psi at u. Left out, psi itself is the bound (implicit-bias-multiclass/C2).
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
    """Of `function`, ``(n, k) -> (n,)`` row by row, at each row: ``(n, k, k)``."""
    points = points.clone().requires_grad_()  # not torch.func, which imports all of torch's compiler
    (slope,) = torch.autograd.grad(function(points).sum(), points, create_graph=True)
    rows = [torch.autograd.grad(slope[:, k].sum(), points, retain_graph=True)[0] for k in range(points.shape[1])]
    return torch.stack(rows, 1)


def curvature_use(loss: str | PermLoss, u: Tensor) -> float:
    """Largest v'Hv / psi(u) over |v_k| <= 1, with H the Hessian of psi by automatic differentiation.

    A convex form is largest at the corners of the cube, which are all tried. At most 1 by
    implicit-bias-multiclass/C2.

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
    of_scores = lambda s: psi(s[:, :1] - s[:, 1:])  # noqa: E731
    return float(torch.linalg.eigvalsh(_hessians(of_scores, torch.cat([scores, special]))).max())
