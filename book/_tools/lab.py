"""Copy the chapters' notebooks to where a reader may change them: what `make lab` opens.

    python book/_tools/lab.py FOLDER

JupyterLab saves a notebook by itself, also halfway through a run, and the book is built from `chapters/*.ipynb`:
so readers work on copies.  A copy that nobody has edited follows the chapter; an edited one is left alone.
"""

import shutil
import sys
from pathlib import Path

from execute import Edited, read_notebook, sources
from paths import CHAPTERS, slugs


def refresh(folder: Path, chapters: Path = CHAPTERS) -> list[str]:
    """Bring every chapter's notebook into `folder`; returns the names of copies that were left because of edits.

    A copy whose chapter is still the one it was made from is not touched, so outputs of the reader's own stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = []
    for slug in slugs(chapters):
        original, copy = chapters / f"{slug}.ipynb", folder / f"{slug}.ipynb"
        if (theirs := readable(original)) is None:
            continue
        try:
            mine = read_notebook(copy)
        except Edited:
            kept.append(copy.name)
            continue
        if mine is not None:
            made_from = mine.metadata.get("implicitly", {})
            if made_from.get("content") == theirs.metadata.get("implicitly", {}).get("content"):
                continue
            if sources(mine) != made_from.get("sources"):
                kept.append(copy.name)
                continue
        shutil.copyfile(original, copy)
    return kept


def readable(path: Path):
    """The notebook at `path`, or None where there is none to read: a chapter that was never run, or a broken file."""
    try:
        return read_notebook(path)
    except Edited:
        return None


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0])
    kept = refresh(folder)
    print(f"The chapters' notebooks are copied to {folder}/: change them as you like, the book does not.")
    for name in kept:
        print(f"  {folder}/{name} has edits of yours and stays; the book has a newer one: rename yours to get it.")


if __name__ == "__main__":
    main(sys.argv[1:])
