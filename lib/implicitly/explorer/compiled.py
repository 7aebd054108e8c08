"""Compute functions that a page of the book computes too: one function, compiled for Python and for the browser."""

import base64
import contextlib
import functools
import hashlib
import inspect
import json
import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .controls import Control
from .strict import STRICT, about, sources, strict

__all__ = ["PageFunction", "page_function"]

#: Bytes that all arrays of one function may take: what a phone's browser gives without asking.
ROOM = 64 * 2**20
#: Gzipped bytes that one module may take.
MODULE = 20_000
#: Numbers of each array that a page compares with the book's before it trusts its own.
SAMPLES = 16


def page_function(
    params: Mapping[str, type | Sequence],
    outputs: Mapping[str, int | Sequence[int]],
    *,
    data: Mapping[str, int | Sequence[int]] | None = None,
    work: Mapping[str, int | Sequence[int]] | None = None,
    whole: Sequence[str] = (),
    tolerance: float = 1e-9,
    slow: bool = False,
) -> "Callable[[Callable], PageFunction]":
    """Declare a numba-compilable function as the compute function of an `Explorer`, in Python and in the page.

    The function takes, in this order and under these names: the `params`, then the arrays of `data`, `outputs` and
    `work`. It reads its data, writes its outputs, and returns nothing. Outputs and work arrive filled with zeros.
    All arrays are float64. It allocates nothing, raises nothing, and may call kernels' inner numba functions that it
    names directly (``from implicitly_kernels.relu_gd._numba import _step``).

    Args:
        params: ``{name: kind}``, the controls. `float`, `int` (a slider over whole numbers, a `Seed`), or the tuple
            of a `Choice`'s options, of which the function gets the position.
        outputs: ``{key: shape}``. A scalar, of shape ``()``, is an array of one number inside the function.
        data: ``{name: shape}`` of arrays that `PageFunction.bind` gives.
        work: ``{name: shape}`` of arrays to work in.
        whole: outputs that hold whole numbers (classes, counts); never interpolated.
        tolerance: how far a browser's number may lie from the stored one, as a share of the largest in its array.
            Only `exp`, `log`, `pow`, trigonometric and hyperbolic functions differ between hosts, by 1 ulp or so;
            a function without them has the same bits everywhere, and can say 0.
        slow: it may take longer than a frame, so the page computes it beside the page's own thread.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what was found.

    >>> from implicitly.explorer import page_function
    >>> @page_function({"rate": float}, {"t": 5, "y": 5}, tolerance=1e-14)
    ... def decay(rate, t, y):
    ...     for i in range(t.size):
    ...         t[i] = i / 4
    ...         y[i] = 1 / (1 + rate * t[i])
    >>> decay(rate=4.0)["y"].round(3).tolist()
    [1.0, 0.5, 0.333, 0.25, 0.2]
    """
    return lambda function: PageFunction(function, params, outputs, data, work, whole, tolerance, slow)


