"""Langevin dynamics of a quadratic loss: the Ornstein-Uhlenbeck process, whose law is known at every time.

Chapter `langevin-generalization`; conventions as in :mod:`.chains`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._validate import F64, number, tensor, whole
from .chains import _times

__all__ = [
    "OrnsteinUhlenbeck",
    "gauss_kl",
]


@dataclass(frozen=True)
class OrnsteinUhlenbeck:
    """The quadratic loss ``L = (a / 2) |theta - m|^2``, where every law is Gaussian and known.

    All coordinates are alike: mean ``mu_t`` and variance ``v_t`` each. Every method takes a float64 tensor `t` of
    times, at least 0, of any shape, and returns a tensor of its shape.

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
            object.__setattr__(self, name, number(name, getattr(self, name), above=0.0))
        object.__setattr__(self, "m", number("m", self.m))
        object.__setattr__(self, "d", whole("d", self.d, at_least=1, at_most=2**53))
        # In these every law is finite: rate, stationary variance, energy, the budget of all time.
        scale, energy = self.beta * self.s2, self.d * self.a * (self.s2 + self.m * self.m)
        finite = (self.beta, scale, energy, self.beta * energy)
        if not (scale > 0 and all(map(math.isfinite, (*finite, 1 / scale, 1 / self.s2))) and self.stationary[1] > 0):
            raise ValueError(
                "a, m, s2, beta and d must give beta s2, 1 / (beta s2), 1 / s2, d a (s2 + m^2) and beta times that in "
                "the range of floats, "
                f"found a = {self.a:g}, m = {self.m:g}, s2 = {self.s2:g}, beta = {self.beta:g}, d = {self.d}"
            )

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
        t = _times(t)
        return -self.stationary[0] * torch.expm1(-self.rate * t)

    def var(self, t: Tensor) -> Tensor:
        """``v_t = v_inf + (s^2 - v_inf) exp(-2 k t)`` with ``v_inf = 1 / (beta k)``."""
        t = _times(t)
        v = self.stationary[1]
        return v + (self.s2 - v) * torch.exp(-2 * self.rate * t)

    def kl_prior(self, t: Tensor) -> Tensor:
        """``KL(p_t || p_0)`` in nats."""
        return self.d * _gauss_kl(self.mean(t), self.var(t), 0.0, self.s2)

    def kl_stationary(self, t: Tensor) -> Tensor:
        """``KL(p_t || p_inf)`` in nats."""
        return self.d * _gauss_kl(self.mean(t), self.var(t), *self.stationary)

    def energy(self, t: Tensor) -> Tensor:
        """``E L(theta_t)``."""
        return self.d * self.a / 2 * (self.var(t) + (self.mean(t) - self.m) ** 2)

    def budget(self, t: Tensor) -> Tensor:
        """``beta (E L(theta_0) - E L(theta_t))``, in nats: the bound of claim C2."""
        t = _times(t)
        return self.beta * (self.energy(torch.zeros_like(t)) - self.energy(t))

    def jeffreys(self) -> float:
        """``KL(p_0 || p_inf) + KL(p_inf || p_0)`` in nats: claim C3."""
        zero = torch.zeros(1, dtype=torch.float64)
        mean, var = (torch.tensor([x], dtype=torch.float64) for x in self.stationary)
        return (self.kl_stationary(zero) + self.d * _gauss_kl(mean, var, 0.0, self.s2)).item()

    def euler_law(self, steps: Tensor, eta: float) -> tuple[Tensor, Tensor]:
        """Mean and variance of a coordinate after Euler-Maruyama steps of size `eta`, exactly.

        The variance tends to ``v_inf / (1 - eta k / 2)``: steps of size `eta` sample at inverse
        temperature ``beta (1 - eta k / 2)``. Needs ``eta k < 2``.

        Args:
            steps: numbers of steps, int64, at least 0, any shape.
            eta: step size, positive.

        Returns:
            Means and variances, float64, of the shape of `steps`.
        """
        steps = tensor("steps", steps, dtype=torch.int64, at_least=0)
        eta = number("eta", eta, above=0.0, below=2 / self.rate)
        shrink = 1 - eta * self.rate
        forgotten = torch.as_tensor(shrink, dtype=torch.float64) ** steps
        limit = self.stationary[1] / (1 - eta * self.rate / 2)
        mean = self.stationary[0] * (1 - forgotten)
        return mean, limit + (self.s2 - limit) * forgotten**2


def gauss_kl(mean: Tensor, var: Tensor, other_mean: float, other_var: float) -> Tensor:
    """KL divergence of two Gaussians in one dimension, ``KL(N(mean, var) || N(other_mean, other_var))`` in nats.

    Args:
        mean: float64, any shape.
        var: float64, the shape of `mean`, positive.
        other_mean, other_var: numbers, the second positive.

    Returns:
        The divergence, float64, of the shape of `mean`; infinite where it exceeds the largest float.
    """
    mean, var = tensor("mean", mean, dtype=F64), tensor("var", var, dtype=F64, above=0.0)
    if var.shape != mean.shape:
        raise ValueError(f"var must have the shape of mean, {tuple(mean.shape)}, found {tuple(var.shape)}")
    return _gauss_kl(mean, var, number("other_mean", other_mean), number("other_var", other_var, above=0.0))


def _gauss_kl(mean: Tensor, var: Tensor, other_mean: float, other_var: float) -> Tensor:
    excess = (var - other_var) / other_var
    # Near zero by log1p, which loses nothing; elsewhere by the logarithms, since var / other_var may round to 0.
    log = torch.where(excess.abs() < 0.5, torch.log1p(excess), var.log() - math.log(other_var))
    return 0.5 * (excess - log + (mean - other_mean) ** 2 / other_var)
