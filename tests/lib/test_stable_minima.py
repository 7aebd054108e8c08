"""Univariate networks: gradients, Hessians, weights and total variations against exact cases and plain loops."""

import math

import pytest
import torch

from implicitly import stable_minima as sm

F64 = torch.float64


def random_case(seed, n=9, k=6):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, generator=g, dtype=F64).sort().values
    return sm.initial_nets(k, seeds=[seed, seed + 1]), x, torch.randn(2, n, generator=g, dtype=F64)


def plain_loss(theta, k, x, y):
    w1, b1, w2 = theta[:-1].reshape(3, k)
    return (torch.relu(x[:, None] * w1 + b1) @ w2 + theta[-1] - y).square().mean() / 2


def flat(net):
    return torch.cat([net.w1[0], net.b1[0], net.w2[0], net.b2])


def plain_weight(t, x):
    """The formula as the paper's form has it, with conditional means, in Python numbers."""
    sides = []
    for flip in (1, -1):
        beyond = [flip * v for v in x if flip * v > flip * t]
        if not beyond:
            return 0.0
        p, mean = len(beyond) / len(x), sum(beyond) / len(beyond)
        sides.append(p**2 * (mean - flip * t) * math.sqrt(1 + mean**2))
    return min(sides)


def test_network_by_hand():
    net = sm.LineNet(*(torch.tensor([v], dtype=F64) for v in ([2.0, -1, 0], [-1.0, 0.5, 1], [3.0, 4, 5])),
                     torch.tensor([0.25], dtype=F64))  # fmt: skip
    assert net([0.0, 1.0]).tolist() == [[4 * 0.5 + 5 + 0.25, 3 + 5 + 0.25]]
    assert net.knots.tolist() == [[0.5, 0.5, math.inf]]
    assert net.jumps.tolist() == [[6, 4, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_hessian_is_that_of_autograd(seed):
    nets, x, y = random_case(seed)
    for i in range(2):
        net = nets[i]
        full = torch.autograd.functional.hessian(lambda t, i=i: plain_loss(t, 6, x, y[i]), flat(net))
        G, R = sm.hessian_parts(net, x, y[i])
        torch.testing.assert_close(G[0] + R[0], full)
        assert R.diagonal(dim1=1, dim2=2).abs().max() == 0
        top = torch.linalg.eigvalsh(full)[-1]
        torch.testing.assert_close(sm.sharpness(net, x, y[i])[0], top)
        torch.testing.assert_close(sm.gauss_newton_top(net, x)[0], torch.linalg.eigvalsh(G[0])[-1])
        torch.testing.assert_close(full[-1, -1], torch.tensor(1.0, dtype=F64))  # the output bias


def test_lanczos_is_dense():
    net, x, y = sm.initial_nets(50, seeds=[0]), *random_case(0)[1:]
    dense = torch.linalg.eigvalsh(sum(sm.hessian_parts(net, x, y[0])))[0, -1]
    torch.testing.assert_close(sm.sharpness(net, x, y[0])[0], dense)


def test_descent_is_autograd():
    nets, x, y = random_case(3)
    end = sm.gradient_descent(nets, x, y, torch.tensor([0.01, 0.02], dtype=F64), 20)
    for i, eta in enumerate((0.01, 0.02)):
        theta = flat(nets[i])
        for _ in range(20):
            theta = theta - eta * torch.func.grad(plain_loss)(theta, 6, x, y[i])
        torch.testing.assert_close(flat(end[i]), theta)
    assert sm.gradient_descent(nets, x, y, 0.1, 0).w1.equal(nets.w1)


def test_descent_says_when_it_diverges():
    nets, x, y = random_case(0, k=50)
    with pytest.raises(RuntimeError, match="lower eta"):
        sm.gradient_descent(nets, 100 * x, y, 2.0, 200)


def test_weight():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(13, generator=g, dtype=F64).sort().values
    t = torch.cat([torch.linspace(-3, 3, 101, dtype=F64), x])
    expected = [plain_weight(v, x.tolist()) for v in t.tolist()]
    torch.testing.assert_close(sm.g_weight(t, x), torch.tensor(expected, dtype=F64), rtol=1e-10, atol=1e-14)
    assert sm.g_weight(torch.tensor([math.inf, -math.inf]), x).tolist() == [0, 0]
    many = torch.linspace(-1, 1, 20_001, dtype=F64)
    t = torch.linspace(-1.2, 1.2, 49, dtype=F64)
    torch.testing.assert_close(sm.g_weight(t, many), sm.uniform_weight(t), rtol=0, atol=1e-5)
    assert float(sm.uniform_weight(0.0)) == pytest.approx(math.sqrt(5) / 16)


def test_total_variation_adds_before_it_takes_absolute_values():
    w1 = torch.tensor([[1.0, -1.0, 1.0, 0.0]], dtype=F64)
    knots = torch.tensor([[0.1, 0.1, -0.4, 0.0]], dtype=F64)
    net = sm.LineNet(w1, -w1 * knots, torch.tensor([[2.0, -0.5, 3, 9]], dtype=F64), torch.zeros(1, dtype=F64))
    x = torch.linspace(-1, 1, 8, dtype=F64)
    here, there = sm.g_weight(torch.tensor([0.1, -0.4]), x).tolist()
    assert float(sm.tv(net, x)) == pytest.approx(1.5 * here + 3 * there)
    assert float(sm.path_tv(net, x)) == pytest.approx(2.5 * here + 3 * there)
    assert float(sm.tv(net)) == pytest.approx(4.5)
    assert sm.count_knots(net, x).tolist() == [2]
    assert sm.count_knots(net, x, least=2).tolist() == [1]


@pytest.mark.parametrize("seed", range(20))
def test_bounds_at_random_parameters(seed):
    net, x, y = random_case(seed, n=4 + seed, k=1 + 2 * seed)
    assert sm.flatness_use(net, x).max() <= 1 and sm.residual_use(net, x, y).max() <= 1 + 1e-12
    room = sm.certificate(sm.sharpness(net, x, y), sm.residuals(net, x, y), x) - sm.path_tv(net, x)
    assert room.min() > 0
    assert (sm.tv(net, x) <= sm.path_tv(net, x) + 1e-12).all()


def test_rescaling_changes_the_certificate_only():
    net, x, _ = random_case(1)
    scaled = sm.LineNet(3 * net.w1, 3 * net.b1, net.w2 / 3, net.b2)
    torch.testing.assert_close(scaled(x), net(x))
    torch.testing.assert_close(sm.path_tv(scaled, x), sm.path_tv(net, x))
    assert (sm.gauss_newton_top(scaled, x) - sm.gauss_newton_top(net, x)).abs().min() > 1e-3


def test_spike():
    x = torch.linspace(-1, 1, 30, dtype=F64)
    net = sm.initial_nets(4, seeds=[0])
    for height in (2.0, -1.5, 0.0):
        change = (sm.with_end_spike(net, x, 3, height)(x) - net(x))[0]
        assert change[:27].abs().max() < 1e-12 and float(change[-1]) == pytest.approx(height)


def test_seeds_and_global_state():
    before = torch.random.get_rng_state()
    a, b = sm.initial_nets(5, seeds=[1, 2]), sm.initial_nets(5, seeds=[2])
    assert a.w1[1].equal(b.w1[0]) and not a.w1[0].equal(a.w1[1])
    y = sm.noisy_labels(torch.zeros(7), 1.0, seeds=[4, 5])
    assert y[1].equal(sm.noisy_labels(torch.zeros(7), 1.0, seeds=[5])[0])
    assert torch.random.get_rng_state().equal(before)
    half = sm.initial_nets(5, seeds=[2], scale=0.5)
    torch.testing.assert_close(half(torch.zeros(1)), 0.25 * b(torch.zeros(1)), rtol=1e-4, atol=1e-5)  # the grid


def test_starts_and_labels_lie_on_a_grid():
    nets = sm.initial_nets(30, seeds=range(3), scale=0.7)
    y = sm.noisy_labels(sm.even_points(30), 0.3, seeds=range(3))
    moved = sm.moved(nets, 1e-3, seed=0)
    for values in (nets.w1, nets.b1, nets.w2, y, moved.w1, moved.b2):
        assert (values * 2**20).frac().abs().max() == 0
    assert 0 < float((moved.w1 - nets.w1).abs().max()) < 1e-2 and sm.moved(nets, 0.0, seed=0).w2.equal(nets.w2)
    for n in (2, 7, 40):
        expected = [(2 * i + 1 - n) / (n - 1) for i in range(n)]
        assert sm.even_points(n).tolist() == expected


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda n, x, y: sm.gradient_descent(n, x.flip(0), y, 0.1, 1), ValueError, "x must increase"),
        (lambda n, x, y: sm.gradient_descent(n, x, y[:, :-1], 0.1, 1), ValueError, "y must have shape"),
        (lambda n, x, y: sm.gradient_descent(n, x, y, -0.1, 1), ValueError, "eta must be"),
        (lambda n, x, y: sm.gradient_descent(n, x, y, 0.1, 1.5), TypeError, "steps must be"),
        (lambda n, x, y: sm.gradient_descent(n, x, y * math.nan, 0.1, 1), ValueError, "y must be finite"),
        (lambda n, x, y: sm.g_weight(0.0, x * math.inf), ValueError, "x must be finite"),
        (lambda n, x, y: sm.initial_nets(0, seeds=[0]), ValueError, "k must be at least 1"),
        (lambda n, x, y: sm.noisy_labels(x, -1, seeds=[0]), ValueError, "sigma must be"),
        (lambda n, x, y: sm.even_points(1), ValueError, "n must be at least 2"),
        (lambda n, x, y: sm.moved(n, -1.0, seed=0), ValueError, "size must be"),
        (lambda n, x, y: sm.flattest_pairs([1.0], [1.0]), ValueError, "t must be at least 0 and below 1"),
        (lambda n, x, y: sm.with_end_spike(n, x, 9, 1.0), ValueError, "points must be at most 8"),
        (lambda n, x, y: sm.LineNet(n.w1, n.b1[:1], n.w2, n.b2), ValueError, "b1 must have shape"),
        (lambda n, x, y: sm.LineNet(n.w1.float(), n.b1, n.w2, n.b2), TypeError, "w1 must be float64"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call(*random_case(0))
