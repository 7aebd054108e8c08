"""Splines, the least interpolant, the tangent kernel and fitted slopes against exact cases."""

import math

import pytest
import torch

from implicitly import chance, stability
from implicitly.stability import flatness

F64 = torch.float64


def case(seed, n=12):
    g = torch.Generator().manual_seed(seed)
    x = (2 * torch.rand(n, generator=g, dtype=F64) - 1).sort().values
    return x, torch.randn(3, n, generator=g, dtype=F64)


@pytest.mark.parametrize("seed", range(3))
def test_spline_net_goes_through_the_points(seed):
    x, y = case(seed)
    net = stability.spline_net(x, y)
    torch.testing.assert_close(net(x), y)
    middle = (x[1:] + x[:-1]) / 2
    torch.testing.assert_close(net(middle), (y[:, 1:] + y[:, :-1]) / 2)
    torch.testing.assert_close(net.w1.abs(), net.w2.abs())
    outer = torch.stack([x[0] - 0.5, x[-1] + 2])
    slopes = y.diff() / x.diff()
    torch.testing.assert_close(net(outer), torch.stack([y[:, 0] - 0.5 * slopes[:, 0], y[:, -1] + 2 * slopes[:, -1]], 1))


def test_spline_tv_by_hand():
    x, y = torch.tensor([-1.0, -0.2, 0.5, 1.0]), torch.tensor([0.0, 1.0, 0.0, 2.0])
    first = abs(-1 / 0.7 - 1 / 0.8) * stability.g_weight(x[1], x)
    second = abs(2 / 0.5 + 1 / 0.7) * stability.g_weight(x[2], x)
    assert float(stability.spline_tv(x, y)) == pytest.approx(float(first + second))


@pytest.mark.parametrize("seed", range(4))
def test_no_interpolant_bends_less(seed):
    x, y = case(seed)
    assert stability.smallest_interpolation_tv(x, y[0]) == pytest.approx(float(stability.spline_tv(x, y[0])), rel=1e-5)


def test_weight_lies_above_its_chords_on_the_interval_only():
    x, _ = case(7, n=20)
    t = torch.linspace(float(x[0]), float(x[-1]), 5000, dtype=F64)[1:-1]
    cell = torch.searchsorted(x, t, right=True) - 1
    g = stability.g_weight(x, x)
    share = (t - x[cell]) / (x[cell + 1] - x[cell])
    assert (stability.g_weight(t, x) - (1 - share) * g[cell] - share * g[cell + 1]).min() > -1e-12
    # the assumption matters: a linear program finds an interpolant that bends less when points lie far outside [-1, 1]
    wide = torch.tensor([-8.0, -5.2, 5.8, 5.9, 10.5, 33.5], dtype=F64)
    y = torch.tensor([-0.1, 1.3, -0.5, 0.9, -0.6, -1.0], dtype=F64)
    assert stability.smallest_interpolation_tv(wide, y) < 0.6 * float(stability.spline_tv(wide, y))


def test_mean_over_noise():
    x = torch.linspace(-1, 1, 30, dtype=F64)
    y = stability.noisy_labels(3 * x - 1, 0.5, seeds=range(2000))
    found, law = float(stability.spline_tv(x, y).mean()), stability.expected_interpolation_tv(x, 0.5)
    allowed = stability.interpolation_allowance(x, 0.5, 2000)
    assert abs(found - law) < allowed < 0.1 * law
    bent = stability.noisy_labels(4 * x.abs(), 0.5, seeds=range(500))
    assert float(stability.spline_tv(x, bent).mean()) > law
    long = torch.linspace(-1, 1, 4000, dtype=F64)
    assert stability.expected_interpolation_tv(long, 1.0) / 3999**2 == pytest.approx(
        stability.interpolation_constant(), rel=2e-3
    )


def test_tangent_kernel_is_the_mean_over_networks():
    nets, x = stability.initial_nets(30, seeds=range(4000)), torch.tensor([-0.9, -0.2, 0.5, 1.0], dtype=F64)
    parts = []
    for i in range(0, 4000, 500):
        J = flatness._features(nets[i : i + 500], x)
        parts.append(J @ J.transpose(1, 2))
    found = torch.cat(parts)
    error = found.std(0) / math.sqrt(4000)
    assert ((found.mean(0) - stability.tangent_kernel(x, x, 30)).abs() < 5 * error).all()
    assert not ((found.mean(0) - stability.tangent_kernel(x, x, 40)).abs() < 5 * error).all()


def test_kernel_fit():
    x, y = case(1)
    z = torch.linspace(-1, 1, 7, dtype=F64)
    torch.testing.assert_close(stability.kernel_fit(x, y, x, 50), y, rtol=1e-6, atol=1e-6)
    K, cross = stability.tangent_kernel(x, x, 50), stability.tangent_kernel(z, x, 50)
    direct = (cross @ torch.linalg.inv(K + 12 * 0.1 * torch.eye(12, dtype=F64)) @ y.T).T
    torch.testing.assert_close(stability.kernel_fit(x, y, z, 50, ridge=0.1), direct)


