"""Checks on a chapter's page: one line each that opens, and one fold for those of a section that are not decisive.

A code cell whose output stores a check becomes that line: statement, what it was run over, and the cell's own source
are inside. Cells with the tag `decisive` stay where they are; the others of a section are gathered where the last of
them stood.
"""

from __future__ import annotations

import html
import re

from docutils import nodes

from book_model import Claim, book_of, is_chapter
from claims_page import SIGN, gauge, share
from katex_math import render_text

#: The sign before the stated value as a screen reader says it; many are silent at ≤.
SAID = {"at most": "at most", "at least": "at least", "equals": "stated"}
ANCHOR = re.compile(r'<(?:div|details) class="im-check" id="([^"]+)"')


class check_fold(nodes.General, nodes.Element):
    """A check, or the checks of a section, behind one line; `head` is its HTML up to the children."""


def _open(self, node) -> None:
    self.body.append(node["head"])


def _close(self, node) -> None:
    self.body.append("</div></details>\n")


def checks_of(cell: nodes.container, claims: dict[str, Claim]) -> list[Claim]:
    """The checks in a cell's output, by the anchors in their stored HTML."""
    found = (match for node in cell.findall(nodes.raw) for match in ANCHOR.findall(node.astext()))
    return [claims[anchor] for anchor in found if anchor in claims]


def summary(claim: Claim) -> str:
    """The line itself; what is seen as a column or a sign is said in words."""
    sign = f'<span class="im-sr">{SAID[claim.relation]} </span>'
    if SIGN[claim.relation]:
        sign += f'<span aria-hidden="true">{SIGN[claim.relation]}</span>'
    return (
        '<summary class="im-check-line"><span class="im-verdict">holds</span> '
        f'<span class="im-what">{html.escape(claim.check or claim.short)}</span> '
        f'<span class="im-measured"><span class="im-sr">measured </span><b>{claim.display["measured"]}</b></span> '
        f'<span class="im-stated">{sign}{claim.display["stated"]}</span> {gauge(claim.used)}</summary>'
    )


def inside(claim: Claim) -> str:
    """What the opened line says, before the code."""
    rows = [("claim", f'<a href="#{html.escape(claim.id)}">{html.escape(claim.short)}</a>')]
    if claim.math:
        rows.append(("states", render_text(f"${claim.math}$")))
    rows.append(("over", html.escape(claim.over)))
    if claim.seeds:
        rows.append(("seeds", f"{len(claim.seeds)}, from {min(claim.seeds)} to {max(claim.seeds)}"
                     if len(claim.seeds) > 1 else str(claim.seeds[0])))  # fmt: skip
    rows.append(("room", f"{share(claim.used)} of the room to the bound is used"))
    terms = "".join(f"<div><dt>{term}</dt><dd>{what}</dd></div>" for term, what in rows)
    return f'<p class="im-check-statement">{html.escape(claim.statement)}</p><dl>{terms}</dl>'


def line(cell: nodes.container, claims: list[Claim]) -> list[check_fold]:
    """The nodes that take the place of a cell with checks; its source goes into the last of them."""
    source = cell.children[0]
    if type(source).__name__ == "HideCodeCellNode":  # one disclosure, not two
        code = list(source.children)
    else:
        code = [source] if "cell_input" in source.get("classes", ()) else []
    found = []
    for claim in claims:
        head = f'<details class="im-check" id="{claim.anchor}">{summary(claim)}<div>{inside(claim)}'
        found.append(check_fold("", *(code if claim is claims[-1] else ()), head=head))
    return found


def group(claims: list[Claim], lines: list[check_fold], more: bool) -> check_fold:
    """One fold around several lines."""
    count = len(claims)
    words = f"{count}{' more' if more else ''} check{'s' * (count > 1)} of this section"
    head = (
        f'<details class="im-checks"><summary class="im-check-line"><span class="im-what">{words}</span> '
        f'<span class="im-stated">{"all hold, least room" if count > 1 else "holds"}</span> '
        f"{gauge(max(claim.used for claim in claims))}</summary><div>"
    )
    return check_fold("", *lines, head=head)


def section_of(node: nodes.Node) -> nodes.Node:
    while node.parent is not None and not isinstance(node, nodes.section):
        node = node.parent
    return node


def set_lines(app, doctree, docname: str) -> None:
    """doctree-resolved: cells with checks become lines, and those that are not decisive go into a fold a section."""
    if app.builder.format != "html" or not is_chapter(docname):
        return
    claims = {claim.anchor: claim for claim in book_of(app).chapter(docname).claims}
    sections: dict[int, tuple[nodes.Node, list, list]] = {}
    for cell in list(doctree.findall(nodes.container)):
        if cell.get("nb_element") != "cell_code" or not cell.children or not (mine := checks_of(cell, claims)):
            continue
        section = section_of(cell)
        _, shown, others = sections.setdefault(id(section), (section, [], []))
        (shown if "tag_decisive" in cell["classes"] else others).append((cell, mine))
    for _, shown, others in sections.values():
        for cell, mine in shown:
            _replace(cell, line(cell, mine))
        if others:
            lines = [one for cell, mine in others for one in line(cell, mine)]
            *earlier, (last, _) = others
            for cell, _ in earlier:
                cell.parent.remove(cell)
            _replace(last, [group([claim for _, mine in others for claim in mine], lines, bool(shown))])


def _replace(node: nodes.Node, new: list[nodes.Node]) -> None:
    """As `replace_self`, which would hand the classes of `node` on."""
    parent, at = node.parent, node.parent.index(node)
    parent.remove(node)
    for offset, child in enumerate(new):
        parent.insert(at + offset, child)


def setup(app):
    app.add_node(check_fold, html=(_open, _close))
    # after the claims page has read the boxes, before the body is tidied
    app.connect("doctree-resolved", set_lines, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
