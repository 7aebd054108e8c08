"""Valid calls of `implicitly.interpolators`."""

import torch

from calls import Call
from implicitly import interpolators


def units(d: int = 2) -> interpolators.Units:
    return interpolators.relu_units(interpolators.cube(d), levels=(-1, 1))


def law(d: int = 2) -> interpolators.FunctionLaw:
    return interpolators.function_law(units(d), 2)


def bits(*rows: str) -> torch.Tensor:
    """bool (rows, columns), or (columns,) of one row: a letter each."""
    table = torch.tensor([[letter == "1" for letter in row] for row in rows])
    return table[0] if len(rows) == 1 else table


def samples() -> torch.Tensor:
    return torch.tensor([[0, 1, 3], [2, 3, 0]])


def make_guesses() -> dict:
    run = interpolators.guess_and_check(units(), 2, bits("0110"), samples(), guesses=50, seed=1)
    return dict(guesses=run.guesses, histogram=run.histogram, found=run.found)


def check(**changed) -> dict:
    return dict(
        units=units(), width=2, labels=bits("0110"), samples=samples(), guesses=50, seed=1,
        sample_labels=bits("011", "100"), offset=1, keep=2,
    ) | changed  # fmt: skip


DOMAIN = {"X": "rows columns sign large", "levels": "sign", "scales": "sign", "thresholds": "sign"}
SEED = {"seed": "zero"}
ANY = "rows columns dims empty"

CALLS = {
    "implicitly.interpolators.units.cube": Call(lambda: dict(d=3)),
    "implicitly.interpolators.units.Units": Call(
        lambda: dict(
            values=torch.tensor([[0, -1], [2, 1], [3, 0]]),
            row=torch.tensor([2, 0, 1, 1]),
            names=("w", "v"),
            levels=((-1, 1), (0, 1)),
        ),
        accepts={"values": "columns sign large"},
        names={"values": "row"},
    ),
    "implicitly.interpolators.units.Units.parameters": Call(
        lambda: dict(self=units(), settings=torch.tensor([[0, 5], [15, 2]])), accepts={"settings": ANY}
    ),
    "implicitly.interpolators.units.relu_units": Call(
        lambda: dict(X=interpolators.cube(2), levels=(-1, 0, 1), scales=(0, 1)),
        accepts=DOMAIN | {"scales": "none sign"},
    ),
    "implicitly.interpolators.units.relu_units#without scales": Call(
        lambda: dict(X=interpolators.cube(2), levels=(-1, 1), scales=None), accepts=DOMAIN
    ),
    "implicitly.interpolators.units.threshold_units": Call(
        lambda: dict(X=interpolators.cube(2), levels=(-1, 1), thresholds=(0, 2), scales=(-1, 0, 1)),
        accepts=DOMAIN | {"thresholds": "none sign"},
    ),
    "implicitly.interpolators.units.sample_nets": Call(
        lambda: dict(units=units(), width=3, seed=1, count=5, start=4094),
        accepts=SEED | {"count": "zero", "start": "zero"},
    ),
    "implicitly.interpolators.units.nets_by_index": Call(
        lambda: dict(units=units(), width=3, indices=torch.tensor([0, 5000, 7]), seed=1),
        accepts=SEED | {"indices": "rows empty large"},
    ),
    "implicitly.interpolators.units.truth_tables": Call(
        lambda: dict(units=units(), nets=torch.tensor([[0, 5], [15, 2]]), offset=1),
        accepts={"nets": "rows columns empty", "offset": "zero sign"},
    ),
    "implicitly.interpolators.units.pack_tables": Call(
        lambda: dict(tables=bits("011", "101")), accepts={"tables": ANY}
    ),
    "implicitly.interpolators.units.unpack_tables": Call(
        lambda: dict(words=torch.tensor([[3, 1], [7, 0]]), points=3), accepts={"words": ANY}
    ),
    "implicitly.interpolators.laws.FunctionLaw": Call(
        lambda: dict(tables=bits("011", "101", "000"), counts=torch.tensor([3, 1, 4]), total=8),
        accepts={"tables": "columns"},
        names={"tables": "counts", "total": "counts"},
    ),
    "implicitly.interpolators.laws.FunctionLaw.bits": Call(lambda: dict(self=law(), table=bits("0110"))),
    "implicitly.interpolators.laws.function_law": Call(
        lambda: dict(units=units(), width=2, offset=1), accepts={"offset": "zero sign"}
    ),
    "implicitly.interpolators.laws.sampled_law": Call(
        lambda: dict(units=units(), width=2, guesses=60, seed=1, offset=1), accepts=SEED | {"offset": "zero sign"}
    ),
    "implicitly.interpolators.guesses.draw_samples": Call(
        lambda: dict(points=6, size=3, seeds=[4, 0], distinct=True), accepts={"size": "zero", "seeds": "empty"}
    ),
    "implicitly.interpolators.guesses.Guesses": Call(
        make_guesses, names={"guesses": "histogram", "histogram": "guesses found"}
    ),
    "implicitly.interpolators.guesses.guess_and_check": Call(
        check,
        accepts=SEED | {"offset": "zero sign", "keep": "zero", "sample_labels": "none"},
        names={"samples": "sample_labels"},
    ),
    "implicitly.interpolators.guesses.guess_and_check#a teacher for each set": Call(
        lambda: check(labels=bits("0110", "0001"), sample_labels=None),
        accepts=SEED | {"offset": "zero sign", "keep": "zero", "samples": "columns", "labels": "dims"},
        names={"samples": "labels"},
    ),
    "implicitly.interpolators.guesses.fit_length": Call(
        lambda: dict(tables=bits("0110", "0100", "1111"), sample=torch.tensor([1, 2, 2]), sample_labels=bits("110")),
        accepts={"tables": "rows columns empty"},
        names={"sample": "sample_labels"},
    ),
}
