"""One set of axes: its layers, its ranges, what the page gets and how it is drawn."""

from collections.abc import Sequence

import numpy as np

from .. import plotting
from . import checks
from .layers import Layer
from .text import label_text

__all__ = ["Panel"]


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
        *layers: Layer,
        title: str = "",
        x: str = "",
        y: str = "",
        xlim: Sequence[float] | None = None,
        ylim: Sequence[float] | None = None,
        xscale: str = "linear",
        yscale: str = "linear",
        xgrid: Sequence[float] = (),
        ygrid: Sequence[float] = (),
        equal: bool = False,
        aspect: float | None = None,
    ):
        if not layers or not all(isinstance(layer, Layer) for layer in layers):
            names = [type(layer).__name__ for layer in layers]
            raise TypeError(f"Panel: layers must be views (Lines, Points, ...), found {names}")
        for name, scale in (("xscale", xscale), ("yscale", yscale)):
            checks.choice(f"Panel: {name}", scale, ("linear", "log"))
        equal = checks.flag("Panel: equal", equal)
        if (equal or any(layer.linear for layer in layers)) and "log" in (xscale, yscale):
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
        self.bands = next((layer.bands for layer in layers if layer.bands is not None), None)
        if self.bands and not all(layer._beside(self.bands) for layer in layers):
            raise ValueError("Panel: layers beside Bars with labels must be Rules of y, since x has no numbers")
        for layer in layers:
            for axis in "xy":
                if self.log[axis]:
                    layer._check_log(axis)

    def _is_log(self, layer, axis):
        return layer.log if axis == "z" else self.log[axis]

    def _range(self, axis, table):
        """Range of an axis over the whole table, a little wider, to three digits."""
        if self.lim[axis] is not None:
            return [float(v) for v in self.lim[axis]]
        found = [np.asarray(values, float) for layer in self.layers for values in layer._extent(axis, table)]
        values = np.concatenate(found) if found else np.array([])
        if not values.size or (axis == "x" and self.bands):
            return [0.0, 1.0]
        values = np.log10(values) if self.log[axis] else values
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if low == high:
            low, high = low - 0.5, high + 0.5
        plane = self.equal or any(need.axes == "xy" for layer in self.layers for need in layer.needs())
        # a curve fills its axis
        pad = 0.0 if any(layer.fills for layer in self.layers) or (axis == "x" and not plane) else 0.04
        below = 0.0 if axis == "y" and low == 0.0 and self.layers[0].stands else pad
        low, high = low - below * (high - low), high + pad * (high - low)
        if self.log[axis]:
            low, high = 10.0**low, 10.0**high
        return [float(f"{low:.3g}"), float(f"{high:.3g}")]

    def _spec(self, ranges, table):
        """What the page draws it from."""
        return {
            "layers": [layer._spec(table) for layer in self.layers],
            **{axis: {"lim": ranges[axis], "log": self.log[axis], "grid": self.grid[axis]} for axis in "xy"},
            "equal": self.equal,
            "bands": self.bands and [label_text(t) for t in self.bands],
        }

    def _draw(self, ax, now, ranges, table):
        """Draw it with matplotlib at the `Setting` `now`."""
        for axis, line in (("x", ax.axvline), ("y", ax.axhline)):
            for at in self.grid[axis]:
                line(at, color=plotting.RULE, lw=0.8, zorder=0)
        for axis in "xy":
            ax.set(**{axis + "scale": "log" if self.log[axis] else "linear"})
        for layer in self.layers:
            layer._draw(ax, now, table)
        for axis, label in (("x", self.x), ("y", self.y)):
            if not (axis == "x" and self.bands):
                ax.set(**{axis + "lim": ranges[axis]})
            ax.set(**{axis + "label": label})  # matplotlib reads $...$ itself
        if self.equal:
            ax.set_aspect("equal", adjustable="box")
        ax.set_title(self.title, loc="left", fontsize=10)
