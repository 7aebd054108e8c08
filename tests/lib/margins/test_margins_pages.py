"""The page's flow and its largest margin are the library's, on the chapter's classes and on drawn ones."""

import math

import numpy as np
import page_functions
import pytest
import torch

from implicitly import margins
from implicitly.explorer import compiled
from implicitly.figures import implicit_bias_multiclass as figures
from implicitly.margins import pages

F64 = torch.float64
LOSSES = ("cross-entropy", "polynomial")
#: Of W, as a share of its norm, and of angles in degrees: what steps of a quarter of ln(time) leave.
CLOSE, DEGREES = 1e-4, 1e-3


def data_of(found):
    X = np.column_stack([found["points"], np.ones(14)])
    return torch.tensor(X), torch.tensor(found["labels"])


def holds(found, log_time, loss):
    """Whether the page shows the library's flow, SVM, borders and angles of its data."""
    X, y = data_of(found)
    svm = margins.hard_margin_svm(X, y, 3)
    end = max(log_time, 0.0)
    times = [*np.arange(0, end, 2), end]
    flow = margins.log_time_flow(margins.constraints(X, y, 3), loss, times, classes=3).reshape(-1, 3, 3)
    W, angles = flow[-1], margins.angle(flow, svm.W).numpy()
    where = np.linspace(-2.4, 2.4, 97)
    middle = (where[1:] + where[:-1]) / 2
    cells = np.stack([*np.meshgrid(middle, middle), np.ones((96, 96))], -1)
    scores = cells @ W.numpy().T
    lead = np.diff(np.sort(scores, -1))[..., -1]  # where it is not small, one class is right
    sure = lead > 10 * CLOSE * np.linalg.norm(W)
    shown = len(times)
    return (
        np.abs(found["best"] - svm.W.numpy()).max() < 1e-9 * svm.norm
        and np.linalg.norm(found["W"] - W.numpy()) < CLOSE * np.linalg.norm(W)
        and np.array_equal(found["clock"][:shown], times)
        and np.abs(found["angle"][:shown] - angles).max() < DEGREES
        and found["last"] == found["angle"][shown - 1]
        and np.isnan(found["clock"][shown:]).all()
        and np.isnan(found["angle"][shown:]).all()
        and np.allclose(found["borders"], figures.borders(svm.W), atol=1e-9, equal_nan=True)
        and (found["regions"] == scores.argmax(-1))[sure].all()
        and sure.mean() > 0.95
        and found["wrong"] == (X @ torch.tensor(found["W"]).T).argmax(1).ne(y).sum()
    )


TURNING = pages.turning.bind(**pages.sketched_points())


def settings():
    rng = np.random.default_rng(8)
    drawn = [(float(rng.uniform(0, 60)), LOSSES[k % 2], int(rng.integers(2**31))) for k in range(12)]
    ends = [(log_time, loss, 0) for log_time in (0.0, 10.0, 60.0) for loss in LOSSES]
    return [*ends, *drawn]


@pytest.mark.parametrize(("log_time", "loss", "seed"), settings())
def test_the_flow_is_the_library_s(log_time, loss, seed):
    assert holds(TURNING(log_time=log_time, loss=loss, seed=seed), log_time, loss)


