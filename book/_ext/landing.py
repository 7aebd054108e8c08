"""The landing page: cover, parts grid and the line that counts claims.

`book/index.md` holds the words and calls three directives of ours; `_templates/landing.html`
holds the page around them (none of the theme's: the landing needs no sidebar and no search).
Numbers are read from what is stored: chapters from the table of contents and `book/plan.yml`,
claims from the outputs of the executed notebooks.
"""

from __future__ import annotations

import base64
import html
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from book_model import book_of

HERE = Path(__file__).parent
DRAWINGS = HERE.parent / "_static" / "drawings"
#: What the cover computes with, and the picture where it cannot.
MODULE = HERE.parents[1] / "lib" / "implicitly" / "diffusion" / "pages.cover.wasm"
STILL = HERE.parent / "_static" / "vignettes" / "score-flow.svg"
WORDMARK = HERE.parent / "_static" / "wordmark.svg"


def wordmark() -> str:
    return WORDMARK.read_text(encoding="utf-8").strip()


class Deferred(nodes.General, nodes.Element):
    """Stands for HTML that needs the whole book read (titles, toctree); filled when resolved."""


class _Directive(SphinxDirective):
    kind = ""

    def run(self):
        node = Deferred(kind=self.kind, options=dict(self.options))
        node.source, node.line = self.get_source_info()
        return [node]


class Cover(_Directive):
    kind = "cover"
    option_spec = {"subtitle": directives.unchanged_required}  # noqa: RUF012 (docutils' own way)


class Parts(_Directive):
    kind = "parts"


class ClaimCount(_Directive):
    kind = "claim-count"


def first_chapter(app) -> str | None:
    """Docname of the first chapter in the book's order."""
    for docname in app.env.toctree_includes.get(app.config.root_doc, ()):
        if docname.startswith("chapters/"):
            return docname
    return None


def _cover(app, uri, options) -> str:
    first = first_chapter(app)
    start = (f'<a class="im-button" href="{uri(first)}">Start reading</a>' if first else "")
    near = (f'<a href="{uri("book/map")}">Papers around the book</a>' if "book/map" in app.env.found_docs else "")
    module = base64.b64encode(MODULE.read_bytes()).decode("ascii")
    return f"""
<header class="im-cover"><div class="im-cover-inner">
<div class="im-cover-words">
<h1 class="im-wordmark" aria-label="Implicitly">{wordmark()}</h1>
<p class="im-subtitle">{html.escape(options["subtitle"])}</p>
<p class="im-cover-links">{start}<a href="{uri("book/claims")}">See every claim, checked</a>{near}
<a href="{uri("search")}">Search</a></p>
</div>
<div class="im-cover-picture">
<div id="im-still" aria-hidden="true" hidden>{STILL.read_text(encoding="utf-8").strip()}</div>
<canvas id="im-flow" data-module="{module}" width="640" height="574" role="img" aria-label="Lines of flow from
everywhere in the plane; each ends at one of three filled points or, at right angles, at a hollow
fourth."></canvas>
<div class="im-cover-controls">
<p class="im-slider"><label for="im-angle">Angle between the edges</label>
<output for="im-angle" id="im-angle-value">90°</output>
<input type="range" id="im-angle" min="90" max="150" step="1" value="90" aria-valuetext="90 degrees"></p>
<p class="im-count" id="im-count" aria-live="polite">Every line follows the score flow of chapter
{book_of(app).planned["score-flow"].number} to where it rests.</p>
</div></div></div></header>
<div id="words" tabindex="-1"></div>
"""


def _parts(app, uri, options) -> str:
    titles = app.env.titles
    cells = []
    for part in book_of(app).parts:
        items = []
        for chapter in part.chapters:
            number = f'<span class="im-n">{chapter.number}</span> '
            if chapter.docname in titles:
                title = html.escape(titles[chapter.docname].astext())
                items.append(f'<li>{number}<a href="{uri(chapter.docname)}">{title}</a></li>')
            else:
                items.append(f'<li class="im-planned">{number}{html.escape(chapter.title)} '
                             '<span class="im-sr">(in preparation)</span></li>')
        ready = any(chapter.docname in titles for chapter in part.chapters)
        note = "" if ready else '<p class="im-planned-note" aria-hidden="true">in preparation</p>'
        drawing = (DRAWINGS / f"{part.drawing}.svg").read_text(encoding="utf-8").strip()
        cells.append(f'<section class="im-part">{drawing}<p class="im-numeral">{part.numeral}</p>'
                     f'<h3>{html.escape(part.name)}</h3><ul role="list">{"".join(items)}</ul>'
                     f'{note}</section>')
    return f'<div class="im-parts">{"".join(cells)}</div>'


def _claim_count(app, uri, options) -> str:
    book = book_of(app)
    claims = [claim for planned in book.planned.values() if planned.docname in app.env.found_docs  # no drafts
              for claim in book.chapter(planned.docname).claims]
    ids, checks = len({claim.id for claim in claims}), len(claims)
    words = lambda n, noun: f"<b>{n}</b> {noun}{'' if n == 1 else 's'}"  # noqa: E731
    return (f'<p class="im-claim-count">{words(ids, "claim")}. {words(checks, "check")} that can '
            f'fail. <a href="{uri("book/claims")}">None of them does today.</a></p>')


BUILDERS = {"cover": _cover, "parts": _parts, "claim-count": _claim_count}


def fill(app, doctree, docname) -> None:
    """doctree-resolved: put the HTML where a directive left its mark."""
    marks = list(doctree.findall(Deferred))
    if not marks:
        return
    uri = lambda target: app.builder.get_relative_uri(docname, target)  # noqa: E731
    for mark in marks:
        markup = BUILDERS[mark["kind"]](app, uri, mark["options"])
        mark.replace_self(nodes.raw("", markup, format="html"))
    # the cover holds the h1 in the wordmark's shape
    for title in list(doctree.findall(nodes.title))[:1]:
        title.parent.remove(title)


def setup(app):
    app.add_node(Deferred)
    app.add_directive("im-cover", Cover)
    app.add_directive("im-parts", Parts)
    app.add_directive("im-claim-count", ClaimCount)
    app.connect("doctree-resolved", fill)
    # the counts and titles come from other documents: this page is never up to date by itself
    app.connect("env-get-outdated", lambda app, env, added, changed, removed:
                [app.config.root_doc] if app.config.root_doc in env.found_docs else [])
    return {"parallel_read_safe": True, "parallel_write_safe": True}
