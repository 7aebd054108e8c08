"""A small language model trained in P streams on the names of Unicode characters; runs that were stored.

Chapter `partial-synchronization`, C6, C7 and C9. Bad arguments raise TypeError or ValueError.
"""

import functools
import json
import math
from typing import NamedTuple

import torch
from torch import Tensor

from .._stored import stored_bytes
from .._validate import flag, instance, number, whole
from .._validate import seed as checked_seed
from .model import Shape, complete_norms, first_weights, is_replicated, loss, shard
from .streams import OneProcess, Wires

__all__ = ["SMALL", "StoredRuns", "Trained", "held_out_loss", "name_tokens", "stored_runs", "train"]

#: The model of the stored runs: two blocks of width 64, eight heads; 39 symbols, sequences of 32.
SMALL = Shape(layers=2, width=64, heads=8, hidden=192, vocabulary=39, context=32)
_FILE, _SHA256 = "runs.json", "c64135b0039cb0d43a4d6789d3d5fcf6008171d29554f083d4b2fc1a56af97e2"
TEST_WINDOWS = 400


class Tokens(NamedTuple):
    """train, test: (n,) int64, one after the other, names with a line feed after each."""

    train: Tensor
    test: Tensor


@functools.cache
def _tokens() -> Tokens:
    from ..low_precision import ALPHABET, character_names  # here: processes that only add up need no other subject

    names, place = character_names(), {c: i for i, c in enumerate(ALPHABET)}

    def coded(some):
        return torch.tensor([place[c] for c in "".join(name + "\n" for name in some)])

    return Tokens(coded([n for i, n in enumerate(names) if i % 10]), coded(names[::10]))


def name_tokens() -> Tokens:
    """The 12771 names of Unicode 3.2 as symbols 0 to 38 of `low_precision.ALPHABET`; each tenth is for the test."""
    return Tokens(*(part.clone() for part in _tokens()))


def _windows(tokens, starts, context):
    return tokens[starts[:, None] + torch.arange(context + 1)]


class Trained(NamedTuple):
    """train: (steps done,) float64, the loss of each batch. test: loss on the test windows. weights: the parts here."""

    train: Tensor
    test: float
    weights: dict[str, Tensor]


def _clip(gradients, wires, limit):
    """Scale gradients so that their norm over all ranks is at most `limit`: what is replicated counts once."""
    mine = sum(float(g.double().square().sum()) for name, g in gradients.items() if not is_replicated(name))
    part = torch.zeros(wires.here, 1, dtype=torch.float64, device=next(iter(gradients.values())).device)
    part[0] = mine
    square = float(wires.sum_streams(part)[0])
    for name, g in gradients.items():
        if is_replicated(name):  # the first stream stands for all
            square += float((g if name in ("embedding", "positions") else g[0]).double().square().sum())
    factor = min(1.0, limit / (math.sqrt(square) + 1e-6))
    return {name: g * factor for name, g in gradients.items()}


def train(wires: Wires, shared: int, seed: int, *, shape: Shape = SMALL, steps: int = 500, until: int | None = None,
          batch: int = 16, rate: float = 3e-3, scaled: bool = True, double: bool = False) -> Trained:  # fmt: skip
    """AdamW (0.9, 0.95), decay 0.1 but for norms, gradients clipped to norm 1, rate falling as a cosine to a tenth.

    In `OneProcess` or, with the same numbers up to rounding, in `Processes`. First weights are normal with standard
    deviation 0.02; runs with one seed have the same weights and batches for all shares and ranks. In one of torch's
    threads a run repeats to the bit, in more to rounding.

    Args:
        shared: channels that are summed, 0 to the width.
        seed: of weights and batches.
        steps, batch: at least 1. until: stop after so many steps of `steps`.
        rate: above 0.
        scaled: whether what is not shared is multiplied by the square root of the number of ranks.
        double: float64 instead of float32.
    """
    instance("wires", wires, Wires)
    instance("shape", shape, Shape)
    shared = whole("shared", shared, at_least=0, at_most=shape.width)
    seed, rate = checked_seed("seed", seed), number("rate", rate, above=0, at_most=1)
    steps, batch = (whole(n, v, at_least=1, at_most=2**20) for n, v in (("steps", steps), ("batch", batch)))
    last = steps if until is None else whole("until", until, at_least=1, at_most=steps)
    scale = math.sqrt(wires.ranks) if flag("scaled", scaled) else 1.0
    dtype = torch.float64 if flag("double", double) else torch.float32
    device = getattr(wires, "device", "cpu")
    mine = shard(first_weights(shape, seed, dtype=dtype), shape, wires)
    mine = {name: w.to(device).requires_grad_() for name, w in mine.items()}
    groups = [{"params": [w for n, w in mine.items() if n.endswith("norm")], "weight_decay": 0.0},
              {"params": [w for n, w in mine.items() if not n.endswith("norm")], "weight_decay": 0.1}]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=rate / 10)
    text, dice, losses = _tokens().train, torch.Generator().manual_seed(seed), []
    for _ in range(last):
        starts = torch.randint(len(text) - shape.context, (batch,), generator=dice)
        tokens = _windows(text, starts, shape.context).to(device)
        value = loss(mine, shape, tokens, wires, shared, scale)
        found = torch.autograd.grad(value, list(mine.values()))
        found = _clip(complete_norms(dict(zip(mine, found, strict=True)), wires), wires, 1.0)
        for name, w in mine.items():
            w.grad = found[name]
        optimizer.step()
        schedule.step()
        losses.append(float(value.detach()))
    mine = {name: w.detach() for name, w in mine.items()}
    test = held_out_loss(mine, wires, shared, shape=shape, scale=scale)
    return Trained(torch.tensor(losses, dtype=torch.float64), test, mine)


