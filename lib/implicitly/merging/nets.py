"""ReLU networks as plain weights, one or many at once, and what names of neurons do not matter to.

A :class:`Net` maps inputs to *features*, the last hidden layer after its ReLU; a :class:`Head` maps features to the
scores of a task. Chapter `merging-networks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from .._validate import generator as checked_generator
from .._validate import instance, instances, number, tensor, wholes

__all__ = [
    "Head",
    "Net",
    "average",
    "interpolate",
    "random_net",
]

FLOATS = (torch.float32, torch.float64)


def _tensors(name: str, value, **like) -> tuple[Tensor, ...]:
    """`value` as a tuple of tensors, at least one."""
    if isinstance(value, Tensor | str | bytes | dict) or not isinstance(value, Sequence):
        raise TypeError(f"{name} must be a sequence of tensors, found {type(value).__name__}")
    if not value:
        raise ValueError(f"{name} must hold at least one tensor, found none")
    return tuple(tensor(f"{name}[{i}]", one, **like) for i, one in enumerate(value))


@dataclass(frozen=True, eq=False)
class Net:
    """A ReLU network, or a batch of them: ``h_l = relu(W_l h_(l-1) + b_l)``, with a ReLU after the last layer too.

    Args:
        weights: ``W_1, ..., W_L``, shapes (d_l, d_(l-1)), or (B, d_l, d_(l-1)) for B networks; all float32 or all
            float64, no size 0.
        biases: ``b_1, ..., b_L``, shapes (d_l,) or (B, d_l).

    >>> import torch
    >>> net = Net([torch.eye(2)], [torch.zeros(2)])
    >>> net(torch.tensor([[1.0, -1.0]])).tolist()
    [[1.0, 0.0]]
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def __post_init__(self):
        weights = _tensors("weights", self.weights, dtype=FLOATS)
        like = dict(dtype=weights[0].dtype, device=weights[0].device)
        if weights[0].ndim not in (2, 3):
            raise ValueError(f"weights[0] must have 2 or 3 axes, found shape {tuple(weights[0].shape)}")
        batch, inner = tuple(weights[0].shape[:-2]), weights[0].shape[-1]
        for i, one in enumerate(weights):
            tensor(f"weights[{i}]", one, shape=(*batch, "d", inner), **like)
            if not one.numel():
                raise ValueError(f"weights[{i}] must have no size 0, found shape {tuple(one.shape)}")
            inner = one.shape[-2]
        biases = _tensors("biases", self.biases, **like)
        if len(biases) != len(weights):
            raise ValueError(f"biases must have one entry for each of the {len(weights)} weights, found {len(biases)}")
        for i, (one, w) in enumerate(zip(biases, weights, strict=True)):
            tensor(f"biases[{i}]", one, shape=(*batch, w.shape[-2]))
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "biases", biases)

    @property
    def depth(self) -> int:
        """Number of layers L."""
        return len(self.weights)

    @property
    def batch(self) -> tuple[int, ...]:
        """() for one network, (B,) for a batch."""
        return tuple(self.weights[0].shape[:-2])

    @property
    def widths(self) -> tuple[int, ...]:
        """``(d_0, ..., d_L)``."""
        return (self.weights[0].shape[-1], *(w.shape[-2] for w in self.weights))

    @property
    def dtype(self) -> torch.dtype:
        """Of all weights and biases."""
        return self.weights[0].dtype

    @property
    def size(self) -> int:
        """Number of weights and biases of one network."""
        return sum(d * (inner + 1) for inner, d in pairwise(self.widths))

    def _inputs(self, x) -> Tensor:
        x = tensor("x", x, dtype=self.dtype, device=self.weights[0].device)
        if x.shape[-1:] != (self.widths[0],) or x.ndim not in (2, 3) or (x.ndim == 3 and x.shape[:1] != self.batch):
            wanted = f"(n, {self.widths[0]})" + (f" or ({self.batch[0]}, n, {self.widths[0]})" if self.batch else "")
            raise ValueError(f"x must have shape {wanted}, found {tuple(x.shape)}")
        return x

    def __call__(self, x: Tensor) -> Tensor:
        """Features (n, d_L), or (B, n, d_L), of inputs `x` (n, d_0), the same for all networks, or (B, n, d_0)."""
        return _forward(self.weights, self.biases, self._inputs(x))[-1]

    def layers(self, x: Tensor) -> tuple[Tensor, ...]:
        """All hidden layers after their ReLU, ``h_1, ..., h_L``, of inputs as `__call__` takes them."""
        return tuple(_forward(self.weights, self.biases, self._inputs(x)))

    def rows(self, which: Sequence[int]) -> "Net":
        """Networks of a batch, again a batch: `which` are their places, whole numbers, each as often as it is named."""
        which = _places(which, self.batch)
        return Net(tuple(w[which] for w in self.weights), tuple(b[which] for b in self.biases))

    def permuted(self, orders: Sequence[Tensor]) -> "Net":
        """The same network with its neurons in another order; its features come in the order of the last one.

        Args:
            orders: one permutation for each layer, (d_l,) or (B, d_l), int64: new neuron k is the old ``order[k]``.
        """
        orders = checked_orders("orders", orders, self)
        weights, biases = list(self.weights), list(self.biases)
        for l, order in enumerate(orders):
            weights[l] = torch.take_along_dim(weights[l], order[..., :, None], -2)
            biases[l] = torch.take_along_dim(biases[l], order, -1)
            if l + 1 < self.depth:
                weights[l + 1] = torch.take_along_dim(weights[l + 1], order[..., None, :], -1)
        return Net(tuple(weights), tuple(biases))

    def rescaled(self, scales: Sequence[Tensor]) -> "Net":
        """The same network with each neuron's output times a positive number, and divided by it where it is read.

        The features, which nobody in the network reads, come out times the last scales.

        Args:
            scales: for each layer (d_l,) or (B, d_l), positive, of the network's dtype.
        """
        scales = _tensors("scales", scales, dtype=self.dtype, above=0.0)
        if len(scales) != self.depth:
            raise ValueError(f"scales must have one entry for each of the {self.depth} layers, found {len(scales)}")
        weights, biases = list(self.weights), list(self.biases)
        for l, scale in enumerate(scales):
            _per_neuron(f"scales[{l}]", scale, self, l)
            weights[l], biases[l] = weights[l] * scale[..., :, None], biases[l] * scale
            if l + 1 < self.depth:
                weights[l + 1] = weights[l + 1] / scale[..., None, :]
        return Net(tuple(weights), tuple(biases))


