"""The solutions of the exercises in the chapter random-orderings are right; wrong answers do not pass."""

import math

import pytest
import torch
from chapter_cells import Chapter, each_solution

from implicitly import continual

F64 = torch.float64
CELLS = Chapter("random-orderings")
test_solution = each_solution(CELLS)


def test_numbers():
    names = CELLS.at_hand("loss_two, ordered, angle, values, last")
    assert names["loss_two"] == pytest.approx(3 / 1024)
    assert names["ordered"][2] == pytest.approx(1 / 16)
    assert names["angle"] == pytest.approx(math.degrees(math.asin(math.sqrt(2 / 50))), abs=0.15)
    values = names["values"]
    assert values.index(min(values)) == 3
    assert values == pytest.approx([0.18, 1, 0.012, 0.0012], rel=0.04)
    assert 10 * names["last"][0] < names["last"][1]


def test_the_first_two_losses_of_the_text():
    """By hand: 3/16 after task 2, 3/64 after task 1 again."""
    angles = torch.tensor([0, math.pi / 3], dtype=F64)
    start = torch.tensor([1.0, 0], dtype=F64)
    tasks = continual.line_tasks(torch.stack([angles.cos(), angles.sin()], 1), start)
    for order, m, loss in (([[1]], 0, 3 / 16), ([[1, 0]], 1, 3 / 64)):
        run = continual.learn(tasks, order=torch.tensor(order))
        assert continual.task_losses(run.last, tasks.basis, tasks.s2)[0, m].item() == pytest.approx(loss)


def test_a_random_order_is_what_the_bound_needs():
    """Exercise `chance`, a hint: copies of one task keep the bound."""
    copies = continual.line_tasks(
        torch.tensor([[1.0, 0], [1, 0], [1, 0]], dtype=F64), torch.tensor([1.0, 1], dtype=F64)
    )
    moments = continual.second_moment(copies.error, copies.basis, copies.s2, 30)
    size = copies.error.square().sum().item()
    assert all(m <= continual.universal_bound(k) * size for k, m in enumerate(moments.distance.tolist()))


def test_second_bound_is_smaller_from_two_steps_on():
    """In words after C3."""
    for k in (2, 3, 10, 10_000):
        for free in (1.0, 7.0, 1e4):
            assert continual.root_dimension_bound(k, free) < continual.dimension_bound(k, free)


def test_constant_of_the_quarter_power():
    """C5: F(k, 1) is at most 1.04 k^(-1/4)."""
    assert math.gamma(7 / 4) / math.gamma(3 / 2) < 1.038
    for k in (1, 2, 3, 10, 100, 10**6, 10**12):
        assert continual.universal_bound(k) <= 1.04 * k**-0.25


def test_loss_of_the_fan_at_the_start():
    """After C2: one half of 1 + 1 / T."""
    for T in (1, 5, 40):
        none = torch.zeros(1, 0, dtype=torch.int64)
        assert continual.learn(continual.fan_tasks(T), order=none).loss.item() == pytest.approx((1 + 1 / T) / 2)
