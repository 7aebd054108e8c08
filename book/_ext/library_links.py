"""Links from inline code in chapters to the entries of the library's page."""

from docutils import nodes

from book_model import book_of, is_chapter

PAGE = "book/library"


def link_chapter(app, doctree, docname: str) -> None:
    """doctree-resolved: inline code that names a public function or class leads to its entry.

    The chapter must import the name, or the text must write it out in full; once in a section, never in a heading, a
    summary, or a link.
    """
    if not is_chapter(docname) or app.builder.format != "html" or PAGE not in app.env.found_docs:
        return
    library = book_of(app).library
    scope = library.packages | library.taken(book_of(app).chapter(docname).code).scope
    page, linked = app.builder.get_relative_uri(docname, PAGE), set()
    for literal in list(doctree.findall(nodes.literal)):
        entry = library.find(literal.astext(), scope)
        above = list(ancestors(literal))
        if entry is None or entry.kind == "value" or any(map(is_apart, above)):
            continue
        section = next((id(node) for node in above if isinstance(node, nodes.section)), None)
        if (section, entry.path) not in linked:
            linked.add((section, entry.path))
            link = nodes.reference("", "", refuri=f"{page}#{entry.path}", internal=True, classes=["im-api-link"])
            literal.parent.replace(literal, link)
            link += literal


def ancestors(node: nodes.Node):
    while (node := node.parent) is not None:
        yield node


def is_apart(node: nodes.Node) -> bool:
    """Whether a node is a heading, a fold's summary, or a link."""
    return isinstance(node, (nodes.title, nodes.rubric, nodes.reference)) or type(node).__name__ == "dropdown_title"
