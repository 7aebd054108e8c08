"""The papers around the book, from `book/neighbours.yml`, each held to what the page and the chapters need of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from book_model import Book, BookError, Paper, Planned, _yaml

FILE = "book/neighbours.yml"
#: How a paper is near a chapter, and how the page says it.
KINDS = {"question": "same question", "tool": "same tool", "opposite": "opposite answer"}
TEXTS = ("id", "title", "author", "arxiv", "gist", "sentence")
OPTIONAL = ("venue", "note", "aside")
ID, ARXIV = re.compile(r"[a-z]+(-[a-z]+)*-\d{4}-[a-z0-9]+"), re.compile(r"\d{4}\.\d{5}(v\d+)?")
MOST = 41  # characters of author, year and gist: the picture has room for so many


@dataclass(frozen=True)
class Relation:
    """How a paper is near a chapter; `lab` is the claim of the chapter that tries an idea of the paper, or ""."""

    chapter: str
    kind: str
    words: str
    lab: str = ""


@dataclass(frozen=True)
class Neighbour:
    """A paper; near some chapter, in the book's order, or aside, on a subject that is none of the book's."""

    id: str
    title: str
    author: str
    year: int
    arxiv: str
    gist: str
    sentence: str
    venue: str = ""
    note: str = ""
    aside: str = ""
    near: tuple[Relation, ...] = ()
    others: bool = False  # whether it is known to have more authors than the first

    @property
    def number(self) -> str:
        """Its number on arXiv, of no version."""
        return self.arxiv.partition("v")[0]

    @property
    def of_any_version(self) -> str:
        """Its address as the bibliography has it."""
        return f"https://arxiv.org/abs/{self.number}"

    @property
    def address(self) -> str:
        return f"https://arxiv.org/abs/{self.arxiv}"

    @property
    def short(self) -> str:
        return f"{self.author} {self.year}"

    @property
    def who(self) -> str:
        """Prieto, 2025; ICLR 2025"""
        name = f"{self.author} and others" if self.others else self.author
        return f"{name}, {self.year}; {self.venue}" if self.venue else f"{name}, {self.year}"


def _named(entry, names: tuple[str, ...], optional: tuple[str, ...], where: str) -> None:
    """Raise for an entry that lacks a name, has one that nothing reads, or a text that is none."""
    if not isinstance(entry, dict):
        raise BookError(f"{where} must be a mapping, found {entry!r}")
    if missing := [name for name in names if name not in entry]:
        raise BookError(f"{where} has no {', '.join(missing)}")
    if unknown := sorted(set(entry) - {*names, *optional}):
        raise BookError(f"{where} has {', '.join(map(str, unknown))}, which nothing reads")
    for name in {*names, *optional} & set(entry) - {"year", "near"}:
        if not isinstance(entry[name], str) or not entry[name].strip():
            raise BookError(f"{where}: {name} must be a text, found {entry[name]!r}; numbers need quotes")


def _relation(entry, where: str, planned: Mapping[str, Planned]) -> Relation:
    _named(entry, ("chapter", "kind", "words"), ("lab",), f"{where}: what it is near")
    relation = Relation(**entry)
    if relation.chapter not in planned:
        raise BookError(f"{where} is near the chapter {relation.chapter!r}, which is not in book/plan.yml")
    if relation.kind not in KINDS:
        raise BookError(f"{where} has the kind {relation.kind!r}; the kinds are {', '.join(KINDS)}")
    if relation.lab and not re.fullmatch(re.escape(relation.chapter) + r"/C\d+", relation.lab):
        raise BookError(f"{where}: lab must be a claim of its chapter, such as {relation.chapter}/C3, "
                        f"found {relation.lab!r}")  # fmt: skip
    return relation


def _neighbour(entry, where: str, planned: Mapping[str, Planned], joint: set[str]) -> Neighbour:
    _named(entry, (*TEXTS, "year"), (*OPTIONAL, "near"), where)
    if not ID.fullmatch(entry["id"]):
        raise BookError(f"{where}: an id is first author, year and a word of the title, like prieto-2025-grokking")
    if not ARXIV.fullmatch(entry["arxiv"]):
        raise BookError(f"{where}: arxiv must be like 2501.04697 or 2501.04697v1, found {entry['arxiv']!r}")
    if not isinstance(entry["year"], int) or str(entry["year"]) not in entry["id"].split("-"):
        raise BookError(f"{where}: year must be the whole number in its id, found {entry['year']!r}")
    if len(label := f"{entry['author']} {entry['year']} {entry['gist']}") > MOST:
        raise BookError(f"{where}: {label!r} has {len(label)} characters, and the picture has room for {MOST}; "
                        "shorten its gist")  # fmt: skip
    if ("near" in entry) == ("aside" in entry):
        raise BookError(f"{where} must have either near or aside")
    near = entry.get("near", [])
    if not isinstance(near, list) or ("near" in entry and not near):
        raise BookError(f"{where}: near must be a list of relations, found {near!r}")
    relations = [_relation(relation, where, planned) for relation in near]
    chapters = [relation.chapter for relation in relations]
    if twice := [slug for slug in dict.fromkeys(chapters) if chapters.count(slug) > 1]:
        raise BookError(f"{where} is near the chapter {twice[0]!r} twice")
    relations.sort(key=lambda relation: planned[relation.chapter].number)
    texts = {name: " ".join(entry[name].split()) for name in (*TEXTS, *OPTIONAL) if name in entry}
    return Neighbour(**texts, year=entry["year"], near=tuple(relations),
                     others=entry["arxiv"].partition("v")[0] in joint)  # fmt: skip


def read_neighbours(root: Path, planned: Mapping[str, Planned], papers: Mapping[str, Paper]) -> tuple[Neighbour, ...]:
    """The papers of `book/neighbours.yml`, in its order."""
    path = root / FILE
    data = _yaml(path)
    entries = data.get("papers") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        raise BookError(f"{path} has no list `papers`")
    joint = {paper.address.rpartition("/")[2] for paper in papers.values() if len(paper.authors) > 1}
    found: dict[str, Neighbour] = {}
    for number, entry in enumerate(entries, 1):
        name = entry.get("id") if isinstance(entry, dict) else None
        paper = _neighbour(entry, f"{path}: entry {number} ({name!r})", planned, joint)
        if paper.id in found:
            raise BookError(f"{path}: two entries have the id {paper.id!r}")
        if (same := {other.number: other.id for other in found.values()}.get(paper.number)) is not None:
            raise BookError(f"{path}: {same!r} and {paper.id!r} are the same paper, arXiv {paper.arxiv}")
        found[paper.id] = paper
    return tuple(found.values())


def sound_neighbours(book: Book) -> tuple[Neighbour, ...]:
    """The papers, none of them near the chapter that is about it; a lab is held to what its chapter stores."""
    found = read_neighbours(book.root, book.planned, book.papers)
    listed, where = {chapter.docname for chapter in book.listed}, book.root / FILE
    for paper in found:
        own = book.chapter_of.get(paper.of_any_version)
        if own and own.slug in {relation.chapter for relation in paper.near}:
            raise BookError(f"{where}: {paper.id!r} is near the chapter {own.slug!r}, which is about it")
    for name, relation in [(paper.id, near) for paper in found for near in paper.near if near.lab]:
        docname = book.planned[relation.chapter].docname
        if docname in listed and relation.lab not in {claim.id for claim in book.chapter(docname).claims}:
            raise BookError(f"{where}: {name!r} has the lab {relation.lab!r}, of which its chapter stores "
                            "no check")  # fmt: skip
    return found
