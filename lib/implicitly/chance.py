"""How far a measured share may stray from its probability before chance is no excuse."""

import math

from ._validate import number, whole

__all__ = ["allowance"]


def allowance(p: float, n: int, *, false_alarm: float = 1e-6) -> float:
    """Distance from `p` that a share of `n` independent trials exceeds with probability at most `false_alarm`.

    From Bernstein's inequality, so it holds for every `n` and `p`, rare events included:
    ``2 exp(-n e**2 / (2 p (1 - p) + 2 e / 3)) = false_alarm``, solved for ``e``.

    Args:
        p: probability of success in one trial, in [0, 1].
        n: number of independent trials, at least 1.
        false_alarm: two-sided error probability, in (0, 1).

    Returns:
        The distance ``e > 0``, a share.

    >>> round(allowance(0.5, 10_000), 4)
    0.0274
    """
    p, n = number("p", p, at_least=0.0, at_most=1.0), whole("n", n, at_least=1)
    false_alarm = number("false_alarm", false_alarm, above=0.0, below=1.0)
    k = (math.log(2) - math.log(false_alarm)) / n  # 2 / false_alarm can overflow
    # e**2 - (2 k / 3) e - 2 k p (1 - p) = 0
    return k / 3 + math.sqrt((k / 3) ** 2 + 2 * k * p * (1 - p))
