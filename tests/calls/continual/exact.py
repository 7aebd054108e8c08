"""Valid calls of `implicitly.continual.exact`."""

import torch

from calls import Call
from implicitly.continual import random_tasks

F64 = torch.float64
EXACT = "implicitly.continual.exact."


def tasks():
    return random_tasks(4, 5, 2, generator=torch.Generator().manual_seed(0))


def moved(**more):
    of = tasks()
    return dict(e=of.error, basis=of.basis, s2=of.s2, **more)


def matrix(**more):
    of = tasks()
    return dict(basis=of.basis, s2=of.s2, **more)


def lines():
    g = torch.Generator().manual_seed(2)
    return dict(directions=torch.randn(4, 3, generator=g, dtype=F64), start=torch.randn(3, generator=g, dtype=F64))


def sizes():
    return torch.tensor([0.9, 0.5, 0.3], dtype=F64)


NAMES = {"e": "basis", "basis": "s2", "s2": "basis"}

CALLS = {
    EXACT + "second_moment": Call(lambda: moved(k=4), accepts={"k": "zero"}, names=NAMES),
    EXACT + "second_moment#ridge": Call(
        lambda: moved(k=3, filter="ridge", strength=sizes()), accepts={"strength": "dims dtype ints list number"},
        names=NAMES | {"k": "strength"},
    ),
    EXACT + "second_moment#budget": Call(
        lambda: moved(k=3, filter="budget", strength=2, gamma=0.5), accepts={"k": "zero", "gamma": "size"},
        names=NAMES | {"s2": "basis gamma"},
    ),
    EXACT + "loss_matrix": Call(
        lambda: matrix(k=4, of="distance"), accepts={"k": "zero", "basis": "columns"}, names=NAMES,
    ),
    EXACT + "loss_matrix#ridge": Call(
        lambda: matrix(k=3, filter="ridge", strength=sizes()),
        accepts={"strength": "dims dtype ints list number", "basis": "columns"}, names=NAMES | {"k": "strength"},
    ),
    EXACT + "pair_loss": Call(
        lambda: dict(theta=torch.tensor([0.3, 1.0], dtype=F64), steps=sizes()),
        accepts={"theta": "rows empty", "steps": "rows empty"},
    ),
    EXACT + "pair_losses": Call(
        lambda: dict(theta=torch.tensor([0.3, 1.0], dtype=F64), steps=sizes()),
        accepts={"theta": "rows empty", "steps": "rows empty"},
    ),
    EXACT + "worst_pair": Call(lambda: dict(steps=sizes()), accepts={"steps": "rows empty"}),
    EXACT + "shuffled_lines": Call(lines, accepts={"directions": "rows"}, names={"directions": "start"}),
    EXACT + "best_line_distance": Call(lines, accepts={"directions": "rows"}, names={"directions": "start"}),
}  # fmt: skip
