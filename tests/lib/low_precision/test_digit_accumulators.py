"""Training with narrow accumulators: alone or together, the same; what the chapter says of gradients, at its sizes."""

import pytest
import torch

from implicitly.low_precision import (
    ACCUMULATORS,
    Accumulator,
    Networks,
    Split,
    digit_split,
    first_networks,
    train,
)


@pytest.fixture(scope="module")
def data():
    return digit_split()


@pytest.fixture(scope="module")
def trained(data):
    """Two networks, in float32."""
    return train(first_networks([0, 1]), data, epochs=4, rate=3e-3)


def same(a, b):
    return all(torch.equal(v, u) for v, u in zip((*a.weights, *a.biases), (*b.weights, *b.biases), strict=True))


def picked(nets, k):
    weights, biases = ([v[k:k + 1] for v in values] for values in (nets.weights, nets.biases))
    return Networks(weights, biases, nets.seeds[k:k + 1])


def test_the_split_is_of_all_digits(data):
    assert data.x.shape == (1437, 64) and data.x_test.shape == (360, 64)
    assert (data.x * 16 == (data.x * 16).round()).all() and data.x.min() == 0 and data.x.max() == 1
    assert torch.cat([data.y, data.y_test]).bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert not torch.equal(digit_split(1).y, data.y) and torch.equal(digit_split(0).x, data.x)


@pytest.mark.parametrize("how", [
    {}, {"accumulator": ACCUMULATORS["M4E3"]},
    {"accumulator": Accumulator(3, 3, 9, 7), "gradient": "recursive-overflow"},
])  # fmt: skip
def test_a_network_does_not_see_its_neighbours(data, how):
    few = Split(data.x[:100], data.y[:100], data.x_test, data.y_test)
    start = first_networks([3, 4, 5], (64, 16, 10))
    together = train(start, few, epochs=2, batch=30, **how)
    assert same(picked(together, 1), train(first_networks([4], (64, 16, 10)), few, epochs=2, batch=30, **how))
    assert same(start, first_networks([3, 4, 5], (64, 16, 10))) and not same(start, together)
    assert together.seeds == (3, 4, 5)


def test_float32_training_is_torchs(data):
    """Against modules of torch, one step of Adam after the other."""
    nets = first_networks([7], (64, 8, 10))
    model = torch.nn.Sequential(torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10))
    with torch.no_grad():
        for layer, w, b in zip((model[0], model[2]), nets.weights, nets.biases, strict=True):
            layer.weight.copy_(w[0])
            layer.bias.copy_(b[0])
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(7_000_021 + 17))
    for rows in order.split(40):
        adam.zero_grad()
        torch.nn.functional.cross_entropy(model(data.x[rows]), data.y[rows]).backward()
        adam.step()
    few = Split(data.x[:100], data.y[:100], data.x_test, data.y_test)
    got = train(nets, few, epochs=1, rate=1e-2, batch=40)
    assert (got.weights[0][0] - model[0].weight).abs().max() < 1e-5
    assert (got.logits(data.x_test)[0] - model(data.x_test)).abs().max() < 1e-4


def test_twelve_bits_are_enough_here_and_not_without_effect(data, trained):
    """C7 at this size."""
    a = ACCUMULATORS["M7E4"]
    wide, narrow = trained.accuracy(data.x_test, data.y_test), trained.accuracy(data.x_test, data.y_test, a)
    assert (wide > 0.9).all() and ((wide - narrow).abs() <= 0.006).all()  # two pictures
    error = trained.logit_error(data.x_test, a)
    assert ((error > 0.02) & (error < 0.2)).all()


def test_most_of_what_eight_bits_lose_is_underflow(data, trained):
    a = ACCUMULATORS["M4E3"]
    narrow = trained.accuracy(data.x_test, data.y_test, a)
    without = trained.accuracy(data.x_test, data.y_test, a.without_underflow())
    assert (without - narrow).mean() >= 0.01
    # Without underflow the biases only set the largest magnitude: (4, 2) is no worse, and with it, it is lost.
    other = Accumulator(4, 3, 4, 2)
    assert (trained.accuracy(data.x_test, data.y_test, other) < 0.6).all()
    assert ((trained.accuracy(data.x_test, data.y_test, other.without_underflow()) - without).abs() <= 0.02).all()


def test_gradients_that_know_of_overflow_train_where_identity_does_not(data):
    """C10, at (9, 7), whose largest sum is 1.875: differences of a third; another CPU's rounding moves a hundredth."""
    a, start = Accumulator(3, 3, 9, 7), first_networks([0, 1], (64, 32, 32, 10))
    found = {g: train(start, data, a, epochs=4, rate=3e-3, gradient=g).accuracy(data.x_test, data.y_test, a)
             for g in ("identity", "immediate-overflow", "recursive-overflow")}  # fmt: skip
    for gradient in ("immediate-overflow", "recursive-overflow"):
        assert (found[gradient] - found["identity"]).min() > 0.2


def test_bad_networks(data):
    nets = first_networks([0, 1], (64, 3, 10))
    with pytest.raises(ValueError, match=r"weights\[1\] must have shape \(2, out, 3\), found \(2, 10, 4\)"):
        Networks((nets.weights[0], torch.zeros(2, 10, 4)), nets.biases, (0, 1))
    with pytest.raises(ValueError, match=r"biases\[0\] must have shape \(2, 3\)"):
        Networks(nets.weights, (torch.zeros(2, 4), nets.biases[1]), (0, 1))
    with pytest.raises(ValueError, match="y must hold classes from 0 to 9, found 0 to 10"):
        nets.accuracy(data.x_test[:2], torch.tensor([0, 10]))
    for broken, error in ((None, TypeError), (data._replace(x=data.x[:, :9]), ValueError),
                          (data._replace(y=data.y[:9]), ValueError), (data._replace(y=data.y + 1), ValueError),
                          (Split(data.x[:0], data.y[:0], data.x, data.y), ValueError)):  # fmt: skip
        with pytest.raises(error, match="data"):
            train(nets, broken, epochs=1)
