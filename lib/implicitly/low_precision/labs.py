"""Three small experiments next to training in four bits: spikes in gradients, outlier channels, pruned weights.

Each is a toy of ours on an idea of a paper that the chapter `fp4-training` names, C9 to C11; none is that paper's
algorithm in full. Bad arguments raise TypeError or ValueError.
"""

import torch
from torch import Tensor

from .._validate import choice, flag, instance, number, tensor, whole
from .._validate import generator as checked_generator
from .blocks import BlockFormat

__all__ = [
    "balance_channels",
    "clip_spikes",
    "keep_largest",
    "pruned_training",
    "spiked_descent",
]

F32 = torch.float32


def clip_spikes(gradient: Tensor, typical: float, step: int, *, decay: float = 0.99) -> tuple[Tensor, float]:
    """Entries above a running mean of the largest magnitude are shrunk to it: the first step of Stable-SPAM.

    Args:
        gradient: float32, any shape, at least one entry.
        typical: running mean of the largest magnitudes so far, at least 0; 0 before the first.
        step: from 1: the mean is divided by ``1 - decay^step``, as Adam does.
        decay: in [0, 1).

    Returns the gradient and the new running mean, in which a spike counts as it came.
    """
    tensor("gradient", gradient, dtype=F32)
    if not gradient.numel():
        raise ValueError("gradient must hold at least one entry, found none")
    typical, decay = number("typical", typical, at_least=0), number("decay", decay, at_least=0, below=1)
    step = whole("step", step, at_least=1, at_most=2**31)
    top = float(gradient.abs().max())
    typical = decay * typical + (1 - decay) * top
    limit = typical / (1 - decay**step)
    if top <= limit or top == 0:
        return gradient, typical
    return torch.where(gradient.abs() > limit, gradient / top * limit, gradient), typical


def spiked_descent(clip: bool, form: BlockFormat | None, *, seed: int, steps: int = 400, size: float = 300.0,
                   every: int = 20) -> Tensor:  # fmt: skip
    """Losses (steps,) of Adam on ``|t|^2 / 2``, 64 coordinates, whose gradient sometimes has one huge entry.

    Before a gradient is rounded with a coin to `form` (None: not at all), a spike of `size` is added to a random entry
    in every `every`-th step on average, and then clipped if `clip` (`clip_spikes`). Step size 0.02, falling to 0.

    Args:
        seed: of the start, the spikes and the coin, below 2^20. steps, every: at least 1.
        size: above 0.
    """
    clip = flag("clip", clip)
    form = form if form is None else instance("form", form, BlockFormat)
    seed = whole("seed", seed, at_least=0, at_most=2**20 - 1)
    steps, every = whole("steps", steps, at_least=1, at_most=10**5), whole("every", every, at_least=1, at_most=10**6)
    size = number("size", size, above=0, at_most=1e9)
    dice = torch.Generator().manual_seed(seed)
    place = torch.randn(64, generator=dice, dtype=F32)
    mean, square, typical, losses = torch.zeros_like(place), torch.zeros_like(place), 0.0, []
    for step in range(1, steps + 1):
        losses.append(0.5 * float(place.square().sum()))
        gradient = place.clone()
        hit, where = torch.rand(1, generator=dice, dtype=F32), torch.randint(64, (1,), generator=dice)
        gradient[where] += size * float(hit < 1 / every)
        if clip:
            gradient, typical = clip_spikes(gradient, typical, step)
        if form is not None:
            gradient = form.quantize(gradient, rounding="coin", seed=seed * 2**20 + step)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient.square()
        size_now = (square / (1 - 0.999**step)).sqrt() + 1e-8
        place = place - 0.02 * (1 - (step - 1) / steps) * mean / (1 - 0.9**step) / size_now
    return torch.tensor(losses, dtype=torch.float64)


def balance_channels(x: Tensor, w: Tensor, strength: float = 0.5) -> tuple[Tensor, Tensor]:
    """x / s and w * s, channel by channel, with ``s_j = max|x_j|^strength / max|w_j|^(1 - strength)``.

    The product ``x @ w.T`` stays the same, up to rounding: what was large in x moves into w.

    Args:
        x: (B, K), w: (N, K), float32; B, N >= 1, no channel all 0 in either.
        strength: from 0 to 1.
    """
    tensor("x", x, shape=("B", "K"), dtype=F32)
    tensor("w", w, shape=("N", x.shape[1]), dtype=F32)
    for name, value in (("x", x), ("w", w)):
        if not len(value) or not bool((value != 0).any(0).all()):
            raise ValueError(f"{name} must have an entry other than 0 in each channel, found a channel without")
    strength = number("strength", strength, at_least=0, at_most=1)
    scale = x.abs().amax(0) ** strength / w.abs().amax(0) ** (1 - strength)
    return x / scale, w * scale


def keep_largest(w: Tensor, keep: int, of: int) -> Tensor:
    """Mask, of w's shape and dtype, of the `keep` largest magnitudes among each `of` neighbours of the last axis.

    Args:
        w: (..., K) floating, K a multiple of `of`. keep: from 1 to `of`.

    >>> keep_largest(torch.tensor([1.0, -3.0, 2.0, 0.5]), 1, 4).tolist()
    [0.0, 1.0, 0.0, 0.0]
    """
    tensor("w", w)
    of = whole("of", of, at_least=1)
    keep = whole("keep", keep, at_least=1, at_most=of)
    if not w.ndim or w.shape[-1] % of:
        raise ValueError(f"w must have a last axis that is a multiple of {of}, found shape {tuple(w.shape)}")
    groups = w.detach().abs().reshape(*w.shape[:-1], w.shape[-1] // of, of)
    chosen = groups.topk(keep, -1).indices
    return torch.zeros_like(groups).scatter(-1, chosen, 1.0).reshape(w.shape)


def pruned_training(gradient: str, *, seeds: int, generator: torch.Generator, keep: int = 1, of: int = 8,
                    steps: int = 300) -> Tensor:  # fmt: skip
    """Final loss over that of 0, (seeds,) float64, of linear models that keep `keep` of `of` weights.

    Loss ``|m(w) w - t|^2 / 2``, t of 64 normal weights with `keep` of each `of` kept at random, w starts normal, too;
    m(w) is `keep_largest`. What reaches a pruned weight is nothing ("masked"), all ("straight-through"), or a share
    that falls from 1 to 0 ("progressive"). Steps of size 0.1.

    Args:
        seeds: models, at least 1. steps: at least 0.
    """
    choice("gradient", gradient, ("masked", "straight-through", "progressive"))
    seeds, steps = whole("seeds", seeds, at_least=1, at_most=10**4), whole("steps", steps, at_least=0, at_most=10**5)
    of = whole("of", of, at_least=1, at_most=64)
    if 64 % of:
        raise ValueError(f"of must divide 64, found {of}")
    keep = whole("keep", keep, at_least=1, at_most=of)
    checked_generator("generator", generator, device=torch.device("cpu"))
    made = [torch.randn(seeds, 64, generator=generator, dtype=torch.float64) for _ in range(3)]
    teacher, w = made[0] * keep_largest(made[1], keep, of), made[2]
    for step in range(steps):
        mask = keep_largest(w, keep, of)
        share = {"masked": 0.0, "straight-through": 1.0, "progressive": 1 - step / steps}[gradient]
        w = w - 0.1 * (mask * w - teacher) * (mask + share * (1 - mask))
    loss = (keep_largest(w, keep, of) * w - teacher).square().sum(1)
    return loss / teacher.square().sum(1)
