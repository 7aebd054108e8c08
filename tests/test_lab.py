"""`make lab`: readers work on copies, which follow the chapters until someone edits them."""

import json
import shutil
import subprocess

import nbformat
import pytest

import execute
import lab
import paths


@pytest.fixture
def chapters(tmp_path):
    """A folder with one chapter as `make execute` writes it, not run."""
    folder = tmp_path / "chapters"
    folder.mkdir()
    write(folder, "print(1)")
    return folder


def write(folder, code):
    source = "---\njupytext: {text_representation: {extension: .md, format_name: myst}}\n---\n# T\n\n"
    (folder / "t.md").write_text(f"{source}```{{code-cell}} python\n{code}\n```\n")
    notebook = execute.read_source(folder / "t.md")
    notebook.metadata["implicitly"] = {"sources": execute.sources(notebook)}
    notebook.metadata["implicitly"]["content"] = execute.content(notebook)
    nbformat.write(notebook, folder / "t.ipynb")


def change(path, code=None, output=None):
    """What JupyterLab would save after an edit of the last cell, or after a run of it."""
    notebook = json.loads(path.read_text())
    if code:
        notebook["cells"][-1]["source"] = code
    if output:
        notebook["cells"][-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": output}]
    path.write_text(json.dumps(notebook))


def test_a_copy_follows_its_chapter(chapters, tmp_path):
    folder = tmp_path / "copies"
    assert lab.refresh(folder, chapters) == []
    assert (folder / "t.ipynb").read_bytes() == (chapters / "t.ipynb").read_bytes()
    change(folder / "t.ipynb", output="half a run")
    write(chapters, "print(2)")
    assert lab.refresh(folder, chapters) == []
    assert (folder / "t.ipynb").read_bytes() == (chapters / "t.ipynb").read_bytes()


def test_outputs_of_the_readers_stay_while_the_chapter_is_the_same(chapters, tmp_path):
    folder = tmp_path / "copies"
    lab.refresh(folder, chapters)
    change(folder / "t.ipynb", output="mine")
    assert lab.refresh(folder, chapters) == []
    assert "mine" in (folder / "t.ipynb").read_text()


@pytest.mark.parametrize("newer", [False, True])
def test_an_edited_copy_stays_and_is_named_when_the_book_has_a_newer_one(chapters, tmp_path, newer):
    folder = tmp_path / "copies"
    lab.refresh(folder, chapters)
    change(folder / "t.ipynb", code="print('mine')")
    if newer:
        write(chapters, "print(2)")
    assert lab.refresh(folder, chapters) == (["t.ipynb"] if newer else [])
    assert "mine" in (folder / "t.ipynb").read_text()


@pytest.mark.parametrize("text", ["{", '{"cells": []}'])
def test_what_is_no_notebook_stays(chapters, tmp_path, text):
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / "t.ipynb").write_text(text)
    assert lab.refresh(folder, chapters) == ["t.ipynb"]
    assert (folder / "t.ipynb").read_text() == text


def test_other_files_of_the_readers_stay(chapters, tmp_path):
    folder = tmp_path / "copies"
    lab.refresh(folder, chapters)
    (folder / "mine.ipynb").write_text("{}")
    lab.refresh(folder, chapters)
    assert (folder / "mine.ipynb").read_text() == "{}"


def test_a_chapter_without_a_notebook_is_left_out(chapters, tmp_path):
    (chapters / "t.ipynb").unlink()
    assert lab.refresh(tmp_path / "copies", chapters) == []
    assert not (tmp_path / "copies/t.ipynb").exists()


def test_make_lab_opens_the_copies_and_leaves_the_chapters_alone(tmp_path):
    """The command as a reader types it, up to the server: with --show-config JupyterLab says where it would look."""
    before = {path: path.read_bytes() for path in paths.CHAPTERS.glob("*.ipynb")}
    copies = tmp_path / "copies"
    command = ["make", "-s", "-o", ".venv/.all", "lab", f"NOTEBOOKS={copies}", "LABFLAGS=--show-config-json"]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, config = done.stdout.split("\n", 1)
    assert str(copies) in said
    assert json.loads(config[config.index("{"):])["ServerApp"]["root_dir"] == str(copies)
    for path, data in before.items():
        assert path.read_bytes() == data
        copy = lab.readers_copy(lab.readable(path), data.decode())
        assert (copies / path.name).read_text(encoding="utf-8") == copy


def test_git_and_the_builder_do_not_see_the_copies():
    if shutil.which("git") is None:
        pytest.fail("these tests ask git what it ignores")
    asked = ["git", "check-ignore", "-q", "notebooks/score-flow.ipynb"]
    assert subprocess.run(asked, cwd=paths.ROOT).returncode == 0
    assert "notebooks/*" in (paths.ROOT / "_config.yml").read_text()


def test_a_copy_has_the_numbers_of_the_run_and_a_box_that_jupyterlab_knows(chapters, tmp_path):
    notebook = json.loads((chapters / "t.ipynb").read_text())
    record = {"output_type": "display_data", "metadata": {"scrapbook": {"name": "a-number", "mime_prefix": "x/"}},
              "data": {"x/text/plain": "'−4.50'"}}  # fmt: skip
    notebook["cells"][-1].update(outputs=[record], execution_count=1)
    notebook["cells"][0]["source"] = "# T\n\n:::{five-minutes}\n**It is {glue:text}`a-number`.**\n:::"
    made = nbformat.from_dict(notebook)
    made.metadata["implicitly"] = {"sources": execute.sources(made)}
    made.metadata["implicitly"]["content"] = execute.content(made)
    nbformat.write(made, chapters / "t.ipynb")
    folder = tmp_path / "copies"
    assert lab.refresh(folder, chapters) == []
    copied = nbformat.read(folder / "t.ipynb", as_version=4)
    nbformat.validate(copied)
    assert copied.cells[0].source == "# T\n\n:::{admonition} In five minutes\n**It is −4.50.**\n:::"
    # It is nobody's edit: the copy stays while the chapter does, and follows it when it changes.
    before = (folder / "t.ipynb").read_bytes()
    assert lab.refresh(folder, chapters) == [] and (folder / "t.ipynb").read_bytes() == before
    write(chapters, "print(2)")
    assert lab.refresh(folder, chapters) == []
    assert "print(2)" in (folder / "t.ipynb").read_text()
