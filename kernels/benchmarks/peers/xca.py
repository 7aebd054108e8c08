"""Cross-covariance attention by others: plain torch as the layer is published, torch.compile of it, and for contrast
torch's attention between tokens, which is another function."""

import torch
from torch.nn import functional as F

import implicitly_kernels as ik

ITEM = "head"


def runs(case, device):
    g = torch.Generator().manual_seed(0)
    shape, dtype = [case[v] for v in ("B", "H", "N", "d")], getattr(torch, case["dtype"])
    q, k, v, weight = (torch.randn(*shape, generator=g).to(device, dtype) for _ in range(4))
    t = torch.linspace(0.5, 2.0, case["H"]).to(device, dtype)
    heads, wanted = case["B"] * case["H"], (q, k, v, t)
    if case["gradient"]:
        for one in wanted:
            one.requires_grad_()

    def timed(call):
        if not case["gradient"]:
            return call
        return lambda: torch.autograd.grad((call() * weight).sum(), wanted, allow_unused=True)

    for backend in ik.available_backends(device):
        if backend != "reference":
            yield backend, None, timed(
                lambda be=backend: ik.cross_covariance_attention(q, k, v, t, backend=be)), heads, ""

    def published():
        A = (F.normalize(q, dim=-2).mT @ F.normalize(k, dim=-2) * t[:, None, None]).softmax(-1)
        return v @ A.mT

    yield "eager", "torch", timed(published), heads, "F.normalize and two batched products"
    yield ("eager, scaled_dot_product_attention", "torch", timed(lambda: F.scaled_dot_product_attention(q, k, v)),
           heads, "another function: attention between tokens")  # fmt: skip
    if device == "cuda" or (case["N"] == 64 and dtype == torch.float32):  # a compilation takes half a minute
        torch.compiler.reset()
        yield ("compile", "torch", timed(torch.compile(published, dynamic=False)), heads,
               "F.normalize and two batched products")  # fmt: skip
