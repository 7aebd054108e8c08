"""Every page is readable by everyone: axe-core, WCAG 2 A and AA, in both themes and at both widths."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import PHONE
from explorers import settled

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
#: What the theme or the width can change.
OF_THE_LOOK = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"]
OF_FORMULAS = ["scrollable-region-focusable"]

# Nine in ten elements of a chapter are formulas and words of code, and axe takes minutes for all of them.  A formula
# has the colour of its sentence, which is checked here; then a word in its place stands for it.  Of code that looks
# alike three words stand for all, and of the library's entries, which one template writes, the first two of a module.
# Of paragraphs, entries of lists, rows, checks and marks of a picture that are alike in all that a rule reads (tags,
# classes, roles, which attributes there are and whether they say something, colours, sizes, what they stand in) three
# stand for all: one that differs in any of it is kept.
STAND_INS = """() => {
    const look = e => {
        const s = getComputedStyle(e);
        return [s.color, s.fill, s.backgroundColor, s.backgroundImage, s.opacity, s.fontWeight, s.fontSize,
                s.textDecorationLine, s.display, s.visibility].join();
    };
    const coloured = [], seen = new Map(), given = [];
    const fourth = key => {
        const before = seen.get(key) || 0;
        seen.set(key, before + 1);
        return before >= 3;
    };
    for (const formula of document.querySelectorAll("main .katex")) {
        const color = getComputedStyle(formula.parentElement).color;
        const other = [formula, ...formula.querySelectorAll(".katex-html *")]
            .find(e => getComputedStyle(e).color !== color);
        if (other) coloured.push(other.outerHTML.slice(0, 160));
        given.push([formula, "formula"]);
    }
    for (const word of document.querySelectorAll(".highlight pre span"))
        if (fourth(look(word)) && !word.children.length) given.push([word, word.textContent]);
    given.forEach(([element, text]) => element.replaceWith(text));
    document.querySelectorAll("dl.im-api > :nth-child(n+5)").forEach(e => e.remove());
    document.body.normalize();
    const owned = new Map();  // all is read before anything is removed: else each removal costs a layout
    const own = e => owned.get(e) ?? owned.set(e, traits(e)).get(e);
    const traits = e => [e.localName, e.getAttribute("class"), e.getAttribute("role"), look(e), e.checkVisibility(),
        e.getAttributeNames().map(name => name + Boolean(e.getAttribute(name).trim())).sort()].join();
    const kind = e => own(e) + "(" + [...new Set([...e.childNodes].map(kind_of))].sort().join() + ")";
    const kind_of = node =>
        node.nodeType === Node.ELEMENT_NODE ? kind(node) : /\\S/.test(node.data) ? "words" : "";
    const within = e => e === document.body ? "" : own(e) + within(e.parentElement);
    const spare = new Set();
    for (const e of document.querySelectorAll("p:not(summary *), li, tbody tr, .im-check, svg :not(title, desc)"))
        if (spare.has(e.parentElement) || fourth(within(e.parentElement) + kind(e))) spare.add(e);
    spare.forEach(e => e.remove());
    return coloured;
}"""


def findings(page, kind: str, which: list[str]) -> list[str]:
    options = {"runOnly": {"type": kind, "values": which}, "resultTypes": ["violations"]}
    return [
        f"{violation['id']} ({violation['help']}): {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for violation in Axe().run(page, options=options).response["violations"]
        for node in violation["nodes"][:5]
    ]


@pytest.mark.spoils_the_page
def test_no_wcag_violation(visit):
    """All rules in light mode at a desk; in the dark on a phone those on colours, sizes and what scrolls."""
    page = visit.page
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    settled(page)
    page.wait_for_timeout(500)  # a while after a resize the theme lets the keyboard reach what now scrolls
    found = findings(page, "rule", OF_FORMULAS)
    assert not found, "\n".join(found)
    assert not page.evaluate(STAND_INS), "a formula in a colour of its own, which nothing here reads"
    found = findings(page, "rule", OF_THE_LOOK)
    visit.at_first()
    page.wait_for_function("document.documentElement.dataset.theme === 'light'")
    settled(page)
    page.wait_for_timeout(500)
    found += findings(page, "tag", WCAG)
    assert not found, "\n".join(found)
