"""Lints of chapters: each returns a list of problems, in words, with the place.

    python book/_tools/lint.py [SLUG ...]

What Sphinx checks itself (citations, cross-references, formulas) is left to the build, where warnings are errors.
"""

import ast
import functools
import io
import json
import re
import sys
import tokenize
from pathlib import Path

from execute import is_claim_call, is_claim_cell, read_source
from paths import CHAPTERS, ROOT, slugs

sys.path.append(str(ROOT / "book/_ext"))
import claims_model
import glued_numbers
import main_text
import setting_symbols

LINES, LINES_WITH_REASON, WIDTH, OUTPUT_BYTES = 15, 25, 73, 1_000_000
DECISIVE = 10
SETUP_CELL = (Path(__file__).parent / "setup_cell.py").read_text(encoding="utf-8").strip()
BOX = re.compile(r"^:::+\{prf:(theorem|proposition|lemma|corollary)\}.*\n(?:^:[a-z]+:.*\n)*?^:label: (\S+)$", re.M)
CLAIM_ID = re.compile(r"[a-z0-9-]+/C\d+")
IMAGE = re.compile(r"!\[\s*\]\(")
ENDS = ("plt.show()", "plotting.use()")
MAIN_WORDS = 4000
FIVE_MINUTES = re.compile(r"\A# .+\n\s*(?:^<!--.*-->\s*)*^:{3,}\{five-minutes\}", re.M)
SETTING = re.compile(r"^## Setting\s*$", re.M)
#: A number that somebody typed: a decimal, a share, so many of so many.
TYPED = re.compile(
    r"(?<![\w.])\d+\.\d+(?![\w.]*\d)|(?<![\w.])\d+(?:\.\d+)? ?(?:%|per ?cent)|\b(?:\d+|all|none|most|half|one|two|three"
    r"|four|five|six|seven|eight|nine|ten|eleven|twelve) of (?:the |all )?\d+\b",
    re.I,
)
#: What says that a sentence reports what was measured.
REPORTS = re.compile(
    r"\b(?:errors?|accurac(?:y|ies)|falls?|fell|drops?|dropped|rises?|rose|grew|shrank|measured|against|instead of"
    r"|reach(?:es|ed)|agrees?|agreed|differs?|differed|median|on average|costs?|left with|c[oa]mes? out|ends? up)\b",
    re.I,
)
#: Numbers that are no results: a setting, after its name, and what refers to a figure or a version.
GIVEN = re.compile(
    r"\b(?:at|within|times?|step sizes?|learning rates?|scales?|noise|levels?|temperatures?|decay|momentum|widths?"
    r"|seeds?|thresholds?|tolerances?|probabilit(?:y|ies)|figs?\.|figures?|theorems?|sections?|tables?|chapters?|appendix"
    r"|versions?|Python|torch)(?: of| is| at|:)?\s+(?:and |or |to |, |[A-Z]?\d[\d.]*%?\s?)+|\bfrom \d[\d.]* on\b",
    re.I,
)
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


@functools.cache
def boxes_elsewhere() -> dict[str, claims_model.Box]:
    """The claims of all chapters by id, as their sources have them now."""
    texts = {slug: (CHAPTERS / f"{slug}.md").read_text(encoding="utf-8") for slug in slugs()}
    return {box.id: box for slug, text in texts.items() for box in claims_model.boxes_of([text], slug)}


def lint_uses(slug, notebook):
    """What a claim uses is there, and no claim rests on itself."""
    mine = claims_model.boxes_of([markdown_of(notebook)], slug)
    others = {name: box for name, box in boxes_elsewhere().items() if box.slug != slug}
    yield from claims_model.problems(others | {box.id: box for box in mine}, of=slug)


