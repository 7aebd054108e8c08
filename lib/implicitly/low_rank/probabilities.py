"""Inclusion probabilities of singular directions, systematic sampling, and the errors that they lead to.

A gradient with singular values ``sigma_1 >= ... >= sigma_m`` is estimated from r of its m singular directions;
direction i is among them with its inclusion probability p_i, and its part of the gradient is divided by p_i. The best
probabilities and the sampling are those of Haroush and Soudry (2025), derived anew; floors are ours. Chapter
`low-rank-gradients`. Bad arguments raise TypeError or ValueError.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .._validate import F64, choice, flag, number, tensor, whole
from .._validate import generator as checked_generator

__all__ = [
    "KINDS",
    "Inclusion",
    "certificate",
    "crossing",
    "expected_error",
    "inclusion_probabilities",
    "lower_bound",
    "sampling_error",
    "systematic_sample",
    "wheel_outcomes",
    "window_multiplier",
]

FLOATS = (torch.float32, torch.float64)
#: The estimators. All but ``galore`` are unbiased, and the expected squared error of each is known in closed form.
KINDS = ("plumage", "galore", "uniform", "haar", "replacement", "gaussian")


class Inclusion(NamedTuple):
    """p: inclusion probabilities (..., m), float64, each row adding up to r.   head: how many are kept for certain,
    int64 (...,)."""

    p: Tensor
    head: Tensor


def _spectra(name: str, sigma: Tensor) -> Tensor:
    """Singular values (..., m) in descending order, as float64."""
    tensor(name, sigma, dtype=FLOATS, at_least=0.0)
    if sigma.ndim < 1 or sigma.shape[-1] < 1:
        raise ValueError(f"{name} must have shape (..., m) with m at least 1, found {tuple(sigma.shape)}")
    if (sigma.diff(dim=-1) > 0).any():
        raise ValueError(f"{name} must be in descending order, found an entry above the one before it")
    return sigma.double()


def _rank(rank, m: int) -> int:
    return whole("rank", rank, at_least=1, at_most=m)


def _probabilities(name: str, p: Tensor) -> tuple[Tensor, int]:
    """Probabilities (..., m) as float64, and the whole number that each row adds up to."""
    tensor(name, p, dtype=FLOATS, at_least=0.0, at_most=1.0 + 1e-9)
    if p.ndim < 1 or p.numel() < 1:
        raise ValueError(f"{name} must have shape (..., m) with at least one entry, found {tuple(p.shape)}")
    p = p.double()
    total = p.sum(-1)
    r = round(total.flatten()[0].item())
    off = (total - r).abs().max().item()
    if r < 1 or off > 1e-6:
        raise ValueError(f"{name} must add up to one whole number, at least 1, found {total.flatten()[0].item():.6g}"
                         f" and a row that is off by {off:.3g}")  # fmt: skip
    return p, r


def _scaled(sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Each row divided by a power of two near its first entry, and these (..., 1): squares stay finite, bits as they
    are."""
    top = torch.ldexp(torch.ones_like(sigma[..., :1]), torch.frexp(sigma[..., :1]).exponent - 1)
    return sigma / top, top


