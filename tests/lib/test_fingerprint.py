"""The digest of a function: what changes it, what does not, and what has none."""

import dataclasses
import functools
import importlib
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from implicitly._fingerprint import fingerprint

NOTEBOOK = """
import functools
import numpy as np
import torch
from dataclasses import dataclass

SCALE, LEVELS, TABLE = 2, [1, 2], {"a": 1}
WEIGHTS, GRID = torch.arange(3.0), np.arange(3)

@dataclass
class Config:
    width: int = 3

    def area(self):
        return self.width ** 2

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, x):
        return x * self.weight

def helper(x):
    return x + 1

@functools.lru_cache
def cached(x):
    return x - 7

def even(x):
    return x == 0 or odd(x - 1)

def odd(x):
    return x != 0 and even(x - 1)

@torch.no_grad()
def decorated(x):
    return x * 11

config, net = Config(), Net()

def run(a, seed, power=2, *, shift=0.5):
    class Local:
        weight = 0.125
    inner = lambda y: helper(y) ** power
    if even(a) and "abc" in {"abc", "def", "ghi"}:
        return {"v": run(a - 1, seed)["v"]}
    value = SCALE * inner(a) + shift + cached(a) + len(LEVELS) + TABLE["a"] + config.area() + Local.weight
    return {"v": (value + net(WEIGHTS[:2]).sum() + GRID.sum() + decorated(a) + Net().weight.sum()).item()}
"""


def run_of(text):
    space = {"__name__": "__main__"}
    exec(text, space)
    return space["run"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SCALE, LEVELS, TABLE = 2", "SCALE, LEVELS, TABLE = 2.0"),
        ("[1, 2]", "[1, 3]"),
        ('{"a": 1}', '{"a": True}'),
        ("torch.arange(3.0)", "torch.arange(1.0, 4.0)"),
        ("torch.arange(3.0)", "torch.arange(3)"),
        ("np.arange(3)", "np.arange(3).reshape(3, 1)"),
        ("width: int = 3", "width: int = 4"),
        ("self.width ** 2", "self.width ** 3"),
        ("torch.ones(2)", "torch.zeros(2)"),
        ("x * self.weight", "x + self.weight"),
        ("x + 1", "x + 2"),
        ("x - 7", "x - 8"),
        ("x != 0 and", "x > 0 and"),
        ("x * 11", "x * 12"),
        ("weight = 0.125", "weight = 0.25"),
        ("power=2", "power=3"),
        ("shift=0.5", "shift=0.25"),
        ('"ghi"', '"gha"'),
        ("** power", "* power"),
        ("net = Config(), Net()", "net = Config(5), Net()"),
    ],
)
def test_what_a_function_of_a_notebook_refers_to_counts(old, new):
    assert NOTEBOOK.count(old) == 1
    assert fingerprint(run_of(NOTEBOOK.replace(old, new))) != fingerprint(run_of(NOTEBOOK))


def test_a_function_that_says_the_same_is_the_same():
    run = run_of(NOTEBOOK)
    first = fingerprint(run)
    run(3, 0), run(4, 0)  # fills a cache, makes numpy and torch load this and that
    assert fingerprint(run) == first
    changed = NOTEBOOK.replace("def helper(x):\n", "def unused():\n    pass\n\n\ndef helper(x):  # why\n\n")
    assert fingerprint(run_of(changed)) == first


def test_the_same_in_each_process(tmp_path):
    code = f"from implicitly._fingerprint import fingerprint\n{NOTEBOOK}\nprint(fingerprint(run))"
    environments = [{**os.environ, "PYTHONHASHSEED": seed} for seed in "12"]
    found = [subprocess.check_output([sys.executable, "-c", code], env=environment) for environment in environments]
    assert found[0] == found[1] and len(found[0].strip()) == 16


def outer(scale):
    return lambda x: scale * x


class Model:
    """An object that can be called, with state of its own and an attribute that could be taken for a wrapper's."""

    def __init__(self, scale, func=len):
        self.scale, self.func = scale, func

    def __call__(self, x):
        return self.scale * x

    def method(self, x):
        return self.scale + x


@dataclasses.dataclass
class Sum:
    terms: tuple

    def __call__(self, x):
        return sum(self.terms) + x


