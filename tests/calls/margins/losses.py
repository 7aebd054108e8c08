"""Valid calls of `implicitly.margins`."""

import torch

from calls import Call
from implicitly import margins

F64 = torch.float64
LOSS = margins.LOSSES["pairlog"]


def data() -> tuple[torch.Tensor, torch.Tensor]:
    return margins.teacher_classes(5, 2, 3, seed=1)


def problems() -> dict:
    """Three problems of five samples each."""
    sets = [margins.teacher_classes(5, 2, 3, seed=s) for s in range(3)]
    X, y = (torch.stack(part) for part in zip(*sets, strict=True))
    return dict(X=X, y=y)


def weights() -> torch.Tensor:
    return torch.randn(3, 2, dtype=F64, generator=torch.Generator().manual_seed(2))


def some_margins() -> torch.Tensor:
    return 3 * torch.randn(4, 2, dtype=F64, generator=torch.Generator().manual_seed(3))


def path() -> margins.Path:
    return margins.descend(**problems(), loss="exponential", at=[1, 2, 4], classes=3, step_size=0.01)


def run(**more) -> dict:
    start = torch.stack([weights(), 2 * weights(), 3 * weights()])
    return problems() | dict(loss="cross-entropy", at=[0, 1, 3], classes=3, step_size=0.1, start=start) | more


RUN = {"start": "dims none", "at": "", "y": "", "classes": "none"}

CALLS = {
    "implicitly.margins.losses.PermLoss": Call(
        lambda: dict(name="own", log_psi=LOSS.log_psi, log_weights=LOSS.log_weights, log_curvature=LOSS.log_psi,
                     smoothness=LOSS.smoothness),
        accepts={"log_curvature": "none", "smoothness": "none", "name": "any"},
    ),
    "implicitly.margins.losses.PermLoss.psi": Call(
        lambda: dict(self=LOSS, u=some_margins()), accepts={"u": "rows columns dims empty dtype"}
    ),
    "implicitly.margins.risk.labels": Call(
        lambda: dict(name="y", y=data()[1], N=5, K=3), accepts={"name": "any", "K": "none"}, names={"N": "y"}
    ),
    "implicitly.margins.risk.wrong_classes": Call(
        lambda: dict(y=data()[1], K=3), accepts={"y": "rows dims empty"}, names={"K": "y"}
    ),
    "implicitly.margins.risk.relative_margins": Call(
        lambda: dict(scores=data()[0] @ weights().T, y=data()[1]),
        accepts={"scores": "dims dtype columns"}, names={"scores": "y"},
    ),
    "implicitly.margins.risk.log_risk": Call(
        lambda: dict(W=weights(), X=data()[0], y=data()[1], loss="pairlog"),
        accepts={"W": "dims rows", "X": "dims"}, names={"W": "X y", "X": "y"},
    ),
    "implicitly.margins.risk.log_risk#own": Call(
        lambda: dict(W=torch.stack([weights()] * 3), **problems(), loss=LOSS),
        accepts={"W": "dims", "X": "dims", "y": "dims"}, names={"W": "X y", "X": "y"},
    ),
    "implicitly.margins.risk.log_weights": Call(
        lambda: dict(W=weights(), X=data()[0], y=data()[1], loss="pairlog"),
        accepts={"W": "dims rows", "X": "dims"}, names={"W": "X y", "X": "y"},
    ),
    "implicitly.margins.losses.tail_violation": Call(
        lambda: dict(loss="cross-entropy", u=some_margins()), accepts={"u": "rows columns"}
    ),
    "implicitly.margins.losses.weights_error": Call(
        lambda: dict(loss="cross-entropy", u=some_margins()), accepts={"u": "rows columns"}
    ),
    "implicitly.margins.losses.curvature_use": Call(
        lambda: dict(loss="cross-entropy", u=some_margins()), accepts={"u": "rows columns"}
    ),
    "implicitly.margins.losses.score_curvature": Call(lambda: dict(loss="cross-entropy", K=3, seed=1, draws=4),
                                                   accepts={"seed": "zero"}),
    "implicitly.margins.descent.Path": Call(
        lambda: dict(vars(path())), accepts={"W": "columns", "log_time": "nonfinite"}, names={"W": "log_time log_risk",
                                                                                   "steps": "W"}
    ),
    "implicitly.margins.descent.Path.steps_around": Call(
        lambda: dict(self=path(), log_times=torch.tensor([-4.0, -3.5], dtype=F64)),
        accepts={"log_times": "rows list ints dtype"},
    ),
    "implicitly.margins.descent.Path.at": Call(
        lambda: dict(self=path(), log_times=torch.tensor([-4.0, -3.5], dtype=F64), problem=1),
        accepts={"log_times": "rows list ints dtype", "problem": "zero none"},
    ),
    "implicitly.margins.descent.Path.split": Call(lambda: dict(self=path())),
    "implicitly.margins.descent.descend": Call(
        run, accepts=RUN | {"step_size": "size"}, names={"X": "y start", "classes": "start"}, raises=(RuntimeError,)
    ),
    "implicitly.margins.descent.descend#normalized": Call(
        lambda: run(step_size=None, normalized=torch.tensor([1.0, 0.5, 0.1], dtype=F64)),
        accepts=RUN | {"normalized": "list dtype dims number"}, names={"X": "y start", "classes": "start"},
    ),
    "implicitly.margins.descent.descend#own": Call(
        lambda: run(loss=LOSS, start=None), accepts=RUN | {"step_size": "size", "X": "columns"}, names={"X": "y"},
        raises=(RuntimeError,),
    ),
    "implicitly.margins.classes.teacher_classes": Call(
        lambda: dict(N=4, d=2, K=3, seed=1, gap=0.3), accepts={"seed": "zero", "gap": "zero size"}
    ),
    "implicitly.margins.classes.sketch_classes": Call(lambda: dict(name="even")),
    "implicitly.data.digit_classes": Call(lambda: dict(N=3, seed=1), accepts={"seed": "zero"}),
}  # fmt: skip
