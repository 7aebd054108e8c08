"""The library's reference: by subject, every public name with signature, docstring, source, and who uses it."""

from __future__ import annotations

import html
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import docstrings
from book_model import Book, Chapter, book_of, is_chapter
from library_links import PAGE, link_chapter
from library_model import KERNELS, Entry, Group, Library, Subject
from library_names import Name


def modules_used(library: Library, chapter: Chapter) -> list[str]:
    """Names of the subjects that a chapter calls: `implicitly.explorer` for all that is in it."""
    return sorted({".".join(what.module.split(".")[:2]) for what in library.taken(chapter.code).names})


def source_link(app, file: Path, line: int = 0) -> str:
    options = app.config.html_theme_options
    repository = (options.get("repository_url") or "").rstrip("/")
    branch = options.get("repository_branch") or "main"
    path = file.relative_to(book_of(app).root).as_posix()
    return f"{repository}/blob/{branch}/{path}" + (f"#L{line}" if line else "")


def users(book: Book, chapters: list[Chapter]) -> dict[Name, list[str]]:
    """For each name the chapters that use it, in the book's order, as HTML; with the claims whose checks name it."""
    library, found = book.library, {}
    own = library.resolve("implicitly", "claim")  # what states a claim says nothing about what it measures
    for chapter in chapters:
        cells = [cell for cell in chapter.notebook["cells"] if cell["cell_type"] == "code"]
        taken = library.taken(chapter.code)
        claims: dict[Name, dict[str, None]] = {}
        for cell, names in zip(cells, taken.cells, strict=True):
            for claim in chapter.claims_of(cell):
                for what in names:
                    if own is None or what.module != own.module:
                        claims.setdefault(what, {})[claim.id] = None
        planned = book.planned.get(chapter.slug)
        title = html.escape(f"{planned.number} {chapter.title}" if planned else chapter.title)
        for what in taken.names:
            links = ", ".join(f'<a href="../{chapter.docname}.html#{claim}">{claim.rpartition("/")[2]}</a>'
                              for claim in claims.get(what, ()))  # fmt: skip
            text = f'<a href="../{chapter.docname}.html">{title}</a>' + (f" ({links})" if links else "")
            found.setdefault(what, []).append(text)
    return found


class Writer:
    """Writes the entries of the page."""

    def __init__(self, app, chapters: list[Chapter]):
        self.app, self.library = app, book_of(app).library
        self.users = users(book_of(app), chapters)

    def source(self, file: Path, line: int = 0, words: str = "source") -> str:
        return f'<a class="im-api-source" href="{source_link(self.app, file, line)}">{words}</a>'

    def described(self, module: str, doc: str, entry: Entry | None = None) -> str:
        """A docstring of a module, or of one of its names, with links to what it names."""
        scope = self.library.scope(module)

        def link(code: str) -> str | None:
            if entry and (code in entry.parameters or code == entry.name):
                return None
            found = self.library.find(code, scope)
            return f"#{found.path}" if found else None

        return docstrings.described(doc, entry.parameters if entry else (), link)

    def block(self, entry: Entry) -> str:
        what = self.library.resolve(entry.module, entry.name)
        lines = f"source, {entry.lines} line{'s' * (entry.lines != 1)}"
        parts = [f'<dt id="{entry.path}"><code>{html.escape(entry.name)}</code> '
                 f'<code class="im-api-from">{html.escape(entry.module)}</code> '
                 f"{self.source(entry.file, entry.line, lines)}</dt><dd>"]  # fmt: skip
        if entry.signature:
            parts.append(f'<pre tabindex="0">{html.escape(entry.signature)}</pre>')
        parts.append(self.described(what.module, entry.doc, entry))
        if entry.members:
            parts.append('<dl class="im-api-members">' + "".join(
                f'<dt id="{member.path}"><code>{html.escape(member.signature)}</code></dt>'
                f"<dd>{self.described(what.module, member.doc, member)}</dd>" for member in entry.members) + "</dl>")
        ends = []
        if used := self.users.get(what):
            ends.append(f"Used in {', '.join(used)}.")
        if entry.kernels:
            links = ", ".join(f'<a href="#{KERNELS}.{name}">{name}</a>' for name in entry.kernels)
            ends.append(f"Kernel {links}.")
        if ends:
            parts.append(f'<p class="im-api-used">{" ".join(ends)}</p>')
        return "".join(parts) + "</dd>"

    def head(self, section: nodes.section, module: str, doc: str, file: Path) -> None:
        """The module's name and title, what its docstring says, and its source."""
        title, rest = docstrings.parts(doc)
        words = nodes.inline("", "", *docstrings.title_nodes(title), classes=["im-api-title"])
        section += nodes.title("", "", nodes.literal("", module), nodes.Text(" "), words)
        text = f'<div class="im-api-module">{self.described(module, rest)}<p>{self.source(file)}</p></div>'
        section += nodes.raw("", text, format="html")

    def entries(self, group: Group) -> nodes.raw:
        text = "".join(map(self.block, group.entries))
        return nodes.raw("", f'<dl class="im-api">{text}</dl>', format="html")

    def subject(self, subject: Subject) -> nodes.section:
        section = nodes.section(ids=[subject.name], names=[subject.name])
        self.head(section, subject.name, subject.doc, subject.file)
        for group in subject.groups:
            inside = section
            if group.module != subject.name:
                inside = nodes.section(ids=[group.module], names=[group.module])
                self.head(inside, group.module, group.doc, group.file)
                section += inside
            inside += self.entries(group)
        return section


class LibraryReference(SphinxDirective):
    """A section for each subject, with an entry for each of its public names."""

    def run(self):
        app, env = self.env.app, self.env
        chapters = [chapter for chapter in book_of(app).chapters if chapter.docname in env.found_docs]
        writer = Writer(app, chapters)
        sections = [writer.subject(subject) for subject in writer.library.subjects]
        files = {entry.file for entry in writer.library.entries.values()}
        for path in (*(chapter.path for chapter in chapters), *files):
            env.note_dependency(str(path))
        return sections


def depend(app, docname: str, source: list[str]) -> None:
    """source-read: the files from which a chapter's links and its line "Library" are made."""
    if is_chapter(docname):
        library = book_of(app).library
        for what in library.taken(book_of(app).chapter(docname).code).names:
            parts = what.module.split(".")
            for module in (".".join(parts[:n]) for n in range(1, len(parts) + 1)):
                app.env.note_dependency(str(library.file_of(module)))


def setup(app):
    app.add_directive("library-reference", LibraryReference)
    app.connect("source-read", depend)
    # before the opener, whose line "Library" has links of its own
    app.connect("doctree-resolved", link_chapter, priority=890)
    # it depends on every notebook and on the sources: it is made anew each time
    app.connect("env-get-outdated", lambda app, env, added, changed, removed: [PAGE] if PAGE in env.found_docs else [])
    return {"parallel_read_safe": True, "parallel_write_safe": True}
