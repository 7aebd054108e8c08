"""The Python side of the explorer: what it refuses, what it stores, what it answers."""

import base64
import copy
import doctest
import importlib
import io
import json
import pickle
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from explorer_table import lookup, unpack
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import implicitly
from implicitly.explorer import (
    Bars,
    Choice,
    Explorer,
    Field,
    Heatmap,
    Lines,
    Panel,
    Points,
    Predict,
    Rule,
    Seed,
    Slider,
    Trajectories,
    table,
)
from implicitly.explorer.layers import Layer, Need
from implicitly.explorer.text import fields, format_value, label_html, label_text

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lib/explorer-js/bench"))
samples = importlib.import_module("samples")

T = np.linspace(0, 1, 8)


def lines(compute=None, controls=None, view=None, **more):
    """A small explorer that is right, to be made wrong in one place."""
    compute = compute or (lambda a: {"t": T, "y": a * T})
    controls = [Slider("a", [1.0, 2.0, 4.0])] if controls is None else controls
    view = view or Lines("t", "y")
    return Explorer(compute, controls, view, **{"title": "A title", "alt": "A line rises.", **more})


@pytest.fixture(scope="module")
def all_samples():
    return {name: make() for name, make in samples.SAMPLES.items()}


# -- construction ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Slider("a", [1, 2, 3], default=2.5), ValueError, "default must be one of the values .* found 2.5"),
        (lambda: Slider("a b", [1, 2]), ValueError, "Python identifier"),
        (lambda: Slider("a", [1]), ValueError, "at least two"),
        (lambda: Slider("a", [2, 1]), ValueError, "must increase"),
        (lambda: Slider("a", [1, float("nan")]), ValueError, "finite"),
        (lambda: Slider("a", [0, 1], scale="log"), ValueError, "positive values"),
        (lambda: Slider("a", [0, 1], lookup="cubic"), ValueError, "'linear' or 'nearest'"),
        (lambda: Slider("a", [0, 1], format="{:.2f}"), ValueError, "format must look like"),
        (lambda: Slider("a", [0, 1], label=r"$\frac12$"), ValueError, r"\\frac"),
        (lambda: Choice("a", ["x"]), ValueError, "at least two"),
        (lambda: Choice("a", ["x", "y"], default="z"), ValueError, "default must be one of .* found 'z'"),
        (lambda: Choice("a", ["x", "x"]), ValueError, "the same"),
        (lambda: lines(compute=3), TypeError, "compute must be a function"),
        (lambda: lines(controls=[]), ValueError, "controls"),
        (lambda: lines(controls=["a"]), TypeError, "Slider, Choice or Seed"),
        (lambda: lines(controls=[Slider("a", [1, 2]), Slider("a", [1, 2])]), ValueError, "different"),
        (lambda: lines(view="lines"), TypeError, "view must be"),
        (lambda: lines(title=" "), ValueError, "title"),
        (lambda: lines(alt=""), ValueError, "alt"),
        (lambda: lines(alt="A line costs $5."), ValueError, "dollar signs do not pair up"),
        (lambda: lines(id="1 2"), ValueError, "id must be"),
        (lambda: lines(animate="b"), ValueError, "animate must name a Slider"),
        (lambda: lines(columns=9), ValueError, "columns"),
        (lambda: lines(summary="{y.real}"), ValueError, "field must be"),
        (lambda: lines(summary="{y}"), ValueError, r"found index None of 'y' with shape \(8,\)"),
        (lambda: lines(summary="{y[8]}"), ValueError, "found index 8 of 'y'"),
        (lambda: lines(view=Lines("t", "y.x")), ValueError, "Lines: y must be a Python identifier, found 'y.x'"),
        (lambda: lines(side=Bars("y", edges=T)), TypeError, "side must be Bars with labels"),
        (lambda: lines(summary="{z}"), ValueError, r"lacks \['z'\]"),
        (lambda: lines(view=Lines("t", "z")), ValueError, r"compute\(a=1.0\) lacks \['z'\]"),
        (lambda: lines(view=Lines("t", "y", until="b")), ValueError, "until='b' must name"),
        (lambda: lines(view=Lines("t", "y", colors=(7,))), ValueError, "palette numbers"),
        (lambda: lines(view=Lines("t", "y", labels=("p", "q"))), ValueError, "one per key"),
        (lambda: lines(lambda a: [a]), TypeError, "must return a dict"),
        (lambda: lines(lambda a: {"t": T, "y": a * T[1:]}), ValueError, "'y' has 7 along T, 't' has 8"),
        (lambda: lines(lambda a: {"t": T, "y": a}), ValueError, r"must have shape \(T\) or \(S, T\)"),
        (lambda: lines(lambda a: {"t": T, "y": T + np.inf}), ValueError, "infinite"),
        (lambda: lines(lambda a: {"t": T, "y": 1j * T}), TypeError, "real numbers"),
        (lambda: lines(lambda a: {"t": T, "y": ["a"]}), TypeError, "real numbers"),
        (lambda: lines(lambda a: {"t": T, "y": [[1], [1, 2]]}), ValueError, "not a rectangular"),
        (lambda: lines(lambda a: {"t": T * np.nan, "y": T * np.nan}), ValueError, "every number is NaN"),
        (lambda: lines(lambda a: {"t": T, "y": T * np.nan}), ValueError, "'y' is NaN over the whole grid"),
        (
            lambda: lines(lambda a: {"t": np.arange(a), "y": np.arange(a)}),
            ValueError,
            r"compute\(a=2.0\): 't' has shape \(2,\), but \(1,\) at the first grid point",
        ),
        (
            lambda: lines(view=Panel(Lines("t", "y"), yscale="log")),
            ValueError,
            "'y' must be positive on a log axis, found 0",
        ),
        (
            lambda: lines(
                view=[Panel(Lines("t", "y"), xscale="log"), Panel(Lines("t", "y"))],
                compute=lambda a: {"t": T + 1, "y": a * T},
            ),
            ValueError,
            "'t' lies on a linear and on a log axis",
        ),
        (lambda: Panel(Lines("t", "y"), xlim=(2, 1)), ValueError, "xlim"),
        (lambda: Panel(Lines("t", "y"), equal=True, xscale="log"), ValueError, "linear axes"),
        (lambda: Panel(Field("y", (1, 2), (1, 2)), yscale="log"), ValueError, "linear axes"),
        (lambda: Panel("y"), TypeError, "layers must be views"),
        (lambda: Bars("y"), ValueError, "labels .* or edges"),
        (lambda: Bars("y", edges=(1, 1)), ValueError, "edges must increase"),
        (lambda: Field("y", (0, 1), (1, 0)), ValueError, "ylim"),
        (lambda: Heatmap("y", (0, 1), (0, 1), "jet"), ValueError, "'sequential'"),
        (lambda: Rule(0, axis="z"), ValueError, "'x' or 'y'"),
        (
            lambda: lines(
                view=Points("p", "k", colors=(0, 1)), compute=lambda a: {"p": np.ones((3, 2)), "k": np.array([0, 1, 2])}
            ),
            ValueError,
            "classes in 'k' must be 0 to 1",
        ),
        (
            lambda: lines(view=Points("p", "k"), compute=lambda a: {"p": np.ones((3, 2)), "k": T[:3]}),
            TypeError,
            "must be integers",
        ),
        (
            lambda: lines(view=Trajectories("p"), compute=lambda a: {"p": np.ones((3, 4, 3))}),
            ValueError,
            r"shape \(P, T, 2\)",
        ),
        (lambda: Slider("a", [1, 2], default=True), TypeError, "default must be a number, found True"),
        (lambda: Slider("a", [1, 2], enabled_when=["b"]), TypeError, "enabled_when must be a dict"),
        (lambda: Seed("a", enabled_when=["b"]), TypeError, "Seed 'a': enabled_when must be a dict"),
        (lambda: Slider("a", [0, 1], format=".99f"), ValueError, "at most 20 digits"),
        (lambda: Choice("a", [1, 2], default=True), ValueError, "found True"),
        (lambda: Choice("a", [1.0, float("nan")]), ValueError, "options that are no strings must be finite"),
        (lambda: Choice("a", [1, True]), ValueError, "the same"),
        (lambda: lines(title=3), TypeError, "title must be a string, found 3"),
        (lambda: lines(caption=None), TypeError, "caption must be a string, found None"),
        (lambda: lines(summary=b"x"), TypeError, "summary must be a string"),
        (lambda: lines(summary="{t"), ValueError, "summary: expected '}'"),
        (lambda: lines(id=3), TypeError, "id must be a string"),
        (lambda: lines(columns=True), TypeError, "columns must be a whole number, found True"),
        (lambda: lines(seconds="6"), TypeError, "seconds must be a number, found '6'"),
        (lambda: lines(seconds=float("nan")), ValueError, "seconds must be finite"),
        (lambda: lines(side=3), TypeError, "side must be a sequence of Bars"),
        (lambda: lines(lambda a: {"t": T, "y": T, 3: T}, view=Lines("t", "z")), ValueError, r"lacks \['z'\]"),
        (lambda: lines().at(3), TypeError, "params must be a dict, found 3"),
        (lambda: lines().at({"a": 1.0, 3: 1}), ValueError, "params must be"),
        (lambda: Points("p", 1, colors=(0,)), ValueError, "colors must reach class 1"),
        (lambda: Points("p", "k", colors=(0,), labels=("A", "B")), ValueError, "at most one per colour"),
        (lambda: Points("p", "k", colors=(True,)), TypeError, "colors: palette numbers must be a whole number"),
        (lambda: Lines("t", ""), ValueError, "y must be a Python identifier"),
        (lambda: Heatmap("z", (0, 1), (0, 1), labels=("A",)), ValueError, "labels name classes"),
        (lambda: Heatmap("z", None, (0, 1)), TypeError, "xlim must be"),
        (lambda: Bars("b", labels=("A", "A")), ValueError, "labels must differ"),
        (lambda: Rule(float("inf")), ValueError, "at must be finite"),
        (lambda: Panel(Bars("b", labels="AB"), Lines("t", "y")), TypeError, "labels must be a sequence"),
        (lambda: Panel(Bars("b", labels=("A", "B")), Lines("t", "y")), ValueError, "must be Rules of y"),
        (lambda: Panel(Bars("b", edges=(0, 1)), yscale="log"), ValueError, "yscale: Bars need a linear y axis"),
        (lambda: Panel(Rule(0.0), yscale="log"), ValueError, "at must be positive on a log axis"),
        (lambda: Panel(Heatmap("z", (0, 1), (1, 2)), xscale="log"), ValueError, "xlim must be positive on a log axis"),
        (lambda: Panel(Lines("t", "y"), aspect=0), ValueError, "aspect must be finite and at least 0.3"),
        (lambda: Panel(Lines("t", "y"), xgrid=[0], xscale="log"), ValueError, "xgrid"),
        (lambda: lines(predict="Up or down?"), TypeError, "predict must be a Predict, found 'Up or down"),
        (lambda: Predict(" ", 1.0, tolerance=1), ValueError, "question must be a non-empty string"),
        (lambda: Predict("It costs $5?", 1.0, tolerance=1), ValueError, "question: .*dollar signs do not pair up"),
        (lambda: Predict("Up?", "up"), TypeError, "answer without choices must be a number, found 'up'"),
        (lambda: Predict("How many?", float("nan"), tolerance=1), ValueError, "answer without choices must be finite"),
        (lambda: Predict("How many?", 1), ValueError, "tolerance must be given .* found None"),
        (lambda: Predict("How many?", 1, tolerance=0), ValueError, "tolerance must be finite and above 0, found 0"),
        (lambda: Predict("How many?", 1, tolerance=1, format="3"), ValueError, "format must look like"),
        (lambda: Predict("How many?", 1, tolerance=1, unit=3), TypeError, "unit must be a string, found 3"),
        (lambda: Predict("Up?", "up", because=None), TypeError, "because must be a string, found None"),
        (lambda: Predict("Up?", "u", choices="up"), TypeError, "choices must be a sequence of strings"),
        (lambda: Predict("Up?", "up", choices=["up"]), ValueError, "choices must be two or more that differ"),
        (lambda: Predict("Up?", "up", choices=["up", "up"]), ValueError, "choices must be two or more that differ"),
        (lambda: Predict("Up?", "in", choices=["up", "down"]), ValueError, "answer must be one of .* found 'in'"),
        (lambda: Predict("Up?", 0, choices=["up", "down"]), ValueError, "answer must be one of .* found 0"),
        (
            lambda: Predict("Up?", "up", choices=["up", "down"], tolerance=1),
            ValueError,
            "tolerance is for a number, not for choices, found 1",
        ),
        (
            lambda: lines(controls=[Slider("a", [1, 2], enabled_when={"b": "x"})]),
            ValueError,
            "'b', which is not a Choice",
        ),
        (
            lambda: lines(controls=[Slider("a", [1, 2], enabled_when={"b": "z"}), Choice("b", ["x", "y"])]),
            ValueError,
            "'z' is not an option",
        ),
    ],
)
def test_bad_input_says_what_is_wrong(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_numbers_of_numpy_are_as_good_as_python_s():
    """Also 0-d tensors; and what is made of them is what Python's own numbers make."""

    def compute(a, k):
        return {"t": T, "y": a * T, "at": a, "z": np.ones((2, 2))}

    def make(number, whole, flag):
        return Explorer(
            compute,
            [
                Slider("a", [number(1), number(2)], default=number(2), frames=flag(0)),
                Choice("k", [whole(1), whole(2)], default=whole(2)),
            ],
            [
                Panel(
                    Lines("t", "y", colors=[whole(3)]), Rule(number(1)), xlim=[number(0), number(2)],
                    ygrid=[number(1)], aspect=number(2), equal=flag(0),
                ),
                Panel(Heatmap("z", (number(0), number(1)), (number(0), number(1)), limits=(number(0), number(1)))),
            ],
            title="A", alt="B", columns=whole(2), seconds=number(3),
        ).widget.spec  # fmt: skip

    plain = make(float, int, bool)
    assert make(np.float64, np.int64, np.bool_) == plain == make(torch.tensor(0.0).new_tensor, torch.tensor, np.bool_)


def square(a):
    """A function that pickles."""
    return {"t": T, "y": a * T**2}


def test_an_explorer_pickles_and_copies():
    explorer = lines(square)
    before = explorer.widget.spec
    for again in (pickle.loads(pickle.dumps(explorer)), copy.deepcopy(explorer), copy.copy(explorer)):
        assert again.widget.spec == before
        assert again.widget is not explorer.widget, "a browser talks to one of them"
        assert np.array_equal(again.at({"a": 3.0})["y"], 3 * T**2)
    assert again._repr_html_() == explorer._repr_html_()
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(lines())


def test_what_is_given_is_left_alone_and_may_be_given_again():
    """One panel, layer, control for two explorers; lists may change afterwards."""
    labels, when = ["a line"], {"kind": ["x"]}
    panel = Panel(Lines("t", "y", labels=labels), ygrid=(grid := [1.0]))
    controls = [Choice("kind", ["x", "y"]), Slider("a", [1.0, 2.0], enabled_when=when)]
    before = copy.deepcopy([vars(v) for v in (panel, *panel.layers, *controls)])
    makes = [lambda kind, a: {"t": T, "y": a * T}, lambda kind, a: {"t": 9 * T, "y": 100 * a * T}]
    first = lines(makes[0], controls, panel)
    html = first._repr_html_()
    second = lines(makes[1], controls, panel)
    assert [p["x"]["lim"] for e in (first, second) for p in bundle(e)[1]["panels"]] == [[0.0, 1.0], [0.0, 9.0]]
    labels.append("more"), when.clear(), grid.clear()
    assert first._repr_html_() == html
    after = [vars(v) for v in (panel, *panel.layers, *controls)]
    assert [{k: v for k, v in d.items() if k != "layers"} for d in after] == [
        {k: v for k, v in d.items() if k != "layers"} for d in before
    ]


def test_an_exception_of_compute_names_the_setting_and_keeps_its_cause():
    def compute(a):
        return {"t": T, "y": T / (a - 2.0 and 1)} if a != 2.0 else {"t": 1 / 0}

    with pytest.raises(RuntimeError, match=r"compute\(a=2.0\) raised ZeroDivisionError") as caught:
        lines(compute)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_table_that_is_too_big_is_refused_with_sizes():
    noise = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"the table takes [\d,]+ bytes, at most 200,000 .*y 4x9999"):
        lines(lambda a: {"t": np.arange(9999.0), "y": noise.normal(size=(4, 9999))})


