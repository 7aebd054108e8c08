"""The map: its filter, what one points at or walks to, and the list that it is without a script or on a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import CHAPTERS, DESK, PHONE, prepare, visiting

from book_model import Book
from paths import ROOT

NAME = "book/map.html"
BOOK = Book(ROOT)
ALL = {paper.id for paper in BOOK.neighbours}
ENTRIES = """() => [...document.querySelectorAll(".im-map-entry")].filter(e => e.checkVisibility())
    .map(e => e.id || [...e.classList].find(c => c.startsWith("im-map-again-")).slice(13))"""
DRAWN = """() => [...document.querySelectorAll("a.im-map-paper")]
    .filter(e => e.checkVisibility({visibilityProperty: true})).map(e => e.dataset.paper)"""
# Of each curve in the picture: its paper, its chapter, whether it is brought out.
CURVES = """() => [...document.querySelectorAll("a.im-map-paper .im-map-curve")].map(curve => ({
    paper: curve.parentElement.dataset.paper,
    chapter: curve.closest("[data-chapter]").dataset.chapter,
    out: parseFloat(getComputedStyle(curve).strokeWidth) > 1.5,
}))"""


@pytest.fixture(scope="module")
def page(context, sites):
    with visiting(context, sites["http"] + NAME) as visit:
        yield visit.page


@pytest.fixture(autouse=True)
def as_at_first(page):
    page.bring_to_front()
    page.set_viewport_size(DESK)
    page.locator("#im-map-filter").fill("")
    page.locator("#im-map-chapter").select_option("")
    page.mouse.move(0, 0)


def brought_out(page) -> set[tuple[str, str]]:
    return {(curve["chapter"], curve["paper"]) for curve in page.evaluate(CURVES) if curve["out"]}


def near(slug: str) -> set[str]:
    return {paper.id for paper in BOOK.neighbours for relation in paper.near if relation.chapter == slug}


def test_everything_is_there_at_first(page):
    assert set(page.evaluate(ENTRIES)) == set(page.evaluate(DRAWN)) == ALL
    assert page.locator("#im-map-count").inner_text() == f"{len(ALL)} of {len(ALL)} papers"
    assert not brought_out(page)


@pytest.mark.parametrize("word", ["Outliers", "kolmogorov", "spikes in four"])
def test_the_filter_keeps_papers_with_a_word(page, word):
    page.locator("#im-map-filter").press_sequentially(word)
    kept = set(page.evaluate(ENTRIES))

    def said(paper):
        return f"{paper.title} {paper.sentence} {paper.gist} {[r.words for r in paper.near]}".lower()

    assert kept == {paper.id for paper in BOOK.neighbours if all(w in said(paper) for w in word.lower().split())}
    assert kept and kept == set(page.evaluate(DRAWN))
    assert page.locator("#im-map-count").inner_text() == f"{len(kept)} of {len(ALL)} papers"
    empty = page.evaluate("""() => [...document.querySelectorAll("article section section")]
        .filter(s => s.checkVisibility() && !s.innerText.includes("20")).map(s => s.id)""")
    assert not empty, "a heading of nothing"


def test_the_filter_with_no_answer_leaves_no_heading(page):
    page.locator("#im-map-filter").fill("no paper says this")
    assert not page.evaluate(ENTRIES) and not page.evaluate(DRAWN)
    assert not page.locator("article section section:visible").count()
    whole = page.locator("#im-map-count a")
    assert whole.get_attribute("href") == "../search.html?q=no%20paper%20says%20this"


def test_a_word_begins_where_one_begins_and_a_hyphen_is_a_space(page):
    field = page.locator("#im-map-filter")
    field.fill("lora")
    assert page.evaluate(ENTRIES) == ["hao-2024-flora"], "it says LoRA; exploration has the letters only"
    field.fill("low-rank")
    kept = page.evaluate(ENTRIES)
    field.fill("low rank")
    assert page.evaluate(ENTRIES) == kept and {"hao-2024-flora", "wei-2024-structured"} <= set(kept) < ALL


@pytest.mark.parametrize("slug", ["fp4-training", "partial-synchronization", "random-orderings"])
def test_the_filter_keeps_the_papers_of_a_chapter(page, slug):
    page.locator("#im-map-chapter").select_option(f"near-{slug}")
    kept = page.evaluate(ENTRIES)
    assert set(kept) == set(page.evaluate(DRAWN)) == near(slug) and len(kept) == len(near(slug))
    page.locator("#im-map-chapter").select_option("on-other-subjects")
    assert set(page.evaluate(ENTRIES)) == {paper.id for paper in BOOK.neighbours if paper.aside}


def test_what_one_points_at_is_shown(page):
    said = page.locator(".im-map-said")
    hint = said.inner_text()
    page.locator('a[data-paper="hao-2025-survey"] text').last.hover()
    survey = {("fp4-training", "hao-2025-survey"), ("low-bit-accumulators", "hao-2025-survey")}
    assert brought_out(page) == survey, "both of its places"
    assert "Low-Precision Training of Large Language Models" in said.inner_text()
    assert said.inner_text().count("Same question") == 2
    page.locator('[data-chapter="score-flow"] .im-map-chapter text').hover()
    assert brought_out(page) == {("score-flow", paper) for paper in near("score-flow")}
    page.mouse.move(0, 0)
    assert not brought_out(page) and said.inner_text() == hint


def test_the_line_that_says_it_moves_nothing(page):
    panels = page.locator(".im-map-panels")
    at = panels.evaluate("e => e.getBoundingClientRect().top + scrollY")
    said = page.locator(".im-map-said")
    for link in page.locator("a.im-map-paper").all():
        link.dispatch_event("pointerover")
        assert panels.evaluate("e => e.getBoundingClientRect().top + scrollY") == at
        over = said.evaluate("e => e.scrollHeight - e.clientHeight")
        assert over <= 1, f"{said.inner_text()} has no room"
    page.locator(".im-map-picture").dispatch_event("pointerleave")


def test_the_keyboard_shows_the_links(page):
    """Tab walks through the picture: a chapter brings out all its curves, a paper its own, and Enter leads to it."""
    first = page.locator('[data-chapter="tempered-overfitting"] .im-map-chapter')
    first.focus()
    assert brought_out(page) == {("tempered-overfitting", paper) for paper in near("tempered-overfitting")}
    page.keyboard.press("Tab")
    one = page.evaluate("document.activeElement.dataset.paper")
    (paper,) = (paper for paper in BOOK.neighbours if paper.id == one)
    assert one in near("tempered-overfitting")
    assert brought_out(page) == {(relation.chapter, one) for relation in paper.near}
    ring = page.evaluate("getComputedStyle(document.activeElement.querySelector('.im-map-hit')).stroke")
    assert ring not in ("none", ""), "the focus is seen"
    title = page.evaluate("document.activeElement.querySelector('title').textContent")
    text = page.evaluate("document.activeElement.querySelector('text').textContent")
    assert title.startswith(text), "its name begins with what one sees"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == f"#{one}"
    assert page.locator(f"#{one}").is_visible()
    page.evaluate("document.activeElement.blur()")
    assert not brought_out(page)


def test_the_keyboard_can_pass_the_picture(page):
    page.locator("#im-map-chapter").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "im-map-skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('svg')") is None
    page.evaluate("document.activeElement.blur()")


def test_nothing_is_cut_and_nothing_overlaps(page):
    """Names end within the picture, and none runs into another."""
    for width in (1440, 1280, 1000, 700):
        page.set_viewport_size({"width": width, "height": 900})
        found = page.evaluate("""() => {
            const right = document.documentElement.clientWidth, wrong = [];
            for (const svg of document.querySelectorAll(".im-map-panel svg")) {
                const box = svg.getBoundingClientRect();
                if (box.right > right) wrong.push(["beyond the window", box.right]);
                const names = [...svg.querySelectorAll("text")].map(e => [e.textContent, e.getBoundingClientRect()]);
                for (const [text, b] of names)
                    if (b.left < box.left - 1 || b.right > box.right + 1) wrong.push([text, b.left, b.right]);
                for (const [text, a] of names) for (const [other, b] of names)
                    if (text !== other && a.left < b.right && b.left < a.right
                        && a.top < b.bottom - 1 && b.top < a.bottom - 1)
                        wrong.push([text, other]);
            }
            return wrong;
        }""")
        assert not found, (width, found)


def test_it_is_readable_by_everyone_while_filtered_and_focused(page):
    page.locator("#im-map-filter").fill("bits")
    page.locator('a[data-paper="huang-2025-stablespam"]').first.focus()
    violations = Axe().run(page, options={"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag22aa"]}})
    assert not violations.response["violations"], violations.generate_report()
    page.evaluate("document.activeElement.blur()")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["1440", "390"])
def test_without_a_script_it_is_the_picture_and_the_list(browser, sites, size):
    with browser.new_context(viewport=size, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(sites["http"] + NAME)
        for paper in BOOK.neighbours:
            assert page.locator(f"#{paper.id}").is_visible()
            assert paper.sentence[:30].replace("'", "’") in page.locator(f"#{paper.id}").inner_text()
        assert not page.locator(".im-map-tools").is_visible() and not page.locator(".im-map-said").is_visible()
        picture = page.locator(".im-map-panels")
        assert picture.is_visible() == (size == DESK)
        if size == DESK:
            link = page.locator('a[data-paper="song-2023-consistency"]').first
            link.focus()
            assert link.locator("path").first.evaluate("e => getComputedStyle(e).strokeWidth") == "2.2px"


def test_a_phone_has_the_list_and_no_picture(page):
    page.set_viewport_size(PHONE)
    assert not page.locator(".im-map-panels").is_visible()
    assert set(page.evaluate(ENTRIES)) == ALL
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.locator("#im-map-chapter").select_option("near-score-flow")
    assert set(page.evaluate(ENTRIES)) == near("score-flow")


def test_forced_colours_keep_the_dots(browser, sites):
    with browser.new_context(viewport=DESK, forced_colors="active", color_scheme="dark") as context:
        page = prepare(context).new_page()
        page.goto(sites["http"] + NAME)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        dots = page.locator(".im-map-panel svg :is(.im-map-disc, .im-map-far)")
        colours = dots.evaluate_all("all => all.map(e => getComputedStyle(e).fill)")
        assert colours and ground not in colours


def test_chapters_lead_to_their_place(context, sites):
    name = next(name for name in CHAPTERS if "score-flow" in name)
    with visiting(context, sites["http"] + name) as visit:
        end = visit.page.locator("#near-this-chapter")
        (paper,) = [paper for paper in BOOK.neighbours if paper.id in near("score-flow")]
        assert paper.title in end.inner_text()
        end.get_by_role("link", name="the map").click()
        visit.page.wait_for_url("**/book/map.html#near-score-flow")
        assert visit.page.locator(":target").is_visible()
