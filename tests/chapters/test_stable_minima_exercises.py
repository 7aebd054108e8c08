"""The solutions of the exercises in the chapter stable-minima are right; wrong answers do not pass."""

import math
import re
from pathlib import Path

import pytest
import torch

from implicitly import chance, stability

F64 = torch.float64
CHAPTER = Path(__file__).parents[2] / "chapters" / "stable-minima.md"
SOLUTIONS = dict(re.findall(r"^::::\{solution\} (\S+)\n(.*?)^::::$", CHAPTER.read_text(encoding="utf-8"), re.M | re.S))


def code(label):
    return "\n\n".join(re.findall(r"^```python\n(.*?)^```$", SOLUTIONS[f"ex-stable-minima-{label}"], re.M | re.S))


def cell(defining):
    """The chapter's code cell that defines a function."""
    cells = re.findall(r"^```\{code-cell\} python\n(.*?)^```$", CHAPTER.read_text(encoding="utf-8"), re.M | re.S)
    (found,) = [c for c in cells if re.search(rf"^def {defining}\(", c, re.M)]
    return found.split("---\n")[-1]


def tent(x):
    return (1 - 2 * x.abs()).clamp_min(0)


@pytest.fixture(scope="module")
def names():
    """What a reader has at hand at the exercises: shorter runs of the same networks."""
    x, x20 = stability.even_points(40), stability.even_points(20)
    y, y20 = (stability.noisy_labels(tent(p), 0.3, seeds=range(5)) for p in (x, x20))
    start = stability.initial_nets(100, seeds=range(5))
    final = {eta: stability.gradient_descent(start, x, y, eta, 20_000) for eta in (0.1, 0.2)}
    found = {
        "torch": torch,
        "stability": stability,
        "chance": chance,
        "x": x,
        "y": y,
        "x20": x20,
        "y20": y20,
        "final": final,
    }
    exec(cell("check_edge"), found)
    return found


def test_every_code_solution_is_here():
    assert set(SOLUTIONS) == {f"ex-stable-minima-{name}" for name in ("rescale", "coin", "spike", "edge", "prefix")}


@pytest.mark.parametrize("label", ["rescale", "coin", "spike", "edge", "prefix"])
def test_solution(names, label):
    if label == "edge":
        pytest.importorskip("scipy")
    exec(code(label), dict(names))


def test_wrong_answers_do_not_pass(names):
    def half(net, x, y):
        return 1 / stability.sharpness(net, x, y)

    def gauss_newton_only(net, x, y):
        return 2 / stability.gauss_newton_top(net, x)

    for wrong in (half, gauss_newton_only):
        with pytest.raises(AssertionError):
            names["check_edge"](wrong)

    def one_sided(w1, b1, x, r):
        right = torch.searchsorted(x, -b1 / w1, right=True)
        sums = [torch.cat([torch.zeros(1, dtype=F64), v.cumsum(0)]) for v in (r * x, r)]
        return tuple(s[-1] - s[right] for s in sums)

    with pytest.raises(AssertionError):
        names["check_sums"](one_sided)


def test_numbers():
    assert float(stability.uniform_weight(0.5)) == pytest.approx(5 / 256)
    peak = float(stability.uniform_weight(0.0))
    assert peak == pytest.approx(math.sqrt(5) / 16)
    assert 1 / (0.5 + 2 * peak) == pytest.approx(8 / (4 + math.sqrt(5))) == pytest.approx(1.28, abs=0.005)
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    mean = (signs @ torch.tensor([1.0, -2.0, 1.0])).abs().mean()
    assert float(mean) == 2 and 2 / math.sqrt(12 / math.pi) == pytest.approx(1.02, abs=0.005)
    assert min(range(10, 100), key=lambda n: abs(50 * math.log2(n) - 8 * n)) == 31


def test_without_the_output_bias():
    """Exercise `half`: then the proof bounds the bends by half the top eigenvalue, not by half of it minus one."""
    net, x = stability.initial_nets(8, seeds=range(20)), torch.linspace(-1, 1, 15, dtype=F64)
    G = stability.hessian_parts(net, x, torch.zeros(15))[0][:, :-1, :-1]
    assert (2 * stability.path_tv(net, x) <= torch.linalg.eigvalsh(G)[:, -1]).all()


def test_the_sweep_of_the_text_runs(names):
    """The section At scale shows a call of the library that no cell runs; here it runs, smaller."""
    (text,) = re.findall(
        r"^```python\n(from implicitly import sweep.*?)^```$", CHAPTER.read_text(encoding="utf-8"), re.M | re.S
    )
    for big, small in (
        ("1e5", "2"),
        ("range(1000)", "range(2)"),
        (', results="rates.jsonl", n_jobs=-1', ", progress=False"),
    ):
        assert big in text
        text = text.replace(big, small)
    grid = torch.linspace(-1, 1, 101, dtype=F64)
    inside = grid.abs() <= 0.8
    here = {**names, "tent": tent, "sizes": (20, 30),
            "error_inside": lambda net: (net(grid) - tent(grid))[:, inside].square().mean(1)}  # fmt: skip
    exec(text, here)
    assert len(here["table"]) == 12 and all(0 < row["error"] < 10 for row in here["table"])
