"""Every view in a real Chromium, on a page made of samples, from the disk and without a server."""

import importlib
import io
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
# Each begins when it is near: all of them, one after the other, and back to where the page was.
APPROACH = """async () => {
  const [x, y] = [scrollX, scrollY];
  for (const root of document.querySelectorAll('[data-im-explorer]')) {
    const end = performance.now() + 20000;
    while (!root.hasAttribute('data-im-ready') && performance.now() < end) {
      root.scrollIntoView();
      await new Promise(requestAnimationFrame);
    }
  }
  scrollTo(x, y);
}"""
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
    asking = samples.write_page(folder / "asking", [*samples.asking(), samples.tall()]).as_uri()
    return {"asking": asking} | {
        theme: samples.write_page(folder, explorers, theme).as_uri() for theme in ("light", "dark")
    }


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
            self.page.evaluate(APPROACH)
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


def field_of(v, name, ident):
    return v.root(ident).locator(f"[data-im-control='{name}'] [data-im-value]")


def test_a_value_can_be_typed(visit):
    v = visit()
    root, field = v.root("loss-over-time"), field_of(v, "eta", "loss-over-time")
    assert root.get_by_role("textbox", name="Step size, η, value").count() == 1
    root.locator("[data-im-control='eta'] [type=range]").focus()
    v.page.keyboard.press("Shift+Tab")
    expect(field).to_be_focused()
    before = root.evaluate(PICTURE)
    v.page.keyboard.type("0.0123")  # what stood there was selected
    assert root.evaluate(PICTURE) == before, "not before it is entered"
    v.page.keyboard.press("Enter")
    expect(field).to_have_value("1.23 × 10⁻²")
    assert "eta=0.0123&" in root.get_attribute("data-im-state")
    assert root.evaluate(PICTURE) != before
    v.page.wait_for_function("location.hash.includes('eta=0.0123')")
    position = float(root.locator("[data-im-control='eta'] [type=range]").input_value())
    assert position == pytest.approx(2 * math.log10(12.3), abs=0.06)
    field.fill("1.23 × 10⁻²")  # what is written can be read
    field.press("Enter")
    assert "eta=0.0123&" in root.get_attribute("data-im-state")


def test_what_is_typed_snaps_where_the_slider_does(visit):
    v = visit()
    for typed, value, shown in (("100", "94", "94°"), ("108", "120", "120°"), ("90°", "90", "90°")):
        field = field_of(v, "angle", CLOCK)
        field.fill(typed)
        field.press("Tab")  # leaving enters it, too
        expect(field).to_have_value(shown)
        assert f"angle={value}&" in v.root().get_attribute("data-im-state")


@pytest.mark.parametrize("typed", ["5000", "-1", "", "x", "1,000"])
def test_what_cannot_be_is_told_and_changes_nothing(visit, typed):
    v = visit()
    root, field = v.root("loss-over-time"), field_of(v, "noise", "loss-over-time")
    before, state = root.evaluate(PICTURE), root.get_attribute("data-im-state")
    field.fill(typed)
    field.press("Enter")
    message = root.locator("[data-im-message]")
    expect(message).to_have_text("Noise, ε: a number from 0.01 to 0.1 is needed.")
    assert field.get_attribute("aria-invalid") == "true"
    assert field.evaluate("e => e.validationMessage") == message.inner_text()
    assert (root.evaluate(PICTURE), root.get_attribute("data-im-state")) == (before, state)
    field.press("Escape")
    expect(field).to_have_value("0.03")
    expect(message).to_be_hidden()
    assert field.get_attribute("aria-invalid") is None and field.evaluate("e => e.validity.valid")
    field.fill(typed)
    field.press("Enter")
    v.turn("eta", 2, "loss-over-time")  # another control: that is over
    expect(field).to_have_value("0.03")
    expect(message).to_be_hidden()


@pytest.mark.parametrize("width", [1000, 390, 320])
def test_the_place_to_type_takes_no_room(visit, width):
    """A row is as high as its words or its play button and the slider under them, and the page scrolls one way."""
    v = visit(viewport={"width": width, "height": 800}, has_touch=width < 500, is_mobile=width < 500)
    for row in v.page.locator(".im-ex-slider").all():
        tall = row.evaluate("""e => {
            e.style.alignSelf = "start";
            const high = s => e.querySelector(s)?.getBoundingClientRect().height ?? 0;
            return [e.getBoundingClientRect().height, Math.max(high("label"), high("button")) + high("[type=range]")];
        }""")
        assert 40 < tall[0] <= tall[1] + 1, tall
        field = row.locator("[data-im-value]")
        assert field.evaluate("e => e.scrollWidth <= e.clientWidth"), field.input_value()
        assert field.bounding_box()["height"] >= 24
    assert v.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"


