"""Every link of the built book leads somewhere: file, anchor, image, style, script, font."""

import html
import json
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from conftest import CHAPTERS, ROOT

LOADED = {("img", "src"), ("script", "src"), ("source", "src"), ("iframe", "src"), ("video", "src"), ("embed", "src")}
# Links that a browser follows by itself. The others (canonical, edit, licence) wait for a click.
FOLLOWED = {"stylesheet", "icon", "shortcut", "preload", "modulepreload", "preconnect", "dns-prefetch", "prefetch"}


class Page(HTMLParser):
    """The links, what is loaded, and the anchors of one page."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.loads, self.anchors, self.twice = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = {name: value or "" for name, value in attributes}
        anchor = values.get("id")
        if anchor:
            (self.twice.append if anchor in self.anchors else self.anchors.add)(anchor)
        if tag == "a":
            self.anchors.add(values.get("name", ""))
            if "href" in values:
                self.links.append(values["href"])
        elif tag == "link" and FOLLOWED & set(values.get("rel", "").split()):
            self.loads.append(values.get("href", ""))
        for name, value in values.items():
            if (tag, name) in LOADED:
                self.loads.append(value)
            elif name == "srcset":
                self.loads += [part.split()[0] for part in value.split(",")]
            elif name == "style":
                self.loads += css_urls(value)


def css_urls(text: str) -> list[str]:
    return [m.group(2) for m in re.finditer(r"url\(\s*(['\"]?)(.*?)\1\s*\)", text)]


def html_files(book: Path) -> list[Path]:
    return [p for p in sorted(book.rglob("*.html")) if "_static" not in p.relative_to(book).parts]


@cache
def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def outside(address: str) -> bool:
    return bool(urlsplit(address).scheme or address.startswith("//"))


def broken(source: Path, address: str) -> str | None:
    """What is wrong with a link inside the book, if anything."""
    parts = urlsplit(address)
    target = (source.parent / unquote(parts.path)).resolve() if parts.path else source
    if target.is_dir():
        return "leads to a folder, which has no page on the disk"
    if not target.is_file():
        return "no such file"
    anchor = unquote(parts.fragment)
    if anchor and target.suffix == ".html" and anchor not in read(target).anchors:
        return f"no anchor {anchor!r}"
    return None


def test_links_lead_somewhere(book):
    found = []
    for path in html_files(book):
        for address in read(path).links:
            if not outside(address) and (fault := broken(path, address)):
                found.append(f"{path.relative_to(book)}: {address!r}: {fault}")
    assert not found, "\n".join(found)


def test_what_pages_load_is_here(book):
    found = []
    for path in html_files(book):
        for address in read(path).loads:
            if address.startswith("data:"):
                continue
            fault = "from elsewhere" if outside(address) else broken(path, address)
            if fault:
                found.append(f"{path.relative_to(book)}: {address!r}: {fault}")
    assert not found, "\n".join(found)


def test_what_styles_load_is_here(book):
    found = []
    for path in sorted(book.rglob("*.css")):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.S)
        addresses = css_urls(text) + re.findall(r"@import\s+['\"]([^'\"]+)", text)
        for address in addresses:
            if address.startswith(("data:", "#")):
                continue
            fault = "from elsewhere" if outside(address) else broken(path, address)
            if fault:
                found.append(f"{path.relative_to(book)}: {address!r}: {fault}")
    assert not found, "\n".join(found)


def test_anchors_are_unique(book):
    twice = {str(p.relative_to(book)): read(p).twice for p in html_files(book)}
    assert not {name: ids for name, ids in twice.items() if ids}


def test_links_to_the_outside_use_https(book):
    plain = {a for p in html_files(book) for a in read(p).links if a.startswith(("http:", "//"))}
    assert not plain


def test_downloaded_notebooks_lead_back_to_the_pages(book):
    """Their links are those of the published book, and what they call Theorem 1.2 is that on its page."""
    base = yaml.safe_load((ROOT / "_config.yml").read_text())["html"]["baseurl"]
    found, numbered = [], 0
    for name in CHAPTERS:
        twin = json.loads((book / name).with_suffix(".ipynb").read_text(encoding="utf-8"))
        text = "\n".join("".join(cell["source"]) for cell in twin["cells"] if cell["cell_type"] == "markdown")
        for words, address in set(re.findall(rf"\[([^][]*)\]\({re.escape(base)}([^)\s]*)\)", text)):
            fault = broken(book / "index.html", address or "index.html")
            number = re.fullmatch(r"\([\d.]+\)|(?:Theorem|Lemma|Proposition|Exercise|Fig\.) [\d.]+", words)
            if number and not fault:
                page, anchor = address.split("#")
                rest = (book / page).read_text(encoding="utf-8").split(f'id="{html.escape(anchor)}"', 1)[1]
                called = re.search(r'(?:caption-number">|im-eqno">)([^<]+)', rest)[1].strip()
                fault, numbered = None if called == words else f"the page calls it {called}", numbered + 1
            if fault:
                found.append(f"{name}: [{words}]({address}): {fault}")
    assert not found, "\n".join(found)
    assert numbered > 50


def test_the_crawl_sees_faults(tmp_path):
    (tmp_path / "a.html").write_text('<p id="here"><a href="b.html#gone"></a><a href="#here"></a>')
    (tmp_path / "b.html").write_text('<a href="c.html"></a><img src="//cdn.org/x.png"><p id=x></p><p id=x></p>')
    a, b = read(tmp_path / "a.html"), read(tmp_path / "b.html")
    assert [broken(tmp_path / "a.html", link) for link in a.links] == ["no anchor 'gone'", None]
    assert broken(tmp_path / "b.html", b.links[0]) == "no such file"
    assert outside(b.loads[0]) and b.twice == ["x"]
