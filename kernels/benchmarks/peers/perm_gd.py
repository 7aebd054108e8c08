"""Many small multiclass problems by others: plain torch, the log domain in torch, vmap of one problem's
gradient, and torch.compile of each. All take the same normalized steps under cross-entropy."""

import math

import torch

import implicitly_kernels as ik
from implicitly_kernels.perm_gd import reference

ITEM = "sample step"
FEW = 50  # steps of the slow ones


def separable(problems, samples, d, classes, dtype, device):
    """Normal data labelled by a normal teacher, kept where its best score leads by 0.3."""
    drawn = {"generator": torch.Generator(device).manual_seed(0), "dtype": dtype, "device": device}
    teacher = torch.randn(problems, classes, d, **drawn)
    x = torch.randn(problems, 8 * samples, d, **drawn)
    best = (x @ teacher.mT).topk(2, dim=2).values
    kept = (best[..., 0] - best[..., 1] > 0.3).double().topk(samples, dim=1).indices
    x = x.gather(1, kept[..., None].expand(-1, -1, d))
    return x, (x @ teacher.mT).argmax(2)


def runs(case, device):
    b, n, d, k = case["problems"], case["samples"], case["d"], case["classes"]
    dtype = getattr(torch, case["dtype"])
    x, y = separable(b, n, d, k, dtype, device)
    start = torch.zeros(b, k, d, dtype=dtype, device=device)
    share = torch.ones(b, dtype=dtype, device=device)
    whole, few = b * n * case["steps"], b * n * FEW
    for backend in ik.available_backends(device):
        if backend != "reference":
            yield backend, None, lambda be=backend: ik.perm_gd(
                start, x, y, case["steps"], normalized=share, backend=be), whole, ""

    last = -math.log(torch.finfo(dtype).eps / 2)
    twice = 2 * (x * x).sum(2).amax(1)
    log_twice, log_share = torch.log(twice), torch.log(share)
    one_hot = torch.nn.functional.one_hot(y, k).to(x.dtype)
    place = y[..., None]

    def plain(w):
        log_p = torch.log_softmax(x @ w.mT, dim=2)
        risk = -log_p.gather(2, place).sum((1, 2))
        pull = one_hot - log_p.exp()
        return w + (share / (twice * risk))[:, None, None] * (pull.mT @ x)

    def logs(w):
        return reference.step(w, x, y, "cross-entropy", log_share, log_twice)[0]

    def loss(w, x, y):
        return torch.nn.functional.cross_entropy(x @ w.T, y, reduction="sum")

    both = torch.func.vmap(torch.func.grad_and_value(loss))

    def mapped(w):
        gradient, risk = both(w, x, y)
        return w - (share / (twice * risk))[:, None, None] * gradient

    def loop(step):
        def run():
            w = start
            for _ in range(FEW):
                w = step(w)
            return w
        return run

    yield "eager", "torch", loop(plain), few, f"softmax: its risk is 0 past a log time of {last:.0f}"
    yield "eager, log domain", "torch", loop(logs), few, "the reference"
    yield "eager, vmap", "torch", loop(mapped), few, "vmap of one problem's gradient"
    yield "compile", "torch", loop(torch.compile(plain)), few, "softmax, one compiled step, looped"
    yield "compile, vmap", "torch", loop(torch.compile(mapped)), few, "one compiled step, looped"
    yield "compile, log domain", "torch", loop(torch.compile(logs)), few, (
        "one compiled step, looped")
