"""Valid calls of `implicitly.continual.polyhedra`."""

import torch

from calls import Call
from implicitly.continual import margin_tasks

F64 = torch.float64
POLYHEDRA = "implicitly.continual.polyhedra."


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def samples():
    return margin_tasks(3, 4, n=2, generator=rng())


def weights():
    return torch.randn(4, generator=rng(1), dtype=F64)


CALLS = {
    POLYHEDRA + "nearest_point": Call(
        lambda: dict(w=weights(), Z=samples()[0]), accepts={"Z": "rows empty"}, names={"Z": "w"},
    ),
    POLYHEDRA + "sequential_max_margin": Call(
        lambda: dict(w=weights(), Z=samples(), order=torch.tensor([0, 2, 1, 2])),
        accepts={"order": "rows empty", "Z": "rows"}, names={"Z": "w order"},
    ),
    POLYHEDRA + "margin_tasks": Call(
        lambda: dict(T=3, d=4, n=2, margin=0.7, generator=rng()),
    ),
}  # fmt: skip
