"""Start a chapter from the template: `make new CHAPTER=slug`."""

import re
import sys
from pathlib import Path

from paths import ROOT

HERE = Path(__file__).parent
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def new_chapter(slug: str, root: Path = ROOT) -> Path:
    """Write `chapters/<slug>.md`, refuse to overwrite, and return its path.

    Raises:
        ValueError: the slug is not lower-case words joined by hyphens, or is taken.
    """
    if not SLUG.fullmatch(slug):
        raise ValueError(f"a slug is lower-case words joined by hyphens, for example 'score-flow'; found {slug!r}")
    path = root / "chapters" / f"{slug}.md"
    if path.exists():
        raise ValueError(f"chapters/{slug}.md exists already")
    text = (HERE / "template/chapter.md").read_text(encoding="utf-8")
    setup = (HERE / "setup_cell.py").read_text(encoding="utf-8").strip()
    path.write_text(text.replace("SETUP\n", setup + "\n").replace("SLUG", slug), encoding="utf-8")
    return path


if __name__ == "__main__":
    try:
        new_chapter(sys.argv[1] if len(sys.argv) > 1 else "")
    except ValueError as error:
        sys.exit(f"make new CHAPTER=slug: {error}")
    slug = sys.argv[1]
    print(
        f"chapters/{slug}.md is there. Next:\n"
        f"  1. list chapters/{slug} in _toc.yml under its part\n"
        f"  2. write; `make execute CHAPTER={slug}` runs it, `make lint` checks it\n"
        "  3. `make book` and read it"
    )
