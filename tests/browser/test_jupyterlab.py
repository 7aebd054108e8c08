"""A chapter in JupyterLab: it runs from top to bottom, and its explorer answers through the kernel."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import nbformat
import pytest
from conftest import EXPLORER, ROOT
from explorers import choices, control, past_the_question, picture, set_to, sliders
from playwright.sync_api import expect

#: An explorer whose kernel takes its time between two values of the table.
SLOW = """import time
from implicitly import Explorer, Lines, Slider
def compute(a):
    time.sleep(60 if a == 1.5 else 0)
    return {"t": [0.0, 1.0], "y": [0.0, a**2]}
Explorer(compute, [Slider("a", [1.0, 2.0, 4.0])], Lines("t", "y"), title="Squares", alt="A line.")"""

#: A chapter that opens with a page function on data that are drawn; its cells up to there are a notebook.
NEW_DATA = "random-orderings.ipynb"

READY, RUN = 60, 300  # seconds: for the server, and for all cells of one chapter on a busy machine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(path: Path, settings: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings))


@contextlib.contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """The address of a JupyterLab on a copy of ``chapters/``, with settings of its own."""
    shutil.copytree(ROOT / "chapters", folder / "chapters")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    slow = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SLOW)], metadata=kernel)
    nbformat.write(slow, folder / "chapters/slow.ipynb")
    opening = nbformat.read(ROOT / "chapters" / NEW_DATA, 4)
    last = next(k for k, cell in enumerate(opening.cells) if "explorer" in str(cell.get("outputs")))
    opening.cells = [c for c in opening.cells[: last + 1] if c.cell_type == "code"]
    nbformat.write(opening, folder / "chapters/opening.ipynb")
    # Whole notebooks in the page, so that every cell's outcome can be read; no news from the net.
    tracker = "settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    write(folder / tracker, {"windowingMode": "none"})
    news = {"@jupyterlab/apputils-extension:announcements": True}
    write(folder / "config/labconfig/page_config.json", {"disabledExtensions": news})
    port = free_port()
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", f"--port={port}", "--ServerApp.port_retries=0"]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder / 'chapters'}"]
    # Root may be who runs the tests, in a container.
    command += ["--allow-root"]
    environment = os.environ | {
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        "OMP_NUM_THREADS": "1",  # as chapters run elsewhere: threads that wait for a busy core stall them
    }
    log = (folder / "log").open("w+")
    server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(READY * 5):
            if server.poll() is not None:
                pytest.fail(f"JupyterLab ended at once:\n{(folder / 'log').read_text()[-3000:]}")
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"{address}api/status", timeout=2).close()
                break
            time.sleep(0.2)
        else:
            pytest.fail(f"JupyterLab did not answer in {READY} s:\n{(folder / 'log').read_text()[-3000:]}")
        yield address
    finally:
        server.send_signal(signal.SIGTERM)  # it ends its kernels first
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[str]:
    with jupyterlab(tmp_path_factory.mktemp("lab")) as address:
        yield address


CELLS = """() => [...document.querySelectorAll(".jp-Notebook .jp-CodeCell")].map(cell => ({
    prompt: cell.querySelector(".jp-InputPrompt").innerText.trim(),
    source: cell.querySelector(".cm-content")?.innerText.trim().slice(0, 60),
    error: cell.querySelector("[data-mime-type='application/vnd.jupyter.error']")?.innerText,
    stderr: cell.querySelector("[data-mime-type='application/vnd.jupyter.stderr']")?.innerText,
}))"""


# One chapter stands for all: every notebook is run cell by cell under nbval; what is tested here is that
# JupyterLab runs one in order and that a live explorer reaches the kernel.
@pytest.mark.parametrize("chapter", ["optimal-regularization"])
def test_a_chapter_runs_and_its_explorer_asks_the_kernel(lab, browser, measured, chapter):
    name = f"{chapter}.ipynb"
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        asked = what_is_asked(page)
        open_notebook(page, lab, name)

        # Clear what is stored, so that what is seen below was computed here.
        menu(page, "Edit", "Clear Outputs of All Cells")
        page.wait_for_function("!document.querySelector('.jp-Notebook .jp-OutputArea-output')")
        start = time.perf_counter()
        menu(page, "Run", "Run All Cells")
        page.wait_for_function(
            f"() => {{ const cells = ({CELLS})(); return cells.some(c => c.error) || "
            "cells.every(c => !c.source || /^\\[\\d+\\]:$/.test(c.prompt)); }",
            timeout=RUN * 1000,
        )
        cells = page.evaluate(CELLS)
        assert not [c for c in cells if c["error"] or c["stderr"]]
        assert cells and all(c["prompt"] for c in cells if c["source"])
        measured(f"JupyterLab ran {len(cells)} cells in {time.perf_counter() - start:.1f} s  {name}")

        explorers = page.locator(f".jp-OutputArea {EXPLORER}")
        explorers.first.wait_for(timeout=20_000)
        answered = set()
        for root in explorers.all():
            root.scroll_into_view_if_needed()
            past_the_question(root)
            if answers_through_the_kernel(page, root, asked, measured):
                answered.add(root.get_attribute("data-im-explorer"))
        assert answered == that_ask(ROOT / "chapters" / name) != set()
        keeps_its_keys(page, explorers.first)


def test_a_kernel_that_is_interrupted_or_restarted_is_told(lab, browser):
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        open_notebook(page, lab, "slow.ipynb")
        menu(page, "Run", "Run All Cells")
        root = page.locator(f".jp-OutputArea {EXPLORER}")
        expect(root).to_have_attribute("data-im-ready", "live", timeout=READY * 1000)
        (slider,), message = sliders(root), root.locator("[data-im-message]")

        set_to(slider, 0.25)  # a = 1.5
        expect(root).to_have_attribute("aria-busy", "true")
        page.wait_for_timeout(1000)  # it is computing
        menu(page, "Kernel", "Interrupt Kernel")
        expect(message).to_contain_text("It was interrupted.", timeout=20_000)
        expect(root).not_to_have_attribute("aria-busy", "true")
        before = picture(root)
        set_to(slider, 0.75)
        expect(message).to_be_hidden(timeout=20_000)
        assert picture(root) != before

        menu(page, "Kernel", "Restart Kernel…")
        page.locator(".jp-Dialog .jp-mod-accept").click()
        expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=READY * 1000)
        before = picture(root)
        set_to(slider, 0.4)
        expect(message).to_have_text("The kernel does not answer: showing the stored table.", timeout=20_000)
        assert picture(root) != before


def test_new_data_is_computed_by_the_kernel_and_is_that_of_the_page(lab, browser, sites, measured):
    """A page function in JupyterLab: numba computes it there, and its numbers are those of the chapter's page."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        static = context.new_page()
        static.goto(f"{sites['file']}chapters/{Path(NEW_DATA).stem}.html")
        written = static.locator(EXPLORER).first
        expect(written).to_have_attribute("data-im-ready", "static", timeout=READY * 1000)
        past_the_question(written)

        page = context.new_page()
        asked = what_is_asked(page)
        open_notebook(page, lab, "opening.ipynb")
        menu(page, "Run", "Run All Cells")
        live = page.locator(f".jp-OutputArea {EXPLORER}")
        expect(live).to_have_attribute("data-im-ready", "live", timeout=READY * 1000)
        past_the_question(live)
        expect(live.locator("[data-im-origin]")).to_have_text("")
        expect(written.locator("[data-im-origin]")).to_have_text("computed in this page")

        for root in (live, written):  # in the order of their angle there is nothing to draw
            next(c for c in choices(root) if control(c) == "order" and not c.is_checked()).check(force=True)
        expect(live).to_have_attribute("data-im-answers", "1", timeout=20_000)
        seed, pictures, summaries = settings_of(live)["seed"], {picture(live)}, set()
        for k in range(1, 4):
            start, before = time.perf_counter(), live.get_attribute("data-im-answers") or ""
            live.locator("[data-im-new]").click()
            past_the_question(live)
            expect(live).not_to_have_attribute("data-im-answers", before, timeout=20_000)
            expect(live).not_to_have_attribute("aria-busy", "true", timeout=20_000)
            measured(f"new data in JupyterLab: drawn after {1000 * (time.perf_counter() - start):.0f} ms")
            written.locator("[data-im-new]").click()
            past_the_question(written)
            assert [settings_of(live)["seed"], settings_of(written)["seed"]] == [str(int(seed) + k)] * 2
            assert json.loads(asked[-1])["seed"] == int(seed) + k
            pictures.add(picture(live))
            found, wanted = numbers_of(live), numbers_of(written)
            assert [len(t) for t in found] == [len(t) for t in wanted]
            assert all(a == pytest.approx(b, rel=1e-6, abs=1e-12) for a, b in zip(found, wanted, strict=True))
            summaries.add(live.locator("[data-im-summary]").inner_text())
            expect(written.locator("[data-im-summary]")).to_have_text(live.locator("[data-im-summary]").inner_text())
        assert len(pictures) == 4 and len(summaries) == 3
        static.close()


