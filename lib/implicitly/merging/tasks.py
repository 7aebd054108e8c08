"""Two tasks from the handwritten digits, and how well merged features serve their heads. Chapter `merging-networks`."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .._validate import function, instances, tensor
from ..data import digit_classes
from .nets import Head, Net, fitting_nets

__all__ = [
    "Ensemble",
    "Scores",
    "Split",
    "accuracy",
    "digit_halves",
    "evaluate",
]


class Split(NamedTuple):
    """Inputs and classes of each task, to train on, to choose on, and to report on.

    ``train (T, 480, 64)``, ``valid (T, 150, 64)``, ``test (T, 240, 64)``, float32; ``*_y`` their classes, int64.
    """

    train: Tensor
    train_y: Tensor
    valid: Tensor
    valid_y: Tensor
    test: Tensor
    test_y: Tensor


_PARTS = (480, 150, 240)


@functools.cache
def _halves(halves: bool) -> Split:
    X, y = digit_classes(1797, seed=0)
    X = (4 * X[:, :64]).float()
    groups = [(y < 5).nonzero()[:, 0], (y >= 5).nonzero()[:, 0]] if halves else [torch.arange(1797)]
    sizes = _PARTS if halves else tuple(2 * s for s in _PARTS)
    found = []
    for start, size in zip((0, sizes[0], sizes[0] + sizes[1]), sizes, strict=True):
        places = torch.stack([g[start : start + size] for g in groups])
        found += [X[places], y[places] % 5 if halves else y[places]]
    return Split(*found)


def digit_halves(*, split: bool = True) -> Split:
    """The 8 x 8 digits as two tasks, to tell 0, 1, 2, 3, 4 apart and to tell 5, 6, 7, 8, 9 apart; or as one.

    Pixels are centred; the longest image has a length near 4. The parts are disjoint.

    Args:
        split: True, T = 2 tasks of five classes; False, T = 1 task of ten, of twice as many images.
    """
    from .._validate import flag

    return Split(*(one.clone() for one in _halves(flag("split", split))))


class Ensemble:
    """Models kept side by side: ``Ensemble(models)(x)`` are the features of each. Nothing is merged."""

    def __init__(self, models: Sequence[Net]):
        self.models = fitting_nets("models", models)

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features of each model, (n, d_i) or (B, n, d_i), at inputs `x` as `Net` takes them."""
        return tuple(net(x) for net in self.models)


def accuracy(scores: Tensor, y: Tensor) -> Tensor:
    """Share of inputs whose largest score is that of their class.

    Args:
        scores: (n, classes) or (B, n, classes), n at least 1.
        y: classes, (n,), int64.

    Returns:
        () or (B,), float64.
    """
    scores = tensor("scores", scores)
    if scores.ndim not in (2, 3) or not scores.shape[-2] or not scores.shape[-1]:
        raise ValueError(f"scores must have shape (n, classes) or (B, n, classes), found {tuple(scores.shape)}")
    limits = dict(at_least=0, at_most=scores.shape[-1] - 1)
    y = tensor("y", y, shape=(scores.shape[-2],), dtype=torch.int64, **limits)
    return (scores.argmax(-1) == y).double().mean(-1)


class Scores(NamedTuple):
    """Shares of right answers: ``tasks`` (T,) or (B, T), the task being told; ``joint`` () or (B,), it being not."""

    tasks: Tensor
    joint: Tensor


def evaluate(rebuild: Callable, heads: Sequence[Head], X: Tensor, y: Tensor) -> Scores:
    """How well features serve the heads.

    Args:
        rebuild: inputs (n, d_0) -> features for each head, as `Folded`, `SuperNet` and `Ensemble` give them.
        heads: T of them, with classes of the same number.
        X, y: images (T, n, d_0) of each task and their classes (T, n), int64, n at least 1.

    Returns:
        `Scores`. Joint: the largest score of all heads names the class.
    """
    rebuild, heads = function("rebuild", rebuild), instances("heads", heads, Head)
    X = tensor("X", X, shape=(len(heads), "n", "d"))
    if not X.numel():
        raise ValueError(f"X must have images, found shape {tuple(X.shape)}")
    classes = heads[0].weight.shape[-2]
    y = tensor("y", y, shape=tuple(X.shape[:2]), dtype=torch.int64, at_least=0, at_most=classes - 1)
    tasks, joint = [], []
    for t, (x, label) in enumerate(zip(X, y, strict=True)):
        features = rebuild(x)
        if not isinstance(features, tuple) or len(features) != len(heads):
            raise ValueError(f"rebuild must give features for each of the {len(heads)} heads, found other")
        scores = torch.stack([head(f) for head, f in zip(heads, features, strict=True)], -2)  # (..., n, T, classes)
        tasks.append((scores[..., t, :].argmax(-1) == label).double().mean(-1))
        joint.append((scores.flatten(-2).argmax(-1) == label + t * classes).double().mean(-1))
    return Scores(torch.stack(tasks, -1), torch.stack(joint, -1).mean(-1))
