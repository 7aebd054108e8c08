"""The foot of theorem boxes and the claims page, built from a small book of its own."""

import json
import re

import pytest
from sphinx.application import Sphinx

from implicitly.claims import claim

CONF = """
extensions = ["myst_nb", "sphinx_proof", "claims_page"]
nb_execution_mode = "off"
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
myst_enable_extensions = ["colon_fence", "dollarmath"]
nb_mime_priority_overrides = [["html", "text/html", 0]]
suppress_warnings = ["config.cache"]
"""
BOX = "# One chapter\n\n:::{prf:theorem} A name\n:label: demo/C1\n:class: proved\n\nSmall.\n:::\n"
TOC = {"parts": [{"caption": "III · A part", "chapters": [{"file": "chapters/demo"}]}]}


def notebook(text, claims):
    outputs = [
        {"output_type": "display_data", "metadata": {"implicitly": {"claim": c.as_dict()}},
         "data": {"text/plain": str(c), "text/html": c.line()}}
        for c in claims
    ]  # fmt: skip
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": text},
        {"cell_type": "code", "id": "b", "metadata": {}, "source": "x", "execution_count": 1, "outputs": outputs},
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells})


@pytest.fixture
def build(tmp_path, monkeypatch):
    """A function that builds a book of one chapter: (text, claims) -> (chapter, claims page, warnings)."""
    monkeypatch.syspath_prepend("book/_ext")

    def run(text, claims, agreements=None):
        for folder in ("chapters", "book"):
            (tmp_path / folder).mkdir()
        if agreements is not None:
            (tmp_path / "tests/peers").mkdir(parents=True)
            (tmp_path / "tests/peers/agreements.json").write_text(json.dumps(agreements))
        (tmp_path / "conf.py").write_text(CONF)
        (tmp_path / "_toc.yml").write_text(json.dumps(TOC))
        (tmp_path / "index.md").write_text("# Home\n\n```{toctree}\nchapters/demo\nbook/claims\n```\n")
        (tmp_path / "book/claims.md").write_text("# Claims\n\n```{claims-sum}\n```\n\n```{claims-table}\n```\n")
        (tmp_path / "book/plan.yml").write_text("parts: []")
        (tmp_path / "chapters/demo.ipynb").write_text(notebook(text, claims))
        log = tmp_path / "warnings.txt"
        out = tmp_path / "out"
        with log.open("w") as warnings:
            app = Sphinx(tmp_path, tmp_path, out, tmp_path / "trees", "html", status=None, warning=warnings)
            app.build()
        pages = [(out / name).read_text() for name in ("chapters/demo.html", "book/claims.html")]
        return *pages, log.read_text()

    return run


def test_box_and_check_link_to_each_other(build):
    checks = [
        claim("demo/C1", "It is small.", measured=2e-7, at_most=1e-6, over="3 seeds", math=r"x \le y"),
        claim("demo/C1", "It is five.", measured=5.001, equals=5, within=0.01, check="cost"),
    ]
    chapter, page, warnings = build(BOX, checks)
    assert "demo/C1" not in warnings
    assert 'id="demo/C1"' in chapter
    for anchor in ("check-demo-C1", "check-demo-C1-cost"):
        assert f'id="{anchor}"' in chapter
        assert f'href="../chapters/demo.html#{anchor}"' in page
    assert 'href="#demo/C1"' in chapter
    assert 'href="../chapters/demo.html#demo/C1"' in page
    foot = chapter[chapter.index('<div class="im-claim-foot">') :]
    foot = foot[: foot.index("</div>")]
    assert chapter.count('<div class="im-claim-foot">') == 1, "one line, however many checks"
    assert '<a class="im-check-link" href="#check-demo-C1">2 checks hold</a>' in foot
    assert "proved here" in foot and "least room" in foot and "demo/C1" in foot
    assert "--im-used:0.200" in foot, "the tighter of 0.2 and 0.1"


def test_page_counts_and_describes(build):
    checks = [claim("demo/C1", "It is small.", measured=0.5, at_most=1.0, over="3 seeds", math=r"x \le y")]
    _, page, _ = build(BOX, checks)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "1 claim, 1 holds" in text
    assert "Part III One chapter demo" in text
    assert "It is small." in text and "proved here" in text and "3 seeds" in text
    assert "50 % of the room to the bound is used" in page


