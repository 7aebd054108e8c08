"""Threshold circuits are right where they must be, and as large as they say."""

import itertools
import math

import numpy as np
import pytest
import torch

from implicitly import interpolators as tc
from implicitly.interpolators import crossbars


def points(N, d, seed):
    g = torch.Generator().manual_seed(seed)
    return (torch.randperm(2**d, generator=g)[:N, None] >> torch.arange(d) & 1).bool()


def crossbar(X, y, generator, **options):
    return tc.crossbar_memorizer(X, y, generator=generator, **options)


def evaluate(circuit, x):
    """One neuron at a time, in whole numbers: an independent reading of the definition."""
    a = [int(v) for v in x]
    for layer in circuit.layers:
        W, s, b = layer.weights.tolist(), layer.scale.tolist(), layer.bias.tolist()
        a = [int(s[i] * sum(w * v for w, v in zip(W[i], a, strict=True)) + b[i] > 0) for i in range(len(W))]
    return a[0]


@pytest.mark.parametrize(
    ("N", "d", "share", "seed"),
    [(1, 3, 1.0, 0), (8, 3, 0.4, 1), (64, 6, 0.5, 2), (300, 12, 0.1, 3), (1000, 40, 0.02, 4), (2000, 16, 0.9, 5)],
)
def test_crossbar_is_right_on_every_point(N, d, share, seed):
    g = torch.Generator().manual_seed(seed)
    X = points(N, d, seed) if d <= 20 else torch.randint(0, 2, (N, d), generator=g).bool()
    y = torch.rand(N, generator=g) < share
    circuit = tc.crossbar_memorizer(X, y, generator=g)
    assert torch.equal(circuit(X), y)


@pytest.mark.parametrize("constant", [False, True])
def test_constant_labels(constant):
    X = points(50, 8, 0)
    y = torch.full((50,), constant)
    g = torch.Generator().manual_seed(0)
    assert torch.equal(tc.crossbar_memorizer(X, y, generator=g)(X), y)
    assert torch.equal(tc.and_memorizer(X, y)(X), y)


def test_fast_evaluation_is_the_definition():
    X, g = points(60, 7, 1), torch.Generator().manual_seed(1)
    y = torch.rand(60, generator=g) < 0.3
    circuit = tc.xor(
        tc.neuron(7, [0, 2, 4], 2), tc.crossbar_memorizer(X, y, generator=g)
    )
    other = points(128, 7, 2)[::9]
    assert circuit(other).tolist() == [bool(evaluate(circuit, x)) for x in other]


def test_weights_are_binary_and_scales_ternary():
    X, g = points(500, 10, 3), torch.Generator().manual_seed(3)
    circuit = tc.crossbar_memorizer(X, torch.rand(500, generator=g) < 0.2, generator=g)
    for layer, inputs in zip(circuit.layers, circuit.widths, strict=False):
        assert set(layer.weights.unique().tolist()) <= {0, 1}
        assert set(layer.scale.tolist()) <= {-1, 0, 1}
        assert layer.weights.shape == (layer.scale.numel(), inputs) and layer.bias.dtype == torch.int64
    widths = circuit.widths
    assert circuit.weights == sum(a * b for a, b in itertools.pairwise(widths))


def test_structured_points():
    """All points of small weight: far from random, and still solved."""
    X = torch.tensor([x for x in itertools.product((0, 1), repeat=11) if sum(x) <= 3]).bool()
    g = torch.Generator().manual_seed(4)
    y = torch.rand(len(X), generator=g) < 0.25
    assert torch.equal(tc.crossbar_memorizer(X, y, generator=g)(X), y)


def test_and_memorizer_is_one_on_the_ones_alone():
    X = points(40, 6, 5)
    y = torch.arange(40) % 5 == 0
    circuit = tc.and_memorizer(X, y)
    everything = (torch.arange(64)[:, None] >> torch.arange(6) & 1).bool()
    ones = {tuple(x) for x in X[y].tolist()}
    assert circuit(everything).tolist() == [tuple(x) in ones for x in everything.tolist()]
    assert circuit.weights == 2 * 6 * (6 + int(y.sum())) + int(y.sum())


