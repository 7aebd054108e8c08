"""What the layers of a panel have in common.

Shapes are written with letters: P paths, T steps, N points, B bars, S series, H rows, W columns,
F frames (the length of a `frames` slider). Arrays of integers are classes or counts: they are looked
up, never interpolated.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from . import checks
from .controls import Control
from .legend import DASHES, MARKERS, Key


class Need(NamedTuple):
    """One array a layer reads: the shapes it may have, and the axes its values lie on."""

    key: str
    shapes: tuple[str, ...]  # one letter per axis; a final "2" is the pair (x, y)
    axes: str = ""  # "x", "y", "xy", "z" (colours) or "" (lies on no axis)
    classes: int = 0  # above 0: the values are integers from 0 to one less

    @property
    def pair(self) -> bool:
        """Whether the array ends in (x, y), which the page keeps as two."""
        return self.shapes[0].endswith("2")

    def letters(self, shape: tuple[int, ...]) -> str | None:
        """The one of `shapes` that an array's shape has."""
        fits = (
            letters
            for letters in self.shapes
            if len(letters) == len(shape)
            and all(letter != "2" or n == 2 for letter, n in zip(letters, shape, strict=True))
        )
        return next(fits, None)


class Setting:
    """The arrays of one setting of the controls, with its `frames` sliders at their defaults."""

    def __init__(self, arrays: Mapping[str, np.ndarray], controls: Sequence[Control]):
        self.arrays = arrays
        self._frames = {c.name: (c.index, len(c.values)) for c in controls if c.frames}

    def get(self, layer: "Layer", name: str, ndim: int) -> np.ndarray:
        """The array as a layer of base dimension `ndim` sees it."""
        array = self.arrays[name]
        return array[self._frames[layer.over][0]] if layer.over and array.ndim > ndim else array

    def shown(self, layer: "Layer", steps: int) -> int:
        """How many of `steps` an `until` slider uncovers."""
        if layer.until is None:
            return steps
        index, count = self._frames[layer.until]
        return 1 + round(index / (count - 1) * (steps - 1))


def _plain(value):
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else value


class Layer:
    """A view: it knows what it reads, how far it reaches, what the page gets, its legend and its still picture.

    `table` is the whole table, name to ``(grid points, ...)``; a planar array is two, ``paths.x`` and ``paths.y``.
    """

    over = None
    until = None
    bands = None  # labels of a bar chart, whose x axis then has no numbers
    linear = False  # needs linear axes
    fills = False  # its outer edges are the ends of the axes
    stands = False  # stands on zero
    log = False  # its colours are logarithmic
    format: str  # of bars: how their values are written
    _sent = ()  # the fields that the page gets as they are

    def needs(self) -> list[Need]:
        return []

    def _sizes(self):
        """letter -> (what fixes it, how many): the axes whose length the layer itself gives."""
        return {}

    def _extent(self, axis, table):
        """Arrays of all values it has along `axis` ("x" or "y")."""
        needs = [need for need in self.needs() if axis in need.axes]
        return [table[f"{need.key}.{axis}" if need.axes == "xy" else need.key].ravel() for need in needs]

    def _beside(self, labels):
        """Whether it fits beside bars with these labels."""
        return False

    def _check_log(self, axis):
        """Raise ValueError if it cannot lie on a log axis."""

    def _legend(self, table):
        """Its legend entries."""
        return []

    def _spec(self, table, side=False):
        """What the page draws it from, in a panel or beside the picture."""
        names = ("over", "until", *self._sent)
        return {"kind": type(self).__name__.lower(), **{name: _plain(getattr(self, name)) for name in names}}

    def _draw(self, ax, now, table):
        """Draw it with matplotlib at the `Setting` `now`."""
        raise NotImplementedError

    # -- for the classes below -----------------------------------------------------------------

    def _keys(self, *names):
        """Check the names of arrays and of `frames` sliders."""
        kind = type(self).__name__
        for name in names:
            checks.key(f"{kind}: {name}", getattr(self, name))
        for name in ("over", "until"):
            if getattr(self, name) is not None:
                checks.key(f"{kind}: {name}", getattr(self, name))

    def _framed(self, *shapes):
        """`shapes`, and with `over` the same with frames in front."""
        return shapes + tuple("F" + s for s in shapes) if self.over else shapes


class ClassLayer(Layer):
    """A layer that is coloured by class."""

    def _check_classes(self):
        """`classes`, `colors`, `hollow` and `labels`."""
        kind = type(self).__name__
        one = not isinstance(self.classes, str)
        if one:
            self.classes = checks.whole(f"{kind}: classes that are no key", self.classes, 0, 5)
        else:
            checks.key(f"{kind}: classes", self.classes)
        self.labels = checks.labels(f"{kind}: labels", self.labels, 1 if one else None)
        count = 6 if one or self.labels is None else len(self.labels)
        self.colors = checks.palette(f"{kind}: colors", range(count) if self.colors is None else self.colors)
        if one and self.classes >= len(self.colors):
            raise ValueError(f"{kind}: colors must reach class {self.classes}, found {self.colors}")
        if not one and count > len(self.colors) and self.labels is not None:
            raise ValueError(f"{kind}: labels must be at most one per colour of {self.colors}, found {self.labels}")
        hollow = checks.items(f"{kind}: hollow", self.hollow, "classes")
        self.hollow = tuple(checks.whole(f"{kind}: hollow: classes", c, 0, len(self.colors) - 1) for c in hollow)

    def _class_need(self, *shapes):
        return [Need(self.classes, shapes, classes=len(self.colors))] if isinstance(self.classes, str) else []

    def _class_legend(self, mark):
        if self.labels is None:
            return []
        classes = range(len(self.labels)) if isinstance(self.classes, str) else [self.classes]
        return [
            Key(label, self.colors[c], mark or MARKERS[self.colors[c]], c in self.hollow)
            for c, label in zip(classes, self.labels, strict=False)
        ]

    def _class_of(self, now, count):
        """The class of each of `count` things."""
        return now.get(self, self.classes, 1) if isinstance(self.classes, str) else np.full(count, self.classes)


def dash(color: int) -> str | tuple[float, list[float]]:
    """The dash of a palette colour in points, for lines of width 1.8."""
    return (0, [float(d) / 1.8 for d in DASHES[color].split()]) if DASHES[color] else "solid"
