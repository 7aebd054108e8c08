"""Cut the book's fonts from their npm packages.

    npm install --prefix DIR @fontsource-variable/newsreader@5.2.10 ...   (versions: PACKAGES)
    python book/_tools/cut_fonts.py DIR/node_modules

Writes `book/_static/fonts/` (woff2, for the page), `book/_static/vendor/katex/` (maths) and
`lib/implicitly/fonts/` (static TTF, for matplotlib), each with the licence of what it holds.
A reader never runs this: the cut files are committed.  Run it again to change a character set.

Each text face comes in three files with disjoint `unicode-range`s, so that a page fetches the
second and third only when an author's name needs them: Basic Latin with the usual punctuation,
accented Latin-1, and Latin Extended-A.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib import instancer

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "book/_static/fonts"
KATEX = ROOT / "book/_static/vendor/katex"
FIGURES = ROOT / "lib/implicitly/fonts"

PACKAGES = (
    "@fontsource-variable/newsreader",
    "@fontsource-variable/hanken-grotesk",
    "@fontsource/ibm-plex-mono",
    "katex",
)

# NBSP, times, plus-minus, degree, middle dot, section, guillemets, dashes, quotes, bullet,
# ellipsis, primes, minus
PUNCTUATION = [0xA0, 0xA7, 0xA9, 0xAB, 0xB0, 0xB1, 0xB7, 0xBB, 0xD7, 0x2009, 0x200A, 0x2010, 0x2011,
               0x2012, 0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2026, 0x202F,
               0x2032, 0x2033, 0x2212]
BASIC = [*range(0x20, 0x7F), *PUNCTUATION]
LATIN1 = [c for c in range(0xC0, 0x100) if c not in (0xD7, 0xF7)]
EXTENDED = list(range(0x100, 0x180))
# what a chapter's plain maths takes from the AMS font: blackboard capitals and common relations
AMS = [*range(0x41, 0x5B), 0x6B, 0x2A7D, 0x2A7E, 0x2272, 0x2273, 0x225C, 0x2205, 0x2216, 0x25A1,
       0x25A0, 0x2234, 0x2235, 0x21BE, 0x22A8, 0x2268, 0x2269, 0x2288, 0x228A, 0x221D]


def reload(font: TTFont) -> TTFont:
    """Save and read back: subsetting straight after `instancer` breaks `gvar`."""
    buffer = io.BytesIO()
    font.flavor = None
    font.save(buffer)
    buffer.seek(0)
    return TTFont(buffer)


def subset(font: TTFont, unicodes, *, features=None) -> TTFont | None:
    """`font` with only `unicodes`, unhinted; None where it has none of them."""
    have = set(font.getBestCmap())
    wanted = have & set(unicodes) if unicodes is not None else have
    if not wanted:
        return None
    font = reload(font)
    options = Options()
    options.hinting = False
    options.layout_features = features or ["kern", "liga", "tnum", "mark", "mkmk", "ccmp", "locl"]
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    options.notdef_outline = True
    cutter = Subsetter(options)
    cutter.populate(unicodes=wanted)
    cutter.subset(font)
    return font


def write(font: TTFont | None, path: Path, flavor: str | None = "woff2") -> None:
    if font is None:
        return
    font.flavor = flavor
    # the packages' own dates would change on every run
    font["head"].modified = font["head"].created
    font.recalcTimestamp = False
    font.save(path)
    print(f"{path.relative_to(ROOT)}  {path.stat().st_size:,} bytes")


def text_faces(modules: Path) -> None:
    newsreader = modules / "@fontsource-variable/newsreader/files"
    hanken = modules / "@fontsource-variable/hanken-grotesk/files"
    plex = modules / "@fontsource/ibm-plex-mono/files"
    faces = {
        "text": (newsreader, "newsreader-{}-opsz-normal.woff2", {"opsz": 16, "wght": (400, 600)}),
        "italic": (newsreader, "newsreader-{}-opsz-italic.woff2", {"opsz": 18, "wght": 400}),
        "display": (newsreader, "newsreader-{}-opsz-normal.woff2", {"opsz": 60, "wght": 480}),
        "sans": (hanken, "hanken-grotesk-{}-wght-normal.woff2", {"wght": (400, 600)}),
        "mono": (plex, "ibm-plex-mono-{}-400-normal.woff2", None),
    }
    for name, (folder, pattern, axes) in faces.items():
        for part, source, codes in (("", "latin", BASIC), ("-latin1", "latin", LATIN1),
                                    ("-ext", "latin-ext", EXTENDED)):
            font = TTFont(folder / pattern.format(source))
            if axes:
                font = instancer.instantiateVariableFont(font, axes)
            write(subset(font, codes), PAGE / f"{name}{part}.woff2")
    for package, licence in (("@fontsource-variable/newsreader", "OFL-Newsreader.txt"),
                             ("@fontsource-variable/hanken-grotesk", "OFL-HankenGrotesk.txt"),
                             ("@fontsource/ibm-plex-mono", "OFL-IBMPlexMono.txt")):
        shutil.copyfile(modules / package / "LICENSE", PAGE / licence)


def maths(modules: Path) -> None:
    (KATEX / "fonts").mkdir(exist_ok=True)
    css = (modules / "katex/dist/katex.min.css").read_text()
    # woff2 alone: every browser that runs our scripts reads it
    css = re.sub(r',url\(fonts/[^)]*\.(?:woff|ttf)\) format\("[a-z]+"\)', "", css)
    for file in sorted((modules / "katex/dist/fonts").glob("*.woff2")):
        font = TTFont(file)
        everything = set(font.getBestCmap())
        if file.stem != "KaTeX_AMS-Regular":
            write(subset(font, everything, features=["*"]), KATEX / "fonts" / file.name)
            continue
        common = everything & set(AMS)
        write(subset(font, common, features=["*"]), KATEX / "fonts" / file.name)
        rest = everything - common
        write(subset(font, rest, features=["*"]), KATEX / "fonts/KaTeX_AMS-rest.woff2")
        face = re.search(r"@font-face\{[^}]*KaTeX_AMS-Regular[^}]*\}", css).group(0)
        ranges = lambda codes: ",".join(f"U+{c:X}" for c in sorted(codes))  # noqa: E731
        cut = face[:-1] + f";unicode-range:{ranges(common)}}}"
        rest_face = face.replace("AMS-Regular.woff2", "AMS-rest.woff2")[:-1]
        css = css.replace(face, cut + rest_face + f";unicode-range:{ranges(rest)}}}")
    css = css.replace("@font-face{", "@font-face{font-display:block;")
    css = css.replace("font-display:block;font-display:block;", "font-display:block;")
    (KATEX / "katex.css").write_text(css)
    version = json.loads((modules / "katex/package.json").read_text())["version"]
    (KATEX / "VERSION").write_text(version + "\n")
    shutil.copyfile(modules / "katex/LICENSE", KATEX / "LICENSE")
    vendor = ROOT / "book/_ext/vendor"
    vendor.mkdir(exist_ok=True)
    shutil.copyfile(modules / "katex/dist/katex.min.js", vendor / "katex.min.js")
    shutil.copyfile(modules / "katex/LICENSE", vendor / "LICENSE-katex")


def figure_faces(modules: Path) -> None:
    """Static TTFs under a family name of our own: matplotlib cannot read a variable font."""
    source = modules / "@fontsource-variable/hanken-grotesk/files"
    for weight, style in ((400, "Regular"), (600, "SemiBold")):
        font = TTFont(source / "hanken-grotesk-latin-wght-normal.woff2")
        font = instancer.instantiateVariableFont(font, {"wght": weight})
        font = subset(font, [*BASIC, *LATIN1], features=["kern", "liga", "mark", "ccmp"])
        names = {1: "Implicitly Sans", 2: "Regular", 4: f"Implicitly Sans {style}",
                 6: f"ImplicitlySans-{style}", 16: "Implicitly Sans", 17: style}
        for record in list(font["name"].names):
            if record.nameID in (3, 16, 17, 25):
                font["name"].removeNames(nameID=record.nameID)
        for name_id, value in names.items():
            font["name"].setName(value, name_id, 3, 1, 0x409)
            font["name"].setName(value, name_id, 1, 0, 0)
        font["OS/2"].usWeightClass = weight
        write(font, FIGURES / f"ImplicitlySans-{style}.ttf", None)
    shutil.copyfile(modules / "@fontsource-variable/hanken-grotesk/LICENSE", FIGURES / "OFL.txt")


def wordmark(modules: Path) -> None:
    """The word in the display face as outlines; the i's dots are a disc and a ring of our own."""
    from fontTools.pens.boundsPen import BoundsPen
    from fontTools.pens.svgPathPen import SVGPathPen
    from fontTools.pens.transformPen import TransformPen

    source = modules / "@fontsource-variable/newsreader/files/newsreader-latin-opsz-normal.woff2"
    font = instancer.instantiateVariableFont(TTFont(source), {"opsz": 72, "wght": 460})
    glyphs, names, advance = font.getGlyphSet(), font.getBestCmap(), font["hmtx"]
    kerning = _kerning(font)
    scale, x, paths, dots, before = 100 / font["head"].unitsPerEm, 0, [], [], None
    for letter in "Impl\u0131c\u0131tly":
        name = names[ord(letter)]
        x += kerning.get((before, name), 0)
        pen = SVGPathPen(glyphs, lambda v: f"{v:.1f}".rstrip("0").rstrip(".") or "0")
        glyphs[name].draw(TransformPen(pen, (scale, 0, 0, -scale, x * scale, 80)))
        paths.append(pen.getCommands())
        if letter == "\u0131":
            box, dotted = BoundsPen(glyphs), BoundsPen(glyphs)
            glyphs[name].draw(box)
            glyphs[names[ord("i")]].draw(dotted)
            # the stem's middle: left of the box's, because of the foot's serifs
            dots.append(((x + (box.bounds[0] + box.bounds[2]) / 2) * scale,
                         80 - (dotted.bounds[3] - 130) * scale))
        x += advance[name][0]
        before = name
    (ax, ay), (bx, by) = dots
    drawing = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="2 8 {x * scale - 4:.0f} 96" '
               f'aria-hidden="true" focusable="false"><path fill="currentColor" d="{"".join(paths)}"/>'
               f'<circle class="im-w-disc" cx="{ax:.1f}" cy="{ay:.1f}" r="6.6"/>'
               f'<circle class="im-w-ring" cx="{bx:.1f}" cy="{by:.1f}" r="5.2"/></svg>\n')
    (ROOT / "book/_static/wordmark.svg").write_text(drawing)
    print(f"book/_static/wordmark.svg  {len(drawing):,} bytes")


