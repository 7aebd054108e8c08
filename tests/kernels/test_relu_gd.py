"""Gradient descent of tiny ReLU networks: autograd one network at a time, closed forms, bad input."""

import platform

import pytest
import torch
from lanes import relative_error, said_on

import implicitly_kernels as ik
from implicitly_kernels import relu_gd
from implicitly_kernels.relu_gd import _DISPATCH, reference

TRITON = "kernels/implicitly_kernels/relu_gd/_triton.py"
NUMBA = "kernels/implicitly_kernels/relu_gd/_numba.py"
PARAMETERS = ("w1", "b1", "w2", "b2")


def problem(nets, k, n, seed=0, dtype=torch.float64):
    """Knots and samples on [-1, 1], noisy labels, a step size of its own for each network."""
    g = torch.Generator().manual_seed(seed)
    rand = lambda *s: torch.rand(s, generator=g, dtype=torch.float64)  # noqa: E731
    randn = lambda *s: torch.randn(s, generator=g, dtype=torch.float64)  # noqa: E731
    w1 = randn(nets, k)
    p = {
        "w1": w1, "b1": -w1 * (2 * rand(nets, k) - 1), "w2": randn(nets, k) / k**0.5,
        "b2": 0.1 * randn(nets), "x": 2 * rand(nets, n) - 1, "y": randn(nets, n),
        "step_size": torch.linspace(0.02, 0.005, nets, dtype=torch.float64),
    }
    return {name: v.to(dtype) for name, v in p.items()}


def run(descend, p, steps, device="cpu"):
    """Outputs of one implementation as a dict."""
    out = descend(*(v.to(device) for v in p.values()), steps)
    return dict(zip((*PARAMETERS, "loss"), out, strict=True))


def autograd(p, steps):
    """Oracle: one network after the other, the loss from nn.functional, its gradient by autograd."""
    rows = []
    for w1, b1, w2, b2, x, y, eta in zip(*p.values(), strict=True):
        theta = [t.clone().requires_grad_() for t in (w1, b1, w2, b2)]

        def loss(theta, x=x, y=y):
            w1, b1, w2, b2 = theta
            hidden = torch.nn.functional.linear(x[:, None], w1[:, None], b1).relu()
            out = torch.nn.functional.linear(hidden, w2[None, :], b2[None])[:, 0]
            return 0.5 * torch.nn.functional.mse_loss(out, y)

        for _ in range(steps):
            grads = torch.autograd.grad(loss(theta), theta)
            theta = [(t - eta * g).detach().requires_grad_()
                     for t, g in zip(theta, grads, strict=True)]
        rows.append([t.detach() for t in (*theta, loss(theta))])
    return dict(zip((*PARAMETERS, "loss"), map(torch.stack, zip(*rows, strict=True)), strict=True))


def moved(a, b, start):
    """Error of a against b, relative to how far b has moved: small steps hide nothing."""
    return relative_error(a.double().cpu() - start.double(), b.double() - start.double())


SMALL = [(1, 1, 1, 9), (3, 5, 7, 9), (2, 33, 18, 5), (2, 4, 8, 5)]
LARGE = [*((*shape[:3], 100) for shape in SMALL), (2, 100, 40, 100), (3, 37, 13, 100),
         (1, 300, 21, 100), (2, 6, 150, 100)]


def check_float64(descend, shapes=LARGE):
    for nets, k, n, steps in shapes:
        p = problem(nets, k, n)
        want, got = autograd(p, steps), run(descend, p, steps)
        for name in PARAMETERS:
            assert got[name].dtype == torch.float64 and got[name].shape == p[name].shape
            assert moved(got[name], want[name], p[name]) < 1e-10, (nets, k, n, name)
        assert relative_error(got["loss"], want["loss"]) < 1e-10


