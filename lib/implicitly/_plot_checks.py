"""Checks of what is drawn, and where: axes, sizes, colours, arrays of numbers. matplotlib is loaded by the first.

A message names the argument, what was expected and what was found.
"""

import math
from numbers import Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def axes(ax) -> None:
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be axes of matplotlib, found {type(ax).__name__}")


def size(value) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"size must be a number, in points, found {type(value).__name__}")
    if not 0 < value < math.inf:
        raise ValueError(f"size must be finite and above 0, in points, found {value!r}")


def array(name: str, value, shape: tuple[int | str, ...] | None = None) -> "np.ndarray":
    """`value` as an array of numbers; `shape` holds sizes, and letters where any will do."""
    import numpy as np

    try:
        found = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, NotImplementedError):  # ragged; a tensor without values
        found = np.asarray(None)
    if found.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be real numbers, found {type(value).__name__} of {found.dtype}")
    fits = shape is None or (
        found.ndim == len(shape) and all(isinstance(s, str) or s == n for s, n in zip(shape, found.shape, strict=True))
    )
    if not fits:
        raise ValueError(f"{name} must have shape ({', '.join(map(str, shape))}), found {found.shape}")
    return found


def places(least: int, **arrays) -> list:
    """Finite arrays of one length, at least `least`."""
    import numpy as np

    found = [array(name, values, ("N",)) for name, values in arrays.items()]
    names, sizes = " and ".join(arrays), " and ".join(str(len(values)) for values in found)
    if len(set(map(len, found))) > 1 or len(found[0]) < least:
        raise ValueError(f"{names} must have one length, at least {least}, found {sizes}")
    for name, values in zip(arrays, found, strict=True):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} must be finite, found {values.tolist()}")
    return found


def pair(name: str, value) -> tuple[float, float]:
    from . import _validate

    return _validate.numbers(name, value, length=2)


def colour(color) -> None:
    from matplotlib.colors import is_color_like

    if not is_color_like(color):
        raise ValueError(f"color must be a colour of matplotlib, found {color!r}")


def words(name: str, value) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, found {type(value).__name__}")
