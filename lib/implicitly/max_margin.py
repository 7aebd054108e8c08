"""Hard-margin linear classifiers of several classes, with certificates, and distances from them.

The constraint a = (i, k) of sample i and wrong class k has the matrix z_a = (e_y - e_k) x_i', and <z_a, W> is the
relative margin u_ik. Chapter `implicit-bias-multiclass`.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ._validate import matrix, number
from .perm_losses import PermLoss, _loss, labels, log_weights, relative_margins, wrong_classes

__all__ = [
    "DualErrors", "MaxMargin", "MirrorUse", "Modes", "angle", "constraints", "direction_constant", "direction_error",
    "dual_errors", "hard_margin_svm", "log_time_flow", "margin_constants", "mirror_use", "polynomial_limit",
    "relative_margin", "residual_limit", "settling_modes", "step_factor",
]  # fmt: skip


def constraints(X: Tensor, y: Tensor, K: int | None = None) -> Tensor:
    """The matrices z_a as rows: ``X (N, d), y (N,) -> (N (K-1), K d)``, a in the order (sample, wrong class)."""
    N, d = matrix("X", X).shape
    K = labels("y", y, N, K)
    i = torch.arange(N)
    Z = torch.zeros(N, K - 1, K, d, dtype=X.dtype)
    Z[i, :, y] = X[:, None]
    Z[i[:, None], torch.arange(K - 1), wrong_classes(y, K)] = -X[:, None]
    return Z.reshape(N * (K - 1), K * d)


@dataclass(frozen=True, eq=False)
class MaxMargin:
    """The solution of min |W|**2 / 2 subject to all relative margins at least 1, and what certifies it.

    Args:
        W: ``(K, d)``, the solution.
        alpha: ``(N, K-1)``, its dual variables, one for each constraint.
        slack: ``(N, K-1)``, relative margin minus 1.
        support: ``(N, K-1)`` bool, the constraints without slack.
        independent: whether the z_a of the support constraints are linearly independent.
        rate: exponent with which the forces settle, heuristically: distances from the limit decay like time**-rate.
            The smallest eigenvalue of sqrt(alpha_a) <z_a, z_b> sqrt(alpha_b) on the support, or the smallest slack
            off it, if that is less.
        flaw: the worst violation of the conditions that make (W, alpha) optimal: dual feasibility, primal
            feasibility, stationarity, complementary slackness, equality of the two values; relative to |W|**2.
    """

    W: Tensor
    alpha: Tensor
    slack: Tensor
    support: Tensor
    independent: bool
    rate: float
    flaw: float

    @property
    def norm(self) -> float:
        """|W|; the largest margin of a unit matrix is its inverse."""
        return float(self.W.norm())

    @property
    def spans(self) -> bool:
        """Whether the support z_a span all matrices whose rows sum to zero, so that no part of W is undetermined."""
        K, d = self.W.shape
        return self.independent and int(self.support.sum()) == (K - 1) * d

    @property
    def generic(self) -> bool:
        """Whether all support constraints have positive duals and linearly independent z_a."""
        return self.independent and bool((self.alpha[self.support] > 1e-7).all())


def hard_margin_svm(X: Tensor, y: Tensor, K: int | None = None) -> MaxMargin:
    """The classifier of least norm with all relative margins at least 1 (no bias).

    Clarabel's interior-point method through cvxpy finds which constraints are tight; on those the optimality
    conditions are a linear system, whose solution is taken if its certificate is the better one.

    Args:
        X: ``(N, d)`` float64. y: ``(N,)`` int64. K: number of classes; the largest label plus one if left out.

    Raises:
        ValueError: the data are not separable.

    >>> X, y = torch.eye(3, dtype=torch.float64), torch.arange(3)
    >>> svm = hard_margin_svm(X, y)
    >>> round(svm.norm**2, 6), round(float(svm.alpha.sum()), 6)
    (2.0, 2.0)
    """
    import cvxpy as cp
    from scipy import sparse

    N, d = matrix("X", X).shape
    K = labels("y", y, N, K)
    scale = float(X.norm(dim=1).max())
    if scale == 0:
        raise ValueError("X, y must be separable, but every point is 0")
    Z = (constraints(X, y, K) / scale).numpy()
    w = cp.Variable(K * d)
    tight = sparse.csr_array(Z) @ w >= 1
    problem = cp.Problem(cp.Minimize(cp.sum_squares(w) / 2), [tight])
    problem.solve(solver=cp.CLARABEL)
    if problem.status in ("infeasible", "infeasible_inaccurate"):
        raise ValueError("X, y must be separable, found no W with positive relative margins")
    if problem.status != "optimal":
        raise RuntimeError(f"the convex solver stopped with status {problem.status!r}")
    best = min(
        (_certified(Z, w_, a_) for w_, a_ in [(w.value, tight.dual_value), *_polished(Z, tight.dual_value)]),
        key=lambda found: found[-1],
    )
    w_, a_, slack, flaw = best
    support = slack < 1e-6
    root = np.sqrt(np.maximum(a_[support], 0))
    gram = root[:, None] * (Z[support] @ Z[support].T) * root  # the same at any scale of X
    slowest = np.linalg.eigvalsh(gram)[0]
    rank = np.linalg.matrix_rank(Z[support]) if support.any() else 0
    as_tensor = lambda v, *shape: torch.as_tensor(v).reshape(shape)  # noqa: E731
    return MaxMargin(
        W=as_tensor(w_, K, d) / scale,
        alpha=as_tensor(a_, N, K - 1) / scale**2,
        slack=as_tensor(slack, N, K - 1),
        support=as_tensor(support, N, K - 1),
        flaw=flaw,
        independent=rank == int(support.sum()),
        rate=float(min(max(slowest, 0.0), slack[~support].min(initial=np.inf))),
    )


def _polished(Z, alpha):
    """(w, alpha) with the constraints of visible duals exactly tight, for a few guesses of what is visible."""
    for share in (1e-4, 1e-5, 1e-6, 1e-7):
        chosen = alpha > share * alpha.max()
        gram = Z[chosen] @ Z[chosen].T
        a = np.zeros(len(Z))
        try:
            a[chosen] = np.linalg.solve(gram, np.ones(len(gram)))
        except np.linalg.LinAlgError:
            continue
        yield Z.T @ a, a


def _certified(Z, w, alpha):
    """(w, alpha, slack, flaw): the flaw is 0 exactly if w is the minimizer and alpha its duals."""
    slack, value = Z @ w - 1, w @ w
    flaws = [
        max(-alpha.min(), 0.0), max(-slack.min(), 0.0), np.abs(w - Z.T @ alpha).max(),
        np.abs(alpha * slack).max(), abs(value - (2 * alpha.sum() - (Z.T @ alpha) @ (Z.T @ alpha))),
    ]  # fmt: skip
    return w, alpha, slack, float(np.max(flaws) / max(value, 1.0))


def polynomial_limit(X: Tensor, y: Tensor, K: int | None = None) -> Tensor:
    """V = argmin sum_a 1 / <z_a, V> + |V|**2 / 2: where the polynomial tail leads (implicit-bias-multiclass/C6).

    A convex program for Clarabel, and Newton's method from its answer.

    Returns:
        ``(K, d)``.
    """
    import cvxpy as cp

    N, d = matrix("X", X).shape
    K = labels("y", y, N, K)
    Z = constraints(X, y, K).numpy()
    v = cp.Variable(K * d)
    problem = cp.Problem(cp.Minimize(cp.sum(cp.inv_pos(Z @ v)) + cp.sum_squares(v) / 2))
    problem.solve(solver=cp.CLARABEL)
    if v.value is None:
        raise ValueError("X, y must be separable: the program for V has no solution")
    V = v.value
    for _ in range(3):
        m = Z @ V
        gradient = V - Z.T @ m**-2
        V = V - np.linalg.solve(np.eye(K * d) + 2 * (Z.T * m**-3) @ Z, gradient)
    return torch.as_tensor(V).reshape(K, d)


def direction_error(W: Tensor, target: Tensor) -> Tensor:
    """Distance of the two matrices after each is divided by its norm: ``(..., K, d) -> (...)``."""
    unit = lambda M: M / M.norm(dim=(-2, -1), keepdim=True)  # noqa: E731
    return (unit(W) - unit(target)).norm(dim=(-2, -1))


def angle(W: Tensor, target: Tensor) -> Tensor:
    """Angle between two matrices in degrees: ``(..., K, d) -> (...)``."""
    return 2 * torch.rad2deg(torch.asin(direction_error(W, target) / 2))


def relative_margin(W: Tensor, X: Tensor, y: Tensor, svm: MaxMargin) -> Tensor:
    """The least relative margin of W over its norm, as a share of the largest possible: ``(..., K, d) -> (...)``."""
    u = relative_margins(X @ W.mT, y)
    return u.amin((-2, -1)) / W.norm(dim=(-2, -1)) * svm.norm


def log_time_flow(Z: Tensor, loss: str | PermLoss, log_times, *, classes: int) -> Tensor:
    """Gradient flow from W = 0, by SciPy's Radau in the variable ln(time): an implicit method of order 5.

    Args:
        Z: ``(N (K-1), K d)``, the constraints in the order of `constraints`.
        loss: a `PermLoss` or the name of one.
        log_times: increasing values of ln(time) at which to return W, the first above -12.
        classes: K.

    Returns:
        ``(T, K d)``.
    """
    from scipy.integrate import solve_ivp

    matrix("Z", Z)
    template, first = _loss(loss), -12.0

    def pull(s, w):
        u = (Z @ torch.as_tensor(w)).reshape(-1, classes - 1)
        return (Z.T @ (template.log_weights(u) + s).exp().reshape(-1)).numpy()

    w0 = pull(first, np.zeros(Z.shape[1]))  # one Euler step of length exp(-12)
    found = solve_ivp(
        pull, (first, float(log_times[-1])), w0, method="Radau", t_eval=[float(s) for s in log_times],
        rtol=1e-8, atol=1e-10,
    )  # fmt: skip
    if not found.success:
        raise RuntimeError(f"the solver stopped: {found.message}")
    return torch.as_tensor(found.y.T.copy())


class MirrorUse(NamedTuple):
    """Largest shares used of what the bounds allow: distance from the limit, shortfall of ln(time)."""

    direction: float
    clock: float


def mirror_use(path, X: Tensor, svm: MaxMargin, *, normalized: float) -> MirrorUse:
    """Both bounds of implicit-bias-multiclass/C8 (a) along a run of normalized descent, exponential loss, from zero.

    Args:
        path: a `Path` of one problem, first record after 1 step or later, last one after 2 or later.
        X: ``(N, d)``.
        svm: its hard-margin SVM.
        normalized: the share f of the step.
    """
    number("normalized", normalized, above=0.0)
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

    Normalized descent adds Delta to ln(time) in each step in the long run (implicit-bias-multiclass/C8).
    """
    number("normalized", normalized, above=0.0)
    delta = normalized / (2 * float(matrix("X", X, columns=svm.W.shape[1]).square().sum(1).max()) * svm.norm**2)
    return delta / math.expm1(delta)


