"""`{claims-graph}`: which claim rests on which, as a picture and as a list that says the same.

Both come from the `:uses:` of the claims' boxes (`claims_model`).
"""

from __future__ import annotations

import html
from collections.abc import Callable

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import graph_picture
from book_model import Book, book_of
from claims_model import Box, reached, users
from claims_page import PAGE, STATUS, address, link, names_of, raw
from katex_math import render_text

SCRIPT, SHEET = "graph.js", "graph.css"
LABEL, LIST = "graph-label", "graph-list"
HINT = ("Point at a claim, or walk there with the arrow keys: what it uses, and what uses it, stands here. "
        "Enter or a click keeps it here, with links; once more leads to the claim.")  # fmt: skip


class claims_graph(nodes.General, nodes.Element):
    """Placeholder, replaced when all chapters are known."""


class ClaimsGraph(SphinxDirective):
    def run(self):
        return [claims_graph()]


def rows(app, book: Book) -> list[graph_picture.Row]:
    """The chapters that have claims, in the order of the book."""
    found = []
    for listed in book.listed:
        chapter = book.chapter(listed.docname)
        planned = book.planned.get(chapter.slug)
        if claims := tuple(box for box in book.boxes.values() if box.slug == chapter.slug):
            found.append(graph_picture.Row(
                chapter.slug, str(planned.number) if planned else "", planned.title if planned else chapter.title,
                listed.numeral, app.builder.get_relative_uri(PAGE, listed.docname), claims))  # fmt: skip
    return found


def further(direct: tuple[str, ...], box: Box, edges: dict[str, tuple[str, ...]]) -> int:
    """How many more one comes to through those that are named."""
    return len(reached(box.id, edges)) - len(direct)


def sentences(book: Book, box: Box, edges, said: Callable[[str], str]) -> str:
    """What a claim uses and what uses it, in words; `edges` are both, and `said` is a claim's name."""
    found = []
    for words, ways in zip(("Uses", "Used by"), edges, strict=True):
        if direct := ways[box.id]:
            more = further(direct, box, ways)
            through = f", and through {'it' if len(direct) == 1 else 'them'} {more} more" if more else ""
            found.append(f"{words} {names_of(book, direct, box.slug, said)}{through}.")
    return " ".join(found) or "Uses no other claim, and none uses it."


def sum_of(boxes: dict[str, Box]) -> str:
    """How many uses there are, between how many chapters, and how long the longest chain is."""
    uses = [(box.slug, used.rpartition("/")[0]) for box in boxes.values() for used in box.uses]
    between = sum(slug != other for slug, other in uses)
    depth: dict[str, int] = {}

    def long(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max(map(long, boxes[name].uses), default=0)
        return depth[name]

    chain = max(map(long, boxes), default=0)
    bare = sum(not box.uses for box in boxes.values())
    return (f"The {len(boxes)} claims use one another {len(uses)} times, {between} times across chapters. "
            f"{bare} use no other. The longest chain has {chain} claims.")  # fmt: skip


def listed(app, chapters: list[graph_picture.Row], edges) -> str:
    """The list: chapters, in each its claims, and of each what the picture says."""
    items = ""
    for row in chapters:
        inner = ""
        for box in row.claims:
            css, words = STATUS[box.status or "not-proved"]
            said = sentences(book_of(app), box, edges, lambda name: link(app, PAGE, name))
            inner += (
                f'<li data-claim="{box.id}"><a class="im-graph-id" href="{html.escape(address(app, PAGE, box.id))}">'
                f'{box.short}</a> <i class="im-graph-title">{render_text(box.title)}</i> '
                f'<span class="im-graph-status"><span class="im-mark {css}"></span>{words}.</span> '
                f'<span class="im-graph-said-uses">{said}</span></li>'
            )
        title = f"{row.number} {row.title}".strip()
        items += (f'<li><a class="im-graph-of" href="{html.escape(row.address)}">{html.escape(title)}</a>'
                  f"<ul>{inner}</ul></li>")  # fmt: skip
    return (f'<details class="im-graph-list" id="{LIST}"><summary>Which claim uses which, as a list</summary>'
            f"<ul>{items}</ul></details>")  # fmt: skip


def graph(app) -> nodes.raw:
    book = book_of(app)
    boxes, chapters = book.boxes, rows(app, book)
    edges = {name: box.uses for name, box in boxes.items()}, users(boxes)

    def plain(box: Box) -> str:
        said = sentences(book, box, edges, lambda name: name.rpartition("/")[2])
        return f"{box.short} {box.title}: {STATUS[box.status or 'not-proved'][1]}. {said}"

    drawn = graph_picture.picture(chapters, {name: plain(box) for name, box in boxes.items()}, LABEL)
    words = {status: said for status, (_, said) in STATUS.items()}
    return raw(
        f'<p class="im-claims-checks" id="{LABEL}">{sum_of(boxes)}</p>'
        f'<div class="im-graph">{graph_picture.key(words, LIST)}'
        f'<div class="im-graph-said im-waiting"><p>{HINT}</p></div>{drawn}</div>'
        f"{listed(app, chapters, edges)}"
    )


def on_doctree_resolved(app, doctree, docname: str) -> None:
    if app.builder.format == "html":
        for placeholder in list(doctree.findall(claims_graph)):
            placeholder.replace_self(graph(app))


def on_page_context(app, pagename, templatename, context, doctree) -> None:
    if pagename == PAGE:
        app.add_js_file(SCRIPT, loading_method="defer")
        app.add_css_file(SHEET)


def setup(app):
    app.add_node(claims_graph)
    app.add_directive("claims-graph", ClaimsGraph)
    app.connect("doctree-resolved", on_doctree_resolved)
    app.connect("html-page-context", on_page_context)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
