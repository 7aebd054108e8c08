"""Valid calls of `implicitly.langevin`."""

import torch

from calls import Call
from implicitly import langevin


def sample() -> tuple[torch.Tensor, torch.Tensor]:
    return langevin.rule_errors(3, 8, flip=0.5, points=4, generator=torch.Generator().manual_seed(0))


def run() -> dict:
    train, true = sample()
    account = langevin.train_rules(train, 5.0, (0, 1, 4))
    return dict(account=account, train_error=train, true_error=true, beta=5.0, N=8, delta=0.05)


CALLS = {
    "implicitly.langevin.rules.rule_errors": Call(
        lambda: dict(samples=3, N=5, flip=0.5, points=4, generator=torch.Generator().manual_seed(0)),
        accepts={"flip": "zero size"},
    ),
    "implicitly.langevin.rules.train_rules": Call(
        lambda: dict(train_error=sample()[0], beta=5.0, times=(0, 1, 4)),
        accepts={"train_error": "rows columns", "beta": "zero size"},
    ),
    "implicitly.langevin.rules.rule_failures": Call(
        run,
        accepts={"delta": "size"},
        names={"train_error": "account true_error"},
    ),
}
