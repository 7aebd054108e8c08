"""Langevin dynamics at inverse temperature ``beta``, with a Gaussian prior or in a box.

The dynamics ``d theta = -(grad L + theta / (beta s^2)) dt + sqrt(2 / beta) dW`` starts from the prior
``p_0 = N(0, s^2 I)`` and keeps ``p_inf ~ p_0 exp(-beta L)``. In a box ``[-b, b]`` the prior is uniform,
the pull ``theta / (beta s^2)`` is absent, and the walls reflect. Chapter `langevin-generalization`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ._validate import matrix, number, whole

__all__ = [
    "OrnsteinUhlenbeck",
    "gauss_kl",
    "kolmogorov_distance",
    "langevin_step",
    "mala_step",
    "path_budget",
    "reflect",
    "run_chains",
]


def _per_coordinate(name, value, like: Tensor) -> Tensor:
    """`value` as a positive tensor of shape (d,) or () with the dtype and device of `like`, (C, d)."""
    value = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    if value.ndim > 1 or (value.ndim == 1 and len(value) != like.shape[1]):
        raise ValueError(f"{name} must be a number or have shape ({like.shape[1]},), found {tuple(value.shape)}")
    if not (torch.isfinite(value) & (value > 0)).all():
        raise ValueError(f"{name} must be finite and positive, found {value.tolist()}")
    return value


def _one_of(prior_var, box) -> None:
    if (prior_var is None) == (box is None):
        raise ValueError(f"give exactly one of prior_var and box, found {'none' if box is None else 'both'}")


def reflect(z: Tensor, box: float | Tensor) -> Tensor:
    """Fold `z` back into ``[-box, box]`` as a mirror at each wall does, however far it overshoots.

    A triangle wave of period ``4 box``: one mirror is not enough when a step is longer than the box.

    Args:
        z: any floating tensor, shape (..., d).
        box: half width of the box, positive: a number or shape (d,).

    Returns:
        Tensor like `z`, inside the box.

    >>> reflect(torch.tensor([0.5, 1.5, 3.5, -9.25]), 1.0)
    tensor([ 0.5000,  0.5000, -0.5000, -0.7500])
    """
    if not isinstance(z, Tensor) or not z.is_floating_point():
        raise TypeError(f"z must be a floating torch.Tensor, found {getattr(z, 'dtype', type(z).__name__)}")
    box = _per_coordinate("box", box, z.reshape(-1, z.shape[-1] if z.ndim else 1))
    y = torch.remainder(z + box, 4 * box)
    y = torch.where(y > 2 * box, 4 * box - y, y) - box
    return torch.minimum(torch.maximum(y, -box), box)  # `remainder` may round up to 4 box


def _euler(theta, grad, keep, eta: float, scale: float, noise: Tensor) -> Tensor:
    """The step itself, unchecked: ``keep theta - eta grad + scale noise``."""
    return (theta * keep).add_(grad, alpha=-eta).add_(noise, alpha=scale)


def langevin_step(
    theta: Tensor,
    grad: Tensor,
    *,
    beta: float,
    eta: float,
    prior_var: float | Tensor | None = None,
    box: float | Tensor | None = None,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One Euler-Maruyama step of independent chains (the unadjusted Langevin algorithm).

    ``theta - eta (grad + theta / (beta s^2)) + sqrt(2 eta / beta) noise``, reflected if there is a box.
    It keeps ``p_inf`` only as ``eta -> 0``; `mala_step` keeps it exactly.

    Args:
        theta: positions, shape (C, d).
        grad: gradient of the loss there, shape (C, d).
        beta: inverse temperature, positive.
        eta: step size, positive; stable only if ``eta * (curvature + 1 / (beta s^2)) < 2``.
        prior_var: ``s^2``, a number or shape (d,).
        box: half width ``b``, a number or shape (d,). Exactly one of `prior_var` and `box` is given.
        noise: standard normal numbers, shape (C, d); drawn from `generator` if left out.

    Returns:
        The next positions, shape (C, d).
    """
    matrix("theta", theta)
    matrix("grad", grad, rows=theta.shape[0], columns=theta.shape[1])
    beta, eta = number("beta", beta, above=0.0), number("eta", eta, above=0.0)
    _one_of(prior_var, box)
    if noise is None:
        noise = torch.randn(theta.shape, generator=generator, dtype=theta.dtype, device=theta.device)
    pull = 0.0 if prior_var is None else 1 / (beta * _per_coordinate("prior_var", prior_var, theta))
    moved = _euler(theta, grad, 1 - eta * pull, eta, math.sqrt(2 * eta / beta), noise)
    return moved if box is None else reflect(moved, box)


