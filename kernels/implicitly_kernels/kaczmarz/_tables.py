"""What the backends compute once a call, and in float64: filters, the loss as few rows, tasks that are the same."""

import torch

#: How the factors of a step come out of `filters`' table: they are it, or it and the step's strength give them.
GIVEN, RIDGE, BUDGET = range(3)


def factors(s2, filter, strength, gamma):
    """The share g of the error that a step removes along each direction; 0 where s2 is."""
    wide = s2.double()
    if filter == "projection":
        g = wide > 0
    elif filter == "ridge":
        g = torch.where(wide > 0, wide / (wide + strength), 0.0)
    else:
        g = -torch.expm1(strength * torch.log1p(-(gamma * wide).clamp(max=1.0)))
    return g.to(s2.dtype)


def filters(s2, filter, strength, gamma):
    """(kind, table (T, r), strengths (k,)), in s2's dtype. One strength for all steps gives the factors themselves."""
    if strength.numel() <= 1:
        return GIVEN, factors(s2, filter, strength, gamma), s2.new_zeros((1,))
    if filter == "ridge":
        return RIDGE, s2, strength.to(s2.dtype)
    return BUDGET, torch.log1p(-(gamma * s2.double()).clamp(max=1.0)).to(s2.dtype), strength.to(s2.dtype)


def weights(s2, rule):
    """What the squared coordinates are summed with for a rule's score, (T, r)."""
    return s2 if rule == "residual" else (s2 > 0).to(s2.dtype)


def twins(basis, s2, shift):
    """For each task the first that equals it in every number, (T,): equal tasks have equal scores, to the last bit."""
    whole = torch.cat([basis.flatten(1), s2, shift], 1)
    _, group = torch.unique(whole, dim=0, return_inverse=True)
    here = torch.arange(len(basis), device=basis.device)
    first = torch.full_like(here, len(basis)).scatter_reduce(0, group, here, "amin")
    return first[group]


def loss_rows(basis, s2, shift):
    """Rows L (n, d) and c (n,) with |L e - c|^2 / 2 the mean loss over all tasks; n is at most d + 1.

    The triangular factor of all rows: unlike their Gram matrix it loses no digits of a small loss.
    """
    T, r, d = basis.shape
    scale = (s2.double() / T).sqrt().reshape(T * r, 1)
    rows = torch.cat([scale * basis.double().reshape(T * r, d), scale * shift.double().reshape(T * r, 1)], 1)
    if T * r > d + 1:
        rows = torch.linalg.qr(rows, mode="r").R
    return rows[:, :d].to(basis.dtype), rows[:, d].to(basis.dtype)


def slots(record, steps):
    """(slot (steps + 1,) int32, places): the loss's column after t steps, -1 for none; the column of each record."""
    at = sorted(set(record))
    slot = torch.full((steps + 1,), -1, dtype=torch.int32)
    slot[at] = torch.arange(len(at), dtype=torch.int32)
    column = {t: i for i, t in enumerate(at)}
    return slot, [column[t] for t in record]
