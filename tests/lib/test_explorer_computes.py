"""A page function in a real Chromium: from the disk and a server, at any value, beside the page's thread, tampered."""

import base64
import functools
import http.server
import importlib
import json
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from implicitly.explorer import Seed

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lib/explorer-js/bench"))
samples = importlib.import_module("samples")
paged = importlib.import_module("paged")

pytestmark = pytest.mark.browser


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def longer(explorer):
    """Work that lasts until it is given up: its table was made with less."""
    spec = json.loads(explorer.widget.spec)
    work = next(c for c in spec["controls"] if c["name"] == "work")
    work["values"][-1] = 1_000_000
    explorer.widget.spec = json.dumps(spec)
    return explorer


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """The same page from the disk and from a server."""
    folder = tmp_path_factory.mktemp("paged")
    page = samples.write_page(folder, [paged.explorer(), longer(paged.slow_explorer())])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {"file": page.as_uri(), "http": f"http://127.0.0.1:{server.server_port}/{page.name}"}
    server.shutdown()


@pytest.fixture(params=["file", "http"])
def page(chromium, sites, request):
    yield from opened(chromium, sites[request.param])


@pytest.fixture
def disk(chromium, sites):
    yield from opened(chromium, sites["file"])


def opened(chromium, address, script=""):
    context = chromium.new_context(viewport={"width": 1000, "height": 900})
    page = context.new_page()
    errors, asked = [], []
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("request", lambda r: asked.append(r.url))
    if script:
        page.add_init_script(script)
    page.goto(address)
    page.wait_for_selector("#waves[data-im-ready]")
    yield page
    assert errors == []
    own = [url for url in asked if not url.startswith(("blob:", "data:"))]
    ours = r"(light\.html|explorer\.(css|js)|_data/\S+\.js|_images/\S+\.png)(#.*)?$"
    assert all(re.search(ours, url) for url in own), own
    context.close()


def typed(page, name, text, ident="waves"):
    field = page.locator(f"#{ident} [data-im-control={name}] [data-im-value]")
    field.fill(text)
    field.press("Enter")
    rested(page, ident)


