"""Every check of the chapter stable-minima passes, and fails when a fault is planted in what it rests on.

Gradient descent at the edge of stability is chaotic; the kernel gives the same bits on every CPU that fuses, and
starts and labels lie on a grid, so the runs are the same everywhere.
"""

import math

import pytest
import torch
from chapter_cells import Fault, scaled, see_it_fail, without_near_fault

from implicitly import stability

F64 = torch.float64
LIBRARY = "implicitly.stability."


def line(n):
    return stability.even_points(n)


def tent(x):
    return (1 - 2 * x.abs()).clamp_min(0)


def larger_weight(t, x):
    """The larger of the two one-sided weights."""
    right = (x - t[..., None]).clamp_min(0).mean(-1), x > t[..., None]
    left = (t[..., None] - x).clamp_min(0).mean(-1), x < t[..., None]
    up, down = (
        reach * (on.double().mean(-1).square() + (x * on).mean(-1).square()).sqrt() for reach, on in (right, left)
    )
    return torch.maximum(up, down)


def lopsided_pairs(t, size, pairs=stability.flattest_pairs):
    """Balance lost by a factor of four."""
    net, x = pairs(t, size)
    return stability.LineNet(2 * net.w1, 2 * net.b1, net.w2 / 2, net.b2), x


def without_one(net, x, y, use=stability.residual_use):
    """|x| in place of sqrt(1 + x**2)."""
    far = float(x.abs().max())
    return use(net, x, y) * math.sqrt(1 + far**2) / far


def without_residuals(top, residual, x):
    """The residual term dropped; residuals can make the Hessian flatter than its Gauss-Newton part."""
    return (torch.as_tensor(top) - 1) / 2 * torch.ones(len(residual), dtype=F64)


def lower_edge(top, residual, x):
    """A network held to the edge 1 / eta in place of 2 / eta, without residuals."""
    return (torch.as_tensor(top) / 2 - 1) / 4 * torch.ones(len(residual), dtype=F64)


def all_alike(net, x):
    """Every kink charged alike."""
    return net.jumps.abs().sum(1)


def charged_everywhere(net, x=None, tv=stability.tv):
    """Every kink inside charged alike."""
    return tv(net)


def limit_weight(x, y):
    """The limit weight of a uniform law in place of the weight of these points."""
    return ((y.diff() / x.diff()).diff().abs() * stability.uniform_weight(x[1:-1])).sum(-1)


def differences(x, y):
    """Differences in place of slopes."""
    return y.diff(dim=-1)


def hardly_a_step(net, x, y, eta, steps, descent=stability.gradient_descent):
    return descent(net, x, y, eta, min(steps, 3))


