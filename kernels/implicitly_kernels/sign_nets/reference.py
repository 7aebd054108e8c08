"""Random threshold networks in plain torch: weights from (seed, index), then batched products.

A network is `Layout(widths, bias, scaled, bits)`. Layer l (from 0) of network i takes its weight bits
from Philox(seed, i, step=2l, draw) and its biases and scales from step 2l+1:

- a neuron with d inputs owns a field of f bits, f the power of two at or above d, and uses its low d;
  field k starts at bit k*f of the stream; 32-bit word j of the stream is word j % 4 of draw j // 4;
- word k of the second stream gives r = (word * n) >> 32 with n = (2*bias + 1) * (3 if scaled else 1);
  the bias is r % (2*bias + 1) - bias, the scale r // (2*bias + 1) - 1.
"""

from itertools import pairwise
from typing import NamedTuple

import torch

from implicitly_kernels import _rng

CHUNK = 1 << 22  # weights times samples evaluated at once


class Layout(NamedTuple):
    """widths (d0, d1, ..., 1); largest bias; ternary scales; weights and activations 0/1, not +-1."""

    widths: tuple[int, ...]
    bias: int = 0
    scaled: bool = False
    bits: bool = False

    def field(self, layer):
        """Bits of a neuron's field in this layer."""
        return 1 << (self.widths[layer] - 1).bit_length()


def stream(seed, index, step, words):
    """The first `words` words of one stream, int64 (n, words)."""
    draw = torch.arange(-(-words // 4), device=index.device)
    four = torch.stack(_rng.philox(seed, index[:, None], step, draw[None, :]), dim=-1)
    return four.flatten(1)[:, :words]


def weights(seed, index, layout):
    """Per layer: weights (n, d_out, d_in), biases (n, d_out), scales (n, d_out), int64."""
    layers = []
    for layer, (d_in, d_out) in enumerate(pairwise(layout.widths)):
        field = layout.field(layer)
        words = stream(seed, index, 2 * layer, -(-d_out * field // 32))
        bit = torch.arange(32, device=index.device)
        bits = ((words[:, :, None] >> bit) & 1).flatten(1)
        bits = bits[:, : d_out * field].reshape(index.numel(), d_out, field)[:, :, :d_in]
        biases = torch.zeros(index.numel(), d_out, dtype=torch.int64, device=index.device)
        scales = torch.ones_like(biases)
        if layout.bias or layout.scaled:
            levels = 2 * layout.bias + 1
            word = stream(seed, index, 2 * layer + 1, d_out)
            r = (word * (levels * (3 if layout.scaled else 1))) >> 32
            biases = r % levels - layout.bias
            scales = r // levels - 1 if layout.scaled else scales
        layers.append((bits if layout.bits else 2 * bits - 1, biases, scales))
    return layers


def predict(seed, index, x, layout):
    """Outputs (n, N) bool of networks `index` (n,) at inputs x (N, d0) bool."""
    a = x.to(torch.float32).expand(index.numel(), *x.shape)
    for w, b, g in weights(seed, index, layout):
        a = a if layout.bits else 2 * a - 1
        score = g[:, None].float() * (a @ w.float().mT) + b[:, None].float()  # whole numbers
        a = (score >= 0).float()
    return a[:, :, 0] > 0


def first_fails(seed, index, x, y, layout):
    """Position of the first sample that each network misses, N where it fits them all."""
    wrong = predict(seed, index, x, layout) != y
    position = torch.arange(len(y), device=y.device).expand_as(wrong)
    return torch.where(wrong, position, len(y)).amin(dim=1) if len(y) else wrong.sum(dim=1)


def search(x, y, layout, n_nets, seed, start, keep):
    """Counts (N+1,) of networks by first miss, and the first `keep` interpolators (-1 where none)."""
    n = len(y)
    counts = torch.zeros(n + 1, dtype=torch.int64, device=x.device)
    found = []
    chunk = max(1, CHUNK // (max(layout.widths) * max(1, n)))
    for first in range(start, start + n_nets, chunk):
        index = torch.arange(first, min(first + chunk, start + n_nets), device=x.device)
        fails = first_fails(seed, index, x, y, layout)
        counts += torch.bincount(fails, minlength=n + 1)
        if sum(map(len, found)) < keep:
            found.append(index[fails == n])
    return counts, fill(found, keep, x.device)


def fill(found, keep, device):
    """The first `keep` of a list of index tensors, -1 where there are fewer."""
    out = torch.full((keep,), -1, dtype=torch.int64, device=device)
    if found:
        first = torch.cat(found)[:keep]
        out[: len(first)] = first
    return out
