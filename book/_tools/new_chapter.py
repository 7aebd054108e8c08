"""Start a chapter from the template: `make new CHAPTER=slug`."""

import re
import sys
from pathlib import Path

import yaml

from paths import ROOT

HERE = Path(__file__).parent
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
ENTRY = "  - file: chapters/{}\n"


def new_chapter(slug: str, root: Path = ROOT) -> list[Path]:
    """Write `chapters/<slug>.md` and the test of its claims, list it in `_toc.yml` and on the notation page.

    Never overwrites.

    Returns:
        What was written.

    Raises:
        ValueError: the slug is not lower-case words joined by hyphens, or is taken.
    """
    if not SLUG.fullmatch(slug):
        raise ValueError(f"a slug is lower-case words joined by hyphens, for example 'score-flow'; found {slug!r}")
    text, test = ((HERE / "template" / name).read_text(encoding="utf-8") for name in ("chapter.md", "test_claims.py"))
    setup = (HERE / "setup_cell.py").read_text(encoding="utf-8").strip()
    written = {
        root / f"chapters/{slug}.md": text.replace("SETUP\n", setup + "\n"),
        root / f"tests/chapters/test_{slug.replace('-', '_')}_claims.py": test,
    }
    for path in written:
        if path.exists():
            raise ValueError(f"{path.relative_to(root)} exists already")
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("SLUG", slug), encoding="utf-8")
    toc = root / "_toc.yml"
    plan = yaml.safe_load((root / "book/plan.yml").read_text(encoding="utf-8"))["parts"]
    toc.write_text(listed(toc.read_text(encoding="utf-8"), slug, plan), encoding="utf-8")
    notation = root / "book/notation.md"
    notation.write_text(with_symbols(notation.read_text(encoding="utf-8"), slug, plan), encoding="utf-8")
    return [*written, toc, notation]


def with_symbols(notation: str, slug: str, plan: list[dict]) -> str:
    """The text of the notation page with the chapter's table of symbols, in the order of the plan; drafts come last."""
    titles = {chapter["slug"]: chapter["title"] for part in plan for chapter in part["chapters"]}
    later = list(titles)[list(titles).index(slug) + 1 :] if slug in titles else []
    places = [notation.find(f"```{{setting-symbols}} {other}\n") for other in later]
    at = min((notation.rindex("\n## ", 0, place) + 1 for place in places if place >= 0), default=None)
    section = f"## {titles.get(slug, slug.replace('-', ' ').capitalize())}\n\n```{{setting-symbols}} {slug}\n```\n"
    return f"{notation}\n{section}" if at is None else f"{notation[:at]}{section}\n{notation[at:]}"


def listed(toc: str, slug: str, plan: list[dict]) -> str:
    """The text of `_toc.yml` with the chapter in its place in the plan, or in a part of drafts at the end.

    Drafts get no numbers: the chapters of the plan have them all.
    """
    # Text, not a YAML dump, so that the file keeps its comments.
    for place, part in enumerate(plan):
        order = [chapter["slug"] for chapter in part["chapters"]]
        if slug in order:
            caption, numbered, after = f"{part['numeral']} · {part['name']}", "true", plan[place + 1 :]
            break
    else:
        caption, numbered, order, after = "Drafts", "false", [slug], []
    later = [ENTRY.format(other) for other in order[order.index(slug) + 1 :]]
    head = f"- caption: {caption}\n"
    if head in toc:
        start = toc.index(head)
        end = toc.find("\n- caption:", start) + 1 or len(toc)
        stops = [toc.index(entry, start, end) for entry in later if entry in toc[start:end]]
        at = min([*stops, end])
        return toc[:at] + ENTRY.format(slug) + toc[at:]
    following = [f"- caption: {part['numeral']} ·" for part in after] + ["- caption: Reference\n"]
    at = min(toc.index(line) for line in following if line in toc)
    return toc[:at] + f"{head}  numbered: {numbered}\n  chapters:\n{ENTRY.format(slug)}" + toc[at:]


if __name__ == "__main__":
    slug = " ".join(sys.argv[1:])
    if not slug:
        sys.exit("say which chapter: make new CHAPTER=my-chapter")
    try:
        written = new_chapter(slug)
    except ValueError as error:
        sys.exit(f"make new CHAPTER=slug: {error}")
    print(
        "\n".join(f"wrote {path.relative_to(ROOT)}" for path in written) + "\nNext:\n"
        f"  1. write; `make execute CHAPTER={slug}` runs it, `make lint` checks it\n"
        "  2. `make book` and read it"
    )
