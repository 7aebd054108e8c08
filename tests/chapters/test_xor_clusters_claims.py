"""Every check of the chapter xor-clusters passes, and fails when a fault is planted in what it rests on."""

import pytest
from chapter_cells import Fault, scaled, see_it_fail, shifted, without_near_fault

from implicitly import feature_learning

LIBRARY = "implicitly.feature_learning."
TRAIN, DRAW = LIBRARY + "train", LIBRARY + "draw_clusters"


def one_step_late(data, *, eta, steps, record, train=feature_learning.train, **how):
    """What is recorded is of the step after."""
    return train(data, eta=eta, steps=steps + 1, record=[t + 1 for t in record], **how)


def gates_stay(data, *, hold=None, train=feature_learning.train, **how):
    """Gates never move."""
    return train(data, hold=0, **how)


def gates_move(data, *, hold=None, train=feature_learning.train, **how):
    """Gates move whatever `hold` says."""
    return train(data, **how)


def always_xor(*, labels="xor", draw=feature_learning.draw_clusters, **how):
    return draw(**how)


def crowded(*, d, N, pairs=100, draw=feature_learning.draw_clusters, **how):
    """As few dimensions as there can be: noise of different points is not nearly orthogonal."""
    return draw(N=N, d=2 + N + pairs, pairs=pairs, **how)


def farther(*, mu, draw=feature_learning.draw_clusters, **how):
    return draw(mu=2 * mu, **how)


def nearer_in_many(*, mu, d, draw=feature_learning.draw_clusters, **how):
    """The length of the centres is not that of the ratio in the higher dimension."""
    return draw(mu=0.8 * mu if d > 10_000 else mu, d=d, **how)


FEW = {"range(6)": "range(2)"}
FAULTS = [
    Fault("C1", "linear", LIBRARY + "first_step", scaled(LIBRARY + "first_step", 1 + 1e-11), FEW),
    Fault("C1", "linear", TRAIN, one_step_late, FEW, far=True),
    Fault("C1", "half", TRAIN, one_step_late, FEW),
    Fault("C1", "later", TRAIN, gates_stay, FEW),
    Fault("C2", "formula", LIBRARY + "linear_accuracy", shifted(LIBRARY + "linear_accuracy", 0.03), FEW),
    Fault("C2", "one step", DRAW, always_xor, FEW),
    Fault("C3", "new points", TRAIN, gates_stay, FEW),
    Fault("C3", "fitted", DRAW, crowded, FEW),
    Fault("C4", "start", TRAIN, gates_move, FEW),
    Fault("C4", "one step", TRAIN, gates_stay, FEW),
    Fault("C4", "start fits", DRAW, crowded, FEW),
    Fault("C4", "mixed", TRAIN, one_step_late, FEW),
    Fault("C4", "sorted", TRAIN, gates_stay, FEW),
    Fault("C5", "benign", TRAIN, gates_stay),
    Fault("C5", "catastrophic", DRAW, farther),
    Fault("C5", "dimension", DRAW, nearer_in_many),
    Fault("C5", "fitted", DRAW, crowded),
    Fault("C5", "harder", LIBRARY + "linear_accuracy", shifted(LIBRARY + "linear_accuracy", -0.3)),
    Fault("C5", "harder", DRAW, always_xor, far=True),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("xor-clusters", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("xor-clusters", FAULTS)
