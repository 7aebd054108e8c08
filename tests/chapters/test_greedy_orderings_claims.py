"""Every check of the chapter greedy-orderings passes, and fails when a fault is planted in what it rests on."""

import numpy as np
import pytest
import torch
from chapter_cells import Fault, scaled, see_it_fail, without_near_fault

from implicitly import continual

LIBRARY = "implicitly.continual."
SWAP = {"distance": "nearest", "residual": "nearest", "nearest": "distance"}


def swapped(tasks, *, rule=None, learn=continual.learn, **how):
    """The nearest task for the farthest, and the other way round."""
    return learn(tasks, rule=SWAP.get(rule), **how)


def never_again(tasks, *, repetition=False, learn=continual.learn, **how):
    """Repetition has no effect."""
    return learn(tasks, **how)


def always_greedy(tasks, *, order=None, rule=None, learn=continual.learn, **how):
    """An order that is given is not followed."""
    if order is not None:
        k = order.shape[1]
        again = k > tasks.T or bool((order.sort(1).values.diff() == 0).any())
        how |= {"rule": "distance", "repetition": again, "steps": k}
        return learn(tasks, **how)
    return learn(tasks, rule=rule, **how)


def never_greedy(tasks, *, rule=None, repetition=False, steps=None, learn=continual.learn, **how):
    """A rule is not followed: random orders with replacement."""
    if rule is None:
        return learn(tasks, **how)
    k = tasks.T if steps is None else steps
    order = torch.randint(tasks.T, (1, k), generator=torch.Generator().manual_seed(5))
    return learn(tasks, order=order, **how)


def a_little_less(tasks, *, learn=continual.learn, **how):
    run = learn(tasks, **how)
    return run._replace(loss=0.99 * run.loss)


def one_rank_more(T, d, r, *, make=continual.random_tasks, **how):
    """The rank does not scale with the dimension."""
    return make(T, d, r + 1, **how)


def off_the_mean(T):
    """The start lies on the first line."""
    lines = torch.eye(T, dtype=torch.float64) + 0.1
    return continual.line_tasks(lines, lines[0])


def in_a_random_order(T, k):
    return continual.random_orders(T, k, replacement=False, generator=torch.Generator().manual_seed(0))


def without_the_rest(self, v, along):
    """A task of the trap without the coordinates beyond; the last task first."""
    return along * along * np.arange(1, len(along) + 1)


def trap_shuffled(self, *, order=None, repetition=False, steps=None, run=continual.Trap.run):
    """Greedy is not followed."""
    if order is None:
        order = torch.randperm(self.T, generator=torch.Generator().manual_seed(0))
    return run(self, order=order)


def trap_greedy(self, *, order=None, repetition=False, steps=None, run=continual.Trap.run):
    """An order that is given is not followed."""
    return run(self, repetition=repetition, steps=steps)


def trap_a_little_less(self, *, run=continual.Trap.run, **how):
    found = run(self, **how)
    return found._replace(loss=0.9 * found.loss)


def other_planes(K, make=continual.space_trap):
    """Lines and planes of the collection for 4 K."""
    tasks = make(4 * K)
    return continual.Tasks([*tasks.X[: 2 * K - 1], *tasks.X[-2 * K :]], start=tasks.start)


def keeps_all(steps, beta):
    return torch.full((len(steps),), steps.shape[1])


def probe_swapped(pairs, rule, *, run=continual.probe_run, **how):
    return run(pairs, SWAP.get(rule, rule), **{k: v for k, v in how.items() if k != "look"})


def probe_shifted(which, by):
    """One rule's accuracy is off by a constant; "look" is the rule that looks at few samples."""

    def shifted(pairs, rule, *, look=None, run=continual.probe_run, **how):
        accuracy, orders = run(pairs, rule, look=look, **how)
        hit = rule == which or (which == "look" and look is not None)
        return accuracy + by * hit, orders

    return shifted


def times(name, factor):
    return LIBRARY + name, scaled(LIBRARY + name, factor)


LEARN, RUN, PROBE = (LIBRARY + name for name in ("learn", "Trap.run", "probe_run"))
TWO, FEW, ONE_TRAP = {"range(5)": "range(2)"}, {"range(24)": "range(6)"}, {"(30, 60, 120)": "(30,)"}
SETS, ONE_BOX = {"range(60)": "range(12)"}, {"range(3)": "range(1)"}

