"""Every page: nothing from elsewhere, nothing broken, nothing that moves, light enough, good on paper."""

import gzip
import time
from urllib.parse import unquote, urlsplit

import pytest
from conftest import (
    BY_SPHINX,
    CHAPTERS,
    DESK,
    HTML,
    NARROWEST,
    PAGES,
    PHONE,
    QuietHandler,
    prepare,
    refused,
    serve,
    visiting,
)
from explorers import settled

MOST_GZIPPED = 300_000  # bytes of HTML, CSS and JS that the first view of a page may ask for
# Layout shift as browsers count it, in screens. The first visit may see fonts arrive; below 0.1 is
# called good. Without fonts, what moves is moved by a script or a picture, and nothing should be.
MOST_SHIFT, MOST_SHIFT_BY_SCRIPTS = 0.1, 0.005


def test_no_request_leaves_the_site_and_none_fails(visit, sites):
    assert visit.requests, "the visit recorded nothing"
    assert not visit.elsewhere(sites["http"])
    assert not visit.failures


def test_no_error_in_the_console(visit):
    assert not visit.errors


def test_images_are_shown_and_described(visit):
    images = visit.page.evaluate("""async () => Promise.all([...document.images].map(async image => {
        image.loading = "eager";
        await image.decode().catch(() => {});
        const hidden = image.closest("[aria-hidden=true]") !== null;
        return {src: image.currentSrc || image.src, alt: image.getAttribute("alt"), hidden,
                drawn: image.complete && image.naturalWidth > 0};
    }))""")
    assert not [i for i in images if not i["drawn"]], "images that do not load"
    assert not [i for i in images if not i["hidden"] and not (i["alt"] or "").strip()], "images without alt text"
    unnamed = visit.page.evaluate("""() => [...document.querySelectorAll("[role=img]")]
        .filter(e => !e.closest("[aria-hidden=true]"))
        .filter(e => !(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") ||
                       e.querySelector("title")?.textContent))
        .map(e => e.outerHTML.slice(0, 120))""")
    assert not unnamed, "drawings without a name"


def test_nothing_moves_while_the_page_loads(visit, measured):
    shift = sum(entry["value"] for entry in visit.shifts)
    measured(f"layout shift  {shift:.4f}  {visit.name}")
    assert shift <= MOST_SHIFT, visit.shifts


def test_first_view_is_light(visit, book, sites, measured):
    """Bytes after gzip of every HTML, CSS and JS file that the first view asked for."""
    sizes = {}
    for url in dict.fromkeys(visit.first_view):
        name = unquote(urlsplit(url).path).lstrip("/")
        if name.endswith((".html", ".css", ".js")):
            sizes[name] = len(gzip.compress((book / name).read_bytes(), 6))
    total = sum(sizes.values())
    measured(f"first view  {total / 1000:6.1f} kB gzipped  {visit.name}")
    if visit.name in CHAPTERS:
        for name, size in sorted(sizes.items(), key=lambda s: -s[1]):
            measured(f"{size / 1000:20.1f} kB  {name}")
    assert total <= MOST_GZIPPED, sizes


SIDEWAYS = """() => {
    window.scrollTo(1000, 0);
    const by = window.scrollX, root = document.documentElement, width = root.clientWidth;
    window.scrollTo(0, 0);
    const held = e => e !== document.body && e !== root
        && /auto|scroll|hidden|clip/.test(getComputedStyle(e).overflowX);
    const scrolls = e => e && (held(e) || scrolls(e.parentElement));
    const wide = [...document.querySelectorAll("body *")]
        .filter(e => e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement))
        .filter(e => !e.closest(".katex-mathml, .im-sr"))
        .map(e => `${e.getBoundingClientRect().right}: ${e.outerHTML.slice(0, 100)}`);
    return {by, over: root.scrollWidth - width, wide: wide.slice(0, 10)};
}"""


def test_no_sideways_scroll_on_a_phone(visit):
    for size in (PHONE, NARROWEST):
        visit.page.set_viewport_size(size)
        settled(visit.page)
        seen = visit.page.evaluate(SIDEWAYS)
        assert seen["by"] == 0 and seen["over"] <= 0, (size, seen)
        assert not seen["wide"], "\n".join([str(size), *seen["wide"]])


