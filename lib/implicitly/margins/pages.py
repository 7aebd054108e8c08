"""What the opening of implicit-bias-multiclass computes, in JupyterLab and in the page: flow on three classes."""

import math

import numpy as np

from implicitly_kernels._rng_numba import philox

from ..explorer import page_function
from .classes import sketch_classes

__all__ = ["sketched_points", "turning"]

N, K, D = 14, 3, 3  # points; classes; two coordinates and the constant 1
PAIRS, WEIGHTS = N * (K - 1), K * D
SECOND, THIRD = 5, 9  # first points of these classes
FIRST, LAST, STRIDE = -12.0, 60.0, 0.25  # ln(time): of the first step, the longest, a step's length
ROWS = 4  # of the extrapolation: its order
MARKS = 31  # log times shown: 0, 2, ..., 60, and where it ends
BOX, CELLS = 2.4, 96
GAP, TRIES = 0.2, 1000  # by which a teacher's score leads at a point; points tried


def sketched_points() -> dict[str, np.ndarray]:
    """What `turning` is bound to: the arrangement "nearly touching", ``sketch`` (14, 2)."""
    return {"sketch": sketch_classes("nearly touching")[0][:, :2].numpy()}


def _unit(word):
    return np.float64(word) / 4294967296.0


def _draw(seed, sketch, x, labels, teacher):
    """The points of a seed, (14, 3) with the constant 1, and their labels; seed 0 keeps the sketch.

    A teacher has three directions about a third of a turn apart, and offsets. A point is uniform in a square, drawn
    again until the teacher's score of its class leads by `GAP`: the classes are separable.
    """
    key, zero = np.uint32(seed), np.uint32(0)
    base, _, _, _ = philox(key, zero, np.uint32(K), zero, zero, zero)
    for k in range(K):
        a, b, _, _ = philox(key, zero, np.uint32(k), zero, zero, zero)
        angle = 2 * math.pi * (_unit(base) + k / K) + 0.8 * (_unit(a) - 0.5)
        teacher[k, 0], teacher[k, 1], teacher[k, 2] = math.cos(angle), math.sin(angle), 0.8 * (_unit(b) - 0.5)
    for i in range(N):
        own = 0 if i < SECOND else 1 if i < THIRD else 2
        labels[i] = own
        x[i, 0], x[i, 1], x[i, 2] = sketch[i, 0], sketch[i, 1], 1.0
        lead, t = GAP if seed == 0 else -1.0, 0
        while lead < GAP and t < TRIES:
            a, b, _, _ = philox(key, zero, np.uint32(t), np.uint32(1), zero, np.uint32(i))
            x[i, 0], x[i, 1] = 4 * _unit(a) - 2, 4 * _unit(b) - 2
            lead = 10.0
            for k in range(K):
                if k != own:
                    ahead = teacher[own, 2] - teacher[k, 2]
                    for j in range(2):
                        ahead += (teacher[own, j] - teacher[k, j]) * x[i, j]
                    lead = min(lead, ahead)
            t += 1


