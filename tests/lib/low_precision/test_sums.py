"""Formats, sums and laws against exact cases: the checks of the chapter that need no network."""

import math

import pytest
import torch

from implicitly.low_precision import (
    ACCUMULATORS,
    GRADIENTS,
    Accumulator,
    FloatFormat,
    add_up,
    adder_cells,
    best_chunk,
    conv2d,
    count_events,
    fraction_limit,
    growth,
    least_kept,
    linear,
    matmul,
    mean_loss,
    mean_loss_limit,
    sequential_additions,
    stagnation,
    sum_bias,
    trace,
)

F64 = torch.float64


def wide(mantissa, chunk=1, **more):
    """An accumulator whose exponents bind nowhere here."""
    return Accumulator(mantissa, 6, 20, 20, chunk=chunk, **more)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


# --- formats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mantissa, exponent, bias, smallest, largest", [
    (7, 4, 8, 2.0**-8, 255), (7, 4, 10, 2.0**-10, 63.75), (7, 4, 12, 2.0**-12, 15.9375),
    (4, 3, 3, 2.0**-3, 31), (4, 3, 5, 2.0**-5, 7.75), (3, 3, 7, 2.0**-7, 1.875),
])  # fmt: skip
def test_the_windows_of_formats(mantissa, exponent, bias, smallest, largest):
    f = FloatFormat(mantissa, exponent, bias)
    assert (f.smallest, f.largest, f.binades) == (smallest, largest, 2**exponent)
    ends = torch.tensor([smallest, largest, math.nextafter(smallest, 0), 2 * largest, -largest], dtype=F64)
    assert f.quantize(ends).tolist() == [smallest, largest, 0, largest, -largest]
    # All its numbers: 2^E exponents times 2^M mantissas.
    x = torch.linspace(0, 1.1 * largest, 200_001, dtype=F64)
    values = f.quantize(torch.cat([x, x * smallest / largest * 2**mantissa])).unique()
    assert len(values) <= 2 ** (mantissa + exponent) + 1


def test_a_format_rounds_like_a_cast():
    """Within float16's normal range M10E5 to nearest is float16, and M7 of a wide exponent is bfloat16."""
    x = torch.randn(10_000, generator=rng())
    assert torch.equal(FloatFormat(10, 5, 14).quantize(x[x.abs() > 1e-4], rounding="nearest"),
                       x[x.abs() > 1e-4].half().float())
    assert torch.equal(FloatFormat(7, 7, 63).quantize(x, rounding="nearest"), x.bfloat16().float())


def test_exact_bits_are_enough_and_one_less_is_not():
    f = FloatFormat(3, 3, 2)
    unit = f.smallest * 2.0**-f.mantissa
    for terms in (1, 2, 7, 16, 1000):
        units = terms * f.largest / unit
        assert units == int(units)
        assert 2 ** (f.exact_bits(terms) - 1) > units >= 2 ** (f.exact_bits(terms) - 2)
    assert f.exact_bits(1) == 1 + 2**3 + 3


def test_accumulators():
    a = ACCUMULATORS["M7E4"]
    assert (a.product.largest, a.sum.largest, a.bits) == (15.9375, 63.75, 12)
    assert ACCUMULATORS["M4E3"].bits == 8 and ACCUMULATORS["M10E5"].bits == 16
    assert a.lost_first == (2.0**-12, 2.0**-10)
    assert Accumulator(7, 4, 12, 12).lost_first == (2.0**-12, 2.0**-12)
    assert not a.without_underflow().underflow and a.underflow
    assert all(sum_bias(v.bias_product, v.chunk) == v.bias_sum for v in ACCUMULATORS.values())
    with pytest.raises(ValueError, match="chunk must be a power of 4, found 8"):
        sum_bias(12, 8)
    with pytest.raises(TypeError, match=r"bias_sum must be a whole number, found float 10\.5"):
        Accumulator(7, 4, 12, 10.5)


# --- C1: where sums stop ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 3, 5, 6, 12, 16, 48, 64])
@pytest.mark.parametrize("mantissa", [5, 7])
def test_ones_stop_where_they_should(mantissa, chunk):
    stop = stagnation(mantissa, chunk)
    assert stop == 2 ** (mantissa + 1 + math.floor(math.log2(chunk)))
    for n in (chunk * math.ceil(2 * stop / chunk), chunk * math.ceil(4 * stop / chunk)):
        assert add_up(torch.ones(1, n), wide(mantissa, chunk)).item() == stop
    # Before, in units of 1, every chunk is counted.
    n = 2 ** (mantissa + 1) // chunk * chunk
    assert add_up(torch.ones(1, n), wide(mantissa, chunk)).item() == n


def test_ones_stop_at_the_largest_number():
    ones = torch.ones(1, 4096)
    for a in (Accumulator(7, 4, 8, 8, chunk=1), ACCUMULATORS["M7E4"]):
        assert add_up(ones, a).item() == stagnation(7, a.chunk, a.sum.largest) == a.sum.largest
    assert stagnation(2, 3) == add_up(ones, wide(2, 3)).item() == 16  # not 3 * 2^3


