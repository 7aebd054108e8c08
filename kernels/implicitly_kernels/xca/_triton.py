"""Cross-covariance attention on the GPU: a program is one head. It walks over the tokens twice: for the products of
channels and their norms, then for the result. Products are in float32 ("ieee"), never in tf32.
"""

import torch
import triton
import triton.language as tl

from implicitly_kernels._dispatch import Unsupported
from implicitly_kernels.xca._tile import MOST, tile
from implicitly_kernels.xca.reference import EPS

LEAST = tl.constexpr(EPS)


@triton.jit
def _load(ptr, first, tokens, d, T: tl.constexpr, D: tl.constexpr):
    """Tokens first, first + 1, .. of a head, (T, D), zeros beyond."""
    n, i = first + tl.arange(0, T), tl.arange(0, D)
    return tl.load(ptr + n[:, None] * d + i[None, :], mask=(n < tokens)[:, None] & (i < d)[None, :], other=0.0)


@triton.jit
def _store(ptr, value, first, tokens, d, T: tl.constexpr, D: tl.constexpr):
    n, i = first + tl.arange(0, T), tl.arange(0, D)
    tl.store(ptr + n[:, None] * d + i[None, :], value, mask=(n < tokens)[:, None] & (i < d)[None, :])


@triton.jit
def _weights(cosine, temperature, d, D: tl.constexpr):
    """The softmax of each row over the d channels."""
    logit = tl.where((tl.arange(0, D) < d)[None, :], temperature * cosine, float("-inf"))
    e = tl.exp(logit - tl.max(logit, axis=1)[:, None])
    return e / tl.sum(e, axis=1)[:, None]


@triton.jit(do_not_specialize=["heads", "tokens", "d"])
def _xca_kernel(q_ptr, k_ptr, v_ptr, t_ptr, out_ptr, heads, tokens, d, T: tl.constexpr, D: tl.constexpr):
    b = tl.program_id(0).to(tl.int64)
    at = b * tokens * d
    gram = tl.zeros([D, D], tl.float32)
    q2 = tl.zeros([D], tl.float32)
    k2 = tl.zeros([D], tl.float32)
    for first in range(0, tokens, T):
        q = _load(q_ptr + at, first, tokens, d, T, D)
        k = _load(k_ptr + at, first, tokens, d, T, D)
        gram = tl.dot(tl.trans(q), k, gram, input_precision="ieee")
        q2 += tl.sum(q * q, axis=0)
        k2 += tl.sum(k * k, axis=0)
    one = 1.0 / tl.maximum(tl.sqrt(q2), LEAST)
    two = 1.0 / tl.maximum(tl.sqrt(k2), LEAST)
    A = tl.trans(_weights(gram * one[:, None] * two[None, :], tl.load(t_ptr + b % heads), d, D))
    for first in range(0, tokens, T):
        v = _load(v_ptr + at, first, tokens, d, T, D)
        _store(out_ptr + at, tl.dot(v, A, input_precision="ieee"), first, tokens, d, T, D)


@triton.jit(do_not_specialize=["heads", "tokens", "d"])
def _xca_backward_kernel(
    g_ptr, q_ptr, k_ptr, v_ptr, t_ptr, to_q_ptr, to_k_ptr, to_v_ptr, to_t_ptr, heads, tokens, d,
    T: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(0).to(tl.int64)
    at = b * tokens * d
    gram = tl.zeros([D, D], tl.float32)
    moved = tl.zeros([D, D], tl.float32)
    q2 = tl.zeros([D], tl.float32)
    k2 = tl.zeros([D], tl.float32)
    for first in range(0, tokens, T):
        q = _load(q_ptr + at, first, tokens, d, T, D)
        k = _load(k_ptr + at, first, tokens, d, T, D)
        gram = tl.dot(tl.trans(q), k, gram, input_precision="ieee")
        q2 += tl.sum(q * q, axis=0)
        k2 += tl.sum(k * k, axis=0)
        g = _load(g_ptr + at, first, tokens, d, T, D)
        v = _load(v_ptr + at, first, tokens, d, T, D)
        moved = tl.dot(tl.trans(g), v, moved, input_precision="ieee")
    q_norm, k_norm = tl.sqrt(q2), tl.sqrt(k2)
    one = 1.0 / tl.maximum(q_norm, LEAST)
    two = 1.0 / tl.maximum(k_norm, LEAST)
    cosine = gram * one[:, None] * two[None, :]
    t = tl.load(t_ptr + b % heads)
    A = _weights(cosine, t, d, D)
    logit = A * (moved - tl.sum(A * moved, axis=1)[:, None])
    tl.store(to_t_ptr + b, tl.sum(tl.sum(logit * cosine, axis=1), axis=0))
    inner = t * logit
    # Of the division by a norm: what lies along the channel goes, unless the norm was EPS.
    along = tl.where(q_norm > LEAST, tl.sum(inner * cosine, axis=1), 0.0) * one * one
    across = tl.where(k_norm > LEAST, tl.sum(inner * cosine, axis=0), 0.0) * two * two
    inner = inner * one[:, None] * two[None, :]
    for first in range(0, tokens, T):
        g = _load(g_ptr + at, first, tokens, d, T, D)
        _store(to_v_ptr + at, tl.dot(g, A, input_precision="ieee"), first, tokens, d, T, D)
    for first in range(0, tokens, T):  # one matrix a walk: three would not fit into the registers
        q = _load(q_ptr + at, first, tokens, d, T, D)
        k = _load(k_ptr + at, first, tokens, d, T, D)
        to_k = tl.dot(q, inner, input_precision="ieee") - k * across[None, :]
        _store(to_k_ptr + at, to_k, first, tokens, d, T, D)
    inner = tl.trans(inner)
    for first in range(0, tokens, T):
        q = _load(q_ptr + at, first, tokens, d, T, D)
        k = _load(k_ptr + at, first, tokens, d, T, D)
        to_q = tl.dot(k, inner, input_precision="ieee") - q * along[None, :]
        _store(to_q_ptr + at, to_q, first, tokens, d, T, D)


def _tile(q, backward=False):
    if q.dtype != torch.float32:
        raise Unsupported(f"q: the triton backend computes in float32, got {q.dtype}")
    if q.shape[3] > MOST:
        raise Unsupported(f"q: the triton backend takes at most {MOST} channels a head, got {q.shape[3]}")
    return tile(q.shape[3], backward)


def run(q, k, v, temperature, tokens=None):
    """Same contract as reference.run; float32. tokens: of a step, in place of `tile`'s."""
    T, D, warps = _tile(q)
    B, H, N, d = q.shape
    out = q.new_empty(q.shape)
    if B * H:
        _xca_kernel[(B * H,)](q, k, v, temperature, out, H, N, d, T=tokens or T, D=D, num_warps=warps,
                              enable_fp_fusion=True)  # fmt: skip
    return out


def backward(grad, q, k, v, temperature, tokens=None):
    """Same contract as reference.backward; float32."""
    T, D, warps = _tile(q, backward=True)
    B, H, N, d = q.shape
    to_q, to_k, to_v = (q.new_empty(q.shape) for _ in range(3))
    to_t = q.new_empty((B, H))
    if B * H:
        _xca_backward_kernel[(B * H,)](grad, q, k, v, temperature, to_q, to_k, to_v, to_t, H, N, d, T=tokens or T, D=D,
                                       num_warps=warps, enable_fp_fusion=True)  # fmt: skip
    return to_q, to_k, to_v, to_t.sum(0)
