"""Valid calls of `implicitly.equivariance.nets`."""

import torch

from calls import Call
from implicitly.equivariance import Design, ShiftNet

NETS = "implicitly.equivariance.nets."


def net():
    return ShiftNet(Design(), seed=0, width=4, heads=2, size=8).requires_grad_(False)


def given():
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    return dict(self=net(), x=x)


CALLS = {
    NETS + "Design": Call(
        lambda: dict(activation="gelu", factor=2.0, attention="softmax", norm="token", down="stride", positions=True),
        accepts={"factor": "none"},
    ),
    NETS + "ShiftNet": Call(
        lambda: dict(design=Design(), seed=0, width=4, heads=2, classes=3, size=8), accepts={"seed": "zero"},
        names={"heads": "width"},
    ),
    NETS + "ShiftNet.forward": Call(given, accepts={"x": "rows empty"}),
    NETS + "ShiftNet.tokens": Call(given, accepts={"x": "rows empty"}),
}  # fmt: skip
