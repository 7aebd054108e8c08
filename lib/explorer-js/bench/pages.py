"""Weights and times of every explorer of the built book that computes in the page, in headless Chromium.

    python lib/explorer-js/bench/pages.py [chromium]

Writes `pages.md` beside this file, which the page *How to read and run* includes. `make book` comes first. The weight
is that of the explorer's data, gzipped. The first answer comes at a setting in the address, not the stored one, and is
counted from the start of the page. A change moves one slider at random, the others at their defaults, 60 times
after 5 that warm up: script alone, and with style and layout, in the page's own thread, in milliseconds of that
thread, which what else the machine does hardly changes; and until the new picture is drawn, at whatever length of run
the slider came to. Nothing is painted.
"""

import gzip
import json
import os
import re
import sys
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[3]
HTML = ROOT / "_build/html"
OUT = Path(__file__).with_suffix(".md")
FRAME = 16  # milliseconds
PATIENCE = 60_000

# From the start of the page until the explorer's picture is computed in it.
FIRST = """new MutationObserver((_, observer) => {
  const root = document.getElementById(ID);
  const origin = root?.querySelector("[data-im-origin]")?.textContent;
  if (origin !== "computed in this page" || root.hasAttribute("aria-busy")) return;
  window.first = performance.now();
  observer.disconnect();
}).observe(document, {subtree: true, childList: true, attributes: true, characterData: true})"""

TURNED = """window.turned = async (inputs, rest) => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  await new Promise((done) => setTimeout(done)); // a task of the page's, not of the debugger's
  const start = performance.now();
  for (const [input, value] of inputs) {
    if (Number(input.value) === Number(value)) continue;
    input.value = value;
    input.dispatchEvent(new Event("input", {bubbles: true}));
  }
  await frame();
  await frame();
  await rest();
  return performance.now() - start;
};
"""

TURN = """([id, which, share]) => {
  const root = document.getElementById(id);
  const ranges = [...root.querySelectorAll("[data-im-control] input[type=range]")].filter((e) => !e.disabled);
  window.defaults ??= ranges.map((e) => e.value);
  const moved = (e) => Number(e.min) + share * (e.max - e.min);
  return turned(ranges.map((e, k) => [e, k === which % ranges.length ? moved(e) : window.defaults[k]]), async () => {
    if (root.hasAttribute("aria-busy")) await new Promise((done) => {
      const rest = (_, observer) => root.hasAttribute("aria-busy") || (observer.disconnect(), done());
      new MutationObserver(rest).observe(root, {attributeFilter: ["aria-busy"]});
    });
  });
}"""
# The picture on the landing page has a script of its own, which draws at once.
COVER_FIRST = """new MutationObserver((_, observer) => {
  if (!document.getElementById("im-count")?.textContent.trim()) return;
  window.first = performance.now();
  observer.disconnect();
}).observe(document, {subtree: true, childList: true, characterData: true})"""
COVER_TURN = """(share) => {
  const input = document.getElementById("im-angle");
  return turned([[input, Number(input.min) + share * (input.max - input.min)]], async () => {});
}"""


def explorers():
    """(chapter, id, file of its data, what is in it) of every explorer that computes in the page."""
    for page in sorted((HTML / "chapters").glob("*.html")):
        for source in re.findall(r'data-im-src="([^"]+)"', page.read_text(encoding="utf-8")):
            path = (page.parent / source).resolve()
            spec = json.loads(re.fullmatch(r'Explorer\.deliver\("[^"]+",(.*)\);?\s*', path.read_text(), re.S)[1])
            if spec.get("compute"):
                yield page, spec["id"], path, spec


def weights(path, spec):
    """Gzipped bytes of an explorer's data, and of the same without its module."""
    rest = {**spec, "compute": {**spec["compute"], "wasm": ""}}
    bare = f"Explorer.deliver({json.dumps(spec['id'])},{json.dumps(rest, separators=(',', ':'), ensure_ascii=False)})"
    return len(gzip.compress(path.read_bytes(), 9)), len(gzip.compress(bare.encode(), 9))


def away(spec):
    """A setting that no table holds, as an address has it."""
    k = next(k for k, c in enumerate(spec["controls"]) if c["kind"] == "slider" and not c["frames"])
    control = spec["controls"][k]
    low, high = control["values"][0], control["values"][-1]
    value = low + (high - low) * 0.0371
    return f"{control['name']}={round(value) if control['integer'] else value}"


def cover():
    """The landing page, and gzipped bytes of it with and without the module of its picture."""
    page = HTML / "book/index.html"
    text = page.read_text(encoding="utf-8")
    bare = re.sub(r'(data-module="?)[^"> ]+', r"\1", text)
    assert bare != text, "the cover has no module"
    return page, *(len(gzip.compress(t.encode(), 9)) for t in (text, bare))


