"""implicitly.prose: what a cell hands to the text, as myst-nb reads it, and what is refused."""

import math
import subprocess
import sys
from ast import literal_eval

import nbformat
import numpy as np
import pytest
import torch
from myst_nb.core.variables import format_plain_text
from myst_nb.ext.glue import GLUE_PREFIX, extract_glue_data_cell

import execute
from implicitly import glue
from implicitly.prose import PREFIX

QUOTED = [
    ("4.5, '.2f'", "4.50"),
    ("-0.001, '.2f'", "0.00"),
    ("-0.75, '.1%'", "−75.0%"),
    ("16700, 'd'", "16\N{THIN SPACE}700"),
    ("3, '+d'", "+3"),
    ("6.94e-8, '.1e'", "6.9 × 10⁻⁸"),
    ("-6.94e12", "−6.94 × 10¹²"),
    ("0.0312", "0.0312"),
    ("torch.tensor(0.5)", "0.5"),
]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A notebook that ran the calls, one a cell."""
    source = "import torch\nfrom implicitly import glue\n"
    cells = [nbformat.v4.new_code_cell(f"{source}glue('number-{i}', {call})") for i, (call, _) in enumerate(QUOTED)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    execute.run(notebook, tmp_path_factory.mktemp("run"))
    execute.clean(notebook)
    return notebook


def test_myst_nb_reads_what_is_stored(stored):
    assert PREFIX == GLUE_PREFIX
    for number, (cell, (_, text)) in enumerate(zip(stored.cells, QUOTED, strict=True)):
        ((name, output),) = extract_glue_data_cell(cell)
        assert name == f"number-{number}" and cell.outputs == []  # it shows nothing
        assert format_plain_text(output["data"]["text/plain"], "s") == text
        assert literal_eval(output["data"]["text/plain"]) == text


@pytest.mark.parametrize("name", ["", "Error", "a b", "a_b", "-a", "a:b", "a::b", "1", 3, None])
def test_names_that_are_refused(name):
    with pytest.raises(ValueError, match="name must be lower-case words joined by hyphens, found"):
        glue(name, 1.0)


@pytest.mark.parametrize("value", [math.nan, -math.inf, torch.tensor(math.nan)])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="value must be finite, found"):
        glue("a", value)


@pytest.mark.parametrize("value", ["1", None, True, 1j, [1.0], np.ones(1), torch.ones(1), torch.ones(2)])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="value must be a number, found"):
        glue("a", value)


@pytest.mark.parametrize("spec", ["", "2f", ".2", "s", " .2f", "10.2f", ".2n", 2])
def test_formats_that_are_refused(spec):
    with pytest.raises(ValueError, match=r"spec must be a format like '\.2f'"):
        glue("a", 1.0, spec)


def test_a_whole_number_must_be_one():
    with pytest.raises(ValueError, match="value must be a whole number with spec 'd', found"):
        glue("a", 1.5, "d")


def test_it_says_nothing_outside_of_jupyter_and_needs_no_myst():
    code = (
        "import sys; sys.modules['myst_nb'] = None\nfrom implicitly import glue\nassert glue('a', 1.5, '.2f') is None"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
