"""The hard-margin SVM against exact cases and another algorithm; its certificate; the flow and the polynomial limit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from implicitly import margins
from implicitly.margins import constraints, hard_margin_svm
from implicitly.margins.svm import _certified


def simplex(K):
    return torch.eye(K, dtype=torch.float64), torch.arange(K)


def least_distance(Z):
    """The SVM by non-negative least squares (Lawson and Hanson's least-distance programming)."""
    E = np.vstack([Z.T, np.ones(len(Z))])
    f = np.zeros(len(E))
    f[-1] = 1.0
    v, _ = nnls(E, f)
    r = E @ v - f
    return -r[:-1] / r[-1], v / -r[-1]


def test_constraints_are_relative_margins():
    X, y = margins.teacher_classes(6, 3, 4, seed=0)
    W = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    u = margins.relative_margins(X @ W.T, y)
    assert torch.allclose(constraints(X, y, 4) @ W.reshape(-1), u.reshape(-1), atol=1e-12)
    assert torch.allclose(constraints(X, y, 4).square().sum(1), 2 * X.square().sum(1).repeat_interleave(3))


@pytest.mark.parametrize("K", [2, 3, 6])
def test_simplex_in_closed_form(K):
    svm = hard_margin_svm(*simplex(K))
    assert torch.allclose(svm.W, torch.eye(K, dtype=torch.float64) - 1 / K, atol=1e-10)
    assert torch.allclose(svm.alpha, torch.full((K, K - 1), 1 / K, dtype=torch.float64), atol=1e-10)
    assert svm.generic and svm.support.all() and svm.norm**2 == pytest.approx(K - 1)


@pytest.mark.parametrize("size", [(30, 5, 3), (10, 2, 3), (40, 8, 4), (60, 6, 2)])
@pytest.mark.parametrize("seed", range(3))
def test_against_least_distance_programming(size, seed):
    N, d, K = size
    X, y = margins.teacher_classes(N, d, K, seed=seed)
    svm = hard_margin_svm(X, y, K)
    W, alpha = least_distance(constraints(X, y, K).numpy())
    assert np.abs(svm.W.reshape(-1).numpy() - W).max() < 1e-8 * svm.norm
    assert np.abs(svm.alpha.reshape(-1).numpy() - alpha).max() < 1e-6 * alpha.max()
    assert svm.flaw < 1e-10


def test_certificate_sees_a_wrong_answer():
    X, y = margins.teacher_classes(10, 2, 3, seed=0)
    svm = hard_margin_svm(X, y)
    Z, w, a = constraints(X, y).numpy(), svm.W.reshape(-1).numpy(), svm.alpha.reshape(-1).numpy()
    flaw = lambda w, a: _certified(Z, w, a)[-1]  # noqa: E731
    assert flaw(w, a) < 1e-10
    assert flaw(1.001 * w, a) > 1e-5  # feasible, not shortest
    assert flaw(0.999 * w, a) > 1e-5  # infeasible
    assert flaw(w, np.roll(a, 1)) > 1e-3
    assert flaw(w, np.where(a > 0, a, -1e-3)) > 1e-5


def test_scale_of_the_data():
    X, y = margins.teacher_classes(10, 2, 3, seed=1)
    one, big = hard_margin_svm(X, y), hard_margin_svm(100 * X, y)
    assert torch.allclose(big.W, one.W / 100, rtol=1e-8, atol=1e-12)
    assert torch.allclose(big.alpha, one.alpha / 1e4, rtol=1e-6, atol=1e-14)
    assert big.rate == pytest.approx(one.rate, rel=1e-6)


def test_not_separable_is_refused():
    X, y = margins.teacher_classes(10, 2, 3, seed=0)
    both = torch.cat([X, X[:1]]), torch.cat([y, (y[:1] + 1) % 3])
    with pytest.raises(ValueError, match="must be separable"):
        hard_margin_svm(*both)
    with pytest.raises(ValueError, match="every point is 0"):
        hard_margin_svm(0 * X, y)


def test_duplicates_are_not_generic():
    X, y = margins.teacher_classes(10, 2, 3, seed=2)
    svm = hard_margin_svm(X, y)
    i = int(svm.alpha.sum(1).argmax())
    again = hard_margin_svm(torch.cat([X, X[i : i + 1]]), torch.cat([y, y[i : i + 1]]))
    assert svm.generic and not again.generic
    assert torch.allclose(again.W, svm.W, atol=1e-6)


def test_polynomial_limit_of_the_simplex():
    """V = v (I - 11'/K): the margins are all v, and -K(K-1)/v**2 + (K-1) v = 0."""
    K = 4
    V = margins.polynomial_limit(*simplex(K))
    ideal = K ** (1 / 3) * (torch.eye(K, dtype=torch.float64) - 1 / K)
    assert torch.allclose(V, ideal, atol=1e-9)


def test_polynomial_limit_is_stationary():
    X, y = margins.teacher_classes(30, 5, 3, seed=1)
    V, Z = margins.polynomial_limit(X, y).reshape(-1), constraints(X, y)
    assert torch.allclose(V, Z.T @ (Z @ V) ** -2, atol=1e-9)


def test_flow_of_the_simplex_in_closed_form():
    """exp(r) + (K-1) r = K t + 1 for the cross-entropy from zero (exercise ex-implicit-bias-multiclass-ode)."""
    K = 5
    X, y = simplex(K)
    W = margins.log_time_flow(constraints(X, y), "cross-entropy", [0.0, 3.0, 30.0], classes=K)
    for s, w in zip([0.0, 3.0, 30.0], W, strict=True):
        r = K / (K - 1) * w.reshape(K, K)[0, 0].item()
        assert np.log(np.exp(r) + (K - 1) * r - 1) == pytest.approx(np.log(K) + s, abs=1e-5)


def test_angles():
    A = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    B = torch.tensor([[0.0, 5.0], [0.0, 0.0]], dtype=torch.float64)
    assert margins.angle(A, B).item() == pytest.approx(90.0)
    assert margins.angle(A, 3 * A).item() == 0
    assert margins.direction_error(A, B).item() == pytest.approx(2**0.5)


def test_relative_margin_of_the_svm_is_one():
    X, y = margins.teacher_classes(30, 5, 3, seed=0)
    svm = hard_margin_svm(X, y)
    assert margins.relative_margin(7 * svm.W, X, y, svm).item() == pytest.approx(1.0)
    bent = svm.W + 0.1 * torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert margins.relative_margin(bent, X, y, svm).item() < 1


def test_rate_of_the_simplex():
    """<z_a, z_b> on the simplex: each eigenvalue times 1/K; the flow settles like time**-rate."""
    X, y = simplex(4)
    svm = hard_margin_svm(X, y)
    modes = margins.settling_modes(svm, constraints(X, y))
    gram = constraints(X, y) @ constraints(X, y).T / 4
    assert torch.allclose(modes.rates, torch.linalg.eigvalsh(gram), atol=1e-9)
    assert svm.rate == pytest.approx(modes.rates[0].item(), abs=1e-9)


def test_residual_of_the_simplex():
    """All margins ln K: W~ = ln(K) What (exercise ex-implicit-bias-multiclass-ode), along What: an exact direction."""
    X, y = simplex(4)
    svm, Z = hard_margin_svm(X, y), constraints(X, y)
    W = margins.residual_limit(svm, Z).reshape(4, 4)
    assert svm.spans  # 12 independent constraints in the 3 * 4 directions there are
    assert margins.direction_constant(svm, Z) < 1e-9
    assert torch.allclose(W, np.log(4) * svm.W, atol=1e-9)


def test_step_factor():
    X, y = simplex(3)
    svm = hard_margin_svm(X, y)  # |What|**2 = 2, b = 2
    assert margins.step_factor(X, svm, normalized=0.5) == pytest.approx(0.125 / np.expm1(0.125))
    assert margins.step_factor(X, svm) == pytest.approx(0.25 / np.expm1(0.25))
    with pytest.raises(ValueError, match="normalized must be finite and above 0"):
        margins.step_factor(X, svm, normalized=0.0)


def test_direction_constant_is_the_flows():
    X, y = margins.teacher_classes(10, 2, 3, seed=0)
    svm, Z = hard_margin_svm(X, y), constraints(X, y)
    assert svm.spans
    W = margins.log_time_flow(Z, "exponential", [1000.0], classes=3).reshape(3, 2)
    error = margins.direction_error(W, svm.W).item()
    assert 1000 * error == pytest.approx(margins.direction_constant(svm, Z), rel=1e-3)
    with pytest.raises(ValueError, match="Z must have shape"):
        margins.residual_limit(svm, Z[:-1])


def test_mirror_use_needs_steps():
    X, y = margins.teacher_classes(10, 2, 3, seed=0)
    svm = hard_margin_svm(X, y)
    for at in ([0, 4], [1]):
        path = margins.descend(X, y, "exponential", at=at, normalized=1.0)
        with pytest.raises(ValueError, match="path must start after step 1"):
            margins.mirror_use(path, X, svm, normalized=1.0)


def two_points():
    """x = (2, 0) and (0, 2): b = 2 * 4, |What|**2 = 1/4, two constraints."""
    X, y = 2 * torch.eye(2, dtype=torch.float64), torch.arange(2)
    svm = hard_margin_svm(X, y)
    assert svm.norm == pytest.approx(0.5)
    return X, y, svm


def path_of(steps, W, log_time):
    log_time = torch.tensor(log_time, dtype=torch.float64)[:, None]
    return margins.Path(steps, torch.stack(W)[:, None], log_time, torch.zeros_like(log_time))


def test_mirror_use_by_hand():
    X, _, svm = two_points()
    h = 0.5 / 8
    aside = torch.tensor([[0.06, 0.0], [0.0, 0.08]], dtype=torch.float64)  # of length 0.1
    W = [h * n * (svm.W / 0.25 + aside) for n in (1, 3)]
    found = margins.mirror_use(path_of((1, 3), W, [-5.0, -4.0]), X, svm, normalized=0.5)
    assert found.direction == pytest.approx(0.1 / np.sqrt(2 * np.log(2) / (3 * h)))
    assert found.clock == pytest.approx((2 * h / 0.25 - np.log(2 / h) + 4) / np.sqrt(2 * 8 * 2 * h * np.log(2)))


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_dual_errors_by_hand(factor):
    """From the limits a step of 0.1 What: it takes each force times exp(-0.1)."""
    X, y, svm = two_points()
    limit = margins.residual_limit(svm, constraints(X, y), factor=factor).reshape(2, 2)
    W = [(s + more) * svm.W + limit for s, more in ((2.0, 0.1), (30.0, 0.0))]
    found = margins.dual_errors(path_of((1, 3), W, [2.0, 30.0]), X, y, "exponential", svm, factor=factor)
    assert found.duals == pytest.approx([factor * (1 - np.exp(-0.1)), 0], abs=1e-9)
    assert found.residual == pytest.approx([0.1, 0], abs=1e-9)


def test_margin_constants_by_hand():
    X, y, svm = two_points()
    W = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    unequal = replace(svm, alpha=torch.tensor([[0.3], [0.1]], dtype=torch.float64))
    kappa, gap = margins.margin_constants(path_of((1,), [W], [0.0]), X[None], y[None], [unequal])
    assert kappa.item() == pytest.approx(np.log(0.3) - 0.75 * np.log(0.3) - 0.25 * np.log(0.1))
    assert gap.item() == pytest.approx(1 / 0.5 - 0)  # the second sample has margin 0


def test_borders_of_three_symmetric_classes():
    from implicitly.figures.implicit_bias_multiclass import borders

    angles = np.pi / 2 + 2 * np.pi / 3 * np.arange(3)
    rays = borders(np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1))
    assert rays.shape == (3, 2, 2) and np.abs(rays[:, 0]).max() < 1e-12
    assert np.allclose(np.abs(rays[:, 1]).max(1), 2.4)  # from the middle to the edge of the box
    with pytest.raises(ValueError, match=r"W must have shape \(3, 3\)"):
        borders(np.zeros((4, 3)))


