"""Explorers for every reader: old browsers, no scripts, forced colours, phones, paper, accessibility."""

import io

import pytest
from explorer_pages import APPROACH, CLOCK, PHONE, PICTURE, READY, samples
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
# What Safari 16.4, Firefox 115 and the Chromium of their time lack.
OLD = """delete URLSearchParams.prototype.size; delete Array.prototype.at; delete Array.prototype.findLast;
delete Array.prototype.findLastIndex; delete window.OffscreenCanvas; delete Array.prototype.toSorted;
delete Array.prototype.with; delete Map.groupBy; delete Object.groupBy; delete Set.prototype.union;"""


def test_older_browsers_keep_up(chromium, site):
    with chromium.new_context(viewport={"width": 1000, "height": 900}) as context:
        context.add_init_script(OLD)
        page = context.new_page()
        errors = []
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.goto(site["light"])
        page.evaluate(APPROACH)
        page.wait_for_function(READY)
        for ident in page.eval_on_selector_all("[data-im-explorer]", "all => all.map(e => e.dataset.imExplorer)"):
            slider = page.locator(f"[data-im-explorer='{ident}'] [type=range]:enabled").first
            name = slider.evaluate("e => e.closest('[data-im-control]').dataset.imControl")
            slider.focus()
            page.keyboard.press("End" if float(slider.input_value()) == 0 else "Home")
            page.wait_for_function(f"location.hash.includes('{ident}?{name}=')")
        assert not errors


def test_a_browser_that_cannot_unpack_keeps_the_picture_and_says_so(chromium, site):
    with chromium.new_context(viewport={"width": 1000, "height": 900}) as context:
        context.add_init_script("delete window.DecompressionStream")
        page = context.new_page()
        page.goto(site["light"])
        root = page.locator(f"[data-im-explorer='{CLOCK}']")
        expect(root.locator("[data-im-message]")).to_contain_text("this browser is too old to unpack its table")
        expect(root.locator("img")).to_be_visible()
        assert all(node.is_disabled() for node in root.locator("input, button").all())


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_forced_colours_show_every_control(visit, scheme):
    """Pixels: a checked ring is filled, play shows a triangle, a slider its track; the picture keeps its paper."""
    from PIL import Image

    v = visit(forced_colors="active", color_scheme=scheme)

    def colours(locator, left=0.0, right=1.0):
        image = Image.open(io.BytesIO(locator.screenshot())).convert("RGB")
        w, h = image.size
        image = image.crop((int(left * w), 0, int(right * w), h))
        return {c: n / (image.width * h) for n, c in image.getcolors(1 << 20)}

    ground = max(colours(v.page.locator("h2")).items(), key=lambda c: c[1])[0]

    def ink(locator, **part):
        found = colours(locator, **part).items()
        return sum(n for c, n in found if sum(abs(a - b) for a, b in zip(c, ground, strict=True)) >= 90)

    rings = v.root().locator("[type=radio]")
    checked, other = ink(rings.nth(0)), ink(rings.nth(1))
    assert checked > 0.6 > 0.4 > other > 0.05
    assert ink(v.root().locator("[data-im-play]")) > 0.1
    track = v.root().locator("[data-im-control='angle'] [type=range]")
    assert ink(track, left=0.8, right=0.98) > 0.04 and ink(track, left=0.02, right=0.2) > 0.04
    assert (
        v.page.locator(".im-ex-body").first.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(251, 250, 247)"
    )


def test_without_scripts_there_is_a_picture_with_words(visit):
    v = visit(java_script_enabled=False)
    for make in samples.SAMPLES.values():
        explorer = make()
        image = v.root(explorer.id).locator("img")
        image.scroll_into_view_if_needed()
        assert image.get_attribute("alt") == explorer.alt and image.is_visible()
        assert v.root(explorer.id).locator(".im-ex-panels").is_hidden()
        for node in v.root(explorer.id).locator(".im-ex-controls").all():
            assert node.is_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_still_has_the_page_s_ground(visit, theme):
    """It is stored on light paper, which the page takes away."""
    from PIL import Image

    v = visit(theme, java_script_enabled=False)
    image = v.root("loss-over-time").locator("img")
    image.scroll_into_view_if_needed()
    v.page.wait_for_timeout(300)  # it is loaded when it is near
    shot = Image.open(io.BytesIO(v.page.screenshot())).convert("RGB")
    box = image.bounding_box()
    left, top = (round(box[side]) for side in ("x", "y"))
    paper = shot.getpixel((5, top + 5))
    found = shot.crop((left, top, left + round(box["width"]), top + round(box["height"]))).getcolors(1 << 20)
    assert max(found)[1] == paper
    off = sum(n for n, c in found if c != paper and max(abs(a - b) for a, b in zip(c, paper, strict=True)) < 12)
    assert off < 0.02 * sum(n for n, _ in found), "nothing of its own paper is left"


def test_on_a_phone_the_controls_stay_in_reach(visit):
    """While the last of three pictures is looked at; and they go with the explorer."""
    v = visit(**PHONE)
    root = v.root("three-maps-of-one-function")
    controls, last = root.locator(".im-ex-controls"), root.locator(".im-ex-plot").last
    last.evaluate("e => e.scrollIntoView({block: 'end'})")
    v.frame()
    assert root.bounding_box()["y"] < -200
    assert controls.bounding_box()["y"] == 0 and controls.bounding_box()["height"] < 0.45 * 844 + 1
    assert last.bounding_box()["y"] > controls.bounding_box()["height"], "the picture is seen whole"
    slider = root.locator("[type=range]").first
    box = slider.bounding_box()
    before = root.evaluate(PICTURE)
    v.page.touchscreen.tap(box["x"] + 0.1 * box["width"], box["y"] + box["height"] / 2)
    v.frame()
    assert root.evaluate(PICTURE) != before
    root.evaluate("e => scrollBy(0, e.getBoundingClientRect().bottom + 50)")
    v.frame()
    assert controls.bounding_box()["y"] < -50
    assert v.page.evaluate("window.shift") == 0


def test_an_explorer_fits_a_screen(visit):
    """800 pixels at 1440 x 900, the question in it and the caption left out."""
    for theme in ("light", "asking"):
        v = visit(theme, viewport={"width": 1440, "height": 900})
        for root in v.page.locator("[data-im-explorer]").all():
            tall = root.evaluate("""root => root.querySelector('.im-ex-body').getBoundingClientRect().bottom
                - root.getBoundingClientRect().top""")
            assert tall <= 800, root.get_attribute("data-im-explorer")


def test_paper_is_light_whatever_the_theme(visit):
    v = visit("dark")
    ink = "getComputedStyle(document.querySelector('.im-explorer')).getPropertyValue('--x-c1')"
    assert v.page.evaluate(ink) == "#ff9359"
    v.page.emulate_media(media="print")
    assert v.page.evaluate(ink) == "#b5450b"
    assert v.page.locator(".im-ex-plot svg").first.is_visible()
    assert v.page.locator(".im-ex-controls").first.is_hidden()
    assert v.page.locator("[data-im-summary]").first.bounding_box()["height"] > 10


def test_no_accessibility_finding(visit):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for theme in ("light", "dark"):
        v = visit(theme)
        found = axe.run(v.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert found.violations_count == 0, found.generate_report()
