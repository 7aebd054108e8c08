"""FP4 block quantization: bit-equal across backends, against ml-dtypes, tables and statistics."""

import ml_dtypes
import numpy as np
import pytest
import torch
from lanes import bits_equal

import implicitly_kernels as ik
from implicitly_kernels.nvfp4 import _DISPATCH, reference

FORMATS = [("nvfp4", "nearest"), ("nvfp4", "up"), ("mxfp4", "floor"), ("mxfp4", "up")]
GRID = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
TRITON = "kernels/implicitly_kernels/nvfp4/_triton.py"
NUMBA = "kernels/implicitly_kernels/nvfp4/_numba.py"
REFERENCE = "kernels/implicitly_kernels/nvfp4/reference.py"


def special(block):
    """Blocks of zeros, signed zeros, ties, subnormals, largest finite values, infinities, NaN."""
    rows = torch.zeros(14, block)
    rows[1] = -0.0
    ties = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 6.0])
    rows[2, :8], rows[3, :8] = ties, -ties
    rows[4] = torch.linspace(1e-45, 1e-40, block)
    rows[5] = torch.linspace(-1e-38, 3e-38, block)
    rows[6] = torch.linspace(1.0, 3.4e38, block)
    rows[7, 2] = float("inf")
    rows[7, 3] = 1.0
    rows[8, 5] = float("nan")
    rows[9, :2] = torch.tensor([float("-inf"), float("nan")])
    rows[10] = 6 * 448.0  # the largest NVFP4 value
    rows[11] = torch.linspace(-3000, 3000, block)  # above it: saturates
    rows[12, 0] = 6 * 2.0**-10  # half of the smallest scale: rounds to zero
    rows[13, 0] = 6 * 2.0**-9
    return rows


def ties_at_every_scale(block):
    """Ties times each of 60 scales: x/s is exact there, x*(1/s) often is not."""
    s = torch.arange(8, 68, dtype=torch.int32)
    s = reference.e4m3_values(s)[:, None]
    ties = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 6.0])
    return (ties * s).repeat(1, block // 8)


def random_tensor(shape, seed=0):
    """Normal numbers whose scale wanders over 12 decades from row to row."""
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g) * torch.exp(7 * torch.randn((shape[0], 1), generator=g))


def check_same_bits(impl, device, small=True):
    """Every mode of one implementation (a module or dict of functions) against the reference."""
    get = impl.get if isinstance(impl, dict) else lambda name: getattr(impl, name)
    for fmt, scale in FORMATS:
        block = reference.BLOCK[fmt]
        tensors = [special(block), ties_at_every_scale(block), random_tensor((7, 3 * block)),
                   random_tensor((1, block), 1)]
        if not small:
            tensors.append(random_tensor((301, 17 * block), 2))
        for x in tensors:
            for gs in (1.0, 0.37):
                for rounding in ("rtn", "sr"):
                    gs_t = torch.tensor(gs if fmt == "nvfp4" else 1.0)
                    args = (fmt, scale, rounding, 12345678901)
                    want = reference.qdq(x, gs_t, *args)
                    got = get("qdq")(x.to(device), gs_t.to(device), *args)
                    assert bits_equal(got, want), ("qdq", args, gs)
                    codes, scales = reference.quantize(x, gs_t, *args)
                    got = get("quantize")(x.to(device), gs_t.to(device), *args)
                    assert bits_equal(got[0], codes), ("codes", args, gs)
                    assert bits_equal(got[1], scales), ("scales", args, gs)
                    back = get("dequantize")(codes.to(device), scales.to(device),
                                             gs_t.to(device), fmt)
                    assert bits_equal(back, want), ("dequantize", args, gs)


def test_same_bits(fast_lane, small):
    backend, device = fast_lane
    check_same_bits({k: d.load(backend) for k, d in _DISPATCH.items()}, device, small)


