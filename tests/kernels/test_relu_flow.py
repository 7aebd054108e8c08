"""The flow of the closed-form denoiser: scalar ODEs, the closed form, float64, and bad input."""

import numpy as np
import pytest
import torch
from lanes import relative_error
from scipy.integrate import solve_ivp

import implicitly_kernels as ik
from implicitly_kernels import relu_flow
from implicitly_kernels.relu_flow import _DISPATCH, reference

TRITON = "kernels/implicitly_kernels/relu_flow/_triton.py"
NUMBA = "kernels/implicitly_kernels/relu_flow/_numba.py"


def problem(particles, d, m, steps, seed=0, dtype=torch.float32):
    """Random obtuse-ish edges, lengths, radii that shrink, steps of changing size."""
    g = torch.Generator().manual_seed(seed)
    rand = lambda *s: torch.rand(s, generator=g, dtype=torch.float64)  # noqa: E731
    u = torch.nn.functional.normalize(2 * torch.eye(m, d, dtype=torch.float64) - 0.4 * rand(m, d),
                                      dim=1)
    length = 0.5 + rand(m)
    rho = torch.linspace(0.2, 0.01, steps + 1, dtype=torch.float64)
    dt = 0.02 + 0.05 * rand(steps)
    x = 1.5 * rand(particles, d) - 0.4
    origin = rand(d) - 0.5
    return {"x": (x + origin).to(dtype), "u": u.to(dtype), "length": length, "rho": rho, "dt": dt,
            "origin": origin.to(dtype)}


def call(run, p, method, save_every, device):
    p = {k: v.to(device) for k, v in p.items()}
    return run(p["x"], p["u"], p["length"], p["rho"], p["dt"], p["origin"], method, save_every)


def check_against_float64(run, device, shapes):
    """Both methods, with and without saved states; twice the reference's own float32 error counts
    as agreement, times ten, and never more than 1e-5."""
    for particles, d, m, steps in shapes:
        p = problem(particles, d, m, steps)
        exact = {k: v.double() for k, v in p.items()}
        for method in ("euler", "heun"):
            for save_every in (0, 3) if steps >= 3 else (0,):
                want = call(reference.flow, exact, method, save_every, "cpu")
                own = relative_error(call(reference.flow, p, method, save_every, "cpu"), want)
                got = call(run, p, method, save_every, device)
                assert got.shape == want.shape and got.dtype == torch.float32
                assert relative_error(got, want) <= min(1e-5, 20 * own + 1e-7)


SMALL = [(1, 1, 1, 3), (37, 5, 3, 7), (33, 7, 4, 1), (5, 3, 2, 0)]
LARGE = [*SMALL, (1025, 30, 30, 40), (513, 64, 33, 10), (70, 130, 100, 10)]


def test_backends_against_float64(fast_lane, small):
    backend, device = fast_lane
    check_against_float64(_DISPATCH.load(backend), device, SMALL if small else LARGE)


def test_orthogonal_data_splits_into_scalar_odes(lane):
    """Oracle: scipy integrates each coordinate alone."""
    backend, device = lane
    m, d, rho, total, steps = 3, 5, 0.15, 2.0, 100
    length = np.array([0.8, 1.0, 1.3])
    u = torch.linalg.qr(torch.randn(d, d, generator=torch.Generator().manual_seed(0)))[0][:m]
    x = torch.rand((40, d), generator=torch.Generator().manual_seed(1)) * 1.6 - 0.3
    got = relu_flow(
        x.to(device), u.contiguous().to(device), torch.tensor(length, device=device),
        torch.full((steps + 1,), rho, device=device), torch.full((steps,), total / steps,
                                                                 device=device),
        method="heun", backend=backend,
    ).cpu().double()
    c0 = (x.double() @ u.double().T).numpy()

    def field(t, c):
        c = c.reshape(-1, m)
        ramp = (np.maximum(c - rho, 0) - np.maximum(c - (length - rho), 0)) * length / (
            length - 2 * rho)
        return (ramp - c).ravel()

    end = solve_ivp(field, (0, total), c0.ravel(), rtol=1e-9, atol=1e-11).y[:, -1].reshape(-1, m)
    assert np.abs((got @ u.double().T).numpy() - end).max() < 2e-3  # Heun's own error, second order
    outside = x.double() - x.double() @ u.double().T @ u.double()
    left = got - got @ u.double().T @ u.double()
    assert (left - np.exp(-total) * outside).abs().max() < 1e-4


