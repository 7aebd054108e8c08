"""The chapter that `make new` starts from the template, for the tests of chapters; conftest.py has it executed."""

import shutil
import subprocess

import execute
import lint
import new_chapter
import paths


def git(folder, *command):
    return subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True, text=True).stdout


def executed(root):
    """Start and execute it in a folder of its own; its slug."""
    for folder in ("chapters", "book", "tests"):
        (root / folder).mkdir()
    (root / "requirements.lock").write_text("nothing\n")
    tests = (f"tests/{name}.py" for name in ("chapter_cells", "chapter_statements", "planting"))
    for name in ("_toc.yml", "book/plan.yml", "book/notation.md", *tests):
        shutil.copy(paths.ROOT / name, root / name)
    git(root, "init", "-q")
    git(root, "add", ".")
    new_chapter.new_chapter("a-start", root)
    execute.execute("a-start", root / "chapters", root)
    return "a-start"


def first(notebook, wanted):
    return next(cell for _, cell in lint.code_cells(notebook) if wanted(cell))


def plain_cell(notebook):
    return first(notebook, lambda cell: "\nworst =" in lint.text_of(cell))
