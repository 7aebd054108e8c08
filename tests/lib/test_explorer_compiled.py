"""Page functions: what they declare, and that Python and WebAssembly compute the same.

A module is built anew with wasm-ld, which is installed if it is missing. The comparison here runs in Node, the one of
`tests/browser/test_page_functions.py` in Chromium.
"""

import base64
import gzip
import json
import linecache
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from page_functions import FOUND, difference, filled, numbers, raw, settings

import ensure_lld
import wasm
from implicitly.explorer import Choice, Explorer, Lines, Seed, Slider, compiled, page_function, strict

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "lib/explorer-js/src/compute.js"
ALL = pytest.mark.parametrize("function", FOUND.values(), ids=lambda f: f.__name__)

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
    words = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}  # what JSON has no numbers for
    sent = [[words.get(str(v), v) for v in numbers(function, c)] for c in cases]
    (tmp_path / "in.json").write_text(json.dumps({"spec": spec, "cases": sent}))
    (tmp_path / "run.mjs").write_text(RUN % json.dumps(SCRIPT.as_uri()))
    subprocess.run(["node", tmp_path / "run.mjs", tmp_path / "in.json", tmp_path / "out.json"], check=True, timeout=300)
    return np.stack([np.frombuffer(base64.b64decode(t)) for t in json.loads((tmp_path / "out.json").read_text())])


@ALL
def test_python_and_webassembly_agree(function, tmp_path):
    function = filled(function)
    cases = settings(function)
    found, wanted = in_node(tmp_path, function, cases), np.stack([raw(function, c) for c in cases])
    assert difference(function, cases, found, wanted) is None


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
def test_a_module_asks_for_what_a_page_has(function):
    assert wasm.imports(function.path.read_bytes()) <= wasm.HOST


ASKING = """
import math, wasm
from implicitly.explorer import page_function

@page_function({"a": float}, {"b": 1})
def power_of_two(a, b):
    b[0] = 2.0**a

@page_function({"a": float}, {"b": 1})
def sine(a, b):
    b[0] = math.sin(a)

print(sorted(wasm.imports(wasm.compile_one(sine)) - {"NRT_MemInfo_call_dtor"}))
wasm.compile_one(power_of_two)
"""


def test_what_a_page_has_not_is_refused_when_the_module_is_made(tmp_path):
    if ensure_lld.find() is None and not ensure_lld.install():
        pytest.skip(ensure_lld.HINT)
    (tmp_path / "asking.py").write_text(ASKING)
    env = {**os.environ, **wasm.ENVIRONMENT, "PYTHONPATH": str(ROOT / "book/_tools")}
    tool = [sys.executable, tmp_path / "asking.py"]
    done = subprocess.run(tool, env=env, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "['sin']"
    assert "power_of_two needs ['exp2'], which a page does not have" in done.stderr


@ALL
def test_a_committed_module_is_what_its_source_compiles_to(function, rebuilt):
    committed, built = function.path.read_bytes(), (rebuilt / function.path.name).read_bytes()
    made = strict.about(committed)
    made.pop("digest")
    if made != wasm.versions():
        pytest.skip(f"compiled with {made}, here is {wasm.versions()}: the same numbers, maybe not the same bytes")
    assert committed == built, "run `make wasm`"


def test_a_module_that_is_too_large_is_refused():
    if ensure_lld.find() is None and not ensure_lld.install():
        pytest.skip(ensure_lld.HINT)
    small = "import wasm; from implicitly.explorer import compiled; compiled.MODULE = {}; wasm.compile_one({}[{!r}])"
    found = next(f for f in FOUND.values() if f.__name__ == "slow")
    size = len(gzip.compress(found.path.read_bytes(), 9, mtime=0))
    for room, refused in ((size - 1, True), (size, False)):
        text = small.format(room, "{f.__name__: f for f in wasm.functions().values()}", "slow")
        env = {**os.environ, **wasm.ENVIRONMENT, "PYTHONPATH": str(ROOT / "book/_tools")}
        done = subprocess.run([sys.executable, "-c", text], env=env, capture_output=True, text=True, timeout=300)
        assert bool(done.returncode) == refused, done.stderr
        said = f"slow: its module takes {size:,} bytes gzipped, at most {room:,} are allowed"
        assert (said in done.stderr) == refused


CACHED = """
from implicitly.explorer import page_function
from shift import SHIFT

@page_function({"a": float}, {"b": 1})
def moved(a, b):
    b[0] = a + SHIFT

print(moved(a=1.0)["b"][0], sum(moved._run.stats.cache_hits.values()))
"""


def test_compiled_code_is_kept_until_anything_that_it_uses_has_changed(tmp_path):
    """Also what stands in another file, which numba's own cache does not see."""
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    (tmp_path / "moved.py").write_text(CACHED)
    said = []
    for shift in (2, 2, 3, 2):
        (tmp_path / "shift.py").write_text(f"SHIFT = {shift}.0\n")
        run = [sys.executable, "-c", "import moved"]
        done = subprocess.run(run, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
        said.append(done.stdout.strip())
    assert said == ["3.0 0", "3.0 1", "4.0 0", "3.0 1"]


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


def test_a_numba_whose_cache_has_moved_is_an_error_and_not_slow_python(monkeypatch):
    compiled._compiled.cache_clear()
    monkeypatch.setitem(sys.modules, "numba.core.caching", None)
    with pytest.raises(ImportError, match=r"numba\.core\.caching"):
        sample(rate=0.5, n=3, way="up")
    compiled._compiled.cache_clear()


def test_a_source_that_is_not_the_function_s_is_refused():
    """A file that changed after it was read: its lines at the function's number belong to something else."""
    code = "def moved(a, b):\n    b[0] = a\n"
    linecache.cache["<moved>"] = (0, None, ["SHIFT = 1\n"], "<moved>")
    exec(compile(code, "<moved>", "exec"), names := {"__name__": "moved"})
    with pytest.raises(ValueError, match=r"source of moved must be at line 1 of <moved>, found 'SHIFT"):
        page_function({"a": float}, {"b": 1})(names["moved"]).digest()


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
        (lambda: page_function({"a": float}, {"b": 2**31 - 1})(uses_inner), ValueError, "17,179,869,176 bytes, a page"),
        (lambda: page_function({"a": float}, {"b": 2**31})(uses_inner), ValueError, r"'b'\] must be 1 to 2147483647"),
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
