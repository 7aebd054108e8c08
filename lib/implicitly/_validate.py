"""Checks of what public functions are given: the argument's name, what was expected, what was found."""

import math
from numbers import Real

import torch
from torch import Tensor

__all__ = ["choice", "matrix", "number", "whole"]


def matrix(name: str, value, *, columns: int | None = None, rows: int | None = None) -> Tensor:
    """`value` as it is, after checking that it is a finite floating tensor of shape (rows, columns)."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, found {type(value).__name__}")
    expected = f"({rows or 'any'}, {columns or 'any'})"
    if value.ndim != 2 or columns not in (None, value.shape[1]) or rows not in (None, value.shape[0]):
        raise ValueError(f"{name} must have shape {expected}, found {tuple(value.shape)}")
    if not value.is_floating_point():
        raise TypeError(f"{name} must be a floating tensor, found {value.dtype}")
    if not torch.isfinite(value).all():
        raise ValueError(f"{name} must be finite, found NaN or infinity")
    return value


def number(
    name: str, value, *, above: float | None = None, at_least: float | None = None, below: float | None = None
) -> float:
    """`value` as a float, after checking that it is a finite number in the range."""
    if isinstance(value, Tensor) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, found {type(value).__name__}")
    value = float(value)
    limits = [
        ("above", above, above is None or value > above),
        ("at least", at_least, at_least is None or value >= at_least),
        ("below", below, below is None or value < below),
    ]
    if not math.isfinite(value) or not all(ok for _, _, ok in limits):
        wanted = " and ".join(f"{word} {limit:.6g}" for word, limit, _ in limits if limit is not None)
        raise ValueError(f"{name} must be finite{' and ' + wanted if wanted else ''}, found {value:.6g}")
    return value


def whole(name: str, value, *, at_least: int) -> int:
    """`value` as an int, after checking that it is a whole number and not too small."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, found {type(value).__name__}")
    if value < at_least:
        raise ValueError(f"{name} must be at least {at_least}, found {value}")
    return value


def choice(name: str, value, allowed):
    """`value`, after checking that it is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, found {value!r}")
    return value
