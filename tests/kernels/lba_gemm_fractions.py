"""What the tests of narrow accumulators share: formats, inputs, and the definition in exact fractions."""

import functools
import math
from fractions import Fraction
from importlib import import_module

import torch

from implicitly_kernels.lba_gemm._form import Form

F32, F64 = torch.float32, torch.float64
NUMBA = "kernels/implicitly_kernels/lba_gemm/_numba.py"
NUMBERS = "kernels/implicitly_kernels/lba_gemm/_numba_rounding.py"
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


def name_of(form):
    """The name of a test's case."""
    return "M{}E{}({},{})/{}".format(*form[:5]) + "n" * form.nearest + "-" * (not form.underflow)


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


@functools.cache
def oracle(form, m, n, K, seed, bits):
    """Inputs, and the chain of every output."""
    x, w = inputs(m, n, K, seed, bits=bits)
    if form.exponent == 6:  # a sum of 55 bits
        x[0, :2], w[0, :2] = torch.tensor([2.0**20, -(2.0**-20)]), torch.tensor([1.0, 2.0**-15])
    return x, w, [[chain(a, b, form) for b in w] for a in x]


def module(backend):
    return import_module(f"implicitly_kernels.lba_gemm.{'_' * (backend != 'reference')}{backend}")
