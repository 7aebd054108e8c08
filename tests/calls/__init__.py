"""One registry of valid calls of every public function, and what must not happen when an argument is bad.

Each module here is of one of `implicitly` (``diffusion/flows.py``) or of the kernels (``kernels.py``) and holds
``CALLS``, a dict from a name to a :class:`Call`::

    CALLS = {
        "implicitly.diffusion.flows.score_flow": Call(
            lambda: dict(x=torch.randn(4, 2, dtype=F64), denoise=half, rho=0.1, time=1.0, steps=5),
            accepts={"x": "rows columns empty dtype"},
        ),
        "implicitly.stability.line_nets.LineNet.__call__": Call(lambda: dict(self=net(), x=points())),
    }

Several calls of one function: ``"implicitly.diffusion.exact.classify#scalar length"``. Calls are small: a whole call
takes milliseconds, since each is made some hundred times. ``tests/lib/test_every_call.py`` then makes the valid call
and, for each argument, calls with that one argument changed (`mutations`). Every outcome must be one of

- a `ValueError` or `TypeError` that names the argument and says what was found,
- for the same value in another form (numpy integer, strided tensor): the same result,
- for a change that the function documents as legal, listed in `accepts`: a result without NaN.

`accepts` maps an argument to words out of `KINDS`: legal changes. Only what the docstring says is listed.
"""

import dataclasses
import math
from collections.abc import Callable
from importlib import import_module

import numpy as np
import torch

#: The words of `accepts`, and the changes of an argument that each makes legal.
KINDS = {
    "rows": "one row (entry of the first axis) more or less",
    "columns": "one column (entry of the last axis) more or less",
    "dims": "one axis more or less",
    "empty": "no rows; an empty sequence",
    "dtype": "the other floating dtype",
    "ints": "an integer tensor of the same shape; whole numbers where floats stand",
    "list": "nested lists or an array of the same numbers",
    "number": "a plain number for a tensor or sequence, and a tensor or list for a number",
    "nonfinite": "NaN or infinity among the entries, or as the number",
    "none": "None",
    "sign": "the negative of the number; -1 in an integer tensor",
    "zero": "0",
    "size": "1e300, -1e300 or 1e-300",
    "large": "10**6 in an integer tensor, or the largest number that it can hold",
    "bool": "a boolean tensor for a numeric one",
    "any": "anything: the argument is handed through untouched",
}


@dataclasses.dataclass
class Call:
    """A valid call.

    Attributes:
        make: the arguments by name, fresh each time; ``self`` for a method.
        accepts: argument -> words out of `KINDS`, changes that are legal.
        names: argument -> other words by which an error may name it.
        raises: further errors that the function documents, for values that are legal in themselves.
        nan: why a valid result may hold NaN; "" if it may not.
        seconds: a changed call that takes longer counts as hanging.
        skip: argument -> why it is not changed at all.
        changes: tensors that the function is documented to change, which are then part of its result.
    """

    make: Callable[[], dict]
    accepts: dict[str, str] = dataclasses.field(default_factory=dict)
    names: dict[str, str] = dataclasses.field(default_factory=dict)
    raises: tuple[type[Exception], ...] = ()
    nan: str = ""
    seconds: float = 5.0
    skip: dict[str, str] = dataclasses.field(default_factory=dict)
    changes: str = ""

    def __post_init__(self):
        for argument, words in self.accepts.items():
            if odd := set(words.split()) - set(KINDS):
                raise ValueError(f"accepts[{argument!r}] has the words {sorted(odd)}, there are {sorted(KINDS)}")


def resolve(name: str):
    """The function or method called `name`, as ``package.module.function`` or ``package.module.Class.method``."""
    path = name.split("#")[0].split(".")
    for end in range(len(path), 0, -1):
        try:
            found = import_module(".".join(path[:end]))
        except ModuleNotFoundError:
            continue
        for part in path[end:]:
            found = getattr(found, part)
        return found
    raise ValueError(f"no such function: {name}")


@dataclasses.dataclass
class Mutation:
    """One changed argument. `kind`: "refused", "same" (the result must not change) or a word of `KINDS`."""

    label: str
    value: object
    kind: str


def mutations(value) -> list[Mutation]:
    """The changes that are tried of an argument whose valid value is `value`."""
    make = _MAKERS.get(type(value))
    if make is not None:
        return make(value)
    if isinstance(value, torch.Tensor):
        return _of_tensor(value)
    if isinstance(value, torch.Generator):
        return _refused(none=None, number=3)
    if isinstance(value, list | tuple | range):
        return _of_sequence(value)
    if value is None or isinstance(value, np.ndarray):
        return []
    return _refused(none=None, number=3, text="x") if callable(value) or dataclasses.is_dataclass(value) else []


def _refused(**values) -> list[Mutation]:
    return [Mutation(label, value, "none" if value is None else "refused") for label, value in values.items()]


