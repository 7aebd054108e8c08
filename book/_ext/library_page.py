"""The library's reference: every public name with its signature, its docstring, its source and who uses it.

The sources are parsed and never imported, so the book builds without torch.  A public name is one of a module's
`__all__`; a module whose name begins with an underscore is not public.  `uses` says what a notebook takes from the
library: the page's "used in", and the line "Library" in the facts of a chapter.
"""

from __future__ import annotations

import ast
import functools
import html
import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from book_model import Chapter, book_of, is_chapter
from katex_math import render_text

ROOT = Path(__file__).resolve().parents[2]
PAGE = "book/library"
PACKAGES = {"implicitly": ROOT / "lib/implicitly", "implicitly_kernels": ROOT / "kernels/implicitly_kernels"}
WIDTH = 73  # of a signature's line, as for the code of chapters
HEADS = ("Args", "Returns", "Raises", "Example", "Examples", "Yields", "Attributes", "Source", "Note")


@dataclass
class Entry:
    """A public name: where it is defined and what is said of it."""

    name: str
    file: Path
    line: int
    lines: int
    doc: str
    signature: str = ""
    members: list[Entry] = field(default_factory=list)


@dataclass
class Module:
    name: str
    file: Path
    doc: str
    entries: list[Entry]


# --- reading the sources -------------------------------------------------------------------------


@functools.cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def file_of(module: str) -> Path | None:
    """The file of a module of ours, given by its full name."""
    package, *rest = module.split(".")
    if package not in PACKAGES:
        return None
    path = PACKAGES[package].joinpath(*rest)
    found = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return found if found.is_file() else None


