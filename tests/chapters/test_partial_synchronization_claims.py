"""Every check of the chapter partial-synchronization passes, and fails when a fault is planted in what it rests on."""

import pytest
import torch
from chapter_cells import Fault, see_it_fail, without_near_fault

from implicitly import tensor_parallel as tp
from implicitly.tensor_parallel import streams

LIBRARY = "implicitly.tensor_parallel."
STORED, SUM = LIBRARY + "stored_runs", LIBRARY + "OneProcess.partial_sum"
GRADIENTS, RANKS = LIBRARY + "gradients", LIBRARY + "run_ranks"


def one_element_more(layers, places, width, shared, count=tp.step_elements):
    return count(layers, places, width, shared) + 1


def forgets_the_entry(layers, places, width, shared, count=tp.step_elements):
    return count(layers, places, width, shared) - width * places


def one_message_more(job, ranks, run=tp.run_ranks, **given):
    """As if a collective had been called once more in each step."""
    found = run(job, ranks, **given)
    return [[step | {"calls": None if step["calls"] is None else step["calls"] + 1} for step in one] for one in found]


def with_rule(rule):
    """The backward pass follows another rule, whatever is asked for."""

    def fault(wires, *, gradients=tp.gradients, **given):
        return gradients(wires, **given | {"rule": rule})

    fault.__name__ = f"always {rule}"
    return fault


def instead_of(asked, other):
    """Another rule in place of one."""

    def fault(wires, *, rule="adjoint", gradients=tp.gradients, **given):
        return gradients(wires, rule=other if rule == asked else rule, **given)

    fault.__name__ = f"{other} for {asked}"
    return fault


def one_ranks_norms(wires, *, gradients=tp.gradients, **given):
    """The norms' gradients are not added up: each rank keeps its own."""
    found = gradients(wires, **given)
    return found | {"norms": {n: found["gradients"][n] for n in found["norms"]}}


def norms_times(factor):
    def fault(wires, *, gradients=tp.gradients, **given):
        found = gradients(wires, **given)
        return found | {"norms": {n: factor * g for n, g in found["norms"].items()}}

    fault.__name__ = f"norms times {factor}"
    return fault


def gradients_times(factor):
    def fault(wires, *, gradients=tp.gradients, **given):
        found = gradients(wires, **given)
        return found | {"gradients": {n: factor * g for n, g in found["gradients"].items()}}

    fault.__name__ = f"gradients times {factor}"
    return fault


def blended(share):
    """Another rule's gradients are the right ones plus a share of what is wrong with them."""

    def fault(wires, *, rule="adjoint", gradients=tp.gradients, **given):
        right, wrong = gradients(wires, **given), gradients(wires, rule=rule, **given)
        other = wrong["gradients"]
        return right | {"gradients": {n: g + share * (other[n] - g) for n, g in right["gradients"].items()}}

    fault.__name__ = f"only {share} of the error"
    return fault


def other_rules_times(factor):
    def fault(wires, *, rule="adjoint", gradients=tp.gradients, **given):
        found = gradients(wires, rule=rule, **given)
        by = 1 if rule == "adjoint" else factor
        return found | {"gradients": {n: by * g for n, g in found["gradients"].items()}}

    fault.__name__ = f"other rules times {factor}"
    return fault


def norms_nearly_alike(wires, *, gradients=tp.gradients, **given):
    found = gradients(wires, **given)
    return found | {"gradients": found["gradients"] | {n: 0.95 * g / wires.ranks for n, g in found["norms"].items()}}


def dear_gradients(elements, ranks, bytes_each, count=tp.ring_bytes):
    return count(elements, ranks, bytes_each) * (1 + 1e-8 * (bytes_each > 4))


def norms_all_alike(wires, *, gradients=tp.gradients, **given):
    """Every rank has the sum: nothing is left to forget."""
    found = gradients(wires, **given)
    return found | {"gradients": found["gradients"] | {n: g / wires.ranks for n, g in found["norms"].items()}}


def leaky(self, z, shared, scale=1.0, partial_sum=streams.OneProcess.partial_sum):
    """A billionth of a private channel comes from the next stream: the sum is no longer its own adjoint."""
    found = partial_sum(self, z, shared, scale)
    return found + 1e-11 * z.roll(1, 0).cumsum(-1)


def local_backward(self, z, shared, scale=1.0, partial_sum=streams.OneProcess.partial_sum):
    """Forward right, backward without a sum."""
    through = torch.cat([z[..., :shared], scale * z[..., shared:]], -1)
    return through + (partial_sum(self, z, shared, scale) - through).detach()


def scaled_by(factor):
    def fault(self, z, shared, scale=1.0, partial_sum=streams.OneProcess.partial_sum):
        return partial_sum(self, z, shared, factor * scale)

    fault.__name__ = f"scale times {factor}"
    return fault


def loss_plus(amount):
    def fault(weights, shape, tokens, dense=tp.dense_loss):
        return dense(weights, shape, tokens) * (1 + amount)

    fault.__name__ = f"loss times 1 + {amount}"
    return fault


def loss_here_plus(amount):
    def fault(wires, *, gradients=tp.gradients, **given):
        found = gradients(wires, **given)
        return found | {"loss": found["loss"] + amount}

    fault.__name__ = f"loss plus {amount}"
    return fault


def stored_with(group, key, change):
    """The stored results, one row changed."""

    def fault(stored=tp.stored_runs):
        found = stored()
        rows = dict(getattr(found, group))
        return found._replace(**{group: rows | {key: change(rows[key])}})

    fault.__name__ = f"stored {group} {key}"
    return fault


