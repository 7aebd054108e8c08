"""Explorers on the static page.

An `implicitly.Explorer` is stored in a notebook as a small `div` with its data. Here the controls and the
still picture are put into the page, so that it reads without a script and nothing moves when the script
mounts; the data become a file that is asked for when a reader comes near; the script and the style sheet are
copied beside the page and linked only where they are used.
Nothing of the library is imported: its files are read.
"""

import base64
import hashlib
import html
import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.util import logging

SOURCE = Path(__file__).resolve().parents[2] / "lib" / "implicitly" / "explorer"
BOOT = "\nExplorer.boot();\n"
_WHOLE = re.compile(
    r'<div class="im-explorer" id="(?P<id>[\w-]+)" data-im-explorer="[\w-]+">.*?'
    r'<script type="application/json">(?P<data>[^<]*)</script></div>',
    re.DOTALL,
)
_STILL = re.compile(
    r'<img src="data:image/png;base64,(?P<data>[^"]*)" alt="(?P<alt>[^"]*)" '
    r'width="(?P<width>\d+)" height="(?P<height>\d+)"'
)
logger = logging.getLogger(__name__)


def assets() -> dict[str, bytes]:
    """File name under `_static` -> content."""
    script = (SOURCE / "explorer.js").read_text(encoding="utf-8") + BOOT
    return {
        "explorer.js": script.encode(),
        "explorer.css": (SOURCE / "explorer.css").read_bytes(),
        "explorer.LICENSE.txt": (SOURCE / "explorer.LICENSE.txt").read_bytes(),
    }


def placer(out: Path, up: str):
    """What stores a file under `out` and its content's hash, and returns its address from a page `up` away."""

    def place(folder, name, ending, content):
        file = out / folder / f"{name}-{hashlib.sha256(content).hexdigest()[:10]}{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return f"{up}{folder}/{file.name}"

    return place


def expand(text: str, place) -> tuple[str, list[str]]:
    """Put controls and still picture into each explorer of `text`; also the explorers' ids.

    `place` is a `placer`.
    """
    ids = []

    def one(match):
        payload, still, ident = json.loads(match["data"]), _STILL.search(match[0]), match["id"]
        stage = '<div class="im-ex-stage">'
        if not still or stage not in payload["chrome"]:
            raise ValueError(f"explorer {ident!r}: its HTML has no {'place for the' if still else 'still'} picture")
        chrome, picture = payload.pop("chrome"), base64.b64decode(still["data"])
        data = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        script = f"Explorer.deliver({json.dumps(ident)},{data});\n".encode()
        image = (
            f'<img class="im-ex-still" src="{html.escape(place("_images", f"explorer-{ident}", ".png", picture))}" '
            f'alt="{still["alt"]}" width="{still["width"]}" height="{still["height"]}" loading="lazy">'
        )
        ids.append(ident)
        return (
            f'<div class="im-explorer" id="{ident}" data-im-explorer="{ident}" '
            f'data-im-src="{html.escape(place("_data", ident, ".js", script))}" '
            f'role="group" aria-labelledby="{ident}-title">' + chrome.replace(stage, stage + image) + "</div>"
        )

    return _WHOLE.sub(one, text), ids


def _resolved(app, doctree, docname):
    if app.builder.format != "html":
        return
    up = "../" * docname.count("/") if app.builder.name != "dirhtml" else "../" * (docname.count("/") + 1)

    place = placer(Path(app.outdir), up)
    seen = set()
    for node in doctree.findall(nodes.raw):
        if node.get("format") != "html" or "data-im-explorer=" not in node.astext():
            continue
        text, ids = expand(node.astext(), place)
        if not ids:
            logger.warning("an explorer's HTML could not be read", location=docname)
        for ident in ids:
            if ident in seen:
                logger.warning("two explorers have the id %r; give one an id=", ident, location=docname)
            seen.add(ident)
        node.rawsource = text
        node.children = [nodes.Text(text)]


def _page(app, pagename, templatename, context, doctree):
    if doctree is None or not any("data-im-explorer=" in node.astext() for node in doctree.findall(nodes.raw)):
        return
    for name in assets():
        if name.endswith(".js"):
            app.add_js_file(name, loading_method="defer")
        elif name.endswith(".css"):
            app.add_css_file(name)


def _write(app, *_):
    """Before pages are written, since Sphinx then adds the content's hash to the address itself."""
    if app.builder.format == "html":
        static = Path(app.outdir) / "_static"
        static.mkdir(parents=True, exist_ok=True)
        for name, content in assets().items():
            (static / name).write_bytes(content)


def setup(app):
    app.connect("doctree-resolved", _resolved)
    app.connect("html-page-context", _page)
    app.connect("builder-inited", _write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
