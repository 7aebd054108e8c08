"""A small transformer as plain weights, and its merging by the fold and by distillation. Chapter `merging-networks`.

Digits come as 16 tokens, patches of 2 x 2 pixels. Two blocks with layer norms in front of attention and of a two-layer
network, a last layer norm, the mean over tokens. Each linear map that writes, into the stream or into a block's inside,
is followed by a merge of its own, and each that reads is preceded by an un-merge of its own, behind the layer norm, at
the merged width. A layer norm is no linear map: it stays, and its gain and shift are learned.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import cross_entropy, gelu, layer_norm

from .._stored import stored_bytes
from .._validate import choice, each, instances, tensor, whole, wholes
from .._validate import generator as checked_generator
from .fitting import _adam, _Row, _side_by_side, _times
from .nets import FLOATS, Head

__all__ = [
    "MergedTransformer",
    "TrainedTransformers",
    "Transformer",
    "merge_transformers",
    "train_transformers",
    "trained_transformers",
]

BLOCKS, HEADS, TOKENS = 2, 2, 16
MAPS = ["patch", *(f"{name}{k}" for k in range(BLOCKS) for name in ("query", "key", "value", "back", "up", "down"))]
NORMS = 2 * BLOCKS + 1


def _sizes(name: str, d: int) -> tuple[int, int]:
    """Rows and columns of a linear map."""
    return {"patch": (d, 4), "up": (2 * d, d), "down": (d, 2 * d)}.get(name.rstrip("0123456789"), (d, d))


def _patches(x: Tensor) -> Tensor:
    """Images (..., 64) as tokens (..., 16, 4)."""
    return x.unflatten(-1, (4, 2, 4, 2)).transpose(-3, -2).flatten(-2).flatten(-3, -2)


def _linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x (B, n, 16, e), weight (B, d, e), bias (B, d), or (B, 16, d) where each token has its own."""
    bias = bias[:, None] if bias.ndim == 3 else bias[:, None, None]
    return (x.flatten(1, 2) @ weight.mT).unflatten(1, x.shape[1:3]) + bias


