"""The explorers of fp4-training compute what the library does, at random settings."""

import numpy as np
import pytest
import torch
from page_functions import planted

from implicitly.low_precision import E2M1, BlockFormat, pages, round_to_grid
from implicitly_kernels import _rng

F64 = torch.float64
SETTINGS = np.random.default_rng(4)


def words(seed, count, draw):
    """The first words of a draw: word i mod 4 of counter i // 4."""
    counters = torch.arange(-(-count // 4))
    return torch.stack(_rng.philox(seed, counters, 0, draw), 1).reshape(-1)[:count]


def uniform(seed, count, draw):
    return (words(seed, count, draw) >> 8).to(F64) / 2**24


def crowd(seed, outlier):
    """The numbers of the explorer `block`, float32."""
    a, b, c, d = words(seed, pages.ROWS * pages.COLUMNS, 0).reshape(-1, 4).T
    pairs = [*_rng.normal_pair(a, b), *_rng.normal_pair(c, d)]
    x = torch.stack(pairs, 1).reshape(pages.ROWS, pages.COLUMNS)
    x[:, 0] = x.abs().amax(1) * torch.tensor(outlier, dtype=torch.float32)
    return x


def error(x, form):
    miss = (form.quantize(x).double() - x.double())[:, 1:].square().sum()
    return float(miss / x[:, 1:].double().square().sum())


def holds(found, kind, block, outlier, number, seed):
    """Whether the explorer shows what `BlockFormat` makes of its numbers."""
    x, form = crowd(seed, outlier), BlockFormat(block, kind)
    scale = form.scales(x)[0, 0]
    ours = x[0, :block].abs()
    seen = ours <= 6
    grid = (torch.tensor(E2M1) * scale).double()
    share = min(number / float(scale), 6.0)
    below = max(v for v in E2M1 if v <= share)
    above = min(v for v in E2M1 if v >= share)
    chance = (share - below) / (above - below) if above > below else 0.0
    upper = (torch.tensor(chance) > uniform(seed, pages.THROWS, 1)).double().mean()
    return (
        found["scale"] == pytest.approx(float(scale), rel=1e-6)
        and found["here"][0] == pytest.approx(error(x, form), rel=1e-5)
        and found["cost"] == pytest.approx([error(x, BlockFormat(b, kind)) for b in pages.SIZES], rel=1e-5)
        and np.allclose(found["inside"][:block][seen.numpy(), 0], ours[seen], rtol=1e-6)
        and np.allclose(found["inside"][:block][seen.numpy(), 1], form.quantize(x)[0, :block].abs()[seen], rtol=1e-6)
        and np.isnan(found["inside"][block:]).all()
        and np.isin(np.round(found["steps"] / float(scale), 5), E2M1).all()
        and (found["mean"] == np.minimum(found["span"], float(grid[-1]))).all()
        and [found["low"], found["high"]] == pytest.approx([below * float(scale), above * float(scale)], rel=1e-6)
        and found["here"][1:] == pytest.approx([chance, float(upper)], abs=1e-5)
    )


def random_block():
    rng = SETTINGS
    return {
        "kind": pages.SCALE_KINDS[rng.integers(5)],
        "block": int(rng.integers(2, 129)),
        "outlier": float(10 ** rng.uniform(0, 3)),
        "number": float(rng.uniform(0, 6)),
        "seed": int(rng.integers(2**31)),
    }


def test_a_block_is_the_library_s():
    for kind in pages.SCALE_KINDS:
        for _ in range(4):
            now = random_block() | {"kind": kind}
            assert holds(pages.in_block(**now), **now), now


def test_the_staircase_is_rounding_to_nearest():
    for _ in range(10):
        now = random_block()
        found = pages.in_block(**now)
        at = SETTINGS.uniform(0, 6, 50)
        scale = float(found["scale"])
        kept = round_to_grid(torch.tensor(at / scale).clamp_max(6.0), E2M1) * scale
        assert np.interp(at, found["x"], found["steps"]) == pytest.approx(kept.numpy(), rel=1e-6), now


@pytest.mark.parametrize(
    ("old", "new"), [("F32(2688)", "F32(2000)"), ("max(start, 1)", "start"), ("kind == 4", "True")]
)
def test_a_planted_fault_in_a_block_is_seen(old, new, monkeypatch):
    """Another tensor scale, the outlier counted with its neighbours, the standard's scale rounded up."""
    kind = "e8m0 floor" if "kind" in old else "e4m3 nearest"
    names = planted(pages, old, new)
    monkeypatch.setattr(pages, "in_block", names["in_block"])
    now = {"kind": kind, "block": 16, "outlier": 3.0, "number": 1.5, "seed": 0}
    assert not holds(pages.in_block(**now), **now)


def sums_hold(found, rounding, gradient, seed):
    each = torch.full((1000,), gradient, dtype=F64)
    coin = uniform(seed, 1000, 0) if rounding == "coin" else None
    total = round_to_grid(each, [k / 2 for k in range(9)], coin).cumsum(0)
    kept = torch.cat([torch.zeros(1), total])[::10]
    return (
        np.array_equal(found["kept"], kept)
        and np.allclose(found["true"], gradient * np.arange(0, 1001, 10))
        and np.allclose(found["left"], [float(total[-1]), 1000 * gradient])
        and np.array_equal(found["n"], np.arange(0, 1001, 10))
    )


def test_a_sum_is_the_library_s():
    for gradient in [0.0, 0.25, 0.5, *SETTINGS.uniform(0, 0.5, 20).tolist()]:
        for rounding in ("nearest", "coin"):
            now = {"rounding": rounding, "gradient": gradient, "seed": int(SETTINGS.integers(2**31))}
            assert sums_hold(pages.add_up(**now), **now), now


def test_other_throws_are_seen():
    now = {"rounding": "coin", "gradient": 0.2, "seed": 3}
    assert not sums_hold(pages.add_up(**now | {"seed": 4}), **now)
