"""Separable classification tasks: learning one moves the weights to the nearest point of a polyhedron.

With weak regularization, learning a task to the end from w gives the nearest point v with ``y x . v >= 1`` for all of
its samples (sequential max-margin). The rows of Z are the products ``y x``. Chapter `random-orderings`. Everything is
float64.
"""

import torch
from torch import Tensor

from .._validate import F64, number, tensor, whole
from .._validate import generator as checked_generator

__all__ = [
    "margin_tasks",
    "nearest_point",
    "sequential_max_margin",
]


def _separated(name: str, Z) -> Tensor:
    return tensor(name, Z, dtype=F64, at_least=-1e100, at_most=1e100)


def nearest_point(w: Tensor, Z: Tensor) -> Tensor:
    """The point v with ``Z v >= 1`` that is nearest to `w`.

    By nonnegative least squares on the dual (Lawson and Hanson's least distance programming).

    Args:
        w: (d,), float64, at most 1e100 in size.
        Z: rows ``y x`` of a task, (n, d), float64, at most 1e100 in size, d at least 1; n may be 0.

    Returns:
        (d,), float64; `w` itself if it satisfies the constraints.

    Raises:
        ValueError: no point satisfies them all.

    >>> nearest_point(torch.zeros(1, dtype=F64), torch.tensor([[2.0]], dtype=F64)).round(decimals=6).tolist()
    [0.5]
    """
    Z = _separated("Z", Z)
    if Z.ndim != 2 or not Z.shape[1]:
        raise ValueError(f"Z must have shape (n, d) with d at least 1, found {tuple(Z.shape)}")
    return _nearest(tensor("w", w, shape=(Z.shape[1],), dtype=F64, at_least=-1e100, at_most=1e100), Z)


def _nearest(w: Tensor, Z: Tensor) -> Tensor:
    from scipy.optimize import nnls

    behind = 1 - Z @ w
    if not (behind > 0).any():
        return w.clone()
    # min |x|^2 subject to Z x >= behind, scaled so that the two blocks of the dual are of one size
    rows = Z.norm(dim=1)
    if not (rows[behind > 0] > 0).all():
        raise ValueError("Z must allow a point with Z v >= 1, found a row of zeros")
    size = torch.where(rows > 0, rows, 1.0)
    unit, aim = Z / size[:, None], behind / size
    scale = aim.abs().max()
    E = torch.cat([unit.T, (aim / scale)[None]])
    f = torch.zeros(len(E), dtype=F64)
    f[-1] = 1
    a, _ = nnls(E.numpy(), f.numpy(), maxiter=30 * E.shape[1] + 100)
    residual = f - E @ torch.from_numpy(a)
    if residual[-1] < 1e-12:
        raise ValueError("Z must allow a point with Z v >= 1, found constraints that contradict each other")
    return w - residual[:-1] / residual[-1] * scale


def sequential_max_margin(w: Tensor, Z: Tensor, order: Tensor) -> Tensor:
    """Learn classification tasks one after the other; the weights after each.

    Args:
        w: weights at the start, (d,), float64.
        Z: rows ``y x`` of T tasks with n samples each, (T, n, d), float64; each task separable, n at least 1.
        order: the tasks to learn, (k,), int64.

    Returns:
        Weights after 0..k tasks, (k + 1, d), float64.
    """
    Z = _separated("Z", Z)
    if Z.ndim != 3 or not Z.numel():
        raise ValueError(f"Z must have shape (T, n, d), none of them 0, found {tuple(Z.shape)}")
    w = tensor("w", w, shape=(Z.shape[2],), dtype=F64, at_least=-1e100, at_most=1e100)
    order = tensor("order", order, shape=("k",), dtype=torch.int64, at_least=0, at_most=len(Z) - 1)
    found = [w]
    for m in order.tolist():
        found.append(_nearest(found[-1], Z[m]))
    return torch.stack(found)


def margin_tasks(T: int, d: int, *, n: int = 1, margin: float = 0.7, generator: torch.Generator) -> Tensor:
    """Tasks that a common unit teacher v separates: samples ``x = y (margin v + unit vector orthogonal to v)``.

    ``v / margin`` solves all of them. Labels are absorbed: the rows of Z are ``y x``.

    Args:
        T: number of tasks, at least 1.
        d: dimension, at least 2.
        n: samples of each task, at least 1.
        margin: positive.
        generator: source of teacher and samples, on the CPU.

    Returns:
        Z, (T, n, d), float64.
    """
    T, d, n = whole("T", T, at_least=1), whole("d", d, at_least=2), whole("n", n, at_least=1)
    margin = number("margin", margin, at_least=1e-6, at_most=1e6)
    checked_generator("generator", generator, device="cpu")
    v = torch.randn(d, generator=generator, dtype=F64)
    v = v / v.norm()
    x = torch.randn(T, n, d, generator=generator, dtype=F64)
    x = x - (x @ v)[..., None] * v
    return x / x.norm(dim=2, keepdim=True) + margin * v
