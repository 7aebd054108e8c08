"""Rounding to p bits, the softmax in it, and descent: against exact cases and other implementations."""

import math

import pytest
import torch

from implicitly import grokking, margins
from implicitly.low_precision import FloatFormat

F64 = torch.float64


def numbers(n=20_000, seed=0):
    dice = torch.Generator().manual_seed(seed)
    size = torch.exp(5 * torch.randn(n, generator=dice, dtype=F64))
    return torch.randn(n, generator=dice, dtype=F64) * size


@pytest.mark.parametrize("bits", [2, 4, 8, 11, 24, 50])
def test_rounding_is_that_of_the_formats(bits):
    x = torch.cat([numbers(), torch.tensor([0.0, 1 + 2.0**-bits, 1 + 3 * 2.0**-bits, -1 - 2.0**-bits], dtype=F64)])
    found = grokking.round_bits(x, bits)
    if bits > 2:
        known = FloatFormat(bits - 1, 10, 511).quantize(x, rounding="nearest", underflow=False)
        assert torch.equal(found, known)
    assert torch.equal(grokking.round_bits(found, bits), found)
    assert torch.equal(grokking.round_bits(-x, bits), -found)


def test_rounding_is_that_of_torch_types():
    x = numbers().float()
    assert torch.equal(grokking.round_bits(x, 8), x.bfloat16().float())
    normal = x[(x.abs() > 1e-4) & (x.abs() < 6e4)]
    assert torch.equal(grokking.round_bits(normal, 11), normal.half().float())
    assert torch.equal(grokking.round_bits(numbers(), 24)[:100], numbers().float().double()[:100])


def test_one_tensor_of_many_formats():
    x, bits = numbers(100), torch.tensor([4, 8, 12])
    found = grokking.round_bits(x.expand(3, 100), bits[:, None])
    for row, p in zip(found, bits.tolist(), strict=True):
        assert torch.equal(row, grokking.round_bits(x, p))


def test_forces_without_rounding_are_those_of_autograd():
    z, y = numbers(40)[:40].clamp(-50, 50).reshape(10, 4).requires_grad_(), torch.arange(10) % 4
    torch.nn.functional.cross_entropy(z, y, reduction="sum").backward()
    for own in grokking.OWN:
        assert torch.allclose(grokking.softmax_forces(z.detach(), y, own=own), z.grad, atol=1e-15)


def test_mended_forces_sum_to_zero_up_to_rounding():
    z, y = 4 * torch.randn(50, 6, generator=torch.Generator().manual_seed(1), dtype=F64), torch.arange(50) % 6
    z = z.round()  # whole numbers, which 8 bits hold
    z[torch.arange(50), y] += 40
    blind, mended = (grokking.softmax_forces(z, y, 8, own=own) for own in grokking.OWN)
    assert (blind.gather(1, y[:, None]) == 0).all()
    assert (blind.sum(1) > 0).all()
    exact = grokking.softmax_forces(z, y, own="sum")
    assert torch.allclose(mended, exact, rtol=4 * 2**-8, atol=0)


def test_at_many_bits_descent_is_that_of_the_kernel():
    X, y = margins.teacher_classes(12, 3, 2, seed=1)
    run = grokking.descend_rounded(X[None], y[None], [50], step_size=0.2, at=[5, 300], rounded="all")
    known = margins.descend(X, y, "cross-entropy", at=[5, 300], step_size=0.2).W[:, 0]
    assert torch.allclose(run.W[:, 0, 0], known, atol=1e-10)
    least = [float(((W[1] - W[0]) @ X.T * (2 * y - 1)).min()) for W in known]
    assert run.margins(X[None], y[None])[:, 0, 0].tolist() == pytest.approx(least)


def test_a_run_that_stopped_is_a_fixed_point():
    X, y = (part[None] for part in margins.teacher_classes(12, 2, 2, seed=2))
    run = grokking.descend_rounded(X, y, [5, 7], step_size=0.25, at=[500, 1000])
    assert torch.equal(run.W[0], run.W[1])
    assert int(run.last_change.max()) < 500
    # one step by hand from there, in 7 bits
    W = run.W[1, 0, 1]
    z = grokking.round_bits(X[0] @ W.T, 7)
    F = grokking.softmax_forces(z, y[0], 7)
    g = grokking.round_bits(F.T @ X[0], 7)
    assert torch.equal(grokking.round_bits(W - grokking.round_bits(0.25 * g, 7), 7), W)


def test_stablemax_is_the_softmax_of_logarithms_and_the_template_is_its_loss():
    z = 5 * torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=F64)
    s = torch.where(z >= 0, z + 1, 1 / (1 - z))
    assert torch.allclose(grokking.stablemax(z), s / s.sum(1, keepdim=True))
    u = torch.linspace(-9, 9, 37, dtype=F64)[:, None]
    loss = -grokking.stablemax(torch.cat([u, -u], 1) / 2)[:, 0].log()
    assert torch.allclose(grokking.STABLEMAX.psi(u), loss)
    assert margins.weights_error(grokking.STABLEMAX, u) < 1e-9
    # the bound on the curvature, by second differences
    h = 1e-3
    bend = (grokking.STABLEMAX.psi(u + h) - 2 * grokking.STABLEMAX.psi(u) + grokking.STABLEMAX.psi(u - h)) / h**2
    assert (bend <= grokking.STABLEMAX.log_curvature(u).exp() + 1e-4).all()


def test_the_limit_is_stationary_and_scales():
    X, y = margins.teacher_classes(10, 3, 2, seed=0)
    V = grokking.inverse_square_limit(X, y)
    Z = margins.constraints(X, y, 2)
    assert torch.allclose(V.flatten(), Z.T @ (Z @ V.flatten()) ** -3, rtol=1e-9)
    assert torch.allclose(grokking.inverse_square_limit(100 * X, y), V / 10, rtol=1e-9)
    with pytest.raises(ValueError, match="separable"):
        grokking.inverse_square_limit(torch.tensor([[1.0], [1.0]], dtype=F64), torch.tensor([0, 1]))


def test_gaps_of_the_types():
    assert grokking.collapse_margin(24) == pytest.approx(math.log(2 / torch.finfo(torch.float32).eps))
    assert grokking.smallest_update(24) == torch.finfo(torch.float32).eps / 4