# -- the table ---------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    values=arrays(
        np.float64,
        st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6)),
        elements=st.floats(-1e6, 1e6) | st.just(np.nan),
    ),
    coarse=st.booleans(),
)
def test_packing_keeps_values_to_half_a_step_and_gaps_exactly(values, coarse):
    entry = table.Entry("y", values.shape[1:], whole=False, log=False, coarse=coarse)
    data, _ = table.pack([entry], {"y": values})
    back = unpack(data, [entry], len(values))["y"]
    assert np.array_equal(np.isnan(back), np.isnan(values))
    span = np.nanmax(values) - np.nanmin(values) if not np.isnan(values).all() else 0.0
    step = span / (table.COARSE if coarse else table.LEVELS)
    assert np.nanmax(np.abs(back - values), initial=0) <= step * 0.5001 + 1e-9 * max(1, span)


def test_packing_is_exact_for_classes_and_relative_on_log_scales():
    kinds = np.random.default_rng(0).integers(-3, 900, (5, 7))
    loss = 10 ** np.random.default_rng(0).uniform(-12, 3, (5, 7))
    entries = [table.Entry("k", (7,), True, False), table.Entry("l", (7,), False, True)]
    data, _ = table.pack(entries, {"k": kinds, "l": loss})
    back = unpack(data, entries, 5)
    assert np.array_equal(back["k"], kinds)
    assert np.max(np.abs(back["l"] / loss - 1)) < 15 * np.log(10) / table.LEVELS  # half a step, twice


