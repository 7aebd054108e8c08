"""Every chapter in the repository is fresh and keeps the rules; the rules themselves can fail."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
import yaml

import execute
import lint
import new_chapter
import paths

SLUGS = paths.slugs()


def git(folder, *command):
    return subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The template, started and executed in a folder of its own: (slug, executed notebook as a dict)."""
    root = tmp_path_factory.mktemp("repository")
    for folder in ("chapters", "book"):
        (root / folder).mkdir()
    (root / "requirements.lock").write_text("nothing\n")
    (root / "tests").mkdir()
    for name in ("_toc.yml", "book/plan.yml", "book/notation.md", "tests/chapter_cells.py", "tests/planting.py"):
        shutil.copy(paths.ROOT / name, root / name)
    git(root, "init", "-q")
    git(root, "add", ".")
    new_chapter.new_chapter("a-start", root)
    execute.execute("a-start", root / "chapters", root)
    return "a-start", root


@pytest.fixture
def notebook(built):
    slug, root = built
    return json.loads((root / f"chapters/{slug}.ipynb").read_text(encoding="utf-8"))


@pytest.mark.parametrize("slug", SLUGS)
def test_chapter_is_fresh(slug):
    assert not execute.is_stale(slug), f"chapters/{slug}.ipynb is stale: run `make execute`"


@pytest.mark.parametrize("slug", SLUGS)
def test_chapter_passes_every_lint(slug):
    notebook = json.loads((paths.CHAPTERS / f"{slug}.ipynb").read_text(encoding="utf-8"))
    assert lint.lint(slug, notebook) == []


@pytest.mark.parametrize("slug", SLUGS)
def test_notebook_is_valid_and_ran_in_order(slug):
    notebook = nbformat.read(paths.CHAPTERS / f"{slug}.ipynb", as_version=4)
    nbformat.validate(notebook)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_template_passes_every_check(built, notebook):
    slug, root = built
    assert lint.lint(slug, notebook) == []
    assert not execute.is_stale(slug, root / "chapters", root)


def test_a_chapter_is_few_files_and_make_new_starts_them(built):
    """At most eight, which CONTRIBUTING lists, most of them made by commands."""
    slug, root = built
    made = git(root, "ls-files", "--others", "--modified", "--exclude-standard").split()
    assert sorted(made) == ["_toc.yml", "book/notation.md", f"chapters/{slug}.ipynb", f"chapters/{slug}.md",
                            "tests/chapters/test_a_start_claims.py"]  # fmt: skip
    text = (paths.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"A chapter is these files:\n\n((?:- .*\n(?:  .*\n)*)+)", text)
    listed = re.findall(r"^- `([^`]+)`", said, re.M)
    assert len(listed) <= 8
    assert {name.replace(slug, "my-chapter").replace("a_start", "my_chapter") for name in made} <= set(listed)


def test_the_claims_of_a_new_chapter_are_tested(built):
    _, root = built
    test = root / "tests/chapters/test_a_start_claims.py"
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", test]
    environment = {**os.environ, "PYTHONPATH": str(root / "tests")}
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout
    test.write_text(test.read_text().replace("scaled(FITTED_SLOPE, 0.8)", "scaled(FITTED_SLOPE, 1.0)"))
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=environment)
    assert "1 failed, 1 passed" in done.stdout, done.stdout


def test_running_again_gives_the_same_bytes(built):
    slug, root = built
    path = root / f"chapters/{slug}.ipynb"
    before = path.read_bytes()
    execute.execute(slug, root / "chapters", root)
    assert path.read_bytes() == before


@pytest.mark.parametrize("changed", ["chapters/a-start.md", "requirements.lock"])  # the library: test_reach.py
def test_a_change_makes_it_stale(built, changed):
    slug, root = built
    path = root / changed
    before = path.read_bytes()
    path.write_bytes(before + b"\nanother==1.0\n")
    try:
        assert execute.is_stale(slug, root / "chapters", root)
    finally:
        path.write_bytes(before)
    assert not execute.is_stale(slug, root / "chapters", root)


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


