"""From a divergence to a generalization bound: PAC-Bayes with its constants.

A law ``p`` over parameters that may depend on the sample ``S`` of size ``N``, a prior ``p_0`` that may
not, an error ``e`` in [0, 1]. With probability at least ``1 - delta`` over ``S``, for all ``p`` at once,
the true error exceeds the training error by no more than these bounds. Chapter
`langevin-generalization`, claims C4, C6 and C7.
"""

import math
import sys

from .._validate import choice, number, whole

__all__ = [
    "binary_kl",
    "hoeffding_moment",
    "kl_inverse",
    "maurer_constant",
    "pac_bayes_bound",
]

_LARGEST = 2**53  # up to here every whole number is a float


def _share(name: str, value: float) -> float:
    return number(name, value, at_least=0.0, at_most=1.0)


def pac_bayes_bound(K: float, N: int, delta: float, form: str = "maurer") -> float:
    """Bound on the gap (true minus training error), averaged over the posterior.

    Args:
        K: bound on ``KL(posterior || prior)``, in nats, at least 0.
        N: sample size, from 1 to 2**53.
        delta: probability, over samples, that the bound fails; in (0, 1).
        form: ``"maurer"``: ``sqrt((K + ln(2 sqrt(N) / delta)) / (2 N))``, where `K` may depend on the
            sample (C6). ``"fixed"``: ``sqrt((K + ln(1 / delta)) / (2 N))``, where it may not (C4).
            ``"abstract"``: ``sqrt((K + ln(1 / delta)) / N)``, the form in the paper's abstract (below C4).

    >>> round(pac_bayes_bound(70.0, 1000, 0.05, "fixed"), 3)
    0.191
    """
    K, N = number("K", K, at_least=0.0), whole("N", N, at_least=1, at_most=_LARGEST)
    delta = number("delta", delta, above=0.0, below=1.0)
    choice("form", form, ("maurer", "fixed", "abstract"))
    log = -math.log(delta) + (math.log(2 * math.sqrt(N)) if form == "maurer" else 0.0)
    return math.sqrt((K + log) / (N if form == "abstract" else 2 * N))


def binary_kl(q: float, p: float) -> float:
    """``kl(q || p)`` of two coins with success probabilities `q` and `p` in [0, 1], in nats.

    `math.inf` where `p` excludes what `q` allows: ``p = 0 < q`` or ``p = 1 > q``.
    """
    q, p = _share("q", q), _share("p", p)
    if (p == 0 < q) or (p == 1 > q):
        return math.inf
    # By log1p of the difference: 1 - q and 1 - p both round to 1 where q and p are small.
    up = -q * (math.log1p((p - q) / q) if q / 2 < p < 2 * q else math.log(p) - math.log(q)) if q > 0 else 0.0
    # And by the logarithms where the difference is most of 1 - q: it would cancel, and 1 - p is exact there.
    down = (q - p) / (1 - q) if q < 1 else 0.0
    down = -(1 - q) * (math.log1p(down) if down > -0.5 else math.log1p(-p) - math.log1p(-q))
    return max(up + down, 0.0)


def kl_inverse(q: float, c: float) -> float:
    """Largest ``p`` with ``kl(q || p) <= c``: what a training error `q` allows the true error to be.

    Never above ``q + sqrt(c / 2)`` (Pinsker), and far below it when `q` is small. By bisection,
    rounded to the safe side.

    Args:
        q: training error, in [0, 1].
        c: bound on the divergence, in nats, at least 0; at 0 the answer is `q`.

    >>> round(kl_inverse(0.0, 0.1), 6) == round(1 - math.exp(-0.1), 6)
    True
    """
    q, c = _share("q", q), number("c", c, at_least=0.0)
    if c == 0:
        return q
    low, high = q, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if binary_kl(q, middle) <= c else (low, middle)
    return high


def maurer_constant(N: int, p: float | None = None) -> float:
    """``E exp(N kl(k / N || p))`` for ``k ~ Binomial(N, p)``; it does not depend on `p`.

    With `p` the expectation is summed as it stands; without, the sum in which `p` has cancelled,
    ``sum_k C(N, k) (k / N)^k (1 - k / N)^(N - k)``. At most ``2 sqrt(N)`` (Maurer 2004).

    Args:
        N: number of coins, from 1 to 10**7: as many terms are added.
        p: probability of success, in (0, 1); left out, the sum without it.
    """
    N = whole("N", N, at_least=1, at_most=10**7)
    if p is not None:
        p = number("p", p, above=0.0, below=1.0)
    total = 0.0
    for k in range(N + 1):
        q = k / N
        term = math.lgamma(N + 1) - math.lgamma(k + 1) - math.lgamma(N - k + 1)
        if p is None:
            term += sum(x * math.log(x / N) for x in (k, N - k) if x)
        else:
            term += k * math.log(p) + (N - k) * math.log1p(-p) + N * binary_kl(q, p)
        total += math.exp(term)
    return total


def hoeffding_moment(lam: float, N: int, p: float) -> float:
    """``E exp(lam (p - k / N))`` for ``k ~ Binomial(N, p)``; at most ``exp(lam^2 / (8 N))`` (Hoeffding).

    Args:
        lam: any number.
        N: number of coins, from 1 to 2**53.
        p: probability of success, in [0, 1].

    Returns:
        The moment; `math.inf` where it exceeds the largest float.

    >>> round(math.log(hoeffding_moment(2000.0, 2000, 0.5)), 3)
    240.229
    """
    lam, N, p = number("lam", lam), whole("N", N, at_least=1, at_most=_LARGEST), _share("p", p)
    if p in (0.0, 1.0):  # k = N p for sure
        return 1.0
    # One coin: (1 - p) e^up + p e^down, with the larger exponent taken out.
    up, down = lam / N * p, -lam / N * (1 - p)
    if abs(lam) <= N:
        log = math.log1p((1 - p) * math.expm1(up) + p * math.expm1(down))
    else:
        top = max(up, down)
        log = top + math.log((1 - p) * math.exp(up - top) + p * math.exp(down - top))
    return math.exp(N * log) if N * log < math.log(sys.float_info.max) else math.inf
