"""A chapter with exercises that answer, built by Sphinx and the extensions that they need, for tests of their page."""

import io
import json

from sphinx.application import Sphinx

CONF = """
extensions = ["myst_nb", "sphinx_exercise", "katex_math", "exercise_answers"]
nb_execution_mode = "off"
numfig = True
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
myst_enable_extensions = ["colon_fence", "dollarmath"]
html_math_renderer = "katex"
suppress_warnings = ["config.cache"]
"""
HALF = """:::{exercise}
:label: ex-demo-half
:class: easy answer

What is left?
:::
"""
WHICH = """:::{exercise}
:label: ex-demo-which
:class: answer

Which is it?

1. The first, $x_1$.
2. The second.
3. The third.
:::
"""


def right(ident, **given) -> dict:
    """What `right_answer` stores: a test compares its names with those here."""
    nothing = dict(value=None, within=None, choice=None, of=None, unit="", right="", hint="", hints=[])
    return {"id": ident} | nothing | given


NUMBER = right("ex-demo-half", value=5 / 256, within=1e-4, unit="ms", right="It is $2^{-5}$ of it.", hint="Draw it.",
               hints=[[0.5, "That is `half`."]])  # fmt: skip
CHOICE = right("ex-demo-which", choice=2, of=3, right="It comes last.", hints=[[3, "Not $x_3$."]])


def build(folder, text: str, rights: list[dict]) -> tuple[str, str, str]:
    """A book of one chapter: the chapter's page, the page of the forget button, the warnings."""
    outputs = [{"output_type": "display_data", "data": {"text/plain": "x"}, "metadata": {"implicitly": {"answer": r}}}
               for r in rights]  # fmt: skip
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": f"# One chapter\n\n{text}"},
        {"cell_type": "code", "id": "b", "metadata": {"tags": ["remove-cell"]}, "source": "x", "execution_count": 1,
         "outputs": outputs},
    ]  # fmt: skip
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}
    (folder / "chapters").mkdir(parents=True)
    (folder / "conf.py").write_text(CONF)
    (folder / "index.md").write_text("# Home\n\n```{toctree}\nchapters/demo\n```\n\n:::{forget-answers}\n:::\n")
    (folder / "chapters/demo.ipynb").write_text(json.dumps(notebook))
    warnings = io.StringIO()
    Sphinx(folder, folder, folder / "out", folder / "trees", "html", status=None, warning=warnings).build()
    pages = [(folder / "out" / name).read_text() for name in ("chapters/demo.html", "index.html")]
    return *pages, warnings.getvalue()