def residual_limit(svm: MaxMargin, Z: Tensor, *, factor: float = 1.0) -> Tensor:
    """The element W~ of the span of the support z_a with exp(-<z_a, W~>) = factor * alpha_a there, ``(K d,)``.

    Args:
        svm: of generic data. Z: its constraints, as from `constraints`. factor: 1, or that of `step_factor`.
    """
    matrix("Z", Z, rows=svm.alpha.numel(), columns=svm.W.numel())
    number("factor", factor, above=0.0)
    chosen = svm.support.reshape(-1)
    return torch.linalg.pinv(Z[chosen]) @ -(factor * svm.alpha.reshape(-1)[chosen]).log()


def direction_constant(svm: MaxMargin, Z: Tensor) -> float:
    """What ln(time) times the direction's error tends to, from W = 0 (implicit-bias-multiclass/C5): |rho'| / |What|.

    Here rho' is the part of the limit of the residual that is orthogonal to What. The SVM knows it if its support
    spans; else ValueError. Z as from `constraints`.
    """
    if not svm.spans:
        raise ValueError("svm must have a support that spans, found part of the residual undetermined")
    residual, direction = residual_limit(svm, Z), svm.W.reshape(-1) / svm.norm
    return float((residual - (residual @ direction) * direction).norm() / svm.norm)


