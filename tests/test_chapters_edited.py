"""A notebook changed after its run is stale; one that holds somebody's edits is not replaced."""

import copy
import json
import os
import shutil

import nbformat
import pytest
from template_chapter import plain_cell

import execute
import lint


def changed_notebook(notebook, fault):
    broken = copy.deepcopy(notebook)
    fault(broken)
    return broken


def without_outputs(notebook):  # what JupyterLab saves by itself, halfway through a run
    for _, cell in lint.code_cells(notebook):
        cell.update(outputs=[], execution_count=None)


def another_output(notebook):
    lint.code_cells(notebook)[-1][1]["outputs"] = []


def another_sentence(notebook):
    notebook["cells"][0]["source"] = "Another sentence."


def another_tag(notebook):
    lint.code_cells(notebook)[-1][1]["metadata"]["tags"] = ["other"]


def no_hash(notebook):
    del notebook["metadata"]["implicitly"]["content"]


@pytest.mark.parametrize("fault", [without_outputs, another_output, another_sentence, another_tag, no_hash])
def test_a_notebook_changed_after_its_run_is_stale(built, notebook, fault):
    slug, root = built
    path = root / f"chapters/{slug}.ipynb"
    before = path.read_bytes()
    try:
        path.write_text(json.dumps(changed_notebook(notebook, fault)), encoding="utf-8")
        assert execute.is_stale(slug, root / "chapters", root)
    finally:
        path.write_bytes(before)
    assert not execute.is_stale(slug, root / "chapters", root)


def edited_source(notebook):
    plain_cell(notebook)["source"] += "\nprint(worst)"


def added_cell(notebook):
    notebook["cells"].append({"cell_type": "markdown", "id": "mine", "metadata": {}, "source": "my notes"})


def removed_cell(notebook):
    del notebook["cells"][-1]


def moved_cell(notebook):
    notebook["cells"].append(notebook["cells"].pop(0))


def cell_of_another_type(notebook):
    cell = plain_cell(notebook)
    cell["cell_type"] = "raw"
    del cell["outputs"], cell["execution_count"]


@pytest.fixture
def sandbox(built, tmp_path, monkeypatch):
    """A copy of the template's repository in which `make execute` would work; running a chapter is not done."""
    slug, root = built
    shutil.copytree(root, tmp_path / "root")
    monkeypatch.setattr(execute, "run", lambda notebook, folder: 0.0)
    return slug, tmp_path / "root"


@pytest.mark.parametrize("newer_source", [False, True])
@pytest.mark.parametrize("edit", [edited_source, added_cell, removed_cell, moved_cell, cell_of_another_type])
def test_an_edited_notebook_is_not_replaced(sandbox, notebook, edit, newer_source):
    slug, root = sandbox
    path = root / f"chapters/{slug}.ipynb"
    edit(notebook)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    mine = path.read_bytes()
    if newer_source:
        with path.with_suffix(".md").open("a") as file:
            file.write("\nOne more sentence.\n")
    with pytest.raises(execute.Edited, match=r"its cells differ from those of chapters/a-start\.md"):
        execute.execute(slug, root / "chapters", root)
    assert path.read_bytes() == mine
    execute.execute(slug, root / "chapters", root, force=True)
    assert path.read_bytes() != mine


def folded(notebook):
    plain_cell(notebook)["metadata"]["jupyter"] = {"source_hidden": True}


@pytest.mark.parametrize("newer_source", [False, True])
@pytest.mark.parametrize("fault", [without_outputs, another_output, folded])
def test_what_jupyterlab_saves_by_itself_is_replaced(sandbox, notebook, fault, newer_source):
    slug, root = sandbox
    path = root / f"chapters/{slug}.ipynb"
    fault(notebook)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    if newer_source:
        with path.with_suffix(".md").open("a") as file:
            file.write("\nOne more sentence.\n")
    execute.execute(slug, root / "chapters", root)
    assert not execute.is_stale(slug, root / "chapters", root)


def test_the_text_of_the_md_is_nobodys_edit(sandbox, notebook):
    """Someone carries an edit over to the `.md`, word for word: then the notebook may go."""
    slug, root = sandbox
    path = root / f"chapters/{slug}.ipynb"
    cell = plain_cell(notebook)
    source = path.with_suffix(".md")
    old = cell["source"]
    cell["source"] = "worst = 0.0"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    with pytest.raises(execute.Edited):
        execute.execute(slug, root / "chapters", root)
    source.write_text(source.read_text().replace(old, "worst = 0.0"))
    execute.execute(slug, root / "chapters", root)


def test_an_edit_made_during_the_run_is_kept(sandbox, notebook, monkeypatch):
    slug, root = sandbox
    path = root / f"chapters/{slug}.ipynb"
    added_cell(notebook)
    monkeypatch.setattr(execute, "run", lambda *_: path.write_text(json.dumps(notebook), encoding="utf-8"))
    with pytest.raises(execute.Edited):
        execute.execute(slug, root / "chapters", root)
    assert "my notes" in path.read_text()


@pytest.mark.parametrize("text", ["{", "{}", "<<<<<<< mine"])
def test_what_is_no_notebook_is_not_replaced(sandbox, text):
    slug, root = sandbox
    path = root / f"chapters/{slug}.ipynb"
    path.write_text(text)
    with pytest.raises(execute.Edited, match="cannot be read as a notebook"):
        execute.execute(slug, root / "chapters", root)
    assert path.read_text() == text
    path.write_text("")  # nothing to lose
    execute.execute(slug, root / "chapters", root)


def test_make_execute_says_what_it_left_and_what_to_do(sandbox, notebook, monkeypatch, capsys):
    slug, root = sandbox
    path = root / f"chapters/{slug}.ipynb"
    added_cell(notebook)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["execute.py"])
    assert execute.main(root) == 1
    said = capsys.readouterr().err
    assert "chapters/a-start.ipynb was edited" in said and "make execute CHAPTER=a-start FORCE=1" in said
    assert "my notes" in path.read_text()
    monkeypatch.setattr("sys.argv", ["execute.py", "a-start", "--force"])
    assert execute.main(root) == 0
    assert "my notes" not in path.read_text()


def test_an_interrupted_write_leaves_the_old_notebook(tmp_path, monkeypatch):
    path = tmp_path / "t.ipynb"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        execute.replace(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "{", "{}"])
def test_a_notebook_that_cannot_be_read_is_stale(built, text):
    slug, root = built
    path = root / f"chapters/{slug}.ipynb"
    before = path.read_bytes()
    try:
        path.write_text(text)
        assert execute.is_stale(slug, root / "chapters", root)
    finally:
        path.write_bytes(before)


def test_lines_kept_as_a_list_are_the_same_notebook(built, notebook):
    """Two ways that the format has of writing one text; JupyterLab and `make execute` differ in it."""
    slug, root = built
    path = root / f"chapters/{slug}.ipynb"
    before = path.read_bytes()
    try:
        nbformat.write(nbformat.from_dict(notebook), path)
        assert path.read_bytes() != before
        assert not execute.is_stale(slug, root / "chapters", root)
    finally:
        path.write_bytes(before)
