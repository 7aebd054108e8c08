"""Explorers on the static page.

An `implicitly.Explorer` is stored in a notebook as a small `div` with its data. Here the controls and the
still picture are put into the page, so that it reads without a script and nothing moves when the script
mounts; the script and the style sheet are copied beside the page and linked only where they are used.
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


def expand(text: str, place_image) -> tuple[str, list[str]]:
    """Put controls and still picture into each explorer of `text`; also the explorers' ids.

    `place_image(name, content)` stores a picture and returns its address from the page.
    """
    ids = []

    def one(match):
        payload = json.loads(match["data"])
        # (notebooks run before the picture stood in the HTML keep it in the data)
        still = _STILL.search(match[0]) or {**payload.pop("still"), "alt": html.escape(payload["alt"])}
        chrome, picture = payload.pop("chrome"), base64.b64decode(still["data"])
        name = f"explorer-{match['id']}-{hashlib.sha256(picture).hexdigest()[:10]}.png"
        image = (
            f'<img class="im-ex-still" src="{html.escape(place_image(name, picture))}" alt="{still["alt"]}" '
            f'width="{still["width"]}" height="{still["height"]}" loading="lazy">'
        )
        stage = '<div class="im-ex-stage">'
        if stage not in chrome:
            raise ValueError(f"explorer {match['id']!r}: its HTML has no place for the picture")
        data = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        ids.append(match["id"])
        return (
            f'<div class="im-explorer" id="{match["id"]}" data-im-explorer="{match["id"]}" '
            f'role="group" aria-labelledby="{match["id"]}-title">'
            + chrome.replace(stage, stage + image)
            + '<script type="application/json">'
            + data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
            + "</script></div>"
        )

    return _WHOLE.sub(one, text), ids


def _resolved(app, doctree, docname):
    if app.builder.format != "html":
        return
    up = "../" * docname.count("/") if app.builder.name != "dirhtml" else "../" * (docname.count("/") + 1)

    def place(name, content):
        folder = Path(app.outdir) / "_images"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        return f"{up}_images/{name}"

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
