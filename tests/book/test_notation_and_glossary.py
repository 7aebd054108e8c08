"""Notation, glossary and index cover the chapters: no symbol, and no word that a chapter defines, is missing there."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils import nodes

import glossary_words
import setting_symbols
from book_model import Book, BookError, Chapter

ROOT = Path(__file__).parents[2]
BOOK = Book(ROOT)
CHAPTERS = {chapter.slug: chapter for chapter in BOOK.chapters}
NOTATION = (ROOT / "book/notation.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "book/glossary.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^(\S.*)\n  \S", GLOSSARY.partition("```{glossary}\n")[2], re.M)
ITALIC = re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", GLOSSARY)  # variants that an entry explains: *benign*

#: Bold in a Setting and no entry: an emphasis, a name for one rule among several, or a word whose sense each chapter
#: gives for itself, in a sentence.
NO_ENTRIES = {"all", "angle", "bias", "bits", "cost", "error", "excess", "last", "margin", "min-size", "nearest",
              "orthogonal", "own", "pass", "radius", "random", "residual"}  # fmt: skip


def markdown(chapter: Chapter) -> str:
    """The text of a chapter as its authors have it now, without code."""
    return re.sub(r"^```.*?^```", "", chapter.path.with_suffix(".md").read_text(encoding="utf-8"), flags=re.M | re.S)


def defined(text: str) -> list[str]:
    """What the section "Setting" of a chapter defines: what is bold there, and does not open a paragraph, like a title.

    A title has a capital or a full stop: **The grid.**  A capital inside the word is none: **PERM loss**, **NVFP4**.
    """
    setting = re.search(r"^## Setting\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    bold = re.findall(r"\*\*([^*]+)\*\*", setting[1]) if setting else []
    return [word for word in bold if not word.endswith((".", ",")) and not re.match(r"[A-Z][a-z ]", word)]


def is_term(word: str) -> bool:
    """An entry, the beginning of its name (stable, of stable minimum), or what it explains in italics."""
    if any(term.lower().startswith(f"{word.lower()} ") for term in TERMS):
        return True
    return any(glossary_words.pattern(term).fullmatch(word) for term in [*TERMS, *(w.lower() for w in ITALIC), *ITALIC])


def test_the_notation_page_has_a_table_for_each_chapter_in_the_order_of_the_book():
    assert re.findall(r"^```\{setting-symbols\} (\S+)$", NOTATION, re.M) == list(CHAPTERS)


@pytest.mark.parametrize("slug", CHAPTERS)
def test_each_setting_has_a_table_of_symbols(slug):
    rows = setting_symbols.rows(CHAPTERS[slug])
    assert len(rows) >= 4 and all(symbol.startswith("$") and meaning for symbol, meaning, _ in rows), rows


@pytest.mark.parametrize("slug", CHAPTERS)
def test_what_a_setting_defines_is_in_the_glossary(slug):
    missing = [word for word in defined(markdown(CHAPTERS[slug])) if not is_term(word) and word not in NO_ENTRIES]
    assert not missing, "bold in Setting, and not in book/glossary.md"


def test_no_exception_is_left_over():
    bold = {word for chapter in CHAPTERS.values() for word in defined(markdown(chapter))}
    assert bold >= NO_ENTRIES and not [word for word in NO_ENTRIES if is_term(word)]
    assert set(TERMS) >= glossary_words.EVERYDAY


def test_each_word_of_the_glossary_is_used_by_a_chapter():
    texts = [re.sub(r"\$[^$]*\$|`[^`]*`", " ", markdown(chapter)) for chapter in CHAPTERS.values()]
    unused = [term for term in TERMS if not any(glossary_words.pattern(term).search(text) for text in texts)]
    assert not unused


def test_the_glossary_is_in_order():
    assert sorted(TERMS, key=str.lower) == TERMS and len(set(TERMS)) == len(TERMS)


def test_what_defines_and_what_only_opens_a_paragraph_are_told_apart():
    text = "**The grid.** A **block** and **NVFP4**, **PERM loss**; **Pictures** are. **In bits,** too."
    text = f"**a**\n\n## Setting\n\n{text}\n\n## A section\n\n**c**"
    assert defined(text) == ["block", "NVFP4", "PERM loss"]


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("knot", "Knots and knot", ["Knots", "knot"]),
        ("knot", "unknot, knotted, knot-free", []),
        ("total variation, weighted", "the weighted\ntotal variation", ["weighted\ntotal variation"]),
        ("hard-margin SVM", "hard margin SVM", ["hard margin SVM"]),
        ("NVFP4", "nVFP4 NVfp4", ["nVFP4"]),
    ],
)
def test_a_word_is_found_whole_and_in_the_plural(term, text, found):
    assert glossary_words.pattern(term).findall(text) == found


def application(**terms):
    domain = SimpleNamespace(objects={("term", name): ("book/glossary", anchor) for name, anchor in terms.items()})
    builder = SimpleNamespace(format="html", get_relative_uri=lambda page, other: f"../{other}.html")
    return SimpleNamespace(builder=builder, env=SimpleNamespace(get_domain=lambda name: domain))


def page(*children) -> nodes.document:
    from docutils.utils import new_document

    document = new_document("chapter")
    document += nodes.section("", *children, ids=["s"])
    return document


def links(document) -> list[tuple[str, str]]:
    return [(found.astext(), found["refuri"]) for found in document.findall(nodes.reference)]


def test_the_first_time_in_running_text_is_a_link():
    bold, code = nodes.strong("", "knot"), nodes.literal("", "knot")
    paragraph = nodes.paragraph("", "", bold, nodes.Text(" "), code, nodes.Text(": Knots, a knot, a weighted knot."))
    document = page(nodes.title("", "A knot"), paragraph)
    glossary_words.link(application(**{"knot": "term-knot", "knot, weighted": "term-w"}), document, "chapters/a")
    entry = "../book/glossary.html#term-"
    assert links(document) == [("Knots", f"{entry}knot"), ("weighted knot", f"{entry}w")]
    assert document.astext() == "A knot\n\nknot knot: Knots, a knot, a weighted knot."


def test_an_everyday_word_is_a_link_where_it_is_defined_and_nowhere_else():
    for bold, found in [("other", []), ("Edges", [("edge", "../book/glossary.html#term-edge")])]:
        document = page(nodes.paragraph("", "", nodes.strong("", bold), nodes.Text(" of an edge")))
        glossary_words.link(application(edge="term-edge"), document, "chapters/a")
        assert links(document) == found
    assert "edge" in glossary_words.EVERYDAY


def test_pages_that_are_no_chapters_are_left_alone():
    document = page(nodes.paragraph("", "a knot"))
    glossary_words.link(application(knot="term-knot"), document, "book/claims")
    assert not links(document)


def test_the_index_has_where_a_word_is_defined_or_else_used_first(monkeypatch):
    listed = [SimpleNamespace(docname=f"chapters/{name}") for name in "ab"]
    monkeypatch.setattr(glossary_words, "book_of", lambda app: SimpleNamespace(listed=listed))
    app = application(knot="term-knot", edge="term-edge", nothing="term-n")
    app.env.im_words = {
        "chapters/a": [("start", "A knot on an edge.", []), ("setting", "A knot.", ["Knot"])],
        "chapters/b": [("start", "No word.", []), ("later", "Knots & an edge.", [])],
    }
    app.env.titles = {one.docname: nodes.title("", f"Chapter <{one.docname[-1]}>") for one in listed}
    document = page(glossary_words.word_index())
    glossary_words.fill(app, document, "book/word-index")
    shown = document.astext()
    assert '>knot</a>, <a href="../chapters/a.html#setting" title="Chapter &lt;a&gt;"><b>1</b></a>' in shown
    assert '#later" title="Chapter &lt;b&gt;">2</a></li>' in shown
    assert '>edge</a></li>' in shown and ">nothing</a></li>" in shown, "edge means something else, unless it is defined"
    assert [shown.index(f"<h2>{letter}") for letter in "EKN"] == sorted(shown.index(f"<h2>{one}") for one in "EKN")


def chapter(table: str) -> Chapter:
    return Chapter("chapters/a", Path("chapters/a.ipynb"), {"cells": [{"cell_type": "markdown", "source": table}]})


def test_rows_are_read_without_their_shapes():
    table = "| symbol | meaning | shape | name in code |\n|---|---|---|---|\n"
    table += "| $x_i$ | $\\|x\\|$ | $(N)$ | `x` |\n| $y$ | b | | |\n"
    assert setting_symbols.rows(chapter(table)) == [["$x_i$", "$\\|x\\|$", "`x`"], ["$y$", "b", ""]]
    assert setting_symbols.rows(chapter("| loss | force |\n|---|---|\n| a | b |\n")) == []


def test_a_row_with_a_cell_too_few_is_an_error():
    with pytest.raises(BookError, match="has 2 cells, its head has 3"):
        setting_symbols.rows(chapter("| symbol | meaning | in code |\n|---|---|---|\n| $x$ | a |\n"))


@pytest.mark.parametrize(
    ("cell", "symbols"),
    [("$x_i$, $y$", ["x_i", "y"]), ("$f(x,y)$", ["f(x,y)"]), ("$H=G+R$; $a, b$", ["H", "a", "b"]), ("loss", ["loss"])],
)
def test_the_symbols_of_a_cell(cell, symbols):
    assert setting_symbols.symbols_of(cell) == symbols
