"""Closed-form denoisers: exact special cases, invariances, refusals."""

import math

import pytest
import torch

from implicitly.diffusion import (
    EmpiricalBayes,
    LineDenoiser,
    SimplexDenoiser,
    ball_samples,
    planar_triangle,
    ramp,
    random_simplex,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def ball(points, rho, n, seed=0):
    """Points uniform in direction, radius up to rho, around each training point: (N, n, d)."""
    g = generator(seed)
    step = torch.randn(len(points), n, points.shape[1], generator=g, dtype=torch.float64)
    step = step / step.norm(dim=2, keepdim=True)
    return points[:, None] + rho * step * torch.rand(len(points), n, 1, generator=g, dtype=torch.float64)


def test_ramp_is_the_difference_of_two_relus():
    z = torch.linspace(-2, 3, 501, dtype=torch.float64)
    for L, rho in [(1.0, 0.2), (2.5, 0.01), (0.7, 0.3)]:
        relus = L / (L - 2 * rho) * (torch.relu(z - rho) - torch.relu(z - (L - rho)))
        assert (ramp(z, L, rho) - relus).abs().max() < 1e-13


def test_ramp_fixes_the_middle_whatever_rho():
    for rho in (0.0, 0.1, 0.49):
        assert ramp(torch.tensor([0.5]).double(), 1.0, rho).item() == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("rho", [0.5, 0.6, -0.1, float("nan"), float("inf")])
def test_ramp_refuses_rho_out_of_range(rho):
    with pytest.raises(ValueError, match=r"rho must be finite and at least 0 and below 0.5"):
        ramp(torch.zeros(1), 1.0, rho)


@pytest.mark.parametrize("obtuse", [None, (0.05, 0.95)])
@pytest.mark.parametrize("m, d", [(1, 1), (2, 2), (3, 5), (6, 6)])
def test_every_ball_goes_to_its_centre(obtuse, m, d):
    points = random_simplex(m, d, generator=generator(m), obtuse=obtuse, lengths=(0.7, 2.0))
    h = SimplexDenoiser.from_points(points)
    rho = 0.49 * float(h.L.min())
    noisy = ball(points, rho, 300)
    assert (h(noisy.reshape(-1, d), rho) - points.repeat_interleave(300, 0)).abs().max() < 1e-12
    assert (h.points - points).abs().max() < 1e-12


def test_commutes_with_rigid_motions():
    points = random_simplex(3, 4, generator=generator(1), obtuse=(0.2, 0.8))
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator(2), dtype=torch.float64)).Q
    y = torch.randn(50, 4, generator=generator(3), dtype=torch.float64)
    moved = SimplexDenoiser.from_points(points @ turn + 1.0)
    assert (moved(y @ turn + 1, 0.1) - (SimplexDenoiser.from_points(points)(y, 0.1) @ turn + 1)).abs().max() < 1e-12


def test_float32_stays_float32_and_is_close():
    points = planar_triangle(100.0)
    y = torch.rand(100, 2, generator=generator(), dtype=torch.float64)
    low = SimplexDenoiser.from_points(points.float())(y.float(), 0.1)
    assert low.dtype == torch.float32
    assert (low - SimplexDenoiser.from_points(points)(y, 0.1)).abs().max() < 1e-5


def test_from_points_refuses():
    with pytest.raises(ValueError, match=r"right or obtuse angles, found a cosine of 0.5"):
        SimplexDenoiser.from_points(planar_triangle(60.0))
    with pytest.raises(ValueError, match=r"at least 2 points, found 1"):
        SimplexDenoiser.from_points(torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"copy"):
        SimplexDenoiser.from_points(torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"linearly independent"):
        SimplexDenoiser.from_points(torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]))
    with pytest.raises(ValueError, match=r"finite"):
        SimplexDenoiser.from_points(torch.tensor([[0.0], [float("nan")]]))
    with pytest.raises(TypeError, match=r"points must be float32 or float64, found int64"):
        SimplexDenoiser.from_points(torch.tensor([[0], [1]]))
    with pytest.raises(TypeError, match=r"points must be a torch.Tensor, found list"):
        SimplexDenoiser.from_points([[0.0], [1.0]])
    h = SimplexDenoiser.from_points(planar_triangle(90.0))
    with pytest.raises(ValueError, match=r"y must have shape \(B, 2\), found \(4, 3\)"):
        h(torch.zeros(4, 3).double(), 0.1)


def test_vertices_of_the_square():
    members, places = SimplexDenoiser.from_points(planar_triangle(90.0)).vertices()
    assert members.sum(1).tolist() == [0, 1, 1, 2]
    assert torch.allclose(places, torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1]]).double(), atol=1e-15)


