"""implicitly.claims: what holds, what is refuted, what is refused, and what is stored."""

import ast
import doctest
import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

import execute
import paths
from implicitly import claims, interpolators
from implicitly.claims import ClaimError, claim, largest, number_html, smallest
from implicitly.margins import svm


@pytest.mark.parametrize(
    ("comparison", "measured", "margin"),
    [
        (dict(at_most=1.0), 0.25, 0.75),
        (dict(at_most=1.0), 1.0, 0.0),
        (dict(at_most=1.0), -3.0, 1.0),
        (dict(at_most=-1.0, ideal=-3.0), -2.0, 0.5),
        (dict(at_least=0.5), 1.0, 0.5),
        (dict(at_least=0.9, ideal=1.0), 0.98, 0.8),
        (dict(equals=2.0, within=0.1), 2.05, 0.5),
        (dict(equals=3, within=0), 3, 1.0),
    ],
)
def test_holds_with_its_margin(comparison, measured, margin, capsys):
    result = claim("demo/C1", "A statement.", measured=measured, **comparison)
    assert result.holds
    assert result.margin == pytest.approx(margin)
    assert capsys.readouterr().out == "demo/C1: holds\n"
    assert f"<dt>room left</dt><dd><data>{round(100 * margin):.0f} %</data></dd>" in result.line()


@pytest.mark.parametrize(
    ("comparison", "measured"),
    [
        (dict(at_most=1.0), 1.0 + 1e-9),
        (dict(at_least=0.5), 0.5 - 1e-9),
        (dict(at_least=0.5), -1.0),
        (dict(equals=2.0, within=0.1), 2.2),
        (dict(equals=3, within=0), 3 + 1e-12),
        (dict(at_most=1.0), math.nan),
        (dict(at_least=1.0), math.inf),
        (dict(equals=1.0, within=1.0), math.nan),
        (dict(at_most=1.0), np.max([0.5, math.nan])),  # not the first, where Python's max would lose it
        (dict(at_most=1.0), torch.tensor([0.5, math.nan]).max()),
    ],
)
def test_refuted(comparison, measured):
    with pytest.raises(ClaimError, match=r"demo/C1: FAILS.*A statement\."):
        claim("demo/C1", "A statement.", measured=measured, **comparison)


@pytest.mark.parametrize(
    "measured",
    [np.float32(0.5), np.array(0.5), np.int8(1), torch.tensor(0.5), torch.tensor(1), torch.tensor(0.5).bfloat16(), 1],
)
def test_scalars_of_every_kind(measured):
    assert claim("demo/C1", "A statement.", measured=measured, at_most=2).holds


def test_the_printed_line_and_what_is_compared_hold_no_measured_digit():
    """Two CPUs on either side of a rounding error: nbval, with its sanitizer, sees the same."""
    one, other = (claim("demo/C1", "A statement.", measured=m, equals=1.0, within=1e-9) for m in (1 + 4e-12, 1 + 6e-12))
    assert one.line() != other.line() and str(one) == str(other)
    blank = lambda c: re.sub("<data>.*?</data>", "<data></data>", c.line())  # noqa: E731
    assert blank(one) == blank(other)


