"""The pendulum: its expert's loop, gradients against autograd, averages, costs by hand."""

import math

import pytest
import torch

from implicitly import imitation

F64 = torch.float64


def test_the_experts_loop_is_linear():
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    M = torch.tensor([[1 - 0.01 * 0.1, 0.1 * (1 - 0.1 * 0.3)], [-0.1 * 0.1, 1 - 0.1 * 0.3]], dtype=F64)
    assert torch.allclose(imitation.pendulum_step(x, imitation.pendulum_expert(x)), x @ M.T)
    assert imitation.spectral_radius(M).item() == pytest.approx(0.985, abs=5e-4)


def test_training_is_sgd_by_autograd():
    seed, steps, batch, width, noise, eta = 3, 7, 4, 5, 0.2, 0.3
    last, average = imitation.clone_pendulum(
        eta=eta, batch=batch, noise=noise, steps=steps, seeds=[8, seed], decays=[0.0, 0.6], look=4, width=width
    )
    g = torch.Generator().manual_seed(seed)
    shapes = (2, width), (1, width), (width, 1)
    parts = [torch.randn(*shape, generator=g, dtype=F64) for shape in shapes]
    parts = [parts[0] / math.sqrt(2), parts[1], parts[2] / math.sqrt(width), torch.zeros(1, 1, dtype=F64)]
    x = torch.randn(steps, batch, 2, generator=g, dtype=F64)
    action = imitation.pendulum_expert(x) + noise * torch.randn(steps, batch, 1, generator=g, dtype=F64)
    mean = [part.clone() for part in parts]
    for t in range(steps):
        parts = [part.detach().requires_grad_() for part in parts]
        loss = (imitation.Policy(*parts)(x[t]) - action[t]).square().mean() / 2
        gradient = torch.autograd.grad(loss, parts)
        parts = [part.detach() - eta * slope for part, slope in zip(parts, gradient, strict=True)]
        mean = [0.6 * m + 0.4 * part for m, part in zip(mean, parts, strict=True)]
    for found, wanted in ((last, parts), (average, mean)):
        for one, other in zip(found, wanted, strict=True):
            assert one.shape[:2] == (2, 1) and torch.allclose(one[1, 0], other)


def test_cost_by_hand():
    still = torch.tensor([[math.pi, 0.0]], dtype=F64)  # hangs down: no force, no speed
    assert imitation.pendulum_cost(lambda x: torch.zeros_like(x[..., :1]), still, 3).item() == pytest.approx(12)
    start = torch.tensor([[0.2, 0.0], [0.0, 1.0]], dtype=F64)
    after = imitation.pendulum_step(start, imitation.pendulum_expert(start))
    exact = (2 * (1 - after[:, 0].cos()) + after[:, 1].square()).mean()
    assert imitation.pendulum_cost(imitation.pendulum_expert, start, 1).item() == pytest.approx(exact.item())


def test_many_networks_cost_what_each_one_costs():
    (nets,) = imitation.clone_pendulum(eta=0.1, batch=4, noise=0.1, steps=20, seeds=[0, 1], decays=[0.0], look=5)
    start = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    costs = imitation.pendulum_cost(nets, start, 10)
    assert costs.shape == (2, 2)
    one = imitation.Policy(*(part[1, 0] for part in nets))
    assert imitation.pendulum_cost(one, start, 10).item() == pytest.approx(costs[1, 0].item())
