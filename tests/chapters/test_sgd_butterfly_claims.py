"""Every check of the chapter sgd-butterfly passes, and fails when a fault is planted in what it rests on."""

import pytest
import torch
from chapter_cells import Fault, scaled, see_it_fail, without_near_fault

from implicitly import imitation

LIBRARY = "implicitly.imitation."


def times(name, factor):
    return LIBRARY + name, scaled(LIBRARY + name, factor)


def half_a_step(start, *, eta, clone=imitation.clone, **how):
    """The gradient is halved."""
    return clone(start, eta=eta / 2, **how)


def quieter(start, *, noise, clone=imitation.clone, **how):
    """The actions have too little noise."""
    return clone(start, noise=0.9 * noise, **how)


def not_averaged(values, decay):
    return values.clone()


def shorter_memory(values, decay, *, average=imitation.moving_average):
    return average(values, 2 * decay - 1 if decay > 0.5 else decay)


def weights_beyond_one(values, decay, *, average=imitation.moving_average):
    """The weights of the average do not add up to one."""
    return 1.1 * average(values, decay)


def turned_away(M, size, *, worst=imitation.worst_error):
    """The error pulls the line or plane in."""
    return -worst(M, size)


def larger(M, size, *, worst=imitation.worst_error):
    return worst(M, 1.1 * size)


def all_alike(M, spread):
    """Real eigenvalues and pairs are treated alike."""
    z = torch.tensor((1 - 0.98) / spread, dtype=torch.float64)
    return 1 - torch.special.ndtr(z) ** 4


def wider(M, *, radius=imitation.spectral_radius):
    return radius(M) * 1.01


def twice_the_step(start, *, eta, clone=imitation.clone, **how):
    return clone(start, eta=2 * eta, **how)


def same_step(d, *, eta, batch, decay):
    """The smaller step is no smaller."""
    return eta


def never_averaged(*, decays, clone=imitation.clone_pendulum, **how):
    """Averages are last weights."""
    return clone(decays=[0.0] * len(decays), **how)


def all_averaged(*, decays, clone=imitation.clone_pendulum, **how):
    return clone(decays=[0.99] * len(decays), **how)


TWO = {"(0.0125, 0.025, 0.05, 0.1, 0.2)": "(0.05, 0.1)"}
CLONE, AVERAGE, PENDULUM = (LIBRARY + name for name in ("clone", "moving_average", "clone_pendulum"))

FAULTS = [
    Fault("C1", "excess", CLONE, half_a_step, TWO),
    Fault("C1", "excess", CLONE, quieter, TWO),
    Fault("C1", "excess", *times("one_step_excess", 1.1), TWO),
    Fault("C2", "bounded", *times("geometric_cost", 0.7)),
    Fault("C2", "bounded", LIBRARY + "worst_error", larger),
    Fault("C2", "worst", LIBRARY + "worst_error", turned_away, far=True),
    Fault("C2", "worst", *times("geometric_cost", 2)),
    Fault("C2", "growth", LIBRARY + "worst_error", larger),
    Fault("C3", "share", CLONE, half_a_step, TWO),
    Fault("C3", "share", LIBRARY + "unstable_share", all_alike, TWO),
    Fault("C3", "share", LIBRARY + "spectral_radius", wider, TWO),
    Fault("C3", "ratio", LIBRARY + "unstable_share", scaled(LIBRARY + "unstable_share", 1.2), TWO),
    Fault("C3", "ratio", CLONE, half_a_step, TWO),
    Fault("C3", "mirrored", LIBRARY + "spectral_radius", scaled(LIBRARY + "spectral_radius", 1.02), TWO),
    Fault("C4", "gain", AVERAGE, shorter_memory, TWO),
    Fault("C4", "gain", AVERAGE, weights_beyond_one, TWO),
    Fault("C4", "gain", *times("averaging_gain", 1.1), TWO),
    Fault("C4", "ceiling", AVERAGE, not_averaged, TWO),
    Fault("C5", "last", CLONE, half_a_step, TWO),
    Fault("C5", "averaged", AVERAGE, not_averaged, TWO),
    Fault("C5", "one step", CLONE, twice_the_step, TWO),
    Fault("C5", "smaller step", LIBRARY + "equal_step", same_step, TWO, far=True),
    Fault("C5", "smaller step", AVERAGE, shorter_memory, TWO),
    Fault("C5", "network", PENDULUM, all_averaged),
    Fault("C5", "network averaged", PENDULUM, never_averaged),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("sgd-butterfly", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("sgd-butterfly", FAULTS)
