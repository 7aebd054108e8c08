"""Langevin chains: float64, closed forms of the stationary law, exact continuation, bad input."""

import numpy as np
import pytest
import torch
from lanes import relative_error

from implicitly_kernels import Polynomial, TanhNet, langevin
from implicitly_kernels.langevin import reference

TRITON = "kernels/implicitly_kernels/langevin/_triton.py"
NUMBA = "kernels/implicitly_kernels/langevin/_numba.py"
MODES = [
    {},
    {"prior_var": 0.5},
    {"box": 0.6},
    {"prior_var": 0.7, "metropolis": True},
    {"box": 0.8, "metropolis": True},
]


def problems(dtype=torch.float64, big=False):
    """(potential, d) pairs of odd sizes, in `dtype`."""
    g = torch.Generator().manual_seed(0)
    made = []
    for n, d_in, hidden in ((5, 3, 2), (9, 5, 7), (33, 64, 32) if big else (4, 18, 3)):
        x = torch.randn(n, d_in, generator=g, dtype=torch.float64)
        y = (torch.rand(n, generator=g) < 0.5).to(dtype)
        made.append((TanhNet(x.to(dtype), y, hidden), hidden * (d_in + 1)))
    for d in (1, 6):
        coef = 0.3 * torch.randn(d, 5, generator=g, dtype=torch.float64)
        coef[:, 4] = 0.3
        made.append((Polynomial(coef.to(dtype)), d))
    return made


def parts(potential, device="cpu"):
    """The a, b, kind, hidden arguments of a backend's run."""
    if isinstance(potential, Polynomial):
        return potential.coefficients.to(device), torch.zeros(0, device=device), "polynomial", 0
    return potential.x.to(device), potential.y.to(device), "net", potential.hidden


def check_against_float64(run, device, chains, steps, big=False, small=False):
    """Every mode of every potential: a short run, each chain within 1e-5 of the float64 reference."""
    for (single, d), (double, _) in zip(problems(torch.float32, big), problems(big=big),
                                        strict=True):
        for mode in MODES:
            if small and d in (1, 42, 57) and mode not in MODES[-1:]:  # the interpreter's time
                continue
            g = torch.Generator().manual_seed(1)
            theta = (1.1 * torch.rand(chains, d, generator=g) - 0.55).float()
            beta = 5 + 20 * torch.rand(chains, generator=g)
            precision = torch.full((d,), 1 / mode.get("prior_var", float("inf")))
            box = torch.full((d,), mode.get("box", float("inf")))
            metropolis = mode.get("metropolis", False)
            tail = (0.02, steps, metropolis, 2**33 + 1, 10)
            want = reference.run(theta.double(), beta.double(), precision.double(), box.double(),
                                 *parts(double), *tail)
            got = run(theta.to(device), beta.to(device), precision.to(device), box.to(device),
                      *parts(single, device), *tail)
            size = want[0].norm(dim=1) + 0.3 * d**0.5  # a coordinate may happen to be near zero
            close = (got[0].cpu() - want[0]).norm(dim=1) < 1e-5 * size
            close &= (got[1].cpu() - want[1]).abs() < 1e-5 * (1 + want[1].abs())
            close &= got[2].cpu() == want[2]
            # A refusal within rounding of its threshold may flip: allow one chain in a hundred.
            assert close.double().mean() >= (0.99 if metropolis else 1), mode
            if "box" in mode:
                assert (got[0].abs() <= box.to(device)).all()
            assert (got[2] <= steps).all()
            if not metropolis:
                assert (got[2] == steps).all()


def test_backends_against_float64(fast_lane, small):
    from implicitly_kernels.langevin import _DISPATCH

    backend, device = fast_lane
    for chains in (21,) if small else (300, 7):  # whole vectors, and less than one
        check_against_float64(_DISPATCH.load(backend), device, chains, 2 if small else 8, big=not small, small=small)


