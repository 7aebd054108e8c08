"""Clusters and networks of feature learning, against points in full dimension, plain loops and closed forms."""

import math
from dataclasses import replace

import pytest
import torch

from implicitly import feature_learning as fl

F64 = torch.float64


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def full(N, d, mu, pairs, new, seed):
    """The same law, drawn in all d coordinates."""
    g = rng(seed)

    def points(n):
        cluster = torch.arange(n) % 4
        X = torch.randn(n, d, generator=g, dtype=F64)
        X[torch.arange(n), cluster // 2] += mu * (1 - 2 * (cluster % 2)).to(F64)
        return X, torch.where(cluster < 2, 1.0, -1.0).to(F64)

    X, y = points(N)
    X_new, y_new = points(new)
    start = torch.randn(pairs, d, generator=g, dtype=F64)
    return fl.Clusters(X, y, torch.zeros(N, dtype=torch.bool), X_new, y_new, start)


def plain(data, eta, steps, hold=None):
    """Gradient descent on W itself, by autograd where the gates move."""
    a = torch.cat([torch.ones(len(data.start)), -torch.ones(len(data.start))]).to(F64) / math.sqrt(2 * len(data.start))
    gates = torch.cat([data.start, data.start])
    W = torch.zeros_like(gates)
    for t in range(steps):
        if t and (hold is None or t <= hold):
            gates = W
        V = W.clone().requires_grad_()
        f = a @ ((gates @ data.X.T > 0) * (V @ data.X.T))
        torch.nn.functional.softplus(-data.y * f).mean().backward()
        W = W - eta * V.grad
    return W


@pytest.mark.parametrize("hold", [None, 0, 1, 2])
def test_training_is_gradient_descent(hold):
    data = fl.draw_clusters(12, 200, 3.0, 0.25, pairs=5, new=7, generator=rng(1))
    run = fl.train(data, eta=0.3, steps=6, hold=hold)
    for t in (1, 2, 3, 6):
        assert torch.allclose(run.W[t], plain(data, 0.3, t, hold), atol=1e-12)
    assert (run.scores[0] == 0).all() and (run.W[0] == 0).all()
    if hold is None:
        assert torch.allclose(run.new_scores[-1], fl.scores(run.W[-1], run.a, data.X_new), atol=1e-12)
        assert torch.allclose(run.scores[-1], fl.scores(run.W[-1], run.a, data.X), atol=1e-12)


def test_kept_gates_decide_at_new_points_too():
    data = fl.draw_clusters(12, 200, 3.0, 0.25, pairs=5, new=7, generator=rng(1))
    for hold, gates in ((0, torch.cat([data.start] * 2)), (1, plain(data, 0.3, 1))):
        run = fl.train(data, eta=0.3, steps=4, record=[4], hold=hold)
        W = plain(data, 0.3, 4, hold)
        right = run.a @ ((gates @ data.X_new.T > 0) * (W @ data.X_new.T))
        assert torch.allclose(run.new_scores[0], right, atol=1e-12)


def test_records_do_not_change_the_run():
    data = fl.draw_clusters(12, 200, 3.0, 0.25, pairs=5, generator=rng(1))
    every, some = fl.train(data, eta=0.3, steps=6), fl.train(data, eta=0.3, steps=6, record=[2, 6])
    assert torch.equal(every.W[[2, 6]], some.W) and some.at.tolist() == [2, 6]


def test_the_first_step_in_closed_form():
    data = fl.draw_clusters(12, 200, 3.0, 0.25, pairs=5, generator=rng(1))
    run = fl.train(data, eta=0.3, steps=1)
    assert torch.allclose(run.new_scores[1], data.X_new @ fl.first_step(data, eta=0.3), atol=1e-12)


def test_few_coordinates_have_the_law_of_all():
    """Squared lengths, inner products and the accuracy of trained networks, against draws in all coordinates."""
    N, d, mu, pairs, new = 40, 200, 5.0, 10, 200

    def small(seed):
        return fl.draw_clusters(N, d, mu, 0.0, pairs=pairs, new=new, generator=rng(seed))

    seen = {}
    for name, make in (("few", small), ("all", lambda seed: full(N, d, mu, pairs, new, 10_000 + seed))):
        rows = []
        for seed in range(100):
            one = make(seed)
            gram = one.X @ one.X.T
            cross = one.X @ one.X_new.T
            run = fl.train(one, eta=8 * N / d, steps=10, record=[1, 10])
            kept = fl.train(one, eta=8 * N / d, steps=10, record=[10], hold=0)
            rows.append([
                gram.diagonal().mean(), gram.diagonal().var(), (one.X @ one.start.T).square().mean(), cross.var(),
                gram[0, 4::4].mean(), *fl.accuracy(run.new_scores, one.y_new), *fl.accuracy(kept.new_scores, one.y_new),
            ])  # fmt: skip
        seen[name] = torch.tensor(rows, dtype=F64)
    error = ((seen["few"].var(0) + seen["all"].var(0)) / 100).sqrt()
    # six standard errors, 8 comparisons: a false alarm is rarer than one in ten million
    assert ((seen["few"].mean(0) - seen["all"].mean(0)).abs() < 6 * error).all()
    assert seen["few"][:, 0].mean() == pytest.approx(d + mu**2, rel=0.01)


def test_balanced_samples():
    data = fl.draw_clusters(40, 500, 20.0, 0.15, generator=rng())
    corner = (2 * (data.X[:, :2].abs()[:, 1] > data.X[:, :2].abs()[:, 0]).long() + (data.X[:, :2].sum(1) < 0).long())
    assert torch.bincount(corner).tolist() == [10] * 4
    assert torch.bincount(corner[data.flipped], minlength=4).tolist() == [2] * 4, "1.5 a cluster, to the even number"
    clean = torch.where(data.flipped, -data.y, data.y)
    assert clean.tolist() == torch.where(corner < 2, 1.0, -1.0).tolist()
    loose = fl.draw_clusters(400, 1000, 20.0, 0.3, balanced=False, generator=rng())
    assert 70 < int(loose.flipped.sum()) < 170


def test_labels_change_nothing_else():
    xor, sides = (fl.draw_clusters(40, 500, 20.0, 0.25, labels=kind, generator=rng()) for kind in ("xor", "sides"))
    assert torch.equal(xor.X, sides.X) and torch.equal(xor.start, sides.start) and torch.equal(xor.X_new, sides.X_new)
    assert torch.equal(xor.flipped, sides.flipped)
    clean = torch.where(sides.flipped, -sides.y, sides.y)
    assert torch.equal(clean, sides.X[:, :2].sum(1).sign())


def test_linear_accuracy():
    theta = torch.tensor([3.0, 4.0], dtype=F64)
    phi = [0.5 * math.erfc(-2 * part / 5 / math.sqrt(2)) for part in (3, 4)]
    assert fl.linear_accuracy(theta, 2.0, labels="sides") == pytest.approx(sum(phi) / 2)
    assert fl.linear_accuracy(theta, 2.0) == pytest.approx(0.5, abs=1e-15)
    assert fl.linear_accuracy(torch.zeros(3, dtype=F64), 2.0, labels="sides") == 0.5
    for scale in (1e-300, 1e300):
        assert fl.linear_accuracy(scale * theta, 2.0, labels="sides") == pytest.approx(sum(phi) / 2)
    x = torch.randn(200_000, 2, generator=rng(), dtype=F64)
    x[:, 0] += 2.0
    assert float((x @ theta > 0).to(F64).mean()) == pytest.approx(phi[0], abs=0.006)


def test_counts():
    y = torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=F64)
    assert fl.accuracy(torch.tensor([2.0, 1.0, 0.0, 3.0], dtype=F64), y) == 0.625
    W = torch.tensor([[2.0, 1.0], [2.0, -3.0], [1.0, 1.0], [0.0, 5.0]], dtype=F64)
    assert fl.matched(W, torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=F64)) == 0.625


