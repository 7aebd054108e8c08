"""Finite Markov chains whose law is known exactly at every step (float64).

A state ``i`` has loss ``L_i`` and prior probability ``p_0(i)``. A transition matrix acts on row vectors,
``p_{t+1} = p_t P``. Chains that keep ``p_inf ~ p_0 exp(-beta L)`` are the finite picture of training with
noise at inverse temperature ``beta``. Chapter `langevin-generalization`, claims C1 to C3, C7 and C8.

All tensors are float64 and finite; laws are not negative and sum to 1. Bad arguments raise TypeError or ValueError.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._validate import generator as checked_generator
from .._validate import number, tensor, whole, wholes

__all__ = [
    "Ledger",
    "diffusion_laws",
    "gibbs",
    "kl",
    "ledger",
    "metropolis_line",
    "random_cycles",
    "spectral_gap",
]

LEAST = 1e-300  # what counts as a positive probability


def _rows(name: str, value, *, columns: int | None = None, ndim: int | None = None) -> Tensor:
    """`value`, a finite float64 tensor with `columns` entries on its last axis, at least one (and `ndim` axes)."""
    tensor(name, value, dtype=torch.float64)
    n = value.shape[-1] if value.ndim else 0
    if n == 0 or columns not in (None, n) or ndim not in (None, value.ndim):
        axes = ["..."] if ndim is None else ["any"] * (ndim - 1)
        expected = ", ".join([*axes, str(columns or "n")])
        raise ValueError(f"{name} must have shape ({expected}), found {tuple(value.shape)}")
    return value


def _laws(name: str, value, columns: int | None = None, *, positive: bool = False, ndim: int | None = None) -> Tensor:
    """`value`, float64, whose rows are probability vectors, and `positive` in every state."""
    _rows(name, value, columns=columns, ndim=ndim)
    if (value < (LEAST if positive else 0)).any():
        wanted = f"positive in every state, at least {LEAST}" if positive else "a law, not negative"
        raise ValueError(f"{name} must be {wanted}, found {value.min():.3g}")
    sums = value.sum(-1).flatten()
    if ((sums - 1).abs() > 1e-9).any():
        found = sums[(sums - 1).abs().argmax()]
        raise ValueError(f"{name} must sum to 1 along its last axis, found {found:.10g}")
    return value


def _chains(name: str, value) -> Tensor:
    """`value`, float64 transition matrices (..., n, n)."""
    tensor(name, value, dtype=torch.float64)
    if value.ndim < 2 or value.shape[-1] != value.shape[-2]:
        raise ValueError(f"{name} must have shape (..., n, n), found {tuple(value.shape)}")
    return _laws(name, value)


def _fits(name: str, value: Tensor, *shapes) -> Tensor:
    """`value`, whose shape must be one of `shapes`."""
    if tuple(value.shape) not in {tuple(shape) for shape in shapes}:
        wanted = " or ".join(str(tuple(shape)) for shape in dict.fromkeys(map(tuple, shapes)))
        raise ValueError(f"{name} must have shape {wanted}, found {tuple(value.shape)}")
    return value


def kl(p: Tensor, q: Tensor) -> Tensor:
    """``KL(p || q) = sum p ln(p / q)`` over the last axis, in nats; ``0 ln 0 = 0``.

    Args:
        p, q: probability vectors, float64, shapes (..., n) that broadcast.

    Returns:
        Shape (...), infinite where `p` puts mass where `q` has none.
    """
    _laws("p", p), _laws("q", q)
    try:
        fits = p.shape[-1] == q.shape[-1] and torch.broadcast_shapes(p.shape, q.shape)
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(f"p and q must have shapes that broadcast, found {tuple(p.shape)} and {tuple(q.shape)}")
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1).clamp(min=0.0)


def gibbs(loss: Tensor, prior: Tensor, beta: float) -> Tensor:
    """``p_inf ~ p_0 exp(-beta L)``: shape (..., n) from `loss` (..., n) and `prior` (n,) or (..., n).

    `beta` is at least 0; a large one leaves the states of least loss that `prior` allows.
    """
    _rows("loss", loss)
    _fits("prior", _laws("prior", prior, loss.shape[-1]), loss.shape[-1:], loss.shape)
    beta = number("beta", beta, at_least=0.0)
    least = torch.where(prior > 0, loss, math.inf).amin(-1, keepdim=True)  # so that no state is lost to overflow
    return torch.softmax(prior.log() - beta * (loss - least).clamp(min=0.0), dim=-1)


def metropolis_line(target: Tensor) -> Tensor:
    """Metropolis chain on a line of states that proposes a neighbour: reversible, keeps `target`.

    Args:
        target: positive probabilities of neighbouring states, at least 1e-300, shape (..., n).

    Returns:
        Transition matrices, shape (..., n, n).
    """
    _laws("target", target, positive=True)
    log = target.log()
    up = 0.5 * torch.exp((log[..., 1:] - log[..., :-1]).clamp(max=0.0))
    down = 0.5 * torch.exp((log[..., :-1] - log[..., 1:]).clamp(max=0.0))
    chain = torch.diag_embed(up, offset=1) + torch.diag_embed(down, offset=-1)
    return chain + torch.diag_embed(1 - chain.sum(-1))


def random_cycles(target: Tensor, cycles: int, generator: torch.Generator) -> Tensor:
    """A chain that keeps `target` but runs in circles: *not* reversible.

    Mass flows around `cycles` random cyclic orders of all states; what flows into a state flows out.

    Args:
        target: positive probabilities, at least 1e-300, shape (n,).
        cycles: how many cyclic orders are superposed, at least 1.
        generator: the source of the orders and of how much flows.

    Returns:
        Transition matrix, shape (n, n).
    """
    _laws("target", target, positive=True, ndim=1)
    cycles, n = whole("cycles", cycles, at_least=1), len(target)
    checked_generator("generator", generator, device=target.device)
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
        energy: ``U`` of the cells, shape (n,).
        start: ``p_0``, shape (n,).
        beta: inverse temperature, positive.   spacing: of the cells, positive.
        first: the first time, positive.   doublings: how often it doubles, at least 0.

    Returns:
        ``p_t`` at ``t = first * 2**j`` for ``j = 0..doublings``, shape (doublings + 1, n).

    Raises:
        ValueError: in the time `first` a cell is left more than 1e9 times, too often for the digits of float64.
    """
    _rows("energy", energy, ndim=1), _laws("start", start, len(energy), ndim=1)
    beta, spacing = number("beta", beta, above=0.0), number("spacing", spacing, above=0.0)
    first, doublings = number("first", first, above=0.0), whole("doublings", doublings, at_least=0)
    hop = 1 / beta / spacing / spacing
    rise = beta * energy.diff()
    rates = torch.diag(hop * _hop_weight(rise), 1) + torch.diag(hop * _hop_weight(-rise), -1)
    # exp(first Q) as (I + first Q / 2^m)^(2^m), with m so large that a relative error is about 1e-3 at most
    hops = rates.sum(1).max().item() * first
    if not hops <= 1e9:
        raise ValueError(
            "energy, beta, spacing and first must let a cell be left at most 1e9 times in the time `first`, "
            f"found {hops:.3g}"
        )
    m = max(10, math.ceil(math.log2(1 + hops**2 * 1e3)))
    chain = rates * (first / 2**m)
    chain = chain + torch.diag(1 - chain.sum(1))
    laws = []
    for power in range(m + doublings + 1):
        if power >= m:
            laws.append(start @ chain)
        chain = chain @ chain
        chain = chain / chain.sum(1, keepdim=True)  # or its rows lose a digit of their sum in three squarings
    laws = torch.stack(laws)
    return laws / laws.sum(1, keepdim=True)