def _places(which, batch) -> list[int]:
    if not batch:
        raise ValueError("which must name networks of a batch, found one network without a batch axis")
    return list(wholes("which", which, at_least=0, at_most=batch[0] - 1))


def _per_neuron(name: str, value: Tensor, net: Net, l: int) -> None:
    d = net.widths[l + 1]
    if tuple(value.shape) not in ((d,), (*net.batch, d)):
        raise ValueError(f"{name} must have shape {(*net.batch, d)}, found {tuple(value.shape)}")


def checked_orders(name: str, orders: Sequence[Tensor], net: Net) -> tuple[Tensor, ...]:
    """`orders`, after checking that they are a permutation for each layer of `net`."""
    orders = _tensors(name, orders, dtype=torch.int64)
    if len(orders) != net.depth:
        raise ValueError(f"{name} must have one entry for each of the {net.depth} layers, found {len(orders)}")
    return tuple(_order(f"{name}[{l}]", one, net.widths[l + 1], net.batch) for l, one in enumerate(orders))


def _order(name: str, order: Tensor, d: int, batch) -> Tensor:
    order = tensor(name, order, dtype=torch.int64)
    if tuple(order.shape) not in ((d,), (*batch, d)):
        raise ValueError(f"{name} must have shape {(*batch, d)}, found {tuple(order.shape)}")
    if not (order.sort(-1).values == torch.arange(d)).all():
        raise ValueError(f"{name} must be a permutation of 0 to {d - 1}, found other entries")
    return order.expand(*batch, -1)


def _forward(weights, biases, x: Tensor) -> list[Tensor]:
    """Every hidden layer; nothing is checked."""
    found = []
    for w, b in zip(weights, biases, strict=True):
        x = (x @ w.mT + b[..., None, :]).relu()
        found.append(x)
    return found


@dataclass(frozen=True, eq=False)
class Head:
    """A linear map from features to scores, or a batch of them.

    Args:
        weight: (classes, d) or (B, classes, d), float32 or float64, no size 0.
        bias: (classes,) or (B, classes).
    """

    weight: Tensor
    bias: Tensor

    def __post_init__(self):
        weight = tensor("weight", self.weight, dtype=FLOATS)
        if weight.ndim not in (2, 3) or not weight.numel():
            raise ValueError(f"weight must have 2 or 3 axes and no size 0, found shape {tuple(weight.shape)}")
        tensor("bias", self.bias, shape=tuple(weight.shape[:-1]), dtype=weight.dtype, device=weight.device)

    def __call__(self, features: Tensor) -> Tensor:
        """Scores (n, classes) or (B, n, classes) of `features` (n, d) or (B, n, d)."""
        features = tensor("features", features, dtype=self.weight.dtype, device=self.weight.device)
        batch, d = tuple(self.weight.shape[:-2]), self.weight.shape[-1]
        if features.shape[-1:] != (d,) or features.ndim not in (2, 3) or (
            features.ndim == 3 and tuple(features.shape[:1]) != batch
        ):
            raise ValueError(f"features must have shape {(*batch, 'n', d)}, found {tuple(features.shape)}")
        return features @ self.weight.mT + self.bias[..., None, :]

    def rows(self, which: Sequence[int]) -> "Head":
        """Heads of a batch, as `Net.rows`."""
        which = _places(which, tuple(self.weight.shape[:-2]))
        return Head(self.weight[which], self.bias[which])

    def permuted(self, order: Tensor) -> "Head":
        """The head that reads the features in another order: (d,) or (B, d), int64, new feature k is the old
        ``order[k]``."""
        order = _order("order", order, self.weight.shape[-1], tuple(self.weight.shape[:-2]))
        return Head(torch.take_along_dim(self.weight, order[..., None, :], -1), self.bias)


