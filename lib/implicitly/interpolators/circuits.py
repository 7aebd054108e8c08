"""Threshold circuits with binary weights.

A neuron answers ``1{s (w . a) + b > 0}`` with weights w in {0, 1}, one scale s in {-1, 0, 1} and an integer bias b. A
circuit is a list of fully connected layers of such neurons; its size is the number of its weights, zeros included.

* :func:`and_memorizer`: one neuron for each point with label 1. It computes a partial function: right on every listed
  point, anything elsewhere. :mod:`.crossbars` has a smaller one.
* :func:`xor`: joins a teacher and a memorizer of its mistakes by two layers.

Source: Harel et al. 2024. Chapter tempered-overfitting, claims C7 and C8.

>>> X = torch.tensor([[0, 0], [0, 1], [1, 1]], dtype=torch.bool)
>>> and_memorizer(X, torch.tensor([False, True, False]))(X).tolist()
[False, True, False]
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._validate import choice, flag, instance, tensor, whole, wholes
from .._validate import generator as checked_generator

__all__ = [
    "Layer",
    "ThresholdCircuit",
    "and_memorizer",
    "neuron",
    "widen",
    "xor",
]

EXACT = 2**24  # whole numbers up to here are float32 numbers


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: weights uint8 (out, in) in {0, 1}, scale int64 (out,) in {-1, 0, 1}, bias int64 (out,).

    There is at least one neuron and one input; at most 2**24 inputs, and biases of at most that size.
    """

    weights: Tensor
    scale: Tensor
    bias: Tensor

    def __post_init__(self):
        tensor("weights", self.weights, shape=("out", "in"), dtype=torch.uint8, at_most=1)
        out, inputs = self.weights.shape
        if not out or not 1 <= inputs <= EXACT:
            raise ValueError(f"weights must have at least one neuron and one input, found {out} and {inputs}")
        tensor("scale", self.scale, shape=(out,), dtype=torch.int64, at_least=-1, at_most=1)
        tensor("bias", self.bias, shape=(out,), dtype=torch.int64, at_least=-EXACT, at_most=EXACT)

    def __call__(self, a: Tensor) -> Tensor:
        """Which neurons fire, bool (B, out), at inputs bool (B, in)."""
        tensor("a", a, shape=("B", self.weights.shape[1]), dtype=torch.bool)
        # float32 matmul is exact here: sums of at most 2**24 zeros and ones
        sums = a.to(torch.float32) @ self.weights.to(torch.float32).T
        return self.scale.to(torch.float32) * sums + self.bias.to(torch.float32) > 0


@dataclass(frozen=True, eq=False)
class ThresholdCircuit:
    """Layers of threshold neurons, applied in turn.

    Attributes:
        layers: from the input to the output, at least one; each reads as many units as the one before has.
        table: bits of the memorizer's table, if it has one, else 0.
    """

    layers: tuple[Layer, ...]
    table: int = 0

    def __post_init__(self):
        if not isinstance(self.layers, tuple | list) or not self.layers:
            raise TypeError(f"layers must be a tuple of at least one Layer, found {self.layers!r:.40}")
        for i, layer in enumerate(self.layers):
            instance(f"layers[{i}]", layer, Layer)
        for i, (below, layer) in enumerate(itertools.pairwise(self.layers), 1):
            reads, there = layer.weights.shape[1], below.weights.shape[0]
            if reads != there:
                raise ValueError(f"layers[{i}] must read the {there} units of the layer before, found {reads} inputs")
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "table", whole("table", self.table, at_least=0))

    def __call__(self, X: Tensor) -> Tensor:
        """Answers bool (B,) of a circuit with one output, (B, outputs) otherwise, at X bool (B, d)."""
        tensor("X", X, shape=("points", self.widths[0]), dtype=torch.bool)
        answers = []
        for part in X.split(4096):
            for layer in self.layers:
                part = layer(part)
            answers.append(part)
        out = torch.cat(answers) if answers else torch.empty(0, self.widths[-1], dtype=torch.bool)
        return out[:, 0] if out.shape[1] == 1 else out

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of units: the inputs, then every layer."""
        return (self.layers[0].weights.shape[1], *(layer.weights.shape[0] for layer in self.layers))

    @property
    def weights(self) -> int:
        """Size: number of weights of the fully connected layers, zeros included."""
        return sum(layer.weights.numel() for layer in self.layers)


def _layer(rows: list[tuple[list[int], int, int]], inputs: int) -> Layer:
    """A layer from (inputs with weight 1, scale, bias) for each neuron."""
    weights = torch.zeros(len(rows), inputs, dtype=torch.uint8)
    for i, (ones, _, _) in enumerate(rows):
        weights[i, ones] = 1
    scale, bias = (torch.tensor([row[i] for row in rows], dtype=torch.int64) for i in (1, 2))
    return Layer(weights, scale, bias)


def _carry(unit: int):
    """A neuron that repeats one unit of the layer before."""
    return [unit], 1, 0


def _counts(units: list[int]):
    """Neurons whose sum tells the parity of `units`: it is len(units) // 2, plus one if an odd number of them fires."""
    return [(units, 1, 1 - j) if j % 2 else (units, -1, j) for j in range(1, len(units) + 1)]


