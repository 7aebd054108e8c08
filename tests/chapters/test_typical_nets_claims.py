"""The claims of the chapter typical-nets hold, break when a fault is planted, and rest on a right library."""

import math

import pytest
import torch

from implicitly import chance, claim, interpolators
from implicitly.claims import ClaimError
from implicitly.interpolators import FunctionLaw, cube, relu_units

SCALES = {"SFC": (0, 1), "FC": None}


def holds(id, measured, **comparison):
    return claim(f"typical-nets/{id}", "a test", measured=measured, **comparison)


def breaks(id, measured, **comparison):
    with pytest.raises(ClaimError):
        holds(id, measured, **comparison)


@pytest.fixture(scope="module")
def corners():
    return cube(3)


@pytest.fixture(scope="module")
def exact(corners):
    units = {kind: relu_units(corners, scales=scales) for kind, scales in SCALES.items()}
    return {kind: {h: interpolators.function_law(u, h) for h in (1, 2, 3)} for kind, u in units.items()}


@pytest.fixture(scope="module")
def fewest(exact):
    return {kind: interpolators.needed_neurons(laws) for kind, laws in exact.items()}


@pytest.fixture(scope="module")
def curves(exact):
    law = exact["FC"][3]
    return [interpolators.learning_curve(law, f, range(49)) for f in law.tables]


@pytest.fixture(scope="module")
def runs():
    X = cube(7)
    label = (X[:, 0] == 1) & (X[:, 1] == 1)
    samples = interpolators.draw_samples(128, 64, seeds=range(4))
    return {
        (kind, h): interpolators.guess_and_check(
            relu_units(X, scales=SCALES[kind]), h, label, samples, guesses=400_000, seed=h
        )
        for kind, h in [("SFC", 2), ("SFC", 4), ("SFC", 8), ("FC", 2), ("FC", 4)]
    }


# -- C1 ---------------------------------------------------------------------------------------------------------------


def accepted(corners, n, count=4000):
    """(tables, sample, labels) of guess and check that looks at the first n of four examples."""
    units = relu_units(corners, scales=(0, 1))
    label = (corners[:, 0] == 1) & (corners[:, 1] == 1)
    sample = interpolators.draw_samples(8, 4, seeds=[4])[0]
    index = interpolators.guess_until_fit(units, 3, sample[:n], label[sample[:n]], runs=count, seed=0)
    tables = interpolators.truth_tables(units, interpolators.nets_by_index(units, 3, index, seed=0))
    return tables, sample, label[sample]


def test_c1_law(corners, exact):
    tables, *data = accepted(corners, 4)
    holds("C1", interpolators.posterior_use(tables, exact["SFC"][3], *data), at_most=1.0)


def test_c1_law_sees_one_example_skipped(corners, exact):
    _, *data = accepted(corners, 4)
    cheat, *_ = accepted(corners, 3)
    breaks("C1", interpolators.posterior_use(cheat, exact["SFC"][3], *data), at_most=1.0)


def test_c1_law_sees_a_preference_among_interpolators(corners, exact):
    """The majority function of the interpolators instead of a draw, in one run out of five."""
    tables, *data = accepted(corners, 4)
    words = interpolators.pack_tables(tables)
    tables[::5] = tables[words == words.mode().values][0]
    breaks("C1", interpolators.posterior_use(tables, exact["SFC"][3], *data), at_most=1.0)


def test_c1_tail(curves):
    tail = lambda **k: max(interpolators.tail_use(c, e, **k) for c in curves for e in (1 / 8, 1 / 4, 1 / 2))  # noqa: E731
    holds("C1", tail(), at_most=1.0)
    breaks("C1", tail(teacher_bits=0.0), at_most=1.0)  # the teacher's price left out
    faulty = max(interpolators.tail_use(c, 1 / 8, teacher_bits=c.teacher_bits - 3) for c in curves)
    breaks("C1", faulty, at_most=1.0)


