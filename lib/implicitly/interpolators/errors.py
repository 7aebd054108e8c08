"""Interpolating noisy labels: the error curves, and the numbers they are made of.

A sample has labels Y = h*(X), some of them flipped. An interpolator h fits all of them. *Noisy error* L(h) =
P(h(X) != Y), *clean error* Delta(h) = P(h(X) != h*(X)), noise level eps = P(Y != h*(X)).

All logarithms have base 2; all functions are float64 and exact unless they say otherwise. Where a function takes
`Numbers` these are a number, nested lists or a tensor of real numbers; two such arguments have shapes that broadcast.

Sources: Harel et al. 2024 for the curves; the statements for finite N (tempered-overfitting/C1) are derived
in the chapter.

>>> round(float(arbitrary_noise_bound(0.1)), 4), round(float(independent_noise_error(0.1)), 4)
(0.2775, 0.18)
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .._validate import F64, number, tensor, whole

__all__ = [
    "arbitrary_noise_bound",
    "beta_memorizer",
    "binary_entropy",
    "bits_to_error",
    "clean_error_range",
    "expected_over_flips",
    "gap",
    "independent_noise_error",
    "log2_binomial",
    "noisy_error",
    "repeat_probability",
]

Numbers = float | Sequence | Tensor


def _share(name: str, p: Numbers) -> Tensor:
    return tensor(name, p, convert=F64, at_least=0.0, at_most=1.0)


def _together(**tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors, after checking that their shapes broadcast."""
    try:
        torch.broadcast_shapes(*(t.shape for t in tensors.values()))
    except RuntimeError:
        found = " and ".join(str(tuple(t.shape)) for t in tensors.values())
        raise ValueError(f"{' and '.join(tensors)} must have shapes that broadcast, found {found}") from None
    return tuple(tensors.values())


def binary_entropy(p: Numbers) -> Tensor:
    """H(p) = -p log2 p - (1 - p) log2 (1 - p), in bits; 0 at 0 and 1. p in [0, 1], any shape."""
    p = _share("p", p)
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)) / math.log(2)


def _gap(eps: Tensor, delta: Tensor) -> Tensor:
    return -(torch.xlogy(eps, delta) + torch.xlogy(1 - eps, 1 - delta)) / math.log(2)


def gap(eps: Numbers, delta: Numbers) -> Tensor:
    """-eps log2 delta - (1 - eps) log2 (1 - delta) = H(eps) + KL(eps || delta), in bits: see C1 and C2.

    Both in [0, 1]. Infinite where delta is 0 and eps is not, or delta is 1 and eps is not.
    """
    return _gap(*_together(eps=_share("eps", eps), delta=_share("delta", delta)))


def noisy_error(delta: Numbers, eps: Numbers) -> Tensor:
    """L = eps + (1 - 2 eps) delta: the error on labels with independent flips, from the clean error. Both in [0, 1]."""
    delta, eps = _together(delta=_share("delta", delta), eps=_share("eps", eps))
    return eps + (1 - 2 * eps) * delta


def independent_noise_error(eps: Numbers) -> Tensor:
    """2 eps (1 - eps), the limit of E[L] under independent flips (C4). eps in [0, 1], any shape."""
    eps = _share("eps", eps)
    return 2 * eps * (1 - eps)


def arbitrary_noise_bound(eps: Numbers) -> Tensor:
    """1 - 2**-H(eps) = 1 - eps**eps (1 - eps)**(1 - eps), the limit of the bound on E[L] under any noise (C3).

    eps in [0, 1], any shape.
    """
    return bits_to_error(binary_entropy(_share("eps", eps)))


def bits_to_error(bits: Numbers) -> Tensor:
    """1 - 2**-bits: the largest E[L] of a rule that pays so many bits per example (C1).

    bits: 0 or more, also infinite (which gives 1); any shape.
    """
    return -torch.expm1(-math.log(2) * tensor("bits", bits, convert=F64, finite=False, at_least=0.0))


