"""Which number is rounded how in a linear layer: six places, and a layer that does it.

A layer Y = X W^T has three matrix products: Y itself, dX = dY W and dW = dY^T X. Each has two factors, so there are six
places. Blocks run along the axis that a product sums over: X, W and dY are each quantized twice, in different blocks.

Source: arXiv 2505.19115 (which names the passes); chapter `fp4-training`, C4, C5. Bad arguments raise TypeError or
ValueError.
"""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from .._validate import choice, flag, instance, tensor
from .._validate import seed as checked_seed
from .blocks import BLOCK_FORMATS, ROUNDINGS, BlockFormat

__all__ = [
    "POLICIES",
    "Policy",
    "Products",
    "Quantizer",
    "fp4_linear",
    "products",
]

F32 = torch.float32
PLACES = ("forward_x", "forward_w", "backward_dy", "backward_w", "update_dy", "update_x")


@dataclass(frozen=True)
class Quantizer:
    """A number format and a way to round to it.

    Args:
        form: a `BlockFormat`, or "bfloat16".
        rounding: "nearest" or "coin" (not for bfloat16).
    """

    form: BlockFormat | str
    rounding: str = "nearest"

    def __post_init__(self):
        if not isinstance(self.form, BlockFormat):
            choice("form", self.form, ("bfloat16",))
        choice("rounding", self.rounding, ROUNDINGS if isinstance(self.form, BlockFormat) else ("nearest",))

    def __call__(self, x: Tensor, seed: int = 0) -> Tensor:
        """x (..., K) float32, rounded in blocks along its last axis; `seed` of the coin."""
        if isinstance(self.form, BlockFormat):
            return self.form.quantize(x, rounding=self.rounding, seed=seed)
        checked_seed("seed", seed)
        tensor("x", x, dtype=F32)
        return x.bfloat16().float()


@dataclass(frozen=True)
class Policy:
    """A `Quantizer`, or None for float32, at each of the six places.

    Args:
        forward_x, forward_w: of the product Y = X W^T.
        backward_dy, backward_w: of dX = dY W.
        update_dy, update_x: of dW = dY^T X.
    """

    forward_x: Quantizer | None = None
    forward_w: Quantizer | None = None
    backward_dy: Quantizer | None = None
    backward_w: Quantizer | None = None
    update_dy: Quantizer | None = None
    update_x: Quantizer | None = None

    def __post_init__(self):
        for place in PLACES:
            if getattr(self, place) is not None:
                instance(place, getattr(self, place), Quantizer)

    @classmethod
    def of(cls, forward: Quantizer | None = None, backward: Quantizer | None = None,
           update: Quantizer | None = None) -> "Policy":  # fmt: skip
        """Both factors of each product alike."""
        for name, value in (("forward", forward), ("backward", backward), ("update", update)):
            if value is not None:
                instance(name, value, Quantizer)
        return cls(forward, forward, backward, backward, update, update)

    def without(self, *passes: str) -> "Policy":
        """The same, with float32 in these passes: "forward", "backward", "update"."""
        for name in passes:
            choice("passes", name, ("forward", "backward", "update"))
        kept = {f.name: None for f in fields(self) if f.name.split("_")[0] in passes}
        return replace(self, **kept)


def _named() -> dict[str, Policy]:
    nearest = {name: Quantizer(form) for name, form in BLOCK_FORMATS.items()}
    coin = {name: Quantizer(form, "coin") for name, form in BLOCK_FORMATS.items()}
    bf16 = Quantizer("bfloat16")
    return {
        "float32": Policy(),
        "bfloat16": Policy.of(bf16, bf16, bf16),
        "forward only": Policy.of(nearest["NVFP4"]),
        "nearest": Policy.of(nearest["NVFP4"], nearest["NVFP4"], nearest["NVFP4"]),
        "nearest up": Policy.of(nearest["NVFP4"], nearest["NVFP4 up"], nearest["NVFP4 up"]),
        "paper": Policy.of(nearest["NVFP4"], coin["NVFP4 up"], coin["NVFP4 up"]),
        "coin": Policy.of(coin["NVFP4 up"], coin["NVFP4 up"], coin["NVFP4 up"]),
        "mx": Policy.of(nearest["MXFP4"], coin["MXFP4"], coin["MXFP4"]),
        "mx up": Policy.of(nearest["MXFP4"], coin["MXFP4 up"], coin["MXFP4 up"]),
    }