def held_out_loss(weights: dict[str, Tensor], wires: Wires, shared: int, *, shape: Shape = SMALL,
              scale: float | None = None) -> float:  # fmt: skip
    """Mean loss on 400 windows of the test names, nats a character; arguments as for `loss`."""
    instance("shape", shape, Shape)
    text = _tokens().test
    starts = torch.linspace(0, len(text) - shape.context - 1, TEST_WINDOWS).long()
    tokens = _windows(text, starts, shape.context).to(weights["embedding"].device)
    with torch.no_grad():
        return float(loss(weights, shape, tokens, wires, shared, scale))


class StoredRuns(NamedTuple):
    """Results of runs that were trained once, by `python -m implicitly.tensor_parallel.train_runs`.

    test: (ranks, p, scaled) -> (seeds,) float64, test loss in nats a character after 500 steps. p = 1 is the same
      network for all ranks and stands under 1 rank.
    first: the same keys -> (seeds, 20), losses of the first batches.
    all_summed: (ranks, p) -> (seeds,), the trained network tested with every channel summed.
    other_ranks: (ranks, p) -> (seeds,), tested as half as many streams, each made of two.
    long: p -> (seeds,), 1500 steps, 4 ranks.
    loopback: ranks -> (sizes,), seconds of an all-reduce of so many float32 numbers, of the slower rank, the fastest of
      101 repeats; sizes: (sizes,).
    machine: what computed the times.
    """

    test: dict[tuple[int, float, bool], Tensor]
    first: dict[tuple[int, float, bool], Tensor]
    all_summed: dict[tuple[int, float], Tensor]
    other_ranks: dict[tuple[int, float], Tensor]
    long: dict[float, Tensor]
    loopback: dict[int, Tensor]
    sizes: Tensor
    machine: str


def _rows(values):
    return torch.tensor(values, dtype=torch.float64)


def stored_runs() -> StoredRuns:
    """The results that this package ships; ValueError if the file is not the one whose digest stands here."""
    found = json.loads(stored_bytes(__package__, _FILE, _SHA256))
    groups: dict[tuple, list] = {}
    for name in sorted(found["runs"]):
        kind, ranks, p, scaled, _ = name.split("/")
        groups.setdefault((kind, int(ranks), float(p), scaled == "scaled"), []).append(found["runs"][name])
    runs = {key[1:]: rows for key, rows in groups.items() if key[0] == "run"}
    streams = {key[:2]: rows for key, rows in runs.items() if key[0] > 1 and key[2]}
    return StoredRuns(
        {key: _rows([one["test"] for one in rows]) for key, rows in runs.items()},
        {key: _rows([one["first"] for one in rows]) for key, rows in runs.items()},
        {key: _rows([one["all_summed"] for one in rows]) for key, rows in streams.items()},
        {key: _rows([one["other_ranks"] for one in rows]) for key, rows in streams.items()},
        {key[2]: _rows([one["test"] for one in rows]) for key, rows in groups.items() if key[0] == "long"},
        {int(ranks): _rows(seconds) for ranks, seconds in found["loopback"].items()},
        _rows(found["sizes"]), found["machine"],
    )  # fmt: skip


def halved(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Trained parts of 2P streams as those of P: what streams 2r and 2r + 1 have, side by side; norms averaged."""
    def two(w):
        return w.unflatten(0, (-1, 2))

    found = {}
    for name, w in weights.items():
        kind = name.split(".")[-1]
        if name in ("embedding", "positions"):
            found[name] = w
        elif name.endswith("norm"):
            found[name] = two(w).mean(1)
        elif kind == "qkv":
            found[name] = two(w).unflatten(2, (3, -1)).transpose(1, 2).flatten(1, 3)
        elif kind in ("out", "down"):
            found[name] = two(w).transpose(1, 2).flatten(2)
        else:
            found[name] = two(w).flatten(1, 2)
    return found


def run(ranks: int, p: float, seed: int, *, scaled: bool = True, steps: int = 500, kind: str = "run") -> dict:
    """One stored run: what `StoredRuns` reads of it."""
    from .streams import shared_channels

    shared, scale = shared_channels(p, SMALL.width), math.sqrt(ranks) if scaled else 1.0
    done = train(OneProcess(ranks), shared, seed, steps=steps, scaled=scaled)
    found = {"test": round(done.test, 5), "first": [round(v, 5) for v in done.train[:20].tolist()]}
    if kind == "run" and ranks > 1:
        found["all_summed"] = round(held_out_loss(done.weights, OneProcess(ranks), SMALL.width), 5)
        half = OneProcess(ranks // 2)
        found["other_ranks"] = round(held_out_loss(halved(done.weights), half, shared, scale=scale), 5)
    return found
