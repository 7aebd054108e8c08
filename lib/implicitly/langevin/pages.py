"""What the opening of langevin-generalization computes, in JupyterLab and in the page: Langevin training."""

import math

import numpy as np

from implicitly_kernels._rng_numba import normal_pair, philox

from ..data import digit_pixels
from ..explorer import page_function, progress
from ._page_steps import gradient, move

__all__ = ["memory", "packed_digits"]

N, HIDDEN, PIXELS, POOL = 60, 16, 64, 800  # pictures in a sample; neurons; pixels; pictures to choose from
CHAINS, ROWS = 4, HIDDEN * (PIXELS + 1)
PACKED = 7  # numbers a picture: ten pixels of five bits in each
PER_TIME = 64  # steps in a unit of time
MARKS = 40  # moments shown, each later by a fifth, enough for time 80
CAP = math.log(2) + 1 / 8  # of the mean loss at the start
RISK = math.log(1 / 0.05)


def packed_digits() -> dict[str, np.ndarray]:
    """What `memory` is bound to: the first 800 digits of scikit-learn, and how pixels are scaled.

    Returns:
        ``code`` (800, 7), ten pixels from 0 to 16 in each number; ``scaling`` (2, 64): the mean of each pixel and
        four times its standard deviation, as in `implicitly.data.digits`; float64.
    """
    raw = digit_pixels()[0][:POOL]
    code = np.zeros((POOL, PACKED))
    for k in range(PIXELS):
        code[:, k // 10] += raw[:, k] * 2.0 ** (5 * (k % 10))
    scale = raw.std(0, ddof=1)
    return {"code": code, "scaling": np.stack([raw.mean(0), 4 * np.where(scale > 0, scale, 1.0)])}


@page_function(
    {"beta": float, "time": int, "seed": int},
    {"t": MARKS, "nets": (CHAINS, MARKS, 2), "mean": MARKS, "bars": 2, "level": (), "allowed": ()},
    data={"code": (POOL, PACKED), "scaling": (2, PIXELS)},
    work={
        "deck": POOL, "x": (N, PIXELS), "xt": (PIXELS, N), "y": N, "theta": (ROWS, 1), "grad": (ROWS, 1),
        "noise": (ROWS, 1), "precision": ROWS, "hidden": (HIDDEN, N), "few": (2, N),
    },
    tolerance=0,
    slow=True,
)  # fmt: skip
def memory(
    beta: float, time: int, seed: int, code: np.ndarray, scaling: np.ndarray, t: np.ndarray, nets: np.ndarray,
    mean: np.ndarray, bars: np.ndarray, level: np.ndarray, allowed: np.ndarray, deck: np.ndarray, x: np.ndarray,
    xt: np.ndarray, y: np.ndarray, theta: np.ndarray, grad: np.ndarray, noise: np.ndarray, precision: np.ndarray,
    hidden: np.ndarray, few: np.ndarray,
) -> None:  # fmt: skip
    """Four networks learn 60 coin flips by Langevin steps of size 1/64: training errors, and the bound on their mean.

    The law of `langevin_run` at ``N=60, flip=1, eta=1/64``, in float64, drawn from the kernels' counter-based
    generator. Plane 0 of the counters is the noise, as the kernel `langevin` draws it; 1 the start, 2 the data.
    """
    key, zero, eta = np.uint32(seed), np.uint32(0), 1 / PER_TIME
    for i in range(POOL):
        deck[i] = i
    for i in range(N):  # the first cards of a shuffled deck
        a, b, _, _ = philox(key, zero, np.uint32(i), np.uint32(2), zero, zero)
        at = i + int(np.float64(a) / 4294967296.0 * (POOL - i))
        picture = int(deck[at])
        deck[at] = deck[i]
        y[i] = np.float64(b >> np.uint32(31))
        for k in range(PIXELS):
            pixel = (int(code[picture, k // 10]) >> (5 * (k % 10))) & 31
            x[i, k] = (pixel - scaling[0, k]) / scaling[1, k]
            xt[k, i] = x[i, k]
    for j in range(ROWS):
        precision[j] = PIXELS if j < HIDDEN * PIXELS else HIDDEN
    for k in range(MARKS):
        t[k] = np.nan
        mean[k] = np.nan
        for c in range(CHAINS):
            nets[c, k, 0], nets[c, k, 1] = np.nan, np.nan

    steps, width = PER_TIME * time, math.sqrt(2 * eta / beta)
    for c in range(CHAINS):
        for draw in range(ROWS // 4):
            words = philox(key, zero, np.uint32(c), np.uint32(1), zero, np.uint32(draw))
            first, second = normal_pair(words[0], words[1])
            third, fourth = normal_pair(words[2], words[3])
            size = math.sqrt(1 / precision[4 * draw])
            theta[4 * draw, 0], theta[4 * draw + 1, 0] = size * first, size * second
            theta[4 * draw + 2, 0], theta[4 * draw + 3, 0] = size * third, size * fourth
        mark, shown = 8, 0
        for k in range(steps + 1):
            if k % PER_TIME == 0:
                progress(c * steps + k, CHAINS * steps)
            gradient(theta, x, xt, y, HIDDEN, grad, hidden, few[0], few[1])
            if k == steps or (k == mark and shown < MARKS - 1):
                wrong = 0
                for i in range(N):
                    wrong += 1 if (few[0, i] > 0) != (y[i] > 0.5) else 0
                t[shown], nets[c, shown, 0], nets[c, shown, 1] = k / PER_TIME, k / PER_TIME, wrong / N
                mark += mark // 5
                shown += 1
            for draw in range(ROWS // 4):
                words = philox(key, zero, np.uint32(c), zero, np.uint32(k), np.uint32(draw))
                noise[4 * draw, 0], noise[4 * draw + 1, 0] = normal_pair(words[0], words[1])
                noise[4 * draw + 2, 0], noise[4 * draw + 3, 0] = normal_pair(words[2], words[3])
            move(theta, grad, noise, precision, beta, eta, width)
    last = 0
    for k in range(MARKS):
        if t[k] >= 0:
            last = k
            mean[k] = (nets[0, k, 1] + nets[1, k, 1] + nets[2, k, 1] + nets[3, k, 1]) / CHAINS
    allowed[0] = min(0.5, math.sqrt((beta * CAP + RISK) / (2 * N)))
    level[0] = 0.5 - allowed[0]
    bars[0] = max(0.5 - mean[last], 0.0)
    bars[1] = allowed[0]
