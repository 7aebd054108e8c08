"""Numbers that a chapter's text quotes from its run: `{glue:text}` of what `implicitly.glue` has stored.

myst-nb writes them into the page, and warns where a text quotes what was never glued.  Here powers of ten get raised
exponents, and a number that no text quotes is a warning.  `values`, `quoted` and `fill` know nothing of Sphinx: the
notebooks that readers open have the numbers in the place of the roles.
"""

from __future__ import annotations

import re
from ast import literal_eval

from docutils import nodes
from sphinx.util import logging

from book_model import book_of, is_chapter, source_of

ROLE = re.compile(r"\{glue:text\}`([^`]*)`")
RAISED = re.compile("([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
LOWERED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "−0123456789")
logger = logging.getLogger(__name__)


def values(notebook: dict) -> dict[str, str]:
    """Name -> number, as it is written, of all that the cells of a notebook have glued."""
    found = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if name := output.get("metadata", {}).get("scrapbook", {}).get("name"):
                (text,) = output["data"].values()
                found[name] = literal_eval("".join(text))
    return found


def quoted(notebook: dict) -> set[str]:
    """The names that the text and the captions of a notebook quote."""
    texts = [source_of(cell) if cell["cell_type"] == "markdown" else str(cell["metadata"].get("mystnb", ""))
             for cell in notebook["cells"] if cell["cell_type"] != "raw"]  # fmt: skip
    return {name for text in texts for name in ROLE.findall(text)}


def fill(text: str, numbers: dict[str, str]) -> str:
    """`text` with numbers in the place of the roles; what was never glued stays."""
    return ROLE.sub(lambda role: numbers.get(role[1], role[0]), text)


# --- in a build ----------------------------------------------------------------------------------


def finish(app, doctree) -> None:
    """doctree-read: raised exponents, and what no text quotes."""
    for node in doctree.findall(nodes.inline):
        if "pasted-text" in node["classes"]:
            pieces = RAISED.split(node.astext())
            node.children = []
            for place, piece in enumerate(pieces):
                node += nodes.superscript("", piece.translate(LOWERED)) if place % 2 else nodes.Text(piece)
    if is_chapter(app.env.docname):
        notebook = book_of(app).chapter(app.env.docname).notebook
        for name in sorted(values(notebook).keys() - quoted(notebook)):
            logger.warning("the run glues %r, and the text does not quote it", name, location=app.env.docname)


def setup(app):
    app.connect("doctree-read", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
