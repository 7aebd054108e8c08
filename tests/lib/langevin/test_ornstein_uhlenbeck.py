"""The quadratic, distances and path budgets: against quadrature, differential equations and published values."""

import math

import pytest
import torch
from langevin_inputs import F64, generator, tensor
from scipy.integrate import quad
from scipy.stats import kstest, norm

from implicitly import chance, langevin
from implicitly.langevin import OrnsteinUhlenbeck


@pytest.mark.parametrize("t", [1e-3, 0.1, 1.0, 30.0])
@pytest.mark.parametrize(("a", "m", "s2", "beta"), [(1.0, 1.0, 1.0, 1.0), (0.3, -2.0, 0.5, 20.0), (4.0, 0.5, 3.0, 0.2)])
def test_quadratic_against_quadrature_and_the_differential_equation(t, a, m, s2, beta):
    law = OrnsteinUhlenbeck(a, m, s2, beta)
    now = tensor(t)
    mean, var = law.mean(now).item(), law.var(now).item()
    h = 1e-5 * t
    assert (law.mean(now + h) - law.mean(now - h)).item() / (2 * h) == pytest.approx(
        -a * (mean - m) - mean / (beta * s2), rel=1e-4, abs=1e-7
    )
    assert (law.var(now + h) - law.var(now - h)).item() / (2 * h) == pytest.approx(
        -2 * law.rate * var + 2 / beta, rel=1e-4, abs=1e-7
    )
    here = norm(mean, math.sqrt(var))
    for other, cost in ((norm(0, math.sqrt(s2)), law.kl_prior(now)),
                      (norm(law.stationary[0], math.sqrt(law.stationary[1])), law.kl_stationary(now))):  # fmt: skip
        integral, _ = quad(lambda x, q=other: here.pdf(x) * (here.logpdf(x) - q.logpdf(x)),
                           mean - 12 * math.sqrt(var), mean + 12 * math.sqrt(var), epsabs=1e-12, limit=200)  # fmt: skip
        assert cost.item() == pytest.approx(integral, abs=1e-8)
    wide = 12 * math.sqrt(var)
    energy, _ = quad(lambda x: here.pdf(x) * a / 2 * (x - m) ** 2, mean - wide, mean + wide)
    assert law.energy(now).item() == pytest.approx(energy, rel=1e-8)
    many = OrnsteinUhlenbeck(a, m, s2, beta, d=7)
    assert many.budget(now).item() == pytest.approx(7 * law.budget(now).item())


def test_published_values_of_the_quadratic():
    """The fact sheet's figures for a = m = s = 1."""
    law = OrnsteinUhlenbeck(1.0, 1.0, 1.0, 1.0)
    t = tensor(1e-3, 0.1, 1.0, 30.0)
    torch.testing.assert_close(law.kl_prior(t), tensor(1.50e-6, 0.01175, 0.18553, 0.22157), rtol=4e-3, atol=0)
    torch.testing.assert_close(law.budget(t), tensor(0.0020, 0.1689, 0.5843, 0.6250), rtol=2e-3, atol=0)
    ends = [OrnsteinUhlenbeck(1.0, 1.0, 1.0, b).jeffreys() for b in (1.0, 10.0, 100.0)]
    assert ends == pytest.approx([0.625, 9.50413, 99.5], rel=1e-5)


def test_euler_law_is_what_the_recursion_gives():
    law, eta = OrnsteinUhlenbeck(1.3, 0.7, 0.9, 2.5), 0.4
    mean, var = 0.0, 0.9
    for n in range(1, 60):
        mean -= eta * (1.3 * (mean - 0.7) + mean / (2.5 * 0.9))
        var = (1 - eta * law.rate) ** 2 * var + 2 * eta / 2.5
        got = law.euler_law(torch.tensor(n), eta)
        assert (got[0].item(), got[1].item()) == pytest.approx((mean, var), rel=1e-12)
    assert var == pytest.approx(law.stationary[1] / (1 - eta * law.rate / 2), rel=1e-10)


def test_kolmogorov_distance_is_scipys():
    sample = torch.randn(500, generator=generator(), dtype=F64) * 0.9 + 0.1
    grid = torch.linspace(-8, 8, 4001, dtype=F64)
    exact = kstest(sample.numpy(), norm.cdf).statistic
    assert chance.kolmogorov_distance(sample, grid, torch.exp(-(grid**2) / 2)) == pytest.approx(exact, abs=1e-5)
    atom = torch.zeros(10, dtype=F64)
    assert chance.kolmogorov_distance(atom, grid, torch.exp(-(grid**2) / 2)) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("forget", [False, True])
