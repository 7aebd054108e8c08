"""Curves, prices and rules, against brute force, closed forms and each other."""

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
    hashes,
    pack_tables,
    sample_nets,
    threshold_units,
    truth_tables,
)


@pytest.fixture(scope="module")
def law3():
    return interpolators.dense_law(function_law(threshold_units(cube(3)), 3))


def entropy(p):
    return -sum(q * math.log2(q) for q in (p, 1 - p) if q)


# --- curves ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [0.0, 0.07, 0.25, 0.5])
def test_curves(eps):
    assert float(interpolators.binary_entropy(eps)) == pytest.approx(entropy(eps))
    assert float(interpolators.independent_noise_error(eps)) == pytest.approx(eps * (1 - eps) + (1 - eps) * eps)
    assert float(interpolators.arbitrary_noise_bound(eps)) == pytest.approx(1 - eps**eps * (1 - eps) ** (1 - eps))
    assert float(interpolators.noisy_error(eps, eps)) == pytest.approx(2 * eps * (1 - eps))
    assert float(interpolators.gap(eps, eps)) == pytest.approx(entropy(eps))


def test_noisy_error_is_exclusive_or():
    g = torch.Generator().manual_seed(0)
    flips, errs = torch.rand(2, 200_000, generator=g) < torch.tensor([[0.2], [0.3]])
    assert float((flips ^ errs).double().mean()) == pytest.approx(float(interpolators.noisy_error(0.3, 0.2)), abs=0.006)


def test_gap_where_a_share_is_zero():
    assert float(interpolators.gap(0.0, 0.0)) == 0.0
    assert float(interpolators.gap(0.1, 0.0)) == math.inf
    assert float(interpolators.gap(0.0, 0.25)) == pytest.approx(-math.log2(0.75))


@pytest.mark.parametrize(("bits", "eps"), [(0.5, 0.1), (0.9, 0.3), (2.0, 0.0), (4.0, 0.45)])
def test_clean_error_range_solves_the_equation(bits, eps):
    low, high = interpolators.clean_error_range(bits, eps)
    assert 0 <= low <= eps <= high <= 1
    assert float(interpolators.gap(eps, high)) == pytest.approx(bits)
    assert (
        low == pytest.approx(0.0, abs=1e-12) if eps == 0 else float(interpolators.gap(eps, low)) == pytest.approx(bits)
    )


def test_exercise_largest_error():
    assert interpolators.clean_error_range(0.6, 0.1)[1] == pytest.approx(0.272, abs=0.001)


def test_clean_error_range_refuses_too_few_bits():
    with pytest.raises(ValueError, match=r"bits must be at least H\(eps\) = 0.468996, found 0.3"):
        interpolators.clean_error_range(0.3, 0.1)


