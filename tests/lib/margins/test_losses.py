"""PERM losses against torch's own, gradient descent against autograd, and what they refuse."""

import math
import pickle
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from implicitly import data, margins
from implicitly.margins import LOSSES, PermLoss, descend, relative_margins

TAILED = ("cross-entropy", "exponential", "pairlog")


def draw(*shape, seed=0, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def problem():
    return margins.teacher_classes(12, 3, 4, seed=1)


def test_relative_margins_in_order():
    scores, y = torch.tensor([[5.0, 1.0, 2.0], [0.0, 3.0, 7.0]]), torch.tensor([0, 1])
    assert relative_margins(scores, y).tolist() == [[4.0, 3.0], [3.0, -4.0]]
    assert relative_margins(scores.expand(4, 2, 3), y).shape == (4, 2, 2)


def test_cross_entropy_is_torchs(problem):
    X, y = problem
    W = draw(4, 3)
    ours = LOSSES["cross-entropy"].psi(relative_margins(X @ W.T, y))
    theirs = torch.nn.functional.cross_entropy(X @ W.T, y, reduction="none")
    assert torch.allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@given(st.integers(2, 6), st.floats(0.1, 5.0), st.integers(0, 1000))
def test_weights_are_minus_the_derivatives(name, K, scale, seed):
    u = draw(4, K - 1, seed=seed, scale=scale).requires_grad_()
    loss = LOSSES[name]
    (slope,) = torch.autograd.grad(loss.psi(u).sum(), u)
    assert torch.allclose(-slope, loss.log_weights(u).exp(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_template_is_symmetric_and_decreasing(name):
    u = draw(50, 3, scale=2.0)
    loss = LOSSES[name]
    assert torch.allclose(loss.psi(u), loss.psi(u.flip(1)), rtol=1e-12)
    assert (loss.psi(u + 0.1) < loss.psi(u)).all()


@pytest.mark.parametrize("name", TAILED)
def test_logarithms_where_exponentials_underflow(name):
    u = torch.tensor([[900.0, 900.0]], dtype=torch.float64)
    assert LOSSES[name].log_psi(u).item() == pytest.approx(math.log(2) - 900, rel=1e-14)
    assert LOSSES[name].log_weights(u)[0, 0].item() == pytest.approx(-900, rel=1e-14)


def test_losses_are_seamless_where_a_formula_changes():
    """Cross-entropy of two classes against the plain formula, around the margins -30 to 30."""
    u = torch.cat([torch.linspace(c - 1, c + 1, 41, dtype=torch.float64) for c in (-30, -20, 20, 30)])
    loss, risk = LOSSES["cross-entropy"], torch.log1p((-u).exp())
    torch.testing.assert_close(loss.log_psi(u[:, None]), risk.log(), rtol=1e-14, atol=0)
    torch.testing.assert_close(loss.log_weights(u[:, None])[:, 0], -u - risk, rtol=1e-14, atol=1e-13)


@pytest.mark.parametrize("name", LOSSES)
def test_a_step_is_the_gradients(name, problem):
    X, y = problem
    W = draw(4, 3, scale=0.3)
    leaf = W.clone().requires_grad_()
    (slope,) = torch.autograd.grad(margins.log_risk(leaf, X, y, name).exp(), leaf)
    path = descend(X, y, name, at=[0, 1], step_size=0.01, start=W)
    assert torch.allclose(path.W[1, 0], W - 0.01 * slope, rtol=1e-12, atol=1e-14)
    assert path.log_time[0, 0] == -math.inf and path.log_time[1, 0].exp().item() == pytest.approx(0.01)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("rule", [{"step_size": 0.01}, {"normalized": 0.7}])
def test_kernel_and_generic_loop_agree(name, rule, problem):
    own = PermLoss("copy", *[getattr(LOSSES[name], f) for f in ("log_psi", "log_weights", "log_curvature")])
    fast, slow = (descend(*problem, loss, at=[1, 50, 200], **rule) for loss in (name, own))
    for a, b in ((fast.W, slow.W), (fast.log_time, slow.log_time), (fast.log_risk, slow.log_risk)):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


def test_batch_is_each_by_itself():
    sets = [margins.teacher_classes(8, 2, 3, seed=s) for s in range(3)]
    X, y = (torch.stack(part) for part in zip(*sets, strict=True))
    steps = torch.tensor([0.01, 0.02, 0.03], dtype=torch.float64)
    together = descend(X, y, "pairlog", at=[10, 100], classes=3, step_size=steps)
    for b, (part, eta) in enumerate(zip(together.split(), steps.tolist(), strict=True)):
        alone = descend(*sets[b], "pairlog", at=[10, 100], classes=3, step_size=eta)
        assert torch.allclose(together.W[:, b], alone.W[:, 0], rtol=1e-12)
        assert part.steps == (10, 100) and part.W.is_contiguous()
        for name in ("W", "log_time", "log_risk"):
            assert torch.allclose(getattr(part, name), getattr(alone, name), rtol=1e-12)


def test_path_interpolates_in_log_time(problem):
    path = descend(*problem, "cross-entropy", at=range(0, 201, 10), normalized=1.0)
    clock = path.log_time[:, 0]
    assert torch.allclose(path.at(clock[3:6], problem=0), path.W[3:6, 0], rtol=1e-12)
    middle = path.at([(clock[7] + clock[8]).item() / 2])[0, 0]
    assert torch.allclose(middle, (path.W[7, 0] + path.W[8, 0]) / 2, rtol=1e-9)
    with pytest.raises(ValueError, match="log_times must lie between"):
        path.at([clock[-1].item() + 1])
    assert path.steps_around([(clock[7] + clock[8]).item() / 2]) == list(range(70, 81))
    with pytest.raises(ValueError, match="log_times must lie between"):
        path.steps_around([clock[-1].item() + 1])


def test_path_before_the_first_step_is_linear_in_time(problem):
    """Step 0 has ln(time) = -inf: a quarter of a step is W = 0 and a quarter of the way, not the whole step."""
    path = descend(*problem, "cross-entropy", at=[0, 1], step_size=0.02)
    quarter = descend(*problem, "cross-entropy", at=[1], step_size=0.005)
    assert torch.allclose(path.at([math.log(0.005)]), quarter.W, rtol=1e-12)
    assert path.at([-700.0]).abs().max() < 1e-250 and torch.equal(path.at(path.log_time[1]), path.W[1:])


def test_path_of_one_record(problem):
    path = descend(*problem, "cross-entropy", at=[7], step_size=0.02)
    assert torch.equal(path.at(path.log_time[0], problem=0)[0], path.W[0, 0])
    assert path.steps_around(path.log_time[0]) == [7]
    with pytest.raises(ValueError, match="problem must be at least 0, found -1"):
        path.at(path.log_time[0], problem=-1)


@pytest.mark.parametrize("name", TAILED)
@given(st.integers(2, 6), st.integers(0, 1000))
def test_lemma(name, K, seed):
    u = draw(20, K - 1, seed=seed, scale=3.0)
    psi, q = LOSSES[name].psi(u), (-u).exp()
    s = q.sum(1)
    assert (psi <= s * (1 + 1e-12)).all() and (psi >= s - s**2 / 2 - 1e-12).all()
    assert (psi >= 0.75 * q.clamp(max=0.5).amax(1) - 1e-12).all()


def test_data_are_what_they_say():
    X, y = margins.teacher_classes(20, 3, 4, seed=5)
    again = margins.teacher_classes(20, 3, 4, seed=5)
    assert X.dtype == torch.float64 and y.dtype == torch.int64 and torch.equal(X, again[0])
    X, y = data.digit_classes(40, seed=0)
    assert X.shape == (40, 65) and X.norm(dim=1).max() == pytest.approx(1.0) and set(y.tolist()) <= set(range(10))
    for name in margins.SKETCHES:
        X, y = margins.sketch_classes(name)
        assert X.shape == (14, 3) and (X[:, 2] == 1).all() and y.unique().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step_size": 1.0, "normalized": 1.0}, "exactly one"),
        ({}, "exactly one"),
        ({"step_size": -1.0}, "step_size must be above 0, found -1"),
        ({"step_size": 1.0, "at": [3, 2]}, "at must increase"),
        ({"step_size": 1.0, "at": []}, "at must hold at least 1 of whole numbers, found 0"),
        ({"step_size": 1.0, "loss": "hinge"}, "loss must be a PermLoss or one of"),
        ({"step_size": 1.0, "classes": 2}, "y must hold labels 0 to 1"),
    ],
)
def test_descend_refuses(change, message, problem):
    arguments = {"loss": "cross-entropy", "at": [1]} | change
    with pytest.raises(ValueError, match=message):
        descend(*problem, **arguments)


def test_wrong_data_are_refused(problem):
    X, y = problem
    with pytest.raises(TypeError, match="X must be float64, found float32"):
        descend(X.float(), y, "pairlog", at=[1], step_size=0.1)
    with pytest.raises(ValueError, match="X must be finite"):
        descend(X.clone().fill_(math.nan), y, "pairlog", at=[1], step_size=0.1)
    with pytest.raises(ValueError, match="y must have shape"):
        descend(X, y[:-1], "pairlog", at=[1], step_size=0.1)
    with pytest.raises(ValueError, match="y must hold labels"):
        descend(X, y - 1, "pairlog", at=[1], step_size=0.1)
    with pytest.raises(TypeError, match="y must be int64"):
        descend(X, y.double(), "pairlog", at=[1], step_size=0.1)
    with pytest.raises(ValueError, match="at most 10 columns"):
        margins.curvature_use("pairlog", draw(2, 11))
    with pytest.raises(ValueError, match="name must be one of"):
        margins.sketch_classes("odd")


# --- the edges --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
def test_losses_can_be_pickled(name):
    assert pickle.loads(pickle.dumps(LOSSES[name])) == LOSSES[name]


def test_smoothness_of_the_losses():
    assert [LOSSES[name].smoothness(6) for name in ("cross-entropy", "pairlog", "polynomial")] == [0.5, 1.5, 12]
    assert LOSSES["exponential"].smoothness is None


def test_a_gap_that_no_point_has_ends():
    with pytest.raises(ValueError, match=r"gap must be one that the teacher's scores have, found 1e\+300"):
        margins.teacher_classes(3, 2, 2, seed=0, gap=1e300)


@pytest.mark.parametrize("name", LOSSES)
def test_margins_in_one_row_may_be_far_apart(name):
    """psi and its slopes in float64 up to margins of 350 either way; beyond, a slope would underflow to 0."""
    for row in ([350.0, -350.0], [350.0, 350.0], [-350.0, -350.0]):
        assert margins.weights_error(name, torch.tensor([row], dtype=torch.float64)) < 1e-12
    with pytest.raises(ValueError, match="u must be at least -350 and at most 350, found 900"):
        margins.tail_violation(name, torch.full((1, 2), 900.0, dtype=torch.float64))


def test_two_classes():
    u = torch.tensor([[3.0]], dtype=torch.float64)
    assert margins.curvature_use("exponential", u) == pytest.approx(1.0)
    assert margins.score_curvature("cross-entropy", 2, draws=1) == pytest.approx(0.5)


def test_samples_at_zero():
    X, y = torch.zeros(2, 3, dtype=torch.float64), torch.tensor([0, 1])
    path = descend(X, y, "pairlog", at=[5], step_size=0.1)
    assert not path.W.any() and path.log_risk.item() == pytest.approx(math.log(2 * math.log(2)))
    with pytest.raises(ValueError, match="X must have a sample longer than 1e-100 for normalized steps, found 0"):
        descend(X, y, "pairlog", at=[5], normalized=1.0)


@pytest.mark.parametrize("loss", ["exponential", LOSSES["exponential"]])
def test_a_run_without_finite_numbers_says_so(loss, problem):
    X, y = problem
    wrong = torch.zeros(4, 3, dtype=torch.float64)
    wrong[y[0]] = -1e5 * X[0]
    with pytest.raises(RuntimeError, match="gradient descent left the finite numbers: lower step_size"):
        descend(X, y, loss, at=[1, 2, 3], step_size=1.0, start=wrong)


def test_a_loss_of_the_wrong_shape_is_refused(problem):
    with pytest.raises(ValueError, match=r"loss.log_psi must map shape \(2, 3, 3\) to \(2, 3\), found \(2, 3, 3\)"):
        descend(*problem, PermLoss("no sum", torch.neg, torch.neg), at=[1], step_size=0.1)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"at": [1.5]}, TypeError, r"at\[0\] must be a whole number, found float 1.5"),
        ({"at": [-1, 2]}, ValueError, r"at\[0\] must be at least 0, found -1"),
        ({"step_size": [0.1, 0.2]}, ValueError, r"step_size must be a number or have shape \(1,\), found \(2,\)"),
        ({"start": torch.zeros(3, 3).double()}, ValueError, r"start must have shape \(4, 3\) or \(1, 4, 3\)"),
        ({"classes": 1}, ValueError, "classes must be at least 2, found 1"),
        ({"loss": ["pairlog"]}, ValueError, "loss must be a PermLoss or one of"),
        ({"normalized": 1.0}, ValueError, "exactly one of step_size and normalized must be given, found both"),
    ],
)
def test_descend_refuses_edges(changes, error, words, problem):
    with pytest.raises(error, match=words):
        descend(*problem, **{"loss": "pairlog", "at": [1], "step_size": 0.1} | changes)