def test_reference_is_its_own_inverse(lane):
    backend, device = lane
    for fmt, scale in FORMATS:
        x = random_tensor((5, 64)).to(device)
        q = getattr(ik, f"{fmt}_qdq")(x, scale=scale, backend=backend)
        codes, scales = getattr(ik, f"{fmt}_quantize")(x, scale=scale, backend=backend)
        back = getattr(ik, f"{fmt}_dequantize")(codes, scales, backend=backend)
        assert bits_equal(back, q)
        assert codes.shape == (5, 32) and scales.shape == (5, 64 // reference.BLOCK[fmt])


# --- independent oracles -------------------------------------------------------------------------


def oracle_scales(x, fmt, scale, gs):
    """Block scales by ml-dtypes casts and frexp, in numpy; x (blocks, block) finite float32."""
    amax = np.abs(x).max(1)
    if fmt == "nvfp4":
        v = amax / (np.float32(6) * np.float32(gs))
        every = np.arange(127, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float32)
        if scale == "up":
            v = np.minimum(v * np.float32(1 - 2.0**-20), np.float32(448))
            s = every[np.searchsorted(every, v)]
        else:
            s = np.minimum(v, np.float32(448)).astype(ml_dtypes.float8_e4m3fn).astype(np.float32)
        return s * np.float32(gs)
    mantissa, exponent = np.frexp(amax)  # amax = mantissa * 2**exponent, mantissa in [1/2, 1)
    e = exponent - 3 + (mantissa > 0.75) if scale == "up" else exponent - 3
    return np.ldexp(np.float32(1), np.maximum(e, -126)).astype(np.float32)


@pytest.mark.parametrize(("fmt", "scale"), FORMATS)
def test_nearest_against_ml_dtypes(lane, fmt, scale):
    backend, device = lane
    block = reference.BLOCK[fmt]
    for gs in (1.0, 0.013) if fmt == "nvfp4" else (1.0,):
        x = random_tensor((40, 4 * block), seed=3)
        x[:, ::7] = 0
        rows = x.reshape(-1, block).numpy()
        s = oracle_scales(rows, fmt, scale, gs)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            a = np.where(s == 0, 0, np.clip(rows / s, -6, 6)).astype(np.float32)
        want = a.astype(ml_dtypes.float4_e2m1fn).astype(np.float32) * s
        kwargs = {"gs": gs} if fmt == "nvfp4" else {}
        got = getattr(ik, f"{fmt}_qdq")(x.to(device), scale=scale, backend=backend, **kwargs)
        assert np.array_equal(got.cpu().numpy().reshape(-1, block), want)


def test_every_e4m3_code(lane):
    """Each E4M3 scale in turn: a block whose largest element is 6 times it keeps that scale."""
    backend, device = lane
    every = np.arange(1, 127, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    x = torch.zeros(126, 16)
    x[:, 0] = 6 * torch.from_numpy(every)
    for scale in ("nearest", "up"):
        codes, scales = ik.nvfp4_quantize(x.to(device), scale=scale, backend=backend)
        assert torch.equal(scales.cpu().flatten(), torch.arange(1, 127, dtype=torch.uint8))
        assert torch.equal(codes[:, 0].cpu(), torch.full((126,), 7, dtype=torch.uint8))


def test_grid_is_fixed_and_ties_go_to_even(lane):
    backend, device = lane
    x = torch.cat([GRID, -GRID])[None].to(device)
    assert bits_equal(ik.nvfp4_qdq(x, backend=backend), x)
    ties = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 6.0])
    want = torch.tensor([0.0, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0, 6.0])
    x = torch.cat([ties, -ties])[None].to(device)
    assert bits_equal(ik.nvfp4_qdq(x, backend=backend).cpu(), torch.cat([want, -want])[None])


def test_special_values(lane):
    backend, device = lane
    x = special(16).to(device)
    out = ik.nvfp4_qdq(x, backend=backend).cpu()
    assert torch.equal(out[:2].signbit(), x[:2].cpu().signbit()) and not out[:2].any()
    assert out[8].isnan().all() and out[9].isnan().all()
    assert out[7, 2] == 6 * 448 and out[11].abs().max() == 6 * 448
    assert not out[12].any() and out[13, 0] == 6 * 2.0**-9


def test_odd_empty_and_strided_shapes(lane):
    backend, device = lane
    for shape in ((1,), (15,), (3, 17), (2, 3, 33), (0, 16), (4, 0)):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(device)
        out = ik.nvfp4_qdq(x, backend=backend)
        padded = torch.nn.functional.pad(x, (0, -shape[-1] % 16))
        want = ik.nvfp4_qdq(padded.cpu(), backend="reference")[..., :shape[-1]]
        assert bits_equal(out.cpu(), want) and out.shape == x.shape
    x = random_tensor((64, 48)).to(device)
    assert bits_equal(ik.nvfp4_qdq(x.mT, backend=backend),
                      ik.nvfp4_qdq(x.mT.contiguous(), backend=backend))
    assert bits_equal(ik.nvfp4_qdq(x[::2, 16:], backend=backend),
                      ik.nvfp4_qdq(x[::2, 16:].contiguous(), backend=backend))
    codes, scales = ik.nvfp4_quantize(x[:0], backend=backend)
    assert codes.shape == (0, 24) and scales.shape == (0, 3)
    assert ik.nvfp4_dequantize(codes, scales, backend=backend).shape == (0, 48)


