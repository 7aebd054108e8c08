"""The library's reference as its sources say it: subjects, and for each public name what a reader must know.

A subject is what lies directly in the package: a package whose face re-exports, or a module.

Why no tool: griffe would resolve and sign, about 110 of these lines.  But of `from .relu_gd import relu_gd` in a face
it keeps the module, not the function (griffelib 2.4); it does not read `#:` comments; and its reader of docstrings
takes one argument a line, where ours hold several.  Mending that costs half of what it saves.  sphinx-autoapi writes
pages of its own in reStructuredText, without `$` and without who uses what.
"""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass, field
from pathlib import Path

from book_model import BookError
from library_names import FOLDERS, Name, Names

KERNELS = "implicitly_kernels"
CALLED = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:\(.*\))?", re.S)
WIDTH = 73  # of a signature's line, as for the code of chapters


@dataclass
class Entry:
    """A public name, or a member of a public class. `path` is the full name by which it is imported, and its anchor."""

    name: str
    path: str
    kind: str  # "function", "class" or "value"
    file: Path
    line: int
    lines: int
    doc: str
    signature: str = ""
    parameters: dict[str, str] = field(default_factory=dict)  # to annotations
    members: list[Entry] = field(default_factory=list)
    kernels: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        return self.path.rpartition(".")[0]


@dataclass
class Group:
    """The public names that one module of a subject defines."""

    module: str
    file: Path
    doc: str
    entries: list[Entry]


@dataclass
class Subject:
    """A package or module of the library; a module is its own and only group."""

    name: str
    file: Path
    doc: str
    groups: list[Group]

    @property
    def entries(self) -> list[Entry]:
        return [entry for group in self.groups for entry in group.entries]


def parameters(node: ast.FunctionDef, skip: int = 0) -> dict[str, str]:
    arguments = node.args
    found = [*arguments.posonlyargs, *arguments.args][skip:] + arguments.kwonlyargs
    return {a.arg: ast.unparse(a.annotation) if a.annotation else "" for a in found}


def signature(name: str, node: ast.FunctionDef, skip: int = 0) -> str:
    """`def` of a function in as few lines as fit, without its first `skip` arguments."""
    given = ast.parse(f"def f({ast.unparse(node.args)}): pass").body[0].args
    parts, required = [], len(given.posonlyargs + given.args) - len(given.defaults)
    for i, argument in enumerate(given.posonlyargs + given.args):
        default = f" = {ast.unparse(given.defaults[i - required])}" if i >= required else ""
        parts.append(ast.unparse(argument) + (default if argument.annotation else default.replace(" ", "")))
        if given.posonlyargs and i + 1 == len(given.posonlyargs):
            parts.append("/")
    del parts[:skip]
    if given.vararg:
        parts.append(f"*{ast.unparse(given.vararg)}")
    elif given.kwonlyargs:
        parts.append("*")
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        value = f" = {ast.unparse(default)}" if default else ""
        parts.append(ast.unparse(argument) + (value if argument.annotation else value.replace(" = ", "=", 1)))
    if given.kwarg:
        parts.append(f"**{ast.unparse(given.kwarg)}")
    return filled(name, parts, f" -> {ast.unparse(node.returns)}" if node.returns else "")


def filled(name: str, parts: list[str], returns: str = "") -> str:
    """A call on one line, or its arguments in as few lines as fit."""
    line = f"{name}({', '.join(parts)}){returns}"
    if len(line) <= WIDTH:
        return line
    rows = [""]
    for i, part in enumerate(parts):
        piece = part + ", " * (i + 1 < len(parts))
        if rows[-1] and len(rows[-1] + piece.rstrip()) > WIDTH - 4:
            rows.append("")
        rows[-1] += piece
    return f"{name}(\n    " + "\n    ".join(row.rstrip() for row in rows) + f"\n){returns}"