def test_labels_are_not_wrapped(problem):
    X, y = problem
    W = draw(4, 3)
    for bad in (y - 1, y + 1):
        with pytest.raises(ValueError, match="y must hold labels 0 to 3, found"):
            margins.log_risk(W, X, bad, "pairlog")
    with pytest.raises(ValueError, match=r"y must have shape \(12,\) or \(12,\), found \(1,\)"):
        relative_margins(X @ W.T, y[:1])


def test_a_path_is_checked(problem):
    path = descend(*problem, "pairlog", at=[0, 2], step_size=0.1)
    with pytest.raises(ValueError, match=r"steps must increase, found \(2, 0\)"):
        replace(path, steps=(2, 0))
    with pytest.raises(ValueError, match="log_time must be below infinity, found NaN or infinity"):
        replace(path, log_time=-path.log_time)
    with pytest.raises(ValueError, match="log_time of the path must not decrease, found a fall"):
        replace(path, log_time=path.log_time.flip(0)).at([0.0])


def test_few_digits_and_many():
    X, y = data.digit_classes(1, seed=0)  # centred, one row is its constant pixel
    assert X.norm() == 1 and not X[0, :-1].any() and y.shape == (1,)
    with pytest.raises(ValueError, match="N must be at most 1797, found 1798"):
        data.digit_classes(1798, seed=0)