def test_half_precision_inputs(lane):
    backend, device = lane
    for dtype in (torch.bfloat16, torch.float16):
        x = torch.randn(4, 32, generator=torch.Generator().manual_seed(2)).to(dtype).to(device)
        out = ik.nvfp4_qdq(x, backend=backend)
        want = ik.nvfp4_qdq(x.float().cpu(), backend="reference").to(dtype)
        assert out.dtype == dtype and torch.equal(out.cpu(), want)


# --- stochastic rounding -------------------------------------------------------------------------


def test_stochastic_rounding_takes_a_neighbour_and_keeps_the_mean(lane, request):
    backend, device = lane
    n = 1024 if "triton-cpu" in request.node.name else 16384
    values = torch.linspace(0.01, 5.99, 30)
    x = torch.zeros(n, 32)
    x[:, 0] = x[:, 16] = 6.0  # fixes the scale of both blocks to one
    x[:, 1:16], x[:, 17:] = values[:15], -values[15:]
    out = ik.nvfp4_qdq(x.to(device), rounding="sr", seed=7, backend=backend).cpu().double()
    for j in [*range(1, 16), *range(17, 32)]:
        v = x[0, j].double()
        low = GRID[v.abs() >= GRID].max().double()
        high = GRID[v.abs() <= GRID].min().double()
        assert torch.isin(out[:, j].abs(), torch.stack([low, high])).all()
        sigma = ((v.abs() - low) * (high - v.abs()) / n).sqrt()
        assert (out[:, j].mean() - v).abs() <= 5 * sigma + 1e-12
    repeat = ik.nvfp4_qdq(x.to(device), rounding="sr", seed=7, backend=backend).cpu()
    other = ik.nvfp4_qdq(x.to(device), rounding="sr", seed=8, backend=backend).cpu()
    assert torch.equal(repeat.double(), out) and not torch.equal(other.double(), out)


