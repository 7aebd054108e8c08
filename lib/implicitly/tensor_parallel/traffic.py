"""What a step sends, and how long it takes: elements, bytes, and a model of time from bandwidth and latency.

Chapter `partial-synchronization`, C1 and C8. Bad arguments raise TypeError or ValueError.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .._validate import number, tensor, whole

__all__ = ["LayerTime", "effective_width", "fit_line", "layer_elements", "ring_bytes", "step_elements"]


def _positive(**given):
    return (whole(name, value, at_least=1) for name, value in given.items())


def layer_elements(places: int, shared: int) -> int:
    """Elements that one block's all-reduces add up, forward and backward: two each way, C1.

    Args:
        places: batch times sequence, at least 1. shared: channels that are summed, at least 0.

    >>> layer_elements(8 * 2048, 2048)
    134217728
    """
    return 4 * whole("shared", shared, at_least=0) * whole("places", places, at_least=1)


def step_elements(layers: int, places: int, width: int, shared: int) -> int:
    """Elements of a whole step with a replicated embedding: all blocks, the entry's gradient, the loss, C1.

    Not in it: the sum of the norms' gradients, ``(2 layers + 1) width`` once a step, and the scalars of clipping.

    >>> step_elements(3, 96, 32, 16)
    21792
    """
    layers, places, width = _positive(layers=layers, places=places, width=width)
    shared = whole("shared", shared, at_least=0, at_most=width)
    return layers * layer_elements(places, shared) + width * places + 3 * places


def ring_bytes(elements: int, ranks: int, bytes_each: int) -> float:
    """Bytes that each rank sends when a ring adds up so many elements: ``2 (P - 1) / P`` times their size.

    >>> ring_bytes(1000, 4, 2)
    3000.0
    """
    elements = whole("elements", elements, at_least=0)
    ranks, bytes_each = _positive(ranks=ranks, bytes_each=bytes_each)
    return 2 * (ranks - 1) / ranks * elements * bytes_each


def effective_width(width: int, shared: int, ranks: int) -> int:
    """Different channels that all streams have together: ``s + P (h - s)``.

    >>> effective_width(64, 32, 4)
    160
    """
    width, ranks = _positive(width=width, ranks=ranks)
    shared = whole("shared", shared, at_least=0, at_most=width)
    return shared + ranks * (width - shared)


@dataclass(frozen=True)
class LayerTime:
    """Seconds of a block: compute, a latency for each all-reduce, and bytes over bandwidth; nothing overlaps.

    Attributes:
        compute: seconds of its arithmetic, forward and backward together; at least 0. A third of it is forward.
        latency: seconds of an all-reduce of nothing, at least 0.
        bandwidth: bytes a second that each rank sends, above 0.
        ranks: at least 1; with one there is nothing to send.
        bytes_forward, bytes_backward: of an element; the paper's code sums gradients in float32.

    >>> LayerTime(0.0, 0.0, 6.0, 2).training(1, 1)
    2.0
    """

    compute: float
    latency: float
    bandwidth: float
    ranks: int
    bytes_forward: int = 2
    bytes_backward: int = 4

    def __post_init__(self):
        for name, limits in (("compute", {"at_least": 0}), ("latency", {"at_least": 0}), ("bandwidth", {"above": 0})):
            object.__setattr__(self, name, number(name, getattr(self, name), **limits))
        for name in ("ranks", "bytes_forward", "bytes_backward"):
            object.__setattr__(self, name, whole(name, getattr(self, name), at_least=1))

    def _sums(self, elements, bytes_each):
        if self.ranks == 1 or not elements:
            return 0.0
        return 2 * (self.latency + ring_bytes(elements, self.ranks, bytes_each) / self.bandwidth)

    def inference(self, places: int, shared: int) -> float:
        """Seconds of a forward pass, two sums; arguments as for `layer_elements`."""
        elements = layer_elements(places, shared) // 4
        return self.compute / 3 + self._sums(elements, self.bytes_forward)

    def training(self, places: int, shared: int) -> float:
        """Seconds of a forward and a backward pass, four sums; arguments as for `layer_elements`."""
        elements = layer_elements(places, shared) // 4
        return self.compute + self._sums(elements, self.bytes_forward) + self._sums(elements, self.bytes_backward)


def fit_line(size: Tensor, seconds: Tensor) -> tuple[float, float]:
    """Latency and seconds a unit of size, both at least 0, that make the relative misses smallest (least squares).

    Args:
        size, seconds: (n,) float64, n at least 2; sizes differ, seconds above 0.

    >>> fit_line(torch.tensor([1.0, 2, 4], dtype=torch.float64), torch.tensor([3.0, 5, 9], dtype=torch.float64))
    (1.0, 2.0)
    """
    tensor("size", size, shape=("n",), dtype=torch.float64, at_least=0)
    tensor("seconds", seconds, shape=(len(size),), dtype=torch.float64, above=0)
    if len(size.unique()) < 2:
        raise ValueError(f"size must hold two different sizes, found {len(size.unique())}")
    weights = torch.stack([torch.ones_like(size), size], 1) / seconds[:, None]
    scale = weights.norm(dim=0)
    found = torch.linalg.lstsq(weights / scale, torch.ones_like(seconds)[:, None]).solution[:, 0] / scale
    if bool((found < 0).any()):  # the better of the two lines with one of them 0
        lone = [(float((w.sum() / w.square().sum()).clamp_min(0)), i) for i, w in enumerate(weights.T)]
        miss = [float((1 - v * weights[:, i]).square().sum()) for v, i in lone]
        value, i = lone[miss.index(min(miss))]
        return (value, 0.0) if i == 0 else (0.0, value)
    return float(f"{found[0]:.15g}"), float(f"{found[1]:.15g}")
