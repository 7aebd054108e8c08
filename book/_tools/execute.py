"""Run chapters: `chapters/<slug>.md` -> `chapters/<slug>.ipynb`, with outputs, the same bytes every time.

    python book/_tools/execute.py            runs what is stale
    python book/_tools/execute.py SLUG ...   runs these, stale or not
    python book/_tools/execute.py --check    runs nothing; fails if a notebook is stale
    python book/_tools/execute.py --strict   also fails if a chapter takes longer than it may
"""

import argparse
import ast
import base64
import copy
import hashlib
import io
import json
import re
import sys
import time
from pathlib import Path

from paths import CHAPTERS, ROOT, execution_environment, key, slugs

SECONDS_PER_CHAPTER = 30
SECONDS_PER_CELL = 120  # stops a hung cell; the budget above is what a chapter must meet
# not inside base64, where such letters come up by chance
ADDRESS = re.compile(r"(?<![A-Za-z0-9+/])0x[0-9a-fA-F]{6,}(?![A-Za-z0-9+/])")
MARGIN = re.compile(r"^(:{3,}\{margin\}.*\n)(?!:class:)", re.MULTILINE)
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def is_claim_call(node) -> bool:
    """Whether a syntax node is a call of `claim`."""
    return isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", None)) == "claim"


def is_claim_cell(source: str) -> bool:
    """Whether a cell holds calls of `claim` and nothing else."""
    try:
        body = ast.parse(source).body
    except SyntaxError:  # a magic; what does not run fails when it is run
        return False
    return bool(body) and all(isinstance(node, ast.Expr) and is_claim_call(node.value) for node in body)


def read_source(path: Path):
    """The notebook that a MyST source describes, without outputs, with ids that depend on content only.

    The call of a claim is folded on the page: the box below it says the same in words.  JupyterLab gives a
    margin note no height, so that it lies over the next paragraph, unless its class is `contents`.
    """
    import jupytext

    notebook = jupytext.read(path)
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\0{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        if cell.cell_type == "code" and is_claim_cell(cell.source):
            cell.metadata["tags"] = sorted({*cell.metadata.get("tags", []), "hide-input"})
        if cell.cell_type == "markdown":
            cell.source = MARGIN.sub(r"\1:class: contents\n", cell.source)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def run(notebook, folder: Path) -> float:
    """Execute in place, in a fresh kernel; returns seconds taken. Raises on the first failing cell."""
    from nbclient import NotebookClient
    from traitlets.config import Config

    client = NotebookClient(
        notebook,
        # The kernel warns on stderr of a channel that is not encrypted.
        config=Config(KernelManager={"transport_encryption": "auto"}),
        timeout=SECONDS_PER_CELL,
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(folder)}},
    )
    start = time.perf_counter()
    client.execute(env=execution_environment())
    return time.perf_counter() - start


def shrink_png(data: str) -> str:
    """A base64 PNG with at most 128 colours: a third of the size, no visible change."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")
    small = image.quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    small.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def merge_streams(outputs) -> list:
    """Neighbouring pieces of one stream as one: where a kernel cuts its text depends on timing."""
    merged = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output.output_type == "stream" == last.get("output_type") and output.name == last["name"]:
            last["text"] += output.text
        else:
            merged.append(output)
    return merged


def clean(notebook) -> None:
    """Drop from the outputs what changes from run to run."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        cell.outputs = merge_streams(cell.outputs)
        for output in cell.outputs:
            data = output.get("data", {})
            data.pop(WIDGET_VIEW, None)
            if "image/png" in data:
                data["image/png"] = shrink_png(data["image/png"])
            for mime, text in data.items():
                if mime.startswith("text/"):
                    data[mime] = ADDRESS.sub("0xADDRESS", text)
            if "text" in output:
                output["text"] = ADDRESS.sub("0xADDRESS", output["text"])
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)


def content(notebook) -> str:
    """Hash of all that a notebook holds, but for where this hash is kept."""
    bare = copy.deepcopy(notebook)
    bare.metadata.get("implicitly", {}).pop("content", None)
    text = json.dumps(bare, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def execute(slug: str, chapters: Path = CHAPTERS, root: Path = ROOT) -> float:
    """Write the executed notebook of one chapter; returns the seconds its cells took."""
    import nbformat

    source = chapters / f"{slug}.md"
    notebook = read_source(source)
    seconds = run(notebook, chapters)
    clean(notebook)
    notebook.metadata.setdefault("implicitly", {})["key"] = key(source, root)
    nbformat.validate(notebook)
    notebook.metadata["implicitly"]["content"] = content(notebook)
    text = json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False)
    source.with_suffix(".ipynb").write_text(text + "\n", encoding="utf-8")
    return seconds


def is_stale(slug: str, chapters: Path = CHAPTERS, root: Path = ROOT) -> bool:
    """Whether the stored notebook was made from something else than what is here now, or changed since.

    JupyterLab saves a notebook by itself, also halfway through a run, when its outputs are gone.
    """
    import nbformat

    path = chapters / f"{slug}.ipynb"
    if not path.exists():
        return True
    try:
        notebook = nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError):
        return True
    stored = notebook.metadata.get("implicitly", {})
    made_from, held = stored.get("key"), stored.get("content")
    return made_from != key(chapters / f"{slug}.md", root) or held != content(notebook)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("slugs", nargs="*", metavar="SLUG")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--strict", action="store_true")
    options = parser.parse_args()
    unknown = set(options.slugs) - set(slugs())
    if unknown:
        parser.error(f"no such chapter: {', '.join(sorted(unknown))}; there are {', '.join(slugs())}")
    todo = options.slugs or [slug for slug in slugs() if is_stale(slug)]
    if options.check:
        for slug in todo:
            print(f"stale: chapters/{slug}.ipynb (run `make execute`)")
        return bool(todo)
    slow = []
    for slug in todo:
        seconds = execute(slug)
        print(f"{slug}: {seconds:.1f} s", flush=True)
        if seconds > SECONDS_PER_CHAPTER:
            slow.append(slug)
    for slug in slow:
        print(f"over the budget of {SECONDS_PER_CHAPTER} s: {slug}", file=sys.stderr)
    # A busy or small machine is no fault of a chapter.
    return bool(slow) and options.strict


if __name__ == "__main__":
    sys.exit(main())
