"""PERM descent: autograd, 60-digit arithmetic, the simplex in closed form, conservation, bad input."""

import math

import mpmath
import numpy as np
import pytest
import torch
from lanes import relative_error
from perm_gd_oracle import LARGE, SMALL, call, check_against_autograd, check_extremes, problem

import implicitly_kernels as ik
from implicitly_kernels import perm_gd
from implicitly_kernels.perm_gd import _DISPATCH, spec
from implicitly_kernels.perm_gd._tile import MOST, tile
from implicitly_kernels.perm_gd.reference import LOSSES


def test_backends_against_autograd(lane):
    backend, device = lane
    small = lane == ("triton", "cpu")
    check_against_autograd(_DISPATCH.load(backend), device, SMALL if small else LARGE,
                           2 if small else 10)


def test_float32(lane):
    """numba computes in float64, the others in float32; each returns float32."""
    backend, device = lane
    check_against_autograd(_DISPATCH.load(backend), device, SMALL[:1], 2, torch.float32, 1e-5)


# Two classes' worth of extreme margins, by hand and in 60 digits.
def test_extreme_margins_against_60_digits(lane):
    backend, device = lane
    check_extremes(_DISPATCH.load(backend), device,
                   counts=(2,) if lane == ("triton", "cpu") else (0, 3))


def test_risks_that_float64_cannot_hold(lane):
    """log R where R is 1e-300 and far below, and where it is thousands: one sample, exact by hand."""
    backend, device = lane
    margins = torch.tensor([691.0, 2000.0, -3000.0, 36.0, 1e-3, 690.0, 745.0, 746.0, 40.0],
                           dtype=torch.float64)
    if lane == ("triton", "cpu"):
        margins = margins[:5]
    w = torch.zeros(len(margins), 2, 1, dtype=torch.float64)
    w[:, 0, 0] = margins
    ones = torch.ones(len(margins), 1, 1, dtype=torch.float64)
    y = torch.zeros(len(margins), 1, dtype=torch.int64)
    want = [float(mpmath.log(mpmath.log1p(mpmath.exp(-mpmath.mpf(u))))) for u in margins.tolist()]
    share = ones[:, 0, 0].clone()
    for loss in ("cross-entropy", "pairlog"):
        _, _, r = perm_gd(w.to(device), ones.to(device), y.to(device), 0, loss=loss,
                          normalized=share.to(device), backend=backend)
        assert np.allclose(r.cpu(), want, rtol=1e-14, atol=1e-15)
    _, _, r = perm_gd(w.to(device), ones.to(device), y.to(device), 0, loss="polynomial",
                      normalized=share.to(device), backend=backend)
    want = [-math.log1p(u) if u >= 0 else math.log1p(-u) for u in margins.tolist()]
    assert np.allclose(r.cpu(), want, rtol=1e-14)


def simplex(k, s):
    """x_i = e_i, y_i = i, W = s (I - 11^T/K): every margin is s."""
    ray = torch.eye(k, dtype=torch.float64) - 1 / k
    return {"w": s * ray[None], "x": torch.eye(k, dtype=torch.float64)[None],
            "y": torch.arange(k)[None]}, ray


def check_simplex_at_log_times_of_thousands(run, device, steps):
    """Exponential loss, normalized: s grows by share / (2(K-1)) a step, time is a geometric sum."""
    k, s0, share = 4, 0.5, 6000.0 / steps
    p, ray = simplex(k, s0)
    growth = share / (2 * (k - 1))
    s = s0 + growth * steps
    w, t, r = call(run, p, steps, "exponential", True, torch.tensor([share]).double(), device)
    assert relative_error(w[0], s * ray) < 1e-11
    log_t = math.log(share / (2 * k * (k - 1))) + s0 + growth * steps - math.log(
        math.expm1(growth)) + math.log1p(-math.exp(-growth * steps))
    assert s > 1000 and abs(t.item() - log_t) < 1e-9
    assert abs(r.item() - (math.log(k * (k - 1)) - s)) < 1e-9


def test_simplex_at_log_times_of_thousands(lane):
    backend, device = lane
    check_simplex_at_log_times_of_thousands(_DISPATCH.load(backend), device,
                                            30 if lane == ("triton", "cpu") else 6000)


def test_simplex_stays_on_its_ray(lane):
    """Sheet exercise: s' = K e^-s / (1 + (K-1) e^-s) under cross-entropy, so s = log(Kt) + o(1)."""
    backend, device = lane
    k, s, step, steps = 5, 0.3, 0.125, 12 if lane == ("triton", "cpu") else 2000
    p, ray = simplex(k, s)
    w, t, _ = call(_DISPATCH.load(backend), p, steps, "cross-entropy", False,
                   torch.tensor([step]).double(), device)
    for _ in range(steps):
        s += step * k * math.exp(-s) / (1 + (k - 1) * math.exp(-s))
    assert relative_error(w[0], s * ray) < 1e-12
    assert abs(t.item() - math.log(step * steps)) < 1e-12
    if steps == 2000:
        assert abs(s - math.log(k * step * steps)) < 0.1