@pytest.mark.parametrize("scale", [-1, 1])
def test_neuron(scale):
    X = points(32, 5, 0)
    expected = X[:, [1, 3, 4]].sum(1) >= 2
    assert torch.equal(tc.neuron(5, [1, 3, 4], 2, scale=scale)(X), expected if scale == 1 else ~expected)


def test_xor_pads_either_side():
    X = points(200, 8, 6)
    y = torch.arange(200) % 7 == 0
    short, long = tc.neuron(8, [0, 1, 2], 2), tc.and_memorizer(X, y)
    for a, b in ((short, long), (long, short), (long, long)):
        assert torch.equal(tc.xor(a, b)(X), a(X) ^ b(X))


def test_filter_lets_few_through():
    """Off the listed points a crossbar answers 1 with probability 2**-(r + 1)."""
    X, g = points(4000, 18, 7), torch.Generator().manual_seed(7)
    y = torch.rand(4000, generator=g) < 0.1
    circuit = tc.crossbar_memorizer(X, y, generator=g)
    r = tc.table_bits(int((~y).sum()), int(y.sum()))[1]
    new = torch.randint(0, 2, (40_000, 18), generator=g).bool()
    assert float(circuit(new).double().mean()) == pytest.approx(2.0 ** -(r + 1), abs=0.012)


def test_solver_against_counting():
    rng = np.random.default_rng(0)
    for _ in range(30):
        equations = rng.integers(0, 8, size=(rng.integers(1, 7), 3))
        rhs = rng.integers(0, 2, size=(len(equations), 2))
        z = crossbars._solve(equations, rhs, 8)
        table = np.array(list(itertools.product((0, 1), repeat=8)))
        for plane in range(2):
            if z is not None:
                assert (z[equations, plane].sum(1) % 2 == rhs[:, plane]).all()
        if z is None:
            assert not all((table[:, equations].sum(2) % 2 == rhs[:, p]).all(1).any() for p in range(2))


@pytest.mark.parametrize("leaves", [1, 2, 3, 5, 8, 13])
def test_leaves_partition_the_strings(leaves):
    bits = max(1, math.ceil(math.log2(leaves)))
    values = np.arange(2**bits)
    leaf = crossbars._leaf(values, leaves, bits)
    if leaves > 1:
        assert set(leaf.tolist()) == set(range(leaves))
    for v, mine in zip(values.tolist(), leaf.tolist(), strict=True):
        string = [v >> (bits - 1 - j) & 1 for j in range(bits)]
        for k in range(leaves):
            match = all(string[j] == wanted for j, wanted in crossbars._leaf_literals(k, leaves, bits))
            assert match == (k == mine) or leaves == 1


