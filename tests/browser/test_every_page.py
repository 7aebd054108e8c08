"""Every page: nothing from elsewhere, nothing broken, nothing that moves, light enough, good on paper."""

import gzip
from urllib.parse import unquote, urlsplit

import pytest
from conftest import BY_SPHINX, CHAPTERS, DESK, HTML, PAGES, PHONE, visiting

MOST_GZIPPED = 300_000  # bytes of HTML, CSS and JS that the first view of a chapter may ask for
# Layout shift as browsers count it, in screens. The first visit may see fonts arrive; below 0.1 is
# called good. Without fonts, what moves is moved by a script or a picture, and nothing should be.
MOST_SHIFT, MOST_SHIFT_BY_SCRIPTS = 0.1, 0.005


@pytest.fixture(scope="module", params=[*PAGES, *BY_SPHINX])
def visit(request, context, sites):
    """One visit over http, shared by the tests of the page; they leave it in light mode at 1440."""
    with visiting(context, sites["http"] + request.param) as visit:
        visit.name = request.param
        yield visit


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


def shift(page) -> tuple[float, list]:
    shifts = page.evaluate("window.imShifts")
    return sum(entry["value"] for entry in shifts), shifts


def test_nothing_moves_while_the_page_loads(visit, context, sites, measured):
    """Maths is set when the book is built and explorers have their room: neither moves the text."""
    first, shifts = shift(visit.page)
    without_fonts = context.new_page()
    without_fonts.route("**/*.woff2", lambda route: route.abort())
    without_fonts.goto(sites["http"] + visit.name, wait_until="networkidle")
    by_scripts, shifts_by_scripts = shift(without_fonts)
    without_fonts.close()
    measured(f"layout shift  {first:.4f}, without fonts {by_scripts:.4f}  {visit.name}")
    assert first <= MOST_SHIFT, shifts
    assert by_scripts <= MOST_SHIFT_BY_SCRIPTS, shifts_by_scripts


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


def test_no_sideways_scroll_on_a_phone(visit):
    page = visit.page
    page.set_viewport_size(PHONE)
    try:
        page.wait_for_timeout(200)
        seen = page.evaluate("""() => {
            window.scrollTo(1000, 0);
            const by = window.scrollX, width = document.documentElement.clientWidth;
            window.scrollTo(0, 0);
            const held = e => /auto|scroll|hidden|clip/.test(getComputedStyle(e).overflowX);
            const scrolls = e => e && (held(e) || scrolls(e.parentElement));
            const wide = [...document.querySelectorAll("body *")]
                .filter(e => e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement))
                .map(e => `${e.tagName}.${e.className}: ${e.getBoundingClientRect().right}`);
            return {by, scrollWidth: document.documentElement.scrollWidth, width, wide: wide.slice(0, 5)};
        }""")
    finally:
        page.set_viewport_size(DESK)
    assert seen["by"] == 0 and seen["scrollWidth"] <= seen["width"], seen


def test_print_shows_the_text_and_no_navigation(visit):
    page = visit.page
    page.emulate_media(media="print")
    try:
        shown = page.evaluate("""() => {
            window.dispatchEvent(new Event("beforeprint"));
            const visible = e => e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length > 0;
            const which = s => [...document.querySelectorAll(s)].filter(visible).map(e => e.outerHTML.slice(0, 100));
            const result = {
                navigation: which("nav, .bd-sidebar-primary, .bd-sidebar-secondary, .prev-next-area, [role=search]"),
                buttons: which("button, [data-im-control], .article-header-buttons"),
                // Opened or not: what is folded on the screen has to be on the paper.
                folded: [...document.querySelectorAll("main details:not(.hide) > :not(summary)")]
                    .filter(e => !(visible(e) && e.getBoundingClientRect().height > 0))
                    .map(e => e.outerHTML.slice(0, 100)),
                heading: which("h1").length,
                text: document.querySelector("main, article, body").innerText.length,
                ground: getComputedStyle(document.body).backgroundColor,
            };
            window.dispatchEvent(new Event("afterprint"));
            return result;
        }""")
    finally:
        page.emulate_media(media="screen")
    assert not shown["navigation"] and not shown["buttons"]
    assert not shown["folded"], "folded proofs and solutions print closed"
    if visit.name not in BY_SPHINX:
        assert shown["heading"] == 1 and shown["text"] > 200, shown


@pytest.mark.parametrize("name", [*PAGES, *BY_SPHINX])
def test_every_page_works_from_the_disk(context, sites, name):
    with visiting(context, sites["file"] + name) as visit:
        assert visit.requests, "the visit recorded nothing"
        assert not visit.elsewhere(sites["file"])
        assert not visit.failures
        assert not visit.errors


def test_every_built_page_is_visited(book):
    built = {str(p.relative_to(book)) for p in HTML.rglob("*.html") if "_static" not in p.parts}
    assert built <= {*PAGES, *BY_SPHINX, "index.html"}