def named(node: ast.stmt) -> set[str]:
    """The names that an assignment gives a value to; no names for another statement."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}


def assigned(module: ast.Module, name: str):
    """The literal that a module assigns to `name`, or None."""
    for node in module.body:
        if name in named(node) and node.value:
            try:
                return ast.literal_eval(node.value)
            except ValueError:
                return None
    return None


def public(module: str) -> list[str]:
    return list(assigned(tree(file_of(module)), "__all__") or ())


@functools.cache
def modules() -> tuple[str, ...]:
    """Full names of the public modules; of the kernels the package alone, which has all their names."""
    package = PACKAGES["implicitly"]
    if not (package / "__init__.py").is_file():
        return ()
    names = {path.stem for path in package.glob("*.py")} | {path.parent.name for path in package.glob("*/__init__.py")}
    ours = [f"implicitly.{name}" for name in sorted(names) if not name.startswith("_")]
    return tuple(name for name in [*ours, "implicitly_kernels"] if file_of(name) and public(name))


@functools.cache
def resolve(module: str, name: str) -> tuple[str, str] | None:
    """The module that defines `module.name`, and its name there: imports are followed."""
    file = file_of(module)
    if file is None:
        return None
    lazy = assigned(tree(file), "_PUBLIC") or {}
    if name in lazy:
        return resolve(lazy[name], name)
    for node in tree(file).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    base = node.module or ""
                    if node.level:
                        parts = module.split(".")
                        up = parts[: len(parts) - node.level + (file.name == "__init__.py")]
                        base = ".".join([*up, *filter(None, [node.module])])
                    return resolve(base, alias.name)
        elif name in named(node) or (isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name):
            return module, name
    return None


def signature(name: str, node: ast.FunctionDef, drop_self: bool = False) -> str:
    """`def` of a function in as few lines as fit."""
    arguments = node.args
    if drop_self and arguments.args:
        arguments = ast.arguments(arguments.posonlyargs, arguments.args[1:], arguments.vararg, arguments.kwonlyargs,
                                  arguments.kw_defaults, arguments.kwarg, arguments.defaults)  # fmt: skip
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    line = f"{name}({ast.unparse(arguments)}){returns}"
    if len(line) <= WIDTH:
        return line
    bare = ast.parse(f"def f({ast.unparse(arguments)}): pass").body[0].args
    parts, required = [], len(bare.args) - len(bare.defaults)
    for i, argument in enumerate(bare.args):
        default = f" = {ast.unparse(bare.defaults[i - required])}" if i >= required else ""
        parts.append(ast.unparse(argument) + default)
    if bare.vararg:
        parts.append(f"*{ast.unparse(bare.vararg)}")
    elif bare.kwonlyargs:
        parts.append("*")
    for argument, default in zip(bare.kwonlyargs, bare.kw_defaults, strict=True):
        parts.append(ast.unparse(argument) + (f" = {ast.unparse(default)}" if default else ""))
    if bare.kwarg:
        parts.append(f"**{ast.unparse(bare.kwarg)}")
    rows = [""]
    for i, part in enumerate(parts):
        piece = part + ", " * (i + 1 < len(parts))
        if rows[-1] and len(rows[-1] + piece.rstrip()) > WIDTH - 4:
            rows.append("")
        rows[-1] += piece
    rows = [row.rstrip() for row in rows]
    return f"{name}(\n    " + "\n    ".join(rows) + f"\n){returns}"


def is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(d) for d in node.decorator_list)


def entry(module: str, name: str) -> Entry:
    """What the sources say of `module.name`."""
    where = resolve(module, name)
    if where is None:
        raise ValueError(f"{module}.__all__ has {name!r}, which is defined nowhere")
    file, name_there = file_of(where[0]), where[1]
    text = file.read_text(encoding="utf-8").split("\n")
    for node in tree(file).body:
        if isinstance(node, ast.FunctionDef) and node.name == name_there:
            return Entry(name, file, node.lineno, node.end_lineno - node.lineno + 1, ast.get_docstring(node) or "",
                         signature(name, node))  # fmt: skip
        if isinstance(node, ast.ClassDef) and node.name == name_there:
            found = Entry(name, file, node.lineno, node.end_lineno - node.lineno + 1, ast.get_docstring(node) or "")
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
            start = next((m for m in methods if m.name == "__init__"), None)
            if start is not None:
                found.signature = signature(name, start, drop_self=True)
                found.doc = found.doc + "\n\n" + (ast.get_docstring(start) or "")
            elif is_dataclass(node):
                fields = [ast.unparse(n) for n in node.body if isinstance(n, ast.AnnAssign)]
                line = f"{name}({', '.join(fields)})"
                found.signature = line if len(line) <= WIDTH else f"{name}(\n    " + ",\n    ".join(fields) + "\n)"
            for method in methods:
                if method.name.startswith("_") or not ast.get_docstring(method):
                    continue
                marks = [ast.unparse(d) for d in method.decorator_list]
                plain = "property" in marks or "cached_property" in " ".join(marks)
                shown = method.name if plain else signature(method.name, method, "staticmethod" not in marks)
                found.members.append(Entry(method.name, file, method.lineno, method.end_lineno - method.lineno + 1,
                                           ast.get_docstring(method), shown))  # fmt: skip
            return found
        if name_there in named(node):
            comments, line = [], node.lineno - 2
            while line >= 0 and text[line].startswith("#:"):
                comments.insert(0, text[line].removeprefix("#:").strip())
                line -= 1
            return Entry(name, file, node.lineno, node.end_lineno - node.lineno + 1, " ".join(comments))
    raise ValueError(f"{where[0]} has no {name_there!r}")


def read_module(name: str) -> Module:
    file = file_of(name)
    return Module(name, file, ast.get_docstring(tree(file)) or "", [entry(name, n) for n in public(name)])


# --- who uses what -------------------------------------------------------------------------------


def uses(chapter: Chapter) -> set[tuple[str, str]]:
    """(module, name) of everything of the library that a chapter's code cells name."""
    names: dict[str, tuple[str, str]] = {}  # what a cell calls it -> (module, name or "")
    found: set[tuple[str, str]] = set()

    def member(owner: tuple[str, str] | None, name: str) -> tuple[str, str] | None:
        """What `owner.name` is: a module of ours, or a name of one."""
        if owner is None or owner[1]:
            return None
        if name not in public(owner[0]) and file_of(full := f"{owner[0]}.{name}"):
            return full, ""
        return resolve(owner[0], name)

    def value(node) -> tuple[str, str] | None:
        if isinstance(node, ast.Name):
            return names.get(node.id)
        if isinstance(node, ast.Attribute):
            return member(value(node.value), node.attr)
        return None

    for source in chapter.code:
        try:
            code = ast.parse(source)
        except SyntaxError:  # a magic
            continue
        for node in ast.walk(code):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if file_of(alias.name):
                        names[alias.asname or alias.name.split(".")[0]] = (
                            (alias.name if alias.asname else alias.name.split(".")[0]), "")  # fmt: skip
            elif isinstance(node, ast.ImportFrom) and node.module and file_of(node.module):
                for alias in node.names:
                    if what := member((node.module, ""), alias.name):
                        names[alias.asname or alias.name] = what
        for node in ast.walk(code):
            if isinstance(node, (ast.Name, ast.Attribute)) and (what := value(node)) and what[1]:
                found.add(what)
    return found


def modules_used(chapter: Chapter) -> list[str]:
    """Names of the modules that a chapter calls: `implicitly.explorer` for all that is in it."""
    return sorted({".".join(module.split(".")[:2]) for module, _ in uses(chapter)})


def source_link(app, file: Path, line: int = 0) -> str:
    options = app.config.html_theme_options
    repository = (options.get("repository_url") or "").rstrip("/")
    branch = options.get("repository_branch") or "main"
    return f"{repository}/blob/{branch}/{file.relative_to(ROOT).as_posix()}" + (f"#L{line}" if line else "")


# --- writing -------------------------------------------------------------------------------------


def inline(text: str) -> str:
    """A line of a docstring as HTML: code between backticks, formulas between dollars, names of roles dropped."""
    text = re.sub(r":\w+:(`[^`]+`)", r"\1", " ".join(text.split()))
    pieces = re.split(r"``(.+?)``|`([^`]+)`", text)
    out = []
    for i in range(0, len(pieces), 3):
        out.append(render_text(pieces[i]))
        if i + 2 < len(pieces):
            out.append(f"<code>{html.escape(pieces[i + 1] or pieces[i + 2] or '')}</code>")
    return "".join(out)


