"""Relative margins of a linear classifier on a sample, and the risk that a loss makes of them, in logarithms.

Arrays are torch tensors, float64 unless said otherwise, and finite. Bad arguments raise TypeError or ValueError.
"""

import torch
from torch import Tensor

from .._validate import instance, tensor, whole
from .losses import PermLoss, _loss

__all__ = [
    "labels",
    "log_risk",
    "log_weights",
    "relative_margins",
    "wrong_classes",
]


def labels(name: str, y: Tensor, N: int, K: int | None = None) -> int:
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


def _samples(name: str, X, ndim: tuple[int, ...]) -> Tensor:
    """`X` of samples as rows, float64: at least one, in one dimension at least, at most 1e100 in size to be squared."""
    tensor(name, X, dtype=torch.float64, at_least=-1e100, at_most=1e100)
    if X.ndim not in ndim or X.numel() < 1:
        wanted = " or ".join({2: "(N, d)", 3: "(B, N, d)"}[n] for n in ndim)
        raise ValueError(f"{name} must have shape {wanted}, no size 0, found {tuple(X.shape)}")
    return X
