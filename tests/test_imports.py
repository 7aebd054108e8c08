"""Who imports whom: chapters -> lib -> kernels."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from committed_files import ROOT, committed

import implicitly


def imported(source: str) -> set[str]:
    """First names of all modules that ``source`` imports, those by ``import_module`` included."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__", "find_spec"} and isinstance(node.args[0].value, str):
                names.add(node.args[0].value)
    return {name.split(".")[0] for name in names}


def sources(folder: str) -> list[Path]:
    return [p for p in committed() if p.suffix == ".py" and p.is_relative_to(ROOT / folder)]


@pytest.mark.parametrize(
    ("folder", "never"),
    [
        # The book is built in an environment that has neither the library nor torch.
        (
            "book/_ext",
            {"implicitly", "implicitly_kernels", "torch", "numpy", "matplotlib", "jupyter_book"},
        ),
        ("kernels/implicitly_kernels", {"implicitly"}),
        ("lib/implicitly", {"chapters", "book"}),
    ],
)
def test_imports_run_one_way(folder, never):
    wrong = {str(p.relative_to(ROOT)): imported(p.read_text()) & never for p in sources(folder)}
    assert sources(folder), f"no Python file under {folder}"
    assert not {name: bad for name, bad in wrong.items() if bad}


def test_imports_are_seen_in_every_form():
    assert imported("import torch.nn as nn") == {"torch"}
    assert imported("def f():\n    from implicitly.claims import claim") == {"implicitly"}
    assert imported("importlib.import_module('implicitly_kernels.x')") == {"implicitly_kernels"}
    assert imported("from . import sibling") == set()


def chapters() -> list[Path]:
    return [p for p in committed() if p.parent == ROOT / "chapters" and p.suffix == ".md"]


@pytest.mark.parametrize("chapter", chapters(), ids=lambda p: p.stem)
def test_a_chapter_imports_no_other_chapter_and_no_tool_of_ours(chapter):
    import jupytext

    cells = jupytext.read(chapter).cells
    # A leading % or ! is IPython's; no chapter's imports stand behind one.
    code = "\n".join(
        line
        for cell in cells
        if cell.cell_type == "code"
        for line in [*cell.source.splitlines(), ""]
        if not line.lstrip().startswith(("%", "!"))
    )
    others = {p.stem.replace("-", "_") for p in chapters()} | {"book", "tests", "chapters"}
    assert not imported(code) & others


def test_importing_the_library_is_light():
    code = (
        "import sys, implicitly;"
        "heavy = {'torch', 'numpy', 'matplotlib', 'anywidget', 'cvxpy', 'numba'};"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, f"`import implicitly` also imported: {done.stderr.strip()}"


def test_every_public_module_is_an_attribute_of_the_package():
    folder = ROOT / "lib/implicitly"
    names = {path.stem for path in folder.glob("[!_]*.py")}
    names |= {path.parent.name for path in folder.glob("*/__init__.py")}
    code = "import sys, implicitly; [getattr(implicitly, name) for name in sys.argv[1:]]"
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert names <= set(dir(implicitly))
