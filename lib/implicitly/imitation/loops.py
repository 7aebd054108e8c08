"""Closed loops ``x' = M x``: what a roll-out costs, and how small an error makes one unstable.

A plant ``x' = A x + u`` under the linear policy ``u = K x`` is such a loop with ``M = A + K``; so is a linear model
that predicts the next state and is fed its own predictions (A = 0). Derived by us. Chapter `sgd-butterfly`. Bad
arguments raise TypeError or ValueError.
"""

import math

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .._validate import F64, number, tensor, whole
from .._validate import generator as checked_generator

__all__ = ["geometric_cost", "random_loop", "rollout_cost", "spectral_radius", "unstable_share", "worst_error"]

LONGEST = 10**6


def _square(name: str, M) -> Tensor:
    """Square matrices (..., d, d), float64, d at least 1."""
    tensor(name, M, dtype=F64)
    if M.ndim < 2 or M.shape[-1] != M.shape[-2] or M.shape[-1] < 1:
        raise ValueError(f"{name} must have shape (..., d, d) with d at least 1, found {tuple(M.shape)}")
    return M


def random_loop(d: int, radius: float, *, generator: torch.Generator) -> Tensor:
    """``radius`` times a random orthogonal matrix (uniform among them), (d, d), float64.

    Args:
        d: dimension of the state, from 1 to 1024.
        radius: from 0 to 1e3.
        generator: of the draw.

    >>> M = random_loop(3, 0.5, generator=torch.Generator().manual_seed(0))
    >>> bool(torch.allclose(M @ M.T, 0.25 * torch.eye(3, dtype=torch.float64)))
    True
    """
    d = whole("d", d, at_least=1, at_most=1024)
    radius = number("radius", radius, at_least=0.0, at_most=1e3)
    q, r = torch.linalg.qr(torch.randn(d, d, generator=checked_generator("generator", generator), dtype=F64))
    return radius * q * torch.where(r.diagonal() < 0, -1.0, 1.0)  # without the signs the law would not be uniform


def rollout_cost(M: Tensor, horizon: int) -> Tensor:
    """``||M||_F^2 + ... + ||M^H||_F^2``: expected sum of the squared states ``x_1 .. x_H`` after a standard normal x_0.

    By doubling, in log H products: with ``S_n`` the sum of ``(M^t)' M^t`` over t = 1 .. n,
    ``S_2n = S_n + (M^n)' S_n M^n``.

    Args:
        M: closed loops (..., d, d), float64.
        horizon: H, from 1 to 10**6.

    Returns:
        (...), float64; infinite where it is beyond the range of float64.

    >>> rollout_cost(torch.tensor([[0.5]], dtype=torch.float64), 2).item()
    0.3125
    """
    M, horizon = _square("M", M), whole("horizon", horizon, at_least=1, at_most=LONGEST)
    power, total = M, M.mT @ M
    for bit in bin(horizon)[3:]:
        total = total + power.mT @ total @ power
        power = power @ power
        if bit == "1":
            power = power @ M
            total = total + power.mT @ power
    cost = total.diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.where(cost.isfinite(), cost, math.inf)


def spectral_radius(M: Tensor) -> Tensor:
    """Largest modulus of an eigenvalue, (...), of matrices (..., d, d), float64.

    >>> spectral_radius(torch.tensor([[0.0, -2.0], [0.5, 0.0]], dtype=torch.float64)).item()
    1.0
    """
    return torch.linalg.eigvals(_square("M", M)).abs().amax(-1)


def geometric_cost(radius: float, horizon: int) -> float:
    """``r^2 + r^4 + ... + r^(2 H)``: the cost of a loop in one dimension.

    radius: r, from 0 to 1e3. horizon: H, from 1 to 10**6. Infinite where it is beyond the range of float64.

    >>> geometric_cost(0.5, 2)
    0.3125
    """
    radius = number("radius", radius, at_least=0.0, at_most=1e3)
    horizon = whole("horizon", horizon, at_least=1, at_most=LONGEST)
    return rollout_cost(torch.tensor([[radius]], dtype=F64), horizon).item()


