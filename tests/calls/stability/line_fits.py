"""Valid calls of `implicitly.stability`."""

import torch

from calls import Call
from implicitly import stability

F64 = torch.float64
REAL = "list ints dtype"  # points and labels: real numbers in any form, computed with as float64


def points() -> torch.Tensor:
    return stability.even_points(6)


def labels() -> torch.Tensor:
    return stability.noisy_labels(points(), 0.3, seeds=[0, 1, 2])


X_Y = {"x": REAL, "y": f"{REAL} dims rows"}

CALLS = {
    "implicitly.stability.line_fits.spline_net": Call(lambda: dict(x=points(), y=labels()), accepts=X_Y),
    "implicitly.stability.line_fits.spline_tv": Call(lambda: dict(x=points(), y=labels()), accepts=X_Y),
    "implicitly.stability.line_fits.expected_interpolation_tv": Call(
        lambda: dict(x=points(), sigma=0.5), accepts={"x": f"{REAL} rows", "sigma": "zero size"}
    ),
    "implicitly.stability.line_fits.interpolation_allowance": Call(
        lambda: dict(x=points(), sigma=0.5, samples=9, false_alarm=1e-3),
        accepts={"x": f"{REAL} rows", "sigma": "zero size", "false_alarm": "size"},
    ),
    "implicitly.stability.line_fits.interpolation_constant": Call(dict),
    "implicitly.stability.line_fits.smallest_interpolation_tv": Call(
        lambda: dict(x=points(), y=labels()[0], knots=5), accepts={"x": REAL, "y": f"{REAL} dims"}
    ),
    "implicitly.stability.line_fits.tangent_kernel": Call(
        lambda: dict(x=points(), z=points()[:3], width=10),
        accepts={"x": f"{REAL} rows empty", "z": f"{REAL} rows empty"},
    ),
    "implicitly.stability.line_fits.kernel_fit": Call(
        lambda: dict(x=points(), y=labels(), z=points()[:3], width=10, ridge=0.1),
        accepts=X_Y | {"z": f"{REAL} rows empty", "ridge": "zero size"},
    ),
    "implicitly.chance.fitted_slope": Call(
        lambda: dict(sizes=[10, 20, 40], errors=labels()[:, :4].exp(), resamples=50),
        accepts={"errors": f"{REAL} columns"}, names={"sizes": "errors"},
    ),
}  # fmt: skip
