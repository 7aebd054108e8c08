"""Words of the glossary in the chapters: links to their entries, and the index.

The first time that a chapter uses a word, it is a link.  Authors write the word, and no role around it.  Definitions,
which are bold, links, headings and code are left alone.  The index, `{word-index}`, has for each word the chapters that
use it, with a link to the section where each one does so first, or defines it.
"""

from __future__ import annotations

import html
import re

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from book_model import book_of, is_chapter

#: Words with other meanings besides: links in the chapters that define them, in bold, and in no others.
EVERYDAY = {"band", "block", "check", "claim", "clipped", "constraint", "coordinate", "edge", "estimate",
            "explorer", "feature", "force", "generic", "head", "horizon", "jump", "order", "overflow",
            "policy", "price", "sample", "scale", "schedule", "score", "seed", "separable", "support", "task",
            "token", "unit", "window"}  # fmt: skip
GLOSSARY, INDEX = "book/glossary", "book/word-index"
CLOSED = (nodes.reference, nodes.title, nodes.literal, nodes.strong, nodes.caption, nodes.raw, nodes.math, nodes.rubric)


def pattern(term: str) -> re.Pattern:
    """How a term of the glossary stands in a text, alone or as the last word in the plural: knot, Knots."""
    first, _, before = term.partition(", ")  # "total variation, weighted"
    words = re.split(r"[\s-]+", f"{before} {first}".strip())
    spelled = r"[\s-]+".join(f"[{word[0].lower()}{word[0].upper()}]{re.escape(word[1:])}" for word in words)
    return re.compile(rf"(?<![\w-]){spelled}(?:e?s)?(?![\w-])")


def terms(app) -> dict[str, tuple[str, str]]:
    """(page, anchor) of the glossary's terms, by the term as it is written there."""
    domain = app.env.get_domain("std")
    return {name: (docname, anchor) for (kind, name), (docname, anchor) in domain.objects.items() if kind == "term"}


def running(doctree: nodes.document):
    """The texts of a chapter in which a word may be a link, in the order of the page."""
    for text in doctree.findall(nodes.Text):
        node, paragraph = text.parent, False
        while node is not None and not isinstance(node, CLOSED):
            paragraph |= isinstance(node, nodes.paragraph)
            node = node.parent
        if node is None and paragraph:
            yield text


def told(app, defined: list[str]) -> dict[str, tuple[re.Pattern, str, str]]:
    """(pattern, page, anchor) of the terms that mean in a chapter what the glossary says; `defined` is bold there."""
    found = {}
    for term, place in terms(app).items():
        words = pattern(term)
        if term not in EVERYDAY or any(words.fullmatch(bold) for bold in defined):
            found[term] = (words, *place)
    return found


def link(app, doctree, docname: str) -> None:
    """doctree-resolved: the first time that a chapter uses a word of the glossary."""
    if app.builder.format != "html" or not is_chapter(docname):
        return
    left = told(app, [bold.astext() for bold in doctree.findall(nodes.strong)])
    for text in list(running(doctree)):
        found = sorted((match.start(), -len(match[0]), term, match[0]) for term, (words, *_) in left.items()
                       if (match := words.search(text)))  # fmt: skip
        pieces: list[nodes.Node] = []
        at = 0
        for start, minus_length, term, word in found:
            if start < at:  # within a longer one that is a link already
                continue
            _, page, anchor = left.pop(term)
            uri = f"{app.builder.get_relative_uri(docname, page)}#{anchor}"
            pieces += [nodes.Text(text[at:start]),
                       nodes.reference("", word, refuri=uri, internal=True, classes=["im-word"])]  # fmt: skip
            at = start - minus_length
        if pieces:
            text.parent.replace(text, [piece for piece in [*pieces, nodes.Text(text[at:])] if piece.astext()])


# --- the index -----------------------------------------------------------------------------------


class word_index(nodes.General, nodes.Element):
    """Placeholder, replaced when all chapters are read."""


