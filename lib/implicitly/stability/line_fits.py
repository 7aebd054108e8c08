"""Other fits of points on a line: linear splines, the kernel of a network, and the least any interpolant can bend.

Claim ids refer to the chapter ``stable-minima``; the derivations are the chapter's own. Everything is float64;
points x (n,) increase, labels y are (B, n) or (n,), and both are taken as in :mod:`.line_nets`.
"""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .._validate import F64, number, tensor, whole
from .flatness import g_weight
from .line_nets import LineNet, _labels, _points

__all__ = [
    "expected_interpolation_tv",
    "interpolation_allowance",
    "interpolation_constant",
    "kernel_fit",
    "smallest_interpolation_tv",
    "spline_net",
    "spline_tv",
    "tangent_kernel",
]


def _slopes(x: Tensor, y: Tensor) -> Tensor:
    slopes = y.diff(dim=-1) / x.diff()
    if not torch.isfinite(slopes).all():
        raise ValueError(f"x must leave finite slopes, found points only {float(x.diff().min()):.3g} apart")
    return slopes


def spline_net(x: ArrayLike, y: ArrayLike) -> LineNet:
    """The linear spline through the points as balanced networks, (B, n - 1) wide: |w1| = |w2| for every neuron.

    One neuron with its knot at x_1 - 1 for the first slope, one with its knot at each inner point. The knots lie on
    the data, where the loss is not twice differentiable: move them a little before taking a Hessian. One point gives
    a constant, without neurons.
    """
    x = _points("x", x)
    y = _labels(y, x)
    slopes = _slopes(x, y)
    if x.numel() == 1:
        return LineNet(slopes, slopes, slopes, y[:, 0])
    jumps = torch.cat([slopes[:, :1], slopes.diff(dim=1)], 1)
    knots = torch.cat([x[:1] - 1, x[1:-1]])
    w1 = jumps.abs().sqrt()
    return LineNet(w1, -w1 * knots, jumps.sign() * w1, y[:, 0] - jumps[:, 0])


