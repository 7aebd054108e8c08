"""Random threshold networks: sampling, exact law and guess and check, each against something computed another way."""

import itertools
import math

import numpy as np
import pytest
import torch

from implicitly import interpolators
from implicitly.chance import allowance


@pytest.fixture(scope="module")
def corners():
    return interpolators.cube(3)


def plain_answer(X, parameters, *, offset=0):
    """A net of ReLU units with scales, written out neuron by neuron. parameters: (width, d + 3)."""
    d, total = X.shape[1], offset
    for *w, b, v, s in parameters.tolist():
        total = total + v * s * torch.relu((X * torch.tensor(w)).sum(1) + b)
    assert len(w) == d
    return total > 0


def test_cube_lists_every_corner_once():
    X = interpolators.cube(4)
    assert X.shape == (16, 4) and set(X.unique().tolist()) == {-1, 1}
    assert len(torch.unique(X, dim=0)) == 16


@pytest.mark.parametrize("width", [1, 5])
@pytest.mark.parametrize("offset", [0, -2])
def test_tables_equal_the_network_written_out(corners, width, offset):
    units = interpolators.relu_units(corners, scales=(0, 1))
    drawn = interpolators.sample_nets(units, width, seed=3, count=60)
    tables = interpolators.truth_tables(units, drawn, offset=offset)
    for table, parameters in zip(tables, units.parameters(drawn), strict=True):
        assert torch.equal(table, plain_answer(corners, parameters, offset=offset))


def test_threshold_units_on_six_inputs_have_every_neuron_once():
    units = interpolators.threshold_units(interpolators.cube(6), scales=(1,))
    assert units.settings == 384 == len(units.values)
    ones = units.values.sum(1)
    assert int(ones.min()) > 0 and int(ones.max()) < 64
    setting = 200
    *w, c, s = units.parameters(torch.tensor(setting)).tolist()
    answer = ((interpolators.cube(6) * torch.tensor(w)).sum(1) >= c) * s
    assert torch.equal(units.values[units.row[setting]], answer)


def test_a_net_depends_on_its_number_only(corners):
    units = interpolators.relu_units(corners)
    everything = interpolators.sample_nets(units, 3, seed=5, count=9000)
    assert torch.equal(interpolators.sample_nets(units, 3, seed=5, start=4000, count=300), everything[4000:4300])
    picked = torch.tensor([8999, 0, 4096, 4095])
    assert torch.equal(interpolators.nets_by_index(units, 3, picked, seed=5), everything[picked])
    assert not torch.equal(interpolators.sample_nets(units, 3, seed=6, count=9000), everything)
    assert interpolators.sample_nets(units, 3, seed=5, count=0).shape == (0, 3)


def test_sampling_leaves_the_global_generator_alone(corners):
    before = torch.random.get_rng_state()
    interpolators.sample_nets(interpolators.relu_units(corners), 2, seed=0, count=10)
    assert torch.equal(before, torch.random.get_rng_state())


def test_settings_are_uniform(corners):
    units = interpolators.relu_units(corners)
    drawn = interpolators.sample_nets(units, 4, seed=0, count=50_000).flatten()
    share = torch.bincount(drawn, minlength=units.settings) / 200_000
    p = 1 / units.settings
    assert (share - p).abs().max() <= allowance(p, 200_000, false_alarm=1e-6 / units.settings)


@pytest.mark.parametrize("make", [interpolators.relu_units, interpolators.threshold_units])
@pytest.mark.parametrize("offset", [0, 1])
def test_exact_law_is_brute_force(make, offset):
    units = make(interpolators.cube(2))
    law = interpolators.function_law(units, 2, offset=offset)
    pairs = torch.tensor(list(itertools.product(range(units.settings), repeat=2)))
    words = interpolators.pack_tables(interpolators.truth_tables(units, pairs, offset=offset))
    expected = torch.bincount(words, minlength=16)
    found = torch.zeros(16, dtype=torch.int64)
    found[interpolators.pack_tables(law.tables)] = law.counts
    assert torch.equal(found, expected) and law.total == len(pairs)


