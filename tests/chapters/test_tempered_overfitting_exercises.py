"""The solutions of the exercises in the chapter tempered-overfitting are right; wrong answers do not pass."""

import math

import pytest
from chapter_cells import Chapter, each_solution

from implicitly import interpolators

CELLS = Chapter("tempered-overfitting")
test_solution = each_solution(CELLS)


def test_numbers():
    names = CELLS.at_hand("two_of_six, naive_bits, entropy_bits, few, an_hour, below, at_noise, at_limits")
    assert names["two_of_six"] == pytest.approx(6 * math.log2(3) - 4)
    assert names["naive_bits"] / names["entropy_bits"] == pytest.approx(10.7, abs=0.1)
    assert names["few"] == 128
    assert interpolators.repeat_probability(2**20, 128) < 0.01 < 256**2 / 2**21
    assert int(names["an_hour"]) == 88
    assert names["below"] == [10, 12]
    errors = {N: float(names["at_noise"]("typical", N, 0.1)[0]) for N in (8, 10, 12)}
    assert errors[10] > names["at_limits"][1] > errors[12]
    assert float(names["at_noise"]("smallest", 8, 0.0)[0]) == pytest.approx(0.1, abs=0.01)
    assert float(names["at_noise"]("smallest", 12, 0.0)[0]) == 0


def test_the_coins_of_the_text():
    """By hand: one flip among four inputs of sixteen."""
    price = [-math.log2(q * (1 - q) ** 3) for q in (0.25, 0.5)]
    assert price == pytest.approx([4 * float(interpolators.binary_entropy(0.25)), 4]) and price[0] < 3.25
    assert float(interpolators.noisy_error(0.25, 0.25)) == pytest.approx(3 / 8)
