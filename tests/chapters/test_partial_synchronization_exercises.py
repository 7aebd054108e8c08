"""The solutions of the exercises in the chapter partial-synchronization are right, and so is the class it prints."""

import re
from types import SimpleNamespace

import pytest
import torch
from chapter_cells import Chapter, each_solution

from implicitly import tensor_parallel as tp

CELLS = Chapter("partial-synchronization")
test_solution = each_solution(CELLS)


def test_numbers():
    names = CELLS.at_hand("first_entry, millions, bias_factor, times_wide, saved, even_share, two_far")
    assert names["first_entry"] == 2
    assert names["millions"] == pytest.approx(134.217728)
    assert names["bias_factor"] == 4
    assert names["times_wide"] == 4.5
    assert 0.005 < names["saved"] < 0.015
    assert names["even_share"] == pytest.approx(0.6)
    assert names["two_far"] == pytest.approx(0.3)


def test_a_bias_before_the_sum():
    """Exercise `bias`: P times too large where channels are shared, the factor times in the others."""
    given = torch.zeros(4, 1, 6) + torch.arange(6.0)
    found = tp.OneProcess(4).partial_sum(given, 3, 2.0)
    assert torch.equal(found[0, 0], torch.tensor([0.0, 4, 8, 6, 8, 10]))


def test_shared_channels_are_the_same_on_all_ranks():
    """Exercise `sequence`: shared channels of the residual agree on all ranks, private ones do not."""
    z = torch.randn(3, 2, 4, 6, generator=torch.Generator().manual_seed(0))
    found = tp.OneProcess(3).partial_sum(z, 2)
    assert torch.equal(found[0, ..., :2], found[2, ..., :2]) and not torch.equal(found[0, ..., 2:], found[2, ..., 2:])


def test_the_text_names_the_machine_that_was_measured():
    assert "Intel" in tp.stored_runs().machine and "Xeon" in tp.stored_runs().machine
    assert "two cores of an Intel Xeon" in CELLS.text and tp.stored_runs().machine.endswith("2 cores")


@pytest.mark.parametrize("shared", [0, 2, 4])
def test_the_printed_class_is_the_partial_sum(shared):
    """As if two ranks had the same numbers: the all-reduce doubles what it is given, in place."""
    code = re.search(r"```python\n(class PartialSum.*?)```", CELLS.text, re.S)[1]
    names = {"torch": torch, "dist": SimpleNamespace(all_reduce=lambda part: part.mul_(2))}
    exec(code, names)
    for rows in (1, 3):  # the channels of one row lie side by side in memory
        z, up = (torch.randn(rows, 4, generator=torch.Generator().manual_seed(k)) for k in (0, 1))
        factors = torch.tensor([2.0] * shared + [1.5] * (4 - shared))
        given = z.clone().requires_grad_()
        out = names["PartialSum"].apply(given, shared, 1.5)
        out.backward(up)
        assert torch.equal(out, z * factors) and torch.equal(given.grad, up * factors) and torch.equal(given, z)
