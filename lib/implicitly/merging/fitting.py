"""Training: classifiers to merge, the maps of a SuperNet through its fold, and a student by distillation.

Many networks train at once, each a row of one tensor, by full-batch Adam with a step size that falls to zero as a
cosine. Adam, and no weight decay: AdamW with decay zero. Chapter `merging-networks`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import cross_entropy

from .._validate import each, flag, instance, tensor, whole, wholes
from .._validate import generator as checked_generator
from .folding import Folded, SuperNet, _samples
from .nets import FLOATS, Head, Net, _forward, fitting_nets, random_net

__all__ = [
    "Distilled",
    "Fitted",
    "distill",
    "fit_maps",
    "rebuild_loss",
    "train_classifiers",
    "trainable",
]


class Fitted(NamedTuple):
    """What `fit_maps` returns: the SuperNet after the last step, and the losses (steps + 1,) or (steps + 1, B)."""

    supernet: SuperNet
    losses: Tensor


class Distilled(NamedTuple):
    """What `distill` returns: the student after the last step, and the losses (steps + 1,) or (steps + 1, B)."""

    student: Folded
    losses: Tensor


class _Row:
    """Tensors (B, ...) laid out in one row each, (B, N), and back."""

    def __init__(self, parts: Sequence[Tensor], count: int):
        self.shapes = [tuple(p.shape[-p.ndim + 1 :]) if p.ndim > 1 else () for p in parts]
        self.sizes = [math.prod(s) for s in self.shapes]
        self.flat = torch.cat([p.reshape(count, -1) for p in parts], 1)

    def parts(self, flat: Tensor) -> list[Tensor]:
        return [p.unflatten(1, s) for p, s in zip(flat.split(self.sizes, 1), self.shapes, strict=True)]


def _adam(flat: Tensor, loss_of, steps: int, rate: Tensor) -> tuple[Tensor, Tensor]:
    """Minimize each row's loss: the rows after the last step, and all losses (steps + 1, B)."""
    first, second, losses = torch.zeros_like(flat), torch.zeros_like(flat), []
    flat = flat.detach().clone().requires_grad_()
    rate = rate.to(flat.dtype)[:, None]
    for step in range(steps + 1):
        loss = loss_of(flat)
        with torch.no_grad():
            losses.append(loss.detach())
            if step == steps:
                break
            (grad,) = torch.autograd.grad(loss, flat, torch.ones_like(loss))
            first.lerp_(grad, 0.1)
            second.mul_(0.999).addcmul_(grad, grad, value=0.001)
            size = rate * (0.5 * (1 + math.cos(math.pi * step / steps)) / (1 - 0.9 ** (step + 1)))
            flat -= size * first / ((second / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
    if not flat.isfinite().all():
        raise ValueError(f"rate must be small enough that the weights stay finite, found {rate.max().item():.6g}")
    return flat.detach(), torch.stack(losses)


def _batched(net: Net) -> Net:
    return net if net.batch else Net(tuple(w[None] for w in net.weights), tuple(b[None] for b in net.biases))


def _merge_set(models: Sequence[Net], samples: Sequence[Tensor]) -> tuple[Tensor, list[int], list[Tensor]]:
    """All inputs (B, n, d_0) or (n, d_0), how many are of each model, and what each model makes of its own."""
    samples = [x if x.ndim == 3 or all(y.ndim == 2 for y in samples) else x.expand(len(models[0].weights[0]), -1, -1)
               for x in samples]  # fmt: skip
    with torch.no_grad():
        targets = [_forward(net.weights, net.biases, x)[-1] for net, x in zip(models, samples, strict=True)]
    return torch.cat(samples, -2), [x.shape[-2] for x in samples], targets


def _loss(weights, biases, out, x, counts, targets) -> Tensor:
    features = _forward(weights, biases, x)[-1].split(counts, -2)
    parts = [(h @ u.mT - f).square().sum(-1).mean(-1) for h, u, f in zip(features, out, targets, strict=True)]
    return sum(parts)


def rebuild_loss(folded: Folded, models: Sequence[Net], samples: Sequence[Tensor]) -> Tensor:
    """``sum_i`` of the mean over model i's samples of ``|U_L^i h(x) - f^i(x)|^2``.

    Args:
        folded: `Folded`, with an `out` for each model.
        models: the originals.
        samples: for each model, inputs of its task, as `Net` takes them, one or more. Labels are not used.

    Returns:
        () or (B,).
    """
    folded, models = instance("folded", folded, Folded), fitting_nets("models", models)
    _fits("folded", folded, models)
    samples = _samples(samples, models)
    x, counts, targets = _merge_set(models, samples)
    return _loss(folded.net.weights, folded.net.biases, folded.out, x, counts, targets)


def _fits(name: str, folded: Folded, models) -> None:
    if len(folded.out) != len(models):
        raise ValueError(f"{name} must have an out for each of the {len(models)} models, found {len(folded.out)}")
    if folded.net.batch != models[0].batch or folded.net.dtype != models[0].dtype:
        raise ValueError(f"{name} must have the batch {models[0].batch} and dtype {models[0].dtype} of the models, "
                         f"found {folded.net.batch} and {folded.net.dtype}")  # fmt: skip
    if folded.net.widths[0] != models[0].widths[0]:
        raise ValueError(f"{name} must read {models[0].widths[0]} inputs, found {folded.net.widths[0]}")
    for u, net in zip(folded.out, models, strict=True):
        if u.shape[-2] != net.widths[-1]:
            raise ValueError(f"{name}: its out must have {net.widths[-1]} rows, found shape {tuple(u.shape)}")


def _low_rank(maps: Sequence[Tensor], models: int, rank: int, generator) -> list[Tensor]:
    """Of each map the diagonals of its blocks, and two factors whose product is zero at first."""
    parts = []
    for m in maps:
        wide = m.shape[-1] > m.shape[-2]
        diagonals = torch.stack([b.diagonal(dim1=-2, dim2=-1) for b in m.chunk(models, -1 if wide else -2)], 1)
        if not torch.equal(_on_diagonals(diagonals, wide), m):
            raise ValueError("start must have maps of diagonal blocks for rank, found others; take averaged or copied")
        one = torch.randn(len(m), m.shape[-2], rank, generator=generator, dtype=m.dtype) / rank**0.5
        parts += [diagonals, one, torch.zeros(len(m), rank, m.shape[-1], dtype=m.dtype)]
    return parts


def _on_diagonals(diagonals: Tensor, wide: bool) -> Tensor:
    return torch.cat(list(torch.diag_embed(diagonals).unbind(1)), -1 if wide else -2)


def trainable(supernet: SuperNet, *, rank: int | None = None) -> int:
    """How many numbers `fit_maps` trains in one network: all entries of M and U (not U_0), or the low-rank form's.

    Of rank r at width d, for m models and each layer: ``2 m d + 2 r (d + m d)``; `supernet` then has maps of diagonal
    blocks, as `averaged` and `copied` make them.
    """
    supernet = instance("supernet", supernet, SuperNet)
    shapes = [m.shape[-2:] for m in (*supernet.merge, *supernet.unmerge[1:])]
    if rank is None:
        return sum(rows * columns for rows, columns in shapes)
    parts = _low_rank(
        (*supernet.merge, *supernet.unmerge[1:]),
        len(supernet.models),
        whole("rank", rank, at_least=1),
        torch.Generator(),
    )
    return sum(part[0].numel() for part in parts)


def fit_maps(
    start: SuperNet,
    samples: Sequence[Tensor],
    *,
    steps: int = 400,
    rate: ArrayLike = 1e-3,
    rank: int | None = None,
    inputs: bool = False,
    generator: torch.Generator | None = None,
) -> Fitted:
    """FS-Merge: train the maps of a SuperNet, its models frozen, so that it rebuilds each model's features.

    Each step folds first and runs the small network: the same loss and gradient as the SuperNet's, at the width of one
    network. The loss is `rebuild_loss`.

    Args:
        start: where to start.
        samples: for each model, inputs of its task, as `Net` takes them, one or more.
        steps: of Adam, at least 0.
        rate: its step size, positive, a number or one for each network of the batch.
        rank: left out, every entry of M and U is trained. Else each map is its diagonal blocks plus a product of two
            factors of this rank, at least 1, which is zero at the start; `start` must have diagonal maps.
        inputs: whether U_0 is trained too (not with `rank`).
        generator: for the factors of `rank`, on the CPU.

    Returns:
        `Fitted`.
    """
    start, steps = instance("start", start, SuperNet), whole("steps", steps, at_least=0)
    samples, inputs = _samples(samples, start.models), flag("inputs", inputs)
    batch = start.models[0].batch
    count = batch[0] if batch else 1
    rate = each("rate", rate, count, above=0.0)
    models, lift = [_batched(net) for net in start.models], (lambda m: m) if batch else (lambda m: m[None])
    merge, (first, *unmerge), L = list(map(lift, start.merge)), list(map(lift, start.unmerge)), len(start.merge)
    if rank is None:
        row = _Row([*merge, *unmerge, *([first] if inputs else [])], count)

        def maps(flat):
            up, down = (parts := row.parts(flat))[:L], parts[L : 2 * L]
            return up, [parts[-1] if inputs else first, *down]
    else:
        if inputs:
            raise ValueError("inputs must be False with rank, found True")
        rank = whole("rank", rank, at_least=1)
        generator = checked_generator("generator", generator, device="cpu")
        row = _Row(_low_rank([*merge, *unmerge], len(models), rank, generator), count)

        def maps(flat):
            parts = row.parts(flat)
            whole_maps = [_on_diagonals(parts[3 * k], k < L) + parts[3 * k + 1] @ parts[3 * k + 2]
                          for k in range(2 * L)]  # fmt: skip
            return whole_maps[:L], [first, *whole_maps[L:]]

    x, counts, targets = _merge_set(models, samples)
    sizes, wide = [net.widths[-1] for net in models], [_side_by_side([n.weights[l] for n in models]) for l in range(L)]
    frozen = [torch.cat([n.biases[l] for n in models], -1)[..., None] for l in range(L)]
    with torch.no_grad():
        begin = None if inputs else _times(wide[0], first)  # what does not change is multiplied once

    def loss_of(flat):
        up, down = maps(flat)
        read = [_times(wide[0], down[0]) if begin is None else begin, *map(_times, wide[1:], down[1:-1])]
        weights = [m @ one for m, one in zip(up, read, strict=True)]
        biases = [(m @ b)[..., 0] for m, b in zip(up, frozen, strict=True)]
        return _loss(weights, biases, down[-1].split(sizes, -2), x, counts, targets)

    last, losses = _adam(row.flat, loss_of, steps, rate)
    with torch.no_grad():
        up, down = (tuple(one.clone() if batch else one[0].clone() for one in side) for side in maps(last))
    return Fitted(SuperNet(start.models, up, down), losses if batch else losses[:, 0])


def _side_by_side(weights: Sequence[Tensor]) -> Tensor:
    """``diag(W^1, ..., W^m)``, (B, D, E); of blocks of one shape the blocks alone, (B, m, d, e).

    One call for all models: at these sizes a call costs more than products with zeros.
    """
    if len({w.shape for w in weights}) == 1:
        return torch.stack(list(weights), 1)
    sizes = [w.shape[-1] for w in weights]
    return torch.cat([torch.nn.functional.pad(w, (sum(sizes[:i]), sum(sizes[i + 1 :])))
                      for i, w in enumerate(weights)], -2)  # fmt: skip


def _times(wide: Tensor, unmerge: Tensor) -> Tensor:
    """``diag(W^1, ..., W^m) U``."""
    if wide.ndim == 3:
        return wide @ unmerge
    return (wide @ unmerge.unflatten(1, (wide.shape[1], -1))).flatten(1, 2)


def distill(
    start: Folded,
    models: Sequence[Net],
    samples: Sequence[Tensor],
    *,
    steps: int = 400,
    rate: ArrayLike = 1e-3,
    out: bool = True,
) -> Distilled:
    """Distillation: train all weights of a student, and its maps to the models' features, on the same loss.

    Args:
        start: the student at the start, with an `out` for each model.
        models: the originals, its teachers.
        samples, steps, rate: as in `fit_maps`.
        out: whether the maps to the features are trained too.

    Returns:
        `Distilled`.
    """
    start, models = instance("start", start, Folded), fitting_nets("models", models)
    _fits("start", start, models)
    samples, steps, out = _samples(samples, models), whole("steps", steps, at_least=0), flag("out", out)
    batch = start.net.batch
    count = batch[0] if batch else 1
    rate = each("rate", rate, count, above=0.0)
    net, teachers = _batched(start.net), [_batched(n) for n in models]
    maps = [u if batch else u[None] for u in start.out]
    row = _Row([*net.weights, *net.biases, *(maps if out else ())], count)
    x, counts, targets = _merge_set(teachers, samples)
    L = net.depth

    def split(flat):
        parts = row.parts(flat)
        return parts[:L], parts[L : 2 * L], parts[2 * L :] if out else maps

    last, losses = _adam(row.flat, lambda flat: _loss(*split(flat), x, counts, targets), steps, rate)
    with torch.no_grad():
        weights, biases, ends = (tuple(p.clone() if batch else p[0].clone() for p in side) for side in split(last))
    return Distilled(Folded(Net(weights, biases), ends), losses if batch else losses[:, 0])


def train_classifiers(
    X: Tensor,
    y: Tensor,
    task: Sequence[int],
    hidden: Sequence[int],
    *,
    classes: int,
    steps: int = 300,
    rate: float = 3e-3,
    size: int = 128,
    generator: torch.Generator,
) -> tuple[Net, Head]:
    """Train many classifiers from different initializations at once, by cross-entropy on random batches.

    Weights start Gaussian with variance ``1 / (3 d_(l-1))``, the variance of PyTorch's default, and biases at zero.

    Args:
        X: inputs of each task, (T, N, d_0), float32 or float64, N at least 1.
        y: their classes, (T, N), int64, from 0 to ``classes - 1``.
        task: for each of B classifiers its task, from 0 to ``T - 1``.
        hidden: widths ``d_1, ..., d_L``, each at least 1.
        classes: at least 2.
        steps: of Adam, at least 0. rate: its step size, positive. size: of a batch, at least 1.
        generator: of the initial weights and the batches, on the CPU.

    Returns:
        `Net` and `Head`, each a batch of B.
    """
    X = tensor("X", X, shape=("T", "N", "d"), dtype=FLOATS)
    if not X.numel():
        raise ValueError(f"X must have tasks, inputs and columns, found shape {tuple(X.shape)}")
    classes = whole("classes", classes, at_least=2)
    y = tensor("y", y, shape=tuple(X.shape[:2]), dtype=torch.int64, at_least=0, at_most=classes - 1)
    task = torch.tensor(wholes("task", task, at_least=0, at_most=len(X) - 1))
    hidden = wholes("hidden", hidden, at_least=1)
    steps, size = whole("steps", steps, at_least=0), whole("size", size, at_least=1)
    generator = checked_generator("generator", generator, device="cpu")
    rate = each("rate", rate, len(task), above=0.0)
    B = len(task)
    net = random_net((X.shape[2], *hidden, classes), batch=B, gain=3**-0.5, generator=generator, dtype=X.dtype)
    row, L = _Row([*net.weights, *net.biases], B), len(hidden)

    def loss_of(flat):
        parts = row.parts(flat)
        chosen = torch.randint(X.shape[1], (B, size), generator=generator)
        h = X[task[:, None], chosen]
        features = _forward(parts[:L], parts[L + 1 : -1], h)[-1]
        scores = features @ parts[L].mT + parts[-1][:, None]
        return cross_entropy(scores.mT, y[task[:, None], chosen], reduction="none").mean(1)

    last, _ = _adam(row.flat, loss_of, steps, rate)
    parts = [p.clone() for p in row.parts(last)]
    return Net(tuple(parts[:L]), tuple(parts[L + 1 : -1])), Head(parts[L], parts[-1])
