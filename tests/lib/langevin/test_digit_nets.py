"""Networks on digits: gradients, data, runs, the edges."""

import math

import pytest
import torch
from langevin_inputs import F64, generator

from implicitly import data, langevin
from implicitly.langevin import langevin_step
from implicitly_kernels.langevin.reference import normals


def test_network_gradient_is_autograds():
    net = langevin.TanhNet(3)
    x, y, *_ = data.digits(20, flip=0.0, seed=0)
    theta = net.sample_prior(4, generator()).requires_grad_()
    loss, grad = net.loss_and_grad(theta.detach(), x, y)
    W, v = theta[:, :-3].reshape(4, 3, 64), theta[:, -3:]
    output = (torch.tanh(torch.einsum("chd,nd->cnh", W, x)) * v[:, None]).sum(-1)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(output, y.expand(4, -1), reduction="none").mean(1)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(net.loss(theta.detach(), x, y), expected)
    torch.testing.assert_close(grad, torch.autograd.grad(expected.sum(), theta)[0], rtol=1e-4, atol=1e-7)
    assert torch.equal(net.error(theta.detach(), x, y), ((output > 0) != (y > 0.5)).float().mean(1))
    assert net.d == 3 * 65 and net.prior_var().shape == (net.d,)


def test_digits_and_coins():
    x, y, x_test, y_test = data.digits(300, flip=0.0, seed=1)
    assert x.shape == (300, 64) and x_test.shape == (997, 64) and set(y.tolist()) == {0.0, 1.0}
    _, flipped, _, flipped_test = data.digits(300, flip=1.0, seed=1)
    _, again, _, _ = data.digits(300, flip=1.0, seed=1)
    assert torch.equal(flipped, again)
    changed = (flipped_test != y_test).float().mean().item()
    assert abs(changed - 0.5) < 5 * 0.5 / math.sqrt(997)


def test_a_run_is_reproducible_and_its_history_is_consistent():
    one = langevin.langevin_run(100.0, 30, 1.0, 3, steps=20, record=5)
    two = langevin.langevin_run(100.0, 30, 1.0, 3, steps=20, record=5)
    assert one == two
    assert one["history"]["time"] == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])
    assert one["history"]["loss"][-1] == one["end_loss"]
    assert one["gap"] == one["test_error"] - one["train_error"]
    assert langevin.langevin_run(100.0, 30, 1.0, 4, steps=20) != {k: v for k, v in one.items() if k != "history"}


def test_a_run_takes_the_steps_of_the_library():
    """The digits' own run, in two pieces, is `langevin_step` with the noise of the kernel."""
    run = langevin.langevin_run(100.0, 30, 0.0, 2, steps=7, chains=3, width=4, record=5)
    seed = 1_000_003 * 2 + 17
    net, g = langevin.TanhNet(4), generator(seed)
    x, y, *_ = data.digits(30, flip=0.0, seed=2)
    net.sample_prior(256, g)
    theta = net.sample_prior(3, g)
    for step in range(7):
        _, grad = net.loss_and_grad(theta, x, y)
        noise = normals(seed, torch.arange(3), step, [64] * 4 + [4], torch.float32)
        theta = langevin_step(theta, grad, beta=100.0, eta=0.05, prior_var=net.prior_var(), noise=noise)
    assert run["end_loss"] == pytest.approx(net.loss(theta, x, y).mean().item(), rel=1e-5)


def test_the_digits_are_the_same_whatever_the_default_dtype_and_nobody_can_change_them():
    before = data.digits(20, flip=0.5, seed=3)
    data._arrays.cache_clear()
    torch.set_default_dtype(F64)
    try:
        within = data.digits(20, flip=0.5, seed=3)
        prior = langevin.TanhNet(2).sample_prior(3, generator())
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(before, within, strict=True))
    assert torch.equal(prior, langevin.TanhNet(2).sample_prior(3, generator()))
    within[2].zero_()  # the test pictures of one caller
    assert torch.equal(data.digits(20, flip=0.5, seed=3)[2], before[2])


def test_networks_on_digits_at_the_edges():
    net, (x, y, *_) = langevin.TanhNet(2), data.digits(5, flip=0.0, seed=0)
    theta = net.sample_prior(3, generator())
    loss, grad = net.loss_and_grad(theta[:0], x, y)
    assert loss.shape == (0,) and grad.shape == (0, net.d)
    assert net.loss(0 * theta, x, y).tolist() == pytest.approx([math.log(2)] * 3)
    with pytest.raises(ValueError, match="x must hold at least one picture, found none"):
        net.loss(theta, x[:0], y[:0])
    with pytest.raises(ValueError, match="y must hold labels 0 and 1, found 2"):
        net.error(theta, x, y + 2)
    with pytest.raises(ValueError, match="beta, eta and prior_var must give steps within the range of float32"):
        langevin.langevin_run(1e-300, 20, 0.0, 0, steps=1)
    for bad, found in ((dict(record=0), "record must be at least 1"), (dict(eta=math.nan), "eta must be finite")):
        with pytest.raises(ValueError, match=found):
            langevin.langevin_run(50.0, 20, 0.0, 0, steps=1, **bad)
    cold = langevin.langevin_run(1e300, 20, 0.0, 2**63 - 1, steps=2)  # no noise: gradient descent
    assert cold["end_loss"] < math.inf and cold["time"] == 0.1
