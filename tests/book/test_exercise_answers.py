"""The row under an exercise, built from a small book of its own."""

import dataclasses
import html
import json
import re

import pytest
from answer_page import CHOICE, HALF, NUMBER, WHICH, build

from implicitly.exercises import _Right


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("book"), HALF + "\n" + WHICH, [NUMBER, CHOICE])


def data(page, ident):
    return json.loads(html.unescape(re.search(rf'id="answer-{ident}" data-im-answer="([^"]*)"', page)[1]))


def test_what_is_stored_here_is_what_the_library_stores():
    assert {field.name for field in dataclasses.fields(_Right)} == NUMBER.keys() == CHOICE.keys()


def test_the_page_has_the_value_of_the_run(built):
    page, _, warnings = built
    assert "exercise" not in warnings and "answer" not in warnings, warnings
    assert data(page, "ex-demo-half") == {"value": 5 / 256, "within": 1e-4, "unit": "ms", "wrong": [0.5]}
    assert data(page, "ex-demo-which") == {"choice": 2, "wrong": [3]}
    assert "To within 0.0001;" in page and "That is <code>half</code>." in page and "$" not in page.split("<body")[1]


def test_a_choice_is_made_of_its_list(built):
    page = built[0]
    found = re.findall(r'<input type="radio" name="(.*?)" value="(\d)"> <span>(.*?)</span></label>', page, re.S)
    assert [(name, value) for name, value, _ in found] == [("answer-ex-demo-which", str(k)) for k in (1, 2, 3)]
    assert "katex" in found[0][2] and found[1][2] == "The second."
    assert page.count("The second.") == 1


def test_only_pages_with_answers_load_the_script(built, tmp_path):
    page, home, _ = built
    assert "answers.js" in page and "answers.css" in page
    assert "answers.js" in home, "the button that forgets"
    plain = build(tmp_path, HALF.replace(" answer", ""), [])[0]
    assert "answers.js" not in plain and "im-answer" not in plain


@pytest.mark.parametrize(
    ("text", "rights", "warning"),
    [
        (HALF, [], "no answer to the exercise ex-demo-half was computed"),
        ("Nothing.", [NUMBER], "the answer to ex-demo-half is computed, and no exercise has this label"),
        (HALF.replace(" answer", ""), [NUMBER], "ex-demo-half has a computed answer and not the class answer"),
        (HALF, [NUMBER, NUMBER], "the answer to ex-demo-half is computed twice"),
        (WHICH.replace("3. The third.\n", ""), [CHOICE], "ex-demo-which must end with a numbered list of 3 options"),
        (HALF, [CHOICE | {"id": "ex-demo-half"}], "ex-demo-half must end with a numbered list of 3 options"),
    ],
)
def test_what_does_not_fit_is_a_warning(text, rights, warning, tmp_path):
    assert warning in build(tmp_path, text, rights)[2]
