"""In JupyterLab a slider stops between the values of the table too: each chapter's explorers have an answer there."""

import ast
import itertools

import pytest
from chapter_cells import CHAPTERS, chapter

from implicitly import Explorer

SLUGS = sorted(path.stem for path in CHAPTERS.glob("*.md"))
SHARE = 0.382  # of the way from one value of the table to the next


def explorers(cells):
    """The explorers of a chapter, made by its own statements."""
    for index, statement in enumerate(cells.statements):
        value = getattr(statement.node, "value", None)
        if isinstance(value, ast.Call) and getattr(value.func, "id", None) == "Explorer":
            yield eval(
                compile(ast.Expression(value), f"cell {statement.cell}", "eval"), cells.names(index, cells.sound)
            )


def between(slider):
    """Values that a reader can stop at and that the table does not hold: near both ends and in the middle."""
    found = [slider.check(low + SHARE * (high - low)) for low, high in itertools.pairwise(slider.values)]
    found = [value for value in found if value not in slider.values]
    return sorted({found[0], found[len(found) // 2], found[-1]}) if found else []


@pytest.mark.parametrize("slug", SLUGS)
def test_an_explorer_answers_between_the_values_of_its_table(slug, monkeypatch):
    monkeypatch.setattr(Explorer, "_fill", lambda self: None)  # the table is the notebook's
    found = list(explorers(chapter(slug)))
    assert found, "a chapter has an explorer"
    for explorer in found:
        start = {c.name: c.default for c in explorer.controls if not c.frames}
        choices = [c for c in explorer.controls if c.kind == "choice"]
        for options in itertools.product(*(c.options for c in choices)):
            chosen = start | dict(zip((c.name for c in choices), options, strict=True))
            for slider in explorer.controls:
                if slider.kind == "slider" and not slider.frames:
                    for value in between(slider):
                        explorer.at(chosen | {slider.name: value})
