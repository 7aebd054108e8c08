"""A small language model whose hidden layers work in four bits: it learns to spell the names of Unicode characters.

The text ships with Python and is the same in each: the names of Unicode 3.2, without those made by a rule from a
number. A network reads eight characters and predicts the next one. Embedding, output layer, biases and the optimizer
are float32; the hidden layers follow a `Policy`. Chapter `fp4-training`, C7, C8. Bad arguments raise TypeError or
ValueError.
"""

import functools
import hashlib
import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .._stored import stored_bytes
from .._validate import instance, instances, mapping, number, tensor, whole
from .._validate import seed as checked_seed
from .policies import Policy, fp4_linear
from .progress import gradient_to_noise

__all__ = [
    "ALPHABET",
    "Contexts",
    "LanguageModel",
    "Noise",
    "Run",
    "StoredRuns",
    "batch_noise",
    "character_names",
    "held_out_loss",
    "name_contexts",
    "stored_language_runs",
    "train_language_model",
]

F32 = torch.float32
ALPHABET = "\n -0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # a line feed ends a name
WINDOW, EMBEDDING, WIDTH, LAYERS = 8, 12, 96, 3
_NAMES_SHA256 = "7cc55aa670bdb8ceec1e0fdf5b0a64dec6cb084d2592b1b21364899ea87e916a"
_STORED = Path(__file__).parent / "language_runs.json"
_STORED_SHA256 = "fc9b126f7590d6694bec3aafabd4a3c5310216d38f9c1d31820c4fb657e3b9d5"


def character_names() -> tuple[str, ...]:
    """The 12771 names of Unicode 3.2, as Python's `unicodedata.ucd_3_2_0` has them, in the order of their characters.

    Ideographs and Hangul syllables, named by their numbers and parts, are left out. A digest of all is checked.
    """
    return _names()


@functools.cache
def _names() -> tuple[str, ...]:
    table = unicodedata.ucd_3_2_0
    names = [table.name(chr(i), "") for i in range(0x110000)]
    names = tuple(n for n in names if n and not n.startswith(("CJK", "HANGUL SYLLABLE")))
    if hashlib.sha256("\n".join(names).encode()).hexdigest() != _NAMES_SHA256:
        raise RuntimeError("the names in unicodedata.ucd_3_2_0 are not those that this module was written for")
    return names


