"""A pointwise function between two resamplings, in plain torch: the definition, and its gradient."""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from implicitly_kernels import _checks as check

MOST = 4096  # points a side
FLOATS = (torch.float32, torch.float64)


def _dirichlet(n, m):
    """R [m, n] in float64: (1/n) sin((2K+1) pi t) / sin(pi t), t = a/m - b/n, the angles reduced as whole numbers."""
    nm, terms = n * m, 2 * ((min(n, m) - 1) // 2) + 1
    t = (torch.arange(m, device="cpu")[:, None] * n - torch.arange(n, device="cpu") * m) % nm  # of 1/nm turns
    top = terms * t % (2 * nm)
    sign = torch.where(top > nm, -1.0, 1.0).double()
    top, bottom = top % nm, torch.minimum(t, nm - t)
    top = torch.minimum(top, nm - top)
    ratio = torch.sin(top.double() * (math.pi / nm)) / torch.sin(bottom.double() * (math.pi / nm))
    return torch.where(t == 0, terms, sign * ratio) / n


def resample_matrix(n: int, m: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """The matrix R that resamples n periodic samples to m.

    R[a, b] = (1/n) sum of cos(2 pi k (a/m - b/n)) over the whole numbers k with |k| < min(n, m)/2.

    Keeps the frequencies below half of the smaller number of points and no other: for even sizes the Nyquist bin is
    emptied, also where n = m. A map x [n, n] becomes R x R^T.

    n, m: numbers of points, 1 to 4096. dtype: float32 or float64; rounded once, from float64.
    Returns [m, n]. Raises TypeError or ValueError for bad arguments.

    >>> resample_matrix(3, 3)
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 1.]], dtype=torch.float64)
    """
    n = check.integer("n", n, at_least=1, at_most=MOST)
    m = check.integer("m", m, at_least=1, at_most=MOST)
    if not isinstance(dtype, torch.dtype) or dtype not in FLOATS:
        raise TypeError(f"dtype: expected torch.float32 or torch.float64, got {dtype}")
    return _dirichlet(n, m).to(dtype)


@lru_cache(maxsize=64)
def matrices(n, fine, size, dtype, device):
    """Up [fine, n] and down [size, fine]; the same tensors each time: not to be changed."""
    with torch.inference_mode(False):  # a later call may be outside of it
        return tuple(_dirichlet(*s).to(device, dtype) for s in ((n, fine), (fine, size)))


def activate(u, coefficients, activation):
    """f(u). u: (M, m, m), maps of C channels in turn; coefficients: (C, 3) for "poly", else (0, 3)."""
    if activation == "poly":
        c0, c1, c2 = (c.repeat(len(u) // len(c))[:, None, None] for c in coefficients.unbind(1))
        return (c2 * u + c1) * u + c0
    return {"identity": lambda u: u, "gelu": F.gelu, "relu": torch.relu}[activation](u)


def slope(u, coefficients, activation):
    """f'(u); that of relu is 0 at 0."""
    if activation == "poly":
        _, c1, c2 = (c.repeat(len(u) // len(c))[:, None, None] for c in coefficients.unbind(1))
        return 2 * c2 * u + c1
    if activation == "gelu":
        normal = torch.exp(-0.5 * u * u) * (1 / math.sqrt(2 * math.pi))
        return 0.5 * torch.erfc(u * -math.sqrt(0.5)) + u * normal
    return (u > 0).to(u.dtype) if activation == "relu" else torch.ones_like(u)


def run(x, coefficients, activation, fine, size):
    """D f(U x U^T) D^T of every map of x (M, n, n). See up_act_down."""
    up, down = matrices(x.shape[-1], fine, size, x.dtype, x.device)
    return down @ activate(up @ x @ up.T, coefficients, activation) @ down.T


def backward(grad, x, coefficients, activation, fine, size):
    """Gradients in x and in the coefficients, from grad (M, size, size). The fine grid is computed afresh."""
    up, down = matrices(x.shape[-1], fine, size, x.dtype, x.device)
    u, g = up @ x @ up.T, down.T @ grad @ down
    powers = torch.zeros_like(coefficients)
    if activation == "poly":
        sums = torch.stack([g.sum((1, 2)), (g * u).sum((1, 2)), (g * u * u).sum((1, 2))], 1)
        powers = sums.reshape(-1, *coefficients.shape).sum(0)
    return up.T @ (g * slope(u, coefficients, activation)) @ up, powers
