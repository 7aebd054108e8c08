"""Every public function, called well and badly: see ``tests/calls/__init__.py``."""

import copy
import dataclasses
import importlib
import inspect
import math
import pickle
import pkgutil
import random
import re
import signal
from contextlib import contextmanager

import calls
import matplotlib
import numpy as np
import pandas
import pytest
import sklearn.datasets  # noqa: F401  (its import draws from random's generator; no call of ours may)
import torch
from calls import Call, resolve

import implicitly
import implicitly_kernels
from implicitly.explorer import PageFunction

matplotlib.use("agg")

REGISTRY: dict[str, Call] = {}
for _module in pkgutil.walk_packages(calls.__path__, "calls."):
    REGISTRY |= getattr(importlib.import_module(_module.name), "CALLS", {})

#: Public names that are no functions to call badly.
EXEMPT = {
    "implicitly.explorer.controls.Seed": "tests/lib/test_explorer_compiled.py",
    "implicitly.explorer.controls.Seed.check": "tests/lib/test_explorer_compiled.py",
    "implicitly.explorer.controls.Seed.text": "tests/lib/test_explorer_compiled.py",
    "implicitly.explorer.compiled.PageFunction": "made by page_function",
    "implicitly.explorer.compiled.PageFunction.__call__": "tests/lib/test_explorer_compiled.py",
    "implicitly.explorer.compiled.PageFunction.bind": "tests/lib/test_explorer_compiled.py",
    "implicitly.explorer.compiled.PageFunction.check": "called by Explorer",
    "implicitly.explorer.compiled.PageFunction.spec": "called by Explorer",
    "implicitly.explorer.compiled.page_function": "a decorator: tests/lib/test_explorer_compiled.py",
    "implicitly.explorer.strict.progress": "does nothing in Python",
    "implicitly.data.digit_pixels": "no arguments",
    "implicitly.langevin.pages.packed_digits": "no arguments",
    "implicitly.margins.pages.sketched_points": "no arguments",
    "implicitly.claims.Claim": "made by claim(), which is checked",
    "implicitly.claims.ClaimError": "an exception",
    "implicitly.explorer.panel.Panel": "takes its layers by position; called through calls.explorer.panel",
    "implicitly.plotting.use": "no arguments, and it sets matplotlib's settings: that is what it is for",
    "implicitly.exercises.Verdict": "made by answer(), which is checked",
    "implicitly.sweeps.SweepError": "an exception",
    "implicitly.low_rank.optimizer.LowRank.add_param_group": "changes its optimizer: tests/lib/low_rank",
    "implicitly.low_rank.optimizer.LowRank.load_state_dict": "changes its optimizer: tests/lib/low_rank",
    "implicitly.low_rank.optimizer.LowRank.step": "changes its optimizer: tests/lib/low_rank",
    "implicitly.tensor_parallel.jobs.sum_times": "runs in several processes: tests/lib/tensor_parallel",
    "implicitly.tensor_parallel.jobs.torch_plan": "runs in several processes: tests/lib/tensor_parallel",
    "implicitly.tensor_parallel.processes.Processes": "runs in several processes: tests/lib/tensor_parallel",
    "implicitly.tensor_parallel.processes.Processes.from_environment": "needs torchrun: tests/lib/tensor_parallel",
    "implicitly.tensor_parallel.processes.Processes.sum_streams": "several processes: tests/lib/tensor_parallel",
    "implicitly.tensor_parallel.processes.run_ranks": "starts processes: tests/lib/tensor_parallel",
    "implicitly.tensor_parallel.streams.Wires.partial_sum": "made by OneProcess, which is checked",
    "implicitly.tensor_parallel.streams.Wires.sum_streams": "made by OneProcess, which is checked",
    "implicitly.claims.largest": "Python's max, on whatever can be compared",
    "implicitly.claims.smallest": "Python's min, on whatever can be compared",
}


@contextmanager
def limit(seconds: float):
    """Raise TimeoutError in what computes longer, or waits thirty times as long: a busy machine is no fault."""

    def stop(*_):
        raise TimeoutError

    timers = {signal.SIGPROF: (signal.ITIMER_PROF, seconds), signal.SIGALRM: (signal.ITIMER_REAL, 30 * seconds)}
    before = {name: signal.signal(name, stop) for name in timers}
    for timer, length in timers.values():
        signal.setitimer(timer, length)
    try:
        yield
    finally:
        for timer, _ in timers.values():
            signal.setitimer(timer, 0)
        for name, handler in before.items():
            signal.signal(name, handler)