@pytest.mark.parametrize("loss", LOSSES)
def test_the_sum_over_classes_never_moves(lane, loss):
    backend, device = lane
    p = problem(2, 12, 3, 4, seed=3)
    share = torch.full((2,), 2.0, dtype=torch.float64)
    w, _, _ = call(_DISPATCH.load(backend), p, 3 if lane == ("triton", "cpu") else 500, loss, True,
                   share, device)
    assert (w - p["w"]).abs().max() > 0.01
    assert (w.sum(1) - p["w"].sum(1)).abs().max() < 1e-12


def test_a_run_can_be_continued(lane):
    backend, device = lane
    p = {k: v.to(device) for k, v in problem(3, 9, 3, 3, seed=4).items()}
    share = torch.tensor([0.5, 1.0, 0.2], dtype=torch.float64, device=device)
    for kwargs in ({"normalized": share}, {"step_size": 0.1 * share}):
        whole = perm_gd(p["w"], p["x"], p["y"], 4, backend=backend, **kwargs)
        w, t, _ = perm_gd(p["w"], p["x"], p["y"], 1, backend=backend, **kwargs)
        again = perm_gd(w, p["x"], p["y"], 3, log_time=t, backend=backend, **kwargs)
        assert torch.equal(again[0], whole[0]) and torch.equal(again[2], whole[2])
        assert torch.allclose(again[1], whole[1], rtol=1e-14)


def test_records_are_those_of_runs_one_after_the_other(lane):
    backend, device = lane
    p = {k: v.to(device) for k, v in problem(3, 9, 3, 3, seed=4).items()}
    share = torch.tensor([0.5, 1.0, 0.2], dtype=torch.float64, device=device)
    for kwargs in ({"normalized": share}, {"step_size": 0.1 * share}):
        got = perm_gd(p["w"], p["x"], p["y"], [0, 1, 4], backend=backend, **kwargs)
        w, t = p["w"], None
        for i, steps in enumerate((0, 1, 3)):
            w, t, r = perm_gd(w, p["x"], p["y"], steps, log_time=t, backend=backend, **kwargs)
            assert all(torch.equal(a[i], b) for a, b in zip(got, (w, t, r), strict=True))
    empty = perm_gd(p["w"][:0], p["x"][:0], p["y"][:0], range(2), normalized=share[:0], backend=backend)
    assert [tuple(v.shape) for v in empty] == [(2, 0, 3, 3), (2, 0), (2, 0)]


def test_empty_zero_steps_and_strides(lane):
    backend, device = lane
    p = {k: v.to(device) for k, v in problem(3, 9, 4, 3, seed=5).items()}
    w, x, y = p["w"], p["x"], p["y"]
    share = torch.ones(3, dtype=torch.float64, device=device)
    out, t, r = perm_gd(w, x, y, 0, normalized=share, backend=backend)
    assert torch.equal(out, w) and out.data_ptr() != w.data_ptr()
    assert (t == -torch.inf).all() and torch.isfinite(r).all()
    kept = torch.tensor([1.0, -torch.inf, 300.0], dtype=torch.float64, device=device)
    assert torch.equal(perm_gd(w, x, y, 0, normalized=share, log_time=kept, backend=backend)[1], kept)
    empty = perm_gd(w[:0], x[:0], y[:0], 4, normalized=share[:0], backend=backend)
    assert [tuple(v.shape) for v in empty] == [(0, 3, 4), (0,), (0,)]
    strided = [torch.stack([v, v], dim=-1)[..., 1] for v in (w, x.mT, y)]
    strided[1] = strided[1].mT
    many = torch.stack([share, share], dim=1)[:, 0]
    a = perm_gd(*strided, 3, normalized=many, backend=backend)
    # a strided product is another one on a GPU
    same = torch.equal if (backend, device) != ("reference", "cuda") else (
        lambda u, v: torch.allclose(u, v, rtol=1e-13, atol=1e-13))  # fmt: skip
    for u, v in zip(a, perm_gd(w, x, y, 3, normalized=share, backend=backend), strict=True):
        assert same(u, v)


