"""The layers of a network that commutes with shifts, and the usual ones that do not.

Images are (B, C, n, n), float32 or float64; pixels of the last grid are the tokens. Chapter `alias-free-vit`, claims C1
to C5. What resamples and what attends across channels runs in the kernels `up_act_down` and `xca`.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from implicitly_kernels import cross_covariance_attention, up_act_down

from .._validate import choice, flag, number, tensor, whole
from .signals import image, resample

__all__ = [
    "ACTIVATIONS",
    "ATTENTIONS",
    "GELU_LIKE",
    "activate",
    "attend",
    "circular_conv",
    "downsample",
    "sample_norm",
    "token_norm",
]

ACTIVATIONS = ("identity", "poly", "gelu", "relu")
ATTENTIONS = ("cross-covariance", "linear", "softmax", "feature map", "over channels")
#: Where the released code starts its quadratic: c0, c1, c2.
GELU_LIKE = (0.01694, 0.5, 0.30784)


def activate(
    x: Tensor, kind: str, *, coefficients: Tensor | None = None, factor: float | None = 2.0, size: int | None = None
) -> Tensor:
    """A function of single values, on a finer grid: up-sample, apply, low-pass and down-sample.

    Args:
        x: (B, C, n, n).
        kind: one of `ACTIVATIONS`.
        coefficients: for "poly", ``c0 + c1 x + c2 x^2``: (3,) or one row a channel, (C, 3), of the dtype of x.
        factor: the fine grid has ``round(factor n)`` points a side, at least n; None applies the function to the pixels
            and then, where `size` is smaller than n, the low-pass.
        size: points a side of the output, from 1 to n; left out, n.

    Returns:
        (B, C, size, size).

    >>> activate(torch.ones(1, 1, 4, 4), "relu")[0, 0, 0].tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    x, kind = image("x", x, dims=4), choice("kind", kind, ACTIVATIONS)
    n = x.shape[-1]
    size = n if size is None else whole("size", size, at_least=1, at_most=n)
    if kind == "poly":
        tensor("coefficients", coefficients, dtype=x.dtype, device=x.device)
        if coefficients.shape not in ((3,), (x.shape[1], 3)):
            wanted = f"(3,) or ({x.shape[1]}, 3)"
            raise ValueError(f"coefficients must have shape {wanted}, found {tuple(coefficients.shape)}")
    elif coefficients is not None:
        raise ValueError(f"coefficients must be None unless kind is 'poly', found them with {kind!r}")
    if factor is not None:
        factor = number("factor", factor, at_least=1.0, at_most=64.0)
        return up_act_down(x, kind, coefficients=coefficients, factor=factor, size=size)
    if kind == "poly":
        c0, c1, c2 = coefficients.reshape(-1, 3, 1, 1).unbind(1)
        x = c0 + x * (c1 + c2 * x)
    elif kind != "identity":
        x = F.gelu(x) if kind == "gelu" else F.relu(x)
    return x if size == n else resample(x, size)


