"""Tests that share their work run in one worker."""

import re
import subprocess
import sys

import pytest
from workers import group_of

from paths import ROOT


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/lib/test_main.py::test_a[x.html]", "tests/lib/test_main.py"),
        ("tests/chapters/test_score_flow_claims.py::test_check[C1 a]", "score-flow"),
        ("tests/chapters/test_score_flow_exercises.py::test_solution[a]", "score-flow"),
        ("tests/chapters/test_explorers_between.py::test_an_explorer_answers[score-flow]", "score-flow"),
        ("tests/test_chapters.py::test_a", "tests/test_chapters.py"),
        ("tests/test_chapters_edited.py::test_b[a]", "tests/test_chapters.py"),
        ("tests/browser/test_every_page.py::test_a[chapters/score-flow.html]", "chapters/score-flow.html"),
        ("tests/browser/test_a.py::test_b[file-book/map.html-1440]", "book/map.html"),
        ("tests/browser/test_every_page.py::test_a[search.html]", "search.html"),
        ("tests/browser/test_jupyterlab.py::test_a_chapter_runs[score-flow]", "tests/browser/test_jupyterlab.py"),
    ],
)
def test_who_runs_with_whom(nodeid, group):
    assert group_of(nodeid) == group


def test_a_file_is_run_by_one_worker():
    """The plugin that hands out the tests takes our groups: else each worker makes what a file's tests share."""
    files = ["tests/book/test_five_minutes.py", "tests/book/test_check_lines.py"]
    run = [sys.executable, "-m", "pytest", "-v", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider", *files]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=300)
    ran = re.findall(r"^\[(gw\d)\].* (tests/\S+?)::", done.stdout, re.M)
    assert done.returncode == 0 and {file for _, file in ran} == {*files}, done.stdout
    assert len(ran) > len(set(ran)) == 2, "more tests than pairs of a worker and a file"
