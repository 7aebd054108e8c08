"""Langevin chains on the CPU: LANES chains side by side, parameters as [row][lane], own exp and log.

A library transcendental in a lane loop would stop it from using vectors. Where there are few chains, a network's
samples lie side by side instead, one chain after the other.
"""

import numpy as np
import torch

from implicitly_kernels import _threads
from implicitly_kernels._dispatch import Unsupported
from implicitly_kernels._jit import cached_njit
from implicitly_kernels._rng_numba import F32, U32, exp, log, normal_pair, philox
from implicitly_kernels.langevin.reference import columns_of, rows_of

LANES = 256
FEW = 32  # chains: up to here the samples of a network lie side by side
jit = cached_njit(nogil=True, boundscheck=False, error_model="numpy",
                 fastmath={"contract", "nsz"})


@jit
def _words(k0, k1, first, step, draw, planes):
    w0, w1, w2, w3 = planes[0], planes[1], planes[2], planes[3]
    for l in range(w0.size):
        a, b, c, d = philox(k0, k1, U32(first + U32(l)), U32(0), step, draw)
        w0[l] = a
        w1[l] = b
        w2[l] = c
        w3[l] = d


@jit
def _normals(word_a, word_b, out_a, out_b):
    for l in range(out_a.size):
        out_a[l], out_b[l] = normal_pair(word_a[l], word_b[l])


@jit
def _uniform_logs(word, out):
    for l in range(out.size):
        out[l] = log(F32(np.int32(word[l] >> U32(8))) * F32(2.0**-24) + F32(2.0**-25))


@jit
def _dot4(w0, w1, w2, w3, x0, x1, x2, x3, fresh, out):
    if fresh:
        for l in range(out.size):
            out[l] = w0[l] * x0 + w1[l] * x1 + w2[l] * x2 + w3[l] * x3
    else:
        for l in range(out.size):
            out[l] += w0[l] * x0 + w1[l] * x1 + w2[l] * x2 + w3[l] * x3


@jit
def _activate(pre, w, fresh, z):
    """pre becomes tanh(pre); z gains w * tanh(pre)."""
    for l in range(z.size):
        t = F32(1) - F32(2) / (exp(pre[l] + pre[l]) + F32(1))
        pre[l] = t
        z[l] = w[l] * t + (F32(0) if fresh else z[l])


@jit
def _residual(z, y, inverse, r):
    for l in range(r.size):
        r[l] = (F32(1) / (F32(1) + exp(-z[l])) - y) * inverse


@jit
def _add_loss(z, y, inverse, loss):
    for l in range(loss.size):
        v = z[l]
        up = v if v > F32(0) else F32(0)
        loss[l] += (up + log(F32(1) + exp(v - up - up)) - y * v) * inverse


@jit
def _back(r, t, w, g, c):
    for l in range(c.size):
        g[l] += r[l] * t[l]
        c[l] = r[l] * w[l] * (F32(1) - t[l] * t[l])


@jit
def _add4(c, x0, x1, x2, x3, g0, g1, g2, g3):
    for l in range(c.size):
        v = c[l]
        g0[l] += v * x0
        g1[l] += v * x1
        g2[l] += v * x2
        g3[l] += v * x3


@jit
def _net(theta, x, y, hidden, with_loss, grad, loss, t, z, r, c):
    """Gradient and loss of the tanh network; x (N, q) with q a multiple of four."""
    n, q = x.shape
    inverse = F32(1) / F32(n)
    grad[:] = 0
    loss[:] = 0
    for s in range(n):
        xs = x[s]
        for h in range(hidden):
            for k in range(0, q, 4):
                i = h * q + k
                _dot4(theta[i], theta[i + 1], theta[i + 2], theta[i + 3],
                      xs[k], xs[k + 1], xs[k + 2], xs[k + 3], k == 0, t[h])
            _activate(t[h], theta[hidden * q + h], h == 0, z)
        _residual(z, y[s], inverse, r)
        if with_loss:
            _add_loss(z, y[s], inverse, loss)
        for h in range(hidden):
            _back(r, t[h], theta[hidden * q + h], grad[hidden * q + h], c)
            for k in range(0, q, 4):
                i = h * q + k
                _add4(c, xs[k], xs[k + 1], xs[k + 2], xs[k + 3],
                      grad[i], grad[i + 1], grad[i + 2], grad[i + 3])


