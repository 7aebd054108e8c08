"""Narrow accumulators: equal bits of backends, paths, blocks and threads; what is safe in float32."""

import math

import pytest
import torch
from lanes import bits_equal, relative_error
from lba_gemm_fractions import F64, FORMS, inputs, module

import implicitly_kernels as ik
from implicitly_kernels import _threads
from implicitly_kernels.lba_gemm import GRADIENTS, reference
from implicitly_kernels.lba_gemm._form import Form


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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_two_runs_on_the_gpu_are_equal():
    for bits in (12, 24):
        x, w = (v.cuda() for v in inputs(1000, 900, 700, 13, bits=bits))
        a = ik.lba_gemm(x, w)
        assert bits_equal(a, ik.lba_gemm(x, w))
        assert bits_equal(a[:64].cpu(), ik.lba_gemm(x[:64].cpu(), w.cpu(), backend="numba"))
