"""Every view in a real Chromium: its data, its picture, its words."""

import math
import re

import pytest
from explorer_pages import PICTURE, samples
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("theme", "width"), [("light", 1000), ("dark", 1000), ("light", 390)])
def test_every_view_is_drawn_and_answers(visit, theme, width):
    v = visit(theme, viewport={"width": width, "height": 900})
    for ident in [e.get_attribute("data-im-explorer") for e in v.page.locator("[data-im-explorer]").all()]:
        root = v.root(ident)
        for slider in root.locator("input[type=range]:enabled").all():
            before = root.evaluate(PICTURE)
            name = slider.evaluate("e => e.closest('[data-im-control]').dataset.imControl")
            v.turn(name, 0 if float(slider.input_value()) else 1, ident)
            assert root.evaluate(PICTURE) != before, (ident, name)
        assert root.locator("[data-im-message]").is_hidden()
    assert v.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"
    assert not v.errors
    assert all(url.startswith(("file:", "data:")) for url in v.asked)


def test_data_are_asked_for_when_a_reader_comes_near(chromium, site):
    with chromium.new_context(viewport={"width": 1000, "height": 300}) as context:
        page = context.new_page()
        asked = []
        page.on("request", lambda r: "/_data/" in r.url and asked.append(r.url))
        page.goto(site["light"], wait_until="networkidle")
        last = page.locator("[data-im-explorer]").last
        ident = last.get_attribute("data-im-explorer")
        assert asked and not any(ident in url for url in asked)
        last.scroll_into_view_if_needed()
        expect(last).to_have_attribute("data-im-ready", "static")
        assert len([url for url in asked if ident in url]) == 1


def test_data_that_are_missing_are_told(chromium, site):
    with chromium.new_context(viewport={"width": 1000, "height": 900}) as context:
        page = context.new_page()
        page.route("**/_data/**", lambda route: route.abort())
        page.goto(site["light"])
        root = page.locator("[data-im-explorer]").first
        expect(root.locator("[data-im-message]")).to_contain_text("its data could not be loaded")
        assert root.locator(".im-ex-still").is_visible() and root.locator("input:enabled").count() == 0


def test_mounting_moves_nothing(visit, site, chromium):
    v = visit()
    v.page.wait_for_timeout(300)
    assert v.page.evaluate("window.shift") == 0
    off = visit(java_script_enabled=False)
    tall = [e.bounding_box()["height"] for e in off.page.locator(".im-ex-plot").all()]
    assert tall == pytest.approx([e.bounding_box()["height"] for e in v.page.locator(".im-ex-plot").all()])


def test_the_picture_is_what_the_table_says(visit):
    """A line's last drawn point, read back from the page, is compute's value on the axis."""
    v = visit()
    for index, eta in enumerate((0.001, 1.0)):
        v.turn("eta", 6 * index, "loss-over-time")
        explorer = samples.curves()
        want = explorer.at({"eta": eta, "noise": 0.03})["theory"]
        panel = v.root("loss-over-time").locator("[data-im-panel='1'] svg[role=img]")
        path = panel.locator("path[d^=M]").first.get_attribute("d")
        y = float(re.findall(r"[-\d.]+", path)[-1])
        low, high = explorer.ranges[1]["y"]
        box = panel.bounding_box()
        share = (math.log10(want[-1]) - math.log10(low)) / (math.log10(high) - math.log10(low))
        assert y == pytest.approx(box["height"] - 26 - share * (box["height"] - 34), abs=1.5)


def test_what_stays_is_not_drawn_again(visit):
    """Axes are drawn once for each size, and the same setting once more touches no mark."""
    v = visit()
    root = v.root("loss-over-time")
    root.evaluate("""root => {
        window.touched = {axes: 0, marks: 0};
        window.watch = new MutationObserver(found => found.forEach(({target}) =>
            touched[target.parentNode?.closest('svg') ? 'marks' : 'axes']++));
        for (const plot of root.querySelectorAll('.im-ex-plot'))
            watch.observe(plot, {childList: true, subtree: true, attributes: true});
    }""")
    v.turn("eta", 6, "loss-over-time")
    touched = v.page.evaluate("touched")
    assert touched["axes"] == 0 < touched["marks"]
    v.turn("eta", 6, "loss-over-time")
    assert v.page.evaluate("touched") == touched


def test_words_follow_the_state(visit):
    v = visit()
    v.turn("angle", 2)
    slider = v.root().locator("[data-im-control='angle'] [type=range]")
    assert slider.get_attribute("aria-valuetext") == "120°"
    assert v.root().locator("[data-im-control='angle'] [data-im-value]").input_value() == "120°"
    share = samples.clock().at({"flow_": "score", "sigma_T": 0.2, "sigma_0": 0.01, "angle": 120})["share"]
    live = v.root().locator("[aria-live=polite]")
    live.get_by_text(f"{100 * share[0]:.0f}\u202f% of the starts").wait_for(state="attached")
    assert "Angle between the edges: 120°" in live.text_content()
    bar = v.root().locator("[data-im-bar='0:0'] b").inner_text()
    assert bar == f"{100 * share[0]:.0f}\u202f%"


def test_the_python_and_the_page_say_the_same_at_first(visit):
    v = visit()
    for make in samples.SAMPLES.values():
        explorer = make()
        root = v.root(explorer.id)
        said = root.locator("[data-im-summary]")
        said.evaluate("e => { e.textContent = '' }")  # what Python wrote there is the same sentence
        root.locator("[data-im-reset]").click()
        expect(said).to_have_text(explorer.sentence(), timeout=10_000)


@pytest.mark.parametrize("fault", ["data", "panels"])
def test_a_broken_table_says_so(chromium, tmp_path, fault):
    explorer = samples.cloud()
    path = samples.write_page(tmp_path, [explorer])
    (data,) = (tmp_path / "_data").iterdir()
    text = data.read_text(encoding="utf-8")
    broken = text.replace('"data":"eN', '"data":"eX') if fault == "data" else text.replace('"panels":', '"panel":')
    assert broken != text
    data.write_text(broken, encoding="utf-8")
    page = chromium.new_page()
    page.goto(path.as_uri())
    note = page.locator("[data-im-message]:visible")
    note.wait_for()
    assert "could not start" in note.inner_text()
    page.close()
