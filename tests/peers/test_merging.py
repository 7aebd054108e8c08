"""Second opinions on merging: POT moves mass where we assign neurons, scikit-learn truncates where we merge."""

import pytest
import torch
from sklearn.decomposition import TruncatedSVD

from implicitly import merging

ot = pytest.importorskip("ot", reason="needs POT: make test-peers")

F64 = torch.float64


@pytest.mark.parametrize("seed", range(5))
def test_assignments_of_optimal_transport(seed, agrees):
    """The cheapest plan between equal masses is a permutation, found by a network simplex. Both permutations are the
    same for random similarities; their sums are compared. The comparison sees the smallest
    sum in place of the largest."""
    S = torch.randn(40, 40, generator=torch.Generator().manual_seed(seed), dtype=F64)
    ours = merging.assign(S)
    plan = torch.from_numpy(ot.emd([1 / 40] * 40, [1 / 40] * 40, -S.numpy())) * 40
    best = (plan * S).sum()
    # Forty terms below 5 in size, each rounded: 40 x 5 x 1e-16 x 2, and the plan's entries are off by 1e-15.
    agrees(claim="merging-networks/C1", peer="POT", what="similarity of the best assignment",
           measured=(S[torch.arange(40), ours].sum() - best).abs(), at_most=1e-11)  # fmt: skip
    assert torch.equal(plan.argmax(1), ours)
    assert (S[torch.arange(40), merging.assign(-S)].sum() - best).abs() > 1


@pytest.mark.parametrize("width", [1, 5, 12])
def test_truncations_of_scikit_learn(width, agrees):
    """Features are not centred, as in the claim. The comparison sees centred features."""
    Y = torch.randn(16, 50, generator=torch.Generator().manual_seed(width), dtype=F64) + 0.5
    svd = TruncatedSVD(width, algorithm="arpack", random_state=0).fit(Y.T.numpy())
    kept = torch.from_numpy(svd.inverse_transform(svd.transform(Y.T.numpy()))).T
    error = merging.linear_merge(Y, width).left
    # Lanczos ends at 1e-15 of the largest singular value; errors are sums of 800 squares.
    agrees(claim="merging-networks/C6", peer="scikit-learn", what="error of the best linear merge, relative",
           measured=(error / (Y - kept).square().sum() - 1).abs(), at_most=1e-11)  # fmt: skip
    centred = merging.linear_merge(Y - Y.mean(1, keepdim=True), width).left
    assert (centred / (Y - kept).square().sum() - 1).abs() > 0.001