def random_net(
    widths: Sequence[int],
    *,
    batch: int | None = None,
    gain: float = 2**0.5,
    bias: float = 0.0,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Net:
    """Networks with Gaussian weights of variance ``gain**2 / d_(l-1)`` and Gaussian biases of deviation `bias`.

    Args:
        widths: ``(d_0, ..., d_L)``, two or more, each at least 1.
        batch: how many, at least 1; left out, one network without a batch axis.
        gain: positive. bias: at least 0.
        generator: on the CPU.
        dtype: float32 or float64.
    """
    widths = wholes("widths", widths, least=2, at_least=1)
    gain = number("gain", gain, above=0.0)
    bias, generator = number("bias", bias, at_least=0.0), checked_generator("generator", generator, device="cpu")
    if dtype not in FLOATS:
        raise ValueError(f"dtype must be torch.float32 or torch.float64, found {dtype}")
    lead = () if batch is None else wholes("batch", [batch], at_least=1)
    weights, biases = [], []
    for inner, d in pairwise(widths):
        weights.append(torch.randn(*lead, d, inner, generator=generator, dtype=dtype) * (gain / inner**0.5))
        biases.append(torch.randn(*lead, d, generator=generator, dtype=dtype) * bias)
    return Net(tuple(weights), tuple(biases))


def same_shape(name: str, nets: Sequence[Net], *, least: int = 2) -> tuple[Net, ...]:
    """`nets` as a tuple, after checking that they have the same depth, widths, batch, dtype."""
    nets = fitting_nets(name, nets, least=least)
    for i, net in enumerate(nets):
        if net.widths != nets[0].widths:
            raise ValueError(f"{name}[{i}] must have the widths {nets[0].widths}, found {net.widths}")
    return nets


def fitting_nets(name: str, nets: Sequence[Net], *, least: int = 2) -> tuple[Net, ...]:
    """`nets` as a tuple, after checking that they read the same inputs with the same depth, batch and dtype."""
    nets = instances(name, nets, Net)
    if len(nets) < least:
        raise ValueError(f"{name} must hold at least {least} networks, found {len(nets)}")
    for i, net in enumerate(nets):
        for what, found in (("depth", net.depth), ("batch", net.batch), ("dtype", net.dtype)):
            if found != getattr(nets[0], what):
                raise ValueError(f"{name}[{i}] must have the {what} {getattr(nets[0], what)}, found {found}")
        if net.widths[0] != nets[0].widths[0]:
            raise ValueError(f"{name}[{i}] must read {nets[0].widths[0]} inputs, found {net.widths[0]}")
    return nets


def average(nets: Sequence[Net]) -> Net:
    """The network whose weights and biases are the means of those of `nets`, which have the same shape."""
    nets = same_shape("nets", nets)
    return Net(tuple(torch.stack(one).mean(0) for one in zip(*(n.weights for n in nets), strict=True)),
               tuple(torch.stack(one).mean(0) for one in zip(*(n.biases for n in nets), strict=True)))  # fmt: skip


NetOrHead = TypeVar("NetOrHead", Net, Head)


def interpolate(a: NetOrHead, b: NetOrHead, share: float) -> NetOrHead:
    """``(1 - share) a + share b``, weight by weight and bias by bias.

    Args:
        a, b: two `Net` or two `Head` of the same shape and dtype.
        share: in [0, 1].

    Returns:
        What a and b are.
    """
    share = number("share", share, at_least=0.0, at_most=1.0)
    if isinstance(a, Head):
        b = instance("b", b, Head)
        weight = tensor("b", b.weight, shape=tuple(a.weight.shape), dtype=a.weight.dtype)
        return Head(torch.lerp(a.weight, weight, share), torch.lerp(a.bias, b.bias, share))
    a, b = same_shape("b", [instance("a", a, Net), instance("b", b, Net)])
    return Net(tuple(torch.lerp(v, w, share) for v, w in zip(a.weights, b.weights, strict=True)),
               tuple(torch.lerp(v, w, share) for v, w in zip(a.biases, b.biases, strict=True)))  # fmt: skip