def test_c1_guesses(runs):
    run = runs["SFC", 4]
    bad = lambda n: float((run.histogram[:, n, 32:].sum(1) / run.fits[:, n]).mean())  # noqa: E731
    p_high = chance.share_interval(run.teacher_hits, run.guesses)[1]
    holds("C1", bad(48), at_most=0.75**48 / p_high)
    breaks("C1", bad(8), at_most=0.75**48 / p_high)  # eight examples believed to be 48


# -- C2, C7 -----------------------------------------------------------------------------------------------------------


def test_c2_exact(curves):
    use = lambda factor: max(  # noqa: E731
        interpolators.information_use(range(49), factor * c.surprise, c.bits) for c in curves
    )
    holds("C2", use(1.0), at_most=1.0)
    breaks("C2", use(1 / math.log(2)), at_most=1.0)  # nats taken for bits
    prior = max(interpolators.information_use(range(49), c.surprise[0].expand(49), c.bits) for c in curves)
    breaks("C2", prior, at_most=1.0)  # a rule that ignores the data


def test_c2_guesses(runs):
    keep = list(range(24, 33))
    for run in runs.values():
        use = interpolators.information_use(keep, run.surprise[:, keep].mean(0), run.bits[:, keep].mean(0))
        holds("C2", use, at_most=1)
    run = runs["SFC", 4]
    stale = run.surprise[:, :1].expand(-1, len(keep)).mean(0)  # the prior's error instead of the posterior's
    breaks("C2", interpolators.information_use(keep, stale, run.bits[:, keep].mean(0)), at_most=1)


def test_c7_no_free_lunch(corners):
    tables = interpolators.unpack_tables(torch.arange(256), 8)
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(1, 10_000, (256,), generator=generator)  # any prior will do
    law = FunctionLaw(tables, counts, int(counts.sum()))
    every = torch.stack([interpolators.learning_curve(law, f, range(30)).error for f in tables]).mean(0)
    n = torch.arange(30, dtype=torch.float64)
    holds("C7", (every - 0.5 * (7 / 8) ** n).abs().max(), at_most=1e-12)
    breaks("C7", (every - 0.5 * (7 / 8) ** (n + 1)).abs().max(), at_most=1e-12)
    some = torch.stack([interpolators.learning_curve(law, f, range(30)).error for f in tables[:200]]).mean(0)
    breaks("C7", (some - 0.5 * (7 / 8) ** n).abs().max(), at_most=1e-12)  # not all teachers


# -- C3, C4, C5 -------------------------------------------------------------------------------------------------------


def worst_copy(exact, fewest, kind, h, *, change=0.0, **options):
    scale_levels = 2 if kind == "SFC" else None
    bits = {
        word: interpolators.copy_bits(3, [k], [h], **{"scale_levels": scale_levels} | options) + change
        for word, k in fewest[kind].items()
        if k <= h
    }
    return interpolators.copy_use(exact[kind][h], bits)


@pytest.mark.parametrize(("id", "kind"), [("C3", "FC"), ("C4", "SFC")])
def test_copies_exact(exact, fewest, id, kind):
    measured = max(worst_copy(exact, fewest, kind, h) for h in (1, 2, 3))
    holds(id, measured, equals=1.0, within=1e-9)
    holds(id, worst_copy(exact, fewest, kind, 3), at_most=1.0)
    cheaper = max(worst_copy(exact, fewest, kind, h, change=-math.log2(3)) for h in (1, 2, 3))
    breaks(id, cheaper, equals=1.0, within=1e-9)  # one parameter fewer


def test_copies_exact_see_wrong_constants(exact, fewest):
    breaks("C3", worst_copy(exact, fewest, "FC", 1, levels=2), at_most=1 + 1e-9)
    breaks("C4", worst_copy(exact, fewest, "SFC", 1, scale_levels=None), at_most=1 + 1e-9)  # the scale forgotten


