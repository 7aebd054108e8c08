"""Langevin dynamics at inverse temperature ``beta``, with a Gaussian prior or in a box.

The dynamics ``d theta = -(grad L + theta / (beta s^2)) dt + sqrt(2 / beta) dW`` starts from the prior
``p_0 = N(0, s^2 I)`` and keeps ``p_inf ~ p_0 exp(-beta L)``. In a box ``[-b, b]`` the prior is uniform,
the pull ``theta / (beta s^2)`` is absent, and the walls reflect. Chapter `langevin-generalization`.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .._validate import F64, flag, function, number, tensor, whole
from .._validate import generator as checked_generator

__all__ = [
    "langevin_step",
    "mala_step",
    "path_budget",
    "reflect",
    "run_chains",
]

_FLOATS = (torch.float32, torch.float64)


def _positions(theta) -> Tensor:
    return tensor("theta", theta, shape=("C", "d"), dtype=_FLOATS)


def _like(name: str, value, theta: Tensor) -> Tensor:
    return tensor(name, value, shape=tuple(theta.shape), dtype=theta.dtype, device=theta.device)


def _per_coordinate(name: str, value, like: Tensor) -> Tensor:
    """`value` as a positive tensor of shape (d,) or () with the dtype and device of `like`, (C, d)."""
    value = tensor(name, value, convert=like.dtype, above=0.0).to(like.device)
    if value.ndim > 1 or (value.ndim == 1 and len(value) != like.shape[1]):
        raise ValueError(f"{name} must be a number or have shape ({like.shape[1]},), found {tuple(value.shape)}")
    return value


def _one_of(prior_var, box) -> None:
    if (prior_var is None) == (box is None):
        raise ValueError(f"give exactly one of prior_var and box, found {'none' if box is None else 'both'}")


def reflect(z: Tensor, box: float | Tensor) -> Tensor:
    """Fold `z` back into ``[-box, box]`` as a mirror at each wall does, however far it overshoots.

    A triangle wave of period ``4 box``: one mirror is not enough when a step is longer than the box. What is
    inside stays as it is, to the last bit.

    Args:
        z: float32 or float64, shape (..., d) or (), finite.
        box: half width of the box, positive: a number or shape (d,).

    Returns:
        Tensor like `z`, inside the box.

    >>> reflect(torch.tensor([0.5, 1.5, 3.5, -9.25]), 1.0)
    tensor([ 0.5000,  0.5000, -0.5000, -0.7500])
    """
    z = tensor("z", z, dtype=_FLOATS)
    return _reflect(z, _per_coordinate("box", box, z.new_empty(0, *z.shape[-1:] or (1,)))).reshape(z.shape)


def _reflect(z: Tensor, box: Tensor) -> Tensor:
    beyond = z.abs() - box
    y = torch.fmod(beyond, 4 * box)  # from the wall that it crossed first; exact
    folded = torch.where(y > 2 * box, y - 3 * box, box - y)
    folded = torch.minimum(torch.maximum(folded, -box), box)  # rounding may leave the box
    return torch.where(beyond <= 0, z, torch.where(z < 0, -folded, folded))


def _coefficients(theta: Tensor, beta: float, eta: float, pull: Tensor | float) -> tuple[Tensor | float, float]:
    """``keep`` and ``scale`` of `_euler`, after checking that theta's dtype can hold them; `pull` is that of a step."""
    keep, scale = 1 - pull, math.sqrt(2 * eta / beta)
    if not (max(eta, scale) <= torch.finfo(theta.dtype).max and torch.as_tensor(keep).isfinite().all()):
        raise ValueError(
            f"beta, eta and prior_var must give steps within the range of {str(theta.dtype).removeprefix('torch.')}, "
            f"found beta = {beta:g}, eta = {eta:g}"
        )
    return keep, scale


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
        theta: positions, shape (C, d), float32 or float64; C may be 0.
        grad: gradient of the loss there, like `theta`.
        beta: inverse temperature, positive.
        eta: step size, positive; stable only if ``eta * (curvature + 1 / (beta s^2)) < 2``.
        prior_var: ``s^2``, a number or shape (d,).
        box: half width ``b``, a number or shape (d,). Exactly one of `prior_var` and `box` is given.
        noise: standard normal numbers, like `theta`; drawn from `generator` if left out.
        generator: a torch.Generator on theta's device, needed where `noise` is left out.

    Returns:
        The next positions, shape (C, d).

    Raises:
        ValueError: also where beta, eta and prior_var make a step that theta's dtype cannot hold.
        FloatingPointError: if a position leaves the range of floats.
    """
    theta = _positions(theta)
    grad = _like("grad", grad, theta)
    beta, eta = number("beta", beta, above=0.0), number("eta", eta, above=0.0)
    _one_of(prior_var, box)
    var = None if prior_var is None else _per_coordinate("prior_var", prior_var, theta)
    wall = None if box is None else _per_coordinate("box", box, theta)
    keep, scale = _coefficients(theta, beta, eta, 0.0 if var is None else eta * (1 / (beta * var)))
    if noise is None and generator is None:
        raise TypeError("give noise or generator, a torch.Generator, found None for both")
    if noise is not None:
        noise = _like("noise", noise, theta)
    if generator is not None:
        generator = checked_generator("generator", generator, device=theta.device)
    if noise is None:
        noise = torch.randn(theta.shape, generator=generator, dtype=theta.dtype, device=theta.device)
    moved = _not_diverged(_euler(theta, grad, keep, eta, scale, noise), beta, eta)
    return moved if wall is None else _reflect(moved, wall)


def _not_diverged(theta: Tensor, beta: float, eta: float) -> Tensor:
    if not torch.isfinite(theta).all():
        raise FloatingPointError(f"the chains diverged (beta = {beta:g}, eta = {eta:g}); take a smaller eta")
    return theta


def _evaluated(value_and_grad, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and gradient, after checking their shapes and dtype."""
    result = value_and_grad(theta)
    parts = result if isinstance(result, tuple | list) else (result,)
    shapes = tuple(tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__ for part in parts)
    if shapes != ((len(theta),), tuple(theta.shape)):
        raise ValueError(
            f"value_and_grad must give tensors of shapes {(len(theta),)} and {tuple(theta.shape)}, found {shapes}"
        )
    for part in parts:
        tensor("value_and_grad's result", part, dtype=theta.dtype, finite=False)
    return parts