def swipe(page, slider, across, down):
    """A finger on a slider, moved by so many pixels, as Chromium sees one."""
    slider.evaluate("e => e.scrollIntoView({block: 'center'})")
    box = slider.bounding_box()
    x, y = box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)
    for kind, share in [("touchStart", 0), *(("touchMove", k / 8) for k in range(1, 9)), ("touchEnd", 1)]:
        at = [] if kind == "touchEnd" else [{"x": x + share * across, "y": y + share * down}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
        page.wait_for_timeout(16)
    page.wait_for_timeout(200)


def test_a_swipe_over_a_slider_scrolls_the_page(visit):
    v = visit(viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True)
    root = v.root("loss-over-time")
    slider = root.locator("[data-im-control='eta'] [type=range]")
    v.turn("eta", 5.5, "loss-over-time")
    state, picture = root.get_attribute("data-im-state"), root.evaluate(PICTURE)
    for down in (-200, 200):
        before = v.page.evaluate("scrollY")
        swipe(v.page, slider, 3, down)
        assert abs(v.page.evaluate("scrollY") - before) > 20 or before == 0
        assert (root.get_attribute("data-im-state"), root.evaluate(PICTURE)) == (state, picture)
        assert float(slider.input_value()) == 5.5
    before = v.page.evaluate("scrollY")
    swipe(v.page, slider, 100, 3)
    assert float(slider.input_value()) != 5.5 and root.get_attribute("data-im-state") != state
    assert root.evaluate(PICTURE) != picture
    state = root.get_attribute("data-im-state")
    box = slider.bounding_box()
    v.page.touchscreen.tap(box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2)
    v.frame()
    assert root.get_attribute("data-im-state") != state, "a tap turns it"


def test_marks_of_the_address_may_be_encoded(visit):
    v = visit(hash=f"#{CLOCK}%3Fangle=120")
    v.frame()
    assert "angle=120" in v.root().get_attribute("data-im-state")


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


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


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


# -- the question before the picture -------------------------------------------------------------


def asked(v, ident):
    """Root, form and what the reader is told."""
    root = v.root(ident)
    return root, root.locator("[data-im-predict]"), root.locator("[data-im-told]")


def test_the_controls_wait_for_an_answer(visit):
    v = visit("asking")
    root, form, told = asked(v, "a-choice")
    tall = [e.bounding_box() for e in root.locator("> *:visible").all()]
    expect(told).to_be_hidden()
    assert root.locator(".im-ex-controls :enabled").count() == 0
    group = form.get_by_role("group", name="Which way does what is left at t=1 move when λ grows?")
    expect(group.get_by_role("radio")).to_have_count(3)
    form.get_by_role("button", name="Check").click()  # nothing is chosen
    first = group.get_by_role("radio").first
    assert first.evaluate("e => e.validationMessage") == "Choose an answer first, or let it be shown."
    expect(first).to_be_focused()
    expect(told).to_be_hidden()
    group.get_by_role("radio", name="down").focus()
    v.page.keyboard.press("Space")
    assert first.evaluate("e => e.validity.valid")
    v.page.keyboard.press("Enter")
    expect(told).to_have_text("Right. The answer: down. It is exp(−λ).")
    expect(form.get_by_role("status")).to_have_text(told.inner_text())
    expect(form.get_by_role("button")).to_have_count(0)
    expect(root.locator(".im-ex-controls input").first).to_be_focused()
    assert [e.bounding_box() for e in root.locator("> *:visible").all()] == tall, "nothing has moved"
    assert v.page.evaluate("window.shift") == 0
    before = root.evaluate(PICTURE)
    v.turn("rate", 2, "a-choice")
    assert root.evaluate(PICTURE) != before
    assert asked(v, "a-number")[0].locator(".im-ex-controls :enabled").count() == 0, "that was the other one"
    assert not v.errors


def test_an_answer_is_kept_in_the_browser_and_reset_asks_again(visit):
    v = visit("asking")
    root, form, told = asked(v, "a-choice")
    form.get_by_label("up").check(force=True)
    form.get_by_role("button", name="Check").click()
    expect(told).to_have_text("Not quite: you said up. The answer: down. It is exp(−λ).")
    v.turn("rate", 2, "a-choice")
    assert all(url.startswith(("file:", "data:")) for url in v.asked), "it stays here"
    v.page.goto(v.page.url.partition("#")[0])
    v.page.evaluate(APPROACH)
    v.page.wait_for_function(READY)
    expect(told).to_have_text("Not quite: you said up. The answer: down. It is exp(−λ).")
    expect(form.get_by_role("status")).to_be_empty()  # that is no news
    v.turn("rate", 2, "a-choice")
    root.get_by_role("button", name="Reset").click()
    expect(told).to_be_hidden()
    assert root.locator(".im-ex-controls :enabled").count() == 0 and form.locator(":checked").count() == 0
    assert "rate=1&" in root.get_attribute("data-im-state")
    assert v.page.evaluate("localStorage.length") == 0


@pytest.mark.parametrize(
    ("typed", "verdict"),
    [
        ("1.8", "Right."),
        ("2,2 %", "Right."),
        ("0.5", "Not quite: you said 0.5\u202f%."),
        ("-3e1", "you said −30.0\u202f%."),
    ],
)
def test_a_number_is_judged_with_its_tolerance(visit, typed, verdict):
    v = visit("asking")
    _, form, told = asked(v, "a-number")
    field = form.get_by_role("textbox", name="What share is left at the end?")
    for wrong in ("", "a lot"):
        field.fill(wrong)
        field.press("Enter")
        assert field.evaluate("e => e.validationMessage") == "A number is needed, or let it be shown."
        assert field.get_attribute("aria-invalid") == "true"
    field.fill(typed)
    assert field.get_attribute("aria-invalid") is None
    field.press("Enter")
    expect(told).to_contain_text(verdict)
    expect(told).to_contain_text("The answer: 1.8\u202f%. Four lives.")


def test_a_question_can_be_skipped(visit):
    v = visit("asking")
    root, form, told = asked(v, "a-number")
    form.get_by_role("button", name="Show me").press("Enter")
    expect(told).to_have_text("The answer: 1.8\u202f%. Four lives.")
    assert root.locator(".im-ex-controls input:disabled").count() == 0


def test_a_link_to_a_setting_shows_it(visit):
    v = visit("asking", hash="#a-number?rate=2")
    root, _, told = asked(v, "a-number")
    expect(told).to_be_visible()
    assert "rate=2&" in root.get_attribute("data-im-state")
    assert v.page.evaluate("localStorage.length") == 0, "it was not said"
    expect(asked(v, "a-choice")[2]).to_be_hidden()


@pytest.mark.parametrize(
    "storage",
    [
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('denied', 'SecurityError') }})",
        "Storage.prototype.setItem = Storage.prototype.getItem = () => { throw new Error('full') }",
        "localStorage.setItem('implicitly/predict/a-choice', '[null')",
    ],
)
def test_storage_may_be_denied_or_hold_something_else(chromium, site, storage):
    with chromium.new_context(viewport={"width": 1000, "height": 900}) as context:
        context.add_init_script(storage)
        page = context.new_page()
        errors = []
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.goto(site["asking"])
        form = page.locator("[data-im-explorer=a-choice] [data-im-predict]")
        expect(page.locator("[data-im-explorer=a-choice]")).to_have_attribute("data-im-ready", "static")
        form.get_by_label("down").check(force=True)
        form.get_by_role("button", name="Check").click()
        expect(form.locator("[data-im-told]")).to_contain_text("Right.")
        page.locator("[data-im-explorer=a-choice] [data-im-reset]").click()
        expect(form.locator("[data-im-told]")).to_be_hidden()
        assert not errors


