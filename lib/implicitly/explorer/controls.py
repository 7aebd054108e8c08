"""What a reader can turn: sliders over numbers, choices between a few named settings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import checks
from .text import format_value, label_text

__all__ = ["Choice", "Seed", "Slider"]


def _enabled_when(where, given) -> dict:
    """`given` with a tuple of options for each name."""
    if not isinstance(given, Mapping):
        raise TypeError(f"{where}: enabled_when must be a dict of options by control, {checks.found(given)}")
    one = (str, int, float)
    return {
        checks.key(f"{where}: enabled_when: a name", name): (options,)
        if isinstance(checks.plain(options), one)
        else checks.items(f"{where}: enabled_when[{name!r}]", options, "options", least=1)
        for name, options in given.items()
    }


@dataclass
class Slider:
    """A number the reader slides, or types beside the slider.

    Args:
        name: the parameter of `compute` (for a `frames` slider, the name the views refer to).
        values: the static grid, at least two increasing numbers; all ints make an integer slider.
        default: one of `values`; the middle one if left out.
        label: words, with ``$…$`` for symbols.
        format: how a value is written, for example ``".2f"`` or ``".0%"``; `unit` is put after it. Between
            two grid values it gets the digits more that it takes to tell it.
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
        checks.key("Slider: name", self.name)
        where = f"Slider {self.name!r}"
        values = checks.numbers(f"{where}: values", self.values, least=2, increase=True)
        checks.choice(f"{where}: scale", self.scale, ("linear", "log"))
        if self.scale == "log" and values[0] <= 0:
            raise ValueError(f"{where}: a log scale needs positive values, found {values[0]}")
        self.frames = checks.flag(f"{where}: frames", self.frames)
        integer = all(isinstance(v, int) for v in values)
        lookup = "nearest" if integer and not self.frames else "linear"
        if self.lookup is not None:
            lookup = checks.choice(f"{where}: lookup", self.lookup, ("linear", "nearest"))
        default = values[len(values) // 2]
        if self.default is not None:
            default = checks.number(f"{where}: default", self.default)
        near = [v for v in values if math.isclose(v, default, rel_tol=1e-9, abs_tol=1e-12)]
        if not near:
            raise ValueError(f"{where}: default must be one of the values {values}, found {default!r}")
        checks.spec(f"{where}: format", self.format)
        checks.string(f"{where}: unit", self.unit)
        self.values = values
        self.lookup = lookup
        self.default = min(near, key=lambda v: abs(v - default))
        self.label = self.name if self.label is None else checks.label(f"{where}: label", self.label)
        self.enabled_when = _enabled_when(where, self.enabled_when)

    @property
    def integer(self) -> bool:
        return all(isinstance(v, int) for v in self.values)

    @property
    def index(self) -> int:
        """Position of the default on the grid."""
        return self.values.index(self.default)

    @property
    def stored(self) -> list[int]:
        """Positions that the table of a page function has: both ends and the default."""
        return sorted({0, self.index, len(self.values) - 1})

    def text(self, value: object) -> str:
        """`value` as the page writes it."""
        return format_value(checks.number("value", value), self.format) + self.unit

    def check(self, value: object) -> int | float:
        """`value` as `compute` gets it live; raises ValueError outside the range."""
        value = checks.number(self.name, value)
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
        checks.key("Choice: name", self.name)
        where = f"Choice {self.name!r}"
        given = self.options
        named = isinstance(given, Mapping)
        values = checks.items(f"{where}: options", tuple(given) if named else given, "values", least=2)
        values = tuple(checks.plain(v) for v in values)
        for v in values:
            if not isinstance(v, str | bool):
                checks.number(f"{where}: options that are no strings", v)
        if any(a == b or str(a) == str(b) for k, a in enumerate(values) for b in values[:k]):
            raise ValueError(f"{where}: two options are the same, found {values}")
        self.labels = checks.labels(f"{where}: options", given.values() if named else map(str, values))
        self.options = values
        if self.default is None:
            self.default = values[0]
        elif self.position(self.default) is None:
            raise ValueError(f"{where}: default must be one of {values}, {checks.found(self.default)}")
        else:
            self.default = values[self.position(self.default)]
        if self.label is not None:
            checks.label(f"{where}: label", self.label)
        self.enabled_when = _enabled_when(where, self.enabled_when)

    def position(self, value: object) -> int | None:
        """Where `value` stands among the options; None if it is not one."""
        return next((k for k, option in enumerate(self.options) if _same(option, checks.plain(value))), None)

    @property
    def values(self) -> tuple:
        return self.options

    @property
    def stored(self) -> list[int]:
        return list(range(len(self.options)))

    @property
    def index(self) -> int:
        return self.position(self.default)

    def text(self, value: object) -> str:
        """The label of an option, in plain characters."""
        return label_text(self.labels[self.position(self.check(value))])

    def check(self, value: object) -> Any:
        """The option called `value` (the page sends its position)."""
        position = self.position(value)
        if position is None:
            raise ValueError(f"{self.name} must be one of {self.options}, {checks.found(value)}")
        return self.options[position]

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


@dataclass
class Seed:
    """New data at the press of a button: a whole number that the result's random numbers are drawn from.

    For a `page_function`, which can draw them in the page; what a table holds is one data set.

    Args:
        name: the parameter of `compute`, which gets an int from 0 to 2**31 - 1.
        default: the first data set; the button goes on to the next.
        label: what a data set is called, before its number.
        enabled_when: as for `Slider`.
    """

    name: str
    default: int = 0
    label: str = "data set"
    enabled_when: dict = field(default_factory=dict)

    kind = "seed"
    frames = False
    index = 0
    stored = (0,)

    def __post_init__(self):
        checks.key("Seed: name", self.name)
        self.default = self.check(self.default)
        checks.label(f"Seed {self.name!r}: label", self.label)
        self.enabled_when = _enabled_when(f"Seed {self.name!r}", self.enabled_when)

    @property
    def values(self) -> tuple[int]:
        return (self.default,)

    def check(self, value: object) -> int:
        """`value` as `compute` gets it; raises for what is no seed."""
        return checks.whole(self.name, value, 0, 2**31 - 1)

    def text(self, value: object) -> str:
        return str(value)

    def spec(self) -> dict:
        return {
            "name": self.name,
            "kind": "seed",
            "values": [self.default],
            "default": self.default,
            "label": label_text(self.label),
            "frames": False,
        }


def _same(a, b) -> bool:
    """Equal, and not only as True equals 1."""
    return isinstance(b, str | int | float) and isinstance(a, bool) == isinstance(b, bool) and a == b


Control = Slider | Choice | Seed


def enabled_spec(control: Control, controls: Sequence[Control]) -> dict:
    """`enabled_when` as ``{name: [positions]}``; raises for what does not exist."""
    where = f"{type(control).__name__} {control.name!r}: enabled_when"
    choices = {c.name: c for c in controls if c.kind == "choice" and c is not control}
    out = {}
    for name, options in control.enabled_when.items():
        if name not in choices:
            raise ValueError(f"{where} names {name!r}, which is not a Choice here")
        positions = [choices[name].position(option) for option in options]
        for option, position in zip(options, positions, strict=True):
            if position is None:
                raise ValueError(f"{where}: {option!r} is not an option of {name!r} {choices[name].options}")
        if choices[name].enabled_when:
            raise ValueError(f"{where}: {name!r} is itself switched off by enabled_when")
        out[name] = positions
    return out
