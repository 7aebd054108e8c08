"""What the tests of the repository share: the files that git holds or would hold, `pyproject.toml`."""

import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def committed() -> list[Path]:
    """Every file that git holds or would hold, so that a fault shows before it is committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.fail(f"these tests read the list of files from git, and it did not answer: {error}")
    return [ROOT / name for name in sorted(listed.split("\0")) if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    """The file's text, or None for a binary one."""
    data = path.read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())
