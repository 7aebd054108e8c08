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
DOTS = Call(dots, accepts={"x": "sign nonfinite", "y": "sign nonfinite", "size": "size"})

CALLS = {
    "implicitly.plotting.settings": Call(dict),
    "implicitly.plotting.theory": Call(dict),
    "implicitly.plotting.line": Call(lambda: dict(index=1), accepts={"index": "zero"}),
    "implicitly.plotting.points": Call(lambda: dict(index=5), accepts={"index": "zero"}),
    "implicitly.plotting.disc": DOTS,
    "implicitly.plotting.ring": DOTS,
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
