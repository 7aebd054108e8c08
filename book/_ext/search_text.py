"""What the search page searches: every page by section and theorem, the symbols of the notation page, and the claims.

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
LISTS = {("book/claims", "what-rests-on-what"), ("book/claims", "every-check")}  # each theorem is found in its chapter
LIBRARY = "book/library"
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
CLAIM = re.compile(r"[a-z0-9-]+/C\d+")
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
    """[anchor, title, text] of each section of a built page, each claim's box, and each entry with an anchor (`dt`)."""
    found: list[list[str]] = [["", "", ""]]
    into = found[0]  # what is read now; after a box it is again the section around it
    anchor, opened = "", ""  # where the section begins; the heading that is open
    around, depth, title_of_box = found[0], 0, False  # depth: how many <div> of a claim's box are open
    for closing, tag, attributes, text in TOKEN.findall(article(page)):
        if text:
            into[1 if opened or title_of_box else 2] += text
            continue
        identifier = IDENTIFIER.search(attributes)
        if tag == "div" and depth:
            depth += -1 if closing else 1
            if not depth:
                into = around
        elif tag == "div" and identifier and CLAIM.fullmatch(identifier[1]):
            around, depth, into = into, 1, [identifier[1], "", ""]
            found.append(into)
        elif tag == "p" and depth:
            title_of_box = not closing and "admonition-title" in attributes and not into[1]
        if tag in BLOCK:
            if tag == "section" and not closing:
                anchor = anchor if depth else identifier[1] if identifier else ""
            if not depth and (tag in ("h1", "h2", "h3", "h4") or (tag == "dt" and (identifier or opened == "dt"))):
                if not closing:
                    into = [identifier[1] if tag == "dt" else anchor, "", ""]
                    found.append(into)
                opened = "" if closing else tag
            if not (opened or title_of_box):
                into[2] += " "
    cut = [[html.unescape(anchor), words(title), words(text)] for anchor, title, text in found]
    return [section for section in cut if section[1] or section[2]]


def by_name(found: list[list[str]]) -> list[list[str]]:
    """The sections of the library's page: titled by the name alone, which its module or one line about it follows."""
    parted = ((anchor, title.partition(" "), text) for anchor, title, text in found)
    return [[anchor, name, f"{rest} {text}".strip()] if "." in anchor else [anchor, f"{name} {rest}".strip(), text]
            for anchor, (name, _, rest), text in parted]  # fmt: skip


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
            found = [[at, title, "" if (docname, at) in LISTS else text] for at, title, text in sections(page)]
            found = by_name(found) if docname == LIBRARY else found
            pages.append({"page": docname, "title": app.env.titles[docname].astext(), "sections": found})
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
