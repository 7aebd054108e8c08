"""The page of all claims: every stored check is there, and filter and order answer."""

import json

import pytest
from conftest import ROOT, visiting

NAME = "book/claims.html"
ROWS = """() => [...document.querySelectorAll("table.im-claims tbody tr")].map(row => ({
    group: row.classList.contains("im-group"),
    shown: row.checkVisibility(),
    text: row.textContent,
    id: row.querySelector(".im-c-id a")?.hash.slice(1),
    status: row.querySelector(".im-c-status")?.textContent,
    used: Number(row.querySelector(".im-gauge")?.style.getPropertyValue("--im-used")),
}))"""


@pytest.fixture(scope="module")
def page(context, sites):
    with visiting(context, sites["http"] + NAME) as visit:
        yield visit.page


@pytest.fixture(autouse=True)
def as_at_first(page):
    page.locator(".im-claims-tools input").fill("")
    page.locator(".im-claims-tools select").select_option(index=0)


def shown(page) -> list[dict]:
    return [row for row in page.evaluate(ROWS) if row["shown"]]


def claims(page) -> list[dict]:
    return [row for row in shown(page) if not row["group"]]


def stored() -> list[str]:
    """The id of every check in the notebooks, in the order of the book's chapters."""
    found = []
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        for cell in json.loads(path.read_text())["cells"]:
            for output in cell.get("outputs", []):
                claim = output.get("metadata", {}).get("implicitly", {}).get("claim")
                found += [claim["id"]] if claim else []
    return found


def test_every_stored_check_has_its_row(page):
    assert sorted(row["id"] for row in claims(page)) == sorted(stored()) != []


def test_the_filter_keeps_what_it_says(page):
    everything = claims(page)
    box = page.locator(".im-claims-tools input")
    word = everything[0]["id"].split("/")[1]
    box.press_sequentially(word)
    kept = claims(page)
    assert kept and len(kept) < len(everything)
    assert all(word.lower() in row["text"].lower() for row in kept)
    assert f"{len(kept)} of {len(everything)}" in page.locator(".im-claims-tools output").inner_text()
    box.fill("no claim says this")
    assert not shown(page), "no claim is left, and no heading of a chapter either"
    whole = page.locator(".im-claims-tools output a")
    assert whole.get_attribute("href") == "../search.html?q=no%20claim%20says%20this"
    box.fill("argin")
    assert not shown(page), "words are looked for where they begin: not within margin"


@pytest.mark.parametrize(("query", "kept"), [
    ("softmax", "grokking-precision/C1"),
    ("moving average", "sgd-butterfly/C4"),
    ("sharpness", "stable-minima/C3"),
    ("2/eta", "stable-minima/C3"),
    ("2/η", "stable-minima/C3"),
    ("cross-entropy", "implicit-bias-multiclass/C3"),
    ("cross entropy", "implicit-bias-multiclass/C3"),
    ("k^(-1/3)", "greedy-orderings/C7"),
    ("turns to the largest margin", "implicit-bias-multiclass/C3"),
])  # fmt: skip
def test_the_filter_finds_a_claim_by_what_it_says_and_keeps_all_its_checks(page, query, kept):
    everything = claims(page)
    page.locator(".im-claims-tools input").fill(query)
    found = [row["id"] for row in claims(page)]
    assert found.count(kept) == [row["id"] for row in everything].count(kept) > 0
    assert len(found) < len(everything) / 3


def test_what_is_kept_stands_below_the_field(page):
    """The field is near the top; the picture above the table makes room while something is typed."""
    box, table = page.locator(".im-claims-tools input"), page.locator("table.im-claims")
    at = box.bounding_box()["y"] + page.evaluate("scrollY")
    assert at < 700
    box.fill("moving average")
    assert table.bounding_box()["y"] - box.bounding_box()["y"] < 400
    assert abs(box.bounding_box()["y"] + page.evaluate("scrollY") - at) < 1
    box.fill("")
    assert page.locator(".im-graph").is_visible()


def test_a_chapters_count_leads_to_its_claims(context, sites, light_chapter):
    target = context.new_page()
    target.goto(sites["http"] + light_chapter, wait_until="domcontentloaded")
    target.locator(".im-facts a", has_text="stated").click()
    target.wait_for_url("**/book/claims.html#of-*")
    slug = light_chapter.removeprefix("chapters/").removesuffix(".html")
    assert target.locator(f"#of-{slug}").bounding_box()["y"] < 400
    target.close()


def test_the_order_is_by_room_and_by_status(page):
    order = page.locator(".im-claims-tools select")
    in_book_order = [row["id"] for row in claims(page)]
    order.select_option("room")
    used = [row["used"] for row in claims(page)]
    assert used == sorted(used, reverse=True) and len(used) == len(in_book_order)
    order.select_option("status")
    status = [row["status"] for row in claims(page)]
    assert status == sorted(status, key=str.casefold)
    order.select_option(index=0)
    assert [row["id"] for row in claims(page)] == in_book_order


def test_each_row_leads_to_the_box_and_to_the_check(context, page):
    links = page.locator("table.im-claims tbody tr:not(.im-group)").first.locator(".im-c-id a")
    target = context.new_page()
    for address in links.evaluate_all("all => all.map(a => a.href)"):
        target.goto(address, wait_until="domcontentloaded")
        spot = target.evaluate("document.getElementById(decodeURIComponent(location.hash.slice(1)))?.innerText")
        assert spot and spot.strip(), f"{address} leads to nothing"
    target.close()