def test_a_question_without_scripts(visit):
    v = visit("asking", java_script_enabled=False)
    root = v.root("a-choice")
    expect(root.get_by_text("Which way does what is left at")).to_be_visible()
    assert root.locator("input:visible, button:visible").count() == 0
    answer = root.get_by_text("The answer: down")
    expect(answer.first).to_be_hidden()
    root.get_by_text("The answer", exact=True).click()
    expect(root.locator("details:visible")).to_contain_text("The answer: down. It is exp(−λ).")
    expect(root.locator("details b")).to_be_visible()


def test_a_question_where_the_explorer_cannot_start(chromium, site):
    with chromium.new_context() as context:
        page = context.new_page()
        page.route("**/_data/**", lambda route: route.abort())
        page.goto(site["asking"])
        root = page.locator("[data-im-explorer]").first
        expect(root.locator("[data-im-message]")).to_contain_text("its data could not be loaded")
        expect(root.locator("[data-im-told]")).to_have_text("The answer: down. It is exp(−λ).")


@pytest.mark.parametrize("options", [{}, PHONE, {"forced_colors": "active"}, {"reduced_motion": "reduce"}])
def test_a_question_is_accessible_everywhere(visit, options):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    v = visit("asking", **options)
    for _ in range(2):
        found = axe.run(v.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert found.violations_count == 0, found.generate_report()
        assert v.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"
        for button in v.page.locator("[data-im-skip]").all():
            if button.is_visible():
                assert button.bounding_box()["height"] >= 32
                button.click()


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
