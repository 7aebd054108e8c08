"""Block Kaczmarz steps on the GPU: a program is one trajectory, its error in registers for the whole run.

A step reads its task's rows once. By a rule, each step walks over all tasks, M at a time, and keeps the best.
"""

import torch
import triton
import triton.language as tl

from implicitly_kernels._dispatch import Unsupported
from implicitly_kernels.kaczmarz._tables import filters, loss_rows, slots, weights
from implicitly_kernels.kaczmarz._tile import MOST, tile

RIDGE, BUDGET = tl.constexpr(1), tl.constexpr(2)  # as in _tables


@triton.jit
def _expm1(x, TERMS: tl.constexpr):
    """e^x - 1 for x <= 0: above -1/2 by its series."""
    near = tl.where(x > -0.5, x, 0.0)
    series = tl.zeros_like(x) + 1.0
    for i in tl.static_range(TERMS):
        series = series * near * (1.0 / (TERMS + 1 - i)) + 1.0
    return tl.where(x > -0.5, near * series, tl.exp(x) - 1.0)


@triton.jit
def _loss(e, rows_ptr, offsets_ptr, rows, d, N: tl.constexpr, D: tl.constexpr):
    j = tl.arange(0, D)
    total = tl.sum(e * 0.0, axis=0)
    for first in range(0, rows, N):
        n = first + tl.arange(0, N)
        row = tl.load(rows_ptr + n[:, None] * d + j[None, :], mask=(n < rows)[:, None] & (j < d)[None, :], other=0.0)
        x = tl.sum(row * e[None, :], axis=1) - tl.load(offsets_ptr + n, mask=n < rows, other=0.0)
        total += tl.sum(x * x, axis=0)
    return 0.5 * total


@triton.jit
def _best(e, basis_ptr, shift_ptr, weight_ptr, taken_ptr, tasks, r, d, NEAREST: tl.constexpr, M: tl.constexpr,
          R: tl.constexpr, D: tl.constexpr):  # fmt: skip
    """The first task of highest score of those not taken."""
    i = tl.arange(0, R)
    j = tl.arange(0, D)
    top = tl.sum(e * 0.0, axis=0) - float("inf")
    task = tasks * 0
    for first in range(0, tasks, M):
        m = first + tl.arange(0, M)
        at = m.to(tl.int64)[:, None] * r + i[None, :]  # [M, R]
        live = (m < tasks)[:, None] & (i < r)[None, :]
        V = tl.load(basis_ptr + at[:, :, None] * d + j[None, None, :],
                    mask=live[:, :, None] & (j < d)[None, None, :], other=0.0)  # [M, R, D]
        x = tl.sum(V * e[None, None, :], axis=2) - tl.load(shift_ptr + at, mask=live, other=0.0)
        score = tl.sum(tl.load(weight_ptr + at, mask=live, other=0.0) * (x * x), axis=1)
        if NEAREST:
            score = -score
        closed = tl.load(taken_ptr + m, mask=m < tasks, other=1)
        score = tl.where(closed == 0, score, float("-inf"))
        high = tl.max(score, axis=0)
        here = tl.min(tl.where(score == high, m, tasks), axis=0)
        task = tl.where(high > top, here, task)
        top = tl.where(high > top, high, top)
    return task


# One binary for all sizes: none of them would widen a load.
@triton.jit(do_not_specialize=["tasks", "r", "d", "rows", "steps", "records"])
def _kaczmarz_kernel(
    e_ptr, basis_ptr, shift_ptr, table_ptr, strength_ptr, weight_ptr, order_ptr, taken_ptr, slot_ptr, rows_ptr,
    offsets_ptr, new_ptr, length_ptr, loss_ptr,
    tasks, r, d, rows, steps, records,
    KIND: tl.constexpr, RULE: tl.constexpr, NEAREST: tl.constexpr, REPETITION: tl.constexpr, TERMS: tl.constexpr,
    M: tl.constexpr, R: tl.constexpr, D: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, R)
    j = tl.arange(0, D)
    e = tl.load(e_ptr + b * d + j, mask=j < d, other=0.0)  # [D]
    taken_ptr += b * tasks
    for t in range(steps):
        slot = tl.load(slot_ptr + t)
        if slot >= 0:
            tl.store(loss_ptr + b * records + slot, _loss(e, rows_ptr, offsets_ptr, rows, d, N, D))
        if RULE:
            m = _best(e, basis_ptr, shift_ptr, weight_ptr, taken_ptr, tasks, r, d, NEAREST, M, R, D).to(tl.int64)
            tl.store(order_ptr + b * steps + t, m)
            if not REPETITION:
                tl.debug_barrier()  # all have read which are taken,
                tl.store(taken_ptr + m, 1)
                tl.debug_barrier()  # and all will see this one
        else:
            m = tl.load(order_ptr + b * steps + t)
        at = m * r + i
        V = tl.load(basis_ptr + at[:, None] * d + j[None, :], mask=(i < r)[:, None] & (j < d)[None, :], other=0.0)
        g = tl.load(table_ptr + at, mask=i < r, other=0.0)
        if KIND == RIDGE:
            g = tl.where(g > 0.0, g / (g + tl.load(strength_ptr + t)), 0.0)
        elif KIND == BUDGET:
            g = -_expm1(tl.load(strength_ptr + t) * g, TERMS)
        move = g * (tl.sum(V * e[None, :], axis=1) - tl.load(shift_ptr + at, mask=i < r, other=0.0))
        e -= tl.sum(V * move[:, None], axis=0)
        tl.store(length_ptr + b * steps + t, tl.sum(move * move, axis=0))
    slot = tl.load(slot_ptr + steps)
    if slot >= 0:
        tl.store(loss_ptr + b * records + slot, _loss(e, rows_ptr, offsets_ptr, rows, d, N, D))
    tl.store(new_ptr + b * d + j, e, mask=j < d)


def run(e, basis, s2, shift, order, strength, rule, repetition, steps, filter, gamma, record, tasks=None):
    """Same contract as reference.run. tasks: scored together, in place of `tile`'s."""
    (B, d), (T, r) = e.shape, basis.shape[:2]
    M, R, D, N, warps = tile(T, r, d, rule)
    if R * D > MOST:
        raise Unsupported(f"basis: the triton backend takes at most {MOST} numbers a task, rows and columns padded to "
                          f"powers of two; got {R} x {D}")
    kind, table, strength = filters(s2, filter, strength, gamma)
    slot, places = slots(record, steps)
    rows, offsets = loss_rows(basis, s2, shift) if record else (e.new_zeros((0, d)), e.new_zeros((0,)))
    records = max(places, default=-1) + 1
    new, lengths, loss = e.new_empty((B, d)), e.new_empty((B, steps)), e.new_empty((B, records))
    taken = e.new_empty((B, steps), dtype=torch.int64) if rule else order
    done = torch.zeros((B, T) if rule else (1, 1), dtype=torch.int8, device=e.device)
    if B:
        _kaczmarz_kernel[(B,)](
            e, basis, shift, table, strength, weights(s2, rule), taken, done,
            slot.to(e.device), rows.contiguous(), offsets.contiguous(), new, lengths, loss,
            T, r, d, len(rows), steps, records,
            KIND=kind, RULE=bool(rule), NEAREST=rule == "nearest", REPETITION=repetition,
            TERMS=16 if e.dtype == torch.float64 else 8, M=tasks or M, R=R, D=D, N=N, num_warps=warps,
            enable_fp_fusion=True,
        )  # fmt: skip
    return new, taken, lengths, loss[:, places]
