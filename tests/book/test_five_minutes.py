"""`{five-minutes}` and glued numbers, in a book of a few pages; reading times, of parts of a page."""

import io
import json
import re

import pytest
from docutils import nodes
from sphinx.application import Sphinx

import check_lines
import five_minutes
import glued_numbers
import reading_times

CONFIG = """
import check_lines
import five_minutes
extensions = ["myst_nb", "sphinx_proof", "sphinx_design", "five_minutes", "glued_numbers"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
myst_enable_extensions = ["colon_fence", "dollarmath"]
nb_execution_mode, numfig, project = "off", True, "tiny"

def place(app, doctree, docname):
    if block := five_minutes.take(doctree):
        next(doctree.findall(five_minutes.nodes.section)).insert(1, block)

def setup(app):
    app.connect("doctree-resolved", place, priority=900)
"""
REST = """
Words before the first section, {glue:text}`a-number`.

## First

:::{prf:theorem} A name
:label: NAME/C1
:class: STATUS

It holds.
:::

WORDS

:::{dropdown} Proof
WORDS WORDS
:::

### Inner

:::{prf:lemma} Another
:label: NAME-lemma
Too.
:::

(NAME-second)=
## Second $x^2$

Few words.
"""
GOOD = """:::{five-minutes}
**An answer with $x$.** **And more.**

1. First $y$. {prf:ref}`NAME/C1`
2. Second, see {prf:ref}`NAME/C1`. [](#NAME-second)
3. Third. {prf:ref}`NAME-lemma`
:::
"""
ITEM = "1. Words. {prf:ref}`NAME/C1`\n"
#: Page -> what it has below its title, the sentence that the build says, or none.
PAGES = {
    "good": (GOOD, None),
    "comment": (f"<!-- a comment -->\n% another\n\n{GOOD}", None),
    "none": ("", None),
    "text-before": (f"Words.\n\n{GOOD}", "must stand once, directly below the chapter's title"),
    "twice": (f"{GOOD}\n{GOOD}", "must stand once, directly below the chapter's title"),
    "two": (f":::{{five-minutes}}\n**A.**\n\n{ITEM * 2}:::", "there must be 3 to 5 take-aways, found 2"),
    "six": (f":::{{five-minutes}}\n**A.**\n\n{ITEM * 6}:::", "there must be 3 to 5 take-aways, found 6"),
    "no-answer": (f":::{{five-minutes}}\n{ITEM * 3}:::", "must hold one paragraph, the answer, and one numbered list"),
    "not-bold": (f":::{{five-minutes}}\nAn **answer**.\n\n{ITEM * 3}:::", "the answer must be bold"),
    "no-reference": (
        f":::{{five-minutes}}\n**A.**\n\n{ITEM * 2}1. Words. {{prf:ref}}`NAME/C1`, and more.\n:::",
        "take-away 3 must end in a reference",
    ),
    "elsewhere": (
        f":::{{five-minutes}}\n**A.**\n\n{ITEM * 2}1. Words. {{prf:ref}}`good/C1`\n:::",
        "must refer to a box or a section of its chapter",
    ),
    "never-glued": (GOOD + "\n{glue:text}`another`\n", "No key 'another' found in glue data"),
    "never-quoted": (GOOD, "the run glues 'unused', and the text does not quote it"),
}


