"""Explorers on the static page.

A notebook keeps an `implicitly.Explorer` as its output's metadata, with a still picture. Here the controls and the
picture are put into the page, so that it reads without a script and nothing moves when the script
mounts; the data become a file that is asked for when a reader comes near; the script and the style sheet are
copied beside the page and linked only where they are used.
Nothing of the library is imported: its files are read.
"""

import base64
import hashlib
import html
import json
from pathlib import Path

from docutils import nodes
from sphinx.util import logging

SOURCE = Path(__file__).resolve().parents[2] / "lib" / "implicitly" / "explorer"
BOOT = "\nExplorer.boot();\n"
STAGE = '<div class="im-ex-stage">'
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


def stored(notebook: Path) -> dict[str, dict]:
    """The outputs of a notebook that are explorers, by their HTML."""
    if notebook.suffix != ".ipynb":
        return {}
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ()) if spec_of(output)]
    return {"".join(output["data"]["text/html"]): output for output in outputs}


def spec_of(output: dict) -> dict | None:
    return output.get("metadata", {}).get("implicitly", {}).get("explorer")


def expand(output: dict, place) -> str:
    """The page's HTML of an explorer's output, with its picture and its data put beside it by a `placer`."""
    spec, about = dict(spec_of(output)), output["metadata"]["image/png"]
    ident, chrome = spec["id"], spec.pop("chrome")
    picture = base64.b64decode("".join(output["data"]["image/png"]))
    data = json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    script = f"Explorer.deliver({json.dumps(ident)},{data});\n".encode()
    image = (
        f'<img class="im-ex-still" src="{html.escape(place("_images", f"explorer-{ident}", ".png", picture))}" '
        f'alt="{html.escape(about["alt"])}" width="{about["width"]}" height="{about["height"]}" loading="lazy">'
    )
    return (
        f'<div class="im-explorer" id="{ident}" data-im-explorer="{ident}" '
        f'data-im-src="{html.escape(place("_data", ident, ".js", script))}" '
        f'role="group" aria-labelledby="{ident}-title">' + chrome.replace(STAGE, STAGE + image) + "</div>"
    )


def _resolved(app, doctree, docname):
    if app.builder.format != "html":
        return
    up = "../" * docname.count("/") if app.builder.name != "dirhtml" else "../" * (docname.count("/") + 1)
    place = placer(Path(app.outdir), up)
    found, seen = stored(Path(app.env.doc2path(docname))), []
    for node in doctree.findall(nodes.raw):
        output = found.get(node.astext())
        if output is None:
            continue
        ident = node["explorer"] = spec_of(output)["id"]
        if ident in seen:
            logger.warning("two explorers have the id %r; give one an id=", ident, location=docname)
        seen.append(ident)
        node.rawsource = text = expand(output, place)
        node.children = [nodes.Text(text)]
    for output in found.values():
        if spec_of(output)["id"] not in seen:
            logger.warning("the explorer %r is not on the page", spec_of(output)["id"], location=docname)


def _page(app, pagename, templatename, context, doctree):
    if doctree is None or not any("explorer" in node for node in doctree.findall(nodes.raw)):
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
