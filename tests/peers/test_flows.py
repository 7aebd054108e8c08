"""A second opinion on the flows of `score-flow`: torchdiffeq integrates them, start by start, over their kinks."""

import math

import pytest
import torch

from implicitly import diffusion

torchdiffeq = pytest.importorskip("torchdiffeq", reason="needs torchdiffeq: make test-peers")

F64 = torch.float64
RTOL = 1e-9


def ends(denoise, x, sigma_T, sigma_0):
    """The probability flow in log noise, in torchdiffeq."""
    times = torch.tensor([-math.log(sigma_T), -math.log(sigma_0)], dtype=F64)
    rate = lambda s, x: denoise(x[None], math.exp(-float(s)))[0] - x  # noqa: E731
    run = lambda start: torchdiffeq.odeint(rate, start, times, method="dopri5", rtol=RTOL, atol=1e-10)  # noqa: E731
    return torch.stack([run(start)[-1] for start in x])


def test_where_the_probability_flow_ends(agrees):
    """Orthogonal data, three noise levels down. The comparison sees noise of 0.2 at the start."""
    points = torch.cat([torch.zeros(1, 3, dtype=F64), torch.diag(torch.tensor([1.0, 1.5, 2.0], dtype=F64))])
    denoise = diffusion.SimplexDenoiser.from_points(points)
    x = 1.5 * torch.rand(8, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
    other = ends(denoise, x, 0.3, 0.02)
    # Allowed errors of some hundred steps add up, 1e-9 of a number below 2 each; the middle band makes them up to
    # ten times larger, in C2 by exp(1.5 times 1.5).
    agrees(claim="score-flow/C3", peer="torchdiffeq", what="where the probability flow ends, a straight line on paper",
           measured=(diffusion.probability_flow_exact(x, denoise, 0.3, 0.02) - other).abs().max(),
           at_most=2e-6)  # fmt: skip
    assert (diffusion.probability_flow_exact(x, denoise, 0.2, 0.02) - other).abs().max() > 1e-2


def test_where_the_score_flow_ends(agrees):
    """The course in time of C2, coordinate by coordinate. The comparison sees a radius that is one per cent larger."""
    points = torch.cat([torch.zeros(1, 3, dtype=F64), torch.diag(torch.tensor([1.0, 1.5, 2.0], dtype=F64))])
    denoise = diffusion.SimplexDenoiser.from_points(points)
    x = 1.5 * torch.rand(8, 3, generator=torch.Generator().manual_seed(1), dtype=F64)
    times = torch.tensor([0.0, 1.5], dtype=F64)
    rate = lambda t, x: denoise(x[None], 0.3)[0] - x  # noqa: E731
    other = torch.stack([
        torchdiffeq.odeint(rate, start, times, method="dopri5", rtol=RTOL, atol=1e-10)[-1] for start in x
    ])  # fmt: skip
    ours = diffusion.score_flow_exact(x, denoise.L, 0.3, 1.5)
    agrees(claim="score-flow/C2", peer="torchdiffeq", what="coordinates along the score flow",
           measured=(ours - other).abs().max(), at_most=2e-6)  # fmt: skip
    assert (diffusion.score_flow_exact(x, denoise.L, 0.303, 1.5) - other).abs().max() > 1e-3
