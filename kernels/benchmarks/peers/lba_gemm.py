"""Narrow accumulators by others: plain torch with all outputs of a product at once, torch.compile of that step,
apytypes (its accumulator context; a few rows), and torch's own float32 product, whose accumulator is wide."""

import torch

import implicitly_kernels as ik

ITEM = "product"
FEW = 4  # rows of the slow ones


def matrices(case, device):
    """Normal numbers in bfloat16, as float32: their products are exact."""
    g = torch.Generator().manual_seed(0)
    one = lambda rows: torch.randn(rows, case["K"], generator=g).bfloat16().float().to(device)  # noqa: E731
    return one(case["m"]), one(case["n"])


def form(case):
    return {name: case[name] for name in ("mantissa", "exponent", "bias_product", "bias_sum", "chunk")}


def eager(x, w, form, step):
    """What one would write first: the products of one k, and their sums, of all outputs at once."""
    chunk, K = form["chunk"], x.shape[1]
    t = x.new_zeros(len(x), len(w))
    mask = -(1 << (23 - form["mantissa"]))
    limits = []
    for bias in (form["bias_product"], form["bias_sum"]):
        limits += [2.0 ** (2 ** form["exponent"] - bias - 1) * (2 - 2.0 ** -form["mantissa"]), 2.0**-bias]
    for first in range(0, K, chunk):
        s = torch.zeros_like(t)
        for k in range(first, min(first + chunk, K)):
            s = step(s, x[:, k, None], w[None, :, k], mask, *limits)
        t = quantize(t + s, mask, *limits[2:])
    return t


def quantize(v, mask, largest, smallest):
    v = (v.view(torch.int32) & mask).view(torch.float32).clamp(-largest, largest)
    return torch.where(v.abs() < smallest, 0.0, v)


def step(s, a, b, mask, high, low, top, least):
    return quantize(s + quantize(a * b, mask, high, low), mask, top, least)


def apytypes_product(x, w, form):
    """Rows of x by all of w, the accumulator theirs: unchunked, and with infinities and subnormal numbers."""
    import apytypes

    bits = {"exp_bits": form["exponent"], "man_bits": form["mantissa"]}
    a, b = (apytypes.APyFloatArray.from_float(v.tolist(), 8, 7) for v in (x, w.T))
    with apytypes.APyFloatAccumulatorContext(**bits, quantization=apytypes.QuantizationMode.TO_ZERO):
        return a @ b


def runs(case, device):
    (x, w), how = matrices(case, device), form(case)
    count = case["m"] * case["n"] * case["K"]
    for backend in ik.available_backends(device):
        if backend != "reference":
            yield backend, None, lambda be=backend: ik.lba_gemm(x, w, **how, backend=be), count, ""
    yield "eager", "torch", lambda: eager(x, w, how, step), count, "all outputs of a product at once"
    compiled = torch.compile(step, dynamic=False)
    yield "compile", "torch", lambda: eager(x, w, how, compiled), count, "one compiled step, looped"
    yield "float32 product", "torch", lambda: x @ w.T, count, "a wide accumulator: what exact rounding costs"
    if device == "cpu":
        few, part = x[:FEW], count // case["m"] * FEW
        yield ("apytypes", "apytypes", lambda: apytypes_product(few, w, how), part,
               "its own float arithmetic, no chunks; a few rows")