def what_is_asked(page) -> list[str]:
    """What explorers send to the kernel, as they send it."""
    asked = []

    def on_frame(payload):
        text = payload if isinstance(payload, str) else bytes(payload).decode("utf-8", "ignore")
        asked.extend(re.findall(r'"kind":\s*"compute".*?"params":\s*(\{.*?\})', text))

    page.on("websocket", lambda socket: socket.on("framesent", on_frame))
    return asked


def settings_of(root) -> dict[str, str]:
    """The settings of an explorer."""
    return dict(parse_qsl(root.get_attribute("data-im-state")))


def numbers_of(root) -> list[list[float]]:
    """What the explorer's tables show, a list for each; a gap is left out."""
    fold = root.locator("[data-im-numbers]")
    if fold.get_attribute("open") is None:
        fold.locator("summary").click()
    root.page.wait_for_timeout(700)  # it follows the picture when that rests
    read = "all => all.slice(1).map(t => [...t.tBodies[0].rows].flatMap(r => [...r.cells].map(c => c.textContent)))"
    return [[float(v) for v in table if v] for table in fold.locator("table").evaluate_all(read)]


def open_notebook(page, lab: str, name: str) -> None:
    """In a workspace of its own: another test's notebook, restored beside it, would take the menu's commands."""
    page.goto(f"{lab}lab/workspaces/{Path(name).stem}/tree/{name}")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=READY * 1000)
    expect(page.locator(".jp-NotebookPanel")).to_have_count(1)
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=READY * 1000)


