"""Purging the theme's style sheets changes nothing that the browser computes."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))
from test_theme import make  # the small book of the theme's own tests

PAGES = ("chapters/score-flow.html", "book/claims.html", "book/notation.html")
COMPUTED = """() => [...document.querySelectorAll('body *')].map((element) => {
  const style = getComputedStyle(element);
  const names = ['display', 'position', 'color', 'backgroundColor', 'fontFamily', 'fontSize', 'fontWeight',
    'lineHeight', 'marginTop', 'marginLeft', 'paddingTop', 'paddingLeft', 'borderTopWidth', 'width', 'height',
    'visibility', 'opacity'];
  return element.tagName + '.' + element.className + ' ' + names.map((name) => style[name]).join('|');
})"""


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    folders = {True: tmp_path_factory.mktemp("purged"), False: tmp_path_factory.mktemp("whole")}
    return {purge: make(folder, purge=purge) for purge, folder in folders.items()}


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_purged_pages_look_the_same(sites, browser, scheme, width):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    for name in PAGES:
        seen = {}
        for purge, site in sites.items():
            page.goto((site / name).as_uri())
            page.wait_for_load_state("networkidle")
            seen[purge] = page.evaluate(COMPUTED)
        different = [(a, b) for a, b in zip(seen[True], seen[False], strict=True) if a != b]
        assert not different, f"{name}: {len(different)} elements differ, first {different[:2]}"
    context.close()


def test_purging_drops_something(sites):
    sizes = {purge: [css.stat().st_size for css in (site / "_static").rglob("*.css")] for purge, site in sites.items()}
    assert sum(sizes[True]) < 0.5 * sum(sizes[False])