def _of_bool(value):
    return [*_refused(text="no", number=2, none=None, sequence=[value]), Mutation("numpy", np.bool_(value), "same")]


def _of_int(value):
    return [
        *_refused(true=True, text="3", none=None, fraction=value + 0.5, complex=1j),
        Mutation("nan", math.nan, "nonfinite"),
        Mutation("inf", math.inf, "nonfinite"),
        Mutation("list", [value, value], "number"),
        Mutation("numpy", np.int64(value), "same"),
        Mutation("0-d array", np.array(value), "same or refused"),
        Mutation("negative", -value if value else -1, "sign"),
        Mutation("zero", 0, "zero") if value else Mutation("minus one", -1, "sign"),
    ]


def _of_float(value):
    return [
        *_refused(true=True, text="x", none=None, complex=1j),
        *(Mutation(str(v), v, "nonfinite") for v in (math.nan, math.inf, -math.inf)),
        Mutation("list", [value, value, value, value, value], "number"),
        Mutation("numpy", np.float64(value), "same"),
        Mutation("0-d tensor", torch.tensor(value, dtype=torch.float64), "same or refused"),
        Mutation("negative", -value if value else -1.0, "sign"),
        Mutation("zero", 0.0, "zero") if value else Mutation("one", 1.0, "sign"),
        *(Mutation(str(v), v, "size") for v in (1e300, -1e300, 1e-300)),
    ]


def _of_str(value):
    return _refused(text="nonsense", empty="", number=3, none=None, sequence=[value])


_MAKERS = {bool: _of_bool, int: _of_int, float: _of_float, str: _of_str}


def _with(value: torch.Tensor, entry, place: int) -> torch.Tensor:
    changed = value.clone().contiguous()
    changed.view(-1)[place] = entry
    return changed


def _strided(value: torch.Tensor) -> torch.Tensor:
    """The same values, every other entry of a larger block in memory."""
    return torch.stack([value, value], -1)[..., 0]


def _of_tensor(value):
    found = [
        *_refused(none=None, text="x", complex=value.to(torch.complex64)),
        Mutation("meta", value.to("meta"), "refused"),
        Mutation("number", 0.5, "number"),
        Mutation("list", value.tolist(), "list"),
        Mutation("array", value.numpy().copy(), "list"),
        Mutation("strided", _strided(value), "same"),
        Mutation("one axis more", value[None], "dims"),
        Mutation("ragged", [[1.0], [1.0, 2.0]], "refused"),
    ]
    if value.ndim:
        found += [
            Mutation("one axis less", value[0], "dims"),
            Mutation("a row less", value[:-1], "rows" if len(value) > 1 else "empty"),
            Mutation("a row more", torch.cat([value, value[-1:]]), "rows"),
            Mutation("no rows", value[:0], "empty"),
        ]
    if value.ndim > 1:
        found += [
            Mutation("a column less", value[..., :-1], "columns" if value.shape[-1] > 1 else "empty"),
            Mutation("a column more", torch.cat([value, value[..., -1:]], -1), "columns"),
        ]
    if value.is_floating_point():
        other = torch.float32 if value.dtype == torch.float64 else torch.float64
        found += [Mutation("other dtype", value.to(other), "dtype"), Mutation("half", value.half(), "dtype")]
        found += [Mutation("integers", value.to(torch.int64), "ints"), Mutation("booleans", value > 0, "bool")]
        if value.numel():
            found += [Mutation("a NaN", _with(value, math.nan, 0), "nonfinite"),
                      Mutation("infinite", _with(value, math.inf, -1), "nonfinite")]  # fmt: skip
    elif value.dtype != torch.bool:
        found += [Mutation("floats", value.to(torch.float64) + 0.5, "refused"), Mutation("booleans", value > 0, "bool")]
        if value.numel():
            limits = torch.iinfo(value.dtype)
            found += [Mutation("a large entry", _with(value, min(10**6, limits.max), -1), "large")]
            found += [Mutation("an entry of -1", _with(value, -1, 0), "sign")] if limits.min < 0 else []
    else:
        found += [Mutation("floats", value.to(torch.float64) + 0.5, "refused"),
                  Mutation("integers", value.to(torch.int64), "ints")]  # fmt: skip
    return found


def _of_sequence(value):
    found = [
        *_refused(none=None, text="ab", nothing=[None], mapping={}),
        Mutation("number", 3, "number"),
        Mutation("empty", type(value)() if not isinstance(value, range) else [], "empty"),
    ]
    if value and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
        found += [
            Mutation("texts", ["x"] * len(value), "refused"),
            Mutation("NaN", [*list(value)[:-1], math.nan], "nonfinite"),
            Mutation("nested", [list(value)], "dims"),
            Mutation("numpy", [np.array(v)[()] for v in value], "same"),
            Mutation("array", np.array(value), "same or refused"),
            Mutation("negative", [-abs(v) - 1 for v in value], "sign"),
        ]
    return found
