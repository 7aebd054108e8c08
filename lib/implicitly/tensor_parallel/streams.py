"""The wires between ranks: sums of the first s channels, and what is done with gradients on the way back.

A *stream* is the hidden state of one rank. Here every tensor of streams has them along its first axis, (here, B, S, h):
`OneProcess` holds all of them, `here = ranks`; in `Processes` (module `processes`) each process holds one, `here = 1`.
The same model runs on either.

Source: arXiv 2506.19645 and its code; chapter `partial-synchronization`, C1 to C5. Bad arguments raise TypeError or
ValueError.
"""

import math

import torch
from torch import Tensor

from .._validate import choice, flag, number, tensor, whole

__all__ = ["RULES", "OneProcess", "Wires", "shared_channels"]

#: What the backward pass does. "adjoint": the partial sum again (right). "local": nothing is summed at the partial sum.
#: "pair": Megatron's f and g, the sum of all channels before each column-parallel layer and none at the partial sum.
#: "before norm": none at the partial sum, and the shared channels summed before each norm (right, too).
RULES = ("adjoint", "local", "pair", "before norm")


def shared_channels(p: float, width: int) -> int:
    """How many channels are summed over ranks: p times the width, rounded down.

    A product that misses a whole number by rounding alone counts as that number: `int(0.29 * 100)` is 28.

    Args:
        p: share, 0 to 1.
        width: number of channels, at least 1.

    >>> shared_channels(0.29, 100), shared_channels(0.5, 7)
    (29, 3)
    """
    p, width = number("p", p, at_least=0, at_most=1), whole("width", width, at_least=1)
    return min(width, math.floor(p * width * (1 + 1e-12)))


class _PartialSum(torch.autograd.Function):
    """The first s channels are summed over streams, the others multiplied by `scale`; backward by the rule."""

    @staticmethod
    def forward(ctx, z, wires, shared, scale):
        ctx.wires, ctx.shared, ctx.scale = wires, shared, scale
        return wires._mix(z, shared, scale)

    @staticmethod
    def backward(ctx, up):
        if ctx.wires.rule == "adjoint":
            return ctx.wires._mix(up, ctx.shared, ctx.scale, wide=True), None, None, None
        down = torch.cat([up[..., : ctx.shared], ctx.scale * up[..., ctx.shared :]], dim=-1)
        return down, None, None, None


class _SumGradient(torch.autograd.Function):
    """Identity; its backward sums the channels from `start` to `stop` over streams."""

    @staticmethod
    def forward(ctx, x, wires, start, stop):
        ctx.wires, ctx.start, ctx.stop = wires, start, stop
        return x.view_as(x)

    @staticmethod
    def backward(ctx, up):
        middle = ctx.wires.sum_streams(up[..., ctx.start : ctx.stop], wide=True)
        down = torch.cat([up[..., : ctx.start], middle, up[..., ctx.stop :]], dim=-1)
        return down, None, None, None


class _FirstGradient(torch.autograd.Function):
    """A tensor (1, ...) for `here` streams; backward takes what the first stream has, where all have the same."""

    @staticmethod
    def forward(ctx, x, here):
        return x.expand(here, *x.shape[1:]).clone()

    @staticmethod
    def backward(ctx, up):
        return up[:1], None


