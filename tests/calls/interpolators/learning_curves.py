"""Valid calls of `implicitly.interpolators`."""

import torch

from calls import Call
from calls.interpolators.units import SEED, bits, law, units
from implicitly import interpolators

LABEL = "0001"


def curve() -> interpolators.LearningCurve:
    return interpolators.learning_curve(law(), bits(LABEL), (0, 1, 3))


def data(**more) -> dict:
    """Two examples of the teacher on the square."""
    return dict(sample=torch.tensor([3, 1]), sample_labels=bits("10")) | more


def accepted() -> torch.Tensor:
    """Tables of networks that fit `data`."""
    index = interpolators.guess_until_fit(units(), 2, **data(runs=5, seed=0))
    return interpolators.truth_tables(units(), interpolators.nets_by_index(units(), 2, index, seed=0))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def train(**changed) -> dict:
    return dict(
        X=interpolators.cube(2), samples=torch.tensor([[0, 3], [1, 3], [2, 2]]),
        sample_labels=bits("01", "01", "00"), width=3, nets=2, steps=2, eta=0.5, batch=2, generator=generator(),
    ) | changed  # fmt: skip


TRAIN = {"X": "rows columns sign large", "steps": "zero", "eta": "size"}
SETS = {"samples": "sample_labels"}

CALLS = {
    "implicitly.interpolators.teachers.copy_bits": Call(
        lambda: dict(inputs=7, teacher=[1], student=[4], levels=3, scale_levels=2, either=True),
        names={"teacher": "student", "scale_levels": "either"},
    ),
    "implicitly.interpolators.teachers.copy_bits#two layers": Call(
        lambda: dict(inputs=7, teacher=(1, 2), student=(4, 5), levels=3, scale_levels=None, either=False)
    ),
    "implicitly.interpolators.learning_curves.LearningCurve": Call(
        lambda: vars(curve()),
        accepts={"surprise": "nonfinite", "teacher_bits": "zero size"},
        names={"sizes": "bits"},
    ),
    "implicitly.interpolators.learning_curves.LearningCurve.tail": Call(
        lambda: dict(self=curve(), eps=0.25), accepts={"eps": "zero size"}
    ),
    "implicitly.interpolators.learning_curves.learning_curve": Call(
        lambda: dict(law=law(), label=bits(LABEL), sizes=(0, 1, 3))
    ),
    "implicitly.interpolators.learning_curves.guess_until_fit": Call(
        lambda: dict(units=units(), width=2, **data(runs=5, seed=1, limit=100_000)),
        accepts=SEED | {"sample": "rows"},
        names={"sample": "sample_labels"},
    ),
    "implicitly.interpolators.learning_curves.posterior_use": Call(
        lambda: dict(tables=accepted(), law=law(), **data(false_alarm=1e-6)),
        accepts={"tables": "rows", "false_alarm": "size"},
        names={"sample": "sample_labels"},
    ),
    "implicitly.interpolators.learning_curves.tail_use": Call(
        lambda: dict(curve=curve(), eps=0.25, teacher_bits=3.0),
        accepts={"eps": "zero size", "teacher_bits": "none zero sign size"},
    ),
    "implicitly.interpolators.learning_curves.information_use": Call(
        lambda: dict(sizes=(0, 1, 3), surprise=curve().surprise, bits=curve().bits),
        accepts={"surprise": "nonfinite"},
        names={"sizes": "surprise"},
    ),
    "implicitly.interpolators.teachers.needed_neurons": Call(lambda: dict(laws={1: law(), 2: law()})),
    "implicitly.interpolators.teachers.copy_use": Call(lambda: dict(law=law(), bits={0: 3.0, 9: 4.0})),
    "implicitly.interpolators.teachers.gaussian_bits": Call(
        lambda: dict(units=units(), labels=bits("0001", "1000"), draws=50, generator=generator()),
        accepts={"labels": "rows empty"},
    ),
    "implicitly.interpolators.teachers.deep_tables": Call(
        lambda: dict(
            X=interpolators.cube(2), widths=[2, 2], count=5, generator=generator(), levels=(-1, 0, 1), scales=(0, 1)
        ),
        accepts={"X": "rows columns sign large", "count": "zero", "levels": "sign", "scales": "none sign"},
    ),
    "implicitly.chance.share_interval": Call(
        lambda: dict(hits=3, trials=10, miss=0.05), accepts={"hits": "zero", "miss": "size"}, names={"trials": "hits"}
    ),
    "implicitly.interpolators.teachers.train_many": Call(
        train, accepts=TRAIN | {"batch": "none"}, names=SETS | {"X": "samples"}
    ),
    "implicitly.interpolators.teachers.train_many#all examples": Call(
        lambda: train(batch=None), accepts=TRAIN, names=SETS | {"X": "samples"}
    ),
    "implicitly.figures.typical_nets.explorer_state": Call(
        lambda: dict(
            laws={("FC", 2): law()}, teachers={"AND": bits(LABEL)}, neurons={"AND": 1}, sizes=(0, 2),
            units={"FC": units()},
        )
    ),
}  # fmt: skip
