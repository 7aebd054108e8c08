"""What is proved of the loss after k tasks: upper bounds, a lower bound, and what greedy orders keep.

Losses are relative to ``R^2 D_0`` with ``D_0 = |w_0 - w*|^2``, so that none exceeds 1, and so are squared distances
to ``D_0``. Constants are those of the book's own proofs. Chapters `random-orderings`, `optimal-regularization`,
`greedy-orderings`.
"""

import math

import torch
from torch import Tensor

from .._validate import F64, flag, number, tensor, whole

__all__ = [
    "dimension_bound",
    "forgetting_bound",
    "greedy_line_bound",
    "greedy_repetition_bound",
    "hybrid_threshold",
    "increasing_bound",
    "lower_bound",
    "rank_bound",
    "root_dimension_bound",
    "shuffled_bound",
    "step_inequality",
    "trap_bound",
    "universal_bound",
]

_MOST = 2**53


def _steps(k, least: int = 1) -> int:
    return whole("k", k, at_least=least, at_most=_MOST)


def universal_bound(k: int, h: float = 1.0) -> float:
    """``F(k, h)``: the expected loss after k steps of effective size h, orders drawn with replacement.

    ``F(k, h) = prod_{n=1}^{k} (1 + (1 - h/2) / (h + 2n / (2 - h)))^{-1} / (h (2 - h))``, which falls like
    ``k^{-(1 - h/2)^2}``; for projections, h = 1, like ``k^{-1/4}``. For h = 1 it also bounds the mean squared distance,
    and in classification the squared distance from a task's solutions.

    Args:
        k: steps, at least 0.
        h: effective step size, in (0, 2).

    >>> round(universal_bound(100), 4)
    0.327
    """
    k, h = _steps(k, 0), number("h", h, above=0.0, below=2.0)
    q, kappa = h * (1 - h / 2), 2 - h * h / 4
    front = 2 * q
    if not math.isfinite(1 / front if front else math.inf):
        raise ValueError(f"h must give a bound in the range of floats, found {h:g}")
    # The factors are (n + q) / (n + kappa - 1).
    log = _log_ratio(k, 1 + q, kappa)
    return math.exp(log) / front


def _log_ratio(k: int, a: float, b: float) -> float:
    """``log(Gamma(k + a) Gamma(b) / (Gamma(a) Gamma(k + b)))``, a <= b."""
    if k < 10**6:
        return math.lgamma(k + a) - math.lgamma(a) - math.lgamma(k + b) + math.lgamma(b)
    # Stirling's series: both logarithms are large, and their difference is not.
    far = (a - b) * math.log(k) + (a * (a - 1) - b * (b - 1)) / (2 * k)
    return far - math.lgamma(a) + math.lgamma(b)


def _codimension(value) -> float:
    return number("codimension", value, at_least=0.0, at_most=2.0**53)


def dimension_bound(k: int, codimension: float) -> float:
    """``(d - r) / k``: the expected mean squared distance after k steps, orders with or without replacement.

    Without replacement it is the distance from the solutions of the next task.

    Args:
        k: steps, at least 1.
        codimension: dimension minus mean rank, at least 0.
    """
    return _codimension(codimension) / _steps(k)


def root_dimension_bound(k: int, codimension: float) -> float:
    """``sqrt(d - r) / (e (k - 1))``: the same for orders with replacement, k at least 2; arguments as there."""
    return math.sqrt(_codimension(codimension)) / (math.e * (_steps(k, 2) - 1))


def rank_bound(k: int, T: int, mean_rank: float) -> float:
    """``sqrt(T r) / (e k)``: the same for T tasks of mean rank r, orders with replacement.

    k and T at least 1; `mean_rank` at least 0.
    """
    k, T = _steps(k), whole("T", T, at_least=1, at_most=_MOST)
    return math.sqrt(T * number("mean_rank", mean_rank, at_least=0.0, at_most=2.0**53)) / (math.e * k)


def shuffled_bound(T: int, codimension: float | None = None) -> float:
    """``2 min(F(T - 1, 1), (d - r) / (T - 1)) + 2 / T``: the expected loss after one shuffled pass over T tasks.

    Args:
        T: number of tasks, at least 2.
        codimension: dimension minus mean rank, at least 0; left out, only the bound that needs no dimension.
    """
    T = whole("T", T, at_least=2, at_most=_MOST)
    ahead = universal_bound(T - 1)
    if codimension is not None:
        ahead = min(ahead, dimension_bound(T - 1, codimension))
    return 2 * ahead + 2 / T


def forgetting_bound(
    k: int, codimension: float, *, replacement: bool, T: int | None = None, mean_rank: float | None = None
) -> float:
    """The expected loss on the tasks learned in k steps: ``2 b(k - 1) + 2 / k`` with the best bound b of this module.

    With replacement b is the least of `universal_bound`, `dimension_bound`, `root_dimension_bound` and `rank_bound`;
    without, of the first two. Where d - r < 1, the second term is at most ``3 (d - r) / k``.

    Args:
        k: steps, at least 1; at most T without replacement.
        codimension: dimension minus mean rank, at least 0.
        replacement: how the order is drawn.
        T, mean_rank: as in `rank_bound`; T is needed without replacement, both for `rank_bound` to count.
    """
    k, codimension, replacement = _steps(k), _codimension(codimension), flag("replacement", replacement)
    if mean_rank is not None:
        mean_rank = number("mean_rank", mean_rank, at_least=0.0, at_most=2.0**53)
    if T is None and not replacement:
        raise ValueError("T must be given without replacement, found None")
    if T is not None:
        T = whole("T", T, at_least=1, at_most=_MOST)
        if not replacement and k > T:
            raise ValueError(f"k must be at most T = {T} without replacement, found {k}")
    ahead = universal_bound(k - 1)
    if k >= 2:
        ahead = min(ahead, dimension_bound(k - 1, codimension))
        if replacement and T is not None and mean_rank is not None:
            ahead = min(ahead, rank_bound(k - 1, T, mean_rank))
    if k >= 3 and replacement:
        ahead = min(ahead, root_dimension_bound(k - 1, codimension))
    return 2 * ahead + min(2.0, 3 * codimension if codimension < 1 else 2.0) / k


