"""Every check of the chapter low-bit-accumulators passes, and fails when a fault is planted in what it rests on."""

from dataclasses import replace

import pytest
import torch
from chapter_cells import Fault, scaled, see_it_fail, without_near_fault

from implicitly import low_precision

LIBRARY = "implicitly.low_precision."
SHORT = {"epochs=6, rate=3e-3, gradient=rule": "epochs=4, rate=3e-3, gradient=rule"}


def times(name, factor):
    return LIBRARY + name, scaled(LIBRARY + name, factor)


def in_another(name, where=1, **change):
    """A function of the library in another accumulator: fields of it, and what they become."""
    original = getattr(low_precision, name)

    def fault(*args, **given):
        args = list(args)
        old = args[where]
        args[where] = replace(old, **{field: new(old) for field, new in change.items()})
        return original(*args, **given)

    fault.__name__ = f"{name} with another {' and '.join(change)}"
    return LIBRARY + name, fault


def no_limit(mantissa, chunk=1, largest=float("inf"), stagnation=low_precision.stagnation):
    """The largest number is forgotten."""
    return stagnation(mantissa, chunk)


def hardly_lossy(mantissa, mean, terms, support=1.0, growth=low_precision.growth):
    """A twentieth of the loss."""
    return 0.95 * mean * terms + 0.05 * growth(mantissa, mean, terms, support)


def limit_for_all(mantissa):
    """The formula for many bits, also for few."""
    return low_precision.mean_loss_limit(mantissa)


def one_up(bias_product, chunk, sum_bias=low_precision.sum_bias):
    return sum_bias(bias_product, chunk) + 1


def blunt(self, x, accumulator=None, logits=low_precision.Networks.logits):
    """Accumulators have less than half of their mantissa."""
    if accumulator is not None:
        accumulator = replace(accumulator, mantissa=max(1, accumulator.mantissa - 4))
    return logits(self, x, accumulator)


def always_immediate(x, w, accumulator, *, gradient="identity", matmul=low_precision.matmul):
    return matmul(x, w, accumulator, gradient=gradient.replace("recursive", "immediate"))


def mostly_recursive(x, w, accumulator, *, gradient="identity", matmul=low_precision.matmul):
    """The immediate rule for ten of the sums."""
    other = gradient.replace("immediate-overflow", "recursive-overflow")
    return torch.cat([matmul(x[:10], w[:10], accumulator, gradient=gradient),
                      matmul(x[10:], w[10:], accumulator, gradient=other)])  # fmt: skip


def straight_through(networks, data, accumulator=None, *, gradient="identity", train=low_precision.train, **given):
    """The rule for gradients is forgotten."""
    return train(networks, data, accumulator, **given)


def other_results(**change):
    """Stored results that are others."""
    original = low_precision.stored_digits

    def fault():
        found = original()
        return found._replace(**{name: new(getattr(found, name).clone()) for name, new in change.items()})

    fault.__name__ = f"other {' and '.join(change)}"
    return LIBRARY + "stored_digits", fault


def plus(place, by):
    def change(values):
        values[place] += by
        return values

    return change


FAULTS = [
    Fault("C1", "ones stop", *times("stagnation", 2)),
    Fault("C1", "ones stop", *in_another("add_up", chunk=lambda a: 1)),
    Fault("C1", "exact until", *in_another("trace", where=2, mantissa=lambda a: a.mantissa - 1)),
    Fault("C1", "at the largest", LIBRARY + "stagnation", no_limit),
    Fault("C1", "fractions", *in_another("add_up", mantissa=lambda a: a.mantissa + 1)),
    Fault("C1", "fractions in chunks", *in_another("add_up", chunk=lambda a: 2048)),
    Fault("C2", "growth", *in_another("add_up", mantissa=lambda a: a.mantissa + 1)),
    Fault("C2", "growth", *times("growth", 1.04)),
    Fault("C2", "exact sums miss it", LIBRARY + "growth", hardly_lossy),
    Fault("C3", "kept", *times("least_kept", 1.3)),
    Fault("C3", "nearly attained", *times("least_kept", 0.9)),
    Fault("C3", "one cut", LIBRARY + "mean_loss", limit_for_all),
    Fault("C3", "best chunk", *times("best_chunk", 2)),
    Fault("C4", "opposite", *in_another("trace", where=2, rounding=lambda a: "nearest")),
    Fault("C4", "same", *in_another("trace", where=2, mantissa=lambda a: 6)),
    Fault("C4", "leak", *in_another("add_up", rounding=lambda a: "nearest")),
    Fault("C4", "to nearest", *in_another("add_up", rounding=lambda a: "truncate")),
    Fault("C5", "typical", LIBRARY + "sum_bias", one_up),
    Fault("C5", "no guarantee", *in_another("add_up", bias_sum=lambda a: a.bias_sum - 2)),
    Fault("C5", "the total", *in_another("count_events", where=2, bias_sum=lambda a: a.bias_sum - 2)),
    Fault("C6", "lost at zero", *in_another("add_up", bias_sum=lambda a: a.bias_product)),
    Fault("C6", "one window", *in_another("add_up", bias_sum=lambda a: a.bias_sum - 2)),
    Fault("C7", "twelve bits", LIBRARY + "Networks.logits", blunt),
    Fault("C7", "nearly gone", LIBRARY + "Networks.logits", blunt),
    Fault("C7", "not nothing", *times("Networks.logit_error", 0.1)),
    Fault("C7", "underflow", *times("Networks.accuracy", 0.3)),
    Fault("C8", "helps", *other_results(fine_tuned=lambda v: 0.7 * v)),
    Fault("C8", "regains most", *other_results(fine_tuned=plus((slice(1, None), 0), -0.1))),
    Fault("C8", "two stages", *other_results(fine_tuned=plus((slice(None), 1), 0.05))),
    Fault("C9", "recursive", LIBRARY + "matmul", always_immediate),
    Fault("C9", "immediate", LIBRARY + "matmul", mostly_recursive),
    Fault("C10", "live", LIBRARY + "train", straight_through, smaller=SHORT, far=True),
    Fault("C10", "live", *times("Networks.accuracy", 0.15), smaller=SHORT),
    Fault("C10", "immediate", *other_results(gradients=lambda v: 0.1 * v)),
    Fault("C10", "rare overflow", *other_results(gradients=plus((0, 2), 0.05))),
    Fault("C10", "never starts", *other_results(staged=plus((0, 1, 0), 0.2))),
    Fault("C10", "who starts", *other_results(staged=plus((1, 1, 0), 0.6))),
    Fault("C10", "straight-through starts", *other_results(staged=plus((0, 0, 0), -0.2))),
    Fault("C10", "two stages", *other_results(staged=plus((0, 1, 1), -0.2))),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("low-bit-accumulators", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("low-bit-accumulators", FAULTS)