class Library(Names):
    """What the sources in `root` say of the library and of the kernels."""

    @functools.cached_property
    def subjects(self) -> list[Subject]:
        """Everything public, each name once: by the face that exports it, in the subject that defines it."""
        package = self.file_of("implicitly")
        if package is None:
            return []
        modules = self.inside("implicitly")
        exported: dict[str, dict[Name, str]] = {}  # subject -> definition -> path
        homes: dict[Name, str] = {}
        for module in [*modules, KERNELS]:
            exported[module] = self._exports(module)
            for what in exported[module]:
                if what not in homes or f"{what.module}.".startswith(f"{module}."):
                    homes[what] = module
        subjects = []
        for module in [*modules, KERNELS]:
            mine = {what: path for what, path in exported[module].items() if homes[what] == module}
            groups: dict[str, Group] = {}
            for what, path in mine.items():
                hidden = module == KERNELS or any(part.startswith("_") for part in what.module.split("."))
                home = module if hidden else what.module
                if home not in groups:
                    groups[home] = Group(home, self.file_of(home), ast.get_docstring(self.tree(home)) or "", [])
                groups[home].entries.append(self.entry(what, path))
            if groups:
                doc = ast.get_docstring(self.tree(module)) or ""
                subjects.append(Subject(module, self.file_of(module), doc, list(groups.values())))
        return subjects

    def _exports(self, module: str) -> dict[Name, str]:
        """What a module and the public modules in its folder export, with the shortest path to each."""
        found: dict[Name, str] = {}
        file = self.file_of(module)
        if file is None:
            return found
        for name in self.public(module):
            what = self.resolve(module, name)
            if what is None:
                raise BookError(f"{file}: __all__ has {name!r}, which is defined nowhere")
            if what.name:
                found.setdefault(what, f"{module}.{name}")
        if module != KERNELS:  # whose face has all that is public
            for inside in self.inside(module):
                found = {**self._exports(inside), **found}
        return found if module == KERNELS else dict(sorted(found.items(), key=lambda i: (i[0].module, i[1].lower())))

    @functools.cached_property
    def entries(self) -> dict[Name, Entry]:
        """Every public name by where it is defined."""
        return {self.resolve(entry.module, entry.name): entry for subject in self.subjects for entry in subject.entries}

    def node(self, what: Name) -> ast.stmt:
        return self.nodes(what.module)[what.name]

    @functools.cached_property
    def packages(self) -> dict[str, Name]:
        """What a name written in full begins with."""
        return {name: Name(name) for name in FOLDERS if self.file_of(name)}

    def scope(self, module: str) -> dict[str, Name]:
        """What names mean in a module."""
        known = {name: what for name in self.nodes(module) if (what := self.resolve(module, name))}
        return self.packages | known

    def find(self, code: str, scope: dict[str, Name]) -> Entry | None:
        """The entry that `a`, `a.b` or `a(...)` is about, where names mean what `scope` says."""
        found = CALLED.fullmatch(code)
        if not found:
            return None
        try:
            node = ast.parse(found[1], mode="eval").body
        except SyntaxError:  # a word of Python's own
            return None
        if (what := self.meant(node, scope)) is not None:
            return self.entries.get(what)
        owner = self.entries.get(self.meant(node.value, scope)) if isinstance(node, ast.Attribute) else None
        return next((member for member in owner.members if member.name == node.attr), None) if owner else None

    def entry(self, what: Name, path: str) -> Entry:
        """What the sources say of a name."""
        file, node, name = self.file_of(what.module), self.node(what), path.rpartition(".")[2]
        at = {"file": file, "line": node.lineno, "lines": node.end_lineno - node.lineno + 1}
        if isinstance(node, ast.FunctionDef):
            return Entry(name, path, "function", doc=ast.get_docstring(node) or "", signature=signature(name, node),
                         parameters=parameters(node), kernels=self.kernels_of(what), **at)  # fmt: skip
        if isinstance(node, ast.ClassDef):
            doc, kernels = ast.get_docstring(node) or "", self.kernels_of(what)
            return self._class(node, Entry(name, path, "class", doc=doc, kernels=kernels, **at))
        comments, text, line = [], file.read_text(encoding="utf-8").split("\n"), node.lineno - 2
        while line >= 0 and text[line].startswith("#:"):
            comments.insert(0, text[line].removeprefix("#:").strip())
            line -= 1
        return Entry(name, path, "value", doc=" ".join(comments), **at)

    def _class(self, node: ast.ClassDef, entry: Entry) -> Entry:
        methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
        start = next((m for m in methods if m.name == "__init__"), None)
        marks = " ".join(ast.unparse(d) for d in [*node.decorator_list, *node.bases])
        if start is not None:
            entry.signature, entry.parameters = signature(entry.name, start, skip=1), parameters(start, skip=1)
            entry.doc = entry.doc + "\n\n" + (ast.get_docstring(start) or "")
        elif "dataclass" in marks or "NamedTuple" in marks:
            fields = [n for n in node.body if isinstance(n, ast.AnnAssign)]
            entry.parameters = {ast.unparse(n.target): ast.unparse(n.annotation) for n in fields}
            entry.signature = filled(entry.name, [ast.unparse(n) for n in fields])
        for method in methods:
            if method.name.startswith("_") or not ast.get_docstring(method):
                continue
            marks = [ast.unparse(d) for d in method.decorator_list]
            plain = "property" in marks or "cached_property" in " ".join(marks)
            skip = "staticmethod" not in marks
            entry.members.append(Entry(
                method.name, f"{entry.path}.{method.name}", "value" if plain else "function", entry.file, method.lineno,
                method.end_lineno - method.lineno + 1, ast.get_docstring(method),
                method.name if plain else signature(method.name, method, skip),
                {} if plain else parameters(method, skip)))  # fmt: skip
        return entry

    def kernels_of(self, what: Name) -> tuple[str, ...]:
        """Public names of the kernels that a function or class of the library calls, itself or by its module's own."""
        kernels = {self.resolve(KERNELS, name): name for name in self.public(KERNELS)} if self.file_of(KERNELS) else {}
        if what in kernels:
            return ()
        found, seen, todo = set(), set(), [what]
        scope = {k: v for node in self.nodes(what.module).values() for k, v in self.imported(what.module, node).items()}
        while todo:
            if (one := todo.pop()) in seen:
                continue
            node = self.node(one)
            if not isinstance(node, ast.FunctionDef) and not (one == what and isinstance(node, ast.ClassDef)):
                continue
            seen.add(one)
            inner = scope | {k: v for n in ast.walk(node) for k, v in self.imported(what.module, n).items()}
            for call in (n.func for n in ast.walk(node) if isinstance(n, ast.Call)):
                if (called := self.meant(call, inner)) in kernels:
                    found.add(kernels[called])
                elif isinstance(call, ast.Name) and call.id in self.nodes(what.module):
                    todo.append(Name(what.module, call.id))
        return tuple(sorted(found))
