"""The picture at the default setting, for readers without scripts and before they have loaded."""

import base64
import io

import numpy as np

from .. import plotting
from ..plotting import INK, MUTED, PALETTE, PAPER, RULE
from .page import DASHES
from .text import label_text
from .views import MARKERS

# Colours of light paper: the page inverts the whole picture in the dark.
_FAINT = "#8b8893"
_MARKERS = dict(zip(MARKERS, plotting.MARKERS, strict=True))
_STYLE = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": _FAINT,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "mathtext.fontset": "cm",
    "image.cmap": "viridis",  # the book's own is known to matplotlib only after `plotting.use`
}


def still(explorer) -> dict:
    """``{"data": base64 PNG, "width", "height"}`` in CSS pixels, transparent, 128 colours."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    columns = min(explorer.columns, len(explorer.panels))
    rows = -(-len(explorer.panels) // columns)
    width = 8.7 if columns > 1 else 6.0
    height = sum(
        max(width / columns / p.aspect for p in explorer.panels[r * columns : (r + 1) * columns]) for r in range(rows)
    )
    plotting.add_fonts()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the notebook has set, the picture is the same
        matplotlib.rcParams.update(plotting.settings() | _STYLE)
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        figure.patch.set_alpha(0)
        for k, panel in enumerate(explorer.panels):
            ax = figure.add_subplot(rows, columns, k + 1)
            ax.patch.set_alpha(0)
            _draw(explorer, panel, explorer.ranges[k], ax)
        raw = io.BytesIO()
        figure.savefig(raw, dpi=160, format="png", metadata={"Software": None})
    image = Image.open(raw).quantize(128, method=Image.Quantize.FASTOCTREE, dither=0)
    out = io.BytesIO()
    image.save(out, "png", optimize=True)
    return {
        "data": base64.b64encode(out.getvalue()).decode("ascii"),
        "width": round(100 * width),
        "height": round(100 * height),
    }


def _draw(explorer, panel, ranges, ax):
    for axis in "xy":
        for at in panel.grid[axis]:
            (ax.axvline if axis == "x" else ax.axhline)(at, color=RULE, lw=0.8, zorder=0)
    for axis in "xy":
        ax.set(**{axis + "scale": "log" if panel.log[axis] else "linear"})
    for layer in panel.layers:
        _LAYERS[type(layer).__name__](explorer, layer, ax)
    for axis, label in (("x", panel.x), ("y", panel.y)):
        if not (axis == "x" and panel.bands):
            ax.set(**{axis + "lim": ranges[axis]})
        ax.set(**{axis + "label": label})  # matplotlib reads $...$ itself
    if panel.equal:
        ax.set_aspect("equal", adjustable="box")
    ax.set_title(panel.title, loc="left", fontsize=10)


def _get(explorer, layer, name, ndim):
    """The array at the default frame."""
    array = explorer.default[name]
    if layer.over and array.ndim > ndim:
        array = array[explorer.by_name[layer.over].index]
    return array


def _shown(explorer, layer, steps):
    """How many of `steps` an `until` slider uncovers at its default."""
    if layer.until is None:
        return steps
    control = explorer.by_name[layer.until]
    return 1 + round(control.index / (len(control.values) - 1) * (steps - 1))


def _dash(color):
    return (0, [float(d) / 1.8 for d in DASHES[color].split()]) if DASHES[color] else "solid"


def _lines(explorer, layer, ax):
    x = explorer.default[layer.x]
    end = _shown(explorer, layer, len(x))
    for key, color, mark in zip(layer.y, layer.colors, layer.marks, strict=True):
        for row in np.atleast_2d(_get(explorer, layer, key, 1)):
            if mark == "line":
                style = {"lw": 1.8, "ls": _dash(color)}
            else:
                style = {"ls": "none", "marker": _MARKERS[MARKERS[color]], "mfc": PAPER, "ms": 5}
            ax.plot(x[:end], row[:end], color=PALETTE[color], **style)


def _classes(explorer, layer, n):
    if isinstance(layer.classes, int):
        return np.full(n, layer.classes)
    return _get(explorer, layer, layer.classes, 1)


def _points(explorer, layer, ax):
    x, y = (_get(explorer, layer, f"{layer.points}.{a}", 1) for a in "xy")
    for c in np.unique(classes := _classes(explorer, layer, len(x))):
        color, chosen = PALETTE[layer.colors[c]], classes == c
        face = PAPER if c in layer.hollow else color
        marker = _MARKERS[layer.marker or MARKERS[layer.colors[c]]]
        ax.plot(
            x[chosen], y[chosen], ls="none", marker=marker, ms=layer.size * 1.4, mfc=face, mec=color, mew=1.5, zorder=4
        )


def _trajectories(explorer, layer, ax):
    x, y = (explorer.default[f"{layer.paths}.{a}"] for a in "xy")
    end = _shown(explorer, layer, x.shape[1])
    classes = _classes(explorer, layer, len(x))
    for c in np.unique(classes):
        rows = classes == c
        ax.plot(
            x[rows, :end].T,
            y[rows, :end].T,
            color=PALETTE[layer.colors[c]],
            ls="solid",
            lw=layer.width,
            alpha=layer.alpha,
            zorder=3,
        )
        if layer.heads:
            ax.plot(x[rows, end - 1], y[rows, end - 1], "o", ms=3, color=PALETTE[layer.colors[c]])


def _field(explorer, layer, ax):
    u, v = (_get(explorer, layer, f"{layer.vectors}.{a}", 2) for a in "xy")
    x, y = (np.linspace(*lim, n) for lim, n in ((layer.xlim, u.shape[1]), (layer.ylim, u.shape[0])))
    ax.quiver(x, y, u, v, color=_FAINT, width=0.003)


def _heatmap(explorer, layer, ax):
    from matplotlib.colors import LinearSegmentedColormap, ListedColormap, LogNorm, Normalize

    values = _get(explorer, layer, layer.values, 2)
    edges = [
        (np.geomspace if scale == "log" else np.linspace)(*lim, n + 1)
        for scale, lim, n in (
            (ax.get_xscale(), layer.xlim, values.shape[1]),
            (ax.get_yscale(), layer.ylim, values.shape[0]),
        )
    ]
    if layer.tints:
        colors = ListedColormap([PALETTE[c] for c in layer.colors])
        top = len(layer.colors) - 0.5
        ax.pcolormesh(*edges, values, cmap=colors, vmin=-0.5, vmax=top, alpha=0.35, rasterized=True)
        return
    stops = plotting.SEQUENTIAL if layer.colors == "sequential" else plotting.DIVERGING
    norm = (LogNorm if layer.scale == "log" else Normalize)(*explorer._color_limits(layer))
    ax.pcolormesh(*edges, values, cmap=LinearSegmentedColormap.from_list("im", stops), norm=norm)


def _bars(explorer, layer, ax):
    values = _get(explorer, layer, layer.values, 1)
    colors = [PALETTE[c] for c in layer.colors]
    if layer.edges is None:
        ax.bar([label_text(t) for t in layer.labels], values, color=colors, width=0.7)
    else:
        ax.bar(layer.edges[:-1], values, np.diff(layer.edges), align="edge", color=colors)


def _rule(explorer, layer, ax):
    at = float(_get(explorer, layer, layer.at, 0)) if isinstance(layer.at, str) else layer.at
    line = ax.axhline if layer.axis == "y" else ax.axvline
    line(at, color=PALETTE[layer.color], ls=_dash(layer.color), lw=1.5)


_LAYERS = {
    "Lines": _lines,
    "Points": _points,
    "Trajectories": _trajectories,
    "Field": _field,
    "Heatmap": _heatmap,
    "Bars": _bars,
    "Rule": _rule,
}