def _run(weights: dict, biases: dict, norms: Tensor, tokens: Tensor) -> Tensor:
    """Features (B, n, d) of tokens (n, 16, 4) or (B, n, 16, 4)."""
    if tokens.ndim == 3:
        tokens = tokens.expand(len(norms), *tokens.shape)

    def normed(h, k):
        return layer_norm(h, h.shape[-1:]) * norms[:, k, 0, None, None] + norms[:, k, 1, None, None]

    def apply(name, h):
        return _linear(h, weights[name], biases[name])

    h = apply("patch", tokens)
    for k in range(BLOCKS):
        z = normed(h, 2 * k)
        q, s, v = (apply(f"{name}{k}", z).unflatten(-1, (HEADS, -1)).transpose(2, 3)
                   for name in ("query", "key", "value"))  # fmt: skip
        mixed = (q @ s.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
        h = h + apply(f"back{k}", mixed.transpose(2, 3).flatten(-2))
        h = h + apply(f"down{k}", gelu(apply(f"up{k}", normed(h, 2 * k + 1))))
    return normed(h, 2 * BLOCKS).mean(2)


class Transformer:
    """B small transformers; see the module.

    Args:
        weights: of each map of ``MAPS`` (B, rows, columns). biases: (B, rows), of "patch" (B, 16, rows).
        norms: gain and shift of each layer norm, (B, 5, 2, d). All of one float dtype.
    """

    def __init__(self, weights: dict, biases: dict, norms: Tensor):
        norms = tensor("norms", norms, shape=("B", NORMS, 2, "d"), dtype=FLOATS)
        B, d = norms.shape[0], norms.shape[-1]
        if not norms.numel() or d % HEADS:
            raise ValueError(f"norms must have networks and an even width, found shape {tuple(norms.shape)}")
        for name, found in (("weights", weights), ("biases", biases)):
            if not isinstance(found, dict) or set(found) != set(MAPS):
                raise ValueError(f"{name} must be a dict of {', '.join(MAPS)}, found {type(found).__name__}")
        for name in MAPS:
            shape = _sizes(name, d)
            tensor(f"weights[{name!r}]", weights[name], shape=(B, *shape), dtype=norms.dtype)
            lead = (B, TOKENS) if name == "patch" else (B,)
            tensor(f"biases[{name!r}]", biases[name], shape=(*lead, shape[0]), dtype=norms.dtype)
        self.weights, self.biases, self.norms = dict(weights), dict(biases), norms

    @property
    def size(self) -> int:
        """Number of weights, biases, gains and shifts of one network."""
        return sum(one[0].numel() for one in (*self.weights.values(), *self.biases.values(), self.norms))

    def __call__(self, x: Tensor) -> Tensor:
        """Features (B, n, d) of images `x` (n, 64) or (B, n, 64), of the network's dtype."""
        x = tensor("x", x, dtype=self.norms.dtype)
        if x.shape[-1:] != (64,) or x.ndim not in (2, 3) or (x.ndim == 3 and len(x) != len(self.norms)):
            raise ValueError(f"x must have shape (n, 64) or ({len(self.norms)}, n, 64), found {tuple(x.shape)}")
        return _run(self.weights, self.biases, self.norms, _patches(x))

    def rows(self, which: Sequence[int]) -> "Transformer":
        """Networks of the batch by their places, whole numbers, again a batch."""
        which = list(wholes("which", which, at_least=0, at_most=len(self.norms) - 1))
        weights = {k: w[which] for k, w in self.weights.items()}
        return Transformer(weights, {k: b[which] for k, b in self.biases.items()}, self.norms[which])


class MergedTransformer(NamedTuple):
    """A `Transformer`, and the maps (B, d, d) from its features to those of each original; losses (steps + 1, B)."""

    net: Transformer
    out: tuple[Tensor, ...]
    losses: Tensor

    def rebuild(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features of each original, (B, n, d), as `evaluate` asks for them; x as `Transformer` takes it."""
        features = self.net(x)
        return tuple(features @ u.mT for u in self.out)


def train_transformers(
    X: Tensor, y: Tensor, task: Sequence[int], *, width: int = 24, classes: int, steps: int = 500, rate: float = 3e-3,
    size: int = 64, generator: torch.Generator,
) -> tuple[Transformer, Head]:  # fmt: skip
    """Train transformers from different initializations, as `train_classifiers` does; `width` is even.

    Args:
        X: images of each task (T, N, 64), float32 or float64. y, task, classes, steps, rate, size, generator: as there.
    """
    X = tensor("X", X, shape=("T", "N", 64), dtype=FLOATS)
    if not X.numel():
        raise ValueError(f"X must have tasks and images, found shape {tuple(X.shape)}")
    classes, d = whole("classes", classes, at_least=2), whole("width", width, at_least=2)
    if d % HEADS:
        raise ValueError(f"width must be even, found {d}")
    y = tensor("y", y, shape=tuple(X.shape[:2]), dtype=torch.int64, at_least=0, at_most=classes - 1)
    task = torch.tensor(wholes("task", task, at_least=0, at_most=len(X) - 1))
    steps, size = whole("steps", steps, at_least=0), whole("size", size, at_least=1)
    generator, rate = checked_generator("generator", generator, device="cpu"), each("rate", rate, len(task), above=0.0)
    B, given = len(task), dict(generator=generator, dtype=X.dtype)
    weights = {k: torch.randn(B, *_sizes(k, d), **given) / _sizes(k, d)[1] ** 0.5 for k in MAPS}
    biases = {k: torch.zeros(B, _sizes(k, d)[0], dtype=X.dtype) for k in MAPS}
    biases["patch"] = torch.randn(B, TOKENS, d, **given) * 0.5  # where the token stands
    norms = torch.stack([torch.ones(B, NORMS, d, dtype=X.dtype), torch.zeros(B, NORMS, d, dtype=X.dtype)], 2)
    head = torch.randn(B, classes, d, **given) / d**0.5, torch.zeros(B, classes, dtype=X.dtype)
    row = _Row([*weights.values(), *biases.values(), norms, *head], B)
    tokens = _patches(X)

    def parts(flat):
        found = row.parts(flat)
        return _named(found) + found[-2:]

    def loss_of(flat):
        w, b, g, *top = parts(flat)
        chosen = torch.randint(X.shape[1], (B, size), generator=generator)
        scores = _run(w, b, g, tokens[task[:, None], chosen]) @ top[0].mT + top[1][:, None]
        return cross_entropy(scores.mT, y[task[:, None], chosen], reduction="none").mean(1)

    last, _ = _adam(row.flat, loss_of, steps, rate)
    w, b, g, *top = (one for one in parts(last.clone()))
    return Transformer(w, b, g), Head(*top)


def _named(found: Sequence[Tensor]) -> list:
    """Weights, biases and norms out of one list."""
    count = len(MAPS)
    return [dict(zip(MAPS, found[:count], strict=True)), dict(zip(MAPS, found[count : 2 * count], strict=True)),
            found[2 * count]]  # fmt: skip


class TrainedTransformers(NamedTuple):
    """What `trained_transformers` loads.

    Pairs of networks for the tasks of `digit_halves`, ``models`` and ``heads``, P pairs; and what merging them gave:
    ``right[k, s, m]`` (P,) are the right answers, the task being told, for ``samples[k]`` images a task, the start
    ``starts[s]`` and the method ``methods[m]`` of `merge_transformers`.
    """

    models: tuple[Transformer, Transformer]
    heads: tuple[Head, Head]
    samples: tuple[int, ...]
    starts: tuple[str, ...]
    methods: tuple[str, ...]
    right: Tensor


_STORED, _SHA256 = Path(__file__).with_name("transformers.npz"), (
    "a97acfaf285f13b3ba6f7976a6002451a4d6e7f2028348e315460c71747a9bbf"
)


def trained_transformers() -> TrainedTransformers:
    """Transformers trained once, since it takes minutes, by ``python -m implicitly.merging._train``.

    Weights were rounded to half precision before anything was merged or measured; they come as float32.

    Raises:
        ValueError: if the file is not the one that belongs to this version.
    """
    import io

    with np.load(io.BytesIO(stored_bytes(__package__, _STORED.name, _SHA256))) as data:
        net, head = _unpacked(torch.tensor(data["weights"]).float(), data["classes"].item())
        right = torch.tensor(data["right"])
        samples = tuple(data["samples"].tolist())
    P = right.shape[-1]
    halves = [list(range(P)), list(range(P, 2 * P))]
    return TrainedTransformers(tuple(net.rows(h) for h in halves), tuple(head.rows(h) for h in halves), samples,
                               ("copy", "average"), ("fold", "distill"), right)  # fmt: skip


def _packed(net: Transformer, head: Head) -> Tensor:
    """All numbers in one row a network, (B, N)."""
    return _Row([*net.weights.values(), *net.biases.values(), net.norms, head.weight, head.bias], len(net.norms)).flat


def _unpacked(flat: Tensor, classes: int, d: int = 24) -> tuple[Transformer, Head]:
    B = len(flat)
    like = [torch.empty(B, *_sizes(k, d)) for k in MAPS]
    like += [torch.empty(B, TOKENS, d) if k == "patch" else torch.empty(B, _sizes(k, d)[0]) for k in MAPS]
    like += [torch.empty(B, NORMS, 2, d), torch.empty(B, classes, d), torch.empty(B, classes)]
    found = _Row(like, B).parts(flat)
    return Transformer(*_named(found)), Head(*found[-2:])


def merge_transformers(
    models: Sequence[Transformer],
    samples: Sequence[Tensor],
    *,
    method: str = "fold",
    start: str = "average",
    steps: int = 300,
    rate: ArrayLike = 2e-3,
) -> MergedTransformer:
    """Merge transformers of one shape: the loss of `rebuild_loss`, by Adam.

    Args:
        models: two or more.
        samples: images of each model's task, (n, 64) or (B, n, 64), one or more.
        method: "fold" trains merges, un-merges and layer norms, "distill" all weights; both train the maps to the
            models' features.
        start: "copy" of the first model, or "average". With `steps` 0 it is returned as it is.
        steps: of Adam, at least 0. rate: positive, a number or one for each network of the batch.
    """
    models = instances("models", models, Transformer)
    first = models[0]
    if len(models) < 2 or any(m.norms.shape != first.norms.shape or m.norms.dtype != first.norms.dtype for m in models):
        raise ValueError(f"models must be two or more of one shape and dtype, found {len(models)}")
    method, start = choice("method", method, ("fold", "distill")), choice("start", start, ("copy", "average"))
    B, d, m = first.norms.shape[0], first.norms.shape[-1], len(models)
    if isinstance(samples, Tensor | str | dict) or not isinstance(samples, Sequence) or len(samples) != m:
        raise ValueError(f"samples must have images for each of the {m} models, found {type(samples).__name__}")
    steps, rate = whole("steps", steps, at_least=0), each("rate", rate, B, above=0.0)
    for i, x in enumerate(samples):
        x = tensor(f"samples[{i}]", x, dtype=first.norms.dtype)
        if x.ndim not in (2, 3) or x.shape[-1] != 64 or (x.ndim == 3 and len(x) != B) or not x.shape[-2]:
            raise ValueError(f"samples[{i}] must have shape (n, 64) or ({B}, n, 64), found {tuple(x.shape)}")
    with torch.no_grad():
        targets = [net(x) for net, x in zip(models, samples, strict=True)]
    samples = [x.expand(B, *x.shape[-2:]) for x in samples]
    tokens, counts = _patches(torch.cat(samples, 1)), [x.shape[1] for x in samples]
    wide = {k: _side_by_side([net.weights[k] for net in models]) for k in MAPS[1:]}
    wide["patch"] = torch.cat([net.weights["patch"] for net in models], 1)  # diag(W) [I; I]
    biases = {k: torch.cat([net.biases[k] for net in models], -1) for k in MAPS}
    share = [1.0 / m] * m if start == "average" else [1.0] + [0.0] * (m - 1)
    norms = sum(s * net.norms for s, net in zip(share, models, strict=True))

    def blocks(size, factors, dim):
        eye = torch.eye(size, dtype=norms.dtype).expand(B, size, size)
        return torch.cat([f * eye for f in factors], dim)

    up = [blocks(_sizes(k, d)[0], share, -1) for k in MAPS]
    down = [blocks(_sizes(k, d)[1], [1.0] * m, -2) for k in MAPS[1:]]
    out = blocks(d, [1.0] * m, -2)

    def folded(up, down):
        merge, read = dict(zip(MAPS, up, strict=True)), dict(zip(MAPS[1:], down, strict=True))
        weights = {k: merge[k] @ (_times(wide[k], read[k]) if k in read else wide[k]) for k in MAPS}
        return weights, {k: (biases[k] @ merge[k].mT if k == "patch" else (merge[k] @ biases[k][..., None])[..., 0])
                         for k in MAPS}  # fmt: skip

    if method == "fold":
        row, count = _Row([*up, *down, norms, out], B), len(MAPS)

        def parts(flat):
            found = row.parts(flat)
            return (*folded(found[:count], found[count:-2]), *found[-2:])
    else:
        weights, merged = folded(up, down)
        row = _Row([*weights.values(), *merged.values(), norms, out], B)

        def parts(flat):
            found = row.parts(flat)
            return (*_named(found), found[-1])

    def loss_of(flat):
        *net, ends = parts(flat)
        features = _run(*net, tokens).split(counts, 1)
        each_one = [(h @ u.mT - f).square().sum(-1).mean(-1)
                    for h, u, f in zip(features, ends.split(d, -2), targets, strict=True)]  # fmt: skip
        return sum(each_one)

    last, losses = _adam(row.flat, loss_of, steps, rate)
    with torch.no_grad():
        w, b, g, ends = parts(last.clone())
    return MergedTransformer(Transformer(w, b, g), tuple(u.clone() for u in ends.split(d, -2)), losses)
