"""The convex program and the trained networks."""

import pytest
import torch

from implicitly.denoisers import LineDenoiser, SimplexDenoiser, planar_triangle
from implicitly.relu_nets import ReLUNet, ball_samples, minimum_norm_net, train_denoisers


@pytest.mark.parametrize("degrees", [90.0, 97.0, 120.0, 150.0])
@pytest.mark.parametrize("rho", [0.05, 0.2])
@pytest.mark.parametrize("linear", [False, True])
def test_convex_optimum_is_the_closed_cost(degrees, rho, linear):
    points = planar_triangle(degrees, lengths=(1.0, 1.3))
    net = minimum_norm_net(points, rho, linear=linear, directions=24, offsets=9)
    h = SimplexDenoiser.from_points(points)
    assert net.cost() == pytest.approx(h.cost(rho), rel=1e-5)
    noisy = ball_samples(points, rho, 36)
    assert (net(noisy.reshape(-1, 2)) - points.repeat_interleave(36, 0)).abs().max() < 1e-5


def test_convex_optimum_on_a_line():
    points = torch.tensor([0.0, 1.0, 1.7, 4.0]).double()[:, None]
    net = minimum_norm_net(points, 0.2)
    h = LineDenoiser.from_points(points)
    assert net.cost() == pytest.approx(h.cost(0.2), rel=1e-6)
    grid = torch.linspace(-1, 5, 200, dtype=torch.float64)[:, None]
    assert (net(grid) - h(grid, 0.2)).abs().max() < 1e-4


def test_acute_data_align_with_the_faces():
    """Equilateral: cost 6 r / (H - 2 rho), r = 1/sqrt 3, H = sqrt 3 / 2, above the edges' formula."""
    for rho in (0.1, 0.2):
        cost = minimum_norm_net(planar_triangle(60.0), rho).cost()
        assert cost == pytest.approx(6 / 3**0.5 / (3**0.5 / 2 - 2 * rho), rel=1e-6)


def test_no_network_is_not_reported_as_one():
    """At rho >= sqrt 3 / 4 no strip is left between one ball and the other two."""
    with pytest.raises(RuntimeError, match=r"no network of the dictionary denoises the samples: the best misses by"):
        minimum_norm_net(planar_triangle(60.0), 0.45, samples=400, directions=4, offsets=2)


def test_a_dictionary_without_the_kinks_costs_more(monkeypatch):
    import numpy as np

    import implicitly.relu_nets as relu_nets

    full = relu_nets._dictionary

    def without(points, rho, directions, offsets):
        W, b = full(points, rho, directions, offsets)
        keep = np.abs(b[:, None] + (W @ points.T) - rho).min(1) > 1e-6
        keep &= np.abs(b[:, None] + (W @ points.T) + rho).min(1) > 1e-6
        return W[keep], b[keep]

    exact = SimplexDenoiser.from_points(planar_triangle(90.0)).cost(0.13)
    monkeypatch.setattr(relu_nets, "_dictionary", without)
    assert minimum_norm_net(planar_triangle(90.0), 0.13, offsets=33).cost() > exact * 1.001


def test_refusals():
    points = planar_triangle(90.0)
    with pytest.raises(ValueError, match=r"rho must be finite and above 0 and below 0.5, found 0.5"):
        minimum_norm_net(points, 0.5)
    with pytest.raises(ValueError, match=r"points must be in 1 or 2 dimensions, found 3"):
        minimum_norm_net(torch.eye(3), 0.1)
    with pytest.raises(ValueError, match=r"decay must be at least 0, found -1"):
        train_denoisers(points, 0.1, seeds=(0,), decay=-1.0)
    with pytest.raises(ValueError, match=r"decay must be a number or have shape \(1,\), found \(2,\)"):
        train_denoisers(points, 0.1, seeds=(0,), decay=[0.0, 1.0])


def test_training_is_reproducible_and_independent_across_seeds():
    before = torch.get_rng_state()
    args = {"decay": 1e-4, "steps": 60, "neurons": 20}
    pair = train_denoisers(planar_triangle(90.0), 0.15, seeds=(3, 4), **args)
    again = train_denoisers(planar_triangle(90.0), 0.15, seeds=(3, 4), **args)
    alone = train_denoisers(planar_triangle(90.0), 0.15, seeds=(4,), **args)
    assert torch.equal(pair[1].W, again[1].W)
    assert (pair[1].W - alone[0].W).abs().max() < 1e-3
    assert not torch.allclose(pair[0].W, pair[1].W)
    mixed = train_denoisers(planar_triangle(90.0), 0.15, seeds=(3, 4), decay=[0.1, 1e-4], steps=60, neurons=20)
    assert (mixed[1].W - pair[1].W).abs().max() < 1e-3
    assert mixed[0].cost() < pair[0].cost()
    assert torch.equal(before, torch.get_rng_state())


def test_cost_is_invariant_under_rescaling():
    g = torch.Generator().manual_seed(0)
    W, A = torch.randn(5, 2, generator=g), torch.randn(5, 2, generator=g)
    b = torch.randn(5, generator=g)
    s = torch.rand(5, 1, generator=g) + 0.5
    one = ReLUNet(W, b, A, torch.zeros(2), torch.zeros(2, 2))
    two = ReLUNet(W * s, b * s[:, 0], A / s, torch.zeros(2), torch.zeros(2, 2))
    y = torch.randn(9, 2, generator=g)
    assert one.cost() == pytest.approx(two.cost(), rel=1e-6)
    assert torch.allclose(one(y), two(y), atol=1e-5)
