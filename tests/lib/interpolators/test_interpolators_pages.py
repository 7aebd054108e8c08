"""The opening of tempered-overfitting computes what the library does, at random settings."""

import numpy as np
import pytest
import torch

from implicitly.interpolators import binary_entropy, hash_price, hash_table, pages, shortest_hash
from implicitly_kernels import _rng

SETTINGS = np.random.default_rng(5)
INPUTS = torch.arange(256)


def holds(found, memory, k, seed):
    """Whether the marks, the bits and the errors are those of the library's functions."""
    marks = k > INPUTS
    paid = mean = 8 * k if memory == "neurons" else 30
    if memory == "coins":
        coins = _rng.philox(seed, INPUTS, 0, 1)[0] < 2**31
        marks = torch.where(INPUTS < 30, marks, coins)
    if memory == "shortest":
        rule = shortest_hash(marks[:30], seed=seed)
        marks, paid, mean = hash_table(rule.index, INPUTS, seed=seed), rule.bits, hash_price(30, k)[0]
    wrong = marks[30:].numpy()
    return (
        np.array_equal(~np.isnan(found["wrong"]).any(1), wrong)
        and np.array_equal(found["wrong"][wrong], found["new"][wrong])
        and np.array_equal(found["flipped"][:k], found["seen"][:k])
        and np.isnan(found["flipped"][k:]).all()
        and found["errors"] == wrong.sum()
        and found["price"] == pytest.approx([paid, mean, 30 * float(binary_entropy(k / 30))], rel=1e-12)
    )


@pytest.mark.parametrize("memory", ["neurons", "shortest", "coins"])
def test_a_memory_is_the_library_s(memory):
    for k in range(6):
        now = {"memory": memory, "k": k, "seed": int(SETTINGS.integers(2**31))}
        assert holds(pages.remember(**now), **now), now


def test_every_input_has_a_place_of_its_own():
    found = pages.remember(memory="neurons", k=3, seed=7)
    places = {(x, y) for x, y in np.concatenate([found["seen"], found["new"]]).tolist()}
    assert places == {(x, y) for x in range(32) for y in range(8)}


@pytest.mark.parametrize("memory", ["shortest", "coins"])
def test_another_list_and_other_coins_are_seen(memory):
    now = {"memory": memory, "k": 3, "seed": 3}
    assert not holds(pages.remember(**now | {"seed": 4}), **now)


def test_a_flip_too_few_is_seen():
    assert not holds(pages.remember(memory="shortest", k=2, seed=3), memory="shortest", k=3, seed=3)