#: Policies by name. "paper": to nearest in the forward pass, a coin in backward and update, with scales rounded up for
#: the coin (the scale rule is ours); "nearest up": the same without the coin; "nearest" and "coin" everywhere; "mx" and
#: "mx up" with the other format.
POLICIES = _named()


class Products(NamedTuple):
    """Y (B, N), dX (B, K), dW (N, K), float32, from quantized factors."""

    y: Tensor
    dx: Tensor
    dw: Tensor


def _at(policy, place, x, seed, share=False):
    """x at this place; each place has a coin of its own unless they share one."""
    quantizer = getattr(policy, place)
    return x if quantizer is None else quantizer(x, 8 * seed + (0 if share else PLACES.index(place)))


def _forward(x, w, policy, seed, share):
    return _at(policy, "forward_x", x, seed, share) @ _at(policy, "forward_w", w, seed, share).mT


def _input_gradient(w, dy, policy, seed, share):
    other = _at(policy, "backward_w", w.mT.contiguous(), seed, share)  # (K, N): blocks along N, which is summed over
    return _at(policy, "backward_dy", dy, seed, share) @ other.mT


def _weight_gradient(x, dy, policy, seed, share):
    left = _at(policy, "update_dy", dy.mT.contiguous(), seed, share)  # (N, B) and (K, B): blocks along B
    return left @ _at(policy, "update_x", x.mT.contiguous(), seed, share).mT


def _check_seed(seed):
    seed = checked_seed("seed", seed)
    if seed >= 2**59:
        raise ValueError(f"seed must be below 2^59, since each place makes one of its own, found {seed}")
    return seed


def products(x: Tensor, w: Tensor, dy: Tensor, policy: Policy, *, seed: int = 0,
             one_coin: bool = False) -> Products:  # fmt: skip
    """The three products of a layer, each from factors that are quantized as the policy says.

    Args:
        x, w, dy: (B, K), (N, K) and (B, N), float32.
        seed: of all coins, below 2^59.
        one_coin: the fault of C4: both factors of a product use the same coin throws.
    """
    tensor("x", x, shape=("B", "K"), dtype=F32)
    tensor("w", w, shape=("N", x.shape[1]), dtype=F32)
    tensor("dy", dy, shape=(x.shape[0], w.shape[0]), dtype=F32)
    instance("policy", policy, Policy)
    seed, share = _check_seed(seed), flag("one_coin", one_coin)
    return Products(_forward(x, w, policy, seed, share), _input_gradient(w, dy, policy, seed, share),
                    _weight_gradient(x, dy, policy, seed, share))  # fmt: skip


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, policy, seed):
        ctx.save_for_backward(x, w)
        ctx.policy, ctx.seed = policy, seed
        return _forward(x, w, policy, seed, False)

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        dy = dy.contiguous()
        dx = _input_gradient(w, dy, ctx.policy, ctx.seed, False) if ctx.needs_input_grad[0] else None
        dw = _weight_gradient(x, dy, ctx.policy, ctx.seed, False) if ctx.needs_input_grad[1] else None
        return dx, dw, None, None


def fp4_linear(x: Tensor, weight: Tensor, policy: Policy, *, seed: int = 0) -> Tensor:
    """``x @ weight.T`` (B, N), forward and backward as the policy says; it saves x and weight as they are.

    Args:
        x: (B, K) float32. weight: (N, K) float32.
        seed: of all coins, below 2^59: another one each step and layer.
    """
    tensor("x", x, shape=("B", "K"), dtype=F32)
    tensor("weight", weight, shape=("N", x.shape[1]), dtype=F32)
    return _Linear.apply(x, weight, instance("policy", policy, Policy), _check_seed(seed))
