"""Roll-outs, errors that destabilize, SGD on errors and its averages, against plain loops and exact cases."""

import math

import pytest
import torch

from implicitly import imitation

F64 = torch.float64


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("horizon", [1, 2, 3, 7, 8, 200])
def test_cost_is_the_sum_over_steps(horizon):
    M = 0.4 * torch.randn(5, 3, 3, generator=rng(), dtype=F64)
    power, cost = torch.eye(3, dtype=F64), 0.0
    for _ in range(horizon):
        power = power @ M
        cost = cost + power.square().sum((-1, -2))
    assert torch.allclose(imitation.rollout_cost(M, horizon), cost, rtol=1e-11)


def test_cost_is_what_roll_outs_cost():
    M = imitation.random_loop(3, 0.9, generator=rng()) + 0.05
    x = torch.randn(200_000, 3, generator=rng(1), dtype=F64)
    cost = 0.0
    for _ in range(4):
        x = x @ M.T
        cost = cost + x.square().sum(1)
    error = float(cost.std()) / math.sqrt(len(cost))
    assert float(cost.mean()) == pytest.approx(float(imitation.rollout_cost(M, 4)), abs=6 * error)


def test_cost_beyond_float64_is_infinite():
    assert imitation.geometric_cost(10.0, 10**4) == math.inf
    assert imitation.rollout_cost(torch.full((2, 2), -1e3, dtype=F64), 10**5).item() == math.inf


def test_geometric_cost():
    for r, H in ((0.9, 50), (1.1, 20), (1.0, 7), (0.0, 3)):
        assert imitation.geometric_cost(r, H) == pytest.approx(sum(r ** (2 * t) for t in range(1, H + 1)))


def test_random_loops_are_uniform_among_orthogonal_matrices():
    many = torch.stack([imitation.random_loop(3, 1.0, generator=rng(s)) for s in range(4000)])
    assert torch.allclose(many.mT @ many, torch.eye(3, dtype=F64).expand_as(many))
    # uniform: entries have mean 0 and variance 1/3; half of the determinants are negative; six standard errors
    assert many.mean(0).abs().max() < 6 / math.sqrt(3 * 4000)
    assert (many.square().mean(0) - 1 / 3).abs().max() < 6 * 0.3 / math.sqrt(4000)
    assert abs((torch.linalg.det(many) < 0).double().mean() - 0.5) < 6 * 0.5 / math.sqrt(4000)


@pytest.mark.parametrize("seed", range(6))
def test_worst_error(seed):
    M = imitation.random_loop(4, 0.9, generator=rng(seed))
    error = imitation.worst_error(M, 0.3)
    squared = float(error.square().sum())
    assert squared == pytest.approx(0.09) or squared == pytest.approx(0.18)
    assert torch.linalg.matrix_norm(error, 2).item() == pytest.approx(0.3)
    assert imitation.spectral_radius(M + error).item() == pytest.approx(1.2)
    k = round(squared / 0.09)
    exact = k * imitation.geometric_cost(1.2, 30) + (4 - k) * imitation.geometric_cost(0.9, 30)
    assert imitation.rollout_cost(M + error, 30).item() == pytest.approx(exact)


def test_worst_error_of_a_rotation_takes_the_plane():
    c, s = math.cos(1.0), math.sin(1.0)
    M = 0.5 * torch.tensor([[c, -s], [s, c]], dtype=F64)
    assert torch.allclose(imitation.worst_error(M, 0.25), M / 2)


def test_loops_that_are_no_multiple_of_an_orthogonal_matrix_are_refused():
    for M in (torch.zeros(2, 2, dtype=F64), torch.tensor([[1.0, 0.1], [0.0, 1.0]], dtype=F64)):
        with pytest.raises(ValueError, match="M must be a positive multiple of an orthogonal matrix"):
            imitation.worst_error(M, 0.1)
    with pytest.raises(ValueError, match="M must be stable"):
        imitation.unstable_share(torch.diag(torch.tensor([1.0, -1.0], dtype=F64)), 0.1)
    with pytest.raises(ValueError, match="M must have eigenvalues that differ"):
        imitation.unstable_share(0.9 * torch.eye(2, dtype=F64), 0.1)