def check_float32(descend, device, shapes):
    """Within 1e-5 of autograd in float64, and within 20 times the reference's own float32 error and five roundings.

    A loss is held to this against the loss of f = 0: near interpolation it is a small difference. The reference's
    own error of a loss may by luck be far below one rounding, 2**-24 = 6e-8; the roundings are for that.
    """
    for nets, k, n, steps in shapes:
        p = problem(nets, k, n, dtype=torch.float32)
        want = autograd({name: v.double() for name, v in p.items()}, steps)
        plain, got = run(reference.descend, p, steps), run(descend, p, steps, device)
        scale = {**want, "loss": 0.5 * p["y"].double().square().mean(1)}
        for name, value in got.items():
            assert value.dtype == torch.float32 and value.shape == want[name].shape
            size = scale[name].norm()
            own = (plain[name].double() - want[name]).norm() / size
            error = (value.cpu().double() - want[name]).norm() / size
            assert error <= min(1e-5, 20 * own + 3e-7), name


def check_dead(descend, device, dtype, steps=12):
    """Off at every sample, or exactly on a knot: only b2 moves, and geometrically."""
    p = problem(2, 3, 5, dtype=dtype)
    p["b1"] = -2 * p["w1"].abs()
    p["w1"][0], p["b1"][0], p["x"][0] = 1.0, 0.0, torch.tensor([-1.0, 0.0, -0.5, 0.0, 0.0])
    p["step_size"][:] = torch.tensor([0.25, 1.5])
    got = {name: v.cpu() for name, v in run(descend, p, steps, device).items()}
    for name in ("w1", "b1", "w2"):
        assert torch.equal(got[name], p[name]), name
    mean = p["y"].double().mean(1)
    shrink = (1 - p["step_size"].double()) ** steps
    b2 = mean + (p["b2"].double() - mean) * shrink
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    assert relative_error(got["b2"], b2) < tolerance
    loss = 0.5 * ((p["y"].double() - b2[:, None]) ** 2).mean(1)
    assert relative_error(got["loss"], loss) < tolerance


def checks(descend, device="cpu", triton=False, shapes=None):
    """All that a planted fault must get past."""
    check_dead(descend, device, torch.float32)
    check_float32(descend, device, shapes or SMALL)
    if not triton:
        check_dead(descend, device, torch.float64)
        check_float64(descend, shapes or LARGE)


def test_against_autograd_and_closed_form(lane, request):
    backend, device = lane
    interpreting = (backend, device) == ("triton", "cpu")
    checks(_DISPATCH.load(backend), device, backend == "triton" or device == "cuda",
           SMALL if interpreting else LARGE)


def test_one_neuron_that_is_always_on_is_linear_regression(lane):
    """With w2 = 1 and w1, b1 the line: to first order in eta the three sums are a line's gradient."""
    backend, device = lane
    x = torch.tensor([[0.5, 1.0, 2.0, 3.5]], device=device)
    y = torch.tensor([[1.0, 0.0, 4.0, 2.0]], device=device)
    one = torch.ones(1, 1, device=device)
    eta = torch.tensor([2.0**-6], device=device)
    w1, b1, w2, b2, _ = relu_gd(one, 2 * one, one, 0 * eta, x, y, eta, 1, backend=backend)
    r = (x + 2 - y).cpu().double()[0]
    gradient = torch.stack([(r * x.cpu()[0]).mean(), r.mean(), (r * (x.cpu()[0] + 2)).mean(),
                            r.mean()])
    step = torch.stack([1 - w1[0, 0], 2 - b1[0, 0], 1 - w2[0, 0], 0 - b2[0]]).cpu().double()
    assert relative_error(step * 64, gradient) < 1e-5


