"""Valid calls of `implicitly.explorer`."""

import numpy as np

from calls import Call
from implicitly.explorer import Bars, Choice, Explorer, Lines, Panel, Predict, Slider

T = np.linspace(0, 1, 8)


def state(a, kind):
    return {"t": T, "y": a * T + 1, "last": [a], "bars": [a, 1.0]}


def controls():
    return [Slider("a", [1.0, 2.0, 4.0]), Choice("kind", ["x", "y"])]


def explorer():
    return Explorer(state, controls(), Lines("t", "y"), title="Words", alt="A line.")


def panel(**more):
    """`Panel` takes its layers by position, and the harness gives arguments by name."""
    return Panel(Lines("t", "y"), **more)


#: A slider or class may be left out; a layer's name of a slider that does not exist is refused by `Explorer`.
LAYER = {"over": "none", "until": "none", "labels": "none", "colors": "none", "classes": "number"}
ANY_KEY = "another identifier is another key, looked for by Explorer"

CALLS = {
    "implicitly.explorer.controls.Slider": Call(
        lambda: dict(name="a", values=[0.5, 1.0, 2.0], default=1.0, label="$a$", format=".2f", unit=" s", scale="log",
                     lookup="linear", frames=False, enabled_when={"kind": "x"}),
        accepts={"default": "none", "lookup": "none", "format": "any"},
        skip={"name": ANY_KEY, "label": "any words are words", "unit": "any string is a unit"},
    ),
    "implicitly.explorer.controls.Slider#integers": Call(
        lambda: dict(name="n", values=range(1, 4), default=2, frames=True), accepts={"default": "none"},
        skip={"name": ANY_KEY},
    ),
    "implicitly.explorer.controls.Slider.check": Call(lambda: dict(self=Slider("value", [0.5, 2.0]), value=1.0)),
    "implicitly.explorer.controls.Slider.text": Call(
        lambda: dict(self=Slider("value", [0.5, 2.0], format=".1f"), value=1.0),
        accepts={"value": "sign zero size"},
    ),
    "implicitly.explorer.controls.Choice": Call(
        lambda: dict(name="kind", options=["x", "y"], default="y", label="Kind", enabled_when={"other": "b"}),
        accepts={"default": "none", "label": "none"}, skip={"name": ANY_KEY, "label": "any words are words"},
    ),
    "implicitly.explorer.controls.Choice#numbers": Call(
        lambda: dict(name="n", options=[1, 2], default=2),
        accepts={"default": "none"}, names={"options": "default"}, skip={"name": ANY_KEY},
    ),
    "implicitly.explorer.controls.Choice.check": Call(lambda: dict(self=Choice("value", ["x", "y"]), value="x")),
    "implicitly.explorer.controls.Choice.text": Call(lambda: dict(self=Choice("value", ["x", "y"]), value="x")),
    "implicitly.explorer.controls.Choice.position": Call(
        lambda: dict(self=Choice("value", ["x", "y"]), value="x"), accepts={"value": "any"}
    ),
    "implicitly.explorer.charts.Lines": Call(
        lambda: dict(x="t", y=["a", "b"], labels=["A", "B"], colors=[0, 1], marks=["line", "dots"], over="s"),
        accepts=LAYER | {"marks": "none"}, names={"y": "marks"}, skip={"x": ANY_KEY, "over": ANY_KEY},
    ),
    "implicitly.explorer.plane.Points": Call(
        lambda: dict(points="p", classes="k", colors=[0, 1], hollow=[1], labels=["A", "B"], marker="circle", size=5.5),
        accepts=LAYER | {"hollow": "empty", "marker": "none", "size": "size"},
        skip={"points": ANY_KEY, "classes": ANY_KEY},
    ),
    "implicitly.explorer.plane.Trajectories": Call(
        lambda: dict(paths="p", classes=1, hollow=[1], heads=True, width=0.9, alpha=0.6, labels=["A"]),
        accepts=LAYER | {"classes": "zero", "hollow": "empty", "width": "size", "alpha": "size"},
        skip={"paths": ANY_KEY},
    ),
    "implicitly.explorer.plane.Field": Call(
        lambda: dict(vectors="v", xlim=(0.0, 1.0), ylim=(0.0, 1.0)), skip={"vectors": ANY_KEY}
    ),
    "implicitly.explorer.plane.Heatmap": Call(
        lambda: dict(values="z", xlim=(0.0, 1.0), ylim=(0.0, 1.0), colors="diverging", limits=(1.0, 2.0), scale="log",
                     label="height"),
        accepts={"limits": "none"}, skip={"values": ANY_KEY, "label": "any words are words"},
    ),
    "implicitly.explorer.plane.Heatmap#classes": Call(
        lambda: dict(values="z", xlim=(0.0, 1.0), ylim=(0.0, 1.0), colors=[1, 0], labels=["A", "B"]),
        accepts={"labels": "none"}, skip={"values": ANY_KEY},
    ),
    "implicitly.explorer.charts.Bars": Call(
        lambda: dict(values="b", labels=["A", "B"], colors=[0, 1], limits=(0.0, 1.0), format=".0%", title="Shares"),
        accepts={"colors": "number", "limits": "none", "format": "any"},
        skip={"values": ANY_KEY, "title": "any words are words"},
    ),
    "implicitly.explorer.charts.Bars#edges": Call(
        lambda: dict(values="b", edges=[0.0, 1.0, 2.0], colors=1), accepts={"colors": "zero number"},
        skip={"values": ANY_KEY},
    ),
    "implicitly.explorer.charts.Rule": Call(
        lambda: dict(at=1.0, axis="x", label="edge", color=5),
        accepts={"at": "any", "label": "none", "color": "zero"}, skip={"label": "any words are words"},
    ),
    "implicitly.explorer.predict.Predict": Call(
        lambda: dict(question="Up?", answer="up", choices=["up", "down"], because="It grows."),
        names={"choices": "Predict: "}, skip={"question": "any words are words", "because": "any words are words"},
    ),
    "implicitly.explorer.predict.Predict#number": Call(
        lambda: dict(question="How far?", answer=0.5, tolerance=0.1, format=".1f", unit=" s"),
        accepts={"answer": "sign zero size", "tolerance": "size", "format": "any"},
        skip={"question": "any words are words", "unit": "any string is a unit"},
    ),
    "implicitly.explorer.predict.Predict.form": Call(
        lambda: dict(self=Predict("Up?", "up", choices=["up", "down"]), ident="a"),
        skip={"ident": "asked by Explorer alone"},
    ),
    "calls.explorer.panel": Call(
        lambda: dict(title="T", x="x", y="y", xlim=(0.0, 1.0), ylim=(1.0, 2.0), xscale="linear", yscale="log",
                     xgrid=[0.0, 1.0], ygrid=[1.0], equal=False, aspect=1.5),
        accepts={"xlim": "none", "ylim": "none", "xgrid": "empty sign", "ygrid": "empty", "aspect": "none"},
        skip=dict.fromkeys(("title", "x", "y"), "any words are words"),
    ),
    "implicitly.explorer.widget.Explorer": Call(
        lambda: dict(compute=state, controls=controls(), view=Lines("t", "y"), title="Words", alt="A line.",
                     caption="More.", summary="It ends at {last[0]:.1f}.", side=[Bars("bars", ["p", "q"])], id="words",
                     columns=1, animate="a", seconds=6.0,
                     predict=Predict("Up?", "up", choices=["up", "down"])),
        accepts={"predict": "none", "side": "empty", "id": "none", "columns": "none", "animate": "none"},
        names={"compute": "compute(a=1.0", "controls": "compute(", "id": "id"},
        skip=dict.fromkeys(("title", "alt", "caption", "summary", "id"),
                           "words; test_explorer_refuses.py has wrong ones"),
    ),
    "implicitly.explorer.widget.Explorer.at": Call(
        lambda: dict(self=explorer(), params={"a": 1.5, "kind": "y"}),
    ),
}  # fmt: skip
