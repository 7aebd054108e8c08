"""Chains at their edges: one state, no temperature and all of it, laws with zeros, and what is refused.

What the chains do in the middle is tested with the chapter `langevin-generalization`.
"""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from implicitly import langevin

F64 = torch.float64


def vector(*values):
    return torch.tensor(values, dtype=F64)


def draws():
    return torch.Generator().manual_seed(0)


def test_divergence_with_zeros():
    assert float(langevin.kl(vector(0.5, 0.5, 0), vector(0.5, 0.25, 0.25))) == pytest.approx(math.log(2) / 2)
    assert float(langevin.kl(vector(0.5, 0.5), vector(1, 0))) == math.inf
    assert float(langevin.kl(vector(1, 0), vector(1, 0))) == 0
    with pytest.raises(ValueError, match=r"p and q must have shapes that broadcast, found \(2,\) and \(1,\)"):
        langevin.kl(vector(1, 0), vector(1))
    with pytest.raises(ValueError, match=r"p must sum to 1 along its last axis, found 0.9"):
        langevin.kl(vector(0.5, 0.4), vector(1, 0))


def test_gibbs_law_from_no_temperature_to_all():
    loss, prior = vector(1, 2, 1), vector(0.5, 0.25, 0.25)
    assert langevin.gibbs(loss, prior, 0).tolist() == prior.tolist()
    torch.testing.assert_close(langevin.gibbs(1e10 * loss, prior, 1e300), vector(2 / 3, 0, 1 / 3))
    # the state of least loss has no prior: the law is that of the others
    assert langevin.gibbs(vector(2e10, 1e10, 0), vector(0.5, 0.5, 0), 1e300).tolist() == [0, 1, 0]
    assert langevin.gibbs(vector(3), vector(1), 7.0).tolist() == [1]


def test_one_state():
    one = vector(1)
    assert langevin.metropolis_line(one).tolist() == [[1]] == langevin.random_cycles(one, 2, draws()).tolist()
    law = langevin.diffusion_laws(one, one, beta=1.0, spacing=1.0, first=1.0, doublings=1)
    assert law.tolist() == [[1], [1]]
    with pytest.raises(ValueError, match="chain must have at least 2 states, found 1"):
        langevin.spectral_gap(torch.ones(1, 1, dtype=F64), one)


def test_gap_of_two_states_and_of_no_reversible_chain():
    p = vector(0.3, 0.7)
    chain = langevin.metropolis_line(p)  # its eigenvalues are 1 and trace - 1
    assert float(langevin.spectral_gap(chain, p)) == pytest.approx(2 - float(chain.trace()))
    target = vector(0.2, 0.3, 0.5)
    with pytest.raises(ValueError, match="chain must be reversible and keep target"):
        langevin.spectral_gap(langevin.random_cycles(target, 1, draws()), target)


def test_chains_with_states_that_are_hardly_ever_seen():
    rare = vector(1e-290, 1)
    for chain in (langevin.metropolis_line(rare), langevin.random_cycles(rare, 1, draws())):
        assert torch.equal(chain.sum(1), torch.ones(2, dtype=F64)) and chain[1, 0] > 0
    for call in (langevin.metropolis_line, lambda law: langevin.random_cycles(law, 1, draws())):
        with pytest.raises(ValueError, match="target must be positive in every state, at least 1e-300, found 0"):
            call(vector(0, 1))


@pytest.mark.parametrize("spacing, tolerance", [(0.5, 2e-3), (1e-3, 1e-9), (1e-4, 1e-6)])
def test_diffusion_against_the_matrix_exponential(spacing, tolerance):
    """Fine cells are left a billion times: the rows of the chain keep their sums, and the end is the Gibbs law."""
    energy, start = vector(0, 1, 0.5, 2), vector(1, 0, 0, 0)
    weight = lambda z: z / math.expm1(z)  # noqa: E731
    rates = np.zeros((4, 4))
    for i, rise in enumerate(energy.diff().tolist()):
        rates[i, i + 1], rates[i + 1, i] = weight(rise) / spacing**2, weight(-rise) / spacing**2
    rates -= np.diag(rates.sum(1))
    laws = langevin.diffusion_laws(energy, start, beta=1.0, spacing=spacing, first=1.0, doublings=2000)
    exact = torch.tensor(start.numpy() @ expm(rates))
    torch.testing.assert_close(laws[0], exact, rtol=tolerance, atol=0)
    torch.testing.assert_close(laws[-1], torch.softmax(-energy, 0), rtol=1e-12, atol=0)


@pytest.mark.parametrize("change", [{"first": 1e300}, {"spacing": 1e-300}, {"beta": 1e-300}, {"beta": 1e300}])
def test_diffusion_refuses_rates_beyond_its_digits(change):
    given = {"beta": 1.0, "spacing": 1.0, "first": 1.0, "doublings": 2} | change
    with pytest.raises(ValueError, match="must let a cell be left at most 1e9 times in the time `first`, found"):
        langevin.diffusion_laws(vector(0, 1e10), vector(0.5, 0.5), **given)


def account(**changes):
    even = vector(0.5, 0.5)
    given = {"chain": langevin.metropolis_line(even), "start": vector(0.3, 0.7), "loss": vector(0, 1), "beta": 1.0}
    return langevin.ledger(**given | {"times": [0, 1, 3], "stationary": even} | changes)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"times": [0, 1.5]}, TypeError, r"times\[1\] must be a whole number, found float 1.5"),
        ({"times": [0, 2, 2]}, ValueError, r"times must start at 0 and increase, found \[0, 2, 2\]"),
        ({"times": [1, 2]}, ValueError, "times must start at 0 and increase"),
        ({"start": vector(0, 1)}, ValueError, "start must be positive in every state"),
        ({"beta": -1.0}, ValueError, "beta must be at least 0, found -1"),
        ({"beta": vector(1, 2)}, ValueError, r"beta must have shape \(\), found \(2,\)"),
        ({"loss": vector(0, 1, 2)}, ValueError, r"loss must have shape \(2,\), found \(3,\)"),
        ({"chain": vector(1, 0)}, ValueError, r"chain must have shape \(..., n, n\), found \(2,\)"),
    ],
)
def test_ledger_refuses(changes, error, words):
    with pytest.raises(error, match=words):
        account(**changes)


def test_ledger_of_one_record():
    run = account(times=[0])
    assert run.largest_rise() == 0 and run.overdraft() == 0 and run.budget.tolist() == [0]
    assert run != account(times=[0])  # by identity: no truth value of tensors is asked for
    with pytest.raises(ValueError, match=r"energy must have shape \(1,\), found \(0,\)"):
        langevin.Ledger(run.times, run.laws, run.kl_prior, run.kl_stationary, run.energy[:0], run.budget)
