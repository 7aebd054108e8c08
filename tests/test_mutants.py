"""book/_tools/mutants.py: it calls a line that a test notices killed, and finds the one that none does."""

import json
import subprocess
import sys

import pytest
import yaml

import mutants
from mutants import CYCLE, ROOT

SOURCE = """
def noticed(x: int | None, *, more=None):
    return x + 1


def unnoticed(x):
    return 3 * x


def same(x):
    return 5 if x > 0 else 0
"""
TESTS = """
from implicitly.toy.sums import noticed, same, unnoticed


def test_them():
    assert noticed(2) == 3
    unnoticed(2)
"""
CHANGED = [f"return 5 if x {sign} 0 else 0" for sign in ("<", "<=", ">=")]
CHANGED += ["return 5 if not x > 0 else 0"]
CHANGED += [f"return {a} if x > {b} else {c}" for a in (4, 5, 6) for b in (-1, 0, 1) for c in (-1, 0, 1)]
EQUIVALENT = [
    {"file": "lib/implicitly/toy/sums.py", "line": "return 5 if x > 0 else 0", "mutant": mutant, "why": "a test"}
    for mutant in CHANGED
]


@pytest.fixture
def project(tmp_path):
    for path, text in {
        "lib/implicitly/__init__.py": "",
        "lib/implicitly/toy/__init__.py": "",
        "lib/implicitly/toy/sums.py": SOURCE,
        "lib/implicitly/other.py": "def f():\n    return 1 + 1\n",
        "tests/lib/toy/test_sums.py": TESTS,
        "tests/equivalent_mutants.yml": yaml.safe_dump(EQUIVALENT),
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path


def run(project, only="toy/sums"):
    code = f"""
import pathlib, sys
sys.path.insert(0, {str(ROOT / "book/_tools")!r})
import mutants
mutants.PRELOAD = []
root = pathlib.Path({str(project)!r})
mutants.search(root, root / "out", 5, {only!r}, 0, False)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout, (project / "out/report.md").read_text()


def test_a_run_tells_noticed_lines_from_others(project):
    pytest.importorskip("cosmic_ray", reason="make mutants installs it")
    said, report = run(project)
    assert "| lib/implicitly/toy/sums.py | 2 | 1 | 0 | 1 |" in report
    assert "lib/implicitly/toy/sums.py:7` `return 3 * x` became" in report and "x + 1`" not in report
    assert "5 if" not in report and len(said.splitlines()) == 2
    assert (project / "lib/implicitly/toy/sums.py").read_text() == SOURCE
    again, same = run(project)  # what is known is not tried again
    assert again == "" and same == report
    _, report = run(project, "other")
    assert "its tests do not pass (or there are none): lib/implicitly/other.py" in report


def test_every_line_comes_first_once_in_a_cycle(project):
    pytest.importorskip("cosmic_ray", reason="make mutants installs it")
    first = [(path, line) for week in range(CYCLE) for share, path, line, *_ in mutants.due(project, "sums", week)
             if share == 0]  # fmt: skip
    assert sorted(first) == [("lib/implicitly/toy/sums.py", line) for line in (3, 7, 11)]


def test_every_module_has_tests():
    without = [path for path in mutants.modules(ROOT) if not mutants.tests_of(ROOT, path)]
    assert not without
    missing = [test for path in mutants.modules(ROOT) for test in mutants.tests_of(ROOT, path)
               if not (ROOT / test.partition("::")[0]).is_file()]  # fmt: skip
    assert not missing


def test_equivalent_mutants_are_lines_of_the_code():
    for one in yaml.safe_load((ROOT / "tests/equivalent_mutants.yml").read_text(encoding="utf-8")):
        assert set(one) == {"file", "line", "mutant", "why"}, json.dumps(one)
        lines = [line.strip() for line in (ROOT / one["file"]).read_text(encoding="utf-8").splitlines()]
        assert one["line"] in lines and one["mutant"] not in lines and one["why"], json.dumps(one)