def test_gradients_against_autograd():
    for potential, d in problems():
        theta = torch.randn(7, d, dtype=torch.float64, requires_grad=True)
        a, b, kind, hidden = parts(potential)
        f = reference.polynomial if kind == "polynomial" else reference.tanh_net
        loss, grad = f(theta, a) if kind == "polynomial" else f(theta, a, b, hidden)
        (auto,) = torch.autograd.grad(loss.sum(), theta)
        assert relative_error(grad.detach(), auto) < 1e-13
        if kind == "net":  # the loss itself, by torch's own
            w1, w2 = theta[0, : -hidden].view(hidden, -1), theta[0, -hidden:]
            z = torch.tanh(a @ w1.T) @ w2
            bce = torch.nn.functional.binary_cross_entropy_with_logits(z, b)
            assert abs(bce - loss[0]) < 1e-13


def stationary(backend, device, size, **kwargs):
    """Chains of L = theta^2/2 at beta 4, long enough to forget the start."""
    coef = torch.zeros(4, 5, device=device)
    coef[:, 2] = 0.5
    theta = torch.zeros(size, 4, device=device)
    steps = kwargs.pop("steps")
    out, loss, accepted = langevin(theta, Polynomial(coef), beta=4.0, steps=steps, seed=3,
                                   backend=backend, **kwargs)
    return out.double().cpu(), loss, accepted


def test_stationary_variance_of_ula(lane, request):
    """Oracle: Euler's chain on a quadratic is AR(1) with variance (1/(beta k))/(1 - eta k/2)."""
    if "triton-cpu" in request.node.name:
        pytest.skip("too many interpreted steps; the same numbers are compared step by step above")
    backend, device = lane
    size = 100_000 if device == "cuda" else 20_000
    eta, s2 = 0.5, 2.0
    k = 1 + 1 / (4 * s2)
    theta, _, _ = stationary(backend, device, size, eta=eta, steps=30, prior_var=s2)
    variance = (1 / (4 * k)) / (1 - eta * k / 2)
    n = theta.numel()
    assert abs(theta.var() / variance - 1) < 5 * (2 / n) ** 0.5
    assert abs(theta.mean()) < 5 * (variance / n) ** 0.5
    assert abs((theta**4).mean() / (3 * variance**2) - 1) < 5 * (96 / 9 / n) ** 0.5


def test_metropolis_removes_the_bias(lane, request):
    """MALA at the same step size: the exact Gaussian variance, where ULA is off by a third."""
    if "triton-cpu" in request.node.name:
        pytest.skip("too many interpreted steps; the same numbers are compared step by step above")
    backend, device = lane
    size = 100_000 if device == "cuda" else 8_000
    theta, _, accepted = stationary(backend, device, size, eta=0.5, steps=60, metropolis=True)
    n = theta.numel()
    assert abs(theta.var() / 0.25 - 1) < 5 * (2 / n) ** 0.5 + 2e-3
    rate = accepted.double().mean().item() / 60
    assert 0.5 < rate < 0.99


def test_reflection_survives_any_overshoot():
    v = torch.tensor([0.0, 1.0, 1.5, 2.5, 3.0, 5.2, -1.5, -7.3], dtype=torch.float64)
    want = []
    for x in v.tolist():  # mirror by mirror
        while abs(x) > 1:
            x = 2 - x if x > 1 else -2 - x
        want.append(x)
    got = reference.reflect(v, torch.ones((), dtype=torch.float64))
    assert (got - torch.tensor(want, dtype=torch.float64)).abs().max() < 1e-12


def test_box_law_is_uniform(lane, request):
    """No potential: reflected steps keep the uniform law, with no mass on the wall."""
    backend, device = lane
    size, steps = (600, 2) if "triton-cpu" in request.node.name else (20_000, 20)
    g = torch.Generator().manual_seed(4)
    start = (2 * torch.rand(size, 4, generator=g) - 1).to(device)
    theta, _, _ = langevin(start, Polynomial(torch.zeros(4, 5, device=device)), beta=1.0, eta=0.3,
                           steps=steps, box=1.0, seed=9, backend=backend)
    sorted_values = (theta.flatten().double().cpu().sort().values.numpy() + 1) / 2
    n = sorted_values.size
    distance = np.abs(sorted_values - (np.arange(n) + 0.5) / n).max()
    assert distance < 2.6 / n**0.5  # Kolmogorov: rarer than 3e-6
    assert (theta.abs() == 1).sum() <= 2


