"""Legend entries, as the page shows them: the mark as it is drawn, and its name in ink."""

from html import escape
from typing import NamedTuple

from .text import format_value, label_html

#: Names of the data palette's markers, in its order (see the book's design notes).
MARKERS = ("square", "circle", "triangle", "diamond", "plus", "times")
#: Dashes of the data palette in SVG, in its order.
DASHES = ("", "9 4", "2 3", "11 4 2 4", "16 5", "5 3 2 3 2 3")
# The data palette's markers around (14, 6), as the script draws them.
_SHAPES = {
    "square": "M10.6 2.6H17.4V9.4H10.6Z",
    "circle": "M10 6a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
    "triangle": "M14 1.4L18 9H10Z",
    "diamond": "M14 1L18 6L14 11L10 6Z",
    "plus": "M14 2V10M10 6H18",
    "times": "M11 3L17 9M17 3L11 9",
}


class Key(NamedTuple):
    """A mark (``"line"``, ``"path"``, ``"area"`` or a marker's name) in a palette colour."""

    label: str
    color: int
    mark: str
    hollow: bool = False

    def html(self) -> str:
        stroke = f'stroke="var(--x-c{self.color})"'
        if self.mark in ("line", "path"):  # paths are many, and none has a dash
            dash = f' stroke-dasharray="{DASHES[self.color]}"' if self.mark == "line" and DASHES[self.color] else ""
            drawing = f'<path d="M1 6H27" fill="none" stroke-width="1.8" {stroke}{dash}/>'
        elif self.mark == "area":
            drawing = f'<path d="M4 1H24V11H4Z" fill="var(--x-c{self.color})" fill-opacity=".35"/>'
        else:
            fill = "none" if self.hollow else f"var(--x-c{self.color})"
            drawing = f'<path d="{_SHAPES[self.mark]}" fill="{fill}" stroke-width="1.5" {stroke}/>'
        return (
            '<span class="im-ex-key"><svg width="28" height="12" viewBox="0 0 28 12" '
            f'aria-hidden="true">{drawing}</svg>{label_html(self.label)}</span>'
        )


class Ramp(NamedTuple):
    """A colour map between two values."""

    label: str
    colors: str
    limits: tuple[float, float]

    def html(self) -> str:
        low, high = (escape(format_value(v)) for v in self.limits)
        name = f"{label_html(self.label)} " if self.label else ""
        return f'<span class="im-ex-key">{name}{low}<span class="im-ex-ramp im-ex-{self.colors}"></span>{high}</span>'
