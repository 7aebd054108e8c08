"""Where gradient descent of a linear classifier goes after a long time, and how fast it gets there.

Chapter `implicit-bias-multiclass`.

Arrays are float64 torch tensors and finite, samples are rows of X ``(N, d)``, at most 1e100 in size, and labels y
``(N,)`` are int64. Bad arguments raise TypeError or ValueError.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._validate import instance, instances, number, numbers, tensor, whole
from .descent import Path
from .losses import PermLoss, _loss
from .risk import _margins, _samples, labels
from .svm import MaxMargin, _all_of, _of, constraints

__all__ = [
    "DualErrors",
    "MirrorUse",
    "Modes",
    "direction_constant",
    "dual_errors",
    "log_time_flow",
    "margin_constants",
    "mirror_use",
    "residual_limit",
    "settling_modes",
    "step_factor",
]


def _one_problem(path, svm) -> None:
    instance("path", path, Path), instance("svm", svm, MaxMargin)
    K, d = svm.W.shape
    if path.W.shape[1:] != (1, K, d):
        raise ValueError(f"path must have W of shape (T, 1, {K}, {d}), as svm, found {tuple(path.W.shape)}")


def log_time_flow(Z: Tensor, loss: str | PermLoss, log_times: Sequence[float] | Tensor, *, classes: int) -> Tensor:
    """Gradient flow from W = 0, by SciPy's Radau in the variable ln(time): an implicit method of order 5.

    Args:
        Z: ``(N (K-1), K d)``, the constraints in the order of `constraints`.
        loss: a `PermLoss` or the name of one.
        log_times: increasing values of ln(time) at which to return W, above -12 and at most 1e6.
        classes: K, at least 2.

    Returns:
        ``(T, K d)``.

    Raises:
        RuntimeError: the solver failed.
    """
    from scipy.integrate import solve_ivp

    classes, first = whole("classes", classes, at_least=2), -12.0
    tensor("Z", Z, shape=("N (K-1)", "K d"), dtype=torch.float64)
    if Z.numel() < 1 or len(Z) % (classes - 1):
        raise ValueError(f"Z must have {classes - 1} rows a sample for {classes} classes, found shape {tuple(Z.shape)}")
    log_times = numbers("log_times", log_times, above=first, at_most=1e6, increase=True)
    template = _loss(loss)

    def pull(s, w):
        u = (Z @ torch.as_tensor(w)).reshape(-1, classes - 1)
        return (Z.T @ (template.log_weights(u) + s).exp().reshape(-1)).numpy()

    w0 = pull(first, np.zeros(Z.shape[1]))  # one Euler step of length exp(-12)
    found = solve_ivp(
        pull, (first, log_times[-1]), w0, method="Radau", t_eval=log_times, rtol=1e-8, atol=1e-10,
    )  # fmt: skip
    if not found.success:
        raise RuntimeError(f"the solver stopped: {found.message}")
    return torch.as_tensor(found.y.T.copy())


class MirrorUse(NamedTuple):
    """Largest shares used of what the bounds allow: distance from the limit, shortfall of ln(time)."""

    direction: float
    clock: float


def mirror_use(path: Path, X: Tensor, svm: MaxMargin, *, normalized: float) -> MirrorUse:
    """Both bounds of implicit-bias-multiclass/C4 along a run of normalized descent, exponential loss, from zero.

    Args:
        path: a `Path` of one problem, first record after 1 step or later, last one after 2 or later.
        X: ``(N, d)``.
        svm: its hard-margin SVM, of two constraints or more: with one both bounds are 0.
        normalized: the share f of the step, above 0.
    """
    _one_problem(path, svm), _of(svm, X)
    normalized = number("normalized", normalized, above=0.0)
    if svm.alpha.numel() < 2:
        raise ValueError("svm must have at least 2 constraints, found 1")
    if not (path.steps[0] >= 1 and path.steps[-1] >= 2):
        raise ValueError(f"path must start after step 1 or later and end after 2 or later, found {path.steps}")
    b, m = 2 * float(X.square().sum(1).max()), svm.alpha.numel()
    h, log_m = normalized / b, math.log(m)
    n = torch.tensor(path.steps, dtype=torch.float64)
    distance = (path.W[:, 0] / (h * n)[:, None, None] - svm.W / svm.norm**2).norm(dim=(1, 2))
    later = n > 1  # after one step the bound on the time is an equality of two constants
    hn = h * (n[later] - 1)
    shortfall = hn / svm.norm**2 - math.log(m / h) - path.log_time[later, 0]
    return MirrorUse(
        direction=float((distance / (2 * log_m / (h * n)).sqrt()).max()),
        clock=float((shortfall / (2 * b * hn * log_m).sqrt()).max()),
    )


def step_factor(X: Tensor, svm: MaxMargin, *, normalized: float = 1.0) -> float:
    """Delta / (exp(Delta) - 1) with Delta = f / (b |What|**2): what steps of finite length do to time times force.

    Normalized descent adds Delta to ln(time) in each step in the long run (implicit-bias-multiclass/C5).
    """
    _of(svm, X)
    normalized = number("normalized", normalized, above=0.0)
    delta = normalized / (2 * float(X.square().sum(1).max()) * svm.norm**2)
    if delta == 0:
        return 1.0
    return delta / math.expm1(delta) if delta < 700 else delta * math.exp(-delta)


def residual_limit(svm: MaxMargin, Z: Tensor, *, factor: float = 1.0) -> Tensor:
    """The element W~ of the span of the support z_a with exp(-<z_a, W~>) = factor * alpha_a there, ``(K d,)``.

    Args:
        svm: of generic data. Z: its constraints, as from `constraints`. factor: 1, or that of `step_factor`; above 0.

    Raises:
        ValueError: also when the data are not generic, for then there is no such element.
    """
    _all_of(svm, Z)
    factor = number("factor", factor, above=0.0)
    if not svm.generic:
        raise ValueError("svm must be of generic data, found zero duals on its support or dependent constraints")
    chosen = svm.support.reshape(-1)
    return torch.linalg.pinv(Z[chosen]) @ -(svm.alpha.reshape(-1)[chosen].log() + math.log(factor))


def direction_constant(svm: MaxMargin, Z: Tensor) -> float:
    """What ln(time) times the direction's error tends to, from W = 0 (implicit-bias-multiclass/C9): |rho'| / |What|.

    Here rho' is the part of the limit of the residual that is orthogonal to What. The SVM knows it if its support
    spans and is generic; else ValueError. Z as from `constraints`.
    """
    _all_of(svm, Z)
    if not svm.spans:
        raise ValueError("svm must have a support that spans, found part of the residual undetermined")
    residual, direction = residual_limit(svm, Z), svm.W.reshape(-1) / svm.norm
    return float((residual - (residual @ direction) * direction).norm() / svm.norm)


class DualErrors(NamedTuple):
    """Relative distances of forces from duals, and of the residual's projection from the duals' one, each (T,)."""

    duals: list[float]
    residual: list[float]


def dual_errors(
    path: Path, X: Tensor, y: Tensor, loss: str | PermLoss, svm: MaxMargin, *, factor: float = 1.0
) -> DualErrors:
    """How far a run (one problem) is from the limits of implicit-bias-multiclass/C8.

    The forces times time are compared with the duals times `factor` (`step_factor` for normalized steps, else 1),
    relative to their norm. The residual W - What ln(time), projected on the span of the support, is compared with
    `residual_limit`, relative to |What|.

    Args:
        path: a `Path` of one problem, first record after 1 step or later.
        X, y, svm: the data ``(N, d)``, ``(N,)`` and their hard-margin SVM; generic.
        loss: a `PermLoss` or the name of one.
        factor: above 0.
    """
    _one_problem(path, svm), _of(svm, X, y)
    factor = number("factor", factor, above=0.0)
    W, clock = path.W[:, 0], path.log_time[:, 0]
    if not bool(clock.isfinite().all()):
        raise ValueError(f"path must start after step 1 or later, found {path.steps[:5]}")
    forces = (_loss(loss).log_weights(_margins(X @ W.mT, y)) + clock[:, None, None]).exp()
    duals = (forces - factor * svm.alpha).norm(dim=(1, 2)) / svm.alpha.norm()
    Z = constraints(X, y, svm.W.shape[0])
    on = Z[svm.support.reshape(-1)]
    rho = (W - clock[:, None, None] * svm.W).flatten(1)
    project = torch.linalg.pinv(on)  # from values <z_a, .> to the element of the span that has them
    off = (rho @ on.T) @ project.T - residual_limit(svm, Z, factor=factor)
    return DualErrors(duals.tolist(), (off.norm(dim=1) / svm.norm).tolist())


def margin_constants(path: Path, X: Tensor, y: Tensor, svms: Sequence[MaxMargin]) -> tuple[Tensor, Tensor]:
    """The constant of implicit-bias-multiclass/C9, from the duals, and the shortfall of the margin, from a run.

    Args:
        path: a `Path` of B problems. X: ``(B, N, d)``. y: ``(B, N)``. svms: B solutions.

    Returns:
        ``kappa (B,)`` = ln(alpha_max) - sum_a p_a ln(alpha_a), and ``gap (T, B)`` = |W| / |What| - least margin.
    """
    instance("path", path, Path)
    _, B, K, d = path.W.shape
    _samples("X", X, (3,))
    if X.shape[0] != B or X.shape[2] != d:
        raise ValueError(f"X must have shape ({B}, N, {d}), as path, found {tuple(X.shape)}")
    tensor("y", y, shape=tuple(X.shape[:2]), dtype=torch.int64)
    labels("y", y.reshape(-1), y.numel(), K)
    kappa, svms = [], instances("svms", svms, MaxMargin, length=B)
    for b, svm in enumerate(svms):
        if tuple(svm.W.shape) != (K, d) or len(svm.alpha) != X.shape[1]:
            raise ValueError(f"svms[{b}] must have W {(K, d)} and {X.shape[1]} samples, found {tuple(svm.W.shape)} and "
                             f"{len(svm.alpha)}")  # fmt: skip
        alpha = svm.alpha[svm.support].clamp(min=0.0)
        kappa.append(float(alpha.max().log() - torch.xlogy(alpha / alpha.sum(), alpha).sum()))
    norms = torch.tensor([svm.norm for svm in svms], dtype=torch.float64)
    u = _margins(X @ path.W.mT, y)
    return torch.tensor(kappa, dtype=torch.float64), path.W.norm(dim=(-2, -1)) / norms - u.amin((-2, -1))


class Modes(NamedTuple):
    """Exponents of the linearized settling, increasing, ``(s,)``; the modes over the support as columns, ``(s, s)``."""

    rates: Tensor
    vectors: Tensor


def settling_modes(svm: MaxMargin, Z: Tensor) -> Modes:
    """Modes of sqrt(alpha_a) <z_a, z_b> sqrt(alpha_b) on the support; Z as from `constraints`."""
    _all_of(svm, Z)
    chosen = svm.support.reshape(-1)
    root = svm.alpha.reshape(-1)[chosen].clamp(min=0.0).sqrt()
    return Modes(*torch.linalg.eigh(root[:, None] * (Z[chosen] @ Z[chosen].T) * root))