def test_exact_law_has_the_symmetries_of_the_cube(corners):
    """Flipping an input flips a weight's sign, and the levels do not care."""
    law = interpolators.function_law(interpolators.relu_units(corners), 3)
    mass = dict(zip(interpolators.pack_tables(law.tables).tolist(), law.counts.tolist(), strict=True))
    flipped = law.tables[:, torch.arange(8) ^ 2]
    assert all(
        mass[w] == n for w, n in zip(interpolators.pack_tables(flipped).tolist(), law.counts.tolist(), strict=True)
    )


def test_sampled_law_is_within_chance_of_the_exact_one(corners):
    units = interpolators.relu_units(corners, scales=(0, 1))
    exact, sampled = interpolators.function_law(units, 3), interpolators.sampled_law(units, 3, guesses=200_000, seed=1)
    met = dict(zip(interpolators.pack_tables(sampled.tables).tolist(), sampled.probabilities.tolist(), strict=True))
    for word, p in zip(interpolators.pack_tables(exact.tables).tolist(), exact.probabilities.tolist(), strict=True):
        assert abs(met.get(word, 0.0) - p) <= allowance(p, 200_000, false_alarm=1e-6 / 256)


def test_bits_of_a_function(corners):
    law = interpolators.function_law(interpolators.relu_units(corners), 1)
    parity = corners.prod(1) == 1
    assert law.bits(parity) == math.inf
    assert law.bits(law.tables[0]) == pytest.approx(math.log2(law.total / int(law.counts[0])))


def test_packing_goes_both_ways():
    tables = torch.rand(5, 62, generator=torch.Generator().manual_seed(0)) < 0.5
    assert torch.equal(interpolators.unpack_tables(interpolators.pack_tables(tables), 62), tables)


def test_guess_and_check_is_the_plain_count():
    X = interpolators.cube(4)
    units, width = interpolators.relu_units(X), 3
    generator = torch.Generator().manual_seed(0)
    samples = torch.randint(16, (3, 20), generator=generator)
    labels = torch.rand(3, 16, generator=generator) < 0.5
    labels[2] = X[:, 0] == 1
    noisy = labels.gather(1, samples)
    noisy[:2] ^= torch.rand(2, 20, generator=generator) < 0.3
    run = interpolators.guess_and_check(
        units, width, labels, samples, guesses=40_000, seed=2, sample_labels=noisy, offset=1
    )
    tables = interpolators.truth_tables(units, interpolators.sample_nets(units, width, seed=2, count=40_000), offset=1)
    for r in range(3):
        length = interpolators.fit_length(tables, samples[r], noisy[r])
        wrong = (tables != labels[r]).sum(1)
        for n in range(21):
            fits = (tables[:, samples[r, :n]] == noisy[r, :n]).all(1)
            assert torch.equal(fits, length >= n)
            assert torch.equal(run.histogram[r, n], torch.bincount(wrong[fits], minlength=17))
        assert run.found[r] == tuple(torch.nonzero(length == 20).flatten()[:8].tolist())
    assert run.fits[2, 20] > 8 and run.fits[0, 20] == 0  # few are left after eight examples, some to the end
    assert torch.equal(run.fits[:, 0], torch.full((3,), 40_000))
    share = run.histogram[0, 3].to(torch.float64) / run.fits[0, 3]
    assert float(run.errors[0, 3]) == pytest.approx(float((share * torch.arange(17) / 16).sum()))


def test_no_fit_is_censored_not_zero():
    X = interpolators.cube(3)
    parity = (X.prod(1) == 1)[None]
    run = interpolators.guess_and_check(
        interpolators.relu_units(X), 1, parity, torch.arange(8)[None], guesses=1000, seed=0
    )
    assert run.fits[0, 8] == 0 and run.bits[0, 8] == math.inf and math.isnan(run.errors[0, 8])


