"""Block Kaczmarz steps in plain torch: the definition."""

import torch

from implicitly_kernels.kaczmarz._tables import factors, twins, weights

NUMBERS = 1 << 22  # of the largest array: trajectories run in groups


def coordinates(e, basis, shift):
    """V_m e - c_m of every task, (B, T, r)."""
    T, r, d = basis.shape
    return (e @ basis.reshape(T * r, d).T).reshape(len(e), T, r) - shift


def loss(e, basis, s2, shift):
    """The mean loss over all tasks, (B,)."""
    return 0.5 * (s2 * coordinates(e, basis, shift).square()).sum(2).mean(1)


def greedy(e, basis, shift, weight, same, done, nearest):
    """The next task of each trajectory, (B,): the first of highest score among those not done."""
    scores = (weight * coordinates(e, basis, shift).square()).sum(2)[:, same]
    scores = (-scores if nearest else scores).masked_fill(done, -torch.inf)
    best = scores == scores.amax(1, keepdim=True)
    return torch.where(best, torch.arange(len(basis), device=e.device), len(basis)).amin(1)


def step(e, basis, shift, g, m):
    """e after a step on the tasks m (B,), and its squared length; g: the factors (T, r), or (B, r) of these tasks."""
    V = basis[m]
    move = g * ((V @ e[:, :, None])[:, :, 0] - shift[m])
    return e - (move[:, None] @ V)[:, 0], move.square().sum(1)


def _run(e, basis, s2, shift, order, strength, rule, repetition, steps, filter, gamma, record):
    B, T = len(e), len(basis)
    rows = torch.arange(B, device=e.device)
    done = torch.zeros((B, T), dtype=torch.bool, device=e.device)
    weight, same = weights(s2, rule), twins(basis, s2, shift) if rule else None
    g = factors(s2, filter, strength, gamma) if strength.numel() <= 1 else None
    taken, lengths = e.new_empty((B, steps), dtype=torch.int64), e.new_empty((B, steps))
    losses, at = {}, set(record)
    for t in range(steps + 1):
        if t in at:
            losses[t] = loss(e, basis, s2, shift)
        if t == steps:
            break
        m = greedy(e, basis, shift, weight, same, done, rule == "nearest") if rule else order[:, t]
        if not repetition:
            done[rows, m] = True
        mine = g[m] if g is not None else factors(s2[m], filter, strength[t], gamma)
        e, lengths[:, t] = step(e, basis, shift, mine, m)
        taken[:, t] = m
    columns = [losses[t] for t in record]
    return e, taken, lengths, torch.stack(columns, 1) if columns else e.new_empty((B, 0))


def run(e, basis, s2, shift, order, strength, rule, repetition, steps, filter, gamma, record):
    """e, the tasks taken, squared lengths of the steps, mean losses. See kaczmarz."""
    T, r, d = basis.shape
    many = max(1, NUMBERS // (r * max(T, d)))
    parts = [
        _run(e[at:at + many], basis, s2, shift, order[at:at + many], strength, rule, repetition, steps, filter, gamma,
             record)
        for at in range(0, max(1, len(e)), many)
    ]  # fmt: skip
    return tuple(torch.cat(part) for part in zip(*parts, strict=True))
