"""Small vision transformers trained on handwritten digits: the data, the training, and weights that are stored.

Chapter `alias-free-vit`. The stored weights come from ``python -m implicitly.equivariance.train_digits``.
"""

import functools
import io
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .._stored import stored_bytes
from .._validate import choice, instance, number, whole
from .._validate import seed as checked_seed
from ..data import digit_pixels
from .nets import Design, ShiftNet
from .signals import resample

__all__ = ["DESIGNS", "STEPS", "digit_images", "stored_digit_nets", "train_digit_net"]

TRAIN, TEST, SIZE = 1200, 200, 16
#: Steps of the short and of the long trainings whose weights are stored.
STEPS = (100, 400)
_UP_GELU = Design(activation="gelu")
_STRIDED = dict(activation="gelu", factor=None, norm="token", down="stride")
#: The networks that are stored, by name. Five, and four that differ from "alias-free, GELU" in one piece each.
DESIGNS = {
    "alias-free, quadratic": Design(),
    "alias-free, GELU": _UP_GELU,
    "strided, cross-covariance": Design(**_STRIDED),
    "strided, softmax": Design(**_STRIDED, attention="softmax"),
    "strided, softmax, positions": Design(**_STRIDED, attention="softmax", positions=True),
    "only: plain stride": Design(activation="gelu", down="stride"),
    "only: softmax": Design(activation="gelu", attention="softmax"),
    "only: token norm": Design(activation="gelu", norm="token"),
    "only: GELU on pixels": Design(activation="gelu", factor=None),
}
_SHORT = ("alias-free, quadratic", "strided, softmax, positions")
_SEEDS = (0, 1, 2)
_SHA256 = "bf35f04de0882dfcb5edbe8be65926b770e2a71335a219c75cf0b07b467786bf"


@functools.cache
def _digits() -> tuple[Tensor, Tensor]:
    pixels, target = digit_pixels()
    x = torch.tensor(pixels, dtype=torch.float64).reshape(-1, 8, 8) / 16
    x = resample(x[:, None], SIZE)
    x = (x - x.mean()) / x.std()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return x[order].float(), torch.tensor(target)[order]


def digit_images(part: str) -> tuple[Tensor, Tensor]:
    """Handwritten digits, 8 x 8 pixels, resampled to 16 x 16: frequencies up to 3, on a grid that could hold 7.

    Args:
        part: "train", 1200 digits, or "test", 200 others; a fixed shuffle of scikit-learn's 1797.

    Returns:
        ``x (N, 1, 16, 16)`` float32, all pixels of mean 0 and variance 1, and ``y (N,)`` int64.
    """
    choice("part", part, ("train", "test"))
    x, y = _digits()
    rows = slice(0, TRAIN) if part == "train" else slice(TRAIN, TRAIN + TEST)
    return x[rows].clone(), y[rows].clone()


def train_digit_net(
    design: Design,
    *,
    seed: int,
    steps: int,
    width: int = 16,
    batch: int = 48,
    rate: float = 4e-3,
    until: int | None = None,
) -> tuple[ShiftNet, Tensor]:
    """Train a network on the digits where they stand: no picture is shifted.

    AdamW without weight decay; the rate rises for 20 steps and falls as a cosine to 0 at `steps`; gradients longer
    than 1 are cut.

    Args:
        design: of the network, a `ShiftNet` on 16 x 16 pixels with 4 heads.
        seed: of its weights and of the batches, in [0, 2**63).
        steps: number of steps, at least 1.
        width: channels, a multiple of 4.
        batch: pictures a step, drawn with replacement.
        rate: the learning rate before the factors of the schedule, above 0.
        until: steps that are taken of these; left out, all.

    Returns:
        The network, float32, and the loss of each step (steps,), in nats, float64.
    """
    instance("design", design, Design)
    seed, steps = checked_seed("seed", seed), whole("steps", steps, at_least=1, at_most=10**6)
    width, batch = whole("width", width, at_least=4, at_most=4096), whole("batch", batch, at_least=1, at_most=TRAIN)
    if width % 4:
        raise ValueError(f"width must be a multiple of 4, found {width}")
    rate = number("rate", rate, above=0.0, at_most=1e3)
    until = steps if until is None else whole("until", until, at_least=1, at_most=steps)
    net = ShiftNet(design, seed=seed, width=width)
    x, y = digit_images("train")
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.0)
    losses = []
    for t in range(until):
        now = rate * min(1.0, (t + 1) / 20) * 0.5 * (1 + math.cos(math.pi * t / steps))
        for group in optimizer.param_groups:
            group["lr"] = now
        rows = torch.randint(TRAIN, (batch,), generator=generator)
        with torch.enable_grad():
            loss = F.cross_entropy(net(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return net.requires_grad_(False), torch.tensor(losses, dtype=torch.float64)


def _names() -> list[tuple[str, int, int]]:
    """(name, steps, seed) of every network that is stored, in order."""
    long = [(name, STEPS[1], seed) for name in DESIGNS for seed in _SEEDS]
    return [*long, *((name, STEPS[0], seed) for name in _SHORT for seed in _SEEDS)]


@functools.cache
def _weights() -> np.ndarray:
    data = stored_bytes(__package__, "digit_nets.npz", _SHA256)
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        return stored["weights"]


def stored_digit_nets(name: str, *, steps: int = STEPS[1]) -> list[ShiftNet]:
    """Networks that `train_digit_net` trained with seeds 0, 1 and 2, from a file in the package; float32, no gradients.

    The weights were rounded to float16 to be stored. The file's SHA-256 is compared with the one written in this
    module.

    Args:
        name: one of `DESIGNS`.
        steps: one of `STEPS`; 100 for "alias-free, quadratic" and "strided, softmax, positions" alone.
    """
    choice("name", name, tuple(DESIGNS))
    steps = whole("steps", steps, at_least=1)
    names, nets, start = _names(), [], 0
    if (name, steps, 0) not in names:
        raise ValueError(f"steps must be one of those stored for {name!r}, found {steps}")
    flat = _weights()
    for one, at, _ in names:
        net = ShiftNet(DESIGNS[one], seed=0)
        count = sum(p.numel() for p in net.parameters())
        if (one, at) == (name, steps):
            values = torch.from_numpy(flat[start : start + count].astype(np.float32))
            torch.nn.utils.vector_to_parameters(values, net.parameters())
            nets.append(net.requires_grad_(False))
        start += count
    return nets
