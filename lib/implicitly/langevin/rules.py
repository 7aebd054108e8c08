"""A learning problem small enough to know everything about: threshold rules on a few points.

An input is one of ``M`` points, uniformly; rule ``theta`` in ``0..M`` says 1 from point ``theta`` on. The labels
are those of the middle rule, each replaced by a coin flip with probability `flip`. The loss is the error
itself. Laws of the chain, training error and true error are exact, so a bound's failures can be counted.
Chapter `langevin-generalization`, claims C6 and C7.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .._validate import generator as checked_generator
from .._validate import instance, number, tensor, whole, wholes
from .markov import Ledger, gibbs, ledger, metropolis_line
from .pac_bayes import pac_bayes_bound

__all__ = [
    "rule_errors",
    "rule_failures",
    "train_rules",
]


def rule_errors(samples: int, N: int, *, flip: float, points: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Training errors of every rule on many samples, and true errors.

    Args:
        samples: how many samples, each of `N` examples; both at least 1.
        flip: probability, in [0, 1], that a label is replaced by a coin flip.
        points: M, at least 2.
        generator: source of the examples.

    Returns:
        ``E_S (samples, points + 1)`` and ``E_D (points + 1,)``, float64.
    """
    samples, N = whole("samples", samples, at_least=1), whole("N", N, at_least=1)
    points, flip = whole("points", points, at_least=2), number("flip", flip, at_least=0.0, at_most=1.0)
    checked_generator("generator", generator, device="cpu")
    x = torch.randint(points, (samples, N), generator=generator)
    coin = torch.rand(samples, N, dtype=torch.float32, generator=generator)
    target = points // 2
    y = torch.where(coin < flip / 2, x < target, x >= target)  # a coin flip errs half the time
    zero = torch.zeros(samples, points + 1, dtype=torch.float64)
    one = torch.ones((), dtype=torch.float64).expand(samples, N)
    says_one_wrongly = zero.scatter_add(1, x, one * ~y).flip(1).cumsum(1).flip(1)  # label 0 at x >= theta
    says_zero_wrongly = zero.scatter_add(1, x + 1, one * y).cumsum(1)  # label 1 at x < theta
    rules = torch.arange(points + 1, dtype=torch.float64)
    true = (1 - flip) * (rules - target).abs() / points + flip / 2
    return (says_one_wrongly + says_zero_wrongly) / N, true


def _errors(train_error: Tensor) -> None:
    tensor("train_error", train_error, shape=("samples", "rules"), dtype=torch.float64, at_least=0.0, at_most=1.0)
    if 0 in train_error.shape:
        raise ValueError(f"train_error must have a sample and a rule, found shape {tuple(train_error.shape)}")


def train_rules(train_error: Tensor, beta: float, times: Sequence[int]) -> Ledger:
    """Exact laws of a Metropolis chain over the rules, from a uniform start, one for each sample.

    Args:
        train_error: float64 (samples, rules), in [0, 1].
        beta: inverse temperature, not negative; at most about 700, so that every rule keeps some probability.
        times: increasing whole numbers of steps, the first of them 0.
    """
    _errors(train_error)
    beta, times = number("beta", beta, at_least=0.0), wholes("times", times, at_least=0)
    n = train_error.shape[-1]
    prior = torch.full((n,), 1 / n, dtype=torch.float64)
    target = gibbs(train_error, prior, beta)
    if not bool((target > 0).all()):
        raise ValueError(f"beta must be so small that every rule keeps some probability, found {beta:.6g}")
    return ledger(metropolis_line(target), prior, train_error, beta, times, target)


def rule_failures(
    account: Ledger, train_error: Tensor, true_error: Tensor, *, beta: float, N: int, delta: float
) -> dict:
    """How often each bound fails, over samples (first axis of `train_error`).

    Args:
        account: what :func:`train_rules` returns for `train_error` and `beta`.
        train_error, true_error: what :func:`rule_errors` returns for samples of size `N`.
        delta: probability, in (0, 1), that a bound may fail.

    Raises:
        ValueError: the arguments do not belong to one run.

    Returns:
        ``averaged``: share of samples on which C6 fails at *any* recorded time.
        ``single``: probability that C7 fails for one draw, at the worst recorded time.
        ``gap``: largest averaged gap seen.     ``bound``: smallest right side of C6 seen.
    """
    instance("account", account, Ledger), _errors(train_error)
    samples, rules = train_error.shape
    tensor("true_error", true_error, shape=(rules,), dtype=torch.float64, at_least=0.0, at_most=1.0)
    beta, N = number("beta", beta, at_least=0.0), whole("N", N, at_least=1)
    delta = number("delta", delta, above=0.0, below=1.0)
    if account.laws.shape[1:] != (samples, rules):
        found = tuple(account.laws.shape)
        raise ValueError(f"account must be of train_error, with laws (times, {samples}, {rules}), found {found}")
    if not torch.allclose(account.energy, (account.laws * train_error).sum(-1), rtol=0, atol=1e-9):
        raise ValueError("account must be of train_error, found other energies")
    if not torch.allclose(account.budget, beta * (account.energy[0] - account.energy), rtol=1e-9, atol=1e-12):
        raise ValueError(f"beta must be the account's, found {beta:.6g}, which gives another budget")
    counts = train_error * N
    if not torch.allclose(counts, counts.round(), rtol=0, atol=1e-6):
        raise ValueError(f"N must be the size of train_error's samples, found {N}, which gives fractions of mistakes")
    gap = (account.laws * (true_error - train_error)).sum(-1)  # (T, samples)
    budgets = account.budget.tolist()
    bound = [[pac_bayes_bound(max(k, 0.0), N, delta) for k in row] for row in budgets]
    bound = torch.tensor(bound, dtype=torch.float64)
    # C7 with sup L = 1: the loss is an error, and its supremum over rules is at most 1
    draw = torch.tensor([pac_bayes_bound(beta * (1 - k / N), N, delta) for k in range(N + 1)], dtype=torch.float64)
    misses = (true_error - train_error) > draw[counts.round().long()]
    return {
        "averaged": (gap > bound).any(0).double().mean().item(),
        "single": (account.laws * misses).sum(-1).mean(1).max().item(),
        "gap": gap.max().item(),
        "bound": bound.min().item(),
    }
