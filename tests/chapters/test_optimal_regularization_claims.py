"""Every check of the chapter optimal-regularization passes, and fails when a fault is planted in what it rests on."""

import math

import pytest
import torch
from chapter_cells import Fault, changed_by, scaled, see_it_fail, without_near_fault

from implicitly import continual

F64 = torch.float64
LIBRARY = "implicitly.continual."


def times(name, factor):
    return LIBRARY + name, scaled(LIBRARY + name, factor)


def doubled_ridge(s2, filter, strength=None, *, gamma=None, shrink=continual.shrink):
    """The convention 1/2 |Xw - y|^2 + lam |w - w'|^2."""
    return shrink(s2, filter, 2 * strength if filter == "ridge" else strength, gamma=gamma)


def cubed(filter, strength=None, *, R=1.0, gamma=None, step=continual.effective_step):
    """Half a power too much."""
    return step(filter, strength, R=R, gamma=gamma) ** 1.5


def without_virtual_step(h, last, bound=continual.increasing_bound):
    """The last step that is made in the virtual one's place."""
    return bound(h[:-1], float(h[-1]))


def one_late(h, last, bound=continual.increasing_bound):
    """Every step shifted by one."""
    return bound(torch.cat([h[1:], h.new_tensor([last])]), last / 2)


def backwards(h, last, bound=continual.increasing_bound):
    """The steps in reverse order."""
    return bound(h.flip(0), float(h[0]))


def forwards(h, last, bound=continual.increasing_bound):
    """Whatever the order, the best one."""
    return bound(h.sort(descending=True).values, min(last, float(h.min())))


def too_steep(h, last, bound=continual.increasing_bound):
    """A rate of 1 / k^3."""
    return bound(h, last) ** 3


def for_what_is_left(filter, h, *, R=1.0, gamma=None, strength=continual.strength_for):
    """A full step is taken for a small one."""
    return strength(filter, (1.6 - h).clamp(max=1), R=R, gamma=gamma)


def of_averages(h, last):
    """The bound of the mean step, which knows no order and no horizon."""
    return continual.universal_bound(len(h), float(h.mean()))


def wrong_constant(k, h=1.0, bound=continual.universal_bound):
    """1 / (2 - h) in place of 1 / (h (2 - h))."""
    return bound(k, h) * h


def one_step_less(k, h=1.0, bound=continual.universal_bound):
    return bound(max(k - 1, 0), h)


def root(k, h=1.0):
    """The later rate."""
    return k**-0.5 / (h * (2 - h))


def learns_nothing(e, basis, s2, k, *, filter="projection", strength=None, gamma=None, moment=continual.second_moment):
    """Every step is too small."""
    if strength is not None:
        strength = strength * 100 + 100
        filter = "ridge"
    return moment(e, basis, s2, k, filter=filter, strength=strength, gamma=gamma)


def knows_all(e, basis, s2, k, *, filter="projection", strength=None, gamma=None, moment=continual.second_moment):
    """Two steps for each."""
    if strength is not None:
        strength = strength.repeat_interleave(2)
    return moment(e, basis, s2, 2 * k, filter=filter, strength=strength, gamma=gamma)


def ends_loose(kind, k, *, h0=None, schedule=continual.step_schedule):
    """The growing strength has its order reversed."""
    return schedule("reversed" if kind == "increasing" else kind, k, h0=h0)


def never_holds(kind, k, *, h0=None, schedule=continual.step_schedule):
    """No schedule holds on."""
    return schedule("none", k)


def spoils(*args, forgetting=continual.forgetting, **given):
    """The sum over tasks in place of the mean."""
    return forgetting(*args, **given) * 128


def short_steps(tasks, *, learn=continual.learn, **given):
    """Lengths of half the steps."""
    done = learn(tasks, **given)
    return done._replace(steps=done.steps / 4)


