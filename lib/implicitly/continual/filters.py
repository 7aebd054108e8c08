"""How hard one task pulls: learning to the end, ridge towards the old weights, or a budget of steps, as one filter.

With the rows' basis V and squared singular values s2, every such step is ``e - V^T (g * V e)`` of the error
``e = w - w*``, and only the factors g in [0, 1] differ:

- ``"projection"``: ``1[s2 > 0]``, gradient descent to convergence;
- ``"ridge"``: ``s2 / (s2 + lam)``, the minimum of ``L_m(w) + lam |w - w'|^2``;
- ``"budget"``: ``1 - (1 - gamma s2)^N``, N gradient steps of size gamma on ``L_m / 2``.

Each is one step of size h, the effective step size, of a surrogate that is convex and 1-smooth: ``h = 1``,
``R^2 / (R^2 + lam)``, ``1 - (1 - gamma R^2)^N``. Chapter `optimal-regularization`.
"""

import math

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from implicitly_kernels.kaczmarz.reference import factors

from .._validate import F64, choice, number, tensor, whole

__all__ = [
    "FILTERS",
    "effective_step",
    "shrink",
    "step_schedule",
    "strength_for",
]

#: The kinds of filters.
FILTERS = ("projection", "ridge", "budget")
_FLOATS = (torch.float32, torch.float64)
_MOST = 2**53  # up to here every whole number is a float


def _checked_kind(filter: str, gamma: float | None, top: float) -> tuple[str, float | None]:
    """The kind and gamma, which only a budget has; `top` is the largest squared singular value."""
    choice("filter", filter, FILTERS)
    if filter != "budget":
        if gamma is not None:
            raise ValueError(f"gamma must be left out for the filter {filter!r}, found one")
        return filter, None
    if gamma is None:
        raise ValueError("gamma must be given for the filter 'budget', found None")
    limit = (1 + 1e-12) / top if top > 0 else math.inf
    return filter, number("gamma", gamma, above=0.0, at_most=limit)


def _strengths(filter: str, strength, count: int | None = None) -> Tensor | None:
    """`strength` as float64: None for projections, else of any shape, or (count,) from a number or as many."""
    if filter == "projection":
        if strength is not None:
            raise ValueError("strength must be left out for the filter 'projection', found one")
        return None
    if strength is None:
        raise ValueError(f"strength must be given for the filter {filter!r}, found None")
    strength = tensor("strength", strength, convert=F64, at_least=0.0 if filter == "ridge" else 1.0)
    if filter == "budget" and ((strength != strength.round()) | (strength > _MOST)).any():
        raise ValueError(f"strength must hold whole numbers up to 2**53, found {strength.flatten()[:5].tolist()}")
    if count is not None and strength.ndim and strength.shape != (count,):
        raise ValueError(f"strength must be a number or have shape ({count},), found {tuple(strength.shape)}")
    return strength if count is None else strength.expand(count)


def _factors(s2: Tensor, filter: str, strength: float | None, gamma: float | None) -> Tensor:
    """`shrink`, of arguments that are checked; as the kernel that makes the steps has it."""
    return factors(s2, filter, strength, gamma)


def shrink(s2: Tensor, filter: str, strength: float | None = None, *, gamma: float | None = None) -> Tensor:
    """The share g of the error that a step removes along each direction.

    Args:
        s2: squared singular values, any shape, float32 or float64, at least 0.
        filter: ``"projection"``, ``"ridge"`` or ``"budget"``.
        strength: lam, at least 0, of a ridge; the number of steps N, whole, from 1 to 2**53, of a budget. Left out
            for projections. A ridge of strength 0 is the projection, its limit.
        gamma: step size of a budget, positive, at most 1 / max(s2).

    Returns:
        The factors, in [0, 1], like `s2`; 0 where `s2` is.

    >>> shrink(torch.tensor([0.0, 1.0, 3.0], dtype=F64), "ridge", 1.0).tolist()
    [0.0, 0.5, 0.75]
    """
    s2 = tensor("s2", s2, dtype=_FLOATS, at_least=0.0)
    filter, gamma = _checked_kind(filter, gamma, s2.max().item() if s2.numel() else 0.0)
    strengths = _strengths(filter, strength)
    if strengths is not None and strengths.ndim:
        raise ValueError(f"strength must be a number, found shape {tuple(strengths.shape)}")
    return _factors(s2, filter, None if strengths is None else strengths.item(), gamma)


