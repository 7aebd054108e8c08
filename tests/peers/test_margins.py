"""A second opinion on the hard-margin SVM: quadprog, with active sets; ours is an interior-point method, polished."""

import numpy as np
import pytest
import torch

from implicitly import margins

quadprog = pytest.importorskip("quadprog", reason="needs quadprog: make test-peers")


def theirs(X, y):
    """Solution and multipliers of min |w|^2 / 2 subject to Z w >= 1."""
    Z = margins.constraints(X, y).numpy()
    found = quadprog.solve_qp(np.eye(Z.shape[1]), np.zeros(Z.shape[1]), Z.T.copy(), np.ones(len(Z)))
    return torch.from_numpy(found[0]), torch.from_numpy(found[4])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("N", "d", "K"), [(12, 5, 3), (30, 6, 4), (20, 3, 2)])
def test_the_same_solution_and_duals(N, d, K, seed, agrees):
    """The comparison sees one support point that is left out, and duals of another order."""
    X, y = margins.teacher_classes(N, d, K, seed=seed)
    svm = margins.hard_margin_svm(X, y, K)
    w, alpha = theirs(X, y)
    # Both solve a linear system of at most 18 tight constraints, whose condition is below 2000 here: each rounding of
    # 1.1e-16 may grow by that, and 18 of them add up to 4e-12; tenfold for what comes before it.
    agrees(claim="implicit-bias-multiclass/C3", peer="quadprog", what="the SVM of random classes, relative",
           measured=(svm.W.flatten() - w).norm() / w.norm(), at_most=1e-10)  # fmt: skip
    agrees(claim="implicit-bias-multiclass/C8", peer="quadprog", what="dual variables of random classes, relative",
           measured=(svm.alpha.flatten() - alpha).norm() / alpha.norm(), at_most=1e-10)  # fmt: skip
    rest = torch.arange(N) != int(svm.alpha.sum(1).argmax())
    assert (margins.hard_margin_svm(X[rest], y[rest], K).W.flatten() - w).norm() > 1e-4 * w.norm()
    assert (svm.alpha.flatten().flip(0) - alpha).norm() > 0.01 * alpha.norm()
