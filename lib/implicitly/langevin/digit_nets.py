"""Langevin training of small networks on the 8 x 8 digits, at a chosen temperature.

The network: tanh, one hidden layer, no biases; its prior is Gaussian with fan-in variances. Many chains run at once.
Chapter `langevin-generalization`, claims C4 and C5. The task is :func:`implicitly.data.digits`.
"""

import torch
from torch import Tensor

from implicitly_kernels import TanhNet as Potential
from implicitly_kernels import langevin
from implicitly_kernels.langevin.reference import tanh_net, tanh_outputs

from .._validate import generator as checked_generator
from .._validate import number, tensor, whole
from .._validate import seed as checked_seed
from ..data import _FEATURES, digits
from .chains import _coefficients

__all__ = [
    "TanhNet",
    "langevin_run",
]

F32 = torch.float32


class TanhNet:
    """Many small networks ``f(x) = v . tanh(W x)``, one to a row of `theta`, with their exact gradients.

    The methods take `theta` (C, d), float32 or float64, and in the same dtype the pictures `x` (N, 64), N >= 1, and
    their labels `y` (N,), 0 or 1. C may be 0. They raise TypeError or ValueError for anything else.

    Args:
        width: number of hidden units ``h``, from 1 to 10**6; the parameters are ``W (h, 64)`` and then ``v (h)``.
    """

    def __init__(self, width: int):
        self.width = whole("width", width, at_least=1, at_most=10**6)
        self.d = self.width * (_FEATURES + 1)

    def prior_var(self) -> Tensor:
        """Variance of each parameter under the prior: 1/64 in the first layer, 1/h in the second; (d,), float32."""
        inner, outer = _FEATURES * self.width, self.width
        return torch.cat([torch.full((inner,), 1 / _FEATURES, dtype=F32), torch.full((outer,), 1 / outer, dtype=F32)])

    def sample_prior(self, chains: int, generator: torch.Generator) -> Tensor:
        """Draws from ``p_0``, shape (chains, d), float32; `chains` at least 0."""
        chains = whole("chains", chains, at_least=0)
        generator = checked_generator("generator", generator, device="cpu")
        return torch.randn(chains, self.d, generator=generator, dtype=F32) * self.prior_var().sqrt()

    def _check(self, theta: Tensor, x: Tensor, y: Tensor) -> None:
        theta = tensor("theta", theta, shape=("C", self.d), dtype=(F32, torch.float64))
        like = dict(dtype=theta.dtype, device=theta.device)
        tensor("x", x, shape=("N", _FEATURES), **like)
        if not len(x):
            raise ValueError("x must hold at least one picture, found none")
        tensor("y", y, shape=("N",), **like)
        if len(y) != len(x):
            raise ValueError(f"y must hold a label for each row of x, {len(x)}, found {len(y)}")
        if not ((y == 0) | (y == 1)).all():
            raise ValueError(f"y must hold labels 0 and 1, found {y[(y != 0) & (y != 1)][0]:.6g}")

    def loss_and_grad(self, theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy in nats (C,) and its gradient (C, d)."""
        self._check(theta, x, y)
        return tanh_net(theta, x, y, self.width)

    def loss(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy alone, shape (C,)."""
        self._check(theta, x, y)
        z = tanh_outputs(theta, x, self.width)[0]
        return (torch.nn.functional.softplus(z) - y * z).mean(1)

    def error(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Share of wrong signs, shape (C,), float32."""
        self._check(theta, x, y)
        return ((tanh_outputs(theta, x, self.width)[0] > 0) != (y > 0.5)).to(F32).mean(1)


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

    Runs `implicitly_kernels.langevin`, from one record to the next.

    Args:
        beta: inverse temperature, positive.
        N, flip, seed: as in `digits`.
        width, chains, steps: hidden units, independent chains, steps, each at least 1.
        eta: step size, positive; left out, 0.05, or less where the pull of the prior needs it.
        record: also return the history, taken every `record` steps, at least 1.

    Returns:
        ``train_error``, ``test_error`` and their difference ``gap``, at the end, averaged over chains;
        ``start_loss``, an estimate of ``E L(theta_0)`` on this training set from 256 draws; ``end_loss``;
        ``time``. With `record` also ``history``: lists of times, errors, losses, and
        ``grad``, the mean squared norm of the loss's gradient.

    Raises:
        TypeError, ValueError: for bad arguments; also where beta and eta make a step that float32 cannot hold.
        FloatingPointError: if the run diverges.
    """
    beta, net = number("beta", beta, above=0.0), TanhNet(width)
    chains, steps = whole("chains", chains, at_least=1), whole("steps", steps, at_least=1)
    if record is not None:
        record = whole("record", record, at_least=1)
    # eta times the pull of the prior, 64 / beta in the first layer, at most 1/5: a bias of at most 1/10 there
    eta = min(0.05, beta / (5 * _FEATURES)) if eta is None else number("eta", eta, above=0.0)
    x, y, x_test, y_test = digits(N, flip=flip, seed=seed)
    noise = (1_000_003 * checked_seed("seed", seed) + 17) % 2**63
    generator = torch.Generator().manual_seed(noise)
    start_loss = net.loss(net.sample_prior(256, generator), x, y).mean().item()
    theta, prior_var = net.sample_prior(chains, generator), net.prior_var()
    _coefficients(theta, beta, eta, eta / (beta * prior_var))
    # A colder run than float32 can name has no noise left to round.
    fixed = dict(beta=min(beta, torch.finfo(F32).max), eta=eta, prior_var=prior_var, seed=noise)
    potential = Potential(x, y, net.width)
    history = {name: [] for name in ("time", "train_error", "test_error", "loss", "grad")}
    chunk = record or steps
    for step in range(0, steps + 1, chunk):
        if record:
            loss, grad = net.loss_and_grad(theta, x, y)
            history["time"].append(step * eta)
            history["train_error"].append(net.error(theta, x, y).mean().item())
            history["test_error"].append(net.error(theta, x_test, y_test).mean().item())
            history["loss"].append(loss.mean().item())
            history["grad"].append(grad.square().sum(1).mean().item())
        if step < steps:
            count = min(chunk, steps - step)
            theta, _, _ = langevin(theta, potential, steps=count, first_step=step, **fixed)
            if not theta.isfinite().all():
                raise FloatingPointError(f"the run diverged (beta={beta:g}, eta={eta:g}); take a smaller eta")
    end_loss = net.loss(theta, x, y).mean().item()
    train = net.error(theta, x, y).mean().item()
    test = net.error(theta, x_test, y_test).mean().item()
    result = {"train_error": train, "test_error": test, "gap": test - train}
    result |= {"start_loss": start_loss, "end_loss": end_loss, "time": steps * eta}
    return result | ({"history": history} if record else {})
