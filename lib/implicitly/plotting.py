"""The book's one figure style: type, palette, dashes, markers, colour maps, sizes.

Call :func:`use` once at the top of a chapter.  Importing this module imports nothing heavy and
changes nothing: matplotlib is loaded, and its settings are touched, on the first :func:`use`.

The palette is one list for figures and explorers.  Its order is fixed and colour never stands
alone: colour ``k`` goes with dash ``k`` and marker ``k``.  Figures are saved once, on a transparent
ground; the dark page inverts them (each dark colour of the page is the light one under
``invert(1) hue-rotate(180deg)``), so give a picture in which colour is data the cell tag
``keep-colors``.

Example:
    >>> from implicitly import plotting
    >>> plotting.use()
    >>> plotting.PALETTE[1] == plotting.PREFER
    True
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _plot_checks as check

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import Polygon
    from matplotlib.text import Annotation
    from numpy.typing import ArrayLike

__all__ = [
    "CAUTION", "COLUMN", "DASHES", "DIVERGING", "INK", "MARGIN", "MARKERS", "MUTED", "OK", "PALETTE",
    "PAPER", "PREFER", "RULE", "SEQUENTIAL", "SQUARE", "WIDE", "WITHOUT", "arrow", "diagram", "disc", "line",
    "network", "path", "points", "region", "ring", "settings", "theory", "threshold_unit", "use",
]  # fmt: skip

PAPER, INK, MUTED, RULE = "#fbfaf7", "#1d1c24", "#5f5c69", "#d9d6cf"
PREFER, WITHOUT = "#b5450b", "#2140a0"
OK, CAUTION = "#2c6b5a", "#7a6a12"

#: the other thing; the preferred; third; fourth; fifth; theory or "neither"
PALETTE = (WITHOUT, PREFER, "#418473", "#bf5bcb", "#9a8b38", INK)
DASHES = (
    "solid", (0, (5, 2)), (0, (1.2, 1.6)), (0, (6, 2, 1.2, 2)), (0, (9, 2.5)),
    (0, (3, 1.5, 1.2, 1.5, 1.2, 1.5)),
)  # fmt: skip
MARKERS = ("s", "o", "^", "D", "+", "x")

#: stops of the sequential map ``implicitly`` and of the diverging one, ``implicitly_diverging``
SEQUENTIAL = ("#f4f1ea", "#c9cfe6", "#8a9ccf", "#4a66b4", "#2140a0", "#171f4f")
DIVERGING = (WITHOUT, "#f4f1ea", PREFER)

#: figure sizes in inches: the text column, the full width (cell tag ``wide``), the margin
COLUMN, WIDE, MARGIN, SQUARE = (6.0, 3.4), (8.7, 3.9), (2.25, 1.9), (4.4, 4.4)

FAMILY = "Implicitly Sans"
_FONTS = Path(__file__).parent / "fonts"


def settings() -> dict:
    """The style as matplotlib settings (`rcParams`), without applying them."""
    from cycler import cycler

    cycle = cycler(color=PALETTE) + cycler(linestyle=DASHES)
    return {
        "figure.figsize": COLUMN,
        "figure.dpi": 100,
        "savefig.dpi": 200,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "savefig.transparent": True,
        "figure.constrained_layout.use": True,
        "figure.constrained_layout.h_pad": 0.03,
        "figure.constrained_layout.w_pad": 0.03,
        "figure.hooks": ["implicitly.plotting:_compress"],
        # one family only: a fallback without weight 600 warns on stderr, which fails the build
        "font.family": [FAMILY],
        "font.size": 10.5,
        "mathtext.fontset": "cm",
        "axes.formatter.use_mathtext": True,
        "axes.unicode_minus": True,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
        "axes.prop_cycle": cycle,
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "lines.markeredgewidth": 1.5,
        "lines.solid_capstyle": "round",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "axes.titlesize": 10.5,
        "axes.titleweight": 600,
        "axes.titlelocation": "left",
        "axes.titlepad": 8,
        "axes.labelsize": 10.5,
        "axes.labelpad": 5,
        "xtick.labelsize": 9.5,
        "ytick.labelsize": 9.5,
        "xtick.major.size": 3,
        "ytick.major.size": 3,
        "xtick.major.width": 0.8,
        "ytick.major.width": 0.8,
        "xtick.minor.size": 0,
        "ytick.minor.size": 0,
        "axes.grid": False,
        "grid.color": RULE,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "legend.frameon": False,
        "legend.fontsize": 9.5,
        "legend.handlelength": 2.4,
        "errorbar.capsize": 0,
        "patch.linewidth": 0.8,
        "image.cmap": "implicitly",
        "image.interpolation": "nearest",
    }


def use() -> None:
    """Apply the book's style to matplotlib: fonts, colour maps, settings, sharp inline pictures.

    This is global, as matplotlib's settings are: it holds for every figure drawn from here on in this process, and
    no other function of the library does such a thing. Settings that :func:`settings` does not name stay as they
    are. For some figures only, write ``with matplotlib.rc_context(): plotting.use()`` and draw inside (fonts and
    colour maps, which are only added, stay known); ``matplotlib.rcdefaults()`` takes the style off again. May be called
    again; the second call changes nothing.
    """
    import matplotlib as mpl
    from matplotlib.colors import LinearSegmentedColormap

    add_fonts()
    for name, stops in (("implicitly", SEQUENTIAL), ("implicitly_diverging", DIVERGING)):
        if name not in mpl.colormaps:
            mpl.colormaps.register(LinearSegmentedColormap.from_list(name, stops))
    mpl.rcParams.update(settings())
    _sharp_inline()


def add_fonts() -> None:
    """Tell matplotlib of the book's fonts, and change no setting."""
    from matplotlib import font_manager

    known = {font.fname for font in font_manager.fontManager.ttflist}
    for file in sorted(_FONTS.glob("*.ttf")):
        if str(file) not in known:
            font_manager.fontManager.addfont(file)


