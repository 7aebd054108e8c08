"""Orders in which tasks are learned: each row of an int64 tensor (B, k) is one. Greedy ones are made by `run_tasks`."""

import itertools

import torch
from torch import Tensor

from .._validate import flag, number, tensor, whole
from .._validate import generator as checked_generator

__all__ = [
    "all_orders",
    "cyclic_order",
    "greedy_share",
    "random_orders",
    "shuffle_after",
]


def cyclic_order(T: int, k: int) -> Tensor:
    """Tasks 0, 1, ..., T - 1 and again from 0, for k steps; shape (1, k), int64. T at least 1, k at least 0."""
    T, k = whole("T", T, at_least=1, at_most=10**9), whole("k", k, at_least=0, at_most=10**8)
    return (torch.arange(k) % T)[None]


def random_orders(T: int, k: int, *, replacement: bool, runs: int = 1, generator: torch.Generator) -> Tensor:
    """Uniformly random orders: independent draws, or the first k of a shuffled deck.

    Args:
        T: number of tasks, at least 1.
        k: steps, at least 0; at most T without replacement.
        replacement: whether a task may come again.
        runs: number of orders B, at least 0.
        generator: source of the orders, on the CPU.

    Returns:
        int64, shape (runs, k).
    """
    T, replacement = whole("T", T, at_least=1, at_most=10**7), flag("replacement", replacement)
    k = whole("k", k, at_least=0, at_most=10**8 if replacement else T)
    runs = whole("runs", runs, at_least=0)
    checked_generator("generator", generator, device="cpu")
    if replacement:
        return torch.randint(T, (runs, k), generator=generator)
    return torch.rand(runs, T, generator=generator, dtype=torch.float64).argsort(dim=1, stable=True)[:, :k]


def all_orders(T: int) -> Tensor:
    """All T! orders of T tasks in lexicographic order, shape (T!, T), int64. T from 1 to 8."""
    T = whole("T", T, at_least=1, at_most=8)
    return torch.tensor(list(itertools.permutations(range(T))))


def shuffle_after(order: Tensor, keep: Tensor, *, generator: torch.Generator) -> Tensor:
    """Keep the first steps of each order and shuffle the rest.

    Args:
        order: (B, k), int64.
        keep: how many steps of each order stay, (B,), int64, from 0 to k.
        generator: source of the shuffles, on the CPU.

    Returns:
        int64, shape (B, k).
    """
    order = tensor("order", order, shape=("B", "k"), dtype=torch.int64)
    B, k = order.shape
    keep = tensor("keep", keep, shape=(B,), dtype=torch.int64, at_least=0, at_most=k)
    checked_generator("generator", generator, device="cpu")
    key = torch.rand(B, k, generator=generator, dtype=torch.float64)
    place = torch.arange(k)
    stays = place < keep[:, None]
    return order.gather(1, torch.where(stays, place - float(k), key).argsort(dim=1, stable=True))


def greedy_share(steps: Tensor, beta: float) -> Tensor:
    """How many steps the hybrid order keeps of a greedy one: those before the first of squared length below `beta`.

    With `shuffle_after` this is the hybrid order: greedy until progress stalls, then random without replacement.

    Args:
        steps: squared step lengths of greedy runs, (B, k), float32 or float64, at least 0.
        beta: threshold, at least 0.

    Returns:
        int64, shape (B,).
    """
    steps = tensor("steps", steps, shape=("B", "k"), at_least=0.0)
    beta = number("beta", beta, at_least=0.0)
    return (steps >= beta).to(torch.int64).cumprod(1).sum(1)
