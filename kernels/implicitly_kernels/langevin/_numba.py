"""Langevin chains on the CPU: WIDTH chains side by side, one to a lane of a vector, all their steps in cache."""

import numba
import numpy as np
import torch

from implicitly_kernels import _threads
from implicitly_kernels._dispatch import Unsupported
from implicitly_kernels._jit import cached_njit
from implicitly_kernels._rng_numba import F32, U32, U64, exp, log, normal_pair, philox
from implicitly_kernels._vector import (
    WIDTH,
    floor,
    load,
    magnitude,
    number,
    numbered,
    root,
    spread,
    store,
    where,
)
from implicitly_kernels.langevin.reference import columns_of, rows_of

SAMPLES = 32  # of a network at a time, so that all their tanh stay in cache
V = U64(WIDTH)  # offsets: numba would look at each signed one, whether it is negative
jit = cached_njit(nogil=True, boundscheck=False, error_model="numpy",
                 fastmath={"contract", "nsz"})


@numba.njit(inline="always")
def _tanh(v):
    """tanh of float32 to 3e-7, NaN for NaN: an odd rational minimax of degrees 13 and 6, with Eigen's coefficients."""
    v = where(v < F32(-7.9), F32(-7.9), v)
    v = where(v > F32(7.9), F32(7.9), v)
    z = v * v
    p = z * F32(-2.76076847742355e-16) + F32(2.00018790482477e-13)
    p = p * z + F32(-8.60467152213735e-11)
    p = p * z + F32(5.12229709037114e-08)
    p = p * z + F32(1.48572235717979e-05)
    p = p * z + F32(6.37261928875436e-04)
    p = p * z + F32(4.89352455891786e-03)
    q = z * F32(1.19825839466702e-06) + F32(1.18534705686654e-04)
    q = q * z + F32(2.26843463243900e-03)
    q = q * z + F32(4.89352518554385e-03)
    return v * p / q


@numba.njit(inline="always")
def _gain(grad, at, more):
    store(grad, at, load(grad, at) + more)


@jit
def _net(theta, x, y, hidden, with_loss, grad, t, r):
    """Gradient of the mean logistic loss of WIDTH tanh networks into grad, and the loss, or 0, into its last row.

    theta, grad: ((rows + 1) * WIDTH,), parameters as [row][lane]. x: (N * q,), q a multiple of four. t: (hidden *
    SAMPLES * WIDTH,) and r: (SAMPLES * WIDTH,), scratch: tanh, and the outputs, then the loss's slope in them.
    """
    q = x.size // y.size
    inverse = F32(1) / F32(y.size)
    top = U64(hidden * q) * V
    grad[:] = 0
    loss = spread(F32(0))
    for first in range(0, y.size, SAMPLES):
        n = min(SAMPLES, y.size - first)
        for h in range(hidden):
            w = load(theta, top + U64(h) * V)
            for k in range(0, q, 4):
                at = U64(h * q + k) * V
                w0, w1 = load(theta, at), load(theta, at + V)
                w2, w3 = load(theta, at + U64(2) * V), load(theta, at + U64(3) * V)
                for s in range(n):
                    i, o = U64((first + s) * q + k), U64(s) * V
                    to = U64(h * SAMPLES) * V + o
                    pre = w0 * x[i] + w1 * x[i + U64(1)] + w2 * x[i + U64(2)] + w3 * x[i + U64(3)]
                    if k > 0:
                        pre = pre + load(t, to)
                    if k + 4 == q:
                        pre = _tanh(pre)
                        store(r, o, w * pre if h == 0 else load(r, o) + w * pre)
                    store(t, to, pre)
        for s in range(n):
            o = U64(s) * V
            z, label = load(r, o), y[first + s]
            if with_loss:
                up = where(z > F32(0), z, F32(0))
                loss = loss + (up + log(F32(1) + exp(z - up - up)) - label * z) * inverse
            store(r, o, (F32(1) / (F32(1) + exp(-z)) - label) * inverse)
        for h in range(hidden):
            w = load(theta, top + U64(h) * V)
            for k in range(0, q, 4):
                g = spread(F32(0))
                g0, g1, g2, g3 = g, g, g, g
                for s in range(n):
                    i, o = U64((first + s) * q + k), U64(s) * V
                    pull, out = load(r, o), load(t, U64(h * SAMPLES) * V + o)
                    c = pull * out
                    g = g + c
                    c = pull - c * out
                    g0 = g0 + c * x[i]
                    g1 = g1 + c * x[i + U64(1)]
                    g2 = g2 + c * x[i + U64(2)]
                    g3 = g3 + c * x[i + U64(3)]
                at = U64(h * q + k) * V
                _gain(grad, at, w * g0)
                _gain(grad, at + V, w * g1)
                _gain(grad, at + U64(2) * V, w * g2)
                _gain(grad, at + U64(3) * V, w * g3)
                if k == 0:
                    _gain(grad, top + U64(h) * V, g)
    store(grad, U64(grad.size) - V, loss)