FAULTS = [
    Fault("C1", "one step", LIBRARY + "shrink", doubled_ridge, far=True),
    Fault("C1", "one step", *times("shrink", 1 + 1e-11)),
    Fault("C1", "smooth", *times("effective_step", 0.9)),
    Fault("C1", "loss", *times("effective_step", 1.1)),
    Fault("C1", "loss", LIBRARY + "shrink", doubled_ridge),
    Fault("C1", "falls", LIBRARY + "effective_step", cubed),
    Fault("C2", "pays", *times("shrink", 1.5)),
    Fault("C2", "attained", *times("effective_step", 0.9), far=True),
    Fault("C2", "attained", *times("shrink", 1 + 1e-11)),
    Fault("C3", "programme", LIBRARY + "universal_bound", one_step_less, far=True),
    Fault("C3", "programme", *times("universal_bound", 1 + 1e-4)),
    Fault("C3", "order", *times("universal_bound", 3)),
    Fault("C4", "programme", LIBRARY + "increasing_bound", one_late, far=True),
    Fault("C4", "programme", *times("increasing_bound", 1 + 1e-4)),
    Fault("C4", "closed", LIBRARY + "increasing_bound", backwards),
    Fault("C4", "power", LIBRARY + "increasing_bound", backwards),
    Fault("C4", "power", LIBRARY + "increasing_bound", of_averages),
    Fault("C4", "reversed", LIBRARY + "increasing_bound", forwards),
    Fault("C4", "reversed", LIBRARY + "increasing_bound", of_averages),
    Fault("C4", "half-way", LIBRARY + "increasing_bound", of_averages),
    Fault("C4", "firmer", LIBRARY + "effective_step", cubed),
    Fault("C4", "never above", *times("increasing_bound", 0.1)),
    Fault("C4", "never above", *times("universal_bound", 0.05)),
    Fault("C5", "floor", LIBRARY + "second_moment", knows_all),
    Fault("C5", "attained", LIBRARY + "second_moment", learns_nothing, far=True),
    Fault("C5", "attained", *times("lower_bound", 1 + 1e-8)),
    Fault("C6", "left out", LIBRARY + "learn", short_steps),
    Fault("C6", "shorter", LIBRARY + "increasing_bound", too_steep),
    Fault("C6", "forgetting", LIBRARY + "forgetting", spoils),
    Fault("C7", "power", LIBRARY + "universal_bound", root, far=True),
    Fault("C7", "power", LIBRARY + "universal_bound", lambda k, h=1.0: k**-0.26),
    Fault("C7", "constant", LIBRARY + "universal_bound", root, far=True),
    Fault("C7", "constant", *times("universal_bound", 1.01)),
    Fault("C8", "worst pairs", LIBRARY + "worst_pair", changed_by(LIBRARY + "worst_pair", lambda v: 1 - v, "from one")),
    Fault("C8", "collections", LIBRARY + "strength_for", for_what_is_left),
    Fault("C8", "odd task", LIBRARY + "step_schedule", never_holds),
    Fault("C8", "order", LIBRARY + "step_schedule", ends_loose),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("optimal-regularization", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("optimal-regularization", FAULTS)


def test_harmonic_numbers_in_the_proof_of_c4():
    """H_k <= (k + 5) / 4."""
    H = torch.arange(1, 2000, dtype=F64).reciprocal().cumsum(0)
    assert ((torch.arange(1, 2000) + 5) / 4 >= H).all()


def test_guarantee_is_no_larger_than_what_a_loose_proof_would_give():
    """In words after C4: at first lambda is about R^2 (1 / h0 - 1), at the end R^2 k / (2 h0)."""
    lam = continual.strength_for("ridge", continual.step_schedule("increasing", 1000, h0=0.7))
    assert lam[0].item() == pytest.approx(1 / 0.7 - 1)
    assert lam[-1].item() == pytest.approx(1000 / 1.4, rel=0.01)
    assert 1.5 * math.e < 4.1