def test_problems_do_not_see_each_other(fast_lane, small):
    """A problem has the same bits in any place of any batch, and whatever the threads."""
    backend, device = fast_lane
    p = {k: v.to(device) for k, v in problem(5 if small else 50, 11, 3, 3, seed=6).items()}
    args = (p["w"], p["x"], p["y"])
    share = torch.ones(len(p["w"]), dtype=torch.float64, device=device)
    whole = perm_gd(*args, 3, normalized=share, backend=backend)
    part = perm_gd(*(v[2:4] for v in args), 3, normalized=share[2:4], backend=backend)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        threaded = perm_gd(*args, 3, normalized=share, backend=backend)
    finally:
        torch.set_num_threads(threads)
    for a, b, c in zip(whole, part, threaded, strict=True):
        assert torch.equal(a[2:4], b) and torch.equal(a, c)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, in the interpreter
def test_what_overflows_is_returned(lane):
    """A fixed step of 1 on an exponential loss with margins of -800: inf or NaN, no exception."""
    backend, device = lane
    p = {k: v.to(device) for k, v in problem(1, 5, 2, 3, reach=800.0).items()}
    one = torch.ones(1, dtype=torch.float64, device=device)
    w, t, r = perm_gd(p["w"], p["x"], p["y"], 4, loss="exponential", step_size=one, backend=backend)
    assert not torch.isfinite(w).any() and not torch.isfinite(r).any()
    assert abs(t.item() - math.log(4)) < 1e-14
    w, _, r = perm_gd(p["w"], p["x"], p["y"], 4, loss="exponential", normalized=one, backend=backend)
    assert torch.isfinite(w).all() and 700 < r.item() < torch.inf


def test_opcheck(lane):
    backend, device = lane
    p = {k: v.to(device) for k, v in problem(2, 6, 3, 3).items()}
    rate = torch.ones(2, dtype=torch.float64, device=device)
    torch.library.opcheck(torch.ops.implicitly.perm_gd.default, (
        p["w"], p["x"], p["y"], [0, 2], "pairlog", rate, True, torch.zeros_like(rate), backend))
    w = p["w"].clone().requires_grad_()
    with pytest.raises(NotImplementedError, match="not differentiable"):
        perm_gd(w, p["x"], p["y"], 1, normalized=rate, backend=backend)[0].sum().backward()


def test_own_exp_and_log1p():
    """The numba path's functions, to 2 units in the last place, over their ranges."""
    numba = pytest.importorskip("numba")
    from implicitly_kernels.perm_gd import _numba

    e = numba.vectorize(["float64(float64)"])(_numba.exp.py_func)
    log1p = numba.vectorize(["float64(float64)"])(_numba.log1p.py_func)
    x = np.concatenate([-np.geomspace(1e-20, 708, 800), np.linspace(0, 3, 50), [0.0]])
    want = np.array([float(mpmath.exp(v)) for v in x])
    assert np.abs(e(x) / want - 1).max() < 4.5e-16
    with np.errstate(invalid="ignore"):
        assert e(0.0) == 1 and e(-1e300) == e(-708.0) and e(-np.inf) > 0 and np.isnan(e(np.nan))
    x = np.concatenate([np.geomspace(1e-307, 1e6, 1500), np.linspace(0.4, 0.43, 200)])
    want = np.array([float(mpmath.log1p(v)) for v in x])
    assert np.abs(log1p(x) / want - 1).max() < 4.5e-16
    assert log1p(0.0) == 0


def test_the_largest_triton_problem(lane):
    backend, device = lane
    if backend != "triton":
        pytest.skip("a limit of the Triton kernel alone")
    p = {k: v.to(device) for k, v in problem(1, 33, 64, 2).items()}
    one = torch.ones(1, dtype=torch.float64, device=device)
    perm_gd(p["w"], p["x"], p["y"], 1, normalized=one, backend=backend)
    p = {k: v.to(device) for k, v in problem(1, 65, 64, 17).items()}
    with pytest.raises(ValueError, match=r"at most 4096 samples x .* got 128 x 128"):
        perm_gd(p["w"], p["x"], p["y"], 1, normalized=one, backend=backend)


def test_compiled_launches_are_real_launches():
    for kernel in spec.KERNELS:
        samples, classes, d = kernel.args[8:11]
        n, k, f, warps = tile(samples, classes, d)
        assert n * max(f, 4 * k) <= MOST and kernel.warps == warps
        assert (kernel.constants["N"], kernel.constants["K"], kernel.constants["D"]) == (n, k, f)


