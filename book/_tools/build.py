"""Build the book from the stored outputs: what `make book` does.

    python book/_tools/build.py

Needs what `requirements-book.lock` holds, neither torch nor the library.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

import yaml

from execute import Edited, read_notebook, why_stale
from paths import ROOT

BUILDER = Path(sys.executable).with_name("jupyter-book")
OPTIONS = ["build", ".", "-W", "-n", "--keep-going", "--quiet"]


def listed(root: Path) -> list[str]:
    """Slugs of the chapters in `_toc.yml`, in its order."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    files = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    return [name.removeprefix("chapters/") for name in files if name.startswith("chapters/")]


def missing(root: Path = ROOT) -> list[str]:
    """Why there can be no page for some chapter of `_toc.yml`: a sentence each, with what to do."""
    found = []
    for slug in listed(root):
        run = f"run `make execute CHAPTER={slug}`"
        try:
            notebook = read_notebook(root / f"chapters/{slug}.ipynb")
        except Edited as reason:
            found.append(f"chapters/{slug}.ipynb: {reason}; restore it, or move it away and {run}")
            continue
        if notebook is not None:
            continue
        if (root / f"chapters/{slug}.md").exists():
            found.append(f"chapters/{slug}.md has no notebook yet, and the page is made from the notebook: {run}")
        else:
            found.append(f"_toc.yml lists chapters/{slug}, and there is no chapters/{slug}.md")
    return found


def stale(root: Path = ROOT) -> list[str]:
    """Which pages do not show what their sources say now: a sentence each."""
    reasons = {slug: why_stale(slug, root / "chapters", root) for slug in listed(root)}
    return [f"chapters/{slug}.ipynb: {reason}" for slug, reason in reasons.items() if reason]


def plain(log: str) -> str:
    """What Sphinx says about the book after a failed build: without colours, and without its own traceback."""
    log = re.sub(r"\x1b\[[\d;]*m", "", log)
    return log.split("Traceback (most recent call last)")[0].strip() or log


def main(root: Path = ROOT) -> int:
    if problems := missing(root):
        print("\n".join(problems), file=sys.stderr)
        return 1
    print("building the book: under a minute, and only what has changed the next time", flush=True)
    start = time.monotonic()
    done = subprocess.run([BUILDER, *OPTIONS], cwd=root, capture_output=True, text=True)
    if done.returncode:
        print(plain(done.stderr or done.stdout), file=sys.stderr)
        return 1
    print(f"{root}/_build/html/index.html, built in {time.monotonic() - start:.0f} s")
    if old := stale(root):
        print("Not up to date, until `make execute` has run these chapters:", *old, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
