"""Pages of samples, from the disk and without a server, and a visit to one: for `test_explorer_page*.py`."""

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lib/explorer-js/bench"))
samples = importlib.import_module("samples")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
CLOCK = "three-points-one-clock"
# Each begins when it is near: all of them, one after the other, and back to where the page was.
APPROACH = """async () => {
  const [x, y] = [scrollX, scrollY];
  for (const root of document.querySelectorAll('[data-im-explorer]')) {
    const end = performance.now() + 20000;
    while (!root.hasAttribute('data-im-ready') && performance.now() < end) {
      root.scrollIntoView();
      await new Promise(requestAnimationFrame);
    }
  }
  scrollTo(x, y);
}"""
READY = "document.querySelectorAll('[data-im-ready]').length === document.querySelectorAll('[data-im-explorer]').length"
SHIFT = """window.shift = 0;
new PerformanceObserver((list) => list.getEntries().forEach((e) => window.shift += e.value))
  .observe({type: 'layout-shift', buffered: true});"""
# What is drawn: the marks of every panel and the pixels of every canvas.
PICTURE = """root => [...root.querySelectorAll('.im-ex-plot')].map(
  p => p.querySelector('svg').innerHTML + [...p.querySelectorAll('canvas')].map(c => c.toDataURL()).join()).join()"""


def write(folder):
    """The pages, and the address of each: samples in light and dark, and those that ask a question first."""
    explorers = [make() for make in samples.SAMPLES.values()]
    asking = samples.write_page(folder / "asking", [*samples.asking(), samples.tall()]).as_uri()
    return {"asking": asking} | {
        theme: samples.write_page(folder, explorers, theme).as_uri() for theme in ("light", "dark")
    }


class Visit:
    def __init__(self, browser, address, **options):
        self.context = browser.new_context(**{"viewport": {"width": 1000, "height": 900}, **options})
        self.page = self.context.new_page()
        self.page.add_init_script(SHIFT)
        self.errors, self.asked = [], []
        self.page.on("console", lambda m: m.type in ("error", "warning") and self.errors.append(m.text))
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.goto(address)
        if options.get("java_script_enabled", True):
            self.page.evaluate(APPROACH)
            self.page.wait_for_function(READY)

    def root(self, ident=CLOCK):
        return self.page.locator(f"[data-im-explorer='{ident}']")

    def turn(self, name, value, ident=CLOCK):
        self.root(ident).locator(f"[data-im-control='{name}'] input[type=range]").evaluate(
            "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})) }", value
        )
        self.frame()

    def frame(self):
        self.page.evaluate("() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
