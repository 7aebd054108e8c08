"""Finite Markov chains whose law is known exactly at every step (float64).

A state ``i`` has loss ``L_i`` and prior probability ``p_0(i)``. A transition matrix acts on row vectors,
``p_{t+1} = p_t P``. Chains that keep ``p_inf ~ p_0 exp(-beta L)`` are the finite picture of training with
noise at inverse temperature ``beta``. Chapter `langevin-generalization`, claims C1 to C4 and C6.
"""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ._validate import number, whole

__all__ = ["Ledger", "diffusion_laws", "gibbs", "kl", "ledger", "metropolis_line", "random_cycles", "spectral_gap"]


def _rows(name: str, value, *, columns: int | None = None, ndim: int | None = None) -> Tensor:
    """`value`, a finite float64 tensor with `columns` entries on its last axis (and `ndim` axes)."""
    if not isinstance(value, Tensor) or value.dtype != torch.float64:
        raise TypeError(f"{name} must be a float64 tensor, found {getattr(value, 'dtype', type(value).__name__)}")
    if value.ndim == 0 or columns not in (None, value.shape[-1]) or ndim not in (None, value.ndim):
        axes = ["..."] if ndim is None else ["any"] * (ndim - 1)
        expected = ", ".join([*axes, str(columns or "any")])
        raise ValueError(f"{name} must have shape ({expected}), found {tuple(value.shape)}")
    if not torch.isfinite(value).all():
        raise ValueError(f"{name} must be finite, found NaN or infinity")
    return value


def _laws(name: str, value, columns: int | None = None) -> Tensor:
    """`value`, float64, whose rows are probability vectors."""
    _rows(name, value, columns=columns)
    if (value < 0).any():
        raise ValueError(f"{name} must be a law, not negative, found {value.min():.3g}")
    sums = value.sum(-1).flatten()
    if ((sums - 1).abs() > 1e-9).any():
        found = sums[(sums - 1).abs().argmax()]
        raise ValueError(f"{name} must sum to 1 along its last axis, found {found:.10g}")
    return value


def kl(p: Tensor, q: Tensor) -> Tensor:
    """``KL(p || q) = sum p ln(p / q)`` over the last axis, in nats; ``0 ln 0 = 0``.

    Args:
        p, q: probability vectors, float64, shapes (..., n) that broadcast.

    Returns:
        Shape (...), infinite where `p` puts mass where `q` has none.
    """
    _laws("p", p), _laws("q", q)
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1).clamp(min=0.0)


def gibbs(loss: Tensor, prior: Tensor, beta: float) -> Tensor:
    """``p_inf ~ p_0 exp(-beta L)``: shape (..., n) from `loss` (..., n) and `prior` (n,) or (..., n)."""
    _rows("loss", loss)
    _laws("prior", prior, loss.shape[-1])
    beta = number("beta", beta, at_least=0.0)
    return torch.softmax(prior.log() - beta * loss, dim=-1)


def metropolis_line(target: Tensor) -> Tensor:
    """Metropolis chain on a line of states that proposes a neighbour: reversible, keeps `target`.

    Args:
        target: positive probabilities of neighbouring states, float64, shape (..., n).

    Returns:
        Transition matrices, shape (..., n, n).
    """
    _laws("target", target)
    if (target <= 0).any():
        raise ValueError(f"target must be positive in every state, found {target.min():.3g}")
    log = target.log()
    up = 0.5 * torch.exp((log[..., 1:] - log[..., :-1]).clamp(max=0.0))
    down = 0.5 * torch.exp((log[..., :-1] - log[..., 1:]).clamp(max=0.0))
    chain = torch.diag_embed(up, offset=1) + torch.diag_embed(down, offset=-1)
    return chain + torch.diag_embed(1 - chain.sum(-1))


def random_cycles(target: Tensor, cycles: int, generator: torch.Generator) -> Tensor:
    """A chain that keeps `target` but runs in circles: *not* reversible.

    Mass flows around `cycles` random cyclic orders of all states; what flows into a state flows out.

    Args:
        target: positive probabilities, float64, shape (n,).
        cycles: how many cyclic orders are superposed, at least 1.

    Returns:
        Transition matrix, shape (n, n).
    """
    _laws("target", target)
    n = len(target)
    flow = torch.zeros(n, n, dtype=torch.float64)
    for _ in range(cycles):
        order = torch.randperm(n, generator=generator)
        flow[order, order.roll(-1)] += torch.rand((), generator=generator, dtype=torch.float64)
    chain = flow / target[:, None]
    chain /= chain.sum(1).max()  # the busiest state leaves at every step
    return chain + torch.diag((1 - chain.sum(1)).clamp(min=0))  # its row may sum to an ulp above one


def _hop_weight(z: Tensor) -> Tensor:
    """``B(z) = z / (e^z - 1)``, every digit right: ``B(z) + z`` would lose those of a small ``B(-z)``."""
    flat = z.abs() < 1e-9
    return torch.where(flat, 1 - z / 2, z / torch.expm1(torch.where(flat, 1.0, z)))


