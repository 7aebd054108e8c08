"""Every explorer on the static page: it answers to hand, keys and touch, and keeps its state."""

import pytest
from conftest import CHAPTERS, EXPLORER, PAGES, PHONE, explorers_drawn, visiting
from explorers import SET, choices, control, picture, set_to, settled, sliders, time_of, values
from playwright.sync_api import expect


@pytest.fixture(scope="module", params=CHAPTERS)
def visit(request, context, sites):
    with visiting(context, sites["http"] + request.param) as visit:
        assert visit.page.locator(EXPLORER).count(), f"{request.param} has no explorer"
        yield visit


@pytest.fixture
def roots(visit):
    """The explorers of a chapter, each as it is at first."""
    found = visit.page.locator(EXPLORER).all()
    for root in found:
        reset(root)
    yield found
    for root in found:
        reset(root)


def reset(root) -> None:
    root.locator("[data-im-reset]").click()
    settled(root.page)


def controls_that_answer(root) -> set[str]:
    """Names of the controls that change the picture, some only after another has been chosen."""
    answered = set()

    def turn_sliders():
        for slider in sliders(root):
            if slider.is_enabled() and control(slider) not in answered:
                before = slider.input_value()
                pictures = set()
                for share in (0.03, 0.4, 0.97):
                    set_to(slider, share)
                    pictures.add(picture(root))
                if len(pictures) > 1:
                    answered.add(control(slider))
                slider.evaluate(SET, before)

    turn_sliders()
    for choice in choices(root):
        if choice.is_enabled() and not choice.is_checked():
            before = picture(root)
            choice.check(force=True)  # the ring that one sees is drawn over the input
            settled(root.page)
            if picture(root) != before:
                answered.add(control(choice))
            turn_sliders()
    return answered


def test_every_control_changes_the_picture(roots):
    for root in roots:
        names = {control(e) for e in sliders(root) + choices(root)}
        assert names and names == controls_that_answer(root), root.get_attribute("data-im-explorer")


def test_moving_asks_for_nothing(visit, roots, sites):
    """A redraw is answered on the page itself: no request, no error, no message."""
    asked = set(visit.requests)  # Chromium asks for the icon again when the address changes
    for root in roots:
        for slider in sliders(root):
            if slider.is_enabled():
                set_to(slider, 0.21)
        expect(root.locator("[data-im-message]")).to_be_hidden()
    assert set(visit.requests) == asked and not visit.errors


def test_the_time_of_a_change_is_reported(roots, visit, measured):
    for root in roots:
        slider = next(s for s in sliders(root) if s.is_enabled())
        measured(f"explorer {root.get_attribute('data-im-explorer')}, {control(slider)}: {time_of(slider)}")


def test_the_keyboard_turns_every_control(roots, visit):
    page = visit.page
    for root in roots:
        wanted = {control(e) for e in sliders(root) + choices(root) if e.is_enabled()}
        # Tab goes on from where the reader last clicked.
        root.locator(".im-ex-title").click()
        reached = set()
        for _ in range(3 * len(wanted) + 6):
            page.keyboard.press("Tab")
            focus = page.evaluate("""() => {
                const e = document.activeElement, s = getComputedStyle(e);
                const label = e.type === "radio" ? e.closest("label") : e;
                const rings = [s, getComputedStyle(label), getComputedStyle(e.nextElementSibling || e)];
                return {name: e.closest("[data-im-control]")?.dataset.imControl, type: e.type,
                        id: e.closest("[data-im-explorer]")?.dataset.imExplorer,
                        ring: rings.some(r => r.boxShadow !== "none" ||
                            (r.outlineStyle !== "none" && parseFloat(r.outlineWidth) > 0))};
            }""")
            name = focus["name"]
            if focus["id"] != root.get_attribute("data-im-explorer"):
                continue
            if name is None or name in reached or focus["type"] not in ("range", "radio"):
                continue
            assert focus["ring"], f"focus on {name} is not seen"
            state = "document.activeElement.value"
            states, pictures = {page.evaluate(state)}, {picture(root)}
            for _ in range(3):
                page.keyboard.press("ArrowRight")
                settled(page)
                states.add(page.evaluate(state))
                pictures.add(picture(root))
            if len(pictures) == 1:  # it stood at its end
                page.keyboard.press("Home")
                settled(page)
                states.add(page.evaluate(state))
                pictures.add(picture(root))
            assert len(states) > 1, f"{name}: keys changed nothing"
            assert len(pictures) > 1, f"{name}: keys left the picture as it was"
            if focus["type"] == "radio":  # back to the first choice: others may disable what comes next
                for _ in range(3):
                    page.keyboard.press("ArrowLeft")
            reached.add(name)
        assert reached >= wanted, f"Tab did not reach {wanted - reached}"


