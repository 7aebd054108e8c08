"""Two kernels that do nothing but arithmetic, to find out how much of it a GPU does a second."""

import triton
import triton.language as tl


@triton.jit
def multiply_add_kernel(x_ptr, m, c, rounds, BLOCK: tl.constexpr):
    """16 * rounds multiply-adds an element, eight elements a thread in flight."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x_ptr + i)
    for _ in range(rounds):
        for _ in tl.static_range(16):
            v = v * m + c
    tl.store(x_ptr + i, v)


@triton.jit
def integer_kernel(x_ptr, c, rounds, BLOCK: tl.constexpr):
    """16 * rounds pairs of a 32-bit add and an exclusive or an element."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x_ptr + i)
    for _ in range(rounds):
        for _ in tl.static_range(16):
            v = (v + c) ^ 0x55AA33CC
    tl.store(x_ptr + i, v)
