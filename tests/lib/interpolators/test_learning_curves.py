"""Learning curves and teachers at the edges: limits, refusals. Values: tests/chapters/test_typical_nets_claims.py."""

import math

import pytest
import torch

from implicitly import chance, interpolators
from implicitly.figures import typical_nets
from implicitly.interpolators import FunctionLaw, cube, relu_units, unpack_tables


def law(words, counts, points=3) -> FunctionLaw:
    return FunctionLaw(unpack_tables(torch.tensor(words), points), torch.tensor(counts), sum(counts))


def generator():
    return torch.Generator().manual_seed(0)


def test_a_right_rule_uses_nothing_and_an_impossible_function_refutes():
    prior, nothing = law([1, 2], [1, 2]), (torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool))
    tables = unpack_tables(torch.tensor([1, 2, 2]), 3)
    assert interpolators.posterior_use(tables, prior, *nothing) == 0.0  # 1/3 and 2/3 in float64, not in float32
    assert interpolators.posterior_use(unpack_tables(torch.tensor([1, 2, 7]), 3), prior, *nothing) == math.inf


def test_no_more_nets_are_drawn_than_allowed():
    units, nothing = relu_units(cube(2)), (torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool))
    assert interpolators.guess_until_fit(units, 2, *nothing, runs=5, seed=0, limit=5).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(RuntimeError, match="found 5 of 6 nets in 5 draws"):
        interpolators.guess_until_fit(units, 2, *nothing, runs=6, seed=0, limit=5)


def test_a_teacher_that_every_net_computes():
    prior = law([5], [4])
    curve = interpolators.learning_curve(prior, prior.tables[0], (0, 3))
    assert curve.bits.tolist() == [0, 0] and curve.error.tolist() == [0, 0] and curve.teacher_bits == 0
    assert interpolators.information_use((0, 3), curve.surprise, curve.bits) == 0.0
    assert [interpolators.tail_use(curve, eps) for eps in (0.0, 0.5, 1.0)] == [1.0, 0.0, 0.0]


def test_bounds_that_underflow():
    prior = law([0, 7, 1], [1, 1, 2])
    curve = interpolators.learning_curve(prior, prior.tables[0], (0, 2, 3000))
    assert curve.surprise[0] == math.inf  # before any example a net that is wrong everywhere is possible
    assert interpolators.tail_use(curve, 1.0) == pytest.approx(0.25 / 4)  # at N = 0; later both sides are 0
    assert interpolators.tail_use(curve, 1.0, teacher_bits=2000.0) == 0.0
    # at N = 3000 of 3 points, one that word 1 gets wrong is missed with probability (2/3)**3000, below 1e-500
    assert interpolators.tail_use(curve, 1 / 3) == pytest.approx(0.75 / 4)
    assert interpolators.information_use((0, 1), torch.tensor([math.inf, 1.0]).double(), torch.ones(2).double()) == 1.0


def test_so_many_examples_that_every_point_is_there():
    prior = law([0, 7, 1], [1, 1, 2])
    curve = interpolators.learning_curve(prior, prior.tables[0], (10**9,))
    assert curve.error.tolist() == [0.0] and curve.bits.tolist() == pytest.approx([2.0])


def test_copies_where_a_layer_has_one_neuron_or_is_full():
    assert interpolators.copy_bits(1, [1], [1], levels=2) == 3  # weight, bias, outgoing weight: a bit each
    assert interpolators.copy_bits(1, [2], [2], levels=2, scale_levels=2, either=True) == 2 * 3 + 2


def test_intervals_at_the_ends():
    assert chance.share_interval(0, 50, miss=1e-40) == (0.0, pytest.approx(1 - (0.5e-40) ** (1 / 50)))
    assert chance.share_interval(50, 50, miss=1e-40) == (pytest.approx((0.5e-40) ** (1 / 50)), 1.0)
    assert chance.share_interval(0, 1, miss=0.5) == (0.0, pytest.approx(0.75))
    with pytest.raises(ValueError, match="miss must be finite and above 0 and below 1, found 2"):
        chance.share_interval(1, 2, miss=2.0)


def test_gaussian_bits_of_two_points_are_the_arcsine():
    """P(both sums > 0) = 1/4 + arcsin(correlation) / (2 pi)."""
    units = relu_units(cube(1))
    w, b, v = torch.cartesian_prod(*[torch.arange(-1.0, 2)] * 3).double().T
    low, high = v * torch.relu(b - w), v * torch.relu(b + w)
    angle = math.asin(float((low * high).mean() / (low.square().mean() * high.square().mean()).sqrt()))
    same, other = 0.25 + angle / (2 * math.pi), 0.25 - angle / (2 * math.pi)
    patterns = torch.tensor([[True, True], [False, False], [False, True], [True, False]])
    found = 2 ** -interpolators.gaussian_bits(units, patterns, draws=200_000, generator=generator())
    for share, p in zip(found.tolist(), (same, same, other, other), strict=True):
        assert abs(share - p) < chance.allowance(p, 200_000)
    assert abs(same - 0.25) > 4 * chance.allowance(same, 200_000)  # far from independent


