"""Every page is readable by everyone: axe-core, WCAG 2 A and AA, in both themes and at both widths."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import BY_SPHINX, CHAPTERS, DESK, PAGES, PHONE, visiting
from explorers import settled

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
DIAGONALS = [[("light", DESK), ("dark", PHONE)], [("dark", DESK), ("light", PHONE)]]


def variants(name: str) -> list[tuple[str, dict]]:
    """All four, but of a long chapter two that hold both themes and both widths: neighbours take other ones."""
    if name in CHAPTERS[1:]:
        return DIAGONALS[CHAPTERS.index(name) % 2]
    return DIAGONALS[0] + DIAGONALS[1]


CASES = [(name, scheme, size) for name in [*PAGES, *BY_SPHINX] for scheme, size in variants(name)]


@pytest.fixture(scope="module")
def page(request, context, sites):
    with visiting(context, sites["http"] + request.param) as visit:
        yield visit.page


def findings(page) -> list[str]:
    result = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]})
    return [
        f"{violation['id']} ({violation['help']}): {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for violation in result.response["violations"]
        for node in violation["nodes"][:5]
    ]


@pytest.mark.parametrize(
    ("page", "scheme", "size"), CASES, indirect=["page"], ids=[f"{n}-{s}-{size['width']}" for n, s, size in CASES]
)
def test_no_wcag_violation(page, scheme, size):
    """Colour contrast is among the rules: so dark mode is readable too."""
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function("s => document.documentElement.dataset.theme === s", arg=scheme)
    settled(page)
    page.wait_for_timeout(500)  # a while after a resize the theme lets the keyboard reach what now scrolls
    found = findings(page)
    assert not found, "\n".join(found)
