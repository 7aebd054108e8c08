"""Valid calls of `implicitly.low_rank`."""

import torch

from calls import Call
from implicitly import low_rank

F64 = torch.float64
PROB, EST, OPT, REG = (f"implicitly.low_rank.{name}." for name in
                       ("probabilities", "estimators", "optimizer", "regression"))  # fmt: skip


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def gauss(*shape, seed=7):
    return torch.randn(*shape, generator=rng(seed), dtype=F64)


def sigma():
    return torch.tensor([3.0, 1.5, 0.5, 0.25], dtype=F64)


def p():
    return torch.tensor([1.0, 0.5, 0.25, 0.25], dtype=F64)


def drawn(seed=0):
    return low_rank.draw_projection(gauss(3, 5), 2, generator=rng(seed))


OPTIONS = dict(lr=0.1, rank=2, interval=3, kind="plumage", floor=0.25, keep_head=True, weight="root", rule="adam",
               betas=(0.9, 0.99), eps=1e-8, weight_decay=0.5, realign=True, maximize=False, foreach=True, seed=1)
CALLS = {
    PROB + "inclusion_probabilities": Call(
        lambda: dict(sigma=sigma(), rank=2, floor=0.25, keep_head=True, cutoff=0.01),
        accepts={"sigma": "rows columns dims dtype", "floor": "zero size", "cutoff": "zero size"},
        names={"rank": "sigma"},
    ),
    PROB + "systematic_sample": Call(lambda: dict(p=p(), generator=rng()), accepts={"p": "dims dtype"}),
    PROB + "systematic_sample#spin": Call(
        lambda: dict(p=p(), spin=torch.tensor(0.3, dtype=F64)), names={"p": "spin"}, accepts={"p": "dtype"},
    ),
    PROB + "wheel_outcomes": Call(lambda: dict(p=p()), accepts={"p": "dtype"}),
    PROB + "sampling_error": Call(lambda: dict(energy=sigma(), p=p()), names={"energy": "p", "p": "energy"},
                                  accepts={"energy": "dtype", "p": "dtype"}),
    PROB + "expected_error": Call(lambda: dict(sigma=sigma(), rank=2, kind="haar"), names={"rank": "sigma"},
                                  accepts={"sigma": "rows columns dims dtype"}),
    PROB + "certificate": Call(lambda: dict(sigma=sigma(), rank=2), accepts={"sigma": "rows columns dims dtype"}),
    PROB + "lower_bound": Call(lambda: dict(sigma=sigma(), w=sigma(), rank=2), names={"sigma": "w"},
                               accepts={"sigma": "dtype", "w": "dtype"}),
    PROB + "crossing": Call(lambda: dict(sigma=sigma(), rank=2), accepts={"sigma": "rows columns dims dtype"}),
    PROB + "window_multiplier": Call(lambda: dict(p=p(), a=0.1, steps=3, power=2),
                                     accepts={"p": "rows columns dims empty dtype", "a": "zero size"}),
    EST + "Projection": Call(lambda: dict(basis=drawn().basis, weight=drawn().weight, transposed=False),
                             names={"basis": "weight"}, accepts={"basis": "rows"}),
    EST + "Projection.project": Call(lambda: dict(self=drawn(), G=gauss(3, 5)), accepts={"G": "columns empty"}),
    EST + "Projection.lift": Call(lambda: dict(self=drawn(), Y=gauss(2, 5)), accepts={"Y": "columns empty"}),
    EST + "Projection.estimate": Call(lambda: dict(self=drawn(), G=gauss(3, 5)), accepts={"G": "columns empty"}),
    EST + "left_basis": Call(lambda: dict(G=gauss(3, 5)), accepts={"G": "rows columns dims dtype"}),
    EST + "draw_projection": Call(
        lambda: dict(G=gauss(3, 5), rank=2, kind="plumage", generator=rng(), floor=0.25, keep_head=True),
        accepts={"G": "rows columns dims dtype", "floor": "zero size"}, names={"rank": "G"},
    ),
    EST + "realignment": Call(lambda: dict(new=drawn(0), old=drawn(1))),
    EST + "realign": Call(lambda: dict(R=gauss(2, 2), first=gauss(2, 5), second=gauss(2, 5).square()),
                          names={"R": "first", "first": "second", "second": "first"}, accepts={"R": "rows empty"}),
    OPT + "optimizer_numbers": Call(lambda: dict(m=5, n=7, rank=2, rule="adam"), accepts={"rank": "none"}),
    OPT + "LowRank": Call(
        lambda: dict(params=[gauss(3, 5)], **OPTIONS),
        accepts={"weight": "none", "foreach": "none", "floor": "zero size", "lr": "zero size",
                 "eps": "zero size", "weight_decay": "zero size", "seed": "zero"},
        skip={"params": "torch.optim.Optimizer checks it"},
    ),
    REG + "NoisyOutputs": Call(lambda: dict(m=3, n=4, noisy=1, strong=2.0, weak=0.5, batch=2),
                               accepts={"strong": "zero size", "weak": "zero size", "noisy": "zero"},
                               names={"m": "n noisy"}),
    REG + "train": Call(
        lambda: dict(task=low_rank.NoisyOutputs(3, 4, 1, 2.0, 0.5, 2), settings={"a": {"lr": 0.1, "rank": 2}}, steps=3,
                     seeds=[0, 1], levels=[0.5, 2.0], looks=2, cosine=True, limit=100.0),
        accepts={"limit": "size", "levels": "none"},
        skip={"settings": "options of LowRank, checked there"},
    ),
}  # fmt: skip
