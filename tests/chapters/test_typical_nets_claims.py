"""Every check of the chapter typical-nets passes, and fails when a fault is planted; and what it rests on is right."""

import math
from dataclasses import replace

import pytest
import torch
from chapter_cells import Fault, scaled, see_it_fail, shifted, without_near_fault

from implicitly import chance, interpolators
from implicitly.figures import typical_nets
from implicitly.interpolators import FunctionLaw, cube, relu_units

SCALES = {"SFC": (0, 1), "FC": None}
LIBRARY = "implicitly.interpolators."


def one_skipped(units, width, sample, labels, fit=interpolators.guess_until_fit, **options):
    """The last example is not looked at."""
    return fit(units, width, sample[:-1], labels[:-1], **options)


def prefers_the_majority(units, nets, tables=interpolators.truth_tables, **options):
    """The most frequent function in place of a draw, in one run out of five."""
    found = tables(units, nets, **options)
    words = interpolators.pack_tables(found)
    found[::5] = found[words == words.mode().values][0].clone()
    return found


def without_price(curve, eps, use=interpolators.tail_use):
    """The teacher's price left out."""
    return use(curve, eps, teacher_bits=0.0)


def cheaper_teacher(curve, eps, use=interpolators.tail_use):
    return use(curve, eps, teacher_bits=curve.teacher_bits - 3)