def _kerning(font: TTFont) -> dict:
    """Pair adjustments of a font's `kern` feature, as far as glyph pairs and classes go."""
    pairs: dict = {}
    if "GPOS" not in font:
        return pairs
    table = font["GPOS"].table
    wanted = {i for f in table.FeatureList.FeatureRecord if f.FeatureTag == "kern"
              for i in f.Feature.LookupListIndex}
    letters = [font.getBestCmap()[ord(c)] for c in "Impl\u0131ctly"]
    for index in sorted(wanted):
        for sub in table.LookupList.Lookup[index].SubTable:
            sub = getattr(sub, "ExtSubTable", sub)
            if sub.LookupType != 2:
                continue
            for a in letters:
                if a not in sub.Coverage.glyphs:
                    continue
                for b in letters:
                    value = None
                    if sub.Format == 1:
                        records = sub.PairSet[sub.Coverage.glyphs.index(a)].PairValueRecord
                        value = next((r.Value1 for r in records if r.SecondGlyph == b), None)
                    else:
                        record = sub.Class1Record[sub.ClassDef1.classDefs.get(a, 0)]
                        value = record.Class2Record[sub.ClassDef2.classDefs.get(b, 0)].Value1
                    if value is not None and getattr(value, "XAdvance", 0):
                        pairs.setdefault((a, b), value.XAdvance)
    return pairs


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not (Path(arguments[0]) / PACKAGES[0]).is_dir():
        print(__doc__)
        print("packages:", *PACKAGES)
        return 2
    for folder in (PAGE, KATEX, FIGURES):
        folder.mkdir(parents=True, exist_ok=True)
    modules = Path(arguments[0])
    text_faces(modules)
    maths(modules)
    figure_faces(modules)
    wordmark(modules)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
