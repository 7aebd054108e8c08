"""Write the README's list of chapters: from `book/plan.yml` and the chapters' own titles and questions.

    python book/_tools/readme_chapters.py

`make execute` does it when it has run a chapter; a test holds the README to it.
"""

import re
import sys
from pathlib import Path

import yaml

from paths import ROOT

sys.path.append(str(ROOT / "book/_ext"))
from book_model import Book

BEGIN, END = "<!-- chapters: by book/_tools/readme_chapters.py -->\n", "<!-- /chapters -->"


def table(root: Path = ROOT) -> str:
    """One line a chapter of the plan that `_toc.yml` lists: number, title with a link to its page, question."""
    book = Book(root)
    site = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["html"]["baseurl"]
    listed = {chapter.docname for chapter in book.listed}
    lines = ["| | chapter | asks |", "|--:|---|---|"]
    for planned in book.planned.values():
        if planned.docname in listed:
            chapter = book.chapter(planned.docname)
            link = f"[{chapter.title}]({site}{planned.docname}.html)"
            lines.append(f"| {planned.number} | {link} | {chapter.header.question} |")
    return "\n".join(lines) + "\n"


def written(readme: str, root: Path = ROOT) -> str:
    """The text of the README with the list of today."""
    if len(re.findall(f"{re.escape(BEGIN)}.*?{re.escape(END)}", readme, re.S)) != 1:
        raise ValueError(f"README.md must have one line {BEGIN.strip()!r} and, below it, one {END!r}")
    before, _, rest = readme.partition(BEGIN)
    return before + BEGIN + "\n" + table(root) + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