@jit
def _net_of_few(theta, x, xt, y, hidden, with_loss, grad, loss, row, t, z, r, c, w, g):
    """As `_net`, chain by chain; also xt (q, M), the inputs (M, q) turned, both M a multiple of four.

    y (N,), N <= M: the samples that count. row: (rows,), t: (hidden, M), z, r, c, w, g: (M,), scratch, where r is 0
    from N on.
    """
    n, q = len(y), x.shape[1]
    inverse = F32(1) / F32(n)
    for chain in range(loss.size):
        for i in range(row.size):
            row[i] = theta[i, chain]
        for h in range(hidden):
            for k in range(0, q, 4):
                i = h * q + k
                _dot4(xt[k], xt[k + 1], xt[k + 2], xt[k + 3],
                      row[i], row[i + 1], row[i + 2], row[i + 3], k == 0, t[h])
            w[:] = row[hidden * q + h]
            _activate(t[h], w, h == 0, z)
        total = F32(0)
        for s in range(n):
            v = z[s]
            r[s] = (F32(1) / (F32(1) + exp(-v)) - y[s]) * inverse
            if with_loss:
                up = v if v > F32(0) else F32(0)
                total += (up + log(F32(1) + exp(v - up - up)) - y[s] * v) * inverse
        loss[chain] = total
        for h in range(hidden):
            w[:] = row[hidden * q + h]
            g[:] = 0
            _back(r, t[h], w, g, c)
            total = F32(0)
            for s in range(n):
                total += g[s]
            grad[hidden * q + h, chain] = total
            part = row[h * q:(h + 1) * q]  # its weights have been used
            for s in range(0, c.size, 4):
                _dot4(x[s], x[s + 1], x[s + 2], x[s + 3], c[s], c[s + 1], c[s + 2], c[s + 3], s == 0, part)
            for k in range(q):
                grad[h * q + k, chain] = part[k]


@jit
def _polynomial(theta, coef, grad, loss):
    loss[:] = 0
    for i in range(coef.shape[0]):
        c0, c1, c2, c3, c4 = coef[i, 0], coef[i, 1], coef[i, 2], coef[i, 3], coef[i, 4]
        t, g = theta[i], grad[i]
        for l in range(loss.size):
            v = t[l]
            loss[l] += (((c4 * v + c3) * v + c2) * v + c1) * v + c0
            g[l] = ((F32(4) * c4 * v + F32(3) * c3) * v + F32(2) * c2) * v + c1


@jit
def _prior(theta, inverse_beta, precision, with_energy, grad, energy):
    """Add the prior's pull to the gradient and its energy to the energy."""
    for i in range(precision.size):
        p = precision[i]
        if p == F32(0):
            continue
        t, g = theta[i], grad[i]
        for l in range(t.size):
            pull = p * inverse_beta[l] * t[l]
            g[l] += pull
        if with_energy:
            for l in range(t.size):
                energy[l] += F32(0.5) * p * inverse_beta[l] * t[l] * t[l]


@jit
def _move(theta, grad, noise, scale, eta, new):
    for l in range(new.size):
        new[l] = theta[l] - eta * grad[l] + scale[l] * noise[l]


@jit
def _reflect(new, box):
    """As reference.reflect: what is inside stays, to the last bit."""
    period = F32(4) * box
    inverse = F32(1) / period
    for l in range(new.size):
        z = new[l]
        beyond = abs(z) - box
        y = beyond - np.floor(beyond * inverse) * period
        y = beyond if beyond < period else y  # nor 0 times infinity, where 4 box overflows
        v = box - y if y <= F32(2) * box else y - F32(3) * box
        # The last rounding may leave the box by one unit in the last place.
        v = box if v > box else v
        v = -box if v < -box else v
        v = -v if z < F32(0) else v
        new[l] = z if beyond <= F32(0) else v


