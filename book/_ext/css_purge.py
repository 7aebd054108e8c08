"""Drop the rules that no page uses from the theme's and the extensions' style sheets, and rank them.

What is left goes into a cascade layer, so that the book's own style sheets win whatever the theme's
selectors weigh; rules about sphinx-design's elements are marked important, which would turn
that round, so those marks go.

The theme ships the whole of Bootstrap (66 kB gzipped); the book's pages use about a tenth.  A
selector stays when every class, id and element name in it occurs somewhere in the built HTML or
in a script as a word (scripts set classes while they run).  What is in `:not()`, `:is()` and
`:where()` is not looked at, so the test errs on the side of keeping.  A test builds pages with and
without purging and compares what the browser computes.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import tinycss2

# ours, and what is already lean
KEEP = ("tokens.css", "book.css", "answers.css", "landing.css", "map.css", "graph.css", "katex.css", "explorer.css")
LAYER = "@layer theme{"
WORD = re.compile(r"[A-Za-z_][\w-]*")
STRING = re.compile(r"""\"(?:[^"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`""")
NAME = re.compile(r"(?<![\w-])[.#]((?:[\w-]|\\.)+)")
FUNCTION = re.compile(r":(?:not|is|where|has|matches|-webkit-any)\(")


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


def is_preview(script: Path) -> bool:
    return "previews" in script.parts[:-1]


def words(site: Path) -> set[str]:
    """Every word in class and id attributes and tag names of the pages, and in the scripts."""
    found: set[str] = set()
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for value in re.findall(r'(?:class|id)=["\']([^"\']*)["\']', text):
            found.update(value.split())
        # inline scripts name classes too
        for script in re.findall(r"<script(?![^>]*json)[^>]*>(.*?)</script>", text, re.S):
            found.update(WORD.findall(script))
    for script in site.rglob("*.js"):
        # the explorer's bundle has a style sheet of its own, and previews, written after this, are pieces of pages
        if script.name in ("search-text.js", "bootstrap.js", "fontawesome.js", "explorer.js") or is_preview(script):
            continue
        for text in STRING.findall(script.read_text(encoding="utf-8", errors="replace")):
            found.update(WORD.findall(text))
    return found


def _without_functions(selector: str) -> str:
    """`selector` without the arguments of :not(), :is() and their like."""
    out, i = [], 0
    while match := FUNCTION.search(selector, i):
        out.append(selector[i:match.start()])
        depth, j = 1, match.end()
        while j < len(selector) and depth:
            depth += {"(": 1, ")": -1}.get(selector[j], 0)
            j += 1
        i = j
    out.append(selector[i:])
    return "".join(out)


def _split(prelude: str) -> list[str]:
    """Selectors of a list, split at the commas outside parentheses and brackets."""
    parts, depth, start = [], 0, 0
    for i, char in enumerate(prelude):
        depth += (char in "([") - (char in ")]")
        if char == "," and depth == 0:
            parts.append(prelude[start:i])
            start = i + 1
    return [*parts, prelude[start:]]


def used(selector: str, known: set[str]) -> bool:
    plain = re.sub(r"\[[^\]]*\]", "", _without_functions(selector))
    return all(re.sub(r"\\(.)", r"\1", name) in known for name in NAME.findall(plain))


def purge(css: str, known: set[str]) -> str:
    """`css` with only the rules that may match something."""
    return _rules(tinycss2.parse_stylesheet(css, skip_comments=False, skip_whitespace=True), known)


def _rules(rules, known) -> str:
    out = []
    for rule in rules:
        if rule.type == "comment":
            if rule.value.startswith("!") and "Font Awesome" not in rule.value:  # licences stay
                out.append(f"/*{rule.value}*/")
        elif rule.type == "qualified-rule":
            kept = [s.strip() for s in _split(tinycss2.serialize(rule.prelude)) if used(s, known)]
            body = tinycss2.serialize(rule.content)
            if any(".sd-" in selector for selector in kept):
                body = body.replace("!important", "")
            if kept and body.strip() and "Font Awesome" not in body:
                out.append(f"{','.join(kept)}{{{body}}}")
        elif rule.type == "at-rule":
            prelude = tinycss2.serialize(rule.prelude)
            if rule.content is None:
                out.append(f"@{rule.at_keyword}{prelude};")
            elif rule.lower_at_keyword in ("media", "supports", "layer"):
                inner = tinycss2.parse_rule_list(rule.content, skip_comments=True,
                                                 skip_whitespace=True)
                body = _rules(inner, known)
                if body:
                    out.append(f"@{rule.at_keyword}{prelude}{{{body}}}")
            else:
                body = tinycss2.serialize(rule.content)
                if rule.lower_at_keyword == "font-face" and "Font Awesome" in body:
                    continue
                if rule.lower_at_keyword == "keyframes" and prelude.strip().startswith("fa-"):
                    continue
                out.append(f"@{rule.at_keyword}{prelude}{{{body}}}")
    return "".join(out)


def drop_variables(css: str, read: set[str]) -> str:
    """`css` without the declarations of custom properties that nothing reads."""

    def lean(match: re.Match) -> str:
        kept = [d.serialize() for d in tinycss2.parse_blocks_contents(match.group(1), True, True)
                if d.type != "declaration" or not d.name.startswith("--") or d.name in read]
        return "{" + ";".join(kept) + "}"

    return re.sub(r"\{([^{}]*--[^{}]*)\}", lean, css)


def purge_site(site: Path) -> dict[str, tuple[int, int]]:
    """Purge every style sheet under `_static` that is not ours; sizes before and after."""
    known = words(site)
    sheets, sizes, ours = {}, {}, ""
    for sheet in sorted((site / "_static").rglob("*.css")):
        before = sheet.read_text(encoding="utf-8")
        if sheet.name in KEEP or before.startswith(LAYER):
            ours += before
        else:
            sizes[sheet.name] = (len(before), 0)
            sheets[sheet] = purge(before.removeprefix('@charset "UTF-8";'), known)
    scripts = "".join(p.read_text(encoding="utf-8", errors="replace") for p in (site / "_static").rglob("*.js")
                      if not is_preview(p))  # fmt: skip
    while True:  # a variable that is gone may have been the only reader of another
        everything = ours + "".join(sheets.values()) + scripts
        read = set(re.findall(r"var\(\s*(--[\w-]+)", everything)) | set(re.findall(r"[\"'](--[\w-]+)", scripts))
        leaner = {sheet: drop_variables(css, read) for sheet, css in sheets.items()}
        if leaner == sheets:
            break
        sheets = leaner
    for sheet, css in sheets.items():
        after = f"{LAYER}{css}}}" if css else ""
        sheet.write_text(after, encoding="utf-8")
        sizes[sheet.name] = (sizes[sheet.name][0], len(after))
    return sizes