def spline_tv(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Weighted total variation of the linear spline through the points, (B,).

    For points in [-1, 1] the least of any function through them; C6 (a). 0 for one point or two.
    """
    x = _points("x", x)
    y = _labels(y, x)
    if x.numel() < 3:
        return torch.zeros(len(y), dtype=F64)
    return (_slopes(x, y).diff(dim=1).abs() * g_weight(x[1:-1], x)).sum(1)


def _spacing(x: Tensor) -> float:
    gaps = x.diff()
    rounding = 4 * torch.finfo(F64).eps * float(x.abs().max())
    if not torch.allclose(gaps, gaps[0].expand_as(gaps), rtol=1e-9, atol=rounding):
        raise ValueError("x must be equally spaced, found unequal gaps")
    return float(gaps[0])


def expected_interpolation_tv(x: ArrayLike, sigma: float) -> float:
    """A lower bound on the mean of :func:`spline_tv` over normal noise, for any clean values; C6 (b).

    sqrt(12/pi) sigma/h sum_i g(x_i), with h the spacing of the points `x`; the exact mean if the clean values lie on
    a line. 0 for fewer than three points.

    Args:
        x: (n,), equally spaced. sigma: standard deviation of the noise, at least 0.
    """
    x, sigma = _points("x", x), number("sigma", sigma, at_least=0.0)
    if x.numel() < 3:
        return 0.0
    total = float(g_weight(x[1:-1], x).sum())
    return math.sqrt(12 / math.pi) * sigma / _spacing(x) * total


def interpolation_allowance(x: ArrayLike, sigma: float, samples: int, *, false_alarm: float = 1e-6) -> float:
    """How far the mean of :func:`spline_tv` over independent label sets may fall below its expectation; C6 (c).

    Args:
        x: (n,), equally spaced. sigma: standard deviation of the noise, at least 0. samples: label sets, at least 1.
        false_alarm: probability of a larger fall, in (0, 1).
    """
    x, sigma = _points("x", x), number("sigma", sigma, at_least=0.0)
    samples = whole("samples", samples, at_least=1)
    false_alarm = number("false_alarm", false_alarm, above=0.0, below=1.0)
    if x.numel() < 3:
        return 0.0
    norm = float(g_weight(x[1:-1], x).square().sum()) * -math.log(false_alarm) / samples
    return sigma / _spacing(x) * math.sqrt(32 * norm)


def interpolation_constant() -> float:
    """sqrt(12/pi)/4 times the integral of the limit weight over [-1, 1]: the constant of C6, about 0.0357."""
    from scipy.integrate import quad

    area = quad(lambda s: (1 - s) ** 3 * math.sqrt(1 + s * s), 0.5, 1)[0] * 4
    return math.sqrt(12 / math.pi) / 4 * area


def smallest_interpolation_tv(x: ArrayLike, y: ArrayLike, *, knots: int = 400) -> float:
    """The least weighted total variation of a function through the points (n,), over a dictionary of knots.

    A linear program: f = a + b x + sum_j c_j [x - t_j]_+ through the labels, minimising sum_j |c_j| g(t_j). The
    dictionary holds the inner points, a little to either side of them (g jumps there), and `knots` equal steps, at
    least 1. `y`: (n,) or (1, n). 0 for fewer than three points.

    Raises:
        RuntimeError: the solver failed.
    """
    from scipy.optimize import linprog

    x, knots = _points("x", x), whole("knots", knots, at_least=1)
    y = _labels(y, x, 1)[0]
    # the solver's tolerances are absolute: powers of two bring labels and points to size 1 and change no digit
    size, span = (2.0 ** math.frexp(float(v))[1] for v in (y.abs().max(), x[-1] - x[0]))
    if x.numel() < 3 or not y.any():
        return 0.0
    inner, side = x[1:-1], 1e-6 * (x[-1] - x[0])
    steps = torch.linspace(float(x[0]), float(x[-1]), knots + 2, dtype=F64)[1:-1]
    t = torch.cat([steps, inner - side, inner, inner + side]).sort().values
    bends = torch.relu(x[:, None] - t).numpy() / span
    line = (x - x[0])[:, None].numpy() / span
    columns = np.concatenate([bends, -bends, np.ones((len(y), 1)), line], 1)
    weight = g_weight(t, x).numpy() / span
    free = [(0, None)] * (2 * len(t)) + [(None, None)] * 2
    found = linprog(
        np.concatenate([weight, weight, [0, 0]]), A_eq=columns, b_eq=y.numpy() / size, bounds=free, method="highs"
    )
    if found.status != 0:
        raise RuntimeError(f"the linear program ended with: {found.message}")
    return float(found.fun) * size


def tangent_kernel(x: ArrayLike, z: ArrayLike, width: int) -> Tensor:
    """Mean over :func:`initial_nets` of sum of products of gradients at x (n,) and z (m,), in [-1, 1]: (n, m).

    1 + width A + (1 + x z) B, with A the mean of [w(x-t)]_+ [w(z-t)]_+ and B the chance that a neuron is active at
    both, for w standard normal and t uniform on [-1, 1]. `width` is at least 1; the points need no order.
    """
    width = whole("width", width, at_least=1)
    x = tensor("x", x, shape=("n",), convert=F64, at_least=-1.0, at_most=1.0)[:, None]
    z = tensor("z", z, shape=("m",), convert=F64, at_least=-1.0, at_most=1.0)
    low, high = torch.minimum(x, z), torch.maximum(x, z)
    gap = high - low
    side = [s.pow(3) / 3 + gap * s.square() / 2 for s in (1 + low, 1 - high)]
    return 1 + width * (side[0] + side[1]) / 4 + (1 + x * z) * (2 - gap) / 4


def kernel_fit(x: ArrayLike, y: ArrayLike, z: ArrayLike, width: int, *, ridge: float = 0.0) -> Tensor:
    """Kernel regression with :func:`tangent_kernel`, values (B, m) at `z`: interpolation, or ridge regression.

    `ridge`, at least 0, is added to the diagonal of the kernel matrix divided by n; 0 interpolates the labels. The
    points x and z lie in [-1, 1]; `width` is at least 1.
    """
    x = _points("x", x)
    y, ridge = _labels(y, x), number("ridge", ridge, at_least=0.0)
    z = tensor("z", z, shape=("m",), convert=F64, at_least=-1.0, at_most=1.0)
    K = tangent_kernel(x, x, width) / x.numel()
    K = K + ridge * torch.eye(x.numel(), dtype=F64)
    if not torch.linalg.cond(K, 1) <= 1e12:
        raise ValueError(f"x must lie farther apart for ridge {ridge:.6g}, found {float(x.diff().min()):.3g} apart")
    weights = torch.linalg.solve(K, y.T)
    return (tangent_kernel(z, x, width) @ weights).T / x.numel()
