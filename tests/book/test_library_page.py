"""The library's reference, the line "Library" of a chapter, and the cheat sheet."""

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import library_page as pages

ROOT = Path(__file__).parents[2]
MODULES = pages.modules()
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))


def test_every_public_name_is_there():
    """Read from the sources, the names are those that Python imports."""
    assert "implicitly.diffusion.flows" in MODULES and "implicitly_kernels" in MODULES and len(MODULES) > 20
    for name in MODULES:
        module, read = importlib.import_module(name), pages.read_module(name)
        assert [entry.name for entry in read.entries] == list(module.__all__)
        for entry in read.entries:
            found = getattr(module, entry.name)
            if inspect.isfunction(found):
                assert Path(inspect.getsourcefile(inspect.unwrap(found))) == entry.file
                assert entry.signature, f"{name}.{entry.name} has no signature"
                names = re.findall(r"(\w+)(?=[:,=)\s])", entry.signature)
                assert set(inspect.signature(found).parameters) <= set(names), entry.signature
                assert inspect.getdoc(found) == entry.doc
            elif inspect.isclass(found):
                assert entry.doc.startswith((inspect.getdoc(found) or "").split("\n")[0])


def test_signatures_are_python_and_fit_the_page():
    for name in MODULES:
        for entry in pages.read_module(name).entries:
            if entry.signature and not entry.name[0].isupper():
                ast.parse(f"def {entry.signature}: ...")
                assert max(map(len, entry.signature.split("\n"))) <= 120


def test_docstrings_become_html():
    doc = (
        "Does `x` for ``y > 0``.\n\nArgs:\n    a, b: two,\n        both.\n    c: one.\n\nReturns:\n    A sum.\n\n"
        "- p\n- q\n\n    code < 1\n\nExample:\n    >>> f(1)\n    2"
    )
    assert pages.described(doc) == (
        "<p>Does <code>x</code> for <code>y &gt; 0</code>.</p>"
        '<p class="im-api-head">Args</p><dl class="im-api-args">'
        "<div><dt><code>a, b</code></dt><dd>two, both.</dd></div><div><dt><code>c</code></dt><dd>one.</dd></div></dl>"
        '<p class="im-api-head">Returns</p><p>A sum.</p><ul><li>p</li><li>q</li></ul>'
        '<pre tabindex="0">code &lt; 1</pre>'
        '<p class="im-api-head">Example</p><pre tabindex="0">&gt;&gt;&gt; f(1)\n2</pre>'
    )


def notebook(*sources: str) -> dict:
    return {"cells": [{"cell_type": "code", "source": source} for source in sources]}


def test_uses_follow_imports():
    taken = pages.uses(notebook(
        "import implicitly_kernels as kernels\nfrom implicitly import claim, flows\n%matplotlib inline",
        "import implicitly_kernels as kernels\nfrom implicitly import claim, flows",
        "from implicitly.explorer import Slider as S",
        "flows.score_flow(x, h)\nkernels.perm_gd\nclaim('a/C1')\nS('k', 1, 2)\nflows.KINDS[0]\nother.sweep",
    ))  # fmt: skip
    assert taken == {
        ("implicitly.diffusion.flows", "score_flow"), ("implicitly.diffusion.exact", "KINDS"),
        ("implicitly.claims", "claim"), ("implicitly.explorer.controls", "Slider"),
        ("implicitly_kernels.perm_gd", "perm_gd"),
    }  # fmt: skip
    assert pages.modules_used(notebook("import math\nmath.pi")) == []


@pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])
def test_a_chapter_names_the_modules_that_it_calls(path):
    stored = json.loads(path.read_text(encoding="utf-8"))
    code = "\n".join("".join(c["source"]) for c in stored["cells"] if c["cell_type"] == "code")
    named = set(re.findall(r"^from implicitly\.(\w+) import", code, re.M))
    used = {name.split(".")[1] for name in pages.modules_used(stored)}
    assert named <= used and "claims" in used
    for name in pages.modules_used(stored):
        assert pages.file_of(name).is_file()


def test_the_cheat_sheet_runs(tmp_path):
    """Every piece as it stands, each in a process of its own directory and all in one process."""
    text = (ROOT / "book/cheat-sheet.md").read_text(encoding="utf-8")
    pieces = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    assert len(pieces) == 4
    alone = "".join(f"exec(compile({piece!r}, 'piece {i}', 'exec'), {{'__name__': '__main__'}})\n"
                    for i, piece in enumerate(pieces))  # fmt: skip
    done = subprocess.run([sys.executable, "-c", alone], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "demo/C1: holds" in done.stdout and "reference" in done.stdout
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
