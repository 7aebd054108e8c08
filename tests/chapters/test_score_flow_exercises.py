"""The code in the solutions of the chapter score-flow runs and passes; wrong answers do not."""

import re
from pathlib import Path

import pytest
import torch

CHAPTER = Path(__file__).parents[2] / "chapters" / "score-flow.md"
SOLUTIONS = dict(re.findall(r"^::::\{solution\} (\S+)\n(.*?)^::::$", CHAPTER.read_text(encoding="utf-8"), re.M | re.S))


def code(text):
    return "\n\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S))


def cell(defining):
    """The chapter's code cell that defines a function."""
    cells = re.findall(r"^```\{code-cell\} python\n(.*?)^```$", CHAPTER.read_text(encoding="utf-8"), re.M | re.S)
    (found,) = [c for c in cells if re.search(rf"^def {defining}\(", c, re.M)]
    return found.split("---\n")[-1]


@pytest.fixture
def names():
    """What a reader has at hand when they reach the exercises, as far as the solutions use it."""
    from implicitly import diffusion
    from implicitly.diffusion import SimplexDenoiser, planar_triangle, train_denoisers

    def uniform(n, low, high, seed, d=2):
        g = torch.Generator().manual_seed(seed)
        return low + (high - low) * torch.rand(n, d, generator=g, dtype=torch.float64)

    triangle = planar_triangle(90.0)
    axis = torch.linspace(-0.4, 1.4, 61, dtype=torch.float64)
    found = {
        "diffusion": diffusion, "SimplexDenoiser": SimplexDenoiser, "planar_triangle": planar_triangle,
        "train_denoisers": train_denoisers, "torch": torch, "uniform": uniform, "triangle": triangle,
        "plane": torch.cartesian_prod(axis, axis), "least": SimplexDenoiser.from_points(triangle).cost(0.15),
    }  # fmt: skip
    exec(cell("check_one_step"), found)
    return found


def test_every_code_solution_is_here():
    with_code = {label for label, text in SOLUTIONS.items() if code(text)}
    assert with_code == {f"ex-score-flow-{name}" for name in ("one-step", "acute", "train", "kernel")}


@pytest.mark.parametrize("name", ["one-step", "acute", "kernel"])
def test_solution_runs(name, names):
    exec(code(SOLUTIONS[f"ex-score-flow-{name}"]), names)


def test_solution_about_training(names):
    names["small"] = names["train_denoisers"](names["triangle"], 0.15, seeds=[0, 1, 2], decay=1e-4)
    exec(code(SOLUTIONS["ex-score-flow-train"]), names)


def test_kernel_solution_says_about_six(names):
    exec(code(SOLUTIONS["ex-score-flow-kernel"]), names)
    assert 5.5 < names["unfused"] / names["fused"] < 6.5


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, h, top, end: x + (end - top) * (x - h(x, top)),  # forgot to divide by sigma
        lambda x, h, top, end: h(x, top),  # all the way to sigma_0 = 0
        lambda x, h, top, end: x - (x - h(x, top)) * torch.tensor(top / end).log(),  # Euler in ln sigma
    ],
)
def test_wrong_answers_fail_the_check(wrong, names):
    with pytest.raises(AssertionError, match="not exact at a right angle"):
        names["check_one_step"](wrong)


def test_an_exact_solver_is_not_a_single_step(names):
    solve = names["diffusion"].solve_probability_flow
    with pytest.raises(AssertionError, match="a single step cannot be exact"):
        names["check_one_step"](solve)
