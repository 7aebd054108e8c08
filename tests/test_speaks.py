"""What takes long says so before it begins: nobody looks at an empty terminal for a minute."""

import subprocess
from itertools import pairwise

import pytest

import build
from paths import ROOT


@pytest.mark.parametrize("target", ["book", "lab"])
def test_make_speaks_before_it_installs(target):
    stale = ["-W", "requirements-book.lock", "-W", "requirements.lock"]
    said = subprocess.run(["make", "-n", *stale, target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    steps = [line for line in said.splitlines() if line.startswith(("echo ", ".venv/bin/python -m pip install"))]
    assert steps[0].startswith('echo "installing ')
    loud = [before for before, after in pairwise(steps) if "--require-hashes" in after]
    assert len(loud) == (2 if target == "lab" else 1) and all(step.startswith("echo ") for step in loud)


def test_make_book_speaks_before_it_builds(monkeypatch, capsys):
    said = []
    monkeypatch.setattr(build, "missing", lambda root: [])
    monkeypatch.setattr(build, "stale", lambda root: [])

    def builder(command, **options):
        said.append(capsys.readouterr().out)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(build.subprocess, "run", builder)
    assert build.main() == 0 and said[0].startswith("building the book")
