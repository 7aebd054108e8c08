"""Faults planted in narrow accumulators are seen."""

from fractions import Fraction

import pytest
import torch
from lanes import INTERPRETING, bits_equal
from lba_gemm_fractions import F64, FORMS, NUMBA, NUMBERS, REFERENCE, TRITON, module, oracle

from implicitly_kernels.lba_gemm import reference

# A source, what is replaced by what, and the form on which it shows; the sources of Triton under its interpreter.
FAULTS = [
    (NUMBERS, "v = v if v < top else top", "v = v if v < top else top - (top - top / 2) / 64", 0),
    (NUMBA, "                    s[:] = 0\n                    last", "                    last", 2),
    (NUMBERS, "return _flush(v, least)", "return v", 2),
    (NUMBERS, "builder.add(half, odd)", "half", 3),
    (NUMBERS, 'inexact = builder.and_(builder.fcmp_unordered("!=", rest, zero), even)',
     "inexact = ir.Constant(ir.IntType(1), 0)", 10),
    (TRITON, "tl.where(tl.abs(r) >= least, r, 0.0)", "tl.where(tl.abs(r) > least, r, 0.0)", 4),
    (TRITON, "+ ((bits >> DROP) & 1)", "", 3),
    (TRITON, "tl.where((rest != 0) & ((bits & 1) == 0), moved, bits)", "bits", 10),
]  # fmt: skip


@pytest.mark.parametrize("path, old, new, index", [
    pytest.param(*fault, marks=[pytest.mark.interp] * (fault[0] == TRITON)) for fault in FAULTS
])  # fmt: skip
def test_a_planted_fault_is_seen(mutant, path, old, new, index):
    if path == TRITON and not INTERPRETING:
        pytest.skip("needs TRITON_INTERPRET=1")
    form = FORMS[index]
    x, w = (v[None] for v in oracle(form, 3, 4, 23, 1, 12)[:2])
    most = (x.abs().max() * w.abs().max()).item()
    given, want = (list(form), form.path(True), most), reference.forward(x, w, form, "", 0.0)
    assert bits_equal(module("triton" if path == TRITON else "numba").forward(x, w, *given), want)
    broken = mutant(path, old, new)
    if path == NUMBERS:
        broken = mutant(NUMBA, "implicitly_kernels.lba_gemm._numba_rounding", broken.__name__)
    assert not bits_equal(broken.forward(x, w, *given), want)


@pytest.mark.parametrize("old, new", [
    ("bits + toward", "bits"), (">= largest", "> 2 * largest"), ("< smallest", "<= smallest"),
    ("((bits >> s) & 1)", "0"), ("& (p != 0)) * SWAMPED", "& (p == p)) * SWAMPED"), (".flip(0).cumsum(0).flip(0)", ""),
])  # fmt: skip
def test_a_fault_in_the_reference_is_seen(mutant, old, new):
    broken = mutant(REFERENCE, old, new)
    wrong = False
    for form in FORMS:
        x, w, want = oracle(form, 3, 4, 23, 1, 24)
        y, counts = broken.events(x[None], w[None], form)
        wrong |= [[Fraction(v) for v in row] for row in y[0].tolist()] != [[one[0] for one in row] for row in want]
        wrong |= counts[0].permute(1, 2, 0).tolist() != [[one[2] for one in row] for row in want]
        ones = torch.ones(1, 3, 4)
        alpha = torch.tensor([[one[3]["recursive-overflow"] for one in row] for row in want], dtype=F64)
        got = broken.backward(x[None], w[None], ones, form, "recursive-overflow")[0]
        wrong |= not torch.allclose(got.double(), torch.einsum("ijk,jk->ik", alpha, w.double()), atol=1e-3)
    assert wrong
