"""Random threshold networks by others: a batched +-1 product in torch, eager and compiled."""

from itertools import pairwise

import torch

import implicitly_kernels as ik

ITEM = "network"


def batched(signs, y, widths, n):
    """Weights from torch's own generator; every network sees every sample. signs (N, d0) +-1."""
    a = signs.expand(n, *signs.shape)
    for d_in, d_out in pairwise(widths):
        w = 2.0 * torch.randint(0, 2, (n, d_in, d_out), device=signs.device).float() - 1.0
        a = torch.where(a @ w >= 0, 1.0, -1.0)
    return ((a[:, :, 0] > 0) == y).all(dim=1).sum()


def runs(case, device):
    g = torch.Generator().manual_seed(0)
    widths, nets = case["widths"], case["nets"]
    x = (torch.rand(case["samples"], widths[0], generator=g) < 0.5).to(device)
    y = (torch.rand(case["samples"], generator=g) < 0.5).to(device)
    for backend in ik.available_backends(device):
        if backend != "reference":
            yield backend, None, lambda b=backend: ik.sign_nets(x, y, widths, nets, backend=b), nets, ""
    few = 1 << (14 if device == "cpu" else 20)
    signs = 2.0 * x.float() - 1.0
    yield "eager", "torch", lambda: batched(signs, y, widths, few), few, "all samples, no early exit"
    compiled = torch.compile(batched)
    yield "compile", "torch", lambda: compiled(signs, y, widths, few), few, (
        "all samples, no early exit")
