"""Draw the miniature beside a chapter's title from the chapter's own picture.

    python book/_tools/vignette.py score-flow

Each is computed, by the library or, for score-flow, by the closed form that draws the cover
(`book/_static/landing.js`, which a test holds to the library). No axes, no text: the caption of the
chapter's own figure says what is seen.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

STATIC = Path(__file__).resolve().parents[1] / "_static"
SIZE = 224


def svg(*parts: str, height: int = SIZE) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {height}">{"".join(parts)}</svg>\n'


class Frame:
    """Data coordinates to the miniature's: a box `(x0, x1, y0, y1)` drawn in full width."""

    def __init__(self, x0, x1, y0, y1, height=SIZE):
        self.at = lambda x, y: ((x - x0) / (x1 - x0) * SIZE, (y1 - y) / (y1 - y0) * height)

    def lines(self, kind: str, curves) -> str:
        """One path of class `kind`: `curves` are pairs (x, y) of equally long sequences."""
        paths = []
        for x, y in curves:
            places = dict.fromkeys("{:.0f} {:.0f}".format(*self.at(*p)) for p in zip(x, y, strict=True))
            paths.append("M" + "L".join(places))
        return f'<path class="im-v-{kind}" d="{"".join(paths)}"/>'

    def dots(self, kind: str, points, radius: float) -> str:
        places = ["{:.0f} {:.0f}".format(*self.at(*p)).split() for p in points]
        return "".join(f'<circle class="im-v-{kind}" cx="{x}" cy="{y}" r="{radius}"/>' for x, y in places)


