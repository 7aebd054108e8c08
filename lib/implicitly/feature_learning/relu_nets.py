"""Two-layer ReLU networks trained by gradient descent from vanishing weights.

Source: Xu et al., arXiv 2310.02541, for the question; chapter xor-clusters. Bad arguments raise TypeError or
ValueError.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .._validate import F64, instance, number, tensor, whole, wholes
from .clusters import Clusters, signs

__all__ = [
    "Run",
    "accuracy",
    "first_step",
    "matched",
    "scores",
    "train",
]


class Run(NamedTuple):
    """What was recorded of a training run, float64.

    Attributes:
        at: the steps after which it was, (K,) int64.
        W: first-layer weights, (K, m, D).
        a: output weights, which stay, (m,).
        scores, new_scores: of the network at training points (K, N) and at new points (K, new).
    """

    at: Tensor
    W: Tensor
    a: Tensor
    scores: Tensor
    new_scores: Tensor


def train(
    data: Clusters, *, eta: float, steps: int, record: Sequence[int] | None = None, hold: int | None = None
) -> Run:
    """Full-batch gradient descent on the mean logistic loss of ``f(x) = sum_j a_j relu(w_j @ x)``, in w only.

    Neurons come in pairs, m = 2 pairs: both start in the direction of a row of ``data.start``, with output weights
    1/sqrt(m) and -1/sqrt(m). The length of the start goes to zero: it decides which neurons are active in the first
    step, and is then gone. relu'(0) = 0.

    Args:
        data: from :func:`draw_clusters`, or another sample in that form.
        eta: step size, above 0 and at most 1e6.
        steps: at least 0.
        record: increasing steps from 0 to `steps` after which the network is recorded; all of them if left out.
        hold: gates stop moving after so many steps, at least 0: from then on neuron j is active at x where it was
            active after `hold` steps, at new points, too. With 0 the starts decide for good. None: they never stop.

    >>> from implicitly.feature_learning import draw_clusters, train
    >>> data = draw_clusters(8, 10**4, 30.0, 0.25, pairs=50, generator=torch.Generator().manual_seed(0))
    >>> bool((train(data, eta=0.01, steps=1).scores[1] * data.y > 0).all())
    True
    """
    data, eta = instance("data", data, Clusters), number("eta", eta, above=0.0, at_most=1e6)
    steps = whole("steps", steps, at_least=0, at_most=10**6)
    limits = {"at_least": 0, "at_most": steps, "increase": True}
    at = tuple(range(steps + 1)) if record is None else wholes("record", record, **limits)
    hold = None if hold is None else whole("hold", hold, at_least=0)
    X, y, m = data.X, data.y, 2 * len(data.start)
    ones = torch.ones(len(data.start), dtype=F64)
    a = torch.cat([ones, -ones]) / math.sqrt(m)
    gram = X @ X.T
    # W = C X: the inner products of the training points are all that a step needs
    C = torch.zeros(m, len(y), dtype=F64)
    gates = torch.cat([data.start, data.start])  # neuron j is active at x where gates[j] @ x > 0
    active = (gates @ X.T > 0).to(F64)
    found = {"W": [], "scores": [], "new_scores": []}
    for t in range(steps + 1):
        inner = C @ gram
        if t and (hold is None or t <= hold):
            gates, active = None, (inner > 0).to(F64)
        f = a @ (active * inner)
        if t in at:
            W = C @ X
            found["W"].append(W)
            found["scores"].append(f)
            new = W @ data.X_new.T
            found["new_scores"].append(a @ (((new if gates is None else gates @ data.X_new.T) > 0) * new))
        if t == hold and gates is None:
            gates = C @ X
        C = C + (eta / len(y)) * a[:, None] * (active * (y * torch.sigmoid(-y * f)))
    return Run(torch.tensor(at), a=a, **{name: torch.stack(parts) for name, parts in found.items()})


def first_step(data: Clusters, *, eta: float) -> Tensor:
    """The linear function ``theta @ x`` that :func:`train` has computed after one step, theta (D,) float64.

    theta = eta / (4 N) sum_i q_i y_i x_i, where q_i is the share of starts that are active at x_i.
    """
    data, eta = instance("data", data, Clusters), number("eta", eta, above=0.0, at_most=1e6)
    q = (data.X @ data.start.T > 0).to(F64).mean(1)
    return eta / (4 * len(data.y)) * ((q * data.y) @ data.X)


def scores(W: Tensor, a: Tensor, X: Tensor) -> Tensor:
    """``sum_j a_j relu(w_j @ x)`` of weights W (m, D), a (m,) at the rows of X (n, D), (n,); all float64."""
    W = tensor("W", W, shape=("m", "D"), dtype=F64)
    a = tensor("a", a, shape=(len(W),), dtype=F64)
    X = tensor("X", X, shape=("n", W.shape[1]), dtype=F64)
    return a @ (W @ X.T).relu()


def accuracy(scores: Tensor, y: Tensor) -> Tensor:
    """Share of scores (..., n) that have the sign of the labels y (n,), each 1 or -1; a score of 0 counts half.

    Both float64, n at least 1; returns (...).
    """
    scores = tensor("scores", scores, dtype=F64)
    y = signs("y", tensor("y", y, shape=(scores.shape[-1] if scores.ndim else 1,), dtype=F64))
    if not len(y):
        raise ValueError("y must hold at least one label, found none")
    return (1 + (scores * y).sign()).mean(-1) / 2


def matched(W: Tensor, a: Tensor) -> Tensor:
    """Share of neurons that lie nearer to the axis of their own class: mu_1's for a_j > 0, mu_2's for a_j < 0.

    Args:
        W: weights (..., m, D) float64, D at least 2, the first two coordinates along mu_1 and mu_2; a tie counts half.
        a: output weights (m,) float64.
    """
    W, a = tensor("W", W, dtype=F64), tensor("a", a, shape=("m",), dtype=F64)
    if W.ndim < 2 or W.shape[-2] != len(a) or W.shape[-1] < 2 or not len(a):
        raise ValueError(f"W must have shape (..., {len(a)}, D) with D at least 2, found {tuple(W.shape)}")
    lead = W[..., 0].abs() - W[..., 1].abs()
    return (1 + (lead * a).sign()).mean(-1) / 2
