"""A transformer cut over ranks: attention heads, hidden units of the MLP and the vocabulary are dealt out.

A block is ``x + R(attention(norm(x)))``, then ``x + R(mlp(norm(x)))``, where R is `Wires.partial_sum`; column-parallel
layers send nothing. The head is vocabulary-parallel and fed with each rank's own stream. `dense_loss` is the same
network in one piece, written apart from it.

Source: arXiv 2506.19645 and its code; chapter `partial-synchronization`, C1 to C5. Bad arguments raise TypeError or
ValueError.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .._validate import choice, instance, number, tensor, whole
from .._validate import seed as checked_seed
from .streams import Wires

__all__ = ["Shape", "column_parallel", "complete_norms", "dense_loss", "first_weights", "is_norm", "is_replicated",
           "loss", "row_parallel", "shard"]  # fmt: skip

EPS = 1e-6  # of the norms


@dataclass(frozen=True)
class Shape:
    """Sizes of the network.

    Attributes:
        layers, width, heads, hidden: blocks, h, attention heads, units of the MLP; at least 1, heads divide the width.
        vocabulary, context: symbols, and the longest sequence; at least 2 and 1.

    >>> Shape(2, 32, 4, 64, 10, 16).layers
    2
    """

    layers: int
    width: int
    heads: int
    hidden: int
    vocabulary: int
    context: int

    def __post_init__(self):
        for name in ("layers", "width", "heads", "hidden", "vocabulary", "context"):
            least = 2 if name == "vocabulary" else 1
            object.__setattr__(self, name, whole(name, getattr(self, name), at_least=least, at_most=2**24))
        if self.width % self.heads:
            raise ValueError(f"heads must divide width {self.width}, found {self.heads}")

    def divides(self, ranks: int) -> int:
        """`ranks`, after checking that heads and hidden units can be dealt out evenly."""
        ranks = whole("ranks", ranks, at_least=1)
        if self.heads % ranks or self.hidden % ranks:
            raise ValueError(f"ranks must divide heads {self.heads} and hidden {self.hidden}, found {ranks}")
        return ranks


def is_norm(name: str) -> bool:
    """Whether a weight of this name is that of a norm: replicated, with a partial gradient on every rank (C5)."""
    return name.endswith("norm")


def is_replicated(name: str) -> bool:
    """Whether a weight of this name is the same on all ranks: embeddings and norms."""
    return is_norm(name) or name in ("embedding", "positions")


def first_weights(shape: Shape, seed: int, *, size: float = 0.02,
                  dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:  # fmt: skip
    """Dense weights before training: normal with standard deviation `size`, norms 1.

    The same seed gives the same weights for every number of ranks; they are drawn in float64.

    Args:
        seed: at least 0. size: above 0. dtype: float64 or float32.

    Returns:
        name -> weight: embedding (V, h), positions (S, h), head (V, h), final_norm (h,), and for layer k
        k.norm, k.mlp_norm (h,), k.qkv (3h, h), k.out (h, h), k.up (hidden, h), k.down (h, hidden).
    """
    instance("shape", shape, Shape)
    dice = torch.Generator().manual_seed(checked_seed("seed", seed))
    size, dtype = number("size", size, above=0), choice("dtype", dtype, (torch.float64, torch.float32))
    h, found = shape.width, {}
    sizes: dict[str, tuple[int, ...]] = {"embedding": (shape.vocabulary, h), "positions": (shape.context, h)}
    for k in range(shape.layers):
        sizes |= {f"{k}.norm": (h,), f"{k}.qkv": (3 * h, h), f"{k}.out": (h, h), f"{k}.mlp_norm": (h,),
                  f"{k}.up": (shape.hidden, h), f"{k}.down": (h, shape.hidden)}  # fmt: skip
    sizes |= {"final_norm": (h,), "head": (shape.vocabulary, h)}
    for name, dims in sizes.items():
        drawn = None if is_norm(name) else size * torch.randn(dims, generator=dice, dtype=torch.float64)
        found[name] = (torch.ones(dims, dtype=torch.float64) if drawn is None else drawn).to(dtype)
    return found


def _cut(name: str, w: Tensor, shape: Shape, ranks: int) -> Tensor:
    """A dense weight as (ranks, ...), by what it is."""
    kind = name.split(".")[-1]
    if is_norm(name):
        return w.expand(ranks, -1).clone()
    if kind == "qkv":  # each rank has whole heads, of queries, keys and values
        return w.reshape(3, ranks, -1, w.shape[-1]).transpose(0, 1).reshape(ranks, -1, w.shape[-1]).clone()
    if kind in ("out", "down"):
        return w.reshape(w.shape[0], ranks, -1).transpose(0, 1).clone(memory_format=torch.contiguous_format)
    if kind == "head":
        w = F.pad(w, (0, 0, 0, -shape.vocabulary % ranks))
    return w.reshape(ranks, -1, w.shape[-1]).clone()


def shard(weights: dict[str, Tensor], shape: Shape, wires: Wires) -> dict[str, Tensor]:
    """The parts of dense weights that the streams here have: (here, ...), but for the embeddings, which stay as they
    are.

    Rows of the head are padded with zeros to a multiple of the ranks.
    """
    instance("shape", shape, Shape)
    instance("wires", wires, Wires)
    ranks, mine = shape.divides(wires.ranks), slice(wires.first, wires.first + wires.here)
    if not isinstance(weights, dict) or "embedding" not in weights:
        raise TypeError(f"weights must be a dict as first_weights makes it, found {type(weights).__name__}")
    return {name: w.clone() if name in ("embedding", "positions") else _cut(name, w, shape, ranks)[mine].clone()
            for name, w in weights.items()}  # fmt: skip


def column_parallel(x: Tensor, weight: Tensor) -> Tensor:
    """Each stream times its rows: x (here, B, S, k), weight (here, n, k) -> (here, B, S, n). Nothing is sent."""
    tensor("x", x, shape=("here", "B", "S", "k"), finite=False)
    tensor("weight", weight, shape=(len(x), "n", x.shape[-1]), dtype=x.dtype, finite=False)
    return torch.matmul(x.flatten(1, 2), weight.mT).unflatten(1, x.shape[1:3])


def row_parallel(x: Tensor, weight: Tensor, wires: Wires, shared: int, scale: float = 1.0) -> Tensor:
    """Each stream times its columns, x (here, B, S, k), weight (here, h, k), then the partial sum: (here, B, S, h)."""
    instance("wires", wires, Wires)
    return wires.partial_sum(column_parallel(x, weight), shared, scale)


def _norm(x: Tensor, weight: Tensor) -> Tensor:
    """Root mean square norm of x (here, B, S, h) with each stream's weight (here, h)."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * weight[:, None, None]