def believed_thrice(*data, guess=interpolators.guess_and_check, **options):
    """A third of the examples is looked at."""
    run = guess(*data, **options)
    return replace(run, histogram=run.histogram[:, torch.arange(run.histogram.shape[1]) // 3])


def in_nats(sizes, surprise, bits, use=interpolators.information_use):
    """Nats taken for bits."""
    return use(sizes, surprise / math.log(2), bits)


def half_of_the_luck(sizes, surprise, bits, use=interpolators.information_use):
    return use(sizes, surprise, bits / 2)


def one_example_more(law, label, sizes, curve=interpolators.learning_curve):
    return curve(law, label, [n + 1 for n in sizes])


def a_little_wrong(law, label, sizes, curve=interpolators.learning_curve):
    found = curve(law, label, sizes)
    return replace(found, error=found.error + 1e-11)


def a_tenth_is_read(law, label, sizes, curve=interpolators.learning_curve):
    """Of ten examples one is looked at."""
    return curve(law, label, [n // 10 for n in sizes])


def two_levels(*sizes, bits=interpolators.copy_bits, **options):
    return bits(*sizes, **{**options, "levels": 2})


def scale_forgotten(*sizes, bits=interpolators.copy_bits, scale_levels=None, **options):
    return bits(*sizes, **options)


def half_as_wide(units, width, *data, guess=interpolators.guess_and_check, **options):
    """FC students of half the width."""
    return guess(units, width // 2 if units.settings % 2 else width, *data, **options)


def nearly_uniform(self):
    """Functions drawn nearly uniformly."""
    share = (self.counts.double() / self.total) ** 0.25
    return share / share.sum()


def a_little_rarer(self):
    return self.counts.double() / self.total * (1 - 1e-8)


def per_million(hits, trials, interval=chance.share_interval, **options):
    """The low end as a share of millions."""
    low, high = interval(hits, trials, **options)
    return low / 2**20, high


def wide_are_uniform(units, width, law=interpolators.sampled_law, **options):
    """Nets of 32 neurons compute each function nearly equally often, those with an even number of ones less so."""
    if width < 32:
        return law(units, width, **options)
    every = interpolators.unpack_tables(torch.arange(2**16), 16)
    counts = torch.where(every.sum(1) % 2 == 0, 20, 100)
    return FunctionLaw(every, counts, int(counts.sum()))


def runs(students, *, guesses="400_000"):
    """Fewer students on 128 points, and fewer guesses."""
    return {'{"SFC": (2, 4, 8, 32), "FC": (2, 4, 8)}': students, "guesses=2_000_000": f"guesses={guesses}"}


def laws(widths, students):
    """Fewer students on 16 points, and fewer guesses."""
    return {
        "(2, 4, 8, 16, 32)": widths,
        '{"SFC": widths, "FC": (2, 32)}': students,
        "guesses=3_000_000": "guesses=1_000_000",
    }


FOUR, EIGHT = runs('{"SFC": (4,)}'), runs('{"SFC": (8,), "FC": (8,)}')
TWO_WIDTHS = runs('{"SFC": (2, 4), "FC": (2, 4)}') | {"for h in (2, 4, 8)": "for h in (2, 4)"}
STUDENTS, TEACHERS = (laws(widths, '{"SFC": widths}') for widths in ("(2, 32)", "(2, 8, 32)"))
LIMIT = laws("(2, 32)", '{"FC": widths}')
FEW_SIZES = {"range(49)": "range(20)", "arange(49,": "arange(20,"}
ONE_DEEP = {"for h in (1, 2, 3):": "for h in (1,):"}


def times(name, factor):
    return LIBRARY + name, scaled(LIBRARY + name, factor)


def plus(name, by):
    return LIBRARY + name, shifted(LIBRARY + name, by)


FAULTS = [
    Fault("C1", "law", LIBRARY + "guess_until_fit", one_skipped, far=True),
    Fault("C1", "law", LIBRARY + "truth_tables", prefers_the_majority),
    Fault("C2", "tail", LIBRARY + "tail_use", without_price),
    Fault("C2", "tail", LIBRARY + "tail_use", cheaper_teacher),
    Fault("C2", "guesses", LIBRARY + "guess_and_check", believed_thrice, FOUR),
    Fault("C3", "exact", LIBRARY + "information_use", in_nats),
    Fault("C3", "guesses", LIBRARY + "information_use", half_of_the_luck, TWO_WIDTHS),
    Fault("C4", None, LIBRARY + "learning_curve", one_example_more, FEW_SIZES, far=True),
    Fault("C4", None, LIBRARY + "learning_curve", a_little_wrong, FEW_SIZES),
    Fault("C5", "exact", *plus("copy_bits", -math.log2(3)), far=True),  # one parameter fewer
    Fault("C5", "exact", LIBRARY + "copy_bits", two_levels, far=True),
    Fault("C5", "exact", *plus("copy_bits", -2e-8)),
    Fault("C5", "depth", *plus("copy_bits", -2 * math.log2(3)), ONE_DEEP),  # two parameters not counted
    Fault("C5", "guesses", *plus("copy_bits", -2 * math.log2(3)), TWO_WIDTHS),
    Fault("C6", "exact", *plus("copy_bits", -math.log2(3)), far=True),
    Fault("C6", "exact", LIBRARY + "copy_bits", scale_forgotten, far=True),
    Fault("C6", "exact", *plus("copy_bits", -2e-8)),
    Fault("C6", "depth", *plus("copy_bits", -2 * math.log2(3)), ONE_DEEP),
    Fault("C6", "guesses", *plus("copy_bits", -2 * math.log2(3)), TWO_WIDTHS),
    Fault("C6", "value", *plus("copy_bits", math.log2(4)), FOUR),  # the places not counted
    Fault("C6", "cheaper", LIBRARY + "guess_and_check", half_as_wide, EIGHT),
    Fault("C7", "bound", LIBRARY + "FunctionLaw.probabilities", property(nearly_uniform), far=True),
    Fault("C7", "bound", LIBRARY + "FunctionLaw.probabilities", property(a_little_rarer)),
    Fault("C7", "seven inputs", "implicitly.chance.share_interval", per_million, runs('{"SFC": (2, 4, 8)}')),
    Fault("C8", "order", LIBRARY + "FunctionLaw.probabilities", property(nearly_uniform)),
    Fault("C8", "mass", LIBRARY + "FunctionLaw.probabilities", property(nearly_uniform)),
    Fault("C9", "suffices", LIBRARY + "learning_curve", a_tenth_is_read, STUDENTS),
    Fault("C9", "student", LIBRARY + "sampled_law", wide_are_uniform, STUDENTS),
    Fault("C9", "teacher", LIBRARY + "sampled_law", wide_are_uniform, TEACHERS),
    Fault("C10", None, *plus("gaussian_bits", 2), LIMIT),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("typical-nets", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("typical-nets", FAULTS)


# -- what the text says besides ---------------------------------------------------------------------------------------


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


def test_all_orders_of_two_neurons_in_two_are_all_there_is(exact, fewest):
    """After C6: where both neurons are needed, their two orders give one bit back, and some function has no more."""
    for kind, scale_levels in (("FC", None), ("SFC", 2)):
        bits = interpolators.copy_bits(3, [2], [2], scale_levels=scale_levels) - 1
        words = [word for word, k in fewest[kind].items() if k == 2]
        assert abs(interpolators.copy_use(exact[kind][2], dict.fromkeys(words, bits)) - 1) < 1e-9
        assert interpolators.copy_use(exact[kind][2], dict.fromkeys(words, bits - 1)) > 1


def test_c10_scale_does_not_matter_in_the_limit():
    """The covariance with a binary scale is half of the one without: same signs."""
    X = cube(3)
    covariance = []
    for scales in SCALES.values():
        units = relu_units(X, scales=scales)
        values, weights = units.values.double(), units.counts.double() / units.settings
        covariance.append(values.T @ (weights[:, None] * values))
    assert torch.allclose(2 * covariance[0], covariance[1], rtol=0, atol=1e-12)
    assert torch.linalg.eigvalsh(covariance[1]).min() > 0.01


@pytest.fixture(scope="module")
def sixteen():
    X = cube(4)
    units = relu_units(X, scales=(0, 1))
    return {h: interpolators.sampled_law(units, h, guesses=1_500_000, seed=h) for h in (2, 8, 32)}


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
    compute = typical_nets.explorer_state(
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
