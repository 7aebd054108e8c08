"""Every check of the chapter tempered-overfitting passes, and fails when a fault is planted in what it rests on."""

import math
from dataclasses import replace

import pytest
import torch
from chapter_cells import Fault, scaled, see_it_fail, without_near_fault

from implicitly import interpolators
from implicitly.interpolators import Layer, ThresholdCircuit

LIBRARY = "implicitly.interpolators."


def without_half(eps):
    """4 eps (1 - eps)."""
    eps = torch.as_tensor(eps, dtype=torch.float64)
    return 4 * eps * (1 - eps)


def half_entropy(eps):
    """Half the entropy in the bound for any noise."""
    return interpolators.bits_to_error(interpolators.binary_entropy(eps) / 2)


def half_the_price(bits, error=interpolators.bits_to_error):
    return error(torch.as_tensor(bits) / 2)


def in_nats(law, target, eps, N, price=interpolators.price_of_distinct_samples):
    """The price in nats as if it were in bits."""
    found = price(law, target, eps, N)
    return replace(found, bits=found.bits * math.log(2))


def positions_only(N, memorizer=interpolators.beta_memorizer):
    """The price of the flips' positions without the price of their number."""
    bits, clean = memorizer(N)
    return bits - math.log2(N + 1), clean


def errs_more(shift):
    def memorizer(N, exact=interpolators.beta_memorizer):
        """A posterior that errs more often than it was told to."""
        return exact(N)[0], (torch.arange(N + 1, dtype=torch.float64) + shift) / (N + 2 * shift)

    return memorizer


def sum_of_both(delta, eps):
    """Errors and flips are not combined by exclusive or."""
    return torch.as_tensor(delta) + torch.as_tensor(eps)


def no_flips(delta, eps):
    """The flips of new labels are forgotten."""
    return torch.as_tensor(delta, dtype=torch.float64) + 0 * torch.as_tensor(eps)


def one_density(N, k, price=interpolators.hash_price):
    """A list of the right density alone, though this one has eight."""
    return N * float(interpolators.binary_entropy(k / N)) - 0.5772 / math.log(2), price(N, k)[1]


def denser(N, k, price=interpolators.hash_price):
    """The densities of the list are off by an eighth."""
    bits, density = price(N, k)
    return bits, density + 1 / 8


def one_filter_more(zeros, ones, table=interpolators.table_bits):
    """One filter plane too many."""
    planes = table(zeros, ones)[1] + 1
    return (planes + 1) * ones + zeros / 2**planes, planes


def no_filter(zeros, ones):
    """One equation for each point."""
    return float(zeros + ones), 0


def one_weight_wrong(X, labels, *, memorizer=interpolators.crossbar_memorizer, **options):
    """One weight of the table is wrong."""
    circuit = memorizer(X, labels, **options)
    layers = circuit.layers
    answers = layers[2](layers[1](layers[0](X[labels][:1])))[0] > 0
    weights = layers[3].weights.clone()
    weights[:, int(answers.nonzero()[0])] ^= 1
    wrong = Layer(weights, layers[3].scale, layers[3].bias)
    return replace(circuit, layers=(*layers[:3], wrong, *layers[4:]))


def counted_thrice(self):
    return 3 * sum(layer.weights.numel() for layer in self.layers)


def either(first, second, xor=interpolators.xor):
    """OR in place of exclusive or: the second neuron of the gadget never objects."""
    circuit = xor(first, second)
    gadget = circuit.layers[-2]
    wrong = Layer(gadget.weights, gadget.scale, gadget.bias + torch.tensor([0, 1]))
    return ThresholdCircuit((*circuit.layers[:-2], wrong, circuit.layers[-1]))


def loud(circuit, extra, *, generator, cut=True, widen=interpolators.widen):
    """The scales of the added units are not cut."""
    return widen(circuit, extra, generator=generator, cut=False)


def dear_width(law, dense=interpolators.dense_law):
    """An added unit must have all its parameters right, not its scale alone."""
    return dense(law) / law.total


def dearer(*data, student=interpolators.teacher_and_memorizer):
    bits, error = student(*data)
    return 1.5 * bits, error


def knows_little(laws, target, samples, flips, errors=interpolators.typical_errors):
    """A rule that knows next to nothing errs on nearly half of the new points, whatever N is."""
    error, bits, chosen = errors(laws, target, samples, flips)
    return 0.48 + 0.02 * (error - 0.48), bits, chosen


def knows_nothing(laws, target, samples, flips, errors=interpolators.typical_errors):
    error, bits, chosen = errors(laws, target, samples, flips)
    return 0 * error + 0.5, bits, chosen


