"""What an explorer refuses, and in which words."""

import numpy as np
import pytest
from explorer_samples import T, lines

from implicitly.explorer import (
    Bars,
    Choice,
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
)


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
