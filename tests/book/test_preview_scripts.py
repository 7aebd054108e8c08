"""What a link shows of another page: which links count, what is cut out there, and which scripts hold it."""

import json
from types import SimpleNamespace

import pytest

import previews

CHAPTER = """<nav><a href="../book/glossary.html#term-nav">not of the text</a></nav><article class="bd-article">
<p><a class="reference internal" href="../book/glossary.html#term-knot">knot</a> and <a href="b.html#b/C1">C1</a>,
<a class="internal" href="#b/C1">here</a>, <a href="https://a.org/x.html#y">away</a>, <a href="b.html">b</a>,
<a href="b.html#w%C3%B6rter">coded</a></p></article>"""
OTHER = """<article class="bd-article"><div class="proof theorem im-box" id="b/C1"><p class="admonition-title">T</p>
<div class="section"><div class="im-eq" id="equation-e">E</div></div></div><p id="after">after</p>
<div class="im-eq" id="equation-f"><div>F</div></div><div class="figure" id="fig">no</div>
<div class="citation" id="id1"><p>A paper.</p></div></article>"""
GLOSSARY = """<article class="bd-article"><dl><dt id="term-knot">knot<a class="headerlink">#</a></dt><dd>
<p>It bends.</p><p>More.</p></dd><dt id="f"><code>f</code></dt><dd><pre>f(x)</pre>
<p>A function.</p><table></table></dd><dt id="bare">bare</dt></dl></article>"""


def test_links_from_the_text_to_other_pages_count():
    found = previews.wanted(CHAPTER, "chapters/a")
    assert found == {("book/glossary", "term-knot"), ("chapters/b", "b/C1"), ("chapters/b", "wörter")}


def test_boxes_equations_papers_and_entries_are_cut_out_whole():
    found = previews.pieces(OTHER, {"b/C1", "equation-f", "fig", "id1", "after", "nowhere"})
    assert set(found) == {"b/C1", "equation-f", "id1"}
    box = found["b/C1"]
    assert box.startswith('<div class="proof theorem im-box"') and box.endswith("E</div></div></div>")
    assert found["equation-f"] == '<div class="im-eq" id="equation-f"><div>F</div></div>'
    entries = previews.pieces(GLOSSARY, {"term-knot", "f", "bare"})
    assert entries["term-knot"].endswith("</a></dt><dd><p>It bends.</p></dd>"), "its first paragraph"
    assert entries["f"].endswith("</code></dt><dd><p>A function.</p></dd>"), "not how it is called"
    assert "bare" not in entries


def test_an_element_without_an_end_is_an_error():
    with pytest.raises(ValueError, match="no end of <div> at 0"):
        previews.element("<div><div></div>", 0, "div")


def test_a_script_for_each_page_that_is_linked_into(tmp_path):
    for name, page in {"chapters/a": CHAPTER, "chapters/b": OTHER, "book/glossary": GLOSSARY}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.html").write_text(page, encoding="utf-8")
    leftover = tmp_path / previews.FOLDER / "chapters/gone.js"
    leftover.parent.mkdir(parents=True)
    leftover.write_text("", encoding="utf-8")
    docnames = ["chapters/a", "chapters/b", "book/glossary", "book/missing"]
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=str(tmp_path),
                          env=SimpleNamespace(found_docs=docnames))  # fmt: skip
    previews.write(app, None)
    written = {str(path.relative_to(tmp_path / previews.FOLDER)) for path in (tmp_path / previews.FOLDER).rglob("*.js")}
    assert written == {"chapters/b.js", "book/glossary.js"}
    script = (tmp_path / previews.FOLDER / "book/glossary.js").read_text(encoding="utf-8")
    name, shown = script.removeprefix("(window.imPreviews ??= {})").rstrip(";\n").split(" = ", 1)
    assert name == '["book/glossary"]' and set(json.loads(shown)) == {"term-knot"}
