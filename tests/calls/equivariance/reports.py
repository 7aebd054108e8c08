"""Valid calls of `implicitly.equivariance.reports`."""

import torch

from calls import Call

REPORTS = "implicitly.equivariance.reports."


def means(x):
    """Logits of a map: its rows' means."""
    return x.mean((1, 3))


def given():
    x = torch.randn(4, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shifts = torch.tensor([[0.5, 1.0], [2.0, 0.3]], dtype=torch.float64)
    return dict(net=means, x=x, y=torch.tensor([0, 1, 2, 3]), shifts=shifts)


CALLS = {
    REPORTS + "shift_list": Call(lambda: dict(kind="half", count=3, size=4, seed=0), accepts={"seed": "zero"}),
    REPORTS + "shift_report": Call(
        given, accepts={"x": "dtype", "shifts": "rows sign", "y": "large"}, names={"x": "y", "y": "y"}
    ),
}
