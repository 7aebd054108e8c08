"""Valid calls of `implicitly.continual.orderings`."""

import torch

from calls import Call

ORDERINGS = "implicitly.continual.orderings."


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def orders():
    return torch.tensor([[0, 2, 1, 3], [3, 1, 0, 2]])


CALLS = {
    ORDERINGS + "cyclic_order": Call(lambda: dict(T=3, k=7), accepts={"k": "zero"}),
    ORDERINGS + "random_orders": Call(
        lambda: dict(T=5, k=4, replacement=False, runs=3, generator=rng()), accepts={"k": "zero", "runs": "zero"},
    ),
    ORDERINGS + "all_orders": Call(lambda: dict(T=3)),
    ORDERINGS + "shuffle_after": Call(
        lambda: dict(order=orders(), keep=torch.tensor([1, 3]), generator=rng()),
        accepts={"order": "columns sign large"}, names={"order": "keep"},
    ),
    ORDERINGS + "greedy_share": Call(
        lambda: dict(steps=torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.1, 0.1]]), beta=0.25),
        accepts={"steps": "rows columns empty dtype", "beta": "zero size"},
    ),
}  # fmt: skip
