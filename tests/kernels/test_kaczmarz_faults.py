"""Faults planted in block Kaczmarz are seen."""

from contextlib import nullcontext

import numpy as np
import pytest
from kaczmarz_oracle import F64, NUMBA, TRITON, by, check, drift

from implicitly_kernels import _jit

FAULTS = {
    "numba: a lane reads its neighbour": (NUMBA, "basis[m1, i, j] * e[b + 1, j]", "basis[m1, i, j] * e[b, j]"),
    "numba: no shift": (NUMBA, "(s2 - shift[m2, i])", "s2"),
    "numba: a loss without its half": (NUMBA, "e.dtype.type(0.5) * s", "s"),
    "numba: padded rows under a ridge of 0": (NUMBA, "if entry > 0 else entry", "if entry >= 0 else entry"),
    "numba: a budget to first order": (NUMBA, "-math.expm1(strength * entry)", "-strength * entry"),
    "numba: taken twice": (NUMBA, "shut[m] = -np.inf", "shut[m] = 0"),
    "numba: products of another task": (NUMBA, "size), products, m, move)", "size), products, 0, move)"),
}
TRITON_FAULTS = {
    "triton: last column left out": (TRITON, "(i < r)[:, None] & (j < d)", "(i < r)[:, None] & (j < d - 1)"),
    "triton: taken twice": (TRITON, "tl.store(taken_ptr + m, 1)", "tl.store(taken_ptr + m, 0)"),
    "triton: padding is the nearest": (TRITON, "mask=m < tasks, other=1)", "mask=m < tasks, other=0)"),
    "triton: the last among equals": (TRITON, "tl.min(tl.where(score == high, m, tasks), axis=0)",
                                      "tl.max(tl.where(score == high, m, 0), axis=0)"),
    "triton: a wrong series": (TRITON, "(TERMS + 1 - i)", "(TERMS + 2 - i)"),
}  # fmt: skip
FEW = [(3, 5, 3, 37, 4)]


@pytest.fixture
def uncompiled(mutant, monkeypatch):
    """`mutant` with numba's functions as Python runs them: to compile each fault takes longer."""
    monkeypatch.setattr(_jit, "cached_njit", lambda **_: lambda function: function)
    with np.errstate(all="ignore"):
        yield mutant


@pytest.mark.parametrize("fault", (None, *FAULTS))
def test_planted_faults_are_seen(uncompiled, fault):
    module = uncompiled(*FAULTS.get(fault, (NUMBA, "o", "o")))
    with pytest.raises(AssertionError) if fault else nullcontext():
        for pay in (True, False):
            module._products_pay = lambda *_, pay=pay: pay
            check(by(module.run), F64, shapes=FEW)


def test_a_planted_drift_is_seen(uncompiled):
    module = uncompiled(NUMBA, "4 * size < kept[0]", "size < 0")
    module._products_pay = lambda *_: True
    with pytest.raises(AssertionError):
        drift(by(module.run))


@pytest.mark.interp
@pytest.mark.skipif("os.environ.get('TRITON_INTERPRET') != '1'", reason="needs TRITON_INTERPRET=1")
@pytest.mark.parametrize("fault", TRITON_FAULTS)
def test_planted_triton_faults_are_seen(mutant, fault):
    module = mutant(*TRITON_FAULTS[fault])  # a fault that is not in the source is an error, and not one that is seen
    with pytest.raises(AssertionError):
        check(by(module.run), F64, shapes=[(2, 5, 2, 11, 4)])