def small_numbers(values, **how):
    return Explorer(
        lambda a: {"y": [a, 2, 3, 4], "end": values[int(a)], "bar": [values[int(a)]]},
        controls=[Slider("a", [float(a) for a in range(len(values))])],
        view=Panel(Lines("y", "y")),
        title="Ends",
        alt="A line.",
        **how,
    )


@pytest.mark.parametrize(
    "how", [{"summary": "It ends at {end:.1e}."}, {"side": Bars("bar", labels=("end",), format=".3g")}]
)
def test_a_small_number_that_is_written_keeps_its_digits(how):
    values = [0.48, 3.0e-7, 7.4e-20, 3.4e-22]
    kept = lookup(small_numbers(values, **how))["bar" if "side" in how else "end"].ravel()
    assert np.allclose(kept, values, rtol=1e-3)
    with pytest.raises(ValueError, match=r"from 0 to 0\.48 cannot be kept to the digits of its format"):
        small_numbers([0.48, 0.0, 1e-7], **how)


def test_a_number_that_needs_no_more_is_stored_in_equal_steps():
    explorer = small_numbers([0.48, 0.01, 0.0], summary="It ends at {end:.2f}.")
    assert not any(entry.log for entry in explorer._entries)
    with pytest.raises(ValueError, match="write fewer digits"):
        small_numbers([0.48, 0.01, 0.0], summary="It ends at {end:.9f}.")


