"""The chapter lints on what cells hold, print and stand under: each can fail, and passes what is right."""

import pytest

import lint
import main_text


def markdown(source="Some words."):
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def code(source="x = 1", printed="", tags=(), result=None):
    outputs = [{"output_type": "stream", "name": "stdout", "text": printed}] if printed else []
    if result:
        outputs.append({"output_type": "execute_result", "data": {"text/plain": result}, "metadata": {}})
    return {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source, "outputs": outputs}


def problems(check, *cells):
    return list(check("a-start", {"cells": list(cells)}))


@pytest.mark.parametrize(
    ("printed", "what"),
    [
        ("took 3.2 s", "a time: 3.2 s"),
        ("12 ms per step", "a time: 12 ms"),
        ("done at 12:30:01", "a time: 12:30:01"),
        ("on 2026-11-22", "a time: 2026-11-22"),
        ("saved to /data/runs/x.png", "a path: /data/runs/x.png"),
        ("(/data/x)", "a path: /data/x"),
        ("~/runs/a.json", "a path: ~/runs/a.json"),
        ("C:\\Users", "a path: C:\\Users"),
        ("<object at 0xADDRESS>", "an address: 0xADDRESS"),
        ("0x7f3a9c2b10", "an address: 0x7f3a9c2b10"),
        ("0.30000000000000004", "a number of 17 digits, allowed 7"),
        ("error: -1234.5678", "a number of 8 digits"),
        ("tensor([0.12345678])", "a number of 8 digits"),
        ("1.2345678e-05", "a number of 8 digits"),
    ],
)
def test_what_must_not_be_printed(printed, what):
    for cell in (code(printed=printed), code(result=printed)):
        (found,) = problems(lint.lint_printed, cell)
        assert found.startswith(f"cell 0: prints {what}")


@pytest.mark.parametrize(
    "printed",
    [
        "0.0001234567 1234567 0.1234567 1.23e-16 -0.5 .25",
        "123456789 points, 65536 of 100000000 sets",
        "risk/time, and/or, 3/4, a / b, n^2/3",
        "5 sets, 20 mistakes, 3 minima, s = 3",
        "version 1.12.3456789",
        "see https://example.org/a/b",
        "ratio 1:20, 0x1F",
    ],
)
def test_what_may_be_printed(printed):
    assert problems(lint.lint_printed, code(printed=printed)) == []


def test_the_text_beside_a_figure_is_no_print():
    assert problems(lint.lint_printed, code(result="<Figure size 600x390 with 1 Axes>")) == []


SHOWN, FOLDED, SETUP = code(), code("claim(1)", tags=["hide-input"]), code(tags=["remove-cell"])


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ((SHOWN,), ["cell 0: nothing but a heading before it"]),
        ((markdown("# Title"), SHOWN), ["cell 1: nothing but a heading before it"]),
        ((markdown("Words.\n\n## Experiments\n"), FOLDED), ["cell 1: nothing but a heading before it"]),
        ((markdown(), SHOWN, SHOWN), ["cell 2: no prose before it, and its code is shown"]),
        ((markdown(), FOLDED, SHOWN), ["cell 2: no prose before it, and its code is shown"]),
        ((markdown(), SHOWN, SETUP, SHOWN), ["cell 3: no prose before it, and its code is shown"]),
        ((markdown("# Title"), SETUP, markdown(), SHOWN, FOLDED, FOLDED, markdown("## A\n\nWords."), SHOWN), []),
    ],
)
def test_prose_stands_before_code(cells, found):
    assert problems(lint.lint_prose, *cells) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("```{note}\nText\n```", "```{note} must be a colon fence"),
        ("Text\n\n````{prf:theorem} Name\nText\n````", "must be a colon fence"),
        (f"```python\nx = {'1 + ' * 20}1\n```", "a line of 85 characters, allowed 73"),
        (f":::{{solution}} a\n  ```sh\n  {'x' * 74}\n  ```\n:::", "characters, allowed 73"),
        ("![ ](x.png)", "without alt text"),
    ],
)
def test_fences_code_and_pictures_of_the_text(source, found):
    (problem,) = problems(lint.lint_text, markdown(source))
    assert found in problem


def test_good_text_passes():
    text = (
        ":::{note}\nA long line of prose "
        + "is fine " * 20
        + "\n:::\n\n```python\nx = 1\n```\n\n```text\n"
        + "y" * 90
        + "\n```"
    )
    assert problems(lint.lint_text, markdown(text)) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x;", "ends in ';'"),
        ("x;  # quiet", "ends in ';'"),
        ("plt.plot([1])\nplt.show();", "ends in ';'"),
        ("fig, ax = plt.subplots()\nax.plot([1])", "does not end with plt.show()"),
        ("plt.show()\nx", "does not end with plt.show()"),
    ],
)
def test_how_a_cell_ends(source, found):
    assert any(found in problem for problem in problems(lint.lint_cells, code(source)))


