"""Cross-covariance attention: each entry by its own sum in float64, shifts, gradients, bad input."""

import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from lanes import relative_error

from implicitly_kernels import _jit, cross_covariance_attention
from implicitly_kernels.xca import _DISPATCH, reference

F32, F64 = torch.float32, torch.float64
NAMES = ("out", "q", "k", "v", "temperature")
# (B, H, N, d)
SMALL = [(2, 2, 5, 3), (1, 1, 16, 8)]
LARGE = [*SMALL, (1, 2, 1, 1), (3, 1, 7, 33), (40, 3, 16, 6), (2, 3, 130, 32), (1, 2, 1, 5), (2, 1, 2000, 16)]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def problem(B, H, N, d, seed=0):
    q, k, v = normal(3, B, H, N, d, seed=seed)
    k = k + q if N > 1 else k  # weights that are far from equal
    return q, k, v, 5 * normal(H, seed=seed + 1)


def oracle(q, k, v, temperature):
    """By einsum, from the definition; the softmax by its exponentials."""
    unit = lambda x: x / torch.einsum("bhni,bhni->bhi", x, x).sqrt()[:, :, None]  # noqa: E731
    cosines = torch.einsum("bhni,bhnj->bhij", unit(q), unit(k))
    e = torch.exp(temperature[None, :, None, None] * cosines)
    return torch.einsum("bhij,bhnj->bhni", e / e.sum(-1, keepdim=True), v)


def gradients(run, given, weight):
    given = [v.detach().requires_grad_() for v in given]
    return torch.autograd.grad((run(*given) * weight).sum(), given)


def amplification(q, k, v, temperature, grad):
    """How much smaller the gradient in temperature is than the magnitudes of what it sums, in norms over the heads.

    It is the sum of A_ij m_ij c_ij - A_ij (sum_l A_il m_il) c_ij over samples b and channels i, j, with weights A,
    cosines c and m the gradient in A. Its terms cancel: in each row, since the gradients in the logits add to 0, and
    between rows. So it says how often a relative error of the terms stands in the sum.
    """
    A, cosines = reference.weights(q, k, temperature)[:2]
    m = grad.mT @ v
    total = (A * (m - (A * m).sum(-1, keepdim=True)) * cosines).sum((0, 2, 3))
    terms = (A * (m.abs() + (A * m.abs()).sum(-1, keepdim=True)) * cosines.abs()).sum((0, 2, 3))
    return float(terms.norm() / total.norm())


def temperature_limit(given, grad, dtype):
    """A sum of n rounded terms, in any order, is right to n eps times their magnitudes.

    Each backend adds in an order of its own, so that one may be near by luck where another is not: 20 times the
    reference's error is no bound here. Over 150 other inputs of each shape none came to a thirtieth of this one.
    """
    B, _, _, d = given[0].shape
    return B * d * d * torch.finfo(dtype).eps * amplification(*given, grad)


def check(call, dtype, device="cpu", shapes=LARGE):
    """Results and gradients against the oracle; float32 within 1e-5, and 20 times the reference's own error, but for
    the gradient in temperature."""
    for shape in shapes:
        given = [v.to(dtype) for v in problem(*shape)]
        weight = normal(*shape, seed=7).to(dtype)
        exact = [v.double() for v in given]
        moved = [v.to(device) for v in given]
        plain = lambda *a: cross_covariance_attention(*a, backend="reference")  # noqa: E731
        want = oracle(*exact), *gradients(oracle, exact, weight.double())
        own = plain(*given), *gradients(plain, given, weight)
        got = call(*moved), *gradients(call, moved, weight.to(device))
        for name, a, b, p in zip(NAMES, got, want, own, strict=True):
            assert a.dtype == dtype and a.shape == b.shape and a.device.type == device
            if name in ("q", "k", "temperature") and b.norm() < 1e-9 * want[3].norm():
                assert a.norm() <= (1e-12 if dtype == F64 else 1e-5) * want[3].norm() * 5  # of one token: none
                continue
            limit = 1e-12 if dtype == F64 else min(1e-5, 20 * relative_error(p, b) + 5e-7)
            if name == "temperature":
                limit = temperature_limit(exact, weight.double(), dtype)
            assert relative_error(a, b) <= limit, (shape, name, relative_error(a, b))