def test_a_number_that_never_changes_is_stored_as_it_is():
    kept = lookup(small_numbers([0.2371] * 3, summary="It ends at {end:.4f}."))["end"].ravel()
    assert np.array_equal(kept, [0.2371] * 3)


def test_whole_numbers_on_a_log_axis_keep_their_place():
    explorer = Explorer(
        lambda a: {"n": [5, 50, 200, 1000], "y": [a, 2, 3, 4]},
        controls=[Slider("a", [1.0, 2.0])],
        view=Panel(Lines("n", "y"), xscale="log"),
        title="Sizes",
        alt="A line.",
    )
    assert np.allclose(lookup(explorer)["n"][0], [5, 50, 200, 1000], rtol=1e-3)


def test_repeated_rows_cost_nothing():
    row = np.random.default_rng(0).normal(size=(1, 5000))
    entry = [table.Entry("y", (5000,), False, False)]
    once, many = (table.pack(entry, {"y": np.repeat(row, n, 0)})[0] for n in (1, 500))
    assert len(many) < len(once) + 100


def test_the_table_equals_compute_at_every_grid_point(all_samples):
    for name, explorer in all_samples.items():
        back = lookup(explorer)
        for entry in explorer._entries:
            for n, params in enumerate(explorer.points):
                want, found = explorer.at(params)[entry.name], back[entry.name][n]
                if entry.log:
                    want, found = np.log10(want), np.log10(found)
                whole = explorer._columns[entry.name]
                whole = np.log10(whole) if entry.log else whole
                step = np.ptp(whole[~np.isnan(whole)]) / (table.COARSE if entry.coarse else table.LEVELS)
                gap = np.isnan(want)
                assert np.array_equal(gap, np.isnan(found)), (name, entry.name, params)
                assert np.all(np.abs(found - want)[~gap] <= 0.51 * step + 1e-12), (name, entry.name, params)


