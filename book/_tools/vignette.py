"""Draw the miniature beside a chapter's title from the chapter's own picture.

    python book/_tools/vignette.py score-flow

score-flow: the score flow at right angles, traced by the closed form that draws the cover
(`book/_static/landing.js`, which a test holds to the library), 11 x 11 starts, 10 points a line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

STATIC = Path(__file__).resolve().parents[1] / "_static"
SIZE, BOX = 224, (-0.62, 1.62, -0.62, 1.62)


def score_flow() -> str:
    from py_mini_racer import MiniRacer

    engine = MiniRacer()
    engine.eval((STATIC / "landing.js").read_text(encoding="utf-8"))
    x0, x1, y0, y1 = BOX
    scale = SIZE / (x1 - x0)

    def point(x, y):
        return f"{(x - x0) * scale:.0f} {(y1 - y) * scale:.0f}"

    paths = {False: [], True: []}
    for i in range(121):
        # off the lines 0.5, where the flow cannot decide; shifted row by row as on the cover
        row, column = divmod(i, 11)
        x = x0 + 0.12 + (x1 - x0 - 0.24) * ((column + (row * 0.618) % 1) / 11)
        y = y0 + 0.12 + (y1 - y0 - 0.24) * (row + 0.5) / 11
        line = json.loads(engine.eval(f"JSON.stringify((l => [l.sum, ...l])"
                                      f"(Cover.trace({x}, {y}, Cover.edge(90))))"))
        ends_at_sum, coordinates = line[0], line[1:]
        points = list(zip(coordinates[::2], coordinates[1::2], strict=True))
        kept = [points[round(k * (len(points) - 1) / 9)] for k in range(10)]
        places = list(dict.fromkeys(point(*p) for p in kept))
        paths[ends_at_sum].append("M" + "L".join(places))
    dots = "".join(f'<circle cx="{(x - x0) * scale:.0f}" cy="{(y1 - y) * scale:.0f}" r="5"/>'
                   for x, y in ((0, 0), (1, 0), (0, 1)))
    ring = f'<circle class="im-v-ring" cx="{(1 - x0) * scale:.0f}" cy="{(y1 - 1) * scale:.0f}" r="4.4"/>'
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}">'
            f'<path class="im-v-prefer" d="{"".join(paths[False])}"/>'
            f'<path class="im-v-without" d="{"".join(paths[True])}"/>'
            f'<g class="im-v-disc">{dots}</g>{ring}</svg>\n')


DRAWERS = {"score-flow": score_flow}


def main(arguments: list[str]) -> int:
    for slug in arguments or sorted(DRAWERS):
        path = STATIC / "vignettes" / f"{slug}.svg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(DRAWERS[slug](), encoding="utf-8")
        print(f"{path.name}  {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
