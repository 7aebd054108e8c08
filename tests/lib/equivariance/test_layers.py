"""Layers against their definitions, and what they do to a shift."""

import pytest
import torch
from torch.nn import functional as F

from implicitly.equivariance import (
    activate,
    attend,
    circular_conv,
    downsample,
    equivariance_error,
    points_needed,
    random_images,
    resample,
    sample_norm,
    token_norm,
)

F64 = torch.float64
S = (0.3, 0.71)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def maps(*shape, seed=0):
    return random_images(shape, generator=rng(seed))


@pytest.mark.parametrize("kind", ["poly", "gelu", "relu", "identity"])
def test_activate_is_up_f_down(kind):
    x, c = maps(2, 3, 6, 6), torch.randn(3, 3, generator=rng(), dtype=F64)
    f = {"poly": lambda u: c[:, 0, None, None] + c[:, 1, None, None] * u + c[:, 2, None, None] * u**2,
         "gelu": F.gelu, "relu": F.relu, "identity": lambda u: u}[kind]  # fmt: skip
    given = dict(coefficients=c if kind == "poly" else None)
    assert torch.allclose(activate(x, kind, factor=1.5, size=4, **given), resample(f(resample(x, 9)), 4), atol=1e-13)
    assert torch.allclose(activate(x, kind, factor=None, **given), f(x), atol=1e-13)
    assert torch.allclose(activate(x, kind, factor=None, size=4, **given), resample(f(x), 4), atol=1e-13)


@pytest.mark.parametrize("degree", [2])
@pytest.mark.parametrize(("n", "m"), [(16, 16), (16, 8), (9, 9), (10, 5)])
def test_threshold(degree, n, m):
    """Exact on the grid of `points_needed`, and not on one point less."""
    x, c = maps(2, 1, n, n), torch.tensor([0.1, 0.5, 0.3], dtype=F64)
    M = points_needed(degree, n, kept=m)
    at = [equivariance_error(
        lambda z, M=M: activate(z, "poly", coefficients=c, factor=M / n, size=m), x, S) for M in (M, M - 1)
    ]  # fmt: skip
    assert at[0] < 1e-13 and at[1] > 1e-3


def test_downsample():
    x = maps(2, 8, 8)
    assert torch.equal(downsample(x, 4, low_pass=False), x[:, ::2, ::2])
    assert torch.allclose(downsample(x, 4), resample(x, 8)[:, ::2, ::2] - (
        resample(x, 8) - resample(resample(x, 4), 8))[:, ::2, ::2], atol=1e-13)  # fmt: skip
    assert equivariance_error(lambda z: downsample(z, 4), x, S) < 1e-13
    assert equivariance_error(lambda z: downsample(z, 4, low_pass=False), x, S) > 0.1


def test_circular_conv_is_a_sum_of_rolls():
    x, w = maps(1, 2, 5, 5), torch.randn(3, 2, 3, 3, generator=rng(1), dtype=F64)
    b = torch.randn(3, generator=rng(2), dtype=F64)
    rolls = sum(torch.einsum("oc,bcij->boij", w[..., u, v], x.roll((1 - u, 1 - v), (2, 3)))
                for u in range(3) for v in range(3))  # fmt: skip
    assert torch.allclose(circular_conv(x, w, b), rolls + b[:, None, None], atol=1e-13)
    assert equivariance_error(lambda z: circular_conv(z, w), x, S) < 1e-13


def heads(qkv, H):
    B, C, n, _ = qkv.shape
    return [part.reshape(B, H, C // 3 // H, n * n).transpose(2, 3) for part in qkv.chunk(3, 1)]


def test_attention_by_its_definition():
    qkv, t = maps(2, 12, 3, 3), torch.tensor([0.7, 2.0], dtype=F64)
    q, k, v = heads(qkv, 2)
    theta = t[:, None, None]
    unit = [z / z.norm(dim=2, keepdim=True) for z in (q, k)]
    per_token = [z / z.norm(dim=3, keepdim=True) for z in (q, k)]
    weights = torch.exp(theta * (q @ k.mT) / 2**0.5)
    mapped = [F.elu(theta * q) + 1, F.elu(k) + 1]
    mapped = mapped[0] @ mapped[1].mT
    says = {
        "cross-covariance": v @ torch.softmax(theta * (unit[0].mT @ unit[1]), -1).mT,
        "over channels": v @ torch.softmax(theta * (per_token[0].mT @ per_token[1]), -1).mT,
        "linear": theta * (q @ k.mT @ v) / 9,
        "softmax": weights / weights.sum(-1, keepdim=True) @ v,
        "feature map": mapped / mapped.sum(-1, keepdim=True) @ v,
    }
    for kind, out in says.items():
        found = attend(qkv, t, kind)
        found = found.reshape(2, 2, 2, 9).transpose(2, 3)
        # (weights v: values of the last 4 channels, 2 heads of 2)
        assert torch.allclose(found, out, atol=1e-12), kind


def test_what_attention_does_to_shifts():
    qkv, t = maps(2, 12, 8, 8), torch.full((2,), 2.0, dtype=F64)
    error = {kind: [equivariance_error(lambda z, kind=kind: attend(z, t, kind), qkv, s) for s in (S, (1, 2))]
             for kind in ("cross-covariance", "linear", "softmax", "feature map", "over channels")}  # fmt: skip
    assert max(e[1] for e in error.values()) < 1e-13
    assert max(error["cross-covariance"][0], error["linear"][0]) < 1e-13
    assert min(error[kind][0] for kind in ("softmax", "feature map", "over channels")) > 1e-2


def test_norms():
    x = 3 + maps(2, 4, 8, 8)
    y = sample_norm(x)
    assert y.mean(1).abs().max() < 1e-13
    assert torch.allclose(y.square().mean((1, 2, 3)), torch.ones(2, dtype=F64), atol=1e-5)
    assert sample_norm(x, mean="tokens").mean((2, 3)).abs().max() < 1e-13
    other = F.layer_norm(x.permute(0, 2, 3, 1), (4,), eps=1e-6).permute(0, 3, 1, 2)
    assert torch.allclose(token_norm(x), other, atol=1e-12)
    w, b = torch.randn(2, 4, generator=rng(), dtype=F64)
    assert torch.allclose(token_norm(x, w, b), other * w[:, None, None] + b[:, None, None], atol=1e-12)
    assert equivariance_error(sample_norm, x, S) < 1e-13 < 1e-2 < equivariance_error(token_norm, x, S)
