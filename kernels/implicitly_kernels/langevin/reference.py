"""Overdamped Langevin chains in plain torch: the definition, step by step, any float dtype.

Parameters are seen as rows: a polynomial potential has one row of d, a network one row of d_in per
hidden neuron and a last row of output weights. Coordinate k of a row takes its normal from word
k % 4 of the row's draw k // 4; draws of a row follow those of the row before; the Metropolis
uniform takes word 0 of the draw after the last. The counter is (chain, step, draw).
"""

import torch

from implicitly_kernels import _rng


def rows_of(kind, d, d_in, hidden):
    """Lengths of the parameter rows."""
    return [d] if kind == "polynomial" else [d_in] * hidden + [hidden]


def columns_of(rows):
    """Place of every parameter in the padded layout (4 columns a draw), and the number of draws."""
    places, draws = [], 0
    for length in rows:
        places.append(4 * draws + torch.arange(length))
        draws += -(-length // 4)
    return torch.cat(places), draws


def normals(seed, chains, step, rows, dtype):
    """Standard normals (C, d) of this step."""
    columns, draws = columns_of(rows)
    draw = torch.arange(draws, device=chains.device)
    w = _rng.philox(seed, chains[:, None], step, draw[None, :])
    pairs = [*_rng.normal_pair(w[0], w[1], dtype), *_rng.normal_pair(w[2], w[3], dtype)]
    return torch.stack(pairs, dim=-1).flatten(1)[:, columns.to(chains.device)]


def polynomial(theta, coef):
    """Loss (C,) and gradient (C, d) of sum_i sum_k coef[i, k] theta_i**k, coef (d, 5)."""
    c0, c1, c2, c3, c4 = coef.unbind(1)
    loss = (((c4 * theta + c3) * theta + c2) * theta + c1) * theta + c0
    return loss.sum(1), ((4 * c4 * theta + 3 * c3) * theta + 2 * c2) * theta + c1


def tanh_outputs(theta, x, hidden):
    """z = w2 . tanh(W1 x), (C, N), the hidden tanh (C, N, hidden) and w2 (C, hidden), for x (N, d_in)."""
    d_in = x.shape[1]
    w1 = theta[:, : hidden * d_in].unflatten(1, (hidden, d_in))
    w2 = theta[:, hidden * d_in:]
    t = torch.tanh(torch.einsum("nk,chk->cnh", x, w1))
    return torch.einsum("cnh,ch->cn", t, w2), t, w2


def tanh_net(theta, x, y, hidden):
    """Mean logistic loss (C,) and gradient (C, d) of the network with these outputs; labels y (N,)."""
    z, t, w2 = tanh_outputs(theta, x, hidden)
    loss = (torch.nn.functional.softplus(z) - y * z).mean(1)
    r = (torch.sigmoid(z) - y) / len(y)
    back = r[:, :, None] * w2[:, None, :] * (1 - t * t)
    grad1 = torch.einsum("cnh,nk->chk", back, x).flatten(1)
    return loss, torch.cat([grad1, torch.einsum("cn,cnh->ch", r, t)], dim=1)


def reflect(theta, box):
    """Fold theta into [-box, box]; survives any overshoot. What is inside stays, to the last bit."""
    beyond = theta.abs() - box
    y = torch.fmod(beyond, 4 * box)
    folded = torch.where(y > 2 * box, y - 3 * box, box - y)
    folded = torch.minimum(torch.maximum(folded, -box), box)  # rounding may leave the box
    return torch.where(beyond <= 0, theta, torch.where(theta < 0, -folded, folded))


def run(theta, beta, precision, box, a, b, kind, hidden, eta, steps, metropolis, seed, first_step, boxed=True):
    """Final theta (C, d), loss (C,), accepted steps (C,) int64. See langevin for the arguments.

    precision (d,): inverse prior variances, 0 for none. box (d,): half widths, inf for none.
    boxed: False says that none is finite.
    a, b: coefficients (d, 5) and nothing, or inputs (N, d_in) and labels (N,).
    """
    def potential(t):
        loss, grad = polynomial(t, a) if kind == "polynomial" else tanh_net(t, a, b, hidden)
        pull = precision * t / beta[:, None]
        return loss, loss + 0.5 * (pull * t).sum(1), grad + pull

    rows = rows_of(kind, theta.shape[1], a.shape[1], hidden)
    draws = columns_of(rows)[1]
    chains = torch.arange(theta.shape[0], device=theta.device)
    accepted = torch.zeros_like(chains)
    scale = torch.sqrt(2 * eta / beta)[:, None]
    loss, energy, grad = potential(theta)
    for step in range(first_step, first_step + steps):
        noise = scale * normals(seed, chains, step, rows, theta.dtype)
        new = theta - eta * grad + noise
        if boxed and not metropolis:
            new = torch.where(torch.isfinite(box), reflect(new, box), new)
        new_loss, new_energy, new_grad = potential(new)
        if metropolis:
            back = theta - new + eta * new_grad
            log_ratio = -beta * (new_energy - energy) - beta / (4 * eta) * (
                (back * back).sum(1) - (noise * noise).sum(1))
            word = _rng.philox(seed, chains, step, draws)[0]
            u = _rng.unit(word, theta.dtype) + 0.5 * _rng.TO_UNIT
            take = (torch.log(u) < log_ratio) & (new.abs() <= box).all(1)
            theta = torch.where(take[:, None], new, theta)
            loss, energy = torch.where(take, new_loss, loss), torch.where(take, new_energy, energy)
            grad = torch.where(take[:, None], new_grad, grad)
            accepted += take
        else:
            theta, loss, energy, grad = new, new_loss, new_energy, new_grad
            accepted += 1
    return theta, loss, accepted
