"""Every view in a real Chromium, on a page made of samples, from the disk and without a server."""

import importlib
import math
import re
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

import ensure_chromium

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lib/explorer-js/bench"))
samples = importlib.import_module("samples")

pytestmark = pytest.mark.browser
CLOCK = "three-points-one-clock"
READY = "document.querySelectorAll('[data-im-ready]').length === document.querySelectorAll('[data-im-explorer]').length"
SHIFT = """window.shift = 0;
new PerformanceObserver((list) => list.getEntries().forEach((e) => window.shift += e.value))
  .observe({type: 'layout-shift', buffered: true});"""
# What is drawn: the marks of every panel and the pixels of every canvas.
PICTURE = """root => [...root.querySelectorAll('.im-ex-plot')].map(
  p => p.querySelector('svg').innerHTML + [...p.querySelectorAll('canvas')].map(c => c.toDataURL()).join()).join()"""


@pytest.fixture(scope="module")
def chromium():
    path = ensure_chromium.find() or pytest.fail("no Chromium or Chrome; `make chromium` installs it", pytrace=False)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explorers")
    explorers = [make() for make in samples.SAMPLES.values()]
    return {theme: samples.write_page(folder, explorers, theme).as_uri() for theme in ("light", "dark")}


class Visit:
    def __init__(self, browser, address, **options):
        self.context = browser.new_context(**{"viewport": {"width": 1000, "height": 900}, **options})
        self.page = self.context.new_page()
        self.page.add_init_script(SHIFT)
        self.errors, self.asked = [], []
        self.page.on("console", lambda m: m.type in ("error", "warning") and self.errors.append(m.text))
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.goto(address)
        if options.get("java_script_enabled", True):
            self.page.wait_for_function(READY)

    def root(self, ident=CLOCK):
        return self.page.locator(f"[data-im-explorer='{ident}']")

    def turn(self, name, value, ident=CLOCK):
        self.root(ident).locator(f"[data-im-control='{name}'] input[type=range]").evaluate(
            "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})) }", value
        )
        self.frame()

    def frame(self):
        self.page.evaluate("() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")


@pytest.fixture
def visit(chromium, site):
    made = []

    def start(theme="light", hash="", **options):
        made.append(Visit(chromium, site[theme] + hash, **options))
        return made[-1]

    yield start
    for one in made:
        one.context.close()


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


def test_a_choice_switches_controls_on_and_off(visit):
    v = visit()
    noise = v.root().locator("[data-im-control='sigma_0']")
    assert all(e.is_disabled() for e in noise.locator("input").all()) and noise.get_attribute("data-im-off") is not None
    v.root().get_by_label("probability").check(force=True)
    assert all(e.is_enabled() for e in noise.locator("input").all())
    before = v.root().evaluate(PICTURE)
    v.turn("sigma_0", 2)
    assert v.root().evaluate(PICTURE) != before


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


def test_keys_turn_a_slider(visit):
    v = visit()
    slider = v.root().locator("[data-im-control='angle'] [type=range]")
    slider.focus()
    v.page.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") == "120°"
    v.page.keyboard.press("ArrowLeft")
    assert slider.get_attribute("aria-valuetext") == "94°"
    v.root().get_by_role("button", name="Reset").press("Enter")
    assert slider.get_attribute("aria-valuetext") == "94°"


def test_the_url_keeps_the_state_of_several_explorers(visit):
    v = visit()
    v.turn("angle", 2)
    v.turn("k", 2, "three-maps-of-one-function")
    v.page.wait_for_function("location.hash.includes('k=3')")
    hash = v.page.evaluate("location.hash")
    assert hash == f"#{CLOCK}?angle=120;three-maps-of-one-function?k=3"
    again = visit(hash=hash)
    again.frame()
    assert "angle=120" in again.root().get_attribute("data-im-state")
    assert again.root("three-maps-of-one-function").get_attribute("data-im-state") == "k=3&data=a"
    assert again.root().evaluate(PICTURE) == v.root().evaluate(PICTURE)
    for ident in (CLOCK, "three-maps-of-one-function"):
        again.root(ident).locator("[data-im-reset]").click()
    again.page.wait_for_function("location.hash === ''")


def test_a_hash_that_asks_for_nonsense_gives_the_default_and_anchors_stay(visit):
    v = visit(hash=f"#{CLOCK}?angle=999&time=x&flow_=none&else=1")
    assert v.root().get_attribute("data-im-state").startswith("flow_=score&sigma_T=0.2&sigma_0=0.01&angle=94")
    v = visit(hash="#after")
    assert v.page.evaluate("location.hash") == "#after"
    assert v.page.evaluate("scrollY") > 500
    v.page.evaluate(f"location.hash = '#{CLOCK}?angle=90'")
    v.page.wait_for_function("document.querySelector('[data-im-state*=\"angle=90\"]')")


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_play_runs_to_the_end_and_pauses(visit, motion):
    v = visit(reduced_motion=motion)
    play = v.root().locator("[data-im-play]")
    slider = v.root().locator("[data-im-control='time'] [type=range]")
    play.click()  # from the end: starts over
    v.page.wait_for_function("e => e.value > 0 && e.value < 9", arg=slider.element_handle())
    play.click()
    at = slider.input_value()
    v.page.wait_for_timeout(900)
    assert slider.input_value() == at and play.get_attribute("aria-pressed") == "false"
    if motion == "reduce":
        assert float(at) == round(float(at)), "hops from grid value to grid value"


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


@pytest.mark.parametrize("fault", ["data", "panels"])
def test_a_broken_table_says_so(chromium, tmp_path, fault):
    explorer = samples.cloud()
    path = samples.write_page(tmp_path, [explorer])
    text = path.read_text(encoding="utf-8")
    text = text.replace('"data":"eN', '"data":"eX') if fault == "data" else text.replace('"points":"points"', "")
    path.write_text(text, encoding="utf-8")
    page = chromium.new_page()
    page.goto(path.as_uri())
    note = page.locator("[data-im-message]:visible")
    note.wait_for()
    assert "could not start" in note.inner_text()
    page.close()


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
