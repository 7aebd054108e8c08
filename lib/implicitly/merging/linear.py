"""Merging where nothing bends: one linear layer, all features of all models on the same inputs. Chapter
`merging-networks`."""

from typing import NamedTuple

import torch
from torch import Tensor

from .._validate import tensor, whole
from .nets import FLOATS

__all__ = [
    "LinearMerge",
    "linear_merge",
    "rebuild_error",
]


class LinearMerge(NamedTuple):
    """The best merge ``M`` (width, D) and un-merge ``U`` (D, width) of linear features, and the error left ()."""

    merge: Tensor
    unmerge: Tensor
    left: Tensor


def linear_merge(Y: Tensor, width: int) -> LinearMerge:
    """Minimize ``|Y - U M Y|_F^2``: the top eigenvectors of ``Y Y^T``; the others' eigenvalues add up to the error.

    Args:
        Y: features of all models, one below the other, (D, n), float32 or float64, no size 0. Biases count as features
            do; nothing is centred.
        width: of the merged layer, from 1 to D.
    """
    Y = tensor("Y", Y, shape=("D", "n"), dtype=FLOATS)
    if not Y.numel():
        raise ValueError(f"Y must have features and inputs, found shape {tuple(Y.shape)}")
    width = whole("width", width, at_least=1, at_most=len(Y))
    values, vectors = torch.linalg.eigh(Y @ Y.T)
    top = vectors[:, len(Y) - width :]
    return LinearMerge(top.T.contiguous(), top.contiguous(), values[: len(Y) - width].clamp(min=0).sum())


def rebuild_error(Y: Tensor, merge: Tensor, unmerge: Tensor | None = None) -> Tensor:
    """``|Y - U M Y|_F^2``, a scalar; without `unmerge` for the best U, found by least squares.

    Args:
        Y: (D, n), float32 or float64, no size 0.
        merge: (width, D). unmerge: (D, width).
    """
    Y = tensor("Y", Y, shape=("D", "n"), dtype=FLOATS)
    if not Y.numel():
        raise ValueError(f"Y must have features and inputs, found shape {tuple(Y.shape)}")
    merge = tensor("merge", merge, shape=("width", len(Y)), dtype=Y.dtype)
    if not len(merge):
        raise ValueError(f"merge must have at least one row, found shape {tuple(merge.shape)}")
    H = merge @ Y
    if unmerge is None:
        rebuilt = torch.linalg.lstsq(H.T, Y.T, driver="gelsd").solution.T @ H
    else:
        rebuilt = tensor("unmerge", unmerge, shape=(len(Y), len(merge)), dtype=Y.dtype) @ H
    return (Y - rebuilt).square().sum()
