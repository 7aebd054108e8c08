"""What the cover and the explorers of the chapter score-flow compute: flows of three points in the plane."""

import math

import numpy as np

from implicitly_kernels._rng_numba import philox
from implicitly_kernels.perm_gd._numba import exp

from ..explorer import page_function, progress

__all__ = ["cover", "flow", "rest"]

RHO, GRID, STEPS = 0.1, 26, 80
BOX = (-1.1, 1.8, -0.8, 1.8)


def _ramp(z):
    return min(1.0, max(0.0, (z - RHO) / (1 - 2 * RHO)))


@page_function({"angle": float}, {"lines": (GRID * GRID, STEPS + 1, 2), "sum": GRID * GRID}, whole=("sum",))
def cover(angle: float, lines: np.ndarray, sum: np.ndarray) -> None:
    """Lines of the score flow x' = h(x) - x of the minimum-norm denoiser on three points, to rest (time 22), by Heun.

    Edges of length 1 at `angle` degrees, from 90 (score-flow/C1); `sum` says which lines end at the sum of two points.
    """
    u, v = math.cos(angle * math.pi / 180), math.sin(angle * math.pi / 180)
    for i in range(GRID * GRID):
        # rows are shifted by the golden ratio, or the starts line up
        row = i // GRID
        column = i % GRID + (row * 0.618) % 1.0
        x = BOX[0] + (BOX[1] - BOX[0]) * column / GRID
        y = BOX[2] + (BOX[3] - BOX[2]) * (row + 0.5) / GRID
        lines[i, 0, 0], lines[i, 0, 1] = x, y
        grown = 0.05
        for k in range(STEPS):
            step = min(0.5, grown)
            grown *= 1.04
            p, q = _ramp(x), _ramp(u * x + v * y)
            ax, ay = p + u * q - x, v * q - y
            x1, y1 = x + step * ax, y + step * ay
            p, q = _ramp(x1), _ramp(u * x1 + v * y1)
            x += step * (ax + p + u * q - x1) / 2
            y += step * (ay + v * q - y1) / 2
            lines[i, k + 1, 0], lines[i, k + 1, 1] = x, y
        sum[i] = 1 if math.hypot(x - 1 - u, y - v) < 0.05 else 0


FRAMES, SQUARE = 17, 16 * 16
NEAR = 0.03  # a state this near to a place is there
FEW, MANY, DRAWN = 100, 500, 40
ROUND = 48  # corners of what is drawn as a circle
LONGEST = 512.0
SCORE, PROBABILITY, BAYES = range(3)
FLOWS = ("score", "probability", "bayes")


def _places(angle, marks):
    """x1 = 0, x2, x3 at `angle` degrees from each other, and the sum of the two."""
    marks[1, 0] = 1.0
    marks[2, 0], marks[2, 1] = math.cos(angle * math.pi / 180), math.sin(angle * math.pi / 180)
    marks[3, 0], marks[3, 1] = marks[1, 0] + marks[2, 0], marks[2, 1]


def _draw(seed, low, high, starts):
    """Starts (B, 2), uniform between the corners: element i of draw 0 is start i."""
    zero = np.uint32(0)
    for i in range(starts.shape[0]):
        a, b, _, _ = philox(np.uint32(seed), zero, np.uint32(i), zero, zero, zero)
        starts[i, 0] = low + (high - low) * ((np.float64(a) + 0.5) / 4294967296.0)
        starts[i, 1] = -0.4 + 1.8 * ((np.float64(b) + 0.5) / 4294967296.0)


def _kind(x, y, marks):
    """0 near a training point, 1 near their sum, 2 near neither."""
    kind = 2
    for n in range(4):
        if (x - marks[n, 0]) ** 2 + (y - marks[n, 1]) ** 2 < NEAR**2:
            kind = 1 if n == 3 else 0
    return kind


def _bayes(x, y, sigma, marks):
    """The way to the mean of the training points given a noisy one."""
    square = max(sigma * sigma, 2.2250738585072014e-308)
    a = (2 * (marks[1, 0] * x + marks[1, 1] * y) - 1) / 2  # of |y|^2 and |x_n|^2 = 1 what differs
    b = (2 * (marks[2, 0] * x + marks[2, 1] * y) - 1) / 2
    top = max(0.0, a, b)
    none, one, two = exp((0.0 - top) / square), exp((a - top) / square), exp((b - top) / square)
    total = none + one + two
    return (one * marks[1, 0] + two * marks[2, 0]) / total - x, two * marks[2, 1] / total - y


def _plain(x, y, sigma, marks):
    """The way to what the minimum-norm denoiser says, a sum of two ramps (score-flow/C1)."""
    slope = 1 / (1 - 2 * sigma)
    p = min(1.0, max(0.0, (marks[1, 0] * x + marks[1, 1] * y - sigma) * slope))
    q = min(1.0, max(0.0, (marks[2, 0] * x + marks[2, 1] * y - sigma) * slope))
    return p * marks[1, 0] + q * marks[2, 0] - x, p * marks[1, 1] + q * marks[2, 1] - y


