"""Score flow and probability flow of a denoiser, their exact solutions, and where they end.

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

from ._validate import choice, flag, function, number, tensor, whole

__all__ = [
    "KINDS",
    "SCHEDULES",
    "classify",
    "counted_as_zero",
    "end_probabilities",
    "off_edge_share",
    "probability_flow",
    "probability_flow_exact",
    "score_flow",
    "score_flow_exact",
    "shares",
    "sigma_grid",
    "solve_probability_flow",
    "solve_score_flow",
    "two_edges_exact",
    "vertex_is_fixed",
]

Denoiser = Callable[[Tensor, float], Tensor]

F64 = torch.float64
_FLOATS = (torch.float32, F64)

#: sigma(t) for t from 0 (sigma_T) to 1 (sigma_0). "polynomial" is that of Karras et al. 2022, power 7.
SCHEDULES: dict[str, Callable[[Tensor, float, float], Tensor]] = {
    "geometric": lambda t, top, end: top * (end / top) ** t,
    "linear": lambda t, top, end: top + t * (end - top),
    "polynomial": lambda t, top, end: (top ** (1 / 7) + t * (end ** (1 / 7) - top ** (1 / 7))) ** 7,
    "cosine": lambda t, top, end: end + (top - end) * (1 + torch.cos(math.pi * t)) / 2,
}

#: What an end of a flow can be; the codes that `classify` gives, in order.
KINDS = ("training", "sum", "neither")


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


def score_flow(
    x: Tensor, denoise: Denoiser, rho: float, *, time: float, steps: int, method: str = "heun", path: bool = False
) -> Tensor:
    """Where the score flow ``dx/dt = h(x, rho) - x`` takes `x` in the given time.

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
    return _march(x, lambda x, _: _denoised(denoise, x, rho) - x, times, method, path)


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
    return _march(x, lambda x, s: _denoised(denoise, x, alpha * math.exp(-s)) - x, times, method, path)


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


def _lengths(length, name: str, like: Tensor) -> Tensor:
    """`length` as a positive tensor, () or (m,), of the dtype and device of `like`, which is called `name`."""
    length = tensor("length", length, convert=like.dtype, above=0.0).to(like.device)
    if length.ndim and (length.shape != like.shape[-1:] or not len(length)):
        raise ValueError(
            f"length must be a number or have the shape (m,) of {name} (B, m) = {tuple(like.shape)}, "
            f"found {tuple(length.shape)}"
        )
    return length


def score_flow_exact(c: Tensor, length: Tensor | float, rho: float, time: float) -> Tensor:
    """Coordinates (B, m) of the score flow at `time` for orthogonal data, claim score-flow/C2.

    Solves ``dc/dt = ramp(c) - c`` piece by piece: exponential growth away from L/2 in the middle,
    exponential decay to 0 or L outside.

    Args:
        c: coordinates at the start, (B, m), float32 or float64.
        length: edge lengths, positive, a number or (m,).
        rho: radius of the balls, positive, below half the shortest length.
        time: how long to run, at least 0.
    """
    tensor("c", c, shape=("B", "m"), dtype=_FLOATS)
    length = _lengths(length, "c", c)
    rho = number("rho", rho, above=0.0, below=float(length.min()) / 2)
    time = min(number("time", time, at_least=0.0), torch.finfo(c.dtype).max)
    q = c - length / 2
    half = length / 2 - rho  # half the width of the middle band
    rate = rho / half
    inside = q.abs() < half
    # time spent in the middle; a start at L/2 never leaves, and its growth may be infinite
    leave = torch.where(inside, (half / q.abs()).log() / rate, torch.zeros_like(q))
    middle = torch.where(q == 0, q, q * torch.exp(rate * leave.clamp(max=time)))
    distance = torch.where(inside, torch.full_like(q, rho), length / 2 - q.abs())
    outside = q.sign() * (length / 2 - distance * torch.exp(-(time - leave)))
    return length / 2 + torch.where(leave >= time, torch.where(inside, middle, q), outside)


