"""Hard-margin linear classifiers of several classes, with certificates, and distances from them.

The constraint a = (i, k) of sample i and wrong class k has the matrix z_a = (e_y - e_k) x_i', and <z_a, W> is the
relative margin u_ik. Chapter `implicit-bias-multiclass`.

Arrays are float64 torch tensors and finite, samples are rows of X ``(N, d)``, at most 1e100 in size, and labels y
``(N,)`` are int64. Bad arguments raise TypeError or ValueError.
"""

import contextlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ._validate import flag, instance, instances, number, numbers, tensor, whole
from .perm_losses import Path, PermLoss, _loss, _margins, _samples, _wrong, labels

__all__ = [
    "DualErrors", "MaxMargin", "MirrorUse", "Modes", "angle", "constraints", "direction_constant", "direction_error",
    "dual_errors", "hard_margin_svm", "log_time_flow", "margin_constants", "mirror_use", "polynomial_limit",
    "relative_margin", "residual_limit", "settling_modes", "step_factor",
]  # fmt: skip


def _data(X, y, K: int | None = None) -> tuple[int, int, int]:
    """N, d and the number of classes, after checking X (N, d) and y (N,)."""
    N, d = _samples("X", X, (2,)).shape
    return N, d, labels("y", y, N, K)


def _of(svm, X, *y) -> None:
    """Check the samples of an SVM, and their labels if given."""
    instance("svm", svm, MaxMargin)
    N, K, d = len(svm.alpha), *svm.W.shape
    if tuple(_samples("X", X, (2,)).shape) != (N, d):
        raise ValueError(f"X must have shape {(N, d)}, that of svm, found {tuple(X.shape)}")
    for given in y:
        labels("y", given, N, K)


def _one_problem(path, svm) -> None:
    instance("path", path, Path), instance("svm", svm, MaxMargin)
    K, d = svm.W.shape
    if path.W.shape[1:] != (1, K, d):
        raise ValueError(f"path must have W of shape (T, 1, {K}, {d}), as svm, found {tuple(path.W.shape)}")


def _all_of(svm, Z) -> Tensor:
    """Z, after checking that it has the shape of an SVM's constraints."""
    instance("svm", svm, MaxMargin)
    return tensor("Z", Z, shape=(svm.alpha.numel(), svm.W.numel()), dtype=torch.float64)


def constraints(X: Tensor, y: Tensor, K: int | None = None) -> Tensor:
    """The matrices z_a as rows: ``X (N, d), y (N,) -> (N (K-1), K d)``, a in the order (sample, wrong class).

    K: number of classes, at least 2; the largest label plus one if left out.
    """
    N, d, K = _data(X, y, K)
    i = torch.arange(N)
    Z = torch.zeros(N, K - 1, K, d, dtype=X.dtype)
    Z[i, :, y] = X[:, None]
    Z[i[:, None], torch.arange(K - 1), _wrong(y, K)] = -X[:, None]
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

    `rate` and `flaw` are at least 0.
    """

    W: Tensor
    alpha: Tensor
    slack: Tensor
    support: Tensor
    independent: bool
    rate: float
    flaw: float

    def __post_init__(self):
        K = tensor("W", self.W, shape=("K", "d"), dtype=torch.float64).shape[0]
        N = tensor("alpha", self.alpha, shape=("N", K - 1), dtype=torch.float64).shape[0]
        tensor("slack", self.slack, shape=(N, K - 1), dtype=torch.float64)
        tensor("support", self.support, shape=(N, K - 1), dtype=torch.bool)
        if not self.W.norm() > 0:
            raise ValueError(f"W must not be 0, found norm {float(self.W.norm()):.3g}")
        if not self.support.any():
            raise ValueError("support must hold at least one constraint, found none")
        object.__setattr__(self, "independent", flag("independent", self.independent))
        for name in ("rate", "flaw"):
            object.__setattr__(self, name, number(name, getattr(self, name), at_least=0.0))

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
        return self.independent and bool((self.alpha[self.support] > 1e-7 * self.alpha.max()).all())


def hard_margin_svm(X: Tensor, y: Tensor, K: int | None = None) -> MaxMargin:
    """The classifier of least norm with all relative margins at least 1 (no bias).

    Clarabel's interior-point method through cvxpy finds which constraints are tight; on those the optimality
    conditions are a linear system, whose solution is taken if its certificate is the better one.

    Args:
        X: ``(N, d)`` float64. y: ``(N,)`` int64. K: number of classes, at least 2; the largest label plus one if left
            out.

    Raises:
        ValueError: the data are not separable.
        RuntimeError: the convex solver failed.

    >>> X, y = torch.eye(3, dtype=torch.float64), torch.arange(3)
    >>> svm = hard_margin_svm(X, y)
    >>> round(svm.norm**2, 6), round(float(svm.alpha.sum()), 6)
    (2.0, 2.0)
    """
    import cvxpy as cp
    from scipy import sparse

    N, d, K = _data(X, y, K)
    scale = float(X.contiguous().norm(dim=1).max())
    if scale == 0:
        raise ValueError("X, y must be separable, found every point is 0")
    Z = (constraints(X, y, K) / scale).numpy()
    w = cp.Variable(K * d)
    tight = sparse.csr_array(Z) @ w >= 1
    problem = cp.Problem(cp.Minimize(cp.sum_squares(w) / 2), [tight])
    _solve(problem)
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


def _solve(problem) -> None:
    """Run Clarabel. Where it gives up, the program has no value and its status says why."""
    import cvxpy as cp

    with contextlib.suppress(cp.SolverError):
        problem.solve(solver=cp.CLARABEL)


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

    Args:
        X: ``(N, d)`` float64. y: ``(N,)`` int64. K: number of classes, at least 2; the largest label plus one if left
            out.

    Returns:
        ``(K, d)``.

    Raises:
        ValueError: the data are not separable.
        RuntimeError: the convex solver failed.
    """
    import cvxpy as cp

    _, d, K = _data(X, y, K)
    # of X / c the solution is c**(1/3) times as long: the solver sees data of size 1
    root = 2.0 ** round(math.log(float(X.norm(dim=1).max()) or 1.0, 8))
    Z = (constraints(X, y, K) / root**3).numpy()
    v = cp.Variable(K * d)
    problem = cp.Problem(cp.Minimize(cp.sum(cp.inv_pos(Z @ v)) + cp.sum_squares(v) / 2))
    _solve(problem)
    if v.value is None:
        hard_margin_svm(X, y, K)  # raises if the data are not separable
        raise RuntimeError(f"the convex solver stopped with status {problem.status!r}")
    V = v.value
    for _ in range(3):
        m = Z @ V
        gradient = V - Z.T @ m**-2
        V = V - np.linalg.solve(np.eye(K * d) + 2 * (Z.T * m**-3) @ Z, gradient)
    if not np.abs(V - Z.T @ (Z @ V) ** -2).max() <= 1e-8 * np.abs(V).max():
        raise RuntimeError("the convex solver stopped at no solution: X, y may be hardly separable")
    return torch.as_tensor(V).reshape(K, d) / root


