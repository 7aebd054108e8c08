"""What helps a reader: search, the switch to dark, and a page that reads without scripts."""

import re
from collections import Counter

import pytest
from conftest import CHAPTERS, EXPLORER, PAGES, visiting
from playwright.sync_api import expect


def telling_word(page) -> str:
    """The most frequent long word of a page's text: what a reader would search for."""
    words = re.findall(r"\b[a-z]{8,}\b", page.locator("main").inner_text())
    return Counter(words).most_common(1)[0][0]


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_search_finds_a_word_of_a_chapter(context, sites, light_chapter, scheme):
    """As a reader does it: Ctrl+K, a word, Enter, the chapter among the results."""
    name = light_chapter
    with visiting(context, sites[scheme] + name) as visit:
        page = visit.page
        word = telling_word(page)
        page.keyboard.press("Control+k")
        box = page.locator("input[type=search]:visible")
        expect(box).to_be_focused()
        box.press_sequentially(word)
        box.press("Enter")
        page.wait_for_url(re.compile(r"search\.html"))
        result = page.locator(f'#search-results a[href*="{name}"]').first
        expect(result).to_be_visible(timeout=15_000)
        # the search knows stems: "measured" finds "measurement" too
        expect(page.locator("#search-results mark").first).to_contain_text(word[:5], ignore_case=True)
        assert not visit.failures
        result.click()
        page.wait_for_url(re.compile(re.escape(name)))
        expect(page.locator("main .highlighted").first).to_be_attached()
        # what was searched for is marked there, and on no page after it
        page.go_back()
        expect(page.locator("#search-results a").first).to_be_visible()
        for other in ["book/glossary.html", name]:
            page.goto(sites[scheme] + other)
            page.wait_for_timeout(300)
            assert not page.locator(".highlighted").count(), f"{other} marks what was searched for before"
        assert not visit.elsewhere(sites[scheme]) and not visit.errors


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_search_finds_a_symbol_a_function_and_a_claim(context, sites, scheme):
    page = context.new_page()
    first = page.locator("#search-results li").first
    for query, leads_to, says in [
        ("γ", "book/notation.html#margins", "largest margin"),
        ("gamma", "book/notation.html#margins", "largest margin"),
        ("eta", "book/notation.html#everywhere", "step size"),
        ("score_flow_exact",
         "book/library.html?highlight=score_flow_exact#implicitly.diffusion.score_flow_exact", "ramp"),
        ("diffusion.score_flow_exact",
         "book/library.html?highlight=diffusion.score_flow_exact#implicitly.diffusion.score_flow_exact", "ramp"),
        ("score-flow/C1", "chapters/score-flow.html#score-flow/C1", "Where the flow comes to rest"),
    ]:
        page.goto(f"{sites[scheme]}search.html?q={query}")
        expect(first.locator("a").first).to_have_attribute("href", leads_to)
        expect(first).to_contain_text(says)
    page.close()


# what a newcomer typed, what leads where, and among how many of the first results
ASKED = [
    ("merging two networks", "chapters/merging-networks.html", 1),
    ("shuffling", "chapters/random-orderings.html", 1),
    ("four-bit training", "chapters/fp4-training.html", 1),
    ("FP4", "chapters/fp4-training.html", 1),
    ("SGD noise long roll-outs", "chapters/sgd-butterfly.html", 1),
    ("softmax becomes one", "chapters/grokking-precision.html#grokking-precision/C1", 1),
    ("softmax exactly one", "chapters/grokking-precision.html#grokking-precision/C1", 1),
    ("stable minima sharpness", "chapters/stable-minima.html", 1),
    ("2/eta", "chapters/stable-minima.html#stable-minima/C3", 3),
    ("k^(-1/3)", "chapters/greedy-orderings.html", 1),
    ("greedy orderings repetition", "chapters/greedy-orderings.html#greedy-orderings/C7", 2),
    ("largest margin cross-entropy", "chapters/implicit-bias-multiclass.html", 1),
    ("hard-margin SVM", "book/library.html#implicitly.margins.hard_margin_svm", 1),
    ("hard margin svm", "book/library.html#implicitly.margins.hard_margin_svm", 1),
    ("roll-out cost", "book/library.html#implicitly.imitation.rollout_cost", 1),
    ("rollout cost", "book/library.html#implicitly.imitation.rollout_cost", 1),
    ("round to p bits", "book/library.html#implicitly.grokking.round_bits", 1),
    ("exact score flow", "book/library.html#implicitly.diffusion.score_flow_exact", 1),
    ("NVFP4 quantize", "book/library.html#implicitly_kernels.nvfp4_quantize", 1),
    # by words that are not the book's own
    ("quantized training with microscaling", "chapters/fp4-training.html", 4),
    ("microscaling", "book/glossary.html#term-MXFP4", 1),
    ("SGLD", "book/glossary.html#term-Langevin-dynamics", 1),
    ("LoRA", "book/map.html", 1),
    ("KL divergence between Gaussians", "book/library.html#implicitly.langevin.gauss_kl", 6),
    ("running sum of ones stalls", "chapters/low-bit-accumulators.html", 1),
    ("stochastic rounding unbiased", "chapters/fp4-training.html#fp4-training/C2", 2),
    ("delayed generalization", "book/glossary.html#term-grokking", 1),
    ("truncated SVD biased", "chapters/low-rank-gradients.html#low-rank-gradients/C5", 1),
    ("cyclic order forget random order", "chapters/random-orderings.html#random-orderings/C2", 3),
    ('"Grokking at the edge of numerical stability"', "chapters/grokking-precision.html", 1),
]


