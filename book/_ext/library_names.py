"""What the names of the library and the kernels mean, read from their sources; and which of them a chapter takes.

Sources are parsed and never imported, so the book builds without torch.  A public name is one of a module's `__all__`;
a module whose name begins with an underscore is not public.  Names are followed through imports to where they are
defined; a test holds that to what Python imports.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from book_model import BookError

FOLDERS = {"implicitly": "lib/implicitly", "implicitly_kernels": "kernels/implicitly_kernels"}


class Name(NamedTuple):
    """Where a name is defined: a module and the name there, which is "" for the module itself."""

    module: str
    name: str = ""


@dataclass
class Taken:
    """What a chapter's code takes of the library: by cell, and what its names mean wherever they occur."""

    cells: list[set[Name]]
    scope: dict[str, Name]

    @property
    def names(self) -> set[Name]:
        return set().union(*self.cells)


def named(node: ast.stmt) -> set[str]:
    """The names that an assignment gives a value to; no names for another statement."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}


def statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those under `if` and `try` too."""
    for node in body:
        yield node
        for inside in ("body", "orelse", "finalbody") if isinstance(node, (ast.If, ast.Try)) else ():
            yield from statements(getattr(node, inside, ()))


def assigned(module: ast.Module, name: str):
    """The literal that a module assigns to `name`; None if there is none."""
    for node in statements(module.body):
        if name in named(node) and node.value:
            try:
                return ast.literal_eval(node.value)
            except ValueError:
                return None
    return None


class Names:
    """The names of the library and of the kernels in `root`."""

    def __init__(self, root: Path):
        self.root = Path(root)
        for ask in (self.file_of, self.tree, self.nodes, self.lazy, self.resolve, self.taken):
            setattr(self, ask.__name__, functools.cache(ask))  # sources do not change while a book is built

    # --- modules and names -----------------------------------------------------------------------

    def file_of(self, module: str) -> Path | None:
        """The file of a module of ours, given by its full name."""
        package, *rest = module.split(".")
        if package not in FOLDERS:
            return None
        path = (self.root / FOLDERS[package]).joinpath(*rest)
        found = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        return found if found.is_file() else None

    def inside(self, package: str) -> list[str]:
        """Full names of the public modules and packages that lie directly in a package; none for a module."""
        file = self.file_of(package)
        if file.name != "__init__.py":
            return []
        names = {p.stem for p in file.parent.glob("*.py")} | {p.parent.name for p in file.parent.glob("*/__init__.py")}
        return [f"{package}.{name}" for name in sorted(names) if not name.startswith("_")]

    def tree(self, module: str) -> ast.Module:
        file = self.file_of(module)
        return ast.parse(file.read_text(encoding="utf-8"), file)

    def public(self, module: str) -> list[str]:
        """A module's `__all__`; of the package that resolves names when they are used, those."""
        tree = self.tree(module)
        names = assigned(tree, "__all__")
        if names is None:
            names = self.lazy(module)
            if not names and any("__all__" in named(node) for node in statements(tree.body)):
                raise BookError(f"{self.file_of(module)}: __all__ must be a literal list, so that the book can read it")
        return list(names)

    def nodes(self, module: str) -> dict[str, ast.stmt]:
        """The statement of a module that gives each of its names a meaning: a definition, an assignment, an import."""
        found: dict[str, ast.stmt] = {}
        for node in statements(self.tree(module).body):
            if isinstance(node, ast.ImportFrom):
                names = {alias.asname or alias.name for alias in node.names}
            else:
                names = {node.name} if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else named(node)
            for name in names:
                found.setdefault(name, node)
        return found

    def lazy(self, module: str) -> dict[str, str]:
        """The names that a module resolves when they are used, and the modules that have them."""
        return assigned(self.tree(module), "_PUBLIC") or {}

    def resolve(self, module: str, name: str) -> Name | None:
        """What `module.name` is: imports are followed, and what a module says goes before what lies in its folder."""
        if self.file_of(module) is None:
            return None
        if name in self.lazy(module):
            return self.resolve(self.lazy(module)[name], name)
        node = self.nodes(module).get(name)
        if isinstance(node, ast.ImportFrom):
            there = next(alias.name for alias in node.names if (alias.asname or alias.name) == name)
            base = self.base(module, node)
            if (base, there) != (module, name):  # else `from . import a`: the module
                return self.resolve(base, there)
        elif node is not None:
            return Name(module, name)
        return Name(f"{module}.{name}") if self.file_of(f"{module}.{name}") else None

    def base(self, module: str, node: ast.ImportFrom) -> str:
        """The module from which an import in `module` takes."""
        if not node.level or not module:
            return node.module or ""
        parts = module.split(".")
        up = parts[: len(parts) - node.level + (self.file_of(module).name == "__init__.py")]
        return ".".join([*up, *filter(None, [node.module])])

    def imported(self, module: str, node: ast.stmt) -> dict[str, Name]:
        """The names of ours that an import statement of `module` ("" for a chapter) binds."""
        found = {}
        if isinstance(node, ast.Import):
            for alias in node.names:
                if self.file_of(alias.name):
                    first = alias.name.split(".")[0]
                    found[alias.asname or first] = Name(alias.name if alias.asname else first)
        elif isinstance(node, ast.ImportFrom):
            base = self.base(module, node)
            for alias in node.names:
                if what := self.resolve(base, alias.name):
                    found[alias.asname or alias.name] = what
        return found

    def meant(self, node: ast.expr, scope: dict[str, Name]) -> Name | None:
        """What `a` or `a.b.c` is, where names mean what `scope` says."""
        if isinstance(node, ast.Name):
            return scope.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self.meant(node.value, scope)
            return self.resolve(owner.module, node.attr) if owner and not owner.name else None
        return None

    # --- who uses what ---------------------------------------------------------------------------

    def taken(self, code: tuple[str, ...]) -> Taken:
        """What the code cells of a chapter take."""
        scope: dict[str, Name] = {}
        unsure: set[str] = set()  # names that are given another meaning somewhere
        cells = []
        for source in code:
            lines = ["" if line.startswith(("%", "!")) else line for line in source.split("\n")]
            try:
                nodes = list(ast.walk(ast.parse("\n".join(lines))))
            except SyntaxError:  # another language, behind a magic of the whole cell
                cells.append(set())
                continue
            for node in nodes:
                ours = self.imported("", node) if isinstance(node, (ast.Import, ast.ImportFrom)) else {}
                unsure |= {name for name, what in ours.items() if scope.get(name, what) != what}
                scope |= ours
                unsure |= bound(node) - ours.keys()
            cells.append({what for node in nodes if isinstance(node, (ast.Name, ast.Attribute))
                          and (what := self.meant(node, scope)) and what.name})  # fmt: skip
        # a text may say `descend` where the code says `margins.descend`
        spoken: dict[str, set[Name]] = {}
        for what in set().union(*cells):
            spoken.setdefault(what.name, set()).add(what)
        scope = {name: next(iter(several)) for name, several in spoken.items() if len(several) == 1} | scope
        return Taken(cells, {name: what for name, what in scope.items() if name not in unsure})


def bound(node: ast.AST) -> set[str]:
    """The names to which a node gives a meaning."""
    if isinstance(node, ast.Name):
        return set() if isinstance(node.ctx, ast.Load) else {node.id}
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    return {node.arg} if isinstance(node, ast.arg) else set()