def test_keys_walk_from_end_to_end(roots, visit):
    for root in roots:
        slider = next(s for s in sliders(root) if s.is_enabled())
        value = lambda slider=slider: float(slider.evaluate("e => e.value"))  # noqa: E731
        slider.focus()
        visit.page.keyboard.press("Home")
        seen = [value()]
        for key in ("ArrowRight", "ArrowRight", "PageUp", "End"):
            visit.page.keyboard.press(key)
            seen.append(value())
        assert seen == sorted(set(seen)), seen
        assert [seen[0], seen[-1]] == [float(slider.get_attribute(name)) for name in ("min", "max")]


def test_reset_brings_the_first_picture_back(roots):
    for root in roots:
        first = picture(root)
        for slider in sliders(root):
            if slider.is_enabled():
                set_to(slider, 0.9)
                set_to(slider, 0.13)
        assert picture(root) != first
        reset(root)
        assert picture(root) == first


def test_what_changes_is_said(roots):
    """A slider says its value in words, and a polite region says the state once the hand rests."""
    for root in roots:
        slider = next(s for s in sliders(root) if s.is_enabled())
        said, value = root.locator("[data-im-summary]"), slider.get_attribute("aria-valuetext")
        assert said.get_attribute("aria-live") == "polite"
        before = said.inner_text()
        set_to(slider, 0.02 if slider.evaluate("e => e.value / e.max") > 0.5 else 0.98)
        assert slider.get_attribute("aria-valuetext") not in (value, "", None)
        expect(said).not_to_have_text(before, timeout=3000)
        expect(said).to_contain_text(slider.get_attribute("aria-valuetext"))
        for svg in root.locator(".im-ex-plot svg[role=img]").all():
            assert (svg.get_attribute("aria-label") or "").strip(), "a plot without a label"


@pytest.mark.parametrize("scheme", ["file", "http"])
@pytest.mark.parametrize("name", CHAPTERS)
def test_the_address_keeps_the_state(context, sites, name, scheme):
    with visiting(context, sites[scheme] + name) as first:
        roots = first.page.locator(EXPLORER).all()
        at_first = [picture(root) for root in roots]
        for root in roots:
            others = [c for c in choices(root) if c.is_enabled() and not c.is_checked()]
            if others:
                others[0].check(force=True)
            for slider in sliders(root):
                if slider.is_enabled():  # on the grid: between its values an address rounds
                    last = int(slider.get_attribute("max"))
                    set_to(slider, round(0.83 * last) / last)
        first.page.wait_for_timeout(600)  # browsers limit how often an address may change
        address = first.page.url
        assert "=" in address.split("#", 1)[-1] and address != sites[scheme] + name, address
        wanted = [(picture(root), values(root)) for root in roots]
        assert all(now != before for (now, _), before in zip(wanted, at_first, strict=True))
        assert not first.errors and not first.elsewhere(sites[scheme])
        with visiting(context, address) as second:
            found = [
                (picture(root), values(root))
                for root in second.page.locator(EXPLORER).all()
            ]
            assert [written for _, written in found] == [written for _, written in wanted]
            assert found == wanted
            assert not second.errors and not second.failures


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_wrong_address_is_no_blank(context, sites, name):
    with visiting(context, sites["http"] + name) as visit:
        ids = [root.get_attribute("data-im-explorer") for root in visit.page.locator(EXPLORER).all()]
        pictures = [picture(root) for root in visit.page.locator(EXPLORER).all()]
        controls = [control(s) for s in sliders(visit.page.locator(EXPLORER).first)]
    wrong = [f"{i}?{controls[0]}={value}&no_such_control=3" for i in ids for value in ("nonsense", "1e999", "NaN", "")]
    with visiting(context, f"{sites['http']}{name}#{';'.join(wrong)}") as visit:
        for state in [";".join(wrong), *wrong]:
            visit.page.evaluate("hash => { location.hash = hash }", state)
            settled(visit.page)
            found = [picture(root) for root in visit.page.locator(EXPLORER).all()]
            assert len(found) == len(pictures)
            for drawn in found:
                assert "<svg" in drawn and "NaN" not in drawn and "Infinity" not in drawn, state
        assert not visit.errors