class WordIndex(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [word_index()]


def remember(app, doctree) -> None:
    """doctree-read: the sections of a chapter: anchor, text, what is bold."""
    if is_chapter(app.env.docname):
        sections = [section for section in doctree.findall(nodes.section) if _has_anchor(section)]
        app.env.im_words[app.env.docname] = [
            (section["ids"][0],
             "\n".join(text.astext() for text in section.findall(nodes.paragraph) if _section(text) is section),
             [bold.astext() for bold in section.findall(nodes.strong) if _section(bold) is section])
            for section in sections]  # fmt: skip


def _has_anchor(node: nodes.Node) -> bool:
    """Whether it is a section of the page: what is in a box is one too, with an id that the page loses."""
    return isinstance(node, nodes.section) and bool(node["ids"]) and not node["ids"][0].endswith("-content")


def _section(node: nodes.Node) -> nodes.Node | None:
    """The section of the page in which a node stands."""
    while node is not None and not _has_anchor(node):
        node = node.parent
    return node


def places(app) -> dict[str, list[tuple[str, str, bool]]]:
    """(page, anchor, whether it is defined there) of each term, in the order of the book."""
    found: dict[str, list[tuple[str, str, bool]]] = {term: [] for term in terms(app)}
    for listed in book_of(app).listed:
        sections = app.env.im_words.get(listed.docname, [])
        for term, (words, *_) in told(app, [bold for *_, bolds in sections for bold in bolds]).items():
            defined = next((at for at, _, bolds in sections if any(words.fullmatch(bold) for bold in bolds)), None)
            used = next((at for at, text, _ in sections if words.search(text)), None)
            if defined or used:
                found[term].append((listed.docname, defined or used, defined is not None))
    return found


def place(address: str, title: str, number: int, defined: bool) -> str:
    """HTML of one number in the index."""
    shown = f"<b>{number}</b>" if defined else str(number)
    return f'<a href="{html.escape(address)}" title="{html.escape(title)}">{shown}</a>'


def fill(app, doctree, docname: str) -> None:
    """doctree-resolved: the index."""
    for mark in list(doctree.findall(word_index)):
        uri = lambda page: app.builder.get_relative_uri(docname, page)  # noqa: E731
        numbers = {listed.docname: at for at, listed in enumerate(book_of(app).listed, 1)}
        groups: dict[str, list[str]] = {}
        for term, found in sorted(places(app).items(), key=lambda entry: entry[0].lower()):
            page, anchor = terms(app)[term]
            links = ", ".join(place(f"{uri(chapter)}#{at}", app.env.titles[chapter].astext(), numbers[chapter], defined)
                              for chapter, at, defined in found)  # fmt: skip
            groups.setdefault(term[0].upper(), []).append(
                f'<li><a class="reference internal" href="{uri(page)}#{anchor}">{html.escape(term)}</a>'
                f'{", " * bool(links)}{links}</li>')  # fmt: skip
        lists = "".join(f'<section class="im-index-letter"><h2>{letter}</h2><ul>{"".join(entries)}</ul></section>'
                        for letter, entries in groups.items())  # fmt: skip
        mark.replace_self(nodes.raw("", f'<div class="im-index">{lists}</div>', format="html"))


def merge(app, env, docnames, other) -> None:
    env.im_words.update({name: other.im_words[name] for name in docnames if name in other.im_words})


def start(app) -> None:
    app.env.im_words = getattr(app.env, "im_words", {})


def outdated(app, env, added, changed, removed) -> list[str]:
    """env-get-outdated: every chapter, when the glossary is another one; the index always, since it is cheap."""
    chapters = [name for name in env.found_docs if is_chapter(name)] if GLOSSARY in {*added, *changed} else []
    return [*chapters, *({INDEX} & env.found_docs)]


def setup(app):
    app.add_node(word_index)
    app.add_directive("word-index", WordIndex)
    app.connect("builder-inited", start)
    app.connect("doctree-read", remember)
    app.connect("env-merge-info", merge)
    app.connect("env-get-outdated", outdated)
    app.connect("doctree-resolved", fill)
    app.connect("doctree-resolved", link, priority=905)  # after the opener, before the boxes get their feet
    return {"parallel_read_safe": True, "parallel_write_safe": True}
