"""Purging the theme's style sheets changes nothing that the browser computes."""

import sys
from pathlib import Path

import pytest
from conftest import prepare
from explorers import settled

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))
from test_theme import make  # the small book of the theme's own tests

PAGES = ("chapters/score-flow.html", "book/claims.html", "book/notation.html")
COMPUTED = """() => [...document.querySelectorAll('body *')].map((element) => {
  const style = getComputedStyle(element);
  const names = ['display', 'position', 'color', 'backgroundColor', 'fontFamily', 'fontSize', 'fontWeight',
    'lineHeight', 'marginTop', 'marginLeft', 'paddingTop', 'paddingLeft', 'borderTopWidth', 'width', 'height',
    'visibility', 'opacity'];
  return element.tagName + '.' + element.className + ' ' + names.map((name) => style[name]).join('|');
}).join('\\n')"""


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    folders = {True: tmp_path_factory.mktemp("purged"), False: tmp_path_factory.mktemp("whole")}
    return {purge: make(folder, purge=purge) for purge, folder in folders.items()}


@pytest.mark.parametrize("name", PAGES)
def test_purged_pages_look_the_same(sites, browser, name):
    with browser.new_context() as context:
        page, seen = prepare(context).new_page(), {True: [], False: []}
        for purge, site in sites.items():
            page.goto((site / name).as_uri(), wait_until="networkidle")
            for scheme, width in [("light", 1440), ("dark", 390)]:
                page.set_viewport_size({"width": width, "height": 900})
                page.emulate_media(color_scheme=scheme)
                page.wait_for_function("s => document.documentElement.dataset.theme === s", arg=scheme)
                settled(page)
                seen[purge] += page.evaluate(COMPUTED).split("\n")
        different = [(a, b) for a, b in zip(seen[True], seen[False], strict=True) if a != b]
        assert not different, f"{name}: {len(different)} elements differ, first {different[:2]}"


def test_purging_drops_something(sites):
    sizes = {purge: [css.stat().st_size for css in (site / "_static").rglob("*.css")] for purge, site in sites.items()}
    assert sum(sizes[True]) < 0.5 * sum(sizes[False])
