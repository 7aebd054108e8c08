"""Flows: own integrators against SciPy's and against exact solutions."""

import math

import numpy as np
import pytest
import torch

from implicitly.diffusion import (
    SCHEDULES,
    EmpiricalBayes,
    LineDenoiser,
    SimplexDenoiser,
    classify,
    counted_as_zero,
    end_probabilities,
    off_edge_share,
    planar_triangle,
    probability_flow,
    probability_flow_exact,
    ramp,
    random_simplex,
    score_flow,
    score_flow_exact,
    shares,
    sigma_grid,
    solve_probability_flow,
    solve_score_flow,
    two_edges_exact,
    vertex_is_fixed,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


SQUARE = SimplexDenoiser.from_points(planar_triangle(90.0))


def starts(n=40, d=2, seed=0):
    return -0.5 + 2 * torch.rand(n, d, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_run_from_top_to_end(schedule):
    grid = sigma_grid(0.3, 0.002, 50, schedule)
    assert grid.shape == (51,)
    assert (grid[0], grid[-1]) == (0.3, 0.002)
    assert (grid.diff() < 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_score_flow_exact_against_scipy(seed):
    """The references hold their tolerance, whatever the starts.

    An error of the solver's, rtol 1e-11, grows by exp(0.25 * 20) = 150 at most, for a start next to L/2: 1e-8 leaves
    six times that. Of 200 such sets of starts the worst was 6e-11, and 160 times that is allowed.
    """
    x = starts(seed=seed)
    for time in (0.1, 1.0, 5.0, 20.0):
        exact = score_flow_exact(SQUARE.coordinates(x), SQUARE.L, 0.1, time)
        assert (SQUARE.coordinates(solve_score_flow(x, SQUARE, 0.1, time=time)) - exact).abs().max() < 1e-8


def test_score_flow_exact_against_heun():
    x = starts()
    exact = score_flow_exact(SQUARE.coordinates(x), SQUARE.L, 0.1, 20.0)
    heun = SQUARE.coordinates(score_flow(x, SQUARE, 0.1, time=20.0, steps=2000))
    assert (heun - exact).abs().max() < 1e-4


def test_score_flow_exact_at_the_unstable_point_and_time_zero():
    c = torch.tensor([[0.5, 0.0, 1.0, -2.0, 3.0, 0.1, 0.9]]).double()
    assert torch.equal(score_flow_exact(c, 1.0, 0.1, 1e3).isfinite(), torch.ones(1, 7, dtype=bool))
    assert score_flow_exact(c, 1.0, 0.1, 1e3)[0] == pytest.approx([0.5, 0, 1, 0, 1, 0, 1], abs=1e-12)
    assert score_flow_exact(c, 1.0, 0.1, 0.0)[0] == pytest.approx(c[0].tolist(), abs=1e-15)
    for dtype in (torch.float32, torch.float64):  # growth by exp(0.25 * 4000) is infinite in both
        c = torch.tensor([[0.5, 0.5 - 2**-20]], dtype=dtype)
        assert score_flow_exact(c, 1.0, 0.1, 4e3).tolist() == [[0.5, 0.0]]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_probability_flow_is_a_straight_line_whatever_the_schedule(schedule):
    points = random_simplex(3, 5, generator=generator(4), lengths=(0.8, 1.5))
    h = SimplexDenoiser.from_points(points)
    x = points[0] + starts(30, 5)
    exact = probability_flow_exact(x, h, 0.2, 0.002, alpha=1.5)
    reference = solve_probability_flow(x, h, 0.2, 0.002, schedule=schedule, alpha=1.5)
    assert (reference - exact).abs().max() < 1e-8
    one_step = probability_flow(
        x, h, torch.tensor([0.2, 0.002], dtype=torch.float64), alpha=1.5, method="euler", variable="sigma"
    )
    assert (one_step - exact).abs().max() < 1e-12


def test_heun_is_of_second_order_and_euler_of_first():
    h = SimplexDenoiser.from_points(planar_triangle(110.0))
    # one linear piece all the way: both coordinates stay in the middle band
    x = h.x1 + torch.linalg.solve(h.U, torch.tensor([0.52, 0.5]).double())[None]
    exact = solve_probability_flow(x, h, 0.2, 0.05, rtol=1e-12)
    for method, order in (("euler", 1), ("heun", 2)):
        errors = [
            float((probability_flow(x, h, sigma_grid(0.2, 0.05, n), method=method) - exact).abs().max())
            for n in (40, 80)
        ]
        assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_line_flow_is_straight_too():
    points = torch.tensor([0.0, 1.0, 1.7, 4.0]).double()[:, None]
    h = LineDenoiser.from_points(points)
    x = torch.linspace(-1, 5, 50, dtype=torch.float64)[:, None]
    assert (solve_probability_flow(x, h, 0.3, 1e-3) - probability_flow_exact(x, h, 0.3, 1e-3)).abs().max() < 1e-8
    ends = score_flow(x, h, 0.3, time=60.0, steps=600)
    assert (ends - points.T).abs().min(1).values.max() < 1e-9
    assert torch.equal((ends - points.T).abs().argmin(1), (x - points.T).abs().argmin(1))


def test_two_edges_exact_against_scipy():
    h = SimplexDenoiser.from_points(planar_triangle(105.0, lengths=(1.4, 1.4)))
    gamma, rho_T, rho_0 = -float(h.gram[0, 1]), 0.2, 1e-3
    c = rho_T + (1.4 - 2 * rho_T) * torch.rand(60, 2, generator=generator(), dtype=torch.float64)
    x = torch.linalg.solve(h.U, c.T).T
    ends = solve_probability_flow(x, h, rho_T, rho_0, rtol=1e-11)
    found = ramp(h.coordinates(ends), h.L, rho_0)
    exact = two_edges_exact(ramp(c, h.L, rho_T), gamma, 1.4, rho_T, rho_0)
    assert (found - exact).abs().max() < 1e-7
    assert 0.02 < float(((exact > 0).sum(1) == 2).double().mean()) < 0.9  # both outcomes are tested
    with pytest.raises(ValueError, match=r"f must lie strictly between 0 and length = 1.4 .*, found 0"):
        two_edges_exact(torch.tensor([[0.0, 0.5]]).double(), gamma, 1.4, rho_T, rho_0)


def test_off_edge_share_limits():
    assert off_edge_share(0.2, 1.0, 0.2, 0.2 - 1e-12) == pytest.approx(1.0)
    ratio = off_edge_share(0.1, 1.0, 0.2, 1e-30) / off_edge_share(0.1, 1.0, 0.2, 1e-35)
    assert ratio == pytest.approx(1e5**0.2, rel=1e-3)


def test_vertex_condition_is_the_fixed_point_equation():
    for seed in range(20):
        points = random_simplex(1 + seed % 4, 5, generator=generator(seed), obtuse=(0.01, 0.99), lengths=(0.5, 1.5))
        h = SimplexDenoiser.from_points(points)
        rho = 0.4 * float(h.L.min())
        members, places = h.vertices()
        rest = (h(places, rho) - places).norm(dim=1) < 1e-12
        assert torch.equal(rest, vertex_is_fixed(h.gram, h.L, rho, members))


def test_vertex_condition_refuses_acute_angles():
    h = SimplexDenoiser.from_points(planar_triangle(60.0), allow_acute=True)
    members, _ = h.vertices()
    with pytest.raises(ValueError, match=r"gram must be that of right or obtuse angles, found a cosine of 0.5"):
        vertex_is_fixed(h.gram, h.L, 0.1, members)
    assert vertex_is_fixed(SQUARE.gram, SQUARE.L, 0.1, members).all()


def test_classify():
    f = torch.tensor([[0, 0, 0], [0, 2, 0], [1, 2, 0], [1, 2, 3], [0.5, 0, 0], [0, 2, 1.5]]).double()
    kinds = classify(f, torch.tensor([1.0, 2, 3]).double(), tolerance=1e-6)
    assert kinds.tolist() == [0, 0, 1, 1, 2, 2]
    assert shares(kinds).tolist() == pytest.approx([1 / 3] * 3)


def test_end_probabilities_by_enumeration():
    for p_0, p_L, m in [(0.3, 0.2, 4), (0.5, 0.5, 3), (0.0, 0.4, 1), (1.0, 0.0, 5)]:
        weights = torch.tensor([p_0, p_L, 1 - p_0 - p_L], dtype=torch.float64)
        totals = torch.zeros(3).double()
        for pattern in torch.cartesian_prod(*[torch.arange(3)] * m).reshape(-1, m):
            kind = 2 if (pattern == 2).any() else int((pattern == 1).sum() >= 2)
            totals[kind] += weights[pattern].prod()
        assert end_probabilities(p_0, p_L, m) == pytest.approx(totals.tolist(), abs=1e-14)
    with pytest.raises(ValueError, match=r"p_0 . p_L must be at most 1"):
        end_probabilities(0.7, 0.7, 2)


@pytest.mark.parametrize("tolerance", [1e-6, 0.01, 0.1, 0.3])
@pytest.mark.parametrize("ratio", [0.9, 0.3, 1e-3, 1e-9])
def test_counted_as_zero_brackets_the_exact_end(tolerance, ratio):
    low, high = counted_as_zero(1.5, 0.2, ratio, tolerance=tolerance)
    edge = SimplexDenoiser.from_points(torch.tensor([[0.0], [1.5]], dtype=torch.float64))
    for start, side in [(low, -1), (high, 1)]:
        around = torch.tensor([[start * (1 - 1e-6)], [start * (1 + 1e-6)]], dtype=torch.float64)
        end = probability_flow_exact(around, edge, 0.2, 0.2 * ratio)
        inside = classify(end, 1.5, tolerance=tolerance)
        assert inside.tolist() == [0, 2], (side, end)
    mirrored = probability_flow_exact(torch.tensor([[1.5 - high + 1e-9]], dtype=torch.float64), edge, 0.2, 0.2 * ratio)
    assert classify(mirrored, 1.5, tolerance=tolerance).item() == 0


def test_bayes_flow_carries_the_noisy_law():
    """One Gaussian: the flow is x - x1 = (sigma/sigma_T) (x_T - x1) exactly."""
    point = torch.tensor([[1.0, 2.0]]).double()
    x = starts()
    end = solve_probability_flow(x, EmpiricalBayes(point), 1.0, 0.1)
    assert (end - point - 0.1 * (x - point)).abs().max() < 1e-8


def test_path_holds_the_ends():
    x = starts(7)
    path = probability_flow(x, SQUARE, sigma_grid(0.2, 0.01, 30), path=True)
    assert path.shape == (31, 7, 2)
    assert torch.equal(path[0], x)
    assert torch.equal(path[-1], probability_flow(x, SQUARE, sigma_grid(0.2, 0.01, 30)))


def test_empty_batch():
    empty = torch.zeros(0, 2).double()
    assert score_flow(empty, SQUARE, 0.1, time=1.0, steps=3).shape == (0, 2)
    assert probability_flow(empty, SQUARE, sigma_grid(0.2, 0.1, 3)).shape == (0, 2)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: sigma_grid(0.1, 0.2, 5), "sigma_T must be finite and above 0.2, found 0.1"),
        (lambda: sigma_grid(0.2, 0.0, 5), "sigma_0 must be finite and above 0, found 0"),
        (lambda: sigma_grid(0.2, 0.1, 5, "spiral"), "schedule must be one of 'geometric', 'linear'"),
        (lambda: score_flow(starts(), SQUARE, 0.1, time=0.0, steps=5), "time must be finite and above 0, found 0"),
        (lambda: score_flow(starts(), SQUARE, 0.1, time=1.0, steps=0), "steps must be at least 1, found 0"),
        (lambda: score_flow(starts(), SQUARE, 0.5, time=1.0, steps=2), "rho must be finite and at least 0 and below"),
        (lambda: score_flow(starts(), SQUARE, 0.1, time=1.0, steps=2, method="magic"), "method must be one of"),
        (lambda: probability_flow(starts(), SQUARE, torch.tensor([0.1, 0.2])), "sigmas must .*, found 0.1, 0.2$"),
        (lambda: probability_flow(starts(), SQUARE, torch.ones(7)), "sigmas must .*, found 1, 1, 1, 1, 1, …"),
        (lambda: probability_flow(starts(), SQUARE, torch.ones(1)), "sigmas must hold at least 2 noise"),
        (lambda: score_flow_exact(starts() * math.inf, 1.0, 0.1, 1.0), "c must be finite, found inf at"),
        (lambda: score_flow_exact(starts(), 1.0, math.nan, 1.0), "rho must be finite and above 0 and below 0.5, found"),
        (lambda: score_flow_exact(starts(), math.nan, 0.1, 1.0), "length must be finite, found NaN"),
        (lambda: score_flow_exact(starts(), 1.0, 0.1, math.inf), "time must be finite, found inf"),
        (lambda: counted_as_zero(1.0, 0.2, 1.5, tolerance=0.01), "ratio must be .* at most 1, found 1.5"),
        (lambda: counted_as_zero(1.0, 0.2, 0.0, tolerance=0.01), "ratio must be finite and above 0 .*, found 0"),
        (lambda: score_flow(starts() * math.nan, SQUARE, 0.1, time=1.0, steps=2), "x must be finite, found NaN"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("c, found", [([0.5], "list"), (torch.tensor([[0, 1]]), "int64")])
def test_coordinates_are_floating(c, found):
    with pytest.raises(TypeError, match=f"c must be .*found {found}"):
        score_flow_exact(c, 1.0, 0.1, 1.0)


def test_sigmas_are_a_tensor():
    with pytest.raises(TypeError, match=r"sigmas must be a torch.Tensor, found list"):
        probability_flow(starts(), SQUARE, [0.2, 0.1])


def test_flows_at_the_edges():
    x = starts(3)
    with pytest.raises(FloatingPointError, match="the flow diverged; take more steps"):
        score_flow(x, SQUARE, 0.1, time=1e6, steps=300)
    with pytest.raises(ValueError, match=r"denoise must give a float64 tensor of x's shape \(3, 2\), found float64"):
        score_flow(x, lambda x, rho: x[0], 0.1, time=1.0, steps=3)  # one point for all: no broadcast
    for solve in (lambda h: solve_score_flow(x, h, 0.1, time=1.0), lambda h: solve_probability_flow(x, h, 0.2, 0.1)):
        with pytest.raises(ValueError, match=r"denoise must give a float64 tensor .*, found float64 \(2,\)"):
            solve(lambda x, rho: x[0])
        with pytest.raises(FloatingPointError, match=r"the flow diverged at t = 0: denoise gives no finite points"):
            solve(lambda x, rho: x * math.nan)
    with pytest.raises(ValueError, match=r"denoise must give a float32 tensor .*, found float64 \(3, 2\)"):
        score_flow(x.float(), lambda x, rho: x.double(), 0.1, time=1.0, steps=3)
    with pytest.raises(ValueError, match=r"denoise's result must be finite, found NaN at \[0, 0\]"):
        probability_flow_exact(x, lambda x, rho: x * math.nan, 0.2, 0.1)
    with pytest.raises(TypeError, match="path must be True or False, found str 'no'"):
        score_flow(x, SQUARE, 0.1, time=1.0, steps=3, path="no")
    with pytest.raises(ValueError, match=r"sigma_0 must not be lost in the rounding of sigma_T = 0.2, found 1e-300"):
        solve_probability_flow(x, SQUARE, 0.2, 1e-300, schedule="linear")
    with pytest.raises(ValueError, match=r"time must be finite and at least 1e-09 and at most 10000, found 1e.300"):
        solve_score_flow(x, SQUARE, 0.1, time=1e300)
    assert torch.equal(score_flow(x, SQUARE, np.float64(0.1), time=1, steps=np.int64(3)),
                       score_flow(x, SQUARE, 0.1, time=1.0, steps=3))  # fmt: skip


def test_lengths_are_not_rounded_to_float32():
    c, exact = starts(5), torch.tensor([1.1, 1.3], dtype=torch.float64)
    for values in ([1.1, 1.3], exact.numpy()):
        assert torch.equal(score_flow_exact(c, values, 0.1, 1.0), score_flow_exact(c, exact, 0.1, 1.0))
        assert classify(exact[None], values, tolerance=1e-12).tolist() == [1]
    for value in (1.1, np.float64(1.1)):
        assert torch.equal(score_flow_exact(c, value, 0.1, 1.0), score_flow_exact(c, exact[0], 0.1, 1.0))
        assert ramp(exact[:1] / 2, value, 0.0) == exact[0] / 2 and ramp(exact[:1] + 1, value, 0.0) == exact[0]


def test_exact_ends_at_the_edges():
    f = torch.tensor([[0.3, 0.6], [0.5, 0.5]], dtype=torch.float64)
    winner = two_edges_exact(f, 0.99, 1.0, 0.2, 1e-300)  # kappa underflows
    assert winner[0].tolist() == pytest.approx([0.0, math.sqrt(0.27)]) and winner[1, 0] == winner[1, 1]
    assert off_edge_share(0.99, 1.0, 0.2, 1e-300) == 0.0
    for size in (1e-200, 1e200):  # squares of lengths leave the range of floats, the result does not
        assert off_edge_share(0.2, size, 0.4 * size, 0.3 * size) == pytest.approx(off_edge_share(0.2, 1.0, 0.4, 0.3))
        assert two_edges_exact(size * f, 0.99, size, 0.2 * size, 1e-3 * size) / size == pytest.approx(
            two_edges_exact(f, 0.99, 1.0, 0.2, 1e-3)
        )
    c = torch.tensor([[0.0, 0.5, 0.75]])
    assert score_flow_exact(c, 1.0, 0.1, 1e300).tolist() == [[0.0, 0.5, 1.0]]  # a time that float32 cannot hold
    assert end_probabilities(0.1, 0.9, 1)[1:] == (0.0, 0.0)  # (0.1 + 0.9)**1 - 0.1**1 - 0.9 is -2.8e-17
    assert end_probabilities(1 / 3, 2 / 3 + 1e-13, 3)[2] == 0.0
    assert shares(torch.tensor([2])).tolist() == [0, 0, 1]
    for bad in ((1e308, 1e-308, 10), (1 + 2**-52, 1.0, 10)):
        for schedule in ("geometric", "cosine"):
            with pytest.raises(ValueError, match="sigma_T and sigma_0 must leave room for 11 falling levels in floats"):
                sigma_grid(*bad, schedule)
    one = torch.ones(1, 1, dtype=torch.float64)
    assert vertex_is_fixed(one, one[0], 0.1, torch.tensor([[True]])).tolist() == [True]
    assert classify(one, 1.0, tolerance=0.1).tolist() == [0]
    for call, message in [
        (lambda: shares(torch.tensor([], dtype=torch.int64)), "kinds must hold at least one code"),
        (lambda: shares(torch.tensor([0, 3])), r"kinds must be at least 0 and at most 2, found 3 at \[1\]"),
        (lambda: shares(torch.tensor([-1])), "kinds must be at least 0"),
        (lambda: vertex_is_fixed(2 * SQUARE.gram, SQUARE.L, 0.1, torch.ones(1, 2) > 0), "with a diagonal of ones"),
        (lambda: vertex_is_fixed(SQUARE.gram, SQUARE.L[:1], 0.1, torch.ones(1, 2) > 0), r"length must have shape"),
        (lambda: vertex_is_fixed(SQUARE.gram, SQUARE.L, 0.6, torch.ones(1, 2) > 0), "rho must be .* below 0.5"),
        (lambda: classify(torch.ones(3, 2), torch.ones(3), tolerance=0.1), r"length must be a number or have"),
        (lambda: score_flow_exact(torch.ones(3, 2), torch.ones(3), 0.1, 1.0), r"length must be a number or have"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
