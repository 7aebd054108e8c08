"""Memorizers, by a beta law and by hash tables: against an integral, the search itself and many lists."""

import itertools
import math

import numpy as np
import pytest
import torch

from implicitly import interpolators
from implicitly.interpolators import hashes


def test_beta_memorizer_against_an_integral():
    q = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    bits, clean = interpolators.beta_memorizer(9)
    for k in (0, 3, 9):
        fit = q**k * (1 - q) ** (9 - k)
        mass = torch.trapezoid(fit, q)
        assert float(bits[k]) == pytest.approx(-math.log2(mass), abs=1e-6)
        assert float(clean[k]) == pytest.approx(float(torch.trapezoid(fit * q, q) / mass), abs=1e-6)


def test_shortest_hash_is_the_first_that_fits():
    flips = torch.tensor([0, 1, 0, 0, 1, 0, 0, 0], dtype=torch.bool)
    rule = interpolators.shortest_hash(flips, seed=3)
    table = np.stack([hashes._hash_bit(np.arange(rule.index + 1, dtype=np.uint64), p, 3) for p in range(8)], 1)
    agree = (table == flips.numpy()).all(1)
    assert agree[-1] and not agree[:-1].any()
    assert rule.density == (1 + rule.index % 8) / 16
    assert rule.bits == math.log2(rule.index + 1)


def test_hash_table_is_what_the_search_tries():
    flips = torch.tensor([0, 1, 0, 0, 1, 0, 0, 0], dtype=torch.bool)
    points = torch.arange(8)
    tables = (interpolators.hash_table(t, points, seed=3) for t in itertools.count())
    assert next(t for t, table in enumerate(tables) if torch.equal(table, flips)) == (
        interpolators.shortest_hash(flips, seed=3).index
    )
    # one point at a time, in any order, the same bits; its density elsewhere
    mixed = torch.tensor([7, 0, 7, 2**40])
    one = torch.cat([interpolators.hash_table(9, p[None], seed=3) for p in mixed])
    assert torch.equal(interpolators.hash_table(9, mixed, seed=3), one)
    share = interpolators.hash_table(5, torch.arange(20_000), seed=1).double().mean()
    assert abs(share - 6 / 16) < 5 * 0.5 / 20_000**0.5


def test_hash_tables_are_fair_coins():
    t = np.arange(80_000, dtype=np.uint64)
    bits = np.stack([hashes._hash_bit(t, p, seed=11) for p in range(6)])
    density = (1 + t % 8) / 16
    for share, p in zip(bits.mean(1), range(6), strict=True):
        assert abs(share - density.mean()) < 5 * 0.5 / 80_000**0.5, p
    # two points of one table are independent given its density
    centred = bits - density
    assert abs((centred[0] * centred[1]).mean()) < 5 * 0.25 / 80_000**0.5


def test_hash_price_against_many_lists():
    N, k, n = 14, 3, 400
    found = [interpolators.shortest_hash(torch.arange(N) < k, seed=s) for s in range(n)]
    bits, density = interpolators.hash_price(N, k)
    assert np.mean([r.bits for r in found]) == pytest.approx(bits, abs=5 * 1.85 / n**0.5)
    assert np.mean([r.density for r in found]) == pytest.approx(density, abs=5 * 0.1 / n**0.5)


def test_shortest_hash_gives_up():
    with pytest.raises(RuntimeError, match="no table among the first 262144 fits 60 labels"):
        interpolators.shortest_hash(torch.arange(60) < 30, seed=0, limit=2**18)
    with pytest.raises(TypeError, match="flips must be bool, found float32"):
        interpolators.shortest_hash(torch.zeros(3), seed=0)


def test_memorizers_without_points_and_with_many():
    bits, clean = interpolators.beta_memorizer(0)
    assert bits.tolist() == [0.0] and clean.tolist() == [0.5]
    bits, density = interpolators.hash_price(4000, 2000)  # 2**-4000 is no float64; the densest tables, 1/2, decide
    assert bits == pytest.approx(4000 + 3 - np.euler_gamma / math.log(2), abs=1e-6) and density == pytest.approx(0.5)
    assert interpolators.shortest_hash(torch.zeros(0, dtype=torch.bool), seed=0) == interpolators.HashRule(0, 1 / 16)


def test_no_table_beyond_the_limit_is_taken():
    flips = torch.arange(20) < 5
    rule = interpolators.shortest_hash(flips, seed=0)
    assert interpolators.shortest_hash(flips, seed=0, limit=rule.index + 1) == rule
    with pytest.raises(RuntimeError, match=f"among the first {rule.index} fits"):
        interpolators.shortest_hash(flips, seed=0, limit=rule.index)
