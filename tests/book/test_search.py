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

OF_WORDS = f"""<article class="bd-article"><section id="two"><h1>Two nets, one</h1><p>Is there a way?</p>
<section id="five"><h2>In five minutes</h2><p>Aligned, their average is flat.</p></section>
<section id="setting"><h2>Setting</h2><p>A roll-out costs little.</p>
<div class="proof theorem im-box admonition" id="merging-nets/C1"><p class="admonition-title">
<span class="caption-number">Theorem 3.1</span> Hard margins merge</p><section><div><p>Its rate is
{FORMULA.format("k−1/3")}, below {FORMULA.format("2/ω")}.</p></div>
<dl><dt>why</dt><dd><p>So.</p></dd></dl></section></div>
<p>After the box, four bits do.</p></section></section></article>"""

LIBRARY = """<article class="bd-article"><section id="l"><h1>Library</h1><dl>
<dt id="a.flow.flow_speed"><code>flow_speed</code></dt><dd><p>Of the flow: ramp, ramp, ramp, ramp.</p></dd>
<dt id="a.flow.ramp"><code>ramp</code></dt><dd><p>A function.</p></dd>
<dt id="a.figures.merge.nets"><code>nets</code> <code>a.figures.merge</code></dt>
<dd><p>Merging nets, drawn: a setting.</p></dd>
<dt id="a.loop.rollout_cost"><code>rollout_cost</code> <code>a.loop</code></dt>
<dd><p>Its mean.</p></dd></dl></section></article>"""


def test_sections_have_their_anchors_titles_and_text():
    found = search_text.sections(CHAPTER)
    assert found[:2] == [
        ["a", "A chapter", "It opens with neural networks."],
        ["b", "Rates & more", "The rate is ϵκ, with ∥W∥, by score_flow_exact; metadata and beta."],
    ]
    assert found[2] == ["term-check", "check", "It can fail."]
    assert search_text.sections(NOTATION)[0][1] == "Notation", "what is before the article is not searched"


def test_a_claims_box_is_a_result_of_its_own_and_its_section_goes_on_after_it():
    found = search_text.sections(OF_WORDS)
    assert [[at, title] for at, title, _ in found] == [
        ["two", "Two nets, one"], ["five", "In five minutes"], ["setting", "Setting"],
        ["merging-nets/C1", "Theorem 3.1 Hard margins merge"],
    ]  # fmt: skip
    assert found[3][2] == "Its rate is k−1/3, below 2/ω. why So."
    assert found[2][2] == "A roll-out costs little. After the box, four bits do."


def test_an_entry_of_the_library_is_titled_by_its_name():
    found = search_text.by_name(search_text.sections(LIBRARY))
    assert found[0][:2] == ["l", "Library"]
    assert found[-1] == ["a.loop.rollout_cost", "rollout_cost", "a.loop Its mean."]


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
        {"page": "book/library", "title": "Library", "sections": search_text.by_name(search_text.sections(LIBRARY))},
        {"page": "chapters/merging-nets", "title": "Two nets, one", "sections": search_text.sections(OF_WORDS),
         "claims": [["merging-nets/C1", "It is a diphthong."]]},
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
        ("merging nets", "chapters/merging-nets#two"),  # in its address
        ("nets flat", "chapters/merging-nets#two"),  # what five minutes say is said by the chapter
        ("diphthong", "chapters/merging-nets#merging-nets/C1"),  # in its check's statement
        ("k^(-1/3)", "chapters/merging-nets#merging-nets/C1"),
        ("k^{-1/3}", "chapters/merging-nets#merging-nets/C1"),
        ("2/omega", "chapters/merging-nets#merging-nets/C1"),
        (r"2/\omega", "chapters/merging-nets#merging-nets/C1"),
    ],
)
def test_what_is_found_first(find, query, first):
    assert find(query)[0] == first


def test_quotation_marks_are_no_part_of_a_word(find):
    assert find('"merging nets"') == find("merging nets") == find("“merging” nets")


def test_few_places_with_all_words_are_followed_by_those_with_most(find):
    """An odd place must not hide what was meant: here a function whose text says drawn."""
    full = "Finder.find({}, PAGES).full"
    assert find.engine.eval(full.format('"merging nets drawn"')) == 1
    found = find("merging nets drawn")
    assert found[0] == "book/library#a.figures.merge.nets" and "chapters/merging-nets#two" in found[1:]
    assert find("networks opens") == ["chapters/a#a"], "one word of two says too little"


@pytest.mark.parametrize("query", ["hard-margin", "hard margin", "hard_margin", "hardmargin", "hard‐margins"])
def test_hyphen_space_underscore_and_joined_are_one(find, query):
    assert find(query) == ["chapters/merging-nets#merging-nets/C1"]


@pytest.mark.parametrize("query", ["roll-out cost", "rollout cost", "roll out cost", "rollout_cost", "rollout-cost"])
def test_a_name_is_found_as_one_says_it(find, query):
    assert find(query)[0] == "book/library#a.loop.rollout_cost"
    assert "_" in query or "chapters/merging-nets#setting" in find(query), "a name in code is asked for exactly"


@pytest.mark.parametrize("query", ["four bits", "four-bit", "4-bit", "4 bit", "FP4", "fp4"])
def test_a_number_of_bits_is_one_word(find, query):
    assert find(query) == ["chapters/merging-nets#setting"]


def test_chapters_and_theorems_come_before_drawing_functions(find):
    found = find("setting")
    assert found.index("chapters/merging-nets#setting") < found.index("book/library#a.figures.merge.nets")
    assert find("nets")[0] == "chapters/merging-nets#two"


def test_a_row_of_the_notation_is_no_first_answer_to_words(find):
    assert find("W")[0] == "book/notation#margins"
    assert find("W weights")[0] == "book/notation#margins" == find("W weights")[-1], "no more than it has"


def test_places_with_most_of_the_words_are_shown_where_none_has_all(find):
    assert find("networks nowhere") == ["chapters/a#a"]
    most = "Finder.find({}, PAGES).most ?? 0"
    assert find.engine.eval(most.format('"networks opens nowhere"')) == 2
    assert find.engine.eval(most.format('"networks opens"')) == 0


def test_the_beginning_of_a_claims_id_finds_all_that_begin_so(find):
    assert find("score-flow/C") == [f"chapters/a#score-flow/C{n}" for n in (1, 3, 30)]
    assert find("score-flow/C3") == [f"chapters/a#score-flow/C{n}" for n in (3, 30)]
    assert find("score-flow/C4") == []


@pytest.mark.parametrize("query", ["eta", "η", "Z", "nowhere", "(", "[a", ""])
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
