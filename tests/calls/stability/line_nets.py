"""Valid calls of `implicitly.stability`."""

import torch

from calls import Call
from implicitly import stability

F64 = torch.float64
REAL = "list ints dtype"  # points, labels and places: real numbers in any form, computed with as float64


def nets() -> stability.LineNet:
    return stability.initial_nets(4, seeds=[0, 1, 2])


def points() -> torch.Tensor:
    return stability.even_points(6)


def labels() -> torch.Tensor:
    return stability.noisy_labels(points(), 0.3, seeds=[0, 1, 2])


def net_x(**more) -> dict:
    return dict(net=nets(), x=points(), **more)


NET_X_Y = {"x": REAL, "y": f"{REAL} dims"}

CALLS = {
    "implicitly.stability.line_nets.LineNet": Call(
        lambda: dict(w1=nets().w1, b1=nets().b1, w2=nets().w2, b2=nets().b2), names={"w1": "b1"}
    ),
    "implicitly.stability.line_nets.LineNet.__getitem__": Call(
        lambda: dict(self=nets(), index=1), accepts={"index": "number sign zero"}
    ),
    "implicitly.stability.line_nets.LineNet.__getitem__#tensor": Call(
        lambda: dict(self=nets(), index=torch.tensor([2, 0])),
        accepts={"index": "dims rows empty list sign large"}, raises=(IndexError,),
    ),
    "implicitly.stability.line_nets.LineNet.__getitem__#mask": Call(
        lambda: dict(self=nets(), index=torch.tensor([True, False, True])), accepts={"index": "ints dims"},
    ),
    "implicitly.stability.line_nets.LineNet.__getitem__#list": Call(
        lambda: dict(self=nets(), index=[2, 0]), accepts={"index": "empty sign number"}, raises=(IndexError,)
    ),
    "implicitly.stability.line_nets.LineNet.__call__": Call(
        lambda: dict(self=nets(), x=points()), accepts={"x": f"{REAL} rows empty"}
    ),
    "implicitly.stability.line_nets.LineNet.join": Call(lambda: dict(nets=[nets(), nets()[1]])),
    "implicitly.stability.line_nets.even_points": Call(lambda: dict(n=5)),
    "implicitly.stability.line_nets.initial_nets": Call(
        lambda: dict(k=3, seeds=[0, 7], scale=0.5), accepts={"scale": "size"}
    ),
    "implicitly.stability.line_nets.moved": Call(
        lambda: dict(net=nets(), size=0.1, seed=3), accepts={"size": "zero size", "seed": "zero"}
    ),
    "implicitly.stability.line_nets.noisy_labels": Call(
        lambda: dict(clean=points(), sigma=0.3, seeds=[0, 7]),
        accepts={"clean": f"{REAL} rows empty", "sigma": "zero size"},
    ),
    "implicitly.stability.line_nets.gradient_descent": Call(
        lambda: net_x(y=labels(), eta=0.1, steps=3), accepts=NET_X_Y | {"steps": "zero", "eta": "size"},
        raises=(RuntimeError,),
    ),
    "implicitly.stability.line_nets.gradient_descent#one eta each": Call(
        lambda: net_x(y=labels(), eta=torch.tensor([0.1, 0.05, 0.01], dtype=F64), steps=3),
        accepts=NET_X_Y | {"steps": "zero", "eta": "list dtype number dims"},
    ),
    "implicitly.stability.line_nets.residuals": Call(lambda: net_x(y=labels()), accepts=NET_X_Y),
    "implicitly.stability.flatness.gradient_norm": Call(lambda: net_x(y=labels()), accepts=NET_X_Y),
    "implicitly.stability.flatness.hessian_parts": Call(lambda: net_x(y=labels()), accepts=NET_X_Y),
    "implicitly.stability.flatness.sharpness": Call(lambda: net_x(y=labels()), accepts=NET_X_Y),
    "implicitly.stability.flatness.gauss_newton_top": Call(net_x, accepts={"x": f"{REAL} rows"}),
    "implicitly.stability.flatness.g_weight": Call(
        lambda: dict(t=torch.tensor([[-0.5, 0.1], [0.2, 2.0]], dtype=F64), x=points()),
        accepts={"t": f"{REAL} rows columns empty dims number nonfinite", "x": f"{REAL} rows"},
    ),
    "implicitly.stability.flatness.uniform_weight": Call(
        lambda: dict(t=torch.tensor([[-0.5, 0.1], [0.2, 2.0]], dtype=F64)),
        accepts={"t": f"{REAL} rows columns empty dims number nonfinite"},
    ),
    "implicitly.stability.flatness.path_tv": Call(net_x, accepts={"x": f"{REAL} rows"}),
    "implicitly.stability.flatness.tv": Call(net_x, accepts={"x": f"{REAL} rows none"}),
    "implicitly.stability.flatness.count_kinks": Call(
        lambda: net_x(least=0.1), accepts={"x": f"{REAL} rows", "least": "zero size"}
    ),
    "implicitly.stability.flatness.kink_gaps": Call(
        lambda: net_x(least=0.1), accepts={"x": f"{REAL} rows", "least": "zero size"}
    ),
    "implicitly.stability.flatness.certificate": Call(
        lambda: dict(top=4.0, residual=stability.residuals(nets(), points(), labels()), x=points()),
        accepts={"top": "zero sign size", "residual": f"{REAL} rows empty", "x": REAL},
        names={"x": "residual"},
    ),
    "implicitly.stability.flatness.certificate#one top each": Call(
        lambda: dict(top=torch.tensor([4.0, 3.0, 2.0], dtype=F64), residual=labels(), x=points()),
        accepts={"top": f"{REAL} dims number", "residual": REAL, "x": REAL},
        names={"x": "residual", "residual": "top"},
    ),
    "implicitly.stability.flatness.flatness_use": Call(net_x, accepts={"x": f"{REAL} rows"}),
    "implicitly.stability.flatness.residual_use": Call(lambda: net_x(y=labels()), accepts=NET_X_Y),
    "implicitly.stability.flatness.flattest_pairs": Call(
        lambda: dict(t=torch.tensor([0.1, 0.3], dtype=F64), size=torch.tensor([1.0, 2.0], dtype=F64)),
        accepts={"t": REAL, "size": REAL},
    ),
    "implicitly.stability.flatness.with_end_spike": Call(
        lambda: net_x(points=2, height=1.5), accepts={"x": f"{REAL} rows", "height": "sign zero size"}
    ),
}  # fmt: skip