class DualErrors(NamedTuple):
    """Relative distances of forces from duals, and of the residual's projection from the duals' one, each (T,)."""

    duals: list[float]
    residual: list[float]


def dual_errors(path, X: Tensor, y: Tensor, loss, svm: MaxMargin, *, factor: float = 1.0) -> DualErrors:
    """How far a run (one problem) is from the limits of implicit-bias-multiclass/C4.

    The forces times time are compared with the duals times `factor` (`step_factor` for normalized steps, else 1),
    relative to their norm. The residual W - What ln(time), projected on the span of the support, is compared with
    `residual_limit`, relative to |What|.
    """
    W, clock = path.W[:, 0], path.log_time[:, 0]
    forces = (log_weights(W, X, y, loss) + clock[:, None, None]).exp()
    duals = (forces - factor * svm.alpha).norm(dim=(1, 2)) / svm.alpha.norm()
    Z = constraints(X, y, svm.W.shape[0])
    on = Z[svm.support.reshape(-1)]
    rho = (W - clock[:, None, None] * svm.W).flatten(1)
    project = torch.linalg.pinv(on)  # from values <z_a, .> to the element of the span that has them
    off = (rho @ on.T) @ project.T - residual_limit(svm, Z, factor=factor)
    return DualErrors(duals.tolist(), (off.norm(dim=1) / svm.norm).tolist())