def test_terms_below_one_stop_at_two_to_the_m():
    terms = torch.rand(20, 4096, generator=rng())
    found = add_up(terms, wide(5))
    assert (found <= fraction_limit(5)).all() and (found == 32).all()
    assert (add_up(terms, wide(5, 64)) > 32).all()


# --- C5 and C6 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mantissa", [5, 7, 10])
@pytest.mark.parametrize("n", [64, 256])
def test_growth(mantissa, n):
    """The law of the mean sum, within 2 per cent; the loss alone where hardly anything is lost."""
    terms = torch.rand(2000, n, generator=rng(n), dtype=F64)
    found, exact = add_up(terms, wide(mantissa)).mean().item(), terms.sum(1).mean().item()
    predicted = growth(mantissa, 0.5, n)
    assert abs(found / predicted - 1) < 0.02
    if (mantissa, n) == (10, 64):  # there the exact sum passes too
        assert abs((exact - found) / (n / 2 - predicted) - 1) < 0.1
    else:
        assert abs(exact / predicted - 1) > 0.02
    assert growth(7, 0.5, 4096) == 128 and growth(7, 0.5, 1) == 0.5 and growth(7, 0.5, 0) == 0


def test_mean_loss():
    generator = rng()
    for M in (2, 4, 7):
        x = torch.exp2(torch.rand(200_000, generator=generator, dtype=F64))
        loss = 1 - FloatFormat(M, 6, 20).quantize(x) / x
        # the loss lies in [0, 2^-M): five standard errors of a mean of 200,000
        assert abs(loss.mean() - mean_loss(M)) < 5 * 2.0**-M / math.sqrt(12 * 200_000)
    assert [round(mean_loss(M) * 2**M, 3) for M in (1, 2)] == [0.317, 0.338]
    assert all(0.35 < mean_loss(M) * 2**M < 0.37 for M in range(4, 15))
    assert all(0 < mean_loss_limit(M) / mean_loss(M) - 1 < 2.0**-M for M in range(3, 15))


def test_chunks_lose_less():
    """C3: root mean square error with chunks of 16 below half of that without, zero-mean terms."""
    for n in (64, 256, 1024):
        x, w = (torch.randn(200, n, generator=rng(seed), dtype=F64) for seed in (0, 1))
        exact = (x * w).sum(1)
        ones = torch.ones(1, n, dtype=F64)

        def error(chunk, x=x, w=w, exact=exact, ones=ones):
            return (matmul(x * w, ones, wide(7, chunk))[:, 0] - exact).norm() / exact.norm()

        assert error(16) < error(1) / 2
    assert best_chunk(4096) == 64 and best_chunk(1) == 1
    for n in (1, 2, 5, 64, 100, 1000, 4096):
        assert sequential_additions(n, best_chunk(n)) <= min(sequential_additions(n, c) for c in range(1, n + 1)) + 1


def test_at_least_so_much_is_kept():
    """C3: never less, and a one with terms just below a unit comes near."""
    for M, C, n in ((2, 3, 9), (3, 4, 16), (3, 5, 23), (7, 16, 256)):
        a = wide(M, C)
        terms = a.product.quantize(torch.randn(300, n, generator=rng(n), dtype=F64).mul(3).exp())
        kept = add_up(terms, a) / terms.sum(1)
        assert kept.min() >= least_kept(M, n, C) > 0 and kept.max() <= 1
    unit = 2.0**-7
    terms = torch.tensor([[1.0, unit * (1 - unit)]], dtype=F64)
    assert least_kept(7, 2, 2) == 1 / (1 + unit)  # one addition that can lose, and it loses nearly a unit
    assert 1 - unit < (add_up(terms, wide(7, 2)) / terms.sum()).item() < 1 - unit + 3 * unit**2
    assert least_kept(7, 1, 1) == 1


def test_cells_of_an_adder():
    assert adder_cells(7, 4) == {"align": 24, "add": 9, "normalize": 24, "exponent": 8}
    assert adder_cells(8, 4)["align"] == 36  # nine rows and a distance of up to eight: four bits
    assert sum(adder_cells(23, 8).values()) > 4 * sum(adder_cells(7, 4).values())


def test_small_products_are_lost_at_the_start():
    """C6: 2^-12 is a product of (12, 10), but no sum."""
    tiny, ones = torch.full((1, 4096), 2.0**-12), torch.ones(1, 4096)
    narrow, even = ACCUMULATORS["M7E4"], Accumulator(7, 4, 12, 12)
    low, high = narrow.lost_first
    assert low <= 2.0**-12 < high and narrow.product.quantize(tiny)[0, 0] == 2.0**-12
    assert matmul(tiny, ones, narrow).item() == 0 and matmul(tiny, ones, even).item() == 1
    assert matmul(tiny, ones, Accumulator(7, 4, 12, 12, chunk=1)).item() == 2.0**-4
    assert count_events(tiny, ones, narrow).swamped.item() == 4096
    tiny[0, 0] = 1.0  # once a chunk's sum is not 0, they are swamped by it instead
    assert matmul(tiny, ones, narrow).item() == 1