W, X = torch.zeros(2, 3, 4, dtype=torch.float64), torch.ones(2, 5, 4, dtype=torch.float64)
Y, ONE = torch.zeros(2, 5, dtype=torch.int64), torch.ones(2, dtype=torch.float64)
NAN = torch.tensor([1.0, float("nan")], dtype=torch.float64)
BAD = [
    (TypeError, "W: expected a torch.Tensor, got list", {"W": [[1.0]]}),
    (TypeError, "W: expected dtype float32 or float64, got torch.float16", {"W": W.half()}),
    (ValueError, r"W: expected 3 dimensions, got shape \(3, 4\)", {"W": W[0]}),
    (ValueError, "W: expected at least two classes", {"W": W[:, :1]}),
    (ValueError, r"W: expected finite values, got nan at \(0, 0, 0\)", {"W": W * float("nan")}),
    (TypeError, "X: expected dtype float64, got torch.float32", {"X": X.float()}),
    (ValueError, r"X: expected shape \(2, \*, 4\), got \(2, 5, 3\)", {"X": X[..., :3]}),
    (ValueError, r"X: expected shape \(2, \*, 4\), got \(1, 5, 4\)", {"X": X[:1]}),
    (ValueError, "X: expected at least one sample, got none", {"X": X[:, :0], "y": Y[:, :0]}),
    (ValueError, r"X: expected finite values, got inf", {"X": X / 0}),
    (ValueError, "X: expected a sample other than 0 in every problem", {"X": 0 * X}),
    (ValueError, r"X: expected a largest squared norm in the range of torch.float64, .* got 0$", {"X": 1e-200 * X}),
    (ValueError, r"X: expected a largest squared norm in the range of torch.float64, .* got inf$", {"X": 1e200 * X}),
    (ValueError, "X: expected a tensor on cpu", {"X": X.to("meta")}),
    (TypeError, "y: expected dtype int64, got torch.int32", {"y": Y.int()}),
    (ValueError, r"y: expected shape \(2, 5\), got \(2, 4\)", {"y": Y[:, :4]}),
    (ValueError, "y: expected classes 0 to 2, got 0 to 3", {"y": Y.index_fill(1, torch.tensor(1), 3)}),
    (ValueError, "y: expected classes 0 to 2, got -1 to -1", {"y": Y - 1}),
    (TypeError, "steps: expected an int, got float", {"steps": 2.0}),
    (ValueError, "steps: expected 0 <= steps <= 2147483646, got -1", {"steps": -1}),
    (ValueError, r"steps: expected counts that increase, at least one, got \[\]", {"steps": []}),
    (ValueError, r"steps: expected counts that increase, at least one, got \[0, 2, 2\]", {"steps": [0, 2, 2]}),
    (ValueError, r"steps\[0\]: expected 0 <= steps\[0\] <= 2147483646, got -1", {"steps": [-1, 2]}),
    (TypeError, "steps: expected a sequence of ints, got str", {"steps": "2"}),
    (ValueError, "loss: expected one of", {"loss": "hinge"}),
    (ValueError, "step_size, normalized: expected exactly one of them, got none", {"normalized": None}),
    (ValueError, "step_size, normalized: expected exactly one of them, got both", {"step_size": ONE}),
    (TypeError, "normalized: expected a torch.Tensor, got float", {"normalized": 1.0}),
    (ValueError, r"normalized: expected shape \(2\), got \(1,\)", {"normalized": ONE[:1]}),
    (ValueError, "normalized: expected numbers > 0, got 0.0", {"normalized": 0 * ONE}),
    (ValueError, r"normalized: expected finite values, got nan at \(1,\)", {"normalized": NAN}),
    (ValueError, "step_size: expected numbers > 0, got -1.0", {"normalized": None, "step_size": -ONE}),
    (TypeError, "step_size: expected dtype float32 or float64", {"normalized": None, "step_size": Y[:, 0]}),
    (ValueError, r"log_time: expected shape \(2\), got \(2, 1\)", {"log_time": ONE[:, None]}),
    (ValueError, "log_time: expected numbers below infinity, got nan", {"log_time": NAN}),
    (ValueError, "log_time: expected numbers below infinity, got inf", {"log_time": ONE / 0}),
    (ValueError, "backend: expected one of", {"backend": "cuda"}),
]


@pytest.mark.parametrize(("error", "message", "change"), BAD)
def test_bad_arguments(error, message, change):
    kwargs = {"W": W, "X": X, "y": Y, "steps": 2, "normalized": ONE, **change}
    with pytest.raises(error, match=message):
        perm_gd(**kwargs)


def test_zero_data_are_fine_at_a_fixed_step():
    w, _, r = perm_gd(W, 0 * X, Y, 3, step_size=ONE)
    assert torch.equal(w, W) and torch.allclose(r, torch.full_like(r, math.log(5 * math.log(3))))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_two_runs_on_the_gpu_are_equal():
    p = {k: v.cuda() for k, v in problem(4096, 30, 5, 3).items()}
    one = torch.ones(4096, dtype=torch.float64, device="cuda")
    for loss in LOSSES:
        a, b = (perm_gd(p["w"], p["x"], p["y"], 200, loss=loss, normalized=one) for _ in range(2))
        assert all(torch.equal(u, v) for u, v in zip(a, b, strict=True))
    assert ik.available_backends("cuda") == ["reference", "triton"]
