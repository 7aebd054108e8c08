"""Valid calls of `implicitly.continual.bounds`."""

import torch

from calls import Call

F64 = torch.float64
BOUNDS = "implicitly.continual.bounds."


def lengths():
    return torch.tensor([[0.5, 0.1, 0.3], [0.2, 0.2, 0.1]], dtype=F64)


CALLS = {
    BOUNDS + "universal_bound": Call(lambda: dict(k=7, h=0.4), accepts={"k": "zero", "h": "size"}),
    BOUNDS + "dimension_bound": Call(lambda: dict(k=7, codimension=4.5), accepts={"codimension": "zero size"}),
    BOUNDS + "root_dimension_bound": Call(lambda: dict(k=7, codimension=4.5), accepts={"codimension": "zero size"}),
    BOUNDS + "rank_bound": Call(lambda: dict(k=7, T=5, mean_rank=2.5), accepts={"mean_rank": "zero size"}),
    BOUNDS + "shuffled_bound": Call(lambda: dict(T=9, codimension=4.5), accepts={"codimension": "zero size none"}),
    BOUNDS + "forgetting_bound": Call(
        lambda: dict(k=4, codimension=4.5, replacement=False, T=9, mean_rank=2.5),
        accepts={"codimension": "zero size", "mean_rank": "zero size none"},
    ),
    BOUNDS + "forgetting_bound#with replacement": Call(
        lambda: dict(k=4, codimension=0.5, replacement=True, T=9, mean_rank=2.5),
        accepts={"codimension": "zero size", "T": "none", "mean_rank": "zero size none"},
    ),
    BOUNDS + "increasing_bound": Call(
        lambda: dict(h=torch.tensor([0.5, 0.4, 0.3], dtype=F64), last=0.2), accepts={"h": "rows empty"},
    ),
    BOUNDS + "lower_bound": Call(lambda: dict(k=5)),
    BOUNDS + "greedy_line_bound": Call(lambda: dict(T=5)),
    BOUNDS + "greedy_repetition_bound": Call(lambda: dict(k=5), accepts={"k": "zero"}),
    BOUNDS + "step_inequality": Call(
        lambda: dict(steps=lengths()), accepts={"steps": "rows columns empty dtype"},
    ),
    BOUNDS + "hybrid_threshold": Call(lambda: dict(T=200, C=13.0, alpha=0.5), accepts={"alpha": "size"}),
    BOUNDS + "trap_bound": Call(lambda: dict(d=30)),
}  # fmt: skip
