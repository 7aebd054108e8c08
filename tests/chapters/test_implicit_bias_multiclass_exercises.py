"""The code in the solutions of the chapter implicit-bias-multiclass runs and passes; wrong answers do not."""

import math

import pytest
import torch
from chapter_cells import Chapter, each_solution

CELLS = Chapter("implicit-bias-multiclass", {"[(30, 5, 3), (10, 2, 3), (40, 8, 4)]": "[(10, 2, 3)]", "25_000": "2000"})
test_solution = each_solution(CELLS)


@pytest.fixture
def names():
    return CELLS.at_hand("torch, samples, LOSSES, PermLoss, check_loss")


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


def test_weights_that_are_not_the_derivatives_fail(names):
    right, bad = names["LOSSES"]["exponential"], names["LOSSES"]["polynomial"]
    cheat = names["PermLoss"]("right psi, wrong weights", right.log_psi, bad.log_weights)
    with pytest.raises(AssertionError, match="log_weights are not those of log_psi"):
        names["check_loss"](cheat)


def test_too_much_curvature_fails(names):
    """A force within the room that the tail leaves, and a wave in it that is too steep for the curvature."""
    torch = names["torch"]
    q = lambda u: (-u).exp()  # noqa: E731
    # force q - 0.8 q**2 sin(50 u)**2 for each wrong class, and its integral from u on
    force = lambda u: q(u) - 0.4 * q(2 * u) * (1 - (100 * u).cos())  # noqa: E731
    psi = lambda u: q(u) - 0.4 * q(2 * u) * (0.5 - (2 * (100 * u).cos() - 100 * (100 * u).sin()) / 10_004)  # noqa: E731
    names["samples"][:] = [u + 3 for u in names["samples"]]
    wavy = names["PermLoss"]("wavy", lambda u: psi(u).sum(-1).log(), lambda u: force(u).log())
    assert torch.isfinite(wavy.psi(names["samples"][0])).all()
    with pytest.raises(AssertionError, match="curvature not bounded by the loss"):
        names["check_loss"](wavy)


def test_a_tail_that_is_only_claimed_fails_too(names):
    """Right where the check looks for the tail, wrong in training."""
    right, bad = names["LOSSES"]["exponential"], names["LOSSES"]["polynomial"]
    chosen = lambda u: right if u.ndim < 3 else bad  # noqa: E731
    cheat = names["PermLoss"](
        "cheat",
        lambda u: chosen(u).log_psi(u),
        lambda u: chosen(u).log_weights(u),
        bad.log_curvature,
    )
    with pytest.raises(AssertionError, match="degrees from the cross-entropy"):
        names["check_loss"](cheat)


def test_numbers_of_the_solutions():
    assert math.exp(0.5 / 0.01745) == pytest.approx(3e12, rel=0.15)  # ex-implicit-bias-multiclass-wait
    assert math.exp(0.5 / 0.01745) / 1e6 / 86_400 == pytest.approx(30, rel=0.25)
    assert math.exp(0.5 / (2 * 0.01745)) / 1e6 < 2
    operations = 30 * (4 * 3 * 5 + 50 * 3)  # ex-implicit-bias-multiclass-kernel
    assert operations == 6300 and operations * 1e6 / 2e9 == pytest.approx(3, rel=0.06)
    assert math.log(1e6) < 14
    assert math.exp(0.5 / 0.01745) == pytest.approx(10**12.4, rel=0.15)


def test_ode_of_the_simplex():
    """The residual of exercise ex-implicit-bias-multiclass-ode, by plain gradient descent."""
    from implicitly.margins import descend

    K, eta = 4, 0.01
    path = descend(torch.eye(K, dtype=torch.float64), torch.arange(K), "cross-entropy", at=[1_000_000], step_size=eta)
    r = path.W[0, 0, 0, 0].item() * K / (K - 1)
    assert r == pytest.approx(math.log(K * eta * 1e6), abs=0.01)


def test_operations_of_a_step_are_the_kernels():
    """About 4Kd + 46K + 20 a sample, by the cost model that the kernels page uses (twice, for float64)."""
    from implicitly_kernels.perm_gd.spec import cost

    case = {"problems": 1, "samples": 30, "d": 5, "classes": 3, "steps": 1, "dtype": "float64"}
    assert cost(case)["flops"] / 2 == pytest.approx(30 * (4 * 3 * 5 + 46 * 3 + 20), rel=0.02)


def test_normalized_steps_of_the_kernel_exercise():
    """The formula is some 15 % too high on the first set of the chapter."""
    from implicitly import margins
    from implicitly.margins import hard_margin_svm

    X, y = margins.teacher_classes(30, 5, 3, seed=0)
    formula = math.log(1e6) * hard_margin_svm(X, y).norm ** 2 * 2 * X.square().sum(1).max().item()
    path = margins.descend(X, y, "cross-entropy", at=range(0, 8001, 10), normalized=1.0)
    needed = path.steps[int((path.log_time[:, 0] > math.log(1e6)).nonzero()[0])]
    assert formula / needed == pytest.approx(1.15, abs=0.05)
