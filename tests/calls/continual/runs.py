"""Valid calls of `implicitly.continual.runs`."""

import torch

from calls import Call
from implicitly.continual import random_tasks

F64 = torch.float64
RUNS = "implicitly.continual.runs."


def tasks():
    return random_tasks(4, 5, 2, generator=torch.Generator().manual_seed(0))


def errors():
    return torch.randn(3, 5, generator=torch.Generator().manual_seed(1), dtype=F64)


def on_tasks(**more):
    of = tasks()
    return dict(e=errors(), basis=of.basis, s2=of.s2, **more)


def orders():
    return torch.tensor([[0, 2, 1, 3, 0], [3, 1, 0, 2, 0], [1, 1, 1, 0, 2]])


# A size that does not match is told of one of the two.
SIZES = {"e": "basis order", "basis": "s2 shift", "s2": "basis shift", "shift": "basis s2", "order": "e"}

CALLS = {
    RUNS + "task_losses": Call(lambda: on_tasks(shift=tasks().shift), accepts={"e": "rows empty", "shift": "none"},
                               names=SIZES),
    RUNS + "task_distances": Call(
        lambda: dict(e=errors(), basis=tasks().basis, shift=tasks().shift),
        accepts={"e": "rows empty", "shift": "none"}, names=SIZES,
    ),
    RUNS + "forgetting": Call(
        lambda: on_tasks(order=orders(), shift=tasks().shift),
        accepts={"order": "columns", "shift": "none"}, names=SIZES,
    ),
    RUNS + "run_tasks": Call(
        lambda: on_tasks(order=orders(), filter="ridge", strength=0.3, shift=tasks().shift, record=[0, 3, 5]),
        accepts={"order": "columns", "strength": "zero size number", "shift": "none", "record": "none empty"},
        names=SIZES | {"order": "e record", "gamma": "strength"},
    ),
    RUNS + "run_tasks#budget": Call(
        lambda: on_tasks(order=orders(), filter="budget", strength=torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0]), gamma=0.5),
        accepts={"strength": "dims dtype ints list number", "gamma": "size"},
        names=SIZES | {"order": "e strength", "s2": "basis gamma"},
    ),
    RUNS + "run_tasks#greedy": Call(
        lambda: on_tasks(rule="distance", repetition=True, steps=6),
        accepts={"e": "rows empty", "steps": "zero", "rule": ""}, names=SIZES | {"rule": "order"},
    ),
    RUNS + "learn": Call(
        lambda: dict(tasks=tasks(), rule="residual", repetition=False, steps=3, data=True, record=[0, 2]),
        accepts={"steps": "none", "record": "none empty"}, names={"rule": "order", "steps": "record"},
    ),
    RUNS + "learn#orders": Call(
        lambda: dict(tasks=tasks(), order=orders(), filter="ridge", strength=0.1),
        accepts={"order": "rows columns empty", "strength": "zero size number"},
    ),
}  # fmt: skip
