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

from pathlib import Path

__all__ = [
    "CAUTION", "COLUMN", "DASHES", "DIVERGING", "INK", "MARGIN", "MARKERS", "MUTED", "OK", "PALETTE",
    "PAPER", "PREFER", "RULE", "SEQUENTIAL", "SQUARE", "WIDE", "WITHOUT", "disc", "line",
    "points", "ring", "settings", "theory", "use",
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

    May be called again; the second call changes nothing.
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
    if not isinstance(index, int) or not 0 <= index < len(PALETTE):
        raise ValueError(f"index: expected an integer from 0 to {len(PALETTE) - 1}, found {index!r}")
    return PALETTE[index], DASHES[index], MARKERS[index]


def line(index: int) -> dict:
    """Keyword arguments of `Axes.plot` for line `index` of the palette: colour and dash."""
    colour, dash, _ = _style(index)
    return {"color": colour, "linestyle": dash}


def points(index: int) -> dict:
    """Keyword arguments of `Axes.plot` for measured values: open markers, no line.

    Theory is drawn as a line and measurement as open markers on it.
    """
    colour, _, marker = _style(index)
    return {"color": colour, "marker": marker, "linestyle": "none", "markerfacecolor": PAPER,
            "markeredgewidth": 1.5}  # fmt: skip


def theory() -> dict:
    """Keyword arguments of `Axes.plot` for the curve a theorem states: thin, ink, dashed."""
    return {"color": INK, "linestyle": DASHES[5], "linewidth": 1.2}


def disc(ax, x, y, *, size: float = 9.0, color: str = PREFER, **options):
    """Filled dots on `ax` at `x`, `y`: stable points, data, the preferred thing."""
    return ax.plot(x, y, "o", ls="none", ms=size, mfc=color, mec=color, zorder=5, **options)


def ring(ax, x, y, *, size: float = 9.0, color: str = WITHOUT, **options):
    """Hollow dots on `ax` at `x`, `y`: unstable points, sums, the other thing."""
    return ax.plot(x, y, "o", ls="none", ms=size, mfc=PAPER, mec=color, mew=2.0, zorder=5, **options)
