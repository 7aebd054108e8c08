"""How flat a minimum is, and how regular that makes the function.

A twice differentiable minimum is linearly stable for the step size eta if the largest eigenvalue of the Hessian is at
most 2/eta. Claim ids refer to the chapter ``stable-minima``; the proofs are the chapter's own. Networks, points and
labels are as in :mod:`.line_nets`.
"""

import math

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .._validate import F64, each, instance, number, tensor, whole
from .line_nets import _SIZE, LineNet, _labels, _places, _points, residuals

__all__ = [
    "certificate",
    "count_kinks",
    "flatness_use",
    "flattest_pairs",
    "g_weight",
    "gauss_newton_top",
    "gradient_norm",
    "hessian_parts",
    "path_tv",
    "residual_use",
    "sharpness",
    "tv",
    "uniform_weight",
    "with_end_spike",
]


def _features(net: LineNet, x: Tensor) -> Tensor:
    """Gradients of f(x_i) in (w1, b1, w2, b2): (B, n, 3k + 1)."""
    z = net.w1[:, None] * x[:, None] + net.b1[:, None]  # (B, n, k)
    on = (z > 0).to(F64) * net.w2[:, None]
    ones = torch.ones(len(net), x.numel(), 1, dtype=F64)
    return torch.cat([on * x[:, None], on, torch.relu(z), ones], 2)


def gradient_norm(net: LineNet, x: ArrayLike, y: ArrayLike) -> Tensor:
    """Euclidean norm of the gradient of the loss, (B,); x and y as for :func:`residuals`."""
    r = residuals(net, x, y)
    return torch.einsum("bn,bnp->bp", r, _features(net, _points("x", x))).norm(dim=1) / r.shape[1]


def hessian_parts(net: LineNet, x: ArrayLike, y: ArrayLike) -> tuple[Tensor, Tensor]:
    """(GN, R), each (B, 3k + 1, 3k + 1), with Hessian = GN + R. Order of parameters: w1, b1, w2, b2.

    GN = (1/n) sum_i grad f(x_i) grad f(x_i)^T is the Gauss-Newton part. R = (1/n) sum_i r_i Hess f(x_i) couples the
    w2 of a neuron with its own w1 and b1, and nothing else. x and y as for :func:`residuals`.
    """
    r = residuals(net, x, y)
    x = _points("x", x)
    J, k, n = _features(net, x), net.w1.shape[1], x.numel()
    on = (net.w1[:, None] * x[:, None] + net.b1[:, None] > 0).to(F64)
    R = torch.zeros(len(net), 3 * k + 1, 3 * k + 1, dtype=F64)
    for start, weight in ((0, r * x), (k, r)):
        block = torch.diag_embed(torch.einsum("bn,bnk->bk", weight, on) / n)
        R[:, start : start + k, 2 * k : 3 * k] = block
        R[:, 2 * k : 3 * k, start : start + k] = block
    return J.transpose(1, 2) @ J / n, R


def sharpness(net: LineNet, x: ArrayLike, y: ArrayLike) -> Tensor:
    """Largest eigenvalue of the Hessian of the loss, (B,): by Lanczos above 100 parameters, to rounding.

    x and y as for :func:`residuals`.
    """
    from scipy.sparse.linalg import eigsh

    instance("net", net, LineNet)
    x = _points("x", x)
    y, tops = _labels(y, x, len(net)), []
    for i in range(len(net)):
        hessian = sum(hessian_parts(net[i], x, y[i]))[0]
        if len(hessian) <= 100:
            tops.append(float(torch.linalg.eigvalsh(hessian)[-1]))
        else:
            guess = torch.rand(len(hessian), generator=torch.Generator().manual_seed(0), dtype=F64)
            top = eigsh(hessian.numpy(), k=1, which="LA", v0=guess.numpy(), return_eigenvectors=False)
            tops.append(float(top[0]))
    return torch.tensor(tops, dtype=F64)


def gauss_newton_top(net: LineNet, x: ArrayLike) -> Tensor:
    """Largest eigenvalue of the Gauss-Newton part, (B,), from the n x n Gram matrix of the gradients at x (n,)."""
    instance("net", net, LineNet)
    x = _points("x", x)
    J = _features(net, x)
    return torch.linalg.eigvalsh(J @ J.transpose(1, 2) / x.numel())[:, -1]


