"""The picture on the map's page: chapters and the papers near them as two trees, drawn in SVG.

Each line of a chapter is a paper near it; its dot says how. All of it can be pointed at and walked through with the
keyboard, without a script: a link holds its own curve, so that a style sheet can bring it out. Positions come from
the data alone.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from neighbours_model import KINDS, Neighbour, Relation

WIDTH, ROW = 452, 24  # ROW: what one can hit (WCAG 2.5.8)
NAMES, STEM, DOTS, LABELS = 134, 146, 182, 193  # where names end; chapters' dots, papers' dots, labels begin
LINE, WRAP = 18, 18  # of a chapter's name: its height; its most characters
PART, GAP = 32, 10  # room of a part's name; between chapters
LETTER, BETWEEN = 6.8, 20  # about the width of a letter; between papers in a row


@dataclass(frozen=True)
class Branch:
    """A chapter in the picture: its number, title, page ("" while there is none), and the papers near it."""

    slug: str
    number: int
    title: str
    address: str
    leaves: tuple[tuple[Neighbour, Relation], ...]


def shown(text: str) -> str:
    """Text for the picture, with the apostrophes that the page has elsewhere."""
    return html.escape(text.replace("'", "’"))


def dot(kind: str, x: float, y: float, lab: bool = False) -> str:
    """Same question a disc, same tool a half disc, opposite answer a ring; with a lab, in a second ring."""
    shape = f'<circle cx="{x}" cy="{y}" r="3.6"/>'
    if kind == "tool":
        shape += f'<path class="im-map-half" d="M{x} {y - 3.6}A3.6 3.6 0 0 0 {x} {y + 3.6}Z"/>'
    halo = f'<circle class="im-map-halo" cx="{x}" cy="{y}" r="6.6"/>' if lab else ""
    return f'<g class="im-map-dot im-map-{kind}">{halo}{shape}</g>'


def said(paper: Neighbour, relation: Relation, chapter: Branch) -> str:
    """A link's name, which begins with what one sees (WCAG 2.5.3)."""
    link = "to" if relation.kind == "opposite" else "as"
    kind = f"{KINDS[relation.kind].capitalize()} {link} chapter {chapter.number}"
    return f"{paper.short} {paper.gist}: {paper.title}. {kind}{', used in a lab' if relation.lab else ''}."


def leaf(paper: Neighbour, relation: Relation, chapter: Branch, top: float, y: float) -> str:
    name = shown(said(paper, relation, chapter))
    return (
        f'<a class="im-map-paper" href="#{paper.id}" data-paper="{paper.id}"><title>{name}</title>'
        f'<path class="im-map-curve" d="M{STEM + 6} {top}C{STEM + 24} {top} {DOTS - 20} {y} {DOTS} {y}"/>'
        f'<rect class="im-map-hit" x="{DOTS - 8}" y="{y - ROW / 2}" width="{WIDTH - DOTS + 8}" height="{ROW}"/>'
        f"{dot(relation.kind, DOTS, y, bool(relation.lab))}"
        f'<text x="{LABELS}" y="{y + 4.5}">{html.escape(paper.short)} '
        f'<tspan class="im-map-gist">{shown(paper.gist)}</tspan></text></a>'
    )


def balanced(name: str) -> list[str]:
    """A chapter's number and title in as few lines as it takes, and these about equally long."""
    lines = textwrap.wrap(name, WRAP)
    widths = range(max(map(len, name.split())), WRAP + 1)
    return next(found for width in widths if len(found := textwrap.wrap(name, width)) == len(lines))


