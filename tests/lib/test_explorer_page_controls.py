"""Controls on a page: hands, keys, typed values, fingers, the address, play."""

import math

import pytest
from explorer_pages import CLOCK, PICTURE
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_a_choice_switches_controls_on_and_off(visit):
    v = visit()
    noise = v.root().locator("[data-im-control='sigma_0']")
    assert all(e.is_disabled() for e in noise.locator("input").all()) and noise.get_attribute("data-im-off") is not None
    v.root().get_by_label("probability").check(force=True)
    assert all(e.is_enabled() for e in noise.locator("input").all())
    before = v.root().evaluate(PICTURE)
    v.turn("sigma_0", 2)
    assert v.root().evaluate(PICTURE) != before


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
