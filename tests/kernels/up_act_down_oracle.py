"""What the tests of a function between two resamplings share: it by FFT in float64, and the comparison."""

import math

import torch
from lanes import relative_error

from implicitly_kernels import up_act_down
from implicitly_kernels.up_act_down import _DISPATCH, reference

F32, F64 = torch.float32, torch.float64
ACTIVATIONS = {
    "identity": lambda u, c: u,
    "poly": lambda u, c: c[:, 0, None, None] + c[:, 1, None, None] * u + c[:, 2, None, None] * u**2,
    "gelu": lambda u, c: u * 0.5 * (1 + torch.erf(u / math.sqrt(2))),
    "relu": lambda u, c: u.clamp_min(0),
}
# (leading axes, n, factor, size)
SMALL = [((2, 3), 4, 2, None), ((2,), 5, 1.6, 3)]
LARGE = [
    *SMALL, ((), 2, 1.5, None), ((1,), 2, 1, 1), ((3, 1), 3, 1, None), ((2, 2), 8, 2, 4), ((40, 2), 7, 2, 6),
    ((1, 2, 3), 16, 22 / 16, None), ((19, 3), 16, 2, 8), ((2,), 9, 4, 9), ((3,), 32, 2, None), ((2,), 6, 1, 5),
]  # fmt: skip


def resampled(x, m):
    """Oracle: by the discrete Fourier transform, without a matrix of ours."""
    n = x.shape[-1]
    keep = torch.tensor([k for k in range(-n, n) if 2 * abs(k) < min(n, m)])
    X, Y = torch.fft.fft2(x), torch.zeros(*x.shape[:-2], m, m, dtype=torch.complex128)
    Y[..., keep[:, None] % m, keep % m] = X[..., keep[:, None] % n, keep % n]
    return torch.fft.ifft2(Y).real * (m / n) ** 2


def oracle(x, activation, coefficients, factor, size):
    n = x.shape[-1]
    u = ACTIVATIONS[activation](resampled(x, round(factor * n)), coefficients)
    return resampled(u, size or n).reshape(*x.shape[:-2], size or n, size or n)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def gradients(run, x, coefficients, weight):
    """Of the sum of weight * result, in x and in the coefficients."""
    x, coefficients = (v.detach().requires_grad_() for v in (x, coefficients))
    loss = (run(x, coefficients) * weight).sum()
    return torch.autograd.grad(loss, (x, coefficients), allow_unused=True)


def check(call, dtype, device="cpu", shapes=LARGE, backward=True):
    """Results and gradients against the oracle; float32 within 1e-5, and 20 times the reference's own error."""
    for lead, n, factor, size in shapes:
        side = size or n
        x, weight = normal(*lead, n, n).to(dtype), normal(*lead, side, side, seed=1).to(dtype)
        for activation in ACTIVATIONS:
            channels = lead[-1] if lead and activation == "poly" else 1
            coefficients = normal(channels, 3, seed=2).to(dtype)

            def go(x, c, run=call, **more):
                c = {"coefficients": c if len(lead) > 0 else c[0]} if activation == "poly" else {}  # noqa: B023
                return run(x, activation, factor=factor, size=size, **c, **more)  # noqa: B023

            def true(x, c):
                return oracle(x, activation, c, factor, size)  # noqa: B023

            want = [true(x.double(), coefficients.double())]
            got = [go(x.to(device), coefficients.to(device))]
            plain = [go(x, coefficients, run=up_act_down, backend="reference")]
            if backward:
                args = x.double(), coefficients.double(), weight.double()
                want += gradients(true, *args)
                got += gradients(go, *(v.to(device) for v in (x, coefficients, weight)))
                plain += gradients(lambda x, c: go(x, c, run=up_act_down, backend="reference"), x, coefficients, weight)
            for a, b, p in zip(got, want, plain, strict=True):
                if b is None:
                    assert a is None
                    continue
                assert a.dtype == dtype and a.shape == b.shape and a.device.type == device
                limit = 1e-12 if dtype == F64 else min(1e-5, 20 * relative_error(p, b) + 3e-7)
                assert relative_error(a, b) <= limit, (lead, n, factor, size, activation, relative_error(a, b))


def by(run=None, backward=None):
    """A public call that runs these implementations instead of the registered ones, and of the numba backend."""

    def call(*args, **kwargs):
        for name, function in (("run", run), ("backward", backward)):
            _DISPATCH[name]._loaded["numba"] = function or getattr(reference, name)
        return up_act_down(*args, **kwargs, backend="numba")

    return call
