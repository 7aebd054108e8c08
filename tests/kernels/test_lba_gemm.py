"""Narrow accumulators: exact fractions, closed forms, equal bits of backends and paths, gradients, planted faults."""

import functools
import math
from fractions import Fraction
from importlib import import_module

import pytest
import torch
from conftest import INTERPRETING, bits_equal, relative_error

import implicitly_kernels as ik
from implicitly_kernels import _threads
from implicitly_kernels.lba_gemm import EVENTS, GRADIENTS, reference
from implicitly_kernels.lba_gemm._form import Form

F32, F64 = torch.float32, torch.float64
NUMBA = "kernels/implicitly_kernels/lba_gemm/_numba.py"
NUMBERS = "kernels/implicitly_kernels/lba_gemm/_numba_rounding.py"
TRITON = "kernels/implicitly_kernels/lba_gemm/_triton.py"
REFERENCE = "kernels/implicitly_kernels/lba_gemm/reference.py"

#: mantissa, exponent, bias_product, bias_sum, chunk, nearest, underflow. Each path, chunk and option, with limits that
#: normal numbers reach on both sides.
FORMS = [
    Form(7, 4, 12, 10, 16, False, True),
    Form(7, 4, 12, 10, 5, True, True),
    Form(3, 3, 7, 6, 4, False, True),
    Form(2, 2, 2, 1, 3, True, True),
    Form(1, 1, 0, 0, 1, False, True),
    Form(10, 4, 14, 6, 64, False, True),  # the widest spread of exponents that float32 takes
    Form(10, 4, 14, 5, 64, False, True),  # one more: float64
    Form(10, 5, 20, 16, 16, True, True),
    Form(23, 5, 15, 15, 8, False, True),
    Form(23, 5, 15, 15, 8, True, True),
    Form(4, 6, 40, 30, 8, False, True),  # exponents too far apart for float64
    Form(5, 3, 4, 4, 4, False, False),
    Form(7, 4, 12, 10, 16, True, False),
    Form(7, 7, 126, 126, 16, False, True),
    Form(7, 7, 0, 0, 16, False, True),
]


def name_of(form):
    """The name of a test's case."""
    return "M{}E{}({},{})/{}".format(*form[:5]) + "n" * form.nearest + "-" * (not form.underflow)


def arguments(form):
    """A form as the public functions take it."""
    named = form._asdict()
    named["rounding"] = "nearest" if named.pop("nearest") else "truncate"
    return named


def short(v, bits=12):
    """v with `bits` significant bits, so that products of two are exact in float32."""
    return (v.view(torch.int32) & -(1 << (24 - bits))).view(F32)


def inputs(m, n, K, seed=0, *, bits=24, spread=1.5, batch=()):
    """x and w: normal numbers times powers of two, some of them 0."""
    g = torch.Generator().manual_seed(seed)

    def one(rows):
        v = torch.randn(*batch, rows, K, generator=g) * torch.exp2(
            (spread * torch.randn(*batch, rows, K, generator=g)).round())
        v[torch.rand(v.shape, generator=g) < 0.1] = 0
        return short(v, bits)

    return one(m), one(n)


# --- the definition, in fractions --------------------------------------------------------------------------------


def q(v, mantissa, exponent, bias, nearest, underflow):
    """The definition of Q, and whether the magnitude was at or above the largest."""
    largest = Fraction(2) ** (2**exponent - bias - 1) * (2 - Fraction(1, 2**mantissa))
    a = abs(v)
    if not a:
        return Fraction(0), False
    e = a.numerator.bit_length() - a.denominator.bit_length()
    e -= Fraction(2) ** e > a
    assert Fraction(2) ** e <= a < Fraction(2) ** (e + 1)
    unit = Fraction(2) ** (e - mantissa)
    r = (round if nearest else math.floor)(a / unit) * unit  # Fraction rounds half to even
    over = r >= largest
    r = min(r, largest)
    if underflow and r < Fraction(2) ** -bias:
        r = Fraction(0)
    return (r if v > 0 else -r), over