class PageFunction:
    """What `page_function` makes: called with the controls by name, it returns ``{key: array}``.

    Compiled by numba when it is first called, to strict IEEE arithmetic: products and sums are never fused, so it has
    the same bits on every CPU and in the browser. Without numba the Python function itself runs.
    """

    def __init__(
        self, function: Callable, params: Mapping[str, type | Sequence], outputs: Mapping[str, int | Sequence[int]],
        data: Mapping[str, int | Sequence[int]] | None = None, work: Mapping[str, int | Sequence[int]] | None = None,
        whole: Sequence[str] = (), tolerance: float = 1e-9, slow: bool = False,
    ):  # fmt: skip
        if not inspect.isfunction(function):
            raise TypeError(f"page_function: the function must be a Python function, {checks.found(function)}")
        functools.update_wrapper(self, function)
        self.name = function.__name__
        where = f"page_function {function.__name__}"
        self.function = function
        self.params = {checks.key(f"{where}: params", n): _kind(f"{where}: {n}", k) for n, k in params.items()}
        self.data = _shapes(f"{where}: data", data or {})
        self.outputs = _shapes(f"{where}: outputs", outputs)
        self.work = _shapes(f"{where}: work", work or {})
        self.whole = checks.items(f"{where}: whole", whole, "names of outputs")
        self.tolerance = checks.number(f"{where}: tolerance", tolerance, at_least=0, at_most=1)
        self.slow = checks.flag(f"{where}: slow", slow)
        strange = [name for name in self.whole if name not in self.outputs]
        if strange or not self.outputs:
            what = "whole must name outputs" if strange else "outputs must name at least one array"
            raise ValueError(f"{where}: {what}, found {strange or self.outputs}")
        wanted = [*self.params, *self.data, *self.outputs, *self.work]
        taken = list(inspect.signature(function).parameters)
        if taken != wanted:
            raise ValueError(f"{where}: its parameters must be {wanted} (params, data, outputs, work), found {taken}")
        size = 8 * sum(math.prod(shape) or 1 for shape in self.arrays.values())
        if size > ROOM:
            raise ValueError(
                f"{where}: its arrays take {size:,} bytes, a page has room for {ROOM:,}; largest: "
                f"{max(self.arrays.items(), key=lambda a: math.prod(a[1]))}"
            )
        self.bound: dict[str, np.ndarray] = {}

    @property
    def arrays(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all arrays, in the order in which the function takes them."""
        return {**self.data, **self.outputs, **self.work}

    def bind(self, **arrays: ArrayLike) -> "PageFunction":
        """The same function on these `data`."""
        if set(arrays) != set(self.data):
            raise ValueError(f"{self.name}.bind: expected {list(self.data)}, found {list(arrays)}")
        new = object.__new__(PageFunction)
        new.__dict__ = {**self.__dict__, "bound": {}}
        for name, value in arrays.items():
            array = np.ascontiguousarray(value, np.float64)
            if array.shape != self.data[name]:
                raise ValueError(f"{self.name}.bind: {name} must have shape {self.data[name]}, found {array.shape}")
            new.bound[name] = array.copy()
        return new

    def check(self, controls: Sequence[Control]) -> None:
        """Raise if the controls of an explorer do not give what the function takes."""
        found = {c.name: c for c in controls if not c.frames}
        if set(found) != set(self.params):
            raise ValueError(f"{self.name} takes {list(self.params)}, the controls are {list(found)}")
        for name, kind in self.params.items():
            c = found[name]
            if isinstance(kind, tuple):
                fits = c.kind == "choice" and c.options == kind
            else:
                fits = c.kind == "seed" or (c.kind == "slider" and (kind is float or c.integer))
            if not fits or (kind is float and c.kind == "seed"):
                wanted = {float: "a Slider", int: "a Slider over ints or a Seed"}.get(kind, f"a Choice of {kind}")
                raise ValueError(f"{self.name}: {name} must be {wanted}, found {type(c).__name__} {c.values}")

    def __call__(self, **params: Any) -> dict[str, np.ndarray]:
        """``{key: array}`` at these values; whole outputs are integers."""
        if set(params) != set(self.params):
            raise TypeError(f"{self.name} takes {list(self.params)}, found {list(params)}")
        if set(self.bound) != set(self.data):
            raise ValueError(f"{self.name} needs data {list(self.data)}: call its bind first")
        given = [_number(n, kind, params[n]) for n, kind in self.params.items()]
        arrays = {n: self.bound[n].copy() if n in self.bound else np.zeros(s or 1) for n, s in self.arrays.items()}
        self._run(*given, *arrays.values())
        found = {name: arrays[name].reshape(shape) for name, shape in self.outputs.items()}
        return found | {name: _as_whole(name, found[name]) for name in self.whole}

    @property
    def _run(self):
        return _compiled(
            self.function, tuple(self.params.values()), tuple(map(len, map(_inside, self.arrays.values())))
        )

    def __reduce__(self):
        if getattr(inspect.getmodule(self.function), self.name, None) is not None:
            return _find, (self.__module__, self.name, self.bound)
        names = ("function", "params", "outputs", "data", "work", "whole", "tolerance", "slow")
        return PageFunction, tuple(getattr(self, name) for name in names), {**self.__dict__}

    # -- the module ----------------------------------------------------------------------------

    @property
    def path(self) -> Path | None:
        """Where its module lies: beside its source, named after both. None for a function of a notebook."""
        try:
            file = Path(inspect.getfile(self.function))
        except (TypeError, OSError):
            return None
        if self.__module__ == "__main__" or "<locals>" in self.function.__qualname__ or not file.is_file():
            return None
        return file.with_name(f"{file.stem}.{self.name}.wasm")

    def digest(self) -> str:
        """Hash of its source, of all that it calls, and of what it declares."""
        said = [[n, str(k if isinstance(k, type) else len(k))] for n, k in self.params.items()]
        parts = [json.dumps([said, list(self.arrays.items())]), *sources(self.function, {})]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def module(self) -> bytes | None:
        """Its compiled module; None, with a warning, if there is none for this source."""
        path = self.path
        if path is None:
            return None
        if path.is_file():
            module = path.read_bytes()
            if about(module).get("digest") == self.digest():
                return module
        state = "is not what its source compiles to" if path.is_file() else "is missing"
        warnings.warn(f"{path.name} {state}: run `make wasm`; the page has the stored values alone", stacklevel=3)
        return None

    def spec(self, module: bytes, points: list[dict]) -> dict:
        """What the page computes with: the module, what goes in and comes out, and numbers to check itself by."""
        check = []
        for params in points:
            found = self(**params)
            sampled = [_sample(np.asarray(found[name], np.float64)) for name in self.outputs]
            check.append([[_number(n, k, params[n]) for n, k in self.params.items()], _base64(np.concatenate(sampled))])
        return {
            "wasm": base64.b64encode(module).decode("ascii"),
            "params": [[n, "int" if kind is not float else "float"] for n, kind in self.params.items()],
            "data": [_base64(self.bound[name]) for name in self.data],
            "arrays": [[name, list(shape)] for name, shape in self.outputs.items()],
            "work": [math.prod(shape) for shape in self.work.values()],
            "samples": SAMPLES,
            "check": check,
            "tolerance": self.tolerance,
            "slow": self.slow,
        }


def _find(module, name, bound):
    import importlib

    found = getattr(importlib.import_module(module), name)
    return found.bind(**bound) if bound else found


def _kind(where, kind):
    if kind is float or kind is int:
        return kind
    if isinstance(kind, type | str):
        raise TypeError(f"{where} must be float, int or the options of a Choice, {checks.found(kind)}")
    return checks.items(where, kind, "options", least=2)


def _shapes(where, given):
    out = {}
    for name, shape in given.items():
        shape = (shape,) if isinstance(checks.plain(shape), int) else checks.items(f"{where}[{name!r}]", shape, "sizes")
        sizes = tuple(checks.whole(f"{where}[{name!r}]", n, 1, 2**31 - 1) for n in shape)
        out[checks.key(where, name)] = sizes
    return out


def _inside(shape):
    """The shape that the function sees: scalars are arrays of one."""
    return shape or (1,)


def _number(name, kind, value):
    """A parameter as the function gets it."""
    if kind is float:
        return float(value)
    if kind is int:
        return int(value)
    if value not in kind:
        raise ValueError(f"{name} must be one of {kind}, {checks.found(value)}")
    return kind.index(value)


def _as_whole(name, array):
    if not (array == np.rint(array)).all():
        raise ValueError(f"{name!r} is declared whole, found {array[array != np.rint(array)][0]!r}")
    return array.astype(np.int64)


def _sample(array):
    flat = array.ravel()
    return flat[np.arange(min(SAMPLES, flat.size)) * flat.size // min(SAMPLES, flat.size)]


def _base64(array):
    return base64.b64encode(np.ascontiguousarray(array, "<f8").tobytes()).decode("ascii")


# -- compiling for Python ----------------------------------------------------------------------


@functools.lru_cache(64)
def _compiled(function, kinds, dims):
    try:
        import numba
    except ImportError:
        return function
    from numba.core.caching import FunctionCache

    number = {float: numba.float64}
    signature = [number.get(k, numba.int64) if isinstance(k, type) else numba.int64 for k in kinds]
    signature += [numba.types.Array(numba.float64, d, "C") for d in dims]
    made = numba.njit(**STRICT)(strict(function))
    made_of = "\0".join([*sources(function, {}), os.environ.get("IMPLICITLY_WASM", "")])
    digest = hashlib.sha256(made_of.encode()).hexdigest()

    class Cache(FunctionCache):
        """Numba's own asks whether the function's file has changed; this one, whether anything has that it calls."""

        def _index_key(self, *of):
            return *super()._index_key(*of), digest

    # a folder for the cache is numba's to find; a cell of a notebook, and a machine without one, have none
    with contextlib.suppress(RuntimeError, OSError):
        made._cache = Cache(made.py_func)
    made.compile(numba.void(*signature))
    made.disable_compile()
    return made
