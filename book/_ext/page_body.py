"""The body of a page: order and names that other extensions leave as the page should not have them."""

from __future__ import annotations

from docutils import nodes

SHARED_IDS = (["proof-content"], ["proof"], ["exercise-content"], ["solution-content"])


def tidy(app, doctree, docname: str) -> None:
    """doctree-resolved: order and names that the extensions leave as the page should not have them."""
    if app.builder.format != "html":
        return
    _join_hidden(doctree)
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


def _hidden(node) -> nodes.Element | None:
    """The fold over the source of a code cell, if it has one."""
    if isinstance(node, nodes.container) and node.get("nb_element") == "cell_code" and node.children:
        source = node.children[0]
        if type(source).__name__ == "HideCodeCellNode" and "above-input" in source["classes"]:
            return source
    return None


def _join_hidden(doctree) -> None:
    """Cells that show nothing but a fold go into the fold of the cell that follows: one line in place of several."""
    for cell in list(doctree.findall(nodes.container)):
        source = _hidden(cell)
        if source is None or len(cell.children) > 1:
            continue
        after = cell.next_node(descend=False, siblings=True)
        if (other := _hidden(after)) is not None:
            other.children = [*source.children, *other.children]
            for child in source.children:
                child.parent = other
            cell.parent.remove(cell)


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


def configure(app, config) -> None:
    config.proof_title_format = "%t"  # a theorem's name, without parentheses
    config.bibtex_reference_style = "author_year"  # in the text, names; the list needs no labels


def setup(app):
    app.add_node(fold, html=(_open_fold, _close_fold))
    app.connect("config-inited", configure)
    # after the opener, whose title and facts it leaves alone
    app.connect("doctree-resolved", tidy, priority=910)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
