"""The picture at the default setting, for readers without scripts and before they have loaded."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from .. import plotting
from .page import rows

if TYPE_CHECKING:
    from .widget import Explorer

# Colours of light paper: the page inverts the whole picture in the dark.
_STYLE = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "text.color": plotting.INK,
    "axes.labelcolor": plotting.INK,
    "axes.edgecolor": "#8b8893",
    "xtick.color": plotting.MUTED,
    "ytick.color": plotting.MUTED,
    "mathtext.fontset": "cm",
    "image.cmap": "viridis",  # the book's own is known to matplotlib only after `plotting.use`
}


def still(explorer: Explorer) -> dict:
    """``{"data": base64 PNG, "width", "height"}`` in CSS pixels, in 128 colours on the book's paper.

    The ground is opaque, because other viewers show the picture as it is, on pages that may be dark. The book's own
    page takes it away (``.im-ex-still`` in the style sheet).
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    lines = rows(explorer)
    width = 8.7 if len(lines[0]) > 1 else 6.0
    height = sum(max(width / len(lines[0]) / p.aspect for p in row) for row in lines)
    plotting.add_fonts()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the notebook has set, the picture is the same
        matplotlib.rcParams.update(plotting.settings() | _STYLE)
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        for k, panel in enumerate(explorer.panels):
            ax = figure.add_subplot(len(lines), len(lines[0]), k + 1)
            ax.patch.set_alpha(0)
            panel._draw(ax, explorer._start, explorer.ranges[k], explorer._columns)
        raw = io.BytesIO()
        figure.savefig(raw, dpi=160, format="png", facecolor=plotting.PAPER, metadata={"Software": None})
    image = Image.open(raw).convert("RGB").quantize(128, method=Image.Quantize.FASTOCTREE, dither=0)
    colors, ground = image.getpalette(), image.getpixel((0, 0))
    colors[3 * ground : 3 * ground + 3] = bytes.fromhex(plotting.PAPER[1:])  # not a step off, as the octree has it
    image.putpalette(colors)
    out = io.BytesIO()
    image.save(out, "png", optimize=True)
    return {
        "data": base64.b64encode(out.getvalue()).decode("ascii"),
        "width": round(100 * width),
        "height": round(100 * height),
    }
