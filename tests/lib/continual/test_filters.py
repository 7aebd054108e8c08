"""Filters: their limits, their effective step sizes, and schedules with their edge cases."""

import math

import pytest
import torch

from implicitly.continual import effective_step, shrink, step_schedule, strength_for

F64 = torch.float64
S2 = torch.linspace(0, 1, 101, dtype=F64)


def test_limits():
    projection = shrink(S2, "projection")
    assert torch.equal(projection, (S2 > 0).to(F64))
    assert torch.equal(shrink(S2, "ridge", 0.0), projection)
    torch.testing.assert_close(shrink(S2, "ridge", 1e-12)[1:], projection[1:], rtol=0, atol=1e-9)
    torch.testing.assert_close(shrink(S2, "budget", 10**5, gamma=1.0), projection, rtol=0, atol=1e-15)
    torch.testing.assert_close(shrink(S2, "budget", 1, gamma=0.7), 0.7 * S2, rtol=0, atol=1e-15)
    torch.testing.assert_close(shrink(S2, "budget", 7, gamma=0.7), 1 - (1 - 0.7 * S2) ** 7, rtol=0, atol=1e-14)
    assert shrink(S2.float(), "budget", 7, gamma=0.7).dtype == torch.float32
    # log1p keeps what 1 - (1 - x)^N loses
    tiny = torch.tensor([1e-20], dtype=F64)
    assert shrink(tiny, "budget", 3, gamma=1.0).item() == pytest.approx(3e-20, rel=1e-14)


CASES = [("ridge", lam, None, R) for lam in (0.01, 1.0, 30.0) for R in (0.5, 1.0, 3.0)] + [
    ("budget", N, share, R) for N in (1, 2, 7, 60) for share in (0.02, 0.5, 1.0) for R in (0.5, 1.0, 3.0)
]


@pytest.mark.parametrize("kind, strength, share, R", CASES)
def test_a_step_of_size_h_on_a_surrogate_that_bounds_the_loss(kind, strength, share, R):
    """With g = h b: b <= 1 is smoothness, and s2 <= R^2 b is ``L <= 2 R^2 f``; both with equality at s2 = R^2."""
    gamma = None if share is None else share / R**2
    h = effective_step(kind, strength, R=R, gamma=gamma).item()
    b = shrink(R**2 * S2, kind, strength, gamma=gamma) / h
    assert b.max() <= 1 + 1e-12
    assert (b + 1e-12 >= S2).all()
    assert b[-1].item() == pytest.approx(1, rel=1e-12)


def test_less_than_one_gradient_step_would_break_the_surrogate():
    """Why N must be a whole number: for N = 1/2 the same formulas do not bound the loss."""
    s2 = S2[1:-1]
    b = (1 - (1 - 0.5 * s2) ** 0.5) / (1 - 0.5**0.5)
    assert (s2 > b + 1e-3).any()
    with pytest.raises(ValueError, match=r"strength must be at least 1, found 0\.5"):
        shrink(S2, "budget", 0.5, gamma=0.5)
    with pytest.raises(ValueError, match="strength must hold whole numbers"):
        shrink(S2, "budget", 1.5, gamma=0.5)


def test_strength_is_the_inverse():
    h = torch.tensor([[1.0, 0.5], [0.2, 1e-3]], dtype=F64)
    lam = strength_for("ridge", h, R=2.0)
    assert lam[0].tolist() == [0.0, 4.0]  # lam = R^2 at h = 1/2
    torch.testing.assert_close(effective_step("ridge", lam, R=2.0), h, rtol=1e-14, atol=0)
    N = torch.tensor([1.0, 2.0, 9.0, 100.0], dtype=F64)
    h = effective_step("budget", N, R=2.0, gamma=0.02)
    assert torch.equal(strength_for("budget", h, R=2.0, gamma=0.02), N)
    assert math.log(0.5) / math.log(0.9) == pytest.approx(6.6, abs=0.05)
    assert strength_for("budget", 0.5, gamma=0.1).item() == 7


def test_edge_cases():
    assert effective_step("projection").item() == 1
    assert effective_step("budget", 1, gamma=1.0).item() == 1  # one step is no projection, and yet h = 1
    assert strength_for("budget", 1.0, gamma=1.0).item() == 1
    for h, gamma, match in ((0.5, 1.0, "h must be 1 where gamma"), (1.0, 0.5, "h must be below 1 for a budget"),
                            (0.1, 0.5, "h must be at least gamma R.2 = 0.5")):  # fmt: skip
        with pytest.raises(ValueError, match=match):
            strength_for("budget", h, gamma=gamma)
    with pytest.raises(ValueError, match=r"gamma must be finite and above 0 and at most 0\.25"):
        effective_step("budget", 3, R=2.0, gamma=0.3)
    with pytest.raises(ValueError, match="gamma must be left out"):
        shrink(S2, "ridge", 1.0, gamma=0.1)
    with pytest.raises(ValueError, match="strength must be left out"):
        shrink(S2, "projection", 1.0)


def test_schedules():
    assert [step_schedule("fixed", k)[0].item() for k in (1, 2)] == [1.0, 1.0]  # ln k < 1 would make h > 1
    assert step_schedule("fixed", 10)[0].item() == pytest.approx(1 / math.log(10), rel=1e-15)
    assert [round(1 / step_schedule("fixed", k)[0].item() - 1, 2) for k in (10, 100, 10**4)] == [1.30, 3.61, 8.21]
    h = step_schedule("increasing", 9, h0=0.5)
    torch.testing.assert_close(h, torch.tensor([0.5 * (9 - t + 1) / 10 for t in range(9)], dtype=F64), rtol=0, atol=0)
    assert torch.equal(step_schedule("reversed", 9, h0=0.5), h.flip(0))
    # The increasing schedule as strengths: lam_t = (k + 1) / (h0 (k - t + 1)) - 1, weak at first.
    lam = strength_for("ridge", h)
    torch.testing.assert_close(lam, torch.tensor([10 / (0.5 * (10 - t)) - 1 for t in range(9)], dtype=F64))
    # With gamma R^2 = h0 / (k + 1) a budget follows it down to the end: N does not increase, and ends above 1.
    N = strength_for("budget", h, gamma=0.5 / 10)
    assert (N.diff() <= 0).all() and N[-1] >= 1
    with pytest.raises(ValueError, match="h0 must be given"):
        step_schedule("increasing", 9)
    with pytest.raises(ValueError, match="h0 must be left out"):
        step_schedule("none", 9, h0=0.5)
