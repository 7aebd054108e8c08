"""Milliseconds from a control's change to the end of script and layout, in headless Chromium.

    python lib/explorer-js/bench/bench.py [chromium [explorer ...]]

Each sample explorer is turned 60 times through all its settings, in random order; the first 5 are
warm-up. What is counted: the input event, the table lookup, drawing, and a forced layout; not painting.
Prints a table of median and 95th percentile, for README.md.
"""

import shutil
import sys
import tempfile

import numpy as np
import paged
from playwright.sync_api import sync_playwright
from samples import SAMPLES, write_page

TURN = """async (seeds) => {
  const root = document.querySelector('[data-im-explorer]');
  const raf = window.requestAnimationFrame;
  let spent = 0;
  window.requestAnimationFrame = (f) => raf((t) => {
    const a = performance.now(); f(t); root.getBoundingClientRect(); spent += performance.now() - a;
  });
  const sliders = [...root.querySelectorAll('input[type=range]')];
  const times = [];
  for (const seed of seeds) {
    const slider = sliders[seed % sliders.length];
    const steps = (slider.max - slider.min) / slider.step;
    slider.value = slider.step * (seed % (steps + 1));
    spent = 0;
    const a = performance.now();
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    spent += performance.now() - a;
    await new Promise((r) => raf(() => raf(r)));
    times.push(spent);
  }
  return times;
}"""


# From the start of the page until the explorer answers.
FIRST = """new MutationObserver(() => document.querySelector("[data-im-ready]") && (window.first ??= performance.now()))
  .observe(document, {subtree: true, childList: true, attributes: true})"""


def main():
    only = sys.argv[2:]
    chromium = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium")
    seeds = np.random.default_rng(0).integers(1, 10_000, 65).tolist()
    with sync_playwright() as play, tempfile.TemporaryDirectory() as folder:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        print(f"Chromium {browser.version}, software rendering\n")
        print("| explorer | table, kB | ready, ms | median, ms | 95 %, ms |\n|---|---|---|---|---|")
        for name, make in {**SAMPLES, "waves": paged.explorer}.items():
            if only and name not in only:
                continue
            explorer = make()
            page = browser.new_page(viewport={"width": 1000, "height": 900})
            page.add_init_script(FIRST)
            page.goto(write_page(f"{folder}/{name}", [explorer]).as_uri())
            page.wait_for_selector("[data-im-ready]")
            first = page.evaluate("window.first")
            times = np.array(page.evaluate(TURN, seeds)[5:])
            size = len(explorer._data) / 1000
            low, high = np.median(times), np.quantile(times, 0.95)
            print(f"| {name} | {size:.0f} | {first:.0f} | {low:.1f} | {high:.1f} |")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