def _blocks(M: Tensor) -> tuple[float, Tensor, list[int]]:
    """A loop (d, d) that is r times an orthogonal matrix: r, an orthonormal basis (d, d) of invariant lines and planes,
    and their dimensions, 1 or 2."""
    from scipy.linalg import schur

    if _square("M", M).ndim != 2:
        raise ValueError(f"M must have shape (d, d), found {tuple(M.shape)}")
    d = len(M)
    radius = M.square().sum().div(d).sqrt().item()
    off = (M.T @ M - radius**2 * torch.eye(d, dtype=F64)).abs().max().item()
    if not radius > 0 or off > 1e-9 * radius**2:
        raise ValueError(f"M must be a positive multiple of an orthogonal matrix, found one that is off by {off:.3g}")
    triangle, basis = schur(M.numpy() / radius, output="real")
    sizes, k = [], 0
    while k < d:
        sizes.append(2 if k + 1 < d and abs(triangle[k + 1, k]) > 1e-12 else 1)
        k += sizes[-1]
    return radius, torch.from_numpy(basis), sizes


def worst_error(M: Tensor, size: float) -> Tensor:
    """An error that lets a loop ``M = r Q``, Q orthogonal, grow as ``(r + size)^t`` in one direction, or two.

    It is ``size Q P``, with P the projector onto an invariant line of Q, or onto an invariant plane if the first block
    of the real Schur form is one; so its squared Frobenius norm is ``size^2`` or ``2 size^2``.

    Args:
        M: (d, d), float64, a positive multiple of an orthogonal matrix.
        size: from 0 to 1e3.

    >>> M = 0.9 * torch.eye(2, dtype=torch.float64)
    >>> round(spectral_radius(M + worst_error(M, 0.2)).item(), 6)
    1.1
    """
    size = number("size", size, at_least=0.0, at_most=1e3)
    radius, basis, sizes = _blocks(M)
    kept = basis[:, : sizes[0]]
    return size / radius * M @ kept @ kept.T


def unstable_share(M: Tensor, spread: ArrayLike) -> Tensor:
    """Probability that noise makes a loop ``M = r Q``, Q orthogonal, unstable, to first order in the noise.

    The entries of the noise are independent normal with this spread. A real eigenvalue's modulus then moves by a
    normal number with the same spread, a pair's by one with the spread over sqrt(2), and each independently; the loop
    is stable if none of them reaches one. First order means: the spread is small against the distance of any two
    eigenvalues.

    Args:
        M: (d, d), float64, a multiple of an orthogonal matrix by a number from 0 to 1, both excluded; no eigenvalue
            twice.
        spread: standard deviation of an entry, above 0: a number or (K,).

    Returns:
        () or (K,), float64.

    >>> M = torch.diag(torch.tensor([0.9, -0.9], dtype=torch.float64))
    >>> round(unstable_share(M, 0.1).item(), 4)
    0.2921
    """
    radius, _, sizes = _blocks(M)
    if radius >= 1:
        raise ValueError(f"M must be stable, found a loop of radius {radius:.6g}")
    places = torch.linalg.eigvals(M)
    apart = (places[:, None] - places[None]).abs().fill_diagonal_(math.inf).min().item()
    if apart < 1e-6 * radius:
        raise ValueError(f"M must have eigenvalues that differ, found two at a distance of {apart:.3g}")
    spread = tensor("spread", spread, convert=F64, above=0.0, at_most=1e3)
    if spread.ndim > 1:
        raise ValueError(f"spread must be a number or have shape (K,), found {tuple(spread.shape)}")
    z = (1 - radius) / spread
    log_stable = sum(torch.special.log_ndtr(z * math.sqrt(size)) for size in sizes)
    return -torch.expm1(log_stable)
