"""Tests that share their work run in one worker, and on one machine where a lane is split over several."""

import re
import subprocess
import sys

import pytest
import yaml
from workers import group_of, in_shard, shard

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


PAGES = [f"tests/browser/test_every_page.py::test_{test}[chapters/{page}.html]" for page in "abcde" for test in "xy"]


@pytest.mark.parametrize("of", [1, 2, 3])
def test_shards_are_disjoint_and_together_everything(of):
    kept = [in_shard(PAGES, which, of) for which in range(1, of + 1)]
    assert all(sum(one) == 1 for one in zip(*kept, strict=True))
    for mine in kept:
        groups = {group_of(test) for test, here in zip(PAGES, mine, strict=True) if here}
        assert sum(mine) == 2 * len(groups), "a group is split"
        assert 5 // of <= len(groups) <= -(-5 // of)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(ValueError, match=r"a shard is .*found"):
        shard(text)


def collected(*options):
    files = ["tests/test_reach.py", "tests/test_lab.py"]
    run = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *options, *files]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    return [line for line in done.stdout.split("\n") if "::" in line]


def test_pytest_runs_the_shard_that_is_asked_for():
    every, first, second = collected(), collected("--shard", "1/2"), collected("--shard", "2/2")
    assert first and second and sorted(first + second) == sorted(every)


LANES = re.search(r"^test: ([\w -]+?) ##", (ROOT / "Makefile").read_text(), re.M)[1].split()


def test_ci_runs_every_lane_and_every_shard():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    parts = {lane: [one["shard"] for one in matrix["include"] if one["lane"] == lane] for lane in LANES}
    assert sorted(matrix["lane"] + [lane for lane, shards in parts.items() if shards]) == sorted(LANES)
    for shards in filter(None, parts.values()):
        assert shards == [f"{k}/{len(shards)}" for k in range(1, len(shards) + 1)]
