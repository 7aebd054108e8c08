"""A link to a check opens it and the fold that it is in; without a script the folds are the browser's own."""

import json
import re

import pytest
from conftest import CHAPTERS, DESK, PHONE, ROOT, visiting

IN_SIGHT = """id => {
    const check = document.getElementById(id);  // not there yet while the page loads
    const box = check?.firstElementChild.getBoundingClientRect();
    return Boolean(check?.open && box.height > 0 && box.top >= 0 && box.bottom <= innerHeight);
}"""


def anchors(book, name: str, grouped: bool) -> list[str]:
    """Ids of a chapter's checks that are, or are not, in a fold of a section."""
    page = (book / name).read_text(encoding="utf-8")
    inside = "".join(re.findall(r'<details class="im-checks">.*?(?=</div></details>\s*(?:<[^d]|<div))', page, re.S))
    every = re.findall(r'<details class="im-check" id="([^"]+)"', page)
    return [anchor for anchor in every if (f'id="{anchor}"' in inside) == grouped]


@pytest.mark.parametrize("grouped", [False, True])
def test_an_address_opens_the_check_that_it_names(context, sites, book, light_chapter, grouped):
    anchor = anchors(book, light_chapter, grouped)[-1]
    with visiting(context, f"{sites['http']}{light_chapter}") as visit:
        assert not visit.page.evaluate("id => document.getElementById(id).open", anchor)
        visit.page.goto(f"{sites['http']}{light_chapter}#{anchor}")
        visit.page.wait_for_function(IN_SIGHT, arg=anchor, polling=100)


def test_a_theorem_leads_to_its_check_as_often_as_asked(context, sites, light_chapter):
    with visiting(context, sites["http"] + light_chapter) as visit:
        link = visit.page.locator(".im-check-link").first
        anchor = link.get_attribute("href")[1:]
        for _ in range(2):
            link.click()
            visit.page.wait_for_function(IN_SIGHT, arg=anchor, polling=100)
            visit.page.evaluate("id => { document.getElementById(id).open = false; scrollTo(0, 0) }", anchor)


def test_the_claims_page_leads_into_a_fold(context, sites, book, light_chapter):
    anchor = anchors(book, light_chapter, True)[0]
    with visiting(context, sites["http"] + "book/claims.html") as visit:
        visit.page.locator(f'a[href$="{light_chapter.split("/")[-1]}#{anchor}"]').first.click()
        visit.page.wait_for_function(IN_SIGHT, arg=anchor, polling=100)


def test_checks_open_without_scripts(browser, sites, book, light_chapter):
    anchor = anchors(book, light_chapter, True)[0]
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(sites["http"] + light_chapter)
        check = page.locator(f'[id="{anchor}"]')
        page.locator("details.im-checks", has=check).locator("> summary").click()
        check.locator("> summary").click()
        assert check.locator(".im-check-statement").is_visible() and check.locator("pre").is_visible()


@pytest.mark.parametrize("visit", CHAPTERS, indirect=True)
def test_a_line_is_one_line_at_a_desk_and_two_on_a_phone(visit):
    """Those in folds too."""
    page = visit.page
    opened = "open => document.querySelectorAll('.bd-article .im-checks').forEach(fold => { fold.open = open })"
    page.evaluate(opened, True)
    for size, tallest in ((DESK, 44), (PHONE, 72)):
        page.set_viewport_size(size)
        lines = page.evaluate(
            "[...document.querySelectorAll('.bd-article .im-check > summary')].map("
            "s => [s.innerText, s.getBoundingClientRect().height])"
        )
        assert lines and not [what for what in lines if not 24 <= what[1] <= tallest], size
    page.evaluate(opened, False)


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_stored_check_has_one_line_and_a_section_one_fold(book, name):
    page, stored = (book / name).read_text(encoding="utf-8"), []
    for cell in json.loads((ROOT / name).with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]:
        marks = [output.get("metadata", {}).get("implicitly", {}) for output in cell.get("outputs", ())]
        stored += [mark["claim"]["anchor"] for mark in marks if "claim" in mark]
    assert sorted(re.findall(r'<details class="im-check" id="([^"]+)"', page)) == sorted(stored) != []
    assert not re.search(r'class="im-claim"|Show code cell source(?:(?!</?details).)*class="im-check"', page, re.S)
    folds = [len(re.findall('class="im-checks"', own)) for own in re.split(r"<section\b|</section>", page)]
    assert max(folds) == 1