def chain(x, w, form):
    """One output: its value, its sums, its counts, and the factors of its products for each gradient."""
    M, E, bp, bs, C, nearest, underflow = form
    x, w = ([Fraction(v) for v in row.tolist()] for row in (x, w))
    t, sums, counts, steps, totals = Fraction(0), [], [0] * 6, [], []
    for first in range(0, len(x), C):
        s = Fraction(0)
        for a, b in zip(x[first:first + C], w[first:first + C], strict=True):
            p, clipped = q(a * b, M, E, bp, nearest, underflow)
            new, over = q(s + p, M, E, bs, nearest, underflow)
            counts[0] += over
            counts[1] += p == 0 and a * b != 0
            counts[2] += p != 0 and new == s
            counts[3] += clipped
            steps.append((over, clipped, new != s))
            s = new
            sums.append(s)
        new, over = q(t + s, M, E, bs, nearest, underflow)
        counts[4] += over
        counts[5] += s != 0 and new == t
        totals.append((over, new != t))
        t = new
    K, last = len(x), max((c for c, (over, _) in enumerate(totals) if over), default=-1)
    factors = {"immediate-overflow": [], "recursive-overflow": [], "immediate-change": []}
    for k, (over, clipped, changed) in enumerate(steps):
        c = k // C
        after = any(steps[j][0] for j in range(k, min((c + 1) * C, K)))
        factors["immediate-overflow"].append(not over and not clipped and not totals[c][0])
        factors["recursive-overflow"].append(not after and not clipped and c > last)
        factors["immediate-change"].append(changed and totals[c][1])
    return t, sums, counts, factors


@functools.cache
def oracle(form, m, n, K, seed, bits):
    """Inputs, and the chain of every output."""
    x, w = inputs(m, n, K, seed, bits=bits)
    if form.exponent == 6:  # a sum of 55 bits
        x[0, :2], w[0, :2] = torch.tensor([2.0**20, -(2.0**-20)]), torch.tensor([1.0, 2.0**-15])
    return x, w, [[chain(a, b, form) for b in w] for a in x]


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_against_fractions(lane, form):
    backend, device = lane
    small = lane == ("triton", "cpu")
    for seed, bits in ((1, 24),) if small and form.path(True) != "single" else ((0, 12), (1, 24)):
        x, w, want = oracle(form, *((2, 2, 7) if small else (3, 4, 23)), seed, bits)
        how = arguments(form) | {"backend": backend}
        y, counts = ik.lba_events(x.to(device), w.to(device), **how)
        assert [[Fraction(v) for v in row] for row in y.tolist()] == [[one[0] for one in row] for row in want]
        assert bits_equal(ik.lba_gemm(x.to(device), w.to(device), **how), y)
        assert counts.dtype == torch.int64
        assert counts.permute(1, 2, 0).tolist() == [[one[2] for one in row] for row in want]
        dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed))
        for gradient in GRADIENTS[1:] if not small else GRADIENTS[1 + FORMS.index(form) % 3:][:1]:
            alpha = torch.tensor([[one[3][gradient] for one in row] for row in want], dtype=F64)
            a, b = (v.clone().to(device).requires_grad_() for v in (x, w))
            ik.lba_gemm(a, b, gradient=gradient, **how).backward(dy.to(device))
            for got, exact in ((a.grad, torch.einsum("ij,ijk,jk->ik", dy.double(), alpha, w.double())),
                               (b.grad, torch.einsum("ij,ijk,ik->jk", dy.double(), alpha, x.double()))):
                # at most 4 terms, added in float64, then rounded to float32
                size = dy.abs().max() * max(x.abs().max(), w.abs().max())
                assert (got.cpu().double() - exact).abs().max() <= 1e-6 * size and got.dtype == F32