@pytest.mark.parametrize(("id", "kind"), [("C3", "FC"), ("C4", "SFC")])
def test_copies_deep(id, kind):
    square = cube(2)
    scales = SCALES[kind]
    generator = torch.Generator().manual_seed(0)
    tables = interpolators.deep_tables(square, [1, 1], count=200_000, generator=generator, scales=scales)
    hits = int((tables == (square == 1).all(1)).all(1).sum())
    low = chance.share_interval(hits, 200_000)[0]
    bits = interpolators.copy_bits(2, [1, 1], [1, 1], scale_levels=scales and len(scales))
    holds(id, 2**-bits / low, at_most=1.0)
    breaks(id, 2 ** -(bits - 2 * math.log2(3)) / low, at_most=1.0)  # two parameters not counted


def price_use(runs, kind, h, drop=0.0):
    run = runs[kind, h]
    bits = interpolators.copy_bits(7, [1], [h], scale_levels=2 if kind == "SFC" else None, either=kind == "SFC")
    return 2 ** -(bits - drop) / chance.share_interval(run.teacher_hits, run.guesses)[1]


def test_price_by_guesses(runs):
    holds("C3", max(price_use(runs, "FC", h) for h in (2, 4)), at_most=1.0)
    breaks("C3", price_use(runs, "FC", 2, drop=2 * math.log2(3)), at_most=1.0)
    holds("C4", max(price_use(runs, "SFC", h) for h in (2, 4)), at_most=1.0)
    breaks("C4", price_use(runs, "SFC", 2, drop=2 * math.log2(3)), at_most=1.0)


def test_c4_value(runs):
    run = runs["SFC", 4]
    drawn = math.log2(run.guesses / run.teacher_hits)
    counted = interpolators.copy_bits(7, [1], [4], scale_levels=2, either=True)
    holds("C4", drawn, equals=counted - 1, within=0.8)  # fewer guesses than in the chapter
    breaks("C4", drawn, equals=counted - 1 + math.log2(4), within=0.8)  # the places not counted
    breaks("C4", drawn, equals=interpolators.copy_bits(7, [1], [4], scale_levels=2) - 1, within=0.8)


def test_c4_cheaper(runs):
    bits = lambda run: -math.log2(max(1, int(run.fits[:, 48].sum())) / run.guesses / 4)  # noqa: E731
    extra = bits(runs["FC", 4]) - bits(runs["SFC", 4])
    holds("C4", extra, at_least=0.4)
    breaks("C4", -extra, at_least=0.4, ideal=5.0)  # the two kinds exchanged


def test_c5(exact, fewest):
    law = exact["SFC"][3]
    need = torch.tensor([fewest["SFC"][w] for w in interpolators.pack_tables(law.tables).tolist()])
    bits = -law.probabilities.log2()
    mean = [float(bits[need == k].mean()) for k in (1, 2, 3)]
    holds("C5", min(mean[1] - mean[0], mean[2] - mean[1]), at_least=2.0)
    shuffled = need[torch.randperm(len(need), generator=torch.Generator().manual_seed(0))]
    mean = [float(bits[shuffled == k].mean()) for k in (1, 2, 3)]
    breaks("C5", min(mean[1] - mean[0], mean[2] - mean[1]), at_least=2.0, ideal=8.0)
    holds("C5", law.probabilities[need == 1].sum(), at_least=0.5, ideal=1.0)
    breaks("C5", (need == 1).double().mean(), at_least=0.5, ideal=1.0)  # functions drawn uniformly

    def use(levels):
        worst = 0.0
        for h in (1, 2, 3):
            masses = exact["SFC"][h]
            of = torch.tensor([fewest["SFC"][w] for w in interpolators.pack_tables(masses.tables).tolist()])
            for k in range(1, h + 1):
                stated = 8 - k * 5 * math.log2(levels) - h
                worst = max(worst, 2**stated / float(masses.probabilities[of == k].min() * 256))
        return worst

    holds("C5", use(3), equals=1.0, within=1e-9)
    breaks("C5", use(2), equals=1.0, within=1e-9)


def test_c5_where_it_says_something(runs):
    run = runs["SFC", 8]
    low = chance.share_interval(run.teacher_hits, run.guesses)[0]
    holds("C5", (2**7 - 9 * math.log2(3) - 8) / (2**7 + math.log2(low)), at_most=1.0)
    breaks("C5", (2**7 - 2 * math.log2(3) - 8) / (2**7 + math.log2(low)), at_most=1.0)  # weights of the inputs left out


