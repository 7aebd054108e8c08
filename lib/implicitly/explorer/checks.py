"""Checks of what an explorer is given. As `implicitly._validate`, without torch: an explorer runs on numpy alone.

Each names the argument, what was expected and what was found, and returns the value in the form that is kept. Numbers
and flags of numpy and 0-d tensors are as good as Python's own; a bool is never a number.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

from .text import check_spec, label_html


def plain(value: Any) -> Any:
    """A 0-d array or tensor, or a numpy scalar, as the Python scalar it holds; anything else as it is."""
    if getattr(value, "ndim", None) != 0 or not callable(getattr(value, "item", None)):
        return value
    try:
        return value.item()
    except (RuntimeError, NotImplementedError):  # a tensor that holds nothing
        return value


def found(value: object) -> str:
    text = " ".join(repr(value).split())
    return f"found {text if len(text) <= 80 else text[:77] + '...'}"


def number(
    name: str, value: object, *, above: float | None = None, at_least: float | None = None, at_most: float | None = None
) -> float:
    """`value` as a float, or as an int where it is one."""
    kept = plain(value)
    if isinstance(kept, bool) or not isinstance(kept, Real):
        raise TypeError(f"{name} must be a number, {found(value)}")
    limits = [("above", above), ("at least", at_least), ("at most", at_most)]
    wanted = " and ".join(["finite", *(f"{word} {limit:g}" for word, limit in limits if limit is not None)])
    try:
        real = float(kept)
    except OverflowError:
        real = math.inf
    inside = (above is None or real > above) and (at_least is None or real >= at_least)
    if not math.isfinite(real) or not inside or (at_most is not None and real > at_most):
        raise ValueError(f"{name} must be {wanted}, {found(value)}")
    return int(kept) if isinstance(kept, Integral) else real


def whole(name: str, value: object, low: int, high: int) -> int:
    kept = plain(value)
    if isinstance(kept, bool) or not isinstance(kept, Integral):
        raise TypeError(f"{name} must be a whole number, {found(value)}")
    if not low <= kept <= high:
        raise ValueError(f"{name} must be {low} to {high}, {found(value)}")
    return int(kept)


def flag(name: str, value: object) -> bool:
    kept = plain(value)
    if not isinstance(kept, bool):
        raise TypeError(f"{name} must be True or False, {found(value)}")
    return kept


def choice(name: str, value: str | None, allowed: Sequence[str | None]) -> str | None:
    if not isinstance(value, str | None) or value not in allowed:
        *most, last = map(repr, allowed)
        raise ValueError(f"{name} must be {', '.join(most)} or {last}, {found(value)}")
    return value


def string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, {found(value)}")
    return value


def label(name: str, value: object) -> str:
    """A string whose ``$…$`` parts can be written."""
    try:
        label_html(string(name, value))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return value


def spec(name: str, value: object) -> str:
    try:
        check_spec(value)
    except ValueError as error:
        raise ValueError(f"{name.removesuffix('format')}{error}") from None
    return value


def key(name: str, value: object) -> str:
    """The name of an array, a parameter or a control."""
    if not isinstance(value, str) or not value.isidentifier():
        raise (ValueError if isinstance(value, str) else TypeError)(
            f"{name} must be a Python identifier, {found(value)}"
        )
    return value


def items(name: str, value: object, what: str, *, least: int = 0, length: int | None = None) -> tuple:
    """The entries of a sequence, an array or a tensor; a string is none, nor is a dict."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        raise TypeError(f"{name} must be a sequence of {what}, {found(value)}")
    kept = tuple(value)
    if len(kept) < least:
        raise ValueError(f"{name} must hold at least {('one', 'two')[least - 1]} {what}, {found(value)}")
    if length is not None and len(kept) != length:
        raise ValueError(f"{name} must be a sequence of {length} {what}, {found(value)}")
    return kept


def numbers(
    name: str,
    value: object,
    *,
    least: int = 0,
    length: int | None = None,
    increase: bool = False,
    **limits: float | None,
) -> tuple:
    kept = items(name, value, "numbers", least=least, length=length)
    kept = tuple(number(f"{name}[{k}]", v, **limits) for k, v in enumerate(kept))
    if increase and any(b <= a for a, b in pairwise(kept)):
        raise ValueError(f"{name} must increase, found {kept}")
    return kept


def limits(name: str, value: object, *, log: bool = False) -> tuple | None:
    """``(low, high)``, or None."""
    if value is None:
        return None
    low, high = numbers(name, value, length=2)
    if not low < high:
        raise ValueError(f"{name} must be (low, high), {found(value)}")
    if log and low <= 0:
        raise ValueError(f"{name} must be positive on a log axis, {found(value)}")
    return low, high


def labels(name: str, value: object, length: int | None = None) -> tuple | None:
    if value is None:
        return None
    kept = items(name, value, "strings", least=1, length=length)
    return tuple(label(f"{name}[{k}]", text) for k, text in enumerate(kept))


def palette(name: str, value: object, length: int | None = None) -> list:
    """Palette numbers."""
    kept = items(name, value, "palette numbers", least=1, length=length)
    return [whole(f"{name}: palette numbers", c, 0, 5) for c in kept]
