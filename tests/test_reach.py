"""A notebook is stale when its text, a pin of the lock, or a module that its cells reach changes, and only then."""

import ast
import functools
import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import jupytext
import pytest

import execute
import paths
import reach

LOCK = "numpy==2.0.0 \\\n    --hash=sha256:abc\nscipy==1.15.0\n"
LIBRARY = {
    "__init__": '''
        """The library."""
        from importlib import import_module
        _PUBLIC = {"claim": "implicitly.claims"}
        __version__ = "1"
        def __getattr__(name):
            return getattr(import_module(_PUBLIC[name]), name)
        ''',
    "claims": "from ._validate import finite",
    "_validate": "import math",
    "plotting": "def use(): pass",
    "chance": "from ._validate import finite",
    "margins/__init__": '''
        """Largest margins."""
        from . import paths
        from .solve import margin as largest_margin
        __all__ = ["largest_margin", "paths"]
        ''',
    "margins/solve": """
        def margin():
            from implicitly_kernels import relu_gd
            from .. import _validate
        """,
    "margins/paths": "def path(): pass",
    "stability/__init__": """
        import implicitly_kernels as kernels
        from implicitly.chance import allowance
        def sharpness(x): return kernels.sign_nets(x)
        """,
    "stability/_lazily": "x = 1",
    "figures/__init__": "",
    "figures/one": "from implicitly import plotting",
    "figures/two": "from ..plotting import use",
}
KERNELS = {
    "__init__": """
        from implicitly_kernels._dispatch import backends
        from implicitly_kernels.relu_gd import relu_gd
        from implicitly_kernels.sign_nets import sign_nets
        __all__ = ["backends", "relu_gd", "sign_nets"]
        """,
    "_dispatch": "from importlib import import_module",
    "_checks": "x = 1",
    "_rng": "x = 1",
    "relu_gd/__init__": """
        from implicitly_kernels import _checks as check
        from implicitly_kernels._dispatch import Dispatcher
        PATHS = Dispatcher({"numba": "implicitly_kernels.relu_gd._numba:run"})
        """,
    "relu_gd/_numba": "import numba",
    "sign_nets/__init__": "from implicitly_kernels._dispatch import Dispatcher\ndef sign_nets(x): pass",
    "sign_nets/_numba": "from implicitly_kernels._rng import bits",
}
CELLS = {
    "one": [
        "import sys",
        "from implicitly import claim, plotting\nfrom implicitly.figures import one as figures",
        "def later():\n    from implicitly.margins import largest_margin\n    return largest_margin()",
    ],
    "two": ["from implicitly import claim, stability as st\nimport implicitly.figures.two", "st.sharpness(1)"],
    "bare": ["import numpy as np\nnp.zeros(3)"],
}


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))


def chapter(root, slug, cells):
    header = "---\njupytext: {text_representation: {extension: .md, format_name: myst}}\n---\n\n# T\n\n"
    blocks = "\n\n".join(f"```{{code-cell}} python\n{cell}\n```" for cell in cells)
    write(root / f"chapters/{slug}.md", header + blocks + "\n")


@pytest.fixture
def root(tmp_path):
    """A small repository: a library, two kernels, three chapters."""
    for name, text in LIBRARY.items():
        write(tmp_path / f"lib/implicitly/{name}.py", text)
    for name, text in KERNELS.items():
        write(tmp_path / f"kernels/implicitly_kernels/{name}.py", text)
    for slug, cells in CELLS.items():
        chapter(tmp_path, slug, cells)
    write(tmp_path / "lib/implicitly/fonts/a.ttf", "a font")
    write(tmp_path / "requirements.lock", LOCK)
    return tmp_path


def keys(root):
    return {slug: reach.key(root / f"chapters/{slug}.md", root) for slug in paths.slugs(root / "chapters")}


def stale_after(root, path, text=None):
    """The chapters whose key changes when a line is added to a file, or when the file becomes `text`."""
    before = keys(root)
    write(root / path, (root / path).read_text() + "\n# changed\n" if text is None else text)
    after = keys(root)
    return {slug for slug in before if before[slug] != after[slug]}


@pytest.fixture(autouse=True)
def each_text_is_read_once(monkeypatch):
    """Jupytext takes a while over a long chapter, and most texts here stay as they are."""
    reads = functools.cache(functools.partial(jupytext.reads, fmt="md:myst"))
    monkeypatch.setattr(jupytext, "read", lambda path: reads(path.read_text(encoding="utf-8")))


LIB, KER = "lib/implicitly", "kernels/implicitly_kernels"


