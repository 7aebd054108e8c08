"""The book's look on top of sphinx-book-theme: chapter openers, numbering, buttons, lean output.

What each part does is said at its function.  Nothing here imports the library.
"""

from __future__ import annotations

import functools
import html
import re
from pathlib import Path
from urllib.parse import quote

from docutils import nodes

import css_purge
import landing
import library_page
from book_model import Book, BookError, Chapter, book_of, is_chapter
from katex_math import render_text

HERE = Path(__file__).parent
VIGNETTES = HERE.parent / "_static" / "vignettes"
# `execute.py --strict` fails for a chapter that takes longer, so the page may say it
RUNS_IN = "under 30 s on two cores"
# the branch to which the workflow pushes the plain notebooks: Colab opens them from a repository only
COLAB_BRANCH = "notebooks"


# --- numbering ---------------------------------------------------------------------------------


def number_chapters_by_plan(book: Book) -> None:
    """Give a chapter its number in the plan, whatever chapters have landed before it.

    Sphinx counts the chapters that exist, so that a chapter's theorems would change their numbers
    each time an earlier one lands.  Sections inside a chapter get no numbers.
    Must be called after sphinx_multitoc_numbering is set up.
    """
    try:  # sphinx-external-toc puts a collector of its own in place of Sphinx's
        from sphinx_external_toc.collectors import TocTreeCollectorWithStyles as TocTreeCollector
    except ImportError:
        from sphinx.environment.collectors.toctree import TocTreeCollector

    count = TocTreeCollector.assign_section_numbers
    if getattr(count, "by_plan", False):
        return
    fixed = {chapter.docname: chapter.number for chapter in book.planned.values()}

    def renumber(node, number: int) -> None:
        for reference in node.findall(nodes.reference):
            depth = len(reference.get("secnumber") or ())
            reference["secnumber"] = [number] if depth == 1 else None

    @functools.wraps(count)
    def assign(self, env):
        before = dict(env.toc_secnumbers)
        changed = set(count(self, env))
        for docname, number in fixed.items():
            if docname not in env.toc_secnumbers:
                continue
            sections = env.toc_secnumbers[docname]
            env.toc_secnumbers[docname] = {
                anchor: (number,) if len(value or ()) == 1 else None
                for anchor, value in sections.items()}
            renumber(env.tocs[docname], number)
            title = env.titles.get(docname)
            if title is not None and title.get("secnumber"):
                title["secnumber"] = [number, *title["secnumber"][1:]]
            if env.toc_secnumbers[docname] != before.get(docname):
                changed.add(docname)
            else:
                changed.discard(docname)
        return list(changed)

    assign.by_plan = True  # type: ignore[attr-defined]
    TocTreeCollector.assign_section_numbers = assign


# --- chapter opener ----------------------------------------------------------------------------


def _paper(app, docname: str, key: str) -> str:
    paper = book_of(app).papers.get(key)
    if paper is None:
        raise BookError(f"{app.env.doc2path(docname)}: implicitly.paper is {key!r}, which is in "
                        f"none of {app.config.bibtex_bibfiles}")
    title = html.escape(paper.title)
    if paper.address:
        title = f'<a href="{html.escape(paper.address)}">{title}</a>'
    return f"{title}<br>{html.escape(', '.join(paper.authors))}, {html.escape(paper.year)}"


def _library(app, chapter: Chapter) -> str:
    """The modules that a chapter's code calls, each linked to its source; their reference after them."""
    links = [f'<a href="{library_page.source_link(app, library_page.file_of(name))}"><code>'
             f'{name.removeprefix("implicitly.")}</code></a>' for name in library_page.modules_used(chapter)]
    if links and library_page.PAGE in app.env.found_docs:
        uri = app.builder.get_relative_uri(chapter.docname, library_page.PAGE)
        links.append(f'all in the <a href="{uri}">reference</a>')
    return ", ".join(links)


def _facts(app, doctree, chapter: Chapter) -> str:
    docname, header = chapter.docname, chapter.header
    boxes = {i for node in doctree.findall(nodes.Element) for i in node.get("ids", ())
             if re.fullmatch(re.escape(chapter.slug) + r"/C\d+", i)}
    held = {claim.id for claim in chapter.claims}  # a check that does not hold is not stored
    stated = len(boxes | held)
    rows = []
    if header.paper:
        rows.append(("Paper", _paper(app, docname, header.paper)))
    if stated:
        count = f'{stated} stated, <span class="im-ok">{len(held)} {"holds" if len(held) == 1 else "hold"}</span>'
        if "book/claims" in app.env.found_docs:
            uri = app.builder.get_relative_uri(docname, "book/claims")
            count = f'<a href="{uri}">{count}</a>'
        rows.append(("Claims", count))
    rows.append(("Runs in", html.escape(header.runs_in or RUNS_IN)))
    rows += [(label, render_text(text)) for label, text in (("You need", header.needs), ("Kernel", header.kernel))
             if text]  # fmt: skip
    cells = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in rows)
    if library := _library(app, chapter):
        cells += f'<div class="im-facts-library"><dt>Library</dt><dd>{library}</dd></div>'
    return f'<dl class="im-facts">{cells}</dl>'


