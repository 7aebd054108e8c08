"""Valid calls of `implicitly.plotting` and of what draws the flows, `implicitly.figures.score_flow`."""

import math

import torch
from matplotlib.figure import Figure

from calls import Call


def axes():
    return Figure().subplots()


def places(*shape):
    return torch.linspace(0, 1, math.prod(shape)).reshape(shape)


def dots(**more):
    return dict(ax=axes(), x=[0.0, 1.0], y=[1.0, 2.0], size=9.0, color="#b5450b") | more


FREE = "rows empty dtype ints list nonfinite"  # of coordinates
PAIR = "list ints sign zero"
DOTS = Call(dots, accepts={"x": "sign nonfinite", "y": "sign nonfinite", "size": "size"})

CALLS = {
    "implicitly.plotting.settings": Call(dict),
    "implicitly.plotting.theory": Call(dict),
    "implicitly.plotting.line": Call(lambda: dict(index=1), accepts={"index": "zero"}),
    "implicitly.plotting.points": Call(lambda: dict(index=5), accepts={"index": "zero"}),
    "implicitly.plotting.disc": DOTS,
    "implicitly.plotting.ring": DOTS,
    "implicitly.plotting.diagram": Call(
        lambda: dict(ax=axes(), title="A", note="b", xlim=(0.0, 1.0), ylim=(0.0, 2.0)),
        accepts={"xlim": PAIR, "ylim": PAIR},
        skip={"title": "any text", "note": "any text"},
    ),
    "implicitly.plotting.arrow": Call(
        lambda: dict(ax=axes(), start=(0.0, 0.0), end=(1.0, 2.0), color="#b5450b", bend=0.1, gap=3.0),
        accepts={"start": PAIR, "end": PAIR, "bend": "sign zero size", "gap": "zero size"},
    ),
    "implicitly.plotting.path": Call(
        lambda: dict(ax=axes(), x=[0.0, 1.0, 2.0], y=[1.0, 2.0, 3.0], color="#b5450b", hollow=False, heads=1),
        accepts={"x": "list ints sign", "y": "list ints sign", "heads": "zero large", "hollow": "bool"},
    ),
    "implicitly.plotting.region": Call(
        lambda: dict(ax=axes(), x=[0.0, 1.0, 2.0], y=[1.0, 2.0, 0.0]),
        accepts={"x": "list ints sign", "y": "list ints sign"},
    ),
    "implicitly.plotting.network": Call(
        lambda: dict(ax=axes(), sizes=[2, 3, 1], at=(0.0, 1.0), width=2.0, height=1.0),
        accepts={"sizes": "rows list", "at": PAIR, "width": "ints size", "height": "ints size"},
    ),
    "implicitly.plotting.threshold_unit": Call(
        lambda: dict(ax=axes(), at=(1.0, 1.0), inputs=places(3, 2), label="c", radius=0.2),
        accepts={"at": PAIR, "inputs": "rows empty dtype ints list", "radius": "ints size"},
        skip={"label": "any text"},
    ),
    "implicitly.figures.score_flow.points_and_sums": Call(
        lambda: dict(ax=axes(), points=places(3, 2), sums=places(2, 2), size=9.0),
        accepts={"points": FREE, "sums": FREE, "size": "size"},
    ),
    "implicitly.figures.score_flow.flow_panel": Call(
        lambda: dict(ax=axes(), path=places(4, 3, 2), kinds=torch.tensor([0, 1, 2]), points=places(2, 2),
                     sums=[], start=True),
        accepts={"path": "rows dtype ints list nonfinite", "kinds": "list", "points": FREE, "sums": "empty"},
    ),
    "implicitly.figures.score_flow.bands": Call(
        lambda: dict(ax=axes(), low=0.25, high=0.5, axes="xy"),
        accepts={"low": "sign zero size ints", "high": "size"},
    ),
}  # fmt: skip
