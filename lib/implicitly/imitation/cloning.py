"""Behavior cloning of a linear expert by SGD: the error of the last weights, of their moving average, and its size.

The expert acts as ``u = K* x + e`` on states x ~ N(0, I_d), with e ~ N(0, noise^2 I_p). SGD fits K to its actions, a
fresh batch at each step, in the squared error (half of its mean over the batch). The error ``D = K - K*`` obeys
``D <- D (I - eta S) + eta N`` with ``S = mean(x x')``, ``N = mean(e x')``: the expert itself drops out. Formulas
derived by us. Chapter `sgd-butterfly`. Bad arguments raise TypeError or ValueError.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .._validate import F64, number, seed, tensor, whole, wholes

__all__ = ["averaging_gain", "clone", "equal_step", "moving_average", "one_step_excess"]


def clone(start: Tensor, *, eta: float, batch: int, noise: float, steps: int, seeds: Sequence[int]) -> Tensor:
    """Errors ``K_t - K*`` of SGD, several runs side by side.

    Args:
        start: errors at the start (C, p, d), float64, one a run.
        eta: step size, above 0, at most 1e3.
        batch: samples of one step, from 1 to 4096.
        noise: standard deviation of an action's entry around the expert's, at least 0, at most 1e6.
        steps: from 1 to 10**6.
        seeds: C of them, one a run: its states and its actions' noise, whatever the other runs are.

    Returns:
        (C, steps + 1, p, d), float64, the start first. Infinite or NaN where a run has diverged.

    >>> clone(torch.ones(1, 2, 3, dtype=torch.float64), eta=0.1, batch=4, noise=0.0, steps=5, seeds=[0]).shape
    torch.Size([1, 6, 2, 3])
    """
    tensor("start", start, shape=("C", "p", "d"), dtype=F64)
    C, p, d = start.shape
    if min(C, p, d) < 1:
        raise ValueError(f"start must have shape (C, p, d) with nothing zero, found {tuple(start.shape)}")
    eta, batch = number("eta", eta, above=0.0, at_most=1e3), whole("batch", batch, at_least=1, at_most=4096)
    noise, steps = number("noise", noise, at_least=0.0, at_most=1e6), whole("steps", steps, at_least=1, at_most=10**6)
    seeds = [seed("seeds", one) for one in wholes("seeds", seeds, length=C)]
    shrink, push = torch.empty(C, steps, d, d, dtype=F64), torch.empty(C, steps, p, d, dtype=F64)
    for k, one in enumerate(seeds):
        g = torch.Generator().manual_seed(one)
        x = torch.randn(steps, batch, d, generator=g, dtype=F64)
        e = noise * torch.randn(steps, batch, p, generator=g, dtype=F64)
        shrink[k] = torch.eye(d, dtype=F64) - eta / batch * x.mT @ x
        push[k] = eta / batch * e.mT @ x
    errors = torch.empty(C, steps + 1, p, d, dtype=F64)
    errors[:, 0] = start
    for t in range(steps):
        torch.baddbmm(push[:, t], errors[:, t], shrink[:, t], out=errors[:, t + 1])
    return errors


def moving_average(values: Tensor, decay: float) -> Tensor:
    """Exponential moving average along the second axis: ``m_0 = v_0``, ``m_t = decay m_(t-1) + (1 - decay) v_t``.

    Args:
        values: (C, T, ...), floating, T at least 1.
        decay: from 0 (no averaging) to below 1.

    Returns:
        As `values`.

    >>> moving_average(torch.tensor([[0.0, 1.0, 1.0]]), 0.5)
    tensor([[0.0000, 0.5000, 0.7500]])
    """
    tensor("values", values)
    decay = number("decay", decay, at_least=0.0, below=1.0)
    if values.ndim < 2 or values.shape[1] < 1:
        raise ValueError(f"values must have shape (C, T, ...) with T at least 1, found {tuple(values.shape)}")
    found = values.clone()
    for t in range(1, values.shape[1]):
        found[:, t].mul_(1 - decay).add_(found[:, t - 1], alpha=decay)
    return found


def _moment(d: int, batch: int) -> float:
    """kappa in ``E S^2 = kappa I``, for S the second moments of `batch` standard normal states in d dimensions."""
    return 1 + (whole("d", d, at_least=1, at_most=10**6) + 1) / whole("batch", batch, at_least=1, at_most=10**6)


def _stable_step(eta, kappa: float) -> float:
    return number("eta", eta, above=0.0, below=2 / kappa)


def one_step_excess(d: int, p: int, *, eta: float, batch: int, noise: float) -> float:
    """``E ||K - K*||_F^2`` in the long run of SGD: its squared error on fresh states above the expert's own.

    ``eta noise^2 p d / (B (2 - eta kappa))`` with ``kappa = 1 + (d + 1) / B``: exact, for eta below 2 / kappa.

    Args:
        d, p: dimensions of state and action, from 1 to 10**6.
        eta: step size, above 0 and below 2 / kappa.
        batch: B, from 1 to 10**6.
        noise: standard deviation of an action's entry, at least 0, at most 1e6.

    >>> round(one_step_excess(4, 4, eta=0.05, batch=8, noise=0.3), 5)
    0.00469
    """
    kappa = _moment(d, batch)
    p, eta = whole("p", p, at_least=1, at_most=10**6), _stable_step(eta, kappa)
    noise = number("noise", noise, at_least=0.0, at_most=1e6)
    return eta * noise**2 * p * d / (batch * (2 - eta * kappa))


def averaging_gain(eta: float, decay: float) -> float:
    """By how much a moving average divides the excess of SGD in the long run.

    With ``a = 1 - eta``, the correlation of neighbouring errors:
    ``(1 + decay) (1 - a decay) / ((1 - decay) (1 + a decay))``.

    eta: step size, above 0 and below 2. decay: from 0 to below 1.

    >>> round(averaging_gain(0.05, 0.99), 2)
    6.1
    """
    eta, decay = number("eta", eta, above=0.0, below=2.0), number("decay", decay, at_least=0.0, below=1.0)
    a = 1 - eta
    return (1 + decay) * (1 - a * decay) / ((1 - decay) * (1 + a * decay))


def equal_step(d: int, *, eta: float, batch: int, decay: float) -> float:
    """The step size whose last weights have the excess that averaging with `decay` reaches at `eta`.

    Args:
        d: dimension of the state, from 1 to 10**6.
        eta: above 0 and below ``2 / (1 + (d + 1) / batch)``.
        batch: from 1 to 10**6.
        decay: from 0 to below 1.

    >>> round(equal_step(4, eta=0.05, batch=8, decay=0.99), 4)
    0.0085
    """
    kappa = _moment(d, batch)
    eta = _stable_step(eta, kappa)
    wanted = eta / (2 - eta * kappa) / averaging_gain(eta, decay)  # solve x / (2 - x kappa) = wanted
    return 2 * wanted / (1 + kappa * wanted)
