"""The kernels page, generated: what each kernel computes and costs, its source, and what was measured.

Reads text and JSON under `kernels/` and nothing else: neither torch nor the kernels are imported.
Numbers come from result files that `kernels/benchmarks/run.py` wrote; none is typed here.
"""

import ast
import re
from pathlib import Path

from sphinx.util.docutils import SphinxDirective

from book_model import Book, BookError, Op, book_of

PAGE = "book/kernels"
RATE = {"bytes": "copy", "flops": "flop", "ints": "int"}
UNIT = {"bytes": "bytes", "flops": "float operations", "ints": "integer operations"}
OUR = {"reference": "ours, the reference in torch", "numba": "ours, compiled for the CPU", "triton": "ours, Triton"}


def function_source(file: Path, name: str) -> str:
    """The source of one top-level function, decorators included."""
    text = file.read_text()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    raise BookError(f"{file} has no function {name}")


def quantity(value: float) -> str:
    """Three digits and a word or a power of ten: 1.42 billion, 950 million, 3.2 thousand."""
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if value >= size:
            return f"{value / size:.3g} {word}"
    return f"{value:.3g}"


def seconds(value: float) -> str:
    """A duration in the unit that keeps it readable."""
    for size, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def ratio(value: float) -> str:
    return f"{value:.3g} ×" if value < 10 else f"{value:.0f} ×"


def unbroken(text: str) -> str:
    """No line ends at the sign of a shape: N = 100, 4096 x 4096."""
    return re.sub(r" ([=x]) ", "\u00a0\\1\u00a0", text)


def used_by(op: Op, book: Book, found: set[str]) -> str:
    """The chapters that run an op, with links to those that are there."""
    names = []
    for slug in op.declared("CHAPTERS"):
        if slug not in book.planned:
            raise BookError(f"{op.folder}/spec.py names the chapter {slug!r}, which is not in book/plan.yml")
        chapter = book.planned[slug]
        text = f"chapter\u00a0{chapter.number}, *{chapter.title}*"
        names.append(f"[{text}](../{chapter.docname})" if chapter.docname in found else f"{text} (in preparation)")
    return f"Used by {' and '.join(names)}.\n" if names else "No chapter's run reaches it yet.\n"


def per_item(row: dict) -> float:
    return 1 / row["items_per_s"]


def who(row: dict) -> str:
    if row["peer"] is None:
        return f"**{OUR[row['backend']]}**"
    version = (row["peer"]["version"] or "").split("+")[0]
    kind, _, form = row["backend"].partition(", ")
    name = {"eager": "torch", "compile": "torch.compile"}.get(kind, kind)
    return f"{name} {version}".strip() + (f", {form}" if form else "")


def prediction(row: dict, ceilings: dict) -> str:
    """The ceiling of one case on one device, in words."""
    kind = row["floor_kind"]
    waits = kind == "latency"  # the floor is still that of what binds a device that is full
    if waits:
        kind = max((k for k in RATE if row.get(k)), key=lambda k: row[k] / ceilings[RATE[k]])
    most = row["items"] / row["floor_s"]
    return (
        f"{unbroken(row['case'])}: at most {quantity(most)} {row['item']}s a second, because "
        f"{UNIT[kind]} bind ({quantity(row[kind])} of them at {quantity(ceilings[RATE[kind]])} a second)"
        + ("; out of reach, since this fills too little of the device: the latency of one step or launch binds" * waits)
    )


def part(row: dict, first: dict) -> str:
    """Which part of the work of the table's first row another row was timed on; nothing where it is all of it."""
    if row["items"] >= first["items"]:
        return ""
    times = first["items"] / row["items"]
    return f"on 1/{times:.3g} of the work" if times < 10 else f"on 1/{times:.0f} of the work"


def measured(rows: list[dict]) -> str:
    """The commit and the day of a table's rows; all of them, where rows were added later."""
    stamps = dict.fromkeys((row["commit"], row["date"]) for row in rows)
    return " and ".join(f"{f'commit {commit}' if commit else 'an unknown commit'}, {day}" for commit, day in stamps)


def table(rows: list[dict], caption: str) -> str:
    """One case on one device as a list-table."""
    eager = next((r for r in rows if r["backend"] == "eager"), None)
    item = rows[0]["item"]
    lines = [
        f":::{{list-table}} {caption}", ":header-rows: 1", ":class: im-kernel-table", "",
        f"* - Who\n  - Time per {item}\n  - {item.capitalize()}s a second\n  - Against eager torch\n"
        "  - Of the ceiling",
    ]  # fmt: skip
    for row in rows:
        gain = ratio(row["items_per_s"] / eager["items_per_s"]) if eager else "–"
        notes = "; ".join(filter(None, (part(row, rows[0]), row["note"])))
        note = f" ({notes})" if notes else ""
        cells = [who(row) + note, seconds(per_item(row)), quantity(row["items_per_s"]), gain,
                 f"{row['fraction']:.2g}"]  # fmt: skip
        lines.append("* - " + "\n  - ".join(cells))
    return "\n".join([*lines, ":::", ""])


