"""The papers around the book: what the data is held to, the place of every paper, and how chapters end."""

import json
import re
from html import unescape
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from sphinx.application import Sphinx

import map_picture
from book_model import Book, BookError
from map_page import MOST_OPEN, QUESTIONS, near
from neighbours_model import KINDS

ROOT = Path(__file__).parents[2]
BOOK = Book(ROOT)
PLAN = {"parts": [
    {"numeral": "I", "name": "First part", "drawing": "margin",
     "chapters": [{"slug": "early", "title": "Early"}, {"slug": "alone", "title": "Alone"}]},
    {"numeral": "VI", "name": "Last part", "drawing": "without",
     "chapters": [{"slug": "late", "title": "Not yet there"}]},
]}  # fmt: skip
TOC = {"parts": [{"caption": "I · First part", "chapters": [{"file": "chapters/early"}, {"file": "chapters/alone"}]}]}
CONF = """
extensions = ["myst_nb", "page_body", "map_page"]
nb_execution_mode = "off"
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
myst_enable_extensions = ["colon_fence", "dollarmath"]
suppress_warnings = ["config.cache"]
"""


def paper(number: int = 1, **changed) -> dict:
    """An entry that is as it should be, but for what is `changed`; `...` leaves out."""
    entry = {"id": f"name-2020-word{'abcdefghij'[number]}", "title": f"Title {number} & more", "author": "Name",
             "year": 2020, "arxiv": f"2001.0000{number}", "gist": "a thing", "sentence": f"It does thing {number}.",
             "near": [relation()]}  # fmt: skip
    return {key: value for key, value in (entry | changed).items() if value is not ...}