def test_the_example_in_the_docstring_runs():
    found = doctest.testmod(claims)
    assert (found.failed, found.attempted) == (0, 2)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (dict(id="Demo/C1"), ValueError, "id must look like"),
        (dict(id="demo/C0"), ValueError, "id must look like"),
        (dict(id=7), ValueError, "id must look like"),
        (dict(statement=" "), ValueError, "statement must be a non-empty string"),
        (dict(math=""), ValueError, "math must be a non-empty string"),
        (dict(over=""), ValueError, "over must be a non-empty string"),
        (dict(check="Cost!"), ValueError, "check must be a few lower-case words"),
        (dict(measured=torch.ones(1)), TypeError, r"measured must be one real number.*\(1,\)"),
        (dict(measured=torch.ones(3)), TypeError, r"measured must be one real number.*\(3,\)"),
        (dict(measured="1"), TypeError, "measured must be one real number.*str"),
        (dict(measured=1j), TypeError, "measured must be one real number"),
        (dict(measured=torch.tensor(1j)), TypeError, "measured must be one real number.*Tensor"),
        (dict(measured=True), TypeError, "measured must be one real number.*bool"),
        (dict(measured=np.bool_(True)), TypeError, "measured must be one real number.*bool"),
        (dict(measured=torch.tensor(True)), TypeError, "measured must be one real number.*Tensor"),
        (dict(measured=[0.5]), TypeError, "measured must be one real number.*list"),
        (dict(measured=(x for x in [0.5])), TypeError, "measured must be one real number.*generator"),
        (dict(at_most=True), TypeError, "at_most must be one real number.*bool"),
        (dict(at_most=math.nan), ValueError, "at_most must be finite"),
        (dict(at_most=None), ValueError, "exactly one of at_most, at_least, equals; found none"),
        (dict(at_least=1), ValueError, "found at most, at least"),
        (dict(at_most=math.inf), ValueError, "at_most must be finite"),
        (dict(within=0.1), ValueError, "within goes with equals"),
        (dict(at_most=None, equals=1.0), ValueError, "equals needs within"),
        (dict(at_most=None, equals=1.0, within=-1.0), ValueError, "within must be finite and not negative"),
        (dict(at_most=None, equals=1.0, within=math.nan), ValueError, "within must be finite and not negative"),
        (dict(at_most=None, equals=0.0, within=True), TypeError, "within must be one real number.*bool"),
        (dict(at_most=None, equals=1.0, within=1.0, ideal=1.0), ValueError, "ideal goes with"),
        (dict(at_most=0.0), ValueError, "ideal must lie below at_most = 0, found 0"),
        (dict(at_most=None, at_least=-1.0), ValueError, "at_least needs ideal= .*, found -1"),
        (dict(at_most=None, at_least=1.0, ideal=0.5), ValueError, "ideal must lie above at_least = 1, found 0.5"),
        (dict(at_most=None, measured=2.0, at_least=1.0, ideal=math.inf), ValueError, "ideal must be finite, found inf"),
        (dict(ideal=-math.inf), ValueError, "ideal must be finite, found -inf"),
        (dict(ideal=math.nan), ValueError, "ideal must be finite, found nan"),
        (dict(seeds=[0]), ValueError, "over is required with seeds"),
        (dict(seeds=[], over="runs"), ValueError, "seeds must not be empty"),
        (dict(seeds=3, over="runs"), TypeError, "seeds must be a sequence of whole numbers, found 3"),
        (dict(seeds=[1.5], over="runs"), TypeError, "seeds must be a sequence of whole numbers"),
    ],
)
def test_refused(changed, error, message):
    arguments = dict(id="demo/C1", statement="A statement.", measured=0.0, at_most=1.0) | changed
    with pytest.raises(error, match=message) as caught:
        claim(arguments.pop("id"), arguments.pop("statement"), **arguments)
    assert not isinstance(caught.value, ClaimError)


def test_stored_data_survives_json_and_names_its_anchor():
    result = claim("demo/C2", "Small <enough>.", measured=1e-9, at_most=1e-6, check="part one",
                   over="3 seeds", seeds=range(3))  # fmt: skip
    data = json.loads(json.dumps(result.as_dict()))
    assert data["anchor"] == "check-demo-C2-part-one"
    assert data["seeds"] == [0, 1, 2]
    assert data["display"] == {"measured": "10<sup>−9</sup>", "stated": "10<sup>−6</sup>"}
    line = result.line()
    assert line.startswith('<details class="im-check" id="check-demo-C2-part-one"><summary>')
    assert "Small &lt;enough&gt;." in line and "<dt>seeds</dt><dd>0 to 2</dd>" in line
    words = re.sub("<[^>]+>", "", line[: line.index("</summary>")])
    assert words == "holds part one · measured 10−9 · ≤ 10−6"


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([5], "5"), ([0, 1], "0, 1"), (range(100), "0 to 99"), ([3, 7, 8], "3, 7, 8"),
        (range(0, 70, 10), "7 of them, 0 to 60"),
    ],
)
def test_seeds_in_words(numbers, text):
    assert claims.spans(tuple(numbers)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (5.0004, "5"), (0.2264, "0.226"), (-1.5, "−1.5"), (6.92e-8, "6.92 × 10<sup>−8</sup>"),
     (1e-5, "10<sup>−5</sup>"), (20000, "20\N{THIN SPACE}000"), (100, "100"), (-2e-9, "−2 × 10<sup>−9</sup>")],
)  # fmt: skip
def test_numbers_as_the_book_writes_them(value, text):
    assert number_html(value) == text


def test_importing_the_package_is_lazy():
    code = "import sys, implicitly; from implicitly import claim; print('torch' in sys.modules, 'numpy' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["False", "False"]


NAN = math.nan


