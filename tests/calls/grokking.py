"""Valid calls of `implicitly.grokking`."""

import torch

from calls import Call
from implicitly import grokking, margins

F64 = torch.float64
P, D, S, A = (f"implicitly.grokking.{name}." for name in ("precision", "descent", "losses", "addition"))


def gauss(*shape, seed=7):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def two_sets():
    sets = [margins.teacher_classes(5, 2, 2, seed=s) for s in (1, 2)]
    X, y = (torch.stack(part) for part in zip(*sets, strict=True))
    return dict(X=X, y=y)


def path():
    return grokking.descend_rounded(**two_sets(), bits=[4, 6, 8], step_size=0.5, at=[1, 5])


def run():
    return grokking.train_addition(4, 3, seeds=[0, 1], at=[0, 2])


CURVES = ("train", "test", "risk", "norm", "gradient", "collapsed")

CALLS = {
    P + "round_bits": Call(lambda: dict(x=gauss(3, 2), bits=8), accepts={"x": "rows columns dims empty dtype"}),
    P + "round_bits#several": Call(lambda: dict(x=gauss(3, 2), bits=torch.tensor([[4], [8], [12]])),
                                   accepts={"x": "columns dims dtype", "bits": "number columns dims"},
                                   names={"x": "bits"}),
    P + "softmax_forces": Call(lambda: dict(z=gauss(3, 4), y=torch.tensor([0, 3, 2]), bits=8, own="sum"),
                               accepts={"z": "dtype columns", "bits": "none", "y": ""}, names={"z": "y", "y": "z"}),
    P + "collapse_margin": Call(lambda: dict(bits=8)),
    P + "smallest_update": Call(lambda: dict(bits=8)),
    D + "descend_rounded": Call(
        lambda: two_sets() | dict(bits=[4, 6, 8], step_size=0.5, at=[0, 1, 5], rounded="weights"),
        accepts={"X": "columns", "step_size": "size"}, names={"X": "y", "y": "X"}),
    D + "RoundedPath": Call(
        lambda: dict(at=(1, 5), W=path().W, last_change=path().last_change, use=path().use),
        accepts={"W": "columns", "use": "size", "last_change": "large"}, names={"at": "W", "W": "at last_change use"}),
    D + "RoundedPath.margins": Call(lambda: dict(self=path()) | two_sets(), accepts={"X": ""},
                                    names={"X": "y", "y": "X"}),
    S + "stablemax": Call(lambda: dict(z=gauss(3, 4)), accepts={"z": "rows columns dims empty dtype"}),
    S + "inverse_square_limit": Call(lambda: {k: v[0] for k, v in two_sets().items()}, accepts={"X": "columns"},
                                     names={"X": "y", "y": "X"}, raises=(RuntimeError,)),
    A + "train_addition": Call(
        lambda: dict(n=4, width=3, seeds=[0, 1], at=[0, 2], share=0.5, rate=0.01, bits=8, own="sum", decay=0.5,
                     orthogonal=True, scale=0.5),
        accepts={"bits": "none", "decay": "zero size", "rate": "size", "scale": "size", "seeds": ""},
        names={"rate": "decay"}),
    A + "AdditionRun": Call(
        lambda: dict(at=(0, 2), **{name: getattr(run(), name) for name in CURVES}),
        names={"at": "train", "train": "at test"}),
}  # fmt: skip
