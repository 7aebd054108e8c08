"""Networks on the 8 x 8 digits whose layers add up in a narrow accumulator: tested, trained, fine-tuned.

Several seeds train at once, each with its own first weights and order of the pictures; what one does depends on its
seed alone. Forward products run in the accumulator; what comes after them (bias, ReLU, loss) and the sums of the
backward pass are float32. Chapter `low-bit-accumulators`, C7, C8 and C10. Bad arguments raise TypeError or ValueError.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from implicitly_kernels import lba_gemm

from .._validate import choice, instance, instances, number, tensor, whole, wholes
from .._validate import seed as checked_seed
from ..data import digit_pixels
from .formats import Accumulator
from .sums import GRADIENTS

__all__ = [
    "Networks",
    "Split",
    "digit_split",
    "first_networks",
    "train",
]

F32 = torch.float32
_PIXELS, _CLASSES, _TRAINING = 64, 10, 1437


class Split(NamedTuple):
    """Pictures (N, 64) float32 in [0, 1], multiples of 1/16, and classes (N,) int64: to train on, and to test."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


@functools.cache
def _digits():
    pixels, target = digit_pixels()
    return torch.tensor(pixels / 16, dtype=F32), torch.tensor(target)


def digit_split(seed: int = 0) -> Split:
    """scikit-learn's 1797 digits in a random order: 1437 to train on, 360 to test."""
    order = torch.randperm(len(_digits()[0]), generator=torch.Generator().manual_seed(checked_seed("seed", seed)))
    x, y = (v[order] for v in _digits())
    return Split(x[:_TRAINING], y[:_TRAINING], x[_TRAINING:], y[_TRAINING:])


