"""Cross-covariance attention on the CPU, one head after the other, its channels side by side; tokens in chunks.

All sums over tokens are Gram matrices of channels, d x d, and all that is returned is tokens times such a matrix. Norms
go into these matrices, so that q and k are never divided.
"""

import math

import numpy as np
import torch

from implicitly_kernels import _memory, _threads
from implicitly_kernels._jit import cached_njit
from implicitly_kernels._lanes import U, combine
from implicitly_kernels.xca.reference import EPS

CHUNK = 128  # tokens
jit = cached_njit(nogil=True, boundscheck=False, error_model="numpy", fastmath={"contract", "nsz"})


@jit
def _gram(x, y, turned, flat, lanes, out):
    """out[i, j] = sum_n x[n, i] y[n, j]; rows of `lanes`."""
    tokens, d = x.shape
    out[:] = 0
    for one in range(0, tokens, CHUNK):
        count = min(CHUNK, tokens - one)
        whole = (count + 3) // 4 * 4
        for n in range(count):
            o = n * lanes
            for i in range(d):
                turned[i, n] = x[one + n, i]
                flat[U(o + i)] = y[one + n, i]
        for n in range(count, whole):  # a NaN of another head may be there
            turned[:, n] = 0
            flat[n * lanes:(n + 1) * lanes] = 0
        combine(turned[:, :whole], flat, 0, lanes, out, 0, lanes, lanes, False)


