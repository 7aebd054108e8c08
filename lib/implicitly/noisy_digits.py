"""Langevin training of small networks on the 8 x 8 digits, at a chosen temperature.

The task: is the digit at least 5? The network: tanh, one hidden layer, no biases; its prior is Gaussian with
fan-in variances. Many chains run at once. Chapter `langevin-generalization`, claims C5 and C8.
"""

import functools
import math

import torch
from torch import Tensor

from ._validate import number, whole
from .langevin import _euler

__all__ = ["TanhNet", "digits", "langevin_run"]

_FEATURES, _FIRST_TEST = 64, 800


@functools.cache
def _arrays() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    data = load_digits()
    x = torch.tensor(data.data, dtype=torch.float32)
    scale = x[:_FIRST_TEST].std(0)
    x = (x - x[:_FIRST_TEST].mean(0)) / (4 * torch.where(scale > 0, scale, torch.ones(())))
    return x, torch.tensor(data.target >= 5, dtype=torch.float32)


def digits(N: int, *, flip: float, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training and test set; each label is replaced by a coin flip with probability `flip`, in both.

    Args:
        N: number of training digits, at most 800: a random choice of the first 800.
        flip: share of labels replaced; 1 makes them independent of the picture.
        seed: of the choice and of the coins.

    Returns:
        ``X (N, 64), y (N,), X_test (997, 64), y_test (997,)``, float32, labels 0 or 1. Pixels are centred
        and divided by four standard deviations of the first 800 digits.
    """
    whole("N", N, at_least=1)
    if N > _FIRST_TEST:
        raise ValueError(f"N must be at most {_FIRST_TEST}, found {N}")
    if number("flip", flip, at_least=0.0) > 1:
        raise ValueError(f"flip must be at most 1, found {flip}")
    generator = torch.Generator().manual_seed(seed)
    x, y = _arrays()
    replaced = torch.rand(len(y), generator=generator) < flip
    coins = (torch.rand(len(y), generator=generator) < 0.5).float()
    y = torch.where(replaced, coins, y)
    chosen = torch.randperm(_FIRST_TEST, generator=generator)[:N]
    return x[chosen], y[chosen], x[_FIRST_TEST:], y[_FIRST_TEST:]


def _cross_entropy(output: Tensor, y: Tensor) -> Tensor:
    return torch.nn.functional.softplus(torch.where(y > 0.5, -output, output)).mean(1)


class TanhNet:
    """Many small networks ``f(x) = v . tanh(W x)``, one to a row of `theta`, with their exact gradients.

    Args:
        width: number of hidden units ``h``; the parameters are ``W (h, 64)`` and then ``v (h)``.
    """

    def __init__(self, width: int):
        self.width = whole("width", width, at_least=1)
        self.d = width * (_FEATURES + 1)

    def prior_var(self) -> Tensor:
        """Variance of each parameter under the prior: 1/64 in the first layer, 1/h in the second; (d,)."""
        inner, outer = _FEATURES * self.width, self.width
        return torch.cat([torch.full((inner,), 1 / _FEATURES), torch.full((outer,), 1 / outer)])

    def sample_prior(self, chains: int, generator: torch.Generator) -> Tensor:
        """Draws from ``p_0``, shape (chains, d)."""
        return torch.randn(chains, self.d, generator=generator) * self.prior_var().sqrt()

    def _forward(self, theta: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        v = theta[:, -self.width :]  # (C, h)
        hidden = torch.tanh(theta[:, : -self.width].reshape(-1, _FEATURES) @ x.T)
        hidden = hidden.reshape(len(theta), self.width, len(x))  # (C, h, N)
        return torch.bmm(v[:, None], hidden)[:, 0], hidden, v

    def loss_and_grad(self, theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy in nats (C,) and its gradient (C, d), at `theta` (C, d) on `x` (N, 64), `y` (N,)."""
        output, hidden, v = self._forward(theta, x)
        loss = _cross_entropy(output, y)
        slope = (torch.sigmoid(output) - y) / len(x)  # (C, N)
        grad_v = torch.bmm(hidden, slope[:, :, None])[:, :, 0]
        back = hidden.square_().neg_().add_(1).mul_(slope[:, None, :]).mul_(v[:, :, None])  # (C, h, N), in place
        grad_w = back.reshape(-1, len(x)) @ x
        return loss, torch.cat([grad_w.reshape(len(theta), -1), grad_v], dim=1)

    def loss(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy alone, shape (C,)."""
        return _cross_entropy(self._forward(theta, x)[0], y)

    def error(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Share of wrong signs, shape (C,)."""
        return ((self._forward(theta, x)[0] > 0) != (y > 0.5)).float().mean(1)


def langevin_run(
    beta: float,
    N: int,
    flip: float,
    seed: int,
    *,
    width: int = 16,
    chains: int = 4,
    steps: int = 300,
    eta: float | None = None,
    record: int | None = None,
) -> dict:
    """Train by Langevin dynamics, and measure what the generalization bounds speak of.

    Args:
        beta, N, flip, seed: inverse temperature, training digits, share of random labels, seed.
        width, chains, steps: hidden units, independent chains, steps.
        eta: step size; left out, 0.05, or less where the pull of the prior needs it.
        record: also return the history, taken every `record` steps.

    Returns:
        ``train_error``, ``test_error`` and their difference ``gap``, at the end, averaged over chains;
        ``start_loss``, an estimate of ``E L(theta_0)`` on this training set from 256 draws; ``end_loss``;
        ``time``. With `record` also ``history``: lists of times, errors, losses, and
        ``grad``, the mean squared norm of the loss's gradient.
    """
    beta = number("beta", beta, above=0.0)
    whole("chains", chains, at_least=1), whole("steps", steps, at_least=1)
    # eta times the pull of the prior, 64 / beta in the first layer, at most 1/5: a bias of at most 1/10 there
    eta = min(0.05, beta / (5 * _FEATURES)) if eta is None else number("eta", eta, above=0.0)
    x, y, x_test, y_test = digits(N, flip=flip, seed=seed)
    generator = torch.Generator().manual_seed(1_000_003 * seed + 17)
    net = TanhNet(width)
    start_loss = net.loss(net.sample_prior(256, generator), x, y).mean().item()
    theta = net.sample_prior(chains, generator)
    keep, scale = 1 - eta / (beta * net.prior_var()), math.sqrt(2 * eta / beta)  # as in langevin_step
    history = {name: [] for name in ("time", "train_error", "test_error", "loss", "grad")}
    for step in range(steps + 1):
        loss, grad = net.loss_and_grad(theta, x, y)
        if record and step % record == 0:
            history["time"].append(step * eta)
            history["train_error"].append(net.error(theta, x, y).mean().item())
            history["test_error"].append(net.error(theta, x_test, y_test).mean().item())
            history["loss"].append(loss.mean().item())
            history["grad"].append(grad.square().sum(1).mean().item())
        if step < steps:
            theta = _euler(theta, grad, keep, eta, scale, torch.randn(theta.shape, generator=generator))
    if not math.isfinite(end_loss := loss.mean().item()):
        raise FloatingPointError(f"the run diverged (beta={beta:g}, eta={eta:g}); take a smaller eta")
    train = net.error(theta, x, y).mean().item()
    test = net.error(theta, x_test, y_test).mean().item()
    result = {"train_error": train, "test_error": test, "gap": test - train}
    result |= {"start_loss": start_loss, "end_loss": end_loss, "time": steps * eta}
    return result | ({"history": history} if record else {})
