"""Take the README's picture of a chapter from the built book.

Run `make book` first, then `.venv/bin/python book/_tools/readme_picture.py [slug]`: writes
`book/_static/readme-chapter.png`, the chapter's opener above its explorer, in light mode.
"""

import io
import sys

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from ensure_chromium import find
from paths import ROOT

PICTURE = ROOT / "book/_static/readme-chapter.png"
MOST_BYTES = 300_000
WIDTH, MARGIN = 1440, 40  # CSS pixels: the window, the space around what is shown


def shots(page, slug: str) -> list[Image.Image]:
    """The top of the chapter, and its first explorer with the text above it."""
    page.goto((ROOT / f"_build/html/chapters/{slug}.html").as_uri(), wait_until="networkidle")
    page.evaluate("document.fonts.ready")
    explorer = page.locator("[data-im-explorer]").first
    explorer.scroll_into_view_if_needed()
    expect(explorer).to_have_attribute("data-im-ready", "static")
    page.evaluate("scrollTo(0, 0)")
    text = explorer.bounding_box()  # as wide as the wide column: the sidebar stays out
    across = {"x": text["x"] - MARGIN, "width": text["width"] + 2 * MARGIN}
    down = {"y": text["y"] - MARGIN / 2, "height": text["height"] + MARGIN}
    facts = page.locator(".im-facts").bounding_box()
    clips = [{"y": 0, "height": facts["y"] + facts["height"] + MARGIN}, down]
    taken = [page.screenshot(clip=across | clip, full_page=True) for clip in clips]
    return [Image.open(io.BytesIO(shot)).convert("RGB") for shot in taken]


def main(slug: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, device_scale_factor=1)
        parts = shots(page, slug)
        browser.close()
    whole = Image.new("RGB", (parts[0].width, sum(part.height for part in parts)))
    top = 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    whole.quantize(128, method=Image.Quantize.FASTOCTREE, dither=0).save(PICTURE, optimize=True)
    size = PICTURE.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{PICTURE.name} has {size} bytes, more than {MOST_BYTES}")
    print(f"{PICTURE.relative_to(ROOT)}, {size // 1000} kB")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "score-flow")
