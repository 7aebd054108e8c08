"""Univariate two-layer ReLU regression: how flat a minimum is, and how regular that makes the function.

A network f(x) = sum_j w2_j [w1_j x + b1_j]_+ + b2 is fitted to points x_1..x_n by full-batch gradient descent on
L = (1/2n) sum_i (f(x_i) - y_i)**2. A twice differentiable minimum is linearly stable for the step size eta if the
largest eigenvalue of the Hessian is at most 2/eta. Claim ids refer to the chapter ``stable-minima``; the paper is
Qiao et al. 2024 (arXiv 2406.06838), the proofs are the chapter's own.

Networks come in batches: parameters have shape (B, k). Everything is float64, and ReLU'(0) = 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._validate import number, whole

__all__ = [
    "LineNet",
    "certificate",
    "count_knots",
    "even_points",
    "flatness_use",
    "flattest_pairs",
    "g_weight",
    "gauss_newton_top",
    "gradient_descent",
    "gradient_norm",
    "hessian_parts",
    "initial_nets",
    "moved",
    "noisy_labels",
    "path_tv",
    "residual_use",
    "residuals",
    "sharpness",
    "tv",
    "uniform_weight",
    "with_end_spike",
]  # fmt: skip

F64 = torch.float64
GRID = 2.0**20  # steps a unit of random weights and labels


def _points(name: str, x) -> Tensor:
    """`x` as float64 (n,), finite and increasing."""
    x = torch.as_tensor(x)
    if x.ndim != 1 or x.numel() < 1:
        raise ValueError(f"{name} must have shape (n,) with n at least 1, found {tuple(x.shape)}")
    x = x.to(F64)
    if not torch.isfinite(x).all():
        raise ValueError(f"{name} must be finite, found NaN or infinity")
    if not bool((x[1:] > x[:-1]).all()):
        raise ValueError(f"{name} must increase strictly, found points out of order or equal")
    return x


def _labels(y, x: Tensor, batch: int | None = None) -> Tensor:
    """`y` as float64 (B, n); one row is given to every network of the batch."""
    y = torch.as_tensor(y).to(F64)
    y = y[None] if y.ndim == 1 else y
    if y.ndim != 2 or y.shape[1] != x.numel() or (batch and y.shape[0] not in (1, batch)):
        raise ValueError(f"y must have shape ({batch or 'B'}, {x.numel()}) or ({x.numel()},), found {tuple(y.shape)}")
    if not torch.isfinite(y).all():
        raise ValueError("y must be finite, found NaN or infinity")
    return y.expand(batch or y.shape[0], -1)


def _on_grid(values: Tensor) -> Tensor:
    """`values` at multiples of 2**-20, exact in float64.

    At the edge of stability a last bit at the start becomes another run. Normal numbers and eigenvalues differ in
    their last bits between CPUs; on a grid the same seed starts from the same bits on all of them.
    """
    return (values * GRID).round() / GRID


@dataclass(frozen=True)
class LineNet:
    """A batch of networks f(x) = sum_j w2_j [w1_j x + b1_j]_+ + b2.

    Attributes:
        w1, b1, w2: (B, k), float64. b2: (B,).
    """

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor

    def __post_init__(self):
        shape = tuple(self.w1.shape)
        for name in ("w1", "b1", "w2", "b2"):
            value, wanted = getattr(self, name), shape[:1] if name == "b2" else shape
            if len(shape) != 2 or tuple(value.shape) != wanted:
                raise ValueError(f"{name} must have shape {'(B,)' if name == 'b2' else '(B, k)'}, found "
                                 f"{tuple(value.shape)}")  # fmt: skip
            if value.dtype != F64:
                raise TypeError(f"{name} must be float64, found {value.dtype}")

    def __len__(self) -> int:
        return self.w1.shape[0]

    def __getitem__(self, index) -> "LineNet":
        """Some networks of the batch (an int gives a batch of one)."""
        index = slice(index, index + 1 or None) if isinstance(index, int) else index
        return LineNet(self.w1[index], self.b1[index], self.w2[index], self.b2[index])

    def __call__(self, x) -> Tensor:
        """Values (B, m) at `x` (m,)."""
        hidden = torch.relu(self.w1[..., None] * torch.as_tensor(x).to(F64) + self.b1[..., None])
        return torch.einsum("bk,bkm->bm", self.w2, hidden) + self.b2[:, None]

    @property
    def knots(self) -> Tensor:
        """(B, k): where each neuron bends, -b1/w1; infinite for a neuron that does not (w1 = 0)."""
        return torch.where(self.w1 == 0, math.inf, -self.b1 / torch.where(self.w1 == 0, 1.0, self.w1))

    @property
    def jumps(self) -> Tensor:
        """(B, k): by how much each knot changes the slope of f, w2 |w1|."""
        return self.w2 * self.w1.abs()

    @staticmethod
    def join(nets: Sequence["LineNet"]) -> "LineNet":
        """One batch from several of equal width."""
        return LineNet(*(torch.cat([getattr(net, p) for net in nets]) for p in ("w1", "b1", "w2", "b2")))


def even_points(n: int) -> Tensor:
    """(n,) equally spaced points on [-1, 1], each the float64 nearest to its fraction: the same bits on every CPU."""
    whole("n", n, at_least=2)
    return torch.arange(1 - n, n, 2, dtype=F64) / (n - 1)


def initial_nets(k: int, *, seeds: Sequence[int], scale: float = 1.0) -> LineNet:
    """Random networks, one a seed: w1 standard normal, knots uniform on [-1, 1], w2 normal / sqrt(k), b2 = 0.

    `scale` multiplies w1, b1 and w2. All are rounded to multiples of 2**-20, so that a seed means the same bits on
    every CPU.
    """
    whole("k", k, at_least=1)
    number("scale", scale, above=0.0)
    rows = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        w1, w2 = torch.randn(2, k, generator=generator, dtype=F64)
        knots = 2 * torch.rand(k, generator=generator, dtype=F64) - 1
        rows.append((scale * w1, -scale * w1 * knots, scale * w2 / math.sqrt(k)))
    w1, b1, w2 = (torch.stack(part) for part in zip(*rows, strict=True))
    return LineNet(*map(_on_grid, (w1, b1, w2)), torch.zeros(len(rows), dtype=F64))


def moved(net: LineNet, size: float, *, seed: int) -> LineNet:
    """`net` with normal noise of standard deviation `size` added to every weight; rounded as :func:`initial_nets`."""
    number("size", size, at_least=0.0)
    generator = torch.Generator().manual_seed(seed)
    parts = (net.w1, net.b1, net.w2, net.b2)
    return LineNet(*(_on_grid(p + size * torch.randn(p.shape, generator=generator, dtype=F64)) for p in parts))


def noisy_labels(clean, sigma: float, *, seeds: Sequence[int]) -> Tensor:
    """Labels (B, n): the values `clean` (n,) plus normal noise of standard deviation `sigma`, one row a seed.

    Rounded to multiples of 2**-20, as :func:`initial_nets`.
    """
    clean = torch.as_tensor(clean).to(F64)
    number("sigma", sigma, at_least=0.0)
    # another stream than `initial_nets` with the same seed
    generators = (torch.Generator().manual_seed(10**6 + seed) for seed in seeds)
    return _on_grid(torch.stack([clean + sigma * torch.randn(clean.shape, generator=g, dtype=F64) for g in generators]))


def gradient_descent(net: LineNet, x, y, eta, steps: int) -> LineNet:
    """The networks after `steps` steps of gradient descent on (1/2n) sum (f(x_i) - y_i)**2.

    Runs `implicitly_kernels.relu_gd`, about 8 k n operations a step and network; the batch shares the cores.

    Args:
        net: where to start, B networks; not changed.
        x: (n,), increasing. y: (B, n) or (n,).
        eta: step size, a number or (B,).
        steps: number of steps.

    Raises:
        RuntimeError: a run left the finite numbers; the step size is too large for this start.
    """
    from implicitly_kernels import relu_gd

    x = _points("x", x)
    y = _labels(y, x, len(net)).contiguous()
    whole("steps", steps, at_least=0)
    etas = torch.as_tensor(eta, dtype=F64).expand(len(net)).contiguous()
    if not bool((torch.isfinite(etas) & (etas > 0)).all()):
        raise ValueError(f"eta must be finite and above 0, found {eta}")
    start = (p.contiguous() for p in (net.w1, net.b1, net.w2, net.b2))
    *end, loss = relu_gd(*start, x.expand(len(net), -1).contiguous(), y, etas, steps)
    if not torch.isfinite(loss).all():
        raise RuntimeError("gradient descent diverged: lower eta, or start closer")
    return LineNet(*end)


# --- curvature ------------------------------------------------------------------------------------------------------


def residuals(net: LineNet, x, y) -> Tensor:
    """r_i = f(x_i) - y_i, (B, n)."""
    x = _points("x", x)
    return net(x) - _labels(y, x, len(net))


def _features(net: LineNet, x: Tensor) -> Tensor:
    """Gradients of f(x_i) in (w1, b1, w2, b2): (B, n, 3k + 1)."""
    z = net.w1[:, None] * x[:, None] + net.b1[:, None]  # (B, n, k)
    on = (z > 0).to(F64) * net.w2[:, None]
    ones = torch.ones(len(net), x.numel(), 1, dtype=F64)
    return torch.cat([on * x[:, None], on, torch.relu(z), ones], 2)


def gradient_norm(net: LineNet, x, y) -> Tensor:
    """Euclidean norm of the gradient of the loss, (B,)."""
    x = _points("x", x)
    return torch.einsum("bn,bnp->bp", residuals(net, x, y), _features(net, x)).norm(dim=1) / x.numel()


def hessian_parts(net: LineNet, x, y) -> tuple[Tensor, Tensor]:
    """(GN, R), each (B, 3k + 1, 3k + 1), with Hessian = GN + R. Order of parameters: w1, b1, w2, b2.

    GN = (1/n) sum_i grad f(x_i) grad f(x_i)^T is the Gauss-Newton part. R = (1/n) sum_i r_i Hess f(x_i) couples the
    w2 of a neuron with its own w1 and b1, and nothing else.
    """
    x = _points("x", x)
    r = residuals(net, x, y)
    J, k, n = _features(net, x), net.w1.shape[1], x.numel()
    on = (net.w1[:, None] * x[:, None] + net.b1[:, None] > 0).to(F64)
    R = torch.zeros(len(net), 3 * k + 1, 3 * k + 1, dtype=F64)
    for start, weight in ((0, r * x), (k, r)):
        block = torch.diag_embed(torch.einsum("bn,bnk->bk", weight, on) / n)
        R[:, start : start + k, 2 * k : 3 * k] = block
        R[:, 2 * k : 3 * k, start : start + k] = block
    return J.transpose(1, 2) @ J / n, R


def sharpness(net: LineNet, x, y) -> Tensor:
    """Largest eigenvalue of the Hessian of the loss, (B,): by Lanczos above 100 parameters, to rounding."""
    from scipy.sparse.linalg import eigsh

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


def gauss_newton_top(net: LineNet, x) -> Tensor:
    """Largest eigenvalue of the Gauss-Newton part, (B,), from the n x n Gram matrix of the gradients."""
    x = _points("x", x)
    J = _features(net, x)
    return torch.linalg.eigvalsh(J @ J.transpose(1, 2) / x.numel())[:, -1]


# --- the weight and the weighted total variation --------------------------------------------------------------------


def g_weight(t, x) -> Tensor:
    """g(t) = min(g-(t), g+(t)) for X uniform on the points `x`; C1.

    g+(t) = P(X > t)**2 E[X - t | X > t] sqrt(1 + E[X | X > t]**2) = E[(X - t)_+] sqrt(P(X > t)**2 + E[X 1(X > t)]**2),
    and g- is its mirror image. Zero where one side is empty. Exact by prefix sums, O((n + m) log n).

    Args:
        t: any shape; not finite gives 0. x: (n,), increasing.
    """
    x, t = _points("x", x), torch.as_tensor(t).to(F64)
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


def uniform_weight(t) -> Tensor:
    """The limit of :func:`g_weight` for the uniform law on [-1, 1]: ((1-|t|)/2)**3 sqrt(1 + ((1+|t|)/2)**2)."""
    s = torch.as_tensor(t).to(F64).abs().clamp_max(1.0)
    return ((1 - s) / 2) ** 3 * (1 + ((1 + s) / 2) ** 2).sqrt()


def path_tv(net: LineNet, x) -> Tensor:
    """sum_j |w1_j w2_j| g(t_j), (B,): an upper bound of :func:`tv`, knot by knot."""
    return (net.jumps.abs() * g_weight(net.knots, x)).sum(1)


def _merged(net: LineNet) -> tuple[Tensor, Tensor]:
    """Knots in order and jumps of f, (B, k) each: jumps at one place are summed at its first entry, the others 0."""
    knots, order = net.knots.sort(1)
    jumps = net.jumps.gather(1, order)
    group = torch.cat([torch.zeros(len(net), 1, dtype=torch.int64), (knots[:, 1:] != knots[:, :-1]).cumsum(1)], 1)
    total = torch.zeros_like(jumps).scatter_add_(1, group, jumps)
    place = torch.full_like(knots, math.inf).scatter_reduce(1, group, knots, "amin", include_self=True)
    return place, total


def tv(net: LineNet, x=None) -> Tensor:
    """Weighted first-order total variation int |f''| g, (B,): jumps at one knot are added before the absolute value.

    Without `x`, the plain one on (-1, 1): the same with weight 1 inside and 0 outside.
    """
    knots, jumps = _merged(net)
    weight = (knots.abs() < 1).to(F64) if x is None else g_weight(knots, x)
    return (jumps.abs() * weight).sum(1)


def count_knots(net: LineNet, x, *, least: float = 0.1) -> Tensor:
    """Kinks of f that the data can see, (B,): gaps between neighbouring points in which the slope changes by more
    than `least`. Knots in one gap are added up, knots outside the data do not count."""
    x = _points("x", x)
    number("least", least, at_least=0.0)
    gap = torch.searchsorted(x, net.knots.contiguous())  # knot in (x[gap - 1], x[gap]]
    total = torch.zeros(len(net), x.numel() + 1, dtype=F64).scatter_add_(1, gap, net.jumps)
    return (total[:, 1:-1].abs() > least).sum(1)


def certificate(top, residual, x) -> Tensor:
    """(top - 1)/2 + (1/2) sqrt(1 + x_max**2) mean |r|, (B,): a bound of :func:`path_tv` at any parameters, C2.

    With top = 2/eta the bound of C3. `top`: number or (B,); `residual`: (B, n).
    """
    reach = math.sqrt(1 + float(_points("x", x).abs().max()) ** 2)
    return (torch.as_tensor(top, dtype=F64) - 1) / 2 + reach / 2 * residual.abs().mean(1)


def flatness_use(net: LineNet, x) -> Tensor:
    """sum_j |w1_j w2_j| g(t_j) over (largest eigenvalue of GN - 1)/2, (B,): at most 1 by C1; 0 where nothing bends."""
    bends = path_tv(net, x)
    return torch.where(bends > 0, 2 * bends / (gauss_newton_top(net, x) - 1), 0.0)


def residual_use(net: LineNet, x, y) -> Tensor:
    """(norm of the residual part of the Hessian) / (sqrt(1 + x_max**2) mean |r|), (B,): at most 1 by C2."""
    reach = math.sqrt(1 + float(_points("x", x).abs().max()) ** 2)
    values = torch.linalg.eigvalsh(hessian_parts(net, x, y)[1])
    return values.abs().amax(1) / (reach * residuals(net, x, y).abs().mean(1))


def flattest_pairs(t, size) -> tuple[LineNet, Tensor]:
    """A network that attains C1, and its two points -1 and 1: mirror pairs of neurons, knots at +-t, balanced.

    Args:
        t: (m,), knots in [0, 1). size: (m,), the products |w1 w2| > 0; the signs of w2 do not matter here.
    """
    t, size = torch.as_tensor(t).to(F64), torch.as_tensor(size).to(F64)
    if t.shape != size.shape or t.ndim != 1 or not bool(((t >= 0) & (t < 1) & (size > 0)).all()):
        raise ValueError("t and size must be (m,), with t in [0, 1) and size above 0")
    # balanced on the one active point: w2**2 (1 + 1) = (w1 (1 - t))**2
    w1 = (size * math.sqrt(2) / (1 - t)).sqrt()
    rows = torch.cat([w1, -w1]), torch.cat([-w1 * t, -w1 * t]), torch.cat([size / w1, size / w1])
    return LineNet(*(r[None] for r in rows), torch.zeros(1, dtype=F64)), torch.tensor([-1.0, 1.0], dtype=F64)


def with_end_spike(net: LineNet, x, points: int, height: float) -> LineNet:
    """`net` and one more neuron, zero up to x_{n - points} and rising to `height` at x_n; C8.

    Its knot lies half-way between x_{n - points} and the next point, and it is balanced: sqrt(2) |w2| = |w1| (x_n - t).
    """
    x = _points("x", x)
    if not 1 <= whole("points", points, at_least=1) < x.numel():
        raise ValueError(f"points must be below {x.numel()}, found {points}")
    number("height", height)
    knot = float(x[-points - 1] + x[-points]) / 2
    reach = float(x[-1]) - knot
    w1 = math.sqrt(abs(height) * math.sqrt(2)) / reach
    new = (w1, -w1 * knot, height / (w1 * reach) if height else 0.0)
    column = torch.ones(len(net), 1, dtype=F64)
    old = (net.w1, net.b1, net.w2)
    return LineNet(*(torch.cat([p, v * column], 1) for p, v in zip(old, new, strict=True)), net.b2)
