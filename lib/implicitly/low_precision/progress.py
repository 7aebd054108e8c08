"""How much progress a noisy gradient step makes: a bowl, a gradient on it, noise of a known size.

The loss is ``sum_i h_i t_i^2 / 2`` with curvatures h_i > 0; a step is ``t - rate * (g + e)`` with ``g_i = h_i t_i``
and independent noise e_i of mean 0 and standard deviation sigma. Its norm is about ``N = sigma sqrt(d)``.

Sources: arXiv 2505.19115 (the threshold sqrt 3); the derivations are those of chapter `fp4-training`, C6. Bad
arguments raise TypeError or ValueError.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .._validate import choice, number, tensor, whole
from .._validate import generator as checked_generator

__all__ = [
    "Descent",
    "best_progress",
    "descend",
    "gradient_to_noise",
    "mean_progress",
    "progress_share",
    "sampled_progress",
    "steepest_ratio",
]

F64 = torch.float64


def progress_share(ratio: float) -> float:
    """Best progress of a noisy step over that of an exact one, on a bowl with equal curvatures: 1 / (1 + ratio^-2).

    ratio: gradient norm over noise norm, above 0.

    >>> round(progress_share(3 ** 0.5), 12)
    0.75
    """
    ratio = number("ratio", ratio, above=0)
    return 1 / (1 + (1 / ratio) ** 2) if ratio > 1e-150 else 0.0


def steepest_ratio(variable: str) -> float:
    """Gradient norm over noise norm where `progress_share` changes fastest.

    variable: as a function of what: "noise" (over the gradient), "gradient" (over the noise), or "log" of either.
    """
    return {"noise": math.sqrt(3), "gradient": 1 / math.sqrt(3), "log": 1.0}[
        choice("variable", variable, ("noise", "gradient", "log"))]  # fmt: skip


def _bowl(gradient, curvature):
    tensor("gradient", gradient, shape=("d",), dtype=F64)
    tensor("curvature", curvature, shape=(len(gradient),), dtype=F64, above=0)
    if not bool((gradient != 0).any()):
        raise ValueError("gradient must have an entry other than 0, found none")


def mean_progress(gradient: Tensor, curvature: Tensor, sigma: float, rate: float) -> float:
    """Expected fall of the loss in one step, exact: ``rate |g|^2 - rate^2 (g.Hg + sigma^2 tr H) / 2``.

    Args:
        gradient, curvature: (d,) float64; curvatures above 0, the gradient not 0.
        sigma: standard deviation of each coordinate of the noise, at least 0.
        rate: step size, at least 0.
    """
    _bowl(gradient, curvature)
    sigma, rate = number("sigma", sigma, at_least=0, at_most=1e100), number("rate", rate, at_least=0, at_most=1e100)
    cost = float((curvature * gradient.square()).sum() + sigma * sigma * curvature.sum())
    return rate * float(gradient.square().sum()) - rate * rate * cost / 2


def best_progress(gradient: Tensor, curvature: Tensor, sigma: float) -> tuple[float, float]:
    """The best step size, and what its progress is of that of the best step without noise; arguments as above."""
    _bowl(gradient, curvature)
    sigma = number("sigma", sigma, at_least=0, at_most=1e100)
    along = float((curvature * gradient.square()).sum())
    noise = sigma * sigma * float(curvature.sum())
    return float(gradient.square().sum()) / (along + noise), along / (along + noise)


def sampled_progress(gradient: Tensor, curvature: Tensor, sigma: float, rate: float, *, draws: int,
                     generator: torch.Generator) -> Tensor:  # fmt: skip
    """Falls of the loss in `draws` >= 1 independent noisy steps from one point, (draws,) float64: steps are taken."""
    _bowl(gradient, curvature)
    sigma, rate = number("sigma", sigma, at_least=0, at_most=1e100), number("rate", rate, at_least=0, at_most=1e100)
    draws = whole("draws", draws, at_least=1, at_most=10**7)
    checked_generator("generator", generator, device=gradient.device)
    place = gradient / curvature
    before = (curvature * place.square()).sum() / 2
    noise = sigma * torch.randn(draws, len(place), generator=generator, dtype=F64)
    after = place - rate * (gradient + noise)
    return before - (after.square() @ curvature) / 2


class Descent(NamedTuple):
    """Expected squares along a descent with a fixed step size, (steps + 1,) float64, and where it ends.

    loss: over the first one. ratio: gradient norm over noise norm. floor: the ratio that it comes to.
    """

    loss: Tensor
    ratio: Tensor
    floor: float


def descend(rate: float, noise: float, steps: int) -> Descent:
    """Gradient descent on a bowl of curvature 1 from distance 1, with noise of norm `noise`, in expectation, exactly.

    ``E|t|^2 <- (1 - rate)^2 E|t|^2 + rate^2 noise^2``; the gradient's norm is taken as ``sqrt(E|t|^2)``.

    Args:
        rate: times the curvature, in (0, 2). noise: above 0. steps: at least 0.
    """
    rate = number("rate", rate, above=0, below=2)
    noise = number("noise", noise, above=1e-100, at_most=1e100)
    steps = whole("steps", steps, at_least=0, at_most=10**6)
    shrink = (1 - rate) ** 2
    rest = rate / (2 - rate) * noise**2
    square = rest + (1 - rest) * shrink ** torch.arange(steps + 1, dtype=F64)
    return Descent(square, square.clamp_min(0).sqrt() / noise, math.sqrt(rate / (2 - rate)))


def gradient_to_noise(exact: Tensor, draws: Tensor) -> float:
    """Norm of a gradient over the root mean square distance of quantized versions from it.

    Args:
        exact: (d,), float32 or float64, the gradient of one batch without quantization.
        draws: (R, d), R >= 1, in its dtype: quantized gradients of the same batch. Infinite where all equal it.
    """
    tensor("exact", exact, shape=("d",), dtype=(torch.float32, F64))
    tensor("draws", draws, shape=("R", len(exact)), dtype=exact.dtype)
    if not len(draws):
        raise ValueError("draws must hold at least one gradient, found none")
    noise = (draws.double() - exact.double()).square().sum(1).mean().sqrt()
    size = exact.double().norm()
    return float(size / noise) if noise > 0 else math.inf
