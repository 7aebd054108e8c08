"""The book's model: what the sources say, read once, and clear errors for what is not as it should be."""

import ast
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import book_model
from book_model import Book, BookError, Paper, book_of

ROOT = Path(__file__).parents[2]
BOOK = Book(ROOT)
EXTENSIONS = sorted((ROOT / "book/_ext").glob("*.py"))
CLAIM = {
    "id": "a-b/C12", "statement": "It is small.", "math": None, "check": None, "relation": "at most", "used": 0.2,
    "measured": 2.0, "stated": 10.0, "within": None, "over": "exact", "seeds": None, "anchor": "check-a-b-C12",
    "display": {"measured": "2", "stated": "10"},
    "more": "is left alone",
}  # fmt: skip


def notebook(*cells, **metadata) -> dict:
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": list(cells)}


def claimed(**changed) -> dict:
    claim = {key: value for key, value in {**CLAIM, **changed}.items() if value is not ...}
    return {"cell_type": "code", "source": ["x\n", "y"], "outputs": [{"metadata": {"implicitly": {"claim": claim}}}]}


@pytest.fixture
def book(tmp_path) -> Book:
    """A book of one chapter, whose files a test may spoil."""
    plan = [{"numeral": "I", "name": "A part", "drawing": "margin", "chapters": [
        {"slug": "early", "title": "Early"}, {"slug": "a-b", "title": "Planned title"}]}]  # fmt: skip
    toc = [{"caption": "I · A part", "chapters": [{"file": "chapters/a-b"}, {"file": "book/claims"}]}]
    for folder in ("book", "chapters", "kernels/implicitly_kernels/op", "kernels/benchmarks/results"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "book/plan.yml").write_text(yaml.safe_dump({"parts": plan}))
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump({"parts": toc}))
    (tmp_path / "book/references.bib").write_text(
        "@misc{k, title={{Two} Words}, author={van A, B. and C, D. and E, F.}, year={2020}, eprint={1.2}}"
    )
    (tmp_path / "chapters/a-b.ipynb").write_text(json.dumps(notebook(
        {"cell_type": "markdown", "source": "Before.\n\n# The title\n"}, claimed(),
        implicitly={"question": "Why?", "needs": ["a", "b"]})))  # fmt: skip
    (tmp_path / "kernels/implicitly_kernels/op/spec.py").write_text("import x\nTITLE = 'An op'\nSHAPES = x.shapes()\n")
    (tmp_path / "kernels/benchmarks/results/op--cpu.json").write_text('{"kind": "cpu"}')
    return Book(tmp_path)


def test_what_the_sources_say(book):
    assert [(c.slug, c.number, c.numeral, c.part) for c in book.planned.values()] == [
        ("early", 1, "I", "A part"), ("a-b", 2, "I", "A part")]  # fmt: skip
    assert [(listed.docname, listed.numeral) for listed in book.listed] == [("chapters/a-b", "I")]
    (chapter,) = book.chapters
    assert (chapter.slug, chapter.title, chapter.code) == ("a-b", "The title", ("x\ny",))
    assert (chapter.header.question, chapter.header.needs, chapter.header.paper) == ("Why?", "a, b", "")
    assert [(claim.short, claim.number, claim.display["stated"]) for claim in chapter.claims] == [("C12", 12, "10")]
    assert book.papers == {"k": Paper("k", "Two Words", ("van A", "C", "E"), "2020", "https://arxiv.org/abs/1.2")}
    assert book.papers["k"].short_authors == "van A et al."
    assert book.ops["op"].declared("TITLE") == "An op" and book.ops["op"].results == ({"kind": "cpu"},)