PAIRS = {
    "closure": (outer(1), outer(2)),
    "one and True": (outer(1), outer(True)),
    "signs of zero": (outer(0.0), outer(-0.0)),
    "argument of a partial": (functools.partial(max, 1), functools.partial(max, 2)),
    "keyword of a partial": (functools.partial(max, key=outer(1)), functools.partial(max, key=outer(2))),
    "large array": (outer(np.arange(5000.0)), outer(np.arange(5000.0) + (np.arange(5000) == 2500))),
    "large tensor": (outer(torch.zeros(5000)), outer((torch.arange(5000) == 2500).float())),
    "bfloat16": (outer(torch.ones(2, dtype=torch.bfloat16)), outer(torch.zeros(2, dtype=torch.bfloat16))),
    "generator": (outer(torch.Generator().manual_seed(1)), outer(torch.Generator().manual_seed(2))),
    "numpy generator": (outer(np.random.default_rng(1)), outer(np.random.default_rng(2))),
    "dtype": (outer(torch.float32), outer(torch.float64)),
    "object": (Model(1), Model(2)),
    "function in an object": (Model(1, len), Model(1, max)),
    "method": (Model(1).method, Model(2).method),
    "dataclass": (Sum((1, 2)), Sum((1, 3))),
    "ufunc": (outer(np.exp), outer(np.log)),
    "torch's function": (torch.sin, torch.cos),
    "installed functions": (torch.nn.functional.relu, torch.nn.functional.gelu),
    "nesting": (outer([[1], 2]), outer([[1, 2]])),
    "order": (outer({"a": 1, "b": 2}), outer({"b": 2, "a": 1})),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_differences_show(pair):
    first, second = map(fingerprint, pair)
    assert first != second
    assert (first, second) == tuple(map(fingerprint, pair))


def test_equal_values_are_equal():
    for make in (lambda: {"c", "a", "b"}, lambda: torch.arange(4)[::2], lambda: functools.partial(max, key=len)):
        assert fingerprint(outer(make())) == fingerprint(outer(make()))
    assert fingerprint(functools.partial(sorted, key=len, reverse=True)) == fingerprint(
        functools.partial(sorted, reverse=True, key=len)
    )


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a package of two modules and one beside it; gives a function that imports it afresh."""
    monkeypatch.syspath_prepend(tmp_path)
    names = ("own_package", "own_package.inner", "own_neighbour")

    def load(main="", inner="", neighbour=""):
        (tmp_path / "own_package").mkdir(exist_ok=True)
        (tmp_path / "own_package/__init__.py").write_text(MAIN + main)
        (tmp_path / "own_package/inner.py").write_text(INNER + inner)
        (tmp_path / "own_neighbour.py").write_text("STEPS = [1, 2]\n" + neighbour)
        for name in names:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module("own_package")

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield load
    for name in names:
        sys.modules.pop(name, None)


MAIN = """
import threading
from . import inner

SCALE = 2
LOCK = threading.Lock()
CACHE = {}

def run(a, seed):
    with LOCK:
        CACHE[a] = inner.level(a)
    return {"v": SCALE * CACHE[a]}
"""
INNER = """
def level(a):
    from own_neighbour import STEPS
    return STEPS[a]
"""


def test_a_module_counts_by_its_text_and_by_its_constants(module, monkeypatch):
    loaded = module()
    first = fingerprint(loaded.run)
    loaded.run(1, 0)  # its cache is filled, and its lock is no hindrance
    assert fingerprint(loaded.run) == first == fingerprint(module().run)
    for changed in (dict(main="X = 1"), dict(inner="X = 1"), dict(neighbour="STEPS = [1, 3]")):
        assert fingerprint(module(**changed).run) != first
    loaded = module()
    for place, name, value in ((loaded, "SCALE", 3), (loaded.inner, "level", lambda a: a)):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, value)
            assert fingerprint(loaded.run) != first
    assert fingerprint(loaded.run) == first


def test_what_has_no_value_is_named():
    lock, file = threading.Lock(), open(os.devnull)  # noqa: SIM115
    with file:
        for value, kind in ((lock, "_thread.lock"), (file, "_io.TextIOWrapper"), ((i for i in "ab"), "generator")):
            with pytest.raises(TypeError, match=rf"<lambda> -> scale is a .*{kind}"):
                fingerprint(outer([value]))
