"""The partial sum in one process, the model against its dense twin, counts, times and the lab's limit."""

import math

import pytest
import torch
from torch.nn import functional as F

from implicitly import tensor_parallel as tp
from implicitly.tensor_parallel.streams import _FirstGradient, _SumGradient

F64 = torch.float64
SHAPE = tp.Shape(layers=2, width=24, heads=8, hidden=16, vocabulary=11, context=7)
WEIGHTS = tp.first_weights(SHAPE, 1, size=0.2)
TOKENS = torch.randint(11, (3, 8), generator=torch.Generator().manual_seed(0))


def dense():
    leaves = {name: w.clone().requires_grad_() for name, w in WEIGHTS.items()}
    value = tp.dense_loss(leaves, SHAPE, TOKENS)
    return value.detach(), dict(zip(leaves, torch.autograd.grad(value, list(leaves.values())), strict=True))


def found(ranks, shared, **more):
    return tp.gradients(tp.OneProcess(ranks), shape=SHAPE, weights=WEIGHTS, tokens=TOKENS, shared=shared, **more)


@pytest.mark.parametrize(("p", "width", "shared"), [(0, 7, 0), (1, 7, 7), (0.5, 7, 3), (0.29, 100, 29), (0.999, 10, 9)])
def test_shared_channels(p, width, shared):
    assert tp.shared_channels(p, width) == shared


@pytest.mark.parametrize(("ranks", "shared"), [(1, 0), (1, 9), (2, 24), (4, 24), (8, 24)])
def test_all_shared_or_one_rank_is_the_dense_network(ranks, shared):
    value, gradients = dense()
    here = found(ranks, shared)
    assert abs(float(here["loss"] - value)) < 1e-13
    parts = tp.shard(gradients, SHAPE, tp.OneProcess(ranks))
    for name, g in (here["gradients"] | here["norms"]).items():
        assert torch.allclose(g, parts[name], rtol=0, atol=1e-13), name


def test_padding_of_the_vocabulary_gets_no_gradient():
    head = found(4, 5)["gradients"]["head"]
    assert head.shape == (4, 3, 24) and bool((head[3, 2] == 0).all())


def test_gradients_are_those_of_finite_differences():
    here, h = found(2, 5), 1e-5
    for name, place in (("0.qkv", (1, 3, 2)), ("1.down", (0, 20, 1)), ("embedding", (4, 3))):
        values = []
        for sign in (1, -1):
            parts = tp.shard(WEIGHTS, SHAPE, tp.OneProcess(2))
            parts[name][place] += sign * h
            values.append(float(tp.loss(parts, SHAPE, TOKENS, tp.OneProcess(2), 5)))
        assert (values[0] - values[1]) / (2 * h) == pytest.approx(float(here["gradients"][name][place]), abs=1e-8)


def test_norms_gradients_are_complete_only_after_the_sum():
    here = found(4, 24)
    partial, whole = here["gradients"]["0.norm"], here["norms"]["0.norm"]
    assert torch.allclose(whole[0], partial.sum(0)) and torch.equal(whole[0], whole[3])
    assert float((partial[0] - whole[0]).norm() / whole[0].norm()) > 0.3


class PairOfShared(tp.OneProcess):
    """Megatron's pair with an f that adds up the shared channels alone, after each norm; the entry adds the others."""

    def __init__(self, ranks, shared):
        super().__init__(ranks, "pair")
        self.shared = shared

    def _before_column(self, x):
        return _SumGradient.apply(x, self, 0, self.shared)

    def _enter(self, x, shared):
        return _SumGradient.apply(_FirstGradient.apply(x, self.here), self, shared, x.shape[-1])


@pytest.mark.parametrize("shared", [0, 5, 12, 24])
def test_shared_channels_added_up_after_the_norm_are_wrong_inside(shared):
    right, found_so = (tp.gradients(wires, shape=SHAPE, weights=WEIGHTS, tokens=TOKENS, shared=shared, rule=wires.rule)
                       ["gradients"]["0.qkv"] for wires in (tp.OneProcess(4), PairOfShared(4, shared)))  # fmt: skip
    off = float((found_so - right).norm() / right.norm())
    assert off > 0.1 if 0 < shared < 24 else off < 1e-13