def one_seed_worse(rows):
    """One seed loses most of what it had gained."""
    return torch.cat([rows[:2], rows[2:3] + 0.013, rows[3:]])


def hurries(wires, shared, seed, train=tp.train, **given):
    return train(wires, shared, seed, rate=3.1e-3, **given)


def bent_times(stored=tp.stored_runs):
    """Every other sum takes half as long again."""
    found = stored()
    seconds = found.loopback[2].clone()
    seconds[1::2] *= 1.5
    return found._replace(loopback={2: seconds})


def free_of_charge(self, places, shared, training=tp.LayerTime.training):
    """Time falls faster than the bytes."""
    return training(self, places, shared) * (shared / 4096) ** 0.9


def stops_early(curvature, target, rate, local, rounds, descent=tp.local_descent, **given):
    return descent(curvature, target, rate, local, rounds // 3, **given)


def forgets_local_steps(curvature, target, rate, local, limit=tp.local_limit):
    return limit(curvature, target, rate, 1 + local // 8)


def nearly_the_limit(curvature, target, rate, local, limit=tp.local_limit):
    return limit(curvature, target, rate, local) * (1 + 3e-9)


def nearly_the_minimizer(curvature, target, minimizer=tp.average_minimizer):
    return minimizer(curvature, target) * (1 + 3e-9)


def always_the_minimizer(curvature, target, rate, local, limit=tp.local_limit, minimizer=tp.average_minimizer):
    best = minimizer(curvature, target)
    return best + 0.1 * (limit(curvature, target, rate, local) - best)


FAULTS = [
    Fault("C1", "counted", LIBRARY + "step_elements", one_element_more),
    Fault("C1", "counted", LIBRARY + "step_elements", forgets_the_entry),
    Fault("C1", "torch", LIBRARY + "step_elements", one_element_more),
    Fault("C1", "messages", RANKS, one_message_more),
    Fault("C2", "adjoint", SUM, leaky),
    Fault("C2", "processes", SUM, local_backward, far=True),
    Fault("C2", "processes", GRADIENTS, gradients_times(1 + 1e-11)),
    Fault("C2", "processes", GRADIENTS, with_rule("pair"), far=True),
    Fault("C2", "loss", GRADIENTS, loss_here_plus(1e-11)),
    Fault("C3", "all shared", SUM, local_backward, far=True),
    Fault("C3", "all shared", GRADIENTS, one_ranks_norms, far=True),
    Fault("C3", "all shared", LIBRARY + "dense_loss", loss_plus(1e-11)),
    Fault("C3", "one rank", LIBRARY + "dense_loss", loss_plus(1e-11)),
    Fault("C4", "inside", GRADIENTS, instead_of("pair", "adjoint"), far=True),
    Fault("C4", "inside", GRADIENTS, instead_of("local", "before norm"), far=True),
    Fault("C4", "inside", GRADIENTS, blended(0.03)),
    Fault("C4", "hidden", GRADIENTS, other_rules_times(1 + 1e-11)),
    Fault("C4", "seen at the other end", GRADIENTS, blended(0.03)),
    Fault("C4", "before norm", GRADIENTS, other_rules_times(1 + 1e-11)),
    Fault("C5", "forgotten", GRADIENTS, norms_nearly_alike),
    Fault("C5", "pair", GRADIENTS, other_rules_times(1 + 1e-11)),
    Fault("C4", "hidden", GRADIENTS, instead_of("pair", "local"), far=True),
    Fault("C4", "seen at the other end", GRADIENTS, instead_of("pair", "adjoint"), far=True),
    Fault("C4", "before norm", GRADIENTS, instead_of("before norm", "pair"), far=True),
    Fault("C5", "sum", GRADIENTS, one_ranks_norms, far=True),
    Fault("C5", "sum", GRADIENTS, norms_times(1 + 1e-11)),
    Fault("C5", "forgotten", GRADIENTS, norms_all_alike, far=True),
    Fault("C5", "pair", GRADIENTS, instead_of("pair", "adjoint"), far=True),
    Fault("C6", "with", SUM, scaled_by(0.85)),
    Fault("C6", "with", SUM, scaled_by(1.18)),
    Fault("C7", "between", STORED, stored_with("test", (4, 0.25, True), one_seed_worse)),
    Fault("C7", "nothing", STORED, stored_with("test", (4, 0.0, True), lambda rows: rows - 0.1)),
    Fault("C7", "nothing or all", STORED, stored_with("test", (4, 0.0, True), lambda rows: rows - 0.05)),
    Fault("C7", "repeated", LIBRARY + "train", hurries),
    Fault("C8", "line", STORED, bent_times),
    Fault("C8", "break even", LIBRARY + "ring_bytes", dear_gradients),
    Fault("C8", "less than 1 over p", LIBRARY + "LayerTime.training", free_of_charge),
    Fault("C9", "all summed", STORED, stored_with("all_summed", (4, 0.75), lambda rows: rows - 0.4)),
    Fault("C9", "half as many", STORED, stored_with("other_ranks", (4, 0.75), lambda rows: rows - 0.25)),
    Fault("C10", "rest", LIBRARY + "local_limit", nearly_the_limit),
    Fault("C10", "rest", LIBRARY + "local_limit", forgets_local_steps, far=True),
    Fault("C10", "equal curvature", LIBRARY + "average_minimizer", nearly_the_minimizer),
    Fault("C10", "different curvatures", LIBRARY + "local_limit", always_the_minimizer),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("partial-synchronization", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("partial-synchronization", FAULTS)
