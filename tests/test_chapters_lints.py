"""Each lint of a chapter can fail."""

import copy

import pytest
from template_chapter import first, plain_cell

import lint


def claim_cell(notebook):
    return first(notebook, lambda cell: "claim(\n" in lint.text_of(cell))


def figure_cell(notebook):
    """The first with a picture that is not an explorer's still."""
    return first(notebook, lambda cell: any("image/png" in out.get("data", {}) and "implicitly" not in out["metadata"]
                                            for out in cell["outputs"]))  # fmt: skip


def no_setup(notebook):
    lint.code_cells(notebook)[0][1]["source"] = "import sys"


def shown_setup(notebook):
    lint.code_cells(notebook)[0][1]["metadata"]["tags"] = ["setup"]


def long_cell(notebook):
    plain_cell(notebook)["source"] = "x = 1\n" * 16


def long_cell_without_reason(notebook):
    plain_cell(notebook).update(source="x = 1\n" * 16, metadata={"tags": ["long-cell"]})


def wide_cell(notebook):
    plain_cell(notebook)["source"] = "x = " + "1 + " * 20 + "1"


def silenced(notebook):
    plain_cell(notebook)["source"] = "x;"


def crowded_claim(notebook):
    claim_cell(notebook)["source"] = "x = 1\n" + lint.text_of(claim_cell(notebook))


def no_alt(notebook):
    figure_cell(notebook)["metadata"]["mystnb"]["image"]["alt"] = " "


def no_caption(notebook):
    del figure_cell(notebook)["metadata"]["mystnb"]["figure"]


def stderr(notebook):
    plain_cell(notebook)["outputs"] = [{"output_type": "stream", "name": "stderr", "text": "careful"}]


def too_much_output(notebook):
    plain_cell(notebook)["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 1_000_001}]


def picture_without_alt(notebook):
    notebook["cells"].append({"cell_type": "markdown", "metadata": {}, "source": "![](x.png)"})


def no_check(notebook):
    claim_cell(notebook)["outputs"] = []


def no_box(notebook):
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = lint.text_of(cell).replace(":label: a-start/C1", ":label: other")


def foreign_claim(notebook):
    claim_cell(notebook)["outputs"][0]["metadata"]["implicitly"]["claim"]["id"] = "else/C1"


def twice(notebook):
    claim_cell(notebook)["outputs"] *= 2


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (no_setup, "word for word"),
        (shown_setup, "needs the tag remove-cell"),
        (long_cell, "16 non-blank lines, allowed 15"),
        (long_cell_without_reason, "needs a comment '# long:"),
        (wide_cell, "characters, allowed 73"),
        (silenced, "ends in ';'"),
        (crowded_claim, "a claim stands alone"),
        (no_alt, "without alt text"),
        (no_caption, "without a caption"),
        (stderr, "stderr"),
        (too_much_output, "allowed 1000000"),
        (picture_without_alt, "a picture without alt text"),
        (no_check, "a-start/C1: a claim without a check"),
        (no_box, "a-start/C1: a check without a claim box"),
        (foreign_claim, "else/C1: not an id of this chapter"),
        (twice, "two checks with one name"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_each_lint_can_fail(notebook, fault, problem):
    broken = copy.deepcopy(notebook)
    fault(broken)
    assert any(problem in found for found in lint.lint("a-start", broken)), lint.lint("a-start", broken)


def test_a_claim_is_shown_once(notebook):
    assert len(claim_cell(notebook)["outputs"]) == 1
