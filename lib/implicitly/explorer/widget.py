"""`Explorer`: a picture with controls, computed by the kernel in Jupyter and by table on the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from . import checks, table
from .compiled import PageFunction
from .computed import Reader
from .controls import Choice, Control, Seed, Slider, enabled_spec
from .layers import Layer, Setting
from .output import output
from .page import chrome
from .panel import Panel
from .predict import Predict
from .text import fields, format_value, label_text

if TYPE_CHECKING:
    from .live import Live

__all__ = ["Explorer"]


class Explorer:
    """A picture the reader turns: live in Jupyter, from a table on the static page.

    ``compute(**params) -> {key: array}`` is a pure function of the controls (numpy, torch tensors
    on any device, or plain numbers). In Jupyter the kernel calls it at any value a slider can take. When
    the explorer is made it is called once per grid point, and the results, packed, are the static
    page. Keys that no view and no sentence names are left out.

    Args:
        compute: the function. Shapes of its arrays must not change over the grid. A `page_function` is computed
            in the reader's browser too, at any value, and its table holds the ends and defaults of sliders alone.
        controls: `Slider` and `Choice`, in the order shown; with a `page_function` a `Seed`, too.
        view: a `Panel`, a layer (`Lines`, `Points`, `Trajectories`, `Field`, `Heatmap`, `Bars`), or a
            list of panels (small multiples).
        title: heading, and the source of `id`.
        alt: what the picture shows at the default setting, one sentence, for those who cannot see it.
        caption: a sentence under the picture. `$…$` for symbols in it, in `alt` and in every label.
        summary: a sentence of the current state, ``"{share[0]:.0%} of starts end at a data point"``;
            fields are keys of scalars, elements ``key[0]`` of vectors, or controls.
        side: `Bars` (or a list) shown as a panel of words, numbers and bars beside the picture.
        id: anchor in the page and key in its URL; made from `title` if left out.
        columns: panels side by side on a wide screen (default: all up to 3).
        animate: name of a slider that gets a play button; `seconds`: time from end to end.
        predict: a `Predict`, a question that is asked before the controls can be moved.

    Raises:
        TypeError, ValueError: naming the argument or key, what was expected and what was found. An
            exception of `compute` is raised again as `RuntimeError` with the parameter values.

    It pickles and copies as its `compute` does (a function of a module: yes; a lambda: with cloudpickle).
    `widget` goes into layouts of ipywidgets.

    On the page the state is in the URL, ``#id?flow=score&angle=94`` (several explorers: joined by
    ``;``). Cost of a redraw and of the script: see ``lib/explorer-js/README.md``.

    >>> import numpy as np
    >>> from implicitly.explorer import Explorer, Lines, Panel, Slider
    >>> t = np.linspace(0, 4, 50)
    >>> Explorer(
    ...     lambda rate: {"t": t, "decay": np.exp(-rate * t)},
    ...     controls=[Slider("rate", [0.5, 1, 2], format=".1f")],
    ...     view=Panel(Lines("t", "decay"), x="time, $t$", y="what is left"),
    ...     title="A decay",
    ...     alt="A curve falling from 1 to nearly 0.",
    ... )
    Explorer 'A decay': rate (3 values); 3 grid points.
    """

    def __init__(
        self,
        compute: Callable[..., Mapping],
        controls: Sequence[Control],
        view: Panel | Layer | Sequence[Panel | Layer],
        *,
        title: str,
        alt: str,
        caption: str = "",
        summary: str = "",
        side: Layer | Sequence[Layer] = (),
        id: str | None = None,
        columns: int | None = None,
        animate: str | None = None,
        seconds: float = 6.0,
        predict: Predict | None = None,
    ):
        if not callable(compute):
            raise TypeError(f"Explorer: compute must be a function, {checks.found(compute)}")
        for name, value in (("title", title), ("alt", alt)):
            if not checks.label(f"Explorer: {name}", value).strip():
                raise ValueError(f"Explorer: {name} must be a non-empty string, found {value!r}")
        checks.label("Explorer: caption", caption)
        fields(checks.string("Explorer: summary", summary))
        self.compute = compute
        self.controls = _controls(controls)
        self.panels = _panels(view)
        self.side = [side] if isinstance(side, Layer) else list(checks.items("Explorer: side", side, "Bars"))
        if not all(isinstance(bars, Layer) and bars.bands for bars in self.side):
            raise TypeError(f"Explorer: side must be Bars with labels, found {side!r}")
        self.title, self.alt, self.caption, self.summary = title, alt, caption, summary
        slug = re.sub(r"[^a-z0-9]+", "-", label_text(title).lower()).strip("-")
        self.id = slug if id is None else checks.string("Explorer: id", id)
        if not re.fullmatch(r"[A-Za-z][\w-]*", self.id, re.ASCII):
            raise ValueError(f"Explorer: id must be letters, digits and dashes, found {self.id!r}")
        sliders = [c.name for c in self.controls if c.kind == "slider"]
        if animate is not None and (not isinstance(animate, str) or animate not in sliders):
            raise ValueError(f"Explorer: animate must name a Slider, found {animate!r}")
        self.animate, self.seconds = animate, checks.number("Explorer: seconds", seconds, at_least=0.5, at_most=120)
        self.columns = min(3, len(self.panels)) if columns is None else checks.whole("Explorer: columns", columns, 1, 4)
        if predict is not None and not isinstance(predict, Predict):
            raise TypeError(f"Explorer: predict must be a Predict, {checks.found(predict)}")
        self.predict = predict
        self.by_name = {c.name: c for c in self.controls}
        placed = [(layer, panel) for panel in self.panels for layer in panel.layers]
        self._reader = Reader(self.controls, placed + [(bars, None) for bars in self.side], summary)
        self._page = compute if isinstance(compute, PageFunction) else None
        if self._page:
            self._page.check(self.controls)
        self.points = table.grid(self.controls, few=bool(self._page))
        self._fill()
        self._widget = None

    # -- the table ---------------------------------------------------------------------------

    def _fill(self):
        """Compute the whole grid; set entries, the packed table, axis ranges and default values."""
        rows = [self._reader.read(self.compute, params) for params in self.points]
        self._entries = [self._reader.entry(name, array) for name, array in rows[0].items()]
        columns = {e.name: np.stack([row[e.name] for row in rows]) for e in self._entries}
        for entry in self._entries:
            values = columns[entry.name]
            # whole numbers are exact in steps of one; on a log axis a step is of the logarithm
            entry.whole = bool(values.dtype.kind == "i" and not entry.log and np.ptp(values) < table.GAP)
            if np.isnan(values).all():
                raise ValueError(f"Explorer: {entry.name!r} is NaN over the whole grid")
            if self._page is None:  # else the page computes what it writes, and the table stands in for it
                for spec in sorted(self._reader.formats.get(entry.name, ())):
                    table.keep_digits(entry, values, spec)
        self._data, sizes = table.pack(self._entries, columns)
        if len(self._data) > table.LIMIT:
            listed = ", ".join(
                f"{e.name} {'x'.join(map(str, e.shape)) or 'scalar'}: {sizes[e.name]:,} bytes"
                for e in sorted(self._entries, key=lambda e: -sizes[e.name])
            )
            raise ValueError(
                f"Explorer: the table takes {len(self._data):,} bytes, at most {table.LIMIT:,} are "
                f"allowed, over {len(self.points)} grid points ({listed}). Use fewer grid values, "
                "fewer paths or steps, or a slider with frames=True."
            )
        start = table.canonical(self.controls, {c.name: c.default for c in self.controls})
        self.default = rows[self.points.index(start)]
        self._start = Setting(self.default, self.controls)
        for name, index, _ in fields(self.summary):
            shape = self.default[name].shape if name in self.default else None
            if shape is not None and (len(shape) != (index is not None) or (index or 0) >= max(shape, default=1)):
                raise ValueError(
                    f"summary: a field must be a scalar {{key}} or an element {{key[0]}} of a vector, "
                    f"found index {index} of {name!r} with shape {shape}"
                )
        self._columns = columns
        #: of each panel, the range of each axis
        self.ranges = [{axis: panel._range(axis, columns) for axis in "xy"} for panel in self.panels]

    # -- what is shown -----------------------------------------------------------------------

    def _payload(self):
        controls = []
        for c in self.controls:
            stored = {"stored": list(c.stored)} if self._page and c.kind == "slider" and not c.frames else {}
            controls.append({**c.spec(), "enabled": enabled_spec(c, self.controls), **stored})
        panels = [p._spec(ranges, self._columns) for p, ranges in zip(self.panels, self.ranges, strict=True)]
        return {
            "id": self.id,
            "title": label_text(self.title),
            "alt": label_text(self.alt),
            "controls": controls,
            "panels": panels,
            "side": [bars._spec(self._columns, side=True) for bars in self.side],
            "arrays": [e.spec() for e in self._entries],
            "summary": self.summary,
            "animate": self.animate,
            "seconds": self.seconds,
            "predict": self.predict and self.predict.spec(),
            "data": self._data,
            **self._computes(),
            "chrome": chrome(self),
        }

    def _computes(self):
        """What the page computes with, if its function has a module."""
        module = self._page and self._page.module()
        if not module:
            return {}
        ends = self.points[:1] if self._page.slow else [self.points[0], self.points[-1]]
        start = table.canonical(self.controls, {c.name: c.default for c in self.controls})
        return {"compute": self._page.spec(module, [start, *(p for p in ends if p != start)])}

    def sentence(self) -> str:
        """The default state in words (what screen readers are told after a change)."""
        settings = {c.name: c.default for c in self.controls}
        parts = [
            f"{label_text(c.label or c.name)}: {c.text(c.default)}" for c in self.controls if table.in_use(c, settings)
        ]
        text = "; ".join(parts) + "."
        if not self.summary:
            return text[0].upper() + text[1:]

        def write(match):
            (name, index, spec) = fields(match[0])[0]
            if name in self.by_name:
                return self.by_name[name].text(self.by_name[name].default)
            return format_value(self.default[name] if index is None else self.default[name][index], spec)

        text += " " + re.sub(r"\{[^{}]*\}", write, self.summary)
        return text[0].upper() + text[1:]

    def __repr__(self):
        held = ", ".join(f"{c.name} ({len(c.values)} values)" for c in self.controls)
        points = "1 grid point" if len(self.points) == 1 else f"{len(self.points)} grid points"
        return f"Explorer {label_text(self.title)!r}: {held}; {points}."

    def _repr_html_(self):
        return self._repr_mimebundle_()[0]["text/html"]

    def _repr_mimebundle_(self, **kwargs):
        """What a notebook stores and shows: see `output`."""
        data, metadata = self.widget._repr_mimebundle_(**kwargs)
        own, about = output(self, json.loads(self.widget.spec))
        return {**data, **own}, {**metadata, **about}

    # -- live --------------------------------------------------------------------------------

    @property
    def widget(self) -> Live:
        """The anywidget that Jupyter shows, made when it is first asked for."""
        if self._widget is None:
            from .live import Live

            self._widget = Live(self, _json(self._payload()))
        return self._widget

    def __getstate__(self):
        return {**self.__dict__, "_widget": None}  # its connection to a browser stays here

    def _decode(self, params):
        """`params` as the page sends them, with options named by their position, as values."""
        if not isinstance(params, dict):
            raise TypeError(f"params must be a dict, found {params!r}")
        out = dict(params)
        for c in self.controls:
            if c.kind == "choice" and c.name in out:
                out[c.name] = c.options[checks.whole(f"{c.name}: position", out[c.name], 0, len(c.options) - 1)]
        return out

    def at(self, params: dict) -> dict[str, np.ndarray]:
        """`compute` at any values the controls allow, checked as at construction."""
        wanted = [c.name for c in self.controls if not c.frames]
        if not isinstance(params, dict):
            raise TypeError(f"params must be a dict, {checks.found(params)}")
        if set(params) != set(wanted):
            raise ValueError(f"params must be {wanted}, found {list(params)}")
        checked = {name: self.by_name[name].check(value) for name, value in params.items()}
        return self._reader.read(self.compute, table.canonical(self.controls, checked))


def _controls(controls):
    controls = list(checks.items("Explorer: controls", controls, "Slider and Choice"))
    for c in controls:
        if not isinstance(c, (Slider, Choice, Seed)):
            raise TypeError(f"Explorer: controls must be Slider, Choice or Seed, found {type(c).__name__}")
    names = [c.name for c in controls]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"Explorer: controls must have different names, found {names}")
    for c in controls:
        enabled_spec(c, controls)
    return controls


def _panels(view):
    views = list(view) if isinstance(view, (list, tuple)) else [view]
    panels = [Panel(v) if isinstance(v, Layer) else v for v in views]
    if not panels or not all(isinstance(p, Panel) for p in panels):
        raise TypeError(
            f"Explorer: view must be a Panel, a layer or a list of them, found {[type(v).__name__ for v in views]}"
        )
    return panels


def _json(payload) -> str:
    """Sorted, compact, and safe inside a script element."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