def test_scale_is_the_root_of_the_ranks():
    assert found(4, 5)["loss"] == found(4, 5, scale=2.0)["loss"] != found(4, 5, scale=1.0)["loss"]


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="ranks must divide heads 8 and hidden 16, found 3"):
        found(3, 5)
    with pytest.raises(ValueError, match="shared must be at most 24, found 25"):
        found(2, 25)
    with pytest.raises(ValueError, match=r"z must have shape \(2, ..., h\), found \(3, 4\)"):
        tp.OneProcess(2).partial_sum(torch.ones(3, 4), 1)
    with pytest.raises(ValueError, match="tokens must be from 0 to 10"):
        tp.dense_loss(WEIGHTS, SHAPE, TOKENS + 5)


def test_counts():
    assert [tp.step_elements(3, 96, 32, s) for s in (32, 16, 8, 0)] == [40224, 21792, 12576, 3360]
    assert tp.ring_bytes(100, 1, 4) == 0
    assert tp.effective_width(64, 64, 4) == 64 and tp.effective_width(64, 0, 4) == 256


def test_times():
    model = tp.LayerTime(compute=3.0, latency=0.5, bandwidth=100.0, ranks=4)
    # 10 places, 20 channels: 200 elements a sum, a ring moves 1.5 of them: 600 and 1200 bytes
    assert model.training(10, 20) == pytest.approx(3 + 4 * 0.5 + 2 * 6 + 2 * 12)
    assert model.inference(10, 20) == pytest.approx(1 + 2 * 0.5 + 2 * 6)
    assert model.training(10, 0) == 3.0
    size = torch.tensor([1.0, 10, 100, 1000], dtype=F64)
    assert tp.fit_line(size, 2 + 3 * size) == pytest.approx((2, 3))
    assert tp.fit_line(size, 3 * size - 0.5)[0] == 0.0


def test_local_steps_come_to_their_limit():
    dice = torch.Generator().manual_seed(0)
    root = torch.randn(3, 2, 2, generator=dice, dtype=F64)
    curvature = root @ root.mT + 0.5 * torch.eye(2, dtype=F64)
    target = torch.randn(3, 2, generator=dice, dtype=F64)
    rate = 0.5 / float(torch.linalg.eigvalsh(curvature).max())
    for outer, momentum in ((1.0, 0.0), (0.7, 0.9)):
        ends = tp.local_descent(curvature, target, rate, 5, 600, outer=outer, momentum=momentum)
        assert torch.allclose(ends[-1], tp.local_limit(curvature, target, rate, 5), atol=1e-10)
    assert torch.allclose(tp.local_limit(curvature, target, rate, 1), tp.average_minimizer(curvature, target))
    assert torch.allclose(tp.local_limit(curvature, target, rate, 10**5), target.mean(0), atol=1e-9)


def test_names_are_tokens():
    text = tp.name_tokens()
    assert len(text.train) == 316863 and int(text.train.max()) == 38
    assert math.isclose(len(text.test) / 316863, 1 / 9, rel_tol=0.02)


@pytest.fixture
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2], indirect=True)
def test_training_learns_and_repeats(threads):
    """To the bit in one thread; six steps in float32 carry rounding, 6e-8 of a loss of 4, at most some ten times on."""
    a, b = (tp.train(tp.OneProcess(2), 32, 0, until=6) for _ in range(2))
    assert (a.train - b.train).abs().max() <= (0 if threads == 1 else 1e-5)
    assert a.train[5] < a.train[0] - 0.05
    assert F.softmax(torch.zeros(39, dtype=F64), 0)[0].log().neg().item() == pytest.approx(float(a.train[0]), abs=0.1)
