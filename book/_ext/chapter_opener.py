"""What stands around a chapter's title: eyebrow, question, vignette, *In five minutes*, facts."""

from __future__ import annotations

import html
import re
from pathlib import Path

from docutils import nodes

import five_minutes
import library_page
from book_model import BookError, Chapter, book_of, is_chapter
from claims_page import group_id
from katex_math import render_text

VIGNETTES = Path(__file__).parent.parent / "_static" / "vignettes"
# `execute.py --strict` fails for a chapter that takes longer, so the page may say it
RUNS_IN = "half a minute on two cores"


def _paper(app, docname: str, key: str) -> str:
    paper = book_of(app).papers.get(key)
    if paper is None:
        raise BookError(f"{app.env.doc2path(docname)}: implicitly.paper is {key!r}, which is in "
                        f"none of {app.config.bibtex_bibfiles}")
    title = html.escape(paper.title)
    if paper.address:
        title = f'<a href="{html.escape(paper.address)}">{title}</a>'
    return f"{title}<br>{html.escape(', '.join(paper.authors))}, {html.escape(paper.year)}"


def _library(app, chapter: Chapter) -> str:
    """The modules that a chapter's code calls, each linked to its source; their reference after them."""
    library = book_of(app).library
    links = [f'<a href="{library_page.source_link(app, library.file_of(name))}"><code>'
             f'{name.removeprefix("implicitly.")}</code></a>' for name in library_page.modules_used(library, chapter)]
    if not links or library_page.PAGE not in app.env.found_docs:
        return ", ".join(links)
    uri = app.builder.get_relative_uri(chapter.docname, library_page.PAGE)
    return f'{", ".join(links)} · <a href="{uri}">reference</a>'


def _facts(app, doctree, chapter: Chapter) -> str:
    docname, header = chapter.docname, chapter.header
    boxes = {i for node in doctree.findall(nodes.Element) for i in node.get("ids", ())
             if re.fullmatch(re.escape(chapter.slug) + r"/C\d+", i)}
    held = {claim.id for claim in chapter.claims}  # a check that does not hold is not stored
    stated = len(boxes | held)
    rows = []
    if header.paper:
        rows.append(("Paper", _paper(app, docname, header.paper)))
    if stated:
        count = f'{stated} stated, <span class="im-ok">{len(held)} {"holds" if len(held) == 1 else "hold"}</span>'
        if "book/claims" in app.env.found_docs:
            uri = app.builder.get_relative_uri(docname, "book/claims") + (f"#{group_id(docname)}" if held else "")
            count = f'<a href="{uri}">{count}</a>'
        rows.append(("Claims", count))
    rows.append(("Runs in", html.escape(header.runs_in or RUNS_IN)))
    rows += [(label, render_text(text)) for label, text in (("You need", header.needs), ("Kernel", header.kernel))
             if text]  # fmt: skip
    cells = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in rows)
    if library := _library(app, chapter):
        cells += f'<div class="im-facts-library"><dt>Library</dt><dd>{library}</dd></div>'
    return f'<dl class="im-facts">{cells}</dl>'


def open_chapter(app, doctree, docname: str) -> None:
    """doctree-resolved: eyebrow, question, vignette, five minutes and facts around a chapter's title."""
    if not is_chapter(docname) or app.builder.format != "html":
        return
    chapter = book_of(app).chapter(docname)
    title = next(doctree.findall(nodes.title), None)
    if title is None:
        return
    planned = book_of(app).planned.get(chapter.slug)
    before = ""
    if planned:
        mark = "im-ring" if planned.numeral == "VI" else "im-disc"
        before = (f'<p class="im-eyebrow"><b>Chapter {planned.number}</b> <i class="im-dot {mark}">'
                  f'</i> Part {planned.numeral}, {html.escape(planned.part)}</p>')
    vignette = VIGNETTES / f"{chapter.slug}.svg"
    after = ""
    if chapter.header.question:
        after += f'<p class="im-question">{render_text(chapter.header.question)}</p>'
    if vignette.is_file():
        after += f'<div class="im-vignette" aria-hidden="true">{vignette.read_text("utf-8")}</div>'
    facts, summary = _facts(app, doctree, chapter), five_minutes.take(doctree)
    parent = title.parent
    at = parent.index(title)
    opener = [nodes.raw("", after, format="html"), *([summary] if summary else []), nodes.raw("", facts, format="html")]
    parent[at + 1 : at + 1] = opener
    if before:
        parent.insert(at, nodes.raw("", before, format="html"))


def depend(app, docname: str, source: list[str]) -> None:
    """source-read: what an opener shows besides the chapter itself."""
    if is_chapter(docname):
        for path in (VIGNETTES / f"{Path(docname).name}.svg", Path(app.srcdir) / "book/plan.yml",
                     *(Path(app.srcdir) / name for name in app.config.bibtex_bibfiles)):
            app.env.note_dependency(str(path))


def setup(app):
    app.connect("source-read", depend)
    # after the extensions that resolve their own nodes
    app.connect("doctree-resolved", open_chapter, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
