"""The page's Langevin training is the library's: the same pictures, start law, steps, errors and bound."""

import math

import numpy as np
import pytest
import torch

from implicitly import data, langevin
from implicitly.langevin import pages
from implicitly_kernels import TanhNet, _rng
from implicitly_kernels import langevin as kernel

MEMORY = pages.memory.bind(**pages.packed_digits())


def sample(seed):
    """Pictures and coins of a seed, from the library's own generator and pictures."""
    words = _rng.philox(seed, torch.arange(60) + (2 << 32), 0, 0)
    deck, chosen = list(range(800)), []
    for i in range(60):
        at = i + int(words[0][i].item() / 2**32 * (800 - i))
        deck[i], deck[at] = deck[at], deck[i]
        chosen.append(deck[i])
    return data._arrays()[0][chosen], (words[1] >> 31).float()


def start(seed):
    """Draws from the prior of `TanhNet`, at the page's addresses."""
    chain, draw = torch.arange(4)[:, None], torch.arange(260)[None]
    w = _rng.philox(seed, chain + (1 << 32), 0, draw)
    pairs = [*_rng.normal_pair(w[0], w[1]), *_rng.normal_pair(w[2], w[3])]
    return torch.stack(pairs, -1).reshape(4, 1040) * langevin.TanhNet(16).prior_var().sqrt()


def trained(beta, time, seed, noise):
    """Errors of the four networks by the library's kernel, at the end."""
    (x, y), net = sample(seed), langevin.TanhNet(16)
    theta, _, _ = kernel(
        start(seed), TanhNet(x, y, 16), steps=64 * time, beta=beta, eta=1 / 64, prior_var=net.prior_var(), seed=noise
    )
    return net.error(theta, x, y)


def settings():
    rng = np.random.default_rng(5)
    return [(float(10 ** rng.uniform(0.4, 4.3)), int(rng.integers(1, 4)), int(rng.integers(2**31))) for _ in range(5)]


def end(found):
    return found["nets"][:, np.isfinite(found["t"]).sum() - 1, 1]


@pytest.mark.parametrize(("beta", "time", "seed"), settings())
def test_it_trains_as_the_kernel_does(beta, time, seed):
    found = MEMORY(beta=beta, time=time, seed=seed)
    wanted = trained(beta, time, seed, noise=seed)
    # float32 there, float64 here: a network may change its mind about a picture on its boundary
    assert np.abs(end(found) - wanted.double().numpy()).max() <= 1.01 / 60
    assert found["t"][np.isfinite(found["t"])][-1] == time
    assert np.nanmax(np.abs(found["mean"] - found["nets"][:, :, 1].mean(0))) < 1e-12


def test_another_noise_would_be_seen():
    beta, time, seed = 5.0, 2, 11
    wanted = trained(beta, time, seed, noise=seed + 1)
    assert np.abs(end(MEMORY(beta=beta, time=time, seed=seed)) - wanted.double().numpy()).max() > 2 / 60


@pytest.mark.parametrize("beta", [2.0, 5.0, 17.3, 33.1, 20_000.0])
def test_the_bound_is_the_library_s(beta):
    found = MEMORY(beta=beta, time=1, seed=0)
    wanted = min(0.5, langevin.pac_bayes_bound(beta * (math.log(2) + 1 / 8), 60, 0.05, "fixed"))
    assert found["allowed"] == pytest.approx(wanted, rel=1e-14)
    assert found["level"] == pytest.approx(0.5 - wanted, abs=1e-14)
    assert found["bars"][0] == max(0.5 - np.nanmean(end(found)), 0)


def test_longer_training_goes_on_where_shorter_ended():
    short, long = (MEMORY(beta=40.0, time=time, seed=1) for time in (2, 4))
    shared = np.isfinite(short["t"])
    shared[shared.sum() - 1] = False  # the last moment is the end
    assert np.array_equal(short["nets"][:, shared], long["nets"][:, shared])


def test_pictures_are_unpacked_as_they_were():
    packed = pages.packed_digits()
    raw = packed["code"].astype(np.int64)[:, np.arange(64) // 10] >> (5 * (np.arange(64) % 10)) & 31
    x = (raw - packed["scaling"][0]) / packed["scaling"][1]
    assert np.abs(x - data._arrays()[0][:800].double().numpy()).max() < 1e-6
