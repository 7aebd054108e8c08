"""Narrow accumulators: exact fractions, closed forms, bits equal across backends and paths, gradients, planted faults."""

import math
from fractions import Fraction
from importlib import import_module

import pytest
import torch
from conftest import bits_equal, relative_error

import implicitly_kernels as ik
from implicitly_kernels.lba_gemm import _DISPATCH, EVENTS, GRADIENTS, reference
from implicitly_kernels.lba_gemm._form import Form

F32, F64 = torch.float32, torch.float64
NUMBA = "kernels/implicitly_kernels/lba_gemm/_numba.py"
TRITON = "kernels/implicitly_kernels/lba_gemm/_triton.py"
REFERENCE = "kernels/implicitly_kernels/lba_gemm/reference.py"

#: mantissa, exponent, bias_product, bias_sum, chunk, nearest, underflow. Each path, chunk and option, with limits that
#: normal numbers reach on both sides.
FORMS = [
    Form(7, 4, 12, 10, 16, False, True),
    Form(7, 4, 12, 10, 5, True, True),
    Form(3, 3, 7, 6, 4, False, True),
    Form(2, 2, 2, 1, 3, True, True),
    Form(1, 1, 0, 0, 1, False, True),
    Form(10, 4, 14, 6, 64, False, True),  # the widest spread of exponents that float32 takes
    Form(10, 4, 14, 5, 64, False, True),  # one more: float64
    Form(10, 5, 20, 16, 16, True, True),
    Form(23, 5, 15, 15, 8, False, True),
    Form(23, 5, 15, 15, 8, True, True),
    Form(4, 6, 40, 30, 8, False, True),  # exponents too far apart for float64
    Form(5, 3, 4, 4, 4, False, False),
    Form(7, 4, 12, 10, 16, True, False),
    Form(7, 7, 126, 126, 16, False, True),
    Form(7, 7, 0, 0, 16, False, True),
]
ids = "-".join


def arguments(form):
    """A form as the public functions take it."""
    named = form._asdict()
    named["rounding"] = "nearest" if named.pop("nearest") else "truncate"
    return named


def short(v, bits=12):
    """v with `bits` significant bits, so that products of two are exact in float32."""
    return (v.view(torch.int32) & -(1 << (24 - bits))).view(F32)


def inputs(m, n, K, seed=0, *, bits=24, spread=1.5, batch=()):
    """x and w: normal numbers times powers of two, some of them 0."""
    g = torch.Generator().manual_seed(seed)

    def one(rows):
        v = torch.randn(*batch, rows, K, generator=g) * torch.exp2(
            (spread * torch.randn(*batch, rows, K, generator=g)).round())
        v[torch.rand(v.shape, generator=g) < 0.1] = 0
        return short(v, bits)

    return one(m), one(n)


# --- the definition, in fractions --------------------------------------------------------------------------------


def q(v, mantissa, exponent, bias, nearest, underflow):
    """The definition of Q, and whether the magnitude was at or above the largest."""
    largest = Fraction(2) ** (2**exponent - bias - 1) * (2 - Fraction(1, 2**mantissa))
    a = abs(v)
    if not a:
        return Fraction(0), False
    e = a.numerator.bit_length() - a.denominator.bit_length()
    e -= Fraction(2) ** e > a
    assert Fraction(2) ** e <= a < Fraction(2) ** (e + 1)
    unit = Fraction(2) ** (e - mantissa)
    r = (round if nearest else math.floor)(a / unit) * unit  # Fraction rounds half to even
    over = r >= largest
    r = min(r, largest)
    if underflow and r < Fraction(2) ** -bias:
        r = Fraction(0)
    return (r if v > 0 else -r), over


