"""Sweeps: one function over a grid of parameters and seeds, in parallel, resumable, as a pandas table.

Where the work runs is joblib's affair: this process by default, its workers with ``n_jobs=2``, a cluster
inside ``with joblib.parallel_config("dask"):``. The sweep is the same.
"""

import functools
import itertools
import json
import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
from tqdm.auto import tqdm

if TYPE_CHECKING:
    import pandas

from ._fingerprint import fingerprint
from ._validate import flag, whole

__all__ = ["SweepError", "sweep"]

_FORMAT = 2
_START = json.dumps({"sweep": _FORMAT})[:-1]  # how each line of a results file begins


class SweepError(RuntimeError):
    """The swept function failed at one point of the grid; the message names the point."""


def sweep(
    function: Callable[..., Mapping],
    grid: Mapping[str, Iterable],
    *,
    seeds: Iterable[int] = (0,),
    results: str | os.PathLike | None = None,
    version: str | int | None = None,
    n_jobs: int | None = None,
    progress: bool = True,
) -> "pandas.DataFrame":
    """Run ``function(**point, seed=seed)`` at every point of a grid and for every seed.

    Args:
        function: returns a dict of scalars (numbers, strings, booleans, None; tensors and arrays of
            one element count as numbers). It must be a pure function of its arguments, seed included.
        grid: name of each parameter and its values: strings, booleans, None, finite numbers.
        seeds: whole numbers, passed as ``seed``.
        results: a file to keep finished points in. Each is written, and on the disk, before the next is
            waited for; a sweep that is run again with the same file computes only what is missing, on a
            larger grid only what is new. A row says which function it is of, by a digest of its code, defaults
            and closure, of the globals that its code names, and of the functions that it calls; packages that
            are installed count by their version. Another function, or this one changed, is computed anew, and
            the rows of both stay in the file. Several processes may write to one file on a local disk.
        version: what stands for the function in `results` in place of that digest; you then say when it has
            changed. Needed where the function refers to something that has no value to compare (a lock, a client).
        n_jobs: as in `joblib.Parallel`; left out, what the active `joblib.parallel_config` says, or one.
        progress: whether to show a bar.

    Returns:
        A pandas DataFrame: a row for each point and seed, in the order of the grid (last parameter fastest, then
        seeds), whatever order the points finished in; a column for each parameter, ``seed``, and each result. Columns
        have the types that pandas gives them: None among numbers becomes NaN.

    Raises:
        SweepError: `function` raised; what had finished is kept in `results`.
        ValueError, TypeError: an argument is not what is described above, or `results` is another kind of file.

    Warns:
        UserWarning: `results` holds rows of a function of this name, and they are of another version of it.

    Example:
        >>> table = sweep(lambda x, seed: {"square": x * x}, {"x": [1, 2, 3]}, progress=False)
        >>> table[table.x > 1]
           x  seed  square
        1  2     0       4
        2  3     0       9
    """
    if not callable(function):
        raise TypeError(f"function must be callable, found {type(function).__name__}")
    points = _points(grid, seeds)
    flag("progress", progress)
    if version is not None and (isinstance(version, bool) or not isinstance(version, str | Integral)):
        raise TypeError(f"version must be a string or a whole number, found {type(version).__name__}")
    workers = None if n_jobs is None else whole("n_jobs", n_jobs)
    if workers == 0:
        raise ValueError("n_jobs must be a number of processes, or below 0 to count from all processors, found 0")
    done, out = {}, None
    if results is not None:
        mark = {"sweep": _FORMAT, "function": _name(function), "version": _version(function, version)}
        path = _path(results)
        done = _read(path, mark)
        out = _open(path)
    missing = [point for point in points if _key(point) not in done]
    bar = tqdm(total=len(points), initial=len(points) - len(missing), disable=not progress)
    try:
        # Unordered: a finished point is safe on the disk at once, however long its neighbours take.
        parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1)
        for point, values in parallel(joblib.delayed(_call)(function, point) for point in missing):
            done[_key(point)] = values
            if out is not None:
                _write(out, {**mark, "point": point, "values": values})
            bar.update()
    finally:
        bar.close()
        if out is not None:
            out.close()
    rows = [{**point, **done[_key(point)]} for point in points]
    if any(row.keys() != rows[0].keys() for row in rows):
        raise ValueError("function must return the same names at every point")
    import pandas  # late: it takes half a second

    return pandas.DataFrame(rows)