@dataclass(frozen=True)
class Networks:
    """S networks of one shape, ReLU between layers.

    Attributes:
        weights: one tensor (S, out, in) a layer, float32.
        biases: one tensor (S, out) a layer.
        seeds: of each network, from which it was made.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    seeds: tuple[int, ...]

    def __post_init__(self):
        weights = instances("weights", self.weights, Tensor)
        biases = instances("biases", self.biases, Tensor, length=len(weights))
        seeds = tuple(checked_seed("seeds", seed) for seed in wholes("seeds", self.seeds))
        for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
            fan_in = weights[layer - 1].shape[1] if layer else "in"
            tensor(f"weights[{layer}]", w, shape=(len(seeds), "out", fan_in), dtype=F32)
            tensor(f"biases[{layer}]", b, shape=tuple(w.shape[:2]), dtype=F32)
        for name, value in (("weights", weights), ("biases", biases), ("seeds", seeds)):
            object.__setattr__(self, name, value)

    def rows(self, rows: Sequence[int]) -> "Networks":
        """The networks at these places, whole numbers from 0 to S - 1, at least one."""
        rows = list(wholes("rows", rows, at_least=0, at_most=len(self.seeds) - 1))
        weights, biases = (tuple(v[rows] for v in values) for values in (self.weights, self.biases))
        return Networks(weights, biases, tuple(self.seeds[k] for k in rows))

    def logits(self, x: Tensor, accumulator: Accumulator | None = None) -> Tensor:
        """Outputs (S, N, 10) for x (N, in), float32; the layers add up in the accumulator, or, left out, in float32."""
        tensor("x", x, shape=("N", self.weights[0].shape[2]), dtype=F32)
        with torch.no_grad():
            x = x.expand(len(self.seeds), *x.shape)
            return _outputs(x, self.weights, self.biases, _form(accumulator), "identity")

    def accuracy(self, x: Tensor, y: Tensor, accumulator: Accumulator | None = None) -> Tensor:
        """Share of pictures x (N, in), N >= 1, whose class y (N,) int64 has the largest output; (S,), float64."""
        logits = self.logits(x, accumulator)
        tensor("y", y, shape=(len(x),), dtype=torch.int64)
        if not len(x):
            raise ValueError("x must hold at least one picture, found none")
        if not ((y >= 0) & (y < logits.shape[2])).all():
            raise ValueError(f"y must hold classes from 0 to {logits.shape[2] - 1}, found {y.min()} to {y.max()}")
        return (logits.argmax(2) == y).double().mean(1)

    def logit_error(self, x: Tensor, accumulator: Accumulator) -> Tensor:
        """How far the accumulator moves the outputs for x (N, in): relative Frobenius norm, (S,), float64.

        x: at least one picture. NaN where all outputs are 0.
        """
        instance("accumulator", accumulator, Accumulator)
        wide = self.logits(x).double()
        if not len(x):
            raise ValueError("x must hold at least one picture, found none")
        moved = self.logits(x, accumulator).double() - wide
        return moved.flatten(1).norm(dim=1) / wide.flatten(1).norm(dim=1)


def _form(accumulator):
    return None if accumulator is None else dict(vars(instance("accumulator", accumulator, Accumulator)))


def _outputs(x, weights, biases, form, gradient):
    """Outputs of all networks for x (S, N, in)."""
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
        x = F.relu(x) if layer else x
        if form is not None and gradient != "identity":  # the kernel takes one after the other
            y = lba_gemm(x, w, gradient=gradient, **form)
        else:  # so do we: what a batched product of torch's rounds may depend on how many there are
            y = torch.cat([one @ other.mT if form is None else lba_gemm(one, other, **form)
                           for one, other in zip(x.split(1), w.split(1), strict=True)])  # fmt: skip
        x = y + b[:, None]
    return x


def first_networks(seeds: Sequence[int], widths: Sequence[int] = (64, 64, 64, 10)) -> Networks:
    """Networks before training: weights and biases uniform within 1/sqrt(fan-in).

    Args:
        seeds: of the networks, at least one.
        widths: of the input, the hidden layers and the output, each at least 1.
    """
    seeds = tuple(checked_seed("seeds", seed) for seed in wholes("seeds", seeds))
    widths = wholes("widths", widths, least=2, at_least=1)
    weights, biases = [], []
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    for fan_in, fan_out in pairwise(widths):
        drawn = torch.stack([torch.rand(fan_out, fan_in + 1, generator=g, dtype=F32) for g in generators])
        drawn = (2 * drawn - 1) / math.sqrt(fan_in)
        weights.append(drawn[..., :fan_in].contiguous())
        biases.append(drawn[..., fan_in].contiguous())
    return Networks(tuple(weights), tuple(biases), seeds)


def train(networks: Networks, data: Split, accumulator: Accumulator | None = None, *, epochs: int, rate: float = 1e-3,
          batch: int = 32, gradient: str = "identity") -> Networks:
    """Train all networks by Adam on the mean cross-entropy, with the accumulator in the forward pass.

    Fine-tuning is training of networks that are trained; its two stages are two calls, the first with
    ``accumulator.without_underflow()``.

    Args:
        networks: where to start; they are not changed.
        data: pictures and classes; the training ones are used.
        accumulator: of every layer's products; left out, float32.
        epochs: passes over the pictures, at least 0, each in a new order, drawn from the network's seed.
        rate: step size of Adam, above 0, at most 1; its other constants are torch's.
        batch: pictures a step, at least 1; the last step of an epoch takes what is left.
        gradient: what stands in for the derivative of a quantized sum, out of `GRADIENTS`.
    """
    instance("networks", networks, Networks)
    instance("data", data, Split)
    tensor("data.x", data.x, shape=("N", networks.weights[0].shape[2]), dtype=F32)
    tensor("data.y", data.y, shape=(len(data.x),), dtype=torch.int64)
    if not len(data.x) or not ((data.y >= 0) & (data.y < networks.weights[-1].shape[1])).all():
        raise ValueError(f"data must hold pictures, and classes from 0 to {networks.weights[-1].shape[1] - 1}, found "
                         f"{len(data.x)} with classes {sorted(set(data.y.tolist()))}")
    form, gradient = _form(accumulator), choice("gradient", gradient, GRADIENTS)
    epochs, batch = whole("epochs", epochs, at_least=0), whole("batch", batch, at_least=1)
    rate = number("rate", rate, above=0.0, at_most=1.0)
    layers = len(networks.weights)
    values = [v.clone().requires_grad_() for v in (*networks.weights, *networks.biases)]
    optimizer = torch.optim.Adam(values, lr=rate)
    generators = [torch.Generator().manual_seed((1_000_003 * seed + 17) % 2**63) for seed in networks.seeds]
    for _ in range(epochs):
        orders = torch.stack([torch.randperm(len(data.x), generator=g) for g in generators])
        for rows in orders.split(batch, 1):
            out = _outputs(data.x[rows], values[:layers], values[layers:], form, gradient)
            # A sum over networks of means over pictures: none of them sees another.
            loss = F.cross_entropy(out.flatten(0, 1), data.y[rows].flatten(), reduction="sum") / rows.shape[1]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    values = [v.detach() for v in values]
    return Networks(tuple(values[:layers]), tuple(values[layers:]), networks.seeds)