def test_search_finds_what_a_newcomer_asks_for(context, sites):
    page = context.new_page()
    page.goto(f"{sites['http']}search.html")
    expect(page.locator("main input[name=q]")).to_be_focused()
    wrong = []
    for query, leads_to, among in ASKED:
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(query)
        expect(page.locator("#search-results")).to_have_attribute("data-query", query)  # its text comes with the first
        found = page.locator("#search-results li > a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
        first = [re.sub(r"\?[^#]*", "", address) for address in found[:among]]
        if not any(address.startswith(leads_to) for address in first):
            wrong.append((query, first))
    assert not wrong
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("margin zebra")
    expect(page.get_by_role("status")).to_contain_text("No place has all of these words. The best with 1 of 2")
    page.close()


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_the_landing_page_leads_to_search_and_to_the_papers_around(context, sites, scheme):
    with visiting(context, sites[scheme] + "book/index.html") as visit:
        page = visit.page
        links = page.locator(".im-cover-links a")
        there = [address.rpartition("/")[2] for address in links.evaluate_all("all => all.map(a => a.href)")]
        assert {"search.html", "map.html"} <= {*there}
        bottom = links.last.bounding_box()
        assert bottom["y"] + bottom["height"] < page.viewport_size["height"], "among what one sees first"
        page.keyboard.press("Control+k")
        page.wait_for_url(re.compile(r"search\.html"))
        expect(page.locator("main input[name=q]")).to_be_focused()
        assert not visit.elsewhere(sites[scheme]) and not visit.errors


def test_the_sidebar_shows_the_search_and_the_pages_own_entry(browser, sites):
    """Whichever page came before: the theme keeps the sidebar's scroll."""
    with browser.new_context(viewport={"width": 1300, "height": 600}) as context:
        page = context.new_page()
        for name in [CHAPTERS[-1], CHAPTERS[0], "book/claims.html", "search.html", CHAPTERS[-1], CHAPTERS[0]]:
            page.goto(sites["http"] + name)
            field = page.locator(".bd-sidebar-primary .search-button-field").bounding_box()
            assert 0 <= field["y"] < 200, name
            if name != "search.html":
                entry = page.locator(".bd-sidebar-primary .current.active > a").bounding_box()
                assert field["y"] + field["height"] <= entry["y"] <= 600 - entry["height"], name
            # as a reader leaves it
            bar = page.locator("div.bd-sidebar-primary")
            bar.evaluate("(bar, down) => { bar.scrollTop = down ? 1e4 : 0; }", name != CHAPTERS[0])


def brightness(color: str) -> float:
    red, green, blue = (int(part) for part in re.findall(r"\d+", color)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


def test_the_switch_turns_dark_and_stays(browser, sites, light_chapter):
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        ground = "getComputedStyle(document.body).backgroundColor"
        theme = "document.documentElement.dataset.theme"
        page.goto(sites["http"] + light_chapter)
        assert page.evaluate(theme) == "light" and brightness(page.evaluate(ground)) > 0.9
        button = page.locator(".theme-switch-button:visible").first
        for _ in range(3):  # it turns through light, dark and the system's choice
            button.click()
            if page.evaluate(theme) == "dark":
                break
        page.wait_for_timeout(400)
        assert page.evaluate(theme) == "dark" and brightness(page.evaluate(ground)) < 0.2
        page.goto(sites["http"] + PAGES[-1])
        assert page.evaluate(theme) == "dark", "the choice is forgotten on the next page"


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_a_chapter_reads_without_scripts(browser, sites, light_chapter, scheme):
    with browser.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        page.goto(sites[scheme] + light_chapter)
        expect(page.locator("main h1").first).to_be_visible()
        assert len(page.locator("main").inner_text()) > 3000
        formula = page.locator("main .katex-html").first.bounding_box()
        assert formula and formula["width"] > 5, "maths is set at build time, so it needs no script"
        explorers = page.locator(EXPLORER).all()
        assert explorers, "the chapter has no explorer"
        for explorer in explorers:
            picture = explorer.locator("img").first
            expect(picture).to_be_visible()
            assert (picture.get_attribute("alt") or "").strip(), "the still picture has no alt text"
            box = picture.bounding_box()
            assert box["width"] > 200 and box["height"] > 100, box
        # A control that can do nothing is worse than none.
        assert not [c for c in page.locator("[data-im-control]").all() if c.is_visible()]


@pytest.mark.parametrize("name", [name for name in PAGES if name not in CHAPTERS])
def test_every_page_reads_without_scripts(scriptless, sites, name):
    scriptless.goto(sites["http"] + name)
    expect(scriptless.locator("h1").first).to_be_visible()
    assert len(scriptless.locator("main").inner_text()) > 50


def test_the_keyboard_reaches_the_text_first(context, sites, light_chapter):
    """The first Tab stop skips what is before the text, and every stop shows where it is."""
    with visiting(context, sites["http"] + light_chapter) as visit:
        page = visit.page
        page.keyboard.press("Tab")
        first = page.evaluate("({text: document.activeElement.innerText, hash: document.activeElement.hash})")
        assert first["hash"] == "#main-content", first
        for _ in range(12):
            page.keyboard.press("Tab")
            seen = page.evaluate("""() => {
                const e = document.activeElement, s = getComputedStyle(e);
                return {what: e.outerHTML.slice(0, 120), box: e.getBoundingClientRect().width,
                        ring: (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== "none"};
            }""")
            assert seen["box"] > 0 and seen["ring"], f"focus is not seen on {seen['what']}"