def _head(sigma: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """k* of each row (..., 1), and whether more than `rank` entries are positive (..., 1)."""
    m = sigma.shape[-1]
    left = (rank - torch.arange(m, dtype=F64, device=sigma.device)).clamp(min=0.0)
    tail = sigma.flip(-1).cumsum(-1).flip(-1)
    # Once the test fails it fails for every later i, so the head is a prefix; rounding must not make it anything else.
    kept = ((left * sigma >= tail) & (left > 0)).to(torch.int64).cumprod(-1).sum(-1, keepdim=True)
    support = (sigma > 0).sum(-1, keepdim=True)
    full = support > rank
    # sigma_{r} = tail_{r} would need a tail of zeros: with more than r positive entries k* < r, whatever was rounded.
    return torch.where(full, kept.clamp(max=rank - 1), support), full


def inclusion_probabilities(
    sigma: Tensor, rank: int, *, floor: float = 0.0, keep_head: bool = True, cutoff: float = 0.0
) -> Inclusion:
    """The inclusion probabilities with the least error: a head that is kept, and a tail proportional to sigma.

    With k* the number of leading i for which ``(r - i + 1) sigma_i >= sigma_i + ... + sigma_m``, p is 1 up to k* and
    ``(r - k*) sigma_i / (sigma_{k*+1} + ... + sigma_m)`` after. Where at most r singular values are positive, k* is
    their number, and r - k* of the other directions, the first, are kept too: they change nothing in the estimate.

    Args:
        sigma: singular values (..., m), descending, at least 0, float32 or float64.
        rank: r, from 1 to m.
        floor: rho in [0, 1]; mixes with equal probabilities, ``(1 - rho) p + rho (r - k) / (m - k)``, in the tail
            (k = k*), which bounds 1/p by ``(m - k*) / (rho (r - k*))`` there; where k* = r the floor does nothing.
        keep_head: False mixes all directions, k = 0: the head is then dropped at times.
        cutoff: singular values up to this share of the first, in [0, 1), count as 0.

    >>> inclusion_probabilities(torch.tensor([3.0, 1.0]), 1).p.tolist()
    [0.75, 0.25]
    """
    sigma, rank = _spectra("sigma", sigma), _rank(rank, _last(sigma))
    floor = number("floor", floor, at_least=0.0, at_most=1.0)
    keep_head = flag("keep_head", keep_head)
    cutoff = number("cutoff", cutoff, at_least=0.0, below=1.0)
    return _inclusion(sigma, rank, floor, keep_head, cutoff)


def _inclusion(sigma: Tensor, rank: int, floor: float, keep_head: bool, cutoff: float = 0.0) -> Inclusion:
    m = sigma.shape[-1]
    sigma, _ = _scaled(sigma)
    if cutoff:
        sigma = torch.where(sigma > cutoff * sigma[..., :1], sigma, torch.zeros_like(sigma))
    head, full = _head(sigma, rank)
    place = torch.arange(m, device=sigma.device)
    tail = torch.where(place >= head, sigma, torch.zeros_like(sigma))
    share = tail / tail.sum(-1, keepdim=True).clamp(min=torch.finfo(F64).tiny)
    drawn = ((rank - head) * share).clamp(max=1.0)
    spare = ((place >= head) & (place < rank)).double()
    p = torch.where(place < head, torch.ones_like(sigma), torch.where(full, drawn, spare))
    if floor:
        k = head if keep_head else torch.zeros_like(head)
        even = (rank - k).double() / (m - k).clamp(min=1)
        p = torch.where(place >= k, (1 - floor) * p + floor * even, p)
    return Inclusion(p, head[..., 0])


def _last(sigma: Tensor) -> int:
    return sigma.shape[-1]


def systematic_sample(p: Tensor, *, generator: torch.Generator | None = None, spin: Tensor | None = None) -> Tensor:
    """One spin of a wheel with arcs of lengths p_i and r equally spaced pointers: r distinct indices.

    Index i is among them with probability p_i exactly.

    Args:
        p: inclusion probabilities (..., m), at most 1, each row adding up to the same whole number r.
        generator: where the spins are drawn from, on the CPU.
        spin: in place of a generator, the spins (...,), float64, in [0, 1).

    Returns:
        Indices (..., r), int64, ascending.

    >>> systematic_sample(torch.tensor([1.0, 0.5, 0.25, 0.25]), spin=torch.tensor(0.6, dtype=torch.float64)).tolist()
    [0, 2]
    """
    p, r = _probabilities("p", p)
    if (generator is None) == (spin is None):
        raise ValueError(f"generator or spin must be given, and not both, found {'none' if spin is None else 'both'}")
    if spin is None:
        dice = checked_generator("generator", generator, device="cpu")
        spin = torch.rand(p.shape[:-1], generator=dice, dtype=F64).to(p.device)
    else:
        spin = tensor("spin", spin, shape=tuple(p.shape[:-1]), dtype=F64, at_least=0.0, below=1.0)
    return _wheel(p, r, spin)


def _wheel(p: Tensor, r: int, spin: Tensor) -> Tensor:
    m = p.shape[-1]
    ends = p.cumsum(-1)
    ends = ends / ends[..., -1:] * r  # the last end is r exactly: no pointer overruns
    steps = torch.arange(r, device=p.device)
    pointers = (spin[..., None] + steps).clamp(max=math.nextafter(r, 0.0))
    found = torch.searchsorted(ends.contiguous(), pointers.contiguous(), right=True)
    # Two pointers, 1 apart, meet one arc only where rounding has made it longer than 1.
    found = (found - steps).cummax(-1).values.clamp(max=m - r) + steps
    return found


def wheel_outcomes(p: Tensor) -> tuple[Tensor, Tensor]:
    """All outcomes of `systematic_sample` and their probabilities: expectations without drawing.

    The outcome changes where a pointer passes the end of an arc: at the fractional parts of the sums ``p_1 + ... +
    p_i``, so there are at most m.

    Args:
        p: inclusion probabilities (m,), at most 1, adding up to a whole number r.

    Returns:
        Indices (K, r), int64, and probabilities (K,), float64.
    """
    p, r = _probabilities("p", p)
    if p.ndim != 1:
        raise ValueError(f"p must have shape (m,), found {tuple(p.shape)}")
    ends = p.cumsum(0)
    cuts = (ends / ends[-1] * r).frac()
    cuts = torch.cat([cuts.new_zeros(1), cuts, cuts.new_ones(1)]).sort().values
    width = cuts.diff()
    wide = width > 1e-13  # what lies between is rounding: the same end, reached in two ways
    middle = (cuts[:-1] + width / 2)[wide]
    return _wheel(p.expand(len(middle), -1), r, middle), width[wide] / width[wide].sum()


def sampling_error(energy: Tensor, p: Tensor) -> Tensor:
    """``sum_i e_i (1/p_i - 1)``: the expected squared error of an estimate with inclusion probabilities p.

    Args:
        energy: e_i, squared lengths of the directions' parts, (..., m), at least 0: ``sigma_i^2`` for the gradient
            whose singular directions are sampled, ``|u_i^T G'|^2`` for another one.
        p: (..., m), in the shape of `energy`, in [0, 1].

    Returns:
        (...,), float64; infinite where a direction with energy is never drawn.
    """
    tensor("energy", energy, dtype=FLOATS, at_least=0.0)
    tensor("p", p, dtype=FLOATS, shape=tuple(energy.shape), at_least=0.0, at_most=1.0 + 1e-9)
    if energy.ndim < 1:
        raise ValueError(f"energy must have shape (..., m), found {tuple(energy.shape)}")
    energy, p = energy.double(), p.double()
    lost = energy * (1 / p - 1).clamp(min=0.0)
    return torch.where(energy > 0, lost, torch.zeros_like(lost)).sum(-1)


def expected_error(sigma: Tensor, rank: int, kind: str = "plumage") -> Tensor:
    """The expected squared error ``E |estimate - G|_F^2`` of one estimate of rank r of a gradient.

    ``plumage`` and ``uniform`` sample r of the singular directions without replacement, with the best and with equal
    probabilities; ``replacement`` draws r times with probabilities proportional to sigma; ``haar`` projects on a
    uniformly random subspace and multiplies by m/r; ``gaussian`` on r columns of independent normal numbers of variance
    1/r; ``galore`` keeps the r largest directions, and its error is a bias.

    Args:
        sigma: singular values (..., m), descending, at least 0, float32 or float64.
        rank: r, from 1 to m.
        kind: one of `KINDS`.

    Returns:
        (...,), float64.

    >>> sigma = torch.tensor([3.0, 1.0])
    >>> [round(expected_error(sigma, 1, kind).item(), 9) for kind in ("plumage", "uniform", "galore")]
    [6.0, 10.0, 1.0]
    """
    sigma, rank = _spectra("sigma", sigma), _rank(rank, _last(sigma))
    choice("kind", kind, KINDS)
    sigma, top = _scaled(sigma)
    m, square = sigma.shape[-1], sigma.square()
    total = square.sum(-1)
    if kind == "plumage":
        found = sampling_error(square, inclusion_probabilities(sigma, rank).p)
    elif kind == "galore":
        found = square[..., rank:].sum(-1)
    elif kind in ("uniform", "haar"):
        found = total * (m / rank - 1)
    elif kind == "gaussian":
        found = total * ((m + 1) / rank)
    else:
        found = (sigma.sum(-1).square() - total).clamp(min=0.0) / rank
    return _finite(found * top[..., 0].square())


def _finite(found: Tensor) -> Tensor:
    if not found.isfinite().all():
        raise ValueError("sigma must have squares in the range of float64, found a result that overflows")
    return found


def certificate(sigma: Tensor, rank: int) -> Tensor:
    """Weights w (..., m), float64: the test matrix ``U diag(w) V^T`` that proves `inclusion_probabilities` best.

    w_i is sigma_i in the head and ``(sigma_{k*+1} + ... + sigma_m) / (r - k*)`` after it. Arguments as there.
    """
    sigma, rank = _spectra("sigma", sigma), _rank(rank, _last(sigma))
    sigma, top = _scaled(sigma)
    head, full = _head(sigma, rank)
    place = torch.arange(sigma.shape[-1], device=sigma.device)
    tail = torch.where(place >= head, sigma, torch.zeros_like(sigma)).sum(-1, keepdim=True)
    level = torch.where(full, tail / (rank - head).clamp(min=1), torch.zeros_like(tail))
    return torch.where(place < head, sigma, level) * top


def lower_bound(sigma: Tensor, w: Tensor, rank: int) -> Tensor:
    """``(sum_i w_i sigma_i)^2 / (sum of the r largest w_i^2) - sum_i sigma_i^2``, for any w.

    No unbiased random matrix of rank at most r has a smaller expected squared error.

    Args:
        sigma: singular values (..., m), descending, at least 0, float32 or float64.
        w: (..., m), in the shape of `sigma`, at least 0, with a positive entry in each row.
        rank: r, from 1 to m.

    Returns:
        (...,), float64.
    """
    sigma, rank = _spectra("sigma", sigma), _rank(rank, _last(sigma))
    tensor("w", w, dtype=FLOATS, shape=tuple(sigma.shape), at_least=0.0)
    w = w.double()
    largest = w.max(-1, keepdim=True).values if w.numel() else w
    if (largest <= 0).any():
        raise ValueError("w must have a positive entry in each row, found a row of zeros")
    w = w / largest
    sigma, top = _scaled(sigma)
    strongest = w.square().sort(-1, descending=True).values[..., :rank].sum(-1)
    found = (w * sigma).sum(-1).square() / strongest - sigma.square().sum(-1)
    return _finite(found * top[..., 0].square())


def crossing(sigma: Tensor, rank: int) -> Tensor:
    """T*: the average of more than T* independent draws on one gradient has a smaller error than cutting it to rank r.

    The error of a single draw over the energy of what is cut; 0 where nothing is cut. Arguments as `expected_error`,
    returns (...,), float64.
    """
    once, cut = expected_error(sigma, rank, "plumage"), expected_error(sigma, rank, "galore")
    return torch.where(cut > 0, once / torch.where(cut > 0, cut, torch.ones_like(cut)), torch.zeros_like(once))


def window_multiplier(p: Tensor, a: float, steps: int, *, power: int = 1) -> Tensor:
    """``1 - p + p (1 - a/p)^(power steps)``: what one draw, used for `steps` steps, makes of an error, in the mean.

    Gradient descent with step size times curvature `a` along a direction that is drawn with probability p; power 2 for
    the mean square, power 1 for the mean. With fresh draws at every step the mean would be ``(1 - a)^steps``.

    Args:
        p: probabilities, any shape, above 0 and at most 1, float32 or float64.
        a: at least 0, at most 1e6.
        steps: at least 1, at most 10**6.
        power: 1 or 2.

    Returns:
        The shape of p, float64; infinite where it overflows.

    >>> round(window_multiplier(torch.tensor(0.0375, dtype=torch.float64), 0.01, 20).item(), 3)
    0.963
    """
    p = tensor("p", p, dtype=FLOATS, above=0.0, at_most=1.0).double()
    a = number("a", a, at_least=0.0, at_most=1e6)
    steps = whole("steps", steps, at_least=1, at_most=10**6)
    power = whole("power", power, at_least=1, at_most=2)
    return 1 - p + p * (1 - a / p) ** (power * steps)