def stopped_early(net, x, y, eta, steps, descent=stability.gradient_descent):
    return descent(net, x, y, eta, steps // 500)


def interpolates(net, x, y, eta, steps):
    """Another method, which follows every label."""
    return stability.spline_net(x, y)


def one_step_size(net, x, y, eta, steps, descent=stability.gradient_descent):
    """The step size has no effect; and few steps."""
    return descent(net, x, y, 0.1, 200)


def thrown(net, x, y, eta, steps, descent=stability.gradient_descent):
    """The largest step kills every second neuron."""
    net = descent(net, x, y, eta, steps)
    alive = torch.arange(net.w2.shape[1]).fmod(2)
    return net if eta < 0.5 else stability.LineNet(net.w1, net.b1, net.w2 * alive, net.b2)


def always_ridge(x, y, z, width, *, ridge=0.0, fit=stability.kernel_fit):
    """The kernel's interpolant is smoothed."""
    return fit(x, y, z, width, ridge=max(ridge, 1e-2))


def unbalanced(net, x, points, height, spike=stability.with_end_spike):
    """No balance in the neuron of the spike."""
    net = spike(net, x, points, height)
    factor = torch.ones_like(net.w1)
    factor[:, -1] = 0.1
    return stability.LineNet(net.w1 * factor, net.b1 * factor, net.w2 / factor, net.b2)


def from_the_middle(net, x, points, height, spike=stability.with_end_spike):
    """A ramp that starts in the middle of the data."""
    return spike(net, x, len(x) // 2, height)


TIMES = "[1, 3, 10, 30, 100, 300, 1000, 2000, 3000, 5000, 10_000]"
EARLY = {"range(12)": "range(2)", TIMES: "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 30]"}
RUNS = {"range(12)": "range(4)", TIMES: "[10, 3000]"}
LATE = {"range(12)": "range(2)", TIMES: "[1, 3, 10, 30, 100, 300, 1000, 1500, 2000, 2500, 3000]"}
STEP_SIZES = "(0.03, 0.1, 0.2, 0.3, 0.5)"
PARKED = {"range(12)": "range(3)", TIMES: "[5000]", STEP_SIZES: "(0.1, 0.2)"}
STOPPED = {"range(12)": "range(4)", TIMES: "[100, 5000]", STEP_SIZES: "(0.1, 0.2)"}
SLOW_RAMP = {"range(12)": "range(4)", TIMES: "[3000]", STEP_SIZES: "(0.03,)"}
RAMP = SLOW_RAMP | {"round(2000 / eta)": "round(500 / eta)"}
FEW_NETS = {"range(100)": "range(20)"}
TWO_SIZES = {"range(36)": "range(4)", "(20, 40, 80, 160)": "(20, 160)"}
INTERPOLANTS = TWO_SIZES | {"range(36)": "range(12)", "50_000": "10"}
BELOW, ABOVE = ({"(0.9, 1.1, 2.0)": f"({factor},)"} for factor in (0.9, 1.1))


def times(name, factor):
    return LIBRARY + name, scaled(LIBRARY + name, factor)


FAULTS = [
    Fault("C1", "inequality", LIBRARY + "g_weight", larger_weight, EARLY | FEW_NETS, far=True),
    Fault("C1", "inequality", *times("path_tv", 2), EARLY | FEW_NETS),
    Fault("C1", "attained", *times("path_tv", 1 + 1e-8)),
    Fault("C1", "attained", *times("path_tv", 2), far=True),
    Fault("C1", "attained", LIBRARY + "flattest_pairs", lopsided_pairs, far=True),
    Fault("C2", "inequality", *times("hessian_parts", 2), FEW_NETS),
    Fault("C2", "attained", LIBRARY + "residual_use", without_one, far=True),
    Fault("C2", "attained", *times("residual_use", 1 + 1e-8)),
    Fault("C2", "certificate", LIBRARY + "certificate", without_residuals, FEW_NETS),
    Fault("C3", "bound", LIBRARY + "tv", charged_everywhere, EARLY),
    Fault("C3", "bound", LIBRARY + "certificate", lower_edge, LATE),
    Fault("C3", "at rest", *times("gradient_norm", 0), far=True),
    Fault("C3", "at rest", *times("gradient_norm", 2e-6)),
    Fault("C3", "minima", LIBRARY + "path_tv", all_alike),
    Fault("C4", "edge", *times("sharpness", 1.2), RUNS),
    Fault("C4", "parked", *times("sharpness", 0.9), PARKED),
    Fault("C4", "parked", LIBRARY + "gradient_descent", stopped_early, PARKED),
    Fault("C4", "kinks", LIBRARY + "gradient_descent", one_step_size, RUNS),
    Fault("C4", "ramp", LIBRARY + "gradient_descent", one_step_size, RAMP),
    Fault("C5", "small", LIBRARY + "gradient_descent", one_step_size, RUNS),
    Fault("C5", "large", LIBRARY + "gradient_descent", one_step_size, RUNS),
    Fault("C5", "tent", *times("sharpness", 2)),
    Fault("C5", "stopped", LIBRARY + "gradient_descent", one_step_size, STOPPED),
    Fault("C5", "no throw", LIBRARY + "gradient_descent", thrown, SLOW_RAMP),
    Fault("C6", "least", LIBRARY + "spline_tv", limit_weight, {"range(13)": "range(2)"}, far=True),
    Fault("C6", "least", *times("spline_tv", 1 + 1e-4), {"range(13)": "range(2)"}),
    Fault("C6", "law", *times("expected_interpolation_tv", math.sqrt(math.pi / 2))),  # standard deviation for mean
    Fault("C6", "law from above", *times("expected_interpolation_tv", math.sqrt(4 / 6))),  # independent differences
    Fault("C6", "power", LIBRARY + "line_fits._slopes", differences),
    Fault("C6", "power", LIBRARY + "expected_interpolation_tv", lambda x, sigma: len(x) ** 2.05),
    Fault("C6", "constant", *times("expected_interpolation_tv", math.sqrt(2 / 6)), far=True),  # a first difference
    Fault("C6", "constant", *times("expected_interpolation_tv", 1.02)),
    Fault("C6", "stays", *times("sharpness", 1 / 1.3), BELOW, far=True),
    Fault("C6", "stays", LIBRARY + "gradient_descent", hardly_a_step, BELOW),
    Fault("C6", "settles", *times("sharpness", 1.2), ABOVE),
    Fault("C7", None, LIBRARY + "gradient_descent", interpolates, TWO_SIZES),
    Fault("C8", "falls", LIBRARY + "gradient_descent", interpolates, TWO_SIZES),
    Fault("C8", "interpolation", LIBRARY + "kernel_fit", always_ridge, INTERPOLANTS),
    Fault("C9", "spike", LIBRARY + "with_end_spike", unbalanced),
    Fault("C9", "spike", LIBRARY + "with_end_spike", from_the_middle),
    Fault("C9", "boundary", LIBRARY + "gradient_descent", one_step_size, RUNS),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("stable-minima", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("stable-minima", FAULTS)


def test_spline_network_has_the_order_of_the_law():
    """In words after C6: the trace of the Gauss-Newton part is at most 1 + 11 sum |J|, knots just off the data."""
    for n in (10, 40, 160):
        x = line(n)
        net = stability.spline_net(x, stability.noisy_labels(tent(x), 0.3, seeds=range(5)))
        off = stability.LineNet(net.w1, net.b1 - 1e-9 * net.w1, net.w2, net.b2)
        trace = stability.hessian_parts(off, x, torch.zeros(n))[0].diagonal(dim1=1, dim2=2).sum(1)
        assert (trace <= 1 + 11 * net.jumps.abs().sum(1)).all()


def test_price_of_a_spike_from_below():
    """After C9: G costs at least 2 p |w1 w2| (mean x - t) sqrt(1 + mean x ** 2), p its share of points."""
    x = line(200)
    for last in (1, 5, 40):
        spiky = stability.with_end_spike(stability.initial_nets(3, seeds=range(5)), x, last, 200.0)
        mean, size, t = x[-last:].mean(), spiky.jumps[:, -1].abs(), spiky.knots[:, -1]
        assert (stability.gauss_newton_top(spiky, x) >= 2 * last / 200 * size * (mean - t) * (1 + mean**2).sqrt()).all()