def test_controls_without_effect_are_computed_once_at_their_default():
    seen = []

    def compute(kind, a):
        seen.append((kind, a))
        return {"t": T, "y": a * T}

    explorer = lines(compute, [Choice("kind", ["x", "y"]), Slider("a", [1, 2, 3], enabled_when={"kind": "y"})])
    assert seen == [("x", 2), ("y", 1), ("y", 2), ("y", 3)]
    explorer.at({"kind": "x", "a": 3})
    assert seen[-1] == ("x", 2)


def test_a_frames_slider_is_not_a_parameter():
    explorer = lines(
        lambda a: {"t": T, "y": np.outer([1, 2, 3], a * T), "end": T},
        [Slider("a", [1, 2]), Slider("s", [0, 1, 2], frames=True)],
        Lines("t", ["y", "end"], over="s"),
    )
    assert len(explorer.points) == 2
    with pytest.raises(ValueError, match="has 2 along F, 's' has 3"):
        lines(
            lambda a: {"t": T, "y": np.outer([1, 2], a * T)},
            [Slider("a", [1, 2]), Slider("s", [0, 1, 2], frames=True)],
            Lines("t", "y", over="s"),
        )


def test_tensors_are_taken_without_importing_torch_here():
    def compute(a):
        y = torch.full((2, 3), float(a), dtype=torch.bfloat16, requires_grad=True)
        return {"t": torch.arange(3), "y": y}

    assert lines(compute, [Slider("a", [1, 2])]).at({"a": 2})["y"].tolist() == [[2.0] * 3] * 2


# -- what is shown -----------------------------------------------------------------------------


def bundle(explorer):
    data, metadata = explorer._repr_mimebundle_()
    return data, metadata["implicitly"]["explorer"]


def still_of(explorer):
    """The picture of an explorer's output and its size in CSS pixels."""
    from PIL import Image

    output = samples.output(explorer)
    picture, about = base64.b64decode(output["data"]["image/png"]), output["metadata"]["image/png"]
    return picture, Image.open(io.BytesIO(picture)).convert("RGBA"), (about["width"], about["height"])


def test_the_bundle_has_widget_picture_and_words(all_samples):
    explorer = all_samples["clock"]
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain", "image/png"}
    assert data["text/plain"].split("\n") == [repr(explorer), explorer.alt, explorer.sentence()]
    assert metadata["image/png"]["alt"] == explorer.alt
    assert "<script" not in data["text/html"]
    assert data["text/html"].count(f'src="data:image/png;base64,{data["image/png"]}"') == 1
    assert metadata["implicitly"]["explorer"] == json.loads(explorer.widget.spec)
    assert explorer._data not in json.dumps(data), "the table is data of the output, and nothing shows it"


def test_same_inputs_give_the_same_bytes():
    first, second = (samples.output(samples.curves()) for _ in range(2))
    for output in (first, second):
        output["data"].pop("application/vnd.jupyter.widget-view+json")  # not stored
    assert json.dumps(first) == json.dumps(second)


def test_what_is_stored_of_an_explorer_is_what_it_gave(all_samples):
    """`execute.py` shrinks pictures: a still is small already, and the one in the HTML is the same."""
    import nbformat

    import execute

    given = samples.output(all_samples["clock"])
    cell = nbformat.v4.new_code_cell(
        "Explorer(...)", outputs=[nbformat.from_dict({"output_type": "display_data"} | given)]
    )
    notebook = nbformat.v4.new_notebook(cells=[cell])
    execute.clean(notebook)
    nbformat.validate(notebook)
    given["data"].pop("application/vnd.jupyter.widget-view+json")
    (stored,) = notebook.cells[0].outputs
    assert (stored.data, stored.metadata) == (given["data"], given["metadata"])


def test_the_still_picture_is_a_small_png(all_samples):
    from implicitly.plotting import PALETTE

    for name, explorer in all_samples.items():
        picture, image, (width, height) = still_of(explorer)
        assert len(picture) < 120_000, name
        assert abs(image.width / image.height - width / height) < 0.01
        assert image.getpixel((0, 0)) == (0xFB, 0xFA, 0xF7, 255), "on paper, whatever page it is shown on"
        assert image.getextrema()[3] == (255, 255)
        inks = np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in PALETTE])
        inks = np.concatenate([inks, 0.6 * inks + 0.4 * np.array([0xFB, 0xFA, 0xF7])])  # paths shine through
        drawn = sum(n for n, c in image.getcolors(1 << 24) if np.abs(inks - c[:3]).max(1).min() < 6)
        assert drawn > 500, f"{name}: hardly a pixel in the book's colours"


def test_the_still_picture_does_not_hang_on_the_notebook_s_settings(all_samples):
    """Each trajectory had another dash after `plotting.use()`."""
    import matplotlib

    from implicitly import plotting

    explorer = all_samples["field"]  # arrows and trajectories
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        first = explorer._repr_html_()
        plotting.use()
        matplotlib.rcParams.update({"lines.linestyle": ":", "xtick.direction": "in"})
        settings = dict(matplotlib.rcParams)
        assert explorer._repr_html_() == first
        assert dict(matplotlib.rcParams) == settings


