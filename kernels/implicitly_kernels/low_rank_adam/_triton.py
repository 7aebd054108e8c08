"""Low-rank Adam on the GPU, in two launches: a program of the first projects a block of columns of the gradient and
updates their moments, one of the second lifts a tile of the step into the weight. The update of r rows goes through
memory in between, 8rn bytes of 12mn: in one launch it would be the inner side of a product, of which a program holds
all r in registers, and it spills from r = 32 on. Products are in float32 ("ieee"), never in tf32.
"""

import torch
import triton
import triton.language as tl

from implicitly_kernels._dispatch import Unsupported
from implicitly_kernels.low_rank_adam._tile import LIFT, MOST, realign_tile, tile
from implicitly_kernels.low_rank_adam.reference import tall


@triton.jit
def _places(rows, cols, M: tl.constexpr, N: tl.constexpr, TALL: tl.constexpr):
    """Offsets in a tile of M rows and N columns of a matrix (rows, cols), or of its transpose in memory."""
    i, j = tl.arange(0, M)[:, None], tl.arange(0, N)[None, :]
    return i + j * rows if TALL else i * cols + j


@triton.jit
def _start(first, column, rows, cols, TALL: tl.constexpr):
    """Where the tile at (first, column) begins: past 2^31 in large matrices, where offsets within it are not."""
    first, column = tl.full([], first, tl.int64), tl.full([], column, tl.int64)
    return first + column * rows if TALL else first * cols + column


@triton.jit
def _inside(first, column, rows, cols, M: tl.constexpr, N: tl.constexpr):
    return (first + tl.arange(0, M) < rows)[:, None] & (column + tl.arange(0, N) < cols)[None, :]


