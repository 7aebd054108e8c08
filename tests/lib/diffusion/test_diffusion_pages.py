"""What the pages compute of flows in the plane is what the library computes, at random parameters."""

import numpy as np
import pytest
import torch

from implicitly.diffusion import (
    EmpiricalBayes,
    SimplexDenoiser,
    pages,
    planar_triangle,
    probability_flow,
    score_flow,
    sigma_grid,
)


def kinds(x, angle):
    """0 near a training point, 1 near their sum, 2 near neither; x (B, d)."""
    points = planar_triangle(angle)
    places = torch.cat([points, points[1:].sum(0, keepdim=True)])
    close = (x[..., None, :] - places).norm(dim=-1) < 0.03
    return torch.where(close[..., 3], 1, torch.where(close[..., :3].any(-1), 0, 2)).numpy()


def rest_of(x, angle, rho, step=0.25):
    """The opening's paths by the library: `step` is the planted fault."""
    net = SimplexDenoiser.from_points(planar_triangle(angle))
    path = score_flow(x, net, rho, time=256 * step, steps=256, path=True)
    return path[[k * k for k in range(17)]].transpose(0, 1)


def settings(count):
    rng = np.random.default_rng(5)
    return [(rng.uniform(90, 150), rng.uniform(0.01, 0.45), rng.uniform(1, 80), int(rng.integers(2**31)))
            for _ in range(count)]  # fmt: skip


@pytest.mark.parametrize("angle, rho, _length, seed", settings(12))
def test_the_opening_is_the_library_s_score_flow(angle, rho, _length, seed):
    found = pages.rest(angle=angle, rho=rho, seed=seed)
    wanted = rest_of(torch.tensor(found["starts"]), angle, rho)
    assert np.abs(found["paths"] - wanted.numpy()).max() < 1e-9
    assert np.abs(found["paths"] - rest_of(torch.tensor(found["starts"]), angle, rho, 0.249).numpy()).max() > 1e-4
    assert np.array_equal(found["kinds"], kinds(wanted[:, -1], angle))
    every = kinds(wanted, angle)
    assert np.array_equal(found["count"], [[(every[:, k] == n).sum() for n in range(3)] for k in range(17)])
    assert np.array_equal(found["last"], found["count"][-1])
    away = found["balls"] - found["data"][:, None]
    assert np.abs(np.hypot(away[..., 0], away[..., 1]) - rho).max() < 1e-15
    assert np.abs(away[:, 0] - away[:, -1]).max() < 1e-15, "a circle closes"


@pytest.mark.parametrize("which", pages.FLOWS)
@pytest.mark.parametrize("angle, sigma, length, seed", settings(6))
def test_the_explorer_follows_the_library_s_flows(which, angle, sigma, length, seed):
    found = pages.flow(flow=which, sigma=sigma, angle=angle, length=length, seed=seed)
    points = planar_triangle(angle)
    net = SimplexDenoiser.from_points(points) if which != "bayes" else EmpiricalBayes(points)
    steps, x = 256 * int(np.ceil(length / 64)), torch.tensor(found["paths"][:, 0])
    if which == "score":
        path = score_flow(x, net, sigma, time=length, steps=steps, path=True)
        when = [steps * k * k // 256 for k in range(17)]
    else:
        path = probability_flow(x, net, sigma_grid(sigma, sigma * np.exp(-length), steps), path=True)
        when = [steps * k // 16 for k in range(17)]
    wanted = path[when].transpose(0, 1)
    assert np.abs(found["paths"] - wanted.numpy()).max() < 1e-7
    assert np.array_equal(found["kinds"], kinds(wanted[:, -1], angle))
    assert np.allclose(found["shares"].sum(1), 1) and np.array_equal(found["last"], found["shares"][-1])


def test_starts_fill_their_rectangles_and_follow_the_seed():
    starts = np.concatenate([pages.rest(angle=90.0, rho=0.1, seed=s)["starts"] for s in range(40)])
    assert starts.min() > -0.4 and starts.max() < 1.4
    assert np.abs(starts.mean(0) - 0.5).max() < 5 * 1.8 / np.sqrt(12 * len(starts))
    assert len(np.unique(starts)) == starts.size
    wide = pages.flow(flow="score", sigma=0.2, angle=90.0, length=1.0, seed=0)["paths"][:, 0]
    assert wide[:, 0].min() > -1.1 and wide[:, 0].min() < -0.4 and wide[:, 0].max() < 1.4


def test_a_run_is_never_longer_than_the_longest():
    long = pages.flow(flow="score", sigma=0.2, angle=90.0, length=1e300, seed=0)
    assert np.array_equal(long["paths"], pages.flow(flow="score", sigma=0.2, angle=90.0, length=512.0, seed=0)["paths"])
