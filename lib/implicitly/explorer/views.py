"""What an explorer draws: panels of layers, each layer naming arrays that `compute` returns.

Shapes are written with letters: P paths, T steps, N points, B bars, S series, H rows, W columns,
F frames (the length of a `frames` slider). Arrays of integers are classes or counts: they are looked
up, never interpolated.
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import checks
from .text import label_html, label_text

__all__ = ["Bars", "Field", "Heatmap", "Lines", "Panel", "Points", "Rule", "Trajectories"]

#: Names of the data palette's markers, in its order (see the book's design notes).
MARKERS = ("square", "circle", "triangle", "diamond", "plus", "times")


class Need(NamedTuple):
    """One array a layer reads: the shapes it may have, and the axes its values lie on."""

    key: str
    shapes: tuple[str, ...]  # one letter per axis; a final "2" is the pair (x, y)
    axes: str = ""  # "x", "y", "xy", "z" or "" (lies on no axis)
    whole: bool = False  # must be integers (classes)


def _plain(value):
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else value


class _Layer:
    over = None
    until = None
    _sent = ()  # the fields that the page gets as they are

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

    def legend(self):
        """Entries (label HTML, palette number, "line", "path", "area" or a marker's name, hollow)."""
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
        self._keys("x")
        y = (self.y,) if isinstance(self.y, str) else checks.items("Lines: y", self.y, "keys", least=1)
        self.y = tuple(checks.key("Lines: y", key) for key in y)
        marks = ("line",) * len(y) if self.marks is None else self.marks
        marks = checks.items("Lines: marks", marks, "'line' or 'dots' (one per key)", length=len(y))
        self.marks = tuple(checks.choice("Lines: marks", mark, ("line", "dots")) for mark in marks)
        self.labels = checks.labels("Lines: labels (one per key)", self.labels, len(y))
        colors = range(len(y)) if self.colors is None else self.colors
        self.colors = checks.palette("Lines: colors", colors, len(y))

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
        self._keys("points")
        checks.choice("Points: marker", self.marker, (None, *MARKERS))
        self.size = checks.number("Points: size", self.size, above=0, at_most=100)
        _check_classes(self)

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
        self._keys("paths")
        self.heads = checks.flag("Trajectories: heads", self.heads)
        self.width = checks.number("Trajectories: width", self.width, above=0, at_most=100)
        self.alpha = checks.number("Trajectories: alpha", self.alpha, above=0, at_most=1)
        _check_classes(self)

    def needs(self):
        needs = [Need(self.paths, ("PT2",), "xy")]
        if isinstance(self.classes, str):
            needs.append(Need(self.classes, ("P",), whole=True))
        return needs

    def legend(self):
        return _class_legend(self, "path")


def _check_classes(layer):
    """`classes`, `colors`, `hollow` and `labels` of a layer that is coloured by class."""
    kind = type(layer).__name__
    if isinstance(layer.classes, str):
        checks.key(f"{kind}: classes", layer.classes)
    else:
        layer.classes = checks.whole(f"{kind}: classes that are no key", layer.classes, 0, 5)
    one = not isinstance(layer.classes, str)
    layer.labels = checks.labels(f"{kind}: labels", layer.labels, 1 if one else None)
    count = 6 if one or layer.labels is None else len(layer.labels)
    layer.colors = checks.palette(f"{kind}: colors", range(count) if layer.colors is None else layer.colors)
    if one and layer.classes >= len(layer.colors):
        raise ValueError(f"{kind}: colors must reach class {layer.classes}, found {layer.colors}")
    if not one and count > len(layer.colors) and layer.labels is not None:
        raise ValueError(f"{kind}: labels must be at most one per colour of {layer.colors}, found {layer.labels}")
    hollow = checks.items(f"{kind}: hollow", layer.hollow, "classes")
    layer.hollow = tuple(checks.whole(f"{kind}: hollow: classes", c, 0, len(layer.colors) - 1) for c in hollow)


def _class_legend(layer, mark):
    if layer.labels is None:
        return []
    one = isinstance(layer.classes, int)
    classes = [layer.classes] if one else range(len(layer.labels))
    return [
        (label_html(t), layer.colors[c], mark or MARKERS[layer.colors[c]], c in layer.hollow)
        for c, t in zip(classes, layer.labels, strict=False)
    ]


def _box(layer):
    for name in ("xlim", "ylim"):
        where = f"{type(layer).__name__}: {name}"
        lim = checks.limits(where, getattr(layer, name))
        if lim is None:
            raise TypeError(f"{where} must be (low, high), found None")
        setattr(layer, name, lim)


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
        self._keys("vectors")
        _box(self)

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
        self._keys("values")
        _box(self)
        checks.choice("Heatmap: scale", self.scale, ("linear", "log"))
        checks.label("Heatmap: label", self.label)
        if isinstance(self.colors, str):
            checks.choice("Heatmap: colors that are no palette numbers", self.colors, ("sequential", "diverging"))
        else:
            self.colors = checks.palette("Heatmap: colors", self.colors)
        if self.labels is not None and not self.tints:
            raise ValueError("Heatmap: labels name classes, which need colors to be palette numbers")
        self.labels = checks.labels("Heatmap: labels", self.labels, len(self.colors))
        self.limits = checks.limits("Heatmap: limits", self.limits, log=self.scale == "log")

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
        self._keys("values")
        if (self.labels is None) == (self.edges is None):
            found = "neither" if self.labels is None else "both"
            raise ValueError(f"Bars: give labels (one per bar) or edges (one more than bars), found {found}")
        if self.edges is None:
            self.labels = checks.labels("Bars: labels", self.labels)
            if len(set(self.labels)) < len(self.labels):
                raise ValueError(f"Bars: labels must differ, found {self.labels}")
            n = len(self.labels)
        else:
            edges = checks.numbers("Bars: edges", self.edges, least=2, increase=True)
            self.edges = tuple(float(e) for e in edges)
            n = len(edges) - 1
        colors = checks.plain(self.colors)
        one = not hasattr(colors, "__iter__")
        self.colors = checks.palette("Bars: colors", (colors,) * n if one else colors, n)
        self.limits = checks.limits("Bars: limits", self.limits)
        checks.spec("Bars: format", self.format)
        checks.label("Bars: title", self.title)

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
        self._keys(*(["at"] if isinstance(self.at, str) else []))
        if not isinstance(self.at, str):
            self.at = checks.number("Rule: at", self.at)
        checks.choice("Rule: axis", self.axis, ("x", "y"))
        if self.label is not None:
            checks.label("Rule: label", self.label)
        self.color = checks.whole("Rule: color", self.color, 0, 5)

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
            checks.choice(f"Panel: {name}", scale, ("linear", "log"))
        equal = checks.flag("Panel: equal", equal)
        if (equal or any(isinstance(layer, Field) for layer in layers)) and "log" in (xscale, yscale):
            raise ValueError("Panel: equal=True and Field need linear axes")
        self.layers = layers
        self.title, self.x, self.y = (
            checks.label(f"Panel: {name}", text) for name, text in (("title", title), ("x", x), ("y", y))
        )
        self.log = {"x": xscale == "log", "y": yscale == "log", "z": False}
        self.lim = {
            axis: checks.limits(f"Panel: {axis}lim", lim, log=self.log[axis])
            for axis, lim in (("x", xlim), ("y", ylim))
        }
        self.grid = {
            axis: list(checks.numbers(f"Panel: {axis}grid", at, **({"above": 0} if self.log[axis] else {})))
            for axis, at in (("x", xgrid), ("y", ygrid))
        }
        self.equal = equal
        self.aspect = 1.25 if equal else 1.6
        if aspect is not None:
            self.aspect = checks.number("Panel: aspect", aspect, at_least=0.3, at_most=5)
        if self.bands and not all(
            (isinstance(layer, Bars) and layer.labels == self._banded.labels)
            or (isinstance(layer, Rule) and layer.axis == "y")
            for layer in layers
        ):
            raise ValueError("Panel: layers beside Bars with labels must be Rules of y, since x has no numbers")
        for layer in layers:
            self._check_on_log_axes(layer)

    def _check_on_log_axes(self, layer):
        kind = type(layer).__name__
        for axis in "xy":
            if not self.log[axis]:
                continue
            if isinstance(layer, Heatmap) and getattr(layer, f"{axis}lim")[0] <= 0:
                raise ValueError(
                    f"Heatmap: {axis}lim must be positive on a log axis, found {getattr(layer, f'{axis}lim')}"
                )
            if isinstance(layer, Rule) and layer.axis == axis and not isinstance(layer.at, str) and layer.at <= 0:
                raise ValueError(f"Rule: at must be positive on a log axis, found {layer.at}")
            if isinstance(layer, Bars) and (axis == "y" or layer.edges is None or layer.edges[0] <= 0):
                what = "a linear y axis" if axis == "y" else "positive edges on a log x axis"
                raise ValueError(f"Panel: {axis}scale: {kind} need {what}")

    @property
    def _banded(self):
        return next((layer for layer in self.layers if isinstance(layer, Bars) and layer.labels is not None), None)

    @property
    def bands(self):
        """Labels of a bar chart's x axis, or None."""
        return [label_text(t) for t in self._banded.labels] if self._banded else None

    def is_log(self, layer, axis):
        if axis == "z":
            return getattr(layer, "scale", "linear") == "log"
        return self.log[axis]
