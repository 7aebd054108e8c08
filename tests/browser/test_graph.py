"""The graph of claims: what one points at, walks to or holds, the list that says the same, and the file beside it."""

import json

import pytest
from conftest import DESK, PHONE, prepare, visiting
from test_accessible import OF_THE_LOOK, STAND_INS, WCAG, findings

from book_model import Book
from claims_model import users
from paths import ROOT

NAME = "book/claims.html"
BOXES = Book(ROOT).boxes
USERS = users(BOXES)
#: A claim that uses others and is used; one that another chapter uses; one that is alone.
BETWEEN, AFAR, ALONE = "stable-minima/C3", "random-orderings/C6", "implicit-bias-multiclass/C12"
# The arrows that are brought out, by user and used, and how.
ARROWS = """() => [...document.querySelectorAll(".im-graph-claim > .im-graph-use")]
    .map(e => [e.parentElement.dataset.claim, e.dataset.to, getComputedStyle(e)])
    .filter(([, , style]) => parseFloat(style.strokeWidth) > 1.5)
    .map(([user, used, style]) => [user, used, style.strokeDasharray === "none" ? "solid" : "dashed"])"""
FOCUS = "document.activeElement.dataset?.claim ?? document.activeElement.getAttribute('href')"


@pytest.fixture(scope="module")
def page(context, sites):
    with visiting(context, sites["http"] + NAME) as visit:
        yield visit.page


@pytest.fixture(autouse=True)
def as_at_first(page):
    page.bring_to_front()
    page.set_viewport_size(DESK)
    claim(page, ALONE).dispatch_event("keydown", {"key": "Escape", "bubbles": True})
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)


def claim(page, name: str):
    return page.locator(f'.im-graph-claim[data-claim="{name}"]')


def arrows(page) -> set[tuple[str, str, str]]:
    return {tuple(found) for found in page.evaluate(ARROWS)}


def of(name: str) -> set[tuple[str, str, str]]:
    """The arrows that a claim brings out."""
    return {(name, used, "solid") for used in BOXES[name].uses} | {(user, name, "dashed") for user in USERS[name]}


def said(page) -> str:
    return page.locator(".im-graph-said").inner_text()


def test_every_claim_and_every_use_is_there(page):
    drawn = page.evaluate("[...document.querySelectorAll('.im-graph-claim')].map(e => e.dataset.claim)")
    listed = page.evaluate("[...document.querySelectorAll('.im-graph-list [data-claim]')].map(e => e.dataset.claim)")
    assert drawn == listed == list(BOXES)
    uses = page.evaluate("""[...document.querySelectorAll('.im-graph-claim > .im-graph-use')]
        .map(e => [e.parentElement.dataset.claim, e.dataset.to])""")
    assert uses == [[box.id, used] for box in BOXES.values() for used in box.uses] and len(uses) > 90
    assert not arrows(page)


@pytest.mark.parametrize("name", [BETWEEN, AFAR, ALONE])
def test_what_one_points_at_is_shown(page, name):
    hint = said(page)
    claim(page, name).locator("text").hover()
    assert arrows(page) == of(name)
    assert name in said(page) and BOXES[name].title in said(page)
    assert ("Uses " in said(page)) == bool(BOXES[name].uses or name == ALONE)
    assert not page.locator(".im-graph-said a").count(), "no links that come and go"
    page.mouse.move(0, 0)
    assert not arrows(page) and said(page) == hint


def test_the_line_and_the_list_say_one_thing(page):
    for name in (BETWEEN, AFAR):
        claim(page, name).dispatch_event("pointerover")
        item = page.locator(f'.im-graph-list [data-claim="{name}"]').evaluate("e => e.textContent")
        assert " ".join(item.split()).removeprefix(BOXES[name].short) in " ".join(
            page.locator(".im-graph-said").evaluate("e => e.textContent").split())  # fmt: skip
    assert "C6 of chapter 9" in said(page)


def test_the_line_moves_nothing_and_has_room(page):
    found = page.evaluate("""() => {
        const svg = document.querySelector(".im-graph > svg"), said = document.querySelector(".im-graph-said");
        const top = () => svg.getBoundingClientRect().top, at = top(), wrong = [];
        for (const link of document.querySelectorAll(".im-graph-claim")) {
            link.dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));
            if (top() !== at || said.scrollHeight > said.clientHeight + 1) wrong.push(said.textContent);
        }
        svg.dispatchEvent(new PointerEvent("pointerleave"));
        return wrong;
    }""")
    assert not found


