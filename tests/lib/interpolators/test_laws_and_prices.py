"""Laws of networks, prices of samples, rules: against brute force, and what they refuse."""

import itertools
import math

import numpy as np
import pytest
import torch

from implicitly import interpolators
from implicitly.interpolators import (
    cube,
    draw_samples,
    function_law,
    pack_tables,
    sample_nets,
    threshold_units,
    truth_tables,
)


@pytest.fixture(scope="module")
def law3():
    return interpolators.dense_law(function_law(threshold_units(cube(3)), 3))


def test_dense_law_sums_to_one_and_agrees_with_draws(law3):
    assert float(law3.sum()) == pytest.approx(1.0)
    units = threshold_units(cube(3))
    nets = truth_tables(units, sample_nets(units, 3, seed=0, count=200_000))
    counts = torch.bincount(pack_tables(nets), minlength=256) / 200_000
    assert float((counts - law3).abs().max()) < 5 * float(law3.max().sqrt()) / 200_000**0.5


def test_xor_law_against_all_pairs():
    g = torch.Generator().manual_seed(1)
    a, b = (torch.rand(2, 16, generator=g, dtype=torch.float64) * (torch.rand(2, 16, generator=g) < 0.6)).unbind()
    a, b = a / a.sum(), b / b.sum()
    direct = torch.zeros(16, dtype=torch.float64)
    for i, j in itertools.product(range(16), repeat=2):
        direct[i ^ j] += a[i] * b[j]
    assert torch.allclose(interpolators.xor_law(a, b), direct, atol=1e-14)
    with pytest.raises(ValueError, match=r"second must have shape \(16,\), found \(8,\)"):
        interpolators.xor_law(a, b[:8])


def brute_distinct(law, target, eps, N):
    """E[C] and E[off-sample clean error] by listing ordered samples, flips and tables."""
    P = int(math.log2(law.numel()))
    bits = error = 0.0
    samples = list(itertools.permutations(range(P), N))
    for points in samples:
        for flips in itertools.product((0, 1), repeat=N):
            weight = math.prod(eps if f else 1 - eps for f in flips) / len(samples)
            mass = wrong = 0.0
            for table in range(law.numel()):
                errs = [(table ^ target) >> p & 1 for p in range(P)]
                if all(errs[p] == f for p, f in zip(points, flips, strict=True)):
                    mass += float(law[table])
                    wrong += float(law[table]) * sum(e for p, e in enumerate(errs) if p not in points) / (P - N)
            if weight:
                bits -= weight * math.log2(mass)
                error += weight * wrong / mass
    return bits, error


@pytest.mark.parametrize(("eps", "N"), [(0.2, 2), (0.0, 1), (0.35, 3)])
def test_price_of_distinct_samples_against_brute_force(eps, N):
    g = torch.Generator().manual_seed(2)
    law = torch.rand(16, generator=g, dtype=torch.float64) ** 3
    law /= law.sum()
    price = interpolators.price_of_distinct_samples(law, 5, eps, N)
    bits, error = brute_distinct(law, 5, eps, N)
    assert price.bits == pytest.approx(bits)
    assert price.clean[-1] == pytest.approx(error)
    assert price.noisy == pytest.approx(eps + (1 - 2 * eps) * error)
    assert len(price.clean) == N + 1


def test_price_is_infinite_without_an_interpolator():
    law = torch.zeros(16, dtype=torch.float64)
    law[5] = 1.0
    assert interpolators.price_of_distinct_samples(law, 5, 0.1, 2).bits == math.inf
    assert interpolators.price_of_distinct_samples(law, 5, 0.0, 2).bits == 0.0
    assert interpolators.price_of_iid_samples(law, 4, 3).bits == math.inf


