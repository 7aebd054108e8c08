"""What the tests of static and live explorers share: their controls, their picture, their speed."""

from playwright.sync_api import Locator, Page

PICTURE = """root => [...root.querySelectorAll(".im-ex-plot")].map(plot => [
    ...[...plot.querySelectorAll("svg")].map(svg => svg.outerHTML),
    ...[...plot.querySelectorAll("canvas")].map(canvas => canvas.toDataURL()),
].join("")).join("|")"""

# A redraw may wait for the next frame: two frames and a task later it is on the screen.
SET = """async (input, value) => {
    input.value = value;
    input.dispatchEvent(new Event("input", {bubbles: true}));
    input.dispatchEvent(new Event("change", {bubbles: true}));
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
}"""

# From the input event to the task after the frame that shows the answer.
TIME = """async (input, steps) => {
    const low = Number(input.min), high = Number(input.max), took = [];
    for (let k = 1; k <= steps; k++) {
        await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
        const start = performance.now();
        input.value = low + (high - low) * ((k * 0.618034) % 1);
        input.dispatchEvent(new Event("input", {bubbles: true}));
        await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
        took.push(performance.now() - start);
    }
    return took.sort((a, b) => a - b);
}"""


def picture(root: Locator) -> str:
    """Everything drawn in the explorer's plots; equal strings are equal pictures."""
    return root.evaluate(PICTURE)


def sliders(root: Locator) -> list[Locator]:
    return root.locator("[data-im-control] input[type=range]").all()


def choices(root: Locator) -> list[Locator]:
    return root.locator("[data-im-control] input[type=radio]").all()


def control(element: Locator) -> str:
    """The name of the control that an input belongs to."""
    return element.evaluate("e => e.closest('[data-im-control]').dataset.imControl")


def set_to(slider: Locator, share: float) -> None:
    """Move a slider to a share of its range, as a hand on it would, and wait until it is drawn."""
    low, high = (float(slider.get_attribute(name)) for name in ("min", "max"))
    slider.evaluate(SET, low + share * (high - low))


def settled(page: Page) -> None:
    """Wait for two frames, in which an explorer redraws."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")


def time_of(slider: Locator, steps: int = 40) -> tuple[float, float]:
    """Median and 95th percentile, in ms, from an input to the frame that shows the answer."""
    took = slider.evaluate(TIME, steps)
    return took[len(took) // 2], took[int(0.95 * len(took))]
