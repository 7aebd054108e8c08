"""Valid calls of `implicitly.continual.traps`."""

import torch

from calls import Call
from implicitly.continual import Trap

TRAPS = "implicitly.continual.traps."


def error():
    return torch.randn(9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


CALLS = {
    TRAPS + "space_trap": Call(lambda: dict(K=3)),
    TRAPS + "space_trap_loss": Call(lambda: dict(K=3)),
    TRAPS + "Trap": Call(lambda: dict(d=9)),
    TRAPS + "Trap.distances": Call(lambda: dict(self=Trap(9), e=error())),
    TRAPS + "Trap.step": Call(lambda: dict(self=Trap(9), e=error(), m=3), accepts={"m": "zero"}),
    TRAPS + "Trap.run": Call(
        lambda: dict(self=Trap(9), repetition=True, steps=12), accepts={"steps": "zero none"},
        names={"repetition": "steps"},
    ),
    TRAPS + "Trap.run#order": Call(
        lambda: dict(self=Trap(9), order=torch.tensor([3, 1, 0])), accepts={"order": "rows empty none"},
    ),
}  # fmt: skip