def by(run=None, backward=None):
    """A public call that runs these implementations instead of the registered ones, and of the numba backend."""

    def call(*args):
        for name, function in (("run", run), ("backward", backward)):
            _DISPATCH[name]._loaded["numba"] = function or getattr(reference, name)
        return cross_covariance_attention(*args, backend="numba")

    return call


@pytest.fixture(autouse=True)
def registered():
    """`by` leaves what it planted until here: the gradient is taken after the call."""
    yield
    for name in _DISPATCH:
        _DISPATCH[name]._loaded.pop("numba", None)


def same_bits(lane):
    """Bits, where products are ours: those of the reference, and of Triton's interpreter, are numpy's or torch's."""
    ours = lane in (("numba", "cpu"), ("triton", "cuda"))
    return torch.equal if ours else lambda a, b: relative_error(a, b) < 1e-6


def dtypes(backend):
    return (F32,) if backend == "triton" else (F64, F32)


def test_against_the_sums(lane):
    backend, device = lane
    for dtype in dtypes(backend):
        shapes = SMALL if (backend, device) == ("triton", "cpu") else LARGE
        check(lambda *a: cross_covariance_attention(*a, backend=backend), dtype, device, shapes)


def shifted(x, side, sy, sx):
    """Tokens (.., side * side, d) as a map, moved by (sy, sx) of a token; Nyquist bins emptied."""
    maps = torch.fft.fft2(x.unflatten(-2, (side, side)), dim=(-3, -2))
    k = torch.fft.fftfreq(side, 1 / side).double()
    turn = torch.exp(-2j * math.pi / side * (sy * k[:, None] + sx * k))
    keep = (2 * k.abs() < side).double()
    return torch.fft.ifft2(maps * (turn * keep[:, None] * keep)[..., None], dim=(-3, -2)).real.flatten(-3, -2)


def test_shifts_by_fractions_of_a_token_pass_through(lane):
    backend, device = lane
    dtype = dtypes(backend)[0]
    *tokens, t = problem(2, 2, 36, 4)
    tokens = [shifted(x, 6, 0, 0) for x in tokens]
    go = lambda *a: cross_covariance_attention(*(x.to(device, dtype) for x in (*a, t)), backend=backend)  # noqa: E731
    moved = go(*(shifted(x, 6, 0.3, 0.71) for x in tokens)).cpu().double()
    want = shifted(go(*tokens).cpu().double(), 6, 0.3, 0.71)
    assert relative_error(moved, want) < (1e-12 if dtype == F64 else 1e-5)

    def softmax_attention(q, k, v, t):
        return (q @ k.mT).softmax(-1) @ v

    control = softmax_attention(*(shifted(x, 6, 0.3, 0.71) for x in tokens), t)
    assert relative_error(control, shifted(softmax_attention(*tokens, t), 6, 0.3, 0.71)) > 1e-3


def test_channels_of_zeros_stay_zero(lane):
    """Their cosines are 0: equal weights for a query of zeros; and no NaN in any gradient."""
    backend, device = lane
    q, k, v, t = (x.float().to(device) for x in problem(2, 2, 6, 4))
    q[..., 1], k[0, 1, :, 2] = 0, 0
    given = [x.requires_grad_() for x in (q, k, v, t)]
    out = cross_covariance_attention(*given, backend=backend)
    assert relative_error(out.detach()[..., 1], v.detach().mean(-1)) < 1e-6
    for g in torch.autograd.grad(out.square().sum(), given):
        assert not g.isnan().any()


