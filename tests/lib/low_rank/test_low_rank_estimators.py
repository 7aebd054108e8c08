"""`implicitly.low_rank`: probabilities, sampling, estimators and their errors, against exact cases and solvers."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from implicitly import low_rank

F64 = torch.float64


def dice(seed):
    return torch.Generator().manual_seed(seed)


def spectrum(*values):
    return torch.tensor(values, dtype=F64)


POWER = 1 / torch.arange(1, 33, dtype=F64)
SPECTRA = [
    (spectrum(5, 2, 1, 1, 0.5, 0.2), 3),
    (spectrum(3, 1), 1),
    (torch.ones(8, dtype=F64), 3),
    (POWER[:12], 5),
    (POWER[:12].square(), 4),
    (spectrum(100, 1, 1, 1, 1), 2),
    (spectrum(2, 2, 1, 1), 2),
    (spectrum(4, 3, 2, 1), 3),
]


def by_solver(sigma, r):
    """The least of sum sigma^2 / p with sum p = r and p at most 1, by SLSQP."""
    s = sigma.numpy()
    found = minimize(lambda p: (s**2 / p).sum(), np.full(len(s), r / len(s)), jac=lambda p: -(s**2) / p**2,
                     bounds=[(1e-6, 1)] * len(s), constraints={"type": "eq", "fun": lambda p: p.sum() - r,
                                                               "jac": lambda p: np.ones(len(s))},
                     method="SLSQP", options={"ftol": 1e-14, "maxiter": 500})  # fmt: skip
    return found.fun


@pytest.mark.parametrize("sigma, r", SPECTRA)
def test_probabilities_against_a_solver(sigma, r):
    p, head = low_rank.inclusion_probabilities(sigma, r)
    assert float(p.sum()) == pytest.approx(r, abs=1e-12) and float(p.max()) <= 1
    assert (p.diff() <= 1e-12).all() and int((p == 1).sum()) >= int(head)
    assert float((sigma.square() / p).sum()) == pytest.approx(by_solver(sigma, r), rel=1e-7)


def test_probabilities_by_hand():
    p, head = low_rank.inclusion_probabilities(spectrum(5, 2, 1, 1, 0.5, 0.2), 3)
    assert int(head) == 1
    assert torch.allclose(p, spectrum(1, 4 / 4.7, 2 / 4.7, 2 / 4.7, 1 / 4.7, 0.4 / 4.7))
    assert low_rank.inclusion_probabilities(spectrum(3, 1), 1).p.tolist() == [0.75, 0.25]


def test_ties_zeros_and_full_rank():
    p, head = low_rank.inclusion_probabilities(spectrum(1, 1, 1), 3)
    assert p.tolist() == [1, 1, 1]
    p, head = low_rank.inclusion_probabilities(spectrum(3, 0, 0, 0), 2)
    assert p.tolist() == [1, 1, 0, 0] and int(head) == 1
    p, head = low_rank.inclusion_probabilities(torch.zeros(4, dtype=F64), 2)
    assert p.tolist() == [1, 1, 0, 0] and int(head) == 0
    noise = spectrum(3, 1, 1e-9, 1e-9)
    assert low_rank.inclusion_probabilities(noise, 2, cutoff=1e-6).p.tolist() == [1, 1, 0, 0]
    # r sigma_1 = sum sigma, so p_1 = 1 either way
    assert low_rank.inclusion_probabilities(spectrum(2, 1, 1), 2).p.tolist() == [1, 0.5, 0.5]


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_probabilities_have_no_unit(scale):
    p, head = low_rank.inclusion_probabilities(scale * POWER, 8)
    assert torch.allclose(p, low_rank.inclusion_probabilities(POWER, 8).p, rtol=1e-13) and int(head) == 2


def test_a_batch_is_its_rows():
    rows = torch.stack([POWER, POWER.square(), torch.ones(32, dtype=F64), 0 * POWER])
    p, head = low_rank.inclusion_probabilities(rows, 8, floor=0.1)
    for i, row in enumerate(rows):
        one = low_rank.inclusion_probabilities(row, 8, floor=0.1)
        assert torch.equal(p[i], one.p) and head[i] == one.head


@pytest.mark.parametrize("keep_head", [True, False])
@pytest.mark.parametrize("floor", [0.0, 0.3, 1.0])
def test_floors(floor, keep_head):
    p, head = low_rank.inclusion_probabilities(POWER, 8, floor=floor, keep_head=keep_head)
    k = int(head) if keep_head else 0
    assert float(p.sum()) == pytest.approx(8) and float(p.min()) >= floor * (8 - k) / (32 - k) - 1e-15
    assert (p[:k] == 1).all() and float(p.max()) <= 1
    if floor == 1 and not keep_head:
        assert torch.allclose(p, torch.full_like(p, 0.25))


def test_a_floor_keeps_a_gradient_of_low_rank():
    sigma = spectrum(3, 2, 0, 0, 0, 0)
    kept = low_rank.inclusion_probabilities(sigma, 3, floor=0.5)
    assert (kept.p[:2] == 1).all() and (kept.p > 0).all() and float(kept.p.sum()) == pytest.approx(3)
    mixed = low_rank.inclusion_probabilities(sigma, 3, floor=0.5, keep_head=False)
    assert (mixed.p[:2] < 1).all()


@pytest.mark.parametrize("sigma, r", SPECTRA)
def test_wheel_has_these_marginals(sigma, r):
    p = low_rank.inclusion_probabilities(sigma, r).p
    chosen, weight = low_rank.wheel_outcomes(p)
    assert len(chosen) <= len(p) and all(len(set(row)) == r for row in chosen.tolist())
    seen = torch.zeros_like(p).index_add_(0, chosen.flatten(), weight[:, None].expand_as(chosen).flatten())
    assert torch.allclose(seen, p, atol=1e-12)


def test_wheel_by_hand():
    chosen, weight = low_rank.wheel_outcomes(spectrum(0.5, 0.75, 0.75))
    assert chosen.tolist() == [[0, 1], [0, 2], [1, 2]] and weight.tolist() == [0.25, 0.25, 0.5]


def test_samples_are_distinct_at_the_ends_of_arcs():
    p = low_rank.inclusion_probabilities(POWER, 8).p
    ends = p.cumsum(0).frac()
    spins = torch.cat([ends, torch.nextafter(ends, 0 * ends), torch.nextafter(ends, ends + 1),
                       spectrum(0.0, np.nextafter(1, 0))]).clamp(0, np.nextafter(1, 0))  # fmt: skip
    found = low_rank.systematic_sample(p.expand(len(spins), -1), spin=spins)
    assert (found.diff(dim=1) > 0).all() and found.min() >= 0 and found.max() < 32
    # arcs of length 1 to rounding, and a support that ends early
    rough = torch.full((6,), 1 - 1e-16, dtype=F64)
    assert low_rank.systematic_sample(rough, spin=torch.tensor(0.0, dtype=F64)).tolist() == [0, 1, 2, 3, 4, 5]
    early = low_rank.systematic_sample(spectrum(1, 0.6, 0.4, 0, 0), spin=torch.tensor(np.nextafter(1, 0), dtype=F64))
    assert early.tolist() == [0, 2]


def test_sampling_is_reproducible_and_random():
    p = low_rank.inclusion_probabilities(POWER, 8).p.expand(4000, -1)
    found = low_rank.systematic_sample(p, generator=dice(0))
    assert torch.equal(found, low_rank.systematic_sample(p, generator=dice(0)))
    share = torch.zeros(32, dtype=F64).index_add_(0, found.flatten(), torch.full((32000,), 1 / 4000, dtype=F64))
    assert (share - p[0]).abs().max() < 6 * 0.5 / 4000**0.5


def matrix(sigma, n, seed=0):
    m = len(sigma)
    U = torch.linalg.qr(torch.randn(m, m, generator=dice(seed), dtype=F64)).Q
    V = torch.linalg.qr(torch.randn(n, m, generator=dice(seed + 1), dtype=F64)).Q
    return U @ torch.diag(sigma) @ V.T


@pytest.mark.parametrize("sigma, r", SPECTRA)
def test_unbiased_and_error_over_all_outcomes(sigma, r):
    G = matrix(sigma, len(sigma) + 3)
    U, found = low_rank.left_basis(G)
    assert torch.allclose(found, sigma, rtol=1e-6)
    p = low_rank.inclusion_probabilities(found, r).p
    chosen, weight = low_rank.wheel_outcomes(p)
    estimates = torch.stack([
        low_rank.Projection(U[:, i], 1 / p[i]).estimate(G) for i in chosen
    ])  # fmt: skip
    mean = (weight[:, None, None] * estimates).sum(0)
    error = (weight * (estimates - G).square().sum((1, 2))).sum()
    assert torch.allclose(mean, G, atol=1e-10 * float(sigma[0]))
    assert float(error) == pytest.approx(float(low_rank.expected_error(sigma, r)), rel=1e-6)


@pytest.mark.parametrize("dtype, n, below, above", [(F64, 3, 2.0e-8, 2.2e-8), (torch.float32, 40, 4.6e-6, 4.9e-6)])
def test_what_rounding_cannot_tell_from_zero_is_zero(dtype, n, below, above):
    """The cut is at sqrt(2 eps) = 2.1e-8 of the first for two rows, and at 40 eps = 4.77e-6 in single precision."""
    for second, kept in ((below, False), (above, True)):
        G = torch.zeros(2, n, dtype=dtype)
        G[0, 0], G[1, 1] = 3.0, 3 * second
        _, sigma = low_rank.left_basis(G)
        assert sigma[0] == 3 and bool(sigma[1] > 0) == kept


@pytest.mark.parametrize("kind", low_rank.KINDS)
@pytest.mark.parametrize("tall", [False, True])
def test_errors_in_closed_form(kind, tall):
    sigma, r, runs = POWER[:6], 2, 4000
    G = matrix(sigma, 9)
    G = G.T.contiguous() if tall else G
    drawn = low_rank.draw_projection(G.expand(runs, *G.shape), r, kind, generator=dice(3))
    estimates = drawn.estimate(G.expand(runs, *G.shape))
    errors = (estimates - G).square().sum((1, 2))
    expected = float(low_rank.expected_error(sigma, r, kind))
    assert abs(float(errors.mean()) - expected) <= 6 * float(errors.std()) / runs**0.5 + 1e-9
    assert int(torch.linalg.matrix_rank(estimates[0])) <= r
    if kind != "galore":
        off = (estimates.mean(0) - G).norm()
        assert float(off) <= 3 * (expected / runs) ** 0.5
    if kind in ("plumage", "galore", "uniform", "haar"):
        gram = drawn.basis[0].T @ drawn.basis[0]
        assert torch.allclose(gram, torch.eye(r, dtype=F64), atol=1e-12)


def test_galore_cuts_as_the_svd_does():
    G = matrix(POWER[:6], 9)
    U, s, Vh = torch.linalg.svd(G, full_matrices=False)
    cut = low_rank.draw_projection(G, 2, "galore", generator=dice(0)).estimate(G)
    assert torch.allclose(cut, U[:, :2] * s[:2] @ Vh[:2], atol=1e-10)


def test_rank_below_r_is_kept_exactly():
    G = matrix(spectrum(2, 1, 0, 0, 0), 7)
    for floor in (0.0, 0.5):
        for seed in range(20):
            drawn = low_rank.draw_projection(G, 3, generator=dice(seed), floor=floor)
            assert torch.allclose(drawn.estimate(G), G, atol=1e-7)
    flat = low_rank.draw_projection(torch.zeros(3, 4), 2, generator=dice(0))
    assert flat.estimate(torch.ones(3, 4)).isfinite().all()


def test_certificate_and_ordering():
    for seed in range(300):
        g = dice(seed)
        m = int(torch.randint(2, 12, (), generator=g))
        r = int(torch.randint(1, m + 1, (), generator=g))
        sigma = torch.rand(m, generator=g, dtype=F64).pow(4).sort(descending=True).values
        best = low_rank.expected_error(sigma, r)
        bound = low_rank.lower_bound(sigma, low_rank.certificate(sigma, r), r)
        assert float(bound) == pytest.approx(float(best), rel=1e-9, abs=1e-12)
        other = low_rank.lower_bound(sigma, torch.rand(m, generator=g, dtype=F64) + 0.01, r)
        assert float(other) <= float(best) + 1e-12
        for kind in ("uniform", "haar", "replacement", "gaussian"):
            assert float(low_rank.expected_error(sigma, r, kind)) >= float(best) - 1e-12
        assert float(low_rank.expected_error(sigma, r, "galore")) <= float(best) + 1e-12


def test_no_pair_of_outcomes_is_better():
    """Any two matrices of rank one are an unbiased estimate of their mean."""
    for seed in range(200):
        g = dice(seed)
        Q = torch.randn(2, 3, 1, generator=g, dtype=F64) @ torch.randn(2, 1, 4, generator=g, dtype=F64)
        G = Q.mean(0)
        error = (Q - G).square().sum((1, 2)).mean()
        assert float(error) >= float(low_rank.expected_error(torch.linalg.svdvals(G), 1)) * (1 - 1e-9)


def test_closed_forms_by_hand():
    flat = torch.full((16,), 2.0, dtype=F64)
    assert float(low_rank.expected_error(flat, 4)) == pytest.approx(4 * 16 * 12 / 4)
    assert float(low_rank.crossing(flat, 4)) == pytest.approx(4)
    assert float(low_rank.crossing(POWER, 8)) == pytest.approx(8.38, abs=0.01)
    assert float(low_rank.crossing(spectrum(1, 1, 0, 0), 2)) == 0
    assert float(low_rank.expected_error(spectrum(3, 1), 1, "replacement")) == 6
    assert float(low_rank.expected_error(spectrum(3, 1), 1, "gaussian")) == 30


def test_window_multiplier_by_simulation():
    p, a, steps = spectrum(0.0375, 0.5), 0.01, 20
    plain = [1 - q + q * (1 - a / q) ** steps for q in p.tolist()]
    assert low_rank.window_multiplier(p, a, steps).tolist() == pytest.approx(plain)
    one = low_rank.window_multiplier(spectrum(0.3), 0.1, 1, power=2)
    assert float(one) == pytest.approx(1 - 0.2 + 0.01 / 0.3)
    assert float(low_rank.window_multiplier(spectrum(1.0), 0.1, 7)) == pytest.approx(0.9**7)


def test_reuse_is_unbiased_for_another_gradient():
    G, other = matrix(POWER[:7], 9), matrix(POWER[:7].flip(0).sort(descending=True).values, 9, seed=5)
    U, sigma = low_rank.left_basis(G)
    p = low_rank.inclusion_probabilities(sigma, 3).p
    chosen, weight = low_rank.wheel_outcomes(p)
    found = torch.stack([low_rank.Projection(U[:, i], 1 / p[i]).estimate(other) for i in chosen])
    assert torch.allclose((weight[:, None, None] * found).sum(0), other, atol=1e-10)
    error = (weight * (found - other).square().sum((1, 2))).sum()
    energy = (U.T @ other).square().sum(1)
    assert float(error) == pytest.approx(float(low_rank.sampling_error(energy, p)), rel=1e-10)
    assert low_rank.sampling_error(spectrum(1, 1), spectrum(1, 0)).isinf()
    assert float(low_rank.sampling_error(spectrum(1, 0), spectrum(1, 0))) == 0


def test_realign():
    old = low_rank.draw_projection(matrix(POWER[:6], 8), 3, generator=dice(0))
    new = low_rank.draw_projection(matrix(POWER[:6], 8, seed=4), 2, generator=dice(1))
    R = low_rank.realignment(new, old)
    M = torch.randn(3, 8, generator=dice(2), dtype=F64)
    first, second = low_rank.realign(R, M, M.square())
    best = torch.linalg.lstsq(new.basis, old.basis @ M).solution
    assert torch.allclose(first, best, atol=1e-12)
    assert torch.allclose(second, R.square() @ M.square())
    same = low_rank.realignment(old, old)
    assert torch.allclose(same, torch.eye(3, dtype=F64), atol=1e-12)


def test_realign_from_directions_that_are_not_orthonormal():
    G = matrix(POWER[:6], 8)
    old, new = (low_rank.draw_projection(G, 3, "gaussian", generator=dice(k)) for k in (0, 1))
    turned = low_rank.realignment(new, old) @ old.project(G)
    inside = old.basis @ torch.linalg.lstsq(old.basis, G).solution
    assert torch.allclose(turned, new.project(inside), atol=1e-10)


def test_dtypes_and_shapes():
    G = matrix(POWER[:5], 7).float().expand(2, 3, 5, 7)
    for kind in low_rank.KINDS:
        drawn = low_rank.draw_projection(G, 2, kind, generator=dice(0))
        assert drawn.basis.dtype == torch.float32 and drawn.basis.shape == (2, 3, 5, 2) and drawn.rank == 2
        assert drawn.project(G).shape == (2, 3, 2, 7) and drawn.estimate(G).shape == G.shape
    tall = low_rank.draw_projection(G.mT, 2, generator=dice(0))
    assert tall.project(G.mT).shape == (2, 3, 2, 7) and tall.estimate(G.mT).shape == (2, 3, 7, 5)


@pytest.mark.parametrize("call, words", [
    (lambda: low_rank.inclusion_probabilities(spectrum(1, 2), 1), "sigma must be in descending order"),
    (lambda: low_rank.inclusion_probabilities(spectrum(2, 1), 3), "rank must be at most 2, found 3"),
    (lambda: low_rank.systematic_sample(spectrum(0.5, 0.4), generator=dice(0)), "p must add up to one whole number"),
    (lambda: low_rank.systematic_sample(spectrum(0.5, 0.5)), "generator or spin must be given"),
    (lambda: low_rank.left_basis(torch.ones(3, 2)), "at most as many rows"),
    (lambda: low_rank.lower_bound(spectrum(2, 1), spectrum(0, 0), 1), "w must have a positive entry"),
    (lambda: low_rank.draw_projection(torch.ones(2, 3), 2, "svd", generator=dice(0)), "kind must be one of"),
])  # fmt: skip
def test_bad_arguments(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_all_orders_of_the_arcs_have_the_same_error():
    """Only the marginals matter, not which directions come together."""
    G = matrix(POWER[:5], 6)
    U, sigma = low_rank.left_basis(G)
    p = low_rank.inclusion_probabilities(sigma, 2).p
    for order in itertools.permutations(range(5)):
        order = torch.tensor(order)
        chosen, weight = low_rank.wheel_outcomes(p[order])
        found = torch.stack([low_rank.Projection(U[:, order[i]], 1 / p[order[i]]).estimate(G) for i in chosen])
        error = (weight * (found - G).square().sum((1, 2))).sum()
        assert float(error) == pytest.approx(float(low_rank.expected_error(sigma, 2)), rel=1e-9)