def test_paths_are_drawn_in_one_dash():
    explorer = lines(
        lambda a: {"p": np.stack(np.broadcast_arrays(T[None], np.arange(4.0)[:, None]), -1)},
        view=Panel(Trajectories("p", alpha=1.0, width=3)),
    )
    _, image, _ = still_of(explorer)
    pixels = np.array(image)
    ink = (np.abs(pixels[..., :3].astype(int) - [0xB5, 0x45, 0x0B]).max(2) < 60) & (pixels[..., 3] > 128)
    inked = ink.sum(1)
    rows = np.flatnonzero(inked > 0.3 * inked.max())
    paths = np.split(rows, np.flatnonzero(np.diff(rows) > 5) + 1)
    assert [inked[path].max() > 0.97 * inked.max() for path in paths] == [True] * 4


@pytest.mark.parametrize(("template", "without"), [("lab", ""), ("markdown", ""), ("classic", "text/html")])
def test_elsewhere_a_notebook_shows_the_picture(all_samples, template, without):
    """JupyterLab, Colab, VS Code and nbconvert take HTML before PNG: the picture stands in the HTML, too."""
    import nbconvert
    import nbformat

    explorer = all_samples["clock"]
    output = samples.output(explorer)
    for mime in ("application/vnd.jupyter.widget-view+json", without):  # the first is not stored
        output["data"].pop(mime, None)
    output = nbformat.v4.new_output("execute_result", output["data"], metadata=output["metadata"])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("Explorer(...)", outputs=[output])])
    exporter = (
        nbconvert.MarkdownExporter() if template == "markdown" else nbconvert.HTMLExporter(template_name=template)
    )
    page, _ = exporter.from_notebook_node(notebook)
    (image,) = re.findall(r"<img [^>]*>", page)
    shown = dict(re.findall(r'(\w+)="([^"]*)"', image))
    assert base64.b64decode(shown["src"].partition("base64,")[2]) == still_of(explorer)[0]
    assert shown["alt"] == explorer.alt
    assert explorer._data not in page, "no kilobytes of table"


def test_pdf_has_the_picture(all_samples):
    """LaTeX takes no HTML."""
    import nbconvert
    import nbformat

    output = samples.output(all_samples["clock"])
    output["data"].pop("application/vnd.jupyter.widget-view+json")
    output = nbformat.v4.new_output("execute_result", output["data"], metadata=output["metadata"])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("Explorer(...)", outputs=[output])])
    _, resources = nbconvert.LatexExporter().from_notebook_node(notebook)
    assert list(resources["outputs"].values()) == [still_of(all_samples["clock"])[0]]


def test_a_map_on_log_axes_has_cells_equally_wide():
    explorer = lines(
        lambda a: {"z": a * np.arange(6.0).reshape(2, 3) + 1},
        view=Panel(Heatmap("z", (0.01, 10), (1, 100), scale="log"), xscale="log", yscale="log"),
    )
    assert explorer.ranges[0] == {"x": [0.01, 10.0], "y": [1.0, 100.0]}
    assert bundle(explorer)[1]["panels"][0]["layers"][0]["limits"] == [1.0, 21.0]


class Steps(Layer):
    """A view that no module of the explorer knows."""

    def needs(self):
        return [Need("t", ("T",), "x"), Need("y", ("T",), "y")]

    def _extent(self, axis, table):
        return [[-3.0], *super()._extent(axis, table)]

    def _draw(self, ax, now, table):
        ax.step(now.arrays["t"], now.arrays["y"], color="#b5450b", lw=6)


def test_a_view_knows_itself():
    """Checks, ranges, what the page gets and the still come from the view's own methods alone."""
    explorer = lines(view=Panel(Steps()))
    assert explorer.ranges[0]["y"] == [-3.28, 4.28]
    assert bundle(explorer)[1]["panels"][0]["layers"] == [{"kind": "steps", "over": None, "until": None}]
    _, image, _ = still_of(explorer)
    assert sum(n for n, c in image.getcolors(1 << 24) if c[:3] == (0xB5, 0x45, 0x0B)) > 1000
    with pytest.raises(ValueError, match=r"'y' must have shape \(T\) for Steps"):
        lines(lambda a: {"t": T, "y": a}, view=Panel(Steps()))


def test_labels_cannot_break_the_page(tmp_path):
    evil = "</script><img src=x onerror=alert(1)>"
    explorer = lines(
        lambda a, b: {"t": T, "y": a * T},
        [Slider("a", [1.0, 2.0], label=evil, unit=evil), Choice("b", {"x": evil, "y": "fine"})],
        Panel(Lines("t", "y", labels=[evil]), title=evil, x=evil),
        title="T " + evil,
        alt=evil,
        caption=evil,
        summary="x " + evil,
        id="evil",
    )
    text = explorer._repr_html_()
    page = samples.extension().expand(samples.output(explorer), samples.extension().placer(tmp_path, ""))
    assert "<script" not in text and "<script" not in page
    assert all("<img src=x" not in html for html in (text, page))


def test_the_page_has_picture_and_data_beside_it_and_not_in_it(all_samples, tmp_path):
    book = samples.extension()
    for explorer in all_samples.values():
        page = book.expand(samples.output(explorer), book.placer(tmp_path, "../"))
        assert "base64" not in page and page.count("<img ") == 1 and "<script" not in page
        picture, data = (re.search(rf' {name}="../([^"]+)"', page)[1] for name in ("src", "data-im-src"))
        assert explorer.id in picture and (tmp_path / picture).read_bytes() == still_of(explorer)[0]
        start, stored = (tmp_path / data).read_text(encoding="utf-8").split(",", 1)
        assert start == f'Explorer.deliver("{explorer.id}"'
        assert (
            json.loads(stored.removesuffix(");\n")) | {"chrome": bundle(explorer)[1]["chrome"]} == bundle(explorer)[1]
        )
    assert len(list(tmp_path.rglob("*.*"))) == 2 * len(all_samples)