def test_samples_are_nested_and_distinct_when_asked():
    short, long = (interpolators.draw_samples(64, n, seeds=[4, 5]) for n in (10, 50))
    assert torch.equal(short, long[:, :10]) and not torch.equal(long[0], long[1])
    distinct = interpolators.draw_samples(64, 64, seeds=[0], distinct=True)
    assert len(distinct.unique()) == 64


def bad(call, error, *words):
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_errors_name_the_argument(corners):
    units = interpolators.relu_units(corners)
    labels, samples = torch.zeros(8, dtype=torch.bool), torch.zeros(1, 2, dtype=torch.int64)
    guess = lambda **k: interpolators.guess_and_check(  # noqa: E731
        units, 2, **{"labels": labels, "samples": samples, "guesses": 10, "seed": 0} | k
    )
    bad(lambda: interpolators.cube(0), ValueError, "d must be at least 1", "0")
    bad(lambda: interpolators.cube(21), ValueError, "d must be at most 20", "21")
    bad(lambda: interpolators.relu_units(corners.float()), TypeError, "X must be int64", "float32")
    bad(lambda: interpolators.relu_units(corners[0]), ValueError, "X must have shape", "(3,)")
    bad(lambda: interpolators.relu_units(corners, levels=(0, 0)), ValueError, "levels must be distinct")
    bad(
        lambda: interpolators.relu_units(corners, levels=(0, 0.5)), TypeError, "levels[1] must be a whole number", "0.5"
    )
    bad(lambda: interpolators.relu_units(interpolators.cube(12)), ValueError, "settings")
    bad(lambda: interpolators.sample_nets(units, 0, seed=0, count=1), ValueError, "width", "0")
    bad(lambda: interpolators.truth_tables(units, torch.zeros(2, 2)), TypeError, "nets must be int64", "float32")
    bad(lambda: interpolators.function_law(units, 12), ValueError, "exact", "enumeration")
    bad(
        lambda: interpolators.sampled_law(interpolators.threshold_units(interpolators.cube(6)), 2, guesses=1, seed=0),
        ValueError,
        "20 points",
    )
    bad(lambda: interpolators.pack_tables(torch.zeros(1, 63, dtype=torch.bool)), ValueError, "62", "63")
    bad(lambda: interpolators.draw_samples(4, 5, seeds=[0], distinct=True), ValueError, "size must be at most", "5")
    bad(lambda: guess(samples=samples + 8), ValueError, "samples must be at least 0 and at most 7", "8")
    bad(lambda: guess(samples=samples.float()), TypeError, "samples must be int64")
    bad(lambda: guess(labels=labels[:7]), ValueError, "labels must be bool")
    bad(lambda: guess(sample_labels=labels), ValueError, "sample_labels must have shape (1, 2)")
    bad(lambda: guess(offset=2**24), ValueError, "offset", "2**24")
    bad(lambda: guess(guesses=0), ValueError, "guesses", "0")


# -- edges ------------------------------------------------------------------------------------------------------------


def test_an_offset_is_a_whole_number(corners):
    """A fraction meant one thing to one loop, another to the next."""
    units, labels = interpolators.relu_units(corners), torch.zeros(8, dtype=torch.bool)
    drawn, samples = interpolators.sample_nets(units, 2, seed=0, count=3), torch.tensor([[0, 5]])
    for call in (
        lambda offset: interpolators.truth_tables(units, drawn, offset=offset),
        lambda offset: interpolators.function_law(units, 2, offset=offset),
        lambda offset: interpolators.sampled_law(units, 2, guesses=10, seed=0, offset=offset),
        lambda offset: interpolators.guess_and_check(units, 2, labels, samples, guesses=10, seed=0, offset=offset),
    ):
        bad(lambda call=call: call(0.5), TypeError, "offset must be a whole number", "0.5")
        call(-1)