@triton.jit(do_not_specialize=["blocks"])
def _low_rank_adam_kernel(
    g_ptr, p_ptr, s_ptr, m_ptr, v_ptr, u_ptr, rows, cols, r, blocks,
    beta1, new1, beta2, new2, over1, over2, eps,
    TALL: tl.constexpr, R: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    b = (tl.program_id(0) // blocks).to(tl.int64)
    column = tl.program_id(0) % blocks * N
    grad, basis = g_ptr + b * rows * cols, p_ptr + b * rows * r
    low = tl.zeros([R, N], tl.float32)
    for first in range(0, rows, M):
        P = tl.load(basis + _start(first, 0, rows, r, False) + _places(rows, r, M, R, False),
                    mask=_inside(first, 0, rows, r, M, R), other=0.0)  # fmt: skip
        G = tl.load(grad + _start(first, column, rows, cols, TALL) + _places(rows, cols, M, N, TALL),
                    mask=_inside(first, column, rows, cols, M, N), other=0.0)  # fmt: skip
        low = tl.dot(tl.trans(P), G, low, input_precision="ieee")
    at = b * r * cols + column + _places(r, cols, R, N, False)
    live = _inside(0, column, r, cols, R, N)
    mean = beta1 * tl.load(m_ptr + at, mask=live, other=0.0) + new1 * low
    square = beta2 * tl.load(v_ptr + at, mask=live, other=0.0) + new2 * low * low
    tl.store(m_ptr + at, mean, mask=live)
    tl.store(v_ptr + at, square, mask=live)
    k = tl.arange(0, R)
    scale = tl.load(s_ptr + b * r + k, mask=k < r, other=0.0)
    tl.store(u_ptr + at, scale[:, None] * (mean / over1) / (tl.sqrt(square / over2) + eps), mask=live)


@triton.jit(do_not_specialize=["down", "across"])
def _low_rank_lift_kernel(
    w_ptr, p_ptr, u_ptr, rows, cols, r, down, across, lr, kept,
    TALL: tl.constexpr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """kept W - lr P U, a tile of W a program."""
    b = (tl.program_id(0) // (down * across)).to(tl.int64)
    first = tl.program_id(0) // across % down * M
    column = tl.program_id(0) % across * N
    basis, update = p_ptr + b * rows * r, u_ptr + b * r * cols
    lifted = tl.zeros([M, N], tl.float32)
    for k in range(0, r, K):
        P = tl.load(basis + _start(first, k, rows, r, False) + _places(rows, r, M, K, False),
                    mask=_inside(first, k, rows, r, M, K), other=0.0)  # fmt: skip
        U = tl.load(update + _start(k, column, r, cols, False) + _places(r, cols, K, N, False),
                    mask=_inside(k, column, r, cols, K, N), other=0.0)  # fmt: skip
        lifted = tl.dot(P, U, lifted, input_precision="ieee")
    at = b * rows * cols + _start(first, column, rows, cols, TALL) + _places(rows, cols, M, N, TALL)
    live = _inside(first, column, rows, cols, M, N)
    tl.store(w_ptr + at, kept * tl.load(w_ptr + at, mask=live, other=0.0) - lr * lifted, mask=live)


@triton.jit(do_not_specialize=["s", "r", "blocks"])
def _low_rank_realign_kernel(
    t_ptr, m_ptr, v_ptr, to_m_ptr, to_v_ptr, s, r, cols, blocks,
    S: tl.constexpr, N: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    b = (tl.program_id(0) // blocks).to(tl.int64)
    column = tl.program_id(0) % blocks * N
    mean, square = tl.zeros([S, N], tl.float32), tl.zeros([S, N], tl.float32)
    for k in range(0, r, K):
        turn = tl.load(t_ptr + b * s * r + k + _places(s, r, S, K, False), mask=_inside(0, k, s, r, S, K), other=0.0)
        at = b * r * cols + _start(k, column, r, cols, False) + _places(r, cols, K, N, False)
        live = _inside(k, column, r, cols, K, N)
        mean = tl.dot(turn, tl.load(m_ptr + at, mask=live, other=0.0), mean, input_precision="ieee")
        square = tl.dot(turn * turn, tl.load(v_ptr + at, mask=live, other=0.0), square, input_precision="ieee")
    at = b * s * cols + column + _places(s, cols, S, N, False)
    live = _inside(0, column, s, cols, S, N)
    tl.store(to_m_ptr + at, mean, mask=live)
    tl.store(to_v_ptr + at, square, mask=live)


def _check(name, *tensors):
    for tensor in tensors:
        if tensor.dtype != torch.float32:
            raise Unsupported(f"{name}: the triton backend computes in float32, got {tensor.dtype}")


def _limit(name, r):
    if r > MOST:
        raise Unsupported(f"{name}: the triton backend takes at most {MOST} directions, got {r}")


def step(weight, grad, basis, scale, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, decay, tiles=None):
    """Same contract as reference.step; float32. tiles: in place of `tile`'s."""
    _check("weight", weight, grad)
    _limit("basis", basis.shape[-1])
    r, flat = basis.shape[-1], tall(weight)
    rows, cols = sorted(weight.shape[-2:])
    batch = weight.numel() // (rows * cols)
    if not batch:
        return
    changed = weight, exp_avg, exp_avg_sq
    W, m, v = (x.contiguous() for x in changed)
    P, update = basis.contiguous(), exp_avg.new_empty(exp_avg.shape)
    R, M, N, warps = tiles or tile(r)
    blocks = triton.cdiv(cols, N)
    _low_rank_adam_kernel[(batch * blocks,)](
        grad.contiguous(), P, scale.contiguous(), m, v, update, rows, cols, r, blocks,
        beta1, 1 - beta1, beta2, 1 - beta2, 1 - beta1**step, 1 - beta2**step, eps,
        TALL=flat, R=R, M=M, N=N, num_warps=warps, enable_fp_fusion=True,
    )  # fmt: skip
    M, N, K, warps = LIFT
    down, across = triton.cdiv(rows, M), triton.cdiv(cols, N)
    _low_rank_lift_kernel[(batch * down * across,)](
        W, P, update, rows, cols, r, down, across, lr, 1 - lr * decay,
        TALL=flat, M=M, N=N, K=K, num_warps=warps, enable_fp_fusion=True,
    )  # fmt: skip
    for x, new in zip(changed, (W, m, v), strict=True):
        if new is not x:  # it was not contiguous
            x.copy_(new)


def realign(R, exp_avg, exp_avg_sq, tiles=None):
    """Same contract as reference.realign; float32."""
    _check("R", R)
    _limit("R", max(R.shape[-2:]))
    (s, r), cols = R.shape[-2:], exp_avg.shape[-1]
    batch = R.numel() // (s * r)
    out = [exp_avg.new_empty((*R.shape[:-2], s, cols)) for _ in range(2)]
    S, K, N, warps = tiles or realign_tile(s)
    blocks = triton.cdiv(cols, N)
    if batch and cols:
        _low_rank_realign_kernel[(batch * blocks,)](
            R.contiguous(), exp_avg.contiguous(), exp_avg_sq.contiguous(), *out, s, r, cols, blocks,
            S=S, K=K, N=N, num_warps=warps, enable_fp_fusion=True,
        )  # fmt: skip
    return tuple(out)
