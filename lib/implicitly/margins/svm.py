"""Hard-margin linear classifiers of several classes, with certificates, and distances from them.

The constraint a = (i, k) of sample i and wrong class k has the matrix z_a = (e_y - e_k) x_i', and <z_a, W> is the
relative margin u_ik. Chapter `implicit-bias-multiclass`.

Arrays are float64 torch tensors and finite, samples are rows of X ``(N, d)``, at most 1e100 in size, and labels y
``(N,)`` are int64. Bad arguments raise TypeError or ValueError.
"""

import contextlib
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._validate import flag, instance, number, tensor
from .risk import _margins, _samples, _wrong, labels

__all__ = [
    "MaxMargin",
    "angle",
    "constraints",
    "direction_error",
    "hard_margin_svm",
    "polynomial_limit",
    "relative_margin",
]


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

    Clarabel's interior-point method finds which constraints are tight; on those the optimality conditions are a
    linear system, whose solution is taken if its certificate is the better one.

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
    N, d, K = _data(X, y, K)
    scale = float(X.contiguous().norm(dim=1).max())
    if scale == 0:
        raise ValueError("X, y must be separable, found every point is 0")
    Z = (constraints(X, y, K) / scale).numpy()
    status, w, alpha = _least_norm(Z)
    if status in ("PrimalInfeasible", "AlmostPrimalInfeasible"):
        raise ValueError("X, y must be separable, found no W with positive relative margins")
    if status != "Solved":
        raise RuntimeError(f"the convex solver stopped with status {status!r}")
    best = min(
        (_certified(Z, w_, a_) for w_, a_ in [(w, alpha), *_polished(Z, alpha)]), key=lambda found: found[-1]
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


def _least_norm(Z):
    """Clarabel's status, w, and duals: least |w|**2 / 2 with Z w >= 1. Through cvxpy it takes twenty times as long."""
    import clarabel
    from scipy import sparse

    settings = clarabel.DefaultSettings()
    settings.verbose = False
    found = clarabel.DefaultSolver(
        sparse.identity(Z.shape[1], format="csc"), np.zeros(Z.shape[1]), sparse.csc_matrix(-Z), -np.ones(len(Z)),
        [clarabel.NonnegativeConeT(len(Z))], settings,
    ).solve()  # fmt: skip
    return str(found.status), np.array(found.x), np.array(found.z)


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
    """V = argmin sum_a 1 / <z_a, V> + |V|**2 / 2: where the polynomial tail leads (implicit-bias-multiclass/C10).

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
    with contextlib.suppress(cp.SolverError):  # then there is no value, and the status says why
        problem.solve(solver=cp.CLARABEL)
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
