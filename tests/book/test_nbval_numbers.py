"""What nbval takes for the same output on another machine, and what it does not."""

import json
import os
import re
import subprocess
import sys

import pytest
from nbval.plugin import IPyNbCell

import paths
from implicitly import claims
from nbval_numbers import Printed, same_text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cost 5.20", "cost 5.21"),
        ("cost 0.99", "cost 1.00"),
        ("kernel  -0.00 [-0.08, 0.07]", "kernel   0.00 [-0.08, 0.07]"),
        ("| 9.99  | 1", "|10.00 | 1"),
        ("['0.12', '0.21']", "['0.13', '0.20']"),
        ("0.5526±0.0051", "0.5527±0.0050"),
        ("2.3e-08", "2.4e-08"),
        ("9.99e-03", "1.00e-02"),
        ("0.30", "0.3"),
        ("≤ <b>2.999</b>", "≤ <b>3</b>"),
        ("0.123456789012", "0.123456789099"),
        ('{"domain":[0.1,12345.678901]}', '{"domain":[0.1,12345.678902]}'),
        ("−1.50", "−1.51"),
    ],
)
def test_the_same_output(one, other):
    assert one != other and same_text(one, other) and Printed(other) == Printed(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cost 5.20", "cost 5.22"),
        ("cost 5.20", "cost 6.20"),
        ("cost 5.20", "cast 5.20"),
        ("cost 5.20", "cost -5.20"),
        ("0.99", "1.01"),
        ("36 of 36", "35 of 36"),
        ("[17, 19]", "[17, 19, 19]"),
        ("2^25", "2^26"),
        ("12", "1 2"),
        ("0.3", "0.32"),
        ("0.123456", "0.123459"),
        ("12345.678901", "12345.7013"),
        ("2.3e-08", "2.3e-09"),
        ("2.3e-08", "2.5e-08"),
        ("True", "False"),
        ("nan", "1.0"),
        ("1.0", "inf"),
        ("x1", "x2"),
        ("#2a4b6c", "#2a4b6d"),
        ("#12", "#13"),
        ("2.13.0", "2.13.1"),
        ("a\n1.0", "a 1.0"),
        ("demo/C1: holds", "demo/C1: FAILS"),
        ("", "1.0"),
    ],
)
def test_another_output(one, other):
    assert not same_text(one, other) and not same_text(other, one)
    assert Printed(one) != Printed(other)


def test_nbval_compares_so():
    assert IPyNbCell.sanitize.__module__ == "nbval_numbers"


MADE_BY = "from IPython.display import display\ndisplay({'text/html': %r}, raw=True)"
CLAIM = "from implicitly import claim\nclaim('a/C1', 'Small.', measured=3e-9, at_most=%s)"
GLUE = "from implicitly import glue\nglue('a-name', %s, %s)"


def glued(text, name="a-name"):
    prefix = "application/papermill.record/"
    metadata = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    return {"output_type": "display_data", "metadata": metadata, "data": {f"{prefix}text/plain": text}}


SAID = [  # what a cell runs, what is stored for it, whether that is the same
    ("print(2 / 3)", "0.6666666666666667\n", True),
    ("print(f'{2 / 3:.2f}')", "0.66\n", True),
    ("print(f'{2 / 3:.3f}')", "0.665\n", False),
    ("print(3)", "4\n", False),
    ("print('ab 1.0')", "ac 1.0\n", False),
    (MADE_BY % "is <b>0.51</b>", {"text/html": "is <b>0.50</b>"}, True),
    (MADE_BY % "is <b>0.51</b>", {"text/html": "is <b>0.53</b>"}, False),
    (MADE_BY % "is <b>0.51</b>", {"text/html": "is <i>0.51</i>"}, False),
    (CLAIM % "1.0", claims.claim("a/C1", "Small.", measured=0.9, at_most=1.0), True),
    (GLUE % ("10.5", "'.0f'"), glued("'11'"), True),
    (GLUE % ("16700.6", "'.0f'"), glued("'16\u2009700'"), True),
    (GLUE % ("16702", "'d'"), glued("'16\u2009700'"), False),
    (GLUE % ("-6.94e-8", "'.1e'"), glued("'−7.0 × 10⁻⁸'"), True),
    (GLUE % ("-6.94e-8", "'.1e'"), glued("'−6.9 × 10⁻⁷'"), False),
    (GLUE % ("0.87", "'.0%'"), glued("'86%'"), True),
    (GLUE % ("0.87", "'.0%'"), glued("'85%'"), False),
    (GLUE % ("4.5", "'.2f'"), glued("'4.50'", "another"), False),
    (CLAIM % "2.0", claims.claim("a/C1", "Small.", measured=0.9, at_most=1.0), False),
]


def cell(number, source, stored):
    if isinstance(stored, str):
        output = {"output_type": "stream", "name": "stdout", "text": stored}
    elif isinstance(stored, dict) and "output_type" in stored:
        output = stored
    else:
        data = stored if isinstance(stored, dict) else {"text/plain": str(stored), "text/html": stored.line()}
        output = {"output_type": "display_data", "metadata": {}, "data": data}
    return {"cell_type": "code", "id": f"c{number}", "metadata": {}, "source": source, "execution_count": number + 1,
            "outputs": [output]}  # fmt: skip


def test_a_notebook_fails_where_it_prints_something_else(tmp_path):
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [cell(number, source, stored) for number, (source, stored, _) in enumerate(SAID)]
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}
    (tmp_path / "a.ipynb").write_text(json.dumps(notebook))
    command = [sys.executable, "-m", "pytest", "--nbval", tmp_path / "a.ipynb", "--nbval-sanitize-with",
               paths.ROOT / "tests/nbval.cfg", "-p", "nbval_numbers",
               "-p", "no:cacheprovider", "-q", "-rA"]  # fmt: skip
    env = os.environ | {"PYTHONPATH": str(paths.ROOT / "book/_tools")}
    said = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True).stdout
    for number, (source, _, same) in enumerate(SAID):
        verdict = "PASSED" if same else "FAILED"
        assert re.search(rf"^{verdict} .*::Cell {number}\b", said, re.MULTILINE), (number, source, said)