def fewer_examples(law, labels, N, price=interpolators.price_of_iid_samples):
    """Too few examples to learn the noise."""
    return price(law, labels, N // 10)


def cheap(X, labels):
    """A memorizer that does not pay for being benign."""
    return interpolators.crossbar_memorizer(X, labels, generator=torch.Generator().manual_seed(0))


SMALL_CIRCUITS = {"range(10, 17)": "range(10, 12)", "sample(4096,": "sample(256,"}
TO_15 = {"range(10, 17)": "range(10, 16)"}
SIX_INPUTS = {"for d in (6, 8, 10)": "for d in (6, 10)", "(4, 8, 12, 18, 24, 36, 48, 96, 192)": "(12, 48)"}
TWO_SIZES = {"(4, 6, 8, 10, 12)": "(4, 8, 12)", "sets=40": "sets=10"}
FEW_PRICES = {"(0.0, 0.05, 0.15, 0.3)": "(0.05, 0.3)", "(1, 3, 5, 7)": "(3, 5)"}
SMALL_BETA = {"(1, 4, 16, 64, 256, 1024)": "(16, 256)"}


def times(name, factor):
    return LIBRARY + name, scaled(LIBRARY + name, factor)


FAULTS = [
    Fault("C1", "independent flips", LIBRARY + "beta_memorizer", positions_only, SMALL_BETA),
    Fault("C1", "any noise", LIBRARY + "bits_to_error", half_the_price),
    Fault("C2", "distinct points", LIBRARY + "price_of_distinct_samples", in_nats, FEW_PRICES),
    Fault("C2", "sharp", LIBRARY + "price_of_distinct_samples", in_nats, far=True),
    Fault("C2", "sharp", *times("gap", 1 + 1e-11)),
    Fault("C3", "shortest description", LIBRARY + "arbitrary_noise_bound", half_entropy),
    Fault("C3", "shortest description", *times("binary_entropy", math.log(2))),  # in nats
    Fault("C4", "rate", LIBRARY + "beta_memorizer", errs_more(400)),
    Fault("C4", "limit", LIBRARY + "beta_memorizer", errs_more(400), far=True),
    Fault("C4", "limit", LIBRARY + "beta_memorizer", errs_more(20)),
    Fault("C4", "limit", LIBRARY + "noisy_error", sum_of_both, far=True),
    Fault("C4", "shortest description", LIBRARY + "noisy_error", no_flips),
    Fault("C4", "theory of lists", LIBRARY + "hash_price", denser),
    Fault("C4", "control noise", LIBRARY + "price_of_iid_samples", fewer_examples),
    Fault("C4", "control price", LIBRARY + "and_memorizer", cheap),
    Fault("C5", "order", LIBRARY + "independent_noise_error", without_half),
    Fault("C5", "order", *times("binary_entropy", math.log(2))),  # in nats
    Fault("C5", "ends", LIBRARY + "independent_noise_error", without_half, far=True),
    Fault("C5", "ends", *times("binary_entropy", math.log(2)), far=True),
    Fault("C5", "ends", *times("independent_noise_error", 1 + 1e-11)),
    Fault("C6", "list", LIBRARY + "hash_price", one_density),
    Fault("C7", "table", LIBRARY + "table_bits", one_filter_more),
    Fault("C7", "table", LIBRARY + "table_bits", no_filter, far=True),
    Fault("C7", "circuit", LIBRARY + "crossbar_memorizer", one_weight_wrong, SMALL_CIRCUITS),
    Fault("C7", "size", LIBRARY + "ThresholdCircuit.weights", property(counted_thrice), TO_15),
    Fault("C8", "gadget", LIBRARY + "xor", either),
    Fault("C8", "gadget", LIBRARY + "widen", loud),
    Fault("C9", "price of width", LIBRARY + "dense_law", dear_width),
    Fault("C10", "price", LIBRARY + "teacher_and_memorizer", dearer, SIX_INPUTS),
    Fault("C10", "transition", *times("teacher_and_memorizer", 0.2), SIX_INPUTS),
    Fault("C11", "between", LIBRARY + "typical_errors", knows_nothing, TWO_SIZES, far=True),
    Fault("C11", "between", LIBRARY + "typical_errors", knows_little, TWO_SIZES),
    Fault("C11", "examples", LIBRARY + "typical_errors", knows_nothing, TWO_SIZES, far=True),
    Fault("C11", "examples", LIBRARY + "typical_errors", knows_little, TWO_SIZES),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("tempered-overfitting", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("tempered-overfitting", FAULTS)