@pytest.mark.parametrize("N", [1, 2, 4])
def test_price_of_iid_samples_against_all_sequences(N):
    g = torch.Generator().manual_seed(3)
    law = torch.rand(8, generator=g, dtype=torch.float64)
    law /= law.sum()
    labels, tables = 6, torch.arange(8)
    bits = error = 0.0
    for points in itertools.product(range(3), repeat=N):
        fits = torch.ones(8, dtype=torch.bool)
        for p in points:
            fits &= (tables >> p & 1) == (labels >> p & 1)
        wrong = sum(((tables ^ labels) >> p & 1).double() for p in range(3)) / 3
        bits -= math.log2(law[fits].sum()) / 3**N
        error += float((law * wrong)[fits].sum() / law[fits].sum()) / 3**N
    price = interpolators.price_of_iid_samples(law, labels, N)
    assert (price.bits, price.noisy) == pytest.approx((bits, error))


def test_minimal_rule_prefers_the_narrowest(law3):
    units = threshold_units(cube(3))
    laws = [interpolators.dense_law(function_law(units, h)) for h in (1, 2, 3)]
    minimal = interpolators.minimal_law(laws)
    assert all(float(m.sum()) == pytest.approx(1.0) for m in minimal)
    target = int(pack_tables(cube(3).sum(1) > 0))
    sample = torch.arange(5)[None]
    for flips in (torch.zeros(1, 5, dtype=torch.bool), torch.tensor([[1, 0, 0, 1, 0]]).bool()):
        error, bits, chosen = interpolators.typical_errors(minimal, target, sample, flips)
        label = target ^ int(flips[0].long() @ (1 << torch.arange(5)))
        tables = torch.arange(256)
        fits = (tables ^ label) & 31 == 0
        widths = [bool((law[fits] > 0).any()) for law in laws]
        assert int(chosen) == widths.index(True)
        kept = tables[fits & (laws[int(chosen)] > 0)]
        wrong = ((kept[:, None] ^ target) >> torch.arange(5, 8) & 1).double().mean()
        assert float(error) == pytest.approx(float(wrong))
        assert float(bits) == pytest.approx(-math.log2(len(kept) / int((laws[int(chosen)] > 0).sum())))


def test_censored_sets_are_nan():
    law = torch.zeros(16, dtype=torch.float64)
    law[0] = 1.0
    error, bits, chosen = interpolators.typical_errors([law], 0, torch.tensor([[0, 1]]), torch.tensor([[True, False]]))
    assert error.isnan().all() and bits.isinf().all() and int(chosen) == -1


def test_teacher_and_memorizer_against_a_listing():
    """The ideal memorizer replaced by tables of 33 densities, listed one by one."""
    tables = threshold_units(cube(3), scales=(1,)).values > 0
    target = cube(3).sum(1) > 0
    sample, flips = torch.tensor([0, 2, 3, 7]), torch.tensor([True, False, False, False])
    q = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    mass = error = 0.0
    for t in tables:
        left = int((t[sample] ^ target[sample] ^ flips).sum())
        fit = q**left * (1 - q) ** (4 - left)
        outside = [p for p in range(8) if p not in sample.tolist()]
        wrong = float((t[outside] ^ target[outside]).double().mean())
        mass += float(torch.trapezoid(fit, q)) / len(tables)
        error += float(torch.trapezoid(fit * (wrong * (1 - q) + (1 - wrong) * q), q)) / len(tables)
    bits, errors = interpolators.teacher_and_memorizer(tables, target, sample[None], flips[None])
    assert float(bits) == pytest.approx(-math.log2(mass), abs=1e-6)
    assert float(errors) == pytest.approx(error / mass, abs=1e-6)


def test_repeat_probability():
    assert interpolators.repeat_probability(365, 23) == pytest.approx(0.5073, abs=1e-4)
    assert interpolators.repeat_probability(4, 5) == 1.0
    assert interpolators.repeat_probability(10, 1) == 0.0


def test_no_global_randomness(law3):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    interpolators.shortest_hash(torch.arange(6) < 2, seed=0)
    interpolators.typical_errors(
        [law3], 0, draw_samples(8, 3, seeds=[0], distinct=True), torch.zeros(1, 3, dtype=torch.bool)
    )
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()


def uniform(points):
    return torch.full((2**points,), 2.0**-points, dtype=torch.float64)


def typical(samples, flipped, law=None):
    return interpolators.typical_errors(
        [uniform(3) if law is None else law], 0, torch.tensor(samples), torch.tensor(flipped)
    )