class Wires:
    """What `OneProcess` and `Processes` share; a subclass says how streams are summed.

    Attributes:
        ranks: number of streams in all. here: how many of them this process holds. first: index of its first one.
        rule: of the backward pass, one of `RULES`.
    """

    def __init__(self, ranks: int, here: int, first: int, rule: str):
        self.ranks, self.here, self.first = whole("ranks", ranks, at_least=1), here, first
        self.rule = choice("rule", rule, RULES)

    def sum_streams(self, z: Tensor, *, wide: bool = False) -> Tensor:
        """The sum over all streams, for each stream here: a new tensor of z's shape. Outside autograd.

        wide: half-precision numbers are added up in float32.
        """
        raise NotImplementedError

    def _total(self, z: Tensor) -> Tensor:
        """The sum over all streams once, (1, ...), for a loss that every rank has and that counts once: its backward
        is the identity."""
        raise NotImplementedError

    def _maximum(self, z: Tensor) -> Tensor:
        """The largest over all streams once, (1, ...), without a gradient."""
        raise NotImplementedError

    def _mix(self, z: Tensor, shared: int, scale: float, *, wide: bool = False) -> Tensor:
        """The partial sum of z (here, ..., h): channels < `shared` summed, others times `scale`. Outside autograd."""
        if shared == 0:
            return scale * z
        head = self.sum_streams(z[..., :shared], wide=wide)
        return head if shared == z.shape[-1] else torch.cat([head, scale * z[..., shared:]], dim=-1)

    def partial_sum(self, z: Tensor, shared: int, scale: float = 1.0) -> Tensor:
        """Sum the first `shared` channels over all streams and multiply the others by `scale`, C1 and C2.

        Args:
            z: (here, ..., h), floating: each stream's own partial product.
            shared: 0 to h. With 0 nothing is sent.
            scale: of what is not shared; finite.

        Returns:
            (here, ..., h); the gradient that autograd sends back follows `rule`.
        """
        tensor("z", z, finite=False)
        if z.ndim < 2 or len(z) != self.here:
            raise ValueError(f"z must have shape ({self.here}, ..., h), found {tuple(z.shape)}")
        shared = whole("shared", shared, at_least=0, at_most=z.shape[-1])
        return _PartialSum.apply(z, self, shared, number("scale", scale))

    def _enter(self, x: Tensor, shared: int) -> Tensor:
        """Hand x (1, ..., h), the same on every rank, to the streams here: (here, ..., h).

        Backward: the sum over all streams, except where the rule has them complete ("pair": all channels; "before
        norm": the shared ones).
        """
        h = x.shape[-1]
        start = {"pair": h, "before norm": shared}.get(self.rule, 0)
        return _SumGradient.apply(_FirstGradient.apply(x, self.here), self, start, h)

    def _before_norm(self, x: Tensor, shared: int) -> Tensor:
        """x (here, ..., h); under the rule "before norm" gradients of shared channels are summed here."""
        return _SumGradient.apply(x, self, 0, shared) if self.rule == "before norm" and shared else x

    def _before_column(self, x: Tensor) -> Tensor:
        """x (here, ..., h); under the rule "pair" all gradients are summed here: Megatron's f."""
        return _SumGradient.apply(x, self, 0, x.shape[-1]) if self.rule == "pair" else x


class OneProcess(Wires):
    """All streams in this process: the reference, and the way to train without wires.

    Args:
        ranks: number of streams, at least 1.
        rule: of the backward pass, one of `RULES`.

    >>> z = torch.tensor([[[1.0, 2.0, 3.0]], [[10.0, 20.0, 30.0]]])
    >>> OneProcess(2).partial_sum(z, 1)
    tensor([[[11.,  2.,  3.]],
    <BLANKLINE>
            [[11., 20., 30.]]])
    """

    def __init__(self, ranks: int, rule: str = "adjoint"):
        ranks = whole("ranks", ranks, at_least=1)
        super().__init__(ranks, ranks, 0, rule)

    def sum_streams(self, z: Tensor, *, wide: bool = False) -> Tensor:
        """The sum over all streams, for each: a new tensor of z's shape. Outside autograd.

        Args:
            z: (ranks, ...), floating.
            wide: half-precision numbers are added up in float32.
        """
        tensor("z", z, finite=False)
        if not z.ndim or len(z) != self.here:
            raise ValueError(f"z must have shape ({self.here}, ...), found {tuple(z.shape)}")
        wide = flag("wide", wide)
        total = z.float().sum(0, keepdim=True).to(z.dtype) if wide and z.dtype.itemsize < 4 else z.sum(0, keepdim=True)
        return total.expand_as(z).clone()

    def partial_sum(self, z: Tensor, shared: int, scale: float = 1.0) -> Tensor:
        """As `Wires.partial_sum`; under the rule "adjoint" autograd finds the backward pass itself."""
        if self.rule != "adjoint":
            return super().partial_sum(z, shared, scale)
        # Autograd differentiates this sum itself: what the hand-written backward of the other classes is held to.
        tensor("z", z, finite=False)
        if z.ndim < 2 or len(z) != self.here:
            raise ValueError(f"z must have shape ({self.here}, ..., h), found {tuple(z.shape)}")
        shared, scale = whole("shared", shared, at_least=0, at_most=z.shape[-1]), number("scale", scale)
        head = z[..., :shared].sum(0, keepdim=True).expand(self.here, *z.shape[1:-1], shared)
        return torch.cat([head, scale * z[..., shared:]], dim=-1)

    def _enter(self, x, shared):
        return x.expand(self.here, *x.shape[1:]) if self.rule == "adjoint" else super()._enter(x, shared)

    def _total(self, z):
        return z.sum(0, keepdim=True)

    def _maximum(self, z):
        return z.detach().amax(0, keepdim=True)
