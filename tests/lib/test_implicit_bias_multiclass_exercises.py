"""The code in the solutions of the chapter implicit-bias-multiclass runs and passes; wrong answers do not."""

import math
import re
from pathlib import Path

import pytest
import torch

CHAPTER = Path(__file__).parents[2] / "chapters" / "implicit-bias-multiclass.md"
TEXT = CHAPTER.read_text(encoding="utf-8")
SOLUTIONS = dict(re.findall(r"^::::\{solution\} (\S+)\n(.*?)^::::$", TEXT, re.M | re.S))


def code(text):
    return "\n\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S))


def cell(defining):
    """The chapter's code cell that defines a function."""
    cells = re.findall(r"^```\{code-cell\} python\n(.*?)^```$", TEXT, re.M | re.S)
    (found,) = [c for c in cells if re.search(rf"^def {defining}\(", c, re.M)]
    return found.split("---\n")[-1]


@pytest.fixture
def names():
    """What a reader has at hand when they reach the exercises, as far as the solutions use it."""
    from implicitly import perm_losses
    from implicitly.max_margin import angle, hard_margin_svm
    from implicitly.perm_losses import LOSSES, PermLoss, descend

    keys = [(10, 2, 3, seed) for seed in range(3)]
    data = {key: perm_losses.teacher_classes(*key[:3], seed=key[3]) for key in keys}
    g = torch.Generator().manual_seed(0)
    samples = [6 * torch.rand(2000, K - 1, generator=g, dtype=torch.float64) - 2 for K in (2, 3, 5)]
    found = {
        "math": math, "torch": torch, "perm_losses": perm_losses, "angle": angle, "descend": descend,
        "hard_margin_svm": hard_margin_svm, "LOSSES": LOSSES, "PermLoss": PermLoss, "data": data, "samples": samples,
        "svms": {key: hard_margin_svm(*data[key], 3) for key in keys},
    }  # fmt: skip
    exec(cell("check_loss"), found)
    return found


def test_every_code_solution_is_here():
    assert {label for label, text in SOLUTIONS.items() if code(text)} == {"ibm-simplex", "ibm-own", "ibm-duplicate"}


@pytest.mark.parametrize("name", ["ibm-simplex", "ibm-own", "ibm-duplicate"])
def test_solution_runs(name, names):
    exec(code(SOLUTIONS[name]), names)


def hinge(names):
    return names["PermLoss"](
        "squared hinge",
        log_psi=lambda u: (1 - u).clamp(min=0).square().sum(-1).log(),
        log_weights=lambda u: (2 * (1 - u).clamp(min=0)).log(),
    )


def test_wrong_losses_fail_the_check(names):
    for loss in (hinge(names), names["LOSSES"]["polynomial"]):
        with pytest.raises(AssertionError, match="no exponential tail"):
            names["check_loss"](loss)


def test_a_tail_that_is_only_claimed_fails_too(names):
    """Right weights where the check looks for the tail, wrong ones in training."""
    right, bad = names["LOSSES"]["exponential"], names["LOSSES"]["polynomial"]
    sizes = {len(u) for u in names["samples"]}
    weights = lambda u: (right if u.ndim == 2 and len(u) in sizes else bad).log_weights(u)  # noqa: E731
    cheat = names["PermLoss"]("cheat", bad.log_psi, weights, bad.log_curvature)
    with pytest.raises(AssertionError, match="degrees from the cross-entropy"):
        names["check_loss"](cheat)


def test_numbers_of_the_solutions():
    assert math.exp(0.5 / 0.01745) == pytest.approx(3e12, rel=0.15)  # ibm-wait
    assert math.exp(0.5 / 0.01745) / 1e6 / 86_400 == pytest.approx(30, rel=0.25)
    assert math.exp(0.5 / (2 * 0.01745)) / 1e6 < 2
    operations = 30 * (4 * 3 * 5 + 25 * 3)  # ibm-kernel
    assert operations * 1e6 / 2e9 == pytest.approx(2, rel=0.02)
    assert math.log(1e6) < 14


def test_ode_of_the_simplex():
    """The residual of exercise ibm-ode, by plain gradient descent."""
    from implicitly.perm_losses import descend

    K, eta = 4, 0.01
    path = descend(torch.eye(K, dtype=torch.float64), torch.arange(K), "cross-entropy", at=[1_000_000], step_size=eta)
    r = path.W[0, 0, 0, 0].item() * K / (K - 1)
    assert r == pytest.approx(math.log(K * eta * 1e6), abs=0.01)
