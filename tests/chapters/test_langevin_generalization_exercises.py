"""The solutions of the exercises in the chapter `langevin-generalization` are right."""

import math

import pytest
import torch

from implicitly import langevin
from implicitly.langevin import OrnsteinUhlenbeck, pac_bayes_bound, reflect

F64 = torch.float64


def test_numbers():
    assert round(pac_bayes_bound(70.0, 1000, 0.05, "fixed"), 3) == 0.191
    largest = (2000 * 0.1**2 - math.log(20)) / 0.7
    assert round(largest, 1) == 24.3
    assert pac_bayes_bound(0.7 * largest, 1000, 0.05, "fixed") == pytest.approx(0.1)


@pytest.mark.parametrize(("a", "beta"), [(1.0, 1.0), (0.3, 50.0), (4.0, 0.2)])
def test_quadratic(a, beta):
    law = OrnsteinUhlenbeck(a, 0.0, 1.0, beta)
    late = torch.tensor([1e4], dtype=F64)
    assert law.budget(late).item() == pytest.approx((a * beta) ** 2 / (2 * (1 + a * beta)))
    v = 1 / (1 + a * beta)
    assert law.kl_prior(late).item() == pytest.approx((v - 1 - math.log(v)) / 2)


def test_growth_with_beta():
    late = torch.tensor([1e6], dtype=F64)
    cold = OrnsteinUhlenbeck(1.0, 0.0, 1.0, 1e6)
    assert cold.budget(late).item() == pytest.approx(1e6 / 2, rel=1e-3)
    assert cold.kl_prior(late).item() == pytest.approx(math.log(1e6) / 2, rel=0.1)


def test_circle():
    eye = torch.eye(3, dtype=F64)
    chain = 0.1 * eye + 0.9 * eye.roll(1, 1)
    prior = torch.tensor([0.8, 0.1, 0.1], dtype=F64)
    loss = prior.log() - prior.log().min()
    uniform = torch.full((3,), 1 / 3, dtype=F64)
    torch.testing.assert_close(langevin.gibbs(loss, prior, 1.0), uniform)
    run = langevin.ledger(chain, prior, loss, 1.0, range(4), uniform)
    assert run.kl_prior[1] > run.kl_prior[0] and run.kl_prior[3] < run.kl_prior[2]  # almost back after three
    assert run.overdraft() <= 1e-12 and run.largest_rise() <= 1e-12


def test_box():
    y = torch.tensor([5.5, 3.0, 3.1], dtype=F64)
    torch.testing.assert_close(reflect(y, 1.0), torch.tensor([0.5, -1.0, -0.9], dtype=F64))
    once = 2 - y
    assert once[1].abs() <= 1 < once[2].abs()  # one mirror is enough up to 3 b, and no farther


def test_kernel():
    assert min(T for T in range(1, 100) if 60 * T / 8 >= 20) == 3
    law = OrnsteinUhlenbeck(1.5, 0.0, 1.0, 2.0)
    eta = 0.02 / law.rate
    _, var = law.euler_law(torch.tensor(10**5), eta)
    assert var.item() == pytest.approx(law.stationary[1] / 0.99)
