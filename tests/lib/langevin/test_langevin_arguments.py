"""What Langevin dynamics, chains, bounds and networks refuse, and in which words."""

import math

import pytest
import torch
from langevin_inputs import F64, step, tensor

from implicitly import data, langevin
from implicitly.langevin import OrnsteinUhlenbeck, kl, reflect


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: reflect([1.0], 1.0), TypeError, "z must be a torch.Tensor, found list"),
        (lambda: reflect(tensor(1.0), -1.0), ValueError, "box must be above 0, found -1"),
        (lambda: reflect(tensor(1.0), tensor(1.0, 2.0)), ValueError, "box must be a number or have shape"),
        (lambda: step(beta=0.0), ValueError, "beta must be finite and above 0, found 0"),
        (lambda: step(eta=-1.0), ValueError, "eta must be finite and above 0"),
        (lambda: step(box=1.0), ValueError, "exactly one of prior_var and box, found both"),
        (lambda: step(prior_var=None), ValueError, "exactly one of prior_var and box, found none"),
        (lambda: step(grad=torch.zeros(3, 3)), ValueError, r"grad must have shape \(2, 3\), found \(3, 3\)"),
        (lambda: step(theta=torch.full((2, 3), math.nan)), ValueError, "theta must be finite"),
        (lambda: OrnsteinUhlenbeck(-1.0, 0.0, 1.0, 1.0), ValueError, "a must be finite and above 0, found -1"),
        (lambda: OrnsteinUhlenbeck(1.0, 0.0, 1.0, 1.0).euler_law(torch.tensor(1), 5.0), ValueError, "eta must be"),
        (lambda: kl(tensor(0.5, 0.6), tensor(0.5, 0.5)), ValueError, "p must sum to 1 .* last axis, found 1.1"),
        (lambda: kl(tensor(1.5, -0.5), tensor(0.5, 0.5)), ValueError, "p must be a law, .* found -0.5"),
        (lambda: kl(tensor(), tensor()), ValueError, r"p must have shape \(..., n\), found \(0,\)"),
        (lambda: langevin.gibbs(tensor(0.0, 1.0, 2.0), tensor(0.5, 0.5), 1.0), ValueError,
         r"prior must have shape \(\.\.\., 3\), found \(2,\)"),
        (lambda: langevin.diffusion_laws(torch.zeros(2, 3, dtype=F64), tensor(1.0), beta=1.0, spacing=1.0, first=1.0,
                                         doublings=0), ValueError, r"energy must have shape \(n\), found \(2, 3\)"),
        (lambda: kl(torch.tensor([0.5, 0.5]), tensor(0.5, 0.5)), TypeError, "p must be float64, found float32"),
        (lambda: langevin.gibbs(tensor(0.0, 1.0), tensor(0.5, 0.5), -1.0), ValueError, "beta must be"),
        (lambda: langevin.metropolis_line(tensor(0.0, 1.0)), ValueError, "target must be positive .* found 0"),
        (lambda: ledger_of(stationary=tensor(0.9, 0.1)), ValueError, "stationary must be kept by chain, .* by 0.4"),
        (lambda: ledger_of(times=[1, 2]), ValueError, r"times must .* found \[1, 2\]"),
        (lambda: ledger_of(times=[]), ValueError, "times must hold at least 1 of whole numbers, found 0"),
        (lambda: langevin.pac_bayes_bound(-1.0, 10, 0.1), ValueError, "K must be finite and at least 0, found -1"),
        (lambda: langevin.pac_bayes_bound(1.0, 0, 0.1), ValueError, "N must be at least 1, found 0"),
        (lambda: langevin.pac_bayes_bound(1.0, 10, 1.0), ValueError, "delta must be finite and above 0 and below 1"),
        (lambda: langevin.pac_bayes_bound(1.0, 10, 0.1, "best"), ValueError, "form must be one of"),
        (lambda: langevin.binary_kl(1.5, 0.5), ValueError, "q must be finite and at least 0 and at most 1, found 1.5"),
        (lambda: data.digits(900, flip=0.0, seed=0), ValueError, "N must be at most 800, found 900"),
        (lambda: data.digits(10, flip=1.5, seed=0), ValueError, "flip must be .* at most 1, found 1.5"),
        (lambda: langevin.langevin_run(50.0, 20, 0.0, 0, eta=500.0, steps=60),
         (FloatingPointError, ValueError), r"diverged|finite"),
    ],
)  # fmt: skip
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def ledger_of(stationary=None, times=(0, 1)):
    half = tensor(0.5, 0.5)
    chain = langevin.metropolis_line(half)
    return langevin.ledger(chain, half, half, 1.0, times, half if stationary is None else stationary)
