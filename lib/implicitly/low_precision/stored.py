"""Networks on digits and the results of trainings in narrow accumulators, from a file in the package.

Chapter `low-bit-accumulators`, C7, C8 and C10. ``python -m implicitly.low_precision.train_digits`` makes the file.
"""

import functools
import io
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._stored import stored_bytes
from .formats import Accumulator
from .nets import Networks, digit_split, first_networks

__all__ = ["FINE_TUNED", "STAGED", "WINDOWS", "StoredDigits", "stored_digits"]

SEEDS = (0, 1, 2, 3, 4, 5)
#: Accumulators of `StoredDigits.fine_tuned`, by name: M, E and the biases of products and sums; chunks of 16.
FINE_TUNED = {
    f"M{m}E{e} ({p},{s})": Accumulator(m, e, p, s)
    for m, e, p, s in ((7, 4, 12, 10), (4, 3, 5, 3), (3, 3, 5, 3), (2, 3, 5, 3), (4, 3, 4, 2), (4, 3, 3, 1))
}
#: Accumulators of `StoredDigits.gradients`: M3E3, whose window moves down as the bias grows.
WINDOWS = tuple(Accumulator(3, 3, s + 2, s) for s in (4, 5, 6, 7, 8))
#: Accumulators of `StoredDigits.staged`.
STAGED = (Accumulator(4, 3, 5, 3), Accumulator(4, 3, 6, 4))
_STAGED_BY = ("identity", "immediate-change")
_FILE, _SHA256 = "digit_nets.npz", "028e176b7962b05246a8fa9734e0f83875044dcba9823ca9e176dc85685c38c0"


class StoredDigits(NamedTuple):
    """Six trained networks, and shares of right answers on 360 test digits, float64, the last axis for the six seeds.

    networks: widths 64, 64, 64, 10, trained in float32 for 12 epochs at rate 0.003, stored as float16.
    fine_tuned: (6, 4, 6), for the accumulators of `FINE_TUNED` these networks trained further, at rate 0.001: 6 epochs;
       3 without underflow and 3 with; 9 epochs; 3 without and 6 with.
    gradients: (5, 4, 6), networks of widths 64, 32, 32, 10 trained from the start, 6 epochs at rate 0.003, in each
       accumulator of `WINDOWS`, with each of `GRADIENTS`.
    staged: (2, 2, 2, 6), as `gradients`, in each of `STAGED`, with the gradients "identity" and "immediate-change":
       6 epochs; 3 without underflow and 3 with.
    """

    networks: Networks
    fine_tuned: Tensor
    gradients: Tensor
    staged: Tensor


@functools.cache
def _file() -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(stored_bytes(__package__, _FILE, _SHA256)), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _unpacked(flat: np.ndarray) -> Networks:
    """The networks whose weights and biases, layer by layer, are `flat`, float16."""
    like, values, start = first_networks(SEEDS), [], 0
    for tensor in (*like.weights, *like.biases):
        part = flat[start : start + tensor.numel()].astype(np.float32)
        values.append(torch.from_numpy(part).reshape(tensor.shape))
        start += tensor.numel()
    layers = len(like.weights)
    return Networks(tuple(values[:layers]), tuple(values[layers:]), SEEDS)


def stored_digits() -> StoredDigits:
    """What `train_digits` stored; the file's SHA-256 is compared with the one written in this module.

    >>> stored_digits().fine_tuned.shape
    torch.Size([6, 4, 6])
    """
    stored, pictures = _file(), len(digit_split().x_test)
    shares = (torch.from_numpy(stored[name].astype(np.float64)) / pictures
              for name in ("fine_tuned", "gradients", "staged"))  # fmt: skip
    return StoredDigits(_unpacked(stored["weights"]), *shares)
