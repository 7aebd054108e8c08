"""A pointwise function between two resamplings: by FFT in float64, shifts by fractions, gradients, bad input."""

import math

import numpy as np
import pytest
import scipy.signal
import torch
from lanes import relative_error
from up_act_down_oracle import ACTIVATIONS, F32, F64, LARGE, SMALL, check, normal, resampled

from implicitly_kernels import _threads, resample_matrix, up_act_down
from implicitly_kernels.up_act_down import _DISPATCH


def same_bits(lane):
    """Bits, where products are ours: those of the reference, and of Triton's interpreter, are numpy's or torch's."""
    ours = lane in (("numba", "cpu"), ("triton", "cuda"))
    return torch.equal if ours else lambda a, b: relative_error(a, b) < 1e-6


def dtypes(backend):
    return (F32,) if backend == "triton" else (F64, F32)


def test_against_the_fourier_transform(lane):
    backend, device = lane
    for dtype in dtypes(backend):
        shapes = SMALL if (backend, device) == ("triton", "cpu") else LARGE
        check(lambda *a, **kw: up_act_down(*a, **kw, backend=backend), dtype, device, shapes)


@pytest.mark.parametrize("n", (1, 2, 3, 8, 11))
@pytest.mark.parametrize("m", (1, 2, 5, 8, 22))
def test_the_matrix_is_the_sum_of_cosines(n, m):
    """The Nyquist rule included: 2 |k| < min(n, m) strictly; the rank is the number of these k."""
    a, b = torch.arange(m, dtype=F64)[:, None] / m, torch.arange(n, dtype=F64) / n
    kept = [k for k in range(-n, n + 1) if 2 * abs(k) < min(n, m)]
    want = sum(torch.cos(2 * math.pi * k * (a - b)) for k in kept) / n
    R = resample_matrix(n, m)
    assert R.shape == (m, n) and (R - want).abs().max() < 1e-14
    assert torch.equal(resample_matrix(n, m, F32), R.float())
    assert torch.linalg.matrix_rank(R, rtol=1e-9) == len(kept)
    assert torch.equal(resample_matrix(np.int64(n), np.int32(m)), R)
    if n == m and n % 2:
        assert torch.equal(R, torch.eye(n, dtype=F64))


def test_the_matrix_is_ours_to_keep():
    R = resample_matrix(4, 8)
    R.zero_()
    assert resample_matrix(4, 8).abs().sum() > 1
    x = normal(4, 4)
    want = up_act_down(x, "relu", backend="reference")
    assert torch.equal(up_act_down(x, "relu", backend="reference"), want) and want.abs().sum() > 0


