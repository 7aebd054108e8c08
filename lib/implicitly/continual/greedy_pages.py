"""What the opening of greedy-orderings computes, in JupyterLab and in the page: one pass, greedy and shuffled."""

import math

import numpy as np

from implicitly_kernels._rng_numba import normal_pair, philox

from ..explorer import page_function, progress

__all__ = ["one_pass"]

MANY, RANK, ORDERS = 600, 6, 20  # tasks of a pass, rows of a task, shuffled orders
PLACES = 121  # steps that are shown, at most
WIDE = 604  # MANY + 1 dimensions, in whole groups of four
LEAST = 1e-30  # a number on a logarithmic axis
TEACHER = RANK  # step of the generator, after those of the rows of a task; the orders' follow
Z = np.uint32(0)


@page_function(
    {"collection": ("chance", "trap"), "count": int, "rank": int, "seed": int},
    {"share": PLACES, "greedy": PLACES, "shuffled": PLACES, "greedy_distance": PLACES, "shuffled_distance": PLACES,
     "greedy_end": (), "shuffled_end": ()},
    work={
        "rows": (MANY, RANK, WIDE), "gram": (3, RANK, RANK), "mean": (WIDE, WIDE), "turn": (3, MANY),
        "e": (1 + ORDERS, WIDE), "lanes": (WIDE, 1 + ORDERS), "sums": 1 + ORDERS, "along": MANY, "scores": MANY,
        "left": MANY, "deck": (ORDERS, MANY), "move": RANK,
    },
    slow=True,
)  # fmt: skip
def one_pass(
    collection: int, count: int, rank: int, seed: int, share: np.ndarray, greedy: np.ndarray, shuffled: np.ndarray,
    greedy_distance: np.ndarray, shuffled_distance: np.ndarray, greedy_end: np.ndarray, shuffled_end: np.ndarray,
    rows: np.ndarray, gram: np.ndarray, mean: np.ndarray, turn: np.ndarray, e: np.ndarray, lanes: np.ndarray,
    sums: np.ndarray, along: np.ndarray, scores: np.ndarray, left: np.ndarray, deck: np.ndarray, move: np.ndarray,
) -> None:  # fmt: skip
    """One pass over `count` tasks in count + 1 dimensions, greedy and in 20 shuffled orders: loss and distance.

    Drawn at random: the law of `continual.random_tasks`, each task of this rank; chosen against greedy: those of
    `continual.Trap`. Numbers are on the scale of `continual.learn`, at no more than 121 steps, and 1e-30 at least.
    In the kernels' counter-based generator step i is row i of element m, a task; 6 is the teacher, 7 to 26 the orders.
    """
    T, r, shown = min(max(count, 10), MANY), min(max(rank, 2), RANK), PLACES - 1
    d = T + 1
    if collection == 0:
        _draw_tasks(rows, e, T, r, d, seed)
        _mean_loss(mean, rows, gram, T, r, d)
        for m in range(T):
            _orthonormal(rows[m], r, d)
    else:
        _build_trap(turn, T)
        e[0, 0] = 1.0
    for j in range(d):
        for q in range(1, 1 + ORDERS):
            e[q, j] = e[0, j]
    for m in range(T):
        left[m] = 1.0
        for q in range(ORDERS):
            deck[q, m] = m
    for k in range(PLACES):
        share[k], greedy[k], shuffled[k] = np.nan, np.nan, np.nan
        greedy_distance[k], shuffled_distance[k] = np.nan, np.nan

    at = 0
    for t in range(T + 1):
        progress(t, T)
        if t == (at * max(T, shown) + shown // 2) // shown:
            share[at] = t / T
            if collection == 0:
                _losses(sums, mean, e, lanes, d)
            else:
                for q in range(1 + ORDERS):
                    sums[q] = _trap_scores(scores, along, turn, e[q], T)
            total, apart = 0.0, 0.0
            for q in range(1, 1 + ORDERS):
                total += sums[q] / ORDERS
                apart += _product(e[q], e[q], d) / ORDERS
            greedy[at], shuffled[at] = max(sums[0], LEAST), max(total, LEAST)
            greedy_distance[at], shuffled_distance[at] = max(_product(e[0], e[0], d), LEAST), max(apart, LEAST)
            at += 1
        if t == T:
            break
        if collection == 0:
            _scores(scores, rows, left, e[0], T, r, d)
        else:
            _trap_scores(scores, along, turn, e[0], T)
        chosen = -1
        for m in range(T):
            if left[m] > 0 and (chosen < 0 or scores[m] > scores[chosen]):
                chosen = m
        left[chosen] = 0.0
        for q in range(1 + ORDERS):
            m = chosen
            if q > 0:
                a, _, _, _ = philox(np.uint32(seed), Z, np.uint32(t), Z, np.uint32(TEACHER + q), Z)
                place = t + int(np.float64(a) / 4294967296.0 * (T - t))
                m = int(deck[q - 1, place])
                deck[q - 1, place] = deck[q - 1, t]
            if collection == 0:
                _project(e[q], rows[m], move, r, d)
            else:
                _trap_step(e[q], turn, m, d)
    greedy_end[0], shuffled_end[0] = greedy[at - 1], shuffled[at - 1]


def _draw_tasks(rows, e, T, r, d, seed):
    """Gaussian rows and, as the error at the start, a Gaussian teacher of length 1."""
    key = np.uint32(seed)
    for m in range(T):
        for i in range(r):
            _normals(rows[m, i], key, m, i, d)
    _normals(e[0], key, 0, TEACHER, d)
    size = math.sqrt(_product(e[0], e[0], d))
    for j in range(d):
        e[0, j] /= size


def _normals(row, key, element, step, d):
    for j in range(0, d, 4):
        a, b, c, f = philox(key, Z, np.uint32(element), Z, np.uint32(step), np.uint32(j // 4))
        row[j], row[j + 1] = normal_pair(a, b)
        row[j + 2], row[j + 3] = normal_pair(c, f)
    for j in range(d, d + (-d) % 4):  # only whole groups of four are read
        row[j] = 0.0


def _product(v, e, d):
    """v . e, in four sums, which need not wait for each other."""
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    for j in range(0, d, 4):
        s0 += v[j] * e[j]
        s1 += v[j + 1] * e[j + 1]
        s2 += v[j + 2] * e[j + 2]
        s3 += v[j + 3] * e[j + 3]
    return (s0 + s1) + (s2 + s3)


def _mean_loss(mean, rows, gram, T, r, d):
    """The matrix of the mean loss of all tasks, over R^2: the largest eigenvalue of X_m X_m^T of all m."""
    top = 0.0
    for m in range(T):
        for i in range(r):
            for k in range(r):
                gram[0, i, k] = _product(rows[m, i], rows[m, k], d)
        top = max(top, _largest_eigenvalue(gram, r))
        for i in range(r):
            for j in range(d):
                x = rows[m, i, j]
                for k in range(j + 1):
                    mean[j, k] += x * rows[m, i, k]
    for j in range(d):
        for k in range(j + 1):
            mean[j, k] /= T * top
            mean[k, j] = mean[j, k]


def _largest_eigenvalue(gram, r):
    """Of gram[0], positive semidefinite: a high power of it, divided by its trace, keeps nothing else."""
    size = 0.0
    for i in range(r):
        size += gram[0, i, i]
    for i in range(r):
        for k in range(r):
            gram[1, i, k] = gram[0, i, k] / size
    for _ in range(40):  # squared each time
        size = 0.0
        for i in range(r):
            for k in range(r):
                gram[2, i, k] = 0.0
                for h in range(r):
                    gram[2, i, k] += gram[1, i, h] * gram[1, h, k]
            size += gram[2, i, i]
        for i in range(r):
            for k in range(r):
                gram[1, i, k] = gram[2, i, k] / size
    value = 0.0
    for i in range(r):
        for k in range(r):
            value += gram[0, i, k] * gram[1, k, i]
    return value


def _orthonormal(rows, r, d):
    for i in range(r):
        for k in range(i):
            y = _product(rows[i], rows[k], d)
            for j in range(d):
                rows[i, j] -= y * rows[k, j]
        size = math.sqrt(_product(rows[i], rows[i], d))
        for j in range(d):
            rows[i, j] /= size


def _losses(sums, mean, e, lanes, d):
    """Mean loss at every error, side by side."""
    for q in range(sums.size):
        sums[q] = 0.0
        for j in range(d):
            lanes[j, q] = e[q, j]
    for i in range(d):
        for j in range(i):
            for q in range(sums.size):
                sums[q] += 2 * mean[i, j] * lanes[i, q] * lanes[j, q]
        for q in range(sums.size):
            sums[q] += mean[i, i] * lanes[i, q] * lanes[i, q]


def _scores(scores, rows, left, e, T, r, d):
    """Squared distance from the solutions of every task that is left."""
    for m in range(T):
        scores[m] = 0.0
        if left[m] > 0:
            for i in range(r):
                y = _product(rows[m, i], e, d)
                scores[m] += y * y


def _project(e, rows, move, r, d):
    for i in range(r):
        move[i] = _product(rows[i], e, d)
    for i in range(r):
        for j in range(d):
            e[j] -= move[i] * rows[i, j]


def _build_trap(turn, T):
    """u_t of every task, as in `Trap`: its first number, those between, its last."""
    d, x = T + 1, 1.0
    rate = -math.log(2.0) / d  # a page has no exp2, which a power of 2 would become
    c = math.exp(rate)
    before = 1 / math.sqrt(d)
    for m in range(T):
        t = m + 2
        beta = math.exp(rate * (2 * t - 5)) / d * ((t - 1) * c - (t - 2))
        a = math.exp(rate * m) / math.sqrt(d)
        first = -2 * beta / (x + math.sqrt(x * x - 4 * beta))
        length = math.sqrt(first * first + m * (a - before) * (a - before) + a * a)
        turn[0, m], turn[1, m], turn[2, m] = first / length, (a - before) / length, a / length
        x, before = x + first, a


def _trap_scores(scores, along, turn, e, T):
    """Squared distance, which is the loss, of every task; their mean."""
    between, tail, total = 0.0, 0.0, 0.0
    for m in range(T):
        along[m] = turn[0, m] * e[0] + turn[1, m] * between + turn[2, m] * e[m + 1]
        between += e[m + 1]
    for m in range(T - 1, -1, -1):
        scores[m] = along[m] * along[m] + tail
        tail += e[m + 1] * e[m + 1]
        total += scores[m]
    return total / T


def _trap_step(e, turn, m, d):
    between = 0.0
    for j in range(1, m + 1):
        between += e[j]
    y = turn[0, m] * e[0] + turn[1, m] * between + turn[2, m] * e[m + 1]
    e[0] -= y * turn[0, m]
    for j in range(1, m + 1):
        e[j] -= y * turn[1, m]
    e[m + 1] -= y * turn[2, m]
    for j in range(m + 2, d):
        e[j] = 0.0