SPOILT = {
    "no plan": ("book/plan.yml", None, lambda b: b.parts, "plan.yml cannot be read"),
    "a plan without a title": ("book/plan.yml", "parts: [{numeral: I, name: A, drawing: d, chapters: [{slug: a}]}]",
                               lambda b: b.parts, "plan.yml is not a plan: part 1 has no 'title'"),
    "a broken table of contents": ("_toc.yml", "parts: [", lambda b: b.listed, "_toc.yml is not YAML"),
    "a table of contents without parts": ("_toc.yml", "chapters: []", lambda b: b.listed, "has no 'parts'"),
    "a missing notebook": ("chapters/a-b.ipynb", None, lambda b: b.chapters, "a-b.ipynb cannot be read"),
    "a merge's marks": ("chapters/a-b.ipynb", "<<<<<<< mine", lambda b: b.chapters, "a-b.ipynb is not JSON"),
    "no notebook": ("chapters/a-b.ipynb", "[]", lambda b: b.chapters, "it has no list of cells"),
    "half a claim": ("chapters/a-b.ipynb", json.dumps(notebook(claimed(used=..., over=...))),
                     lambda b: b.chapters[0].claims, "the claim that cell '' stores has no over, used"),
    "an id that is none": ("chapters/a-b.ipynb", json.dumps(notebook(claimed(id="C1"))),
                           lambda b: b.chapters[0].claims, "cell '' stores has the id 'C1'"),
    "a broken bibliography": ("book/references.bib", "@misc{k, title={", lambda b: b.papers, "references.bib: "),
    "a value that must be run": ("kernels/implicitly_kernels/op/spec.py", "TITLE = f()",
                                 lambda b: b.ops["op"].declared("TITLE"), "does not give TITLE a literal value"),
}  # fmt: skip


@pytest.mark.parametrize(("file", "text", "ask", "said"), SPOILT.values(), ids=SPOILT)
def test_what_is_wrong_names_its_file(book, file, text, ask, said):
    path = book.root / file
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(BookError, match=re.escape(said)) as error:
        ask(book)
    assert str(path.name) in str(error.value)


class App(SimpleNamespace):
    __hash__ = object.__hash__


def test_each_file_is_read_once_a_build(book, monkeypatch):
    read = []
    plainly = book_model._read
    monkeypatch.setattr(book_model, "_read", lambda path: read.append(path.name) or plainly(path))
    app = App(srcdir=book.root, config=SimpleNamespace(bibtex_bibfiles=["book/references.bib"]))
    for _ in range(3):
        one = book_of(app)
        _ = one.parts, one.planned, one.listed, one.chapters[0].claims, one.papers, one.ops
    assert sorted(read) == ["_toc.yml", "a-b.ipynb", "op--cpu.json", "plan.yml", "spec.py"]
    other = App(srcdir=book.root, config=app.config)
    assert book_of(other) is not one, "another build reads anew"


def test_the_books_own_sources():
    assert len(BOOK.planned) == 18 and len(BOOK.parts) == 7
    for listed in BOOK.listed:
        chapter = BOOK.chapter(listed.docname)
        assert chapter.title != chapter.docname and chapter.claims and chapter.header.question
        assert chapter.header.paper in BOOK.papers
        assert {claim.id.split("/")[0] for claim in chapter.claims} == {chapter.slug}
        assert BOOK.planned[chapter.slug].numeral == listed.numeral


@pytest.mark.parametrize("path", EXTENSIONS, ids=[path.name for path in EXTENSIONS])
def test_extensions_share_the_model_and_are_short(path):
    """Only the model opens plan, table of contents, notebooks, bibliography and the kernels' files."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    if path.name == "book_model.py":
        return
    imported = {alias.name.split(".")[0] for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import)
                for alias in node.names}  # fmt: skip
    imported |= {(node.module or "").split(".")[0] for node in ast.walk(ast.parse(text))
                 if isinstance(node, ast.ImportFrom)}  # fmt: skip
    assert not imported & {"yaml", "pybtex", "nbformat"}
    assert "json.loads(" not in text or path.name in ("explorer.py", "katex_math.py")  # of an output; of KaTeX's answer
