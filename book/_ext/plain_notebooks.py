"""Each chapter's notebook a second time, in plain Markdown, for whoever downloads it.

GitHub, Colab and VS Code show the directives and roles of MyST as they are written.  So beside each
chapter's page lies a twin of its notebook without them: theorem boxes are quotes under a bold title,
folds are `<details>`, equations carry their numbers, references and citations are links to the published
page.  Code cells and their outputs are the same.  Figures get their captions, which MyST keeps in metadata.

`plain` and `References` know nothing of Sphinx; `setup` writes the twins when a build has finished.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import glued_numbers
from book_model import Chapter, Paper, book_of, source_of

FENCE = re.compile(r"^(?P<fence>:{3,}|`{3,})\{(?P<name>[\w:-]+)\}[ \t]*(?P<argument>.*)$")
OPTION = re.compile(r"^:([\w-]+):\s*(.*)$")
CODE = re.compile(r"^(`{3,}|~{3,})")
ROLE = re.compile(r"\{(?P<role>[\w:-]+)\}`(?P<content>[^`]+)`")
TITLED = re.compile(r"^(?P<title>.*?)\s*<(?P<target>[^<>]+)>$", re.S)
# a role, else a piece of code or a formula, in which nothing is replaced, else a link inside the book
INLINE = re.compile(
    rf"{ROLE.pattern}|(?P<keep>(?P<ticks>`+)[^`].*?(?P=ticks)|\$[^$\n]+\$)"
    r"|\[\]\(#(?P<section>[^)\s]+)\)"
    r"|(?P<link>\]\((?!\w+:|#|/)(?P<path>[^)\s#]+)(?P<anchor>#[^)\s]*)?\))",
    re.S,
)
LABELLED = re.compile(r"^\(([\w:/-]+)\)=\n+#+ (.+)$", re.M)  # a section's label, above its title
CLAIM = re.compile(r"^[\w-]+/C\d+$")
STATUS = {"proved": "proved here", "partly-proved": "proved in part", "not-proved": "stated, not proved here",
          "measured": "measured"}  # fmt: skip
GRADES = ("easy", "medium", "hard")
BODY_ONLY = {"div", "container", "grid", "card", "contents"}


@dataclass
class Directive:
    name: str
    argument: str
    options: dict[str, str]
    body: list[str]


def blocks(lines: list[str]):
    """Runs of text (lists of lines) and directives, in order; what is inside a directive is left to it."""
    text: list[str] = []
    at = 0
    while at < len(lines):
        found = FENCE.match(lines[at])
        if not found:
            text.append(lines[at])
            if code := CODE.match(lines[at]):  # code that is shown: no directive begins in it
                while (at := at + 1) < len(lines):
                    text.append(lines[at])
                    if lines[at].startswith(code[1]):
                        break
            at += 1
            continue
        if text:
            yield text
            text = []
        fence, end = found["fence"], at + 1
        closing = re.compile(rf"^{fence[0]}{{{len(fence)},}}\s*$")
        while end < len(lines) and not closing.match(lines[end]):
            end += 1
        body, options = lines[at + 1 : end], {}
        while body and (option := OPTION.match(body[0])):
            options[option[1]] = option[2]
            body = body[1:]
        yield Directive(found["name"], found["argument"].strip(), options, body)
        at = end + 1
    if text:
        yield text


@dataclass
class References:
    """What labels stand for: the words and the address of each; and the papers.

    `address` is that of the published book, with a slash at its end; `papers` are those of the bibliography by key.
    """

    address: str
    papers: dict[str, Paper] = field(default_factory=dict)
    labels: dict[str, tuple[str, str]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)

    def page(self, docname: str) -> str:
        return f"{self.address}{docname}.html"

    def add(self, chapter: Chapter, number: str) -> None:
        """Number the boxes, equations and figures of a chapter as its page does."""
        docname, counts = chapter.docname, {}
        self.titles[docname] = chapter.title

        def note(kind: str, label: str, anchor: str) -> None:
            counts[kind] = counts.get(kind, 0) + 1
            count = f"{number}.{counts[kind]}" if number else str(counts[kind])
            words = f"({count})" if kind == "equation" else f"{kind} {count}"
            self.labels[label] = words, f"{self.page(docname)}#{anchor}"

        def walk(lines: list[str]) -> None:
            for block in blocks(lines):
                if isinstance(block, list):
                    for label, title in LABELLED.findall("\n".join(block)):
                        self.labels[label] = title, f"{self.page(docname)}#{label}"
                    for line in block:
                        if found := re.match(r"^\$\$\s+\(([\w:/-]+)\)$", line):
                            note("equation", found[1], f"equation-{found[1]}")
                    continue
                label = block.options.get("label")
                if label and block.name.startswith("prf:") and block.name != "prf:proof":
                    note(block.name.removeprefix("prf:").capitalize(), label, label)
                elif label and block.name == "exercise":
                    note("Exercise", label, label)
                walk(block.body)

        for cell in chapter.notebook["cells"]:
            if cell["cell_type"] == "markdown":
                walk(source_of(cell).split("\n"))
            elif name := figure_of(cell).get("name"):
                note("Fig.", name, name)

    def role(self, docname: str, role: str, content: str) -> str:
        """The words and links that a role stands for."""
        titled = TITLED.match(content)
        title, target = (titled["title"], titled["target"]) if titled else ("", content)
        if role.startswith("cite"):
            return self.cite(role, target)
        if role in ("eq", "prf:ref", "numref", "ref"):
            if target not in self.labels:
                raise ValueError(f"{docname}: nothing has the label {target!r}")
            words, link = self.labels[target]
            title = title.replace("%s", words.removeprefix("Fig. ")).replace("{number}", words)
            return f"[{title or words}]({link})"
        if role == "doc":
            target = (Path("/") / (target if target.startswith("/") else Path(docname).parent / target)).as_posix()[1:]
            return f"[{title or self.titles.get(target, target)}]({self.page(target)})"
        return title or content  # a term, an abbreviation: its words

    def cite(self, role: str, keys: str) -> str:
        shown = []
        for key in keys.split(","):
            paper = self.papers[key.strip()]
            words = f"{paper.short_authors} ({paper.year})" if role.endswith(":t") else (
                f"{paper.short_authors}, {paper.year}")  # fmt: skip
            shown.append(f"[{words}]({paper.address or self.page('book/references')})")
        return "; ".join(shown) if role.endswith(":t") else f"({'; '.join(shown)})"


def figure_of(cell: dict) -> dict:
    return cell["metadata"].get("mystnb", {}).get("figure", {})


def quote(lines: list[str]) -> list[str]:
    """`lines` as a quote; a formula set apart goes on one line, or the marks of the quote would get into it."""
    text = re.sub(r"^\$\$\n(.*?)\n\$\$$", lambda m: f"$${' '.join(m[1].split())}$$",
                  "\n".join(lines), flags=re.S | re.M)
    return [f"> {line}".rstrip() for line in text.strip("\n").split("\n")]


def fold(summary: str, lines: list[str]) -> list[str]:
    return ["<details>", f"<summary>{summary.replace('`', '')}</summary>", "", *strip(lines), "", "</details>"]


def strip(lines: list[str]) -> list[str]:
    return "\n".join(lines).strip("\n").split("\n")


@dataclass
class Writer:
    """Writes the Markdown of one chapter's cells."""

    docname: str
    references: References
    numbers: dict[str, str] = field(default_factory=dict)  # what the run has glued

    @classmethod
    def of(cls, chapter: Chapter, references: References) -> Writer:
        return cls(chapter.docname, references, glued_numbers.values(chapter.notebook))

    def markdown(self, lines: list[str]) -> list[str]:
        out: list[str] = []
        for block in blocks(lines):
            out += self.text(block) if isinstance(block, list) else ["", *self.directive(block), ""]
        # one blank line between blocks
        return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).split("\n")

    def text(self, lines: list[str]) -> list[str]:
        text = re.sub(r"^\([\w:/-]+\)=\n", "", "\n".join(lines) + "\n", flags=re.M)[:-1]  # labels of sections
        pieces = re.split(r"(^(?:`{3,}|~{3,})[^\n]*\n.*?^(?:`{3,}|~{3,})[ \t]*$)", text, flags=re.S | re.M)
        text = "".join(piece if i % 2 else self.prose(piece) for i, piece in enumerate(pieces))
        return text.split("\n")

    def prose(self, text: str) -> str:
        pieces = re.split(r"(^\$\$\n.*?\n\$\$(?:[ \t]+\([\w:/-]+\))?$)", text, flags=re.S | re.M)
        return "".join(self.formula(p) if i % 2 else INLINE.sub(self.inline, p) for i, p in enumerate(pieces))

    def formula(self, text: str) -> str:
        found = re.match(r"^\$\$\n(.*)\n\$\$(?:[ \t]+\(([\w:/-]+)\))?$", text, re.S)
        tex, label = found[1], found[2]
        if "\\begin{" not in tex and re.search(r"(?<!\\)&|\\\\", tex):
            tex = f"\\begin{{aligned}}\n{tex}\n\\end{{aligned}}"
        if label:
            tex += f"\n\\tag{{{self.references.labels[label][0].strip('()')}}}"
        return f"$$\n{tex}\n$$"

    def inline(self, found: re.Match) -> str:
        if found["role"] == "glue:text":
            return self.numbers[found["content"]]
        if found["role"]:
            return self.references.role(self.docname, found["role"], found["content"])
        if found["section"]:
            return self.references.role(self.docname, "ref", found["section"])
        if found["link"]:
            folder = Path("/") / self.docname
            target = (folder.parent / found["path"]).resolve().as_posix()[1:]
            target = re.sub(r"\.(md|ipynb|html)$", "", target)
            return f"]({self.references.page(target)}{found['anchor'] or ''})"
        return found["keep"]

    def line(self, text: str) -> str:
        return INLINE.sub(self.inline, text)

    def uses(self, names: str) -> str:
        """What a claim uses, as links: ; uses [C1](…), [C6 of …](…)."""
        links = []
        for name in (name.strip() for name in names.split(",") if name.strip()):
            slug, _, short = name.rpartition("/")
            _, link = self.references.labels[name if slug else f"{self.docname.rpartition('/')[2]}/{name}"]
            links.append(f"[{f'{short} of {slug}' if slug else short}]({link})")
        return f"; uses {', '.join(links)}" if links else ""

    def directive(self, block: Directive) -> list[str]:
        name, title = block.name, self.line(block.argument)
        label, classes = block.options.get("label", ""), block.options.get("class", "").split()
        if name == "math":
            return self.formula("\n".join(["$$", *strip(block.body), f"$$ ({label})" if label else "$$"])).split("\n")
        body = strip(self.markdown(block.body))
        if name in BODY_ONLY:
            return body
        if name == "prf:proof":
            return [f"*Proof.* {body[0]}", *body[1:]] if not body[0].startswith("$$") else ["*Proof.*", "", *body]
        if name.startswith("prf:"):
            number = self.references.labels[label][0] if label else name.removeprefix("prf:").capitalize()
            head = f"**{number}**" + (f" *{title}*" if title else "")
            status = next((words for key, words in STATUS.items() if key in classes), "")
            if CLAIM.match(label):
                head += f" (claim `{label}`{', ' if status else ''}{status}{self.uses(block.options.get('uses', ''))})"
            return quote([head, "", *body])
        if name == "exercise":
            head = f"**{self.references.labels[label][0] if label else 'Exercise'}**" + (f" *{title}*" if title else "")
            grade = next((word for word in GRADES if word in classes), "")
            return [head + (f" ({grade})" if grade else ""), "", *body]
        if name == "solution":
            exercise = self.references.labels[block.argument][0]
            return fold(f"Solution of {exercise}", body)
        if name == "dropdown":
            return fold(title, body)
        if name == "five-minutes":
            return quote(["**In five minutes**", "", *body])
        if name == "margin":
            return quote(([f"**{title}**", ""] if title else []) + body)
        # a note, a caution, and whatever is to come: its name, and what it says
        return quote([f"**{title or name.capitalize()}**", "", *body])