@pytest.mark.parametrize(
    "values", [[NAN, 1.0], [1.0, NAN], [1.0, torch.tensor(NAN), 2.0], [np.float32(1), np.float32(NAN)]]
)
def test_no_nan_is_lost(values):
    for pick in (largest, smallest):
        assert math.isnan(pick(values)) and math.isnan(pick(*values)) and math.isnan(pick(v for v in values))
        assert math.isnan(pick(values, key=lambda v: -v))
    with pytest.raises(ClaimError, match="demo/C1: FAILS"):
        claim("demo/C1", "A statement.", measured=largest(values), at_most=3)


def test_largest_and_smallest_without_nan_are_python_s_own():
    values = [3, -5.0, math.inf, 1]
    assert (largest(values), smallest(values)) == (math.inf, -5.0)
    assert (largest(1, 2), smallest(1, 2)) == (2, 1)
    assert largest([3, -5, 1], key=abs) == -5 and smallest(iter([3, -5, 1]), key=abs) == 1
    assert largest(["a", "bc"], key={"a": NAN, "bc": 1.0}.get) == "a"
    with pytest.raises(ValueError, match="empty"):
        largest([])


def test_the_library_loses_no_nan_either():

    Z, alpha = np.eye(2), np.array([NAN, 1.0])
    assert math.isnan(svm._certified(Z, np.ones(2), alpha)[-1])
    tables = torch.tensor([[False, True], [True, True]])
    words = interpolators.pack_tables(tables).tolist()
    law = interpolators.FunctionLaw(tables, torch.tensor([1, 1]), 2)
    with pytest.raises(ValueError, match=r"bits.* must be finite and at least 0, found nan"):
        interpolators.copy_use(law, {words[0]: 1.0, words[1]: NAN})


def lossy(source):
    """Python's max and min on the way to the measured value of a claim: a NaN that is not the first is lost there."""
    tree = ast.parse(source)
    made_from, todo, seen = {}, [], set()

    def note(target, value):
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                made_from.setdefault(node.id, []).append(value)

    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                note(target, node.value)
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign)) and node.value:
            note(node.target, node.value)
        elif isinstance(node, (ast.For, ast.comprehension)):
            note(node.target, node.iter)
        elif isinstance(node, ast.FunctionDef):
            made_from.setdefault(node.name, []).append(node)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and not isinstance(node.func.value, ast.Call)
        ):  # found.append(value)
            note(node.func.value, ast.Tuple([*node.args, *(k.value for k in node.keywords)]))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "claim":
            todo += [keyword.value for keyword in node.keywords if keyword.arg == "measured"]
    found = [f"{name} is given another meaning" for name in ("largest", "smallest") if name in made_from]
    while todo:
        for node in ast.walk(todo.pop()):
            if isinstance(node, ast.Name) and node.id not in seen:
                seen.add(node.id)
                todo += made_from.get(node.id, [])
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in ("max", "min"):
                whole = [a for a in node.args if getattr(getattr(a, "func", None), "id", None) in ("int", "len")]
                if len(whole) < len(node.args) - sum(isinstance(a, ast.Constant) for a in node.args):
                    found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("slug", paths.slugs())
def test_no_chapter_loses_a_nan_on_the_way_to_a_claim(slug):
    notebook = execute.read_source(paths.CHAPTERS / f"{slug}.md")
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    while not execute.is_claim_cell(cells[-1]):  # nothing after the last claim goes into one
        cells.pop()
    source = "\n".join(cells)
    assert source.count("claim(") > 10
    assert lossy(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "claim('a/C1', 'A.', measured=max(x), at_most=1)",
        "worst = max(x)\nclaim('a/C1', 'A.', measured=abs(worst), at_most=1)",
        "def f(x):\n  return min(x)\nclaim('a/C1', 'A.', measured=f(x), at_most=1)",
        "found = []\nfor x in y:\n  found.append(max(0.0, x))\nclaim('a/C1', 'A.', measured=largest(found), at_most=1)",
        "table = {}\ntable[1] = max(x)\nclaim('a/C1', 'A.', measured=largest(table.values()), at_most=1)",
    ],
)
def test_a_lossy_maximum_is_found(source):
    assert len(lossy(source)) == 1
    assert not lossy(source.replace("max(", "largest(").replace("min(", "smallest("))
    assert not lossy(source.replace("max(0.0, x)", "max(1, int(x))").replace("max(x)", "len(x)").replace("min(x)", "0"))