def test_the_theme_reaches_the_picture(roots, visit):
    """In the dark the plot's ink is light: its text is read against the page by axe, its lines here."""
    page = visit.page
    ink = """root => [...root.querySelectorAll(".im-ex-plot svg text")].map(t => getComputedStyle(t).fill)"""
    light = [root.evaluate(ink) for root in roots]
    page.emulate_media(color_scheme="dark")
    try:
        settled(page)
        dark = [root.evaluate(ink) for root in roots]
    finally:
        page.emulate_media(color_scheme="light")
        settled(page)
    for before, after in zip(light, dark, strict=True):
        assert before and before != after


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_finger_moves_the_slider(browser, sites, name):
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as phone:
        page = phone.new_page()
        page.goto(sites["http"] + name, wait_until="networkidle")
        explorers_drawn(page)
        for root in page.locator(EXPLORER).all():
            slider = next(s for s in sliders(root) if s.is_enabled())
            slider.scroll_into_view_if_needed()
            before, box = picture(root), slider.bounding_box()
            assert box["height"] >= 24 and box["x"] >= 0 and box["x"] + box["width"] <= 390, box
            for share in (0.1, 0.85):
                page.touchscreen.tap(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
                settled(page)
            assert picture(root) != before
            plot = root.locator(".im-ex-plot").first.bounding_box()
            assert plot["width"] >= 280, plot


# In one go: on a busy machine a playback could end between two calls from outside.
PLAY = """async button => {
    const pressed = () => button.getAttribute("aria-pressed"), seen = [pressed()];
    button.click();
    seen.push(pressed());
    await new Promise(done => setTimeout(done, 400));
    seen.push(pressed());
    button.click();
    return [...seen, pressed()];
}"""


def test_play_moves_and_stops(roots, visit):
    for root in roots:
        for button in root.locator("[data-im-play]").all():
            before = picture(root)
            assert button.evaluate(PLAY) == ["false", "true", "true", "false"]
            settled(visit.page)
            after = picture(root)
            assert after != before, "it does not play"
            visit.page.wait_for_timeout(300)
            assert picture(root) == after, "it does not pause"


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_the_cover_answers(context, sites, measured, scheme):
    """The picture on the landing page has a script of its own: it draws itself once, then only answers."""
    with visiting(context, sites[scheme] + PAGES[0]) as visit:
        page, slider = visit.page, visit.page.locator("#im-angle")
        drawn = "document.querySelector('#im-flow').toDataURL()"
        first = None
        for _ in range(60):
            before, first = first, page.evaluate(drawn)
            if before == first:
                break
            page.wait_for_timeout(300)
        assert before == first, "it never comes to rest"
        said = page.locator("#im-count").inner_text()
        slider.focus()
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        settled(page)
        assert page.evaluate(drawn) != first
        assert slider.get_attribute("aria-valuetext") == "95 degrees"
        expect(page.locator("#im-count")).not_to_have_text(said)
        measured(f"cover ({scheme}): {time_of(slider)}")
        assert not visit.errors and not visit.failures and not visit.elsewhere(sites[scheme])
