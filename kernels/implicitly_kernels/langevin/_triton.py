"""Langevin chains on the GPU: a program keeps CH chains, all their parameters and gradients, in
registers for the whole run; memory sees the start, the end, and the data."""

import torch
import triton
import triton.language as tl

from implicitly_kernels._dispatch import Unsupported
from implicitly_kernels._rng_triton import normal_pair
from implicitly_kernels.langevin.reference import columns_of, rows_of

ELEMENTS = 256  # parameters a program, of polynomials
THREAD = 4  # weights of the first layer a thread, of networks; twice as many spill on Ampere
MOST = 2048  # parameters of one chain; twice as many need 32 warps, and spill


@triton.jit
def _tanh(v):
    v = tl.minimum(tl.maximum(v, -15.0), 15.0)
    return 1.0 - 2.0 / (tl.exp(2.0 * v) + 1.0)


@triton.jit
def _quads(seed, chain, step, draw):
    """Four normals for each address; chain and draw are uint32 tensors of one shape."""
    zero = tl.zeros_like(draw)
    w0, w1, w2, w3 = tl.philox(seed, chain, zero, zero + step, draw)
    a, b = normal_pair(w0, w1)
    c, d = normal_pair(w2, w3)
    return tl.join(tl.join(a, c), tl.join(b, d))


@triton.jit
def _normal(seed, chain, step, place):
    """The normal of each place of the padded parameters; chain and place are uint32 tensors of one shape.

    Four neighbours draw the same four normals, and the compiler sees that where one thread holds them all.
    """
    zero = tl.zeros_like(place)
    w0, w1, w2, w3 = tl.philox(seed, chain, zero, zero + step, place >> 2)
    a, b = normal_pair(w0, w1)
    c, d = normal_pair(w2, w3)
    word = place & 3
    return tl.where(word == 0, a, tl.where(word == 1, b, tl.where(word == 2, c, d)))


@triton.jit
def _reflect(v, box):
    """Fold into [-box, box]; infinite boxes leave v alone."""
    period = 4.0 * box
    beyond = tl.abs(v) - box
    u = tl.where(beyond < period, beyond, beyond - tl.floor(beyond / period) * period)
    u = tl.where(u > 2.0 * box, u - 3.0 * box, box - u)
    u = tl.minimum(tl.maximum(u, -box), box)
    return tl.where(beyond > 0.0, tl.where(v < 0.0, -u, u), v)


@triton.jit
def _log_uniform(seed, chain, step, draw):
    zero = tl.zeros_like(chain)
    w0, _w1, _w2, _w3 = tl.philox(seed, chain, zero, zero + step, zero + draw)
    return tl.log((w0 >> 8).to(tl.float32) * 5.9604644775390625e-08 + 2.98023223876953125e-08)


