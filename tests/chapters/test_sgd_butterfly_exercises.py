"""The solutions of the exercises in the chapter sgd-butterfly are right; wrong answers do not pass."""

import pytest
from chapter_cells import Chapter, each_solution

from implicitly import imitation

# fewer runs
CELLS = Chapter("sgd-butterfly", {"range(40)": "range(4)", "(0.0125, 0.025, 0.05, 0.1, 0.2)": "(0.05,)"})
test_solution = each_solution(CELLS)


def test_wrong_answers_do_not_pass():
    check = CELLS.at_hand("check_tail")["check_tail"]
    for wrong in (
        lambda errors, n: errors[:, :n].mean(1),
        lambda errors, n: errors[:, -n - 1 :].mean(1),
        lambda errors, n: errors[:, -n:].sum(1),
    ):
        with pytest.raises(AssertionError):
            check(wrong)


def test_the_example_by_hand():
    """Two steps: 1.466, 2.674, 0.730."""
    for m, cost in ((0.9, 1.466), (1.1, 2.674), (0.7, 0.730)):
        assert imitation.geometric_cost(m, 2) == pytest.approx(cost, abs=5e-4)


def test_numbers():
    forever = [imitation.geometric_cost(m, 10**5) for m in (0.98, 0.95)]
    assert forever == pytest.approx([24.25, 9.26], abs=0.005)
    assert forever[0] / forever[1] == pytest.approx(2.62, abs=0.005)
    # a plain mean of 240 errors has the gain of decay 0.99, up to its ends
    n, a = 240, 0.95
    gain = n / (1 + 2 * sum((1 - j / n) * a**j for j in range(1, n)))
    assert gain == pytest.approx(imitation.averaging_gain(0.05, 0.99), rel=0.1)
    # memories add up
    step = imitation.equal_step(4, eta=0.05, batch=8, decay=0.99)
    assert 1 / step == pytest.approx(20 + 99, rel=0.02)