def mala_step(
    theta: Tensor,
    value_and_grad: Callable[[Tensor], tuple[Tensor, Tensor]],
    *,
    beta: float,
    eta: float,
    prior_var: float | Tensor | None = None,
    box: float | Tensor | None = None,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """One Metropolis-adjusted step: the proposal of `langevin_step`, accepted or refused.

    Keeps ``p_inf`` exactly at every step size. A proposal outside the box is refused, and so is one whose
    loss or gradient is infinite or not a number.

    Args:
        theta: positions, shape (C, d), float32 or float64, inside the box; C may be 0.
        value_and_grad: ``theta -> (L, grad L)`` of shapes (C,) and (C, d), of theta's dtype.
        beta, eta, prior_var, box: as in `langevin_step`.
        generator: source of the proposals and of the tests, on theta's device.

    Returns:
        The next positions, shape (C, d), and which chains moved, bool (C,).

    Raises:
        ValueError: also where theta's dtype cannot hold a step, beta / eta, or beta times the loss or the gradient
            at theta: nothing would ever be accepted.
    """
    theta = _positions(theta)
    function("value_and_grad", value_and_grad)
    beta, eta = number("beta", beta, above=0.0), number("eta", eta, above=0.0)
    _one_of(prior_var, box)
    var = None if prior_var is None else _per_coordinate("prior_var", prior_var, theta)
    wall = None if box is None else _per_coordinate("box", box, theta)
    _coefficients(theta, beta, eta, 0.0 if var is None else eta / (beta * var))
    if max(beta, beta / (4 * eta)) > torch.finfo(theta.dtype).max:
        raise ValueError(
            f"beta and beta / eta must be within the range of {str(theta.dtype).removeprefix('torch.')}, "
            f"found beta = {beta:g}, eta = {eta:g}"
        )
    if wall is not None and (theta.abs() > wall).any():
        raise ValueError(f"theta must lie inside the box, found {theta[theta.abs() > wall][0]:.6g}")
    generator = checked_generator("generator", generator, device=theta.device)

    def potential(x):  # U with p_inf ~ exp(-U), and where one Euler step without noise leads
        loss, grad = _evaluated(value_and_grad, x)
        if var is None:
            return beta * loss, x - eta * grad
        return beta * loss + (x * x / (2 * var)).sum(1), x - eta * (grad + x / (beta * var))

    draw = dict(generator=generator, dtype=theta.dtype, device=theta.device)
    here, mean_here = potential(theta)
    for what, value in (("beta times a loss", here), ("a gradient", mean_here)):
        if not value.isfinite().all():
            raise ValueError(
                f"value_and_grad must give {what} in the range of floats at theta, "
                f"found {value[~value.isfinite()][0]:g}"
            )
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
    generator: torch.Generator,
) -> Tensor:
    """Positions after `steps` steps of `langevin_step`, or of `mala_step` if `adjust`; shape (C, d).

    Args:
        steps: at least 0.
        adjust: whether each step is accepted or refused.
        theta, value_and_grad, beta, eta, prior_var, box, generator: as in `mala_step`.
    """
    theta, steps, adjust = _positions(theta), whole("steps", steps, at_least=0), flag("adjust", adjust)
    function("value_and_grad", value_and_grad)
    arguments = dict(beta=beta, eta=eta, prior_var=prior_var, box=box, generator=generator)
    if not steps:  # still say what is wrong
        langevin_step(theta[:0], theta[:0], **arguments)
    for _ in range(steps):
        if adjust:
            theta, _ = mala_step(theta, value_and_grad, **arguments)
        else:
            theta = langevin_step(theta, _evaluated(value_and_grad, theta)[1], **arguments)
    return theta


