"""Every explorer on the static page: it answers to hand, keys and touch, and keeps its state."""

import re
from urllib.parse import urlsplit

import pytest
from conftest import CHAPTERS, EXPLORER, PAGES, PHONE, explorers_drawn, visiting
from explorers import (
    SET,
    choices,
    control,
    past_the_question,
    picture,
    set_to,
    settled,
    sliders,
    time_of,
    values,
)
from playwright.sync_api import expect

each_chapter = pytest.mark.parametrize("visit", CHAPTERS, indirect=True)


@pytest.fixture
def roots(visit):
    """The explorers of a chapter, each as it is at first."""
    found = visit.page.locator(EXPLORER).all()
    assert found, f"{visit.name} has no explorer"
    visit.page.evaluate(RESET)
    return found


# Each as it is at first, its question skipped: it asks again after a reset.
RESET = """() => {
    const click = what => document.querySelectorAll(what).forEach(b => b.checkVisibility() && b.click());
    click("[data-im-reset]");
    click("[data-im-skip]");
    return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
}"""


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


@each_chapter
def test_every_control_changes_the_picture(roots):
    for root in roots:
        names = {control(e) for e in sliders(root) + choices(root)}
        assert names and names == controls_that_answer(root), root.get_attribute("data-im-explorer")


@each_chapter
def test_moving_asks_for_nothing(visit, roots, sites):
    """A redraw is answered on the page itself: no request, no error, no message."""

    def requests():
        """Not a worker in place of one that was stopped: its script is in the page's memory."""
        return {address for address in visit.requests if not address.startswith("blob:")}

    asked = requests()  # Chromium asks for the icon again when the address changes
    for root in roots:
        for slider in sliders(root):
            if slider.is_enabled():
                set_to(slider, 0.21)
        expect(root.locator("[data-im-message]")).to_be_hidden()
    assert requests() == asked and not visit.errors


@each_chapter
def test_the_time_of_a_change_is_reported(roots, visit, measured):
    for root in roots:
        slider = next(s for s in sliders(root) if s.is_enabled())
        measured(f"explorer {root.get_attribute('data-im-explorer')}, {control(slider)}: {time_of(slider)}")


@each_chapter
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


@each_chapter
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
        # one that steps through few values is at its end before the last key
        stops = seen[-1] + 1 if all(v.is_integer() for v in seen) else len(seen)
        assert seen == sorted(seen) and len(set(seen)) == min(stops, len(seen)), seen
        assert [seen[0], seen[-1]] == [float(slider.get_attribute(name)) for name in ("min", "max")]


@each_chapter
def test_reset_brings_the_first_picture_back(roots):
    for root in roots:
        first = picture(root)
        for slider in sliders(root):
            if slider.is_enabled():
                set_to(slider, 0.9 if slider.evaluate("e => e.value / e.max") < 0.5 else 0.1)
        assert picture(root) != first
        root.locator("[data-im-reset]").click()  # as a hand does it
        past_the_question(root)
        settled(root.page)
        assert picture(root) == first


@each_chapter
def test_what_changes_is_said(roots):
    """A slider says its value in words, and a polite region says the state once the hand rests."""
    for root in roots:
        slider = next(s for s in sliders(root) if s.is_enabled())
        said, value = root.locator("[data-im-summary]"), slider.get_attribute("aria-valuetext")
        assert said.get_attribute("aria-live") == "polite"
        expect(said).to_contain_text(value, timeout=20_000)  # it comes half a second after the last change
        before = said.inner_text()
        set_to(slider, 0.02 if slider.evaluate("e => e.value / e.max") > 0.5 else 0.98)
        assert slider.get_attribute("aria-valuetext") not in (value, "", None)
        expect(said).not_to_have_text(before, timeout=20_000)
        expect(said).to_contain_text(slider.get_attribute("aria-valuetext"), timeout=20_000)
        for svg in root.locator(".im-ex-plot svg[role=img]").all():
            assert (svg.get_attribute("aria-label") or "").strip(), "a plot without a label"


def drawn(page) -> list[tuple]:
    return [(picture(root), values(root)) for root in page.locator(EXPLORER).all()]


