"""Data that chapters share: handwritten digits that ship with scikit-learn, 8 x 8 pixels."""

import functools
import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ._validate import number, whole
from ._validate import seed as checked_seed

__all__ = [
    "digit_classes",
    "digit_pixels",
    "digits",
]

_FEATURES, _FIRST_TEST = 64, 800


def digit_pixels() -> tuple[np.ndarray, np.ndarray]:
    """All digits in scikit-learn's order: pixels ``(1797, 64)`` float64, whole numbers 0 to 16, and ``(1797,)`` int64.

    What `sklearn.datasets.load_digits` gives, from its file: to import scikit-learn takes longer than all that follows.
    """
    pixels, target = _file()
    return pixels.copy(), target.copy()


@functools.cache
def _file():
    spec = importlib.util.find_spec("sklearn")
    file = Path(spec.origin).with_name("datasets") / "data/digits.csv.gz" if spec and spec.origin else None
    if file and file.is_file():
        table = np.loadtxt(file, delimiter=",")
        return table[:, :-1].copy(), table[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.data, data.target.astype(np.int64)


@functools.cache
def _arrays() -> tuple[Tensor, Tensor]:
    pixels, target = _file()
    x = torch.tensor(pixels, dtype=torch.float32)
    scale = x[:_FIRST_TEST].std(0)
    x = (x - x[:_FIRST_TEST].mean(0)) / (4 * torch.where(scale > 0, scale, torch.ones_like(scale)))
    return x, torch.tensor(target >= 5, dtype=torch.float32)


def digits(N: int, *, flip: float, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training and test set; each label is replaced by a coin flip with probability `flip`, in both.

    Args:
        N: number of training digits, from 1 to 800: a random choice of the first 800.
        flip: share of labels replaced, in [0, 1]; 1 makes them independent of the picture.
        seed: of the choice and of the coins, in [0, 2**63).

    Returns:
        ``X (N, 64), y (N,), X_test (997, 64), y_test (997,)``, float32, labels 0 or 1. Pixels are centred
        and divided by four standard deviations of the first 800 digits.
    """
    N, flip = whole("N", N, at_least=1, at_most=_FIRST_TEST), number("flip", flip, at_least=0.0, at_most=1.0)
    generator = torch.Generator().manual_seed(checked_seed("seed", seed))
    x, y = _arrays()
    replaced = torch.rand(len(y), generator=generator, dtype=torch.float32) < flip
    coins = (torch.rand(len(y), generator=generator, dtype=torch.float32) < 0.5).float()
    y = torch.where(replaced, coins, y)
    chosen = torch.randperm(_FIRST_TEST, generator=generator)[:N]
    return x[chosen], y[chosen], x[_FIRST_TEST:].clone(), y[_FIRST_TEST:]  # a slice of x would be the cached pictures


def digit_classes(N: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """N of scikit-learn's 1797 8 x 8 digits, centred, with a constant pixel for the bias.

    Returns:
        ``X (N, 65)`` float64 with the longest row of length 1, ``y (N,)`` int64.
    """
    N, seed = whole("N", N, at_least=1, at_most=1797), checked_seed("seed", seed)
    raw, target = _file()
    order = torch.randperm(len(target), generator=torch.Generator().manual_seed(seed))[:N]
    pixels = torch.tensor(raw, dtype=torch.float64)[order] / 16
    constant = torch.full((N, 1), 0.5, dtype=torch.float64)
    X = torch.cat([pixels - pixels.mean(0), constant], 1)
    return X / X.norm(dim=1).max(), torch.tensor(target, dtype=torch.int64)[order]
