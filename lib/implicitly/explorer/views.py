"""What an explorer draws: panels of layers, each layer naming arrays that `compute` returns.

Shapes are written with letters: P paths, T steps, N points, B bars, S series, H rows, W columns,
F frames (the length of a `frames` slider). Arrays of integers are classes or counts: they are looked
up, never interpolated.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from .text import check_spec, label_html, label_text

#: Names of the data palette's markers, in its order (see the book's design notes).
MARKERS = ("square", "circle", "triangle", "diamond", "plus", "times")


class Need(NamedTuple):
    """One array a layer reads: the shapes it may have, and the axes its values lie on."""

    key: str
    shapes: tuple[str, ...]  # one letter per axis; a final "2" is the pair (x, y)
    axes: str = ""  # "x", "y", "xy", "z" or "" (lies on no axis)
    whole: bool = False  # must be integers (classes)


def _palette(where, colors, needed):
    colors = tuple(range(needed)) if colors is None else tuple(colors)
    if len(colors) < needed or any(c not in range(6) for c in colors):
        raise ValueError(f"{where}: colors must be {needed} palette numbers 0 to 5, found {colors}")
    return list(colors)


def _plain(value):
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else value


class _Layer:
    over = None
    until = None
    _sent = ()  # the fields that the page gets as they are

    def _framed(self, *shapes):
        """`shapes`, and with `over` the same with frames in front."""
        return shapes + tuple("F" + s for s in shapes) if self.over else shapes

    def legend(self):
        """Entries (label HTML, palette number, "line", "area" or a marker's name, hollow)."""
        return []

    def spec(self):
        """What the page draws the layer from."""
        names = ("over", "until", *self._sent)
        return {"kind": type(self).__name__.lower(), **{name: _plain(getattr(self, name)) for name in names}}


@dataclass
class Lines(_Layer):
    """Lines over a common x.

    Args:
        x: key of ``(T,)``.
        y: keys of ``(T,)``, or ``(S, T)`` for several lines of one kind (seeds).
        labels: one per key, for the legend. `colors`: palette numbers. `marks`: ``"line"`` (theory)
            or ``"dots"`` (open markers: measurement), one per key.
        over: name of a `frames` slider: those y then have shape ``(F, T)`` or ``(F, S, T)``;
            a ``(T,)`` stays still.
        until: name of a `frames` slider that uncovers the lines from left to right.
    """

    x: str
    y: tuple | list | str
    labels: tuple | None = None
    colors: tuple | None = None
    marks: tuple | None = None
    over: str | None = None
    until: str | None = None

    _sent = ("x",)

    def __post_init__(self):
        y = (self.y,) if isinstance(self.y, str) else tuple(self.y)
        marks = ("line",) * len(y) if self.marks is None else tuple(self.marks)
        if len(marks) != len(y) or set(marks) - {"line", "dots"}:
            raise ValueError(f"Lines: marks must be 'line' or 'dots' for each of {y}, found {marks}")
        if self.labels is not None and len(self.labels) != len(y):
            raise ValueError(f"Lines: labels must be one per key of {y}, found {self.labels}")
        self.y = y
        self.marks = marks
        self.colors = _palette("Lines", self.colors, len(y))

    def needs(self):
        shapes = ("T", "FT", "FST") if self.over else ("T", "ST")
        return [Need(self.x, ("T",), "x"), *(Need(k, shapes, "y") for k in self.y)]

    def legend(self):
        rows = zip(self.labels or (), self.colors, self.marks, strict=False)
        return [(label_html(t), c, MARKERS[c] if mark == "dots" else mark, True) for t, c, mark in rows]

    def spec(self):
        series = [[k, c, m] for k, c, m in zip(self.y, self.colors, self.marks, strict=True)]
        return {**super().spec(), "series": series}


@dataclass
class Points(_Layer):
    """Points in the plane: ``(N, 2)``, filled or hollow, coloured by class.

    Args:
        points: key of ``(N, 2)``.
        classes: key of ``(N,)`` integers, or one number for all.
        colors: palette number of each class. `hollow`: the classes drawn as rings.
        labels: name of each class, for the legend.
        marker: ``"circle"``, or ``None`` for the palette's own marker of each colour.
        size: radius in pixels.
        over: name of a `frames` slider: shapes ``(F, N, 2)`` and ``(N,)`` or ``(F, N)``.
    """

    points: str
    classes: str | int = 1
    colors: tuple | None = None
    hollow: tuple = ()
    labels: tuple | None = None
    marker: str | None = "circle"
    size: float = 5.5
    over: str | None = None

    _sent = ("points", "classes", "colors", "hollow", "marker", "size")

    def __post_init__(self):
        if self.marker not in (None, *MARKERS):
            raise ValueError(f"Points: marker must be one of {MARKERS}, found {self.marker!r}")
        self.colors = _class_colors(self)

    def needs(self):
        needs = [Need(self.points, self._framed("N2"), "xy")]
        if isinstance(self.classes, str):
            needs.append(Need(self.classes, self._framed("N"), whole=True))
        return needs

    def legend(self):
        return _class_legend(self, self.marker)


@dataclass
class Trajectories(_Layer):
    """Paths in the plane, one hairline each, coloured by the class of the whole path.

    Args:
        paths: key of ``(P, T, 2)``; a NaN ends or breaks a path.
        classes: key of ``(P,)`` integers (where it ends), or one number for all.
        colors, hollow, labels: as for `Points`.
        heads: draw a dot where each path has got to.
        width, alpha: of the line.
        until: name of a `frames` slider over the T steps: the paths are drawn up to it.
    """

    paths: str
    classes: str | int = 1
    colors: tuple | None = None
    hollow: tuple = ()
    labels: tuple | None = None
    heads: bool = False
    width: float = 0.9
    alpha: float = 0.6
    until: str | None = None

    _sent = ("paths", "classes", "colors", "hollow", "heads", "width", "alpha")

    def __post_init__(self):
        self.colors = _class_colors(self)

    def needs(self):
        needs = [Need(self.paths, ("PT2",), "xy")]
        if isinstance(self.classes, str):
            needs.append(Need(self.classes, ("P",), whole=True))
        return needs

    def legend(self):
        return _class_legend(self, "line")


def _class_colors(layer):
    name = type(layer).__name__
    if isinstance(layer.classes, int) and layer.classes not in range(6):
        raise ValueError(f"{name}: classes must be a key or a palette number, found {layer.classes}")
    if isinstance(layer.classes, int):
        return list(range(6))
    names = 6 if layer.labels is None else len(layer.labels)
    needed = names if layer.colors is None else min(names, len(layer.colors))
    return _palette(name, layer.colors, needed)


def _class_legend(layer, mark):
    if layer.labels is None:
        return []
    one = isinstance(layer.classes, int)
    classes = [layer.classes] if one else range(len(layer.labels))
    return [
        (label_html(t), layer.colors[c], mark or MARKERS[layer.colors[c]], c in layer.hollow)
        for c, t in zip(classes, layer.labels, strict=False)
    ]


def _box(where, xlim, ylim):
    for name, lim in (("xlim", xlim), ("ylim", ylim)):
        if len(lim) != 2 or not lim[0] < lim[1]:
            raise ValueError(f"{where}: {name} must be (low, high), found {lim!r}")


@dataclass
class Field(_Layer):
    """A vector field on a regular grid, drawn as arrows.

    Args:
        vectors: key of ``(H, W, 2)``; row 0 lies at the low end of `ylim`.
        xlim, ylim: centres of the first and last column and row.
        over: name of a `frames` slider: shape ``(F, H, W, 2)``.
    """

    vectors: str
    xlim: tuple
    ylim: tuple
    over: str | None = None

    _sent = ("vectors", "xlim", "ylim")

    def __post_init__(self):
        _box("Field", self.xlim, self.ylim)

    def needs(self):
        return [Need(self.vectors, self._framed("HW2"))]


@dataclass
class Heatmap(_Layer):
    """A matrix as coloured cells.

    Args:
        values: key of ``(H, W)``; row 0 lies at the low end of `ylim`. Integers with `colors` a
            sequence are classes (decision regions, drawn as tints).
        xlim, ylim: outer edges of the matrix. On a log axis the cells are equally wide on paper.
        colors: ``"sequential"``, ``"diverging"`` or the palette number of each class.
        limits: values at the two ends of the colours; found from the table if left out.
        scale: ``"linear"`` or ``"log"``. `label`: name of the values, for the legend.
        over: name of a `frames` slider: shape ``(F, H, W)``.
    """

    values: str
    xlim: tuple
    ylim: tuple
    colors: str | tuple = "sequential"
    limits: tuple | None = None
    scale: str = "linear"
    label: str = ""
    labels: tuple | None = None
    over: str | None = None

    _sent = ("values", "xlim", "ylim", "colors")

    def __post_init__(self):
        _box("Heatmap", self.xlim, self.ylim)
        if self.scale not in ("linear", "log"):
            raise ValueError(f"Heatmap: scale must be 'linear' or 'log', found {self.scale!r}")
        if isinstance(self.colors, str):
            if self.colors not in ("sequential", "diverging"):
                raise ValueError(
                    f"Heatmap: colors must be 'sequential', 'diverging' or palette numbers, found {self.colors!r}"
                )
        else:
            self.colors = _palette("Heatmap", self.colors, len(self.colors))

    @property
    def tints(self):
        return not isinstance(self.colors, str)

    def needs(self):
        axes = "" if self.tints else "z"
        return [Need(self.values, self._framed("HW"), axes, whole=self.tints)]

    def legend(self):
        rows = zip(self.labels or (), self.colors, strict=False) if self.tints else ()
        return [(label_html(t), c, "area", False) for t, c in rows]

    def spec(self):
        return {**super().spec(), "log": self.scale == "log"}


@dataclass
class Bars(_Layer):
    """Bars: one per label, or a histogram between fixed edges.

    Args:
        values: key of ``(B,)``.
        labels: one per bar; or `edges`: B + 1 increasing numbers.
        colors: palette number of each bar, or one for all.
        limits: range of the values (default: from 0 to the largest in the table).
        format: how a value is written in the side panel.
        title: words over the bars in the side panel.
        over: name of a `frames` slider: shape ``(F, B)``.
    """

    values: str
    labels: tuple | None = None
    edges: tuple | None = None
    colors: tuple | int = 1
    limits: tuple | None = None
    format: str = ""
    title: str = ""
    over: str | None = None

    _sent = ("values", "edges", "colors", "format", "limits")

    def __post_init__(self):
        if (self.labels is None) == (self.edges is None):
            raise ValueError("Bars: give labels (one per bar) or edges (one more than bars)")
        n = len(self.labels) if self.edges is None else len(self.edges) - 1
        colors = (self.colors,) * n if isinstance(self.colors, int) else self.colors
        self.colors = _palette("Bars", colors, n)
        if self.edges is not None:
            edges = tuple(float(e) for e in self.edges)
            if any(b <= a for a, b in pairwise(edges)):
                raise ValueError(f"Bars: edges must increase, found {edges}")
            self.edges = edges
        check_spec(self.format)

    def needs(self):
        return [Need(self.values, self._framed("B"), "y")]

    def spec(self):
        labels = None if self.labels is None else [label_text(t) for t in self.labels]
        return {**super().spec(), "labels": labels}


@dataclass
class Rule(_Layer):
    """A straight reference line across the panel, at a fixed place or at a value of `compute`.

    Args:
        at: a number, or the key of a scalar. `axis`: ``"x"`` or ``"y"``, the axis it is a value of.
        label: for the legend. `color`: palette number (5: theory, reference).
        over: name of a `frames` slider: shape ``(F,)``.
    """

    at: float | str
    axis: str = "y"
    label: str | None = None
    color: int = 5
    over: str | None = None

    _sent = ("at", "axis", "color")

    def __post_init__(self):
        if self.axis not in ("x", "y"):
            raise ValueError(f"Rule: axis must be 'x' or 'y', found {self.axis!r}")
        _palette("Rule", (self.color,), 1)

    def needs(self):
        return [Need(self.at, self._framed(""), self.axis)] if isinstance(self.at, str) else []

    def legend(self):
        return [(label_html(self.label), self.color, "line", False)] if self.label else []


class Panel:
    """One set of axes and the layers in it, drawn in order.

    Args:
        layers: `Lines`, `Points`, `Trajectories`, `Field`, `Heatmap`, `Bars`, `Rule`. Paths and
            points are drawn above the rest.
        title: words over the panel (small multiples need them).
        x, y: axis labels, with ``$…$`` for symbols.
        xlim, ylim: ranges; found from the whole table if left out, so that axes never jump.
        xscale, yscale: ``"linear"`` or ``"log"``.
        xgrid, ygrid: values at which a hairline is drawn.
        equal: one unit is as long on x as on y (a plane).
        aspect: width over height of the whole panel; 1.25 for a plane, else 1.6.
    """

    def __init__(
        self,
        *layers,
        title="",
        x="",
        y="",
        xlim=None,
        ylim=None,
        xscale="linear",
        yscale="linear",
        xgrid=(),
        ygrid=(),
        equal=False,
        aspect=None,
    ):
        if not layers or not all(isinstance(layer, _Layer) for layer in layers):
            names = [type(layer).__name__ for layer in layers]
            raise TypeError(f"Panel: layers must be views (Lines, Points, ...), found {names}")
        for name, scale in (("xscale", xscale), ("yscale", yscale)):
            if scale not in ("linear", "log"):
                raise ValueError(f"Panel: {name} must be 'linear' or 'log', found {scale!r}")
        linear = equal or any(isinstance(layer, Field) for layer in layers)
        if linear and "log" in (xscale, yscale):
            raise ValueError("Panel: equal=True and Field need linear axes")
        for name, lim, scale in (("xlim", xlim, xscale), ("ylim", ylim, yscale)):
            if lim is not None and (len(lim) != 2 or not lim[0] < lim[1]):
                raise ValueError(f"Panel: {name} must be (low, high), found {lim!r}")
            if lim is not None and scale == "log" and lim[0] <= 0:
                raise ValueError(f"Panel: {name} must be positive on a log axis, found {lim!r}")
        self.layers = layers
        self.title, self.x, self.y = title, x, y
        for text in (title, x, y):
            label_html(text)
        self.lim = {"x": xlim, "y": ylim}
        self.log = {"x": xscale == "log", "y": yscale == "log", "z": False}
        self.grid = {"x": list(xgrid), "y": list(ygrid)}
        self.equal = equal
        self.aspect = aspect or (1.25 if equal else 1.6)
        if not 0.3 <= self.aspect <= 5:
            raise ValueError(f"Panel: aspect must be between 0.3 and 5, found {aspect!r}")

    @property
    def bands(self):
        """Labels of a bar chart's x axis, or None."""
        for layer in self.layers:
            if isinstance(layer, Bars) and layer.labels is not None:
                return [label_text(t) for t in layer.labels]
        return None

    def is_log(self, layer, axis):
        if axis == "z":
            return getattr(layer, "scale", "linear") == "log"
        return self.log[axis]
