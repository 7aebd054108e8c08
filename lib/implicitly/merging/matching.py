"""Which neuron of one network is which of another: assignment by activations or by weights, and correlation.

Assignments are scipy's `linear_sum_assignment`. Ainsworth, Hayase, Srinivasa, "Git Re-Basin" (arXiv 2209.04836) match
in these two ways, among others. Chapter `merging-networks`.
"""

import torch
from torch import Tensor

from .._validate import instance, tensor, whole
from .nets import Net, same_shape

__all__ = [
    "assign",
    "correlations",
    "match_activations",
    "match_weights",
]


def correlations(f: Tensor, g: Tensor) -> Tensor:
    """Pearson correlation of each column of `f` with each of `g`; 0 where a column is constant.

    Args:
        f, g: (n, d) and (n, e), or (B, n, d) and (B, n, e), of one float dtype, n at least 2.

    Returns:
        (d, e) or (B, d, e), in [-1, 1].
    """
    f = tensor("f", f)
    g = tensor("g", g, dtype=f.dtype, device=f.device)
    if f.ndim not in (2, 3) or g.shape[:-1] != f.shape[:-1]:
        raise ValueError(f"g must have the samples of f, {tuple(f.shape[:-1])}, found shape {tuple(g.shape)}")
    if f.shape[-2] < 2:
        raise ValueError(f"f must hold at least two samples, found {f.shape[-2]}")
    return (_standard(f).mT @ _standard(g)).clamp(-1, 1)


def _standard(f: Tensor) -> Tensor:
    """Columns with mean 0 and length 1; a column that is constant up to rounding becomes 0."""
    centred = f - f.mean(-2, keepdim=True)
    length = centred.norm(dim=-2, keepdim=True)
    dead = length <= 1e-5 * f.norm(dim=-2, keepdim=True)
    return torch.where(dead, torch.zeros_like(f), centred / torch.where(dead, torch.ones_like(length), length))


def assign(similarity: Tensor) -> Tensor:
    """The permutation ``p`` with the largest ``sum_k similarity[k, p[k]]``.

    Args:
        similarity: (d, d) or (B, d, d), float32 or float64.

    Returns:
        (d,) or (B, d), int64.
    """
    from scipy.optimize import linear_sum_assignment

    similarity = tensor("similarity", similarity)
    if similarity.ndim not in (2, 3) or similarity.shape[-1] != similarity.shape[-2]:
        raise ValueError(f"similarity must be square, found shape {tuple(similarity.shape)}")
    flat = similarity.detach().reshape(-1, *similarity.shape[-2:]).double().numpy()
    found = [torch.as_tensor(linear_sum_assignment(one, maximize=True)[1]) for one in flat]
    stacked = torch.stack(found) if found else torch.empty(0, similarity.shape[-1])
    return stacked.to(torch.int64).reshape(similarity.shape[:-1])


def _pair(a, b) -> tuple[Net, Net]:
    return same_shape("b", [instance("a", a, Net), instance("b", b, Net)])


def match_activations(a: Net, b: Net, x: Tensor) -> tuple[Tensor, ...]:
    """For each layer the order of b's neurons that makes their activations correlate most with those of a's.

    Args:
        a, b: of the same shape.
        x: inputs as `Net` takes them, at least two.

    Returns:
        Permutations for `Net.permuted`: ``b.permuted(match_activations(a, b, x))`` has a's order.
    """
    a, b = _pair(a, b)
    x = a._inputs(x)
    if x.shape[-2] < 2:
        raise ValueError(f"x must hold at least two inputs, found {x.shape[-2]}")
    return tuple(assign(correlations(f, g)) for f, g in zip(a.layers(x), b.layers(x), strict=True))


def match_weights(a: Net, b: Net, *, sweeps: int = 20) -> tuple[Tensor, ...]:
    """The same from the weights alone: coordinate ascent on the inner product of a's weights with b's, permuted.

    Layer after layer the best permutation is found with the others fixed, until nothing changes. It need not be the
    best one of all layers together.

    Args:
        a, b: of the same shape.
        sweeps: at most so many passes over the layers, at least 1.
    """
    a, b = _pair(a, b)
    sweeps = whole("sweeps", sweeps, at_least=1)
    orders = [torch.arange(d).expand(*a.batch, d).clone() for d in a.widths[1:]]
    for _ in range(sweeps):
        before = [order.clone() for order in orders]
        for l in range(a.depth):
            weight = b.weights[l]
            if l:
                weight = torch.take_along_dim(weight, orders[l - 1][..., None, :], -1)
            alike = a.weights[l] @ weight.mT + a.biases[l][..., :, None] * b.biases[l][..., None, :]
            if l + 1 < a.depth:
                after = torch.take_along_dim(b.weights[l + 1], orders[l + 1][..., :, None], -2)
                alike = alike + a.weights[l + 1].mT @ after
            orders[l] = assign(alike)
        if all(torch.equal(old, new) for old, new in zip(before, orders, strict=True)):
            break
    return tuple(orders)
