"""Langevin chains on the GPU: a program keeps CH chains, all their parameters and gradients, in
registers for the whole run; memory sees the start, the end, and the data."""

import torch
import triton
import triton.language as tl

from implicitly_kernels._dispatch import Unsupported
from implicitly_kernels._rng_triton import normal_pair
from implicitly_kernels.langevin.reference import columns_of, rows_of

ELEMENTS = 256  # parameters a program, of polynomials
THREAD = 20  # weights of the first layer a thread, of networks
INPUTS = 16  # of a neuron a thread
MOST = 2048  # parameters of one chain


@triton.jit
def _tanh(v):
    # where the exponential overflows, 1 is right
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
def _net_gradient(w, x_ptr, y_ptr, samples, k, D_IN: tl.constexpr, J: tl.constexpr, I: tl.constexpr,
                  KL: tl.constexpr, LOSS: tl.constexpr):
    """Loss [1, 1, CH] (0 unless LOSS) and gradient, tiles as of w, of the mean logistic loss."""
    g = ()
    for n in tl.static_range(J * I + J):
        g = g + (w[n] * 0.0,)
    loss = tl.sum(w[J * I] * 0.0, axis=1, keep_dims=True)
    inverse = 1.0 / samples
    for s in range(samples):
        x = ()
        for i in tl.static_range(I):
            if KL == 1:
                x = x + (tl.load(x_ptr + s * D_IN + i),)
            else:
                x = x + (tl.load(x_ptr + s * D_IN + k + i, mask=k + i < D_IN, other=0.0),)
        y = tl.load(y_ptr + s)
        t = ()
        out = w[J * I] * 0.0
        for j in tl.static_range(J):
            pre = w[j * I] * x[0]
            for i in tl.static_range(1, I):
                pre += w[j * I + i] * x[i]
            if KL > 1:
                pre = tl.sum(pre, axis=0, keep_dims=True)
            t = t + (_tanh(pre),)
            out += t[j] * w[J * I + j]
        z = tl.sum(out, axis=1, keep_dims=True)
        if LOSS:
            up = tl.maximum(z, 0.0)
            loss += (up + tl.log(1.0 + tl.exp(z - 2.0 * up)) - y * z) * inverse
        r = 1.0 / (1.0 + tl.exp(-z)) - y
        more = ()
        for j in tl.static_range(J):
            back = r - r * t[j] * t[j]  # r (1 - t * t); what is the same for all samples comes last
            for i in tl.static_range(I):
                more = more + (g[j * I + i] + back * x[i],)
        for j in tl.static_range(J):
            more = more + (g[J * I + j] + r * t[j],)
        g = more
    scaled = ()
    for j in tl.static_range(J):
        for i in tl.static_range(I):
            scaled = scaled + (g[j * I + i] * (w[J * I + j] * inverse),)
    for j in tl.static_range(J):
        scaled = scaled + (g[J * I + j] * inverse,)
    return loss, scaled