def test_the_book_finds_explorers_in_a_notebook(all_samples, tmp_path):
    """By their metadata; HTML that only looks like an explorer's is none."""
    book, outputs = samples.extension(), [samples.output(all_samples[name]) for name in ("clock", "bars")]
    other = {"data": {"text/html": '<div class="im-explorer" data-im-explorer="x"></div>'}, "metadata": {}}
    outputs[1]["data"]["text/html"] = outputs[1]["data"]["text/html"].splitlines(True)  # as Jupyter saves it
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": [{"source": ""}, {"outputs": [*outputs, other, {"name": "stdout"}]}]}))
    found = book.stored(path)
    assert list(found.values()) == outputs
    assert list(found) == [all_samples[name]._repr_html_() for name in ("clock", "bars")]
    assert book.stored(tmp_path / "a.md") == {}


def test_a_question_goes_to_the_page_and_to_other_viewers():
    choice, number = samples.asking()
    assert bundle(choice)[1]["predict"] == {
        "question": "Which way does what is left at t=1 move when λ grows?", "choices": ["up", "down", "it stays"],
        "answer": 1, "tolerance": None, "format": "", "unit": "",
    }  # fmt: skip
    data, spec = bundle(number)
    assert spec["predict"]["answer"] == pytest.approx(np.exp(-4)) and spec["predict"]["tolerance"] == 0.005
    for html in (data["text/html"], spec["chrome"]):
        assert "<details><summary>The answer</summary>" in html and "The answer: <b>1.8\u202f%</b>. Four lives." in html
    assert bundle(lines())[1]["predict"] is None and "im-ex-predict" not in bundle(lines())[1]["chrome"]
    evil = "</form><img src=x onerror=alert(1)>"
    asked = Predict(evil, evil, choices=[evil, "no"], because=evil)
    assert all("<img src=x" not in text for text in (asked.form("a"), asked.still()))
    assert "<img src=x" not in Predict(evil, 1, tolerance=1, unit=evil).form("a")


def test_a_legend_shows_paths_as_they_are_drawn():
    """On the canvas and in the still no path has a dash."""
    page = bundle(
        lines(
            lambda a: {"p": np.ones((3, 4, 2)), "k": np.array([0, 1, 2]), "t": T, "y": a * T},
            view=[Panel(Trajectories("p", "k", labels=("A", "B", "C"))), Panel(Lines("t", "y", ["D"], [1]))],
        )
    )[1]["chrome"]
    assert page.count("stroke-dasharray") == 1


def test_the_alt_text_is_read_as_words(tmp_path):
    explorer = lines(alt=r"At $\sigma_0 \le 1$ a line rises.")
    page = samples.extension().expand(samples.output(explorer), samples.extension().placer(tmp_path, ""))
    assert 'alt="At σ0≤1 a line rises."' in page and "$" not in bundle(explorer)[1]["alt"]


def test_ranges_hold_the_whole_table(all_samples):
    for explorer in all_samples.values():
        for panel, ranges in zip(explorer.panels, explorer.ranges, strict=True):
            for axis in "xy":
                low, high = ranges[axis]
                assert low < high
                if panel.lim[axis] is None:
                    for layer in panel.layers:
                        for need in layer.needs():
                            if axis in need.axes and not panel.bands:
                                pair = need.shapes[0].endswith("2")
                                values = explorer._columns[need.key + (f".{axis}" if pair else "")]
                                slack = 2e-3 * (high - low)
                                assert np.nanmin(values) >= low - slack
                                assert np.nanmax(values) <= high + slack


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (0.125, ".2f", "0.13"),
        (-0.001, ".2f", "0.00"),
        (-2, "d", "−2"),
        (0.9045, ".0%", "90\u202f%"),
        (6.9e-8, "", "6.9 × 10⁻⁸"),
        (1234567, "", "1.23 × 10⁶"),
        (0.2, "", "0.2"),
        (0, "", "0"),
        (float("nan"), ".1f", "–"),
    ],
)
def test_numbers_are_written_as_the_book_writes_them(value, spec, text):
    assert format_value(value, spec) == text


def test_labels_know_a_little_tex():
    assert label_html(r"noise, $\sigma_{T,0}^2$ & more") == (
        'noise, <span class="im-math"><i>σ</i><sub><i>T</i>,0</sub><sup>2</sup></span> &amp; more'
    )
    assert label_text(r"$\hat\theta \le -\mathrm{KL}$") == "θ̂≤−KL"
    for bad in (r"$\foo$", "$x_{$", "$x}$", "$x_$", "one $ dollar"):
        with pytest.raises(ValueError, match="label"):
            label_html(bad)
    assert fields("{a[1]:.0%} and {b}") == [("a", 1, ".0%"), ("b", None, "")]


def test_the_sentence_tells_the_default_state(all_samples):
    sentence = all_samples["clock"].sentence()
    assert sentence.startswith("Flow: score; Noise at the start, σT: 0.20; Angle between the edges: 94°;")
    share = all_samples["clock"].default["share"]
    assert f"{100 * share[0]:.0f}\u202f% of the starts end at a training point" in sentence