@pytest.mark.parametrize(
    ("path", "stale"),
    [
        (f"{LIB}/margins/solve.py", {"one"}),  # by the face of its subject, inside a function
        (f"{LIB}/margins/paths.py", set()),  # the same face, another name
        (f"{LIB}/stability/__init__.py", {"two"}),
        (f"{LIB}/stability/_lazily.py", {"two"}),  # beside code, where it may be imported by string
        (f"{LIB}/chance.py", {"two"}),
        (f"{LIB}/_validate.py", {"one", "two"}),  # a private core module
        (f"{LIB}/claims.py", {"one", "two"}),  # a lazy name
        (f"{LIB}/plotting.py", {"one", "two"}),  # a lazy module
        (f"{LIB}/figures/one.py", {"one"}),
        (f"{LIB}/figures/two.py", {"two"}),
        (f"{LIB}/__init__.py", set()),  # passes names on, and those are the same
        (f"{LIB}/fonts/a.ttf", {"one", "two", "bare"}),
        (f"{KER}/__init__.py", set()),
        (f"{KER}/relu_gd/_numba.py", {"one"}),  # a backend, imported by string
        (f"{KER}/sign_nets/_numba.py", {"two"}),
        (f"{KER}/_checks.py", {"one"}),
        (f"{KER}/_rng.py", {"two"}),
        (f"{KER}/_dispatch.py", {"one", "two"}),
        ("chapters/one.md", {"one"}),
        ("requirements.lock", set()),  # a comment
    ],
)  # fmt: skip
def test_a_change_reaches_the_chapters_that_use_it_and_no_other(root, path, stale):
    assert stale_after(root, path) == stale


@pytest.mark.parametrize(
    ("path", "text", "stale"),
    [
        (f"{LIB}/margins/unused.py", "x = 1", set()),
        (f"{LIB}/unused.py", "from . import claims", set()),
        (f"{LIB}/stability/added.py", "x = 1", {"two"}),
        (f"{KER}/relu_gd/_triton.py", "import triton", {"one"}),
        (f"{LIB}/margins/solve/__init__.py", "from .deep import margin", {"one"}),  # in the place of solve.py
        (f"{LIB}/_validate.py", "from . import unheard_of", {"one", "two"}),
        (f"{LIB}/margins/__init__.py", "from .solve import other as largest_margin", {"one"}),
        (f"{LIB}/margins/__init__.py", "from .solve import margin as largest_margin, other", set()),
        ("requirements.lock", LOCK.replace("abc", "def"), set()),
        ("requirements.lock", LOCK.replace("2.0.0", "2.0.1"), {"one", "two", "bare"}),
        ("requirements.lock", LOCK + "pandas==2.2.0\n", {"one", "two", "bare"}),
    ],
)  # fmt: skip
def test_what_is_added_counts_where_it_is_reached(root, path, text, stale):
    assert stale_after(root, path, text) == stale


def test_a_module_that_is_written_after_it_was_imported_counts(root):
    chapter(root, "one", ["from implicitly.margins.new import f"])
    assert stale_after(root, f"{LIB}/margins/new.py", "from ..chance import allowance") == {"one"}
    assert stale_after(root, f"{LIB}/chance.py") == {"one", "two"}


@pytest.mark.parametrize(
    "cell",
    [
        "%%time\nimport math",
        "import implicitly\ngetattr(implicitly, 'chance')",
        "from importlib import import_module\nimport_module('implicitly.chance')",
        "from implicitly import *",
    ],
)
def test_where_reading_does_not_tell_everything_counts(root, cell):
    chapter(root, "bare", [cell])
    assert "bare" in stale_after(root, f"{LIB}/margins/paths.py")
    assert "bare" in stale_after(root, f"{LIB}/chance.py")


@pytest.mark.parametrize(
    ("cell", "used", "unused"),
    [
        ("import implicitly as im\nim.margins.paths", "margins/paths", "margins/solve"),
        ("import implicitly.chance\nimplicitly.plotting.use()", "plotting", "claims"),
        ("import implicitly.chance\nimplicitly.plotting.use()", "chance", "margins/solve"),
        ("from implicitly import margins as m\nx = m.paths\nm = 3", "margins/paths", "chance"),
        ("from implicitly.margins import *", "margins/solve", "chance"),
    ],
)
def test_names_are_followed(root, cell, used, unused):
    chapter(root, "bare", [cell])
    assert "bare" in stale_after(root, f"{LIB}/{used}.py")
    assert "bare" not in stale_after(root, f"{LIB}/{unused}.py")


# The repository itself ----------------------------------------------------------------------------

