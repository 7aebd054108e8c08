"""The resampled activation by others: plain torch with two batched products a side, with all rows in one product, by
FFT, and torch.compile of the first."""

import torch

import implicitly_kernels as ik
from implicitly_kernels.up_act_down.reference import activate

ITEM = "map"


def given(case, device):
    g = torch.Generator().manual_seed(0)
    maps, n, size, dtype = case["maps"], case["n"], case["size"], getattr(torch, case["dtype"])
    channels = 24 if maps % 24 == 0 else 32
    draw = lambda *shape: torch.randn(*shape, generator=g).to(device, dtype)  # noqa: E731
    x, weight = (draw(maps // channels, channels, side, side) for side in (n, size))
    c = draw(channels, 3)
    if case["gradient"]:
        x.requires_grad_(), c.requires_grad_()
    return x, weight, c if case["activation"] == "poly" else None


def runs(case, device):
    x, weight, c = given(case, device)
    n, m, size = case["n"], case["fine"], case["size"]
    up, down = (ik.resample_matrix(*s, x.dtype).to(device) for s in ((n, m), (m, size)))

    def f(u):
        """The activation; channels in dimension -3."""
        return (c[:, 2, None, None] * u + c[:, 1, None, None]) * u + c[:, 0, None, None] if c is not None else activate(
            u, c, case["activation"])  # fmt: skip

    def timed(call):
        if not case["gradient"]:
            return call
        wanted = (x, c) if c is not None else (x,)
        return lambda: torch.autograd.grad((call() * weight).sum(), wanted)

    for backend in ik.available_backends(device):
        if backend != "reference":
            yield backend, None, timed(lambda be=backend: ik.up_act_down(
                x, case["activation"], coefficients=c, factor=m / n, size=size, backend=be)), case["maps"], ""

    def products():
        return down @ f(up @ x @ up.T) @ down.T

    up_t, down_t = up.T.contiguous(), down.T.contiguous()

    def rows():
        turned = f((x @ up_t).mT.contiguous() @ up_t)
        return (turned @ down_t).mT.contiguous() @ down_t

    def resampled(x, m):
        n = x.shape[-1]
        kept, half = (min(n, m) - 1) // 2, torch.fft.rfft2(x)
        wide = half.new_zeros(*x.shape[:-2], m, m // 2 + 1)
        wide[..., :kept + 1, :kept + 1] = half[..., :kept + 1, :kept + 1]
        if kept:
            wide[..., -kept:, :kept + 1] = half[..., -kept:, :kept + 1]
        return torch.fft.irfft2(wide, s=(m, m)) * (m / n) ** 2

    yield "eager", "torch", timed(products), case["maps"], "two batched products a side"
    yield "eager, rows", "torch", timed(rows), case["maps"], "all rows in one product, turned between"
    yield "eager, fft", "torch", timed(lambda: resampled(f(resampled(x, m)), size)), case["maps"], "rfft2, padded"
    if device == "cuda" or (n == 16 and x.dtype == torch.float32):  # a compilation takes half a minute
        torch.compiler.reset()
        yield ("compile", "torch", timed(torch.compile(products, dynamic=False)), case["maps"],
               "two batched products a side")  # fmt: skip
