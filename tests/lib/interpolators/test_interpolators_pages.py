"""The openings of tempered-overfitting and typical-nets compute what the library does, at random settings."""

import itertools

import numpy as np
import pytest
import torch

from implicitly.interpolators import (
    FunctionLaw,
    binary_entropy,
    cube,
    function_law,
    hash_price,
    hash_table,
    learning_curve,
    pack_tables,
    pages,
    relu_units,
    sampled_law,
    shortest_hash,
    truth_tables,
    unpack_tables,
)
from implicitly.interpolators.width_pages import first_fit
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


CUBE = cube(4)
UNITS = relu_units(CUBE, scales=(0, 1))
TEACHERS = {
    "AND": (CUBE[:, :2] == 1).all(1),
    "one input": CUBE[:, 0] == 1,
    "majority of 3": CUBE[:, :3].sum(1) > 0,
}


def drawn(h, guesses, seed):
    """The settings of the page's networks."""
    net, draw = torch.arange(guesses)[:, None], torch.arange(-(-h // 4))
    words = torch.stack(_rng.philox(seed, net, 0, draw), -1).flatten(1)[:, :h]
    return words * UNITS.settings >> 32


def law_of(tables, mirrors=True):
    """The law of these truth tables, each taken with all that exchanging inputs and flipping them make of it."""
    words, counts = torch.unique(pack_tables(tables), return_counts=True)
    if mirrors:
        seen = []
        for order in itertools.permutations(range(4)):
            for signs in itertools.product((-1, 1), repeat=4):
                where = ((CUBE[:, order] * torch.tensor(signs) > 0).long() << torch.arange(4)).sum(1)
                seen.append(pack_tables(unpack_tables(words, 16)[:, where]))
        words, where = torch.unique(torch.cat(seen), return_inverse=True)
        counts = torch.zeros_like(words).index_add_(0, where, counts.repeat(384))
    return FunctionLaw(unpack_tables(words, 16), counts, int(counts.sum()))


def curve_of(h, guesses, seed, teacher, mirrors=True):
    law = law_of(truth_tables(UNITS, drawn(h, guesses, seed)), mirrors)
    return learning_curve(law, TEACHERS[teacher], range(65)).error.numpy()


def close(found, wanted):
    return np.abs(found - wanted).max() < 1e-12


@pytest.mark.parametrize(
    ("teacher", "h", "guesses"),
    [("AND", 2, 5000), ("AND", 9, 20_000), ("one input", 1, 3000), ("one input", 64, 8000), ("majority of 3", 5, 9999)],
)
def test_a_width_is_the_library_s(teacher, h, guesses):
    seed = int(SETTINGS.integers(2**31))
    found = first_fit(teacher=teacher, h=h, guesses=guesses, seed=seed)
    wanted = {width: curve_of(width, guesses, seed, teacher) for width in (2, h)}
    assert close(found["error"], wanted[h]) and close(found["narrow"], wanted[2])
    knowing = [(curve > 0.05).sum() for curve in (found["blind"], wanted[2], wanted[h])]
    assert found["counts"].tolist() == knowing and found["needed"] == knowing[-1]
    tables = truth_tables(UNITS, drawn(h, guesses, seed))
    alike = law_of(TEACHERS[teacher][None]).tables
    assert found["lucky"] == (tables[:, None] == alike).all(-1).any(1).sum()


def test_other_networks_another_width_and_none_of_the_mirror_images_are_seen():
    found = first_fit(teacher="AND", h=8, guesses=20_000, seed=3)["error"]
    assert not close(found, curve_of(8, 20_000, 4, "AND"))
    assert not close(found, curve_of(9, 20_000, 3, "AND"))
    assert not close(found, curve_of(8, 20_000, 3, "AND", mirrors=False))
    assert not close(found, curve_of(8, 20_000, 3, "one input"))


@pytest.mark.parametrize("teacher", TEACHERS)
def test_the_curve_is_near_that_of_the_library_s_own_networks(teacher):
    law = sampled_law(UNITS, 8, guesses=300_000, seed=1)
    wanted = learning_curve(law, TEACHERS[teacher], range(65)).error.numpy()
    found = first_fit(teacher=teacher, h=8, guesses=300_000, seed=1)["error"]
    assert np.abs(found - wanted).max() < 0.01
    other = first_fit(teacher=teacher, h=16, guesses=300_000, seed=1)["error"]
    assert np.abs(other - wanted).max() > 0.01


def test_mirror_images_are_as_likely():
    """On four points, where the law is known: exchanging and flipping inputs changes no probability."""
    corners = cube(2)
    law = function_law(relu_units(corners, scales=(0, 1)), 3)
    known = dict(zip(pack_tables(law.tables).tolist(), law.counts.tolist(), strict=True))
    for where in ([0, 2, 1, 3], [1, 0, 3, 2]):  # inputs exchanged; the first flipped
        moved = pack_tables(law.tables[:, where]).tolist()
        assert [known[word] for word in moved] == law.counts.tolist()


def test_a_rule_that_no_network_computes_leaves_a_gap():
    found = first_fit(teacher="AND", h=400, guesses=2, seed=0)
    assert found["lucky"] == 0 and np.isnan(found["error"]).all() and np.isnan(found["needed"])
    assert found["blind"][16] == 0.5 * (15 / 16) ** 16
