"""Valid calls of `implicitly.max_margin`."""

import functools

import torch

from calls import Call
from implicitly import max_margin as mm
from implicitly import perm_losses as pl

F64 = torch.float64


def data() -> dict:
    X, y = pl.teacher_classes(5, 2, 3, seed=3)
    return dict(X=X, y=y)


@functools.cache
def svm() -> mm.MaxMargin:
    return mm.hard_margin_svm(**data())


def constraints() -> torch.Tensor:
    return mm.constraints(**data())


def path(at=(1, 3, 9)) -> pl.Path:
    return pl.descend(**data(), loss="exponential", at=at, normalized=1.0)


def pair() -> dict:
    """Two problems, their run and their SVMs."""
    X, y = (torch.stack([part, part]) for part in data().values())
    return dict(path=pl.descend(X, y, "exponential", at=[5, 9], normalized=1.0), X=X, y=y, svms=[svm(), svm()])


def matrices(rows: int = 3) -> torch.Tensor:
    return torch.randn(rows, 3, 2, dtype=F64, generator=torch.Generator().manual_seed(4))


DATA = {"X": "columns", "K": "none"}
OF_DATA = {"X": "y", "K": "y"}

CALLS = {
    "implicitly.max_margin.constraints": Call(lambda: data() | dict(K=3), accepts=DATA, names=OF_DATA),
    "implicitly.max_margin.MaxMargin": Call(
        lambda: dict(vars(svm())), accepts={"W": "columns", "rate": "zero size", "flaw": "zero size"},
        names={"W": "alpha", "alpha": "slack"},
    ),
    "implicitly.max_margin.hard_margin_svm": Call(lambda: data() | dict(K=3), accepts=DATA, names=OF_DATA),
    "implicitly.max_margin.polynomial_limit": Call(lambda: data() | dict(K=3), accepts=DATA, names=OF_DATA),
    "implicitly.max_margin.direction_error": Call(
        lambda: dict(W=matrices(), target=matrices()[0]), accepts={"W": "rows empty dims", "target": "dims"},
        names={"W": "target"},
    ),
    "implicitly.max_margin.angle": Call(
        lambda: dict(W=matrices(), target=matrices()[0]), accepts={"W": "rows empty dims", "target": "dims"},
        names={"W": "target"},
    ),
    "implicitly.max_margin.relative_margin": Call(
        lambda: dict(W=matrices(), **data(), svm=svm()), accepts={"W": "rows empty dims"}
    ),
    "implicitly.max_margin.log_time_flow": Call(
        lambda: dict(Z=constraints(), loss="exponential", log_times=[-11.5, -11.0], classes=3),
        accepts={"Z": "columns"}, names={"classes": "Z"},
    ),
    "implicitly.max_margin.mirror_use": Call(
        lambda: dict(path=path(), X=data()["X"], svm=svm(), normalized=1.0), accepts={"normalized": "size"}
    ),
    "implicitly.max_margin.step_factor": Call(
        lambda: dict(X=data()["X"], svm=svm(), normalized=1.0), accepts={"normalized": "size"}
    ),
    "implicitly.max_margin.residual_limit": Call(
        lambda: dict(svm=svm(), Z=constraints(), factor=1.0), accepts={"factor": "size"}
    ),
    "implicitly.max_margin.direction_constant": Call(lambda: dict(svm=svm(), Z=constraints())),
    "implicitly.max_margin.dual_errors": Call(
        lambda: dict(path=path(), **data(), loss="exponential", svm=svm(), factor=1.0), accepts={"factor": "size"}
    ),
    "implicitly.max_margin.margin_constants": Call(pair, names={"X": "y"}),
    "implicitly.max_margin.settling_modes": Call(lambda: dict(svm=svm(), Z=constraints())),
}  # fmt: skip
