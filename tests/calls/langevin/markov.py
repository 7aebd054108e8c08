"""Valid calls of `implicitly.langevin`."""

import torch

from calls import Call
from implicitly import langevin

F64 = torch.float64


def laws(rows: int = 0, n: int = 4) -> torch.Tensor:
    shape = (rows, n) if rows else (n,)
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(rows)).softmax(-1)


def loss(rows: int = 3) -> torch.Tensor:
    return torch.rand(rows, 4, dtype=F64, generator=torch.Generator().manual_seed(9))


def chains() -> torch.Tensor:
    return langevin.metropolis_line(laws(3))


def run() -> langevin.Ledger:
    return langevin.ledger(chains(), laws(), loss(), 1.0, [0, 1, 5], laws(3))


CALLS = {
    "implicitly.langevin.markov.Ledger": Call(
        lambda: dict(vars(run())), accepts={"times": "large"},
        names={"times": "laws", "laws": "kl_prior"},
    ),
    "implicitly.langevin.markov.kl": Call(
        lambda: dict(p=laws(3), q=laws()), accepts={"p": "rows empty dims", "q": "dims"}
    ),
    "implicitly.langevin.markov.gibbs": Call(
        lambda: dict(loss=loss(), prior=laws(), beta=2.0), accepts={"loss": "rows empty dims", "beta": "zero size"},
        names={"loss": "prior"},
    ),
    "implicitly.langevin.markov.metropolis_line": Call(
        lambda: dict(target=laws(3)), accepts={"target": "rows empty dims"}
    ),
    "implicitly.langevin.markov.random_cycles": Call(
        lambda: dict(target=laws(), cycles=2, generator=torch.Generator().manual_seed(0))
    ),
    "implicitly.langevin.markov.diffusion_laws": Call(
        lambda: dict(energy=loss()[0], start=laws(), beta=2.0, spacing=0.5, first=0.1, doublings=3),
        accepts={"beta": "size", "spacing": "size", "first": "size", "doublings": "zero"}, names={"energy": "start"},
    ),
    "implicitly.langevin.markov.spectral_gap": Call(
        lambda: dict(chain=chains(), target=laws(3)), names={"chain": "target"}
    ),
    "implicitly.langevin.markov.ledger": Call(
        lambda: dict(chain=chains(), start=laws(), loss=loss(), beta=1.5, times=[0, 1, 5], stationary=laws(3)),
        accepts={"loss": "dims", "beta": "zero size", "chain": "", "start": ""},
        names={"chain": "stationary loss start"},
    ),
    "implicitly.langevin.markov.ledger#one beta each": Call(
        lambda: dict(chain=chains(), start=laws(), loss=loss(), beta=torch.tensor([1.0, 2.0, 3.0], dtype=F64),
                     times=[0, 1, 5], stationary=laws(3)),
        accepts={"loss": "dims", "beta": "list ints dtype dims number"}, names={"chain": "stationary loss start"},
    ),
}  # fmt: skip