def plain(chapter: Chapter, references: References, number: str = "") -> dict:
    """The twin of a chapter's notebook."""
    docname = chapter.docname
    asked = f"\n\n*{chapter.header.question}*" if chapter.header.question else ""
    writer = Writer.of(chapter, references)
    twin = copy.deepcopy(chapter.notebook)
    cells = twin["cells"] = []
    meta = twin["metadata"]
    meta.pop("jupytext", None)  # it says that the text is MyST
    meta.pop("implicitly", None)
    for cell in copy.deepcopy(chapter.notebook["cells"]):
        cells.append(cell)
        if cell["cell_type"] == "markdown":
            text = "\n".join(writer.markdown(source_of(cell).split("\n"))).strip("\n")
            if len(cells) == 1:
                which = f"Chapter {number}" if number else "A chapter"
                note = (f"{which} of [Implicitly]({references.address}), in plain Markdown. "
                        f"[Its page]({references.page(docname)}) has the theorem boxes, the notes in the margin and "
                        f"the explorers as they are meant.{asked}")  # fmt: skip
                text = re.sub(r"^(# .+)$", lambda m: f"{m[1]}\n\n{note}", text, count=1, flags=re.M)  # noqa: B023
            cell["source"] = text
        elif caption := figure_of(cell).get("caption"):
            name = figure_of(cell).get("name")
            words = f"**{references.labels[name][0]}.** " if name else ""
            digest = hashlib.sha256(f"caption\0{name}\0{caption}".encode()).hexdigest()[:12]
            text = words + writer.line(caption)
            cells.append({"cell_type": "markdown", "id": digest, "metadata": {}, "source": text})
    return twin


# --- in a build ----------------------------------------------------------------------------------


def chapter_number(app, docname: str) -> str:
    return ".".join(map(str, app.env.toc_secnumbers.get(docname, {}).get("") or ()))


def numbered(app) -> References:
    """The words and addresses of all labels of the book, as its pages have them."""
    book = book_of(app)
    references = References(app.config.html_baseurl.rstrip("/") + "/", book.papers)
    references.titles |= {docname: title.astext() for docname, title in app.env.titles.items()}
    for chapter in book.chapters:
        references.add(chapter, chapter_number(app, chapter.docname))
    return references


def write(app, error) -> None:
    """build-finished: the twins, beside the pages."""
    if error or app.builder.format != "html":
        return
    references = numbered(app)
    for chapter in book_of(app).chapters:
        twin = plain(chapter, references, chapter_number(app, chapter.docname))
        text = json.dumps(twin, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        target = Path(app.outdir) / f"{chapter.docname}.ipynb"
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


def setup(app):
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
