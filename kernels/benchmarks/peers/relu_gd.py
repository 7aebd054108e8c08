"""Gradient descent of tiny ReLU networks by others: plain torch with batched products, as the
definition is written, vmap of one network's gradient, and torch.compile of both."""

import ctypes

import torch

import implicitly_kernels as ik
from implicitly_kernels.relu_gd import reference

ITEM = "neuron-sample-step"
FEW = 50  # steps of the slow ones


def keep_memory():
    """Let malloc keep what is freed.

    The peers' float64 arrays lie at the size where glibc may map each one anew; whether it does is
    luck of the process and made eager torch up to five times slower. Peers are timed at their best.
    """
    trim_threshold, mmap_threshold = -1, -3
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(trim_threshold, 1 << 30)
        mallopt(mmap_threshold, 32 << 20)


def runs(case, device):
    keep_memory()
    g = torch.Generator().manual_seed(0)
    b, k, n = case["nets"], case["k"], case["n"]
    w1, knots, w2 = torch.randn(b, k, generator=g), torch.rand(b, k, generator=g) * 2 - 1, torch.randn(
        b, k, generator=g) / k**0.5
    x = torch.linspace(-1, 1, n).expand(b, n)
    y = torch.relu(1 - 2 * x.abs()) + 0.5 * torch.randn(b, n, generator=g)
    dtype = getattr(torch, case["dtype"])
    start = [t.to(device, dtype) for t in (w1, -w1 * knots, w2, torch.zeros(b))]
    x, y, eta = x.to(device, dtype).contiguous(), y.to(device, dtype), torch.full(
        (b,), 0.1, dtype=dtype, device=device)
    whole, few = (b * k * n * t for t in (case["steps"], FEW))
    for backend in ik.available_backends(device):
        if backend != "reference":
            yield backend, None, lambda be=backend: ik.relu_gd(
                *start, x, y, eta, case["steps"], backend=be), whole, ""

    rate = eta[:, None] / n

    def products(w1, b1, w2, b2):
        """Our algebra, with the sums over neurons and samples as batched matrix products."""
        z = torch.addcmul(b1[:, :, None], w1[:, :, None], x[:, None, :])
        r = torch.bmm(w2[:, None, :], torch.relu(z))[:, 0] + b2[:, None] - y
        sums = torch.bmm((z > 0).to(z.dtype), torch.stack([r * x, r], dim=2))
        slope, level = sums[:, :, 0], sums[:, :, 1]
        return (w1 - rate * w2 * slope, b1 - rate * w2 * level,
                w2 - rate * (w1 * slope + b1 * level), b2 - eta * r.mean(1))

    def defined(*p):
        return reference.step(*p, x, y, eta)

    def loss(p, x, y):
        w1, b1, w2, b2 = p
        f = torch.relu(x[:, None] * w1 + b1) @ w2 + b2
        return 0.5 * ((f - y) ** 2).mean()

    gradient = torch.func.vmap(torch.func.grad(loss))

    def mapped(*p):
        moves = gradient(p, x, y)
        return tuple(v - eta.view(-1, *[1] * (v.ndim - 1)) * m
                     for v, m in zip(p, moves, strict=True))

    def loop(step):
        def run():
            p = start
            for _ in range(FEW):
                p = step(*p)
            return p
        return run

    yield "eager", "torch", loop(products), few, "our algebra in batched products"
    yield "eager, as defined", "torch", loop(defined), few, "the reference"
    yield "eager, vmap", "torch", loop(mapped), few, "vmap of one network's gradient"
    yield "compile", "torch", loop(torch.compile(products)), few, (
        "our algebra, one compiled step, looped")
    yield "compile, as defined", "torch", loop(torch.compile(defined)), few, (
        "one compiled step, looped")
    yield "compile, vmap", "torch", loop(torch.compile(mapped)), few, "one compiled step, looped"
