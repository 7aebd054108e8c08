"""How much a network's answers change when its images are shifted. Chapter `alias-free-vit`, claim C6."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .._validate import choice, tensor, whole
from .._validate import seed as checked_seed
from .signals import fractional_shift, image

__all__ = ["ShiftReport", "shift_list", "shift_report"]


class ShiftReport(NamedTuple):
    """What `shift_report` finds of one network.

    Attributes:
        accuracy: share of images whose answer is right, unshifted.
        consistency: share of answers that agree with the unshifted one, (shifts,).
        worst: share of images whose answer is right unshifted and under each of the shifts.
        change: largest change of a logit vector, over images and shifts, in units of `spread`.
        spread: root mean square distance of the unshifted logit vectors from their mean: 0 for a constant network.
        answers: number of different classes among the unshifted answers.
    """

    accuracy: float
    consistency: Tensor
    worst: float
    change: float
    spread: float
    answers: int


def shift_list(kind: str, count: int, *, size: int, seed: int) -> Tensor:
    """Shifts to test with, (count, 2), float64, in pixels down and right.

    Args:
        kind: "integer", drawn from all but (0, 0); "half", these plus (1/2, 1/2); "real", uniform on [0, size)^2.
        count: how many; of the first two kinds at most size^2 - 1, all different.
        size: pixels a side of the images, at least 2.
        seed: of the draw, in [0, 2**63).
    """
    choice("kind", kind, ("integer", "half", "real"))
    size = whole("size", size, at_least=2, at_most=4096)
    count = whole("count", count, at_least=1, at_most=10**6 if kind == "real" else size**2 - 1)
    generator = torch.Generator().manual_seed(checked_seed("seed", seed))
    if kind == "real":
        return size * torch.rand(count, 2, generator=generator, dtype=torch.float64)
    places = 1 + torch.randperm(size**2 - 1, generator=generator)[:count]
    whole_shifts = torch.stack([places // size, places % size], 1).to(torch.float64)
    return whole_shifts + 0.5 if kind == "half" else whole_shifts


@torch.no_grad()
def shift_report(net: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, shifts: Tensor) -> ShiftReport:
    """Answers of a network to images and to their shifts.

    Args:
        net: a function of images that gives logits (B, classes).
        x: images (B, C, n, n), float32 or float64, B at least 1.
        y: their classes (B,), int64.
        shifts: (shifts, 2), float64, in pixels, at least one.

    Returns:
        `ShiftReport`. Of a constant network `change` is infinite, or a quotient of two roundings: look at `spread`.
    """
    if not callable(net):
        raise TypeError(f"net must be a function, found {type(net).__name__}")
    x = image("x", x, dims=4)
    tensor("y", y, shape=("B",), dtype=torch.int64, device=x.device, at_least=0)
    shifts = tensor("shifts", shifts, shape=("shifts", 2), dtype=torch.float64)
    if not len(x) or len(y) != len(x):
        raise ValueError(f"y must hold a class for each of the {len(x)} images, at least one, found {len(y)}")
    if not len(shifts):
        raise ValueError("shifts must hold at least one shift, found none")
    still = net(x)
    tensor("net(x)", still, shape=("B", "classes"))
    first = still.argmax(1)
    spread = (still - still.mean(0)).square().sum(1).mean().sqrt().item()
    right, agree, changes = first == y, [], []
    ok = right.clone()
    for shift in shifts.tolist():
        moved = net(fractional_shift(x, shift))
        now = moved.argmax(1)
        ok &= now == y
        agree.append((now == first).double().mean())
        changes.append((moved - still).norm(dim=1).max())
    change = torch.stack(changes).max().item() / spread if spread > 0 else float("inf")
    mean = torch.Tensor.mean
    return ShiftReport(
        mean(right.double()).item(), torch.stack(agree), mean(ok.double()).item(), change, spread, len(first.unique())
    )
