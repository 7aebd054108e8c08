"""The question before the picture."""

import pytest
from explorer_pages import APPROACH, PHONE, PICTURE, READY
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


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
