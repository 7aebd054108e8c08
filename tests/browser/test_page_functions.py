"""Every page function gives in Chromium what it gives in Python: the same bits where its tolerance is 0.

One page, opened from the disk, loads the committed modules as a chapter's page does (`computer` of `compute.js`: in
its own thread, or in a worker), and answers batches of settings. `tests/lib/test_explorer_compiled.py` does it in Node.
"""

import base64
import importlib
import itertools
import re
import sys

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from page_functions import FOUND, RANGES, WHOLE, difference, filled, numbers, raw, settings
from playwright.sync_api import Error

sys.path.insert(0, str(ROOT / "lib/explorer-js/bench"))
pages = importlib.import_module("pages")

FUNCTIONS = {f.__name__: filled(f) for f in FOUND.values()}
ALL = pytest.mark.parametrize("name", FUNCTIONS)
FEW = 6  # random settings beside the awkward ones

# Numbers go both ways as the base64 of their bits: no NaN, infinity or sign of a zero is lost in between.
PAGE = """<!doctype html><meta charset="utf-8"><title>Page functions</title><link rel="icon" href="data:,">
<script type="module">
%s
const bits = (text) => new Float64Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const asked = (made, params) => new Promise((done, fail) => made.ask(params, { done, fail }));
const text = async (arrays) => {
  const reader = new FileReader();
  return new Promise((done) => {
    reader.onload = () => done(reader.result.split(",")[1]);
    reader.readAsDataURL(new Blob(arrays));
  });
};
globalThis.run = async (spec, sent) => {
  const made = await computer(spec);
  const all = bits(sent), count = spec.params.length, found = [];
  try {
    for (let k = 0; k < all.length; k += count)
      found.push(...(await asked(made, [...all.subarray(k, k + count)])).values());
  } finally {
    made.stop();
  }
  return text(found);
};
</script>"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    path = tmp_path_factory.mktemp("functions") / "functions.html"
    source = (ROOT / "lib/explorer-js/src/compute.js").read_text(encoding="utf-8")
    path.write_text(PAGE % source.replace("export ", ""), encoding="utf-8")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(path.as_uri())
        page.wait_for_function("'run' in globalThis")
        yield page


def in_chromium(page, function, cases, module=None, points=()):
    """Outputs of the module at each of `cases`, one row each. At `points` the page first checks itself."""
    spec = function.spec(module or function.path.read_bytes(), list(points))
    sent = np.array([numbers(function, c) for c in cases], dtype="<f8")
    text = page.evaluate("([spec, sent]) => run(spec, sent)", [spec, base64.b64encode(sent.tobytes()).decode()])
    return np.frombuffer(base64.b64decode(text), "<f8").reshape(len(cases), -1)


def in_python(function, cases):
    return np.stack([raw(function, c) for c in cases])


@ALL
def test_chromium_gives_what_python_gives(page, name):
    """Random settings; each parameter not a number, infinite, huge, tiny, at its ends; and its own check passes."""
    function = FUNCTIONS[name]
    cases = settings(function, FEW)
    found = in_chromium(page, function, cases, points=cases[:1])
    assert difference(function, cases, found, in_python(function, cases)) is None


def any_of(kind, name):
    if kind is float:
        return st.floats() | st.floats(-30, 30)
    if kind is int:
        low, past = RANGES.get(name, WHOLE)
        return st.integers(low, past - 1)
    return st.sampled_from(kind)


def any_setting(function):
    return st.fixed_dictionaries({name: any_of(kind, name) for name, kind in function.params.items()})


@ALL
@examples(max_examples=5)
@given(data=st.data())
def test_chromium_gives_what_python_gives_anywhere(page, name, data):
    function = FUNCTIONS[name]
    cases = data.draw(st.lists(any_setting(function), min_size=1, max_size=4))
    found = in_chromium(page, function, cases)
    assert difference(function, cases, found, in_python(function, cases)) is None


def other(kind, value):
    """A neighbour of a parameter's value."""
    if kind is float:
        return value * (1 + 1e-3)
    return value + 1 if kind is int else kind[(kind.index(value) + 1) % len(kind)]


@ALL
def test_a_parameter_that_arrives_changed_is_seen(page, name):
    """So is one that the page drops, or mixes up with another. Large whole numbers may mean the same as the largest."""
    function = FUNCTIONS[name]
    small = [n for n, kind in function.params.items() if kind is int and n not in RANGES]
    cases = [{**c, **{n: 1 + c[n] % 4 for n in small}} for c in settings(function, FEW)[:FEW]]
    for n, kind in function.params.items():  # each option comes up: what another parameter does may hang on it
        if isinstance(kind, tuple):
            cases = [{**c, n: kind[i % len(kind)]} for i, c in enumerate(cases)]
    found = in_chromium(page, function, cases)
    for changed, kind in function.params.items():
        moved = [{**c, changed: other(kind, c[changed])} for c in cases]
        assert difference(function, cases, found, in_python(function, moved)) is not None, changed


PAIRS = list(itertools.pairwise([*FUNCTIONS, next(iter(FUNCTIONS))]))


@pytest.mark.parametrize("name, taken", PAIRS)
def test_the_module_of_another_function_is_seen(page, name, taken):
    """By the comparison, where it runs at all, and by the page's own check."""
    function, module = FUNCTIONS[name], FUNCTIONS[taken].path.read_bytes()
    cases = settings(function, 2)[:2]
    with pytest.raises(Error, match=r"differ from the book's|BigInt|the function raised|memory access|unreachable"):
        in_chromium(page, function, cases, module, points=cases[:1])
    try:
        found = in_chromium(page, function, cases, module)
    except Error:
        return
    assert difference(function, cases, found, in_python(function, cases)) is not None


@ALL
def test_one_bit_more_than_the_tolerance_allows_is_seen(name):
    function = FUNCTIONS[name]
    cases = settings(function, 1)[:1]
    wanted = in_python(function, cases)
    assert difference(function, cases, wanted.copy(), wanted) is None
    at = 0
    for size in map(int, map(np.prod, function.outputs.values())):
        place = at + int(np.nanargmax(np.abs(wanted[0, at : at + size])))
        at += size
        largest = wanted[0, place]
        for instead in (np.nan, np.nextafter(largest, np.inf) + 1.01 * function.tolerance * abs(largest)):
            found = wanted.copy()
            found[0, place] = instead
            assert difference(function, cases, found, wanted) is not None, instead


def test_the_list_of_weights_and_times_has_each_explorer_that_computes(book):
    """What *How to read and run* shows; `python lib/explorer-js/bench/pages.py` writes it."""
    listed = re.findall(r"\{doc\}`(.*) <(.*)>`", pages.OUT.read_text(encoding="utf-8"))
    there = [(spec["title"], f"/chapters/{page.stem}") for page, _, _, spec in pages.explorers()]
    assert sorted(listed) == sorted([("The cover", "/book/index"), *there])
