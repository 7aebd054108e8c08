"""What the cover of the book computes in the page: the score flow of three points in the plane, in closed form."""

import math

from ..explorer import page_function

__all__ = ["cover"]

RHO, GRID, STEPS = 0.1, 26, 80
BOX = (-1.1, 1.8, -0.8, 1.8)


def _ramp(z):
    return min(1.0, max(0.0, (z - RHO) / (1 - 2 * RHO)))


@page_function({"angle": float}, {"lines": (GRID * GRID, STEPS + 1, 2), "sum": GRID * GRID}, whole=("sum",))
def cover(angle, lines, sum):
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
