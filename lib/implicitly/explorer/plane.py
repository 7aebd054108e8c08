"""Views in the plane: points, paths, arrows, and matrices as coloured cells."""

from dataclasses import dataclass

import numpy as np

from .. import plotting
from . import checks
from .layers import ClassLayer, Layer, Need
from .legend import MARKERS, Key, Ramp

__all__ = ["Field", "Heatmap", "Points", "Trajectories"]

_MARKERS = dict(zip(MARKERS, plotting.MARKERS, strict=True))


@dataclass
class Points(ClassLayer):
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
        self._check_classes()

    def needs(self) -> list[Need]:
        return [Need(self.points, self._framed("N2"), "xy"), *self._class_need(*self._framed("N"))]

    def _legend(self, table):
        return self._class_legend(self.marker)

    def _draw(self, ax, now, table):
        x, y = (now.get(self, f"{self.points}.{a}", 1) for a in "xy")
        classes = self._class_of(now, len(x))
        for c in np.unique(classes):
            color, chosen = plotting.PALETTE[self.colors[c]], classes == c
            look = {
                "marker": _MARKERS[self.marker or MARKERS[self.colors[c]]],
                "ms": self.size * 1.4,
                "mfc": plotting.PAPER if c in self.hollow else color,
                "mec": color,
                "mew": 1.5,
            }
            ax.plot(x[chosen], y[chosen], ls="none", zorder=4, **look)


@dataclass
class Trajectories(ClassLayer):
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
        self._check_classes()

    def needs(self) -> list[Need]:
        return [Need(self.paths, ("PT2",), "xy"), *self._class_need("P")]

    def _legend(self, table):
        return self._class_legend("path")

    def _draw(self, ax, now, table):
        x, y = (now.arrays[f"{self.paths}.{a}"] for a in "xy")
        end = now.shown(self, x.shape[1])
        classes = self._class_of(now, len(x))
        for c in np.unique(classes):
            rows, color = classes == c, plotting.PALETTE[self.colors[c]]
            look = {"color": color, "ls": "solid", "lw": self.width, "alpha": self.alpha, "zorder": 3}
            ax.plot(x[rows, :end].T, y[rows, :end].T, **look)
            if self.heads:
                ax.plot(x[rows, end - 1], y[rows, end - 1], "o", ms=3, color=color)


class _Box:
    """A layer on a regular grid, which has `xlim` and `ylim`."""

    def _check_box(self):
        for name in ("xlim", "ylim"):
            where = f"{type(self).__name__}: {name}"
            lim = checks.limits(where, getattr(self, name))
            if lim is None:
                raise TypeError(f"{where} must be (low, high), found None")
            setattr(self, name, lim)

    def _extent(self, axis, table):
        return [getattr(self, f"{axis}lim")]


@dataclass
class Field(_Box, Layer):
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

    linear = True
    _sent = ("vectors", "xlim", "ylim")

    def __post_init__(self):
        self._keys("vectors")
        self._check_box()

    def needs(self) -> list[Need]:
        return [Need(self.vectors, self._framed("HW2"))]

    def _spec(self, table, side=False):
        longest = np.nanmax(np.hypot(*(table[f"{self.vectors}.{a}"] for a in "xy"))) or 1.0
        return {**super()._spec(table), "longest": float(f"{longest:.3g}")}

    def _draw(self, ax, now, table):
        u, v = (now.get(self, f"{self.vectors}.{a}", 2) for a in "xy")
        x, y = (np.linspace(*lim, n) for lim, n in ((self.xlim, u.shape[1]), (self.ylim, u.shape[0])))
        ax.quiver(x, y, u, v, color="#8b8893", width=0.003)


@dataclass
class Heatmap(_Box, Layer):
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

    fills = True
    _sent = ("values", "xlim", "ylim", "colors", "log")

    def __post_init__(self):
        self._keys("values")
        self._check_box()
        checks.choice("Heatmap: scale", self.scale, ("linear", "log"))
        checks.label("Heatmap: label", self.label)
        if isinstance(self.colors, str):
            checks.choice("Heatmap: colors that are no palette numbers", self.colors, ("sequential", "diverging"))
        else:
            self.colors = checks.palette("Heatmap: colors", self.colors)
        if self.labels is not None and not self.tints:
            raise ValueError("Heatmap: labels name classes, which need colors to be palette numbers")
        self.labels = checks.labels("Heatmap: labels", self.labels, len(self.colors))
        self.limits = checks.limits("Heatmap: limits", self.limits, log=self.log)

    @property
    def tints(self) -> bool:
        return not isinstance(self.colors, str)

    @property
    def log(self) -> bool:  # type: ignore[override]
        return self.scale == "log"

    def needs(self) -> list[Need]:
        shapes = self._framed("HW")
        return [Need(self.values, shapes, classes=len(self.colors)) if self.tints else Need(self.values, shapes, "z")]

    def _check_log(self, axis):
        low = getattr(self, f"{axis}lim")
        if low[0] <= 0:
            raise ValueError(f"Heatmap: {axis}lim must be positive on a log axis, found {low}")

    def _ends(self, table) -> list[float]:
        """Values at the two ends of the colours."""
        if self.limits is not None:
            return [float(v) for v in self.limits]
        values = table[self.values]
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if self.colors == "diverging":
            low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
        return [float(f"{low:.3g}"), float(f"{high if high > low else low + 1:.3g}")]

    def _legend(self, table):
        if not self.tints:
            return [Ramp(self.label, self.colors, self._ends(table))]
        return [Key(label, c, "area") for label, c in zip(self.labels or (), self.colors, strict=False)]

    def _spec(self, table, side=False):
        return {**super()._spec(table), **({} if self.tints else {"limits": self._ends(table)})}

    def _draw(self, ax, now, table):
        from matplotlib.colors import LinearSegmentedColormap, ListedColormap, LogNorm, Normalize

        values = now.get(self, self.values, 2)
        edges = [
            (np.geomspace if scale == "log" else np.linspace)(*lim, n + 1)
            for scale, lim, n in (
                (ax.get_xscale(), self.xlim, values.shape[1]),
                (ax.get_yscale(), self.ylim, values.shape[0]),
            )
        ]
        if self.tints:
            colors = ListedColormap([plotting.PALETTE[c] for c in self.colors])
            top = len(self.colors) - 0.5
            ax.pcolormesh(*edges, values, cmap=colors, vmin=-0.5, vmax=top, alpha=0.35, rasterized=True)
            return
        stops = plotting.SEQUENTIAL if self.colors == "sequential" else plotting.DIVERGING
        norm = (LogNorm if self.log else Normalize)(*self._ends(table))
        ax.pcolormesh(*edges, values, cmap=LinearSegmentedColormap.from_list("im", stops), norm=norm)