def test_places_do_not_wrap(corners):
    units = interpolators.relu_units(corners)
    bad(lambda: interpolators.truth_tables(units, torch.tensor([[-1]])), ValueError, "nets", "-1 at [0, 0]")
    bad(lambda: units.parameters(torch.tensor([units.settings])), ValueError, "settings", str(units.settings))
    bad(lambda: interpolators.unpack_tables(torch.tensor([-1]), 3), ValueError, "words", "-1")
    bad(lambda: interpolators.unpack_tables(torch.tensor([8]), 3), ValueError, "words must be below 2**points = 8", "8")
    tables, label = torch.ones(2, 8, dtype=torch.bool), torch.ones(1, dtype=torch.bool)
    bad(lambda: interpolators.fit_length(tables, torch.tensor([-1]), label), ValueError, "sample", "-1")
    bad(lambda: interpolators.nets_by_index(units, 2, torch.tensor([-5]), seed=0), ValueError, "indices", "-5")


def test_laws_are_laws():
    tables = interpolators.unpack_tables(torch.tensor([1, 2, 2]), 3)
    counts = torch.tensor([1, 2, 3])
    assert interpolators.FunctionLaw(tables[:2], counts[:2], 3).bits(tables[1]) == pytest.approx(math.log2(1.5))
    bad(lambda: interpolators.FunctionLaw(tables[:2], counts[:2], 4), ValueError, "counts must sum to total = 4", "3")
    bad(lambda: interpolators.FunctionLaw(tables, counts, 6), ValueError, "tables must hold each function once")
    bad(lambda: interpolators.FunctionLaw(tables[:2], counts[:2].float(), 3), TypeError, "counts must be int64")


def test_a_net_without_weights_is_constant():
    """One level, zero: every sum is 0, so the only function is the constant 0, at no cost."""
    units = interpolators.relu_units(torch.tensor([[1], [2]]), levels=(0,))
    law = interpolators.function_law(units, 3)
    assert law.total == 1 and law.bits(torch.tensor([False, False])) == 0 and len(law.tables) == 1
    assert interpolators.function_law(units, 3, offset=1).bits(torch.tensor([True, True])) == 0
    sampled = interpolators.sampled_law(units, 3, guesses=5, seed=0)
    assert torch.equal(sampled.tables, law.tables) and sampled.bits(law.tables[0]) == 0


def test_nothing_to_draw_or_to_fit(corners):
    units = interpolators.relu_units(corners)
    assert interpolators.draw_samples(8, 3, seeds=[]).shape == (0, 3) and interpolators.draw_samples(
        8, 0, seeds=[1]
    ).shape == (1, 0)
    assert interpolators.truth_tables(units, torch.zeros(0, 2, dtype=torch.int64)).shape == (0, 8)
    labels, nothing = torch.zeros(8, dtype=torch.bool), torch.zeros(1, 0, dtype=torch.int64)
    run = interpolators.guess_and_check(units, 2, labels, nothing, guesses=20, seed=0)
    assert run.fits.tolist() == [[20]] and run.bits.tolist() == [[0.0]] and run.found == (tuple(range(8)),)
    bad(
        lambda: interpolators.guess_and_check(units, 2, labels, nothing[:0], guesses=1, seed=0),
        ValueError,
        "samples",
        "none",
    )


def test_numbers_of_numpy_and_large_ones(corners):
    a, b = (interpolators.relu_units(corners, levels=v, scales=(0, 1)) for v in ((-1, 1), np.array([-1, 1])))
    assert torch.equal(a.values, b.values) and a.levels == b.levels
    bad(lambda: interpolators.relu_units(torch.tensor([[2**62]])), ValueError, "X, levels and scales", "2**62")
    bad(lambda: interpolators.threshold_units(torch.tensor([[2**62]])), ValueError, "X, levels and scales", "2**62")
    assert interpolators.threshold_units(torch.tensor([[2**61]])).values.abs().max() == 1