def open_chapter(app, doctree, docname: str) -> None:
    """doctree-resolved: eyebrow, question, facts and vignette around a chapter's title."""
    if not is_chapter(docname) or app.builder.format != "html":
        return
    chapter = book_of(app).chapter(docname)
    title = next(doctree.findall(nodes.title), None)
    if title is None:
        return
    planned = book_of(app).planned.get(chapter.slug)
    before = ""
    if planned:
        mark = "im-ring" if planned.numeral == "VI" else "im-disc"
        before = (f'<p class="im-eyebrow"><b>Chapter {planned.number}</b> <i class="im-dot {mark}">'
                  f'</i> Part {planned.numeral}, {html.escape(planned.part)}</p>')
    vignette = VIGNETTES / f"{chapter.slug}.svg"
    after = ""
    if chapter.header.question:
        after += f'<p class="im-question">{render_text(chapter.header.question)}</p>'
    if vignette.is_file():
        after += f'<div class="im-vignette" aria-hidden="true">{vignette.read_text("utf-8")}</div>'
    after += _facts(app, doctree, chapter)
    parent = title.parent
    at = parent.index(title)
    parent.insert(at + 1, nodes.raw("", after, format="html"))
    if before:
        parent.insert(at, nodes.raw("", before, format="html"))


def depend(app, docname: str, source: list[str]) -> None:
    """source-read: what an opener shows besides the chapter itself."""
    if is_chapter(docname):
        for path in (VIGNETTES / f"{Path(docname).name}.svg", Path(app.srcdir) / "book/plan.yml",
                     *(Path(app.srcdir) / name for name in app.config.bibtex_bibfiles)):
            app.env.note_dependency(str(path))


# --- the body ----------------------------------------------------------------------------------


SHARED_IDS = (["proof-content"], ["proof"], ["exercise-content"], ["solution-content"])


def tidy(app, doctree, docname: str) -> None:
    """doctree-resolved: order and names that the extensions leave as the page should not have them."""
    if app.builder.format != "html":
        return
    for cell in doctree.findall(nodes.container):
        if cell.get("nb_element") != "cell_code" or len(cell.children) < 2:
            continue
        source = cell.children[0]
        # a cell that only draws: its picture first, then the fold with its source
        if type(source).__name__ == "HideCodeCellNode" and "above-input" in source["classes"]:
            cell.children = [*cell.children[1:], source]
    for node in list(doctree.findall(nodes.Element)):
        # sphinx-proof and sphinx-exercise give every box's inside one and the same id
        if node.get("ids") in SHARED_IDS:
            node["ids"] = []
        classes = node.get("classes", [])
        if node.get("realtype") and "im-box" not in classes:
            classes.append("im-box")
            _name(node)
        elif isinstance(node, nodes.admonition) and classes[:2] == ["proof", "proof"]:
            _proof(node)
        elif "exercise" in classes:
            _grade(node)
        elif "solution" in classes and "dropdown" in classes:
            _fold(node, "Solution")
    for table in list(doctree.findall(nodes.table)):
        # wide tables scroll by themselves, so that the page does not
        if not isinstance(table.parent, nodes.container) or "im-scroll" not in table.parent["classes"]:
            box = nodes.container(classes=["im-scroll"])
            table.parent.replace(table, box)  # not replace_self, which hands the table's ids on to the box
            box += table


def _proof(node: nodes.Element) -> None:
    """sphinx-proof writes the word "Proof." into the text: set it apart."""
    node["classes"] = ["im-proof"]
    first = next(node.findall(nodes.Text), None)
    if first is not None and str(first).startswith("Proof. "):
        parent, at = first.parent, first.parent.index(first)
        parent[at] = nodes.Text(" " + str(first)[len("Proof. "):])
        parent.insert(at, nodes.inline("", "Proof.", classes=["im-proof-word"]))


def _name(box: nodes.Element) -> None:
    """A theorem's name in an element of its own: it is set in italics, its number is not."""
    title = next((c for c in box.children if isinstance(c, nodes.title)), None)
    if title is not None and title.children:
        title.children = [nodes.inline("", "", *title.children, classes=["im-box-name"])]


class fold(nodes.General, nodes.Element):
    """A native fold: no script, and it prints open."""


def _open_fold(self, node) -> None:
    self.body.append(self.starttag(node, "details") + f"<summary>{node['words']}</summary>\n")


def _close_fold(self, node) -> None:
    self.body.append("</details>\n")


def _fold(node: nodes.Element, words: str) -> None:
    """Turn a box with the class `dropdown` into a native fold."""
    body = [child for child in node.children if not isinstance(child, nodes.title)]
    details = fold(words=words, ids=node["ids"], classes=["im-solution"])
    details.extend(body)
    node.parent[node.parent.index(node)] = details


GRADES = {"easy": 1, "medium": 2, "hard": 3}


