"""The book's look: a small book with the real configuration, built once, and its pages read."""

import gzip
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PIXEL = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
         "awAAAABJRU5ErkJggg==")  # fmt: skip
CLAIM = {
    "id": "score-flow/C1", "statement": "It is small.", "math": None, "check": None, "relation": "at most",
    "measured": 2e-7, "stated": 1e-6, "within": None, "used": 0.2, "holds": True, "over": "exact",
    "seeds": None, "margin": 0.8, "anchor": "check-score-flow-C1",
    "display": {"measured": "2 × 10<sup>−7</sup>", "stated": "10<sup>−6</sup>"},
}  # fmt: skip
TEXT = r"""# Where the flow comes to rest

Text with a formula at its end, $x_1 \le \mathbb{R}^d$, and more $y$.

## Setting

$$
a &= b \\ &= c
$$ (eq-one)

:::{prf:theorem} The name of it
:label: score-flow/C1
:class: proved

Small, see {eq}`eq-one` and {cite:p}`zeno2025memorize`.
:::

:::{prf:proof}
Trivial.
:::

:::{margin}
**A note** in the margin.
:::

A paragraph.

::::{dropdown} Proof of C1, one line
:class-container: proof-fold

Easy.
::::

| a | b |
|---|--:|
| 1 | 2 |

:::{exercise} Its name
:label: score-flow-exercise-a
:class: medium

Do it.
:::

:::{solution} score-flow-exercise-a
:class: dropdown

Done, $z$.
:::
"""


def cell(source, outputs=(), **metadata):
    return {"cell_type": "code", "id": f"c{abs(hash(source)) % 10**8}", "metadata": metadata, "source": source,
            "execution_count": 1, "outputs": list(outputs)}  # fmt: skip


