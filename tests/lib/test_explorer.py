"""An explorer and its controls as Python objects: copies, defaults, help, imports, colours."""

import copy
import doctest
import importlib
import pickle
import pydoc
import subprocess
import sys

import numpy as np
import pytest
import torch
from explorer_samples import ROOT, T, bundle, lines

import implicitly
from implicitly.explorer import Choice, Explorer, Heatmap, Lines, Panel, Rule, Slider


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
    assert "A picture the reader turns" in text.splitlines()[5]  # after the module and how it is called
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


def test_palettes_agree():
    from implicitly.plotting import DIVERGING, PALETTE, SEQUENTIAL

    css = (ROOT / "lib/implicitly/explorer/explorer.css").read_text(encoding="utf-8")
    script = (ROOT / "lib/explorer-js/src/draw.js").read_text(encoding="utf-8")
    for k, color in enumerate(PALETTE):
        assert f"--x-c{k}: var(--im-c{k}, {color})" in css
        assert f'"{color}"' in script
    for ramp in (SEQUENTIAL, DIVERGING):
        assert ", ".join(f'"{c}"' for c in ramp) in script and ", ".join(ramp) in css
