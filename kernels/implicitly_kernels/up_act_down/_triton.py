"""Resampled activations on the GPU: a program takes G maps from the coarse grid to the fine one and back in registers.

Products are in float32 ("ieee"), never in tf32, whose error of 1e-3 would hide that a polynomial is exact.
"""

from functools import lru_cache

import torch
import triton
import triton.language as tl

from implicitly_kernels._dispatch import Unsupported
from implicitly_kernels.up_act_down._tile import FINE, MOST, tile
from implicitly_kernels.up_act_down.reference import matrices

POLY, GELU, RELU = tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)
KINDS = {"identity": 0, "poly": 1, "gelu": 2, "relu": 3}


@triton.jit
def _both(x, R, G: tl.constexpr, A: tl.constexpr, B: tl.constexpr):
    """Both sides of G maps (G A, A) resampled by R (A, B), and turned: (G B, B)."""
    half = tl.reshape(tl.dot(x, R, input_precision="ieee"), (G, A, B))
    return tl.dot(tl.reshape(tl.permute(half, (0, 2, 1)), (G * B, A)), R, input_precision="ieee")


@triton.jit
def _places(first, maps, n, G: tl.constexpr, A: tl.constexpr):
    """Offsets and mask of G maps of n x n numbers, padded to (G A, A)."""
    r, j = tl.arange(0, G * A), tl.arange(0, A)
    m, i = first + r // A, r % A
    live = ((m < maps) & (i < n))[:, None] & (j < n)[None, :]
    return (m.to(tl.int64) * n * n + i * n)[:, None] + j[None, :], live


@triton.jit
def _matrix(ptr, A: tl.constexpr, B: tl.constexpr):
    return tl.load(ptr + tl.arange(0, A)[:, None] * B + tl.arange(0, B)[None, :])