def relation(**changed) -> dict:
    entry = {"chapter": "early", "kind": "question", "words": "what it is"} | changed
    return {key: value for key, value in entry.items() if value is not ...}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A book of two written chapters and a planned one, without papers; `alone` is about paper 1."""
    for name in ("book", "chapters"):
        (tmp_path / name).mkdir()
    (tmp_path / "book/plan.yml").write_text(yaml.safe_dump(PLAN))
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(TOC))
    (tmp_path / "book/references.bib").write_text(
        "@misc{k, title={T}, author={A, B. and C, D.}, year={2020}, eprint={2001.00001}}"
    )
    for slug, header in (("early", {}), ("alone", {"paper": "k"})):
        cell = {"cell_type": "markdown", "id": "a", "metadata": {},
                "source": f"# The {slug} chapter\n\n## A section\n\nText.\n"}  # fmt: skip
        notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"implicitly": header}, "cells": [cell]}
        (tmp_path / f"chapters/{slug}.ipynb").write_text(json.dumps(notebook))
    return tmp_path


def write(folder: Path, *papers) -> Book:
    (folder / "book/neighbours.yml").write_text(yaml.safe_dump({"papers": list(papers)}))
    return Book(folder)


# --- the data ------------------------------------------------------------------------------------

WRONG = {
    "not a mapping": ("a text", "must be a mapping"),
    "no title": (paper(title=...), "has no title"),
    "a name that nothing reads": (paper(code="x"), "has code, which nothing reads"),
    "a number without quotes": (paper(arxiv=2001.00001), "arxiv must be a text, found 2001.00001"),
    "an empty sentence": (paper(sentence=" "), "sentence must be a text"),
    "an id of another form": (paper(id="Name2020"), "an id is first author, year and a word"),
    "a number of another form": (paper(arxiv="math/0101"), "arxiv must be like 2501.04697"),
    "another year than the id's": (paper(year=2021), "year must be the whole number in its id, found 2021"),
    "a year in quotes": (paper(year="2020"), "year must be the whole number in its id, found '2020'"),
    "a long gist": (paper(gist="a thing " * 6), "shorten its gist"),
    "neither near nor aside": (paper(near=...), "must have either near or aside"),
    "near and aside": (paper(aside="music"), "must have either near or aside"),
    "near nothing": (paper(near=[]), "near must be a list of relations"),
    "near a text": (paper(near="early"), "near must be a list of relations"),
    "no words": (paper(near=[relation(words=...)]), "has no words"),
    "an unknown chapter": (paper(near=[relation(chapter="lost")]), "'lost', which is not in book/plan.yml"),
    "an unknown kind": (paper(near=[relation(kind="cousin")]), "has the kind 'cousin'; the kinds are question, tool"),
    "a chapter twice": (paper(near=[relation(), relation(kind="tool")]), "is near the chapter 'early' twice"),
    "a lab of another chapter": (paper(near=[relation(lab="late/C1")]), "lab must be a claim of its chapter"),
}


@pytest.mark.parametrize("entry, says", WRONG.values(), ids=WRONG)
def test_a_wrong_entry_is_named(folder, entry, says):
    book = write(folder, paper(2), entry)
    with pytest.raises(BookError, match=re.escape(says)) as raised:
        _ = book.neighbours
    name = entry.get("id") if isinstance(entry, dict) else None
    assert f"book/neighbours.yml: entry 2 ({name!r})" in str(raised.value)


def test_two_entries_with_one_id_or_one_paper_are_named(folder):
    with pytest.raises(BookError, match=r"neighbours\.yml: two entries have the id 'name-2020-wordb'"):
        _ = write(folder, paper(1), paper(1, arxiv="2001.00009")).neighbours
    with pytest.raises(BookError, match="'name-2020-wordb' and 'name-2020-wordc' are the same paper"):
        _ = write(folder, paper(1), paper(2, arxiv="2001.00001v2")).neighbours


def test_a_lab_without_a_check_is_named(folder):
    with pytest.raises(BookError, match=r"'name-2020-wordb' has the lab 'early/C1', of which its chapter stores no"):
        _ = write(folder, paper(near=[relation(lab="early/C1")])).neighbours
    # a chapter that is not written yet stores nothing
    assert write(folder, paper(near=[relation(chapter="late", lab="late/C1")])).neighbours[0].near[0].lab == "late/C1"


def test_the_paper_of_a_chapter_is_no_neighbour_of_it(folder):
    assert write(folder, paper(1)).neighbours[0].id == "name-2020-wordb", "near another chapter it is one"
    says = r"neighbours\.yml: 'name-2020-wordb' is near the chapter 'alone', which is about it"
    for number in ("2001.00001", "2001.00001v2"):
        with pytest.raises(BookError, match=says):
            _ = write(folder, paper(1, arxiv=number, near=[relation(), relation(chapter="alone")])).neighbours


def test_a_file_without_a_list_is_named(folder):
    (folder / "book/neighbours.yml").write_text("[]")
    with pytest.raises(BookError, match=r"neighbours\.yml has no list `papers`"):
        _ = Book(folder).neighbours


def test_what_an_entry_says(folder):
    first, second = write(folder, paper(1, venue="ICML 2021"), paper(2, near=[
        relation(chapter="late"), relation(kind="tool")])).neighbours  # fmt: skip
    assert first.who == "Name and others, 2020; ICML 2021", "the bibliography has another author"
    assert second.who == "Name, 2020"
    assert first.address == "https://arxiv.org/abs/2001.00001"
    assert [r.chapter for r in second.near] == ["early", "late"], "the order of the book"


def test_the_books_own_data():
    papers = BOOK.neighbours
    assert len(papers) == 64 and sum(bool(paper.aside) for paper in papers) == 23
    assert all(paper.sentence.endswith(".") and not paper.gist.endswith(".") for paper in papers)
    assert not [r.words for paper in papers for r in paper.near if r.words.endswith(".")], "the page ends the sentence"
    assert {r.kind for paper in papers for r in paper.near} == set(KINDS)


# --- the picture ---------------------------------------------------------------------------------


def test_lines_of_a_name_are_as_few_as_can_be():
    assert map_picture.balanced("3 Guess and check") == ["3 Guess and check"]
    assert map_picture.balanced("1 The margin picks one") == ["1 The margin", "picks one"]
    for chapter in BOOK.planned.values():
        assert len(map_picture.balanced(f"{chapter.number} {chapter.title}")) < 3


def test_nothing_in_the_picture_lies_on_something_else():
    """Rows are as far apart as a finger needs, and all of them lie in the picture."""
    for _, _, mark, asks in QUESTIONS:
        parts = [(part.name, [map_picture.Branch(c.slug, c.number, c.title, "", tuple(near(BOOK, c.slug)))
                              for c in part.chapters])
                 for part in BOOK.parts if asks(part)]  # fmt: skip
        drawn = map_picture.tree(parts, "label", mark)
        assert drawn == map_picture.tree(parts, "label", mark)
        height = float(re.search(r'height="([\d.]+)"', drawn)[1])
        rows = [float(y) for y in re.findall(r'<rect class="im-map-hit" x="174" y="([\d.]+)"', drawn)]
        assert len(rows) == sum(len(chapter.leaves) for _, chapters in parts for chapter in chapters)
        assert all(after - before >= map_picture.ROW for before, after in pairwise(rows))
        assert rows[0] > 0 and rows[-1] + map_picture.ROW <= height


# --- the pages -----------------------------------------------------------------------------------


@pytest.fixture
def build(folder, monkeypatch):
    """build(*papers): the map's page and those of the two chapters."""
    monkeypatch.syspath_prepend(str(ROOT / "book/_ext"))

    def run(*papers, with_map: bool = True) -> dict[str, str]:
        write(folder, *papers)
        (folder / "conf.py").write_text(CONF)
        names = ["chapters/early", "chapters/alone", *["book/map"] * with_map]
        (folder / "index.md").write_text("# Home\n\n```{toctree}\n" + "\n".join(names) + "\n```\n")
        if with_map:
            (folder / "book/map.md").write_text("# Map\n\n```{neighbourhood}\nOur words.\n```\n")
        with (folder / "warnings.txt").open("w") as warnings:
            app = Sphinx(folder, folder, folder / "out", folder / "trees", "html", status=None, warning=warnings)
            app.config.bibtex_bibfiles = ["book/references.bib"]
            app.build()
        # a second Sphinx in one process says that its own nodes are registered already
        said = [line for line in (folder / "warnings.txt").read_text().splitlines() if "already registered" not in line]
        assert said == []
        return {name: (folder / f"out/{name}.html").read_text() for name in names}

    return run


