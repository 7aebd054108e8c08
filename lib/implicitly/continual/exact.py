"""Expectations over random orders without drawing one.

With replacement the second moment ``M_t = E e_t e_t^T`` of the error obeys ``M_{t+1} = mean_m S_m M_t S_m`` with the
step's matrix ``S_m = I - V_m^T g V_m``; every mean loss is linear in it. Without replacement: `all_orders` for a few
tasks, and sums over subsets for lines. Chapters `random-orderings`, `optimal-regularization`.
"""

import math
from collections import deque
from typing import NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .._validate import F64, choice, tensor, whole
from .filters import _FLOATS, _checked_kind, _factors, _strengths
from .runs import _checked

__all__ = [
    "Moments",
    "best_line_distance",
    "loss_matrix",
    "pair_loss",
    "pair_losses",
    "second_moment",
    "shuffled_lines",
    "worst_pair",
]


class Moments(NamedTuple):
    """Expectations after t = 0..k steps, each of shape (k + 1,).

    loss: ``E L(w_t)``, the mean of ``|X_m w_t - y_m|^2``.   distance: the mean squared distance from a task's
    solutions, ``2 E f(w_t)`` for projections.   error: ``E |w_t - w*|^2``.
    """

    loss: Tensor
    distance: Tensor
    error: Tensor


def _average_step(M: Tensor, V: Tensor, g: Tensor) -> Tensor:
    """``mean_m (I - A_m) M (I - A_m)`` with ``A_m = V_m^T g_m V_m``."""
    T, r, d = V.shape
    gV = g[..., None] * V
    AM = (V.reshape(T * r, d).T @ gV.reshape(T * r, d) / T) @ M
    inner = V @ M @ V.mT
    M = M - AM - AM.T + gV.reshape(T * r, d).T @ (inner @ gV).reshape(T * r, d) / T
    # AM.T is MA for a symmetric M alone: what rounding leaves of the rest would double in each step.
    return (M + M.T) / 2


def _filters(s2: Tensor, k: int, filter: str, strength, gamma) -> list[Tensor]:
    """The factors of each of k steps."""
    filter, gamma = _checked_kind(filter, gamma, s2.max().item() if s2.numel() else 0.0)
    strength = _strengths(filter, strength, k)
    if strength is None:
        return [_factors(s2, filter, None, gamma)] * k
    known: dict[float, Tensor] = {}
    return [
        known[one] if one in known else known.setdefault(one, _factors(s2, filter, one, gamma))
        for one in strength.tolist()
    ]


def second_moment(
    e: Tensor,
    basis: Tensor,
    s2: Tensor,
    k: int,
    *,
    filter: str = "projection",
    strength: ArrayLike | None = None,
    gamma: float | None = None,
) -> Moments:
    """Exact expectations over orders that are drawn with replacement.

    Args:
        e: error at the start, (d,), float32 or float64.
        basis, s2: of `Tasks`, (T, r, d) and (T, r), in e's dtype.
        k: steps, at least 0.
        filter, gamma: as in `shrink`.
        strength: as in `shrink`: one number, or one for each step, (k,).

    Returns:
        `Moments`, in e's dtype. Time and memory grow as k T r d^2.
    """
    e = tensor("e", e, shape=("d",))
    e, basis, s2, _ = _checked(e[None], basis, s2, None)
    k, T = whole("k", k, at_least=0, at_most=10**7), len(basis)
    M, rows = e.T @ e, []
    for g in [*_filters(s2, k, filter, strength, gamma), None]:
        seen = (basis @ M * basis).sum(2)
        rows.append(torch.stack([(s2 * seen).sum() / T, seen.sum() / T, M.trace()]))
        M = M if g is None else _average_step(M, basis, g)
    return Moments(*torch.stack(rows, 1).clamp(min=0).unbind())