def test_line_agrees_with_one_edge_and_interpolates():
    points = torch.tensor([[0.0], [1.0]]).double()
    y = torch.linspace(-1, 2, 61, dtype=torch.float64)[:, None]
    assert (LineDenoiser.from_points(points)(y, 0.2) - SimplexDenoiser.from_points(points)(y, 0.2)).abs().max() < 1e-14
    direction = torch.tensor([0.6, 0.0, 0.8]).double()
    row = torch.tensor([2.0, -1.0, 0.3, 3.5]).double()[:, None] * direction + 5.0
    h = LineDenoiser.from_points(row)
    assert h.t.diff() == pytest.approx([1.3, 1.7, 1.5])
    noisy = ball(row, 0.6, 200)
    assert (h(noisy.reshape(-1, 3), 0.6) - row.repeat_interleave(200, 0)).abs().max() < 1e-12
    assert h.cost(0.6) == pytest.approx(sum(2 * D / (D - 1.2) for D in (1.3, 1.7, 1.5)))


def test_line_refuses():
    with pytest.raises(ValueError, match=r"one line"):
        LineDenoiser.from_points(planar_triangle(90.0))
    with pytest.raises(ValueError, match=r"distinct"):
        LineDenoiser.from_points(torch.tensor([[0.0], [1.0], [1.0]]))
    with pytest.raises(ValueError, match=r"below 0.5"):
        LineDenoiser.from_points(torch.tensor([[0.0], [1.0], [3.0]])).cost(0.5)


def test_empirical_bayes_is_tweedie():
    """``h(y) - y = sigma**2 grad log p(y)`` with the gradient by autograd of the mixture's log density."""
    points = torch.randn(7, 3, generator=generator(), dtype=torch.float64)
    y = torch.randn(20, 3, generator=generator(1), dtype=torch.float64).requires_grad_()
    for sigma in (0.3, 1.0, 5.0):
        log_p = torch.logsumexp(-torch.cdist(y, points).square() / (2 * sigma**2), 1).sum()
        (score,) = torch.autograd.grad(log_p, y)
        assert (EmpiricalBayes(points)(y.detach(), sigma) - y.detach() - sigma**2 * score).abs().max() < 1e-10


def test_empirical_bayes_survives_tiny_noise():
    points = planar_triangle(90.0)
    out = EmpiricalBayes(points)(torch.tensor([[0.9, 0.2], [0.1, 0.1]]).double(), 1e-8)
    assert torch.equal(out, points[[1, 0]])
    with pytest.raises(ValueError, match=r"sigma must be finite and above 0, found 0"):
        EmpiricalBayes(points)(points, 0.0)


def test_empirical_bayes_does_not_care_where_the_points_lie():
    points = torch.randn(5, 3, generator=generator(), dtype=torch.float64)
    y = torch.randn(40, 3, generator=generator(1), dtype=torch.float64)
    far = EmpiricalBayes(points + 1e6)(y + 1e6, 0.05) - 1e6
    assert (far - EmpiricalBayes(points)(y, 0.05)).abs().max() < 1e-6


def test_random_simplex_is_what_it_says_and_leaves_the_global_seed():
    before = torch.get_rng_state()
    for m in (1, 2, 4):
        h = SimplexDenoiser.from_points(random_simplex(m, 5, generator=generator(), obtuse=(0.05, 0.95)))
        off = h.gram - torch.eye(m)
        assert (off[~torch.eye(m, dtype=bool)] < 0).all()
        right = SimplexDenoiser.from_points(random_simplex(m, 5, generator=generator()))
        assert (right.gram - torch.eye(m)).abs().max() < 1e-13
    assert torch.equal(before, torch.get_rng_state())
    with pytest.raises(ValueError, match=r"m must be between 1 and d = 2, found 3"):
        random_simplex(3, 2, generator=generator())
    with pytest.raises(ValueError, match=r"obtuse must be .low, high. with 0 < low"):
        random_simplex(2, 2, generator=generator(), obtuse=(0.5, 1.0))


def test_ball_samples():
    points = planar_triangle(120.0)
    assert ((ball_samples(points, 0.2, 8) - points[:, None]).norm(dim=2) - 0.2).abs().max() < 1e-15
    assert ball_samples(torch.zeros(2, 1), 0.1, 9).shape == (2, 2, 1)
    with pytest.raises(TypeError, match=r"generator must be a torch.Generator, found NoneType"):
        ball_samples(torch.zeros(1, 3), 0.1, 4)


def test_the_ramp_at_the_edges():
    z = torch.tensor([-1.0, 0.2, 0.5, 2.0])
    assert ramp(z, 1.0, 0.0).tolist() == pytest.approx([0.0, 0.2, 0.5, 1.0])  # a clip
    with pytest.raises(ValueError, match=r"rho must be below 0.5 by more than rounding, found 0.49999999999"):
        ramp(z, 1.0, 0.49999999999)  # 2 rho is 1 in float32, and 0.5 would give 0 times infinity
    assert ramp(z.double(), 1.0, 0.49999999999)[2].item() == pytest.approx(0.5)
    with pytest.raises(ValueError, match=r"length must be a number or have the shape \(m,\) of z .*, found \(3,\)"):
        ramp(z[:, None], torch.ones(3), 0.1)  # once a silent (4, 3)
    with pytest.raises(ValueError, match=r"length must be above 0, found 0"):
        ramp(z, 0.0, 0.0)


