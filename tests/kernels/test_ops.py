"""An op declares itself: it is found by its folder, whole, named by the face, and reached by the chapters it names."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from lanes import ROOT

import implicitly_kernels as ik
from book_model import Book, source_of
from execute import read_source
from implicitly_kernels._ops import ops
from kernels_page import section
from library_model import Library

PARTS = [
    "implicitly_kernels/{}/__init__.py", "implicitly_kernels/{}/reference.py", "implicitly_kernels/{}/_triton.py",
    "implicitly_kernels/{}/spec.py", "benchmarks/peers/{}.py",
]  # fmt: skip
BOOK, LIBRARY = Book(ROOT), Library(ROOT)


@pytest.mark.parametrize("op", ops())
def test_an_op_is_whole(op):
    missing = [part.format(op) for part in PARTS if not (ROOT / "kernels" / part.format(op)).exists()]
    assert not missing and (ROOT / f"tests/kernels/test_{op}.py").exists()
    compiled = (ROOT / f"kernels/implicitly_kernels/{op}/_numba.py").exists()
    assert compiled != bool(BOOK.ops[op].spec.get("NO_NUMBA")), "_numba.py, or in spec.py the reason why there is none"
    assert f"implicitly_kernels.{op}" in {getattr(ik, name).__module__ for name in ik.__all__}
    measured = json.loads((ROOT / "kernels/resources.json").read_text())["budget"]
    assert any(f"{kernel}_".startswith(f"{op}_") for kernel in measured)


def reached(code):
    """The ops that a chapter's code uses, itself or by a function of the library that calls them."""
    taken = LIBRARY.taken(code)
    homes = {name: LIBRARY.resolve("implicitly_kernels", name) for name in LIBRARY.public("implicitly_kernels")}
    called = {homes[name] for what in taken.names for name in LIBRARY.kernels_of(what)}
    called |= taken.names & set(homes.values())
    return {home.module.split(".")[1] for home in called}


@pytest.mark.parametrize(("op", "slug"), [
    (op, slug) for op in ops() for slug in BOOK.ops[op].declared("CHAPTERS") if (ROOT / f"chapters/{slug}.md").exists()
])  # fmt: skip
def test_a_chapter_that_an_op_names_reaches_it(op, slug):
    cells = read_source(ROOT / f"chapters/{slug}.md").cells
    assert op in reached(tuple(source_of(cell) for cell in cells if cell.cell_type == "code"))


@pytest.mark.parametrize(("cell", "found"), [
    ("from implicitly.diffusion import score_flow", set()),
    ("import implicitly_kernels as kernels", set()),
    ("from implicitly import diffusion\ndiffusion.score_flow(x, h, 0.1, time=1.0, steps=3)", {"relu_flow"}),
    ("from implicitly import diffusion\ndiffusion.sigma_grid(1.0, 0.1, 3)", set()),
    ("from implicitly import langevin, sweep\nsweep(langevin.langevin_run, grid, seeds=[0])", {"langevin"}),
    ("import implicitly_kernels as kernels\nkernels.sign_nets_predict(i, x, (2, 1))", {"sign_nets"}),
])  # fmt: skip
def test_an_import_alone_reaches_nothing(cell, found):
    assert reached((cell,)) == found


TOY = {
    "__init__.py": """
from torch import Tensor

from implicitly_kernels._ops import dispatcher, fresh, operator

_DISPATCH = dispatcher("toy", "double")


@operator("toy", lambda x, backend: (x.new_empty(x.shape),))
def _double(x: Tensor, backend: str) -> tuple[Tensor]:
    return fresh(_DISPATCH(backend, x)(x), x)


def toy(x, *, backend="auto"):
    return _double(x, backend)[0]
""",
    "reference.py": "def double(x):\n    return (2 * x,)\n",
    "_numba.py": "from implicitly_kernels.toy.reference import double as double\n",
    "_triton.py": "def _toy_kernel():\n    pass\n",
    "spec.py": """
TITLE = "A toy"
SHOWN = "_toy_kernel"
SUMMARY = "Doubles."
COUNT = "One operation."
CHAPTERS = ("score-flow",)
TARGET_GPU = "none."
KERNELS = []
""",
}
IN_PLACE = """
import torch
from torch import Tensor
from implicitly_kernels._ops import operator

@operator("toy_", lambda x, by: None, mutates=("x",), refuses="no gradient")
def double(x: Tensor, by: float) -> None:
    x.detach().mul_(by)

x = torch.ones(3)
assert double(x, 2.0) is None and x.tolist() == [2, 2, 2] and x._version >= 1
torch.library.opcheck(double, (torch.ones(3), 2.0))
saved = torch.ones(3, requires_grad=True)
y = saved.exp()
with torch.no_grad():
    double(y, 2.0)
for made, said in ((lambda: y.sum().backward(), "modified by an inplace operation"),
                   (lambda: double(saved, 2.0), "toy_: no gradient")):
    try:
        made()
    except RuntimeError as error:  # NotImplementedError is one
        assert said in str(error), error
    else:
        raise AssertionError(said)
"""
USE = """
import torch
import implicitly_kernels.toy as t
from implicitly_kernels._ops import ops
from torch._subclasses.fake_tensor import FakeTensorMode

assert "toy" in ops()
x = torch.ones(3, requires_grad=True)
assert t.toy(x).tolist() == [2, 2, 2] and t._DISPATCH.choose("auto", "cpu") == "numba"
with FakeTensorMode() as mode:
    assert t.toy(mode.from_tensor(torch.ones(3))).shape == (3,)
try:
    t.toy(x).sum().backward()
except NotImplementedError as error:
    assert str(error) == "toy: the run is not differentiable"
else:
    raise AssertionError
"""


def test_an_operator_that_changes_its_arguments():
    """Changed in place, seen by autograd, refused where a gradient would be recorded."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "kernels")}
    done = subprocess.run([sys.executable, "-c", IN_PLACE], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_new_op_is_found_by_its_folder(tmp_path):
    """Nothing besides its own files: dispatch, operator, benchmark, resources and page know of it."""
    shutil.copytree(ROOT / "kernels", tmp_path / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "book").mkdir()
    shutil.copy(ROOT / "book/plan.yml", tmp_path / "book")
    home = tmp_path / "kernels/implicitly_kernels/toy"
    home.mkdir()
    for name, text in TOY.items():
        (home / name).write_text(text)
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "kernels")}

    def run(*command):
        return subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, check=True).stdout

    run("-c", USE)
    assert "toy" in run(tmp_path / "kernels/benchmarks/run.py", "--help")
    assert "## A toy" in section("toy", Book(tmp_path))