def test_resampling_agrees_with_scipy_on_what_is_band_limited(lane):
    """scipy keeps the Nyquist bin, which is empty here."""
    backend, device = lane
    dtype = dtypes(backend)[0]
    for n, m, size in ((8, 8, 5), (8, 16, 8), (7, 14, 3)):
        x = resampled(resampled(normal(2, n, n), 2 * ((size - 1) // 2) + 1), n)
        want = x.numpy()
        for axis in (1, 2):
            want = scipy.signal.resample(want, size, axis=axis)
        got = up_act_down(x.to(device, dtype), "identity", factor=m / n, size=size, backend=backend)
        assert relative_error(got, torch.from_numpy(want)) < (1e-13 if dtype == F64 else 1e-6)
        fine = scipy.signal.resample(scipy.signal.resample(x.numpy(), m, axis=1), m, axis=2)
        R = resample_matrix(n, m)
        assert relative_error(R @ x @ R.T, torch.from_numpy(fine)) < 1e-13


def test_the_nyquist_bin_is_emptied_at_factor_one(lane):
    backend, device = lane
    x = torch.ones(4, 4).to(device)
    x[:, ::2] = -1
    noise = normal(4, 4).float().to(device)
    assert up_act_down(x, "identity", factor=1, backend=backend).abs().max() < 1e-6
    a, b = (up_act_down(v, "identity", factor=1, backend=backend) for v in (noise, noise + 3 * x))
    assert (a - b).abs().max() < 2e-6 and (a - noise).abs().max() > 0.1


def shifted(x, s):
    """By s of a pixel along both axes; x is band-limited."""
    n = x.shape[-1]
    turn = torch.exp(-2j * math.pi * s / n * torch.fft.fftfreq(n, 1 / n).double())
    return torch.fft.ifft2(torch.fft.fft2(x) * turn[:, None] * turn).real


def equivariance(call, activation, factor, size=None, n=16):
    """Relative error of commuting with a shift that is no whole number of fine samples."""
    x = resampled(normal(3, 2, n, n), n)
    c = {"coefficients": torch.tensor([0.017, 0.5, 0.31], dtype=F64)} if activation == "poly" else {}
    go = lambda x: call(x, activation, factor=factor, size=size, **c).cpu().double()  # noqa: E731
    return relative_error(go(shifted(x, 0.37)), shifted(go(x), 0.37 * (size or n) / n))


def test_a_quadratic_commutes_with_shifts_by_fractions_from_factor_three_halves(lane):
    backend, device = lane
    dtype = dtypes(backend)[0]
    call = lambda x, *a, coefficients=None, **kw: up_act_down(  # noqa: E731
        x.to(device, dtype), *a, backend=backend, **kw,
        coefficients=None if coefficients is None else coefficients.to(device, dtype))  # fmt: skip
    exact = 1e-12 if dtype == F64 else 1e-5
    for factor in (1.5, 2):
        assert equivariance(call, "poly", factor) < exact
        assert equivariance(call, "poly", factor, size=8) < exact
    assert equivariance(call, "poly", 1.25) > 1e-3
    assert equivariance(call, "poly", 1) > 1e-2
    assert 1e-3 < equivariance(call, "gelu", 2) < 0.1


def test_how_many_fine_points_a_quadratic_needs():
    """More than (D + 1) K of them, and fewer when less is kept: DK + K'."""
    call = lambda *a, **kw: up_act_down(*a, **kw, backend="reference")  # noqa: E731
    assert equivariance(call, "poly", 22 / 16) < 1e-12 and equivariance(call, "poly", 21 / 16) > 1e-3
    assert equivariance(call, "poly", 18 / 16, size=8) < 1e-12 and equivariance(call, "poly", 17 / 16, size=8) > 1e-3


def test_shapes_views_and_empty(lane):
    backend, device = lane
    equal = same_bits(lane)
    x = normal(2, 3, 5, 5).float().to(device)
    c = normal(3, 3, seed=1).float().to(device)
    go = lambda x, c=c: up_act_down(x, "poly", coefficients=c, factor=np.float64(2), size=np.int64(4),  # noqa: E731
                                    backend=backend)  # fmt: skip
    want, before = go(x), x.clone()
    assert torch.equal(x, before) and want.shape == (2, 3, 4, 4) and want.is_contiguous()
    strided = torch.stack([x, x], -1)[..., 1]
    assert equal(go(strided, torch.stack([c, c], -1)[..., 1]), want)
    assert equal(go(x.mT.contiguous().mT), want)
    assert equal(go(x[1]), want[1])
    assert equal(go(x[:, 1], c[1]), want[:, 1])
    assert equal(go(x, c[0]), go(x, c[:1].expand(3, 3)))
    for empty in (x[:0], x[:0, 0]):
        out = go(empty, c if empty.ndim == 4 else c[0])
        assert out.shape == (*empty.shape[:-2], 4, 4)
    e, c = x[:0].clone().requires_grad_(), c.clone().requires_grad_()
    go(e, c).sum().backward()
    assert e.grad.shape == e.shape and torch.equal(c.grad, torch.zeros_like(c))
    same = up_act_down(x[..., :3, :3], "identity", factor=1, backend=backend)
    assert (same - x[..., :3, :3]).abs().max() < 1e-6 and same.data_ptr() != x.data_ptr()


def test_a_nan_stays_in_its_map(lane):
    backend, device = lane
    maps, n = (10, 4) if backend == "triton" else (300, 5)  # more than lie side by side; places that are padding
    x, weight = (normal(maps, n, n, seed=seed).float().to(device) for seed in (0, 1))
    for activation in ACTIVATIONS:
        c = torch.tensor([0.1, 0.5, 0.3], device=device) if activation == "poly" else None
        run = lambda x: up_act_down(x, activation, coefficients=c, backend=backend)  # noqa: E731, B023

        def both(x):
            x = x.clone().requires_grad_()
            y = run(x)  # noqa: B023
            return y.detach(), torch.autograd.grad((y * weight).sum(), x)[0]

        spoilt = x.clone()
        spoilt[7, 1, 2] = math.nan
        others = torch.arange(maps, device=device) != 7
        (y, g), (y_nan, g_nan) = both(x), both(spoilt)
        assert y_nan[7].isnan().all() and torch.equal(y_nan[others], y[others])
        assert torch.equal(g_nan[others], g[others]) and not g.isnan().any()


def test_maps_do_not_see_each_other(fast_lane, monkeypatch):
    """A map has the same bits in any batch, twice in a row, and however many threads there are."""
    backend, device = fast_lane
    maps = 20 if backend == "triton" else 140
    x = normal(maps, 5, 5).float().to(device)
    go = lambda x: up_act_down(x, "gelu", backend=backend)  # noqa: E731
    whole = go(x)
    assert torch.equal(go(x), whole) and same_bits(fast_lane)(go(x[13:19]), whole[13:19])
    monkeypatch.setattr(_threads, "WORTH", 1)
    for count in ("1", "3"):
        monkeypatch.setenv("IMPLICITLY_THREADS", count)
        assert torch.equal(go(x), whole)


def test_opcheck_and_one_gradient(lane):
    backend, device = lane
    x, c = normal(4, 4, 4).float().to(device), normal(2, 3).float().to(device)
    x.requires_grad_(), c.requires_grad_()
    torch.library.opcheck(torch.ops.implicitly.up_act_down.default, (x, c, "poly", 6, 3, backend))
    grad = normal(4, 3, 3).float().to(device)
    torch.library.opcheck(torch.ops.implicitly.up_act_down_backward.default,
                          (grad, x.detach(), c.detach(), "poly", 6, 3, backend))  # fmt: skip
    y = up_act_down(x.reshape(2, 2, 4, 4), "poly", coefficients=c, backend=backend)
    (g,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="up_act_down_backward: its gradient is not differentiable"):
        g.sum().backward()


@pytest.mark.parametrize("activation", ("identity", "poly", "gelu"))
def test_gradcheck(activation):
    x, c = normal(1, 2, 3, 3).requires_grad_(), normal(2, 3).requires_grad_()
    for backend in ("reference", "numba"):
        run = lambda x, c: up_act_down(  # noqa: E731
            x, activation, coefficients=c if activation == "poly" else None, size=2, backend=backend)  # noqa: B023
        assert torch.autograd.gradcheck(run, (x, c if activation == "poly" else c.detach()))


X = torch.ones(2, 3, 4, 4)
C = torch.ones(3, 3)
P = {"x": X, "activation": "poly", "coefficients": C}
G = {"activation": "gelu", "coefficients": None}
BAD = [
    (TypeError, "x: expected a torch.Tensor, got list", {"x": [[1.0]]}),
    (TypeError, "x: expected dtype float32 or float64, got torch.float16", {"x": X.half()}),
    (ValueError, r"x: expected square maps .* got shape \(2, 3, 4, 3\)", {"x": X[..., :3]}),
    (ValueError, r"x: expected square maps .* got shape \(2, 3, 1, 1\)", {"x": X[..., :1, :1]}),
    (ValueError, r"x: expected square maps .* got shape \(4,\)", {"x": X[0, 0, 0]}),
    (ValueError, "activation: expected one of .* got 'tanh'", {"activation": "tanh"}),
    (ValueError, "coefficients: expected None for the activation 'relu', got a Tensor", {"activation": "relu"}),
    (ValueError, "coefficients: expected a tensor for the activation 'poly', got None", {"coefficients": None}),
    (TypeError, "coefficients: expected a torch.Tensor, got list", {"coefficients": [0.0, 1.0, 2.0]}),
    (TypeError, "coefficients: expected dtype float32, got torch.float64", {"coefficients": C.double()}),
    (ValueError, r"coefficients: expected shape \(3,\) or \(3, 3\), got \(2, 3\)", {"coefficients": C[:2]}),
    (ValueError, r"coefficients: expected shape \(3,\), got \(3, 3\)", {"x": X[0, 0]}),
    (ValueError, "factor: expected a number >= 1, got 0.75", {**G, "factor": 0.75}),
    (ValueError, r"factor: expected factor \* 4 to be a whole number of points, got 1.3 \* 4", {**G, "factor": 1.3}),
    (ValueError, "factor, x: expected a fine grid of at most 4096 points", {**G, "factor": 1e300}),
    (ValueError, "factor: expected a finite number > 0, got nan", {**G, "factor": math.nan}),
    (TypeError, "factor: expected a number, got str", {**G, "factor": "2"}),
    (TypeError, "factor: expected a number, got bool", {**G, "factor": True}),
    (ValueError, "size: expected 1 <= size <= 4, got 5", {**G, "size": 5}),
    (ValueError, "size: expected 1 <= size <= 4, got 0", {**G, "size": 0}),
    (TypeError, "size: expected an int, got float", {**G, "size": 4.0}),
    (ValueError, "backend: expected one of", {**G, "backend": "cuda"}),
]  # fmt: skip


@pytest.mark.parametrize(("error", "message", "change"), BAD)
def test_bad_arguments(error, message, change):
    with pytest.raises(error, match=message):
        up_act_down(**{**P, **change})


def test_bad_arguments_of_the_matrix():
    for args, error, message in (((0, 3), ValueError, "n: expected 1 <= n <= 4096, got 0"),
                                 ((3, 5000), ValueError, "m: expected 1 <= m <= 4096, got 5000"),
                                 ((3.0, 3), TypeError, "n: expected an int, got float"),
                                 ((3, 3, torch.float16), TypeError, "dtype: .* got torch.float16"),
                                 ((3, 3, "float32"), TypeError, "dtype: .* got float32")):  # fmt: skip
        with pytest.raises(error, match=message):
            resample_matrix(*args)


def test_programs_of_other_sizes_agree(fast_lane):
    backend, device = fast_lane
    if backend != "triton":
        return
    x, c = normal(7, 5, 5).float().to(device), normal(7, 3, seed=1).float().to(device)
    for name, args in (("run", (x,)), ("backward", (x, x))):
        go = lambda **kw: _DISPATCH[name].load(backend)(*args, c, "poly", 8, 5, **kw)  # noqa: E731, B023
        for maps in (1, 4):
            for a, b in zip(go(maps=maps), go(), strict=True):
                assert relative_error(a, b) < 1e-6


def test_auto_runs_what_triton_does_not_take(monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.delenv("IMPLICITLY_BACKEND", raising=False)
    refused = {
        "x: the triton backend computes in float32, got torch.float64": (normal(4, 4), 2),
        "x, factor: the triton backend takes at most 32 points a side and 64 on": (normal(33, 33).float(), 1),
        "on the fine grid, got 8 and 72": (normal(8, 8).float(), 9),
    }
    for message, (x, factor) in refused.items():
        x.requires_grad_()
        want = up_act_down(x, "relu", factor=factor, backend="reference")
        with monkeypatch.context() as on_a_gpu:
            for name in _DISPATCH:
                on_a_gpu.setattr(_DISPATCH[name], "choose", lambda backend, device: "triton")
            got = up_act_down(x, "relu", factor=factor)
            assert torch.equal(got, want)
            got.sum().backward()
            with pytest.raises(ValueError, match=message):
                up_act_down(x, "relu", factor=factor, backend="triton")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_two_runs_on_the_gpu_are_equal():
    x, weight = (normal(20000, 16, 16, seed=seed).float().cuda().requires_grad_() for seed in (0, 1))
    go = lambda: up_act_down(x, "gelu")  # noqa: E731
    assert torch.equal(go(), go())
    assert torch.equal(*(torch.autograd.grad((go() * weight).sum(), x)[0] for _ in range(2)))