@triton.jit
def _coefficients(ptr, first, channels, which: tl.constexpr, G: tl.constexpr, M: tl.constexpr):
    """One coefficient of each row's channel, (G M, 1)."""
    return tl.load(ptr + (first + tl.arange(0, G * M) // M) % channels * 3 + which)[:, None]


@triton.jit(do_not_specialize=["maps", "n", "size", "channels"])
def _up_act_down_kernel(
    x_ptr, up_ptr, down_ptr, c_ptr, out_ptr, maps, n, size, channels,
    KIND: tl.constexpr, G: tl.constexpr, N: tl.constexpr, M: tl.constexpr, S: tl.constexpr,
):  # fmt: skip
    first = tl.program_id(0) * G
    at, live = _places(first, maps, n, G, N)
    u = _both(tl.load(x_ptr + at, mask=live, other=0.0), _matrix(up_ptr, N, M), G, N, M)  # turned: f does not mind
    if KIND == POLY:
        c0 = _coefficients(c_ptr, first, channels, 0, G, M)
        c1 = _coefficients(c_ptr, first, channels, 1, G, M)
        c2 = _coefficients(c_ptr, first, channels, 2, G, M)
        u = (c2 * u + c1) * u + c0
    elif KIND == GELU:
        u = 0.5 * u * (1.0 + tl.erf(u * 0.7071067811865476))
    elif KIND == RELU:
        u = tl.where(u < 0.0, 0.0, u)  # tl.maximum would lose a NaN
    y = _both(u, _matrix(down_ptr, M, S), G, M, S)
    at, live = _places(first, maps, size, G, S)
    tl.store(out_ptr + at, y, mask=live)


@triton.jit(do_not_specialize=["maps", "n", "size", "channels"])
def _up_act_down_backward_kernel(
    g_ptr, x_ptr, up_ptr, up_t_ptr, down_t_ptr, c_ptr, out_ptr, sums_ptr, maps, n, size, channels,
    KIND: tl.constexpr, G: tl.constexpr, N: tl.constexpr, M: tl.constexpr, S: tl.constexpr,
):  # fmt: skip
    first = tl.program_id(0) * G
    at, live = _places(first, maps, n, G, N)
    u = _both(tl.load(x_ptr + at, mask=live, other=0.0), _matrix(up_ptr, N, M), G, N, M)
    after, there = _places(first, maps, size, G, S)
    g = _both(tl.load(g_ptr + after, mask=there, other=0.0), _matrix(down_t_ptr, S, M), G, S, M)
    if KIND == POLY:
        m = first + tl.arange(0, G)
        t0 = tl.sum(tl.reshape(g, (G, M * M)), axis=1)
        t1 = tl.sum(tl.reshape(g * u, (G, M * M)), axis=1)
        t2 = tl.sum(tl.reshape(g * u * u, (G, M * M)), axis=1)
        tl.store(sums_ptr + m * 3, t0, mask=m < maps)
        tl.store(sums_ptr + m * 3 + 1, t1, mask=m < maps)
        tl.store(sums_ptr + m * 3 + 2, t2, mask=m < maps)
        c1 = _coefficients(c_ptr, first, channels, 1, G, M)
        c2 = _coefficients(c_ptr, first, channels, 2, G, M)
        g *= 2.0 * c2 * u + c1
    elif KIND == GELU:
        g *= 0.5 * (1.0 + tl.erf(u * 0.7071067811865476)) + u * tl.exp(-0.5 * u * u) * 0.3989422804014327
    elif KIND == RELU:
        g *= tl.where(u > 0.0, 1.0, 0.0)
    tl.store(out_ptr + at, _both(g, _matrix(up_t_ptr, M, N), G, M, N), mask=live)


@lru_cache(maxsize=64)
def _padded(n, fine, size, device):
    """Up (N, M), its transpose, down (M, S), its transpose, padded with zeros; not to be changed."""
    up, down = matrices(n, fine, size, torch.float32, device)
    _, N, M, S, _ = tile(n, fine, size)
    with torch.inference_mode(False):
        a, b = torch.zeros((N, M), device=device), torch.zeros((M, S), device=device)
        a[:n, :fine], b[:fine, :size] = up.T, down.T
        return a, a.T.contiguous(), b, b.T.contiguous()


def _launch(x, fine, size, maps, backward=False):
    if x.dtype != torch.float32:
        raise Unsupported(f"x: the triton backend computes in float32, got {x.dtype}")
    if x.shape[1] > MOST or fine > FINE:
        raise Unsupported(f"x, factor: the triton backend takes at most {MOST} points a side and {FINE} on the fine "
                          f"grid, got {x.shape[1]} and {fine}")
    G, N, M, S, warps = tile(x.shape[1], fine, size, backward)
    return (triton.cdiv(len(x), maps or G),), {"G": maps or G, "N": N, "M": M, "S": S, "num_warps": warps,
                                               "enable_fp_fusion": True}  # fmt: skip


def run(x, coefficients, activation, fine, size, maps=None):
    """Same contract as reference.run; float32. maps: of one program, in place of `tile`'s."""
    grid, how = _launch(x, fine, size, maps)
    up, _, down, _ = _padded(x.shape[1], fine, size, x.device)
    out = x.new_empty((len(x), size, size))
    if len(x):
        _up_act_down_kernel[grid](x, up, down, coefficients, out, len(x), x.shape[1], size, max(1, len(coefficients)),
                                  KIND=KINDS[activation], **how)  # fmt: skip
    return out


def backward(grad, x, coefficients, activation, fine, size, maps=None):
    """Same contract as reference.backward; float32."""
    grid, how = _launch(x, fine, size, maps, backward=True)
    up, up_t, _, down_t = _padded(x.shape[1], fine, size, x.device)
    out, C = x.new_empty(x.shape), len(coefficients)
    sums = x.new_empty((len(x) if C else 0, 3))
    if len(x):
        _up_act_down_backward_kernel[grid](grad, x, up, up_t, down_t, coefficients, out, sums, len(x), x.shape[1], size,
                                           max(1, C), KIND=KINDS[activation], **how)  # fmt: skip
    return out, sums.reshape(-1, C, 3).sum(0) if C else coefficients
