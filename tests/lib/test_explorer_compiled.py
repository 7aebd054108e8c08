"""Page functions: what they declare, and that Python and WebAssembly compute the same.

A module is built anew with wasm-ld, which is installed if it is missing; the comparison runs in Node and in Chromium.
"""

import base64
import json
import pickle
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import ensure_lld
import wasm
from implicitly.explorer import Choice, Explorer, Lines, Seed, Slider, compiled, page_function

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "lib/explorer-js/src/compute.js"
FOUND = wasm.functions()
ALL = pytest.mark.parametrize("function", FOUND.values(), ids=lambda f: f.__name__)

#: What each parameter ranges over in the comparison, where it cannot be left to chance: steps cost time.
RANGES = {"steps": (0, 3000), "time": (0, 12), "k": (0, 4), "n": (1, 5000), "M": (1, 24), "C": (1, 100),
          "work": (0, 4), "size": (1, 100), "count": (0, 130), "h": (1, 40),
          "guesses": (1, 30_000)}


def settings(function, count=40):
    """Random values, then the awkward ones, of every parameter."""
    rng = np.random.default_rng(18)
    made = []
    for k in range(count):
        values = {}
        for name, kind in function.params.items():
            if kind is float:
                value = rng.normal() * 10.0 ** rng.integers(-3, 3)
                values[name] = float(value if k % 2 else abs(value))
            elif kind is int:
                values[name] = int(rng.integers(*RANGES.get(name, (0, 2**31))))
            else:
                values[name] = kind[rng.integers(len(kind))]
        made.append(values)
    awkward = [0.0, -0.0, np.nan, np.inf, -np.inf, 5e-324, 1e-300, 1e308, -1e308, 1.0]
    for name in (n for n, kind in function.params.items() if kind is float):
        made += [{**made[0], name: value} for value in awkward]
    for name in (n for n, kind in function.params.items() if kind is int):
        made += [{**made[0], name: value} for value in (0, 1, 2**31 - 1)
                 if name not in RANGES or value in range(*RANGES[name])]
    return made


def raw(function, params):
    """What the compiled Python function writes, before it is checked."""
    arrays = {n: function.bound[n].copy() if n in function.data else np.zeros(s or 1)
              for n, s in function.arrays.items()}  # fmt: skip
    function._run(*(compiled._number(n, k, params[n]) for n, k in function.params.items()), *arrays.values())
    return np.concatenate([arrays[n].ravel() for n in function.outputs])


def filled(function):
    """The function on some data, if it takes any."""
    rng = np.random.default_rng(0)
    return function.bind(**{n: rng.normal(size=s) for n, s in function.data.items()}) if function.data else function


RUN = """
import { instantiate } from %s;
import { readFileSync, writeFileSync } from "node:fs";
const { spec, cases } = JSON.parse(readFileSync(process.argv[2]));
const number = (v) => (typeof v === "string" ? Number(v) : v);
const f = instantiate(new WebAssembly.Module(Buffer.from(spec.wasm, "base64")), spec, () => {});
const bytes = (arrays) => Buffer.concat([...arrays.values()].map((a) => Buffer.from(a.buffer)));
const out = cases.map((params) => bytes(f(params.map(number))).toString("base64"));
writeFileSync(process.argv[3], JSON.stringify(out));
"""


def in_node(tmp_path, function, cases, module=None):
    """Outputs of the module at each of `cases`, one row each."""
    if not shutil.which("node"):
        pytest.skip("Node is not installed")
    spec = function.spec(module or function.path.read_bytes(), [])
    sent = [[str(v).replace("inf", "Infinity") if isinstance(v, float) and not np.isfinite(v) else v for v in
             (compiled._number(n, k, c[n]) for n, k in function.params.items())] for c in cases]  # fmt: skip
    (tmp_path / "in.json").write_text(json.dumps({"spec": spec, "cases": sent}).replace("nan", "NaN"))
    (tmp_path / "run.mjs").write_text(RUN % json.dumps(SCRIPT.as_uri()))
    subprocess.run(["node", tmp_path / "run.mjs", tmp_path / "in.json", tmp_path / "out.json"], check=True, timeout=300)
    return np.stack([np.frombuffer(base64.b64decode(t)) for t in json.loads((tmp_path / "out.json").read_text())])


@ALL
def test_python_and_webassembly_agree(function, tmp_path):
    function = filled(function)
    cases = settings(function)
    found, wanted = in_node(tmp_path, function, cases), np.stack([raw(function, c) for c in cases])
    if function.tolerance == 0:
        assert np.array_equal(np.isnan(found), np.isnan(wanted))
        bits = [np.where(np.isnan(a), 0.0, a).view(np.int64) for a in (found, wanted)]
        assert np.array_equal(*bits)
        return
    at = 0
    for name, shape in function.outputs.items():
        size = int(np.prod(shape))
        a, b = found[:, at : at + size], wanted[:, at : at + size]
        largest = np.abs(np.where(np.isfinite(b), b, 0)).max(1, keepdims=True)
        close = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= function.tolerance * largest)
        assert close.all(), (name, cases[int(np.argmin(close.all(1)))])
        at += size


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    """Every module, compiled anew."""
    if ensure_lld.find() is None and not ensure_lld.install():
        pytest.skip(ensure_lld.HINT)
    out = tmp_path_factory.mktemp("wasm")
    tool = [sys.executable, ROOT / "book/_tools/wasm.py", "--all", "--out", out]
    subprocess.run(tool, check=True, timeout=900, capture_output=True)
    return out


