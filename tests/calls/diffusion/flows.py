"""Valid calls of `implicitly.diffusion`."""

import torch

from calls import Call
from implicitly.diffusion import SimplexDenoiser

F64 = torch.float64


def corner():
    return SimplexDenoiser.from_points(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.5]], dtype=F64))


def starts():
    return torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=F64)


def lengths():
    return torch.tensor([1.0, 1.5], dtype=F64)


BATCH = {"x": "rows empty"}
# The denoiser speaks of its own argument.
NOISE = {"alpha": "rho", "sigma_T": "rho", "sigmas": "rho", "rho": "rho", "x": "y"}

CALLS = {
    "implicitly.diffusion.flows.sigma_grid": Call(
        lambda: dict(sigma_T=0.3, sigma_0=0.01, steps=5, schedule="polynomial"),
        accepts={"sigma_T": "size", "sigma_0": "size"}, names={"sigma_0": "sigma_T"},
    ),
    "implicitly.diffusion.flows.score_flow": Call(
        lambda: dict(x=starts(), denoise=corner(), rho=0.1, time=1.0, steps=4, method="heun", path=True),
        accepts=BATCH | {"rho": "zero size", "time": "size"}, names=NOISE, raises=(FloatingPointError,),
    ),
    "implicitly.diffusion.flows.probability_flow": Call(
        lambda: dict(x=starts(), denoise=corner(), sigmas=torch.tensor([0.2, 0.1, 0.05], dtype=F64), alpha=1.2,
                     method="euler", variable="sigma", path=False),
        accepts=BATCH | {"sigmas": "rows dtype", "alpha": "size"}, names=NOISE,
    ),
    "implicitly.diffusion.flows.probability_flow#log": Call(
        lambda: dict(x=starts(), denoise=corner(), sigmas=torch.tensor([0.2, 0.1, 0.05], dtype=F64), alpha=1.2,
                     method="heun", variable="log", path=True),
        accepts=BATCH | {"sigmas": "rows dtype", "alpha": "size"}, names=NOISE,
    ),
    "implicitly.diffusion.flows.solve_score_flow": Call(
        lambda: dict(x=starts(), denoise=corner(), rho=0.1, time=1.0, rtol=1e-4),
        accepts={"x": "rows empty dtype", "rho": "zero size"}, names=NOISE,
    ),
    "implicitly.diffusion.flows.solve_probability_flow": Call(
        lambda: dict(x=starts(), denoise=corner(), sigma_T=0.2, sigma_0=0.1, schedule="linear", alpha=1.2, rtol=1e-4),
        accepts={"x": "rows empty dtype", "sigma_0": "size", "alpha": "size"}, names=NOISE | {"sigma_0": "sigma_T"},
    ),
    "implicitly.diffusion.exact.score_flow_exact": Call(
        lambda: dict(c=starts(), length=lengths(), rho=0.1, time=2.0),
        accepts={"c": "rows empty dtype", "length": "dims list number ints dtype", "rho": "size", "time": "zero size"},
        names={"c": "length"},
    ),
    "implicitly.diffusion.exact.probability_flow_exact": Call(
        lambda: dict(x=starts(), denoise=corner(), sigma_T=0.2, sigma_0=0.01, alpha=1.2),
        accepts=BATCH | {"sigma_0": "zero size", "alpha": "size"}, names=NOISE | {"sigma_0": "sigma_T"},
    ),
    "implicitly.diffusion.exact.two_edges_exact": Call(
        lambda: dict(f=torch.tensor([[0.3, 0.6], [0.5, 0.5]], dtype=F64), gamma=0.2, length=1.0, rho_T=0.2,
                     rho_0=0.01),
        accepts={"f": "rows empty dtype", "gamma": "size", "length": "size", "rho_0": "size"},
        names={"length": "f", "rho_0": "rho_T", "rho_T": "rho_0"},
    ),
    "implicitly.diffusion.exact.off_edge_share": Call(
        lambda: dict(gamma=0.2, length=1.0, rho_T=0.2, rho_0=0.01),
        accepts={"gamma": "size", "length": "size", "rho_0": "size"}, names={"length": "rho_T", "rho_T": "rho_0"},
    ),
    "implicitly.diffusion.exact.vertex_is_fixed": Call(
        lambda: dict(gram=torch.tensor([[1.0, -0.2], [-0.2, 1.0]], dtype=F64), length=lengths(), rho=0.1,
                     members=torch.tensor([[False, False], [True, True]])),
        accepts={"rho": "zero size", "members": "rows empty"}, names={"gram": "length"},
    ),
    "implicitly.diffusion.exact.classify": Call(
        lambda: dict(f=torch.tensor([[0.0, 1.5], [1.0, 1.5], [0.5, 0.0]], dtype=F64), length=lengths(),
                     tolerance=0.01),
        accepts={"f": "rows empty dtype", "length": "dims list number ints dtype", "tolerance": "size"},
        names={"f": "length"},
    ),
    "implicitly.diffusion.exact.shares": Call(
        lambda: dict(kinds=torch.tensor([0, 1, 2, 0])), accepts={"kinds": "rows"}
    ),
    "implicitly.diffusion.exact.end_probabilities": Call(
        lambda: dict(p_0=0.5, p_L=0.4, m=3), accepts={"p_0": "zero size", "p_L": "zero size"}
    ),
    "implicitly.diffusion.exact.counted_as_zero": Call(
        lambda: dict(length=1.0, rho_T=0.2, ratio=0.1, tolerance=0.01),
        accepts={"length": "size", "rho_T": "zero size", "ratio": "size", "tolerance": "size"},
        names={"length": "rho_T"},
    ),
}  # fmt: skip
