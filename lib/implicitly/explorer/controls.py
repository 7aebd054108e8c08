"""What a reader can turn: sliders over numbers, choices between a few named settings."""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Integral, Real

from .text import check_spec, format_value, label_html, label_text


def _name(kind, name):
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"{kind}: name must be a Python identifier, found {name!r}")


@dataclass
class Slider:
    """A number the reader slides.

    Args:
        name: the parameter of `compute` (for a `frames` slider, the name the views refer to).
        values: the static grid, at least two increasing numbers; all ints make an integer slider.
        default: one of `values`; the middle one if left out.
        label: words, with ``$…$`` for symbols.
        format: how a value is written, for example ``".2f"`` or ``".0%"``; `unit` is put after it.
        scale: ``"linear"`` or ``"log"``: how values between two grid values are spaced.
        lookup: on the static page, ``"linear"`` interpolates the table between grid values and
            ``"nearest"`` steps from one to the next; integers step unless told otherwise. Use
            ``"nearest"`` where the picture jumps (a class changes, a fixed point vanishes).
        frames: the slider moves along an axis the arrays already have (a time, an iteration):
            `compute` does not get it, and it costs the table nothing.
        enabled_when: ``{"flow": ["probability"]}``: the slider has an effect only for these options
            of a `Choice`. Elsewhere it is dimmed, and `compute` gets its default.
    """

    name: str
    values: tuple
    default: float | None = None
    label: str | None = None
    format: str = ""
    unit: str = ""
    scale: str = "linear"
    lookup: str | None = None
    frames: bool = False
    enabled_when: dict = field(default_factory=dict)

    kind = "slider"

    def __post_init__(self):
        where = f"Slider {self.name!r}"
        _name("Slider", self.name)
        values = tuple(getattr(v, "item", lambda v=v: v)() for v in self.values)
        if len(values) < 2:
            raise ValueError(f"{where}: values must hold at least two numbers, found {len(values)}")
        for v in values:
            if isinstance(v, bool) or not isinstance(v, Real) or not math.isfinite(v):
                raise ValueError(f"{where}: values must be finite numbers, found {v!r}")
        if any(b <= a for a, b in pairwise(values)):
            raise ValueError(f"{where}: values must increase, found {values}")
        if self.scale not in ("linear", "log"):
            raise ValueError(f"{where}: scale must be 'linear' or 'log', found {self.scale!r}")
        if self.scale == "log" and values[0] <= 0:
            raise ValueError(f"{where}: a log scale needs positive values, found {values[0]}")
        integer = all(isinstance(v, Integral) for v in values)
        lookup = self.lookup or ("nearest" if integer and not self.frames else "linear")
        if lookup not in ("linear", "nearest"):
            raise ValueError(f"{where}: lookup must be 'linear' or 'nearest', found {lookup!r}")
        default = values[len(values) // 2] if self.default is None else self.default
        near = [v for v in values if math.isclose(v, default, rel_tol=1e-9, abs_tol=1e-12)]
        if not near:
            raise ValueError(f"{where}: default {default!r} is not on the grid {values}")
        check_spec(self.format)
        self.values = values
        self.lookup = lookup
        self.default = near[0]
        self.label = self.name if self.label is None else self.label
        label_html(self.label)

    @property
    def integer(self) -> bool:
        return all(isinstance(v, Integral) for v in self.values)

    @property
    def index(self) -> int:
        """Position of the default on the grid."""
        return self.values.index(self.default)

    def text(self, value) -> str:
        return format_value(value, self.format) + self.unit

    def check(self, value):
        """`value` as `compute` gets it live; raises ValueError outside the range."""
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"{self.name} must be a number, found {value!r}")
        low, high = self.values[0], self.values[-1]
        if not low <= value <= high:
            raise ValueError(f"{self.name} must be between {low} and {high}, found {value!r}")
        return round(value) if self.integer else float(value)

    def spec(self) -> dict:
        return {
            "name": self.name,
            "kind": "slider",
            "values": list(self.values),
            "default": self.index,
            "label": label_text(self.label),
            "format": self.format,
            "unit": self.unit,
            "log": self.scale == "log",
            "integer": self.integer,
            "nearest": self.lookup == "nearest",
            "frames": self.frames,
        }


@dataclass
class Choice:
    """One of a few named settings, shown as a row of radio buttons; never interpolated.

    Args:
        name: the parameter of `compute`.
        options: the values it takes, or ``{value: label}``; strings, numbers or booleans.
        default: one of them; the first if left out.
        label: words before the row; left out, the name is read to screen readers only.
        enabled_when: as for `Slider`.
    """

    name: str
    options: tuple | dict
    default: object = None
    label: str | None = None
    enabled_when: dict = field(default_factory=dict)

    kind = "choice"
    frames = False

    def __post_init__(self):
        where = f"Choice {self.name!r}"
        _name("Choice", self.name)
        options = self.options
        if isinstance(options, str) or len(options) < 2:
            raise ValueError(f"{where}: options must hold at least two values, found {options!r}")
        values = tuple(options)
        labels = tuple(options.values()) if isinstance(options, dict) else map(str, values)
        if len({str(v) for v in values}) < len(values):
            raise ValueError(f"{where}: two options are the same, found {values}")
        default = values[0] if self.default is None else self.default
        if default not in values:
            raise ValueError(f"{where}: default {default!r} is not one of {values}")
        self.options = values
        self.labels = tuple(labels)
        self.default = default
        for text in (*self.labels, self.label or ""):
            label_html(text)

    @property
    def values(self):
        return self.options

    @property
    def index(self) -> int:
        return self.options.index(self.default)

    def text(self, value) -> str:
        return label_text(self.labels[self.options.index(value)])

    def check(self, value):
        """The option called `value` (the page sends its position)."""
        if value not in self.options:
            raise ValueError(f"{self.name} must be one of {self.options}, found {value!r}")
        return value

    def spec(self) -> dict:
        return {
            "name": self.name,
            "kind": "choice",
            "values": [str(v) for v in self.options],
            "labels": [label_text(t) for t in self.labels],
            "default": self.index,
            "label": label_text(self.label or self.name),
            "frames": False,
        }


def enabled_spec(control, controls) -> dict:
    """`enabled_when` as ``{name: [positions]}``; raises for what does not exist."""
    where = f"{type(control).__name__} {control.name!r}: enabled_when"
    choices = {c.name: c for c in controls if c.kind == "choice" and c is not control}
    out = {}
    for name, options in control.enabled_when.items():
        if name not in choices:
            raise ValueError(f"{where} names {name!r}, which is not a Choice here")
        options = (options,) if isinstance(options, str) else tuple(options)
        for option in options:
            if option not in choices[name].options:
                raise ValueError(f"{where}: {option!r} is not an option of {name!r} {choices[name].options}")
        if choices[name].enabled_when:
            raise ValueError(f"{where}: {name!r} is itself switched off by enabled_when")
        out[name] = [choices[name].options.index(option) for option in options]
    return out