def test_a_claim_is_found_by_its_statement_its_symbols_and_its_takeaway(build):
    box = BOX.replace("Small.", "If $\\lambda_{\\max}\\le2/\\eta$ {prf:ref}`demo/C1`, it ends at $\\frac1{k^{-1/3}}$.")
    table = "\n| symbol | meaning |\n|---|---|\n| $\\lambda_{\\max}$ | sharpness |\n| $\\lambda_0$ | unsaid |\n"
    takeaways = "\n1. The moving average. {prf:ref}`demo/C1`\n2. Another. {prf:ref}`demo/C2`\n"
    checks = [claim("demo/C1", said, measured=0.5, at_most=1.0, check=name)
              for said, name in (("It is small.", "one"), ("Low.", "two"))]  # fmt: skip
    _, page, _ = build(box + table + takeaways, checks)
    titles = re.findall(r'<b class="im-c-title" data-said="([^"]*)">(.*?)</b>', page)
    assert [title for _, title in titles] == ["A name"], "with the first check of a claim alone"
    said = titles[0][0].split()
    assert {"lambda_maxle2/eta", "1k^-1/3.", "sharpness", "moving", "average."} <= set(said)
    assert not {"unsaid", "another."} & set(said) and not any("demo" in word for word in said)


def test_the_claims_of_a_chapter_have_an_address(build):
    _, page, _ = build(BOX, [claim("demo/C1", "It is small.", measured=0.5, at_most=1.0)])
    assert page.count('id="of-demo"') == 1


def test_a_box_without_a_check_is_a_warning(build):
    assert "claim box demo/C1 has no check" in build(BOX, [])[2]


def test_a_box_without_a_status_is_a_warning(build):
    check = claim("demo/C1", "It is small.", measured=0.5, at_most=1.0)
    assert "claim box demo/C1 needs a class" in build(BOX.replace(":class: proved\n", ""), [check])[2]


def test_no_two_elements_share_an_id(build):
    second = BOX.replace("# One chapter\n\n", "").replace("C1", "C2")
    checks = [claim(f"demo/C{k}", "It is small.", measured=0.5, at_most=1.0) for k in (1, 2)]
    chapter = build(BOX + "\n" + second, checks)[0]
    ids = re.findall(r'\sid="([^"]+)"', chapter)
    assert len(ids) == len(set(ids))


def agreement(claim="demo/C1", measured=4.7e-16, reason=None, **more):
    return {"claim": claim, "peer": "a-peer", "version": "1.2", "what": "sums < 3", "measured": measured,
            "reason": reason, "test": "test_x.py::test_y", **more}  # fmt: skip


def test_second_opinions_stand_with_the_first_check_of_their_claim(build):
    checks = [claim("demo/C1", "It is small.", measured=0.5, at_most=1.0),
              claim("demo/C1", "It is five.", measured=5.001, equals=5, within=0.01, check="cost")]  # fmt: skip
    asked = [agreement(), agreement(measured=0.0), agreement(measured=0.034, reason="it rounds & cuts", at_least=0.01)]
    chapter, page, _ = build(BOX, checks, asked)
    assert page.count("agrees with a-peer 1.2 to 4.7 × 10<sup>−16</sup>: sums &lt; 3") == 1
    assert page.count("agrees with a-peer 1.2 exactly: sums &lt; 3") == 1
    assert page.count("differs from a-peer 1.2 by 0.034: sums &lt; 3. The reason: it rounds &amp; cuts") == 1
    assert page.index("It is small.") < page.index("agrees with") < page.index("It is five.")
    assert "On 1 of the claims there is a second opinion: 1 independent package, given" in page
    assert "agrees with" not in chapter


def test_no_second_opinion_no_word_of_them(build):
    _, page, _ = build(BOX, [claim("demo/C1", "It is small.", measured=0.5, at_most=1.0)])
    assert "second opinion" not in page and "im-c-peer" not in page


def test_an_agreement_without_a_version_stops_the_build(build):
    broken = agreement()
    del broken["version"]
    with pytest.raises(Exception, match="entry 0 has no version"):
        build(BOX, [claim("demo/C1", "It is small.", measured=0.5, at_most=1.0)], [broken])


@pytest.mark.parametrize(("value", "text"), [
    (0.001, "0.001"), (0.34, "0.34"), (12, "12"), (1e-15, "10<sup>−15</sup>"), (4.66e-16, "4.7 × 10<sup>−16</sup>"),
    (9.96e-5, "10<sup>−4</sup>"), (2.5e4, "2.5 × 10<sup>4</sup>"),
])  # fmt: skip
def test_numbers_in_two_digits(value, text, monkeypatch):
    monkeypatch.syspath_prepend("book/_ext")
    from claims_page import power_of_ten

    assert power_of_ten(value) == text