def probability_flow_exact(
    x: Tensor, denoise: Denoiser, sigma_T: float, sigma_0: float, *, alpha: float = 1.0
) -> Tensor:
    """``h(x) + (sigma_0 / sigma_T) (x - h(x))`` with h at `sigma_T`, (B, d), claims score-flow/C3 and C7.

    The exact end of the probability flow for orthogonal data and for points on a line; not for obtuse
    data. `sigma_0` may be 0; `sigma_T` is above it, `alpha` above 0. ValueError if h(x) is not finite.
    """
    _starts(x, denoise)
    sigma_0 = number("sigma_0", sigma_0, at_least=0.0)
    sigma_T = number("sigma_T", sigma_T, above=sigma_0)
    clean = _denoised(denoise, x, number("alpha", alpha, above=0.0) * sigma_T)
    tensor("denoise's result", clean)
    return clean + (sigma_0 / sigma_T) * (x - clean)


def _clock(gamma: float, length: float, rho_T: float, rho_0: float) -> float:
    """kappa of claim score-flow/C5: what is left of (f1 + f2) / (f1 - f2)."""
    gamma, length = number("gamma", gamma, above=0.0, below=1.0), number("length", length, above=0.0)
    rho_T = number("rho_T", rho_T, above=0.0, below=length / 2)
    rho_0 = number("rho_0", rho_0, above=0.0, below=rho_T)
    return (rho_0 / rho_T * ((length - 2 * rho_T) / (length - 2 * rho_0))) ** (2 * gamma)


def two_edges_exact(f: Tensor, gamma: float, length: float, rho_T: float, rho_0: float) -> Tensor:
    """Denoised coordinates (B, 2) at the end of the probability flow on two equal obtuse edges.

    Claim score-flow/C5 (c). For starts with both coordinates in the middle band.

    Args:
        f: ``ramp(c)`` at the start, (B, 2), strictly between 0 and `length`; float32 or float64.
        gamma: minus the cosine of the angle between the edges, in (0, 1).
        length: the common length, a number.
        rho_T, rho_0: radius of the balls at start and end, ``0 < rho_0 < rho_T < length / 2``.
    """
    tensor("f", f, shape=("B", 2), dtype=_FLOATS)
    length = number("length", length, above=0.0)
    inside = (f > 0) & (f < length)
    if not inside.all():
        raise ValueError(
            f"f must lie strictly between 0 and length = {length:.6g} (both coordinates in the middle band), "
            f"found {f[~inside][0]:.6g}"
        )
    kappa = max(_clock(gamma, length, rho_T, rho_0), torch.finfo(f.dtype).tiny)  # at 0, 0 times infinity
    total = f.sum(1) * kappa**0.5
    gap = (f[:, 0] - f[:, 1]) * kappa**-0.5
    both = torch.stack([total + gap, total - gap], 1) / 2
    share = f / length
    winner = length * (share[:, 0] ** 2 - share[:, 1] ** 2).abs().sqrt()[:, None] * (f == f.amax(1, keepdim=True))
    return torch.where((gap.abs() < total)[:, None], both, winner)


def off_edge_share(gamma: float, length: float, rho_T: float, rho_0: float) -> float:
    """Share of uniform middle-band starts still off both edges at the end: ``2 k / (1 + k)``, C5 (c).

    Arguments as in :func:`two_edges_exact`.
    """
    kappa = _clock(gamma, length, rho_T, rho_0)
    return 2 * kappa / (1 + kappa)


def vertex_is_fixed(gram: Tensor, length: Tensor, rho: float, members: Tensor) -> Tensor:
    """Which vertices ``x1 + sum_{n in S} L_n u_n`` are rest points of the score flow, claim C5 (a).

    Args:
        gram: inner products of the edge directions, (m, m), m >= 1, float32 or float64.
        length: edge lengths, (m,), positive, of the same dtype.
        rho: radius of the balls, at least 0, below half the shortest length.
        members: the sets S, (V, m) bool.

    Returns:
        (V,) bool: whether ``-sum_{j in S, j != i} G_ij L_j <= rho`` for every i in S.

    Raises:
        ValueError: if two edges meet at an acute angle (some ``G_ij > 0``, up to rounding). The condition
            says nothing then, because edges outside S may be active at the vertex.
    """
    tensor("gram", gram, shape=("m", "m"), dtype=_FLOATS)
    m = len(gram)
    if not m or gram.shape[1] != m or (gram.diagonal() - 1).abs().max() > 1e-4 or (gram - gram.T).abs().max() > 1e-4:
        raise ValueError(f"gram must be symmetric, (m, m), with a diagonal of ones, found shape {tuple(gram.shape)}")
    tensor("length", length, shape=(m,), dtype=gram.dtype, above=0.0)
    rho = number("rho", rho, at_least=0.0, below=float(length.min()) / 2)
    tensor("members", members, shape=("V", m), dtype=torch.bool)
    off = gram - torch.diag(gram.diagonal())
    cosine = float(off.max())
    if cosine > 100 * torch.finfo(gram.dtype).eps:
        raise ValueError(f"gram must be that of right or obtuse angles, found a cosine of {cosine:.3g}")
    push = -(members.to(gram.dtype) * length) @ off  # (V, m)
    return ((push <= rho) | ~members).all(1)