@pytest.mark.parametrize("accumulator", [Accumulator(3, 3, 8, 6, chunk=64), Accumulator(7, 4, 12, 10, chunk=64)])
def test_only_terms_of_the_same_sign_are_swamped(accumulator):
    x, w = (torch.randn(500, 64, generator=rng(seed)) for seed in (0, 1))
    t = trace(x, w, accumulator)
    before = torch.cat([torch.zeros(500, 1), t.running[:, :-1]], 1)[:, 1:63]  # the last is the total
    swamped, sign = t.swamped[:, 1:63], torch.sign(x * w)[:, 1:63] * before.sign()
    assert swamped[sign > 0].float().mean() > 0.005 and not swamped[sign < 0].any()


# --- sums and layers --------------------------------------------------------------------------------------------------


def test_the_worked_example():
    x, w, a = torch.tensor([[40.0, 40.0, -30.0, 5.0]]), torch.ones(1, 4), Accumulator(7, 4, 10, 10)
    t = trace(x, w, a)
    assert t.running.tolist() == [[40, 63.75, 33.75, 38.75]] and t.overflow.tolist() == [[False, True, False, False]]
    assert t.totals.tolist() == [[38.75]] and not t.chunk_overflow.any()
    assert count_events(x, w, a)[:2] == (torch.tensor([[38.75]]), torch.tensor([[1]]))
    factors = {}
    for gradient in GRADIENTS:
        leaf = x.clone().requires_grad_()
        matmul(leaf, w, a, gradient=gradient).sum().backward()
        factors[gradient] = leaf.grad[0].tolist()
    assert factors == {"identity": [1, 1, 1, 1], "immediate-overflow": [1, 0, 1, 1],
                       "recursive-overflow": [0, 0, 1, 1], "immediate-change": [1, 1, 1, 1]}


def test_a_trace_ends_in_the_product_and_holds_its_events():
    x, w = (torch.randn(5, 37, generator=rng(seed)) * 2 for seed in (0, 1))
    for a in (Accumulator(3, 3, 7, 6, chunk=8), ACCUMULATORS["M4E3"]):
        t, e = trace(x, w, a), count_events(x, w, a)
        assert torch.equal(t.running[:, -1], e.value.diagonal()) and torch.equal(t.running[:, -1], t.totals[:, -1])
        assert torch.equal(t.running[:, a.chunk - 1:: a.chunk], t.totals[:, : 37 // a.chunk])
        for name in ("overflow", "underflow", "swamped", "product_overflow", "chunk_overflow", "chunk_swamped"):
            assert torch.equal(getattr(t, name).sum(1), getattr(e, name).diagonal()), name
        assert e.swamped.sum() > 0 and e.underflow.sum() > 0 and (e.overflow.sum() > 0) == (a.mantissa == 3)


def test_layers():
    a = Accumulator(20, 6, 30, 30, chunk=4, rounding="nearest")  # nearly float32
    x, w, b = (torch.randn(*s, generator=rng(i)) for i, s in enumerate([(2, 3, 5, 7), (4, 3, 2, 3), (4,)]))
    for stride, padding in ((1, 0), (2, 1)):
        want = torch.nn.functional.conv2d(x.double(), w.double(), b.double(), stride=stride, padding=padding)
        got = conv2d(x, w, b, a, stride=stride, padding=padding)
        assert got.shape == want.shape and (got - want).abs().max() < 1e-4
    assert torch.equal(linear(x.flatten(1), x[:1].flatten(1), None, a), matmul(x.flatten(1), x[:1].flatten(1), a))
    assert torch.equal(linear(x.flatten(1), x[:1].flatten(1), b[:1], a),
                       matmul(x.flatten(1), x[:1].flatten(1), a) + b[0])
    leaf = x.clone().requires_grad_()
    conv2d(leaf, w, None, a).sum().backward()
    other = x.clone().requires_grad_()
    torch.nn.functional.conv2d(other, w).sum().backward()
    assert torch.allclose(leaf.grad, other.grad, atol=1e-5)
    with pytest.raises(ValueError, match="weight must fit into x"):
        conv2d(x, torch.ones(1, 3, 6, 2), None, a)
    assert matmul(x[:, 0], w[:2, 0].repeat(1, 2, 3)[:, :, :7], a).shape == (2, 5, 4)


def test_order_matters_and_swamping_needs_no_zero():
    a = wide(2, 64)
    assert add_up(torch.tensor([[8.0, 1.0, 1.0], [1.0, 1.0, 8.0]]), a).tolist() == [8, 10]
    # The other sign costs a whole unit, however small it is.
    assert add_up(torch.tensor([[1.0, -(2.0**-12)]]), wide(7, 64)).item() == 1 - 2.0**-8