def cell(name, text):
    metadata = {"scrapbook": {"name": name, "mime_prefix": "application/papermill.record/"}}
    output = {"output_type": "display_data", "metadata": metadata,
              "data": {"application/papermill.record/text/plain": f"'{text}'"}}  # fmt: skip
    return {"cell_type": "code", "id": name, "metadata": {}, "source": "", "execution_count": 1, "outputs": [output]}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(folder of the pages, what the build said of each page)."""
    root = tmp_path_factory.mktemp("tiny")
    (root / "conf.py").write_text(CONFIG)
    (root / "chapters").mkdir()
    (root / "index.md").write_text("# Index\n\n```{toctree}\n:glob:\nchapters/*\n```\n")
    for name, (head, _) in PAGES.items():
        status = "partly-proved" if name == "comment" else "proved"
        text = f"# A title\n\n{head}\n{REST}".replace("NAME", name).replace("STATUS", status)
        cells = [{"cell_type": "markdown", "id": "m", "metadata": {}, "source": text.replace("WORDS", "word " * 300)},
                 cell("a-number", "−6.9 × 10⁻⁸")]  # fmt: skip
        cells += [cell("unused", "1")] if name == "never-quoted" else []
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}
        (root / f"chapters/{name}.ipynb").write_text(json.dumps(notebook))
    said = io.StringIO()
    app = Sphinx(root, root, root / "html", root / "doctrees", "html", status=None, warning=said, freshenv=True)
    app.build()
    lines = re.sub(r"\x1b\[[\d;]*m", "", said.getvalue()).splitlines()
    return root / "html/chapters", {
        name: [x for x in lines if re.search(rf"chapters/{name}\b(?!-)", x)] for name in PAGES
    }


@pytest.mark.parametrize("name", PAGES)
def test_what_the_build_says(built, name):
    said, wanted = built[1][name], PAGES[name][1]
    assert len(said) == (wanted is not None), said
    assert wanted is None or wanted in said[0]


def block_of(page):
    found = re.search(r'<div class="im-five.*?</div>', page, re.S)
    return re.sub(r"\s+", " ", found[0]) if found else ""


def test_the_block_as_it_is_written_out(built):
    block = block_of((built[0] / "good.html").read_text())
    assert '<h2 class="im-five-title">In five minutes</h2>' in block
    rows = re.findall(r"<li>(.*?)</li>", block)
    assert len(rows) == 3
    marks = [re.search(r'<i class="im-mark ([\w-]+)" aria-hidden="true">', row)[1] for row in rows]
    assert marks == ["im-proved", "im-measurement", "im-measurement"]
    links = [
        re.search(r'im-five-where"><a class="reference internal" href="(#[\w-]+)">(.*?)</a>', row).groups()
        for row in rows
    ]
    assert [link for link, _ in links] == ["#first", "#second-x-2", "#inner"]
    assert links[0][1] == "First" and "math" in links[1][1]  # a title keeps its formulas
    times = re.findall(r'im-five-time">(.*?)<', block)
    assert times == ["2 min, proved", "1 min", "1 min"]  # the fold of the first section, another 3 minutes, is closed
    assert "see <a" in rows[1], "a reference that is not the last one stays"
    assert re.search(r'im-five-sentence">First .*?</span>\.\s*</p>', rows[0])
    foot = re.findall(r"<b>(\d+) min</b>", block)
    assert foot == ["1", "2", "5"]
    assert "<button" not in block, "the button is made by a script"


def test_a_comment_may_stand_before_it_and_a_status_has_its_mark(built):
    block = block_of((built[0] / "comment.html").read_text())
    assert '<i class="im-mark im-partly"' in block and "2 min, proved in part" in block


def test_what_is_wrong_is_not_on_the_page_and_the_script_only_on_chapters(built):
    for name in ("none", "two", "not-bold"):
        assert not block_of((built[0] / f"{name}.html").read_text())
    assert "folds.js" in (built[0] / "good.html").read_text()
    assert "folds.js" not in (built[0].parent / "index.html").read_text()


def test_a_glued_number_is_text_with_a_raised_exponent(built):
    page = (built[0] / "good.html").read_text()
    assert '<span class="pasted-text">−6.9 × 10<sup>−8</sup></span>' in page
    assert "papermill" not in page


def test_values_quotes_and_filling():
    notebook = {"cells": [
        {"cell_type": "markdown", "source": ["It is {glue:text}`a-b`\n", "or {glue:text}`c`."]},
        cell("a-b", "−1.50"),
        {**cell("d", "2"), "metadata": {"mystnb": {"figure": {"caption": "{glue:text}`d`"}}}},
    ]}  # fmt: skip
    assert glued_numbers.values(notebook) == {"a-b": "−1.50", "d": "2"}
    assert glued_numbers.quoted(notebook) == {"a-b", "c", "d"}
    filled = glued_numbers.fill("It is {glue:text}`a-b` or {glue:text}`c`.", {"a-b": "−1.50"})
    assert filled == "It is −1.50 or {glue:text}`c`."


# reading times -----------------------------------------------------------------------------------


def prose(count):
    return nodes.paragraph("", "word " * count)


def raw(text):
    return nodes.raw("", text, format="html")


def code(text):
    return nodes.literal_block(text, text)


@pytest.mark.parametrize(
    ("part", "main", "everything"),
    [
        (prose(200), 60, 60),
        (nodes.paragraph("", "", nodes.Text("word " * 10), nodes.math("", "x + y = z")), 3 + 2, 3 + 2),
        (nodes.math_block("", "x"), 15, 15),
        (code("a = 1\n\nb = 2\n"), 6, 6),
        (nodes.figure("", nodes.image(uri="x.png"), nodes.caption("", "word " * 10)), 15 + 3, 15 + 3),
        (raw('<div data-im-explorer="x">' + "word " * 50 + "</div>"), 120, 120),
        (check_lines.check_fold("", code("a\nb"), head="word " * 50), 5, 5 + 6),
        (raw("<p>" + "word " * 10 + "</p><svg><text>word</text></svg><details>word</details>"), 3, 3),
        (nodes.comment("", "word " * 50), 0, 0),
        (nodes.container("", prose(200), classes=["dropdown"]), 0, 60),
        (nodes.admonition("", prose(200), classes=["exercise", "medium"]), 60, 60 + 480),
        (nodes.admonition("", prose(200), classes=["exercise"]), 60, 60),
    ],
)
def test_what_each_thing_costs(part, main, everything):
    found = reading_times.seconds(part)
    assert found == pytest.approx((main, everything))
    other = reading_times.seconds(part, prose(200))
    assert other == pytest.approx((main + 60, everything + 60))


def test_the_folds_of_myst_nb_and_of_ours_count_in_everything_alone():
    from myst_nb.sphinx_ import HideCodeCellNode
    from sphinx_design.dropdown import dropdown_main

    import page_body

    for kind in (HideCodeCellNode, dropdown_main, page_body.fold):
        assert reading_times.seconds(kind("", code("a\nb"))) == (0, 6), kind


def test_minutes_are_whole_and_at_least_one():
    assert [reading_times.minutes(s) for s in (0, 20, 89, 91, 600)] == [1, 1, 1, 2, 10]


@pytest.mark.parametrize(
    ("inside", "seconds"),
    [(False, 60 + 60 + 120), (True, 60 + 120)],  # with the text before it; or, further down, alone
)
def test_the_first_visit(inside, seconds):
    explorer, block = raw('<div data-im-explorer="x"></div>'), five_minutes.five_minutes("", prose(200))
    rest = nodes.section("", nodes.title("", ""), *([explorer] if inside else []), prose(200))
    top = nodes.section(
        "", nodes.title("", ""), block, prose(200), *([] if inside else [nodes.container("", explorer)]), rest
    )
    doctree = nodes.section("", top)  # stands for a document
    assert reading_times.seconds(*five_minutes.first_visit(doctree, block))[0] == pytest.approx(seconds)
