"""Valid calls of `implicitly.diffusion`."""

import torch

from calls import Call
from implicitly.diffusion import ReLUNet

F64 = torch.float64


def parts() -> dict:
    draw = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(*shape, dtype=F64, generator=draw)
        for name, shape in (("W", (4, 2)), ("b", (4,)), ("A", (4, 2)), ("c", (2,)), ("V", (2, 2)))
    }


def triangle() -> torch.Tensor:
    return torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=F64)


def trained(**more) -> dict:
    return dict(
        points=triangle(), rho=0.1, seeds=[0, 1], decay=1e-3, neurons=3, scale=(0.5, 0.3, 0.1), rate=0.01, steps=4,
        samples=4,
    ) | more  # fmt: skip


TRAINED = {
    "points": "rows columns dtype", "rho": "size", "decay": "zero size", "rate": "size", "scale": ""
}  # fmt: skip

CALLS = {
    "implicitly.diffusion.relu_nets.ReLUNet": Call(parts, names={"W": "b A"}),
    "implicitly.diffusion.relu_nets.ReLUNet.__call__": Call(
        lambda: dict(self=ReLUNet(**parts()), y=triangle(), noise=0.1), accepts={"y": "rows empty", "noise": "any"}
    ),
    "implicitly.diffusion.relu_nets.ball_samples": Call(
        lambda: dict(points=torch.eye(3, dtype=F64), rho=0.1, n=5, generator=torch.Generator().manual_seed(0)),
        accepts={"points": "rows columns dtype", "rho": "size"},
    ),
    "implicitly.diffusion.relu_nets.ball_samples#plane": Call(
        lambda: dict(points=triangle(), rho=0.1, n=5, generator=None),
        accepts={"points": "rows columns dtype", "rho": "size"}, names={"points": "generator"},
    ),
    "implicitly.diffusion.relu_nets.minimum_norm_net": Call(
        lambda: dict(points=triangle(), rho=0.1, directions=4, offsets=2, samples=4, linear=True, solver="CLARABEL"),
        accepts={"points": "rows dtype columns", "directions": "zero", "offsets": "zero", "rho": "size"},
        names={"points": "rho"},
    ),
    "implicitly.diffusion.relu_nets.train_denoisers": Call(trained, accepts=TRAINED, raises=(RuntimeError,)),
    "implicitly.diffusion.relu_nets.train_denoisers#one decay each": Call(
        lambda: trained(decay=[1e-3, 0.1]), accepts=TRAINED | {"decay": "number"}, raises=(RuntimeError,)
    ),
}  # fmt: skip