@triton.jit(do_not_specialize=["steps", "first_step"])
def _polynomial_kernel(
    theta_ptr, beta_ptr, precision_ptr, box_ptr, coef_ptr, loss_ptr, accepted_ptr,
    chains, d, steps, first_step, eta, seed, draws,
    BOXED: tl.constexpr, MALA: tl.constexpr, CH: tl.constexpr, D: tl.constexpr,
):
    chain = tl.program_id(0) * CH + tl.arange(0, CH)
    i = tl.arange(0, D)
    live = chain < chains
    mask = live[:, None] & (i < d)[None, :]
    where = chain.to(tl.int64)[:, None] * d + i[None, :]
    theta = tl.load(theta_ptr + where, mask=mask, other=0.0)
    beta = tl.load(beta_ptr + chain, mask=live, other=1.0)
    precision = tl.load(precision_ptr + i, mask=i < d, other=0.0)[None, :] / beta[:, None]
    box = tl.load(box_ptr + i, mask=i < d, other=float("inf"))[None, :]
    c0 = tl.load(coef_ptr + 5 * i, mask=i < d, other=0.0)[None, :]
    c1 = tl.load(coef_ptr + 5 * i + 1, mask=i < d, other=0.0)[None, :]
    c2 = tl.load(coef_ptr + 5 * i + 2, mask=i < d, other=0.0)[None, :]
    c3 = tl.load(coef_ptr + 5 * i + 3, mask=i < d, other=0.0)[None, :]
    c4 = tl.load(coef_ptr + 5 * i + 4, mask=i < d, other=0.0)[None, :]
    scale = tl.sqrt(2.0 * eta / beta)[:, None]
    low = chain.to(tl.uint32)
    draw = (tl.arange(0, D // 4)[None, :] + tl.zeros([CH, D // 4], tl.int32)).to(tl.uint32)
    name = low[:, None] + tl.zeros_like(draw)
    accepted = tl.zeros([CH], tl.int32)
    grad = ((4.0 * c4 * theta + 3.0 * c3) * theta + 2.0 * c2) * theta + c1 + precision * theta
    loss = tl.sum((((c4 * theta + c3) * theta + c2) * theta + c1) * theta + c0, axis=1)
    energy = loss + 0.5 * tl.sum(precision * theta * theta, axis=1)
    for step in range(steps):
        xi = tl.reshape(_quads(seed, name, (low * 0)[:, None] + step + first_step, draw), (CH, D))
        noise = tl.where(mask, scale * xi, 0.0)
        new = theta - eta * grad + noise
        if BOXED and not MALA:
            new = _reflect(new, box)
        new_grad = ((4.0 * c4 * new + 3.0 * c3) * new + 2.0 * c2) * new + c1 + precision * new
        new_loss = tl.sum((((c4 * new + c3) * new + c2) * new + c1) * new + c0, axis=1)
        if MALA:
            new_energy = new_loss + 0.5 * tl.sum(precision * new * new, axis=1)
            back = theta - new + eta * new_grad
            ratio = -beta * (new_energy - energy) - beta / (4.0 * eta) * (
                tl.sum(back * back, axis=1) - tl.sum(noise * noise, axis=1))
            outside = tl.sum((tl.abs(new) > box).to(tl.int32), axis=1)
            take = (_log_uniform(seed, low, step + first_step, draws) < ratio) & (outside == 0)
            theta = tl.where(take[:, None], new, theta)
            grad = tl.where(take[:, None], new_grad, grad)
            loss = tl.where(take, new_loss, loss)
            energy = tl.where(take, new_energy, energy)
            accepted += take.to(tl.int32)
        else:
            theta = new
            grad = new_grad
            loss = new_loss
            accepted += 1
    tl.store(theta_ptr + where, theta, mask=mask)
    tl.store(loss_ptr + chain, loss, mask=live)
    tl.store(accepted_ptr + chain, accepted.to(tl.int64), mask=live)


@triton.jit
def _net_gradient(w1, w2, x_ptr, y_ptr, samples, d_in, K: tl.constexpr, LOSS: tl.constexpr):
    """Loss [CH] (0 unless LOSS) and gradients [K, H, CH], [H, CH] of the mean logistic loss."""
    k = tl.arange(0, K)
    g1 = tl.zeros_like(w1)
    g2 = tl.zeros_like(w2)
    loss = tl.sum(g2, axis=0)
    inverse = 1.0 / samples
    for s in range(samples):
        x = tl.load(x_ptr + s * d_in + k, mask=k < d_in, other=0.0)[:, None, None]
        y = tl.load(y_ptr + s)
        t = _tanh(tl.sum(w1 * x, axis=0))  # [H, CH]
        z = tl.sum(t * w2, axis=0)  # [CH]
        if LOSS:
            up = tl.maximum(z, 0.0)
            loss += (up + tl.log(1.0 + tl.exp(z - 2.0 * up)) - y * z) * inverse
        r = (1.0 / (1.0 + tl.exp(-z)) - y)[None, :]
        pull = r * t
        g2 += pull
        g1 += (r - pull * t)[None, :, :] * x  # r (1 - t * t) x; what is the same for all samples comes last
    return loss, g1 * (w2 * inverse)[None, :, :], g2 * inverse


@triton.jit(do_not_specialize=["steps", "first_step", "one"])
def _net_kernel(
    theta_ptr, beta_ptr, precision_ptr, box_ptr, x_ptr, y_ptr, loss_ptr, accepted_ptr,
    chains, samples, d_in, hidden, steps, first_step, eta, seed, draws, quads, one,
    BOXED: tl.constexpr, MALA: tl.constexpr,
    CH: tl.constexpr, H: tl.constexpr, K: tl.constexpr,
):
    # Chains lie along the lanes of a warp, and of up to four inputs a thread holds all of one neuron of one chain: the
    # sum over inputs asks no other thread, and no tanh is computed twice.
    chain = tl.program_id(0) * CH + tl.arange(0, CH)
    h = tl.arange(0, H)
    k = tl.arange(0, K)
    live = chain < chains
    real1 = (k < d_in)[:, None, None] & (h < hidden)[None, :, None]
    real2 = (h < hidden)[:, None]
    d = hidden * (d_in + 1)
    base = chain.to(tl.int64) * d
    at1 = k[:, None, None] * one + h[None, :, None] * d_in  # or the compiler lays inputs along the lanes
    at2 = (hidden * d_in + h)[:, None]
    mask1 = live[None, None, :] & real1
    mask2 = live[None, :] & real2
    w1 = tl.load(theta_ptr + base[None, None, :] + at1, mask=mask1, other=0.0)  # [K, H, CH]
    w2 = tl.load(theta_ptr + base[None, :] + at2, mask=mask2, other=0.0)  # [H, CH]
    beta = tl.load(beta_ptr + chain, mask=live, other=1.0)
    # For each chain, though they are the same for all: a smaller tensor would be laid out, and lay out all, otherwise.
    every = (chain * 0)[None, None, :]
    p1 = tl.load(precision_ptr + at1 + every, mask=real1 & (every == 0), other=0.0) / beta[None, None, :]
    p2 = tl.load(precision_ptr + at2 + (chain * 0)[None, :], mask=real2, other=0.0) / beta[None, :]
    box1 = tl.load(box_ptr + at1 + every, mask=real1 & (every == 0), other=float("inf"))
    box2 = tl.load(box_ptr + at2 + (chain * 0)[None, :], mask=real2, other=float("inf"))
    scale = tl.sqrt(2.0 * eta / beta)
    low = chain.to(tl.uint32)
    place1 = (k[:, None, None] + h[None, :, None] * (4 * quads) + tl.zeros([K, H, CH], tl.int32)).to(tl.uint32)
    place2 = (4 * hidden * quads + h[:, None] + tl.zeros([H, CH], tl.int32)).to(tl.uint32)
    name1 = low[None, None, :] + tl.zeros_like(place1)
    name2 = low[None, :] + tl.zeros_like(place2)
    accepted = tl.zeros([CH], tl.int32)
    loss, g1, g2 = _net_gradient(w1, w2, x_ptr, y_ptr, samples, d_in, K, MALA)
    g1 += p1 * w1
    g2 += p2 * w2
    energy = loss + 0.5 * (tl.sum(tl.sum(p1 * w1 * w1, axis=0), axis=0) + tl.sum(p2 * w2 * w2, axis=0))
    for step in range(steps):
        now = (low * 0) + step + first_step
        n1 = tl.where(real1, scale[None, None, :] * _normal(seed, name1, now[None, None, :], place1), 0.0)
        n2 = tl.where(real2, scale[None, :] * _normal(seed, name2, now[None, :], place2), 0.0)
        new1 = w1 - eta * g1 + n1
        new2 = w2 - eta * g2 + n2
        if BOXED and not MALA:
            new1 = _reflect(new1, box1)
            new2 = _reflect(new2, box2)
        new_loss, h1, h2 = _net_gradient(new1, new2, x_ptr, y_ptr, samples, d_in, K, MALA)
        h1 += p1 * new1
        h2 += p2 * new2
        if MALA:
            new_energy = new_loss + 0.5 * (
                tl.sum(tl.sum(p1 * new1 * new1, axis=0), axis=0)
                + tl.sum(p2 * new2 * new2, axis=0))
            b1 = w1 - new1 + eta * h1
            b2 = w2 - new2 + eta * h2
            gap = (tl.sum(tl.sum(b1 * b1 - n1 * n1, axis=0), axis=0)
                   + tl.sum(b2 * b2 - n2 * n2, axis=0))
            ratio = -beta * (new_energy - energy) - beta / (4.0 * eta) * gap
            outside = (tl.sum(tl.sum((tl.abs(new1) > box1).to(tl.int32), axis=0), axis=0)
                       + tl.sum((tl.abs(new2) > box2).to(tl.int32), axis=0))
            take = (_log_uniform(seed, low, step + first_step, draws) < ratio) & (outside == 0)
            w1 = tl.where(take[None, None, :], new1, w1)
            w2 = tl.where(take[None, :], new2, w2)
            g1 = tl.where(take[None, None, :], h1, g1)
            g2 = tl.where(take[None, :], h2, g2)
            loss = tl.where(take, new_loss, loss)
            energy = tl.where(take, new_energy, energy)
            accepted += take.to(tl.int32)
        else:
            w1, w2, g1, g2, loss = new1, new2, h1, h2, new_loss
            accepted += 1
    if not MALA:  # on the way nobody asks for it, and its logarithm and exponential a sample cost as much as a tanh
        loss, g1, g2 = _net_gradient(w1, w2, x_ptr, y_ptr, samples, d_in, K, True)
    tl.store(theta_ptr + base[None, None, :] + at1, w1, mask=mask1)
    tl.store(theta_ptr + base[None, :] + at2, w2, mask=mask2)
    tl.store(loss_ptr + chain, loss, mask=live)
    tl.store(accepted_ptr + chain, accepted.to(tl.int64), mask=live)


def _power(n):
    return max(4, triton.next_power_of_2(n))


def tile(kind, size):
    """Chains a program and its warps, for so many parameters after padding (of a network: of the first layer)."""
    if kind == "polynomial":
        return max(1, ELEMENTS // size), max(4, size // 128)
    ch = max(1, min(32, 32 * THREAD // size))
    return ch, max(1, size * ch // (32 * THREAD))


def run(theta, beta, precision, box, a, b, kind, hidden, eta, steps, metropolis, seed, first_step):
    """Same contract as reference.run, in float32, at most MOST parameters a chain after padding."""
    if theta.dtype != torch.float32:
        raise Unsupported(f"theta: the triton backend computes in float32, got {theta.dtype}")
    chains, d = theta.shape
    _, draws = columns_of(rows_of(kind, d, a.shape[1], hidden))
    size = _power(d) if kind == "polynomial" else _power(hidden) * _power(a.shape[1])
    if size > MOST:
        raise Unsupported(f"theta: the triton backend takes at most {MOST} parameters a chain "
                         f"after padding, got {size}")
    out = theta.clone(memory_format=torch.contiguous_format)
    loss = theta.new_empty((chains,))
    accepted = theta.new_empty((chains,), dtype=torch.int64)
    if not chains:
        return out, loss, accepted
    ch, warps = tile(kind, size)
    grid = (triton.cdiv(chains, ch),)
    common = {"BOXED": bool(torch.isfinite(box).any()), "MALA": metropolis, "CH": ch, "num_warps": warps,
              "enable_fp_fusion": True}
    shared = (out, beta.contiguous(), precision.contiguous(), box.contiguous())
    if kind == "polynomial":
        _polynomial_kernel[grid](
            *shared, a.contiguous(), loss, accepted, chains, d, steps, first_step, eta, seed,
            draws, D=size, **common)
    else:
        _net_kernel[grid](
            *shared, a.contiguous(), b.contiguous(), loss, accepted, chains, len(b), a.shape[1],
            hidden, steps, first_step, eta, seed, draws, -(-a.shape[1] // 4), 1,
            H=_power(hidden), K=_power(a.shape[1]), **common)
    return out, loss, accepted
