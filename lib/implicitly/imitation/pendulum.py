"""A network that imitates an expert who balances a pendulum upright: SGD, moving averages, roll-outs.

The state is the angle from upright and its speed, the action a torque. An expert cancels gravity and pulls back like a
damped spring, so that its closed loop is linear. Setting by us. Chapter `sgd-butterfly`. Bad arguments raise TypeError
or ValueError.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .._validate import F64, function, number, numbers, seed, tensor, whole, wholes

__all__ = ["Policy", "clone_pendulum", "pendulum_cost", "pendulum_expert", "pendulum_step"]

STEP = 0.1  # of time


class Policy(NamedTuple):
    """Networks with one layer of tanh, side by side: w1 (..., 2, W), b1 (..., 1, W), w2 (..., W, 1), b2 (..., 1, 1)."""

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Torques (..., n, 1) in the states x (..., n, 2), float64."""
        if _states(x).ndim < 2:
            raise ValueError(f"x must have shape (..., n, 2), found {tuple(x.shape)}")
        return torch.tanh(x @ self.w1 + self.b1) @ self.w2 + self.b2


def _states(x) -> Tensor:
    tensor("x", x, dtype=F64)
    if x.ndim < 1 or x.shape[-1] != 2:
        raise ValueError(f"x must have shape (..., 2), found {tuple(x.shape)}")
    return x


def pendulum_step(x: Tensor, torque: Tensor) -> Tensor:
    """The state 0.1 later: ``v' = v + 0.1 (sin(angle) + torque)``, ``angle' = angle + 0.1 v'``.

    Args:
        x: angle from upright and speed (..., 2), float64.
        torque: (..., 1), float64.

    >>> pendulum_step(torch.zeros(2, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    tensor([0.0100, 0.1000], dtype=torch.float64)
    """
    x = _states(x)
    tensor("torque", torque, dtype=F64)
    if torque.shape != (*x.shape[:-1], 1):
        raise ValueError(f"torque must have shape {(*x.shape[:-1], 1)}, found {tuple(torque.shape)}")
    return _step(x, torque)


def _step(x: Tensor, torque: Tensor) -> Tensor:
    angle, speed = x[..., :1], x[..., 1:]
    speed = speed + STEP * (torch.sin(angle) + torque)
    return torch.cat([angle + STEP * speed, speed], -1)


def pendulum_expert(x: Tensor, *, stiffness: float = 0.1, damping: float = 0.3) -> Tensor:
    """The expert's torque, ``-sin(angle) - stiffness angle - damping speed``: (..., 1) for x (..., 2), float64.

    stiffness, damping: at least 0, at most 1e3. With the defaults its loop has the spectral radius 0.985.

    >>> pendulum_expert(torch.zeros(3, 2, dtype=torch.float64)).shape
    torch.Size([3, 1])
    """
    x = _states(x)
    stiffness = number("stiffness", stiffness, at_least=0.0, at_most=1e3)
    damping = number("damping", damping, at_least=0.0, at_most=1e3)
    return -torch.sin(x[..., :1]) - stiffness * x[..., :1] - damping * x[..., 1:]


def clone_pendulum(
    *,
    eta: float,
    batch: int,
    noise: float,
    steps: int,
    seeds: Sequence[int],
    decays: Sequence[float],
    look: int = 50,
    width: int = 32,
) -> list[Policy]:
    """Train networks on the expert's noisy torques in standard normal states, by SGD; several runs side by side.

    Args:
        eta: step size, on half the mean squared error of a fresh batch; above 0, at most 10.
        batch: samples of one step, from 1 to 4096.
        noise: standard deviation of a torque around the expert's, at least 0, at most 1e3.
        steps: from 1 to 10**6.
        seeds: of start, states and noise, one a run.
        decays: of moving averages of the weights, each from 0 (the last weights) to below 1.
        look: weights are kept after every so many steps of the second half of the run; from 1 to (steps + 1) // 2.
        width: W, from 1 to 1024.

    Returns:
        A `Policy` for each decay, whose arrays begin with (runs, looks).

    >>> (last,) = clone_pendulum(eta=0.1, batch=4, noise=0.0, steps=20, seeds=[0, 1], decays=[0.0], look=5)
    >>> last.w1.shape
    torch.Size([2, 2, 2, 32])
    """
    eta, batch = number("eta", eta, above=0.0, at_most=10.0), whole("batch", batch, at_least=1, at_most=4096)
    noise, steps = number("noise", noise, at_least=0.0, at_most=1e3), whole("steps", steps, at_least=1, at_most=10**6)
    seeds = [seed("seeds", one) for one in wholes("seeds", seeds)]
    decays = numbers("decays", decays, at_least=0.0, below=1.0)
    look = whole("look", look, at_least=1, at_most=(steps + 1) // 2)
    width = whole("width", width, at_least=1, at_most=1024)
    dice = [torch.Generator().manual_seed(one) for one in seeds]

    def draw(*shape):
        return torch.stack([torch.randn(*shape, generator=g, dtype=F64) for g in dice])

    weights = [draw(2, width) / math.sqrt(2), draw(1, width), draw(width, 1) / math.sqrt(width),
               torch.zeros(len(seeds), 1, 1, dtype=F64)]  # fmt: skip
    x = draw(steps, batch, 2)
    action = pendulum_expert(x) + noise * draw(steps, batch, 1)
    averages = [[w.clone() for w in weights] for _ in decays]
    kept: list[list] = [[] for _ in decays]
    for t in range(steps):
        w1, b1, w2, b2 = weights
        hidden = torch.tanh(x[:, t] @ w1 + b1)
        residual = (hidden @ w2 + b2 - action[:, t]) / batch
        back = residual @ w2.mT * (1 - hidden * hidden)
        gradient = (x[:, t].mT @ back, back.sum(1, keepdim=True), hidden.mT @ residual, residual.sum(1, keepdim=True))
        weights = [w - eta * g for w, g in zip(weights, gradient, strict=True)]
        for decay, average, store in zip(decays, averages, kept, strict=True):
            for a, w in zip(average, weights, strict=True):
                a.mul_(decay).add_(w, alpha=1 - decay)
            if t >= steps // 2 and (t - steps // 2 + 1) % look == 0:
                store.append([a.clone() for a in average])
    return [Policy(*(torch.stack(parts, 1) for parts in zip(*store, strict=True))) for store in kept]


def pendulum_cost(policy: Callable[[Tensor], Tensor], start: Tensor, horizon: int) -> Tensor:
    """Sum of ``2 (1 - cos(angle)) + speed^2`` over the states x_1 .. x_H, mean over the starts.

    Args:
        policy: states (..., n, 2) to torques (..., n, 1): a `Policy`, or `pendulum_expert`.
        start: (n, 2), float64, n at least 1.
        horizon: H, from 1 to 10**6.

    Returns:
        (...), the leading axes of the policy.

    >>> pendulum_cost(pendulum_expert, torch.zeros(1, 2, dtype=torch.float64), 3)
    tensor(0., dtype=torch.float64)
    """
    function("policy", policy), tensor("start", start, shape=("n", 2), dtype=F64)
    if not len(start):
        raise ValueError("start must hold at least one state, found none")
    horizon = whole("horizon", horizon, at_least=1, at_most=10**6)
    x, cost = start, torch.zeros((), dtype=F64)
    for _ in range(horizon):
        torque = policy(x)
        x = _step(x.expand(*torque.shape[:-1], 2), torque)
        cost = cost + 2 * (1 - torch.cos(x[..., 0])) + x[..., 1] ** 2
    return cost.mean(-1)
