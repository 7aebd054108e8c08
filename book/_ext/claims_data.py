"""`claims.json` beside the claims page: all claims and checks for programs, held to a JSON Schema that is versioned.

`{claims-data}` documents the format on the page, from the schema itself.  A new version gets a schema of its own, and
this module writes that one; the file of an earlier version stays.
"""

from __future__ import annotations

import html
import json
from pathlib import Path

import jsonschema
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from book_model import Book, BookError, Chapter, Claim, _json, book_of
from claims_model import Box
from claims_page import PAGE, raw
from map_picture import shown
from plain_notebooks import References, Writer, numbered
from rebuild import git

VERSION = 1
SCHEMA = f"book/_static/claims-v{VERSION}.schema.json"
FILE = "book/claims.json"


def schema_of(root: Path) -> dict:
    return _json(root / SCHEMA)


def commit_of(root: Path, path: str) -> str | None:
    """The last commit that changed a file that has not changed since; None where git does not know."""
    if git(root, "rev-parse", "--is-shallow-repository") != "false" or git(root, "status", "--porcelain", "--", path):
        return None
    return git(root, "log", "-1", "--format=%H", "--", path) or None


def check_data(check: Claim, page: str) -> dict:
    return {"name": check.check, "statement": check.statement, "tex": check.math, "relation": check.relation,
            "measured": check.measured, "stated": check.stated, "tolerance": check.within,
            "used": check.used, "over": check.over, "seeds": check.seeds,
            "address": f"{page}#{check.anchor}"}  # fmt: skip


def claim_data(box: Box, chapter: Chapter, writer: Writer, commit: str | None) -> dict:
    page = writer.references.page(chapter.docname)
    return {
        "id": box.id, "chapter": box.slug, "kind": box.kind, "title": box.title,
        "statement": "\n".join(writer.markdown(list(box.body))).strip(),
        "status": box.status or "not-proved", "uses": list(box.uses),
        "address": f"{page}#{box.id}", "commit": commit,
        "checks": [check_data(check, page) for check in chapter.claims if check.id == box.id],
    }  # fmt: skip


def data(book: Book, references: References) -> dict:
    """All claims of a book, as the schema describes them; raises where one does not fit it.

    `references` are those of `plain_notebooks`, with the labels of all chapters.
    """
    boxes, schema = book.boxes, schema_of(book.root)
    claims = []
    for chapter in book.chapters:
        writer = Writer.of(chapter, references)
        commit = commit_of(book.root, f"{chapter.docname}.ipynb")
        claims += [claim_data(box, chapter, writer, commit) for box in boxes.values() if box.slug == chapter.slug]
    made = {"$schema": schema["$id"], "version": VERSION, "book": references.address, "claims": claims}
    wrong = jsonschema.Draft202012Validator(schema).iter_errors(made)
    if found := [f"{FILE}: {'/'.join(map(str, error.absolute_path))}: {error.message}" for error in wrong]:
        raise BookError("\n".join(found))
    return made


def written(made: dict) -> str:
    """As JSON, a claim a line, so that a comparison of two files shows which have changed."""
    short = lambda value: json.dumps(value, ensure_ascii=False)  # noqa: E731
    head = "".join(f" {short(name)}: {short(value)},\n" for name, value in made.items() if name != "claims")
    return f'{{\n{head} "claims": [\n' + ",\n".join(map(short, made["claims"])) + "\n]}\n"


def write(app, error) -> None:
    """build-finished: the file, beside the page."""
    if error or app.builder.format != "html" or PAGE not in app.env.found_docs:
        return
    text = written(data(book_of(app), numbered(app)))
    target = Path(app.outdir) / FILE
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")


# --- on the page ---------------------------------------------------------------------------------


NAMES = {"string": "text", "integer": "whole number", "number": "number", "null": "null"}


def type_of(field: dict) -> str:
    """HTML of a field's type: text; number or null; list of claims."""
    if "$ref" in field:
        return html.escape(field["$ref"].rpartition("/")[2])
    if "enum" in field:
        return ", ".join(f"<code>{html.escape(value)}</code>" for value in field["enum"])
    if "const" in field:
        return "text" if isinstance(field["const"], str) else f"always {field['const']}"
    kinds = [field["type"]] if isinstance(field["type"], str) else field["type"]
    return " or ".join(f"list of {type_of(field['items'])}s" if kind == "array" else NAMES[kind] for kind in kinds)


def fields_of(schema: dict) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Of the file, of a claim and of a check, the fields: name, HTML of the type, what it is."""
    kinds = [("The file", schema)]
    kinds += [(kind["title"], kind) for kind in schema["$defs"].values() if "properties" in kind]
    return [(title, [(name, type_of(field), field["description"]) for name, field in kind["properties"].items()])
            for title, kind in kinds]  # fmt: skip


class ClaimsData(SphinxDirective):
    """`{claims-data}`: where the file and its schema are, and what each name in it means."""

    def run(self):
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / SCHEMA))
        schema = schema_of(root)
        up = "../" * self.env.docname.count("/")
        links = (f'<p class="im-data-links"><a href="{html.escape(Path(FILE).name)}" download>claims.json</a> '
                 f'<a href="{up}_static/{Path(SCHEMA).name}">its JSON Schema, version {VERSION}</a></p>')  # fmt: skip
        made: list[nodes.Node] = [raw(links)]
        for title, fields in fields_of(schema):
            body = "".join(f'<tr><th scope="row"><code>{html.escape(name)}</code></th><td>{kind}</td>'
                           f"<td>{shown(said)}</td></tr>" for name, kind, said in fields)  # fmt: skip
            made.append(raw(
                f'<div class="im-scroll"><table class="im-data"><caption>{html.escape(title)}</caption><thead><tr>'
                f'<th scope="col">name</th><th scope="col">type</th><th scope="col">what it is</th></tr></thead>'
                f"<tbody>{body}</tbody></table></div>"))  # fmt: skip
        return made


def setup(app):
    app.add_directive("claims-data", ClaimsData)
    app.connect("build-finished", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