@pytest.fixture(scope="module")
def opened(context, sites, light_chapter):
    with visiting(context, sites["http"] + light_chapter) as visit:
        yield visit.page


@pytest.fixture
def page(opened):
    opened.evaluate("document.querySelectorAll('.bd-article details').forEach(fold => fold.open = false)")
    yield opened
    opened.emulate_media(media="screen", color_scheme="light", forced_colors="none")


def test_the_keyboard_opens_a_fold_and_a_line_in_it(page):
    fold = page.locator("details.im-checks").first
    check = fold.locator("details.im-check").first
    fold.locator("> summary").focus()
    for key in ("Enter", "Tab"):
        page.keyboard.press(key)
    line = check.locator("> summary")
    ring = line.evaluate("e => [e === document.activeElement, getComputedStyle(e).outline]")
    assert ring[0] and "solid" in ring[1] and "2px" in ring[1]
    page.keyboard.press("Enter")
    assert check.locator(".im-check-statement").is_visible() and check.locator("pre").is_visible()
    assert line.locator(".im-what").evaluate("e => getComputedStyle(e).fontWeight") == "600"


def test_a_line_is_heard_as_a_sentence(page):
    session = page.context.new_cdp_session(page)
    page.evaluate("document.querySelectorAll('.bd-article details.im-checks').forEach(fold => fold.open = true)")
    tree = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    lines = [node["name"]["value"] for node in tree if node.get("role", {}).get("value") == "DisclosureTriangle"]
    heard = [line for line in lines if line.startswith("holds ")]
    room = r" \d+ % of the room to the bound is used"
    pattern = re.compile(r"holds \S.* measured \S.* (at most|at least|stated) [^≤≥]+" + room)
    assert len(heard) == page.locator("details.im-check").count()
    assert not [line for line in heard if not pattern.fullmatch(line)]
    groups = [line for line in lines if re.match(r"\d+ (more )?checks? of this section", line)]
    assert len(groups) == page.locator("details.im-checks").count()
    assert all(re.search(r"holds?\b.* \d+ % of the room", line) for line in groups)


def test_forced_colours_leave_the_marks_of_a_line(page):
    """Discs are grounds, which forced colours paint over unless told not to; the rest is text and borders."""
    page.evaluate("document.querySelectorAll('.bd-article details.im-checks').forEach(fold => fold.open = true)")
    page.emulate_media(forced_colors="active")
    ground, marks = page.evaluate("""() => {
        const look = (e, part) => getComputedStyle(e, part), line = document.querySelector(".im-check > summary");
        return [look(document.body).backgroundColor, {
            verdict: look(line.querySelector(".im-verdict"), "::before").backgroundColor,
            dot: look(line.querySelector(".im-gauge i")).backgroundColor,
            way: look(line.querySelector(".im-gauge"), "::before").borderTopColor,
            stop: look(line.querySelector(".im-gauge"), "::after").borderRightColor,
            chevron: look(line, "::before").borderTopColor,
        }];
    }""")
    assert not [name for name, colour in marks.items() if colour in (ground, "rgba(0, 0, 0, 0)")]


def test_on_paper_folds_are_open_and_lines_closed(page):
    """Whatever the reader has opened: the lines are the result, and their code does not print."""
    page.locator("details.im-check").first.evaluate("check => { check.open = true }")
    page.emulate_media(media="print")
    page.wait_for_function("matchMedia('print').matches", polling=100)
    shown = page.evaluate("""() => {
        const tall = s => [...document.querySelectorAll(s)].filter(e => e.getBoundingClientRect().height > 0).length;
        return [tall(".im-check > summary"), tall(".im-check > div"), document.querySelectorAll(".im-check").length];
    }""")
    assert shown == [shown[2], 0, shown[2]] and shown[2] > 0