def test_a_click_holds_a_claim_and_its_links(page):
    claim(page, BETWEEN).locator("text").click()
    claim(page, AFAR).dispatch_event("pointerover")
    assert arrows(page) == of(BETWEEN), "it is held while others are pointed at"
    page.evaluate("document.activeElement.blur()")
    page.locator(".im-graph > svg").dispatch_event("pointerleave")
    assert arrows(page) == of(BETWEEN)
    links = page.locator(".im-graph-said a").evaluate_all("all => all.map(a => a.hash.slice(1))")
    assert links == [BETWEEN, *BOXES[BETWEEN].uses, *USERS[BETWEEN]]
    page.locator(".im-graph-said a").last.focus()
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == BETWEEN, "from the links one comes back to the claim"
    page.mouse.move(0, 0)
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    assert not arrows(page)
    claim(page, BETWEEN).locator("text").click()
    page.locator(".im-graph > svg").dispatch_event("click")
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)
    assert not arrows(page), "a click beside all claims lets go"


def test_the_keyboard_walks_through_the_picture(page):
    """One stop for Tab, arrows for the rest; Enter holds, and once more leads to the claim."""
    stops = page.evaluate("[...document.querySelectorAll('.im-graph > svg a')].filter(a => a.tabIndex === 0).length")
    assert stops == 1
    claim(page, "stable-minima/C2").focus()
    for key, there in [("ArrowRight", BETWEEN), ("ArrowDown", "typical-nets/C3"), ("ArrowUp", BETWEEN),
                       ("End", "stable-minima/C9"), ("ArrowRight", "stable-minima/C9"),
                       ("ArrowDown", "typical-nets/C9"), ("Home", "../chapters/typical-nets.html"),
                       ("ArrowRight", "typical-nets/C1"), ("ArrowLeft", "../chapters/typical-nets.html")]:  # fmt: skip
        page.keyboard.press(key)
        assert page.evaluate(FOCUS) == there, key
    claim(page, BETWEEN).focus()
    assert arrows(page) == of(BETWEEN)
    ring = page.evaluate("getComputedStyle(document.activeElement.querySelector('.im-graph-hit')).stroke")
    assert ring not in ("none", ""), "the focus is seen"
    name = page.evaluate("document.activeElement.querySelector('title').textContent")
    assert name.startswith("C3 Stable minima bend little: proved here. Uses C1 and C2. Used by ")
    page.keyboard.press("Enter")
    assert page.locator(".im-graph-said a").count() == 1 + len(of(BETWEEN))
    page.evaluate("""() => addEventListener("click", event => {
        window.leads = !event.defaultPrevented && event.target.closest("a").getAttribute("href");
        event.preventDefault();
    }, {once: true})""")
    page.keyboard.press("Enter")
    assert page.evaluate("window.leads") == f"../chapters/stable-minima.html#{BETWEEN}"


def test_the_keyboard_can_pass_the_picture(page):
    page.locator(".im-graph-skip").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.im-graph-list') !== null")


def test_no_name_is_crossed_and_nothing_is_cut(page):
    found = page.evaluate("""() => {
        const svg = document.querySelector(".im-graph > svg"), wrong = [];
        const names = [...svg.querySelectorAll("text")].map(e => [e.textContent, e.getBBox()]);
        const {width, height} = svg.viewBox.baseVal;
        for (const [text, b] of names) {
            if (b.x < 0 || b.x + b.width > width || b.y + b.height > height) wrong.push([text, "is cut"]);
            for (const [other, c] of names)
                if (b !== c && b.x < c.x + c.width && c.x < b.x + b.width && b.y < c.y + c.height - 1
                    && c.y < b.y + b.height - 1) wrong.push([text, other]);
        }
        for (const path of svg.querySelectorAll(".im-graph-use"))
            for (let at = 0; at < path.getTotalLength(); at += 2) {
                const p = path.getPointAtLength(at);
                const hit = names.find(([, b]) => p.x > b.x && p.x < b.x + b.width && p.y > b.y + 2
                    && p.y < b.y + b.height - 2);
                if (p.y >= 0 && !hit) continue;
                wrong.push([path.parentElement.dataset.claim, path.dataset.to, hit?.[0]]);
                break;
            }
        return wrong;
    }""")
    assert not found


