"""Strict IEEE arithmetic for what a page computes, and what a compiled module was made of."""

import ast
import functools
import hashlib
import inspect
import json
import os
import textwrap
import types
from typing import Any

import numpy as np

__all__ = ["progress"]

#: Name of the custom section of a module that says what it was made of.
SECTION = "implicitly"


def progress(done: float, of: float) -> None:
    """Say from inside a page function how far it is, as in "12 000 of 50 000 steps"; heard in the page alone."""


#: No fused products, no reordered sums: the same bits on every CPU and in the browser.
STRICT = {"fastmath": False, "error_model": "numpy", "boundscheck": False, "nogil": True}


def strict(function: types.FunctionType, done: dict | None = None) -> types.FunctionType:
    """A copy of `function` that calls strict numba functions in place of the functions that it names."""
    import numba

    _teach()
    done = {} if done is None else done
    names = {**function.__globals__}
    for name in _names(function.__code__):
        value = names.get(name)
        called = _called(value, function)
        if called is None or called is progress:
            continue
        if called not in done:
            inline = getattr(value, "targetoptions", {}).get("inline", "never")
            done[called] = numba.njit(inline=inline, **STRICT)(strict(called, done))
        names[name] = done[called]
    new = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    new.__module__, new.__qualname__ = function.__module__, function.__qualname__
    return new


def _called(value, caller):
    """The Python function behind a name that `caller` uses: a numba function's, a page function's, or one of ours."""
    for attribute in ("py_func", "function"):
        if inspect.isfunction(getattr(value, attribute, None)):
            return getattr(value, attribute)
    ours = inspect.isfunction(value) and (value.__module__ == caller.__module__ or _is_ours(value.__module__))
    return value if ours else None


def _is_ours(module):
    return module.split(".")[0] in ("implicitly", "implicitly_kernels")


@functools.cache
def _teach():
    """Tell numba what `progress` is: nothing in Python, the page's own function in a module."""
    from numba import types as nb
    from numba.extending import overload

    heard = nb.ExternalFunction("progress", nb.void(nb.float64, nb.float64))

    @overload(progress)
    def _(done, of):
        if os.environ.get("IMPLICITLY_WASM"):
            return lambda done, of: heard(done, of)
        return lambda done, of: None


def _names(code):
    """Names that a code object and those inside it read."""
    inner = [c for c in code.co_consts if inspect.iscode(c)]
    return sorted(set(code.co_names).union(*map(_names, inner)))


# -- what a module is made of ------------------------------------------------------------------


def sources(function: types.FunctionType, seen: dict) -> list[str]:
    """A function's source without comments, annotations, decorators and docstring, and the same of all that it uses."""
    if function in seen:
        return []
    seen[function] = True
    text, code = textwrap.dedent(inspect.getsource(function)), function.__code__
    if f"def {function.__name__}(" not in text:
        raise ValueError(
            f"the source of {function.__name__} must be at line {code.co_firstlineno} of {code.co_filename}, "
            f"found {text[:60]!r}: was the file changed after it was read?"
        )
    tree: Any = ast.parse(text).body[0]
    tree.decorator_list = []
    for part in ast.walk(tree):
        if isinstance(part, ast.arg):
            part.annotation = None
        elif isinstance(part, ast.FunctionDef):
            part.returns = None
    if isinstance(tree.body[0], ast.Expr) and isinstance(tree.body[0].value, ast.Constant):
        tree.body[0].value = ast.Constant(None)
    parts = [ast.unparse(tree)]
    names = _names(function.__code__)
    for name in names:
        if name in function.__globals__:
            parts += _said(name, function.__globals__[name], names, seen, function)
    return parts


def _said(name, value, names, seen, caller):
    if name in caller.__globals__.get("OF_THE_MACHINE", ()):  # a module is compiled for no machine in particular
        return [name]
    if inspect.isfunction(getattr(value, "_defn", None)):  # an intrinsic of numba
        return [name, *sources(value._defn, seen)]
    if (called := _called(value, caller)) is not None:
        return [name, *(sources(called, seen) if called is not progress else [])]
    if inspect.ismodule(value) and _is_ours(value.__name__):
        own = [(f"{name}.{n}", getattr(value, n)) for n in names if hasattr(value, n)]
        return [part for found in own for part in _said(*found, names, seen, caller)]
    if isinstance(value, np.ndarray):
        return [name, str(value.dtype), hashlib.sha256(value.tobytes()).hexdigest()]
    if isinstance(value, np.generic):
        return [name, str(value.dtype), repr(value.item())]
    return [name, repr(value)] if isinstance(value, int | float | str | tuple) else [name]


def about(module: bytes) -> dict:
    """What a module says it was made of: its section `implicitly`, ``{}`` if it has none."""
    at = 8
    while at < len(module):
        kind, (size, start) = module[at], _leb(module, at + 1)
        if kind == 0:
            length, first = _leb(module, start)
            if module[first : first + length] == SECTION.encode():
                return json.loads(module[first + length : start + size])
        at = start + size
    return {}


def _leb(data, at):
    """An unsigned LEB128 number, and where it ends."""
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at
