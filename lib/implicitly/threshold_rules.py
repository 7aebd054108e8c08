"""A learning problem small enough to know everything about: threshold rules on a few points.

An input is one of ``M`` points, uniformly; rule ``theta`` in ``0..M`` says 1 from point ``theta`` on. The labels
are those of the middle rule, each replaced by a coin flip with probability `flip`. The loss is the error
itself. Laws of the chain, training error and true error are exact, so a bound's failures can be counted.
Chapter `langevin-generalization`, claims C5, C6 and C8.
"""

import torch
from torch import Tensor

from ._validate import number, whole
from .markov import Ledger, gibbs, ledger, metropolis_line
from .pac_bayes import pac_bayes_bound

__all__ = ["errors", "failures", "train"]


def errors(samples: int, N: int, *, flip: float, points: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Training errors of every rule on many samples, and true errors.

    Returns:
        ``E_S (samples, points + 1)`` and ``E_D (points + 1,)``, float64.
    """
    whole("samples", samples, at_least=1), whole("N", N, at_least=1), whole("points", points, at_least=2)
    if number("flip", flip, at_least=0.0) > 1:
        raise ValueError(f"flip must be at most 1, found {flip}")
    x = torch.randint(points, (samples, N), generator=generator)
    coin = torch.rand(samples, N, generator=generator)
    target = points // 2
    y = torch.where(coin < flip / 2, x < target, x >= target)  # a coin flip errs half the time
    zero = torch.zeros(samples, points + 1, dtype=torch.float64)
    one = torch.ones((), dtype=torch.float64).expand(samples, N)
    says_one_wrongly = zero.scatter_add(1, x, one * ~y).flip(1).cumsum(1).flip(1)  # label 0 at x >= theta
    says_zero_wrongly = zero.scatter_add(1, x + 1, one * y).cumsum(1)  # label 1 at x < theta
    rules = torch.arange(points + 1, dtype=torch.float64)
    true = (1 - flip) * (rules - target).abs() / points + flip / 2
    return (says_one_wrongly + says_zero_wrongly) / N, true


def train(train_error: Tensor, beta: float, times) -> Ledger:
    """Exact laws of a Metropolis chain over the rules, from a uniform start, one for each sample."""
    n = train_error.shape[-1]
    prior = torch.full((n,), 1 / n, dtype=torch.float64)
    target = gibbs(train_error, prior, beta)
    return ledger(metropolis_line(target), prior, train_error, beta, times, target)


def failures(account: Ledger, train_error: Tensor, true_error: Tensor, *, beta: float, N: int, delta: float) -> dict:
    """How often each bound fails, over samples (first axis of `train_error`).

    Returns:
        ``averaged``: share of samples on which C5 (a) fails at *any* recorded time.
        ``single``: probability that C6 fails for one draw, at the worst recorded time.
        ``gap``: largest averaged gap seen.     ``bound``: smallest right side of C5 (a) seen.
    """
    gap = (account.laws * (true_error - train_error)).sum(-1)  # (T, samples)
    bound = torch.tensor([[pac_bayes_bound(max(k, 0.0), N, delta) for k in row] for row in account.budget.tolist()])
    # C6 with sup L = 1: the loss is an error, and its supremum over rules is at most 1
    draw = torch.tensor([pac_bayes_bound(beta * (1 - k / N), N, delta) for k in range(N + 1)], dtype=torch.float64)
    misses = (true_error - train_error) > draw[(train_error * N).round().long()]
    return {
        "averaged": (gap > bound).any(0).double().mean().item(),
        "single": (account.laws * misses).sum(-1).mean(1).max().item(),
        "gap": gap.max().item(),
        "bound": bound.min().item(),
    }
