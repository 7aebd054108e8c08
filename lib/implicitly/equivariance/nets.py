"""A small vision transformer with a switch for each piece. Chapter `alias-free-vit`, claims C6 and C7."""

import dataclasses
import math

import torch
from torch import Tensor, nn

from .._validate import choice, flag, instance, number, whole
from .._validate import seed as checked_seed
from .layers import GELU_LIKE, activate, attend, circular_conv, downsample, sample_norm, token_norm
from .signals import image

__all__ = ["Design", "ShiftNet"]


@dataclasses.dataclass(frozen=True)
class Design:
    """Which pieces a `ShiftNet` is built of; the defaults are the alias-free ones, with a quadratic.

    Attributes:
        activation: "poly" (trained, one quadratic a channel), "gelu" or "relu".
        factor: fine grid of the activations, at least 1; None applies them to the pixels.
        attention: "cross-covariance" or "softmax".
        norm: "sample" (one number an image) or "token".
        down: "band" (low-pass first) or "stride".
        positions: whether a trained array is added to the tokens.

    >>> Design(activation="gelu").factor
    2.0
    """

    activation: str = "poly"
    factor: float | None = 2.0
    attention: str = "cross-covariance"
    norm: str = "sample"
    down: str = "band"
    positions: bool = False

    def __post_init__(self):
        choice("activation", self.activation, ("poly", "gelu", "relu"))
        if self.factor is not None:
            object.__setattr__(self, "factor", number("factor", self.factor, at_least=1.0, at_most=64.0))
        choice("attention", self.attention, ("cross-covariance", "softmax"))
        choice("norm", self.norm, ("sample", "token"))
        choice("down", self.down, ("band", "stride"))
        object.__setattr__(self, "positions", flag("positions", self.positions))


class ShiftNet(nn.Module):
    """Two convolutions that halve the grid, one transformer block on the quarter grid, the mean of all tokens, logits.

    All convolutions are circular, of 3 x 3 weights and stride 1. The block adds to the map, each after a norm:
    attention; two depthwise convolutions with an activation between them; two channel maps with an activation between.

    Args:
        design: which pieces.
        seed: of the initial weights, in [0, 2**63): Gaussian with variance 1 / fan-in.
        width: channels d of the tokens, a multiple of 2 and of `heads`; half as many after the first convolution.
        heads: of the attention.
        classes: number of logits.
        size: pixels a side of the images, a multiple of 4, at least 8.

    >>> ShiftNet(Design(), seed=0).double()(torch.ones(2, 1, 16, 16, dtype=torch.float64)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self, design: Design, *, seed: int, width: int = 16, heads: int = 4, classes: int = 10, size: int = 16
    ):
        super().__init__()
        self.design = instance("design", design, Design)
        generator = torch.Generator().manual_seed(checked_seed("seed", seed))
        d, self.size = whole("width", width, at_least=2, at_most=4096), whole("size", size, at_least=8, at_most=4096)
        heads, classes = whole("heads", heads, at_least=1), whole("classes", classes, at_least=1, at_most=10**6)
        if d % 2 or d % heads:
            raise ValueError(f"width must be a multiple of 2 and of heads, found {d} with {heads} heads")
        if self.size % 4:
            raise ValueError(f"size must be a multiple of 4, found {self.size}")

        def drawn(*shape):
            fan_in = math.prod(shape[1:])
            return nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64) / fan_in**0.5)

        def filled(value, *shape):
            return nn.Parameter(torch.tensor(value, dtype=torch.float64).expand(*shape).clone())

        self.stem1, self.stem2 = drawn(d // 2, 1, 3, 3), drawn(d, d // 2, 3, 3)
        self.stem1_bias, self.stem2_bias = filled(0.0, d // 2), filled(0.0, d)
        if self.design.positions:
            tokens = self.size // 4
            self.places = nn.Parameter(0.5 * torch.randn(d, tokens, tokens, generator=generator, dtype=torch.float64))
        for k in (1, 2, 3):
            setattr(self, f"norm{k}", filled(1.0, d))
            setattr(self, f"norm{k}_bias", filled(0.0, d))
        self.qkv, self.mix = drawn(3 * d, d, 1, 1), drawn(d, d, 1, 1)
        self.temperature = filled(0.0, heads)  # its logarithm
        self.local1, self.local2 = drawn(d, 1, 3, 3), drawn(d, 1, 3, 3)
        self.inner, self.outer = drawn(2 * d, d, 1, 1), drawn(d, 2 * d, 1, 1)
        self.head, self.head_bias = drawn(classes, d), filled(0.0, classes)
        if self.design.activation == "poly":
            for name, channels in (("stem1", d // 2), ("stem2", d), ("local", d), ("inner", 2 * d)):
                setattr(self, f"curve_{name}", filled(GELU_LIKE, channels, 3))
        self.float()

    def _activate(self, x: Tensor, name: str, size: int | None = None) -> Tensor:
        curve = getattr(self, f"curve_{name}", None)
        given = dict(coefficients=curve, factor=self.design.factor)
        if size is None or self.design.down == "band":
            return activate(x, self.design.activation, size=size, **given)
        return downsample(activate(x, self.design.activation, **given), size, low_pass=False)

    def _norm(self, x: Tensor, k: int) -> Tensor:
        norm = sample_norm if self.design.norm == "sample" else token_norm
        return norm(x, getattr(self, f"norm{k}"), getattr(self, f"norm{k}_bias"))

    def tokens(self, x: Tensor) -> Tensor:
        """The map before the readout, (B, d, size / 4, size / 4).

        Args:
            x: images (B, 1, size, size), of the dtype of the weights.
        """
        x = image("x", x, dims=4)
        if x.shape[1:] != (1, self.size, self.size) or x.dtype != self.head.dtype:
            kind = str(self.head.dtype).removeprefix("torch.")
            wanted = f"{kind} of shape (B, 1, {self.size}, {self.size})"
            found = str(x.dtype).removeprefix("torch.")
            raise ValueError(f"x must be {wanted}, found {found} of shape {tuple(x.shape)}")
        x = self._activate(circular_conv(x, self.stem1, self.stem1_bias), "stem1", self.size // 2)
        x = self._activate(circular_conv(x, self.stem2, self.stem2_bias), "stem2", self.size // 4)
        if self.design.positions:
            x = x + self.places
        qkv = circular_conv(self._norm(x, 1), self.qkv)
        x = x + circular_conv(attend(qkv, self.temperature.exp(), self.design.attention), self.mix)
        local = circular_conv(self._norm(x, 2), self.local1, groups=x.shape[1])
        x = x + circular_conv(self._activate(local, "local"), self.local2, groups=x.shape[1])
        inner = circular_conv(self._norm(x, 3), self.inner)
        return x + circular_conv(self._activate(inner, "inner"), self.outer)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images `x` (B, 1, size, size), of the dtype of the weights."""
        return self.tokens(x).mean((2, 3)) @ self.head.T + self.head_bias
