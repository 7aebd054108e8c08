"""Answers to exercises in a real browser, on a page of its own: a small chapter with the book's style sheets."""

import itertools
import re
import shutil

import pytest
from answer_page import CHOICE, HALF, NUMBER, WHICH, build
from conftest import DESK, PHONE, ROOT, refused, serve
from playwright.sync_api import expect
from test_accessible import WCAG, findings

from implicitly import answer, right_answer

SHELL = """<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>One chapter</title>
<link rel="stylesheet" href="tokens.css"><link rel="stylesheet" href="book.css">
<link rel="stylesheet" href="answers.css"><script defer src="answers.js"></script></head><body>
<nav class="bd-links" aria-label="Book"><ul><li class="current active"><a href="#">One chapter</a></li></ul></nav>
<main><article class="bd-article">{}</article></main></body></html>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    chapter, home, _ = build(folder / "book", HALF + "\n" + WHICH, [NUMBER, CHOICE])
    for name, page in (("chapter.html", chapter), ("home.html", home)):
        body = re.search(r'<div class="body" role="main">(.*?)<div class="sphinxsidebar"', page, re.S)[1]
        (folder / name).write_text(SHELL.format(re.sub(r"(</?div[^>]*>\s*)+$", "", body)))
    for name in ("tokens.css", "book.css", "answers.css", "answers.js"):
        shutil.copy(ROOT / "book/_static" / name, folder)
    with serve(folder) as address:
        yield address


@pytest.fixture
def page(context, site):
    page, errors = context.new_page(), []
    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(site + "chapter.html")
    yield page
    page.evaluate("localStorage.clear()")
    page.close()
    assert not errors, errors


def parts(page):
    form = page.locator("#answer-ex-demo-half")
    return form, form.locator("input"), form.locator("button"), form.get_by_role("status")


def test_a_number_from_the_keyboard_alone(page):
    _, field, button, said = parts(page)
    expect(page.locator(".im-progress")).to_have_count(0)
    expect(page.get_by_role("textbox", name="Your answer to exercise 1")).to_have_count(1)
    field.focus()
    page.keyboard.press("Enter")
    expect(said).to_be_empty()
    expect(field).to_be_focused()
    page.keyboard.type("1/2")
    page.keyboard.press("Enter")
    expect(said).to_contain_text("Not yet. That is half.")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    said.locator("summary").press("Enter")
    expect(said.locator("details")).to_contain_text("Draw it.")
    field.fill("5/256")
    expect(said).to_be_empty()
    expect(field).not_to_have_attribute("aria-invalid", "true")
    button.focus()
    page.keyboard.press("Space")
    expect(said).to_contain_text("Right. It is")
    expect(button).to_be_focused()
    expect(page.locator(".im-progress")).to_have_text(" 1 of 2 exercises")


def test_an_empty_check_only_focuses(page):
    _, field, button, said = parts(page)
    button.click()
    expect(field).to_be_focused()
    expect(said).to_be_empty()
    assert page.evaluate("localStorage.length") == 0


UNDERSTOOD = {
    "Right": ["5/256", " 0.01953125 ", "0,0195", "1.953e-2", "5*2^-8", ".0195", "sqrt(25)/256", "√25/256",
              "5 × 2**(-8)", "0.0195 ms", "\N{MINUS SIGN}5/\N{MINUS SIGN}256", "exp(ln(5/256))", "pi/pi*5/2^8",
              "+(5)/(260-2^2)", "e/e/51.2"],
    "Not yet": ["-5/256", "0.0197", "-2^2", "1e3"],
    "Not a number": ["five", "1,000", "5//256", "5/", "(5", "1/0", "5)", "sqrt", "2 3", "sqrt(-1)", "alert(1)"],
}  # fmt: skip


def test_what_is_understood(page):
    _, field, button, said = parts(page)
    found = {}
    for text in itertools.chain(*UNDERSTOOD.values()):
        field.fill(text)
        button.click()
        found.setdefault(said.locator("b").inner_text().rstrip("."), []).append(text)
    assert found == UNDERSTOOD


def test_page_and_library_agree(page, monkeypatch, capsys):
    """At the edge of the tolerance, too."""
    right_answer("ex-demo-half", NUMBER["value"], within=NUMBER["within"], hints=[(0.5, "half")])
    edges = [NUMBER["value"] + side * NUMBER["within"] * (1 + by) for side in (-1, 1) for by in (-1e-6, 0, 1e-6)]
    assert len({answer("ex-demo-half", given).right for given in edges}) == 2, "no edge was tried"
    _, field, button, said = parts(page)
    for given in [*edges, 0.5, 0.50009, 0.50011]:
        field.fill(repr(given))
        button.click()
        told, verdict = said.inner_text(), answer("ex-demo-half", given)
        assert ("Right." in told, "That is half" in told) == (verdict.right, "half" in verdict.words), given


def test_a_choice(page):
    form = page.locator("#answer-ex-demo-which")
    said, button, items = form.get_by_role("status"), form.locator("button"), form.locator("li")
    button.click()
    expect(form.locator("input").first).to_be_focused()
    expect(said).to_be_empty()
    form.get_by_role("radio", name="The third.").check()
    button.press("Enter")
    expect(items.nth(2)).to_contain_text("your choice: Not")
    expect(items.nth(1)).to_contain_text("the answer")
    expect(said).to_contain_text("The answer is 2: The second.")
    expect(said).to_contain_text("It comes last.")
    expect(form.locator("input").nth(2)).to_be_checked()
    expect(button).to_be_focused()
    form.locator("input").nth(2).press("ArrowUp")
    expect(said).to_be_empty()
    form.locator("input").nth(1).press("Enter")
    expect(said).to_contain_text("Right. It comes last.")


def test_answers_are_kept_and_forgotten(page, site):
    """The guesses of explorers with them, and nothing else."""
    _, field, button, _ = parts(page)
    field.fill("5/256")
    button.click()
    page.locator("#answer-ex-demo-which input").nth(2).check()
    page.locator("#answer-ex-demo-which button").click()
    page.evaluate("localStorage.setItem('implicitly/predict/x', '[\"?\", 1]'); localStorage.setItem('mode', 'dark')")
    page.reload()
    expect(parts(page)[3]).to_contain_text("Right.")
    expect(field).to_have_value("5/256")
    expect(page.locator("#answer-ex-demo-which li").nth(2)).to_contain_text("your choice")
    expect(page.locator(".im-progress")).to_have_text(" 2 of 2 exercises")
    page.goto(site + "home.html")
    page.get_by_role("button", name="Forget my answers").click()
    expect(page.get_by_role("status")).to_have_text("Forgotten: 2 answers and 1 guess.")
    assert page.evaluate("Object.keys(localStorage)") == ["mode"]
    page.get_by_role("button", name="Forget my answers").click()
    expect(page.get_by_role("status")).to_have_text("Nothing of yours is kept in this browser.")
    page.goto(site + "chapter.html")
    expect(field).to_have_value("")
    expect(page.locator(".im-progress")).to_have_count(0)


@pytest.mark.parametrize("kept", ["{", "9", "", "null"])
def test_what_somebody_else_put_there_does_no_harm(page, kept):
    for name in ("half", "which"):
        place = f"implicitly/answer/ex-demo-{name}"
        page.evaluate("([place, kept]) => localStorage.setItem(place, kept)", [place, kept])
    page.reload()
    expect(page.locator("form.im-answer.im-waiting")).to_have_count(0)


def test_where_nothing_may_be_kept(forgetful, site):
    page, errors = forgetful.new_page(), []
    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(site + "chapter.html")
    assert refused(page), "the browser keeps what it is given: this test shows nothing"
    _, field, button, said = parts(page)
    field.fill("5/256")
    button.click()
    expect(said).to_contain_text("Right.")
    expect(page.locator(".im-progress")).to_have_text(" 1 of 2 exercises")
    page.goto(site + "home.html")
    page.get_by_role("button", name="Forget my answers").click()
    expect(page.get_by_role("status")).to_have_text("Nothing of yours is kept in this browser.")
    page.close()
    assert not errors, errors


def test_without_a_script_and_on_paper(browser, page, site):
    _, field, button, said = parts(page)
    field.fill("1/2")
    button.click()
    page.emulate_media(media="print")
    for hidden in (button, said, page.locator(".im-understood")):
        expect(hidden).to_be_hidden()
    expect(field).to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('form.im-answer input')).color") == "rgba(0, 0, 0, 0)"
    page.emulate_media(media="screen")
    with browser.new_context(java_script_enabled=False) as context:
        bare = context.new_page()
        bare.goto(site + "chapter.html")
        for hidden in (".im-answer-row", ".im-understood", "form button", "input"):
            assert bare.locator(hidden).count() and not bare.locator(hidden).first.is_visible(), hidden
        expect(bare.get_by_text("The second.")).to_be_visible()


@pytest.mark.parametrize("answered", [False, True])
def test_axe_is_silent(page, answered):
    _, field, button, _ = parts(page)
    if answered:
        field.fill("1/2")
        button.click()
        page.locator("#answer-ex-demo-which input").nth(2).check()
        page.locator("#answer-ex-demo-which button").click()
    found = []
    for theme, size in (("light", DESK), ("dark", PHONE)):
        page.set_viewport_size(size)
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        found += findings(page, "tag", WCAG)
    assert not found, "\n".join(found)
