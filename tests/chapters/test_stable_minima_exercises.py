"""The solutions of the exercises in the chapter stable-minima are right; wrong answers do not pass."""

import math

import pytest
import torch
from chapter_cells import Chapter, each_solution

from implicitly import stability

F64 = torch.float64
# shorter runs of fewer networks
CELLS = Chapter("stable-minima", {
    "range(12)": "range(5)", "(0.03, 0.1, 0.2, 0.3, 0.5)": "(0.1, 0.2)",
    "[1, 3, 10, 30, 100, 300, 1000, 2000, 3000, 5000, 10_000]": "[2000]",
})  # fmt: skip
test_solution = each_solution(CELLS)


def test_wrong_answers_do_not_pass():
    names = CELLS.at_hand("check_edge, check_sums")

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


def test_the_sweep_of_the_text_runs():
    """The section At scale shows a call of the library that no cell runs; here it runs, smaller."""
    table = CELLS.sweep(
        ("1e5", "2"),
        ("range(1000)", "range(2)"),
        (', results="rates.jsonl", n_jobs=-1', ", progress=False"),
        ("list(sizes)", "[20, 30]"),
    )
    assert len(table) == 12 and all(0 < error < 10 for error in table["error"])
