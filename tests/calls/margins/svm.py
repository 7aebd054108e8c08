"""Valid calls of `implicitly.margins`."""

import functools

import torch

from calls import Call
from implicitly import margins

F64 = torch.float64


def data() -> dict:
    X, y = margins.teacher_classes(5, 2, 3, seed=3)
    return dict(X=X, y=y)


@functools.cache
def svm() -> margins.MaxMargin:
    return margins.hard_margin_svm(**data())


def constraints() -> torch.Tensor:
    return margins.constraints(**data())


def path(at=(1, 3, 9)) -> margins.Path:
    return margins.descend(**data(), loss="exponential", at=at, normalized=1.0)


def pair() -> dict:
    """Two problems, their run and their SVMs."""
    X, y = (torch.stack([part, part]) for part in data().values())
    return dict(path=margins.descend(X, y, "exponential", at=[5, 9], normalized=1.0), X=X, y=y, svms=[svm(), svm()])


def matrices(rows: int = 3) -> torch.Tensor:
    return torch.randn(rows, 3, 2, dtype=F64, generator=torch.Generator().manual_seed(4))


DATA = {"X": "columns", "K": "none"}
OF_DATA = {"X": "y", "K": "y"}

CALLS = {
    "implicitly.margins.svm.constraints": Call(lambda: data() | dict(K=3), accepts=DATA, names=OF_DATA),
    "implicitly.margins.svm.MaxMargin": Call(
        lambda: dict(vars(svm())), accepts={"W": "columns", "rate": "zero size", "flaw": "zero size"},
        names={"W": "alpha", "alpha": "slack"},
    ),
    "implicitly.margins.svm.hard_margin_svm": Call(lambda: data() | dict(K=3), accepts=DATA, names=OF_DATA),
    "implicitly.margins.svm.polynomial_limit": Call(lambda: data() | dict(K=3), accepts=DATA, names=OF_DATA),
    "implicitly.margins.svm.direction_error": Call(
        lambda: dict(W=matrices(), target=matrices()[0]), accepts={"W": "rows empty dims", "target": "dims"},
        names={"W": "target"},
    ),
    "implicitly.margins.svm.angle": Call(
        lambda: dict(W=matrices(), target=matrices()[0]), accepts={"W": "rows empty dims", "target": "dims"},
        names={"W": "target"},
    ),
    "implicitly.margins.svm.relative_margin": Call(
        lambda: dict(W=matrices(), **data(), svm=svm()), accepts={"W": "rows empty dims"}
    ),
    "implicitly.margins.limits.log_time_flow": Call(
        lambda: dict(Z=constraints(), loss="exponential", log_times=[-11.5, -11.0], classes=3),
        accepts={"Z": "columns"}, names={"classes": "Z"},
    ),
    "implicitly.margins.limits.mirror_use": Call(
        lambda: dict(path=path(), X=data()["X"], svm=svm(), normalized=1.0), accepts={"normalized": "size"}
    ),
    "implicitly.margins.limits.step_factor": Call(
        lambda: dict(X=data()["X"], svm=svm(), normalized=1.0), accepts={"normalized": "size"}
    ),
    "implicitly.margins.limits.residual_limit": Call(
        lambda: dict(svm=svm(), Z=constraints(), factor=1.0), accepts={"factor": "size"}
    ),
    "implicitly.margins.limits.direction_constant": Call(lambda: dict(svm=svm(), Z=constraints())),
    "implicitly.margins.limits.dual_errors": Call(
        lambda: dict(path=path(), **data(), loss="exponential", svm=svm(), factor=1.0), accepts={"factor": "size"}
    ),
    "implicitly.margins.limits.margin_constants": Call(pair, names={"X": "y"}),
    "implicitly.margins.limits.settling_modes": Call(lambda: dict(svm=svm(), Z=constraints())),
}  # fmt: skip