def test_margin_notes_get_the_class_that_gives_them_height_in_jupyterlab(tmp_path):
    header = "---\njupytext: {text_representation: {extension: .md, format_name: myst}}\n---\n"
    notes = "# T\n\n:::{margin}\nA note.\n:::\n\n::::{margin} Title\n:class: x\nB\n::::\n"
    (tmp_path / "t.md").write_text(header + notes)
    (cell,) = execute.read_source(tmp_path / "t.md").cells
    assert cell.source == "# T\n\n:::{margin}\n:class: contents\nA note.\n:::\n\n::::{margin} Title\n:class: x\nB\n::::"


@pytest.mark.parametrize(("options", "status"), [((), 0), (("--strict",), 1)])
def test_a_chapter_over_its_time_fails_only_where_asked(monkeypatch, capsys, options, status):
    monkeypatch.setattr(execute, "slugs", lambda _: ["slow"])
    monkeypatch.setattr(execute, "execute", lambda *_: execute.SECONDS_PER_CHAPTER + 1)
    monkeypatch.setattr("sys.argv", ["execute.py", "slow", *options])
    assert execute.main() == status
    assert "over the budget of 30 s: slow" in capsys.readouterr().err


def test_make_hands_a_slug_over_whole():
    command = ["make", "-n", "-o", ".venv/.all", "new", "CHAPTER=two words"]
    said = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=True).stdout
    assert '"two words"' in said, said


@pytest.mark.parametrize("slug", ["", "Upper", "two words", "-x", "a_b", "../x"])
def test_bad_slugs_are_refused(slug, tmp_path):
    with pytest.raises(ValueError, match="lower-case words joined by hyphens"):
        new_chapter.new_chapter(slug, tmp_path)


def test_a_chapter_is_never_overwritten(built):
    with pytest.raises(ValueError, match="exists already"):
        new_chapter.new_chapter(*built)


TOC = """\
# a comment
root: book/index
parts:
- caption: II · Two
  numbered: true
  chapters:
  - file: chapters/b
- caption: Reference
  chapters:
  - file: book/claims
"""
PLAN = [
    {"numeral": "I", "name": "One", "chapters": [{"slug": "a"}]},
    {"numeral": "II", "name": "Two", "chapters": [{"slug": "x"}, {"slug": "b"}, {"slug": "c"}]},
    {"numeral": "III", "name": "Three", "chapters": [{"slug": "d"}]},
]


def test_new_chapters_take_their_place_in_the_plan():
    toc = TOC
    for slug in ("d", "c", "draft", "a", "x", "late"):
        toc = new_chapter.listed(toc, slug, PLAN)
    parts = {part["caption"]: [entry["file"] for entry in part["chapters"]] for part in yaml.safe_load(toc)["parts"]}
    assert parts == {
        "I · One": ["chapters/a"],
        "II · Two": ["chapters/x", "chapters/b", "chapters/c"],
        "III · Three": ["chapters/d"],
        "Drafts": ["chapters/draft", "chapters/late"],
        "Reference": ["book/claims"],
    }
    assert toc.startswith("# a comment\n")
    numbered = {part["caption"]: part.get("numbered") for part in yaml.safe_load(toc)["parts"]}
    assert numbered["I · One"] is numbered["III · Three"] is True and numbered["Drafts"] is False


def run_source(tmp_path, code):
    (tmp_path / "requirements.lock").write_text("")
    source = "---\njupytext: {text_representation: {extension: .md, format_name: myst}}\n"
    source += "kernelspec: {name: python3, display_name: Python 3, language: python}\n---\n# T\n\n"
    (tmp_path / "t.md").write_text(source + f"```{{code-cell}} python\n{code}\n```\n")
    execute.execute("t", tmp_path, tmp_path)
    return json.loads((tmp_path / "t.ipynb").read_text())


def test_chapters_run_without_the_network(tmp_path):
    code = "import urllib.request\nurllib.request.urlopen('http://192.0.2.1/')"
    with pytest.raises(Exception, match="chapters run without the network"):
        run_source(tmp_path, code)


def test_addresses_and_widget_views_are_not_stored(tmp_path):
    notebook = run_source(tmp_path, "import ipywidgets\ndisplay(ipywidgets.IntSlider())\nprint(object())")
    text = json.dumps(notebook)
    assert "0xADDRESS" in text
    assert "widget-view" not in text