@pytest.mark.parametrize("seed", [0, 1])  # without real eigenvalues, and with two
def test_unstable_share_of_normal_noise(seed):
    M = imitation.random_loop(4, 0.999, generator=rng(seed))
    noise = torch.randn(20_000, 4, 4, generator=rng(9), dtype=F64)
    for spread in (5e-4, 1e-3, 2e-3):  # small against the distance of eigenvalues: first order is all there is
        share = (imitation.spectral_radius(M + spread * noise) > 1).double().mean().item()
        assert share == pytest.approx(imitation.unstable_share(M, spread).item(), abs=0.015)


def plain_sgd(start, x, e, eta):
    errors = [start]
    for xb, eb in zip(x, e, strict=True):
        errors.append(errors[-1] - eta * (xb @ errors[-1].T - eb).T @ xb / len(xb))
    return torch.stack(errors)


def test_clone_is_sgd_on_its_data():
    start = torch.randn(3, 2, 4, generator=rng(), dtype=F64)
    found = imitation.clone(start, eta=0.1, batch=5, noise=0.7, steps=6, seeds=[4, 5, 6])
    for k, seed in enumerate((4, 5, 6)):
        g = rng(seed)
        x = torch.randn(6, 5, 4, generator=g, dtype=F64)
        e = 0.7 * torch.randn(6, 5, 2, generator=g, dtype=F64)
        assert torch.allclose(found[k], plain_sgd(start[k], x, e, 0.1))
    alone = imitation.clone(start[1:2], eta=0.1, batch=5, noise=0.7, steps=6, seeds=[5])
    assert torch.allclose(alone[0], found[1])


@pytest.mark.parametrize("d, p, eta, batch", [(4, 4, 0.05, 8), (3, 2, 0.5, 4), (1, 1, 0.3, 1)])
def test_one_step_excess_against_runs(d, p, eta, batch):
    start = torch.zeros(500, p, d, dtype=F64)
    errors = imitation.clone(start, eta=eta, batch=batch, noise=0.5, steps=600, seeds=range(500))[:, 200:]
    each_run = errors.square().sum((-1, -2)).mean(1)
    stated = imitation.one_step_excess(d, p, eta=eta, batch=batch, noise=0.5)
    error = float(each_run.std()) / math.sqrt(500)
    assert float(each_run.mean()) == pytest.approx(stated, abs=6 * error)


def test_averaging_gain_is_that_of_the_correlations():
    for eta, decay in ((0.05, 0.9), (0.3, 0.5), (1.5, 0.7), (0.2, 0.0)):
        weight = (1 - decay) * decay ** torch.arange(400, dtype=F64)
        place = torch.arange(400)
        power = torch.tensor(1 - eta, dtype=F64) ** (place[:, None] - place[None]).abs()
        assert imitation.averaging_gain(eta, decay) == pytest.approx(1 / float(weight @ power @ weight))


def test_equal_step_has_the_averaged_excess():
    how = {"batch": 8, "noise": 0.3}
    for eta in (0.01, 0.05, 0.5):
        step = imitation.equal_step(4, eta=eta, batch=8, decay=0.99)
        wanted = imitation.one_step_excess(4, 4, eta=eta, **how) / imitation.averaging_gain(eta, 0.99)
        assert imitation.one_step_excess(4, 4, eta=step, **how) == pytest.approx(wanted)
    assert imitation.equal_step(4, eta=0.1, batch=8, decay=0.0) == pytest.approx(0.1)


def test_moving_average_changes_nothing_that_it_is_given():
    values = torch.randn(2, 5, 3, generator=rng(), dtype=F64)
    before = values.clone()
    found = imitation.moving_average(values, 0.9)
    assert torch.equal(values, before)
    weights = 0.1 * 0.9 ** torch.arange(4.0, dtype=F64).flip(0)
    exact = 0.9**4 * values[:, 0] + (weights[:, None] * values[:, 1:]).sum(1)
    assert torch.allclose(found[:, -1], exact)


def test_step_sizes_that_diverge_are_refused():
    with pytest.raises(ValueError, match="eta must be finite and above 0 and below 1"):
        imitation.one_step_excess(4, 4, eta=1.3, batch=8, noise=0.3)