def _times(t) -> Tensor:
    return tensor("t", t, dtype=F64, at_least=0.0)


def path_budget(times: Tensor, grad: Tensor, *, beta: float, prior_var: float | None = None) -> Tensor:
    """What gradients along the way say about ``KL(p_t || p_0)``: bounds from before the second law.

    Without `prior_var`, Girsanov's ``(beta / 4) int_0^t E|grad L|^2``. With it, the pull of a Gaussian prior whose
    largest variance is `prior_var` forgets the past:
    ``(beta / 2) int_0^t exp(-(t - u) / (beta s^2)) E|grad L(theta_u)|^2 du``. By the trapezoidal rule.

    Args:
        times: strictly increasing, from 0, shape (T,), T >= 1, float32 or float64.
        grad: ``E|grad L|^2`` at these times, like `times`, not negative.
        beta: inverse temperature, positive.
        prior_var: ``s^2``, positive; memory for T * T numbers.

    Returns:
        The bounds in nats, shape (T,), at each time.
    """
    times = tensor("times", times, shape=("T",), dtype=_FLOATS, at_least=0.0)
    if not (len(times) and times[0] == 0 and (times.diff() > 0).all()):
        raise ValueError(f"times must start at 0 and increase, found {times[:5].tolist()}")
    grad = tensor("grad", grad, dtype=times.dtype, at_least=0.0)
    if grad.shape != times.shape:
        raise ValueError(f"grad must have the shape of times, {tuple(times.shape)}, found {tuple(grad.shape)}")
    beta = number("beta", beta, above=0.0, at_most=torch.finfo(times.dtype).max)
    if prior_var is None:
        return beta / 4 * torch.cat([times[:1] * 0, torch.cumulative_trapezoid(grad, times)])
    memory = beta * number("prior_var", prior_var, above=0.0)
    rate = 1 / number("beta * prior_var", memory, above=torch.finfo(times.dtype).tiny)
    kernel = torch.exp(-rate * (times[:, None] - times).clamp(min=0)) * (times[:, None] >= times)
    gaps = times.diff()
    pieces = (kernel[:, 1:] * grad[1:] + kernel[:, :-1] * grad[:-1]) / 2 * gaps
    inside = times[:, None] >= times[1:]  # pieces that end by t
    return beta / 2 * torch.where(inside, pieces, 0.0).sum(1)  # a later piece may be infinite
