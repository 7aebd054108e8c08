"""Previews: what a link leads to, shown beside it; by pointer and by keyboard, from the disk as from a server."""

import pytest
from conftest import DESK, PATIENCE, PHONE, visiting
from playwright.sync_api import expect

KINDS = {
    "theorem": ".internal[href^='#'][href*='/C']",
    "equation": ".internal[href^='#equation-']",
    "citation": ".internal[href*='references.html#']",
    "word": ".internal[href*='glossary.html#']",
    "function": "a.im-api-link[href*='library.html#']",
}
CHAPTER = "chapters/low-bit-accumulators.html"
BOX = "#im-preview"
WAIT = 700  # milliseconds: more than a preview waits, to come or to go


def link_of(page, kind: str):
    """The first link of a kind that one sees, in running text."""
    link = page.locator(f".bd-article p {KINDS[kind]}:visible").first
    assert link.count(), f"{CHAPTER} has no {kind} that a sentence leads to"
    return link


@pytest.fixture(scope="module", params=["file"])
def opened(request, context, sites):
    """A chapter with links of all kinds; from the disk, where less is allowed, unless a test says otherwise."""
    with visiting(context, sites[request.param] + CHAPTER) as visit:
        visit.site = sites[request.param]
        yield visit


@pytest.fixture
def page(opened):
    opened.at_first()
    opened.page.mouse.move(2, 2)
    opened.page.evaluate("document.activeElement.blur()")
    opened.page.wait_for_timeout(WAIT)
    return opened.page


@pytest.mark.parametrize("opened", ["file", "http"], indirect=True)
@pytest.mark.parametrize("kind", KINDS)
def test_the_pointer_brings_it_and_takes_it_away(opened, page, kind):
    link, box = link_of(page, kind), page.locator(BOX)
    before = page.evaluate("window.imShifts.length")
    link.hover()
    expect(box).to_be_visible(timeout=PATIENCE)
    assert len(box.inner_text()) > 5
    assert not box.locator("a, [id], button, details").count(), "what works only in its place, or is there twice"
    assert link.get_attribute("aria-details") == box.get_attribute("id")
    size = box.bounding_box()
    page.mouse.move(size["x"] + size["width"] / 2, size["y"] + min(10, size["height"] / 2))
    page.wait_for_timeout(WAIT)
    expect(box).to_be_visible(timeout=PATIENCE)  # the pointer may go over it (WCAG 1.4.13)
    page.mouse.move(2, 2)
    expect(box).to_be_hidden(timeout=PATIENCE)
    assert link.get_attribute("aria-details") is None
    assert page.evaluate("window.imShifts.length") == before, "the text moved"
    assert not opened.failures and not opened.errors and not opened.elsewhere(opened.site)


@pytest.mark.parametrize("kind", KINDS)
def test_the_keyboard_brings_it_and_escape_closes_it(page, kind):
    link, box = link_of(page, kind), page.locator(BOX)
    link.evaluate("""link => {
        const stops = [...document.querySelectorAll("a[href], button, input, summary, [tabindex='0']")]
            .filter(e => e.checkVisibility({visibilityProperty: true}));
        stops[stops.indexOf(link) - 1].focus();
    }""")
    for _ in range(3):  # one stop, or two where something between them scrolls
        page.keyboard.press("Tab")
        if link.evaluate("link => link === document.activeElement"):
            break
    expect(link).to_be_focused(timeout=PATIENCE)
    expect(box).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Escape")
    expect(box).to_be_hidden(timeout=PATIENCE)
    page.wait_for_timeout(WAIT)
    expect(box).to_be_hidden(timeout=PATIENCE)
    expect(link).to_be_focused(timeout=PATIENCE)  # and the reader is where they were


def test_escape_closes_what_the_pointer_brought(page):
    link_of(page, "theorem").hover()
    expect(page.locator(BOX)).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Escape")
    page.wait_for_timeout(WAIT)
    expect(page.locator(BOX)).to_be_hidden(timeout=PATIENCE)


def test_a_link_that_is_passed_brings_nothing(page):
    link_of(page, "theorem").hover()
    page.mouse.move(2, 2)
    page.wait_for_timeout(WAIT)
    expect(page.locator(BOX)).to_be_hidden(timeout=PATIENCE)


def test_what_scrolls_is_the_next_stop(page):
    page.set_viewport_size({"width": 390, "height": 400})
    link, box = link_of(page, "theorem"), page.locator(BOX)
    link.scroll_into_view_if_needed()
    page.keyboard.press("Tab")
    link.focus()
    expect(box).to_be_visible(timeout=PATIENCE)
    scrolls = box.evaluate("box => box.scrollHeight > box.clientHeight + 1")
    assert scrolls, "the box is small: this test shows nothing"
    page.keyboard.press("Tab")
    expect(box).to_be_focused(timeout=PATIENCE)
    page.keyboard.press("Escape")
    expect(box).to_be_hidden(timeout=PATIENCE)
    expect(link).to_be_focused(timeout=PATIENCE)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["1440", "390"])
@pytest.mark.parametrize("look", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"forced_colors": "active"}])
def test_it_lies_in_the_window_and_can_be_told_from_the_page(page, size, look):
    page.set_viewport_size(size)
    page.emulate_media(**look)
    link_of(page, "citation").hover()
    box = page.locator(BOX)
    expect(box).to_be_visible(timeout=PATIENCE)
    at = box.bounding_box()
    assert at["x"] >= 0 and at["x"] + at["width"] <= size["width"] and at["y"] >= 0, at
    assert at["y"] + at["height"] <= size["height"], at
    seen = box.evaluate("""box => {
        const style = getComputedStyle(box), text = getComputedStyle(box.querySelector("p"));
        return {ground: style.backgroundColor, border: style.borderTopColor, text: text.color,
                page: getComputedStyle(document.body).backgroundColor};
    }""")
    assert seen["ground"] not in (seen["text"], "rgba(0, 0, 0, 0)") and seen["border"] != seen["page"], seen
