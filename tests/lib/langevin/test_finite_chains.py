"""Finite chains and diffusions on cells: their laws, entropies and ledgers, against matrix powers and exponentials."""

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from langevin_inputs import F64, generator, tensor
from scipy.linalg import expm

from implicitly import langevin
from implicitly.langevin import OrnsteinUhlenbeck


@given(st.integers(2, 8), st.integers(0, 10**6))
@example(6, 197)  # the busiest row sums to an ulp above one
@settings(max_examples=40)
def test_chains_are_stochastic_and_keep_their_law(n, seed):
    target = torch.softmax(2 * torch.randn(n, generator=generator(seed), dtype=F64), 0)
    line, circle = langevin.metropolis_line(target), langevin.random_cycles(target, 2, generator(seed))
    for chain in (line, circle):
        assert (chain >= 0).all()
        torch.testing.assert_close(chain.sum(1), torch.ones(n, dtype=F64))
        torch.testing.assert_close(target @ chain, target)
    flow = target[:, None] * line
    torch.testing.assert_close(flow, flow.T)
    if n > 3:
        flow = target[:, None] * circle
        assert (flow - flow.T).abs().max() > 1e-6  # not reversible


def test_kl_and_gibbs_by_hand():
    assert langevin.kl(tensor(1.0, 0.0), tensor(0.25, 0.75)).item() == pytest.approx(math.log(4))
    assert langevin.kl(tensor(0.5, 0.5), tensor(1.0, 0.0)).item() == math.inf
    torch.testing.assert_close(langevin.gibbs(tensor(0.0, math.log(3)), tensor(0.4, 0.6), 1.0), tensor(2 / 3, 1 / 3))
    torch.testing.assert_close(langevin.gibbs(tensor(0.0, 9.0), tensor(0.4, 0.6), 0.0), tensor(0.4, 0.6))


def test_ledger_against_matrix_powers():
    prior, loss = torch.softmax(torch.arange(5, dtype=F64), 0), torch.arange(5, dtype=F64) ** 2 / 7
    keeps = langevin.gibbs(loss, prior, 1.7)
    chain = langevin.metropolis_line(keeps)
    run = langevin.ledger(chain, prior, loss, 1.7, [0, 1, 9], keeps)
    for row, power in zip(run.laws, (0, 1, 9), strict=True):
        torch.testing.assert_close(row, prior @ torch.linalg.matrix_power(chain, power))
    torch.testing.assert_close(run.budget, 1.7 * (run.energy[0] - run.energy))
    gap = 1 - sorted(torch.linalg.eigvals(chain).real.tolist())[-2]
    assert langevin.spectral_gap(chain, keeps).item() == pytest.approx(gap, rel=1e-9)


def test_diffusion_on_cells_against_the_exponential_and_the_closed_form():
    x = torch.linspace(-4, 4, 41, dtype=F64)
    prior = torch.softmax(-(x**2) / 2, 0)
    beta, loss = 2.0, (x - 1) ** 2 / 2
    energy = loss + x**2 / (2 * beta)
    laws = langevin.diffusion_laws(energy, prior, beta=beta, spacing=0.2, first=2**-6, doublings=9)
    hop = 1 / (beta * 0.2**2)
    z = (beta * energy.diff()).numpy()
    rates = torch.diag(torch.tensor(hop * z / (torch.tensor(z).expm1().numpy())), 1) + torch.diag(
        torch.tensor(hop * -z / torch.tensor(-z).expm1().numpy()), -1
    )
    rates -= torch.diag(rates.sum(1))
    for j in (0, 4, 9):
        exact = prior @ torch.tensor(expm(rates.numpy() * 2.0 ** (j - 6)))
        torch.testing.assert_close(laws[j], exact, rtol=5e-3, atol=1e-6)
    keeps = torch.softmax(-beta * energy, 0)
    assert langevin.kl(laws, keeps).diff().max() <= 1e-12
    closed = OrnsteinUhlenbeck(1.0, 1.0, 1.0, beta)
    times = 2.0 ** (torch.arange(10, dtype=F64) - 6)
    torch.testing.assert_close(langevin.kl(laws, prior), closed.kl_prior(times), rtol=0.06, atol=1e-4)


@pytest.mark.parametrize("drop", [0.0, 1e-10, 1e-3, 20.0, 30.0, 100.0, -30.0])
def test_small_probabilities_of_a_diffusion_are_right(drop):
    start = tensor(0.0, 1.0) if drop >= 0 else tensor(1.0, 0.0)  # the climb is what must be right
    laws = langevin.diffusion_laws(tensor(drop, 0.0), start, beta=1.0, spacing=1.0, first=1.0, doublings=6)
    high = 0 if drop >= 0 else 1
    assert laws[-1, high].item() == pytest.approx(1 / (1 + math.exp(abs(drop))), rel=1e-10, abs=0.0)
