"""Second opinions on narrow accumulators: apytypes adds up in a short float of its own, gfloat rounds one number.

`make test-peers` installs them; what is missing is skipped. Neither has chunks, saturation or our counts:
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
    apytypes = pytest.importorskip("apytypes", reason="needs apytypes: make test-peers")
    mode = apytypes.QuantizationMode.TO_ZERO if rounding == "truncate" else apytypes.QuantizationMode.TIES_EVEN
    found = []
    with apytypes.APyFloatAccumulatorContext(exp_bits=8, man_bits=mantissa, quantization=mode):
        for a, b in zip(x, w, strict=True):
            a, b = (apytypes.APyFloatArray.from_float(v.tolist(), exp_bits=8, man_bits=7) for v in (a, b))
            found.append(float(a @ b))
    return torch.tensor(found)


@pytest.mark.parametrize("rounding", ["truncate", "nearest"])
@pytest.mark.parametrize("mantissa", [3, 7, 10])
def test_inner_products_of_apytypes(mantissa, rounding, agrees):
    x, w = rows(mantissa)
    want = theirs(x, w, mantissa, rounding)
    agrees(claim="low-bit-accumulators/C4", peer="apytypes", what="sums of 64 products of both signs in 3 to 10 bits",
           measured=(ours(x, w, mantissa, rounding) - want).abs().max(), at_most=0)  # fmt: skip
    assert not torch.equal(ours(x, w, mantissa + 1, rounding), want)  # the comparison sees one bit
    assert not torch.equal(ours(x.flip(1), w.flip(1), mantissa, rounding), want)  # and the order


def test_ones_of_apytypes(agrees):
    """The comparison sees one bit more, with which the sum stops at 512."""
    ones = torch.ones(1, 1000)
    assert theirs(ones, ones, 7).item() == 256
    agrees(claim="low-bit-accumulators/C1", peer="apytypes", what="where a sum of ones stops, seven bits",
           measured=abs(theirs(ones, ones, 7) - ours(ones, ones, 7)).max(), at_most=0)  # fmt: skip
    assert ours(ones, ones, 8).item() == 512


def test_one_rounding_of_gfloat(agrees):
    """A format of gfloat with as many bits, to nearest, ties to even, within its normal numbers.

    The comparison sees one bit more.
    """
    gfloat = pytest.importorskip("gfloat", reason="needs gfloat: make test-peers")
    x = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    x = torch.cat([x[x.abs() > 2.0**-10], torch.tensor([1 + 2.0**-4, 1 + 3 * 2.0**-4, -1 - 2.0**-4])])
    for mantissa in (3, 7):
        form = gfloat.FormatInfo(
            "peer", 6 + mantissa, mantissa + 1, bias=15, is_signed=True, domain=gfloat.Domain.Extended, has_nz=True,
            num_high_nans=2**mantissa - 1, has_subnormals=True, is_twos_complement=False,
        )  # fmt: skip
        want = torch.from_numpy(gfloat.round_ndarray(form, x.numpy()))
        got = ik.lba_quantize(x, mantissa=mantissa, exponent=5, bias=15, rounding="nearest")
        finer = ik.lba_quantize(x, mantissa=mantissa + 1, exponent=5, bias=15, rounding="nearest")
        assert not torch.equal(finer, want)
        agrees(claim="low-bit-accumulators/C4", peer="gfloat", what="numbers rounded to nearest, ties among them",
               measured=(got - want).abs().max(), at_most=0)  # fmt: skip
