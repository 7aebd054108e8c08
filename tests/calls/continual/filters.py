"""Valid calls of `implicitly.continual.filters`."""

import torch

from calls import Call

F64 = torch.float64
FILTERS = "implicitly.continual.filters."


def values():
    return torch.tensor([[0.0, 0.3], [0.7, 1.0]], dtype=F64)


def sizes():
    return torch.tensor([0.9, 0.5, 0.3], dtype=F64)


CALLS = {
    FILTERS + "shrink": Call(
        lambda: dict(s2=values(), filter="ridge", strength=0.5),
        accepts={"s2": "rows columns dims empty dtype", "strength": "zero size"},
    ),
    FILTERS + "shrink#budget": Call(
        lambda: dict(s2=values(), filter="budget", strength=5, gamma=0.3),
        accepts={"s2": "rows columns dims empty dtype", "gamma": "size"},
    ),
    FILTERS + "effective_step": Call(
        lambda: dict(filter="ridge", strength=torch.tensor([0.0, 1.0, 7.0], dtype=F64), R=1.5),
        accepts={"strength": "rows dims empty dtype ints list number"},
    ),
    FILTERS + "effective_step#budget": Call(
        lambda: dict(filter="budget", strength=torch.tensor([1.0, 2.0, 7.0], dtype=F64), R=1.5, gamma=0.2),
        accepts={"strength": "rows dims empty dtype ints list", "gamma": "size"}, names={"R": "gamma"},
    ),
    FILTERS + "strength_for": Call(
        lambda: dict(filter="ridge", h=sizes(), R=1.5),
        accepts={"h": "rows dims empty dtype list number"},
    ),
    FILTERS + "strength_for#budget": Call(
        lambda: dict(filter="budget", h=sizes(), R=1.5, gamma=0.1),
        accepts={"h": "rows dims empty dtype list number", "gamma": "size"}, names={"R": "gamma", "gamma": "h"},
    ),
    FILTERS + "step_schedule": Call(lambda: dict(kind="increasing", k=5, h0=0.7), accepts={"h0": "size"}),
}  # fmt: skip