# --- the edges --------------------------------------------------------------------------------------------------------


def test_one_sample():
    """x = (3, 4) of two classes: What = (x, -x) / (2 |x|**2), alpha = 1 / (2 |x|**2), and V along it."""
    X, y = torch.tensor([[3.0, 4.0]], dtype=torch.float64), torch.tensor([0])
    svm = hard_margin_svm(X, y)
    assert torch.allclose(svm.W, torch.cat([X, -X]) / 50) and svm.alpha.item() == pytest.approx(1 / 50)
    assert svm.generic and svm.rate == pytest.approx(1.0)
    # V = s What has |V|**2 / 2 = s**2 / 100 and margin s: stationary at s**3 = 50
    assert torch.allclose(margins.polynomial_limit(X, y), 50 ** (1 / 3) * svm.W, rtol=1e-9)
    path = margins.descend(X, y, "exponential", at=[1, 4], normalized=1.0)
    kappa, gap = margins.margin_constants(path, X[None], y[None], [svm])
    assert kappa.item() == pytest.approx(0, abs=1e-12) and gap.abs().max() < 1e-12
    with pytest.raises(ValueError, match="svm must have at least 2 constraints, found 1"):
        margins.mirror_use(path, X, svm, normalized=1.0)


def test_one_class_is_refused_and_one_label_is_not():
    X, y = torch.tensor([[1.0, 1.0], [2.0, 2.0]], dtype=torch.float64), torch.tensor([1, 1])
    with pytest.raises(ValueError, match="K must be at least 2, found 1"):
        hard_margin_svm(X, y, 1)
    svm = hard_margin_svm(X, y)
    assert torch.allclose(svm.W, torch.tensor([[-0.25, -0.25], [0.25, 0.25]], dtype=torch.float64))