def margin_constants(path, X: Tensor, y: Tensor, svms) -> tuple[Tensor, Tensor]:
    """The constant of implicit-bias-multiclass/C5, from the duals, and the shortfall of the margin, from a run.

    Args:
        path: a `Path` of B problems. X: ``(B, N, d)``. y: ``(B, N)``. svms: B solutions.

    Returns:
        ``kappa (B,)`` = ln(alpha_max) - sum_a p_a ln(alpha_a), and ``gap (T, B)`` = |W| / |What| - least margin.
    """
    kappa = []
    for svm in svms:
        alpha = svm.alpha[svm.support]
        kappa.append(float(alpha.max().log() - (alpha / alpha.sum() * alpha.log()).sum()))
    norms = torch.tensor([svm.norm for svm in svms], dtype=torch.float64)
    u = relative_margins(X @ path.W.mT, y)
    return torch.tensor(kappa, dtype=torch.float64), path.W.norm(dim=(-2, -1)) / norms - u.amin((-2, -1))


class Modes(NamedTuple):
    """Exponents of the linearized settling, increasing, ``(s,)``; the modes over the support as columns, ``(s, s)``."""

    rates: Tensor
    vectors: Tensor


def settling_modes(svm: MaxMargin, Z: Tensor) -> Modes:
    """Modes of sqrt(alpha_a) <z_a, z_b> sqrt(alpha_b) on the support; Z as from `constraints`."""
    chosen = svm.support.reshape(-1)
    root = svm.alpha.reshape(-1)[chosen].sqrt()
    return Modes(*torch.linalg.eigh(root[:, None] * (Z[chosen] @ Z[chosen].T) * root))
