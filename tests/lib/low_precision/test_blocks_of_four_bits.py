"""Blocks, policies, progress, the language model and the labs, against exact cases."""

import math

import pytest
import torch

import implicitly_kernels as kernels
from implicitly import low_precision as lp
from implicitly.low_precision import BLOCK_FORMATS, E2M1, POLICIES, BlockFormat, Policy, Quantizer, language

F64 = torch.float64


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=dice(seed))


def test_ties_go_to_the_even_mantissa_and_the_rest_to_the_nearest():
    given = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 0.26, 2.51, 9.0], dtype=F64)
    assert lp.round_to_grid(given, E2M1).tolist() == [0, 1, 1, 2, 2, 4, 4, 0.5, 3, 6]


def test_the_sixteen_numbers_of_a_block_stay():
    block = torch.tensor([*E2M1, *(-v for v in E2M1)])
    for form in (*BLOCK_FORMATS.values(), BlockFormat(8, "exact")):
        for rounding in ("nearest", "coin"):
            found = form.quantize(4 * block, rounding=rounding, seed=1)
            assert torch.equal(found, 4 * block) and torch.equal(found.signbit(), block.signbit())


def test_a_coin_is_thrown_by_the_way_to_the_upper_neighbour():
    x = torch.full((4,), 2.25, dtype=F64)
    coin = torch.tensor([0.0, 0.2499, 0.25, 0.9], dtype=F64)
    assert lp.round_to_grid(x, E2M1, coin).tolist() == [3, 3, 2, 2]


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_the_library_and_the_kernel_agree(name):
    """What the general path makes of the standards' blocks is what the op makes of them."""
    form = BLOCK_FORMATS[name]
    x = normal(9, 96) * torch.logspace(-6, 4, 9)[:, None]
    x[3] = 0
    parts, scales = form._scaled(x)
    assert torch.equal(form._back(lp.round_to_grid(parts, E2M1) * scales, x).float(), form.quantize(x))


@pytest.mark.parametrize(("kind", "rule"), [("e4m3 up", "up"), ("e4m3 nearest", "nearest")])
def test_scales_of_nvfp4_are_the_codes_of_the_op(kind, rule):
    x = normal(5, 64, seed=3)
    gs = kernels.nvfp4_global_scale(x)
    codes = kernels.nvfp4_quantize(x, gs=gs, scale=rule)[1]
    assert torch.equal(BlockFormat(16, kind).scales(x), codes.view(torch.float8_e4m3fn).float() * gs)


def test_seven_by_hand():
    four = torch.tensor([0.1, 0.2, 3.0, 7.0])
    floor, up = BLOCK_FORMATS["MXFP4"], BLOCK_FORMATS["MXFP4 up"]
    assert floor.quantize(four).tolist() == [0, 0, 3, 6] and up.quantize(four).tolist() == [0, 0, 3, 8]
    law = up.coin(-four)
    assert law.mean[3] == -7 and law.variance[3] == 1 and law.chance[3] == 0.5
    assert (law.below[3], law.above[3]) == (-6, -8)
    assert floor.coin(four).mean[3] == 6 and floor.coin(four).variance[3] == 0


def test_constants_of_the_grid():
    """Best scale and error for a standard normal number, as others print them."""
    scale, error = lp.best_normal_scale(E2M1)
    assert scale == pytest.approx(0.487079, abs=1e-6) and error == pytest.approx(0.0126849, abs=1e-7)
    step, error = lp.best_normal_scale([k + 0.5 for k in range(8)])
    assert 7.5 * step == pytest.approx(2.51400, abs=1e-4) and error == pytest.approx(0.0115429, abs=1e-7)


def test_a_giant_flushes_the_rest():
    x = torch.cat([torch.tensor([1e7]), torch.ones(63)])
    nearest, up = BLOCK_FORMATS["NVFP4"], BLOCK_FORMATS["NVFP4 up"]
    assert nearest.flushed(x) == 48 / 64 and up.flushed(x) == 0
    assert nearest.error(x) < 1e-12  # relative errors do not see it


def test_the_error_with_a_coin_is_its_expectation():
    x = normal(4, 64)
    form = BLOCK_FORMATS["NVFP4"]
    draws = torch.stack([form.quantize(x, rounding="coin", seed=k) for k in range(500)]).double()
    found = float((draws - x).square().mean() / x.double().square().mean())
    assert found == pytest.approx(form.error(x, "coin"), rel=0.03)


def test_a_policy_of_nothing_is_float32():
    x, w, dy = normal(5, 7), normal(3, 7, seed=1), normal(5, 3, seed=2)
    y, dx, dw = lp.products(x, w, dy, Policy())
    for got, want in ((y, x @ w.mT), (dx, dy @ w), (dw, dy.mT @ x)):
        assert torch.allclose(got, want, atol=1e-6)


def test_blocks_run_along_what_is_summed_over():
    """A place's quantizer sees the axis of its product last."""
    x, w, dy = normal(32, 48), normal(16, 48, seed=1), normal(32, 16, seed=2)
    q = Quantizer(BLOCK_FORMATS["NVFP4"])
    found = lp.products(x, w, dy, Policy.of(q, q, q))
    assert torch.equal(found.y, q(x) @ q(w).mT)
    assert torch.equal(found.dx, q(dy) @ q(w.mT.contiguous()).mT)
    assert torch.equal(found.dw, q(dy.mT.contiguous()) @ q(x.mT.contiguous()).mT)


