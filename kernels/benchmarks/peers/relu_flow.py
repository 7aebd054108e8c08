"""The denoiser's flow by others: plain torch, the same in Gram form, torch.compile, torchdiffeq."""

import torch

import implicitly_kernels as ik
from implicitly_kernels.relu_flow import reference
from implicitly_kernels.relu_flow._coordinates import prepare

ITEM = "particle step"


def gram_form(x, u, length, rho, dt):
    """Our algebra in plain torch, so that the kernel's own share of the gain can be read off."""
    y, c, gram, slope, shift, top, decay = prepare(x, u, length, rho, dt, x.new_zeros(x.shape[1]),
                                                   "euler")
    w = torch.zeros_like(c)
    low = torch.zeros_like(top)
    for k in range(dt.numel()):
        h = dt[k].to(x.dtype)
        p = torch.clamp(c * slope[k] - shift[k], min=low, max=top)
        c = c + h * (p @ gram - c)
        w = (1 - h) * w + h * p
    return decay[-1].to(x.dtype) * y + w @ u


def runs(case, device):
    g = torch.Generator().manual_seed(0)
    b, m, d, steps = case["particles"], case["m"], case["d"], case["steps"]
    u = torch.nn.functional.normalize(2 * torch.eye(m, d) - 0.3 * torch.rand(m, d, generator=g), dim=1)
    x = torch.rand(b, d, generator=g) - 0.2
    length = torch.ones(m, dtype=torch.float64)
    rho = torch.linspace(0.2, 0.01, steps + 1, dtype=torch.float64)
    dt = torch.full((steps,), 3.0 / steps, dtype=torch.float64)
    x, u, length, rho, dt = (t.to(device) for t in (x, u, length, rho, dt))
    zero = x.new_zeros(d)
    args = (x, u, length, rho, dt)
    n = b * steps
    for backend in ik.available_backends(device):
        if backend != "reference":
            yield backend, None, lambda be=backend: ik.relu_flow(*args, backend=be), n, ""
    yield "eager", "torch", lambda: reference.flow(*args, zero, "euler", 0), n, ""
    yield "eager, Gram form", "torch", lambda: gram_form(*args), n, "our algebra in plain torch"
    slope, shift = (t.to(x.dtype) for t in reference.ramp_tables(length, rho))
    top, h = length.to(x.dtype), dt[0].to(x.dtype)
    step = torch.compile(lambda y, s, t: y + h * reference.pull(y, u, s, t, top))

    def compiled():
        y = x
        for k in range(steps):
            y = step(y, slope[k], shift[k])
        return y

    yield "compile", "torch", compiled, n, "one compiled step, looped"
    times = torch.linspace(0, 3, steps + 1, device=device)

    def field(t, y):
        k = min(int(t * steps / 3 + 0.5), steps - 1)
        return reference.pull(y, u, slope[k], shift[k], top)

    def by_torchdiffeq():
        from torchdiffeq import odeint

        return odeint(field, x, times, method="euler")[-1]

    yield "torchdiffeq", "torchdiffeq", by_torchdiffeq, n, "Euler on the same grid"
