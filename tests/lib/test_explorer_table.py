"""An explorer's table: what is computed, and what packing keeps of it."""

import numpy as np
import pytest
import torch
from explorer_samples import T, lines
from explorer_table import lookup, unpack
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from implicitly.explorer import Bars, Choice, Explorer, Lines, Panel, Slider, table


@settings(max_examples=60)
@given(
    values=arrays(
        np.float64,
        st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6)),
        elements=st.floats(-1e6, 1e6) | st.just(np.nan),
    ),
    coarse=st.booleans(),
)
def test_packing_keeps_values_to_half_a_step_and_gaps_exactly(values, coarse):
    entry = table.Entry("y", values.shape[1:], whole=False, log=False, coarse=coarse)
    data, _ = table.pack([entry], {"y": values})
    back = unpack(data, [entry], len(values))["y"]
    assert np.array_equal(np.isnan(back), np.isnan(values))
    span = np.nanmax(values) - np.nanmin(values) if not np.isnan(values).all() else 0.0
    step = span / (table.COARSE if coarse else table.LEVELS)
    assert np.nanmax(np.abs(back - values), initial=0) <= step * 0.5001 + 1e-9 * max(1, span)


def test_packing_is_exact_for_classes_and_relative_on_log_scales():
    kinds = np.random.default_rng(0).integers(-3, 900, (5, 7))
    loss = 10 ** np.random.default_rng(0).uniform(-12, 3, (5, 7))
    entries = [table.Entry("k", (7,), True, False), table.Entry("l", (7,), False, True)]
    data, _ = table.pack(entries, {"k": kinds, "l": loss})
    back = unpack(data, entries, 5)
    assert np.array_equal(back["k"], kinds)
    assert np.max(np.abs(back["l"] / loss - 1)) < 15 * np.log(10) / table.LEVELS  # half a step, twice


def small_numbers(values, **how):
    return Explorer(
        lambda a: {"y": [a, 2, 3, 4], "end": values[int(a)], "bar": [values[int(a)]]},
        controls=[Slider("a", [float(a) for a in range(len(values))])],
        view=Panel(Lines("y", "y")),
        title="Ends",
        alt="A line.",
        **how,
    )


@pytest.mark.parametrize(
    "how", [{"summary": "It ends at {end:.1e}."}, {"side": Bars("bar", labels=("end",), format=".3g")}]
)
def test_a_small_number_that_is_written_keeps_its_digits(how):
    values = [0.48, 3.0e-7, 7.4e-20, 3.4e-22]
    kept = lookup(small_numbers(values, **how))["bar" if "side" in how else "end"].ravel()
    assert np.allclose(kept, values, rtol=1e-3)
    with pytest.raises(ValueError, match=r"from 0 to 0\.48 cannot be kept to the digits of its format"):
        small_numbers([0.48, 0.0, 1e-7], **how)


def test_a_number_that_needs_no_more_is_stored_in_equal_steps():
    explorer = small_numbers([0.48, 0.01, 0.0], summary="It ends at {end:.2f}.")
    assert not any(entry.log for entry in explorer._entries)
    with pytest.raises(ValueError, match="write fewer digits"):
        small_numbers([0.48, 0.01, 0.0], summary="It ends at {end:.9f}.")


def test_a_number_that_never_changes_is_stored_as_it_is():
    kept = lookup(small_numbers([0.2371] * 3, summary="It ends at {end:.4f}."))["end"].ravel()
    assert np.array_equal(kept, [0.2371] * 3)


def test_whole_numbers_on_a_log_axis_keep_their_place():
    explorer = Explorer(
        lambda a: {"n": [5, 50, 200, 1000], "y": [a, 2, 3, 4]},
        controls=[Slider("a", [1.0, 2.0])],
        view=Panel(Lines("n", "y"), xscale="log"),
        title="Sizes",
        alt="A line.",
    )
    assert np.allclose(lookup(explorer)["n"][0], [5, 50, 200, 1000], rtol=1e-3)


def test_repeated_rows_cost_nothing():
    row = np.random.default_rng(0).normal(size=(1, 5000))
    entry = [table.Entry("y", (5000,), False, False)]
    once, many = (table.pack(entry, {"y": np.repeat(row, n, 0)})[0] for n in (1, 500))
    assert len(many) < len(once) + 100


def test_the_table_equals_compute_at_every_grid_point(all_samples):
    for name, explorer in all_samples.items():
        back = lookup(explorer)
        for entry in explorer._entries:
            for n, params in enumerate(explorer.points):
                want, found = explorer.at(params)[entry.name], back[entry.name][n]
                if entry.log:
                    want, found = np.log10(want), np.log10(found)
                whole = explorer._columns[entry.name]
                whole = np.log10(whole) if entry.log else whole
                step = np.ptp(whole[~np.isnan(whole)]) / (table.COARSE if entry.coarse else table.LEVELS)
                gap = np.isnan(want)
                assert np.array_equal(gap, np.isnan(found)), (name, entry.name, params)
                assert np.all(np.abs(found - want)[~gap] <= 0.51 * step + 1e-12), (name, entry.name, params)


def test_controls_without_effect_are_computed_once_at_their_default():
    seen = []

    def compute(kind, a):
        seen.append((kind, a))
        return {"t": T, "y": a * T}

    explorer = lines(compute, [Choice("kind", ["x", "y"]), Slider("a", [1, 2, 3], enabled_when={"kind": "y"})])
    assert seen == [("x", 2), ("y", 1), ("y", 2), ("y", 3)]
    explorer.at({"kind": "x", "a": 3})
    assert seen[-1] == ("x", 2)


def test_a_frames_slider_is_not_a_parameter():
    explorer = lines(
        lambda a: {"t": T, "y": np.outer([1, 2, 3], a * T), "end": T},
        [Slider("a", [1, 2]), Slider("s", [0, 1, 2], frames=True)],
        Lines("t", ["y", "end"], over="s"),
    )
    assert len(explorer.points) == 2
    with pytest.raises(ValueError, match="has 2 along F, 's' has 3"):
        lines(
            lambda a: {"t": T, "y": np.outer([1, 2], a * T)},
            [Slider("a", [1, 2]), Slider("s", [0, 1, 2], frames=True)],
            Lines("t", "y", over="s"),
        )


def test_tensors_are_taken_without_importing_torch_here():
    def compute(a):
        y = torch.full((2, 3), float(a), dtype=torch.bfloat16, requires_grad=True)
        return {"t": torch.arange(3), "y": y}

    assert lines(compute, [Slider("a", [1, 2])]).at({"a": 2})["y"].tolist() == [[2.0] * 3] * 2
