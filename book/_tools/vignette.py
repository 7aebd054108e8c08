"""Draw the miniature beside a chapter's title: what `implicitly.figures.<slug>.miniature` gives.

    python book/_tools/vignette.py [SLUG ...]

Each is computed by the library. No axes, no text: the caption of the chapter's own figure says what is seen.
"""

import sys
from importlib import import_module
from pkgutil import iter_modules

from implicitly import figures
from paths import ROOT

FOLDER = ROOT / "book/_static/vignettes"


def slugs() -> list[str]:
    """Of the chapters that have drawings."""
    return [module.name.replace("_", "-") for module in iter_modules(figures.__path__) if module.name[0] != "_"]


def main(arguments: list[str]) -> int:
    for slug in arguments or slugs():
        drawing = import_module(f"implicitly.figures.{slug.replace('-', '_')}").miniature()
        (FOLDER / f"{slug}.svg").write_text(drawing, encoding="utf-8")
        print(f"{slug}.svg  {len(drawing):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
