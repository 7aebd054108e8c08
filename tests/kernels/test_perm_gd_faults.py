"""Faults planted in perm_gd are seen."""

import pytest
from perm_gd_oracle import SMALL, check_against_autograd, check_extremes

TRITON = "kernels/implicitly_kernels/perm_gd/_triton.py"
NUMBA = "kernels/implicitly_kernels/perm_gd/_numba.py"
FAULTS = {  # each costs seconds of compilation
    "numba: padding counts": (NUMBA, "value=-1.0", "value=0.0"),
    "numba: tail too soon": (NUMBA, "tail = -37.0", "tail = -7.0"),
}
TRITON_FAULTS = {
    "triton: short mask": (TRITON, "(n < samples)[None, :] & (k[:, None]",
                           "(n < samples - 1)[None, :] & (k[:, None]"),
    "triton: no shift": (TRITON, "base = tl.where(top > 0.0, 0.0, top)", "base = top * 0.0"),
    "triton: cubes": (TRITON, "bend = tl.sum(tl.sum(c * r,", "bend = tl.sum(tl.sum(c,"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_seen(mutant, fault):
    module = mutant(*FAULTS[fault])
    with pytest.raises(AssertionError):
        check_against_autograd(module.descend, "cpu", SMALL, 3)
        check_extremes(module.descend, "cpu")


@pytest.mark.interp
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.skipif("os.environ.get('TRITON_INTERPRET') != '1'", reason="needs TRITON_INTERPRET=1")
@pytest.mark.parametrize("fault", TRITON_FAULTS)
def test_planted_triton_faults_are_seen(mutant, fault):
    module = mutant(*TRITON_FAULTS[fault])
    with pytest.raises(AssertionError):
        check_against_autograd(module.descend, "cpu", SMALL[:1], 2)
        check_extremes(module.descend, "cpu", ("deep", "near tail"))
