"""Page functions in a test: which there are, what they are called with, and whether a page's numbers are Python's."""

import inspect
import itertools
import linecache

import numpy as np

import wasm
from implicitly.explorer import compiled

FOUND = wasm.functions()

#: What each parameter ranges over in the comparison, where it cannot be left to chance: steps cost time.
RANGES = {
    "steps": (0, 3000),
    "time": (0, 12),
    "k": (0, 4),
    "n": (1, 5000),
    "M": (1, 24),
    "C": (1, 100),
    "work": (0, 4),
    "size": (1, 100),
    "count": (0, 130),
    "h": (1, 40),
    "guesses": (1, 30_000),
}
WHOLE = (0, 2**31)


def settings(function, count=40):
    """Random values, then the awkward ones, of every parameter."""
    rng = np.random.default_rng(18)
    made = []
    for k in range(count):
        values = {}
        for name, kind in function.params.items():
            if kind is float:
                value = rng.normal() * 10.0 ** rng.integers(-3, 3)
                values[name] = float(value if k % 2 else abs(value))
            elif kind is int:
                values[name] = int(rng.integers(*RANGES.get(name, WHOLE)))
            else:
                values[name] = kind[rng.integers(len(kind))]
        made.append(values)
    awkward = [0.0, -0.0, np.nan, np.inf, -np.inf, 5e-324, 1e-300, 1e308, -1e308, 1.0]
    for name in (n for n, kind in function.params.items() if kind is float):
        made += [{**made[0], name: value} for value in awkward]
    for name in (n for n, kind in function.params.items() if kind is int):
        made += [
            {**made[0], name: value}
            for value in (0, 1, 2**31 - 1)
            if name not in RANGES or value in range(*RANGES[name])
        ]
    return made


def numbers(function, params):
    """What the compiled function is given at these values."""
    return [compiled._number(n, k, params[n]) for n, k in function.params.items()]


def raw(function, params):
    """What the compiled Python function writes, before it is checked."""
    arrays = {n: function.bound[n].copy() if n in function.data else np.zeros(s or 1)
              for n, s in function.arrays.items()}  # fmt: skip
    function._run(*numbers(function, params), *arrays.values())
    return np.concatenate([arrays[n].ravel() for n in function.outputs])


def filled(function):
    """The function on some data, if it takes any."""
    rng = np.random.default_rng(0)
    return function.bind(**{n: rng.normal(size=s) for n, s in function.data.items()}) if function.data else function


def difference(function, cases, found, wanted) -> str | None:
    """Where outputs `found`, a row for each of `cases`, are not those `wanted`; None if they are.

    The same bits where the function's tolerance is 0 (of a NaN, that it is one); else within that share of the
    largest number of the array, as the page itself compares.
    """
    at = 0
    for name, shape in function.outputs.items():
        size = int(np.prod(shape))
        a, b = found[:, at : at + size], wanted[:, at : at + size]
        at += size
        gaps = np.isnan(a) & np.isnan(b)
        if function.tolerance == 0:
            same = gaps | (a.view(np.int64) == b.view(np.int64))
        else:
            largest = np.abs(np.where(np.isfinite(b), b, 0)).max(1, keepdims=True)
            with np.errstate(invalid="ignore"):
                same = gaps | (a == b) | (np.abs(a - b) <= function.tolerance * largest)
        if not same.all():
            case, place = np.argwhere(~same)[0]
            return f"{function.name}: {name}[{place}] at {cases[case]}: {a[case, place]!r}, Python {b[case, place]!r}"
    return None


_COUNT = itertools.count()


def planted(module, old, new):
    """The names of a module whose source has a fault.

    Its text has a file name of its own: a compiled function asks for its source by the name of its file, and would get
    that of another test's.
    """
    source = inspect.getsource(module).replace(old, new)
    assert source != inspect.getsource(module)
    file = f"<planted {next(_COUNT)}: {module.__name__}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names = {"__name__": module.__name__, "__package__": module.__package__, "__file__": module.__file__}
    exec(compile(source, file, "exec"), names)
    return names
