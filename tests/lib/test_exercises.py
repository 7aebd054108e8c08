"""implicitly.exercises: what is right, what a wrong answer is told, what is refused and what is stored."""

import json
import math

import numpy as np
import pytest
import torch

from implicitly import answer, exercises, right_answer


@pytest.fixture(autouse=True)
def session(monkeypatch):
    """A session of its own for each test."""
    monkeypatch.setattr(exercises, "_RIGHT", {})


@pytest.mark.parametrize(
    ("given", "right"),
    [(0.25, True), (0.2505, True), (0.24951, True), (0.2506, False), (-0.25, False), (1 / 4, True), (250, False)],
)
def test_a_number_is_right_within_the_stated_distance(given, right):
    right_answer("ex-demo-half", 0.25, within=5e-4)
    assert answer("ex-demo-half", given).right is right


def test_what_an_answer_is_told():
    right_answer("ex-demo-half", 0.25, within=0.01, right="It is a quarter.", hint="Draw it.", hints=[(0.5, "Both.")])
    assert repr(answer("ex-demo-half", 0.252)) == "Right. It is a quarter."
    assert repr(answer("ex-demo-half", 0.505)) == "Not yet. Both."
    assert repr(answer("ex-demo-half", 0.6)) == "Not yet. Draw it."


def test_a_third_typed_is_a_third_computed():
    right_answer("ex-demo-third", 0.1 + 0.2, within=0)
    assert answer("ex-demo-third", 0.3).right and not answer("ex-demo-third", 0.3 + 1e-9).right


@pytest.mark.parametrize("value", [np.float32(0.5), torch.tensor(0.5), np.array(0.5), 0.5])
def test_scalars_of_every_kind(value):
    right_answer("ex-demo-half", value, within=torch.tensor(0.01))
    assert answer("ex-demo-half", value).right


def test_a_choice():
    right_answer("ex-demo-which", choice=1 + int(torch.tensor([0.1, 0.7]).argmax()), of=3, hints=[(3, "Not that.")])
    told = [repr(answer("ex-demo-which", k)) for k in (1, 2, 3)]
    assert told == ["Not yet.", "Right.", "Not yet. Not that."]
    with pytest.raises(ValueError, match="given must be at most 3, found 4"):
        answer("ex-demo-which", 4)
    with pytest.raises(TypeError, match="given must be a whole number"):
        answer("ex-demo-which", 2.0)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (dict(value=math.nan, within=1), "value must be finite, found nan"),
        (dict(value=1.0), "within must be a number, found NoneType"),
        (dict(value=1.0, within=-1), "within must be finite and at least 0, found -1"),
        (dict(), "value or choice.*found neither"),
        (dict(value=1.0, within=1, choice=1, of=2), "value or choice.*found both"),
        (dict(value=1.0, within=1, of=2), "of goes with choice"),
        (dict(choice=1), "of must be a whole number"),
        (dict(choice=3, of=2), "choice must be at most 2, found 3"),
        (dict(choice=1, of=2, unit="ms"), "unit goes with value"),
        (dict(value=1.0, within=0.1, hints=[(1.05, "No.")]), r"hints\[0\] must be for a wrong answer, found 1.05"),
        (dict(choice=1, of=2, hints=[(1, "No.")]), r"hints\[0\] must be for a wrong answer"),
        (dict(value=1.0, within=0.1, hints=[2.0]), r"hints\[0\] must be a pair"),
    ],
)
def test_bad_arguments(arguments, error):
    with pytest.raises((ValueError, TypeError), match=error):
        right_answer("ex-demo-half", **arguments)
    with pytest.raises(ValueError, match=r"run the cell below it first\), found 'ex-demo-half', of none"):
        answer("ex-demo-half", 1.0)


def test_a_label_is_that_of_an_exercise():
    with pytest.raises(ValueError, match=r"id must be the label of an exercise.*found 'demo/C1'"):
        right_answer("demo/C1", 1.0, within=0.1)


def test_the_output_has_the_value_in_its_metadata_alone(monkeypatch):
    """No digit that one CPU may write otherwise is compared by nbval."""
    import IPython
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: object())
    monkeypatch.setattr(IPython.display, "display", lambda data, **how: shown.append((data, how)))
    right_answer("ex-demo-half", 1 / 3, within=0.01, right="A third.")
    ((data, how),) = shown
    assert data == {"text/plain": 'from implicitly import answer; answer("ex-demo-half", ...)'}
    stored = json.loads(json.dumps(how["metadata"]))["implicitly"]["answer"]
    assert stored["value"] == 1 / 3 and stored["within"] == 0.01 and stored["right"] == "A third."