def increasing_bound(h: Tensor, last: float) -> float:
    """``I``: the expected loss after k steps of effective sizes h_t, orders drawn with replacement.

    ``I = prod_{s<k} (1 - a_s / V_s) / (2 a_k)`` with ``a_t = h_t (1 - h_t/2)``, ``b_t = h_t / (1 - h_t/2)`` and
    ``V_s = b_s + ... + b_k``, where h_k = `last` is a virtual step that is never made. The proof needs the surrogates
    to fall in t, which they do for step sizes that do not increase. For others the formula is still computed; it is
    proved to be a bound then only if every singular value of a task is 0 or R. Any `last` gives a bound.

    Args:
        h: effective step sizes, (k,), float64, in (0, 1]; k at least 0.
        last: the virtual step, in (0, 1]; for the schedule ``"increasing"`` it is ``h0 / (k + 1)``.
    """
    h = tensor("h", h, shape=("k",), dtype=F64, above=0.0, at_most=1.0)
    last = number("last", last, above=1e-300, at_most=1.0)
    h = torch.cat([h, h.new_tensor([last])])
    a, b = h * (1 - h / 2), h / (1 - h / 2)
    V = b.flip(0).cumsum(0).flip(0)
    return (torch.log1p(-a[:-1] / V[:-1]).sum().exp() / (2 * a[-1])).item()


def lower_bound(k: int) -> float:
    """``(1 - 1/k)^k / k``, about ``1 / (e k)``: no method that stays in the span of what it saw loses less than this.

    The loss after k steps on k orthogonal tasks (`orthogonal_tasks`), orders with replacement. Learning each task to
    the end attains it. k at least 1.
    """
    k = _steps(k)
    return math.exp(k * math.log1p(-1 / k)) / k if k > 1 else 0.0


def greedy_line_bound(T: int) -> float:
    """``1 / (e T)``: the loss after one greedy pass over T tasks whose solutions are lines through one point.

    T at least 1.
    """
    return 1 / (math.e * whole("T", T, at_least=1, at_most=_MOST))


#: Smallest value of Q_n / sqrt(S_n) in the proof.
_GAMMA = math.sqrt(12 / 13)


def greedy_repetition_bound(k: int) -> float:
    """``1 / (gamma (1 + 0.655 k)^(1/3))``, gamma = sqrt(12/13): the loss after k greedy steps with repetition.

    For the task farthest away, any ranks, any number of tasks. At most ``1.2 k^(-1/3)``. k at least 0.
    """
    return 1 / (_GAMMA * (1 + 0.655 * _steps(k, 0)) ** (1 / 3))


def step_inequality(steps: Tensor) -> Tensor:
    """What greedy steps with repetition satisfy: the ratio of the two sides of an inequality between their lengths.

    The task farthest away is taken at step t, hence ``s_t (s_t + ... + s_k) >= (s_t^2 + ... + s_k^2) / 2``. The
    ratio of the right side to the left is at most 1. A step of length 0 has no ratio; greedy has then solved all
    tasks.

    Args:
        steps: squared step lengths ``s_t^2``, (B, k), float32 or float64, at least 0.

    Returns:
        (B, k), in the dtype of `steps`; 0 where the left side is 0 and the right side too, and infinite where only the
        left side is.
    """
    steps = tensor("steps", steps, shape=("B", "k"), at_least=0.0)
    lengths = steps.sqrt()
    right = steps.flip(1).cumsum(1).flip(1) / 2
    left = lengths * lengths.flip(1).cumsum(1).flip(1)
    return torch.where(right > 0, right / left, torch.zeros_like(right))


def hybrid_threshold(T: int, C: float, alpha: float) -> float:
    """``(T^alpha - C (1 - alpha)) / (C T)``: how long a greedy step must be to be worth it, squared and over D_0.

    If a shuffled pass over n tasks has an expected loss of at most ``C n^(-alpha)`` for every collection and start,
    n <= T, the order that is greedy while squared steps are at least ``D_0`` times this, and random after, keeps
    ``C T^(-alpha)``. Where the threshold is not positive, greedy may go on for ever, and the bound says nothing.

    Args:
        T: number of tasks, at least 1.
        C: positive, at most 1e6.
        alpha: in (0, 1].
    """
    T = whole("T", T, at_least=1, at_most=_MOST)
    C, alpha = number("C", C, at_least=1e-6, at_most=1e6), number("alpha", alpha, above=0.0, at_most=1.0)
    return (T**alpha - C * (1 - alpha)) / (C * T)


def trap_bound(d: int) -> float:
    """``1/8 - 1/(4 d)``: the loss of `Trap` after one greedy pass is at least this. d at least 8."""
    return 1 / 8 - 1 / (4 * whole("d", d, at_least=8, at_most=_MOST))
