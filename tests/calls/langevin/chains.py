"""Valid calls of `implicitly.langevin`."""

import torch

from calls import Call
from implicitly.langevin import OrnsteinUhlenbeck

F64 = torch.float64


def points(rows=3, seed=0):
    return torch.randn(rows, 2, generator=rng(seed), dtype=F64)


def rng(seed=1):
    return torch.Generator().manual_seed(seed)


def quadratic(x):
    return x.square().sum(1) / 2, x


def law():
    return OrnsteinUhlenbeck(a=1.0, m=0.5, s2=2.0, beta=3.0, d=2)


def prior():
    return torch.tensor([0.5, 2.0], dtype=F64)


def at(**more):
    return dict(self=law(), t=torch.tensor([0.0, 0.5, 2.0], dtype=F64), **more)


TIMES = {"t": "rows dims empty"}
# A length that does not match is told of one of the two.
PAIRS = {"theta": "grad", "grad": "theta"}

CALLS = {
    "implicitly.langevin.chains.reflect": Call(
        lambda: dict(z=5 * points(), box=1.7),
        accepts={"z": "rows columns dims empty dtype", "box": "list size"},
    ),
    "implicitly.langevin.chains.reflect#box per coordinate": Call(
        lambda: dict(z=5 * points(), box=prior()),
        accepts={"z": "rows dims empty dtype", "box": "number list dims ints dtype"}, names={"z": "box"},
    ),
    "implicitly.langevin.chains.langevin_step": Call(
        lambda: dict(theta=points(), grad=points(seed=2), beta=2.0, eta=0.1, prior_var=prior(), noise=points(seed=3)),
        accepts={"beta": "size", "eta": "size", "prior_var": "number list dims ints dtype"},
        names=PAIRS | {"theta": "grad prior_var"},
        raises=(FloatingPointError,),
    ),
    "implicitly.langevin.chains.langevin_step#box": Call(
        lambda: dict(theta=points(), grad=points(seed=2), beta=2.0, eta=0.1, box=0.7, generator=rng()),
        accepts={"beta": "size", "eta": "size", "box": "size"}, names=PAIRS, raises=(FloatingPointError,),
    ),
    "implicitly.langevin.chains.mala_step": Call(
        lambda: dict(theta=points(), value_and_grad=quadratic, beta=2.0, eta=0.1, prior_var=prior(), generator=rng()),
        accepts={"theta": "rows empty dtype", "beta": "size", "eta": "size",
                 "prior_var": "number list dims ints dtype"},
        names={"theta": "prior_var"},
    ),
    "implicitly.langevin.chains.mala_step#box": Call(
        lambda: dict(theta=points().tanh(), value_and_grad=quadratic, beta=2.0, eta=0.1, box=1.7, generator=rng()),
        accepts={"theta": "rows columns empty dtype", "beta": "size", "eta": "size", "box": "size"},
        names={"box": "theta"},
    ),
    "implicitly.langevin.chains.run_chains": Call(
        lambda: dict(theta=points(), value_and_grad=quadratic, steps=4, beta=2.0, eta=0.1, adjust=False, prior_var=1.3,
                     generator=rng()),
        accepts={"theta": "rows columns empty dtype", "beta": "size", "eta": "size", "prior_var": "list size",
                 "steps": "zero"},
        raises=(FloatingPointError,),
    ),
    "implicitly.langevin.chains.run_chains#adjusted in a box": Call(
        lambda: dict(theta=points().tanh(), value_and_grad=quadratic, steps=4, beta=2.0, eta=0.1, adjust=True,
                     box=torch.ones(2, dtype=F64), generator=rng()),
        accepts={"theta": "rows empty dtype", "beta": "size", "eta": "size", "steps": "zero",
                 "box": "number list dims ints dtype"},
        names={"theta": "box", "box": "theta"},
    ),
    "implicitly.chance.kolmogorov_distance": Call(
        lambda: dict(sample=points().flatten(), grid=torch.linspace(-4, 4, 9, dtype=F64),
                     density=torch.linspace(0, 1, 9, dtype=F64)),
        accepts={"sample": "rows dtype", "grid": "dtype", "density": "dtype"}, names={"density": "grid"},
    ),
    "implicitly.langevin.ornstein_uhlenbeck.OrnsteinUhlenbeck": Call(
        lambda: dict(a=1.0, m=0.5, s2=2.0, beta=3.0, d=2),
        accepts={"a": "size", "m": "sign zero size", "s2": "size", "beta": "size"},
    ),
    **{f"implicitly.langevin.ornstein_uhlenbeck.OrnsteinUhlenbeck.{name}": Call(at, accepts=TIMES)
       for name in ("mean", "var", "kl_prior", "kl_stationary", "energy", "budget")},
    "implicitly.langevin.ornstein_uhlenbeck.OrnsteinUhlenbeck.euler_law": Call(
        lambda: dict(self=law(), steps=torch.tensor([0, 1, 7]), eta=0.3),
        accepts={"steps": "rows dims empty large", "eta": "size"},
    ),
    "implicitly.langevin.ornstein_uhlenbeck.gauss_kl": Call(
        lambda: dict(mean=torch.tensor([0.0, 1.0], dtype=F64), var=prior(), other_mean=0.5, other_var=1.5),
        accepts={"other_mean": "sign zero size", "other_var": "size"}, names={"mean": "var"},
    ),
    "implicitly.langevin.chains.path_budget": Call(
        lambda: dict(times=torch.tensor([0.0, 0.5, 2.0], dtype=F64), grad=torch.tensor([1.0, 0.5, 0.2], dtype=F64),
                     beta=3.0),
        accepts={"beta": "size"}, names={"times": "grad", "grad": "times"},
    ),
    "implicitly.langevin.chains.path_budget#prior": Call(
        lambda: dict(times=torch.tensor([0.0, 0.5, 2.0], dtype=F64), grad=torch.tensor([1.0, 0.5, 0.2], dtype=F64),
                     beta=3.0, prior_var=0.5),
        accepts={"beta": "size", "prior_var": "size none"}, names={"times": "grad", "grad": "times"},
    ),
}  # fmt: skip
