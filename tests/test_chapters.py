"""Every chapter in the repository is fresh and keeps the rules; so does the one that `make new` starts."""

import json
import os
import re
import subprocess
import sys

import nbformat
import pytest
import yaml
from template_chapter import git

import execute
import lint
import new_chapter
import paths

SLUGS = paths.slugs()


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


def test_a_stream_is_stored_in_one_piece(tmp_path):
    notebook = run_source(tmp_path, "import time\nfor i in range(3):\n    print(i, flush=True)\n    time.sleep(0.4)")
    (cell,) = [cell for _, cell in lint.code_cells(notebook)]
    assert [lint.text_of({"source": output["text"]}) for output in cell["outputs"]] == ["0\n1\n2\n"]