def test_all_orders_of_two_neurons_in_two_are_all_there_is(exact, fewest):
    """After C4: where both neurons are needed, their two orders give one bit back, and some function has no more."""
    for kind, scale_levels in (("FC", None), ("SFC", 2)):
        bits = interpolators.copy_bits(3, [2], [2], scale_levels=scale_levels) - 1
        words = [word for word, k in fewest[kind].items() if k == 2]
        assert abs(interpolators.copy_use(exact[kind][2], dict.fromkeys(words, bits)) - 1) < 1e-9
        assert interpolators.copy_use(exact[kind][2], dict.fromkeys(words, bits - 1)) > 1


# -- C6, C8 -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sixteen():
    X = cube(4)
    units = relu_units(X, scales=(0, 1))
    return {h: interpolators.sampled_law(units, h, guesses=1_500_000, seed=h) for h in (2, 8, 32)}


def test_c6_student(sixteen):
    X = cube(4)
    label = (X[:, 0] == 1) & (X[:, 1] == 1)
    needed = {h: int((interpolators.learning_curve(sixteen[h], label, range(97)).error > 0.05).sum()) for h in (2, 32)}
    bound = {h: interpolators.copy_bits(4, [1], [h], scale_levels=2, either=True) for h in (2, 32)}
    holds("C6", needed[32] / needed[2], at_most=bound[32] / bound[2], ideal=1.0)
    breaks("C6", 32 / 2, at_most=bound[32] / bound[2], ideal=1.0)  # examples in proportion to the student's size


def test_c6_teacher(sixteen):
    X = cube(4)
    one, two = (X[:, 0] == 1) & (X[:, 1] == 1), X[:, 0] == X[:, 1]
    cost = {h: sixteen[h].bits(one) for h in (2, 8, 32)}
    by_student = cost[32] - cost[2]
    holds("C6", (sixteen[8].bits(two) - cost[8]) / by_student, at_least=1.0)
    other = X[:, 2] == 1  # another teacher of one neuron in place of one of two
    breaks("C6", (sixteen[8].bits(other) - cost[8]) / by_student, at_least=1.0)


def test_c8_gaussian_limit():
    X = cube(4)
    units = relu_units(X)
    label = X[:, :3].sum(1) > 0
    generator = torch.Generator().manual_seed(0)
    limit = float(interpolators.gaussian_bits(units, label[None], draws=2_000_000, generator=generator))
    bits = {h: interpolators.sampled_law(units, h, guesses=600_000, seed=h).bits(label) for h in (2, 32)}
    closer = lambda limit: abs(bits[32] - limit) / abs(bits[2] - limit)  # noqa: E731
    holds("C8", closer(limit), at_most=0.25)
    breaks("C8", closer(limit + 2), at_most=0.25)  # another limit, two bits off
    white = interpolators.Units(torch.eye(16, dtype=torch.int64).repeat(2, 1), torch.arange(32), ("t",), ((0,) * 32,))
    white.values[16:] *= -1
    wrong = float(interpolators.gaussian_bits(white, label[None], draws=400_000, generator=generator))
    breaks("C8", closer(min(wrong, 99.0)), at_most=0.25)  # the covariance replaced by the identity


def test_c8_scale_does_not_matter_in_the_limit():
    """The covariance with a binary scale is half of the one without: same signs."""
    X = cube(3)
    covariance = []
    for scales in SCALES.values():
        units = relu_units(X, scales=scales)
        values, weights = units.values.double(), units.counts.double() / units.settings
        covariance.append(values.T @ (weights[:, None] * values))
    assert torch.allclose(2 * covariance[0], covariance[1], rtol=0, atol=1e-12)
    assert torch.linalg.eigvalsh(covariance[1]).min() > 0.01


# -- the library ------------------------------------------------------------------------------------------------------


