"""Valid calls of `implicitly.equivariance.layers`."""

import torch

from calls import Call

F64 = torch.float64
LAYERS = "implicitly.equivariance.layers."


def maps(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def affine():
    return dict(x=maps(2, 3, 4, 4), weight=maps(3, seed=1), bias=maps(3, seed=2))


LIKE = {"x": "rows empty", "weight": "none", "bias": "none"}
NAMES = {"x": "weight bias coefficients temperature"}
CALLS = {
    LAYERS + "activate": Call(
        lambda: dict(x=maps(2, 3, 4, 4), kind="poly", coefficients=maps(3, 3), factor=1.5, size=2),
        accepts={"x": "rows empty", "factor": "none", "size": "none", "coefficients": "dims"},
        names={"kind": "coefficients", **NAMES},
    ),
    LAYERS + "activate#pixels": Call(
        lambda: dict(x=maps(2, 3, 4, 4), kind="gelu", coefficients=None, factor=None, size=2),
        accepts={"x": "rows empty dtype", "size": "none"}, names={"kind": "coefficients"},
    ),
    LAYERS + "downsample": Call(
        lambda: dict(x=maps(2, 4, 4), size=2, low_pass=False), accepts={"x": "rows empty dtype dims"}
    ),
    LAYERS + "circular_conv": Call(
        lambda: dict(x=maps(2, 4, 5, 5), weight=maps(6, 2, 3, 3, seed=1), bias=maps(6), groups=2),
        accepts={"x": "rows empty", "bias": "none"}, names={"x": "weight bias", "groups": "weight", "weight": "bias"},
    ),
    LAYERS + "attend": Call(
        lambda: dict(qkv=maps(2, 12, 3, 3), temperature=1 + maps(2).abs(), kind="softmax"),
        accepts={"qkv": "rows empty", "temperature": "rows"}, names={"qkv": "temperature", "temperature": "qkv"},
    ),
    LAYERS + "sample_norm": Call(
        lambda: dict(**affine(), mean="tokens"), accepts=LIKE, names=NAMES
    ),
    LAYERS + "token_norm": Call(affine, accepts=LIKE, names=NAMES),
}  # fmt: skip
