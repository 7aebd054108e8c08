"""From a divergence to a generalization bound: PAC-Bayes with its constants.

A law ``p`` over parameters that may depend on the sample ``S`` of size ``N``, a prior ``p_0`` that may
not, an error ``e`` in [0, 1]. With probability at least ``1 - delta`` over ``S``, for all ``p`` at once,
the true error exceeds the training error by no more than these bounds. Chapter
`langevin-generalization`, claims C5 and C6.
"""

import math

from ._validate import choice, number, whole

__all__ = ["binary_kl", "hoeffding_moment", "kl_inverse", "maurer_constant", "pac_bayes_bound"]


def pac_bayes_bound(K: float, N: int, delta: float, form: str = "maurer") -> float:
    """Bound on the gap (true minus training error), averaged over the posterior.

    Args:
        K: bound on ``KL(posterior || prior)``, in nats, at least 0.
        N: sample size.
        delta: probability, over samples, that the bound fails; in (0, 1).
        form: ``"maurer"``: ``sqrt((K + ln(2 sqrt(N) / delta)) / (2 N))``, where `K` may depend on the
            sample (C5 a). ``"fixed"``: ``sqrt((K + ln(1 / delta)) / (2 N))``, where it may not (C5 b).
            ``"abstract"``: ``sqrt((K + ln(1 / delta)) / N)``, the form in the paper's abstract (C5 c).

    >>> round(pac_bayes_bound(70.0, 1000, 0.05, "fixed"), 3)
    0.191
    """
    K, N = number("K", K, at_least=0.0), whole("N", N, at_least=1)
    delta = number("delta", delta, above=0.0, below=1.0)
    choice("form", form, ("maurer", "fixed", "abstract"))
    log = math.log(2 * math.sqrt(N) / delta) if form == "maurer" else math.log(1 / delta)
    return math.sqrt((K + log) / (N if form == "abstract" else 2 * N))


def binary_kl(q: float, p: float) -> float:
    """``kl(q || p)`` of two coins with success probabilities `q` and `p` in [0, 1], in nats."""
    for name, value in (("q", q), ("p", p)):
        if not 0 <= number(name, value) <= 1:
            raise ValueError(f"{name} must lie in [0, 1], found {value:g}")
    total = 0.0
    for a, b in ((q, p), (1 - q, 1 - p)):
        if a > 0:
            total += math.inf if b == 0 else a * math.log(a / b)
    return max(total, 0.0)


def kl_inverse(q: float, c: float) -> float:
    """Largest ``p`` with ``kl(q || p) <= c``: what a training error `q` allows the true error to be.

    Never above ``q + sqrt(c / 2)`` (Pinsker), and far below it when `q` is small. By bisection,
    rounded to the safe side.

    >>> round(kl_inverse(0.0, 0.1), 6) == round(1 - math.exp(-0.1), 6)
    True
    """
    number("c", c, at_least=0.0)
    binary_kl(q, 0.5)  # checks q
    low, high = q, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if binary_kl(q, middle) <= c else (low, middle)
    return high


def maurer_constant(N: int, p: float | None = None) -> float:
    """``E exp(N kl(k / N || p))`` for ``k ~ Binomial(N, p)``; it does not depend on `p`.

    With `p` the expectation is summed as it stands; without, the sum in which `p` has cancelled,
    ``sum_k C(N, k) (k / N)^k (1 - k / N)^(N - k)``. At most ``2 sqrt(N)`` (Maurer 2004).
    """
    whole("N", N, at_least=1)
    if p is not None:
        number("p", p, above=0.0, below=1.0)
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
    """``E exp(lam (p - k / N))`` for ``k ~ Binomial(N, p)``; at most ``exp(lam^2 / (8 N))`` (Hoeffding)."""
    number("lam", lam), whole("N", N, at_least=1)
    if not 0 <= number("p", p) <= 1:
        raise ValueError(f"p must lie in [0, 1], found {p:g}")
    return math.exp(lam * p) * (1 - p + p * math.exp(-lam / N)) ** N
