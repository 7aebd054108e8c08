"""Gradients through narrow accumulators: of the backends, against derivatives; as a torch operator."""

import pytest
import torch
from lba_gemm_fractions import F64, FORMS, inputs, module

import implicitly_kernels as ik
from implicitly_kernels.lba_gemm import GRADIENTS, reference


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