def branch(chapter: Branch, y: float, mark: str) -> tuple[str, float]:
    """A chapter with its papers from `y` down, and its height."""
    lines = balanced(f"{chapter.number} {chapter.title}")
    height = max(len(chapter.leaves) * ROW, len(lines) * LINE + 4, ROW)
    middle = y + height / 2
    leaves = "".join(
        leaf(paper, relation, chapter, middle, middle + (i - (len(chapter.leaves) - 1) / 2) * ROW)
        for i, (paper, relation) in enumerate(chapter.leaves)
    )
    first = middle - (len(lines) - 1) * LINE / 2 + 5.5
    number, _, rest = lines[0].partition(" ")
    spans = f'<tspan class="im-map-number">{number}</tspan> {html.escape(rest)}' + "".join(
        f'<tspan x="{NAMES}" dy="{LINE}">{html.escape(line)}</tspan>' for line in lines[1:]
    )
    name = (
        f'<rect class="im-map-hit" x="0" y="{middle - height / 2}" width="{STEM + 7}" height="{height}"/>'
        f'<text class="im-map-name" x="{NAMES}" y="{first}">{spans}</text>'
        f'<circle class="im-map-{mark}" cx="{STEM}" cy="{middle}" r="5.2"/>'
    )
    if chapter.address:
        name = f'<a class="im-map-chapter" href="{html.escape(chapter.address)}">{name}</a>'
    else:
        name = f'<g class="im-map-chapter im-map-planned"><title>In preparation</title>{name}</g>'
    if not chapter.leaves:
        leaves = f'<text class="im-map-empty" x="{LABELS}" y="{middle + 4.5}">no paper near it</text>'
    return f'<g class="im-map-branch" data-chapter="{chapter.slug}">{name}{leaves}</g>', height


def sheet(body: str, height: float, label: str, mark: str) -> str:
    return (
        f'<svg class="im-map-svg im-map-of-{mark}" width="{WIDTH}" height="{height:g}" '
        f'viewBox="0 0 {WIDTH} {height:g}" role="group" aria-labelledby="{label}" xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    )


def tree(parts: Sequence[tuple[str, Sequence[Branch]]], label: str, mark: str) -> str:
    """The chapters of some parts, each part under its name; `mark` is what stands for a chapter, disc or ring."""
    body, y = "", 0.0
    for name, chapters in parts:
        body += f'<path class="im-map-rule" d="M0 {y + 0.5:g}H{WIDTH}"/>'
        body += f'<text class="im-map-part" x="0" y="{y + 19:g}">{html.escape(name)}</text>'
        y += PART
        for chapter in chapters:
            drawn, height = branch(chapter, y, mark)
            body += drawn
            y += height + GAP
    return sheet(body, y, label, mark)


def rest(subjects: Sequence[tuple[str, Sequence[Neighbour]]], label: str) -> str:
    """The papers on other subjects: a row a subject, or more where it is too long for one."""
    body, y = f'<path class="im-map-rule" d="M0 0.5H{WIDTH}"/>', 8.0
    for subject, papers in subjects:
        body += f'<text class="im-map-subject" x="{NAMES}" y="{y + 16.5:g}">{html.escape(subject)}</text>'
        x = float(STEM)
        for paper in papers:
            wide = len(paper.short) * LETTER
            if x > STEM and x + 9 + wide > WIDTH:
                x, y = float(STEM), y + ROW
            name = shown(f"{paper.short}: {paper.title}.")
            body += (
                f'<a class="im-map-paper" href="#{paper.id}" data-paper="{paper.id}"><title>{name}</title>'
                f'<rect class="im-map-hit" x="{x - 6:g}" y="{y:g}" width="{wide + 20:g}" height="{ROW}"/>'
                f'<circle class="im-map-far" cx="{x:g}" cy="{y + 12:g}" r="2.2"/>'
                f'<text x="{x + 9:g}" y="{y + 16.5:g}">{html.escape(paper.short)}</text></a>'
            )
            x += wide + BETWEEN
        y += ROW
    return sheet(body, y + 4, label, "far")


def small(kind: str, lab: bool = False) -> str:
    """A dot by itself, beside words that say what it means."""
    drawn = dot(kind, 7.5, 7.5, lab)
    return f'<svg class="im-map-svg" width="15" height="15" viewBox="0 0 15 15" aria-hidden="true">{drawn}</svg>'


def key(skip: str) -> str:
    """What the dots and the names mean, and a link past the picture, to `skip`."""
    entries = [f"<span>{small(kind)} {words}</span>" for kind, words in KINDS.items()]
    entries.append(f"<span>{small('question', True)} also used in a lab of the chapter</span>")
    entries.append("<span>first author, year of the first version on arXiv</span>")
    entries.append(f'<a class="im-map-skip" href="#{skip}">skip the picture: the list says the same</a>')
    return f'<p class="im-map-key">{" ".join(entries)}</p>'
