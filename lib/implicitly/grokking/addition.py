"""Addition modulo n, learned by small networks from a share of all pairs: whether they grok, and what keeps them.

A network has a vector of `width` for each first and each second summand; the rectified sum of the two, times a matrix,
gives n logits. Training is Adam on the mean cross-entropy of all training pairs, in float32, without biases.
Chapter `grokking-precision`, C5. Bad arguments raise TypeError or ValueError.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._validate import choice, flag, number, tensor, whole, wholes
from .._validate import seed as checked_seed
from .precision import OWN, _forces, _power

__all__ = ["AdditionRun", "train_addition"]

_CURVES = ("train", "test", "risk", "norm", "gradient", "collapsed")


@dataclass(frozen=True, eq=False)
class AdditionRun:
    """Networks of S seeds, recorded at T step counts; every tensor is ``(T, S)`` float64.

    Args:
        at: the T step counts, increasing.
        train, test: share of right answers on pairs that are trained on, and on all others.
        risk: mean cross-entropy of the training pairs, computed without rounding in float64.
        norm: length of all weights. gradient: length of the gradient that the step uses, before any projection.
        collapsed: share of training pairs whose own entry of the gradient is exactly 0.
    """

    at: tuple[int, ...]
    train: Tensor
    test: Tensor
    risk: Tensor
    norm: Tensor
    gradient: Tensor
    collapsed: Tensor

    def __post_init__(self):
        at = wholes("at", self.at, at_least=0, increase=True)
        object.__setattr__(self, "at", at)
        S = tensor("train", self.train, shape=(len(at), "S"), dtype=torch.float64).shape[1]
        for name in _CURVES:
            most = 1.0 if name in ("train", "test", "collapsed") else None
            tensor(name, getattr(self, name), shape=(len(at), S), dtype=torch.float64, at_least=0.0, at_most=most)


def _split(n, share, seed):
    """(first summand, second, sum) of the pairs that are trained on, and of all others: two tensors (3, .)."""
    first = torch.arange(n).repeat_interleave(n)
    second = torch.arange(n).repeat(n)
    order = torch.randperm(n * n, generator=torch.Generator().manual_seed(seed))
    pairs = torch.stack([first, second, (first + second) % n])[:, order]
    known = round(share * n * n)
    return pairs[:, :known], pairs[:, known:]


def _first_weights(n, width, scale, seed):
    """Entries of variance scale^2 / 2 in the vectors and scale^2 * 2 / width in the matrix, Gaussian."""
    dice = torch.Generator().manual_seed(seed)
    sizes = ((n, width, 0.5**0.5), (n, width, 0.5**0.5), (width, n, (2 / width) ** 0.5))
    draw = [torch.randn(a, b, generator=dice, dtype=torch.float32) for a, b, _ in sizes]
    return [scale * size * entries for entries, (_, _, size) in zip(draw, sizes, strict=True)]


def _length(tensors) -> Tensor:
    return sum(t.double().square().sum((1, 2)) for t in tensors).sqrt()


def train_addition(
    n: int,
    width: int,
    *,
    seeds: Sequence[int],
    at: Sequence[int],
    share: float = 0.75,
    rate: float = 0.01,
    bits: int | None = None,
    own: str = "difference",
    decay: float = 0.0,
    orthogonal: bool = False,
    scale: float = 1.0,
) -> AdditionRun:
    """Train networks on addition modulo n, one for each seed, and record how they do.

    Adam has betas 0.9 and 0.999 and eps 1e-8, and takes all training pairs in each step.

    Args:
        n: modulus, 2 to 200. width: at least 1.
        seeds: of the split and of the first weights, S of them.
        at: increasing step counts to record at, 0 allowed; training ends at the last.
        share: of the pairs that are trained on, above 0 and below 1; at least one pair is left out.
        rate: of Adam, above 0, at most 10.
        bits: p of the softmax, as in `softmax_forces`, 2 to 21; None is float32.
        own: how the entry of the own class is computed, one of `OWN`.
        decay: decoupled weight decay, times the rate; at least 0, at most 1 / rate.
        orthogonal: take from the gradient of each of the three tensors its part along that tensor (perp-Grad).
        scale: of the first weights, 1e-6 to 100.

    >>> run = train_addition(5, 16, seeds=[0], at=[0, 100])
    >>> run.train[-1].tolist()
    [1.0]
    """
    n, width = whole("n", n, at_least=2, at_most=200), whole("width", width, at_least=1)
    seeds = tuple(checked_seed(f"seeds[{i}]", s) for i, s in enumerate(wholes("seeds", seeds, at_least=0)))
    at = wholes("at", at, at_least=0, increase=True)
    share = number("share", share, above=0.0, below=1.0)
    if not 0 < round(share * n * n) < n * n:
        raise ValueError(f"share must leave pairs on both sides, found {share:.6g} of {n * n}")
    rate, scale = number("rate", rate, above=0.0, at_most=10.0), number("scale", scale, at_least=1e-6, at_most=100.0)
    decay = number("decay", decay, at_least=0.0, at_most=1 / rate)
    power = None if bits is None else _power(whole("bits", bits, at_least=2, at_most=21), torch.float32)
    choice("own", own, OWN)
    orthogonal = flag("orthogonal", orthogonal)
    splits = [_split(n, share, s) for s in seeds]
    known, others = (torch.stack(part).transpose(0, 1) for part in zip(*splits, strict=True))  # (3, S, .)
    weights = [torch.stack(part).requires_grad_() for part in
               zip(*(_first_weights(n, width, scale, s) for s in seeds), strict=True)]  # fmt: skip
    row = torch.arange(len(seeds))[:, None]
    target = torch.nn.functional.one_hot(known[2], n).to(torch.float32)

    def logits(pairs):
        first, second, last = weights
        return torch.relu(first[row, pairs[0]] + second[row, pairs[1]]) @ last

    def right(z, pairs):
        return (z.argmax(-1) == pairs[2]).double().mean(1)

    mean = [torch.zeros_like(w) for w in weights]
    square = [torch.zeros_like(w) for w in weights]
    rows = []
    for t in range(at[-1] + 1):
        z = logits(known)
        with torch.no_grad():
            forces = _forces(z, target, power, own)
        gradient = torch.autograd.grad(z, weights, forces / known.shape[2])
        with torch.no_grad():
            if t in at:
                own_entry = (forces * target).sum(-1)
                risk = -z.double().log_softmax(-1).gather(-1, known[2][..., None])[..., 0].mean(1)
                rows.append((right(z, known), right(logits(others), others), risk, _length(weights),
                             _length(gradient), (own_entry == 0).double().mean(1)))  # fmt: skip
            for w, g, m, v in zip(weights, gradient, mean, square, strict=True):
                if orthogonal:
                    g = g - (g * w).sum((1, 2), keepdim=True) / w.square().sum((1, 2), keepdim=True) * w
                m.lerp_(g, 0.1)
                v.mul_(0.999).addcmul_(g, g, value=0.001)
                w.mul_(1 - rate * decay)
                size = (v / (1 - 0.999 ** (t + 1))).sqrt() + 1e-8
                w.addcdiv_(m, size, value=-rate / (1 - 0.9 ** (t + 1)))
    curves = [torch.stack(column).clamp(min=0.0) for column in zip(*rows, strict=True)]
    if not all(bool(c.isfinite().all()) for c in curves):
        raise ValueError(f"rate must be one that training survives, found {rate:.6g}")
    return AdditionRun(at, *curves)