@pytest.mark.parametrize(
    "source",
    [
        "a = 1; b = 2",
        "x = ';'",
        "fig, ax = plt.subplots()\nplt.show()",
        "def draw():\n    plt.plot([1])",
        "# only words",
        "",
    ],
)
def test_a_good_end_passes(source):
    assert problems(lint.lint_cells, code(source)) == []


def glued(source):
    return code(f"from implicitly import glue\n{source}")


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ((markdown("It is {glue:text}`a-b`."), glued("glue('a-b', 1.0, '.2f')")), []),
        ((code("x = 1"), markdown("Words.")), []),
        ((glued("glue('a', x)"),), ["a: glued, and no text quotes it"]),
        ((markdown("{glue:text}`a`"),), ["a: quoted in the text, and never glued"]),
        ((markdown("{glue:text}`a`"), glued("glue('a', x); glue('a', y)")), ["a: glued twice"]),
        ((markdown("{glue:text}`a`"), glued("glue(name='a', value=x)")), []),
        (
            (glued("for i in 'ab': glue(f'x-{i}', 1)"),),
            ["cell 0: the name of glue must be written out, or nobody finds who quotes it"],
        ),
    ],
)
def test_what_is_glued_is_quoted(cells, found):
    assert problems(lint.lint_glue, *cells) == found


def test_a_caption_may_quote():
    figure = glued("glue('a', x)")
    figure["metadata"]["mystnb"] = {"figure": {"caption": "It ends at {glue:text}`a`."}}
    assert problems(lint.lint_glue, figure) == []


def box(label, kind="theorem"):
    return f":::{{prf:{kind}}} A name\n:label: {label}\n:class: proved\n\nIt holds.\n:::\n\n"


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (["a-start/C1", "a-start/C2"], []),
        (["a-start/C1", "a-lemma", "a-start/C2"], []),
        ([], []),
        (["a-start/C2", "a-start/C1"], "are C2, C1; they must be C1, C2"),
        (["a-start/C1", "a-start/C3"], "are C1, C3; they must be C1, C2"),
    ],
)
def test_claims_are_numbered_in_the_order_of_the_page(labels, found):
    said = problems(lint.lint_order, *(markdown(box(label)) for label in labels))
    assert (found in said[0]) if found else said == []


CLAIM_CELL = 'claim("a/C1", "Small.", measured=1.0, at_most=2.0)'


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ([code("x = 1")], None),
        ([code(CLAIM_CELL, tags=["decisive"]), code(CLAIM_CELL)], None),
        ([code(CLAIM_CELL, tags=["decisive"])] * 10, None),
        ([code(CLAIM_CELL, tags=["decisive"])] * 11, "found 11"),
        ([code(CLAIM_CELL)], "found 0"),
        ([code("x = 1", tags=["decisive"]), code(CLAIM_CELL)], "cell 0: the tag decisive is for the cell of a claim"),
    ],
)
def test_a_few_checks_are_decisive(cells, found):
    said = problems(lint.lint_checks, *cells)
    assert any(found in problem for problem in said) if found else said == []


FOLDED_TEXT = (
    ":::{dropdown} Proof\n" + "word " * 50 + "\n:::\n\n:::{solution} x\n" + "word " * 50 + "\n:::\n\n"
    ":::{note}\n:class: dropdown\n" + "word " * 50 + "\n:::\n\n```python\n" + "word " * 50 + "\n```\n"
)


def test_what_counts_as_main_text():
    text = "# One\n\ntwo three $x + y$ four {prf:ref}`a/C1` `code here` [five six](#x-y).\n<!-- not a word -->\n"
    text += "\n$$\na = b\n$$ (eq-x)\n\n(a-label)=\n## Seven\n\n" + box("a/C1") + FOLDED_TEXT
    # one to seven are seven words, and there are four signs; the box has a name of two words and a text of two
    assert main_text.words({"cells": [markdown(text), code("many words of code")]}) == 7 + 4 + 4


def test_a_long_main_text_is_found():
    assert problems(lint.lint_length, markdown("word " * lint.MAIN_WORDS + "\n\n" + FOLDED_TEXT)) == []
    (found,) = problems(lint.lint_length, markdown("word " * (lint.MAIN_WORDS + 1)))
    assert found == "the main text has 4001 words, folds and code not counted; allowed 4000"


