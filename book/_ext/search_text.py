"""What the search page searches: the text of every page by section, the symbols of the notation page, and the claims.

It is a script, not a file that the page fetches, so that it also works from the disk, where a page may fetch
nothing; and it holds formulas as one sees them, so that a symbol can be found.  `book/_static/search.js` reads it.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from pathlib import Path

from sphinx.search.en import SearchEnglish

from book_model import Chapter, book_of, is_chapter

FILE = "search-text.js"
SYMBOLS = "book/notation"
LEFT_OUT = {"book/word-index"}  # words of other pages
# said twice or not meant to be read: MathML beside the drawn formula, scripts, drawings, signs beside headings
DROP = re.compile(
    r'<math\b.*?</math>|<script\b.*?</script>|<style\b.*?</style>|<svg\b.*?</svg>|<button\b.*?</button>'
    r'|<a class="(?:headerlink|im-api-source)".*?</a>|<span class="section-number">.*?</span>'
    r'|<noscript\b.*?</noscript>|<!--.*?-->',
    re.S,
)
# a chapter's code and what it prints: a third of the index, and a name in it is found on the library's page
CODE = re.compile(r"<pre\b.*?</pre>", re.S)
TOKEN = re.compile(r"<(/?)([a-z][a-z0-9]*)\b([^>]*)>|([^<]+)")
BLOCK = {"p", "li", "dd", "dt", "div", "section", "td", "th", "tr", "pre", "h1", "h2", "h3", "h4", "figcaption",
         "summary", "details", "aside", "ul", "ol", "dl", "table", "br", "label"}  # fmt: skip
IDENTIFIER = re.compile(r'\bid="([^"]+)"')
CELL = r"\s*<td\b[^>]*>(.*?)</td>"
ROW = re.compile(rf"<tr\b[^>]*>{CELL}{CELL}(?:{CELL})?", re.S)


def words(text: str) -> str:
    """Text as one reads it: one space between words, none of KaTeX's invisible ones."""
    return re.sub(r"\s+", " ", html.unescape(text).replace("\u200b", "").replace("\u2061", "")).strip()


def article(page: str) -> str:
    """The part of a built page that a reader came for."""
    for start, end in (('<article class="bd-article"', "</article>"), ("<main", "</main>")):
        if start in page:
            at = page.index(start)
            return DROP.sub(" ", page[at : page.index(end, at)])
    return ""


def sections(page: str) -> list[list[str]]:
    """[anchor, title, text] of each section of a built page, and of each entry that has an anchor (`dt`)."""
    found: list[list[str]] = [["", "", ""]]
    anchor, opened = "", ""  # where the section begins; the heading that is open
    for closing, tag, attributes, text in TOKEN.findall(article(page)):
        if text:
            found[-1][1 if opened else 2] += text
        elif tag in BLOCK:
            identifier = IDENTIFIER.search(attributes)
            if tag == "section" and not closing:
                anchor = identifier[1] if identifier else ""
            if tag in ("h1", "h2", "h3", "h4") or (tag == "dt" and (identifier or opened == "dt")):
                if not closing:
                    found.append([identifier[1] if tag == "dt" else anchor, "", ""])
                opened = "" if closing else tag
            if not opened:
                found[-1][2] += " "
    cut = [[html.unescape(anchor), words(title), words(text)] for anchor, title, text in found]
    return [section for section in cut if section[1] or section[2]]


def symbols(page: str) -> list[list[str]]:
    """[anchor, section, symbol as HTML, as text, meaning as HTML, as text, name in code] of each row."""
    found = []
    for part in re.split(r'(?=<section id=")', page):
        identifier, heading = re.match(r'<section id="([^"]+)"', part), re.search(r"<h2\b[^>]*>(.*?)<a", part, re.S)
        if not (identifier and heading):
            continue
        title = words(re.sub(r"<[^>]+>", "", heading[1]))
        for symbol, meaning, code in ROW.findall(part):
            parted = [DROP.sub("", cell).replace("\u200b", " ") for cell in (symbol, meaning, code)]
            as_text = [words(re.sub(r"<[^>]+>", "", cell)) for cell in parted]
            as_html = [re.sub(r"</?p\b[^>]*>", "", cell).strip() for cell in (symbol, meaning)]
            found.append([identifier[1], title, as_html[0], as_text[0], as_html[1], as_text[1], as_text[2]])
    return found


def claims(chapter: Chapter) -> list[list[str]]:
    """[id, statement] of each claim of a chapter, in the order of their numbers."""
    first = {claim.id: claim.statement for claim in reversed(chapter.claims)}
    return sorted(([name, words(said)] for name, said in first.items()), key=lambda row: int(row[0].rsplit("/C", 1)[1]))


def language() -> str:
    """Sphinx's stemmer and its words too common to search for, as JavaScript."""
    english = SearchEnglish({})
    return f"{english.js_stemmer_code}\nconst stopwords = {json.dumps(sorted(english.stopwords))};\n"


def write(app, error) -> None:
    """build-finished: the text of every page; and an address for it that changes with it."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    pages = []
    for docname in sorted(app.env.found_docs):
        path = out / f"{docname}.html"
        if path.is_file() and docname not in LEFT_OUT:
            page = path.read_text(encoding="utf-8")
            if is_chapter(docname):
                page = CODE.sub(" ", page)
            pages.append({"page": docname, "title": app.env.titles[docname].astext(), "sections": sections(page)})
            if docname == SYMBOLS:
                pages[-1]["symbols"] = symbols(page)
            if is_chapter(docname):
                pages[-1]["claims"] = claims(book_of(app).chapter(docname))
    text = language() + f"const SEARCH_TEXT = {json.dumps(pages, ensure_ascii=False, separators=(',', ':'))};\n"
    target = out / "_static" / FILE
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")
    search = out / "search.html"
    if search.is_file():
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        page = search.read_text(encoding="utf-8")
        search.write_text(re.sub(rf"{re.escape(FILE)}(\?v=\w+)?", f"{FILE}?v={digest}", page), encoding="utf-8")


def without_index(app) -> None:
    """builder-inited: Sphinx's own index, in which no symbol can be found, is not made."""
    if app.builder.format == "html":
        app.builder.search = False


def search_page(app):
    """html-collect-pages: the search page, which Sphinx makes only with its index."""
    yield "search", {}, "search.html"


def setup(app):
    app.connect("builder-inited", without_index)
    app.connect("html-collect-pages", search_page)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
