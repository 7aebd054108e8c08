"""Checks of what public functions are given: the argument's name, what was expected, what was found.

Each returns the value in the form that the function computes with, or raises `TypeError` or `ValueError`. Numbers,
whole numbers and flags of numpy and 0-d tensors are as good as Python's own; a bool is never a number.
"""

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from numbers import Integral, Real

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "choice", "choices", "each", "flag", "function", "generator", "instance", "instances", "matrix", "number",
    "numbers", "seed", "tensor", "whole", "wholes",
]  # fmt: skip

F64 = torch.float64
SEEDS = 2**63  # what every generator of ours takes: torch's and numpy's


def _plain(value):
    """A 0-d tensor or array as the Python scalar it holds; anything else as it is."""
    if isinstance(value, Tensor | np.ndarray | np.generic) and value.ndim == 0 and not _meta(value):
        return value.item()
    return value


def _meta(value) -> bool:
    return isinstance(value, Tensor) and value.device.type == "meta"


def _found(value) -> str:
    """How an error names a value of the wrong kind."""
    shape = f" of shape {tuple(value.shape)}" if isinstance(value, Tensor | np.ndarray) else ""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} tensor{shape}"
    text = repr(value) if isinstance(value, str | bool | type(None)) else ""
    return type(value).__name__ + shape + (f" {text[:40]}" if text and value is not None else "")


def _range(value, above, at_least, below, at_most) -> str:
    """What is asked of a number that lies outside its range; "" if it lies inside. `value` may be a tensor."""
    limits = [("above", above), ("at least", at_least), ("below", below), ("at most", at_most)]
    limits = [(word, limit) for word, limit in limits if limit is not None]
    if not limits or (isinstance(value, Tensor) and not value.numel()):
        return ""
    low, high = _ends(value) if isinstance(value, Tensor) else (value, value)
    ok = {"above": operator.gt, "at least": operator.ge, "below": operator.lt, "at most": operator.le}
    if all(ok[word](low if word in ("above", "at least") else high, limit) for word, limit in limits):
        return ""
    return " and ".join(f"{word} {limit:.6g}" for word, limit in limits)


def _ends(value: Tensor) -> tuple[float, float]:
    """The least and the largest entry, NaN if one is NaN: one pass, many times faster than a comparison and its all."""
    low, high = value.detach().aminmax()
    return low.item(), high.item()


def _finite(value: Tensor) -> bool:
    if not value.numel() or not (value.is_floating_point() or value.is_complex()):
        return True
    return all(map(math.isfinite, _ends(value))) if value.is_floating_point() else bool(value.isfinite().all())