def menu(page, title: str, item: str) -> None:
    page.locator(".lm-MenuBar-item", has_text=title).first.click()
    page.locator(".lm-Menu-item", has_text=item).first.click()


def keeps_its_keys(page, root) -> None:
    """Arrow keys turn a focused slider; JupyterLab has shortcuts on them that go to another cell."""
    slider = next(s for s in sliders(root) if s.is_enabled())
    set_to(slider, 0.5)
    slider.click(position={"x": 0.3 * slider.bounding_box()["width"], "y": slider.bounding_box()["height"] / 2})
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "ArrowDown", "ArrowLeft"):
        before = float(slider.input_value())
        page.keyboard.press(key)
        page.wait_for_timeout(200)  # the shortcut takes the focus a moment later
        expect(slider).to_be_focused()
        turned = float(slider.input_value()) - before
        assert turned > 0 if key in ("ArrowRight", "ArrowUp") else turned < 0, f"{key} turned the slider by {turned}"


def that_ask(notebook: Path) -> set[str]:
    """Names of the explorers with a slider that goes along no axis of their arrays: only the kernel can answer it."""
    outputs = [o for cell in nbformat.read(notebook, 4).cells for o in cell.get("outputs", [])]
    specs = [o.get("metadata", {}).get("implicitly", {}).get("explorer") for o in outputs]
    return {s["id"] for s in specs if s
            and any(c["kind"] == "slider" and not c["frames"] for c in s["controls"])}  # fmt: skip


def answers_through_the_kernel(page, root, asked, measured) -> bool:
    """Put a slider between two values of the table: the kernel must compute there, and be drawn.

    False if no slider asks.
    """
    expect(root).to_have_attribute("data-im-ready", "live")
    name = root.get_attribute("data-im-explorer")
    turned = [s for s in sliders(root) if s.is_enabled()]
    for slider in turned:
        last, before = float(slider.get_attribute("max")), picture(root)
        answers, already = root.get_attribute("data-im-answers"), len(asked)
        start = time.perf_counter()
        set_to(slider, 0.37 / last if float(slider.input_value()) > 1 else 1 - 0.63 / last)
        position = float(slider.input_value())
        assert position != round(position), "the slider went to a value of the grid"
        for _ in range(40):  # the message to the kernel is on its way within two seconds
            page.wait_for_timeout(50)
            if len(asked) > already:
                break
        else:
            continue
        expect(root).not_to_have_attribute("data-im-answers", answers or "", timeout=20_000)
        expect(root).not_to_have_attribute("aria-busy", "true")
        seconds = time.perf_counter() - start
        expect(root.locator("[data-im-message]")).to_be_hidden()
        assert picture(root) != before, f"{control(slider)}: the kernel answered and the picture did not change"
        measured(f"explorer {name}, {control(slider)}: kernel's answer drawn after {1000 * seconds:.0f} ms")
        return True
    return False