@pytest.mark.parametrize(
    ("old", "new", "loss"),
    [
        ("time * share", "0.99 * time * share", "cross-entropy"),  # another force
        ("/ ratio", "/ (ratio + 0.1)", "cross-entropy"),  # an extrapolation that is none
        ("time / (reach * reach)", "time / reach", "polynomial"),  # another tail
    ],
)
def test_a_planted_fault_in_the_flow_is_seen(old, new, loss, monkeypatch):
    found = planted(old, new, monkeypatch)(log_time=12.0, loss=loss, seed=5)
    assert holds(TURNING(log_time=12.0, loss=loss, seed=5), 12.0, loss) and not holds(found, 12.0, loss)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("slope > most", "slope > most + 1e-2"),  # a support that ends too early
        ("best[k] += b[n] * z[i, k]", "best[k] += u[i] * z[i, k]"),  # not the duals
        ("-b, a) if a * e", "b, -a) if a * e"),  # the ray's other end
    ],
)
def test_a_planted_fault_in_the_largest_margin_is_seen(old, new, monkeypatch):
    wrong = planted(old, new, monkeypatch)
    now = [{"log_time": 1.0, "loss": "cross-entropy", "seed": seed} for seed in range(4)]
    assert not all(holds(wrong(**n), 1.0, "cross-entropy") for n in now)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_slope_is_the_risk_s_second_derivative(loss):
    """The steps need it to be stable, and are of the same order with a wrong one: the flow would not tell."""
    rng = np.random.default_rng(2)
    x, labels, w, s = rng.normal(size=(14, 3)), rng.integers(0, 3, 14).astype(float), rng.normal(size=9), 1.5
    x[:, 2] = 1
    pull, slope, score, force, curve = np.zeros(9), np.zeros((9, 9)), np.zeros(3), np.zeros(3), np.zeros((3, 3))
    pages._forces(w, s, LOSSES.index(loss), x, labels, pull, slope, score, force, curve, True)

    def risk(flat):
        return margins.log_risk(flat.reshape(3, 3), torch.tensor(x), torch.tensor(labels).long(), loss).exp()

    at = torch.tensor(w)
    gradient = torch.autograd.functional.jacobian(risk, at).numpy()
    assert pull == pytest.approx(-math.exp(s) * gradient, rel=1e-9, abs=1e-12)
    wanted = math.exp(s) * torch.autograd.functional.hessian(risk, at).numpy()
    assert np.abs(slope - wanted).max() < 1e-9 * np.abs(wanted).max()


def planted(old, new, monkeypatch):
    """The page function with another source, in plain Python, which is sooner done than compiling."""
    names = page_functions.planted(pages, old, new)
    monkeypatch.setattr(compiled, "_compiled", lambda function, kinds, dims: function)
    return names["turning"].bind(**pages.sketched_points())


def test_the_largest_margin_of_many_data_sets():
    for seed in range(100):
        found = TURNING(log_time=0.0, loss="polynomial", seed=seed)
        svm = margins.hard_margin_svm(*data_of(found), 3)
        assert np.abs(found["best"] - svm.W.numpy()).max() < 1e-9 * svm.norm, seed


def test_set_0_is_the_chapter_s():
    """Its points, and what the question says of gradient descent: a million steps of 0.02."""
    X, y = margins.sketch_classes("nearly touching")
    found = TURNING(log_time=math.log(20_000), loss="cross-entropy", seed=0)
    assert np.array_equal(found["points"], X[:, :2]) and np.array_equal(found["labels"], y)
    million = margins.descend(X, y, "cross-entropy", at=[10**6], step_size=0.02)
    svm = margins.hard_margin_svm(X, y, 3)
    assert found["last"] == pytest.approx(float(margins.angle(million.W[0, 0], svm.W)), abs=0.001)
    for loss in LOSSES:
        assert all(TURNING(log_time=s, loss=loss, seed=0)["wrong"] == 0 for s in (0.0, 10.0, 60.0))


def test_drawn_classes_fill_a_square_and_can_be_told_apart():
    X = np.stack([TURNING(log_time=0.0, loss="polynomial", seed=seed)["points"] for seed in range(1, 300)])
    assert np.abs(X).max() <= 2 and len(np.unique(X)) == X.size
    assert np.abs(X.mean((0, 1))).max() < 5 * 2 / math.sqrt(3 * len(X))  # their classes turn with the seed
    assert all((margins.hard_margin_svm(*data_of(TURNING(log_time=0.0, loss="polynomial", seed=seed)), 3).norm) < 12
               for seed in range(1, 40))  # fmt: skip


def test_a_time_past_the_end_is_the_end():
    for loss in LOSSES:
        last = TURNING(log_time=60.0, loss=loss, seed=3)
        beyond = TURNING(log_time=1e300, loss=loss, seed=3)
        assert all(np.array_equal(last[k], beyond[k], equal_nan=True) for k in last)
        assert TURNING(log_time=-5.0, loss=loss, seed=3)["clock"][0] == 0