@pytest.mark.parametrize(("message", "shape", "dtype"), [
    ("w1: the triton backend computes in float32, got torch.float64", (1, 2, 3), torch.float64),
    ("w1: the triton backend takes at most 256 neurons, got 257", (1, 257, 3), torch.float32),
    ("x: the triton backend takes at most 1024 samples, got 1025", (1, 2, 1025), torch.float32),
])
def test_auto_runs_what_triton_does_not_take(monkeypatch, message, shape, dtype):
    pytest.importorskip("triton")
    monkeypatch.delenv("IMPLICITLY_BACKEND", raising=False)
    monkeypatch.setattr(_DISPATCH, "choose", lambda backend, device: "triton")  # as on a GPU
    p = problem(*shape, dtype=dtype)
    assert all(map(torch.equal, relu_gd(**p, steps=2), run(reference.descend, p, 2).values()))
    with pytest.raises(ValueError, match=message):
        relu_gd(**p, steps=2, backend="triton")


def test_shapes_views_and_continued_runs(lane):
    backend, device = lane
    p = {name: v.to(device) for name, v in problem(3, 5, 9, dtype=torch.float32).items()}
    before = {name: v.clone() for name, v in p.items()}
    go = lambda p, steps: relu_gd(*p.values(), steps, backend=backend)  # noqa: E731
    want = go(p, 5)
    assert all(torch.equal(p[name], before[name]) for name in p)
    assert all(v.is_contiguous() for v in want)
    none = go(p, 0)
    assert all(torch.equal(a, p[name]) for a, name in zip(none, PARAMETERS, strict=False))
    assert all(a.data_ptr() != p[name].data_ptr() for a, name in zip(none, PARAMETERS, strict=False))
    first = go(p, 2)
    second = go({**p, **dict(zip(PARAMETERS, first, strict=False))}, 3)
    assert all(map(torch.equal, second, want))
    strided = {name: torch.stack([v, v], dim=-1)[..., 1] for name, v in p.items()}
    assert not strided["w1"].is_contiguous()
    assert all(map(torch.equal, go(strided, 5), want))
    empty = go({name: v[:0] for name, v in p.items()}, 5)
    assert [tuple(v.shape) for v in empty] == [(0, 5), (0, 5), (0, 5), (0,), (0,)]


def test_networks_do_not_see_each_other(fast_lane):
    """A network has the same bits in any batch, twice in a row, and however many threads there are."""
    backend, device = fast_lane
    p = {name: v.to(device) for name, v in problem(7, 6, 11, dtype=torch.float32).items()}
    go = lambda p: relu_gd(*p.values(), 6, backend=backend)  # noqa: E731
    whole = go(p)
    assert all(map(torch.equal, go(p), whole))
    part = go({name: v[2:4] for name, v in p.items()})
    assert all(torch.equal(a, b[2:4]) for a, b in zip(part, whole, strict=True))
    threads = torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            assert all(map(torch.equal, go(p), whole))
    finally:
        torch.set_num_threads(threads)


def test_tile_sizes_agree(fast_lane):
    backend, device = fast_lane
    if backend != "triton":
        return
    descend = _DISPATCH.load(backend)
    p = [v.to(device) for v in problem(2, 20, 37, dtype=torch.float32).values()]
    want = descend(*p, 4)
    for samples in (4, 8, 64):
        got = descend(*p, 4, samples=samples)
        assert all(relative_error(a, b) < 1e-6 for a, b in zip(got, want, strict=True))


AT_THE_EDGE = """
import hashlib, sys, torch
from implicitly_kernels import relu_gd
for dtype, k, n in ((torch.float64, 100, 40), (torch.float32, 37, 23)):
    place = lambda *shape: torch.arange(1, 1 + torch.tensor(shape).prod()).view(shape).mul(0.37).frac().to(dtype) - 0.5
    p = (4 * place(2, k), 2 * place(2, k), place(2, k), place(2), 2 * place(2, n), 3 * place(2, n))
    out = relu_gd(*p, torch.full((2,), 0.2, dtype=dtype), 2000, backend="numba")
    print(hashlib.sha256(b"".join(t.numpy().tobytes() for t in out)).hexdigest())
"""


