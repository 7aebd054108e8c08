"""A docstring as HTML: paragraphs, and one table of arguments, what is returned and what is raised.

Docstrings are plain text with code between backticks, formulas between dollars, and sections with a head (`Args:`).
Several arguments may share a line, and may go without a head: the signature says which words are arguments.
"""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable, Iterable

from docutils import nodes

from katex_math import render_text

ROWS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Warns")
HEADS = (*ROWS, "Example", "Examples", "Source", "Note")
CODE = re.compile(r":\w+:`~?([^`]+)`|``(.+?)``|`([^`]+)`")
# a tuple of sizes at the start of a description or set off by commas: (n,), (B, K-1), (..., d)
SHAPE = re.compile(r"(?:^|, )(`{0,2})(\((?:[\w+*/-]+|\.\.\.)(?:,(?: ?(?:[\w+*/-]+|\.\.\.))?)+\))\1(?=[\s,.;:]|$)")

Link = Callable[[str], str | None]  # a piece of code -> where it is described


def parts(doc: str) -> tuple[str, str]:
    """A module's title and what else its docstring says: the first line, as far as its colon if there is one."""
    line, _, rest = doc.partition("\n")
    title, _, more = line.partition(": ")
    return title.removesuffix("."), (more[:1].upper() + more[1:] + "\n" + rest).strip("\n")


def title_nodes(text: str) -> list[nodes.Node]:
    """A sentence as a heading's nodes."""
    pieces = re.split(r"`+([^`]+)`+", text)
    return [nodes.literal("", piece) if i % 2 else nodes.Text(piece) for i, piece in enumerate(pieces) if piece]


def inline(text: str, link: Link = lambda code: None) -> str:
    """A line as HTML; names of roles are dropped."""
    pieces = CODE.split(" ".join(text.split()))
    out = []
    for i in range(0, len(pieces), 4):
        out.append(render_text(pieces[i]))
        if code := next(filter(None, pieces[i + 1 : i + 4]), ""):
            shown = f"<code>{html.escape(code)}</code>"
            href = link(code)
            out.append(f'<a class="im-api-link" href="{html.escape(href)}">{shown}</a>' if href else shown)
    return "".join(out)


def shape(text: str) -> str:
    """A tuple of sizes as HTML: letters in italics, a minus for a hyphen."""
    return re.sub(r"([A-Za-z]\w*)", r"<i>\1</i>", text).replace("-", "−")


def code(lines: Iterable[str]) -> str:
    return f'<pre tabindex="0">{html.escape(textwrap.dedent(chr(10).join(lines)).strip(chr(10)))}</pre>'


def parted(text: str, names: Iterable[str]) -> list[tuple[str, str]]:
    """(names, what is said of them) of `a: one thing. b, c: another.`, for the names that are given; [] if it is none.

    An argument begins a line, or stands after a full stop or a semicolon.
    """
    one = rf"\*{{0,2}}(?:{'|'.join(sorted(map(re.escape, names), key=len, reverse=True))})\b"
    starts = [*re.finditer(rf"(?:^|(?<=[.;]))\s*({one}(?:, {one})*):\s", text, re.M)]
    if not starts or text[: starts[0].start()].strip():
        return []
    ends = [found.start() for found in starts[1:]] + [len(text)]
    return [(found[1], text[found.end() : end].strip()) for found, end in zip(starts, ends, strict=True)]


def argument_row(names: str, text: str, link: Link) -> tuple[str, str, str]:
    found = SHAPE.search(text)
    if found:
        rest = text[: found.start()] + text[found.end() :]
        text = rest.lstrip(",.;: ") if not found.start() else rest
    cells = ", ".join(f"<code>{html.escape(name)}</code>" for name in names.split(", "))
    return cells, shape(found[2]) if found else "", inline(text, link)


def table(arguments: list[tuple[str, str, str]], others: list[tuple[str, str]]) -> str:
    """Rows of arguments (name, shape, what it is), then of what is returned and raised, whose cells are joined."""
    shapes = any(row[1] for row in arguments)
    rows = []
    for name, size, text in arguments:
        middle = f'<td class="im-api-shape">{size}</td>' if shapes else ""
        rows.append(f'<tr><th scope="row">{name}</th>{middle}<td>{text}</td></tr>')
    span = ' colspan="2"' if shapes else ""
    rows += [f'<tr><th scope="row">{name}</th><td{span}>{text}</td></tr>' for name, text in others]
    head = ""
    if arguments:
        middle = '<th scope="col">Shape</th>' if shapes else ""
        head = f'<thead><tr><th scope="col">Name</th>{middle}<th scope="col">What it is</th></tr></thead>'
    return f'<table class="im-api-table">{head}<tbody>{"".join(rows)}</tbody></table>'


def described(doc: str, names: Iterable[str] = (), link: Link = lambda code: None) -> str:
    """A docstring as HTML; `names` are those of the arguments, `link` says where a piece of code is described."""
    names, out, at = list(names), [], None
    arguments, returned, raised = [], [], []
    for block in re.split(r"\n[ \t]*\n", doc.strip("\n")):
        lines = block.split("\n")
        if not block.strip():
            continue
        head = lines[0].strip().removesuffix(":") if lines[0].strip().endswith(":") else ""
        text = "\n".join(line.strip() for line in (lines[1:] if head in HEADS else lines))
        body = text.replace("\n", " ")
        pairs = []
        if head in ("Args", "Attributes"):
            said = re.findall(r"^((?:\w+, )*\w+):\s", text, re.M)
            pairs = parted(text, {*names, *", ".join(said).split(", ")} - {""})
        elif head not in HEADS and names:
            pairs = parted(text, names)
        if head in ROWS or pairs:
            at = len(out) if at is None else at
        if pairs:
            arguments += [argument_row(*pair, link) for pair in pairs]
        elif head in ("Args", "Attributes"):
            arguments.append(("", "", inline(body, link)))
        elif head in ("Returns", "Yields"):
            returned.append((head.lower(), inline(body, link)))
        elif head in ("Raises", "Warns"):
            kinds = re.split(r"(?:^|(?<=\. ))((?:\w*(?:Error|Exception|Warning)(?:, )?)+): ", body)
            raised += [(f"<code>{kind}</code>", inline(text, link))
                       for kind, text in zip(kinds[1::2], kinds[2::2], strict=True)] or [(
                           head.lower(), inline(body, link))]  # fmt: skip
        elif head.startswith("Example"):
            out.append(f'<p class="im-api-head">{head}</p>{code(lines[1:])}')
        elif head in HEADS:
            out.append(f'<p class="im-api-head">{head}</p><p>{inline(body, link)}</p>')
        elif lines[0].lstrip().startswith(">>>") or all(line.startswith("    ") for line in lines):
            out.append(code(lines))
        elif lines[0].startswith("- "):
            items = re.split(r"\n- ", "\n" + block)[1:]
            out.append("<ul>" + "".join(f"<li>{inline(item, link)}</li>" for item in items) + "</ul>")
        else:
            out.append(f"<p>{inline(block, link)}</p>")
    if at is not None:
        out.insert(at, table(arguments, returned + raised))
    return "".join(out)
