"""The network, its report, and the stored weights."""

import dataclasses
import hashlib
import io
from importlib import resources

import numpy as np
import pytest
import torch

from implicitly import equivariance
from implicitly.equivariance import (
    DESIGNS,
    Design,
    ShiftNet,
    digit_images,
    fractional_shift,
    random_images,
    sample_norm,
    shift_list,
    shift_report,
    stored_digit_nets,
    train_digit_net,
)
from implicitly.equivariance.digit_nets import _names
from implicitly.equivariance.train_digits import _pack

F64 = torch.float64


def pictures(n=16, count=3):
    return random_images((count, 1, n, n), generator=torch.Generator().manual_seed(1))


def report(net, shifts=((0.3, 0.71),), x=None):
    x = pictures() if x is None else x
    return shift_report(net, x, torch.zeros(len(x), dtype=torch.int64), torch.tensor(shifts, dtype=F64))


@pytest.mark.parametrize("size", [8, 16, 20])
def test_alias_free_network_is_invariant(size):
    net = ShiftNet(Design(), seed=3, size=size).double()
    found = report(net, x=pictures(size))
    assert found.change < 1e-12 and found.spread > 1e-2


@pytest.mark.parametrize("change", [
    dict(activation="gelu"), dict(activation="relu"), dict(factor=None), dict(factor=1.0), dict(attention="softmax"),
    dict(norm="token"), dict(down="stride"), dict(positions=True),
], ids=str)  # fmt: skip
def test_every_switch_breaks_it(change):
    net = ShiftNet(dataclasses.replace(Design(), **change), seed=3).double()
    assert report(net).change > 1e-3
    tokens = report(net, ((4.0, 8.0),)).change
    assert tokens > 1e-3 if change.get("positions") else tokens < 1e-12


def test_zero_padding_breaks_it(monkeypatch):
    def padded(x, weight, bias=None, *, groups=1):
        return torch.nn.functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=groups)

    monkeypatch.setattr(equivariance.nets, "circular_conv", padded)
    assert report(ShiftNet(Design(), seed=3).double(), ((4.0, 8.0),)).change > 1e-2


def test_a_full_nyquist_bin_is_emptied_by_the_first_change_of_grid():
    x = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(1), dtype=F64)
    assert report(ShiftNet(Design(), seed=3).double(), x=x).change < 1e-12
    maps = x.expand(3, 6, 16, 16) + torch.randn(3, 6, 16, 16, generator=torch.Generator().manual_seed(2), dtype=F64)
    theta = torch.ones(1, dtype=F64)
    attend = equivariance.attend
    assert equivariance.equivariance_error(lambda z: attend(z, theta, "cross-covariance"), maps, (0.3, 0.71)) > 1e-3


def test_pooling_after_a_norm_over_tokens_is_constant():
    net = ShiftNet(Design(), seed=3).double()
    found = report(lambda x: sample_norm(net.tokens(x), mean="tokens").mean((2, 3)) @ net.head.T)
    assert found.spread < 1e-12


def test_report_by_hand():
    """Logits are the first two pixels: 1 moves where 0 was."""
    x = torch.zeros(2, 1, 3, 3, dtype=F64)
    x[0, 0, 0, 0] = x[1, 0, 0, 1] = 1

    def net(x):
        return x[:, 0, 0, :2]

    found = shift_report(net, x, torch.tensor([0, 1]), torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=F64))
    assert found.accuracy == 1 and found.consistency.tolist() == [0, 1] and found.worst == 0
    assert found.spread == pytest.approx(0.5**0.5) and found.change == pytest.approx(2) and found.answers == 2


def test_a_constant_network_has_no_unit():
    found = report(lambda x: x.new_ones(len(x), 3))
    assert found.change == float("inf") and found.spread == 0


def test_shift_lists():
    whole = shift_list("integer", 255, size=16, seed=0)
    assert len(whole.unique(dim=0)) == 255 and whole.square().sum(1).min() > 0 and whole.max() == 15
    assert torch.equal(shift_list("half", 5, size=16, seed=0), shift_list("integer", 5, size=16, seed=0) + 0.5)
    real = shift_list("real", 100, size=16, seed=0)
    assert real.min() >= 0 and real.max() < 16 and (real != real.round()).all()


def test_digits():
    x, y = digit_images("train")
    z, w = digit_images("test")
    assert x.shape == (1200, 1, 16, 16) and z.shape == (200, 1, 16, 16) and len(y) == 1200 and len(w) == 200
    X = torch.fft.rfft2(x.double(), norm="forward")
    assert X[..., 4:].abs().max() < 1e-6 and X[..., 4:13, :].abs().max() < 1e-6
    assert not (x.flatten(1)[:, None] == z.flatten(1)).all(2).any()


def test_training_learns_and_can_be_repeated():
    given = dict(seed=0, steps=40, width=8, rate=0.01)
    net, losses = train_digit_net(DESIGNS["strided, softmax"], **given)
    same = train_digit_net(DESIGNS["strided, softmax"], **given, until=3)[1]
    assert losses[-4:].mean() < losses[:4].mean() - 0.1
    assert torch.allclose(losses[:3], same)
    assert not any(p.requires_grad for p in net.parameters())


def test_stored_networks():
    data = resources.files("implicitly.equivariance").joinpath("digit_nets.npz").read_bytes()
    assert len(data) < 300_000
    assert hashlib.sha256(data).hexdigest() == equivariance.digit_nets._SHA256
    nets = [net for name in DESIGNS for net in stored_digit_nets(name)]
    nets += [net for name, steps, seed in _names() if steps == 100 and seed == 0
             for net in stored_digit_nets(name, steps=100)]  # fmt: skip
    assert len(nets) == len(_names())
    with np.load(io.BytesIO(_pack(nets))) as packed, np.load(io.BytesIO(data)) as stored:
        assert np.array_equal(packed["weights"], stored["weights"])
    x, y = digit_images("test")
    right = [(net(x).argmax(1) == y).float().mean().item() for net in nets[:6]]
    assert min(right) > 0.8


def test_a_changed_file_is_refused(monkeypatch):
    equivariance.digit_nets._weights.cache_clear()
    monkeypatch.setattr(equivariance.digit_nets, "_SHA256", "0" * 64)
    with pytest.raises(ValueError, match=r"digit_nets\.npz must have the SHA-256 0000"):
        stored_digit_nets("strided, softmax")
    equivariance.digit_nets._weights.cache_clear()


def test_what_is_not_stored_is_refused():
    with pytest.raises(ValueError, match="steps must be one of those stored for 'strided, softmax', found 100"):
        stored_digit_nets("strided, softmax", steps=100)


def test_shift_of_a_stored_network():
    net = stored_digit_nets("alias-free, quadratic")[0].double()
    x = digit_images("test")[0][:5].double()
    assert (net(fractional_shift(x, (0.3, 5.71))) - net(x)).abs().max() < 1e-10