def test_path_budgets_hold_for_the_quadratic(forget):
    """Both bounds from gradients dominate the exact divergence, and the integral is scipy's."""
    law = OrnsteinUhlenbeck(1.0, 1.0, 1.0, 3.0)
    t = torch.linspace(0, 8, 2001, dtype=F64)
    grad = 2 * law.a * law.energy(t)
    bound = langevin.path_budget(t, grad, beta=3.0, prior_var=1.0 if forget else None)
    assert (law.kl_prior(t) <= bound + 1e-6).all()
    end, rate = 8.0, 1 / 3.0

    def integrand(u):
        weight = 1.5 * math.exp(-rate * (end - u)) if forget else 0.75
        return weight * 2 * law.energy(tensor(u)).item()

    assert bound[-1].item() == pytest.approx(quad(integrand, 0, end)[0], rel=1e-5)
    assert bound[0] == 0


def test_quadratic_at_the_edges():
    cold = OrnsteinUhlenbeck(1.0, 0.0, 1.0, 1e20)  # v_inf / s2 rounds away beside 1
    assert cold.kl_prior(tensor(1e3)).item() == pytest.approx(0.5 * (20 * math.log(10) - 1), rel=1e-12)
    assert cold.kl_prior(tensor(0.0)).item() == 0 and cold.budget(tensor(0.0)).item() == 0
    assert langevin.gauss_kl(tensor(0.0), tensor(1.0), 1e300, 1.0).item() == math.inf
    for bad in (dict(m=1e300), dict(s2=1e-300, beta=1e-300), dict(a=1e300, beta=1e300), dict(s2=1e-310, beta=1e300),
                dict(a=1e150, m=1e100, beta=1e-150)):  # fmt: skip
        with pytest.raises(ValueError, match=r"a, m, s2, beta and d must give .* the range of floats, found a ="):
            OrnsteinUhlenbeck(**(dict(a=1.0, m=1.0, s2=1.0, beta=1.0) | bad))
    with pytest.raises(ValueError, match="t must be at least 0, found -1"):
        cold.mean(tensor(-1.0))
    mean, var = OrnsteinUhlenbeck(1.0, 1.0, 1.0, 1.0).euler_law(torch.tensor(10**6), 0.5)
    assert (mean.item(), var.item()) == pytest.approx((0.5, 1.0))  # (a m / k, v_inf / (1 - eta k / 2))


def test_distances_and_budgets_at_the_edges():
    grid, flat = tensor(0.0, 0.5, 1.0), tensor(1.0, 1.0, 1.0)
    assert chance.kolmogorov_distance(tensor(0.25), grid, flat) == pytest.approx(0.75)  # one point
    assert chance.kolmogorov_distance(tensor(5.0), grid, flat) == 1.0
    assert chance.kolmogorov_distance(tensor(0.25), grid, 1e308 * flat) == pytest.approx(0.75)
    for bad, named in ((dict(sample=tensor()), "sample"), (dict(grid=tensor(-1e308, 0.0, 1e308)), "grid"),
                       (dict(grid=tensor(0.0, 0.5, 0.5)), "grid"),
                       (dict(density=0 * flat), "density"), (dict(density=flat[:2]), "density")):  # fmt: skip
        with pytest.raises(ValueError, match=f"{named} must"):
            chance.kolmogorov_distance(**(dict(sample=grid, grid=grid, density=flat) | bad))
    assert langevin.path_budget(tensor(0.0), tensor(3.0), beta=2.0).tolist() == [0.0]
    assert langevin.path_budget(tensor(0.0), tensor(3.0), beta=2.0, prior_var=1.0).tolist() == [0.0]
    later = langevin.path_budget(tensor(0.0, 1.0, 1e10), tensor(1.0, 1e300, 1.0), beta=1.0, prior_var=1.0)
    assert later[1].item() == pytest.approx(2.5e299)  # the next piece, infinite, is none of its business
    with pytest.raises(ValueError, match=r"beta must be .* at most 3.40282e.38, found 1e.300"):
        langevin.path_budget(torch.zeros(1), torch.zeros(1), beta=1e300)
    for times in (tensor(0.0, 1.0, 1.0), tensor(0.5, 1.0, 2.0), tensor(0.0, 2.0, 1.0)):
        with pytest.raises(ValueError, match="times must start at 0 and increase, found"):
            langevin.path_budget(times, flat, beta=1.0)
