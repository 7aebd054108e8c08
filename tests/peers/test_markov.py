"""A second opinion on the chains of `langevin-generalization`: quantecon eliminates to find the law that one keeps."""

import pytest
import torch

from implicitly import langevin

quantecon = pytest.importorskip("quantecon", reason="needs quantecon: make test-peers")

F64 = torch.float64


def chains(seed):
    """A reversible chain and one that runs in circles, both made to keep one Gibbs law, and the law."""
    dice = torch.Generator().manual_seed(seed)
    loss = torch.rand(9, generator=dice, dtype=F64)
    prior = torch.rand(9, generator=dice, dtype=F64) + 0.1
    law = langevin.gibbs(loss, prior / prior.sum(), 6.0)
    return {"line": langevin.metropolis_line(law), "cycles": langevin.random_cycles(law, 3, dice)}, law


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["line", "cycles"])
def test_the_law_that_is_kept(kind, seed, agrees):
    """Elimination without subtractions loses no digits, however slow the chain. The comparison sees a
    proposal that is accepted with the root of the ratio."""
    found, law = chains(seed)
    other = quantecon.MarkovChain(found[kind].numpy()).stationary_distributions
    assert other.shape == (1, 9)
    worst = (torch.from_numpy(other[0]) / law - 1).abs().max()
    # An entry of the law is a ratio of sums of products of eight transitions between states: a few roundings of each
    # (5 x 1.1e-16) count 16 times at most, 1e-14. Eliminating nine states adds as many roundings as it has sums, 240.
    agrees(claim="langevin-generalization/C1", peer="quantecon", what="the law that a chain keeps, relative",
           measured=worst, at_most=1e-13)  # fmt: skip
    wrong = quantecon.MarkovChain(langevin.metropolis_line(law.sqrt() / law.sqrt().sum()).numpy())
    assert (torch.from_numpy(wrong.stationary_distributions[0]) / law - 1).abs().max() > 0.1
