"""The table behind the static page: `compute` on the whole grid, checked, packed into text.

Layout of the packed bytes, before zlib and base64: for each array (lookup key order) three float64
(lowest value, step, number of stored rows); then for each array its row number at every grid point
(uint16) and its rows (uint16 codes). Codes are differences along the last axis, zigzagged, low bytes
before high bytes. Code 65535 is a gap (NaN). Rows that repeat over the grid are stored once, so an
array that a control does not change costs nothing along that control.
"""

import base64
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .controls import Control
from .text import check_spec

GAP = 65535
#: Steps an array is quantized to, and the same for pictures in the plane, where they are finer than
#: a pixel at four times the width of the book's column.
LEVELS, COARSE = 65534, 4095
#: Base64 bytes one explorer may hold.
LIMIT = 200_000


@dataclass
class Entry:
    """One array of the table: name, shape of a row, and whether it is whole or logarithmic."""

    name: str
    shape: tuple[int, ...]
    whole: bool
    log: bool
    coarse: bool = False

    def spec(self) -> dict:
        return {
            "name": self.name,
            "shape": list(self.shape),
            "whole": self.whole,
            "log": self.log,
        }


def as_array(value: Any, where: str) -> np.ndarray:
    """`value` (numbers, numpy, or a tensor by duck typing) as float64 or int64, finite or NaN."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) in ("torch.bfloat16", "torch.float16"):
            value = value.float()
        value = value.numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{where} is not a rectangular array: {error}") from error
    if array.dtype.kind in "bui":
        return array.astype(np.int64)
    if array.dtype.kind != "f":
        raise TypeError(f"{where} must hold real numbers, found dtype {array.dtype}")
    array = array.astype(np.float64)
    if np.isinf(array).any():
        raise ValueError(f"{where} holds {np.isinf(array).sum()} infinite values (NaN is a gap)")
    return array


def grid(controls: Sequence[Control], few: bool = False) -> list[dict]:
    """The settings `compute` is called with, in the order of the table (`enabled_when` applied).

    `few`: of each slider its ends and its default alone, which is the table of a page function.
    """
    controls = [c for c in controls if not c.frames]
    points, seen = [], set()
    for values in itertools.product(*([c.values[k] for k in c.stored] if few else c.values for c in controls)):
        params = canonical(controls, {c.name: v for c, v in zip(controls, values, strict=True)})
        key = tuple(map(str, params.values()))
        if key not in seen:
            seen.add(key)
            points.append(params)
    return points


def canonical(controls: Sequence[Control], params: dict) -> dict:
    """`params` with the default in place of each value that has no effect here."""
    return {c.name: params[c.name] if in_use(c, params) else c.default for c in controls if not c.frames}


def in_use(control: Control, params: dict) -> bool:
    """Whether `control` has an effect at these choices (`enabled_when`)."""
    return all(params[name] in options for name, options in control.enabled_when.items())


def pack(entries: list[Entry], columns: dict[str, np.ndarray]) -> tuple[str, dict[str, int]]:
    """Pack ``columns[name]`` of shape ``(grid points, *entry.shape)``; also the bytes each takes."""
    head, body, sizes = [], [], {}
    for entry in entries:
        values = columns[entry.name].reshape(len(columns[entry.name]), -1)
        codes, low, step = _quantize(values, entry)
        rows, index = _unique(codes)
        head.append(np.array([low, step, len(rows)], dtype="<f8").tobytes())
        body.append(_shuffle(index[None]) + _shuffle(rows.reshape(-1, *_last(entry.shape))))
        sizes[entry.name] = len(zlib.compress(body[-1], 9)) * 4 // 3
    data = zlib.compress(b"".join(head + body), 9)
    return base64.b64encode(data).decode("ascii"), sizes


def keep_digits(entry: Entry, values: np.ndarray, spec: str) -> None:
    """Store `values` logarithmically where equal steps would change what the format `spec` writes.

    Equal steps of a range from 1e-20 to 1 make 4e-6 of all that is small. A written digit may be off by one.

    Raises:
        ValueError: neither kind of steps keeps the digits.
    """
    digits, kind = check_spec(spec)
    shown = np.abs(values[(values != 0) & ~np.isnan(values)])
    if entry.whole or not len(shown) or np.nanmin(values) == np.nanmax(values):  # one value is stored as it is
        return
    fixed = {"f": 6 if digits is None else digits, "%": 2 + (digits or 0), "d": 0}.get(kind)
    significant = 1 + (6 if digits is None else digits) if kind == "e" else digits or 3

    def kept():
        step = _quantize(values, entry)[2]
        off = step / 2 * (np.log(10) * shown if entry.log else np.ones_like(shown))
        unit = 10.0**-fixed if fixed is not None else 10.0 ** (np.floor(np.log10(shown)) + 1 - significant)
        return bool((off <= unit).all())

    if kept():
        return
    if np.nanmin(values) > 0:
        entry.log = True
    if not entry.log or not kept():
        raise ValueError(
            f"Explorer: {entry.name!r} from {np.nanmin(values):.3g} to {np.nanmax(values):.3g} cannot be kept to the "
            f"digits of its format {spec!r}: write fewer digits, or let compute return its logarithm or values above 0"
        )


def _last(shape):
    return (shape[-1],) if shape else (1,)


def _quantize(values, entry):
    scaled = np.log10(values) if entry.log else values
    gap = np.isnan(scaled)
    low, high = (np.nanmin(scaled), np.nanmax(scaled)) if not gap.all() else (0.0, 0.0)
    step = 1.0 if entry.whole else (high - low) / (COARSE if entry.coarse else LEVELS) or 1.0
    codes = np.where(gap, GAP, np.rint((np.where(gap, low, scaled) - low) / step))
    return codes.astype(np.uint16), float(low), float(step)


def _unique(rows):
    """The different rows in order of first appearance, and each row's number among them."""
    numbers = {}
    index = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows], np.uint16)
    return np.array([np.frombuffer(row, np.uint16) for row in numbers]), index


def _shuffle(codes):
    flat = codes.reshape(-1, codes.shape[-1]).astype(np.uint16)
    steps = np.diff(flat, axis=1, prepend=np.zeros((len(flat), 1), np.uint16)).view(np.int16)
    zigzag = ((steps << 1) ^ (steps >> 15)).view(np.uint16).ravel()
    return (zigzag & 255).astype(np.uint8).tobytes() + (zigzag >> 8).astype(np.uint8).tobytes()