def _norms(name: str, M: Tensor) -> Tensor:
    norms = M.norm(dim=(-2, -1), keepdim=True)
    if not bool((norms > 0).all()):
        raise ValueError(f"{name} must not be 0, found a matrix without direction")
    return norms


def direction_error(W: Tensor, target: Tensor) -> Tensor:
    """Distance of the two matrices after each is divided by its norm: ``(..., K, d) -> (...)``.

    Both have one floating dtype, and none is 0. Either may lack first axes of the other.
    """
    W, target = _units(W, target)
    return (W - target).norm(dim=(-2, -1))


def _units(W, target) -> tuple[Tensor, Tensor]:
    for name, M in (("W", W), ("target", target)):
        if tensor(name, M).ndim < 2:
            raise ValueError(f"{name} must have shape (..., K, d), found {tuple(M.shape)}")
    few, many = sorted((W.shape, target.shape), key=len)
    if W.dtype != target.dtype or few != many[len(many) - len(few) :]:
        found = [f"{M.dtype} {tuple(M.shape)}".removeprefix("torch.") for M in (W, target)]
        raise ValueError(f"W and target must agree in dtype and shape, found {' and '.join(found)}")
    return W / _norms("W", W), target / _norms("target", target)


def angle(W: Tensor, target: Tensor) -> Tensor:
    """Angle between two matrices in degrees: ``(..., K, d) -> (...)``. Arguments as for `direction_error`."""
    W, target = _units(W, target)
    size = lambda M: M.norm(dim=(-2, -1))  # noqa: E731
    return 2 * torch.rad2deg(torch.atan2(size(W - target), size(W + target)))  # right to the last digits up to 180


def relative_margin(W: Tensor, X: Tensor, y: Tensor, svm: MaxMargin) -> Tensor:
    """The least relative margin of W over its norm, as a share of the largest possible: ``(..., K, d) -> (...)``.

    W float64, none of them 0; X ``(N, d)`` and y ``(N,)`` are the data of `svm`.
    """
    _of(svm, X, y)
    tensor("W", W, dtype=torch.float64)
    if W.shape[-2:] != svm.W.shape:
        raise ValueError(f"W must have shape (..., {', '.join(map(str, svm.W.shape))}), found {tuple(W.shape)}")
    return _margins(X @ W.mT, y).amin((-2, -1)) / _norms("W", W)[..., 0, 0] * svm.norm


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
    log_times = numbers("log_times", log_times, above=first, at_most=1e6)
    if any(b <= a for a, b in itertools.pairwise(log_times)):
        raise ValueError(f"log_times must increase, found {log_times[:5]}")
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
    """Both bounds of implicit-bias-multiclass/C8 (a) along a run of normalized descent, exponential loss, from zero.

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

    Normalized descent adds Delta to ln(time) in each step in the long run (implicit-bias-multiclass/C8).
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
    """What ln(time) times the direction's error tends to, from W = 0 (implicit-bias-multiclass/C5): |rho'| / |What|.

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
    """How far a run (one problem) is from the limits of implicit-bias-multiclass/C4.

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
    """The constant of implicit-bias-multiclass/C5, from the duals, and the shortfall of the margin, from a run.

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
