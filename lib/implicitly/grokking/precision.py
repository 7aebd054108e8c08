"""A softmax in numbers of p bits: where it becomes one, and what is left of its gradient.

Numbers of p bits are ``m 2^e`` with whole m, ``|m| < 2^p``, and any e: bfloat16 has p = 8, float16 11, float32 24 and
float64 53. Rounding is to the nearest, ties to even. Chapter `grokking-precision`. Bad arguments raise TypeError or
ValueError.
"""

import math

import torch
from torch import Tensor

from .._validate import choice, tensor, whole

__all__ = ["OWN", "collapse_margin", "round_bits", "smallest_update", "softmax_forces"]

#: How the entry of a sample's own class is computed: the probability minus one, or minus the sum of the others.
OWN = ("difference", "sum")

_LAYOUT = {  # the same-sized integers, the bits of the exponent, bits of the mantissa
    torch.float64: (torch.int64, 0x7FF0000000000000, 52),
    torch.float32: (torch.int32, 0x7F800000, 23),
}
_MOST = {torch.float64: 50, torch.float32: 21}  # two bits of headroom for the sum in `_round`


def _round(x: Tensor, power: Tensor | float) -> Tensor:
    """x in p bits, where `power` is 1.5 times 2^(m + 1 - p), m the bits of the dtype's mantissa.

    Adding `power` times the power of two below |x| leaves just p bits of x before the point of the sum.
    """
    whole_of, mask, _ = _LAYOUT[x.dtype]
    shift = (x.view(whole_of) & mask).view(x.dtype) * power
    return (x + shift) - shift


def _power(bits, dtype):
    """What `_round` asks for: exact, by the exponent's bits."""
    exponent = _LAYOUT[dtype][2] + 1 - bits
    if isinstance(exponent, int):
        return 1.5 * 2.0**exponent
    return torch.tensor([1.5 * 2.0**e for e in exponent.flatten().tolist()], dtype=dtype).reshape(exponent.shape)


def round_bits(x: Tensor, bits: int | Tensor) -> Tensor:
    """x rounded to the nearest number of p bits, ties to even; exponents have no limits of their own.

    `implicitly.low_precision.FloatFormat` has formats with a largest and a smallest number. Here one tensor holds
    numbers of several formats.

    Args:
        x: float32 or float64, any shape, finite and at most 1e30 in size.
        bits: p, 2 to 50 (to 21 for float32), or an int64 tensor that broadcasts to the shape of x.

    >>> x = torch.tensor([1.0, 1 + 2**-8, 1 + 2**-7, 3.01], dtype=torch.float64)
    >>> round_bits(x, 8).tolist()
    [1.0, 1.0, 1.0078125, 3.015625]
    """
    tensor("x", x, dtype=(torch.float32, torch.float64), at_least=-1e30, at_most=1e30)
    most = _MOST[x.dtype]
    if not isinstance(bits, Tensor) or bits.ndim == 0:
        bits = whole("bits", bits, at_least=2, at_most=most)
    else:
        tensor("bits", bits, dtype=torch.int64, at_least=2, at_most=most)
        try:
            fits = torch.broadcast_shapes(x.shape, bits.shape) == x.shape
        except RuntimeError:
            fits = False
        if not fits:
            raise ValueError(f"bits must broadcast to the shape of x, {tuple(x.shape)}, found {tuple(bits.shape)}")
    return _round(x, _power(bits, x.dtype))


def _rounded(x: Tensor, power: Tensor | float | None) -> Tensor:
    """`_round`, or x as it is where there is no power."""
    return x if power is None else _round(x, power)


def _forces(z, target, power, own):
    """Gradient of the cross-entropy in the logits: ``target`` holds ones and zeros; each step is rounded."""
    q = _rounded(_rounded(z - z.amax(-1, keepdim=True), power).exp(), power)
    P = _rounded(q / _rounded(q.sum(-1, keepdim=True), power), power)
    if own == "difference":
        return _rounded(P - target, power)
    others = P * (1 - target)
    return others - target * _rounded(others.sum(-1, keepdim=True), power)


def softmax_forces(z: Tensor, y: Tensor, bits: int | None = None, *, own: str = "difference") -> Tensor:
    """The gradient of the cross-entropy in the logits, softmax minus one at the own class, in p bits.

    Logits minus the largest, exponentials, their sum, the quotients and the last difference are rounded, each once.

    Args:
        z: ``(N, K)`` logits, float32 or float64, at most 1e30 in size; K at least 2.
        y: ``(N,)`` int64 labels.
        bits: p, 2 to 50 (to 21 for float32); None rounds nothing.
        own: "difference", or "sum": the own entry is minus the sum of the others.

    Returns:
        ``(N, K)``.

    >>> z = torch.tensor([[6.0, 0.0]], dtype=torch.float64)
    >>> [f"{v:.5f}" for v in softmax_forces(z, torch.tensor([0]), 8)[0].tolist()]
    ['0.00000', '0.00247']
    """
    tensor("z", z, shape=("N", "K"), dtype=(torch.float32, torch.float64), at_least=-1e30, at_most=1e30)
    if z.shape[1] < 2:
        raise ValueError(f"z must have at least 2 columns, found shape {tuple(z.shape)}")
    tensor("y", y, shape=(len(z),), dtype=torch.int64, at_least=0, at_most=z.shape[1] - 1)
    choice("own", own, OWN)
    power = None
    if bits is not None:
        power = _power(whole("bits", bits, at_least=2, at_most=_MOST[z.dtype]), z.dtype)
    target = torch.nn.functional.one_hot(y, z.shape[1]).to(z.dtype)
    return _forces(z, target, power, own)


def collapse_margin(bits: int) -> float:
    """The gap of two logits from which the softmax of the larger is 1 in p bits, ``p ln 2`` (C1); p at least 2.

    >>> [round(collapse_margin(p), 2) for p in (8, 11, 24, 53)]
    [5.55, 7.62, 16.64, 36.74]
    """
    return whole("bits", bits, at_least=2, at_most=10_000) * math.log(2)


def smallest_update(bits: int) -> float:
    """``2^-(p + 1)``: a weight w of p bits stays as it is under any update below that share of ``|w|`` (C2).

    Half the gap to the next number is at least that, and at most twice that. p at least 2.

    >>> smallest_update(8)
    0.001953125
    """
    return 2.0 ** -(whole("bits", bits, at_least=2, at_most=1000) + 1)
