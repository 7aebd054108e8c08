"""The convex program and the trained networks."""

import pytest
import torch

from implicitly.diffusion import (
    LineDenoiser,
    ReLUNet,
    SimplexDenoiser,
    ball_samples,
    minimum_norm_net,
    planar_triangle,
    train_denoisers,
)


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

    import implicitly.diffusion.relu_nets as relu_nets

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


# --- the edges --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", [[3.0], [0.5, -1.0]])
def test_one_point_has_the_constant_network(point):
    point = torch.tensor([point], dtype=torch.float64)
    net = minimum_norm_net(point, 7.0)
    assert net.cost() == 0 and torch.equal(net(point + 5), point) and net.W.shape == (0, point.shape[1])


def test_equal_points_have_no_disjoint_balls():
    with pytest.raises(ValueError, match="points must all be different, found two that are equal"):
        minimum_norm_net(torch.ones(2, 2), 0.1)


@pytest.mark.parametrize("size", [1e-10, 1e6])
def test_optimum_is_the_same_at_any_scale(size):
    """h(y) becomes size h(y / size), which changes no slope and no cost; no kink is rounded away."""
    points = planar_triangle(97.0).double()
    small, one = minimum_norm_net(size * points, size * 0.1), minimum_norm_net(points, 0.1)
    assert small.cost() == pytest.approx(one.cost(), rel=1e-6)
    assert (small(size * points) / size - points).abs().max() < 1e-6


def test_dictionary_of_kinks_alone():
    points = torch.tensor([0.0, 1.0, 1.7, 4.0]).double()[:, None]
    cost = LineDenoiser.from_points(points).cost(0.2)
    assert minimum_norm_net(points, 0.2, directions=0, offsets=0).cost() == pytest.approx(cost, rel=1e-6)


def test_solvers():
    points = planar_triangle(97.0)
    with pytest.raises(ValueError, match=r"solver must be one of 'CLARABEL', .*found 'nix'"):
        minimum_norm_net(points, 0.1, solver="nix")
    with pytest.raises(RuntimeError, match="the cone solver SCIPY failed"):  # it takes linear programs only
        minimum_norm_net(points, 0.1, solver="SCIPY")


def test_training_leaves_its_arguments_and_defaults_alone():
    points, rate = planar_triangle(90.0), torch.tensor(0.01, dtype=torch.float64)
    first = train_denoisers(points, 0.1, seeds=[0], decay=1e-4, neurons=3, steps=9, rate=rate)[0]
    assert rate == 0.01  # Adam's schedule once took it down to 0
    torch.set_default_dtype(torch.float64)
    try:
        again = train_denoisers(points, 0.1, seeds=[0], decay=1e-4, neurons=3, steps=9, rate=0.01)[0]
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(first.W, again.W)


def test_training_that_diverges_says_so():
    with pytest.raises(RuntimeError, match="training left the finite numbers: lower rate"):
        train_denoisers(planar_triangle(90.0), 0.1, seeds=[0], decay=0.0, neurons=3, steps=3, rate=1e30)


def test_networks_are_checked_and_compared():
    W, b, c = torch.ones(2, 1), torch.zeros(2), torch.zeros(1)
    with pytest.raises(ValueError, match=r"A must have shape \(2, 1\), found \(1, 1\)"):
        ReLUNet(W, b, W[:1], c, c[None])
    with pytest.raises(TypeError, match="c must be float32, found float64"):
        ReLUNet(W, b, W, c.double(), c[None])
    assert ReLUNet(W, b, W, c, c[None]) != ReLUNet(W, b, W, c, c[None])  # by identity


def test_samples_in_three_dimensions_need_a_generator():
    before = torch.get_rng_state()
    with pytest.raises(TypeError, match=r"generator must be a torch.Generator, found None"):
        ball_samples(torch.eye(3), 0.1, 4)
    out = ball_samples(torch.eye(3), 0.1, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose((out - torch.eye(3)[:, None]).norm(dim=2), torch.tensor(0.1))
    assert torch.equal(before, torch.get_rng_state())
