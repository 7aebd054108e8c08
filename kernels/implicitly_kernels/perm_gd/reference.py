"""Gradient descent under a PERM loss in plain torch: the definition, every quantity by its logarithm."""

import torch

LOSSES = ("cross-entropy", "exponential", "pairlog", "polynomial")


def softplus(v):
    """log(1 + e^v) for any v; torch's own overflows or cuts off at its threshold."""
    return torch.logaddexp(v, torch.zeros_like(v))


def log_softplus(v):
    """log(log(1 + e^v)) for any v: below -30 softplus(v) is e^v (1 - e^v/2), and e^v may underflow."""
    low = torch.clamp(v, max=-30.0)
    return torch.where(v < -30.0, low - 0.5 * torch.exp(low), torch.log(softplus(torch.clamp(v, min=-30.0))))


def log_weights(a, loss):
    """log of -dpsi/du at u = -a (B, N, K), a = -inf at the sample's own class; log psi (B, N)."""
    if loss == "exponential":
        return a, torch.logsumexp(a, 2)
    if loss == "cross-entropy":
        total = torch.logsumexp(a, 2)
        return a - softplus(total)[..., None], log_softplus(total)
    if loss == "pairlog":
        return a - softplus(a), torch.logsumexp(log_softplus(a), 2)
    reach = torch.log1p(torch.clamp(-a, min=0.0))
    return -2.0 * reach, torch.logsumexp(
        torch.where(a > 0, torch.log1p(torch.clamp(a, min=0.0)), -reach), 2)


def log_curvature(a, log_r, twice, loss):
    """log C (B,), a bound of the risk's curvature; twice = log(2 max_i |x_i|^2)."""
    if loss != "polynomial":
        return twice + log_r
    cubes = -3.0 * torch.log1p(torch.clamp(-a, min=0.0)).flatten(1)
    return twice + torch.log(torch.tensor(2.0, dtype=a.dtype)) + torch.logsumexp(cubes, 1)


def step(w, x, y, loss, log_rate, twice):
    """One step: w after it, log of its size (B,), log risk before it (B,).

    twice is None for a fixed step e^log_rate, else log(2 max|x|^2) for the share e^log_rate of 1/C.
    """
    own = torch.nn.functional.one_hot(y, w.shape[1]).bool()
    scores = x @ w.mT  # [B, N, K]
    a = (scores - scores.gather(2, y[..., None])).masked_fill(own, -torch.inf)
    log_c, log_psi = log_weights(a, loss)
    log_r = torch.logsumexp(log_psi, 1)
    size = log_rate if twice is None else log_rate - log_curvature(a, log_r, twice, loss)
    # The largest weight leaves the exponent before anything is exponentiated.
    top = log_c.flatten(1).amax(1)
    c = torch.exp(log_c - top[:, None, None])
    pull = torch.where(own, c.sum(2, keepdim=True), -c)  # -gradient in the scores, scaled
    return w + torch.exp(top + size)[:, None, None] * (pull.mT @ x), size, log_r


def descend(w, x, y, steps, loss, rate, normalized, log_time):
    """w after `steps` steps (B, K, d), log time (B,) and log risk (B,), the last two float64.

    w (B, K, d), x (B, N, d), y (B, N); rate (B,) float64 is the step, or the share of 1/C.
    """
    log_rate = torch.log(rate).to(w.dtype)
    twice = torch.log(2.0 * (x * x).sum(2).amax(1)) if normalized else None
    for _ in range(steps):
        w, size, _ = step(w, x, y, loss, log_rate, twice)
        log_time = torch.logaddexp(log_time, size.double())
    return w, log_time, step(w, x, y, loss, log_rate, twice)[2].double()
