"""Gradient descent of two-layer ReLU networks of one variable in plain torch: the definition."""

import torch


def residuals(w1, b1, w2, b2, x, y):
    """Pre-activations (B, k, n) and f(x_i) - y_i (B, n)."""
    z = w1[:, :, None] * x[:, None, :] + b1[:, :, None]
    return z, (w2[:, :, None] * torch.relu(z)).sum(1) + b2[:, None] - y


def step(w1, b1, w2, b2, x, y, step_size):
    """One step of gradient descent on the loss of each network."""
    z, r = residuals(w1, b1, w2, b2, x, y)
    r = r / x.shape[1]
    on = (z > 0).to(z.dtype)  # the derivative of relu, 0 at 0
    slope, level = (on * (r * x)[:, None, :]).sum(2), (on * r[:, None, :]).sum(2)
    eta = step_size[:, None]
    return (
        w1 - eta * w2 * slope,
        b1 - eta * w2 * level,
        w2 - eta * (torch.relu(z) * r[:, None, :]).sum(2),
        b2 - step_size * r.sum(1),
    )


def descend(w1, b1, w2, b2, x, y, step_size, steps):
    """w1, b1, w2 (B, k), b2 (B,) after `steps` steps and their loss (B,). See relu_gd."""
    for _ in range(steps):
        w1, b1, w2, b2 = step(w1, b1, w2, b2, x, y, step_size)
    _, r = residuals(w1, b1, w2, b2, x, y)
    return w1, b1, w2, b2, 0.5 * (r * r).mean(1)
