"""Claims in the book: the foot of each theorem box, and the page that lists them all.

Reads what the checks stored in the executed notebooks (`implicitly.claims` puts it in each output's
metadata). A box gets one foot line. A box with a claim's id and no check is a warning, and
warnings are errors.
"""

import html
import re
from collections.abc import Callable, Sequence

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from agreements_model import Agreement
from book_model import Book, Claim, book_of, is_chapter, source_of
from claims_model import ID, Box
from katex_math import render_text

logger = logging.getLogger(__name__)

PAGE = "book/claims"
STATUS = {
    "proved": ("im-proved", "proved here"),
    "partly-proved": ("im-partly", "proved in part"),
    "not-proved": ("im-unproved", "not proved here"),
    "measured": ("im-measurement", "measurement"),
}
SIGN = {"at most": "≤ ", "at least": "≥ ", "equals": ""}
FILTER = (
    '<div class="im-claims-tools im-waiting">'
    '<label>Filter <input type="search" id="im-claims-filter" placeholder="a word or a chapter"></label> '
    '<label>Order <select id="im-claims-sort"><option value="book">as in the book</option>'
    '<option value="room">least room first</option><option value="status">by status</option></select></label> '
    '<output id="im-claims-count" for="im-claims-filter"></output></div>'
)
COLUMNS = [("id", "Claim"), ("states", "States that"), ("status", "Status"), ("measured", "Measured"),
           ("stated", "Stated"), ("room", "Room"), ("over", "Over")]  # fmt: skip

ROLE = re.compile(r"\{[\w:]+\}`[^`]*`")
LAYOUT = re.compile(r"\\(?:[dt]?frac|[bB]igg?[lr]?|left|right|math\w+|text|hat|bar|q?quad|(?:begin|end)\{\w+\}|[,;! ])")
TAKEAWAY = re.compile(r"^\d+\. (.*)\{prf:ref\}`([^`]+)`\s*$", re.M)
SYMBOL = re.compile(r"^\| \$([^$|]{2,})\$ \| ([^|]+?) \|", re.M)  # a row of a chapter's table of symbols

WIDTHS = (11, 32, 13, 11, 11, 8, 14)  # of the columns, in per cent


class claims_table(nodes.General, nodes.Element):
    """Placeholder, replaced when the titles of all chapters are known."""


class ClaimsSum(SphinxDirective):
    """`{claims-sum}`: how many claims there are and hold; its content stands between that and the second opinions."""

    has_content = True

    def run(self):
        total, checks = counts(book_of(self.env.app))
        return [total, *self.parse_content_to_nodes(), checks]


class ClaimsFilter(SphinxDirective):
    """`{claims-filter}`: the field that keeps some rows of the table, and their order; above the table."""

    def run(self):
        return [raw(FILTER)]


class ClaimsTable(SphinxDirective):
    """`{claims-table}`: every check of the book, with a key."""

    def run(self):
        return [claims_table()]


def plain(text: str) -> str:
    """A piece of a chapter's text without references and without the signs of Markdown and TeX."""
    return re.sub(r"[$\\{}*`]", "", LAYOUT.sub(" ", ROLE.sub(" ", text)))


def said_of(book: Book, box: Box) -> str:
    """The words by which a claim is found: its statement, what its symbols mean, what *In five minutes* says."""
    cells = book.chapter(f"chapters/{box.slug}").notebook["cells"]
    text = "\n".join(source_of(cell) for cell in cells if cell["cell_type"] == "markdown")
    body = "\n".join(box.body)
    found = [body, *(meaning for symbol, meaning in SYMBOL.findall(text) if symbol in body),
             *(takeaway for takeaway, name in TAKEAWAY.findall(text) if name == box.id)]  # fmt: skip
    return " ".join(dict.fromkeys(plain(" ".join(found)).lower().split()))


def stated(claim: Claim) -> str:
    """HTML of the stated value with its relation: ≤ 10⁻⁵."""
    return SIGN[claim.relation] + claim.display["stated"]


def share(used: float) -> str:
    """How much of the allowed distance is used, in words: 24 %."""
    return f"{min(max(used, 0.0), 1.0):.0%}".replace("%", " %")


def gauge(used: float) -> str:
    """How much of the allowed distance the measured value has used: a dot on its way to a stop."""
    used = min(max(used, 0.0), 1.0)
    label = f"{share(used)} of the room to the bound is used"
    return (
        f'<span class="im-gauge" role="img" aria-label="{label}" style="--im-used:{used:.3f}"><i></i></span>'
    )


def power_of_ten(value: float) -> str:
    """HTML of a positive number with two digits at most: 0.34, 12, 4.7 × 10⁻¹⁶."""
    if 0.001 <= value < 1000:
        return f"{value:.2g}"
    digits, exponent = f"{value:.1e}".split("e")
    digits = digits.removesuffix(".0")
    return (f"{digits} × " if digits != "1" else "") + f"10<sup>{int(exponent)}</sup>".replace("-", "−")


