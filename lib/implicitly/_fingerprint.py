"""A digest of a function and of all that it refers to: two functions that can differ have two digests.

`joblib.hash` refuses functions that are not importable, and the bytes of cloudpickle change with the order of
sets, so from one process to the next. Here the function is walked: its code, defaults, closure, and the
globals that its code names, functions among them in the same way. Two things count by less than their value:
a package that is installed, by its name and version; and what a module of one's own holds besides functions,
classes and constants, by the text of the module's package (and of the packages of one's own that it imports).
"""

import ast
import copyreg
import dis
import functools
import hashlib
import importlib.util
import sys
import types
from collections import Counter
from importlib import metadata
from itertools import pairwise
from pathlib import Path

__all__ = ["fingerprint"]

_ATOMS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented), range)
_INSTALLED = {"site-packages", "dist-packages"}
_CONTAINERS = (list, tuple, dict, set, frozenset)
_MISSING = object()
_MEMBERS = types.FunctionType | property | staticmethod | classmethod
_CACHED = type(functools.cache(len))


def fingerprint(function) -> str:
    """16 hexadecimal digits that stand for what `function` computes.

    Raises:
        TypeError: it refers to something without a value that could be compared (a lock, an open file).
    """
    _spec.cache_clear(), _is_installed.cache_clear()
    try:
        return _Walk()(function, "").hex()[:16]
    except RecursionError:
        raise TypeError("what it refers to is nested too deeply") from None


def _digest(*parts: str | bytes) -> bytes:
    total = hashlib.sha256()
    for part in parts:
        part = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        total.update(len(part).to_bytes(8, "little") + part)
    return total.digest()


class _Walk:
    def __init__(self):
        self.seen = {}  # id -> the value, kept alive so that its id stays its own, and its digest
        self.opened = 0
        self.packages = {}

    def __call__(self, value, trail: str) -> bytes:
        """Digest of one value; `trail` says, for an error, how the function comes to it."""
        kind = type(value)
        if kind in _ATOMS:
            return _digest(kind.__name__, repr(value))
        if id(value) in self.seen:
            return self.seen[id(value)][1]
        # Met again on the way down, as a function that calls itself, it is the n-th that was met. Containers do
        # not count: whether two equal ones are one object differs from process to process.
        self.opened += kind not in _CONTAINERS
        self.seen[id(value)] = value, _digest("again", str(self.opened))
        digest = _digest(kind.__qualname__, self._parts(value, kind, trail))
        self.seen[id(value)] = value, digest
        return digest

    def _all(self, values, trail: str) -> bytes:
        return _digest(*[self(value, trail) for value in values])

    def _parts(self, value, kind, trail: str) -> bytes:
        if kind in (list, tuple):
            return self._all(value, trail)
        if kind is dict:
            return _digest(self._all(value.keys(), trail), self._all(value.values(), trail))
        if kind in (set, frozenset):
            return _digest(*sorted(self(item, trail) for item in value))
        if kind is types.CodeType:
            return self._code(value, trail)
        if isinstance(value, types.ModuleType):
            return self._package(value.__name__)
        if isinstance(value, functools.partial):
            fixed = sorted(value.keywords.items())
            return _digest(self(value.func, trail), self._all(value.args, trail), self._all(fixed, trail))
        if kind is types.MethodType:
            return _digest(self(value.__func__, trail), self(value.__self__, trail))
        if kind is types.FunctionType:
            return self._function(value, trail)
        if kind is types.CellType:
            return self(value.cell_contents, trail)
        if isinstance(value, type):
            return self._class(value, trail)
        if isinstance(value, property):
            return self._all((value.fget, value.fset), trail)
        if kind in (staticmethod, classmethod, _CACHED):
            return self(value.__wrapped__, trail)
        if kind is functools.cached_property:
            return self(value.func, trail)
        if kind.__module__.startswith(("numba.", "triton.")):  # a compiled function
            for name in ("py_func", "fn"):
                if isinstance(inner := getattr(value, name, None), types.FunctionType):
                    return _digest(self(inner, trail), self(getattr(value, "targetoptions", None), trail))
        data = _array(value)
        return _digest(*data) if data else self._instance(value, kind, trail)

    def _instance(self, value, kind, trail: str) -> bytes:
        """Any other object, by the parts that pickle would take of it."""
        try:
            own = copyreg.dispatch_table.get(kind)
            reduced = own(value) if own else value.__reduce_ex__(4)
        except Exception:
            where = trail or "the function itself"
            raise TypeError(f"{where} is a {kind.__module__}.{kind.__qualname__}, which has no value") from None
        if isinstance(reduced, str):
            return _digest(str(getattr(value, "__module__", None)), reduced)
        made_by, *rest = reduced
        parts = [list(part) if hasattr(part, "__next__") else part for part in rest]
        return _digest(self(made_by, trail), self._all(parts, trail))

    def _function(self, value, trail: str) -> bytes:
        module = value.__globals__.get("__name__", "")
        trail = f"{trail} -> {value.__name__}" if trail else value.__name__
        parts = [self._package(module)]
        if _is_installed(module):
            parts.append(value.__qualname__.encode())
            if _found(module, value.__qualname__) is value:
                return _digest(*parts)
        else:
            parts += [self(value.__code__, trail), self._globals(value, trail)]
            if not _is_module(module):
                parts.append(self({name: own for name, own in vars(value).items() if name != "__wrapped__"}, trail))
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            parts.append(self(cell, f"{trail} -> {name}") if _is_filled(cell) else b"")
        parts.append(self(value.__defaults__, f"{trail} -> its defaults"))
        parts.append(self(value.__kwdefaults__, f"{trail} -> its defaults"))
        return _digest(*parts)

    def _code(self, code: types.CodeType, trail: str) -> bytes:
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        shape = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        return _digest(code.co_code, code.co_exceptiontable, repr(names), repr(shape),
                       self._all(_constants(code), trail))  # fmt: skip

    def _globals(self, function: types.FunctionType, trail: str) -> bytes:
        """The globals that the code names; of a module of one's own also ``module.name``."""
        own = function.__globals__
        mine = _is_module(own.get("__name__", ""))
        parts = []
        for code in _codes(function.__code__):
            holder = None  # the module whose attribute may come next
            for step in dis.get_instructions(code):
                if step.opname.startswith("LOAD_") and ("GLOBAL" in step.opname or step.opname == "LOAD_NAME"):
                    value, from_module = own.get(step.argval, _MISSING), mine
                elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and holder is not None:
                    value, from_module = getattr(holder, step.argval, _MISSING), True
                elif step.opname == "IMPORT_NAME":
                    parts.append(self._package(step.argval))
                    continue
                else:
                    holder = holder if step.opname in ("CACHE", "PUSH_NULL") else None
                    continue
                is_own = isinstance(value, types.ModuleType) and not _is_installed(value.__name__)
                holder = value if is_own else None
                if value is not _MISSING and (not from_module or _is_constant(value)):
                    parts.append(_digest(step.argval, self(value, f"{trail} -> {step.argval}")))
        return _digest(*parts)

    def _class(self, value: type, trail: str) -> bytes:
        parts = [self._package(value.__module__), value.__qualname__.encode()]
        if not _is_installed(value.__module__):
            parts.append(self._all(value.__bases__, trail))
            mine = _is_module(value.__module__)
            for name, member in vars(value).items():
                plain = isinstance(member, _MEMBERS)
                slot = isinstance(member, types.MemberDescriptorType | types.GetSetDescriptorType)
                counts = plain or not (name.startswith("__") or name == "_abc_impl" or slot)
                if counts and (not mine or _is_constant(member)):
                    parts.append(_digest(name, self(member, f"{trail} -> {value.__name__}.{name}")))
        return _digest(*parts)

    def _package(self, module: str) -> bytes:
        """A package: its name and version if it is installed, else its files and the packages they import."""
        top = module.partition(".")[0]
        if top not in self.packages:
            self.packages[top] = b""  # met again: packages that import each other
            self.packages[top] = _digest(top, *self._package_parts(top))
        return self.packages[top]

    def _package_parts(self, top: str) -> list[bytes]:
        if _is_installed(top):
            return [_version(top).encode()]
        parts, imported = [], set()
        for file in _files(top):
            text = file.read_bytes()
            parts += [file.name.encode(), text]
            imported |= _imports(text)
        return parts + [self._package(name) for name in sorted(imported - {top})]


