"""What a chapter's stored outputs depend on: its text, what the lock pins, and the modules that its cells reach.

    python book/_tools/reach.py SLUG         lists the files of the library that the chapter reaches

Modules are found by reading, not by importing: `make book` asks which pages are stale where neither the library nor
grimp is installed. (grimp would not do alone: it knows no cells, and a name that a package's face passes on, lazily
or not, it cannot tell from all the others there.)  Where reading does not tell what is used, everything counts.
"""

import ast
import functools
import hashlib
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from lock import pins
from paths import CHAPTERS, ROOT

PACKAGES = {"implicitly": "lib/implicitly", "implicitly_kernels": "kernels/implicitly_kernels"}
LAZY = ("__getattr__", "__dir__")
BY_STRING = {"import_module", "__import__"}

Target = tuple[str, tuple[str, ...]]  # a module, and the names asked for in it, each an attribute of the one before


@dataclass(frozen=True)
class Code:
    """What one text imports, in functions too."""

    imports: frozenset[Target]  # as far as the text uses what it imports
    bound: dict[str, frozenset[Target]]  # name: what an import binds to it
    public: dict[str, str]  # of a literal dictionary of strings: a name, and the module that has it
    face: bool  # nothing but names of other modules
    by_string: bool


def attributes(tree: ast.AST) -> dict[str, set[tuple[str, ...]]]:
    """For each name that is read, the chains of attributes that are taken of it; `()` where it is used bare."""
    found = defaultdict(set)
    waiting = [tree]
    while waiting:
        node, chain = waiting.pop(), []
        while isinstance(node, ast.Attribute):
            chain.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                found[node.id].add(tuple(reversed(chain)))
        else:
            waiting += ast.iter_child_nodes(node)
    return found


def only_names(node: ast.stmt, lazy: bool) -> bool:
    """Whether a statement does no more than say what a package has: imports, lists of names, a docstring."""
    if isinstance(node, ast.FunctionDef):
        return node.name in LAZY
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return lazy or not any(isinstance(part, ast.Call) for part in ast.walk(node))
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)


def read(text: str, package: str = "") -> Code:
    """The imports of a text that lies in `package`.

    Raises:
        SyntaxError: the text is not Python.
    """
    tree = ast.parse(text)
    bound: defaultdict[str, set[Target]] = defaultdict(set)
    imports: set[Target] = set()
    dotted: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name if alias.asname else alias.name.split(".")[0]
                bound[alias.asname or first].add((first, ()))
                if first != alias.name:
                    imports.add((alias.name, ()))
                    dotted.add(first)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                if alias.name == "*":
                    imports.add((module, ()))
                else:
                    bound[alias.asname or alias.name].add((module, (alias.name,)))
    used = attributes(tree)
    for name, targets in bound.items():
        chains = used.get(name) or (set() if name in dotted else {()})
        imports |= {(module, (*asked, *chain)) for module, asked in targets for chain in chains}
    literals = [node.value for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)]
    public = {
        key.value: value.value
        for literal in literals
        for key, value in zip(literal.keys, literal.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant) and isinstance(value.value, str)
    }
    lazy = any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in tree.body)
    face = all(map(functools.partial(only_names, lazy=lazy), tree.body))
    by_string = any(BY_STRING & {name, *chain} for name, chains in used.items() for chain in chains)
    return Code(frozenset(imports), {n: frozenset(t) for n, t in bound.items()}, public, face, by_string)


@functools.lru_cache(4096)
def _read_file(path: Path, package: str, _stamp: tuple[int, int]) -> Code:
    return read(path.read_text(encoding="utf-8"), package)


class Reach:
    """The files that a text reaches, and `names`: what faces on the way pass on under which name."""

    def __init__(self, root: Path):
        self.root, self.files, self.names = root, set(), set()
        self._seen = set()

    def path(self, module: str) -> Path | None:
        """The file of a module of ours, None for another's."""
        first, *rest = module.split(".")
        if first not in PACKAGES:
            return None
        base = (self.root / PACKAGES[first]).joinpath(*rest)
        return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)

    def code(self, path: Path, module: str) -> Code:
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        stat = path.stat()
        return _read_file(path, package, (stat.st_mtime_ns, stat.st_size))

    def follow(self, code: Code) -> "Reach":
        for module, asked in code.imports:
            self.ask(module, asked)
        return self

    def ask(self, module: str, asked: tuple[str, ...]) -> None:
        """Reach `asked`, an attribute of an attribute ... of a module; the module as a whole where that is `()`."""
        path = self.path(module)
        if path is None or (module, asked) in self._seen:
            return
        self._seen.add((module, asked))
        parent = module.rpartition(".")[0]
        if parent and not self.code(self.path(parent), parent).face:  # it runs first
            self.ask(parent, ())
        code = self.code(path, module)
        face = path.name == "__init__.py" and code.face
        if not (face and asked):
            self.take(path, module)
        if not asked:
            return
        name, rest = asked[0], asked[1:]
        targets = {(other, (*more, *rest)) for other, more in code.bound.get(name, ())} - {(module, asked)}
        if not targets and face and name in code.public:
            targets = {(code.public[name], (name, *rest))}
        if not targets and self.path(f"{module}.{name}"):
            targets = {(f"{module}.{name}", rest)}
        if not targets and face:  # its own: a version, a list of names
            self.files.add(path)
        for other, more in targets:
            if face:
                self.names.add(f"{module}.{name} {other} {'.'.join(more)}")
            self.ask(other, more)

    def take(self, path: Path, module: str) -> None:
        """A module whole, and all that it imports; of a package every file, as it may import them by string."""
        folder = path.parent
        for file in sorted(folder.rglob("*.py")) if path.name == "__init__.py" else [path]:
            if file not in self.files:
                self.files.add(file)
                parts = file.relative_to(folder).with_suffix("").parts if file != path else ()
                self.follow(self.code(file, ".".join([module, *(part for part in parts if part != "__init__")])))


def reached(source: Path, root: Path = ROOT) -> Reach:
    """What the code cells of a chapter reach."""
    import jupytext

    cells = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "code"]
    found = Reach(root)
    try:
        code = read("\n\n".join(cells))
    except SyntaxError:  # a magic
        code = None
    if code is None or code.by_string:
        code = Code(frozenset((package, ()) for package in PACKAGES), {}, {}, False, False)
    return found.follow(code)


def key(source: Path, root: Path = ROOT) -> str:
    """Hash of all that a chapter's outputs depend on: its text, the modules it reaches, fonts, what the lock pins."""
    digest = hashlib.sha256()
    found = reached(source, root)
    # What a page computes with is stored in its notebook.
    # The explorer's script runs in the reader's browser and never touches a stored output.
    fonts = (root / "lib/implicitly").rglob("*.ttf")
    modules = [module for file in found.files for module in file.parent.glob(f"{file.stem}.*.wasm")]
    for path in [source, *sorted(found.files), *sorted(modules), *sorted(fonts)]:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    for line in [*sorted(found.names), *map(" ".join, pins((root / "requirements.lock").read_text()))]:
        digest.update(line.encode() + b"\0")
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    found = reached(CHAPTERS / f"{sys.argv[1]}.md")
    print(*sorted(path.relative_to(ROOT).as_posix() for path in found.files), sep="\n")
