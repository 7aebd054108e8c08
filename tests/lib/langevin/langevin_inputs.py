"""What the tests of Langevin dynamics share."""

import torch

from implicitly.langevin import langevin_step

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tensor(*values):
    return torch.tensor(values, dtype=F64)


def step(theta=None, grad=None, **changes):
    arguments = {"beta": 1.0, "eta": 0.1, "prior_var": 1.0, **changes}
    theta = torch.zeros(2, 3) if theta is None else theta
    return langevin_step(theta, torch.zeros(2, 3) if grad is None else grad, **arguments)
