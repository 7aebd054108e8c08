"""Second opinions on narrow accumulators: apytypes adds up in a short float of its own, qtorch rounds one number.

``pip install -e ".[peers]"`` brings apytypes; what is missing is skipped. Neither has chunks, saturation or our counts:
they are compared where these do not matter.
"""

import pytest
import torch

import implicitly_kernels as ik

EXPONENT, BIAS = 7, 63  # ours and apytypes' exponents both reach further than anything here


def rows(seed, B=200, K=64):
    """Products of two numbers of 8 significant bits, of both signs."""
    g = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(B, K, generator=g).bfloat16().float() for _ in range(2))


def ours(x, w, mantissa, rounding="truncate"):
    return torch.stack([
        ik.lba_gemm(a[None], b[None], mantissa=mantissa, exponent=EXPONENT, bias_product=BIAS, bias_sum=BIAS,
                    chunk=len(a), rounding=rounding)[0, 0] for a, b in zip(x, w, strict=True)
    ])  # fmt: skip


def theirs(x, w, mantissa, rounding="truncate"):
    """Inner products in apytypes, the accumulator of as many bits."""
    apytypes = pytest.importorskip("apytypes", reason="needs apytypes: pip install -e '.[peers]'")
    mode = apytypes.QuantizationMode.TO_ZERO if rounding == "truncate" else apytypes.QuantizationMode.TIES_EVEN
    found = []
    with apytypes.APyFloatAccumulatorContext(exp_bits=8, man_bits=mantissa, quantization=mode):
        for a, b in zip(x, w, strict=True):
            a, b = (apytypes.APyFloatArray.from_float(v.tolist(), exp_bits=8, man_bits=7) for v in (a, b))
            found.append(float(a @ b))
    return torch.tensor(found)


@pytest.mark.parametrize("rounding", ["truncate", "nearest"])
@pytest.mark.parametrize("mantissa", [3, 7, 10])
def test_inner_products_of_apytypes(mantissa, rounding):
    x, w = rows(mantissa)
    want = theirs(x, w, mantissa, rounding)
    assert torch.equal(ours(x, w, mantissa, rounding), want)
    assert not torch.equal(ours(x, w, mantissa + 1, rounding), want)  # the comparison sees one bit
    assert not torch.equal(ours(x.flip(1), w.flip(1), mantissa, rounding), want)  # and the order


def test_ones_of_apytypes():
    ones = torch.ones(1, 1000)
    assert theirs(ones, ones, 7).item() == ours(ones, ones, 7).item() == 256


def test_one_rounding_of_qtorch():
    """qtorch rounds to nearest, ties to even, within its normal numbers."""
    qtorch = pytest.importorskip("qtorch.quant", reason="needs qtorch, which compiles itself with a C++ compiler")
    x = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    x = torch.cat([x[x.abs() > 2.0**-10], torch.tensor([1 + 2.0**-4, 1 + 3 * 2.0**-4, -1 - 2.0**-4])])
    for mantissa in (3, 7):
        want = qtorch.float_quantize(x, exp=5, man=mantissa, rounding="nearest")
        got = ik.lba_quantize(x, mantissa=mantissa, exponent=5, bias=15, rounding="nearest")
        assert torch.equal(got, want)
