"""What a notebook keeps of an explorer, for viewers without a kernel and for the book's page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from .still import still
from .text import label_html

if TYPE_CHECKING:
    from .widget import Explorer


def output(explorer: Explorer, spec: dict) -> tuple[dict, dict]:
    """Data and metadata of the output, without the live widget's.

    The metadata hold all that the static page is made of (``["implicitly"]["explorer"]``), as those of a claim do.
    """
    picture = still(explorer)
    # JupyterLab, VS Code, Colab and nbconvert's HTML take HTML before PNG. A PNG alone they would show too, but
    # JupyterLab and nbconvert without its alt text, and with no word on how to move it. So there is HTML, and since
    # it is what they take, the picture stands in it. The PNG is for what takes no HTML (PDF) or drops data addresses
    # from it, and for the book's page; the plain text for terminals. It costs some 20 kB: the picture is there twice.
    html = (
        f"<p><b>Explorer: {label_html(explorer.title)}{'' if explorer.title.endswith('?') else '.'}</b> "
        "Run this cell to move its controls, or read it in the book.</p>"
        f'<img src="data:image/png;base64,{picture["data"]}" alt="{escape(spec["alt"])}" '
        f'width="{picture["width"]}" height="{picture["height"]}" style="max-width:100%;height:auto">'
        f"{explorer.predict.still() if explorer.predict else ''}"
    )
    data = {
        "text/plain": f"{explorer!r}\n{spec['alt']}\n{explorer.sentence()}",
        "text/html": html,
        "image/png": picture["data"],
    }
    about = {"width": picture["width"], "height": picture["height"], "alt": spec["alt"]}
    return data, {"image/png": about, "implicitly": {"explorer": spec}}