def test_the_cases_reach_every_event():
    """Together, and each of the fine-grained gradients differs from the others somewhere."""
    total, seen = torch.zeros(6, dtype=torch.int64), set()
    for form in FORMS:
        for row in oracle(form, 3, 4, 23, 1, 24)[2]:
            for _, _, counts, factors in row:
                total += torch.tensor(counts)
                seen |= {(g, h) for g in factors for h in factors if factors[g] != factors[h]}
    assert (total > 0).all(), dict(zip(EVENTS, total.tolist(), strict=True))
    assert len(seen) == 6


@pytest.mark.parametrize("form", FORMS[:5], ids=name_of)
def test_trace_against_fractions(form):
    x, w = inputs(4, 4, 23, 2)
    for backend in ("reference", "numba"):
        sums, totals, codes, chunk_codes = ik.lba_trace(x, w, backend=backend, **arguments(form))
        _, counts = ik.lba_events(x, w, backend="reference", **arguments(form))
        for i in range(4):
            value, want, count, _ = chain(x[i], w[i], form)
            assert [Fraction(v) for v in sums[i].tolist()] == want and Fraction(totals[i, -1].item()) == value
            found = [((codes[i] & bit) != 0).sum().item() for bit in (1, 2, 4, 8)]
            found += [((chunk_codes[i] & bit) != 0).sum().item() for bit in (1, 4)]
            assert found == count == counts[:, i, i].tolist()
            moved = sums[i].reshape(-1) != torch.cat([torch.zeros(1), sums[i, :-1]]) * (
                torch.arange(23) % form.chunk != 0)
            assert torch.equal(codes[i] & 16 == 0, moved)


# --- bits equal across backends, paths, blocks ----------------------------------------------------------------------


def module(backend):
    return import_module(f"implicitly_kernels.lba_gemm.{'_' * (backend != 'reference')}{backend}")


def same_bits(impl, device, small=False):
    """Every function of an implementation against the reference, on shapes that fit no block."""
    shapes = [(1, 1, 1, 1), (1, 5, 3, 9)] if small else [(1, 1, 1, 1), (1, 5, 7, 33), (2, 3, 70, 18), (3, 130, 2, 5)]
    for B, m, n, K in shapes:
        for form in FORMS[:2] + FORMS[9:11] if small else FORMS:
            for bits in (12,) if small else (12, 24):
                x, w = inputs(m, n, K, 3, bits=bits, batch=(B,))
                path, most = form.path(bits == 12), (x.abs().max() * w.abs().max()).item()
                given = [v.to(device) for v in (x, w)]
                assert bits_equal(impl.forward(*given, list(form), path, most), reference.forward(x, w, form, "", 0.0))
                if not small or form is FORMS[0]:
                    for got, want in zip(impl.events(*given, list(form)), reference.events(x, w, form), strict=True):
                        assert bits_equal(got, want)


def test_same_bits(fast_lane, small):
    backend, device = fast_lane
    same_bits(module(backend), device, small)


def test_gradients_of_backends(fast_lane, small):
    backend, device = fast_lane
    for B, m, n, K in [(1, 3, 34, 5)] if small else [(1, 5, 70, 33), (2, 9, 4, 40)]:
        x, w = inputs(m, n, K, 4, batch=(B,))
        dy = torch.randn(B, m, n, generator=torch.Generator().manual_seed(0))
        for form in FORMS[2:3] if small else FORMS:
            for gradient in GRADIENTS[1:]:
                want = reference.backward(x, w, dy, form, gradient)
                got = module(backend).backward(*(v.to(device) for v in (x, w, dy)), list(form), gradient)
                assert got.dtype == want.dtype and (got.cpu() - want).norm() <= 1e-6 * want.norm()


