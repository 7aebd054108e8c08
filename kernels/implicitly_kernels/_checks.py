"""Argument checks shared by the ops. Each message names the argument, what was expected and found.

Numbers, whole numbers and flags of numpy, and 0-d arrays and tensors, are as good as Python's own; a bool is never a
number.
"""

import math
from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np
import torch

from implicitly_kernels._dispatch import BACKENDS


def _plain(value):
    """A 0-d tensor or array as the Python scalar it holds; anything else as it is."""
    held = isinstance(value, torch.Tensor | np.ndarray | np.generic) and value.ndim == 0
    return value.item() if held and str(getattr(value, "device", "cpu")) != "meta" else value


def tensor(name, value, *, dtypes=None, ndim=None, device=None, shape=None):
    """Raise TypeError or ValueError unless `value` is a tensor of this kind.

    shape: a tuple whose None entries match anything. device: a torch.device that it must be on.
    """
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name}: expected a torch.Tensor, got {type(value).__name__}")
    if dtypes is not None and value.dtype not in dtypes:
        raise TypeError(f"{name}: expected dtype {_or(dtypes)}, got {value.dtype}")
    # The operators' fake implementations would take it. What torch.compile traces with has the device of its model.
    if value.device.type == "meta" and (device is None or device.type == "meta"):
        raise ValueError(f"{name}: expected a tensor that holds values, got one on the meta device")
    if ndim is not None and value.ndim != ndim:
        raise ValueError(f"{name}: expected {ndim} dimensions, got shape {tuple(value.shape)}")
    if shape is not None:
        ok = value.ndim == len(shape) and all(
            want is None or want == got for want, got in zip(shape, value.shape, strict=True)
        )
        if not ok:
            want = "(" + ", ".join("*" if s is None else str(s) for s in shape) + ")"
            raise ValueError(f"{name}: expected shape {want}, got {tuple(value.shape)}")
    if device is not None and value.device != device:
        raise ValueError(f"{name}: expected a tensor on {device}, got one on {value.device}")


def finite(name, value):
    """Raise ValueError if the tensor holds a NaN or an infinity."""
    bad = ~torch.isfinite(value)
    if bad.any():
        where = tuple(int(i) for i in bad.nonzero()[0])
        raise ValueError(f"{name}: expected finite values, got {value[where].item()} at {where}")


def hold(*conditions, also=()):
    """Raise for the first condition that does not hold; a device is waited for once, for all of them.

    A condition is (a boolean tensor, a function that raises) or the name and the tensor of `finite`. also: 0-d boolean
    tensors of which the caller wants to know, without waiting again: returns what they hold.
    """
    pairs = [
        (torch.isfinite(b), lambda a=a, b=b: finite(a, b)) if isinstance(a, str) else (a, b) for a, b in conditions
    ]
    asked = [*(good.all() for good, _ in pairs), *also]
    held = torch.stack(asked).tolist() if asked else []  # a call without values to check waits for nothing
    for good, (_, refuse) in zip(held, pairs, strict=False):
        if not good:
            refuse()
            raise RuntimeError("a check found nothing to say")  # its two halves must agree
    return held[len(pairs):]


def refusal(text):
    """A function for `hold` that raises ValueError with what `text()` says."""

    def refuse():
        raise ValueError(text())

    return refuse


def integer(name, value, *, at_least, at_most):
    """`value` as an int; raise unless it is a whole number (not a bool) in the closed range."""
    plain = _plain(value)
    if isinstance(plain, bool) or not isinstance(plain, Integral):
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    if not at_least <= plain <= at_most:
        raise ValueError(f"{name}: expected {at_least} <= {name} <= {at_most}, got {plain}")
    return int(plain)


def positive(name, value, dtype=torch.float64):
    """`value` as a float; raise unless it is a real number above zero that `dtype` can hold."""
    plain = _plain(value)
    if isinstance(plain, bool) or not isinstance(plain, Real):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    if not (0 < plain < math.inf):
        raise ValueError(f"{name}: expected a finite number > 0, got {plain}")
    limits = torch.finfo(dtype)
    if not limits.smallest_normal <= plain <= limits.max:
        raise ValueError(
            f"{name}: expected a number between {limits.smallest_normal:.3g} and {limits.max:.3g}, got {plain}"
        )
    return float(plain)


def number(name, value, *, at_least, at_most=math.inf, below=math.inf):
    """`value` as a float; raise unless it is a real number (not a bool), finite and in the range."""
    plain = _plain(value)
    if isinstance(plain, bool) or not isinstance(plain, Real):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    if not (at_least <= plain <= at_most and plain < below):
        upper = f"< {below}" if below < math.inf else f"<= {at_most:.3g}" if at_most < math.inf else "< inf"
        raise ValueError(f"{name}: expected {at_least} <= {name} {upper}, got {plain}")
    return float(plain)


def numbers(name, value, *, length, **limits):
    """`value` as a list of `length` floats, each as in `number`."""
    if isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if isinstance(value, str | bytes | dict | torch.Tensor | np.ndarray) or not isinstance(value, Iterable):
        raise TypeError(f"{name}: expected {length} numbers, got {type(value).__name__}")
    value = list(value)
    if len(value) != length:
        raise ValueError(f"{name}: expected {length} numbers, got {len(value)}")
    return [number(f"{name}[{k}]", one, **limits) for k, one in enumerate(value)]


def flag(name, value):
    """`value` as a bool; raise unless it is True or False."""
    plain = _plain(value)
    if not isinstance(plain, bool):
        raise TypeError(f"{name}: expected True or False, got {type(value).__name__}")
    return plain


def integers(name, value, **limits):
    """`value` as a list of ints; raise unless it is a sequence of whole numbers in the closed range."""
    if isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if isinstance(value, str | bytes | dict | torch.Tensor | np.ndarray) or not isinstance(value, Iterable):
        raise TypeError(f"{name}: expected a sequence of ints, got {type(value).__name__}")
    return [integer(f"{name}[{k}]", one, **limits) for k, one in enumerate(value)]


def one_of(name, value, allowed):
    """Raise ValueError unless `value` is a str and one of `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        shown = repr(value) if isinstance(value, str) else type(value).__name__
        raise ValueError(f"{name}: expected one of {tuple(allowed)}, got {shown}")


def backend(value):
    """Raise ValueError unless `value` names a backend, or "auto"."""
    one_of("backend", value, ("auto", *BACKENDS))


def seed(value):
    """`value` as an int; raise unless it is a whole number in [0, 2**63)."""
    return integer("seed", value, at_least=0, at_most=2**63 - 1)


def _or(dtypes):
    return " or ".join(str(d).removeprefix("torch.") for d in dtypes)