def diffusion_laws(
    energy: Tensor, start: Tensor, *, beta: float, spacing: float, first: float, doublings: int
) -> Tensor:
    """Laws of overdamped Langevin dynamics on a line of cells, at times that double.

    Mass hops to a neighbour at rate ``B(z) / (beta spacing^2)`` with ``z = beta (U_next - U)`` and
    ``B(z) = z / (e^z - 1)`` (the scheme of Scharfetter and Gummel). As the spacing goes to zero this is
    ``dx = -U' dt + sqrt(2 / beta) dW`` with reflecting ends; at every spacing it keeps ``exp(-beta U)``,
    since ``B(z) = e^-z B(-z)``. Only numbers that are not negative are multiplied, so small
    probabilities are right.

    Args:
        energy: ``U`` of the cells, float64, shape (n,).
        start: ``p_0``, shape (n,).
        first: the first time, positive.   doublings: how often it doubles.

    Returns:
        ``p_t`` at ``t = first * 2**j`` for ``j = 0..doublings``, shape (doublings + 1, n).
    """
    _rows("energy", energy, ndim=1), _laws("start", start, len(energy))
    beta, spacing = number("beta", beta, above=0.0), number("spacing", spacing, above=0.0)
    first, doublings = number("first", first, above=0.0), whole("doublings", doublings, at_least=0)
    hop = 1 / (beta * spacing**2)
    rise = beta * energy.diff()
    rates = torch.diag(hop * _hop_weight(rise), 1) + torch.diag(hop * _hop_weight(-rise), -1)
    # exp(first Q) as (I + first Q / 2^m)^(2^m), with m so large that a relative error is about 1e-3 at most
    m = max(10, math.ceil(math.log2(1 + (rates.sum(1).max().item() * first) ** 2 * 1e3)))
    chain = rates * (first / 2**m)
    chain = chain + torch.diag(1 - chain.sum(1))
    laws = []
    for power in range(m + doublings + 1):
        if power >= m:
            laws.append(start @ chain)
        chain = chain @ chain
    laws = torch.stack(laws)
    return laws / laws.sum(1, keepdim=True)


def spectral_gap(chain: Tensor, target: Tensor) -> Tensor:
    """``1 -`` second largest eigenvalue of reversible chains (..., n, n) that keep `target` (..., n)."""
    root = target.sqrt()
    symmetric = root[..., :, None] * chain / root[..., None, :]
    return 1 - torch.linalg.eigvalsh((symmetric + symmetric.mT) / 2)[..., -2]


@dataclass(frozen=True)
class Ledger:
    """What a chain has spent and what it may spend, at recorded times; tensors of shape (T, ...).

    Attributes:
        times: steps at which the law was recorded, shape (T,).
        laws: ``p_t``, shape (T, ..., n).
        kl_prior: ``KL(p_t || p_0)``.     kl_stationary: ``KL(p_t || p_inf)``.
        energy: ``E L(theta_t)``.         budget: ``beta (E L(theta_0) - E L(theta_t))``.
    """

    times: Tensor
    laws: Tensor
    kl_prior: Tensor
    kl_stationary: Tensor
    energy: Tensor
    budget: Tensor

    def overdraft(self) -> float:
        """Largest ``KL(p_t || p_0) - budget``, in nats; claim C2 says it is not positive."""
        return (self.kl_prior - self.budget).max().item()

    def largest_rise(self) -> float:
        """Largest rise of ``KL(p_t || p_inf)`` between records, in nats; claim C1 says not positive."""
        return self.kl_stationary.diff(dim=0).max().item()


def ledger(chain: Tensor, start: Tensor, loss: Tensor, beta: float, times, stationary: Tensor) -> Ledger:
    """Exact laws of finite chains and their accounts.

    Args:
        chain: transition matrices, float64, shape (..., n, n).
        start: ``p_0``, shape (n,) or (..., n); positive.
        loss: ``L``, shape (..., n).
        beta: inverse temperature, or a tensor of shape (...).
        times: increasing whole numbers of steps, the first of them 0.
        stationary: ``p_inf``, shape (..., n).

    Returns:
        A `Ledger`. Costs ``max(times)`` vector-matrix products.

    Raises:
        ValueError: rows of `chain` are not laws, `stationary` is not kept by it, or `times` do not start at 0.
    """
    _laws("chain", chain), _laws("start", start), _rows("loss", loss), _laws("stationary", stationary)
    kept = (stationary[..., None, :] @ chain)[..., 0, :]
    moved = (kept - stationary).abs().max()
    if moved > 1e-10:
        raise ValueError(f"stationary must be kept by chain, found that one step moves it by {moved:.3g}")
    times = [int(t) for t in times]
    if not times or times[0] != 0 or any(b <= a for a, b in itertools.pairwise(times)):
        raise ValueError(f"times must start at 0 and increase, found {times[:5]}")
    law = start.expand(chain.shape[:-1]).clone()[..., None, :]
    laws, wanted = [law[..., 0, :]], set(times)
    for step in range(1, times[-1] + 1):
        law = law @ chain
        if step in wanted:
            laws.append(law[..., 0, :])
    laws = torch.stack(laws)
    laws = laws / laws.sum(-1, keepdim=True)  # thousands of products lose a few last digits of the sum
    energy = (laws * loss).sum(-1)
    return Ledger(
        times=torch.tensor(times),
        laws=laws,
        kl_prior=kl(laws, start),
        kl_stationary=kl(laws, stationary),
        energy=energy,
        budget=torch.as_tensor(beta, dtype=torch.float64) * (energy[0] - energy),
    )