def test_a_norm_below_1e_12_counts_as_1e_12():
    q, k, v, t = problem(1, 1, 4, 3)
    small = q.clone()
    small[..., 0] *= 1e-14 / q[..., 0].norm()
    want = reference.weights(q, k, t)[1]
    for backend in ("reference", "numba"):
        got = cross_covariance_attention(small, k, v, t, backend=backend)
        unit = torch.cat([0.01 * want[:, :, :1], want[:, :, 1:]], 2)
        assert relative_error(got, v @ (t[:, None, None] * unit).softmax(-1).mT) < 1e-12


def test_shapes_views_and_empty(lane):
    backend, device = lane
    equal = same_bits(lane)
    given = [x.float().to(device) for x in problem(2, 3, 5, 4)]
    go = lambda *a: cross_covariance_attention(*a, backend=backend)  # noqa: E731
    before = [x.clone() for x in given]
    want = go(*given)
    assert all(map(torch.equal, given, before)) and want.is_contiguous()
    strided = [torch.stack([x, x], -1)[..., 1] for x in given]
    assert equal(go(*strided), want)
    heads_last = [x.permute(0, 2, 1, 3).contiguous().permute(0, 2, 1, 3) for x in given[:3]]
    assert equal(go(*heads_last, given[3]), want)
    assert equal(go(*(x[1:] for x in given[:3]), given[3]), want[1:])
    for cut in (lambda x: x[:0], lambda x: x[:, :, :0]):
        some = [cut(x).clone().requires_grad_() for x in given[:3]]
        t = given[3].clone().requires_grad_()
        out = go(*some, t)
        assert out.shape == some[0].shape and not out.numel()
        out.sum().backward()
        assert torch.equal(t.grad, torch.zeros_like(t)) and some[0].grad.shape == some[0].shape
    none = go(*(x[:, :0] for x in given[:3]), given[3][:0])
    assert none.shape == (2, 0, 5, 4)


def test_a_nan_stays_in_its_head(lane):
    backend, device = lane
    given = [x.float().to(device) for x in problem(*((3, 2) if backend == "triton" else (20, 2)), 5, 3)]
    want = cross_covariance_attention(*given, backend=backend)
    others = torch.ones(want.shape[:2], dtype=torch.bool, device=device)
    others[2, 1] = False
    for i in range(3):
        spoilt = [x.clone() for x in given]
        spoilt[i][2, 1, 2, 1] = math.nan
        out = cross_covariance_attention(*spoilt, backend=backend)
        assert torch.equal(out[others], want[others])
        hit = out[2, 1].isnan()
        assert (hit[:, 1].all(), hit.all(), hit[2].all())[i]


def test_heads_do_not_see_each_other(fast_lane):
    """A head has the same bits in any batch, twice in a row, and however many threads there are."""
    backend, device = fast_lane
    given = [x.float().to(device) for x in problem(4, 2, 5, 3)]
    go = lambda *a: cross_covariance_attention(*a, backend=backend)  # noqa: E731
    whole = go(*given)
    assert torch.equal(go(*given), whole)
    assert torch.equal(go(*(x[2:4] for x in given[:3]), given[3]), whole[2:4])
    threads = torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            assert torch.equal(go(*given), whole)
    finally:
        torch.set_num_threads(threads)


def test_opcheck_and_one_gradient(lane):
    backend, device = lane
    given = [x.float().to(device).requires_grad_() for x in problem(1, 2, 4, 3)]
    torch.library.opcheck(torch.ops.implicitly.xca.default, (*given, backend))
    grad = normal(1, 2, 4, 3).float().to(device)
    torch.library.opcheck(torch.ops.implicitly.xca_backward.default, (grad, *(x.detach() for x in given), backend))
    out = cross_covariance_attention(*given, backend=backend)
    (g,) = torch.autograd.grad(out.square().sum(), given[:1], create_graph=True)
    with pytest.raises(NotImplementedError, match="xca_backward: its gradient is not differentiable"):
        g.sum().backward()