def moved(visit, roots) -> tuple[str, list[tuple]]:
    """Move every explorer: the state that the address then has, and what is drawn and written."""
    at_first = drawn(visit.page)
    for root in roots:
        others = [c for c in choices(root) if c.is_enabled() and not c.is_checked()]
        if others:
            others[0].check(force=True)
        for slider in sliders(root):
            if slider.is_enabled():  # on the grid: between its values an address rounds
                last = int(slider.get_attribute("max"))
                set_to(slider, round(0.83 * last) / last)
    visit.page.wait_for_timeout(600)  # browsers limit how often an address may change
    state = urlsplit(visit.page.url).fragment
    assert "=" in state, visit.page.url
    wanted = drawn(visit.page)
    assert all(now[0] != before[0] for now, before in zip(wanted, at_first, strict=True))
    return state, wanted


def at(page, state: str) -> None:
    page.evaluate("state => { location.hash = state }", state)
    settled(page)


@each_chapter
def test_the_address_keeps_the_state(visit, roots):
    """A wrong address is no blank, and the one that the explorers wrote brings their state back."""
    state, wanted = moved(visit, roots)
    for wrong in (*each_wrong(visit.page), "nonsense"):
        at(visit.page, wrong)
        is_no_blank(visit.page, wrong)
    visit.page.evaluate(RESET)
    assert drawn(visit.page) != wanted
    at(visit.page, state)
    found = drawn(visit.page)
    assert [written for _, written in found] == [written for _, written in wanted]
    assert found == wanted
    assert not visit.errors


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_a_page_opens_with_the_state_of_its_address(context, sites, light_chapter, scheme):
    """Which the same code reads on every page."""
    with visiting(context, sites["http"] + light_chapter) as visit:
        roots = visit.page.locator(EXPLORER).all()
        for root in roots:
            past_the_question(root)
        state, wanted = moved(visit, roots)
    with visiting(context, f"{sites[scheme]}{light_chapter}#{state}") as visit:
        assert len(wanted) > 1 and drawn(visit.page) == wanted
        assert not visit.failures and not visit.elsewhere(sites[scheme]) and not visit.errors


def each_wrong(page) -> list[str]:
    """Addresses that no explorer of the page has written, the last with all of them at once."""
    ids = [root.get_attribute("data-im-explorer") for root in page.locator(EXPLORER).all()]
    name = control(sliders(page.locator(EXPLORER).first)[0])
    wrong = [f"{i}?{name}={value}&no_such_control=3" for i in ids for value in ("nonsense", "1e999", "NaN", "")]
    return [*wrong, ";".join(wrong)]


def is_no_blank(page, state: str) -> None:
    for root in page.locator(EXPLORER).all():
        # a heatmap is a picture in letters, among which "NaN" may stand by chance
        shown = re.sub(r"data:image/png;base64,[\w+/=]*", "", picture(root))
        assert "<svg" in shown and "NaN" not in shown and "Infinity" not in shown, state


def test_a_page_that_opens_at_a_wrong_address_is_no_blank(context, sites, light_chapter):
    with visiting(context, sites["http"] + light_chapter) as visit:
        state = each_wrong(visit.page)[-1]
    with visiting(context, f"{sites['http']}{light_chapter}#{state}") as visit:
        is_no_blank(visit.page, state)
        assert not visit.errors


@each_chapter
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


def touched(page, root, tap) -> None:
    """A tap on a slider of an explorer, at phone width, moves it."""
    slider = next(s for s in sliders(root) if s.is_enabled())
    slider.scroll_into_view_if_needed()
    before, box, moved = picture(root), slider.bounding_box(), []
    assert box["height"] >= 24 and box["x"] >= 0 and box["x"] + box["width"] <= 390, box
    for share in (0.1, 0.85):
        tap(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        settled(page)
        moved.append(picture(root) != before)
    assert any(moved)  # one of them may be where it was
    plot = root.locator(".im-ex-plot").first.bounding_box()
    assert plot["width"] >= 280, plot


@each_chapter
def test_a_finger_moves_the_slider(visit, roots):
    page, screen = visit.page, visit.page.context.new_cdp_session(visit.page)

    def tap(x, y):
        screen.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        screen.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    page.set_viewport_size(PHONE)
    screen.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        for root in roots:
            touched(page, root, tap)
    finally:
        screen.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
        screen.detach()


def test_a_finger_moves_the_slider_on_a_phone(browser, sites, light_chapter):
    """The same where Chromium is a phone's."""
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as phone:
        page = phone.new_page()
        page.goto(sites["http"] + light_chapter, wait_until="networkidle")
        explorers_drawn(page)
        for root in page.locator(EXPLORER).all():
            past_the_question(root)
            touched(page, root, page.touchscreen.tap)


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


@each_chapter
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