def same(a, b, tolerance=0.0) -> bool:
    """Whether two results are equal: tensors and arrays by entries (NaN is NaN), our own objects by what they hold."""
    if isinstance(a, torch.Tensor | np.ndarray | float | np.generic) and not isinstance(a, np.str_):
        kinds = torch.Tensor | np.ndarray | float | int | np.generic
        if not isinstance(b, kinds) or getattr(a, "dtype", None) != getattr(b, "dtype", None):
            return False
        # a plain float as it is, never by way of the default dtype, float32
        a, b = (torch.as_tensor(v, dtype=torch.float64 if isinstance(v, float | int) else None) for v in (a, b))
        if a.is_meta or b.is_meta:
            return a.is_meta and b.is_meta and a.shape == b.shape
        if not a.is_floating_point():
            return torch.equal(a, b)
        return a.shape == b.shape and bool(torch.isclose(a, b, rtol=tolerance, atol=0, equal_nan=True).all())
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Generator):
        return same(a.get_state(), b.get_state())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k], tolerance) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, pandas.DataFrame):
        return a.equals(b)
    if inspect.isroutine(a) or inspect.isclass(a):
        return getattr(a, "__qualname__", 0) == getattr(b, "__qualname__", 1)
    if type(a).__module__.startswith(("implicitly", "calls")) and hasattr(a, "__dict__"):
        return same(vars(a), vars(b), tolerance)
    return a == b if type(a).__eq__ is not object.__eq__ else True


def has_nan(result) -> bool:
    if isinstance(result, torch.Tensor):
        return (result.is_floating_point() or result.is_complex()) and bool(result.isnan().any())
    if isinstance(result, np.ndarray):
        return result.dtype.kind in "fc" and bool(np.isnan(result).any())
    if isinstance(result, float | np.floating):
        return math.isnan(result)
    if isinstance(result, pandas.DataFrame):
        return bool(result.isna().any(axis=None))
    if isinstance(result, dict):
        return any(map(has_nan, result.values()))
    if isinstance(result, list | tuple):
        return any(map(has_nan, result))
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return any(has_nan(getattr(result, f.name)) for f in dataclasses.fields(result))
    return False


def world() -> dict:
    """Global state that no function of ours may move."""
    return {
        "torch's generator": torch.get_rng_state(),
        "numpy's generator": np.random.get_state(legacy=False),
        "random's generator": random.getstate(),
        "default dtype": str(torch.get_default_dtype()),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "rcParams": dict(matplotlib.rcParams),
        "numpy's error handling": np.geterr(),
    }


def run(name: str, arguments: dict):
    """Call it; a method on `self`. Generators that it returns are run to their end."""
    function = resolve(name)
    result = function(**arguments) if "self" not in arguments else function(
        arguments["self"], **{k: v for k, v in arguments.items() if k != "self"}
    )  # fmt: skip
    if changes := REGISTRY[name].changes.split() if name in REGISTRY else []:
        return result, *(arguments[k] for k in changes)
    return list(result) if inspect.isgenerator(result) else result


def kept(value):
    """A copy to compare with later; what cannot be copied is compared by being the same object."""
    if isinstance(value, torch.Generator):
        twin = torch.Generator(value.device)
        twin.set_state(value.get_state())
        return twin
    try:
        return copy.deepcopy(value)
    except Exception:
        return value


def moved(arguments: dict, before: dict, allowed: str = "") -> list[str]:
    """Arguments that the call changed, besides those it may; generators are there to be drawn on."""
    return [
        k for k, v in arguments.items()
        if not isinstance(v, torch.Generator | type(None)) and k not in allowed.split() and not same(v, before[k])
    ]  # fmt: skip