def _solve(a, b, n):
    """b becomes the solution with the positive definite n x n matrix in a corner of `a`, which is overwritten."""
    for i in range(n):
        for j in range(i + 1):
            left = a[i, j]
            for k in range(j):
                left -= a[i, k] * a[j, k]
            a[i, j] = math.sqrt(left) if i == j else left / a[j, j]
        for k in range(i):
            b[i] -= a[i, k] * b[k]
        b[i] /= a[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            b[i] -= a[k, i] * b[k]
        b[i] /= a[i, i]


def _some(gram, more, passive, a, b):
    """b becomes the solution of (gram + more) b = 1 on the passive pairs, in their order."""
    n = 0
    for i in range(PAIRS):
        if passive[i] > 0:
            m = 0
            for j in range(i + 1):
                if passive[j] > 0:
                    a[n, m] = gram[i, j] + more
                    m += 1
            b[n] = 1.0
            n += 1
    _solve(a, b, n)


def _largest_margin(x, labels, best, z, gram, u, passive, a, b):
    """The hard-margin SVM, `best` (9,): the least distance problem of Lawson and Hanson, by their active sets.

    Nonnegative u with the least ``|Z' u|^2 + (sum u - 1)^2``; its positive entries are the support, and there the
    duals solve ``Z Z' alpha = 1``.
    """
    for i in range(N):
        own, row = int(labels[i]), 2 * i
        for k in range(K):
            if k != own:
                for j in range(D):
                    z[row, D * own + j], z[row, D * k + j] = x[i, j], -x[i, j]
                row += 1
    for i in range(PAIRS):
        u[i], passive[i] = 0.0, 0.0
        for j in range(PAIRS):
            gram[i, j] = 0.0
            for k in range(WEIGHTS):
                gram[i, j] += z[i, k] * z[j, k]
    for _ in range(4 * PAIRS):
        at, most = -1, 1e-11
        for i in range(PAIRS):
            slope = 1.0
            for j in range(PAIRS):
                slope -= (gram[i, j] + 1) * u[j]
            if passive[i] == 0 and slope > most:
                at, most = i, slope
        if at < 0:
            break
        passive[at] = 1.0
        for _ in range(PAIRS):
            _some(gram, 1.0, passive, a, b)
            share, out, n = 1.0, -1, 0
            for i in range(PAIRS):  # how far to the solution until an entry is 0
                if passive[i] > 0:
                    if b[n] <= 0 and u[i] / (u[i] - b[n]) < share:
                        share, out = u[i] / (u[i] - b[n]), i
                    n += 1
            n = 0
            for i in range(PAIRS):
                if passive[i] > 0:
                    u[i] += share * (b[n] - u[i])
                    n += 1
            if out < 0:
                break
            u[out], passive[out] = 0.0, 0.0
    _some(gram, 0.0, passive, a, b)
    n = 0
    for k in range(WEIGHTS):
        best[k] = 0.0
    for i in range(PAIRS):
        if passive[i] > 0:
            for k in range(WEIGHTS):
                best[k] += b[n] * z[i, k]
            n += 1


def _forces(w, s, loss, x, labels, pull, slope, score, force, curve, sloped):
    """Time times minus the gradient of the risk at w (9,), and if `sloped`, of its second derivative: pull, slope."""
    for k in range(WEIGHTS):
        pull[k] = 0.0
        for j in range(WEIGHTS if sloped else 0):
            slope[k, j] = 0.0
    time = math.exp(s)
    for i in range(N):
        own = int(labels[i])
        for k in range(K):
            score[k] = w[D * k] * x[i, 0] + w[D * k + 1] * x[i, 1] + w[D * k + 2]
        total, every = 1.0, 0.0
        for k in range(K):
            if k != own:
                u = score[own] - score[k]
                if loss == 0:
                    share = math.exp(-u)
                    force[k] = time * share
                    total += share
                else:
                    reach = 1.0 + max(u, 0.0)
                    force[k] = time / (reach * reach)
                    curve[k, k] = 2 * force[k] / reach if u > 0 else 0.0
        for k in range(K):
            if k != own:
                force[k] /= total if loss == 0 else 1.0
                every += force[k]
        force[own] = -every
        for k in range(K):
            for j in range(D):
                pull[D * k + j] -= force[k] * x[i, j]
        if sloped:
            _curvature(own, loss, time, total, force, curve)
            for k in range(K):
                for m in range(K):
                    for j in range(D):
                        for h in range(D):
                            slope[D * k + j, D * m + h] += curve[k, m] * x[i, j] * x[i, h]


def _curvature(own, loss, time, total, force, curve):
    """Second derivative of one sample's loss in its three scores, times time; the polynomial's lies on the diagonal."""
    one, two = (own + 1) % K, (own + 2) % K
    across = 0.0
    if loss == 0:  # times time: p_k (1 - p_k) and -p_k p_l
        across = force[one] * (force[two] / time)
        curve[one, one], curve[two, two] = force[one] / total, force[two] / total  # -p_k times p of the own class
    curve[own, one] = curve[one, own] = -curve[one, one]
    curve[own, two] = curve[two, own] = -curve[two, two]
    curve[own, own] = curve[one, one] + curve[two, two]
    curve[one, two] = curve[two, one] = -across
    curve[one, one] += across
    curve[two, two] += across


def _advance(w, s, h, loss, x, labels, pull, slope, rows, a, b, score, force, curve):
    """One step of gradient flow in ln(time): linearly implicit Euler in 1, 2, 3, 4 parts, extrapolated to order 4."""
    _forces(w, s, loss, x, labels, pull, slope, score, force, curve, True)
    for row in range(ROWS):
        part = h / (row + 1)
        for k in range(WEIGHTS):
            rows[row, k] = w[k]
        for turn in range(row + 1):
            _forces(rows[row], s + (turn + 1) * part, loss, x, labels, pull, slope, score, force, curve, False)
            for k in range(WEIGHTS):
                b[k] = part * pull[k]
                for j in range(k + 1):
                    a[k, j] = part * slope[k, j] + (1.0 if k == j else 0.0)
            _solve(a, b, WEIGHTS)
            for k in range(WEIGHTS):
                rows[row, k] += b[k]
    for column in range(1, ROWS):
        for row in range(ROWS - 1, column - 1, -1):
            ratio = (row + 1) / (row + 1 - column) - 1
            for k in range(WEIGHTS):
                rows[row, k] += (rows[row, k] - rows[row - 1, k]) / ratio
    for k in range(WEIGHTS):
        w[k] = rows[ROWS - 1, k]


def _angle(v, w):
    """Degrees between two vectors, right to the last digits."""
    v_norm, w_norm, apart, along = 0.0, 0.0, 0.0, 0.0
    for k in range(WEIGHTS):
        v_norm += v[k] * v[k]
        w_norm += w[k] * w[k]
    v_norm, w_norm = math.sqrt(v_norm), math.sqrt(w_norm)
    for k in range(WEIGHTS):
        apart += (v[k] / v_norm - w[k] / w_norm) ** 2
        along += (v[k] / v_norm + w[k] / w_norm) ** 2
    return 360 / math.pi * math.atan2(math.sqrt(apart), math.sqrt(along))


def _ray(w, i, j, k, ends):
    """Where classes i and j tie and lead, cut to the box: two points, NaN if the ray misses it."""
    for e in range(2):
        ends[e, 0], ends[e, 1] = np.nan, np.nan
    a, b, c = w[D * i] - w[D * j], w[D * i + 1] - w[D * j + 1], w[D * i + 2] - w[D * j + 2]
    d, e, f = w[D * i] - w[D * k], w[D * i + 1] - w[D * k + 1], w[D * i + 2] - w[D * k + 2]
    det = a * e - b * d
    if det == 0:
        return
    x, y = (b * f - c * e) / det, (c * d - a * f) / det
    dx, dy = (-b, a) if a * e - b * d > 0 else (b, -a)  # where class k scores less than the two that tie
    start, end = 0.0, np.inf
    for at, step in ((x, dx), (y, dy)):
        if step != 0:
            first, second = (-BOX - at) / step, (BOX - at) / step
            start, end = max(start, min(first, second)), min(end, max(first, second))
        elif abs(at) > BOX:
            end = 0.0
    if start < end:
        ends[0, 0], ends[0, 1], ends[1, 0], ends[1, 1] = x + start * dx, y + start * dy, x + end * dx, y + end * dy


@page_function(
    {"log_time": float, "loss": ("cross-entropy", "polynomial"), "seed": int},
    {"regions": (CELLS, CELLS), "points": (N, 2), "labels": N, "borders": (K, 2, 2), "clock": MARKS, "angle": MARKS,
     "last": (), "wrong": (), "W": (K, D), "best": (K, D)},
    data={"sketch": (N, 2)},
    work={"x": (N, D), "teacher": (K, D), "z": (PAIRS, WEIGHTS), "gram": (PAIRS, PAIRS), "u": PAIRS, "passive": PAIRS,
          "a": (PAIRS, PAIRS), "b": PAIRS, "w": WEIGHTS, "svm": WEIGHTS, "pull": WEIGHTS, "slope": (WEIGHTS, WEIGHTS),
          "rows": (ROWS, WEIGHTS), "score": K, "force": K, "curve": (K, K)},
    whole=("regions", "labels", "wrong"),
)  # fmt: skip
def turning(
    log_time: float, loss: int, seed: int, sketch: np.ndarray, regions: np.ndarray, points: np.ndarray,
    labels: np.ndarray, borders: np.ndarray, clock: np.ndarray, angle: np.ndarray, last: np.ndarray, wrong: np.ndarray,
    W: np.ndarray, best: np.ndarray, x: np.ndarray, teacher: np.ndarray, z: np.ndarray, gram: np.ndarray, u: np.ndarray,
    passive: np.ndarray, a: np.ndarray, b: np.ndarray, w: np.ndarray, svm: np.ndarray, pull: np.ndarray,
    slope: np.ndarray, rows: np.ndarray, score: np.ndarray, force: np.ndarray, curve: np.ndarray,
) -> None:  # fmt: skip
    """Gradient flow on three classes from W = 0 up to a logarithm of time, and the largest margin of the same data.

    The flow is that of `margins.log_time_flow`, the largest margin that of `margins.hard_margin_svm`. Regions say what
    the classifier says; angles are in degrees, between its weights and those of the largest margin.
    """
    end = min(log_time, LAST) if log_time > 0 else 0.0
    _draw(seed, sketch, x, labels, teacher)
    _largest_margin(x, labels, svm, z, gram, u, passive, a, b)
    for k in range(MARKS):
        clock[k], angle[k] = np.nan, np.nan
    _forces(w, FIRST, loss, x, labels, pull, slope, score, force, curve, False)
    for k in range(WEIGHTS):
        w[k] = pull[k]
    shown, steps = 0, math.ceil((end - FIRST) / STRIDE)
    for t in range(steps):
        s = FIRST + STRIDE * t
        if s == 2.0 * shown:
            clock[shown], angle[shown] = s, _angle(w, svm)
            shown += 1
        _advance(w, s, min(STRIDE, end - s), loss, x, labels, pull, slope, rows, a, b, score, force, curve)
    clock[shown], angle[shown] = end, _angle(w, svm)
    last[0] = angle[shown]

    for i in range(N):
        points[i, 0], points[i, 1] = x[i, 0], x[i, 1]
    for k in range(WEIGHTS):
        W[k // D, k % D], best[k // D, k % D] = w[k], svm[k]
    for k in range(K):
        _ray(svm, k, (k + 1) % K, (k + 2) % K, borders[k])
    for i in range(CELLS * CELLS + N):
        first, second = -BOX + 2 * BOX * (i % CELLS + 0.5) / CELLS, -BOX + 2 * BOX * (i // CELLS + 0.5) / CELLS
        if i >= CELLS * CELLS:
            first, second = x[i - CELLS * CELLS, 0], x[i - CELLS * CELLS, 1]
        top = 0
        for k in range(K):
            score[k] = w[D * k] * first + w[D * k + 1] * second + w[D * k + 2]
            top = k if score[k] > score[top] else top
        if i < CELLS * CELLS:
            regions[i // CELLS, i % CELLS] = top
        else:
            wrong[0] += 1 if top != labels[i - CELLS * CELLS] else 0
