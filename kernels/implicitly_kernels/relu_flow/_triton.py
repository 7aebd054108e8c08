"""The flow on the GPU: a program keeps PARTICLES coordinate vectors in registers for the whole run."""

import torch
import triton
import triton.language as tl

from implicitly_kernels._dispatch import Unsupported
from implicitly_kernels.relu_flow._coordinates import finish, prepare, saves

MOST = 128  # edges: the Gram matrix must fit in shared memory


@triton.jit
def _ramp(c, slope_ptr, shift_ptr, top, k, edge, inside, m):
    slope = tl.load(slope_ptr + k * m + edge, mask=inside, other=0.0)
    shift = tl.load(shift_ptr + k * m + edge, mask=inside, other=0.0)
    return tl.minimum(tl.maximum(c * slope[None, :] - shift[None, :], 0.0), top[None, :])


@triton.jit
def _relu_flow_kernel(
    start_ptr, gram_ptr, slope_ptr, shift_ptr, length_ptr, dt_ptr, saved_ptr,
    particles, m, steps, save_every,
    STAGES: tl.constexpr, P: tl.constexpr, M: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * P + tl.arange(0, P)  # [P]
    edge = tl.arange(0, M)  # [M]
    inside = edge < m
    mask = (row < particles)[:, None] & inside[None, :]
    where = row[:, None] * m + edge[None, :]  # [P, M]
    c = tl.load(start_ptr + where, mask=mask, other=0.0)
    # The Gram matrix is symmetric, so its rows serve as columns.
    gram = tl.load(gram_ptr + edge[:, None] * m + edge[None, :],
                   mask=inside[:, None] & inside[None, :], other=0.0)
    top = tl.load(length_ptr + edge, mask=inside, other=0.0)
    w = tl.zeros([P, M], tl.float32)
    stride = tl.zeros_like(row) + particles  # int64, for the address of a later state
    slot = tl.zeros_like(row)
    if save_every > 0:
        tl.store(saved_ptr + where, w, mask=mask)
    until = save_every
    z = c  # where the field is evaluated: Heun's second half looks from the Euler step's end
    for half in range(steps * STAGES):
        k = half // STAGES
        second = half % STAGES == STAGES - 1  # always, for Euler
        h = tl.load(dt_ptr + k)
        table = (half + 1) // STAGES if STAGES == 2 else k
        p = _ramp(z, slope_ptr, shift_ptr, top, table, edge, inside, m)
        pull = tl.dot(p, gram, input_precision="ieee") - z
        # One product in the loop body: with two, the Gram matrix alone fills the registers.
        if STAGES == 2:
            w = tl.where(second, 1.0, 1.0 - h + 0.5 * h * h) * w
            w += tl.where(second, 0.5 * h, 0.5 * h * (1.0 - h)) * p
            c += 0.5 * h * pull
            z = tl.where(second, c, z + h * pull)
        else:
            w = (1.0 - h) * w + h * p
            c += h * pull
            z = c
        if second:
            until -= 1
            if until == 0:
                slot += 1
                tl.store(saved_ptr + (slot * stride * m)[:, None] + where, w, mask=mask)
                until = save_every
    if save_every == 0:
        tl.store(saved_ptr + where, w, mask=mask)


def tile(m, stages):
    """(particles, padded edges, warps) of one program: 8 numbers a thread for each array alive.

    16 for Euler's at 32 edges: twice the particles share what is read of the Gram matrix, a seventh fewer instructions
    a step. Heun's has more arrays, and some compiler fills all 255 registers.
    """
    width = max(16, triton.next_power_of_2(m))
    particles = 64 if width == 32 and stages == 1 else max(16, 1024 // width)
    return particles, width, 8 if width > 64 else 4


def flow(x, u, length, rho, dt, origin, method, save_every):
    """Same contract as reference.flow; float32, at most 128 edges."""
    if x.dtype != torch.float32:
        raise Unsupported(f"x: the triton backend computes in float32, got {x.dtype}")
    particles, m = x.shape[0], u.shape[0]
    if m > MOST:
        raise Unsupported(f"u: the triton backend takes at most {MOST} rows, got {m}")
    y, c, gram, slope, shift, length, decay = prepare(x, u, length, rho, dt, origin, method)
    stages = 1 + (method == "heun")
    p, width, warps = tile(m, stages)
    steps = dt.numel()
    w = x.new_empty((saves(steps, save_every), particles, m))
    if particles:
        _relu_flow_kernel[(triton.cdiv(particles, p),)](
            c.contiguous(), gram.contiguous(), slope, shift, length, dt.to(x.dtype), w,
            particles, m, steps, save_every,
            STAGES=stages, P=p, M=width, num_warps=warps, enable_fp_fusion=True,
        )
    return finish(y, w, u, decay, origin, save_every)