#: Two targets of one arithmetic each, and the feature that a CPU needs to run both.
WIDTHS = {
    "fused": ("fma", {}, {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"}),
    "unfused": ("avx", {"NUMBA_CPU_NAME": "generic"}, {"NUMBA_CPU_NAME": "sandybridge", "NUMBA_CPU_FEATURES": "+avx"}),
}


@pytest.mark.parametrize("kind", WIDTHS)
def test_bits_do_not_hang_on_the_width_of_vectors(kind, tmp_path):
    """Of CPUs that fuse a product and a sum, and of those that do not; a chaotic run shows a difference in the last
    bit. Whatever CPU this process was told to compile for: each run is told its own."""
    features = pytest.importorskip("llvmlite.binding").get_host_cpu_features()
    feature, *targets = WIDTHS[kind]
    if platform.machine() not in ("x86_64", "AMD64") or not features.get(feature):
        pytest.skip(f"compares two kinds of x86-64 with {feature}")
    said = [said_on(target, AT_THE_EDGE, tmp_path / str(number)) for number, target in enumerate(targets)]
    assert said[0] == said[1] != ""


def test_a_run_that_diverges_says_so_and_hurts_no_other(lane):
    backend, device = lane
    p = {name: v.to(device) for name, v in problem(3, 4, 6, dtype=torch.float32).items()}
    calm = relu_gd(*p.values(), 40, backend=backend)
    p["step_size"] = p["step_size"].clone()
    p["step_size"][1] = 100.0
    wild = relu_gd(*p.values(), 40, backend=backend)
    assert torch.isfinite(wild[4]).tolist() == [True, False, True]
    assert not torch.isfinite(wild[3][1])
    for a, b in zip(wild, calm, strict=True):
        assert torch.equal(a[::2], b[::2])


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
def test_no_nan_is_lost_on_the_way(lane, dtype):
    """After one step w1 is inf and b1 -inf: relu(inf - inf) is NaN, and so is the loss."""
    backend, device = lane
    if backend == "triton" and dtype == torch.float64:
        return
    big = 1e25 if dtype == torch.float32 else 1e160
    t = lambda *rows: torch.tensor(rows, dtype=dtype, device=device)  # noqa: E731
    p = (t([-0.5]), t([0.0]), t([big]), t(0.0), t([-2.0, 1.0]), t([0.0, 0.0]), t(1.0))
    w1, b1, w2, b2, loss = relu_gd(*p, 1, backend=backend)
    assert (w1.item(), b1.item()) == (float("inf"), -float("inf"))
    assert torch.isfinite(w2).all() and torch.isfinite(b2).all() and loss.isnan().all()


def test_opcheck_and_no_gradient(lane):
    backend, device = lane
    p = [v.to(device) for v in problem(2, 3, 4, dtype=torch.float32).values()]
    torch.library.opcheck(torch.ops.implicitly.relu_gd.default, (*p, 3, backend))
    p[0].requires_grad_()
    with pytest.raises(NotImplementedError, match="relu_gd: the run is not differentiable"):
        relu_gd(*p, 2, backend=backend)[4].sum().backward()


P = problem(2, 3, 4)
NAN = P["w1"].clone()
NAN[1, 2] = float("nan")
BAD = [
    (TypeError, "w1: expected a torch.Tensor, got list", {"w1": [[1.0]]}),
    (TypeError, "w1: expected dtype float32 or float64, got torch.float16", {"w1": P["w1"].half()}),
    (ValueError, r"w1: expected 2 dimensions, got shape \(3,\)", {"w1": P["w1"][0]}),
    (ValueError, r"w1: expected finite values, got nan at \(1, 2\)", {"w1": NAN}),
    (ValueError, "w1: expected at least one neuron, got none",
     {name: P[name][:, :0] for name in ("w1", "b1", "w2")}),
    (TypeError, "b1: expected dtype float64, got torch.float32", {"b1": P["b1"].float()}),
    (ValueError, r"b1: expected shape \(2, 3\), got \(2, 2\)", {"b1": P["b1"][:, :2]}),
    (ValueError, r"w2: expected shape \(2, 3\), got \(1, 3\)", {"w2": P["w2"][:1]}),
    (ValueError, "w2: expected a tensor on cpu, got one on meta", {"w2": P["w2"].to("meta")}),
    (ValueError, r"b2: expected shape \(2\), got \(2, 1\)", {"b2": P["b2"][:, None]}),
    (ValueError, r"x: expected shape \(2, \*\), got \(4,\)", {"x": P["x"][0]}),
    (ValueError, "x: expected at least one sample, got none",
     {"x": P["x"][:, :0], "y": P["y"][:, :0]}),
    (ValueError, r"y: expected shape \(2, 4\), got \(2, 3\)", {"y": P["y"][:, 1:]}),
    (ValueError, r"y: expected finite values, got inf at \(0, 0\)", {"y": P["y"] / 0 * P["y"].sign()}),
    (TypeError, "step_size: expected a torch.Tensor, got float", {"step_size": 0.1}),
    (ValueError, r"step_size: expected shape \(2\), got \(3,\)", {"step_size": torch.ones(3).double()}),
    (ValueError, "step_size: expected numbers > 0, got 0.0", {"step_size": 0 * P["step_size"]}),
    (TypeError, "steps: expected an int, got float", {"steps": 1.0}),
    (TypeError, "steps: expected an int, got bool", {"steps": True}),
    (ValueError, "steps: expected 0 <= steps <= 2147483647, got -1", {"steps": -1}),
    (ValueError, "backend: expected one of", {"backend": "cuda"}),
]


@pytest.mark.parametrize(("error", "message", "change"), BAD)
def test_bad_arguments(error, message, change):
    with pytest.raises(error, match=message):
        relu_gd(**{**P, "steps": 1, **change})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_two_runs_on_the_gpu_are_equal():
    p = [v.cuda() for v in problem(5000, 100, 40, dtype=torch.float32).values()]
    assert all(map(torch.equal, relu_gd(*p, 200), relu_gd(*p, 200)))
    assert ik.available_backends("cuda") == ["reference", "triton"]


FAULTS = {
    "numba: on at the knot": (NUMBA, "a * x1 + c > 0", "a * x1 + c >= 0"),
    "numba: padding counts": (NUMBA, "for i in range(n, r.size)", "for i in range(n, n)"),
    "numba: w2 sees the new w1": (NUMBA, "v - rate * a * s", "v - rate * w1[j] * s"),
}
TRITON_FAULTS = {
    "triton: on at the knot": (TRITON, "tl.where(z > 0.0, 1.0", "tl.where(z >= 0.0, 1.0"),
    "triton: padding counts": (TRITON, "tl.where(i < n, r, 0.0)", "tl.where(i <= n, r, 0.0)"),
    "triton: last neuron left out": (TRITON, "live = j < k", "live = j < k - 1"),
    "triton: w1 without its output weight": (TRITON, "w1 -= rate * w2 * slope",
                                             "w1 -= rate * slope"),
}
FEW = [(2, 5, 7, 9)]


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_seen(mutant, fault):
    descend = mutant(*FAULTS[fault]).descend
    with pytest.raises(AssertionError):
        check_dead(descend, "cpu", torch.float64)
        check_float64(descend, FEW)


@pytest.mark.interp
@pytest.mark.skipif("os.environ.get('TRITON_INTERPRET') != '1'", reason="needs TRITON_INTERPRET=1")
@pytest.mark.parametrize("fault", TRITON_FAULTS)
def test_planted_triton_faults_are_seen(mutant, fault):
    descend = mutant(*TRITON_FAULTS[fault]).descend
    with pytest.raises(AssertionError):
        checks(descend, triton=True, shapes=FEW)
