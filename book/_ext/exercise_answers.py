"""Answers typed into the page: an exercise with the class `answer` gets a field, or rings for its options.

    :::{exercise}
    :label: ex-my-chapter-half
    :class: easy answer

    What share is left?
    :::

and below it, in a code cell with the tag `remove-cell`, `right_answer("ex-my-chapter-half", share, within=0.005)` of
`implicitly.exercises`, which stores what is right in the output's metadata.  An exercise that is a choice ends with a
numbered list of its options.  A class and not a directive of its own: JupyterLab shows a directive that it does not
know as an error.

A class without an answer and an answer without a class are warnings, and warnings are errors.  What answers is
`answers.js`; without it the exercise reads as it is written.
"""

import html
import json
import re

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import katex_math
from book_model import book_of, is_chapter

logger = logging.getLogger(__name__)
CLASS = "answer"
SCRIPT, SHEET = "answers.js", "answers.css"
UNDERSTOOD = "3/16, 1e-3, 2^-7 and sqrt(2) are understood."


def stored(notebook: dict) -> list[dict]:
    """What `right_answer` stored in a notebook, in order."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    found = [output.get("metadata", {}).get("implicitly", {}).get("answer") for output in outputs]
    return [right for right in found if right]


def power(value: float) -> str:
    """A tolerance as HTML: 0.005, 2 × 10⁻⁵."""
    mantissa, _, exponent = f"{value:.2g}".partition("e")
    return f"{mantissa} × 10<sup>{int(exponent)}</sup>".replace("-", "−") if exponent else mantissa


def words(text: str, macros=None) -> str:
    """HTML of a text with `$formulas$` and code in backticks."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(f"<code>{html.escape(part)}</code>" if i % 2 else katex_math.render_text(part, macros)
                   for i, part in enumerate(parts))  # fmt: skip


def row(right: dict, exercise: str, macros=None) -> tuple[str, str]:
    """What stands before and after the options of an exercise, or of the field if it has none: HTML of a form."""
    is_choice, ident = right["choice"] is not None, html.escape(right["id"])
    kept = {name: right[name] for name in ("value", "within", "choice", "unit") if right[name] not in (None, "")}
    kept["wrong"] = [wrong for wrong, _ in right["hints"]]
    data = html.escape(json.dumps(kept, sort_keys=True))
    to = f'Your answer<span class="im-unseen"> to {html.escape(exercise)}</span>'
    start = (f'<form class="im-answer im-waiting" id="answer-{ident}" data-im-answer="{data}" autocomplete="off" '
             'novalidate>')  # fmt: skip
    said = f'<div class="im-said" id="said-{ident}" role="status"></div>'
    said += "".join(f"<template data-im-hint>{words(text, macros)}</template>" for _, text in right["hints"])
    for name in ("hint", "right"):
        said += f"<template data-im-{name}-words>{words(right[name], macros)}</template>" if right[name] else ""
    button = '<button class="im-check-answer">Check</button>'
    if is_choice:
        return f'{start}<fieldset><legend class="im-unseen">{to}</legend>', f"</fieldset>{button}{said}</form>"
    unit = f'<span class="im-unit">{words(right["unit"], macros)}</span>' if right["unit"] else ""
    within = f"to within {power(right['within'])}" if right["within"] else "exactly"
    note = f'<p class="im-understood" id="understood-{ident}">{within[0].upper()}{within[1:]}; {UNDERSTOOD}</p>'
    field = (f'<input type="text" placeholder="a number" spellcheck="false" autocapitalize="off" '
             f'aria-describedby="understood-{ident} said-{ident}">')  # fmt: skip
    return f'{start}<div class="im-answer-row"><label>{to} {field}</label>{unit} {button}</div>{note}{said}</form>', ""


def raw(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def options(listed: nodes.enumerated_list, ident: str) -> list[nodes.Node]:
    """An exercise's list with a ring in front of each item."""
    found = [raw('<ol class="im-options">')]
    for i, item in enumerate(listed.children, 1):
        found.append(raw(f'<li><label><input type="radio" name="answer-{ident}" value="{i}"> <span>'))
        inside = item.children[0].children if len(item.children) == 1 and item.children[0].children else item.children
        found += [*inside, raw('</span></label> <span class="im-option-said"></span></li>')]
    return [*found, raw("</ol>")]


def on_doctree_resolved(app, doctree, docname):
    if app.builder.format != "html" or not is_chapter(docname):
        return
    found: dict[str, dict] = {}
    for right in stored(book_of(app).chapter(docname).notebook):
        if right["id"] in found:
            logger.warning("the answer to %s is computed twice", right["id"], location=docname)
        found[right["id"]] = right
    macros = app.config.katex_macros
    for exercise in doctree.findall(lambda n: isinstance(n, nodes.Element) and n.get("label") in found):
        if "exercise" in exercise["classes"] and CLASS not in exercise["classes"]:
            logger.warning("%s has a computed answer and not the class %s", exercise["label"], CLASS, location=exercise)
            found.pop(exercise["label"])
    for exercise in list(doctree.findall(lambda n: isinstance(n, nodes.Element) and CLASS in n.get("classes", ()))):
        label = exercise.get("label", "")
        right = found.pop(label, None)
        if "exercise" not in exercise["classes"] or right is None:
            logger.warning("no answer to the exercise %s was computed: right_answer(%r, ...)", label, label,
                           location=exercise)  # fmt: skip
            continue
        number = app.env.toc_fignumbers.get(docname, {}).get("exercise", {}).get(label, ())
        before, after = row(right, " ".join(["exercise", ".".join(map(str, number))]).strip(), macros)
        body = next(exercise.findall(nodes.section), exercise)
        last = body.children[-1]
        if right["choice"] is None:
            body += raw(before)
        elif not isinstance(last, nodes.enumerated_list) or len(last.children) != right["of"]:
            logger.warning("%s must end with a numbered list of %s options", label, right["of"], location=exercise)
            continue
        else:
            body.remove(last)
            body.extend([raw(before), *options(last, label), raw(after)])
        doctree["im_answers"] = True
    for label in found:
        logger.warning("the answer to %s is computed, and no exercise has this label", label, location=docname)


class ForgetAnswers(SphinxDirective):
    """`{forget-answers}`: a button that forgets what a reader has typed, here and into explorers."""

    def run(self):
        button = '<button class="im-check-answer" type="button">Forget my answers</button>'
        text = f'<p class="im-forget im-waiting">{button} <output></output></p>'
        return [nodes.raw("", text, format="html", im_forget=True)]


def on_page_context(app, pagename, templatename, context, doctree):
    wanted = doctree is not None and (
        doctree.get("im_answers") or any(node.get("im_forget") for node in doctree.findall(nodes.raw))
    )
    if wanted:
        app.add_js_file(SCRIPT, loading_method="defer")
        app.add_css_file(SHEET)


def setup(app):
    app.add_directive("forget-answers", ForgetAnswers)
    app.connect("doctree-resolved", on_doctree_resolved)
    app.connect("html-page-context", on_page_context)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
