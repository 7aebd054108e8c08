"""The book under what readers have set: nothing may be kept, forced colours."""

import io

import pytest
from conftest import DESK, PAGES, PHONE, prepare, refused
from explorers import settled
from PIL import Image
from playwright.sync_api import expect

# Nothing may be kept ------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_page_works_where_nothing_may_be_kept(forgetful, sites, light_chapter, scheme):
    page = forgetful.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
    page.goto(sites[scheme] + light_chapter, wait_until="networkidle")
    assert refused(page), "the browser keeps what it is given: this test shows nothing"

    before = page.evaluate("document.documentElement.dataset.mode")
    page.locator(".theme-switch-button:visible").first.click()
    assert page.evaluate("document.documentElement.dataset.mode") != before

    page.set_viewport_size(PHONE)
    page.locator("button.primary-toggle").click()
    expect(page.locator("dialog nav.bd-links a").first).to_be_visible()
    page.keyboard.press("Escape")
    page.set_viewport_size(DESK)

    page.keyboard.press("Control+k")
    box = page.locator("input[type=search]:visible")
    expect(box).to_be_focused()
    box.fill("training")
    box.press("Enter")
    expect(page.locator("#search-results a").first).to_be_visible(timeout=15_000)
    assert not errors, errors
    page.close()


# Forced colours -----------------------------------------------------------------------------------

# What a page paints by grounds and borders, not by text: dots, icons, gauges, tracks, buttons, panels.
FORCED = """scheme => {
    const clear = c => /^rgba.*, 0\\)$/.test(c);
    const paints = (element, pseudo) => {
        const style = getComputedStyle(element, pseudo), canvas = getComputedStyle(document.body).backgroundColor;
        if (style.backgroundImage !== "none") return true;
        if (!clear(style.backgroundColor) && style.backgroundColor !== canvas) return true;
        return ["Top", "Right", "Bottom", "Left"].some(side => parseFloat(style[`border${side}Width`]) > 0
            && style[`border${side}Style`] !== "none" && style[`border${side}Color`] !== canvas
            && !clear(style[`border${side}Color`]));
    };
    const shown = (element, pseudo) => {
        const style = getComputedStyle(element, pseudo);
        if (pseudo && (style.content === "none" || style.content === "normal")) return false;
        return element.checkVisibility({visibilityProperty: true, opacityProperty: true})
            && element.getClientRects().length > 0 && style.display !== "none";
    };
    if (scheme === "as designed") {
        window.imPainted = [];
        for (const element of document.querySelectorAll("body *")) {
            if (element.closest(".im-explorer, .katex, noscript, .skip-link, svg")) continue;
            for (const pseudo of [null, "::before", "::after"])
                if (shown(element, pseudo) && paints(element, pseudo)) window.imPainted.push([element, pseudo]);
        }
        return window.imPainted.length;
    }
    return window.imPainted.filter(([element, pseudo]) => !paints(element, pseudo))
        .map(([element, pseudo]) => `${element.outerHTML.slice(0, 90)} ${pseudo ?? ""}`);
}"""


@pytest.fixture(scope="module")
def page(browser, sites):
    """One page of one context for what follows."""
    with browser.new_context(viewport=DESK) as context:
        yield prepare(context).new_page()


@pytest.mark.parametrize("name", [PAGES[0], "a chapter", "book/claims.html", "book/kernels.html"])
def test_forced_colours_keep_what_is_drawn(page, sites, light_chapter, name):
    """Browsers do not paint grounds then: each mark, icon, button and panel keeps a colour or a border."""
    page.goto(sites["http"] + (light_chapter if name == "a chapter" else name), wait_until="networkidle")
    for size, scheme in [(DESK, "light"), (PHONE, "dark")]:
        page.emulate_media(forced_colors="none", color_scheme=scheme)
        page.set_viewport_size(size)
        page.wait_for_function("s => document.documentElement.dataset.theme === s", arg=scheme)
        settled(page)
        assert page.evaluate(FORCED, "as designed") > 5
        page.emulate_media(forced_colors="active", color_scheme=scheme)
        lost = page.evaluate(FORCED, "forced")
        page.emulate_media(forced_colors="none", color_scheme="light")
        assert not lost, "\n".join(lost[:20])


def dark(picture: bytes) -> int:
    """How many pixels of a screenshot are far from white."""
    return sum(Image.open(io.BytesIO(picture)).convert("L").histogram()[:128])


def test_forced_colours_keep_formulas_whole(page, book, sites):
    """A ≠ is set as = under /: the ground that a browser then paints behind text must hide neither."""
    has_it = [name for name in PAGES if 'class="rlap"' in (book / name).read_text(encoding="utf-8")]
    page.set_viewport_size(DESK)
    page.goto(sites["http"] + min(has_it, key=lambda name: (book / name).stat().st_size), wait_until="networkidle")
    formula = page.locator("main p .katex:has(.rlap)").first
    ink = {}
    for forced in ("none", "active"):
        page.emulate_media(forced_colors=forced, color_scheme="light")
        ink[forced] = dark(formula.screenshot())
    page.emulate_media(forced_colors="none")
    assert ink["none"] > 20 and ink["active"] >= 0.9 * ink["none"], ink
