"""What the tests of static and live explorers share: their controls, their picture, their speed."""

import re
from dataclasses import dataclass

from playwright.sync_api import Locator, Page

# What takes long is computed beside the page's thread: it is waited for.
PICTURE = """async root => {
    const end = performance.now() + 30_000;
    while (root.hasAttribute("aria-busy") && performance.now() < end) await new Promise(done => setTimeout(done, 20));
    return [...root.querySelectorAll(".im-ex-plot")].map(plot => [
        ...[...plot.querySelectorAll("svg")].map(svg => svg.outerHTML),
        ...[...plot.querySelectorAll("canvas")].map(canvas => canvas.toDataURL()),
    ].join("")).join("|");
}"""

# A redraw may wait for the next frame: two frames and a task later it is on the screen.
SET = """async (input, value) => {
    input.value = value;
    input.dispatchEvent(new Event("input", {bubbles: true}));
    input.dispatchEvent(new Event("change", {bubbles: true}));
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
}"""

# In one frame, from the explorer's own callback on: until its script is done, until it is painted.
TIME = """async (input, steps) => {
    const low = Number(input.min), high = Number(input.max), took = [];
    for (let k = 1; k <= steps; k++) {
        await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
        let before, drawn;
        requestAnimationFrame(() => { before = performance.now(); });
        const start = performance.now();
        input.value = low + (high - low) * ((k * 0.618034) % 1);
        input.dispatchEvent(new Event("input", {bubbles: true}));
        const sync = performance.now() - start;
        await new Promise(done => requestAnimationFrame(() => { drawn = performance.now(); setTimeout(done); }));
        took.push([sync + drawn - before, sync + performance.now() - before]);
    }
    return took;
}"""


@dataclass(frozen=True)
class Times:
    """Of many redraws: milliseconds of script, and with the style, layout and paint that follow."""

    script: list[float]
    frame: list[float]

    def __str__(self) -> str:
        def at(values, share):
            return sorted(values)[int(share * (len(values) - 1))]

        return " ".join(
            f"{name} {at(values, 0.5):.1f} ms (95 %: {at(values, 0.95):.1f})"
            for name, values in (("script", self.script), ("painted", self.frame))
        )


def picture(root: Locator) -> str:
    """Everything drawn in the explorer's plots; equal strings are equal pictures."""
    # Plot counts its clips from one drawing to the next: the same picture under other names.
    return re.sub(r"\bplot-[\w-]*", "plot", root.evaluate(PICTURE))


def past_the_question(root: Locator) -> None:
    """Skip the question before the controls, if it asks one."""
    skip = root.locator("[data-im-skip]")
    if skip.is_visible():
        skip.click()


def sliders(root: Locator) -> list[Locator]:
    return root.locator("[data-im-control] input[type=range]").all()


def choices(root: Locator) -> list[Locator]:
    return root.locator("[data-im-control] input[type=radio]").all()


def values(root: Locator) -> list[str]:
    """What stands beside the sliders."""
    return root.locator("[data-im-value]").evaluate_all("all => all.map(e => e.value)")


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


def time_of(slider: Locator, steps: int = 10) -> Times:
    """How long a redraw takes, over ``steps`` settings spread over the slider's range."""
    took = slider.evaluate(TIME, steps)
    return Times([script for script, _ in took], [frame for _, frame in took])
