"""Langevin chains on the GPU: a program keeps CH chains, all their parameters and gradients, in
registers for the whole run; memory sees the start, the end, and the data."""

import torch
import triton
import triton.language as tl

from implicitly_kernels._dispatch import Unsupported
from implicitly_kernels._rng_triton import normal_pair
from implicitly_kernels.langevin.reference import columns_of, rows_of

ELEMENTS = 256  # parameters a program, of polynomials
# Of networks. More weights a thread mean fewer instructions (20: a third) and a compilation that takes longer (three
# times): Triton looks from each load and store at all that hangs together with it.
THREAD = 12  # weights of the first layer a thread, if they are of more than one neuron
INPUTS = 16  # of one neuron a thread
# A thread's, without a Metropolis correction and with one, which holds two states: room for four warps and for three on
# each quarter of a processor. Left alone, the compiler takes a few more.
REGISTERS = 128, 168
MOST = 2048  # parameters of one chain


@triton.jit
def _tanh(v):
    return 1.0 - 2.0 / (tl.exp(2.0 * v) + 1.0)  # where the exponential overflows, 1 is right


@triton.jit
def _four(seed, chain, step, draw):
    """Four normals for each address; chain and draw are uint32 tensors of one shape."""
    zero = tl.zeros_like(draw)
    w0, w1, w2, w3 = tl.philox(seed, chain, zero, zero + step, draw)
    a, b = normal_pair(w0, w1)
    c, d = normal_pair(w2, w3)
    return a, b, c, d


@triton.jit
def _quads(seed, chain, step, draw):
    """The same, along two last dimensions of two."""
    a, b, c, d = _four(seed, chain, step, draw)
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
def _net_loss(w, x_ptr, y_ptr, samples, k, D_IN: tl.constexpr, J: tl.constexpr, I: tl.constexpr, KL: tl.constexpr,
              LOSS: tl.constexpr, SLOPE: tl.constexpr):
    """Mean logistic loss [1, 1, CH] (0 unless LOSS) and its gradient, tiles as those of w (0 unless SLOPE)."""
    nothing = w[J * I] * 0.0
    g = (w[0] * 0.0,) * (J * I) + (nothing,) * J
    loss = tl.sum(nothing, axis=1, keep_dims=True)
    inverse = 1.0 / samples
    for s in range(samples):
        x = ()
        for i in tl.static_range(I):
            if KL == 1:
                x += (tl.load(x_ptr + s * D_IN + i),)
            else:
                x += (tl.load(x_ptr + s * D_IN + k + i, mask=k + i < D_IN, other=0.0),)
        y = tl.load(y_ptr + s)
        t = ()
        out = nothing
        for j in tl.static_range(J):
            pre = w[j * I] * x[0]  # type: ignore[misc]  # the tuple has grown
            for i in tl.static_range(1, I):
                pre += w[j * I + i] * x[i]
            if KL > 1:
                pre = tl.sum(pre, axis=0, keep_dims=True)
            t += (_tanh(pre),)
            out += t[j] * w[J * I + j]
        z = tl.sum(out, axis=1, keep_dims=True)
        if LOSS:
            up = tl.maximum(z, 0.0)
            loss += (up + tl.log(1.0 + tl.exp(z - 2.0 * up)) - y * z) * inverse
        if SLOPE:
            r = 1.0 / (1.0 + tl.exp(-z)) - y
            first = ()
            last = ()
            for j in tl.static_range(J):
                pull = r * t[j]
                last += (g[J * I + j] + pull,)
                back = r - pull * t[j]  # r (1 - t * t); what is the same for all samples comes last
                for i in tl.static_range(I):
                    first += (g[j * I + i] + back * x[i],)
            g = first + last
    first = ()
    last = ()
    for j in tl.static_range(J):
        last += (g[J * I + j] * inverse,)
        for i in tl.static_range(I):
            first += (g[j * I + i] * (w[J * I + j] * inverse),)
    return loss, first + last