def neuron(d: int, ones: Sequence[int], at_least: int, *, scale: int = 1) -> ThresholdCircuit:
    """The teacher of this chapter: one neuron, 1{at least so many of the inputs `ones` are 1}; `scale` = -1: fewer.

    ones: distinct, in 0..d - 1; none: the sum is 0. at_least: 0 (always) to d + 1 (never).
    """
    d, scale = whole("d", d, at_least=1), choice("scale", whole("scale", scale), (-1, 1))
    at_least = whole("at_least", at_least, at_least=0, at_most=d + 1)
    ones = wholes("ones", ones, least=0, at_least=0, at_most=d - 1)
    if len(set(ones)) < len(ones):
        raise ValueError(f"ones must be distinct, found {ones}")
    return ThresholdCircuit((_layer([(list(ones), scale, 1 - at_least if scale == 1 else at_least)], d),))


def _literals(d: int) -> Layer:
    """The inputs and their negations: 2 d neurons."""
    return _layer([_carry(i) for i in range(d)] + [([i], -1, 1) for i in range(d)], d)


def _points(X: Tensor, labels: Tensor) -> None:
    tensor("X", X, shape=("points", "inputs"), dtype=torch.bool)
    if 0 in X.shape:
        raise ValueError(f"X must have at least one point and one input, found shape {tuple(X.shape)}")
    tensor("labels", labels, shape=(len(X),), dtype=torch.bool)
    if len({x.tobytes() for x in np.packbits(X.numpy(), axis=1)}) < X.shape[0]:
        raise ValueError("X must hold distinct points, found one twice; a partial function has one value at each")


def and_memorizer(X: Tensor, labels: Tensor) -> ThresholdCircuit:
    """The naive memorizer: literals, one AND neuron for each point with label 1, an OR.

    Args:
        X: bool (N, d), distinct points, N and d at least 1. labels: bool (N,).

    Returns:
        A circuit that answers 1 on exactly the listed ones of the whole cube. Size 2 d (d + N1) + N1.
    """
    _points(X, labels)
    d = X.shape[1]
    ands = [([i if bit else d + i for i, bit in enumerate(x)], 1, 1 - d) for x in X[labels].tolist()]
    ands = ands or [([], 0, 0)]
    return ThresholdCircuit((_literals(d), _layer(ands, 2 * d), _layer([(list(range(len(ands))), 1, 0)], len(ands))))


def _beside(a: Layer, b: Layer, shared: bool) -> Layer:
    """Two layers side by side; `shared`: both read the same input."""
    weights = torch.cat([a.weights, b.weights]) if shared else torch.block_diag(a.weights, b.weights)
    return Layer(weights, torch.cat([a.scale, b.scale]), torch.cat([a.bias, b.bias]))


def xor(first: ThresholdCircuit, second: ThresholdCircuit) -> ThresholdCircuit:
    """The circuit x -> first(x) xor second(x): side by side, the shorter one's output carried on, then two layers.

    The two layers are 1{a + b > 0} and 1{-(a + b) + 2 > 0}, and the AND of both: two copies' weights and 6 more.
    """
    for name, circuit in (("first", first), ("second", second)):
        instance(name, circuit, ThresholdCircuit)
        if circuit.widths[-1] != 1:
            raise ValueError(f"{name} must have one output, found {circuit.widths[-1]}")
    if first.widths[0] != second.widths[0]:
        raise ValueError(f"first and second must read the same inputs, found {first.widths[0]} and {second.widths[0]}")
    depth = max(len(first.layers), len(second.layers))
    pads = [list(c.layers) + [_layer([_carry(0)], 1)] * (depth - len(c.layers)) for c in (first, second)]
    joined = [_beside(a, b, shared=i == 0) for i, (a, b) in enumerate(zip(*pads, strict=True))]
    joined += [_layer([([0, 1], 1, 0), ([0, 1], -1, 2)], 2), _layer([([0, 1], 1, -1)], 2)]
    return ThresholdCircuit(tuple(joined), first.table + second.table)


def widen(circuit: ThresholdCircuit, extra: int, *, generator: torch.Generator, cut: bool = True) -> ThresholdCircuit:
    """The same circuit inside a wider student: `extra` more neurons in every hidden layer, random weights.

    With `cut` the scale of every added neuron is 0 and its bias 0, so it never fires; without, its scale is random too
    and the added neurons disturb the function (a control).
    """
    instance("circuit", circuit, ThresholdCircuit)
    extra, cut = whole("extra", extra, at_least=1), flag("cut", cut)
    checked_generator("generator", generator, device="cpu")
    layers, grown = [], 0
    for i, layer in enumerate(circuit.layers):
        out, inputs = layer.weights.shape
        more = extra if i < len(circuit.layers) - 1 else 0

        def coins(*shape):
            return torch.randint(0, 2, shape, generator=generator, dtype=torch.uint8)

        weights = torch.cat([layer.weights, coins(out, grown)], 1)
        weights = torch.cat([weights, coins(more, inputs + grown)])
        scale = torch.zeros(more, dtype=torch.int64) if cut else coins(more).long() * 2 - 1
        bias = torch.zeros(more, dtype=torch.int64) if cut else coins(more).long()
        layers.append(Layer(weights, torch.cat([layer.scale, scale]), torch.cat([layer.bias, bias])))
        grown = more
    return ThresholdCircuit(tuple(layers), circuit.table)