def _points(grid, seeds) -> list[dict]:
    if not isinstance(grid, Mapping):
        raise TypeError(f"grid must map names to values, found {type(grid).__name__}")
    if "seed" in grid:
        raise ValueError("grid must not name 'seed'; give seeds=")
    axes = {}
    for name, values in grid.items():
        if not isinstance(name, str):
            raise TypeError(f"grid must map names to values, found the key {name!r}")
        axes[name] = [_scalar(f"grid[{name!r}]", value) for value in _several(f"grid[{name!r}]", values)]
    axes["seed"] = [whole(f"seeds[{i}]", seed) for i, seed in enumerate(_several("seeds", seeds))]
    for name, values in axes.items():
        where = "seeds" if name == "seed" else f"grid[{name!r}]"
        if not values:
            raise ValueError(f"{where} must hold at least one value, found none")
        if len({json.dumps(value) for value in values}) != len(values):
            raise ValueError(f"{where} must hold each value once, found {values}")
        if any(isinstance(value, float) and not math.isfinite(value) for value in values):
            raise ValueError(f"{where} must hold finite numbers, found {values}")
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _several(name: str, values) -> list:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a list of values, found {type(values).__name__}")
    if getattr(values, "ndim", 1) != 1:
        raise ValueError(f"{name} must be a list of values, found shape {tuple(values.shape)}")
    return list(values)


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


def _version(function, version) -> str:
    """What a results file remembers of the function besides its name."""
    if version is not None:
        return f"version {version}"
    try:
        return fingerprint(function)
    except TypeError as error:
        raise TypeError(
            f"function must be one whose changes show, for results= to tell its rows from those of another: {error}. "
            "Say with version= which version of it this is, or keep nothing with results=None"
        ) from None


def _path(results) -> Path:
    if not isinstance(results, str | os.PathLike):
        raise TypeError(f"results must be the path of a file, found {type(results).__name__}")
    path = Path(results)
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(f"results must be a file in a folder that exists, found {str(results)!r}")
    return path


def _read(path: Path, mark: dict) -> dict[str, dict]:
    """Finished points of the marked function in a results file.

    Nothing in the file is changed. A line that a killed process left without its end is passed over; a line
    that no sweep writes is an error. Of two rows for one point the first counts.
    """
    if not path.exists():
        return {}
    done, others = {}, 0
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        line = line.strip(b"\0 ")  # zeros are what a power cut may leave of a line
        try:
            row = json.loads(line)
        except ValueError:
            if line[: len(_START)] in (b"", _START[: len(line)].encode()):  # empty, or torn
                continue
            row = None
        if not isinstance(row, dict) or row.get("sweep") != _FORMAT or {*row} != {*mark, "point", "values"}:
            where = f"line {number} of {str(path)!r}"
            raise ValueError(f"results must be a file of sweeps; {where} is not of one, or of an earlier release")
        if row["function"] == mark["function"]:
            if row["version"] == mark["version"]:
                done.setdefault(_key(row["point"]), row["values"])
            else:
                others += 1
    if others and not done:
        warnings.warn(
            f"{str(path)!r} holds {others} rows of another version of {mark['function']}; "
            "they stay there, and the sweep is computed anew",
            stacklevel=3,
        )
    return done


def _open(path: Path):
    """The results file, to append to: unbuffered, so that a row is one write, and rows of processes do not mix."""
    out = open(path, "ab", buffering=0)  # noqa: SIM115
    if out.tell():
        with open(path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # a killed process left its last line unfinished
                out.write(b"\n")
    return out


def _write(out, row: dict) -> None:
    line = (json.dumps(row) + "\n").encode()
    if out.write(line) != len(line):
        raise OSError(f"results: {out.name!r} could not be written to the end; is the disk full?")
    os.fsync(out.fileno())
