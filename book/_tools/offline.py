"""The book for a place without a network: the site as one zip, and a PDF of each chapter.

    python book/_tools/offline.py [SLUG ...]

Reads what `make book` built, and writes `_build/offline/implicitly.zip` and `_build/offline/pdf/SLUG.pdf`; with slugs
the PDFs of these chapters alone.  Chromium prints the pages as a browser without scripts shows them, explorers as their
still pictures.  It is told that they come from the published address, so that links in a PDF lead there and not to a
file of this machine; what it asks for is answered from the disk, and nothing else is.
"""

import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import yaml
from playwright.sync_api import BrowserContext, Route, sync_playwright

from build import listed
from ensure_chromium import find
from paths import ROOT

HTML, OUT = ROOT / "_build/html", ROOT / "_build/offline"
NAME = "implicitly"  # of the zip, and of the one folder in it
NEVER = (1980, 1, 1, 0, 0, 0)  # the first date that a zip can hold: the same pages give the same file
FOOT = """<p style="width: 100%; margin: 0; text-align: center; font: 8pt sans-serif; color: #4f4c59">
<span class="pageNumber"></span></p>"""


def address(root: Path = ROOT) -> str:
    """Where the book is published."""
    return yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["html"]["baseurl"]


def pack(site: Path, target: Path) -> None:
    """The site as one zip: unpacked, its index.html opens from the disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(path for path in site.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(f"{NAME}/{path.relative_to(site).as_posix()}", NEVER)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, path.read_bytes())


@contextmanager
def printer(site: Path, base: str, chromium: str) -> Iterator[BrowserContext]:
    """A browser without scripts, to which the folder `site` is the address `base`, and there is nothing else."""

    def answer(route: Route) -> None:
        url = route.request.url.split("#")[0].split("?")[0]
        path = site / unquote(url.removeprefix(base))
        if url.startswith(base) and path.is_file():
            route.fulfill(path=path)
        else:
            route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(java_script_enabled=False, color_scheme="light", service_workers="block")
        context.set_default_timeout(240_000)
        context.route("**/*", answer)
        yield context
        browser.close()


def print_page(context: BrowserContext, url: str, target: Path) -> None:
    """The page at `url` as a PDF with its headings as bookmarks.  Raises RuntimeError if a part of it does not load."""
    page, lost = context.new_page(), []
    page.on("requestfailed", lambda request: lost.append(request.url))
    page.goto(url, wait_until="load")
    target.parent.mkdir(parents=True, exist_ok=True)
    page.pdf(path=target, prefer_css_page_size=True, print_background=True, display_header_footer=True,
             header_template="<p></p>", footer_template=FOOT, tagged=True, outline=True)  # fmt: skip
    page.close()
    if lost:
        target.unlink()
        raise RuntimeError(f"{url} asks for what is not there: {', '.join(lost)}")


def main(chosen: list[str]) -> int:
    slugs = listed(ROOT)
    if unknown := set(chosen) - set(slugs):
        print(f"no chapter of _toc.yml: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 1
    if not chosen:
        pack(HTML, OUT / f"{NAME}.zip")
        print(f"{OUT / NAME}.zip, {(OUT / f'{NAME}.zip').stat().st_size / 1e6:.1f} MB", flush=True)
    base = address()
    with printer(HTML, base, find() or sys.exit("no Chromium: `make chromium` installs it")) as context:
        for slug in chosen or slugs:
            target = OUT / f"pdf/{slug}.pdf"
            print_page(context, f"{base}chapters/{slug}.html", target)
            print(f"{target}, {target.stat().st_size / 1e6:.1f} MB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
