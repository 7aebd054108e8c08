"""The cut fonts hold every character that the book's pages set in them."""

import html
import json
import re
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

ROOT = Path(__file__).parents[2]
FONTS = ROOT / "book/_static/fonts"
KATEX = ROOT / "book/_static/vendor/katex/fonts"
SYMBOLS = "vendor/katex/fonts/KaTeX_Main-Regular.woff2"
TOKENS = (ROOT / "book/_static/tokens.css").read_text(encoding="utf-8")


def characters(*files: Path) -> set[int]:
    return set().union(*(TTFont(file).getBestCmap() for file in files))


def declared() -> dict[str, set[int]]:
    """File -> the characters that the style sheet takes from it."""
    found = {}
    for file, ranges in re.findall(r"@font-face\{[^}]*url\(([^)]+)\)[^}]*unicode-range:([^}]+)\}", TOKENS):
        spans = [part.strip().removeprefix("U+").partition("-") for part in ranges.split(",")]
        found[file] = {code for low, _, high in spans for code in range(int(low, 16), int(high or low, 16) + 1)}
    return found


def face(name: str) -> set[int]:
    """Characters of a text face with its two supplements, and what the maths font behind it adds."""
    symbols = characters(KATEX / "KaTeX_Main-Regular.woff2") & declared()[SYMBOLS]
    return characters(*FONTS.glob(f"{name}*.woff2")) | symbols


SERIF, SANS, MONO = face("text"), face("sans"), characters(*FONTS.glob("mono*.woff2"))
IGNORED = {0x0A, 0x0D, 0x09, 0x200B, 0x2061}


def missing(text: str, have: set[int]) -> str:
    return " ".join(sorted({f"{c!r} (U+{ord(c):04X})" for c in text if ord(c) not in have | IGNORED}))


def without_maths_and_code(source: str) -> tuple[str, str]:
    """(prose, code) of a MyST source; formulas are KaTeX's matter."""
    code = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", source)
    source = re.sub(r"^```.*?^```", " ", source, flags=re.S | re.M)
    source = re.sub(r"(?<!`)`[^`\n]+`(?!`)", " ", source)
    source = re.sub(r"\$\$.*?\$\$|(?<!\\)\$[^$]*\$|\\begin\{(\w+\*?)\}.*?\\end\{\1\}", " ", source, flags=re.S)
    return source, " ".join(code)


def sources():
    return [*sorted((ROOT / "chapters").glob("*.md")), *sorted((ROOT / "book").glob("*.md"))]


@pytest.mark.parametrize("path", sources(), ids=lambda p: p.stem)
def test_prose_is_in_the_text_face(path):
    prose, code = without_maths_and_code(path.read_text(encoding="utf-8"))
    assert not missing(prose, SERIF)
    assert not missing(code, MONO)


@pytest.mark.parametrize("path", sorted((ROOT / "chapters").glob("*.ipynb")), ids=lambda p: p.stem)
def test_code_and_printed_text_are_in_the_mono_face(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert not missing("".join(cell["source"]), MONO)
        for output in cell["outputs"]:
            assert not missing("".join(output.get("text", "")), MONO)
            data = output.get("data", {})
            if "text/html" in data:
                shown = re.sub(r"<script.*?</script>|<[^>]+>", " ", "".join(data["text/html"]), flags=re.S)
                assert not missing(html.unescape(shown), SANS & SERIF)


def test_references_are_in_the_text_face():
    assert not missing((ROOT / "book/references.bib").read_text(encoding="utf-8"), SERIF)


def test_the_check_sees_a_missing_character():
    assert missing("an arrow in Devanagari: \u0915", SERIF) == "'\u0915' (U+0915)"


def test_unicode_ranges_cover_each_file_and_do_not_overlap():
    rules = declared()
    letters = set(map(ord, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,"))
    assert not rules.pop(SYMBOLS) & letters, "text would be set in the maths font until its own face has come"
    assert len(rules) == len(list(FONTS.glob("*.woff2")))
    spans = {}
    for file, codes in rules.items():
        assert characters(ROOT / "book/_static" / file) <= codes, file
        spans.setdefault(Path(file).stem.split("-")[0], []).append(codes)
    for name, parts in spans.items():
        assert not (parts[0] & parts[1] or parts[1] & parts[2] or parts[0] & parts[2]), name


def test_weights_of_the_fonts():
    # what a page in English fetches: roman, italic, display, sans, mono
    basic = {p.stem: p.stat().st_size for p in FONTS.glob("*.woff2") if "-" not in p.stem}
    assert set(basic) == {"text", "italic", "display", "sans", "mono"}
    assert sum(basic.values()) < 72_000, basic
    assert (KATEX / "KaTeX_AMS-Regular.woff2").stat().st_size < 9_000


def test_licences_are_beside_the_fonts():
    for folder, names in ((FONTS, ("OFL-Newsreader.txt", "OFL-HankenGrotesk.txt", "OFL-IBMPlexMono.txt")),
                          (ROOT / "lib/implicitly/fonts", ("OFL.txt",))):  # fmt: skip
        for name in names:
            assert "SIL OPEN FONT LICENSE" in (folder / name).read_text(encoding="utf-8").upper()