@pytest.mark.parametrize("size", [1e-60, 1e5, 1e60])
def test_data_of_any_size(size):
    X, y = margins.teacher_classes(10, 2, 3, seed=0)
    one, other = hard_margin_svm(X, y), hard_margin_svm(size * X, y)
    assert torch.allclose(size * other.W, one.W, rtol=1e-9) and one.generic and other.generic
    V = margins.polynomial_limit(X, y)  # V scales as size**(-1/3)
    assert torch.allclose(size ** (1 / 3) * margins.polynomial_limit(size * X, y), V, rtol=1e-9)


def test_no_polynomial_limit_of_data_that_no_line_parts():
    X, y = torch.tensor([[1.0], [2.0]], dtype=torch.float64), torch.tensor([0, 1])
    for K in (2, 3):
        with pytest.raises(ValueError, match="X, y must be separable, found no W"):
            margins.polynomial_limit(X, y, K)


def test_angles_from_0_to_180():
    W = torch.randn(50, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert (margins.angle(W, -3 * W) - 180).abs().max() < 1e-12
    assert margins.angle(W, 3 * W).max() < 1e-12
    turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    near = torch.eye(2, dtype=torch.float64) + 1e-9 * turn  # an angle of atan(1e-9)
    assert margins.angle(near, torch.eye(2, dtype=torch.float64)).item() == pytest.approx(np.rad2deg(1e-9), rel=1e-6)
    assert margins.angle(-near, near - 1e-9 * turn).item() == pytest.approx(180 - np.rad2deg(1e-9), rel=1e-14)
    for call in (margins.angle, margins.direction_error):
        with pytest.raises(ValueError, match="W must not be 0, found a matrix without direction"):
            call(0 * W, W)
        with pytest.raises(ValueError, match="W and target must agree in dtype and shape"):
            call(W, W[:1])


def test_margin_of_no_weights_is_refused():
    X, y = margins.teacher_classes(10, 2, 3, seed=0)
    with pytest.raises(ValueError, match="W must not be 0, found a matrix without direction"):
        margins.relative_margin(torch.zeros(3, 2, dtype=torch.float64), X, y, hard_margin_svm(X, y))


def test_step_factor_from_short_steps_to_long():
    X, y = simplex(3)
    svm = hard_margin_svm(X, y)  # Delta = f / 4
    assert margins.step_factor(X, svm, normalized=1e-300) == margins.step_factor(X, svm, normalized=5e-324) == 1
    assert margins.step_factor(X, svm, normalized=1e300) == 0
    assert margins.step_factor(X, svm, normalized=2840.0) == pytest.approx(710 * np.exp(-710), rel=1e-9)


def test_flow_at_its_ends():
    X, y = margins.teacher_classes(10, 2, 3, seed=0)
    Z, svm = constraints(X, y), hard_margin_svm(X, y)
    late = margins.log_time_flow(Z, "exponential", [1e6], classes=3)
    assert late.norm().item() == pytest.approx(1e6 * svm.norm, rel=1e-6)
    for times in ([-12.0], [1e7]):
        with pytest.raises(ValueError, match=r"log_times\[0\] must be finite and above -12 and at most 1e\+06"):
            margins.log_time_flow(Z, "exponential", times, classes=3)
    with pytest.raises(ValueError, match=r"log_times must increase, found \(2.0, 1.0\)"):
        margins.log_time_flow(Z, "exponential", [2.0, 1.0], classes=3)
    with pytest.raises(ValueError, match=r"Z must have 2 rows a sample for 3 classes, found shape \(19, 6\)"):
        margins.log_time_flow(Z[:-1], "exponential", [1.0], classes=3)


def test_no_limits_without_generic_data():
    """Two points of one label: a zero dual, whose logarithm is not finite. What needs no logarithm has its limit."""
    X, y = torch.tensor([[1.0, 0], [1, 1]], dtype=torch.float64), torch.tensor([0, 0])
    svm, Z = hard_margin_svm(X, y, 2), constraints(X, y, 2)
    path = margins.descend(X, y, "exponential", at=[1, 9], classes=2, normalized=1.0)
    for call in (
        lambda: margins.residual_limit(svm, Z),
        lambda: margins.dual_errors(path, X, y, "exponential", svm),
    ):
        with pytest.raises(ValueError, match="svm must be of generic data, found zero duals"):
            call()
    kappa, _ = margins.margin_constants(path, X[None], y[None], [svm])
    assert kappa.item() == pytest.approx(0, abs=1e-6)  # one dual carries all the weight
    assert margins.settling_modes(svm, Z).rates.min().item() == pytest.approx(0, abs=1e-6)


def test_a_run_from_step_0_has_no_forces_there():
    X, y = margins.teacher_classes(10, 2, 3, seed=0)
    path = margins.descend(X, y, "exponential", at=[0, 4], normalized=1.0)
    with pytest.raises(ValueError, match=r"path must start after step 1 or later, found \(0, 4\)"):
        margins.dual_errors(path, X, y, "exponential", hard_margin_svm(X, y))


def test_a_solution_is_checked():
    svm = hard_margin_svm(*simplex(3))
    with pytest.raises(ValueError, match=r"alpha must have shape \(N, 2\), found \(3, 1\)"):
        replace(svm, alpha=svm.alpha[:, :1])
    with pytest.raises(ValueError, match="W must not be 0"):
        replace(svm, W=0 * svm.W)
    with pytest.raises(TypeError, match="independent must be True or False, found str 'no'"):
        replace(svm, independent="no")