def changes(tab, turn):
    """Of 60 changes: script, with style and layout, and what `turn(rng)` says, in milliseconds; (3, 60)."""
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent():
        found = {m["name"]: 1000 * m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
        script = found["ScriptDuration"]
        return np.array([script, script + found["LayoutDuration"] + found["RecalcStyleDuration"]])

    rng, took = np.random.default_rng(0), []
    for _ in range(65):
        before = spent()
        drawn = turn(rng)
        took.append([*(spent() - before), drawn])
    return np.array(took)[5:].T


def opened(browser, script, address):
    """A page of its own, and milliseconds to its first answer, the median of three visits."""
    firsts, tab = [], None
    for _ in range(3):
        if tab:
            tab.close()
        tab = browser.new_page(viewport={"width": 1440, "height": 900})
        tab.set_default_timeout(PATIENCE)
        tab.add_init_script(TURNED + script)
        tab.goto(address)
        tab.wait_for_function("window.first")
        firsts.append(tab.evaluate("window.first"))
    return tab, np.median(firsts)


def timed(browser, page, ident, spec):
    """Milliseconds to the first answer; of each change, in the page's thread and until it is drawn."""
    tab, first = opened(browser, FIRST.replace("ID", json.dumps(ident)), f"{page.as_uri()}#{ident}?{away(spec)}")
    skip = tab.locator(f"#{ident} [data-im-skip]")
    for press in (skip, tab.locator(f"#{ident} [data-im-reset]"), skip):
        if press.is_visible():
            press.click()
    tab.wait_for_timeout(300)
    took = changes(tab, lambda rng: tab.evaluate(TURN, [ident, int(rng.integers(1000)), rng.random()]))
    tab.close()
    return first, *took


def timed_cover(browser, page):
    """The same of the landing page's picture."""
    tab, first = opened(browser, COVER_FIRST, page.as_uri())
    tab.wait_for_timeout(4000)  # it draws itself once
    took = changes(tab, lambda rng: tab.evaluate(COVER_TURN, rng.random()))
    tab.close()
    return first, *took


def row(link, where, weights, first, script, thread, drawn):
    """A line of the table, and the 95th percentile of script."""
    cells = [" / ".join(f"{x / 1000:.1f}" for x in weights), f"{first:.0f}", where]
    for times, digits in ((script, 1), (thread, 1), (drawn, 0)):
        cells.append(" / ".join(f"{x:.{digits}f}" for x in np.quantile(times, [0.5, 0.95])))
    return f"| {{doc}}`{link}` | {' | '.join(cells)} |", np.quantile(script, 0.95)


def main():
    sys.path.insert(0, str(ROOT / "book/_tools"))
    import ensure_chromium

    chromium = sys.argv[1] if len(sys.argv) > 1 else ensure_chromium.find()
    rows, loads, late = [], [os.getloadavg()[0]], []

    def measured(name, link, slow, weights, times):
        line, high = row(link, "a worker" if slow else "the page's thread", weights, *times)
        rows.append(line)
        loads.append(os.getloadavg()[0])
        if high > FRAME and not slow:
            late.append(name)
        print(f"{time.strftime('%H:%M:%S')} load {loads[-1]:.1f} {line}", flush=True)

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page, *both = cover()
        measured("cover", "The cover </book/index>", False, both, timed_cover(browser, page))
        for page, ident, path, spec in explorers():
            link = f"{spec['title']} </chapters/{page.stem}>"
            measured(ident, link, spec["compute"]["slow"], weights(path, spec), timed(browser, page, ident, spec))
        version = browser.version
        browser.close()
    head = [
        "<!-- written by lib/explorer-js/bench/pages.py -->",
        "| explorer | kB, with / without its function | first answer, ms | computes in | a change: script, ms "
        "| with style and layout, ms | until it is drawn, ms |",
        "|---|---|---|---|---|---|---|",
    ]
    script = len(gzip.compress((HTML / "_static/explorer.js").read_bytes(), 9))
    foot = (
        f"The script that all explorers share has {script / 1000:.0f} kB, gzipped. Measured in Chromium {version}, "
        f"without a screen or a GPU, on {os.cpu_count()} cores, at a load average of {min(loads):.1f} to "
        f"{max(loads):.1f} from other work. Of a change: the median / the 95th percentile of 60; script, style and "
        "layout in milliseconds of the page's own thread. The first answer: the median of three visits. What a worker "
        "computes does not hold up the page."
    )
    OUT.write_text("\n".join([*head, *rows, "", foot, ""]), encoding="utf-8")
    for ident in late:
        print(f"{ident}: above {FRAME} ms at the 95th percentile and not `slow`")


if __name__ == "__main__":
    main()