def g_weight(t: ArrayLike, x: ArrayLike) -> Tensor:
    """g(t) = min(g-(t), g+(t)) for X uniform on the points `x`; C1.

    g+(t) = P(X > t)**2 E[X - t | X > t] sqrt(1 + E[X | X > t]**2) = E[(X - t)_+] sqrt(P(X > t)**2 + E[X 1(X > t)]**2),
    and g- is its mirror image. Zero where one side is empty. Exact by prefix sums, O((n + m) log n).

    Args:
        t: any shape; infinite gives 0. x: (n,), increasing.
    """
    x, t = _points("x", x), _places("t", t)
    n, finite = x.numel(), torch.isfinite(t)
    at = torch.where(finite, t, 0.0)
    sums = torch.cat([torch.zeros(1, dtype=F64), x.cumsum(0)])
    below = torch.searchsorted(x, at.contiguous())  # points < t
    upto = torch.searchsorted(x, at.contiguous(), right=True)  # points <= t
    p_up, m_up = (n - upto).to(F64) / n, (sums[-1] - sums[upto]) / n
    p_down, m_down = below.to(F64) / n, sums[below] / n
    up = (m_up - at * p_up).clamp_min(0) * (p_up.square() + m_up.square()).sqrt()
    down = (at * p_down - m_down).clamp_min(0) * (p_down.square() + m_down.square()).sqrt()
    return torch.where(finite, torch.minimum(up, down), 0.0)


def uniform_weight(t: ArrayLike) -> Tensor:
    """The limit of :func:`g_weight` for the uniform law on [-1, 1]: ((1-|t|)/2)**3 sqrt(1 + ((1+|t|)/2)**2).

    `t` has any shape; outside [-1, 1], infinity included, the weight is 0.
    """
    s = _places("t", t).abs().clamp_max(1.0)
    return ((1 - s) / 2) ** 3 * (1 + ((1 + s) / 2) ** 2).sqrt()


def path_tv(net: LineNet, x: ArrayLike) -> Tensor:
    """sum_j |w1_j w2_j| g(t_j), (B,): an upper bound of :func:`tv`, knot by knot. x: (n,), increasing."""
    instance("net", net, LineNet)
    return (net.jumps.abs() * g_weight(net.knots, x)).sum(1)


def _merged(net: LineNet) -> tuple[Tensor, Tensor]:
    """Knots in order and jumps of f, (B, k) each: jumps at one place are summed at its first entry, the others 0."""
    knots, order = net.knots.sort(1)
    jumps = net.jumps.gather(1, order)
    later = torch.ones_like(knots, dtype=torch.bool)
    later[:, 1:], later[:, :1] = knots[:, 1:] != knots[:, :-1], False
    group = later.cumsum(1)
    total = torch.zeros_like(jumps).scatter_add_(1, group, jumps)
    place = torch.full_like(knots, math.inf).scatter_reduce(1, group, knots, "amin", include_self=True)
    return place, total


def tv(net: LineNet, x: ArrayLike | None = None) -> Tensor:
    """Weighted first-order total variation int |f''| g, (B,): jumps at one knot are added before the absolute value.

    x: (n,), increasing. Without `x`, the plain one on (-1, 1): the same with weight 1 inside and 0 outside.
    """
    instance("net", net, LineNet)
    knots, jumps = _merged(net)
    weight = (knots.abs() < 1).to(F64) if x is None else g_weight(knots, x)
    return (jumps.abs() * weight).sum(1)


def count_kinks(net: LineNet, x: ArrayLike, *, least: float = 0.1) -> Tensor:
    """Kinks of f that the data can see, (B,): how many of :func:`kink_gaps`."""
    return kink_gaps(net, x, least=least).sum(1)


def kink_gaps(net: LineNet, x: ArrayLike, *, least: float = 0.1) -> Tensor:
    """Gaps between neighbouring points in which the slope of f changes by more than `least`, (B, n - 1) booleans.

    Knots in one gap are added up, knots outside the data do not count. `x`: (n,), increasing; `least` is at least 0.
    """
    instance("net", net, LineNet)
    x, least = _points("x", x), number("least", least, at_least=0.0)
    gap = torch.searchsorted(x, net.knots.contiguous())  # knot in (x[gap - 1], x[gap]]
    total = torch.zeros(len(net), x.numel() + 1, dtype=F64).scatter_add_(1, gap, net.jumps)
    return total[:, 1:-1].abs() > least