def _array(value) -> list[str | bytes] | None:
    """What an array of numpy or a tensor of torch holds; None for anything else."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy and isinstance(value, numpy.ndarray) and not value.dtype.hasobject:
        return [str(value.dtype), str(value.shape), value.tobytes()]
    if torch and isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_meta:
        plain = value.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
        return [str(value.dtype), str(tuple(value.shape)), plain.view(torch.uint8).numpy().tobytes()]
    return None


def _codes(code: types.CodeType):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _constants(code: types.CodeType) -> list:
    """A code's constants, without the line of a class: since Python 3.13 its body keeps it as `__firstlineno__`."""
    if "__firstlineno__" not in code.co_names:
        return list(code.co_consts)
    steps = list(dis.get_instructions(code))
    loaded = Counter(step.arg for step in steps if step.opname == "LOAD_CONST")
    lines = {load.arg for load, store in pairwise(steps) if store.argval == "__firstlineno__"}
    return [None if i in lines and loaded[i] == 1 else constant for i, constant in enumerate(code.co_consts)]


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # a name that is bound later, or never
        return False
    return True


def _is_constant(value) -> bool:
    """Whether something in a module is compared by value: what is neither a container nor an object with state."""
    if type(value) is tuple:
        return all(map(_is_constant, value))
    return type(value) in _ATOMS or isinstance(value, _MEMBERS | type) or _array(value) is not None


@functools.cache
def _spec(top: str):
    if top in ("", "__main__"):
        return None
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None


def _is_module(module: str) -> bool:
    """Whether a module was imported, so that its text can be found again; a notebook's was not."""
    return _spec(module.partition(".")[0]) is not None


@functools.cache
def _is_installed(module: str) -> bool:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return True
    spec = _spec(top)
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
    return any(_INSTALLED & {*Path(place).parts} for place in places if place)


def _files(top: str) -> list[Path]:
    spec = _spec(top)
    if spec is None:
        return []
    folders = spec.submodule_search_locations
    if not folders:
        return [Path(spec.origin)] if spec.has_location else []
    return sorted(file for folder in folders for file in Path(folder).rglob("*.py"))


@functools.cache
def _imports(text: bytes) -> set[str]:
    """Top-level names of the packages that a module imports, wherever in it."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return set()
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.partition(".")[0] for name in names}


def _found(module: str, qualname: str):
    value = sys.modules.get(module)
    for name in qualname.split("."):
        value = getattr(value, name, None)
    return value


_distributions = functools.cache(metadata.packages_distributions)


@functools.cache
def _version(top: str) -> str:
    """The version of an installed package, without the part that names a build ("+cpu"); "" if it has none."""
    if top in sys.stdlib_module_names:
        return ""
    return " ".join(metadata.version(name).partition("+")[0] for name in sorted(set(_distributions().get(top, ()))))