def test_a_fold_that_waits_beside_an_output_says_its_words_in_one_line(visit):
    """In the margin it has less room than its words: they must not break where they could."""
    tall = visit.page.evaluate("""() => [...document.querySelectorAll("details.hide:not([open]) > summary p")]
        .filter(p => p.getClientRects().length)
        .filter(p => p.getBoundingClientRect().height > 1.7 * parseFloat(getComputedStyle(p).lineHeight))
        .map(p => `${p.getBoundingClientRect().height}: ${p.innerText}`)""")
    assert not tall, tall


def test_print_shows_the_text_and_no_navigation(visit):
    page = visit.page
    page.emulate_media(media="print")
    shown = page.evaluate("""() => {
        window.dispatchEvent(new Event("beforeprint"));
        const visible = e => e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length > 0;
        const which = s => [...document.querySelectorAll(s)].filter(visible).map(e => e.outerHTML.slice(0, 100));
        const result = {
            navigation: which("nav, .bd-sidebar-primary, .bd-sidebar-secondary, .prev-next-area, [role=search]"),
            buttons: which("button, [data-im-control], .article-header-buttons"),
            // Opened or not: what is folded on the screen has to be on the paper, but for code (of a check its line is)
            // and the numbers of an explorer.
            folded: [...document.querySelectorAll(
                "main details:not(.hide, .im-check, [data-im-numbers]) > :not(summary)")]
                .filter(e => !(visible(e) && e.getBoundingClientRect().height > 0))
                .map(e => e.outerHTML.slice(0, 100)),
            heading: which("h1").length,
            text: document.querySelector("main, article, body").innerText.length,
            ground: getComputedStyle(document.body).backgroundColor,
        };
        window.dispatchEvent(new Event("afterprint"));
        return result;
    }""")
    assert not shown["navigation"] and not shown["buttons"]
    assert not shown["folded"], "folded proofs and solutions print closed"
    if visit.name not in BY_SPHINX:
        assert shown["heading"] == 1 and shown["text"] > 200, shown


def test_a_page_works_from_the_disk_where_nothing_may_be_kept(disk_visit, sites):
    """Its fonts are kept from it: the browser asks for them, and says so."""
    assert disk_visit.requests, "the visit recorded nothing"
    assert not disk_visit.elsewhere(sites["file"])
    assert not [fault for fault in disk_visit.failures if not fault.endswith(".woff2")]
    assert not [fault for fault in disk_visit.errors if "ERR_FAILED" not in fault]
    assert refused(disk_visit.page), "the browser keeps what it is given: this test shows nothing"


def test_without_fonts_nothing_moves(disk_visit, measured):
    """Maths is set when the book is built and explorers have their room: neither moves the text."""
    shift = sum(entry["value"] for entry in disk_visit.shifts)
    measured(f"layout shift without fonts  {shift:.4f}  {disk_visit.name}")
    assert shift <= MOST_SHIFT_BY_SCRIPTS, disk_visit.shifts


class LateFonts(QuietHandler):
    seconds = 0.5  # less than a page waits for them

    def do_GET(self):
        if self.path.endswith(".woff2"):
            time.sleep(self.seconds)
        super().do_GET()


class LostFonts(LateFonts):
    seconds = 20


# pages whose lines break elsewhere in another face
@pytest.mark.parametrize("name", ["chapters/fp4-training.html", "chapters/low-bit-accumulators.html"])
def test_fonts_that_come_late_move_nothing(browser, book, name):
    with (
        serve(book, LateFonts) as site,
        browser.new_context(viewport=DESK) as context,
        visiting(prepare(context), site + name) as visit,
    ):
        visit.page.wait_for_timeout(2 * 1000 * LateFonts.seconds)
        shifts = visit.page.evaluate("window.imShifts")
    assert sum(entry["value"] for entry in shifts) <= MOST_SHIFT_BY_SCRIPTS, shifts


def test_a_page_is_shown_before_fonts_that_take_long(browser, book, light_chapter):
    with serve(book, LostFonts) as site, browser.new_context(viewport=DESK) as context:
        page = prepare(context).new_page()
        page.goto(site + light_chapter, wait_until="commit")
        page.locator("h1").wait_for(state="visible", timeout=1000 * LostFonts.seconds / 2)


def test_every_built_page_is_visited(book):
    built = {str(p.relative_to(book)) for p in HTML.rglob("*.html") if "_static" not in p.parts}
    assert built <= {*PAGES, *BY_SPHINX, "index.html"}
