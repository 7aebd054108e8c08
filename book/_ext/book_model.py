"""What the book is made of, read once a build: plan, table of contents, chapters, claims, papers, kernels.

`book_of(app)` is the one model that all extensions share.  Each part of it is read when it is first asked for, and what
is not as it should be raises `BookError` with the file's name.  Files are read and Python is parsed: nothing of the
library, of the kernels or of torch is imported.
"""

from __future__ import annotations

import ast
import functools
import json
import re
import weakref
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType

import yaml
from sphinx.errors import ExtensionError

CHAPTERS = "chapters/"


class BookError(ExtensionError):
    """A source of the book that is not as it should be; the message names the file."""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BookError(f"{path} cannot be read: {error.strerror}") from error


def _yaml(path: Path):
    try:
        return yaml.safe_load(_read(path))
    except yaml.YAMLError as error:
        raise BookError(f"{path} is not YAML: {error}") from error


def _json(path: Path):
    try:
        return json.loads(_read(path))
    except ValueError as error:
        raise BookError(f"{path} is not JSON: {error}") from error


def _made(kind, values, where: str):
    """A `kind` from a mapping with the names of its fields; other names are left alone."""
    if not isinstance(values, dict):
        raise BookError(f"{where} must be a mapping, found {values!r}")
    names = [field.name for field in fields(kind)]
    missing = [name for name in names if name not in values]
    if missing:
        raise BookError(f"{where} has no {', '.join(missing)}")
    return kind(**{name: values[name] for name in names})


# --- plan and table of contents ------------------------------------------------------------------


@dataclass(frozen=True)
class Planned:
    """A chapter as `book/plan.yml` has it; its number is its place there."""

    slug: str
    title: str
    number: int
    numeral: str
    part: str

    @property
    def docname(self) -> str:
        return CHAPTERS + self.slug


@dataclass(frozen=True)
class Part:
    """A part of `book/plan.yml`; `drawing` is the name of a file in `book/_static/drawings`."""

    numeral: str
    name: str
    drawing: str
    chapters: tuple[Planned, ...]


@dataclass(frozen=True)
class Listed:
    """A chapter of `_toc.yml` and the numeral of its part there."""

    docname: str
    numeral: str


# --- chapters ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """One stored check of a claim, as `implicitly.claims` describes it. All of them hold: one that fails raises."""

    id: str
    check: str | None
    statement: str
    math: str | None
    relation: str
    measured: float
    stated: float
    within: float | None
    over: str
    seeds: list[int] | None
    used: float
    anchor: str
    display: dict[str, str]

    @property
    def short(self) -> str:
        """C3, of the id stable-minima/C3."""
        return self.id.rsplit("/", 1)[1]

    @property
    def number(self) -> int:
        return int(self.short.removeprefix("C"))


@dataclass(frozen=True)
class Header:
    """The `implicitly` block of a chapter's header, which its notebook keeps as metadata; "" for what it leaves out."""

    question: str = ""
    paper: str = ""
    needs: str = ""
    kernel: str = ""
    runs_in: str = ""


