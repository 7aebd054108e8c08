"""Maths rendered at build time by KaTeX, run inside the build by mini-racer (V8; no Node).

The page gets HTML and CSS: no script, no layout shift.  A formula that KaTeX refuses stops the
build with its file and line.  Configure macros with ``katex_macros = {"\\\\R": "\\\\mathbb{R}"}``.

The style sheet and fonts under ``_static/vendor/katex`` and ``vendor/katex.min.js`` here must be
of one version: with another pair superscripts come out full size and nothing warns.  A test
holds them together.
"""

from __future__ import annotations

import atexit
import functools
import html
import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.math import get_node_equation_number

SCRIPT = Path(__file__).parent / "vendor" / "katex.min.js"
# what may not be torn from the formula before it at a line's end
PUNCTUATION = re.compile(r"^[.,;:!?)\]’”'\"…%]+|^[-–][a-z]+[.,;:]?")


class MathError(ExtensionError):
    """A formula that KaTeX refuses; the message holds the file, the line and the formula."""


@functools.cache
def _engine():
    from py_mini_racer import MiniRacer

    engine = MiniRacer()
    # Closing joins its thread.  Left to the garbage collector, that waits for ever in a Python 3.13 that is ending.
    atexit.register(engine.close)
    engine.eval("var self = this; " + SCRIPT.read_text(encoding="utf-8"))
    engine.eval(
        "function render(tex, display, macros) { try { return JSON.stringify({html: "
        "katex.renderToString(tex, {displayMode: display, throwOnError: true, strict: 'error', "
        "trust: false, macros: macros})}); } catch (e) { return JSON.stringify({error: "
        "String(e.message || e)}); } }"
    )
    return engine


@functools.cache
def _render(tex: str, display: bool, macros: str) -> str:
    answer = json.loads(_engine().eval(f"render({json.dumps(tex)}, {json.dumps(display)}, {macros})"))
    if "error" in answer:
        raise ValueError(answer["error"])
    # the source again, as a note inside the MathML: a twentieth of a chapter's weight, read by nobody
    return re.sub(r"<annotation[^>]*>.*?</annotation>", "", answer["html"], flags=re.S)


def render(tex: str, display: bool = False, macros: dict[str, str] | None = None) -> str:
    """HTML of the formula `tex`.  Raises ValueError with KaTeX's own message."""
    return _render(tex, display, json.dumps(macros or {}, sort_keys=True))


def render_text(text: str, macros: dict[str, str] | None = None) -> str:
    """HTML of plain text that may hold `$inline maths$`; the text is escaped."""
    parts = re.split(r"(?<!\\)\$([^$]+)\$", text)
    return "".join(render(part, False, macros) if i % 2 else html.escape(part.replace(r"\$", "$"))
                   for i, part in enumerate(parts))


def _render_node(self, node: nodes.Element, display: bool) -> str:
    tex = node.astext()
    if display and not re.search(r"\\begin\{", tex) and re.search(r"(?<!\\)&|\\\\", tex):
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    try:
        return render(tex, display, self.config.katex_macros)
    except ValueError as error:
        source, line = node.source, node.line
        parent = node.parent
        while line is None and parent is not None:
            source, line, parent = source or parent.source, parent.line, parent.parent
        source = source or self.document.get("source", "?")
        raise MathError(f"{source}:{line or '?'}: KaTeX refuses the formula {tex.strip()!r}: "
                        f"{error}") from error


def keep_together(app, doctree, docname: str) -> None:
    """doctree-resolved: a formula and the punctuation after it stay on one line."""
    for formula in list(doctree.findall(nodes.math)):
        parent = formula.parent
        at = parent.index(formula) + 1
        if at >= len(parent) or not isinstance(parent[at], nodes.Text):
            continue
        text = str(parent[at])
        found = PUNCTUATION.match(text)
        if found:
            parent[at] = nodes.Text(text[found.end():])
            parent[at - 1] = nodes.inline("", "", formula, nodes.Text(found.group(0)),
                                          classes=["im-nowrap"])


def visit_inline(self, node: nodes.math) -> None:
    self.body.append(_render_node(self, node, False))
    raise nodes.SkipNode


def visit_block(self, node: nodes.math_block) -> None:
    formula = _render_node(self, node, True)
    anchor, number = "", ""
    if node.get("number"):
        value = get_node_equation_number(self, node)
        number = f'<span class="im-eqno">({html.escape(str(value))})'
        if node["ids"]:
            number += (f'<a class="headerlink" href="#{node["ids"][0]}" '
                       f'title="Link to this equation">#</a>')
        number += "</span>"
    if node["ids"]:
        anchor = f' id="{html.escape(node["ids"][0])}"'
    # the formula scrolls, its number stays; a scrolling region must be reachable by keyboard
    self.body.append(f'<div class="im-eq"{anchor}><div class="im-eq-scroll" tabindex="0" '
                     f'role="group" aria-label="formula">{formula}</div>{number}</div>\n')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("katex", (visit_inline, None), (visit_block, None))
    app.connect("doctree-resolved", keep_together)
    app.add_config_value("katex_macros", {}, "html", [dict])
    app.add_css_file("vendor/katex/katex.css", priority=200)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
