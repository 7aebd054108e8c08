"""The map of the neighbourhood, and the end of each chapter: the papers near it, both from `book/neighbours.yml`."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.util.docutils import SphinxDirective

import map_picture
from book_model import Book, Part, Planned, book_of, is_chapter
from neighbours_model import FILE, KINDS, Neighbour, Relation
from page_body import fold

PAGE = "book/map"
SCRIPT, SHEET = "map.js", "map.css"
#: The book's two questions: an id, the words, what stands for a chapter, and the parts that ask it.
QUESTIONS = (
    ("what-does-training-prefer", "What does training prefer?", "disc", lambda part: part.numeral != "VI"),
    ("what-can-it-do-without", "What can it do without?", "ring", lambda part: part.numeral == "VI"),
)
ASIDE = ("on-other-subjects", "On other subjects")
MOST_OPEN = 3  # a chapter with more neighbours has them in a fold


def near(book: Book, slug: str) -> list[tuple[Neighbour, Relation]]:
    """The papers near a chapter, in the order of the file."""
    return [(paper, relation) for paper in book.neighbours for relation in paper.near if relation.chapter == slug]


def aside(book: Book) -> list[tuple[str, list[Neighbour]]]:
    """The papers near no chapter, by subject, in the order of the file."""
    subjects = dict.fromkeys(paper.aside for paper in book.neighbours if paper.aside)
    return [(subject, [paper for paper in book.neighbours if paper.aside == subject]) for subject in subjects]


def section(ident: str, *title: nodes.Node) -> nodes.section:
    return nodes.section("", nodes.title("", "", *title), ids=[ident], names=[ident])


def paragraph(kind: str, *children: nodes.Node) -> nodes.paragraph:
    return nodes.paragraph("", "", *children, classes=[f"im-map-{kind}"])


def to_page(docname: str, text: str, found: set[str]) -> nodes.Node:
    """A link to a page of the book, or its words while there is no such page."""
    if docname not in found:
        return nodes.inline("", text)
    return pending_xref("", nodes.inline("", text), refdomain="std", reftype="doc", reftarget=f"/{docname}",
                        refexplicit=True, refwarn=True)  # fmt: skip


def title_of(paper: Neighbour) -> nodes.reference:
    return nodes.reference("", paper.title, refuri=paper.address)


def how(relation: Relation, lab: str) -> nodes.paragraph:
    """Same question: what it is. In a lab: C9. `lab` is the address of the claim, or "" while it has no page."""
    kind = KINDS[relation.kind].capitalize()
    mark = nodes.raw("", map_picture.small(relation.kind, bool(relation.lab)), format="html")
    parts = [mark, nodes.strong("", f"{kind}:"), nodes.Text(f" {relation.words}.")]
    if relation.lab:
        short = relation.lab.rsplit("/", 1)[1]
        link = nodes.reference("", short, internal=True, refuri=lab) if lab else nodes.Text(short)
        parts += [nodes.Text(" An idea of it is tried in a lab: "), link, nodes.Text(".")]
    return paragraph("how", *parts)


def who(paper: Neighbour, more: str = "") -> nodes.paragraph:
    return paragraph("who", nodes.Text(f"{paper.who}{more}."))


class Map(SphinxDirective):
    """`{neighbourhood}`: the picture, then all papers as a list; its content stands between the sum and the picture."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        self.book, self.found = book_of(self.env.app), self.env.found_docs
        self.env.note_dependency(str(Path(self.env.srcdir) / FILE))
        self.told: set[str] = set()  # the papers that have their entry already
        return [self.sum(), *self.parse_content_to_nodes(), self.picture(), *self.sections()]

    def sum(self) -> nodes.raw:
        papers = self.book.neighbours
        close = sum(bool(paper.near) for paper in papers)
        return nodes.raw("", f'<p class="im-claims-sum">{len(papers)} papers: {close} near a chapter, '
                         f"{len(papers) - close} on other subjects</p>", format="html")  # fmt: skip

    def uri(self, docname: str) -> str:
        """The address of a page from this one, or "" while there is no such page."""
        there = docname in self.found
        return self.env.app.builder.get_relative_uri(self.env.docname, docname) if there else ""

    # --- the picture ---

    def branch(self, chapter: Planned) -> map_picture.Branch:
        leaves = tuple(near(self.book, chapter.slug))
        return map_picture.Branch(chapter.slug, chapter.number, chapter.title, self.uri(chapter.docname), leaves)

    def picture(self) -> nodes.raw:
        def head(ident: str, words: str, dot: str) -> str:
            return f'<p class="im-map-head" id="picture-{ident}">{dot}{html.escape(words)}</p>'

        panels = []
        for ident, words, shape, asks in QUESTIONS:
            trees = [(f"{part.numeral} · {part.name}", [self.branch(chapter) for chapter in part.chapters])
                     for part in self.book.parts if asks(part)]  # fmt: skip
            if trees:
                dot = f'<i class="im-dot im-{shape}"></i> '
                panels.append(head(ident, words, dot) + map_picture.tree(trees, f"picture-{ident}", shape))
        if others := aside(self.book):
            panels[-1] += head(*ASIDE, "").replace("im-map-head", "im-map-head im-map-head-far")
            panels[-1] += map_picture.rest(others, f"picture-{ASIDE[0]}")
        drawn = "".join(f'<div class="im-map-panel">{panel}</div>' for panel in panels)
        hint = "Point at a name, or walk there with the Tab key: what it is stands here."
        return nodes.raw("", f'{self.tools()}<div class="im-map-picture">{map_picture.key(QUESTIONS[0][0])}'
                         f'<div class="im-map-said im-waiting"><p>{hint}</p></div>'
                         f'<div class="im-map-panels">{drawn}</div></div>', format="html")  # fmt: skip

    def tools(self) -> str:
        planned = [chapter for chapter in self.book.planned.values() if near(self.book, chapter.slug)]
        choices = [(f"near-{chapter.slug}", f"{chapter.number} {chapter.title}") for chapter in planned]
        choices.append(ASIDE)
        options = "".join(f'<option value="{value}">{html.escape(words)}</option>' for value, words in choices)
        return ('<div class="im-claims-tools im-map-tools im-waiting">'
                '<label>Filter <input type="search" id="im-map-filter" placeholder="a word or a name"></label> '
                f'<label>Chapter <select id="im-map-chapter"><option value="">all</option>{options}</select></label> '
                '<output id="im-map-count" for="im-map-filter im-map-chapter"></output></div>')  # fmt: skip

    # --- the list ---

    def sections(self) -> Iterator[nodes.section]:
        for ident, words, _, asks in QUESTIONS:
            parts = [self.part(part) for part in self.book.parts if asks(part)]
            if parts:
                yield self.named(section(ident, nodes.Text(words)), *parts)
        if others := aside(self.book):
            entries = [self.entry(paper, paragraph("how", nodes.strong("", "Subject:"), nodes.Text(f" {subject}.")))
                       for subject, papers in others for paper in papers]  # fmt: skip
            yield self.named(section(ASIDE[0], nodes.Text(ASIDE[1])), self.listed(entries))

    def named(self, made: nodes.section, *children: nodes.Node) -> nodes.section:
        """With its content, and known to the whole book by its name."""
        made += children
        self.state.document.note_explicit_target(made)
        return made

    def part(self, part: Part) -> nodes.section:
        made = section(f"part-{part.numeral.lower()}", nodes.Text(f"{part.numeral} · {part.name}"))
        return self.named(made, *map(self.chapter, part.chapters))

    def chapter(self, chapter: Planned) -> nodes.section:
        entries = []
        page = self.uri(chapter.docname)
        for paper, relation in near(self.book, chapter.slug):
            told = how(relation, f"{page}#{relation.lab}" if page else "")
            entries.append(self.again(paper, told) if paper.id in self.told else self.entry(paper, told))
            self.told.add(paper.id)
        none = paragraph("none", nodes.Text("No paper of the map is near this chapter."))
        title = to_page(chapter.docname, f"{chapter.number} {chapter.title}", self.found)
        return self.named(section(f"near-{chapter.slug}", title), self.listed(entries) if entries else none)

    def listed(self, entries: list[nodes.list_item]) -> nodes.bullet_list:
        return nodes.bullet_list("", *entries, classes=["im-map-list"])

    def entry(self, paper: Neighbour, told: nodes.paragraph) -> nodes.list_item:
        sentence = [nodes.Text(paper.sentence)]
        if paper.note:
            inline, _ = self.parse_inline(paper.note)
            sentence += [nodes.Text(" "), nodes.inline("", "", *inline, classes=["im-map-note"])]
        if own := self.book.chapter_of.get(paper.of_any_version):
            sentence += [nodes.Text(" Chapter "), to_page(own.docname, f"{own.number} {own.title}", self.found),
                         nodes.Text(" is about it.")]  # fmt: skip
        return nodes.list_item("", paragraph("title", title_of(paper)), who(paper), paragraph("sentence", *sentence),
                               told, ids=[paper.id], classes=["im-map-entry"])  # fmt: skip

    def again(self, paper: Neighbour, told: nodes.paragraph) -> nodes.list_item:
        """A paper near several chapters: its entry stands under the first, and the others lead there."""
        link = nodes.reference("", paper.title, internal=True, refid=paper.id)
        return nodes.list_item("", paragraph("title", link), who(paper, "; described above"), told,
                               classes=["im-map-entry", f"im-map-again-{paper.id}"])  # fmt: skip


