"""Learning one task after the other: many trajectories at once, in any order or greedily.

A step on task m takes the error ``e = w - w*`` to ``e - V_m^T (g * V_m e)``, with the task's rows V_m and a filter g
(`shrink`); the weights themselves, with ``c_m = V_m w*``, to ``w - V_m^T (g * (V_m w - c_m))``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from implicitly_kernels import kaczmarz

from .._validate import choice, flag, instance, tensor, whole, wholes
from .filters import _FLOATS, _checked_kind, _strengths
from .tasks import Tasks

__all__ = [
    "RULES",
    "Run",
    "forgetting",
    "learn",
    "run_tasks",
    "task_distances",
    "task_losses",
]

#: Greedy rules: the task farthest away, the task of largest loss, the nearest task.
RULES = ("distance", "residual", "nearest")


class Run(NamedTuple):
    """What B trajectories of k steps did.

    last: errors or weights after the last step, (B, d).   order: the tasks learned, (B, k), int64.
    steps: squared lengths of the steps, (B, k).   loss: the mean loss over all tasks at each recorded step, (B, n).
    """

    last: Tensor
    order: Tensor
    steps: Tensor
    loss: Tensor


def _checked_rows(e, basis, shift) -> tuple[Tensor, Tensor, Tensor | None]:
    e = tensor("e", e, shape=("B", "d"), dtype=_FLOATS)
    like = dict(dtype=e.dtype, device=e.device)
    basis = tensor("basis", basis, shape=("T", "r", e.shape[1]), **like)
    if not len(basis):
        raise ValueError("basis must hold at least one task, found none")
    if shift is not None:
        shift = tensor("shift", shift, shape=tuple(basis.shape[:2]), **like)
    return e, basis, shift


def _checked(e, basis, s2, shift) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    e, basis, shift = _checked_rows(e, basis, shift)
    s2 = tensor("s2", s2, shape=tuple(basis.shape[:2]), at_least=0.0, dtype=e.dtype, device=e.device)
    return e, basis, s2, shift


def _behind(e: Tensor, basis: Tensor, shift: Tensor | None) -> Tensor:
    """``V_m e`` or ``V_m w - c_m`` of every task, (B, T, r)."""
    T, r, d = basis.shape
    coordinates = (e @ basis.reshape(T * r, d).T).reshape(len(e), T, r)
    return coordinates if shift is None else coordinates - shift


def _losses(e, basis, s2, shift) -> Tensor:
    return (s2 * _behind(e, basis, shift).square()).sum(2)


def task_losses(e: Tensor, basis: Tensor, s2: Tensor, *, shift: Tensor | None = None) -> Tensor:
    """Each task's loss ``|X_m w - y_m|^2`` in each trajectory.

    Args:
        e: errors (B, d), float32 or float64; weights, if `shift` is given.
        basis, s2, shift: of `Tasks`, (T, r, d), (T, r), (T, r), in e's dtype.

    Returns:
        Losses (B, T), in e's dtype.
    """
    return _losses(*_checked(e, basis, s2, shift))


def task_distances(e: Tensor, basis: Tensor, *, shift: Tensor | None = None) -> Tensor:
    """Each task's squared distance from its solutions, (B, T): the squared length of a projection's step.

    e, basis, shift as in `task_losses`.
    """
    e, basis, shift = _checked_rows(e, basis, shift)
    return _behind(e, basis, shift).square().sum(2)


def forgetting(e: Tensor, basis: Tensor, s2: Tensor, order: Tensor, *, shift: Tensor | None = None) -> Tensor:
    """The mean loss over the tasks that each trajectory has learned, a task counted as often as it was learned; (B,).

    Args:
        order: the tasks learned, (B, k), int64, k at least 1.
        e, basis, s2, shift: as in `task_losses`.
    """
    e, basis, s2, shift = _checked(e, basis, s2, shift)
    order = _order(order, len(e), len(basis))
    if not order.shape[1]:
        raise ValueError("order must hold at least one step, found none")
    return _losses(e, basis, s2, shift).gather(1, order).mean(1)


def _order(order, B: int, T: int) -> Tensor:
    order = tensor("order", order, shape=("B", "k"), dtype=(torch.int64, torch.int32), at_least=0, at_most=T - 1)
    if len(order) != B:
        raise ValueError(f"order must have a row for each row of e, {B}, found {len(order)}")
    return order.long()


def run_tasks(
    e: Tensor,
    basis: Tensor,
    s2: Tensor,
    *,
    order: Tensor | None = None,
    rule: str | None = None,
    repetition: bool = False,
    steps: int | None = None,
    filter: str = "projection",
    strength: ArrayLike | None = None,
    gamma: float | None = None,
    shift: Tensor | None = None,
    record: Sequence[int] | None = None,
) -> Run:
    """Learn tasks in given orders, or in the greedy order of a rule.

    Args:
        e: errors at the start, (B, d), float32 or float64; weights, if `shift` is given.
        basis, s2: rows and squared singular values of `Tasks`, (T, r, d) and (T, r), in e's dtype.
        order: the tasks to learn, (B, k), int64 or int32. Give this or `rule`.
        rule: ``"distance"`` takes the task whose solutions are farthest, ``"residual"`` the one of largest loss,
            ``"nearest"`` the one whose solutions are nearest. The lowest index among equals.
        repetition: whether a rule may take a task again.
        steps: number k of steps of a rule; at most T without repetition, where it is T if left out.
        filter, gamma: as in `shrink`.
        strength: as in `shrink`: one number, or one for each step, (k,).
        shift: where the solutions lie, (T, r), as in `Tasks`; with it, `e` holds weights, and w* is not needed.
        record: steps after which the loss is taken, whole numbers from 0 to k; left out, after the last.

    Returns:
        A `Run`, in e's dtype. The mean loss is ``(1 / T) sum_m |X_m w - y_m|^2``.
    """
    e, basis, s2, shift = _checked(e, basis, s2, shift)
    B, T = len(e), len(basis)
    repetition = flag("repetition", repetition)
    if (order is None) == (rule is None):
        raise ValueError(f"give exactly one of order and rule, found {'none' if rule is None else 'both'}")
    if rule is None:
        order = _order(order, B, T)
        k = order.shape[1]
        if repetition or steps is not None:
            raise ValueError("repetition and steps must be left out with an order, found one")
    else:
        choice("rule", rule, RULES)
        if steps is None and repetition:
            raise ValueError("steps must be given with repetition, found None")
        k = T if steps is None else whole("steps", steps, at_least=0, at_most=10**8 if repetition else T)
    filter, gamma = _checked_kind(filter, gamma, s2.max().item() if s2.numel() else 0.0)
    strength = _strengths(filter, strength, k)
    at = [k] if record is None else list(wholes("record", record, least=0, at_least=0, at_most=k))
    last, taken, lengths, halves = kaczmarz(
        e, basis, s2, order=order, rule=rule, repetition=repetition, steps=None if rule is None else k,
        filter=filter, strength=strength, gamma=gamma, shift=shift, record=at,
    )  # fmt: skip
    return Run(last, taken, lengths, 2 * halves)


def learn(
    tasks: Tasks,
    *,
    order: Tensor | None = None,
    rule: str | None = None,
    repetition: bool = False,
    steps: int | None = None,
    filter: str = "projection",
    strength: ArrayLike | None = None,
    gamma: float | None = None,
    record: Sequence[int] | None = None,
    data: bool = False,
) -> Run:
    """Learn tasks in an order, given or greedy: `run_tasks`, with losses and steps on the scale of the bounds.

    It starts where `tasks` does.

    Args:
        tasks: a `Tasks` whose start does not solve them all.
        data: whether to compute with weights and labels, as one would without knowing w*; otherwise with errors,
            which lose nothing to cancellation. Both are the same to rounding.
        order, rule, repetition, steps, filter, strength, gamma, record: as in `run_tasks`. A rule gives one trajectory.

    Returns:
        A `Run`, float64: `last` holds weights if `data`, else errors; squared lengths of steps are divided by
        ``D_0 = |w_0 - w*|^2``, losses by ``R^2 D_0``.
    """
    tasks, data = instance("tasks", tasks, Tasks), flag("data", data)
    size = tasks.error.square().sum().item()
    if not size > 0:
        raise ValueError("tasks must have a start that does not solve them all, found one that does")
    start = tasks.start if data else tasks.error
    B = order.shape[0] if isinstance(order, Tensor) and order.ndim == 2 else 1
    done = run_tasks(
        start.expand(B, -1), tasks.basis, tasks.s2, order=order, rule=rule, repetition=repetition, steps=steps,
        filter=filter, strength=strength, gamma=gamma, shift=tasks.shift if data else None, record=record,
    )  # fmt: skip
    return done._replace(steps=done.steps / size, loss=done.loss / (tasks.R**2 * size))
