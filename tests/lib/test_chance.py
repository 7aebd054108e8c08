"""The allowance covers what it says, from exact binomial tails."""

import math

import pytest
from scipy.stats import binom

from implicitly.chance import allowance


@pytest.mark.parametrize("p", [0.0, 1e-4, 0.03, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("n", [1, 100, 20_000])
@pytest.mark.parametrize("false_alarm", [1e-2, 1e-6])
def test_exact_binomial_tail_is_within_the_false_alarm(p, n, false_alarm):
    e = allowance(p, n, false_alarm=false_alarm)
    # the share strays by more than e: counts above n (p + e), or below n (p - e)
    outside = binom.sf(int(n * (p + e)), n, p) + binom.cdf(-int(-n * (p - e)) - 1, n, p)
    assert outside <= false_alarm
    assert allowance(p, 4 * n) < allowance(p, n)


def test_a_false_alarm_whose_inverse_overflows():
    assert allowance(0.0, 1000, false_alarm=1e-310) == pytest.approx(2 / 3 * (math.log(2) + 310 * math.log(10)) / 1000)


def test_refusals():
    with pytest.raises(ValueError, match=r"p must be finite and at least 0 and at most 1, found 1.5"):
        allowance(1.5, 10)
    with pytest.raises(ValueError, match=r"n must be at least 1, found 0"):
        allowance(0.5, 0)
