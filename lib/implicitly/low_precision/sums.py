"""Products, sums and layers in a narrow accumulator.

They run `implicitly_kernels.lba_gemm`: float32 (or float64) in and out, the same bits on every backend. Chapter
`low-bit-accumulators`. Bad arguments raise TypeError or ValueError.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from implicitly_kernels import lba_events, lba_gemm, lba_trace

from .._validate import choice, instance, tensor, whole
from .formats import Accumulator

__all__ = [
    "GRADIENTS",
    "Events",
    "Trace",
    "add_up",
    "conv2d",
    "count_events",
    "linear",
    "matmul",
    "trace",
]

FLOATS = (torch.float32, torch.float64)
#: What stands in for the derivative of a quantized sum: see `implicitly_kernels.lba_gemm`.
GRADIENTS = ("identity", "immediate-overflow", "recursive-overflow", "immediate-change")


class Events(NamedTuple):
    """Outputs (m, n), and how often on the way to each of them, int64 (m, n), something happened.

    overflow: a sum within a chunk was at or above the largest magnitude. underflow: a product other than 0 fell below
    the smallest. swamped: a product other than 0 left its sum as it was. product_overflow: a product was at or above
    its largest magnitude. chunk_overflow, chunk_swamped: the same of chunks that came to the total.
    """

    value: Tensor
    overflow: Tensor
    underflow: Tensor
    swamped: Tensor
    product_overflow: Tensor
    chunk_overflow: Tensor
    chunk_swamped: Tensor


class Trace(NamedTuple):
    """What a sum went through, row by row.

    running: total and sum of the chunk together, after each product, (B, n); after the last of a chunk, the total.
    overflow, underflow, swamped, product_overflow: as in `Events`, bool (B, n). totals (B, chunks), with
    chunk_overflow and chunk_swamped, bool.
    """

    running: Tensor
    overflow: Tensor
    underflow: Tensor
    swamped: Tensor
    product_overflow: Tensor
    totals: Tensor
    chunk_overflow: Tensor
    chunk_swamped: Tensor


def _form(accumulator):
    return dict(vars(instance("accumulator", accumulator, Accumulator)))


def _pair(x, w):
    tensor("x", x, dtype=FLOATS)
    if x.ndim not in (2, 3):
        raise ValueError(f"x must have shape (m, n) or (B, m, n), found {tuple(x.shape)}")
    tensor("w", w, dtype=x.dtype, device=x.device, shape=(*x.shape[:-2], "rows", x.shape[-1]))


def matmul(x: Tensor, w: Tensor, accumulator: Accumulator, *, gradient: str = "identity") -> Tensor:
    """``x w^T``, each of its sums kept in the accumulator.

    Args:
        x: (m, K) or (B, m, K), float32 or float64. w: (n, K) or (B, n, K), like x.
        gradient: out of `GRADIENTS`.

    Returns:
        (m, n) or (B, m, n), in x's dtype.
    """
    _pair(x, w)
    return lba_gemm(x, w, gradient=choice("gradient", gradient, GRADIENTS), **_form(accumulator))


def add_up(terms: Tensor, accumulator: Accumulator) -> Tensor:
    """The sum of each row of `terms` (B, n), float32 or float64, in order: products with 1. (B,), like terms.

    >>> add_up(torch.ones(1, 1000), Accumulator(7, 6, 20, 20, chunk=1)).item()
    256.0
    """
    tensor("terms", terms, shape=("B", "n"), dtype=FLOATS)
    return lba_gemm(terms, terms.new_ones(1, terms.shape[1]), **_form(accumulator))[:, 0]


def count_events(x: Tensor, w: Tensor, accumulator: Accumulator) -> Events:
    """`matmul` of x (m, K) and w (n, K), and what happened on the way. No gradient."""
    tensor("x", x, shape=("m", "K"), dtype=FLOATS)
    tensor("w", w, shape=("n", x.shape[1]), dtype=x.dtype, device=x.device)
    value, counts = lba_events(x.detach(), w.detach(), **_form(accumulator))
    return Events(value, *counts.unbind(-3))


def trace(x: Tensor, w: Tensor, accumulator: Accumulator) -> Trace:
    """Every step of the sums of x w along the rows of x and w (B, n), float32 or float64, n >= 1. No gradient."""
    tensor("x", x, shape=("B", "n"), dtype=FLOATS)
    if not x.shape[1]:
        raise ValueError(f"x must have at least one column, found shape {tuple(x.shape)}")
    tensor("w", w, shape=tuple(x.shape), dtype=x.dtype, device=x.device)
    form = _form(accumulator)
    sums, totals, codes, chunk_codes = lba_trace(x.detach(), w.detach(), **form)
    k = torch.arange(x.shape[1], device=x.device)
    before = torch.cat([totals.new_zeros(len(x), 1), totals[:, :-1]], 1)[:, k // form["chunk"]]
    last = (k % form["chunk"] == form["chunk"] - 1) | (k == x.shape[1] - 1)
    running = torch.where(last, totals[:, k // form["chunk"]], before + sums)
    over, under, swamped, clipped = (codes & bit != 0 for bit in (1, 2, 4, 8))
    return Trace(running, over, under, swamped, clipped, totals, chunk_codes & 1 != 0, chunk_codes & 4 != 0)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, accumulator: Accumulator, *,
           gradient: str = "identity") -> Tensor:  # fmt: skip
    """``x weight^T + bias`` for x (m, K) or (B, m, K); the bias (n,) or (B, n), like x, is added in x's own dtype."""
    y = matmul(x, weight, accumulator, gradient=gradient)
    if bias is None:
        return y
    tensor("bias", bias, dtype=x.dtype, device=x.device, shape=(*x.shape[:-2], y.shape[-1]))
    return y + bias[..., None, :]


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, accumulator: Accumulator, *, stride: int = 1,
           padding: int = 0, gradient: str = "identity") -> Tensor:  # fmt: skip
    """A convolution of images x (N, C, H, W) with weight (O, C, h, w), as a product of patches.

    The patches are added up channel by channel, then row by row. bias: (O,) or None. stride at least 1, padding (with
    zeros) at least 0. Returns (N, O, H', W'), in x's dtype, float32 or float64.
    """
    tensor("x", x, shape=("N", "C", "H", "W"), dtype=FLOATS)
    like = dict(dtype=x.dtype, device=x.device)
    tensor("weight", weight, shape=("O", x.shape[1], "h", "w"), **like)
    stride, padding = whole("stride", stride, at_least=1), whole("padding", padding, at_least=0)
    (N, _, H, W), (O, _, h, w) = x.shape, weight.shape
    if not weight.numel() or not x.numel():
        raise ValueError(f"x, weight must hold numbers, found shapes {tuple(x.shape)}, {tuple(weight.shape)}")
    down, across = ((size + 2 * padding - k) // stride + 1 for size, k in ((H, h), (W, w)))
    if down < 1 or across < 1:
        raise ValueError(f"weight must fit into x and its padding, found {(h, w)} and {(H, W)} with padding {padding}")
    patches = torch.nn.functional.unfold(x, (h, w), stride=stride, padding=padding).mT.flatten(0, 1)
    y = linear(patches.contiguous(), weight.flatten(1), bias, accumulator, gradient=gradient)
    return y.view(N, down, across, O).permute(0, 3, 1, 2)