def test_table_bits():
    assert tc.table_bits(900, 100) == (512.5, 3)
    assert tc.table_bits(500, 500)[0] == 1000
    assert tc.table_bits(10, 0) == (0.0, 0)
    assert tc.table_bits(10**6, 1)[0] <= 10**6 * float(tc.binary_entropy(1 / (10**6 + 1))) + 0.56


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda g: crossbar(torch.zeros(2, 3).bool(), torch.zeros(2).bool(), g), ValueError, "distinct points"),
        (lambda g: crossbar(points(4, 3, 0), torch.zeros(3).bool(), g), ValueError, r"labels must have shape \(4,\)"),
        (lambda g: crossbar(points(4, 3, 0).float(), torch.zeros(4).bool(), g), TypeError, "X must be bool"),
        (lambda g: crossbar(points(40, 6, 0), torch.arange(40) < 9, g, rows=3), ValueError, "power of two"),
        (lambda g: crossbar(points(40, 6, 0), torch.arange(40) < 9, g, tries=0), RuntimeError, "found in 0 tries"),
        (lambda g: tc.neuron(3, [5], 1), ValueError, r"ones\[0\] must be at most 2, found 5"),
        (lambda g: tc.neuron(3, [-1], 1), ValueError, r"ones\[0\] must be at least 0, found -1"),
        (lambda g: tc.neuron(3, [1, 1], 1), ValueError, "ones must be distinct"),
        (lambda g: tc.neuron(3, [1], 5), ValueError, "at_least must be at most 4, found 5"),
        (lambda g: tc.neuron(3, [1], 1, scale=0), ValueError, "scale must be one of -1, 1, found 0"),
        (lambda g: crossbar(points(4, 3, 0), torch.zeros(4).bool(), g, rows=8), ValueError, "rows must be at most 4"),
        (lambda g: crossbar(points(4, 3, 0), torch.zeros(4).bool(), None), TypeError, "generator must be a torch.Gen"),
        (lambda g: layer(weights=[[2]]), ValueError, "weights must be at most 1, found 2"),
        (lambda g: layer(scale=[2]), ValueError, "scale must be at least -1 and at most 1, found 2"),
        (lambda g: layer(bias=[2**24 + 1]), ValueError, "bias must be at least"),
        (lambda g: layer(bias=[0, 0]), ValueError, r"bias must have shape \(1,\), found \(2,\)"),
        (lambda g: layer(weights=[[]]), ValueError, "at least one neuron and one input"),
        (lambda g: tc.ThresholdCircuit(()), TypeError, "layers must be a tuple of at least one Layer"),
        (lambda g: tc.ThresholdCircuit((layer(), layer(weights=[[1, 0]]))), ValueError, "must read the 1 units"),
        (lambda g: tc.widen(tc.neuron(3, [0], 1), 0, generator=g), ValueError, "extra must be at least 1, found 0"),
        (lambda g: tc.xor(tc.neuron(3, [0], 1), tc.neuron(4, [0], 1)), ValueError, "same inputs, found 3 and 4"),
        (lambda g: tc.table_bits(3, 4), ValueError, "zeros must be at least ones"),
        (lambda g: tc.neuron(3, [0], 1)(torch.zeros(2, 4).bool()), ValueError, r"shape \(points, 3\)"),
    ],
)  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.Generator().manual_seed(0))


def layer(weights=((1,),), scale=(1,), bias=(0,)):
    return tc.Layer(torch.tensor(weights, dtype=torch.uint8), torch.tensor(scale), torch.tensor(bias))


def test_neurons_that_always_or_never_fire():
    X = points(8, 3, 0)
    for ones in ([0, 2], [], np.array([0, 1, 2])):
        for scale in (1, -1):
            assert (tc.neuron(3, ones, 0, scale=scale)(X) == (scale == 1)).all()
            assert (tc.neuron(3, ones, 4, scale=scale)(X) == (scale == -1)).all()


@pytest.mark.parametrize("labels", [[0], [1], [0, 1], [1, 1]])
def test_one_input(labels):
    X, y = torch.tensor([[True], [False]])[: len(labels)], torch.tensor(labels).bool()
    for circuit in (tc.and_memorizer(X, y), crossbar(X, y, torch.Generator().manual_seed(0), taps=9)):
        assert torch.equal(circuit(X), y)


def test_largest_biases_are_exact():
    """2**24 is the last whole number that float32 holds with all its neighbours."""
    X = torch.tensor([[False], [True]])
    assert layer(bias=[-(2**24)])(X).tolist() == [[False], [False]]
    assert layer(scale=[-1], bias=[2**24])(X).tolist() == [[True], [True]]


def test_tables_of_almost_nothing():
    assert tc.table_bits(0, 0) == (0.0, 0) and tc.table_bits(1, 1) == (2.0, 0)
    assert tc.table_bits(2**53, 1) == (55.0, 52)  # r + 1 + 2**(53 - r) is 55 at r = 52 and at 53


def test_empty_batch_and_reproducible():
    X = points(100, 9, 8)
    y = torch.arange(100) % 9 == 0
    a, b = (tc.crossbar_memorizer(X, y, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert all(torch.equal(p.weights, q.weights) for p, q in zip(a.layers, b.layers, strict=True))
    assert a(X[:0]).shape == (0,)