def test_gradcheck():
    given = [x.requires_grad_() for x in problem(1, 2, 3, 2)]
    for backend in ("reference", "numba"):
        assert torch.autograd.gradcheck(lambda *a: cross_covariance_attention(*a, backend=backend), given)  # noqa: B023


X = torch.ones(2, 3, 5, 4)
P = {"q": X, "k": X, "v": X, "temperature": torch.ones(3)}
BAD = [
    (TypeError, "q: expected a torch.Tensor, got list", {"q": [[1.0]]}),
    (TypeError, "q: expected dtype float32 or float64, got torch.float16", {"q": X.half()}),
    (ValueError, r"q: expected 4 dimensions, got shape \(3, 5, 4\)", {"q": X[0]}),
    (ValueError, r"q: expected at least one channel, got shape \(2, 3, 5, 0\)", {"q": X[..., :0]}),
    (TypeError, "k: expected dtype float32, got torch.float64", {"k": X.double()}),
    (ValueError, r"k: expected shape \(2, 3, 5, 4\), got \(2, 3, 4, 4\)", {"k": X[:, :, :4]}),
    (TypeError, "v: expected a torch.Tensor, got NoneType", {"v": None}),
    (ValueError, r"v: expected shape \(2, 3, 5, 4\), got \(2, 3, 5, 3\)", {"v": X[..., :3]}),
    (ValueError, r"temperature: expected shape \(3\), got \(2,\)", {"temperature": torch.ones(2)}),
    (ValueError, r"temperature: expected shape \(3\), got \(3, 1, 1\)", {"temperature": torch.ones(3, 1, 1)}),
    (TypeError, "temperature: expected a torch.Tensor, got float", {"temperature": 1.0}),
    (ValueError, "backend: expected one of", {"backend": "cuda"}),
]  # fmt: skip


@pytest.mark.parametrize(("error", "message", "change"), BAD)
def test_bad_arguments(error, message, change):
    with pytest.raises(error, match=message):
        cross_covariance_attention(**{**P, **change})


def test_steps_of_other_sizes_agree(fast_lane):
    backend, device = fast_lane
    if backend != "triton":
        return
    given = [x.float().to(device) for x in problem(1, 1, 34, 5)]
    for name, args in (("run", given), ("backward", (given[0], *given))):
        go = lambda **kw: _DISPATCH[name].load(backend)(*args, **kw)  # noqa: E731, B023
        for tokens in (16, 64):
            for a, b in zip(go(tokens=tokens), go(), strict=True):
                assert relative_error(a, b) < 1e-6


