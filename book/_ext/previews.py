"""Previews: a link to a theorem, an equation, a paper, a function or a word of the glossary shows what it leads to.

The page copies what lies on it; of other pages it loads, when the first such link is pointed at, a script with what
pages link to there: a page that is opened from the disk may fetch nothing else.  `book/_static/previews.js` shows it.

No extension that we found does this offline.  sphinx-hoverxref asks a server.  sphinx-tippy (last release in 2024)
stands on tippy.js and Popper, both at rest since 2021, does not close with Escape, and gives its scripts random names,
so that no two builds are alike.  What they were for, browsers can do now: the popover in the top layer.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from urllib.parse import unquote

from search_text import article

FOLDER = "_static/previews"
LINK = re.compile(r'<a\b[^>]*\bhref="([^"#:]+)\.html#([^"]+)"')
OPENED = re.compile(r'<(div|dt)\b[^>]*\bid="([^"]+)"[^>]*>')
SAID = re.compile(r"\s*<dd[^>]*>\s*(?:<pre\b.*?</pre>\s*)?(<p\b.*?</p>)", re.S)  # what stands below a name
KINDS = re.compile(r'class="[^"]*\b(?:im-box|im-eq|citation)\b')


def wanted(page: str, docname: str) -> set[tuple[str, str]]:
    """(page, anchor) of every link in a built page's article to a place on another page."""
    folder = posixpath.dirname(docname)
    return {(posixpath.normpath(posixpath.join(folder, path)), unquote(anchor))
            for path, anchor in LINK.findall(article(page))}  # fmt: skip


def element(page: str, start: int, tag: str) -> str:
    """The element that begins at `start`, with all that is in it."""
    depth = 0
    for found in re.compile(rf"<(/?){tag}\b").finditer(page, start):
        depth += -1 if found[1] else 1
        if not depth:
            return page[start : page.index(">", found.end()) + 1]
    raise ValueError(f"no end of <{tag}> at {start}")


def pieces(page: str, anchors: set[str]) -> dict[str, str]:
    """HTML of what can be shown, by anchor: boxes, equations, papers; of an entry its name and first paragraph."""
    found = {}
    for opened in OPENED.finditer(page):
        tag, anchor = opened.groups()
        if anchor not in anchors:
            continue
        if tag == "div" and KINDS.search(opened[0]):
            found[anchor] = element(page, opened.start(), "div")
        elif tag == "dt":
            name = element(page, opened.start(), "dt")
            if first := SAID.match(page, opened.start() + len(name)):
                found[anchor] = f"{name}<dd>{first[1]}</dd>"
    return found


def write(app, error) -> None:
    """build-finished: a script for each page that another links into; none is left of a page that is gone."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    pages = {docname: path.read_text(encoding="utf-8") for docname in sorted(app.env.found_docs)
             if (path := out / f"{docname}.html").is_file()}  # fmt: skip
    anchors: dict[str, set[str]] = {}
    for docname, page in pages.items():
        for target, anchor in wanted(page, docname):
            if target in pages and target != docname:
                anchors.setdefault(target, set()).add(anchor)
    folder, written = out / FOLDER, set()
    for docname, there in sorted(anchors.items()):
        shown = json.dumps(pieces(pages[docname], there), ensure_ascii=False, separators=(",", ":"))
        script = folder / f"{docname}.js"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(f"(window.imPreviews ??= {{}})[{json.dumps(docname)}] = {shown};\n", encoding="utf-8")
        written.add(script)
    for leftover in set(folder.rglob("*.js")) - written:
        leftover.unlink()


def setup(app):
    app.add_js_file("previews.js", loading_method="defer")
    app.connect("build-finished", write, priority=960)  # after the style sheets are purged, which reads all scripts
    return {"parallel_read_safe": True, "parallel_write_safe": True}
