"""The page's wheel is the library's: its arcs, its spins, the error of their average and where that passes the cut."""

import math

import numpy as np
import pytest
import torch
from page_functions import planted

from implicitly import low_rank
from implicitly.low_rank import pages
from implicitly_kernels import _rng

F64 = torch.float64


def holds(found, power, r, spins, seed):
    """Whether the page shows what the library's functions give for its spins."""
    sigma = torch.arange(1, 33, dtype=F64) ** -power
    p = low_rank.inclusion_probabilities(sigma, r).p
    spin = _rng.philox(seed, torch.arange(spins), 0, 0)[0].double() / 2**32
    chosen = low_rank.systematic_sample(p.expand(spins, -1), spin=spin)
    hit = torch.zeros(spins, 32, dtype=F64).scatter_(1, chosen, 1.0)
    mean = hit.cumsum(0) / (torch.arange(1, spins + 1)[:, None] * p)
    cut = float(low_rank.expected_error(sigma, r, "galore"))
    error = ((sigma * (mean - 1)).square().sum(1) / cut).numpy()
    T = found["T"][np.isfinite(found["T"])].astype(int)
    once = float(low_rank.crossing(sigma, r))
    ends = np.array([0, *p.cumsum(0)]) / r * 2 * math.pi
    along = np.arctan2(found["arcs"][..., 0], found["arcs"][..., 1]) % (2 * math.pi)
    turn = (spin[-1].item() + np.arange(r)) / r * 2 * math.pi
    shown, exact = np.nan_to_num(found["seen"][: len(T)]), np.isnan(found["seen"][: len(T)])
    return (
        np.array_equal(found["hit"], hit[-1])
        and T[-1] == spins
        and np.allclose(shown, error[T - 1], rtol=1e-9, atol=1e-20)
        and (error[T - 1][exact] < 1e-20).all()
        and found["here"] == pytest.approx(error[-1], rel=1e-9, abs=1e-20)
        and np.allclose(found["expected"][: len(T)], once / T, rtol=1e-9)
        and found["crossing"] == pytest.approx(once, rel=1e-9)
        and (along > ends[:-1, None]).all()
        and (along < ends[1:, None]).all()
        and np.allclose(np.diff(along), 0.88 / 6 * np.diff(ends)[:, None], atol=1e-9)
        and np.allclose(found["hands"][:r, 1], 0.9 * np.stack([np.sin(turn), np.cos(turn)], 1), atol=1e-12)
        and np.isnan(found["hands"][r:]).all()
        and all(np.isnan(found[name][len(T) :]).all() for name in ("T", "seen", "expected"))
    )


def settings():
    rng = np.random.default_rng(6)
    drawn = [(rng.uniform(0, 3), int(rng.integers(1, 32)), int(rng.integers(1, 1001)), int(rng.integers(2**31)))
             for _ in range(40)]  # fmt: skip
    return [*drawn, (0.0, 8, 4, 1), (1.0, 8, 3, 0), (2.0, 1, 1000, 5), (0.0, 31, 1, 2)]


@pytest.mark.parametrize(("power", "r", "spins", "seed"), settings())
def test_the_wheel_is_the_library_s(power, r, spins, seed):
    now = {"power": power, "r": r, "spins": spins, "seed": seed}
    assert holds(pages.wheel(**now), **now)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (">= ends[head]", ">= 1.5 * ends[head]"),  # a smaller head
        ("<= spin + j", "<= spin + 0.99 * j"),  # pointers too near each other
        ("(t * p[i])", "(t * r / M)"),  # not divided by its probability
        ("np.uint32(t - 1)", "np.uint32(t)"),  # another spin
    ],
)
def test_a_planted_fault_is_seen(old, new):
    names = planted(pages, old, new)
    now = {"power": 1.0, "r": 8, "spins": 100, "seed": 3}
    assert holds(pages.wheel(**now), **now) and not holds(names["wheel"](**now), **now)


def test_an_exact_average_is_a_gap():
    """With equal singular values four spins can pick each direction once; a logarithm has no place for 0."""
    found = [pages.wheel(power=0.0, r=8, spins=4, seed=s) for s in range(200)]
    exact = np.array([f["here"] == 0 for f in found])
    assert all(np.isnan(f["seen"][3]) == e for f, e in zip(found, exact, strict=True))
    assert abs(exact.mean() - math.factorial(4) / 4**4) < 5 * math.sqrt(0.1 * 0.9 / 200)


def test_more_spins_go_on_where_fewer_ended():
    few, many = (pages.wheel(power=1.3, r=5, spins=spins, seed=9) for spins in (37, 1000))
    same = np.isin(few["T"][:-1], many["T"]) & np.isfinite(few["T"][:-1]) & (few["T"][:-1] < 37)
    assert np.array_equal(few["seen"][:-1][same], many["seen"][:-1][same])
    beyond = pages.wheel(power=1.3, r=5, spins=2**31 - 1, seed=9)
    assert all(np.array_equal(beyond[k], many[k], equal_nan=True) for k in many)