@pytest.mark.parametrize(
    "how, says",
    [
        ({"N": 6}, "N must be a multiple of 4"),
        ({"d": 20}, "d must be at least 21, found 20"),
        ({"labels": "or"}, "labels must be one of"),
    ],
)
def test_bad_samples(how, says):
    with pytest.raises(ValueError, match=says):
        fl.draw_clusters(**{"N": 16, "d": 100, "mu": 1.0, "flip": 0.1, "pairs": 3, "generator": rng()} | how)


def test_bad_runs():
    data = fl.draw_clusters(8, 100, 1.0, 0.1, pairs=3, generator=rng())
    with pytest.raises(ValueError, match=r"record must increase, found \(1, 1\)"):
        fl.train(data, eta=0.1, steps=2, record=[1, 1])
    with pytest.raises(TypeError, match="data must be a Clusters"):
        fl.train(data.X, eta=0.1, steps=2)
    with pytest.raises(ValueError, match=r"y must have shape \(8,\)"):
        replace(data, y=data.y[:-1])
    with pytest.raises(ValueError, match="y_new must hold labels 1 or -1, found 2"):
        replace(data, y_new=2 * data.y_new)
    with pytest.raises(ValueError, match="1 or -1"):
        fl.accuracy(torch.ones(2, dtype=F64), torch.tensor([1.0, 0.5], dtype=F64))