def mala_step(
    theta: Tensor,
    value_and_grad: Callable[[Tensor], tuple[Tensor, Tensor]],
    *,
    beta: float,
    eta: float,
    prior_var: float | Tensor | None = None,
    box: float | Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """One Metropolis-adjusted step: the proposal of `langevin_step`, accepted or refused.

    Keeps ``p_inf`` exactly at every step size. In a box a proposal outside is refused.

    Args:
        theta: positions, shape (C, d).
        value_and_grad: ``theta -> (L, grad L)`` of shapes (C,) and (C, d).
        beta, eta, prior_var, box, generator: as in `langevin_step`.

    Returns:
        The next positions, shape (C, d), and which chains moved, bool (C,).
    """
    matrix("theta", theta)
    beta, eta = number("beta", beta, above=0.0), number("eta", eta, above=0.0)
    _one_of(prior_var, box)
    var = None if prior_var is None else _per_coordinate("prior_var", prior_var, theta)
    wall = None if box is None else _per_coordinate("box", box, theta)

    def potential(x):  # U with p_inf ~ exp(-U), and where one Euler step without noise leads
        loss, grad = value_and_grad(x)
        if var is None:
            return beta * loss, x - eta * grad
        return beta * loss + (x * x / (2 * var)).sum(1), x - eta * (grad + x / (beta * var))

    draw = dict(generator=generator, dtype=theta.dtype, device=theta.device)
    here, mean_here = potential(theta)
    proposal = mean_here + math.sqrt(2 * eta / beta) * torch.randn(theta.shape, **draw)
    there, mean_there = potential(proposal)
    forth, back = (proposal - mean_here).square().sum(1), (theta - mean_there).square().sum(1)
    log_ratio = here - there + (forth - back) * beta / (4 * eta)
    accept = torch.rand(len(theta), **draw).log() < log_ratio
    if wall is not None:
        accept &= (proposal.abs() <= wall).all(1)
    return torch.where(accept[:, None], proposal, theta), accept


def run_chains(
    theta: Tensor,
    value_and_grad: Callable[[Tensor], tuple[Tensor, Tensor]],
    *,
    steps: int,
    beta: float,
    eta: float,
    adjust: bool = False,
    prior_var: float | Tensor | None = None,
    box: float | Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Positions after `steps` steps of `langevin_step`, or of `mala_step` if `adjust`; shape (C, d)."""
    whole("steps", steps, at_least=0)
    arguments = dict(beta=beta, eta=eta, prior_var=prior_var, box=box, generator=generator)
    for _ in range(steps):
        if adjust:
            theta, _ = mala_step(theta, value_and_grad, **arguments)
        else:
            theta = langevin_step(theta, value_and_grad(theta)[1], **arguments)
    return theta


def kolmogorov_distance(sample: Tensor, grid: Tensor, density: Tensor) -> float:
    """Largest gap between the distribution function of a sample and that of a density on a grid.

    Args:
        sample: shape (n,).
        grid: increasing, shape (m,); covers the support.
        density: not negative, shape (m,); need not be normalized.

    Returns:
        The distance, in [0, 1]. An atom in the sample counts in full.
    """
    from scipy.integrate import cumulative_trapezoid
    from scipy.stats import ks_1samp

    for name, value in (("sample", sample), ("grid", grid), ("density", density)):
        matrix(name, value[:, None])
    x, spot, height = (t.double().cpu().numpy() for t in (sample, grid, density))
    cdf = cumulative_trapezoid(height, spot, initial=0)
    # (of the p-values, which nothing uses, the asymptotic one is the cheapest)
    return float(ks_1samp(x, lambda x: np.interp(x, spot, cdf / cdf[-1]), method="asymp").statistic)


@dataclass(frozen=True)
class OrnsteinUhlenbeck:
    """The quadratic loss ``L = (a / 2) |theta - m|^2``, where every law is Gaussian and known.

    All coordinates are alike: mean ``mu_t`` and variance ``v_t`` each. Every method takes a time
    tensor `t` of any shape (float64) and returns its shape.

    Args:
        a: curvature, positive.   m: minimum of the loss.   s2: prior variance, positive.
        beta: inverse temperature, positive.   d: dimension.

    >>> law = OrnsteinUhlenbeck(a=1.0, m=1.0, s2=1.0, beta=1.0)
    >>> t = torch.tensor([1.0], dtype=torch.float64)
    >>> round(law.kl_prior(t).item(), 5), round(law.budget(t).item(), 4)
    (0.18553, 0.5843)
    """

    a: float
    m: float
    s2: float
    beta: float
    d: int = 1

    def __post_init__(self):
        for name in ("a", "s2", "beta"):
            number(name, getattr(self, name), above=0.0)
        number("m", self.m)
        whole("d", self.d, at_least=1)

    @property
    def rate(self) -> float:
        """``k = a + 1 / (beta s^2)``: the speed at which means forget their start."""
        return self.a + 1 / (self.beta * self.s2)

    @property
    def stationary(self) -> tuple[float, float]:
        """Mean and variance of a coordinate under ``p_inf``."""
        return self.a * self.m / self.rate, 1 / (self.beta * self.rate)

    def mean(self, t: Tensor) -> Tensor:
        """``mu_t = (a m / k)(1 - exp(-k t))``."""
        return -self.stationary[0] * torch.expm1(-self.rate * t)

    def var(self, t: Tensor) -> Tensor:
        """``v_t = v_inf + (s^2 - v_inf) exp(-2 k t)`` with ``v_inf = 1 / (beta k)``."""
        v = self.stationary[1]
        return v + (self.s2 - v) * torch.exp(-2 * self.rate * t)

    def kl_prior(self, t: Tensor) -> Tensor:
        """``KL(p_t || p_0)`` in nats."""
        return self.d * gauss_kl(self.mean(t), self.var(t), 0.0, self.s2)

    def kl_stationary(self, t: Tensor) -> Tensor:
        """``KL(p_t || p_inf)`` in nats."""
        return self.d * gauss_kl(self.mean(t), self.var(t), *self.stationary)

    def energy(self, t: Tensor) -> Tensor:
        """``E L(theta_t)``."""
        return self.d * self.a / 2 * (self.var(t) + (self.mean(t) - self.m) ** 2)

    def budget(self, t: Tensor) -> Tensor:
        """``beta (E L(theta_0) - E L(theta_t))``, in nats: the bound of claim C2."""
        return self.beta * (self.energy(torch.zeros_like(t)) - self.energy(t))

    def jeffreys(self) -> float:
        """``KL(p_0 || p_inf) + KL(p_inf || p_0)`` in nats: claim C3."""
        zero = torch.zeros(1, dtype=torch.float64)
        mean, var = (torch.tensor([x], dtype=torch.float64) for x in self.stationary)
        return (self.kl_stationary(zero) + self.d * gauss_kl(mean, var, 0.0, self.s2)).item()

    def euler_law(self, steps: Tensor, eta: float) -> tuple[Tensor, Tensor]:
        """Mean and variance of a coordinate after Euler-Maruyama steps of size `eta`, exactly.

        The variance tends to ``v_inf / (1 - eta k / 2)``: steps of size `eta` sample at inverse
        temperature ``beta (1 - eta k / 2)``. Needs ``eta k < 2``.
        """
        eta = number("eta", eta, above=0.0, below=2 / self.rate)
        shrink = 1 - eta * self.rate
        forgotten = torch.as_tensor(shrink, dtype=torch.float64) ** steps
        limit = self.stationary[1] / (1 - eta * self.rate / 2)
        mean = self.stationary[0] * (1 - forgotten)
        return mean, limit + (self.s2 - limit) * forgotten**2


def gauss_kl(mean: Tensor, var: Tensor, other_mean: float, other_var: float) -> Tensor:
    """``KL(N(mean, var) || N(other_mean, other_var))`` in nats, in one dimension; same shape as `mean`."""
    excess = (var - other_var) / other_var
    return 0.5 * (excess - torch.log1p(excess) + (mean - other_mean) ** 2 / other_var)


def path_budget(times: Tensor, grad: Tensor, *, beta: float, prior_var: float | None = None) -> Tensor:
    """What gradients along the way say about ``KL(p_t || p_0)``: bounds from before the second law.

    Without `prior_var`, Girsanov's ``(beta / 4) int_0^t E|grad L|^2``. With it, the pull of a Gaussian prior whose
    largest variance is `prior_var` forgets the past:
    ``(beta / 2) int_0^t exp(-(t - u) / (beta s^2)) E|grad L(theta_u)|^2 du``. By the trapezoidal rule.

    Args:
        times: increasing, from 0, shape (T,).
        grad: ``E|grad L|^2`` at these times, shape (T,).

    Returns:
        The bounds in nats, shape (T,), at each time.
    """
    for name, value in (("times", times), ("grad", grad)):
        matrix(name, value[:, None], rows=len(times))
    beta = number("beta", beta, above=0.0)
    if prior_var is None:
        return beta / 4 * torch.cat([times[:1] * 0, torch.cumulative_trapezoid(grad, times)])
    rate = 1 / (beta * number("prior_var", prior_var, above=0.0))
    kernel = torch.exp(-rate * (times[:, None] - times).clamp(min=0)) * (times[:, None] >= times)
    gaps = times.diff()
    pieces = (kernel[:, 1:] * grad[1:] + kernel[:, :-1] * grad[:-1]) / 2 * gaps
    inside = times[:, None] >= times[1:]  # pieces that end by t
    return beta / 2 * (pieces * inside).sum(1)