def test_a_run_continues_bit_for_bit(lane):
    backend, device = lane
    potential, d = problems(torch.float32)[1]
    potential = TanhNet(potential.x.to(device), potential.y.to(device), potential.hidden)
    theta = torch.zeros(6, d, device=device)
    kwargs = {"beta": 10.0, "eta": 0.01, "seed": 4, "backend": backend, "prior_var": 1.0}
    whole = langevin(theta, potential, steps=5, **kwargs)[0]
    half = langevin(theta, potential, steps=2, **kwargs)[0]
    rest = langevin(half, potential, steps=3, first_step=2, **kwargs)[0]
    assert torch.equal(rest, whole)
    assert torch.equal(langevin(theta, potential, steps=5, **kwargs)[0], whole)
    other = langevin(theta, potential, steps=5, **(kwargs | {"seed": 5}))[0]
    assert not torch.equal(other, whole)


def test_no_two_chains_and_no_two_steps_share_noise():
    z = torch.cat([reference.normals(1, torch.arange(50), s, [3] * 4 + [5], torch.float32)
                   for s in range(4)])
    assert z.unique().numel() == z.numel()


def test_shapes_and_zero_steps(lane):
    backend, device = lane
    coef = torch.ones(3, 5, device=device)
    theta = torch.rand(5, 6, device=device)[:, ::2]
    out, loss, accepted = langevin(theta, Polynomial(coef), beta=1.0, eta=0.1, steps=0,
                                   backend=backend)
    assert torch.equal(out, theta) and accepted.tolist() == [0] * 5
    want = sum(theta.double() ** k for k in range(5)).sum(1)
    assert relative_error(loss, want) < 1e-6
    out, loss, accepted = langevin(theta[:0], Polynomial(coef), beta=1.0, eta=0.1, steps=3,
                                   backend=backend)
    assert out.shape == (0, 3) and loss.shape == (0,) and accepted.shape == (0,)


def test_float64_runs_by_default_and_only_in_the_reference(monkeypatch):
    monkeypatch.delenv("IMPLICITLY_BACKEND", raising=False)
    theta, coef = torch.rand(5, 3, dtype=torch.float64), torch.ones(3, 5, dtype=torch.float64)
    rest = {"beta": 2.0, "eta": 0.01, "steps": 4}
    got = langevin(theta, Polynomial(coef), **rest)
    want = langevin(theta, Polynomial(coef), **rest, backend="reference")
    assert got[0].dtype == torch.float64
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))
    with pytest.raises(ValueError, match="the numba backend computes in float32"):
        langevin(theta, Polynomial(coef), **rest, backend="numba")


def test_opcheck(lane):
    backend, device = lane
    theta = torch.zeros(3, 2, device=device)
    ones = torch.ones(3, device=device)
    torch.library.opcheck(
        torch.ops.implicitly.langevin.default,
        (theta, ones, torch.ones(2, device=device), torch.ones(2, device=device),
         torch.ones(2, 5, device=device), theta.new_zeros(0), "polynomial", 0, 0.1, 2, False, 0, 0,
         backend))


def test_no_gradient():
    theta = torch.zeros(2, 3, requires_grad=True)
    out = langevin(theta, Polynomial(torch.ones(3, 5)), beta=1.0, eta=0.1, steps=1)[0]
    with pytest.raises(NotImplementedError, match="not differentiable"):
        out.sum().backward()


