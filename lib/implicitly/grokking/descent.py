"""Gradient descent of a linear classifier of two classes whose softmax, or weights, have few bits.

Chapter `grokking-precision`, C2 and C3. Bad arguments raise TypeError or ValueError.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._validate import choice, number, tensor, wholes
from .precision import _forces, _power, _rounded, smallest_update

__all__ = ["PARTS", "RoundedPath", "descend_rounded"]

#: What is rounded: the softmax and the gradient, the weights and their updates, or both.
PARTS = ("all", "softmax", "weights")


@dataclass(frozen=True, eq=False)
class RoundedPath:
    """Gradient descent in P numbers of bits on S data sets, recorded at T step counts.

    Args:
        at: the T step counts, increasing.
        W: ``(T, S, P, 2, d)`` float64.
        last_change: ``(S, P)`` int64, the last step that changed a weight; 0 if none did.
        use: ``(S, P)`` float64, over all steps and all weights w_kj that changed and were not 0, the largest of
            ``2^-(p + 1) |w_kj|`` over ``4 eta sum_i e^-u_i |x_ij|``, u_i the margins; 0 where no such weight changed.
            C2 says that it is at most 1 where the weights are rounded.
    """

    at: tuple[int, ...]
    W: Tensor
    last_change: Tensor
    use: Tensor

    def __post_init__(self):
        at = wholes("at", self.at, at_least=0, increase=True)
        object.__setattr__(self, "at", at)
        S, P = tensor("W", self.W, shape=(len(at), "S", "P", 2, "d"), dtype=torch.float64).shape[1:3]
        tensor("last_change", self.last_change, shape=(S, P), dtype=torch.int64, at_least=0)
        tensor("use", self.use, shape=(S, P), dtype=torch.float64, at_least=0.0)

    @property
    def direction(self) -> Tensor:
        """``(T, S, P, 2, d)``: W without the mean of its two rows, which no margin sees."""
        return self.W - self.W.mean(-2, keepdim=True)

    def margins(self, X: Tensor, y: Tensor) -> Tensor:
        """The least margin on the data ``X (S, N, d)``, ``y (S, N)``, float64 and int64: ``(T, S, P)``."""
        S, d = self.W.shape[1], self.W.shape[-1]
        tensor("X", X, shape=(S, "N", d), dtype=torch.float64)
        tensor("y", y, shape=tuple(X.shape[:2]), dtype=torch.int64, at_least=0, at_most=1)
        if not X.shape[1]:
            raise ValueError(f"X must hold at least one sample, found shape {tuple(X.shape)}")
        gap = (self.W[..., 1, :] - self.W[..., 0, :]) @ X.mT  # (T, S, P, N)
        return (gap * (2 * y - 1)[:, None]).amin(-1)


def descend_rounded(
    X: Tensor,
    y: Tensor,
    bits: Sequence[int],
    *,
    step_size: float,
    at: Sequence[int],
    rounded: str = "all",
) -> RoundedPath:
    """Gradient descent on the summed cross-entropy of two classes, from W = 0, with numbers of p bits.

    A step is ``W <- r(W - r(eta g))`` with ``g = r(F^T X)`` and F of `softmax_forces` at the logits ``r(X W^T)``; the
    data and all products are float64. "softmax" rounds everything up to g, "weights" what comes after it. A run whose
    weights do not change in a step never changes again.

    Args:
        X: ``(S, N, d)`` float64, at most 1e6 in size. y: ``(S, N)`` int64, 0 or 1.
        bits: P whole numbers, 4 to 50.
        step_size: eta, above 0, at most 1e6.
        at: increasing step counts to record at, 0 allowed.
        rounded: one of `PARTS`.

    >>> X = torch.tensor([[[1.0], [-1.0]]], dtype=torch.float64)
    >>> run = descend_rounded(X, torch.tensor([[1, 0]]), [4, 8], step_size=1.0, at=[1000])
    >>> run.last_change.tolist()
    [[3, 54]]
    """
    tensor("X", X, shape=("S", "N", "d"), dtype=torch.float64, at_least=-1e6, at_most=1e6)
    if not X.numel():
        raise ValueError(f"X must hold samples, found shape {tuple(X.shape)}")
    tensor("y", y, shape=tuple(X.shape[:2]), dtype=torch.int64, at_least=0, at_most=1)
    bits = wholes("bits", bits, at_least=4, at_most=50)
    eta = number("step_size", step_size, above=0.0, at_most=1e6)
    at = wholes("at", at, at_least=0, increase=True)
    choice("rounded", rounded, PARTS)
    (S, _, d), P = X.shape, len(bits)
    p = torch.tensor(bits)[:, None, None]
    power = _power(p, X.dtype)
    soft, kept = (power if rounded in ("all", part) else None for part in ("softmax", "weights"))
    points, target = X[:, None], torch.nn.functional.one_hot(y, 2).to(X.dtype)[:, None]
    least = torch.tensor([smallest_update(b) for b in bits], dtype=X.dtype)[:, None, None]
    W = torch.zeros(S, P, 2, d, dtype=X.dtype)
    last = torch.zeros(S, P, dtype=torch.int64)
    use, rows, t = torch.zeros(S, P, dtype=X.dtype), [], 0
    for wanted in at:
        while t < wanted:
            t += 1
            z = _rounded(points @ W.mT, soft)
            F = _forces(z, target, soft, "difference")
            new = _rounded(W - _rounded(eta * _rounded(F.mT @ points, soft), kept), kept)
            changed = new != W
            if not changed.any():
                t = at[-1]  # for good
                break
            gap = _rounded(z[..., 1:] - z[..., :1], soft)[..., 0] * (2 * y - 1)[:, None]
            reach = 4 * eta * (-gap).exp()[..., None, :] @ points.abs()  # (S, P, 1, d)
            share = (least * W.abs() / reach).where(changed & (W != 0), 0.0)
            use = torch.maximum(use, share.amax((-2, -1)))
            last = torch.where(changed.flatten(2).any(2), t, last)
            W = new
        rows.append(W)
    return RoundedPath(at, torch.stack(rows), last, use)
