"""Univariate networks: gradients, Hessians, weights and total variations against exact cases and plain loops."""

import math

import pytest
import torch

from implicitly import stability
from implicitly.stability import flatness

F64 = torch.float64


def random_case(seed, n=9, k=6):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, generator=g, dtype=F64).sort().values
    return stability.initial_nets(k, seeds=[seed, seed + 1]), x, torch.randn(2, n, generator=g, dtype=F64)


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
    net = stability.LineNet(*(torch.tensor([v], dtype=F64) for v in ([2.0, -1, 0], [-1.0, 0.5, 1], [3.0, 4, 5])),
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
        G, R = stability.hessian_parts(net, x, y[i])
        torch.testing.assert_close(G[0] + R[0], full)
        assert R.diagonal(dim1=1, dim2=2).abs().max() == 0
        top = torch.linalg.eigvalsh(full)[-1]
        torch.testing.assert_close(stability.sharpness(net, x, y[i])[0], top)
        torch.testing.assert_close(stability.gauss_newton_top(net, x)[0], torch.linalg.eigvalsh(G[0])[-1])
        torch.testing.assert_close(full[-1, -1], torch.tensor(1.0, dtype=F64))  # the output bias


def test_lanczos_is_dense():
    net, x, y = stability.initial_nets(50, seeds=[0]), *random_case(0)[1:]
    dense = torch.linalg.eigvalsh(sum(stability.hessian_parts(net, x, y[0])))[0, -1]
    torch.testing.assert_close(stability.sharpness(net, x, y[0])[0], dense)


def test_descent_is_autograd():
    nets, x, y = random_case(3)
    end = stability.gradient_descent(nets, x, y, torch.tensor([0.01, 0.02], dtype=F64), 20)
    for i, eta in enumerate((0.01, 0.02)):
        theta = flat(nets[i])
        for _ in range(20):
            theta = theta - eta * torch.func.grad(plain_loss)(theta, 6, x, y[i])
        torch.testing.assert_close(flat(end[i]), theta)
    assert stability.gradient_descent(nets, x, y, 0.1, 0).w1.equal(nets.w1)


def test_descent_says_when_it_diverges():
    nets, x, y = random_case(0, k=50)
    with pytest.raises(RuntimeError, match="lower eta"):
        stability.gradient_descent(nets, 100 * x, y, 2.0, 200)


def test_weight():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(13, generator=g, dtype=F64).sort().values
    t = torch.cat([torch.linspace(-3, 3, 101, dtype=F64), x])
    expected = [plain_weight(v, x.tolist()) for v in t.tolist()]
    torch.testing.assert_close(stability.g_weight(t, x), torch.tensor(expected, dtype=F64), rtol=1e-10, atol=1e-14)
    assert stability.g_weight(torch.tensor([math.inf, -math.inf]), x).tolist() == [0, 0]
    many = torch.linspace(-1, 1, 20_001, dtype=F64)
    t = torch.linspace(-1.2, 1.2, 49, dtype=F64)
    torch.testing.assert_close(stability.g_weight(t, many), stability.uniform_weight(t), rtol=0, atol=1e-5)
    assert float(stability.uniform_weight(0.0)) == pytest.approx(math.sqrt(5) / 16)


def test_total_variation_adds_before_it_takes_absolute_values():
    w1 = torch.tensor([[1.0, -1.0, 1.0, 0.0]], dtype=F64)
    knots = torch.tensor([[0.1, 0.1, -0.4, 0.0]], dtype=F64)
    net = stability.LineNet(w1, -w1 * knots, torch.tensor([[2.0, -0.5, 3, 9]], dtype=F64), torch.zeros(1, dtype=F64))
    x = torch.linspace(-1, 1, 8, dtype=F64)
    here, there = stability.g_weight(torch.tensor([0.1, -0.4]), x).tolist()
    assert float(stability.tv(net, x)) == pytest.approx(1.5 * here + 3 * there)
    assert float(stability.path_tv(net, x)) == pytest.approx(2.5 * here + 3 * there)
    assert float(stability.tv(net)) == pytest.approx(4.5)
    assert stability.count_kinks(net, x).tolist() == [2]
    assert stability.count_kinks(net, x, least=2).tolist() == [1]
    assert stability.kink_gaps(net, x).sum() == 2


@pytest.mark.parametrize("seed", range(20))
def test_bounds_at_random_parameters(seed):
    net, x, y = random_case(seed, n=4 + seed, k=1 + 2 * seed)
    assert stability.flatness_use(net, x).max() <= 1 and stability.residual_use(net, x, y).max() <= 1 + 1e-12
    room = stability.certificate(stability.sharpness(net, x, y), stability.residuals(net, x, y), x) - stability.path_tv(
        net, x
    )
    assert room.min() > 0
    assert (stability.tv(net, x) <= stability.path_tv(net, x) + 1e-12).all()


def test_rescaling_changes_the_certificate_only():
    net, x, _ = random_case(1)
    scaled = stability.LineNet(3 * net.w1, 3 * net.b1, net.w2 / 3, net.b2)
    torch.testing.assert_close(scaled(x), net(x))
    torch.testing.assert_close(stability.path_tv(scaled, x), stability.path_tv(net, x))
    assert (stability.gauss_newton_top(scaled, x) - stability.gauss_newton_top(net, x)).abs().min() > 1e-3


def test_spike():
    x = torch.linspace(-1, 1, 30, dtype=F64)
    net = stability.initial_nets(4, seeds=[0])
    for height in (2.0, -1.5, 0.0):
        change = (stability.with_end_spike(net, x, 3, height)(x) - net(x))[0]
        assert change[:27].abs().max() < 1e-12 and float(change[-1]) == pytest.approx(height)


def test_seeds_and_global_state():
    before = torch.random.get_rng_state()
    a, b = stability.initial_nets(5, seeds=[1, 2]), stability.initial_nets(5, seeds=[2])
    assert a.w1[1].equal(b.w1[0]) and not a.w1[0].equal(a.w1[1])
    y = stability.noisy_labels(torch.zeros(7), 1.0, seeds=[4, 5])
    assert y[1].equal(stability.noisy_labels(torch.zeros(7), 1.0, seeds=[5])[0])
    assert torch.random.get_rng_state().equal(before)
    half = stability.initial_nets(5, seeds=[2], scale=0.5)
    torch.testing.assert_close(half(torch.zeros(1)), 0.25 * b(torch.zeros(1)), rtol=1e-4, atol=1e-5)  # the grid


def test_starts_and_labels_lie_on_a_grid():
    nets = stability.initial_nets(30, seeds=range(3), scale=0.7)
    y = stability.noisy_labels(stability.even_points(30), 0.3, seeds=range(3))
    moved = stability.moved(nets, 1e-3, seed=0)
    for values in (nets.w1, nets.b1, nets.w2, y, moved.w1, moved.b2):
        assert (values * 2**20).frac().abs().max() == 0
    assert 0 < float((moved.w1 - nets.w1).abs().max()) < 1e-2 and stability.moved(nets, 0.0, seed=0).w2.equal(nets.w2)
    for n in (2, 7, 40):
        expected = [(2 * i + 1 - n) / (n - 1) for i in range(n)]
        assert stability.even_points(n).tolist() == expected


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda n, x, y: stability.gradient_descent(n, x.flip(0), y, 0.1, 1), ValueError, "x must increase"),
        (lambda n, x, y: stability.gradient_descent(n, x, y[:, :-1], 0.1, 1), ValueError, "y must have shape"),
        (lambda n, x, y: stability.gradient_descent(n, x, y, -0.1, 1), ValueError, "eta must be"),
        (lambda n, x, y: stability.gradient_descent(n, x, y, 0.1, 1.5), TypeError, "steps must be"),
        (lambda n, x, y: stability.gradient_descent(n, x, y * math.nan, 0.1, 1), ValueError, "y must be finite"),
        (lambda n, x, y: stability.g_weight(0.0, x * math.inf), ValueError, "x must be finite"),
        (lambda n, x, y: stability.initial_nets(0, seeds=[0]), ValueError, "k must be at least 1"),
        (lambda n, x, y: stability.noisy_labels(x, -1, seeds=[0]), ValueError, "sigma must be"),
        (lambda n, x, y: stability.even_points(1), ValueError, "n must be at least 2"),
        (lambda n, x, y: stability.moved(n, -1.0, seed=0), ValueError, "size must be"),
        (lambda n, x, y: stability.flattest_pairs([1.0], [1.0]), ValueError, "t must be at least 0 and below 1"),
        (lambda n, x, y: stability.with_end_spike(n, x, 9, 1.0), ValueError, "points must be at most 8"),
        (lambda n, x, y: stability.LineNet(n.w1, n.b1[:1], n.w2, n.b2), ValueError, "b1 must have shape"),
        (lambda n, x, y: stability.LineNet(n.w1.float(), n.b1, n.w2, n.b2), TypeError, "w1 must be float64"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call(*random_case(0))


# --- the edges --------------------------------------------------------------------------------------------------------


def test_numbers_and_lists_are_float64():
    x = [-1.0, -0.7, 0.1, 0.8, 1.0]  # g jumps at -0.7, which float32 misses
    exact = 0.2**2 * 0.3 * math.sqrt(2)  # one point of five beyond, 0.3 away, at -1
    assert float(stability.g_weight(-0.7, x)) == pytest.approx(exact, rel=1e-14) == plain_weight(-0.7, x)
    tenths = torch.tensor([0.1, 0.2, 0.7], dtype=F64)
    net = stability.initial_nets(3, seeds=[0])
    for call in (
        net,
        stability.uniform_weight,
        lambda v: stability.residuals(net, v, v),
        lambda v: stability.noisy_labels(v, 0.0, seeds=[0]),
        lambda v: stability.flattest_pairs(v, v)[0].w1,
        lambda v: stability.certificate(0.1, v[None] if isinstance(v, torch.Tensor) else [v], [0.1, 0.2, 0.3]),
        lambda v: stability.gradient_descent(net, v, v, 0.1, 3).w1,
    ):
        assert call(tenths.tolist()).equal(call(tenths))


def test_a_batch_is_a_sequence():
    nets = stability.initial_nets(2, seeds=[0, 1])
    assert [net.w1[0].tolist() for net in nets] == nets.w1.tolist()
    assert nets[-1].w1.equal(nets.w1[1:]) and nets[[1, 0]].w1.equal(nets.w1.flip(0)) and len(nets[:0]) == 0
    assert nets[torch.tensor([False, True])].w1.equal(nets.w1[1:])
    assert stability.LineNet.join(list(nets)).w1.equal(nets.w1)
    for index in (2, -3, [0, 2]):
        with pytest.raises(IndexError, match="index must lie in -2 to 1, found"):
            nets[index]
    with pytest.raises(ValueError, match=r"nets must have one width, found \[2, 3\]"):
        stability.LineNet.join([nets, stability.initial_nets(3, seeds=[0])])
    assert (
        nets != stability.initial_nets(2, seeds=[0, 1]) and nets == nets
    )  # identity: no truth value of tensors is asked for


def test_an_interpolating_network_uses_none_of_the_residuals_share():
    nets, x = stability.initial_nets(3, seeds=[0, 1]), stability.even_points(5)
    y = torch.stack([nets(x)[0], nets(x)[1] + 1])
    use = stability.residual_use(nets, x, y)
    assert use[0] == 0 and use[1] == stability.residual_use(nets[1], x, y[1])[0] > 0


@pytest.mark.parametrize("k", [0, 40])
def test_constant_networks(k):
    """Without neurons, or with all weights 0, the Hessian is 1 in the output bias and 0 elsewhere."""
    net = stability.LineNet(*(torch.zeros(2, k, dtype=F64) for _ in range(3)), torch.tensor([0.5, 1.0], dtype=F64))
    x, y = stability.even_points(5), torch.ones(5)
    assert net(x).tolist() == [[0.5] * 5, [1.0] * 5]
    torch.testing.assert_close(stability.sharpness(net, x, y), torch.ones(2, dtype=F64))
    torch.testing.assert_close(stability.gauss_newton_top(net, x), torch.ones(2, dtype=F64))
    for of in (
        stability.tv(net, x),
        stability.tv(net),
        stability.path_tv(net, x),
        stability.flatness_use(net, x),
        stability.count_kinks(net, x),
    ):
        assert of.tolist() == [0, 0]
    assert stability.residual_use(net, x, y).tolist() == [0, 0]
    assert stability.gradient_norm(net, x, y).tolist() == [0.5, 0.0]
    assert stability.with_end_spike(net, x, 1, 2.0)(x)[:, -1].tolist() == pytest.approx([2.5, 3.0])


def test_no_neurons_cannot_be_trained():
    net = stability.LineNet(*(torch.zeros(1, 0, dtype=F64) for _ in range(3)), torch.zeros(1, dtype=F64))
    with pytest.raises(ValueError, match="net must have at least one neuron"):
        stability.gradient_descent(net, [0.0], [1.0], 0.1, 1)


def test_one_point():
    """At one point x the network bends nowhere that counts, and the one eigenvalue is that of the gradient."""
    net, x, y = stability.initial_nets(4, seeds=[0]), [0.3], [1.0]
    top = flatness._features(net, torch.tensor(x, dtype=F64)).square().sum((1, 2))
    torch.testing.assert_close(stability.gauss_newton_top(net, x), top)
    torch.testing.assert_close(
        stability.gradient_norm(net, x, y), stability.residuals(net, x, y).abs()[:, 0] * top.sqrt()
    )
    for of in (
        stability.tv(net, x),
        stability.path_tv(net, x),
        stability.flatness_use(net, x),
        stability.count_kinks(net, x),
    ):
        assert of.tolist() == [0]
    with pytest.raises(ValueError, match="points must be at most 0, found 1"):
        stability.with_end_spike(net, x, 1, 1.0)


@pytest.mark.parametrize("size", [1e-5, 1e-9, 1e-20, 1e-50])
def test_flatness_of_small_weights(size):
    """Both sides of C1 are of second order in the weights: the share has a limit, and is no quotient of rounding."""
    net, x = stability.initial_nets(10, seeds=[0]), stability.even_points(5)
    small = stability.LineNet(size * net.w1, size * net.b1, size * net.w2, net.b2)
    J = flatness._features(net, x)[..., :-1]
    limit = (
        2 * stability.path_tv(net, x) / J.mean(1).square().sum(1)
    )  # first order of the eigenvalue: |mean gradient|**2
    torch.testing.assert_close(stability.flatness_use(small, x), limit, rtol=max(1e-12, 30 * size**2), atol=0)


def test_weights_at_infinity_and_nan():
    ends = [math.inf, -math.inf, 1e300, 1.0, -1.0]
    assert stability.uniform_weight(ends).tolist() == [0] * 5 and not stability.g_weight(ends, [-1.0, 1.0]).any()
    for call in (stability.uniform_weight, lambda t: stability.g_weight(t, [-1.0, 1.0])):
        with pytest.raises(ValueError, match="t must be numbers or infinite, found NaN"):
            call([0.0, math.nan])


def test_a_run_that_grows_beyond_all_squares_says_so():
    net = stability.LineNet(*(torch.full((1, 1), v, dtype=F64) for v in (1e29, 0.0, 1e29)), torch.zeros(1, dtype=F64))
    with pytest.raises(RuntimeError, match="lower eta"):
        stability.gradient_descent(net, [1.0], [0.0], 1.0, 1)
    with pytest.raises(ValueError, match=r"x must be at least -1e\+30 and at most 1e\+30, found 1e\+31 at \[1\]"):
        stability.certificate(1.0, [[0.0, 1.0]], [0.0, 1e31])
