r"""Many trajectories of block Kaczmarz steps, that is of learning one linear task after the other, in one call.

$$e \leftarrow e - V_m^\top\big(g \odot (V_m e - c_m)\big), \qquad
L(e) = \frac1T \sum_{m \le T} \frac12 \sum_{i \le r} s_{m,i}^2\,(V_m e - c_m)_i^2,$$

with orthonormal rows $V_m$ of task m, its squared singular values $s_m^2$ and a filter $g$ of them: 1 (a projection,
learning to the end), $s^2/(s^2+\lambda_t)$ (ridge) or $1-(1-\gamma s^2)^{N_t}$ (a budget of gradient steps). The tasks
come in given orders, or a greedy rule takes them.

Source: arXiv 2504.04579 (projections in random orders), 2506.06501 (filters), 2510.19941 (greedy rules).
"""

import math
from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor

from implicitly_kernels import _checks as check
from implicitly_kernels._ops import dispatcher, fresh, operator

_DISPATCH = dispatcher("kaczmarz", "run")
FLOATS = (torch.float32, torch.float64)
RULES = ("distance", "residual", "nearest")
FILTERS = ("projection", "ridge", "budget")
#: Rows may be off being orthonormal by so much: what a decomposition in this dtype leaves, with room.
SKEW = {torch.float32: 1e-4, torch.float64: 1e-9}


def _check_values(e, basis, s2, shift, order, strength, filter, gamma):
    told, limits = check.refusal, torch.finfo(s2.dtype)
    T, r, d = basis.shape
    in_order = (order >= 0) & (order < T)
    least = 1 if filter == "budget" else 0
    strong = (strength >= least) & (strength <= limits.max)  # catches NaN
    live = (s2 > 0).to(s2.dtype)
    skew = (basis @ basis.mT - torch.eye(r, dtype=s2.dtype, device=s2.device)) * live[:, :, None] * live[:, None, :]
    worst = skew.abs().amax((1, 2))
    top = s2.max().double()
    most = torch.stack([v.abs().max().double() for v in (e, shift) if v.numel()]).max()
    squares = 2 * d * most * (top.clamp_min(1.0) * r).sqrt()
    check.hold(
        (strong, told(lambda: f"strength: expected numbers from {least} to {limits.max:.3g} for the filter {filter!r}, "
                              f"got {strength[~strong][0].item()}")),
        ("e", e), ("basis", basis), ("s2", s2), ("shift", shift),
        (s2 >= 0, told(lambda: f"s2: expected squares >= 0, got {s2.min().item()}")),
        (in_order, told(lambda: f"order: expected tasks from 0 to {T - 1}, got {order[~in_order][0].item()}")),
        (worst <= SKEW[s2.dtype], told(lambda: "basis: expected orthonormal rows where s2 > 0, got products off by "
                                               f"{worst.max().item():.3g} in task {worst.argmax().item()}")),
        (gamma * top <= 1 + 8 * limits.eps, told(
            lambda: f"gamma: expected at most 1 / max(s2) = {1 / top.item()}, got {gamma}")),
        (squares <= math.sqrt(limits.max), told(
            lambda: f"e, s2, shift: expected squares in the range of {s2.dtype}, got entries up to {most.item():.3g} "
                    f"and s2 up to {top.item():.3g}")),
    )  # fmt: skip


def _shapes(e, basis, s2, shift, order, strength, rule, repetition, steps, filter, gamma, record, backend):
    B = e.shape[0]
    return (e.new_empty(e.shape), e.new_empty((B, steps), dtype=torch.int64), e.new_empty((B, steps)),
            e.new_empty((B, len(record))))