def verdict(case: str, rows: list[dict], op: Op) -> str:
    """What was asked of the CPU path and whether it was reached, from the numbers."""
    if "NO_NUMBA" in op.spec:
        return ""
    asked = op.declared("TARGET_CPU").get(case)
    ours = next((r for r in rows if r["backend"] == "numba"), None)
    eager = next((r for r in rows if r["backend"] == "eager"), None)
    if asked is None or ours is None or eager is None:
        return ""
    gain = ours["items_per_s"] / eager["items_per_s"]
    if gain >= asked:
        return f"Target: {asked} × eager torch in the same run. Reached: {ratio(gain)}.\n"
    why = op.spec.get("WHY_NOT", {}).get(case, "The reason is not known.")
    return f"Target: {asked} × eager torch. **Not reached: {ratio(gain)}.** {why}\n"


def device_section(result: dict, op: Op) -> str:
    """Everything measured on one device."""
    cpu = result["kind"] == "cpu"
    rows, ceilings = result["rows"], result["ceilings"]
    first = rows[0]
    facts = [f"torch {first['torch'].split('+')[0]}"]
    if not cpu:
        facts.append(f"Triton {first['triton']}, driver {first['driver']}")
    elif "NO_NUMBA" not in op.spec:
        facts.append(f"numba {first['numba']}")
    facts.append("one thread; times are CPU time" if cpu else "times are medians between CUDA events")
    out = []
    cases = list(dict.fromkeys(row["case"] for row in rows))
    for case in cases:
        some = [row for row in rows if row["case"] == case]
        out.append(f"Predicted from this device's own ceilings, {prediction(some[0], ceilings)}.\n")
        out.append(table(some, f"{unbroken(case)}, on {result['device']}, at {measured(some)}: {', '.join(facts)}."))
        out.append(verdict(case, some, op) if cpu else "")
    return "\n".join(out)


def resources(op: str, recorded: dict) -> str:
    """Instructions and registers of the op's kernels, as compiled without a GPU: of the first, and the most of all."""
    if not recorded:
        return ""
    names = [n for n in next(iter(recorded.values()))["sm_90"] if f"{n}_".startswith(f"{op}_")]
    if not names:
        return ""
    versions = sorted(recorded, key=lambda v: [int(part) for part in re.findall(r"\d+", v)], reverse=True)
    hopper = {v: recorded[v]["sm_90"] for v in versions}
    first, first_used = names[0], hopper[versions[0]][names[0]]
    most = {v: max(hopper[v][n]["regs"] for n in names) for v in versions}
    archs = ", ".join(a.replace("_", r"\_") for a in recorded[versions[0]])
    counts = ", ".join(f"{most[v]} (Triton {v})" for v in versions)

    def spilled(rows):
        spills = sum(row["spills"] for row in rows)
        return f"{spills} spill instructions" if spills else "nothing spilled"

    return (
        f"**Without a GPU.** `{first}` is compiled for Hopper: {first_used['instructions']} instructions, "
        f"{first_used['regs']} registers a thread, {spilled([first_used])}; predicted, not measured. All {len(names)} "
        f"variants, compiled for {archs}: at most {counts} registers on sm\\_90, "
        f"{spilled(recorded[v][a][n] for v in versions for a in recorded[v] for n in names)}.\n"
    )


def in_order(book: Book) -> list[str]:
    """The names of the ops, in the order of the first chapters that run them."""
    def first(name):
        slugs = book.ops[name].declared("CHAPTERS")
        return min((book.planned[slug].number for slug in slugs if slug in book.planned), default=0)

    return sorted(book.ops, key=first)


def section(name: str, book: Book, found: set[str] = frozenset()) -> str:
    """The Markdown of one op."""
    op = book.ops[name]
    title, kernel = op.declared("TITLE"), op.declared("SHOWN")
    parts = [f"## {title}\n", f"`implicitly_kernels.{name}`. {op.declared('SUMMARY')} {used_by(op, book, found)}",
             f"**Bytes and operations.** {unbroken(op.declared('COUNT'))}\n"]  # fmt: skip
    parts.append(resources(name, book.kernel_resources))
    parts.append(
        "````{dropdown} The Triton kernel\n```python\n" + function_source(op.folder / "_triton.py", kernel)
        + "\n```\n````\n"
    )  # fmt: skip
    cpu = [r for r in op.results if r["kind"] == "cpu"]
    gpu = [r for r in op.results if r["kind"] == "cuda"]
    parts.append("### On a CPU\n")
    if why := op.spec.get("NO_NUMBA"):
        parts.append(f"Nothing of ours is compiled for the CPU, where the reference runs. {why}\n")
    parts += [device_section(r, op) for r in cpu] or ["No CPU result yet: `make bench` writes it.\n"]
    parts.append("### On a GPU\n")
    parts += [device_section(r, op) for r in gpu] or [
        "No GPU result yet. `make bench-gpu` on a machine that has one runs the same tests on it, measures, and "
        f"writes the file that this section is made from. The aim: {unbroken(op.declared('TARGET_GPU'))}\n"
    ]
    return "\n".join(part for part in parts if part)


class KernelOps(SphinxDirective):
    """`{kernel-ops}`: one section for each op, from the spec, the source and the result files."""

    def run(self):
        book = book_of(self.env.app)
        text = "\n".join(section(name, book, self.env.found_docs) for name in in_order(book))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def outdated(app, env, added, changed, removed):
    """The page is made from files that may be new; it is cheap, so it is always made anew."""
    return [PAGE] if PAGE in env.found_docs else []


def setup(app):
    app.add_directive("kernel-ops", KernelOps)
    app.connect("env-get-outdated", outdated)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
