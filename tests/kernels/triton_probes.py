"""Tiny Triton kernels that expose the random-number helpers to the tests."""

import torch
import triton
import triton.language as tl

from implicitly_kernels._rng_triton import normal_pair


@triton.jit
def _words_kernel(element_ptr, out_ptr, seed, step, draw, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    element = tl.load(element_ptr + i, mask=i < n, other=0)
    low = (element & 0xFFFFFFFF).to(tl.uint32)
    zero = tl.zeros_like(low)
    w0, w1, w2, w3 = tl.philox(
        seed, low, (element >> 32).to(tl.uint32), zero + step.to(tl.uint32), zero + draw
    )
    tl.store(out_ptr + 4 * i, w0.to(tl.int64), mask=i < n)
    tl.store(out_ptr + 4 * i + 1, w1.to(tl.int64), mask=i < n)
    tl.store(out_ptr + 4 * i + 2, w2.to(tl.int64), mask=i < n)
    tl.store(out_ptr + 4 * i + 3, w3.to(tl.int64), mask=i < n)


def philox_words(device, seed, element, step, draw):
    element = torch.tensor(element, device=device)
    out = torch.zeros((len(element), 4), dtype=torch.int64, device=device)
    _words_kernel[(1,)](element, out, seed, step, draw, len(element), BLOCK=8)
    return out.cpu()


@triton.jit
def _normals_kernel(a_ptr, b_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    a = tl.load(a_ptr + i, mask=i < n, other=0).to(tl.uint32)
    b = tl.load(b_ptr + i, mask=i < n, other=0).to(tl.uint32)
    x, y = normal_pair(a, b)
    tl.store(x_ptr + i, x, mask=i < n)
    tl.store(y_ptr + i, y, mask=i < n)


def normal_pairs(device, a, b):
    n = a.numel()
    a, b = a.to(device), b.to(device)
    x = torch.zeros(n, device=device)
    y = torch.zeros(n, device=device)
    _normals_kernel[(triton.cdiv(n, 4096),)](a, b, x, y, n, BLOCK=4096, enable_fp_fusion=False)
    return torch.cat([x, y]).cpu()