def notebook() -> dict:
    picture = {"output_type": "display_data", "data": {"image/png": PIXEL, "text/plain": "<Figure>"},
               "metadata": {"image/png": {"width": 600, "height": 340}}}  # fmt: skip
    box = '<details class="im-check" id="check-score-flow-C1"></details>'
    check = {"output_type": "display_data", "metadata": {"implicitly": {"claim": CLAIM}},
             "data": {"text/plain": "holds", "text/html": box}}  # fmt: skip
    figure = {"image": {"alt": "A dot."}, "figure": {"caption": "A dot, $x$.", "name": "fig-dot"}}
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": TEXT},
        cell("first = 1", tags=["hide-input"]),
        cell("second = 2", tags=["hide-input"]),
        cell("plot(1)", [picture], tags=["hide-input", "wide"], mystnb=figure),
        cell("claim()", [check]),
        cell(
            "from implicitly import diffusion\nprint(diffusion.KINDS[0])",
            [{"output_type": "stream", "name": "stdout", "text": "training\n"}],
        ),
    ]
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "implicitly": {"question": "Where does $x$ go?", "paper": "zeno2025memorize", "needs": "nothing",
                       "kernel": "none yet"},
    }  # fmt: skip
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def make(folder: Path, *, purge: bool = True) -> Path:
    """Build the book with one small chapter; the folder of its pages."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(ROOT / "book", folder / "book", ignore=ignore)
    shutil.copytree(ROOT / "lib/implicitly", folder / "lib/implicitly", ignore=ignore)
    shutil.copytree(ROOT / "kernels", folder / "kernels", ignore=ignore)
    (folder / "lib/explorer-js/bench").mkdir(parents=True)
    (folder / "lib/explorer-js/bench/pages.md").touch()  # a page includes it; it links chapters that are not here
    (folder / "chapters").mkdir()
    (folder / "chapters/score-flow.ipynb").write_text(json.dumps(notebook()))
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    pages = ["how-to-read", "claims", "notation", "glossary", "references"]
    toc = {"format": "jb-book", "root": "book/index", "parts": [
        {"caption": "III · What denoisers remember", "numbered": True, "chapters": [{"file": "chapters/score-flow"}]},
        {"caption": "Reference", "chapters": [{"file": f"book/{name}"} for name in pages]},
    ]}  # fmt: skip
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc))
    if not purge:
        script = folder / "book/_ext/css_purge.py"
        script.write_text(script.read_text() + "\n\ndef used(selector, known):\n    return True\n")
    done = subprocess.run(
        [Path(sys.executable).parent / "jupyter-book", "build", ".", "-W", "-n", "--keep-going", "--quiet"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder / "_build/html"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("book"))


@pytest.fixture(scope="module")
def chapter(site) -> str:
    return (site / "chapters/score-flow.html").read_text(encoding="utf-8")


def test_cells_that_only_hide_their_source_share_a_fold(chapter):
    assert chapter.count("Show code cell source") == 1
    fold = chapter[chapter.index("Show code cell source") :]
    fold = re.sub("<[^>]+>", "", fold[: fold.index("</details>")])
    assert fold.index("first = 1") < fold.index("second = 2") < fold.index("plot(1)")


def words(markup: str) -> str:
    markup = re.sub(r"<(script|style|annotation)[^>]*>.*?</\1>", " ", markup, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", markup))


# --- the chapter ---------------------------------------------------------------------------------


def test_opener_says_number_part_question_and_facts(chapter):
    opener = words(chapter[chapter.index("im-eyebrow") : chapter.index("</dl>")])
    assert "Chapter 6 Part III, What denoisers remember" in opener
    assert 'class="im-question">Where does <span class="katex">' in chapter
    assert "When Diffusion Models Memorize" in opener and "Zeno, Manor, Ongie" in opener and ", 2025" in opener
    assert 'href="https://arxiv.org/abs/2506.19031"' in chapter
    assert "1 stated, 1 holds" in opener
    assert "half a minute on two cores" in opener and "none yet" in opener
    source = "https://github.com/implicitly-book/implicitly/blob/main/lib/implicitly/diffusion/__init__.py"
    assert f'<dt>Library</dt><dd><a href="{source}"><code>diffusion</code></a></dd>' in chapter


def test_numbers_come_from_the_plan_not_from_what_has_landed(chapter):
    assert re.search(r'caption-number">Theorem 6\.1 <', chapter)
    assert re.search(r'caption-number">Fig\. 6\.1 <', chapter)
    assert re.search(r"Exercise 6\.1", chapter)
    assert '<span class="im-eqno">(6.1)' in chapter
    assert ">(6.1)</a>" in chapter
    assert "6. Where the flow" in words(chapter)
    assert "6.1. Setting" not in words(chapter)


def test_boxes_proofs_and_solutions_are_as_designed(chapter):
    assert '<span class="im-box-name">The name of it</span>' in chapter
    assert '<div class="im-proof admonition">' in chapter or 'class="im-proof' in chapter
    assert '<span class="im-proof-word">Proof.</span> Trivial.' in chapter
    assert re.search(r'<details class="im-solution"[^>]*>\s*<summary>Solution</summary>', chapter)
    assert re.search(r'im-grade">(<i class="im-dot im-disc"></i>){2}<i class="im-dot im-ring"></i> medium', chapter)
    assert '<span class="im-exercise-name">Its name</span>' in chapter
    ids = re.findall(r'\bid="([^"]+)"', chapter)
    assert sorted(ids) == sorted(set(ids)), "ids that occur twice"


def test_a_drawing_comes_before_its_source(chapter):
    drawn = chapter[chapter.index("tag_wide") :]
    assert drawn.index("<img") < drawn.index("Show code cell source")
    assert 'aria-label="Toggle hidden content"' not in chapter
    assert re.search(r'<img alt="A dot\."[^>]* width="600" height="340"', chapter)


def test_maths_is_html_with_punctuation_held_to_it(chapter):
    assert "\\mathbb" not in chapter and "<annotation" not in chapter
    held = r'<span class="im-nowrap"><span class="katex">(?:(?!im-nowrap).)*</span>,</span> and more'
    assert re.search(held, chapter)
    assert 'class="im-eq-scroll" tabindex="0"' in chapter
    assert "mathjax" not in chapter.lower()


def test_buttons(chapter):
    base = "implicitly-book/implicitly"
    assert f'href="https://colab.research.google.com/github/{base}/blob/notebooks/chapters/score-flow.ipynb"' in chapter
    assert f'href="https://github.com/{base}/edit/main/chapters/score-flow.md"' in chapter
    assert 'href="score-flow.ipynb" title="Download this notebook"' in chapter


def test_colab_opens_what_the_workflow_pushes():
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    sys.path.insert(0, str(ROOT / "book/_ext"))
    from page_frame import COLAB_BRANCH

    assert f"git push --force origin {COLAB_BRANCH}\n" in workflow and "'./chapters/*.ipynb'" in workflow


# --- nothing from elsewhere, little of anything --------------------------------------------------


def test_nothing_is_fetched_from_elsewhere(site):
    fetched = re.compile(r'<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=["\']([^"\']+)')
    linked = re.compile(r'<link\b[^>]*\brel=["\'](?:stylesheet|icon|preload|modulepreload|preconnect)[^>]*>')
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for address in fetched.findall(text) + re.findall(r'href="([^"]+)"', " ".join(linked.findall(text))):
            assert not re.match(r"(?:https?:)?//", address), f"{page.name} fetches {address}"
            if not address.startswith("data:"):
                target = page.parent / address.split("?")[0].split("#")[0]
                assert target.exists(), f"{page.name} fetches {address}, which is not there"
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        for address in re.findall(r"url\(([^)]*)\)", text) + re.findall(r"@import\s+(\S+)", text):
            assert not re.match(r"[\"']?(?:https?:)?//", address), f"{sheet.name} fetches {address}"
    for script in [*(site / "_static").rglob("*.js")]:
        text = script.read_text(encoding="utf-8")
        assert not re.search(r"""(?:fetch|import|importScripts)\(\s*["'](?:https?:)?//""", text), script.name


def test_no_icon_font_no_script_of_bootstrap(site, chapter):
    assert "Font Awesome" not in "".join(p.read_text() for p in site.rglob("*.css"))
    for name in ("vendor/fontawesome", "scripts/fontawesome.js", "scripts/bootstrap.js"):
        assert not (site / "_static" / name).exists()
        assert name not in chapter
    assert 'data-bs-toggle="dropdown"' not in chapter  # it would need Bootstrap's script


def first_view(page: Path) -> dict[str, int]:
    """Gzipped size of a page and of each script and style sheet that it links."""
    text = page.read_text(encoding="utf-8")
    linked = re.findall(r'<script[^>]*\bsrc="([^"]+)"', text)
    linked += re.findall(r'<link[^>]*\brel="stylesheet"[^>]*\bhref="([^"]+)"', text)
    linked += re.findall(r'<link[^>]*\bhref="([^"]+)"[^>]*\brel="stylesheet"', text)
    files = {page.name: page} | {a: page.parent / a.split("?")[0] for a in linked}
    return {name: len(gzip.compress(path.read_bytes(), 9)) for name, path in files.items()}


def test_first_view_is_light(site):
    # The explorer's script is not on this page; with it a chapter must still be under 300 kB.
    explorer = len(gzip.compress((ROOT / "lib/implicitly/explorer/explorer.js").read_bytes(), 9))
    sizes = first_view(site / "chapters/score-flow.html")
    assert sum(sizes.values()) < 90_000, sizes
    assert sum(sizes.values()) + explorer < 240_000, (sizes, explorer)
    landing = first_view(site / "book/index.html")
    assert sum(landing.values()) < 25_000, landing
    script = len(gzip.compress((ROOT / "book/_static/landing.js").read_bytes(), 9))
    assert script <= 2_000, f"landing.js is {script} bytes gzipped"


# --- the landing -----------------------------------------------------------------------------------


def test_landing_links_what_is_there_and_names_what_is_planned(site):
    text = (site / "book/index.html").read_text(encoding="utf-8")
    assert '<a href="../chapters/score-flow.html">Where the flow comes to rest</a>' in text
    plan = yaml.safe_load((ROOT / "book/plan.yml").read_text(encoding="utf-8"))["parts"]
    titles = [c["title"] for part in plan for c in part["chapters"]]
    assert len(titles) == 18 and len(plan) == 7
    assert all(title in words(text) for title in titles)
    assert text.count('class="im-planned"') == 17
    assert "1 claim. 1 check that can fail. None of them does today." in words(text).replace(" .", ".")
    assert (site / "index.html").is_file()
    assert '<a href="https://github.com/implicitly-book/implicitly">Source on GitHub</a>' in text


def test_the_plan_and_the_chapters_agree():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    slugs = {c["slug"] for p in yaml.safe_load((ROOT / "book/plan.yml").read_text())["parts"] for c in p["chapters"]}
    listed = {e["file"].removeprefix("chapters/") for p in toc["parts"] for e in p["chapters"]
              if e["file"].startswith("chapters/")}  # fmt: skip
    assert listed <= slugs


@pytest.fixture(scope="module")
def cover():
    from py_mini_racer import MiniRacer

    module = list((ROOT / "lib/implicitly/diffusion/pages.cover.wasm").read_bytes())
    with MiniRacer() as engine:  # left open, it can keep Python 3.12 and 3.13 from ending
        engine.eval((ROOT / "book/_static/landing.js").read_text(encoding="utf-8"))
        engine.eval(f"var cover = Cover(new Uint8Array({module}))")
        yield lambda code: json.loads(engine.eval(f"JSON.stringify({code})"))


@pytest.mark.parametrize("degrees", [90, 95, 101, 120, 150])
def test_cover_draws_the_flow_of_the_library(cover, degrees):
    torch = pytest.importorskip("torch")
    from implicitly.diffusion import SimplexDenoiser, planar_triangle, score_flow

    h = SimplexDenoiser.from_points(planar_triangle(float(degrees)))
    whole = cover(f"cover.lines({degrees}).map(l => [...l])")
    whole = torch.tensor(whole, dtype=torch.float64).unflatten(1, (81, 2))
    # one step of Heun's method from wherever a line is
    step = (0.05 * 1.04 ** torch.arange(80.0).double()).clamp_max(0.5).repeat(676)[:, None]
    x = whole[:, :-1].reshape(-1, 2)
    slope = h(x, 0.1) - x
    there = x + step * slope
    assert torch.allclose(whole[:, 1:].reshape(-1, 2), x + step * (slope + h(there, 0.1) - there) / 2, atol=1e-12)
    if degrees == 120:
        point = [float(f"{number:.16g}") for number in whole[300, 20]]
        script = (ROOT / "book/_static/landing.js").read_text(encoding="utf-8")
        held = [float(number) for number in re.findall(r"line\[4\d\] - ([\d.]+)", script)]
        assert held == pytest.approx(point, abs=1e-12)  # what the page checks itself by

    lines = cover(f"cover.lines({degrees}).map(l => [l[0], l[1], ...l.slice(-2), l.sum ? 1 : 0])")
    lines = torch.tensor(lines, dtype=torch.float64)
    assert len(lines) == 676
    # starts that the flow needs longer than the drawing's clock to decide are on the dividing lines
    ends = score_flow(lines[:, :2], h, 0.1, time=22.0, steps=600)
    near = (ends - lines[:, 2:4]).norm(dim=1) < 0.02
    assert near.double().mean() > 0.98
    at_sum = (ends - h.points.sum(0)).norm(dim=1) < 0.05
    assert (at_sum == lines[:, 4].bool()).double().mean() > 0.995
    if degrees > 95.74:  # -cos(angle) > rho: the sum is no resting place (score-flow/C6)
        assert not lines[:, 4].any()


def test_cover_check_sees_a_fault(cover):
    torch = pytest.importorskip("torch")
    from implicitly.diffusion import SimplexDenoiser, planar_triangle

    h = SimplexDenoiser.from_points(planar_triangle(100.0))
    line = torch.tensor(cover("[...cover.lines(101)[300]]"), dtype=torch.float64).view(81, 2)
    slope = h(line[:1], 0.1) - line[:1]
    there = line[:1] + 0.05 * slope
    assert not torch.allclose(line[1:2], line[:1] + 0.05 * (slope + h(there, 0.1) - there) / 2, atol=1e-6)


# --- style sheets ----------------------------------------------------------------------------------


def test_purge_keeps_what_is_used():
    sys.path.insert(0, str(ROOT / "book/_ext"))
    from css_purge import purge

    css = (".a,.b:not(.zz){x:1}.gone{x:2}@media (min-width:1px){.gone .a{x:3}.a>p{x:4}}"
           "@font-face{font-family:\"Font Awesome 6\"}:root{--v:1}.sd-x{y:1!important}.c\\:d{x:5}")  # fmt: skip
    kept = purge(css, {"a", "b", "sd-x", "c:d"})
    assert kept == (".a,.b:not(.zz){x:1}@media (min-width:1px){.a>p{x:4}}:root{--v:1}.sd-x{y:1}.c\\:d{x:5}")


def test_our_sheets_are_not_purged_and_the_theme_is_in_a_layer(site):
    own = ("answers.css", "book.css", "tokens.css", "landing.css", "map.css", "graph.css")
    for name in own:
        assert (site / "_static" / name).read_bytes() == (ROOT / "book/_static" / name).read_bytes()
    for sheet in (site / "_static").rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        ours = sheet.name in (*own, "katex.css", "explorer.css")
        assert ours or not text or text.startswith("@layer theme{"), sheet.name
    theme = (site / "_static/styles/pydata-sphinx-theme.css").stat().st_size
    assert theme < 130_000


def test_only_variables_that_something_reads_stay():
    sys.path.insert(0, str(ROOT / "book/_ext"))
    from css_purge import drop_variables

    css = ':root{--a:1;--b:url("x;y");color:red;--c: }.x--y{top:0}@media x{.a{--a:2;left:1px!important}}'
    assert drop_variables(css, {"--b"}) == ':root{--b:url("x;y");color:red}.x--y{top:0}@media x{.a{left:1px!important}}'