def score_flow() -> str:
    """The score flow at right angles: 11 x 11 starts, 10 points a line."""
    from py_mini_racer import MiniRacer

    engine = MiniRacer()
    engine.eval((STATIC / "landing.js").read_text(encoding="utf-8"))
    x0, x1, y0, y1 = box = (-0.62, 1.62, -0.62, 1.62)
    frame, paths = Frame(*box), {False: [], True: []}
    for i in range(121):
        # off the lines 0.5, where the flow cannot decide; shifted row by row as on the cover
        row, column = divmod(i, 11)
        x = x0 + 0.12 + (x1 - x0 - 0.24) * ((column + (row * 0.618) % 1) / 11)
        y = y0 + 0.12 + (y1 - y0 - 0.24) * (row + 0.5) / 11
        line = json.loads(engine.eval(f"JSON.stringify((l => [l.sum, ...l])"
                                      f"(Cover.trace({x}, {y}, Cover.edge(90))))"))
        ends_at_sum, coordinates = line[0], line[1:]
        kept = [round(k * (len(coordinates) // 2 - 1) / 9) for k in range(10)]
        paths[ends_at_sum].append(([coordinates[2 * k] for k in kept], [coordinates[2 * k + 1] for k in kept]))
    return svg(frame.lines("prefer", paths[False]), frame.lines("without", paths[True]),
               frame.dots("disc", [(0, 0), (1, 0), (0, 1)], 5), frame.dots("ring", [(1, 1)], 4.4))


def implicit_bias_multiclass() -> str:
    """Borders of three classes as gradient descent turns, at eleven times that triple, and the largest margin's."""
    from implicitly import margins
    from implicitly.figures.implicit_bias_multiclass import borders

    data = margins.sketch_classes("nearly touching")
    path = margins.descend(*data, "cross-entropy", at=[4 * 3**k for k in range(11)], step_size=0.02)

    def rays(W):
        return [ray.T.tolist() for ray in borders(W) if ray[0, 0] == ray[0, 0]]

    frame = Frame(-2.4, 2.4, -2.4, 2.4)
    best = margins.hard_margin_svm(*data).W
    return svg(frame.lines("without", [ray for W in path.W[:, 0] for ray in rays(W)]),
               frame.lines("prefer", rays(best)), frame.dots("disc", data[0][:, :2].tolist(), 3))


def stable_minima() -> str:
    """Fits of one noisy data set at a small step size and at a large one, the same time after the same starts."""
    import torch

    from implicitly import stability

    x = torch.linspace(-1, 1, 40, dtype=torch.float64)
    y = stability.noisy_labels((1 - 2 * x.abs()).clamp_min(0), 0.3, seeds=range(12))[7:8]
    start, grid = stability.initial_nets(100, seeds=range(12))[7], torch.linspace(-1, 1, 101, dtype=torch.float64)
    frame, parts = Frame(-1.03, 1.03, -0.8, 1.55, 170), []
    for kind, eta in (("without", 0.03), ("prefer", 0.2)):
        net = stability.gradient_descent(start, x, y, eta, round(20_000 / eta))
        parts.append(frame.lines(kind, [(grid, net(grid)[0])]))
    return svg(*parts, frame.dots("disc", zip(x, y[0], strict=True), 1.6), height=170)


def typical_nets() -> str:
    """Error of guess and check on 128 corners against the number of examples: 12 data sets, 2 and 32 neurons."""
    from implicitly import interpolators

    corners = interpolators.cube(7)
    labels = (corners[:, 0] == 1) & (corners[:, 1] == 1)
    samples = interpolators.draw_samples(128, 64, seeds=range(12))
    frame, parts = Frame(2, 56, -0.01, 0.38, 190), []
    for kind, width in (("without", 32), ("prefer", 2)):
        units = interpolators.relu_units(corners, scales=(0, 1))
        run = interpolators.guess_and_check(units, width, labels, samples, guesses=400_000, seed=width)
        curves = []
        for fits, errors in zip(run.fits, run.errors, strict=True):
            last = int((fits >= 20).nonzero().max())
            curves.append((range(4, last + 1, 2), errors[4 : last + 1 : 2].tolist()))
        parts.append(frame.lines(kind, curves))
    return svg(*parts, height=190)


def tempered_overfitting() -> str:
    """The two limits on the error, and the mean error of short descriptions of noisy labels."""
    import torch

    from implicitly import interpolators

    eps = torch.linspace(0, 0.5, 41, dtype=torch.float64)
    frame = Frame(-0.01, 0.51, -0.02, 0.54)
    parts = [frame.lines("prefer", [(eps, interpolators.independent_noise_error(eps)), (eps, eps)]),
             frame.lines("without", [(eps, interpolators.arbitrary_noise_bound(eps)), ([0, 0.5], [0.5, 0.5])])]
    for flipped, size in ((3, 60), (4, 36), (5, 24), (6, 20), (7, 18)):
        rules = [interpolators.shortest_hash(torch.arange(size) < flipped, seed=s) for s in range(16)]
        density = torch.tensor([rule.density for rule in rules])
        error = interpolators.noisy_error(density, torch.tensor(flipped / size)).mean()
        parts.append(frame.dots("disc", [(flipped / size, float(error))], 4))
    return svg(*parts)


def langevin_generalization() -> str:
    """The law of a parameter under Langevin dynamics in a tilted double well, at times that double."""
    import torch

    from implicitly import langevin

    x = torch.linspace(-2.4, 2.4, 49, dtype=torch.float64)
    start = torch.softmax(-((x + 0.4) ** 2) / 0.32, 0)
    energy = (x**2 - 1) ** 2 - 0.35 * x
    laws = langevin.diffusion_laws(energy, start, beta=4.0, spacing=0.1, first=0.004, doublings=15)[::2]
    frame = Frame(-2.1, 2.1, -0.1, 3.3)
    lift = 0.29
    top = len(laws) * lift
    curves = [(x, 6.5 * law + top - lift * (k + 1)) for k, law in enumerate(laws)]
    return svg(frame.lines("without", [(x, 6.5 * start + top)]), frame.lines("prefer", curves))


DRAWERS = {
    "implicit-bias-multiclass": implicit_bias_multiclass,
    "stable-minima": stable_minima,
    "typical-nets": typical_nets,
    "tempered-overfitting": tempered_overfitting,
    "langevin-generalization": langevin_generalization,
    "score-flow": score_flow,
}


def main(arguments: list[str]) -> int:
    for slug in arguments or sorted(DRAWERS):
        path = STATIC / "vignettes" / f"{slug}.svg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(DRAWERS[slug](), encoding="utf-8")
        print(f"{path.name}  {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
