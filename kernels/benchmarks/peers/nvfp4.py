"""FP4 block quantization by others: plain torch, torch.compile, torchao, ml-dtypes.

`runs(case, device)` yields (backend, peer, function, items, note) for everything measured; a peer is imported when its
function is first called, so that a missing one costs no other; a note that needs a result is a function.
"""

import functools

import numpy as np
import torch

import implicitly_kernels as ik
from implicitly_kernels.nvfp4 import reference

ITEM = "element"


def eager(x, rounding):
    """The reference without its addressed random numbers: what one would write first."""
    blocks = x.float().reshape(-1, 16)
    _, scales = reference.block_scales(blocks, torch.ones((), device=x.device), "nvfp4", "nearest")
    a = torch.clamp_max(blocks.abs() / torch.where(scales == 0, torch.inf, scales)[:, None], 6.0)
    step = torch.where(a < 2.0, 0.5, torch.where(a < 4.0, 1.0, 2.0))
    count = a / step
    if rounding == "rtn":
        whole = torch.round(count)
    else:
        low = torch.floor(count)
        whole = low + (count - low > torch.rand_like(count))
    return torch.copysign(step * whole * scales[:, None], blocks).reshape(x.shape).to(x.dtype)


def torchao_quantize(x):
    from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor

    return NVFP4Tensor.to_nvfp4(x)


def torchao_qdq(x):
    return torchao_quantize(x).dequantize(x.dtype)


def ml_dtypes_qdq(x):
    """The casts of ml-dtypes do the rounding; numpy does the scales."""
    import ml_dtypes

    rows = x.numpy().reshape(-1, 16)
    s = (np.abs(rows).max(1) / np.float32(6)).clip(max=448).astype(
        ml_dtypes.float8_e4m3fn).astype(np.float32)[:, None]
    a = np.clip(rows / np.where(s == 0, np.float32(np.inf), s), -6, 6)
    return torch.from_numpy(a.astype(ml_dtypes.float4_e2m1fn).astype(np.float32) * s).view(x.shape)


def with_product(x, w, rounding, device):
    """Both factors rounded, then torch's product; and the product alone."""
    n, compiled = x.numel() + w.numel(), torch.compile(eager)
    for backend in ik.available_backends(device):
        if backend != "reference":
            yield (backend, None, lambda b=backend: ik.nvfp4_qdq(x, rounding=rounding, backend=b)
                   @ ik.nvfp4_qdq(w, rounding=rounding, backend=b).T, n, "then torch's product")  # fmt: skip
    yield "eager", "torch", lambda: eager(x, rounding) @ eager(w, rounding).T, n, ""
    yield "compile", "torch", lambda: compiled(x, rounding) @ compiled(w, rounding).T, n, "then torch's product"
    yield "product alone", "torch", lambda: x @ w.T, n, "nothing is rounded: the rest is what rounding costs"


def alone(x, call, rounding, device):
    """One half of the way: to codes, or back from them."""
    gs, n = torch.ones((), device=device), x.numel()
    codes = ik.nvfp4_quantize(x, rounding=rounding)
    made = functools.cache(lambda: torchao_quantize(x))
    ours, args, torchao = {
        "quantize": (lambda b: ik.nvfp4_quantize(x, rounding=rounding, backend=b),
                     (x, gs, "nvfp4", "nearest", rounding, 0), lambda: torchao_quantize(x)),
        "dequantize": (lambda b: ik.nvfp4_dequantize(*codes, backend=b),
                       (*codes, gs, "nvfp4"), lambda: made().dequantize(torch.float32)),
    }[call]  # fmt: skip
    for backend in ik.available_backends(device):
        if backend != "reference":
            yield backend, None, lambda b=backend: ours(b), n, ""
    definition = getattr(reference, call)
    compiled = torch.compile(definition)
    yield "eager", "torch", lambda: definition(*args), n, "the reference"
    yield "compile", "torch", lambda: compiled(*args), n, "the reference"
    yield "torchao", "torchao", torchao, n, ""


def runs(case, device):
    x = torch.randn(case["rows"], case["cols"], generator=torch.Generator(device).manual_seed(0), device=device)
    x = x.to(getattr(torch, case.get("dtype", "float32")))
    n, rounding = x.numel(), case["rounding"]
    if "call" in case:
        yield from alone(x, case["call"], rounding, device)
        return
    if "other" in case:
        w = torch.randn(case["other"], case["cols"], generator=torch.Generator(device).manual_seed(1), device=device)
        yield from with_product(x, w, rounding, device)
        return
    for backend in ik.available_backends(device):
        if backend == "reference":
            continue
        yield backend, None, lambda b=backend: ik.nvfp4_qdq(x, rounding=rounding, backend=b), n, ""
    yield "eager", "torch", lambda: eager(x, rounding), n, ""
    compiled = torch.compile(eager)
    yield "compile", "torch", lambda: compiled(x, rounding), n, ""
    if rounding == "rtn":
        def note(theirs, part):
            differ = int((theirs(part) != ik.nvfp4_qdq(part, backend="reference")).sum())
            return f"{differ} of {part.numel()} elements differ from ours"

        if device == "cpu":
            small = x[:256]
            yield ("ml-dtypes", "ml-dtypes", lambda: ml_dtypes_qdq(small), small.numel(),
                   lambda: note(ml_dtypes_qdq, small))
        yield "torchao", "torchao", lambda: torchao_qdq(x), n, lambda: note(torchao_qdq, x)
