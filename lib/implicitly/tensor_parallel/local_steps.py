"""The neighbour in time: workers that step on their own data and average only now and then (local SGD, DiLoCo).

Worker i has the loss ``(t - b_i)' A_i (t - b_i) / 2`` and takes H gradient steps between two averages.

Sources: arXiv 1805.09767 (local SGD), 2311.08105 (DiLoCo); chapter `partial-synchronization`, C10, with its proof. Bad
arguments raise TypeError or ValueError.
"""

import torch
from torch import Tensor

from .._validate import number, tensor, whole

__all__ = ["average_minimizer", "local_descent", "local_limit"]

F64 = torch.float64


def _workers(curvature, target):
    tensor("target", target, shape=("workers", "d"), dtype=F64)
    tensor("curvature", curvature, shape=(len(target), target.shape[1], target.shape[1]), dtype=F64)
    if not target.numel():
        raise ValueError(f"target must hold at least one worker and one coordinate, found {tuple(target.shape)}")
    if not torch.allclose(curvature, curvature.mT):
        raise ValueError("curvature must be symmetric, found a matrix that is not")
    values = torch.linalg.eigvalsh(curvature)
    if not bool((values > 0).all()):
        raise ValueError(f"curvature must have eigenvalues above 0, found {values.min():.6g}")
    return float(values.max())


def local_descent(curvature: Tensor, target: Tensor, rate: float, local: int, rounds: int, *, outer: float = 1.0,
                  momentum: float = 0.0) -> Tensor:  # fmt: skip
    """Points after each average, from 0: each worker takes `local` steps, then the mean of what they moved is applied.

    The outer step is Nesterov's, as DiLoCo's: ``v <- momentum v + mean; t <- t + outer (mean + momentum v)``; outer 1
    without momentum is local SGD.

    Args:
        curvature: (workers, d, d) float64, positive definite. target: (workers, d) float64.
        rate: step size of the workers, at least 1e-10 and below 2 over the largest curvature.
        local, rounds: at least 1. outer: above 0, at most 2. momentum: at least 0, below 1.

    Returns:
        (rounds, d).
    """
    top = _workers(curvature, target)
    rate, outer = number("rate", rate, at_least=1e-10, below=2 / top), number("outer", outer, above=0, at_most=2)
    momentum = number("momentum", momentum, at_least=0, below=1)
    local, rounds = (whole(n, v, at_least=1, at_most=10**6) for n, v in (("local", local), ("rounds", rounds)))
    t, v, found = torch.zeros(target.shape[1], dtype=F64), torch.zeros(target.shape[1], dtype=F64), []
    for _ in range(rounds):
        theirs = t.expand_as(target)
        for _ in range(local):
            theirs = theirs - rate * torch.einsum("wij,wj->wi", curvature, theirs - target)
        moved = theirs.mean(0) - t
        v = momentum * v + moved
        t = t + outer * (moved + momentum * v)
        found.append(t)
    return torch.stack(found)


def local_limit(curvature: Tensor, target: Tensor, rate: float, local: int) -> Tensor:
    """Where local SGD and DiLoCo come to rest: the solution of ``sum_i C_i (t - b_i) = 0`` with
    ``C_i = 1 - (1 - rate A_i)^local``, (d,); arguments as for `local_descent`."""
    top = _workers(curvature, target)
    rate = number("rate", rate, at_least=1e-10, below=2 / top)
    local = whole("local", local, at_least=1, at_most=10**6)
    one = torch.eye(target.shape[1], dtype=F64)
    pull = one - torch.linalg.matrix_power(one - rate * curvature, local)
    return torch.linalg.solve(pull.sum(0), torch.einsum("wij,wj->i", pull, target))


def average_minimizer(curvature: Tensor, target: Tensor) -> Tensor:
    """Where the mean of all losses is least, (d,); arguments as for `local_descent`."""
    _workers(curvature, target)
    return torch.linalg.solve(curvature.sum(0), torch.einsum("wij,wj->i", curvature, target))
