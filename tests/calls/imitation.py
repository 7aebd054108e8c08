"""Valid calls of `implicitly.imitation`."""

import torch

from calls import Call
from implicitly import imitation

F64 = torch.float64
LOOPS, CLONING, PENDULUM = (f"implicitly.imitation.{name}." for name in ("loops", "cloning", "pendulum"))


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def gauss(*shape, seed=7):
    return 0.3 * torch.randn(*shape, generator=rng(seed), dtype=F64)


def loop(radius=0.9):
    return imitation.random_loop(3, radius, generator=rng())


def policy():
    return imitation.Policy(gauss(2, 2, 5), gauss(2, 1, 5), gauss(2, 5, 1), gauss(2, 1, 1))


CALLS = {
    LOOPS + "random_loop": Call(
        lambda: dict(d=3, radius=0.9, generator=rng()), accepts={"radius": "zero size"}
    ),
    LOOPS + "rollout_cost": Call(
        lambda: dict(M=gauss(2, 3, 3), horizon=5), accepts={"M": "dims empty rows"}
    ),
    LOOPS + "spectral_radius": Call(lambda: dict(M=gauss(2, 3, 3)), accepts={"M": "dims empty rows"}),
    LOOPS + "geometric_cost": Call(lambda: dict(radius=0.9, horizon=5), accepts={"radius": "zero size"}),
    LOOPS + "worst_error": Call(lambda: dict(M=loop(), size=0.2), accepts={"size": "zero size"}),
    LOOPS + "unstable_share": Call(
        lambda: dict(M=loop(), spread=0.1), accepts={"spread": "number size list"}
    ),
    LOOPS + "unstable_share#several": Call(
        lambda: dict(M=loop(), spread=torch.tensor([0.1, 0.2], dtype=F64)),
        accepts={"spread": "rows empty dims number list dtype"},
    ),
    CLONING + "clone": Call(
        lambda: dict(start=gauss(2, 3, 4), eta=0.1, batch=4, noise=0.3, steps=5, seeds=[0, 1]),
        accepts={"start": "columns", "noise": "zero size", "eta": "size"}, names={"start": "seeds"},
    ),
    CLONING + "moving_average": Call(
        lambda: dict(values=gauss(2, 5, 3), decay=0.9),
        accepts={"values": "rows columns dims empty dtype", "decay": "zero size"},
    ),
    CLONING + "one_step_excess": Call(
        lambda: dict(d=4, p=3, eta=0.05, batch=8, noise=0.3), accepts={"noise": "zero size", "eta": "size"}
    ),
    CLONING + "averaging_gain": Call(lambda: dict(eta=0.05, decay=0.99), accepts={"eta": "size", "decay": "zero size"}),
    CLONING + "equal_step": Call(
        lambda: dict(d=4, eta=0.05, batch=8, decay=0.99), accepts={"eta": "size", "decay": "zero size"}
    ),
    PENDULUM + "Policy.__call__": Call(lambda: dict(self=policy(), x=gauss(3, 2)), accepts={"x": "rows dims empty"}),
    PENDULUM + "pendulum_step": Call(
        lambda: dict(x=gauss(3, 2), torque=gauss(3, 1)), names={"x": "torque"}, accepts={"x": "sign"}
    ),
    PENDULUM + "pendulum_expert": Call(
        lambda: dict(x=gauss(3, 2), stiffness=0.1, damping=0.3),
        accepts={"x": "rows dims empty", "stiffness": "zero size", "damping": "zero size"},
    ),
    PENDULUM + "clone_pendulum": Call(
        lambda: dict(eta=0.1, batch=4, noise=0.3, steps=6, seeds=[0, 1], decays=[0.0, 0.9], look=2, width=3),
        accepts={"eta": "size", "noise": "zero size", "decays": "list", "look": "none"},
    ),
    PENDULUM + "pendulum_cost": Call(
        lambda: dict(policy=imitation.pendulum_expert, start=gauss(3, 2), horizon=4), accepts={"start": "rows"}
    ),
}
