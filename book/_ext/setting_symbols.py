"""The notation page's tables: what a chapter's table of symbols says, and what the page adds to it.

    ```{setting-symbols} score-flow
    | $h(y)$ | a denoiser | `h` |
    ```

shows the rows of the table in the section "Setting" of that chapter, without their shapes, and below them the rows of
its content: symbols that the chapter explains in a sentence.  So a symbol is explained once, and the page has them all.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from book_model import BookError, Chapter, book_of, source_of

TABLE = re.compile(r"^\| *symbol *\|.*\n\|[-| :]+\|\n(?:^\|.*\n?)+", re.M)
CELL = re.compile(r"(?<!\\)\|")
HEADER = "| symbol | meaning | in code |\n|---|---|---|\n"


def symbols_of(cell: str) -> list[str]:
    """The symbols that the first cell of a row names: `$x_i$, $f(x,y)$` are two, and of `$H=G+R$` it is H."""
    found = []
    for formula in re.findall(r"\$([^$]+)\$", cell) or [cell]:
        depth, start = 0, 0
        for at, sign in enumerate(formula + ","):
            depth += (sign in "({[") - (sign in ")}]")
            if sign == "," and depth <= 0:
                found.append(re.sub(r"\s|\\[,;! ]", "", formula[start:at].partition("=")[0]))
                start = at + 1
    return [symbol for symbol in found if symbol]


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in CELL.split(row.strip())[1:-1]]


def tables(text: str) -> list[list[list[str]]]:
    """Each table of symbols in some Markdown: rows of cells, the first of them the heads of the columns."""
    return [[cells(row) for at, row in enumerate(found[0].splitlines()) if at != 1] for found in TABLE.finditer(text)]


def rows(chapter: Chapter) -> list[list[str]]:
    """[symbol, meaning, name in code] of each row of a chapter's tables of symbols."""
    text = "\n\n".join(source_of(cell) for cell in chapter.notebook["cells"] if cell["cell_type"] == "markdown")
    found = []
    for head, *body in tables(text):
        named = next((at for at, name in enumerate(head) if name.endswith("in code")), None)
        for row in body:
            if len(row) != len(head):
                raise BookError(f"{chapter.path}: a row of the table of symbols has {len(row)} cells, "
                                f"its head has {len(head)}: {' | '.join(row)}")  # fmt: skip
            found.append([row[0], row[1], "" if named is None else row[named]])
    return found


class SettingSymbols(SphinxDirective):
    """`{setting-symbols} slug`: the chapter's symbols; nothing while the chapter is not listed."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        book, slug = book_of(self.env.app), self.arguments[0]
        if slug not in book.planned and slug not in {listed.docname.split("/", 1)[1] for listed in book.listed}:
            raise BookError(f"{self.env.docname}: setting-symbols names {slug!r}, which is no chapter")
        docname = f"chapters/{slug}"
        if docname not in {listed.docname for listed in book.listed}:
            return []
        chapter = book.chapter(docname)
        self.env.note_dependency(str(chapter.path))
        of_chapter, added = rows(chapter), [cells(line) for line in self.content if line.strip()]
        there = {symbol for row in of_chapter for symbol in symbols_of(row[0])}
        for row in added:
            if len(row) != 3 or (twice := there.intersection(symbols_of(row[0]))):
                said = "has not three cells" if len(row) != 3 else f"explains {', '.join(twice)} again"
                raise BookError(f"{self.env.docname}: of {slug}, the row {' | '.join(row)} {said}")
        table = HEADER + "".join(f"| {' | '.join(row)} |\n" for row in of_chapter + added)
        inside = f"The symbols of [](/{docname}).\n\n{table}"
        found = nodes.container(classes=["im-notation"])
        found.extend(self.parse_text_to_nodes(inside))
        return [found]


def setup(app):
    app.add_directive("setting-symbols", SettingSymbols)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