@operator("kaczmarz", _shapes)
def _run(e: Tensor, basis: Tensor, s2: Tensor, shift: Tensor, order: Tensor, strength: Tensor, rule: str,
         repetition: bool, steps: int, filter: str, gamma: float, record: list[int], backend: str
         ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    _check_values(e, basis, s2, shift, order, strength, filter, gamma)
    given = tuple(v.contiguous() for v in (e, basis, s2, shift, order))
    return fresh(_DISPATCH(backend, e)(*given, strength, rule, repetition, steps, filter, gamma, record), e, order)


def _strengths(filter, strength, gamma, steps, s2):
    """Strengths as float64, (1,) or (steps,), and gamma; (0,) and 0 where the filter has none."""
    check.one_of("filter", filter, FILTERS)
    if filter == "projection":
        for name, value in (("strength", strength), ("gamma", gamma)):
            if value is not None:
                raise ValueError(f"{name}: expected None for the filter 'projection', got {value}")
        return torch.zeros(0, dtype=torch.float64, device=s2.device), 0.0
    if filter == "ridge" and gamma is not None:
        raise ValueError(f"gamma: expected None for the filter 'ridge', got {gamma}")
    if strength is None:
        raise ValueError(f"strength: expected a number or a tensor for the filter {filter!r}, got None")
    if isinstance(strength, Tensor) and strength.ndim:
        check.tensor("strength", strength, dtypes=(*FLOATS, torch.int64), device=s2.device, shape=(steps,))
        strength = strength.double()
    elif isinstance(strength, Tensor) and not strength.is_complex():
        strength = strength.to(s2.device, torch.float64)[None]
    elif isinstance(strength, bool) or not isinstance(strength, Real):
        raise TypeError(f"strength: expected a number or a tensor, got {type(strength).__name__}")
    else:
        strength = torch.full((1,), float(strength), dtype=torch.float64, device=s2.device)
    return strength, check.positive("gamma", gamma) if filter == "budget" else 0.0


def kaczmarz(e: Tensor, basis: Tensor, s2: Tensor, *, order: Tensor | None = None, rule: str | None = None,
             repetition: bool = False, steps: int | None = None, filter: str = "projection",
             strength: float | Tensor | None = None, gamma: float | None = None, shift: Tensor | None = None,
             record: Sequence[int] | Tensor | None = None, backend: str = "auto",
             ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run every trajectory for k steps from e.

    e: (B, d) float32 or float64, errors w - w*; weights w, if `shift` is given. d >= 1.
    basis: V (T, r, d), T, r >= 1, and s2 (T, r) >= 0: orthonormal rows and squared singular values of each task. A row
       whose s2 is 0 counts for nothing. shift: c_m = V_m w* (T, r), where the solutions lie; None for 0. All have e's
       dtype and device, are finite, with squares in the range of the dtype; none is changed.
    order: (B, k) int64 or int32, the task of each step; give this, or
    rule: "distance" takes the task of largest |V_m e - c_m|^2 over rows with s2 > 0, "residual" that of largest loss,
       "nearest" that of smallest distance; of the tasks not yet taken or, with `repetition`, of all. The lowest index
       among equals: tasks equal in every number always are; other scores compare as they are rounded. steps: k, at
       most T without repetition, where None is T.
    filter: "projection"; "ridge", with strength lambda_t >= 0 (0 is the projection); "budget", with strength
       N_t >= 1 and gamma, 0 < gamma <= 1 / max(s2). strength: a number or (k,), of float or int64.
    record: steps after which the loss is taken, whole numbers from 0 to k; None for the last alone.
    backend: "auto", "reference", "numba", "triton" (r and d padded to powers of two: r d at most 2048; on a GPU
       "auto" takes the reference for more). numba spreads the trajectories over threads.

    Returns e (B, d), the tasks taken (B, k) int64, the squared lengths of the steps (B, k), and the loss L at the
    recorded steps (B, len(record)), in e's dtype. A step computes V_m e afresh, so a trajectory's errors are those of
    the definition; backends agree to rounding, and in greedy orders up to near ties of that size. Not differentiable.
    Raises TypeError or ValueError for bad arguments, RuntimeError for a named backend that cannot run.
    Cost: 4 r d operations a step, and by a rule 2 T r d more (numba: 2 T r^2, where the tasks' products fit).
    """
    check.tensor("e", e, dtypes=FLOATS, ndim=2)
    B, d = e.shape
    if d == 0:
        raise ValueError("e: expected at least one column, got none")
    like = {"dtypes": (e.dtype,), "device": e.device}
    check.tensor("basis", basis, **like, shape=(None, None, d))
    T, r = basis.shape[:2]
    if not basis.numel():
        raise ValueError(f"basis: expected at least one task and one row, got shape {tuple(basis.shape)}")
    check.tensor("s2", s2, **like, shape=(T, r))
    if shift is None:
        shift = s2.new_zeros((T, r))
    check.tensor("shift", shift, **like, shape=(T, r))
    repetition = check.flag("repetition", repetition)
    if (order is None) == (rule is None):
        raise ValueError(f"order, rule: expected exactly one of them, got {'none' if rule is None else 'both'}")
    if order is not None:
        check.tensor("order", order, dtypes=(torch.int64, torch.int32), device=e.device, shape=(B, None))
        if repetition or steps is not None:
            raise ValueError("repetition, steps: expected neither beside an order, got one")
        order, k = order.long(), order.shape[1]
    else:
        check.one_of("rule", rule, RULES)
        if steps is None and repetition:
            raise ValueError("steps: expected an int with repetition, got None")
        k = T if steps is None else check.integer("steps", steps, at_least=0, at_most=2**31 - 2 if repetition else T)
        order = torch.zeros((B, 0), dtype=torch.int64, device=e.device)
    strength, gamma = _strengths(filter, strength, gamma, k, s2)
    record = [k] if record is None else check.integers("record", record, at_least=0, at_most=k)
    check.backend(backend)
    return _run(e, basis, s2, shift, order, strength, rule or "", repetition, k, filter, gamma, record, backend)