def _attention(qkv: Tensor, size: int) -> Tensor:
    """Causal attention of heads of this size; qkv (N, S, 3 n size) -> (N, S, n size)."""
    q, k, v = qkv.unflatten(-1, (3, -1, size)).unbind(-3)
    q, k, v = (part.transpose(-3, -2) for part in (q, k, v))
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return mixed.transpose(-3, -2).flatten(-2)


def loss(weights: dict[str, Tensor], shape: Shape, tokens: Tensor, wires: Wires, shared: int,
         scale: float | None = None) -> Tensor:  # fmt: skip
    """Mean cross-entropy of the next symbol, in nats, the same on every rank, and counted once by the backward pass.

    Args:
        weights: the parts here, as `shard` makes them.
        tokens: (B, S + 1) int64, S at most `context`.
        shared: channels summed after attention and after the MLP, 0 to h.
        scale: of the others; left out, the square root of the number of ranks (C6).
    """
    instance("shape", shape, Shape)
    instance("wires", wires, Wires)
    shared = whole("shared", shared, at_least=0, at_most=shape.width)
    scale = math.sqrt(wires.ranks) if scale is None else number("scale", scale)
    ids, after = _split(tokens, shape)
    here, batch, length = wires.here, *ids.shape
    x = wires._enter((weights["embedding"][ids] + weights["positions"][:length])[None], shared)

    def normed(x, name):
        return wires._before_column(_norm(wires._before_norm(x, shared), weights[name]))

    for k in range(shape.layers):
        qkv = column_parallel(normed(x, f"{k}.norm"), weights[f"{k}.qkv"])
        mixed = _attention(qkv.flatten(0, 1), shape.width // shape.heads).unflatten(0, (here, batch))
        x = x + row_parallel(mixed, weights[f"{k}.out"], wires, shared, scale)
        up = column_parallel(normed(x, f"{k}.mlp_norm"), weights[f"{k}.up"])
        x = x + row_parallel(F.gelu(up), weights[f"{k}.down"], wires, shared, scale)
    return _sharded_cross_entropy(column_parallel(normed(x, "final_norm"), weights["head"]), after, shape, wires)


def _split(tokens: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    tensor("tokens", tokens, shape=("B", "S + 1"), dtype=torch.int64)
    if not 2 <= tokens.shape[1] <= shape.context + 1 or not len(tokens):
        raise ValueError(f"tokens must have 2 to {shape.context + 1} columns and a row, found {tuple(tokens.shape)}")
    if not bool(((tokens >= 0) & (tokens < shape.vocabulary)).all()):
        raise ValueError(f"tokens must be from 0 to {shape.vocabulary - 1}, found {tokens.min()} to {tokens.max()}")
    return tokens[:, :-1], tokens[:, 1:]


def _sharded_cross_entropy(scores: Tensor, after: Tensor, shape: Shape, wires: Wires) -> Tensor:
    """Cross-entropy of scores whose symbols lie on different ranks: three sums over ranks of one number a place."""
    part = scores.shape[-1]
    start = part * torch.arange(wires.first, wires.first + wires.here, device=scores.device)[:, None, None]
    symbol = start[..., None] + torch.arange(part, device=scores.device)
    scores = scores.masked_fill(symbol >= shape.vocabulary, -math.inf)
    top = wires._maximum(scores.detach().amax(-1))
    mass = wires._total((scores - top[..., None]).exp().sum(-1))
    place = after - start
    mine = (place >= 0) & (place < part)
    picked = scores.gather(-1, place.clamp(0, part - 1)[..., None])[..., 0].masked_fill(~mine, 0.0)
    return (mass.log() + top - wires._total(picked)).mean()


def complete_norms(gradients: dict[str, Tensor], wires: Wires) -> dict[str, Tensor]:
    """Gradients with those of the norms summed over all streams (C5); what is not a norm's is handed on."""
    instance("wires", wires, Wires)
    return {name: wires.sum_streams(g) if is_norm(name) else g for name, g in gradients.items()}


def dense_loss(weights: dict[str, Tensor], shape: Shape, tokens: Tensor) -> Tensor:
    """The same loss of the network in one piece, with the dense weights of `first_weights`."""
    instance("shape", shape, Shape)
    ids, after = _split(tokens, shape)
    h = shape.width
    x = F.embedding(ids, weights["embedding"]) + weights["positions"][: ids.shape[1]]
    for k in range(shape.layers):
        normed = F.rms_norm(x, (h,), weights[f"{k}.norm"], EPS)
        q, key, v = (part.unflatten(-1, (shape.heads, -1)).transpose(1, 2)
                     for part in F.linear(normed, weights[f"{k}.qkv"]).chunk(3, -1))  # fmt: skip
        scores = q @ key.mT / math.sqrt(h // shape.heads)
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
        mixed = scores.masked_fill(future, -math.inf).softmax(-1) @ v
        x = x + F.linear(mixed.transpose(1, 2).flatten(2), weights[f"{k}.out"])
        normed = F.rms_norm(x, (h,), weights[f"{k}.mlp_norm"], EPS)
        x = x + F.linear(F.gelu(F.linear(normed, weights[f"{k}.up"])), weights[f"{k}.down"])
    scores = F.linear(F.rms_norm(x, (h,), weights["final_norm"], EPS), weights["head"])
    return F.cross_entropy(scores.flatten(0, 1), after.flatten())
