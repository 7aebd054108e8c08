"""The solutions of the exercises in the chapter `langevin-generalization` are right; wrong answers do not pass."""

import math

import pytest
import torch
from chapter_cells import Chapter, each_solution

from implicitly import langevin
from implicitly.langevin import OrnsteinUhlenbeck, pac_bayes_bound

F64 = torch.float64
CELLS = Chapter("langevin-generalization")
test_solution = each_solution(CELLS)


def test_by_hand():
    names = CELLS.at_hand("hand, goal, prior, moved_to")
    assert names["goal"].tolist() == pytest.approx([3 / 4, 1 / 4])
    half = torch.tensor([5 / 8, 3 / 8], dtype=F64)
    for number in ("0.032", "0.038", "0.137"):  # as the text has them
        assert number in names["hand"](half)
    assert "0.144" in names["hand"](names["prior"])
    assert names["moved_to"] == pytest.approx(0.9 * math.log(1.8) + 0.1 * math.log(0.2))
    assert round(names["moved_to"], 3) == 0.368
    spent = 5 / 8 * math.log(5 / 4) + 3 / 8 * math.log(3 / 4)
    left = 5 / 8 * math.log(5 / 6) + 3 / 8 * math.log(3 / 2)
    first = math.log(2 / 3) / 2 + math.log(2) / 2
    paid = math.log(3) / 8
    assert paid - spent == pytest.approx(first - left)
    assert round(first - left, 3) == 0.106


def test_numbers():
    coldest = CELLS.at_hand("coldest")["coldest"]
    assert round(coldest, 1) == 24.3
    assert pac_bayes_bound(0.7 * coldest, 1000, 0.05, "fixed") == pytest.approx(0.1)
    assert round(pac_bayes_bound(70.0, 1000, 0.05, "fixed"), 3) == 0.191
    assert round(pac_bayes_bound(5 * (math.log(2) + 1 / 8), 60, 0.05, "fixed"), 3) == 0.243


def test_the_share_spent_falls():
    before, after = CELLS.at_hand("spent_share")["spent_share"]
    assert after < before - 0.02


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


def test_euler():
    really = CELLS.at_hand("really")["really"]
    assert really == pytest.approx(4.5)
    flat = OrnsteinUhlenbeck(1e-9, 0.0, 1 / 64, 5.0)  # its curvature is next to nothing
    _, var = flat.euler_law(torch.tensor(10**5), 1 / 64)
    assert 5.0 * (1 / 64) / var.item() == pytest.approx(really, rel=1e-6)