def _grade(exercise: nodes.Element) -> None:
    """Difficulty as discs and the word, at the end of an exercise's title."""
    grade = next((g for g in GRADES if g in exercise["classes"]), None)
    title = next((c for c in exercise.children if isinstance(c, nodes.title)), None)
    inside = title.children if title is not None else []
    if len(inside) > 2 and str(inside[0]) == " (" and str(inside[-1]) == ")":
        # its name, without parentheses
        title.children = [nodes.Text(" "), nodes.inline("", "", *inside[1:-1], classes=["im-exercise-name"])]
    if grade is None or title is None or "im-graded" in exercise["classes"]:
        return
    exercise["classes"].append("im-graded")
    dots = "".join(f'<i class="im-dot {"im-disc" if i < GRADES[grade] else "im-ring"}"></i>'
                   for i in range(3))
    title += nodes.raw("", f' <span class="im-grade">{dots} {grade}</span>', format="html")


SIZED = re.compile(r'<img([^>]*?) style="width: (\d+)[.\d]*px; height: (\d+)[.\d]*px;" ?/>')


# Names, operators and punctuation have the colour of the text: their spans are weight only.
PLAIN_TOKEN = re.compile(r'<span class="(?:n|o|p|w|nb)">([^<]*)</span>')


# --- the page around it ------------------------------------------------------------------------


def page_context(app, pagename, templatename, context, doctree):
    """html-page-context: the few buttons a page has; the landing has a template of its own."""
    options = app.config.html_theme_options
    repository = (options.get("repository_url") or "").rstrip("/")
    branch = options.get("repository_branch") or "main"
    context["im_repository"] = repository
    context["im_wordmark"] = landing.wordmark()
    buttons = context["im_buttons"] = []
    path = Path(app.env.doc2path(pagename)) if pagename in app.env.found_docs else None
    notebook = path is not None and path.suffix == ".ipynb"
    colab = (options.get("launch_buttons") or {}).get("colab_url")
    if notebook and colab and "github.com" in repository:
        name = repository.split("github.com/", 1)[1]
        buttons.append({"icon": "play", "label": "Run this chapter in Colab",
                        "url": f"{colab}/github/{name}/blob/{COLAB_BRANCH}/{quote(pagename)}.ipynb"})
    if notebook:  # the twin that plain_notebooks writes beside the page
        buttons.append({"icon": "download", "label": "Download this notebook", "download": True,
                        "url": f"{pagename.rsplit('/', 1)[-1]}.ipynb"})
    if path is not None and repository and options.get("use_edit_page_button"):
        source = f"{pagename}.md"  # the notebook is generated: what people edit is the Markdown
        buttons.append({"icon": "pencil", "label": "Edit this page",
                        "url": f"{repository}/edit/{branch}/{quote(source)}"})
    if context.get("body"):
        # sizes as attributes: the style sheet scales pictures, and their place is kept meanwhile
        body = SIZED.sub(r'<img\1 width="\2" height="\3" />', context["body"])
        body = PLAIN_TOKEN.sub(r"\1", body)
        # a fold's name is the text one sees (WCAG 2.5.3)
        context["body"] = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
        # docutils' role for an entry is deprecated, and is none of those a list may hold
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')
    # what none of our pages uses: notebooks run elsewhere, and folds are the browser's own
    unused = ("sphinx-thebe", "thebelab", "togglebutton", "pygments.css", "design-tabs")
    for files in ("css_files", "script_files"):
        context[files] = [f for f in context[files]
                          if not any(u in str(getattr(f, "filename", f) or "") for u in unused)]
    if pagename == app.config.root_doc:
        return "landing.html"
    return None


def finish(app, error) -> None:
    """build-finished: drop what no page uses from the theme's style sheets, fonts and scripts."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    css_purge.purge_site(out)
    static = out / "_static"
    for unused in ("scripts/fontawesome.js", "scripts/bootstrap.js", "vendor/fontawesome",
                   "sphinx-thebe.js", "sphinx-thebe.css", "searchtools.js", "language_data.js"):
        css_purge.remove(static / unused)
    for leftover in [*static.glob("*webpack-macros.html"), *static.glob("scripts/*.map"), *static.glob("styles/*.map"),
                     *static.glob("scripts/*.LICENSE.txt")]:
        leftover.unlink()


def configure(app, config) -> None:
    config.proof_title_format = "%t"  # a theorem's name, without parentheses
    config.bibtex_reference_style = "author_year"  # in the text, names; the list needs no labels
    number_chapters_by_plan(book_of(app))


def setup(app):
    app.setup_extension("landing")
    app.add_node(fold, html=(_open_fold, _close_fold))
    app.connect("config-inited", configure)
    app.connect("source-read", depend)
    # after the extensions that resolve their own nodes
    app.connect("doctree-resolved", open_chapter, priority=900)
    app.connect("doctree-resolved", tidy, priority=910)
    app.connect("html-page-context", page_context, priority=900)
    app.connect("build-finished", finish, priority=950)
    app.add_css_file("tokens.css", priority=190)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
