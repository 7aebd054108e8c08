"""What is stored is what the trainings gave, and the file is the one that the module names."""

import pytest
import torch

from implicitly.low_precision import FINE_TUNED, GRADIENTS, STAGED, WINDOWS, digit_split, stored, stored_digits, train
from implicitly.low_precision.nets import first_networks


def test_shapes_and_formats():
    found = stored_digits()
    assert found.networks.seeds == stored.SEEDS and [w.shape[1] for w in found.networks.weights] == [64, 64, 10]
    assert all(torch.equal(w.half().float(), w) for w in found.networks.weights)
    assert found.fine_tuned.shape == (len(FINE_TUNED), 4, 6)
    assert found.gradients.shape == (len(WINDOWS), len(GRADIENTS), 6)
    assert found.staged.shape == (len(STAGED), 2, 2, 6)
    for shares in found[1:]:
        assert shares.dtype == torch.float64 and ((shares >= 0) & (shares <= 1)).all()
        assert torch.equal((shares * 360).round() / 360, shares)
    assert [a.sum.largest for a in WINDOWS] == [15, 7.5, 3.75, 1.875, 0.9375]
    assert all(a.bias_product - a.bias_sum == 2 and a.chunk == 16 for a in (*WINDOWS, *STAGED, *FINE_TUNED.values()))


def test_the_networks_are_trained():
    data = digit_split()
    assert (stored_digits().networks.accuracy(data.x_test, data.y_test) > 0.95).all()


def test_a_result_again():
    """One of them, trained here: another CPU's roundings change an answer or two."""
    data, a = digit_split(), WINDOWS[3]
    nets = train(first_networks([2], (64, 32, 32, 10)), data, a, epochs=6, rate=3e-3, gradient="recursive-overflow")
    kept = stored_digits().gradients[3, GRADIENTS.index("recursive-overflow"), 2]
    assert abs(nets.accuracy(data.x_test, data.y_test, a).item() - kept) < 0.03


def test_another_file_is_refused(monkeypatch):
    monkeypatch.setattr(stored, "_SHA256", "0" * 64)
    stored._file.cache_clear()
    with pytest.raises(ValueError, match=r"digit_nets\.npz must have the SHA-256 0000"):
        stored_digits()
    stored._file.cache_clear()