def chain(x, w, form):
    """One output: its value, its sums, its counts, and the factors of its products for each gradient."""
    M, E, bp, bs, C, nearest, underflow = form
    x, w = ([Fraction(v) for v in row.tolist()] for row in (x, w))
    t, sums, counts, steps, totals = Fraction(0), [], [0] * 6, [], []
    for first in range(0, len(x), C):
        s = Fraction(0)
        for a, b in zip(x[first:first + C], w[first:first + C], strict=True):
            p, clipped = q(a * b, M, E, bp, nearest, underflow)
            new, over = q(s + p, M, E, bs, nearest, underflow)
            counts[0] += over
            counts[1] += p == 0 and a * b != 0
            counts[2] += p != 0 and new == s
            counts[3] += clipped
            steps.append((over, clipped, new != s))
            s = new
            sums.append(s)
        new, over = q(t + s, M, E, bs, nearest, underflow)
        counts[4] += over
        counts[5] += s != 0 and new == t
        totals.append((over, new != t))
        t = new
    K, last = len(x), max((c for c, (over, _) in enumerate(totals) if over), default=-1)
    factors = {"immediate-overflow": [], "recursive-overflow": [], "immediate-change": []}
    for k, (over, clipped, changed) in enumerate(steps):
        c = k // C
        after = any(steps[j][0] for j in range(k, min((c + 1) * C, K)))
        factors["immediate-overflow"].append(not over and not clipped and not totals[c][0])
        factors["recursive-overflow"].append(not after and not clipped and c > last)
        factors["immediate-change"].append(changed and totals[c][1])
    return t, sums, counts, factors


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_against_fractions(lane, form):
    backend, device = lane
    m, n, K = (2, 3, 11) if lane == ("triton", "cpu") else (3, 4, 23)
    for seed, bits in ((0, 12), (1, 24)):
        x, w = inputs(m, n, K, seed, bits=bits)
        want = [[chain(a, b, form) for b in w] for a in x]
        how = arguments(form) | {"backend": backend}
        y, counts = ik.lba_events(x.to(device), w.to(device), **how)
        assert [[Fraction(v) for v in row] for row in y.tolist()] == [[one[0] for one in row] for row in want]
        assert bits_equal(ik.lba_gemm(x.to(device), w.to(device), **how), y)
        assert counts.dtype == torch.int64
        assert counts.permute(1, 2, 0).tolist() == [[one[2] for one in row] for row in want]
        dy = torch.randn(m, n, generator=torch.Generator().manual_seed(seed))
        for gradient in GRADIENTS[1:]:
            alpha = torch.tensor([[one[3][gradient] for one in row] for row in want], dtype=F64)
            a, b = (v.clone().to(device).requires_grad_() for v in (x, w))
            ik.lba_gemm(a, b, gradient=gradient, **how).backward(dy.to(device))
            for got, exact in ((a.grad, torch.einsum("ij,ijk,jk->ik", dy.double(), alpha, w.double())),
                               (b.grad, torch.einsum("ij,ijk,ik->jk", dy.double(), alpha, x.double()))):
                # float32 sums of at most 4 terms of |dy| |w| <= about 2**7
                assert (got.cpu().double() - exact).abs().max() <= 1e-4 and got.dtype == F32


def test_the_cases_reach_every_event():
    """Together, and each of the fine-grained gradients differs from the others somewhere."""
    total, seen = torch.zeros(6, dtype=torch.int64), set()
    for form in FORMS:
        x, w = inputs(3, 4, 23, 1)
        total += ik.lba_events(x, w, backend="reference", **arguments(form))[1].sum((1, 2))
        for a in x:
            for b in w:
                factors = chain(a, b, form)[3]
                seen |= {(g, h) for g in factors for h in factors if factors[g] != factors[h]}
    assert (total > 0).all(), dict(zip(EVENTS, total.tolist(), strict=True))
    assert len(seen) == 6


@pytest.mark.parametrize("form", FORMS[:5], ids=str)
def test_trace_against_fractions(form):
    x, w = inputs(4, 4, 23, 2)
    for backend in ("reference", "numba"):
        sums, totals, codes, chunk_codes = ik.lba_trace(x, w, backend=backend, **arguments(form))
        y, counts = ik.lba_events(x, w, backend="reference", **arguments(form))
        for i in range(4):
            value, want, count, _ = chain(x[i], w[i], form)
            assert [Fraction(v) for v in sums[i].tolist()] == want and Fraction(totals[i, -1].item()) == value
            found = [((codes[i] & bit) != 0).sum().item() for bit in (1, 2, 4, 8)]
            found += [((chunk_codes[i] & bit) != 0).sum().item() for bit in (1, 4)]
            assert found == count == counts[:, i, i].tolist()
            moved = sums[i].reshape(-1) != torch.cat([torch.zeros(1), sums[i, :-1]]) * (
                torch.arange(23) % form.chunk != 0)
            assert torch.equal(codes[i] & 16 == 0, moved)
