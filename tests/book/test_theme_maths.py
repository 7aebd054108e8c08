"""Maths at build time: what KaTeX refuses breaks the build; style sheet, fonts and script fit."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

ROOT = Path(__file__).parents[2]
VENDOR = ROOT / "book/_static/vendor/katex"
# The suffixes are named: what an extension adds to Sphinx's own default stays there for the next build of the process.
CONF = ('extensions = ["myst_parser", "katex_math"]\nhtml_math_renderer = "katex"\n'
        'source_suffix = {".md": "markdown"}\nmyst_enable_extensions = ["dollarmath", "amsmath"]\n')  # fmt: skip


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book/_ext"))

    def run(text):
        (tmp_path / "conf.py").write_text(CONF)
        (tmp_path / "index.md").write_text(text)
        out = tmp_path / "out"
        Sphinx(tmp_path, tmp_path, out, tmp_path / "trees", "html", status=None, warning=None).build()
        return (out / "index.html").read_text(encoding="utf-8")

    return run


@pytest.mark.parametrize("formula", [r"$\nosuchmacro$", r"$\frac{1$", "$$\nx^2^3\n$$"])
def test_a_wrong_formula_breaks_the_build_and_names_its_line(build, formula):
    with pytest.raises(ExtensionError, match=r"index\.md:5: KaTeX refuses the formula"):
        build(f"# Title\n\nA line.\n\n{formula}\n")


def test_inline_display_and_alignment(build):
    page = build("# T\n\nInline $x_1$, and\n\n$$\na &= b \\\\\n&= c\n$$\n\n\\begin{align}\np &= q\n\\end{align}\n")
    assert page.count('class="katex-display"') == 2
    assert page.count('class="katex"') == 3
    assert '<span class="im-nowrap">' in page
    assert "<script" not in page[page.index("<body") :] or "katex" not in page[page.index("<script") :][:200]


def test_plain_text_with_maths_is_escaped(build, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book/_ext"))
    from katex_math import render, render_text

    assert render_text("a < b & $x$").startswith('a &lt; b &amp; <span class="katex">')
    with pytest.raises(ValueError, match="Undefined control sequence"):
        render(r"\nosuchmacro")


def test_style_sheet_and_script_are_of_one_version():
    script = (ROOT / "book/_ext/vendor/katex.min.js").read_text(encoding="utf-8")
    version = (VENDOR / "VERSION").read_text().strip()
    assert f'version:"{version}"' in script
    assert f'content:"{version}"' in (VENDOR / "katex.css").read_text(encoding="utf-8")


def test_every_font_of_the_style_sheet_is_there():
    css = (VENDOR / "katex.css").read_text(encoding="utf-8")
    files = re.findall(r"url\(([^)]+)\)", css)
    assert len(files) > 15
    assert all((VENDOR / file).is_file() for file in files)
    assert {f"fonts/{p.name}" for p in (VENDOR / "fonts").iterdir()} == set(files)
    assert (VENDOR / "LICENSE").is_file()


def test_no_thread_of_the_engine_is_left_when_the_interpreter_ends():
    """Python 3.13 waits for it for ever, and 3.12 at times."""
    # Registered first, and so called last.
    code = """
import atexit, threading
atexit.register(lambda: print("left:", threading.active_count() - 1))
import katex_math
print(len(katex_math.render("x^2")) > 100)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT / "book/_ext", capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["True", "left: 0"], done.stdout + done.stderr
