"""Valid calls of `implicitly.langevin`."""

import torch

from calls import Call
from implicitly.langevin import TanhNet


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def batch():
    net, g = TanhNet(2), rng(1)
    return dict(
        self=net, theta=net.sample_prior(3, rng()).double(), x=torch.randn(5, 64, generator=g, dtype=torch.float64),
        y=(torch.rand(5, generator=g, dtype=torch.float64) < 0.5).double(),
    )  # fmt: skip


ON_DATA = Call(batch, accepts={"theta": "rows empty"}, names={"theta": "x", "x": "y", "y": "x"})

CALLS = {
    "implicitly.data.digits": Call(lambda: dict(N=20, flip=0.3, seed=1), accepts={"flip": "zero size",
                                                                                            "seed": "zero"}),
    "implicitly.langevin.digit_nets.TanhNet": Call(lambda: dict(width=2)),
    "implicitly.langevin.digit_nets.TanhNet.sample_prior": Call(
        lambda: dict(self=TanhNet(2), chains=3, generator=rng()), accepts={"chains": "zero"}
    ),
    "implicitly.langevin.digit_nets.TanhNet.loss_and_grad": ON_DATA,
    "implicitly.langevin.digit_nets.TanhNet.loss": ON_DATA,
    "implicitly.langevin.digit_nets.TanhNet.error": ON_DATA,
    "implicitly.langevin.digit_nets.langevin_run": Call(
        lambda: dict(beta=50.0, N=20, flip=0.3, seed=1, width=2, chains=2, steps=3, eta=0.05, record=2),
        accepts={"beta": "size", "flip": "zero size", "seed": "zero", "eta": "size none", "record": "none"},
        raises=(FloatingPointError,),
    ),
}  # fmt: skip
