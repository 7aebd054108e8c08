"""The code in the solutions of the chapter score-flow runs and passes; wrong answers do not."""

import pytest
import torch
from chapter_cells import Chapter

from implicitly import diffusion

CELLS = Chapter("score-flow", {
    "[0, 1, 2, 0, 1, 2], decay=[1e-4] * 3 + [0] * 3": "[0, 1, 2], decay=1e-4", "nets[:3], nets[3:]": "nets, nets"
})  # fmt: skip


def test_every_code_solution_is_here():
    assert set(CELLS.solutions()) == {f"ex-score-flow-{name}" for name in ("one-step", "acute", "train", "kernel")}


@pytest.mark.parametrize("name", ["one-step", "acute", "train"])
def test_solution_runs(name):
    CELLS.solve(f"ex-score-flow-{name}")


def test_kernel_solution_says_about_six():
    names = CELLS.solve("ex-score-flow-kernel")
    assert 5.5 < names["unfused"] / names["fused"] < 6.5


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, h, top, end: x + (end - top) * (x - h(x, top)),  # forgot to divide by sigma
        lambda x, h, top, end: h(x, top),  # all the way to sigma_0 = 0
        lambda x, h, top, end: x - (x - h(x, top)) * torch.tensor(top / end).log(),  # Euler in ln sigma
    ],
)
def test_wrong_answers_fail_the_check(wrong):
    with pytest.raises(AssertionError, match="not exact at a right angle"):
        CELLS.at_hand("check_one_step")["check_one_step"](wrong)


def test_an_exact_solver_is_not_a_single_step():
    with pytest.raises(AssertionError, match="a single step cannot be exact"):
        CELLS.at_hand("check_one_step")["check_one_step"](diffusion.solve_probability_flow)
