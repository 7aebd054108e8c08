"""Sweeps: one function over a grid of parameters and seeds, in parallel, resumable, as a tidy table.

Where the work runs is joblib's affair: this process by default, its workers with ``n_jobs=2``, a cluster
inside ``with joblib.parallel_config("dask"):``. The sweep is the same.
"""

import functools
import hashlib
import inspect
import itertools
import json
import math
import os
import statistics
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path

import joblib
from tqdm.auto import tqdm

__all__ = ["SweepError", "Table", "sweep"]

_FORMAT = 1


class SweepError(RuntimeError):
    """The swept function failed at one point of the grid; the message names the point."""


class Table(list):
    """Rows of a sweep: a list of dicts, one for each point and seed, all with the same keys."""

    def where(self, **values) -> "Table":
        """The rows in which each named column has the given value."""
        self._known(values)
        return Table(row for row in self if all(row[key] == value for key, value in values.items()))

    def column(self, name: str) -> list:
        """One column, in the order of the rows."""
        self._known([name])
        return [row[name] for row in self]

    def mean(self, name: str) -> float:
        """Mean of a column."""
        return statistics.fmean(self.column(name))

    def spread(self, name: str) -> float:
        """Standard deviation of a column (divisor n - 1); 0 for a single row."""
        values = self.column(name)
        return statistics.stdev(values) if len(values) > 1 else 0.0

    def _known(self, names: Iterable[str]) -> None:
        if not self:
            raise ValueError("the table has no rows")
        unknown = [name for name in names if name not in self[0]]
        if unknown:
            raise ValueError(f"no column {unknown[0]!r}; there are {', '.join(self[0])}")


def sweep(
    function: Callable[..., Mapping],
    grid: Mapping[str, Iterable],
    *,
    seeds: Iterable[int] = (0,),
    results: str | os.PathLike | None = None,
    n_jobs: int | None = None,
    progress: bool = True,
) -> Table:
    """Run ``function(**point, seed=seed)`` at every point of a grid and for every seed.

    Args:
        function: returns a dict of scalars (numbers, strings, booleans, None; tensors and arrays of
            one element count as numbers). It must be a pure function of its arguments, seed included.
        grid: name of each parameter and its values: strings, booleans, None, finite numbers.
        seeds: whole numbers, passed as ``seed``.
        results: a file to keep finished points in. Each is written, and on the disk, before the next is
            waited for; a sweep that is run again with the same file computes only what is missing, on a larger
            grid only what is new. The file belongs to one version of one function.
        n_jobs: as in `joblib.Parallel`; left out, what the active `joblib.parallel_config` says, or one.
        progress: whether to show a bar.

    Returns:
        A `Table` in the order of the grid (last parameter fastest, then seeds), whatever order the
        points finished in.

    Raises:
        SweepError: `function` raised; what had finished is kept in `results`.
        ValueError, TypeError: an argument is not what is described above, or `results` belongs to
            another function or to an earlier version of this one.

    Example:
        >>> table = sweep(lambda x, seed: {"square": x * x}, {"x": [1, 2, 3]}, progress=False)
        >>> table.where(x=3)
        [{'x': 3, 'seed': 0, 'square': 9}]
    """
    if not callable(function):
        raise TypeError(f"function must be callable, found {type(function).__name__}")
    points = _points(grid, seeds)
    done = {} if results is None else _read(Path(results), _signature(function))
    missing = [point for point in points if _key(point) not in done]
    bar = tqdm(total=len(points), initial=len(points) - len(missing), disable=not progress)
    out = None if results is None else open(results, "a", encoding="utf-8")  # noqa: SIM115
    try:
        # Unordered: a finished point is safe on the disk at once, however long its neighbours take.
        parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
        for point, values in parallel(joblib.delayed(_call)(function, point) for point in missing):
            done[_key(point)] = values
            if out is not None:
                out.write(json.dumps({"point": point, "values": values}) + "\n")
                out.flush()
                os.fsync(out.fileno())
            bar.update()
    finally:
        bar.close()
        if out is not None:
            out.close()
    table = Table({**point, **done[_key(point)]} for point in points)
    if any(row.keys() != table[0].keys() for row in table):
        raise ValueError("function must return the same names at every point")
    return table


