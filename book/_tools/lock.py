"""Write the locks: what `make lock` does.

- `requirements.lock`: everything the tests need, every version pinned, with hashes for all but torch
  (its CPU and CUDA builds share a version and differ in their files).
- `requirements-book.lock`: the part of it that builds the book; neither torch nor the library is in it.
- `environment.yml`: the same packages for conda users.

Versions already in `requirements.lock` are kept while they satisfy `pyproject.toml`; `--upgrade` takes the newest.
"""

import re
import subprocess
import sys
import tomllib

from paths import ROOT

LOCK, BOOK_LOCK, CONDA = ROOT / "requirements.lock", ROOT / "requirements-book.lock", ROOT / "environment.yml"
PYTHON = "3.11"
HEADER = "# Made by `make lock`. Do not edit.\n"
PIN = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[^ ;\\\n]+)(?: ; (?P<marker>[^\\]+?))? ?\\?$", re.M)


def compile_lock(arguments, output, stdin=None):
    """One uv resolution for every platform, Python 3.11 or newer."""
    command = [sys.executable, "-m", "uv", "pip", "compile", *arguments, "--universal", "--python-version", PYTHON,
               "--generate-hashes", "--no-annotate", "--no-header", "--quiet", "-o", str(output)]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True, text=True, input=stdin, stdout=subprocess.DEVNULL)
    text = output.read_text(encoding="utf-8").removeprefix(HEADER)
    text = re.sub(r"^(torch==[0-9.]+)\S*( ;[^\\\n]*)? \\\n(?:    --hash=\S+(?: \\)?\n)+", r"\1\2\n", text, flags=re.M)
    output.write_text(HEADER + text, encoding="utf-8")


def pins(text: str) -> list[tuple[str, str, str]]:
    """(name, version, marker) of each package of a lock; the marker is empty where there is none."""
    return [(m["name"], m["version"], (m["marker"] or "").strip()) for m in PIN.finditer(text)]


def conda_environment(text: str) -> str:
    """`environment.yml` for a lock: python and pip from conda, every package by pip at the locked version."""
    lines = [f"{name}=={version}" + (f" ; {marker}" if marker else "") for name, version, marker in pins(text)]
    packages = "".join(f"      - {line!r}\n" if ";" in line else f"      - {line}\n" for line in lines)
    return (
        f"{HEADER}# conda env create -f environment.yml && conda activate implicitly && pip install --no-deps -e .\n"
        "name: implicitly\nchannels:\n  - conda-forge\n"
        f"dependencies:\n  - python={PYTHON}\n  - pip\n  - pip:\n{packages}"
    )


def main() -> None:
    upgrade = ["--upgrade"] if "--upgrade" in sys.argv[1:] else []
    compile_lock(["pyproject.toml", "--extra", "test", *upgrade], LOCK)
    book = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["book"]
    BOOK_LOCK.unlink(missing_ok=True)
    constraints = ROOT / "_build/constraints.txt"  # plain pins: uv takes no hashes in constraints
    constraints.parent.mkdir(exist_ok=True)
    locked = LOCK.read_text(encoding="utf-8")
    constraints.write_text("".join(f"{n}=={v}" + (f" ; {m}" if m else "") + "\n" for n, v, m in pins(locked)))
    compile_lock(["-", "-c", str(constraints)], BOOK_LOCK, stdin="\n".join(book))
    CONDA.write_text(conda_environment(locked), encoding="utf-8")
    print(f"{len(pins(locked))} packages, {len(pins(BOOK_LOCK.read_text()))} of them for the book alone")


if __name__ == "__main__":
    main()
