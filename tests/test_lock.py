"""What is installed: one lock, exact and hashed, closed, that pip and conda can install."""

import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from itertools import chain
from pathlib import Path

import pytest
import yaml
from committed_files import ROOT, project
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def entries(lines: str) -> list[str]:
    """The requirements in a list that pip reads, without hashes, comments and options."""
    stripped = (re.split(r"(?:^|\s)#|\s--hash", line.strip())[0].strip() for line in lines.splitlines())
    return [line for line in stripped if line and not line.startswith("-")]


def lock(name: str = "requirements.lock") -> list[Requirement]:
    return [Requirement(line) for line in entries((ROOT / name).read_text().replace("\\\n", " "))]


def applying(requirements: list[Requirement]) -> dict[str, Requirement]:
    """Package to pin, for the pins that apply on this machine."""
    here = [r for r in requirements if r.marker is None or r.marker.evaluate()]
    names = [canonicalize_name(r.name) for r in here]
    assert len(names) == len(set(names)), "a package is pinned twice"
    return dict(zip(names, here, strict=True))


def accepts(need: Requirement, pin: Requirement | None) -> bool:
    return pin is not None and need.specifier.contains(str(pin.specifier).removeprefix("=="), prereleases=True)


def environment() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def pip_part() -> list[str]:
    parts = [entry["pip"] for entry in environment()["dependencies"] if isinstance(entry, dict)]
    assert len(parts) == 1, f"environment.yml should have one pip part, it has {len(parts)}"
    return parts[0]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-book.lock"])
def test_every_pin_is_exact_and_hashed(name):
    text = (ROOT / name).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        for entry in entries(line):
            pin = Requirement(entry)
            assert [s.operator for s in pin.specifier] == ["=="] and not pin.url, f"not pinned: {entry}"
            assert "+" not in str(pin.specifier), f"names one build: {entry}"
            # torch's CPU and CUDA builds share a version and differ in their hashes.
            assert ("--hash=sha256:" in line) != (pin.name == "torch"), f"hashes: {entry}"


def test_the_book_is_built_with_versions_of_the_one_lock():
    book, everything = lock("requirements-book.lock"), lock()
    # Markers may differ: what only the tests pull in can widen where a package is wanted.
    assert {f"{r.name}{r.specifier}" for r in book} < {f"{r.name}{r.specifier}" for r in everything}
    assert not {"torch", "numpy", "matplotlib", "implicitly"} & {r.name for r in book}


def test_conda_installs_what_the_lock_holds():
    assert {str(Requirement(e)) for e in pip_part()} == {str(r) for r in lock()}
    # conda itself brings no more than the interpreter and pip: one list of versions, not two.
    conda = {re.split(r"[=<>! ]", e)[0] for e in environment()["dependencies"] if isinstance(e, str)}
    assert conda == {"python", "pip"}


def test_the_pip_part_is_installable(tmp_path):
    """pip takes the list as conda would hand it over, and every pin is what is installed here.

    pip looks only at what is installed, so the check costs no download; that the pins can be
    fetched, with their hashes, was shown when this environment was made from them.
    """
    handed = tmp_path / "conda.requirements.txt"
    handed.write_text("\n".join(pip_part()) + "\n")
    command = [
        sys.executable,
        "-m",
        "pip",
        "--isolated",
        "install",
        "--dry-run",
        "--no-deps",
        "--no-index",
    ]
    done = subprocess.run([*command, "-r", str(handed)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Would install" not in done.stdout, done.stdout[-3000:]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-book.lock"])
def test_the_lock_is_closed(name):
    """Whatever a pinned package needs is pinned too, at a version that it accepts; but for torch's CUDA packages."""
    pinned = applying(lock(name))
    left_out = set(project()["tool"]["uv"]["exclude-dependencies"])
    missing = []
    for package, pin in pinned.items():
        for need in map(Requirement, distribution(package).requires or []):
            if package == "torch" and need.name in left_out:
                continue
            if need.marker and not any(need.marker.evaluate({"extra": e}) for e in pin.extras or {""}):
                continue
            got = pinned.get(canonicalize_name(need.name))
            if not accepts(need, got):
                missing.append(f"{package} needs {need}, the lock has {got}")
    assert not missing, "\n".join(missing)