def number(
    name: str,
    value,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> float:
    """`value` as a float, after checking that it is a finite number in the range."""
    plain = _plain(value)
    if not isinstance(plain, Real) or isinstance(plain, bool):
        raise TypeError(f"{name} must be a number, found {_found(value)}")
    try:
        plain = float(plain)
    except OverflowError:
        plain = math.inf
    wanted = _range(plain, above, at_least, below, at_most)
    if not math.isfinite(plain) or wanted:
        raise ValueError(f"{name} must be finite{' and ' + wanted if wanted else ''}, found {plain:.6g}")
    return plain


def whole(name: str, value, *, at_least: int | None = None, at_most: int | None = None) -> int:
    """`value` as an int, after checking that it is a whole number in the range."""
    plain = _plain(value)
    if isinstance(plain, bool) or not isinstance(plain, Integral):
        raise TypeError(f"{name} must be a whole number, found {_found(value)}{_shown(plain)}")
    plain = int(plain)
    if at_least is not None and plain < at_least:
        raise ValueError(f"{name} must be at least {at_least}, found {plain}")
    if at_most is not None and plain > at_most:
        raise ValueError(f"{name} must be at most {at_most}, found {plain}")
    return plain


def _shown(plain) -> str:
    return f" {plain:.6g}" if isinstance(plain, float) else ""


def seed(name: str, value) -> int:
    """`value` as an int, after checking that every generator takes it as a seed."""
    return whole(name, value, at_least=0, at_most=SEEDS - 1)


def flag(name: str, value) -> bool:
    """`value` as a bool, after checking that it is True or False and nothing that merely counts as such."""
    plain = _plain(value)
    if not isinstance(plain, bool):
        raise TypeError(f"{name} must be True or False, found {_found(value)}")
    return plain


def choice(name: str, value, allowed):
    """`value`, after checking that it is one of `allowed`."""
    wrong_kind = isinstance(value, Tensor | np.ndarray | list | dict | set)  # cannot be compared, or not hashed
    if wrong_kind or not any(type(value) is type(one) and value == one for one in allowed):
        shown = _found(value) if wrong_kind else repr(value)
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, found {shown}")
    return value


def generator(name: str, value, *, device=None) -> torch.Generator:
    """`value`, after checking that it is a torch.Generator (on `device`): without one, global state would move."""
    if not isinstance(value, torch.Generator):
        raise TypeError(f"{name} must be a torch.Generator, found {_found(value)}")
    if device is not None and value.device.type != torch.device(device).type:
        raise ValueError(f"{name} must be a generator on {torch.device(device).type}, found one on {value.device}")
    return value


def function(name: str, value) -> Callable:
    """`value`, after checking that it can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, found {_found(value)}")
    return value


def instance(name: str, value, kind: type):
    """`value`, after checking that it is a `kind`, a class of the book's."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, found {_found(value)}")
    return value


def instances(name: str, value, kind: type, *, length: int | None = None) -> tuple:
    """`value` as a tuple, after checking that it is a sequence of `kind`, at least one or just `length`."""
    items = _items(name, value, kind.__name__, 1, length)
    return tuple(instance(f"{name}[{i}]", item, kind) for i, item in enumerate(items))


def _items(name: str, value, what: str, least: int, length: int | None) -> list:
    """`value` as a list of at least `least` items, or of just `length`: a sequence, a 1-d tensor or array."""
    if isinstance(value, Tensor | np.ndarray):
        if value.ndim != 1 or _meta(value):
            raise ValueError(f"{name} must be a sequence of {what}, found {_found(value)}")
        value = value.tolist()
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a sequence of {what}, found {_found(value)}")
    items = list(value)
    if len(items) < least:
        raise ValueError(f"{name} must hold at least {least} of {what}, found {len(items)}")
    if length is not None and len(items) != length:
        raise ValueError(f"{name} must hold {length} of {what}, found {len(items)}")
    return items


def wholes(
    name: str, value, *, least: int = 1, length: int | None = None, increase: bool = False, **limits
) -> tuple[int, ...]:
    """`value` as a tuple of ints, after checking that it is a sequence of whole numbers in the range (`whole`)."""
    items = _items(name, value, "whole numbers", least, length)
    found = tuple(whole(f"{name}[{i}]", item, **limits) for i, item in enumerate(items))
    return _increasing(name, found) if increase else found


def numbers(
    name: str, value, *, least: int = 1, length: int | None = None, increase: bool = False, **limits
) -> tuple[float, ...]:
    """`value` as a tuple of floats, after checking that it is a sequence of finite numbers in the range (`number`)."""
    items = _items(name, value, "numbers", least, length)
    found = tuple(number(f"{name}[{i}]", item, **limits) for i, item in enumerate(items))
    return _increasing(name, found) if increase else found


def _increasing(name, found):
    if any(b <= a for a, b in pairwise(found)):
        raise ValueError(f"{name} must increase, found {found[:5]}")
    return found


def choices(name: str, value, allowed, *, least: int = 1) -> tuple:
    """`value` as a tuple, after checking that it is a sequence of members of `allowed`."""
    items = _items(name, value, "names", least, None)
    return tuple(choice(f"{name}[{i}]", item, allowed) for i, item in enumerate(items))


def tensor(
    name: str,
    value,
    *,
    shape: tuple[int | str, ...] | None = None,
    dtype: torch.dtype | tuple[torch.dtype, ...] | None = None,
    convert: torch.dtype | None = None,
    device=None,
    finite: bool = True,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> Tensor:
    """`value` as it is, after checking that it is a tensor of this kind; or, with `convert`, what it holds as a tensor.

    Args:
        shape: sizes that are asked for, and letters where any will do: ``("B", 2)``.
        dtype: what is asked for, or several; left out, any floating one.
        convert: also take numbers, lists, arrays and tensors of other real dtypes, and give a tensor of this dtype (by
            way of float64, never of float32). Booleans are refused.
        device: where it must lie; left out, anywhere.
        finite: whether NaN and infinities are refused.
        above, at_least, below, at_most: limits of every entry.
    """
    if convert is not None and not isinstance(value, Tensor):
        try:
            array = np.asarray(value)
        except (TypeError, ValueError):  # a list of lists of unequal length
            array = np.asarray(None)
        if array.dtype.kind not in "iuf":
            raise TypeError(f"{name} must be numbers or a tensor of them, found {_found(value)}")
        value = torch.tensor(array.tolist(), dtype=torch.float64 if array.dtype.kind == "f" else torch.int64)
        value = value.reshape(array.shape)
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, found {_found(value)}")
    if _meta(value):
        raise ValueError(f"{name} must hold values, found a tensor on the meta device")
    allowed = (dtype,) if isinstance(dtype, torch.dtype) else dtype
    if convert is not None:
        right = not value.is_complex() and value.dtype != torch.bool
        wanted = "real numbers"
    else:
        right = value.is_floating_point() if allowed is None else value.dtype in allowed
        wanted = "floating" if allowed is None else " or ".join(str(d).removeprefix("torch.") for d in allowed)
    if not right:
        raise TypeError(f"{name} must be {wanted}, found {_found(value)}")
    if shape is not None and not (
        value.ndim == len(shape) and all(isinstance(s, str) or s == n for s, n in zip(shape, value.shape, strict=True))
    ):
        listed = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
        raise ValueError(f"{name} must have shape {listed}, found {tuple(value.shape)}")
    if device is not None and value.device != torch.device(device):
        raise ValueError(f"{name} must be on {device}, found it on {value.device}")
    if finite and not _finite(value):
        raise ValueError(f"{name} must be finite, found {_first(value, ~torch.isfinite(value))}")
    if convert is not None:
        given, value = value, value.to(convert)
        if finite and not bool(torch.isfinite(value).all()):
            wanted = f"within the range of {str(convert).removeprefix('torch.')}"
            raise ValueError(f"{name} must be {wanted}, found {_first(given, ~torch.isfinite(value))}")
    wanted = _range(value, above, at_least, below, at_most)
    if wanted:
        inside = torch.ones_like(value, dtype=torch.bool)
        for limit, ok in ((above, torch.gt), (at_least, torch.ge), (below, torch.lt), (at_most, torch.le)):
            inside = inside if limit is None else inside & ok(value, limit)
        raise ValueError(f"{name} must be {wanted}, found {_first(value, ~inside)}")
    return value


def each(name: str, value, count: int, **limits) -> Tensor:
    """`value` as float64 (count,), after checking that it is a finite number in the range for all, or one for each."""
    value = tensor(name, value, convert=torch.float64, **limits)
    if value.ndim and value.shape != (count,):
        raise ValueError(f"{name} must be a number or have shape ({count},), found {tuple(value.shape)}")
    return value.expand(count).contiguous()


def _first(value: Tensor, where: Tensor) -> str:
    """The first entry that is at fault, and its place."""
    place = tuple(where.nonzero()[0].tolist())
    return f"{value[place].item():.6g}".replace("nan", "NaN") + (f" at {list(place)}" if place else "")


def matrix(name: str, value, *, columns: int | None = None, rows: int | None = None) -> Tensor:
    """`value` as it is, after checking that it is a finite floating tensor of shape (rows, columns)."""
    return tensor(name, value, shape=(rows if rows is not None else "any", columns if columns is not None else "any"))


def mapping(name: str, value) -> None:
    """A dict with something in it."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict, found {type(value).__name__}")
    if not value:
        raise ValueError(f"{name} must have at least one entry, found none")
