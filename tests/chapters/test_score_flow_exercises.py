"""The solutions of the exercises in the chapter score-flow are right; wrong answers do not pass."""

import pytest
import torch
from chapter_cells import Chapter, each_solution

from implicitly import diffusion

CELLS = Chapter("score-flow", {
    "[0, 1, 2, 0, 1, 2], decay=[1e-4] * 3 + [0] * 3": "[0, 1, 2], decay=1e-4", "nets[:3], nets[3:]": "nets, nets"
})  # fmt: skip
test_solution = each_solution(CELLS)


def test_every_code_solution_is_here():
    assert set(CELLS.solutions()) == {f"ex-score-flow-{name}" for name in ("one-step", "acute", "train")}


def test_numbers():
    names = CELLS.at_hand("at_data, neither, which, still, right_angle")
    assert names["at_data"].mean() == 4 / 8
    assert names["neither"][1] < names["neither"][0] - 0.1 and names["which"] == 1
    assert names["still"].tolist() == [True, False, False, True]
    assert names["right_angle"].sum() == 100 and names["right_angle"][2] == 0


def test_by_hand():
    """The ramp of the text: 0.4 and 0.7 at radius 0.2, 0.3667 at radius 0.1; and where both flows take (0.4, 0.7)."""
    start = torch.tensor([[0.4, 0.7]], dtype=torch.float64)
    inside = torch.tensor([[1 / 3, 5 / 6]], dtype=torch.float64)
    assert torch.allclose(diffusion.ramp(start, 1.0, 0.2), inside)
    later = torch.tensor([[0.3667]], dtype=torch.float64)
    assert diffusion.ramp(later, 1.0, 0.1).item() == pytest.approx(1 / 3, abs=1e-4)
    h = diffusion.SimplexDenoiser.from_points(diffusion.planar_triangle(90.0))
    score = diffusion.score_flow(start, h, 0.2, time=60.0, steps=600)
    faded = diffusion.probability_flow(start, h, diffusion.sigma_grid(0.2, 1e-6, 400))
    assert torch.allclose(score, torch.tensor([[0.0, 1.0]], dtype=torch.float64), atol=1e-6)
    assert torch.allclose(faded, inside, atol=1e-4)


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
