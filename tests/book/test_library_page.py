"""The library's reference, the links that lead to it, the line "Library" of a chapter, and the cheat sheet."""

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sphinx.application import Sphinx

import docstrings
import library_page
from book_model import Book, BookError
from implicitly.explorer import PageFunction
from library_model import Library
from library_names import Name

ROOT = Path(__file__).parents[2]
LIBRARY = Book(ROOT).library
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))


def test_every_public_name_is_there_once():
    """Read from the sources, the names are those that Python imports."""
    assert len(LIBRARY.subjects) > 10 and LIBRARY.subjects[-1].name == "implicitly_kernels"
    entries = [entry for subject in LIBRARY.subjects for entry in subject.entries]
    assert len({entry.path for entry in entries}) == len(entries) == len(LIBRARY.entries) > 200
    for subject in LIBRARY.subjects:
        for module in [subject.name, *LIBRARY.inside(subject.name)]:
            said = list(getattr(importlib.import_module(module), "__all__", ()))
            assert LIBRARY.public(module) == said
            for name in said if subject.name != "implicitly_kernels" or module == subject.name else ():
                assert LIBRARY.resolve(module, name) in LIBRARY.entries, f"{module}.{name} is not on the page"


def test_an_entry_says_what_python_says():
    for entry in LIBRARY.entries.values():
        found = getattr(importlib.import_module(entry.module), entry.name)
        found = found.function if isinstance(found, PageFunction) else found
        if inspect.isfunction(found):
            assert Path(inspect.getsourcefile(inspect.unwrap(found))) == entry.file
            assert entry.kind == "function" and inspect.getdoc(found) == entry.doc
            starred = re.findall(r"\*(\w+)", entry.signature)
            assert set(inspect.signature(found).parameters) == {*entry.parameters, *starred}, entry.path
        elif inspect.isclass(found):
            assert entry.kind == "class" and entry.doc.startswith((inspect.getdoc(found) or "").split("\n")[0])
        else:
            assert entry.kind == "value"


def test_a_name_is_in_the_subject_that_defines_it():
    for subject in LIBRARY.subjects:
        for group in subject.groups:
            assert f"{group.module}.".startswith(f"{subject.name}.")
            for entry in group.entries:
                assert f"{LIBRARY.resolve(entry.module, entry.name).module}.".startswith(f"{subject.name}.")


def test_signatures_are_python_and_fit_the_page():
    for entry in LIBRARY.entries.values():
        if entry.kind == "function":
            node = ast.parse(f"def {entry.signature}: ...").body[0]
            source = LIBRARY.nodes(LIBRARY.resolve(entry.module, entry.name).module)
            source = source[LIBRARY.resolve(entry.module, entry.name).name]
            assert ast.dump(node.args) == ast.dump(source.args), entry.path
        if entry.signature:
            assert max(map(len, entry.signature.split("\n"))) <= 120