def effective_step(
    filter: str, strength: ArrayLike | None = None, *, R: float = 1.0, gamma: float | None = None
) -> Tensor:
    """The effective step size h of each strength, in (0, 1].

    Args:
        filter: ``"projection"``, ``"ridge"`` or ``"budget"``.
        strength: lam or N as in `shrink`: a number or any shape. Left out for projections.
        R: the largest singular value of all tasks, positive.
        gamma: step size of a budget, positive, at most 1 / R^2.

    Returns:
        float64, of the shape of `strength`; () for projections.

    >>> effective_step("ridge", 1.0, R=1.0).item()
    0.5
    """
    top = number("R", R, above=1e-150, at_most=1e150) ** 2
    filter, gamma = _checked_kind(filter, gamma, top)
    strength = _strengths(filter, strength)
    if strength is None:
        return torch.ones((), dtype=F64)
    if filter == "ridge":
        return top / (top + strength)
    return -torch.expm1(strength * math.log1p(-gamma * top)) if gamma * top < 1 else torch.ones_like(strength)


def strength_for(filter: str, h: ArrayLike, *, R: float = 1.0, gamma: float | None = None) -> Tensor:
    """The strength whose effective step size is `h`: ``lam = R^2 (1 / h - 1)``, ``N = ln(1 - h) / ln(1 - gamma R^2)``.

    A budget is rounded to the nearest whole number of steps, so `effective_step` of the result is the step size that
    is used. A non-increasing `h` gives a non-increasing N.

    Args:
        filter: ``"ridge"`` or ``"budget"``.
        h: effective step sizes in (0, 1], a number or any shape. For a budget below 1, which no finite number of
            steps reaches, and at least ``gamma R^2``, the step of N = 1; where ``gamma R^2 = 1`` only 1.
        R: the largest singular value of all tasks, positive.
        gamma: step size of a budget, positive, at most 1 / R^2.

    Returns:
        float64, of the shape of `h`.
    """
    choice("filter", filter, FILTERS[1:])
    top = number("R", R, above=1e-150, at_most=1e150) ** 2
    filter, gamma = _checked_kind(filter, gamma, top)
    h = tensor("h", h, convert=F64, above=0.0, at_most=1.0)
    if filter == "ridge":
        return tensor("R^2 (1 / h - 1) for h and R", top * (1 / h - 1))
    least = gamma * top
    if least >= 1 - 1e-12:
        if (h < 1).any():
            raise ValueError(f"h must be 1 where gamma R^2 = 1, found {h.min().item():.6g}; take a smaller gamma")
        return torch.ones_like(h)
    if (h == 1).any():
        raise ValueError("h must be below 1 for a budget, found 1: no finite number of steps is a projection")
    if (h < least * (1 - 1e-9)).any():
        raise ValueError(
            f"h must be at least gamma R^2 = {least:.6g}, the step of one gradient step, found {h.min().item():.6g}; "
            "take a smaller gamma"
        )
    return tensor("N for h, gamma and R", (torch.log1p(-h) / math.log1p(-least)).round().clamp(min=1), at_most=_MOST)


def step_schedule(kind: str, k: int, *, h0: float | None = None) -> Tensor:
    """Effective step sizes h_t of the k steps from w_t to w_{t+1}, t = 0..k-1.

    A schedule is made for its horizon k: it says nothing of the iterates before.

    Args:
        kind: ``"none"``: all 1, no regularization. ``"fixed"``: all ``1 / ln k``, and 1 for k < 3, where that would
            exceed 1; or all `h0`. ``"increasing"`` regularization: ``h0 (k - t + 1) / (k + 1)``. ``"reversed"``: the
            same k numbers backwards, the control that changes nothing but the order.
        k: number of steps, at least 1.
        h0: in (0, 1]; needed by ``"increasing"`` and ``"reversed"``, refused by ``"none"``.

    Returns:
        float64, shape (k,).

    >>> step_schedule("increasing", 3, h0=1.0).tolist()
    [1.0, 0.75, 0.5]
    """
    choice("kind", kind, ("none", "fixed", "increasing", "reversed"))
    k = whole("k", k, at_least=1, at_most=10**8)
    if h0 is not None:
        h0 = number("h0", h0, above=0.0, at_most=1.0)
    if kind in ("none", "fixed"):
        if kind == "none" and h0 is not None:
            raise ValueError(f"h0 must be left out for the kind 'none', found {h0:g}")
        return torch.full((k,), 1.0 if kind == "none" or (h0 is None and k < 3) else h0 or 1 / math.log(k), dtype=F64)
    if h0 is None:
        raise ValueError(f"h0 must be given for the kind {kind!r}, found None")
    steps = h0 * torch.arange(k + 1, 1, -1, dtype=F64) / (k + 1)
    return steps if kind == "increasing" else steps.flip(0)