def test_the_layer_hands_on_these_products():
    x, w, dy = normal(6, 20).requires_grad_(), normal(4, 20, seed=1).requires_grad_(), normal(6, 4, seed=2)
    y = lp.fp4_linear(x, w, POLICIES["paper"], seed=5)
    y.backward(dy)
    want = lp.products(x.detach(), w.detach(), dy, POLICIES["paper"], seed=5)
    assert torch.equal(y, want.y) and torch.equal(x.grad, want.dx) and torch.equal(w.grad, want.dw)


def test_each_place_has_a_coin_of_its_own():
    x = normal(16, 16)
    q = Quantizer(BLOCK_FORMATS["NVFP4 up"], "coin")
    both = lp.products(x, x, torch.zeros(16, 16), Policy.of(q), seed=1).y
    assert not torch.equal(both, both.mT)
    shared = lp.products(x, x, torch.zeros(16, 16), Policy.of(q), seed=1, one_coin=True).y
    assert torch.allclose(shared, shared.mT, atol=1e-6)


def test_without_drops_a_pass():
    policy = POLICIES["paper"].without("backward", "update")
    assert policy == Policy.of(Quantizer(BLOCK_FORMATS["NVFP4"]))
    with pytest.raises(ValueError, match="passes must be one of"):
        policy.without("sideways")


def test_progress_is_that_of_the_expansion():
    g, h = torch.tensor([3.0, -1.0], dtype=F64), torch.tensor([2.0, 0.5], dtype=F64)
    rate, share = lp.best_progress(g, h, 0.5)
    assert rate == pytest.approx(10 / (18.5 + 0.625)) and share == pytest.approx(18.5 / 19.125)
    best = lp.mean_progress(g, h, 0.5, rate)
    assert best > lp.mean_progress(g, h, 0.5, 1.01 * rate) and best > lp.mean_progress(g, h, 0.5, 0.99 * rate)
    sampled = lp.sampled_progress(g, h, 0.0, 0.1, draws=2, generator=dice())
    assert sampled.tolist() == pytest.approx([lp.mean_progress(g, h, 0.0, 0.1)] * 2)


def test_a_descent_comes_to_its_floor():
    for rate in (0.1, 1.0, 1.9):
        run = lp.descend(rate, 0.01, 2000)
        assert float(run.ratio[-1]) == pytest.approx(run.floor) == math.sqrt(rate / (2 - rate))
    assert lp.descend(0.5, 1.0, 1).loss.tolist() == pytest.approx([1, 0.5])


def test_names_are_cut_into_contexts():
    data = lp.name_contexts()
    names = lp.character_names()
    assert len(names) == 12771 and names[0] == "SPACE" and names[1] == "EXCLAMATION MARK"
    text = "".join(lp.ALPHABET[c] for c in data.y[:17].tolist())
    assert text == "EXCLAMATION MARK\n"  # names 0, 10, 20, ... are for the test
    assert data.x[0].tolist() == [0] * 8 and "".join(lp.ALPHABET[c] for c in data.x[16].tolist()) == "ION MARK"
    assert len(data.x) == sum(len(n) + 1 for i, n in enumerate(names) if i % 10)


def test_training_repeats_and_a_switch_changes_it():
    def losses(**given):
        return lp.train_language_model(POLICIES["paper"], 3, steps=6, batch=32, **given).train

    assert torch.equal(losses(), losses())
    switched = losses(then={3: Policy()})
    assert torch.equal(switched[:3], losses()[:3]) and not torch.equal(switched, losses())
    assert torch.equal(losses(until=2), losses()[:2]) and torch.equal(losses(probe=(1,)), losses())


def test_noise_of_an_exact_backward_pass_is_none():
    found = lp.batch_noise(lp.LanguageModel.first(0), POLICIES["forward only"], batch=32, large=64, draws=2)
    assert found.quantization == 0 and found.ratio == math.inf and found.sampling > 0


def test_the_stored_results_are_those_of_the_digest(monkeypatch):
    stored = lp.stored_language_runs()
    assert set(stored.policies) == set(POLICIES) and all(len(v) == 5 for v in stored.policies.values())
    assert set(stored.switches) == {"forward", "backward", "all"} and len(stored.places) == 12
    monkeypatch.setattr(language, "_STORED_SHA256", "0" * 64)
    with pytest.raises(ValueError, match=r"language_runs\.json must have the SHA-256 0000"):
        lp.stored_language_runs()


def test_a_spike_is_shrunk_to_what_is_typical():
    gradient, typical = torch.tensor([1.0, -2.0]), 0.0
    kept, typical = lp.clip_spikes(gradient, typical, 1, decay=0.5)
    assert torch.equal(kept, gradient) and typical == 1
    kept, typical = lp.clip_spikes(torch.tensor([1.0, -10.0]), typical, 2, decay=0.5)
    assert typical == 5.5 and kept.tolist() == pytest.approx([1, -5.5 / 0.75])


def test_balanced_channels_have_the_same_product():
    x, w = normal(8, 6), normal(5, 6, seed=1)
    for strength in (0.0, 0.5, 1.0):
        a, b = lp.balance_channels(x, w, strength)
        assert torch.allclose(a @ b.mT, x @ w.mT, atol=1e-5)
    assert torch.allclose(a.abs().amax(0), torch.ones(6))


def test_pruned_weights_stay_away_without_gradient():
    for kind, low, high in (("masked", 0.01, 1.0), ("straight-through", 0, 0.01), ("progressive", 0, 0.001)):
        assert low <= float(lp.pruned_training(kind, seeds=50, generator=dice(1)).mean()) <= high
    assert lp.keep_largest(torch.tensor([[1.0, 5.0, -7.0, 2.0]]), 2, 4).tolist() == [[0, 1, 1, 0]]
