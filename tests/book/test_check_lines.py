"""Checks on a chapter's page: lines that open, a fold a section, decisive ones in the text."""

import json
import re
from pathlib import Path

import pytest
from sphinx.application import Sphinx

from implicitly.claims import claim

CONF = """
extensions = ["myst_nb", "sphinx_proof", "claims_page", "check_lines", "page_body"]
nb_execution_mode = "off"
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
myst_enable_extensions = ["colon_fence", "dollarmath"]
nb_mime_priority_overrides = [["html", "text/html", 0]]
suppress_warnings = ["config.cache"]
"""
BOX = ":::{prf:theorem} A name\n:label: demo/C1\n:class: proved\n\nSmall.\n:::"
TOC = {"parts": [{"caption": "III · A part", "chapters": [{"file": "chapters/demo"}]}]}


def check(name, measured=0.5, **more):
    return claim("demo/C1", f"The {name} is small.", measured=measured, at_most=1.0, check=name, **more)


def markdown(text):
    return {"cell_type": "markdown", "id": f"m{abs(hash(text)) % 10**8}", "metadata": {}, "source": text}


def code(source, *claims, tags=()):
    outputs = [{"output_type": "display_data", "metadata": {"implicitly": {"claim": c.as_dict()}},
                "data": {"text/plain": str(c), "text/html": c.line()}} for c in claims]  # fmt: skip
    return {"cell_type": "code", "id": f"c{abs(hash(source)) % 10**8}", "metadata": {"tags": list(tags)},
            "source": source, "execution_count": 1, "outputs": outputs}  # fmt: skip


CELLS = [
    markdown(f"# One chapter\n\n## First\n\n{BOX}"),
    code("claim(1)", check("first", 0.9), tags=["hide-input"]),
    markdown("Between."),
    code("claim(2)", check("control", 0.2, over="3 seeds", seeds=range(3), math=r"x \\le y"), tags=["decisive"]),
    code("claim(3)", check("third", 0.7)),
    markdown("After.\n\n### Below"),
    code("claim(4)", check("fourth", 0.4)),
    markdown("## Last"),
    code("claim(5)", check("last", 0.3), tags=["decisive", "hide-input"]),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    folder: Path = tmp_path_factory.mktemp("book")
    (folder / "chapters").mkdir()
    (folder / "conf.py").write_text(CONF)
    (folder / "_toc.yml").write_text(json.dumps(TOC))
    (folder / "index.md").write_text("# Home\n\n```{toctree}\nchapters/demo\n```\n")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": CELLS}
    (folder / "chapters/demo.ipynb").write_text(json.dumps(notebook))
    app = Sphinx(folder, folder, folder / "out", folder / "trees", "html", status=None, warning=None)
    app.build()
    return (folder / "out/chapters/demo.html").read_text()


def words(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", text)).strip()


def line(page: str, anchor: str) -> str:
    """The HTML of a check, from its line to the end of its code."""
    found = page[page.index(f'<details class="im-check" id="{anchor}">') :]
    return found[: found.index("</details>")]


def test_a_line_says_the_verdict_and_opens_to_statement_and_code(page):
    control = line(page, "check-demo-C1-control")
    head, inside = control.split("</summary>")
    assert words(head) == "holds control measured 0.2 at most ≤ 1", "for the eye ≤, for the ear at most"
    assert '<span class="im-sr">at most </span><span aria-hidden="true">≤ </span>1' in head
    assert 'aria-label="20 % of the room to the bound is used"' in head
    said = words(inside)
    assert "The control is small." in said and "over 3 seeds" in said and "seeds 3, from 0 to 2" in said
    assert 'href="#demo/C1"' in inside and "claim" in said and "( 2 )" in said and "katex" in inside


def test_one_disclosure_a_check(page):
    assert "Show code cell source" not in page
    assert page.count("<details") == page.count("</details>") == 5 + 2


def test_what_is_not_decisive_shares_a_fold_where_the_last_of_a_section_stood(page):
    groups = re.findall(r'<details class="im-checks">.*?</summary>', page, re.S)
    assert [words(group) for group in groups] == [
        "2 more checks of this section all hold, least room",
        "1 check of this section holds",
    ]
    assert "--im-used:0.900" in groups[0] and "--im-used:0.400" in groups[1]
    order = ["Between.", 'id="check-demo-C1-control"', '"im-checks"', 'id="check-demo-C1-first"',
             'id="check-demo-C1-third"', "After.", 'id="check-demo-C1-fourth"', 'id="check-demo-C1-last"']  # fmt: skip
    places = [page.index(text) for text in order]
    assert places == sorted(places)


def test_a_box_leads_to_its_decisive_check(page):
    assert '<a class="im-check-link" href="#check-demo-C1-control">5 checks hold</a>' in page
