"""Gradient descent on the GPU: a program is one network, its parameters in registers for the whole
run; a step walks over the samples in groups of S, which the cache next to the processor holds.

One warp a program: the sum over neurons is then a few shuffles, and nothing waits for other warps.
"""

import torch
import triton
import triton.language as tl

from implicitly_kernels._dispatch import Unsupported

NEURONS, SAMPLES = 256, 1024  # at most
ELEMENTS = 512  # of a tile: 16 a thread, 32 with more than 128 neurons; more would spill on some chip
WARPS = 1


@triton.jit
def _residual(w1, b1, w2, b2, x_ptr, y_ptr, i, n):
    """x, pre-activations (S, K) and f(x) - y (S,), 0 beyond sample n."""
    x = tl.load(x_ptr + i, mask=i < n, other=0.0)
    y = tl.load(y_ptr + i, mask=i < n, other=0.0)
    z = w1[None, :] * x[:, None] + b1[None, :]
    h = tl.maximum(z, 0.0, propagate_nan=tl.PropagateNan.ALL)
    r = tl.sum(w2[None, :] * h, axis=1) + b2 - y
    return x, z, tl.where(i < n, r, 0.0)


# One binary for all sizes: a k known to be a multiple of 16 would widen loads that happen once, for
# registers that the loop needs.
@triton.jit(do_not_specialize=["k", "n", "steps"])
def _relu_gd_kernel(
    w1_ptr, b1_ptr, w2_ptr, b2_ptr, x_ptr, y_ptr, step_ptr,
    new_w1_ptr, new_b1_ptr, new_w2_ptr, new_b2_ptr, loss_ptr,
    k, n, steps,
    S: tl.constexpr, K: tl.constexpr,
):
    net = tl.program_id(0).to(tl.int64)
    j = tl.arange(0, K)
    live = j < k
    at = net * k + j
    x_ptr += net * n
    y_ptr += net * n
    w1 = tl.load(w1_ptr + at, mask=live, other=0.0)  # [K]; neurons beyond k are off for ever
    b1 = tl.load(b1_ptr + at, mask=live, other=0.0)
    w2 = tl.load(w2_ptr + at, mask=live, other=0.0)
    b2 = tl.load(b2_ptr + net)
    rate = tl.load(step_ptr + net) / n
    for _ in range(steps):
        slope = tl.zeros([K], tl.float32)
        level = tl.zeros([K], tl.float32)
        total = 0.0  # every thread holds all of r, so this sum stays inside a thread
        for first in range(0, n, S):
            i = first + tl.arange(0, S)
            x, z, r = _residual(w1, b1, w2, b2, x_ptr, y_ptr, i, n)
            # All that a neuron's gradient needs: sums of r x and of r over samples where it is on.
            on = tl.where(z > 0.0, 1.0, 0.0)  # its products lose nothing, and join the sums
            slope += tl.sum(on * (r * x)[:, None], axis=0)
            level += tl.sum(on * r[:, None], axis=0)
            total += tl.sum(r, axis=0)
        move = w1 * slope + b1 * level
        w1 -= rate * w2 * slope
        b1 -= rate * w2 * level
        w2 -= rate * move
        b2 -= rate * total
    loss = 0.0
    for first in range(0, n, S):
        i = first + tl.arange(0, S)
        x, z, r = _residual(w1, b1, w2, b2, x_ptr, y_ptr, i, n)
        loss += tl.sum(r * r, axis=0)
    tl.store(new_w1_ptr + at, w1, mask=live)
    tl.store(new_b1_ptr + at, b1, mask=live)
    tl.store(new_w2_ptr + at, w2, mask=live)
    tl.store(new_b2_ptr + net, b2)
    tl.store(loss_ptr + net, 0.5 * loss / n)


def tile(k):
    """(samples, neurons) of a tile."""
    width = max(32, triton.next_power_of_2(k))
    return max(4, ELEMENTS // width), width


def descend(w1, b1, w2, b2, x, y, step_size, steps, samples=None):
    """Same contract as reference.descend; float32. samples: of a tile, in place of `tile`'s."""
    (nets, k), n = w1.shape, x.shape[1]
    if w1.dtype != torch.float32:
        raise Unsupported(f"w1: the triton backend computes in float32, got {w1.dtype}")
    if k > NEURONS:
        raise Unsupported(f"w1: the triton backend takes at most {NEURONS} neurons, got {k}")
    if n > SAMPLES:
        raise Unsupported(f"x: the triton backend takes at most {SAMPLES} samples, got {n}")
    s, width = tile(k)
    out = [w1.new_empty(t.shape) for t in (w1, b1, w2, b2, b2)]
    if nets:
        given = (t.contiguous() for t in (w1, b1, w2, b2, x, y, step_size))
        _relu_gd_kernel[(nets,)](
            *given, *out, k, n, steps, S=samples or s, K=width, num_warps=WARPS,
            enable_fp_fusion=True,
        )
    return tuple(out)
