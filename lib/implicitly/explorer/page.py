"""The fixed HTML of an explorer: everything but the drawings, so that mounting moves nothing."""

from html import escape

from .text import format_value, label_html, label_text

#: Dashes of the data palette in SVG, in its order.
DASHES = ("", "9 4", "2 3", "11 4 2 4", "16 5", "5 3 2 3 2 3")


def chrome(explorer) -> str:
    """Head, controls, empty drawings of the right shape, side panel, caption, at the defaults."""
    ident = explorer.id
    choices = [c for c in explorer.controls if c.kind == "choice"]
    sliders = [c for c in explorer.controls if c.kind == "slider"]
    controls = "".join(_choice(ident, c) for c in choices)
    if sliders:
        rows = "".join(_slider(ident, c, c.name == explorer.animate) for c in sliders)
        controls += f'<div class="im-ex-sliders">{rows}</div>'
    panels = "".join(_panel(explorer, k, p) for k, p in enumerate(explorer.panels))
    side = "".join(_side(explorer, k, bars) for k, bars in enumerate(explorer.side))
    side = f'<div class="im-ex-side">{side}</div>' if side else ""
    caption = label_html(explorer.caption)
    caption = f'<p class="im-ex-caption"><b>Explorer.</b> {caption}</p>' if caption else ""
    sentence = escape(explorer.sentence())
    return (
        f'<div class="im-ex-head"><p class="im-ex-title" id="{ident}-title">'
        f"{label_html(explorer.title)}</p>"
        '<button type="button" class="im-ex-reset" data-im-reset>Reset</button></div>'
        f'<div class="im-ex-controls">{controls}</div>'
        f'<div class="im-ex-body"><div class="im-ex-stage">'
        f'<div class="im-ex-panels" data-im-columns="{explorer.columns}">{panels}</div></div>'
        f"{side}</div>"
        '<p class="im-ex-message" data-im-message role="alert" hidden></p>'
        f'<p class="im-ex-live" data-im-summary aria-live="polite">{sentence}</p>'
        f"{caption}"
    )


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


def _slider(ident, c, plays):
    play = (
        '<button type="button" class="im-ex-play" data-im-play aria-pressed="false" '
        f'aria-label="Play {escape(c.name)}"></button>'
        if plays
        else ""
    )
    text = escape(c.text(c.default))
    width = max(len(c.text(v)) for v in c.values) + 1  # between grid values a number takes a digit more
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
    rows = [_entry(*row) for layer in panel.layers for row in layer.legend()]
    rows += [_ramp(explorer, x) for x in panel.layers if getattr(x, "tints", True) is False]
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


#: The data palette's markers around (14, 6), as the script draws them.
_SHAPES = {
    "square": "M10.6 2.6H17.4V9.4H10.6Z",
    "circle": "M10 6a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
    "triangle": "M14 1.4L18 9H10Z",
    "diamond": "M14 1L18 6L14 11L10 6Z",
    "plus": "M14 2V10M10 6H18",
    "times": "M11 3L17 9M17 3L11 9",
}


def _entry(label, color, mark, hollow):
    """One legend entry: the mark as drawn (line, area or a marker), and its name in ink."""
    stroke = f'stroke="var(--x-c{color})"'
    if mark in ("line", "path"):  # paths are many, and none has a dash
        dash = f' stroke-dasharray="{DASHES[color]}"' if mark == "line" and DASHES[color] else ""
        drawing = f'<path d="M1 6H27" fill="none" stroke-width="1.8" {stroke}{dash}/>'
    elif mark == "area":
        drawing = f'<path d="M4 1H24V11H4Z" fill="var(--x-c{color})" fill-opacity=".35"/>'
    else:
        fill = "none" if hollow else f"var(--x-c{color})"
        drawing = f'<path d="{_SHAPES[mark]}" fill="{fill}" stroke-width="1.5" {stroke}/>'
    return (
        '<span class="im-ex-key"><svg width="28" height="12" viewBox="0 0 28 12" '
        f'aria-hidden="true">{drawing}</svg>{label}</span>'
    )


def _ramp(explorer, layer):
    low, high = (escape(format_value(v)) for v in explorer._color_limits(layer))
    name = f"{label_html(layer.label)} " if layer.label else ""
    return f'<span class="im-ex-key">{name}{low}<span class="im-ex-ramp im-ex-{layer.colors}"></span>{high}</span>'


def _side(explorer, k, bars):
    title = f'<p class="im-ex-side-title">{label_html(bars.title)}</p>' if bars.title else ""
    low, high = explorer._bar_limits(bars)
    rows = []
    for i, (label, color) in enumerate(zip(bars.labels, bars.colors, strict=False)):
        value = explorer._value_at(bars.values, i, bars)
        share = 100 * min(max((value - low) / (high - low), 0), 1) if value == value else 0
        rows.append(
            f'<div class="im-ex-bar" data-im-bar="{k}:{i}"><span>{label_html(label)}</span>'
            f"<b>{escape(format_value(value, bars.format))}</b>"
            f'<i style="--im-share:{share:.3g}%;--im-color:var(--x-c{color})"></i></div>'
        )
    return title + "".join(rows)