def test_probability_flow_against_its_closed_form(lane):
    """Claim C3: outer bands shrink with sigma, the middle band keeps (c - L/2)/(L - 2 rho)."""
    backend, device = lane
    sigma_t, sigma_0, steps, length = 0.2, 0.05, 64, 1.0
    tau = torch.linspace(-np.log(sigma_t), -np.log(sigma_0), steps + 1, dtype=torch.float64)
    rho = torch.exp(-tau)
    c = torch.tensor([-0.3, 0.1, 0.19, 0.3, 0.45, 0.62, 0.79, 0.9, 1.2], dtype=torch.float64)
    got = relu_flow(
        c[:, None].float().to(device), torch.ones(1, 1, device=device),
        torch.tensor([length], device=device), rho.to(device), tau.diff().to(device),
        method="heun", backend=backend,
    ).cpu().double().flatten()
    shrink = sigma_0 / sigma_t
    middle = 0.5 + (c - 0.5) * (1 - 2 * sigma_0) / (1 - 2 * sigma_t)
    want = torch.where(c <= sigma_t, c * shrink,
                       torch.where(c >= 1 - sigma_t, 1 + (c - 1) * shrink, middle))
    assert (got - want).abs().max() < 2e-4


def test_float64_inputs(lane):
    backend, device = lane
    if backend == "triton":
        with pytest.raises(ValueError, match="the triton backend computes in float32"):
            call(_DISPATCH.load(backend), problem(3, 3, 2, 2, dtype=torch.float64), "euler", 0,
                 device)
        return
    p = problem(50, 6, 5, 20, dtype=torch.float64)
    a = call(_DISPATCH.load(backend), p, "heun", 5, device)
    assert a.dtype == torch.float64
    assert relative_error(a, call(reference.flow, p, "heun", 5, "cpu")) < 1e-13


@pytest.mark.parametrize("wide", [False, True], ids=["float64", "129 edges"])
def test_auto_runs_what_triton_does_not_take(monkeypatch, wide):
    pytest.importorskip("triton")
    monkeypatch.delenv("IMPLICITLY_BACKEND", raising=False)
    monkeypatch.setattr(_DISPATCH, "choose", lambda backend, device: "triton")  # as on a GPU
    p = problem(4, 130, 129, 3) if wide else problem(4, 3, 2, 3, dtype=torch.float64)
    got = relu_flow(**p)
    assert torch.equal(got, call(reference.flow, p, "euler", 0, "cpu")[0])
    with pytest.raises(ValueError, match="the triton backend"):
        relu_flow(**p, backend="triton")


def test_saved_states_and_shapes(lane):
    backend, device = lane
    p = {k: v.to(device) for k, v in problem(9, 4, 3, 7).items()}
    args = (p["x"], p["u"], p["length"], p["rho"], p["dt"])
    every = relu_flow(*args, origin=p["origin"], save_every=1, backend=backend)
    assert every.shape == (8, 9, 4) and torch.allclose(every[0], p["x"], atol=1e-6)
    # on a GPU the products before and after the kernel may run in another order for another number of rows
    same = torch.equal if device == "cpu" else lambda a, b: a.shape == b.shape and torch.allclose(a, b, atol=1e-6)
    last = relu_flow(*args, origin=p["origin"], backend=backend)
    assert same(every[-1], last)
    third = relu_flow(*args, origin=p["origin"], save_every=3, backend=backend)
    assert same(third, every[::3])
    empty = relu_flow(p["x"][:0], *args[1:], backend=backend)
    assert empty.shape == (0, 4)
    wide = torch.stack([p["x"], p["x"]], dim=2)[:, :, 1]  # a strided view
    assert same(relu_flow(wide, *args[1:], origin=p["origin"], backend=backend), last)


def test_particles_do_not_see_each_other(fast_lane, small):
    """The same particle in any place of any batch has the same bits."""
    backend, device = fast_lane
    p = {k: v.to(device) for k, v in problem(70 if small else 700, 4, 3, 5).items()}
    args = (p["u"], p["length"], p["rho"], p["dt"])
    whole = relu_flow(p["x"], *args, backend=backend)
    again = relu_flow(p["x"], *args, backend=backend)
    assert torch.equal(whole, again)
    part = relu_flow(p["x"][13:50].contiguous(), *args, backend=backend)
    assert relative_error(part, whole[13:50]) < 1e-6


def test_opcheck(lane):
    backend, device = lane
    p = {k: v.to(device) for k, v in problem(6, 4, 3, 4).items()}
    p["x"].requires_grad_()
    args = tuple(p[k] for k in ("x", "u", "length", "rho", "dt", "origin"))
    torch.library.opcheck(torch.ops.implicitly.relu_flow.default, (*args, "heun", 2, backend))


