"""Networks that learn addition, against plain torch."""

import pytest
import torch

from implicitly import grokking
from implicitly.grokking.addition import _first_weights, _split


def by_torch(seed, steps, decay=0.0):
    """One network with torch's own loss and optimizer; right answers, norm."""
    known, others = _split(7, 0.6, seed)
    weights = [w.clone().requires_grad_() for w in _first_weights(7, 16, 1.0, seed)]
    adam = torch.optim.AdamW(weights, lr=0.01, weight_decay=decay)

    def logits(pairs):
        return torch.relu(weights[0][pairs[0]] + weights[1][pairs[1]]) @ weights[2]

    for _ in range(steps):
        adam.zero_grad()
        torch.nn.functional.cross_entropy(logits(known), known[2]).backward()
        adam.step()
    rights = [float((logits(p).argmax(1) == p[2]).double().mean()) for p in (known, others)]
    return rights, float(sum(w.detach().double().square().sum() for w in weights).sqrt())


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_training_is_that_of_torch(decay):
    run = grokking.train_addition(7, 16, share=0.6, seeds=[3, 4], at=[0, 60], decay=decay)
    for s, seed in enumerate((3, 4)):
        for row, steps in enumerate((0, 60)):
            (train, test), norm = by_torch(seed, steps, decay)
            assert float(run.norm[row, s]) == pytest.approx(norm, rel=1e-4)
            assert float(run.train[row, s]) == pytest.approx(train, abs=0.05)
            assert float(run.test[row, s]) == pytest.approx(test, abs=0.08)


def test_pairs_are_all_there_once():
    known, others = _split(6, 0.5, 0)
    both = torch.cat([known, others], 1)
    assert len({(a, b) for a, b, _ in both.T.tolist()}) == 36
    assert torch.equal((both[0] + both[1]) % 6, both[2])


def test_the_orthogonal_gradient_does_not_scale_the_weights():
    plain, turned = (grokking.train_addition(7, 16, seeds=[0], at=[0, 100], orthogonal=o) for o in (False, True))
    assert float(turned.norm[1] / turned.norm[0]) < float(plain.norm[1] / plain.norm[0])


def test_global_state_is_left_alone():
    before = torch.get_rng_state()
    grokking.train_addition(4, 3, seeds=[0], at=[2])
    assert torch.equal(before, torch.get_rng_state())
