"""Error curves: entropy, noise, ranges, binomials, their ends."""

import math

import pytest
import torch

from implicitly import interpolators


def entropy(p):
    return -sum(q * math.log2(q) for q in (p, 1 - p) if q)


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