def markdown_of(notebook) -> str:
    return "\n\n".join(text_of(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown")


def calls_of(cell, name: str) -> list[ast.Call]:
    """The calls of a function whose name ends with `name` in a code cell."""
    try:
        tree = ast.parse(text_of(cell))
    except SyntaxError:
        return []
    named = lambda call: getattr(call.func, "id", getattr(call.func, "attr", "")).lower()  # noqa: E731
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and named(node).endswith(name)]


def lint_checks(slug, notebook):
    """One to ten checks are tagged decisive and stand in the text; the others of a section are folded together."""
    claims = [(number, is_claim_cell(text_of(cell))) for number, cell in code_cells(notebook)
              if "decisive" in tags_of(cell)]  # fmt: skip
    for number, is_claim in claims:
        if not is_claim:
            yield f"cell {number}: the tag decisive is for the cell of a claim"
    any_claim = any(is_claim_cell(text_of(cell)) for _, cell in code_cells(notebook))
    if len(claims) > DECISIVE or (any_claim and not claims):
        yield f"1 to {DECISIVE} cells of claims must have the tag decisive, found {len(claims)}"


def lint_glue(slug, notebook):
    """What the run glues the text quotes, and the other way round."""
    names = []
    for number, cell in code_cells(notebook):
        for call in calls_of(cell, "glue"):
            name = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "name"), None)
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                names.append(name.value)
            else:
                yield f"cell {number}: the name of glue must be written out, or nobody finds who quotes it"
    quoted = glued_numbers.quoted(notebook)
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name}: glued twice"
    for name in sorted(set(names) - quoted):
        yield f"{name}: glued, and no text quotes it"
    for name in sorted(quoted - set(names)):
        yield f"{name}: quoted in the text, and never glued"


def lint_order(slug, notebook):
    """Claims are numbered in the order of the page."""
    boxes = [label.rpartition("/")[2] for _, label in BOX.findall(markdown_of(notebook)) if CLAIM_ID.fullmatch(label)]
    wanted = [f"C{number}" for number in range(1, len(boxes) + 1)]
    if boxes != wanted:
        yield f"claim boxes in the order of the page are {', '.join(boxes)}; they must be {', '.join(wanted)}"


def lint_length(slug, notebook):
    """The text with its folds closed is read in twenty minutes or so."""
    words = main_text.words(notebook)
    if words > MAIN_WORDS:
        yield f"the main text has {words} words, folds and code not counted; allowed {MAIN_WORDS}"


def lint_opening(slug, notebook):
    """A chapter opens with its answer and with an explorer, before it sets anything up."""
    if not FIVE_MINUTES.search(markdown_of(notebook)):
        yield "no {five-minutes} directly below the title"
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and SETTING.search(text_of(cell)):
            yield "no explorer before the heading '## Setting'"
            return
        marks = [output.get("metadata", {}).get("implicitly", {}) for output in cell.get("outputs", ())]
        if cell["cell_type"] == "code" and (any("explorer" in mark for mark in marks) or calls_of(cell, "explorer")):
            break
    if not SETTING.search(markdown_of(notebook)):
        yield "no heading '## Setting'"


def lint_symbols(slug, notebook):
    """One letter, one meaning: no symbol stands twice in the table of the setting."""
    for _, *rows in setting_symbols.tables(markdown_of(notebook)):
        found = [symbol for row in rows for symbol in setting_symbols.symbols_of(row[0])]
        for symbol in sorted({symbol for symbol in found if found.count(symbol) > 1}):
            yield f"the symbol {symbol} stands twice in the table of symbols"


def lint_digits(slug, notebook):
    """Numbers that a sentence reports come from the run: they are glued, not typed."""
    for section, sentence in main_text.sentences(notebook):
        if section != "Setting" and REPORTS.search(sentence) and (found := TYPED.search(GIVEN.sub("□ ", sentence))):
            yield (
                f"{section or 'before the first section'}: {found.group()!r} is typed in a sentence that reports "
                f"a result: {sentence[:70]}… Glue it, or put a line '<!-- typed: why -->' above the paragraph"
            )


LINTS = [lint_setup, lint_cells, lint_outputs, lint_printed, lint_text, lint_prose, lint_claims, lint_uses, lint_checks,
         lint_glue, lint_order, lint_length, lint_opening, lint_symbols, lint_digits]  # fmt: skip
ON_SOURCE = [lint_setup, lint_cells, lint_text, lint_prose, lint_uses, lint_checks, lint_glue,
             lint_order, lint_length, lint_opening, lint_symbols, lint_digits]  # fmt: skip


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