def spectral_gap(chain: Tensor, target: Tensor) -> Tensor:
    """``1 -`` second largest eigenvalue of reversible chains (..., n, n) that keep `target` (..., n).

    There are at least two states, and `target` is positive, at least 1e-300.
    """
    _chains("chain", chain)
    _fits("target", _laws("target", target, positive=True), chain.shape[:-1])
    if chain.shape[-1] < 2:
        raise ValueError(f"chain must have at least 2 states, found {chain.shape[-1]}")
    root = target.sqrt()
    symmetric = root[..., :, None] * chain / root[..., None, :]
    off = float((symmetric - symmetric.mT).abs().max()) if symmetric.numel() else 0.0
    if not off <= 1e-8:
        raise ValueError(f"chain must be reversible and keep target, found the two directions to differ by {off:.3g}")
    return 1 - torch.linalg.eigvalsh((symmetric + symmetric.mT) / 2)[..., -2]


@dataclass(frozen=True, eq=False)
class Ledger:
    """What a chain has spent and what it may spend, at recorded times; tensors of shape (T, ...).

    Attributes:
        times: steps at which the law was recorded, int64, increasing, shape (T,).
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

    def __post_init__(self):
        tensor("times", self.times, shape=("T",), dtype=torch.int64, at_least=0)
        if self.times.numel() < 1 or bool((self.times.diff() <= 0).any()):
            raise ValueError(f"times must increase, at least one of them, found {self.times[:5].tolist()}")
        T = len(self.times)
        _laws("laws", self.laws)
        if self.laws.ndim < 2 or len(self.laws) != T:
            raise ValueError(f"laws must have shape ({T}, ..., n), found {tuple(self.laws.shape)}")
        for name in ("kl_prior", "kl_stationary", "energy", "budget"):
            value = tensor(name, getattr(self, name), dtype=torch.float64)
            _fits(name, value, self.laws.shape[:-1])

    def overdraft(self) -> float:
        """Largest ``KL(p_t || p_0) - budget``, in nats; claim C2 says it is not positive."""
        return (self.kl_prior - self.budget).max().item()

    def largest_rise(self) -> float:
        """Largest rise of ``KL(p_t || p_inf)`` between records, in nats; claim C1 says not positive.

        0 with one record.
        """
        if len(self.times) == 1:
            return 0.0
        return self.kl_stationary.diff(dim=0).max().item()


def ledger(chain: Tensor, start: Tensor, loss: Tensor, beta: float, times: Sequence[int], stationary: Tensor) -> Ledger:
    """Exact laws of finite chains and their accounts.

    Args:
        chain: transition matrices, shape (..., n, n).
        start: ``p_0``, shape (n,) or (..., n); positive, at least 1e-300.
        loss: ``L``, shape (n,) or (..., n).
        beta: inverse temperature, at least 0: a number, or numbers of shape (...).
        times: increasing whole numbers of steps, the first of them 0.
        stationary: ``p_inf``, shape (n,) or (..., n); positive, at least 1e-300.

    Returns:
        A `Ledger`. Costs ``max(times)`` vector-matrix products.

    Raises:
        ValueError: rows of `chain` are not laws, `stationary` is not kept by it, or `times` do not start at 0.
    """
    _chains("chain", chain)
    rows, n = chain.shape[:-1], chain.shape[-1:]
    _fits("start", _laws("start", start, positive=True), n, rows)
    _fits("loss", _rows("loss", loss), n, rows)
    _fits("stationary", _laws("stationary", stationary, positive=True), n, rows)
    beta = _fits("beta", tensor("beta", beta, convert=torch.float64, at_least=0.0), (), rows[:-1])
    times = list(wholes("times", times, at_least=0))
    if times[0] != 0 or any(b <= a for a, b in itertools.pairwise(times)):
        raise ValueError(f"times must start at 0 and increase, found {times[:5]}")
    kept = (stationary[..., None, :] @ chain)[..., 0, :]
    moved = (kept - stationary).abs().max()
    if moved > 1e-10:
        raise ValueError(f"stationary must be kept by chain, found that one step moves it by {moved:.3g}")
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
        budget=beta * (energy[0] - energy),
    )