@dataclass(frozen=True)
class Chapter:
    """A chapter's stored notebook."""

    docname: str
    path: Path
    notebook: dict

    @property
    def slug(self) -> str:
        return self.docname.removeprefix(CHAPTERS)

    @functools.cached_property
    def title(self) -> str:
        """Its heading of the first level, as Markdown; the name of its page if it has none."""
        for cell in self.notebook["cells"]:
            if cell["cell_type"] == "markdown" and (found := re.search(r"^# (.+)$", source_of(cell), re.M)):
                return found[1]
        return self.docname

    @functools.cached_property
    def header(self) -> Header:
        block = self.notebook["metadata"].get("implicitly", {})
        text = {key: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
                for key, value in block.items() if value}  # fmt: skip
        return Header(**{field.name: text[field.name] for field in fields(Header) if field.name in text})

    @functools.cached_property
    def claims(self) -> tuple[Claim, ...]:
        """The checks in its outputs, in the order in which they ran."""
        return tuple(claim for cell in self.notebook["cells"] for claim in self.claims_of(cell))

    @functools.cached_property
    def decisive(self) -> set[str]:
        """Anchors of the checks in cells with the tag `decisive`."""
        return {claim.anchor for cell in self.notebook["cells"] for claim in self.claims_of(cell)
                if "decisive" in cell["metadata"].get("tags", ())}  # fmt: skip

    def claims_of(self, cell: dict) -> list[Claim]:
        """The checks that a cell stores."""
        found, where = [], f"{self.path}: the claim that cell {cell.get('id', '')!r} stores"
        for output in cell.get("outputs", ()):
            if (stored := output.get("metadata", {}).get("implicitly", {}).get("claim")) is not None:
                found.append(_made(Claim, stored, where))
                if not re.fullmatch(r"[a-z0-9-]+/C\d+", found[-1].id):
                    raise BookError(f"{where} has the id {found[-1].id!r}; an id is like stable-minima/C3")
        return found

    @functools.cached_property
    def code(self) -> tuple[str, ...]:
        """The sources of its code cells."""
        return tuple(source_of(cell) for cell in self.notebook["cells"] if cell["cell_type"] == "code")


def source_of(cell: dict) -> str:
    """The text of a notebook's cell, which is stored whole or by lines."""
    return "".join(cell["source"])


def read_chapter(docname: str, path: Path) -> Chapter:
    notebook = _json(path)
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise BookError(f"{path} is no notebook: it has no list of cells")
    return Chapter(docname, path, notebook)


# --- papers --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Paper:
    """An entry of the bibliography, in plain text."""

    key: str
    title: str
    authors: tuple[str, ...]
    year: str
    address: str

    @property
    def short_authors(self) -> str:
        """One name, two names, or the first and et al."""
        return " and ".join(self.authors) if len(self.authors) < 3 else f"{self.authors[0]} et al."


def read_papers(path: Path) -> dict[str, Paper]:
    from pybtex.database import PybtexError, parse_file

    try:
        entries = parse_file(str(path), bib_format="bibtex").entries
    except (OSError, PybtexError) as error:
        raise BookError(f"{path}: {error}") from error
    return {key: _paper(key, entry) for key, entry in entries.items()}


def _paper(key: str, entry) -> Paper:
    plain = lambda text: re.sub(r"[{}]", "", text)  # noqa: E731
    names = [" ".join(person.prelast_names + person.last_names) for person in entry.persons.get("author", [])]
    fields = entry.fields
    if "eprint" in fields:
        address = f"https://arxiv.org/abs/{fields['eprint']}"
    elif "url" in fields or "doi" in fields:
        address = fields.get("url") or f"https://doi.org/{fields['doi']}"
    else:
        address = ""
    return Paper(key, plain(fields.get("title", "")), tuple(map(plain, names)), fields.get("year", ""), address)


# --- kernels -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Op:
    """A kernel's op: what its `spec.py` declares, and the results that its benchmarks wrote."""

    name: str
    folder: Path
    spec: MappingProxyType
    results: tuple[dict, ...]

    def declared(self, name: str):
        """The literal that `spec.py` gives `name`."""
        try:
            return self.spec[name]
        except KeyError:
            raise BookError(f"{self.folder}/spec.py does not give {name} a literal value") from None


def constants(path: Path) -> dict:
    """The literal assignments of a Python file, without running it."""
    found = {}
    for node in ast.parse(_read(path), path).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


def read_ops(kernels: Path) -> dict[str, Op]:
    """Every folder of the kernels that has a `spec.py`, by name."""
    found = {}
    for spec in sorted(kernels.glob("implicitly_kernels/*/spec.py")):
        name = spec.parent.name
        results = tuple(_json(path) for path in sorted((kernels / "benchmarks/results").glob(f"{name}--*.json")))
        found[name] = Op(name, spec.parent, MappingProxyType(constants(spec)), results)
    return found


# --- the book ------------------------------------------------------------------------------------