def test_it_is_readable_by_everyone_while_a_claim_is_held(context, sites):
    """All rules in light, those on looks in the dark; of what is alike three stand for all, as on every page."""
    with visiting(context, sites["http"] + NAME) as visit:
        page = visit.page
        claim(page, BETWEEN).focus()
        page.keyboard.press("Enter")
        page.locator(".im-graph-list").evaluate("e => e.open = true")
        assert not page.evaluate(STAND_INS) and page.locator(".im-graph-list [data-claim]").count() > 3
        found = findings(page, "tag", WCAG)
        page.emulate_media(color_scheme="dark")
        page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
        found += findings(page, "rule", OF_THE_LOOK)
        page.emulate_media(color_scheme="light")
        assert not found, "\n".join(found)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["1440", "390"])
def test_without_a_script_it_is_the_picture_and_the_list(browser, sites, size):
    with browser.new_context(viewport=size, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(sites["http"] + NAME)
        assert not page.locator(".im-graph-said").is_visible()
        assert page.locator(".im-graph > svg").is_visible() == (size == DESK)
        if size == DESK:
            claim(page, BETWEEN).focus()
            assert arrows(page) == {found for found in of(BETWEEN) if found[2] == "solid"}
        page.locator(".im-graph-list > summary").click()
        for name in (BETWEEN, AFAR, ALONE):
            item = page.locator(f'.im-graph-list [data-claim="{name}"]')
            assert item.is_visible() and BOXES[name].title in item.inner_text()
        row = page.locator(f'table.im-claims tr:has(a[href$="#{BETWEEN}"])').first
        assert "uses C1 and C2" in row.inner_text()


@pytest.mark.parametrize("width", [320, 390, 700, 1000, 1100, 1300])
def test_where_there_is_no_room_the_list_stands_alone(page, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.locator(".im-graph-list").evaluate("e => e.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    picture = page.locator(".im-graph > svg")
    assert picture.is_visible() == page.locator(".im-graph-said").is_visible()
    if picture.is_visible():
        assert picture.evaluate("e => e.getBoundingClientRect().right <= document.documentElement.clientWidth")
        assert picture.evaluate("e => e.getBoundingClientRect().width == e.viewBox.baseVal.width"), "at full size"
    else:
        assert width < 1300
    page.locator(".im-graph-list").evaluate("e => e.open = false")


def test_forced_colours_keep_the_marks_apart(browser, sites):
    with browser.new_context(viewport=DESK, forced_colors="active", color_scheme="dark") as context:
        page = prepare(context).new_page()
        page.goto(sites["http"] + NAME)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        shapes = page.evaluate("""() => ["proved", "partly-proved", "not-proved", "measured"].map(status => {
            const style = getComputedStyle(document.querySelector(`.im-graph .im-graph-${status}`));
            return [style.fill, style.stroke];
        })""")
        (disc, _), (_, half), (hole, ring), (bar, _) = shapes
        assert ground not in (disc, half, ring, bar) and hole == ground
        claim(page, BETWEEN).focus()
        assert arrows(page) == of(BETWEEN), "solid and dashed, where colours are one"


def test_the_file_beside_the_page_is_what_the_page_says(page, sites):
    link = page.get_by_role("link", name="claims.json", exact=True)
    answer = page.request.get(link.evaluate("a => a.href"))
    data = json.loads(answer.body())
    rows = page.locator("table.im-claims tbody tr:not(.im-group) .im-c-check a")
    told = [check["address"].partition("#")[2] for claim in data["claims"] for check in claim["checks"]]
    assert sorted(told) == sorted(rows.evaluate_all("all => all.map(a => a.hash.slice(1))"))
    assert [claim["id"] for claim in data["claims"]] == list(BOXES)
    schema = page.get_by_role("link", name="its JSON Schema").evaluate("a => a.href")
    assert page.request.get(schema).json()["$id"].endswith(schema.rpartition("/")[2])
    fields = page.evaluate("[...document.querySelectorAll('.im-data th code')].map(e => e.textContent)")
    claim_, check = data["claims"][0], data["claims"][0]["checks"][0]
    assert fields == [*data, *claim_, *check], "every name is documented, in the order of the file"