@jit
def _apply(x, matrix, less, factor, part, flat, lanes, out):
    """out[n, i] = sum_j x[n, j] matrix[j, i] - factor[i] less[n, i]."""
    tokens, d = x.shape
    for one in range(0, tokens, CHUNK):
        count = min(CHUNK, tokens - one)
        for n in range(count):
            for j in range(d):
                part[n, j] = x[one + n, j]
        combine(part[:(count + 1) // 2 * 2], matrix, 0, lanes, flat, 0, lanes, lanes, True)
        for n in range(count):
            o = n * lanes
            for i in range(d):
                out[one + n, i] = flat[U(o + i)] - factor[i] * less[one + n, i]


@jit
def _norms(x, sums, out):
    """1 / max(norm, EPS) of each channel, its sum of squares in float64; negative where EPS is the larger."""
    sums[:] = 0
    for n in range(x.shape[0]):
        for i in range(sums.size):
            v = float(x[n, i])
            sums[i] += v * v
    for i in range(sums.size):
        norm = math.sqrt(sums[i])
        out[i] = -1 / EPS if norm <= EPS else 1 / norm


@jit
def _weights(gram, one, two, temperature, lanes, weight, d):
    """gram becomes cosines, `weight` the softmax of each row of temperature * cosines."""
    for i in range(d):
        o = i * lanes
        top = temperature * 0 - np.inf
        for j in range(d):
            gram[o + j] *= abs(one[i]) * abs(two[j])
            logit = temperature * gram[o + j]
            top = top if top > logit else logit
        total = top * 0
        for j in range(d):
            e = math.exp(temperature * gram[o + j] - top)
            weight[o + j] = e
            total += e
        for j in range(d):
            weight[o + j] /= total


@jit
def _turn(matrix, lanes, d, out):
    for i in range(d):
        for j in range(d):
            out[j * lanes + i] = matrix[i * lanes + j]


@jit
def _forward(q, k, v, temperature, out, lanes, first, last):
    """Heads first..last-1."""
    d = q.shape[2]
    even, four = (d + 1) // 2 * 2, (d + 3) // 4 * 4
    kind = q.dtype
    turned, flat = np.zeros((even, CHUNK), kind), np.zeros(CHUNK * lanes, kind)
    part, gram = np.zeros((CHUNK, four), kind), np.zeros(even * lanes, kind)
    weight, matrix = np.zeros(even * lanes, kind), np.zeros(four * lanes, kind)
    one, two, none = np.zeros(d, kind), np.zeros(d, kind), np.zeros(d, kind)
    sums = np.zeros(d)
    for h in range(first, last):
        _norms(q[h], sums, one)
        _norms(k[h], sums, two)
        _gram(q[h], k[h], turned, flat, lanes, gram)
        _weights(gram, one, two, temperature[h % len(temperature)], lanes, weight, d)
        _turn(weight, lanes, d, matrix)
        _apply(v[h], matrix, v[h], none, part, flat, lanes, out[h])


@jit
def _backward(grad, q, k, v, temperature, to_q, to_k, to_v, to_t, lanes, first, last):
    d = q.shape[2]
    even, four = (d + 1) // 2 * 2, (d + 3) // 4 * 4
    kind = q.dtype
    turned, flat = np.zeros((even, CHUNK), kind), np.zeros(CHUNK * lanes, kind)
    part, cosine = np.zeros((CHUNK, four), kind), np.zeros(even * lanes, kind)
    weight, matrix = np.zeros(four * lanes, kind), np.zeros(four * lanes, kind)
    moved, inner = np.zeros(even * lanes, kind), np.zeros(four * lanes, kind)
    one, two, none = np.zeros(d, kind), np.zeros(d, kind), np.zeros(d, kind)
    along, across = np.zeros(d, kind), np.zeros(d, kind)
    sums = np.zeros(d)
    for h in range(first, last):
        t = temperature[h % len(temperature)]
        _norms(q[h], sums, one)
        _norms(k[h], sums, two)
        _gram(q[h], k[h], turned, flat, lanes, cosine)
        _weights(cosine, one, two, t, lanes, weight, d)
        _apply(grad[h], weight, v[h], none, part, flat, lanes, to_v[h])
        _gram(grad[h], v[h], turned, flat, lanes, moved)
        total = t * 0
        across[:] = 0
        for i in range(d):
            o = i * lanes
            mean = t * 0
            for j in range(d):
                mean += weight[o + j] * moved[o + j]
            s = t * 0
            for j in range(d):
                logit = weight[o + j] * (moved[o + j] - mean)
                total += logit * cosine[o + j]
                s += t * logit * cosine[o + j]
                across[j] += t * logit * cosine[o + j]
                inner[o + j] = t * logit * abs(one[i]) * abs(two[j])
            along[i] = s * one[i] * one[i] if one[i] > 0 else 0 * s
        for j in range(d):
            across[j] = across[j] * two[j] * two[j] if two[j] > 0 else 0 * across[j]
        to_t[h] = total
        _apply(q[h], inner, k[h], across, part, flat, lanes, to_k[h])
        _turn(inner, lanes, d, matrix)
        _apply(k[h], matrix, q[h], along, part, flat, lanes, to_q[h])


def _flat(*tensors):
    return [t.flatten(0, 1).numpy() for t in tensors]


def _share(part, shape):
    B, H, N, d = shape
    _threads.share(part, B * H, 1, 4 * N * d * (d + 32))


def _lanes(q):
    """Channels, up to a multiple of what vectors take."""
    least = 128 // q.element_size()
    return -(-q.shape[3] // least) * least


def run(q, k, v, temperature):
    """Same contract as reference.run."""
    heads, t = _flat(q, k, v), temperature.numpy()
    out = _memory.empty(heads[0].shape, heads[0].dtype)

    def part(first, last, begin, end):
        _forward(*heads, t, out, _lanes(q), first, last)

    _share(part, q.shape)
    return torch.from_numpy(out).reshape(q.shape)


def backward(grad, q, k, v, temperature):
    """Same contract as reference.backward."""
    heads, t = _flat(grad, q, k, v), temperature.numpy()
    out = [_memory.empty(heads[0].shape, heads[0].dtype) for _ in range(3)]
    to_t = _memory.empty(heads[0].shape[:1], heads[0].dtype)

    def part(first, last, begin, end):
        _backward(*heads, t, *out, to_t, _lanes(q), first, last)

    _share(part, q.shape)
    return *(torch.from_numpy(o).reshape(q.shape) for o in out), torch.from_numpy(to_t).reshape(q.shape[:2]).sum(0)