def test_learning_curve_is_an_average_over_data_sets(corners, exact):
    """All 8**3 data sets of three examples, one by one."""
    law, label = exact["SFC"][2], (corners[:, 0] == 1) & (corners[:, 1] == 1)
    curve = interpolators.learning_curve(law, label, (3,))
    p, error = law.probabilities, (law.tables != label).double().mean(1)
    bits = mean = tail = surprise = 0.0
    for code in range(512):
        sample = torch.tensor([code % 8, code // 8 % 8, code // 64])
        post = p * (law.tables[:, sample] == label[sample]).all(1)
        mass = float(post.sum())
        bits -= math.log2(mass) / 512
        mean += float(post @ error) / mass / 512
        tail += float(post[error >= 0.25].sum()) / mass / 512
        surprise -= float((post * torch.where(post > 0, torch.log2(1 - error), 0)).nan_to_num(0).sum()) / mass / 512
    found = [float(v) for v in (curve.bits, curve.error, curve.tail(0.25), curve.surprise)]
    assert found == pytest.approx([bits, mean, tail, surprise], abs=1e-12)


def test_deep_tables_of_one_layer_follow_the_exact_law(corners, exact):
    """The plain layer-by-layer definition against the enumeration, which shares no code with it."""
    from implicitly.chance import allowance

    for kind, scales in SCALES.items():
        tables = interpolators.deep_tables(
            corners, [2], count=100_000, generator=torch.Generator().manual_seed(1), scales=scales
        )
        words = torch.bincount(interpolators.pack_tables(tables), minlength=256) / 100_000
        law = exact[kind][2]
        for word, p in zip(interpolators.pack_tables(law.tables).tolist(), law.probabilities.tolist(), strict=True):
            assert abs(float(words[word]) - p) <= allowance(p, 100_000, false_alarm=1e-6 / 256)


def test_copy_bits_are_the_formulas():
    q = math.log2(3)
    assert interpolators.copy_bits(7, [2, 3], [5, 6]) == pytest.approx(
        q * (2 * 8 + 3 * 6 + 6) - math.log2(math.comb(5, 2) * math.comb(6, 3))
    )
    assert interpolators.copy_bits(7, [2, 3], [5, 6], scale_levels=4, levels=5) == pytest.approx(
        math.log2(5) * (2 * 8 + 3 * 3 + 3) + 2 * 11 - math.log2(math.comb(5, 2) * math.comb(6, 3))
    )


def test_exercises():
    """The numbers in the folded solutions."""
    assert math.ceil((14 * math.log(2) + math.log(20)) / 0.05) == 254
    units = ((20, 1e-3), (40, 60), (60, 31_557_600))  # bits; a millisecond, a minute, a year
    assert [round(2**bits / 1e9 / seconds) for bits, seconds in units] == [1, 18, 37]
    copy = interpolators.copy_bits(7, [1], [32], scale_levels=2, either=True)
    assert (round(copy, 1), round(copy - 1, 1)) == (28.4, 27.4)
    two = FunctionLaw(torch.tensor([[0, 0, 0, 0], [1, 0, 0, 0]], dtype=torch.bool), torch.tensor([1, 1]), 2)
    curve = interpolators.learning_curve(two, two.tables[0], (0, 1, 5))
    assert curve.error.tolist() == pytest.approx([0.5 * 0.25 * 0.75**n for n in (0, 1, 5)])
    # linear functions on {0,1}^3 without 0: the uniform prior over all eight
    x = torch.arange(1, 8)[:, None] >> torch.arange(3) & 1
    linear = torch.stack([(x @ (torch.tensor(a) >> torch.arange(3) & 1)) % 2 == 1 for a in range(8)])
    law = FunctionLaw(linear, torch.ones(8, dtype=torch.int64), 8)
    curve = interpolators.learning_curve(law, linear[3], range(8))
    n = torch.arange(8, dtype=torch.float64)
    assert (curve.bits <= n + 1e-12).all() and (curve.error >= 0.5 * (1 - 2 ** (n - 3)) - 1e-12).all()


def test_exercise_without_zero(corners):
    laws = {h: interpolators.function_law(relu_units(corners, levels=(-1, 1)), h) for h in (1, 3)}
    wide = set(interpolators.pack_tables(laws[3].tables).tolist())
    narrow = set(interpolators.pack_tables(laws[1].tables).tolist())
    assert (len(narrow), len(wide)) == (17, 244) and narrow <= wide
    shared = [w in narrow for w in interpolators.pack_tables(laws[3].tables).tolist()]
    assert round(float(laws[3].probabilities[torch.tensor(shared)].sum()), 2) == 0.53


def test_trained_nets_fit_and_are_reported_as_such():
    X = cube(5)
    label = X[:, 0] == 1
    samples = interpolators.draw_samples(32, 12, seeds=[0, 1])
    run = lambda eta: interpolators.train_many(  # noqa: E731
        X, samples, label[samples], width=16, nets=6, steps=300, eta=eta, batch=None,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    tables, fits = run(0.5)
    assert tables.shape == (2, 6, 32) and fits.all()
    for r in range(2):
        assert (tables[r][:, samples[r]] == label[samples[r]]).all()
    assert not run(1e-6)[1].all()


def test_share_interval_holds_the_truth():
    low, high = chance.share_interval(0, 1000)
    assert low == 0 and (1 - high) ** 1000 == pytest.approx(0.5e-6, rel=1e-6)
    low, high = chance.share_interval(300, 1000, miss=0.05)
    assert low < 0.3 < high


def test_explorer_function(sixteen):
    X = cube(4)
    bit = X == 1
    units = {"SFC": relu_units(X, scales=(0, 1))}
    compute = interpolators.explorer_table(
        {("SFC", h): law for h, law in sixteen.items()},
        {"one input": bit[:, 0], "parity": X.prod(1) == 1}, {"one input": 1, "parity": 4}, range(0, 33, 4), units,
    )  # fmt: skip
    out = compute(teacher="one input", kind="SFC", h=8)
    assert out["spread"].shape == (9, 17) and torch.allclose(out["spread"].sum(1), torch.ones(9, dtype=torch.float64))
    assert (out["cost"] <= out["price"] + 1e-9).all() and out["price"] <= out["bound"]
    live = compute(teacher="one input", kind="SFC", h=5)
    assert torch.isfinite(live["cost"]).all()
    missing = compute(teacher="parity", kind="SFC", h=8)
    assert math.isnan(missing["price"]) and missing["cost"].isnan().all()


def test_errors_name_the_argument(corners, exact):
    law, label = exact["FC"][1], exact["FC"][3].tables[10]
    units = relu_units(corners)

    def bad(call, error, *words):
        with pytest.raises(error) as caught:
            call()
        assert all(word in str(caught.value) for word in words), str(caught.value)

    parity = corners.prod(1) == 1
    bad(lambda: interpolators.copy_bits(3, [2], [1]), ValueError, "teacher", "2 and 1")
    bad(lambda: interpolators.copy_bits(3, [1, 1], [2]), ValueError, "same depth")
    bad(lambda: interpolators.copy_bits(3, [1], [2], either=True), ValueError, "either")
    bad(lambda: interpolators.learning_curve(law, parity, [1]), ValueError, "label", "positive probability")
    bad(lambda: interpolators.learning_curve(law, torch.zeros(17, dtype=torch.bool), [1]), ValueError, "label", "17")
    bad(lambda: interpolators.learning_curve(law, label, [-1]), ValueError, "sizes")
    every = torch.arange(8)
    stuck = lambda: interpolators.guess_until_fit(units, 1, every, parity, runs=1, seed=0, limit=40_000)  # noqa: E731
    bad(stuck, RuntimeError, "0 of 1")
    bad(lambda: chance.share_interval(3, 2), ValueError, "hits", "3")
    lopsided = relu_units(corners, levels=(0, 1))
    draw = torch.Generator().manual_seed(0)
    bad(lambda: interpolators.gaussian_bits(lopsided, parity[None], draws=1, generator=draw), ValueError, "mean")
    bad(lambda: interpolators.gaussian_bits(units, parity, draws=1, generator=draw), ValueError, "labels must have")