def words(markup: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub("<[^>]+>", " ", re.sub("<svg.*?</svg>", "", markup, flags=re.S))))


def test_every_paper_has_its_entry_and_its_place_in_the_picture(build):
    last = paper(3, near=..., aside="music", note="Later it is *Another*.")
    pages = build(paper(1), paper(2, near=[relation(kind="opposite"), relation(chapter="late")]), last)
    page, text = pages["book/map"], words(pages["book/map"])
    assert "3 papers: 2 near a chapter, 1 on other subjects" in text and "Our words." in text
    for number in (1, 2, 3):
        ident = paper(number)["id"]
        assert page.count(f'id="{ident}"') == 1 and f'href="https://arxiv.org/abs/2001.0000{number}"' in page
        assert page.count(f'data-paper="{ident}"') == (2 if number == 2 else 1), "once for each relation"
        assert f"It does thing {number}." in text
    assert "Opposite answer: what it is." in text and "Later it is Another ." in text and "Subject: music." in text
    assert "Name, 2020; described above." in text, "the second entry of a paper leads to the first"
    assert re.search(r'href="../chapters/early.html"><[^>]*>1 Early', page), "a chapter that is there is a link"
    assert "late.html" not in page and "3 Not yet there" in text, "one that is not has its name"
    assert "No paper of the map is near this chapter." in text
    identifiers = re.findall(r'\sid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))
    titles = re.findall(r"<title>(Name 2020.*?)</title>", page)
    assert "Name 2020 a thing: Title 2 &amp; more. Opposite answer to chapter 1." in titles


def test_the_paper_of_a_chapter_leads_to_it(build):
    page = build(paper(1), paper(2))["book/map"]
    assert words(page).count("is about it.") == 1 and "It does thing 1. Chapter 2 Alone is about it." in words(page)
    assert re.search(r'Chapter <a[^>]*href="../chapters/alone.html"', page)


def test_a_chapter_ends_with_its_papers(build):
    pages = build(paper(1), paper(2, near=[relation(chapter="late")]))
    end = pages["chapters/early"].partition("Near this chapter")[2]
    assert "Title 1" in end and "Title 2" not in end and "<details" not in end
    assert 'href="../book/map.html#near-early"' in end
    alone = words(pages["chapters/alone"].partition("Near this chapter")[2])
    assert "None of the papers on the map is near this chapter." in alone


def test_many_papers_go_into_a_fold(build):
    pages = build(*[paper(number) for number in range(1, MOST_OPEN + 2)])
    end = pages["chapters/early"].partition("Near this chapter")[2]
    assert re.search(rf'<details class="[^"]*im-map-fold[^"]*">\s*<summary>{MOST_OPEN + 1} papers</summary>', end)


def test_without_the_page_chapters_end_as_before(build):
    assert "Near this chapter" not in build(paper(1), with_map=False)["chapters/early"]
