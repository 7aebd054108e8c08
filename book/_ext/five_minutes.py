"""`{five-minutes}`: a chapter's answer and its take-aways, right below the title, and how long the rest takes.

    :::{five-minutes}
    **The answer in a bold sentence or two.**

    1. A take-away in one sentence. {prf:ref}`stable-minima/C1`
    2. Another, that rests on no box. [](#a-section-label)
    3. ...
    :::

A take-away ends in one reference: to the theorem box that it rests on, or to a section of the chapter.  On the page
the link leads to the section, with its title and its reading time (`reading_times`) and, of a box, its status.
`chapter_opener` puts the block between the question and the facts.
"""

from __future__ import annotations

from docutils import nodes
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from book_model import is_chapter
from claims_page import STATUS
from reading_times import is_explorer, minutes, seconds

LEAST, MOST = 3, 5
WORDS = {"proved": "proved", "partly-proved": "proved in part", "not-proved": "not proved here", "measured": "measured"}
NO_BOX = "im-measurement"
REFERENCES = (addnodes.pending_xref, nodes.reference)
BEFORE = (nodes.title, nodes.comment, nodes.target)
SCRIPT = "folds.js"
logger = logging.getLogger(__name__)


def is_nothing(node: nodes.Node) -> bool:
    """Whether a node may stand between the title and the block: the title, a comment, a label."""
    return isinstance(node, BEFORE) or (isinstance(node, nodes.raw) and node.astext().lstrip().startswith("<!--"))


class five_minutes(nodes.General, nodes.Element):
    """The block as it is written, replaced when references are resolved."""


class FiveMinutes(SphinxDirective):
    has_content = True

    def run(self):
        node = five_minutes("", *self.parse_content_to_nodes())
        self.set_source_info(node)
        for problem in problems(node):
            logger.warning("five-minutes: %s", problem, location=node)
        return [node]


def last_of(item: nodes.Element) -> nodes.Node | None:
    """The last node of a take-away that is not blank."""
    inside = [child for child in item.children[-1].children if child.astext().strip() or isinstance(child, REFERENCES)]
    return inside[-1] if inside else None


def problems(node: five_minutes) -> list[str]:
    """What is wrong with the block as it is written."""
    if [type(child) for child in node.children] != [nodes.paragraph, nodes.enumerated_list]:
        return ["it must hold one paragraph, the answer, and one numbered list"]
    answer, takeaways = node.children
    found = []
    if not all(isinstance(child, nodes.strong) or not child.astext().strip() for child in answer.children):
        found.append("the answer must be bold, all of it and nothing else")
    if not LEAST <= len(takeaways) <= MOST:
        found.append(f"there must be {LEAST} to {MOST} take-aways, found {len(takeaways)}")
    for number, item in enumerate(takeaways, 1):
        if not isinstance(last_of(item), REFERENCES):
            found.append(f"take-away {number} must end in a reference to a box or a section, with nothing after it")
    return found


def check_place(app, doctree) -> None:
    """doctree-read: one block at most, and nothing between it and the title."""
    for number, node in enumerate(doctree.findall(five_minutes)):
        top = next(doctree.findall(nodes.section), None)
        before = node.parent.children[: node.parent.index(node)]
        if number or node.parent is not top or not all(map(is_nothing, before)):
            logger.warning("five-minutes: it must stand once, directly below the chapter's title", location=node)


def target_of(doctree, reference: nodes.Node | None) -> nodes.Element | None:
    """What a reference to this page leads to."""
    if not isinstance(reference, nodes.reference):
        return None
    ident = reference.get("refid") or reference.get("refuri", "").rpartition("#")[2]
    return next((node for node in doctree.findall(nodes.Element) if ident and ident in node.get("ids", ())), None)


