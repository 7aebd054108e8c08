"""Valid calls of `implicitly.equivariance.signals`."""

import torch

from calls import Call
from implicitly.equivariance import downsample

F64 = torch.float64
SIGNALS = "implicitly.equivariance.signals."


def images(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


CALLS = {
    SIGNALS + "band": Call(lambda: dict(n=8)),
    SIGNALS + "alias": Call(lambda: dict(k=5, n=8), accepts={"k": "sign zero"}),
    SIGNALS + "points_needed": Call(lambda: dict(degree=2, n=8, kept=4), accepts={"kept": "none"}),
    SIGNALS + "spectrum": Call(lambda: dict(x=images(3, 6)), accepts={"x": "rows columns dims empty dtype"}),
    SIGNALS + "resample": Call(lambda: dict(x=images(3, 4, 4), size=6), accepts={"x": "rows empty dtype dims"}),
    SIGNALS + "bandlimit": Call(lambda: dict(x=images(3, 4, 4)), accepts={"x": "rows empty dtype dims"}),
    SIGNALS + "fractional_shift": Call(
        lambda: dict(x=images(3, 4, 4), shift=(0.3, -0.7)),
        accepts={"x": "rows empty dtype dims", "shift": "list sign ints"},
    ),
    SIGNALS + "random_images": Call(
        lambda: dict(shape=(2, 4, 4), generator=torch.Generator().manual_seed(0)), accepts={"shape": "list"}
    ),
    SIGNALS + "equivariance_error": Call(
        lambda: dict(layer=lambda x: downsample(x, 2), x=images(3, 4, 4), shift=(0.3, -0.7)),
        accepts={"x": "rows dtype dims", "shift": "list sign ints"},
    ),
}