@triton.jit
def _net_normals(seed, name1, name2, step, p, k, D_IN: tl.constexpr, HIDDEN: tl.constexpr,
                 P: tl.constexpr, J: tl.constexpr, I: tl.constexpr):
    """A normal for each weight of each tile."""
    QUADS: tl.constexpr = (D_IN + 3) // 4
    xi = ()
    for j in tl.static_range(J):
        for q in tl.static_range((I + 3) // 4):
            draw = ((p + j * P) * QUADS + (k >> 2) + q).to(tl.uint32)
            zero = tl.zeros_like(draw)
            w0, w1, w2, w3 = tl.philox(seed, name1, zero, zero + step, draw)
            four = normal_pair(w0, w1) + normal_pair(w2, w3)
            for i in tl.static_range(4):
                if 4 * q + i < I:
                    xi = xi + (four[i],)
    for j in tl.static_range(J):
        place = (p + j * P).to(tl.uint32)
        zero = tl.zeros_like(place)
        w0, w1, w2, w3 = tl.philox(seed, name2, zero, zero + step, (place >> 2) + HIDDEN * QUADS)
        # Neighbours draw the same four; where one thread holds several, the compiler sees it.
        late = (place & 2) != 0
        a, b = normal_pair(tl.where(late, w2, w0), tl.where(late, w3, w1))
        xi = xi + (tl.where((place & 1) == 0, a, b),)
    return xi


@triton.jit
def _total(tiles, J: tl.constexpr, I: tl.constexpr):
    """The sum over all parameters of a chain, [1, 1, CH]."""
    first = tiles[0]
    for n in tl.static_range(1, J * I):
        first += tiles[n]
    last = tiles[J * I]
    for n in tl.static_range(J * I + 1, J * I + J):
        last += tiles[n]
    return (tl.sum(tl.sum(first, axis=0, keep_dims=True), axis=1, keep_dims=True)
            + tl.sum(last, axis=1, keep_dims=True))


@triton.jit
def _with_prior(w, g, at, real, precision_ptr, per_beta, J: tl.constexpr, I: tl.constexpr):
    """The gradient with the prior's pull, and the prior's energy [1, 1, CH]."""
    pulled = ()
    energy = ()
    for n in tl.static_range(J * I + J):
        # volatile: or the compiler loads them once, and holds them in registers for the whole run
        pull = tl.load(precision_ptr + at[n], mask=real[n], other=0.0, volatile=True) * per_beta * w[n]
        pulled = pulled + (g[n] + pull,)
        energy = energy + (0.5 * pull * w[n],)
    return pulled, _total(energy, J, I)


@triton.jit(do_not_specialize=["steps", "first_step"])
def _net_kernel(
    theta_ptr, beta_ptr, precision_ptr, box_ptr, x_ptr, y_ptr, loss_ptr, accepted_ptr,
    chains, samples, steps, first_step, eta, seed,
    BOXED: tl.constexpr, MALA: tl.constexpr, D_IN: tl.constexpr, HIDDEN: tl.constexpr,
    CH: tl.constexpr, P: tl.constexpr, KL: tl.constexpr, I: tl.constexpr,
):
    # Chains lie along the lanes of a warp, beside them P neurons, and KL parts of the inputs where there are many. A
    # thread holds I inputs of every P-th neuron, J in all, each in a tile of its own: what it sums over them asks no
    # other thread. A chain is J * I tiles [KL, P, CH] of the first layer, then J tiles [1, P, CH] of the last.
    J: tl.constexpr = (HIDDEN + P - 1) // P
    N: tl.constexpr = J * I + J
    chain = tl.program_id(0) * CH + tl.arange(0, CH)[None, None, :]
    p = tl.arange(0, P)[None, :, None] + chain * 0  # for each chain, though the same for all: one layout for everything
    k = tl.arange(0, KL)[:, None, None] * I + p * 0
    live = chain < chains
    at = ()
    real = ()
    for j in tl.static_range(J):
        for i in tl.static_range(I):
            at = at + ((p + j * P) * D_IN + k + i,)
            real = real + ((p + j * P < HIDDEN) & (k + i < D_IN),)
    for j in tl.static_range(J):
        at = at + (HIDDEN * D_IN + p + j * P,)
        real = real + (p + j * P < HIDDEN,)
    theta_ptr += chain.to(tl.int64) * (HIDDEN * (D_IN + 1))
    beta = tl.load(beta_ptr + chain, mask=live, other=1.0)
    per_beta = 1.0 / beta
    scale = tl.sqrt(2.0 * eta / beta)
    low = chain.to(tl.uint32)
    name1 = low + (k * 0).to(tl.uint32)
    name2 = low + (p * 0).to(tl.uint32)
    accepted = tl.zeros([1, 1, CH], tl.int32)
    w = ()
    for n in tl.static_range(N):
        w = w + (tl.load(theta_ptr + at[n], mask=live & real[n], other=0.0),)
    loss, g = _net_gradient(w, x_ptr, y_ptr, samples, k, D_IN, J, I, KL, MALA)
    g, energy = _with_prior(w, g, at, real, precision_ptr, per_beta, J, I)
    energy += loss
    for step in range(steps):
        xi = _net_normals(seed, name1, name2, step + first_step, p, k, D_IN, HIDDEN, P, J, I)
        new = ()
        gap = ()
        outside = ()
        for n in tl.static_range(N):
            noise = tl.where(real[n], scale * xi[n], 0.0)
            moved = w[n] - eta * g[n] + noise
            if BOXED:
                box = tl.load(box_ptr + at[n], mask=real[n], other=float("inf"), volatile=True)
                if MALA:
                    outside = outside + ((tl.abs(moved) > box).to(tl.int32),)
                else:
                    moved = _reflect(moved, box)
            new = new + (moved,)
            gap = gap + (-noise * noise,)
        new_loss, h = _net_gradient(new, x_ptr, y_ptr, samples, k, D_IN, J, I, KL, MALA)
        h, new_energy = _with_prior(new, h, at, real, precision_ptr, per_beta, J, I)
        if MALA:
            new_energy += new_loss
            both = ()
            for n in tl.static_range(N):
                back = w[n] - new[n] + eta * h[n]
                both = both + (gap[n] + back * back,)
            ratio = -beta * (new_energy - energy) - beta / (4.0 * eta) * _total(both, J, I)
            DRAWS: tl.constexpr = HIDDEN * ((D_IN + 3) // 4) + (HIDDEN + 3) // 4
            take = _log_uniform(seed, low, step + first_step, DRAWS) < ratio
            if BOXED:
                take = take & (_total(outside, J, I) == 0)
            kept = ()
            slope = ()
            for n in tl.static_range(N):
                kept = kept + (tl.where(take, new[n], w[n]),)
                slope = slope + (tl.where(take, h[n], g[n]),)
            w = kept
            g = slope
            loss = tl.where(take, new_loss, loss)
            energy = tl.where(take, new_energy, energy)
            accepted += take.to(tl.int32)
        else:
            w = new
            g = h
            accepted += 1
    if not MALA:  # on the way nobody asks for it, and its logarithm and exponential a sample cost as much as a tanh
        loss, g = _net_gradient(w, x_ptr, y_ptr, samples, k, D_IN, J, I, KL, True)
    for n in tl.static_range(N):
        tl.store(theta_ptr + at[n], w[n], mask=live & real[n])
    tl.store(loss_ptr + chain, loss, mask=live)
    tl.store(accepted_ptr + chain, accepted.to(tl.int64), mask=live)


def polynomial_tile(d):
    """Sizes of a polynomial's program, and its warps."""
    size = max(4, triton.next_power_of_2(d))
    return {"D": size, "CH": max(1, ELEMENTS // size), "num_warps": max(4, size // 128)}


def net_tile(d_in, hidden):
    """Sizes of a network's program, and its warps: of the weights of the first layer a thread holds at most THREAD."""
    lanes = triton.next_power_of_2(triton.cdiv(d_in, INPUTS))
    inputs = d_in if lanes == 1 else 4 * triton.cdiv(d_in, 4 * lanes)  # whole draws of four normals
    neurons = triton.next_power_of_2(triton.cdiv(hidden, max(1, THREAD // inputs)))
    chains = max(1, 32 // (lanes * neurons))
    return {"D_IN": d_in, "HIDDEN": hidden, "CH": chains, "P": neurons, "KL": lanes, "I": inputs,
            "num_warps": max(1, lanes * neurons * chains // 32)}


def run(theta, beta, precision, box, a, b, kind, hidden, eta, steps, metropolis, seed, first_step):
    """Same contract as reference.run, in float32; a chain holds at most MOST parameters, after padding."""
    if theta.dtype != torch.float32:
        raise Unsupported(f"theta: the triton backend computes in float32, got {theta.dtype}")
    chains, d = theta.shape
    if kind == "polynomial":
        sizes = polynomial_tile(d)
        padded = sizes["D"]
    else:
        sizes = net_tile(a.shape[1], hidden)
        padded = sizes["KL"] * sizes["I"] * sizes["P"] * triton.cdiv(hidden, sizes["P"])
    if padded > MOST:
        raise Unsupported(f"theta: the triton backend takes at most {MOST} parameters a chain "
                         f"after padding, got {padded}")
    out = theta.clone(memory_format=torch.contiguous_format)
    loss = theta.new_empty((chains,))
    accepted = theta.new_empty((chains,), dtype=torch.int64)
    if not chains:
        return out, loss, accepted
    grid = (triton.cdiv(chains, sizes["CH"]),)
    common = {"BOXED": bool(torch.isfinite(box).any()), "MALA": metropolis, "enable_fp_fusion": True, **sizes}
    shared = (out, beta.contiguous(), precision.contiguous(), box.contiguous())
    if kind == "polynomial":
        _polynomial_kernel[grid](
            *shared, a.contiguous(), loss, accepted, chains, d, steps, first_step, eta, seed,
            columns_of(rows_of(kind, d, 0, 0))[1], **common)
    else:
        _net_kernel[grid](
            *shared, a.contiguous(), b.contiguous(), loss, accepted, chains, len(b), steps, first_step, eta, seed,
            **common)
    return out, loss, accepted
