"""The picture of which claim rests on which, drawn in SVG: a row a chapter, a mark a claim, an arrow a use.

As on the map, all of it can be pointed at and walked through with the keyboard, without a script: a link holds the
arrows to what its claim uses, so that a style sheet can bring them out.  Positions come from the data alone.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from claims_model import Box

NUMBERS, TITLES, FIRST = 40, 48, 262  # where numbers of chapters end; their titles, and their claims, begin
STEP, LAST = 54, 36  # from claim to claim; room for the last one's name
HIT = 26  # what one can hit (WCAG 2.5.8)
MARK = 4.3  # radius
LOW, MORE = 11, 5  # an arc's height over one step, for each step more
LEAST, ABOVE, BELOW, LANE = 26, 14, 15, 5  # room over a row at least, over its arcs, under it; between lines there
PART = 12  # room between parts, each side of the line
CHANNEL, CORNER = 17, 7  # a line between rows runs so far left of its claim; its corners


@dataclass(frozen=True)
class Row:
    """A chapter in the picture; `part` is the numeral of its part."""

    slug: str
    number: str
    title: str
    part: str
    address: str
    claims: tuple[Box, ...]


def mark(status: str, x: float = 0, y: float = 0) -> str:
    """Proved a disc, in part a half disc, not proved a ring, measured a bar."""
    if status == "measured":
        return f'<rect class="im-graph-measured" x="{x - 4.5:g}" y="{y - 1:g}" width="9" height="2"/>'
    half = f'<path class="im-graph-half" d="M{x:g} {y - MARK:g}a{MARK} {MARK} 0 0 0 0 {2 * MARK:g}z"/>'
    return (f'<circle class="im-graph-{status or "not-proved"}" cx="{x:g}" cy="{y:g}" r="{MARK}"/>'
            f"{half if status == 'partly-proved' else ''}")  # fmt: skip


def height(steps: int) -> float:
    return LOW + MORE * (steps - 1)


def arc(start: float, end: float, y: float) -> str:
    """From claim to claim of one row, above it."""
    side = 3 if end > start else -3
    x, to, top = start + side, end - side, y - 7
    peak = top - height(round(abs(end - start) / STEP)) * 4 / 3  # of a cubic with both handles there
    return f"M{x:g} {top:g}C{x:g} {peak:g} {to:g} {peak:g} {to:g} {top:g}{head(to, top, -4.5)}"


def head(x: float, y: float, back: float) -> str:
    return f"M{x - 3:g} {y + back:g}L{x:g} {y:g}L{x + 3:g} {y + back:g}"


def line(x: float, y: float, to: float, under: float, end: float) -> str:
    """Between claims of two rows: from what is used, whose mark ends at `end`, down to the line `under` its row, along
    that, and up or down left of the user. It begins there so that the dashes of several lines fall on each other."""
    side, turn = x - CHANNEL, CORNER if under < y else -CORNER
    if abs(to - side) < 2 * CORNER:
        along = f"C{to:g} {under:g} {side:g} {under:g} {side:g} {under + turn:g}"
    else:
        step = CORNER if to > side else -CORNER
        along = (f"V{under - CORNER + 1:g}Q{to:g} {under:g} {to - step:g} {under:g}"
                 f"H{side + step:g}Q{side:g} {under:g} {side:g} {under + turn:g}")  # fmt: skip
    return (f"M{to:g} {end:g}{along}V{y - turn:g}Q{side:g} {y:g} {side + CORNER:g} {y:g}H{x - 7:g}"
            f"{head(to, end, 4.5)}")  # fmt: skip


@dataclass(frozen=True)
class Places:
    """Where everything is: the height of each row's claims, each claim, the line under a row to a claim, rules."""

    rows: dict[str, float]
    claims: dict[str, tuple[float, float]]
    lanes: dict[str, float]
    rules: tuple[float, ...]
    width: float
    height: float