def clean_error_range(bits: float, eps: float) -> tuple[float, float]:
    """The clean errors that C1 allows to a rule that pays `bits` per example: gap <= bits, by bisection.

    Args:
        bits: at least H(eps). eps: in [0, 1].

    Raises:
        ValueError: bits < H(eps); no rule interpolates for less.
    """
    eps, bits = number("eps", eps, at_least=0.0, at_most=1.0), number("bits", bits)
    floor, share = float(binary_entropy(eps)), torch.tensor(eps, dtype=F64)
    if bits < floor - 1e-12:
        raise ValueError(f"bits must be at least H(eps) = {floor:.6g}, found {bits:.6g}")
    ends = []
    for outside in (0.0, 1.0):
        inside = eps
        for _ in range(100):
            middle = (inside + outside) / 2
            allowed = _gap(share, torch.tensor(middle, dtype=F64)) <= bits
            inside, outside = (middle, outside) if allowed else (inside, middle)
        ends.append(inside)
    return ends[0], ends[1]


def log2_binomial(n: Numbers, k: Numbers) -> Tensor:
    """log2 of n choose k, from the logarithm of the gamma function; 0 <= k <= n, whole or not. Any shapes."""
    n, k = (tensor(name, v, convert=F64, at_least=0.0) for name, v in (("n", n), ("k", k)))
    _together(n=n, k=k)
    if bool((k > n).any()):
        raise ValueError(f"k must be at most n, found n - k = {float((n - k).min()):.6g}")
    logs = torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
    if bool((n > 2**20).any()):  # there the three cancel to their last digits
        from scipy.special import betaln

        beta = torch.as_tensor(betaln((n - k + 1).numpy(), (k + 1).numpy()))
        logs = torch.where(n > 2**20, -beta - torch.log1p(n), logs)
    return logs / math.log(2)


def expected_over_flips(values: Tensor, eps: Numbers) -> Tensor:
    """Sum over k of Binomial(N, eps)(k) values[..., k]: from values by number of flips to any noise level.

    A weight of zero removes its value, even an infinite one.

    Args:
        values: real (..., N + 1), numbers or +infinity.
        eps: in [0, 1], any shape E.

    Returns:
        float64 (..., *E).
    """
    values, eps = tensor("values", values, convert=F64, finite=False, above=-math.inf), _share("eps", eps)
    if values.ndim == 0 or not values.shape[-1]:
        raise ValueError(f"values must have at least one entry on its last axis, found shape {tuple(values.shape)}")
    N = values.shape[-1] - 1
    k = torch.arange(N + 1, dtype=torch.float64)
    flat = eps.reshape(-1, 1)
    logs = (torch.xlogy(k, flat) + torch.xlogy(N - k, 1 - flat)) / math.log(2)
    weights = torch.exp2(log2_binomial(N, k) + logs)
    terms = torch.where(weights > 0, weights * values[..., None, :], 0.0)
    return terms.sum(-1).reshape((*values.shape[:-1], *eps.shape))


def beta_memorizer(N: int) -> tuple[Tensor, Tensor]:
    """(bits, clean error), float64 (N + 1,) each, by the number k of flips, for a random table of unknown density.

    The prior: a density q uniform on [0, 1], then h(x) != h*(x) independently at every x with probability q.
    On N distinct points with k flips C = log2((N + 1) binom(N, k)); at a new point the posterior errs with
    probability (k + 1)/(N + 2).
    """
    N = whole("N", N, at_least=0)
    k = torch.arange(N + 1, dtype=torch.float64)
    return math.log2(N + 1) + log2_binomial(N, k), (k + 1) / (N + 2)


def repeat_probability(points: int, N: int) -> float:
    """Probability that N uniform draws from `points` points, with repetition, hit some point twice. N additions."""
    points, N = whole("points", points, at_least=1), whole("N", N, at_least=0)
    return 1.0 if points < N else -math.expm1(sum(math.log1p(-i / points) for i in range(N)))