def test_auto_runs_what_triton_does_not_take(monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.delenv("IMPLICITLY_BACKEND", raising=False)
    for message, given in (("q: the triton backend computes in float32, got torch.float64", problem(1, 2, 5, 3)),
                           ("q: the triton backend takes at most 64 channels a head, got 65",
                            [x.float() for x in problem(1, 1, 3, 65)])):  # fmt: skip
        given = [x.requires_grad_() for x in given]
        want = cross_covariance_attention(*given, backend="reference")
        with monkeypatch.context() as on_a_gpu:
            for name in _DISPATCH:
                on_a_gpu.setattr(_DISPATCH[name], "choose", lambda backend, device: "triton")
            got = cross_covariance_attention(*given)
            assert torch.equal(got, want)
            got.sum().backward()
            with pytest.raises(ValueError, match=message):
                cross_covariance_attention(*given, backend="triton")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_two_runs_on_the_gpu_are_equal():
    given = [x.float().cuda().requires_grad_() for x in problem(64, 8, 500, 48)]
    go = lambda: cross_covariance_attention(*given)  # noqa: E731
    assert torch.equal(go(), go())
    one, two = (torch.autograd.grad(go().square().sum(), given) for _ in range(2))
    assert all(map(torch.equal, one, two))


NUMBA = "kernels/implicitly_kernels/xca/_numba.py"
TRITON = "kernels/implicitly_kernels/xca/_triton.py"
LANES = "kernels/implicitly_kernels/_lanes.py"
FAULTS = {
    "numba: old tokens stay": (NUMBA, "range(count, whole)", "range(whole, whole)"),
    "numba: only the first chunk": (NUMBA, "out, 0, lanes, lanes, False)", "out, 0, lanes, lanes, True)"),
    "numba: weights of the wrong side": (NUMBA, "_turn(weight, lanes, d, matrix)", "matrix[:weight.size] = weight"),
    "numba: keys by the norms of queries": (NUMBA, "_norms(k[h], sums, two)", "_norms(q[h], sums, two)"),
    "numba: temperature of the first head": (NUMBA, "temperature[h % len(temperature)]", "temperature[0]"),
    "numba: divided as if the norm were constant": (NUMBA, "s * one[i] * one[i] if one[i] > 0", "0 * s if one[i] > 0"),
    "numba: a softmax without its mean": (NUMBA, "(moved[o + j] - mean)", "moved[o + j]"),
    # Seen by the gradient in temperature alone.
    "numba: a sum of terms before their mean is gone":
        (NUMBA, "total += logit * cosine[o + j]", "total += weight[o + j] * moved[o + j] * cosine[o + j]"),
    "numba: a sum without one term": (NUMBA, "total += logit", "total += (i + j < 2 * d - 2) * logit"),
    "numba: a sum of eleven bits": (NUMBA, "to_t[h] = total", "to_t[h] = np.float16(total)"),
}
TRITON_FAULTS = {
    "triton: the last token left out": (TRITON, "(n < tokens)", "(n < tokens - 1)"),
    "triton: padding has weight": (TRITON, 'float("-inf")', "0.0"),
    "triton: weights of the wrong side": (TRITON, "A = tl.trans(_weights(", "A = 1.0 * (_weights("),
    "triton: temperature of the first head": (TRITON, "t_ptr + b % heads", "t_ptr"),
    "triton: divided as if the norm were constant": (TRITON, "k_norm > LEAST", "k_norm < 0.0"),
    "triton: a sum of eight bits":  # in the gradient in temperature
        (TRITON, "tl.sum(tl.sum(logit * cosine, axis=1), axis=0)",
         "tl.sum(tl.sum(logit * cosine, axis=1), axis=0).to(tl.bfloat16)"),
}
FEW = [(2, 2, 7, 3)]


@pytest.fixture
def uncompiled(mutant, monkeypatch):
    """`mutant` with numba's functions as Python runs them: to compile each fault takes longer."""
    monkeypatch.setattr(_jit, "cached_njit", lambda **_: lambda function: function)
    lanes = mutant(LANES, "o", "o")
    lanes.U = int

    def make(path, old, new):
        module = mutant(path, old, new)
        module.combine, module.U, module.CHUNK = lanes.combine, int, 4  # the last chunk is not full
        return module

    with np.errstate(all="ignore"):
        yield make


@pytest.mark.parametrize("fault", (None, *FAULTS))
def test_planted_faults_are_seen(uncompiled, fault):
    module = uncompiled(*FAULTS.get(fault, (NUMBA, "o", "o")))
    with pytest.raises((AssertionError, ValueError)) if fault else nullcontext():
        check(by(module.run, module.backward), F32, shapes=FEW)


@pytest.mark.interp
@pytest.mark.skipif("os.environ.get('TRITON_INTERPRET') != '1'", reason="needs TRITON_INTERPRET=1")
@pytest.mark.parametrize("fault", TRITON_FAULTS)
def test_planted_triton_faults_are_seen(mutant, fault):
    module = mutant(*TRITON_FAULTS[fault])
    with pytest.raises(AssertionError):
        check(by(module.run, module.backward), F32, shapes=SMALL[:1])
