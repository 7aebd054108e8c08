"""A second opinion on tasks learned one after another: scikit-learn's ridge regression, held to the last weights."""

import pytest
import torch
from sklearn.linear_model import Ridge

from implicitly import continual

F64 = torch.float64


@pytest.mark.parametrize("strength", [0.1, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_run_of_ridge_regressions(seed, strength, agrees):
    """The next weights solve a ridge regression on what the last ones leave. The comparison sees one per
    cent more of strength."""
    dice = torch.Generator().manual_seed(seed)
    X = [torch.randn(4, 12, generator=dice, dtype=F64) for _ in range(5)]
    truth = torch.randn(12, generator=dice, dtype=F64)
    tasks = continual.Tasks(X, [x @ truth for x in X])
    order = continual.random_orders(5, 20, replacement=True, generator=dice)
    w = torch.zeros(12, dtype=F64)
    for m in order[0].tolist():
        fit = Ridge(alpha=strength, fit_intercept=False, solver="cholesky")
        w = w + torch.from_numpy(fit.fit(X[m].numpy(), (X[m] @ (truth - w)).numpy()).coef_)
    ours = continual.learn(tasks, order=order, filter="ridge", strength=strength, data=True).last[0]
    # Systems of condition R^2 / strength, below 500 here, in 20 steps: 500 x 20 x 1e-16, and room.
    agrees(claim="optimal-regularization/C1", peer="scikit-learn", what="weights after twenty ridge regressions",
           measured=(ours - w).abs().max() / truth.norm(), at_most=1e-11)  # fmt: skip
    other = continual.learn(tasks, order=order, filter="ridge", strength=1.01 * strength, data=True).last[0]
    assert (other - w).abs().max() > 1e-6