def loss_matrix(
    basis: Tensor,
    s2: Tensor,
    k: int,
    *,
    of: str = "loss",
    filter: str = "projection",
    strength: ArrayLike | None = None,
    gamma: float | None = None,
) -> Tensor:
    """The matrix H with ``E L(w_k) = e_0^T H e_0`` over orders drawn with replacement, for every start at once.

    Its largest eigenvalue is the loss from the worst start of length 1, its eigenvector that start.

    Args:
        of: ``"loss"``, or ``"distance"``: the mean squared distance from a task's solutions.
        basis, s2, k, filter, strength, gamma: as in `second_moment`; basis float32 or float64.

    Returns:
        (d, d), symmetric, in the dtype of `basis`.
    """
    basis = tensor("basis", basis, shape=("T", "r", "d"), dtype=_FLOATS)
    _, basis, s2, _ = _checked(basis.new_zeros(1, basis.shape[2]), basis, s2, None)
    k = whole("k", k, at_least=0, at_most=10**7)
    weight = (s2 if choice("of", of, ("loss", "distance")) == "loss" else torch.ones_like(s2))[..., None] * basis
    T, r, d = basis.shape
    H = weight.reshape(T * r, d).T @ basis.reshape(T * r, d) / T
    H = (H + H.T) / 2
    for g in reversed(_filters(s2, k, filter, strength, gamma)):  # the last step meets the loss first
        H = _average_step(H, basis, g)
    return H


def pair_loss(theta: Tensor, steps: Tensor) -> Tensor:
    """``E L(w_k)`` of `angle_pair` for many angles at once, over orders drawn with replacement.

    The tasks are of rank 1 with singular value 1, so that a filter is its effective step size. The mean second moment
    is diagonal along the start and across it, by symmetry: two numbers are all there is to follow.

    Args:
        theta: angles between the two lines, (A,), float64, in (0, pi / 2].
        steps: effective step sizes h_t, (k,), float64, in [0, 1].

    Returns:
        (A,), float64, for a start of length 1.

    >>> loss = pair_loss(torch.tensor([math.pi / 2], dtype=F64), torch.ones(1, dtype=F64))
    >>> round(loss.item(), 6)  # one of two is learned, of which the start is halfway
    0.25
    """
    theta = tensor("theta", theta, shape=("A",), dtype=F64, above=0.0, at_most=math.pi / 2)
    steps = tensor("steps", steps, shape=("k",), dtype=F64, at_least=0.0, at_most=1.0)
    return _pair_loss(theta, steps.tolist())


def pair_losses(theta: Tensor, steps: Tensor) -> Tensor:
    """`pair_loss` along the run: ``E L(w_t)`` for t = 0..k.

    theta, steps: as in `pair_loss`. Returns (A, k + 1), float64.
    """
    theta = tensor("theta", theta, shape=("A",), dtype=F64, above=0.0, at_most=math.pi / 2)
    steps = tensor("steps", steps, shape=("k",), dtype=F64, at_least=0.0, at_most=1.0)
    return torch.stack(list(_pair_path(theta, steps.tolist())), 1)


def _pair_loss(theta: Tensor, steps: list[float]) -> Tensor:
    return deque(_pair_path(theta, steps), maxlen=1)[0]


def _pair_path(theta: Tensor, steps: list[float]):
    """The loss before the first step and after each."""
    a2, b2 = (theta / 2).sin().square(), (theta / 2).cos().square()  # of a task's row: along the start, and across
    along, across = torch.ones_like(theta), torch.zeros_like(theta)
    yield a2 * along + b2 * across
    for h in steps:
        mixed = h * h * a2 * b2
        along, across = (1 - h * a2).square() * along + mixed * across, (
            mixed * along + (1 - h * b2).square() * across)  # fmt: skip
        yield a2 * along + b2 * across


def worst_pair(steps: Tensor) -> tuple[float, float]:
    """The angle at which `pair_loss` is largest, and that loss.

    Args:
        steps: effective step sizes h_t, (k,), float64, in [0, 1].

    Returns:
        theta in radians, in (0, pi / 2], and ``E L(w_k)``.
    """
    steps = tensor("steps", steps, shape=("k",), dtype=F64, at_least=0.0, at_most=1.0)
    plain = steps.tolist()
    # The worst angle is near sqrt(2 / k): a grid that is even in the logarithm sees it at every k.
    grid = torch.logspace(-6, math.log10(math.pi / 2), 400, dtype=F64).clamp(max=math.pi / 2)
    losses = _pair_loss(grid, plain)
    best = int(losses.argmax())
    low, high = (grid[min(max(i, 0), len(grid) - 1)].log().item() for i in (best - 1, best + 1))
    finer = torch.linspace(low, high, 401, dtype=F64).exp().clamp(max=math.pi / 2)
    losses = _pair_loss(finer, plain)
    best = int(losses.argmax())
    return finer[best].item(), losses[best].item()