FAULTS = [
    Fault("C1", "isotropic", LEARN, swapped, TWO),
    Fault("C1", "nearest", LEARN, swapped, TWO),
    Fault("C1", "others", LEARN, swapped, TWO),
    Fault("C2", "level", LIBRARY + "random_tasks", one_rank_more, TWO),
    Fault("C2", "gain", LEARN, swapped, TWO),
    Fault("C2", "gain", LEARN, always_greedy, TWO),
    Fault("C2", "repeat", LEARN, never_again, TWO),
    Fault("C3", "bound", *times("greedy_line_bound", 0.95), SETS),
    Fault("C3", "attained", LIBRARY + "equicorrelated_lines", off_the_mean, far=True),
    Fault("C3", "attained", *times("greedy_line_bound", 1.05)),
    Fault("C3", "in order", LIBRARY + "cyclic_order", in_a_random_order, far=True),
    Fault("C3", "in order", *times("greedy_line_bound", 3)),
    Fault("C4", "bound", LEARN, swapped, SETS, far=True),
    Fault("C4", "bound", *times("best_line_distance", 0.25)),
    Fault("C4", "nearest", LEARN, swapped, far=True),
    Fault("C4", "nearest", *times("best_line_distance", 4)),
    Fault("C5", "order", LIBRARY + "Trap._distances", without_the_rest, ONE_TRAP),
    Fault("C5", "bound", RUN, trap_shuffled, ONE_TRAP),
    Fault("C5", "bound", *times("trap_bound", 1.1), ONE_TRAP),
    Fault("C5", "shuffled", RUN, trap_greedy, ONE_TRAP),
    Fault("C6", "exact", LIBRARY + "space_trap", other_planes, far=True),
    Fault("C6", "exact", *times("space_trap_loss", 1 + 3e-8)),
    Fault("C6", "bound", LEARN, a_little_less),
    Fault("C6", "shuffled", LEARN, always_greedy),
    Fault("C7", "steps", LEARN, never_greedy, FEW),
    Fault("C7", "steps", *times("step_inequality", 2), FEW),
    Fault("C7", "random steps", LEARN, always_greedy, FEW),
    Fault("C7", "bound", LEARN, swapped, FEW),
    Fault("C7", "nearest", LEARN, swapped, far=True),
    Fault("C7", "nearest", *times("greedy_repetition_bound", 2.5)),
    Fault("C8", "hybrid", LIBRARY + "greedy_share", keeps_all),
    Fault("C8", "greedy alone", RUN, trap_a_little_less),
    Fault("C8", "switch", *times("hybrid_threshold", 10.0)),
    Fault("C8", "product", *times("hybrid_threshold", 0.5)),
    Fault("C9", "path", PROBE, probe_swapped, ONE_BOX, far=True),
    Fault("C9", "path", PROBE, probe_shifted("distance", -0.035), ONE_BOX),
    Fault("C9", "nearest", PROBE, probe_swapped, ONE_BOX, far=True),
    Fault("C9", "nearest", PROBE, probe_shifted("nearest", 0.07), ONE_BOX),
    Fault("C10", None, PROBE, probe_shifted("look", -0.02), ONE_BOX),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("greedy-orderings", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("greedy-orderings", FAULTS)


def test_the_algebra_of_the_growth_lemma():
    """Proof of C7 (ii): the two sides differ by z^3/6 + z^4/3, and V grows with z where q <= 2z + z^2."""
    z = torch.linspace(0, 3, 301, dtype=torch.float64)
    left = 4 * (1 + z) ** 2 * (1 + (2 * z + z**2) / 12)
    assert torch.allclose(left - (2 + z) ** 2 * (1 + 7 * z / 6), z**3 / 6 + z**4 / 3, atol=1e-12)
    for q in (0.05, 0.3, 1.0):
        far = z[2 * z + z**2 >= q]
        V = (q + far**2) ** 2 * (1 + far) / ((1 + far) ** 2 + (q + far**2) / 12)
        assert (V.diff() > 0).all()
        assert V[0] >= q**2 / (1 + q / 12)


def test_greedy_takes_the_lines_of_space_first():
    """Proof of C6: lines, alternating, then planes, alternating, for small K too."""
    for K in (2, 3, 10):
        order = continual.learn(continual.space_trap(K), rule="distance").order[0]
        kind = torch.tensor([0] * (K - 1) + [1] * K + [2] * K + [3] * K)[order].tolist()
        assert kind == [1, 0] * (K - 1) + [1] + [2, 3] * K