class Contexts(NamedTuple):
    """x (N, 8) int64, the characters before; y (N,) int64, the next one: to train on, and of other names to test."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


def name_contexts() -> Contexts:
    """All contexts of nine names in ten; of every tenth name, each fourth context, to test. Indices into `ALPHABET`."""
    return Contexts(*(part.clone() for part in _contexts()))


@functools.cache
def _contexts() -> Contexts:
    table = np.zeros(128, dtype=np.int64)
    table[np.frombuffer(ALPHABET.encode(), dtype=np.uint8)] = np.arange(len(ALPHABET))

    def cut(names):
        text = "".join(WINDOW * "\n" + name for name in names) + "\n"  # the first line feed after a name ends it
        codes = torch.from_numpy(table[np.frombuffer(text.encode(), dtype=np.uint8)])
        wanted = (codes[WINDOW:] != 0) | (codes[WINDOW - 1:-1] != 0)
        return codes[:-1].unfold(0, WINDOW, 1)[wanted], codes[WINDOW:][wanted]

    names = _names()
    x, y = cut([n for i, n in enumerate(names) if i % 10])
    x_test, y_test = cut(names[::10])
    return Contexts(x, y, x_test[::4].contiguous(), y_test[::4].contiguous())


@dataclass
class LanguageModel:
    """A network from 8 characters to 39 scores: embedding of 12 numbers each, three hidden ReLU layers of 96.

    Attributes:
        parameters: embedding (39, 12); weight (96, 96), bias (96,) of each hidden layer; weight (39, 96), bias (39,).
    """

    parameters: list[Tensor]

    def __post_init__(self):
        shapes = _shapes()
        self.parameters = list(instances("parameters", self.parameters, Tensor, length=len(shapes)))
        for i, (value, shape) in enumerate(zip(self.parameters, shapes, strict=True)):
            tensor(f"parameters[{i}]", value, shape=shape, dtype=F32)

    @classmethod
    def first(cls, seed: int) -> "LanguageModel":
        """Before training: embedding standard normal, weights normal with variance 2 / fan-in, biases 0."""
        dice = torch.Generator().manual_seed(checked_seed("seed", seed))
        found = []
        for i, shape in enumerate(_shapes()):
            if len(shape) == 1:
                found.append(torch.zeros(shape, dtype=F32))
            else:
                size = 1.0 if i == 0 else (2 / shape[1]) ** 0.5
                found.append(size * torch.randn(shape, generator=dice, dtype=F32))
        return cls(found)

    def logits(self, x: Tensor, policy: Policy, *, seed: int = 0) -> Tensor:
        """Scores (B, 39) of the character after each x (B, 8) int64; `seed` of the coins, below 2^50."""
        tensor("x", x, shape=("B", WINDOW), dtype=torch.int64)
        _inside("x", x)
        instance("policy", policy, Policy)
        seed = whole("seed", seed, at_least=0, at_most=2**50 - 1)
        embedding, *layers, weight, bias = self.parameters
        h = embedding[x].flatten(1)
        for layer in range(LAYERS):
            h = F.relu(fp4_linear(h, layers[2 * layer], policy, seed=LAYERS * seed + layer) + layers[2 * layer + 1])
        return h @ weight.mT + bias

    def loss(self, x: Tensor, y: Tensor, policy: Policy, *, seed: int = 0) -> Tensor:
        """Mean cross-entropy in nats a character, a scalar; x (B, 8) and y (B,) int64, B >= 1."""
        scores = self.logits(x, policy, seed=seed)
        tensor("y", y, shape=(len(x),), dtype=torch.int64)
        if not len(x):
            raise ValueError("x must hold at least one context, found none")
        _inside("y", y)
        return F.cross_entropy(scores, y)


def _inside(name, codes):
    if codes.numel() and not bool(((codes >= 0) & (codes < len(ALPHABET))).all()):
        ends = f"{codes.min()} to {codes.max()}"
        raise ValueError(f"{name} must hold indices from 0 to {len(ALPHABET) - 1}, found {ends}")


def _shapes():
    hidden = [(WIDTH, WIDTH), (WIDTH,)] * LAYERS
    return [(len(ALPHABET), EMBEDDING), *hidden, (len(ALPHABET), WIDTH), (len(ALPHABET),)]


class Noise(NamedTuple):
    """Norms, over the weights of the hidden layers: of a batch's gradient, of what quantizing its backward pass adds,
    of what the choice of the batch adds; and the first over the second."""

    gradient: float
    quantization: float
    sampling: float
    ratio: float


def _hidden_gradient(model, x, y, policy, seed=0):
    loss = model.loss(x, y, policy, seed=seed)
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, model.parameters[1:-2:2])])


def batch_noise(model: LanguageModel, policy: Policy, *, batch: int = 256, draws: int = 8, large: int = 16384,
                seed: int = 0) -> Noise:  # fmt: skip
    """Gradient and noise of one batch of the training contexts.

    Quantization: root mean square over `draws` coins of the distance from the gradient with the same forward pass and
    an exact backward pass. Sampling: distance of that from the gradient of `large` contexts.

    Args:
        batch, draws, large: at least 1, at most 2^20.
        seed: of the choice of both and of the coins, below 2^40.
    """
    instance("model", model, LanguageModel)
    instance("policy", policy, Policy)
    batch, draws, large = (whole(n, v, at_least=1, at_most=2**20)
                           for n, v in (("batch", batch), ("draws", draws), ("large", large)))  # fmt: skip
    seed = whole("seed", seed, at_least=0, at_most=2**40 - 1)
    model = LanguageModel([p.detach().clone().requires_grad_() for p in model.parameters])
    data, dice = _contexts(), torch.Generator().manual_seed(seed)
    some, many = (torch.randint(len(data.x), (n,), generator=dice) for n in (batch, large))
    plain = policy.without("backward", "update")
    exact = _hidden_gradient(model, data.x[some], data.y[some], plain)
    noisy = torch.stack([_hidden_gradient(model, data.x[some], data.y[some], policy, seed=k) for k in range(draws)])
    ratio = gradient_to_noise(exact, noisy)
    wide = _hidden_gradient(model, data.x[many], data.y[many], plain)
    size = float(exact.norm())
    return Noise(size, size / ratio, float((exact - wide).norm()), ratio)


class Run(NamedTuple):
    """train (steps,), the loss of each batch; test, the loss on the test contexts; model; noise: step -> `Noise`."""

    train: Tensor
    test: float
    model: LanguageModel
    noise: dict[int, Noise]


def train_language_model(policy: Policy, seed: int, *, steps: int = 800, batch: int = 256, rate: float = 3e-3,
                         until: int | None = None, then: dict[int, Policy] | None = None,
                         probe: tuple[int, ...] = ()) -> Run:  # fmt: skip
    """Adam (0.9, 0.999) with a step size that falls from `rate` to 0 as a cosine over `steps`.

    Args:
        policy: of the hidden layers, in training and in the test.
        seed: of first weights, batches and coins; runs with one seed see the same batches. Below 2^20.
        steps, batch: at least 1, at most 2^20.
        until: stop after so many steps of `steps`, at least 1.
        then: step (from 0) -> the policy from there on.
        probe: steps before which `batch_noise` is measured.
    """
    instance("policy", policy, Policy)
    seed = whole("seed", seed, at_least=0, at_most=2**20 - 1)
    steps, batch = (whole(n, v, at_least=1, at_most=2**20) for n, v in (("steps", steps), ("batch", batch)))
    rate = number("rate", rate, above=0, at_most=1)
    last = steps if until is None else whole("until", until, at_least=1, at_most=steps)
    if then is not None:
        mapping("then", then)
        for at, other in then.items():
            whole("then", at, at_least=0)
            instance(f"then[{at}]", other, Policy)
    if not isinstance(probe, tuple | list):
        raise TypeError(f"probe must be a tuple of steps, found {type(probe).__name__}")
    probe = {whole(f"probe[{i}]", at, at_least=0) for i, at in enumerate(probe)}
    data, dice = _contexts(), torch.Generator().manual_seed(seed)
    model = LanguageModel([p.requires_grad_() for p in LanguageModel.first(seed).parameters])
    optimizer = torch.optim.Adam(model.parameters, lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses, noise = [], {}
    for step in range(last):
        policy = (then or {}).get(step, policy)
        if step in probe:
            noise[step] = batch_noise(model, policy, batch=batch)
        rows = torch.randint(len(data.x), (batch,), generator=dice)
        loss = model.loss(data.x[rows], data.y[rows], policy, seed=seed * 2**20 + step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    model = LanguageModel([p.detach() for p in model.parameters])
    return Run(torch.stack(losses), held_out_loss(model, policy), model, noise)


def held_out_loss(model: LanguageModel, policy: Policy) -> float:
    """Mean loss on all test contexts, in nats a character, with the forward pass of this policy."""
    instance("model", model, LanguageModel)
    instance("policy", policy, Policy)
    data = _contexts()
    with torch.no_grad():
        return float(model.loss(data.x_test, data.y_test, policy, seed=2**49))


class StoredRuns(NamedTuple):
    """Test losses of runs that were trained once, by `python -m implicitly.low_precision.train_language`.

    policies: name of a policy -> (seeds,) float64. plain_test: the same networks with float32 products in the test.
    switches: pass that goes to float32 at step 400 of 500 ("forward", "backward" with update, "all") -> (seeds,).
    wide: name of a policy -> (seeds,), batches of 2048, 250 steps.
    places: "nearest" or "coin", a blank, a field of `Policy` -> (seeds,): NVFP4 in that place alone.
    first: name of a policy -> (seeds, 50), losses of the first batches.
    noise: step -> (seeds, 4): the fields of `Noise` under the policy "paper".
    """

    policies: dict[str, Tensor]
    plain_test: dict[str, Tensor]
    switches: dict[str, Tensor]
    wide: dict[str, Tensor]
    places: dict[str, Tensor]
    first: dict[str, Tensor]
    noise: dict[int, Tensor]


def stored_language_runs() -> StoredRuns:
    """The results that this package ships; ValueError if the file is not the one whose digest stands here."""
    runs = json.loads(stored_bytes(__package__, _STORED.name, _STORED_SHA256))

    def table(group, field):
        found = {}
        for name in sorted(runs, key=lambda n: int(n.rsplit("/", 1)[1])):
            kind, _, rest = name.partition("/")
            if kind == group:
                found.setdefault(rest.rsplit("/", 1)[0], []).append(runs[name][field])
        return found

    def tensors(rows):
        return {name: torch.tensor(values, dtype=torch.float64) for name, values in rows.items()}

    noise = table("policy", "noise")["paper"]
    return StoredRuns(
        tensors(table("policy", "test")), tensors(table("policy", "wide_test")), tensors(table("switch", "test")),
        tensors(table("wide", "test")), tensors(table("place", "test")), tensors(table("policy", "train")),
        {int(step): torch.tensor([one[step] for one in noise], dtype=torch.float64) for step in noise[0]},
    )  # fmt: skip
