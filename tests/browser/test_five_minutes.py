"""A chapter's opener: it fits into the first screen, and one button opens all folds."""

import pytest
from conftest import CHAPTERS, DESK

FOLDS = "[...document.querySelectorAll('.bd-article details')].map(fold => fold.open)"


@pytest.mark.parametrize("visit", CHAPTERS, indirect=True)
def test_the_opener_ends_in_the_first_screen_and_opens_all_folds(visit):
    page = visit.page
    assert page.viewport_size == DESK
    end = page.locator(".im-facts").bounding_box()
    assert end["y"] + end["height"] <= DESK["height"]
    tops = [page.locator(s).bounding_box()["y"] for s in ("h1", ".im-question", ".im-five", ".im-facts")]
    assert tops == sorted(tops)
    before = page.evaluate(FOLDS)
    assert not all(before)
    page.get_by_role("button", name="open all folds").click()
    assert all(page.evaluate(FOLDS))
    page.get_by_role("button", name="close all folds").click()
    assert not any(page.evaluate(FOLDS))
    page.locator(".bd-article details > summary").first.click()
    assert page.get_by_role("button", name="open all folds").is_visible()
    again = "was => document.querySelectorAll('.bd-article details').forEach((fold, k) => { fold.open = was[k] })"
    page.evaluate(again, before)


def test_the_list_is_whole_without_a_script(scriptless, sites, light_chapter):
    """One template writes it for all chapters; the build refuses a chapter with another number of take-aways."""
    scriptless.goto(sites["http"] + light_chapter)
    assert 3 <= scriptless.locator(".im-five-list > li a:visible").count() <= 5
    assert "min everything" in scriptless.locator(".im-five-times").inner_text()
    assert scriptless.locator(".im-five button").count() == 0
