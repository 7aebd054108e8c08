"""Every check of the chapter random-orderings passes, and fails when a fault is planted in what it rests on."""

import math

import pytest
import torch
from chapter_cells import Fault, scaled, see_it_fail, without_near_fault

from implicitly import continual

LIBRARY = "implicitly.continual."
F64 = torch.float64


def part_scaled(name, part, factor):
    """One part of a named tuple that a function returns, times a factor."""
    original = getattr(continual, name)

    def fault(*args, **given):
        found = original(*args, **given)
        return found._replace(**{part: getattr(found, part) * factor})

    fault.__name__ = f"{name} {part} times {factor:.12g}"
    return LIBRARY + name, fault


def times(name, factor):
    return LIBRARY + name, scaled(LIBRARY + name, factor)


def half_steps(*args, learn=continual.learn, **given):
    """Every task is learned half."""
    return learn(*args, **given, filter="ridge", strength=1.0)


def half_matrix(basis, s2, k, *, matrix=continual.loss_matrix, **given):
    """Steps of seven tenths."""
    return matrix(basis, s2, k, of="distance", filter="ridge", strength=3 / 7)


def ignores_h(*args, moment=continual.second_moment, **given):
    """Every step is a projection, whatever its size."""
    return moment(*args)


def shorter_steps(*args, moment=continual.second_moment, **given):
    """Steps of nine tenths."""
    return moment(*args, filter="ridge", strength=1 / 9)


def nearly_projections(*args, moment=continual.second_moment, **given):
    """A little regularization is left."""
    return moment(*args, filter="ridge", strength=1e-5)


def ridge_pair(steps, worst=continual.worst_pair):
    """Steps of nine tenths."""
    return worst(0.9 * steps)


def rounded_e(k, codimension):
    """Euler's number is 2.6."""
    return math.sqrt(codimension) / (2.6 * (k - 1))


def in_order_loss(directions, start, lines=continual.shuffled_lines):
    """The loss of the given order in place of the mean over all."""
    tasks = continual.line_tasks(directions, start)
    loss = continual.learn(tasks, order=continual.cyclic_order(tasks.T, tasks.T)).loss
    return loss.item(), lines(directions, start)[1]


def as_if_first(directions, start, lines=continual.shuffled_lines):
    """The next task as far away as the first one was."""
    loss, ahead = lines(directions, start)
    return loss, ahead[0].expand(len(ahead))


def bent_sum(directions, start, lines=continual.shuffled_lines):
    """A last digit is wrong."""
    loss, ahead = lines(directions, start)
    return loss * (1 + 5e-11), ahead


def hardly_moves(w, Z, order, run=continual.sequential_max_margin):
    """Learns nothing."""
    return w.expand(len(order) + 1, -1)


def overshoots(w, Z, order, run=continual.sequential_max_margin):
    """A push that grows, along the way."""
    return run(w, Z, order) * (1 + 1e-9 * torch.arange(len(order) + 1, dtype=F64)[:, None])


def wrong_power(k, h=1.0, bound=continual.universal_bound):
    """A power of k that is a little too small."""
    return bound(k, h) * k**1e-5 if k else bound(k, h)


def linear_power(k, h=1.0, bound=continual.universal_bound):
    """The power 1 - h/2, of the later papers, with this proof's constants."""
    return bound(k, h) * (k + 1) ** ((1 - h / 2) ** 2 - (1 - h / 2)) / 4


def no_walls(e, basis, s2, *, run=continual.run_tasks, shift=None, **given):
    """All lines meet at the origin."""
    return run(e, basis, s2, shift=None if shift is None else 0 * shift, **given)


def shrunk_walls(e, basis, s2, *, run=continual.run_tasks, shift=None, **given):
    """The triangle is half as large."""
    return run(e, basis, s2, shift=None if shift is None else 0.5 * shift, **given)


FAULTS = [
    Fault("C1", "one step", *part_scaled("learn", "last", 1 + 1e-11)),
    Fault("C1", "one step", LIBRARY + "learn", half_steps, far=True),
    Fault("C1", "pythagoras", *part_scaled("learn", "steps", 1 + 1e-11)),
    Fault("C1", "pythagoras", LIBRARY + "learn", half_steps, far=True),
    Fault("C1", "loss", *times("task_distances", 1 - 1e-9)),
    Fault("C2", "formula", *part_scaled("learn", "loss", 1 + 1e-11)),
    Fault("C2", "formula", LIBRARY + "learn", half_steps, far=True),
    Fault("C2", "only the order", LIBRARY + "shuffled_lines", in_order_loss, far=True),
    Fault("C2", "only the order", *times("shuffled_lines", 2)),
    Fault("C3", "worst start", LIBRARY + "loss_matrix", half_matrix),
    Fault("C3", "worst start", *times("root_dimension_bound", 0.95)),
    Fault("C3", "worst start", *times("dimension_bound", 1 / 3)),
    Fault("C3", "every order", *part_scaled("second_moment", "loss", 1 + 1e-10)),
    Fault("C4", "law", *part_scaled("second_moment", "loss", 1 + 1e-10)),
    Fault("C4", "one over e", LIBRARY + "worst_pair", ridge_pair),
    Fault("C4", "one over e", *times("worst_pair", 1.01)),
    Fault("C4", "attained", LIBRARY + "root_dimension_bound", rounded_e),
    Fault("C4", "attained", *times("worst_pair", 1.01)),
    Fault("C5", "suffix", LIBRARY + "second_moment", ignores_h),
    Fault("C5", "bound", LIBRARY + "universal_bound", linear_power),
    Fault("C5", "power", LIBRARY + "universal_bound", wrong_power),
    Fault("C5", "may grow", LIBRARY + "second_moment", shorter_steps, far=True),
    Fault("C5", "may grow", LIBRARY + "second_moment", nearly_projections),
    Fault("C5", "in order", *times("universal_bound", 2)),
    Fault("C5", "no joint solution", LIBRARY + "run_tasks", no_walls, far=True),
    Fault("C5", "no joint solution", LIBRARY + "run_tasks", shrunk_walls),
    Fault("C6", "pass", LIBRARY + "shuffled_lines", in_order_loss),
    Fault("C6", "in order", *times("shuffled_bound", 2)),
    Fault("C6", "in order", *part_scaled("learn", "loss", 0.5)),
    Fault("C6", "next task", LIBRARY + "shuffled_lines", as_if_first),
    Fault("C6", "every order", LIBRARY + "shuffled_lines", bent_sum),
    Fault("C6", "skip one", *part_scaled("learn", "last", 2)),
    Fault("C6", "forgetting", *times("forgetting", 100)),
    Fault("C7", "fejer", LIBRARY + "sequential_max_margin", overshoots),
    Fault("C7", "bound", LIBRARY + "sequential_max_margin", hardly_moves),
    Fault("C7", "no step", *times("universal_bound", 4)),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("random-orderings", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("random-orderings", FAULTS)
