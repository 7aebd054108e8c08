"""Valid calls of `implicitly.continual.probes`."""

import torch

from calls import Call
from implicitly.continual import digit_pairs

F64 = torch.float64
PROBES = "implicitly.continual.probes."


def fit():
    g = torch.Generator().manual_seed(0)
    return dict(w=torch.randn(3, 4, generator=g, dtype=F64), X=torch.randn(3, 6, 4, generator=g, dtype=F64),
                y=torch.tensor([1.0, -1.0], dtype=F64).repeat(3, 3))  # fmt: skip


CALLS = {
    PROBES + "digit_pairs": Call(lambda: dict(T=3, n=4, features=5, seed=1), accepts={"seed": "zero"}),
    PROBES + "digit_tasks": Call(lambda: dict(T=3, n=4, features=20, seed=1), accepts={"seed": "zero"}),
    PROBES + "fit_logistic": Call(
        lambda: dict(**fit(), lam=0.1, smoothing=0.05, steps=3), accepts={"smoothing": "zero size", "steps": "zero"},
        names={"w": "X", "X": "y", "y": "X"},
    ),
    PROBES + "DigitPairs": Call(
        lambda: {name: fit()[name.removesuffix("_test")] for name in ("X", "y", "X_test", "y_test")},
        accepts={"X": "", "X_test": ""}, names={"X": "y X_test", "X_test": "y_test"},
    ),
    PROBES + "probe_run": Call(
        lambda: dict(pairs=digit_pairs(3, n=4, features=5), rule="random", lam=0.1, smoothing=0.05, runs=2,
                     generator=torch.Generator().manual_seed(0)),
        accepts={"smoothing": "zero size"},
    ),
    PROBES + "probe_run#greedy": Call(
        lambda: dict(pairs=digit_pairs(3, n=4, features=5), rule="distance", lam=0.1),
    ),
    PROBES + "probe_run#look": Call(
        lambda: dict(pairs=digit_pairs(3, n=4, features=5), rule="residual", lam=0.1, look=2), accepts={"look": "none"},
    ),
}  # fmt: skip
