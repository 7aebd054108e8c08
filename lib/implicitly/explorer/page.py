"""The fixed HTML of an explorer: everything but the drawings, so that mounting moves nothing."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from .text import format_value, label_html, label_text

if TYPE_CHECKING:
    from .widget import Explorer


def chrome(explorer: Explorer) -> str:
    """Head, controls, empty drawings of the right shape, side panel, caption, at the defaults."""
    ident = explorer.id
    choices = [c for c in explorer.controls if c.kind == "choice"]
    sliders = [c for c in explorer.controls if c.kind == "slider"]
    controls = "".join(_choice(ident, c) for c in choices)
    if sliders:
        rows = "".join(_slider(explorer, c) for c in sliders)
        controls += f'<div class="im-ex-sliders">{rows}</div>'
    panels = "".join(_panel(explorer, k, p) for k, p in enumerate(explorer.panels))
    side = "".join(_side(explorer, k, bars) for k, bars in enumerate(explorer.side))
    side = f'<div class="im-ex-side">{side}</div>' if side else ""
    caption = label_html(explorer.caption)
    caption = f'<p class="im-ex-caption"><b>Explorer.</b> {caption}</p>' if caption else ""
    sentence = escape(explorer.sentence())
    asks = explorer.predict
    wait = ' disabled aria-disabled="true"' if asks else ""  # all controls wait for the answer
    return (
        f'<div class="im-ex-head"><p class="im-ex-title" id="{ident}-title">'
        f"{label_html(explorer.title)}</p>{_acts(explorer)}"
        '<button type="button" class="im-ex-reset" data-im-reset>Reset</button></div>'
        f"{asks.form(ident) if asks else ''}"
        f'<fieldset class="im-ex-controls" aria-label="Controls"{wait}>{controls}</fieldset>'
        f'<div class="im-ex-body"><div class="im-ex-stage">'
        f'<div class="im-ex-panels" data-im-columns="{explorer.columns}" style="{_room(explorer)}">{panels}</div></div>'
        f"{side}</div>"
        '<p class="im-ex-message" data-im-message role="alert" hidden></p>'
        f'<p class="im-ex-live" data-im-summary aria-live="polite">{sentence}</p>'
        f"{caption}{_FOOT}"
    )


_FOOT = (
    '<div class="im-ex-foot"><details data-im-numbers><summary>Numbers as a table</summary>'
    '<div class="im-ex-numbers" tabindex="0" role="group" aria-label="Numbers"></div></details>'
    '<button type="button" class="im-ex-reset" data-im-csv>CSV<span class="im-ex-hidden"> of the numbers</span>'
    "</button>"
    "<span data-im-origin></span></div>"
)


def _acts(explorer):
    """Of a page function: how far it is, and a button for new data."""
    busy = (
        '<span class="im-ex-busy" data-im-busy><span></span>'
        '<button type="button" class="im-ex-reset">Stop</button></span>'
        if explorer._page
        else ""
    )
    seeds = "".join(
        f'<span class="im-ex-seed" data-im-control="{c.name}">'
        f"<span data-im-set>{label_html(c.label)} {c.default}</span>"
        '<button type="button" class="im-ex-reset" data-im-new>New data</button></span>'
        for c in explorer.controls
        if c.kind == "seed"
    )
    return busy + seeds


def rows(explorer: Explorer) -> list:
    """The panels, row by row."""
    columns = min(explorer.columns, len(explorer.panels))
    return [explorer.panels[k : k + columns] for k in range(0, len(explorer.panels), columns)]


def _room(explorer):
    """For the style sheet, which makes the panels fit a screen: their height by their width, and the rest's in pixels.

    What is written around the plots is counted as it is in the book, each label in one line.
    """
    lines = rows(explorer)
    tall = sum(max(1 / p.aspect for p in row) for row in lines) / len(lines[0])
    rest = 66 + (92 if explorer.predict else 0)
    rest += 36 * sum(c.kind == "choice" for c in explorer.controls)
    rest += 62 * -(-sum(c.kind == "slider" for c in explorer.controls) // 3) + 8
    for row in lines:
        rest += 16 + 20 * any(p.title for p in row) + 25 * any(p.y for p in row) + 21 * any(p.x for p in row)
        rest += 28 * any(layer._legend(explorer._columns) for p in row for layer in p.layers)
    return f"--im-tall:{tall:.4g};--im-rest:{rest}px"


def _choice(ident, c):
    rows = "".join(
        f'<label><input type="radio" autocomplete="off" name="{ident}-{c.name}" value="{k}"'
        f"{' checked' if k == c.index else ''}><span>{label_html(text)}</span></label>"
        for k, text in enumerate(c.labels)
    )
    hidden = "" if c.label else ' class="im-ex-hidden"'
    return (
        f'<fieldset class="im-ex-choice" data-im-control="{c.name}">'
        f"<legend{hidden}>{label_html(c.label or c.name)}</legend>{rows}</fieldset>"
    )


def _slider(explorer, c):
    ident = explorer.id
    play = (
        '<button type="button" class="im-ex-play" data-im-play aria-pressed="false" '
        f'aria-label="Play {escape(c.name)}"></button>'
        if c.name == explorer.animate
        else ""
    )
    text = escape(c.text(c.default))
    width = max(len(c.text(v)) for v in c.values) + 1  # between grid values a number takes a digit more
    width += 2 * bool(explorer._page and not c.frames and not c.integer)  # and one that is typed is computed as it is
    typed = ' inputmode="decimal"' if c.values[0] >= 0 else ""
    share = 100 * c.index / (len(c.values) - 1)
    return (
        f'<div class="im-ex-slider" role="group" data-im-control="{c.name}">'
        f'<label for="{ident}-{c.name}">{label_html(c.label)}</label>'
        f'<input data-im-value autocomplete="off"{typed} aria-label="{escape(label_text(c.label))}, value" '
        f'value="{text}" style="width:{width}ch">{play}'
        f'<input type="range" autocomplete="off" id="{ident}-{c.name}" min="0" '
        f'max="{len(c.values) - 1}" step="any" value="{c.index}" aria-valuetext="{text}" '
        f'style="--im-share:{share:.4g}%"></div>'
    )


def _panel(explorer, k, panel):
    rows = [entry.html() for layer in panel.layers for entry in layer._legend(explorer._columns)]
    parts = [
        f'<div class="im-ex-{name}">{text}</div>'
        for name, text in (
            ("panel-title", label_html(panel.title)),
            ("legend", "".join(rows)),
            ("y", label_html(panel.y)),
        )
    ]
    return (
        f'<div class="im-ex-panel" data-im-panel="{k}">{"".join(parts)}'
        f'<div class="im-ex-plot" style="aspect-ratio:{panel.aspect:g}"></div>'
        f'<div class="im-ex-x">{label_html(panel.x)}</div></div>'
    )


def _side(explorer, k, bars):
    title = f'<p class="im-ex-side-title">{label_html(bars.title)}</p>' if bars.title else ""
    low, high = bars._ends(explorer._columns)
    values = explorer._start.get(bars, bars.values, 1)
    rows = []
    for i, (label, color, value) in enumerate(zip(bars.labels, bars.colors, values, strict=True)):
        share = 100 * min(max((value - low) / (high - low), 0), 1) if value == value else 0
        rows.append(
            f'<div class="im-ex-bar" data-im-bar="{k}:{i}"><span>{label_html(label)}</span>'
            f"<b>{escape(format_value(value, bars.format))}</b>"
            f'<i style="--im-share:{share:.3g}%;--im-color:var(--x-c{color})"></i></div>'
        )
    return title + "".join(rows)
