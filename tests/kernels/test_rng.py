"""Philox words: against the published known answers, an independent numpy loop, and each backend."""

import numpy as np
import pytest
import torch

from implicitly_kernels import _rng

# Known-answer vectors of Random123 for philox4x32-10: counter, key, words.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
     (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]
ADDRESSES = {
    "seed": [0, 1, 12345678901, 2**63 - 1],
    "element": [0, 1, 2**31, 2**32 + 5, 2**62 + 3],
    "step": [0, 7, 2**31, 2**32 - 1],
}


def plain(counter, key):
    """Philox4x32-10 in Python integers."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(10):
        a, b = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & 0xFFFFFFFF, (a >> 32) ^ c3 ^ k1, a & 0xFFFFFFFF
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_known_answers(counter, key, words):
    assert plain(counter, key) == words


def words_of(backend, device, seed, element, step, draw):
    """The words of one address list as an int64 tensor (n, 4)."""
    if backend == "reference":
        element = torch.tensor(element, device=device)
        return torch.stack(_rng.philox(seed, element, step, draw), -1).cpu()
    if backend == "numba":
        from implicitly_kernels._rng_numba import U32, philox

        rows = [
            philox(U32(seed & 0xFFFFFFFF), U32(seed >> 32), U32(e & 0xFFFFFFFF), U32(e >> 32),
                   U32(step), U32(draw))
            for e in element
        ]
        return torch.tensor(np.array(rows, dtype=np.int64))
    from triton_probes import philox_words

    return philox_words(device, seed, element, step, draw)


@pytest.mark.parametrize("seed", ADDRESSES["seed"])
@pytest.mark.parametrize("step", ADDRESSES["step"])
def test_same_words_everywhere(lane, seed, step):
    got = words_of(*lane, seed, ADDRESSES["element"], step, 9)
    for e, row in zip(ADDRESSES["element"], got, strict=True):
        want = plain((e & 0xFFFFFFFF, e >> 32, step, 9), (seed & 0xFFFFFFFF, seed >> 32))
        assert tuple(row.tolist()) == want


@pytest.mark.parametrize("seed", ADDRESSES["seed"])
def test_same_words_in_vectors(seed):
    import numba

    from implicitly_kernels._philox_numba import philox_lanes
    from implicitly_kernels._rng_numba import U32, U64
    from implicitly_kernels._vector import WIDTH, load, store

    @numba.njit
    def words(k0, k1, counters, out):
        four = philox_lanes(k0, k1, load(counters[0], U64(0)), load(counters[1], U64(0)), load(counters[2], U64(0)),
                            load(counters[3], U64(0)))
        for i in range(4):
            store(out[i], U64(0), four[i])

    generator = np.random.default_rng(7)
    counters = generator.integers(0, 2**32, (4, WIDTH), dtype=np.uint32)
    counters[:, :2] = np.array([[0, 2**32 - 1]], np.uint32)
    out = np.zeros_like(counters)
    words(U32(seed & 0xFFFFFFFF), U32(seed >> 32), counters, out)
    for counter, row in zip(counters.T.tolist(), out.T.tolist(), strict=True):
        assert tuple(row) == plain(counter, (seed & 0xFFFFFFFF, seed >> 32))


def normals_of(backend, device, n):
    """2n normals from words 0..3 of elements 0..n/2, as (x, y) pairs."""
    words = _rng.philox(5, torch.arange(n // 2), 1, 0)
    a, b = torch.cat([words[0], words[2]]), torch.cat([words[1], words[3]])
    if backend == "reference":
        return torch.cat(_rng.normal_pair(a.to(device), b.to(device))).cpu()
    if backend == "numba":
        import numba

        from implicitly_kernels._rng_numba import normal_pair

        @numba.njit
        def fill(a, b, x, y):
            for i in range(a.size):
                x[i], y[i] = normal_pair(a[i], b[i])

        x, y = np.empty(n, np.float32), np.empty(n, np.float32)
        fill(a.numpy().astype(np.uint32), b.numpy().astype(np.uint32), x, y)
        return torch.from_numpy(np.concatenate([x, y]))
    from triton_probes import normal_pairs

    return normal_pairs(device, a, b)


def test_normals_agree_and_have_the_moments(lane):
    n = 200_000
    z = normals_of(*lane, n).double()
    words = _rng.philox(5, torch.arange(n // 2), 1, 0)
    a, b = torch.cat([words[0], words[2]]), torch.cat([words[1], words[3]])
    exact = torch.cat(_rng.normal_pair(a, b, dtype=torch.float64))
    assert (z - exact).abs().max() < 4e-6
    # Independent of our polynomial: the same words through numpy's log, cos and sin.
    u = np.float32((a.numpy() >> 8) * 2.0**-24 + 2.0**-25).astype(float)
    angle = (np.pi / 2) * ((b.numpy() >> 30) + (b.numpy() & 0x3FFFFFFF) * 2.0**-30 - 0.5)
    radius = np.sqrt(-2 * np.log(u))
    plain_normals = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    assert np.abs(z.numpy() - plain_normals).max() < 4e-6
    m = 2 * n
    for value, mean, variance in ((z, 0, 1), (z**2, 1, 2), (z**4, 3, 96)):
        assert abs(value.mean() - mean) < 5 * (variance / m) ** 0.5
    assert abs((z[:n] * z[n:]).mean()) < 5 / n**0.5  # the two of a pair are uncorrelated


def test_log_and_exp_of_numba():
    import numba

    from implicitly_kernels._rng_numba import exp, log

    @numba.njit
    def both(x, a, b):
        for i in range(x.size):
            a[i] = log(x[i])
            b[i] = exp(x[i])

    x = np.exp(np.random.default_rng(0).uniform(-80, 80, 100_000)).astype(np.float32)
    a, b = np.empty_like(x), np.empty_like(x)
    both(x, a, b)
    assert np.abs(a - np.log(x.astype(np.float64))).max() < 1e-5  # at |log x| up to 80
    x = np.random.default_rng(1).uniform(-86, 86, 100_000).astype(np.float32)
    both(x, a, b)
    assert np.abs(b / np.exp(x.astype(np.float64)) - 1).max() < 3e-7