def _follow(kind, sigma, length, steps, marks, starts, paths, count, state):
    """Heun's method for all `starts` (B, 2), `steps` of them, to `paths` (B, FRAMES, 2), and `count` of each kind.

    `state` (B, 2) is to work in.
    """
    size, h, frame = starts.shape[0], length / steps, 0
    fade = exp(-h) if kind != SCORE else 1.0
    for i in range(size):
        state[i, 0], state[i, 1] = starts[i, 0], starts[i, 1]
    for k in range(steps + 1):
        due = steps * frame * frame // SQUARE if kind == SCORE else steps * frame // (FRAMES - 1)
        if k == due:
            for i in range(size):
                paths[i, frame, 0], paths[i, frame, 1] = state[i, 0], state[i, 1]
                count[frame, _kind(state[i, 0], state[i, 1], marks)] += 1
            frame += 1
        if k == steps:
            break
        if k % 64 == 0:
            progress(k, steps)
        later = sigma * fade
        for i in range(size):
            x, y = state[i, 0], state[i, 1]
            if kind == BAYES:
                ax, ay = _bayes(x, y, sigma, marks)
                bx, by = _bayes(x + h * ax, y + h * ay, later, marks)
            else:
                ax, ay = _plain(x, y, sigma, marks)
                bx, by = _plain(x + h * ax, y + h * ay, later, marks)
            state[i, 0], state[i, 1] = x + h * (ax + bx) / 2, y + h * (ay + by) / 2
        sigma = later


@page_function(
    {"angle": float, "rho": float, "seed": int},
    {"paths": (FEW, FRAMES, 2), "kinds": FEW, "starts": (FEW, 2), "data": (3, 2), "balls": (3, ROUND + 1, 2),
     "sum": (1, 2), "count": (FRAMES, 3), "last": 3},
    work={"marks": (4, 2), "state": (FEW, 2)},
    whole=("kinds", "count", "last"),
)  # fmt: skip
def rest(
    angle: float, rho: float, seed: int, paths: np.ndarray, kinds: np.ndarray, starts: np.ndarray, data: np.ndarray,
    balls: np.ndarray, sum: np.ndarray, count: np.ndarray, last: np.ndarray, marks: np.ndarray, state: np.ndarray,
) -> None:  # fmt: skip
    """A hundred starts at fixed noise, for time 64; frames crowd at the start, where it is fast."""
    _places(angle, marks)
    _draw(seed, -0.4, 1.4, starts)
    _follow(SCORE, rho, 64.0, SQUARE, marks, starts, paths, count, state)
    for i in range(FEW):
        kinds[i] = _kind(paths[i, FRAMES - 1, 0], paths[i, FRAMES - 1, 1], marks)
    for n in range(3):
        data[n, 0], data[n, 1], last[n] = marks[n, 0], marks[n, 1], count[FRAMES - 1, n]
        for k in range(ROUND + 1):
            turn = 2 * math.pi * k / ROUND
            balls[n, k, 0], balls[n, k, 1] = marks[n, 0] + rho * math.cos(turn), marks[n, 1] + rho * math.sin(turn)
    sum[0, 0], sum[0, 1] = marks[3, 0], marks[3, 1]


@page_function(
    {"flow": FLOWS, "sigma": float, "angle": float, "length": float, "seed": int},
    {"paths": (DRAWN, FRAMES, 2), "kinds": DRAWN, "marks": (4, 2), "what": 4, "shares": (FRAMES, 3), "last": 3},
    work={"starts": (MANY, 2), "every": (MANY, FRAMES, 2), "state": (MANY, 2)},
    whole=("kinds", "what"),
    slow=True,
)
def flow(
    flow: int, sigma: float, angle: float, length: float, seed: int, paths: np.ndarray, kinds: np.ndarray,
    marks: np.ndarray, what: np.ndarray, shares: np.ndarray, last: np.ndarray, starts: np.ndarray, every: np.ndarray,
    state: np.ndarray,
) -> None:  # fmt: skip
    """Five hundred starts for `length`: of time at noise sigma, or of ln(1/noise) from sigma on (0.01 to 512)."""
    length = length if length > 0.01 else 0.01  # not a number, too
    length = length if length < LONGEST else LONGEST
    _places(angle, marks)
    _draw(seed, -1.1, 1.4, starts)
    steps = SQUARE * math.ceil(length / 64)
    _follow(flow, sigma, length, steps, marks, starts, every, shares, state)
    what[3] = 1
    for i in range(DRAWN):
        for k in range(FRAMES):
            paths[i, k, 0], paths[i, k, 1] = every[i, k, 0], every[i, k, 1]
        kinds[i] = _kind(paths[i, FRAMES - 1, 0], paths[i, FRAMES - 1, 1], marks)
    for k in range(FRAMES):
        for n in range(3):
            shares[k, n] /= MANY
            last[n] = shares[k, n]
