"""Every public function of the library says what it takes and what it returns."""

import ast
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[2] / "lib/implicitly"
MODULES = [path for path in sorted(LIBRARY.rglob("*.py")) if not path.stem.startswith("_") or path.stem == "__init__"]
CALLED = ("__init__", "__call__")  # special methods that a reader calls


def lacking(function: ast.FunctionDef, method: bool) -> list[str]:
    """The parameters of a function that have no type, and "return" if nothing says what it returns."""
    given, marks = function.args, {ast.unparse(mark) for mark in function.decorator_list}
    named = [*given.posonlyargs, *given.args][method and "staticmethod" not in marks :]
    every = [*named, *given.kwonlyargs, *(one for one in (given.vararg, given.kwarg) if one)]
    silent = function.returns is None and function.name != "__init__"
    return [one.arg for one in every if one.annotation is None] + ["return"] * silent


def untyped(body: list[ast.stmt], of: str = "") -> list[str]:
    found = []
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found += untyped(node.body, f"{node.name}.")
        if isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name in CALLED):
            found += [f"{of}{node.name}: {name}" for name in lacking(node, method=bool(of))]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(LIBRARY).as_posix())
def test_public_functions_are_annotated(path):
    assert untyped(ast.parse(path.read_text(encoding="utf-8")).body) == []


def test_what_has_no_type_is_named():
    function = "def f(x, *, y: int = 0, **more): ...\n"
    class_ = "class A:\n    def __call__(self, z) -> None: ...\n    def _own(self, w): ..."
    assert untyped(ast.parse(function + class_).body) == ["f: x", "f: more", "f: return", "A.__call__: z"]