def _points(grid, seeds) -> list[dict]:
    if not isinstance(grid, Mapping):
        raise TypeError(f"grid must map names to values, found {type(grid).__name__}")
    if "seed" in grid:
        raise ValueError("grid must not name 'seed'; give seeds=")
    axes = {}
    for name, values in grid.items():
        if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
            raise TypeError(f"grid[{name!r}] must be a list of values, found {type(values).__name__}")
        axes[name] = [_scalar(f"grid[{name!r}]", value) for value in values]
    axes["seed"] = list(seeds)
    for seed in axes["seed"]:
        if isinstance(seed, bool) or not isinstance(seed, Integral):
            raise TypeError(f"seeds must be whole numbers, found {seed!r}")
    axes["seed"] = [int(seed) for seed in axes["seed"]]
    for name, values in axes.items():
        if not values:
            raise ValueError(f"{'seeds' if name == 'seed' else f'grid[{name!r}]'} must not be empty")
        if len({json.dumps(value) for value in values}) != len(values):
            raise ValueError(f"{'seeds' if name == 'seed' else f'grid[{name!r}]'} holds a value twice")
        if any(isinstance(value, float) and not math.isfinite(value) for value in values):
            raise ValueError(f"grid[{name!r}] must hold finite numbers, found {values}")
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _key(point: Mapping) -> str:
    return json.dumps(point, sort_keys=True)


def _scalar(name: str, value):
    """`value` as something JSON writes and reads back unchanged."""
    if getattr(value, "size", None) == 1 or getattr(value, "ndim", None) == 0:
        value = value.item()  # numpy
    elif callable(getattr(value, "numel", None)) and value.numel() == 1:
        value = value.item()  # torch
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"{name} must hold scalars, found {type(value).__name__}")


def _call(function, point) -> tuple[dict, dict]:
    """Runs in the worker."""
    try:
        values = function(**point)
    except Exception as error:
        # A new exception of ours, as text: an exception class of the caller may not survive the way back.
        raise SweepError(f"{_name(function)} failed at {point}: {type(error).__name__}: {error}") from error
    if not isinstance(values, Mapping) or not values:
        raise SweepError(f"{_name(function)} must return a dict of scalars, found {type(values).__name__} at {point}")
    clash = sorted(set(values) & set(point))
    if clash:
        raise SweepError(f"{_name(function)} returns {clash[0]!r}, which is also a parameter")
    try:
        return point, {str(key): _scalar(f"the result {key!r}", value) for key, value in values.items()}
    except TypeError as error:
        raise SweepError(f"{_name(function)} at {point}: {error}") from None


def _name(function) -> str:
    inner = function.func if isinstance(function, functools.partial) else function
    return getattr(inner, "__qualname__", type(inner).__qualname__)


def _signature(function) -> dict:
    """What a results file remembers of the function: its name, and a digest of its source and fixed arguments."""
    inner = function.func if isinstance(function, functools.partial) else function
    try:
        source = inspect.getsource(inner)
    except (OSError, TypeError):
        source = ""
    if isinstance(function, functools.partial):
        source += repr((function.args, sorted(function.keywords.items())))
    return {"sweep": _FORMAT, "function": _name(function), "source": hashlib.sha256(source.encode()).hexdigest()[:16]}


def _read(path: Path, signature: dict) -> dict[str, dict]:
    """Finished points of a results file, which is started if it is not there.

    A last line without its end, left by a killed process, is cut off; any other damage is an error.
    """
    if not path.exists() or path.stat().st_size == 0:
        path.write_text(json.dumps(signature) + "\n", encoding="utf-8")
        return {}
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    lines = whole.decode("utf-8").splitlines()
    try:
        header, *rows = [json.loads(line) for line in lines]
        done = {_key(row["point"]): row["values"] for row in rows}
        found = {key: header[key] for key in signature}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"results: {path} is not a file of this sweep ({error})") from error
    if found != signature:
        same = found["function"] == signature["function"] and found["sweep"] == signature["sweep"]
        why = "an earlier version of it" if same else found["function"]
        raise ValueError(f"results: {path} belongs to {why}, not to {signature['function']}; use another file")
    if len(whole) != len(text):
        os.truncate(path, len(whole))
    return done
