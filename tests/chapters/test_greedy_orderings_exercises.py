"""The solutions of the exercises in the chapter greedy-orderings are right; wrong answers do not pass."""


import pytest
import torch
from chapter_cells import Chapter, each_solution

from implicitly import continual

# fewer draws
CELLS = Chapter("greedy-orderings", {"range(5)": "range(2)", "range(3)": "range(1)"})
test_solution = each_solution(CELLS)


def test_wrong_answers_do_not_pass():
    check = CELLS.at_hand("check_scores")["check_scores"]

    def one_too_many(along, e):
        return along.square() + e.square().flip(0).cumsum(0).flip(0)[1:]

    def no_tail(along, e):
        return along.square()

    for wrong in (one_too_many, no_tail):
        with pytest.raises(AssertionError):
            check(wrong)


def test_the_example_by_hand():
    """3/128 greedily, 9/128 the other way; squared steps 3/4 + 1/16 and 1/4 + 3/16."""
    angle = torch.tensor([1.0, 2.0], dtype=torch.float64) * torch.pi / 6
    lines = torch.stack([angle.cos(), angle.sin()], 1)
    two = continual.line_tasks(lines, torch.tensor([1.0, 0], dtype=torch.float64))
    for rule, loss, steps in (("distance", 3 / 128, [3 / 4, 1 / 16]), ("nearest", 9 / 128, [1 / 4, 3 / 16])):
        run = continual.learn(two, rule=rule)
        assert float(run.loss) == pytest.approx(loss)
        assert run.steps[0].tolist() == pytest.approx(steps)


def test_numbers():
    crossed = continual.line_tasks(torch.eye(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))
    assert float(continual.learn(crossed, order=continual.all_orders(2)).loss.max()) == pytest.approx(0, abs=1e-30)
    assert continual.hybrid_threshold(100, 4.0, 1.0) == pytest.approx(1 / 4)
    assert continual.greedy_repetition_bound(880) < 1 / 8 <= continual.greedy_repetition_bound(879)
    assert all(continual.greedy_repetition_bound(k) <= 1.2 * k ** (-1 / 3) for k in range(1, 2000))
    assert float(continual.Trap(60).run().steps.max()) < 0.03
    # C = 2.3 and alpha = 1/4, which the text says are proved: below T = 27 by L <= 1, and above 2.08 + small terms
    assert all(T**0.25 * min(1.0, continual.shuffled_bound(T)) <= 2.3 for T in (*range(2, 3000), 10**6, 10**12))


def test_the_sweep_of_the_text_runs():
    """The section At scale shows a call of the library that no cell runs; here it runs, smaller."""
    table = CELLS.sweep(
        ("[100, 1000]", "[10, 20]"),
        ("range(100)", "range(2)"),
        (', results="greedy.jsonl", n_jobs=-1', ", progress=False"),
    )
    assert len(table) == 16 and (table["distance"] > 0).all()