def test_prices_without_noise_or_examples():
    law = uniform(3)
    for eps, N in ((0.0, 0), (1.0, 2)):
        price = interpolators.price_of_distinct_samples(law, 3, eps, N)
        assert (price.bits, price.noisy, *price.clean) == pytest.approx((N, 0.5, *[0.5] * (N + 1)))
    none = interpolators.price_of_iid_samples(torch.eye(8, dtype=torch.float64)[0], 7, 2)
    assert none.bits == math.inf and math.isnan(none.noisy) and none.clean == ()


def test_prices_are_nan_where_a_sample_has_no_interpolator():
    price = interpolators.price_of_distinct_samples(torch.eye(8, dtype=torch.float64)[0], 0, 0.1, 1)
    assert price.bits == math.inf and price.clean[0] == 0.0 and math.isnan(price.clean[1]) and math.isnan(price.noisy)


def test_data_sets_without_examples():
    nothing = torch.zeros(1, 0, dtype=torch.int64)
    error, bits, chosen = interpolators.typical_errors([uniform(3)], 3, nothing, nothing.bool())
    assert (float(error), float(bits), int(chosen)) == (0.5, 0.0, 0)
    assert interpolators.typical_errors([uniform(3)], 3, nothing[:0], nothing[:0].bool())[0].shape == (0,)
    target = torch.tensor([True, False])
    bits, error = interpolators.teacher_and_memorizer(target[None], target, nothing, nothing.bool())
    assert (float(bits), float(error)) == (0.0, 0.5)


def test_records_are_checked():
    for make, name in (
        (lambda: interpolators.HashRule(-1, 0.5), "index"),
        (lambda: interpolators.HashRule(1, 1.5), "density"),
        (lambda: interpolators.Price(math.nan, 0.5, ()), "bits"),
        (lambda: interpolators.Price(1.0, -1.0, ()), "noisy"),
        (lambda: interpolators.Price(1.0, 0.5, (2.0,)), r"clean\[0\]"),
    ):
        with pytest.raises(ValueError, match=f"{name} must be"):
            make()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interpolators.price_of_distinct_samples(uniform(4), 0, 0.1, 4), "N must be at most 3, found 4"),
        (lambda: interpolators.price_of_distinct_samples(uniform(4), 0, -0.1, 2), "eps must be finite and at least 0"),
        (lambda: interpolators.price_of_distinct_samples(uniform(3), 3, 1.5, 2), "eps must be .* at most 1, found 1.5"),
        (lambda: interpolators.price_of_distinct_samples(uniform(3), 8, 0.1, 2), "target must be at most 7, found 8"),
        (lambda: interpolators.price_of_iid_samples(2 * uniform(3), 0, 2), "law must sum to 1, found 2"),
        (lambda: interpolators.price_of_iid_samples(uniform(3)[:6], 0, 2), r"law must have 2\*\*P entries"),
        (
            lambda: interpolators.xor_law(torch.tensor([math.nan, 0.5]).double(), uniform(1)),
            r"first must be finite, found NaN",
        ),
        (
            lambda: interpolators.minimal_law([uniform(3), uniform(2)]),
            r"laws\[1\] must have shape \(8,\), found \(4,\)",
        ),
        (lambda: interpolators.minimal_law([]), "laws must hold at least one law"),
        (lambda: typical([[2, 2]], [[True, False]]), "samples must hold distinct points in each data set"),
        (lambda: typical([[-1, 2]], [[True, False]]), r"samples must be at least 0 .*, found -1 at \[0, 0\]"),
        (lambda: typical([[0, 1, 2]], [[True] * 3]), "samples must leave a point over, at most 2 a set, found 3"),
        (lambda: typical([[0, 1]], [[True]]), r"flipped must have shape \(1, 2\), found \(1, 1\)"),
        (lambda: interpolators.log2_binomial(3, 5), "k must be at most n, found n - k = -2"),
        (
            lambda: interpolators.gap([0.1, 0.2], [0.1, 0.2, 0.3]),
            "eps and delta must have shapes that broadcast, found",
        ),
        (lambda: interpolators.beta_memorizer(-1), "N must be at least 0"),
        (lambda: interpolators.hash_price(3, 4), "k must be at most 3, found 4"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
