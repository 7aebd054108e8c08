"""Probes on digits: the fit against another optimizer, and the orders of a pass."""

import pytest
import torch
from scipy.optimize import minimize

from implicitly.continual import DigitPairs, digit_pairs, digit_tasks, fit_logistic, probe_run

F64 = torch.float64


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def objective(v, w, X, y, lam, smoothing):
    margin = y * (X @ v)
    right, wrong = (torch.nn.functional.softplus(sign * margin) for sign in (-1, 1))
    loss = (1 - smoothing / 2) * right + smoothing / 2 * wrong
    return loss.mean() + lam / 2 * (v - w).square().sum()


@pytest.mark.parametrize("lam", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("smoothing", [0.0, 0.05])
def test_fit_is_the_minimum(lam, smoothing):
    g = rng(1)
    w, X = 3 * torch.randn(2, 5, generator=g, dtype=F64), 4 * torch.randn(2, 30, 5, generator=g, dtype=F64)
    y = X[:, :, 0].sign()  # separable: without smoothing only lam holds the weights
    v = fit_logistic(w, X, y, lam=lam, smoothing=smoothing, steps=60)
    for b in range(2):
        at = v[b].clone().requires_grad_()
        value = objective(at, w[b], X[b], y[b], lam, smoothing)
        (grad,) = torch.autograd.grad(value, at)
        assert grad.norm() < 1e-9
        other = minimize(lambda p, b=b: objective(torch.from_numpy(p), w[b], X[b], y[b], lam, smoothing).item(),
                         w[b].numpy(), method="BFGS", options={"gtol": 1e-6})  # fmt: skip
        assert value.item() <= other.fun + 1e-12
    assert torch.equal(fit_logistic(w, X, y, lam=lam, steps=0), w)


def test_a_full_step_would_overshoot():
    """From far outside an undamped Newton step lands farther away; the line search never lets the objective rise."""
    X = torch.ones(1, 1, 1, dtype=F64)
    w, y = torch.tensor([[-12.0]], dtype=F64), torch.ones(1, 1, dtype=F64)
    before = objective(w[0], w[0], X[0], y[0], 1e-6, 0.0)
    for steps in range(1, 12):
        v = fit_logistic(w, X, y, lam=1e-6, smoothing=0.0, steps=steps)
        value = objective(v[0], w[0], X[0], y[0], 1e-6, 0.0)
        assert value <= before
        before = value
    p = torch.sigmoid(torch.tensor(-12.0, dtype=F64)).item()
    assert (1 - p) / (p * (1 - p) + 1e-6) > 1e5  # the length of the undamped step


def test_pairs_of_digits():
    pairs = digit_pairs(25, n=20, features=30, seed=3)
    assert pairs.X.shape == (25, 20, 30) and pairs.X_test.shape == (25, 108, 30) and pairs.X.dtype == F64
    assert not pairs.y.sum(1).any() and (pairs.y.abs() == 1).all()
    train = {tuple(row) for row in pairs.X.reshape(-1, 30).tolist()}
    test = {tuple(row) for row in pairs.X_test.reshape(-1, 30).tolist()}
    assert not train & test
    positive = {tuple(row) for row in pairs.X[pairs.y > 0].tolist()}
    assert not positive & {tuple(row) for row in pairs.X[pairs.y < 0].tolist()}  # each class keeps its sign
    lengths = torch.cat([pairs.X, pairs.X_test], 1).norm(dim=2).mean()
    assert lengths.item() == pytest.approx(1, abs=0.05)
    joint = fit_logistic(torch.zeros(1, 30, dtype=F64), pairs.X.reshape(1, -1, 30), pairs.y.reshape(1, -1), lam=1e-3)
    assert (pairs.y_test * (pairs.X_test @ joint[0]) > 0).double().mean() > 0.8


def test_digit_tasks_are_realizable():
    tasks = digit_tasks(10, n=8, features=100, seed=1)
    assert tasks.T == 10 and tasks.mean_rank == 8 and pytest.approx(1, rel=1e-13) == tasks.R
    for x, v in zip(tasks.X, tasks.y, strict=True):
        torch.testing.assert_close(x @ tasks.solution, v, rtol=0, atol=1e-9)
        assert (v.sign()[:4] > 0).double().mean() > 0.7  # 80 labels and 100 features: the teacher fits them


def test_orders_of_a_pass():
    pairs = digit_pairs(6, n=20, features=30, seed=1)
    for rule in ("distance", "nearest", "residual"):
        accuracy, order = probe_run(pairs, rule, lam=0.1)
        assert accuracy.shape == order.shape == (1, 6) and order.sort().values.tolist() == [[0, 1, 2, 3, 4, 5]]
    zero = torch.zeros(6, 30, dtype=F64)
    first = fit_logistic(zero, pairs.X, pairs.y, lam=0.1).square().sum(1)
    assert probe_run(pairs, "distance", lam=0.1)[1][0, 0] == first.argmax()
    assert probe_run(pairs, "nearest", lam=0.1)[1][0, 0] == first.argmin()
    # At zero weights every task has the same loss: the lowest index.
    assert probe_run(pairs, "residual", lam=0.1)[1][0, 0] == 0
    accuracy, order = probe_run(pairs, "random", lam=0.1, runs=3, generator=rng())
    w = torch.zeros(1, 30, dtype=F64)
    for t, m in enumerate(order[1].tolist()):
        w = fit_logistic(w, pairs.X[m : m + 1], pairs.y[m : m + 1], lam=0.1)
        right = (pairs.y_test * (pairs.X_test @ w[0]) > 0).double().mean()
        assert accuracy[1, t].item() == pytest.approx(right.item(), abs=1e-12)
    with pytest.raises(ValueError, match="runs and generator must be left out"):
        probe_run(pairs, "distance", lam=0.1, runs=2)
    with pytest.raises(ValueError, match="y must hold labels 1 and -1, found 0"):
        DigitPairs(pairs.X, 0 * pairs.y, pairs.X_test, pairs.y_test)


def test_greedy_leads_along_the_path():
    """Accuracy averaged over the pass, 20 tasks: farthest first above random, and nearest first below."""
    pairs = digit_pairs(20, seed=0)
    random = probe_run(pairs, "random", lam=1e-2, runs=10, generator=rng())[0].mean().item()
    greedy = probe_run(pairs, "distance", lam=1e-2)[0].mean().item()
    nearest = probe_run(pairs, "nearest", lam=1e-2)[0].mean().item()
    assert greedy > random > nearest


def test_a_rule_that_looks_at_few_samples():
    pairs = digit_pairs(6, seed=1)
    full = probe_run(pairs, "residual", lam=0.1)
    assert torch.equal(probe_run(pairs, "residual", lam=0.1, look=120)[1], full[1])
    # evenly spaced: the first of each class, of 120 samples in two halves
    few = DigitPairs(pairs.X[:, [0, 60]], pairs.y[:, [0, 60]], pairs.X_test, pairs.y_test)
    after = fit_logistic(torch.zeros(1, 100, dtype=torch.float64), pairs.X[:1], pairs.y[:1], lam=0.1)
    loss = torch.nn.functional.softplus(-few.y * (few.X @ after[0])).mean(1)
    assert probe_run(pairs, "residual", lam=0.1, look=2)[1][0, 1] == 1 + loss[1:].argmax()
    for rule, look in (("distance", 2), ("residual", 0), ("residual", 121)):
        with pytest.raises(ValueError, match="look must be"):
            probe_run(pairs, rule, lam=0.1, look=look)