def test_no_cuda_package_is_in_the_lock():
    """A reader without a GPU would get gigabytes; a new one belongs into pyproject's exclude-dependencies."""
    assert not [r.name for r in lock() if r.name.startswith(("nvidia", "cuda"))]


def contradiction(requirements: list[str], folder: Path) -> str:
    """What is wrong with a list of requirements on any platform, from what the packages themselves say they need.

    Empty where nothing is.  Fails where no package index answers, so that it is never green without a look; who works
    offline says so to uv, whose variable this is.
    """
    if os.environ.get("UV_OFFLINE", "0").lower() not in ("", "0", "false", "no", "off"):
        pytest.skip("UV_OFFLINE is set: no package index is asked")
    asked = folder / "asked.txt"
    asked.write_text("\n".join(requirements) + "\n")
    command = [sys.executable, "-m", "uv", "pip", "compile", "--no-config", "--universal", "--python-version=3.11"]
    said = ""
    for _ in range(3):  # an index may be busy
        try:
            done = subprocess.run([*command, asked], cwd=folder, capture_output=True, text=True, timeout=180)
        except subprocess.TimeoutExpired:
            said = "it did not answer in three minutes"
            continue
        if not done.returncode:
            return ""
        if "No solution found" in done.stderr:
            return done.stderr
        said = done.stderr.strip()[-300:]
    pytest.fail(f"the package index could not be read (offline, set UV_OFFLINE=1): {said}")


@pytest.mark.parametrize("name", ["requirements.lock", "environment.yml"])
def test_pip_can_install_the_lock_with_what_torch_needs(name, tmp_path):
    """No pin contradicts another package's needs, those of torch's CUDA build included, which is not installed here."""
    found = contradiction(pip_part() if name == "environment.yml" else [str(r) for r in lock()], tmp_path)
    assert not found, found


def test_a_pin_that_torch_refuses_is_seen(tmp_path):
    assert "triton" in contradiction(["torch==2.13.0", "triton==3.9.0 ; sys_platform == 'linux'"], tmp_path)


def test_each_python_that_is_declared_is_tried_every_week():
    declared = project()["project"]
    versions = [name.rsplit(" ", 1)[1] for name in declared["classifiers"] if ":: Python :: 3." in name]
    jobs = yaml.safe_load((ROOT / ".github/workflows/weekly.yml").read_text())["jobs"]
    assert sorted(versions) == sorted(jobs["pythons"]["strategy"]["matrix"]["python"])
    first, last = (tuple(map(int, v.split("."))) for v in (versions[0], versions[-1]))
    assert declared["requires-python"] == f">=3.{first[1]},<3.{last[1] + 1}"
    assert f"{first} <= v <= {last}" in (ROOT / "Makefile").read_text()


def test_the_lock_covers_the_project():
    declared = project()["project"]
    pinned = applying(lock())
    # The peers of the benchmarks are run by who measures; second opinions and mutants, which come with a make of their
    # own, are no part of `make test`.
    apart = ("bench", "peers", "mutants")
    extras = [asked for extra, asked in declared["optional-dependencies"].items() if extra not in apart]
    asked = declared["dependencies"] + [*chain(*extras)]
    needs = [Requirement(line) for line in asked]
    wrong = [
        f"pyproject asks for {need}, the lock has {pinned.get(canonicalize_name(need.name))}"
        for need in needs
        if need.name != declared["name"]
        and (need.marker is None or need.marker.evaluate())
        and not accepts(need, pinned.get(canonicalize_name(need.name)))
    ]
    assert not wrong, "\n".join(wrong)