def opinion(found: Agreement) -> str:
    """HTML of what a peer says: agrees with NAME VERSION to X."""
    name = f"{html.escape(found.peer)} {html.escape(found.version)}"
    size = power_of_ten(found.measured) if found.measured else ""
    if found.reason is not None:
        said = f"differs from {name}{size and ' by ' + size}"
        return f"{said}: {html.escape(found.what)}. The reason: {html.escape(found.reason)}"
    return f"agrees with {name} {'to ' + size if size else 'exactly'}: {html.escape(found.what)}"


def opinions(claims: tuple[Agreement, ...]) -> list[nodes.Node]:
    return [raw(f'<span class="im-c-peer">{opinion(found)}</span>') for found in claims]


def joined(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def names_of(book: Book, claims: Sequence[str], slug: str, said: Callable[[str], str]) -> str:
    """Claims as they are called in the chapter `slug`: C1 and C3; C4 and C6 of chapter 7. `said` is a claim's name."""
    found = []
    for other in dict.fromkeys(name.rpartition("/")[0] for name in claims):
        names = joined([said(name) for name in claims if name.startswith(f"{other}/")])
        planned = book.planned.get(other)
        where = "" if other == slug else f" of chapter {planned.number}" if planned else f" of {other}"
        found.append(names + where)
    return "; ".join(found)


def foot(claims: list[Claim], box: Box, decisive: set[str], uses: str) -> str:
    """The line under a theorem, however many checks: status, how many hold, least room, what it uses, id."""
    css, words = STATUS[box.status or "not-proved"]
    count = len(claims)
    first = next((claim for claim in claims if claim.anchor in decisive), claims[0])
    hold = f"{count} checks hold" if count > 1 else "the check holds"
    return (
        f'<div class="im-claim-foot"><span><span class="im-mark {css}"></span> {words}</span> '
        f'<a class="im-check-link" href="#{first.anchor}">{hold}</a> '
        f"<span>{'least room' if count > 1 else 'room'} {gauge(max(claim.used for claim in claims))}</span> "
        f'{uses}<code class="im-claim-id">{html.escape(claims[0].id)}</code></div>'
    )


def uses_line(app, docname: str, box: Box) -> str:
    """HTML of what a claim uses, as links from `docname`; nothing if it uses nothing."""
    names = names_of(book_of(app), box.uses, box.slug, lambda name: link(app, docname, name))
    return f'<span class="im-claim-uses">uses {names}</span> ' if names else ""


def link(app, docname: str, claim: str) -> str:
    """HTML of a claim's name that leads to its box, from `docname`."""
    return f'<a href="{html.escape(address(app, docname, claim))}">{claim.rpartition("/")[2]}</a>'


def address(app, docname: str, claim: str) -> str:
    """Where the box of a claim is, from `docname`."""
    there = f"chapters/{claim.rpartition('/')[0]}"
    return ("" if there == docname else app.builder.get_relative_uri(docname, there)) + f"#{claim}"


def add_feet(app, doctree, docname):
    chapter = book_of(app).chapter(docname) if is_chapter(docname) else None
    checks, decisive = (chapter.claims, chapter.decisive) if chapter else ((), set())
    for node in doctree.findall(lambda n: isinstance(n, nodes.Element) and "realtype" in n):
        for section in node.findall(nodes.section):
            section["ids"] = []  # sphinx-proof gives every box's inner section the same one
        label = node.get("label", "")
        if not ID.fullmatch(label):
            continue
        if not set(STATUS) & set(node["classes"]):
            logger.warning("claim box %s needs a class: %s", label, ", ".join(STATUS), location=node)
        mine = [claim for claim in checks if claim.id == label]
        if not mine:
            logger.warning("claim box %s has no check in the notebook", label, location=node)
        else:
            box = book_of(app).boxes[label]
            node += raw(foot(mine, box, decisive, uses_line(app, docname, box)))


def raw(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def cell(name: str, *children, **attributes) -> nodes.entry:
    entry = nodes.entry(classes=[f"im-c-{name}"], **attributes)
    paragraph = nodes.paragraph()
    paragraph.extend(children)
    entry += paragraph
    return entry


def group_id(docname: str) -> str:
    """Where the claims of a chapter begin on the page of all claims."""
    return f"of-{docname.rpartition('/')[2]}"


def group_row(app, docname: str, part: str) -> nodes.row:
    """Heading row of a chapter: part, title, slug."""
    row = nodes.row(classes=["im-group"])
    uri = app.builder.get_relative_uri(PAGE, docname)
    title = nodes.reference("", app.env.titles[docname].astext(), refuri=uri, internal=True)
    name = nodes.inline("", "", title, classes=["im-group-title"], ids=[group_id(docname)])
    row += cell(
        "group",
        nodes.inline("", part, classes=["im-group-part"]),
        nodes.Text(" "),
        name,
        nodes.Text(" "),
        nodes.literal("", docname.removeprefix("chapters/")),
        morecols=len(COLUMNS) - 1,
    )
    return row


def claim_row(app, docname: str, claim: Claim, first: bool) -> nodes.row:
    """A check; with the first of a claim, what the claim uses and its second opinions."""
    book = book_of(app)
    uri = app.builder.get_relative_uri(PAGE, docname)
    box = nodes.reference("", claim.short, refuri=f"{uri}#{claim.id}", internal=True)
    check = nodes.reference("", claim.check or "the check", refuri=f"{uri}#{claim.anchor}", internal=True)
    states = []
    if first:
        title = book.boxes[claim.id].title
        said = html.escape(said_of(book, book.boxes[claim.id]))
        states.append(raw(f'<b class="im-c-title" data-said="{said}">{render_text(title)}</b>'))
    states.append(nodes.Text(claim.statement))
    if claim.math:
        states += [nodes.Text(" "), nodes.math(claim.math, claim.math)]
    if first:
        states.append(raw(uses_line(app, PAGE, book.boxes[claim.id])))
        states += opinions(book.agreements.get(claim.id, ()))
    css, words = STATUS[book.boxes[claim.id].status or "not-proved"]
    row = nodes.row()
    row += cell("id", box, nodes.Text(" "), nodes.inline("", "", check, classes=["im-c-check"]))
    row += cell("states", *states)
    row += cell("status", raw(f'<span class="im-mark {css}"></span> {words}'))
    row += cell("measured", raw(claim.display["measured"]))
    row += cell("stated", raw(stated(claim)))
    row += cell("room", raw(gauge(claim.used)))
    row += cell("over", nodes.Text(claim.over))
    return row


def counts(book: Book) -> tuple[nodes.raw, nodes.raw]:
    """How many claims hold; on how many checks they rest, and how many second opinions there are."""
    claims = [claim for chapter in book.chapters for claim in chapter.claims]
    there = {claim.id for claim in claims}
    total, checks = len(there), len(claims)
    asked = [one for claim, found in book.agreements.items() if claim in there for one in found]
    peers, on = len({one.peer for one in asked}), len({one.claim for one in asked})
    second = (
        f'<p class="im-claims-checks">On {on} of the claims there is a second opinion: '
        f"{peers} independent package{'s' * (peers > 1)}, given random inputs, against our functions.</p>"
        if asked else ""
    )  # fmt: skip
    return raw(
        f'<p class="im-claims-sum">{total} claim{"s" * (total != 1)}, '
        f'<span class="im-hold">{total} hold{"s" * (total == 1)}</span></p>'
    ), raw(
        f'<p class="im-claims-checks">They rest on {checks} checks that can fail. None of them does today.</p>{second}'
    )


def table(app) -> list[nodes.Node]:
    """Key and the table, in the order of the book."""
    book = book_of(app)
    chapters = [(listed, claims) for listed in book.listed if (claims := book.chapter(listed.docname).claims)]
    head = raw(
        f'<p class="im-claims-key"><span>{gauge(0.35)} measured on the way to its bound</span>'
        '<span>stated ≤ 1: mostly, measured is a ratio, of a quantity to its bound</span></p>'
    )
    # Given widths: a long table is drawn while it loads, and columns that adapt would move what is read.
    result = nodes.table(classes=["im-claims", "colwidths-given"])
    group = nodes.tgroup(cols=len(COLUMNS))
    group.extend(nodes.colspec(colwidth=width) for width in WIDTHS)
    header = nodes.row()
    header.extend(cell(name, nodes.Text(title)) for name, title in COLUMNS)
    body = nodes.tbody()
    for listed, claims in chapters:
        body += group_row(app, listed.docname, f"Part {listed.numeral}")
        in_order = sorted(claims, key=lambda claim: claim.number)
        for before, claim in zip([None, *in_order], in_order, strict=False):
            body += claim_row(app, listed.docname, claim, first=before is None or before.id != claim.id)
    thead = nodes.thead()
    thead += header
    group += [thead, body]
    result += group
    return [head, result]


def on_doctree_resolved(app, doctree, docname):
    if app.builder.format != "html":
        return
    add_feet(app, doctree, docname)
    for placeholder in list(doctree.findall(claims_table)):
        placeholder.replace_self(table(app))


def on_page_context(app, pagename, templatename, context, doctree):
    if pagename == PAGE:
        app.add_js_file("claims.js", loading_method="defer")


def outdated(app, env, added, changed, removed):
    """The page depends on every notebook; it is cheap, so it is always made anew."""
    return [PAGE] if PAGE in env.found_docs else []


def accept_uses() -> None:
    """Let the boxes of sphinx-proof have the option `:uses:`, which `claims_model` reads."""
    from sphinx_proof.directive import ElementDirective

    ElementDirective.option_spec = {**ElementDirective.option_spec, "uses": directives.unchanged_required}


def setup(app):
    accept_uses()
    app.add_node(claims_table)
    app.add_directive("claims-sum", ClaimsSum)
    app.add_directive("claims-table", ClaimsTable)
    app.add_directive("claims-filter", ClaimsFilter)
    app.connect("doctree-resolved", on_doctree_resolved)
    app.connect("html-page-context", on_page_context)
    app.connect("env-get-outdated", outdated)
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