def _compress(figure) -> None:
    """matplotlib's hook on new figures: lay out axes of equal scales without cutting their labels.

    Plain constrained layout needs two draws to get those right, and a saved picture is one draw.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        figure.set_layout_engine("compressed")


def _sharp_inline() -> None:
    """Ask a notebook for pictures at twice the resolution; nothing to do elsewhere."""
    import sys

    if "IPython" not in sys.modules:
        return
    from IPython import get_ipython

    if getattr(get_ipython(), "kernel", None) is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        # bbox_inches=None keeps the figure's own size: three widths only, and each fills its slot
        set_matplotlib_formats("retina", bbox_inches=None)


def _style(index: int) -> tuple:
    wanted = f"index must be a whole number from 0 to {len(PALETTE) - 1}"
    try:
        place = operator.index(index)
    except TypeError:
        raise TypeError(f"{wanted}, found {index!r}") from None
    if isinstance(index, bool) or not 0 <= place < len(PALETTE):
        raise ValueError(f"{wanted}, found {index!r}")
    return PALETTE[place], DASHES[place], MARKERS[place]


def _dots(ax, x, y, size, color, style, options):
    check.axes(ax)
    x, y = check.array("x", x), check.array("y", y)
    if x.shape != y.shape:
        raise ValueError(f"x and y must have one shape, found {x.shape} and {y.shape}")
    check.size(size)
    check.colour(color)
    return ax.plot(x, y, "o", **{"ls": "none", "ms": size, "mec": color, "zorder": 5, **style, **options})


def line(index: int) -> dict:
    """Keyword arguments of `Axes.plot` for line `index` of the palette, 0 to 5: colour and dash."""
    colour, dash, _ = _style(index)
    return {"color": colour, "linestyle": dash}


def points(index: int) -> dict:
    """Keyword arguments of `Axes.plot` for measured values, colour and marker `index`, 0 to 5: open markers, no line.

    Theory is drawn as a line and measurement as open markers on it.
    """
    colour, _, marker = _style(index)
    return {"color": colour, "marker": marker, "linestyle": "none", "markerfacecolor": PAPER,
            "markeredgewidth": 1.5}  # fmt: skip


def theory() -> dict:
    """Keyword arguments of `Axes.plot` for the curve a theorem states: thin, ink, dashed with two dots between."""
    return {"color": INK, "linestyle": DASHES[5], "linewidth": 1.2}


def disc(
    ax: Axes, x: ArrayLike, y: ArrayLike, *, size: float = 9.0, color: str = PREFER, **options: Any
) -> list[Line2D]:
    """Filled dots on `ax` at `x`, `y`: stable points, data, the preferred thing.

    Args:
        x, y: numbers or arrays of one shape; where one is NaN there is no dot.
        size: diameter in points (1/72 inch).
        color: any colour of matplotlib.
        options: further ones of `Axes.plot`, whose lines are returned.
    """
    return _dots(ax, x, y, size, color, {"mfc": color}, options)


def ring(
    ax: Axes, x: ArrayLike, y: ArrayLike, *, size: float = 9.0, color: str = WITHOUT, **options: Any
) -> list[Line2D]:
    """Hollow dots on `ax` at `x`, `y`: unstable points, sums, the other thing. Arguments as of :func:`disc`."""
    return _dots(ax, x, y, size, color, {"mfc": PAPER, "mew": 2.0}, options)


# -- diagrams: drawn mechanisms, in the same ink ---------------------------------------------------


def diagram(ax: Axes, title: str = "", note: str = "", *, xlim: tuple[float, float], ylim: tuple[float, float]) -> Axes:
    """Make `ax` the ground of a drawing: no frame, no numbers, one unit as long on x as on y. Returns `ax`.

    Args:
        ax: axes of matplotlib.
        title: what is drawn, in bold. note: one muted line under it.
        xlim, ylim: pairs of numbers, the lower first: the part of the plane that is shown.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what was found; so do those below.
    """
    check.axes(ax)
    check.words("title", title)
    check.words("note", note)
    for name, limits in (("xlim", xlim), ("ylim", ylim)):
        low, high = check.pair(name, limits)
        if not low < high:
            raise ValueError(f"{name} must be two numbers, the lower first, found {(low, high)}")
    ax.set(xlim=xlim, ylim=ylim, aspect="equal", anchor="NW")
    ax.set_axis_off()
    ax.set_title(f"{title}\n" if note else title)
    ax.text(0, 1, note, transform=ax.transAxes, va="bottom", color=MUTED, fontsize=9.5)
    return ax


def arrow(
    ax: Axes, start: Sequence[float], end: Sequence[float], *, color: str = PREFER, bend: float = 0.0, gap: float = 0.0
) -> Annotation:
    """An arrow with an open head on `ax`, from `start` to `end`, each ``(x, y)``; returns matplotlib's annotation.

    Args:
        color: any colour of matplotlib.
        bend: 0 is straight; else how far the middle leaves the line, as a share of its length, -1 to 1.
        gap: points (1/72 inch) left free at both ends, for the dots that stand there; at most 100.
    """
    from . import _validate

    check.axes(ax)
    check.colour(color)
    start, end = check.pair("start", start), check.pair("end", end)
    bend = _validate.number("bend", bend, at_least=-1, at_most=1)
    gap = _validate.number("gap", gap, at_least=0, at_most=100)
    style = {"arrowstyle": "->", "color": color, "lw": 1.1, "shrinkA": gap, "shrinkB": gap, "mutation_scale": 9,
             "connectionstyle": f"arc3,rad={bend}"}  # fmt: skip
    return ax.annotate("", end, start, arrowprops=style, zorder=3)


def path(
    ax: Axes, x: ArrayLike, y: ArrayLike, *, color: str = PREFER, hollow: bool = False, heads: int = 3
) -> list[Line2D]:
    """Steps of an iteration on `ax`: dots at `x`, `y`, both (T,), T at least 2, joined by lines; returns the dots.

    Args:
        color: any colour of matplotlib.
        hollow: rings for dots, for what does not come to rest.
        heads: how many of the first steps are arrows.
    """
    from . import _validate

    check.axes(ax)
    check.colour(color)
    x, y = check.places(2, x=x, y=y)
    hollow, heads = _validate.flag("hollow", hollow), _validate.whole("heads", heads, at_least=0)
    for k, (start, end) in enumerate(pairwise(zip(x, y, strict=True))):
        if k < heads:
            arrow(ax, start, end, color=color, gap=3.5)
        else:
            ax.plot(*zip(start, end, strict=True), color=color, ls="-", lw=1.1, zorder=3)
    return ring(ax, x, y, size=4.5, color=color, mew=1.1) if hollow else disc(ax, x, y, size=4.5, color=color)


def region(ax: Axes, x: ArrayLike, y: ArrayLike) -> list[Polygon]:
    """An area on `ax` with the corners `x`, `y`, both (N,), N at least 3: a quiet ground with a thin edge."""
    from matplotlib.colors import to_rgb

    check.axes(ax)
    x, y = check.places(3, x=x, y=y)
    return ax.fill(x, y, fc=(*to_rgb(RULE), 0.4), ec=MUTED, lw=1, ls="-", zorder=1)


def network(
    ax: Axes, sizes: Sequence[int], *, at: Sequence[float] = (0.0, 0.0), width: float = 1.0, height: float = 1.0
) -> list[np.ndarray]:
    """A layered network on `ax`: a dot a unit, a line a weight.

    Args:
        sizes: units of each layer, input first; two or more layers of 1 to 100 units.
        at: lower left corner. width, height: of the whole, above 0.

    Returns:
        The places of the units, one array (units, 2) a layer, from the top: for marking some of them.
    """
    import numpy as np

    from . import _validate

    check.axes(ax)
    sizes = _validate.wholes("sizes", sizes, least=2, at_least=1, at_most=100)
    left, low = check.pair("at", at)
    width, height = _validate.number("width", width, above=0), _validate.number("height", height, above=0)
    places = []
    for k, count in enumerate(sizes):
        y = low + height * (1 - (np.arange(count) + 0.5) / count)
        places.append(np.stack([np.full(count, left + width * k / (len(sizes) - 1)), y], 1))
    for one, other in pairwise(places):
        for start in one:
            for end in other:
                ax.plot(*zip(start, end, strict=True), color=MUTED, ls="-", lw=0.7, zorder=1)
    for layer in places:
        disc(ax, *layer.T, size=5, color=INK)
    return places


def threshold_unit(ax: Axes, at: Sequence[float], inputs: ArrayLike, *, label: str = "", radius: float = 0.3) -> None:
    """A threshold unit on `ax`: a circle with a step in it at `at`, lines from `inputs` (N, 2), a line out.

    Args:
        label: what stands under it. radius: of the circle, in units of the axes, above 0.
    """
    from matplotlib.patches import Circle

    from . import _validate

    check.axes(ax)
    check.words("label", label)
    x, y = check.pair("at", at)
    radius = _validate.number("radius", radius, above=0)
    inputs = check.array("inputs", inputs, ("N", 2))
    check.places(0, inputs=inputs.ravel())
    for start in inputs:
        ax.plot([start[0], x], [start[1], y], color=MUTED, ls="-", lw=0.9, zorder=1)
    ax.plot([x, x + 2.2 * radius], [y, y], color=MUTED, ls="-", lw=0.9, zorder=1)
    ax.add_patch(Circle((x, y), radius, fc=PAPER, ec=INK, lw=1.2, zorder=4))
    step = 0.55 * radius
    ax.plot([x - step, x, x, x + step], [y - step / 2, y - step / 2, y + step / 2, y + step / 2], color=PREFER, ls="-",
            lw=1.6, zorder=5)  # fmt: skip
    ax.text(x, y - 1.35 * radius, label, ha="center", va="top", fontsize=9.5)
