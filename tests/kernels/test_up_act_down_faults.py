"""Faults planted in a function between two resamplings are seen."""

from contextlib import nullcontext

import numpy as np
import pytest
from up_act_down_oracle import F32, F64, SMALL, by, check

from implicitly_kernels import _jit
from implicitly_kernels.up_act_down import _DISPATCH

NUMBA = "kernels/implicitly_kernels/up_act_down/_numba.py"
TRITON = "kernels/implicitly_kernels/up_act_down/_triton.py"
LANES = "kernels/implicitly_kernels/_lanes.py"
REFERENCE = "kernels/implicitly_kernels/up_act_down/reference.py"
FAULTS = {
    "numba: a lane reads its neighbour": (NUMBA, "source[U(o + b)]", "source[U(o + b + 1)]"),
    "numba: coefficients of the next channel": (NUMBA, "(first + l % lanes) %", "(first + l % lanes + 1) %"),
    "numba: no linear term": (NUMBA, "(c2[l] * u[l] + c1[l]) * u[l] + c0[l]", "(c2[l] * u[l]) * u[l] + c0[l]"),
    "numba: a distribution of the wrong side": (NUMBA, "1 - q if u[l] > 0 else q", "1 - q if u[l] < 0 else q"),
    "numba: a wrong coefficient of exp": (NUMBA, "0.041666218319291945,", "0.05,"),
    "numba: a slope without its density": (NUMBA, "p[l] + u[l] * (e[l] * k)", "p[l]"),
    "numba: a quarter of the sums": (NUMBA, "+ sums[k, 3 * lanes + l]", ""),
    "numba: up and down in the other order": (NUMBA, "combine(up_t, rows, j", "combine(up_t, rows, 0 * j"),
    "numba: relu lets everything through": (NUMBA, "g[l] if u[l] > 0 else 0 * g[l]", "g[l]"),
}
TRITON_FAULTS = {
    "triton: a side left out": (TRITON, "tl.permute(half, (0, 2, 1))", "tl.reshape(half, (G, B, A))"),
    "triton: the last column left out": (TRITON, "(j < n)[None, :]", "(j < n - 1)[None, :]"),
    "triton: coefficients of the next channel": (TRITON, "// M) % channels", "// M + 1) % channels"),
    "triton: a slope without its density": (TRITON, " + u * tl.exp(-0.5 * u * u) * 0.3989422804014327", ""),
    "triton: a sum of the wrong power": (TRITON, "tl.reshape(g * u * u, (G", "tl.reshape(g * u, (G"),
}
REFERENCE_FAULTS = {
    "the Nyquist bin kept": ("((min(n, m) - 1) // 2)", "(min(n, m) // 2)"),
    "no sign beyond half a turn": ("torch.where(top > nm, -1.0, 1.0)", "torch.where(top > nm, 1.0, 1.0)"),
    "rows for columns": ("[:, None] * n - torch", "[:, None] * m - torch"),
}
FEW = [((2, 3), 5, 1.6, 4), ((5, 2), 4, 2, None)]


@pytest.fixture(autouse=True)
def registered():
    """`by` leaves what it planted until here: the gradient is taken after the call."""
    yield
    for name in _DISPATCH:
        _DISPATCH[name]._loaded.pop("numba", None)


@pytest.fixture
def uncompiled(mutant, monkeypatch):
    """`mutant` with numba's functions as Python runs them: to compile each fault takes longer."""
    monkeypatch.setattr(_jit, "cached_njit", lambda **_: lambda function: function)
    lanes = mutant(LANES, "o", "o")
    lanes.U = int

    def make(path, old, new):
        module = mutant(path, old, new)
        module.combine, module.U, module.lanes = lanes.combine, int, lambda n: 8
        return module

    with np.errstate(all="ignore"):
        yield make


@pytest.mark.parametrize("fault", (None, *FAULTS))
def test_planted_faults_are_seen(uncompiled, fault):
    module = uncompiled(*FAULTS.get(fault, (NUMBA, "o", "o")))
    with pytest.raises((AssertionError, IndexError)) if fault else nullcontext():
        check(by(module.run, module.backward), F32, shapes=FEW)


@pytest.mark.parametrize("fault", (None, *REFERENCE_FAULTS))
def test_planted_faults_of_the_matrix_are_seen(mutant, fault):
    module = mutant(REFERENCE, *REFERENCE_FAULTS.get(fault, ("o", "o")))
    with pytest.raises(AssertionError) if fault else nullcontext():
        check(by(module.run, module.backward), F64, shapes=FEW)


@pytest.mark.interp
@pytest.mark.skipif("os.environ.get('TRITON_INTERPRET') != '1'", reason="needs TRITON_INTERPRET=1")
@pytest.mark.parametrize("fault", TRITON_FAULTS)
def test_planted_triton_faults_are_seen(mutant, fault):
    module = mutant(*TRITON_FAULTS[fault])
    with pytest.raises(AssertionError):
        check(by(module.run, module.backward), F32, shapes=SMALL[1:])