@jit
def _run(theta_all, beta, precision, box, live, x, xt, y, net, few, hidden, eta, steps, metropolis, boxed,
         k0, k1, first_step, lanes, loss_all, accepted_all, start, stop, begin, end, kept, level, accepted):
    """Steps begin..end-1 of chains start..stop-1.

    kept (2, rows, lanes), level (2, lanes), accepted (lanes,): parameters and gradients, losses and energies, and
    the accepted steps of the last `lanes` chains, when only some of their steps are taken.
    """
    rows = theta_all.shape[0]
    theta, grad, loss, energy = kept[0], kept[1], level[0], level[1]
    new = np.zeros((rows, lanes), np.float32)
    grad_new = np.zeros((rows, lanes), np.float32)
    noise = np.zeros((rows, lanes), np.float32)
    width = xt.shape[1] if few else lanes
    t = np.zeros((max(hidden, 1), width), np.float32)
    z, r, c = np.zeros(width, np.float32), np.zeros(width, np.float32), np.zeros(width, np.float32)
    row, w_few, g_few = np.zeros(rows, np.float32), np.zeros(width, np.float32), np.zeros(width, np.float32)
    loss_new, energy_new = np.zeros(lanes, np.float32), np.zeros(lanes, np.float32)
    back, forth = np.zeros(lanes, np.float32), np.zeros(lanes, np.float32)
    log_u = np.zeros(lanes, np.float32)
    inside = np.ones(lanes, np.bool_)
    scale, inverse_beta, b = np.ones(lanes, np.float32), np.ones(lanes, np.float32), np.ones(
        lanes, np.float32)
    planes = np.zeros((4, lanes), np.uint32)
    for first in range(start, stop, lanes):
        n = min(lanes, stop - first)
        if begin == 0:
            theta[:] = 0
            theta[:, :n] = theta_all[:, first:first + n]
            accepted[:] = 0
        b[:n] = beta[first:first + n]
        for l in range(lanes):
            inverse_beta[l] = F32(1) / b[l]
            scale[l] = np.sqrt(F32(2) * eta / b[l])
        for step in range(begin if begin else -1, end):  # the first time only for the gradient
            last = step == steps - 1
            if step >= 0:
                for draw in range(rows // 4):
                    _words(k0, k1, U32(first), U32(first_step + step), U32(draw), planes)
                    _normals(planes[0], planes[1], noise[4 * draw], noise[4 * draw + 1])
                    _normals(planes[2], planes[3], noise[4 * draw + 2], noise[4 * draw + 3])
                for i in range(rows):
                    if live[i]:
                        _move(theta[i], grad[i], noise[i], scale, eta, new[i])
                        if boxed and not metropolis and box[i] < F32(np.inf):
                            _reflect(new[i], box[i])
            else:
                new[:] = theta
            if few:
                _net_of_few(new, x, xt, y, hidden, metropolis or last, grad_new, loss_new, row, t, z, r, c,
                            w_few, g_few)
            elif net:
                _net(new, x, y, hidden, metropolis or last, grad_new, loss_new, t, z, r, c)
            else:
                _polynomial(new, x, grad_new, loss_new)
            energy_new[:] = loss_new
            _prior(new, inverse_beta, precision, metropolis, grad_new, energy_new)
            if step >= 0 and metropolis:
                _words(k0, k1, U32(first), U32(first_step + step), U32(rows // 4), planes)
                _uniform_logs(planes[0], log_u)
                back[:] = 0
                forth[:] = 0
                inside[:] = True
                for i in range(rows):
                    if not live[i]:
                        continue
                    ti, ni, gi, xi = theta[i], new[i], grad_new[i], noise[i]
                    for l in range(lanes):
                        v = ti[l] - ni[l] + eta * gi[l]
                        back[l] += v * v
                        w = scale[l] * xi[l]
                        forth[l] += w * w
                    if boxed:
                        for l in range(lanes):
                            inside[l] &= abs(ni[l]) <= box[i]
                for l in range(lanes):
                    ratio = -b[l] * (energy_new[l] - energy[l]) - b[l] / (F32(4) * eta) * (
                        back[l] - forth[l])
                    if log_u[l] < ratio and inside[l]:
                        accepted[l] += 1
                        loss[l] = loss_new[l]
                        energy[l] = energy_new[l]
                        for i in range(rows):
                            theta[i, l] = new[i, l]
                            grad[i, l] = grad_new[i, l]
            else:
                theta, new = new, theta
                grad, grad_new = grad_new, grad
                loss[:] = loss_new
                energy[:] = energy_new
                accepted += step >= 0
        if end == steps:
            theta_all[:, first:first + n] = theta[:, :n]
            loss_all[first:first + n] = loss[:n]
            accepted_all[first:first + n] = accepted[:n]
    kept[0] = theta  # which may have changed places
    kept[1] = grad


def run(theta, beta, precision, box, a, b, kind, hidden, eta, steps, metropolis, seed, first_step):
    """Same contract as reference.run, in float32."""
    if theta.dtype != torch.float32:
        raise Unsupported(f"theta: the numba backend computes in float32, got {theta.dtype}")
    columns, draws = columns_of(rows_of(kind, theta.shape[1], a.shape[1], hidden))
    chains, rows = theta.shape[0], 4 * draws

    def padded(v, fill):
        out = torch.full((rows,), fill, dtype=torch.float32)
        out[columns] = v
        return out.numpy()

    state = torch.zeros(rows, chains, dtype=torch.float32)
    state[columns] = theta.mT
    live = np.zeros(rows, np.bool_)
    live[columns.numpy()] = True
    loss = np.full(chains, np.nan, np.float32)
    accepted = np.zeros(chains, np.int64)
    net = kind == "net"
    few = net and chains <= FEW
    data = torch.nn.functional.pad(a, (0, -a.shape[1] % 4, 0, -len(a) % 4 if few else 0)) if net else a
    lanes = max(1, min(LANES, chains))
    given = (
        state.numpy(), beta.contiguous().numpy(), padded(precision, 0.0),
        padded(box, float("inf")), live, data.contiguous().numpy(),
        (data.mT if few else data[:0]).contiguous().numpy(), b.contiguous().numpy(), net, few, hidden,
        np.float32(eta), steps, metropolis, bool(torch.isfinite(box).any()),
        np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32), first_step, lanes, loss, accepted,
    )
    kept, level, taken = np.zeros((2, rows, lanes), np.float32), np.zeros((2, lanes), np.float32), np.zeros(
        lanes, np.int64)
    work = lanes * (60 * rows + (len(a) * (4 * rows + 40 * hidden) if net else 0))
    for first, last, begin, end in _threads.pieces(0, -(-chains // lanes), steps, work):
        _run(*given, first * lanes, min(last * lanes, chains), begin, end, kept, level, taken)
    return state[columns].mT.contiguous(), torch.from_numpy(loss), torch.from_numpy(accepted)
