"""A chapter's number is its place in the plan, whatever has landed before it."""

from __future__ import annotations

import functools

from docutils import nodes

from book_model import Book, book_of


def number_chapters_by_plan(book: Book) -> None:
    """Give a chapter its number in the plan, whatever chapters have landed before it.

    Sphinx counts the chapters that exist, so that a chapter's theorems would change their numbers
    each time an earlier one lands.  Sections inside a chapter get no numbers.
    Must be called after sphinx_multitoc_numbering is set up.
    """
    try:  # sphinx-external-toc puts a collector of its own in place of Sphinx's
        from sphinx_external_toc.collectors import TocTreeCollectorWithStyles as TocTreeCollector
    except ImportError:
        from sphinx.environment.collectors.toctree import TocTreeCollector

    count = TocTreeCollector.assign_section_numbers
    if getattr(count, "by_plan", False):
        return
    fixed = {chapter.docname: chapter.number for chapter in book.planned.values()}

    def renumber(node, number: int) -> None:
        for reference in node.findall(nodes.reference):
            depth = len(reference.get("secnumber") or ())
            reference["secnumber"] = [number] if depth == 1 else None

    @functools.wraps(count)
    def assign(self, env):
        before = dict(env.toc_secnumbers)
        changed = set(count(self, env))
        for docname, number in fixed.items():
            if docname not in env.toc_secnumbers:
                continue
            sections = env.toc_secnumbers[docname]
            env.toc_secnumbers[docname] = {
                anchor: (number,) if len(value or ()) == 1 else None
                for anchor, value in sections.items()}
            renumber(env.tocs[docname], number)
            title = env.titles.get(docname)
            if title is not None and title.get("secnumber"):
                title["secnumber"] = [number, *title["secnumber"][1:]]
            if env.toc_secnumbers[docname] != before.get(docname):
                changed.add(docname)
            else:
                changed.discard(docname)
        return list(changed)

    assign.by_plan = True  # type: ignore[attr-defined]
    TocTreeCollector.assign_section_numbers = assign


def configure(app, config) -> None:
    """config-inited: by now every extension is set up."""
    number_chapters_by_plan(book_of(app))


def setup(app):
    app.connect("config-inited", configure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
