"""The book without a network: the zip opens from the disk, a chapter's PDF is whole and leads to no file."""

import html
import re
import subprocess
import sys
import zipfile
import zlib

import pytest
from conftest import ROOT, chromium, visiting
from playwright.sync_api import expect

import offline


@pytest.fixture(scope="module")
def unpacked(book, tmp_path_factory):
    """The folder that the zip unpacks to, on another place of the disk."""
    folder = tmp_path_factory.mktemp("off line")  # a space, as in many a reader's path
    offline.pack(book, folder / "implicitly.zip")
    with zipfile.ZipFile(folder / "implicitly.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder / offline.NAME


def test_the_same_site_gives_the_same_zip(tmp_path):
    site = tmp_path / "site"
    (site / "a").mkdir(parents=True)
    for name in ("index.html", "a/b.html"):
        (site / name).write_text(name)
    offline.pack(site, tmp_path / "one.zip")
    (site / "index.html").touch()
    offline.pack(site, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == ["implicitly/a/b.html", "implicitly/index.html"]


def test_the_unpacked_site_works_from_the_disk(context, unpacked, light_chapter):
    site = f"{unpacked.as_uri()}/"
    with visiting(context, site + "index.html") as visit:
        page = visit.page
        page.wait_for_url(re.compile(r"book/index\.html"))
        page.locator(".im-cover-links a").first.click()
        page.wait_for_url(re.compile(r"chapters/"))
        page.goto(f"{site}search.html?q=score-flow/C1")
        first = page.locator("#search-results li a").first
        expect(first).to_have_attribute("href", "chapters/score-flow.html#score-flow/C1")
        assert not visit.elsewhere(site) and not visit.failures and not visit.errors
    with visiting(context, site + light_chapter) as visit:  # waits until its explorers are drawn
        assert not visit.elsewhere(site) and not visit.failures and not visit.errors


@pytest.fixture(scope="module")
def printed(book, light_chapter, tmp_path_factory):
    target = tmp_path_factory.mktemp("pdf") / "chapter.pdf"
    # a browser of its own, in a process of its own: two drivers of one kind do not share a thread
    code = ("import sys, offline; from pathlib import Path\n"
            "with offline.printer(Path(sys.argv[1]), offline.address(), sys.argv[4]) as context:\n"
            "    offline.print_page(context, sys.argv[2], Path(sys.argv[3]))\n")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code, book, offline.address() + light_chapter, target, chromium()],
                          cwd=ROOT / "book/_tools", capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return target.read_bytes()


def test_a_pdf_has_the_pages_the_headings_and_the_stills(printed, book, light_chapter):
    page = (book / light_chapter).read_text(encoding="utf-8")
    assert printed.startswith(b"%PDF-") and printed.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", printed)) >= 5
    title = html.unescape(re.search(r"<title>(.*?)</title>", page)[1]).split(".", 1)[1].split("—")[0].strip()
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", printed, re.S)
    assert any(len(zlib.decompressobj().decompress(stream)) > 1000 for stream in streams if stream[:1] == b"\x78")
    wide = title.encode("utf-16-be")
    written = (title.encode(), wide, wide.hex().upper().encode())
    assert any(form in printed for form in written), "no bookmark with the title"
    assert printed.count(b"/Figure") >= page.count("data-im-explorer="), "explorers without a picture"


def test_its_links_lead_to_the_published_book_and_to_nothing_of_this_machine(printed):
    links = {link.decode() for link in re.findall(rb"/URI \(([^)]*)\)", printed)}
    assert any(link.startswith(offline.address()) for link in links)
    assert all(link.startswith("https://") for link in links), links
    assert b"file:" not in printed and str(ROOT).encode() not in printed