def certificate(top: ArrayLike, residual: ArrayLike, x: ArrayLike) -> Tensor:
    """(top - 1)/2 + (1/2) sqrt(1 + x_max**2) mean |r|, (B,): a bound of :func:`path_tv` at any parameters, C2.

    With top = 2/eta the bound of C3. `top`: number or (B,); `residual`: (B, n); `x`: (n,), increasing.
    """
    x = _points("x", x)
    residual = tensor("residual", residual, shape=("B", x.numel()), convert=F64)
    top = each("top", top, len(residual))
    reach = math.sqrt(1 + float(x.abs().max()) ** 2)
    return (top - 1) / 2 + reach / 2 * residual.abs().mean(1)


def flatness_use(net: LineNet, x: ArrayLike) -> Tensor:
    """sum_j |w1_j w2_j| g(t_j) over (largest eigenvalue of GN - 1)/2, (B,): at most 1 by C1; 0 where nothing bends.

    x: (n,), increasing.
    """
    bends = path_tv(net, x)
    return torch.where(bends > 0, 2 * bends / _excess(net, _points("x", x)), 0.0)


def _excess(net: LineNet, x: Tensor) -> Tensor:
    """Largest eigenvalue of GN minus 1, (B,): its digits stay right when the weights are small and it is near 0.

    GN has the eigenvalues of the n x n matrix A + 11'/n, with A of the gradients in all parameters but b2. At its unit
    top vector v, v'(A + 11'/n)v - 1 = v'Av - |v - mean v|**2; at the even vector it is n mean A.
    """
    J = _features(net, x)[..., :-1]
    A = J @ J.transpose(1, 2) / x.numel()
    v = torch.linalg.eigh(A + 1 / x.numel()).eigenvectors[..., -1]
    found = torch.einsum("bi,bij,bj->b", v, A, v) - (v - v.mean(1, keepdim=True)).square().sum(1)
    return torch.maximum(found, x.numel() * A.mean((1, 2)))


def residual_use(net: LineNet, x: ArrayLike, y: ArrayLike) -> Tensor:
    """(norm of the residual part of the Hessian) / (sqrt(1 + x_max**2) mean |r|), (B,): at most 1 by C2; 0 where r = 0.

    x and y as for :func:`residuals`.
    """
    allowed = residuals(net, x, y).abs().mean(1) * math.sqrt(1 + float(_points("x", x).abs().max()) ** 2)
    values = torch.linalg.eigvalsh(hessian_parts(net, x, y)[1])
    return torch.where(allowed > 0, values.abs().amax(1) / allowed, 0.0)


def flattest_pairs(t: ArrayLike, size: ArrayLike) -> tuple[LineNet, Tensor]:
    """A network that attains C1, and its two points -1 and 1: mirror pairs of neurons, knots at +-t, balanced.

    Args:
        t: (m,), knots in [0, 1), m at least 1. size: (m,), the products |w1 w2| > 0; the signs of w2 do not matter.
    """
    t = tensor("t", t, shape=("m",), convert=F64, at_least=0.0, below=1.0)
    size = tensor("size", size, shape=("m",), convert=F64, above=0.0, at_most=1e30)
    if t.shape != size.shape or t.numel() < 1:
        raise ValueError(f"t and size must be as many, at least one, found {t.numel()} and {size.numel()}")
    # balanced on the one active point: w2**2 (1 + 1) = (w1 (1 - t))**2
    w1 = (size * math.sqrt(2) / (1 - t)).sqrt()
    rows = torch.cat([w1, -w1]), torch.cat([-w1 * t, -w1 * t]), torch.cat([size / w1, size / w1])
    return LineNet(*(r[None] for r in rows), torch.zeros(1, dtype=F64)), torch.tensor([-1.0, 1.0], dtype=F64)


def with_end_spike(net: LineNet, x: ArrayLike, points: int, height: float) -> LineNet:
    """`net` and one more neuron, zero up to x_{n - points} and rising to `height` at x_n; C9.

    Its knot lies half-way between x_{n - points} and the next point, and it is balanced: sqrt(2) |w2| = |w1| (x_n - t).
    x: (n,), increasing. `points` is from 1 to n - 1, `height` at most 1e30 in size.
    """
    instance("net", net, LineNet)
    x = _points("x", x)
    points = whole("points", points, at_least=1, at_most=x.numel() - 1)
    height = number("height", height, **_SIZE)
    knot = float(x[-points - 1] + x[-points]) / 2
    reach = float(x[-1]) - knot
    w1 = math.sqrt(abs(height) * math.sqrt(2)) / reach
    new = (w1, -w1 * knot, height / (w1 * reach) if height else 0.0)
    column = torch.ones(len(net), 1, dtype=F64)
    old = (net.w1, net.b1, net.w2)
    return LineNet(*(torch.cat([p, v * column], 1) for p, v in zip(old, new, strict=True)), net.b2)
