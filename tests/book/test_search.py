"""The search page's text and its search, without a browser: what is found, and where it leads."""

import json
from pathlib import Path

import pytest

import search_text
from book_model import Chapter

ROOT = Path(__file__).parents[2]
FORMULA = '<span class="katex"><span><math><mi>{0}</mi></math></span><span class="katex-html">{0}</span></span>'
NOTATION = f"""<nav>gamma</nav><article class="bd-article">
<section id="notation"><h1>Notation<a class="headerlink">#</a></h1>
<section id="margins"><h2>Margins<a class="headerlink">#</a></h2><table>
<tr class="row-odd"><th>symbol</th><th>meaning</th></tr>
<tr><td><p>{FORMULA.format("γ")}</p></td><td><p>largest margin</p></td><td><code>1 / svm_norm</code></td></tr>
<tr><td><p>{FORMULA.format("W, w<span>k</span>")}</p></td><td><p>weights of a classifier</p></td></tr>
<tr><td><p>{FORMULA.format("∥⋅∥")}</p></td><td><p>Euclidean norm</p></td></tr>
</table></section></section></article><script>gamma</script>"""
CHAPTER = f"""<article class="bd-article">
<section id="a"><h1><span class="section-number">4. </span>A chapter</h1>
<p>It opens with neural networks.</p>
<section id="b"><h2>Rates &amp; more<a class="headerlink">#</a></h2>
<p>The rate is {FORMULA.format("ϵκ")}, with {FORMULA.format("∥W∥")},
 by <code><span class="pre">score_flow_exact</span></code>; metadata and beta.</p>
<dl><dt id="term-check">check <a class="im-api-source" href="s">source</a></dt><dd><p>It can fail.</p></dd></dl>
</section></section></article>"""

LIBRARY = """<article class="bd-article"><section id="l"><h1>Library</h1><dl>
<dt id="a.flow.flow_speed"><code>flow_speed</code></dt><dd><p>Of the flow: ramp, ramp, ramp, ramp.</p></dd>
<dt id="a.flow.ramp"><code>ramp</code></dt><dd><p>A function.</p></dd></dl></section></article>"""


def test_sections_have_their_anchors_titles_and_text():
    found = search_text.sections(CHAPTER)
    assert found[:2] == [
        ["a", "A chapter", "It opens with neural networks."],
        ["b", "Rates & more", "The rate is ϵκ, with ∥W∥, by score_flow_exact; metadata and beta."],
    ]
    assert found[2] == ["term-check", "check", "It can fail."]
    assert search_text.sections(NOTATION)[0][1] == "Notation", "what is before the article is not searched"


def test_symbols_are_read_from_the_notation_page():
    rows = search_text.symbols(NOTATION)
    assert [(row[0], row[1], row[3], row[5], row[6]) for row in rows] == [
        ("margins", "Margins", "γ", "largest margin", "1 / svm_norm"),
        ("margins", "Margins", "W, wk", "weights of a classifier", ""),
        ("margins", "Margins", "∥⋅∥", "Euclidean norm", ""),
    ]


def test_claims_are_read_from_the_stored_checks_once_each():
    one = {"check": None, "math": None, "relation": "at most", "measured": 0.2, "stated": 1.0, "within": None,
           "over": "exact", "seeds": None, "used": 0.2,
           "anchor": "check", "display": {}}  # fmt: skip
    stored = [("a/C10", "Ten."), ("a/C2", "Two."), ("a/C2", "Two again.")]
    outputs = [{"metadata": {"implicitly": {"claim": one | {"id": i, "statement": said}}}} for i, said in stored]
    cells = [{"cell_type": "code", "outputs": [output]} for output in outputs]
    chapter = Chapter("chapters/a", Path("chapters/a.ipynb"), {"cells": cells})
    assert search_text.claims(chapter) == [["a/C2", "Two."], ["a/C10", "Ten."]]


@pytest.fixture(scope="module")
def find():
    from py_mini_racer import MiniRacer

    pages = [
        {"page": "book/notation", "title": "Notation", "sections": search_text.sections(NOTATION),
         "symbols": search_text.symbols(NOTATION)},
        {"page": "chapters/a", "title": "A chapter", "sections": search_text.sections(CHAPTER),
         "claims": [["score-flow/C1", "It rests."], ["score-flow/C3", "It ends."], ["score-flow/C30", "It is over."]]},
        {"page": "book/library", "title": "Library", "sections": search_text.sections(LIBRARY)},
    ]  # fmt: skip
    engine = MiniRacer()
    engine.eval(search_text.language() + (ROOT / "book/_static/search.js").read_text(encoding="utf-8"))
    engine.eval(f"const PAGES = {json.dumps(pages)};")

    def found(query: str) -> list[str]:
        code = f"JSON.stringify(Finder.find({json.dumps(query)}, PAGES).map(r => r.page + '#' + r.anchor))"
        return json.loads(engine.eval(code))

    found.engine = engine
    yield found
    engine.close()


@pytest.mark.parametrize("query", ["γ", r"\gamma", "gamma", "$\\gamma$"])
def test_a_symbol_is_found_by_sight_tex_and_name(find, query):
    assert find(query)[0] == "book/notation#margins"


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("ε", "chapters/a#b"),  # KaTeX draws \epsilon as ϵ
        ("kappa", "chapters/a#b"),
        ("W", "book/notation#margins"),
        ("‖·‖", "book/notation#margins"),
        ("‖W‖", "chapters/a#b"),
        ("||W||", "chapters/a#b"),
        ("score_flow_exact", "chapters/a#b"),
        ("flow_exact", "chapters/a#b"),
        ("network", "chapters/a#a"),
        ("the networks", "chapters/a#a"),
        ("check", "chapters/a#term-check"),
        ("score-flow/C3", "chapters/a#score-flow/C3"),
        ("Score-Flow/c3", "chapters/a#score-flow/C3"),
        ("svm_norm", "book/notation#margins"),  # its name in code
        ("ramp", "book/library#a.flow.ramp"),
        ("flow.ramp", "book/library#a.flow.ramp"),
        ("a.flow.ramp", "book/library#a.flow.ramp"),
        ("networks kappa", "chapters/a#a"),  # in no one section, but on the page
    ],
)
def test_what_is_found_first(find, query, first):
    assert find(query)[0] == first


def test_the_beginning_of_a_claims_id_finds_all_that_begin_so(find):
    assert find("score-flow/C") == [f"chapters/a#score-flow/C{n}" for n in (1, 3, 30)]
    assert find("score-flow/C3") == [f"chapters/a#score-flow/C{n}" for n in (3, 30)]
    assert find("score-flow/C4") == []


@pytest.mark.parametrize("query", ["eta", "η", "Z", "nowhere", "networks nowhere", "(", "[a", ""])
def test_what_is_not_there_is_not_found(find, query):
    """Not eta in metadata and beta, no letter within words; and a query that is no pattern is no error."""
    assert find(query) == []


def test_a_passage_marks_what_was_found(find):
    text = "word " * 100 + "The rate is here. " + "more " * 100
    pieces = json.loads(find.engine.eval(f"JSON.stringify(Finder.passage({json.dumps(text)}, Finder.parse('rates')))"))
    marked = [piece for piece, mark in pieces if mark]
    whole = "".join(piece for piece, _ in pieces)
    assert marked == ["rate"] and len(whole) < 300
    assert whole.startswith("… word") and whole.endswith(" …") and whole.strip("… ") in text