def test_log2_binomial():
    n = torch.arange(1, 40)
    exact = [math.log2(math.comb(int(i), int(i) // 3)) for i in n]
    assert interpolators.log2_binomial(n, n // 3).tolist() == pytest.approx(exact, abs=1e-11)


@pytest.mark.parametrize("name", ["binary_entropy", "independent_noise_error", "arbitrary_noise_bound"])
@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_shares_are_checked(name, bad):
    with pytest.raises(ValueError, match=r"must be (finite|at least 0 and at most 1), found"):
        getattr(interpolators, name)(bad)


def test_expected_over_flips():
    k = torch.arange(31, dtype=torch.float64)
    eps = torch.tensor([0.0, 0.2, 1.0], dtype=torch.float64)
    both = interpolators.expected_over_flips(torch.stack([k, k**2]), eps)
    mean = 30 * eps
    assert torch.allclose(both, torch.stack([mean, mean * (1 - eps) + mean**2]))
    assert float(interpolators.expected_over_flips(torch.tensor([1.0, math.inf]), 0.0)) == 1.0
    assert interpolators.expected_over_flips(torch.ones(2049), 0.3).item() == pytest.approx(1.0)


# --- memorizers -----------------------------------------------------------------------------------------


def test_beta_memorizer_against_an_integral():
    q = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    bits, clean = interpolators.beta_memorizer(9)
    for k in (0, 3, 9):
        fit = q**k * (1 - q) ** (9 - k)
        mass = torch.trapezoid(fit, q)
        assert float(bits[k]) == pytest.approx(-math.log2(mass), abs=1e-6)
        assert float(clean[k]) == pytest.approx(float(torch.trapezoid(fit * q, q) / mass), abs=1e-6)


def test_shortest_hash_is_the_first_that_fits():
    flips = torch.tensor([0, 1, 0, 0, 1, 0, 0, 0], dtype=torch.bool)
    rule = interpolators.shortest_hash(flips, seed=3)
    table = np.stack([hashes._hash_bit(np.arange(rule.index + 1, dtype=np.uint64), p, 3) for p in range(8)], 1)
    agree = (table == flips.numpy()).all(1)
    assert agree[-1] and not agree[:-1].any()
    assert rule.density == (1 + rule.index % 8) / 16
    assert rule.bits == math.log2(rule.index + 1)


def test_hash_table_is_what_the_search_tries():
    flips = torch.tensor([0, 1, 0, 0, 1, 0, 0, 0], dtype=torch.bool)
    points = torch.arange(8)
    tables = (interpolators.hash_table(t, points, seed=3) for t in itertools.count())
    assert next(t for t, table in enumerate(tables) if torch.equal(table, flips)) == (
        interpolators.shortest_hash(flips, seed=3).index
    )
    # one point at a time, in any order, the same bits; its density elsewhere
    mixed = torch.tensor([7, 0, 7, 2**40])
    one = torch.cat([interpolators.hash_table(9, p[None], seed=3) for p in mixed])
    assert torch.equal(interpolators.hash_table(9, mixed, seed=3), one)
    share = interpolators.hash_table(5, torch.arange(20_000), seed=1).double().mean()
    assert abs(share - 6 / 16) < 5 * 0.5 / 20_000**0.5


def test_hash_tables_are_fair_coins():
    t = np.arange(80_000, dtype=np.uint64)
    bits = np.stack([hashes._hash_bit(t, p, seed=11) for p in range(6)])
    density = (1 + t % 8) / 16
    for share, p in zip(bits.mean(1), range(6), strict=True):
        assert abs(share - density.mean()) < 5 * 0.5 / 80_000**0.5, p
    # two points of one table are independent given its density
    centred = bits - density
    assert abs((centred[0] * centred[1]).mean()) < 5 * 0.25 / 80_000**0.5


def test_hash_price_against_many_lists():
    N, k, n = 14, 3, 400
    found = [interpolators.shortest_hash(torch.arange(N) < k, seed=s) for s in range(n)]
    bits, density = interpolators.hash_price(N, k)
    assert np.mean([r.bits for r in found]) == pytest.approx(bits, abs=5 * 1.85 / n**0.5)
    assert np.mean([r.density for r in found]) == pytest.approx(density, abs=5 * 0.1 / n**0.5)


def test_shortest_hash_gives_up():
    with pytest.raises(RuntimeError, match="no table among the first 262144 fits 60 labels"):
        interpolators.shortest_hash(torch.arange(60) < 30, seed=0, limit=2**18)
    with pytest.raises(TypeError, match="flips must be bool, found float32"):
        interpolators.shortest_hash(torch.zeros(3), seed=0)


# --- networks, exactly ----------------------------------------------------------------------------------


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


def test_python_numbers_keep_their_digits():
    """A Python float that passes through float32 is another number from the eighth digit on."""
    assert float(interpolators.noisy_error([0.3], 0.1)) == 0.1 + (1 - 2 * 0.1) * 0.3
    assert float(interpolators.bits_to_error([0.7])) == pytest.approx(1 - 2**-0.7, rel=1e-15)
    assert float(interpolators.expected_over_flips([[0.1, 0.7]], 0.3)) == pytest.approx(
        0.7 * 0.1 + 0.3 * 0.7, rel=1e-14
    )


def test_curves_keep_their_order_at_the_smallest_noise():
    """1 - 2**-H was 0 there, below 2 eps (1 - eps)."""
    eps = [1e-300, 1e-18, 1e-9]
    assert (interpolators.arbitrary_noise_bound(eps) > interpolators.independent_noise_error(eps)).all()
    assert float(interpolators.bits_to_error(1e-18)) == pytest.approx(1e-18 * math.log(2), rel=1e-14)


def test_curves_at_their_ends():
    assert float(interpolators.bits_to_error(0.0)) == 0.0 and float(interpolators.bits_to_error(math.inf)) == 1.0
    for eps in (0.0, 1.0):
        assert interpolators.clean_error_range(0.0, eps) == pytest.approx((eps, eps), abs=1e-15)
    assert interpolators.clean_error_range(1.0, 0.5) == pytest.approx((0.5, 0.5), abs=1e-7)
    assert interpolators.expected_over_flips([7.0], [0.0, 0.4, 1.0]).tolist() == [
        7.0,
        7.0,
        7.0,
    ]  # no examples, no flips
    assert interpolators.gap([], []).shape == (0,)


@pytest.mark.parametrize(("n", "k"), [(0, 0), (5, 0), (5, 5), (10**9, 5), (10**15, 1000), (2**60, 3)])
def test_log2_binomial_at_the_ends_and_beyond(n, k):
    """Far up, three logarithms of gamma functions cancel: log2 of 10**15 over 1000 was wrong by two bits."""
    assert float(interpolators.log2_binomial(n, k)) == pytest.approx(math.log2(math.comb(n, k)), rel=1e-12, abs=1e-12)


def test_memorizers_without_points_and_with_many():
    bits, clean = interpolators.beta_memorizer(0)
    assert bits.tolist() == [0.0] and clean.tolist() == [0.5]
    bits, density = interpolators.hash_price(4000, 2000)  # 2**-4000 is no float64; the densest tables, 1/2, decide
    assert bits == pytest.approx(4000 + 3 - np.euler_gamma / math.log(2), abs=1e-6) and density == pytest.approx(0.5)
    assert interpolators.shortest_hash(torch.zeros(0, dtype=torch.bool), seed=0) == interpolators.HashRule(0, 1 / 16)


def test_no_table_beyond_the_limit_is_taken():
    flips = torch.arange(20) < 5
    rule = interpolators.shortest_hash(flips, seed=0)
    assert interpolators.shortest_hash(flips, seed=0, limit=rule.index + 1) == rule
    with pytest.raises(RuntimeError, match=f"among the first {rule.index} fits"):
        interpolators.shortest_hash(flips, seed=0, limit=rule.index)


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
