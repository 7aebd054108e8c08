"""Narrow accumulators: exact fractions, closed forms, one number, shapes, bad arguments."""

import math
from fractions import Fraction

import pytest
import torch
from lanes import bits_equal
from lba_gemm_fractions import F32, F64, FORMS, arguments, chain, inputs, name_of, oracle, q

import implicitly_kernels as ik
from implicitly_kernels.lba_gemm import EVENTS, GRADIENTS
from implicitly_kernels.lba_gemm._form import Form


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
