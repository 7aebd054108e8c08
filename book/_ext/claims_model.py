"""What claims are and which claims they use, read from the boxes in the chapters' text, by the build and the lints.

    :::{prf:theorem} Stable minima bend little
    :label: stable-minima/C3
    :class: proved
    :uses: C1, C2, random-orderings/C1

C1 and C2 are claims of the same chapter.  `Book.boxes` holds the boxes of all chapters, and the whole is sound: each
use names a claim that there is, and no claim comes to rest on itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from book_model import Book, BookError, source_of
from plain_notebooks import Directive, blocks

ID = re.compile(r"[a-z0-9-]+/C[1-9]\d*")
SHORT = re.compile(r"C[1-9]\d*")
#: The classes of a box, the first of which is its status.
STATUS = ("proved", "partly-proved", "not-proved", "measured")


@dataclass(frozen=True)
class Box:
    """A claim as its chapter states it: `body` is MyST, `status` "" where the box has none, `uses` are whole ids."""

    id: str
    kind: str
    title: str
    status: str
    uses: tuple[str, ...]
    body: tuple[str, ...]

    @property
    def slug(self) -> str:
        return self.id.rpartition("/")[0]

    @property
    def short(self) -> str:
        return self.id.rpartition("/")[2]


def boxes_of(texts: Iterable[str], slug: str) -> list[Box]:
    """The claim boxes in pieces of a chapter's text, in order, also those in folds."""

    def walk(lines: list[str]) -> Iterator[Box]:
        for block in blocks(lines):
            if not isinstance(block, Directive):
                continue
            label = block.options.get("label", "")
            if block.name.startswith("prf:") and ID.fullmatch(label):
                classes = block.options.get("class", "").split()
                names = [name.strip() for name in block.options.get("uses", "").split(",") if name.strip()]
                yield Box(label, block.name.removeprefix("prf:"), block.argument,
                          next((name for name in classes if name in STATUS), ""),
                          tuple(f"{slug}/{name}" if SHORT.fullmatch(name) else name for name in names),
                          tuple(block.body))  # fmt: skip
            yield from walk(block.body)

    return [box for text in texts for box in walk(text.split("\n"))]


def cycles(boxes: Mapping[str, Box]) -> Iterator[list[str]]:
    """Ways from a claim over claims that are used back to itself; each begins and ends with that claim."""
    graph = {name: [used for used in dict.fromkeys(box.uses) if used in boxes] for name, box in boxes.items()}
    while True:
        try:
            TopologicalSorter(graph).prepare()
            return
        except CycleError as error:
            found = error.args[1][:0:-1]  # each uses the next, and the last the first
            first = found.index(min(found))
            found = found[first:] + found[: first + 1]
            yield found
            graph[found[0]].remove(found[1])


def problems(boxes: Mapping[str, Box], of: str | None = None) -> list[str]:
    """What is wrong with the uses, each with the claim's id; with `of` the claims of this chapter alone."""
    found = []
    for box in boxes.values():
        if of not in (None, box.slug):
            continue
        for used in dict.fromkeys(box.uses):
            if not ID.fullmatch(used):
                found.append(f"{box.id} uses {used!r}; write C2, or stable-minima/C3 for a claim of another chapter")
            elif used not in boxes:
                found.append(f"{box.id} uses {used}, and there is no such claim")
            if box.uses.count(used) > 1:
                found.append(f"{box.id} uses {used} twice")
    for way in cycles(boxes):
        if of is None or any(name.startswith(f"{of}/") for name in way):
            found.append(f"{way[0]} rests on itself: " + ", which uses ".join(way))
    return found


def sound_boxes(book: Book) -> dict[str, Box]:
    """The boxes of all claims of a book by id, in its order; raises where a use, or a check, has no box."""
    texts = {chapter.slug: [source_of(cell) for cell in chapter.notebook["cells"] if cell["cell_type"] == "markdown"]
             for chapter in book.chapters}  # fmt: skip
    found = {box.id: box for slug, pieces in texts.items() for box in boxes_of(pieces, slug)}
    checked = dict.fromkeys(claim.id for chapter in book.chapters for claim in chapter.claims)
    wrong = [*problems(found), *(f"{name} has a check and no box" for name in checked if name not in found)]
    if wrong:
        raise BookError("\n".join(f"{book.root / 'chapters'}: {problem}" for problem in wrong))
    return found


def users(boxes: Mapping[str, Box]) -> dict[str, tuple[str, ...]]:
    """The claims that use each claim, in the order of the boxes."""
    found: dict[str, tuple[str, ...]] = {name: () for name in boxes}
    for box in boxes.values():
        for used in box.uses:
            found[used] = (*found[used], box.id)
    return found


def reached(start: str, edges: Mapping[str, Iterable[str]]) -> set[str]:
    """What one comes to from `start`, which is left out."""
    found: set[str] = set()
    ahead = [*edges[start]]
    while ahead:
        if (name := ahead.pop()) not in found:
            found.add(name)
            ahead += edges[name]
    return found
