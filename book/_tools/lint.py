"""Lints of chapters: each returns a list of problems, in words, with the place.

    python book/_tools/lint.py [SLUG ...]

What Sphinx checks itself (citations, cross-references, formulas) is left to the build, where warnings are errors.
"""

import ast
import io
import json
import re
import sys
import tokenize
from pathlib import Path

from execute import is_claim_call, is_claim_cell, read_source
from paths import CHAPTERS, slugs

LINES, LINES_WITH_REASON, WIDTH, OUTPUT_BYTES = 15, 25, 73, 1_000_000
SETUP_CELL = (Path(__file__).parent / "setup_cell.py").read_text(encoding="utf-8").strip()
BOX = re.compile(r"^:::+\{prf:(theorem|proposition|lemma|corollary)\}.*\n(?:^:[a-z]+:.*\n)*?^:label: (\S+)$", re.M)
CLAIM_ID = re.compile(r"[a-z0-9-]+/C\d+")
IMAGE = re.compile(r"!\[\s*\]\(")
ENDS = ("plt.show()", "plotting.use()")
BACKTICKS = re.compile(r"^ *```+(\{[^}\n]*\}.*)$", re.M)
CODE = re.compile(r"^( *)```+ ?(?:python|py|bash|sh)\n(.*?)^\1```+$", re.M | re.S)
DECIMAL = re.compile(r"(?<![\w.])\d*\.\d+(?:e[-+]?\d+)?", re.I)
DIGITS = 7  # of a number in an output; the last ones hang on the machine
#: What an output must not hold, since it differs from run to run or from machine to machine.
PASSING = {
    "a time": re.compile(
        r"\b\d+(\.\d+)? ?(ns|us|µs|ms|s|secs?|seconds?|min|minutes?)\b|\b\d\d?:\d\d:\d\d\b|\b20\d\d-\d\d-\d\d\b"
    ),
    "a path": re.compile(r"(?<![\w.:/)\]])(~|/[A-Za-z][\w.-]*)/[\w./-]+|\b[A-Z]:\\\w+"),
    "an address": re.compile(r"\b0x([0-9a-f]{6,}|ADDRESS)\b", re.I),
}


def code_cells(notebook):
    return [(number, cell) for number, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code"]


def text_of(cell) -> str:
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


def tags_of(cell) -> list[str]:
    return cell["metadata"].get("tags", [])


def last_token(source: str) -> str:
    """The last token of Python source that is no comment."""
    passed_over = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.DEDENT, tokenize.ENDMARKER)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return ([""] + [token.string for token in tokens if token.type not in passed_over])[-1]


def is_heading(line: str) -> bool:
    return line.startswith("#")


def claims_of(notebook) -> list[dict]:
    """Stored data of every check that ran, in order."""
    found = []
    for _, cell in code_cells(notebook):
        for output in cell["outputs"]:
            data = output.get("metadata", {}).get("implicitly", {}).get("claim")
            if data:
                found.append(data)
    return found


def lint_setup(slug, notebook):
    """The first code cell is the guarded set-up cell, word for word, and not on the page."""
    cells = code_cells(notebook)
    if not cells or text_of(cells[0][1]).strip() != SETUP_CELL:
        yield "the first code cell must be book/_tools/setup_cell.py, word for word"
    elif "remove-cell" not in tags_of(cells[0][1]):
        yield "the set-up cell needs the tag remove-cell"


def lint_cells(slug, notebook):
    """Short, narrow cells; no silencing semicolon; a plot ends with plt.show(); a claim stands alone."""
    for number, cell in code_cells(notebook):
        lines = [line for line in text_of(cell).splitlines() if line.strip()]
        allowed = LINES_WITH_REASON if "long-cell" in tags_of(cell) else LINES
        if len(lines) > allowed:
            yield f"cell {number}: {len(lines)} non-blank lines, allowed {allowed}"
        if "long-cell" in tags_of(cell) and not any(line.lstrip().startswith("# long:") for line in lines):
            yield f"cell {number}: the tag long-cell needs a comment '# long: <reason>'"
        for line in lines:
            if len(line) > WIDTH:
                yield f"cell {number}: a line of {len(line)} characters, allowed {WIDTH}: {line.strip()[:40]}…"
        try:
            body = ast.parse(text_of(cell)).body
        except SyntaxError as error:
            yield f"cell {number}: {error}"
            continue
        if last_token(text_of(cell)) == ";":
            yield f"cell {number}: ends in ';', which nbval ignores; end with plt.show()"
        plots = any(isinstance(node, ast.Name) and node.id == "plt" for node in ast.walk(ast.Module(body, [])))
        if plots and not isinstance(body[-1], ast.FunctionDef) and ast.unparse(body[-1]) not in ENDS:
            yield f"cell {number}: uses plt and does not end with plt.show()"
        calls = any(is_claim_call(node) for node in ast.walk(ast.Module(body, [])))
        if calls and not is_claim_cell(text_of(cell)):
            yield f"cell {number}: a claim stands alone in its cell"