BLOCK = "# T\n\n:::{five-minutes}\n**Yes.**\n:::\n"
EXPLORER, NO_EXPLORER, NO_BLOCK = code("Explorer(f, [a], v)"), "no explorer before", "no {five-minutes}"


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ((markdown(BLOCK), EXPLORER, markdown("## Setting")), []),
        ((markdown("# T\n\nWords.\n\n" + BLOCK[5:]), EXPLORER, markdown("## Setting")), [NO_BLOCK]),
        ((markdown("# T"), EXPLORER, markdown("## Setting")), [NO_BLOCK]),
        ((markdown(BLOCK), markdown("Words.\n\n## Setting\n\nWords."), EXPLORER), [NO_EXPLORER]),
        ((markdown(BLOCK), code("x = Explore()"), markdown("## Setting")), [NO_EXPLORER]),
        ((markdown(BLOCK), EXPLORER), ["no heading '## Setting'"]),
    ],
)
def test_a_chapter_opens_with_its_answer_and_an_explorer(cells, found):
    said = problems(lint.lint_opening, *cells)
    assert len(said) == len(found) and all(map(str.startswith, said, found))


def test_an_explorer_that_a_module_makes_is_found_by_its_output():
    cell = code("figures.opening()")
    cell["outputs"] = [{"output_type": "display_data", "data": {}, "metadata": {"implicitly": {"explorer": {}}}}]
    assert problems(lint.lint_opening, markdown(BLOCK), cell, markdown("## Setting")) == []


def table(*symbols, head="symbol"):
    return markdown(f"| {head} | meaning |\n|---|---|\n" + "".join(f"| {s} | words, $x$ |\n" for s in symbols))


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        (table("$x_i$, $y_i$", "$f(x_i, y_i)$", "$w_1,b_1$", "$H=G+R$", "$G$"), []),
        (table("$x$", "$x$", head="word"), []),
        (table("$x_i$, $y$", "$x_i$"), ["x_i"]),
        (table("$w_1,b_1$", "$b_1$"), ["b_1"]),
        (table("$H=G+R$", "$H$"), ["H"]),
        (table(r"$\lambda_{\max}( H)$", r"$\lambda_{\max}(H)$"), [r"\lambda_{\max}(H)"]),
    ],
)
def test_no_symbol_stands_twice_in_the_table(cell, found):
    assert problems(lint.lint_symbols, cell) == [f"the symbol {s} stands twice in the table of symbols" for s in found]


@pytest.mark.parametrize(
    ("sentence", "number"),
    [
        ("The error falls to 0.31.", "0.31"),
        ("The error falls to $0.31$.", "0.31"),
        ("*Median* error: 0.31, against 0.52 for the spline.", "0.31"),
        ("At step size 0.2 the error drops to 0.31.", "0.31"),
        ("The error falls from 0.52 to 0.31.", "0.52"),
        ("It agrees in 87% of the cases.", "87%"),
        ("It differs by 12 per cent.", "12 per cent"),
        ("It falls in 11 of 12 data sets.", "11 of 12"),
        ("All of 24 nets reached it.", "All of 24"),
        ("- a list\n- where the risk grew by 1.5", "1.5"),
    ],
)
def test_a_result_that_is_typed_is_found(sentence, number):
    (found,) = problems(lint.lint_digits, markdown(f"## Experiments\n\nWords. {sentence} More words."))
    assert found.startswith(f"Experiments: {number!r} is typed")
    exempt = f"<!-- typed: the paper's number -->\nWords. {sentence}"
    assert problems(lint.lint_digits, markdown(f"## Experiments\n\n{exempt}\n\nWords.")) == []


@pytest.mark.parametrize(
    "text",
    [
        "The error falls to {glue:text}`error`.",
        "The error falls as $1/n^{0.5}$, and `x = 0.3` agrees.",
        "At step size 0.2 the error falls; at 0.4 it rises.",
        "From 0.1 on the error falls. Step sizes 0.1, 0.2 and 0.4 agree.",
        "We take 0.31. The error falls.",
        "Fig. 6.1 and Theorem 6.2 agree.",
        "The error falls, see [the case](#x-0.5).",
        "## Setting\n\nThe error is measured for 0.1.",
        "| error | 0.31 |\n|---|---|\n| measured | 0.5 |",
        ":::{prf:theorem} Name\nThe error falls to 0.31.\n:::",
        ":::{exercise}\nThe error falls to 0.31.\n:::",
        ":::{dropdown} Proof\nThe error falls to 0.31.\n:::",
        "```text\nThe error falls to 0.31.\n```",
    ],
)
def test_other_numbers_may_be_typed(text):
    assert problems(lint.lint_digits, markdown(text)) == []


def test_an_exemption_says_why_and_holds_for_one_paragraph():
    sentence = "The error falls to 0.31."
    for start in ("<!-- typed: -->\n", "<!-- a comment -->\n", f"<!-- typed: why -->\n{sentence}\n\n"):
        assert problems(lint.lint_digits, markdown(start + sentence)), start


def test_the_lints_of_a_source_are_those_that_need_no_run():
    assert set(lint.ON_SOURCE) < set(lint.LINTS)
    assert {lint.lint_printed, lint.lint_outputs, lint.lint_claims} == set(lint.LINTS) - set(lint.ON_SOURCE)