@ALL
def test_a_committed_module_is_what_its_source_compiles_to(function, rebuilt):
    committed, built = function.path.read_bytes(), (rebuilt / function.path.name).read_bytes()
    made = compiled.about(committed)
    made.pop("digest")
    if made != wasm.versions():
        pytest.skip(f"compiled with {made}, here is {wasm.versions()}: the same numbers, maybe not the same bytes")
    assert committed == built, "run `make wasm`"


def test_no_module_is_stale_and_none_is_nobody_s():
    assert FOUND
    assert wasm.stale(FOUND) == {}


@page_function(
    {"rate": float, "n": int, "way": ("up", "down")}, {"t": 5, "y": (5, 2), "k": 5, "last": ()}, whole=("k",)
)
def sample(rate, n, way, t, y, k, last):
    for i in range(t.size):
        t[i] = i
        y[i, 0] = rate * i
        y[i, 1] = n
        k[i] = i + way
    last[0] = t[t.size - 1]


def test_a_call_gives_arrays_by_name():
    found = sample(rate=0.5, n=3, way="down")
    assert found["y"].tolist() == [[0.5 * i, 3] for i in range(5)]
    assert found["k"].tolist() == [1, 2, 3, 4, 5] and found["k"].dtype == np.int64
    assert found["last"].shape == () and found["last"] == 4
    assert np.array_equal(pickle.loads(pickle.dumps(sample))(rate=0.5, n=3, way="down")["y"], found["y"])


def test_without_numba_the_python_function_runs(monkeypatch):
    compiled._compiled.cache_clear()
    monkeypatch.setitem(sys.modules, "numba", None)
    assert sample(rate=0.5, n=3, way="up")["k"].tolist() == [0, 1, 2, 3, 4]
    compiled._compiled.cache_clear()


def test_a_digest_follows_what_is_called_and_not_how_it_is_written():
    one = page_function({"a": float}, {"b": 1})(uses_inner)
    before = one.digest()
    assert page_function({"a": float}, {"b": 1})(uses_inner).digest() == before
    assert page_function({"a": float}, {"b": 2})(uses_inner).digest() != before
    assert page_function({"a": int}, {"b": 1})(uses_inner).digest() != before
    uses_inner.__globals__["FACTOR"] = 3.0
    try:
        assert one.digest() != before
    finally:
        uses_inner.__globals__["FACTOR"] = 2.0


FACTOR = 2.0


def uses_inner(a, b):
    """Its docstring does not count."""
    b[0] = FACTOR * a


@pytest.mark.parametrize(
    "make, error, says",
    [
        (lambda: page_function({"a": float}, {"b": 1})(3), TypeError, "must be a Python function, found 3"),
        (lambda: page_function({"a": str}, {"b": 1})(uses_inner), TypeError, "float, int or the options"),
        (lambda: page_function({"a": float}, {"c": 1})(uses_inner), ValueError, r"must be \['a', 'c'\].*found"),
        (lambda: page_function({"a": float}, {"b": 0})(uses_inner), ValueError, "must be 1 to"),
        (lambda: page_function({"a": float}, {})(uses_inner), ValueError, "at least one array"),
        (lambda: page_function({"a": float}, {"b": 1}, whole="c")(uses_inner), TypeError, "names of outputs"),
        (lambda: page_function({"a": float}, {"b": (4000, 4000)})(uses_inner), ValueError, "128,000,000 bytes, a page"),
        (lambda: page_function({"a": float}, {"b": 1}, tolerance=-1)(uses_inner), ValueError, "tolerance"),
        (lambda: sample(rate=1.0), TypeError, "takes"),
        (lambda: sample(rate=1.0, n=1, way="left"), ValueError, "must be one of"),
        (lambda: sample.bind(x=1), ValueError, "expected"),
        (lambda: Seed("seed", -1), ValueError, "seed must be 0 to"),
        (lambda: Seed("seed", 0.5), TypeError, "whole number"),
    ],
)
def test_bad_input_says_what_is_wrong(make, error, says):
    with pytest.raises(error, match=says):
        make()


def explorer(function=sample, n=None, way=None):
    n, way = n or Slider("n", [1, 2, 3]), way or Choice("way", ["up", "down"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rate = Slider("rate", np.linspace(1, 2, 11))
        return Explorer(function, [rate, n, way], Lines("t", "last_"), title="t", alt="a")


def test_an_explorer_holds_its_controls_to_the_function():
    with pytest.raises(ValueError, match="n must be a Slider over ints"):
        explorer(n=Slider("n", [1.0, 2.5]))
    with pytest.raises(ValueError, match="way must be a Choice of"):
        explorer(way=Choice("way", ["down", "up"]))
    with pytest.raises(ValueError, match="takes"):
        explorer(way=Choice("which", ["up", "down"]))