POLY = Polynomial(torch.ones(3, 5))
NET = TanhNet(torch.ones(4, 2), torch.ones(4), 1)
NAN = torch.full((2, 3), float("nan"))
BAD = [
    (TypeError, "theta: expected dtype float32", {"theta": torch.zeros(2, 3).half()}),
    (ValueError, "theta: expected 2 dimensions", {"theta": torch.zeros(3)}),
    (ValueError, r"theta: expected finite values, got nan at \(0, 0\)", {"theta": NAN}),
    (ValueError, r"theta: expected starts inside the box, got 1.0 at \(0, 0\)",
     {"theta": torch.ones(2, 3), "box": 0.5}),
    (ValueError, "theta: expected at least one parameter a chain, got none", {"theta": torch.zeros(2, 0)}),
    (TypeError, "potential: expected a Polynomial or a TanhNet", {"potential": torch.ones(3, 5)}),
    (ValueError, r"coefficients: expected shape \(3, 5\), got \(4, 5\)",
     {"potential": Polynomial(torch.ones(4, 5))}),
    (TypeError, "coefficients: expected dtype float32, got torch.float64",
     {"potential": Polynomial(torch.ones(3, 5, dtype=torch.float64))}),
    (TypeError, "metropolis: expected True or False, got str", {"metropolis": "no"}),
    (ValueError, r"theta: expected hidden \* \(d_in \+ 1\) = 6 parameters",
     {"potential": TanhNet(NET.x, NET.y, 2)}),
    (ValueError, "beta: expected a finite number > 0, got -1", {"beta": -1.0}),
    (ValueError, "beta: expected a finite number > 0, got nan", {"beta": float("nan")}),
    (ValueError, "beta: expected numbers > 0, got -1", {"beta": torch.tensor([1.0, -1.0])}),
    (ValueError, r"beta: expected shape \(2\)", {"beta": torch.ones(3)}),
    (ValueError, "eta: expected a finite number > 0", {"eta": 0.0}),
    (ValueError, "prior_var: expected a finite number > 0", {"prior_var": -2.0}),
    (ValueError, "prior_var: expected variances > 0", {"prior_var": torch.tensor([1.0, 0.0, 1.0])}),
    (ValueError, "prior_var: expected variances > 0 with finite inverses, got one with the inverse inf",
     {"prior_var": torch.tensor([1.0, 1e-40, 1.0])}),
    (ValueError, "prior_var: expected a number between 1.18e-38 and 3.4e.38, got 1e-40", {"prior_var": 1e-40}),
    (ValueError, "eta: expected a number between 1.18e-38 and 3.4e.38, got 1e.300", {"eta": 1e300}),
    (ValueError, "box: expected a finite number > 0", {"box": 0.0}),
    (ValueError, "box: expected half widths > 0", {"box": torch.tensor([1.0, -1.0, 1.0])}),
    (ValueError, "steps: expected 0 <= steps", {"steps": -1}),
    (TypeError, "steps: expected an int", {"steps": 1.5}),
    (ValueError, "seed: expected 0 <= seed", {"seed": 2**64}),
    (ValueError, "first_step: expected 0 <=", {"first_step": -1}),
    (ValueError, "backend: expected one of", {"backend": "gpu"}),
]


@pytest.mark.parametrize(("error", "message", "change"), BAD)
def test_bad_arguments(error, message, change):
    kwargs = {"theta": torch.zeros(2, 3), "potential": POLY, "beta": 1.0, "eta": 0.1, "steps": 2}
    kwargs |= change
    with pytest.raises(error, match=message):
        langevin(**kwargs)


POTENTIALS = [
    (ValueError, r"coefficients: expected shape \(\*, 5\)", lambda: Polynomial(torch.ones(3, 4))),
    (ValueError, "coefficients: expected a tensor that holds", lambda: Polynomial(torch.ones(3, 5, device="meta"))),
    (ValueError, "coefficients: expected finite values", lambda: Polynomial(torch.ones(3, 5) / 0)),
    (ValueError, "y: expected labels 0 or 1, got 2.0", lambda: TanhNet(NET.x, 2 * NET.y, 1)),
    (ValueError, r"y: expected shape \(4\)", lambda: TanhNet(NET.x, NET.y[:2], 1)),
    (ValueError, "x: expected at least one sample", lambda: TanhNet(NET.x[:0], NET.y[:0], 1)),
    (ValueError, "hidden: expected 1 <= hidden", lambda: TanhNet(NET.x, NET.y, 0)),
]


@pytest.mark.parametrize(("error", "message", "make"), POTENTIALS)
def test_bad_potentials(error, message, make):
    with pytest.raises(error, match=message):
        make()


def test_potentials_compare_and_what_changed_since_is_seen():
    one = Polynomial(torch.ones(3, 5))
    assert one == one and one != POLY and TanhNet(NET.x, NET.y, 1) != NET
    one.coefficients.fill_(float("nan"))
    with pytest.raises(ValueError, match="coefficients: expected finite values"):
        langevin(torch.zeros(2, 3), one, beta=1.0, eta=0.1, steps=1)


