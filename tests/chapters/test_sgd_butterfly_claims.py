"""Every check of the chapter sgd-butterfly passes, and fails when a fault is planted in what it rests on."""

import pytest
from chapter_cells import Fault, scaled, see_it_fail, without_near_fault

FITTED_SLOPE = "implicitly.chance.fitted_slope"
FAULTS = [
    Fault("C1", None, FITTED_SLOPE, scaled(FITTED_SLOPE, 0.8)),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("sgd-butterfly", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("sgd-butterfly", FAULTS)