def library(folder: Path, **modules: str) -> Library:
    """A library of these modules; those of the package s are s_face, its `__init__`, and s_m."""
    for name, text in {"__init__": "", **modules}.items():
        path = folder / "lib/implicitly" / {"s_face": "s/__init__.py", "s_m": "s/m.py"}.get(name, f"{name}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Library(folder)


@pytest.mark.parametrize("face", ["from .m import f, T\nfrom .m import g as h\n__all__ = ['T', 'f', 'h']",
                                  "from .m import T as T\nfrom .m import f as f, g as h\n__all__ = ['T', 'f', 'h']"])
def test_a_face_re_exports(tmp_path, face):
    m = "__all__ = ['T', 'f', 'g', 'more']\n#: A tuple.\nT = ()\ndef f(): 'F.'\ndef g(): 'G.'\ndef more(): 'M.'"
    found = library(tmp_path, s_face=face, s_m=m, t="from .s import f\n__all__ = ['f', 'own']\nown = 1")
    assert {s.name: [e.path for e in s.entries] for s in found.subjects} == {
        "implicitly.s": ["implicitly.s.f", "implicitly.s.h", "implicitly.s.m.more", "implicitly.s.T"],
        "implicitly.t": ["implicitly.t.own"],
    }
    assert found.entries["implicitly.s.m", "g"].doc == "G." and found.entries["implicitly.s.m", "T"].doc == "A tuple."


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(BookError, match=r"a\.py: __all__ has 'b', which is defined nowhere"):
        _ = library(tmp_path, a="__all__ = ['b']").subjects
    with pytest.raises(BookError, match=r"a\.py: __all__ must be a literal list"):
        _ = library(tmp_path, a="__all__ = [n for n in 'b']").subjects


def test_docstrings_become_html():
    doc = (
        "Does `x` for ``y > 0``.\n\nArgs:\n    a, b: (n, K-1), two,\n        both. c: one.\n\n"
        "Returns:\n    A sum.\n\nRaises:\n    TypeError, ValueError: it is wrong. OSError: gone.\n\n"
        "- p\n- q\n\n    code < 1\n\nExample:\n    >>> f(1)\n    2"
    )
    html = docstrings.described(doc, ["a", "b", "c"], {"x": "#m.x"}.get)
    assert html == (
        '<p>Does <a class="im-api-link" href="#m.x"><code>x</code></a> for <code>y &gt; 0</code>.</p>'
        '<table class="im-api-table"><thead><tr><th scope="col">Name</th><th scope="col">Shape</th>'
        '<th scope="col">What it is</th></tr></thead><tbody>'
        '<tr><th scope="row"><code>a</code>, <code>b</code></th>'
        '<td class="im-api-shape">(<i>n</i>, <i>K</i>−1)</td><td>two, both.</td></tr>'
        '<tr><th scope="row"><code>c</code></th><td class="im-api-shape"></td><td>one.</td></tr>'
        '<tr><th scope="row">returns</th><td colspan="2">A sum.</td></tr>'
        '<tr><th scope="row"><code>TypeError, ValueError</code></th><td colspan="2">it is wrong.</td></tr>'
        '<tr><th scope="row"><code>OSError</code></th><td colspan="2">gone.</td></tr></tbody></table>'
        '<ul><li>p</li><li>q</li></ul><pre tabindex="0">code &lt; 1</pre>'
        '<p class="im-api-head">Example</p><pre tabindex="0">&gt;&gt;&gt; f(1)\n2</pre>'
    )


@pytest.mark.parametrize(("text", "rows"), [
    ("a: one. b: two; c: three", [("a", "one."), ("b", "two;"), ("c", "three")]),
    ("a, b: one\nc: see the note: it says b: no.", [("a, b", "one"), ("c", "see the note: it says b: no.")]),
    ("Here a: is no row.", []),
    ("d: is no argument.", []),
])  # fmt: skip
def test_arguments_may_share_a_line(text, rows):
    assert docstrings.parted(text, "abc") == rows


@pytest.mark.parametrize(("text", "size", "rest"), [
    ("(n,), increasing.", "(<i>n</i>,)", "increasing."),
    ("weights, (B, 3k+1); not changed", "(<i>B</i>, 3<i>k</i>+1)", "weights; not changed"),
    ("``(..., d)`` float64", "(..., <i>d</i>)", "float64"),
    ("step size in (0, 1), a number or (B,)", "", "step size in (0, 1), a number or (B,)"),
])  # fmt: skip
def test_a_shape_has_its_column(text, size, rest):
    assert docstrings.argument_row("a", text, lambda code: None)[1:] == (size, rest)


def test_maths_is_set():
    assert '<span class="katex">' in docstrings.described("The bound $x_1$.")


def test_a_title_ends_at_its_colon():
    assert docstrings.parts("A name: what it is.\n\nMore.") == ("A name", "What it is.\n\nMore.")
    assert docstrings.parts("A sentence.") == ("A sentence", "")


# --- what a chapter takes ------------------------------------------------------------------------


def taken(*sources: str):
    return LIBRARY.taken(sources)


def test_uses_follow_imports():
    found = taken(
        "%matplotlib inline\nimport implicitly_kernels as kernels\nfrom implicitly import claim, diffusion",
        "from implicitly.explorer import Slider as S",
        "diffusion.score_flow(x, h)\nkernels.perm_gd\nclaim('a/C1')\nS('k', 1, 2)\ndiffusion.KINDS[0]\nother.sweep",
    )
    assert found.names == {
        ("implicitly.diffusion.flows", "score_flow"), ("implicitly.diffusion.exact", "KINDS"),
        ("implicitly.claims", "claim"), ("implicitly.explorer.controls", "Slider"),
        ("implicitly_kernels.perm_gd", "perm_gd"),
    }  # fmt: skip
    assert found.cells[1] == set()
    assert taken("import math\nmath.pi").names == set()


def test_a_name_means_one_thing_or_none():
    scope = taken(
        "from implicitly import diffusion, margins\nfrom implicitly.margins import angle, descend as run",
        "diffusion.score_flow(x)\nangle = 3",
        "def f(labels): return margins.labels, margins.relative_margins",
    ).scope
    assert scope == {
        "diffusion": Name("implicitly.diffusion"), "margins": Name("implicitly.margins"),
        "run": Name("implicitly.margins.descent", "descend"),
        "score_flow": Name("implicitly.diffusion.flows", "score_flow"),
        "relative_margins": Name("implicitly.margins.risk", "relative_margins"),
    }  # fmt: skip


@pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])
def test_a_chapter_names_the_modules_that_it_calls(path):
    stored = Book(ROOT).chapter(f"chapters/{path.stem}")
    named = set(re.findall(r"^from implicitly\.(\w+) import", "\n".join(stored.code), re.M))
    used = {name.split(".")[1] for name in library_page.modules_used(LIBRARY, stored)}
    assert named <= used and "claims" in used