def classify(f: Tensor, length: Tensor | float, *, tolerance: float) -> Tensor:
    """Codes (B,) of the ends with denoised coordinates `f` (B, m): 0 training, 1 sum, 2 neither (`KINDS`).

    A coordinate counts as 0 or L within ``tolerance * length``. For obtuse data hand in ``ramp(c)``,
    not `c`: off its edge a training point has negative coordinates.

    Args:
        f: float32 or float64, m >= 1.
        length: edge lengths, positive, a number or (m,).
        tolerance: in (0, 1/2).
    """
    tensor("f", f, shape=("B", "m"), dtype=_FLOATS)
    if not f.shape[1]:
        raise ValueError(f"f must have at least one coordinate, found shape {tuple(f.shape)}")
    length, tolerance = _lengths(length, "f", f), number("tolerance", tolerance, above=0.0, below=0.5)
    share = f / length
    full = (share - 1).abs() <= tolerance
    vertex = (full | (share.abs() <= tolerance)).all(1)
    return torch.where(vertex, (full.sum(1) >= 2).long(), torch.full((len(f),), 2, device=f.device))


def shares(kinds: Tensor) -> Tensor:
    """Shares (3,), float64, of training, sum and neither among codes (B,), B >= 1, from :func:`classify`."""
    tensor("kinds", kinds, shape=("B",), dtype=torch.int64, at_least=0, at_most=len(KINDS) - 1)
    if not len(kinds):
        raise ValueError("kinds must hold at least one code, found none")
    return torch.bincount(kinds, minlength=3).double() / len(kinds)


def end_probabilities(p_0: float, p_L: float, m: int) -> tuple[float, float, float]:
    """Probabilities of training, sum and neither for m independent coordinates, claim score-flow/C4.

    Args:
        p_0: probability that a coordinate ends at 0.
        p_L: probability that it ends at L; ``p_0 + p_L <= 1``.
        m: number of edges, from 1 to 2**53, one less than the number of training points.
    """
    p_0, p_L = number("p_0", p_0, at_least=0.0), number("p_L", p_L, at_least=0.0)
    m = whole("m", m, at_least=1, at_most=2**53)
    if p_0 + p_L > 1 + 1e-12:
        raise ValueError(f"p_0 + p_L must be at most 1, found {p_0 + p_L}")
    training = p_0**m + m * p_0 ** (m - 1) * p_L
    vertex = (p_0 + p_L) ** m
    return training, max(vertex - training, 0.0), max(1 - vertex, 0.0)  # rounding may go below 0


def counted_as_zero(length: float, rho_T: float, ratio: float, *, tolerance: float) -> tuple[float, float]:
    """Start coordinates whose end the probability flow leaves within ``tolerance * length`` of 0.

    Inverts claim score-flow/C3 for orthogonal data, so that shares counted with a tolerance and at
    ``ratio = sigma_0 / sigma_T > 0`` can be compared with exact probabilities. Those counted as L are
    the mirror image, ``(length - high, length - low)``.

    Args:
        length: edge length.
        rho_T: radius of the balls at the start, below ``length / 2``.
        ratio: sigma_0 / sigma_T, in (0, 1].
        tolerance: as in :func:`classify`, below 1/2.

    Returns:
        The interval ``(low, high)``.

    Raises:
        TypeError, ValueError: if an argument is no number or out of its range.
    """
    length = number("length", length, above=0.0)
    rho_T = number("rho_T", rho_T, at_least=0.0, below=length / 2)
    ratio = number("ratio", ratio, above=0.0, at_most=1.0)
    tolerance = number("tolerance", tolerance, above=0.0, below=0.5)
    near = tolerance * length
    if near <= rho_T * ratio:  # within the flat part at the end: c_0 = ratio * c_T
        return -near / ratio, near / ratio
    slope = (length - 2 * rho_T * ratio) / (length - 2 * rho_T)
    return -near / ratio, length / 2 - (length / 2 - near) / slope