def places(rows: Sequence[Row]) -> Places:
    there = {box.id: (row, at) for row in rows for at, box in enumerate(row.claims)}
    far = dict.fromkeys(used for row in rows for box in row.claims for used in box.uses
                        if there[used][0].slug != row.slug)  # fmt: skip
    heights, claims, lanes, rules, y = {}, {}, {}, [], 0.0
    for before, row in zip([None, *rows], rows, strict=False):
        if before and before.part != row.part:
            rules.append(y + PART - 5)
            y += 2 * PART - 5
        spans = [abs(there[used][1] - at) for at, box in enumerate(row.claims) for used in box.uses
                 if there[used][0] is row]  # fmt: skip
        y += max(LEAST, ABOVE + height(max(spans)) if spans else 0)
        heights[row.slug] = y
        claims |= {box.id: (FIRST + at * STEP, y) for at, box in enumerate(row.claims)}
        mine = [used for used in far if there[used][0] is row]
        mine.sort(key=lambda used: -there[used][1])
        lanes |= {used: y + BELOW + i * LANE for i, used in enumerate(mine)}
        y += BELOW + len(mine) * LANE
    most = max((len(row.claims) for row in rows), default=0)
    return Places(heights, claims, lanes, tuple(rules), FIRST + max(0, most - 1) * STEP + LAST, y + 2)


def claim(box: Box, address: str, name: str, at: Places) -> str:
    x, y = at.claims[box.id]
    uses = ""
    for used in box.uses:
        to, end = at.claims[used]
        way = arc(x, to, y) if end == y else line(x, y, to, at.lanes[used], end + 7)
        uses += f'<path class="im-graph-use" data-to="{used}" d="{way}"/>'
    return (
        f'<a class="im-graph-claim" href="{html.escape(address)}" data-claim="{box.id}">'
        f"<title>{html.escape(name)}</title>{uses}"
        f'<rect class="im-graph-hit" x="{x - 13:g}" y="{y - HIT / 2:g}" width="{STEP - 8}" height="{HIT}"/>'
        f'<circle class="im-graph-halo" cx="{x:g}" cy="{y:g}" r="9"/>{mark(box.status, x, y)}'
        f'<text x="{x + 9:g}" y="{y + 4.5:g}">{box.short}</text></a>'
    )


def picture(rows: Sequence[Row], names: dict[str, str], label: str) -> str:
    """The whole; `names` are what the links are called, which begins with what one sees (WCAG 2.5.3)."""
    at = places(rows)
    body = "".join(f'<path class="im-graph-rule" d="M0 {y:g}H{at.width:g}"/>' for y in at.rules)
    for before, row in zip([None, *rows], rows, strict=False):
        y = at.rows[row.slug] + 4.5
        if before is None or before.part != row.part:
            body += f'<text class="im-graph-part" x="0" y="{y:g}">{html.escape(row.part)}</text>'
        body += (f'<a class="im-graph-chapter" href="{html.escape(row.address)}">'
                 f'<text class="im-graph-number" x="{NUMBERS}" y="{y:g}">{html.escape(row.number)}</text>'
                 f'<rect class="im-graph-hit" x="{TITLES - 26}" y="{y - 4.5 - HIT / 2:g}" '
                 f'width="{FIRST - TITLES - 4}" height="{HIT}"/>'
                 f'<text x="{TITLES}" y="{y:g}">{html.escape(row.title)}</text></a>')  # fmt: skip
        body += "".join(claim(box, f"{row.address}#{box.id}", names[box.id], at) for box in row.claims)
    return (
        f'<svg class="im-graph-svg" width="{at.width:g}" height="{at.height:g}" role="group" aria-labelledby="{label}" '
        f'viewBox="0 0 {at.width:g} {at.height:g}" xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    )


def small(status: str) -> str:
    """A mark by itself, beside words that say what it means."""
    drawn = mark(status, 6, 6)
    return f'<svg class="im-graph-svg" width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">{drawn}</svg>'


def key(words: dict[str, str], skip: str) -> str:
    """What the marks and arrows mean, and a link past the picture, to `skip`."""
    entries = [f"<span>{small(status)} {said}</span>" for status, said in words.items()]
    bow = f'<path class="im-graph-use" d="{arc(STEP, 0, 21)}"/>'
    arrow = f'<svg class="im-graph-svg" width="60" height="16" viewBox="-4 0 60 16" aria-hidden="true">{bow}</svg>'
    entries.append(f'<span class="im-graph-arrow">{arrow} uses</span>')
    entries.append(f'<a class="im-graph-skip" href="#{skip}">skip the picture: the list says the same</a>')
    return f'<p class="im-graph-key">{" ".join(entries)}</p>'