def test_block_size_does_not_change_a_bit(fast_lane, monkeypatch):
    """The number of blocks a program or a chunk takes is not part of the result."""
    backend, device = fast_lane
    x = random_tensor((33, 32)).to(device)
    gs = torch.tensor(1.0, device=device)
    args = ("nvfp4", "nearest", "sr", 3)
    want = reference.qdq(x.cpu(), gs.cpu(), *args)
    module = __import__(f"implicitly_kernels.nvfp4._{backend}", fromlist=["qdq"])
    for rows in (16, 32):
        monkeypatch.setattr(module, "ROWS" if backend == "triton" else "CHUNK", rows)
        assert bits_equal(module.qdq(x, gs, *args), want)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_beyond_two_to_the_31_elements():
    x = torch.zeros(2**31 // 1024 + 4, 1024, dtype=torch.bfloat16, device="cuda")
    x[-4:] = random_tensor((4, 1024), 5).to(torch.bfloat16)
    out = ik.nvfp4_qdq(x)
    assert torch.equal(out[-4:], ik.nvfp4_qdq(x[-4:].clone()))
    assert not out[:-4].any()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_two_runs_on_the_gpu_are_equal():
    x = random_tensor((4096, 4096)).cuda()
    for rounding in ("rtn", "sr"):
        a = ik.nvfp4_qdq(x, rounding=rounding)
        assert torch.equal(a, ik.nvfp4_qdq(x, rounding=rounding))
        assert bits_equal(a.cpu(), ik.nvfp4_qdq(x.cpu(), rounding=rounding, backend="reference"))


# --- as a torch operator -------------------------------------------------------------------------


def test_opcheck(lane):
    backend, device = lane
    gs = torch.tensor(0.5, device=device)
    x = torch.randn(4, 32, device=device, requires_grad=True)
    torch.library.opcheck(torch.ops.implicitly.fp4_qdq.default,
                          (x, gs, "nvfp4", "nearest", "rtn", 0, backend))
    x = x.detach()
    torch.library.opcheck(torch.ops.implicitly.fp4_quantize.default,
                          (x, gs, "mxfp4", "floor", "sr", 1, backend))
    codes, scales = ik.nvfp4_quantize(x, backend=backend)
    torch.library.opcheck(torch.ops.implicitly.fp4_dequantize.default,
                          (codes, scales, gs, "nvfp4", backend))


def test_gradient_is_straight_through(lane):
    backend, device = lane
    x = torch.randn(3, 20, device=device, requires_grad=True)
    weight = torch.randn(3, 20, device=device)
    (ik.nvfp4_qdq(x, backend=backend) * weight).sum().backward()
    assert torch.equal(x.grad, weight)


# --- bad arguments -------------------------------------------------------------------------------

X = torch.ones(2, 16)
BAD = [
    (TypeError, "x: expected a torch.Tensor", {"x": [1.0]}),
    (TypeError, "x: expected dtype float32", {"x": X.double()}),
    (TypeError, "x: expected dtype float32", {"x": X.long()}),
    (ValueError, "x: expected at least 1 dim", {"x": torch.tensor(1.0)}),
    (ValueError, "gs: expected a finite number > 0, got -1", {"gs": -1.0}),
    (ValueError, "gs: expected a finite number > 0, got nan", {"gs": float("nan")}),
    (ValueError, "gs: expected a finite number > 0, got 0", {"gs": torch.tensor(0.0)}),
    (ValueError, "gs: expected 0 dimensions", {"gs": torch.ones(2)}),
    (TypeError, "gs: expected dtype float32", {"gs": torch.tensor(1.0, dtype=torch.float64)}),
    (ValueError, "gs: expected a tensor on cpu", {"gs": torch.ones((), device="meta")}),
    (ValueError, "scale: expected one of", {"scale": "floor"}),
    (ValueError, "rounding: expected one of", {"rounding": "nearest"}),
    (ValueError, "seed: expected 0 <= seed", {"seed": -1}),
    (ValueError, "seed: expected 0 <= seed", {"seed": 2**63}),
    (TypeError, "seed: expected an int", {"seed": 1.0}),
    (ValueError, "backend: expected one of", {"backend": "cuda"}),
]


@pytest.mark.parametrize(("error", "message", "kwargs"), BAD)
def test_bad_arguments(error, message, kwargs):
    kwargs = {"x": X, **kwargs}
    with pytest.raises(error, match=message):
        ik.nvfp4_qdq(kwargs.pop("x"), **kwargs)


def test_bad_codes_and_shapes():
    with pytest.raises(ValueError, match="x: expected a last dimension that is a multiple of 16"):
        ik.nvfp4_quantize(torch.ones(2, 17))
    codes, scales = ik.nvfp4_quantize(X)
    with pytest.raises(TypeError, match="codes: expected dtype uint8"):
        ik.nvfp4_dequantize(codes.int(), scales)
    with pytest.raises(ValueError, match="codes: expected a last dimension"):
        ik.nvfp4_dequantize(codes[:, :5], scales)
    with pytest.raises(ValueError, match=r"scales: expected shape \(2, 1\), got \(2, 2\)"):
        ik.nvfp4_dequantize(codes, scales.repeat(1, 2))
    with pytest.raises(ValueError, match="scales: expected E4M3 bytes below 0x80"):
        ik.nvfp4_dequantize(codes, scales | 0x80)
    with pytest.raises(ValueError, match="x: expected finite values, got nan"):
        ik.nvfp4_global_scale(torch.tensor([1.0, float("nan")]))


# --- planted faults ------------------------------------------------------------------------------

FAULTS = {
    "numba: ties away": (NUMBA, "whole = (count + MAGIC) - MAGIC",
                         "whole = np.floor(count + F32(0.5))"),
    "numba: shared counter": (NUMBA, "U32(low + U32(c))", "U32(c)"),
    "numba: scale reciprocal": (NUMBA, "/ divisor", "* (F32(1) / divisor)"),
    "numba: odd rows lost": (NUMBA, "row, to = x[r], out[r]", "row, to = x[r], out[r // 2 * 2]"),
}
TRITON_FAULTS = {
    "triton: scale floor": (TRITON, "bits = bits + (0x7FFFF + ((bits >> 20) & 1))", "bits = bits"),
    "triton: shared counter": (TRITON, "quarter = row[:, None]",
                              "quarter = (row[:, None] % 2)"),
    "triton: off-by-one mask": (TRITON, "live = row < n_blocks\n    where",
                               "live = row < n_blocks - 1\n    where"),
    "triton: block too many": (TRITON, "live = row < n_blocks\n    where",
                              "live = row < n_blocks + 1\n    where"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_seen(mutant, fault):
    module = mutant(*FAULTS[fault])
    with pytest.raises(AssertionError):
        check_same_bits(module, "cpu", small=False)


@pytest.mark.interp
@pytest.mark.skipif("os.environ.get('TRITON_INTERPRET') != '1'", reason="needs TRITON_INTERPRET=1")
@pytest.mark.parametrize("fault", TRITON_FAULTS)
def test_planted_triton_faults_are_seen(mutant, fault):
    path, old, new = TRITON_FAULTS[fault]
    module = mutant(path, old, new)
    if fault == "triton: block too many":  # writes one block past the end: the guards see it
        x = random_tensor((5, 32))
        whole = torch.full((10 * 16 + 64,), 7.0)
        out = whole[:160].view(5, 32)
        module._launch(x, torch.tensor(1.0), "nvfp4", "nearest", "rtn", 0, out, out, False)
        assert (whole[160:] != 7.0).any()
        return
    with pytest.raises(AssertionError):
        check_same_bits(module, "cpu")
