"""The built book in the system's Chromium.

To open a chapter takes seconds, so tests share what is open.  A page is opened twice: by `visit`, from a server and
as most readers see it, and by `disk_visit`, from the disk, where nothing may be kept and no font comes.  Tests of one
page run one after the other (in one worker: `--dist loadgroup`) and leave it as they found it.
"""

import contextlib
import functools
import http.server
import itertools
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from filelock import FileLock
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

import ensure_chromium

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build/html"
EXPLORER = "[data-im-explorer]"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
NARROWEST = {"width": 320, "height": 640}

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    # Chromium's own calls home; what a page asks for is recorded by the tests.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def pytest_collection_modifyitems(items):
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.browser)
    items[:] = [item for item in items if item not in ours] + sorted(ours, key=turn)


def page_of(item) -> str | None:
    """The page that a test shares with others."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return parameters.get("visit") or parameters.get("disk_visit")


def turn(item) -> tuple:
    """Tests of one page together, those that spoil it last; what takes longest, JupyterLab and the chapters, first."""
    name = page_of(item)
    if item.path.stem == "test_jupyterlab":
        return (False, -1, False)
    place = (PAGES + BY_SPHINX).index(name) if name else -1
    spoils = item.get_closest_marker("spoils_the_page") is not None
    return (name not in CHAPTERS, place, spoils) if name else (True, place, spoils)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    item.failed = getattr(item, "failed", False) or report.failed
    return report


@pytest.fixture
def measured(record_property):
    """A function for what is measured and not asserted: its lines are printed at the end of the run."""
    return functools.partial(record_property, "measured")


def pytest_terminal_summary(terminalreporter):
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    lines = [line for r in reports if r.when == "call" for name, line in r.user_properties if name == "measured"]
    if lines:
        terminalreporter.section("measured in the browser")
        for line in lines:
            terminalreporter.write_line(line)


# The book -----------------------------------------------------------------------------------------


def page_names() -> list[str]:
    """Every page of ``_toc.yml``, in its order: ``chapters/score-flow.html``."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    chapters = [c for part in toc.get("parts", [toc]) for c in part.get("chapters", [])]
    return [f"{name}.html" for name in [toc["root"], *(c["file"] for c in chapters)]]


PAGES = page_names()
CHAPTERS = [name for name in PAGES if name.startswith("chapters/")]
BY_SPHINX = ["search.html"]  # made beside the pages that we write


def newest(*paths: Path) -> float:
    files = [f for path in paths for f in ([path] if path.is_file() else path.rglob("*"))]
    return max((f.stat().st_mtime for f in files if "__pycache__" not in f.parts), default=0.0)


@pytest.fixture(scope="session")
def book() -> Path:
    """The folder of the built book, built again when a source is newer than it."""
    made_from = ("book", "chapters", "kernels", "_config.yml", "_toc.yml", "lib/implicitly/explorer")
    sources = [ROOT / name for name in made_from]
    HTML.parent.mkdir(exist_ok=True)
    with FileLock(HTML.parent / "tests.lock"):  # one of several workers builds, the others wait
        if not (HTML / "index.html").exists() or newest(*sources) > newest(HTML):
            done = subprocess.run(["make", "book"], cwd=ROOT, capture_output=True, text=True)
            if done.returncode:
                pytest.fail(f"`make book` failed:\n{(done.stdout + done.stderr)[-4000:]}", pytrace=False)
    return HTML


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Say nothing: failed requests are recorded in the browser."""


@contextlib.contextmanager
def serve(folder: Path, handler: type[QuietHandler] = QuietHandler) -> Iterator[str]:
    """The address under which ``folder`` is served on a free port."""
    handler = functools.partial(handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def sites(book) -> Iterator[dict[str, str]]:
    """The address of the book's folder, from the disk and from a server."""
    with serve(book) as address:
        yield {"file": f"{book.as_uri()}/", "http": address}


# The browser --------------------------------------------------------------------------------------