def downsample(x: Tensor, size: int, *, low_pass: bool = True) -> Tensor:
    """A coarser grid: every (n / size)-th pixel, after the ideal low-pass or without it.

    Args:
        x: (..., n, n).
        size: points a side of the output; with a plain stride a divisor of n, else from 1 to n.
        low_pass: whether frequencies from size / 2 on are removed first.

    >>> downsample(torch.eye(4), 2, low_pass=False).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    x = image("x", x)
    n = x.shape[-1]
    size = whole("size", size, at_least=1, at_most=n)
    if flag("low_pass", low_pass):
        return resample(x, size)
    if n % size:
        raise ValueError(f"size must divide {n} for a plain stride, found {size}")
    return x[..., :: n // size, :: n // size]


def circular_conv(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, groups: int = 1) -> Tensor:
    """Convolution with stride 1 around the edges.

    Args:
        x: (B, C, n, n).
        weight: (out, C / groups, w, w), w odd and at most 2 n + 1, of the dtype of x.
        bias: (out,), or None.
        groups: as for ``torch.nn.functional.conv2d``; C makes the convolution depthwise.

    Returns:
        (B, out, n, n).
    """
    x, groups = image("x", x, dims=4), whole("groups", groups, at_least=1)
    tensor("weight", weight, shape=("out", "in", "w", "w"), dtype=x.dtype, device=x.device)
    out, inner, w, wide = weight.shape
    if w != wide or w % 2 == 0 or w // 2 > x.shape[-1]:
        raise ValueError(f"weight must end in two equal odd sizes of at most 2 n + 1, found {tuple(weight.shape)}")
    if inner * groups != x.shape[1] or out % groups:
        raise ValueError(f"weight must fit {x.shape[1]} channels in {groups} groups, found {tuple(weight.shape)}")
    if bias is not None:
        tensor("bias", bias, shape=(out,), dtype=x.dtype, device=x.device)
    return F.conv2d(F.pad(x, (w // 2,) * 4, mode="circular"), weight, bias, groups=groups)


def attend(qkv: Tensor, temperature: Tensor, kind: str) -> Tensor:
    """Attention between the pixels of a map, from queries, keys and values.

    Args:
        qkv: (B, 3 C, n, n), float32 or float64: C channels of queries, of keys, of values.
        temperature: one positive number a head, (H,), of the dtype of qkv; H divides C, and d = C / H.
        kind: "cross-covariance": ``A = softmax(temperature Qn^T Kn)`` (d, d), queries and keys normalized over tokens,
            output ``V A^T``; "over channels": the same, normalized over the channels of each token;
            "linear": ``temperature Q (K^T V) / N``; "feature map": ``f(temperature Q) (f(K)^T V)``, f = elu + 1, each
            token divided by its sum of weights; "softmax": ``softmax(temperature Q K^T / sqrt(d)) V``, (N, N).

    Returns:
        (B, C, n, n).
    """
    qkv, kind = image("qkv", qkv, dims=4), choice("kind", kind, ATTENTIONS)
    temperature = tensor("temperature", temperature, shape=("H",), dtype=qkv.dtype, device=qkv.device, above=0.0)
    B, C3, n, _ = qkv.shape
    H = len(temperature)
    if C3 % 3 or not H or (C3 // 3) % H:
        raise ValueError(f"qkv must have 3 C channels, C a multiple of the {H} heads of temperature, found {C3}")
    q, k, v = qkv.reshape(B, 3, H, C3 // 3 // H, n * n).transpose(3, 4).unbind(1)  # (B, H, N, d)
    t = temperature[:, None, None]
    if kind == "cross-covariance":
        out = cross_covariance_attention(q, k, v, temperature)
    elif kind == "over channels":
        A = torch.softmax(t * (F.normalize(q, dim=3).mT @ F.normalize(k, dim=3)), -1)
        out = v @ A.mT
    elif kind == "linear":
        out = t * (q @ (k.mT @ v)) / n**2
    elif kind == "feature map":
        q, k = F.elu(t * q) + 1, F.elu(k) + 1
        out = (q @ (k.mT @ v)) / (q @ k.sum(2, keepdim=True).mT)
    else:
        out = torch.softmax(t * (q @ k.mT) / q.shape[-1] ** 0.5, -1) @ v
    return out.transpose(2, 3).reshape(B, C3 // 3, n, n)


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None:
            tensor(name, value, shape=(x.shape[1],), dtype=x.dtype, device=x.device)
    x = x if weight is None else x * weight[:, None, None]
    return x if bias is None else x + bias[:, None, None]


def sample_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, mean: str = "channels"
) -> Tensor:
    """Divide an image's map by one number: its standard deviation over tokens and channels.

    Args:
        x: (B, C, n, n).
        weight, bias: one number a channel, (C,), or None.
        mean: what is subtracted first, the mean over "channels" (one number a token) or over "tokens" (one a channel).
    """
    x = image("x", x, dims=4)
    choice("mean", mean, ("channels", "tokens"))
    x = x - x.mean((1,) if mean == "channels" else (2, 3), keepdim=True)
    x = x / (x.square().mean((1, 2, 3), keepdim=True) + 1e-6).sqrt()
    return _affine(x, weight, bias)


def token_norm(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """The usual layer norm: each token minus its mean over channels, divided by its own standard deviation.

    Args:
        x: (B, C, n, n).
        weight, bias: one number a channel, (C,), or None.
    """
    x = image("x", x, dims=4)
    x = x - x.mean(1, keepdim=True)
    return _affine(x / (x.square().mean(1, keepdim=True) + 1e-6).sqrt(), weight, bias)