def clear(error: Exception, argument: str, call: Call) -> bool:
    """Whether an error names the argument and says what was found."""
    words = [argument, *call.names.get(argument, "").split()]
    text = str(error)
    named = any(re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", text) for word in words)
    return isinstance(error, ValueError | TypeError) and named and bool(re.search(r"\b(found|got)\b", text))


def outcome(name: str, call: Call, argument: str, mutation, expected) -> str:
    """What is wrong with what happens when one argument is changed; "" if nothing is."""
    arguments = call.make() | {argument: mutation.value}
    before, accepted = {k: kept(v) for k, v in arguments.items()}, call.accepts.get(argument, "").split()
    try:
        with limit(call.seconds):
            result = run(name, arguments)
    except TimeoutError:
        return f"hangs: no answer within {call.seconds} s"
    except Exception as error:
        if mutation.kind == "same":
            return f"refused, though it is the same value: {type(error).__name__}: {error}"
        if clear(error, argument, call):
            return ""
        if isinstance(error, call.raises) and (mutation.kind in accepted or "any" in accepted):
            return ""
        return f"unclear {type(error).__name__}: {str(error)[:200]}"
    if changed := moved(arguments, before, call.changes):
        return f"changed its arguments {changed}"
    if mutation.kind.startswith("same"):
        return "" if same(result, expected, 1e-13) else "the same value gives another result"
    if mutation.kind not in accepted and "any" not in accepted:
        return "accepted"
    return "result holds NaN" if has_nan(result) and not call.nan else ""


@pytest.mark.parametrize("name", REGISTRY)
def test_call(name):
    call = REGISTRY[name]
    before_all = world()
    arguments = call.make()
    before = {k: kept(v) for k, v in arguments.items()}
    expected = run(name, arguments)
    changed = moved(arguments, before, call.changes)
    assert not changed, f"changed its arguments {changed}"
    assert set(moved(arguments, before)) == set(call.changes.split()), "what it is said to change stays as it was"
    assert call.nan or not has_nan(expected), "a valid call gives NaN"
    assert same(run(name, call.make()), expected), "two equal calls give two results"
    if type(expected).__module__.startswith("implicitly"):
        pickle.loads(pickle.dumps(expected))
        assert (expected == expected) in (True, NotImplemented)
    arguments = call.make()
    torch.set_default_dtype(torch.float64)
    try:
        other = run(name, arguments)
    finally:
        torch.set_default_dtype(torch.float32)
    assert same(other, expected), "another default dtype gives another result"
    faults = [
        f"{argument} = {mutation.label}: {fault}"
        for argument, value in call.make().items()
        if argument != "self" and argument not in call.skip
        for mutation in calls.mutations(value)
        if (fault := outcome(name, call, argument, mutation, expected))
    ]
    after = world()
    faults += [f"moved {what}" for what in after if not same(after[what], before_all[what])]
    assert not faults, f"{name}: {len(faults)} faults\n" + "\n".join(faults)


def public() -> set[str]:
    """Every public function, class and method of the library and the kernels, by the module that defines it."""
    found = set()
    for package in (implicitly, implicitly_kernels):
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            # A module of figures draws one picture each for its chapter's cells, which run.
            if any(part.startswith("_") or part == "figures" for part in info.name.split(".")):
                continue
            module = importlib.import_module(info.name)
            for name in getattr(module, "__all__", ()):
                thing = getattr(module, name)
                if inspect.ismodule(thing) or not callable(thing) or thing.__module__ != info.name:
                    continue
                if isinstance(thing, PageFunction):
                    continue  # test_explorer_compiled finds them; tests of the subject compare it
                if inspect.isclass(thing) and issubclass(thing, tuple):
                    continue  # a named tuple holds what a function returns
                found.add(f"{info.name}.{name}")
                if inspect.isclass(thing):
                    found |= {f"{info.name}.{name}.{m}" for m, f in vars(thing).items() if _method(m, f)}
    return found


def _method(name, member) -> bool:
    """Whether a member of a class is a public method with arguments to get wrong."""
    if name.startswith("_") and name not in ("__call__", "__getitem__"):
        return False
    function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
    return inspect.isfunction(function) and len(inspect.signature(function).parameters) > (function is member)


def test_every_public_function_is_here():
    registered = {name.split("#")[0] for name in REGISTRY}
    assert sorted(public() - registered - set(EXEMPT)) == []
    assert all(resolve(name) for name in REGISTRY)


# --- the harness itself ----------------------------------------------------------------------------------------------


def good(x, n: int, name: str = "a", flag: bool = False):
    from implicitly._validate import choice, tensor, whole
    from implicitly._validate import flag as checked

    checked("flag", flag), choice("name", name, ("a", "b"))
    return tensor("x", x, shape=("n",)).sum() * whole("n", n, at_least=1)


def bad_nan(x, n: int, name: str = "a", flag: bool = False):
    return x.nan_to_num(0.0).sum() * n


def bad_global(x, n, name="a", flag=False):
    torch.rand(1)
    return good(x, n, name, flag)


def bad_input(x, n, name="a", flag=False):
    result = good(x, n, name, flag)
    x.zero_()
    return result


def bad_dtype(x, n, name="a", flag=False):
    return good(x, n, name, flag) * torch.rand((), generator=torch.Generator().manual_seed(0))


def bad_float(x, n, name="a", flag=False):
    return float(good(x, n, name, flag)) + torch.tensor([0.1]).item()


def bad_hang(x, n, name="a", flag=False):
    while name != "a":
        pass
    return good(x, n, name, flag)


@pytest.mark.parametrize("function, sees", [(bad_nan, "x = a NaN: accepted"), (bad_global, "moved torch's generator"),
                                            (bad_input, "changed its arguments"), (bad_dtype, "default dtype"),
                                            (bad_float, "default dtype"), (bad_hang, "hangs")])  # fmt: skip
def test_the_harness_sees_a_fault(function, sees, monkeypatch):
    def make():
        return dict(x=torch.ones(3), n=2, name="a", flag=False)

    call = Call(make, accepts={"x": "rows dtype empty"}, seconds=0.1)
    name = f"{__name__}.{function.__name__}"
    monkeypatch.setitem(REGISTRY, name, call)
    with pytest.raises(AssertionError, match=re.escape(sees)):
        test_call(name)
    monkeypatch.setitem(REGISTRY, f"{__name__}.good", call)
    test_call(f"{__name__}.good")
