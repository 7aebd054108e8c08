"""StableMax, a softmax with a tail that is a power, and the direction in which it sends a linear classifier.

Source: arXiv 2501.04697; chapter `grokking-precision`, C4. Bad arguments raise TypeError or ValueError.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from .._validate import tensor
from ..margins import PermLoss, constraints, hard_margin_svm

__all__ = ["STABLEMAX", "inverse_square_limit", "stablemax"]


def stablemax(z: Tensor) -> Tensor:
    """``s(z_k) / sum_j s(z_j)`` with ``s(z) = z + 1`` for z >= 0 and ``1 / (1 - z)`` below, along the last axis.

    It is the softmax of ``sign(z) ln(1 + |z|)``.

    Args:
        z: ``(..., K)``, floating, K at least 1.

    >>> stablemax(torch.tensor([1.0, -1.0])).tolist()
    [0.800000011920929, 0.20000000298023224]
    """
    if tensor("z", z).ndim < 1 or not z.shape[-1]:
        raise ValueError(f"z must have shape (..., K) with K at least 1, found {tuple(z.shape)}")
    return (z.sign() * z.abs().log1p()).softmax(-1)


def _slow(u):
    """Gap of sign(z) ln(1 + |z|) at the logits u / 2 and -u / 2, and the logarithm of its derivative."""
    h = torch.where(u < 0, -(-u / 2).clamp(min=0).log1p(), (u / 2).clamp(min=0).log1p())
    return 2 * h, -(u.abs() / 2).log1p()


def _log_psi(u):
    return (-_slow(u)[0]).exp().log1p().log()[..., 0]


def _log_weights(u):
    h, slope = _slow(u)
    return logsigmoid(-h) + slope


def _log_curvature(u):
    h, slope = _slow(u)
    return (math.log(1.5) + logsigmoid(-h) + 2 * slope)[..., 0]


#: Cross-entropy of StableMax for two classes with logits u / 2 and -u / 2, as `margins.descend` takes it; tail 4 / u^2.
STABLEMAX = PermLoss("stablemax", _log_psi, _log_weights, _log_curvature)


def inverse_square_limit(X: Tensor, y: Tensor) -> Tensor:
    """V = argmin of ``sum_a 1 / <z_a, V>^2 + |V|^2`` over V with all relative margins positive; Newton's method.

    Args:
        X: ``(N, d)`` float64. y: ``(N,)`` int64, 0 or 1.

    Returns:
        ``(2, d)``.

    Raises:
        ValueError: the data are not separable.
        RuntimeError: Newton's method did not settle.

    >>> V = inverse_square_limit(torch.eye(2, dtype=torch.float64), torch.arange(2))
    >>> [round(v, 6) for v in V.flatten().tolist()]
    [0.594604, -0.594604, -0.594604, 0.594604]
    """
    tensor("X", X, shape=("N", "d"), dtype=torch.float64)
    tensor("y", y, shape=(len(X),), dtype=torch.int64, at_least=0, at_most=1)
    svm = hard_margin_svm(X, y, 2)
    Z = constraints(X, y, 2)
    V, size = svm.W.flatten(), float(X.norm(dim=1).max())
    Z, V = Z / size, V * size  # a start inside, and data of size 1

    def value(V):
        m = Z @ V
        return float((m**-2).sum() + V @ V) if bool((m > 0).all()) else math.inf

    for _ in range(200):
        m = Z @ V
        gradient = V - Z.T @ m**-3
        step = torch.linalg.solve(torch.eye(len(V), dtype=V.dtype) + 3 * (Z.T * m**-4) @ Z, gradient)
        if float(step.norm()) <= 1e-8 * float(V.norm()):  # the next step would be of the size of rounding
            return (V - step).reshape(svm.W.shape) / math.sqrt(size)
        length = 1.0
        while value(V - length * step) > value(V):
            length /= 2
        V = V - length * step
    raise RuntimeError("Newton's method did not settle: X, y may be hardly separable")