def end_chapter(app, doctree) -> None:
    """doctree-read: a chapter ends with its neighbours."""
    docname = app.env.docname
    book = book_of(app)
    slug = docname.removeprefix("chapters/")
    top = next(doctree.findall(nodes.section), None)
    if not is_chapter(docname) or slug not in book.planned or top is None or PAGE not in app.env.found_docs:
        return
    app.env.note_dependency(str(Path(app.srcdir) / FILE))
    papers = near(book, slug)
    on_map = pending_xref("", nodes.inline("", "the map"), refdomain="std", reftype="ref", reftarget=f"near-{slug}",
                          refexplicit=True, refwarn=True)  # fmt: skip
    made = section("near-this-chapter", nodes.Text("Near this chapter"))
    if not papers:
        made += paragraph("none", nodes.Text("None of the papers on "), on_map, nodes.Text(" is near this chapter."))
    else:
        entries = [nodes.list_item("", paragraph("title", title_of(paper)), who(paper),
                                   how(relation, f"#{relation.lab}")) for paper, relation in papers]  # fmt: skip
        listed: nodes.Element = nodes.bullet_list("", *entries, classes=["im-map-list"])
        if len(papers) > MOST_OPEN:
            listed = fold("", listed, words=f"{len(papers)} papers", classes=["im-solution", "im-map-fold"])
        made += [paragraph("lead", nodes.Text("What each is about stands on "), on_map, nodes.Text(".")), listed]
    top += made


def on_page_context(app, pagename, templatename, context, doctree) -> None:
    if pagename == PAGE:
        app.add_js_file(SCRIPT, loading_method="defer")
        app.add_css_file(SHEET)


def outdated(app, env, added, changed, removed) -> list[str]:
    """The page has links to all chapters there are; it is cheap, so it is always made anew."""
    return [PAGE] if PAGE in env.found_docs else []


def setup(app):
    app.add_directive("neighbourhood", Map)
    app.connect("doctree-read", end_chapter, priority=400)  # before the contents of the page are collected
    app.connect("html-page-context", on_page_context)
    app.connect("env-get-outdated", outdated)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
