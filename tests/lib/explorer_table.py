"""The page's side of an explorer's table, in Python: what `implicitly.explorer.table.pack` packs, unpacked."""

import base64
import zlib

import numpy as np

from implicitly.explorer.table import GAP


def lookup(explorer) -> dict[str, np.ndarray]:
    """An explorer's table as the page decodes it: name to ``(grid points, *shape)``."""
    return unpack(explorer._data, explorer._entries, len(explorer.points))


def unpack(data: str, entries, points: int) -> dict[str, np.ndarray]:
    """Inverse of `pack`: name to ``(grid points, *shape)``."""
    raw = zlib.decompress(base64.b64decode(data))
    head = np.frombuffer(raw, "<f8", 3 * len(entries)).reshape(-1, 3)
    at, out = 24 * len(entries), {}
    for entry, (low, step, rows) in zip(entries, head, strict=True):
        rows = int(rows)
        size = int(np.prod(entry.shape, dtype=int))
        index = _unshuffle(raw[at : at + 2 * points], (1, points))[0]
        at += 2 * points
        codes = _unshuffle(raw[at : at + 2 * rows * size], (-1, *(entry.shape[-1:] or (1,))))
        at += 2 * rows * size
        values = low + step * codes.astype(np.float64)
        values[codes == GAP] = np.nan
        values = 10.0**values if entry.log else values
        out[entry.name] = values.reshape(rows, *entry.shape)[index]
    assert at == len(raw), f"the table holds {len(raw)} bytes, its arrays take {at}"
    return out


def _unshuffle(raw, shape):
    low, high = np.frombuffer(raw, np.uint8).reshape(2, -1).astype(np.uint16)
    zigzag = low | (high << 8)
    steps = (zigzag >> 1) ^ (-(zigzag & 1).astype(np.int32)).astype(np.uint16)
    return np.cumsum(steps.reshape(shape), axis=1, dtype=np.uint16)
