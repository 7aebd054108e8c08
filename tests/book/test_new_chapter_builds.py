"""`make new` starts a chapter that the book builds with, warnings as errors; `make book` says what is wrong."""

import hashlib
import json
import os
import re
import shutil
import subprocess

import pytest

import build
import execute
import new_chapter
import paths

NEEDED = ("_config.yml", "_toc.yml", "book", "chapters", "lib/implicitly", "lib/explorer-js/bench/pages.md", "kernels")
PAGE = "chapters/my-chapter"


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """What a book is built from, with a chapter just started: not run, not built."""
    root = tmp_path_factory.mktemp("book")
    for name in NEEDED:
        source, target = paths.ROOT / name, root / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    (root / "requirements.lock").write_text("")
    new_chapter.new_chapter("my-chapter", root)
    return root


@pytest.fixture(scope="module")
def unrun(started):
    """The sentences about chapters that have no page, before the new chapter was run."""
    return build.missing(started)


@pytest.fixture(scope="module")
def root(started, unrun):
    """The same, run, committed and built."""
    execute.execute("my-chapter", started / "chapters", started)
    author = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    environment = {**os.environ, "GIT_COMMITTER_DATE": "2001-02-03T00:00:00"}
    for command in (["init", "-q"], ["add", "_toc.yml", "book"], ["commit", "-qm", "x"]):
        subprocess.run(["git", *author, *command], cwd=started, check=True, env=environment)
    assert build.main(started) == 0
    return started


def files(root):
    """Every file of the built book with a hash of its bytes."""
    html = root / "_build/html"
    found = (path for path in html.rglob("*") if path.is_file())
    return {str(path.relative_to(html)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def text_of(root, page):
    return (root / f"_build/html/{page}.html").read_text()


def test_a_new_chapter_builds_without_a_warning(root):
    page = text_of(root, PAGE)
    assert 'id="my-chapter/C1"' in page and 'href="#check-my-chapter-C1"' in page
    entries = dict(re.findall(r'href="../chapters/([\w-]+).html">\s*([^<]+)<', text_of(root, "book/glossary")))
    # The next number is that of a chapter in the plan.
    assert re.match(r"\d", entries["score-flow"]) and not re.match(r"\d", entries["my-chapter"]), entries
    claims = text_of(root, "book/claims")
    assert "chapters/my-chapter.html#my-chapter/C1" in claims.replace("../", "")


def test_a_chapter_that_was_never_run_is_named(unrun):
    assert unrun == [
        "chapters/my-chapter.md has no notebook yet, and the page is made from the notebook: "
        "run `make execute CHAPTER=my-chapter`"
    ]


def test_a_page_shows_the_day_of_its_sources_commit(root):
    assert "Last updated on Feb 03, 2001." in text_of(root, "book/glossary")
    assert "Last updated" not in text_of(root, PAGE), "git does not know this page"


def test_a_second_build_changes_nothing(root):
    before = files(root)
    assert build.main(root) == 0
    after = files(root)
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == []


def test_pages_follow_what_makes_them(root):
    script = root / "lib/implicitly/explorer/explorer.js"
    link = re.compile(r"explorer\.js\?v=\w+")
    before = link.search(text_of(root, "chapters/score-flow"))[0]
    script.write_text(script.read_text() + "//\n")
    assert build.main(root) == 0
    assert link.search(text_of(root, "chapters/score-flow"))[0] != before


def test_a_chapter_that_is_stale_is_named(root, capsys):
    source = root / f"{PAGE}.md"
    before = source.read_text()
    assert not [line for line in build.stale(root) if "my-chapter" in line]
    try:
        source.write_text(before.replace("Say what small scale", "Show what small scale"))
        assert f"{PAGE}.ipynb: its text is not that of {PAGE}.md" in build.stale(root)
        source.write_text(before.replace("averages, one square root", "averages"))
        assert f"{PAGE}.ipynb: its outputs were made with another library" in "\n".join(build.stale(root))
    finally:
        source.write_text(before)
    notebook = root / f"{PAGE}.ipynb"
    stored = notebook.read_text()
    try:
        notebook.write_text(stored.replace("The squared mean of n uniform", "The average of n uniform"))
        assert f"{PAGE}.ipynb: it was changed after its run" in build.stale(root)
    finally:
        notebook.write_text(stored)


def test_what_is_stale_is_said_after_the_build(root, capsys, monkeypatch):
    monkeypatch.setattr(build, "BUILDER", "true")
    monkeypatch.setattr(build, "stale", lambda root: ["chapters/x.ipynb: its text is not that of chapters/x.md"])
    assert build.main(root) == 0
    said = capsys.readouterr().out.splitlines()
    assert "built in" in said[-3] and "make execute" in said[-2] and "chapters/x.ipynb" in said[-1]


def test_a_wrong_paper_is_one_sentence(root, capsys):
    """As is every error that an extension of ours raises."""
    path = root / f"{PAGE}.ipynb"
    before = path.read_text()
    notebook = json.loads(before)
    notebook["metadata"]["implicitly"]["paper"] = "nosuch2025"
    try:
        path.write_text(json.dumps(notebook))
        assert build.main(root) == 1
    finally:
        path.write_text(before)
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) <= 2 and "my-chapter.ipynb: implicitly.paper is 'nosuch2025'" in said[-1], said


def test_what_is_no_notebook_is_named(root):
    path = root / f"{PAGE}.ipynb"
    before = path.read_text()
    try:
        path.write_text("<<<<<<< mine")
        assert [f"{PAGE}.ipynb: it cannot be read as a notebook" in line for line in build.missing(root)] == [True]
    finally:
        path.write_text(before)
