"""Linear regression with many outputs, some of them noisy: where cutting a gradient keeps the noise.

Chapter `low-rank-gradients`. Bad arguments raise TypeError or ValueError.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from .._validate import F64, flag, instance, mapping, number, numbers, seed, whole, wholes
from .optimizer import LowRank

__all__ = [
    "Course",
    "NoisyOutputs",
    "train",
]


@dataclass(frozen=True)
class NoisyOutputs:
    """``y = W* x + noise``: x (n,) standard normal, and normal noise, strong in the first few of m outputs.

    Attributes:
        m, n: outputs and inputs, m at most n.
        noisy: how many outputs are noisy, below m.
        strong, weak: standard deviation of the noise in these and in the other outputs, at least 0.
        batch: samples of one gradient.
    """

    m: int = 16
    n: int = 24
    noisy: int = 3
    strong: float = 6.0
    weak: float = 0.05
    batch: int = 16

    def __post_init__(self):
        m = whole("m", self.m, at_least=1, at_most=1024)
        checked = {
            "m": m,
            "n": whole("n", self.n, at_least=m, at_most=1024),
            "noisy": whole("noisy", self.noisy, at_least=0, at_most=m - 1),
            "batch": whole("batch", self.batch, at_least=1, at_most=4096),
            "strong": number("strong", self.strong, at_least=0.0, at_most=1e6),
            "weak": number("weak", self.weak, at_least=0.0, at_most=1e6),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def noise(self) -> Tensor:
        """Standard deviations, (m, 1), float64."""
        found = torch.full((self.m, 1), self.weak, dtype=F64)
        found[: self.noisy] = self.strong
        return found


class Course(NamedTuple):
    """at: steps after which the error was looked at, (K,) int64.   error: (settings, seeds, K), or, with levels,
    (settings, levels, seeds, K), float64: the squared error of the clean outputs' weights over that of the start;
    infinite once a run has diverged.
    """

    at: Tensor
    error: Tensor


def train(
    task: NoisyOutputs,
    settings: dict,
    steps: int,
    *,
    seeds: Sequence[int],
    levels: Sequence[float] | None = None,
    looks: int = 20,
    cosine: bool = True,
    limit: float = 1e3,
) -> Course:
    """Train from zero weights, with `LowRank` or in full, several settings and seeds side by side.

    A seed fixes teacher (normal entries of variance 1/n) and data, which all settings share; the draws of `LowRank`
    have seeds of their own.

    Args:
        task: a `NoisyOutputs`.
        settings: name -> options of `LowRank`, at least ``lr``; with ``rank`` left out nothing is projected.
        steps: at least 1.
        seeds: of teacher and data.
        levels: noise of the noisy outputs, each for runs of its own, in place of `task.strong`; at least 0.
        looks: how often the error is recorded, evenly, besides the start; from 1 to `steps`.
        cosine: whether step sizes fall to 0 as half a cosine.
        limit: a run whose error is above this has diverged, and stops; above 1.
    """
    instance("task", task, NoisyOutputs), mapping("settings", settings)
    steps, cosine = whole("steps", steps, at_least=1, at_most=10**6), flag("cosine", cosine)
    seeds = tuple(seed("seeds", one) for one in wholes("seeds", seeds))
    looks = whole("looks", looks, at_least=1, at_most=steps)
    limit = number("limit", limit, above=1.0)
    strong = None if levels is None else numbers("levels", levels, at_least=0.0, at_most=1e6)
    noise = torch.stack([replace(task, strong=one).noise() for one in strong or (task.strong,)])[:, None]
    dice = [torch.Generator().manual_seed(one) for one in seeds]
    m, n = task.m, task.n
    teacher = torch.stack([torch.randn(m, n, generator=g, dtype=F64) for g in dice]) / math.sqrt(n)
    W = torch.zeros(len(settings), len(noise), len(seeds), m, n, dtype=F64)
    grads, params = torch.zeros_like(W), []
    for k in range(len(settings)):
        params.append(torch.nn.Parameter(W[k]))
        params[k].grad = grads[k]
    groups = [{"rank": m, **given, "params": [p]} for p, given in zip(params, settings.values(), strict=True)]
    optimizer = LowRank(groups)
    rates = [group["lr"] for group in optimizer.param_groups]
    at = torch.linspace(0, steps, looks + 1).round().long()
    alive, errors = torch.ones(W.shape[:3], dtype=torch.bool), [_error(W, teacher, task)]
    for t in range(steps):
        x = torch.stack([torch.randn(n, task.batch, generator=g, dtype=F64) for g in dice])
        e = torch.stack([torch.randn(m, task.batch, generator=g, dtype=F64) for g in dice]) * noise
        torch.matmul((W - teacher) @ x - e, x.mT / task.batch, out=grads)
        grads *= alive[..., None, None]
        share = 0.5 * (1 + math.cos(math.pi * t / steps)) if cosine else 1.0
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * share
        optimizer.step()
        if t % 5 == 4 or t + 1 == steps:  # an error grows by many powers of ten in five steps, not by three hundred
            gone = ~(_error(W, teacher, task) < limit)
            alive &= ~gone
            W[~alive] = 0.0
        if t + 1 in at:
            errors.append(torch.where(alive, _error(W, teacher, task), math.inf))
    found = torch.stack(errors, -1)
    return Course(at, found[:, 0] if levels is None else found)


def _error(W: Tensor, teacher: Tensor, task: NoisyOutputs) -> Tensor:
    clean = (W - teacher)[..., task.noisy :, :].square().sum((-2, -1))
    return clean / teacher[..., task.noisy :, :].square().sum((-2, -1))