def test_base64_with_an_address_in_it_is_kept():
    """By chance the letters 0x and six hexadecimal digits come up in a picture."""
    address = execute.ADDRESS
    assert address.sub("", "<object at 0x7f3a9c2b10>, <b>0x7F3A9C</b>") == "<object at >, <b></b>"
    for picture in ("iVBORw0xdeadbeefAAB=", "0xdeadbeefK5CYII=", "iVBORw+0xdeadbeef", "iV/0xdeadbeef/BO"):
        assert address.sub("", f'src="data:image/png;base64,{picture}"') == f'src="data:image/png;base64,{picture}"'


def first(notebook, wanted):
    return next(cell for _, cell in lint.code_cells(notebook) if wanted(cell))


def claim_cell(notebook):
    return first(notebook, lambda cell: "claim(\n" in lint.text_of(cell))


def figure_cell(notebook):
    """The first with a picture that is not an explorer's still."""
    return first(notebook, lambda cell: any("image/png" in out.get("data", {}) and "implicitly" not in out["metadata"]
                                            for out in cell["outputs"]))  # fmt: skip


def plain_cell(notebook):
    return first(notebook, lambda cell: "\nworst =" in lint.text_of(cell))


def no_setup(notebook):
    lint.code_cells(notebook)[0][1]["source"] = "import sys"


def shown_setup(notebook):
    lint.code_cells(notebook)[0][1]["metadata"]["tags"] = ["setup"]


def long_cell(notebook):
    plain_cell(notebook)["source"] = "x = 1\n" * 16


def long_cell_without_reason(notebook):
    plain_cell(notebook).update(source="x = 1\n" * 16, metadata={"tags": ["long-cell"]})


def wide_cell(notebook):
    plain_cell(notebook)["source"] = "x = " + "1 + " * 20 + "1"


def silenced(notebook):
    plain_cell(notebook)["source"] = "x;"


def crowded_claim(notebook):
    claim_cell(notebook)["source"] = "x = 1\n" + lint.text_of(claim_cell(notebook))


def no_alt(notebook):
    figure_cell(notebook)["metadata"]["mystnb"]["image"]["alt"] = " "


def no_caption(notebook):
    del figure_cell(notebook)["metadata"]["mystnb"]["figure"]


def stderr(notebook):
    plain_cell(notebook)["outputs"] = [{"output_type": "stream", "name": "stderr", "text": "careful"}]


def too_much_output(notebook):
    plain_cell(notebook)["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 1_000_001}]


def picture_without_alt(notebook):
    notebook["cells"].append({"cell_type": "markdown", "metadata": {}, "source": "![](x.png)"})


def no_check(notebook):
    claim_cell(notebook)["outputs"] = []


def no_box(notebook):
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = lint.text_of(cell).replace(":label: a-start/C1", ":label: other")


def foreign_claim(notebook):
    claim_cell(notebook)["outputs"][0]["metadata"]["implicitly"]["claim"]["id"] = "else/C1"


def twice(notebook):
    claim_cell(notebook)["outputs"] *= 2


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (no_setup, "word for word"),
        (shown_setup, "needs the tag remove-cell"),
        (long_cell, "16 non-blank lines, allowed 15"),
        (long_cell_without_reason, "needs a comment '# long:"),
        (wide_cell, "characters, allowed 73"),
        (silenced, "ends in ';'"),
        (crowded_claim, "a claim stands alone"),
        (no_alt, "without alt text"),
        (no_caption, "without a caption"),
        (stderr, "stderr"),
        (too_much_output, "allowed 1000000"),
        (picture_without_alt, "a picture without alt text"),
        (no_check, "a-start/C1: a claim without a check"),
        (no_box, "a-start/C1: a check without a claim box"),
        (foreign_claim, "else/C1: not an id of this chapter"),
        (twice, "two checks with one name"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_each_lint_can_fail(notebook, fault, problem):
    broken = copy.deepcopy(notebook)
    fault(broken)
    assert any(problem in found for found in lint.lint("a-start", broken)), lint.lint("a-start", broken)


def test_a_claim_is_shown_once(notebook):
    assert len(claim_cell(notebook)["outputs"]) == 1


def test_a_stream_is_stored_in_one_piece(tmp_path):
    notebook = run_source(tmp_path, "import time\nfor i in range(3):\n    print(i, flush=True)\n    time.sleep(0.4)")
    (cell,) = [cell for _, cell in lint.code_cells(notebook)]
    assert [lint.text_of({"source": output["text"]}) for output in cell["outputs"]] == ["0\n1\n2\n"]
