"""What `compute` returns, checked against what the views read of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import table
from .controls import Control
from .layers import Layer
from .text import fields

if TYPE_CHECKING:
    from .panel import Panel


class Reader:
    """What the views and the sentence of an explorer read, and the checks of it.

    `placed` is every layer with its panel (None for the side panel).
    """

    def __init__(self, controls: Sequence[Control], placed: Sequence[tuple[Layer, Panel | None]], summary: str):
        self.by_name = {c.name: c for c in controls}
        self.placed = placed
        self.uses = {}  # key -> list of (layer, panel or None, Need)
        self.shapes: dict[str, tuple[int, ...]] | None = None  # of the first result; all must have the same
        frames = sorted(c.name for c in controls if c.frames)
        for layer, panel in placed:
            for role in ("over", "until"):
                name = getattr(layer, role)
                if name is not None and name not in frames:
                    raise ValueError(
                        f"{type(layer).__name__}: {role}={name!r} must name a Slider with "
                        f"frames=True, there are {frames}"
                    )
            for need in layer.needs():
                self.uses.setdefault(need.key, []).append((layer, panel, need))
        self.formats = {}  # key -> formats in which its values are written
        for layer, panel in placed:
            if panel is None:  # bars of the side panel
                self.formats.setdefault(layer.needs()[0].key, set()).add(layer.format)
        for name, _, spec in fields(summary):
            if name not in self.by_name:
                self.uses.setdefault(name, [])
                self.formats.setdefault(name, set()).add(spec)
        both = sorted(set(self.by_name) & set(self.uses))
        if both:
            raise ValueError(f"Explorer: {both} name both a control and an array")

    def read(self, compute: Callable[..., Mapping], params: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """`compute` at `params`, checked; planar arrays by entry name (``paths.x``, ``paths.y``)."""
        where = "compute(" + ", ".join(f"{k}={v!r}" for k, v in params.items()) + ")"
        try:
            result = compute(**params)
        except Exception as error:
            raise RuntimeError(f"{where} raised {type(error).__name__}: {error}") from error
        if not isinstance(result, dict):
            raise TypeError(f"{where} must return a dict of arrays, found {type(result).__name__}")
        missing = sorted(set(self.uses) - set(result))
        if missing:
            raise ValueError(f"{where} lacks {missing}, which the views need; it has {list(result)}")
        out = {}
        for key, uses in self.uses.items():
            array = table.as_array(result[key], f"{where}: {key!r}")
            for use in uses:
                _check(f"{where}: {key!r}", array, *use)
            if any(need.pair for _, _, need in uses):
                out.update({f"{key}.x": array[..., 0], f"{key}.y": array[..., 1]})
            else:
                out[key] = array
        for layer, _ in self.placed:
            self._check_letters(where, layer, result)
        floats = [a for a in out.values() if a.dtype.kind == "f"]
        if floats and all(np.isnan(a).all() for a in floats):
            raise ValueError(f"{where}: every number is NaN")
        self.shapes = self.shapes or {name: array.shape for name, array in out.items()}
        for name, shape in self.shapes.items():
            if out[name].shape != shape:
                raise ValueError(
                    f"{where}: {name!r} has shape {out[name].shape}, but "
                    f"{shape} at the first grid point; shapes must not change"
                )
        return out

    def _check_letters(self, where, layer, result):
        """Arrays of one layer agree on the axes they share."""
        sizes = {"F": (layer.over, len(self.by_name[layer.over].values))} if layer.over else {}
        sizes |= layer._sizes()
        for need in layer.needs():
            shape = np.shape(result[need.key])
            for letter, n in zip(need.letters(shape), shape, strict=True):
                name, known = sizes.setdefault(letter, (need.key, n))
                if letter not in "2S" and n != known:
                    raise ValueError(f"{where}: {need.key!r} has {n} along {letter}, {name!r} has {known}")

    def entry(self, name: str, array: np.ndarray) -> table.Entry:
        """How an array of the first result is stored."""
        key, _, part = name.partition(".")
        uses = self.uses[key]
        logs = {
            panel is not None and panel._is_log(layer, axis)
            for layer, panel, need in uses
            for axis in (part or need.axes)
            if axis in need.axes
        }
        if len(logs) > 1:
            raise ValueError(f"Explorer: {name!r} lies on a linear and on a log axis; use two keys")
        coarse = array.ndim >= 2 and any(need.axes != "y" for _, _, need in uses)
        return table.Entry(name, array.shape, False, logs == {True}, coarse)


def _check(what, array, layer, panel, need):
    if need.letters(array.shape) is None:
        wanted = " or ".join("(" + ", ".join(s) + ")" for s in need.shapes)
        raise ValueError(f"{what} must have shape {wanted} for {type(layer).__name__}, found {array.shape}")
    if need.classes and array.dtype.kind != "i":
        raise TypeError(f"{what} holds classes and must be integers, found {array.dtype}")
    if need.classes and array.size and not 0 <= array.min() <= array.max() < need.classes:
        where, key = what.rsplit(": ", 1)
        raise ValueError(
            f"{where}: classes in {key} must be 0 to {need.classes - 1} (one colour each), found "
            f"{array.min()} to {array.max()}"
        )
    if 0 in array.shape:
        raise ValueError(f"{what} is empty, shape {array.shape}")
    for axis in need.axes:
        if panel is not None and panel._is_log(layer, axis) and (array <= 0).any():
            raise ValueError(f"{what} must be positive on a log axis, found {array.min():.3g} (NaN is a gap)")
