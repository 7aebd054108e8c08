"""Tasks that the tests of bounds share."""

import torch

from implicitly.continual import (
    fan_tasks,
    line_tasks,
    orthogonal_tasks,
    random_tasks,
)

F64 = torch.float64


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def at_angles(angles):
    angles = torch.as_tensor(angles, dtype=F64)
    return torch.stack([angles.cos(), angles.sin()], 1)


def families(seed):
    g = rng(seed)
    yield random_tasks(6, 10, 3, generator=g)
    yield random_tasks(6, 10, 3, condition=1e3, generator=g)
    yield random_tasks(4, 3, 2, generator=g)
    yield line_tasks(at_angles(0.1 * torch.randn(5, generator=g, dtype=F64)), at_angles([0.3])[0])
    yield line_tasks(torch.randn(5, 4, generator=g, dtype=F64), torch.randn(4, generator=g, dtype=F64))
    yield orthogonal_tasks(8)
    yield fan_tasks(8, tilt=0.2)


def random_lines(seed, T=7, d=4):
    g = rng(seed)
    return torch.randn(T, d, generator=g, dtype=F64), torch.randn(d, generator=g, dtype=F64)
