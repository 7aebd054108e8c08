"""The picture at the default setting, for readers without scripts and before they have loaded."""

import base64
import io

from .. import plotting

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
            panel._draw(ax, explorer._start, explorer.ranges[k], explorer._columns)
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
