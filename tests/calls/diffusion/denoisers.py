"""Valid calls of `implicitly.diffusion`."""

import torch

from calls import Call
from implicitly.diffusion import EmpiricalBayes, LineDenoiser, SimplexDenoiser

F64 = torch.float64


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def corner():
    return torch.tensor([[0.0, 0.5], [1.0, 0.5], [0.0, 2.0]], dtype=F64)


def row():
    return torch.tensor([[0.0, 0.5], [1.0, 0.5], [3.0, 0.5]], dtype=F64)


def at(denoiser, noise, points=corner):
    return lambda: dict(self=denoiser(points()), y=torch.randn(4, 2, generator=rng(), dtype=F64), **{noise: 0.2})


BATCH = "rows empty"

CALLS = {
    "implicitly.diffusion.denoisers.ramp": Call(
        lambda: dict(z=torch.randn(4, 2, generator=rng(), dtype=F64), length=torch.tensor([1.0, 1.5], dtype=F64),
                     rho=0.2),
        accepts={"z": "rows dims empty dtype", "length": "dims list number ints dtype", "rho": "zero size"},
        names={"z": "length"},
    ),
    "implicitly.diffusion.denoisers.ramp#one length": Call(
        lambda: dict(z=torch.randn(4, 2, generator=rng(), dtype=F64), length=1.3, rho=0.2),
        accepts={"z": "rows columns dims empty dtype", "length": "size", "rho": "zero size"},
        names={"length": "rho"},
    ),
    "implicitly.diffusion.denoisers.SimplexDenoiser": Call(
        lambda: dict(x1=torch.zeros(2, dtype=F64), U=torch.eye(2, dtype=F64), L=torch.ones(2, dtype=F64)),
        accepts={"L": "large"}, names={"x1": "U", "U": "L", "L": "U"},
    ),
    "implicitly.diffusion.denoisers.SimplexDenoiser.from_points": Call(
        lambda: dict(points=corner(), allow_acute=False), accepts={"points": "rows columns dtype"}
    ),
    "implicitly.diffusion.denoisers.SimplexDenoiser.coordinates": Call(
        lambda: dict(self=SimplexDenoiser.from_points(corner()), x=corner()), accepts={"x": BATCH}
    ),
    "implicitly.diffusion.denoisers.SimplexDenoiser.__call__": Call(
        at(SimplexDenoiser.from_points, "rho"), accepts={"y": BATCH, "rho": "zero size"}
    ),
    "implicitly.diffusion.denoisers.SimplexDenoiser.cost": Call(
        lambda: dict(self=SimplexDenoiser.from_points(corner()), rho=0.2), accepts={"rho": "zero size"}
    ),
    "implicitly.diffusion.denoisers.LineDenoiser": Call(
        lambda: dict(x1=torch.zeros(2, dtype=F64), u=torch.tensor([0.6, 0.8], dtype=F64),
                     t=torch.tensor([0.0, 1.0, 2.5], dtype=F64)),
        accepts={"t": "rows"}, names={"x1": "u"},
    ),
    "implicitly.diffusion.denoisers.LineDenoiser.from_points": Call(
        lambda: dict(points=row()), accepts={"points": "rows columns dtype"}
    ),
    "implicitly.diffusion.denoisers.LineDenoiser.__call__": Call(
        at(LineDenoiser.from_points, "rho", row), accepts={"y": BATCH, "rho": "zero size"}
    ),
    "implicitly.diffusion.denoisers.LineDenoiser.cost": Call(
        lambda: dict(self=LineDenoiser.from_points(row()), rho=0.2), accepts={"rho": "zero size"}
    ),
    "implicitly.diffusion.denoisers.EmpiricalBayes": Call(
        lambda: dict(points=corner()), accepts={"points": "rows columns dtype"}
    ),
    "implicitly.diffusion.denoisers.EmpiricalBayes.__call__": Call(
        at(EmpiricalBayes, "sigma"), accepts={"y": BATCH, "sigma": "size"}
    ),
    "implicitly.diffusion.denoisers.planar_triangle": Call(
        lambda: dict(degrees=100.0, lengths=(1.0, 1.5)), accepts={"degrees": "size"}
    ),
    "implicitly.diffusion.denoisers.random_simplex": Call(
        lambda: dict(m=2, d=3, generator=rng(), obtuse=(0.1, 0.8), lengths=(0.7, 1.4)),
        accepts={"obtuse": "none"}, names={"d": "m"},
    ),
    "implicitly.diffusion.denoisers.random_simplex#right": Call(
        lambda: dict(m=2, d=3, generator=rng(), lengths=(0.7, 1.4)), names={"d": "m"}
    ),
}  # fmt: skip