class Book:
    """The book whose sources lie in `root`. What is asked for twice is read once."""

    def __init__(self, root: Path, bibliographies: tuple[str, ...] = ("book/references.bib",)):
        self.root, self.bibliographies = Path(root), tuple(bibliographies)
        self._chapters: dict[str, Chapter] = {}

    @functools.cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the plan."""
        path = self.root / "book/plan.yml"
        found, number = [], 0
        try:
            for part in _yaml(path)["parts"]:
                chapters = []
                for chapter in part["chapters"]:
                    number += 1
                    chapters.append(Planned(chapter["slug"], chapter["title"], number, part["numeral"], part["name"]))
                found.append(Part(part["numeral"], part["name"], part["drawing"], tuple(chapters)))
        except (KeyError, TypeError) as error:
            raise BookError(f"{path} is not a plan: part {len(found) + 1} has no {error}") from error
        return tuple(found)

    @functools.cached_property
    def planned(self) -> dict[str, Planned]:
        """The chapters of the plan by slug, in its order."""
        return {chapter.slug: chapter for part in self.parts for chapter in part.chapters}

    @functools.cached_property
    def listed(self) -> tuple[Listed, ...]:
        """The chapters of `_toc.yml`, in its order."""
        path = self.root / "_toc.yml"
        try:
            return tuple(Listed(entry["file"], part["caption"].split("·")[0].strip())
                         for part in _yaml(path)["parts"] for entry in part["chapters"]
                         if entry["file"].startswith(CHAPTERS))  # fmt: skip
        except (KeyError, TypeError) as error:
            raise BookError(f"{path} is not a table of contents by parts: it has no {error}") from error

    def chapter(self, docname: str) -> Chapter:
        if docname not in self._chapters:
            self._chapters[docname] = read_chapter(docname, self.root / f"{docname}.ipynb")
        return self._chapters[docname]

    @property
    def chapters(self) -> list[Chapter]:
        """The chapters of `_toc.yml`."""
        return [self.chapter(listed.docname) for listed in self.listed]

    @functools.cached_property
    def papers(self) -> dict[str, Paper]:
        """The papers of the bibliographies by key."""
        return {key: paper for name in self.bibliographies for key, paper in read_papers(self.root / name).items()}

    @functools.cached_property
    def chapter_of(self) -> dict[str, Planned]:
        """The chapter that is about a paper, by the paper's address."""
        about = [(self.papers.get(chapter.header.paper), self.planned.get(chapter.slug)) for chapter in self.chapters]
        return {paper.address: planned for paper, planned in about if paper and planned}

    @functools.cached_property
    def neighbours(self):
        """The papers around the book; a claim that one names as its lab is held to what its chapter stores."""
        from neighbours_model import sound_neighbours  # which raises this module's errors

        return sound_neighbours(self)

    @functools.cached_property
    def agreements(self):
        from agreements_model import read_agreements  # which raises this module's errors

        return read_agreements(self.root / "tests/peers/agreements.json")

    @functools.cached_property
    def boxes(self):
        from claims_model import sound_boxes  # which raises this module's errors

        return sound_boxes(self)

    @functools.cached_property
    def ops(self) -> dict[str, Op]:
        return read_ops(self.root / "kernels")

    @functools.cached_property
    def library(self):
        from library_model import Library  # which raises this module's errors

        return Library(self.root)

    @functools.cached_property
    def kernel_resources(self) -> dict:
        """Registers and spills by version of Triton, architecture and variant; empty where none were recorded."""
        path = self.root / "kernels/resources.json"
        return _json(path)["measured"] if path.is_file() else {}


_BOOKS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def book_of(app) -> Book:
    """The book that a Sphinx application builds: one for each build."""
    if app not in _BOOKS:
        _BOOKS[app] = Book(Path(app.srcdir), getattr(app.config, "bibtex_bibfiles", ()))
    return _BOOKS[app]


def is_chapter(docname: str) -> bool:
    return docname.startswith(CHAPTERS) and docname != CHAPTERS