# -- live --------------------------------------------------------------------------------------


class Answers(list):
    """Stands in for the connection to the browser."""

    def __call__(self, content, buffers=None):
        self.append((content, buffers))


@pytest.fixture
def asked():
    explorer = lines(
        lambda kind, a: {"t": T, "y": a * T if a != 3 else 1 / 0},
        [Choice("kind", ["x", "y"]), Slider("a", [1.0, 2.0, 4.0])],
        summary="{a}",
    )
    answers = Answers()
    explorer.widget.send = answers
    return explorer, answers


def test_the_kernel_answers_between_grid_values(asked):
    explorer, answers = asked
    explorer.widget._answer(None, {"kind": "compute", "number": 7, "params": {"kind": 1, "a": 2.5}}, [])
    content, buffers = answers[0]
    assert content["kind"] == "result" and content["number"] == 7 and content["names"] == ["t", "y"]
    assert np.allclose(np.frombuffer(buffers[1], "<f4"), 2.5 * T)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"kind": 0, "a": 3.0}, r"compute\(kind='x', a=3.0\) raised ZeroDivisionError"),
        ({"kind": 0, "a": 9.0}, "a must be between 1.0 and 4.0"),
        ({"kind": 5, "a": 2.0}, "kind"),
        ({"kind": 0, "a": "2"}, "a must be a number"),
        ({"kind": 0}, "params must be"),
        ("nonsense", "params"),
    ],
)
def test_a_failure_is_sent_to_the_widget_and_raised(asked, params, says):
    explorer, answers = asked
    with pytest.raises((RuntimeError, ValueError, TypeError, IndexError)) as caught:
        explorer.widget._answer(None, {"kind": "compute", "number": 1, "params": params}, [])
    content, _ = answers[0]
    assert content["kind"] == "error" and content["message"] == str(caught.value)
    caught.match(says)


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), SystemExit(3), MemoryError()])
def test_whatever_ends_a_computation_the_view_that_asked_gets_an_answer(fault):
    """An interrupt is no Exception: the explorer stayed busy for ever."""
    faults = []

    def compute(a):
        if faults:
            raise faults.pop()
        return {"t": T, "y": a * T}

    explorer = lines(compute)
    answers = explorer.widget.send = Answers()
    faults.append(fault)
    ask = {"kind": "compute", "view": "v-1", "number": 1, "params": {"a": 3.0}}
    with pytest.raises((type(fault), RuntimeError)):
        explorer.widget._answer(None, ask, [])
    content, _ = answers[0]
    assert (content["kind"], content["view"], content["number"]) == ("error", "v-1", 1)
    assert content["message"].strip(), "a message of some words"
    explorer.widget._answer(None, {**ask, "number": 2}, [])
    assert answers[1][0] == {"kind": "result", "view": "v-1", "number": 2, "names": ["t", "y"]}


def test_a_default_may_be_off_by_rounding():
    assert Slider("a", np.linspace(0, 1, 11), default=0.3).index == 3


def test_integer_sliders_stay_integers():
    slider = Slider("n", [2, 3, 5])
    assert slider.check(3.6) == 4 and isinstance(slider.check(3.6), int)
    assert slider.lookup == "nearest"


def test_the_example_in_the_docstring_runs():
    from implicitly.explorer import widget

    found = doctest.testmod(widget)
    assert found.attempted == 4 and found.failed == 0


def test_help_is_about_the_explorer():
    """And not about the hundreds of names of a Jupyter widget."""
    text = pydoc.plain(pydoc.render_doc(implicitly.Explorer))
    assert "A picture the reader turns" in text[:400]
    assert len(text.splitlines()) < 120 and "traitlets" not in text
    public = {name for name in dir(implicitly.Explorer) if not name.startswith("_")}
    assert public == {"at", "sentence", "widget"}


def test_the_public_names_come_from_the_library_itself():
    names = importlib.import_module("implicitly.explorer").__all__
    code = f"from implicitly import claim, {', '.join(names)}\nimport sys; print(Slider('a', [1, 2]).name, end=' ')"
    code += "\nprint([m for m in ('torch', 'anywidget', 'matplotlib') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "a []"
    assert set(names) <= set(implicitly.__all__) and implicitly.Slider is Slider


def test_importing_is_light():
    heavy = ("torch", "matplotlib", "PIL", "anywidget")
    code = f"import sys, implicitly.explorer; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_live_widget_gets_the_script_and_one_spec():
    explorer = lines()
    assert explorer.widget._esm.count("export default") == 1
    assert json.loads(explorer.widget.spec)["id"] == "a-title"
    assert explorer.widget is explorer.widget


def test_palettes_agree():
    from implicitly.plotting import DIVERGING, PALETTE, SEQUENTIAL

    css = (ROOT / "lib/implicitly/explorer/explorer.css").read_text(encoding="utf-8")
    script = (ROOT / "lib/explorer-js/src/draw.js").read_text(encoding="utf-8")
    for k, color in enumerate(PALETTE):
        assert f"--x-c{k}: var(--im-c{k}, {color})" in css
        assert f'"{color}"' in script
    for ramp in (SEQUENTIAL, DIVERGING):
        assert ", ".join(f'"{c}"' for c in ramp) in script and ", ".join(ramp) in css