def test_denoisers_compare_and_are_built_with_care():
    for cls, points in ((SimplexDenoiser, planar_triangle(90.0)), (LineDenoiser, planar_triangle(90.0)[:2])):
        one, two = cls.from_points(points), cls.from_points(points)
        assert one == one and one != two and len({one, two}) == 2
    assert EmpiricalBayes(points) != EmpiricalBayes(points)
    x, eye, ones = torch.zeros(2), torch.eye(2), torch.ones(2)
    with pytest.raises(ValueError, match=r"U must hold directions of norm 1, found norms \[2.0, 2.0\]"):
        SimplexDenoiser(x, 2 * eye, ones)
    with pytest.raises(ValueError, match=r"L must have shape \(2,\), found \(1,\)"):
        SimplexDenoiser(x, eye, ones[:1])
    with pytest.raises(ValueError, match=r"t must hold at least 2 places, from 0 and ascending, found \[0.0, 0.0\]"):
        LineDenoiser(x, eye[0], torch.zeros(2))
    with pytest.raises(TypeError, match=r"y must be float64, found float32 tensor of shape \(2, 2\)"):
        SimplexDenoiser.from_points(planar_triangle(90.0))(eye, 0.1)
    far = torch.tensor([[-1e308], [1e308]], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"points must lie at finite distances, found inf"):
        SimplexDenoiser.from_points(far)


@pytest.mark.parametrize("dtype, size", [(torch.float32, 1e-30), (torch.float32, 1e30), (torch.float64, 1e-200),
                                         (torch.float64, 1e200)])  # fmt: skip
def test_points_of_any_size(dtype, size):
    """Squares of their distances leave the range of floats."""
    corner = (size * planar_triangle(90.0)).to(dtype)
    h = SimplexDenoiser.from_points(corner)
    assert torch.equal(h.points, corner) and torch.equal(h(corner, 0.1 * size), corner)
    row = corner[:2].sum(0) * torch.tensor([[0.0], [3.0], [1.0]], dtype=dtype)
    line = LineDenoiser.from_points(row)
    assert (line.t / size).tolist() == pytest.approx([0.0, 1.0, 3.0])
    with pytest.raises(ValueError, match="points must lie on one line, found one"):
        LineDenoiser.from_points(corner)


def test_empirical_bayes_at_the_edges():
    points = planar_triangle(90.0)
    for far, found in ((torch.full((2, 1), 1e20), "1e.20"), (torch.full((2, 1), 3e38), "inf")):
        with pytest.raises(ValueError, match=f"y and points must have finite squares, found .* of {found}"):
            EmpiricalBayes(far * torch.tensor([[1.0], [0.5]]) if found != "inf" else far)(far, 1.0)
    between = torch.tensor([[0.5, 0.0]], dtype=torch.float64)
    for sigma in (1e-8, 1e-300):  # equally near: their mean; sigma**2 is 0 in floats
        assert EmpiricalBayes(points[:2])(between, sigma)[0].tolist() == pytest.approx([0.5, 0.0], abs=1e-15)
    assert torch.equal(EmpiricalBayes(points.float())(between.float() + 0.1, 1e-300), points[1:2].float())
    assert torch.equal(EmpiricalBayes(100 * points.float())(90 * points[1:2].float(), 1e-19), 100 * points[1:2].float())
    everywhere = EmpiricalBayes(points)(between, 1e300)  # the mean
    assert everywhere[0].tolist() == pytest.approx([1 / 3, 1 / 3])
    assert EmpiricalBayes(points[:1])(between, 0.1).tolist() == [[0.0, 0.0]]


def test_triangles_have_the_angle_they_are_asked_for():
    """Not the angle rounded to float32: its cosine would be off by 2e-8."""
    points = planar_triangle(100.1, lengths=(1.1, 1.3))
    assert points[1, 0].item() == 1.1 and points[2].norm().item() == pytest.approx(1.3, rel=1e-15)
    assert points[2, 0].item() / 1.3 == pytest.approx(math.cos(math.radians(100.1)), rel=1e-14)
    with pytest.raises(ValueError, match=r"lengths must hold 2 of numbers, found 3"):
        planar_triangle(90.0, lengths=(1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match=r"lengths must be \(low, high\) with low <= high, found \(2.0, 1.0\)"):
        random_simplex(2, 2, generator=generator(), lengths=(2.0, 1.0))
    with pytest.raises(ValueError, match=r"obtuse must be"):  # also where one edge has no angle
        random_simplex(1, 2, generator=generator(), obtuse=(0.9, 0.1))