def rested(page, ident):
    page.evaluate("() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
    page.wait_for_function(f"!document.getElementById('{ident}').hasAttribute('aria-busy')")


def tables(page, ident="waves"):
    """The numbers that the page offers: column -> values."""
    fold = page.locator(f"#{ident} [data-im-numbers]")
    if fold.get_attribute("open") is None:
        fold.locator("summary").click()
    page.wait_for_timeout(600)  # it follows the picture when that rests
    read = "all => all.map(t => [...t.rows].map(r => [...r.cells].map(c => c.textContent)))"
    rows = fold.locator("table").evaluate_all(read)
    return {name: column for head, *body in rows for name, column in zip(head, zip(*body, strict=True), strict=True)}


def numbers(column):
    return np.array([float(text) if text else np.nan for text in column])


def test_any_value_gives_what_the_library_gives(page):
    rng = np.random.default_rng(1)
    for k in range(4):
        rate, pitch = round(rng.uniform(0, 2), 6), round(rng.uniform(1, 20), 6)
        way = ("wave", "steps")[k % 2]
        page.locator(f"#waves [data-im-control=way] input[value='{k % 2}']").check()
        typed(page, "rate", str(rate))
        typed(page, "pitch", str(pitch))
        page.locator("#waves [data-im-new]").click()
        rested(page, "waves")
        expect(page.locator("#waves [data-im-set]")).to_have_text(f"data set {4 + k}")
        found, wanted = tables(page), paged.waves(rate=rate, pitch=pitch, way=way, seed=4 + k)
        assert np.allclose(numbers(found["y"]), wanted["y"], rtol=1e-8, atol=1e-12)
        assert np.allclose(numbers(found["dots.y"]), wanted["dots"][:, 1], rtol=1e-8, atol=1e-12)
        assert np.array_equal(numbers(found["kind"]), wanted["kind"])
        expect(page.locator("#waves [data-im-origin]")).to_have_text("computed in this page")
        said = f"mean is {wanted['mean']:.4f}".replace("-", "−")
        expect(page.locator("#waves [data-im-summary]")).to_contain_text(said)


def test_the_address_keeps_values_and_data(disk):
    typed(disk, "rate", "0.123456")
    disk.locator("#waves [data-im-new]").click()
    disk.wait_for_timeout(400)
    assert disk.url.endswith("#waves?rate=0.123456&seed=4")
    address = disk.url
    disk.goto("about:blank")
    disk.goto(address)
    disk.wait_for_selector("#waves[data-im-ready]")
    rested(disk, "waves")
    wanted = paged.waves(rate=0.123456, pitch=8.0, way="wave", seed=4)
    assert np.allclose(numbers(tables(disk)["dots.y"]), wanted["dots"][:, 1], rtol=1e-8, atol=1e-12)


def test_the_file_has_the_numbers(disk):
    with disk.expect_download() as download:
        disk.locator("#waves [data-im-csv]").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    head, row = text.splitlines()[:2]
    assert (head, row) == ("Way,Rate,Pitch,data set", "wave,0.50,8.0,3")
    wanted = paged.waves(rate=0.5, pitch=8.0, way="wave", seed=3)
    lines = [line.split(",") for line in text.splitlines()]
    start = next(k for k, line in enumerate(lines) if "y" in line)
    found = [float(line[lines[start].index("y")]) for line in lines[start + 1 : start + 401]]
    assert np.allclose(found, wanted["y"], rtol=1e-8, atol=1e-12)
    assert download.value.suggested_filename == "waves.csv"


CHANGES = """async ([id, name, values, count]) => {
  const input = document.querySelector(`#${id} [data-im-control=${name}] input[type=range]`);
  const task = () => new Promise((done) => setTimeout(done));
  window.requestAnimationFrame = (f) => setTimeout(() => f(performance.now())); // not at the pace of a screen
  for (let k = 0; k < count; k++) {
    input.value = values[k % values.length];
    input.dispatchEvent(new Event("input", {bubbles: true}));
    await task();
    await task();
  }
  return Explorer.memory();
}"""


def heap(page):
    """Bytes that the page's own thread holds once its garbage is collected, the smallest of a few."""
    session = page.context.new_cdp_session(page)
    found = []
    for _ in range(4):
        session.send("HeapProfiler.collectGarbage")
        page.wait_for_timeout(100)
        found.append(session.send("Runtime.getHeapUsage"))
    session.detach()
    return min(f["usedSize"] + f.get("backingStorageSize", 0) for f in found)


NOISE = 500_000  # bytes, some five times what comes and goes; a thousand results of `waves` are 8 MB


def test_nothing_grows_over_a_thousand_changes(disk):
    values = [0.5 + k / 10 for k in range(190)]
    warm = disk.evaluate(CHANGES, ["waves", "rate", values, 200])
    before = heap(disk)
    assert disk.evaluate(CHANGES, ["waves", "rate", values, 1000]) == warm > 0, "bytes of WebAssembly memory"
    assert heap(disk) - before < NOISE


def test_what_a_page_keeps_is_seen(disk):
    """The same with a script that keeps every result: the check on the heap can fail."""
    before = heap(disk)
    disk.evaluate("() => { window.kept = Array.from({length: 1000}, () => new Float64Array(1000).fill(1)) }")
    assert heap(disk) - before > NOISE


def test_no_worker_is_left_over(disk):
    """A setting that is given up ends its worker."""
    disk.locator("#slow").scroll_into_view_if_needed()
    disk.wait_for_selector("#slow[data-im-ready]")
    disk.evaluate(CHANGES, ["slow", "work", [0.4, 1, 1.3, 2, 2.4], 60])
    before = heap(disk)
    disk.evaluate(CHANGES, ["slow", "work", [0.4, 1, 1.3, 2, 2.4], 300])
    typed(disk, "work", "2", "slow")
    for _ in range(100):  # the browser tells of a worker's end a little later
        if len(disk.workers) == 1:
            break
        disk.wait_for_timeout(50)
    assert len(disk.workers) == 1
    assert heap(disk) - before < NOISE


# In the page, where nothing comes between seeing the button and pressing it: on a busy machine a click comes too late.
STOP = """async (root) => {
  const button = root.querySelector("[data-im-busy] button");
  while (!button.checkVisibility()) await new Promise(requestAnimationFrame);
  const { x, y, width, height } = button.getBoundingClientRect();
  const free = document.elementFromPoint(x + width / 2, y + height / 2) === button;
  button.click();
  return free;
}"""


def test_what_takes_long_shows_how_far_it_is_and_is_given_up(disk):
    root = disk.locator("#slow")
    root.scroll_into_view_if_needed()
    disk.wait_for_selector("#slow[data-im-ready]")
    field = root.locator("[data-im-control=work] [data-im-value]")
    field.fill("900000")
    field.press("Enter")
    expect(root).to_have_attribute("data-im-waits", "")
    expect(root.locator("[data-im-busy]")).to_contain_text(re.compile(r"computing, [\d\u202f]+ of 900.000"))
    longest = disk.evaluate("""async () => {
      let before = performance.now(), longest = 0;
      for (let k = 0; k < 60; k++) {
        await new Promise(requestAnimationFrame);
        const now = performance.now();
        longest = Math.max(longest, now - before);
        before = now;
      }
      return longest;
    }""")
    assert longest < 1000, "the page's own thread goes on"
    typed(disk, "work", "2", "slow")  # gives the other up
    assert np.allclose(numbers(tables(disk, "slow")["y"]), paged.slow(size=10, work=2)["y"], rtol=1e-8)
    field.fill("900000")
    field.press("Enter")
    assert root.evaluate(STOP), "the button is covered"
    expect(root.locator("[data-im-message]")).to_contain_text("Stopped")
    expect(root).not_to_have_attribute("aria-busy", "true")
    with disk.expect_download() as download:  # of what is drawn, not of what was given up
        root.locator("[data-im-csv]").click()
    assert Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()[:2] == ["Size,Work", "10,2"]
    typed(disk, "work", "3", "slow")
    expect(root.locator("[data-im-message]")).to_be_hidden()


def broken(folder, change):
    """A page whose explorer was changed before it was written."""
    explorer = paged.explorer()
    spec = explorer.widget.spec
    data = json.loads(spec)
    change(data["compute"])
    explorer.widget.spec = json.dumps(data)
    return samples.write_page(folder, [explorer]).as_uri()


def other_numbers(compute):
    """A module that computes something else: one constant of it."""
    module = bytearray(base64.b64decode(compute["wasm"]))
    at = module.find(np.float64(1 / 399).tobytes())
    at = at if at > 0 else module.find(np.float64(399.0).tobytes())
    assert at > 0
    module[at : at + 8] = np.float64(398.0).tobytes()
    compute["wasm"] = base64.b64encode(bytes(module)).decode()


def four_gigabytes(compute):
    """Arrays that no module of 32 bits can have."""
    compute["work"] = [*compute["work"], 2**29]


def no_module(compute):
    compute["wasm"] = base64.b64encode(b"\0asm\1\0\0\0\xff\xff").decode()


@pytest.mark.parametrize(
    "change, script, says",
    [
        (other_numbers, "", "this browser's numbers differ from the book's"),
        (no_module, "", "Nothing is computed in this page"),
        (four_gigabytes, "", "its arrays take more memory than the browser gives"),
        (lambda compute: None, "delete globalThis.WebAssembly", "this browser has no WebAssembly"),
    ],
)
def test_a_page_that_cannot_compute_says_so_and_shows_the_table(chromium, tmp_path, change, script, says):
    for page in opened(chromium, broken(tmp_path, change), script):
        expect(page.locator("#waves [data-im-message]")).to_contain_text(says)
        expect(page.locator("#waves [data-im-origin]")).to_have_text("stored values")
        expect(page.locator("#waves [data-im-new]")).to_be_disabled()
        typed(page, "rate", "2.00")
        found = numbers(tables(page)["y"])
        wanted = paged.waves(rate=2.0, pitch=8.0, way="wave", seed=3)["y"]
        assert np.allclose(found, wanted, atol=1e-3)


def test_new_data_is_off_where_it_changes_nothing(chromium, tmp_path):
    """As a slider is, by `enabled_when`: here with the first choice."""
    first = paged.explorer()
    explorer = type(first)(
        paged.waves, [*first.controls[:-1], Seed("seed", 3, enabled_when={"way": "steps"})], first.panels[0],
        title="Waves", alt="A wave.",
    )  # fmt: skip
    for page in opened(chromium, samples.write_page(tmp_path, [explorer]).as_uri()):
        button = page.locator("#waves [data-im-new]")
        expect(button).to_be_disabled()
        page.locator("#waves [data-im-control=way] input[value='1']").check()
        button.click()
        rested(page, "waves")
        expect(page.locator("#waves [data-im-set]")).to_have_text("data set 4")
