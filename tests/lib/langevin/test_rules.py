"""Threshold rules at their edges. What they count: test_pac_bayes; their claims: tests/chapters."""

import math

import pytest
import torch

from implicitly import langevin
from implicitly.langevin import pac_bayes_bound

F64 = torch.float64


def errors(samples=4, N=8, *, flip=0.5, points=5):
    return langevin.rule_errors(samples, N, flip=flip, points=points, generator=torch.Generator().manual_seed(0))


def test_labels_without_noise_and_of_noise_alone():
    train, true = errors(flip=0.0)
    assert (train[:, 2] == 0).all() and true.tolist() == pytest.approx([0.4, 0.2, 0.0, 0.2, 0.4, 0.6])
    assert errors(flip=1.0)[1].tolist() == pytest.approx([0.5] * 6)


def test_one_sample_of_one_example():
    train, _ = errors(1, 1, points=2)
    assert train.shape == (1, 3) and set(train.flatten().tolist()) <= {0.0, 1.0}


def test_at_infinite_temperature_nothing_is_learned():
    train, true = errors()
    account = langevin.train_rules(train, 0.0, [0, 3])
    assert torch.allclose(account.laws, torch.full((2, 4, 6), 1 / 6, dtype=F64))
    found = langevin.rule_failures(account, train, true, beta=0.0, N=8, delta=0.05)
    assert found["bound"] == pac_bayes_bound(0.0, 8, 0.05)  # in float64, not in float32
    assert found["gap"] == pytest.approx(float((true - train).mean(1).max()))


def test_one_rule_has_nowhere_to_go():
    account = langevin.train_rules(torch.tensor([[0.25]], dtype=F64), 3.0, [0, 2])
    assert account.laws.flatten().tolist() == [1.0, 1.0] and account.energy.flatten().tolist() == [0.25, 0.25]


def test_arguments_of_two_runs_are_refused():
    train, true = errors()
    account = langevin.train_rules(train, 5.0, [0, 3])
    count = lambda **changed: langevin.rule_failures(  # noqa: E731
        **dict(account=account, train_error=train, true_error=true, beta=5.0, N=8, delta=0.05) | changed
    )
    assert math.isfinite(count()["bound"])
    for changed, message in (
        (dict(N=7), "N must be the size of train_error's samples, found 7"),
        (dict(beta=50.0), "beta must be the account's, found 50"),
        (dict(train_error=train.flip(0)), "account must be of train_error"),
        (dict(delta=1.5), "delta must be finite and above 0 and below 1, found 1.5"),
    ):
        with pytest.raises(ValueError, match=message):
            count(**changed)
    with pytest.raises(ValueError, match="beta must be so small that every rule keeps some probability, found 100000"):
        langevin.train_rules(train, 1e5, [0, 3])
    with pytest.raises(TypeError, match=r"times\[1\] must be a whole number, found float 2.5"):
        langevin.train_rules(train, 5.0, [0, 2.5])