def _cosines(directions, start) -> tuple[Tensor, Tensor]:
    """Squared cosines between lines (T, T), and of each with the start (T,)."""
    directions = tensor("directions", directions, shape=("T", "d"), dtype=F64)
    if not directions.numel():
        raise ValueError(f"directions must have a row and a column, found shape {tuple(directions.shape)}")
    start = tensor("start", start, shape=(directions.shape[1],), dtype=F64)
    scale = directions.abs().amax(1, keepdim=True)
    size = start.abs().max()
    if not (scale > 0).all() or not size > 0:
        raise ValueError("directions and start must not be 0, found 0")
    directions, start = directions / scale, start / size
    unit = directions / directions.norm(dim=1, keepdim=True)
    return (unit @ unit.T).square().clamp(max=1), (unit @ (start / start.norm())).square().clamp(max=1)


def shuffled_lines(directions: Tensor, start: Tensor) -> tuple[float, Tensor]:
    """Exact expectations over all orders of one pass, for tasks whose solutions are lines through 0.

    A projected iterate lies on the last line, so the set of tasks done and the last one are all that matters: T 2^T
    numbers instead of T! orders.

    Args:
        directions: one a task, (T, d), float64, not 0; T from 1 to 18.
        start: (d,), float64, not 0; its length does not matter.

    Returns:
        The mean over tasks of the expected squared distance from their solutions after all T steps, and the expected
        squared distance from the next task's solutions after t = 0..T-1 steps, (T,). Both are relative to |start|^2.
    """
    C, first = _cosines(directions, start)
    T = len(C)
    if T > 18:
        raise ValueError(f"directions must have at most 18 rows, found {T}")
    # W[S, j]: the mean of |e|^2 over orders of S, counted where j came last.
    W = torch.zeros(2**T, T, dtype=F64)
    bits = 2 ** torch.arange(T)
    W[bits, torch.arange(T)] = first / T
    sets = torch.arange(2**T)
    inside = (sets[:, None] & bits) > 0
    size = inside.sum(1)
    ahead = [(1 - first).mean()]
    for t in range(1, T):
        now = sets[size == t]
        W_now, free = W[now], ~inside[now]
        onto = W_now @ C
        ahead.append((W_now.sum(1, keepdim=True) - onto)[free].sum() / (T - t))
        rows, tasks = free.nonzero(as_tuple=True)
        W[now[rows] | bits[tasks], tasks] = onto[rows, tasks] / (T - t)
    return (W[-1] @ (1 - C)).sum().item() / T, torch.stack(ahead).clamp(min=0)


def best_line_distance(directions: Tensor, start: Tensor) -> float:
    """The least ``|w_T - w*|^2 / |start|^2`` that any order of one pass over solution lines through 0 ends with.

    By dynamic programming over (tasks done, last task).

    Args:
        directions: one a task, (T, d), float64, not 0; T from 1 to 18.
        start: (d,), float64, not 0.
    """
    C, first = _cosines(directions, start)
    T = len(C)
    if T > 18:
        raise ValueError(f"directions must have at most 18 rows, found {T}")
    best = torch.full((2**T, T), math.inf, dtype=F64)
    bits = 2 ** torch.arange(T)
    best[bits, torch.arange(T)] = first
    sets = torch.arange(2**T)
    inside = (sets[:, None] & bits) > 0
    size = inside.sum(1)
    for t in range(1, T):
        now = sets[size == t]
        last = torch.where(inside[now], best[now], math.inf)
        onto = (torch.where(last.isinf(), 1e300, last)[:, :, None] * C).masked_fill(last.isinf()[:, :, None], math.inf)
        rows, tasks = (~inside[now]).nonzero(as_tuple=True)
        best[now[rows] | bits[tasks], tasks] = onto.amin(1)[rows, tasks]
    return best[-1].min().item()
