"""The book under what readers have set: nothing may be kept, forced colours, the narrowest phone."""

import io
import json

import pytest
from conftest import BY_SPHINX, CHAPTERS, DESK, FLAGS, PAGES, PHONE, chromium
from PIL import Image
from playwright.sync_api import expect

NARROWEST = {"width": 320, "height": 640}

# Nothing may be kept ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forgetful(browser, tmp_path_factory):
    """A context in which Chromium itself refuses cookies and storage, as its settings offer."""
    profile = tmp_path_factory.mktemp("profile")
    (profile / "Default").mkdir()
    settings = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (profile / "Default/Preferences").write_text(json.dumps(settings))
    context = browser.browser_type.launch_persistent_context(
        str(profile), executable_path=chromium(), args=FLAGS, viewport=DESK
    )
    yield context
    context.close()


def refused(page) -> bool:
    """Whether the browser still refuses, past the stand-in of the page."""
    return page.evaluate("""() => {
        const frame = document.body.appendChild(document.createElement("iframe"));
        try { return frame.contentWindow.localStorage === null; }
        catch (error) { return error.name === "SecurityError"; }
        finally { frame.remove(); }
    }""")


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_page_works_where_nothing_may_be_kept(forgetful, sites, scheme):
    page = forgetful.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
    page.goto(sites[scheme] + CHAPTERS[0], wait_until="networkidle")
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
    for name in [*PAGES, *BY_SPHINX]:
        page.goto(sites[scheme] + name)
    assert not errors, errors


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
        context.add_init_script("""
            const still = new CSSStyleSheet();
            still.replaceSync("* { transition: none !important }");
            document.adoptedStyleSheets = [still];
        """)
        yield context.new_page()


SAMPLE = [PAGES[0], CHAPTERS[0], "book/claims.html", "book/kernels.html"]


@pytest.mark.parametrize("name", SAMPLE)
def test_forced_colours_keep_what_is_drawn(page, sites, name):
    """Browsers do not paint grounds then: each mark, icon, button and panel keeps a colour or a border."""
    page.set_viewport_size(DESK)
    for size, scheme in [(DESK, "light"), (PHONE, "dark")]:
        page.emulate_media(forced_colors="none", color_scheme=scheme)
        page.set_viewport_size(size)
        page.goto(sites["http"] + name, wait_until="networkidle")
        assert page.evaluate(FORCED, "as designed") > 5
        page.emulate_media(forced_colors="active", color_scheme=scheme)
        lost = page.evaluate(FORCED, "forced")
        page.emulate_media(forced_colors="none", color_scheme="light")
        assert not lost, "\n".join(lost[:20])


def dark(picture: bytes) -> int:
    """How many pixels of a screenshot are far from white."""
    return sum(Image.open(io.BytesIO(picture)).convert("L").histogram()[:128])


def test_forced_colours_keep_formulas_whole(page, sites):
    """A ≠ is set as = under /: the ground that a browser then paints behind text must hide neither."""
    page.set_viewport_size(DESK)
    page.goto(sites["http"] + "chapters/score-flow.html", wait_until="networkidle")
    formula = page.locator("main p .katex:has(.rlap)").first
    ink = {}
    for forced in ("none", "active"):
        page.emulate_media(forced_colors=forced, color_scheme="light")
        ink[forced] = dark(formula.screenshot())
    page.emulate_media(forced_colors="none")
    assert ink["none"] > 20 and ink["active"] >= 0.9 * ink["none"], ink


# The narrowest phone ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*PAGES, *BY_SPHINX])
def test_no_sideways_scroll_at_320(page, sites, name):
    page.emulate_media(forced_colors="none", color_scheme="light")
    page.set_viewport_size(NARROWEST)
    page.goto(sites["http"] + name, wait_until="load")
    wide = page.evaluate("""() => {
        const root = document.documentElement, width = root.clientWidth;
        const held = e => e !== document.body && e !== root
            && /auto|scroll|hidden|clip/.test(getComputedStyle(e).overflowX);
        const scrolls = e => e && (held(e) || scrolls(e.parentElement));
        return [...document.querySelectorAll("body *")]
            .filter(e => e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement))
            .filter(e => !e.closest(".katex-mathml, .im-sr"))
            .map(e => `${e.getBoundingClientRect().right}: ${e.outerHTML.slice(0, 100)}`);
    }""")
    assert not wide, "\n".join(wide[:10])
