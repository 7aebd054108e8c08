"""The main text of a chapter, read from its cells: what one sees with all folds closed, without code.

Folds are dropdowns, and boxes with the class `dropdown`; solutions count as folded whatever their class.  Captions and
what code cells show are left out.  Nothing is built: the lints ask, of a source or of a notebook.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import reading_times
from book_model import source_of
from plain_notebooks import Directive, blocks

FOLDED = {"dropdown", "solution", "toggle"}
#: Boxes that state, ask or prove; their numbers are no reports of a run.
BOXES = ("prf:", "exercise")
CODE = re.compile(r"^(`{3,}|~{3,})[^\n]*\n.*?^\1[ \t]*$", re.S | re.M)
TYPED = re.compile(r"^<!-- *typed: *\S[^\n]*-->\n(?:(?!\n\n).)*", re.S | re.M)  # the paragraph below goes with it
COMMENT = re.compile(r"<!--.*?-->", re.S)
LABEL = re.compile(r"^\([\w:/-]+\)=$", re.M)
FORMULA = re.compile(r"\$\$.*?\$\$(?:[ \t]*\([\w:/-]+\))?|(?<!\\)\$[^$]+\$", re.S)
NUMBER = re.compile(r"(?<![\\$])\$([-+]?\d+(?:\.\d+)?(?:\\?%)?)\$(?!\$)")  # a formula that is a number and no more
INLINE_CODE = re.compile(r"(`+)[^`].*?\1", re.S)
ROLE = re.compile(r"\{[\w:-]+\}`[^`]*`")
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
HEADING = re.compile(r"^(#+) (.+)$", re.M)
SENTENCE = re.compile(r"(?<=[.?!:])[*_)]*\s+(?=[*_(\"]*[A-Z□])")
HIDDEN = "□"  # stands for a formula, a role or a piece of code


def parts(notebook: dict) -> Iterator[tuple[str, str, str]]:
    """(section, name of the directive around it or "", Markdown) of each piece of the main text."""
    section = ""

    def walk(lines: list[str], name: str) -> Iterator[tuple[str, str, str]]:
        nonlocal section
        for block in blocks(lines):
            if isinstance(block, Directive):
                folded = block.name in FOLDED or "dropdown" in block.options.get("class", "").split()
                if block.name == "math":
                    yield section, name, "$$ $$"
                elif not folded:
                    yield section, name or block.name, block.argument
                    yield from walk(block.body, name or block.name)
                continue
            text = CODE.sub("", "\n".join(block))
            for piece in re.split(r"^(?=## )", text, flags=re.M):
                if found := re.match(r"## (.+)", piece):
                    section = found[1].strip()
                yield section, name, piece

    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            yield from walk(source_of(cell).split("\n"), "")


def plain(text: str) -> str:
    """Markdown with a sign in the place of each role, piece of code and formula that is more than a number."""
    text = NUMBER.sub(r"\1", LABEL.sub("", COMMENT.sub("", text)))
    for pattern in (ROLE, INLINE_CODE, FORMULA):
        text = pattern.sub(HIDDEN, text)
    return LINK.sub(r"\1", text)


def words(notebook: dict) -> int:
    """Words of the main text; a formula, a role or a piece of code is one word."""
    return sum(reading_times.words(plain(text).replace(HIDDEN, " x ")) for _, _, text in parts(notebook))


def sentences(notebook: dict) -> Iterator[tuple[str, str]]:
    """(section, sentence) of the main text outside of boxes, headings and tables.

    A paragraph below the line `<!-- typed: why -->` is left out: somebody has said why its numbers are typed.
    """
    for section, name, text in parts(notebook):
        if name.startswith(BOXES):
            continue
        text = plain(TYPED.sub("", text))
        for paragraph in re.split(r"\n\s*\n|^(?=\s*(?:[-*]|\d+\.) )", text, flags=re.M):
            lines = [line for line in paragraph.splitlines() if not line.lstrip().startswith(("|", "#"))]
            for sentence in SENTENCE.split(" ".join(" ".join(lines).split())):
                if sentence:
                    yield section, sentence