def lint_outputs(slug, notebook):
    """No errors, no stderr, images with alt text, and not too much of it."""
    size = 0
    for number, cell in code_cells(notebook):
        size += len(json.dumps(cell["outputs"]))
        for output in cell["outputs"]:
            if output["output_type"] == "error" or output.get("name") == "stderr":
                yield f"cell {number}: stores an error or stderr output"
            # an explorer says itself what it shows
            explorer = output.get("metadata", {}).get("implicitly", {}).get("explorer")
            has_image = not explorer and any(mime.startswith("image/") for mime in output.get("data", {}))
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            if has_image and not str(alt).strip():
                yield f"cell {number}: a figure without alt text (mystnb.image.alt)"
            if has_image and not cell["metadata"].get("mystnb", {}).get("figure", {}).get("caption"):
                yield f"cell {number}: a figure without a caption (mystnb.figure.caption)"
    if size > OUTPUT_BYTES:
        yield f"stored outputs of {size} bytes, allowed {OUTPUT_BYTES}"


def lint_printed(slug, notebook):
    """What a cell prints is the same everywhere: no times, paths, addresses, and no digits that rounding decides."""
    for number, cell in code_cells(notebook):
        for output in cell["outputs"]:
            text = output.get("text", output.get("data", {}).get("text/plain", ""))
            text = text if isinstance(text, str) else "".join(text)
            if text.startswith("<Figure size"):
                continue
            for what, pattern in PASSING.items():
                if found := pattern.search(text):
                    yield f"cell {number}: prints {what}: {found.group().strip()}"
            for found in DECIMAL.finditer(text):
                digits = re.sub(r"e.*|\.", "", found.group(), flags=re.I).lstrip("0")
                if len(digits) > DIGITS:
                    yield f"cell {number}: prints a number of {len(digits)} digits, allowed {DIGITS}: {found.group()}"


def lint_text(slug, notebook):
    """Colon fences, narrow code, and alt text of pictures in the text too."""
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "markdown":
            continue
        if IMAGE.search(text_of(cell)):
            yield f"cell {number}: a picture without alt text"
        for found in BACKTICKS.finditer(text_of(cell)):
            yield f"cell {number}: ```{found.group(1)} must be a colon fence, :::{found.group(1)}"
        for _, code in CODE.findall(text_of(cell)):
            for line in code.splitlines():
                if len(line) > WIDTH:
                    yield f"cell {number}: a line of {len(line)} characters, allowed {WIDTH}: {line.strip()[:40]}…"


def lint_prose(slug, notebook):
    """Prose before each code cell that is shown; what is folded may follow the code that it belongs to."""
    cells = notebook["cells"]
    for number, cell in code_cells(notebook):
        if "remove-cell" in tags_of(cell):
            continue
        before = [c for c in cells[:number] if "remove-cell" not in tags_of(c)]
        if before and before[-1]["cell_type"] == "code":
            if not {"hide-input", "hide-cell", "remove-input"} & set(tags_of(cell)):
                yield f"cell {number}: no prose before it, and its code is shown"
        elif not before or is_heading(text_of(before[-1]).rstrip().rpartition("\n")[2]):
            yield f"cell {number}: nothing but a heading before it"


def lint_claims(slug, notebook):
    """Every box has a check, every check has a box, and both belong to this chapter."""
    text = "\n".join(text_of(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    boxes = [label for _, label in BOX.findall(text) if CLAIM_ID.fullmatch(label)]
    claims = claims_of(notebook)
    checks = [(claim["id"], claim["check"]) for claim in claims]
    for label in sorted(set(boxes) | {id for id, _ in checks}):
        if not label.startswith(slug + "/"):
            yield f"{label}: not an id of this chapter ({slug}/C<k>)"
    for label in sorted(set(boxes) - {id for id, _ in checks}):
        yield f"{label}: a claim without a check"
    for label in sorted({id for id, _ in checks} - set(boxes)):
        yield f"{label}: a check without a claim box"
    for label in sorted({label for label in boxes if boxes.count(label) > 1}):
        yield f"{label}: two boxes with one id"
    for check in sorted({str(check) for check in checks if checks.count(check) > 1}):
        yield f"{check}: two checks with one name; give each its own check="


LINTS = [lint_setup, lint_cells, lint_outputs, lint_printed, lint_text, lint_prose, lint_claims]
ON_SOURCE = (lint_setup, lint_cells, lint_text, lint_prose)


def lint(slug: str, notebook) -> list[str]:
    """All problems of one executed notebook (a dict as nbformat stores it)."""
    return [f"{slug}: {problem}" for check in LINTS for problem in check(slug, notebook)]


def lint_source(slug: str, chapters: Path = CHAPTERS) -> list[str]:
    """Problems that show in the source alone, before anything has run."""
    notebook = read_source(chapters / f"{slug}.md")
    return [f"{slug}: {problem}" for check in ON_SOURCE for problem in check(slug, notebook)]


def main() -> int:
    problems = []
    for slug in sys.argv[1:] or slugs():
        path = CHAPTERS / f"{slug}.ipynb"
        problems += lint(slug, json.loads(path.read_text(encoding="utf-8"))) if path.exists() else lint_source(slug)
    print("\n".join(problems) or "no problems")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