def arguments(lines: list[str]) -> str:
    """`name: what it is`, each with the lines that are indented under it, as a list of definitions."""
    items: list[list[str]] = []
    for line in textwrap.dedent("\n".join(lines)).split("\n"):
        if line and not line.startswith(" ") and ":" in line:
            items.append(line.split(":", 1))
        elif items:
            items[-1][1] += " " + line.strip()
        elif line.strip():
            return f"<p>{inline(' '.join(lines))}</p>"
    rows = (f"<div><dt><code>{html.escape(name.strip('` '))}</code></dt><dd>{inline(text)}</dd></div>"
            for name, text in items)  # fmt: skip
    return f'<dl class="im-api-args">{"".join(rows)}</dl>'


def code(lines: list[str]) -> str:
    return f'<pre tabindex="0">{html.escape(textwrap.dedent(chr(10).join(lines)).strip(chr(10)))}</pre>'


def described(doc: str) -> str:
    """A docstring as HTML: paragraphs, sections with a head, examples, lists of arguments."""
    out = []
    for block in re.split(r"\n[ \t]*\n", doc.strip("\n")):
        lines = block.split("\n")
        if not block.strip():
            continue
        head = lines[0].strip().removesuffix(":")
        if head in HEADS and lines[0].strip().endswith(":"):
            body = lines[1:]
            if head.startswith("Example"):
                shown = code(body)
            elif head in ("Args", "Raises", "Attributes"):
                shown = arguments(body)
            else:
                shown = f"<p>{inline(' '.join(body))}</p>"
            out.append(f'<p class="im-api-head">{head}</p>{shown}')
        elif lines[0].lstrip().startswith(">>>") or all(line.startswith("    ") for line in lines):
            out.append(code(lines))
        elif lines[0].startswith("- "):
            items = re.split(r"\n- ", "\n" + block)[1:]
            out.append("<ul>" + "".join(f"<li>{inline(item)}</li>" for item in items) + "</ul>")
        elif sum(bool(re.match(r"[A-Za-z_][\w, ]{0,30}: ", line)) for line in lines) > 1 and ": " in lines[0]:
            out.append(arguments([line if re.match(r"\S[\w, ]{0,30}: ", line) else " " + line for line in lines]))
        else:
            out.append(f"<p>{inline(block)}</p>")
    return "".join(out)


def block(app, module: str, one: Entry, used_in: list[tuple[str, str]]) -> str:
    full = f"{module}.{one.name}"
    lines = f"{one.lines} line{'s' * (one.lines != 1)}"
    parts = [f'<dt id="{full}"><code>{html.escape(one.name)}</code> <a class="im-api-source" '
             f'href="{source_link(app, one.file, one.line)}">source, {lines}</a></dt><dd>']  # fmt: skip
    if one.signature:
        parts.append(f'<pre tabindex="0">{html.escape(one.signature)}</pre>')
    parts.append(described(one.doc))
    if one.members:
        parts.append('<dl class="im-api-members">' + "".join(
            f'<dt id="{full}.{m.name}"><code>{html.escape(m.signature)}</code></dt><dd>{described(m.doc)}</dd>'
            for m in one.members) + "</dl>")  # fmt: skip
    if used_in:
        links = ", ".join(f'<a href="{uri}">{html.escape(title)}</a>' for uri, title in used_in)
        parts.append(f'<p class="im-api-used">Used in {links}.</p>')
    return "".join(parts) + "</dd>"


class LibraryReference(SphinxDirective):
    """A section for each public module, with an entry for each of its names."""

    def run(self):
        app, env = self.env.app, self.env
        chapters = []
        for docname in filter(is_chapter, sorted(env.found_docs)):
            chapter = book_of(app).chapter(docname)
            env.note_dependency(str(chapter.path))
            chapters.append((f"../{docname}.html", chapter.title, uses(chapter)))
        sections = []
        for name in modules():
            module = read_module(name)
            section = nodes.section(ids=[name], names=[name])
            section += nodes.title("", "", nodes.literal("", name))
            source = f'<a class="im-api-source" href="{source_link(app, module.file)}">source</a>'
            text = f'<div class="im-api-module">{described(module.doc)}<p>{source}</p></div><dl class="im-api">'
            for one in module.entries:
                env.note_dependency(str(one.file))
                where = resolve(name, one.name)
                used = [(uri, title) for uri, title, taken in chapters if where in taken]
                text += block(app, name, one, used)
            section += nodes.raw("", text + "</dl>", format="html")
            sections.append(section)
        return sections


def setup(app):
    app.add_directive("library-reference", LibraryReference)
    # it depends on every notebook and on the sources: it is made anew each time
    app.connect("env-get-outdated", lambda app, env, added, changed, removed: [PAGE] if PAGE in env.found_docs else [])
    return {"parallel_read_safe": True, "parallel_write_safe": True}