ROOT = paths.ROOT


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of what the keys of the book's chapters are made from."""
    root = tmp_path_factory.mktemp("repository")
    for folder in ("chapters", *reach.PACKAGES.values()):
        files = [path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md")]
        for path in files:
            write(root / path.relative_to(ROOT), path.read_text(encoding="utf-8"))
    shutil.copy(ROOT / "requirements.lock", root / "requirements.lock")
    return root


def test_every_chapter_hangs_on_the_core_and_few_on_one_kernel(copied):
    slugs = set(paths.slugs(copied / "chapters"))
    assert stale_after(copied, f"{LIB}/claims.py") == slugs
    assert stale_after(copied, f"{LIB}/_validate.py") == slugs
    stale = stale_after(copied, f"{KER}/relu_gd/_numba.py")
    assert "stable-minima" in stale and "score-flow" not in stale
    assert stale_after(copied, f"{LIB}/new_subject/__init__.py", "from . import solve") == set()


def test_a_drawing_belongs_to_one_chapter(copied, monkeypatch):
    read = functools.cache(jupytext.read)  # the texts of the chapters stay as they are
    monkeypatch.setattr(jupytext, "read", lambda path: read(path))
    before = keys(copied)
    for path in sorted((copied / LIB / "figures").glob("[a-z]*.py")):
        write(path, path.read_text() + "\n# changed\n")
        after = keys(copied)
        changed = {slug for slug in before if before[slug] != after[slug]}
        assert changed == {path.stem.replace("_", "-")}, path.name
        before = after


IMPORT_ALL = """
import json, os, sys, torch, scipy, matplotlib.pyplot, anywidget

for slug, imports in json.load(sys.stdin).items():
    if os.fork():  # torch is there already, and each chapter starts without the library
        os.wait()
        continue
    exec(imports)
    ours = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "implicitly"]
    print(json.dumps([slug, ours]), flush=True)
    os._exit(0)
"""


def imports_of(slug):
    cells = [cell.source for cell in jupytext.read(paths.CHAPTERS / f"{slug}.md").cells if cell.cell_type == "code"]
    nodes = ast.walk(ast.parse("\n\n".join(cells)))
    lines = [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(line for line in lines if "implicitly" in line)


def test_what_python_imports_is_reached():
    """Another way to the same files: each chapter's imports run, and Python says what of the library they loaded."""
    asked = json.dumps({slug: imports_of(slug) for slug in paths.slugs()})
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], input=asked, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    loaded = dict(map(json.loads, done.stdout.splitlines()))
    assert loaded.keys() == set(paths.slugs())
    for slug, files in loaded.items():
        found = reach.reached(paths.CHAPTERS / f"{slug}.md").files
        missed = set(map(Path, files)) - found
        # A face loads all that it passes on, and only what is used of that counts: it is missed beside what is found,
        # and so is what it imports itself.
        beside, unused = {path.parent for path in found} - {ROOT / LIB}, reach.Reach(ROOT)
        for path in (path for path in missed if path.parent in beside and path.name != "__init__.py"):
            unused.take(path, ".".join(path.relative_to(ROOT / "lib").with_suffix("").parts))
        wrong = [path for path in missed - unused.files if path.name != "__init__.py" and path.parent not in beside]
        assert not wrong, f"{slug}: {wrong}"
        assert found & set(map(Path, files)), slug


def test_the_library_imports_by_string_where_the_tools_know_it():
    """In faces, whose dictionary is read, and in the kernels' dispatcher, whose strings name the op's own folder."""
    # the worker, and a page function that is unpickled, import a module that the caller has imported already
    known = {f"{KER}/_dispatch.py", f"{KER}/_compile.py", "lib/implicitly/tensor_parallel/_worker.py",
             "lib/implicitly/explorer/compiled.py"}  # fmt: skip
    found = set()
    for package, folder in reach.PACKAGES.items():
        for path in (ROOT / folder).rglob("*.py"):
            code = reach.read(path.read_text(encoding="utf-8"), package)
            if code.by_string and not (path.name == "__init__.py" and code.face):
                found.add(path.relative_to(ROOT).as_posix())
    assert found == known
    for path in (ROOT / KER).glob("*/__init__.py"):
        named = set(re.findall(r"implicitly_kernels\.(\w+)", path.read_text()))
        assert not [n for n in named if not n.startswith("_") and n != path.parent.name], path


def test_a_stale_chapter_is_named_by_make_execute(root, monkeypatch, capsys):
    monkeypatch.setattr(execute, "run", lambda notebook, folder: 0.0)
    for slug in CELLS:
        execute.execute(slug, root / "chapters", root)
    monkeypatch.setattr("sys.argv", ["execute.py", "--check"])
    assert execute.main(root) == 0
    write(root / f"{KER}/relu_gd/_numba.py", "import numba as nb")
    assert execute.main(root) == 1
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["chapters/one.ipynb"]