@jit
def _polynomial(theta, coef, grad):
    """The same for a polynomial; coef (5 * d,)."""
    loss = spread(F32(0))
    for i in range(coef.size // 5):
        c = U64(5 * i)
        v = load(theta, U64(i) * V)
        c0, c1, c2, c3, c4 = coef[c], coef[c + U64(1)], coef[c + U64(2)], coef[c + U64(3)], coef[c + U64(4)]
        loss = loss + ((((v * c4 + c3) * v + c2) * v + c1) * v + c0)
        store(grad, U64(i) * V, ((v * (F32(4) * c4) + F32(3) * c3) * v + F32(2) * c2) * v + c1)
    store(grad, U64(grad.size) - V, loss)


@numba.njit(inline="always")
def _reflect(z, box):
    """As reference.reflect: what is inside stays, to the last bit."""
    period = F32(4) * box
    beyond = magnitude(z) - box
    # Nor 0 times infinity, where 4 box overflows.
    y = where(beyond < period, beyond, beyond - floor(beyond * (F32(1) / period)) * period)
    v = where(y <= F32(2) * box, box - y, y - F32(3) * box)
    # The last rounding may leave the box by one unit in the last place.
    v = where(v > box, box, v)
    v = where(v < -box, -box, v)
    return where(beyond <= F32(0), z, where(z < F32(0), -v, v))


@jit
def _run(theta_all, beta, precision, box, live, x, y, net, hidden, eta, steps, metropolis, boxed,
         k0, k1, first_step, loss_all, accepted_all, start, stop, begin, end, kept, level, taken):
    """Steps begin..end-1 of the vectors start..stop-1 of chains.

    theta_all: (vectors, rows * WIDTH). kept (2, (rows + 1) * WIDTH), level (2, WIDTH), taken (WIDTH,): parameters and
    gradients, losses and energies, and the accepted steps of the last vector, when only some of its steps are taken.
    """
    rows = precision.size
    theta, grad = kept[0], kept[1]  # the last row of the gradient is the loss
    new, grad_new, noise = (np.zeros(theta.size, np.float32), np.zeros(theta.size, np.float32),
                            np.zeros(theta.size, np.float32))
    t, r = np.zeros(hidden * SAMPLES * WIDTH, np.float32), np.zeros(SAMPLES * WIDTH, np.float32)
    last_row = U64(rows) * V
    nothing = spread(F32(0))
    for vector in range(start, stop):
        chain = vector * WIDTH
        lanes = numbered(U32(chain))
        many = min(WIDTH, loss_all.size - chain)
        b = load(beta, U64(chain))
        inverse_beta, scale = F32(1) / b, root(F32(2) * eta / b)
        if begin == 0:
            theta[:last_row] = theta_all[vector]
            level[:] = 0
            taken[:] = 0
        loss, energy, accepted = load(level[0], U64(0)), load(level[1], U64(0)), load(taken, U64(0))
        for step in range(begin if begin else -1, end):  # the first time only for the gradient
            told = metropolis or step == steps - 1
            back, forth = nothing, nothing
            inside = back <= forth
            now = spread(U32(first_step + step))
            if step >= 0:
                for draw in range(rows // 4):
                    p0, p1, p2, p3 = philox(k0, k1, lanes, spread(U32(0)), now, spread(U32(draw)))
                    at = U64(4 * draw) * V
                    n0, n1 = normal_pair(p0, p1)
                    n2, n3 = normal_pair(p2, p3)
                    store(noise, at, n0)
                    store(noise, at + V, n1)
                    store(noise, at + U64(2) * V, n2)
                    store(noise, at + U64(3) * V, n3)
                for i in range(rows):
                    at = U64(i) * V
                    if live[i]:
                        moved = load(theta, at) - eta * load(grad, at) + scale * load(noise, at)
                        if boxed and box[i] < F32(np.inf):
                            if metropolis:
                                inside = inside & (magnitude(moved) <= box[i])
                            else:
                                moved = _reflect(moved, box[i])
                        store(new, at, moved)
            else:
                new[:] = theta
            if net:
                _net(new, x, y, hidden, told, grad_new, t, r)
            else:
                _polynomial(new, x, grad_new)
            loss_new = load(grad_new, last_row)
            energy_new = loss_new
            for i in range(rows):
                if precision[i] != F32(0):
                    at = U64(i) * V
                    v = load(new, at)
                    pull = precision[i] * inverse_beta * v
                    store(grad_new, at, load(grad_new, at) + pull)
                    energy_new = energy_new + F32(0.5) * pull * v
            if step >= 0 and metropolis:
                for i in range(rows):
                    if live[i]:
                        at = U64(i) * V
                        v = load(theta, at) - load(new, at) + eta * load(grad_new, at)
                        back = back + v * v
                        w = scale * load(noise, at)
                        forth = forth + w * w
                ratio = -b * (energy_new - energy) - b / (F32(4) * eta) * (back - forth)
                p0, p1, p2, p3 = philox(k0, k1, lanes, spread(U32(0)), now, spread(U32(rows // 4)))
                take = (log(number(p0 >> U32(8)) * F32(2.0**-24) + F32(2.0**-25)) < ratio) & inside
                for i in range(rows):
                    at = U64(i) * V
                    store(theta, at, where(take, load(new, at), load(theta, at)))
                    store(grad, at, where(take, load(grad_new, at), load(grad, at)))
                loss, energy = where(take, loss_new, loss), where(take, energy_new, energy)
                accepted = where(take, accepted + U32(1), accepted)
            else:
                theta, new = new, theta
                grad, grad_new = grad_new, grad
                loss, energy = loss_new, energy_new
                if step >= 0:
                    accepted = accepted + U32(1)
        store(level[0], U64(0), loss)
        store(level[1], U64(0), energy)
        store(taken, U64(0), accepted)
        if end == steps:
            theta_all[vector] = theta[:last_row]
            loss_all[chain:chain + many] = level[0, :many]
            accepted_all[chain:chain + many] = taken[:many]
    kept[0] = theta  # which may have changed places
    kept[1] = grad


def run(theta, beta, precision, box, a, b, kind, hidden, eta, steps, metropolis, seed, first_step, boxed=True):
    """Same contract as reference.run, in float32; threads share the chains."""
    if theta.dtype != torch.float32:
        raise Unsupported(f"theta: the numba backend computes in float32, got {theta.dtype}")
    columns, draws = columns_of(rows_of(kind, theta.shape[1], a.shape[1], hidden))
    chains, rows = theta.shape[0], 4 * draws
    vectors = -(-chains // WIDTH)

    def padded(v, fill):
        out = torch.full((rows,), fill, dtype=torch.float32)
        out[columns] = v
        return out.numpy()

    state = torch.zeros(vectors * WIDTH, rows, dtype=torch.float32)
    state[:chains, columns] = theta
    state = state.unflatten(0, (vectors, WIDTH)).mT.flatten(1).contiguous()
    every_beta = torch.ones(vectors * WIDTH, dtype=torch.float32)
    every_beta[:chains] = beta
    live = np.zeros(rows, np.bool_)
    live[columns.numpy()] = True
    loss = np.full(chains, np.nan, np.float32)
    accepted = np.zeros(chains, np.int64)
    net = kind == "net"
    data = torch.nn.functional.pad(a, (0, -a.shape[1] % 4)) if net else a
    given = (
        state.numpy(), every_beta.numpy(), padded(precision, 0.0), padded(box, float("inf")), live,
        data.reshape(-1).contiguous().numpy(), b.contiguous().numpy(), net, hidden, np.float32(eta), steps, metropolis,
        boxed, np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32), first_step, loss, accepted,
    )
    def part(first, last, begin, end, kept):
        _run(*given, first, last, begin, end, *kept)

    def scratch():
        return (np.zeros((2, (rows + 1) * WIDTH), np.float32), np.zeros((2, WIDTH), np.float32),
                np.zeros(WIDTH, np.uint32))

    work = WIDTH * (60 * rows + (len(a) * (4 * rows + 40 * hidden) if net else 0))
    _threads.share(part, vectors, steps, work, scratch)
    state = state.unflatten(1, (rows, WIDTH)).mT.flatten(0, 1)
    return state[:chains, columns].contiguous(), torch.from_numpy(loss), torch.from_numpy(accepted)
