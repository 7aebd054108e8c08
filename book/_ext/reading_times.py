"""How long a page takes to read: with its folds closed, and all of it.

Prose is read at 200 words a minute, the rate of Carver's "learning" (R. P. Carver, "Reading rate: theory, research, and
practical implications", Journal of Reading 36, 1992): slower than the 240 words a minute of silent reading of
non-fiction (M. Brysbaert, "How many words do we read per minute?", Journal of Memory and Language 109, 2019), as text
is that one wants to know afterwards.  What is no prose has a cost of its own, in seconds, below; these are guesses, the
same for all chapters.  What is folded (proofs, solutions, inputs) and the work on exercises counts only in everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from docutils import nodes

WORDS_PER_MINUTE = 200
FORMULA, DISPLAY, CODE_LINE, FIGURE, EXPLORER, CHECK = 2, 15, 3, 15, 120, 5
EXERCISE = {"easy": 180, "medium": 480, "hard": 1200}
FOLDS = {"HideCodeCellNode", "dropdown_main", "fold", "check_fold"}
FOLDED = {"dropdown", "toggle", "sd-dropdown"}
WORD = re.compile(r"[^\W_](?:[\w'’–.,-]*\w)?")
UNREAD = re.compile(r"<(svg|script|style|details)\b.*?</\1>|<[^>]+>|<!--.*?-->", re.S)


def is_explorer(node: nodes.Node) -> bool:
    return isinstance(node, nodes.raw) and "data-im-explorer" in node.astext()


def words(text: str) -> int:
    return len(WORD.findall(text))


def _costs(node: nodes.Node, folded: bool = False) -> Iterator[tuple[float, bool]]:
    """(seconds, whether it is folded) of each thing in a part of a doctree."""
    if isinstance(node, nodes.raw):
        text = node.astext()
        if node.get("format") == "html":
            yield EXPLORER if is_explorer(node) else words(UNREAD.sub(" ", text)) * 60 / WORDS_PER_MINUTE, folded
    elif isinstance(node, nodes.Text):
        yield words(str(node)) * 60 / WORDS_PER_MINUTE, folded
    elif isinstance(node, nodes.math):
        yield FORMULA, folded
    elif isinstance(node, nodes.math_block):
        yield DISPLAY, folded
    elif isinstance(node, nodes.literal_block):
        yield CODE_LINE * sum(bool(line.strip()) for line in node.astext().splitlines()), folded
    elif isinstance(node, nodes.image):
        yield FIGURE, folded
    elif not isinstance(node, nodes.Invisible | nodes.system_message):
        classes = set(node.get("classes", ()))
        if type(node).__name__ == "check_fold":  # its line stands in the text
            yield CHECK, folded
        folded = folded or type(node).__name__ in FOLDS or bool(FOLDED & classes)
        if "exercise" in classes:
            yield next((cost for grade, cost in EXERCISE.items() if grade in classes), 0), True
        for child in node.children:
            yield from _costs(child, folded)


def seconds(*parts: nodes.Node) -> tuple[float, float]:
    """Seconds for parts of a doctree: with folds closed, and for everything."""
    costs = [cost for part in parts for cost in _costs(part)]
    return sum(cost for cost, folded in costs if not folded), sum(cost for cost, _ in costs)


def minutes(amount: float) -> int:
    return max(1, round(amount / 60))
