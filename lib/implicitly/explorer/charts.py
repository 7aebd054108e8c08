"""Views against numbers: lines, bars, and a rule to hold them to."""

from dataclasses import dataclass

import numpy as np

from .. import plotting
from . import checks
from .layers import Layer, Need, dash
from .legend import MARKERS, Key
from .text import label_text

__all__ = ["Bars", "Lines", "Rule"]


@dataclass
class Lines(Layer):
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

    def needs(self) -> list[Need]:
        shapes = ("T", "FT", "FST") if self.over else ("T", "ST")
        return [Need(self.x, ("T",), "x"), *(Need(k, shapes, "y") for k in self.y)]

    def _legend(self, table):
        rows = zip(self.labels or (), self.colors, self.marks, strict=False)
        return [Key(label, c, MARKERS[c] if mark == "dots" else mark, True) for label, c, mark in rows]

    def _spec(self, table, side=False):
        series = [[k, c, m] for k, c, m in zip(self.y, self.colors, self.marks, strict=True)]
        return {**super()._spec(table), "series": series}

    def _draw(self, ax, now, table):
        x = now.arrays[self.x]
        end = now.shown(self, len(x))
        for key, color, mark in zip(self.y, self.colors, self.marks, strict=True):
            for row in np.atleast_2d(now.get(self, key, 1)):
                if mark == "line":
                    style = {"lw": 1.8, "ls": dash(color)}
                else:
                    style = {"ls": "none", "marker": plotting.MARKERS[color], "mfc": plotting.PAPER, "ms": 5}
                ax.plot(x[:end], row[:end], color=plotting.PALETTE[color], **style)


@dataclass
class Bars(Layer):
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

    stands = True
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

    @property
    def bands(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.labels

    def needs(self) -> list[Need]:
        return [Need(self.values, self._framed("B"), "y")]

    def _sizes(self):
        return {"B": ("labels" if self.labels else "edges", len(self.colors))}

    def _extent(self, axis, table):
        given = (self.limits or [0.0]) if axis == "y" else (self.edges or [])
        return [given, *super()._extent(axis, table)]

    def _beside(self, labels):
        return self.labels == labels

    def _check_log(self, axis):
        if axis == "y" or self.edges is None or self.edges[0] <= 0:
            what = "a linear y axis" if axis == "y" else "positive edges on a log x axis"
            raise ValueError(f"Panel: {axis}scale: Bars need {what}")

    def _ends(self, table) -> list[float]:
        """Values at the two ends of a side bar."""
        if self.limits is not None:
            return [float(v) for v in self.limits]
        values = table[self.values]
        return [min(0.0, float(f"{np.nanmin(values):.3g}")), float(f"{np.nanmax(values):.3g}") or 1.0]

    def _spec(self, table, side=False):
        labels = None if self.labels is None else [label_text(t) for t in self.labels]
        return {**super()._spec(table), "labels": labels, **({"limits": self._ends(table)} if side else {})}

    def _draw(self, ax, now, table):
        values = now.get(self, self.values, 1)
        colors = [plotting.PALETTE[c] for c in self.colors]
        if self.edges is None:
            ax.bar([label_text(t) for t in self.labels], values, color=colors, width=0.7)
        else:
            ax.bar(self.edges[:-1], values, np.diff(self.edges), align="edge", color=colors)


@dataclass
class Rule(Layer):
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

    def needs(self) -> list[Need]:
        return [Need(self.at, self._framed(""), self.axis)] if isinstance(self.at, str) else []

    def _extent(self, axis, table):
        if axis == self.axis and not isinstance(self.at, str):
            return [[self.at]]
        return super()._extent(axis, table)

    def _beside(self, labels):
        return self.axis == "y"

    def _check_log(self, axis):
        if self.axis == axis and not isinstance(self.at, str) and self.at <= 0:
            raise ValueError(f"Rule: at must be positive on a log axis, found {self.at}")

    def _legend(self, table):
        return [Key(self.label, self.color, "line")] if self.label else []

    def _draw(self, ax, now, table):
        at = float(now.get(self, self.at, 0)) if isinstance(self.at, str) else self.at
        line = ax.axhline if self.axis == "y" else ax.axvline
        line(at, color=plotting.PALETTE[self.color], ls=dash(self.color), lw=1.5)
