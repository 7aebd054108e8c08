"""Valid calls of `implicitly.continual.tasks`."""

import torch

from calls import Call

F64 = torch.float64
TASKS = "implicitly.continual.tasks."


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(m=3, seed=0):
    return torch.randn(m, 4, generator=rng(seed), dtype=F64)


CALLS = {
    TASKS + "Tasks": Call(
        lambda: dict(X=[rows(2), rows(1, 1)], y=[rows()[0, :2].clone(), rows()[1, :1].clone()], start=rows()[2].clone(),
                     cut=1e-9),
        accepts={"y": "none", "start": "none", "cut": "size"}, names={"y": "X", "X": "y"},
    ),
    TASKS + "random_tasks": Call(
        lambda: dict(T=3, d=5, r=2, condition=10.0, generator=rng()),
    ),
    TASKS + "line_tasks": Call(
        lambda: dict(directions=rows(), start=rows(1, 1)[0]), accepts={"directions": "rows"},
        names={"directions": "start"},
    ),
    TASKS + "fan_tasks": Call(lambda: dict(T=4, tilt=0.2), accepts={"tilt": "zero size"}),
    TASKS + "angle_pair": Call(lambda: dict(theta=0.4), accepts={"theta": "size"}),
    TASKS + "equicorrelated_lines": Call(lambda: dict(T=4)),
    TASKS + "orthogonal_tasks": Call(lambda: dict(T=4)),
}  # fmt: skip
