"""Valid calls of `implicitly.interpolators`."""

import torch

from calls import Call
from calls.interpolators.units import bits
from implicitly import interpolators


def points() -> torch.Tensor:
    return bits("000", "001", "011", "101", "110")


def circuit() -> interpolators.ThresholdCircuit:
    return interpolators.and_memorizer(points(), bits("01001"))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


LABELED = {"X": "columns"}

CALLS = {
    "implicitly.interpolators.circuits.Layer": Call(
        lambda: dict(
            weights=bits("011", "100").to(torch.uint8), scale=torch.tensor([1, -1]), bias=torch.tensor([0, 2])
        ),
        accepts={"weights": "columns", "scale": "sign", "bias": "sign large"},
        names={"weights": "scale"},
    ),
    "implicitly.interpolators.circuits.Layer.__call__": Call(
        lambda: dict(self=circuit().layers[0], a=points()), accepts={"a": "rows empty"}
    ),
    "implicitly.interpolators.circuits.ThresholdCircuit": Call(
        lambda: dict(layers=circuit().layers, table=5), accepts={"table": "zero"}
    ),
    "implicitly.interpolators.circuits.ThresholdCircuit.__call__": Call(
        lambda: dict(self=circuit(), X=points()), accepts={"X": "rows empty"}
    ),
    "implicitly.interpolators.circuits.neuron": Call(
        lambda: dict(d=4, ones=[0, 2], at_least=1, scale=-1),
        accepts={"ones": "empty", "at_least": "zero", "scale": "sign"},
    ),
    "implicitly.interpolators.circuits.and_memorizer": Call(
        lambda: dict(X=points(), labels=bits("01001")), accepts={"X": "columns"}, names={"X": "labels"}
    ),
    "implicitly.interpolators.circuits.xor": Call(
        lambda: dict(first=circuit(), second=interpolators.neuron(3, [0, 1], 1)),
    ),
    "implicitly.interpolators.circuits.widen": Call(
        lambda: dict(circuit=circuit(), extra=2, generator=generator(), cut=False)
    ),
    "implicitly.interpolators.crossbars.table_bits": Call(lambda: dict(zeros=90, ones=10), accepts={"ones": "zero"}),
    "implicitly.interpolators.crossbars.crossbar_memorizer": Call(
        lambda: dict(X=points(), labels=bits("01001"), generator=generator(), rows=2, taps=2, tries=20),
        accepts={"X": "columns", "rows": "none", "tries": "zero"},
        names={"X": "labels"},
        raises=(RuntimeError,),
    ),
}
