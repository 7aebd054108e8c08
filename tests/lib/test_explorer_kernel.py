"""What the kernel answers to an explorer in Jupyter."""

import json

import numpy as np
import pytest
from explorer_samples import T, lines

from implicitly.explorer import Choice, Slider


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


def test_the_live_widget_gets_the_script_and_one_spec():
    explorer = lines()
    assert explorer.widget._esm.count("export default") == 1
    assert json.loads(explorer.widget.spec)["id"] == "a-title"
    assert explorer.widget is explorer.widget