def test_the_size_of_a_block_is_no_part_of_the_result(fast_lane, small):
    backend, device = fast_lane
    name, sizes = ("tile", (16, 32)) if backend == "triton" else ("lanes", (8, 24, 128))
    x, w = inputs(3, 19, 5, 5, bits=12, batch=(1,)) if small else inputs(33, 41, 50, 5, bits=12, batch=(1,))
    dy = torch.randn(1, *x.shape[1:2], w.shape[1])
    for form in FORMS[:1] if small else FORMS[:2]:
        want = reference.forward(x, w, form, "", 0.0), reference.backward(x, w, dy, form, GRADIENTS[2])
        for size in sizes:
            given = [v.to(device) for v in (x, w, dy)]
            got = module(backend).forward(*given[:2], list(form), "single", math.inf, **{name: size})
            assert bits_equal(got, want[0])
            got = module(backend).backward(*given, list(form), GRADIENTS[2], **{name: size})
            assert relative_error(got, want[1]) <= 1e-6


def test_all_paths_that_are_safe_agree():
    """On numbers short enough for float32; `most` only says whether products may be clipped."""
    x, w = inputs(40, 50, 64, 6, bits=12, spread=3.0, batch=(1,))
    most = (x.abs().max() * w.abs().max()).item()
    numba = module("numba")
    for form in FORMS:
        want = numba.forward(x, w, form, "odd", most)
        for path in ["double"] * form.safe(53) + ["single"] * (form.path(True) == "single"):
            assert bits_equal(numba.forward(x, w, form, path, most), want)
            assert bits_equal(numba.forward(x, w, form, path, math.inf), want)