def test_gaussian_bits_without_patterns_and_without_spread():
    units = relu_units(cube(2), levels=(0,))  # every unit is 0, and so is every sum
    patterns = torch.tensor([[False] * 4, [True] * 4])
    bits = interpolators.gaussian_bits(units, patterns, draws=9, generator=generator())
    assert bits.tolist() == [0.0, math.inf]
    assert interpolators.gaussian_bits(units, patterns[:0], draws=9, generator=generator()).shape == (0,)


def test_deep_sums_are_exact():
    """2**24 + 1 is no float32: the difference of the two inputs was 0."""
    small, large = (torch.tensor([[base + 1, base]]) for base in (2**10, 2**24))
    draw = lambda X: interpolators.deep_tables(X, [2], count=500, generator=generator())  # noqa: E731
    assert torch.equal(draw(small), draw(large))
    with pytest.raises(ValueError, match=r"X, widths, levels and scales must keep sums below 2\*\*53, found"):
        draw(torch.tensor([[2**52, 0]]))


def test_training_that_runs_away_is_refused_and_no_step_is_the_start():
    X = cube(2)
    samples = torch.tensor([[0, 3]])
    options = dict(width=4, nets=50, batch=None)
    train = lambda eta, steps: interpolators.train_many(  # noqa: E731
        X, samples, samples > 0, eta=eta, steps=steps, generator=generator(), **options
    )
    with pytest.raises(ValueError, match="eta must be small enough for this X that the weights stay finite, found 1e"):
        train(1e30, 50)
    assert torch.equal(train(0.5, 0)[0], train(1e-300, 5)[0])


def test_a_domain_that_is_too_large_for_all_subsets():
    big = FunctionLaw(torch.zeros(1, 17, dtype=torch.bool), torch.ones(1, dtype=torch.int64), 1)
    with pytest.raises(ValueError, match="law must have at most 16 points"):
        interpolators.learning_curve(big, big.tables[0], [1])


def test_dicts_are_checked_and_left_alone():
    units, prior = relu_units(cube(2)), interpolators.function_law(relu_units(cube(2)), 1)
    teachers, laws = {"AND": (cube(2) == 1).all(1)}, {("FC", 2): prior}
    table = lambda **changed: typical_nets.explorer_state(  # noqa: E731
        **dict(laws=laws, teachers=teachers, neurons={"AND": 2}, sizes=(0, 2), units={"FC": units}) | changed
    )
    assert table()(teacher="AND", kind="FC", h=3)["cost"].isfinite().all()
    assert list(laws) == [("FC", 2)]
    for changed, words in (
        (dict(neurons={}), "neurons must have at least one entry"),
        (dict(neurons={"OR": 1}), "neurons must have an entry for each"),
        (dict(neurons={"AND": 0}), "must be at least 1, found 0"),
        (dict(teachers={"AND": torch.ones(8, dtype=torch.bool)}), "on the same 2"),
        (dict(laws={("FC", 2): 3}), "must be a FunctionLaw, found int"),
        (dict(units=[units]), "units must be a dict, found list"),
    ):
        with pytest.raises((ValueError, TypeError), match=words):
            table(**changed)
    with pytest.raises(ValueError, match="h must be at least 2, found 1"):
        table()(teacher="AND", kind="FC", h=1)
    with pytest.raises(ValueError, match="teacher must be one of 'AND', found 'OR'"):
        table()(teacher="OR", kind="FC", h=2)
    for bad in ({}, {0: prior}, {1: 3}, {1: prior, 2: law([1], [1])}):
        with pytest.raises((ValueError, TypeError), match="laws"):
            interpolators.needed_neurons(bad)
    for bad in ({}, {-1: 2.0}, {16: 2.0}, {3: -1.0}, {3: math.nan}):
        with pytest.raises((ValueError, TypeError), match="bits"):
            interpolators.copy_use(prior, bad)
    assert interpolators.copy_use(law([1, 2], [1, 3]), {1: 2.0, 2: 0.0}) == pytest.approx(4 / 3)
    assert interpolators.copy_use(law([1], [1]), {3: 5000.0}) == math.inf
