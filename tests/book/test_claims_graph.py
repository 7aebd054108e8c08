"""Which claim uses which: what the boxes say, what stops the build, the picture, the list, and the links in a box."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
import yaml
from sphinx.application import Sphinx

import claims_model
import graph_picture
import lint
from book_model import Book, BookError
from claims_model import Box, boxes_of, problems, reached, users
from implicitly.claims import claim

ROOT = Path(__file__).parents[2]
SOURCES = lint.boxes_elsewhere()  # of the chapters as they are written, run or not
PLAN = {"parts": [
    {"numeral": "I", "name": "First part", "drawing": "margin", "chapters": [{"slug": "early", "title": "Early"}]},
    {"numeral": "II", "name": "Last part", "drawing": "without", "chapters": [{"slug": "late", "title": "Late & new"}]},
]}  # fmt: skip
TOC = {"parts": [{"caption": "I · First part", "chapters": [{"file": "chapters/early"}]},
                 {"caption": "II · Last part", "chapters": [{"file": "chapters/late"}]}]}  # fmt: skip
CONF = """
extensions = ["myst_nb", "sphinx_proof", "claims_page", "graph_page", "claims_data"]
nb_execution_mode = "off"
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
myst_enable_extensions = ["colon_fence", "dollarmath"]
nb_mime_priority_overrides = [["html", "text/html", 0]]
html_baseurl = "https://example.org/"
suppress_warnings = ["config.cache"]
"""
PAGE = "# Claims\n\n```{claims-sum}\nWords.\n```\n" + "".join(
    f"\n## {name}\n\n```{{claims-{name}}}\n```\n" for name in ("graph", "table", "data")
)


def text_of(name: str, uses: str = "", status: str = "proved", title: str = "A name") -> str:
    options = f":label: {name}\n:class: {status}\n" + (f":uses: {uses}\n" if uses else "")
    return f":::{{prf:theorem}} {title}\n{options}\nIt holds, $x < y$.\n:::\n\n"


def found(*texts: str) -> dict[str, Box]:
    """The boxes of two chapters, `early` and `late`."""
    return {box.id: box for slug, text in zip(("early", "late"), texts, strict=False) for box in boxes_of([text], slug)}


def notebook(slug: str, text: str) -> str:
    labels = re.findall(r":label: (\S+/C\d+)$", text, re.M)
    checks = [claim(label, "It is small.", measured=0.25, at_most=1.0, math=r"x \le y") for label in labels]
    outputs = [{"output_type": "display_data", "metadata": {"implicitly": {"claim": c.as_dict()}},
                "data": {"text/plain": str(c), "text/html": c.line()}} for c in checks]  # fmt: skip
    cells = [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": f"# The {slug} chapter\n\n{text}"},
             {"cell_type": "code", "id": "b", "metadata": {}, "source": "x", "execution_count": 1,
              "outputs": outputs}]  # fmt: skip
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "cells": cells, "metadata": {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}})  # fmt: skip


@pytest.fixture
def build(tmp_path, monkeypatch):
    """build(early, late): the built folder of a book of two chapters, without warnings."""
    monkeypatch.syspath_prepend(str(ROOT / "book/_ext"))

    def run(*texts: str) -> Path:
        for folder in ("chapters", "book/_static"):
            (tmp_path / folder).mkdir(parents=True)
        for slug, text in zip(("early", "late"), texts, strict=True):
            (tmp_path / f"chapters/{slug}.ipynb").write_text(notebook(slug, text))
        (tmp_path / "book/plan.yml").write_text(yaml.safe_dump(PLAN))
        (tmp_path / "_toc.yml").write_text(yaml.safe_dump(TOC))
        (tmp_path / "conf.py").write_text(CONF)
        (tmp_path / "book/claims.md").write_text(PAGE)
        (tmp_path / "index.md").write_text("# Home\n\n```{toctree}\nchapters/early\nchapters/late\nbook/claims\n```\n")
        schema = "book/_static/claims-v1.schema.json"
        (tmp_path / schema).write_bytes((ROOT / schema).read_bytes())
        with (tmp_path / "warnings.txt").open("w") as warnings:
            out, trees = tmp_path / "out", tmp_path / "trees"
            Sphinx(tmp_path, tmp_path, out, trees, "html", status=None, warning=warnings).build()
        said = (tmp_path / "warnings.txt").read_text().splitlines()
        assert [line for line in said if "already registered" not in line and "myst.xref" not in line] == []
        return out

    return run


def words(markup: str) -> str:
    markup = re.sub("<(svg|head|script).*?</\\1>", "", markup, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub("<[^>]+>", "", re.sub("</(li|p)>", " ", markup))))


# --- what the boxes say --------------------------------------------------------------------------


def test_a_box_says_what_it_uses():
    text = text_of("early/C1") + "::::{dropdown} More\n" + text_of("early/C2", "C1, late/C3", "measured") + "::::\n"
    text += text_of("a-lemma", "C1") + "```python\n" + text_of("early/C9") + "```\n"
    first, second = boxes_of([text], "early")
    assert first == Box("early/C1", "theorem", "A name", "proved", (), ("", "It holds, $x < y$."))
    assert (second.id, second.status, second.uses) == ("early/C2", "measured", ("early/C1", "late/C3"))
    assert (second.slug, second.short) == ("early", "C2")


WRONG = {
    "an unknown claim": (["early/C1:C7"], "early/C1 uses early/C7, and there is no such claim"),
    "an unknown chapter": (["early/C1:lost/C1"], "early/C1 uses lost/C1, and there is no such claim"),
    "no id": (["early/C1:theorem one"], "early/C1 uses 'theorem one'; write C2, or stable-minima/C3"),
    "a claim twice": (["early/C1:", "early/C2:C1, early/C1"], "early/C2 uses early/C1 twice"),
    "itself": (["early/C1:C1"], "early/C1 rests on itself: early/C1, which uses early/C1"),
    "a cycle": (
        ["early/C1:C2", "early/C2:C1"], "early/C1 rests on itself: early/C1, which uses early/C2, which uses early/C1"),
    "a cycle through another chapter": (
        ["early/C1:late/C1", "late/C1:C2", "late/C2:early/C1"],
        "early/C1 rests on itself: early/C1, which uses late/C1, which uses late/C2, which uses early/C1"),
}  # fmt: skip


def texts_of(claims: list[str]) -> list[str]:
    split = [entry.partition(":")[::2] for entry in claims]
    return ["".join(text_of(name, uses) for name, uses in split if name.startswith(slug)) for slug in ("early", "late")]


@pytest.mark.parametrize("claims, says", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_by_the_build_and_by_the_lint(claims, says, build, monkeypatch):
    boxes = found(*texts_of(claims))
    (problem,) = problems(boxes)
    assert says in problem
    with pytest.raises(BookError, match=re.escape(problem)):
        build(*texts_of(claims))
    monkeypatch.setattr(lint, "boxes_elsewhere", lambda: {n: b for n, b in boxes.items() if b.slug == "late"})
    cells = {"cells": [{"cell_type": "markdown", "metadata": {}, "source": texts_of(claims)[0]}]}
    assert list(lint.lint_uses("early", cells)) == [problem]
    assert lint.lint_uses in lint.LINTS and lint.lint_uses in lint.ON_SOURCE


def test_every_cycle_is_named_once_and_every_claim_on_it():
    boxes = found(*texts_of(["early/C1:C2", "early/C2:C1", "early/C3:late/C1", "late/C1:early/C3", "late/C2:C1"]))
    said = problems(boxes)
    assert len(said) == 2
    assert {frozenset(re.findall(r"\w+/C\d", problem)) for problem in said} == {
        frozenset({"early/C1", "early/C2"}), frozenset({"early/C3", "late/C1"})}  # fmt: skip
    assert [len(problems(boxes, of=slug)) for slug in ("early", "late")] == [2, 1], "a chapter hears of its own"


def test_a_check_without_a_box_stops_the_build(build):
    lost = text_of("early/C1") + "\n<!--\n:label: early/C2\n-->\n"
    with pytest.raises(BookError, match="early/C2 has a check and no box"):
        build(lost, text_of("late/C1"))


def test_what_one_comes_to():
    boxes = found(*texts_of(["early/C1:", "early/C2:C1", "early/C3:C1, C2", "late/C1:early/C3", "late/C2:"]))
    assert users(boxes)["early/C1"] == ("early/C2", "early/C3") and users(boxes)["late/C2"] == ()
    assert reached("late/C1", {name: box.uses for name, box in boxes.items()}) == {"early/C1", "early/C2", "early/C3"}
    assert reached("early/C1", users(boxes)) == {"early/C2", "early/C3", "late/C1"}


def test_the_chapters_uses_are_sound():
    assert problems(SOURCES) == []
    across = [(box.id, used) for box in SOURCES.values() for used in box.uses if not used.startswith(box.slug + "/")]
    assert ("greedy-orderings/C6", "random-orderings/C6") in across
    assert sum(len(box.uses) for box in SOURCES.values()) > 90


# --- the picture ---------------------------------------------------------------------------------


def rows(boxes) -> list[graph_picture.Row]:
    slugs = [chapter for chapter in Book(ROOT).planned.values() if any(b.slug == chapter.slug for b in boxes.values())]
    return [graph_picture.Row(c.slug, str(c.number), c.title, c.numeral, "page.html",
                              tuple(box for box in boxes.values() if box.slug == c.slug)) for c in slugs]  # fmt: skip


def numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", path)]


def test_everything_is_in_the_picture_and_has_room():
    drawn = rows(SOURCES)
    at = graph_picture.places(drawn)
    svg = graph_picture.picture(drawn, dict.fromkeys(SOURCES, "name"), "label")
    assert svg == graph_picture.picture(drawn, dict.fromkeys(SOURCES, "name"), "label")
    assert re.findall(r'data-claim="([^"]+)"', svg) == [box.id for row in drawn for box in row.claims]
    uses = re.findall(r'data-claim="([^"]+)"><title>name</title>(.*?)<rect', svg)
    assert {name: tuple(re.findall('data-to="([^"]+)"', paths)) for name, paths in uses} == {
        box.id: box.uses for box in SOURCES.values()}  # fmt: skip
    assert at.width <= 56 * 16, "the width that graph.css gives it"
    below = 0.0
    for row in drawn:
        y = at.rows[row.slug]
        arcs = [re.search(rf'data-to="{used}" d="(M[^"]*C[^"]*)"', svg)[1]
                for box in row.claims for used in box.uses if used.startswith(row.slug + "/")]  # fmt: skip
        tops = [numbers(arc)[1] - 0.75 * (numbers(arc)[1] - numbers(arc)[3]) for arc in arcs]  # where a cubic turns
        assert min(tops, default=y - 8) > below + 2, f"arcs of {row.slug} reach into the row above"
        below = max([y + 8, *(lane for used, lane in at.lanes.items() if used.startswith(row.slug + "/"))])
    assert below <= at.height
    assert len(set(at.lanes.values())) == len(at.lanes), "each line under a row leads to one claim"


def test_arrows_begin_and_end_at_their_claims():
    boxes = found(*texts_of(["early/C1:C2", "early/C2:", "late/C1:early/C2", "late/C2:C1"]))
    drawn = [graph_picture.Row(slug, "1", slug, "I", "", tuple(b for b in boxes.values() if b.slug == slug))
             for slug in ("early", "late")]  # fmt: skip
    at = graph_picture.places(drawn)
    svg = graph_picture.picture(drawn, dict.fromkeys(boxes, ""), "label")
    for box in boxes.values():
        for used in box.uses:
            path = re.search(rf'data-claim="{box.id}".*?data-to="{used}" d="([^"]*)"', svg)[1]
            way, end = path.split("M")[1:]
            (x, y), (to, there) = at.claims[box.id], at.claims[used]
            head = numbers(end)[2:4]  # the point of the arrow
            assert abs(head[0] - to) <= 3 and abs(head[1] - there) <= 8
            if there == y:
                assert abs(numbers(way)[0] - x) <= 3
            else:  # drawn from the claim that is used
                assert numbers(way)[:2] == head and numbers(way)[-1] == x - 7


@pytest.mark.parametrize("status", ["", *claims_model.STATUS])
def test_each_status_has_its_mark(status):
    shapes = {graph_picture.mark(s) for s in claims_model.STATUS}
    assert len(shapes) == len(claims_model.STATUS)
    assert graph_picture.mark(status) in shapes, "a box without a status is drawn as not proved"


# --- the page ------------------------------------------------------------------------------------

EARLY = text_of("early/C1", title="First & best") + text_of("early/C2", "C1", "not-proved") + text_of("early/C3", "C2")
LATE = text_of("late/C1", "C2, early/C1, early/C3", "measured") + text_of("late/C2") + text_of("late/C3")


def test_the_page_says_what_the_picture_shows(build):
    out = build(EARLY, LATE)
    page = (out / "book/claims.html").read_text()
    text = words(page)
    assert "The 6 claims use one another 5 times, 2 times across chapters. 3 use no other." in text
    assert "The longest chain has 4 claims." in text
    assert "C1 First & best proved here. Used by C2; C1 of chapter 2, and through them 1 more." in text
    assert "C3 A name proved here. Uses C2, and through it 1 more. Used by C1 of chapter 2." in text
    assert "C1 A name measurement. Uses C2; C1 and C3 of chapter 1, and through them 1 more." in text
    assert "C3 A name proved here. Uses no other claim, and none uses it." in text
    assert page.count('<a class="im-graph-claim"') == 6 and page.count('class="im-graph-use" data-to') == 5
    assert '<a class="im-graph-claim" href="../chapters/early.html#early/C1" data-claim="early/C1">' in page
    titles = re.findall(r"<title>(C\d.*?)</title>", page)
    assert "C1 First &amp; best: proved here. Used by C2; C1 of chapter 2, and through them 1 more." in titles
    identifiers = re.findall(r'\sid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))


def test_boxes_and_table_say_what_a_claim_uses_as_links(build):
    out = build(EARLY, LATE)
    table = (out / "book/claims.html").read_text().partition("im-claims-key")[2]
    line = ('<span class="im-claim-uses">uses <a href="{0}#late/C2">C2</a>; <a href="{1}#early/C1">C1</a> and '
            '<a href="{1}#early/C3">C3</a> of chapter 1</span>')  # fmt: skip
    assert table.count(line.format("../chapters/late.html", "../chapters/early.html")) == 1
    late = (out / "chapters/late.html").read_text()
    assert late.count(line.format("", "early.html")) == 1
    assert late.count("im-claim-foot") == 3 and late.count("im-claim-uses") == 1, "those that use nothing say nothing"
    assert ":uses:" not in late


def test_a_claim_of_a_draft_is_called_by_its_chapter(build, monkeypatch):
    monkeypatch.setitem(PLAN, "parts", PLAN["parts"][:1])
    late = (build(text_of("early/C1", "late/C1"), text_of("late/C1")) / "chapters/early.html").read_text()
    assert '<span class="im-claim-uses">uses <a href="late.html#late/C1">C1</a> of late</span>' in late