def test_gradient_in_x(lane):
    backend, device = lane
    p = problem(6, 4, 3, 5, dtype=torch.float64)
    args = [p[k] for k in ("u", "length", "rho", "dt")]
    if backend != "triton" and device == "cpu":
        f = lambda x: relu_flow(x, *args, method="heun", backend=backend)  # noqa: E731
        assert torch.autograd.gradcheck(f, p["x"].requires_grad_())
    u = p["u"].float().to(device).requires_grad_()
    x = p["x"].detach().float().to(device)
    args = [p[k].to(device) for k in ("length", "rho", "dt")]
    with pytest.raises(NotImplementedError, match="only x is differentiable"):
        relu_flow(x, u, *args, backend=backend).sum().backward()


X, U, L = torch.rand(4, 3), torch.eye(2, 3), torch.ones(2)
RHO, DT = torch.full((6,), 0.1), torch.full((5,), 0.1)
BAD = [
    (TypeError, "x: expected a torch.Tensor", {"x": [[1.0]]}),
    (TypeError, "x: expected dtype float32 or float64", {"x": X.half()}),
    (ValueError, "x: expected 2 dimensions", {"x": X[0]}),
    (ValueError, r"x: expected finite values, got nan at \(1, 2\)",
     {"x": X.clone().index_put((torch.tensor(1), torch.tensor(2)), torch.tensor(float("nan")))}),
    (TypeError, "u: expected dtype float32", {"u": U.double()}),
    (ValueError, r"u: expected shape \(\*, 3\), got \(2, 2\)", {"u": torch.eye(2)}),
    (ValueError, "u: expected rows of norm 1", {"u": 2 * U}),
    (ValueError, "u: expected at least one row", {"u": U[:0], "length": L[:0]}),
    (ValueError, r"length: expected shape \(2\), got \(3,\)", {"length": torch.ones(3)}),
    (ValueError, "length: expected numbers > 0, got 0", {"length": torch.zeros(2)}),
    (ValueError, r"rho: expected shape \(6\), got \(5,\)", {"rho": RHO[1:]}),
    (ValueError, "rho: expected numbers >= 0", {"rho": -RHO}),
    (ValueError, "rho: expected less than half of the shortest length", {"rho": 6 * RHO}),
    (ValueError, "dt: expected numbers > 0", {"dt": -DT}),
    (ValueError, "dt: expected finite values, got inf", {"dt": DT / 0}),
    (ValueError, "dt: expected a tensor on cpu", {"dt": DT.to("meta")}),
    (ValueError, "method: expected one of", {"method": "rk4"}),
    (ValueError, "save_every: expected 0 <= save_every <= 5, got 6", {"save_every": 6}),
    (ValueError, r"origin: expected shape \(3\)", {"origin": torch.zeros(2)}),
    (ValueError, "backend: expected one of", {"backend": "cuda"}),
]


@pytest.mark.parametrize(("error", "message", "change"), BAD)
def test_bad_arguments(error, message, change):
    kwargs = {"x": X, "u": U, "length": L, "rho": RHO, "dt": DT, **change}
    with pytest.raises(error, match=message):
        relu_flow(**kwargs)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_two_runs_on_the_gpu_are_equal():
    p = {k: v.cuda() for k, v in problem(100_000, 30, 30, 50).items()}
    args = tuple(p[k] for k in ("x", "u", "length", "rho", "dt"))
    assert torch.equal(relu_flow(*args), relu_flow(*args))
    assert ik.available_backends("cuda") == ["reference", "triton"]


FAULTS = {
    "numba: weight of the past": (NUMBA, "load(w, at) * keep + load(p, at) * h", "load(w, at) + load(p, at) * h"),
    "numba: Heun looks back": (NUMBA, "_ramps(c2, slope[k + 1], shift[k + 1]",
                               "_ramps(c2, slope[k], shift[k]"),
}
TRITON_FAULTS = {
    "triton: wrong table": (TRITON, "table = (half + 1) // STAGES", "table = half // STAGES"),
    "triton: short mask": (TRITON, "(row < particles)", "(row < particles - 1)"),
    "triton: no cap": (TRITON, "tl.minimum(tl.maximum(c * slope[None, :] - shift[None, :], 0.0), top[None, :])",
                       "tl.maximum(c * slope[None, :] - shift[None, :], 0.0)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_seen(mutant, fault):
    module = mutant(*FAULTS[fault])
    with pytest.raises(AssertionError):
        check_against_float64(module.flow, "cpu", SMALL)


@pytest.mark.interp
@pytest.mark.skipif("os.environ.get('TRITON_INTERPRET') != '1'", reason="needs TRITON_INTERPRET=1")
@pytest.mark.parametrize("fault", TRITON_FAULTS)
def test_planted_triton_faults_are_seen(mutant, fault):
    module = mutant(*TRITON_FAULTS[fault])
    with pytest.raises(AssertionError):
        check_against_float64(module.flow, "cpu", SMALL)
