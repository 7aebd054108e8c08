"""The chapter lints on what cells hold, print and stand under: each can fail, and passes what is right."""

import pytest

import lint


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


def test_the_lints_of_a_source_are_those_that_need_no_run():
    assert set(lint.ON_SOURCE) < set(lint.LINTS)
    assert {lint.lint_printed, lint.lint_outputs, lint.lint_claims} == set(lint.LINTS) - set(lint.ON_SOURCE)
