"""Copy the chapters' notebooks to where a reader may change them: what `make lab` opens.

    python book/_tools/lab.py FOLDER

JupyterLab saves a notebook by itself, also halfway through a run, and the book is built from `chapters/*.ipynb`:
so readers work on copies.  A copy that nobody has edited follows the chapter; an edited one is left alone.
JupyterLab knows the directives and roles of MyST, and none of the book's own: copies have the numbers that the text
quotes from the run, and a box in the place of `{five-minutes}`.
"""

import json
import re
import sys
from pathlib import Path

from execute import Edited, read_notebook, sources
from paths import CHAPTERS, ROOT, slugs

sys.path.append(str(ROOT / "book/_ext"))
from glued_numbers import fill, values

FIVE_MINUTES = re.compile(r"^(:{3,})\{five-minutes\}", re.M)


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
        copy.write_text(readers_copy(theirs, original.read_text(encoding="utf-8")), encoding="utf-8")
    return kept


def readers_copy(notebook, text: str) -> str:
    """A chapter's notebook, which is stored as `text`, as JupyterLab can show it; `text` itself if it can as it is."""
    numbers, before = values(notebook), sources(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = FIVE_MINUTES.sub(r"\1{admonition} In five minutes", fill(cell.source, numbers))
    if (held := sources(notebook)) == before:
        return text
    notebook.metadata["implicitly"]["sources"] = held  # or the copy would count as edited
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


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