def test_fitted_slope():
    errors = 3 * torch.tensor([10.0, 100, 1000], dtype=F64).pow(-0.8)[:, None].expand(-1, 5)
    fit, low, high = chance.fitted_slope([10, 100, 1000], errors)
    assert fit == pytest.approx(-0.8) and low == pytest.approx(-0.8) and high == pytest.approx(-0.8)
    g = torch.Generator().manual_seed(0)
    noisy = errors * (1 + 0.5 * torch.rand(3, 5, generator=g, dtype=F64))
    fit, low, high = chance.fitted_slope([10, 100, 1000], noisy)
    assert low < fit < high
    # the sizes of one run go together: an error that a run carries through all sizes does not blur the power
    shared = errors * (1 + 0.5 * torch.rand(1, 5, generator=g, dtype=F64))
    fit, low, high = chance.fitted_slope([10, 100, 1000], shared)
    assert low == pytest.approx(-0.8) and high == pytest.approx(-0.8)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x, y: stability.expected_interpolation_tv(x, 1.0), "equally spaced"),
        (lambda x, y: stability.tangent_kernel(2 * x, x, 5), "x must be at least -1 and at most 1, found"),
        (lambda x, y: stability.kernel_fit(x, y, x, 5, ridge=-1), "ridge must be"),
        (lambda x, y: chance.fitted_slope([1, 2], torch.ones(3, 2)), "errors must have shape"),
        (lambda x, y: chance.fitted_slope([1, 2], -torch.ones(2, 2)), "errors must be above 0"),
        (lambda x, y: stability.spline_net(x, y[:, 1:]), "y must have shape"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call(*case(0))


# --- the edges --------------------------------------------------------------------------------------------------------


def test_lists_are_float64():
    x, y = [-0.7, -0.1, 0.3, 0.9], [0.1, 0.2, -0.7, 0.4]
    exact = torch.tensor(x, dtype=F64), torch.tensor(y, dtype=F64)
    assert stability.spline_net(x, y).w1.equal(stability.spline_net(*exact).w1)
    assert stability.spline_tv(x, y).equal(stability.spline_tv(*exact))
    assert stability.tangent_kernel(x, y, 5).equal(stability.tangent_kernel(*exact, 5))
    assert stability.kernel_fit(x, y, y, 5).equal(stability.kernel_fit(*exact, exact[1], 5))
    assert stability.smallest_interpolation_tv(x, y) == stability.smallest_interpolation_tv(*exact)
    errors = [[0.1, 0.2], [0.05, 0.3]]
    assert chance.fitted_slope([10, 20], errors) == chance.fitted_slope([10, 20], torch.tensor(errors, dtype=F64))


def test_one_point_and_two():
    """A constant and a line: nothing bends, and no noise makes an interpolant of them bend."""
    net = stability.spline_net([0.3], [[2.0], [-1.0]])
    assert net.w1.shape == (2, 0) and net([-5.0, 5.0]).tolist() == [[2, 2], [-1, -1]]
    torch.testing.assert_close(stability.spline_net([0, 1], [2, 3])([0.0, 5.0]), torch.tensor([[2.0, 7.0]], dtype=F64))
    for x, y in (([0.3], [2.0]), ([0.0, 1.0], [2.0, 3.0])):
        assert stability.spline_tv(x, y).tolist() == [0] and stability.smallest_interpolation_tv(x, y) == 0
        assert stability.expected_interpolation_tv(x, 1.0) == 0 == stability.interpolation_allowance(x, 1.0, 5)
    assert float(stability.kernel_fit([0.3], [2.0], [0.3], 9)) == pytest.approx(2.0)
    assert stability.smallest_interpolation_tv([0, 1, 2], [0, 0, 0]) == 0


@pytest.mark.parametrize("labels, points", [(1e-12, 1.0), (1e20, 1.0), (1.0, 1e-9), (1.0, 1e-20)])
def test_least_interpolant_of_any_size(labels, points):
    """A solver's absolute tolerances must not decide: small labels are not 0, near points are not one."""
    x, y = case(3)
    found = stability.smallest_interpolation_tv(points * x, labels * y[0])
    assert found == pytest.approx(float(stability.spline_tv(points * x, labels * y[0])), rel=1e-5)


def test_spacing_is_relative():
    with pytest.raises(ValueError, match="x must be equally spaced"):
        stability.expected_interpolation_tv([0.0, 1e-9, 3e-9], 1.0)
    near = 1e-9 * stability.even_points(30)
    found = float(stability.spline_tv(near, stability.noisy_labels(torch.zeros(30), 1.0, seeds=range(500))).mean())
    assert stability.expected_interpolation_tv(near, 1.0) == pytest.approx(found, rel=0.1)
    assert (
        stability.expected_interpolation_tv(1e3 + stability.even_points(50), 1.0) > 0
    )  # the rounding of 1e3 is no unequal gap


def test_points_too_near_for_the_answer():
    with pytest.raises(ValueError, match="x must lie farther apart for ridge 0, found 1e-16 apart"):
        stability.kernel_fit([0, 1e-16, 1], [0, 1, 0], [0.5], 10)
    with pytest.raises(ValueError, match="x must leave finite slopes, found points only 1e-300 apart"):
        stability.spline_tv([0, 1e-300, 1], [0, 1e10, 0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x, y: chance.fitted_slope([5, 5], torch.ones(2, 2)), "sizes must not all be equal, found 2 of 5"),
        (lambda x, y: chance.fitted_slope([5, 6], torch.ones(2, 0)), "errors must have at least one run"),
        (lambda x, y: chance.fitted_slope([0, 6], torch.ones(2, 1)), r"sizes\[0\] must be finite and above 0, found 0"),
        (lambda x, y: stability.kernel_fit(x, y, 2 * x, 5), "z must be at least -1 and at most 1, found"),
    ],
)
def test_edges_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(*case(0))
