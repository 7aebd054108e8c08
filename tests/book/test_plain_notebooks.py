"""The notebooks that readers download: the chapters in plain Markdown, numbered as their pages are."""

import copy
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from book_model import Book, Chapter, Paper
from plain_notebooks import Directive, References, Writer, blocks, plain

ROOT = Path(__file__).parents[2]
BOOK = Book(ROOT)
SLUGS = [path.stem for path in sorted((ROOT / "chapters").glob("*.ipynb"))]
ADDRESS = yaml.safe_load((ROOT / "_config.yml").read_text())["html"]["baseurl"]
# what only a reader of MyST would understand
RAW = re.compile(
    r":::|^`{3,}\{|\{[\w:-]+\}`|^:[\w-]+: |^\$\$[ \t]*\([\w:/-]+\)$|^\+\+\+$|\{\.[\w-]+\}|^\([\w-]+\)=$", re.M
)


def chapter(slug: str) -> Chapter:
    return BOOK.chapter(f"chapters/{slug}")


@pytest.fixture(scope="module")
def references() -> References:
    found = References(ADDRESS, BOOK.papers)
    for slug in SLUGS:
        found.add(chapter(slug), str(BOOK.planned[slug].number) if slug in BOOK.planned else "")
    return found


@pytest.fixture(scope="module", params=SLUGS)
def pair(request, references) -> tuple[dict, dict]:
    return chapter(request.param).notebook, plain(chapter(request.param), references, "1")


def prose(notebook: dict) -> str:
    """The Markdown of a notebook without the code that it shows."""
    text = "\n\n".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown")
    return re.sub(r"^(`{3,})[\w-]*\n.*?^\1$", "", text, flags=re.S | re.M)


def test_nothing_raw_is_left(pair):
    notebook, twin = pair
    assert len(RAW.findall(prose(notebook))) > 20, "the chapter has no directives: this test shows nothing"
    assert not [prose(twin)[m.start() - 40 : m.end() + 40] for m in RAW.finditer(prose(twin))]


def test_code_and_outputs_are_the_same_and_the_notebook_is_valid(pair):
    twin = pair[1]
    code = [[cell for cell in one["cells"] if cell["cell_type"] == "code"] for one in pair]
    assert code[0] == code[1]
    nbformat.validate(nbformat.from_dict(copy.deepcopy(twin)))
    assert len({cell["id"] for cell in twin["cells"]}) == len(twin["cells"])
    assert "jupytext" not in twin["metadata"]


def test_no_word_is_lost(pair):
    """Every word of the prose is in the twin, apart from the names of directives and labels, and options."""

    def words(text: str) -> set[str]:
        markup = r"^:{3,}\{[\w:-]+\}|^:[\w-]+:.*$|\{[\w:]+\}`[^`]*`|^\$\$[ \t]*\(.*\)$|\]\([^)]*\)|^\([\w-]+\)=$"
        text = re.sub(markup, " ", text, flags=re.M)
        return set(re.findall(r"[A-Za-z]{2,}", text))

    notebook, twin = pair
    solved = set(re.findall(r"^:{3,}\{solution\} (\S+)", prose(notebook), re.M))
    lost = words(prose(notebook)) - words(prose(twin)) - words(" ".join(solved))
    assert not lost


def test_folds_are_balanced_and_quotes_hold_whole_formulas(pair):
    text = prose(pair[1])
    assert text.count("<details>") == text.count("</details>") > 0
    for line in text.split("\n"):
        if line.startswith(">"):
            assert line.count("$$") % 2 == 0, line


# what chapters may hold tomorrow -----------------------------------------------------------------


def write(text: str, **labels: str) -> str:
    references = References("https://b/", {"k": Paper("k", "", ("A", "B"), "2020", "https://p")})
    references.labels = {label: (words, f"https://b/c.html#{label}") for label, words in labels.items()}
    return "\n".join(Writer("chapters/c", references).markdown(text.split("\n"))).strip("\n")


def test_directives():
    theorem = ":::{prf:theorem} Its name\n:label: t\n:class: proved\n\nSee\n\n$$\na\n&= b\n$$ (e)\n\nEnd.\n:::"
    aligned = r"$$\begin{aligned} a &= b \end{aligned} \tag{1.2}$$"
    assert write(theorem, t="Theorem 1.1", e="(1.2)") == (
        f"> **Theorem 1.1** *Its name*\n>\n> See\n>\n> {aligned}\n>\n> End."
    )
    nested = "::::{dropdown} Proof of `x`\n:class-container: proof-fold\n\n:::{prf:proof}\nEasy.\n:::\n::::"
    assert write(nested) == "<details>\n<summary>Proof of x</summary>\n\n*Proof.* Easy.\n\n</details>"
    assert write("```{note}\nMind.\n```") == "> **Note**\n>\n> Mind."
    assert write(":::{margin}\n:class: contents\nAside.\n:::\n\nText.") == "> Aside.\n\nText."


def test_roles_and_links():
    text = "By {cite:t}`k` and {cite:p}`k`, {prf:ref}`the bound <t>`, {eq}`e`, `{eq}`, ``a `b` c``, $x_{`a`}$."
    assert write(text, t="Theorem 1.1", e="(1.2)") == (
        "By [A and B (2020)](https://p) and ([A and B, 2020](https://p)), [the bound](https://b/c.html#t), "
        "[(1.2)](https://b/c.html#e), `{eq}`, ``a `b` c``, $x_{`a`}$."
    )
    assert write("[k](../book/kernels.md#a), [o](other), [w](https://w)") == (
        "[k](https://b/book/kernels.html#a), [o](https://b/chapters/other.html), [w](https://w)"
    )
    assert write("{doc}`the page </book/kernels>`") == "[the page](https://b/book/kernels.html)"


def test_code_that_is_shown_stays():
    text = "```python\n:::{margin}\n{eq}`a`\n$$\n```"
    assert write(text) == text
    assert [type(b) for b in blocks(text.split("\n"))] == [list]
    assert isinstance(next(blocks([":::{margin}", "a", ":::"])), Directive)


def test_a_label_that_is_nowhere_is_an_error():
    with pytest.raises(ValueError, match="chapters/c: nothing has the label 'gone'"):
        write("{eq}`gone`")


def test_glued_numbers_and_the_links_of_five_minutes_are_written_out():
    references = References("https://b/")
    notebook = {
        "metadata": {},
        "cells": [
            {"cell_type": "markdown", "id": "a", "metadata": {}, "source": (
                "# T\n\n:::{five-minutes}\n**Yes: {glue:text}`a-number`.**\n\n1. More. [](#c-more)\n:::\n\n"
                "(c-more)=\n## More $x$\n\nIt is {glue:text}`a-number`.")},
            {"cell_type": "code", "id": "b",
             "metadata": {"mystnb": {"figure": {"caption": "At {glue:text}`a-number`."}}},
             "source": "glue('a-number', -4.5, '.2f')", "outputs": [{
                 "output_type": "display_data", "metadata": {"scrapbook": {"name": "a-number", "mime_prefix": "x/"}},
                 "data": {"x/text/plain": "'−4.50'"}}]},
        ],
    }  # fmt: skip
    one = Chapter("chapters/c", Path("c.ipynb"), notebook)
    references.add(one, "1")
    text = prose(plain(one, references, "1"))
    quote = "> **In five minutes**\n>\n> **Yes: −4.50.**\n>\n> 1. More. [More $x$](https://b/chapters/c.html#c-more)"
    assert quote in text and "## More $x$\n\nIt is −4.50." in text and text.endswith("At −4.50.")
    assert not RAW.search(text)