def section_of(node: nodes.Node) -> nodes.section | None:
    """The section that a node stands in or is; a box has one inside it that is none of the chapter's."""
    while node is not None:
        if isinstance(node, nodes.section) and isinstance(node.parent, nodes.section | nodes.document):
            return node
        node = node.parent
    return None


def _takeaway(doctree, item: nodes.list_item) -> nodes.list_item:
    reference = last_of(item)
    target = target_of(doctree, reference)
    section = section_of(target) if target is not None else None
    if section is None or isinstance(section.parent, nodes.document):
        logger.warning("five-minutes: a take-away must refer to a box or a section of its chapter", location=item)
        return item
    status = next((name for name in STATUS if "realtype" in target and name in target["classes"]), None)
    sentence = item.children[-1]
    sentence.remove(reference)
    while sentence.children and not sentence.children[-1].astext().strip():
        sentence.pop()
    if sentence.children and isinstance(sentence.children[-1], nodes.Text):
        sentence.children[-1] = nodes.Text(str(sentence.children[-1]).rstrip())
    sentence["classes"].append("im-five-sentence")
    title = next(section.findall(nodes.title))
    link = nodes.reference("", "", *(child.deepcopy() for child in title.children), internal=True,
                           refid=section["ids"][0])  # fmt: skip
    time = f"{minutes(seconds(section)[0])} min" + (f", {WORDS[status]}" if status else "")
    where = nodes.paragraph("", "", link, nodes.Text(" "), nodes.inline("", time, classes=["im-five-time"]),
                            classes=["im-five-where"])  # fmt: skip
    mark = STATUS[status][0] if status else NO_BOX
    row = nodes.raw("", f'<i class="im-mark {mark}" aria-hidden="true"></i>', format="html")
    return nodes.list_item("", row, *item.children, where)


def first_visit(doctree, block: five_minutes) -> list[nodes.Node]:
    """What a reader of five minutes reads: from the title to the first explorer, if it stands before all sections."""
    top = block.parent
    explorer = next(filter(is_explorer, doctree.findall(nodes.raw)), None)
    child = explorer
    while child is not None and child.parent is not top:
        child = child.parent
    if child is not None and not isinstance(child, nodes.section):
        return top.children[: top.index(child) + 1]
    return [block, *([explorer] if explorer is not None else [])]


def render(doctree, block: five_minutes) -> nodes.container:
    """The block as the page has it."""
    answer, takeaways = block.children
    visit, (text, everything) = seconds(*first_visit(doctree, block))[0], seconds(doctree)
    rows = [_takeaway(doctree, item) for item in takeaways.children]
    answer["classes"].append("im-five-answer")
    times = ((visit, "this list and the experiment"), (text, "the text, folds closed"),
             (everything, "everything, proofs and exercises too"))  # fmt: skip
    foot = " ".join(f"<span><b>{minutes(amount)} min</b> {words}</span>" for amount, words in times)
    head = '<h2 class="im-five-title">In five minutes</h2>'
    return nodes.container("", nodes.raw("", head, format="html"), answer,
                           nodes.enumerated_list("", *rows, classes=["im-five-list"]),
                           nodes.raw("", f'<p class="im-five-times">{foot}</p>', format="html"),
                           classes=["im-five"])  # fmt: skip


def take(doctree) -> nodes.container | None:
    """The rendered block of a chapter, taken out of its place; None where there is none, or a wrong one."""
    found = list(doctree.findall(five_minutes))
    block = found[0] if found and not problems(found[0]) else None
    rendered = render(doctree, block) if block is not None else None
    for node in found:
        node.parent.remove(node)
    return rendered


def add_script(app, pagename, templatename, context, doctree) -> None:
    """html-page-context: what opens folds, the button and the links to what lies in one."""
    if doctree is not None and is_chapter(pagename):
        app.add_js_file(SCRIPT, loading_method="defer")


def setup(app):
    app.add_node(five_minutes)
    app.add_directive("five-minutes", FiveMinutes)
    app.connect("doctree-read", check_place)
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
