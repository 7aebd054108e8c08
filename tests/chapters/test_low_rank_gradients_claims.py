"""Every check of the chapter low-rank-gradients passes, and fails when a fault is planted in what it rests on."""

import pytest
import torch
from chapter_cells import Fault, scaled, see_it_fail, without_near_fault

from implicitly import low_rank

LIBRARY = "implicitly.low_rank."
FEW = {"seeds=range(12), looks=40": "seeds=range(4), looks=4"}


def times(name, factor):
    return LIBRARY + name, scaled(LIBRARY + name, factor)


def half_equal(sigma, rank, *, inclusion=low_rank.inclusion_probabilities, **given):
    """Half of the probability is spread evenly."""
    found = inclusion(sigma, rank, **given)
    return found._replace(p=(found.p + rank / sigma.shape[-1]) / 2)


def little_floor(sigma, rank, *, inclusion=low_rank.inclusion_probabilities, **given):
    """A floor of 0.003 that nobody asked for."""
    return inclusion(sigma, rank, floor=0.003)


def one_more_in_the_head(sigma, rank, *, inclusion=low_rank.inclusion_probabilities, **given):
    """k* + 1 directions are kept for certain."""
    p, head = inclusion(sigma, rank, **given)
    k = int(head) + 1
    if k >= rank:
        return low_rank.Inclusion(p, head)
    tail = (rank - k) * sigma[k:] / sigma[k:].sum()
    return low_rank.Inclusion(torch.cat([torch.ones_like(sigma[:k]), tail]), head)


def a_little_too_likely(sigma, rank, *, inclusion=low_rank.inclusion_probabilities, **given):
    found = inclusion(sigma, rank, **given)
    return found._replace(p=found.p * (1 + 1e-11))


def equal_chances(p, outcomes=low_rank.wheel_outcomes):
    """All outcomes equally likely."""
    chosen, chance = outcomes(p)
    return chosen, torch.full_like(chance, 1 / len(chance))


def chances_a_little_off(p, outcomes=low_rank.wheel_outcomes):
    chosen, chance = outcomes(p)
    return chosen, chance * (1 + 1e-11)


def twice_the_first(p, outcomes=low_rank.wheel_outcomes):
    """The second pointer stands where the first does."""
    chosen, chance = outcomes(p)
    return torch.cat([chosen[:, :1], chosen[:, :1], chosen[:, 2:]], 1), chance


def wrong_level(sigma, rank, certificate=low_rank.certificate):
    """The tail is raised to a level that is 0.01 % too high."""
    w, place = certificate(sigma, rank), torch.arange(sigma.shape[-1])
    return torch.where(place >= int(low_rank.inclusion_probabilities(sigma, rank).head), 1.0001 * w, w)


def cheap_replacement(sigma, rank, kind="plumage", error=low_rank.expected_error):
    """Draws with replacement come out too good."""
    return error(sigma, rank, kind) * (0.3 if kind == "replacement" else 1)


def cheap_draw(sigma, rank, kind="plumage", error=low_rank.expected_error):
    return error(sigma, rank, kind) * (0.1 if kind == "plumage" else 1)


def one_spin_for_all(p, *, generator=None, spin=None, sample=low_rank.systematic_sample):
    """Draws are not independent: a repeat spins once."""
    if spin is not None or p.ndim < 3:
        return sample(p, generator=generator, spin=spin)
    return sample(p[:, 0], generator=generator)[:, None].expand(*p.shape[:-1], -1)


def trained_with(name, change):
    """`train` with other options."""

    def fault(task, settings, steps, *, train=low_rank.train, **given):
        return train(task, {k: change(dict(s)) for k, s in settings.items()}, steps, **given)

    fault.__name__ = name
    return fault


def stops_early(task, settings, steps, *, train=low_rank.train, **given):
    """A tenth of the steps."""
    return train(task, settings, steps // 10, **given | {"looks": 1})


def instead(one, other):
    return lambda s: s | {"kind": other} if s.get("kind") == one else s


FAULTS = [
    Fault("C1", "mean", *times("Projection.estimate", 1 + 1e-9)),
    Fault("C1", "error", *times("expected_error", 1 + 1e-8)),
    Fault("C1", "in turn", LIBRARY + "inclusion_probabilities", half_equal),
    Fault("C2", "marginals", LIBRARY + "wheel_outcomes", equal_chances, far=True),
    Fault("C2", "marginals", LIBRARY + "wheel_outcomes", chances_a_little_off),
    Fault("C2", "distinct", LIBRARY + "wheel_outcomes", twice_the_first),
    Fault("C3", "solver", LIBRARY + "inclusion_probabilities", one_more_in_the_head, far=True),
    Fault("C3", "solver", LIBRARY + "inclusion_probabilities", little_floor),
    Fault("C3", "sum", LIBRARY + "inclusion_probabilities", a_little_too_likely),
    Fault("C4", "search", *times("expected_error", 1.02)),
    Fault("C4", "near", *times("expected_error", 0.9)),
    Fault("C4", "certificate", LIBRARY + "certificate", wrong_level, far=True),
    Fault("C4", "certificate", *times("lower_bound", 1 + 5e-12)),
    Fault("C5", "closed forms", *times("expected_error", 1.2)),
    Fault("C5", "order", LIBRARY + "expected_error", cheap_replacement),
    Fault("C6", "nine", LIBRARY + "systematic_sample", one_spin_for_all),
    Fault("C6", "eight", *times("expected_error", 1.2)),
    Fault("C6", "once", LIBRARY + "expected_error", cheap_draw),
    Fault("C7", "bias", *times("Projection.estimate", 1 + 1e-9)),
    Fault("C7", "reuse", *times("sampling_error", 1 + 1e-8)),
    Fault("C7", "window", *times("window_multiplier", 1 + 1e-8)),
    Fault("C8", "explodes", LIBRARY + "train", trained_with("a floor for all", lambda s: {"floor": 0.1} | s)),
    Fault("C8", "cured", LIBRARY + "train", stops_early, smaller=FEW),
    Fault("C8", "cut", LIBRARY + "train", trained_with("a random subspace", instead("galore", "haar")), smaller=FEW),
    Fault("C8", "equal", LIBRARY + "train", trained_with("cut for equal", instead("uniform", "galore")), smaller=FEW),
    Fault("C9", "first", *times("realign", 1 + 1e-11)),
    Fault("C9", "second", *times("realign", 1 + 1e-11)),
    Fault("C9", "energy", *times("realign", 3.0)),
    Fault("C9", "training", LIBRARY + "train", trained_with("always turned", lambda s: s | {"realign": True})),
    Fault("C10", "cut is better", LIBRARY + "train", trained_with("a random subspace", instead("galore", "haar"))),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("low-rank-gradients", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("low-rank-gradients", FAULTS)
