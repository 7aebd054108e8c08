"""Other fits of points on a line: linear splines, the kernel of a network, and the least any interpolant can bend.

Claim ids refer to the chapter ``stable-minima``; the derivations are the chapter's own. Everything is float64.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ._validate import number, whole
from .stable_minima import F64, LineNet, _labels, _points, g_weight

__all__ = [
    "expected_interpolation_tv",
    "fitted_slope",
    "interpolation_allowance",
    "interpolation_constant",
    "kernel_fit",
    "smallest_interpolation_tv",
    "spline_net",
    "spline_tv",
    "tangent_kernel",
]


def _slopes(x: Tensor, y: Tensor) -> Tensor:
    return y.diff(dim=-1) / x.diff()


def spline_net(x, y) -> LineNet:
    """The linear spline through the points as balanced networks, (B, n - 1) wide: |w1| = |w2| for every neuron.

    One neuron with its knot at x_1 - 1 for the first slope, one with its knot at each inner point. The knots lie on
    the data, where the loss is not twice differentiable: move them a little before taking a Hessian.
    """
    x = _points("x", x)
    y = _labels(y, x)
    slopes = _slopes(x, y)
    jumps = torch.cat([slopes[:, :1], slopes.diff(dim=1)], 1)
    knots = torch.cat([x[:1] - 1, x[1:-1]])
    w1 = jumps.abs().sqrt()
    return LineNet(w1, -w1 * knots, jumps.sign() * w1, y[:, 0] - jumps[:, 0])


def spline_tv(x, y) -> Tensor:
    """Weighted total variation of the linear spline through the points, (B,).

    For points in [-1, 1] the least of any function through them; C4 (a).
    """
    x = _points("x", x)
    return (_slopes(x, _labels(y, x)).diff(dim=1).abs() * g_weight(x[1:-1], x)).sum(1)


def _spacing(x: Tensor) -> float:
    gaps = x.diff()
    if not torch.allclose(gaps, gaps[0].expand_as(gaps), rtol=1e-9):
        raise ValueError("x must be equally spaced, found unequal gaps")
    return float(gaps[0])


def expected_interpolation_tv(x, sigma: float) -> float:
    """A lower bound on the mean of :func:`spline_tv` over normal noise, for any clean values; C4 (b).

    sqrt(12/pi) sigma/h sum_i g(x_i), with h the spacing of the points `x`; the exact mean if the clean values lie on
    a line.
    """
    x = _points("x", x)
    total = float(g_weight(x[1:-1], x).sum())
    return math.sqrt(12 / math.pi) * number("sigma", sigma, at_least=0.0) / _spacing(x) * total


def interpolation_allowance(x, sigma: float, samples: int, *, false_alarm: float = 1e-6) -> float:
    """How far the mean of :func:`spline_tv` over independent label sets may fall below its expectation; C4 (c)."""
    x = _points("x", x)
    whole("samples", samples, at_least=1)
    number("false_alarm", false_alarm, above=0.0, below=1.0)
    norm = float(g_weight(x[1:-1], x).square().sum()) * math.log(1 / false_alarm) / samples
    return number("sigma", sigma, at_least=0.0) / _spacing(x) * math.sqrt(32 * norm)


def interpolation_constant() -> float:
    """sqrt(12/pi)/4 times the integral of the limit weight over [-1, 1]: the constant of C4, about 0.0357."""
    from scipy.integrate import quad

    area = quad(lambda s: (1 - s) ** 3 * math.sqrt(1 + s * s), 0.5, 1)[0] * 4
    return math.sqrt(12 / math.pi) / 4 * area


def smallest_interpolation_tv(x, y, *, knots: int = 400) -> float:
    """The least weighted total variation of a function through the points (n,), over a dictionary of knots.

    A linear program: f = a + b x + sum_j c_j [x - t_j]_+ through the labels, minimising sum_j |c_j| g(t_j). The
    dictionary holds the inner points, a little to either side of them (g jumps there), and `knots` equal steps.

    Raises:
        RuntimeError: the solver failed.
    """
    from scipy.optimize import linprog

    x = _points("x", x)
    y = _labels(y, x, 1)[0].numpy()
    inner, side = x[1:-1], 1e-6 * (x[-1] - x[0])
    steps = torch.linspace(float(x[0]), float(x[-1]), whole("knots", knots, at_least=1) + 2, dtype=F64)[1:-1]
    t = torch.cat([steps, inner - side, inner, inner + side]).sort().values
    bends = torch.relu(x[:, None] - t).numpy()
    columns = np.concatenate([bends, -bends, np.ones((len(y), 1)), x.numpy()[:, None]], 1)
    weight = g_weight(t, x).numpy()
    free = [(0, None)] * (2 * len(t)) + [(None, None)] * 2
    found = linprog(np.concatenate([weight, weight, [0, 0]]), A_eq=columns, b_eq=y, bounds=free, method="highs")
    if found.status != 0:
        raise RuntimeError(f"the linear program ended with: {found.message}")
    return float(found.fun)


# --- the kernel of the same network ---------------------------------------------------------------------------------


def tangent_kernel(x, z, width: int) -> Tensor:
    """Mean over :func:`initial_nets` of sum of products of gradients at x (n,) and z (m,), in [-1, 1]: (n, m).

    1 + width A + (1 + x z) B, with A the mean of [w(x-t)]_+ [w(z-t)]_+ and B the chance that a neuron is active at
    both, for w standard normal and t uniform on [-1, 1].
    """
    whole("width", width, at_least=1)
    x, z = torch.as_tensor(x).to(F64)[:, None], torch.as_tensor(z).to(F64)
    if max(float(x.abs().max()), float(z.abs().max())) > 1:
        raise ValueError("x and z must lie in [-1, 1]")
    low, high = torch.minimum(x, z), torch.maximum(x, z)
    gap = high - low
    side = [s.pow(3) / 3 + gap * s.square() / 2 for s in (1 + low, 1 - high)]
    return 1 + width * (side[0] + side[1]) / 4 + (1 + x * z) * (2 - gap) / 4


def kernel_fit(x, y, z, width: int, *, ridge: float = 0.0) -> Tensor:
    """Kernel regression with :func:`tangent_kernel`, values (B, m) at `z`: interpolation, or ridge regression.

    `ridge` is added to the diagonal of the kernel matrix divided by n; 0 interpolates the labels.
    """
    x = _points("x", x)
    y = _labels(y, x)
    number("ridge", ridge, at_least=0.0)
    K = tangent_kernel(x, x, width) / x.numel()
    weights = torch.linalg.solve(K + ridge * torch.eye(x.numel(), dtype=F64), y.T)
    return (tangent_kernel(z, x, width) @ weights).T / x.numel()


# --- rates ----------------------------------------------------------------------------------------------------------


def fitted_slope(sizes: Sequence[int], errors: Tensor, *, resamples: int = 2000) -> tuple[float, float, float]:
    """Slope of ln(mean error) against ln(size), and its 2.5 % and 97.5 % points over resampled runs.

    Args:
        sizes: (m,), at least two.
        errors: (m, R), positive; column r is run r at every size. Whole columns are resampled: the sizes of one run
            may share its start and its noise.
    """
    n = torch.as_tensor(sizes, dtype=F64).log()
    errors = torch.as_tensor(errors).to(F64)
    if errors.ndim != 2 or errors.shape[0] != n.numel() or n.numel() < 2:
        raise ValueError(f"errors must have shape (m, R) with m = {n.numel()} at least 2, found {tuple(errors.shape)}")
    if not bool((errors > 0).all()):
        raise ValueError("errors must be positive")
    weights = (n - n.mean()) / (n - n.mean()).square().sum()
    runs = errors.shape[1]
    generator = torch.Generator().manual_seed(0)
    pick = torch.randint(runs, (whole("resamples", resamples, at_least=1), runs), generator=generator)
    again = weights @ errors[:, pick].mean(2).log()
    low, high = again.quantile(torch.tensor([0.025, 0.975], dtype=F64)).tolist()
    return float(errors.mean(1).log() @ weights), low, high