def grid(form, bias):
    """Every number of a format."""
    codes = torch.arange(2**form.mantissa * 2**form.exponent, dtype=F64)
    half = (1 + codes % 2**form.mantissa / 2**form.mantissa) * torch.exp2(codes // 2**form.mantissa - bias)
    return torch.cat([half, torch.zeros(1, dtype=F64), -half])


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("spread", [-9, -8, 0, 8, 9])
def test_what_is_safe_in_float32_is_and_no_more(spread, nearest):
    """Every product with every sum of a small format: the bound of `Form.safe` is sharp where sums are cut."""
    form = Form(4, 4, 8 + spread, 8, 16, nearest, True)
    p, s = grid(form, form.bias_product), grid(form, form.bias_sum)
    v = s[:, None] + p  # exact in float64
    how = (form.mantissa, *form.limits(form.bias_sum), nearest)
    wrong = (reference.quantize(v.float().double(), *how)[0] != reference.quantize(v, *how)[0]).sum().item()
    assert form.safe(24) == (spread <= 8 or nearest)
    assert (wrong == 0) == form.safe(24), wrong


def test_no_two_variants_share_a_name():
    """Symbols of compiled functions that come from two processes' caches differ by module and name alone."""
    product, events = module("numba"), module("numba_events")
    loops = {id(f): f for one in (product, events) for f in vars(one).values() if hasattr(f, "py_func")}
    tables = product._ROWS, events._EVENT_ROWS.values(), events._BACKWARD_ROWS.values()
    loops |= {id(f): f for table in tables for f in table}
    names = [f.py_func.__qualname__ for f in loops.values()]
    assert len(names) >= 25 and len(set(names)) == len(names)


def test_the_number_of_threads_is_no_part_of_the_result(monkeypatch):
    x, w = inputs(37, 41, 50, 7)
    monkeypatch.setattr(_threads, "WORTH", 1)
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("IMPLICITLY_THREADS", threads)
        a = x.clone().requires_grad_()
        y = ik.lba_gemm(a, w, gradient="recursive-overflow", backend="numba")
        y.sum().backward()
        results.append((y.detach(), a.grad, *ik.lba_events(x, w, backend="numba")))
    assert all(bits_equal(a, b) for a, b in zip(*results, strict=True))


def test_shapes_and_strides(lane):
    backend, device = lane
    x, w = (v.to(device) for v in inputs(4, 6, 9, 8))
    y = ik.lba_gemm(x, w, backend=backend)
    assert y.shape == (4, 6) and bits_equal(ik.lba_gemm(x[None], w[None], backend=backend)[0], y)
    assert bits_equal(ik.lba_gemm(x.T.contiguous().T, w.repeat(1, 2)[:, :9], backend=backend), y)
    for m, n, K in ((0, 6, 9), (4, 0, 9), (4, 6, 0)):
        a, b = x[:m, :K].clone().requires_grad_(), w[:n, :K]
        empty = ik.lba_gemm(a, b, gradient="immediate-change", backend=backend)
        assert empty.shape == (m, n) and not empty.any()
        empty.sum().backward()
        assert a.grad.shape == (m, K) and not a.grad.any()
        assert ik.lba_events(x[:m, :K], b, backend=backend)[1].shape == (6, m, n)
    assert ik.lba_gemm(x[None, :0][:0], w[None][:0], backend=backend).shape == (0, 0, 6)


# --- closed forms -----------------------------------------------------------------------------------------------------


def test_the_example_of_the_chapter(lane):
    """40 + 40 is clipped at 63.75: identity still asks the first 40 to grow."""
    backend, device = lane
    x, w = torch.tensor([[40.0, 40.0, -30.0, 5.0]], device=device), torch.ones(1, 4, device=device)
    how = {"bias_product": 10, "bias_sum": 10, "backend": backend}
    want = {"identity": [1, 1, 1, 1], "immediate-overflow": [1, 0, 1, 1], "recursive-overflow": [0, 0, 1, 1],
            "immediate-change": [1, 1, 1, 1]}
    for gradient, factors in want.items():
        a = x.clone().requires_grad_()
        y = ik.lba_gemm(a, w, gradient=gradient, **how)
        y.backward(torch.ones_like(y))
        assert y.item() == 38.75 and a.grad.tolist() == [factors]
    assert ik.lba_events(x, w, **how)[1].flatten().tolist() == [1, 0, 0, 0, 0, 0]
    assert ik.lba_gemm(x, w, bias_product=12, bias_sum=10, backend=backend).item() == 20.875  # 15.9375 + 5, cut


def test_a_sum_is_exact_before_it_is_cut(lane):
    """1 - 2**-60 is 1 in float64, and 1 - 2**-8 with 7 bits."""
    backend, device = lane
    x, w = torch.tensor([[1.0, -(2.0**-60)]], device=device), torch.ones(1, 2, device=device)
    how = {"exponent": 6, "bias_product": 60, "bias_sum": 60, "backend": backend}
    assert ik.lba_gemm(x, w, **how).item() == 1 - 2.0**-8
    assert ik.lba_gemm(x, w, rounding="nearest", **how).item() == 1
    how = {"bias_product": 12, "underflow": False, "backend": backend}
    assert ik.lba_gemm(x * 2.0**-20, w, **how).item() == (1 - 2.0**-8) * 2.0**-20
    # A float32 product rounded first would be cut to another number: (1 + 2**-12)**2 - 2**-23 (1 + 2**-12).
    a, b = torch.tensor([[1 + 2.0**-23]], device=device), torch.tensor([[1 - 2.0**-23]], device=device)
    assert ik.lba_gemm(a, b, backend=backend).item() == 1 - 2.0**-8


def test_ones_stagnate(lane):
    backend, device = lane
    n = 96 if device == "cpu" and backend != "numba" else 9000
    ones = torch.ones(1, n, device=device)
    how = {"exponent": 6, "bias_product": 20, "bias_sum": 20, "backend": backend}
    M = 3 if n == 96 else 7
    cases = [(1, 2 ** (M + 1)), (16, 2 ** (M + 5)), (3, 2 ** (M + 2)), (n, 2 ** (M + 1))]
    for chunk, limit in cases if lane != ("triton", "cpu") else cases[2:3]:
        got = ik.lba_gemm(ones, ones, mantissa=M, chunk=chunk, **how).item()
        assert got == min(limit, n) if chunk != 3 else got == limit


# --- gradients --------------------------------------------------------------------------------------------------------


def test_identity_is_the_ordinary_gradient(lane):
    backend, device = lane
    x, w = (v.to(device).requires_grad_() for v in inputs(4, 5, 9, 9, batch=(2,)))
    dy = torch.randn(2, 4, 5, device=device)
    ik.lba_gemm(x, w, mantissa=2, exponent=2, bias_product=2, bias_sum=1, backend=backend).backward(dy)
    assert torch.equal(x.grad, dy @ w) and torch.equal(w.grad, dy.mT @ x)
    x.grad = None
    ik.lba_gemm(x, w.detach(), gradient="recursive-overflow", backend=backend).sum().backward()
    assert x.grad is not None


def test_recursive_is_the_derivative_of_the_clipped_sum():
    """Against differences of a chain that clips and hardly rounds; the immediate rule is another one."""
    form = {"mantissa": 45, "exponent": 3, "bias_product": 7, "bias_sum": 7, "chunk": 4, "underflow": False}
    g = torch.Generator().manual_seed(0)
    x, w = torch.randn(200, 1, 12, generator=g, dtype=F64), torch.randn(200, 1, 12, generator=g, dtype=F64)

    def gradient(name):
        a = x.clone().requires_grad_()
        ik.lba_gemm(a, w, gradient=name, **form).sum().backward()
        return a.grad[:, 0]

    steps = 1e-6 * torch.eye(12, dtype=F64)
    up, down = (ik.lba_gemm(x + sign * steps, w, **form)[..., 0] for sign in (1, -1))
    slope = (up - down) / 2e-6
    assert (gradient("recursive-overflow") - slope).abs().max() < 1e-5
    assert ((gradient("immediate-overflow") - slope).abs() > 1e-3).sum() > 300
    assert ((gradient("identity") - slope).abs() > 1e-3).sum() > 300


def test_float64_takes_longer_mantissas(lane):
    backend, device = lane
    if lane == ("triton", "cpu"):
        x, w = inputs(2, 3, 5, 10)
    else:
        x, w = inputs(5, 6, 40, 10)
    form = Form(40, 9, 200, 198, 16, False, True)
    y = ik.lba_gemm(x.double().to(device), w.double().to(device), backend=backend, **arguments(form))
    want = [[chain(a, b, form)[0] for b in w] for a in x]
    assert y.dtype == F64 and [[Fraction(v) for v in row] for row in y.tolist()] == want


# --- one number -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_quantize_against_fractions(form):
    x = inputs(1, 200, 1, 11, spread=6.0)[1].flatten()
    how = {"mantissa": form.mantissa, "exponent": form.exponent, "bias": form.bias_sum, "underflow": form.underflow,
           "rounding": "nearest" if form.nearest else "truncate"}
    got = ik.lba_quantize(x, **how)
    M, E, _, b, _, nearest, underflow = form
    assert [Fraction(v) for v in got.tolist()] == [q(Fraction(v), M, E, b, nearest, underflow)[0] for v in x.tolist()]
    assert torch.equal(ik.lba_quantize(got, **how), got) and torch.equal(ik.lba_quantize(-x, **how), -got)
    assert (got.sort().values == ik.lba_quantize(x.sort().values, **how)).all()
    a = x.clone().requires_grad_()
    ik.lba_quantize(a, **how).sum().backward()
    assert (a.grad == 1).all()
    if not nearest:
        inside = (x.abs() >= form.limits(b)[1]) & (x.abs() < form.limits(b)[0]) & (x != 0)
        assert (got.abs() <= x.abs()).all()
        assert ((x.abs() - got.abs()) < 2.0**-M * x.abs())[inside].all()


# --- as a torch operator ----------------------------------------------------------------------------------------------


def test_opcheck(lane):
    backend, device = lane
    form, x, w = list(FORMS[2]), torch.randn(1, 2, 5, device=device), torch.randn(1, 3, 5, device=device)
    ops = torch.ops.implicitly
    a, b = (v.clone().requires_grad_() for v in (x, w))
    torch.library.opcheck(ops.lba_gemm.default, (a, b, form, "recursive-overflow", backend))
    if lane == ("triton", "cpu"):  # minutes
        return
    torch.library.opcheck(ops.lba_gemm_backward.default,
                          (x, w, torch.randn(1, 2, 3, device=device), form, "immediate-change", backend))
    torch.library.opcheck(ops.lba_events.default, (x, w, form, backend))
    if backend != "triton":
        torch.library.opcheck(ops.lba_trace.default, (x[0], w[0, :2], form, backend))


def test_what_has_no_gradient_says_so():
    x = torch.ones(2, 3, requires_grad=True)
    with pytest.raises(NotImplementedError, match="counts are not differentiable"):
        ik.lba_events(x, x, backend="reference")[0].sum().backward()
    with pytest.raises(NotImplementedError, match="a trace is not differentiable"):
        ik.lba_trace(x, x, backend="reference")[0].sum().backward()
    y = ik.lba_gemm(x, torch.ones(1, 3), gradient="recursive-overflow", backend="reference")
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    if first.requires_grad:
        with pytest.raises(NotImplementedError, match="not differentiable"):
            first.sum().backward()


# --- planted faults ---------------------------------------------------------------------------------------------------

# A source, what is replaced by what, and the form on which it shows; the sources of Triton under its interpreter.
FAULTS = [
    (NUMBERS, "v = v if v < top else top", "v = v if v < top else top - (top - top / 2) / 64", 0),
    (NUMBA, "                    s[:] = 0\n                    last", "                    last", 2),
    (NUMBERS, "return _flush(v, least)", "return v", 2),
    (NUMBERS, "builder.add(half, odd)", "half", 3),
    (NUMBERS, 'inexact = builder.and_(builder.fcmp_unordered("!=", rest, zero), even)',
     "inexact = ir.Constant(ir.IntType(1), 0)", 10),
    (TRITON, "tl.where(tl.abs(r) >= least, r, 0.0)", "tl.where(tl.abs(r) > least, r, 0.0)", 4),
    (TRITON, "+ ((bits >> DROP) & 1)", "", 3),
    (TRITON, "tl.where((rest != 0) & ((bits & 1) == 0), moved, bits)", "bits", 10),
]  # fmt: skip


@pytest.mark.parametrize("path, old, new, index", [
    pytest.param(*fault, marks=[pytest.mark.interp] * (fault[0] == TRITON)) for fault in FAULTS
])  # fmt: skip
def test_a_planted_fault_is_seen(mutant, path, old, new, index):
    if path == TRITON and not INTERPRETING:
        pytest.skip("needs TRITON_INTERPRET=1")
    form = FORMS[index]
    x, w = (v[None] for v in oracle(form, 3, 4, 23, 1, 12)[:2])
    most = (x.abs().max() * w.abs().max()).item()
    given, want = (list(form), form.path(True), most), reference.forward(x, w, form, "", 0.0)
    assert bits_equal(module("triton" if path == TRITON else "numba").forward(x, w, *given), want)
    broken = mutant(path, old, new)
    if path == NUMBERS:
        broken = mutant(NUMBA, "implicitly_kernels.lba_gemm._numba_rounding", broken.__name__)
    assert not bits_equal(broken.forward(x, w, *given), want)


@pytest.mark.parametrize("old, new", [
    ("bits + toward", "bits"), (">= largest", "> 2 * largest"), ("< smallest", "<= smallest"),
    ("((bits >> s) & 1)", "0"), ("& (p != 0)) * SWAMPED", "& (p == p)) * SWAMPED"), (".flip(0).cumsum(0).flip(0)", ""),
])  # fmt: skip
def test_a_fault_in_the_reference_is_seen(mutant, old, new):
    broken = mutant(REFERENCE, old, new)
    wrong = False
    for form in FORMS:
        x, w, want = oracle(form, 3, 4, 23, 1, 24)
        y, counts = broken.events(x[None], w[None], form)
        wrong |= [[Fraction(v) for v in row] for row in y[0].tolist()] != [[one[0] for one in row] for row in want]
        wrong |= counts[0].permute(1, 2, 0).tolist() != [[one[2] for one in row] for row in want]
        ones = torch.ones(1, 3, 4)
        alpha = torch.tensor([[one[3]["recursive-overflow"] for one in row] for row in want], dtype=F64)
        got = broken.backward(x[None], w[None], ones, form, "recursive-overflow")[0]
        wrong |= not torch.allclose(got.double(), torch.einsum("ijk,jk->ik", alpha, w.double()), atol=1e-3)
    assert wrong


# --- bad arguments ----------------------------------------------------------------------------------------------------

X, W = torch.ones(2, 16), torch.ones(3, 16)
BAD = [
    (TypeError, "x: expected a torch.Tensor", {"x": [1.0]}),
    (TypeError, "x: expected dtype float32 or float64, got torch.bfloat16", {"x": X.bfloat16()}),
    (ValueError, "x: expected 2 or 3 dimensions", {"x": X[0]}),
    (ValueError, "x: expected finite values, got nan", {"x": X.clone().fill_(math.nan)}),
    (ValueError, r"w: expected finite values, got inf at \(0, 1, 0\)",
     {"w": torch.tensor([[1.0] * 16, [math.inf] * 16])}),
    (TypeError, "w: expected dtype float32, got torch.float64", {"w": W.double()}),
    (ValueError, r"w: expected shape \(\*, 16\), got \(3, 15\)", {"w": W[:, 1:]}),
    (ValueError, r"w: expected shape \(2, \*, 16\)", {"x": X.expand(2, 2, 16), "w": W[None]}),
    (ValueError, "mantissa: expected 1 <= mantissa <= 23, got 24", {"mantissa": 24}),
    (ValueError, "exponent: expected 1 <= exponent <= 7, got 8", {"exponent": 8}),
    (TypeError, "bias_product: expected an int, got float", {"bias_product": 12.5}),
    (TypeError, "bias_sum: expected an int, got float", {"bias_sum": 10.5}),
    (ValueError, "bias_sum: expected -112 <= bias_sum <= 126, got 127", {"bias_sum": 127}),
    (ValueError, "bias_sum: expected an int where chunk is no power of 4", {"chunk": 8}),
    (ValueError, "chunk: expected 1 <= chunk", {"chunk": 0}),
    (ValueError, "rounding: expected one of", {"rounding": "stochastic"}),
    (TypeError, "underflow: expected True or False", {"underflow": 1}),
    (ValueError, "gradient: expected one of", {"gradient": "straight-through"}),
    (ValueError, "backend: expected one of", {"backend": "cuda"}),
]


@pytest.mark.parametrize(("error", "message", "kwargs"), BAD)
def test_bad_arguments(error, message, kwargs):
    kwargs = {"x": X, "w": W, **kwargs}
    with pytest.raises(error, match=message):
        ik.lba_gemm(kwargs.pop("x"), kwargs.pop("w"), **kwargs)


def test_a_trace_has_no_triton():
    with pytest.raises(RuntimeError, match="no such implementation"):
        ik.lba_trace(X, X, backend="triton")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_two_runs_on_the_gpu_are_equal():
    for bits in (12, 24):
        x, w = (v.cuda() for v in inputs(1000, 900, 700, 13, bits=bits))
        a = ik.lba_gemm(x, w)
        assert bits_equal(a, ik.lba_gemm(x, w))
        assert bits_equal(a[:64].cpu(), ik.lba_gemm(x[:64].cpu(), w.cpu(), backend="numba"))
