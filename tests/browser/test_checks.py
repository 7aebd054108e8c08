"""A link to a check opens it and the fold that it is in; without a script the folds are the browser's own."""

import re

import pytest
from conftest import CHAPTERS, visiting

IN_SIGHT = """id => {
    const check = document.getElementById(id), box = check.firstElementChild.getBoundingClientRect();
    return check.open && box.height > 0 && box.top >= 0 && box.bottom <= innerHeight;
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


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_line_is_one_line_at_a_desk_and_two_on_a_phone(context, sites, name):
    with visiting(context, sites["http"] + name) as visit:
        for width, tallest in ((1440, 44), (390, 72)):
            visit.page.set_viewport_size({"width": width, "height": 900})
            tall = visit.page.evaluate(
                "[...document.querySelectorAll('.bd-article .im-check > summary')].map("
                "s => [s.innerText, s.getBoundingClientRect().height]).filter(s => s[1])"
            )
            assert not [what for what in tall if what[1] > tallest], width