@triton.jit
def _net_normals(seed, chain, step, p, k, D_IN: tl.constexpr, HIDDEN: tl.constexpr, P: tl.constexpr, J: tl.constexpr,
                 I: tl.constexpr):
    """A normal for each parameter, tiles as those of a chain."""
    QUADS: tl.constexpr = (D_IN + 3) // 4
    row = (p * QUADS + k // 4).to(tl.uint32)
    xi = ()
    for j in tl.static_range(J):
        for q in tl.static_range((I + 3) // 4):
            four = _four(seed, chain + tl.zeros_like(row), step, row + (j * P * QUADS + q))
            for i in tl.static_range(4):
                if 4 * q + i < I:
                    xi += (four[i],)
    for j in tl.static_range(J):
        place = (p + j * P).to(tl.uint32)
        # The tiles of a thread that lie in one draw ask for it several times; the compiler asks once.
        a, b, c, d = _four(seed, chain + tl.zeros_like(place), step, (place >> 2) + HIDDEN * QUADS)
        word = place & 3
        xi += (tl.where(word == 0, a, tl.where(word == 1, b, tl.where(word == 2, c, d))),)
    return xi


@triton.jit
def _total(first, last):
    """The sum over the parameters of a chain, [1, 1, CH]."""
    return (tl.sum(tl.sum(first, axis=0, keep_dims=True), axis=1, keep_dims=True)
            + tl.sum(last, axis=1, keep_dims=True))


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
    DRAWS: tl.constexpr = HIDDEN * ((D_IN + 3) // 4) + (HIDDEN + 3) // 4
    chain = tl.program_id(0) * CH + tl.arange(0, CH)[None, None, :]
    p = tl.arange(0, P)[None, :, None] + chain * 0  # for each chain, though the same for all: one layout for everything
    k = tl.arange(0, KL)[:, None, None] * I + p * 0
    live = chain < chains
    at = ()
    real = ()
    for j in tl.static_range(J):
        for i in tl.static_range(I):
            at += (p * D_IN + k + (j * P * D_IN + i),)
            real += ((p < HIDDEN - j * P) & (k < D_IN - i),)
    for j in tl.static_range(J):
        at += (p + (HIDDEN * D_IN + j * P),)
        real += (p < HIDDEN - j * P,)
    theta_ptr += chain.to(tl.int64) * (HIDDEN * (D_IN + 1))
    beta = tl.load(beta_ptr + chain, mask=live, other=1.0)
    per_beta = 1.0 / beta
    scale = tl.sqrt(2.0 * eta / beta)
    low = chain.to(tl.uint32)
    new = ()
    for n in tl.static_range(N):
        new += (tl.load(theta_ptr + at[n], mask=live & real[n], other=0.0),)
    w = new
    g = (k * 0.0,) * (J * I) + (p * 0.0,) * J
    loss = chain * 0.0
    energy = loss
    length = loss  # squared, of the last noise
    accepted = chain * 0 - 1  # the start is judged as well, and taken
    # A proposal is made at the end of a pass and judged in the next, so that there is one gradient in the code.
    for step in range(steps + MALA):
        new_loss, h = _net_loss(new, x_ptr, y_ptr, samples, k, D_IN, J, I, KL, MALA, True)
        slope = ()
        pull1 = k * 0.0
        pull2 = p * 0.0
        back1 = k * 0.0
        back2 = p * 0.0
        for n in tl.static_range(N):
            # volatile: or the compiler loads it once, and holds all of them in registers for the whole run
            precision = tl.load(precision_ptr + at[n], mask=real[n], other=0.0, volatile=True)
            pull = precision * per_beta * new[n]
            slope += (h[n] + pull,)
            if MALA:
                back = w[n] - new[n] + eta * slope[n]
                if n < J * I:
                    pull1 += pull * new[n]
                    back1 += back * back
                else:
                    pull2 += pull * new[n]
                    back2 += back * back
        if MALA:
            new_energy = new_loss + 0.5 * _total(pull1, pull2)
            ratio = -beta * (new_energy - energy) - beta / (4.0 * eta) * (_total(back1, back2) - length)
            take = _log_uniform(seed, low, step + first_step - 1, DRAWS) < ratio
            if BOXED:
                outside1 = k * 0
                outside2 = p * 0
                for n in tl.static_range(N):
                    box = tl.load(box_ptr + at[n], mask=real[n], other=float("inf"), volatile=True)
                    if n < J * I:
                        outside1 += (tl.abs(new[n]) > box).to(tl.int32)
                    else:
                        outside2 += (tl.abs(new[n]) > box).to(tl.int32)
                take = take & (_total(outside1, outside2) == 0)
            take = take | (step == 0)
            kept = ()
            held = ()
            for n in tl.static_range(N):
                kept += (tl.where(take, new[n], w[n]),)
                held += (tl.where(take, slope[n], g[n]),)
            w = kept
            g = held
            loss = tl.where(take, new_loss, loss)
            energy = tl.where(take, new_energy, energy)
            accepted += take.to(tl.int32)
        else:
            w = new
            g = slope
        xi = _net_normals(seed, low, step + first_step, p, k, D_IN, HIDDEN, P, J, I)
        new = ()
        square1 = k * 0.0
        square2 = p * 0.0
        for n in tl.static_range(N):
            noise = tl.where(real[n], scale * xi[n], 0.0)
            moved = w[n] - eta * g[n] + noise
            if BOXED and not MALA:
                box = tl.load(box_ptr + at[n], mask=real[n], other=float("inf"), volatile=True)
                moved = _reflect(moved, box)
            new += (moved,)
            if n < J * I:
                square1 += noise * noise
            else:
                square2 += noise * noise
        if MALA:
            length = _total(square1, square2)
    if not MALA:
        w = new
        # on the way nobody asks for it, and its logarithm and exponential a sample cost as much as a tanh
        loss, g = _net_loss(w, x_ptr, y_ptr, samples, k, D_IN, J, I, KL, True, False)
        accepted = chain * 0 + steps
    for n in tl.static_range(N):
        tl.store(theta_ptr + at[n], w[n], mask=live & real[n])
    tl.store(loss_ptr + chain, loss, mask=live)
    tl.store(accepted_ptr + chain, accepted.to(tl.int64), mask=live)


def polynomial_tile(d):
    """Sizes of a polynomial's program, and its warps."""
    size = max(4, triton.next_power_of_2(d))
    return {"D": size, "CH": max(1, ELEMENTS // size), "num_warps": max(4, size // 128)}


def net_tile(d_in, hidden, metropolis):
    """Sizes of a network's program, and its warps: see the constants above."""
    lanes = triton.next_power_of_2(triton.cdiv(d_in, INPUTS))
    inputs = d_in if lanes == 1 else 4 * triton.cdiv(d_in, 4 * lanes)  # whole draws of four normals
    neurons = triton.next_power_of_2(triton.cdiv(hidden, max(1, THREAD // inputs)))
    chains = max(1, 32 // (lanes * neurons))
    return {"D_IN": d_in, "HIDDEN": hidden, "CH": chains, "P": neurons, "KL": lanes, "I": inputs,
            "num_warps": max(1, lanes * neurons * chains // 32), "maxnreg": REGISTERS[metropolis]}


def run(theta, beta, precision, box, a, b, kind, hidden, eta, steps, metropolis, seed, first_step, boxed=True):
    """Same contract as reference.run, in float32; a chain holds at most MOST parameters, after padding."""
    if theta.dtype != torch.float32:
        raise Unsupported(f"theta: the triton backend computes in float32, got {theta.dtype}")
    chains, d = theta.shape
    if kind == "polynomial":
        sizes = polynomial_tile(d)
        padded = sizes["D"]
    else:
        sizes = net_tile(a.shape[1], hidden, metropolis)
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
    common = {"BOXED": boxed, "MALA": metropolis, "enable_fp_fusion": True, **sizes}
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
