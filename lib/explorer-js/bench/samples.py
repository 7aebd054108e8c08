"""Explorers that show every view at the size of the book's largest, and a bare page to put them on.

Used by the benchmark (``bench.py``) and by the tests; the numbers mean nothing else.
"""

import importlib.util
import json
from pathlib import Path

import numpy as np

from implicitly.explorer import (
    Bars,
    Choice,
    Explorer,
    Field,
    Heatmap,
    Lines,
    Panel,
    Points,
    Predict,
    Rule,
    Slider,
    Trajectories,
)

ROOT = Path(__file__).resolve().parents[3]
PATHS, STEPS = 220, 32


def flow(kind, sigma_T, sigma_0, angle):
    """Score or probability flow of three points in the plane (chapter score-flow, closed form)."""
    edges = np.array([[1.0, 0.0], [np.cos(np.radians(angle)), np.sin(np.radians(angle))]])
    x = np.random.default_rng(0).normal(0.5, 0.55, (PATHS, 2))
    fine = 320
    paths = np.empty((PATHS, STEPS, 2))
    rho = sigma_T
    for k in range(fine):
        if k % (fine // STEPS) == 0:
            paths[:, k // (fine // STEPS)] = x
        if kind == "probability":
            rho = sigma_T * (sigma_0 / sigma_T) ** (k / fine)
            dt = np.log(sigma_T / sigma_0) / fine
        else:
            dt = 14 / fine
        z = x @ edges.T
        ramp = (np.maximum(z - rho, 0) - np.maximum(z - 1 + rho, 0)) / (1 - 2 * rho)
        x = x + dt * (ramp @ edges - x)
    corners = np.array([[0, 0], edges[0], edges[1], edges.sum(0)])
    near = np.linalg.norm(x[:, None] - corners, axis=2)
    which = np.where(near.min(1) < 0.06, np.argmin(near, 1), 4)
    kinds = np.array([0, 0, 0, 1, 2])[which]
    return {
        "paths": paths,
        "kinds": kinds,
        "corners": corners,
        "corner_kinds": np.array([0, 0, 0, 1]),
        "share": np.bincount(kinds, minlength=3) / PATHS,
    }


def clock():
    return Explorer(
        lambda flow_, sigma_T, sigma_0, angle: flow(flow_, sigma_T, sigma_0, angle),
        [
            Choice("flow_", ["score", "probability"], label="Flow"),
            Slider(
                "sigma_T",
                [0.1, 0.2, 0.3],
                default=0.2,
                label=r"Noise at the start, $\sigma_T$",
                format=".2f",
                lookup="nearest",
            ),
            Slider(
                "sigma_0",
                [0.001, 0.01, 0.1],
                default=0.01,
                label=r"Noise at the end, $\sigma_0$",
                format=".3f",
                scale="log",
                lookup="nearest",
                enabled_when={"flow_": "probability"},
            ),
            Slider("angle", [90, 94, 120], default=94, label="Angle between the edges", unit="°"),
            Slider("time", range(11), default=10, label="Time, $t$", format=".1f", frames=True),
        ],
        Panel(
            Trajectories("paths", "kinds", colors=(1, 0, 5), until="time"),
            Points("corners", "corner_kinds", colors=(1, 0), hollow=(1,)),
            xgrid=[0, 1],
            ygrid=[0, 1],
            xlim=(-1, 1.9),
            ylim=(-0.7, 1.9),
            equal=True,
        ),
        side=Bars(
            "share",
            labels=("training point", "sum of training points", "neither: stopped between"),
            colors=(1, 0, 5),
            limits=(0, 1),
            format=".0%",
            title=f"Where {PATHS} starts end",
        ),
        title="Three points, one clock",
        alt="Paths of 220 points flow to four corners of a rhombus; three are data, one is their sum.",
        caption="Filled points are data; the hollow one is their sum.",
        summary="{share[0]:.0%} of the starts end at a training point, {share[1]:.0%} at a sum.",
        animate="time",
    )


def curves():
    t = np.geomspace(1, 1e4, 120)

    def compute(eta, noise):
        loss = np.exp(-eta * t) + noise**2
        seeds = loss * np.exp(0.2 * np.random.default_rng(1).normal(size=(3, t.size)))
        seeds[:, 60:64] = np.nan
        return {"t": t, "theory": loss, "seeds": seeds, "sharp": 2 / eta}

    return Explorer(
        compute,
        [
            Slider("eta", np.geomspace(1e-3, 1, 7), label=r"Step size, $\eta$", scale="log", format=".1e"),
            Slider("noise", [0.01, 0.03, 0.1], label=r"Noise, $\varepsilon$", scale="log"),
        ],
        [
            Panel(
                Lines(
                    "t", ["theory", "seeds"], labels=["theory", "three seeds"], colors=(5, 1), marks=("line", "dots")
                ),
                x=r"step, $t$",
                y=r"loss, $L(t)$",
                xscale="log",
                yscale="log",
                title="Loss",
            ),
            Panel(
                Lines("t", "theory", colors=(0,)),
                Rule("sharp", label=r"$2/\eta$"),
                x=r"step, $t$",
                y="sharpness",
                xscale="log",
                yscale="log",
                title="Sharpness",
            ),
        ],
        title="Loss over time",
        alt="Loss falls over four decades of steps and then levels off.",
        summary=r"The edge of stability is at {sharp:.3g}.",
    )


def field():
    axis = np.linspace(-2, 2, 25)
    x, y = np.meshgrid(axis, axis)

    def compute(bend):
        uv = np.stack([y, -bend * np.sin(x) - 0.3 * y], axis=-1)
        path = np.random.default_rng(2).uniform(-2, 2, (20, 2))
        paths = [path]
        for _ in range(99):
            q, p = path.T
            path = path + 0.05 * np.stack([p, -bend * np.sin(q) - 0.3 * p], axis=-1)
            paths.append(path)
        return {"uv": uv, "paths": np.stack(paths, axis=1)}

    return Explorer(
        compute,
        [Slider("bend", [0.5, 1.0, 1.5, 2.0], label="Stiffness", format=".2f")],
        Panel(
            Field("uv", (-2, 2), (-2, 2)),
            Trajectories("paths", 1, width=1.5),
            equal=True,
            x="angle",
            y="speed",
            xlim=(-2.2, 2.2),
            ylim=(-2.2, 2.2),
        ),
        title="A field",
        alt="Arrows turn around the origin and twenty paths spiral into it.",
    )


def heat():
    axis = np.linspace(-1, 1, 64)
    x, y = np.meshgrid(axis, axis)

    def compute(k, data):
        z = np.sin(k * x + y) * np.cos(k * y)
        labels = (z > 0.3).astype(int) + (z > -0.3)
        points = np.random.default_rng(3).uniform(-1, 1, (60, 2))
        return {"z": z, "region": labels, "points": points, "kind": (points[:, 0] > 0) * 1}

    return Explorer(
        compute,
        [
            Slider("k", [1.0, 2.0, 3.0], label="Wave number, $k$", format=".1f"),
            Choice("data", {"a": "one", "b": "two"}),
        ],
        [
            Panel(Heatmap("z", (-1, 1), (-1, 1), "diverging", label="height"), title="Height", x="$x$", y="$y$"),
            Panel(Heatmap("z", (-1, 1), (-1, 1), label="height"), title="Sequential"),
            Panel(
                Heatmap("region", (-1, 1), (-1, 1), (0, 1, 2), labels=("low", "middle", "high")),
                Points("points", "kind", colors=(3, 5), hollow=(1,), marker=None, labels=("left", "right")),
                title="Regions",
                equal=True,
            ),
        ],
        title="Three maps of one function",
        alt="Waves in the unit square, as height, as shade and as three regions.",
    )


def cloud():
    def compute(spread):
        points = np.random.default_rng(4).normal(0, spread, (1000, 2))
        return {"points": points, "kind": (np.abs(points).max(1) > 1).astype(int)}

    return Explorer(
        compute,
        [Slider("spread", [0.2, 0.5, 1.0], format=".2f", label="Spread")],
        Panel(Points("points", "kind", colors=(1, 0), hollow=(1,), size=3), equal=True, xlim=(-3, 3), ylim=(-2.5, 2.5)),
        title="A cloud",
        alt="A thousand points around the origin.",
    )


def bars():
    edges = np.linspace(-3, 3, 41)
    centres = (edges[1:] + edges[:-1]) / 2

    def compute(beta):
        times = np.linspace(0.05, 1, 6)[:, None]
        density = np.exp(-beta * centres**2 / (2 * times)) / np.sqrt(2 * np.pi * times / beta)
        return {"density": density, "budget": np.array([beta, 2 * beta, 0.5]), "x": centres, "end": density[-1]}

    return Explorer(
        compute,
        [
            Slider("beta", [0.5, 1, 2, 4], scale="log", label=r"Inverse temperature, $\beta$", lookup="linear"),
            Slider("t", np.linspace(0.05, 1, 6), default=0.05, label="Time, $t$", format=".2f", frames=True),
        ],
        [
            Panel(
                Bars("density", edges=edges, colors=0, over="t"),
                Lines("x", "end", labels=["in the end"], colors=(1,)),
                x="$x$",
                y="density",
            ),
            Panel(Bars("budget", labels=["KL", "bound", "gap"], colors=(0, 1, 2)), y="nats"),
        ],
        title="Towards equilibrium",
        alt="A narrow histogram widens towards a bell curve.",
        animate="t",
    )


def asking():
    """Two explorers that ask first: for one of three answers, and for a number."""
    t = np.linspace(0, 4, 40)
    common = {"view": Panel(Lines("t", "y"), x="time, $t$", y="what is left"), "alt": "A curve falls."}

    def compute(rate):
        return {"t": t, "y": np.exp(-rate * t)}

    def controls():
        return [
            Slider("rate", [0.5, 1.0, 2.0], label=r"Rate, $\lambda$", format=".1f"),
            Choice("kind", ["one", "two"], label="Kind"),
        ]

    which = Predict(
        r"Which way does what is left at $t=1$ move when $\lambda$ grows?",
        "down",
        choices=["up", "down", "it stays"],
        because=r"It is $\exp(-\lambda)$.",
    )
    number = Predict("What share is left at the end?", np.exp(-4), tolerance=0.005, format=".1%", because="Four lives.")
    return [
        Explorer(lambda rate, kind: compute(rate), controls(), title=title, predict=predict, **common)
        for title, predict in (("A choice", which), ("A number", number))
    ]


def tall():
    """Four panels in two rows, with all that can be written around them."""
    t = np.linspace(0, 4, 40)

    def compute(rate, kind, size):
        return {"t": t, "y": np.exp(-rate * t)}

    panels = [
        Panel(Lines("t", "y", labels=["y"]), title=f"Picture {k}", x="time, $t$", y="what is left", aspect=aspect)
        for k, aspect in enumerate((1.0, 1.0, 1.25, 1.25))
    ]
    return Explorer(
        compute,
        [Slider("rate", [0.5, 1.0]), Choice("kind", ["one", "two"]), Choice("size", ["one", "two"])],
        panels,
        title="Four pictures",
        alt="Four curves fall.",
        columns=2,
    )


SAMPLES = {f.__name__: f for f in (clock, curves, field, heat, cloud, bars)}


def extension():
    """``book/_ext/explorer.py``, loaded by its path."""
    spec = importlib.util.spec_from_file_location("book_explorer", ROOT / "book/_ext/explorer.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def output(explorer):
    """An explorer's output as a notebook stores it."""
    data, metadata = explorer._repr_mimebundle_()
    return json.loads(json.dumps({"data": data, "metadata": metadata}))


def write_page(folder, explorers, theme="light", style=""):
    """A bare static page, made by the book's own extension. Returns its path."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    book = extension()

    for name, content in book.assets().items():
        (folder / name).write_bytes(content)
    body = "".join(book.expand(output(e), book.placer(folder, "")) for e in explorers)
    page = (
        f'<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Explorers</title>'
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="explorer.css">'
        "<style>html{background:#fbfaf7}html[data-theme=dark]{background:#15151a;color:#e6e4ec}"
        f"body{{margin:1.25rem auto;max-width:872px;padding:0 1.25rem}}{style}</style>"
        '<script defer src="explorer.js"></script></head><body><main><h1>Explorers</h1>'
        f'{body}<h2 id="after">After</h2></main></body></html>'
    )
    path = folder / f"{theme}.html"
    path.write_text(page, encoding="utf-8")
    return path
