"""The flow of a closed-form shallow denoiser in plain torch: the definition, step by step."""

import torch


def ramp_tables(length, rho):
    """Slope and shift of every ramp at every time, float64: phi(z) = clip(slope*z - shift, 0, length).

    length (m,), rho (T+1,), both float64. Returns two (T+1, m).
    """
    slope = length / (length - 2.0 * rho[:, None])
    return slope, rho[:, None] * slope


def pull(y, u, slope, shift, length):
    """h(y) - y for y (B, d) relative to the first data point."""
    ramp = torch.clamp(y @ u.mT * slope - shift, min=torch.zeros_like(length), max=length)
    return ramp @ u - y


def flow(x, u, length, rho, dt, origin, method, save_every):
    """States (S, B, d): the last one, or every save_every-th from the start. All of x's dtype.

    x (B, d), u (m, d), origin (d,); length (m,), rho (T+1,), dt (T,) float64 on x's device.
    """
    slope, shift = (t.to(x.dtype) for t in ramp_tables(length, rho))
    length = length.to(x.dtype)
    y = x - origin
    saved = [y]
    for k in range(dt.numel()):
        h = dt[k].to(x.dtype)
        first = pull(y, u, slope[k], shift[k], length)
        if method == "heun":
            second = pull(y + h * first, u, slope[k + 1], shift[k + 1], length)
            y = y + 0.5 * h * (first + second)
        else:
            y = y + h * first
        if save_every and (k + 1) % save_every == 0:
            saved.append(y)
    return torch.stack(saved if save_every else [y]) + origin
