"""PAC-Bayes bounds and threshold rules: by enumeration, by counting, at the edges."""

import itertools
import math

import pytest
import torch
from langevin_inputs import F64, generator

from implicitly import langevin


def test_bounds_order_and_inverse():
    for K, N in ((0.0, 1), (3.0, 50), (200.0, 1000)):
        maurer, fixed, abstract = (langevin.pac_bayes_bound(K, N, 0.05, f) for f in ("maurer", "fixed", "abstract"))
        assert fixed < maurer and fixed < abstract
        assert (maurer <= abstract) == (math.log(2 * math.sqrt(N)) <= K + math.log(20))
    for q, c in itertools.product((0.0, 0.1, 0.5, 0.97, 1.0), (0.0, 1e-3, 0.2, 3.0)):
        p = langevin.kl_inverse(q, c)
        assert q <= p <= min(1.0, q + math.sqrt(c / 2)) + 1e-8  # kl is flat at p = q
        if p < 1 - 1e-9:
            assert langevin.binary_kl(q, p) == pytest.approx(c, abs=1e-6)


def test_maurer_and_hoeffding_by_enumeration():
    for N, p in ((1, 0.3), (3, 0.5), (6, 0.9)):
        coins = list(itertools.product((0, 1), repeat=N))
        chance = [math.prod(p if x else 1 - p for x in row) for row in coins]
        rows = list(zip(chance, coins, strict=True))
        expectation = sum(w * math.exp(N * langevin.binary_kl(sum(row) / N, p)) for w, row in rows)
        assert langevin.maurer_constant(N, p) == pytest.approx(expectation)
        assert langevin.maurer_constant(N) == pytest.approx(expectation)
        moment = sum(w * math.exp(2.5 * (p - sum(row) / N)) for w, row in rows)
        assert langevin.hoeffding_moment(2.5, N, p) == pytest.approx(moment)


def test_threshold_rules_by_counting():
    train, true = langevin.rule_errors(3, 40, flip=0.6, points=7, generator=generator(5))
    g = generator(5)
    x = torch.randint(7, (3, 40), generator=g)
    coin = torch.rand(3, 40, generator=g)
    y = (x >= 3) ^ (coin < 0.3)
    for rule in range(8):
        wrong = ((x >= rule) != y).double().mean(1)
        torch.testing.assert_close(train[:, rule], wrong)
    many, _ = langevin.rule_errors(4000, 40, flip=0.6, points=7, generator=generator(6))
    assert (many.mean(0) - true).abs().max() < 5 * 0.5 / math.sqrt(4000 * 40)
    _, coins = langevin.rule_errors(1, 4, flip=1.0, points=7, generator=g)
    assert torch.equal(coins, torch.full((8,), 0.5, dtype=F64))


def test_pac_bayes_at_the_edges():
    bk, inverse, moment = langevin.binary_kl, langevin.kl_inverse, langevin.hoeffding_moment
    assert [bk(0, 0), bk(1, 1), bk(0.0, 1.0), bk(1.0, 0.0), bk(0.5, 0.0)] == [0, 0, math.inf, math.inf, math.inf]
    assert bk(1e-20, 2e-20) == pytest.approx(1e-20 * (1 - math.log(2)), rel=1e-12)  # 0 if 1 - q is formed
    assert bk(0.5, 5e-324) == pytest.approx(0.5 * (math.log(0.25) - math.log(5e-324)), rel=1e-12)  # 0.5 / p overflows
    assert inverse(0.3, 0.0) == 0.3 and inverse(1.0, 2.0) == 1.0 and inverse(0.4, 1e300) == 1.0
    near = 1 - 2**-53  # 1 - p cancels in p - q
    assert bk(0.3, near) == pytest.approx(0.3 * math.log(0.3) + 0.7 * (math.log(0.7) + 53 * math.log(2)), rel=1e-12)
    assert bk(0.8, near) == pytest.approx(0.8 * math.log(0.8) + 0.2 * (math.log(0.2) + 53 * math.log(2)), rel=1e-12)
    assert langevin.maurer_constant(5, near) == pytest.approx(langevin.maurer_constant(5), rel=1e-12)
    assert inverse(0.3, 700.0) == 1.0  # once a math domain error
    assert inverse(0.0, 1e-20) == pytest.approx(1e-20, rel=1e-12)
    # e^(lam p) overflows, e^(lam p) times the mean does not: 2000 log cosh(1/2) = 240.23
    assert math.log(moment(2000.0, 2000, 0.5)) == pytest.approx(2000 * math.log(math.cosh(0.5)), rel=1e-12)
    assert moment(-2000.0, 2000, 0.5) == pytest.approx(moment(2000.0, 2000, 0.5), rel=1e-12)
    assert moment(1e6, 10, 0.3) == math.inf and moment(5.0, 3, 0.0) == moment(-5.0, 3, 1.0) == moment(0.0, 3, 0.2) == 1
    assert langevin.pac_bayes_bound(0.0, 2**53, 5e-324) == pytest.approx(
        math.sqrt((math.log(2) + 26.5 * math.log(2) - math.log(5e-324)) / 2**54), rel=1e-12
    )