# --- the pages -----------------------------------------------------------------------------------

CONF = """
extensions = ["myst_nb", "sphinx_design", "library_page"]
exclude_patterns = ["lib", "kernels"]
nb_execution_mode = "off"
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
myst_enable_extensions = ["colon_fence", "dollarmath"]
html_theme_options = {"repository_url": "https://example.org/book"}
suppress_warnings = ["config.cache", "myst.xref_missing"]
"""
TEXT = """# One `margins.descend`

First `descend` and again `descend`, `margins.hard_margin_svm(X, y)`, `angle`, `sweep`, `labels(y)`, `margins.LOSSES`,
`MaxMargin.norm`, `implicitly.claims.claim`, [`constraints`](https://example.org), `if`, `a b`.

:::{dropdown} On `descend`
`constraints` inside.
:::

## Two `descend`

Then `descend`.
"""
CODE = """from implicitly import margins
from implicitly.margins import MaxMargin, constraints, labels
margins.descend, margins.hard_margin_svm, margins.angle, constraints, labels
angle = 3  # descend"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, str]:
    """A chapter and the reference, built as a small book of their own."""
    root = tmp_path_factory.mktemp("book")
    for folder in ("chapters", "book", "lib", "kernels"):
        (root / folder).mkdir()
    (root / "lib/implicitly").symlink_to(ROOT / "lib/implicitly")
    (root / "kernels/implicitly_kernels").symlink_to(ROOT / "kernels/implicitly_kernels")
    (root / "book/plan.yml").symlink_to(ROOT / "book/plan.yml")
    (root / "conf.py").write_text(CONF)
    toc = {"parts": [{"caption": "I · A part", "chapters": [{"file": "chapters/stable-minima"}]}]}
    (root / "_toc.yml").write_text(json.dumps(toc))
    (root / "index.md").write_text("# Home\n\n```{toctree}\nchapters/stable-minima\nbook/library\n```\n")
    (root / "book/library.md").write_text("# Library\n\n```{library-reference}\n```\n")
    claim = {"id": "stable-minima/C2", "check": None, "statement": "", "math": None, "relation": "at most", "over": "",
             "measured": 0.1, "stated": 1.0, "within": None, "seeds": None, "used": 0.1,
             "anchor": "a", "display": {}}  # fmt: skip
    output = {"output_type": "display_data", "metadata": {"implicitly": {"claim": claim}}, "data": {"text/plain": "x"}}
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": TEXT},
        {"cell_type": "code", "id": "b", "metadata": {}, "source": CODE, "execution_count": 1, "outputs": []},
        {"cell_type": "code", "id": "c", "metadata": {}, "source": "labels(y)", "execution_count": 2,
         "outputs": [output]},
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    (root / "chapters/stable-minima.ipynb").write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}))  # fmt: skip
    log, out = root / "warnings.txt", root / "out"
    with log.open("w") as warnings:
        Sphinx(root, root, out, root / "trees", "html", status=None, warning=warnings, freshenv=True).build()
    # a second Sphinx in one process has its nodes already; its plain theme has no repository
    usual = ("already registered", "unsupported theme option")
    said = [line for line in log.read_text().splitlines() if not any(words in line for words in usual)]
    assert said == []
    return {name: (out / f"{name}.html").read_text() for name in ("chapters/stable-minima", "book/library")}


def test_code_that_names_a_function_leads_to_it(pages):
    chapter = pages["chapters/stable-minima"]
    body = chapter[chapter.index("<section") : chapter.index("cell_input")]
    links = re.findall(r'<a class="im-api-link[^"]*" href="\.\./book/library\.html#([\w.]+)">(.*?)</a>', body, re.S)
    words = [(target, re.sub(r"<[^>]+>", "", text)) for target, text in links]
    m = "implicitly.margins"
    assert words == [
        (f"{m}.descend", "descend"), (f"{m}.hard_margin_svm", "margins.hard_margin_svm(X, y)"),
        (f"{m}.labels", "labels(y)"),
        ("implicitly.claims.claim", "implicitly.claims.claim"),
        (f"{m}.constraints", "constraints"), (f"{m}.descend", "descend"),
    ]  # fmt: skip
    for heading in re.findall(r"<(?:h1|h2|summary)\b.*?</(?:h1|h2|summary)>", body, re.S):
        assert "descend" in heading and "im-api-link" not in heading
    assert "im-api-link" not in chapter[chapter.index("cell_input") :]
    for target, _ in links:
        assert f'id="{target}"' in pages["book/library"]


def test_an_entry_is_as_designed(pages):
    page = pages["book/library"]
    entry = page[page.index('<dt id="implicitly.stability.gradient_descent">') :]
    entry = entry[: entry.index('<dt id="', 9)]
    assert '<code class="im-api-from">implicitly.stability</code>' in entry
    assert re.search(r'href="https://example\.org/book/blob/main/lib/implicitly/stability/\w+\.py#L\d+">source', entry)
    assert '<td class="im-api-shape">(<i>n</i>,)</td>' in entry and "<code>RuntimeError</code>" in entry
    assert 'Kernel <a href="#implicitly_kernels.relu_gd">relu_gd</a>.' in entry
    used = page[page.index('<dt id="implicitly.margins.labels">') :]
    used = used[: used.index("</dd>")]
    assert ('Used in <a href="../chapters/stable-minima.html">2 One `margins.descend`</a> '
            '(<a href="../chapters/stable-minima.html#stable-minima/C2">C2</a>).') in used  # fmt: skip


def test_the_page_is_by_subject_and_its_links_lead_somewhere(pages):
    page = pages["book/library"]
    heads = re.findall(r"<h2><code[^>]*><span class=\"pre\">([\w.]+)</span></code> <span class=\"im-api-title\">", page)
    assert heads == [subject.name for subject in LIBRARY.subjects]
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert sorted(ids) == sorted(set(ids)), "ids that occur twice"
    assert set(re.findall(r'href="#([\w.]+)"', page)) - {""} <= set(ids)
    assert len(re.findall(r'<a class="im-api-link" href="#', page)) > 20


def test_the_cheat_sheet_runs(tmp_path):
    """Every piece as it stands, each in a process of its own directory and all in one process."""
    text = (ROOT / "book/cheat-sheet.md").read_text(encoding="utf-8")
    pieces = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    assert len(pieces) == 4
    alone = "".join(f"exec(compile({piece!r}, 'piece {i}', 'exec'), {{'__name__': '__main__'}})\n"
                    for i, piece in enumerate(pieces))  # fmt: skip
    done = subprocess.run([sys.executable, "-c", alone], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "demo/C1: holds" in done.stdout and "reference" in done.stdout
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
