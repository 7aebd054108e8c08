"""Score flow and probability flow of a denoiser.

A denoiser is any ``h(x, noise) -> x`` on batches (B, d), float32 or float64. The score flow
``dx/dt = h(x, rho) - x`` keeps the noise fixed. The probability flow ``dx/d(-ln sigma) = h(x, alpha sigma) - x``
lets it run out.
Claim ids refer to the chapter ``score-flow`` (arXiv 2506.19031); derivations are on its page.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from implicitly_kernels import relu_flow

from .._validate import F64, choice, flag, function, number, tensor, whole
from .denoisers import SimplexDenoiser, _radius

__all__ = [
    "SCHEDULES",
    "probability_flow",
    "score_flow",
    "sigma_grid",
    "solve_probability_flow",
    "solve_score_flow",
]

Denoiser = Callable[[Tensor, float], Tensor]
_FLOATS = (torch.float32, F64)
#: sigma(t) for t from 0 (sigma_T) to 1 (sigma_0). "polynomial" is that of Karras et al. 2022, power 7.
SCHEDULES: dict[str, Callable[[Tensor, float, float], Tensor]] = {
    "geometric": lambda t, top, end: top * (end / top) ** t,
    "linear": lambda t, top, end: top + t * (end - top),
    "polynomial": lambda t, top, end: (top ** (1 / 7) + t * (end ** (1 / 7) - top ** (1 / 7))) ** 7,
    "cosine": lambda t, top, end: end + (top - end) * (1 + torch.cos(math.pi * t)) / 2,
}


def sigma_grid(sigma_T: float, sigma_0: float, steps: int, schedule: str = "geometric") -> Tensor:
    """Noise levels (steps + 1,), float64, from `sigma_T` down to `sigma_0` > 0, along a named schedule.

    The schedule is one of `SCHEDULES`; it is evaluated at equal steps of its own time, from 1 to 10**7 of them.
    ValueError also for levels that floats cannot keep apart.
    """
    sigma_0 = number("sigma_0", sigma_0, above=0.0)
    sigma_T = number("sigma_T", sigma_T, above=sigma_0)
    steps = whole("steps", steps, at_least=1, at_most=10**7)
    choice("schedule", schedule, SCHEDULES)
    t = torch.linspace(0, 1, steps + 1, dtype=F64)
    grid = SCHEDULES[schedule](t, sigma_T, sigma_0)
    grid[0], grid[-1] = sigma_T, sigma_0  # not their rounded powers
    if not ((grid.diff() < 0).all() and torch.isfinite(grid).all()):
        raise ValueError(
            f"sigma_T and sigma_0 must leave room for {steps + 1} falling levels in floats, "
            f"found {sigma_T:.17g} and {sigma_0:.17g}"
        )
    return grid


def _starts(x, denoise) -> None:
    tensor("x", x, shape=("B", "d"), dtype=_FLOATS)
    function("denoise", denoise)


def _denoised(denoise: Denoiser, x: Tensor, noise: float) -> Tensor:
    if not torch.isfinite(x).all():
        raise FloatingPointError("the flow diverged; take more steps, or a shorter way")
    clean = denoise(x, noise)
    if not isinstance(clean, Tensor) or clean.shape != x.shape or clean.dtype != x.dtype:
        wanted = f"a {str(x.dtype).removeprefix('torch.')} tensor of x's shape {tuple(x.shape)}"
        found = f"{clean.dtype} {tuple(clean.shape)}" if isinstance(clean, Tensor) else type(clean).__name__
        raise ValueError(f"denoise must give {wanted}, found {found.removeprefix('torch.')}")
    return clean


def _march(x: Tensor, drift: Callable[[Tensor, float], Tensor], times, method: str, path: bool) -> Tensor:
    """Euler or Heun steps of dx/ds = drift(x, s) through `times`."""
    states = [x]
    for s, s_next in pairwise(times):
        step = s_next - s
        slope = drift(x, s)
        if method == "heun":
            slope = (slope + drift(x + step * slope, s_next)) / 2
        x = x + step * slope
        if path:
            states.append(x)
    if not torch.isfinite(x).all():
        raise FloatingPointError("the flow diverged; take more steps, or a shorter way")
    return torch.stack(states) if path else x


def _flow(x: Tensor, denoise: Denoiser, times: list[float], radii: list[float], method: str, path: bool) -> Tensor:
    """dx/ds = h(x, radius) - x through `times`: in one call of the kernel where h has the closed form it knows."""
    if type(denoise) is not SimplexDenoiser or x.dtype != denoise.x1.dtype or x.shape[1] != len(denoise.x1):
        radius = dict(zip(times, radii, strict=True))
        return _march(x, lambda x, s: _denoised(denoise, x, radius[s]) - x, times, method, path)
    _radius(max(radii), denoise.L.min())
    if not torch.isfinite(x).all():
        raise FloatingPointError("the flow diverged; take more steps, or a shorter way")
    grid, rho = (torch.tensor(values, dtype=F64, device=x.device) for values in (times, radii))
    states = relu_flow(
        x, denoise.U, denoise.L, rho, grid.diff(), origin=denoise.x1, method=method, save_every=int(path)
    )
    if not torch.isfinite(states).all():
        raise FloatingPointError("the flow diverged; take more steps, or a shorter way")
    return states


def score_flow(
    x: Tensor, denoise: Denoiser, rho: float, *, time: float, steps: int, method: str = "heun", path: bool = False
) -> Tensor:
    """Where the score flow ``dx/dt = h(x, rho) - x`` takes `x` in the given time.

    The flow of a `SimplexDenoiser` runs in `implicitly_kernels.relu_flow`, any other step by step in torch.

    Args:
        x: starts, (B, d), floating.
        denoise: ``h(x, rho)``, (B, d) to (B, d).
        rho: noise handed to `denoise`, fixed, at least 0.
        time: how long to run, positive.
        steps: number of equal steps, from 1 to 10**7. Steps of more than 2 are unstable.
        method: "heun" (second order) or "euler".
        path: whether to return all states.

    Returns:
        Ends (B, d), or the path (steps + 1, B, d).

    Raises:
        FloatingPointError: if the states leave the range of floats.
    """
    _starts(x, denoise)
    rho, time = number("rho", rho, at_least=0.0), number("time", time, above=0.0)
    steps = whole("steps", steps, at_least=1, at_most=10**7)
    choice("method", method, ("heun", "euler"))
    path = flag("path", path)
    times = torch.linspace(0, time, steps + 1, dtype=F64).tolist()
    return _flow(x, denoise, times, [rho] * len(times), method, path)


def probability_flow(
    x: Tensor,
    denoise: Denoiser,
    sigmas: Tensor,
    *,
    alpha: float = 1.0,
    method: str = "heun",
    variable: str = "log",
    path: bool = False,
) -> Tensor:
    """Where the probability flow takes `x` as the noise falls along `sigmas`.

    In the variable "log" the flow of a `SimplexDenoiser` runs in `implicitly_kernels.relu_flow`.

    Args:
        x: starts at ``sigmas[0]``, (B, d), floating.
        denoise: ``h(x, noise)``; it is handed ``alpha * sigma``.
        sigmas: noise levels, (S,), S >= 2, positive and strictly decreasing, as from :func:`sigma_grid`.
        alpha: radius of the balls per unit of noise, positive.
        method: "heun" (second order) or "euler".
        variable: "log" steps in -ln sigma, "sigma" in sigma itself (an Euler step is then the
            deterministic step of DDIM). The path is the same, the errors differ.
        path: whether to return all states.

    Returns:
        Ends (B, d), or the path (S, B, d).

    Raises:
        FloatingPointError: if the states leave the range of floats.
    """
    _starts(x, denoise)
    tensor("sigmas", sigmas, shape=("S",), dtype=_FLOATS)
    if len(sigmas) < 2:
        raise ValueError(f"sigmas must hold at least 2 noise levels, found {len(sigmas)}")
    if not (sigmas[-1] > 0 and (sigmas.diff() < 0).all()):
        found = ", ".join(f"{s:.3g}" for s in sigmas[:5].tolist())
        raise ValueError(f"sigmas must be positive and strictly decreasing, found {found}{', …' * (len(sigmas) > 5)}")
    alpha = number("alpha", alpha, above=0.0)
    choice("method", method, ("heun", "euler"))
    choice("variable", variable, ("log", "sigma"))
    path = flag("path", path)
    if variable == "sigma":
        return _march(x, lambda x, s: (x - _denoised(denoise, x, alpha * s)) / s, sigmas.tolist(), method, path)
    times = (-sigmas.double().log()).tolist()
    return _flow(x, denoise, times, [alpha * math.exp(-s) for s in times], method, path)


def _solve(x: Tensor, rate: Callable[[float, Tensor], Tensor], end: float, rtol: float) -> Tensor:
    """dx/dt = rate(t, x) from 0 to `end` with LSODA of SciPy, which adapts step and order.

    Rates have kinks. The error that a Runge-Kutta method of high order estimates can vanish by chance where a
    step goes over one: DOP853 at rtol 1e-10 was off by up to 3e-6, and the last bit decided where. A multistep
    method sees a kink in the past of its polynomial, and its error follows rtol.
    """
    from scipy.integrate import solve_ivp

    def flat(t, state):
        slope = rate(t, torch.from_numpy(state).reshape(x.shape))
        if not torch.isfinite(slope).all():
            raise FloatingPointError(f"the flow diverged at t = {t:.3g}: denoise gives no finite points")
        return slope.numpy().ravel()

    start = x.double().cpu().numpy().ravel()
    run = solve_ivp(flat, (0.0, end), start, method="LSODA", rtol=rtol, atol=rtol * 1e-2)
    if not run.success:
        raise RuntimeError(f"the reference solver stopped at t = {run.t[-1]:.3g}: {run.message}")
    return torch.from_numpy(np.ascontiguousarray(run.y[:, -1])).reshape(x.shape)


def solve_score_flow(x: Tensor, denoise: Denoiser, rho: float, *, time: float, rtol: float = 1e-11) -> Tensor:
    """The score flow again, by SciPy's adaptive solver LSODA: an independent reference, (B, d) float64 on CPU.

    Args:
        x, denoise, rho: as in `score_flow`.
        time: how long to run, from 1e-9 to 10_000.
        rtol: relative tolerance of the solver, from 1e-13 to 0.1.
    """
    _starts(x, denoise)
    rho, time = number("rho", rho, at_least=0.0), number("time", time, at_least=1e-9, at_most=1e4)
    rtol = number("rtol", rtol, at_least=1e-13, at_most=0.1)
    return _solve(x, lambda t, x: _denoised(denoise, x, rho) - x, time, rtol)


def solve_probability_flow(
    x: Tensor,
    denoise: Denoiser,
    sigma_T: float,
    sigma_0: float,
    *,
    schedule: str = "geometric",
    alpha: float = 1.0,
    rtol: float = 1e-11,
) -> Tensor:
    """The probability flow by SciPy's adaptive solver LSODA, run in the schedule's own time t in [0, 1].

    Solves ``dx/dt = (d ln sigma / dt) (x - h(x, alpha sigma(t)))`` with the derivative of the schedule
    taken by autograd. An independent reference, (B, d) float64 on CPU.

    Args:
        x, denoise, alpha: as in `probability_flow`.
        sigma_T, sigma_0, schedule: as in `sigma_grid`.
        rtol: relative tolerance of the solver, from 1e-13 to 0.1.
    """
    _starts(x, denoise)
    sigma_T, sigma_0 = sigma_grid(sigma_T, sigma_0, 1, schedule).tolist()  # checks the arguments
    alpha, rtol = number("alpha", alpha, above=0.0), number("rtol", rtol, at_least=1e-13, at_most=0.1)
    last = SCHEDULES[schedule](torch.ones((), dtype=F64), sigma_T, sigma_0).item()
    if not abs(last - sigma_0) < sigma_0 / 2:
        raise ValueError(f"sigma_0 must not be lost in the rounding of sigma_T = {sigma_T:g}, found {sigma_0:g}")

    def rate(t, x):
        clock = torch.tensor(t, dtype=torch.float64, requires_grad=True)
        sigma = SCHEDULES[schedule](clock, sigma_T, sigma_0)
        (speed,) = torch.autograd.grad(sigma, clock)
        sigma = sigma.item()
        return (speed.item() / sigma) * (x - _denoised(denoise, x, alpha * sigma))

    return _solve(x, rate, 1.0, rtol)
