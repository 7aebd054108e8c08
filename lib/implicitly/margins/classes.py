"""Made-up data with several classes that a linear classifier can tell apart."""

import math

import numpy as np
import torch
from torch import Tensor

from .._validate import choice, number, whole
from .._validate import seed as checked_seed

__all__ = [
    "SKETCHES",
    "sketch_classes",
    "teacher_classes",
]


def teacher_classes(N: int, d: int, K: int, *, seed: int, gap: float = 0.3) -> tuple[Tensor, Tensor]:
    """Gaussian points labelled by a random linear teacher; points on which it hesitates are left out.

    Args:
        N, d, K: number of points and dimension, at least 1; number of classes, at least 2.
        seed: of the teacher and the points.
        gap: a point is kept if the teacher's two largest scores differ by more; at least 0.

    Returns:
        ``X (N, d)`` float64, ``y (N,)`` int64. Separable by construction.

    Raises:
        ValueError: also when none of 20 000 points in a row has that gap.
    """
    N, d, K = whole("N", N, at_least=1), whole("d", d, at_least=1), whole("K", K, at_least=2)
    gap = number("gap", gap, at_least=0.0)
    draw = np.random.default_rng(checked_seed("seed", seed)).standard_normal
    teacher, found, missed = draw((K, d)), [], 0
    while len(found) < N:
        point = draw(d)
        scores = np.sort(teacher @ point)
        if scores[-1] - scores[-2] > gap:
            found.append(point)
            missed = 0
        elif (missed := missed + 1) == 20_000:
            raise ValueError(f"gap must be one that the teacher's scores have, found {gap:.6g}, missed 20000 times")
    X = np.array(found)
    return torch.tensor(X), torch.tensor((X @ teacher.T).argmax(1))


def _spread(center, radius, count, turn=0.0):
    """`count` points on a circle around `center`."""
    angles = turn + 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    return torch.tensor(center, dtype=torch.float64) + radius * torch.stack([angles.cos(), angles.sin()], 1)


#: Arrangements of 14 points of three classes in the plane: name -> for each class circles (center, radius, count, turn)
SKETCHES = {
    "even": [[((0.0, 1.4), 0.5, 5, 0.3)], [((-1.2, -0.7), 0.5, 5, 0.9)], [((1.2, -0.7), 0.5, 4, 0.0)]],
    "lopsided": [
        [((0.3, 1.7), 0.4, 4, 0.2), ((-0.2, 0.45), 0.0, 1, 0.0)],
        [((-1.5, -0.6), 0.6, 5, 0.5)],
        [((1.0, -0.1), 0.0, 1, 0.0), ((1.5, -1.4), 0.4, 3, 1.0)],
    ],
    "nearly touching": [
        [((-1.2, 1.1), 0.5, 4, 0.1), ((-0.16, 0.5), 0.0, 1, 0.0)],
        [((0.0, -1.5), 0.5, 4, 0.3)],
        [((1.2, 1.1), 0.5, 4, 0.4), ((0.04, 0.62), 0.0, 1, 0.0)],
    ],
    "in a row": [[((-1.6, 0.2), 0.4, 5, 0.5)], [((0.0, -0.1), 0.35, 4, 0.2)], [((1.5, 0.1), 0.5, 5, 0.8)]],
}


def sketch_classes(name: str) -> tuple[Tensor, Tensor]:
    """Three classes in the plane with a constant feature 1: ``X (14, 3)`` float64, ``y (14,)``, name in `SKETCHES`."""
    choice("name", name, SKETCHES)
    groups = [torch.cat([_spread(*group) for group in groups]) for groups in SKETCHES[name]]
    points = torch.cat(groups)
    y = torch.repeat_interleave(torch.arange(3), torch.tensor([len(group) for group in groups]))
    return torch.cat([points, torch.ones(len(points), 1, dtype=points.dtype)], 1), y