def chromium() -> str:
    """The path of Chromium or Chrome; the tests fail, and do not skip, where there is none."""
    return ensure_chromium.find() or pytest.fail(
        "The browser tests need Chromium or Chrome and found none. `make chromium` installs it; "
        "CHROME=/path/to/chrome names one that has another name.",
        pytrace=False,
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


# A test reads what is there, not what fades from one theme to the other.
STILL = """
    const still = new CSSStyleSheet();
    still.replaceSync("* { transition: none !important }");
    document.adoptedStyleSheets = [still];
"""
# Layout that moves while the page loads is only seen by an observer that is there from the start.
SHIFTS = """
    window.imShifts = [];
    new PerformanceObserver(list => list.getEntries().forEach(entry => window.imShifts.push({
        value: entry.value,
        nodes: entry.sources.map(s => s.node && (s.node.outerHTML || s.node.textContent).slice(0, 90)),
    }))).observe({type: "layout-shift", buffered: true});
"""
PATIENCE = 240_000  # milliseconds: a busy machine is no fault of a page


def prepare(context: BrowserContext) -> BrowserContext:
    context.set_default_navigation_timeout(PATIENCE)
    context.set_default_timeout(PATIENCE)
    context.add_init_script(STILL)
    context.add_init_script(SHIFTS)
    return context


@pytest.fixture(scope="session")
def context(browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport=DESK) as context:
        yield prepare(context)


@pytest.fixture(scope="session")
def scriptless(browser) -> Iterator[Page]:
    """A page where no script runs: what it shows is what was built."""
    with browser.new_context(viewport=DESK, java_script_enabled=False) as context:
        yield context.new_page()


@pytest.fixture(scope="session")
def forgetful(browser, tmp_path_factory) -> Iterator[BrowserContext]:
    """A context in which Chromium itself refuses cookies and storage, as its settings offer."""
    profile = tmp_path_factory.mktemp("profile")
    (profile / "Default").mkdir()
    settings = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (profile / "Default/Preferences").write_text(json.dumps(settings))
    context = browser.browser_type.launch_persistent_context(
        str(profile), executable_path=chromium(), args=FLAGS, viewport=DESK
    )
    yield prepare(context)
    context.close()


def refused(page: Page) -> bool:
    """Whether the browser still refuses to keep anything, past the stand-in of the page."""
    return page.evaluate("""() => {
        const frame = document.body.appendChild(document.createElement("iframe"));
        try { return frame.contentWindow.localStorage === null; }
        catch (error) { return error.name === "SecurityError"; }
        finally { frame.remove(); }
    }""")


@dataclass
class Visit:
    """An open page and everything that it asked for or complained of since it was opened."""

    name: str
    page: Page
    requests: list[str] = field(default_factory=list)
    first_view: list[str] = field(default_factory=list)  # of the requests, those before the reader scrolled
    failures: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    shifts: list[dict] = field(default_factory=list)  # of the layout, while the page was opened

    def watch(self) -> None:
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.on("requestfailed", lambda r: self.failures.append(f"{r.failure}: {r.url}"))
        self.page.on("response", lambda r: r.status >= 400 and self.failures.append(f"{r.status}: {r.url}"))
        self.page.on("pageerror", lambda e: self.errors.append(f"exception: {e}"))
        self.page.on("console", lambda m: m.type == "error" and self.errors.append(f"console: {m.text}"))

    def open(self, address: str) -> None:
        """Go there, wait until nothing more is fetched and every explorer is drawn."""
        self.page.bring_to_front()  # the context may hold others
        self.page.goto(address, wait_until="networkidle")
        self.first_view += self.requests
        explorers_drawn(self.page)
        self.shifts += self.page.evaluate("window.imShifts ?? []")

    def at_first(self) -> None:
        """As a reader finds the page: at the top, in light mode, at a desk."""
        if self.page.viewport_size != DESK:
            self.page.set_viewport_size(DESK)
        self.page.emulate_media(media="screen", color_scheme="light", forced_colors="none")
        self.page.evaluate("scrollTo({left: 0, top: 0, behavior: 'instant'})")

    def elsewhere(self, site: str) -> list[str]:
        """Requests that left the site. What the page makes itself (data:, blob:) is not one."""
        made = ("data:", "blob:", "about:")
        return [url for url in self.requests if not url.startswith((site, *made))]


@contextlib.contextmanager
def visiting(context: BrowserContext, address: str) -> Iterator[Visit]:
    """Open ``address``, wait until nothing more is fetched and every explorer is drawn."""
    visit = Visit(urlsplit(address).path.rsplit("/", 1)[-1], context.new_page())
    visit.watch()
    try:
        visit.open(address)
        yield visit
    finally:
        visit.page.close()


class Visits:
    """The page that is open, until another is asked for or a test has failed on it."""

    def __init__(self):
        self.stack, self.name = contextlib.ExitStack(), None

    def __call__(self, context: BrowserContext, site: str, name: str, without: str | None = None) -> Visit:
        if name != self.name:
            self.leave()
            page = context.new_page()
            self.stack.callback(page.close)
            self.visit = Visit(name, page)
            self.visit.watch()
            if without:
                page.route(without, lambda route: route.abort())
            self.visit.open(site + name)
            self.name = name
        return self.visit

    def leave(self) -> None:
        self.name = None
        self.stack.close()


@pytest.fixture(scope="session")
def visits(context, forgetful) -> Iterator[dict[str, Visits]]:  # closed before these two
    found = {"http": Visits(), "file": Visits()}
    yield found
    for opened in found.values():
        opened.leave()


@pytest.fixture(params=[*PAGES, *BY_SPHINX])
def visit(request, visits, context, sites) -> Iterator[Visit]:
    """One visit from a server, shared by the tests of the page."""
    yield from shared(request, visits["http"], context, sites["http"])


@pytest.fixture(params=[*PAGES, *BY_SPHINX])
def disk_visit(request, visits, forgetful, sites) -> Iterator[Visit]:
    """One visit from the disk where nothing may be kept, without fonts."""
    yield from shared(request, visits["file"], forgetful, sites["file"], without="**/*.woff2")


def shared(request, opened: Visits, *where, **how) -> Iterator[Visit]:
    visit = opened(*where, request.param, **how)
    yield visit
    spoilt = request.node.get_closest_marker("spoils_the_page") is not None
    if spoilt or getattr(request.node, "failed", False):
        opened.leave()
    else:
        visit.at_first()


@pytest.fixture(scope="session")
def light_chapter(book) -> str:
    """The smallest page of a chapter with several explorers, for what does not hang on the chapter."""
    several = [name for name in CHAPTERS if (book / name).read_text(encoding="utf-8").count("data-im-explorer=") > 1]
    return min(several, key=lambda name: (book / name).stat().st_size)


READY = """root => root.hasAttribute("data-im-ready")
    && Boolean(root.querySelector(".im-ex-plot svg, .im-ex-plot canvas"))"""


def explorers_drawn(page: Page) -> None:
    """Bring every explorer near, as each begins only then, wait until all are drawn, and go back to the top."""
    at = page.evaluate("[scrollX, scrollY]")
    for root in page.locator(EXPLORER).all():
        end = time.monotonic() + PATIENCE / 1000
        for turn in itertools.count():
            root.evaluate("root => root.scrollIntoView({behavior: 'instant'})")
            if root.evaluate(READY):
                break
            assert time.monotonic() < end, f"{root.get_attribute('data-im-explorer')} was not drawn on {page.url}"
            page.wait_for_timeout(50)
            if turn % 40 == 39:  # a page may be given no frames, without which nothing counts as near: ask for one
                page.bring_to_front()
                page.screenshot(clip={"x": 0, "y": 0, "width": 1, "height": 1})
    page.evaluate("([x, y]) => scrollTo({left: x, top: y, behavior: 'instant'})", at)
