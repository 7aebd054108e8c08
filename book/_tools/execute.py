"""Run chapters: `chapters/<slug>.md` -> `chapters/<slug>.ipynb`, with outputs, the same bytes every time.

    python book/_tools/execute.py            runs what is stale
    python book/_tools/execute.py SLUG ...   runs these, stale or not
    python book/_tools/execute.py --check    runs nothing; fails if a notebook is stale
    python book/_tools/execute.py --strict   also fails if a chapter takes longer than it may
    python book/_tools/execute.py --force    replaces a notebook even if someone has edited its cells
"""

import argparse
import ast
import base64
import copy
import hashlib
import io
import json
import os
import re
import sys
import time
from pathlib import Path

from paths import CHAPTERS, ROOT, execution_environment, slugs
from reach import key

SECONDS_PER_CHAPTER = 30
SECONDS_PER_CELL = 600  # stops a hung cell, on a busy machine too; the budget above is what a chapter must meet
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

    The call of a claim is folded on the page: its line says the same in words.  JupyterLab gives a
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

    image = Image.open(io.BytesIO(base64.b64decode(data)))
    if image.mode == "P":  # an explorer's still: it is small already
        return data
    small = image.convert("RGBA").quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
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


def sources(notebook) -> str:
    """Hash of what a person writes in a notebook: the type and the source of every cell, in order.

    Outputs are left out, and so is metadata: JupyterLab keeps there what is scrolled and folded.
    """
    text = json.dumps([(cell.cell_type, cell.source) for cell in notebook.cells], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Edited(Exception):
    """A notebook holds what no run and no `.md` explains, and would be lost if it were replaced."""


def read_notebook(path: Path):
    """The notebook at `path`; None if there is no file or an empty one.

    Raises:
        Edited: the file holds something, and it is no notebook.
    """
    import nbformat

    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if not text.strip():
        return None
    try:
        notebook = nbformat.reader.reads(text)  # in the format that it has, and not validated twice
        nbformat.validate(notebook, version=4)
        return notebook
    except Exception as error:  # not JSON, not a notebook, or of a later format: nbformat has no common base class
        raise Edited("it cannot be read as a notebook") from error


def protect(slug: str, chapters: Path = CHAPTERS) -> None:
    """Raise `Edited` if replacing the chapter's notebook would lose what someone wrote in it.

    Nothing is lost when the cells are those that a run has stored, or those of the `.md`: JupyterLab saves by
    itself, also halfway through a run, and then only outputs differ.
    """
    notebook = read_notebook(chapters / f"{slug}.ipynb")
    if notebook is None:
        return
    stored, held = notebook.metadata.get("implicitly", {}), sources(notebook)
    if held == stored.get("sources") or content(notebook) == stored.get("content"):
        return
    if held != sources(read_source(chapters / f"{slug}.md")):
        raise Edited(f"its cells differ from those of chapters/{slug}.md and from those of its last run")


def refusal(slug: str, reason: Edited) -> str:
    """What to tell someone whose notebook was left as it is."""
    return (
        f"chapters/{slug}.ipynb was edited: {reason}.\n"
        f"  It is left as it is. Save your work under another name, or carry it over to chapters/{slug}.md;\n"
        f"  then `make execute CHAPTER={slug} FORCE=1` replaces the notebook."
    )


def execute(slug: str, chapters: Path = CHAPTERS, root: Path = ROOT, force: bool = False) -> float:
    """Write the executed notebook of one chapter; returns the seconds its cells took.

    Raises:
        Edited: someone has edited the notebook's cells, before or during the run, and `force` is off.
    """
    import nbformat

    source = chapters / f"{slug}.md"
    if not force:
        protect(slug, chapters)
    notebook = read_source(source)
    seconds = run(notebook, chapters)
    clean(notebook)
    notebook.metadata.setdefault("implicitly", {})["key"] = key(source, root)
    nbformat.validate(notebook)
    notebook.metadata["implicitly"]["sources"] = sources(notebook)
    notebook.metadata["implicitly"]["content"] = content(notebook)
    text = json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False)
    if not force:
        protect(slug, chapters)
    replace(source.with_suffix(".ipynb"), text + "\n")
    return seconds


def replace(path: Path, text: str) -> None:
    """Write a file whole or not at all, so that an interrupt leaves the old one."""
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def why_stale(slug: str, chapters: Path = CHAPTERS, root: Path = ROOT) -> str | None:
    """Why the stored notebook is not what its chapter would give now; None if it is.

    JupyterLab saves a notebook by itself, also halfway through a run, when its outputs are gone.
    """
    path = chapters / f"{slug}.ipynb"
    try:
        notebook = read_notebook(path)
    except Edited as reason:
        return str(reason)
    if notebook is None:
        return "it was never run"
    stored = notebook.metadata.get("implicitly", {})
    if stored.get("content") != content(notebook):
        return "it was changed after its run"
    if sources(notebook) != sources(read_source(chapters / f"{slug}.md")):
        return f"its text is not that of chapters/{slug}.md"
    if stored.get("key") != key(chapters / f"{slug}.md", root):
        return "its outputs were made with another library or lock, or another header of its .md"
    return None


def is_stale(slug: str, chapters: Path = CHAPTERS, root: Path = ROOT) -> bool:
    """Whether the stored notebook was made from something else than what is here now, or changed since."""
    return why_stale(slug, chapters, root) is not None


def main(root: Path = ROOT) -> int:
    chapters = root / "chapters"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("slugs", nargs="*", metavar="SLUG")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--force", action="store_true")
    options = parser.parse_args()
    unknown = set(options.slugs) - set(slugs(chapters))
    if unknown:
        parser.error(f"no such chapter: {', '.join(sorted(unknown))}; there are {', '.join(slugs(chapters))}")
    todo = options.slugs or [slug for slug in slugs(chapters) if is_stale(slug, chapters, root)]
    if options.check:
        for slug in todo:
            print(f"stale: chapters/{slug}.ipynb (run `make execute`): {why_stale(slug, chapters, root)}")
        return bool(todo)
    slow, edited = [], []
    for slug in todo:
        try:
            seconds = execute(slug, chapters, root, options.force)
        except Edited as reason:
            edited.append(refusal(slug, reason))
            continue
        print(f"{slug}: {seconds:.1f} s", flush=True)
        if seconds > SECONDS_PER_CHAPTER:
            slow.append(slug)
    for slug in slow:
        print(f"over the budget of {SECONDS_PER_CHAPTER} s: {slug}", file=sys.stderr)
    for sentence in edited:
        print(sentence, file=sys.stderr)
    # A busy or small machine is no fault of a chapter.
    return bool(edited) or (bool(slow) and options.strict)


if __name__ == "__main__":
    sys.exit(main())
