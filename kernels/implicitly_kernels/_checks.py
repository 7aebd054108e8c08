"""Argument checks shared by the ops. Each message names the argument, what was expected and found."""

import math

import torch


def tensor(name, value, *, dtypes=None, ndim=None, device=None, shape=None):
    """Raise TypeError or ValueError unless `value` is a tensor of this kind.

    shape: a tuple whose None entries match anything. device: a torch.device that it must be on.
    """
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name}: expected a torch.Tensor, got {type(value).__name__}")
    if dtypes is not None and value.dtype not in dtypes:
        raise TypeError(f"{name}: expected dtype {_or(dtypes)}, got {value.dtype}")
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


def integer(name, value, *, at_least, at_most):
    """Raise unless `value` is an int (not a bool) in the closed range."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    if not at_least <= value <= at_most:
        raise ValueError(f"{name}: expected {at_least} <= {name} <= {at_most}, got {value}")


def positive(name, value):
    """Raise unless `value` is a finite real number above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name}: expected a finite number > 0, got {value}")


def one_of(name, value, allowed):
    """Raise ValueError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name}: expected one of {tuple(allowed)}, got {value!r}")


def seed(value):
    """Raise unless `value` is an int in [0, 2**63)."""
    integer("seed", value, at_least=0, at_most=2**63 - 1)


def _or(dtypes):
    return " or ".join(str(d).removeprefix("torch.") for d in dtypes)