def test_what_is_inside_a_box_stays_and_wide_boxes_have_walls(lane):
    """A step of length zero, from places that folding by way of a corner of the box would round."""
    from implicitly_kernels.langevin import _DISPATCH

    backend, device = lane
    start = torch.tensor([[0.1234567, -3e-9, 0.5, 1e30]], device=device)
    box = torch.tensor([1e6, 1e30, 3e38, 3e38], device=device)
    rest = [torch.zeros(4, 5, device=device), start.new_zeros(0), "polynomial", 0, 1.2e-38, 1, False, 0, 0]
    huge = torch.full((1,), 3e38, device=device)  # the noise of a step is 1e-38
    out = _DISPATCH.load(backend)(start, huge, torch.zeros(4, device=device), box, *rest)[0]
    assert torch.equal(out, start)
    # One mirror, where four half widths overflow: 1e38 + 2 eta = 3e38, and back from the wall at 2e38.
    rest[0] = torch.tensor([[0.0, -2.0, 0, 0, 0]] * 4, device=device)
    rest[4] = 1e38
    out = _DISPATCH.load(backend)(huge[:, None].expand(1, 4).clone() / 3, huge, box * 0, box * 0 + 2e38, *rest)[0]
    assert relative_error(out, torch.full((1, 4), 1e38)) < 1e-6


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_two_runs_on_the_gpu_are_equal():
    potential, d = problems(torch.float32, big=True)[2]
    potential = TanhNet(potential.x.cuda(), potential.y.cuda(), potential.hidden)
    theta = torch.zeros(5000, d, device="cuda")
    for mode in MODES:
        runs = [langevin(theta, potential, beta=20.0, eta=0.01, steps=50, **mode) for _ in range(2)]
        assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_what_is_compiled_for_the_budget_is_what_a_launch_takes():
    pytest.importorskip("triton")
    from implicitly_kernels.langevin import _triton
    from implicitly_kernels.langevin.spec import KERNELS

    for spec in KERNELS:
        sizes = {key: value for key, value in spec.constants.items() if key not in ("BOXED", "MALA")}
        tile = (_triton.net_tile(sizes["D_IN"], sizes["HIDDEN"], spec.constants["MALA"]) if "HIDDEN" in sizes
                else _triton.polynomial_tile(sizes["D"]))
        assert sizes | {"num_warps": spec.warps} == tile


FAULTS = {
    "numba: clip, not reflect": (NUMBA, "v = where(y <= F32(2) * box, box - y, y - F32(3) * box)",
                                 "v = box - F32(0) * y"),
    "numba: shared counter": (NUMBA, "lanes = numbered(U32(chain))", "lanes = numbered(U32(chain)) >> U32(1)"),
    "numba: tanh without its slope": (NUMBA, "c = pull - c * out", "c = pull"),
    "numba: labels of the first samples": (NUMBA, "load(r, o), y[first + s]", "load(r, o), y[s]"),
}
TRITON_FAULTS = {
    "triton: noise too small": (TRITON, "scale = tl.sqrt(2.0 * eta / beta)",
                                "scale = tl.sqrt(eta / beta)"),
    "triton: last row lost": (TRITON, "out += t[j] * w[J * I + j]", "out += t[j]"),
    "triton: first part of the inputs only": (TRITON, "s * D_IN + k + i", "s * D_IN + k * 0 + i"),
    "triton: one draw a row": (TRITON, "row + (j * P * QUADS + q)", "row + j * P * QUADS"),
    "triton: the length of an older step": (TRITON, "length = _total(square1, square2)", "length = loss * 0.0"),
    "triton: shared counter": (TRITON, "low = chain.to(tl.uint32)",
                               "low = (chain // 2).to(tl.uint32)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_seen(mutant, fault):
    module = mutant(*FAULTS[fault])
    with pytest.raises(AssertionError):
        check_against_float64(module.run, "cpu", 21, 2, big=True, small=True)


@pytest.mark.interp
@pytest.mark.skipif("os.environ.get('TRITON_INTERPRET') != '1'", reason="needs TRITON_INTERPRET=1")
@pytest.mark.parametrize("fault", TRITON_FAULTS)
def test_planted_triton_faults_are_seen(mutant, fault):
    module = mutant(*TRITON_FAULTS[fault])
    with pytest.raises(AssertionError):
        check_against_float64(module.run, "cpu", 21, 2, small=True)
